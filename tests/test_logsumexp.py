"""logsumexp: SciPy's options and results, special sums, masks, accuracy, and the same bits wherever a row lies."""

import inspect
import itertools
import warnings

import mpmath
import numpy as np
import pytest
import scipy.special
from layouts import EMPTY, GUARD, LAYOUTS, assert_same, assert_same_bits, place
from oracle import BITS, HAS_LONG_DOUBLE, REDUCTIONS, along, exact, excess, to_mpf

(ROW,) = REDUCTIONS
# The last for Python 3.10, 1.15, has other dtypes beside weights and other signs.
as_in_scipy = pytest.mark.skipif(
    np.lib.NumpyVersion(scipy.__version__) < "1.17.0", reason="SciPy's dtypes and signs were others"
)
each_float = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
each_real = pytest.mark.parametrize("dtype", ["float32", "float64"])
AXES = (0, 1, 2, -1, -3, (0,), (0, 1), (1, 0), (0, 2), (-1, 0), (0, 1, 2), (2, 0, 1), (), None)
LENGTHS = (*range(1, 41), 100, 511, 512, 513, 1000, 1500)
inf, nan = np.inf, np.nan


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


def rounded(x, dtype):
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def normal(shape, dtype="float64", scale=4):
    return rounded(np.random.default_rng(0).normal(0, scale, shape), dtype)


def scipy_logsumexp(*arguments, **keywords):
    with np.errstate(all="ignore"):
        return scipy.special.logsumexp(*arguments, **keywords)


def assert_like_scipy(fs, *arguments, rtol=1e-13, **keywords):
    """Values, dtypes, shapes and kinds of result."""
    got, theirs = fs.logsumexp(*arguments, **keywords), scipy_logsumexp(*arguments, **keywords)
    assert type(got) is type(theirs)
    for ours, wanted in zip(*((pair if isinstance(pair, tuple) else (pair,)) for pair in (got, theirs)), strict=True):
        assert type(ours) is type(wanted)
        assert_close(ours, wanted, rtol)


def assert_close(got, wanted, rtol=0):
    """But for a few units; small errors are test_accuracy's."""
    rtol = max(rtol, 16 * np.finfo(wanted.dtype).eps)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol, strict=True)


# -------------------------------------------------------------------------------- as in SciPy


def test_signature(fs):
    ours, theirs = (list(inspect.signature(f).parameters.values()) for f in (fs.logsumexp, scipy.special.logsumexp))
    assert [(p.name, p.default) for p in ours[1:5]] == [(p.name, p.default) for p in theirs[1:5]]
    ufunc = fs._backend.ufuncs["logsumexp"]
    assert (ufunc.nin, ufunc.nout, ufunc.signature, fs._backend.ufuncs["logsumexp_where"].signature) == (
        1,
        1,
        "(n)->()",
        "(n),(n)->()",
    )
    assert isinstance(ufunc, np.ufunc) == (fs._backend.threads is not None)
    assert fs.logsumexp.__name__ == ufunc.__name__ == "logsumexp"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "axis"), [((6, 5), -1), ((6, 5), 0), ((40, 100), -1), ((3, 4, 70), (0, 2))])
def test_weights_wherever_they_lie(fs, layout, shape, axis):
    rng = np.random.default_rng(5)
    for x, b in ((rng.normal(0, 3, shape), rng.uniform(0.1, 2, shape)) for _ in range(20)):
        got = fs.logsumexp(place(x, layout), axis, place(b, layout))
        assert_same(fs, got, fs.logsumexp(x, axis, b), layout)


def test_scipys_name_of_x(fs):
    x = normal((4, 5))
    for options in ({}, {"axis": 1}, {"b": 0.5}, {"return_sign": True}, {"out": np.empty(4), "axis": 1}):
        np.testing.assert_array_equal(fs.logsumexp(a=x, **options), fs.logsumexp(x, **options))
    for arguments, keywords in (((), {}), ((), {"axis": 1}), ((x,), {"a": x})):
        with pytest.raises(TypeError, match="'x'" if not arguments else "'a'"):
            fs.logsumexp(*arguments, **keywords)


