"""What all functions share: they are called like a NumPy ufunc, and results do not depend on where things lie.

Where the question is what a ufunc does (subclasses, order=, casting=), np.tanh is asked.
"""

import functools
import inspect
import itertools
import re
import warnings

import numpy as np
import pytest
from layouts import EMPTY, GUARD, LAYOUTS, assert_same, assert_same_bits, place, whole
from oracle import ELEMENTWISE, OF_ONE, ROWS, called, chosen, defaults, label, reference, ulp_error

FLOATS = ("float16", "float32", "float64")
INTEGERS = "bBhHiIlLqQ"
UNSUPPORTED = "supports bool, integer, float16, float32 and float64"

SHAPE_KEEPING = [row for row in OF_ONE if row.kind != "reduction"]  # the others are test_logsumexp's
each_row = pytest.mark.parametrize("row", SHAPE_KEEPING, ids=lambda row: row.name)
each_elementwise = pytest.mark.parametrize("row", ELEMENTWISE, ids=label)
each_with_parameters = pytest.mark.parametrize(
    "row", [row for row in ELEMENTWISE if row.parameters], ids=lambda row: row.name
)
each_rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
each_float = pytest.mark.parametrize("dtype", FLOATS)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def matrix(dtype="float32", shape=(6, 7)):
    x = np.random.default_rng(0).normal(0, 4, shape).astype(dtype)
    return x


def bound(fs, row):
    """The function of a row or, if it is one of several under one name, that one."""
    function = called(fs, row)
    return functools.partial(function, **chosen(row)) if row.choice else function


def typical_inputs(dtype, n):
    """Values of all kinds, special ones among them, in no order."""
    if np.dtype(dtype).kind in "iu":
        return np.random.default_rng(1).integers(-40, 100, n).astype(dtype)
    info = np.finfo(dtype)
    special = [
        0,
        -0.0,
        np.nan,
        np.inf,
        -np.inf,
        info.max,
        -info.max,
        info.tiny,
        -info.smallest_subnormal,
        1,
        -1,
        -60000,
    ]
    with np.errstate(all="ignore"):
        x = np.resize(np.array(special), n).astype(dtype)
    x[len(special) :] = np.random.default_rng(1).normal(0, 12, max(0, n - len(special)))
    return np.random.default_rng(2).permutation(x)


# -------------------------------------------------------------------------------- what they are


@each_row
def test_attributes(fs, row):
    function, ufunc = getattr(fs, row.name), fs._backend.ufuncs[row.name]
    assert (function is ufunc) == row.is_ufunc
    assert isinstance(ufunc, np.ufunc) == (fs._backend.threads is not None)
    assert function.__name__ == ufunc.__name__ == row.name
    assert repr(ufunc) == f"<ufunc '{row.name}'>"
    operands = 1 + len(row.parameters) * (row.kind == "elementwise")
    assert (ufunc.nin, ufunc.nout, ufunc.nargs) == (operands, 1, operands + 1)
    assert ufunc.ntypes == len(ufunc.types)
    assert ufunc.identity is None
    assert ufunc.signature == (None if row.kind == "elementwise" else "(n)->(n)")
    assert row.summary in function.__doc__
    inputs = ", ".join(f"x{i}" for i in range(1, 1 + ufunc.nin)) if row.parameters else "x"
    assert function.__doc__.startswith(f"{row.name}({inputs}, /, out=None, *, where=True") == row.is_ufunc
    if not row.is_ufunc:
        assert inspect.isfunction(function)
        assert function.__module__ == "fastsig"
        assert function.__qualname__ == row.name
        signature = inspect.signature(function)
        assert {"out", "where", "dtype", "casting", "order", "subok"} <= set(signature.parameters)
        assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
        assert all(signature.parameters[each.name].default == each.default for each in row.parameters)


@each_row
def test_types(fs, row):
    results = {loop[0]: loop[-1] for loop in fs._backend.ufuncs[row.name].types}
    assert {char: char for char in "efd"}.items() <= results.items()
    if row.kind == "elementwise":
        kept = INTEGERS if row.keeps_integers else ""
        assert results == {char: char if char in kept + "efd" else "d" for char in "?" + INTEGERS + "efd"}


# -------------------------------------------------------------------------------- dtypes


@each_row
@pytest.mark.parametrize("char", "?" + INTEGERS + "efd")
def test_result_dtype(fs, row, char):
    function = called(fs, row)
    kept = char in "efd" or (row.keeps_integers and char != "?")
    for x in (np.array([[0, 1], [1, 1]], char), np.array([1], char), np.array(1, char), np.zeros((0, 2), char)):
        got = function(x)
        assert (got.dtype, got.shape) == (np.dtype(char if kept else "d"), x.shape)
        np.testing.assert_array_equal(got, function(x.astype("d")) if not kept else got)


@each_elementwise
@pytest.mark.parametrize("char", INTEGERS)
def test_integers_of_all_sizes(fs, row, char):
    """Converted exactly, from the ends of their range and in every layout."""
    info = np.iinfo(char)
    x = np.array([info.min, info.min + 1, 0, 1, 2, 3, 100, info.max - 1, info.max] * 5, char)
    expected = np.maximum(x, 0) if row.keeps_integers else bound(fs, row)(x.astype("d"))
    for layout in LAYOUTS:
        assert_same(fs, bound(fs, row)(place(x, layout)), expected, layout)
    for n in range(x.size):
        assert_same(fs, bound(fs, row)(x[:n]), expected[:n], n)
    many = np.full(5000, x[7])  # one number for several blocks
    assert_same(fs, bound(fs, row)(x[7], out=np.zeros_like(many, expected.dtype)), bound(fs, row)(many))


@each_elementwise
@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
def test_every_byte(compiled, row, dtype):
    """As of float64, also where a call is so long that the result for each of 256 values is computed once."""
    function, rng = bound(compiled, row), np.random.default_rng(5)
    shapes = {"one": (), "a row's": (3, 1), "a column's": (7001,), "all": (3, 7001)}
    choices = [{}]
    for parameter, shape in itertools.product(row.parameters, shapes.values()):
        choices.append({parameter.name: rng.uniform(0.1, 0.9, shape)})
    for n, threads, parameters in itertools.product([257, 7001], [1, 2], choices):
        x = np.resize(np.arange(256), (3, n)).astype("u1")
        x = rng.permuted(x, axis=1).astype(bool) if dtype == "bool" else rng.permuted(x, axis=1).view(dtype)
        parameters = {name: value[..., :n] if value.ndim else value for name, value in parameters.items()}
        expected = function(x.astype(float), **parameters)
        if row.keeps_integers and dtype != "bool":
            expected = expected.astype(dtype)
        with compiled.num_threads(threads):
            assert_same_bits(function(x, **parameters), expected)
            assert_same_bits(function(x.copy("F"), **parameters), expected)
            for layout in ("strided", "reversed", "unaligned"):
                out = EMPTY[layout](expected)
                function(place(x, layout), **parameters, out=out)
                assert_same_bits(np.array(out), expected)
            mask = np.arange(3 * n).reshape(3, n) // 1500 % 2 == 1
            out = np.full_like(expected, GUARD)
            function(x, **parameters, out=out, where=mask)
            assert_same_bits(out, np.where(mask, expected, expected.dtype.type(GUARD)))


