"""bfloat16, which is a dtype of ml_dtypes: in and out, computed in float32, rounded once, and without that package."""

import itertools
import sys
import warnings

import numpy as np
import pytest
from layouts import EMPTY, GUARD, LAYOUTS, PRODUCTS, place, whole
from oracle import (
    ELEMENTWISE,
    OF_ONE,
    REDUCTIONS,
    ROWS,
    along,
    called,
    chosen,
    defaults,
    exact,
    hole,
    label,
    numbers,
    reference,
)

ml_dtypes = pytest.importorskip("ml_dtypes")

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
EVERY = np.arange(2**16, dtype=np.uint32).astype(np.uint16).view(BFLOAT16)
NATIVE_LAYOUTS = [layout for layout in LAYOUTS if layout != "byte-swapped"]  # the dtype has no other byte order

SHAPE_KEEPING = [row for row in OF_ONE if row.kind != "reduction"]
each_row = pytest.mark.parametrize("row", SHAPE_KEEPING, ids=lambda row: row.name)
each_elementwise = pytest.mark.parametrize("row", ELEMENTWISE, ids=label)
each_with_parameters = pytest.mark.parametrize(
    "row", [row for row in ELEMENTWISE if row.parameters], ids=lambda row: row.name
)
each_rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def wide(x):
    """In float32, which holds every bfloat16. NaNs come out quiet: whatever NumPy does with others can warn."""
    bits = np.asarray(x, BFLOAT16).view(np.uint16).astype(np.uint32) << 16
    return np.where(bits & 0x7FFFFFFF > 0x7F800000, np.float32(np.nan), bits.view(np.float32))


def rounded(x):
    """The nearest bfloat16, ties to even, by the distances to both neighbours, which is not how fastsig finds it."""
    x = np.asarray(x, np.float32)
    patterns = (x.view(np.uint32) >> 16)[..., None] + np.arange(2, dtype=np.uint32)  # towards zero and away from it
    with np.errstate(all="ignore"):  # signalling NaNs
        neighbours = (patterns << 16).view(np.float32).astype(float)
        # The number after the largest one counts as 2^128, and not as infinity.
        distances = np.abs(np.clip(neighbours, -(2.0**128), 2.0**128) - x[..., None])
    odd = patterns[..., 0] % 2 == 1
    away = (distances[..., 1] < distances[..., 0]) | ((distances[..., 1] == distances[..., 0]) & odd)
    nearest = np.where(away & np.isfinite(x), patterns[..., 1], patterns[..., 0])
    return np.where(np.isnan(x), 0x7FC0, nearest).astype(np.uint16).view(BFLOAT16)


def assert_same(got, expected, message=""):
    """To the bit; NaNs are all the same."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.dtype, got.shape) == (BFLOAT16, expected.shape), message
    assert expected.dtype == BFLOAT16
    bits, wanted = (np.where(np.isnan(wide(values)), 0x7FC0, values.view(np.uint16)) for values in (got, expected))
    np.testing.assert_array_equal(bits, wanted, message)


def assert_close(fs, got, expected, message=""):
    """To the bit between compiled kernels; NumPy, which the fallback is made of, may fall to a tie's other side."""
    if fs._backend.threads is not None:
        assert_same(got, expected, message)
        return
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape) == (BFLOAT16, expected.shape), message
    np.testing.assert_allclose(wide(got), wide(expected), rtol=2.0**-7, atol=2.0**-133, err_msg=message)


def ulp_error(got, truth):
    """|got - truth| in units in the last place of bfloat16: float32's exponents, and 7 of its fraction bits."""
    top = np.longdouble(2) ** 128
    with np.errstate(all="ignore"):
        truth, value = np.clip(truth, -top, top), np.clip(wide(got).astype(np.longdouble), -top, top)
        spacing = np.ldexp(np.longdouble(1), np.maximum(np.frexp(truth)[1] - 1, -126) - 7)
        error = np.abs(value - truth) / spacing
    return np.where(np.isnan(truth) & np.isnan(value), 0, np.where(np.isnan(error), np.inf, error)).astype(float)


