"""numba and SciPy call fastsig without Python.

    python examples/compiled_callers.py

`for_numba` gives what a function compiled by @njit can call of one number, with the bits of the array functions;
`for_scipy` what scipy.integrate.quad and scipy.ndimage call.
"""

import ctypes
import math
import sys

import numpy as np
from _race import race

import fastsig
from fastsig import cython_api

try:
    import numba
    import scipy
    from numba.extending import get_cython_function_address
    from scipy.integrate import quad
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[integrations]'")


def for_numba(name, arguments=1):
    """A function of doubles, of x and the parameters; NAME_float has floats."""
    address = get_cython_function_address("fastsig.cython_api", name)
    return ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * arguments)(address)


def for_scipy(name):
    return scipy.LowLevelCallable.from_cython(cython_api, name)


sigmoid, log_sigmoid, softplus = for_numba("sigmoid"), for_numba("log_sigmoid"), for_numba("softplus", arguments=2)


@numba.njit
def leaky_sum(logits, decay):
    """A state that each step's result depends on, which arrays cannot do."""
    state = 0.0
    for x in logits:
        state = sigmoid(x + decay * state)
    return state


@numba.njit
def leaky_sum_by_hand(logits, decay):
    state = 0.0
    for x in logits:
        state = 1 / (1 + math.exp(-(x + decay * state)))
    return state


@numba.njit
def likelihood(logits):
    total = 0.0
    for x in logits:
        total += log_sigmoid(x)
    return total


@numba.njit
def likelihood_by_hand(logits):
    """Without overflow or underflow."""
    total = 0.0
    for x in logits:
        total += min(x, 0.0) - math.log1p(math.exp(-abs(x)))
    return total


@numba.njit
def each(logits):
    results = np.empty_like(logits)
    for i, x in enumerate(logits):
        results[i] = softplus(x, 2.0)
    return results


def integrals(function):
    return [quad(function, -2, end)[0] for end in range(1, 100)]


def main():
    logits = np.random.default_rng(0).normal(0, 3, 100_000)
    print(f"numba {numba.__version__}, @njit over {len(logits)} numbers: math's functions -> fastsig's")
    theirs, ours = race("sigmoid of a sum with the last result", leaky_sum_by_hand, leaky_sum, logits, -0.5)
    print(f"    largest difference: {abs(theirs - ours):.1e}")
    theirs, ours = race("sum of log_sigmoid", likelihood_by_hand, likelihood, logits)
    print(f"    largest difference: {abs(theirs / ours - 1):.1e}")
    print(
        f"    softplus in a loop has the bits of arrays: {np.array_equal(each(logits), fastsig.softplus(logits, 2.0))}"
    )

    print("scipy.integrate.quad, 99 integrals")
    after = for_scipy("sigmoid")
    for what, before in (
        ("scipy.special.expit -> LowLevelCallable", scipy.special.expit),
        ("1 / (1 + math.exp(-x)) -> LowLevelCallable", lambda x: 1 / (1 + math.exp(-x))),
        ("fastsig.scalar.sigmoid -> LowLevelCallable", fastsig.scalar.sigmoid),
        ("numba.cfunc -> LowLevelCallable", compiled_by_numba()),
    ):
        theirs, ours = race(what, lambda before=before: integrals(before), lambda: integrals(after))
        print(f"    largest difference: {max(abs(a - b) for a, b in zip(theirs, ours)):.1e}")


def compiled_by_numba():
    by_hand = numba.cfunc("float64(float64)")(lambda x: 1 / (1 + math.exp(-x)))
    return scipy.LowLevelCallable(by_hand.ctypes)


if __name__ == "__main__":
    main()
