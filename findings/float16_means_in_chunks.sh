#!/usr/bin/env bash
# NumPy adds up float16 in float32 for a mean, and rounds the mean. Dask's mean rounds the sum and the count to float16
# before it divides them, and so it is inf if the sum rounds to more than 65,504, and NaN if the count does, too;
# xarray's is inf, but right with skipna=False. NumPy's std does not do what its mean does either: of 100,000
# normal numbers it is inf, and their norm is, too.
# Seen with Dask 2026.8.0, xarray 2026.9.0 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check "dask[array]==2026.8.0" xarray==2026.9.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import dask.array
import numpy as np
import xarray

warnings.simplefilter("ignore")
for count, value in ((1000, 1), (3000, 30), (100_000, 1)):
    scores = np.full(count, value, np.float16)
    lazy, labelled = dask.array.from_array(scores, chunks=1000).mean().compute(), xarray.DataArray(scores)
    found = scores.mean(), lazy, labelled.mean().item(), labelled.mean(skipna=False).item()
    print(f"{count} times {value}: NumPy, Dask, xarray, xarray with skipna=False:", *found)
    assert found[0] == found[3] == value
    if count == 1000:
        assert found[1] == found[2] == value
    else:
        assert found[2] == np.inf and (np.isnan(found[1]) if count > 65_504 else found[1] == np.inf)
normal = np.random.default_rng(0).standard_normal(100_000).astype(np.float16)
print("normal numbers: NumPy's mean", normal.mean(), "std", normal.std(), "norm", np.linalg.norm(normal))
assert abs(normal.mean()) < 0.01 and normal.std() == normal.var() == np.linalg.norm(normal) == np.inf
END
