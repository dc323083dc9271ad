#!/usr/bin/env bash
# The probabilities of an XGBoost model are not the sigmoid of its margins where these are under -88: there they are
# all 3.0e-39 in place of falling to 1e-45. So a log-loss or an odds ratio from predict() differs from one from
# predict(output_margin=True), and rows below that tie.
# Seen with XGBoost 3.2.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import xgboost

x = np.array([[0.0], [1.0]] * 50)
model = xgboost.train({"base_score": 0.5, "objective": "binary:logistic"}, xgboost.DMatrix(x, [0, 1] * 50), 1)
rows = xgboost.DMatrix(np.zeros((4, 1)), base_margin=np.array([-80, -90, -95, -100], np.float32))
margins, probabilities = model.predict(rows, output_margin=True), model.predict(rows)
for margin, probability in zip(margins.astype(float), probabilities):
    print(f"margin {margin:.3f}: {probability:.3g}, its sigmoid {1 / (1 + np.exp(-margin)):.3g}")
assert probabilities[1] == probabilities[2] == probabilities[3] > 3e-39
assert margins[1] > margins[2] > margins[3]
END
