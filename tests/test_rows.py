"""softmax and its kin: axes, masks, special rows, and the same bits for a row wherever and beside whatever it lies."""

import copy
import itertools
import warnings

import numpy as np
import pytest
import scipy.special
from layouts import EMPTY, GUARD, LAYOUTS, assert_same, assert_same_bits, place
from oracle import REDUCTIONS, ROWS, along, hole, ulp_error, upwards

each_rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
each_real = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_float = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
AXES = (0, 1, 2, -1, -2, -3, (0,), (0, 1), (1, 0), (0, 2), (-1, 0), (2, 1), (0, 1, 2), (2, 0, 1), None)

# Lengths that take different ways through the kernels: rows that share a block, whole blocks, long rows, all tails.
LENGTHS = (*range(1, 41), 64, 65, 100, 511, 512, 513, 1000, 1500)


def block(shape=(4, 5, 6), dtype="float64", scale=4):
    return np.random.default_rng(list(shape)).normal(0, scale, shape).astype(dtype)


def assert_close(got, truth, scale=16):
    """Against a wider truth; only large errors matter here, the small ones are test_accuracy's."""
    eps = np.finfo(got.dtype).eps
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            got, truth.astype(np.float64), rtol=scale * eps, atol=np.finfo(got.dtype).smallest_subnormal
        )


@each_rows
@each_float
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_axis(fs, row, dtype, axis):
    function, x = getattr(fs, row.name), block(dtype=dtype)
    got = function(x, axis=axis)
    assert (got.dtype, got.shape) == (x.dtype, x.shape)
    assert_close(got, along(row, x, axis))
    assert_same(fs, function(x, axis), got)
    if dtype == "float64":
        scipys = eval(row.elsewhere["SciPy"], {"scipy": scipy, "x": x, "axis": axis})
        np.testing.assert_allclose(got, scipys, rtol=1e-13, atol=1e-15)
    for layout in LAYOUTS:
        assert_same(fs, function(place(x, layout), axis=axis), got, layout)
    if isinstance(axis, int):
        for kind in (np.int8, np.int64, np.intp, np.array):
            assert_same(fs, function(x, axis=kind(axis)), got)
            assert_same(fs, function(x, axis=(kind(axis),)), got)


@each_rows
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("layout", EMPTY)
def test_out(fs, row, axis, layout):
    function, x = getattr(fs, row.name), block(dtype="float32")
    expected = function(x, axis=axis)
    out = EMPTY[layout](x)
    assert function(x, axis=axis, out=out) is out
    assert_same(fs, out.astype("float32"), expected)
    in_place = place(x, layout)
    assert function(in_place, axis=axis, out=(in_place,)) is in_place
    assert_same(fs, in_place.astype("float32"), expected)
    narrow = np.empty(x.shape, "float16")
    assert function(x, axis=axis, out=narrow) is narrow
    np.testing.assert_allclose(narrow, expected, rtol=1e-3, atol=1e-7)


class Subclass(np.ndarray):
    pass


# A C-ordered float32 matrix, 100 of the 101 rows of its base -> an `out` of whatever kind.
OUTS = {
    "plain": lambda x: np.zeros_like(x),
    "None": lambda x: None,
    "in place": lambda x: x,
    "shifted": lambda x: x.base.reshape(-1)[1 : x.size + 1].reshape(x.shape),
    "other order": lambda x: np.zeros(x.shape, x.dtype, "F"),
    "strided": lambda x: np.zeros((100, 60), x.dtype)[:, ::2],
    "other dtype": lambda x: np.zeros(x.shape),
    "too narrow": lambda x: np.zeros(x.shape, "i4"),
    "swapped": lambda x: np.zeros(x.shape, x.dtype.newbyteorder(">")),
    "other shape": lambda x: np.zeros((30, 100), x.dtype),
    "one row": lambda x: np.zeros(30, x.dtype),
    "more axes": lambda x: np.zeros((2, 100, 30), x.dtype),
    "read-only": lambda x: place(np.zeros_like(x), "read-only"),
    "broadcast": lambda x: np.broadcast_arrays(np.zeros(30, x.dtype), x)[0],
    "a result of broadcast_arrays": lambda x: np.broadcast_arrays(np.zeros_like(x), x)[0],
    "subclass": lambda x: np.zeros_like(x).view(Subclass),
    "tuple": lambda x: (np.zeros_like(x),),
    "list": lambda x: x.tolist(),
}


