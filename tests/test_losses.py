"""Losses and their gradients: against mpmath, long double, torch and central differences; ends, masks, targets that do
not exist, dtypes, and the same bits wherever a row lies."""

import functools
import inspect
import itertools
import math
import pickle
import warnings
from operator import attrgetter

import mpmath
import numpy as np
import pytest
from layouts import EMPTY, LAYOUTS, assert_same, assert_same_bits, place, whole
from oracle import BITS, HAS_LONG_DOUBLE, PAIRS, finite, losses, to_mpf, ulp_error, ulp_error_exact

from fastsig._catalog import TABLE

(PAIR,) = PAIRS
(LOSS,) = [row for row in TABLE if row.kind == "loss"]
inf, nan = np.inf, np.nan
needs_long_double = pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="no long double here")
each_float = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
each_real = pytest.mark.parametrize("dtype", ["float32", "float64"])
LENGTHS = (1, 2, 3, 10, 16, 17, 33, 100, 511, 513, 2000)


@pytest.fixture(autouse=True)
def quiet_numpy():
    """For what results are compared with; test_no_warnings is about ours."""
    with np.errstate(all="ignore"):
        yield


def pair(fs):
    return fs.binary_cross_entropy_with_logits, fs.backward.binary_cross_entropy_with_logits


