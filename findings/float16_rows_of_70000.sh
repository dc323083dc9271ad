#!/usr/bin/env bash
# The softmax of 70,000 equal float16 logits, a language model's vocabulary, is 0 everywhere in SciPy and in JAX, and
# their logsumexp is inf: the sum of the exponentials is 70,000, and float16 ends at 65,504. Both compute the sum in
# float32, and round it to float16 before they divide by it. Right are 1.43e-05, which float16 has, and 11.156.
# Seen with SciPy 1.17.1 and JAX 0.10.2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 jax==0.10.2
"$folder/bin/python" - <<'END'
import jax
import numpy as np
import scipy.special

logits = np.zeros(70_000, np.float16)
with np.errstate(all="ignore"):
    found = {
        "scipy": (scipy.special.softmax(logits), scipy.special.logsumexp(logits)),
        "jax": (np.asarray(jax.nn.softmax(logits)), float(jax.nn.logsumexp(logits))),
    }
for name, (probabilities, total) in found.items():
    print(name, "softmax", probabilities[:2], "logsumexp", total)
    assert not probabilities.any() and total == np.inf, name
END
