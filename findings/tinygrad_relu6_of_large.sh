#!/usr/bin/env bash
# tinygrad's relu6 is relu(x) - relu(x - 6), and its hardsigmoid and hardswish are made alike, so that 6 is lost in the
# rounding of a large number: in float32 relu6 of 1e8 is 8, of 2e8 it is 0, and of inf NaN. hardswish of 3e7, which
# should be itself, is 4e7, and of 1e8 0.
# Seen with tinygrad 0.14.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check tinygrad==0.14.0 numpy==2.4.6
DEV=PYTHON "$folder/bin/python" - <<'END'
import numpy as np
from tinygrad import Tensor

x = np.array([1e6, 3e7, 1e8, 2e8, np.inf], np.float32)
found = {name: getattr(Tensor(x), name)().numpy() for name in ("relu6", "hardsigmoid", "hardswish")}
print("of", x, found)
assert found["relu6"][:4].tolist() == [6, 6, 8, 0] and np.isnan(found["relu6"][4])
assert found["hardsigmoid"][:4].tolist() == [1, 1, 1, 0] and np.isnan(found["hardsigmoid"][4])
assert found["hardswish"][0] == 1e6 and found["hardswish"][1] > 3.9e7 and found["hardswish"][2] == 0
END
