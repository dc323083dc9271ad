"""The Python face: ufuncs without parameters as they are, and thin functions over those with parameters or an axis."""

import functools
import math
import operator
from collections.abc import Hashable

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ._backend import kernels, ufuncs
from ._catalog import TABLE, expanded, refuse
from ._docs import docstring, gradient_docstring
from ._lazy import Made

_OPTIONS = {"out": None, "where": True, "dtype": None, "casting": "same_kind", "order": "K", "subok": True}


def _signed(function):
    """A function whose signature, for help and completion, has a ufunc's options in the place of **kwargs."""
    import inspect  # not at the top, see test_import_is_short: NumPy before 2.3 does without

    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    missing = {name: default for name, default in _OPTIONS.items() if name not in {p.name for p in own}}
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(name, keyword, default=default) for name, default in missing.items()]
    function.__signature__ = inspect.Signature([*own, *options])
    return function


def _wrong_choice(row, chosen, value):
    """The error for a word that is none of those."""
    kind, shown = (ValueError, repr(value)) if isinstance(value, Hashable) else (TypeError, type(value).__name__)
    return kind(f"{row.name}: {row.choice.name} must be {' or '.join(map(repr, chosen))}, not {shown}")


def elementwise(row, functions, doc, inputs="x", arrays=True, module="fastsig"):
    """The public function of an elementwise row, over `functions` by name: itself, if there is nothing to add; else as
    one would write it by hand, with the defaults of the parameters or of the word that chooses a variant. Of arrays, it
    has a ufunc's options."""
    if row.is_ufunc:
        return functions[row.name]
    if row.choice:
        chosen = {variant.choice.default: functions[name] for name, variant in expanded(row)}
        names, shortcut = [row.choice.name], functions[row.name]
        namespace = {"chosen": chosen, "wrong_choice": functools.partial(_wrong_choice, row, chosen)}
        namespace |= {f"default_{row.choice.name}": row.choice.default}
        function, arguments = "function", inputs
    else:
        names, shortcut = [parameter.name for parameter in row.parameters], functions.get(f"{row.name}_default")
        namespace = {f"default_{parameter.name}": parameter.default for parameter in row.parameters}
        namespace["function"] = functions[row.name]
        function, arguments = "function", ", ".join([inputs, *names])
    given = [inputs, *(name if name in row.operands else f"{name}=default_{name}" for name in names)]

    def calls(callee, arguments, indent):
        if not arrays:
            return [f"{indent}return {callee}({arguments})"]
        return [  # without **kwargs, which take as long as a small call; out=None is not the same as no `out`
            f"{indent}if not kwargs:",
            f"{indent}    return {callee}({arguments})",
            f"{indent}if len(kwargs) == 1 and 'out' in kwargs:",
            f"{indent}    return {callee}({arguments}, out=kwargs['out'])",
        ]

    code = [f"def {row.name}({', '.join(given)}{', **kwargs' if arrays else ''}):"]
    if shortcut:  # a small call takes half the time; an error that names it is said by the function, under its own name
        code += [f"    if {' and '.join(f'{name} is default_{name}' for name in names)}:", "        try:"]
        code += [*calls("shortcut", inputs, " " * 12), "        except TypeError as error:"]
        code += ["            if '_default' not in str(error):", "                raise"]
    if row.choice:
        code += [
            "    try:",
            f"        function = chosen[{row.choice.name}]",
            "    except (KeyError, TypeError):",
            f"        raise wrong_choice({row.choice.name}) from None",
        ]
    code += calls(function, arguments, " " * 4)
    if arrays:
        code += [f"    refuse({row.name!r}, kwargs)", f"    return {function}({arguments}, **kwargs)"]
        namespace |= {"refuse": refuse}
    namespace |= {"shortcut": shortcut, "__name__": module}
    exec("\n".join(code), namespace)
    namespace[row.name].__doc__ = doc
    return _signed(namespace[row.name]) if arrays else namespace[row.name]


def _axes(name, axis, ndim):
    """An axis argument as a tuple of axes; as in torch and SciPy, a single number has axis 0."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    numbers = axis if isinstance(axis, tuple) else (axis,)
    for number in numbers:
        if isinstance(number, (bool, np.bool)) or not hasattr(number, "__index__"):
            kind = type(number).__name__
            raise TypeError(f"{name}: axis must be an integer, a tuple of integers or None, not {kind}")
    axes = normalize_axis_tuple(numbers, max(ndim, 1))
    return axes if ndim else ()


def _array(x):
    """An array, perhaps of a subclass. A memory map's results are plain arrays anyhow."""
    return np.asarray(x) if type(x) is np.memmap else np.asanyarray(x)


def _over_axes(name, parameter=None):
    """A function of operands, axis, out, where and other options: what the gufunc `name` does not know of these. And of
    the parameter's values, one a row, if these are not its default."""
    reduces = ufuncs[name].signature.endswith("()")

    def call(operands, axis, out, where, kwargs, of_rows=None):
        operands = list(map(_array, operands))
        if kwargs.get("casting") in {"no", "equiv"} and not name.endswith("_backward"):
            # To float64 is no cast: the elementwise functions have such loops, and their gradients have not.
            operands = [x.astype(float) if x.dtype.kind in "biu" else x for x in operands]
        if len(operands) > 1 and any(x.shape != operands[0].shape for x in operands):
            operands = _broadcast(name, operands, axis)
        shape, beside, ufunc = operands[0].shape, (), name
        if of_rows is not None:
            beside = (_row_numbers(name, parameter, of_rows, shape, _axes(name, axis, len(shape))),)
            ufunc += f"_{parameter.name}"
        ufunc = ufuncs[ufunc + "_where" * (where is not True)]
        if where is not True:
            where = np.broadcast_to(_bools(where), shape)
        if where is not True or beside:
            dtype = kwargs.pop("dtype", None)
            if dtype is not None:  # a gufunc would ask it of the mask, too
                others = [float] * len(beside) + [bool] * (where is not True)
                kwargs["signature"] = (*[None] * len(operands), *others, dtype)
        if (out is None or out is ...) and shape and not reduces:
            out = _empty_like(operands, beside, axis, ufunc, kwargs)
        if type(axis) is not int or not shape:
            axes = _axes(name, axis, len(shape))
            if len(axes) != 1 or axis is None or isinstance(axis, tuple):
                with_parameter = functools.partial(call, of_rows=beside[0] if beside else None)
                return _flattened(with_parameter, ufunc, operands, axes, out, where, kwargs)
            (axis,) = axes
        masks = () if where is True else (where,)
        return ufunc(*operands, *beside, *masks, axis=axis, out=out, **kwargs)

    return call


