#!/usr/bin/env bash
# ydf.from_sklearn makes a YDF model that is to do what a scikit-learn tree or forest does, but each of its trees casts
# one vote for its leaf's commonest class, where scikit-learn takes the mean of their probabilities. A single tree's
# probabilities are all 0 or 1, a forest of 10 has tenths, and gives other labels to an eighth or a third of the rows.
# Which way missing values go is lost as well, for regressors also, that are right without. There is no warning.
# Seen with ydf 0.16.1, scikit-learn 1.6.1 and NumPy 2.4.6; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ydf==0.16.1 scikit-learn==1.6.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import ydf
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

rng = np.random.default_rng(0)
x = rng.standard_normal((500, 3)).astype(np.float32)
three = np.digitize(x[:, 0] + 0.3 * rng.standard_normal(500), [-0.5, 0.5])
common = {"max_depth": 3, "random_state": 0}
for model, labels_agree in (
    (DecisionTreeClassifier(**common), True),
    (RandomForestClassifier(10, **common), False),
    (ExtraTreesClassifier(10, **common), False),
):
    own, found = model.fit(x, three).predict_proba(x), ydf.from_sklearn(model).predict({"features": x})
    other = (found.argmax(axis=1) != model.predict(x)).mean()
    print(f"{model}: scikit-learn {own[0]}, YDF {found[0]}", end=", ")
    print(f"off by {np.abs(found - own).max():.2f}, other labels {other:.2f}")
    trees = [model] if labels_agree else model.estimators_
    votes = np.mean([np.eye(3)[tree.predict_proba(x).argmax(axis=1)] for tree in trees], axis=0)
    assert np.abs(found - votes).max() < 1e-5 and np.abs(found - own).max() > 0.3
    assert other == 0 if labels_agree else other > 0.1
gaps = x.copy()
gaps[::4, 0] = np.nan
missing = np.isnan(gaps[:, 0])
for name, rows in (("without gaps", x), ("with gaps", gaps)):
    model = RandomForestRegressor(10, **common).fit(rows, x[:, 1] + 5 * missing)
    off = np.abs(ydf.from_sklearn(model).predict({"features": rows}) - model.predict(rows))
    print(f"{name}: a regressor is off by {off.max()}")
    assert off[~missing].max() < 1e-5 and (off[missing].max() > 4) == (name == "with gaps")
END
