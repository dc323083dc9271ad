#!/usr/bin/env bash
# CatBoost's own export to ONNX knows one end for every classifier of several classes, softmax. MultiClassOneVsAll,
# whose probabilities are sigmoids, one for each class, becomes another model without an error: 0.36, 0.56 and 0.37 are
# 0.23, 0.52 and 0.24 as ONNX, which add up to 1. And a regressor for counts, Poisson or Tweedie, which predicts
# exponentials, is exported without its exp. Both come back right as cbm.
# Seen with CatBoost 1.2.10 and onnxruntime 1.32.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check catboost==1.2.10 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import os
import tempfile

import numpy as np
import onnxruntime
from catboost import CatBoostClassifier, CatBoostRegressor

onnxruntime.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.standard_normal((500, 4)).astype(np.float32)
three = np.digitize(x[:, 0] + 0.5 * rng.standard_normal(500), [-0.5, 0.5])
counts = rng.poisson(np.exp(x[:, 0] + 1))
common = {"iterations": 20, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


def exported(model):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        model.save_model(path, format="onnx")
        found = onnxruntime.InferenceSession(path).run(None, {"features": x})[-1]
        model.save_model(os.path.join(folder, "model.cbm"))
        again = type(model)().load_model(os.path.join(folder, "model.cbm"))
    assert (again.predict(x) == model.predict(x)).all()
    return np.array([list(row.values()) for row in found] if isinstance(found, list) else found).astype(float)


for loss in ("MultiClass", "MultiClassOneVsAll"):
    model = CatBoostClassifier(loss_function=loss, **common).fit(x, three)
    own, found, margins = model.predict_proba(x), exported(model), model.predict(x, prediction_type="RawFormulaVal")
    print(loss, "CatBoost", own[0], "sum", own[0].sum(), "ONNX", found[0], "sum", found[0].sum())
    softmax = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    assert np.abs(found - softmax).max() < 1e-5 and (np.abs(found - own).max() < 1e-5) == (loss == "MultiClass")
assert np.abs(found - own).max() > 0.1 and np.abs(own.sum(axis=1) - 1).max() > 0.1
for loss in ("Poisson", "Tweedie:variance_power=1.5"):
    model = CatBoostRegressor(loss_function=loss, **common).fit(x, counts)
    own, found = model.predict(x), exported(model).ravel()
    print(loss, "CatBoost", own[:3], "ONNX", found[:3], "their exponentials", np.exp(found[:3]))
    assert np.abs(np.exp(found) - own).max() < 1e-4 and np.abs(found - own).max() > 1
END