def _without_axes(values, ndim, axes):
    """What is one a row beside an array of ndim axes, without those that it may have, with length 1."""
    if len(values.shape) != ndim or any(values.shape[i] != 1 for i in axes):
        return values
    return values.squeeze(axis=axes[0] if len(axes) == 1 else axes)


def _row_numbers(name, parameter, values, shape, axes):
    """A parameter's values as float64, one a row of an array of this shape."""
    values = np.asarray(values)
    if not np.can_cast(values.dtype, float):
        raise TypeError(f"{name}: {parameter.name} must be of numbers that float64 can hold, not of {values.dtype}")
    kept = tuple(n for i, n in enumerate(shape) if i not in axes)
    try:
        with np.errstate(invalid="ignore"):  # a signalling NaN
            numbers = np.broadcast_to(_without_axes(values, len(shape), axes).astype(float, copy=False), kept)
    except ValueError:
        beside = f"neither broadcasts to {kept}, x without its axis, nor has x's {len(shape)} axes with length 1 there"
        raise ValueError(f"{name}: {parameter.name} has shape {values.shape}, which {beside}") from None
    with np.errstate(invalid="ignore"):  # bfloat16's NaN
        above = values > 0
    if not np.all(above):
        at = np.unravel_index(np.argmin(above), values.shape)
        place = f" at {', '.join(map(str, at))}" if at else ""
        raise ValueError(f"{name}: {parameter.name} must be above 0, not {values[at].item()!r}{place}")
    return numbers


def _empty_like(operands, beside, axis, ufunc, kwargs):
    """A new result laid out as the last operand, which is the function's input or output: NumPy would put the axis
    last in memory, whatever the operands' order. None where that is right, and for subclasses: NumPy wraps theirs."""
    if any(type(x) is not np.ndarray for x in operands):
        return None
    dtype, order = operands[-1].dtype, kwargs.get("order", "K")
    last = type(axis) is int and axis in {-1, operands[-1].ndim - 1} and order in {"K", "C"}
    if last and all(x.flags.c_contiguous for x in operands):
        return None
    if kwargs or dtype.char not in "efd" or not dtype.isnative or any(x.dtype != dtype for x in operands):
        nothing = [np.empty(0, x.dtype) for x in (*operands, *beside)]
        dtype = ufunc(*nothing, *[np.empty(0, bool)] * (ufunc.nin - len(nothing)), **kwargs).dtype
    if order == "A":
        order = "F" if all(x.flags.f_contiguous for x in operands) else "C"
    return np.empty_like(operands[-1], dtype, order)


def _bools(where):
    """where= as an array. A list may be of numbers, as in NumPy's ufuncs, and as an empty one is."""
    where = np.array(where, bool) if isinstance(where, (list, tuple)) else np.asarray(where)
    if where.dtype != bool:
        raise TypeError(f"where must be of bools, not of {where.dtype}")
    return where


def _checked_out(name, out, shape, dtype=None, casting="same_kind", **_):
    """A NumPy array to write to, which is not stretched, or None; unless a ufunc will see to it, of a dtype that the
    result can be cast to."""
    if out is None or out is ...:
        return None
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name}: return arrays must be of ArrayType")
    if out.shape != shape:
        raise ValueError(f"{name}: out has shape {out.shape}, the result has {shape}")
    if dtype is not None and not np.can_cast(dtype, out.dtype, casting):
        raise TypeError(f"{name}: cannot cast the result from {dtype!r} to {out.dtype!r} with {casting=}")
    return out


def _broadcast(name, operands, axis):
    """Operands of one shape, from different ones that fit: along the axes none may be stretched, as in a gufunc."""
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    axes = _axes(name, axis, len(shape))
    for x in operands:
        own = (1,) * (len(shape) - x.ndim) + tuple(x.shape)
        if any(own[i] != shape[i] for i in axes):
            raise ValueError(f"{name}: an operand has shape {x.shape}, which does not broadcast along an axis")
    return [np.broadcast_to(x, shape, subok=True) for x in operands]


def _flattened(call, ufunc, operands, axes, out, where, kwargs):
    """Over several axes, all, or those of a 0-d array: they become one last axis, as a view where that is possible."""
    ndim, shape = operands[0].ndim, operands[0].shape
    order = [i for i in range(ndim) if i not in axes] + list(axes)
    back = sorted(range(ndim), key=order.__getitem__)
    kept = ndim - len(axes)
    flat_shape = [shape[i] for i in order[:kept]] + [math.prod(shape[i] for i in order[kept:])]
    moved_shape = [shape[i] for i in order]

    def flat(array):
        return array.transpose(order).reshape(flat_shape)

    if isinstance(out, np.ndarray):  # it is the result, whatever the operands are: a matrix could not be of one axis
        operands = map(np.asarray, operands)
    operands, where = [flat(x) for x in operands], where if where is True else flat(where)
    if ufunc.signature.endswith("()"):  # the result lies along the other axes
        return call(operands, -1, out, where, kwargs)
    if out is None or out is ...:
        result = call(operands, -1, None, where, kwargs).reshape(moved_shape).transpose(back)
        if kwargs.get("order", "K") != "K":
            result = np.asarray(result, order=kwargs["order"])
        return result if out is ... else result[()]
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{ufunc.__name__}: return arrays must be of ArrayType")
    if out.shape != shape:
        raise ValueError(f"{ufunc.__name__}: out has shape {out.shape}, x has {shape}")
    view = flat(out)
    if np.may_share_memory(view, out):
        call(operands, -1, view, where, kwargs)
    else:
        result = call(operands, -1, None, where, kwargs).reshape(moved_shape).transpose(back)
        np.copyto(out, result, casting=kwargs.get("casting", "same_kind"))
    return out


