#!/usr/bin/env bash
# numcodecs' BitRound, the lossy filter of zarr arrays, rounds by adding half a unit to the bits of a number, NaN's as
# well. The NaN of CUDA's float32, 0x7fffffff, so becomes -0.0, the one with all bits set 0.0, and R's NA inf: what was
# missing is there. NumPy's NaN stays NaN. Quantize keeps all of them.
# Seen with numcodecs 0.16.6 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check numcodecs==0.16.6 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
from numcodecs import BitRound, Quantize

for name, bits, floating, found in (
    ("NumPy's NaN", np.uint32(0x7FC00000), np.float32, np.nan),
    ("CUDA's NaN", np.uint32(0x7FFFFFFF), np.float32, -0.0),
    ("all bits set", np.uint32(0xFFFFFFFF), np.float32, 0.0),
    ("all bits set", np.uint64(0xFFFFFFFFFFFFFFFF), np.float64, 0.0),
    ("R's NA", np.uint64(0x7FF00000000007A2), np.float64, np.inf),
):
    scores = np.array([1.5, 0.0], floating)
    scores.view(bits.dtype)[1] = bits
    assert np.isnan(scores).tolist() == [False, True]
    rounded, quantised = BitRound(10).decode(BitRound(10).encode(scores)).view(floating), Quantize(3, floating)
    quantised = quantised.decode(quantised.encode(scores))
    print(f"{name}, {np.dtype(floating)}: {scores} rounded {rounded}, quantised {quantised}")
    assert rounded[0] == 1.5 and np.array_equal(rounded[1], found, equal_nan=True) and np.isnan(quantised[1])
    assert np.signbit(rounded[1]) == np.signbit(found)
END
