"""scikit-learn with fastsig: MLPClassifier's activations swapped in place, and ufuncs as a transformer.

    python examples/sklearn_drop_in.py

`fastsig_activations` and the FunctionTransformer are what to copy. Both change nothing but the speed.
"""

import contextlib
import sys
import warnings

import numpy as np
from _race import race

import fastsig

try:
    from scipy.special import expit, logit
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.neural_network._base import ACTIVATIONS
    from sklearn.preprocessing import FunctionTransformer
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[examples]'")


@contextlib.contextmanager
def fastsig_activations():
    """Within this block, scikit-learn's networks train and predict with fastsig."""
    before = ACTIVATIONS.copy()
    ACTIVATIONS.update(
        logistic=lambda x: fastsig.sigmoid(x, out=x),
        tanh=lambda x: fastsig.tanh(x, out=x),
        relu=lambda x: fastsig.relu(x, out=x),
        softmax=lambda x: fastsig.softmax(x, out=x),
    )
    try:
        yield
    finally:
        ACTIVATIONS.update(before)


def swapped(function):
    def call(*arguments):
        with fastsig_activations():
            return function(*arguments)

    return call


def main():
    digits = load_digits()
    X, y = (digits.data / 16).astype(np.float32), digits.target
    many = np.tile(X, (10, 1))
    print(f"MLPClassifier 64-128-10 in {X.dtype}, scikit-learn -> with fastsig's activations")
    warnings.simplefilter("ignore", ConvergenceWarning)  # two epochs are enough for a race
    for activation in ("logistic", "tanh", "relu"):
        model = MLPClassifier((128,), activation=activation, max_iter=2, random_state=0)

        def fitted(X, y, model=model):
            return model.fit(X, y).coefs_

        theirs, ours = race(f"{activation}: fit, 2 epochs", fitted, swapped(fitted), X, y, rounds=3)
        print(f"    largest difference of a weight: {max(np.abs(a - b).max() for a, b in zip(theirs, ours)):.1e}")
        call = model.predict_proba
        theirs, ours = race(f"{activation}: predict_proba, {len(many)} rows", call, swapped(call), many)
        print(f"    largest difference of a probability: {np.abs(theirs - ours).max():.1e}")

    scaled = (many - X.mean(0)) / (X.std(0) + 1e-6)
    before = FunctionTransformer(expit, inverse_func=logit, feature_names_out="one-to-one")
    after = FunctionTransformer(fastsig.sigmoid, inverse_func=fastsig.logit, feature_names_out="one-to-one")
    print(f"FunctionTransformer, {scaled.shape}: scipy.special -> fastsig")
    theirs, ours = race("sigmoid: transform", before.transform, after.transform, scaled)
    print(f"    largest difference: {np.abs(theirs - ours).max():.1e}")
    race("logit: inverse_transform", before.inverse_transform, after.inverse_transform, ours)


if __name__ == "__main__":
    main()
