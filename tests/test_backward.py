"""fastsig.backward: gradients against torch and central differences, kinks, and calls of ufuncs with equal operands.

The errors of the derivatives, grad_output = 1, are in test_accuracy.
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
    chosen,
    defaults,
    exact,
    function,
    hard,
    label,
    numbers,
    reference,
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
    gradient = getattr(fs.backward, row.name)
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
}
FLAT = {  # where the gradient is 0 for every grad_output
    "relu": [0, -0.0, -1, -np.inf],
    "relu6": [0, -1, 6, 7, np.inf, -np.inf],
    "hard_tanh": [-1, 1, -2, 2, np.inf, -np.inf],
    "hard_sigmoid": [-3, 3, -4, 4, np.inf, -np.inf],
    "hard_swish": [-3, -4, -np.inf],
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


# -------------------------------------------------------------------------------- how they are called


ROWS_OF_TABLE = [row for row in TABLE if row.kind == "elementwise"]


@pytest.mark.parametrize("row", ROWS_OF_TABLE, ids=lambda row: row.name)
def test_public_object(fs, default, row):
    gradient, thin = getattr(fs.backward, row.name), bool(row.parameters or row.choice)
    assert isinstance(gradient, np.ufunc) == (not thin and fs._backend.threads is not None)
    assert gradient.__name__ == row.name
    assert gradient.__module__ == "fastsig.backward"
    for name, _ in expanded(row):
        ufunc = fs._backend.ufuncs[f"{name}_backward"]
        assert thin or ufunc is gradient
        assert (ufunc.nin, ufunc.nout) == (2 + len(row.parameters), 1)
        assert sorted(ufunc.types) == sorted(f"{char * ufunc.nin}->{char}" for char in "efd")
        of_default = default._backend.ufuncs[f"{name}_backward"]
        assert pickle.loads(pickle.dumps(of_default)) is of_default
    if thin:
        signature = inspect.signature(gradient).parameters
        assert list(signature) == ["grad_output", "x", *values(row), "kwargs"]
        assert {name: signature[name].default for name in values(row)} == values(row)
    of_default = getattr(default.backward, row.name)
    assert pickle.loads(pickle.dumps(of_default)) is of_default


def test_names(fs):
    assert {row.name for row in ROWS_OF_TABLE} <= set(fs.backward.__all__)
    assert all(hasattr(fs.backward, name) for name in fs.backward.__all__)


def test_unknown_choice(fs):
    with pytest.raises(ValueError, match="approximate argument must be either none or tanh"):
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


# -------------------------------------------------------------------------------- documentation


@pytest.mark.parametrize("row", ROWS_OF_TABLE, ids=lambda row: row.name)
def test_docstring(fs, row):
    numpydoc = pytest.importorskip("numpydoc.docscrape").NumpyDocString
    text = _docs.gradient_docstring(row)
    assert getattr(fs.backward, row.name).__doc__.endswith(text)
    docstring = numpydoc(text)
    documented = {name for parameter in docstring["Parameters"] for name in parameter.name.split(", ")}
    assert documented == {"grad_output", "x", *values(row), "out", "where", "dtype", "casting", "order", "subok"}
    notes = " ".join(docstring["Notes"])
    assert all(str(bound) in notes for _, each in expanded(row) for bound in each.gradient.max_ulp if bound)


def test_example_in_the_module(fs, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastsig", fs)
    test = doctest.DocTestParser().get_doctest(fs.backward.__doc__, {}, "backward", None, None)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
