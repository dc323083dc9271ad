"""Errors against mpmath and long double, in units in the last place; the bounds are the table's."""

import functools
import itertools

import exhaustive
import mpmath
import numpy as np
import pytest
from layouts import assert_same_bits
from oracle import (
    BITS,
    DERIVATIVES,
    ELEMENTWISE,
    HAS_LONG_DOUBLE,
    PAIR_DERIVATIVES,
    PAIRS,
    REDUCTIONS,
    ROWS,
    along,
    called,
    defaults,
    exact,
    excess,
    function,
    gradient_along,
    hard,
    hole,
    label,
    neighbours,
    numbers,
    reference,
    to_mpf,
    ulp_error,
    ulp_error_exact,
    unit,
    upwards,
)

EVERY = ELEMENTWISE + DERIVATIVES + PAIRS + PAIR_DERIVATIVES
each_elementwise = pytest.mark.parametrize("row", EVERY, ids=label)
each_rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
each_type = pytest.mark.parametrize("dtype", ["float32", "float64"])

STRIDE = 20_011  # prime, so that the bit patterns visited share no structure


@functools.cache
def inputs32():
    """Some 400,000 float32: a stride through all bit patterns, NaNs included, and the places that are hard."""
    every = np.arange(7, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32).view(np.float32)
    # exp leaves the normal numbers at -87.3 and the subnormal ones at -104.
    tail = np.arange(*np.array([87, 105], np.float32).view(np.uint32), 31, dtype=np.uint32).view(np.float32)
    return np.concatenate([every, tail, -tail, hard(np.float32, 200)])


@functools.cache
def inputs64():
    """Some thousands of float64, of all magnitudes, in the tails, and where it is hard."""
    rng = np.random.default_rng(0)
    scales = [rng.normal(0, scale, 500) for scale in (0.1, 1, 10, 300)]
    patterns = rng.integers(0, 2**64, 1000, dtype=np.uint64, endpoint=False).view(np.float64)
    tail = rng.uniform(700, 750, 500)
    return np.concatenate([*scales, patterns[np.isfinite(patterns)], tail, -tail, hard(np.float64, 1)])


@functools.cache
def truth64(name):
    """mpmath's values at inputs64(), computed once for all backends."""
    row = next(row for row in EVERY if label(row) == name)
    return exact(row, inputs64(), **defaults(row, np.float64))


def worst(errors, x, got):
    """A message for where a bound is broken."""
    i = int(np.argmax(errors))
    return f"{errors[i]:.3f} ULP at {x[i]!r} ({float(x[i]).hex()}), result {got[i]!r}"


@each_elementwise
@pytest.mark.parametrize("dtype", [np.longdouble, np.float64])
def test_reference_is_exact_enough(row, dtype):
    """The vectorised truth against mpmath. If this fails for a new row: its truth must not cancel (log1p, expm1)."""
    x = np.random.default_rng(1).choice(inputs32(), 800)
    x = np.concatenate([x[np.isfinite(x)], np.random.default_rng(2).normal(0, 3, 200).astype(np.float32)])
    parameters = defaults(row, np.float32)
    with mpmath.workprec(BITS):
        smallest = mpmath.mpf(2) ** -160  # far below the smallest float32
        pairs = zip(map(to_mpf, reference(row, x, dtype, **parameters)), exact(row, x, **parameters), strict=True)
        pairs = [(v, t) for v, t in pairs if not (v == t or (mpmath.isnan(v) and mpmath.isnan(t)))]
        errors = [abs(value - truth) / max(abs(truth), smallest) for value, truth in pairs]
    assert all(error < 2**-40 for error in errors)


@each_elementwise
def test_float32(fs, row):
    x, parameters = inputs32(), defaults(row, np.float32)
    got = function(fs, row)(x, **parameters)
    assert got.dtype == np.float32
    truth, least = reference(row, x, **parameters), unit(row, x, **parameters)
    errors = np.where(np.isinf(x), 0, ulp_error(got, truth, least))
    assert errors.max() <= row.max_ulp[0], worst(errors, x, got)
    wrong_sign = (np.signbit(got) != np.signbit(truth)) & (np.abs(truth) > least) & np.isfinite(truth)
    assert not wrong_sign.any(), x[wrong_sign]


