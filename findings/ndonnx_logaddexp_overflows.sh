#!/usr/bin/env bash
# ndonnx, arrays of the array API standard whose operations become an ONNX model, takes the logarithm of the sum of the
# exponentials for logaddexp, which is there to avoid that: of 1000 and 1000 it is inf, of -1000 and -1000 -inf, in
# float32 from 89 on, and close to 0 it has lost its digits. NumPy's, JAX's and Dask's do better.
# Seen with ndonnx 0.23.0, onnxruntime 1.32.0 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ndonnx==0.23.0 onnx==1.23.2 \
    onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import ndonnx
import numpy as np

for dtype, ends in ((np.float64, (1.0, 700.0, 1000.0, -1000.0)), (np.float32, (1.0, 80.0, 90.0, -110.0))):
    values = np.array(ends, dtype)
    found = ndonnx.logaddexp(ndonnx.asarray(values), ndonnx.asarray(values)).unwrap_numpy()
    print(np.dtype(dtype), values, "ndonnx", found, "NumPy", np.logaddexp(values, values))
    assert np.abs(found[:2] - np.logaddexp(values, values)[:2]).max() < 1e-4 and found[2:].tolist() == [np.inf, -np.inf]
small = ndonnx.logaddexp(ndonnx.asarray(np.array([0.0])), ndonnx.asarray(np.array([-40.0]))).unwrap_numpy()[0]
print("of 0 and -40: ndonnx", small, "NumPy", np.logaddexp(0, -40))
assert small == 0 < np.logaddexp(0, -40) < 1e-17
END
