"""Functions of the two halves of an axis, and their gradients: against mpmath, long double, torch and central
differences; layouts, dtypes, masks, threads, other libraries' arrays, and calls that cannot be right."""

import inspect
import itertools
import pickle
import warnings

import mpmath
import numpy as np
import pytest
from layouts import EMPTY, GUARD, LAYOUTS, assert_same, assert_same_bits, place
from oracle import BITS, HALVES, HAS_LONG_DOUBLE, exact, of_halves, to_mpf, ulp_error, ulp_error_exact

from fastsig._catalog import TABLE

inf, nan = np.inf, np.nan
needs_long_double = pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="no long double here")
each_row = pytest.mark.parametrize("row", HALVES, ids=lambda row: row.name)
each_float = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
each_real = pytest.mark.parametrize("dtype", ["float32", "float64"])
SHAPES = [(2,), (6,), (3, 8), (8, 3), (1, 4, 5), (3, 4, 5), (2, 300), (5, 2, 600), (40, 2), (7, 10), (6, 20_000)]


@pytest.fixture(autouse=True)
def quiet_numpy():
    """For what results are compared with; test_no_warnings is about ours."""
    with np.errstate(all="ignore"):
        yield


def both(fs, row):
    return getattr(fs, row.name), getattr(fs.backward, row.name)


