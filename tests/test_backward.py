"""fastsig.backward: gradients against torch and central differences, kinks, and calls of ufuncs with equal operands;
those along an axis at the end.

The errors of the elementwise derivatives, grad_output = 1, are in test_accuracy.
"""

import doctest
import functools
import inspect
import itertools
import pickle
import sys

import mpmath
import numpy as np
import pytest
from conftest import imported_on
from layouts import EMPTY, GUARD, LAYOUTS, assert_same, assert_same_bits, place, whole
from oracle import (
    BITS,
    DERIVATIVES,
    ELEMENTWISE,
    HAS_LONG_DOUBLE,
    OF_ONE,
    REDUCTIONS,
    ROWS,
    called,
    chosen,
    defaults,
    exact,
    finite,
    function,
    gradient_along,
    gradient_tolerated,
    hard,
    label,
    numbers,
    reference,
    to_mpf,
    ulp_error,
    unit,
)

from fastsig import _docs
from fastsig._catalog import TABLE, expanded

FLOATS = ("float16", "float32", "float64")
INTEGERS = "bBhHiIlLqQ"

each_row = pytest.mark.parametrize("row", ELEMENTWISE, ids=label)
each_with_parameters = pytest.mark.parametrize("row", [row for row in ELEMENTWISE if row.parameters], ids=label)
each_float = pytest.mark.parametrize("dtype", FLOATS)


def gradient_of(fs, row):
    gradient = called(fs.backward, row)
    return functools.partial(gradient, **chosen(row)) if row.choice else gradient


def values(row):
    """The keywords of a call with the default parameters."""
    return {parameter.name: parameter.default for parameter in row.parameters} | chosen(row)


def operands(dtype, n):
    """grad_output and x of all kinds, special values among them, in no order."""
    rng, info = np.random.default_rng(1), np.finfo(dtype)
    special = np.array([0, -0.0, np.nan, np.inf, -np.inf, info.max, -info.max, info.tiny, info.smallest_subnormal, -1])
    x = np.concatenate([special, [3, -3, 6, 1, 0.5, 0.25], rng.normal(0, 12, n)])
    grad = np.concatenate([special[::-1], rng.normal(0, 2, n)])
    with np.errstate(all="ignore"):
        return [rng.permutation(np.resize(each, n)).astype(dtype) for each in (grad, x)]


# -------------------------------------------------------------------------------- values


@each_row
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_product_is_rounded_once_more(fs, row, dtype):
    """grad_output * f'(x) to the bit, where f'(x) is the gradient of 1; 0 where the function is flat between kinks."""
    grad, x = operands(dtype, 4000)
    gradient = gradient_of(fs, row)
    derivative = gradient(grad.dtype.type(1), x)
    with np.errstate(all="ignore"):
        expected = grad * derivative
    got = gradient(grad, x)
    flat = (derivative == 0) & (got == 0)
    ours, theirs = np.where(flat, 0, got), np.where(flat, 0, expected)
    if fs._backend.threads is None:  # the fallback multiplies in a wider type
        errors = ulp_error(got[~flat], expected[~flat].astype(np.longdouble))
        normal = np.abs(derivative[~flat]) >= np.finfo(dtype).tiny
        assert errors[normal].max() <= (0 if row.gradient.max_ulp == (0, 0) else 1)
    else:
        assert_same_bits(ours, theirs)


# What torch does differently, and we as the documentation says: NaN passes grad_output through where it compares false,
# products at infinities are inf * 0, hard_sigmoid has float32's 1/6 in float64, and logit's lower end -0.0 gives -inf.
@each_row
def test_torch_autograd(fs, row):
    torch = pytest.importorskip("torch")
    grad, x = (each[np.isfinite(each)] for each in operands("float64", 3000))
    grad, x = np.resize(grad, 4000), np.resize(x[np.abs(x) < 1e100], 4000)
    grad[np.abs(grad) > 1e100] = 1
    x = np.where(x == 0, 0.0, x)
    tensor = torch.from_numpy(x).clone().requires_grad_()
    eval(row.torch, {"torch": torch, "x": tensor, **values(row)}).backward(torch.from_numpy(grad))
    got, theirs = gradient_of(fs, row)(grad, x), tensor.grad.numpy()
    inside = (x >= row.domain[0]) & (x <= row.domain[1])
    assert np.isnan(got[~inside]).all()
    grad, x, got, theirs = (each[inside] for each in (grad, x, got, theirs))
    rtol = 1e-7 if row.name == "hard_sigmoid" else 1e-12
    with np.errstate(all="ignore"):  # 1 - y cancels in torch's formulas
        wrong = np.abs(got - theirs) > rtol * np.abs(theirs) + 1e-14 * np.abs(grad)
    assert not wrong.any(), (x[wrong], got[wrong], theirs[wrong])
    np.testing.assert_array_equal(np.isnan(got), np.isnan(theirs))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(theirs))


def derivative_of(row):
    return DERIVATIVES[ELEMENTWISE.index(row)]


@each_row
def test_truth_is_the_central_difference(row):
    """The table's derivative is that of the table's function, to 80 digits."""
    x = np.random.default_rng(0).normal(0, 4, 60).astype(np.float32)
    x = np.concatenate([x, np.random.default_rng(0).uniform(0.01, 0.99, 20).astype(np.float32)])
    parameters = defaults(row, np.float32)
    with mpmath.workprec(BITS):
        h = mpmath.mpf(2) ** -300

        def f(value):
            return eval(row.truth, vars(mpmath) | names | {"x": value})

        names = {name: mpmath.mpf(float(value)) for name, value in numbers(parameters).items()}
        for value, derivative in zip(x, exact(derivative_of(row), x, **parameters), strict=True):
            at = mpmath.mpf(float(value))
            difference = (f(at + h) - f(at - h)) / (2 * h)
            if mpmath.isnan(derivative):
                continue
            assert abs(difference - derivative) <= mpmath.mpf(10) ** -80 * (1 + abs(derivative)), value


KINKS = {
    "relu": [(0, 0)],
    "leaky_relu": [(0, 0.01)],
    "relu6": [(0, 0), (6, 0)],
    "hard_tanh": [(-1, 0), (1, 0)],
    "hard_sigmoid": [(-3, 0), (3, 0)],
    "hard_swish": [(-3, 0), (3, 1)],
    "elu": [(0, 1)],
    "celu": [(0, 1)],
    "selu": [(0, 1.7580993408473766)],
    "logit": [(0, np.inf), (1, np.inf)],
    "log1mexp": [(0, np.inf)],
    "hard_shrink": [(-0.5, 0), (0.5, 0)],
    "soft_shrink": [(-0.5, 0), (0.5, 0)],
    "threshold": [(0.5, 0)],
}
FLAT = {  # where the gradient is 0 for every grad_output
    "relu": [0, -0.0, -1, -np.inf],
    "relu6": [0, -1, 6, 7, np.inf, -np.inf],
    "hard_tanh": [-1, 1, -2, 2, np.inf, -np.inf],
    "hard_sigmoid": [-3, 3, -4, 4, np.inf, -np.inf],
    "hard_swish": [-3, -4, -np.inf],
    "hard_shrink": [-0.5, 0.25, 0, -0.0, 0.5],
    "soft_shrink": [-0.5, 0.25, 0, -0.0, 0.5],
    "threshold": [0.5, 0.25, -0.0, -1, -np.inf],
}


