#!/usr/bin/env bash
# Where bottleneck is installed, pandas has it compute std and var, which it adds up one number after the other in
# float32: the std of 20 million float32 numbers of deviation 1 around 20 is 1.58 with it, and 0.9999 without, in
# describe() also. Sums and means pandas adds up itself in either case.
# Seen with pandas 3.1.1, bottleneck 1.6.0 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 bottleneck==1.6.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import pandas as pd

scores = np.random.default_rng(0).standard_normal(20_000_000, np.float32) + np.float32(20)
column, right = pd.Series(scores), scores.std(dtype=np.float64)
found = column.std(), column.describe()["std"], column.mean()
with pd.option_context("compute.use_bottleneck", False):
    without = column.std(), column.describe()["std"], column.mean()
print("std, describe, mean: with bottleneck", found, "without", without, "right", right, scores.mean(dtype=np.float64))
assert np.abs(np.array(without[:2]) - right).max() < 1e-4 and abs(found[2] - scores.mean(dtype=np.float64)) < 1e-4
assert min(found[:2]) > 1.4
constant = pd.Series(np.full(20_000_000, 3, np.float32)).std()
print("of 20 million threes", constant)
assert constant > 0.3
END
