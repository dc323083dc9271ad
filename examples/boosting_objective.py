"""Custom objectives for XGBoost and LightGBM, two classes and many: gradient and hessian of the loss from the margins.

    python examples/boosting_objective.py

`binary` and `multiclass` are all there is to copy, as a start for an objective of one's own, with weights or a focal
factor. The trees are those of the packages' own objectives.
"""

import sys
import time

import numpy as np

import fastsig

try:
    import lightgbm
    import xgboost
    from sklearn.datasets import load_breast_cancer, load_digits
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[boosting]'")

ROUNDS = 20
FLOOR = 1e-16  # of the hessian, as XGBoost has it: a leaf of certain rows alone would divide by 0


def binary(margins, labels):
    """The first and second derivative of -log(probability of the label), by the margin."""
    gradient = fastsig.backward.binary_cross_entropy_with_logits(1.0, margins, labels)
    return gradient, np.maximum(fastsig.backward.sigmoid(1.0, margins), FLOOR)


def multiclass(margins, labels, factor):
    """The same by each class's margin, shape (rows, classes). The hessian is the diagonal, times a factor in which the
    packages differ."""
    gradient = fastsig.backward.cross_entropy(1.0, margins, labels)
    hessian = np.abs(gradient)  # p, or 1 - p of the label's class
    hessian *= factor * (1 - hessian)
    return gradient, np.maximum(hessian, FLOOR, out=hessian)


def xgboost_margins(X, y, own):
    """A model's margins, trained with the package's objective or with ours."""
    classes = y.max() + 1
    data = xgboost.DMatrix(X, y)
    labels = y if classes > 2 else y.astype(np.float32)
    settings = {"max_depth": 4, "nthread": 1, "base_score": 0.5, "seed": 0, "disable_default_eval_metric": 1}
    if classes > 2:
        settings["num_class"] = classes

    def objective(margins, _):
        return binary(margins, labels) if classes == 2 else multiclass(margins, labels, 2)

    if own:
        settings["objective"] = "binary:logistic" if classes == 2 else "multi:softprob"
    else:
        settings["base_score"] = 0.0 if classes == 2 else 0.5  # not a probability here, but a margin
    model = xgboost.train(settings, data, ROUNDS, obj=None if own else objective)
    return model.predict(data, output_margin=True)


def lightgbm_margins(X, y, own):
    """The same of LightGBM, which hands over what it has for many classes one class after the other."""
    classes = y.max() + 1
    data = lightgbm.Dataset(X, y.astype(float))
    settings = {"max_depth": 4, "num_threads": 1, "verbose": -1, "boost_from_average": False, "deterministic": True}
    if classes > 2:
        settings["num_class"] = classes

    def objective(margins, _):
        return binary(margins, y) if classes == 2 else multiclass(margins, y, classes / (classes - 1))

    settings["objective"] = ("binary" if classes == 2 else "multiclass") if own else objective
    return lightgbm.train(settings, data, ROUNDS).predict(X, raw_score=True)


def main():
    for title, (X, y) in (
        ("two classes", load_breast_cancer(return_X_y=True)),
        ("ten classes", load_digits(return_X_y=True)),
    ):
        for package, margins_of in (("XGBoost", xgboost_margins), ("LightGBM", lightgbm_margins)):
            found, seconds = [], []
            for own in (True, False):
                start = time.perf_counter()
                found.append(margins_of(X, y, own))
                seconds.append(time.perf_counter() - start)
            times = f"{seconds[0]:.2f} s by its objective, {seconds[1]:.2f} s by ours"
            print(f"{package}, {title}: {ROUNDS} rounds in {times}")
            print(f"  largest difference of a margin: {np.abs(found[0] - found[1]).max():.1e}")


if __name__ == "__main__":
    main()
