"""What other libraries' arrays are to fastsig: a library is one class here, and LIBRARIES the list of them.

A class says which types are its library's, what is under them - values, and a mask of what is missing - and how a
result is made like them. Nothing is imported for it: of a library that is not in `sys.modules` there can be no array.
This module itself is imported when the first array comes that is not a plain one.

`elementwise` is asked by ufuncs, and leaves to NumPy's protocols what these do right; `along` by the functions along an
axis, which hand nothing on: a library that does not know them could only guess what missing entries or labels mean.
"""

import contextlib
import functools
import re
import sys
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Call(NamedTuple):
    """A call of a function along an axis: ``function(main, other, axis, out=, where=, **options)``."""

    name: str
    function: Any
    main: Any  # what the axis is one of
    other: Any  # weights, grad_output or temperatures, or None
    axis: Any
    out: Any
    where: Any
    options: dict
    reduces: bool = False
    other_lacks_axis: bool = False  # grad_output of what reduces, classes, temperatures
    is_target: bool = False  # whether `other` is a loss's target: what is missing of it hides the row
    grad: Any = None  # one number a row, beside main and other, an operand before them: a loss's grad_output, or
    # temperatures in a gradient
    by_row: str = "grad_output"  # what it is called that lacks the axis

    def of(self, main, other, where, **changed):
        """The same of other arrays."""
        return self.function(main, other, changed.pop("axis", self.axis), where=where, **self.options | changed)

    def axes(self, ndim):
        from ._functions import _axes

        return _axes(self.name, self.axis, ndim)

    def without_out(self):
        if self.out is not None and self.out is not ...:
            raise TypeError(f"{self.name}: out= is for NumPy's arrays, not beside others")


def elementwise(ufunc, *args, out=None, **options):
    """A ufunc's call with an array that is not plain; NotImplemented if NumPy's protocols are to answer it."""
    inputs = args[: ufunc.nin]
    if len(args) > ufunc.nin:
        out = args[ufunc.nin]
    if isinstance(out, tuple) and len(out) == 1:
        (out,) = out
        if isinstance(out, tuple):
            raise TypeError(f"{ufunc.__name__}: return arrays must be of ArrayType")
    operands = (*inputs, out)
    if len(inputs) < ufunc.nin or len(args) > ufunc.nargs or out is ... or any(map(is_unknown, operands)):
        return NotImplemented
    library = library_of(*operands)
    return library.elementwise(ufunc, inputs, out, options) if library else NotImplemented


def along(call):
    """A call along an axis with an array that is not plain; NotImplemented if NumPy can make it one."""
    library = known_library(call)
    if library and library.is_lazy and call.grad is not None:
        kind = f"{type(call.main).__module__}.{type(call.main).__qualname__}"
        raise TypeError(f"{call.name}: beside {kind} {call.by_row} must be a number; divide the gradient by it")
    return library.along(call) if library else NotImplemented


def known_library(call):
    """The outermost library that an operand is of, or None; a TypeError for one that is not known."""
    operands = call.main, call.other, call.where, call.out, call.grad
    for x in operands:
        if is_unknown(x):
            what = f"{call.name}: fastsig does not know the arrays of {type(x).__module__}.{type(x).__qualname__}"
            raise TypeError(f"{what}, which have an __array_ufunc__ of their own: convert them to NumPy's")
    return library_of(*operands)


def loss(call):
    """The same of a loss, or of its gradient."""
    if call.axis is None or isinstance(call.axis, tuple):
        raise TypeError(f"{call.name}: axis must be an integer, not {call.axis!r}")
    if isinstance(call.other, np.ma.MaskedArray) and call.other.ndim == 0 and call.other.mask:
        raise ValueError(f"{call.name}: a class for all rows cannot be masked")
    # Not np.ndim() of what has one: awkward would make an array of it first.
    main, other = (x.ndim if hasattr(x, "ndim") else np.ndim(x) for x in (call.main, call.other))
    call = call._replace(options=call.options | {"keepdims": False}, is_target=True, other_lacks_axis=other < main)
    if call.reduces:
        return along(call)
    library = library_of(call.main, call.other, call.where, call.out, call.grad)
    if library and library.is_lazy and np.ndim(call.grad):
        kind = f"{type(call.main).__module__}.{type(call.main).__qualname__}"
        raise TypeError(f"{call.name}: beside {kind} grad_output must be a number; multiply the gradient of 1.0")
    if library and library.is_lazy:
        call = call._replace(function=functools.partial(call.function, call.grad), grad=None)
    return along(call)


def halves(call):
    """The same of the halves of an axis, or of the gradient; NotImplemented if NumPy's protocols are to answer it."""
    library = known_library(call)
    return library.halves(call) if library else NotImplemented


def of_part(function, *args, **kwargs):
    """A function of a part of the operands: where in it a class does not exist, is elsewhere in the whole."""
    try:
        return function(*args, **kwargs)
    except IndexError as error:
        if type(error) is not IndexError:  # of an axis
            raise
        raise IndexError(re.sub(r" at [\d, ]+(?= is)", "", str(error))) from None


def library_of(*operands):
    """The outermost library that one of these is of, or None."""
    others = [x for x in operands if type(x) is not np.ndarray and not isinstance(x, (float, int, np.generic))]
    return next((library for library in LIBRARIES if any(map(library.owns, others))), None)


def is_unknown(x):
    """Whether it would answer a ufunc's call itself, and be of no library here."""
    method = getattr(type(x), "__array_ufunc__", np.ndarray.__array_ufunc__)
    return method is not np.ndarray.__array_ufunc__ and library_of(x) is None


def parts(x):
    """Values for NumPy, and a mask of what is missing, or None. Python's numbers stay what they are."""
    if x is None or isinstance(x, (float, int)):
        return x, None
    library = library_of(x)
    return library.parts(x) if library else (np.asarray(x), None)


def where_of(where):
    """where= for NumPy: what is missing in it takes no part."""
    from ._functions import _bools

    if where is True:
        return where
    values, unknown = parts(_bools(where) if isinstance(where, (list, tuple)) else where)
    return _bools(values) if unknown is None else _bools(values) & ~unknown


