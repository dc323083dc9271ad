#!/usr/bin/env bash
# scikit-learn's TunedThresholdClassifierCV finds the threshold at which a classifier should say yes; skl2onnx converts
# it to the classifier within and drops the threshold, which is all it is for. Probabilities agree; at the threshold
# 0.22 it says yes to 152 rows of 2,000, and as ONNX to 49. FixedThresholdClassifier raises an error.
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
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from skl2onnx import to_onnx

rng = np.random.default_rng(0)
x = rng.standard_normal((2000, 4)).astype(np.float32)
rare = (x[:, 0] + rng.standard_normal(2000) > 2.2).astype(int)
model = TunedThresholdClassifierCV(LogisticRegression(), scoring="f1").fit(x, rare)
session = onnxruntime.InferenceSession(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
labels, probabilities = session.run(None, {"X": x})
own = model.predict(x)
print("threshold", model.best_threshold_, "true", rare.sum(), "scikit-learn", own.sum(), "ONNX", labels.sum())
print("F1", f1_score(rare, own), f1_score(rare, labels))
assert 0.1 < model.best_threshold_ < 0.45 and np.abs(probabilities - model.predict_proba(x)).max() < 1e-5
assert (labels == (probabilities[:, 1] > 0.5)).all() and (own == (probabilities[:, 1] >= model.best_threshold_)).all()
assert labels.sum() < 0.7 * own.sum() and f1_score(rare, labels) < f1_score(rare, own) - 0.05
try:
    to_onnx(FixedThresholdClassifier(LogisticRegression(), threshold=0.2).fit(x, rare), x[:1])
except Exception as error:
    print("FixedThresholdClassifier:", type(error).__name__)
else:
    raise AssertionError("FixedThresholdClassifier is converted")
END
