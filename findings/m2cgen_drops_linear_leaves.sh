#!/usr/bin/env bash
# m2cgen turns a LightGBM model with linear_tree into code without the linear functions in its leaves, in silence: what
# is left is the constant of each. A straight line, which the model has to within 2 % of its range, becomes a staircase,
# and at twice the range, where LightGBM says 198, it is 78. treelite 4.8.1 refuses it.
# Seen with m2cgen 0.10.0 and LightGBM 4.7.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check m2cgen==0.10.0 lightgbm==4.7.0 scikit-learn==1.9.1 \
    pandas==3.1.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import m2cgen
import numpy as np
from lightgbm import LGBMRegressor

x = np.linspace(-1, 1, 400)[:, None]
for linear in (False, True):
    model = LGBMRegressor(linear_tree=linear, n_estimators=50, num_leaves=4, verbose=-1, n_jobs=1).fit(x, 100 * x[:, 0])
    code = {}
    exec(m2cgen.export_to_python(model), code)
    rows = np.array([[-0.5], [0.5], [0.9], [2.0]])
    own, found = model.predict(rows), np.array([code["score"](row.tolist()) for row in rows])
    print(f"{linear=}: LightGBM {own}, m2cgen {found}")
    assert (np.abs(found - own).max() < 1e-9) != linear
assert np.abs(own - 100 * rows[:, 0]).max() < 5 and found[-1] == found[-2] and own[-1] - found[-1] > 50
END
