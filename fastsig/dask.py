"""Functions along an axis of dask arrays, lazily, also where the axis is split over chunks.

Nothing has to be imported from here: `fastsig`'s own names do the same with a dask array. Each chunk of a split row is
reduced to its maximum and the logarithm of its sum of exponentials, a row's few such numbers are combined, and the
chunks are visited again with what they came to.

>>> import dask.array
>>> import fastsig.dask
>>> logits = dask.array.zeros((4, 1000), chunks=(2, 100))
>>> fastsig.dask.softmax(logits).compute()[0, :2]
array([0.001, 0.001])
"""

import functools
import importlib

import numpy as np

from . import _arrays
from ._catalog import TABLE
from ._functions import _bools, _check_gradient, _halved, functions, ufuncs

# PyInstaller and its like would otherwise put Dask, and all that it uses, into every program that has fastsig.
da = importlib.import_module("dask.array")

__all__ = ["log_softmax", "logsumexp", "softmax", "softmin"]

_ROWS = {row.name: row for row in TABLE if row.kind == "rows"}


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
    return functions["softmax"](x, axis)


def softmin(x, axis=-1):
    """The softmax of the negative of a dask array, ``exp(-x_i) / sum_j exp(-x_j)``.

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
    fastsig.softmin
    """
    return functions["softmin"](x, axis)


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
    return functions["log_softmax"](x, axis)


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
    return functions["logsumexp"](x, axis, keepdims=keepdims)


def along(call):
    """A call of `fastsig._arrays` with a dask array, as a graph."""
    main = _lazy(call.main)
    tempered = call.name in _ROWS and call.other is not None
    if (call.is_target or tempered or "temperature" in call.options) and any(
        main.numblocks[i] > 1 for i in call.axes(main.ndim)
    ):
        result = along(call._replace(main=main.rechunk(dict.fromkeys(call.axes(main.ndim), -1))))
        return result if call.reduces else result.rechunk(main.chunks)
    x, other, where = _alike(call)
    axes, dtype = call.axes(x.ndim), _dtype(call, x, other)
    options = {name: value for name, value in call.options.items() if name not in {"keepdims", "return_sign"}}
    call = call._replace(main=x, other=other, where=where)
    if all(x.numblocks[i] == 1 for i in axes):
        found = _in_one_chunk(call, axes, options, dtype)
    elif options.keys() - {"dtype"}:
        raise TypeError(f"{call.name}: no {', '.join(options)} along an axis that is split over chunks")
    elif call.reduces:
        found = _reduction(call, axes, dtype)
    elif call.other_lacks_axis:
        found = [_reduction_gradient(call, axes, dtype)]
    else:
        found = [_rows(call, axes, dtype) if other is None else _rows_gradient(call, axes, dtype)]
    if call.reduces and not call.options["keepdims"]:
        found = [each.squeeze(axes) for each in found]
    return tuple(found) if call.options.get("return_sign") else found[0]


def halves(call):
    """A call of a function of an axis' halves, or of its gradient: elementwise, so that the axis may be split."""
    if call.where is not True:
        raise TypeError(f"{call.name}: where= needs out=, which there cannot be beside Dask's arrays")
    name, (main, grad) = call.name.removesuffix("_backward"), map(_lazy, (call.main, call.other))
    a, b = _halved(name, main, call.axis)
    axis = call.axes(main.ndim)[0]
    if grad is None:
        return _elementwise(name, call.options, a, b)
    if isinstance(grad, da.Array) and not _is_unknown((*grad.shape, *a.shape)):
        _check_gradient(name, grad.shape, a.shape)
    both = (
        _elementwise(f"{name}_backward_linear", call.options, grad, b),
        _elementwise(f"{name}_backward", call.options, grad, a, b),
    )
    return da.concatenate(both, axis).rechunk(main.chunks)


def _elementwise(name, options, *operands):
    """A ufunc of operands whose chunks may differ."""
    ufunc = functools.partial(ufuncs[name], **options)
    dtype = ufunc(*(np.empty(0, x.dtype) if isinstance(x, da.Array) else x for x in operands)).dtype
    return da.core.elemwise(ufunc, *operands, dtype=dtype)


