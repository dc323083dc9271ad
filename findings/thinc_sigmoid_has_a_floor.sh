#!/usr/bin/env bash
# thinc, under spaCy, clips what goes into its sigmoid to [-20, 20]: no probability is under 2.06e-9, whatever the
# logit, and its swish of -1000 is -2.06e-6, growing with |x|, where right is -0.
# Seen with thinc 9.1.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check thinc==9.1.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
from thinc.api import NumpyOps

ops = NumpyOps(use_blis=False)
x = np.array([[-1000.0, -100.0, -20.0, 0.0]], np.float32)
print("sigmoid", ops.sigmoid(x.copy()), "swish", ops.swish(x.copy()))
floor, _, at_20, half = ops.sigmoid(x.copy())[0]
assert floor == at_20 and 2.0e-9 < floor < 2.1e-9 and half == 0.5
assert -2.1e-6 < ops.swish(x.copy())[0, 0] < -2.0e-6
END
