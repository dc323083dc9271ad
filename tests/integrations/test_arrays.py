"""Arrays of other libraries: what comes back is like what went in, and holds what fastsig gives for a plain array.

`CONTAINERS` is also the table of the page docs/arrays.md: a test holds one against the other.
"""

import functools
import itertools
from pathlib import Path

import awkward as ak
import dask.array as da
import numpy as np
import pandas as pd
import pint
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
import xarray as xr
from containers import DTYPES, Container, check_elementwise, check_losses, check_reductions, check_rows, numbers
from oracle import HALVES, OF_ONE, called

import fastsig

# In this process, on the best kernels and in pure Python.
BACKENDS = sorted({"pure", {"pure Python": "pure"}.get(fastsig._backend.name, fastsig._backend.name)})
on_backends = pytest.mark.parametrize("fs", BACKENDS, indirect=True)
# NumPy's, of every ufunc of a tensor: torch's __array_wrap__ has the signature from before NumPy 2.
old_wrap = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")

# -------------------------------------------------------------------------------- pandas


class OfNumPy:
    """Columns of NumPy's dtypes."""

    @staticmethod
    def column(x, missing):
        return x

    @staticmethod
    def is_kind(dtype):
        return isinstance(dtype, np.dtype)


class Nullable:
    @staticmethod
    def column(x, missing):
        kinds = {"f": pd.arrays.FloatingArray, "i": pd.arrays.IntegerArray, "b": pd.arrays.BooleanArray}
        return kinds[x.dtype.kind](x.copy(), missing.copy())

    @staticmethod
    def is_kind(dtype):
        return isinstance(dtype, (pd.Float32Dtype, pd.Float64Dtype, pd.Int32Dtype))


class Arrow:
    @staticmethod
    def column(x, missing):
        return pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(x, mask=missing)]))

    @staticmethod
    def is_kind(dtype):
        return isinstance(dtype, pd.ArrowDtype)


def taken(column):
    """(values, what is missing) of a column of pandas, or of a number."""
    if column is pd.NA:
        return np.float64(0), np.True_
    if np.ndim(column) == 0:
        return np.asarray(column), np.False_
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return np.asarray(column), np.zeros(len(column), bool)
    plain = getattr(dtype, "numpy_dtype", dtype)
    missing = np.asarray(pd.isna(column)) if plain is not dtype else np.zeros(len(column), bool)
    return np.asarray(column.to_numpy(dtype=plain, **({"na_value": 0} if missing.any() else {}))), missing


class Series(Container):
    ndims, labels = (1,), list("abcdefg")

    def __init__(self, kind):
        self.kind, self.has_missing = kind, kind is not OfNumPy
        self.out = True

    def make(self, x, missing):
        return pd.Series(self.kind.column(x, missing), index=self.labels[: len(x)], name="logits")

    def take(self, result):
        return taken(result)

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is None:
            assert list(result.index) == list(x.index) and result.name == "logits"
        if keepdims is not False:
            assert type(result) is pd.Series and self.kind.is_kind(result.dtype)


class Index(Series):
    def make(self, x, missing):
        return pd.Index(self.kind.column(x, missing), name="logits")

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is not False:
            assert isinstance(result, pd.Index) and result.name == "logits" and self.kind.is_kind(result.dtype)


class Bare(Series):
    """A column without labels."""

    def make(self, x, missing):
        return self.kind.column(x, missing)

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is not False:
            assert self.kind.is_kind(result.dtype) and isinstance(result, pd.api.extensions.ExtensionArray)


class Sparse(Series):
    """Along an axis there is no other number that most results have."""

    def __init__(self):
        super().__init__(OfNumPy)

    def make(self, x, missing):
        return pd.Series(pd.arrays.SparseArray(x, fill_value=x.dtype.type(0)), self.labels[: len(x)], name="logits")

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is None:
            assert list(result.index) == list(x.index) and result.name == "logits"


class Frame(Container):
    ndims, slow = (2,), True
    index, columns = list("abcdef"), ["x", "y", "y", "z", "u"]  # two of one name

    def __init__(self, kind, out=True):
        self.kind, self.has_missing, self.out = kind, kind is not OfNumPy, out

    def make(self, x, missing):
        columns = [self.kind.column(x[:, i], missing[:, i]) for i in range(x.shape[1])]
        frame = pd.DataFrame(dict(enumerate(columns)), index=self.index)
        frame.columns = self.columns
        return frame

    def take(self, result):
        if not isinstance(result, pd.DataFrame):
            return taken(result)
        pairs = [taken(result.iloc[:, i]) for i in range(result.shape[1])]
        return tuple(np.column_stack(each) for each in zip(*pairs))

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is None or keepdims:
            gone = (
                () if keepdims is None else (0, 1) if axis is None else axis if isinstance(axis, tuple) else (axis % 2,)
            )
            assert type(result) is pd.DataFrame and all(map(self.kind.is_kind, result.dtypes))
            assert 0 in gone or list(result.index) == self.index
            assert 1 in gone or list(result.columns) == self.columns
        elif axis is not None and axis != (0, 1):
            labels = self.index if axis in {-1, 1, (1,)} else self.columns
            assert type(result) is pd.Series and list(result.index) == labels and self.kind.is_kind(result.dtype)


# -------------------------------------------------------------------------------- polars


class PolarsSeries(Container):
    ndims, out = (1,), True

    def make(self, x, missing):
        return column_of_polars("logits", x, missing)

    def take(self, result):
        return taken_of_polars(result)

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is not False:
            assert type(result) is pl.Series and result.name == "logits"


def column_of_polars(name, x, missing):
    return pl.Series(name, x).to_frame().select(pl.when(pl.Series(~missing)).then(pl.first())).to_series()


def taken_of_polars(column):
    if column is None:
        return np.float64(0), np.True_
    if not isinstance(column, pl.Series):
        return np.asarray(column), np.False_
    filled = column.fill_null(False if column.dtype == pl.Boolean else 0)
    return filled.to_numpy(), column.is_null().to_numpy()


class PolarsFrame(Container):
    ndims, out, columns = (2,), True, list("xyzuv")
    keeps_axes = True  # down its columns it is reduced to one row

    def make(self, x, missing):
        return pl.DataFrame([column_of_polars(name, x[:, i], missing[:, i]) for i, name in enumerate(self.columns)])

    def take(self, result):
        if not isinstance(result, pl.DataFrame):
            return taken_of_polars(result)
        return tuple(np.column_stack(each) for each in zip(*map(taken_of_polars, result.get_columns())))

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is None:
            assert result.columns == self.columns
        elif axis in {-1, 1, (1,)} and not keepdims:
            assert type(result) is pl.Series and result.name in {"logsumexp", "cross_entropy"}


class PolarsExpression(Container):
    """What it gives is known when it is evaluated."""

    ndims, keeps_axes, gives_numbers, losses = (1,), True, False, False

    def make(self, x, missing):
        return pl.lit(column_of_polars("logits", x, missing))

    def take(self, result):
        return taken_of_polars(pl.select(result).to_series())

    def weighted(self, function, x, axis, weights, **options):
        return ()  # an expression has one result, and no sign beside it

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is pl.Expr


