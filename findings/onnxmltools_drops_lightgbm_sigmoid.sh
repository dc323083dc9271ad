#!/usr/bin/env bash
# onnxmltools converts LightGBM models whose parameters it does not know to the models without these, in silence: the
# parameter sigmoid, which every margin is multiplied by, is dropped, and so are reg_sqrt's square and the slopes in the
# leaves of linear_tree. Probabilities are 0.15 and 0.85 off. A random forest's are divided by its number of trees after
# the sigmoid: of 100 trees none exceeds 0.01.
# Seen with onnxmltools 1.16.0, LightGBM 4.7.0 and onnxruntime 1.32.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 \
    onnxruntime==1.32.0 lightgbm==4.7.0 scikit-learn==1.9.1 pandas==3.1.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import numpy as np
import onnxruntime
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

warnings.simplefilter("ignore")
onnxruntime.set_default_logger_severity(3)
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 4)).astype(np.float32)
number = 10 * x[:, 0] + rng.standard_normal(1000)
label = (x[:, 0] + rng.standard_normal(1000) > 0).astype(int)


def both(kind, **parameters):
    model = kind(verbose=-1, n_jobs=1, random_state=0, **parameters).fit(x, label if kind is LGBMClassifier else number)
    own = model.predict_proba(x)[:, 1] if kind is LGBMClassifier else model.predict(x)
    graph = convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, 4]))], zipmap=False, target_opset=15)
    found = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"x": x})[-1][:, -1]
    print(kind.__name__, parameters, "LightGBM", own[:3], "ONNX", found[:3], "off by up to", np.abs(found - own).max())
    return own.astype(float), found.astype(float)


own, found = both(LGBMClassifier)
assert np.abs(found - own).max() < 1e-6
own, found = both(LGBMClassifier, sigmoid=2.0)
margin = np.log(found / (1 - found))
assert np.abs(found - own).max() > 0.1 and np.abs(1 / (1 + np.exp(-2 * margin)) - own).max() < 1e-5
own, found = both(LGBMRegressor, reg_sqrt=True)
assert np.abs(found - own).max() > 10 and np.abs(np.sign(found) * found**2 - own).max() < 1e-4
own, found = both(LGBMClassifier, linear_tree=True)
assert np.abs(found - own).max() > 0.3
own, found = both(LGBMClassifier, boosting_type="rf", n_estimators=100, bagging_freq=1, bagging_fraction=0.5)
assert found.max() <= 0.0100001 < 0.5 < own.max()
END
