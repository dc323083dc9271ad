#!/usr/bin/env bash
# MLX's softmax of float16 and bfloat16 on a CPU adds up in the same type, in which a sum of ones stands still at 2,048
# and 256: the probabilities of 32,000 equal logits add up to 15.6 and 125, and those of random logits of deviation 2,
# quite ordinary ones, to 1.45 and 2.59. With precise=True they add up to 1. Its cross entropy is right, and so does not
# fit its softmax.
# Seen with mlx 0.32.4 on x86-64; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check mlx==0.32.4 mlx-cpu==0.32.4 numpy==2.4.6
"$folder/bin/python" - <<'END'
import mlx.core as mx
import numpy as np
from mlx.nn.losses import cross_entropy

mx.set_default_device(mx.cpu)
random = (2 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)


def total(logits, **more):
    return mx.softmax(logits, **more).astype(mx.float32).sum().item()


for dtype, equal, ordinary in ((mx.float16, 15.6, 1.4), (mx.bfloat16, 125, 2.5), (mx.float32, 1, 1)):
    zeros, drawn = mx.zeros(32_000, dtype), mx.array(random).astype(dtype)
    print(dtype, "equal", total(zeros), "random", total(drawn), "precise", total(drawn, precise=True))
    assert abs(total(zeros) / equal - 1) < 0.01 and abs(total(zeros, precise=True) - 1) < 0.01
    assert ordinary - 0.01 < total(drawn) < ordinary + 0.1
    assert abs(cross_entropy(zeros[None], mx.array([0])).item() - np.log(32_000)) < 0.05
END
