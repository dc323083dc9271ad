#!/usr/bin/env bash
# scikit-learn's isotonic calibration interpolates between the thresholds it has found; skl2onnx's takes the nearest
# one's value. So the calibrated probability of an exported model is a staircase: 300 rows have 6 values in place of 24,
# up to 0.21 off, and a label can be another. The sigmoid calibration is right.
# Seen with skl2onnx 1.20.0, scikit-learn 1.9.1 and onnxruntime 1.32.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.32.0 \
    scikit-learn==1.9.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import onnxruntime
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from skl2onnx import to_onnx

rng = np.random.default_rng(0)
x = rng.standard_normal((300, 4)).astype(np.float32)
label = (x[:, 0] + 0.5 * rng.standard_normal(300) > 0).astype(int)
for method in ("sigmoid", "isotonic"):
    model = CalibratedClassifierCV(LogisticRegression(), method=method, ensemble=False).fit(x[:80], label[:80])
    session = onnxruntime.InferenceSession(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
    labels, found = session.run(None, {"X": x})
    own, found = model.predict_proba(x)[:, 1], found[:, 1]
    print(f"{method}: scikit-learn {own[:4]}, ONNX {found[:4]}, off by up to {np.abs(found - own).max()}", end=", ")
    print((labels != model.predict(x)).sum(), "labels are others", end=", ")
    print(f"{len(np.unique(own.round(6)))} probabilities of 300 rows in scikit-learn, {len(np.unique(found))} in ONNX")
    if method == "sigmoid":
        assert np.abs(found - own).max() < 1e-5 and (labels == model.predict(x)).all()
inner = model.calibrated_classifiers_[0]
steps, score = inner.calibrators[0], inner.estimator.decision_function(x)
nearest = np.abs(np.clip(score, steps.X_min_, steps.X_max_)[:, None] - steps.X_thresholds_).argmin(axis=1)
assert np.abs(np.interp(score, steps.X_thresholds_, steps.y_thresholds_) - own).max() < 1e-6
assert np.abs(steps.y_thresholds_[nearest] - found).max() < 1e-6
assert np.abs(found - own).max() > 0.15 and len(np.unique(found)) * 3 < len(np.unique(own.round(6)))
END
