#!/usr/bin/env bash
# np.exp, np.tanh and the like of a polars Series of Int8 or UInt8 fail with `could not find apply_ufunc_Float16`:
# polars takes the dtype from the names of NumPy's loops, the first of which is float16's. Int16 becomes Float32,
# Float32 through scipy.special.expit, whose loops stand in another order, Float64.
# Seen with polars 2.1.0 and SciPy 1.17.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 numpy==2.4.6 scipy==1.17.1 pyarrow==26.0.1
"$folder/bin/python" - <<'END'
import numpy as np
import polars as pl
import scipy.special

for dtype in (pl.Int8, pl.UInt8):
    try:
        print(dtype, np.exp(pl.Series([0, 1], dtype=dtype)))
        raise SystemExit("it works now")
    except NotImplementedError as error:
        print(dtype, error)
        assert "apply_ufunc_Float16" in str(error)
single = pl.Series([0.0, 1.0], dtype=pl.Float32)
print("Int16", np.exp(pl.Series([0, 1], dtype=pl.Int16)).dtype, "expit", scipy.special.expit(single).dtype)
assert np.exp(pl.Series([0, 1], dtype=pl.Int16)).dtype == pl.Float32
assert np.exp(single).dtype == pl.Float32 and scipy.special.expit(single).dtype == pl.Float64
END