def _alike(call):
    """x, the other operand and the mask as arrays of the same shape and chunks, or as they are if they are numbers.
    What has not the axis gets it, with length 1."""
    where = call.where
    if isinstance(where, da.Array):
        _bools(np.empty(0, where.dtype))  # refuses others
    else:
        where = _arrays.where_of(where)
    x, other, where = map(_lazy, (call.main, call.other, where))
    if call.is_target and isinstance(other, da.Array) and other.ndim:  # a class for each row, and no row stretched
        axes = call.axes(x.ndim) if call.other_lacks_axis else ()
        rows = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        known = [pair for pair in zip(other.shape, rows) if not _is_unknown(pair)]
        if other.ndim != len(rows) or any(have != wanted for have, wanted in known):
            beside = f"logits without axis {axes[0]} {rows}" if axes else f"logits {rows}"
            raise ValueError(f"{call.name}: target has shape {other.shape}, {beside}")
    if call.other_lacks_axis and isinstance(other, da.Array):
        axes = call.axes(x.ndim)
        chunks = tuple((1,) if i in axes else sizes for i, sizes in enumerate(x.chunks))
        if not call.options["keepdims"]:
            kept = [i for i in range(x.ndim) if i not in axes]
            other = _broadcast(other, [x.shape[i] for i in kept], [x.chunks[i] for i in kept])
            other = other[tuple(slice(None) if i in kept else None for i in range(x.ndim))]
        other = _broadcast(other, list(map(sum, chunks)), chunks)
    elif isinstance(other, da.Array):
        if not _is_unknown(x.shape + other.shape):
            shape = np.broadcast_shapes(x.shape, other.shape)
            for array in () if call.reduces else (x, other):
                own = (1,) * (len(shape) - array.ndim) + array.shape
                if any(own[i] != shape[i] for i in call.axes(len(shape))):
                    raise ValueError(
                        f"{call.name}: an operand has shape {array.shape}: none may broadcast along an axis"
                    )
            x = da.broadcast_to(x, shape)
        other = _broadcast(other, x.shape, x.chunks)
    return x, other, _broadcast(where, x.shape, x.chunks) if isinstance(where, da.Array) else where


def _lazy(x):
    if x is None or type(x) in {bool, int, float} or isinstance(x, da.Array):
        return x
    return da.from_array(_arrays.masked(*_arrays.parts(x)), -1, asarray=False)


def _broadcast(array, shape, chunks):
    if array.chunks == tuple(chunks):
        return array
    if not _is_unknown((*shape, *array.shape)):
        return da.broadcast_to(array, shape).rechunk(tuple(chunks))
    wanted = {}
    for i, n in enumerate(array.shape, len(chunks) - array.ndim):
        if i < 0 or (
            n != 1 and n != shape[i] and (n == n or shape[i] == shape[i] or array.numblocks[i] != len(chunks[i]))
        ):
            raise ValueError("operands' chunks of unknown sizes do not match: call compute_chunk_sizes()")
        if n == shape[i]:
            wanted[i - len(chunks)] = chunks[i]
    return array.rechunk(wanted)


def _is_unknown(shape):
    return any(n != n for n in shape)


def _dtype(call, x, other):
    """The result's, by a call for nothing, which refuses what is not supported."""
    if isinstance(other, da.Array):
        other = np.ones(() if call.other_lacks_axis else 0, other.dtype)
    options = {"dtype": call.options["dtype"]} if "dtype" in call.options else {}
    if call.is_target:  # with what else may be wrong, now rather than in a worker
        options |= {name: call.options[name] for name in ("label_smoothing", "ignore_index")}
        other = np.empty(0 if call.other_lacks_axis else (0, 1), getattr(other, "dtype", int))
        return call.function(np.empty((0, 1), x.dtype), other, -1, **options).dtype
    return call.function(np.empty(0, x.dtype), other, -1, **options).dtype


def _by_chunk(function, operands, **how):
    """function, by chunks of those operands that have some."""
    lazy = [isinstance(x, da.Array) for x in operands]
    given = [None if is_lazy else x for x, is_lazy in zip(operands, lazy)]
    chunks = [x for x, is_lazy in zip(operands, lazy) if is_lazy]
    return da.map_blocks(functools.partial(_of_chunks, function, lazy, given), *chunks, **how)


def _of_chunks(function, lazy, given, *chunks):
    chunks = iter(chunks)
    return function(*(next(chunks) if is_lazy else x for is_lazy, x in zip(lazy, given)))


def _one_along(axes, x, blocks=False):
    """The chunks of x, of which each, or all together, are 1 long along axes."""
    return tuple(((1,) * (len(s) if blocks else 1)) if i in axes else s for i, s in enumerate(x.chunks))


def _plain(axes):
    """One axis as a number, for which there is a short cut."""
    return axes[0] if len(axes) == 1 else axes


