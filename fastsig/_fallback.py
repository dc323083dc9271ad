"""The pure-Python twin of the compiled kernels, for where there is no compiled module. It needs NumPy alone.

Adding a function means adding a line to `FORMULAS` and one to `GRADIENTS` (elementwise), or lines to `ROWS` (along an
axis). A formula gets native arrays of one dtype, a step wider than the result's where there is one, in blocks that stay
in the cache, and parameters that are numbers as such; NumPy's warnings are off around it. It returns a new array.
`Ufunc` is all the rest that a caller expects of a `numpy.ufunc`.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ._catalog import Row, refuse

__all__ = [
    "FORMULAS",
    "GRADIENTS",
    "ROWS",
    "Ufunc",
    "build",
    "build_default",
    "build_direct",
    "build_direct_halves",
    "build_gradient",
    "build_halves",
    "build_rows",
]


class Formula:
    """A formula that is not the same for float32 and float64.

    Parameters
    ----------
    double : callable
        What computes float64.
    single : callable, optional
        What computes narrower results from float64 arrays, whose range and digits leave room. Without it `double` does
        so too, and in the result's own type, on whole arrays: of few steps, or those where NumPy's own float32 is good.
    """

    def __init__(self, double: Callable, single: Callable | None = None) -> None:
        self.double, self.single = double, single

    def way(self, dtype: np.dtype) -> tuple[Callable, np.dtype, bool]:
        """Return what computes a result of that dtype, the dtype of its arrays, and whether in blocks."""
        char = _char(dtype)
        if char not in _NARROW:
            return self.double, dtype, self.single is not None
        if self.single is None:
            return self.double, np.dtype("f"), char != "f"
        return self.single, np.dtype("d"), True


def _sum(terms: np.ndarray) -> np.ndarray:
    """Sum over the last axis, with the leading digits apart: those of all terms are multiples of one number, and are
    added up without rounding."""
    most = np.abs(terms).max(-1, keepdims=True, initial=0)
    most = np.ldexp(terms.dtype.type(1), np.frexp(most)[1] + terms.shape[-1].bit_length())
    high = (terms + most) - most
    total = high.sum(-1, keepdims=True) + (terms - high).sum(-1, keepdims=True)
    return np.where(np.isfinite(total), total, terms.sum(-1, keepdims=True))


def _below(x: np.ndarray, m: np.ndarray, heat: Any = None) -> np.ndarray:
    """x - m, divided by a row's temperature; where that is infinite, as by one that all numbers are small beside."""
    if heat is None:
        return x - m
    # Halves, where the difference may overflow and the quotient would not; for the others they might underflow.
    z = np.where(heat > 1, (x / 2 - m / 2) / heat * 2, (x - m) / heat)
    return np.where(np.isinf(heat) & np.isinf(x), x - m, z)


def _exp_below(x: np.ndarray, m: np.ndarray, heat: Any = None) -> np.ndarray:
    """exp(x - m), of a row with a temperature exp((x - m) / heat), with what rounding takes from x - m put right."""
    z = x - m
    added = z - x
    lost = (x - (z - added)) - (m + added)
    if heat is not None:
        _, rest = _quotient(z, heat)
        z, lost = _below(x, m, heat), rest + lost / heat
        lost = np.where(np.abs(lost) < 1, lost, 0)
    e = np.exp(z)
    return e + e * np.where(np.isfinite(lost), lost, 0)


def _softmax(x: np.ndarray, heat: Any = None) -> np.ndarray:
    e = _exp_below(x, x.max(-1, keepdims=True, initial=-np.inf), heat)
    return e / _sum(e)


def _softmax_single(x: np.ndarray, heat: Any = None) -> np.ndarray:
    e = _below(x, x.max(-1, keepdims=True, initial=-np.inf), heat)
    np.exp(e, out=e)
    e /= e.sum(-1, keepdims=True)
    return e


