"""The table: one row a function. Docstrings, stubs, tests, benchmarks and the README's list are made from it.

To add an elementwise function: its formula in kernels/formulas.pxi and its derivative's in kernels/gradients.pxi, its
row here, its line in each of the two tables of _fallback.py.
"""

import functools
import re
from collections.abc import Mapping
from math import inf
from types import MappingProxyType

NOTHING: Mapping = MappingProxyType({})


class Record:
    """Fields, annotated in their order. Five NamedTuples would take ten times as long to define as the whole table."""

    def __init_subclass__(cls):
        cls._fields = tuple(cls.__annotations__)
        cls._known, cls._required = set(cls._fields), {name for name in cls._fields if not hasattr(cls, name)}

    def __init__(self, *values, **named):
        named.update(zip(self._fields, values))
        self.__dict__ = named
        if not self._required <= named.keys() <= self._known:
            wrong = (self._required - named.keys()) | (named.keys() - self._known)
            raise TypeError(f"{type(self).__name__}: missing or unknown: {', '.join(sorted(wrong))}")

    def __iter__(self):
        return (getattr(self, name) for name in self._fields)

    def _replace(self, **changes):
        return type(self)(**vars(self) | changes)


class Parameter(Record):
    name: str
    default: object
    text: str
    required: bool = False  # an operand beside x, without a default; `default` is then an example, for who makes calls
    is_array: bool = False  # in most calls it has a value for each element, or each row


class Gradient(Record):
    """The derivative f'(x) of an elementwise function; along an axis, the whole vector-Jacobian product."""

    formula: str
    max_ulp: tuple  # float32, float64: largest error, in units of `scale` if there is one
    special: str  # kinks and special values, one sentence each
    truth: (
        str  # for mpmath, without cancellation, as Row.truth; along an axis, a list of one row's, from rows grad and x
    )
    crosses_zero: bool = False  # errors are then counted in units of the larger of |f'(x)| and |f(x) / x|
    operand: str = "x"  # what follows grad_output: the function's input x, or its output y
    scale: str = ""  # the results' magnitude without cancellation
    slope: str = ""  # the function that is a reduction's derivative; of a loss, that of the prediction


class Choice(Record):
    """A parameter that is a word. What the row says holds for the default; the ufunc of another value is NAME_VALUE."""

    name: str
    default: str
    text: str
    variants: dict  # value: what is different in its row, {field: what it is there}


class Row(Record):
    name: str
    kind: str  # "elementwise", "rows" (along an axis), "reduction" (of an axis), "loss" (likewise, with a target) or
    # "halves" (of an axis: elementwise, of the first and the second)
    summary: str
    formula: str
    max_ulp: tuple  # float32, float64; enforced by the tests, printed by the docs; along an axis, see _docs
    special: str  # special values, one sentence each
    truth: str  # the same formula for mpmath, in x and the parameters' names; along an axis, a list, and x is one row
    numpy: str  # what people write today, in np, math, x and the parameters' names
    torch: str | None  # the same function there, in torch, x and the parameters' names
    reference: str
    example: str
    parameters: tuple = ()  # of Parameter
    keeps_integers: bool = False
    logarithm: bool = False  # of rows: nothing, as where an entry is masked out, is -inf and not 0
    negates: bool = False  # of rows: a function of -x
    choice: Choice | None = None
    gradient: Gradient | None = None  # None only in tests
    elsewhere: Mapping = NOTHING  # library: its call for the same, in x and the parameters' names
    differs: Mapping = NOTHING  # library: what makes other numbers there
    words: tuple = ()  # other names, and what people look for
    related: tuple = ()  # functions to see, too
    keywords: Mapping = NOTHING  # keyword elsewhere: its name here, or what to do in its place
    domain: tuple = (-inf, inf)  # where it is a number

    @property
    def operands(self):
        """What every call gives beside x: {name: an example}."""
        return {parameter.name: parameter.default for parameter in self.parameters if parameter.required}

    @property
    def is_ufunc(self):
        """Whether there is nothing to add to the ufunc for a public function."""
        return self.kind == "elementwise" and not self.choice and len(self.operands) == len(self.parameters)


def expanded(row):
    """(Name of the ufunc, row) of a function and of its variants, each with its value as the choice's default."""
    yield row.name, row
    for value, different in row.choice.variants.items() if row.choice else ():
        yield f"{row.name}_{value}", row._replace(choice=row.choice._replace(default=value), **different)


SIGNIFICANT = "Goodfellow, Bengio & Courville, Deep Learning (2016), section 6.2.2."
BEYOND = Gradient(  # of both shrinks
    "1 if abs(x) > lambd else 0",
    (0, 0),
    "0 at both ends, as in torch. Where abs(x) <= lambd the result is 0 for every grad_output, NaN and infinities included. "
    "A lambd that is NaN gives NaN.",
    "mpf(1) if abs(x) > lambd else mpf(0)",
)

TEMPERATURE = Parameter(
    "temperature",
    1.0,
    "What `x` is divided by, above 0: small ones leave all to the largest entries, inf gives all the same. All else is a "
    "ValueError; an array has one number a row, and the shape of `x` without `axis` (or broadcasts to that), or with length 1 "
    "there. It has no say in the dtype: all of its digits count.",
)

