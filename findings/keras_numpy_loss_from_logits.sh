#!/usr/bin/env bash
# Keras with its NumPy backend: binary_crossentropy(from_logits=True) takes the sigmoid first and clips it to [1e-7, 1
# - 1e-7], which from_logits is there to avoid: the loss of a logit of -200 for a target of 1 is 16.1, and flat from 16
# on. Right is 200.
# Seen with Keras 3.15.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 scipy==1.17.1 jax==0.10.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

target = np.array([1.0], np.float32)
losses = [
    float(keras.ops.binary_crossentropy(target, np.array([logit], np.float32), from_logits=True)[0])
    for logit in (-10, -20, -200)
]
print("loss of the logits -10, -20, -200:", losses, "right: about 10, 20, 200")
assert abs(losses[0] - 10) < 0.001 and losses[1] == losses[2] < 17
END
