#!/usr/bin/env bash
# np.sort, argsort, partition and unique of ml_dtypes' bfloat16 and float8 numbers do not sort if one of them is NaN:
# to them nothing is less than NaN nor is NaN less than anything, so it stays where it is, and what stands on its two
# sides is not compared: of 3, NaN, 1, 2 nothing moves. The top 2 of six are not the top 2, unique returns doubles, and
# a median is a number. NumPy's own floats have NaN last, which is what NumPy's documentation says of sort.
# Seen with ml_dtypes 0.6.0 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.6.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import ml_dtypes
import numpy as np

for dtype in (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2):
    scores = np.array([3, np.nan, 1, 2], np.float32).astype(dtype)
    print(np.dtype(dtype), "sort", np.sort(scores), "argsort", np.argsort(scores), "unique of these twice", end=" ")
    print(np.unique(np.r_[scores, scores]), "nanmedian", np.nanmedian(scores))
    in_order = dtype is np.float16
    assert np.array_equal(np.sort(scores).astype(float), [1, 2, 3, np.nan] if in_order else [3, np.nan, 1, 2], True)
    assert (np.argsort(scores) == ([2, 3, 0, 1] if in_order else [0, 1, 2, 3])).all()
    assert (len(np.unique(np.r_[scores, scores])) == 4) == in_order
scores = np.array([9, 8, np.nan, 1, 2, 3], np.float32).astype(ml_dtypes.bfloat16)
for order in (np.argsort(scores), np.argpartition(scores, -2)):
    print("top 2 of", scores, "are", scores[order[-2:]])
    assert scores[order[-2:]].tolist() == [2, 3]
scores = np.array([3, np.nan, 1, 2, 5, 4], np.float32)
print("median of", scores, np.median(scores), "in bfloat16", np.median(scores.astype(ml_dtypes.bfloat16)))
assert np.isnan(np.median(scores)) and np.median(scores.astype(ml_dtypes.bfloat16)) == 1.5
END