@each_rows
@pytest.mark.parametrize("axis", [-1, 0, 1, None], ids=str)
@pytest.mark.parametrize("kind", OUTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("gradient", [False, True], ids=["", "gradient"])
def test_out_ends_as_numpys(compiled, row, axis, kind, dtype, gradient):
    """Plain ones take a short way; a call with `subok` goes through NumPy."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
        getattr(compiled, row.name)(np.ones(2, dtype))  # the first one is NumPy's in any case
    function = getattr(compiled.backward if gradient else compiled, row.name)

    def how_it_ends(**options):
        x = block((101, 30), dtype)[:100]
        out = OUTS[kind](x)
        given = (np.cos(block((100, 30))).astype(dtype), x) if gradient else (x,)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                got = function(*given, axis, out=out, **options)
            except Exception as error:
                return type(error), str(error), x.tobytes()
        facts = type(got), got is out, got.dtype, got.strides, got.tobytes(), x.tobytes()
        return *facts, [str(warning.message) for warning in seen]

    assert how_it_ends() == how_it_ends(subok=True)


@each_rows
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("axis", [-1, 0, 1, None], ids=str)
def test_gradient_of_plain_arrays_ends_as_numpys(compiled, row, dtype, axis):
    """Of any grad_output beside a plain y; into either."""
    gradient, y = getattr(compiled.backward, row.name), getattr(compiled, row.name)(block((40, 30), dtype), axis)
    grads = [place(block((40, 30), dtype, 1), layout) for layout in LAYOUTS]
    grads += [grads[0].astype("f"), grads[0].astype("d"), grads[0].view(Subclass), grads[0][:, :1], grads[0][:1], y]
    grads += [grads[0].tolist(), 2.0, np.float32(2)]
    for grad, into in itertools.product(grads, [None, "grad", "y"]):
        ends = []
        for options in ({}, {"subok": True}):
            grad_output, output = copy.deepcopy((grad, y))
            if into:
                options["out"] = output if into == "y" else grad_output
            try:
                got = gradient(grad_output, output, axis, **options)
            except Exception as error:
                ends.append((type(error), str(error)))
            else:
                ends.append((type(got), got.dtype, got.strides, got.tobytes(), output.tobytes()))
        assert ends[0] == ends[1], (type(grad), into)


@each_rows
@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", ">f8"])
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_new_result_lies_as_x(fs, row, dtype, axis):
    function, gradient = getattr(fs, row.name), getattr(fs.backward, row.name)
    for x in (block(dtype=dtype), block(dtype=dtype).T, block(dtype=dtype).transpose(1, 2, 0), block(dtype=dtype)[::2]):
        options = {"where": x < 1}, {"dtype": "float32"}, {"out": ...}, {"out": (None,)}, {"subok": False}
        for keywords in ({}, *options, {"signature": "d->d"}, {"sig": ("f", None), "casting": "unsafe"}):
            got = function(x, axis, **keywords)
            assert got.strides == np.empty_like(x, got.dtype).strides
        assert got.dtype == "float32"
        for keywords in ({}, *options):
            got = gradient(np.ones(x.shape, x.dtype), x, axis, **keywords)
            assert got.strides == np.empty_like(x, got.dtype).strides
        for order in "CFA":
            got = function(x, axis, order=order)
            assert got.strides == np.empty_like(x, got.dtype, order).strides
        assert got.dtype == (x.dtype.newbyteorder("=") if x.dtype.kind == "f" else float)
        assert gradient(x, x.copy(order="F"), axis, order="A").flags.f_contiguous == x.flags.f_contiguous


@each_rows
def test_new_result_of_a_memory_map(fs, row, tmp_path):
    x = np.memmap(tmp_path / "x", "float32", "w+", shape=(30, 40))
    x[:] = block((30, 40))
    for axis in (0, 1, None, (1, 0)):
        got = getattr(fs, row.name)(x, axis)
        assert type(got) is np.ndarray and got.strides == x.strides
        assert_same(fs, got, getattr(fs, row.name)(np.asarray(x), axis))


@each_rows
def test_dtype_as_a_class(compiled, row):
    for axis in (0, 1):
        got = getattr(compiled, row.name)(block(dtype="float32"), axis, dtype=np.dtypes.Float64DType)
        assert got.dtype == "float64"


@each_rows
def test_unsupported_dtype_with_mask_and_dtype(fs, row):
    for char in "gFO":
        x = np.ones((2, 3), char)
        with pytest.raises(TypeError):
            getattr(fs, row.name)(x, 0, dtype="f", where=x == 1, casting="unsafe")


@each_rows
def test_out_errors_over_several_axes(fs, row):
    x = block(dtype="float32")
    for axis in (None, (0, 1), (0, 2)):
        for wrong in (
            np.full(x.size, GUARD, "float32"),
            np.full((4, 5, 7), GUARD, "float32"),
            np.full((4, 6, 5), GUARD, "float32"),
        ):
            with pytest.raises(ValueError):
                getattr(fs, row.name)(x, axis=axis, out=wrong)
            assert (wrong == GUARD).all()
        for wrong in (np.full(x.shape, GUARD), place(np.full(x.shape, GUARD, "float32"), "read-only")):
            with pytest.raises((TypeError, ValueError)):
                getattr(fs, row.name)(x, axis=axis, out=wrong)
            assert (wrong == GUARD).all()


@each_rows
@pytest.mark.parametrize("char", "?bBhHiIlLqQ")
def test_integers(fs, row, char):
    x = (np.arange(60) % 7).reshape(4, 15).astype(char)
    got = getattr(fs, row.name)(x, axis=0)
    assert_same(fs, got, getattr(fs, row.name)(x.astype("float64"), axis=0))
    assert_close(getattr(fs, row.name)(x, dtype="float32"), along(row, x))


@each_rows
def test_float16_is_computed_in_float32(fs, row):
    x = block((50, 40), "float16")
    with np.errstate(all="ignore"):
        once = getattr(fs, row.name)(x.astype("float32")).astype("float16")
    np.testing.assert_allclose(getattr(fs, row.name)(x), once, rtol=0 if fs._backend.threads else 1e-3)


# -------------------------------------------------------------------------------- special rows

inf, nan = np.inf, np.nan


@each_rows
@each_float
@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 40, 513, 1200])
@pytest.mark.parametrize("rows", [1, 3, 70], ids="{} rows".format)
def test_special_rows(fs, row, dtype, n, rows):
    """A row that is all -inf, or holds inf or NaN, is NaN, at whatever place; the rows beside it are as if alone. Where
    small entries are preferred, it is the other infinity."""
    function = getattr(fs, row.name)
    x = np.random.default_rng(n).normal(0, 2, (rows, n)).astype(dtype)
    plain = function(x)
    for bad in (inf, nan, None):
        for place_in_row in sorted({0, n // 2, n - 1}):
            broken = x.copy()
            at = rows // 2
            broken[at, place_in_row if bad else slice(None)] = upwards(row, -inf if bad is None else bad)
            for axis, oriented in ((-1, broken), (0, np.ascontiguousarray(broken.T))):
                got = function(oriented, axis=axis)
                got = got.T if axis == 0 else got
                assert np.isnan(got[at]).all()
                assert_same(fs, np.delete(got, at, 0), np.delete(plain, at, 0))


@each_rows
@each_float
@pytest.mark.parametrize("n", [2, 10, 16, 17, 600, 100_000])
def test_minus_infinity_takes_no_part(fs, row, dtype, n):
    """As by a mask, except that the entries are in x. Not even all of 100,000 together weigh anything."""
    x = np.full(n, -inf, dtype)
    x[1] = 3
    expected = np.full(n, hole(row), dtype)
    expected[1] = 0 if row.logarithm else 1
    np.testing.assert_array_equal(getattr(fs, row.name)(upwards(row, x)), expected)
    x[0] = 3
    expected[:2] = np.log(np.array(0.5)) if row.logarithm else 0.5
    np.testing.assert_allclose(getattr(fs, row.name)(upwards(row, x)), expected, rtol=np.finfo(dtype).eps)


@each_rows
@each_float
def test_far_below_the_maximum(fs, row, dtype):
    """What underflows weighs nothing, however much of it there is."""
    far = -np.finfo(dtype).max
    x = np.full((3, 5000), far, dtype)
    x[:, 7] = 0
    for axis, oriented in ((-1, x), (0, np.ascontiguousarray(x.T))):
        got = getattr(fs, row.name)(upwards(row, oriented), axis=axis)
        got = got if axis else got.T
        logarithm = row.logarithm
        assert (got[:, 7] == (0 if logarithm else 1)).all()
        assert (np.delete(got, 7, 1) == (far if logarithm else 0)).all()


@each_rows
@each_real
def test_large_and_equal(fs, row, dtype):
    top = np.finfo(dtype).max
    for value in (top, -top, 0, 1e30, top / 2):
        for n in (1, 4, 16, 64, 1024):
            got = getattr(fs, row.name)(np.full((2, n), value, dtype))
            np.testing.assert_allclose(got, -np.log(n) if row.logarithm else 1 / n, rtol=2 * np.finfo(dtype).eps)


@each_rows
@each_float
def test_nothing_and_scalars(fs, row, dtype):
    function = getattr(fs, row.name)
    for shape in ((0,), (2, 0), (0, 3), (2, 0, 3)):
        for axis in (*range(-len(shape), len(shape)), None, tuple(range(len(shape)))):
            got = function(np.empty(shape, dtype), axis=axis)
            assert (got.shape, got.dtype) == (shape, dtype)
            out = np.empty(shape, dtype)
            assert function(np.empty(shape, dtype), axis=axis, out=out) is out
    alone = 0.0 if row.logarithm else 1.0
    for axis in (-1, 0, None, (), (0,)):
        for x in (np.array(3, dtype), np.dtype(dtype).type(3)):
            got = function(x, axis=axis)
            assert type(got) is np.dtype(dtype).type
            assert got == alone
        assert np.isnan(function(np.array(nan, dtype), axis=axis))
    out = np.empty((), dtype)
    assert function(np.array(3, dtype), out=out) is out
    assert out == alone


@each_rows
@each_real
def test_shift_does_not_matter(fs, row, dtype):
    """Of whole numbers, so that the shift itself is exact. But for rounding: where the maximum goes into the exponent,
    another one parts x at other multiples of ln2; from 2048 on it is subtracted, and bits are the same."""
    function, x = getattr(fs, row.name), np.random.default_rng(0).integers(-20, 20, (40, 30)).astype(dtype)
    shifted = [function(x + np.dtype(dtype).type(shift)) for shift in (0, 1, -1000, -9000, 100_000)]
    for result in shifted:
        assert ulp_error(result, along(row, x)).max() <= row.max_ulp[dtype == "float64"]
    assert_same_bits(shifted[-2], shifted[-1])


# -------------------------------------------------------------------------------- masks


@each_rows
@each_float
@pytest.mark.parametrize("shape", [(40,), (7, 40), (3, 7, 40), (70, 5), (3, 1500)], ids=str)
def test_mask(fs, row, dtype, shape):
    """Masks of every shape that broadcasts. What is masked out is as if not there, NaN and infinity too."""
    function, rng = getattr(fs, row.name), np.random.default_rng(0)
    x = rng.normal(0, 3, shape).astype(dtype)
    for mask_shape in (shape, shape[-1:], (*shape[:-1], 1), (1,) * len(shape), ()):
        mask = np.asarray(rng.random(mask_shape) < 0.6)
        broken = np.where(np.broadcast_to(mask, shape), x, rng.choice([nan, inf, -inf, 1e4], shape).astype(dtype))
        for axis in (-1, 0, None):
            truth = along(row, x, axis, mask)
            truth = np.where(np.broadcast_to(mask, shape).any(axis, keepdims=True), truth, hole(row))
            got = function(broken, axis=axis, where=mask)
            assert_close(got, truth)
            for layout in ("contiguous", "strided", "reversed", "last axis outermost", "read-only"):
                laid = place(mask, layout) if mask.ndim else mask
                assert_same(fs, function(place(broken, layout), axis=axis, where=laid), got, layout)
            buffer = broken.copy()
            assert function(buffer, axis=axis, where=mask, out=buffer) is buffer
            assert_same(fs, buffer, got)
    assert_same(fs, function(x, where=True), function(x))
    assert_same(fs, function(x, where=np.True_), function(x, where=np.ones(shape, bool)))
    assert_same(fs, function(x, where=False), np.full(shape, hole(row), dtype))
    assert_same(
        fs, function(x.tolist(), where=[True] * shape[-1]), function(x.astype(float), where=np.ones(shape[-1], bool))
    )


@each_rows
@each_float
@pytest.mark.parametrize("n", [1, 5, 16, 100, 513, 1500])
def test_special_masks(fs, row, dtype, n):
    function = getattr(fs, row.name)
    x = np.zeros((4, n), dtype)
    mask = np.ones((4, n), bool)
    mask[0] = False  # nothing left
    x[1] = upwards(row, -inf)  # all that is left
    mask[1, 1:] = False
    x[2, 0], mask[2, 0] = nan, n == 1  # NaN masked out, unless it is the only one
    x[3, -1] = nan  # NaN not masked out
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        got = function(x, where=mask)
    assert (got[0] == hole(row)).all()
    assert np.isnan(got[1, 0]) and (got[1, 1:] == hole(row)).all()
    if n > 1:
        rest = -np.log(np.array(n - 1.0)) if row.logarithm else 1 / (n - 1)
        assert got[2, 0] == hole(row)
        np.testing.assert_allclose(got[2, 1:], rest, rtol=2 * np.finfo(dtype).eps)
    assert np.isnan(got[3]).all()


@pytest.mark.parametrize("row", ROWS + REDUCTIONS, ids=lambda row: row.name)
def test_mask_from_a_list(fs, row):
    """Which a ufunc takes to be of bools, also if it is empty; not so an array of numbers."""
    function, x = getattr(fs, row.name), np.array([1.0, 2.0, 3.0])
    for mask in ([True, False, True], (1, 0, 1), [0.5, 0.0, 2]):
        for axis in (-1, None):
            assert_same(fs, function(x, axis, where=mask), function(x, axis, where=np.array(mask, bool)))
        np.testing.assert_array_equal(np.add(x, 1, where=mask, out=np.zeros(3)), np.where(mask, x + 1, 0))
        with pytest.raises(TypeError):
            function(x, where=np.array(mask, float))
    assert function(x[:0], -1, where=[]).shape == function(x[:0], -1).shape
    assert fs.logsumexp(x[:0], -1, b=2, where=[]) == -np.inf
    with pytest.raises(TypeError):
        fs.logsumexp(x, b=x, where=np.array([1, 0, 1]))


@each_rows
@each_real
def test_mask_equals_leaving_out(fs, row, dtype):
    """The kept entries' results are those of a row without the others, but for the order of the sum."""
    rng = np.random.default_rng(4)
    for n in LENGTHS:
        x, mask = rng.normal(0, 5, n).astype(dtype), rng.random(n) < 0.5
        mask[rng.integers(n)] = True
        got = getattr(fs, row.name)(x, where=mask)
        np.testing.assert_allclose(got[mask], getattr(fs, row.name)(x[mask]), rtol=16 * np.finfo(dtype).eps)
        assert (got[~mask] == hole(row)).all()


# -------------------------------------------------------------------------------- softmin


@each_float
@pytest.mark.parametrize("n", LENGTHS)
def test_softmin_has_the_bits_of_softmax(compiled, dtype, n):
    """Of -x, which is exact: anywhere, in place, with masks and temperatures; its gradient, all but the sign."""
    softmin, softmax = compiled.softmin, compiled.softmax
    for rows in (1, 3, 70):
        x, grad = np.random.default_rng(n).normal(0, 6, (2, rows, n)).astype(dtype)
        mask, heat = x < 5, np.random.default_rng(n).uniform(0.1, 3, rows)
        for options in ({}, {"where": mask}, {"temperature": 0.7}, {"temperature": heat}):
            expected = softmax(-x, **options)
            assert_same_bits(softmin(x, **options), expected)
            for layout in LAYOUTS:
                assert_same_bits(softmin(place(x, layout), **options), expected, layout)
            in_place = x.copy()
            softmin(in_place, out=in_place, **options)
            assert_same_bits(in_place, expected)
            backward = [getattr(compiled.backward, name)(grad, expected, **options) for name in ("softmin", "softmax")]
            np.testing.assert_array_equal(backward[0], -backward[1])
            turned = {name: value.T if name == "where" else value for name, value in options.items()}
            assert_same_bits(softmin(np.ascontiguousarray(x.T), 0, **turned), expected.T)
            columns = [np.ascontiguousarray(each.T) for each in (grad, expected)]
            assert_same_bits(compiled.backward.softmin(*columns, 0, **turned), backward[0].T)


@pytest.mark.parametrize("char", "?bBhHiIlLqQ")
def test_softmin_of_integers(fs, char):
    """Of which none is negated before it is a float64."""
    x = (np.arange(60) % 7).reshape(4, 15).astype(char)
    assert_same(fs, fs.softmin(x), fs.softmax(-x.astype(float)))


# -------------------------------------------------------------------------------- same bits wherever it lies


@each_rows
@each_float
@pytest.mark.parametrize("n", LENGTHS)
def test_a_row_does_not_depend_on_its_neighbours(compiled, row, dtype, n):
    """Nor on where it lies: each row alone is the reference for every other way to compute it."""
    function = getattr(compiled, row.name)
    x = np.random.default_rng(n).normal(0, 6, (70, n)).astype(dtype)
    x[3] = x[3, 0]
    x[4, n // 2] = upwards(row, -inf)
    expected = np.stack([function(one) for one in x])
    for rows in (1, 2, 15, 16, 17, 64, 65, 70):
        assert_same_bits(function(x[:rows]), expected[:rows], f"{rows} rows")
        assert_same_bits(function(x[-rows:]), expected[-rows:], f"last {rows} rows")
        columns = x[:rows].T.copy()
        assert_same_bits(function(columns, axis=0), expected[:rows].T, f"{rows} columns")
        out = np.full((n, rows + 2), GUARD, dtype)
        function(columns, axis=0, out=out[:, 1:-1])
        assert_same_bits(out[:, 1:-1], expected[:rows].T, f"{rows} columns, out= strided")
        assert (out[:, [0, -1]] == GUARD).all()
        function(columns, axis=0, out=columns)
        assert_same_bits(columns, expected[:rows].T, f"{rows} columns in place")
        in_place = x[:rows].copy()
        function(in_place, out=in_place)
        assert_same_bits(in_place, expected[:rows], f"{rows} rows in place")
        guarded = np.full(rows * n + 64, GUARD, dtype)
        function(x[:rows], out=guarded[32:-32].reshape(rows, n))
        assert_same_bits(guarded[32:-32], expected[:rows].ravel(), f"{rows} rows among others")
        assert (guarded[:32] == GUARD).all() and (guarded[-32:] == GUARD).all()
    for layout in LAYOUTS:
        placed = place(x, layout)
        assert_same_bits(function(placed), expected, layout)
        assert_same_bits(function(placed.T, axis=0), expected.T, f"{layout}, axis 0")
        assert_same_bits(function(np.stack([placed, placed], 1), axis=-1)[:, 1], expected, f"{layout}, 3-d")
        out = EMPTY.get(layout, EMPTY["contiguous"])(x)
        assert_same_bits(function(x, out=out).astype(dtype), expected, f"out= {layout}")
        assert_same_bits(function(place(x[9], layout)), expected[9], f"{layout}, alone")
    everything = np.ones(x.shape, bool)
    assert_same_bits(function(x, where=everything), expected, "masked")
    assert_same_bits(function(x[9], where=everything[9]), expected[9], "masked, alone")


@each_rows
@each_float
@pytest.mark.parametrize("shape", [(40_000, 3), (4000, 30), (300, 700), (37, 2000), (9, 60_000), (2, 100_000)], ids=str)
def test_same_bits_on_any_number_of_threads(compiled, row, dtype, shape):
    function, x = getattr(compiled, row.name), block(shape, dtype)
    columns = np.ascontiguousarray(x.T)
    with compiled.num_threads(1):
        expected = function(x)
    for threads in (1, 2, 3, 8):
        with compiled.num_threads(threads):
            assert_same_bits(function(x), expected, threads)
            assert_same_bits(function(columns, axis=0), expected.T, threads)
            assert_same_bits(function(x, where=np.ones(shape[-1], bool)), expected, threads)
            out = np.full((shape[0] + 2, shape[1] + 2), GUARD, dtype)
            function(x, out=out[1:-1, 1:-1])
            assert_same_bits(out[1:-1, 1:-1], expected, threads)
            assert (out[[0, -1]] == GUARD).all() and (out[:, [0, -1]] == GUARD).all()


@each_rows
@pytest.mark.parametrize("axis", [1.0, 1 + 0j, True, "0", [[0]]], ids=repr)
def test_axis_of_a_wrong_type(fs, row, axis):
    """Whatever the layout: the short cut for plain arrays must not take what the gufunc refuses."""
    for x in (np.ones((2, 3)), np.asfortranarray(np.ones((2, 3))), np.ones((2, 3), np.float16)):
        for wrong in (axis, (0, axis)):
            with pytest.raises(TypeError, match=rf"{row.name}: axis must be .* or None, not {type(axis).__name__}$"):
                getattr(fs, row.name)(x, wrong)


@each_rows
def test_casting_of_integers(fs, row):
    """As elementwise: to float64 is no cast, to another dtype it is one."""
    x = np.arange(6).reshape(2, 3)
    for casting in ("no", "equiv"):
        assert_same_bits(getattr(fs, row.name)(x, casting=casting), getattr(fs, row.name)(x))
        assert_same_bits(getattr(fs, row.name)(x, casting=casting, where=x > 0), getattr(fs, row.name)(x, where=x > 0))
        with pytest.raises(TypeError):
            getattr(fs, row.name)(x, casting=casting, dtype=np.float32)
        for gradient in (getattr(fs.backward, row.name), fs.backward.tanh):  # which have no loop for them
            with pytest.raises(TypeError, match=casting):
                gradient(x, x, casting=casting)


@each_rows
def test_several_axes_of_array_likes(fs, row):
    """Objects with an ndim need not have transpose()."""
    function, x = getattr(fs, row.name), np.arange(6.0).reshape(2, 3)
    for axis in (None, (0, 1), np.int64(0), -1):
        np.testing.assert_array_equal(function(memoryview(x), axis=axis), function(x, axis=axis))


@each_rows
def test_out_over_several_axes(fs, row):
    """The same rules as over one axis, also where `out` cannot be written through a view."""
    function, x = getattr(fs, row.name), np.arange(6.0).reshape(2, 3)
    for wrong in (x.tolist(), "a", False, (), (x, x)):
        for axis in (None, -1):
            with pytest.raises(ValueError if isinstance(wrong, tuple) else TypeError):
                function(x, axis=axis, out=wrong)
    for axis in ((0, 1), (1, 0)):
        out = np.full((2, 3), 7.0, np.float32)
        with pytest.raises(TypeError):
            function(x, axis=axis, out=out, casting="no")
        assert (out == 7).all()
        whole = np.empty((2, 3), int)
        assert function(x, axis=axis, out=whole, casting="unsafe") is whole
        assert function(x, axis=axis, order="F").flags.f_contiguous
    with pytest.raises(np.exceptions.AxisError):
        function(1.0, axis=1)
    with pytest.raises(np.exceptions.AxisError):
        function(1.0, axis=(0, 1))