@each_float
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_axis(fs, dtype, axis):
    x = normal((4, 5, 6), dtype)
    for keepdims, return_sign in itertools.product((False, True), repeat=2):
        assert_like_scipy(fs, x, axis, None, keepdims, return_sign)
        assert_like_scipy(fs, x, axis=axis, keepdims=keepdims, return_sign=return_sign)
    got = fs.logsumexp(x, axis)
    for layout in LAYOUTS:
        assert_same(fs, fs.logsumexp(place(x, layout), axis), got, layout)
    if isinstance(axis, int):
        for kind in (np.int8, np.intp, np.array):
            assert_same(fs, fs.logsumexp(x, kind(axis)), got)


WEIGHTS = {
    "positive": lambda rng, shape: rng.uniform(0.1, 3, shape),
    "of both signs": lambda rng, shape: rng.normal(0, 3, shape),
    "negative": lambda rng, shape: -rng.uniform(0.1, 3, shape),
    "some 0": lambda rng, shape: rng.integers(-1, 2, shape).astype(float),
    "integers": lambda rng, shape: rng.integers(-2, 5, shape),
    "bool": lambda rng, shape: rng.random(shape) < 0.5,
    "all 0": lambda rng, shape: np.zeros(shape),
}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 1), ()], ids=str)
@pytest.mark.parametrize("block", [7, 10**6])
def test_weights(fs, weights, axis, block, monkeypatch):
    monkeypatch.setattr(fs._functions, "_BLOCK", block)
    rng = np.random.default_rng(3)
    x = normal((4, 5, 6))
    for shape in ((4, 5, 6), (5, 6), (6,), (1,), (), (4, 1, 1), (2, 1, 1, 1)):
        b = WEIGHTS[weights](rng, shape)
        if axis != -1 and axis is not None and len(shape) > 3:
            continue
        for keepdims, return_sign in itertools.product((False, True), repeat=2):
            # Sums of both signs may cancel.
            assert_like_scipy(fs, x, axis, b, keepdims, return_sign, rtol=1e-10)


@as_in_scipy
@pytest.mark.parametrize("x_dtype", [*"?bBiQefd", "python"])
@pytest.mark.parametrize("b_dtype", [*"?bBhiQefd", "python int", "python float", "python bool", "list", None])
def test_dtypes(fs, x_dtype, b_dtype):
    x = [1.0, 0.5, 2.0] if x_dtype == "python" else np.array([1, 0, 2], x_dtype)
    python = {"python int": 2, "python float": 2.5, "python bool": True, "list": [1, 2, 3], None: None}
    b = python[b_dtype] if b_dtype in python else np.array([1, 0, 1], b_dtype)
    scalar = b if b_dtype in python else b[0]
    for weights in (b, scalar) if b_dtype != "list" else (b,):
        for return_sign in (False, True):
            assert_like_scipy(fs, x, b=weights, return_sign=return_sign)
    for weights in (None, 2):
        got = fs.logsumexp(x, b=weights, dtype="float32")
        assert got.dtype == np.float32


@as_in_scipy
def test_scalars(fs):
    for x in (5.0, 5, True, np.float32(5), np.array(5.0), [5]):
        for axis in (None, 0, -1, (0,), ()):
            for keepdims in (False, True):
                for return_sign in (False, True) if axis != () or keepdims else (True,):
                    assert_like_scipy(fs, x, axis, keepdims=keepdims, return_sign=return_sign)


