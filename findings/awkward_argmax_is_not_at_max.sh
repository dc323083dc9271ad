#!/usr/bin/env bash
# awkward's max along an axis passes over NaN, as nanmax does, and over all axes it does not, as NumPy's. argmax is a
# third thing: it finds NaN where that comes first, and passes over it elsewhere. So of NaN, 5 the maximum is 5 and its
# place that of NaN, and a row of NaN has the maximum -inf. np.max and np.argmax of an awkward array do the same.
# Seen with awkward 2.14.0 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check awkward==2.14.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import awkward as ak
import numpy as np

rows = ak.Array([[np.nan, 5.0], [4.0, np.nan], [1.0, np.nan, 3.0], [np.nan, np.nan]])
most, where = ak.max(rows, axis=1).to_list(), ak.argmax(rows, axis=1).to_list()
print("rows", rows.to_list(), "max", most, "argmax", where, "over all", ak.max(rows, axis=None), np.max(rows))
print("NumPy row by row", [np.max(row) for row in rows.to_list()], [int(np.argmax(row)) for row in rows.to_list()])
assert most == [5, 4, 3, -np.inf] and where == [0, 0, 2, 0] and np.isnan(ak.max(rows, axis=None))
assert ak.nanargmax(rows, axis=1).to_list()[:3] == [1, 0, 2]
assert np.max(rows, axis=1).to_list() == most and np.argmax(rows, axis=1).to_list() == where
END
