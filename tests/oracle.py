"""What results are compared with: the table's `truth`, exactly by mpmath and vectorised by NumPy, and errors in ULP."""

import ast
import functools
import itertools

import mpmath
import numpy as np
import scipy.special

from fastsig._catalog import TABLE, expanded

EXPANDED = [variant for row in TABLE for _, variant in expanded(row)]
OF_ONE = [  # functions of one array, with its shape or an axis less; test_losses and test_halves have the others
    row for row in TABLE if row.kind != "halves" and not any(parameter.is_array for parameter in row.parameters)
]
ELEMENTWISE = [row for _, row in itertools.chain(*map(expanded, OF_ONE)) if row.kind == "elementwise"]
PAIRS = [row for row in TABLE if row.kind == "elementwise" and row not in OF_ONE]
ROWS = [row for row in EXPANDED if row.kind == "rows"]
HALVES = [row for row in TABLE if row.kind == "halves"]
REDUCTIONS = [row for row in EXPANDED if row.kind == "reduction"]


def derivative(row):
    """The derivative as a row of its own, with `truth` and `max_ulp` as a function's."""
    own = {"truth": row.gradient.truth, "max_ulp": row.gradient.max_ulp}
    return row._replace(name=f"backward.{row.name}", kind="derivative", **own)


DERIVATIVES, PAIR_DERIVATIVES = (list(map(derivative, rows)) for rows in (ELEMENTWISE, PAIRS))
HAS_LONG_DOUBLE = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant

# 1 + exp(-745) needs 1075 bits before the first that counts.
BITS = 1200


def called(module, row):
    """A row's function in fastsig, fastsig.backward or fastsig.scalar. What it requires beside x is the table's example
    if no keyword says what: so all functions of one array are called alike."""
    function = getattr(module, row.name)
    if "loss" in row.kind or not row.operands:
        return function
    own = 2 if module.__name__.endswith(".backward") else 1

    @functools.wraps(function)
    def call(*arrays, **keywords):
        required = [keywords.pop(name, example) for name, example in row.operands.items()]
        if module.__name__.endswith(".scalar"):  # what follows x is no out
            return function(*arrays, *required[max(0, len(arrays) - 1) :], **keywords)
        return function(*arrays[:own], *required, *arrays[own:], **keywords)

    return call


def function(package, row):
    """What a row is about, as a function of x and the parameters: a derivative is the gradient of 1."""
    if row.kind != "derivative":
        return called(package, row)
    gradient = called(package.backward, row._replace(name=row.name.removeprefix("backward.")))
    return lambda x, **parameters: gradient(np.asarray(x).dtype.type(1), x, **parameters)


def defaults(row, dtype):
    """The parameters' default values as the function sees them: rounded to the dtype of x, like all Python floats."""
    return {parameter.name: np.dtype(dtype).type(parameter.default) for parameter in row.parameters} | chosen(row)


def chosen(row):
    """The keyword that makes a function what the row says."""
    return {row.choice.name: row.choice.default} if row.choice else {}


def inside(row, x):
    """x, or numbers made of it where the function is defined."""
    low, high = row.domain
    return x if low == -np.inf else np.abs(x) if high == np.inf else (1 / (1 + np.exp(-x))).astype(x.dtype)


def label(row):
    """For a test's name."""
    return "-".join([row.name, *chosen(row).values()])


def numbers(parameters):
    """Those that are no words."""
    return {name: value for name, value in parameters.items() if not isinstance(value, str)}


def finite(value):
    """A number beyond every dtype in place of infinity: truth there is the limit, and inf * exp(-inf) is 0, not NaN."""
    return mpmath.mpf(10) ** 400 * mpmath.sign(value) if mpmath.isinf(value) else value


def to_mpf(value):
    """An mpmath number from a NumPy one; a long double in two parts."""
    high = float(value)
    return mpmath.mpf(high) + (mpmath.mpf(float(value - type(value)(high))) if np.isfinite(high) else 0)