def test_nothing(fs):
    # Without weights and for axis=(), 0-d stays 0-d as in all of NumPy; SciPy gives it an axis.
    assert fs.logsumexp(5.0, axis=()).shape == ()
    for shape, axis in itertools.product(((0,), (2, 0), (0, 3), (2, 0, 3)), (None, 0, -1, (0,), "all")):
        axis = tuple(range(len(shape))) if axis == "all" else axis
        x = np.empty(shape, "float32")
        for keepdims in (False, True):
            expected = np.log(np.sum(x, axis, keepdims=keepdims, initial=1)) - inf
            for options in ({}, {"b": 2}, {"where": True}, {"where": np.ones(shape, bool)}):
                got = fs.logsumexp(x, axis, keepdims=keepdims, **options)
                np.testing.assert_array_equal(got, expected, strict=True)
                got, sign = fs.logsumexp(x, axis, keepdims=keepdims, return_sign=True, **options)
                np.testing.assert_array_equal(got, expected, strict=True)
                np.testing.assert_array_equal(sign, np.zeros_like(expected), strict=True)


SPECIAL = [
    ([-inf, -inf], None),
    ([inf, 1], None),
    ([inf, inf], None),
    ([inf, -inf], None),
    ([nan, 1], None),
    ([nan, inf], None),
    ([-inf, nan], None),
    ([-inf, 1], None),
    ([-inf, 1], [1, -2]),
    ([inf, 0], [0, 1]),
    ([nan, 0], [0, 1]),
    ([1, 0], [0, 0]),
    ([1, 1], [1, -1]),
    ([inf, inf], [1, -1]),
    ([inf, 0], [-1, 1]),
    ([0, 1], [inf, 1]),
    ([1, 0], [inf, inf]),
    ([1, 0], [inf, -inf]),
    ([0, 1], [nan, 1]),
    ([-inf, 1], [inf, 1]),
    ([-inf, -inf], [1, -1]),
    ([1000, 1000], [1, 2]),
    ([1000, 999], [-3, 1]),
    ([-1000, -999], [-3, 2]),
    ([0, -50], None),
    ([0, -50], [1, -1]),
    ([0, -800], [0, 1]),
    ([0, 0], [1e-300, 1]),
    ([1, 0], [1e-300, 1e300]),
]


@as_in_scipy
@pytest.mark.parametrize(("x", "b"), SPECIAL)
@each_real
def test_special_sums(fs, x, b, dtype):
    x = np.array(x, dtype)
    for return_sign in (False, True):
        assert_like_scipy(fs, x, None, b, return_sign=return_sign)
        assert_like_scipy(fs, np.stack([x, x]), 1, b, return_sign=return_sign)


@each_float
def test_better_than_scipy(fs, dtype):
    """Where SciPy says NaN."""
    x = np.array([inf, 0], dtype)
    assert fs.logsumexp(x, b=[0, 0], return_sign=True) == (-inf, 0)
    assert fs.logsumexp(np.array([inf, inf], dtype), b=[0, 1]) == inf
    assert fs.logsumexp(np.array([nan, inf], dtype), b=[0, 1]) == inf
    assert fs.logsumexp(np.array([1000, 1000, 999], dtype), b=[1, -1, 1]) == 999
    assert fs.logsumexp(np.array([inf, 1000], dtype), b=[1, -1]) == inf


# -------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("options", [{}, {"b": 2}, {"keepdims": True}, {"return_sign": True}], ids=str)
def test_errors(fs, options):
    x = np.ones((2, 3))
    for axis in (2, -3, (0, 2)):
        with pytest.raises(np.exceptions.AxisError):
            fs.logsumexp(x, axis, **options)
    with pytest.raises(np.exceptions.AxisError):
        fs.logsumexp(1.0, 1, **options)
    with pytest.raises(ValueError):
        fs.logsumexp(x, (0, 0), **options)
    for axis in (1.0, True, "0", [0, 1]):
        with pytest.raises(TypeError):
            fs.logsumexp(x, axis, **options)
    for bad in (np.longdouble, complex, np.clongdouble, object, "U1", "M8[s]", "m8[s]", "V4"):
        kind = np.dtype(bad).type.__name__
        message = f"ufunc 'logsumexp' supports bool, integer, float16, float32 and float64 input.*, not {kind}"
        with pytest.raises(TypeError, match=message):
            fs.logsumexp(np.empty((2, 3), bad), **options)
        with pytest.raises(TypeError, match=message):
            fs.logsumexp(x, b=np.empty((2, 3), bad))
    for wrong in ({"where": [True, False]}, {"b": [1, 2]}):
        with pytest.raises(ValueError):
            fs.logsumexp(x, **options | wrong)
    with pytest.raises(TypeError):
        fs.logsumexp(x, casting="no", dtype="float32", **options)
    with pytest.raises(TypeError):
        fs.logsumexp(x, nonsense=1, **options)