@each_elementwise
def test_float64(fs, row):
    x = inputs64()
    got = function(fs, row)(x, **defaults(row, np.float64))
    assert got.dtype == np.float64
    errors = ulp_error_exact(got, truth64(label(row)), unit(row, x, **defaults(row, np.float64)))
    assert errors.max() <= row.max_ulp[1], worst(errors, x, got)


@each_elementwise
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_infinities_give_the_limit(fs, row, dtype):
    x, parameters = np.array([np.inf, -np.inf, np.nan], dtype), defaults(row, dtype)
    got = function(fs, row)(x, **parameters)
    assert np.isnan(got[2])
    errors = ulp_error_exact(got[:2], exact(row, x[:2], **parameters))
    assert errors.max() <= 0.5, got  # selu's limit is no floating-point number; all others have to be exact


@each_elementwise
def test_float16_is_float32_rounded_once(fs, row):
    x = np.arange(2**16, dtype=np.uint32).astype(np.uint16).view(np.float16)
    parameters = defaults(row, np.float16)
    got = function(fs, row)(x, **parameters)
    assert got.dtype == np.float16
    wide = parameters | {name: np.float32(value) for name, value in numbers(parameters).items()}
    errors = np.where(np.isinf(x), 0, ulp_error(got, reference(row, x, **parameters), unit(row, x, **parameters)))
    # Half a unit for the rounding, and float32's error, of which 2^13 units are one here.
    bound = 0.5 + max(1, row.max_ulp[0]) / 2**13 if row.max_ulp[0] else 0
    assert errors.max() <= bound, worst(errors, x, got)
    if fs._backend.threads is not None:  # the fallback computes float32 in float64, so its float32 is not its float16's
        with np.errstate(all="ignore"):
            once = function(fs, row)(x.astype(np.float32), **wide).astype(np.float16)
        np.testing.assert_array_equal(got, once)


@each_type
def test_sigmoid_is_a_probability(fs, dtype):
    x = inputs32() if dtype == "float32" else inputs64()
    x = x[~np.isnan(x)]
    y = fs.sigmoid(x)
    assert y.min() == 0 and y.max() == 1
    both = y.astype(np.longdouble) + fs.sigmoid(-x)
    assert np.abs(both - 1).max() <= np.finfo(dtype).eps


def test_sigmoid_underflows_gradually(fs):
    assert 0 < fs.sigmoid(np.float32(-100)) < np.finfo(np.float32).tiny
    assert 0 < fs.sigmoid(-745.0) < np.finfo(np.float64).tiny


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tanh_is_odd_to_the_bit(fs, dtype):
    x = inputs64() if dtype == "float64" else inputs32()
    with np.errstate(all="ignore"):
        x = x[~np.isnan(x)].astype(dtype)
    y, mirrored = fs.tanh(x), -fs.tanh(-x)
    np.testing.assert_array_equal(y, mirrored)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(mirrored))
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))
    assert np.abs(y).max() == 1


@pytest.mark.parametrize("name", sorted(exhaustive.NEVER_FALL))
def test_rises(fs, name):
    """From each float32 to the next, also where a formula changes. softplus needs fused a * b + c to rise everywhere,
    which the baseline does not have; pure Python's tanh is NumPy's, which falls once, at 1.5."""
    falling = {"baseline": ("softplus", "log_sigmoid"), "pure Python": ("tanh",)}
    most = 1 if name in falling.get(fs._backend.name, ()) else 0
    starts = [1e-8, 1e-3, 0.05, 0.1, 0.34, 0.36, 0.5, 0.7, 1, 1.109, 2, 5, 9.2, 10, 16.6, 30, 60, 80, 88, 88.5, 100]
    starts = np.array([*starts, 1.5], np.float32)
    for start in np.concatenate([starts, -starts]):
        x = np.sort((start.view(np.int32) + np.arange(-20_000, 20_000, dtype=np.int32)).view(np.float32))
        y = getattr(fs, name)(x)
        fall = (y[:-1].astype(np.float64) - y[1:]) / np.spacing(np.abs(y[1:]))
        assert fall.max() <= most, (start, fall.max())