def exact(row, x, **parameters):
    """row.truth by mpmath: for an elementwise row a value for each x, along an axis the results for the row x."""
    with mpmath.workprec(BITS):
        kind = int if row.kind == "loss" else lambda value: finite(mpmath.mpf(float(value)))
        given = {parameter.name: parameter.default for parameter in row.parameters} | parameters
        names = {name: kind(value) for name, value in numbers(given).items()}
        xs = [finite(mpmath.mpf(float(value))) for value in np.ravel(x)]
        # One namespace: a comprehension inside an eval does not see the eval's local names.
        values = xs if row.kind in {"elementwise", "derivative"} else [xs]
        results = [eval(row.truth, vars(mpmath) | names | {"x": value}) for value in values]
        return results if row.kind in {"elementwise", "derivative"} else results[0]


class _Where(ast.NodeTransformer):
    def visit_IfExp(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("where", ast.Load()), [node.test, node.body, node.orelse], [])


def _ncdf(x):
    """The normal distribution function; beyond float64 by Taylor's series and Laplace's continued fraction."""
    if x.dtype == np.float64:
        return scipy.special.ndtr(x)
    a = np.minimum(np.abs(x), 200)
    high = np.round(a * 2**16) / 2**16  # its square is exact
    density = np.exp(-high * high / 2) * np.exp((high - a) * (high + a) / 2) / np.sqrt(8 * np.arctan(x.dtype.type(1)))
    series, term, fraction = np.zeros_like(a), np.minimum(a, 2), np.maximum(a, 2)
    for k in range(50):
        series, term = series + term, term * np.minimum(a, 2) ** 2 / (2 * k + 3)
    for k in range(300, 0, -1):
        fraction = np.maximum(a, 2) + k / fraction
    tail = np.where(a < 2, 0.5 - density * series, density / fraction)
    return np.where(x < 0, tail, 1 - tail)


class _Names(dict):
    """NumPy's functions under mpmath's names."""

    def __missing__(self, name):
        return getattr(np, name)


@functools.cache
def _vectorised(truth):
    return compile(ast.fix_missing_locations(_Where().visit(ast.parse(truth, mode="eval"))), truth, "eval")


def reference(row, x, dtype=np.longdouble, **parameters):
    """row.truth of an elementwise row, vectorised in a wider dtype; test_accuracy compares it with `exact`."""
    kind = np.dtype(dtype).type
    names = _Names(max=np.maximum, min=np.minimum, mpf=kind, pi=4 * np.arctan(kind(1)), ncdf=_ncdf)
    names.update((name, np.asarray(value, dtype)) for name, value in numbers(parameters).items())
    with np.errstate(all="ignore"):  # a signalling NaN warns as it is cast
        names["x"] = np.asarray(x, dtype)
        values = eval(_vectorised(row.truth), {}, names)
    return np.where(np.isnan(x), np.nan, values)  # NaN propagates, through an `if` in the truth, too


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def _excess(z):
    """log(sum(exp(z))) of rows with maximum 0."""
    terms = np.sort(np.exp(z), -1)
    # The largest term is exactly 1 (or NaN), and log1p of the others keeps what a sum of 1 + tiny would lose.
    return np.log1p(terms[..., :-1].sum(-1, keepdims=True) + (terms[..., -1:] - 1))


def _log_softmax(x):
    z = x - x.max(-1, keepdims=True, initial=-np.inf)
    return z - _excess(z)


def _logsumexp(x):
    m = x.max(-1, keepdims=True, initial=-np.inf)
    return np.where(np.isinf(m), m, m + _excess(x - m))[..., 0]


def losses(x, target, axis=-1):
    """cross_entropy of classes by definition, in long double: all terms are positive."""
    x = np.moveaxis(np.asarray(x, np.longdouble), axis, -1)
    if not x.shape[-1]:  # no class, so that no row can count
        return np.zeros(x.shape[:-1], np.longdouble)
    with np.errstate(all="ignore"):
        top = x.max(-1, keepdims=True)
        terms = np.exp(x - top)
        np.put_along_axis(terms, x.argmax(-1)[..., None], 0, -1)
        return (top - np.take_along_axis(x, target[..., None], -1))[..., 0] + np.log1p(np.sort(terms, -1).sum(-1))


def of_halves(row, x, axis=-1, dtype=np.longdouble):
    """A function of an axis' halves, vectorised in a wider dtype; test_halves holds it to `exact`."""
    with np.errstate(all="ignore"):
        a, b = np.split(np.asarray(x, dtype), 2, axis)
        return {"glu": a / (1 + np.exp(-b))}[row.name]


