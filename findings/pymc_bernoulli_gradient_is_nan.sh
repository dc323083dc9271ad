#!/usr/bin/env bash
# PyMC's Bernoulli(logit_p=...), logistic regression, has the right log-probability for any logit, but where 0 is
# observed and the logit is over 37, a gradient of NaN for the -1 it should be, and so for the whole model: that is what
# its samplers and optimisers go by. The mirror image, 1 observed and a logit of -800, is right. Binomial(logit_p=...)
# has the log-probability -inf from 37 on, and -750 on the other side.
# Seen with PyMC 5.28.5, pytensor 2.38.3 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pymc==5.28.5 pytensor==2.38.3 numba==0.65.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import os
import sys

os.environ["PYTENSOR_FLAGS"] = f"cxx=,base_compiledir={sys.prefix}/compiled"
import logging  # noqa: E402

import numpy as np  # noqa: E402
import pymc  # noqa: E402

logging.disable(logging.CRITICAL)


def functions(kind, observed, rows=1.0, **settings):
    with pymc.Model() as model:
        kind("y", logit_p=pymc.Flat("slope") * rows, observed=np.array(observed), **settings)
    log_probability, gradient = model.compile_logp(), model.compile_dlogp()
    return lambda slope: (log_probability({"slope": slope}).item(), gradient({"slope": slope}).item())


for observed in (0, 1):
    bernoulli = functions(pymc.Bernoulli, observed)
    for logit in (-800.0, -37.5, 36.0, 37.5, 100.0):
        sign = 2 * observed - 1
        right, right_gradient = -np.logaddexp(0, -sign * logit), sign * np.exp(-np.logaddexp(0, sign * logit))
        found, gradient = bernoulli(logit)
        print(f"observed {observed}, logit {logit}: {found:.3g}, gradient {gradient:.3g}, right {right_gradient:.3g}")
        assert abs(found - right) <= 1e-12 * abs(right)
        if observed == 0 and logit > 37:
            assert np.isnan(gradient)
        else:
            assert abs(gradient - right_gradient) <= 1e-12 * abs(right_gradient)
rng = np.random.default_rng(0)
x = 30 * rng.standard_normal(100)
regression = functions(pymc.Bernoulli, (x + 10 * rng.standard_normal(100) > 0).astype(int), x)
print("a regression: slope 0.1", regression(0.1), "slope 3", regression(3.0))
assert np.isfinite(regression(0.1)).all() and np.isfinite(regression(3.0)[0]) and np.isnan(regression(3.0)[1])
binomial = functions(pymc.Binomial, 1, n=3)
for logit in (-750.0, -40.0, 36.0, 37.5, 100.0):
    found = binomial(logit)[0]
    right = np.log(3) - np.logaddexp(0, -logit) - 2 * np.logaddexp(0, logit)
    print(f"Binomial, 1 of 3, logit {logit}: {found}, right is {right}")
    assert found == -np.inf if logit > 37 or logit < -745 else abs(found - right) < 1e-9 * abs(right)
END
