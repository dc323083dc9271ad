"""softmax and its kin with temperatures: errors, bits, ends of the range, and what is refused."""

import itertools
import re
import sys

import mpmath
import numpy as np
import pytest
from layouts import EMPTY, GUARD, LAYOUTS, assert_same, assert_same_bits, place
from oracle import ROWS, along, exact, gradient_along, hole, ulp_error, ulp_error_exact, upwards

inf, nan = np.inf, np.nan
each_rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
each_real = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_float = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
# Lengths that take different ways through the kernels, as in test_rows.
LENGTHS = (1, 4, 10, 16, 33, 100, 513, 1500)
ORDINARY = (1e-3, 0.05, 0.3, 0.7, 0.9999999, 1.7, 30.0, 1e4)
ENDS = {
    "float16": (1e-300, 1e-10, 1e-4, 1e4, 1e10, inf),
    "float32": (5e-324, 1e-300, 1.5e-45, 3e-39, 1.17e-38, 1e-30, 1e-18, 1e17, 1e19, 1e30, 3.4e38, 1e39, 1e300, inf),
    "float64": (5e-324, 3e-309, 2.3e-308, 1e-300, 1e-151, 1e151, 1e200, 9e307, 1.79e308, inf),
}


def functions_of(fs, row):
    """What an error calls it beside the row's name, and a function of x, of which the gradient takes two."""
    gradient = getattr(fs.backward, row.name)
    return ("", getattr(fs, row.name)), ("_backward", lambda x, *args, **options: gradient(x, x, *args, **options))


def of_upwards(fs, row):
    """The function of what has the largest result for the largest entry."""
    return lambda x, *args, **options: getattr(fs, row.name)(upwards(row, x), *args, **options)


def rows_of(rows, n, dtype, temperature, seed=0):
    """Differences of some temperatures, with an offset for some rows; each row has the temperature of its own."""
    rng, info = np.random.default_rng([seed, rows, n]), np.finfo(dtype)
    t = np.broadcast_to(np.asarray(temperature, np.longdouble), rows)[:, None]
    spread = rng.choice([0.5, 5, 40, 300], (rows, 1)) * rng.normal(size=(rows, n))
    with np.errstate(all="ignore"):
        x = np.where(np.isinf(t), 1, t) * (spread + rng.choice([0, 3, -200, 3000], (rows, 1)))
    return np.clip(x, -info.max, info.max, dtype=np.longdouble).astype(dtype)


@each_rows
@each_real
@pytest.mark.parametrize("n", LENGTHS)
def test_error(fs, row, dtype, n):
    """Within the table's bound of the true function of x / temperature, along rows, across and masked."""
    for rows, axis in ((3, -1), (70, -1), (70, 0)):
        temperatures = np.resize(ORDINARY, rows)
        for temperature in (0.7, temperatures):
            x = rows_of(rows, n, dtype, temperature)
            mask = np.random.default_rng(n).random(x.shape) < 0.8
            for where in (True, mask):
                given = (x, where) if axis == -1 else (np.ascontiguousarray(x.T), where if where is True else where.T)
                got = getattr(fs, row.name)(given[0], axis, temperature=temperature, where=given[1])
                assert got.dtype == dtype
                truth = along(row, x, where=where, temperature=np.broadcast_to(temperature, rows))
                assert ulp_error(got if axis == -1 else got.T, truth).max() <= row.max_ulp[dtype == "float64"]


@each_rows
@each_real
def test_error_by_mpmath(fs, row, dtype):
    """What a wider dtype cannot tell of float64; temperatures at the ends of the range."""
    temperatures = ORDINARY + ENDS[dtype]
    x = rows_of(len(temperatures), 21, dtype, temperatures, seed=1)
    for rows, heat in ((x, temperatures), (np.ascontiguousarray(np.tile(x, (2, 1)).T).T, temperatures * 2)):
        got = getattr(fs, row.name)(rows, temperature=heat)
        for value, line, temperature in zip(got, x, temperatures):
            errors = ulp_error_exact(value, exact(row, line, temperature=temperature))
            assert errors.max() <= row.max_ulp[dtype == "float64"], (temperature, line, value)


@each_rows
def test_oracle(row):
    """The wider dtype's formula is the table's."""
    for temperature in (0.03, 0.7, 12.0):
        x = rows_of(4, 30, "float64", temperature)
        for value, line in zip(along(row, x, temperature=temperature), x, strict=True):
            truth = np.array(list(map(float, exact(row, line, temperature=temperature))))
            np.testing.assert_allclose(value.astype(float), truth, rtol=1e-15, atol=1e-300)


