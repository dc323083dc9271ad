#!/usr/bin/env bash
# SciPy's softmax and log_softmax subtract the maximum in the dtype of the logits, in which it wraps around: of any
# unsigned integers that are not all the same, as quantised logits are, softmax is 0 at the largest and NaN at the
# others, and log_softmax -inf throughout. Of int8 that holds for logits more than 128 apart, and the result is
# float16. logsumexp of the same integers is right. There are RuntimeWarnings of an overflow, and no error.
# Seen with SciPy 1.17.1 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax

warnings.simplefilter("ignore")
for dtype in (np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.float32):
    logits = np.array([3, 2, 1], dtype)
    found, logarithms = softmax(logits), log_softmax(logits)
    print(logits.dtype, found, logarithms, logsumexp(logits))
    assert abs(logsumexp(logits) - 3.4076) < 1e-4
    if np.dtype(dtype).kind == "u":
        assert found[0] == 0 and np.isnan(found[1:]).all() and (logarithms == -np.inf).all()
    else:
        assert np.abs(found - [0.6652, 0.2447, 0.09]).max() < 1e-3
far = np.array([70, -70, 0], np.int8)
print(far, softmax(far), log_softmax(far), logsumexp(far))
assert softmax(far)[0] == 0 and np.isnan(softmax(far)[1])
assert (log_softmax(far) == -np.inf).all() and logsumexp(far) == 70
assert softmax(np.array([3, 2], np.int8)).dtype == np.float16
END