def test_many_bytes_on_any_number_of_threads(compiled):
    x = np.resize(np.arange(256, dtype="u1"), 300_007)[::-1].copy()
    for function in (compiled.sigmoid, functools.partial(compiled.elu, alpha=np.float64(0.3))):
        expected = function(x.astype(float))
        for threads in (1, 2, 3, 8):
            with compiled.num_threads(threads):
                assert_same_bits(function(x), expected)
                out = np.full(x.size + 64, float(GUARD))
                function(x, out=out[32:-32])
                assert (out[:32] == GUARD).all() and (out[-32:] == GUARD).all()
                assert_same_bits(out[32:-32], expected)
                # Where the operand ends as the result does: read before it is written to.
                buffer = np.zeros(x.size)
                buffer.view("u1")[-x.size :] = x
                function(buffer.view("u1")[-x.size :], out=buffer)
                assert_same_bits(buffer, expected)


@each_row
def test_python_numbers_and_lists(fs, row):
    function = called(fs, row)
    assert type(function(0.5)) is np.float64
    assert type(function(True)) is np.float64
    assert type(function(3)) is (np.int64 if row.keeps_integers else np.float64)
    assert type(function(np.float32(3))) is np.float32
    assert type(function(np.array(0.5, "float16"))) is np.float16
    np.testing.assert_array_equal(function([[1.0, -2.0], (3.0, 4.0)]), function(np.array([[1.0, -2.0], [3.0, 4.0]])))
    assert function([]).shape == (0,)
    assert function(np.zeros((3, 0, 2), "float32")).shape == (3, 0, 2)


@each_with_parameters
@pytest.mark.parametrize("dtype", [*FLOATS, "int8", "uint64", "bool"])
def test_defaults_may_be_spelt_out(fs, row, dtype):
    """Where they are left out, the call takes a shorter way."""
    function, x = called(fs, row), typical_inputs(dtype if dtype != "bool" else "int8", 5000).astype(dtype)
    spelt = {parameter.name: float(repr(parameter.default)) for parameter in row.parameters}  # another object
    for part in (x, x[::-3], x[:7].reshape(7, 1), x[3], x[3].item(), x[:4].tolist(), x[:0]):
        got, expected = function(part), function(part, **spelt)
        assert type(got) is type(expected)
        assert_same_bits(np.asarray(got), np.asarray(expected))


@each_with_parameters
def test_parameters_follow_nep_50(fs, row):
    """Python numbers take the dtype of x; arrays and NumPy scalars take part in promotion."""
    function, name = called(fs, row), row.parameters[0].name
    for dtype in FLOATS:
        x = np.array([-2, 3], dtype)
        for weak in (0.25, 2, True):
            assert function(x, **{name: weak}).dtype == dtype
            assert function(x[0], **{name: weak}).dtype == dtype
        for char in "efd" + INTEGERS:
            for strong in (np.array([1, 1], char), np.array(1, char)[()]):
                assert function(x, **{name: strong}).dtype == np.result_type(x, strong), char
    for char in "?" + INTEGERS:
        for parameter in (0.25, 2, np.float16(1), np.float32([1, 1])):
            assert function(np.array([0, 1], char), **{name: parameter}).dtype == np.float64
    half, slope = np.float16([-1.5, 2]), 0.1
    np.testing.assert_array_equal(function(half, **{name: slope}), function(half, **{name: np.float16(slope)}))


@each_with_parameters
def test_python_integers_beside_parameters(fs, row):
    """Of all sizes, whatever the parameter is: float64, as in an array."""
    function, name = called(fs, row), row.parameters[0].name
    values = [
        2,
        0.5,
        np.float16(0.5),
        np.float32([0.5, 2]),
        np.array([0.5, 2]),
        *(np.dtype(c).type(1) for c in INTEGERS),
    ]
    for number, value in itertools.product([5, -1, 127, 128, 255, -129, 70_000, 2**31, -(2**63), 2**63], values):
        got = function(number, **{name: value})
        assert got.dtype == np.float64
        assert_same(fs, got, function(np.float64(number), **{name: np.asarray(value, np.float64)}))
        assert function(number, **{name: value}, dtype="float32").dtype == np.float32
    for narrow in (0.5, 2, np.float16(0.5), np.float32(0.5)):
        assert function(3, **{name: narrow}, dtype="float32", casting="safe").dtype == np.float32
    with pytest.raises(TypeError, match="'safe'"):
        function(3, **{name: np.float64(0.5)}, dtype="float32", casting="safe")


@each_with_parameters
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_broadcast(fs, row, dtype):
    """Arrays of parameters of every shape and in every layout (PReLU)."""
    x, function = matrix(dtype, (5, 6)), called(fs, row)
    shapes = [(), (6,), (5, 1), (1, 6), (5, 6), (3, 5, 6), (3, 1, 1)]
    for i, shape in itertools.product(range(len(row.parameters)), shapes):
        values = np.random.default_rng(3).uniform(0.1, 0.9, shape).astype(dtype)
        parameters = defaults(row, dtype) | {row.parameters[i].name: values}
        expected = function(x, **parameters)
        assert expected.shape == np.broadcast_shapes(x.shape, shape)
        truth = reference(row, np.broadcast_to(x, expected.shape), **parameters)
        # Long double holds no exact product of two doubles: hence the second term.
        assert ulp_error(expected, truth).max() <= row.max_ulp[dtype == "float64"] + 2**-9
        for layout, x_layout in itertools.product(
            LAYOUTS if shape else ["contiguous"], ["contiguous", "strided", "last axis outermost"]
        ):
            parameters[row.parameters[i].name] = place(values, layout)
            assert_same(fs, function(place(x, x_layout), **parameters), expected, (layout, x_layout))


# -------------------------------------------------------------------------------- calling style