def _parts(x: np.ndarray, heat: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum, and by how much the logarithm of the sum of exponentials exceeds it."""
    top = np.arange(len(x)), x.argmax(-1)
    m = x[top][:, None]
    rest = _exp_below(x, m, heat)
    rest[top] -= 1  # log(sum) is log1p(sum - 1); subtracted, not left out: were it NaN, all has to be
    return m, np.log1p(_sum(rest))


def _log_softmax(x: np.ndarray, heat: Any = None) -> np.ndarray:
    if not x.size:
        return x
    m, excess = _parts(x, heat)
    return _below(x, m, heat) - excess


def _log_softmax_single(x: np.ndarray, heat: Any = None) -> np.ndarray:
    if not x.size:
        return x
    z = _below(x, x.max(-1, keepdims=True), heat)
    total = np.exp(z).sum(-1, keepdims=True)
    if not total.min() > 1.001:  # of less than that, or of NaN, the logarithm is not so easy
        return _log_softmax(x, heat)
    z -= np.log(total)
    return z


def _logsumexp(x: np.ndarray) -> np.ndarray:
    if not x.size:
        return np.full(len(x), -np.inf, x.dtype)
    m, excess = _parts(x)
    return np.where(np.isinf(m), m, m + excess)[:, 0]  # NaN is every row's maximum


def _logsumexp_single(x: np.ndarray) -> np.ndarray:
    if not x.size:
        return _logsumexp(x)
    m = x.max(-1, keepdims=True)
    e = x - m
    total = np.exp(e, out=e).sum(-1)
    return m[:, 0] + np.log(total) if total.min() > 1.001 else _logsumexp(x)


def _softmax_backward(grad: np.ndarray, y: np.ndarray) -> np.ndarray:
    return y * (grad - _sum(grad * y))


def _log_softmax_backward(grad: np.ndarray, y: np.ndarray) -> np.ndarray:
    return grad - np.exp(np.minimum(y, 0)) * _sum(grad)


def _softmin(x: np.ndarray, heat: Any = None) -> np.ndarray:
    return _softmax(-x, heat)


def _softmin_backward(grad: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -_softmax_backward(grad, y)


def _cross_entropy(x: np.ndarray, classes: np.ndarray, mask: Any = True) -> np.ndarray:
    if not x.size:
        return np.zeros(len(x), x.dtype)
    x, at = np.where(mask, x, -np.inf), (np.arange(len(x)), np.maximum(classes, 0))
    m, excess = _parts(x)
    loss = (m[:, 0] - x[at]) + excess[:, 0]
    return np.where(classes < 0, 0, np.where(np.broadcast_to(mask, x.shape)[at], loss, np.inf))


def _cross_entropy_backward(grad: np.ndarray, x: np.ndarray, classes: np.ndarray, mask: Any = True) -> np.ndarray:
    if not x.size:
        return x
    x, at = np.where(mask, x, -np.inf), (np.arange(len(x)), np.maximum(classes, 0))
    e = _exp_below(x, x.max(-1, keepdims=True))
    total = _sum(e)
    result = e / total
    e[at] -= e[at]  # all others; NaN stays
    result[at] = -(_sum(e) / total)[:, 0]
    return np.where(mask & (classes >= 0)[:, None], result * grad[:, None], 0)


def _split(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split numbers in two of half as many digits."""
    shifted = a * a.dtype.type(2.0 ** (np.finfo(a.dtype).nmant // 2 + 1) + 1)
    high = shifted - (shifted - a)
    return high, a - high


def _lost_of(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], product: np.ndarray) -> np.ndarray:
    """What the rounding of the product of split numbers lost (Dekker), where nothing overflows or underflows."""
    (p, q), (r, s) = a, b
    return ((p * r - product) + p * s + q * r) + q * s


def _lost(a: np.ndarray, b: np.ndarray, product: np.ndarray) -> np.ndarray:
    """What the rounding of a * b lost; 0 where nothing finite is left to say of it."""
    (a, i), (b, k) = np.frexp(a), np.frexp(b)  # numbers about 1, whose parts neither overflow nor underflow
    lost = np.ldexp(_lost_of(_split(a), _split(b), np.ldexp(product, -(i + k))), i + k)
    return np.nan_to_num(lost, nan=0.0, posinf=0.0, neginf=0.0)


_TINY = 6.918274648626584e-284  # exp(-652), which happens to be nearly a float64


def _times_exp(x: Any, z: np.ndarray) -> np.ndarray:
    """x * exp(z) for z below -700, in steps of which only the last underflows."""
    low = z < -1350  # where only a large x leaves something
    return np.where(low, x * _TINY, x) * np.exp(z + np.where(low, 1304, 652)) * _TINY


def _where_low(x: Any, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y, but x * exp(z) where z is below -700, for which an exponential may underflow though the product does not."""
    low = z < -700
    return np.where(low, _times_exp(x, z), y) if np.count_nonzero(low) else y


def _sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))  # nothing overflows, and small results underflow gradually
    return np.where(x < 0, e, 1) / (1 + e)


def _silu(x: np.ndarray) -> np.ndarray:
    x = np.maximum(x, -1000)
    return _where_low(x, x, x / (1 + np.exp(-x)))


def _silu_single(x: np.ndarray) -> np.ndarray:
    x = np.maximum(x, -1000)
    return x / (1 + np.exp(-x))


def _with_zeros_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y, where x is 0 with its sign, which maxima do not keep."""
    zero = x == 0
    return np.where(zero, x, y) if np.count_nonzero(zero) else y


def _mish(x: np.ndarray) -> np.ndarray:
    x, a = np.maximum(x, -1000), np.minimum(np.abs(x), 1000)
    e = np.exp(-a)
    both, small = e * (1 + e), x * e
    below = small - small * (both / (2 + e * (2 + e)))
    above = x - a * (e * e / (0.5 + both))
    return np.where(x < 0, _where_low(x, x, below), above)


def _mish_single(x: np.ndarray) -> np.ndarray:
    x = np.maximum(x, -1000)
    e = np.exp(np.minimum(x, 40))
    n = e * (2 + e)
    return x * (n / (2 + n))


def _where_one(of_one: Callable[..., np.ndarray], of_any: Callable[..., np.ndarray], x: np.ndarray, beta: Any) -> Any:
    """The same bits wherever beta is 1."""
    if np.ndim(beta) == 0:
        return of_one(x) if beta == 1 else of_any(x, beta)
    return np.where(beta == 1, of_one(x), of_any(x, beta))


def _softplus_one(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _softplus(x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    z = np.abs(x) * np.abs(beta)
    kept = 1 - _lost(np.abs(x), np.abs(beta), z)
    # 1 / beta may be infinite, but then z is large for an infinite x only.
    divisor = np.where(np.abs(beta) < np.finfo(x.dtype).tiny, np.copysign(np.inf, beta), beta)
    below = _where_low(kept / divisor, -z, np.log1p(np.exp(-z) * kept) / beta)
    return np.where(x * beta <= 0, below, x + below)


def _binary_cross_entropy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    against, a = np.where(x < 0, y, 1 - y), np.abs(x)
    return np.where(against == 0, 0, against * a) + np.log1p(np.exp(-a))


def _quotient(x: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x / alpha, and what that has lost to rounding."""
    # Multiplied by a power of 2, so that z * alpha and what it lost keep within the range.
    power = np.where(np.abs(alpha) < 1e-10, 2.0 ** (np.finfo(x.dtype).maxexp // 2), 0.25).astype(x.dtype)
    z, x, alpha = x / alpha, x * power, alpha * power
    lost = (x - z * alpha - _lost(z, alpha, z * alpha)) / alpha
    return z, np.where(np.abs(lost) < 1, lost, 0)


def _celu(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    z, lost = _quotient(x, alpha)
    # For an alpha below 0 it grows, and may be no number before it is multiplied by alpha: as in _times_exp.
    high = z > 1350
    above = np.where(high, alpha / _TINY, alpha) * np.exp(z - np.where(high, 1304, 652)) / _TINY
    small = np.expm1(z) + np.where(z > 0.01, np.exp(np.minimum(z, 700)) * lost, 0)
    below = np.where(z > 700, above * (1 + lost), alpha * small)
    return np.where((x >= 0) | (np.abs(z) < 4e-17), x, np.where(alpha == 0, alpha, below))


def _logit(x: np.ndarray) -> np.ndarray:
    # log(x / (1 - x)) for x > 1/2, whose numerator and denominator are exact there, and odd about 1/2.
    v = np.abs(2 * x - 1) / (np.minimum(x, 1 - x) + 0.0)  # -0.0 becomes 0
    result = np.copysign(np.log1p(v), x - 0.5)
    tiny = x < np.finfo(x.dtype).tiny  # 1 / x may be infinite
    return np.where(tiny, np.log(x), result) if np.count_nonzero(tiny) else result


# Phi(-a) = exp(-a^2/2) / (sqrt(2 pi) a + 1 + (1 + a N(a)) / (1 + a M(a))).
_TAIL_M = (
    1.69342912691734902,
    1.4184049932611233,
    0.760738556849506098,
    0.28685683364326685,
    0.0791440892990088312,
    0.0161661888807208188,
    0.00241824788365431105,
    0.000254670061525376703,
    0.0000171885971182936007,
    5.72757687017792992e-7,
)
_TAIL_N = (
    0.7825699738920802,
    0.14916911774398023,
    -0.11646471640092382,
    -0.10016437492855845,
    -0.03988383609813368,
    -0.010190711108151264,
    -0.0017827560898871116,
    -0.00021158463796479805,
    -1.5752906505623046e-05,
    -5.72757687017793e-07,
)


def _polynomial(coefficients: Any, a: np.ndarray) -> np.ndarray:
    """In pairs, then pairs of pairs: half of the rounding errors that Horner's rule makes."""
    if len(coefficients) == 1:
        return coefficients[0]
    padded = [*coefficients, 0.0][: len(coefficients) + len(coefficients) % 2]
    return _polynomial([low + a * high for low, high in zip(padded[::2], padded[1::2])], a * a)


def _density(a: np.ndarray, factor: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """(factor + lost) * exp(-a^2/2)"""
    high = np.round(a * 2**12) / 2**12  # its square is exact
    far = a > 37  # exp underflows before the product does
    square = np.where(far, high * high / 4, high * high / 2)
    e = np.exp(-square)
    density = factor * e
    density = density + (density * np.expm1((high - a) * (high + a) / 2) + lost * e)
    return np.where(far, density * e, density)


def _tail(a: np.ndarray, factor: Any) -> tuple[np.ndarray, np.ndarray]:
    """factor * exp(a^2/2) * Phi(-a), for the factor 1 or a, and what that has lost to rounding."""
    c = a.dtype.type(2.5066282746310007)  # sqrt(2 pi), and less_c less
    less_c, product = float(c) - 2.5066282746310007 + 1.83285799804591675e-16, c * a
    quotient = (1 + a * _polynomial(_TAIL_N, a)) / (1 + a * _polynomial(_TAIL_M, a))
    high = product + quotient
    part = high - product
    rest = (product - (high - part)) + (quotient - part)
    inverse = 1 + high
    part = inverse - 1
    rest = rest + (1 - (inverse - part)) + (high - part)
    rest = rest + _lost_of(_split(c), _split(a), product)
    tail = factor / inverse
    product = tail * inverse
    lost = (factor - product) - _lost_of(_split(tail), _split(inverse), product)
    return tail, (lost - tail * (rest - less_c * a)) / inverse


def _gelu(x: np.ndarray) -> np.ndarray:
    a = np.minimum(np.abs(x), 40)
    return np.where(x < 0, -0.0, x) - _density(a, *_tail(a, a))


# sqrt(8/pi) 0.044715, and three times that, in two parts.
_CUBIC, _CUBIC_SLOPE = (0.07135481627260025, -4.1218577217431825e-18), (0.21406444881780073, 1.5122146425849084e-18)


def _gelu_tanh_argument(x: np.ndarray, third: tuple[float, float] = _CUBIC) -> tuple[np.ndarray, np.ndarray]:
    """z = sqrt(8/pi) (x + 0.044715 x^3), or x z', and what it has lost to rounding, for abs(x) <= 23."""
    one, one_rest, three, three_rest = np.array([1.5957691216057308, -9.96930880911092e-17, *third], x.dtype)
    square = x * x
    cubic = three * square
    slope = one + cubic
    part = slope - one
    split = _split(x)
    rest = (one - (slope - part)) + (cubic - part) + _lost_of(_split(three), _split(square), cubic)
    rest += three * _lost_of(split, split, square) + (three_rest * square + one_rest)
    z = x * slope
    return z, _lost_of(split, _split(slope), z) + x * rest


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    """x sigmoid(z)."""
    x = np.maximum(x, -23)
    z, rest = _gelu_tanh_argument(np.minimum(x, 23))
    e = np.exp(-z)
    lost = np.minimum(e, np.finfo(e.dtype).max) * rest  # narrower types: e is infinite sooner
    return _where_low(x * (1 + rest), z, x / (e + (1 - lost)))


def _gelu_tanh_single(x: np.ndarray) -> np.ndarray:
    x = np.maximum(x, -23)
    return x / (1 + np.exp(-x * (1.5957691216057308 + 0.07135481627260025 * (x * x))))


def _softsign(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, -1e30, 1e30)
    return x / (1 + np.abs(x))


def _log1mexp(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0.7, np.log(np.abs(np.expm1(-x)) + np.where(x < 0, np.nan, 0)), np.log1p(-np.exp(-x)))


def _tanh_shrink(x: np.ndarray) -> np.ndarray:
    """Near 0, where the difference cancels, by the continued fraction of tanh."""
    z = np.minimum(x * x, 1)
    below: Any = 21
    for odd in range(19, 3, -2):
        below = odd + z / below
    return np.where(np.abs(x) > 1, x - np.tanh(x), x * z / (z + 3 + z / below))


def _swish_argument(x: np.ndarray, beta: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return beta * x, where 0 times infinity is 0, and what it has lost to rounding."""
    z = x * beta
    z = np.where(np.isnan(z) & ~np.isnan(x) & ~np.isnan(beta), 0, z)
    return z, np.where(np.abs(z) < 2500, _lost(x, beta, z), 0)  # beyond, nothing of exp(-|z|) is left


def _gated(x: np.ndarray, z: np.ndarray, lost: Any = 0.0) -> np.ndarray:
    """x * sigmoid(z + lost)"""
    y = x / (1 + np.exp(-np.maximum(z, -700)) * (1 - lost))
    low = z < -700
    if not np.count_nonzero(low):
        return y
    half = np.exp(np.maximum(z, -1480) / 2)  # a large x is multiplied before the exponential has underflown
    return np.where(low, x * half * half * (1 + lost), y)


def _swish(x: np.ndarray, beta: Any) -> np.ndarray:
    z, lost = _swish_argument(x, beta)
    most = np.finfo(x.dtype).max
    return _gated(np.where(z < 0, np.clip(x, -most, most), x), z, lost)


def _linear_half(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a, and NaN where infinity is multiplied by a sigmoid of 0."""
    return np.where(np.isinf(b), a * np.where(b < 0, 0, 1), a)


def _glu(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _gated(_linear_half(a, b), b)


def _glu_single(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _linear_half(a, b) / (1 + np.exp(np.minimum(-b, 700)))


def _glu_backward(grad: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    z, a = -np.abs(b), _linear_half(a, -np.abs(b))
    half = np.exp(np.maximum(z, -1480) / 2)
    return grad * np.where(z < -700, a * half * half, a * _sigmoid_slope(b))


FORMULAS: dict[str, Callable[..., np.ndarray] | Formula] = {
    "sigmoid": Formula(_sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "tanh": Formula(np.tanh),
    "relu": Formula(lambda x: _with_zeros_of(x, np.maximum(x, 0))),
    "leaky_relu": Formula(lambda x, negative_slope: np.where(x > 0, x, x * negative_slope)),
    "relu6": Formula(lambda x: _with_zeros_of(x, np.clip(x, 0, 6))),
    "hard_tanh": Formula(np.clip),
    "hard_sigmoid": Formula(lambda x: np.clip(x + 3, 0, 6) / 6),
    "hard_swish": Formula(lambda x: np.maximum(x, -3) * (np.clip(x + 3, 0, 6) / 6)),
    "silu": Formula(_silu, _silu_single),
    "mish": Formula(_mish, _mish_single),
    "gelu": _gelu,
    "gelu_tanh": Formula(_gelu_tanh, _gelu_tanh_single),
    "elu": lambda x, alpha: np.where(x >= 0, x, alpha * np.expm1(x)),
    "selu": lambda x: np.where(x >= 0, 1.0507009873554805 * x, 1.7580993408473766 * np.expm1(x)),
    "celu": _celu,
    "softplus": lambda x, beta: _where_one(_softplus_one, _softplus, x, beta),
    "binary_cross_entropy_with_logits": _binary_cross_entropy,
    "log_sigmoid": lambda x: -(np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x)))),
    "logit": Formula(_logit, lambda x: np.log(x / (1 - x))),
    "softsign": Formula(_softsign),
    "log1mexp": _log1mexp,
    "hard_shrink": Formula(
        lambda x, lambd: np.where(np.isnan(lambd), lambd, np.where(np.abs(x) <= lambd, np.copysign(0, x), x))
    ),
    "soft_shrink": Formula(
        lambda x, lambd: np.where(np.abs(x) <= lambd, np.copysign(0, x), x - np.where(x < 0, -lambd, lambd))
    ),
    "tanh_shrink": _tanh_shrink,
    "threshold": Formula(
        lambda x, bound, value: np.where(np.isnan(bound), bound, np.where(x <= bound, value, x)).astype(x.dtype)
    ),
    "swish": lambda x, beta: _where_one(_silu, _swish, x, beta),
}


def _between(grad: np.ndarray, x: np.ndarray, low: Any, high: Any) -> np.ndarray:
    """grad where low < x < high, else 0; NaN where any but grad is NaN."""
    nan = np.isnan(x) | np.isnan(low) | np.isnan(high)
    return np.where(nan, np.nan, np.where((x > low) & (x < high), grad, 0))


def _sigmoid_slope(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return e / (1 + e * (2 + e))


def _against_slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e / (1 + e) - y, (1 - y) - e / (1 + e))


def _gated_slope(x: np.ndarray, z: np.ndarray, lost: Any = 0) -> np.ndarray:
    """The derivative of x * sigmoid(x), of z + lost for x in its exponentials; z >= 0 is for |x|."""
    e = np.exp(-z) * (1 - lost)
    below = np.where(z > 700, _times_exp((1 - z + e) * (1 - lost), -z), (1 - z + e) * e)
    return np.where(x < 0, below, 1 + e * (1 + z)) / (1 + e * (2 + e))


def _gelu_tanh_slope(x: np.ndarray) -> np.ndarray:
    """As the kernels have it: 1 / (1 + e)^2 is a power of two and a rest, so that few roundings count."""
    a = np.minimum(np.abs(x), 23)
    (z, lost), (q, lost_of_q) = _gelu_tanh_argument(a), _gelu_tanh_argument(a, _CUBIC_SLOPE)
    e, n = np.exp(-z), 1 - q
    square, power, low = e * (2 + e), np.where(e > 0.41, 0.25, 1).astype(x.dtype), e + (((1 - n) - q) - lost_of_q)
    total = n + low
    low = low + (n - total) - lost * (total + e)
    slope = power * total + ((total + low) * ((1 - power - power * square) / (1 + square)) + power * low)
    below = _where_low(slope, -z, slope * e)
    return np.where(x < 0, below, 1 - below)


def _gelu_slope(x: np.ndarray) -> np.ndarray:
    a = np.minimum(np.abs(x), 40)
    tail, lost = _tail(a, a.dtype.type(1))
    c = a.dtype.type(0.3989422804014327)
    product = a * c
    ratio = tail - product
    part = ratio - tail
    rest = (tail - (ratio - part)) - (product + part) - _lost_of(_split(a), _split(c), product)
    below = _density(a, ratio, lost + (rest + 2.49232720227773e-17 * a))
    return np.where(x < 0, below, 1 - below)


def _mish_slope(x: np.ndarray) -> np.ndarray:
    a = np.minimum(np.abs(x), 1000)
    e = np.exp(-a)
    low, high = e * (2 + e), 2 * e * (1 + e)
    below = ((4 - 4 * a) + e * ((6 - 4 * a) + (2 * e + low))) / (4 + low * (4 + low))
    above = (1 + e * (4 + e * ((6 + 4 * a) + e * (4 + 4 * a)))) / (1 + high * (2 + high))
    return np.where(x < 0, np.where(a > 700, _times_exp(below, -a), below * e), above)


def _celu_slope(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    z, lost = _quotient(x, alpha)
    e = np.exp(z)
    return np.where(x > 0, 1, e + np.minimum(e, np.finfo(e.dtype).max) * lost)  # infinite for an alpha below 0


def _softplus_slope(x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    z = x * beta
    e = np.exp(-np.abs(z))
    lost = -e * np.sign(z) * _lost(x, beta, z)
    below = e + (lost / (1 + e) - e * e) / (1 + e)  # not e / (1 + e): next to a small e, no other rounding counts
    return np.where(z < 0, below, 1 / (1 + e + lost))


def _elu_slope(x: np.ndarray, alpha: Any) -> np.ndarray:
    x = np.minimum(x, 0)
    slope = _where_low(alpha, x, alpha * np.exp(x))
    return np.where(np.isinf(alpha) & (x > -np.inf), alpha, slope)  # however small the exponential is


def _beyond(grad: np.ndarray, x: np.ndarray, lambd: Any) -> np.ndarray:
    """grad where abs(x) > lambd, else 0; NaN where any but grad is NaN."""
    return np.where(np.isnan(x) | np.isnan(lambd), np.nan, np.where(np.abs(x) > lambd, grad, 0))


def _above(grad: np.ndarray, x: np.ndarray, bound: Any, value: Any) -> np.ndarray:
    """grad where x > bound, else 0; NaN where any but grad is NaN. The value counts for the shape alone."""
    y = np.where(np.isnan(x) | np.isnan(bound), np.nan, np.where(x > bound, grad, 0))
    return np.broadcast_arrays(y, value)[0].copy()


def _swish_slope(x: np.ndarray, beta: Any) -> np.ndarray:
    z, lost = _swish_argument(x, beta)
    a = np.minimum(np.abs(z), 1000)
    return _gated_slope(z, a, np.where(z < 0, -lost, lost))


def _log1mexp_slope(x: np.ndarray) -> np.ndarray:
    y = np.where(x < 1, 1 / np.abs(np.expm1(x)), np.exp(-x) / -np.expm1(-x))
    return np.where(x >= 0, y, np.nan)


# NaN in x gives NaN also where nothing else depends on x's value.
GRADIENTS: dict[str, Callable[..., np.ndarray]] = {
    "sigmoid": lambda grad, x: grad * _sigmoid_slope(x),
    "tanh": lambda grad, x: grad * (4 * _sigmoid_slope(2 * x)),
    "relu": lambda grad, x: np.where(np.isnan(x), x, np.where(x > 0, grad, 0)),
    "leaky_relu": lambda grad, x, slope: np.where(np.isnan(x), x, np.where(x > 0, grad, grad * slope)),
    "relu6": lambda grad, x: _between(grad, x, 0, 6),
    "hard_tanh": _between,
    "hard_sigmoid": lambda grad, x: _between(grad * x.dtype.type(1 / 6), x, -3, 3),
    "hard_swish": lambda grad, x: np.where(x <= -3, 0, grad * ((np.where(x >= 3, 1.5, x) + 1.5) / 3)),
    "softsign": lambda grad, x: grad * np.where(np.abs(x) < 1e30, 1 / (1 + np.abs(x) * (2 + np.abs(x))), 1 / x / x),
    "silu": lambda grad, x: grad * _gated_slope(x, np.minimum(np.abs(x), 1000)),
    "mish": lambda grad, x: grad * _mish_slope(x),
    "gelu": lambda grad, x: grad * _gelu_slope(x),
    "gelu_tanh": lambda grad, x: grad * _gelu_tanh_slope(x),
    "elu": lambda grad, x, alpha: grad * np.where(x > 0, 1, _elu_slope(x, alpha)),
    "selu": lambda grad, x: grad * np.where(x > 0, 1.0507009873554805, _elu_slope(x, 1.7580993408473766)),
    "celu": lambda grad, x, alpha: grad * _celu_slope(x, alpha),
    "softplus": lambda grad, x, beta: grad * _softplus_slope(x, beta),
    "log_sigmoid": lambda grad, x: grad * (np.where(x > 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x)))),
    "binary_cross_entropy_with_logits": lambda grad, x, y: grad * _against_slope(x, y),
    "logit": lambda grad, x: grad * np.where(x * (1 - x) >= 0, 1 / np.abs(x * (1 - x)), np.nan),
    "log1mexp": lambda grad, x: grad * _log1mexp_slope(x),
    "hard_shrink": _beyond,
    "soft_shrink": _beyond,
    "tanh_shrink": lambda grad, x: grad * np.tanh(x) ** 2,
    "threshold": _above,
    "swish": lambda grad, x, beta: grad * _swish_slope(x, beta),
}

# The halves of an axis, and grad_output before them.
HALVES: dict[str, Callable[..., np.ndarray] | Formula] = {
    "glu": Formula(_glu, _glu_single),
    "glu_backward": _glu_backward,
    "glu_backward_linear": lambda grad, b: grad * (np.where(b < 0, np.exp(-np.abs(b)), 1) / (1 + np.exp(-np.abs(b)))),
}


def _under_mask(function: Callable, fills: tuple, hole: float | None) -> Callable:
    """Return the function of its operands and a mask: outside of it, the first ones are `fills`, the result `hole`."""

    def masked(*given: np.ndarray) -> np.ndarray:
        *operands, mask = given
        filled = [np.where(mask, x, fill) for x, fill in zip(operands, fills)]
        result = function(*filled, *operands[len(fills) :])
        return result if hole is None else np.where(mask, result, hole)

    return masked


# Some rows, along the last axis of two, their temperatures, if they have some, and a mask: numbers, 0 and 1.
ROWS: dict[str, Callable[..., np.ndarray] | Formula] = {
    "softmax": Formula(_softmax, _softmax_single),
    "softmin": Formula(_softmin, lambda x, heat=None: _softmax_single(-x, heat)),
    "log_softmax": Formula(_log_softmax, _log_softmax_single),
    "logsumexp": Formula(_logsumexp, _logsumexp_single),
    "softmax_where": _under_mask(_softmax, (-np.inf,), 0),
    "softmin_where": _under_mask(_softmin, (np.inf,), 0),
    "log_softmax_where": _under_mask(_log_softmax, (-np.inf,), -np.inf),
    "logsumexp_where": _under_mask(_logsumexp, (-np.inf,), None),
    "softmax_backward": _softmax_backward,
    "softmin_backward": _softmin_backward,
    "log_softmax_backward": _log_softmax_backward,
    "softmax_backward_where": _under_mask(_softmax_backward, (0, 0), 0),
    "softmin_backward_where": _under_mask(_softmin_backward, (0, 0), 0),
    "log_softmax_backward_where": _under_mask(_log_softmax_backward, (0,), 0),
}

# The same of rows, their classes (less than 0: not to count) and a mask.
LOSSES: dict[str, Callable[..., np.ndarray]] = {
    "cross_entropy": _cross_entropy,
    "cross_entropy_where": _cross_entropy,
    "cross_entropy_backward": _cross_entropy_backward,
    "cross_entropy_backward_where": _cross_entropy_backward,
}

_INTEGERS, _FLOATS = "bBhHiIlLqQ", "efd"
_KEEP_INTEGERS = {"relu"}
_CLASS = np.dtype(np.intp).char
# NumPy's exp is off by up to 2.5 ULP in float32, which would leave a formula no room of its own.
_NARROW = "eEf"
_PLAIN: list[np.dtype] = [np.dtype("f"), np.dtype("d")]
_BYTES = 2**17  # of a block: a few of them stay in the second cache


def _bfloat16() -> type | None:
    """Return the scalar type bfloat16 of ml_dtypes, once that package has been imported."""
    return getattr(sys.modules.get("ml_dtypes"), "bfloat16", None)


def _char(dtype: np.dtype) -> str:
    """Return a dtype's letter in a loop: "E" for bfloat16. No other package's dtype has one."""
    return dtype.char if dtype.isbuiltin < 2 else "E" if dtype.type is _bfloat16() else " "


def _dtype(char: str) -> np.dtype:
    """Return the dtype of a letter in a loop."""
    return np.dtype(_bfloat16() if char == "E" else char)


def _is_others(x: Any) -> bool:
    """Whether it may be an array of another kind than NumPy's plain one."""
    if type(x) is tuple and len(x) == 1:  # of an `out`
        (x,) = x
    return type(x) not in (np.ndarray, list, tuple) and not isinstance(x, (float, int, str, np.generic, type(None)))


class Ufunc:
    """An elementwise function that is called, introspected and pickled like a `numpy.ufunc`.

    Parameters
    ----------
    name, doc : str
        The docstring comes without the line that shows the call.
    module : str
        Where pickle finds the object, under its name.
    formula : callable
        From arrays of the computing dtype to one such array.
    types : list of str
        The loops, as in `numpy.ufunc.types`.
    signature : str, optional
        The core dimensions, as in `numpy.ufunc.signature`.
    """

    nout = 1
    identity = None
    signature: str | None = None
    _equals = False  # whether the operands are of equal standing: their dtypes promote as NumPy's do
    _keywords: tuple[str, ...] = ("out", "where", "casting", "order", "dtype", "subok", "signature", "sig")
    _like: np.ufunc = np.add  # a ufunc with two inputs whose options are ours
    _usage = "where=True, casting='same_kind', order='K', dtype=None, subok=True[, signature]"

    def __init__(self, name: str, doc: str, module: str, formula: Any, types: list[str]) -> None:
        self.__name__ = self.__qualname__ = name
        self.__module__ = module
        self.types, self.ntypes = types, len(types)
        self.nin = types[0].index("->")
        self.nargs = self.nin + self.nout
        # Masks, classes and temperatures, whose dtypes say nothing of the result's.
        self._apart = [self.ntypes > 1 and len({loop[i] for loop in types}) == 1 for i in range(self.nin)]
        self._formula = formula if isinstance(formula, Formula) else Formula(formula, formula)
        self._ways = {dtype: self._formula.way(dtype) for dtype in _PLAIN}
        inputs = ["x"] if self.nin == 1 else [f"x{i + 1}" for i in range(self.nin)]
        self.__doc__ = f"{name}({', '.join(inputs)}, /, out=None, *, {self._usage})\n\n{doc}"
        import inspect  # as in _functions.py

        try:
            like = inspect.signature(self._like)
        except ValueError:  # NumPy before 2.4 has no signatures of ufuncs
            return
        named = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in inputs]
        self.__signature__ = like.replace(parameters=[*named, *list(like.parameters.values())[2:]])

    def __repr__(self) -> str:
        return f"<ufunc '{self.__name__}'>"

    def __reduce__(self) -> str:
        return self.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == self.nin == 1 and not kwargs and type(args[0]) is np.ndarray:
            result = self._short(args[0])
            if result is not None:
                return result
        if self.signature is None and any(map(_is_others, (*args, kwargs.get("out")))):
            from ._arrays import elementwise  # when the first of them comes

            result = elementwise(self, *args, **kwargs)
            if result is not NotImplemented:
                return result
        inputs, kwargs = self._parse(args, kwargs)
        result = self._override(inputs, kwargs)
        if result is not NotImplemented:
            return result
        with np.errstate(all="ignore"):
            return self._evaluate(inputs, **kwargs)

    def _short(self, x: np.ndarray) -> np.ndarray | None:
        """Call it of a plain float32 or float64 array alone, as most calls are; None of others."""
        dtype = x.dtype
        if dtype not in self._ways or not x.ndim:
            return None
        with np.errstate(all="ignore"):
            formula, wide, blocks = self._ways[dtype]
            if (blocks and x.nbytes > _BYTES) or not x.flags.forc:
                return self._compute([x], dtype, "K")
            return formula(x if dtype is wide else x.astype(wide)).astype(dtype, copy=False)

    def _parse(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """Split off the inputs, and spell the keywords as `__array_ufunc__` methods expect them."""
        name, inputs, out = self.__name__, args[: self.nin], args[self.nin :]
        unknown = [key for key in kwargs if key not in self._keywords]
        if unknown:
            refuse(name.removesuffix("_backward"), kwargs)
        if not self.nin <= len(args) <= self.nargs:
            given = f"{len(args)} {'was' if len(args) == 1 else 'were'}"
            span = f"from {self.nin} to {self.nargs} positional arguments"
            raise TypeError(f"{name}() takes {span} but {given} given")
        if unknown:
            raise TypeError(f"{name}() got an unexpected keyword argument '{unknown[0]}'")
        for pair in (("sig", "signature"), ("sig", "dtype"), ("signature", "dtype"), ("axis", "axes")):
            if kwargs.keys() >= set(pair):
                raise TypeError("cannot specify both '{}' and '{}'".format(*pair))
        if "sig" in kwargs:
            kwargs["signature"] = kwargs.pop("sig")
        if out and "out" in kwargs:
            raise TypeError("cannot specify 'out' as both a positional and keyword argument")
        if "out" in kwargs:
            out = kwargs["out"] if isinstance(kwargs["out"], tuple) else (kwargs["out"],)
            if len(out) != self.nout:
                raise ValueError("The 'out' tuple must have exactly one entry per ufunc output")
        return inputs, kwargs | ({"out": out} if out else {})

    def _override(self, inputs: tuple, kwargs: dict) -> Any:
        """Let operands with an `__array_ufunc__` of their own answer; NotImplemented if there is none."""
        out = tuple(operand for operand in kwargs.get("out", ()) if operand is not None)
        kwargs = {key: value for key, value in kwargs.items() if key != "out" or out}
        overriding: list = []
        for operand in (*inputs, *out, kwargs.get("where")):
            kind = type(operand)
            method = getattr(kind, "__array_ufunc__", np.ndarray.__array_ufunc__)
            if method is None:
                raise TypeError(f"operand '{kind.__name__}' does not support ufuncs (__array_ufunc__=None)")
            if method is not np.ndarray.__array_ufunc__ and kind not in map(type, overriding):
                # From left to right, but a subclass before its bases.
                bases = (i for i, other in enumerate(overriding) if issubclass(kind, type(other)))
                overriding.insert(next(bases, len(overriding)), operand)
        for operand in overriding:
            result = type(operand).__array_ufunc__(operand, self, "__call__", *inputs, **kwargs)
            if result is not NotImplemented:
                return result
        if overriding:
            call = ", ".join([*map(repr, inputs), *(f"{key}={value!r}" for key, value in kwargs.items())])
            kinds = ", ".join(repr(type(operand).__name__) for operand in (*inputs, *out))
            asked = f"__array_ufunc__({self!r}, '__call__', {call}): {kinds}"
            raise TypeError(f"operand type(s) all returned NotImplemented from {asked}")
        return NotImplemented

    def _evaluate(self, inputs: tuple, dtype: Any = None, signature: Any = None, **options: Any) -> Any:
        casting = options.get("casting", "same_kind")
        arrays = [np.asarray(x) for x in inputs]
        dtype = self._resolve(inputs, arrays, signature or (None,) * self.nin + (dtype,), casting)
        (out,) = options.get("out", (None,))
        given = isinstance(out, np.ndarray)
        if given:
            self._check_cast("output", dtype, out.dtype, casting)
        elif out is not None and out is not ...:
            raise TypeError("return arrays must be of ArrayType")
        if "out" in options:
            # No subclass, which NumPy would wrap as its own result; no tuple, which it lets hold no `...`.
            options["out"] = np.asarray(out) if given else out
        result = self._apply(arrays, dtype, options)
        if given:
            like, result, operands = out, out, (*inputs, out)
        else:
            wrappers = [x for x in inputs if options.get("subok", True) and hasattr(x, "__array_wrap__")]
            like, operands = max(wrappers, key=_priority, default=None), inputs
        if like is None or type(like) is np.ndarray or isinstance(like, np.generic):
            return result
        try:
            scalar = isinstance(result, np.generic)
            return like.__array_wrap__(np.asanyarray(result), (self, operands, 0), scalar)
        except TypeError:
            return like.__array_wrap__(np.asanyarray(result))  # older than NumPy 2, as torch's

    def _resolve(self, inputs: tuple, arrays: list[np.ndarray], wanted: Any, casting: Any) -> np.dtype:
        """Return the result's dtype in the loop that fits the operands and the wanted dtypes (None: any)."""
        # A Python number is a float64 that follows floating arrays (NEP 50), but an integer x of a function stays one.
        weak = [type(x) is float or (type(x) is int and (i > 0 or self._equals)) for i, x in enumerate(inputs)]
        dtypes = [np.dtype(float) if number else array.dtype for number, array in zip(weak, arrays)]
        leaders = [dtype for dtype, follows in zip(dtypes, weak) if _char(dtype) in "eEfdg" and not follows]
        weak = [follows and bool(leaders) for follows in weak]
        widest = next(loop for loop in self.types if loop[0] == "d")
        for have, needed, follows in zip(dtypes, widest, weak):
            if not follows and (_char(have) == " " or not np.can_cast(have, needed)):
                floats = "bool, integer, float16, float32 and float64 input, and bfloat16 of ml_dtypes"
                accepts = "bool mask input" if needed == "?" else floats
                raise TypeError(f"ufunc '{self.__name__}' supports {accepts}, not {have.type.__name__}")
        if isinstance(wanted, str):
            wanted = wanted.replace("->", "")
        if len(wanted) != self.nargs:
            raise TypeError(f"a signature of {self.__name__} has {self.nargs} dtypes, not {len(wanted)}")
        fixed = [(i, np.dtype(want)) for i, want in enumerate(wanted) if want is not None]
        native = all(dtype.isnative for _, dtype in fixed)  # a loop has no byte order to ask for
        types = self.types + [t.replace("e", "E") for t in self.types if "e" in t]
        loops = [t for t in types if native and all(t.replace("->", "")[i] == _char(d) for i, d in fixed)]
        if not loops:
            problem = "No loop matching the specified signature and casting was found"
            raise TypeError(f"{problem} for ufunc {self.__name__}")
        votes = [np.dtype("e") if follows else have for have, follows in zip(dtypes, weak)]
        if "E" in map(_char, votes):
            votes = self._beside_bfloat16(votes, weak)
        elif self._equals:
            common = np.result_type(*(vote for vote, apart in zip(votes, self._apart) if not apart))
            common = common if common.kind == "f" else np.dtype(float)
            votes = [np.dtype(kind) if apart else common for kind, apart in zip(widest, self._apart)]
        chars = "".join(map(_char, votes))
        exact = [loop for loop in loops if loop.startswith(chars)]
        fits = (loop for loop in exact + loops if all(map(np.can_cast, votes, map(_dtype, loop.partition("-")[0]))))
        loop = next(fits, loops[-1])
        for i, (have, takes) in enumerate(zip(dtypes, loop)):
            if self.nin == 1 or type(inputs[i]) not in (int, float):  # a number beside others can be cast to all
                self._check_cast(f"input {i}" if self.nin > 1 else "input", have, _dtype(takes), casting)
        return _dtype(loop[-1])

    def _beside_bfloat16(self, votes: list[np.dtype], weak: list[bool]) -> list[np.dtype]:
        """Return the votes beside a bfloat16: float64 if x is an integer, else what promotion gives."""
        masks = self._apart
        leading = [vote for vote, mask in zip(votes, masks) if not mask][: None if self._equals else 1]
        if any(vote.kind in "biu" for vote in leading):
            return [np.dtype(float) if _char(vote) == "E" else vote for vote in votes]
        try:
            common = np.result_type(*(v for v, follows, mask in zip(votes, weak, masks) if not follows and not mask))
        except TypeError:  # with float16, for one: the first loop then that takes both
            return votes
        return [vote if mask or _char(common) != "E" else common for vote, mask in zip(votes, masks)]

    def _check_cast(self, operand: str, have: np.dtype, takes: np.dtype, casting: Any) -> None:
        if not np.can_cast(have, takes, casting):
            cast = f"Cannot cast ufunc '{self.__name__}' {operand} from {have!r} to {takes!r}"
            raise TypeError(f"{cast} with casting rule '{casting}'")

    def _apply(self, arrays: list[np.ndarray], dtype: np.dtype, options: dict) -> Any:
        """Compute and hand over; NumPy sees to where=, order=, broadcasting into out= and 0-d results."""
        if options.get("order") in ("A", "a"):  # asks the operands, not what is computed of them
            options["order"] = "F" if all(array.flags.f_contiguous for array in arrays) else "C"
        result = self._compute(arrays, dtype, "K")
        return np.positive(result, **options) if options else result[()]

    def _compute(self, arrays: list[np.ndarray], dtype: np.dtype, order: Any) -> np.ndarray:
        """Run the formula over contiguous arrays: no strides, no difference in the result's bits."""
        formula, wide, blocks = self._formula.way(dtype)
        arrays = [x if x.dtype is dtype else x.astype(dtype, order) for x in arrays]
        if not blocks or sum(x.nbytes for x in arrays) <= _BYTES:
            result = formula(*(x.astype(wide, order, copy=not x.flags.forc) for x in arrays))
            return result if result.dtype == dtype else _put(result, np.empty_like(result, dtype))
        looped = [i for i, x in enumerate(arrays) if x.ndim or i == 0]
        values: list = [x.astype(wide)[()] for x in arrays]
        flags: Any = [*[["readonly", "contig", "aligned"]] * len(looped), ["writeonly", "allocate"]]
        iterator: Any = np.nditer(
            [*(arrays[i] for i in looped), None],
            ["external_loop", "buffered", "zerosize_ok"],
            flags,
            [*[wide] * len(looped), dtype],
            order,
            "unsafe",
            buffersize=_BYTES // wide.itemsize,
        )
        result = iterator.operands[-1]
        with iterator:
            for *parts, y in iterator:
                for i, part in zip(looped, parts):
                    values[i] = part
                _put(formula(*values), y)
        return result


class _Default(Ufunc):
    """A function of x alone: the parameters have these values."""

    def __init__(self, *args: Any, defaults: tuple[float, ...]) -> None:
        super().__init__(*args)
        self.defaults = defaults
        for dtype, (formula, wide, blocks) in self._ways.items():
            self._ways[dtype] = self._bound(formula, [wide.type(dtype.type(v)) for v in defaults]), wide, blocks

    @staticmethod
    def _bound(formula: Callable, values: list) -> Callable:
        return lambda x: formula(x, *values)

    def _compute(self, arrays: list[np.ndarray], dtype: np.dtype, order: Any) -> np.ndarray:
        return super()._compute([*arrays, *map(np.asarray, self.defaults)], dtype, order)


class _Gradient(Ufunc):
    _equals = True


class _RowUfunc(Ufunc):
    """A generalised ufunc: the formula runs along one axis of the operands, the last one by default.

    The result lacks that axis if it `reduces`.
    """

    _keywords = ("out", "casting", "order", "dtype", "subok", "signature", "sig", "axis", "axes")
    _like = np.matmul
    _usage = "casting='same_kind', order='K', dtype=None, subok=True[, signature, axes, axis]"

    def __init__(self, *args: Any, reduces: bool) -> None:
        super().__init__(*args)
        self._reduces = reduces
        self._equals = "_backward" in self.__name__
        self.signature = ",".join(["(n)"] * self.nin) + ("->()" if self._reduces else "->(n)")

    def _apply(self, arrays: list[np.ndarray], dtype: np.dtype, options: dict) -> Any:
        axes = options.pop("axes", [options.pop("axis", -1)] * self.nargs)
        if not isinstance(axes, list):
            raise TypeError("axes should be a list.")
        if self._reduces and len(axes) == self.nin:
            axes = [*axes, ()]
        if len(axes) != self.nargs:
            raise ValueError(f"axes should be a list with an entry for all {self.nargs} inputs and outputs")
        given = isinstance(options.get("out"), np.ndarray)
        rows: list[np.ndarray] = []
        operands = [*arrays, options["out"]] if given and not self._reduces else arrays
        for i, (array, axis) in enumerate(zip(operands, axes)):
            operand = f"{self.__name__}: " + (f"Input operand {i}" if i < self.nin else "Output operand 0")
            if array.ndim == 0:
                core = f"gufunc core with signature {self.signature} requires 1"
                raise ValueError(f"{operand} does not have enough dimensions (has 0, {core})")
            rows.append(np.moveaxis(array, axis, -1))
            n, size = rows[0].shape[-1], rows[i].shape[-1]
            if size != n:
                problem = "has a mismatch in its core dimension 0, with gufunc signature"
                raise ValueError(f"{operand} {problem} {self.signature} (size {size} is different from {n})")
        result = self._compute(rows[: self.nin], dtype, "C")
        if given and not self._reduces:
            options["out"] = rows[-1]
        result = np.positive(result, **options) if options else result[()]
        return result if given or self._reduces else np.moveaxis(result, -1, axes[-1])

    def _compute(self, arrays: list[np.ndarray], dtype: np.dtype, order: Any) -> np.ndarray:
        formula, wide, _ = self._formula.way(dtype)
        arrays = list(np.broadcast_arrays(*arrays)) if len(arrays) > 1 else arrays
        shape = arrays[0].shape
        rows = [
            x.astype(dtype, "C", copy=not x.flags.c_contiguous).reshape(math.prod(shape[:-1]), shape[-1])
            for x in arrays
        ]
        result = np.empty(shape[:-1] if self._reduces else shape, dtype)
        results = result.reshape(rows[0].shape[: 1 if self._reduces else 2])
        step = max(1, _BYTES // (wide.itemsize * max(1, shape[-1])))
        for i in range(0, len(results), step):
            _put(formula(*(x[i : i + step].astype(wide, copy=False) for x in rows)), results[i : i + step])
        return result


class _BesideUfunc(Ufunc):
    """A generalised ufunc of rows along one axis with one number a row beside them: operands of cores as given."""

    _keywords, _like, _usage = _RowUfunc._keywords, _RowUfunc._like, _RowUfunc._usage

    def __init__(self, *args: Any, signature: str, column: bool) -> None:
        super().__init__(*args)
        self.signature, self._column = signature, column  # whether the numbers beside rows are a column of two axes
        self._equals = "_backward" in self.__name__
        cores = signature.replace("->", ",").split(",")
        self._bare = [core == "()" for core in cores[: self.nin]]  # operands without the axis
        self._reduces = cores[-1] == "()"

    def _apply(self, arrays: list[np.ndarray], dtype: np.dtype, options: dict) -> Any:
        axis = options.pop("axis", -1)
        operands = [x[..., None] if bare else np.moveaxis(x, axis, -1) for bare, x in zip(self._bare, arrays)]
        shape = np.broadcast_shapes(*(x.shape for x in operands))
        rows = []
        for i, x in enumerate(operands):
            x = np.broadcast_to(x, (*shape[:-1], x.shape[-1])).reshape(math.prod(shape[:-1]), x.shape[-1])
            x = x[:, 0] if self._bare[i] and not self._column else x
            rows.append(x if self._apart[i] else x.astype(dtype))
        formula, wide, _ = self._formula.way(dtype)
        result = np.empty(shape[:-1] if self._reduces else shape, dtype)
        results = result.reshape(-1) if self._reduces or not result.size else result.reshape(-1, shape[-1])
        step = max(1, _BYTES // (wide.itemsize * max(1, shape[-1])))
        for i in range(0, len(results), step):
            parts = (x[i : i + step] for x in rows)
            block = formula(*(x.astype(wide, copy=False) if x.dtype == dtype else x for x in parts))
            _put(block, results[i : i + step])
        result = result if self._reduces else np.moveaxis(result, -1, axis)
        return np.positive(result, **options) if options else result[()]


def _priority(operand: Any) -> tuple[float, bool]:
    """Rank an operand's claim to wrap the result; a plain array yields to others of its rank."""
    return getattr(operand, "__array_priority__", 0.0), type(operand) is not np.ndarray


def _formula(table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise KeyError(f"no formula for {name!r}: add its line to fastsig/_fallback.py")
    return table[name]


def build(name: str, doc: str, parameters: int) -> Ufunc:
    """Build the elementwise ufunc `name`, with its formula from `FORMULAS`.

    Parameters
    ----------
    name, doc : str
        The docstring comes without the line that shows the call.
    parameters : int
        How many operands follow x.

    Returns
    -------
    Ufunc
        With ``nin = 1 + parameters``.
    """
    keep = _FLOATS + _INTEGERS if name in _KEEP_INTEGERS else _FLOATS
    results = {char: char if char in keep else "d" for char in "?" + _INTEGERS + _FLOATS}
    types = [f"{char}{result * parameters}->{result}" for char, result in results.items()]
    module = "fastsig._backend" if parameters else "fastsig"  # where the object itself is public
    return Ufunc(name, doc, module, _formula(FORMULAS, name), types)


def build_default(name: str, doc: str, defaults: tuple[float, ...]) -> Ufunc:
    """Build the ufunc NAME_default, of x alone; the parameters have the values `defaults`."""
    types = [f"{char}->{char if char in _FLOATS else 'd'}" for char in "?" + _INTEGERS + _FLOATS]
    return _Default(f"{name}_default", doc, "fastsig._backend", _formula(FORMULAS, name), types, defaults=defaults)


def build_gradient(name: str, doc: str, parameters: int) -> Ufunc:
    """Build the ufunc NAME_backward, with its formula from `GRADIENTS`.

    Parameters
    ----------
    name, doc : str
        The docstring comes without the line that shows the call.
    parameters : int
        How many operands follow grad_output and x.

    Returns
    -------
    Ufunc
        With ``nin = 2 + parameters``.
    """
    types = [f"{char * (2 + parameters)}->{char}" for char in _FLOATS]
    return _Gradient(f"{name}_backward", doc, "fastsig._backend", _formula(GRADIENTS, name), types)


def build_halves(name: str, doc: str) -> Ufunc:
    """Build the ufunc `name` of the halves of an axis, with its formula from `HALVES`.

    Parameters
    ----------
    name, doc : str
        NAME_backward also has both halves beside grad_output, NAME_backward_linear the second.

    Returns
    -------
    Ufunc
        Of two or three operands of equal standing.
    """
    operands = 3 if name.endswith("_backward") else 2
    types = [f"{char * operands}->{char}" for char in _FLOATS]
    return _Gradient(name, doc, "fastsig._backend", _formula(HALVES, name), types)


def build_rows(
    name: str, doc: str, row: Row, backward: bool = False, tempered: bool = False, masked: bool = False
) -> Ufunc:
    """Build the generalised ufunc `name`, with its formula from `ROWS` or `LOSSES`.

    Parameters
    ----------
    name, doc : str
        The docstring comes without the line that shows the call.
    row : Row
        Of the table.
    backward : bool
        Whether it is the gradient.
    tempered, masked : bool
        Whether it takes a number for each row, too, and a boolean mask as its last operand.

    Returns
    -------
    Ufunc
        Of signature ``(n)->(n)``, with one ``(n)`` more for a gradient's ``grad_output`` and for a mask, and a ``()``
        for temperatures; ``()`` is in the place of the last if it reduces. Of a loss, ``(n),()->()``, with the classes,
        and ``(),(n),()->(n)``.
    """
    operands, mask, module = 1 + backward, "?" * masked, "fastsig._backend"
    formula = f"{row.name}{'_backward' * backward}{'_where' * masked}"
    floats = _FLOATS if operands > 1 else _FLOATS[::-1]  # of one operand, integers go to the first that fits, float64
    if row.kind == "loss":
        floats = "df" if operands > 1 else floats  # of results of 16 bits too little is left to sum up
        types = [f"{char * operands}{_CLASS}{mask}->{char}" for char in floats]
        signature = (
            "(),(n),()" + ",(n)" * len(mask) + "->(n)" if operands > 1 else "(n),()" + ",(n)" * len(mask) + "->()"
        )
        return _BesideUfunc(name, doc, module, _formula(LOSSES, formula), types, signature=signature, column=False)
    if not tempered:
        types = [f"{char * operands}{mask}->{char}" for char in floats]
        return _RowUfunc(name, doc, module, _formula(ROWS, formula), types, reduces=row.kind == "reduction")
    types = [f"{char * operands}d{mask}->{char}" for char in floats]
    signature = "(n)," * operands + "()" + ",(n)" * len(mask) + "->(n)"
    return _BesideUfunc(name, doc, module, _formula(ROWS, formula), types, signature=signature, column=True)


def build_direct(row: Row, backward: bool = False) -> Callable[..., Any]:
    """Build the short way along the last axis of a plain array, or over all of one: it returns None for other calls."""
    if backward and row.kind == "reduction":  # of which there is no ufunc
        return lambda *args: None
    ufunc = build_rows(row.name, "", row, backward)

    def direct(x: Any, axis: int | None, out: Any = None, beside: Any = None, grad_output: Any = None) -> Any:
        if type(x) is not np.ndarray or x.dtype not in _PLAIN or not x.ndim:
            return None
        if type(ufunc) is _BesideUfunc or not out is grad_output is None:
            return None
        if beside is not None and (type(beside) is not float or beside != 1):
            return None
        if axis is None and x.flags.c_contiguous and row.kind == "reduction":
            x = x.reshape(-1)
        elif axis != -1 or not x.flags.c_contiguous:  # else the result has to lie as x does
            return None
        with np.errstate(all="ignore"):
            return ufunc._compute([x], x.dtype, "C")[()]

    return direct


def convert(x: np.ndarray, y: np.ndarray) -> bool:
    """Float32 numbers to those of 16 bits, or back; whether that was for fastsig to do. Of subnormal results of float16
    NumPy takes 50 ns for each: they are made of whole numbers."""
    small: Any = y.dtype == np.float16 and np.abs(x) < 2.0**-14
    if not np.any(small):
        return False
    few = np.asarray(x)[small]
    y[...] = np.where(small, np.zeros((), x.dtype), x)
    signs = np.signbit(few).astype(np.uint16) << np.uint16(15)
    y.view(np.uint16)[small] = np.rint(np.abs(few) * few.dtype.type(2**24)).astype(np.uint16) | signs
    return True


def _put(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`y`, with the numbers of x."""
    if not convert(x, y):
        y[...] = x
    return y


def build_direct_halves(name: str) -> Callable[..., Any]:
    """Build what has a short way only in compiled kernels: it returns None for all calls."""

    def direct(x: Any, axis: int, out: Any = None, grad_output: Any = None) -> Any:
        return None

    return direct


def build_scalar(name: str, parameters: int) -> Callable[..., float]:
    """Build the function `name` of one number, and of its parameters, all positional."""
    ufunc = build(name, "", parameters)

    def real(number: Any) -> float:
        try:
            if not np.iscomplexobj(number):  # NumPy's have a __float__, which leaves the imaginary part out
                return math.ldexp(number, 0)  # the number itself: from all that `math` takes, as float() does not
        except TypeError:
            pass
        raise TypeError(f"{name}: must be a real number, not {type(number).__name__}")

    def scalar(*numbers: Any) -> float:
        return float(ufunc(*map(real, numbers)))

    return scalar