@each_rows
@each_float
@pytest.mark.parametrize("n", LENGTHS)
def test_powers_of_two(compiled, row, dtype, n):
    """Of which division is exact: the same bits, and 1 is no temperature at all."""
    function = getattr(compiled, row.name)
    for rows, axis in ((3, -1), (70, -1), (70, 0)):
        x = np.random.default_rng(n).normal(0, 8, (rows, n)).astype(dtype)
        powers = 2.0 ** np.resize([0, 1, -1, 3, -2], rows)
        x[1] += 500
        with_axis = x if axis == -1 else np.ascontiguousarray(x.T)
        got = function(with_axis, axis, temperature=powers)
        expected = function(with_axis / (powers[:, None] if axis == -1 else powers).astype(dtype), axis)
        assert_same_bits(got, expected)
        for temperature in (1, 1.0, np.ones(rows), np.float32(1), True):
            assert_same_bits(function(with_axis, axis, temperature=temperature), function(with_axis, axis))
        assert_same_bits(
            function(with_axis, axis, temperature=0.5), function(with_axis * np.dtype(dtype).type(2), axis)
        )


@pytest.mark.parametrize(("dtype", "large"), [("float32", 1e38), ("float64", 0.6e308)])
@pytest.mark.parametrize("n", [2, 40, 600])
def test_differences_as_large_as_numbers(fs, dtype, large, n):
    """What is divided by T is a number, and so is the quotient."""
    x = np.full((70, n), -large, dtype)
    x[:, 0] = 0.75 * large
    for temperature in (0.7, 0.999, np.linspace(0.65, 3, 70)):
        for values, axis in ((x, -1), (np.ascontiguousarray(x.T), 0)):
            got = fs.log_softmax(values, axis, temperature=temperature)
            got = got if axis == -1 else got.T
            with np.errstate(all="raise"):
                expected = np.broadcast_to(-1.75 * large / np.asarray(temperature), 70)
            np.testing.assert_allclose(got[:, 1].astype(float), expected, rtol=4 * np.finfo(dtype).eps)
            np.testing.assert_array_equal(got[:, 0], 0)


@each_rows
@each_float
@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("gradient", [False, True], ids=["", "gradient"])
def test_same_bits_wherever_a_row_lies(compiled, row, dtype, n, gradient):
    """Alone, among others, across, strided, under a mask that hides nothing, and with one temperature or with many."""
    function = getattr(compiled.backward if gradient else compiled, row.name)
    temperatures = np.resize([*ORDINARY, *ENDS[dtype]], 70)
    x = rows_of(70, n, dtype, temperatures)
    grad = np.random.default_rng(n).normal(size=x.shape).astype(dtype)
    if gradient:
        x = getattr(compiled, row.name)(x, temperature=temperatures)

    def of(x, grad, axis=-1, **options):
        return function(*((grad, x) if gradient else (x,)), axis, **options)

    alone = np.stack([of(x[i], grad[i], temperature=float(temperatures[i])) for i in range(70)])
    for rows in (70, 3):
        some, beside, heat = x[:rows], grad[:rows], temperatures[:rows]
        np.testing.assert_array_equal(of(some, beside, temperature=heat), alone[:rows])
        np.testing.assert_array_equal(of(some.T.copy(), beside.T.copy(), 0, temperature=heat).T, alone[:rows])
        np.testing.assert_array_equal(of(some, beside, temperature=heat, where=np.ones(some.shape, bool)), alone[:rows])
        for layout in LAYOUTS:
            got = of(place(some, layout), place(beside, layout), temperature=heat[:, None])
            np.testing.assert_array_equal(got, alone[:rows], layout)
    for temperature in (0.7, *ENDS[dtype][1::4]):
        got = of(x, grad, temperature=temperature)
        np.testing.assert_array_equal(got, of(x, grad, temperature=np.full(70, temperature)))


@each_rows
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3000, 100), (100, 3000), (40, 20_000)], ids=str)
def test_threads(compiled, row, dtype, shape):
    if not compiled.get_config()["openmp"]:
        pytest.skip("without threads")
    x, heat = rows_of(*shape, dtype, 0.5), np.random.default_rng(0).uniform(0.1, 3, shape[0])
    for axis, given in ((-1, x), (0, np.ascontiguousarray(x.T))):
        results = []
        for threads in (1, 2):
            with compiled.num_threads(threads):
                results.append(getattr(compiled, row.name)(given, axis, temperature=heat))
        assert_same_bits(*results)