@each_row
@each_float
@pytest.mark.parametrize("layout", EMPTY)
def test_out(fs, row, dtype, layout):
    """Filled in any layout, returned as it is, and nothing around it is touched."""
    x, function = typical_inputs(dtype, 77).reshape(7, 11), called(fs, row)
    expected = function(x)
    for wrapped in (False, True):
        out = EMPTY[layout](x)
        before, elements = whole(out).copy(), out.copy()
        assert function(x, out=(out,) if wrapped else out) is out
        assert_same(fs, out.astype(dtype), expected)
        out[...] = elements
        np.testing.assert_array_equal(whole(out), before)
    if row.is_ufunc:
        assert function(x, out) is out
    assert_same(fs, function(x, out=None), expected)
    assert_same(fs, function(x, out=(None,)), expected)


@each_row
def test_out_of_another_shape_or_dtype(fs, row):
    x, function = matrix("float32", (2, 3)), called(fs, row)
    larger = np.empty((4, 2, 3), "float32")
    assert function(x, out=larger) is larger
    assert_same(fs, larger, np.broadcast_to(function(x), larger.shape))
    for dtype in FLOATS:
        out = np.empty((2, 3), dtype)
        assert function(x, out=out) is out
        assert_same(fs, out, function(x).astype(dtype))
    zero_d = np.empty((), "float32")
    assert function(np.float32(2), out=zero_d) is zero_d
    np.testing.assert_array_equal(zero_d, function(np.float32(2)))


@each_elementwise
@each_float
@each_layout
def test_where_leaves_the_rest_alone(fs, row, dtype, layout):
    """Masks of all densities: NumPy calls the inner loop once for every run of True, with pointers it uses again."""
    function, x = bound(fs, row), typical_inputs(dtype, 101)
    expected = function(x)
    masks = [
        np.arange(101) % 2 == 0,
        np.arange(101) % 2 == 1,
        np.arange(101) % 7 != 3,
        np.zeros(101, bool),
        np.ones(101, bool),
    ]
    masks.append(np.random.default_rng(5).random(101) < 0.5)
    for mask in masks:
        out = np.full(101 + 8, GUARD, dtype)
        function(place(x, layout), out=out[4:-4], where=place(mask, "strided"))
        assert (out[[0, 1, 2, 3, -4, -3, -2, -1]] == GUARD).all()
        assert_same(fs, out[4:-4], np.where(mask, expected, np.array(GUARD, dtype)))
    for n in range(1, 40):
        out = np.full(n + 2, GUARD, dtype)
        function(x[:n], out=out[1:-1], where=masks[0][:n])
        assert_same(fs, out[1:-1], np.where(masks[0][:n], expected[:n], np.array(GUARD, dtype)))
        assert out[0] == out[-1] == GUARD
    out = np.full((3, 101), GUARD, dtype)
    function(x, out=out, where=[[True], [False], [True]])
    assert_same(fs, out, np.where([[True], [False], [True]], expected, np.array(GUARD, dtype)))


@each_row
@pytest.mark.parametrize("wanted", FLOATS)
@pytest.mark.parametrize("given", [*FLOATS, "int16", "int64", "bool"])
def test_dtype(fs, row, given, wanted):
    """dtype= is the dtype that is computed in."""
    x, function = (matrix() > 0 if given == "bool" else matrix().astype(given)), called(fs, row)
    got = function(x, dtype=wanted)
    assert got.dtype == wanted
    if np.dtype(given).kind == "f" or row.kind == "rows":
        assert_same(fs, got, function(x.astype(wanted)))
    assert function(x, casting="unsafe", dtype=wanted).dtype == wanted
    if not np.can_cast(given, wanted):
        with pytest.raises(TypeError, match="casting"):
            function(x, casting="safe", dtype=wanted)


@each_row
def test_casting(fs, row):
    x, function = matrix(), functools.partial(called(fs, row), **defaults(row, "float32"))
    for casting in ("no", "equiv", "safe", "same_kind", "unsafe"):
        assert_same(fs, function(x, casting=casting), function(x))
    with pytest.raises(TypeError, match="'no'"):
        function(place(x, "byte-swapped"), casting="no")
    assert_same(fs, function(place(x, "byte-swapped"), casting="equiv"), function(x))
    out = np.zeros(x.shape, np.float16)
    with pytest.raises(TypeError, match="'safe'"):
        function(x, out=out, casting="safe")
    assert not out.any()


@each_row
def test_order(fs, row):
    fortran = np.asfortranarray(matrix())
    for x in (matrix(), fortran, fortran[:, ::-1], np.moveaxis(matrix(shape=(2, 3, 4)), 0, 1)):
        for order in "CFKA":
            got, like = called(fs, row)(x, order=order), np.tanh(x, order=order)
            if row.kind == "elementwise" or order in "CF":
                assert got.strides == like.strides, order
            assert_same(fs, got, called(fs, row)(x))


class Subclass(np.ndarray):
    def __array_finalize__(self, other):
        self.note = getattr(other, "note", None)


@each_row
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses(fs, row):
    function, plain = called(fs, row), matrix()
    subclass = plain.view(Subclass)
    subclass.note = "kept"
    for x in (subclass, np.matrix(plain)):
        got = function(x)
        assert type(got) is type(np.tanh(x))
        assert_same_bits(np.asarray(got), np.asarray(function(plain)))
        assert type(function(x, subok=False)) is type(np.tanh(x, subok=False)) is np.ndarray
    assert function(subclass).note == "kept"
    out = np.zeros_like(subclass)
    assert function(plain, out=out) is out


@each_row
@pytest.mark.parametrize("hidden", ["some", "a row", "none", "nomask"])
def test_masked_arrays(fs, row, hidden):
    """What is masked stays so, and takes no part in a row."""
    function, plain = called(fs, row), matrix()
    masked = np.ma.array(plain, mask={"some": plain > 1, "none": False, "nomask": np.ma.nomask}.get(hidden))
    if hidden == "a row":
        masked[2] = np.ma.masked
    seen = ~np.ma.getmaskarray(masked)
    for options in ({}, {"axis": 0}, {"axis": None}, {"where": plain > 0}) if row.kind == "rows" else ({},):
        expected = function(
            plain, **options | ({"where": seen & options.get("where", True)} if row.kind == "rows" else {})
        )
        got, plainly, out = function(masked, **options), function(masked, subok=False, **options), masked.copy()
        assert function(out, out=out, **options) is out
        for result in (got, out):
            assert type(result) is np.ma.MaskedArray
            np.testing.assert_array_equal(np.ma.getmaskarray(result), ~seen)
        for result in (got.data, out.data, plainly, function(masked, out=np.zeros_like(plain), **options)):
            assert type(result) is np.ndarray
            assert_same_bits(result[seen], expected[seen])


