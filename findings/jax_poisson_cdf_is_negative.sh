#!/usr/bin/env bash
# JAX's incomplete gamma and beta functions take the difference of large logarithms of gamma in float32, JAX's default:
# their error grows with the counts to parts of a unit. The Poisson cdf of 100,000 at its mean is 0.543, of a million
# -0.374, a negative probability, where right are 0.501 and 0.500, and the probability itself twice what it should be.
# betainc(n, n, 0.5), which is 0.5 by symmetry, is 0.58 and 0.45. With jax_enable_x64 all are right.
# Seen with JAX 0.10.2, SciPy 1.17.1 on x86-64; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 scipy==1.17.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import jax
import numpy as np
import scipy.stats
from jax.scipy.special import betainc, gammainc, gammaincc
from jax.scipy.stats import poisson


def table():
    counts = np.array([100.0, 100_000.0, 1_000_000.0])
    right = scipy.stats.poisson(counts)
    found = [function(counts, counts) for function in (poisson.cdf, poisson.pmf, gammaincc)]
    found.append(betainc(counts, counts, 0.5))
    for name, value in zip(("cdf", "pmf", "gammaincc", "betainc"), found):
        print(name, value, end=", ")
    print("right", right.cdf(counts), right.pmf(counts))
    print("gammainc + gammaincc", gammainc(counts, counts) + gammaincc(counts, counts))
    return np.array(found[0]) - right.cdf(counts), np.array(found[1]) / right.pmf(counts), np.array(found[3]) - 0.5


cdf, pmf, half = table()
assert np.abs([cdf[0], pmf[0] - 1, half[0]]).max() < 1e-3
assert cdf[1] > 0.03 and cdf[2] < -0.51 and pmf[2] > 2 and half[1] > 0.05 and half[2] < -0.03
jax.config.update("jax_enable_x64", True)
cdf, pmf, half = table()
assert max(np.abs(cdf).max(), np.abs(pmf - 1).max(), np.abs(half).max()) < 1e-5
END
