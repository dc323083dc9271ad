"""The Python face: ufuncs without parameters as they are, and thin functions over those with parameters or an axis."""

import math
import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ._backend import kernels, ufuncs
from ._catalog import TABLE
from ._docs import docstring


def with_parameters(row, function, options="**kwargs"):
    """The public function of an elementwise row with parameters, as one would write it by hand."""
    names = ", ".join(parameter.name for parameter in row.parameters)
    defaults = ", ".join(f"{parameter.name}={parameter.default!r}" for parameter in row.parameters)
    takes, passes = (f", {options}",) * 2 if options else ("", "")
    namespace = {"function": function, "__name__": "fastsig"}
    exec(f"def {row.name}(x, {defaults}{takes}):\n    return function(x, {names}{passes})", namespace)
    return namespace[row.name]


def _along_axis(row):
    """The public function of a row function: everything the gufunc does not know about axes and masks."""
    ufunc, masked, direct = ufuncs[row.name], ufuncs[row.name + "_where"], kernels.build_direct(row.name)

    def function(x, axis=-1, *, out=None, where=True, **kwargs):
        single = type(axis) is int
        if single and out is None and where is True and not kwargs:
            result = direct(x, axis)
            if result is not None:
                return result
        if not single and axis is not None and not isinstance(axis, tuple):
            if isinstance(axis, (bool, np.bool)):
                raise TypeError(f"{row.name}: axis must be an integer, a tuple of integers or None, not bool")
            axis, single = operator.index(axis), True
        if not hasattr(type(x), "__array_ufunc__"):
            x = np.asarray(x)
        if where is not True:
            where = np.broadcast_to(where, x.shape)
            if "dtype" in kwargs:  # a gufunc would ask it of the mask, too
                dtype = kwargs.pop("dtype")
                kwargs["signature"] = (dtype, bool, dtype)
        if single and x.ndim:
            operands = (x,) if where is True else (x, where)
            return (ufunc if where is True else masked)(*operands, axis=axis, out=out, **kwargs)
        return _flattened(function, x, axis, out, where, kwargs)

    function.__name__ = function.__qualname__ = row.name
    function.__module__ = "fastsig"
    return function


def _flattened(function, x, axis, out, where, kwargs):
    """Over several axes, all, or those of a 0-d array: they become one last axis, as a view where that is possible."""
    if not hasattr(type(x), "__array_function__"):  # a pandas object, say, which has no transpose(axes)
        x = np.asarray(x)
    ndim, shape = x.ndim, x.shape
    if ndim:
        axes = range(ndim) if axis is None else normalize_axis_tuple(axis, ndim)
    else:  # as in torch, a single number has axis 0
        for i in axis if isinstance(axis, tuple) else () if axis is None else (axis,):
            if operator.index(i) not in {0, -1}:
                raise np.exceptions.AxisError(i, 0)
        axes = ()
    order = [i for i in range(ndim) if i not in axes] + list(axes)
    back = np.argsort(order)
    kept = ndim - len(axes)
    flat_shape = [shape[i] for i in order[:kept]] + [math.prod(shape[i] for i in order[kept:])]
    moved_shape = [shape[i] for i in order]

    def flat(array):
        return array.transpose(order).reshape(flat_shape)

    where = where if where is True else flat(where)
    if isinstance(out, tuple) and len(out) == 1:
        (out,) = out
    if out is None or out is ...:
        result = function(flat(x), where=where, **kwargs).reshape(moved_shape).transpose(back)
        if kwargs.get("order", "K") != "K":
            result = np.asarray(result, order=kwargs["order"])
        return result if out is ... else result[()]
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{function.__name__}: return arrays must be of ArrayType")
    if out.shape != shape:
        raise ValueError(f"{function.__name__}: out has shape {out.shape}, x has {shape}")
    view = flat(out)
    if np.may_share_memory(view, out):
        function(flat(x), where=where, out=view, **kwargs)
    else:
        result = function(flat(x), where=where, **kwargs).reshape(moved_shape).transpose(back)
        np.copyto(out, result, casting=kwargs.get("casting", "same_kind"))
    return out


functions = {}
for _row in TABLE:
    if _row.kind == "rows":
        functions[_row.name] = _along_axis(_row)
    elif _row.parameters:
        functions[_row.name] = with_parameters(_row, ufuncs[_row.name])
    else:
        functions[_row.name] = ufuncs[_row.name]
        continue
    functions[_row.name].__doc__ = docstring(_row)