@pytest.mark.parametrize("options", [{}, {"b": 2}, {"return_sign": True}, {"where": True}], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), (2, 1)], ids=str)
def test_out(fs, axis, keepdims, options):
    x = normal((4, 5, 6), "float32")

    def logsumexp(**more):
        got = fs.logsumexp(x, axis, keepdims=keepdims, **options, **more)
        return got[0] if "return_sign" in options else got

    expected = logsumexp()
    for layout in EMPTY:
        out = EMPTY[layout](np.asarray(expected)) if np.ndim(expected) else np.empty((), "float32")
        assert logsumexp(out=out) is out
        assert_same(fs, out.astype("float32"), np.asarray(expected), layout)
        out[...] = GUARD
        assert logsumexp(out=(out,)) is out
        assert_same(fs, out.astype("float32"), np.asarray(expected), layout)
    wide, narrow, whole = (np.full(expected.shape, GUARD, dtype) for dtype in "dei")
    np.testing.assert_allclose(logsumexp(out=wide), expected, rtol=1e-6)
    np.testing.assert_allclose(logsumexp(out=narrow), expected, rtol=1e-3)
    with pytest.raises(TypeError):
        logsumexp(out=whole)
    assert (whole == GUARD).all()
    assert logsumexp(out=whole, casting="unsafe") is whole
    for shape in ((*expected.shape, 1), (2, *expected.shape), (7,), x.shape):
        wrong = np.full(shape, GUARD, "float32")
        with pytest.raises(ValueError):
            logsumexp(out=wrong)
        assert (wrong == GUARD).all()
    for wrong in (expected.tolist(), "a", (), (expected, expected), place(np.zeros(expected.shape, "f"), "read-only")):
        with pytest.raises((TypeError, ValueError)):
            logsumexp(out=wrong)


@pytest.mark.parametrize("b", [None, 1])
def test_sign_does_not_depend_on_out(fs, b):
    """Which may be of a dtype in which the result is infinite."""
    x, out = np.array([[-1e6, -1e6], [1.0, 2.0], [-inf, -inf]]), np.zeros(3, np.float16)
    with np.errstate(over="ignore"):  # the cast is NumPy's own
        got, sign = fs.logsumexp(x, 1, b, return_sign=True, out=out)
    assert got is out and out[0] == -inf
    np.testing.assert_array_equal(sign, np.array([1.0, 1.0, 0.0]), strict=True)


def test_out_may_overlap(fs):
    x = normal((5, 5))
    expected = fs.logsumexp(x, 1)
    for lies in (lambda x: x[0], lambda x: x[:, 0], lambda x: x[::-1, 2]):
        for options in ({}, {"b": 1}, {"keepdims": True}):
            buffer = x.copy()
            out = lies(buffer)
            fs.logsumexp(buffer, 1, out=out[:, None] if "keepdims" in options else out, **options)
            np.testing.assert_allclose(out, expected, rtol=1e-14)


# -------------------------------------------------------------------------------- masks