class ArrowArray(Container):
    ndims, out = (1,), True

    def make(self, x, missing):
        return pa.array(x, mask=missing)

    def take(self, result):
        if result is None:
            return np.float64(0), np.True_
        if not isinstance(result, (pa.Array, pa.ChunkedArray)):
            return np.asarray(result), np.False_
        filled = result.fill_null(False if result.type == pa.bool_() else 0)
        return np.asarray(filled), np.asarray(result.is_null())

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is not False:
            assert isinstance(result, pa.ChunkedArray if isinstance(x, pa.ChunkedArray) else pa.Array)


class ChunkedArrowArray(ArrowArray):
    def make(self, x, missing):
        return pa.chunked_array([pa.array(x[:2], mask=missing[:2]), pa.array(x[2:], mask=missing[2:])])


# -------------------------------------------------------------------------------- xarray, dask


class DataArray(Container):
    temperatures_in_gradients = False
    has_missing = False
    dims = ("sample", "class")

    def hold(self, x, missing):
        return x

    def make(self, x, missing):
        coords = {"class": list("abcdefg")[: x.shape[-1]]} | (
            {"of": ("sample", np.arange(len(x)))} if x.ndim == 2 else {}
        )
        return xr.DataArray(self.hold(x, missing), coords, self.dims[-x.ndim :], "logits", {"unit": "logit"})

    def take(self, result):
        data = result.data
        data = data.compute(scheduler="sync") if isinstance(data, da.Array) else data
        return np.asarray(data), np.ma.getmaskarray(data)

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is xr.DataArray and result.name == "logits" and result.attrs == x.attrs
        assert isinstance(result.data, type(x.data)) or (result.ndim == 0 and not isinstance(x.data, da.Array))
        if keepdims is None:
            assert result.dims == x.dims and result.coords.identical(x.coords)
        elif not keepdims:
            assert result.coords.identical(
                x.sum(x.dims if axis is None else [x.dims[i] for i in np.ravel(axis)]).coords
            )


class LazyDataArray(DataArray):
    ndims, tolerance, slow = (2,), 1e-5, True

    def hold(self, x, missing):
        return da.from_array(x, 4)


class Variable(DataArray):
    def make(self, x, missing):
        return xr.Variable(self.dims[-x.ndim :], x, {"unit": "logit"})

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is xr.Variable and result.attrs == x.attrs
        assert keepdims is not None or result.dims == x.dims


class Dask(Container):
    temperatures_in_gradients = False
    ndims, slow = (2,), True

    def __init__(self, chunks, has_missing):
        self.chunks, self.has_missing = chunks, has_missing
        self.tolerance = 0 if chunks == -1 else 1e-5

    def make(self, x, missing):
        return da.from_array(np.ma.array(x, mask=missing) if self.has_missing else x, self.chunks)

    def take(self, result):
        computed = result.compute(scheduler="sync")
        assert computed.dtype == result.dtype and computed.shape == result.shape
        return np.asarray(computed), np.ma.getmaskarray(computed)

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is da.Array
        assert keepdims is not None or result.chunks == x.chunks


# -------------------------------------------------------------------------------- awkward, torch


class Awkward(Container):
    """Rows of equal length, of which the type does not say so."""

    temperatures_in_gradients = False
    slow = True

    def __init__(self, has_missing, regular=False):
        self.has_missing, self.regular = has_missing, regular

    def make(self, x, missing):
        made = ak.from_numpy(np.ma.array(x, mask=missing) if self.has_missing else x, regulararray=True)
        return made if self.regular or x.ndim == 1 else ak.from_regular(made)

    def take(self, result):
        if result is None:
            return np.float64(0), np.True_
        values = ak.to_numpy(result) if isinstance(result, ak.Array) else result
        return np.asarray(values), np.ma.getmaskarray(values)

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is None:
            assert str(result.type).count("var") == str(x.type).count("var")
            assert ("?" in str(result.type)) == ("?" in str(x.type))


class Tensor(Container):
    """Of PyTorch, on the CPU."""

    has_missing = False

    def make(self, x, missing):
        return torch.from_numpy(x.copy())

    def take(self, result):
        return np.asarray(result), np.zeros(result.shape, bool)

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is torch.Tensor


CONTAINERS = {
    "pandas Series": Series(OfNumPy),
    "pandas Series, nullable": Series(Nullable),
    "pandas Series, Arrow": Series(Arrow),
    "pandas Series, Sparse": Sparse(),
    "pandas Index": Index(OfNumPy),
    "pandas array, nullable": Bare(Nullable),
    "pandas array, Arrow": Bare(Arrow),
    "pandas DataFrame": Frame(OfNumPy),
    "pandas DataFrame, nullable": Frame(Nullable),
    "pandas DataFrame, Arrow": Frame(Arrow),
    "polars Series": PolarsSeries(),
    "polars DataFrame": PolarsFrame(),
    "polars Expr": PolarsExpression(),
    "pyarrow Array": ArrowArray(),
    "pyarrow ChunkedArray": ChunkedArrowArray(),
    "xarray DataArray": DataArray(),
    "xarray DataArray of Dask": LazyDataArray(),
    "xarray Variable": Variable(),
    "Dask": Dask(-1, False),
    "Dask, in chunks": Dask(3, False),
    "Dask of masked arrays, in chunks": Dask(3, True),
    "awkward, of type var": Awkward(False),
    "awkward, regular": Awkward(False, regular=True),
    "awkward with None": Awkward(True),
    "PyTorch tensor": Tensor(),
}
each_container = pytest.mark.parametrize("name", CONTAINERS)


@on_backends
@each_container
@pytest.mark.parametrize("dtype", DTYPES)
@old_wrap
def test_all(fs, name, dtype):
    if DTYPES.index(dtype) >= 2 - CONTAINERS[name].slow + 2 * (fs._backend.threads is not None):
        pytest.skip("much the same as with another dtype or on other kernels, and slow")
    for check in (check_elementwise, check_rows, check_reductions, check_losses):
        check(fs, CONTAINERS[name], dtype)


# -------------------------------------------------------------------------------- the page's table


def kind(result):
    """What a result is, in the page's words."""
    if isinstance(result, pl.Expr):
        return "Expr"
    if isinstance(getattr(result, "dtype", None), pd.SparseDtype):
        return f"{type(result).__name__}, Sparse[{result.dtype.subtype}]"
    if isinstance(result, (pd.Series, pd.Index, pl.Series, np.generic, np.ndarray)):
        return f"{type(result).__name__}, {result.dtype}"
    if isinstance(result, (pd.DataFrame, pl.DataFrame)):
        dtypes = {str(dtype) for dtype in result.dtypes}
        return f"{type(result).__name__}, {dtypes.pop()}" if len(dtypes) == 1 else type(result).__name__
    if isinstance(result, pd.api.extensions.ExtensionArray):
        return f"{type(result).__name__}, {result.dtype}"
    if isinstance(result, (xr.DataArray, xr.Variable)):
        return f"{type(result).__name__} of {'Dask' if isinstance(result.data, da.Array) else 'NumPy'}, {result.dtype}"
    return f"{type(result).__name__}, {str(getattr(result, 'dtype', getattr(result, 'type', ''))).split(' * ', 1)[-1]}"