@pytest.mark.parametrize("row", ELEMENTWISE, ids=label)
@each_type
def test_negative_zero(fs, row, dtype):
    """What goes through the origin keeps the sign of zero."""
    got = called(fs, row)(np.array([0, -0.0], dtype), **defaults(row, dtype))
    assert got[0] == got[1]
    if got[0] == 0:
        np.testing.assert_array_equal(np.signbit(got), [False, True])


@each_type
def test_parameters_of_any_sign(fs, dtype):
    """The formula holds for them, too, where torch has it."""
    x = np.array([-200, -90, -3, -1e-8, 0, 1e-8, 2, 90, 800], dtype)
    for beta in (0.5, 3):
        np.testing.assert_array_equal(fs.softplus(x, -beta), -fs.softplus(-x, beta))
    beta = np.where(np.arange(len(x)) % 3, 1, 1.5).astype(x.dtype)
    assert_same_bits(fs.softplus(x, np.ones_like(x)), fs.softplus(x))
    assert_same_bits(fs.softplus(x, beta)[beta == 1], fs.softplus(x)[beta == 1])
    assert (fs.softplus(x[2:-2], 0) == np.inf).all()
    for elu in (fs.elu, fs.celu):
        with np.errstate(over="ignore"):
            negative = -np.expm1(-x[x < 0] if elu is fs.celu else x[x < 0])
        got = elu(x, -1)
        np.testing.assert_allclose(got[x < 0], negative, rtol=8 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(got[x >= 0], x[x >= 0])
        np.testing.assert_array_equal(elu(x, 0), np.maximum(x, 0))
    np.testing.assert_array_equal(fs.hard_tanh(x, 2, 1), np.ones_like(x))
    np.testing.assert_array_equal(fs.hard_tanh(x, -np.inf, np.inf), x)
    assert np.isnan(fs.hard_tanh(x, np.nan)).all() and np.isnan(fs.hard_tanh(x, 0, np.nan)).all()


@each_type
def test_swish_of_any_beta(fs, dtype):
    """With a beta of 1 it is silu; where a factor is infinite there is a limit, and 0 times infinity is 0."""
    x = inputs32() if dtype == "float32" else inputs64()
    assert_same_bits(fs.swish(x), fs.silu(x))
    beta = np.where(np.arange(len(x)) % 3, 1, 1.5).astype(dtype)  # whether or not others are beside it
    for of_any, of_one in (
        (fs.swish(x, np.ones_like(x)), fs.silu(x)),
        (fs.swish(x, beta)[beta == 1], fs.silu(x)[beta == 1]),
        (fs.backward.swish(1, x, np.ones_like(x)), fs.backward.silu(1, x)),
        (fs.backward.swish(1, x, beta)[beta == 1], fs.backward.silu(1, x)[beta == 1]),
    ):
        assert_same_bits(of_any, of_one)
    assert_same_bits(fs.swish(x, -1.702), -fs.swish(-x, 1.702))
    with np.errstate(all="ignore"):
        assert_same_bits(fs.swish(x, 0), x / 2)
    x, inf = np.array([np.inf, 2, 0, -0.0, -2, -np.inf], dtype), np.inf
    assert_same_bits(fs.swish(x, inf), np.array([inf, 2, 0, -0.0, -0.0, -0.0], dtype))
    assert_same_bits(fs.swish(x, -inf), np.array([0, 0, 0, -0.0, -2, -inf], dtype))
    assert_same_bits(fs.swish(x, 0)[[0, -1]], np.array([inf, -inf], dtype))
    assert np.isnan(fs.swish(x, np.nan)).all()
    np.testing.assert_array_equal(fs.backward.swish(1, x, 0), np.full(6, 0.5, dtype))
    big = np.finfo(dtype).max / 4  # whatever the product loses
    assert_same_bits(
        fs.swish(np.array([-800, -big], dtype), np.array([big, 1e8], dtype)), np.array([-0.0, -0.0], dtype)
    )
    assert not fs.backward.swish(1, np.array([-800, -big], dtype), np.array([big, 1e8], dtype)).any()


@each_type
def test_softplus_of_a_negative_beta_is_negative(fs, dtype):
    x = np.array([1e4, np.inf], dtype)
    assert_same_bits(fs.softplus(x, -1), np.array([-0.0, -0.0], dtype))


@each_type
def test_shrinking_by_any_lambd(fs, dtype):
    x = np.array([np.inf, 3, 0.5, 0.25, 0, -0.0, -0.25, -0.5, -3, -np.inf], dtype)
    zeros = np.copysign(np.zeros_like(x), x)
    assert_same_bits(fs.hard_shrink(x, np.inf), zeros)
    assert_same_bits(fs.soft_shrink(x, np.inf), zeros)
    assert_same_bits(fs.hard_shrink(x, -1), x)
    assert_same_bits(fs.hard_shrink(x, 0), x)
    assert_same_bits(fs.soft_shrink(x, 0), x)
    np.testing.assert_array_equal(fs.soft_shrink(x[x != 0], -1), (x + np.copysign(1, x))[x != 0])
    for shrink in (fs.hard_shrink, fs.soft_shrink, functools.partial(fs.backward.hard_shrink, 1.0)):
        assert np.isnan(shrink(x, np.nan)).all()


@each_type
def test_thresholds_of_any_size(fs, dtype):
    """x where it is above, to the bit; NaN in x or in the threshold is not replaced."""
    inf, nan = np.inf, np.nan
    x = np.array([inf, 3, 0.5, 0, -0.0, -3, -inf, nan], dtype)
    for bound, value in itertools.product([-inf, -3, 0.0, -0.0, 0.5, 2, inf], [-0.0, 7, inf, nan]):
        expected = np.where(x <= bound, x.dtype.type(value), x)
        for given in itertools.product((bound, np.full_like(x, bound)), (value, np.full_like(x, value))):
            assert_same_bits(fs.threshold(x, *given), expected)
        slope = np.where(np.isnan(x), x, 2 * (x > bound)).astype(dtype)
        assert_same_bits(fs.backward.threshold(2.0, x, bound, value), slope)
    for bound in (nan, np.full_like(x, nan)):
        assert np.isnan(fs.threshold(x, bound, 7)).all() and np.isnan(fs.backward.threshold(2.0, x, bound, 7)).all()
    bounds, filling = x[::-1].copy(), np.arange(8, dtype=dtype)
    np.testing.assert_array_equal(
        fs.threshold(x, bounds, filling), np.where(np.isnan(bounds), nan, np.where(x <= bounds, filling, x))
    )


@functools.cache
def with_parameters(name, dtype):
    """x, parameters of all sizes and both signs, and mpmath's values, from subnormal to infinite."""
    row, rng, info = next(row for row in ELEMENTWISE if row.name == name), np.random.default_rng(0), np.finfo(dtype)
    parameter = (10.0 ** rng.uniform(*{"float32": (-30, 30), "float64": (-280, 280)}[dtype], 600)).astype(dtype)
    parameter[:200] = 10 ** rng.uniform(-13, 13, 200)
    parameter *= rng.choice([-1, 1], 600)
    most = np.log(float(info.max)) + np.abs(np.log(np.abs(parameter).astype(np.float64)))
    z = np.concatenate([rng.uniform(-1.02, 1.02, 300) * most[:300], rng.normal(0, 1, 150), rng.normal(0, 30, 150)])
    with np.errstate(all="ignore"):
        x = {"celu": z * parameter, "softplus": z / parameter, "swish": z / parameter}.get(name, z).astype(dtype)
    x[-20:], parameter[-20:] = -info.smallest_subnormal * np.arange(1, 21), np.resize([1, -1], 20)
    x, parameter = x[np.isfinite(x)], parameter[np.isfinite(x)]
    pairs = zip(x, parameter, strict=True)
    return x, parameter, [exact(row, value, **{row.parameters[0].name: other})[0] for value, other in pairs]


@pytest.mark.parametrize("name", ["elu", "celu", "softplus", "swish"])
@each_type
def test_parameters_of_any_size(fs, name, dtype):
    """A parameter is a factor, too, so that an error may be of a number with twice as many units."""
    x, parameter, truth = with_parameters(name, dtype)
    row = next(row for row in ELEMENTWISE if row.name == name)
    got = getattr(fs, name)(x, parameter)
    errors = ulp_error_exact(got, truth)
    assert errors.max() <= 2 * row.max_ulp[dtype == "float64"], worst(errors, x, got)
    one_by_one = [getattr(fs, name)(value, other) for value, other in zip(x, parameter, strict=True)]
    if fs._backend.threads is not None and fs._backend.name != "baseline":
        np.testing.assert_array_equal(got, np.array(one_by_one, dtype))


ONE_PARAMETER = [row for row in ELEMENTWISE + DERIVATIVES if len(row.parameters) == 1]


@functools.cache
def at_the_ends(name, dtype):
    """x and parameters from the least number to the largest, so that x, their product or their quotient is where
    exponentials underflow or overflow, alone or with the parameter as a factor; mpmath's values, and their units."""
    row, rng, info = next(row for row in EVERY if row.name == name), np.random.default_rng(0), np.finfo(dtype)
    least, most = (float(np.log2(np.longdouble(value))) for value in (info.smallest_subnormal, info.max))
    ends = [info.smallest_subnormal, info.tiny / 3, info.tiny, 1, info.max / 3, info.max]
    sizes = np.where(rng.random(120) < 0.5, np.exp2(rng.uniform(least, most - 1, 120)), rng.choice(ends, 120))
    parameter = np.tile((sizes * rng.choice([-1, 1], 120)).astype(dtype), 3)
    z = rng.uniform(-1.02, 1.02, 120) * (most - least) * np.log(2)
    z[::4] = rng.normal(0, 1, 30)
    with np.errstate(all="ignore"):
        x = (z * np.stack([np.ones(120), parameter[:120], 1 / parameter[:120].astype(np.longdouble)])).ravel()
        x = x.astype(dtype)
    x, parameter = x[np.isfinite(x)], parameter[np.isfinite(x)]
    named = [{row.parameters[0].name: value} for value in parameter]
    truth = [exact(row, value, **given)[0] for value, given in zip(x, named, strict=True)]
    return x, parameter, truth, unit(row, x, **{row.parameters[0].name: parameter})


@pytest.mark.parametrize("row", ONE_PARAMETER, ids=label)
@each_type
def test_parameters_at_the_ends(fs, row, dtype):
    x, parameter, truth, least = at_the_ends(row.name, dtype)
    got = function(fs, row)(x, **{row.parameters[0].name: parameter})
    errors = ulp_error_exact(got, truth, least)
    assert errors.max() <= 2 * row.max_ulp[dtype == "float64"], (worst(errors, x, got), parameter[np.argmax(errors)])


# -------------------------------------------------------------------------------- rows

LENGTHS = (1, 2, 3, 5, 10, 16, 17, 33, 100, 513, 1000, 5000)


def logits(n, scale, dtype, rows=None):
    rng = np.random.default_rng([n, int(scale)])
    return rng.normal(0, scale, (rows or max(4, 4000 // n), n)).astype(dtype)


@each_rows
@each_type
def test_row_reference_is_exact_enough(row, dtype):
    for x in (*logits(7, 3, dtype, 6), *logits(4, 30, dtype, 6), np.array([0, -20, -40], dtype)):
        with mpmath.workprec(BITS):
            errors = [abs(v - t) / abs(t) for v, t in zip(map(to_mpf, along(row, x)), exact(row, x), strict=True)]
        assert max(errors) < (2**-60 if HAS_LONG_DOUBLE else 2**-40)


@each_rows
@each_type
@pytest.mark.parametrize("axis", [-1, 0], ids=["last axis", "first axis"])
def test_rows(fs, row, dtype, axis):
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    for n in LENGTHS:
        for scale in (0.01, 1, 10, 30, 300):
            x = logits(n, scale, dtype)
            x[0, :] = x[0, 0]  # a row of ties
            x += np.array([0, 100, -300, 1e4, 1e30], dtype)[np.arange(len(x)) % 5, None]
            operand = x if axis == -1 else np.ascontiguousarray(x.T)
            got = called(fs, row)(operand, axis=axis)
            got = got if axis == -1 else got.T
            errors = ulp_error(got, along(row, x)) / row.max_ulp[dtype == "float64"]
            assert errors.max() <= 1, (n, scale, worst(errors.ravel(), x.ravel(), got.ravel()))


@each_type
def test_softmax_adds_up(fs, dtype):
    for n in (*LENGTHS, 100_000):
        x = logits(n, 5, dtype)
        total = fs.softmax(x).astype(np.longdouble).sum(-1)
        assert np.abs(total - 1).max() <= 4 * np.finfo(dtype).eps * np.sqrt(n), n


def test_softmax_keeps_subnormal_results(fs):
    for dtype, far in (("float32", 95), ("float64", 730)):
        tail = fs.softmax(np.array([0, -far], dtype))[1]
        assert 0 < tail < np.finfo(dtype).tiny
        assert tail == pytest.approx(np.exp(np.longdouble(-far)), rel=1e-2, abs=0)


# Rows of which each term, or each sum of some, is rounded the same way; and such that one entry outweighs the others,
# which are too small to change a partial sum that holds it.
ADDING_UP = {
    "equal": lambda n: np.full(n, 0.7),
    "alternating": lambda n: np.resize([0.3, -0.4, 0.1], n),
    **{
        f"one and {low}": lambda n, low=low: np.where(np.arange(n) == n // 3, 0, low) for low in (-9.0, -17.2, -36, -60)
    },
    "two and small ones": lambda n: np.where(np.arange(n) % max(n - 1, 1) == 0, 0, np.log(2.0**-24 / 2.1)),
    "falling": lambda n: -50 * np.arange(n) / n,
}


def ways(fs, function, x):
    """Results for the row x, computed in whatever way there is."""
    n, others = len(x), np.full(2 * len(x), 80, x.dtype)
    others[::2] = x
    side_by_side = np.ascontiguousarray(np.broadcast_to(x[:, None], (n, 70)))
    reduces = function is fs.logsumexp
    yield function(x, axis=-1)
    yield function(others[::2], axis=-1)
    yield function(side_by_side, axis=0)[..., 69]
    yield function(np.ascontiguousarray(side_by_side.T), axis=-1)[5]
    masked = function(others, axis=-1, where=np.arange(2 * n) % 2 == 0)
    yield masked if reduces else masked[::2]
    with fs.num_threads(2):
        yield function(side_by_side, axis=0)[..., 1]
    if not reduces:
        yield function(side_by_side, axis=0, out=side_by_side)[..., 0]


@pytest.mark.parametrize("row", ROWS + REDUCTIONS, ids=label)
@each_type
@pytest.mark.parametrize("kind", ADDING_UP)
def test_errors_do_not_add_up(fs, row, dtype, kind):
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    for n in (2, 3, 10, 16, 17, 31, 33, 64, 100, 400, 513, 20_000):
        for offset in (0, -3, 1e4) if n < 1000 else (0,):
            x = upwards(row, ADDING_UP[kind](n).astype(dtype) + np.array(offset, dtype))
            truth = along(row, x)
            least = np.maximum(np.abs(x.max()), excess(x)) if row.kind == "reduction" else 0
            for way, got in enumerate(ways(fs, called(fs, row), x)):
                errors = ulp_error(np.asarray(got), truth, least)
                assert errors.max() <= row.max_ulp[dtype == "float64"], (n, offset, way, errors.max())


@pytest.mark.parametrize("row", ROWS + REDUCTIONS, ids=label)
@each_type
def test_errors_do_not_add_up_in_a_long_row(fs, row, dtype):
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    for low in (-9.0, -17.2, -36, 0):
        x = np.full(2_000_001, low, dtype)
        x[70_000] = 0
        x = upwards(row, x)
        truth, least = along(row, x), excess(x) if row.kind == "reduction" else 0
        errors = ulp_error(np.asarray(called(fs, row)(x)), truth, least)
        assert errors.max() <= row.max_ulp[dtype == "float64"], (low, errors.max())


@each_rows
@each_type
def test_gradients_errors_do_not_add_up(fs, row, dtype):
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    rng = np.random.default_rng(0)
    for n in (2, 10, 16, 17, 33, 65, 100, 400, 1000, 20_000, 300_001):
        for grad in (np.full(n, 0.7), rng.normal(1, 0.1, n), np.resize([1, -0.3, 0.2], n)):
            for operand in (np.full(n, 1 / n), np.resize([0.9, 1e-9, 1e-8, 3e-8], n)):
                y = np.log(operand).astype(dtype) if hole(row) else operand.astype(dtype)
                g = grad.astype(dtype)
                truth, scale = gradient_along(row, g, y)
                backward = getattr(fs.backward, row.name)
                gs, ys = ((np.ascontiguousarray(np.broadcast_to(v[:, None], (n, 17)))) for v in (g, y))
                for got in (backward(g, y), backward(gs, ys, 0)[:, 16] if n < 100_000 else ()):
                    if len(got):
                        errors = ulp_error(got, truth, scale)
                        assert errors.max() <= row.gradient.max_ulp[dtype == "float64"], (n, errors.max())


def test_log_softmax_near_zero(fs):
    """log(softmax(x)) is 0 or -1e-7 there, and so is log_softmax of PyTorch."""
    for dtype in ("float32", "float64"):
        got = fs.log_softmax(np.array([0, -20], dtype))
        truth = [-np.log1p(np.exp(-20.0)), -20 - np.log1p(np.exp(-20.0))]
        np.testing.assert_allclose(got, truth, rtol=4 * np.finfo(dtype).eps)


@each_rows
@each_type
def test_rows_are_no_worse_than_torch(fs, row, dtype):
    torch = pytest.importorskip("torch")
    if dtype == "float64" and not HAS_LONG_DOUBLE:
        pytest.skip("needs a long double that is wider than double")
    ours, theirs = [], []
    for n in (2, 10, 100, 1000):
        for scale in (1, 10, 30):
            x = logits(n, scale, dtype, 200)
            truth = along(row, x)
            tensor = eval(row.torch, {"torch": torch, "x": torch.from_numpy(x), "axis": -1})
            theirs.append(ulp_error(tensor.numpy(), truth))
            ours.append(ulp_error(called(fs, row)(x), truth))
    ours, theirs = (np.sqrt(np.mean([np.mean(errors**2) for errors in each])) for each in (ours, theirs))
    assert ours <= theirs * 1.02


# -------------------------------------------------------------------------------- the exhaustive check itself


def chunk_of(value):
    return int(np.float32(value).view(np.uint32)) // exhaustive.CHUNK


# Where `make exhaustive` found the largest errors of those that come near what the table allows, with FMA and without.
WORST = {
    "sigmoid": [-16.635704],
    "tanh": [4.5050907, 0.5174573, 0.12405456],
    "silu": [-16.677828],
    "gelu-none": [-0.0078026089, -1.8378737, -2.7784896, -3.6496284, -3.8362658, -8.628952, -12.554436],
    "gelu-tanh": [-4.9945025],
    "backward.silu": [-3.7327344],
    "backward.mish": [0.44687074],
    "backward.gelu-none": [-1.2795931, -1.1508602, -1.1987],
    "backward.gelu-tanh": [-0.16730386, -3.1455402, -4.9107542, -9.0619488],
}
# Of float64, where they are or once were.
WORST64 = {
    "gelu-none": [-0.33917, -1.3749608058063851, -1.8348600016255863, -1.8352663212289819],
    "gelu-tanh": [-7.0896509746982597],
    "backward.gelu-none": [-0.6903, -1.1666681108232986, -1.1701757530532753, -1.2653624098118357],
    "backward.gelu-tanh": [-3.1457352449365032, -3.1406412796004091, -5.9799836902013865],
}


@each_elementwise
def test_exhaustive_check(fs, row):
    """A few of its chunks: where subnormal numbers, ones, infinities, NaNs, the tails and the largest errors are."""
    total = exhaustive.Result()
    for value in (0, -0.0, 1, -1, 2, -60, 88, -95, np.inf, -np.inf, np.nan, *WORST.get(label(row), [])):
        total = total.merged(exhaustive.check(row, chunk_of(value), function(fs, row)))
    assert exhaustive.acceptable(row, total), total


@pytest.mark.parametrize("name", WORST64)
def test_largest_errors_of_float64(fs, name):
    row, x = next(row for row in EVERY if label(row) == name), neighbours(WORST64[name], np.float64, 20)
    errors = ulp_error_exact(function(fs, row)(x, **defaults(row, np.float64)), exact(row, x), unit(row, x))
    assert errors.max() <= row.max_ulp[1], worst(errors, x, x)


@each_elementwise
def test_exhaustive_check_sees_what_is_wrong(default, row):
    def broken(change):
        def nearly(x, **parameters):
            y = function(default, row)(x, **parameters)
            y[5] = change(y[5])
            return y

        result = exhaustive.check(row, chunk_of(0.75), nearly)
        assert not exhaustive.acceptable(row, result)
        return result

    off = np.ceil(3 * row.max_ulp[0] + 3)
    nudged = broken(lambda y: y + np.float32(off) * np.spacing(y))
    assert off - row.max_ulp[0] <= nudged.error <= off + row.max_ulp[0]
    assert nudged.bits == int(np.float32(0.75).view(np.uint32)) + 5
    assert broken(lambda y: np.nan).wrong_nan == 1
    assert broken(np.negative).wrong_sign == 1
    assert broken(lambda y: np.inf).error > 1e6


def test_exhaustive_check_sees_a_fall(default):
    row = next(row for row in ELEMENTWISE if row.name == "sigmoid")
    for value in (1, -1):
        assert exhaustive.check(row, chunk_of(value), default.sigmoid).falls == 0
        assert exhaustive.check(row, chunk_of(value), lambda x: default.sigmoid(-x)).falls > 0


@each_elementwise
def test_exhaustive_check_of_float64(default, row):
    pytest.importorskip("gmpy2")
    right = function(default, row)
    assert exhaustive.acceptable(row, exhaustive.check64(row, 0, right), 1)

    def wrong(x, **parameters):
        with np.errstate(all="ignore"):
            return right(x, **parameters) * (1 + 8 * np.finfo(np.float64).eps)

    assert exhaustive.check64(row, 0, wrong).error > 4


@pytest.mark.parametrize(
    ("dtype", "x", "alpha"),
    [("float64", -1e-300, 1e200), ("float64", -1e-300, 1e20), ("float32", -1e-30, 1e20), ("float32", -3e-38, -750)],
)
def test_celu_of_a_quotient_that_underflows(fs, dtype, x, alpha):
    x, alpha = np.array([x, x], dtype), np.array([alpha, alpha], dtype)
    np.testing.assert_array_equal(fs.celu(x, alpha), x)
    np.testing.assert_array_equal(fs.celu(x, alpha[:1]), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softplus_of_a_beta_whose_inverse_is_infinite(fs, dtype):
    """The result may be a number all the same; where E is 0, it is 0, not inf * 0."""
    info, row = np.finfo(dtype), next(row for row in ELEMENTWISE if row.name == "softplus")
    share = np.array([1, 0.5, 0.24, 0.18, 0.1, 0], dtype)
    betas = np.maximum(info.tiny * share, info.smallest_subnormal)
    xs = np.array([0, 1e-30, 1, info.max / 3, info.max, np.inf], dtype)
    x, beta = (each.ravel() for each in np.meshgrid(np.concatenate([xs, -xs]), np.concatenate([betas, -betas])))
    truth = [exact(row, value, beta=parameter)[0] for value, parameter in zip(x, beta, strict=True)]
    errors = ulp_error_exact(fs.softplus(x, beta), truth)
    assert errors.max() <= row.max_ulp[dtype == "float64"], worst(errors, x, fs.softplus(x, beta))


@each_type
def test_celu_grows_from_a_subnormal_alpha(fs, dtype):
    """For a negative one: until the product is infinite, not the exponential, which is that far sooner."""
    info, row = np.finfo(dtype), next(row for row in ELEMENTWISE if row.name == "celu")
    most = float(np.log(np.longdouble(info.max)) - np.log(np.longdouble(info.smallest_subnormal)))
    alpha = -info.smallest_subnormal
    x = alpha * np.floor(np.linspace(0.85, 1.01, 40) * most).astype(dtype)
    got, truth = fs.celu(x, alpha), exact(row, x, alpha=alpha)
    assert np.isinf(got[-1]) and np.isfinite(got[-4])
    assert ulp_error_exact(got, truth).max() <= row.max_ulp[dtype == "float64"]