def pairs(dtype, n=6000):
    """Logits of all sizes, and targets in [0, 1], many at the ends and close to them."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, scale, n // 6) for scale in (0.01, 0.3, 1, 3, 20, 300)])
    y = np.choose(
        rng.integers(0, 5, len(x)),
        [0, 1, rng.random(len(x)), 10 ** rng.uniform(-30, 0, len(x)), 1 - 10 ** rng.uniform(-8, 0, len(x))],
    )
    return x.astype(dtype), y.astype(dtype)


def logits(dtype, shape, scale=4.0, seed=0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(dtype)


def classes(shape, n, seed=1):
    return np.random.default_rng(seed).integers(0, n, shape)


def gradients(x, target, axis=-1):
    """Likewise: at the target minus the sum of all others."""
    x = np.moveaxis(np.asarray(x, np.longdouble), axis, -1)
    with np.errstate(all="ignore"):
        terms = np.exp(x - x.max(-1, keepdims=True))
        total, others = np.sort(terms, -1).sum(-1, keepdims=True), terms.copy()
        np.put_along_axis(others, target[..., None], 0, -1)
        result = terms / total
        np.put_along_axis(result, target[..., None], -np.sort(others, -1).sum(-1, keepdims=True) / total, -1)
    return np.moveaxis(result, -1, axis)


# -------------------------------------------------------------------------------- binary_cross_entropy_with_logits


@each_real
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (200, 100)], ids=str)
def test_one_class_for_all_rows(fs, dtype, shape):
    """As an integer of any type; the same as an array of it."""
    x, n = logits(dtype, shape), shape[-1]
    grad = np.ones(shape[:-1], dtype)
    for number in (0, 2, n - 1):
        target = np.full(shape[:-1], number)
        expected, gradient = fs.cross_entropy(x, target), fs.backward.cross_entropy(grad, x, target)
        for kind in (int, np.intp, np.int8, np.uint64, np.array):
            assert_same(fs, fs.cross_entropy(x, kind(number)), expected)
            assert_same(fs, fs.cross_entropy(x.T.copy(), kind(number), 0), np.asarray(expected).T)
            for of_result in (grad, 1.0):
                assert_same(fs, fs.backward.cross_entropy(of_result, x, kind(number)), gradient)
    for wrong in (-1, n, 2**62):
        for kind in (int, np.intp):
            for function in (fs.cross_entropy, functools.partial(fs.backward.cross_entropy, grad)):
                with pytest.raises(IndexError, match=f"class {wrong} "):
                    function(x, kind(wrong))
    for wrong in (True, 10**30, "0", None):
        with pytest.raises(TypeError):
            fs.cross_entropy(x, wrong)


def test_errors_name_the_loss(fs):
    """Not what finds the dtype of its result."""
    x, shares = logits("float32", (3, 4)), np.full((3, 4), 0.25)
    wrong = ({"dtype": int}, {"dtype": "g"}, {"casting": "no", "dtype": "d"})
    ways = (([0, 1, 2], {}), ([0, 1, 2], {"label_smoothing": 0.1}), (shares, {}))
    for (target, how), options in itertools.product(ways, wrong):
        for function in (fs.cross_entropy, functools.partial(fs.backward.cross_entropy, 1.0)):
            with pytest.raises(TypeError) as error:
                function(x, target, **how, **options)
            assert "softmax" not in str(error.value)
    for call in (lambda: fs.logsumexp(x, 0, x, dtype=int), lambda: fs.backward.logsumexp(1.0, x, dtype=int)):
        with pytest.raises(TypeError, match="logsumexp") as error:
            call()
        assert "softmax" not in str(error.value)


def test_pair_is_a_ufunc(fs, default):
    function, gradient = pair(fs)
    assert isinstance(function, np.ufunc) == (fs._backend.threads is not None)
    assert (function.nin, gradient.nin, function.nout) == (2, 3, 1)
    assert function.__name__ == PAIR.name and gradient.__name__ == f"{PAIR.name}_backward"
    assert function is fs._backend.ufuncs[PAIR.name] and function.signature is None
    for each in pair(default):
        assert pickle.loads(pickle.dumps(each)) is each
    with pytest.raises(TypeError):
        function(1.0)
    with pytest.raises(TypeError):
        function(1.0, target=1.0)


@each_real
def test_pair_against_mpmath(fs, dtype):
    x, y = pairs(dtype, 3000)
    for row, got in zip((PAIR, PAIR.gradient), (pair(fs)[0](x, y), pair(fs)[1](x.dtype.type(1), x, y))):
        with mpmath.workprec(BITS):
            names = [vars(mpmath) | {"x": to_mpf(a), "target": to_mpf(b)} for a, b in zip(x, y)]
            truth = [eval(row.truth, each) for each in names]
            parts = [eval(PAIR.gradient.scale, each) for each in names]  # which is what it may cancel to
        unit = 0 if row is PAIR else np.array([float(part) for part in parts])
        assert ulp_error_exact(got, truth, unit).max() <= row.max_ulp[dtype == "float64"]


@needs_long_double
@each_float
def test_pair_of_many(fs, dtype):
    """And a number's bits are an array's, wherever it lies."""
    x, y = pairs(dtype, 60_000)
    function, gradient = pair(fs)
    wide, right = x.astype(np.longdouble), y.astype(np.longdouble)
    with np.errstate(all="ignore"):
        against, e = np.where(x < 0, right, 1 - right), np.exp(-np.abs(wide))
        truth, slope = against * np.abs(wide) + np.log1p(e), (e / (1 + e) - against) * np.where(x < 0, 1, -1)
    bound, half = PAIR.max_ulp[dtype == "float64"], dtype == "float16"
    bound, slope_bound = (0.51, 0.51) if half else (bound, PAIR.gradient.max_ulp[dtype == "float64"])
    got = function(x, y)
    assert got.dtype == x.dtype
    assert ulp_error(got, truth).max() <= bound
    grad = gradient(x.dtype.type(1), x, y)
    assert ulp_error(grad, slope, e / (1 + e)).max() <= slope_bound
    sure = (y == 0) | (y == 1)
    assert ulp_error(grad[sure], slope[sure]).max() <= slope_bound  # in its own units: nothing cancels


@each_float
def test_pair_at_its_ends(fs, dtype):
    function, gradient = pair(fs)
    x = np.array([inf, -inf, inf, -inf, inf, -inf, nan, 0, inf, nan], dtype)
    y = np.array([1, 0, 0, 1, 0.5, 0.5, 1, nan, nan, 0], dtype)
    assert_same_bits(function(x, y), np.array([0, 0, inf, inf, inf, inf, nan, nan, nan, nan], dtype))
    expected = np.array([0, 0, 1, -1, 0.5, -0.5, nan, nan, nan, nan], dtype)
    assert_same_bits(gradient(dtype and x.dtype.type(1), x, y), expected)
    assert_same_bits(gradient(2, -x, 1 - y), np.where(expected == 0, 0, -2 * expected))
    # Outside of [0, 1], as the formula says.
    for target in (-0.5, 2):
        x = np.linspace(-5, 5, 21).astype(dtype)
        truth = np.logaddexp(0, x.astype(float)) - x.astype(float) * target
        np.testing.assert_allclose(
            function(x, target), truth, rtol=4 * np.finfo(dtype).eps, atol=30 * np.finfo(dtype).eps
        )


def test_pair_dtypes(fs):
    function, gradient = pair(fs)
    for a, b in itertools.product("efd", repeat=2):
        assert function(np.ones(2, a), np.ones(2, b)).dtype == np.result_type(a, b)
        assert gradient(1.0, np.ones(2, a), np.ones(2, b)).dtype == np.result_type(a, b)
    for a in "?bBhHiIlLqQ":
        assert function(np.ones(2, a), np.float32(1)).dtype == np.float64
        assert function(np.ones(2, "d"), np.ones(2, a)).dtype == np.float64
        assert_same(fs, function(np.ones(2, a), np.zeros(2, "f")), function(np.ones(2), 0.0))
    x = logits("float32", 5)
    for label in (0, 1, True, 0.5):
        assert function(x, label).dtype == np.float32
        assert_same(fs, function(x, label), function(x, np.full(5, label, "f")))
    assert type(function(3, 1)) is np.float64
    for bad in (np.ones(3, np.longdouble), 1j, None, "text"):
        for arguments in ((bad, 1.0), (np.ones(3), bad)):
            with pytest.raises(TypeError):
                function(*arguments)
    assert fs.scalar.binary_cross_entropy_with_logits(0.3, 0.25) == function(0.3, 0.25)


@each_float
def test_pair_wherever_it_lies(fs, dtype):
    function, gradient = pair(fs)
    x, y = (each[:120].reshape(10, 12) for each in pairs(dtype))
    grad = logits(dtype, (10, 12))
    expected, slope = function(x, y), gradient(grad, x, y)
    for one, other in zip(LAYOUTS, [*LAYOUTS[3:], *LAYOUTS[:3]]):
        assert_same(fs, function(place(x, one), place(y, other)), expected, one)
        assert_same(fs, gradient(place(grad, other), place(x, one), place(y, other)), slope, one)
    for layout in EMPTY:
        out = EMPTY[layout](x)
        assert function(x, y, out=out) is out
        assert_same(fs, out.astype(dtype), expected, layout)
    for operand in (0, 1):
        operands = [x.copy(), y.copy()]
        function(*operands, out=operands[operand])
        assert_same(fs, operands[operand], expected)
    mask, out = x > 0, np.full_like(x, 77)
    function(x, y, where=mask, out=out)
    assert_same(fs, out, np.where(mask, expected, x.dtype.type(77)))
    assert_same(fs, function(x, y[0]), function(x, np.broadcast_to(y[0], x.shape)))
    assert_same(fs, function(x[:, :1], y), function(np.broadcast_to(x[:, :1], y.shape), y))
    assert function(np.zeros((3, 0)), 1).shape == (3, 0)
    with pytest.raises(ValueError):
        function(np.zeros(3), np.zeros(2))
    many, right = np.resize(x, 300_000), np.resize(y, 300_000)
    with fs.num_threads(2) if fs._backend.threads else fs.num_threads(1):
        assert_same(fs, function(many, right), np.resize(expected, 300_000))
        assert_same(fs, gradient(np.resize(grad, 300_000), many, right), np.resize(slope, 300_000))


def test_pair_as_in_torch(fs):
    torch = pytest.importorskip("torch")
    x, y = pairs("float64")
    grad = logits("float64", len(x))
    tensor = torch.from_numpy(x).clone().requires_grad_()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(tensor, torch.from_numpy(y), reduction="none")
    loss.backward(torch.from_numpy(grad))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(pair(fs)[0](x, y), loss.detach().numpy(), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(pair(fs)[1](grad, x, y), tensor.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_derivatives_of_a_pair(fs):
    """The first and, as the documentation has it, the second, and that with respect to the target."""
    function, gradient = pair(fs)
    (x, y), h = (each[::60] for each in pairs("float64")), 1e-5
    near = np.abs(x) < 50
    x, y = x[near], y[near]
    np.testing.assert_allclose(gradient(1, x, y), (function(x + h, y) - function(x - h, y)) / (2 * h), atol=1e-8)
    second = (gradient(1, x + h, y) - gradient(1, x - h, y)) / (2 * h)
    np.testing.assert_allclose(fs.backward.sigmoid(1, x), second, atol=1e-8)
    np.testing.assert_allclose(-x, (function(x, y + h) - function(x, y - h)) / (2 * h), atol=1e-7)


# -------------------------------------------------------------------------------- cross_entropy: values


def test_table_is_the_long_double(fs):
    """The table's truths, by mpmath, against what the other tests compare with."""
    for n in (1, 2, 7):
        x, names = logits("float64", n), vars(mpmath)
        for target in range(n):
            with mpmath.workprec(BITS):
                given = names | {"x": [finite(to_mpf(v)) for v in x], "target": target, "grad": [mpmath.mpf(1)]}
                loss, grad = eval(LOSS.truth, given), eval(LOSS.gradient.truth, given)
            np.testing.assert_allclose(losses(x, np.array(target)).astype(float), float(loss[0]), rtol=1e-14)
            np.testing.assert_allclose(gradients(x, np.array(target)).astype(float), list(map(float, grad)), rtol=1e-14)
            assert ulp_error_exact(fs.cross_entropy(x, target)[None], loss).max() <= LOSS.max_ulp[1]