def table():
    """The lines of the page's table: what comes back for float32."""
    for name, container in CONTAINERS.items():
        values, missing = numbers(max(container.ndims), "float32", poison=False)
        x = container.make(values, missing & container.has_missing)
        results = fastsig.sigmoid(x), fastsig.softmax(x), fastsig.logsumexp(x, -1), fastsig.backward.silu(x, x)
        missing = "stay, take no part" if container.has_missing else "has none"
        yield f"| {' | '.join([name, *(f'`{kind(result)}`' for result in results), missing])} |"


@old_wrap
def test_the_table_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "arrays.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in page


# -------------------------------------------------------------------------------- pandas: labels, rows, groups


def test_pandas_labels_are_aligned():
    x = pd.Series([1.0, 2.0, 3.0], index=list("abc"))
    turned = x[::-1]
    b = pd.Series([1.0, 2.0, 4.0], index=list("abc"))
    assert (
        fastsig.logsumexp(x, b=b[::-1]) == fastsig.logsumexp(x, b=b) == fastsig.logsumexp(x.to_numpy(), b=b.to_numpy())
    )
    pd.testing.assert_series_equal(fastsig.backward.softmax(turned, x), fastsig.backward.softmax(x, x))
    pd.testing.assert_series_equal(fastsig.softmax(x, where=(x > 1)[::-1]), fastsig.softmax(x, where=x > 1))
    frame = pd.DataFrame({"x": x, "y": x + 1})
    grad = fastsig.logsumexp(frame, axis=1)
    pd.testing.assert_frame_equal(
        fastsig.backward.logsumexp(grad[::-1], frame, axis=1), fastsig.backward.logsumexp(grad, frame, axis=1)
    )
    np.testing.assert_array_equal(
        fastsig.logsumexp(frame, 1, pd.Series([2, 1], ["y", "x"])), fastsig.logsumexp(frame, 1, [1, 2])
    )
    for wrong in (pd.Series([1.0, 2.0, 3.0], index=list("abd")), b[:2], frame):
        with pytest.raises(ValueError, match=r"labels|DataFrame"):
            fastsig.logsumexp(x, b=wrong)


def test_pandas_elementwise_beside_other_frames():
    """As pandas does it for any ufunc of two operands, save that the dtype stays."""
    x = pd.DataFrame({"x": [1.0, -2.0], "y": [3.0, -4.0]}, dtype="float32")
    other = pd.DataFrame({"y": [1, 2], "z": [3, 4]}, index=[1, 2], dtype="float32")
    got = fastsig.backward.relu(x, other)
    pd.testing.assert_frame_equal(got.isna(), np.hypot(x, other).isna())
    assert set(got.dtypes) == {np.dtype("float32")}
    slopes = np.array([0.5, 0.25], "float32")
    np.testing.assert_array_equal(fastsig.leaky_relu(x, slopes), fastsig.leaky_relu(x.to_numpy(), slopes))
    assert set(fastsig.leaky_relu(x, 0.5).dtypes) == set(fastsig.leaky_relu(x, slopes).dtypes) == {np.dtype("float32")}


@pytest.mark.parametrize(
    "dtype", ["Float64", "Float32", "Int64", "double[pyarrow]", "float[pyarrow]", "int64[pyarrow]"]
)
def test_pandas_apply_and_groups(dtype):
    x = pd.Series([1.0, 5.0, -2.0, 0.0], dtype=dtype)
    x[1] = pd.NA
    frame = pd.DataFrame({"x": x, "y": x + 1, "z": 0})
    rows = frame.apply(fastsig.softmax, axis=1)
    whole = fastsig.softmax(frame, axis=1)
    assert rows.isna().to_numpy().tolist() == whole.isna().to_numpy().tolist()
    np.testing.assert_allclose(rows.to_numpy(float, na_value=np.nan), whole.to_numpy(float, na_value=np.nan), rtol=1e-6)
    groups = x.groupby([0, 0, 1, 1]).transform(fastsig.softmax)
    assert groups.isna().tolist() == [False, True, False, False] and groups[0] == 1
    np.testing.assert_allclose(float(groups[2] + groups[3]), 1)


def test_pandas_mixed_columns():
    """A frame is one array: of its columns' common dtype along an axis; elementwise, each column is its own."""
    frame = pd.DataFrame(
        {"a": np.float32([1, 2]), "b": [3, 4], "c": pd.array([1.0, None], "Float64"), "d": [True, False]}
    )
    got = fastsig.softmax(frame)
    expected = fastsig.softmax(
        np.array([[1, 3, 1, 1], [2, 4, np.nan, 0]]), where=[[True] * 4, [True, True, False, True]]
    )
    np.testing.assert_array_equal(got.drop(columns="c"), expected[:, [0, 1, 3]])
    assert got.dtypes.astype(str).tolist() == ["float64", "float64", "Float64", "float64"]
    assert fastsig.leaky_relu(frame, 0.5).dtypes.astype(str).tolist() == ["float32", "float64", "Float64", "float64"]
    assert fastsig.logsumexp(frame, axis=1).dtype == "Float64"


@on_backends
def test_pandas_where_and_out(fs):
    """Elementwise, too, where= is matched by labels; into NumPy's arrays nothing is written where one is missing."""
    x, where = pd.Series([1.0, 2.0, 3.0], list("abc")), pd.Series([True, False, False], list("cab"))
    frame = pd.DataFrame({"x": x, "y": -x}).astype("Float64")
    frame.iloc[1, 0] = pd.NA
    values, seen = np.array([[1, 0, 3], [-1.0, -2, -3]]).T, ~frame.isna().to_numpy()
    for row in OF_ONE:
        if row.kind != "elementwise":
            continue
        function = called(fs, row)
        wanted = function(x.to_numpy(), where=[False, False, True], out=np.full(3, 9.0))
        for each in (x, x.astype("Float64")):
            for part in (where, where.astype("boolean"), where.astype("boolean").replace(False, pd.NA)):
                np.testing.assert_array_equal(function(each, where=part, out=np.full(3, 9.0)), wanted)
        with pytest.raises(ValueError, match="labels"):
            function(x, where=where[:2], out=np.zeros(3))
        out = np.full((3, 2), 9.0)
        assert function(frame, out=out) is out
        np.testing.assert_array_equal(out, function(values, where=seen, out=np.full((3, 2), 9.0)))
        part = pd.DataFrame({"y": [False, True, True], "x": [True] * 3}, list("cab"))
        got, wanted = np.full((3, 2), 9.0), np.full((3, 2), 9.0)
        function(frame, where=part, out=got)
        function(values, where=seen & [[True, True], [True, True], [True, False]], out=wanted)
        np.testing.assert_array_equal(got, wanted)
        got = function(frame, dtype="float32")
        assert set(map(str, got.dtypes)) == {"Float32"} and got.isna().to_numpy().sum() == 1


