"""What results are compared with: the table's `truth`, exactly by mpmath and vectorised by NumPy, and errors in ULP."""

import ast
import functools

import mpmath
import numpy as np
import scipy.special

from fastsig._catalog import TABLE

ELEMENTWISE = [row for row in TABLE if row.kind == "elementwise"]
ROWS = [row for row in TABLE if row.kind == "rows"]
HAS_LONG_DOUBLE = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant

# 1 + exp(-745) needs 1075 bits before the first that counts.
BITS = 1200


def defaults(row, dtype):
    """The parameters' default values as the function sees them: rounded to the dtype of x, like all Python floats."""
    return {parameter.name: np.dtype(dtype).type(parameter.default) for parameter in row.parameters}


def finite(value):
    """A number beyond every dtype in place of infinity: truth there is the limit, and inf * exp(-inf) is 0, not NaN."""
    return mpmath.mpf(10) ** 400 * mpmath.sign(value) if mpmath.isinf(value) else value


def to_mpf(value):
    """An mpmath number from a NumPy one; a long double in two parts."""
    high = float(value)
    return mpmath.mpf(high) + (mpmath.mpf(float(value - type(value)(high))) if np.isfinite(high) else 0)


def exact(row, x, **parameters):
    """row.truth by mpmath: for an elementwise row a value for each x, for a row function the row of results."""
    with mpmath.workprec(BITS):
        names = {name: mpmath.mpf(float(value)) for name, value in parameters.items()}
        xs = [finite(mpmath.mpf(float(value))) for value in np.ravel(x)]
        # One namespace: a comprehension inside an eval does not see the eval's local names.
        values = [xs] if row.kind == "rows" else xs
        results = [eval(row.truth, vars(mpmath) | names | {"x": value}) for value in values]
        return results[0] if row.kind == "rows" else results


class _Where(ast.NodeTransformer):
    def visit_IfExp(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("where", ast.Load()), [node.test, node.body, node.orelse], [])


class _Names(dict):
    """NumPy's functions under mpmath's names, and in float64 those that SciPy alone has."""

    def __missing__(self, name):
        if hasattr(np, name):
            return getattr(np, name)
        function = getattr(scipy.special, {"ncdf": "ndtr"}.get(name, name))
        return lambda *values: function(*(np.asarray(value, np.float64) for value in values))


@functools.cache
def _vectorised(truth):
    return compile(ast.fix_missing_locations(_Where().visit(ast.parse(truth, mode="eval"))), truth, "eval")


def reference(row, x, dtype=np.longdouble, **parameters):
    """row.truth of an elementwise row, vectorised in a wider dtype; test_accuracy compares it with `exact`."""
    kind = np.dtype(dtype).type
    names = _Names(max=np.maximum, min=np.minimum, mpf=kind, pi=4 * np.arctan(kind(1)))
    names.update((name, np.asarray(value, dtype)) for name, value in parameters.items())
    with np.errstate(all="ignore"):  # a signalling NaN warns as it is cast
        names["x"] = np.asarray(x, dtype)
        values = eval(_vectorised(row.truth), {}, names)
    return np.where(np.isnan(x), np.nan, values)  # NaN propagates, through an `if` in the truth, too


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def _log_softmax(x):
    z = x - x.max(-1, keepdims=True, initial=-np.inf)
    terms = np.sort(np.exp(z), -1)
    # The largest term is exactly 1 (or NaN), and log1p of the others keeps what a sum of 1 + tiny would lose.
    return z - np.log1p(terms[..., :-1].sum(-1, keepdims=True) + (terms[..., -1:] - 1))


ALONG = {"softmax": _softmax, "log_softmax": _log_softmax}


def hole(row):
    """What a masked-out entry becomes."""
    return -np.inf if row.name.startswith("log_") else 0.0


def along(row, x, axis=-1, where=True, dtype=np.longdouble):
    """A row function over any axes by definition, vectorised in a wider dtype; test_accuracy holds it to `exact`."""
    x = np.where(where, np.asarray(x, dtype), -np.inf)
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    last = range(-len(axes), 0)
    moved = np.moveaxis(x, axes, last)
    flat = moved.reshape(*moved.shape[: x.ndim - len(axes)], int(np.prod([x.shape[i] for i in axes])))
    with np.errstate(all="ignore"):
        result = ALONG[row.name](flat)
    return np.where(where, np.moveaxis(result.reshape(moved.shape), last, axes), hole(row))


def _spacing(exponent, info):
    """Distance of neighbours where 2^(exponent - 1) <= |value| < 2^exponent; constant among subnormals."""
    return np.ldexp(np.longdouble(1), np.maximum(exponent - 1, info.minexp) - info.nmant)


def ulp_error(got, truth):
    """|got - truth| in units in the last place of got's dtype at truth; infinite where only one of them is NaN."""
    info, wide = np.finfo(got.dtype), np.longdouble
    top = np.ldexp(wide(1), info.maxexp)  # infinity counts as the first number that is too large
    with np.errstate(all="ignore"):
        truth, value = np.clip(truth, -top, top, dtype=wide), np.clip(got, -top, top, dtype=wide)
        error = np.abs(value - truth) / _spacing(np.frexp(truth)[1], info)
    return np.where(np.isnan(truth) & np.isnan(value), 0, np.where(np.isnan(error), np.inf, error)).astype(float)


def ulp_error_exact(got, truths):
    """The same against a list of mpmath numbers."""
    info = np.finfo(got.dtype)
    top = mpmath.mpf(2) ** int(info.maxexp)
    errors = []
    with mpmath.workprec(BITS):
        for value, truth in zip(map(float, np.ravel(got)), truths, strict=True):
            if np.isnan(value) or mpmath.isnan(truth):
                errors.append(0.0 if np.isnan(value) and mpmath.isnan(truth) else np.inf)
                continue
            value, truth = (min(max(mpmath.mpf(v), -top), top) for v in (value, truth))
            exponent = max(mpmath.frexp(truth)[1] - 1, int(info.minexp)) - int(info.nmant)
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