ALONG = {"softmax": _softmax, "softmin": _softmax, "log_softmax": _log_softmax, "logsumexp": _logsumexp}


def upwards(row, x):
    """x, or -x for a function that prefers what is small: so the largest entry has the largest result."""
    return -x if row.negates else x


def hole(row):
    """What a masked-out entry becomes."""
    return -np.inf if row.logarithm else 0.0


def _flat(x, axis):
    """An array with the given axes as one last axis, and how to give a result its shape."""
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    last = range(-len(axes), 0)
    moved = np.moveaxis(x, axes, last)
    flat = moved.reshape(*moved.shape[: x.ndim - len(axes)], int(np.prod([x.shape[i] for i in axes])))
    return flat, lambda result: np.moveaxis(result.reshape(moved.shape), last, axes)


def along(row, x, axis=-1, where=True, dtype=np.longdouble, temperature=None):
    """A function over any axes by definition, vectorised in a wider dtype; test_accuracy holds it to `exact`, and
    test_temperature with temperatures, numbers or of the shape that x has without these axes."""
    flat, back = _flat(np.where(where, upwards(row, np.asarray(x, dtype)), -np.inf), axis)
    with np.errstate(all="ignore"):
        if temperature is not None:  # -inf stays, at an infinite temperature, too
            z = flat - flat.max(-1, keepdims=True, initial=-np.inf)
            flat = np.where(np.isinf(z), z, z / np.asarray(temperature, dtype)[..., None])
        result = ALONG[row.name](flat)
    if row.kind == "reduction":
        return result
    return np.where(where, back(result), hole(row))


def excess(x, axis=-1, where=True, dtype=np.longdouble):
    """By how much the logarithm of the sum of exponentials exceeds the maximum; 0 where that is no number."""
    flat, _ = _flat(np.where(where, np.asarray(x, dtype), -np.inf), axis)
    with np.errstate(all="ignore"):
        result = _excess(flat - flat.max(-1, keepdims=True, initial=-np.inf))[..., 0]
    return np.where(np.isfinite(result), result, 0)


def _softmax_gradient(grad, y):
    product = grad * y
    total, size = (each.sum(-1, keepdims=True) for each in (product, np.abs(product)))
    return y * (grad - total), np.abs(y) * (np.abs(grad) + size)


def _log_softmax_gradient(grad, y):
    total, size = (each.sum(-1, keepdims=True) for each in (grad, np.abs(grad)))
    return grad - np.exp(y) * total, np.abs(grad) + np.exp(y) * size


def _logsumexp_gradient(grad, x):
    result = grad * _softmax(x)
    return result, np.abs(result)


def _softmin_gradient(grad, y):
    result, size = _softmax_gradient(grad, y)
    return -result, size


GRADIENTS = {
    "softmax": _softmax_gradient,
    "softmin": _softmin_gradient,
    "log_softmax": _log_softmax_gradient,
    "logsumexp": _logsumexp_gradient,
}


def gradient_along(row, grad, operand, axis=-1, where=True, dtype=np.longdouble):
    """A row function's gradient over any axes, and its magnitude without cancellation; test_backward holds it to the
    table. `operand` is what follows grad_output: y or x."""
    grad, operand, where = np.broadcast_arrays(np.asarray(grad, dtype), np.asarray(operand, dtype), where)
    nothing = -np.inf if row.gradient.operand == "x" else hole(row)
    (grad, _), (operand, back) = _flat(np.where(where, grad, 0), axis), _flat(np.where(where, operand, nothing), axis)
    with np.errstate(all="ignore"):
        return [np.where(where, back(each), 0) for each in GRADIENTS[row.name](grad, operand)]


def gradient_tolerated(row, grad, operand, axis=-1, where=True):
    """What the gradient of a function over axes may be off, by entry, and in the units of which magnitude."""
    _, scale = gradient_along(row, grad, operand, axis, where)
    operand = np.broadcast_to(operand, scale.shape)
    bound = row.gradient.max_ulp[operand.dtype == np.float64]
    if row.gradient.operand == "x":
        # A subnormal softmax has errors of its own units, which grad_output multiplies.
        tiny = np.longdouble(np.finfo(np.result_type(operand, np.float32)).tiny)
        scale = np.maximum(scale, np.abs(np.where(where, grad, 0)) * tiny)
    return bound, scale