@on_backends
def test_pandas_nan_is_a_number(fs):
    """In columns of NumPy's dtypes, alone and beside others; it is not missing."""
    x = pd.Series([1.0, np.nan, 2.0])
    mixed = pd.DataFrame({"x": x, "y": x.fillna(0).astype("float32"), "z": x.fillna(0).astype("Float64")})
    out = np.zeros(3)
    for function in (fs.softmax, fs.log_softmax):
        for each in (x, x.array, pd.Index(x), x.astype("Sparse[float]")):
            assert np.isnan(np.asarray(function(each), float)).all()
        rows = function(mixed).to_numpy(float)
        np.testing.assert_array_equal(rows, function(mixed.to_numpy(float)))
    assert np.isnan(fs.logsumexp(x)) and np.isnan(fs.logsumexp(np.ones(3), b=x)) and np.isnan(fs.logsumexp(x.array))
    fs.sigmoid(x, out=out)
    np.testing.assert_array_equal(out, fs.sigmoid(x.to_numpy()))
    for bare in (x.array, pd.Series([1, 2]).array):
        assert type(fs.relu(bare)) is pd.arrays.NumpyExtensionArray and fs.relu(bare).dtype == bare.dtype
    with pytest.raises(ValueError, match="labels"):
        fs.logsumexp(x, 0, b=np.ones((2, 3)))


def test_pandas_attrs():
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
    frame.attrs["unit"] = "logit"
    for axis in (0, 1):
        for got in (fastsig.logsumexp(frame, axis), fastsig.logsumexp(frame, axis, keepdims=True)):
            assert got.attrs == frame.attrs


def test_masks_beside_others():
    """What is masked in an operand is missing, whatever the other operand is: NaN where a dtype has no other."""
    grad, mask = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]]), np.array([[0, 1], [0, 0]], bool)
    y = np.array([[0.25, 0.75], [0.5, 0.5]])
    frames = pd.DataFrame(y), pd.DataFrame(y).astype("Float64"), pl.DataFrame(y), ak.Array(y.tolist()), ak.Array(y)
    for x in frames:
        for gradient in (fastsig.backward.softmax, fastsig.backward.log_softmax, fastsig.backward.silu):
            if isinstance(x, ak.Array) and gradient is fastsig.backward.silu:
                continue
            got, wanted = gradient(grad, x), gradient(grad, y)
            if isinstance(x, ak.Array):
                got = ak.to_numpy(got)
            elif isinstance(x, pd.DataFrame):
                got = np.ma.masked_invalid(got.to_numpy(float, na_value=np.nan))
            else:
                got = np.ma.array(got.fill_null(0).to_numpy(), mask=got.select(pl.all().is_null()).to_numpy())
            np.testing.assert_array_equal(got.mask, mask)
            np.testing.assert_array_equal(got.compressed(), wanted.compressed())
    row = np.ma.array([0.1, 0.2], mask=[False, True])
    assert fastsig.leaky_relu(pd.DataFrame(-y), row).isna().to_numpy().tolist() == [[False, True]] * 2
    series = fastsig.backward.softmax(pl.Series([1.0, None]), pd.Series([0.5, 0.5]))
    assert series.isna().tolist() == [False, True]
    series = fastsig.backward.softmax(ak.Array([1.0, None]), pl.Series([0.5, 0.5]))
    assert series.is_null().to_list() == [False, True]


@pytest.mark.parametrize("column", [["a", "b"], pd.to_datetime(["2020", "2021"]), pd.Categorical([1.0, 2.0])], ids=str)
def test_pandas_what_is_no_number(column):
    frame = pd.DataFrame({"x": [1.0, 2.0], "wrong": column})
    for call in (
        lambda: fastsig.softmax(frame),
        lambda: fastsig.softmax(frame["wrong"]),
        lambda: fastsig.sigmoid(frame),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError, match="wrong"):
        fastsig.softmax(frame)


# -------------------------------------------------------------------------------- polars: dtypes, expressions


@on_backends
@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt16, pl.Int32, pl.UInt64, pl.Float32, pl.Float64, pl.Boolean])
def test_polars_dtypes(fs, dtype):
    x = pl.Series("x", [1, None, 0]).cast(dtype)
    for row in OF_ONE:
        got = called(fs, row)(x)
        keeps = dtype.is_float() or (row.keeps_integers and dtype != pl.Boolean)
        assert (got.dtype if isinstance(got, pl.Series) else pl.Series([got]).dtype) == (dtype if keeps else pl.Float64)


def test_polars_expressions():
    frame = pl.DataFrame({"g": ["a", "b", "a", "b", "a"], "x": [1.0, 2.0, None, 4.0, 3.0], "n": [1, 2, 3, 4, 5]})
    x, softmax = pl.col("x"), fastsig.softmax
    got = frame.lazy().select(fastsig.gelu(x), n=fastsig.relu(pl.col("n")), s=fastsig.leaky_relu(pl.col("n"), 0.1))
    assert got.collect_schema() == {"x": pl.Float64, "n": pl.Int64, "s": pl.Float64}
    assert got.collect()["x"].equals(fastsig.gelu(frame["x"]))
    assert frame.select(softmax(x))["x"].equals(softmax(frame["x"]))
    groups = frame.select(softmax(x).over("g"))["x"]
    np.testing.assert_allclose(
        groups.to_numpy(),
        [1 / (1 + np.exp(2)), 1 / (1 + np.exp(2)), np.nan, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-2))],
    )
    sums = frame.group_by("g", maintain_order=True).agg(fastsig.logsumexp(x))
    np.testing.assert_allclose(sums["x"], [fastsig.logsumexp([1.0, 3.0]), fastsig.logsumexp([2.0, 4.0])])
    both = frame.select(fastsig.backward.softmax(x, pl.col("n").cast(float)))
    assert both.to_series().to_list() == fastsig.backward.softmax(frame["x"], frame["n"].cast(float)).to_list()
    lazy = frame.lazy()
    for call in (
        lambda: softmax(lazy),
        lambda: fastsig.sigmoid(lazy),
        lambda: softmax(x, 1),
        lambda: fastsig.logsumexp(x, return_sign=True),
    ):
        with pytest.raises((TypeError, pl.exceptions.PolarsError, np.exceptions.AxisError)):
            result = call()
            frame.select(result)