@each_row
@each_float
def test_kinks(fs, row, dtype):
    kind = np.dtype(dtype).type
    for x, slope in KINKS.get(row.name, []):
        for grad, zero in itertools.product([1, -2, 0.5], [0, -0.0]):
            got = gradient_of(fs, row)(kind(grad), kind(x or zero))
            assert got == kind(grad) * kind(slope), (x, grad)
    for x, grad in itertools.product(FLAT.get(row.name, []), [1, -2, np.inf, -np.inf, np.nan]):
        got = gradient_of(fs, row)(kind(grad), kind(x))
        assert got == 0 and not np.signbit(got), (x, grad)


@each_row
def test_kinks_are_torchs(row):
    torch = pytest.importorskip("torch")
    for x, slope in KINKS.get(row.name, []):
        tensor = torch.tensor(float(x), dtype=torch.float64, requires_grad=True)
        eval(row.torch, {"torch": torch, "x": tensor, **values(row)}).backward()
        assert tensor.grad.item() == pytest.approx(slope, rel=1e-12)


@each_row
@each_float
def test_nan(fs, row, dtype):
    """NaN in x always gives NaN, and in grad_output wherever the derivative is not flat."""
    x = np.array([-2, 0.25, 0.5, 2], dtype)
    nan = np.full(4, np.nan, dtype)
    gradient = gradient_of(fs, row)
    for grad in (x, nan, nan * 0, np.full(4, np.inf, dtype)):
        assert np.isnan(gradient(grad, nan)).all()
        assert np.isnan(gradient(grad, -nan)).all()
    slope = gradient(np.ones(4, dtype), x)
    assert np.isnan(gradient(nan, x))[slope != 0].all()


@each_with_parameters
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters(fs, row, dtype):
    """Other values than the defaults, as arrays that broadcast."""
    rng = np.random.default_rng(3)
    grad, x = rng.normal(0, 2, (5, 6)).astype(dtype), rng.normal(0, 4, (5, 6)).astype(dtype)
    for i, shape in itertools.product(range(len(row.parameters)), [(), (6,), (5, 1), (3, 5, 6)]):
        array = (0.25 + rng.integers(0, 8, shape) / 4).astype(dtype)
        parameters = defaults(row, dtype) | {row.parameters[i].name: array}
        expected = gradient_of(fs, row)(grad.dtype.type(1), x, **parameters)
        assert expected.shape == np.broadcast_shapes(x.shape, shape)
        row_of_derivative, wide = derivative_of(row), np.broadcast_to(x, expected.shape)
        truth = reference(row_of_derivative, wide, **parameters)
        least = unit(row_of_derivative, wide, **parameters)
        assert ulp_error(expected, truth, least).max() <= row.gradient.max_ulp[dtype == "float64"] + 2**-9
        for layout in LAYOUTS if shape else ["contiguous"]:
            parameters[row.parameters[i].name] = place(array, layout)
            got = gradient_of(fs, row)(place(grad, "strided"), place(x, layout), **parameters)
            assert_same(fs, got, gradient_of(fs, row)(grad, x, **parameters), layout)


@pytest.mark.parametrize("row", [row for row in DERIVATIVES if len(row.parameters) == 1], ids=label)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0.0123, 6.4, 4000])
def test_subnormal_slope(fs, row, dtype, value):
    """Rounded into the subnormals once, whatever a parameter multiplies or divides by."""
    near = np.linspace(-1.2, 0.2, 4001) * -np.log(float(np.finfo(dtype).smallest_subnormal))
    x = np.concatenate([near, near * value, near / value]).astype(dtype)
    parameters = {row.parameters[0].name: x.dtype.type(value)}
    got, truth = function(fs, row)(x, **parameters), reference(row, x, **parameters)
    assert ulp_error(got, truth, unit(row, x, **parameters)).max() <= row.max_ulp[dtype == "float64"] + 2**-9


@each_float
def test_extreme_alpha(fs, dtype):
    kind, info = np.dtype(dtype).type, np.finfo(dtype)
    for alpha in (kind(-3), kind(0.1), info.max, -info.max):
        assert fs.backward.elu(kind(1), np.array([-np.inf, -info.max], dtype), alpha).tolist() == [0, 0]
    for alpha in (kind(np.inf), kind(-np.inf)):  # times a number, however small
        x = np.array([-info.max, -2000, -150, -80, 0, -np.inf], dtype)
        np.testing.assert_array_equal(fs.backward.elu(kind(1), x, alpha), [alpha] * 5 + [np.nan])
    for alpha in (info.tiny, info.smallest_subnormal, -info.smallest_subnormal):
        assert fs.backward.celu(kind(1), np.array([0, -0.0], dtype), alpha).tolist() == [1, 1]


