"""Arrays of other libraries: what comes back is like what went in, and holds what fastsig gives for a plain array.

`CONTAINERS` is also the table of the page docs/arrays.md: a test holds one against the other.
"""

import pickle
from fractions import Fraction
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
from containers import DTYPES, Container, check_elementwise, check_reductions, check_rows

import fastsig
from fastsig._catalog import TABLE

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
    ndims = (2,)
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
            gone = () if keepdims is None else (0, 1) if axis is None else axis if isinstance(axis, tuple) else (axis % 2,)
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
            assert type(result) is pl.Series and result.name == "logsumexp"


class PolarsExpression(Container):
    """What it gives is known when it is evaluated."""

    ndims, keeps_axes = (1,), True

    def make(self, x, missing):
        return pl.lit(column_of_polars("logits", x, missing))

    def take(self, result):
        return taken_of_polars(pl.select(result).to_series())

    def weighted(self, function, x, axis, weights, **options):
        return ()  # an expression has one result, and no sign beside it

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is pl.Expr


# -------------------------------------------------------------------------------- xarray, dask


class DataArray(Container):
    has_missing = False
    dims = ("sample", "class")

    def hold(self, x, missing):
        return x

    def make(self, x, missing):
        coords = {"class": list("abcdefg")[: x.shape[-1]]} | ({"of": ("sample", np.arange(len(x)))} if x.ndim == 2 else {})
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
            assert result.coords.identical(x.sum(x.dims if axis is None else [x.dims[i] for i in np.ravel(axis)]).coords)


class LazyDataArray(DataArray):
    tolerance = 1e-5

    def hold(self, x, missing):
        return da.from_array(x, 4)


class Variable(DataArray):
    def make(self, x, missing):
        return xr.Variable(self.dims[-x.ndim :], x, {"unit": "logit"})

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is xr.Variable and result.attrs == x.attrs
        assert keepdims is not None or result.dims == x.dims


class Dask(Container):
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
    for check in (check_elementwise, check_rows, check_reductions):
        check(fs, CONTAINERS[name], dtype)