def test_polars_where():
    x, where = pl.Series([1.0, 2.0, 3.0]), pl.Series([True, None, False])
    wanted = fastsig.sigmoid(x.to_numpy(), where=[True, False, False], out=np.zeros(3))
    np.testing.assert_array_equal(fastsig.sigmoid(x, where=where, out=np.zeros(3)), wanted)
    frame = pl.DataFrame({"x": x, "y": x + 1})
    turned = pl.DataFrame({"y": [True, False, True], "x": [True] * 3})
    got, wanted = np.zeros((3, 2)), np.zeros((3, 2))
    fastsig.sigmoid(frame, where=turned, out=got)
    fastsig.sigmoid(frame.to_numpy(), where=turned.select("x", "y").to_numpy(), out=wanted)
    np.testing.assert_array_equal(got, wanted)
    fastsig.backward.relu(frame, frame.select("y", "x"), out=got)
    np.testing.assert_array_equal(got, frame.to_numpy())
    with pytest.raises(TypeError, match="where="):
        fastsig.sigmoid(pl.col("x"), where=pl.col("y") > 1)
    both = frame.select(fastsig.backward.silu(pl.Series([1.0, 2.0, 3.0]), pl.col("x"))).to_series()
    assert both.to_list() == fastsig.backward.silu(x, x).to_list()


# -------------------------------------------------------------------------------- awkward: rows of any length


@on_backends
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_awkward_ragged(fs, dtype):
    rows = [[1, 2, 3], [], [4], None, [5, None, 6], [None]]
    x = ak.values_astype(ak.Array([rows, [], rows[:2]]), dtype)
    plain = [
        np.array([v for v in row if v is not None], dtype)
        for part in (rows, [], rows[:2])
        for row in part
        if row is not None
    ]
    for row in OF_ONE:
        if row.kind == "rows":
            got = called(fs, row)(x)
            assert str(got.type) == str(x.type).replace(dtype, str(plain[0].dtype) if dtype[0] == "f" else "float64")
            expected = np.concatenate([called(fs, row)(one) for one in plain])
            np.testing.assert_array_equal(ak.to_numpy(ak.flatten(got, axis=None)), expected)
            assert ak.to_list(ak.is_none(x, axis=-1)) == ak.to_list(ak.is_none(got, axis=-1))
            with pytest.raises(ValueError, match="rows of different lengths"):
                called(fs, row)(x, axis=1)
        if row.kind == "reduction":
            got = called(fs, row)(x, axis=-1)
            dtype_of_result = plain[0].dtype if dtype[0] == "f" else np.dtype(float)
            expected = [float(called(fs, row)(one)) for one in plain]
            flat = ak.to_list(ak.flatten(got, axis=1))
            assert flat[3] is None and flat[5] is None
            assert [value for i, value in enumerate(flat) if i not in {3, 5}] == expected[:4] + expected[5:]
            assert called(fs, row)(x) == called(fs, row)(np.concatenate(plain))
            back = called(fs.backward, row)(got, x, axis=-1)
            gradient = called(fs.backward, row)
            expected = np.concatenate([gradient(dtype_of_result.type(e), one, -1) for e, one in zip(expected, plain)])
            np.testing.assert_array_equal(ak.to_numpy(ak.flatten(back, axis=None)), expected)


def test_awkward_structures_of_two():
    x, y = ak.Array([[1.0, 2.0], [3.0]]), ak.Array([[1.0], [2.0, 3.0]])
    with pytest.raises(ValueError):
        fastsig.backward.softmax(x, y)
    with pytest.raises(ValueError, match="axes"):
        fastsig.softmax(x, where=[True, False])
    with pytest.raises(TypeError, match="records"):
        fastsig.softmax(ak.Array([{"a": 1.0}]))
    for union in (ak.Array([1.0, [2.0, 3.0]]), ak.Array([1.0, "a"])):
        with pytest.raises(TypeError, match="unions"):
            fastsig.softmax(union)
    with pytest.raises(TypeError, match="where="):
        fastsig.sigmoid(x, where=x > 1)


def test_awkward_losses_of_missing_probabilities():
    """Of a row without all its probabilities there is no loss."""
    x, target = ak.Array([[1.0, 2.0], [], [3.0, 4.0, 5.0]]), ak.Array([[0.5, None], [], [0.5, 0.0, 0.5]])
    for smoothing in (0.0, 0.25):
        how = {"label_smoothing": smoothing}
        expected = fastsig.cross_entropy([3.0, 4.0, 5.0], [0.5, 0.0, 0.5], **how)
        assert fastsig.cross_entropy(x, target, **how).tolist() == [None, 0.0, expected]
        got = fastsig.backward.cross_entropy(1.0, x, target, **how).tolist()
        expected = fastsig.backward.cross_entropy(1.0, [3.0, 4.0, 5.0], [0.5, 0.0, 0.5], **how).tolist()
        assert got == [[None, None], [], expected]
        given = np.array([[1.0, 2.0], [3.0, 4.0]]), ak.Array([[0.5, None], [0.5, 0.5]])
        expected = fastsig.cross_entropy([3.0, 4.0], [0.5, 0.5], **how)
        assert fastsig.cross_entropy(*given, **how).tolist() == [None, expected]
        assert fastsig.backward.cross_entropy(1.0, *given, **how).tolist()[0] == [None, None]
    assert fastsig.cross_entropy(ak.Array([1.0, 2.0]), ak.Array([0.5, None])) is None
    x, target = ak.Array([[1.0, None], [None]]), ak.Array([[1.0, 0.0], [1.0]])
    assert fastsig.cross_entropy(x, target).tolist() == [0.0, None]


def test_awkward_losses_of_empty_rows():
    """They have no class, and need none where theirs is ignored or missing; the classes go with the rows there are."""
    x, loss = ak.Array([[1.0, 2.0], []]), fastsig.cross_entropy([1.0, 2.0], 1)
    slope = fastsig.backward.cross_entropy(1.0, [1.0, 2.0], 1).tolist()
    for target, how, expected in (([1, -1], {"ignore_index": -1}, 0.0), (ak.Array([1, None]), {}, None)):
        assert fastsig.cross_entropy(x, target, **how).tolist() == [loss, expected]
        assert fastsig.backward.cross_entropy(1.0, x, target, **how).tolist() == [slope, []]
        some = ak.Array([[[], [1.0, 2.0]], [], None, [None, []]])
        target = ak.Array([[target[1], 1], [], None, [5, target[1]]])
        assert fastsig.cross_entropy(some, target, **how).tolist() == [[expected, loss], [], None, [None, expected]]
        assert fastsig.backward.cross_entropy(1.0, some, target, **how).tolist() == [[[], slope], [], None, [None, []]]
    for target in (0, [1, 0], ak.Array([None, 0])):
        with pytest.raises(IndexError, match="class 0"):
            fastsig.cross_entropy(x, target)


@pytest.mark.parametrize(
    "x",
    [
        ak.Array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]),
        ak.from_numpy(np.arange(6.0).reshape(2, 3), regulararray=True),
        da.from_array(np.arange(6.0).reshape(2, 3), (1, 2)),
        da.from_array(np.arange(6.0).reshape(2, 3)),
        xr.DataArray(da.from_array(np.arange(6.0).reshape(2, 3))),
        pd.DataFrame(np.arange(6.0).reshape(2, 3)),
        pl.DataFrame(np.arange(6.0).reshape(2, 3)),
    ],
    ids=lambda x: type(x).__module__,
)
def test_losses_stretch_no_target(x):
    """As NumPy's: only one class goes with all rows."""
    shapes = ((1,), (3,), (2, 1), (1, 3), (3, 2), (1, 2, 3), (2, 2, 3))
    kinds = (int, float) if not isinstance(x, ak.Array) else (float,) + (int,) * (x.ndim == 2)
    for target in (np.zeros(shape, kind) for shape in shapes for kind in kinds):
        for given in (target, da.from_array(target)) if isinstance(x, da.Array) else (target,):
            with pytest.raises(ValueError):
                fastsig.cross_entropy(x, given)
            with pytest.raises(ValueError):
                fastsig.backward.cross_entropy(1.0, x, given)
    every, each = (np.asarray(fastsig.cross_entropy(x, target)) for target in (1, [1, 1]))
    np.testing.assert_array_equal(every, each)