_BLOCK = 2**15  # elements
_LANES = 64  # rows side by side that kernels run together

_PLAIN = frozenset([np.ndarray, np.memmap, *np.ScalarType, list, tuple, type(None), type(...)])


def _one_array(name, out):
    """`out`, which may be a tuple of one, as a ufunc's."""
    if not isinstance(out, tuple):
        return out
    if len(out) != 1:
        raise ValueError(f"{name}: out must be an array, or a tuple of one, not of {len(out)}")
    if isinstance(out[0], tuple):
        raise TypeError(f"{name}: return arrays must be of ArrayType")
    return out[0]


def _others(out, *operands):
    """The module for arrays that are not plain, if one of these is not."""
    if _PLAIN.issuperset(map(type, (out, *operands))):
        return None
    from . import _arrays  # when the first of them comes

    return _arrays


# A call along an axis, as _arrays has it, of a public function; by name, so that they can be pickled.


def _of_rows(function, x, temperature, axis, keepdims=False, **options):
    return function(x, axis, **options if temperature is None else {"temperature": temperature} | options)


def _of_gradient(function, x, grad_output, axis, **options):
    return function(grad_output, x, axis, **options)


def _of_rows_gradient(function, temperature, x, grad_output, axis, **options):
    return function(grad_output, x, axis, temperature=temperature, **options)


def _of_reduction(function, x, b, axis, **options):
    return function(x, axis, b, **options)


def _target_without_axis(x, target, axis):
    """A target without the axis that is kept, with length 1, of classes; an empty one may be of floats."""
    array = np.asanyarray(target)
    of_classes = array.ndim and (array.dtype.kind in "iu" or not array.size)
    return _without_axes(array, np.ndim(x), (axis,)) if of_classes else target


def _of_loss(function, x, target, axis, keepdims=False, **options):
    result = function(x, _target_without_axis(x, target, axis) if keepdims else target, axis, **options)
    return np.expand_dims(result, axis) if keepdims and np.ndim(x) else result


def _of_loss_gradient(function, grad_output, x, target, axis, keepdims=False, **options):
    return function(grad_output, x, _target_without_axis(x, target, axis) if keepdims else target, axis, **options)


def _named(function, row, doc, module="fastsig"):
    """A public function under its row's name."""
    function.__name__ = function.__qualname__ = row.name
    function.__module__, function.__doc__ = module, doc
    return _signed(function)


def _is_one(temperature):
    """Whether a number for all rows changes nothing."""
    return isinstance(temperature, (float, int)) and temperature == 1


def _without_axis(name, parameter, values, x, axis):
    """A parameter's values beside an array that is not plain, without the axis: as they are, or as a number."""
    ndim, own = (a.ndim if hasattr(a, "ndim") else np.ndim(a) for a in (x, values))
    if _PLAIN.issuperset([type(values)]):
        values = np.asarray(values) if own else _row_numbers(name, parameter, values, (), ()).item()
    if own != ndim or own == 0:
        return values
    bare = _without_axes(values, ndim, _axes(name, axis, ndim)) if hasattr(values, "squeeze") else values
    if bare is values:
        raise ValueError(f"{name}: {parameter.name} has x's {ndim} axes, but is to have one number a row")
    return bare


def _rows(row):
    """The public function of a row function."""
    (parameter,) = row.parameters
    call, direct = _over_axes(row.name, parameter), kernels.build_direct(row)

    def function(x, axis=-1, *, temperature=parameter.default, out=None, where=True, **kwargs):
        if (type(axis) is int or axis is None) and where is True and not kwargs:
            result = direct(x, axis, out, temperature)
            if result is not None:
                return result
        if kwargs:
            refuse(row.name, kwargs)
        values = None if _is_one(temperature) else temperature
        out = _one_array(row.name, out)
        if others := _others(out, x, where, temperature):
            way, tempered = functools.partial(_of_rows, function), {}
            if values is not None:
                values, kwargs = _without_axis(row.name, parameter, values, x, axis), kwargs | {"keepdims": False}
                tempered = {"other_lacks_axis": True, "by_row": parameter.name}
            result = others.along(others.Call(row.name, way, x, values, axis, out, where, kwargs, **tempered))
            if result is not NotImplemented:
                return result
            kwargs.pop("keepdims", None)
        return call((x,), axis, out, where, kwargs, values)

    return _named(function, row, docstring(row))


def _divided(call, name, operands, axis, out, where, kwargs, parameter, values):
    """The gradient of grad_output over a row's number, in float64. If that is very large or small, it is divided by
    some of it before, by the rest after: as it would overflow, or the product with a small y underflow."""
    grad, y = map(_array, operands)
    shape = np.broadcast_shapes(grad.shape, y.shape)
    axes = _axes(name, axis, len(shape))
    numbers = _row_numbers(name, parameter, values, shape, axes)
    numbers = np.expand_dims(numbers, axes) if shape else numbers
    dtype = ufuncs[name](np.empty(0, grad.dtype), np.empty(0, y.dtype), **kwargs).dtype
    with np.errstate(all="ignore"):
        some = np.clip(numbers, 2.0**-500, 2.0**500)
        divided = np.divide(grad, some, dtype=float)
        if dtype.char == "d" and np.array_equal(some, numbers):
            return call((divided, y), axis, out, where, kwargs)
        given = _checked_out(name, out, shape, **kwargs | {"dtype": dtype})
        options = {option: value for option, value in kwargs.items() if option in {"order", "subok"}}
        result = np.asanyarray(call((divided, y.astype(float, copy=False)), axis, None, where, options))
        result = (result / (numbers / some)).astype(dtype, copy=False)
        return _handed_over(result, given, out)


