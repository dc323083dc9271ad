"""The Python face: ufuncs without parameters as they are, and thin functions over those with parameters or an axis."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ._backend import kernels, ufuncs
from ._catalog import TABLE
from ._docs import docstring


def _with_parameters(row):
    """The public function of an elementwise row with parameters, as one would write it by hand."""
    names = ", ".join(parameter.name for parameter in row.parameters)
    defaults = ", ".join(f"{parameter.name}={parameter.default!r}" for parameter in row.parameters)
    namespace = {"ufunc": ufuncs[row.name], "__name__": "fastsig"}
    exec(f"def {row.name}(x, {defaults}, **kwargs):\n    return ufunc(x, {names}, **kwargs)", namespace)
    return namespace[row.name]


def _along_axis(row):
    """The public function of a row function: everything the gufunc does not know about axes and masks."""
    ufunc, masked, direct = ufuncs[row.name], ufuncs[row.name + "_where"], kernels.build_direct(row.name)

    def function(x, axis=-1, *, out=None, where=True, **kwargs):
        if out is None and where is True and not kwargs:
            result = direct(x, axis)
            if result is not None:
                return result
        try:
            ndim = x.ndim
        except AttributeError:
            x = np.asarray(x)
            ndim = x.ndim
        if where is not True:
            where = np.broadcast_to(where, x.shape)
            if "dtype" in kwargs:  # a gufunc would ask it of the mask, too
                dtype = kwargs.pop("dtype")
                kwargs["signature"] = (dtype, bool, dtype)
        if ndim and type(axis) is int:
            operands = (x,) if where is True else (x, where)
            return (ufunc if where is True else masked)(*operands, axis=axis, out=out, **kwargs)
        return _flattened(function, x, axis, out, where, kwargs)

    function.__name__ = function.__qualname__ = row.name
    function.__module__ = "fastsig"
    return function


def _flattened(function, x, axis, out, where, kwargs):
    """Over several axes, all, or those of a 0-d array: they become one last axis, as a view where that is possible."""
    ndim, shape = x.ndim, x.shape
    axes = range(ndim) if axis is None else normalize_axis_tuple(axis, ndim or 1)
    kept = [i for i in range(ndim) if i not in axes]
    order = kept + list(axes if ndim else ())
    flat_shape = [shape[i] for i in kept] + [
        -1 if 0 not in shape else int(np.prod([shape[i] for i in order[len(kept) :]]))
    ]

    def flat(array):
        return array.transpose(order).reshape(flat_shape)

    if isinstance(out, tuple):
        (out,) = out
    if out is not None and np.shape(out) != shape:
        raise ValueError(f"{function.__name__}: out has shape {np.shape(out)}, x has {shape}")
    where = where if where is True else flat(where)
    if out is None:
        result = function(flat(x), where=where, **kwargs)
        return result.reshape([shape[i] for i in order]).transpose(np.argsort(order))[()]
    view = flat(out)
    if np.may_share_memory(view, out):
        function(flat(x), where=where, out=view, **kwargs)
    else:
        np.copyto(
            out,
            function(flat(x), where=where, **kwargs).reshape([shape[i] for i in order]).transpose(np.argsort(order)),
        )
    return out


functions = {}
for _row in TABLE:
    if _row.kind == "rows":
        functions[_row.name] = _along_axis(_row)
    elif _row.parameters:
        functions[_row.name] = _with_parameters(_row)
    else:
        functions[_row.name] = ufuncs[_row.name]
        continue
    functions[_row.name].__doc__ = docstring(_row)
