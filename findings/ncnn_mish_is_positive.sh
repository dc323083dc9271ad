#!/usr/bin/env bash
# ncnn computes four numbers at a time with functions of its own, and those left over in a row with the C library's.
# Mish of negative numbers far out, where right is nearly -0, is positive and grows: 1.1e-6 at -18, 6e-5 at -1000. TanH
# of 0 is -6e-8. NaN does not come through Sigmoid, which makes it 0, nor TanH, -1, nor a UnaryOp's exp, 0, and
# the logarithm of 0 is NaN for -inf. A NaN that is the fifth of five stays NaN.
# Seen with ncnn 1.0.20261020 on x86-64 with AVX2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ncnn==1.0.20261020 numpy==2.4.6
cd "$folder"
bin/python - <<'END'
from pathlib import Path

import ncnn
import numpy as np

Path("empty").write_bytes(b"")


def run(layer, x):
    kind, _, parameter = layer.partition(" ")
    Path("net").write_text(f"7767517\n2 2\nInput in 0 1 in\n{kind} layer 1 1 in out {parameter}\n")
    net = ncnn.Net()
    net.load_param("net")
    net.load_model("empty")
    extractor = net.create_extractor()
    extractor.input("in", ncnn.Mat(np.array(x, np.float32)).clone())
    y = np.array(extractor.extract("out")[1])
    print(layer, "of", x, "is", y)
    return y


mish = run("Mish", [-10, -18, -100, -1000])
assert mish[0] < 0 and 1.0e-6 < mish[1] < mish[2] < mish[3] and mish[3] > 5e-5
assert -7e-8 < run("TanH", [0] * 4)[0] < -5e-8
for layer, made in (("Sigmoid", 0), ("TanH", -1), ("UnaryOp 0=7", 0)):
    four, fifth = run(layer, [np.nan] * 5)[[0, 4]]
    assert abs(four - made) < 1e-6 and np.isnan(fifth)
logarithm = run("UnaryOp 0=8", [0, 1, 1, 1, 0])
assert np.isnan(logarithm[0]) and logarithm[4] == -np.inf
END