def _in_one_chunk(call, axes, options, dtype):
    if call.reduces or call.other_lacks_axis:
        options["keepdims"] = True
    how = {"dtype": dtype} | ({"chunks": _one_along(axes, call.main)} if call.reduces else {})
    axis = _plain(axes) if call.main.ndim else None
    signed = call.options.get("return_sign")
    picks = [options | {"return_sign": pick} for pick in (1, 2)] if signed else [options]
    operands = call.main, call.other, call.where
    return [_by_chunk(functools.partial(_called, call.function, axis, pick), operands, **how) for pick in picks]


def _called(function, axis, options, x, other, where):
    result, pick = _arrays.of_part(function, x, other, axis, where=where, **options), options.get("return_sign")
    result = result[pick - 1] if pick else result
    result = result if np.ndim(x) else np.reshape(result, ())  # keepdims makes (1,) of it
    return np.ma.asanyarray(result) if isinstance(x, np.ma.MaskedArray) else np.asanyarray(result)


def _seen(x, other, where):
    """Values, a mask of those that take part, and what is masked, or None."""
    (x, mask), (other, other_mask) = _arrays.parts(x), _arrays.parts(other)
    mask = _arrays.mask_of(mask, other_mask)
    where = _arrays.where_of(where)
    return x, other, where if mask is None else np.logical_and(where, ~mask), mask


def _like(result, x, mask):
    return result if mask is None else _arrays.Masked().dressed(result, x, mask)


# ------------------------------------------------------------------------------------------------ sums of exponentials


def _sums(call, axes, dtype):
    """What exponentials add up to in each chunk, and in all chunks along axes: arrays of (top, excess), the maximum and
    by how much the logarithm of the sum exceeds it, which neither overflow nor lose what 1 + tiny would; and whether
    all was masked."""
    x, wide = call.main, np.result_type(dtype, np.float32)
    kind = np.dtype([("top", wide), ("excess", wide), ("hidden", bool)])
    sums = functools.partial(_sum, axes, kind)
    parts = _by_chunk(sums, (x, call.where), dtype=kind, chunks=_one_along(axes, x, blocks=True))
    beside = parts.rechunk(dict.fromkeys(axes, -1))
    return parts, beside.map_blocks(_sum_of_sums, axes, dtype=kind, chunks=_one_along(axes, x))


@np.errstate(all="ignore")
def _sum(axes, kind, x, where):
    x, _, where, mask = _seen(x, None, where)
    x = x.astype(kind["top"], copy=False)
    top = x.max(axes, keepdims=True, initial=-np.inf, where=where)
    top = np.maximum(top, np.finfo(top.dtype).min)  # a finite one for nothing but -inf, whose excess is -inf
    excess = functions["logsumexp"](x - top, _plain(axes), keepdims=True, where=where)
    return _record(kind, top, excess, mask is not None and mask.all(axes, keepdims=True))


@np.errstate(all="ignore")
def _sum_of_sums(parts, axes):
    top = parts["top"].max(axes, keepdims=True, initial=np.finfo(parts["top"].dtype).min)
    relative = (parts["top"] - top) + parts["excess"]
    excess = functions["logsumexp"](relative, _plain(axes), keepdims=True)
    return _record(parts.dtype, top, excess, parts["hidden"].all(axes, keepdims=True))


def _record(kind, *fields):
    record = np.empty(np.shape(fields[0]), kind)
    for name, field in zip(kind.names, fields):
        record[name] = field
    return record


def _rows(call, axes, dtype):
    row = _ROWS[call.name]
    if row.negates:
        call = call._replace(main=-call.main.astype(dtype))
    finish = functools.partial(_log_softmax if row.logarithm else _softmax, _plain(axes), dtype)
    return _by_chunk(finish, (call.main, call.where, *_sums(call, axes, dtype)), dtype=dtype)


@np.errstate(all="ignore")
def _softmax(axis, dtype, x, where, part, whole):
    values, _, where, mask = _seen(x, None, where)
    result = functions["softmax"](values.astype(dtype, copy=False), axis, where=where)
    share = np.exp((part["top"] - whole["top"]) + (part["excess"] - whole["excess"]))  # of the row's sum, this chunk's
    result *= share
    # Of nothing but -inf, a chunk's own softmax is NaN; what is masked is 0 beside NaN, too.
    np.copyto(result, 0, where=(share == 0) | np.logical_not(where))
    return _like(result, x, mask)


