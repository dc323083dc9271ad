"""Raw margins of XGBoost and LightGBM to probabilities, one at a time or by the hundred thousand.

    python examples/boosted_margins.py

Margins are what one keeps to add up, calibrate or weight models; `fastsig.sigmoid` of them, or `fastsig.softmax` for
many classes, as in `to_probabilities`, is what the packages' own predict_proba gives. LightGBM trained with another
`sigmoid` than 1 has the sigmoid of that times the margin, and with `multiclassova` it is one sigmoid for each class.
"""

import sys

import numpy as np
from _race import race

import fastsig

try:
    import lightgbm
    import xgboost
    from scipy.special import expit, softmax
    from sklearn.datasets import load_breast_cancer, load_digits
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[boosting]'")


def xgboost_functions(X, y):
    """A trained model's margins and its own probabilities, as functions of the features."""
    model = xgboost.XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1).fit(X, y)
    return lambda X: model.predict(X, output_margin=True), model.predict_proba


def lightgbm_functions(X, y):
    """The same of LightGBM."""
    model = lightgbm.LGBMClassifier(n_estimators=20, max_depth=4, n_jobs=1, verbose=-1).fit(X, y)
    return lambda X: model.predict(X, raw_score=True), model.predict_proba


def to_probabilities(margins):
    """Of the second class, if there are two; else of all classes."""
    return fastsig.sigmoid(margins) if margins.ndim == 1 else fastsig.softmax(margins)


def with_scipy(margins):
    return expit(margins) if margins.ndim == 1 else softmax(margins, axis=-1)


def main():
    for title, (X, y) in (
        ("two classes", load_breast_cancer(return_X_y=True)),
        ("ten classes", load_digits(return_X_y=True)),
    ):
        for package, fit in (("XGBoost", xgboost_functions), ("LightGBM", lightgbm_functions)):
            predict_margins, predict_proba = fit(X, y)
            margins, own = predict_margins(X), predict_proba(X)
            own = own[:, 1] if margins.ndim == 1 else own
            print(f"{package}, {title}, {margins.dtype}: scipy.special -> fastsig")
            race("probabilities of one row", with_scipy, to_probabilities, margins[:1], rounds=50)
            many = np.resize(margins, (100_000, *margins.shape[1:]))
            race("probabilities of 100,000 rows", with_scipy, to_probabilities, many)

            def whole(to, predict_margins=predict_margins, X=X):
                return lambda: to(predict_margins(X))

            _, ours = race(f"trees and probabilities, {len(X)} rows", whole(with_scipy), whole(to_probabilities))
            print(f"  largest difference to the package's own predict_proba: {np.abs(ours - own).max():.1e}")


if __name__ == "__main__":
    main()