def typical(shape=3000):
    """Values of all kinds, special ones among them, in no order."""
    values = np.random.default_rng(1).normal(0, 12, shape)
    special = [0, -0.0, np.nan, np.inf, -np.inf, 3.3e38, -3.3e38, 1.2e-38, -1e-40, 1, -1, -88, -60000]
    values.flat[: len(special)] = special[: values.size]
    return np.random.default_rng(2).permutation(values.ravel()).reshape(shape).astype(BFLOAT16)


# -------------------------------------------------------------------------------- every value there is


def test_rounding_of_this_test():
    """rounded() itself, against ml_dtypes: ties, both neighbours of ties, overflow, subnormals."""
    patterns = np.arange(2**16, dtype=np.uint32)[:, None] << 16
    near = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    x = (patterns + near).view(np.float32)
    with np.errstate(all="ignore"):
        assert_same(rounded(x), x.astype(BFLOAT16))


@each_elementwise
def test_every_value(fs, row):
    """All 65,536: the float32 result rounded once, and so at most half a unit off but for float32's own error."""
    parameters = defaults(row, BFLOAT16)
    widened = {name: wide(value) for name, value in numbers(parameters).items()}
    got = called(fs, row)(EVERY, **parameters)
    assert got.dtype == BFLOAT16
    truth = np.array(reference(row, wide(EVERY), **widened))
    for i in np.flatnonzero(np.isinf(wide(EVERY))):
        truth[i] = float(exact(row, EVERY[i], **parameters)[0])  # the limit
    errors = ulp_error(got, truth)
    bound = 0.5 + max(1, row.max_ulp[0]) / 2**16 if row.max_ulp[0] else 0
    i = int(errors.argmax())
    assert errors[i] <= bound, (errors[i], EVERY[i], got[i])
    wrong_sign = (np.signbit(wide(got)) != np.signbit(truth)) & (truth != 0) & ~np.isnan(truth)
    assert not wrong_sign.any(), EVERY[wrong_sign]
    if fs._backend.threads is not None:  # the fallback computes float32 in float64, so it has no such twin
        once = called(fs, row)(wide(EVERY), **widened, **chosen(row))
        assert_same(got, rounded(once))
    assert_same(called(fs, row)(EVERY, **chosen(row)), got)  # defaults left out


@each_elementwise
def test_nan_is_quiet(fs, row):
    """Of every NaN, signalling ones too: the one that ml_dtypes makes itself, of either sign."""
    bits = called(fs, row)(EVERY[np.isnan(wide(EVERY))], **chosen(row)).view(np.uint16)
    assert set(bits & 0x7FFF) == {0x7FC0}