TABLE = (
    Row(
        "sigmoid",
        "elementwise",
        "Logistic sigmoid: the probability that belongs to a logit.",
        "1 / (1 + exp(-x))",
        (2.5, 2.4),
        "sigmoid(-inf) = 0 and sigmoid(inf) = 1. From one float32 to the next it never falls. Below -88 (float32) and -709 (float64) the result underflows gradually, "
        "through the subnormal numbers, and is not cut to 0.",
        truth="1 / (1 + exp(-x))",
        numpy="1 / (1 + np.exp(-x))",
        torch="torch.sigmoid(x)",
        elsewhere={
            "SciPy": "scipy.special.expit(x)",
            "JAX": "jax.nn.sigmoid(x)",
            "Keras": "keras.activations.sigmoid(x)",
            "ONNX": "Sigmoid(x)",
            "transformers": "ACT2FN['sigmoid'](x)",
        },
        words=("expit", "logistic", "inverse logit"),
        related=("log_sigmoid", "logit", "softmax"),
        reference=SIGNIFICANT,
        example=">>> fastsig.sigmoid([-1.0, 0.0, 1.0])\narray([0.26894142, 0.5       , 0.73105858])",
        gradient=Gradient(
            "sigmoid(x) * sigmoid(-x)",
            (2.5, 2.5),
            "Underflows gradually on both sides, through the subnormal numbers, and is 0 at -inf and inf.",
            "exp(-abs(x)) / (1 + exp(-abs(x)))**2",
        ),
    ),
    Row(
        "tanh",
        "elementwise",
        "Hyperbolic tangent.",
        "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
        (2, 1.5),
        "tanh(-inf) = -1, tanh(inf) = 1 and tanh(-0.0) = -0.0. Odd to the last bit. From one float32 to the next it never falls.",
        truth="tanh(x)",
        numpy="np.tanh(x)",
        torch="torch.tanh(x)",
        elsewhere={
            "JAX": "jax.numpy.tanh(x)",
            "Keras": "keras.activations.tanh(x)",
            "ONNX": "Tanh(x)",
            "transformers": "ACT2FN['tanh'](x)",
        },
        related=("hard_tanh", "softsign"),
        reference="LeCun, Bottou, Orr & Müller, Efficient BackProp (1998), section 4.4.",
        example=">>> fastsig.tanh([-1.0, 0.0, 1.0])\narray([-0.76159416,  0.        ,  0.76159416])",
        gradient=Gradient(
            "1 - tanh(x)**2",
            (2.5, 2.5),
            "Underflows gradually on both sides, through the subnormal numbers, and is 0 at -inf and inf.",
            "4 * exp(-2 * abs(x)) / (1 + exp(-2 * abs(x)))**2",
        ),
    ),
    Row(
        "relu",
        "elementwise",
        "Rectified linear unit.",
        "max(x, 0)",
        (0, 0),
        "relu(-inf) = 0 and relu(inf) = inf. Integers stay integers of the same type.",
        truth="x if x > 0 else mpf(0)",
        numpy="np.maximum(x, 0)",
        torch="torch.relu(x)",
        elsewhere={
            "JAX": "jax.nn.relu(x)",
            "Keras": "keras.activations.relu(x)",
            "ONNX": "Relu(x)",
            "transformers": "ACT2FN['relu'](x)",
        },
        words=("ramp", "rectifier"),
        keywords={
            "negative_slope": "leaky_relu(x, negative_slope) has one",
            "max_value": "hard_tanh(x, 0, max_value) ends there",
            "threshold": "threshold(x, threshold, 0) has one",
        },
        related=("leaky_relu", "relu6"),
        reference="Nair & Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML (2010).",
        example=">>> fastsig.relu([-2, 0, 3])\narray([0, 0, 3])",
        keeps_integers=True,
        gradient=Gradient(
            "1 if x > 0 else 0",
            (0, 0),
            "0 at 0, as in torch. Where x <= 0 the result is 0 for every grad_output, NaN and infinities included.",
            "mpf(1) if x > 0 else mpf(0)",
        ),
    ),
    Row(
        "leaky_relu",
        "elementwise",
        "Rectified linear unit that lets a little through below 0, so that its gradient never dies.",
        "x if x > 0 else negative_slope * x",
        (0.5, 0.5),
        "leaky_relu(inf) = inf and leaky_relu(-inf) = -inf for a positive slope. An array of slopes broadcasts (PReLU).",
        truth="x if x > 0 else negative_slope * x",
        numpy="np.where(x > 0, x, negative_slope * x)",
        torch="torch.nn.functional.leaky_relu(x, negative_slope)",
        elsewhere={
            "JAX": "jax.nn.leaky_relu(x, negative_slope)",
            "Keras": "keras.activations.leaky_relu(x, negative_slope)",
            "ONNX": "LeakyRelu(x, alpha=negative_slope)",
            "transformers": "ACT2FN['leaky_relu'](x)",
        },
        differs={
            "PyTorch": "torch.nn.PReLU begins with the slope 0.25",
            "Keras": "the slope is 0.2 unless it is given",
        },
        words=("PReLU", "parametric ReLU"),
        keywords={"alpha": "negative_slope", "slope": "negative_slope"},
        related=("relu", "elu"),
        reference="Maas, Hannun & Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, ICML (2013).",
        example=">>> fastsig.leaky_relu([-2.0, 0.0, 3.0], 0.1)\narray([-0.2,  0. ,  3. ])",
        parameters=(Parameter("negative_slope", 0.01, "Slope below 0; an array broadcasts against `x`."),),
        gradient=Gradient(
            "1 if x > 0 else negative_slope",
            (0, 0),
            "negative_slope at 0, as in torch.",
            "mpf(1) if x > 0 else negative_slope",
        ),
    ),
    Row(
        "relu6",
        "elementwise",
        "Rectified linear unit that ends at 6, for arithmetic of low precision.",
        "min(max(x, 0), 6)",
        (0, 0),
        "relu6(-inf) = 0 and relu6(inf) = 6. Integers become float64.",
        truth="min(max(x, 0), 6)",
        numpy="np.clip(x, 0, 6)",
        torch="torch.nn.functional.relu6(x)",
        elsewhere={
            "JAX": "jax.nn.relu6(x)",
            "Keras": "keras.activations.relu6(x)",
            "ONNX": "Clip(x, 0, 6)",
            "transformers": "ACT2FN['relu6'](x)",
        },
        related=("relu", "hard_tanh"),
        reference="Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10 (2010).",
        example=">>> fastsig.relu6([-1.0, 3.0, 9.0])\narray([0., 3., 6.])",
        gradient=Gradient(
            "1 if 0 < x < 6 else 0",
            (0, 0),
            "0 at 0 and at 6, as in torch. Unless 0 < x < 6 the result is 0 for every grad_output, NaN and infinities included.",
            "(mpf(1) if x < 6 else mpf(0)) if x > 0 else mpf(0)",
        ),
    ),
    Row(
        "hard_tanh",
        "elementwise",
        "Identity between two bounds, which it does not leave.",
        "min(max(x, min_val), max_val)",
        (0, 0),
        "hard_tanh(-inf) = min_val and hard_tanh(inf) = max_val. Where min_val > max_val the result is max_val, as in numpy.clip. "
        "A bound that is NaN gives NaN.",
        truth="min(max(x, min_val), max_val)",
        numpy="np.clip(x, min_val, max_val)",
        torch="torch.nn.functional.hardtanh(x, min_val, max_val)",
        elsewhere={
            "JAX": "jax.numpy.clip(x, min_val, max_val)",
            "Keras": "keras.ops.clip(x, min_val, max_val)",
            "ONNX": "Clip(x, min_val, max_val)",
        },
        words=("hardtanh", "clamp"),
        keywords={"min": "min_val", "max": "max_val", "min_value": "min_val", "max_value": "max_val"},
        related=("tanh", "relu6"),
        reference="Collobert, Large Scale Machine Learning, PhD thesis, Université Paris VI (2004).",
        example=">>> fastsig.hard_tanh([-2.0, 0.5, 3.0], max_val=2.0)\narray([-1. ,  0.5,  2. ])",
        parameters=(
            Parameter("min_val", -1.0, "Lower bound; an array broadcasts against `x`."),
            Parameter("max_val", 1.0, "Upper bound; an array broadcasts against `x`."),
        ),
        gradient=Gradient(
            "1 if min_val < x < max_val else 0",
            (0, 0),
            "0 at both bounds, as in torch. Unless min_val < x < max_val the result is 0 for every grad_output, NaN and infinities included. A bound that is NaN gives NaN.",
            "(mpf(1) if x < max_val else mpf(0)) if x > min_val else mpf(0)",
        ),
    ),
    Row(
        "hard_sigmoid",
        "elementwise",
        "Piecewise linear stand-in for the sigmoid.",
        "min(max(x / 6 + 1/2, 0), 1)",
        (1.5, 1.5),
        "0 from -3 downwards and 1 from 3 upwards. Accurate also near -3, where the result crosses 0.",
        truth="min(max(x + 3, 0), 6) / 6",
        numpy="np.clip(x / 6 + 0.5, 0, 1)",
        torch="torch.nn.functional.hardsigmoid(x)",
        elsewhere={
            "JAX": "jax.nn.hard_sigmoid(x)",
            "Keras": "keras.activations.hard_sigmoid(x)",
            "ONNX": "HardSigmoid(x, alpha=1/6)",
        },
        differs={"Keras": "before Keras 3 the slope was 0.2", "ONNX": "the slope alpha is 0.2 unless it is given"},
        words=("hardsigmoid",),
        keywords=dict.fromkeys(
            ("alpha", "beta", "slope", "offset"),
            "hard_tanh(slope * x + offset, 0, 1) has any slope and offset, alpha and beta in ONNX",
        ),
        related=("sigmoid", "hard_swish"),
        reference="Courbariaux, Bengio & David, BinaryConnect, NIPS (2015).",
        example=">>> fastsig.hard_sigmoid([-3.0, 0.0, 1.5])\narray([0.  , 0.5 , 0.75])",
        gradient=Gradient(
            "1/6 if -3 < x < 3 else 0",
            (0.5, 0.5),
            "0 at -3 and at 3, as in torch. Unless -3 < x < 3 the result is 0 for every grad_output, NaN and infinities included.",
            "(mpf(1) / 6 if x < 3 else mpf(0)) if x > -3 else mpf(0)",
        ),
    ),
    Row(
        "hard_swish",
        "elementwise",
        "Piecewise quadratic stand-in for silu.",
        "x * min(max(x + 3, 0), 6) / 6",
        (2, 2),
        "hard_swish(-inf) = -0.0, its limit, and hard_swish(inf) = inf.",
        truth="x * min(max(x + 3, 0), 6) / 6",
        numpy="x * np.clip(x + 3, 0, 6) / 6",
        torch="torch.nn.functional.hardswish(x)",
        elsewhere={
            "JAX": "jax.nn.hard_swish(x)",
            "Keras": "keras.activations.hard_swish(x)",
            "ONNX": "HardSwish(x)",
        },
        words=("hardswish", "hard_silu"),
        related=("silu", "hard_sigmoid"),
        reference="Howard et al., Searching for MobileNetV3, ICCV (2019).",
        example=">>> fastsig.hard_swish([-3.0, 0.0, 1.5])\narray([-0.   ,  0.   ,  1.125])",
        gradient=Gradient(
            "0 if x <= -3 else (x + 3/2) / 3 if x < 3 else 1",
            (1.5, 1.5),
            "0 at -3 and 1 at 3, as in torch. Where x <= -3 the result is 0 for every grad_output, NaN and infinities included.",
            "mpf(0) if x <= -3 else ((x + mpf(3) / 2) / 3 if x < 3 else mpf(1))",
        ),
    ),
    Row(
        "softsign",
        "elementwise",
        "Like tanh, but closing in on its limits as slowly as 1 / x.",
        "x / (1 + abs(x))",
        (1.5, 1.5),
        "softsign(-inf) = -1, softsign(inf) = 1 and softsign(-0.0) = -0.0.",
        truth="x / (1 + abs(x))",
        numpy="x / (1 + np.abs(x))",
        torch="torch.nn.functional.softsign(x)",
        elsewhere={"JAX": "jax.nn.soft_sign(x)", "Keras": "keras.activations.softsign(x)", "ONNX": "Softsign(x)"},
        words=("soft_sign",),
        related=("tanh",),
        reference="Bergstra, Desjardins, Lamblin & Bengio, Quadratic Polynomials Learn Better Image Features (2009).",
        example=">>> fastsig.softsign([-1.0, 0.0, 3.0])\narray([-0.5 ,  0.  ,  0.75])",
        gradient=Gradient(
            "1 / (1 + abs(x))**2",
            (3, 3),
            "0 at -inf and inf (torch gives NaN).",
            "1 / (1 + abs(x))**2",
        ),
    ),
    Row(
        "silu",
        "elementwise",
        "Sigmoid linear unit: swish with the slope 1.",
        "x / (1 + exp(-x))",
        (2.5, 2.5),
        "silu(-inf) = -0.0, its limit (torch gives NaN), and silu(inf) = inf. Below -88 (float32) and -709 (float64) the result "
        "underflows gradually.",
        truth="x / (1 + exp(-x))",
        numpy="x / (1 + np.exp(-x))",
        torch="torch.nn.functional.silu(x)",
        elsewhere={
            "JAX": "jax.nn.silu(x)",
            "Keras": "keras.activations.silu(x)",
            "ONNX": "Mul(x, Sigmoid(x))",
            "transformers": "ACT2FN['silu'](x)",
        },
        words=("swish1", "SiLU"),
        keywords={"beta": "swish(x, beta) has that", "alpha": "swish(x, alpha) has that, as beta"},
        related=("swish", "hard_swish", "mish", "gelu"),
        reference="Elfwing, Uchibe & Doya, Sigmoid-Weighted Linear Units, Neural Networks 107 (2018).",
        example=">>> fastsig.silu([-1.0, 0.0, 1.0])\narray([-0.26894142,  0.        ,  0.73105858])",
        gradient=Gradient(
            "sigmoid(x) * (1 + x * sigmoid(-x))",
            (4, 3.5),
            "-0.0 at -inf and 1 at inf, its limits (torch gives NaN). Underflows gradually.",
            "((1 + exp(-abs(x)) + abs(x) * exp(-abs(x))) if x > 0 else exp(-abs(x)) * (1 - abs(x) + exp(-abs(x)))) / (1 + exp(-abs(x)))**2",
            crosses_zero=True,
        ),
    ),
    Row(
        "mish",
        "elementwise",
        "Smooth and non-monotonic relative of silu.",
        "x * tanh(log(1 + exp(x)))",
        (3, 3),
        "mish(-inf) = -0.0, its limit (torch gives NaN), and mish(inf) = inf. Small results underflow gradually.",
        truth="x * tanh(log1p(exp(x)))",
        numpy="x * np.tanh(np.log1p(np.exp(x)))",
        torch="torch.nn.functional.mish(x)",
        elsewhere={
            "JAX": "jax.nn.mish(x)",
            "Keras": "keras.activations.mish(x)",
            "ONNX": "Mish(x)",
            "transformers": "ACT2FN['mish'](x)",
        },
        related=("silu", "softplus"),
        reference="Misra, Mish: A Self Regularized Non-Monotonic Activation Function, BMVC (2020).",
        example=">>> fastsig.mish([-1.0, 0.0, 1.0])\narray([-0.30340146,  0.        ,  0.86509839])",
        gradient=Gradient(
            "w * ((w + 2) * d + 4 * x * (w + 1)) / d**2, w = exp(x), d = w * w + 2 * w + 2",
            (6, 4.5),
            "-0.0 at -inf and 1 at inf, its limits (torch gives NaN). Underflows gradually.",
            "((1 + 2 * exp(-abs(x))) * (1 + 2 * exp(-abs(x)) + 2 * exp(-abs(x))**2) + 4 * abs(x) * exp(-abs(x))**2 * (1 + exp(-abs(x)))) / (1 + 2 * exp(-abs(x)) + 2 * exp(-abs(x))**2)**2 if x > 0 else exp(-abs(x)) * ((exp(-abs(x)) + 2) * (exp(-abs(x))**2 + 2 * exp(-abs(x)) + 2) - 4 * abs(x) * (exp(-abs(x)) + 1)) / (exp(-abs(x))**2 + 2 * exp(-abs(x)) + 2)**2",
            crosses_zero=True,
        ),
    ),
    Row(
        "gelu",
        "elementwise",
        "Gaussian error linear unit.",
        "x * Phi(x)",
        (2.5, 2.5),
        "Phi is the distribution function of the standard normal distribution. gelu(-inf) = -0.0, its limit (torch gives NaN), and "
        "gelu(inf) = inf. The tail is accurate down to the subnormal numbers.",
        truth="x * ncdf(x)",
        numpy="0.5 * x * np.vectorize(math.erfc)(-x / np.sqrt(2))",
        torch="torch.nn.functional.gelu(x, approximate=approximate)",
        elsewhere={
            "SciPy": "x * scipy.special.ndtr(x)",
            "JAX": "jax.nn.gelu(x, approximate=False)",
            "Keras": "keras.activations.gelu(x)",
            "ONNX": "Gelu(x)",
            "transformers": "ACT2FN['gelu'](x)",
        },
        differs={
            "JAX": "it approximates by tanh unless told not to",
            "Keras": "keras.ops.gelu approximates by tanh unless told not to",
            "transformers": '"gelu_new", "gelu_fast" and "gelu_pytorch_tanh" are approximate="tanh"; "quick_gelu" is swish(x, 1.702)',
        },
        words=("gelu_new", "gelu_pytorch_tanh"),
        related=("silu",),
        reference="Hendrycks & Gimpel, Gaussian Error Linear Units, arXiv:1606.08415 (2016).",
        example=">>> fastsig.gelu([-1.0, 0.0, 1.0])\narray([-0.15865525,  0.        ,  0.84134475])",
        choice=Choice(
            "approximate",
            "none",
            "Whether to compute the function itself or the approximation by tanh.",
            {
                "tanh": {
                    "formula": "0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))",
                    "max_ulp": (2.5, 2.5),
                    "truth": "x / (1 + exp(-2 * sqrt(2 / pi) * (x + 0.044715 * x * x * x)))",
                    "numpy": "0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))",
                    "gradient": Gradient(
                        "sigmoid(z) * (1 + x * z' * sigmoid(-z)), z = sqrt(8 / pi) * (x + 0.044715 * x**3)",
                        (2.5, 2.5),
                        "As without the approximation.",
                        "((1 + exp(-(sqrt(8 / pi) * abs(x) * (1 + 0.044715 * x * x))) + (sqrt(8 / pi) * abs(x) * (1 + 0.044715 * x * x * 3)) * exp(-(sqrt(8 / pi) * abs(x) * (1 + 0.044715 * x * x)))) if x > 0 else exp(-(sqrt(8 / pi) * abs(x) * (1 + 0.044715 * x * x))) * (1 - (sqrt(8 / pi) * abs(x) * (1 + 0.044715 * x * x * 3)) + exp(-(sqrt(8 / pi) * abs(x) * (1 + 0.044715 * x * x))))) / (1 + exp(-(sqrt(8 / pi) * abs(x) * (1 + 0.044715 * x * x))))**2",
                        crosses_zero=True,
                    ),
                },
            },
        ),
        gradient=Gradient(
            "Phi(x) + x * phi(x)",
            (2.5, 2.5),
            "phi is the density of the standard normal distribution. -0.0 at -inf and 1 at inf, its limits (torch gives NaN). Underflows gradually.",
            "ncdf(x) + x * exp(-x * x / 2) / sqrt(2 * pi)",
            crosses_zero=True,
        ),
    ),
    Row(
        "elu",
        "elementwise",
        "Exponential linear unit.",
        "x if x > 0 else alpha * (exp(x) - 1)",
        (2.5, 2.5),
        "elu(-inf) = -alpha and elu(inf) = inf. Accurate also near 0: elu(-1e-10) is -1e-10 and elu(-0.0) is -0.0.",
        truth="x if x > 0 else alpha * expm1(x)",
        numpy="np.where(x > 0, x, alpha * np.expm1(x))",
        torch="torch.nn.functional.elu(x, alpha)",
        elsewhere={
            "JAX": "jax.nn.elu(x, alpha)",
            "Keras": "keras.activations.elu(x, alpha)",
            "ONNX": "Elu(x, alpha=alpha)",
        },
        related=("selu", "celu"),
        reference="Clevert, Unterthiner & Hochreiter, Fast and Accurate Deep Network Learning by ELUs, ICLR (2016).",
        example=">>> fastsig.elu([-1.0, 0.0, 1.0])\narray([-0.63212056,  0.        ,  1.        ])",
        parameters=(Parameter("alpha", 1.0, "Minus the limit at -inf; an array broadcasts against `x`."),),
        gradient=Gradient(
            "1 if x > 0 else alpha * exp(x)",
            (2, 2),
            "alpha at 0, as in torch.",
            "mpf(1) if x > 0 else alpha * exp(x)",
        ),
    ),
    Row(
        "selu",
        "elementwise",
        "Scaled exponential linear unit, which keeps activations normalised.",
        "1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (exp(x) - 1))",
        (2.5, 2.5),
        "selu(-inf) = -1.758 and selu(inf) = inf. Accurate also near 0; selu(-0.0) is -0.0.",
        truth="1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * expm1(x))",
        numpy="1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))",
        torch="torch.selu(x)",
        elsewhere={"JAX": "jax.nn.selu(x)", "Keras": "keras.activations.selu(x)", "ONNX": "Selu(x)"},
        keywords=dict.fromkeys(("alpha", "gamma"), "gamma * elu(x, alpha) has any alpha and gamma"),
        related=("elu",),
        reference="Klambauer, Unterthiner, Mayr & Hochreiter, Self-Normalizing Neural Networks, NIPS (2017).",
        example=">>> fastsig.selu([-1.0, 0.0, 1.0])\narray([-1.11133074,  0.        ,  1.05070099])",
        gradient=Gradient(
            "1.0507009873554805 * (1 if x > 0 else 1.6732632423543772 * exp(x))",
            (2.5, 2.5),
            "1.758 at 0, as in torch.",
            "1.0507009873554805 * (mpf(1) if x > 0 else 1.6732632423543772 * exp(x))",
        ),
    ),
    Row(
        "celu",
        "elementwise",
        "Exponential linear unit whose derivative is continuous for every alpha.",
        "x if x > 0 else alpha * (exp(x / alpha) - 1)",
        (2.5, 2.5),
        "celu(-inf) = -alpha and celu(inf) = inf. Where alpha is 0 so is the result for x < 0, though torch raises there. "
        "Accurate also near 0, and for a negative alpha, where it grows; celu(-0.0) is -0.0.",
        truth="x if x > 0 else alpha * expm1(x / alpha)",
        numpy="np.where(x > 0, x, alpha * np.expm1(x / alpha))",
        torch="torch.nn.functional.celu(x, alpha)",
        elsewhere={
            "JAX": "jax.nn.celu(x, alpha)",
            "Keras": "keras.activations.celu(x, alpha)",
            "ONNX": "Celu(x, alpha=alpha)",
        },
        related=("elu",),
        reference="Barron, Continuously Differentiable Exponential Linear Units, arXiv:1704.07483 (2017).",
        example=">>> fastsig.celu([-1.0, 0.0, 1.0], 2.0)\narray([-0.78693868,  0.        ,  1.        ])",
        parameters=(Parameter("alpha", 1.0, "Minus the limit at -inf; an array broadcasts against `x`."),),
        gradient=Gradient(
            "1 if x > 0 else exp(x / alpha)",
            (2, 2),
            "Accurate for every alpha: the rounding error of x / alpha is corrected.",
            "mpf(1) if x > 0 else exp(x / alpha)",
        ),
    ),
    Row(
        "softplus",
        "elementwise",
        "Smooth approximation of relu, the sharper the larger beta.",
        "log(1 + exp(beta * x)) / beta",
        (6.5, 4),
        "softplus(-inf) = 0 and softplus(inf) = inf. Exact for every beta * x: there is no threshold, as in torch, beyond which the "
        "result is x. Small results underflow gradually, and only when divided by beta. The error is that of any beta: with 1, it is "
        "that of log_sigmoid, 3 ULP in float32 and 1.75 in float64.",
        truth="(x if beta * x > 0 else mpf(0)) + log1p(exp(-abs(beta * x))) / beta",
        numpy="np.log1p(np.exp(beta * x)) / beta",
        torch="torch.nn.functional.softplus(x, beta, 800)",
        elsewhere={
            "SciPy": "scipy.special.softplus(x)",
            "JAX": "jax.nn.softplus(x)",
            "Keras": "keras.activations.softplus(x)",
            "ONNX": "Softplus(x)",
        },
        differs={"PyTorch": "where beta * x > threshold, 20 unless it is given, the result is x"},
        words=("log1pexp", "SmoothReLU"),
        keywords={"threshold": "softplus needs none, it is exact everywhere"},
        related=("relu", "log_sigmoid"),
        reference="Dugas, Bengio, Bélisle, Nadeau & Garcia, Incorporating Second-Order Functional Knowledge, NIPS (2000).",
        example=">>> fastsig.softplus([-1.0, 0.0, 1.0])\narray([0.31326169, 0.69314718, 1.31326169])",
        parameters=(Parameter("beta", 1.0, "Sharpness of the bend; an array broadcasts against `x`."),),
        gradient=Gradient(
            "sigmoid(beta * x)",
            (2.5, 2.5),
            "0 at -inf and 1 at inf for a positive beta. Accurate for every beta: the rounding error of the product is corrected.",
            "1 / (1 + exp(-beta * x))",
        ),
    ),
    Row(
        "log_sigmoid",
        "elementwise",
        "Logarithm of the sigmoid, without the underflow of log(sigmoid(x)).",
        "-log(1 + exp(-x))",
        (3, 1.75),
        "log_sigmoid(-inf) = -inf and log_sigmoid(inf) = -0.0. log_sigmoid(-1e30) is -1e30 and log_sigmoid(50) is -exp(-50).",
        truth="min(x, 0) - log1p(exp(-abs(x)))",
        numpy="-np.log1p(np.exp(-x))",
        torch="torch.nn.functional.logsigmoid(x)",
        elsewhere={
            "SciPy": "scipy.special.log_expit(x)",
            "JAX": "jax.nn.log_sigmoid(x)",
            "Keras": "keras.activations.log_sigmoid(x)",
            "ONNX": "Neg(Softplus(Neg(x)))",
        },
        words=("logsigmoid",),
        related=("sigmoid", "softplus", "binary_cross_entropy_with_logits"),
        reference="Mächler, Accurately Computing ``log(1 - exp(-|a|))``, vignette of the R package Rmpfr (2012).",
        example=">>> fastsig.log_sigmoid([-1.0, 0.0, 1.0])\narray([-1.31326169, -0.69314718, -0.31326169])",
        gradient=Gradient(
            "sigmoid(-x)",
            (2.5, 2.5),
            "1 at -inf and 0 at inf.",
            "1 / (1 + exp(x))",
        ),
    ),
    Row(
        "binary_cross_entropy_with_logits",
        "elementwise",
        "Loss of a yes-or-no answer from its logit: minus the logarithm of the probability that it gives to the target.",
        "-(target * log(sigmoid(x)) + (1 - target) * log(sigmoid(-x)))",
        (3, 3.5),
        "0 at inf for target 1 and at -inf for target 0; at the other infinity, and at both for targets between, inf. "
        "Not reduced: the mean of it is torch's. The bound is for targets in [0, 1]; others give what the formula says, "
        "in units of the larger of its two parts.",
        truth="(target if x < 0 else 1 - target) * abs(x) + log1p(exp(-abs(x)))",
        numpy="np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x)))",
        torch="torch.nn.functional.binary_cross_entropy_with_logits(x, target, reduction='none')",
        words=("BCEWithLogitsLoss", "binary cross entropy", "sigmoid_cross_entropy_with_logits", "log loss"),
        related=("cross_entropy", "log_sigmoid", "sigmoid"),
        keywords={
            "reduction": "its mean() or sum() is that of the losses, which are not reduced",
            "weight": "the result times the weights is the same",
            "pos_weight": "the result times np.where(target == 1, pos_weight, 1) is the same, for targets 0 and 1",
        },
        reference="Cox, The Regression Analysis of Binary Sequences, J. Roy. Statist. Soc. B 20 (1958).",
        example=">>> fastsig.binary_cross_entropy_with_logits([-1.0, 0.0, 30.0], [1.0, 0.5, 1.0])\n"
        "array([1.31326169e+00, 6.93147181e-01, 9.35762297e-14])",
        parameters=(
            Parameter(
                "target",
                0.25,
                "The right answer: 1, 0, or a probability between them; `x` and `target` broadcast.",
                required=True,
                is_array=True,
            ),
        ),
        gradient=Gradient(
            "sigmoid(x) - target",
            (3, 3),
            "Exact at both ends: for targets 0 and 1 nothing cancels. With respect to `target` it is "
            "``-x * grad_output``. The second derivative is ``backward.sigmoid(grad_output, x)``, whatever the target.",
            "1 / (1 + exp(-x)) - target if x < 0 else (1 - target) - exp(-x) / (1 + exp(-x))",
            scale="1 / (1 + exp(abs(x)))",
        ),
    ),
    Row(
        "logit",
        "elementwise",
        "Log-odds of a probability: the inverse of sigmoid.",
        "log(x / (1 - x))",
        (3, 3),
        "logit(0) = -inf, logit(1) = inf, and outside of [0, 1] it is NaN. Accurate also near 0.5, where the result crosses 0, and for "
        "subnormal probabilities.",
        truth="2 * atanh(2 * x - 1) if abs(x - 0.5) < 0.25 else log(x) - log1p(-x) if abs(x - 0.5) <= 0.5 else nan",
        numpy="np.log(x / (1 - x))",
        torch="torch.logit(x)",
        elsewhere={"SciPy": "scipy.special.logit(x)", "JAX": "jax.scipy.special.logit(x)"},
        differs={"PyTorch": "eps clips x to [eps, 1 - eps] first, if it is given"},
        words=("log-odds",),
        keywords={"eps": "np.clip(x, eps, 1 - eps) as x does the same"},
        related=("sigmoid",),
        reference="Berkson, Application of the Logistic Function to Bio-Assay, J. Amer. Statist. Assoc. 39 (1944).",
        example=">>> fastsig.logit([0.25, 0.5, 1.0])\narray([-1.09861229,  0.        ,         inf])",
        domain=(0, 1),
        gradient=Gradient(
            "1 / (x * (1 - x))",
            (2.5, 2.5),
            "inf at 0, -0.0 and 1, NaN outside of [0, 1].",
            "mpf(1) / (x * (1 - x)) if x * (1 - x) > 0 else (mpf('inf') if x * (1 - x) == 0 else mpf('nan'))",
        ),
    ),
    Row(
        "log1mexp",
        "elementwise",
        "Logarithm of 1 - exp(-x): of what a log-probability of -x leaves to the other case.",
        "log(1 - exp(-x))",
        (3, 3),
        "log1mexp(0) = -inf and log1mexp(inf) = -0.0; below 0 it is NaN. Accurate at both ends: log1mexp(1e-30) is log(1e-30) and "
        "log1mexp(50) is -exp(-50). Small results underflow gradually.",
        truth="(log(-expm1(-x)) if x < 0.7 else log1p(-exp(-x))) if x >= 0 else nan",
        numpy="np.where(x < 0.7, np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))",
        torch="torch.log(-torch.expm1(-x))",
        elsewhere={"JAX": "jax.nn.log1mexp(x)"},
        words=("log1m_exp", "log complement"),
        related=("log_sigmoid", "softplus"),
        reference="Mächler, Accurately Computing ``log(1 - exp(-|a|))``, vignette of the R package Rmpfr (2012).",
        example=">>> fastsig.log1mexp([0.0, 1e-30, 1.0])\narray([        -inf, -69.07755279,  -0.45867515])",
        domain=(0, inf),
        gradient=Gradient(
            "1 / (exp(x) - 1)",
            (3, 3.5),
            "inf at 0 and -0.0, 0 at inf, NaN below 0.",
            "(1 / expm1(x) if x < 1 else exp(-x) / -expm1(-x)) if x > 0 else mpf('inf') if x == 0 else mpf('nan')",
        ),
    ),
    Row(
        "hard_shrink",
        "elementwise",
        "Identity except close to 0, where it is 0.",
        "x if abs(x) > lambd else 0",
        (0, 0),
        "hard_shrink(-inf) = -inf and hard_shrink(inf) = inf, and a 0 has the sign of x. Where lambd is negative the result is x. "
        "A lambd that is NaN gives NaN.",
        truth="x if abs(x) > lambd else 0 * x",
        numpy="np.where(np.abs(x) > lambd, x, 0)",
        torch="torch.nn.functional.hardshrink(x, lambd)",
        elsewhere={"Keras": "keras.activations.hard_shrink(x, lambd)", "ONNX": "Shrink(x, lambd=lambd)"},
        words=("hardshrink", "hard thresholding"),
        keywords={
            "threshold": "lambd",
            "bias": "soft_shrink has lambd as its bias; with another it is y - np.copysign(bias, y) where y = hard_shrink(x, lambd) is not 0",
        },
        related=("soft_shrink", "tanh_shrink", "threshold"),
        reference="Donoho & Johnstone, Ideal Spatial Adaptation by Wavelet Shrinkage, Biometrika 81 (1994).",
        example=">>> fastsig.hard_shrink([-2.0, 0.25, 3.0])\narray([-2.,  0.,  3.])",
        parameters=(Parameter("lambd", 0.5, "What is not beyond it becomes 0; an array broadcasts against `x`."),),
        gradient=BEYOND,
    ),
    Row(
        "soft_shrink",
        "elementwise",
        "Shift towards 0 by the same amount everywhere; what is closer to 0 becomes 0.",
        "x - lambd if x > lambd else x + lambd if x < -lambd else 0",
        (0.5, 0.5),
        "soft_shrink(-inf) = -inf and soft_shrink(inf) = inf, unless lambd is infinite, too; a 0 has the sign of x. A negative lambd, "
        "which torch refuses, moves x away from 0. A lambd that is NaN gives NaN.",
        truth="(x + lambd if x < 0 else x - lambd) if abs(x) > lambd else 0 * x",
        numpy="x - np.clip(x, -lambd, lambd)",
        torch="torch.nn.functional.softshrink(x, lambd)",
        elsewhere={
            "Keras": "keras.activations.soft_shrink(x, lambd)",
            "ONNX": "Shrink(x, lambd=lambd, bias=lambd)",
        },
        words=("softshrink", "soft thresholding", "proximal operator of L1"),
        keywords={"threshold": "lambd", "bias": "lambd is that, too; hard_shrink has none"},
        related=("hard_shrink", "tanh_shrink"),
        reference="Donoho, De-noising by Soft-Thresholding, IEEE Trans. Information Theory 41 (1995).",
        example=">>> fastsig.soft_shrink([-2.0, 0.25, 3.0])\narray([-1.5,  0. ,  2.5])",
        parameters=(Parameter("lambd", 0.5, "By how much; an array broadcasts against `x`."),),
        gradient=BEYOND,
    ),
    Row(
        "tanh_shrink",
        "elementwise",
        "What tanh takes from x: almost nothing close to 0, and 1 further out.",
        "x - tanh(x)",
        (4.5, 4.5),
        "tanh_shrink(-inf) = -inf and tanh_shrink(inf) = inf. Accurate also near 0, where it is x**3 / 3 and the difference would "
        "cancel. Odd to the last bit; tanh_shrink(-0.0) is -0.0.",
        truth="x - tanh(x) if abs(x) > 0.05 else x * (x * x) / (x * x + 3 + x * x / (5 + x * x / (7 + x * x / (9 + x * x / (11 + x * x / (13 + x * x / (15 + x * x / (17 + x * x / (19 + x * x / (21 + x * x / (23 + x * x / (25 + x * x / (27 + x * x / (29 + x * x / (31 + x * x / (33 + x * x / (35 + x * x / 37)))))))))))))))))",
        numpy="x - np.tanh(x)",
        torch="torch.nn.functional.tanhshrink(x)",
        elsewhere={"Keras": "keras.activations.tanh_shrink(x)"},
        words=("tanhshrink",),
        related=("tanh", "soft_shrink"),
        reference="Lambert, Beiträge zum Gebrauche der Mathematik und deren Anwendung II (1770), for the continued fraction of tanh.",
        example=">>> fastsig.tanh_shrink([-1.0, 0.0, 1e-3])\narray([-2.38405844e-01,  0.00000000e+00,  3.33333200e-10])",
        gradient=Gradient(
            "tanh(x)**2",
            (6.5, 6),
            "1 at -inf and inf.",
            "tanh(x)**2",
        ),
    ),
    Row(
        "threshold",
        "elementwise",
        "What is not above the threshold becomes one value.",
        "x if x > threshold else value",
        (0, 0),
        "threshold(inf, ...) = inf unless the threshold is inf, too. A threshold that is NaN gives NaN (torch: x), a value that is NaN only where it is used.",
        truth="x if x > threshold else value",
        numpy="np.where(x > threshold, x, value)",
        torch="torch.nn.functional.threshold(x, threshold, value)",
        elsewhere={"Keras": "keras.activations.threshold(x, threshold, value)"},
        differs={"ONNX": "ThresholdedRelu(x, alpha=alpha) is threshold(x, alpha, 0)"},
        words=("ThresholdedRelu", "thresholded_relu"),
        keywords={
            "default_value": "it is the third operand, value",
            "alpha": "threshold(x, alpha, 0) is ONNX's ThresholdedRelu",
            "theta": "threshold(x, theta, 0) is Keras' ThresholdedReLU",
        },
        related=("relu", "hard_shrink"),
        reference="Konda, Memisevic & Krueger, Zero-Bias Autoencoders and the Benefits of Co-Adapting Features, ICLR (2015).",
        example=">>> fastsig.threshold([-1.0, 0.5, 2.0], 0.5, 0.0)\narray([0., 0., 2.])",
        parameters=(
            Parameter(
                "threshold", 0.5, "What is not above it is replaced; an array broadcasts against `x`.", required=True
            ),
            Parameter("value", -0.25, "By what; an array broadcasts against `x`.", required=True),
        ),
        gradient=Gradient(
            "1 if x > threshold else 0",
            (0, 0),
            "0 at the threshold, as in torch. Where x <= threshold the result is 0 for every grad_output, NaN and infinities included. "
            "A threshold that is NaN gives NaN.",
            "mpf(1) if x > threshold else mpf(0)",
        ),
    ),
    Row(
        "swish",
        "elementwise",
        "Sigmoid of beta * x, times x: silu with a slope that can be learned.",
        "x / (1 + exp(-beta * x))",
        (2.5, 3.5),
        "For a positive beta swish(-inf) = -0.0, its limit, and swish(inf) = inf; for a beta of 0 the result is x / 2, and for a negative one "
        "swish(x, -beta) is -swish(-x, beta). With the number 1 as beta it is silu, to the bit. Accurate for every beta: the rounding error of the product is "
        "corrected. Small results underflow gradually.",
        truth="x / (1 + exp(-beta * x))",
        numpy="x / (1 + np.exp(-beta * x))",
        torch="x * torch.sigmoid(beta * x)",
        elsewhere={
            "SciPy": "x * scipy.special.expit(beta * x)",
            "JAX": "x * jax.nn.sigmoid(beta * x)",
            "ONNX": "Swish(x, alpha=beta)",
            "transformers": "ACT2FN['swish'](x)",
        },
        differs={"transformers": '"quick_gelu" is swish(x, 1.702)'},
        words=("quick_gelu", "swish1"),
        keywords={"alpha": "beta"},
        related=("silu", "hard_swish", "gelu"),
        reference="Ramachandran, Zoph & Le, Searching for Activation Functions, arXiv:1710.05941 (2017).",
        example=">>> fastsig.swish([-1.0, 0.0, 1.0], 1.702)  # quick_gelu\narray([-0.15420423,  0.        ,  0.84579577])",
        parameters=(Parameter("beta", 1.0, "Slope of the sigmoid at 0, times 4; an array broadcasts against `x`."),),
        gradient=Gradient(
            "sigmoid(z) * (1 + z * sigmoid(-z)), z = beta * x",
            (4, 4),
            "-0.0 at -inf and 1 at inf, its limits, for a positive beta. Underflows gradually.",
            "((1 + exp(-abs(beta * x)) + abs(beta * x) * exp(-abs(beta * x))) if beta * x > 0 else exp(-abs(beta * x)) * (1 - abs(beta * x) + "
            "exp(-abs(beta * x)))) / (1 + exp(-abs(beta * x)))**2",
            crosses_zero=True,
        ),
    ),
    Row(
        "glu",
        "halves",
        "Gated linear unit: the first half of an axis, times the sigmoid of the second.",
        "a_i / (1 + exp(-b_i)), of x with the halves a and b",
        (2.5, 3),
        "An a of any size may go with any b: where the sigmoid underflows, its product with a large a does not. An infinite a "
        "stays infinite, for b = -inf it gives NaN. Small results underflow gradually. The result is computed from the "
        "halves where they lie, without an array for the sigmoid. An axis of odd length is a ValueError.",
        truth="[a / (1 + exp(-b)) for a, b in zip(x[: len(x) // 2], x[len(x) // 2 :])]",
        numpy="(lambda a, b: a / (1 + np.exp(-b)))(*np.split(x, 2, axis))",
        torch="torch.nn.functional.glu(x, axis)",
        elsewhere={"JAX": "jax.nn.glu(x, axis)", "Keras": "keras.activations.glu(x, axis)"},
        words=("GLU", "gated linear unit", "gating"),
        related=("sigmoid", "silu", "swish"),
        reference="Dauphin, Fan, Auli & Grangier, Language Modeling with Gated Convolutional Networks, ICML (2017).",
        example=">>> fastsig.glu([1.0, 2.0, 3.0, 0.0, 1.0, -1.0])\narray([0.5       , 1.46211716, 0.80682426])\n"
        "\n"
        "Along the columns:\n"
        "\n"
        ">>> fastsig.glu([[1.0, 2.0], [0.0, 1.0]], axis=0)\narray([[0.5       , 1.46211716]])",
        gradient=Gradient(
            "grad_output * sigmoid(b), grad_output * a * sigmoid(b) * sigmoid(-b)",
            (3.5, 3.5),
            "The first half is with respect to a, the second to b; both are computed in one pass. NaN where the function is.",
            "[g / (1 + exp(-b)) for g, b in zip(grad, x[len(x) // 2 :])] + "
            "[g * a * exp(-abs(b)) / (1 + exp(-abs(b)))**2 for g, a, b in zip(grad, x, x[len(x) // 2 :])]",
        ),
    ),
    Row(
        "softmax",
        "rows",
        "Softmax along an axis: positive numbers that add up to 1.",
        "exp(x_i / temperature) / sum_j exp(x_j / temperature)",
        (4, 4),
        "Nothing overflows, and neither x - max(x) nor x / temperature is rounded before its exponential is taken. A row that is all -inf, or holds inf or NaN, "
        "gives NaN, as in torch. Masked-out entries are 0; a row with nothing left is all 0. -inf stays 0 at any temperature, inf included.",
        truth="[exp((v - max(x)) / temperature) / fsum(exp((w - max(x)) / temperature) for w in x) for v in x]",
        numpy="(e := np.exp(x - x.max(axis, keepdims=True))) / e.sum(axis, keepdims=True)",
        torch="torch.softmax(x, axis)",
        elsewhere={
            "SciPy": "scipy.special.softmax(x, axis)",
            "JAX": "jax.nn.softmax(x, axis)",
            "Keras": "keras.activations.softmax(x, axis)",
            "ONNX": "Softmax(x, axis=axis)",
        },
        differs={
            "SciPy": "the axis is None, the whole array, unless it is given",
            "ONNX": "before opset 13 the axis is 1 unless it is given, and those behind it are one with it",
        },
        words=("temperature", "softargmax", "attention"),
        related=("log_softmax", "logsumexp", "softmin", "sigmoid"),
        reference="Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs (1990).",
        example=">>> fastsig.softmax([1.0, 2.0, 3.0])\narray([0.09003057, 0.24472847, 0.66524096])\n"
        "\n"
        "Along the columns:\n"
        "\n"
        ">>> fastsig.softmax([[0.0, 1.0], [0.0, 3.0]], axis=0).round(3)\n"
        "array([[0.5  , 0.119],\n"
        "       [0.5  , 0.881]])\n"
        "\n"
        "Along the rows, without what is masked out:\n"
        "\n"
        ">>> fastsig.softmax([[0.0, 1.0], [0.0, 3.0]], axis=1, where=[[True, False], [True, True]]).round(3)\n"
        "array([[1.   , 0.   ],\n"
        "       [0.047, 0.953]])\n"
        "\n"
        "Each row with a temperature of its own:\n"
        "\n"
        ">>> fastsig.softmax([[0.0, 1.0], [0.0, 1.0]], temperature=[0.5, 2.0]).round(3)\n"
        "array([[0.119, 0.881],\n"
        "       [0.378, 0.622]])",
        parameters=(TEMPERATURE,),
        gradient=Gradient(
            "y_i * (grad_i - sum_j grad_j y_j) / temperature",
            (4, 4),
            "A row in which grad_output or y holds NaN gives NaN, as do inf * 0 and inf - inf. Masked-out entries are 0. "
            "Where y is infinite, as no softmax is, the result is NaN or infinite. Products below the smallest normal number are rounded "
            "in its units. A temperature rounds once more: up to 4.5 ULP in float64.",
            "[v * (g - fsum(h * w for h, w in zip(grad, y))) / temperature for g, v in zip(grad, y)]",
            operand="y",
            scale="abs(y_i) * (abs(grad_i) + sum_j abs(grad_j y_j)) / temperature",
        ),
    ),
    Row(
        "softmin",
        "rows",
        "Softmin along an axis: positive numbers that add up to 1, the largest one for the smallest entry.",
        "exp(-x_i / temperature) / sum_j exp(-x_j / temperature)",
        (4, 4),
        "The bits of softmax(-x), without the array of -x. A row that is all inf, or holds -inf or NaN, gives NaN, as in torch. "
        "Masked-out entries are 0; a row with nothing left is all 0. inf stays 0 at any temperature, inf included.",
        truth="[exp((min(x) - v) / temperature) / fsum(exp((min(x) - w) / temperature) for w in x) for v in x]",
        numpy="(e := np.exp(x.min(axis, keepdims=True) - x)) / e.sum(axis, keepdims=True)",
        torch="torch.nn.functional.softmin(x, axis)",
        elsewhere={"SciPy": "scipy.special.softmax(-x, axis)", "JAX": "jax.nn.softmax(-x, axis)"},
        words=("soft argmin", "Boltzmann distribution", "Gibbs distribution"),
        related=("softmax", "log_softmax"),
        reference="Kendall et al., End-to-End Learning of Geometry and Context for Deep Stereo Regression, ICCV (2017), "
        "section 3.4.",
        example=">>> fastsig.softmin([1.0, 2.0, 3.0])\narray([0.66524096, 0.24472847, 0.09003057])\n"
        "\n"
        "Along the columns:\n"
        "\n"
        ">>> fastsig.softmin([[0.0, 1.0], [0.0, 3.0]], axis=0).round(3)\n"
        "array([[0.5  , 0.881],\n"
        "       [0.5  , 0.119]])\n"
        "\n"
        "Of energies, at two temperatures:\n"
        "\n"
        ">>> fastsig.softmin([[0.0, 1.0], [0.0, 1.0]], temperature=[0.5, 2.0]).round(3)\n"
        "array([[0.881, 0.119],\n"
        "       [0.622, 0.378]])",
        parameters=(TEMPERATURE._replace(text=TEMPERATURE.text.replace("largest", "smallest")),),
        negates=True,
        gradient=Gradient(
            "-y_i * (grad_i - sum_j grad_j y_j) / temperature",
            (4, 4),
            "A row in which grad_output or y holds NaN gives NaN, as do inf * 0 and inf - inf. Masked-out entries are 0. "
            "Where y is infinite, as no softmax is, the result is NaN or infinite. Products below the smallest normal number are rounded "
            "in its units. A temperature rounds once more: up to 4.5 ULP in float64.",
            "[-v * (g - fsum(h * w for h, w in zip(grad, y))) / temperature for g, v in zip(grad, y)]",
            operand="y",
            scale="abs(y_i) * (abs(grad_i) + sum_j abs(grad_j y_j)) / temperature",
        ),
    ),
    Row(
        "log_softmax",
        "rows",
        "Logarithm of softmax along an axis, without the underflow of log(softmax(x)).",
        "x_i / temperature - log(sum_j exp(x_j / temperature))",
        (4, 4),
        "Accurate also where the result is close to 0: log_softmax([0, -20])[0] is -2.06e-09. A row that is all -inf, or holds inf "
        "or NaN, gives NaN, as in torch. Masked-out entries are -inf, and -inf stays so at any temperature, inf included.",
        truth="[(v - max(x)) / temperature - log(fsum(exp((w - max(x)) / temperature) for w in x)) for v in x]",
        numpy="(z := x - x.max(axis, keepdims=True)) - np.log(np.exp(z).sum(axis, keepdims=True))",
        torch="torch.log_softmax(x, axis)",
        elsewhere={
            "SciPy": "scipy.special.log_softmax(x, axis)",
            "JAX": "jax.nn.log_softmax(x, axis)",
            "Keras": "keras.activations.log_softmax(x, axis)",
            "ONNX": "LogSoftmax(x, axis=axis)",
        },
        differs={
            "SciPy": "the axis is None, the whole array, unless it is given",
            "ONNX": "before opset 13 the axis is 1 unless it is given, and those behind it are one with it",
        },
        related=("softmax", "logsumexp", "cross_entropy"),
        reference="Blanchard, Higham & Higham, Accurately Computing the Log-Sum-Exp and Softmax Functions, IMA J. Numer. Anal. (2021).",
        example=">>> fastsig.log_softmax([1.0, 2.0, 3.0])\narray([-2.40760596, -1.40760596, -0.40760596])\n"
        "\n"
        "Along the columns:\n"
        "\n"
        ">>> fastsig.log_softmax([[0.0, 1.0], [0.0, 3.0]], axis=0).round(3)\n"
        "array([[-0.693, -2.127],\n"
        "       [-0.693, -0.127]])\n"
        "\n"
        "Along the rows, without what is masked out:\n"
        "\n"
        ">>> fastsig.log_softmax([[0.0, 1.0], [0.0, 3.0]], axis=1, where=[[True, False], [True, True]]).round(3)\n"
        "array([[ 0.   ,   -inf],\n"
        "       [-3.049, -0.049]])",
        parameters=(TEMPERATURE,),
        logarithm=True,
        gradient=Gradient(
            "(grad_i - exp(y_i) * sum_j grad_j) / temperature",
            (4, 4),
            "A row in which grad_output holds NaN gives NaN, as do inf * 0 and inf - inf; NaN in y stays where it is. Masked-out "
            "entries are 0. Where y is above 0, which no log-probability is, it counts as 0.",
            "[(g - exp(v) * fsum(grad)) / temperature for g, v in zip(grad, y)]",
            operand="y",
            scale="(abs(grad_i) + exp(y_i) * sum_j abs(grad_j)) / temperature",
        ),
    ),
    Row(
        "logsumexp",
        "reduction",
        "Logarithm of the sum of exponentials over an axis, without overflow or underflow.",
        "log(sum_i b_i exp(x_i))",
        (4, 4),
        "Computed as max(x) + log1p(rest), so where one entry outweighs the others nothing is lost: "
        "logsumexp([0, -20]) is 2.06e-09. Of nothing, and where all is -inf, -inf; inf where inf is among them. "
        "Unlike in SciPy, entries with weight 0 take no part in any case, and the sign of an empty sum is 0.",
        truth="[log(fsum(exp(v) for v in x))]",
        numpy="np.log(np.exp(x - (m := x.max(axis, keepdims=True))).sum(axis)) + np.squeeze(m, axis)",
        torch="torch.logsumexp(x, axis)",
        elsewhere={
            "SciPy": "scipy.special.logsumexp(x, axis)",
            "JAX": "jax.nn.logsumexp(x, axis)",
            "Keras": "keras.ops.logsumexp(x, axis)",
            "ONNX": "ReduceLogSumExp(x, [axis], keepdims=0)",
        },
        words=("log-sum-exp", "LSE"),
        related=("softmax", "log_softmax"),
        reference="Blanchard, Higham & Higham, Accurately Computing the Log-Sum-Exp and Softmax Functions, IMA J. Numer. Anal. (2021).",
        example=">>> fastsig.logsumexp([[1.0, 2.0, 3.0], [1000.0, 1000.0, 1000.0]], axis=1)\narray([   3.40760596, 1001.09861229])\n"
        "\n"
        "Along the columns:\n"
        "\n"
        ">>> fastsig.logsumexp([[0.0, 1.0], [0.0, 3.0]], axis=0).round(3)\n"
        "array([0.693, 3.127])\n"
        "\n"
        "Along the rows, without what is masked out:\n"
        "\n"
        ">>> fastsig.logsumexp([[0.0, 1.0], [0.0, 3.0]], axis=1, where=[[True, False], [True, True]]).round(3)\n"
        "array([0.   , 3.049])",
        gradient=Gradient(
            "grad_output * softmax(x)",
            (4.5, 4.5),
            "A row that is all -inf, or holds inf or NaN, gives NaN, as in softmax. Masked-out entries are 0.",
            "[grad[0] * exp(v - max(x)) / fsum(exp(w - max(x)) for w in x) for v in x]",
            slope="softmax",
        ),
    ),
    Row(
        "cross_entropy",
        "loss",
        "Loss of one class of many from the logits: minus the logarithm of the probability that softmax gives to the target.",
        "log(sum_j exp(x_j)) - x_target",
        (4, 4),
        "Accurate also where the loss is close to 0: cross_entropy([0, -20], 0) is 2.06e-09. inf for a class whose logit is "
        "-inf, or that is masked out, whatever else its row holds. A row that is all -inf, or holds inf or NaN, gives NaN, as "
        "in torch. What is masked out has the probability 0: with another one for its target the loss is inf. With "
        "probabilities for target, ``sum_j target_j * (log(sum_k exp(x_k)) - x_j)``, in which a probability of 0 beside a "
        "logit of -inf is 0, not NaN. Not reduced: the mean of it is torch's, if no row is ignored.",
        truth="[max(x) - x[target] + log(fsum(exp(w - max(x)) for w in x))]",
        numpy="np.log(np.exp(z := x - x.max(axis, keepdims=True)).sum(axis)) "
        "- np.take_along_axis(z, np.expand_dims(target, axis), axis).squeeze(axis)",
        torch="torch.nn.functional.cross_entropy(x.movedim(axis, 1), target, reduction='none')",
        words=(
            "CrossEntropyLoss",
            "negative log-likelihood",
            "softmax_cross_entropy_with_logits",
            "sparse_categorical_crossentropy",
        ),
        related=("log_softmax", "softmax", "binary_cross_entropy_with_logits"),
        keywords={
            "reduction": "its mean() or sum() is that of the losses, which are not reduced",
            "weight": "the result times weight[target] is the same, for classes without label_smoothing",
        },
        reference="Good, Rational Decisions, J. Roy. Statist. Soc. B 14 (1952).",
        example=">>> fastsig.cross_entropy([[1.0, 2.0, 3.0], [0.0, 80.0, 0.0]], [2, 0])\n"
        "array([ 0.40760596, 80.        ])\n"
        "\n"
        "Against probabilities, of the shape of `x`:\n"
        "\n"
        ">>> fastsig.cross_entropy([1.0, 2.0, 3.0], [0.25, 0.25, 0.5]).round(3)\n"
        "np.float64(1.158)",
        parameters=(
            Parameter(
                "target",
                0,
                "The class of each row, integers of the shape of `logits` without `axis` (or one number for all rows); or "
                "probabilities, floats of the shape of `logits`.",
                required=True,
                is_array=True,
            ),
        ),
        gradient=Gradient(
            "grad_output * (softmax(x) - one_hot(target))",
            (5, 5),
            "At the target, too, nothing cancels: it is minus the sum of all others where the target's probability is close "
            "to 1. Rows that are ignored are 0, and so are masked-out entries.",
            "[grad[0] * (exp(v - max(x)) / fsum(exp(w - max(x)) for w in x) if i != target else "
            "-fsum(exp(w - max(x)) for j, w in enumerate(x) if j != target) / fsum(exp(w - max(x)) for w in x)) "
            "for i, v in enumerate(x)]",
            slope="softmax",
        ),
    ),
)