@each_rows
@each_float
@pytest.mark.parametrize("n", [2, 5, 16, 40, 600])
@pytest.mark.parametrize("rows", [1, 70])
def test_ends_of_the_range(fs, row, dtype, n, rows):
    """So small that only the maximum stays, which equal ones share; infinite: all the same."""
    function, log = of_upwards(fs, row), row.logarithm
    x = np.random.default_rng(n).permuted(np.tile(np.arange(n), (rows, 1)), axis=-1).astype(dtype)
    for temperature in (1e-3, 1e-40, 1e-320, 5e-324):
        got = function(x, temperature=temperature)
        top = x == n - 1
        assert (got[top] == (0 if log else 1)).all()
        with np.errstate(over="ignore"):
            below = (x[~top].astype(float) - (n - 1)) / temperature
            np.testing.assert_allclose(
                got[~top], below.astype(dtype) if log else 0, rtol=1e-3 if dtype == "float16" else 1e-6
            )
        got = function(np.minimum(x, n - 2), temperature=temperature)
        np.testing.assert_allclose(got[x >= n - 2], -np.log(2) if log else 0.5, rtol=1e-3)
    uniform = -np.log(np.longdouble(n)) if log else 1 / np.longdouble(n)
    info = np.finfo(dtype)
    for some in (x, x * 100, np.where(x == 0, info.max, -info.max).astype(dtype), x * info.smallest_subnormal):
        assert ulp_error(function(some, temperature=inf), np.full(x.shape, uniform)).max() <= 1
    x[:, 0] = -inf
    uniform = -np.log(np.longdouble(n - 1)) if log else 1 / np.longdouble(n - 1)
    for axis, given in ((-1, x), (0, x.T.copy())):
        got = function(given, axis, temperature=inf)
        got = got if axis else got.T
        assert (got[:, 0] == hole(row)).all()
        assert ulp_error(got[:, 1:], np.full((rows, n - 1), uniform)).max() <= 1


@each_rows
@each_real
@pytest.mark.parametrize("n", [2, 10, 16, 40, 600])
def test_differences_that_overflow(fs, row, dtype, n):
    """x - max(x) may be infinite where (x - max(x)) / temperature is not."""
    most = np.finfo(dtype).max
    for rows, share, temperature in itertools.product((1, 70), (0.6, 1), (1.3, 1.99, 2.5, 1e30, float(most) / 4)):
        if 2 * share < temperature:
            x = np.full((rows, n), -share * most, dtype)
            x[:, 1] = share * most
            for axis, given in ((-1, x), (0, x.T.copy())):
                got = getattr(fs, row.name)(given, axis, temperature=temperature)
                got = got if axis else got.T
                truth = along(row, x, temperature=np.full(rows, temperature))
                assert ulp_error(got, truth).max() <= row.max_ulp[dtype == "float64"]


@each_rows
@pytest.mark.parametrize("n", [2, 10, 40, 600])
def test_subnormal_differences(fs, row, n):
    """Temperatures that all of them exceed by far, and such as some do."""
    x = np.random.default_rng(n).permuted(np.tile(np.arange(n), (70, 1)), axis=-1)
    x = (-7 * 2.0**-149 * x).astype("float32")
    function, below = of_upwards(fs, row), x.astype(np.longdouble)
    for power in (-1074, -300, -277, -276, -270, -250, -245, -240, -200):
        with np.errstate(over="ignore"):
            truth = (below / np.longdouble(2) ** power).astype("float32") if row.logarithm else (x == 0)
        for axis, given in ((-1, x), (0, x.T.copy())):
            got = function(given, axis, temperature=2.0**power)
            np.testing.assert_allclose(got if axis else got.T, truth, rtol=3e-7)