@pytest.mark.parametrize("chunks", [(1, 2), (2, 3), (-1, -1)])
def test_lazy_losses_fail_when_they_are_called(chunks):
    """What is known to be wrong then is no worker's error."""
    x, shares = da.from_array(np.arange(6.0).reshape(2, 3), chunks), da.from_array(np.full((2, 3), 1 / 3), chunks)
    for function in (fastsig.cross_entropy, functools.partial(fastsig.backward.cross_entropy, 1.0)):
        for smoothing, error in ((2, ValueError), (-0.1, ValueError), (np.nan, ValueError), ("0", TypeError)):
            for target in ([0, 1], da.from_array(np.array([0, 1])), shares):
                with pytest.raises(error, match="label_smoothing must be"):
                    function(x, target, label_smoothing=smoothing)
        for ignored, target in ((0.5, [0, 1]), (1, shares)):
            with pytest.raises(TypeError, match="ignore_index"):
                function(x, target, ignore_index=ignored)
    empty = da.zeros((0, 3), chunks=(1, 3) if chunks[0] > 0 else -1)
    for target in ([], np.zeros(0), np.zeros(0, int), da.zeros(0), np.zeros((0, 3))):
        assert fastsig.cross_entropy(empty, target).compute().shape == (0,)
        assert fastsig.backward.cross_entropy(1.0, empty, target).compute().shape == (0, 3)


def test_losses_beside_lazy_and_ragged_targets():
    plain = np.arange(6.0).reshape(2, 3)
    for target in ([0], [0, 0, 0], np.ones((1, 3)), np.ones((2, 1))):
        for made in (da.from_array(np.array(target)), ak.from_numpy(np.array(target))):
            with pytest.raises(ValueError):
                fastsig.cross_entropy(plain, made)
    x = ak.Array([[1.0, 2.0], [3.0, 4.0, 5.0]])
    square, swapped = [[0.5, 0.5], [0.5, 0.5]], [[0.2, 0.3, 0.5], [0.5, 0.5]]
    for target in ([0], [0, 0, 0], [[0.5], [0.5]], [[0.5, 0.5]], square, swapped):
        for given in (ak.Array(target), target)[: 1 + (len(target) != 2)]:
            with pytest.raises(ValueError):
                fastsig.cross_entropy(x, given)
            with pytest.raises(ValueError):
                fastsig.backward.cross_entropy(1.0, x, given)
    with pytest.raises(ValueError):
        fastsig.cross_entropy(ak.Array([[1.0, 2.0]]), [0, 1])
    with pytest.raises(ValueError):
        fastsig.cross_entropy(da.zeros((2, 3, 4), chunks=1), np.array([0, 1, 2]))


def test_losses_name_no_wrong_place():
    """Where in a chunk, or among the rows of one length, a class does not exist, is not where it is in the whole."""
    x = da.from_array(np.zeros((4, 3)), (2, 3))
    for made, target in ((x, [0, 1, 2, 5]), (ak.Array([[1.0, 2.0], [0.0] * 3]), [0, 5]), (ak.Array([0.0] * 3), 5)):
        for call in (fastsig.cross_entropy, lambda *given: fastsig.backward.cross_entropy(1.0, *given)):
            with pytest.raises(IndexError, match=r"^cross_entropy: class 5 is not one of 3$"):
                np.asarray(call(made, target))
    with pytest.raises(IndexError, match="class 5 at 3 is"):
        fastsig.cross_entropy(pd.DataFrame(np.zeros((4, 3))), [0, 1, 2, 5])


@pytest.mark.parametrize("axis", [None, (1,), ()])
def test_losses_have_one_axis(axis):
    x, target = np.arange(6.0).reshape(2, 3), [0, 1]
    for made in (da.from_array(x, (1, 2)), ak.Array(x.tolist()), xr.DataArray(x), pd.DataFrame(x), pl.DataFrame(x)):
        with pytest.raises(TypeError, match="axis must be an integer"):
            fastsig.cross_entropy(made, target, axis)
        with pytest.raises(TypeError, match="axis must be an integer"):
            fastsig.backward.cross_entropy(1.0, made, target, axis)


def test_losses_of_one_class_for_all_rows():
    """It may come beside any array, but cannot be masked."""
    x, masked = np.arange(6.0).reshape(2, 3), np.ma.array(1, mask=True)
    for made in (x, np.ma.array(x), da.from_array(x, (1, 2)), ak.Array(x.tolist()), pd.DataFrame(x), pl.DataFrame(x)):
        np.testing.assert_allclose(np.asarray(fastsig.cross_entropy(made, 1)), fastsig.cross_entropy(x, 1))
        with pytest.raises(ValueError, match="cannot be masked"):
            fastsig.cross_entropy(made, masked)
        with pytest.raises(ValueError, match="cannot be masked"):
            fastsig.backward.cross_entropy(1.0, made, masked)


# -------------------------------------------------------------------------------- xarray


def labelled(x=None):
    x = numbers(2, "float32", poison=False)[0] if x is None else x
    return DataArray().make(x, None)


def test_xarray_by_names():
    """Operands are matched by their dimensions' names and labels."""
    x = labelled()
    xr.testing.assert_identical(fastsig.backward.softmax(x.T, x), fastsig.backward.softmax(x, x))
    xr.testing.assert_identical(fastsig.softmax(x.T, 0), fastsig.softmax(x, 1).T)
    weights = xr.DataArray([1.0, 2.0, 3.0, 4.0, 5.0], {"class": list("abcde")}, ["class"])
    np.testing.assert_array_equal(fastsig.logsumexp(x, 1, weights), fastsig.logsumexp(x.values, 1, weights.values))
    with pytest.raises(ValueError):
        fastsig.logsumexp(x, 1, weights.assign_coords({"class": list("abcdx")}))
    with pytest.raises(ValueError, match="dimensions"):
        fastsig.logsumexp(x, 1, weights.rename({"class": "other"}))
    grad = fastsig.logsumexp(x, 1)
    np.testing.assert_array_equal(
        fastsig.backward.logsumexp(grad, x, 1), fastsig.backward.logsumexp(grad.values, x.values, 1)
    )
    with xr.set_options(keep_attrs=False):
        assert fastsig.softmax(x).attrs == {}
    with pytest.raises(TypeError, match="NumPy's arrays"):
        fastsig.softmax(x, out=x)