def _spacing(exponent, info):
    """Distance of neighbours where 2^(exponent - 1) <= |value| < 2^exponent; constant among subnormals."""
    return np.ldexp(np.longdouble(1), np.maximum(exponent - 1, info.minexp) - info.nmant)


def unit(row, x, dtype=np.longdouble, **parameters):
    """In whose units a derivative's errors count where it is smaller, if it crosses 0: |f(x) / x| or the table's
    scale; else 0."""
    if row.kind == "derivative" and row.gradient.scale:
        return reference(row._replace(truth=row.gradient.scale), x, dtype, **parameters)
    if row.kind != "derivative" or not row.gradient.crosses_zero:
        return np.zeros_like(x, dtype)
    with np.errstate(all="ignore"):
        functions = ELEMENTWISE + PAIRS
        of = functions[list(map(label, map(derivative, functions))).index(label(row))]  # it may have been pickled
        values = np.abs(reference(of, x, dtype, **parameters) / np.asarray(x, dtype))
    return np.where(np.isfinite(values), values, 0)


def ulp_error(got, truth, unit=0):
    """|got - truth| in units in the last place of got's dtype, at truth or at `unit` if that is larger; infinite where
    only one of them is NaN."""
    info, wide = np.finfo(got.dtype), np.longdouble
    top = np.ldexp(wide(1), info.maxexp)  # infinity counts as the first number that is too large
    with np.errstate(all="ignore"):
        truth, value = np.clip(truth, -top, top, dtype=wide), np.clip(got, -top, top, dtype=wide)
        error = np.abs(value - truth) / _spacing(np.frexp(np.fmax(np.abs(truth), unit))[1], info)
    return np.where(np.isnan(truth) & np.isnan(value), 0, np.where(np.isnan(error), np.inf, error)).astype(float)


def ulp_error_exact(got, truths, unit=0):
    """The same against a list of mpmath numbers."""
    info = np.finfo(got.dtype)
    top = mpmath.mpf(2) ** int(info.maxexp)
    errors = []
    with mpmath.workprec(BITS):
        units = map(to_mpf, np.broadcast_to(unit, np.size(got)))
        for value, truth, least in zip(map(float, np.ravel(got)), truths, units, strict=True):
            if np.isnan(value) or mpmath.isnan(truth):
                errors.append(0.0 if np.isnan(value) and mpmath.isnan(truth) else np.inf)
                continue
            value, truth = (min(max(mpmath.mpf(v), -top), top) for v in (value, truth))
            exponent = max(mpmath.frexp(max(abs(truth), least))[1] - 1, int(info.minexp)) - int(info.nmant)
            errors.append(float(mpmath.ldexp(abs(value - truth), -exponent)))
    return np.array(errors)


def neighbours(values, dtype, count):
    """Each value in a dtype with its `count` neighbours on both sides."""
    values = np.asarray(values, dtype)
    integer = np.dtype(f"i{values.itemsize}")
    near = values.view(integer)[:, None] + np.arange(-count, count + 1, dtype=integer)
    return near.ravel().view(dtype)


def hard(dtype, count):
    """Where approximations go wrong: at the ends of the (normal) numbers, and where z = n ln2 + t changes its n."""
    info, few = np.finfo(dtype), np.arange(-4, 5)
    n = np.unique(np.concatenate([np.arange(-60, 61), few + info.minexp, few + info.maxexp]))
    around = np.concatenate(
        [
            [info.smallest_subnormal * (count + 1), info.tiny, info.eps, info.max / 2, 1, 2],
            np.log([info.tiny, info.smallest_subnormal, info.max, info.eps], dtype=dtype),
            (n + 0.5) * np.log(2) / 2,  # tanh halves it
        ]
    ).astype(dtype)
    values = neighbours(around, dtype, count)
    ends = np.array([0, info.max, np.inf], dtype)
    return np.unique(np.concatenate([values, -values, ends, -ends]).astype(dtype))
