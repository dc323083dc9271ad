"""scikit-learn's, hmmlearn's and dynesty's fits with SciPy's logsumexp swapped for fastsig's.

    python examples/logsumexp_swap.py

`fastsig_logsumexp` is what to copy. It changes nothing but the speed.
"""

import contextlib
import sys
import warnings

import numpy as np
from _race import race

import fastsig

try:
    import dynesty
    import scipy.special
    import sklearn.decomposition._lda
    import sklearn.mixture._base
    import sklearn.naive_bayes
    from hmmlearn.hmm import GMMHMM
    from sklearn.decomposition import LatentDirichletAllocation
    from sklearn.mixture import GaussianMixture
    from sklearn.naive_bayes import GaussianNB
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[integrations]'")


def of_scikit_learn(array, axis=None, xp=None):
    return fastsig.logsumexp(array, axis)


@contextlib.contextmanager
def fastsig_logsumexp():
    """Within this block, these packages add up likelihoods with fastsig."""
    places = [(scipy.special, "logsumexp", fastsig.logsumexp)]  # hmmlearn looks it up there with each call
    for module in (sklearn.decomposition._lda, dynesty.bounding, dynesty.dynamicsampler, dynesty.utils):
        places.append((module, "logsumexp", fastsig.logsumexp))
    for module in (sklearn.mixture._base, sklearn.naive_bayes):
        places.append((module, "_logsumexp", of_scikit_learn))
    before = [getattr(module, name) for module, name, _ in places]
    try:
        for module, name, function in places:
            setattr(module, name, function)
        yield
    finally:
        for (module, name, _), function in zip(places, before):
            setattr(module, name, function)


def swapped(function):
    def call():
        with fastsig_logsumexp():
            return function()

    return call


def mixture(X):
    return GaussianMixture(20, covariance_type="diag", init_params="random_from_data", random_state=0).fit(X).means_


def bayes(X, y):
    return GaussianNB().fit(X, y).predict_proba(X)


def topics(counts):
    return LatentDirichletAllocation(20, max_iter=2, random_state=0, evaluate_every=1).fit(counts).components_


def markov(X):
    return GMMHMM(4, n_mix=4, covariance_type="diag", n_iter=3, random_state=0).fit(X).means_


def nested():
    sampler = dynesty.NestedSampler(
        lambda x: -0.5 * x @ x, lambda u: 20 * u - 10, 2, nlive=40, rstate=np.random.default_rng(0)
    )
    sampler.run_nested(print_progress=False)
    return np.asarray(sampler.results.logz[-1])


def main():
    warnings.simplefilter("ignore")  # few iterations, which are enough for a race
    rng = np.random.default_rng(0)
    y = rng.integers(0, 50, 10_000)
    X = rng.normal(0, 1, (10_000, 8)) + rng.normal(0, 4, (50, 8))[y]
    counts = rng.poisson(0.2, (300, 100))
    print("logsumexp of SciPy and scikit-learn -> of fastsig")
    for what, call in (
        (f"GaussianMixture(20).fit, {X.shape}", lambda: mixture(X)),
        (f"GaussianNB, 50 classes: fit, predict_proba, {X.shape}", lambda: bayes(X, y)),
        (f"LatentDirichletAllocation(20).fit, {counts.shape}", lambda: topics(counts)),
        ("hmmlearn's GMMHMM(4, 4).fit, (1000, 8)", lambda: markov(X[:1000])),
        ("dynesty's NestedSampler, 2 parameters, 40 points", nested),
    ):
        theirs, ours = race(what, call, swapped(call), rounds=3)
        print(f"    largest difference, to the largest value: {np.abs(theirs - ours).max() / np.abs(theirs).max():.1e}")


if __name__ == "__main__":
    main()
