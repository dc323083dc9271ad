#!/usr/bin/env bash
# numpyro's OrderedLogistic takes the difference of two sigmoids, which far to the left of the cut points are both 1:
# with a predictor of -18 all categories but the first have the log-probability -inf and a gradient of 0, where right
# are -17.5, -18.5, -19 and 1; with +18, the mirror image, all is right, and up to 80. And a Bernoulli's entropy is NaN
# for logits of -104 or less, 0 for 104.
# Seen with numpyro 0.22.0 and JAX 0.10.2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check numpyro==0.22.0 jax==0.10.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import jax
import numpy as np
from numpyro.distributions import Bernoulli, OrderedLogistic


def log_probability(predictor, category):
    return OrderedLogistic(predictor, np.array([-1.0, 0.0, 1.0])).log_prob(category)


gradient = jax.grad(log_probability)
for predictor in (-18.0, 18.0):
    found = np.array([log_probability(predictor, category) for category in range(4)])
    slopes = np.array([gradient(predictor, category) for category in range(4)])
    print(f"predictor {predictor}: {found}, gradients {slopes}")
    if predictor < 0:
        assert (found[1:] == -np.inf).all() and (slopes == 0).all()
    else:
        assert np.abs(found[:3] + [19, 18.459, 17.459]).max() < 1e-3 and np.abs(slopes[:3] + 1).max() < 1e-3
entropies = [float(Bernoulli(logits=logits).entropy()) for logits in (-104.0, 104.0)]
print("entropy of a Bernoulli with logits -104, 104:", entropies)
assert np.isnan(entropies[0]) and entropies[1] == 0
END