def _rows_gradient(row):
    """The public gradient of a row function, from the function's output."""
    name, (parameter,) = f"{row.name}_backward", row.parameters
    call, direct = _over_axes(name), kernels.build_direct(row, True)

    def function(grad_output, y, axis=-1, *, temperature=parameter.default, out=None, where=True, **kwargs):
        if (type(axis) is int or axis is None) and where is True and not kwargs:
            result = direct(y, axis, out, temperature, grad_output)
            if result is not None:
                return result
        if kwargs:
            refuse(row.name, kwargs)
        values = None if _is_one(temperature) else temperature
        out = _one_array(row.name, out)
        if others := _others(out, grad_output, y, where, temperature):
            way, options, of_rows = functools.partial(_of_gradient, function), kwargs, None
            if values is not None:
                values = _without_axis(name, parameter, values, y, axis)
                if type(values) is float:
                    options = kwargs | {parameter.name: values}
                else:
                    way, of_rows = functools.partial(_of_rows_gradient, function), values
            beside = {"grad": of_rows, "by_row": parameter.name}
            result = others.along(others.Call(name, way, y, grad_output, axis, out, where, options, **beside))
            if result is not NotImplemented:
                return result
        if values is not None:
            return _divided(call, name, (grad_output, y), axis, out, where, kwargs, parameter, values)
        return call((grad_output, y), axis, out, where, kwargs)

    return _named(function, row, gradient_docstring(row), "fastsig.backward")


def _reduction(row):
    """The public function of a reduction, with the options that SciPy gives logsumexp."""
    call, direct, slope = _over_axes(row.name), kernels.build_direct(row), functions[row.gradient.slope]

    def function(x=..., axis=None, b=None, keepdims=False, return_sign=False, *, a=..., out=None, where=True, **kwargs):
        if a is not ...:  # as SciPy calls it
            if x is not ...:
                raise TypeError(f"{row.name}() got 'x' and 'a', two names of one argument")
            x = a
        elif x is ...:
            raise TypeError(f"{row.name}() missing 1 required positional argument: 'x'")
        if b is None and out is None and where is True and not return_sign and not kwargs:
            result = direct(x, axis) if axis is None or type(axis) is int else None
            if result is not None:
                kept = (1,) * x.ndim if axis is None else (*x.shape[:axis], 1, *x.shape[axis:][1:])
                return result.reshape(kept) if keepdims else result
        if kwargs:
            refuse(row.name, kwargs)
        out = _one_array(row.name, out)
        if others := _others(out, x, b, where):
            way, options = (
                functools.partial(_of_reduction, function),
                {"keepdims": keepdims, "return_sign": return_sign},
            )
            result = others.along(others.Call(row.name, way, x, b, axis, out, where, options | kwargs, reduces=True))
            if result is not NotImplemented:
                return result
        if b is None and out is None and not keepdims and not return_sign:
            return call((x,), axis, None, where, kwargs)
        x = _array(x)
        shift = None
        if b is not None:
            dtype = _common_dtype(row, x, b, kwargs)
            shift = _log_of_one(b, x)
            if shift is not None:
                x, b = x.astype(float, copy=False), None
            else:
                x, b = np.broadcast_arrays(x, b)
        if not x.ndim:
            x, b = x.reshape(1), b if b is None else b.reshape(1)
        axes = _axes(row.name, axis, x.ndim)
        target = out
        if isinstance(out, np.ndarray):
            shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
            if out.shape != shape:  # it must not broadcast
                raise ValueError(f"{row.name}: out has shape {out.shape}, the result has {shape}")
            target = out.squeeze(axes) if keepdims else out
        if b is not None:
            with np.errstate(all="ignore"):
                result, sign = _weighted(slope, call, x, b, axes, where, dtype)
            result = result if return_sign else np.where(sign < 0, np.asarray(np.nan, dtype), result)
        else:
            straight = shift is None and not return_sign
            options = kwargs if shift is None else {}
            result = call((x,), axes[0] if len(axes) == 1 else axes, target if straight else None, where, options)
            if shift is not None:
                with np.errstate(all="ignore"):
                    result = (result + shift).astype(dtype)
            sign = np.where(np.isnan(result), result, result > -np.inf).astype(result.dtype) if return_sign else None
        if b is not None or shift is not None or return_sign:  # of which `out` may hold less than the sign depends on
            result = np.positive(result, out=target, casting=kwargs.get("casting", "same_kind"))
        if keepdims:
            result, sign = np.expand_dims(result, axes), sign if sign is None else np.expand_dims(sign, axes)
        result = out if isinstance(out, np.ndarray) else result
        return (result, sign[()]) if return_sign else result

    return _named(function, row, docstring(row))


