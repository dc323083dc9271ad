#!/usr/bin/env bash
# NumPy's functions that take care of NaN do not in ml_dtypes' bfloat16 and float8, as these are no subtypes of
# NumPy's floating: nan_to_num returns its argument with NaN and infinities as they are, nansum, nanmean and nanstd are
# NaN, and nancumsum is from there on. nanmax is right, and so is isnan. Nothing warns. JAX's of these names work.
# Seen with NumPy 2.4.6 and ml_dtypes 0.6.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.6.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import ml_dtypes
import numpy as np

warnings.simplefilter("error")
for dtype in (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2):
    scores = np.array([1, np.nan, 3], np.float32).astype(dtype)
    ends = np.array([np.nan, np.inf, -np.inf], np.float32).astype(dtype)
    found = [float(function(scores)) for function in (np.nansum, np.nanmean, np.nanstd, np.nanmax)]
    cleaned, filled = np.nan_to_num(ends), np.nan_to_num(ends, nan=0.0, posinf=9.0, neginf=-9.0)
    print(np.dtype(dtype), "nansum, nanmean, nanstd, nanmax", found, "nan_to_num", cleaned, filled)
    print("nancumsum", np.nancumsum(scores), "isnan", np.isnan(scores))
    assert np.isnan(scores).tolist() == [False, True, False] and found[3] == 3
    if dtype is np.float16:
        assert found[:3] == [4, 2, 1] and filled.tolist() == [0, 9, -9] and np.isfinite(cleaned).all()
    else:
        assert np.isnan(found[:3]).all() and not np.isfinite(cleaned.astype(float)).any()
        assert not np.isfinite(filled.astype(float)).any() and np.isnan(np.nancumsum(scores)[-1])
END
