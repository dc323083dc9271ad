"""Arrays of other packages: what comes back is like what went in, and holds what fastsig gives for a plain array."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import fastsig

X = np.random.default_rng(0).normal(0, 4, (5, 3)).astype("float32")
ELEMENTWISE = (fastsig.sigmoid, fastsig.gelu, fastsig.leaky_relu)  # a ufunc, a choice of two, one with a parameter
ROWS = (fastsig.softmax, fastsig.log_softmax)


# -------------------------------------------------------------------------------- pandas


@pytest.mark.parametrize("function", ELEMENTWISE + ROWS)
def test_pandas(function):
    frame = pd.DataFrame(X, index=list("abcde"), columns=["cat", "dog", "bird"])
    got = function(frame)
    pd.testing.assert_frame_equal(got, pd.DataFrame(function(X), frame.index, frame.columns), check_dtype=False)
    column = function(frame["dog"])
    pd.testing.assert_series_equal(column, pd.Series(function(X[:, 1]), frame.index, name="dog"))


@pytest.mark.parametrize("function", ROWS)
def test_pandas_rows(function):
    """Along the rows of a table, of which some columns are of another dtype; or down its columns."""
    frame = pd.DataFrame(X, index=list("abcde")).assign(count=np.arange(5))
    for axis in (-1, 0, 1):
        expected = function(np.column_stack([X.astype(float), np.arange(5)]), axis)
        got = function(frame, axis)
        np.testing.assert_array_equal(got, expected)
        assert got.index.equals(frame.index) and got.columns.equals(frame.columns)


def test_pandas_logsumexp():
    frame = pd.DataFrame(X, index=list("abcde"))
    got = pd.Series(fastsig.logsumexp(frame, axis=1), frame.index)  # the recipe: it gives a plain array
    np.testing.assert_array_equal(got, fastsig.logsumexp(X, axis=1))


def test_pandas_dtypes():
    """float32 stays. Beside a parameter that is given, pandas makes it float64, as for any ufunc of two operands."""
    frame = pd.DataFrame(X)
    assert set(fastsig.sigmoid(frame).dtypes) == set(fastsig.softmax(frame).dtypes) == {np.dtype("float32")}
    assert set(fastsig.leaky_relu(frame).dtypes) == {np.dtype("float32")}
    assert set(fastsig.leaky_relu(frame, 0.1).dtypes) == set(np.hypot(frame, 0.1).dtypes)
    assert fastsig.leaky_relu(frame[0], 0.1).dtype == "float32"


def test_pandas_backward():
    frame = pd.DataFrame(X, columns=list("xyz"))
    got = fastsig.backward.gelu(frame, frame)
    pd.testing.assert_frame_equal(got, pd.DataFrame(fastsig.backward.gelu(X, X), columns=list("xyz")))


# -------------------------------------------------------------------------------- xarray


def softmax_along(x, dim):
    """The recipe for xarray: softmax along a dimension by its name, whatever its place."""
    return xr.apply_ufunc(
        fastsig.softmax, x, input_core_dims=[[dim]], output_core_dims=[[dim]], keep_attrs=True, dask="allowed"
    )


def labelled():
    return xr.DataArray(
        X, dims=("sample", "label"), coords={"label": ["cat", "dog", "bird"]}, attrs={"unit": "logit"}, name="logits"
    )


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_xarray(function):
    array = labelled()
    expected = array.copy(data=function(X)).drop_attrs()
    xr.testing.assert_identical(function(array).drop_attrs(), expected)
    xr.testing.assert_identical(function(array.to_dataset()).drop_attrs(), expected.to_dataset())
    assert function(array).dtype == "float32"


def test_xarray_softmax():
    array = labelled()
    for x in (array, array.to_dataset(), array.T, array.chunk({"sample": 2})):
        got = softmax_along(x, "label")
        values = (got if isinstance(got, xr.DataArray) else got["logits"]).transpose("sample", "label")
        np.testing.assert_array_equal(values, fastsig.softmax(X))
        assert list(got["label"].values) == ["cat", "dog", "bird"]
    np.testing.assert_array_equal(softmax_along(array, "sample").T, fastsig.softmax(X, axis=0))
    assert softmax_along(array, "label").attrs == {"unit": "logit"}


def test_xarray_logsumexp():
    got = xr.apply_ufunc(fastsig.logsumexp, labelled(), input_core_dims=[["label"]], kwargs={"axis": -1})
    assert got.dims == ("sample",)
    np.testing.assert_array_equal(got, fastsig.logsumexp(X, axis=-1))


def test_xarray_without_the_recipe():
    """An axis says nothing of named dimensions: an error, and one that names the way."""
    with pytest.raises(NotImplementedError, match="apply_ufunc"):
        fastsig.softmax(labelled())
    with pytest.raises(TypeError, match="DataArray"):
        fastsig.softmax(labelled().to_dataset())


# -------------------------------------------------------------------------------- NumPy's own


def test_memmap_in_place(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r+")
    assert fastsig.softmax(mapped, out=mapped) is mapped
    assert fastsig.sigmoid(mapped, out=mapped) is mapped
    del mapped
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), fastsig.sigmoid(fastsig.softmax(X)))


def test_memmap_read_only(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(fastsig.log_softmax(mapped, axis=0), fastsig.log_softmax(X, axis=0))
    with pytest.raises(ValueError, match="read-only"):
        fastsig.sigmoid(mapped, out=mapped)


def test_masked_logits():
    """Masked classes get no share: their probability is masked, and the others' add up to 1."""
    masked = np.ma.array(X, mask=False)
    masked[:, 1] = np.ma.masked
    got = fastsig.softmax(masked)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-6)
    assert got.mask[:, 1].all() and not got.mask[:, [0, 2]].any()
    np.testing.assert_array_equal(got[:, [0, 2]], fastsig.softmax(X[:, [0, 2]].copy()))
    assert fastsig.gelu(masked).mask[:, 1].all()


