#!/usr/bin/env bash
# A CatBoost model saved as Python code sends every missing value to the left, as every comparison with NaN is false.
# That is right for nan_mode="Min", the default, and wrong for "Max": there predictions of rows with a missing value
# are those of the lowest value in place of the highest: a margin of 4 is -3.8. Nothing warns; as ONNX it is right.
# Seen with CatBoost 1.2.10 and onnxruntime 1.32.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check catboost==1.2.10 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import os
import runpy
import tempfile

import numpy as np
import onnxruntime
from catboost import CatBoostClassifier

rng = np.random.default_rng(0)
x = rng.standard_normal((500, 2)).astype(np.float32)
label = (x[:, 0] + 0.3 * rng.standard_normal(500) > 0).astype(int)
x[::5, 0] = np.nan
label[::5] = 1
missing = np.isnan(x[:, 0])
for mode in ("Min", "Max"):
    model = CatBoostClassifier(iterations=20, nan_mode=mode, verbose=0, allow_writing_files=False, thread_count=1)
    margins = model.fit(x, label).predict(x, prediction_type="RawFormulaVal")
    with tempfile.TemporaryDirectory() as folder:
        model.save_model(os.path.join(folder, "model.py"), format="python")
        score = runpy.run_path(os.path.join(folder, "model.py"))["apply_catboost_model"]
        model.save_model(os.path.join(folder, "model.onnx"), format="onnx")
        rows = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx")).run(None, {"features": x})[-1]
    found = np.array([score(row.tolist()) for row in x])
    off = np.abs(found - margins)
    print(f"nan_mode {mode}: missing: CatBoost {margins[missing][:3]}, as Python {found[missing][:3]}", end=", ")
    print("others off by", off[~missing].max())
    assert np.abs([row[1] for row in rows] - 1 / (1 + np.exp(-margins))).max() < 1e-5 and off[~missing].max() < 1e-9
    assert (off[missing].max() < 1e-9) == (mode == "Min")
assert ((margins > 0) & (found < 0))[missing].mean() > 0.9
END