def test_xarray_where_elementwise():
    x = labelled()
    wanted = fastsig.sigmoid(x.values, where=x.values > 0, out=np.zeros_like(x.values))
    for each in (x, x.variable):
        for where in ((x > 0).T, (x > 0).variable.T, x.values > 0):
            got = fastsig.sigmoid(each, where=where, out=np.zeros_like(x.values))
            np.testing.assert_array_equal(got.values, wanted)
    square = x[:5]
    got = fastsig.relu(square - 9, where=(square > 0).T, out=np.full((5, 5), 7, "float32"))
    np.testing.assert_array_equal(got.values == 0, square.values > 0)
    with pytest.raises(ValueError):
        fastsig.sigmoid(x, where=(x > 0)[1:], out=np.zeros(x.shape))
    with pytest.raises(ValueError, match="dimensions"):
        fastsig.sigmoid(x[0], where=x > 0, out=np.zeros(x.shape))


def test_xarray_datasets():
    dataset = labelled().to_dataset()
    xr.testing.assert_identical(fastsig.sigmoid(dataset)["logits"], fastsig.sigmoid(dataset["logits"]))
    with pytest.raises(TypeError, match="each"):
        fastsig.softmax(dataset)
    xr.testing.assert_identical(dataset.map(fastsig.softmax)["logits"], fastsig.softmax(dataset["logits"]))


def test_xarray_along_a_dimension():
    """The recipe by name, whatever the dimension's place."""
    x = labelled()
    for each in (x, x.T, x.chunk({"sample": 2})):
        got = xr.apply_ufunc(
            fastsig.softmax, each, input_core_dims=[["class"]], output_core_dims=[["class"]], dask="allowed"
        )
        np.testing.assert_array_equal(got, fastsig.softmax(x.values))


# -------------------------------------------------------------------------------- halves of an axis


HALVED = np.random.default_rng(0).normal(0, 3, (4, 6))
(GLU,) = HALVES


def halves_of(x, axis=-1):
    """By definition."""
    a, b = np.split(x, 2, axis)
    return a / (1 + np.exp(-b))


@on_backends
@pytest.mark.parametrize("axis", [0, 1])
def test_halves_of_pandas(fs, axis):
    """With the labels of the first half, or of a gradient those of x."""
    function, gradient = getattr(fs, GLU.name), getattr(fs.backward, GLU.name)
    expected, grad = halves_of(HALVED, axis), np.split(HALVED[::-1], 2, axis)[0]
    slope = gradient(grad, HALVED, axis)
    for dtype in ("float64", "Float64", "double[pyarrow]"):
        x = pd.DataFrame(HALVED, list("abcd"), list("uvwxyz")).astype(dtype)
        got = function(x, axis)
        assert list(got.index) == list("abcd")[: len(got)] and list(got.columns) == list("uvwxyz")[: got.shape[1]]
        assert set(got.dtypes) == set(x.dtypes) and got.shape == expected.shape
        np.testing.assert_allclose(got.to_numpy(float), expected, rtol=1e-14)
        for given in (grad, pd.DataFrame(grad, got.index, got.columns).astype(dtype)):
            back = gradient(given, x, axis)
            assert back.axes[0].equals(x.index) and back.axes[1].equals(x.columns) and set(back.dtypes) == set(x.dtypes)
            np.testing.assert_allclose(back.to_numpy(float), slope, rtol=1e-14)
        series = x["u"]
        got, back = function(series), gradient(1.0, series)
        assert got.name == "u" and list(got.index) == ["a", "b"] and list(back.index) == list("abcd")
        assert got.dtype == back.dtype == series.dtype
        np.testing.assert_allclose(got.to_numpy(float), halves_of(HALVED[:, 0]), rtol=1e-14)
    x.iloc[0, 1] = x.iloc[3, 4] = pd.NA
    lost = np.logical_or(*np.split(x.isna().to_numpy(), 2, axis))
    np.testing.assert_array_equal(function(x, axis).isna(), lost)
    np.testing.assert_array_equal(gradient(1.0, x, axis).isna(), np.concatenate([lost, lost], axis))
    out = np.full(lost.shape, 7.0)
    assert function(x, axis, out=out) is out
    np.testing.assert_allclose(out, np.where(lost, 7.0, expected), rtol=1e-14)


@on_backends
def test_halves_of_columns_and_frames(fs):
    function, gradient = getattr(fs, GLU.name), getattr(fs.backward, GLU.name)
    line, frame = HALVED[0], pl.DataFrame(HALVED, [*"uvwxyz"], orient="row")
    for x in (pl.Series("s", line), pa.array(line), pa.chunked_array([line[:1], line[1:]]), pd.array(line)):
        got, back = function(x), gradient([1.0, 2.0, 3.0], x)
        assert type(got) is type(back) is type(x)
        np.testing.assert_allclose(np.asarray(got), halves_of(line), rtol=1e-14)
        np.testing.assert_allclose(np.asarray(back), gradient(np.array([1.0, 2, 3]), line), rtol=1e-14)
    for axis, names in ((0, "uvwxyz"), (1, "uvw")):
        got, back = function(frame, axis), gradient(1.0, frame, axis)
        assert got.columns == list(names) and back.columns == frame.columns
        np.testing.assert_allclose(got.to_numpy(), halves_of(HALVED, axis), rtol=1e-14)
        np.testing.assert_allclose(back.to_numpy(), gradient(1.0, HALVED, axis), rtol=1e-14)
    holes = pl.Series("s", [1.0, None, 3.0, 4.0, 5.0, None])
    assert function(holes).is_null().to_list() == [False, True, True]
    assert gradient(1.0, holes).is_null().to_list() == [False, True, True] * 2
    with pytest.raises(TypeError, match="does not take expressions"):
        function(pl.col("x"))


def alike(fs, got, expected):
    """To the bit; NumPy, which the fallback is made of, does not promise that."""
    if fs._backend.threads is not None:
        return got.identical(expected)
    return got.copy(data=expected.data).identical(expected) and np.allclose(got, expected, rtol=1e-14, atol=0)


