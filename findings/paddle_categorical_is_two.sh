#!/usr/bin/env bash
# PaddlePaddle's Categorical(logits) is two distributions: sample and entropy take the softmax, while probs and
# log_prob divide the logits by their sum. With logits -1, -2, -3 it draws the first class in two thirds of all cases,
# whose probability it says is 1 / 6; the last, of 1 / 2, in 9 %. The log-probability of one of the logits 1, 0, -2 is
# NaN, or inf if they add up to 0.
# Seen with paddlepaddle 3.3.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check paddlepaddle==3.3.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import paddle
from paddle.distribution import Categorical

paddle.seed(0)
classes = paddle.to_tensor([0, 1, 2])
both = Categorical(paddle.to_tensor([-1.0, -2.0, -3.0]))
drawn = np.bincount(both.sample([10_000]).numpy(), minlength=3) / 10_000
probabilities = both.probs(classes).numpy()
own = -(probabilities * np.log(probabilities)).sum()
print("drawn", drawn, "probs", probabilities, "entropy", both.entropy().item(), "of these probs", own)
assert np.abs(drawn - [0.665, 0.245, 0.09]).max() < 0.02 and np.abs(probabilities - [1 / 6, 1 / 3, 1 / 2]).max() < 1e-6
assert abs(both.entropy().item() - 0.832) < 1e-3 and abs(own - 1.011) < 1e-3
for logits in ([1.0, 0.0, -2.0], [1.0, 0.5, -1.5]):
    found = Categorical(paddle.to_tensor(logits)).log_prob(classes).numpy()
    print("log_prob of", logits, found)
    assert not np.isfinite(found).all()
END
