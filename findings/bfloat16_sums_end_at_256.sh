#!/usr/bin/env bash
# NumPy adds up an array of ml_dtypes' bfloat16 one after the other in bfloat16, whose next number after 256 is 258: a
# thousand ones make 256, their mean is 0.256, and scipy.special.softmax of a thousand equal bfloat16 logits gives
# 1/256 for each, probabilities that add up to 3.9. float16, of the same size, is added up in float32.
# Seen with NumPy 2.4.6, ml_dtypes 0.6.0, SciPy 1.17.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 ml_dtypes==0.6.0 scipy==1.17.1
"$folder/bin/python" - <<'END'
import ml_dtypes
import numpy as np
import scipy.special

ones = np.ones(1000, ml_dtypes.bfloat16)
probabilities = scipy.special.softmax(np.zeros(1000, ml_dtypes.bfloat16))
print("sum", ones.sum(), "mean", ones.mean(), "float16's sum", ones.astype(np.float16).sum())
print("softmax", probabilities[0], "adds up to", probabilities.astype(float).sum())
assert ones.sum() == 256 and ones.astype(np.float16).sum() == 1000
assert probabilities.astype(float).sum() == 1000 / 256
END
