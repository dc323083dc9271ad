#!/usr/bin/env bash
# skl2onnx converts a LinearDiscriminantAnalysis of two classes to the softmax of -d and d, where d is the decision, of
# which scikit-learn takes the sigmoid: that is the sigmoid of 2 d. Labels agree, the probability 0.73 becomes 0.88,
# and whatever was calibrated is overconfident. LogisticRegression and three classes are right.
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
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from skl2onnx import to_onnx

rng = np.random.default_rng(0)
x = rng.standard_normal((600, 4)).astype(np.float32)
noisy = x[:, 0] + 0.7 * rng.standard_normal(600)
two, three = (noisy > 0).astype(int), np.digitize(noisy, [-0.5, 0.5])


def both(model):
    session = onnxruntime.InferenceSession(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
    labels, found = session.run(None, {"X": x})
    assert (labels == model.predict(x)).all()
    own = model.predict_proba(x)
    print(f"{model}, {own.shape[1]} classes: scikit-learn {own[0]}, ONNX {found[0]}, off by", np.abs(found - own).max())
    return own, found


for model, label in ((LogisticRegression(), two), (LinearDiscriminantAnalysis(), three)):
    own, found = both(model.fit(x, label))
    assert np.abs(found - own).max() < 1e-5
model = LinearDiscriminantAnalysis().fit(x, two)
own, found = both(model)
decision = model.decision_function(x)
assert np.abs(1 / (1 + np.exp(-decision)) - own[:, 1]).max() < 1e-5 and np.abs(found - own).max() > 0.1
assert np.abs(1 / (1 + np.exp(-2 * decision)) - found[:, 1]).max() < 1e-5
END