@np.errstate(all="ignore")
def _log_softmax(axis, dtype, x, where, part, whole):
    values, _, where, mask = _seen(x, None, where)
    result = values - whole["top"]
    result -= whole["excess"]
    np.copyto(result, -np.inf, where=np.logical_not(where))
    return _like(result.astype(dtype, copy=False), x, mask)


def _reduction(call, axes, dtype):
    metas = [getattr(x, "_meta", None) for x in (call.main, call.other)]
    is_masked, signed = any(isinstance(meta, np.ma.MaskedArray) for meta in metas), call.options["return_sign"]
    if call.other is None and not signed:
        _, whole = _sums(call, axes, dtype)
        return [whole.map_blocks(_logsumexp, dtype, is_masked, dtype=dtype)]
    kind = np.dtype([("log", float), ("sign", float), ("hidden", bool)])
    signs = functools.partial(_signed, axes, kind)
    chunks = _one_along(axes, call.main, blocks=True)
    parts = _by_chunk(signs, (call.main, call.other, call.where), dtype=kind, chunks=chunks)
    beside = parts.rechunk(dict.fromkeys(axes, -1))
    whole = beside.map_blocks(_signed_of_signed, axes, dtype=kind, chunks=_one_along(axes, call.main))
    fields = ("log", "sign") if signed else ("real",)
    return [whole.map_blocks(_field, field, dtype, is_masked, dtype=dtype) for field in fields]


@np.errstate(all="ignore")
def _logsumexp(whole, dtype, is_masked):
    top, excess = whole["top"], whole["excess"]
    result = np.where(top == np.inf, top, top + excess).astype(dtype, copy=False)
    return np.ma.array(result, mask=whole["hidden"]) if is_masked or whole["hidden"].any() else result


def _signed(axes, kind, x, b, where):
    x, b, where, mask = _seen(x, b, where)
    log, sign = functions["logsumexp"](x, _plain(axes), b, True, True, where=where, dtype=float)
    return _record(kind, log, sign, mask is not None and mask.all(axes, keepdims=True))


def _signed_of_signed(parts, axes):
    log, sign = functions["logsumexp"](parts["log"], _plain(axes), parts["sign"], True, True)
    return _record(parts.dtype, log, sign, parts["hidden"].all(axes, keepdims=True))


@np.errstate(all="ignore")
def _field(whole, field, dtype, is_masked):
    """The logarithm, the sign, or what is NaN where the sum is below 0."""
    result = np.where(whole["sign"] < 0, np.nan, whole["log"]) if field == "real" else whole[field]
    result = result.astype(dtype, copy=False)
    return np.ma.array(result, mask=whole["hidden"]) if is_masked or whole["hidden"].any() else result


# ------------------------------------------------------------------------------------------------ gradients


def _rows_gradient(call, axes, dtype):
    """The formulas of the table, with the sum in them from all chunks."""
    y, row = call.main, _ROWS[call.name.removesuffix("_backward")]
    sums, operands = functools.partial(_products, axes, row.logarithm), (y, call.other, call.where)
    parts = _by_chunk(sums, operands, dtype=float, chunks=_one_along(axes, y, blocks=True))
    total = parts.rechunk(dict.fromkeys(axes, -1)).map_blocks(
        np.sum, axis=axes, keepdims=True, dtype=float, chunks=_one_along(axes, y)
    )
    less_total = functools.partial(_less_total, row.logarithm, row.negates, dtype)
    return _by_chunk(less_total, (*operands, total), dtype=dtype)


@np.errstate(all="ignore")
def _products(axes, is_log, y, grad, where):
    y, grad, where, _ = _seen(y, grad, where)
    return np.where(where, grad if is_log else grad.astype(float) * y, 0).sum(axes, float, keepdims=True)


@np.errstate(all="ignore")
def _less_total(is_log, negates, dtype, y, grad, where, total):
    values, grad, where, mask = _seen(y, grad, where)
    result = grad - np.exp(np.minimum(values.astype(float), 0)) * total if is_log else values * (grad - total)
    return _like(np.where(where, -result if negates else result, 0).astype(dtype), y, mask)


def _reduction_gradient(call, axes, dtype):
    wide = np.result_type(dtype, np.float32)
    rows = functions["softmax"](call.main, axes, where=call.where, dtype=wide)
    return _by_chunk(functools.partial(_times, dtype), (rows, call.other, call.where), dtype=dtype)


@np.errstate(all="ignore")
def _times(dtype, rows, grad, where):
    values, grad, where, mask = _seen(rows, grad, where)
    return _like((values * np.where(where, grad, 0)).astype(dtype, copy=False), rows, mask)