SINGLE_CALL = r"(?:\w+\.)*(\w+)(?:\['(\w+)'\])?\(x(?:, [^()]*)?\)"


def names(row):
    """What a function is called, here and elsewhere."""
    calls = [re.fullmatch(SINGLE_CALL, call) for call in (row.torch or "", *row.elsewhere.values())]
    return [row.name, *row.words, *(match[2] or match[1] for match in calls if match)]


def _letters(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def known_as(name):
    """The functions here that others call by that name, however they write it."""
    return [row.name for row in TABLE if _letters(name) in map(_letters, names(row))]


# Keywords of PyTorch's: their name here, or what to do in their place; of which functions.
COMMON = (
    ("inplace", "out=x computes in place", ("elementwise", "rows")),
    ("dim", "axis", ("rows", "reduction", "loss", "halves")),
    ("keepdim", "keepdims", ("reduction",)),
    ("mask", "where", ("rows", "reduction", "loss")),
)


@functools.cache
def _foreign():
    """All such keywords."""
    return {keyword for keyword, *_ in COMMON}.union(
        keyword for row in TABLE for keyword in (*row.keywords, *(row.operands if row.is_ufunc else ()))
    )


def refuse(name, keywords):
    """A TypeError that says what is meant here, for one of these that the function has under another name, or not."""
    for row in () if _foreign().isdisjoint(keywords) else TABLE:
        meant = {keyword: text for keyword, text, kinds in COMMON if row.kind in kinds} | row.keywords
        if row.is_ufunc:
            meant |= dict.fromkeys(row.operands, "it goes by position, as all operands of a ufunc do")
        for keyword in keywords if row.name == name else ():
            if keyword in meant:
                text = f"it is called {meant[keyword]} here" if meant[keyword].isidentifier() else meant[keyword]
                raise TypeError(f"{name}() got an unexpected keyword argument {keyword!r}: {text}")