def mask_of(*masks):
    """What is missing in one of them, or None."""
    given = [mask for mask in masks if mask is not None]
    return functools.reduce(np.logical_or, given) if given else None


class Library:
    """One library's arrays: what is under them, and how a result is made like them."""

    module: str
    names: tuple[str, ...] = ()
    refused: Mapping[str, str] = types.MappingProxyType({})  # a type's name: what to do instead, along an axis
    is_lazy = False  # whether a call along an axis is made of several, of parts of the operands or of what they hold

    def named(self, names):
        found = []
        for name in names:
            with contextlib.suppress(AttributeError):  # in another version, or while it is being imported
                found.append(functools.reduce(getattr, name.split("."), sys.modules[self.module]))
        return tuple(found)

    def owns(self, x):
        return self.module in sys.modules and isinstance(x, self.named((*self.names, *self.refused)))

    def refuse(self, name, *operands):
        """A TypeError for what is refused."""
        for x in operands:
            for refused, instead in self.refused.items():
                if isinstance(x, self.named([refused])):
                    raise TypeError(f"{name} does not take {type(x).__module__}.{type(x).__qualname__}: {instead}")

    def elementwise(self, ufunc, inputs, out, options):
        return NotImplemented

    def along(self, call):
        """The call for the values, of which none that is missing takes part; the result is like the array it is for."""
        self.refuse(call.name, call.main, call.other, call.where, call.out)
        call, grad_missing = self.aligned(call), None
        (main, missing), (other, other_missing) = map(parts, (call.main, call.other))
        where, axes = where_of(call.where), call.axes(np.ndim(main))
        rows_missing = other_missing if call.other_lacks_axis else None
        if call.grad is not None:
            of_rows = self.aligned(call._replace(other=call.grad, other_lacks_axis=True)).other
            grad, grad_missing = parts(of_rows)
            grad = grad if grad_missing is None else np.where(grad_missing, grad.dtype.type(1), grad)
            call = call._replace(function=functools.partial(call.function, grad))
        if (call.is_target or call.other_lacks_axis) and other_missing is not None:
            other = np.where(other_missing, other.dtype.type(0 if call.is_target else 1), other)
            if not call.other_lacks_axis:
                other_missing = np.broadcast_to(other_missing.any(axes, keepdims=True), np.shape(other))
            elif other_missing.all() and not np.shape(main)[axes[0]]:  # there is no class to stand in for them
                call = call._replace(options=call.options | {"ignore_index": 0})
        candidates = (call.main, None if call.other_lacks_axis else call.other)
        like = next((x for x in candidates if self.owns(x) and np.shape(x) == np.shape(main)), None)
        if other_missing is not None and call.other_lacks_axis:
            kept = call.options.get("keepdims", False)
            missing_rows = other_missing if kept else np.expand_dims(other_missing, axes)
            other_missing = np.broadcast_to(missing_rows, np.shape(main))
        if grad_missing is not None:
            grad_missing = np.broadcast_to(np.expand_dims(grad_missing, axes), np.shape(main))
        mask = mask_of(missing, other_missing, grad_missing)
        if mask is not None:
            if call.reduces and other is not None and not call.other_lacks_axis:
                mask = np.broadcast_to(mask, np.broadcast_shapes(np.shape(main), np.shape(other)))
            if mask.any():
                where = np.logical_and(where, ~mask)
            if call.reduces:
                over = {"axis": call.axes(mask.ndim), "keepdims": call.options.get("keepdims", False)}
                mask = np.asarray(mask.all(**over) & mask.any(**over))  # of nothing, nothing is missing
                if call.is_target and rows_missing is not None:  # but its class may be
                    mask = mask | rows_missing
        return self.written(call, like, mask, main, other, where)

    def halves(self, call):
        """The call for the values, with a mask of what is missing; the result is like the first half, or a gradient
        like x."""
        self.refuse(call.name, call.main, call.other, call.where, call.out)
        if call.out is not None and call.out is not ... and not isinstance(call.out, np.ndarray):
            raise TypeError(f"{call.name}: return arrays must be of ArrayType, not {type(call.out).__name__}")
        operands = [masked(*parts(x)) for x in ([call.main] if call.other is None else [call.other, call.main])]
        options = call.options | {"out": call.out, "where": where_of(call.where)}
        result = call.function(*operands, call.axis, **options)
        if isinstance(call.out, np.ndarray) or not self.owns(call.main) or not options.get("subok", True):
            return result
        like = call.main
        if call.other is None:
            axis = call.axes(np.ndim(like))[0]
            like = self.part(like, axis, np.shape(result)[axis])
        values, mask = Masked().parts(result)
        return self.dressed(values, like, mask)

    def part(self, x, axis, n):
        """The first n along an axis, with what a result has of it."""
        return x

    def written(self, call, like, mask, *operands):
        """The result, or `out` with it."""
        out = call.out
        if isinstance(out, np.ndarray):  # of whichever class: the call for the values must not come back here
            result = call.of(*operands, out=np.asarray(out))
            if isinstance(out, np.ma.MaskedArray):
                set_mask(out, False if mask is None else mask)
        elif not call.options.get("subok", True):
            return call.of(*operands, out=out)
        elif out is None or out is ...:
            result = call.of(*operands, out=out)
            if like is None and mask is None:
                return result
            dressed = self.dressed if like is not None else Masked().dressed
            if mask is not None:
                mask = np.broadcast_to(mask, np.shape(result[0] if isinstance(result, tuple) else result))
            if isinstance(result, tuple):
                return tuple(dressed(each, like, mask, call) for each in result)
            return dressed(result, like, mask, call)
        else:
            raise TypeError(f"{call.name}: return arrays must be of ArrayType, not {type(out).__name__}")
        return (out, *result[1:]) if isinstance(result, tuple) else out

    def aligned(self, call):
        """The call with its operands in the order of one's labels."""
        return call

    def parts(self, x):
        return np.asarray(x), None

    def dressed(self, result, like, mask, call=None):
        """A result like an array; elementwise there is no call."""
        raise NotImplementedError

    def of_values(self, ufunc, inputs, out, options):
        """An elementwise function of values. What is missing in an operand is in the result, and not written to out."""
        pairs = list(map(parts, inputs))
        operands, mask = [values for values, _ in pairs], mask_of(*(mask for _, mask in pairs))
        where = where_of(options.pop("where", True))
        if out is None:
            if where is not True:
                options["where"] = where
            result = ufunc(*operands, **options)
            if not options.get("subok", True):
                return result
            like = next(x for x in inputs if self.owns(x))
            return self.dressed(result, like, mask if mask is None else np.broadcast_to(mask, np.shape(result)))
        computed = where if mask is None else np.logical_and(where, ~mask)
        if computed is not True:
            options["where"] = computed
        if not isinstance(out, np.ma.MaskedArray):
            return ufunc(*operands, out=out, **options)
        before = np.ma.getmaskarray(out).copy()  # what is written to may be an operand
        ufunc(*operands, out=np.asarray(out), **options)
        set_mask(out, np.where(where, False if mask is None else mask, before))
        return out