class Wrapped:
    """What NumPy can read and wrap, but knows no more of, as a torch tensor."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return Wrapped(array)


@each_row
def test_array_wrap(fs, row):
    function, x = called(fs, row), matrix()
    for options in ({}, {"axis": None}, {"axis": (0, 1)}) if row.kind == "rows" else ({},):
        got = function(Wrapped(x), **options)
        assert type(got) is Wrapped and type(got.array) is np.ndarray
        assert_same_bits(got.array, function(x, **options))
    out = np.zeros_like(x)
    if row.kind == "rows":
        assert function(Wrapped(x), out=out) is out
        assert_same_bits(out, function(x))


class Recorder:
    """Answers ufunc calls itself, as a dask or a torch array does."""

    ndim, shape = 1, (3,)

    def __init__(self, answer="answer"):
        self.answer, self.calls = answer, []

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        self.calls.append((ufunc, method, inputs, kwargs))
        return self.answer


@each_elementwise
def test_array_ufunc(fs, row):
    function, ufuncs, recorder = called(fs, row), fs._backend.ufuncs, Recorder()
    ufunc = ufuncs[row.name]
    parameters = tuple(parameter.default for parameter in row.parameters)
    assert function(recorder) == "answer"
    assert function(recorder, dtype="float32") == "answer"
    default = ufuncs.get(f"{row.name}_default")  # knows the parameters
    assert recorder.calls == [
        (default or ufunc, "__call__", (recorder,) if default else (recorder, *parameters), {}),
        (ufunc, "__call__", (recorder, *parameters), {"dtype": "float32"}),
    ]
    x, out = np.ones(3), Recorder("by out")
    assert function(x, out=out) == "by out"
    ((_, _, inputs, kwargs),) = out.calls
    assert inputs[0] is x
    assert kwargs["out"] == (out,)
    for refuses in (
        Recorder(NotImplemented),
        type("Refuses", (), {"__array_ufunc__": None, "ndim": 1, "shape": (3,)})(),
    ):
        with pytest.raises(TypeError, match="__array_ufunc__"):
            function(refuses)


# What a call with out= is, and its result's shape, of an input of (2, 4).
WITH_OUT = {
    "sigmoid": (lambda fs, x, **out: fs.sigmoid(x, **out), (2, 4)),
    "leaky_relu": (lambda fs, x, **out: fs.leaky_relu(x, **out), (2, 4)),
    "softmax": (lambda fs, x, **out: fs.softmax(x, **out), (2, 4)),
    "log_softmax": (lambda fs, x, **out: fs.log_softmax(x, (0, 1), temperature=2.0, **out), (2, 4)),
    "softmin": (lambda fs, x, **out: fs.softmin(x, where=np.ones(4, bool), **out), (2, 4)),
    "logsumexp": (lambda fs, x, **out: fs.logsumexp(x, -1, **out), (2,)),
    "glu": (lambda fs, x, **out: fs.glu(x, **out), (2, 2)),
    "cross_entropy": (lambda fs, x, **out: fs.cross_entropy(x, [0, 1], **out), (2,)),
    "sigmoid's gradient": (lambda fs, x, **out: fs.backward.sigmoid(x, x, **out), (2, 4)),
    "softmax's gradient": (lambda fs, x, **out: fs.backward.softmax(x, x, temperature=2.0, **out), (2, 4)),
    "logsumexp's gradient": (lambda fs, x, **out: fs.backward.logsumexp([1.0, 2.0], x, -1, **out), (2, 4)),
    "glu's gradient": (lambda fs, x, **out: fs.backward.glu(x[:, :2], x, **out), (2, 4)),
    "cross_entropy's gradient": (lambda fs, x, **out: fs.backward.cross_entropy([1.0, 2.0], x, [0, 1], **out), (2, 4)),
}


@pytest.mark.parametrize("name", WITH_OUT)
@pytest.mark.parametrize("kind", [np.ndarray, Subclass], ids=["array", "subclass"])
def test_out_is_an_array(fs, name, kind):
    """Of any class, or a tuple of one. The error of others is a ufunc's, or names what is no ufunc."""
    call, shape = WITH_OUT[name]
    x = np.random.default_rng(0).normal(0, 3, (2, 4)).view(kind)
    for out in (np.empty(shape), np.empty(shape).view(Subclass)):
        assert call(fs, x, out=out) is out
        assert call(fs, x, out=(out,)) is out
        assert_same(fs, np.asarray(out), np.asarray(call(fs, x)))
    for count in (0, 2):
        owner = name.removesuffix("'s gradient")
        message = f"^{owner}: out must be an .* not of {count}$|'out' tuple"
        with pytest.raises(ValueError, match=message):
            call(fs, x, out=(np.empty(shape),) * count)
    with pytest.raises(TypeError, match="return arrays must be of ArrayType"):
        call(fs, x, out=((np.empty(shape),),))


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_an_unknown_array(fs, row):
    """It cannot know what the function means by rows."""
    function, x = called(fs, row), np.ones(3)
    for call in (
        lambda unknown: function(unknown),
        lambda unknown: function(x, out=unknown),
        lambda unknown: function(x, out=(unknown,)),
        lambda unknown: function(x, where=unknown),
    ):
        with pytest.raises(TypeError, match=f"{row.name}: fastsig does not know .*Recorder.*: convert"):
            call(Recorder())
    with pytest.raises(TypeError, match="__array_ufunc__"):
        function(type("Refuses", (), {"__array_ufunc__": None, "ndim": 1, "shape": (3,)})())


@each_with_parameters
def test_array_ufunc_of_a_parameter(fs, row):
    recorder = Recorder()
    assert called(fs, row)(np.ones(3), **{row.parameters[0].name: recorder}) == "answer"
    assert any(value is recorder for value in recorder.calls[0][2])


@each_row
def test_overlap(fs, row):
    """NumPy's promise: as if the input had been copied first."""
    function, x = called(fs, row), typical_inputs("float32", 4000)
    expected = function(x[10:-10])
    for shift in (0, 1, -1, 3, 9):
        buffer = x.copy()
        function(buffer[10:-10], out=buffer[10 + shift : len(x) - 10 + shift])
        assert_same(fs, buffer[10 + shift : len(x) - 10 + shift], expected, shift)
    buffer = x[10:-10].copy()
    function(buffer, out=buffer[::-1])
    assert_same(fs, buffer[::-1], expected)
    square = x[:900].reshape(30, 30).copy()
    expected = function(square.copy())
    function(square, out=square.T)
    assert_same(fs, square.T, expected)