@pytest.mark.parametrize("name", ["celu", "softplus"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_quotients_and_products(fs, name, dtype):
    """The smallest and largest parameters there are, where what the kernels compute with might not be a number."""
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    row = next(row for row in DERIVATIVES if row.name == f"backward.{name}")
    small = info.smallest_subnormal * rng.integers(1, 10000, 300)
    parameter = np.concatenate([small, info.tiny * rng.uniform(1, 9, 300), info.max / rng.uniform(1, 900, 300)])
    parameter = (parameter * rng.choice([-1, 1], 900)).astype(dtype)
    wide = rng.uniform(0, -np.log(float(info.tiny)), 900).astype(np.longdouble)
    with np.errstate(over="ignore"):
        x = -np.abs(wide * parameter if name == "celu" else wide / parameter).astype(dtype)
    x[600:610], finite = -info.max, np.isfinite(x)
    x, parameters = x[finite], {row.parameters[0].name: parameter[finite]}
    got, truth = function(fs, row)(x, **parameters), reference(row, x, **parameters)
    assert ulp_error(got, truth).max() <= row.max_ulp[dtype == "float64"] + 2**-9


# -------------------------------------------------------------------------------- how they are called


ROWS_OF_TABLE = [row for row in OF_ONE if row.kind == "elementwise"]


@pytest.mark.parametrize("row", ROWS_OF_TABLE, ids=lambda row: row.name)
def test_public_object(fs, default, row):
    gradient, thin = getattr(fs.backward, row.name), not row.is_ufunc
    assert isinstance(gradient, np.ufunc) == (not thin and fs._backend.threads is not None)
    assert gradient.__name__ == (row.name if thin else f"{row.name}_backward")  # others look ufuncs up by name
    assert gradient.__module__ == ("fastsig.backward" if thin else "fastsig._backend")
    for name, _ in expanded(row):
        ufunc = fs._backend.ufuncs[f"{name}_backward"]
        assert ufunc.__name__ == f"{name}_backward"
        assert thin or ufunc is gradient
        assert (ufunc.nin, ufunc.nout) == (2 + len(row.parameters), 1)
        assert sorted(ufunc.types) == sorted(f"{char * ufunc.nin}->{char}" for char in "efd")
        of_default = default._backend.ufuncs[f"{name}_backward"]
        assert pickle.loads(pickle.dumps(of_default)) is of_default
    if thin:
        signature = inspect.signature(gradient).parameters
        options = ["out", "where", "dtype", "casting", "order", "subok"]
        assert list(signature) == ["grad_output", "x", *values(row), *options]
        assert {name: signature[name].default for name in values(row)} == values(row)
    of_default = getattr(default.backward, row.name)
    assert pickle.loads(pickle.dumps(of_default)) is of_default


def test_names(fs):
    assert [row.name for row in TABLE] == fs.backward.__all__
    assert all(hasattr(fs.backward, name) for name in fs.backward.__all__)


def test_unknown_choice(fs):
    with pytest.raises(ValueError, match="approximate must be 'none' or 'tanh', not"):
        fs.backward.gelu(1.0, 1.0, approximate="erf")


@each_row
def test_dtypes_promote_as_numpys(fs, row):
    for chars in itertools.product("?bHiqQefd", repeat=2):
        grad, x = (np.array([0, 1], char) for char in chars)
        expected = np.result_type(grad, x)
        got = gradient_of(fs, row)(grad, x)
        assert got.dtype == (expected if expected.kind == "f" else np.float64), chars
        assert_same(fs, got, gradient_of(fs, row)(grad.astype(got.dtype), x.astype(got.dtype)), chars)


@each_row
def test_python_numbers_are_weak(fs, row):
    gradient = gradient_of(fs, row)
    assert type(gradient(1, 0.5)) is type(gradient(True, 1)) is type(gradient(1.0, np.int8(1))) is np.float64
    for dtype in FLOATS:
        x = np.full(3, 0.5, dtype)
        for weak in (1, 0.5, 2.0):
            assert gradient(weak, x).dtype == gradient(x, weak).dtype == gradient(x[0], weak).dtype == dtype
        for parameter in row.parameters:
            assert gradient(1.0, x, **{parameter.name: 2}).dtype == dtype
            assert gradient(1.0, x, **{parameter.name: np.float64(2)}).dtype == np.float64
    for wanted in FLOATS:
        assert gradient(np.ones(3), np.ones(3, np.float32), dtype=wanted).dtype == wanted
    np.testing.assert_array_equal(
        gradient([1.0, 2.0], [[0.5, -0.5]]), gradient(np.array([1, 2]), np.array([[0.5, -0.5]]))
    )
    assert gradient(np.ones((3, 0)), 1.0).shape == (3, 0)


BAD = [
    np.ones(3, np.longdouble),
    np.ones(3, np.complex64),
    1j,
    None,
    "1",
    np.datetime64("2020-01-01"),
    np.array([None]),
]


@each_row
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: str(getattr(bad, "dtype", type(bad))))
def test_unsupported_dtype(fs, row, bad):
    gradient, out = gradient_of(fs, row), np.full(np.shape(bad), GUARD, np.float64)
    for arguments in ((bad, np.ones(3)), (np.ones(3), bad), (bad, 1.0), (1.0, bad)):
        with pytest.raises(TypeError, match="supports bool, integer, float16, float32 and float64"):
            gradient(*arguments)
        with pytest.raises(TypeError):
            gradient(*arguments, out=out)
    assert (out == GUARD).all()


@each_row
def test_bad_calls(fs, row):
    gradient, x = gradient_of(fs, row), np.ones(3)
    for arguments in ((), (x,)):
        with pytest.raises(TypeError):
            gradient(*arguments)
    with pytest.raises(ValueError, match="broadcast"):
        gradient(x, np.ones(4))
    with pytest.raises(ValueError):
        gradient(x, x, out=np.empty(4))
    with pytest.raises(ValueError, match="read-only"):
        gradient(x, x, out=place(x, "read-only"))


@each_row
@each_float
def test_same_bits_wherever_it_lies(fs, row, dtype):
    (grad, x), gradient = operands(dtype, 1500), gradient_of(fs, row)
    expected = gradient(grad, x)
    for grad_layout, layout in itertools.product(LAYOUTS, LAYOUTS):
        assert_same(fs, gradient(place(grad, grad_layout), place(x, layout)), expected, (grad_layout, layout))
    for n in range(71):
        assert_same(fs, gradient(grad[:n], x[:n]), expected[:n], n)
        assert_same(fs, gradient(grad[n:], x[n:]), expected[n:], n)
    assert_same(fs, np.array([gradient(*pair) for pair in zip(grad[:50], x[:50])]), expected[:50])
    assert_same(fs, gradient(grad[7], x), gradient(np.full_like(x, grad[7]), x))
    assert_same(fs, gradient(grad, x[7]), gradient(grad, np.full_like(x, x[7])))
    square = gradient(grad[:40, None], x[:50])
    assert_same(fs, square, gradient(np.repeat(grad[:40], 50), np.tile(x[:50], 40)).reshape(40, 50))


@each_row
@each_float
def test_in_place(fs, row, dtype):
    (grad, x), gradient = operands(dtype, 1001), gradient_of(fs, row)
    expected = gradient(grad, x)
    for layout in EMPTY:
        for which in (0, 1):
            pair = [place(grad, layout), place(x, layout)]
            before = whole(pair[1 - which]).copy()
            assert gradient(*pair, out=pair[which]) is pair[which]
            assert_same(fs, pair[which].astype(dtype), expected)
            np.testing.assert_array_equal(whole(pair[1 - which]), before)
    both = x.copy()
    assert_same(fs, gradient(both, both, out=both), gradient(x, x.copy()))
    shifted = np.concatenate([grad, grad[:5]])  # overlapping memory: as if the input had been copied first
    gradient(shifted[:-5], x, out=shifted[5:])
    assert_same(fs, shifted[5:], expected)


@each_row
@each_float
def test_where_leaves_the_rest_alone(fs, row, dtype):
    (grad, x), gradient = operands(dtype, 101), gradient_of(fs, row)
    expected = gradient(grad, x)
    for mask in (np.arange(101) % 2 == 0, np.arange(101) % 7 != 3, np.zeros(101, bool), np.ones(101, bool)):
        for layout in ("contiguous", "strided", "unaligned"):
            out = np.full(109, GUARD, dtype)
            gradient(place(grad, layout), x, out=out[4:-4], where=mask)
            assert (out[:4] == GUARD).all() and (out[-4:] == GUARD).all()
            assert_same(fs, out[4:-4], np.where(mask, expected, np.array(GUARD, dtype)))


@each_row
@each_float
def test_same_bits_on_any_number_of_threads(compiled, row, dtype):
    (grad, x), gradient = operands(dtype, 300_007), gradient_of(compiled, row)
    with compiled.num_threads(1):
        expected = gradient(grad, x)
    for threads in (2, 3, 8):
        with compiled.num_threads(threads):
            assert_same_bits(gradient(grad, x), expected, threads)
            assert_same_bits(gradient(grad[::-1], x[::-1]), expected[::-1], threads)


@each_row
@each_float
def test_no_floating_point_warning(fs, row, dtype):
    grad, x = operands(dtype, 3000)
    with np.errstate(all="raise"):
        for pair in ((grad, x), (grad[::2], x[::2]), (grad[0], x), (grad, x[0])):
            gradient_of(fs, row)(*pair)
        for g, value in zip(grad[:200], x[:200]):
            gradient_of(fs, row)(g, value)


@each_row
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_and_pure_agree(compiled, row, dtype):
    x = hard(dtype, 20)
    pair = [function(fs, derivative_of(row))(x) for fs in (compiled, imported_on("pure"))]
    least = unit(derivative_of(row), x, **defaults(row, dtype))
    errors = ulp_error(pair[0], pair[1].astype(np.longdouble), least)
    assert errors.max() <= 2 * row.gradient.max_ulp[dtype == "float64"]
    assert_same_bits(*(got[~np.isfinite(got)] for got in pair))


# -------------------------------------------------------------------------------- along an axis: values

along_an_axis = pytest.mark.parametrize("row", ROWS + REDUCTIONS, ids=label)
each_rows = pytest.mark.parametrize("row", ROWS, ids=label)
each_reduction = pytest.mark.parametrize("row", REDUCTIONS, ids=label)
each_real = pytest.mark.parametrize("dtype", ["float32", "float64"])
needs_long_double = pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="needs a long double that is wider than double")
AXES = (0, 1, 2, -1, -2, (0,), (0, 1), (1, 0), (2, 0), (0, 1, 2), None)
inf, nan = np.inf, np.nan