@each_float
@pytest.mark.parametrize("shape", [(40,), (7, 40), (3, 7, 40), (70, 5), (3, 1500)], ids=str)
def test_mask(fs, dtype, shape):
    """What is masked out is as if not there, NaN and infinity too."""
    rng = np.random.default_rng(0)
    x = rounded(rng.normal(0, 3, shape), dtype)
    for mask_shape in (shape, shape[-1:], (*shape[:-1], 1), (1,) * len(shape), ()):
        mask = np.asarray(rng.random(mask_shape) < 0.6)
        broken = np.where(np.broadcast_to(mask, shape), x, rng.choice([nan, inf, -inf, 1e4], shape).astype(dtype))
        for axis in (-1, 0, None):
            truth = rounded(along(ROW, x, axis, mask), dtype)
            got = fs.logsumexp(broken, axis, where=mask)
            assert_close(got, truth)
            weighted, sign = fs.logsumexp(broken, axis, b=2, where=mask, return_sign=True)
            assert_close(weighted, got + np.log(np.array(2, dtype)))
            np.testing.assert_array_equal(sign, weighted > -inf)
            for layout in ("contiguous", "strided", "reversed", "last axis outermost", "read-only"):
                laid = place(mask, layout) if mask.ndim else mask
                assert_same(fs, fs.logsumexp(place(broken, layout), axis, where=laid), got, layout)
    assert_same(fs, fs.logsumexp(x, -1, where=np.True_), fs.logsumexp(x, -1))
    assert np.all(fs.logsumexp(x, -1, where=False) == -inf)


# -------------------------------------------------------------------------------- accuracy


