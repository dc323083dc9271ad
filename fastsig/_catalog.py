"""The table: one row a function. Docstrings, stubs, tests, benchmarks and the README's list are made from it.

To add an elementwise function: its formula in _formulas.pxi, its row here, its line in _fallback.py.
"""

from typing import NamedTuple


class Parameter(NamedTuple):
    name: str
    default: object
    text: str


class Row(NamedTuple):
    name: str
    kind: str  # "elementwise" or "rows"
    summary: str
    formula: str
    max_ulp: tuple[float, float]  # float32, float64; enforced by the tests, printed by the docs; for rows, see _docs
    special: str  # special values, one sentence each
    truth: str  # the same formula for mpmath, in x and the parameters' names; for rows, x is one row
    numpy: str  # what people write today, in np, x and the parameters' names
    torch: str | None  # the same function there, in torch, x and the parameters' names
    reference: str
    example: str
    parameters: tuple[Parameter, ...] = ()
    keeps_integers: bool = False


SIGNIFICANT = "Goodfellow, Bengio & Courville, Deep Learning (2016), section 6.2.2."

TABLE = (
    Row(
        "sigmoid",
        "elementwise",
        "Logistic sigmoid: the probability that belongs to a logit.",
        "1 / (1 + exp(-x))",
        (2.4, 2),
        "sigmoid(-inf) = 0 and sigmoid(inf) = 1. From one float32 to the next it never falls. Below -88 (float32) and -709 (float64) the result underflows gradually, "
        "through the subnormal numbers, and is not cut to 0.",
        truth="1 / (1 + exp(-x))",
        numpy="1 / (1 + np.exp(-x))",
        torch="torch.sigmoid(x)",
        reference=SIGNIFICANT,
        example=">>> fastsig.sigmoid([-1.0, 0.0, 1.0])\narray([0.26894142, 0.5       , 0.73105858])",
    ),
    Row(
        "tanh",
        "elementwise",
        "Hyperbolic tangent.",
        "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
        (2.5, 2.5),
        "tanh(-inf) = -1, tanh(inf) = 1 and tanh(-0.0) = -0.0. Odd to the last bit.",
        truth="tanh(x)",
        numpy="np.tanh(x)",
        torch="torch.tanh(x)",
        reference="LeCun, Bottou, Orr & Müller, Efficient BackProp (1998), section 4.4.",
        example=">>> fastsig.tanh([-1.0, 0.0, 1.0])\narray([-0.76159416,  0.        ,  0.76159416])",
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
        reference="Nair & Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML (2010).",
        example=">>> fastsig.relu([-2, 0, 3])\narray([0, 0, 3])",
        keeps_integers=True,
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
        reference="Maas, Hannun & Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models, ICML (2013).",
        example=">>> fastsig.leaky_relu([-2.0, 0.0, 3.0], 0.1)\narray([-0.2,  0. ,  3. ])",
        parameters=(Parameter("negative_slope", 0.01, "Slope below 0; an array broadcasts against `x`."),),
    ),
    Row(
        "softmax",
        "rows",
        "Softmax along an axis: positive numbers that add up to 1.",
        "exp(x_i) / sum_j exp(x_j)",
        (16, 16),
        "Computed from x - max(x), so nothing overflows. A row that is all -inf, or holds inf or NaN, gives NaN, as in torch. "
        "Masked-out entries are 0; a row with nothing left is all 0.",
        truth="[exp(v - max(x)) / fsum(exp(w - max(x)) for w in x) for v in x]",
        numpy="(lambda e: e / e.sum(axis, keepdims=True))(np.exp(x - x.max(axis, keepdims=True)))",
        torch="torch.softmax(x, axis)",
        reference="Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs (1990).",
        example=">>> fastsig.softmax([1.0, 2.0, 3.0])\narray([0.09003057, 0.24472847, 0.66524096])",
    ),
    Row(
        "log_softmax",
        "rows",
        "Logarithm of softmax along an axis, without the underflow of log(softmax(x)).",
        "x_i - log(sum_j exp(x_j))",
        (16, 16),
        "Accurate also where the result is close to 0: log_softmax([0, -20])[0] is -2.06e-09. A row that is all -inf, or holds inf "
        "or NaN, gives NaN, as in torch. Masked-out entries are -inf.",
        truth="[v - max(x) - log(fsum(exp(w - max(x)) for w in x)) for v in x]",
        numpy="(lambda z: z - np.log(np.exp(z).sum(axis, keepdims=True)))(x - x.max(axis, keepdims=True))",
        torch="torch.log_softmax(x, axis)",
        reference="Blanchard, Higham & Higham, Accurately Computing the Log-Sum-Exp and Softmax Functions, IMA J. Numer. Anal. (2021).",
        example=">>> fastsig.log_softmax([1.0, 2.0, 3.0])\narray([-2.40760596, -1.40760596, -0.40760596])",
    ),
)