def test_relu_keeps_the_sign_of_nan(fs):
    for sign in (0, 0x8000):
        got = fs.relu(np.array([sign | 0x7F81, sign | 0x7FC0, sign | 0x7FFF], np.uint16).view(BFLOAT16))
        assert (got.view(np.uint16) == sign | 0x7FC0).all()


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
@pytest.mark.parametrize("slope", [1.0078125, 0.333, 3.25, 1e-3, 1e-20, 1e-38, 1e-42, 1e10])
def test_rounding(compiled, product, slope):
    """A product of two bfloat16 is exact in float32, mostly: all exponents, ties, overflows, subnormal results."""
    x = np.random.default_rng(0).permutation(EVERY[np.signbit(wide(EVERY)) & ~np.isnan(wide(EVERY))])
    slope = np.array(slope, BFLOAT16)[()]
    with np.errstate(all="ignore"):
        assert_same(product(compiled, x, slope), rounded(wide(x) * wide(slope)))


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 15, 16, 17, 33, 255, 1023, 1025, 3000])
def test_nan_among_numbers(compiled, product, n):
    """In any place, of either sign, with any payload; what lies beside it is as without it."""
    x = np.random.default_rng(n).permutation(EVERY[~np.isnan(wide(EVERY))])[:n]
    patterns = [0x7F81, 0xFF81, 0x7FFF, 0xFFFF, 0x7FC0, 0xFFC0]
    for place_of_nan, pattern in itertools.product({0, n // 2, n - 1}, patterns):
        bits = x.view(np.uint16).copy()
        bits[place_of_nan] = pattern
        expected = bits.copy()
        expected[place_of_nan] = pattern & 0x8000 | 0x7FC0
        got = product(compiled, bits.view(BFLOAT16), 1)
        np.testing.assert_array_equal(got.view(np.uint16), expected)
        out = np.zeros(2 * n, BFLOAT16)[::2]
        product(compiled, bits.view(BFLOAT16), 1, out=out)
        np.testing.assert_array_equal(out.copy().view(np.uint16), expected)


@each_with_parameters
def test_every_value_beside_arrays_of_parameters(fs, row):
    function, rng = called(fs, row), np.random.default_rng(3)
    for i in range(len(row.parameters)):
        parameters = defaults(row, BFLOAT16)
        name = row.parameters[i].name
        for shape in (EVERY.shape, ()):
            parameters[name] = rng.uniform(0.1, 0.9, shape).astype(BFLOAT16)
            got = function(EVERY, **parameters)
            truth = reference(row, wide(EVERY), **{key: wide(value) for key, value in parameters.items()})
            finite = np.isfinite(wide(EVERY))
            assert ulp_error(got, truth)[finite].max() <= 0.5 + max(1, row.max_ulp[0]) / 2**16
            if shape:
                reverse = function(EVERY[::-1], **parameters | {name: parameters[name][::-1]})
                assert_close(fs, reverse, got[::-1])


@each_rows
@pytest.mark.parametrize("n", [2, 7, 16, 64, 300, 1024, 4096])
@pytest.mark.parametrize("axis", [-1, 0])
def test_rows_of_every_value(fs, row, n, axis):
    """All 65,536 in rows of n, neighbours beside neighbours, in both signs: again float32's result rounded once."""
    rows = np.concatenate([EVERY, EVERY[: -EVERY.size % n]]).reshape(-1, n)
    mixed = np.random.default_rng(n).permutation(np.concatenate([rows, -rows]).ravel()).reshape(-1, n)
    function, mask = getattr(fs, row.name), np.random.default_rng(n).random(rows.shape) < 0.7
    for x in (rows, mixed):
        for where in (True, mask if x is rows else True):
            laid = (x, where) if axis == -1 else tuple(np.ascontiguousarray(np.transpose(part)) for part in (x, where))
            got = function(laid[0], axis=axis, where=laid[1])
            got = got if axis == -1 else got.T
            truth = along(row, wide(x), -1, where)
            if where is not True:
                truth = np.where(np.any(where, -1, keepdims=True), truth, hole(row))
            assert ulp_error(got, truth).max() <= 0.5 + row.max_ulp[0] / 2**16
            if fs._backend.threads is not None:
                assert_same(got, rounded(function(wide(x), where=where)))


# -------------------------------------------------------------------------------- called like any other dtype


@each_row
def test_same_bits_wherever_it_lies(fs, row):
    function, x = called(fs, row), typical((50, 60))
    expected = function(x)
    for layout in NATIVE_LAYOUTS:
        assert_close(fs, function(place(x, layout)), expected, layout)
        if row.kind == "rows":
            assert_close(fs, function(place(x, layout).T, axis=0), expected.T, layout)
    assert_close(fs, np.array([function(one) for one in x]), expected, "row by row")
    for n in range(1, 60):
        if row.kind == "elementwise":
            assert_close(fs, function(x[:, n:]), expected[:, n:], n)
            assert_close(fs, function(x[0, :n]), expected[0, :n], n)
            assert_close(fs, function(x[0, n - 1]), expected[0, n - 1], n)
        else:
            assert_close(fs, function(x[:n]), expected[:n], n)
    buffer = x.copy()
    assert function(buffer, out=buffer) is buffer
    assert_close(fs, buffer, expected, "in place")
    buffer = x.copy()
    function(buffer[::-1], out=buffer)
    assert_close(fs, buffer, expected[::-1], "overlap")


@each_row
@pytest.mark.parametrize("layout", [layout for layout in EMPTY if layout != "byte-swapped"])
def test_out(fs, row, layout):
    x, function = typical((7, 11)), called(fs, row)
    expected = function(x)
    out = EMPTY[layout](x)
    before, elements = whole(out).copy(), out.copy()
    assert function(x, out=out) is out
    assert_close(fs, out, expected)
    out[...] = elements
    np.testing.assert_array_equal(whole(out), before)  # nothing around it was touched


@each_row
def test_out_of_another_dtype(fs, row):
    """NumPy's casts: into a wider one always, into bfloat16 with same_kind, into float16 never."""
    x, function = typical((7, 11)), called(fs, row)
    for dtype in (np.float32, np.float64):
        out = np.empty(x.shape, dtype)
        assert function(x, out=out) is out
        np.testing.assert_array_equal(out, function(x).astype(dtype))
        out = np.empty(x.shape, BFLOAT16)
        with np.errstate(over="ignore"):  # selu's largest result; the cast is NumPy's own
            assert function(wide(x).astype(dtype), out=out) is out
        with np.errstate(all="ignore"):
            assert_close(fs, out, function(wide(x).astype(dtype)).astype(BFLOAT16))
    for dtype in (np.float16, np.int32):
        out = np.full(x.shape, GUARD, dtype)
        with pytest.raises(TypeError, match="Cannot cast"):
            function(x, out=out)
        assert (out == GUARD).all()


@each_elementwise
def test_where_leaves_the_rest_alone(fs, row):
    x, function = typical(101), called(fs, row)
    expected = function(x)
    masks = [np.arange(101) % 2 == 0, np.arange(101) % 7 != 3, np.random.default_rng(5).random(101) < 0.5]
    for mask, layout in itertools.product(masks, NATIVE_LAYOUTS):
        out = np.full(101 + 8, GUARD, BFLOAT16)
        function(place(x, layout), out=out[4:-4], where=place(mask, "strided"))
        assert (out[[0, 1, 2, 3, -4, -3, -2, -1]] == GUARD).all()
        assert_close(fs, out[4:-4], np.where(mask, expected, np.array(GUARD, BFLOAT16)))


@each_rows
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), None], ids=str)
def test_axis_and_mask(fs, row, axis):
    x = np.random.default_rng(0).normal(0, 4, (4, 5, 6)).astype(BFLOAT16)
    mask = np.random.default_rng(1).random(x.shape) < 0.7
    for keywords in ({}, {"where": mask}, {"where": mask[0]}, {"where": mask[..., :1]}):
        got = getattr(fs, row.name)(x, axis=axis, **keywords)
        assert (got.dtype, got.shape, got.strides) == (BFLOAT16, x.shape, x.strides)
        where = np.broadcast_to(keywords.get("where", True), x.shape)
        truth = np.where(where.any(axis, keepdims=True), along(row, wide(x), axis, where), hole(row))
        assert ulp_error(got, truth).max() <= 0.51
        buffer = place(x, "strided")
        assert getattr(fs, row.name)(buffer, axis=axis, out=buffer, **keywords) is buffer
        assert_close(fs, buffer, got)
    with pytest.raises(TypeError):
        getattr(fs, row.name)(x, axis=axis, where=mask.astype(int))
    narrow = getattr(fs, row.name)(wide(x), axis=axis, dtype=BFLOAT16, where=mask)
    assert_close(fs, narrow, getattr(fs, row.name)(x, axis=axis, where=mask))