def masked(values, mask):
    """Values with what is missing of them, if something may be."""
    return values if mask is None else np.ma.array(values, mask=mask)


def set_mask(array, mask):
    """A mask of the array's own: others may have the one it has. NumPy would repeat one of another shape."""
    array.unshare_mask()
    array.mask = np.broadcast_to(mask, array.shape)


# ------------------------------------------------------------------------------------------------ NumPy's own


class Masked(Library):
    module, names = "numpy.ma", ("MaskedArray",)

    def parts(self, x):
        mask = np.ma.getmask(x)
        return np.asarray(x), None if mask is np.ma.nomask or mask.dtype != bool else mask

    def elementwise(self, ufunc, inputs, out, options):
        return self.of_values(ufunc, inputs, out, options)

    def halves(self, call):
        """What is missing in one half is so in the result, and in both halves of a gradient."""
        if call.other is None:
            return NotImplemented  # the ufunc sees to it
        (grad, grad_missing), (x, missing) = map(self.parts, (call.other, call.main))
        where, mask, out = where_of(call.where), grad_missing, call.out
        axis = call.axes(x.ndim)[0] if x.ndim and x.shape[call.axes(x.ndim)[0]] % 2 == 0 else None
        shape = tuple(n // 2 if i == axis else n for i, n in enumerate(x.shape))
        if missing is not None and axis is not None:
            mask = mask_of(mask, *np.split(np.broadcast_to(missing, x.shape), 2, axis))
        given = np.asarray(out) if isinstance(out, np.ndarray) else out
        seen = where if mask is None else np.logical_and(where, ~mask)
        result = call.function(grad, x, call.axis, out=given, where=seen if given is out else where, **call.options)
        if mask is not None:
            mask = np.concatenate([np.broadcast_to(mask, shape)] * 2, axis)
        if isinstance(out, np.ma.MaskedArray):
            set_mask(out, False if mask is None else mask)
        if isinstance(out, np.ndarray):
            return out
        return self.dressed(result, call.main, mask) if call.options.get("subok", True) else result

    def dressed(self, result, like, mask, call=None):
        """NumPy would have the result share the operand's mask and fill value."""
        if not isinstance(like, np.ma.MaskedArray):
            like = np.ma.array(0)
        dressed = like.__array_wrap__(np.asarray(result))
        dressed._fill_value = None
        if like._fill_value is not None:
            # Not what is too large for a narrower dtype.
            with contextlib.suppress(TypeError, FloatingPointError), np.errstate(all="raise"):
                dressed.fill_value = like.fill_value
        if mask is not None:
            dressed.mask = np.broadcast_to(mask, dressed.shape)  # NumPy would repeat one of another shape
        return dressed[()] if dressed.ndim == 0 else dressed


class Subclass(Library):
    """What NumPy wraps by itself in a ufunc's call; but a matrix keeps an axis that is summed over."""

    def owns(self, x):
        mine = isinstance(x, np.ndarray) and type(x) not in (np.ndarray, np.memmap)
        return mine and type(x).__array_ufunc__ is np.ndarray.__array_ufunc__

    def along(self, call):
        if call.reduces:
            keeps = isinstance(call.main, np.matrix) and call.options.get("subok", True) and call.out is None
        elif call.is_target:
            keeps = isinstance(call.main, np.matrix)
        else:
            keeps = call.other_lacks_axis and isinstance(call.other, np.matrix)
        if keeps and call.axis is not None:
            call = call._replace(options=call.options | {"keepdims": True})
        along = call.reduces or call.other_lacks_axis or call.is_target
        return super().along(call) if along else NotImplemented

    def halves(self, call):
        return NotImplemented

    def dressed(self, result, like, mask, call=None):
        is_number = np.ndim(result) == 0 and isinstance(like, np.matrix)
        return result if is_number else like.__array_wrap__(np.asarray(result))


class Wrapped(Library):
    """What NumPy can read and make again, but knows no more of, as a tensor of PyTorch."""

    def owns(self, x):
        return hasattr(type(x), "__array_wrap__") and not hasattr(type(x), "__array_ufunc__")

    def dressed(self, result, like, mask, call=None):
        return like.__array_wrap__(np.asarray(result))


class ScipySparse(Library):
    module = "scipy.sparse"
    refused = types.MappingProxyType(
        dict.fromkeys(("sparray", "spmatrix"), "what is not stored would not be 0 any more; call its toarray()")
    )

    def elementwise(self, ufunc, inputs, out, options):
        self.refuse(ufunc.__name__, *inputs, out)


# ------------------------------------------------------------------------------------------------ tables


class Pandas(Library):
    module, names = "pandas", ("Series", "DataFrame", "Index", "api.extensions.ExtensionArray")

    def elementwise(self, ufunc, inputs, out, options):
        """pandas does it by blocks and columns. But it does not know how to make a column of some kinds of what a ufunc
        gives, and makes one array of a frame that is not the only operand."""
        pd = sys.modules["pandas"]
        if not any(isinstance(x, (pd.Series, pd.DataFrame, pd.Index)) for x in (*inputs, out)):
            return self._of_columns(ufunc, inputs, out, options)
        where = options.get("where", True)
        if isinstance(out, np.ndarray) or isinstance(where, (pd.Series, pd.DataFrame)):  # pandas takes it by position
            like = self._labelled(*inputs)
            *inputs, where = (
                x if like is None else self._in_order(ufunc.__name__, x, like, like.axes) for x in (*inputs, where)
            )
            options = options | {"where": where_of(where)}
            if isinstance(out, np.ndarray):
                return self.of_values(ufunc, inputs, out, options)
            return ufunc(*inputs, **options) if out is None else ufunc(*inputs, out=out, **options)
        frames = [x for x in inputs if isinstance(x, pd.DataFrame)]
        if not frames or (len(inputs) == 1 and not options) or out is not None or where is not True:
            return NotImplemented
        if any(isinstance(x, pd.Series) for x in inputs):  # pandas says that they do not go together
            return NotImplemented
        labels = functools.reduce(lambda a, b: list(map(union, a, b)), (x.axes for x in frames))
        inputs = [x.reindex(index=labels[0], columns=labels[1]) if isinstance(x, pd.DataFrame) else x for x in inputs]
        like = next(x for x in inputs if isinstance(x, pd.DataFrame))
        wholes = [self._whole(x) if isinstance(x, pd.DataFrame) else x if np.ndim(x) == 0 else None for x in inputs]
        if not any(x is None for x in wholes):
            return self._frame(like, ufunc(*wholes, **options))
        columns = [
            ufunc(*column, **options).array
            for column in by_column(inputs, like.shape, lambda frame, i: frame.iloc[:, i], pd.DataFrame)
        ]
        return self._frame(like, columns)

    def _of_columns(self, ufunc, inputs, out, options):
        """Of bare columns."""
        pd = sys.modules["pandas"]
        result = self.of_values(ufunc, inputs, out, options)
        sparse = pd.arrays.SparseArray
        if out is not None or not any(isinstance(x, sparse) for x in inputs):
            return result
        if not all(isinstance(x, sparse) or np.ndim(x) == 0 for x in inputs):
            return sparse(result)
        fill = [np.asarray(x.fill_value, x.dtype.subtype) if isinstance(x, sparse) else x for x in inputs]
        return sparse(result, fill_value=ufunc(*fill, **options))

    def parts(self, x):
        if not isinstance(x, sys.modules["pandas"].DataFrame):
            return self._column(getattr(x, "array", x), getattr(x, "name", None))
        whole = self._whole(x)
        if whole is not None:
            return whole, None
        return stacked([self._column(x.iloc[:, i].array, x.columns[i]) for i in range(x.shape[1])], x.shape)

    def _whole(self, frame):
        """The array of a frame whose columns are all of one dtype of NumPy's, or None: one by one they take long."""
        dtypes = set(frame.dtypes)
        dtype = dtypes.pop() if len(dtypes) == 1 else None
        return frame.to_numpy() if isinstance(dtype, np.dtype) and dtype.kind in "biuf" else None

    def _column(self, array, label):
        pd = sys.modules["pandas"]
        dtype = array.dtype
        plain = dtype.subtype if isinstance(dtype, pd.SparseDtype) else getattr(dtype, "numpy_dtype", dtype)
        if not isinstance(plain, np.dtype) or plain.kind not in "biuf":
            raise TypeError(f"fastsig takes columns of numbers, not of {dtype}" + (f" ({label!r})" if label else ""))
        if isinstance(array, (np.ndarray, pd.arrays.SparseArray, pd.arrays.NumpyExtensionArray)):  # NaN is a number
            return np.asarray(array), None
        missing = np.asarray(array.isna())
        fill = {"na_value": plain.type(0)} if missing.any() else {}
        return array.to_numpy(dtype=plain, **fill), missing

    def part(self, x, axis, n):
        return x[:n] if np.ndim(x) == 1 else x.iloc[:n] if axis == 0 else x.iloc[:, :n]

    def aligned(self, call):
        pd = sys.modules["pandas"]
        like = self._labelled(call.main, None if call.other_lacks_axis else call.other)
        if like is None:
            return call
        of_other = list(like.axes)
        if call.other_lacks_axis:
            axes, keepdims = call.axes(like.ndim), call.options.get("keepdims", False)
            of_other = [
                pd.RangeIndex(1) if i in axes else labels
                for i, labels in enumerate(of_other)
                if i not in axes or keepdims
            ]
        other = self._in_order(call.name, call.other, like, of_other)
        return call._replace(other=other, where=self._in_order(call.name, call.where, like, like.axes))

    def _labelled(self, *operands):
        return next((x for x in operands if isinstance(x, self.named(("Series", "DataFrame")))), None)

    def _in_order(self, name, x, like, labels):
        if self._labelled(x) is None or x is like:
            return x
        if x.ndim > len(labels):
            raise ValueError(f"{name}: a DataFrame beside a Series")
        for i, wanted in enumerate(labels[-x.ndim :]):  # as in arithmetic, a Series lies along a frame's rows
            have = x.axes[i]
            if have.equals(wanted):
                continue
            if not (have.is_unique and wanted.is_unique and len(have) == len(wanted) and have.isin(wanted).all()):
                raise ValueError(f"{name}: operands have different labels; align them first")
            x = x.reindex(wanted, axis=i)
        return x

    def dressed(self, result, like, mask, call=None):
        pd = sys.modules["pandas"]
        if not isinstance(like, (pd.Series, pd.DataFrame, pd.Index)):
            labels = [None] * like.ndim
        else:
            labels = [like] if isinstance(like, pd.Index) else list(like.axes)
        if call is not None and call.reduces:
            axes, keepdims = call.axes(like.ndim), call.options.get("keepdims", False)
            labels = [
                pd.RangeIndex(1) if i in axes else label for i, label in enumerate(labels) if i not in axes or keepdims
            ]
        if call is not None and np.shape(result) != (like.shape if not call.reduces else tuple(map(len, labels))):
            raise ValueError(f"{call.name}: the result has shape {np.shape(result)}, which the labels do not fit")
        if not labels:
            return pd.NA if mask is not None and mask else result
        if len(labels) == 2 and all(isinstance(dtype, np.dtype) for dtype in like.dtypes):
            return self._frame(like, self._array(None, result, mask), *labels)
        if len(labels) == 2:
            dtypes = list(like.dtypes) if len(labels[1]) == like.shape[1] else [self._dtype(like)] * len(labels[1])
            columns = [
                self._array(dtypes[i], result[:, i], None if mask is None else mask[:, i]) for i in range(len(dtypes))
            ]
            return self._frame(like, columns, *labels)
        array = self._array(self._dtype(like), result, mask)
        if isinstance(like, pd.Index):
            return pd.Index(array, name=like.name)
        if isinstance(like, pd.Series):
            return like._constructor(array, index=labels[0], name=like.name).__finalize__(like)
        if isinstance(like, pd.DataFrame):
            return like._constructor_sliced(array, index=labels[0]).__finalize__(like)
        return array

    def _dtype(self, like):
        """Of a frame's columns the first that is not NumPy's."""
        if like.ndim == 1:
            return like.dtype
        return next((dtype for dtype in like.dtypes if not isinstance(dtype, np.dtype)), None)

    def _array(self, dtype, values, mask):
        """A column of the kind that a dtype is of."""
        pd = sys.modules["pandas"]
        bare = isinstance(dtype, pd.api.extensions.ExtensionDtype) and (
            dtype.construct_array_type() is pd.arrays.NumpyExtensionArray
        )
        if bare or dtype is None or isinstance(dtype, (np.dtype, pd.SparseDtype)):
            if mask is not None and mask.any():
                values = np.where(mask, values.dtype.type(np.nan), values)
            return pd.arrays.NumpyExtensionArray(values) if bare else values
        values, mask = np.ascontiguousarray(values), np.zeros(values.shape, bool) if mask is None else np.array(mask)
        if isinstance(dtype, pd.ArrowDtype):
            return pd.arrays.ArrowExtensionArray(sys.modules["pyarrow"].array(values, mask=mask))
        return (pd.arrays.FloatingArray if values.dtype.kind == "f" else pd.arrays.IntegerArray)(values, mask)

    def _frame(self, like, columns, index=None, names=None):
        """A frame of an array, or of one for each column."""
        index, names = like.index if index is None else index, like.columns if names is None else names
        frame = like._constructor(dict(enumerate(columns)) if isinstance(columns, list) else columns, index=index)
        frame.columns = names
        return frame.__finalize__(like)


def union(a, b):
    return a if a.equals(b) else a.union(b)


def by_column(inputs, shape, column, frame):
    """Of each column of frames, what an elementwise function is given; arrays broadcast against the frames."""
    inputs = [x if isinstance(x, frame) or np.ndim(x) == 0 else stretched(x, shape) for x in inputs]
    for i in range(shape[1]):
        yield [column(x, i) if isinstance(x, frame) else x if np.ndim(x) == 0 else x[:, i] for x in inputs]


def stretched(x, shape):
    """An array of this shape, with what is missing of it."""
    values, mask = parts(x)
    return masked(np.broadcast_to(values, shape), mask if mask is None else np.broadcast_to(mask, shape))


def stacked(columns, shape):
    """A frame's values and mask, from its columns'."""
    values = np.empty(shape, np.result_type(*(values for values, _ in columns)) if columns else float)
    mask = np.zeros(shape, bool)
    for i, (column, missing) in enumerate(columns):
        values[:, i] = column
        mask[:, i] = False if missing is None else missing
    return values, mask if any(missing is not None for _, missing in columns) else None


class Polars(Library):
    module, names = "polars", ("Series", "DataFrame")
    refused = types.MappingProxyType({"LazyFrame": "give its columns, as polars.col(...), or collect() it"})

    def elementwise(self, ufunc, inputs, out, options):
        """polars takes the first dtype of a ufunc's loops that the values can be cast to."""
        pl = sys.modules["polars"]
        self.refuse(ufunc.__name__, *inputs, out)
        if self.owns(out):
            raise TypeError(f"{ufunc.__name__}: out= is for NumPy's arrays, not for those of polars")
        frames = [x for x in inputs if isinstance(x, pl.DataFrame)]
        where = options.get("where", True)
        if frames:
            *inputs, where = (self._in_order(ufunc.__name__, x, frames[0]) for x in (*inputs, where))
        if not frames or out is not None or where is not True:
            return self.of_values(ufunc, inputs, out, options | {"where": where})
        if any(isinstance(x, pl.Series) for x in inputs):
            raise TypeError(f"{ufunc.__name__}: a polars DataFrame beside a Series")
        columns = by_column(inputs, frames[0].shape, lambda frame, i: frame.to_series(i), pl.DataFrame)
        return pl.DataFrame([ufunc(*column, **options) for column in columns])

    def parts(self, x):
        if isinstance(x, sys.modules["polars"].DataFrame):
            return stacked(list(map(self._column, x.get_columns())), x.shape)
        return self._column(x)

    def _column(self, series):
        dtype, boolean = series.dtype, sys.modules["polars"].Boolean
        if not (dtype.is_float() or dtype.is_integer() or dtype == boolean):
            raise TypeError(f"fastsig takes columns of numbers, not of {dtype} ({series.name!r})")
        if not series.null_count():
            return series.to_numpy(), None
        return series.fill_null(False if dtype == boolean else 0).to_numpy(), series.is_null().to_numpy()

    def part(self, x, axis, n):
        return x[:n] if axis == 0 else x[:, :n]

    def _in_order(self, name, x, like):
        frame = sys.modules["polars"].DataFrame
        if not isinstance(x, frame) or not isinstance(like, frame) or x.columns == like.columns:
            return x
        if sorted(x.columns) != sorted(like.columns):
            raise ValueError(f"{name}: operands have different columns")
        return x.select(like.columns)

    def aligned(self, call):
        if call.other_lacks_axis:
            frame = sys.modules["polars"].DataFrame
            if isinstance(call.other, frame) and isinstance(call.main, frame) and call.axes(2) == (0,):
                call = call._replace(options=call.options | {"keepdims": True})  # it is of one row
            return call._replace(where=self._in_order(call.name, call.where, call.main))
        like = call.main if self.owns(call.main) else call.other
        main, other, where = (self._in_order(call.name, x, like) for x in (call.main, call.other, call.where))
        return call._replace(main=main, other=other, where=where)

    def dressed(self, result, like, mask, call=None):
        pl = sys.modules["polars"]
        frame = isinstance(like, pl.DataFrame)
        if np.ndim(result) == 0:
            return None if mask is not None and mask else result
        if np.ndim(result) == 1:
            down = frame and call.axes(2) == (0,)  # as of a frame's sum(), a frame of one row
            if not down:
                return self._series(call.name if frame else like.name, result, mask)
            result, mask = result[None], mask if mask is None else mask[None]
        names = like.columns if result.shape[1] == like.width else [call.name]
        columns = [
            self._series(name, result[:, i], None if mask is None else mask[:, i]) for i, name in enumerate(names)
        ]
        return pl.DataFrame(columns)

    def _series(self, name, values, mask):
        pl = sys.modules["polars"]
        series = pl.Series(name, np.ascontiguousarray(values))
        if mask is None or not mask.any():
            return series
        return series.to_frame().select(pl.when(pl.Series(~mask)).then(pl.first())).to_series()


class Pyarrow(Library):
    module, names = "pyarrow", ("Array", "ChunkedArray")
    refused = types.MappingProxyType(dict.fromkeys(("Table", "RecordBatch"), "give its columns, one by one"))

    def elementwise(self, ufunc, inputs, out, options):
        self.refuse(ufunc.__name__, *inputs, out)
        return self.of_values(ufunc, inputs, out, options)

    def parts(self, x):
        is_number = [getattr(sys.modules["pyarrow"].types, f"is_{kind}") for kind in ("floating", "integer", "boolean")]
        if not any(check(x.type) for check in is_number):
            raise TypeError(f"fastsig takes columns of numbers, not of {x.type}")
        values = x.fill_null(False if x.type == sys.modules["pyarrow"].bool_() else 0) if x.null_count else x
        return np.asarray(values), np.asarray(x.is_null()) if x.null_count else None

    def dressed(self, result, like, mask, call=None):
        pa = sys.modules["pyarrow"]
        if np.ndim(result) == 0:
            return None if mask is not None and mask else result
        made = pa.array(np.ascontiguousarray(result), mask=None if mask is None else np.array(mask))
        return pa.chunked_array([made]) if isinstance(like, pa.ChunkedArray) else made


class PolarsExpression(Library):
    """What is to be done with columns that are not there yet: the same, when they are."""

    module, names = "polars", ("Expr",)
    is_lazy = True

    def elementwise(self, ufunc, inputs, out, options):
        if out is not None:
            raise TypeError(f"{ufunc.__name__}: out= is for NumPy's arrays, not beside expressions")
        if options.get("where", True) is not True:
            raise TypeError(f"{ufunc.__name__}: where= needs out=, which there cannot be beside expressions")
        return self._mapped(functools.partial(ufunc, **options), inputs, is_elementwise=True)

    def along(self, call):
        call.without_out()
        if call.is_target:
            raise TypeError(f"{call.name} does not take expressions: give it the columns, when they are there")
        if call.options.get("return_sign"):
            raise TypeError(f"{call.name}: an expression has one result, without return_sign")
        if call.other_lacks_axis:
            values, missing = (None, None) if self.owns(call.other) else parts(call.other)
            if values is None or missing is not None or np.size(values) != 1:
                raise TypeError(f"{call.name}: beside an expression {call.by_row} must be a number")
            if np.ndim(values):
                call = call._replace(other=values.reshape(()), options=call.options | {"keepdims": False})

        def function(main, other, where):
            return call.of(main, other, where, **{"keepdims": True} if call.reduces else {})

        operands = call.main, call.other, call.where
        return self._mapped(function, operands, returns_scalar=call.reduces)

    def halves(self, call):
        raise TypeError(f"{call.name} does not take expressions: give it the columns, when they are there")

    def _mapped(self, function, operands, **how):
        pl = sys.modules["polars"]
        # A column, too, as polars asks for the result's dtype with some of each.
        operands = [
            pl.lit(pl.Series(x)) if isinstance(x, (np.ndarray, pl.Series)) and np.ndim(x) else x for x in operands
        ]
        places = [i for i, x in enumerate(operands) if isinstance(x, pl.Expr)]

        def of_columns(columns):
            given = dict(zip(places, columns, strict=True))
            return function(*(given.get(i, x) for i, x in enumerate(operands)))

        if len(places) == 1:  # of several columns, each its own
            return operands[places[0]].map_batches(lambda column: of_columns([column]), **how)
        return pl.map_batches([operands[i] for i in places], of_columns, **how)


# ------------------------------------------------------------------------------------------------ what holds arrays


class Xarray(Library):
    module, names = "xarray", ("DataArray", "Variable")
    is_lazy = True
    refused = types.MappingProxyType(
        {"Dataset": "its variables may have other axes; apply it to each, as by Dataset.map(...)"}
    )

    def elementwise(self, ufunc, inputs, out, options):
        """xarray takes where= by position."""
        where = options.get("where", True)
        if not self.owns(where):
            return NotImplemented
        xr, own = sys.modules["xarray"], list(filter(self.owns, inputs))
        xr.align(*(x for x in (*own, where) if isinstance(x, xr.DataArray)), join="exact", copy=False)
        dims = list(dict.fromkeys(dim for x in own for dim in x.dims))
        options = options | {"where": self._placed(ufunc.__name__, where, dims)}
        return ufunc(*inputs, **options) if out is None else ufunc(*inputs, out=out, **options)

    def _placed(self, name, x, dims, stretched=True):
        """The array inside, with its axes in the order of dims."""
        x = getattr(x, "variable", x)
        if not set(x.dims) <= set(dims):
            raise ValueError(f"{name}: dimensions {x.dims} are not all among {tuple(dims)}")
        data = x.transpose(*(dim for dim in dims if dim in x.dims)).data
        return data[tuple(slice(None) if dim in x.dims else None for dim in dims)] if stretched else data

    def along(self, call):
        """The same of the arrays inside, whatever they are, in the order of one's dimensions."""
        xr = sys.modules["xarray"]
        self.refuse(call.name, call.main, call.other, call.where)
        call.without_out()
        like = next((x for x in (call.main, None if call.other_lacks_axis else call.other) if self.owns(x)), None)
        if like is None:
            raise TypeError(f"{call.name}: {'x' if call.reduces else 'the other operand'} must be of xarray, too")
        dims, keepdims = like.dims, call.options.get("keepdims", False)
        if call.other_lacks_axis:
            if self.owns(call.other) and keepdims:
                call = call._replace(other=call.other.isel({dims[i]: 0 for i in call.axes(len(dims))}))
            elif keepdims:
                other = np.asarray(call.other)
                call = call._replace(other=other.squeeze(call.axes(len(dims))) if other.ndim else call.other)
            call = call._replace(options=call.options | {"keepdims": False})
        operands = {"main": call.main, "other": call.other, "where": call.where}
        labelled = [name for name, x in operands.items() if isinstance(x, xr.DataArray)]
        aligned = xr.align(*(operands[name] for name in labelled), join="exact", copy=False)
        operands |= dict(zip(labelled, aligned))
        for name, x in operands.items():
            if self.owns(x):
                lacks_axis = name == "other" and call.other_lacks_axis
                operands[name] = self._placed(call.name, x, dims, not lacks_axis)
                if lacks_axis and set(x.dims) != set(dims) - {dims[i] for i in call.axes(len(dims))}:
                    kept = tuple(dim for i, dim in enumerate(dims) if i not in call.axes(len(dims)))
                    raise ValueError(f"{call.name}: {call.by_row} has dimensions {x.dims}, not {kept}")
        result = call.of(*operands.values(), out=None)
        if isinstance(result, tuple):
            return tuple(self._like(each, like, call) for each in result)
        return self._like(result, like, call)

    def halves(self, call):
        """The same of the arrays inside. Along the axis that is halved the labels of x's first half stay."""
        xr, like = sys.modules["xarray"], call.main
        self.refuse(call.name, call.main, call.other, call.where)
        call.without_out()
        if not self.owns(like):
            raise TypeError(f"{call.name}: x must be of xarray, too")
        dim = like.dims[call.axes(like.ndim)[0]] if like.ndim else None
        operands = [like, call.other, call.where]
        labelled = [i for i, x in enumerate(operands) if isinstance(x, xr.DataArray)]
        aligned = xr.align(*(operands[i] for i in labelled), join="exact", copy=False, exclude=[dim])
        for i, x in zip(labelled, aligned):
            operands[i] = x
        data, other, where = (self._placed(call.name, x, like.dims) if self.owns(x) else x for x in operands)
        given = (data,) if other is None else (other, data)
        result = call.function(*given, call.axis, where=where, **call.options)
        if call.other is None:
            like = like.isel({dim: slice(result.shape[like.dims.index(dim)])})
        return self._dressed(result, like)

    def _dressed(self, result, like):
        dressed = like.copy(deep=False, data=result)
        return dressed if _keeps_attrs() else dressed.drop_attrs(deep=False)

    def _like(self, result, like, call):
        if not call.reduces:
            return self._dressed(result, like)
        keepdims, axes = call.options.get("keepdims", False), call.axes(like.ndim)
        bare = np.squeeze(result, axes if like.ndim else None) if keepdims else result
        return like.reduce(lambda data, axis=None: bare, [like.dims[i] for i in axes], keepdims=keepdims)


def _keeps_attrs():
    return sys.modules["xarray"].get_options()["keep_attrs"] is not False


class Dask(Library):
    module, names = "dask.array", ("Array",)
    is_lazy = True

    def along(self, call):
        from . import dask

        call.without_out()
        return dask.along(call)

    def halves(self, call):
        from . import dask

        call.without_out()
        return dask.halves(call)


class Awkward(Library):
    module, names = "awkward", ("Array",)
    is_lazy = True
    refused = types.MappingProxyType({"Record": "give its fields, one by one"})

    def parts(self, x):
        return Masked().parts(sys.modules["awkward"].to_numpy(x))

    def elementwise(self, ufunc, inputs, out, options):
        if self.owns(options.get("where", True)):
            raise TypeError(f"{ufunc.__name__}: where= cannot be of awkward; use awkward.mask or awkward.where")
        return NotImplemented

    def along(self, call):
        """Each row is its own along the last axis, however long, and along all there is but one; other axes need rows
        of equal length."""
        ak = sys.modules["awkward"]
        self.refuse(call.name, call.main, call.other, call.where)
        call.without_out()
        operands = [
            x if self.owns(x) or x is None or np.ndim(x) == 0 else self._regular(masked(*parts(x)), ragged=False)
            for x in (call.main, call.other, call.where)
        ]
        arrays = [x for x in operands if self.owns(x)]
        if any(map(ak.fields, arrays)):
            raise TypeError(f"{call.name} does not take records: give their fields, one by one")
        ndim = max(x.ndim for x in arrays)
        if any("union[" in str(ak.type(x)) for x in arrays):
            raise TypeError(f"{call.name} does not take unions")
        axes = call.axes(ndim)
        if axes == (ndim - 1,) or len(axes) == ndim:
            return self._by_rows(call, operands, ndim, one=len(axes) == ndim)
        try:
            plain = [ak.to_numpy(x) if self.owns(x) else x for x in operands]
        except ValueError:
            raise ValueError(f"{call.name}: only axis=-1 or None, with rows of different lengths") from None
        ragged = "var" in str(ak.type(arrays[0]))
        result = call.of(*plain, out=None)
        if isinstance(result, tuple):
            return tuple(self._regular(each, ragged) for each in result)
        return self._regular(result, ragged)

    def halves(self, call):
        """Rows have to be of equal length."""
        ak = sys.modules["awkward"]
        self.refuse(call.name, call.main, call.other, call.where)
        call.without_out()
        if any(self.owns(x) and ak.fields(x) for x in (call.main, call.other)):
            raise TypeError(f"{call.name} does not take records: give their fields, one by one")
        try:
            main, other, where = (ak.to_numpy(x) if self.owns(x) else x for x in (call.main, call.other, call.where))
        except ValueError:
            raise ValueError(f"{call.name}: rows of different lengths; give each of them") from None
        given = (main,) if other is None else (other, main)
        result = call.function(*given, call.axis, where=where, **call.options)
        return self._regular(result, ragged="var" in str(ak.type(call.main if self.owns(call.main) else call.other)))

    def _regular(self, result, ragged):
        ak = sys.modules["awkward"]
        made = ak.from_numpy(result, regulararray=True)
        return ak.from_regular(made, axis=None) if ragged and made.ndim > 1 else made

    def _by_rows(self, call, operands, ndim, one):
        """Rows of equal length are computed together."""
        ak = sys.modules["awkward"]
        hidden = False
        if call.other_lacks_axis and self.owns(operands[1]):
            if one:
                values = np.asarray(ak.flatten(self._filled(operands[1]), axis=None))
                if len(values) != 1:
                    raise ValueError(f"{call.name}: {call.by_row} has {len(values)} numbers, not one")
                operands[1], hidden = values.reshape(()), ak.any(ak.is_none(operands[1], axis=-1), axis=None)
            elif call.options.get("keepdims", False):
                operands[1] = operands[1][..., 0]
        main, target = operands[0], operands[1] if call.is_target else None
        if self.owns(target) and (not self.owns(main) or len(target) != len(main)):  # awkward would stretch one of 1
            shape = len(main) if self.owns(main) else np.shape(main)
            raise ValueError(f"{call.name}: target has length {len(target)}, logits {shape}")
        for x, less in zip(operands, (0, call.other_lacks_axis, 0)):
            if self.owns(x) and x.ndim not in {0, ndim - less}:  # to which of the others' axes would its own belong?
                raise ValueError(f"{call.name}: an operand has {x.ndim} axes, another has {ndim}")
        # Beside each operand, what of it is missing; both in the structure of all.
        places = [i for i, x in enumerate(operands) if self.owns(x)]
        filled = [self._filled(operands[i]) for i in places]
        lacking = [ak.is_none(operands[i], axis=-1) for i in places]
        like, *_ = alike = ak.broadcast_arrays(*(ak.from_regular(x, axis=None) for x in (*filled, *lacking)))
        if ak.from_regular(filled[0], axis=None).type == like.type:
            like = filled[0]
        values, masks = list(operands), [None] * 3
        for i, array, mask in zip(places, alike, alike[len(places) :]):
            values[i] = np.asarray(ak.flatten(array, axis=None))
            if filled[places.index(i)].type != operands[i].type:
                masks[i] = np.asarray(ak.flatten(mask, axis=None))
        packed = ak.to_packed(like)
        rows = None if one or ndim == 1 else ak.to_packed(ak.num(packed, axis=-1))
        size = next(len(x) for x in values if np.ndim(x))
        counts = np.array([size]) if rows is None else np.asarray(ak.flatten(rows, axis=None))
        lost = np.full(len(counts), bool(hidden))  # rows that are missing, whatever else they hold
        if call.other_lacks_axis and self.owns(operands[1]):  # of an empty row, too
            of_rows = ak.broadcast_arrays(filled[places.index(1)], lacking[places.index(1)], rows)[:2]
            values[1], lost = (np.asarray(ak.flatten(x, axis=None)) for x in of_rows)
            masks[1] = None
        elif call.is_target and masks[1] is not None:
            lost = np.bincount(np.repeat(np.arange(len(counts)), counts), masks[1], len(counts)) > 0
        main, other, where = values
        if masks[2] is not None:
            where = where & ~masks[2]
        mask = mask_of(*masks[:2], np.repeat(lost, counts) if lost.any() else None)
        if mask is not None:
            where = np.logical_and(where, ~mask)
        results, hidden = self._computed(call, counts, main, other, where, mask, lost)
        dressed = [self._dressed(each, hidden, packed, rows, call, ndim) for each in results]
        return tuple(dressed) if call.options.get("return_sign") else dressed[0]

    def _computed(self, call, counts, main, other, where, mask, lost):
        """Results one after the other, and what of them is missing."""
        starts, results = np.cumsum(counts) - counts, None
        hidden = lost.copy() if call.reduces else mask
        call = call._replace(function=functools.partial(of_part, call.function))
        options = {"keepdims": False} if "keepdims" in call.options else {}
        for n in np.unique(counts) if len(counts) else [0]:
            which = np.flatnonzero((counts == n) & ~lost)
            places = starts[which][:, None] + np.arange(n)
            given = [x[places] if np.ndim(x) else x for x in (main, None, where)]
            given[1] = other if np.ndim(other) == 0 else other[which if call.other_lacks_axis else places]
            got = call.of(*given, axis=-1, out=None, **options)
            got = got if isinstance(got, tuple) else (got,)
            if results is None:
                results = [np.zeros(len(counts) if call.reduces else counts.sum(), each.dtype) for each in got]
            for result, each in zip(results, got):
                result[which if call.reduces else places] = each
            if call.reduces and mask is not None and n:
                hidden[which] = mask[places].all(-1)
        return results, hidden

    def _dressed(self, result, hidden, packed, rows, call, ndim):
        ak = sys.modules["awkward"]
        if not call.reduces:
            return self._like(packed, result, hidden)
        keepdims = call.options.get("keepdims", False)
        if rows is not None:
            made = self._like(rows, result, hidden if hidden.any() else None)
            return made[..., np.newaxis] if keepdims else made
        if keepdims:
            kept = np.ma.array(result, mask=hidden) if hidden.any() else result
            return ak.from_numpy(kept.reshape((1,) * ndim), regulararray=True)
        return None if hidden[0] else result[0]

    def _filled(self, x):
        """With a 0 for what is missing in rows."""
        ak = sys.modules["awkward"]
        values = np.asarray(ak.flatten(x, axis=None))
        return ak.fill_none(x, values.dtype.type(0), axis=-1) if values.dtype.kind in "biuf" else x

    def _like(self, packed, values, mask):
        """An array of this structure and of these values."""
        ak = sys.modules["awkward"]

        def made(values):
            def leaf(layout, **_):
                return ak.contents.NumpyArray(values) if layout.is_numpy or layout.is_unknown else None

            return ak.transform(leaf, packed)

        return made(values) if mask is None else ak.mask(made(values), made(mask), valid_when=False)


# Those that may hold others first.
LIBRARIES = [
    Xarray(),
    Dask(),
    PolarsExpression(),
    Pandas(),
    Polars(),
    Pyarrow(),
    Awkward(),
    ScipySparse(),
    Masked(),
    Subclass(),
    Wrapped(),
]