def _reduction_gradient(row):
    """The public gradient of a reduction whose derivative is a row function: grad_output times that."""
    slope, direct = functions[row.gradient.slope], kernels.build_direct(row, True)

    def function(grad_output, x, axis=None, keepdims=False, *, out=None, where=True, **kwargs):
        if (type(axis) is int or axis is None) and keepdims is False and where is True and not kwargs:
            result = direct(x, axis, out, None, grad_output)
            if result is not None:
                return result
        if kwargs:
            refuse(row.name, kwargs)
        out = _one_array(row.name, out)
        if others := _others(out, grad_output, x, where):
            way, options = functools.partial(_of_gradient, function), {"keepdims": keepdims} | kwargs
            name = f"{row.name}_backward"
            result = others.along(
                others.Call(name, way, x, grad_output, axis, out, where, options, other_lacks_axis=True)
            )
            if result is not NotImplemented:
                return result
        x = np.asarray(x)
        axes = _axes(row.name, axis, x.ndim)
        kept = [1 if i in axes else n for i, n in enumerate(x.shape)]
        shape = tuple(kept if keepdims else [n for i, n in enumerate(x.shape) if i not in axes])
        grad = np.asarray(grad_output)
        grad = (grad if grad.shape == shape else np.broadcast_to(grad, shape)).reshape(kept)
        dtype = _common_dtype(row, x, grad_output, kwargs)
        wide = np.result_type(dtype, np.float32)  # so that 16-bit types are rounded once
        given, casting = isinstance(out, np.ndarray), kwargs.get("casting", "same_kind")
        if given and out.shape != x.shape:  # it must not broadcast
            raise ValueError(f"{row.name}: out has shape {out.shape}, x has {x.shape}")
        if given and not np.can_cast(dtype, out.dtype, casting):
            raise TypeError(f"{row.name}: cannot cast the result from {dtype!r} to {out.dtype!r} with {casting=}")
        target = out if not given or (out.dtype == wide and not np.may_share_memory(out, grad)) else None
        order = kwargs.get("order", "K")
        options = {} if order == "K" else {"order": order}
        along = None if axis is None else axes[0] if len(axes) == 1 else axes
        with np.errstate(all="ignore"):
            result = slope(_cast(x, wide), along, out=target, where=where, **options)
            grad = (grad if where is True else np.where(where, grad, grad.dtype.type(0))).astype(wide, copy=False)
            target = out if given else np.asarray(result)
            if target.dtype == wide:
                np.multiply(result, grad, out=target)
                return target if given else _cast(target, dtype)[()]
            return _stored(np.multiply(result, grad), out)

    return _named(function, row, gradient_docstring(row), "fastsig.backward")


def _stored(x, out):
    """`out`, with the numbers of x. NumPy takes 50 ns for each that is subnormal in float16, or underflows."""
    if x.dtype.itemsize + out.dtype.itemsize == 6:  # float32 and one of 16 bits
        plain = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        if kernels.convert(np.asarray(x, order="C"), plain):
            x = plain
    if x is not out:
        np.copyto(out, x, casting="unsafe")
    return out


def _cast(x, dtype):
    """An array of this dtype, laid out as x, which it may be."""
    return x if x.dtype == dtype else _stored(x, np.empty_like(x, dtype, subok=False))


def _common_dtype(row, x, other, kwargs):
    """The dtype of a reduction's result that has two operands, by calls for nothing, which refuse other dtypes."""
    other = x.dtype if type(other) in {bool, int, float} else np.asarray(other).dtype
    if other == x.dtype and other.char in "efd" and not kwargs:
        return np.dtype(other.char)
    for dtype in (x.dtype, other):
        ufuncs[row.name](np.empty(0, dtype))
    return _promoted(row.name, ufuncs[f"{row.gradient.slope}_backward"], other, x.dtype, kwargs)


def _promoted(name, ufunc, first, second, options):
    """The dtype of a ufunc's result, by a call for nothing. An error speaks of the function that was called."""
    try:
        return ufunc(np.empty(0, first), np.empty(0, second), **options).dtype
    except TypeError as error:
        raise TypeError(str(error).replace(ufunc.__name__, name)) from None


def _log_of_one(b, x):
    """The logarithm of a weight that all entries share, if it is one positive number; else None."""
    b = np.asarray(b)
    if b.size != 1 or b.ndim > x.ndim or not 0 < b.item() < math.inf:
        return None
    return math.log(b.item())


def _weighted(softmax, plain, x, b, axes, where, dtype):
    """log(abs(sum(b * exp(x)))) over axes, and the sum's sign. Weights of 0 keep what has them out of the sum."""
    where = where if where is True else np.broadcast_to(_bools(where), x.shape)
    kept = [i for i in range(x.ndim) if i not in axes]
    longest = max(kept, key=x.shape.__getitem__, default=x.ndim)
    if longest >= x.ndim - 1 or x.size <= _BLOCK:
        return tuple(each.astype(dtype) for each in _weighted_block(softmax, plain, x, b, axes, where))
    result, sign = np.empty((2, *(x.shape[i] for i in kept)), dtype)
    for part, at in _blocks(x.shape, axes):
        masks = where if where is True else where[part]
        result[at], sign[at] = _weighted_block(softmax, plain, x[part], b[part], axes, masks)
    return result, sign


def _weighted_block(softmax, plain, x, b, axes, where):
    part = b != 0
    if where is not True or not part.all():
        part &= where
        x, b = np.where(part, x, -np.inf), np.where(part, b, b.dtype.type(0))
    wide, axis = x.astype(float, copy=False), axes[0] if len(axes) == 1 else axes
    result = plain((wide,), axis, None, True, {})
    terms = softmax(wide, axis, out=None if wide is x else wide)
    # NumPy's sums depend on how the terms lie, and so would a row's bits.
    if axes == (x.ndim - 1,) and x.shape[-1] < 64:  # where a sum over so few takes NumPy long
        total = np.vecdot(*(a if a.strides[-1] == a.itemsize else np.ascontiguousarray(a) for a in (terms, b)))
    else:
        total = np.ascontiguousarray(np.multiply(terms, b, out=terms)).sum(axes)
    result, sign = np.asarray(result + np.log(np.abs(total))), np.asarray(np.sign(total))
    # Near 0 the two logarithms may cancel; and what is infinite or NaN is no matter of speed.
    hard = ~((np.abs(result) > 0.5) & (np.abs(result) < np.inf))
    if hard.any():
        order = [i for i in range(x.ndim) if i not in axes] + list(axes)
        rows = (a.transpose(order).reshape(*result.shape, -1)[hard].astype(float) for a in (x, b))
        result[hard], sign[hard] = _weighted_rows(*rows)
    return result, sign