def test_no_reference_is_lost(fs):
    """NumPy before 2.1.2 drops one to its uint8 where a bfloat16 array meets a Python integer: in the end, a crash."""
    x, mask, uint8 = np.ones((3, 4), BFLOAT16), np.ones((3, 4), bool), type(np.dtype(np.uint8))
    before = sys.getrefcount(uint8)
    for _ in range(50):
        fs.logsumexp(x, axis=-1, b=x, where=mask)
        for row in ROWS + REDUCTIONS:
            getattr(fs, row.name)(x, axis=-1, where=mask)
            getattr(fs.backward, row.name)(x if row.kind == "rows" else x[:, 0], x, axis=-1, where=mask)
    assert sys.getrefcount(uint8) > before - 50


@pytest.mark.parametrize("row", ROWS + REDUCTIONS, ids=lambda row: row.name)
@pytest.mark.parametrize("shape", [(6, 40), (70, 5), (3, 700)], ids=str)
def test_gradients_along_an_axis(fs, row, shape):
    """float32's result rounded once, in every layout."""
    rng, gradient = np.random.default_rng(2), getattr(fs.backward, row.name)
    x, mask = rng.normal(0, 3, shape).astype(BFLOAT16), rng.random(shape) < 0.7
    for axis in (-1, 0, None):
        operand = x if row.kind == "reduction" else getattr(fs, row.name)(x, axis)
        kept = operand.shape if row.kind == "rows" else np.empty(shape).sum(axis).shape
        grad = rng.normal(0, 2, kept).astype(BFLOAT16)
        for where in (True, mask, mask[:1]):
            got = gradient(grad, operand, axis, where=where)
            expected = rounded(gradient(wide(grad), wide(operand), axis, where=where))
            if fs._backend.threads is None:  # it sums in float32 here, and there in float64
                np.testing.assert_allclose(wide(got), wide(expected), rtol=2**-7, atol=1e-6)
            else:
                assert_same(got, expected)
            for layout in NATIVE_LAYOUTS:
                laid = place(grad, layout) if grad.ndim else grad
                assert_close(fs, gradient(laid, place(operand, layout), axis, where=where), got, layout)
            buffer = place(operand, "strided")
            assert gradient(grad, buffer, axis, where=where, out=buffer) is buffer
            assert_close(fs, buffer, got)
            for other, expected in ((np.float32, np.float32), (np.int8, np.float64), (bool, np.float64)):
                assert gradient(grad.astype(other), operand, axis, where=where).dtype in (expected, BFLOAT16)
                assert gradient(grad, operand.astype(other), axis, where=where).dtype in (expected, BFLOAT16)
            assert gradient(grad, operand, axis, where=where, dtype="float64").dtype == np.float64
            narrow = gradient(wide(grad), wide(operand), axis, where=where, dtype=BFLOAT16)
            assert_close(fs, narrow, got)
        for wrong in (mask.astype(int), mask.astype(BFLOAT16)):
            with pytest.raises(TypeError):
                gradient(grad, operand, axis, where=wrong)