@each_rows
@each_float
@pytest.mark.parametrize("n", [1, 2, 16, 40, 600])
@pytest.mark.parametrize("temperature", [1e-310, 1e-3, 0.7, 1e10, inf])
def test_special_rows(fs, row, dtype, n, temperature):
    """A row that is all -inf, or holds inf or NaN, is NaN; the rows beside it are as if alone, and masks make holes."""
    function = of_upwards(fs, row)
    x = np.random.default_rng(n).normal(0, 2, (70, n)).astype(dtype)
    plain = function(x, temperature=temperature)
    for bad in (inf, nan, None):
        broken = x.copy()
        broken[35, n // 2 if bad else slice(None)] = -inf if bad is None else bad
        for axis, given in ((-1, broken), (0, broken.T.copy())):
            got = function(given, axis, temperature=temperature)
            got = got if axis else got.T
            assert np.isnan(got[35]).all()
            assert_same(fs, np.delete(got, 35, 0), np.delete(plain, 35, 0))
        mask = np.ones(x.shape, bool)
        mask[35] = False
        got = function(broken, where=mask, temperature=temperature)
        assert (got[35] == hole(row)).all()


# -------------------------------------------------------------------------------- shapes, dtypes, errors


@each_rows
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (2, 0), (1,), None], ids=str)
def test_shapes(fs, row, axis):
    """One number a row, whatever the axes, also with length 1 along them; what broadcasts to that shape."""
    function, x = getattr(fs, row.name), np.random.default_rng(0).normal(0, 4, (4, 5, 6))
    axes = range(3) if axis is None else [i % 3 for i in np.atleast_1d(axis)]
    kept = [n for i, n in enumerate(x.shape) if i not in axes]
    heat = np.random.default_rng(1).uniform(0.2, 3, kept)
    truth = along(row, x, axis, temperature=heat)
    got = function(x, axis, temperature=heat)
    np.testing.assert_allclose(got, truth.astype(float), rtol=1e-14, atol=1e-300)
    assert_same(fs, function(x, axis, temperature=np.expand_dims(heat, tuple(axes))), got)
    assert_same(fs, function(x, axis, temperature=heat.tolist()), got)
    out = np.empty((3, *x.shape))
    for layout in EMPTY:
        out = EMPTY[layout](x)
        assert function(x, axis, temperature=heat, out=out) is out
        assert_same(fs, out.astype(float), got)
    for char in "ef":  # which are converted; the axis has length 1, or there is none
        narrow = heat.astype(char)
        expected = function(x, axis, temperature=narrow.astype(float))
        assert_same(fs, function(x, axis, temperature=narrow), expected)
        assert_same(fs, function(x, axis, temperature=np.expand_dims(narrow, tuple(axes))), expected)
    if len(kept) == 2:
        for some in (heat[:1], heat[:, :1], heat[0]):
            expected = function(x, axis, temperature=np.broadcast_to(some, kept))
            assert_same(fs, function(x, axis, temperature=some), expected)
    mask = x < 2
    masked = function(x, axis, temperature=heat, where=mask)
    truth = along(row, x, axis, mask, temperature=heat)
    np.testing.assert_allclose(masked, truth.astype(float), rtol=1e-14, atol=1e-300)
    y = function(x, axis, temperature=heat)
    gradient = getattr(fs.backward, row.name)(x, y, axis, temperature=heat)
    with_axes = np.expand_dims(heat, tuple(axes))
    np.testing.assert_allclose(gradient, gradient_along(row, x, y, axis)[0] / with_axes, rtol=1e-12, atol=1e-14)


@each_rows
def test_wrong_shapes(fs, row):
    x = np.zeros((4, 5, 6))
    for shape, axis in (((6,), -1), ((4, 5, 6), -1), ((5, 4), -1), ((4,), 0), ((1, 4, 5), -1), ((2,), None)):
        for name, function in functions_of(fs, row):
            with pytest.raises(ValueError, match=f"^{row.name}{name}: temperature has shape {re.escape(str(shape))}, "):
                function(x, axis, temperature=np.ones(shape))


@each_rows
@pytest.mark.parametrize("char", "?bBhHiIlLqQ")
def test_integers(fs, row, char):
    x = (np.arange(60) % 7).reshape(4, 15).astype(char)
    for temperature in (0.5, 3, [1, 2, 3, 4]):
        got = getattr(fs, row.name)(x, temperature=temperature)
        assert_same(fs, got, getattr(fs, row.name)(x.astype("float64"), temperature=temperature))
        heat = np.asarray(temperature, char) if char != "?" and temperature != 0.5 else temperature
        assert_same(fs, getattr(fs, row.name)(x, temperature=heat), got)


