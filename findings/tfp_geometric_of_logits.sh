#!/usr/bin/env bash
# TensorFlow Probability's Geometric takes logits, and makes a probability of them before it takes a logarithm, in
# float32 also: with a logit of 17 or more every count but 0 has the log-probability -inf, where right is -34 for 2,
# as a Bernoulli of these logits has it. With -89 or less all counts have -inf, and the entropy is inf or NaN. In
# float64 it begins at 37 and -710.
# Seen with tensorflow-probability 0.25.0 and its NumPy substrate, NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tensorflow-probability==0.25.0 scipy==1.17.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import numpy as np
import tensorflow_probability.substrates.numpy as tfp

warnings.simplefilter("ignore")
distributions = tfp.distributions
for logit in (-89.0, -88.0, 10.0, 17.0, 40.0):
    found = distributions.Geometric(logits=np.float32(logit)).log_prob(np.array([0, 2], np.float32))
    right = -np.logaddexp(0, -logit) - 2 * np.array([0, np.logaddexp(0, logit)])
    failure = distributions.Bernoulli(logits=np.float32(logit)).log_prob(0)
    print(f"logit {logit}: log-probabilities of 0 and 2 {found}, right {right}, a Bernoulli's of 0 {failure}")
    assert abs(failure + np.logaddexp(0, logit)) < 1e-3
    if logit == -89:
        assert (found == -np.inf).all() and not np.isfinite(distributions.Geometric(logits=np.float32(logit)).entropy())
    elif logit >= 17:
        assert abs(found[0] - right[0]) < 1e-3 and found[1] == -np.inf
    else:
        assert np.abs(found - right).max() < 1e-3 * np.abs(right).max()
for logit, found in ((36.0, -72.0), (37.0, -np.inf), (-709.0, -709.0), (-710.0, -np.inf)):
    double = distributions.Geometric(logits=np.float64(logit)).log_prob(np.float64(2))
    print(f"in float64, logit {logit}: log-probability of 2 {double}")
    assert double == found or abs(double - found) < 0.1
END
