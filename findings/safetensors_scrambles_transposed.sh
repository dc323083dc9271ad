#!/usr/bin/env bash
# safetensors.numpy saves a transposed array, and any other that is not contiguous in C's order, with its shape and the
# bytes of the memory it is a view of: what comes back has the right shape and dtype and other numbers, without a word.
# So a kernel that is transposed on its way from one library's layout to another's is another kernel.
# safetensors 0.7.0 saves the numbers.
# Seen with safetensors 0.8.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
from safetensors.numpy import load, save

kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
for name, array in (("plain", kernel), ("transposed", kernel.T), ("Fortran's order", np.asfortranarray(kernel))):
    back = load(save({"kernel": array}))["kernel"]
    print(f"{name}: saved {array.tolist()}, loaded {back.tolist()}")
    assert back.shape == array.shape and back.dtype == array.dtype
    assert (back == array).all() == (name == "plain")
END
