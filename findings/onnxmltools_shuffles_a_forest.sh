#!/usr/bin/env bash
# onnxmltools takes the trees of an XGBoost model of several classes to go round the classes one by one; a random
# forest, or num_parallel_tree, has them in runs. So trees vote for other classes than their own, without an error: a
# forest that is right in 99 % of its rows is right in 60 % as ONNX, boosting with three trees a class and round in
# 35 %, as by guessing. Two classes are right. A regressor of several targets or quantiles fills in the first only, and
# the others are 0, and one with reg:logistic gives no probabilities.
# Seen with onnxmltools 1.16.0, XGBoost 3.2.0 and onnxruntime 1.32.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 \
    onnxruntime==1.32.0 xgboost-cpu==3.2.0 scikit-learn==1.9.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import onnxruntime
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

onnxruntime.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.standard_normal((600, 4)).astype(np.float32)
three = np.digitize(x[:, 0], [-0.5, 0.5])
common = {"max_depth": 3, "random_state": 0, "n_jobs": 1}


def converted(model):
    graph = convert_xgboost(model, initial_types=[("x", FloatTensorType([None, 4]))], target_opset=15)
    return onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"x": x})


for kind, parameters, label, right in (
    (XGBClassifier, {"n_estimators": 5}, three, True),
    (XGBRFClassifier, {"n_estimators": 9}, (three > 0).astype(int), True),
    (XGBRFClassifier, {"n_estimators": 9}, three, False),
    (XGBClassifier, {"n_estimators": 5, "num_parallel_tree": 3, "subsample": 0.5}, three, False),
):
    model = kind(**parameters, **common).fit(x, label)
    labels, probabilities = converted(model)
    off = np.abs(probabilities - model.predict_proba(x)).max()
    hits = (model.predict(x) == label).mean(), (labels == label).mean()
    print(f"{kind.__name__} {parameters}, {label.max() + 1} classes: right {hits[0]:.3f}, ONNX {hits[1]:.3f}, {off=}")
    assert hits[0] > 0.98 and (off < 1e-5 and hits[0] == hits[1] if right else off > 0.4 and hits[1] < 0.65)
several = XGBRegressor(n_estimators=20, **common).fit(x, x[:, :2])
quantiles = XGBRegressor(n_estimators=20, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9], **common)
for model in (several, quantiles.fit(x, x[:, 0])):
    found = converted(model)[0]
    print(model.get_params()["objective"], "XGBoost", model.predict(x)[0], "ONNX", found[0])
    assert found.shape == model.predict(x).shape and found[:, 0].any() and not found[:, 1:].any()
share = XGBRegressor(n_estimators=20, objective="reg:logistic", **common).fit(x, 1 / (1 + np.exp(-3 * x[:, 0])))
found = converted(share)[0]
print("reg:logistic: XGBoost", share.predict(x)[:4], "ONNX", found[:4, 0])
assert 0 < share.predict(x).min() and share.predict(x).max() < 1 and found.min() < -1 and found.max() > 1
END
