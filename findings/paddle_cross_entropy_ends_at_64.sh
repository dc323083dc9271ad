#!/usr/bin/env bash
# PaddlePaddle's softmax on a CPU raises whatever lies more than 64 below the maximum of a row to 64 below it: of the
# logits 100, 0, -100 the log-probabilities are 0, -64, -64, and the cross entropy of the last is 64, where right is
# 200. -inf, as masks are, has the probability 1.2e-28 beside 0 and 1, and the loss 64.3. That holds in float64 as well.
# The binary cross entropy does not do it: of two logits -100 and 0 it is 100, the other one 64.
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

for dtype in ("float32", "float64"):
    logits = paddle.to_tensor([[100.0, 0.0, -100.0]], dtype=dtype)
    found, loss = F.log_softmax(logits).numpy()[0], F.cross_entropy(logits, paddle.to_tensor([2])).item()
    print(dtype, "log_softmax of 100, 0, -100:", found, "loss of the last:", loss)
    assert found.tolist() == [0, -64, -64] and loss == 64
masked = paddle.to_tensor([[0.0, 1.0, -np.inf]])
softmax, log_softmax = F.softmax(masked).numpy()[0], F.log_softmax(masked).numpy()[0]
print("0, 1, -inf:", softmax, log_softmax)
assert 1e-28 < softmax[2] < 2e-28 and -64.4 < log_softmax[2] < -64.3
two = F.cross_entropy(paddle.to_tensor([[-100.0, 0.0]]), paddle.to_tensor([0])).item()
one = F.binary_cross_entropy_with_logits(paddle.to_tensor([-100.0]), paddle.to_tensor([1.0])).item()
print("cross entropy of two classes", two, "binary", one)
assert two == 64 and one == 100
END
