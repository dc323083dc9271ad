#!/usr/bin/env bash
# np.logaddexp.reduce of float32 stops growing at 14.556, whatever else is added: from about two million equal terms
# on, what one term adds is less than half a unit of the sum. Of ten million zeros it makes 14.556; right is 16.118, so
# the sum behind it is a fifth of what it should be. No pairwise summation is behind this reduce.
# Seen with NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np

for n in (1_000_000, 3_000_000, 10_000_000):
    print(n, "zeros:", np.logaddexp.reduce(np.zeros(n, np.float32)), "right:", np.log(n))
stalled = np.logaddexp.reduce(np.zeros(3_000_000, np.float32))
assert stalled == np.logaddexp.reduce(np.zeros(10_000_000, np.float32)), "it grows again"
assert np.exp(np.log(1e7) - float(stalled)) > 4.5
END
