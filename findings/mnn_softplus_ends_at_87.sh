#!/usr/bin/env bash
# MNN's exp is kept within about 1.6e-38 and 6.1e37, and what is built on it as well: exp(88) is 6.1e37 where right is
# 1.7e38, softplus of 1000 is 87, and sigmoid of -1000 1.6e-38. NaN comes out as a number: 1 from sigmoid and tanh, -1
# from elu, 6 from relu6, 0 from softplus. And erfinv(-1), where right is -inf, is +3.4e38.
# Seen with MNN 3.6.1 on x86-64 with AVX2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check MNN==3.6.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import MNN.expr
import numpy as np


def run(name, number, *more):
    x = MNN.expr.const([number] * 16, [16], MNN.expr.NCHW)
    y = np.array(getattr(MNN.expr, name)(x, *more).read())[0]
    print(f"{name} of {number}: {y:.6g}")
    return y


assert [run("softplus", x) for x in (50.0, 80.0, 89.0, 1000.0, np.nan)] == [50, 80, 87, 87, 0]
assert run("exp", 87.0) == run("exp", 88.0) == run("exp", np.inf) < 6.1e37
assert min(run("exp", -np.inf), run("sigmoid", -1000.0)) > 1.6e-38
assert run("sigmoid", np.nan) == run("tanh", np.nan) == 1
assert run("elu", np.nan, 1.0) == -1 and run("relu6", np.nan, 0.0, 6.0) == 6
assert run("erfinv", -1.0) > 3.4e38
END