@each_rows
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(fs, row, dtype):
    """That of x, whatever the temperature's, which is not rounded to it."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    x = np.random.default_rng(0).normal(0, 4, (70, 20)).astype(dtype)
    function, gradient = getattr(fs, row.name), getattr(fs.backward, row.name)
    for temperature in (0.7, np.full(70, 0.7), np.full((70, 1), 0.7), np.float64(0.7)):
        got = function(x, temperature=temperature)
        assert got.dtype == dtype
        wide = along(row, x.astype(float), temperature=np.full(70, 0.7))
        np.testing.assert_allclose(
            got.astype(float), wide.astype(float), rtol=2.0**-7 if got.itemsize == 2 else 1e-6, atol=1e-7
        )
        assert function(x, temperature=temperature, where=x > 0).dtype == dtype
        assert gradient(got, got, temperature=temperature).dtype == dtype
        assert gradient(got, got, temperature=temperature, where=x > 0).dtype == dtype
        mask = (x > 0).T  # the axis is not the last one in memory
        turned = temperature.reshape(1, 70) if np.ndim(temperature) == 2 else temperature
        assert_same(
            fs,
            function(np.ascontiguousarray(x.T), 0, temperature=turned, where=mask),
            function(x, temperature=temperature, where=mask.T).T,
        )
    assert function(x, temperature=[np.float32(0.7)] * 70, dtype="float64").dtype == "float64"
    assert function(x, temperature=0.7, dtype="float32", casting="unsafe").dtype == "float32"
    assert gradient(x, x.astype("float64"), temperature=0.7).dtype == "float64"
    half = np.asarray(0.7, dtype)
    assert_same(fs, function(x, temperature=half), function(x, temperature=float(half)))


@each_rows
def test_refused(fs, row):
    """With a message that names the function, what is given and what is allowed; nothing is written."""
    x, out = np.zeros((3, 4), "float32"), np.full((3, 4), GUARD, "float32")
    holds = "temperature must be of numbers that float64 can hold"
    for name, function in functions_of(fs, row):
        for value in (0, 0.0, -0.0, -1, -inf, nan, False, np.float32(-2), -5e-324):
            for temperature in (value, np.asarray(value), [1.0, value, 2.0], np.reshape([1.0, 1.0, value], (3, 1))):
                for options in ({"out": out}, {"where": x == 0, "out": out}, {"axis": None, "out": out}):
                    if options.get("axis", 1) is None and np.ndim(temperature):
                        continue
                    with pytest.raises(ValueError, match=rf"^{row.name}{name}: temperature must be above 0, not .*"):
                        function(x, temperature=temperature, **options)
        for wrong in (np.longdouble(2), 1j, "1", [None], object(), np.datetime64("2026-01-01"), 10**400):
            with pytest.raises(TypeError, match=f"^{row.name}{name}: {holds}"):
                function(x, temperature=wrong, out=out)
        with pytest.raises(TypeError):
            function(x.astype(np.longdouble), temperature=2.0)
        with pytest.raises(TypeError, match="return arrays must be of ArrayType"):
            function(x, temperature=2.0, out=[0.0])
        signalling = np.array([0x3F800000, 0x7FA00000, 0x3F800000], np.uint32).view(np.float32)
        heats = [signalling]
        if ml_dtypes := sys.modules.get("ml_dtypes"):
            heats.append(np.array([1, nan, 1], ml_dtypes.bfloat16))
        for heat in heats:
            with np.errstate(all="raise"), pytest.raises(ValueError, match=r"must be above 0, not nan at 1$"):
                function(x, temperature=heat, out=out)
    assert (out == GUARD).all()
    with pytest.raises(ValueError, match=r"not -3\.0 at 1, 2$"):
        getattr(fs, row.name)(np.zeros((2, 3, 4)), temperature=[[1, 1, 1], [1, 2, -3.0]])


@each_rows
def test_nothing_and_scalars(fs, row):
    function = getattr(fs, row.name)
    for shape in ((0,), (2, 0), (0, 3)):
        assert function(np.empty(shape), temperature=0.5).shape == shape
        assert function(np.empty(shape), temperature=np.ones(shape[:-1])).shape == shape
    for x in (3.0, np.array(3.0), np.float32(3)):
        got = function(x, temperature=0.25)
        assert got == (0.0 if row.logarithm else 1.0)
        assert isinstance(got, np.floating)
    with pytest.raises(TypeError):
        function(np.ones(3), -1, 2.0)  # by keyword alone


# -------------------------------------------------------------------------------- gradients


@each_rows
@each_real
@pytest.mark.parametrize("n", [1, 4, 10, 17, 100, 1500])
def test_gradient_error(fs, row, dtype, n):
    """Within the table's bound of the true one, from subnormal temperatures to infinity; 0 stays 0."""
    gradient, bound = getattr(fs.backward, row.name), row.gradient.max_ulp[dtype == "float64"]
    for rows, axis in ((3, -1), (70, -1), (70, 0)):
        heat = np.resize([*ORDINARY, *ENDS[dtype]], rows)
        y = getattr(fs, row.name)(rows_of(rows, n, dtype, 1.0), temperature=1.0)
        grad = np.random.default_rng(n).normal(size=y.shape).astype(dtype)
        mask = np.random.default_rng(n + 1).random(y.shape) < 0.8
        for where in (True, mask):
            given = [a if a is True or axis == -1 else np.ascontiguousarray(a.T) for a in (grad, y, where)]
            got = gradient(*given[:2], axis, temperature=heat, where=given[2])
            truth, scale = gradient_along(row, grad, y, where=where)
            with np.errstate(all="ignore"):
                truth, scale = (a / heat.astype(np.longdouble)[:, None] for a in (truth, scale))
            errors = ulp_error(got if axis == -1 else got.T, truth, scale)
            assert errors.max() <= bound


