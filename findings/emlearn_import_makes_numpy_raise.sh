#!/usr/bin/env bash
# `import emlearn`, which turns scikit-learn's models into C, sets NumPy to raise an error at every underflow, overflow
# and NaN, in the whole process and for good. So np.exp(-1000) is a FloatingPointError from there on, and so are the
# probabilities of a scikit-learn classifier that is sure, and the fitting of a network: code that never heard of it.
# Seen with emlearn 0.23.2, scikit-learn 1.6.1 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check emlearn==0.23.2 scikit-learn==1.6.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore")
x = np.random.default_rng(0).standard_normal((300, 3))
label = np.digitize(x[:, 0], [-0.5, 0.5])
calls = {
    "np.exp(-1000)": lambda: np.exp(np.array([-1000.0])),
    "sure probabilities": lambda: model.predict_proba(1000 * x)[0],
    "fitting a network": lambda: MLPClassifier(max_iter=20, random_state=0).fit(1000 * x, label).n_iter_,
}
model = LogisticRegression().fit(x, label)
for name, call in calls.items():
    print(name, call())
before = np.geterr()
import emlearn  # noqa: E402

print("np.geterr() before", before, "after", np.geterr(), "with emlearn at", emlearn.__name__)
assert set(np.geterr().values()) == {"raise"} != set(before.values())
for name, call in calls.items():
    try:
        call()
    except FloatingPointError as error:
        print(name, "FloatingPointError:", error)
    else:
        raise AssertionError(f"{name} raises nothing")
END