@needs_long_double
@each_float
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("scale", [0.1, 3, 30, 1000])
def test_classes(fs, dtype, n, scale):
    """Half of the targets are the largest logit, so that many losses are close to 0."""
    rows = max(3, 4000 // n)
    x, target = logits(dtype, (rows, n), scale), classes(rows, n)
    target[::2] = x.argmax(-1)[::2]
    bound = 0.51 if dtype == "float16" else LOSS.max_ulp[dtype == "float64"]
    got = fs.cross_entropy(x, target)
    assert got.dtype == x.dtype and got.shape == (rows,)
    assert ulp_error(got, losses(x, target)).max() <= bound
    got, truth = fs.backward.cross_entropy(1.0, x, target), gradients(x, target)
    assert got.dtype == x.dtype and got.shape == x.shape
    bound = 0.51 if dtype == "float16" else LOSS.gradient.max_ulp[dtype == "float64"]
    assert ulp_error(got, truth).max() <= bound
    grad = logits(dtype, rows)
    got = fs.backward.cross_entropy(grad, x, target)
    # Where a softmax is subnormal, its errors, in units of its own, are multiplied, too.
    unit = np.abs(grad[:, None]) * np.longdouble(np.finfo(np.result_type(dtype, "f")).tiny)
    assert ulp_error(got, truth * grad[:, None], unit).max() <= bound + 0.5


@each_real
def test_losses_near_zero(fs, dtype):
    """1e-9 beside a logit that outweighs the others, where 1 - p and log(p) keep nothing."""
    for n, below in itertools.product((2, 5, 16, 40, 600, 20_000), (17, 30, 80)):
        x = np.full((3, n), -float(below), dtype)
        x[:, 1] = 0
        target = np.full(3, 1)
        few = np.array(np.exp(-np.longdouble(below))) * (n - 1)
        assert ulp_error(fs.cross_entropy(x, target), np.log1p(few)).max() <= LOSS.max_ulp[dtype == "float64"]
        got = fs.backward.cross_entropy(1.0, x, target)
        assert ulp_error(got[:, 1], -few / (1 + few)).max() <= LOSS.gradient.max_ulp[dtype == "float64"]


@each_float
def test_ends(fs, dtype):
    rows = [
        ([inf, 0, 0], 0, nan),
        ([-inf, -inf, -inf], 0, nan),
        ([nan, 0, 0], 1, nan),
        ([-inf, 0, 0], 0, inf),
        ([-inf, 0, -inf], 1, 0),
        ([300, 0, -300], 0, 0),
        ([300, 0, -300], 2, 600),
    ]
    x, target, expected = (np.array(each) for each in zip(*rows))
    x = x.astype(dtype)
    got = fs.cross_entropy(x, target)
    assert_same_bits(np.where(got < 1e-100, 0, got).astype(dtype), expected.astype(dtype))
    got = fs.backward.cross_entropy(1.0, x, target)
    assert np.isnan(got[:3]).all()
    np.testing.assert_array_equal(got[3:5], [[-1, 0.5, 0.5], [0, 0, 0]])
    for wide in (40, 1000):  # by other ways
        x = np.full((3, wide), -inf, dtype)
        x[1, 3], x[2, 5] = 2, nan
        got = fs.cross_entropy(x, [3, 3, 3])
        np.testing.assert_array_equal(got, [nan, 0, nan])


@needs_long_double
@each_real
@pytest.mark.parametrize("n", [3, 10, 40, 300, 3000])
def test_gradients_of_any_size(fs, dtype, n):
    """grad_output may be as large or small as numbers are, and of either sign: beside sure rows and others."""
    info = np.finfo(dtype)
    grad = [1e-9, 1e-7, -3e-3, 0.7, -1e6, 1e17, 1e19, info.tiny, -info.smallest_subnormal, info.max, 0, inf, -inf, nan]
    grad = np.repeat(np.array([*grad, 1e-130, 1e-110, -1e110, 1e130], dtype), 4)
    x = logits(dtype, (len(grad), n), 1)
    target = classes(len(grad), n)
    x[::2][np.arange(len(grad) // 2), target[::2]] += 8
    got, plain = fs.backward.cross_entropy(grad, x, target), gradients(x, target)
    some = np.isfinite(grad)
    unit = np.abs(grad[some, None]) * np.longdouble(info.tiny) + np.longdouble(info.tiny)
    truth = plain[some] * grad[some, None].astype(np.longdouble)
    assert ulp_error(got[some], truth, unit).max() <= LOSS.gradient.max_ulp[dtype == "float64"] + 0.5
    np.testing.assert_array_equal(got[~some], (plain[~some] * grad[~some, None]).astype(dtype))
    for i, alone in enumerate(grad):
        assert_same(fs, fs.backward.cross_entropy(alone, x[i], target[i]), got[i])


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (2, 30, 4), (70, 33)])
def test_as_in_torch(fs, shape):
    torch = pytest.importorskip("torch")
    x, target = logits("float64", shape), classes((shape[0], *shape[2:]), shape[1])
    shares = fs.softmax(logits("float64", shape, seed=2), axis=1)
    torchs = torch.nn.functional.cross_entropy
    for smoothing, (given, ignore) in itertools.product((0.0, 0.1, 1.0), ((target, None), (target, 2), (shares, None))):
        tensor = torch.from_numpy(x).clone().requires_grad_()
        options = {"label_smoothing": smoothing, "reduction": "none"}
        theirs = torchs(
            tensor, torch.from_numpy(given), **options | ({} if ignore is None else {"ignore_index": ignore})
        )
        grad = logits("float64", theirs.shape)
        theirs.backward(torch.from_numpy(grad))
        options = {"axis": 1, "label_smoothing": smoothing, "ignore_index": ignore}
        np.testing.assert_allclose(
            fs.cross_entropy(x, given, **options), theirs.detach().numpy(), rtol=1e-12, atol=1e-14
        )
        got = fs.backward.cross_entropy(grad, x, given, **options)
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_central_differences(fs, smoothing, masked):
    x, h = logits("float64", (6, 5)), 1e-6
    where = np.random.default_rng(3).random(x.shape) < 0.7
    where[:, 0] = True
    shares = np.where(where | (not masked), fs.softmax(logits("float64", x.shape, seed=2)), 0)
    for given in (np.zeros(6, int), classes(6, 5) if not masked else np.zeros(6, np.uint8), shares):
        options = {"label_smoothing": smoothing, "where": where if masked else True}
        got = fs.backward.cross_entropy(1.0, x, given, **options)
        for j in range(5):
            step = np.zeros(5)
            step[j] = h
            slope = (fs.cross_entropy(x + step, given, **options) - fs.cross_entropy(x - step, given, **options)) / (
                2 * h
            )
            np.testing.assert_allclose(
                got[:, j], np.where(options["where"] if not masked else where[:, j], slope, 0), atol=1e-8
            )


@needs_long_double
@each_float
def test_probabilities(fs, dtype):
    """Of all rows in blocks: in the units of the loss, all terms of which are positive."""
    for shape in ((5, 1), (3000, 7), (40, 900)):
        x, shares = logits(dtype, shape), fs.softmax(logits(dtype, shape, seed=2))
        shares[::3, 0] = 0
        x[::3, 0] = -inf
        if shape[1] == 1:
            x[...], shares[...] = 3, 1
        z = x.astype(np.longdouble)
        with np.errstate(all="ignore"):
            logs = (z.max(-1, keepdims=True) - z) + np.log1p(
                np.sort(np.exp(z - z.max(-1, keepdims=True)), -1)[:, :-1].sum(-1, keepdims=True)
            )
            truth = np.where(shares == 0, 0, shares * logs).sum(-1)
        got = fs.cross_entropy(x, shares)
        assert got.dtype == x.dtype
        assert ulp_error(got, truth).max() <= (0.51 if dtype == "float16" else LOSS.max_ulp[dtype == "float64"])
        grad = fs.backward.cross_entropy(1.0, x, shares)
        assert grad.dtype == x.dtype
        p = np.exp(z - z.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        truth, unit = p * shares.sum(-1, keepdims=True, dtype=np.longdouble) - shares, np.maximum(p, shares)
        bound = 0.51 if dtype == "float16" else LOSS.gradient.max_ulp[dtype == "float64"]
        assert ulp_error(grad, truth, unit).max() <= bound


@needs_long_double
@each_real
@pytest.mark.parametrize(("scale", "smoothing"), [(1e-6, 1e-9), (1, 0.1), (5, 0.3)])
@pytest.mark.parametrize("n", [2, 10, 127, 128, 1000])
def test_smoothed(fs, dtype, n, scale, smoothing):
    """A few large terms among many small ones, or many alike: within the bounds of one class's."""
    x, target = logits(dtype, (60, n), scale), classes(60, n)
    shares = np.full(x.shape, np.longdouble(smoothing) / n)
    shares[np.arange(60), target] += 1 - np.longdouble(smoothing)
    each = losses(x, x.argmax(-1))[:, None] + (x.max(-1, keepdims=True) - x.astype(np.longdouble))
    got = fs.cross_entropy(x, target, label_smoothing=smoothing)
    assert ulp_error(got, np.sort(shares * each, -1).sum(-1)).max() <= LOSS.max_ulp[dtype == "float64"]
    grad = fs.backward.cross_entropy(1.0, x, target, label_smoothing=smoothing)
    p = np.exp(-each)
    assert ulp_error(grad, p - shares, np.maximum(p, shares)).max() <= LOSS.gradient.max_ulp[dtype == "float64"]


@each_float
def test_no_warnings(fs, dtype):
    info = np.finfo(dtype)
    special = np.array(
        [0, -0.0, 1, -1, inf, -inf, nan, info.max, -info.max, info.tiny, -info.smallest_subnormal], dtype
    )
    x, y = np.meshgrid(special, special)
    target, shares = classes(len(x), len(x)), np.abs(y)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        function, gradient = pair(fs)
        function(x, y)
        gradient(y, x, y)
        for given, options in itertools.product((target, shares), ({}, {"label_smoothing": 0.1}, {"where": x == x})):
            fs.cross_entropy(x, given, **options)
            fs.cross_entropy(x, given, out=np.empty(len(x), "float16"), **options)
            for grad in (special, 0.5, inf):
                fs.backward.cross_entropy(grad, x, given, **options)


# -------------------------------------------------------------------------------- cross_entropy: what it is given


@each_float
def test_masks(fs, dtype):
    """As if the entries were not there; a class that is not there has a probability of 0."""
    rng = np.random.default_rng(0)
    for n in (1, 4, 40, 700):
        x, target, where = logits(dtype, (50, n)), classes(50, n), rng.random((50, n)) < 0.6
        where[0], where[1] = False, True
        got, grad = fs.cross_entropy(x, target, where=where), fs.backward.cross_entropy(1.0, x, target, where=where)
        for i in range(50):
            kept, there = where[i], where[i, target[i]]
            if not there:
                assert got[i] == inf
                assert_same(fs, grad[i], fs.softmax(x[i], where=kept))
                continue
            one = kept[: target[i]].sum()
            np.testing.assert_allclose(got[i], fs.cross_entropy(x[i, kept], one), rtol=8 * np.finfo(dtype).eps)
            np.testing.assert_allclose(
                grad[i, kept], fs.backward.cross_entropy(1.0, x[i, kept], one), rtol=8 * np.finfo(dtype).eps, atol=1e-7
            )
            assert (grad[i, ~kept] == 0).all()
        infinite = fs.backward.cross_entropy(inf, x, target, where=where)
        assert (infinite[~where] == 0).all()
    # Smoothing goes to the classes that take part.
    x, where = np.zeros((1, 4)), np.array([True, True, False, False])
    tilted = np.array([[0.0, 1.0, 0.0, 0.0]])
    smooth = fs.cross_entropy(x, [0], label_smoothing=0.5, where=where)
    np.testing.assert_allclose(smooth, np.log(2), rtol=1e-15)
    np.testing.assert_allclose(
        fs.backward.cross_entropy(1.0, tilted, [0], label_smoothing=0.5, where=where),
        fs.softmax(tilted, where=where) - [0.75, 0.25, 0, 0],
        rtol=1e-14,
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", *"lLqQ", ">i4"])
def test_integers(fs, dtype):
    x, target = logits("float32", (20, 7)), classes(20, 7)
    expected, slope = fs.cross_entropy(x, target), fs.backward.cross_entropy(1.0, x, target)
    given = target.astype(dtype)
    assert_same(fs, fs.cross_entropy(x, given), expected)
    assert_same(fs, fs.backward.cross_entropy(1.0, x, given), slope)
    assert_same(fs, fs.cross_entropy(x, np.repeat(given, 3)[1::3]), expected)
    assert_same(fs, fs.cross_entropy(x, given.tolist()), expected)
    if np.dtype(dtype).kind == "i":
        ignored = np.where(target == 2, -100, target).astype(dtype)
        got = fs.cross_entropy(x, ignored, ignore_index=-100)
        assert_same(fs, got, np.where(target == 2, np.float32(0), expected))
        got = fs.backward.cross_entropy(inf, x, ignored, ignore_index=-100)
        assert (got[target == 2] == 0).all() and not np.isfinite(got[target != 2]).any()
    assert (fs.cross_entropy(np.full((2, 3), nan), np.array([0, 1], dtype), ignore_index=1)[1] == 0).all()
    assert (fs.backward.cross_entropy(1.0, np.full((2, 3), nan), np.array([0, 1], dtype), ignore_index=1)[1] == 0).all()


def test_a_class_that_does_not_exist(fs):
    x = logits("float32", (3, 4, 5))
    for wrong, dtype in ((5, int), (-1, int), (255, np.uint8), (2**64 - 1, np.uint64), (-128, np.int8)):
        target = np.zeros((3, 4), dtype)
        target[1, 2] = target[2, 0] = wrong
        for options in ({}, {"label_smoothing": 0.1}, {"where": x > 0}):
            out = np.full((3, 4), 77, "float32")
            with pytest.raises(IndexError, match=rf"cross_entropy: class {wrong} at 1, 2 is not one of 5"):
                fs.cross_entropy(x, target, out=out, **options)
            assert (out == 77).all()
            out = np.full(x.shape, 77, "float32")
            with pytest.raises(IndexError, match=rf"class {wrong} at 1, 2 is not one of 5"):
                fs.backward.cross_entropy(1.0, x, target, out=out, **options)
            assert (out == 77).all()
        assert np.isfinite(fs.cross_entropy(x, target, ignore_index=int(target[1, 2]))).all()
        with pytest.raises(IndexError, match=rf"class {wrong} is not one of 5"):
            fs.cross_entropy(x[0, 0], target[1, 2])
    with pytest.raises(IndexError, match="class 0 at 0 is not one of 0"):
        fs.cross_entropy(np.zeros((2, 0)), [0, 0])
    assert_same_bits(fs.cross_entropy(np.zeros((2, 0)), [3, 3], ignore_index=3), np.zeros(2))
    assert fs.cross_entropy(np.zeros((0, 3)), []).shape == (0,)
    assert fs.backward.cross_entropy(1.0, np.zeros((0, 3)), []).shape == (0, 3)
    assert fs.backward.cross_entropy(1.0, np.zeros((2, 0)), [3, 3], ignore_index=3).shape == (2, 0)


WRONG = [
    ((logits("f", (3, 4)), [0, 1]), {}, ValueError, "shape"),
    ((logits("f", (3, 4)), np.zeros((3, 4), int)), {}, ValueError, "shape"),
    ((logits("f", (3, 4)), np.zeros(3)), {}, ValueError, "shape"),
    ((logits("f", (3, 4)), [True, False, True]), {}, TypeError, "integers, which are classes"),
    ((logits("f", (3, 4)), ["a", "b", "c"]), {}, TypeError, "integers, which are classes"),
    ((logits("f", (3, 4)), [1j, 1, 0]), {}, TypeError, "integers, which are classes"),
    ((logits("f", (3, 4)), 0), {"label_smoothing": -0.1}, ValueError, "label_smoothing must be in"),
    ((logits("f", (3, 4)), 0), {"label_smoothing": 1.5}, ValueError, "label_smoothing must be in"),
    ((logits("f", (3, 4)), 0), {"label_smoothing": nan}, ValueError, "label_smoothing must be in"),
    ((logits("f", (3, 4)), 0), {"label_smoothing": None}, TypeError, "label_smoothing must be a number"),
    ((logits("f", (3, 4)), 0), {"label_smoothing": [0.1]}, TypeError, "label_smoothing must be a number"),
    ((logits("f", (3, 4)), None), {}, TypeError, "integers, which are classes"),
    ((logits("f", (3, 4)), 0), {"axis": None}, TypeError, "axis must be an integer"),
    ((logits("f", (3, 4)), 0), {"axis": (0, 1)}, TypeError, "axis must be an integer"),
    ((logits("f", (3, 4)), 0), {"axis": 2}, np.exceptions.AxisError, "axis 2"),
    ((logits("f", (3, 4)), np.ones((3, 4))), {"ignore_index": 0}, TypeError, "ignore_index is for classes"),
    ((logits("f", (3, 4)), 0), {"ignore_index": 1.5}, TypeError, "ignore_index must be an integer"),
    ((logits("f", (3, 4)), 0), {"where": np.zeros(3, bool)}, ValueError, "broadcast"),
    ((logits("f", (3, 4)), 0), {"where": np.zeros(4)}, TypeError, "bools"),
    ((logits("f", (3, 4)).astype(complex), 0), {}, TypeError, "supports bool, integer, float16"),
    ((np.ones((3, 4), np.longdouble), 0), {}, TypeError, "supports bool, integer, float16"),
    ((logits("f", (3, 4)), np.ones((3, 4), np.longdouble)), {}, TypeError, "supports bool, integer, float16"),
    ((logits("f", (3, 4)), 0), {"unknown": 1}, TypeError, "unknown"),
    ((logits("f", (3, 4)), 0), {"dtype": "int32"}, TypeError, "loop"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "text"), WRONG, ids=range(len(WRONG)))
def test_wrong_arguments(fs, arguments, options, error, text):
    with pytest.raises(error, match=text):
        fs.cross_entropy(*arguments, **options)
    with pytest.raises(error, match=text):
        fs.backward.cross_entropy(1.0, *arguments, **options)


def test_wrong_results(fs):
    x = logits("f", (3, 4))
    for smoothing in (0.0, 0.1):
        for out, error in (
            (np.zeros(4), ValueError),
            (np.zeros((2, 3)), ValueError),
            (np.zeros(3, int), TypeError),
            ([], TypeError),
            ((), ValueError),
        ):
            with pytest.raises(error):
                fs.cross_entropy(x, 0, label_smoothing=smoothing, out=out)
        for out, error in ((np.zeros(4), ValueError), (np.zeros((3, 4), int), TypeError), ([], TypeError)):
            with pytest.raises(error):
                fs.backward.cross_entropy(1.0, x, 0, label_smoothing=smoothing, out=out)
    with pytest.raises(ValueError):
        fs.backward.cross_entropy(np.ones(4), x, 0)


def test_signatures(fs):
    options = ["out", "where", "dtype", "casting", "order", "subok"]
    own = ["logits", "target", "axis", "label_smoothing", "ignore_index"]
    assert list(inspect.signature(fs.cross_entropy).parameters) == [*own, *options]
    assert list(inspect.signature(fs.backward.cross_entropy).parameters) == ["grad_output", *own, *options]
    ufuncs = fs._backend.ufuncs
    assert ufuncs["cross_entropy"].signature == "(n),()->()"
    assert ufuncs["cross_entropy_where"].signature == "(n),(),(n)->()"
    assert ufuncs["cross_entropy_backward"].signature == "(),(n),()->(n)"
    assert ufuncs["cross_entropy_backward_where"].signature == "(),(n),(),(n)->(n)"


def test_dtypes(fs):
    x, target = logits("float32", (4, 3)), classes(4, 3)
    shares = fs.softmax(x)
    for smoothing in (0.0, 0.1):
        options = {"label_smoothing": smoothing}
        for given in "?bBhHiIlLqQefd":
            kept = given if given in "efd" else "d"
            with np.errstate(all="ignore"):
                assert fs.cross_entropy(x.astype(given), target, **options).dtype == kept
                assert fs.backward.cross_entropy(1.0, x.astype(given), target, **options).dtype == kept
        for a, b in itertools.product("efd", repeat=2):
            assert fs.cross_entropy(x.astype(a), shares.astype(b), **options).dtype == np.result_type(a, b)
            got = fs.backward.cross_entropy(np.ones(4, b), x.astype(a), target, **options)
            assert got.dtype == np.result_type(a, b)
        for wanted in "efd":
            assert fs.cross_entropy(x, target, dtype=wanted, **options).dtype == wanted
            assert fs.cross_entropy(x, shares, dtype=wanted, **options).dtype == wanted
            assert fs.backward.cross_entropy(1.0, x, target, dtype=wanted, **options).dtype == wanted
            assert fs.cross_entropy(x, target, dtype=wanted, where=x < 9, **options).dtype == wanted
    assert type(fs.cross_entropy([1.0, 2.0], 0)) is np.float64
    assert type(fs.cross_entropy(np.float32([1, 2]), 0)) is np.float32
    assert type(fs.cross_entropy(np.float32([1, 2]), 0, out=...)) is np.ndarray
    assert fs.cross_entropy(3.0, 0) == 0 and fs.backward.cross_entropy(1.0, 3.0, 0) == 0
    assert_same(fs, fs.cross_entropy(x.astype(int), target, casting="no"), fs.cross_entropy(x.astype(int), target))


@pytest.mark.parametrize("kind", ["classes", "shares", "smoothed"])
def test_bfloat16(fs, kind):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for shape, axis in (((6, 10), -1), ((10, 6), 0), ((3, 2000), 1), ((100, 40), 1)):
        x = logits("float32", shape).astype(bfloat16)
        n, rows = shape[axis], tuple(np.delete(shape, axis))
        target = classes(rows, n) if kind != "shares" else fs.softmax(logits("f", shape, seed=2), axis).astype(bfloat16)
        options = {"axis": axis, "label_smoothing": 0.1 * (kind == "smoothed")}
        wide = target if kind != "shares" else target.astype("float32")
        for where in (True, x.astype("float32") < 2):
            got = fs.cross_entropy(x, target, where=where, **options)
            truth = fs.cross_entropy(x.astype("float32"), wide, where=where, **options)
            assert got.dtype == bfloat16
            np.testing.assert_allclose(got.astype("float32"), truth, rtol=0.0040)
            got = fs.backward.cross_entropy(1.0, x, target, where=where, **options)
            truth = fs.backward.cross_entropy(1.0, x.astype("float32"), wide, where=where, **options)
            assert got.dtype == bfloat16 and got.shape == shape
            np.testing.assert_allclose(got.astype("float32"), truth, rtol=0.0040, atol=1e-12)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_gradients_in_16_bits_are_rounded_once(fs, kind):
    dtype = np.dtype(kind if kind == "float16" else pytest.importorskip("ml_dtypes").bfloat16)
    rng = np.random.default_rng(0)
    for shape, axis in itertools.product(
        ((3, 1), (1, 10), (70, 7), (100, 40), (3, 1000), (2, 5000), (40, 16)), (0, -1)
    ):
        x, n, rows = logits(dtype, shape, 9), shape[axis], tuple(np.delete(shape, axis))
        target = classes(rows, n)
        strange = rng.choice([inf, nan, 0, -0.0, 65504, 6e-8, -1e-7], rows)
        for grad in (0.1, 0.0, 1e-30, rng.normal(0, 1, rows).astype(dtype), strange.astype(dtype)):
            got = fs.backward.cross_entropy(grad, x, target, axis)
            wide = grad if type(grad) is float else grad.astype("f")
            assert got.dtype == dtype
            truth = fs.backward.cross_entropy(wide, x.astype("f"), target, axis).astype(dtype)
            assert_same(fs, got, truth)
        taken = np.zeros_like(x)
        beside = taken.reshape(-1)[: math.prod(rows)].reshape(rows)
        beside[...] = grad = rng.normal(0, 1, rows).astype(dtype)
        truth = fs.backward.cross_entropy(grad, x, target, axis)
        assert_same(fs, fs.backward.cross_entropy(beside, x, target, axis, out=taken), truth)
        wide = rng.normal(0, 1, rows).astype("f")
        assert fs.backward.cross_entropy(wide, x, target, axis).dtype == "float32"


# -------------------------------------------------------------------------------- the same bits wherever a row lies

SHAPES = [
    ((9, 10), 1),
    ((70, 10), 1),
    ((70, 40), 1),
    ((40, 70), 0),
    ((3, 700), 1),
    ((2, 30, 5), 1),
    ((6, 1), 1),
    ((1, 6), 0),
]


@each_float
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["classes", "smoothed", "shares"])
def test_same_bits_wherever_it_lies(fs, dtype, shape, axis, kind):
    x, n, rows = logits(dtype, shape), shape[axis], tuple(np.delete(shape, axis))
    x.reshape(-1)[::5] *= 8  # some rows with one entry that is nearly all
    target = classes(rows, n)
    if kind == "shares":
        target = fs.softmax(logits(dtype, shape, seed=2), axis)
    options = {"axis": axis, "label_smoothing": 0.1 * (kind == "smoothed")}
    grad = logits(dtype, rows)
    expected, slope = fs.cross_entropy(x, target, **options), fs.backward.cross_entropy(grad, x, target, **options)
    assert (expected.shape, slope.shape) == (rows, shape)
    by_row = np.moveaxis(x, axis, -1)
    for at in [(0,) * len(rows), tuple(np.subtract(rows, 1))]:
        one = target[at] if kind != "shares" else np.moveaxis(target, axis, -1)[at]
        alone = {"label_smoothing": options["label_smoothing"]}
        assert_same(fs, fs.cross_entropy(by_row[at], one, **alone), expected[at])
        got = fs.backward.cross_entropy(grad[at], by_row[at], one, **alone)
        assert_same(fs, got, np.moveaxis(slope, axis, -1)[at])
    for i, layout in enumerate(LAYOUTS):
        other = LAYOUTS[(i + 3) % len(LAYOUTS)]
        given = place(x, layout), place(target, other)
        assert_same(fs, fs.cross_entropy(*given, **options), expected, layout)
        assert_same(fs, fs.backward.cross_entropy(place(grad, other), *given, **options), slope, layout)
    for layout in EMPTY:
        for wanted, call in (
            (expected, lambda out: fs.cross_entropy(x, target, out=out, **options)),
            (slope, lambda out: fs.backward.cross_entropy(grad, x, target, out=out, **options)),
        ):
            out = EMPTY[layout](wanted)
            around, filled = whole(out).copy(), EMPTY[layout](wanted)
            filled[...] = 0
            assert call(out) is out and call((out,)) is out
            assert_same(fs, out.astype(wanted.dtype), wanted, layout)
            between = whole(filled) != 0
            np.testing.assert_array_equal(whole(out)[between], around[between], layout)
    taken = x.copy()
    fs.backward.cross_entropy(grad, taken, target, out=taken, **options)
    assert_same(fs, taken, slope)
    one = fs.backward.cross_entropy(0.5, x, target, **options)
    assert_same(fs, one, fs.backward.cross_entropy(np.full(rows, 0.5, dtype), x, target, **options))


@each_real
@pytest.mark.parametrize(("shape", "axis"), [((30_000, 10), 1), ((3000, 100), 1), ((100, 3000), 0), ((9, 30_000), 1)])
def test_threads(compiled, dtype, shape, axis):
    x, rows = logits(dtype, shape), tuple(np.delete(shape, axis))
    target, grad = classes(rows, shape[axis]), logits(dtype, rows)
    for options in ({}, {"where": x < 5}):
        results = []
        for threads in (1, 2):
            with compiled.num_threads(threads):
                results.append(
                    (
                        compiled.cross_entropy(x, target, axis, **options),
                        compiled.backward.cross_entropy(grad, x, target, axis, **options),
                    )
                )
        for one, two in zip(*results):
            assert_same_bits(one, two)


@each_real
def test_compiled_and_pure_agree(compiled, dtype):
    from conftest import imported_on

    pure, rng = imported_on("pure"), np.random.default_rng(0)
    for n in (1, 3, 16, 40, 600):
        x, target, mask = logits(dtype, (20, n)), classes(20, n), rng.random((20, n)) < 0.7
        for options in ({}, {"where": mask}, {"ignore_index": 0}, {"label_smoothing": 0.2}):
            for name, given in (("cross_entropy", (x, target)), ("backward.cross_entropy", (0.5, x, target))):
                ours, theirs = (attrgetter(name)(package)(*given, **options) for package in (compiled, pure))
                atol = np.finfo(dtype).eps if "label_smoothing" in options else 1e-30  # which gradient crosses 0
                np.testing.assert_allclose(ours, theirs, rtol=64 * np.finfo(dtype).eps, atol=atol)


# -------------------------------------------------------------------------------- what the documentation has


def test_log_probabilities_and_entropy(fs):
    """The recipes."""
    x = logits("float64", (6, 5))
    x[0, 1], x[1, :4] = -inf, -inf
    target = np.array([0, 4, 1, 2, 3, 0])
    chosen = -fs.cross_entropy(x, target)
    np.testing.assert_allclose(chosen, np.take_along_axis(fs.log_softmax(x), target[:, None], 1)[:, 0], rtol=1e-14)
    p = fs.softmax(x)
    entropy = fs.cross_entropy(x, p)
    with mpmath.workprec(200):
        for row, got in zip(x, entropy):
            e = [mpmath.exp(mpmath.mpf(v)) for v in row]
            shares = [v / mpmath.fsum(e) for v in e]
            truth = -mpmath.fsum(v * mpmath.log(v) for v in shares if v)
            assert abs(got - truth) <= 8e-16 * max(truth, mpmath.mpf(2) ** -1000)
    where = np.random.default_rng(1).random(x.shape) < 0.6
    where[:, 4] = True
    masked = fs.cross_entropy(x, fs.softmax(x, where=where), where=where)
    for i in range(len(x)):
        np.testing.assert_allclose(masked[i], fs.cross_entropy(x[i, where[i]], fs.softmax(x[i, where[i]])), rtol=1e-14)
