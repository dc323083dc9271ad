"""softmax, log_softmax and logsumexp of dask arrays, lazily, along axes that may be split over chunks.

Elementwise functions and gradients take dask arrays as they are, and so do these three of `fastsig` itself where the
axis is one chunk. Here each chunk is reduced to its maximum and the logarithm of its sum of exponentials, a row's few
such numbers are combined, and the chunks are visited again with what they came to.

>>> import dask.array
>>> import fastsig.dask
>>> logits = dask.array.zeros((4, 1000), chunks=(2, 100))
>>> fastsig.dask.softmax(logits).compute()[0, :2]
array([0.001, 0.001])
"""

import dask.array
import numpy as np

from ._backend import ufuncs
from ._functions import _axes, functions

__all__ = ["log_softmax", "logsumexp", "softmax"]


def softmax(x, axis=-1):
    """The softmax of a dask array, ``exp(x_i) / sum_j exp(x_j)``.

    Parameters
    ----------
    x : dask.array.Array
        Of any chunks.
    axis : int, tuple of ints or None, optional
        Along which the results add up to 1; None is all.

    Returns
    -------
    dask.array.Array
        With the shape and chunks of `x`, not computed yet.

    See Also
    --------
    fastsig.softmax
    """
    return _along("softmax", x, axis, _softmax)


def log_softmax(x, axis=-1):
    """The logarithm of the softmax of a dask array, ``x_i - log(sum_j exp(x_j))``.

    Parameters
    ----------
    x : dask.array.Array
        Of any chunks.
    axis : int, tuple of ints or None, optional
        Along which the softmax adds up to 1; None is all.

    Returns
    -------
    dask.array.Array
        With the shape and chunks of `x`, not computed yet.

    See Also
    --------
    fastsig.log_softmax
    """
    return _along("log_softmax", x, axis, _log_softmax)


def logsumexp(x, axis=None, keepdims=False):
    """The logarithm of the sum of exponentials of a dask array, ``log(sum_i exp(x_i))``.

    Parameters
    ----------
    x : dask.array.Array
        Of any chunks.
    axis : int, tuple of ints or None, optional
        Along which to sum; None is all.
    keepdims : bool, optional
        Whether these axes stay, with length 1.

    Returns
    -------
    dask.array.Array
        With the chunks of `x` along its other axes, not computed yet.

    See Also
    --------
    fastsig.logsumexp
    """
    axes, dtype = _axes_and_dtype("logsumexp", x, axis)
    _, whole = _sums(x, axes, dtype)
    result = whole.map_blocks(_logsumexp, dtype, dtype=dtype)
    return result if keepdims else result.squeeze(axes)


def _axes_and_dtype(name, x, axis):
    """Over which axes to go, and the result's dtype; errors as of fastsig's own function."""
    return _axes(name, axis, x.ndim), ufuncs[name](np.empty(0, x.dtype)).dtype


def _along(name, x, axis, finish):
    axes, dtype = _axes_and_dtype(name, x, axis)
    if all(x.numblocks[i] == 1 for i in axes):
        return x.map_blocks(functions[name], axis=_plain(axes), dtype=dtype)
    return dask.array.map_blocks(finish, x, *_sums(x, axes, dtype), _plain(axes), dtype, dtype=dtype)


def _plain(axes):
    """One axis as a number, for which there is a short cut."""
    return axes[0] if len(axes) == 1 else axes


def _sums(x, axes, dtype):
    """What exponentials add up to in each chunk, and in all chunks along axes: arrays of (top, excess), the maximum and
    by how much the logarithm of the sum exceeds it, which neither overflow nor lose what 1 + tiny would."""
    wide = np.result_type(dtype, np.float32)
    kind = np.dtype([("top", wide), ("excess", wide)])

    def chunks(along):
        return tuple((1,) * along(i) if i in axes else sizes for i, sizes in enumerate(x.chunks))

    parts = x.map_blocks(_sum, axes, kind, dtype=kind, chunks=chunks(lambda i: x.numblocks[i]))
    beside = parts.rechunk(dict.fromkeys(axes, -1))
    return parts, beside.map_blocks(_sum_of_sums, axes, dtype=kind, chunks=chunks(lambda i: 1))


@np.errstate(all="ignore")
def _sum(x, axes, kind):
    x = x.astype(kind["top"], copy=False)
    top = x.max(axes, keepdims=True, initial=-np.inf)
    top = np.maximum(top, np.finfo(top.dtype).min)  # a finite one for nothing but -inf, whose excess is -inf
    return _pair(kind, top, functions["logsumexp"](x - top, _plain(axes), keepdims=True))


@np.errstate(all="ignore")
def _sum_of_sums(parts, axes):
    top = parts["top"].max(axes, keepdims=True, initial=np.finfo(parts["top"].dtype).min)
    relative = (parts["top"] - top) + parts["excess"]
    return _pair(parts.dtype, top, functions["logsumexp"](relative, _plain(axes), keepdims=True))


def _pair(kind, top, excess):
    pair = np.empty(top.shape, kind)
    pair["top"], pair["excess"] = top, excess
    return pair


@np.errstate(all="ignore")
def _softmax(x, part, whole, axis, dtype):
    result = functions["softmax"](x, axis)
    share = np.exp((part["top"] - whole["top"]) + (part["excess"] - whole["excess"]))  # of the row's sum, this chunk's
    result *= share
    if not share.all():
        np.copyto(result, 0, where=share == 0)  # of nothing but -inf, a chunk's own softmax is NaN
    return result


@np.errstate(all="ignore")
def _log_softmax(x, part, whole, axis, dtype):
    result = x - whole["top"]
    result -= whole["excess"]
    return result.astype(dtype, copy=False)


@np.errstate(all="ignore")
def _logsumexp(whole, dtype):
    top, excess = whole["top"], whole["excess"]
    return np.where(top == np.inf, top, top + excess).astype(dtype, copy=False)