def logits(n, scale, dtype):
    """Rows, every second of which has a sum close to 1, so that maximum and logarithm cancel."""
    x = np.random.default_rng([n, int(scale * 100)]).normal(0, scale, (max(6, 4000 // n), n))
    with np.errstate(all="ignore"):
        x[::2] -= along(ROW, x[::2])[:, None].astype(float)
    x[1] = x[1, 0]
    return x.astype(dtype)


def units(x):
    """One in the last place of the larger of the maximum and what the logarithm of the sum exceeds it by."""
    return np.spacing(np.maximum(np.abs(x.max(-1)), excess(x).astype(x.dtype))).astype(np.longdouble)


@each_real
def test_reference_is_exact_enough(dtype):
    for x in (*logits(7, 3, dtype), *logits(4, 30, dtype), np.array([0, -20, -40], dtype)):
        with mpmath.workprec(BITS), np.errstate(all="ignore"):
            (truth,) = exact(ROW, x)
            scale = max(abs(truth), abs(float(x.max())))
            error = abs(to_mpf(along(ROW, x)[()]) - truth) / scale
        assert error < (2**-60 if HAS_LONG_DOUBLE else 2**-40)


@each_real
@pytest.mark.parametrize("axis", [-1, 0], ids=["last axis", "first axis"])
def test_accuracy(fs, dtype, axis):
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    for n in (1, 2, 3, 5, 10, 16, 17, 33, 100, 513, 1000, 5000):
        for scale in (0.01, 1, 10, 30, 300):
            x = logits(n, scale, dtype)
            with np.errstate(all="ignore"):
                truth = along(ROW, x)
                got = fs.logsumexp(x if axis == -1 else np.ascontiguousarray(x.T), axis)
                errors = np.abs(got - truth) / units(x)
            assert (errors <= ROW.max_ulp[dtype == "float64"]).all(), (n, scale, errors.max())


@each_real
def test_many_small_terms(fs, dtype):
    """Each too small to change the partial sum that holds a maximum."""
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    for n, maxima in itertools.product((100, 512, 1000), ([0], [0, 17])):
        x = np.full((20, n), np.log(np.finfo(dtype).eps / 4.1), dtype)
        x[:, maxima] = 0
        truth = along(ROW, x)
        assert (np.abs(fs.logsumexp(x, -1) - truth) <= ROW.max_ulp[dtype == "float64"] * units(x)).all()


@each_real
def test_near_zero(fs, dtype):
    """log(sum(exp(x))) is 0 there, and so is SciPy's max + log(sum) without log1p."""
    for far in (5, 10, 20, 60):
        for weights, rest in ((None, 2), (1, 2), (np.array([1, 1, 0.5], dtype), 1.5)):
            got, truth = fs.logsumexp(np.array([-far, 0, -far], dtype), b=weights), np.log1p(rest * np.exp(-float(far)))
            assert got == pytest.approx(float(truth), rel=4 * float(np.finfo(dtype).eps), abs=0)


@pytest.mark.parametrize("weights", ["positive", "negative", "of both signs"])
@each_real
def test_accuracy_with_weights(fs, weights, dtype):
    rng = np.random.default_rng(5)
    for n, scale in itertools.product((1, 2, 5, 40), (0.1, 3, 30)):
        x, b = rng.normal(0, scale, n).astype(dtype), WEIGHTS[weights](rng, n).astype(dtype)
        got, sign = fs.logsumexp(x, b=b, return_sign=True)
        with mpmath.workprec(BITS):
            terms = [mpmath.mpf(float(w)) * mpmath.exp(mpmath.mpf(float(v))) for v, w in zip(x, b, strict=True)]
            total, magnitude = mpmath.fsum(terms), mpmath.fsum(map(abs, terms))
            truth, condition = mpmath.log(abs(total)), float(magnitude / abs(total))
        assert sign == mpmath.sign(total)
        eps = np.finfo(dtype).eps
        tolerance = 2 * eps * max(abs(float(truth)), abs(x.max()), 1)
        tolerance += 8 * np.finfo(float).eps * condition * max(1, scale)
        assert abs(float(got) - float(truth)) <= tolerance


@pytest.mark.parametrize("shape", [(3, 5000), (400, 50), (2000, 7)], ids=str)
@each_real
def test_accuracy_with_many_weights(fs, shape, dtype):
    if not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    rng = np.random.default_rng(6)
    x, b = rng.normal(0, 10, shape).astype(dtype), rng.uniform(0.1, 3, shape).astype(dtype)
    x[0], b[0] = 0, 1 / shape[1]  # a mean of ones, the logarithm of which is 0 but for what rounding b has left
    for weights in (b, 0.25, 1 / shape[1]):
        truth = np.log((weights * np.exp(x.astype(np.longdouble))).sum(1))
        size = np.maximum(np.maximum(np.abs(truth), x.max(1)), np.log(shape[1]))
        most = 8 if dtype == "float64" else 1  # float32 is computed in float64
        assert (np.abs(fs.logsumexp(x, 1, weights) - truth) <= most * np.spacing(size.astype(dtype))).all()


# -------------------------------------------------------------------------------- same bits wherever it lies


@each_float
@pytest.mark.parametrize("n", LENGTHS)
def test_a_row_does_not_depend_on_its_neighbours(compiled, dtype, n):
    """Nor on where it lies: each row alone is the reference for every other way to compute it."""
    function = compiled.logsumexp
    x = rounded(np.random.default_rng(n).normal(0, 6, (70, n)), dtype)
    x[3] = x[3, 0]
    x[4, n // 2] = -inf
    x[5] = -inf
    x[6, n // 2] = inf
    x[7, n - 1] = nan
    x[8, 0], x[8, n - 1] = inf, nan
    expected = np.stack([function(one) for one in x])
    assert expected[5] == -inf and expected[6] == inf and np.isnan(expected[7:9]).all()
    assert np.isfinite(np.delete(expected, [5, 6, 7, 8] + ([4] if n == 1 else []))).all()
    for rows in (1, 2, 15, 16, 17, 64, 65, 70):
        assert_same_bits(function(x[:rows], -1), expected[:rows], f"{rows} rows")
        assert_same_bits(function(x[-rows:], -1), expected[-rows:], f"last {rows} rows")
        assert_same_bits(function(x[:rows].T.copy(), 0), expected[:rows], f"{rows} columns")
        out = np.full(2 * rows + 1, GUARD, dtype)
        function(x[:rows], -1, out=out[1::2])
        assert_same_bits(out[1::2], expected[:rows], f"{rows} rows, out= strided")
        assert (out[::2] == GUARD).all()
    for layout in LAYOUTS:
        placed = place(x, layout)
        assert_same_bits(function(placed, -1), expected, layout)
        assert_same_bits(function(placed.T, 0), expected, f"{layout}, axis 0")
        assert_same_bits(function(placed[None], (0, 2)), expected, f"{layout}, two axes")
        assert_same_bits(function(place(x[9], layout)), expected[9], f"{layout}, alone")
        assert_same_bits(function(placed, -1, keepdims=True)[:, 0], expected, f"{layout}, keepdims")
    everything = np.ones(x.shape, bool)
    assert_same_bits(function(x, -1, where=everything), expected, "masked")
    assert_same_bits(function(x[9], where=everything[9]), expected[9], "masked, alone")


@each_float
@pytest.mark.parametrize("shape", [(40_000, 3), (4000, 30), (300, 700), (37, 2000), (2, 100_000)], ids=str)
def test_same_bits_on_any_number_of_threads(compiled, dtype, shape):
    x = normal(shape, dtype)
    columns = np.ascontiguousarray(x.T)
    with compiled.num_threads(1):
        expected = compiled.logsumexp(x, -1)
    for threads in (1, 2, 3, 8):
        with compiled.num_threads(threads):
            assert_same_bits(compiled.logsumexp(x, -1), expected, threads)
            assert_same_bits(compiled.logsumexp(columns, 0), expected, threads)
            assert_same_bits(compiled.logsumexp(x, -1, where=np.ones(shape[-1], bool)), expected, threads)


def test_it_is_what_log_softmax_takes_off(compiled):
    x = np.random.default_rng(0).integers(-9, 9, (30, 20)).astype("float32")  # x - max is exact
    excess = compiled.logsumexp(x - x.max(-1, keepdims=True), -1, keepdims=True)
    np.testing.assert_array_equal(compiled.log_softmax(x), (x - x.max(-1, keepdims=True)) - excess)


# -------------------------------------------------------------------------------- other arrays


def test_other_arrays(fs):
    x = np.arange(6.0).reshape(2, 3)
    assert_same(fs, fs.logsumexp(x.tolist(), 1), fs.logsumexp(x, 1))
    assert_same(fs, fs.logsumexp(memoryview(x), 1), fs.logsumexp(x, 1))
    assert_same(fs, fs.logsumexp(memoryview(x)), fs.logsumexp(x))
    assert_same(fs, fs.logsumexp(x.T, (1, 0)), fs.logsumexp(x))


def test_masked_arrays(fs):
    """What is masked takes no part; a row without anything else has a masked result, as np.ma.sum has."""
    x = np.random.default_rng(0).normal(0, 3, (6, 7)).astype("float32")
    masked = np.ma.array(x, mask=x > 1)
    masked[2] = np.ma.masked
    seen = ~masked.mask
    for axis in (0, 1, -1, (0, 1), None):
        for keepdims in (False, True):
            got = fs.logsumexp(masked, axis, keepdims=keepdims)
            expected, like = fs.logsumexp(x, axis, keepdims=keepdims, where=seen), masked.sum(axis, keepdims=keepdims)
            assert np.shape(got) == like.shape
            np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(like))
            assert_same(fs, np.ma.filled(got, -np.inf), expected)
    got, sign = fs.logsumexp(masked, 1, return_sign=True)
    np.testing.assert_array_equal(got.mask | sign.mask, seen.sum(1) == 0)
    out = np.ma.zeros(6, "float32")
    assert fs.logsumexp(masked, 1, out=out) is out
    np.testing.assert_array_equal(out.mask, seen.sum(1) == 0)
    plain = fs.logsumexp(masked, 1, subok=False)
    assert type(plain) is np.ndarray
    assert plain[2] == -np.inf


def test_masked_weights(fs):
    x = np.array([1.0, 2.0, 3.0])
    weights = np.ma.array([1.0, 1.0, 2.0], mask=[True, False, False])
    expected = fs.logsumexp(x, b=[0, 1, 2])
    assert_same(fs, fs.logsumexp(x, b=weights), expected)
    assert_same(fs, fs.logsumexp(np.ma.array(x, mask=[False, False, True]), b=weights), np.float64(2))


@pytest.mark.parametrize(
    ("x", "weights"),
    [
        ([np.inf, 1], [np.inf, np.inf]),
        ([np.inf, 1], [1, np.inf]),
        ([1000, 0], [1, np.inf]),
        ([0, 1000], [np.inf, 1]),
        ([-np.inf, 0], [1, np.inf]),
    ],
    ids=str,
)
def test_infinite_weights(fs, x, weights):
    """Not NaN, wherever they stand."""
    assert fs.logsumexp(x, b=weights, return_sign=True) == (np.inf, 1)
    assert fs.logsumexp(x, b=np.negative(weights), return_sign=True) == (np.inf, -1)


def test_dtype_of_weights(fs):
    """As of any two operands: Python numbers follow."""
    bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    for narrow in ("float16", bfloat16):
        x = np.ones(3, narrow)
        for b in (2, 2.0, x):
            assert fs.logsumexp(x, b=b).dtype == fs.logsumexp(x, b=b, dtype=narrow).dtype == narrow
        for wide in ("float32", "float64"):
            for first, second in ((x, np.ones(3, wide)), (np.ones(3, wide), x)):
                assert fs.logsumexp(first, b=second).dtype == wide
    assert fs.logsumexp([1, 2], b=[1, 2]).dtype == np.float64


class Unknown:
    """Would answer ufunc calls itself."""

    ndim, shape = 1, (3,)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return "answer"


def test_an_unknown_array(fs):
    for options in ({"x": Unknown()}, {"x": [1.0], "b": Unknown()}, {"x": [1.0], "where": Unknown()}):
        with pytest.raises(TypeError, match=r"logsumexp: fastsig does not know .*Unknown.*: convert"):
            fs.logsumexp(**options)


def test_gradient_narrower_than_x(fs):
    """No warning of what overflows on the way."""
    got = fs.backward.logsumexp(1.0, np.array([1e300, 1]), dtype="float32")
    np.testing.assert_array_equal(got, np.float32([np.nan, np.nan]))


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_gradient_is_softmax_times_grad(fs, kind):
    """Each rounded, in float32 at least; the same bits for one call of the kernels and for the way of all others."""
    dtype = np.dtype(kind if kind != "bfloat16" else pytest.importorskip("ml_dtypes").bfloat16)
    wide, rng = np.result_type(dtype, np.float32), np.random.default_rng(0)
    for shape, axis in itertools.product(((7,), (3, 1), (70, 7), (100, 40), (3, 1000), (2, 5000)), (0, -1, None)):
        x = np.float32(rng.normal(0, 9, shape)).astype(dtype)
        x.reshape(-1)[::97] = -inf
        rows = () if axis is None else tuple(np.delete(shape, axis))
        with np.errstate(all="ignore"):
            grads = [np.asarray(rng.choice([inf, nan, 0, -0.0, 6e4, 6e-8], rows)).astype(dtype)]
            grads += [0.1, np.asarray(rng.normal(0, 1, rows)).astype(dtype)]
        for grad in grads:
            with np.errstate(all="ignore"):
                each = np.asarray(grad, wide) if axis is None else np.expand_dims(np.asarray(grad, wide), axis)
                each = each if np.ndim(grad) or axis is None else np.asarray(grad, wide)
                expected = (fs.softmax(x.astype(wide), axis) * each).astype(dtype)
            out, apart = np.empty_like(x), np.repeat(x, 2, -1)[..., ::2]
            assert fs.backward.logsumexp(grad, x, axis, out=out) is out
            for got in (fs.backward.logsumexp(grad, x, axis), out, fs.backward.logsumexp(grad, apart, axis)):
                assert got.dtype == dtype
                assert_same(fs, got, expected)