@each_rows
def test_no_dtype_beside_a_mask(fs, row):
    """dtype=None is as good as none, also where dtypes differ."""
    mask = np.array([True, False, True])
    for dtypes in itertools.product((BFLOAT16, np.float32, np.float64), repeat=2):
        pair = [np.ones(3, dtype) for dtype in dtypes]
        got = getattr(fs.backward, row.name)(*pair, where=mask, dtype=None)  # first: NumPy remembers what it found
        expected = getattr(fs.backward, row.name)(*pair, where=mask)
        assert got.dtype == expected.dtype == np.result_type(*pair)
        np.testing.assert_array_equal(wide(got), wide(expected))


@each_row
def test_threads(compiled, row):
    """The same bits on any number of threads, and large calls do use them."""
    function, x = called(compiled, row), typical((3001, 300))
    with compiled.num_threads(1):
        expected = function(x)
    for threads in (2, 3, 8):
        with compiled.num_threads(threads):
            assert_same(function(x), expected, threads)
            assert_same(function(x[:, ::-1][:, ::-1]), expected, threads)


@each_row
def test_no_warnings(fs, row):
    function = called(fs, row)
    rows = np.array(list(itertools.product(typical(13), repeat=3)))
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for x in (EVERY, rows):
            function(x)
            for layout in NATIVE_LAYOUTS:
                function(place(x, layout), out=place(x, "strided"), where=place(np.isfinite(wide(x)), "strided"))
        for value in EVERY[::97]:
            function(value)
        np.add(1.0, 2.0)  # and nothing is left for the next one


# -------------------------------------------------------------------------------- which dtype comes out


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
@pytest.mark.parametrize("char", "?bBhHiIlLqQ")
def test_gradient_beside_integers(fs, name, char):
    for pair in itertools.permutations([np.ones((2, 3), BFLOAT16), np.ones((2, 3), char)]):
        assert getattr(fs.backward, name)(*pair).dtype == "float64"


@each_row
def test_result_dtype(fs, row):
    function = called(fs, row)
    for x in (typical((2, 3)), typical(1), typical(1)[0], typical(1).reshape(()), typical((2, 3))[:0]):
        got = function(x)
        assert (got.dtype, got.shape) == (BFLOAT16, x.shape)
    assert type(function(typical(1)[0])) is ml_dtypes.bfloat16
    assert function([ml_dtypes.bfloat16(1), ml_dtypes.bfloat16(2)]).dtype == BFLOAT16
    for dtype in (np.float16, np.float32, np.float64):  # as ever
        assert function(np.ones(2, dtype)).dtype == dtype