def numbers(dtype, n, seed=0):
    """a and b of all sizes: also a large a beside a b so far below 0 that its sigmoid is less than any number."""
    rng, info = np.random.default_rng(seed), np.finfo(dtype)
    lowest = -(np.log(float(info.max)) - np.log(float(info.smallest_subnormal)))
    a, b = rng.normal(0, 3, n), np.concatenate([rng.normal(0, scale, n // 4) for scale in (0.1, 1, 4, 30)])
    wide = rng.random(n) < 0.5
    size = np.log10(float(info.max))
    a[wide] = (10 ** rng.uniform(-size, size, n) * rng.choice([-1, 1], n))[wide]
    b[wide] = rng.uniform(1.05 * lowest, 80, n)[wide]
    return a.astype(dtype), b.astype(dtype)


def typical(dtype, shape, seed=0):
    return np.random.default_rng(seed).normal(0, 4, shape).astype(dtype)


def slopes(grad, x, axis=-1):
    """The gradient of glu by definition, in long double."""
    (a, b), grad = np.split(np.asarray(x, np.longdouble), 2, axis), np.asarray(grad, np.longdouble)
    e = np.exp(-np.abs(b))
    return np.concatenate([grad * np.where(b < 0, e, 1) / (1 + e), grad * (a * e / (1 + e) ** 2)], axis)


def axes(shape):
    return [i for i, n in enumerate(shape) if n % 2 == 0]


# -------------------------------------------------------------------------------- values


@each_row
def test_table_is_the_long_double(row):
    """The table's truths, by mpmath, against what the other tests compare with."""
    a, b = numbers("float32", 40)
    grad, x = typical("float32", 40), np.concatenate([a, b])
    truth = [float(value) for value in exact(row, x)]
    np.testing.assert_allclose(of_halves(row, x).astype(float), truth, rtol=1e-14)
    with mpmath.workprec(BITS):
        names = vars(mpmath) | {"x": list(map(to_mpf, x)), "grad": list(map(to_mpf, grad))}
        truth = [float(value) for value in eval(row.gradient.truth, names)]
    np.testing.assert_allclose(slopes(grad, x).astype(float), truth, rtol=1e-14)


@each_row
@each_real
def test_against_mpmath(fs, row, dtype):
    a, b = numbers(dtype, 2000)
    x = np.concatenate([a, b])
    bound, slope_bound = (each[dtype == "float64"] for each in (row.max_ulp, row.gradient.max_ulp))
    assert ulp_error_exact(both(fs, row)[0](x), exact(row, x)).max() <= bound
    with mpmath.workprec(BITS):
        names = vars(mpmath) | {"x": list(map(to_mpf, x)), "grad": [mpmath.mpf(1)] * 2000}
        truth = eval(row.gradient.truth, names)
    assert ulp_error_exact(both(fs, row)[1](np.ones_like(a), x), truth).max() <= slope_bound


@needs_long_double
@each_row
@each_float
def test_errors(fs, row, dtype):
    a, b = numbers(dtype, 200_000)
    x, one = np.concatenate([a, b]), np.ones_like(a)
    bound, slope_bound = (each[dtype == "float64"] for each in (row.max_ulp, row.gradient.max_ulp))
    bound, slope_bound = (0.51, 0.51) if dtype == "float16" else (bound, slope_bound)
    function, gradient = both(fs, row)
    got = function(x)
    assert got.dtype == x.dtype
    assert ulp_error(got, of_halves(row, x)).max() <= bound
    assert ulp_error(gradient(one, x), slopes(one, x)).max() <= slope_bound
    grad = typical(dtype, len(a))
    if fs._backend.threads is not None and dtype != "float16":  # the fallback multiplies in a wider type
        assert_same_bits(gradient(grad, x), np.concatenate([grad, grad]) * gradient(one, x))


@each_row
@each_float
def test_ends(fs, row, dtype):
    function, gradient = both(fs, row)
    a = [inf, -inf, inf, -inf, inf, 2, 2, 0, -0.0, 1, nan, 0, nan, 3]
    b = [inf, 3, -9, -inf, -inf, inf, -inf, inf, -3, nan, 1, nan, -inf, 0]
    expected = [inf, -inf, inf, nan, nan, 2, 0, 0, -0.0, nan, nan, nan, nan, 1.5]
    for many in (1, 40):  # also in whole vectors
        x = np.array([a * many, b * many], dtype)
        assert_same_bits(function(x, axis=0)[0], np.array(expected * many, dtype))
        got = gradient(np.ones((1, len(x[0])), dtype), x, axis=0)
        np.testing.assert_array_equal(got[0, [0, 3, 5, 6, 7, 13]], [1, 0, 1, 0, 1, 0.5])
        np.testing.assert_array_equal(got[1, [2, 4, 5, 6, 7, 13]], [inf, nan, 0, 0, 0, 0.75])
        assert np.isnan(got[:, [9, 11]]).all() and np.isnan(got[1, [10, 12]]).all()


@each_row
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_as_in_torch(fs, row, shape):
    torch = pytest.importorskip("torch")
    for axis in axes(shape):
        x = typical("float64", shape)
        tensor = torch.from_numpy(x).clone().requires_grad_()
        theirs = eval(row.torch, {"torch": torch, "x": tensor, "axis": axis})
        grad = typical("float64", theirs.shape, 1)
        theirs.backward(torch.from_numpy(grad))
        np.testing.assert_allclose(both(fs, row)[0](x, axis), theirs.detach().numpy(), rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(both(fs, row)[1](grad, x, axis), tensor.grad.numpy(), rtol=1e-12, atol=1e-15)


@each_row
def test_central_differences(fs, row):
    function, gradient = both(fs, row)
    x, h = typical("float64", (3, 8)), 1e-6
    grad = typical("float64", (3, 4), 1)
    got = gradient(grad, x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slope = (grad * (function(x + step) - function(x - step))).sum() / (2 * h)
        assert got[i] == pytest.approx(slope, abs=1e-7)


# -------------------------------------------------------------------------------- wherever they lie


@each_row
@each_float
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits_wherever_it_lies(fs, row, dtype, shape):
    """By the short way and by NumPy's, along any axis, in any layout and into any."""
    function, gradient = both(fs, row)
    for axis in axes(shape):
        x = typical(dtype, shape)
        a, b = np.split(x, 2, axis)
        grad = typical(dtype, a.shape, 1)
        alone = np.concatenate([a.ravel(), b.ravel()])
        expected = function(alone).reshape(a.shape)
        slope = [each.reshape(a.shape) for each in np.split(gradient(grad.ravel(), alone), 2)]
        slope = np.concatenate(slope, axis)
        for layout in LAYOUTS:
            for each in (axis, axis - x.ndim):
                assert_same(fs, function(place(x, layout), each), expected, layout)
                assert_same(fs, gradient(place(grad, layout), place(x, layout), each), slope, layout)
        for layout in EMPTY:
            out, wide = EMPTY[layout](expected), EMPTY[layout](x)
            assert function(x, axis, out=out) is out and gradient(grad, x, axis, out=(wide,)) is wide
            assert_same(fs, out.astype(dtype), expected, layout)
            assert_same(fs, wide.astype(dtype), slope, layout)
        assert_same(fs, function(x, np.int8(axis), dtype=dtype), expected)
        assert_same(fs, gradient(grad, x, axis, dtype=dtype), slope)


@each_row
@each_real
def test_result_lies_as_the_input(fs, row, dtype):
    function, gradient = both(fs, row)
    for x in (typical(dtype, (4, 6)), np.asfortranarray(typical(dtype, (4, 6)))):
        for axis, order in itertools.product((0, 1), "KCFA"):
            got = function(x, axis, order=order)
            like = np.positive(np.split(x, 2, axis)[0], order=order)
            assert got.strides == like.strides
            got, like = gradient(got, x, axis, order=order), np.positive(x, order=order)
            assert got.strides == like.strides
    for out in ({}, {"out": np.empty_like(x)}):
        with pytest.raises(ValueError, match="order must be one of"):
            gradient(got[:, :3], x, order="nonsense", **out)


@each_row
@each_float
def test_in_place(fs, row, dtype):
    """As if all had been read before anything is written."""
    function, gradient = both(fs, row)
    for axis in (0, 1):
        x = typical(dtype, (40, 60))
        expected, slope = function(x, axis), gradient(function(x, axis), x, axis)
        for half in (0, 1):
            buffer = x.copy()
            out = np.split(buffer, 2, axis)[half]
            assert function(buffer, axis, out=out) is out
            assert_same(fs, out, expected)
        buffer = x.copy()
        assert gradient(expected, buffer, axis, out=buffer) is buffer
        assert_same(fs, buffer, slope)
        buffer = np.concatenate([expected, expected], axis)
        gradient(np.split(buffer, 2, axis)[1], x, axis, out=buffer)
        assert_same(fs, buffer, slope)


@each_row
@each_float
@pytest.mark.parametrize("shape", [(300_000,), (60_000, 10), (3000, 200), (2, 300_000), (100, 30, 200)], ids=str)
def test_any_number_of_threads(compiled, row, dtype, shape):
    function, gradient = both(compiled, row)
    x = typical(dtype, shape)
    for axis in axes(shape):
        with compiled.num_threads(1):
            expected = function(x, axis)
            slope = gradient(expected, x, axis)
        for threads in (2, 3, 8):
            with compiled.num_threads(threads):
                for _ in range(2):
                    assert_same_bits(function(x, axis), expected)
                    assert_same_bits(gradient(expected, x, axis), slope)


@each_row
def test_no_array_beside_the_result(compiled, row):
    """Nor a copy of a half."""
    tracemalloc = pytest.importorskip("tracemalloc")
    function, gradient = both(compiled, row)
    x = typical("float32", (1000, 2000))
    for axis, layout in itertools.product((0, 1), ("contiguous", "strided")):
        x_laid = place(x, layout)
        grad = function(x_laid, axis)
        for (called, *given), size in (((function, x_laid), grad.nbytes), ((gradient, grad, x_laid), x.nbytes)):
            tracemalloc.start()
            called(*given, axis)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < size + 100_000, (axis, layout)


# -------------------------------------------------------------------------------- how they are called


@each_row
def test_public_objects(fs, default, row):
    function, gradient = both(fs, row)
    options = ["out", "where", "dtype", "casting", "order", "subok"]
    assert list(inspect.signature(function).parameters) == ["x", "axis", *options]
    assert list(inspect.signature(gradient).parameters) == ["grad_output", "x", "axis", *options]
    assert function.__name__ == gradient.__name__ == row.name
    assert (function.__module__, gradient.__module__) == ("fastsig", "fastsig.backward")
    for each in both(default, row):
        assert pickle.loads(pickle.dumps(each)) is each
    for name, nin in ((row.name, 2), (f"{row.name}_backward", 3), (f"{row.name}_backward_linear", 2)):
        ufunc, of_default = fs._backend.ufuncs[name], default._backend.ufuncs[name]
        assert (ufunc.__name__, ufunc.nin, ufunc.signature) == (name, nin, None)
        assert pickle.loads(pickle.dumps(of_default)) is of_default


@each_row
@pytest.mark.parametrize("char", "?bBhHiIlLqQefd")
def test_dtypes(fs, row, char):
    """Integers become float64; of a gradient, all operands count."""
    function, gradient = both(fs, row)
    x = np.array([[0, 1, 1, 0], [1, 1, 0, 1]], char)
    wanted = np.dtype(char if char in "efd" else "d")
    for each in (x, x[0], x[:0], x[:, :0]):
        got, expected = function(each), function(each.astype(wanted))
        assert got.dtype == wanted and got.shape == (*each.shape[:-1], each.shape[-1] // 2)
        assert_same(fs, got, expected)
        assert_same(fs, function(each, casting="no"), expected)
        for grad in "efd":
            slope = gradient(np.ones(got.shape, grad), each)
            assert slope.dtype == np.result_type(grad, char) and slope.shape == each.shape
        assert gradient(2.0, each).dtype == gradient(1, each).dtype == wanted
    for other in "efd":
        if np.can_cast(wanted, other, "same_kind"):
            assert function(x, dtype=other).dtype == gradient(1.0, x, dtype=other).dtype == other
            out = np.zeros((2, 2), other)
            assert function(x, out=out) is out
            assert_same(fs, out, function(x).astype(other))
            out = np.zeros((2, 4), other)
            assert_same(fs, gradient(1.0, x, out=out), gradient(1.0, x).astype(other))
    if char in "fd":
        with pytest.raises(TypeError, match="'safe'"):
            function(x, dtype="e", casting="safe")
        with pytest.raises(TypeError, match="'safe'"):
            gradient(x[:, :2], x, dtype="e", casting="safe")


@each_row
def test_bfloat16(fs, row):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    function, gradient = both(fs, row)
    for shape, axis in (((6, 8), -1), ((8, 50), 0), ((4, 3000), 1)):
        x = typical("float32", shape).astype(bfloat16)
        grad = function(x, axis)
        assert grad.dtype == bfloat16 and gradient(grad, x, axis).dtype == bfloat16
        for got, wide in (
            (grad, function(x.astype("f"), axis)),
            (gradient(grad, x, axis), gradient(grad.astype("f"), x.astype("f"), axis)),
        ):
            np.testing.assert_allclose(got.astype("f"), wide, rtol=2**-8 if fs._backend.threads else 2**-7)
        assert function(x.astype("f"), axis, dtype=bfloat16).dtype == bfloat16
        assert_same(fs, function(place(x, "strided"), axis).astype("f"), grad.astype("f"))


@each_row
@each_float
def test_where_leaves_the_rest_alone(fs, row, dtype):
    """Elementwise, as the result has half the elements: of a gradient in both halves."""
    function, gradient = both(fs, row)
    x = typical(dtype, (5, 2, 30))
    for axis in (1, 2):
        expected = function(x, axis)
        slope, kind = gradient(expected, x, axis), x.dtype.type
        for mask in (np.random.default_rng(0).random(expected.shape) < 0.5, expected[..., :1] > 0, [[[True]]], False):
            out, wide = np.full_like(expected, GUARD), np.full_like(slope, GUARD)
            function(x, axis, out=out, where=mask)
            assert_same(fs, out, np.where(mask, expected, kind(GUARD)))
            gradient(expected, x, axis, out=wide, where=mask)
            whole = np.concatenate([np.broadcast_to(mask, expected.shape)] * 2, axis)
            assert_same(fs, wide, np.where(whole, slope, kind(GUARD)))


@each_row
def test_lists_numbers_and_broadcasting(fs, row):
    function, gradient = both(fs, row)
    x = typical("float64", (3, 4))
    assert_same(fs, function(x.tolist(), 1), function(x, 1))
    assert_same(fs, gradient(2.0, x), gradient(np.full((3, 2), 2.0), x))
    assert_same(fs, gradient([1.0, 2.0], x), gradient(np.array([[1.0, 2.0]] * 3), x))
    assert_same(fs, gradient([[1.0], [2.0], [3.0]], x), gradient(np.array([[1.0], [2.0], [3.0]]) * [1.0, 1.0], x))
    out = np.zeros((2, 3, 2))
    assert function(x, out=out) is out  # elementwise functions stretch theirs, too
    assert_same(fs, out, np.stack([function(x)] * 2))


@each_row
@each_float
def test_no_warnings(fs, row, dtype):
    function, gradient = both(fs, row)
    a, b = numbers(dtype, 4000)
    special = np.array([0, -0.0, inf, -inf, nan, 1, np.finfo(dtype).max, -np.finfo(dtype).max], dtype)
    x = np.concatenate([a, np.repeat(special, 8), b, np.tile(special, 8)])
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for each in (x, x[::-1], x.reshape(2, -1)):
            gradient(function(each, 0), each, 0)
            gradient(function(each, 0), each, 0, dtype=dtype, out=np.zeros_like(each))


X = np.ones((4, 6))
WRONG = {
    "odd": (ValueError, lambda f, g: f(np.ones((2, 5))), "axis -1 has the odd length 5"),
    "odd, of a gradient": (ValueError, lambda f, g: g(1.0, np.ones((2, 5))), "axis -1 has the odd length 5"),
    "odd axis": (ValueError, lambda f, g: f(np.ones((3, 4)), axis=0), "axis 0 has the odd length 3"),
    "number": (ValueError, lambda f, g: f(2.0), "axis -1 has the odd length 1"),
    "axis": (np.exceptions.AxisError, lambda f, g: f(X, 2), "axis 2 is out of bounds"),
    "axis of a gradient": (np.exceptions.AxisError, lambda f, g: g(1.0, X, -3), "axis -3 is out of bounds"),
    "no axis": (TypeError, lambda f, g: f(X, None), "axis must be an integer, not None"),
    "axes": (TypeError, lambda f, g: f(X, (0, 1)), r"axis must be an integer, not \(0, 1\)"),
    "float axis": (TypeError, lambda f, g: f(X, 1.0), "axis must be an integer"),
    "dim": (TypeError, lambda f, g: f(X, dim=1), "it is called axis here"),
    "keyword": (TypeError, lambda f, g: f(X, nonsense=1), "nonsense"),
    "dtype": (TypeError, lambda f, g: f(X.astype(complex)), "supports bool, integer"),
    "long double": (TypeError, lambda f, g: g(1.0, X.astype(np.longdouble)), "supports bool, integer"),
    "shape of grad": (ValueError, lambda f, g: g(np.ones((4, 6)), X), r"grad_output has shape \(4, 6\)"),
    "stretched by grad": (ValueError, lambda f, g: g(np.ones((2, 4, 3)), X), r"grad_output has shape \(2, 4, 3\)"),
    "shape of out": (ValueError, lambda f, g: f(X, out=np.zeros((4, 6))), "broadcast"),
    "shape of a gradient's out": (ValueError, lambda f, g: g(1.0, X, out=np.zeros((4, 3))), "out has shape"),
    "cast": (TypeError, lambda f, g: f(X, out=np.zeros((4, 3), int)), "same_kind"),
    "cast of a gradient": (TypeError, lambda f, g: g(1.0, X, out=np.zeros((4, 6), int)), "same_kind"),
    "list as out": (TypeError, lambda f, g: g(1.0, X, out=[0.0]), "ArrayType"),
    "read-only": (ValueError, lambda f, g: f(X, out=np.broadcast_to(0.0, (4, 3))), "read-only"),
    "mask": (TypeError, lambda f, g: f(X, out=np.zeros((4, 3)), where=np.ones((4, 3))), "'safe'"),
}


@each_row
@pytest.mark.parametrize("wrong", WRONG)
def test_bad_calls(fs, row, wrong):
    exception, call, message = WRONG[wrong]
    with pytest.raises(exception, match=message) as raised:
        call(*both(fs, row))
    if "odd" in message or "axis must" in message or "grad_output" in message:
        assert str(raised.value).startswith(f"{row.name}: ")


def test_only_these_are_not_elsewhere():
    """What the other tests leave out of the table is here or in test_losses."""
    assert {row.kind for row in TABLE} == {"elementwise", "rows", "reduction", "loss", "halves"}


# -------------------------------------------------------------------------------- other arrays


@each_row
@pytest.mark.parametrize("axis", [0, 1])
def test_masked_arrays(fs, row, axis):
    """What is missing in one half is missing in the result, and in both halves of a gradient."""
    function, gradient = both(fs, row)
    x, rng = typical("float64", (4, 6)), np.random.default_rng(3)
    hidden = rng.random(x.shape) < 0.3
    masked = np.ma.array(np.where(hidden, nan, x), mask=hidden)
    either = np.logical_or(*np.split(hidden, 2, axis))
    got = function(masked, axis)
    assert type(got) is np.ma.MaskedArray
    np.testing.assert_array_equal(np.ma.getmaskarray(got), either)
    assert_same(fs, got.data[~either], function(x, axis)[~either])
    grad = np.ma.array(typical("float64", either.shape, 1), mask=rng.random(either.shape) < 0.2)
    for given, lost in ((grad, either | grad.mask), (grad.data, either), (2.0, either)):
        plain = gradient(np.asarray(given), x, axis)
        got, lost = gradient(given, masked, axis), np.concatenate([lost, lost], axis)
        assert type(got) is np.ma.MaskedArray and got.shape == x.shape
        np.testing.assert_array_equal(np.ma.getmaskarray(got), lost)
        assert_same(fs, got.data[~lost], plain[~lost])
        out = np.ma.array(np.zeros_like(x))
        assert gradient(given, masked, axis, out=out) is out
        np.testing.assert_array_equal(np.ma.getmaskarray(out), lost)
        bare = np.full_like(x, GUARD)
        gradient(given, masked, axis, out=bare)
        assert_same(fs, bare, np.where(lost, GUARD, plain))
    got = gradient(grad, x, axis)
    assert type(got) is np.ma.MaskedArray
    np.testing.assert_array_equal(np.ma.getmaskarray(got), np.concatenate([grad.mask, grad.mask], axis))
    whole = np.ma.array(x)
    assert function(whole, axis).mask is np.ma.nomask and gradient(1.0, whole, axis).mask is np.ma.nomask


@each_row
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices(fs, row):
    function, gradient = both(fs, row)
    x = np.matrix(typical("float64", (2, 4)))
    assert type(function(x)) is np.matrix and type(gradient(1.0, x)) is np.matrix
    assert_same_bits(np.asarray(function(x)), function(np.asarray(x)))
    assert type(function(x, subok=False)) is np.ndarray and type(gradient(1.0, x, subok=False)) is np.ndarray


class Unknown:
    def __array_ufunc__(self, *_, **__):
        return NotImplemented


@each_row
def test_unknown_arrays(fs, row):
    function, gradient = both(fs, row)
    for call in (lambda x: function(x), lambda x: gradient(1.0, x), lambda x: gradient(x, np.ones(4))):
        with pytest.raises(TypeError, match="fastsig does not know"):
            call(Unknown())