@each_elementwise
def test_overlap_with_any_operand(fs, row):
    """Likewise of a parameter that is an array; NumPy leaves it to the loop if elements are taken in order."""
    for suffix in ("", "_backward"):
        ufunc, rng = fs._backend.ufuncs[row.name + suffix], np.random.default_rng(5)
        numbers = [rng.choice([0.5, 1, 2, -1], 1500) for _ in row.parameters]
        operands = [typical_inputs("float32", 1500)] * (ufunc.nin - len(numbers)) + numbers
        operands = [x.astype("f") for x in operands]
        expected = ufunc(*operands)
        for k, shift in itertools.product(range(ufunc.nin), (-1, 1, -20)):
            buffer = np.zeros(1550, "f")
            buffer[25:1525] = operands[k]
            out = buffer[25 + shift : 1525 + shift]
            ufunc(*operands[:k], buffer[25:1525], *operands[k + 1 :], out=out)
            assert_same(fs, out, expected, (k, shift))


@each_elementwise
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_overlap_of_large_calls(compiled, row, dtype):
    """NumPy copies nothing if elements that are taken in order are read before they are written to: not so in threads,
    which begin in the middle."""
    x, n = typical_inputs(dtype, 500_000), 300_000
    ufuncs = [compiled._backend.ufuncs[row.name + suffix] for suffix in ("", "_backward")]
    parameters = [parameter.default for parameter in row.parameters]
    for (out, seen), ufunc in itertools.product(
        (
            (slice(n), slice(1, n + 1)),
            (slice(n), slice(1000, n + 1000)),
            (slice(1, n + 1), slice(n)),
            (slice(n // 2), slice(0, n, 2)),
            (slice(n - 1, None, -1), slice(n, 0, -1)),
            (slice(n), slice(n)),
            (slice(100_000), slice(100_000, 200_000)),
        ),
        ufuncs,
    ):
        operands = ufunc.nin - len(parameters)
        expected, buffer = ufunc(*[x[seen].copy()] * operands, *parameters), x.copy()
        with compiled.num_threads(2):
            ufunc(*[buffer[seen]] * operands, *parameters, out=buffer[out])
        assert_same(compiled, buffer[out], expected, out)


# -------------------------------------------------------------------------------- same bits wherever it lies


@each_elementwise
@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "uint8"])
def test_same_bits_wherever_it_lies(fs, row, dtype):
    x, function = typical_inputs(dtype, 3000), bound(fs, row)
    expected = function(x)
    for layout in LAYOUTS:
        assert_same(fs, function(place(x, layout)), expected, layout)
        assert_same(fs, function(place(x.reshape(10, 5, 60), layout)), expected.reshape(10, 5, 60), layout)
    for n in range(71):
        assert_same(fs, function(x[:n]), expected[:n], f"tail of {n}")
        assert_same(fs, function(x[n:]), expected[n:], f"offset of {n}")
        assert_same(fs, function(x[:n][::-1]), expected[:n][::-1], f"reversed tail of {n}")
    assert_same(fs, np.array([function(value) for value in x[:100]]), expected[:100], "one by one")
    assert_same(fs, function(np.broadcast_to(x[5], 700)), np.broadcast_to(expected[5], 700), "stride 0")
    assert_same(fs, function(x[:, None][:, [0] * 3]), np.repeat(expected[:, None], 3, 1))
    if expected.dtype == x.dtype:
        for step in (1, -1, 3):
            buffer = x.copy()
            function(buffer[::step], out=buffer[::step])
            assert_same(
                fs, buffer[::step], expected[::step] if step == 1 else function(x[::step]), f"in place, step {step}"
            )


@pytest.mark.parametrize("name", ["gelu", "softplus", "log_sigmoid"])
@pytest.mark.parametrize("share", [0, 0.001, 0.03, 0.5, 1])
def test_same_bits_however_many_are_far_out(fs, name, share):
    """On AVX-512, softplus computes those in a second pass, where it finds any."""
    rng, function = np.random.default_rng(3), getattr(fs, name)
    x = np.where(rng.random(2900) < share, rng.uniform(5, 100, 2900), rng.uniform(0, 5, 2900)).astype("f")
    x *= rng.choice([-1, 1], 2900) if share < 1 else 1 if name == "log_sigmoid" else -1
    expected = np.array([function(value) for value in x])
    assert_same(fs, function(x), expected)
    assert_same(fs, function(x[::-1]), expected[::-1])
    function(x, out=x)
    assert_same(fs, x, expected, "in place")


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "softplus", "log_sigmoid"])
def test_a_nan_is_the_same_wherever_it_lies(compiled, name):
    payloads = np.random.default_rng(6).integers(0x7F800001, 0x80000000, 500, np.uint32)
    for bits in (0x7FD4A80D, 0x7FDEF809, 0xFF82080D, *payloads):
        got = getattr(compiled, name)(np.full(96, bits, np.uint32).view("f"))
        assert len({*got.view(np.uint32)}) == 1 and np.isnan(got[0]), hex(bits)


def test_same_bits_whether_beta_is_one_for_all(fs):
    x, rng = typical_inputs("f", 3000), np.random.default_rng(4)
    beta = rng.choice(np.array([1, 2, -1], "f"), 3000)
    expected = np.choose(np.searchsorted([-1, 1, 2], beta), [fs.softplus(x, value) for value in (-1, 1, 2)])
    assert_same(fs, fs.softplus(x, beta), expected)
    assert_same(fs, fs.softplus(x, np.ones_like(x)), fs.softplus(x))
    fs.softplus(x, beta, out=x)
    assert_same(fs, x, expected, "in place")


@each_elementwise
@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_same_bits_on_any_number_of_threads(compiled, row, dtype):
    x, function = typical_inputs(dtype, 300_007), bound(compiled, row)
    with compiled.num_threads(1):
        expected = function(x)
    for threads in (2, 3, 8):
        with compiled.num_threads(threads):
            assert_same_bits(function(x), expected, threads)
            assert_same_bits(function(x[::-1]), expected[::-1], threads)
            assert_same_bits(function(place(x, "strided")), expected, threads)
            out = np.full(x.size + 64, GUARD, expected.dtype)
            function(x, out=out[32:-32])
            assert (out[:32] == GUARD).all() and (out[-32:] == GUARD).all()
            assert_same_bits(out[32:-32], expected, threads)
    assert_same_bits(expected[:3000], function(x[:3000]))