@each_row
@pytest.mark.parametrize("given", ["float16", "float32", "float64", "int8", "int64", "bool"])
def test_dtype_argument(fs, row, given):
    """dtype= is the dtype that is computed in, from and to bfloat16."""
    x, function = (np.arange(12) % 5 > 1 if given == "bool" else np.arange(-6, 6)).astype(given), called(fs, row)
    assert_close(fs, function(x, dtype=BFLOAT16), function(x.astype(BFLOAT16)))
    assert_close(fs, function(x, dtype=ml_dtypes.bfloat16, casting="unsafe"), function(x.astype(BFLOAT16)))
    if given in {"float32", "float64"}:
        narrow = x.astype(BFLOAT16)
        got = function(narrow, dtype=given)
        assert got.dtype == given
        np.testing.assert_array_equal(got, function(x))
        with pytest.raises(TypeError, match="casting"):
            function(x, dtype=BFLOAT16, casting="safe")
    elif given in {"float16", "int64"}:
        with pytest.raises(TypeError):
            function(x.astype(BFLOAT16), dtype=given)


@each_with_parameters
def test_parameters(fs, row):
    """Python numbers take the dtype of x; arrays and NumPy scalars take part in NumPy's promotion."""
    function, name = called(fs, row), row.parameters[0].name
    x = np.array([-2, 3, 0.5], BFLOAT16)
    for weak in (0.25, 2, True):
        assert function(x, **{name: weak}).dtype == BFLOAT16
        assert function(x[0], **{name: weak}).dtype == BFLOAT16
        assert_close(fs, function(x, **{name: weak}), function(x, **{name: np.array(weak, BFLOAT16)}))
        assert function(x, **{name: weak}, dtype="float32").dtype == np.float32
        assert_close(fs, function(wide(x), **{name: weak}, dtype=BFLOAT16), function(x, **{name: weak}))
    for dtype in (BFLOAT16, "float32", "float64", "int8", "uint8", "bool"):
        for strong in (np.ones(3, dtype), np.ones((), dtype)[()], np.ones((2, 1), dtype)):
            assert function(x, **{name: strong}).dtype == np.result_type(x, strong), dtype
            assert function(x, **{name: strong}, dtype=BFLOAT16).dtype == BFLOAT16, dtype
    # Where NumPy promotes no further, the first dtype that holds both.
    assert function(x, **{name: np.float16(1)}).dtype == np.float32
    assert function(x, **{name: np.int64(1)}).dtype == np.float64
    slope = np.array([0.25, 0.5, 1], BFLOAT16)
    for dtype in ("float32", "float64"):
        wider = x.astype(dtype)
        assert function(wider, **{name: slope}).dtype == dtype
        np.testing.assert_array_equal(function(wider, **{name: slope}), function(wider, **{name: slope.astype(dtype)}))
    assert function(x.astype("float16"), **{name: slope}).dtype == np.float32
    assert function(0.5, **{name: slope}).dtype == BFLOAT16
    for whole_number in (np.array([-2, 3, 1], "int8"), np.int64(2), np.array([True, False, True]), 3, True):
        assert function(whole_number, **{name: slope}).dtype == np.float64


@each_row
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "int4", "uint4", "float4_e2m1fn"])
def test_other_dtypes_of_ml_dtypes(fs, row, dtype):
    kind = getattr(ml_dtypes, dtype, None)
    if kind is None:
        pytest.skip("not in this ml_dtypes")
    message = f"'{row.name}' supports .* and bfloat16 of ml_dtypes, not {dtype}"
    with pytest.raises(TypeError, match=message):
        called(fs, row)(np.ones(3, kind))
    if row.parameters and row.kind == "elementwise":
        with pytest.raises(TypeError, match=message):
            called(fs, row)(np.ones(3, BFLOAT16), **{row.parameters[0].name: np.ones(3, kind)})
    with pytest.raises(TypeError):
        called(fs, row)(np.ones(3, np.float32), dtype=kind)


@each_row
@pytest.mark.parametrize("bad", [1j, "1", None, np.longdouble(1), np.ones(2, np.complex64)], ids=repr)
def test_errors_name_bfloat16(fs, row, bad):
    with pytest.raises(TypeError, match="bfloat16 of ml_dtypes, not"):
        called(fs, row)(bad)
    if row.parameters and row.kind == "elementwise":
        with pytest.raises(TypeError, match="bfloat16 of ml_dtypes, not"):
            called(fs, row)(EVERY, **{row.parameters[0].name: bad})


