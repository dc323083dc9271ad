#!/usr/bin/env bash
# statsmodels' three models of choice have three log-likelihoods for margins far out. Logit's is -inf from -710 on.
# Probit's stays at -36.04 from -8.13 on, where right is -44 at -9 and -804.6 at -40, and its gradient drops from 8 to
# 0.005 between -8 and -9: the worst predictions have no say. MNLogit's is NaN if all is predicted right, as soon as
# the probability of a class that was not chosen underflows: 0 times its logarithm is added.
# Seen with statsmodels 0.15.0 and SciPy 1.17.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import numpy as np
from statsmodels.discrete.discrete_model import Logit, MNLogit, Probit

warnings.simplefilter("ignore")
one = np.ones((1, 1))
for model in (Logit([1.0], one), Probit([1.0], one)):
    for margin in (-8, -9, -40, -800):
        found = model.loglike(np.array([margin])), model.score(np.array([margin]))[0]
        print(f"{type(model).__name__} at {margin}: {found[0]:.4f}, gradient {found[1]:.4f}")
assert Logit([1.0], one).loglike(np.array([-800.0])) == -np.inf
assert Probit([1.0], one).loglike(np.array([-9.0])) == Probit([1.0], one).loglike(np.array([-800.0])) > -36.1
assert Probit([1.0], one).score(np.array([-8.0])) > 8 > 0.01 > Probit([1.0], one).score(np.array([-9.0]))
sure = np.array([[-800.0, -800.0], [400.0, 0.0], [0.0, 400.0]])
print("MNLogit, all right and sure:", MNLogit([0, 1, 2], np.eye(3)).loglike(sure), "right is -0.0")
assert np.isnan(MNLogit([0, 1, 2], np.eye(3)).loglike(sure))
END