# Lengths that take different ways through the kernels: transposed rows, whole blocks and lanes, all tails.
LENGTHS = (*range(1, 41), 100, 511, 512, 513, 1000, 1500)


def pair_of(fs, row, shape, dtype="float64", scale=3, axis=-1):
    """grad_output, as large as the result, and what follows it: the function's output or its input."""
    rng = np.random.default_rng([*shape, int(scale)])
    grad, x = rng.normal(0, 2, shape).astype(dtype), rng.normal(0, scale, shape).astype(dtype)
    return grad, x if row.gradient.operand == "x" else getattr(fs, row.name)(x, axis=axis)


def reduced(row, grad, axis):
    """grad_output as the gradient takes it: a reduction's lacks the axes that are summed over."""
    if row.kind == "rows":
        return grad
    axes = range(grad.ndim) if axis is None else np.atleast_1d(axis)
    return grad[tuple(0 if i in np.array(axes) % grad.ndim else slice(None) for i in range(grad.ndim))]


def stretched(row, grad, axis):
    """The same for the truth, with the axes."""
    if row.kind == "rows":
        return grad
    axes = range(grad.ndim) if axis is None else np.atleast_1d(axis)
    return np.expand_dims(reduced(row, grad, axis), tuple(int(i) % grad.ndim for i in axes))


def assert_within_bound(row, got, grad, operand, axis=-1, where=True):
    """max_ulp at the result's magnitude without cancellation; half a unit for the rounding of a 16-bit result."""
    truth, _ = gradient_along(row, grad, operand, axis, where)
    bound, scale = gradient_tolerated(row, grad, operand, axis, where)
    bound = bound if got.dtype.itemsize > 2 else 0.5 + bound / 2**9
    errors = ulp_error(got, truth, scale)
    assert (errors <= bound).all(), (errors.max(), np.argmax(errors - bound))


@along_an_axis
def test_rows_truth_is_the_central_difference(row):
    """The table's gradient is that of the table's function, to 80 digits."""
    rng = np.random.default_rng(0)
    for n in (1, 2, 5):
        with mpmath.workprec(BITS):
            h = mpmath.mpf(2) ** -300
            x, grad = ([mpmath.mpf(v) for v in rng.normal(0, 3, n)] for _ in range(2))

            def f(j=0, step=0, x=x):
                shifted = [v + step * (i == j) for i, v in enumerate(x)]
                return eval(row.truth, vars(mpmath) | values(row) | {"x": shifted})

            names = values(row) | {"grad": grad, "x": x, "y": f()}
            for j, derivative in enumerate(eval(row.gradient.truth, vars(mpmath) | names)):
                high, low = f(j, h), f(j, -h)
                difference = mpmath.fsum(g * (a - b) / (2 * h) for g, a, b in zip(grad, high, low))
                assert abs(difference - derivative) <= mpmath.mpf(10) ** -80 * (1 + abs(derivative))


@along_an_axis
@each_real
def test_rows_reference_is_exact_enough(fs, row, dtype):
    for n, scale in ((1, 1), (7, 3), (4, 30)):
        for grad, operand in zip(*pair_of(fs, row, (6, n), dtype, scale)):
            grad = stretched(row, grad, -1)
            truth, magnitude = gradient_along(row, grad, operand)
            with mpmath.workprec(BITS):
                rows = {"grad": grad, row.gradient.operand: operand}
                names = {name: [finite(mpmath.mpf(float(v))) for v in numbers] for name, numbers in rows.items()}
                exact_values = eval(row.gradient.truth, vars(mpmath) | values(row) | names)
                errors = [
                    abs(to_mpf(v) - t) / to_mpf(m) for v, t, m in zip(truth, exact_values, magnitude, strict=True)
                ]
            assert max(errors) < (2**-60 if HAS_LONG_DOUBLE else 2**-40)


@along_an_axis
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_rows_torch_autograd(fs, row, axis):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x, grad = rng.normal(0, 4, (4, 5, 6)), rng.normal(0, 2, (4, 5, 6))
    tensor = torch.from_numpy(x).requires_grad_()
    axes = tuple(range(3)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if row.kind == "reduction":
        result = eval(row.torch, {"torch": torch, "x": tensor, "axis": axes})
    else:  # torch knows one axis
        moved = tensor.movedim(axes, tuple(range(-len(axes), 0)))
        result = eval(row.torch, {"torch": torch, "x": moved.flatten(3 - len(axes)), "axis": -1})
        result = result.reshape(moved.shape).movedim(tuple(range(-len(axes), 0)), axes)
    result.backward(torch.from_numpy(np.array(reduced(row, grad, axis))))
    operand = x if row.gradient.operand == "x" else getattr(fs, row.name)(x, axis=axis)
    got = getattr(fs.backward, row.name)(reduced(row, grad, axis), operand, axis)
    np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-12, atol=1e-14)