@each_real
def test_gradient_does_not_round_on_the_way(fs, dtype):
    """Of a small y and a small temperature; in float32 also of temperatures that it does not have."""
    tiny = float(np.finfo(dtype).smallest_subnormal)
    for y, grad, temperature in (
        (0.25, 1e-30, 1e-290),
        (tiny * 3, 1 / 3, tiny * 100),
        (tiny * 1000, 1e-9, 1e-300),
        (1e-30, 1e20, 1e-15),
        (1e-30, -1e-25, 1e-39),
        (0.25, 1e30, 1e45),
        (0.0, 3.0, 5e-324),
    ):
        ys, grads = np.array([y, 0.75], dtype), np.array([grad, 0], dtype)
        with mpmath.workprec(1200):
            p, rest, g = (mpmath.mpf(float(v)) for v in (*ys, grads[0]))
            truth = [p * (g - p * g) / mpmath.mpf(temperature), -rest * p * g / mpmath.mpf(temperature)]
        for rows in (1, 70):
            pair = np.tile(grads, (rows, 1)), np.tile(ys, (rows, 1))
            got = fs.backward.softmax(*pair, temperature=temperature)
            assert ulp_error_exact(got[-1], truth).max() <= 6
            assert_same(fs, fs.backward.softmin(*pair, temperature=temperature), -got)


@each_rows
@each_float
def test_out_over_the_temperatures(fs, row, dtype):
    """They are read before anything is written there."""
    function, x = getattr(fs, row.name), np.random.default_rng(0).normal(size=(200, 50)).astype(dtype)
    heat = np.random.default_rng(1).uniform(0.2, 3, 200)
    memory = np.zeros(x.size * 8, np.uint8)
    out, middle = memory[: x.nbytes].view(dtype).reshape(x.shape), x.nbytes // 16 * 8
    there = memory[middle : middle + heat.nbytes].view(float)
    there[:] = heat
    function(x, temperature=there, out=out)
    assert_same(fs, out, function(x, temperature=heat))


@each_rows
def test_dtype_and_order_along_any_axis(fs, row):
    """A dtype is asked of the result alone."""
    x, heat = np.random.default_rng(0).normal(size=(4, 5, 6)), np.random.default_rng(1).uniform(0.2, 3, (5, 6))
    for name, function in functions_of(fs, row):
        expected = function(x, 0, temperature=heat)
        for options in ({"dtype": "float32"}, {"order": "F"}, {"dtype": "float32", "where": x < 9}):
            got = function(x, 0, temperature=heat, **options)
            assert got.dtype == options.get("dtype", "float64")
            assert got.flags.f_contiguous or "order" not in options
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=name)


@each_rows
def test_gradient_by_differences(fs, row):
    """At its input, x: the factor is 1 / temperature."""
    x, heat = np.random.default_rng(0).normal(0, 2, (5, 7)), np.array([0.3, 0.9, 1.0, 2.0, 8.0])
    grad = np.random.default_rng(1).normal(size=x.shape)
    function = getattr(fs, row.name)
    got = getattr(fs.backward, row.name)(grad, function(x, temperature=heat), temperature=heat)
    for i, j in itertools.product(range(5), range(7)):
        step = np.zeros(x.shape)
        step[i, j] = 1e-6
        ends = [(grad * function(x + sign * step, temperature=heat)).sum() for sign in (1, -1)]
        assert got[i, j] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8)
