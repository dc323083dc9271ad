#!/usr/bin/env bash
# The gradient of PaddlePaddle's silu on a CPU is -inf from -87 on and NaN from -88.8 on, where right is 0 but for
# 1e-35, and that of its celu NaN from 88.8 on, where right is 1: an exp overflows. The functions' values are right
# there, and so are the gradients of elu, mish, gelu and softplus. In float64 it begins at -710 and 710.
# Seen with paddlepaddle 3.3.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check paddlepaddle==3.3.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import paddle
import paddle.nn.functional as F


def run(name, number, dtype="float32"):
    x = paddle.to_tensor([number] * 4, dtype=dtype, stop_gradient=False)
    y = getattr(F, name)(x)
    y.sum().backward()
    found = y.numpy()[0], x.grad.numpy()[0]
    print(f"{name} of {number}, {dtype}: {found[0]:.4g}, gradient {found[1]:.4g}")
    return found


for number, gradient in ((-80.0, 0), (-87.0, -np.inf), (-89.0, np.nan), (-1000.0, np.nan)):
    found = run("silu", number)
    assert abs(found[0]) < 1e-32 and np.allclose(found[1], gradient, equal_nan=True)
for name in ("celu", "elu"):
    found = run(name, 100.0)
    assert found[0] == 100 and (np.isnan(found[1]) if name == "celu" else found[1] == 1)
assert np.isnan(run("silu", -710.0, "float64")[1]) and np.isnan(run("celu", 710.0, "float64")[1])
END