def hard_pairs(fs, row, n, scale, dtype):
    """Random ones, and sums that grow steadily, each rounding of which goes the same way."""
    grad, operand = pair_of(fs, row, (max(8, 4000 // n), n), dtype, scale)
    rng = np.random.default_rng(n)
    grad[0], grad[1] = 1, dtype(1) / dtype(3)
    grad[2:5] = rng.uniform(1, 2, (3, 1))
    grad[5] = np.abs(grad[5])
    grad[6] *= dtype(1e30)
    grad[7] *= dtype(1e-30)
    return grad, operand


@along_an_axis
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [-1, 0], ids=["last axis", "first axis"])
@needs_long_double
def test_rows_accuracy(fs, row, dtype, axis):
    for n in (1, 2, 3, 5, 10, 16, 17, 33, 100, 512, 513, 1000, 5000):
        for scale in (0, 0.1, 1, 10, 30, 300):
            grad, operand = hard_pairs(fs, row, n, scale, dtype)
            laid = (np.ascontiguousarray(np.moveaxis(each, -1, axis)) for each in (grad, operand))
            grad_laid, operand_laid = laid
            got = getattr(fs.backward, row.name)(reduced(row, grad_laid, axis), operand_laid, axis)
            assert_within_bound(row, np.moveaxis(got, axis, -1), stretched(row, grad, -1), operand)


@along_an_axis
def test_rows_in_16_bits_are_rounded_once(fs, row):
    for shape in ((50, 40), (80, 7), (20, 1000)):
        grad, operand = pair_of(fs, row, shape, "float16")
        got = getattr(fs.backward, row.name)(reduced(row, grad, -1), operand, -1)
        assert got.dtype == np.float16
        assert_within_bound(row, got, stretched(row, grad, -1), operand)
        wide = getattr(fs.backward, row.name)(reduced(row, grad, -1).astype("f"), operand.astype("f"), -1)
        with np.errstate(all="ignore"):
            assert_same(fs, got, wide.astype(np.float16))


@each_rows
@each_float
@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 40, 513, 1200])
@pytest.mark.parametrize("rows", [1, 3, 70], ids="{} rows".format)
def test_rows_special(fs, row, dtype, n, rows):
    """What is not finite stays in its row."""
    gradient, (grad, y) = getattr(fs.backward, row.name), pair_of(fs, row, (rows, n), dtype)
    plain, at = gradient(grad, y), rows // 2
    logarithm = row.logarithm
    for bad, which, i in itertools.product((nan, inf), (0, 1), sorted({0, n // 2, n - 1})):
        pair = [grad.copy(), y.copy()]
        pair[which][at, i] = bad
        for axis in (-1, 0):
            laid = [each if axis == -1 else np.ascontiguousarray(each.T) for each in pair]
            got = gradient(*laid, axis)
            got = got if axis == -1 else got.T
            assert_same(fs, np.delete(got, at, 0), np.delete(plain, at, 0))
            if which == 0 or (bad is nan and not logarithm):
                assert np.isnan(got[at]).all() if bad is nan else not np.isfinite(got[at, i])
            elif bad is nan:
                np.testing.assert_array_equal(np.isnan(got[at]), np.arange(n) == i)
            elif logarithm:  # a positive logarithm counts as 0
                one = pair[1].copy()
                one[at, i] = 0
                assert_same(fs, got, gradient(grad, one))


@each_rows
@each_float
def test_rows_have_no_floating_point_warning(fs, row, dtype):
    info = np.finfo(dtype)
    special = np.array([0, -0.0, 1, -1, nan, inf, -inf, info.max, info.tiny, info.smallest_subnormal, 50, -200], dtype)
    grad, y = (np.array(list(each)) for each in zip(*itertools.product(special, repeat=2)))
    with np.errstate(all="raise"):
        for n in (1, 2, 3, 12, 72, 144):
            for where in (True, np.arange(n) % 2 == 0):
                pair = grad.reshape(-1, n), y.reshape(-1, n)
                got = getattr(fs.backward, row.name)(*pair, where=where)
                columns = getattr(fs.backward, row.name)(*(np.asfortranarray(each) for each in pair), where=where)
                np.testing.assert_array_equal(np.isfinite(columns), np.isfinite(got))


# -------------------------------------------------------------------------------- along an axis: calls


@along_an_axis
@each_float
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_rows_axis_and_layout(fs, row, dtype, axis):
    gradient, (grad, operand) = getattr(fs.backward, row.name), pair_of(fs, row, (4, 5, 6), dtype, axis=axis)
    given, name = reduced(row, grad, axis), row.gradient.operand
    got = gradient(given, operand, axis)
    assert (got.dtype, got.shape) == (operand.dtype, operand.shape)
    assert_within_bound(row, got, stretched(row, grad, axis), operand, axis)
    assert_same(fs, gradient(grad_output=given, axis=axis, **{name: operand}), got)
    for layout in LAYOUTS:
        laid = place(given, layout) if given.ndim else given
        assert_same(fs, gradient(laid, operand, axis), got, layout)
        assert_same(fs, gradient(given, place(operand, layout), axis), got, layout)
        assert_same(fs, gradient(laid, place(operand, layout), axis), got, layout)
    for layout in EMPTY:
        out = EMPTY[layout](got)
        assert gradient(given, operand, axis, out=out) is out
        assert_same(fs, out.astype(dtype), got, layout)
        pair = [place(given, layout) if given.ndim else given, place(operand, layout)]
        for which in (0, 1) if row.kind == "rows" else (1,):
            target = pair[which].copy(order="K") if layout == "contiguous" else pair[which]
            before = target.copy()
            operands_in_place = [target if i == which else each for i, each in enumerate(pair)]
            assert gradient(*operands_in_place, axis, out=(target,)) is target
            assert_same(fs, target.astype(dtype), got, layout)
            target[...] = before
    for wide in (np.float32, np.float64):
        if np.can_cast(dtype, wide):
            out = np.empty(got.shape, wide)
            assert gradient(given, operand, axis, out=out) is out
            np.testing.assert_allclose(out, got, rtol=1e-3, atol=1e-7)


@each_rows
def test_rows_broadcast_but_along_the_axis(fs, row):
    gradient, (grad, y) = getattr(fs.backward, row.name), pair_of(fs, row, (3, 4, 5))
    for mine, theirs in itertools.product([(), (0,), (0, 1), (0, slice(None), None)], repeat=2):
        a, b = grad[mine], y[theirs]
        if None in mine + theirs:
            a, b = grad[:, :1] if None in mine else a, y[:, :1] if None in theirs else b
        expected = gradient(*(np.array(each) for each in np.broadcast_arrays(a, b)))
        assert_same(fs, gradient(a, b), expected)
        assert_same(fs, gradient(a, b, -1, where=np.ones(5, bool)), expected)
        assert_same(fs, gradient(a, b, (-1,)), expected)
        assert_same(fs, gradient(a, b, expected.ndim - 1), expected)
    assert_same(fs, gradient(grad, y[0], (1, 2)), gradient(grad, np.array(np.broadcast_to(y[0], y.shape)), (1, 2)))
    for shapes in (
        ((3, 5), (3, 1)),
        ((3, 1), (3, 5)),
        ((3, 5), ()),
        ((3, 5), (3, 4)),
        ((3, 5), (4, 5)),
        ((3, 5), (2, 1, 1)),
    ):
        for keywords in ({}, {"where": True}, {"where": np.ones(5, bool)}, {"axis": (-1,)}, {"axis": 1}):
            with pytest.raises(ValueError):
                gradient(*map(np.ones, shapes), **keywords)
    for axis in (None, (0, 1), 0):
        with pytest.raises(ValueError):
            gradient(np.ones((3, 5)), np.ones(5), axis)


@each_rows
def test_rows_dtypes_promote_as_numpys(fs, row):
    gradient = getattr(fs.backward, row.name)
    for chars in itertools.product("?bHiqQefd", repeat=2):
        grad, y = (np.array([[0, 1, 1]], char) for char in chars)
        expected = np.result_type(grad, y)
        expected = expected if expected.kind == "f" else np.dtype(np.float64)
        for keywords in ({}, {"axis": None}, {"where": np.array([True, True, False])}):
            got = gradient(grad, y, **keywords)
            assert got.dtype == expected, chars
            assert_same(fs, got, gradient(grad.astype(expected), y.astype(expected), **keywords), chars)
            for wanted in FLOATS:
                assert gradient(grad, y, dtype=wanted, **keywords).dtype == wanted
            assert gradient(grad, y, dtype=None, **keywords).dtype == expected
    assert gradient([1.0, 2.0], [0.25, 0.75]).dtype == np.float64
    with pytest.raises(TypeError):
        gradient(np.ones(3), np.ones(3), casting="safe", dtype="float32")


@along_an_axis
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: str(getattr(bad, "dtype", type(bad))))
def test_rows_unsupported_dtype(fs, row, bad):
    gradient, bad = getattr(fs.backward, row.name), np.resize(np.asarray(bad), 3)
    good = np.float64(1) if row.kind == "reduction" else np.ones(3)
    for arguments in ((bad[0] if row.kind == "reduction" else bad, np.ones(3)), (good, bad)):
        out = np.full(3, GUARD, np.float64)
        for keywords in ({}, {"out": out}, {"where": np.ones(3, bool)}):
            with pytest.raises(TypeError, match="supports bool, integer, float16, float32 and float64"):
                gradient(*arguments, **keywords)
        assert (out == GUARD).all()


@along_an_axis
def test_rows_bad_calls(fs, row):
    gradient, x = getattr(fs.backward, row.name), np.ones((2, 3))
    grad = x if row.kind == "rows" else np.ones(())
    for arguments in ((), (grad,)):
        with pytest.raises(TypeError):
            gradient(*arguments)
    for axis in (2, -3, (0, 2)):
        with pytest.raises(np.exceptions.AxisError):
            gradient(grad, x, axis)
    for axis, error in ((1.0, TypeError), (True, TypeError), ("0", TypeError), ((0, 0), ValueError)):
        with pytest.raises(error):
            gradient(grad, x, axis)
    for axis in (None, (0, 1)):
        for wrong in (np.full((3, 2), GUARD, "d"), np.full((1, 2, 3), GUARD, "d"), place(x, "read-only")):
            before = wrong.copy()
            with pytest.raises(ValueError):
                gradient(grad, x, axis, out=wrong)
            np.testing.assert_array_equal(wrong, before)
        for wrong in (x.tolist(), "a", (), (x, x), np.full((2, 3), GUARD)):
            with pytest.raises((TypeError, ValueError)):
                gradient(grad, x, axis, out=wrong)
        narrow = np.full((2, 3), GUARD, np.float32)
        with pytest.raises(TypeError):
            gradient(grad, x, axis, out=narrow, casting="safe")
        assert (narrow == GUARD).all()
        for where in ([True, False], np.ones((2, 2, 3), bool), np.ones(3)):
            with pytest.raises((TypeError, ValueError)):
                gradient(grad, x, axis, where=where)
    with pytest.raises(TypeError):
        gradient(grad, x, nonsense=1)


@along_an_axis
@each_float
def test_rows_of_nothing_and_scalars(fs, row, dtype):
    gradient = getattr(fs.backward, row.name)
    for shape in ((0,), (2, 0), (0, 3), (2, 0, 3)):
        for axis in (*range(-len(shape), len(shape)), None, tuple(range(len(shape)))):
            x = np.empty(shape, dtype)
            grad = x if row.kind == "rows" else np.ones(x.sum(axis).shape, dtype)
            for keywords in ({}, {"where": np.ones(shape, bool)}, {"out": x.copy()}):
                got = gradient(grad, x, axis, **keywords)
                assert (got.shape, got.dtype) == (shape, dtype)
    kind, out = np.dtype(dtype).type, np.empty((), dtype)
    one = 0.0 if row.logarithm else 1.0
    for axis in (-1, 0, None, (), (0,)):
        for grad, x in itertools.product((kind(3), np.array(3, dtype)), (kind(one), np.array(one, dtype))):
            got = gradient(grad, x, axis)
            assert type(got) is kind
            assert got == (3 if row.kind == "reduction" else 0)
            assert gradient(grad, x, axis, out=out) is out
            assert out == got


@pytest.mark.parametrize("row", ROWS + REDUCTIONS, ids=label)
def test_rows_public_object(fs, default, row):
    gradient = getattr(fs.backward, row.name)
    assert (gradient.__name__, gradient.__module__) == (row.name, "fastsig.backward")
    parameters = inspect.signature(gradient).parameters
    own, options = list(values(row)), ["dtype", "casting", "order", "subok"]
    own += ["keepdims"] if row.kind == "reduction" else []
    assert list(parameters) == ["grad_output", row.gradient.operand, "axis", *own, "out", "where", *options]
    assert parameters["axis"].default == inspect.signature(getattr(fs, row.name)).parameters["axis"].default
    of_default = getattr(default.backward, row.name)
    assert pickle.loads(pickle.dumps(of_default)) is of_default
    for suffix, nin in (("_backward", 2), ("_backward_where", 3)) if row.kind == "rows" else ():
        ufunc = fs._backend.ufuncs[row.name + suffix]
        assert (ufunc.nin, ufunc.signature) == (nin, ",".join(["(n)"] * nin) + "->(n)")
        assert ufunc.__name__ == f"{row.name}_backward"  # what errors are to say


class Unknown:
    """Would answer ufunc calls itself."""

    ndim, shape = 1, (3,)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return "answer"


@along_an_axis
def test_an_unknown_array(fs, row):
    """It cannot know what the function means by rows."""
    unknown, x = Unknown(), np.ones(3)
    for pair in ((unknown, x), (x, unknown), (unknown, unknown)):
        with pytest.raises(TypeError, match=f"{row.name}_backward: fastsig does not know .*Unknown.*: convert"):
            getattr(fs.backward, row.name)(*pair)
    for options in ({"out": unknown}, {"where": unknown}):
        with pytest.raises(TypeError, match="convert"):
            getattr(fs.backward, row.name)(x, x, **options)


# -------------------------------------------------------------------------------- along an axis: masks


@along_an_axis
@each_float
@pytest.mark.parametrize("shape", [(40,), (7, 40), (3, 7, 40), (70, 5), (3, 1500)], ids=str)
def test_rows_mask(fs, row, dtype, shape):
    """Masks of every shape that broadcasts. What is masked out is as if not there, NaN and infinity too."""
    gradient, rng = getattr(fs.backward, row.name), np.random.default_rng(0)
    grad, operand = pair_of(fs, row, shape, dtype)
    bad = np.array([nan, inf, -inf, 1e4], dtype)
    for mask_shape in (shape, shape[-1:], (*shape[:-1], 1), (1,) * len(shape), ()):
        mask = np.asarray(rng.random(mask_shape) < 0.6)
        everywhere = np.broadcast_to(mask, shape)
        for axis in (-1, 0, None):
            has_any = np.broadcast_to(everywhere.any(axis, keepdims=True), shape)
            broken = [np.where(everywhere, each, rng.choice(bad, shape)) for each in (grad, operand)]
            given = reduced(row, broken[0] if row.kind == "rows" else grad, axis)
            got = gradient(given, broken[1], axis, where=mask)
            assert (got[~everywhere] == 0).all() and not np.signbit(got[~everywhere]).any()
            truth_grad = broken[0] if row.kind == "rows" else stretched(row, grad, axis)
            assert_within_bound(row, got, truth_grad, broken[1], axis, everywhere & has_any)
            for layout in ("contiguous", "strided", "reversed", "last axis outermost", "read-only"):
                laid = place(mask, layout) if mask.ndim else mask
                grad_laid = place(given, layout) if given.ndim else given
                assert_same(fs, gradient(grad_laid, place(broken[1], layout), axis, where=laid), got, layout)
            buffer = broken[1].copy()
            assert gradient(given, buffer, axis, where=mask, out=buffer) is buffer
            assert_same(fs, buffer, got)
    given = reduced(row, grad, -1)
    assert_same(fs, gradient(given, operand, -1, where=np.True_), gradient(given, operand, -1))
    assert_same(fs, gradient(given, operand, -1, where=False), np.zeros(shape, dtype))


@along_an_axis
def test_masked_arrays(fs, row):
    """What is masked takes no part, as in the functions themselves, and stays masked."""
    rng = np.random.default_rng(0)
    x, grad, mask = rng.normal(0, 3, (5, 7)), rng.normal(0, 1, (5, 7)), rng.random((5, 7)) < 0.3
    gradient = getattr(fs.backward, row.name)
    if row.kind == "reduction":
        got = gradient(grad[:, 0], np.ma.array(np.where(mask, 1e6, x), mask=mask), 1)
        expected = gradient(grad[:, 0], x, 1, where=~mask)
    else:
        y = getattr(fs, row.name)(x, where=~mask)
        got = gradient(np.ma.array(grad, mask=mask), np.ma.array(np.where(mask, 1e6, y), mask=mask))
        expected = gradient(grad, y, where=~mask)
    np.testing.assert_array_equal(got.mask, mask)
    np.testing.assert_array_equal(got.filled(0), expected)


@each_reduction
def test_reduction_mask_and_infinite_gradient(fs, row):
    """0, where nothing takes part, though the product of 0 and infinity is NaN."""
    got = getattr(fs.backward, row.name)(inf, [1.0, 1.0], where=[True, False])
    np.testing.assert_array_equal(got, [inf, 0])


@each_reduction
@each_float
def test_reduction_gradient_of_other_shapes(fs, row, dtype):
    """grad_output broadcasts against the function's result, and must not be larger."""
    gradient, (grad, x) = getattr(fs.backward, row.name), pair_of(fs, row, (4, 5, 6), dtype)
    for axis in (0, (0, 2), -1):
        given = reduced(row, grad, axis)
        expected = gradient(given, x, axis)
        kept = stretched(row, grad, axis)
        assert_same(fs, gradient(kept, x, axis, keepdims=True), expected)
        assert_same(fs, gradient(kept, x, axis, True), expected)
        assert_same(fs, gradient(given[:1], x, axis), gradient(np.repeat(given[:1], len(given), 0), x, axis))
        with pytest.raises(ValueError):
            gradient(x, x, axis)
        with pytest.raises(ValueError):
            gradient(x, x, axis, keepdims=True)
    for number in (2, 2.0, True):
        got = gradient(number, x, 1)
        assert got.dtype == dtype
        assert_same(fs, got, gradient(np.full((), number, dtype), x, 1))
    for other in FLOATS:
        assert gradient(np.ones((), other), x).dtype == np.result_type(x.dtype, other)
        assert gradient(1.0, x, dtype=other).dtype == other
    assert gradient(1, np.arange(3)).dtype == np.float64
    buffer = place(x, "contiguous")  # grad_output overlaps with out=
    expected = gradient(buffer[:, 0].copy(), x, 1)
    assert_same(fs, gradient(buffer[:, 0], x, 1, out=buffer), expected)


# -------------------------------------------------------------------------------- along an axis: same bits


@each_rows
@each_float
@pytest.mark.parametrize("n", LENGTHS)
def test_a_row_does_not_depend_on_its_neighbours(compiled, row, dtype, n):
    """Nor on where it lies: each row alone is the reference for every other way to compute it."""
    gradient, (grad, y) = getattr(compiled.backward, row.name), pair_of(compiled, row, (70, n), dtype, 1)
    expected = np.stack([gradient(*each) for each in zip(grad, y)])
    for rows in (1, 2, 15, 16, 17, 64, 65, 70):
        assert_same_bits(gradient(grad[:rows], y[:rows]), expected[:rows], f"{rows} rows")
        assert_same_bits(gradient(grad[-rows:], y[-rows:]), expected[-rows:], f"last {rows} rows")
        columns = [each[:rows].T.copy() for each in (grad, y)]
        assert_same_bits(gradient(*columns, 0), expected[:rows].T, f"{rows} columns")
        assert_same_bits(gradient(grad[:rows].T, columns[1], 0), expected[:rows].T, f"{rows} columns and rows")
        assert_same_bits(gradient(columns[0], y[:rows].T, 0), expected[:rows].T, f"{rows} rows and columns")
        out = np.full((n, rows + 2), GUARD, dtype)
        gradient(*columns, 0, out=out[:, 1:-1])
        assert_same_bits(out[:, 1:-1], expected[:rows].T, f"{rows} columns, out= strided")
        assert (out[:, [0, -1]] == GUARD).all()
        for which in (0, 1):
            in_place = [each.copy() for each in columns]
            gradient(*in_place, 0, out=in_place[which])
            assert_same_bits(in_place[which], expected[:rows].T, f"{rows} columns in place")
            in_place = [grad[:rows].copy(), y[:rows].copy()]
            gradient(*in_place, out=in_place[which])
            assert_same_bits(in_place[which], expected[:rows], f"{rows} rows in place")
    for layout in LAYOUTS:
        pair = [place(each, layout) for each in (grad, y)]
        assert_same_bits(gradient(*pair), expected, layout)
        assert_same_bits(gradient(*(each.T for each in pair), 0), expected.T, f"{layout}, axis 0")
        assert_same_bits(gradient(place(grad[9], layout), place(y[9], layout)), expected[9], f"{layout}, alone")
    one = gradient(grad, y[3])
    assert_same_bits(one[5], gradient(grad[5], y[3]), "broadcast")
    assert_same_bits(gradient(grad[3], y)[5], gradient(grad[3], y[5]), "broadcast")
    everything = np.ones(y.shape, bool)
    assert_same_bits(gradient(grad, y, where=everything), expected, "masked")
    assert_same_bits(gradient(grad[9], y[9], where=everything[9]), expected[9], "masked, alone")


@along_an_axis
@each_float
@pytest.mark.parametrize("shape", [(40_000, 3), (4000, 30), (300, 700), (37, 2000), (2, 100_000)], ids=str)
def test_rows_same_bits_on_any_number_of_threads(compiled, row, dtype, shape):
    gradient, (grad, operand) = getattr(compiled.backward, row.name), pair_of(compiled, row, shape, dtype)
    grad = reduced(row, grad, -1)
    columns = np.ascontiguousarray(grad.T), np.ascontiguousarray(operand.T)
    with compiled.num_threads(1):
        expected = gradient(grad, operand, -1)
    for threads in (1, 2, 3, 8):
        with compiled.num_threads(threads):
            assert_same_bits(gradient(grad, operand, -1), expected, threads)
            assert_same_bits(gradient(*columns, 0), expected.T, threads)
            assert_same_bits(gradient(grad, operand, -1, where=np.ones(shape[-1], bool)), expected, threads)
            out = np.full((shape[0] + 2, shape[1] + 2), GUARD, dtype)
            gradient(grad, operand, -1, out=out[1:-1, 1:-1])
            assert_same_bits(out[1:-1, 1:-1], expected, threads)
            assert (out[[0, -1]] == GUARD).all() and (out[:, [0, -1]] == GUARD).all()


@along_an_axis
@each_real
def test_rows_compiled_and_pure_agree(compiled, row, dtype):
    rng = np.random.default_rng(0)
    for n in (1, 3, 16, 40, 600):
        grad, operand = pair_of(compiled, row, (20, n), dtype)
        given = reduced(row, grad, -1)
        _, scale = gradient_along(row, stretched(row, grad, -1), operand)
        for where in (True, rng.random((20, n)) < 0.7):
            pair = [
                getattr(fs.backward, row.name)(given, operand, -1, where=where)
                for fs in (compiled, imported_on("pure"))
            ]
            np.testing.assert_array_equal(pair[0] == 0, pair[1] == 0)
            errors = ulp_error(pair[0], pair[1].astype(np.longdouble), scale)
            assert errors.max() <= 2 * row.gradient.max_ulp[dtype == "float64"]


# -------------------------------------------------------------------------------- documentation


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_docstring(fs, row):
    numpydoc = pytest.importorskip("numpydoc.docscrape").NumpyDocString
    text = _docs.gradient_docstring(row)
    assert getattr(fs.backward, row.name).__doc__.endswith(text)
    docstring = numpydoc(text)
    documented = {name for parameter in docstring["Parameters"] for name in parameter.name.split(", ")}
    own = {"elementwise": set(values(row)), "rows": {"axis", *values(row)}, "reduction": {"axis", "keepdims"}}
    own |= {"loss": {"target", "axis", "label_smoothing", "ignore_index"}, "halves": {"axis"}}
    first, own = "logits" if row.kind == "loss" else row.gradient.operand, own[row.kind]
    assert documented == {"grad_output", first, "out", "where", "dtype", "casting", "order", "subok"} | own
    notes = " ".join(docstring["Notes"])
    assert all(str(bound) in notes for _, each in expanded(row) for bound in each.gradient.max_ulp if bound)


def test_example_in_the_module(fs, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastsig", fs)
    test = doctest.DocTestParser().get_doctest(fs.backward.__doc__, {}, "backward", None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="no long double here")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [16, 64, 100, 1000])
def test_softmax_of_rows_that_few_dominate(fs, dtype, n):
    """grad_output of one sign: the products' roundings, of which the sum keeps none, count most."""
    rng, worst = np.random.default_rng(0), 0
    row = next(row for row in TABLE if row.name == "softmax")
    for _ in range(40):
        y = fs.softmax((rng.normal(size=(20, n)) * 8).astype(dtype))
        grad = np.abs(rng.normal(size=y.shape)).astype(dtype)
        wide_y, wide_grad = y.astype(np.longdouble), grad.astype(np.longdouble)
        total = (wide_grad * wide_y).sum(1, keepdims=True)
        unit = np.spacing((wide_y * (wide_grad + total)).astype(dtype))
        error = np.abs(fs.backward.softmax(grad, y) - wide_y * (wide_grad - total)) / unit
        worst = max(worst, error[y > 1e3 * np.finfo(dtype).tiny].max())
    assert worst <= row.gradient.max_ulp[dtype == "float64"]


@pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="no long double here")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [5, 17, 33, 50, 64, 100, 1000])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rows_that_one_term_dominates(fs, name, dtype, n):
    """All terms of the sum but one are just below half a unit of that one, of one sign: a sum may lose each of them."""
    rng, dtype = np.random.default_rng(0), np.dtype(dtype)
    shape, eps = (max(20, 40_000 // n), n), np.finfo(dtype).eps
    rows = np.arange(shape[0])
    term = eps * rng.uniform(0.45, 0.5, shape) * rng.choice([-1, 1], (len(rows), 1))
    term *= np.where(rng.random(shape) < rng.choice([0, 0.3, 0.6], (len(rows), 1)), rng.random((len(rows), 1)), 1)
    term[:, 0] = (1 + eps * rng.integers(0, 5, len(rows))) * rng.choice([-1, 1], len(rows))
    if name == "log_softmax":
        grad, y = term, np.log(rng.choice([0.12499, 0.2499, 0.4999, 0.95, 0.9999], shape))
    else:
        y = rng.uniform(0.225, 0.25, shape)
        y[:, 0] = rng.uniform(0.5, 1, len(rows))
        grad = term / y.astype(dtype)
        seen = rng.integers(1, n, len(rows))
        y[rows, seen], grad[rows, seen] = 0.25 * (1 - eps), rng.choice([0, 1e-3, -1e-3, 0.01], len(rows))
    grad, y = grad.astype(dtype), y.astype(dtype)
    row = next(row for row in TABLE if row.name == name)
    truth, scale = gradient_along(row, grad, y)
    errors = ulp_error(getattr(fs.backward, name)(grad, y), truth, scale)
    assert errors.max() <= row.gradient.max_ulp[dtype == np.float64]
    heat = 1.0001  # whose quotients have the units of what is divided
    errors = ulp_error(getattr(fs.backward, name)(grad, y, temperature=heat), truth / heat, scale / heat)
    assert errors.max() <= row.gradient.max_ulp[dtype == np.float64] + (0.5 if dtype == np.float64 else 0)