def _weighted_rows(x, b):
    """The same along the last axis, without a rounding of the largest term or of what is added to it."""
    top = np.clip(x.max(-1, keepdims=True, initial=-np.inf), np.finfo(float).min, np.finfo(float).max)
    main = np.where(x == top, b, 0).sum(-1)
    # An infinite weight outweighs whatever is more than exp(-inf).
    rest = np.where(x == top, 0, np.where(np.isinf(b) & (x > -np.inf), b, b * np.exp(x - top))).sum(-1)
    # log1p keeps what a sum of 1 + tiny would lose.
    precise = np.log(np.abs(main)) + np.log1p(rest / main)
    excess = np.where((np.abs(rest) < np.abs(main)) & np.isfinite(main), precise, np.log(np.abs(main + rest)))
    return top.squeeze(-1) + excess, np.sign(main + rest)


# Of the halves of an axis: elementwise, and without a copy of them.


def _halved(name, x, axis):
    """Both halves of an axis, as views."""
    if axis is None or isinstance(axis, tuple):
        raise TypeError(f"{name}: axis must be an integer, not {axis!r}")
    axes = _axes(name, axis, x.ndim)
    n = x.shape[axes[0]] if axes else 1
    if n != n:
        raise ValueError(f"{name}: axis {axis} is of unknown length: call compute_chunk_sizes()")
    if n % 2:
        raise ValueError(f"{name}: axis {axis} has the odd length {n}, and no halves")
    before = (slice(None),) * axes[0]
    return x[(*before, slice(n // 2))], x[(*before, slice(n // 2, None))]


def _check_gradient(name, shape, of_result):
    """A ValueError unless grad_output has, or can be stretched to, the shape of the result."""
    if len(shape) > len(of_result) or any(n not in {1, m} for n, m in zip(shape[::-1], of_result[::-1])):
        raise ValueError(f"{name}: grad_output has shape {shape}, the result {of_result}")


def _halves(row):
    """The public function of the halves of an axis."""
    ufunc, direct = ufuncs[row.name], kernels.build_direct_halves(row.name)

    def function(x, axis=-1, *, out=None, where=True, **kwargs):
        if type(axis) is int and where is True and not kwargs:
            result = direct(x, axis, out)
            if result is not None:
                return result
        if kwargs:
            refuse(row.name, kwargs)
        out = _one_array(row.name, out)
        if others := _others(out, x, where):
            result = others.halves(others.Call(row.name, function, x, None, axis, out, where, kwargs))
            if result is not NotImplemented:
                return result
        x = _array(x)
        if kwargs.get("casting") in {"no", "equiv"} and x.dtype.kind in "biu":  # to float64 is no cast
            x = x.astype(float)
        return ufunc(*_halved(row.name, x, axis), out=out, where=where, **kwargs)

    return _named(function, row, docstring(row))


def _halves_gradient(row):
    """The public gradient of a function of the halves of an axis."""
    linear, gate = ufuncs[f"{row.name}_backward_linear"], ufuncs[f"{row.name}_backward"]
    direct = kernels.build_direct_halves(f"{row.name}_backward")

    def function(grad_output, x, axis=-1, *, out=None, where=True, **kwargs):
        if type(axis) is int and where is True and not kwargs:
            result = direct(x, axis, out, grad_output)
            if result is not None:
                return result
        if kwargs:
            refuse(row.name, kwargs)
        out = _one_array(row.name, out)
        if others := _others(out, grad_output, x, where):
            name = f"{row.name}_backward"
            result = others.halves(others.Call(name, function, x, grad_output, axis, out, where, kwargs))
            if result is not NotImplemented:
                return result
        x = _array(x)
        a, b = _halved(row.name, x, axis)
        _check_gradient(row.name, np.shape(grad_output), a.shape)
        given, order = _checked_out(row.name, out, x.shape), kwargs.pop("order", "K")
        if given is None:
            asked = {name: value for name, value in kwargs.items() if name != "subok"}
            weak = type(grad_output) in {bool, int, float}
            nothing = grad_output if weak else np.empty(0, np.asarray(grad_output).dtype)
            dtype = linear(nothing, np.empty(0, x.dtype), **asked).dtype
            given = np.empty_like(x, dtype, order, kwargs.get("subok", True))
        elif any(np.may_share_memory(given, each) for each in (x, grad_output)):
            grad_output, a, b = (np.array(each, subok=True) for each in (grad_output, a, b))
        first, second = _halved(row.name, given, axis)
        linear(grad_output, b, out=first, where=where, order=order, **kwargs)
        gate(grad_output, a, b, out=second, where=where, **kwargs)
        return given

    return _named(function, row, gradient_docstring(row), "fastsig.backward")


# Losses: what a row's target is, and blocks of rows where it is not a class alone.


def _blocks(shape, axes):
    """Pieces of an array that stay in the cache: (where they are, where the results are that lack these axes)."""
    kept = [i for i in range(len(shape)) if i not in axes]
    longest, size = max(kept, key=shape.__getitem__, default=None), math.prod(shape)
    if size <= _BLOCK or longest is None:
        yield (..., ...)
        return
    least = _LANES if longest == len(shape) - 1 else 1
    step = max(least, _BLOCK * shape[longest] // size)
    for first in range(0, shape[longest], step):
        yield tuple((slice(None),) * i + (slice(first, first + step),) for i in (longest, kept.index(longest)))


_NO_SMOOTHING = 0.0


class _Loss:
    """A call of a loss or of its gradient, with plain arrays: its operands, and what is the matter with them."""

    def __init__(self, row, logits, target, axis, label_smoothing, ignore_index, where):
        self.name, self.plain, self.masked = row.name, ufuncs[row.name], ufuncs[row.name + "_where"]
        self.shares = row.gradient.slope
        self.x = np.asarray(logits)
        self.x = self.x if self.x.ndim else self.x.reshape(1)
        if axis is None or isinstance(axis, tuple):
            raise TypeError(f"{row.name}: axis must be an integer, not {axis!r}")
        (self.axis,) = _axes(row.name, axis, self.x.ndim)
        self.shape = self.x.shape[: self.axis] + self.x.shape[self.axis + 1 :]
        self.where = where if where is True else np.broadcast_to(_bools(where), self.x.shape)
        if not isinstance(label_smoothing, (int, float, np.integer, np.floating)):
            kind = type(label_smoothing).__name__
            raise TypeError(f"{row.name}: label_smoothing must be a number in [0, 1], not {kind}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"{row.name}: label_smoothing must be in [0, 1], not {label_smoothing!r}")
        self.smoothing = float(label_smoothing)
        target = np.asarray(target)
        if not target.size and target.shape == self.shape:  # an empty list is of floats
            target = target.astype(np.intp)
        if target.dtype.kind in "iu":
            self.of_classes, self.target = True, self._classes(target, ignore_index)
        elif target.dtype.kind in "bcOSUmM":
            kinds = "integers, which are classes, or of floats, which are probabilities"
            raise TypeError(f"{row.name}: target must be of {kinds}, not of {target.dtype}")
        else:
            self.of_classes, self.target = False, target
            if target.shape != self.x.shape:
                raise ValueError(f"{row.name}: probabilities of shape {target.shape} beside logits of {self.x.shape}")
            if ignore_index is not None:
                raise TypeError(f"{row.name}: ignore_index is for classes; probabilities of 0 are ignored")

    def _classes(self, target, ignore_index):
        """Classes as the kernels take them; -1 is a row that is ignored."""
        if target.ndim == 0:
            target = np.broadcast_to(target, self.shape)
        if target.shape != self.shape:
            raise ValueError(
                f"{self.name}: target has shape {target.shape}, logits without axis {self.axis} {self.shape}"
            )
        if ignore_index is not None and not hasattr(ignore_index, "__index__"):
            raise TypeError(f"{self.name}: ignore_index must be an integer or None, not {ignore_index!r}")
        ignored = None if ignore_index is None else target == operator.index(ignore_index)
        # NumPy has two types of 64-bit integers, and finds no loop for the other.
        classes, n = target.astype(np.intp, copy=False).view(np.intp), self.x.shape[self.axis]
        checked = classes if ignored is None else classes[~ignored]
        if checked.size and checked.view(np.uintp).max() >= n:  # of which a negative number is a large one
            wrong = (classes.view(np.uintp) >= n) & (True if ignored is None else ~ignored)
            at = np.unravel_index(wrong.argmax(), wrong.shape)
            place = f" at {', '.join(map(str, at))}" if at else ""
            raise IndexError(f"{self.name}: class {target[at]}{place} is not one of {n}")
        return classes if ignored is None else np.where(ignored, -1, classes)

    def dtype(self, *others, **kwargs):
        """The result's, by calls for nothing, which refuse other dtypes."""
        others = [x for x in others if type(x) not in {bool, int, float}]  # which follow the others
        given = [np.asarray(x).dtype for x in others] + ([] if self.of_classes else [self.target.dtype])
        for each in (self.x.dtype, *given):
            self.plain(np.empty((0, 1), each), np.empty(0, np.intp))
        found = self.x.dtype
        for each in given or [found]:
            found = _promoted(self.name, ufuncs[f"{self.shares}_backward"], each, found, kwargs)
        return found

    def mask(self, part):
        return self.where if self.where is True else self.where[part]

    def weights(self, part, at):
        """Of some rows, in float64: how much each class is the right one. Smoothing goes to those that take part."""
        shape, where = self.x[part].shape, self.mask(part)
        if self.of_classes:
            target = np.expand_dims(self.target[at], self.axis)
            weights = np.zeros(shape)
            np.put_along_axis(
                weights, np.maximum(target, 0), np.where(target < 0, 0.0, 1.0 - self.smoothing), self.axis
            )
        else:
            target, weights = 0, self.target[part].astype(float) * (1.0 - self.smoothing)
        if self.smoothing:
            count = np.maximum(np.sum(np.broadcast_to(where, shape), self.axis, keepdims=True), 1)
            weights += np.where(np.logical_and(where, np.greater_equal(target, 0)), self.smoothing / count, 0)
        return weights

    def sum(self, terms):
        """Along the axis, by halves, with what each rounding loses: NumPy's own sums depend on how the terms lie."""
        high = np.ascontiguousarray(np.moveaxis(terms, self.axis, -1))
        low = np.zeros_like(high)
        while (n := high.shape[-1]) > 1:
            half = n // 2
            a, b, rest = high[..., :half], high[..., half : 2 * half], slice(2 * half, n)
            total = a + b
            part = total - a
            lost = (a - (total - part)) + (b - part) + low[..., :half] + low[..., half : 2 * half]
            high, low = (np.concatenate(pair, -1) for pair in ((total, high[..., rest]), (lost, low[..., rest])))
        total = high.sum(-1)
        return np.where(np.isfinite(total), total + low.sum(-1), total)

    def losses(self, dtype):
        """Where the target is not one class: in blocks, from logarithms that are accurate also where they are small."""
        result, wide = np.empty(self.shape, dtype), np.result_type(dtype, np.float32)
        for part, at in _blocks(self.x.shape, (self.axis,)):
            logs = functions[f"log_{self.shares}"](self.x[part], self.axis, where=self.mask(part), dtype=wide)
            weights = self.weights(part, at)
            result[at] = self.sum(np.where(weights == 0, 0, weights * -logs))
        return result

    def gradients(self, grad, result, dtype):
        """To `result`; its dtype may be narrower than what is computed in."""
        wide, backward = np.result_type(dtype, np.float32), "_backward" if self.where is True else "_backward_where"
        hard = self.of_classes and not self.smoothing
        if hard and self.x.dtype == wide == result.dtype:
            masks = () if self.where is True else (self.where,)
            ufuncs[self.name + backward](grad.astype(wide), self.x, self.target, *masks, axis=self.axis, out=result)
            return
        for part, at in _blocks(self.x.shape, (self.axis,)):
            x, of_rows = _cast(self.x[part], wide), grad[at].astype(wide)
            if hard:
                masks = () if self.where is True else (self.where[part],)
                block = np.empty_like(x, subok=False)  # not as NumPy would lay it out, rows side by side
                ufuncs[self.name + backward](of_rows, x, self.target[at], *masks, axis=self.axis, out=block)
            else:
                weights = self.weights(part, at)
                total = 1 if self.of_classes else np.expand_dims(self.sum(weights), self.axis)
                block = functions[self.shares](x, self.axis, where=self.mask(part)) * total - weights
                block = np.where(self.mask(part), block * np.expand_dims(of_rows, self.axis), 0)
                if self.of_classes:
                    block = np.where(np.expand_dims(self.target[at] < 0, self.axis), 0, block)
            _stored(block, result[part])


def _handed_over(result, given, out):
    """In `given`, the array that `out` is or has; else a number where there are no axes, unless `out` is `...`."""
    if given is None:
        return result if out is ... else result[()]
    np.copyto(given, result, casting="unsafe")
    return given


def _loss(row):
    """The public function of a loss."""
    direct = kernels.build_direct(row)

    def function(
        logits, target, axis=-1, *, label_smoothing=_NO_SMOOTHING, ignore_index=None, out=None, where=True, **kwargs
    ):
        if out is ignore_index is None and where is True and not kwargs and label_smoothing is _NO_SMOOTHING:
            result = direct(logits, axis, None, target) if type(axis) is int else None
            if result is not None:
                return result
        if kwargs:
            refuse(row.name, kwargs)
        out = _one_array(row.name, out)
        if others := _others(out, logits, target, where):
            options = {"label_smoothing": label_smoothing, "ignore_index": ignore_index} | kwargs
            way = functools.partial(_of_loss, function)
            result = others.loss(others.Call(row.name, way, logits, target, axis, out, where, options, reduces=True))
            if result is not NotImplemented:
                return result
        call = _Loss(row, logits, target, axis, label_smoothing, ignore_index, where)
        if call.of_classes and not call.smoothing:
            masks = () if where is True else (call.where,)
            x, options = call.x, dict(kwargs)
            if options.get("casting") in {"no", "equiv"} and x.dtype.kind in "biu":  # to float64 is no cast
                x = x.astype(float)
            dtype = options.pop("dtype", None)
            if dtype is not None:  # a gufunc would ask it of the classes, too
                options["signature"] = (None, np.intp, *[bool] * len(masks), dtype)
            if out is not None and out is not ...:
                out = _checked_out(row.name, out, call.shape)
            return (call.masked if masks else call.plain)(x, call.target, *masks, axis=call.axis, out=out, **options)
        dtype = call.dtype(**kwargs)
        given = _checked_out(row.name, out, call.shape, **kwargs | {"dtype": dtype})
        with np.errstate(all="ignore"):
            result = call.losses(dtype)
            return _handed_over(result, given, out)

    return _named(function, row, docstring(row))


def _loss_gradient(row):
    """The public gradient of a loss, from its input."""
    direct = kernels.build_direct(row, True)

    def function(
        grad_output,
        logits,
        target,
        axis=-1,
        *,
        label_smoothing=_NO_SMOOTHING,
        ignore_index=None,
        out=None,
        where=True,
        **kwargs,
    ):
        if ignore_index is None and where is True and not kwargs and label_smoothing is _NO_SMOOTHING:
            result = direct(logits, axis, out, target, grad_output) if type(axis) is int else None
            if result is not None:
                return result
        if kwargs:
            refuse(row.name, kwargs)
        out = _one_array(row.name, out)
        if others := _others(out, grad_output, logits, target, where):
            options = {"label_smoothing": label_smoothing, "ignore_index": ignore_index} | kwargs
            way, name = functools.partial(_of_loss_gradient, function), f"{row.name}_backward"
            result = others.loss(others.Call(name, way, logits, target, axis, out, where, options, grad=grad_output))
            if result is not NotImplemented:
                return result
        call = _Loss(row, logits, target, axis, label_smoothing, ignore_index, where)
        shape, order = np.shape(logits), kwargs.get("order", "K")
        dtype, grad = call.dtype(grad_output, **kwargs), np.broadcast_to(grad_output, call.shape)
        given = _checked_out(row.name, out, shape, **kwargs | {"dtype": dtype})
        with np.errstate(all="ignore"):
            if (
                given is not None
                and given.dtype == dtype
                and not any(np.may_share_memory(given, x) for x in (grad, call.x, call.target, call.where))
            ):
                call.gradients(grad, given.reshape(call.x.shape) if given.ndim == 0 else given, dtype)
                return given
            result = np.empty_like(call.x, dtype, "C" if order == "A" and not call.x.flags.f_contiguous else order)
            call.gradients(grad, result, dtype)
            result = result.reshape(shape)
            return _handed_over(result, given, out)

    return _named(function, row, gradient_docstring(row), "fastsig.backward")


_FACES = {
    "rows": (_rows, _rows_gradient),
    "reduction": (_reduction, _reduction_gradient),
    "loss": (_loss, _loss_gradient),
    "halves": (_halves, _halves_gradient),
}


def _function(row):
    """The public function of a row."""
    if row.kind == "elementwise":
        return elementwise(row, ufuncs, docstring(row))
    return _FACES[row.kind][0](row)


def _gradient(row):
    """The public gradient of a row."""
    if row.kind == "elementwise":
        backward = {name: ufuncs[f"{name}_backward"] for name, _ in expanded(row)}
        return elementwise(row, backward, gradient_docstring(row), inputs="grad_output, x", module="fastsig.backward")
    return _FACES[row.kind][1](row)


_rows_by_name = {row.name: row for row in TABLE}
functions, gradients = (Made(make, lambda: _rows_by_name) for make in (_function, _gradient))
