#!/usr/bin/env bash
# awkward's own softmax does not subtract the maximum: of logits over 709 it makes NaN, although it exists for arrays
# of scores of any size.
# Seen with awkward 2.14.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check awkward==2.14.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import awkward as ak
import numpy as np

warnings.simplefilter("ignore")
for top in (700.0, 710.0, 1000.0):
    print(top, ak.softmax(ak.Array([[top, top]]), axis=-1).to_list())
assert np.isnan(ak.softmax(ak.Array([[710.0, 710.0]]), axis=-1).to_numpy()).all()
END