@each_row
def test_signature(fs, row):
    """All of one dtype or no loop."""
    ufunc = fs._backend.ufuncs[row.name]
    operands = [np.ones(3, np.float32)] * ufunc.nin
    for signature in itertools.product([BFLOAT16, np.dtype("f")], repeat=ufunc.nargs):
        if len(set(signature)) == 1:
            assert ufunc(*operands, signature=signature).dtype == signature[0]
        else:
            with pytest.raises(TypeError):
                ufunc(*operands, signature=signature)
    assert ufunc(*operands, signature=(*[None] * ufunc.nin, BFLOAT16)).dtype == BFLOAT16


# -------------------------------------------------------------------------------- before, after, never

CHECK = """
import sys
import numpy as np
names, late = sys.argv[1].split(","), sys.argv[2] == "late"
if not late:
    import ml_dtypes
import fastsig
for name in names:
    function = getattr(fastsig, name)
    assert function(np.float32([-1, 2])).dtype == np.float32
    assert function([-1, 2]).dtype.kind in "fi"
if late:
    assert "ml_dtypes" not in sys.modules
    import ml_dtypes
for name in names:
    function = getattr(fastsig, name)
    for i in range(2):
        x = np.array([-1.0, 2.0], ml_dtypes.bfloat16)
        got = FIRST_CALL
        assert got.dtype == ml_dtypes.bfloat16, (name, got)
        once = function(np.float32([-1, 2])).astype(ml_dtypes.bfloat16)
        np.testing.assert_allclose(got.astype(float), once.astype(float), rtol=2**-7)
        assert function(np.float32([-1, 2])).dtype == np.float32
print("done")
"""
FIRST_CALLS = {
    "alone": "function(x)",
    "dtype": "function(x.astype(np.float32), dtype=ml_dtypes.bfloat16)",
    "dtype, from bfloat16": "function(x, dtype=ml_dtypes.bfloat16)",
    "out": "function(x, out=x)",
    "mask": "function(x, where=np.array([True, True]), out=x)",
}


@pytest.mark.parametrize("environment", [{"FASTSIG_PURE_PYTHON": "1"}, {}], ids=["pure", "default"])
@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("call", FIRST_CALLS.values(), ids=FIRST_CALLS)
def test_import_order(python, environment, when, call):
    """Whichever package comes first, and whatever the first call with bfloat16 is."""
    code = CHECK.replace("FIRST_CALL", call)
    done = python(code, ",".join(row.name for row in SHAPE_KEEPING if not row.operands), when, **environment)
    assert done.stdout == "done\n", done.stderr


NEVER = """
import sys
import numpy as np
import fastsig
for name in sys.argv[1].split(","):
    function = getattr(fastsig, name)
    assert function(np.float32([-1, 2])).dtype == np.float32
    for bad in (1j, None, np.longdouble(1)):
        try:
            function(bad)
        except TypeError as error:
            assert "bfloat16 of ml_dtypes" in str(error)
        else:
            raise AssertionError(bad)
assert "ml_dtypes" not in sys.modules
print("done")
"""


@pytest.mark.parametrize("environment", [{"FASTSIG_PURE_PYTHON": "1"}, {}], ids=["pure", "default"])
def test_nothing_is_imported(python, environment):
    done = python(NEVER, ",".join(row.name for row in SHAPE_KEEPING if not row.operands), **environment)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("environment", [{"FASTSIG_PURE_PYTHON": "1"}, {}], ids=["pure", "default"])
def test_another_package_of_that_name(python, environment):
    """A module ml_dtypes without bfloat16, or one that is half imported, is as good as none."""
    fake = "import sys, types; sys.modules['ml_dtypes'] = types.ModuleType('ml_dtypes');"
    done = python(fake + "import fastsig; print(fastsig.sigmoid(0.0)); fastsig.sigmoid(1j)", **environment)
    assert done.stdout == "0.5\n"
    assert "TypeError: ufunc 'sigmoid' supports" in done.stderr


def test_logsumexp(fs):
    x = np.random.default_rng(0).normal(0, 3, (20, 30)).astype(BFLOAT16)
    for axis in (0, 1, None):
        got = fs.logsumexp(x, axis)
        assert got.dtype == BFLOAT16
        np.testing.assert_array_equal(got, fs.logsumexp(x.astype(np.float32), axis).astype(BFLOAT16))
