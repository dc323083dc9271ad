#!/usr/bin/env bash
# scikit-learn's log_loss raises every probability to the epsilon of its dtype, which is 0.00098 in float16 although
# that has numbers down to 6e-8: no loss exceeds 6.93 there. Of 5,000 equal classes it is 6.93 where right is 8.52, as
# if there were 1,024, and a model that gives the true class 0.0005 is as good as one that gives it 0.000001.
# Seen with scikit-learn 1.9.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
"$folder/bin/python" -W error - <<'END'
import numpy as np
from sklearn.metrics import log_loss

for dtype in (np.float16, np.float32):
    equal = np.full((5000, 5000), 1 / 5000, dtype)
    found = log_loss(np.arange(5000), equal)
    unsure, surer = (log_loss([1], np.array([[1 - p, p]], dtype), labels=[0, 1]) for p in (5e-4, 1e-6))
    print(f"{dtype.__name__}: 5,000 equal classes {found:.3f}, 0.0005 {unsure:.3f}, 0.000001 {surer:.3f}")
    if dtype is np.float16:
        assert 6.9 < found < 6.95 and unsure == surer == 6.9296875
    else:
        assert abs(found - np.log(5000)) < 1e-4 and surer - unsure > 6
END
