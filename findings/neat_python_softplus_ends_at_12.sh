#!/usr/bin/env bash
# The activation functions of neat-python have the usual names and other scales: sigmoid is the sigmoid of 5 x, tanh
# that of 2.5 x, sin that of 5 x, and softplus, log(1 + exp(5 x)) / 5, clips 5 x at 60: it never exceeds 12, and
# softplus(100) is 12. Weights taken from or to another library make another network.
# Seen with neat-python 2.0.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check neat-python==2.0.0
"$folder/bin/python" - <<'END'
import math

from neat.activations import ActivationFunctionSet

usual = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "sin": math.sin,
    "softplus": lambda x: math.log1p(math.exp(x)),
}
for name, function in usual.items():
    found = ActivationFunctionSet().get(name)
    print(f"{name}: at 1 {found(1.0):.4f}, usual {function(1.0):.4f}; at 100 {found(100.0):.4f}, {function(100.0):.4f}")
    assert abs(found(1.0) - function(1.0)) > 0.2, name
softplus = ActivationFunctionSet().get("softplus")
assert softplus(12.0) == softplus(1000.0) and abs(softplus(12.0) - 12) < 1e-9
END
