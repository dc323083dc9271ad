#!/usr/bin/env bash
# The gradient of elu and selu in MLX is NaN from 88.7 on, where right is 1 (times a constant): the exponential of the
# branch that is not taken overflows, and inf times 0 is NaN. Their values are right there, and so are value and
# gradient of its celu, the same function, which takes the exponential of the negative numbers only.
# Seen with mlx 0.32.4; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check mlx==0.32.4 mlx-cpu==0.32.4
"$folder/bin/python" - <<'END'
import math

import mlx.core as mx
from mlx import nn

mx.set_default_device(mx.cpu)
for name, factor in (("elu", 1), ("selu", 1.0507), ("celu", 1)):
    for number in (88.0, 89.0, 1000.0):
        x, function = mx.array(number), getattr(nn, name)
        value, gradient = function(x).item(), mx.grad(function)(x).item()
        print(f"{name} of {number}: {value}, gradient {gradient}")
        assert abs(value / number - factor) < 1e-4
        assert math.isnan(gradient) if number > 88 and name != "celu" else abs(gradient - factor) < 1e-4
END