# -------------------------------------------------------------------------------- PyTorch


# NumPy's, of every ufunc of a tensor: torch's __array_wrap__ has the signature from before NumPy 2.
old_wrap = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")


@old_wrap
@pytest.mark.parametrize("function", ELEMENTWISE + ROWS)
def test_torch(function):
    tensor = torch.from_numpy(X)
    got = function(tensor)
    assert type(got) is torch.Tensor and got.dtype == torch.float32
    np.testing.assert_array_equal(got.numpy(), function(X))
    np.testing.assert_array_equal(function(tensor.T).numpy(), function(X.T))


def test_torch_rows():
    tensor = torch.from_numpy(X)
    for axis in (0, 1, None, (0, 1)):
        got = fastsig.logsumexp(tensor, axis)
        assert type(got) is torch.Tensor
        np.testing.assert_array_equal(got.numpy(), fastsig.logsumexp(X, axis))
        np.testing.assert_array_equal(fastsig.softmax(tensor, axis).numpy(), fastsig.softmax(X, axis))
    torch.testing.assert_close(fastsig.logsumexp(tensor, 1), torch.logsumexp(tensor, 1))
    torch.testing.assert_close(fastsig.softmax(tensor, 1), torch.softmax(tensor, 1))
    for function in (fastsig.backward.softmax, fastsig.backward.log_softmax):
        got = function(tensor, tensor, 1)
        assert type(got) is torch.Tensor
        np.testing.assert_array_equal(got.numpy(), function(X, X, 1))
    np.testing.assert_array_equal(fastsig.backward.logsumexp(1.0, tensor).numpy(), fastsig.backward.logsumexp(1.0, X))


def test_torch_without_a_copy():
    """The recipe: tensor.numpy() and torch.from_numpy() share the tensor's memory, and so does out=."""
    tensor = torch.from_numpy(X.copy())
    fastsig.sigmoid(tensor.numpy(), out=tensor.numpy())
    np.testing.assert_array_equal(tensor.numpy(), fastsig.sigmoid(X))
    result = fastsig.softmax(X)
    assert torch.from_numpy(result).data_ptr() == result.ctypes.data
    # Nor is one made on the way in.
    assert np.asarray(tensor).ctypes.data == tensor.data_ptr()


@pytest.mark.parametrize("function", (*ELEMENTWISE, *ROWS, fastsig.logsumexp))
def test_torch_requires_grad(function):
    """No gradient gets lost without a word."""
    with pytest.raises(RuntimeError, match=r"requires grad. Use tensor.detach\(\)"):
        function(torch.ones(3, requires_grad=True))