@on_backends
@pytest.mark.parametrize("lazy", [False, True])
def test_halves_of_xarray(fs, lazy):
    function, gradient = getattr(fs, GLU.name), getattr(fs.backward, GLU.name)
    x = xr.DataArray(HALVED, {"time": [*"abcd"], "unit": np.arange(6)}, ("time", "unit"), "x", {"note": "kept"})
    given = x.chunk({"time": 3, "unit": 4}) if lazy else x
    for axis, dim in enumerate(x.dims):
        got = function(given, axis)
        assert alike(fs, got, x.isel({dim: slice(x.sizes[dim] // 2)}).copy(data=function(HALVED, axis)))
        assert (got.chunks is not None) == lazy
        for grad in (got, got.T):
            back = gradient(grad, given, axis)
            assert alike(fs, back, x.copy(data=gradient(function(HALVED, axis), HALVED, axis)))
    other = function(x, 1).assign_coords(time=[*"abce"])
    with pytest.raises(ValueError):  # other labels along the other dimension
        gradient(other, x, 1)


@on_backends
def test_halves_of_awkward(fs):
    function, gradient = getattr(fs, GLU.name), getattr(fs.backward, GLU.name)
    ragged = ak.from_regular(ak.from_numpy(HALVED, regulararray=True), axis=None)
    for x in (ak.from_numpy(HALVED, regulararray=True), ragged):
        for axis in (0, 1):
            got, back = function(x, axis), gradient(1.0, x, axis)
            assert isinstance(got, ak.Array) and ("var" in str(ak.type(got))) == ("var" in str(ak.type(x)))
            np.testing.assert_allclose(ak.to_numpy(got), halves_of(HALVED, axis), rtol=1e-14)
            np.testing.assert_allclose(ak.to_numpy(back), gradient(1.0, HALVED, axis), rtol=1e-14)
            np.testing.assert_allclose(
                ak.to_numpy(gradient(got, x, axis)), gradient(halves_of(HALVED, axis), HALVED, axis), rtol=1e-13
            )
    assert function(ak.Array([1.0, None, 3.0, 4.0, 5.0, 6.0])).tolist()[1] is None
    for call in (lambda x: function(x), lambda x: gradient(1.0, x)):
        with pytest.raises(ValueError, match="rows of different lengths"):
            call(ak.Array([[1.0, 2.0], [1.0, 2.0, 3.0, 4.0]]))


@on_backends
@pytest.mark.parametrize("chunks", [(4, 6), (3, 6), (4, 4), (1, 1), (3, 5)])
def test_halves_of_dask(fs, chunks):
    """Lazily, also where the axis is split, and not in the middle."""
    function, gradient = getattr(fs, GLU.name), getattr(fs.backward, GLU.name)
    masked = np.ma.array(HALVED, mask=HALVED > 3)
    for plain, axis in itertools.product((HALVED, masked, HALVED.astype("f")), (0, 1, -1)):
        x = da.from_array(plain, chunks)
        got, expected = function(x, axis), function(plain, axis)
        assert isinstance(got, da.Array) and (got.shape, got.dtype) == (expected.shape, expected.dtype)
        rtol = (
            0 if fs._backend.threads is not None else 16 * np.finfo(plain.dtype).eps
        )  # of NumPy, by where a number lies
        np.testing.assert_allclose(got.compute(scheduler="sync"), expected, rtol)
        assert function(x, axis, dtype="f").dtype == function(x, axis, dtype="f").compute(scheduler="sync").dtype == "f"
        for grad in (2.0, expected, da.from_array(expected, 2)):
            back = gradient(grad, x, axis)
            assert back.chunks == x.chunks
            wanted = gradient(grad.compute() if isinstance(grad, da.Array) else grad, plain, axis)
            assert back.dtype == wanted.dtype
            np.testing.assert_allclose(back.compute(scheduler="sync"), wanted, rtol)
    with pytest.raises(ValueError, match="odd length"):
        function(da.zeros((3, 5), chunks=2))
    with pytest.raises(ValueError, match="grad_output has shape"):
        gradient(da.zeros((4, 6)), x)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        function(x[x[:, 0] < np.inf], 0)
    with pytest.raises(TypeError, match="where="):
        function(x, where=np.ones((4, 3), bool))


def test_halves_of_tensors():
    x = torch.from_numpy(HALVED)
    got, back = getattr(fastsig, GLU.name)(x, 0), getattr(fastsig.backward, GLU.name)(1.0, x, 0)
    assert type(got) is type(back) is torch.Tensor
    np.testing.assert_allclose(got.numpy(), torch.nn.functional.glu(x, 0).numpy(), rtol=1e-14)
    assert back.shape == x.shape
    with pytest.raises(TypeError, match=r"toarray\(\)"):
        getattr(fastsig, GLU.name)(scipy.sparse.csr_array(np.eye(4)))


# -------------------------------------------------------------------------------- what is refused


@on_backends
def test_units(fs):
    """As of SciPy's expit; what is named as one of NumPy's own, tanh, pint takes for that."""
    quantity = pint.Quantity(np.array([0.0, 1.0, 2.0]), "")
    for row in OF_ONE:
        gradient = called(fs.backward, row)
        calls = [lambda: gradient(1.0 if row.kind != "rows" else np.ones(3), quantity)]  # noqa: B023
        calls += [lambda: called(fs, row)(quantity)] if not hasattr(np, row.name) else []  # noqa: B023
        for call in calls:
            with pytest.raises(TypeError):
                call()
    np.testing.assert_allclose(fs.tanh(quantity).magnitude, np.tanh(quantity.magnitude), rtol=1e-15)


@on_backends
def test_scipy_sparse(fs):
    for matrix in (scipy.sparse.csr_array(np.eye(3)), scipy.sparse.coo_matrix(np.eye(3))):
        for row in OF_ONE:
            with pytest.raises(TypeError, match=r"toarray\(\)"):
                called(fs, row)(matrix)
            with pytest.raises(TypeError, match=r"toarray\(\)"):
                called(fs.backward, row)(1.0, matrix)


# -------------------------------------------------------------------------------- PyTorch


def test_torch_without_a_copy():
    """The recipe: tensor.numpy() and torch.from_numpy() share the tensor's memory, and so does out=."""
    x = numbers(2, "float32", poison=False)[0]
    tensor = torch.from_numpy(x.copy())
    fastsig.sigmoid(tensor.numpy(), out=tensor.numpy())
    np.testing.assert_array_equal(tensor.numpy(), fastsig.sigmoid(x))
    result = fastsig.softmax(x)
    assert torch.from_numpy(result).data_ptr() == result.ctypes.data
    # Nor is one made on the way in.
    assert np.asarray(tensor).ctypes.data == tensor.data_ptr()


@pytest.mark.parametrize("row", OF_ONE, ids=lambda row: row.name)
def test_torch_requires_grad(row):
    """No gradient gets lost without a word."""
    with pytest.raises(RuntimeError, match=r"requires grad. Use tensor.detach\(\)"):
        called(fastsig, row)(torch.ones(3, requires_grad=True))


# -------------------------------------------------------------------------------- nothing, and single numbers


@pytest.mark.parametrize("keepdims", [False, True])
def test_nothing_and_single_numbers(keepdims):
    """The logarithm of an empty sum is -inf, and not missing."""
    nothing = np.zeros(0), np.zeros(0, bool)
    for name, container in CONTAINERS.items():
        if 1 in container.ndims:
            got = container.take(fastsig.logsumexp(container.make(*nothing), keepdims=keepdims))
            assert got[0] == -np.inf and not got[1], name
            assert container.take(fastsig.softmax(container.make(*nothing)))[0].shape == (0,), name
    for number in (xr.DataArray(3.0), da.from_array(np.float64(3.0)), np.ma.array(3.0)):
        assert np.asarray(fastsig.softmax(number)) == 1
        got = fastsig.logsumexp(number, keepdims=keepdims)
        assert np.asarray(got) == 3 and (got.shape == () or isinstance(number, np.ma.MaskedArray))