@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_larger_than_any_cache(compiled, dtype):
    """Where a kernel that waits for memory gets its operand in small pieces."""
    x = np.resize(np.arange(-101, 102).astype(dtype), 17_000_000 // np.dtype(dtype).itemsize)
    for threads in (1, 2):
        with compiled.num_threads(threads):
            assert_same_bits(compiled.relu(x), np.maximum(x, 0), threads)
            assert_same_bits(compiled.relu(x[::-1]), np.maximum(x, 0)[::-1], threads)


# -------------------------------------------------------------------------------- the short way to a loop

CALLS = {  # of a float32 x of 600 numbers, with one more behind it
    "array": lambda f, x: f(x),
    "empty": lambda f, x: f(x[:0]),
    "no columns": lambda f, x: f(x[:0].reshape(3, 0)),
    "one": lambda f, x: f(x[5:6]),
    "0-d": lambda f, x: f(np.array(x[5])),
    "three axes": lambda f, x: f(x.reshape(3, 50, 4)),
    "fortran": lambda f, x: f(x.reshape(3, 200).T),
    "strided": lambda f, x: f(x[::3]),
    "unaligned": lambda f, x: f(place(x, "unaligned")),
    "read-only": lambda f, x: f(place(x, "read-only")),
    "swapped": lambda f, x: f(x.astype(">f")),
    "float64": lambda f, x: f(x.astype("d")),
    "float16": lambda f, x: f(x.astype("e")),
    "longdouble": lambda f, x: f(x.astype("g")),
    "integers": lambda f, x: f(np.arange(9)),
    "bools": lambda f, x: f(x > 0),
    "objects": lambda f, x: f(x.astype(object)),
    "subclass": lambda f, x: f(np.asmatrix(x)),
    "masked": lambda f, x: f(np.ma.array(x, mask=x > 0)),
    "list": lambda f, x: f(x.tolist()),
    "text": lambda f, x: f("0.5"),
    "Python float": lambda f, x: f(-0.75),
    "infinite Python float": lambda f, x: f(-np.inf),
    "Python integer": lambda f, x: f(2),
    "float32 number": lambda f, x: f(x[5]),
    "float64 number": lambda f, x: f(np.float64(x[5])),
    "float16 number": lambda f, x: f(np.float16(x[5])),
    "NumPy integer": lambda f, x: f(np.int32(3)),
    "float of another class": lambda f, x: f(type("Number", (float,), {})(0.5)),
    "Python float into": lambda f, x: f(0.5, out=x),
    "into": lambda f, x: f(x, out=np.full_like(x, GUARD)),
    "into, by position": lambda f, x: f(x, np.full_like(x, GUARD)),
    "into a tuple": lambda f, x: f(x, out=(np.full_like(x, GUARD),)),
    "into a list": lambda f, x: f(x, out=x.tolist()),
    "into nothing": lambda f, x: f(x, out=None),
    "in place": lambda f, x: f(x, out=x),
    "in place, shifted": lambda f, x: f(x[:-1], out=x[1:]),
    "in place, shifted back": lambda f, x: f(x[1:], out=x[:-1]),
    "into a broadcast array": lambda f, x: f(x[None], out=np.broadcast_arrays(np.zeros_like(x), x[None])[0]),
    "metadata": lambda f, x: f(x.astype(np.dtype("f", metadata={"unit": "logit"}))),
    "into metadata": lambda f, x: f(x, out=x.astype(np.dtype("f", metadata={"unit": "logit"}))),
    "into what follows": lambda f, x: f(x[:300], out=x[300:]),
    "into read-only": lambda f, x: f(x, out=place(x, "read-only")),
    "into strided": lambda f, x: f(x, out=place(x, "strided")),
    "into a subclass": lambda f, x: f(x, out=np.ma.array(x)),
    "into fewer": lambda f, x: f(x, out=x[1:]),
    "into more": lambda f, x: f(x, out=np.full((2, len(x)), GUARD, x.dtype)),
    "into float64": lambda f, x: f(x, out=np.full(x.shape, GUARD, "d")),
    "into integers": lambda f, x: f(x, out=np.full(x.shape, GUARD, "l")),
    "another keyword": lambda f, x: f(x, order="F"),
    "unknown keyword": lambda f, x: f(x, out_=x),
    "x by name": lambda f, x: f(x=x),
    "nothing": lambda f, x: f(),
    "too many": lambda f, x: f(x, x, x, x),
}
MASKS = {  # of n numbers: fastsig takes 512 of a mask at a time, NumPy each run of what it keeps
    "every other": lambda n: np.arange(n) % 2 == 0,
    "half": lambda n: np.random.default_rng(1).random(n) < 0.5,
    "few": lambda n: np.random.default_rng(2).random(n) < 0.02,
    "most": lambda n: np.random.default_rng(3).random(n) < 0.98,
    "runs": lambda n: np.arange(n) // 100 % 2 == 1,
    "long runs": lambda n: np.arange(n) // 1100 % 2 == 1,
    "long runs first": lambda n: np.arange(n) // 1100 % 2 == 0,
    "all": lambda n: np.ones(n, bool),
    "none": lambda n: np.zeros(n, bool),
    "the last": lambda n: np.arange(n) == n - 1,
    "all but the last": lambda n: np.arange(n) < n - 1,
    "bytes that are not 1": lambda n: (np.arange(n) % 5).astype("u1").view(bool),
    "reversed": lambda n: MASKS["half"](n)[::-1],
    "a column": lambda n: np.ones((1, 1), bool),
    "fewer": lambda n: np.ones(n - 1, bool),
    "integers": lambda n: np.ones(n, int),
    "list": lambda n: MASKS["half"](n).tolist(),
    "subclass": lambda n: np.ma.array(MASKS["half"](n)),
    "True": lambda n: True,
    "False": lambda n: False,
    "NumPy's True": lambda n: np.True_,
    "None": lambda n: None,
}


def masked(f, x, mask, repeats=9, char="f"):
    x = np.tile(x, repeats).astype(char)
    return f(x, out=np.full_like(x, GUARD), where=mask(x.size))


CALLS |= {f"mask: {name}": functools.partial(masked, mask=mask) for name, mask in MASKS.items()}
CALLS |= {
    f"mask: {name}, {char} {repeats}": functools.partial(masked, mask=MASKS[name], repeats=repeats, char=char)
    for name, char, repeats in itertools.product(["half", "few", "long runs"], "edgl", [0, 1, 9])
}
CALLS |= {
    "mask, in place": lambda f, x: f(x, out=x, where=MASKS["half"](600)),
    "mask, in place, shifted": lambda f, x: f(x[:-1], out=x[1:], where=MASKS["half"](599)),
    "mask, by position": lambda f, x: f(x, np.full_like(x, GUARD), where=MASKS["few"](600)),
    "mask, into twice": lambda f, x: f(x, x.copy(), out=x, where=MASKS["few"](600)),
    "mask, named first": lambda f, x: f(x, where=MASKS["few"](600), out=x),
    "mask, three axes": lambda f, x: f(x.reshape(3, 50, 4), out=x.reshape(3, 50, 4), where=x.reshape(3, 50, 4) > 0),
    "mask, another shape": lambda f, x: f(x.reshape(30, 20), out=x.reshape(30, 20), where=x.reshape(20, 30) > 0),
    "mask, another keyword": lambda f, x: f(x, out=x, where=x > 0, casting="no"),
    "mask, into read-only": lambda f, x: f(x, out=place(x, "read-only"), where=x > 0),
    "mask, one number": lambda f, x: f(x[5], where=True),
    "mask, one number into": lambda f, x: f(x[5], out=x, where=x > 0),
    "mask in out": lambda f, x: f(x, out=x, where=x[:150].view(bool)),
    "mask in x": lambda f, x: f(x, out=np.full_like(x, GUARD), where=x[:150].view(bool)),
}
PARAMETERS = {  # the last one, of a float32 x
    "Python float": lambda x: 0.3,
    "infinite": lambda x: np.inf,
    "NaN": lambda x: np.nan,
    "beyond float32": lambda x: 1e300,
    "far below float32": lambda x: 1e-310,
    "Python integer": lambda x: 3,
    "array": lambda x: abs(x),
    "the whole": lambda x: x,
    "column": lambda x: x[:5, None],
    "fewer": lambda x: x[1:],
    "float64": lambda x: x.astype("d"),
    "float32 number": lambda x: np.float32(0.3),
    "float64 number": lambda x: np.float64(0.3),
    "text": lambda x: "0.3",
}


def with_warnings(call):
    """What it returns, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn"):
        warnings.simplefilter("always")
        result = call()
    return result, [(warning.category, str(warning.message)) for warning in caught]


def without_nan_signs(y):
    return np.where(y != y, y.dtype.type(np.nan), y).tobytes() if y.dtype.kind == "f" else y.tobytes()


def how_it_ends(call):
    """All that can be seen of a call with an array of its own."""
    x = np.random.default_rng(0).normal(0, 9, 601).astype("float32")[:-1]
    x[:4] = np.nan, np.inf, -np.inf, -0.0
    try:
        y, seen = with_warnings(functools.partial(call, x))
    except Exception as error:
        return type(error), str(error), without_nan_signs(x)
    facts = type(y), y is x, y.dtype, y.dtype.metadata, y.shape, y.strides, y.flags.num
    return *facts, without_nan_signs(y), without_nan_signs(x), seen


def of_x(ufunc, own, parameters, *x, **options):
    """A ufunc as a function of x alone, which is all its `own` operands."""
    return ufunc(*x[:1] * own, *parameters, *x[1:], **options)


def of_parameter(ufunc, own, parameters, last, x, *out, **options):
    return ufunc(*[x] * own, *parameters[:-1], last(x), *out, **options)


@each_elementwise
def test_short_way_ends_as_numpys(compiled, row):
    """What calls fastsig itself takes to their loop end like any other; one with `subok` goes through NumPy."""
    for suffix, own in (("", 1), ("_default", 1), ("_backward", 2)):
        ufunc = compiled._backend.ufuncs.get(row.name + suffix)
        if ufunc is None:
            continue
        parameters = [parameter.default for parameter in row.parameters] if ufunc.nin > own else []
        for name, way in CALLS.items():
            short = functools.partial(of_x, ufunc, own, parameters)
            got, expected = (
                how_it_ends(functools.partial(way, call)) for call in (short, functools.partial(short, subok=True))
            )
            assert got == expected, (ufunc, name)
        for name, last in PARAMETERS.items() if parameters else ():
            for way in (lambda f, x: f(x), CALLS["mask, by position"], CALLS["mask: few"], CALLS["mask: most"]):
                short = functools.partial(of_parameter, ufunc, own, parameters, last)
                got, expected = (
                    how_it_ends(functools.partial(way, call)) for call in (short, functools.partial(short, subok=True))
                )
                assert got == expected, (ufunc, name)


@each_elementwise
@pytest.mark.parametrize("options", [{}, {"out": None}], ids=["", "out=None"])
def test_warning_of_where_without_out(compiled, row, options):
    """From NumPy 2.4 on; an `out` of None says there that one knows."""
    x = matrix()
    _, got = with_warnings(functools.partial(bound(compiled, row), x, where=x > 9, **options))
    _, expected = with_warnings(functools.partial(np.tanh, x, where=x > 9, **options))
    assert got == expected


def two_operands(fs):
    return [ufunc for ufunc in fs._backend.ufuncs.values() if ufunc.nin == 2 and not ufunc.signature]


def test_reduce_and_accumulate(compiled):
    """One element's result is the next one's operand."""
    x = np.linspace(0.2, 1.5, 700)
    for ufunc, dtype in itertools.product(two_operands(compiled), "dfe"):
        values = x.astype(dtype)
        expected = np.array(list(itertools.accumulate(values, ufunc)))
        assert_same_bits(ufunc.accumulate(values), expected, ufunc.__name__)
        assert_same_bits(ufunc.accumulate(values[::-1])[:9], list(itertools.accumulate(values[::-1], ufunc))[:9])
        assert_same_bits(ufunc.reduce(values), expected[-1], ufunc.__name__)
        assert_same_bits(ufunc.reduce(values.reshape(7, 100))[:5], ufunc.reduce(values.reshape(7, 100)[:, :5]))
        assert_same_bits(ufunc.reduceat(values, [0, 9])[0], expected[8], ufunc.__name__)


@pytest.mark.parametrize("char", "?bBhHiIlLqQ")
def test_reduce_integers(compiled, char):
    for ufunc in two_operands(compiled):
        got = ufunc.reduce(np.ones(3, char))
        assert_same_bits(got, ufunc(ufunc(1.0, 1.0), 1.0).astype(got.dtype))


# -------------------------------------------------------------------------------- errors

BAD_INPUT = {
    "long double": np.ones(3, np.longdouble),
    "long double scalar": np.longdouble(1),
    "complex64": np.ones(3, np.complex64),
    "complex128": np.ones(3, np.complex128),
    "complex256": np.ones(3, np.clongdouble),
    "complex scalar": np.complex64(1),
    "Python complex": 1j,
    "list of complex": [1j, 2],
    "object": np.array([1.0, None]),
    "None": None,
    "str": "1",
    "array of str": np.array(["1", "2"]),
    "bytes": b"1",
    "datetime": np.datetime64("2020-01-01"),
    "array of datetime": np.array(["2020-01-01"], "M8[s]"),
    "timedelta": np.timedelta64(1, "s"),
    "record": np.zeros(3, [("a", "f4")]),
}


@each_row
@pytest.mark.parametrize("bad", BAD_INPUT)
def test_unsupported_dtype(fs, row, bad):
    out = np.full(np.shape(BAD_INPUT[bad]), GUARD, np.float64)
    with pytest.raises(TypeError, match=f"'{row.name}' {UNSUPPORTED}"):
        called(fs, row)(BAD_INPUT[bad])
    with pytest.raises(TypeError):
        called(fs, row)(BAD_INPUT[bad], out=out)
    assert (out == GUARD).all()


@each_row
def test_integer_beyond_int64(fs, row):
    if row.operands:
        pytest.skip("beside other numbers NumPy makes a float of it")
    with pytest.raises((TypeError, OverflowError)):
        called(fs, row)(2**70)


@each_with_parameters
@pytest.mark.parametrize("bad", BAD_INPUT)
def test_unsupported_dtype_of_a_parameter(fs, row, bad):
    with pytest.raises(TypeError, match=f"'{row.name}'"):
        called(fs, row)(np.ones(3, "float32"), **{row.parameters[0].name: BAD_INPUT[bad]})


def read_only():
    return place(np.full((2, 3), GUARD, "float32"), "read-only")


def guarded(*shape, dtype="float32"):
    return np.full(shape, GUARD, dtype)


# what is wrong: (exception, x, a maker of out, keywords)
X = np.ones((2, 3), "float32")
BAD_CALL = {
    "out too small": (ValueError, X, lambda: guarded(2), {}),
    "out of too few dimensions": (ValueError, X, lambda: guarded(3), {}),
    "out of another shape": (ValueError, X, lambda: guarded(3, 2), {}),
    "out read-only": (ValueError, X, read_only, {}),
    "out of integers": (TypeError, X, lambda: guarded(2, 3, dtype="int64"), {}),
    "out of bools": (TypeError, X, lambda: np.ones((2, 3), bool), {}),
    "two outs": (ValueError, X, lambda: (guarded(2, 3), guarded(2, 3)), {}),
    "out is a list": (TypeError, X, lambda: [1.0, 2.0], {}),
    "ragged": (ValueError, [[1.0], [1.0, 2.0]], lambda: guarded(2, 2), {}),
    "unknown keyword": (TypeError, X, lambda: guarded(2, 3), {"nonsense": 1}),
    "unknown casting": (ValueError, X, lambda: guarded(2, 3), {"casting": "nonsense"}),
    "unknown order": (ValueError, X, lambda: guarded(2, 3), {"order": "Z"}),
    "dtype of integers": (TypeError, X, lambda: guarded(2, 3), {"dtype": "int32"}),
    "dtype unsupported": (TypeError, X, lambda: guarded(2, 3), {"dtype": np.longdouble}),
    "dtype no dtype": (TypeError, X, lambda: guarded(2, 3), {"dtype": "nonsense"}),
    "where does not broadcast": (ValueError, X, lambda: guarded(2, 3), {"where": np.array([True, False])}),
    "where no bools": (TypeError, X, lambda: guarded(2, 3), {"where": np.array([1.0, 0.0, 1.0])}),
}


@each_row
@pytest.mark.parametrize("wrong", BAD_CALL)
def test_bad_call(fs, row, wrong):
    exception, x, make_out, keywords = BAD_CALL[wrong]
    out = make_out()
    before = [np.array(array, copy=True) for array in (out if isinstance(out, tuple) else (out,))]
    with pytest.raises(exception):
        called(fs, row)(x, out=out, **keywords)
    for array, old in zip(out if isinstance(out, tuple) else (out,), before, strict=True):
        np.testing.assert_array_equal(array, old)


@each_rows
@pytest.mark.parametrize("axis", [2, -3, (0, 2), (0, -3)])
def test_axis_that_does_not_exist(fs, row, axis):
    out = guarded(2, 3)
    with pytest.raises(np.exceptions.AxisError, match="out of bounds for array of dimension 2"):
        called(fs, row)(X, axis=axis, out=out)
    assert (out == GUARD).all()
    with pytest.raises(np.exceptions.AxisError):
        called(fs, row)(1.0, axis=1)


@each_rows
@pytest.mark.parametrize(
    ("axis", "exception"), [((0, 0), ValueError), ((0, -2), ValueError), (0.0, TypeError), ("0", TypeError)]
)
def test_bad_axis(fs, row, axis, exception):
    with pytest.raises(exception):
        called(fs, row)(X, axis=axis)


@each_row
def test_wrong_number_of_arguments(fs, row):
    with pytest.raises(TypeError):
        called(fs, row)()
    with pytest.raises(TypeError):
        called(fs, row)(X, *[0] * (len(row.parameters) + (row.kind == "rows")), X.copy(), X.copy())


@each_with_parameters
def test_parameters_that_do_not_broadcast(fs, row):
    with pytest.raises(ValueError, match="broadcast"):
        called(fs, row)(X, **{row.parameters[0].name: np.ones(2)})


@pytest.mark.parametrize("row", [row for row in OF_ONE if row.choice], ids=label)
@pytest.mark.parametrize("wrong", ["", "nonsense", None, True, 1.0])
def test_unknown_choice(fs, row, wrong):
    out = guarded(2, 3)
    message = f"{row.name}: {row.choice.name} must be 'none' or 'tanh', not "
    with pytest.raises(ValueError, match=f"^{re.escape(message + repr(wrong))}$"):
        called(fs, row)(X, wrong, out=out)
    with pytest.raises(TypeError, match=f"^{re.escape(message)}ndarray$"):
        called(fs, row)(X, out)
    assert (out == GUARD).all()


# -------------------------------------------------------------------------------- floating-point flags


@each_row
@each_float
def test_no_warnings(fs, row, dtype):
    """All special values, alone and in rows, in every layout: no warning, and no exception under errstate(raise)."""
    function = called(fs, row)
    info = np.finfo(dtype)
    values = [
        0,
        np.inf,
        np.nan,
        info.max,
        info.tiny,
        info.smallest_subnormal,
        1,
        3,
        20,
        60,
        88,
        89,
        100,
        104,
        300,
        709,
        745,
        1000,
    ]
    x = np.array([*values, *(-value for value in values)], dtype)
    rows = np.array(list(itertools.product(x[[0, 1, 2, 3, 5, 8, 14, 19, 21]], repeat=3)))
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for value in x:
            function(value)
            function([value, value])
        for layout in LAYOUTS:
            function(place(x, layout))
            function(place(rows, layout))
            function(
                place(rows, layout), out=EMPTY.get(layout, EMPTY["contiguous"])(rows), where=place(rows > 0, "strided")
            )
        function(np.tile(x, 20_000))
        np.add(1.0, 2.0)  # and nothing is left for the next one
        with pytest.raises(FloatingPointError):
            np.exp(np.float64(1000))  # or the checks above would check nothing
