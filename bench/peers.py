"""One contender of the race, in a process of its own: a JSON task a line on stdin, a JSON answer on stdout.

`race.py` starts it as `python peers.py CONTENDER THREADS PINNED`. A contender may have several ways to write
a function (its forms). All that work, with the right dtype and values, are timed for a moment, and the
fastest one races. To let a peer take part in a new function, add a line to its dict below; torch's and
NumPy's calls come from the table.
"""

import ast
import contextlib
import functools
import gc
import importlib
import json
import math
import os
import string
import sys
import time
import types
import warnings
from itertools import repeat

import numpy as np

LEAST = 5_000_000  # ns: no measurement is shorter, for the clock's sake
# What a result may be off: of its own size, and of the largest there is, or of 1. NumPy rounds to 16 bits at each step.
TOLERANCE = {"float64": (1e-6, 1e-7), "float32": (1e-3, 1e-4), "float16": (2e-2, 2e-3), "bfloat16": (1e-1, 2e-2)}
HALF = ("float16", "bfloat16")
INTEGERS = ("uint8", "int8", "int16", "int32")

# NumPy without temporaries, as a careful user writes where there is an `out`. It serves MKL's ufuncs, too.
NUMPY_OUT = {
    "sigmoid": [
        "np.negative(x, out), np.exp(out, out), np.add(out, 1, out), np.divide(1, out, out)",
        "np.multiply(x, 0.5, out), np.tanh(out, out), np.multiply(out, 0.5, out), np.add(out, 0.5, out)",
    ],
    "silu": ["np.negative(x, out), np.exp(out, out), np.add(out, 1, out), np.divide(x, out, out)"],
    "leaky_relu": ["np.multiply(x, negative_slope, out), np.maximum(x, out, out)"],
    "softplus": ["np.exp(x, out), np.log1p(out, out)"],
    "log_sigmoid": ["np.negative(x, out), np.exp(out, out), np.log1p(out, out), np.negative(out, out)"],
    "softmax": [
        "np.subtract(x, x.max(axis, keepdims=True), out), np.exp(out, out), "
        "np.divide(out, out.sum(axis, keepdims=True), out)"
    ],
    "softmin": [
        "np.subtract(x.min(axis, keepdims=True), x, out), np.exp(out, out), "
        "np.divide(out, out.sum(axis, keepdims=True), out)"
    ],
    "log_softmax": [
        "np.subtract(x, x.max(axis, keepdims=True), out), "
        "np.subtract(out, np.log(np.exp(out).sum(axis, keepdims=True)), out)"
    ],
}

# torch's calls for some axes, without what its table entry does for all.
TORCH_ALSO = {
    "cross_entropy": ["torch.nn.functional.cross_entropy(x, target, reduction='none') if axis in (1, -1) else None"]
}

# torch's calls with out= that its table entry does not have.
TORCH_OUT = {
    "relu": ["torch.clamp_min(x, 0, out=out)"],
    "relu6": ["torch._C._nn.hardtanh(x, 0.0, 6.0, out=out)"],
    "leaky_relu": ["torch._C._nn.leaky_relu(x, negative_slope, out=out)"],
    "silu": ["torch._C._nn.silu(x, out=out)"],
    "mish": ["torch._C._nn.mish(x, out=out)"],
    "elu": ["torch._C._nn.elu(x, alpha, out=out)"],
    "selu": ["torch._C._nn.elu(x, 1.6732632423543772, 1.0507009873554805, out=out)"],
    "celu": ["torch._C._nn.elu(x, alpha, 1.0, 1.0 / alpha, out=out)"],
    "gelu": ["torch._C._nn.gelu(x, approximate=approximate, out=out)"],
    "softplus": ["torch._C._nn.softplus(x, beta, 20, out=out)"],
    "log_sigmoid": ["torch._C._nn.log_sigmoid(x, out=out)"],
    "hard_sigmoid": ["torch._C._nn.hardsigmoid(x, out=out)"],
    "hard_swish": ["torch._C._nn.hardswish(x, out=out)"],
    "hard_tanh": ["torch._C._nn.hardtanh(x, min_val, max_val, out=out)"],
    "log1mexp": ["torch.log(torch.neg(torch.expm1(torch.neg(x, out=out), out=out), out=out), out=out)"],
    "soft_shrink": ["torch._C._nn.softshrink(x, lambd, out=out)"],
    "threshold": ["torch.ops.aten.threshold.out(x, threshold, value, out=out)"],
    "tanh_shrink": ["torch.sub(x, torch.tanh(x, out=out), out=out)"],
    "glu": ["torch.ops.aten.glu.out(x, axis, out=out)"],
    "softmin": ["torch.softmax(torch.neg(x, out=out), axis, out=out)"],
    "swish": [
        "torch.mul(x, torch.sigmoid(torch.mul(x, beta, out=out), out=out), out=out)",
        "torch._C._nn.silu(x, out=out)",
    ],
}

# Gradients, from grad, x and the function's output y: what autograd calls, which itself takes longer than a small call.
TORCH_GRADIENT = {
    "sigmoid": "sigmoid_backward(grad, y)",
    "tanh": "tanh_backward(grad, y)",
    "relu": "threshold_backward(grad, x, 0)",
    "leaky_relu": "leaky_relu_backward(grad, x, negative_slope, False)",
    "relu6": "hardtanh_backward(grad, x, 0, 6)",
    "hard_tanh": "hardtanh_backward(grad, x, min_val, max_val)",
    "hard_sigmoid": "hardsigmoid_backward(grad, x)",
    "hard_swish": "hardswish_backward(grad, x)",
    "silu": "silu_backward(grad, x)",
    "mish": "mish_backward(grad, x)",
    "gelu": "gelu_backward(grad, x, approximate=approximate)",
    "elu": "elu_backward(grad, alpha, 1, 1, False, x)",
    "selu": "elu_backward(grad, 1.6732632423543772, 1.0507009873554805, 1, False, x)",
    "celu": "elu_backward(grad, alpha, 1, 1 / alpha, False, x)",
    "softplus": "softplus_backward(grad, x, beta, 20)",
    "log_sigmoid": "log_sigmoid_backward(grad, x, torch.exp(-abs(x)))",
    "logit": "logit_backward(grad, x)",
    "hard_shrink": "hardshrink_backward(grad, x, lambd)",
    "soft_shrink": "softshrink_backward(grad, x, lambd)",
    "threshold": "threshold_backward(grad, x, threshold)",
    "swish": "silu_backward(grad, x)",  # of the default slope
    "glu": "glu_backward(grad, x, axis)",
    "softmax": "_softmax_backward_data(grad, y, axis, x.dtype)",
    "log_softmax": "_log_softmax_backward_data(grad, y, axis, x.dtype)",
}

# What the table's derivative does not give NumPy: faster ways; along an axis all, of which the first is the truth.
NUMPY_GRADIENT = {
    "sigmoid": ["grad * y * (1 - y)"],
    "tanh": ["grad * (1 - y * y)"],
    "relu": ["grad * (x > 0)", "np.multiply(grad, x > 0, out)"],
    "softmax": ["y * (grad - (grad * y).sum(axis, keepdims=True))"],
    "softmin": ["y * ((grad * y).sum(axis, keepdims=True) - grad)"],
    "log_softmax": ["grad - np.exp(y) * grad.sum(axis, keepdims=True)"],
    "glu": [
        "(lambda a, b: np.concatenate([grad * b, grad * a * b * (1 - b)], axis))"
        "(np.split(x, 2, axis)[0], 1 / (1 + np.exp(-np.split(x, 2, axis)[1])))"
    ],
    "logsumexp": [
        "np.expand_dims(grad, axis) * (e := np.exp(x - x.max(axis, keepdims=True))) / e.sum(axis, keepdims=True)"
    ],
    "cross_entropy": [
        "np.expand_dims(grad, axis) * ((e := np.exp(x - x.max(axis, keepdims=True))) / e.sum(axis, keepdims=True) "
        "- (np.expand_dims(target, axis) == np.expand_dims(np.arange(x.shape[axis]), "
        "tuple(range(1, x.ndim - axis % x.ndim)))))"
    ],
}

SCIPY = {
    "sigmoid": ["scipy.special.expit(x)"],
    "logit": ["scipy.special.logit(x)"],
    "log_sigmoid": ["scipy.special.log_expit(x)"],
    "softplus": ["scipy.special.softplus(x)", "-scipy.special.log_expit(-x)"],
    "silu": ["x * scipy.special.expit(x)"],
    "gelu": ["x * scipy.special.ndtr(x)"],
    "swish": ["x * scipy.special.expit(beta * x)"],
    "softmax": ["scipy.special.softmax(x, axis)"],
    "softmin": ["scipy.special.softmax(-x, axis)"],
    "log_softmax": ["scipy.special.log_softmax(x, axis)"],
    "logsumexp": ["scipy.special.logsumexp(x, axis)"],
}

# A literal with a point is a double to numexpr: integers and the names in CONSTANTS keep float32 as it is.
CONSTANTS = {"selu_alpha": 1.6732632423543772, "selu_scale": 1.0507009873554805}
NUMEXPR = {
    "sigmoid": ["1 / (1 + exp(-x))", "(1 + tanh(x / 2)) / 2"],
    "log_sigmoid": ["-log1p(exp(-x))"],
    "logit": ["log(x / (1 - x))"],
    "tanh": ["tanh(x)"],
    "relu": ["where(x > 0, x, 0)", "(x + abs(x)) / 2"],
    "relu6": ["where(x < 0, 0, where(x > 6, 6, x))"],
    "leaky_relu": ["where(x > 0, x, negative_slope * x)"],
    "silu": ["x / (1 + exp(-x))"],
    "mish": ["x * tanh(log1p(exp(x)))"],
    "selu": ["selu_scale * where(x > 0, x, selu_alpha * expm1(x))"],
    "elu": ["where(x > 0, x, alpha * expm1(x))"],
    "celu": ["where(x > 0, x, alpha * expm1(x / alpha))"],
    "softplus": ["log1p(exp(beta * x)) / beta"],
    "softsign": ["x / (1 + abs(x))"],
    "hard_sigmoid": ["where(x < -3, 0, where(x > 3, 1, (x + 3) / 6))"],
    "hard_swish": ["x * where(x < -3, 0, where(x > 3, 1, (x + 3) / 6))"],
    "hard_tanh": ["where(x < min_val, min_val, where(x > max_val, max_val, x))"],
    "log1mexp": ["log(-expm1(-x))"],
    "hard_shrink": ["where(abs(x) > lambd, x, 0)"],
    "soft_shrink": ["where(x > lambd, x - lambd, where(x < -lambd, x + lambd, 0))"],
    "tanh_shrink": ["x - tanh(x)"],
    "threshold": ["where(x > threshold, x, value)"],
    "swish": ["x / (1 + exp(-beta * x))"],
}

# Nodes in ONNX's text syntax. $name is a parameter, $type and $axis are the cell's.
CLIP = "a = Constant <value = $type {%s}> () b = Constant <value = $type {%s}> () y = Clip (x, a, b)"
ONNX = {
    "sigmoid": ["y = Sigmoid (x)"],
    "log_sigmoid": ["a = Sigmoid (x) y = Log (a)", "a = Neg (x) b = Softplus (a) y = Neg (b)"],
    "logit": ["one = Constant <value = $type {1}> () a = Sub (one, x) b = Div (x, a) y = Log (b)"],
    "tanh": ["y = Tanh (x)"],
    "relu": ["y = Relu (x)"],
    "relu6": [CLIP % (0, 6)],
    "leaky_relu": ["y = LeakyRelu <alpha = $negative_slope> (x)"],
    "silu": ["y = Swish (x)", "a = Sigmoid (x) y = Mul (x, a)"],
    "mish": ["y = Mish (x)"],
    "selu": ["y = Selu (x)"],
    "elu": ["y = Elu <alpha = $alpha> (x)"],
    "celu": ["y = Celu <alpha = $alpha> (x)"],
    "softplus": ["y = Softplus (x)"],
    "softsign": ["y = Softsign (x)"],
    "hard_sigmoid": ["y = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x)"],
    "hard_swish": ["y = HardSwish (x)"],
    "hard_tanh": [CLIP % ("$min_val", "$max_val")],
    "gelu": ['y = Gelu <approximate = "$approximate"> (x)'],
    "hard_shrink": ["y = Shrink <lambd = $lambd> (x)"],
    "soft_shrink": ["y = Shrink <lambd = $lambd, bias = $lambd> (x)"],
    "tanh_shrink": ["a = Tanh (x) y = Sub (x, a)"],
    "threshold": [
        "a = Constant <value = $type {$threshold}> () b = Constant <value = $type {$value}> () "
        "c = Greater (x, a) y = Where (c, x, b)"
    ],
    "swish": ["y = Swish <alpha = $beta> (x)", "a = Sigmoid (x) y = Mul (x, a)"],
    "glu": ["a, b = Split <axis = $axis, num_outputs = 2> (x) c = Sigmoid (b) y = Mul (a, c)"],
    "softmax": ["y = Softmax <axis = $axis> (x)"],
    "softmin": ["a = Neg (x) y = Softmax <axis = $axis> (a)"],
    "log_softmax": ["y = LogSoftmax <axis = $axis> (x)"],
    "logsumexp": ["n = Constant <value = int64[1] {$axis}> () y = ReduceLogSumExp <keepdims = 0> (x, n)"],
}

# Operators of TensorFlow Lite, each a call; what is no operator is made of several, as TensorFlow's converter does.
LITERT = {
    "sigmoid": "LOGISTIC(x)",
    "log_sigmoid": "NEG(LOG(ADD(EXP(NEG(x)), 1)))",
    "tanh": "TANH(x)",
    "relu": "RELU(x)",
    "relu6": "RELU6(x)",
    "leaky_relu": "LEAKY_RELU(x, alpha=negative_slope)",
    "silu": "MUL(x, LOGISTIC(x))",
    "mish": "MUL(x, TANH(LOG(ADD(EXP(x), 1))))",
    "elu": "ELU(x)",
    "softplus": "LOG(ADD(EXP(x), 1))",
    "softsign": "DIV(x, ADD(ABS(x), 1))",
    "hard_swish": "HARD_SWISH(x)",
    "hard_tanh": "RELU_N1_TO_1(x)",
    "gelu": "GELU(x, approximate=approximate == 'tanh')",
    "softmax": "SOFTMAX(x, beta=1)",
    "softmin": "SOFTMAX(NEG(x), beta=1)",
    "log_softmax": "LOG_SOFTMAX(x)",
}

SIMD = {
    "relu": ["simd.relu(x)"],
    "silu": ["simd.silu(x)"],
    "gelu": ["simd.gelu(x, approximate)"],
    "softmax": ["simd.softmax(x, axis)"],
}

JAX = {
    "sigmoid": ["jax.nn.sigmoid(x)"],
    "log_sigmoid": ["jax.nn.log_sigmoid(x)"],
    "logit": ["jax.scipy.special.logit(x)"],
    "tanh": ["jax.numpy.tanh(x)"],
    "relu": ["jax.nn.relu(x)"],
    "relu6": ["jax.nn.relu6(x)"],
    "leaky_relu": ["jax.nn.leaky_relu(x, negative_slope)"],
    "silu": ["jax.nn.silu(x)"],
    "mish": ["jax.nn.mish(x)"],
    "selu": ["jax.nn.selu(x)"],
    "elu": ["jax.nn.elu(x, alpha)"],
    "celu": ["jax.nn.celu(x, alpha)"],
    "softplus": ["jax.nn.softplus(beta * x) / beta"],
    "softsign": ["jax.nn.soft_sign(x)"],
    "hard_sigmoid": ["jax.nn.hard_sigmoid(x)"],
    "hard_swish": ["jax.nn.hard_swish(x)"],
    "hard_tanh": ["jax.numpy.clip(x, min_val, max_val)"],
    "gelu": ["jax.nn.gelu(x, approximate=approximate == 'tanh')"],
    "log1mexp": ["jax.nn.log1mexp(x)"],
    "hard_shrink": ["jax.numpy.where(abs(x) > lambd, x, 0)"],
    "soft_shrink": ["x - jax.numpy.clip(x, -lambd, lambd)"],
    "tanh_shrink": ["x - jax.numpy.tanh(x)"],
    "threshold": ["jax.numpy.where(x > threshold, x, value)"],
    "swish": ["x * jax.nn.sigmoid(beta * x)"],
    "glu": ["jax.nn.glu(x, axis)"],
    "softmax": ["jax.nn.softmax(x, axis)"],
    "softmin": ["jax.nn.softmax(-x, axis)"],
    "log_softmax": ["jax.nn.log_softmax(x, axis)"],
    "logsumexp": ["jax.nn.logsumexp(x, axis)"],
}


def with_out(expression):
    """The same call with out=out, in a list; nothing if the expression is not one call."""
    call = ast.parse(expression, mode="eval").body
    if not isinstance(call, ast.Call):
        return []
    call.keywords.append(ast.keyword("out", ast.Name("out", ast.Load())))
    return [ast.unparse(call)]


class _Vectorised(ast.NodeTransformer):
    """An expression for mpmath and numbers becomes one for NumPy and arrays x, in which mpf stands for x's dtype."""

    other = {  # noqa: RUF012
        "mpf": "x.dtype.type",
        "ncdf": "(lambda z: np.vectorize(math.erfc)(-z / np.sqrt(2)) / 2)",
        "max": "np.maximum",
        "min": "np.minimum",
    }

    def __init__(self, own):
        self.own = own

    def visit_IfExp(self, node):
        self.generic_visit(node)
        return ast.Call(ast.parse("np.where", mode="eval").body, [node.test, node.body, node.orelse], [])

    def visit_Name(self, node):
        text = node.id if node.id in self.own else self.other.get(node.id, f"np.{node.id}")
        return ast.parse(text, mode="eval").body


def gradient(row):
    """grad times the table's derivative, or the gradient along an axis, as NumPy's expression."""
    if row.kind != "elementwise":
        return NUMPY_GRADIENT[row.name][0]
    own = {"x", *(parameter.name for parameter in row.parameters)}
    tree = _Vectorised(own).visit(ast.parse(row.gradient.truth, mode="eval"))
    return f"grad * ({ast.unparse(tree)})"


def names_in(expression):
    """The names that an expression uses."""
    return {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}


class Contender:
    """What a contender has to say: the forms of a task, and what the names in them stand for."""

    functions = None  # the names that it can do; None: what the table says
    dtypes = None  # likewise
    precision = None  # the dtype by whose tolerance its results are checked, if it is not theirs
    gradients = False  # whether it has them, too

    def __init__(self, threads):
        """Import it, with `threads` threads, or as many as it wants (None)."""

    @classmethod
    def can(cls, task):
        """Whether it is worth asking."""
        return (
            (cls.functions is None or task["name"] in cls.functions)
            and (cls.dtypes is None or task["dtype"] in cls.dtypes)
            and (cls.gradients or not task["gradient"])
        )

    def forms(self, task):
        """Expressions in x, axis, the parameters, np, and out where the task has one; in grad and y for a gradient."""
        raise NotImplementedError

    def names(self, task, out, **arrays):
        """What the forms refer to, beyond the parameters: x, for a gradient grad, and y where a form has it."""
        return {"np": np, "math": math, "out": out, **arrays}

    def array(self, value, out):
        """The value of a form, as a NumPy array."""
        return np.asarray(out if value is None else value[-1] if isinstance(value, tuple) else value)

    def dtype(self, task):
        """Of its results: what fastsig makes of the task's dtype."""
        return np.dtype(result_dtype(task))


class Fastsig(Contender):
    gradients = True

    def __init__(self, threads):
        import fastsig

        self.module = fastsig

    def forms(self, task, x="x"):
        arguments = [*(["grad", task["gradient"]] if task["gradient"] else [x]), *task["operands"]]
        arguments += ["axis"] * (task["kind"] != "elementwise")
        arguments += ["where=mask"] * (task["layout"] == "where") + ["out=out"] * task["out"]
        return [f"fastsig.{task['function']}({', '.join(arguments)})"]

    def names(self, task, out, **arrays):
        return super().names(task, out, **arrays) | {"fastsig": self.module}


class Single(Fastsig):
    """The float32 that other types are measured by: fastsig's own, of the same numbers; of integers by astype."""

    dtypes = (*HALF, *INTEGERS)

    def forms(self, task):
        return super().forms(task, "x.astype(np.float32)" if task["dtype"] in INTEGERS else "x")

    def names(self, task, out, **arrays):
        arrays |= {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype.kind not in "iu"}
        return super().names(task, out, **arrays)

    def dtype(self, task):
        return np.dtype(np.float32)


class Astype(Fastsig):
    """What one can do to have integers computed in float32, with a result as fastsig makes it of them."""

    dtypes = INTEGERS
    precision = "float32"

    def forms(self, task):
        if task["out"]:
            forms = super().forms(task | {"out": False}, "x.astype(np.float32)")
            return [f"np.copyto(out, {forms[0]}, 'unsafe')", forms[0][:-1] + ", out=out, casting='unsafe')"]
        return [f"{form}.astype('{result_dtype(task)}')" for form in super().forms(task, "x.astype(np.float32)")]


class NumPy(Contender):
    gradients = True
    numpy = np

    def forms(self, task):
        expression = task["numpy"]
        if task["gradient"]:
            others = [text for text in NUMPY_GRADIENT.get(task["name"], []) if task["out"] or "out" not in text]
            return [*dict.fromkeys([expression, *others])]
        if task["layout"] == "where" and task["kind"] == "elementwise":
            return [
                f"np.copyto(out, {expression}, where=mask)",
                f"out.__setitem__(mask, (lambda x: {expression})(x[mask]))",
            ]
        if task["layout"] == "where":
            return [f"(lambda x: {expression})(np.where(mask, x, float({task['nothing']!r})))"]
        forms = [expression]
        if task["dtype"] in INTEGERS:  # -x of a uint8 wraps around: people convert first
            forms.append(f"(lambda x: {expression})(x.astype(np.float64))")
        elif task["out"]:
            forms += with_out(expression) + NUMPY_OUT.get(task["name"], [])
        return forms

    def names(self, task, out, **arrays):
        return super().names(task, out, **arrays) | {"np": self.numpy}


class MKL(NumPy):
    """NumPy's expressions with the ufuncs of MKL's vector math wherever there is one."""

    def __init__(self, threads):
        import mkl_umath

        own = {name: f for name, f in vars(mkl_umath).items() if isinstance(f, np.ufunc)}
        self.numpy = types.SimpleNamespace(**{**vars(np), **own})


class SciPy(Contender):
    functions = SCIPY

    def __init__(self, threads):
        import scipy.special

        self.module = scipy

    def forms(self, task):
        forms = SCIPY[task["name"]]
        return forms + [other for form in forms for other in with_out(form) if task["out"]]

    def names(self, task, out, **arrays):
        return super().names(task, out, **arrays) | {"scipy": self.module}


class Numexpr(Contender):
    functions = NUMEXPR
    dtypes = ("float32", "float64")

    def __init__(self, threads):
        import numexpr

        self.module = numexpr
        if threads:
            numexpr.set_num_threads(threads)

    def forms(self, task):
        """Calls of expressions compiled once: less overhead than evaluate()."""
        forms = []
        for i, expression in enumerate(NUMEXPR[task["name"]]):
            operands = ", ".join(self.operands(task, expression))
            out = ", out=out" if task["out"] else ""
            forms.append(f"compiled[{i}]({operands}{out}, ex_uses_vml=False)")
        return forms

    def operands(self, task, expression):
        used = names_in(expression)
        return [name for name in ("x", *task["parameters"], *CONSTANTS) if name in used]

    def names(self, task, out, x):
        kind = {"float32": float, "float64": self.module.necompiler.double}[task["dtype"]]
        compiled = [
            self.module.NumExpr(text, [(name, kind) for name in self.operands(task, text)])
            for text in NUMEXPR[task["name"]]
        ]
        constants = task["parameters"] | CONSTANTS
        constants = {name: x.dtype.type(v) for name, v in constants.items() if not isinstance(v, str)}
        return super().names(task, out, x=x) | constants | {"compiled": compiled}


class Torch(Contender):
    gradients = True

    def __init__(self, threads):
        import torch

        self.module = torch
        if threads:
            torch.set_num_threads(threads)
        self.mode = torch.inference_mode()
        self.mode.__enter__()  # for the life of the process

    def forms(self, task):
        if not task["torch"]:
            return []
        if task["gradient"] and task["name"] not in TORCH_GRADIENT:
            return ["torch.autograd.grad(root, leaf, grad, retain_graph=True)"]
        if task["gradient"]:
            name, arguments = TORCH_GRADIENT[task["name"]].removesuffix(")").split("(", 1)
            forms = [f"torch.ops.aten.{name}.default({arguments})"]
            operator = getattr(self.module.ops.aten, name)
            for overload in operator.overloads() if task["out"] else ():
                if overload != "default":
                    keyword = getattr(operator, overload)._schema.arguments[-1].name
                    forms.append(f"torch.ops.aten.{name}.{overload}({arguments}, {keyword}=out)")
            return forms
        forms = [task["torch"], *TORCH_ALSO.get(task["name"], [])]
        return [*forms, *(with_out(task["torch"]) + TORCH_OUT.get(task["name"], [])) * task["out"]]

    def names(self, task, out, **arrays):
        with self.module.inference_mode(False):  # autograd's tensors cannot come from there
            own = {name: self.tensor(array) for name, array in arrays.items()}
            names = super().names(task, None if out is None else self.tensor(out), **own) | {"torch": self.module}
            if task["gradient"] and task["name"] not in TORCH_GRADIENT:
                leaf = own["x"].detach().requires_grad_()
                names["leaf"] = leaf
                names["root"] = eval(task["torch"], names | task["parameters"] | {"axis": task["axis"], "x": leaf})
        return names

    def tensor(self, array):
        """The same memory. NumPy's bfloat16 is unknown there."""
        if array.dtype.name == "bfloat16":
            return self.module.from_numpy(array.view(np.uint16)).view(self.module.bfloat16)
        return self.module.from_numpy(array)

    def array(self, value, out):
        value = value[-1] if isinstance(value, tuple) else value
        if value.dtype == self.module.bfloat16:
            return value.view(self.module.uint16).numpy().view("bfloat16")
        return value.numpy()


class OnnxRuntime(Contender):
    functions = ONNX
    types = {"float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16"}  # noqa: RUF012

    def __init__(self, threads):
        import onnx
        import onnx.parser
        import onnxruntime

        self.onnx, self.module = onnx, onnxruntime
        onnxruntime.set_default_logger_severity(4)  # a node without a kernel is an answer here, no error
        self.options = onnxruntime.SessionOptions()
        if threads:
            self.options.intra_op_num_threads = threads

    def forms(self, task):
        range_ = range(len(ONNX[task["name"]]))
        forms = [f"session[{i}].run(None, feed)" for i in range_]
        return forms + [f"session[{i}].run_with_iobinding(binding[{i}])" for i in range_ if task["out"]]

    def names(self, task, out, x):
        sessions = [self.session(task, x, nodes) for nodes in ONNX[task["name"]]]
        if not any(sessions):
            raise LookupError(f"no kernel for {task['dtype']}")
        bindings = [session and task["out"] and self.binding(session, x, out) for session in sessions]
        return super().names(task, out, x=x) | {"session": sessions, "binding": bindings, "feed": {"x": x}}

    def session(self, task, x, nodes):
        """The model, in the newest opset in which onnxruntime has a kernel for this dtype, or None."""
        values = {"type": self.types[task["dtype"]], "axis": task["axis"]}
        values |= task["parameters"]
        nodes = string.Template(nodes).substitute(values)
        shape = ",".join(map(str, x.shape))
        signature = f"g ({values['type']}[{shape}] x) => ({values['type']} y)"
        for opset in range(self.onnx.defs.onnx_opset_version(), 12, -1):
            text = f'<ir_version: 8, opset_import: ["" : {opset}]> {signature} {{ {nodes} }}'
            with contextlib.suppress(Exception):  # each release has exception types of its own for this
                model = self.onnx.parser.parse_model(text).SerializeToString()
                return self.module.InferenceSession(model, self.options, providers=["CPUExecutionProvider"])
        return None

    def binding(self, session, x, out):
        """Input and output where they lie, so that nothing is copied or allocated."""
        binding, number = session.io_binding(), self.onnx.helper.np_dtype_to_tensor_dtype
        binding.bind_input("x", "cpu", 0, number(x.dtype), x.shape, x.ctypes.data)
        binding.bind_output("y", "cpu", 0, number(out.dtype), out.shape, out.ctypes.data)
        return binding

    def array(self, value, out):
        return out if value is None else value[0]


class LiteRT(Contender):
    """XNNPACK, by LiteRT's interpreter: a model of one operator or a few; the input is there, the output its own."""

    functions = LITERT
    dtypes = ("float32",)

    def __init__(self, threads):
        from ai_edge_litert import interpreter, schema_py_generated

        self.module, self.schema, self.threads = interpreter, schema_py_generated, threads

    @classmethod
    def can(cls, task):
        return super().can(task) and task["axis"] in (None, -1, len(task["shape"]) - 1)

    def forms(self, task):
        return ["model.invoke()" if task["out"] else "model.invoke(), model.get_tensor(output)"]

    def names(self, task, out, x):
        content = Model(self.schema, x.shape, task["parameters"]).content(LITERT[task["name"]])
        model = self.module.Interpreter(model_content=content, num_threads=self.threads)
        model.allocate_tensors()
        model.set_tensor(model.get_input_details()[0]["index"], x)
        output = model.get_output_details()[0]["index"]
        self.result = functools.partial(model.get_tensor, output)
        return super().names(task, out, x=x) | {"model": model, "output": output}

    def array(self, value, out):
        return super().array(self.result() if value is None else value, out)


class Model(dict):
    """A model of TensorFlow Lite, made as its expression is evaluated: operators are functions of tensors."""

    def __init__(self, schema, shape, parameters):
        super().__init__(parameters)
        self.schema, self.shape = schema, shape
        self.codes, self.operators, self.buffers, self.tensors = [], [], [schema.BufferT()], []
        self["x"] = self.tensor(shape)

    def __missing__(self, name):
        return functools.partial(self.add, name)

    def tensor(self, shape, data=b""):
        """A new tensor; a constant has data."""
        tensor, buffer = self.schema.TensorT(), self.schema.BufferT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), self.schema.TensorType.FLOAT32, len(self.buffers)
        tensor.name, buffer.data = f"t{len(self.tensors)}", np.frombuffer(data, np.uint8) if data else None
        self.buffers.append(buffer)
        self.tensors.append(tensor)
        return Tensor(len(self.tensors) - 1)

    def add(self, name, *operands, **options):
        """An operator's output, of the shape that all have."""
        code, operator = self.schema.OperatorCodeT(), self.schema.OperatorT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        own = "".join(map(str.capitalize, name.split("_"))) + "Options"
        operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, own, 0)
        if operator.builtinOptionsType:
            operator.builtinOptions = getattr(self.schema, f"{own}T")()
            vars(operator.builtinOptions).update(options)
        operator.inputs = [
            each.number if isinstance(each, Tensor) else self.tensor((), np.float32(each).tobytes()).number
            for each in operands
        ]
        operator.opcodeIndex, result = len(self.codes), self.tensor(self.shape)
        operator.outputs = [result.number]
        self.codes.append(code)
        self.operators.append(operator)
        return result

    def content(self, text):
        """The bytes of the model whose output is an expression in x, operators and parameters."""
        import flatbuffers

        graph, model = self.schema.SubGraphT(), self.schema.ModelT()
        graph.outputs = [eval(text, {}, self).number]
        graph.inputs, graph.tensors, graph.operators, graph.name = [0], self.tensors, self.operators, "main"
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, self.codes, [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


class Tensor:
    """A tensor of a Model, by its number."""

    def __init__(self, number):
        self.number = number


class Simd(Contender):
    """simd-ml-kernels: one thread, and always a new result."""

    functions = SIMD
    dtypes = ("float32",)

    def __init__(self, threads):
        import simd_ml_kernels

        self.module = simd_ml_kernels

    def forms(self, task):
        return SIMD[task["name"]]

    def names(self, task, out, x):
        return super().names(task, out, x=x) | {"simd": self.module}


class Jax(Contender):
    """JAX has no thread limit of its own: it takes the CPUs of the affinity mask. Nor does it have out=."""

    functions = JAX
    gradients = True

    def __init__(self, threads):
        import jax
        import jax.scipy.special

        jax.config.update("jax_enable_x64", True)
        self.module = jax

    def forms(self, task):
        operands = f"grad, {task['gradient']}" if task["gradient"] else "x"
        return [f"compiled[{i}]({operands}).block_until_ready()" for i in range(len(JAX[task["name"]]))]

    def names(self, task, out, **arrays):
        names = {"jax": self.module, "np": self.module.numpy, "axis": task["axis"], **task["parameters"]}
        functions = [eval(f"lambda x: {text}", names) for text in JAX[task["name"]]]
        if task["gradient"] == "y":  # JAX has no function of these: NumPy's expression, compiled
            functions = [eval(f"lambda grad, y: {task['numpy']}", names)]
        elif task["gradient"]:
            functions = [lambda grad, x, f=f: self.module.vjp(f, x)[1](grad)[0] for f in functions]
        own = {name: self.module.numpy.asarray(array) for name, array in arrays.items()}
        return super().names(task, out, **own) | {"compiled": [self.module.jit(f) for f in functions]}


class Copy(Contender):
    """The limit of large cells: a copy of the same bytes. NumPy's has one thread, torch's has several."""

    gradients = True

    def __init__(self, threads):
        self.torch = None
        if threads != 1:
            with contextlib.suppress(ImportError):
                self.torch = importlib.import_module("torch")
                self.torch.set_num_threads(threads)

    def forms(self, task):
        return ["np.copyto(out, x)"] + ["tensor_out.copy_(tensor_x)"] * bool(self.torch)

    def names(self, task, out, x, **others):
        if x.dtype.name == "bfloat16":  # torch does not know NumPy's
            x = x.view(np.uint16)
        out = np.empty_like(x)  # not the task's, which a reduction makes smaller
        tensors = {}
        if self.torch:
            tensors = {"tensor_x": self.torch.from_numpy(x), "tensor_out": self.torch.from_numpy(out)}
        return super().names(task, out, x=x) | tensors


CONTENDERS = {
    "fastsig": Fastsig,
    "base": Fastsig,  # another build of it, twice: compare.py
    "again": Fastsig,
    "astype": Astype,
    "float32": Single,
    "torch": Torch,
    "onnxruntime": OnnxRuntime,
    "litert": LiteRT,
    "simd": Simd,
    "jax": Jax,
    "scipy": SciPy,
    "numexpr": Numexpr,
    "mkl": MKL,
    "numpy": NumPy,
    "copy": Copy,
}
OTHERS = [name for name, contender in CONTENDERS.items() if not issubclass(contender, (Fastsig, Copy))]
DISTRIBUTIONS = {name: name for name in OTHERS}
DISTRIBUTIONS |= {"mkl": "mkl_umath", "litert": "ai-edge-litert", "simd": "simd-ml-kernels"}
PEERS = tuple(DISTRIBUTIONS)
RIVALS = (*PEERS, "astype")  # whose fastest counts


def rows_without_peer(table):
    """Names of the table's functions that nobody but NumPy can do."""
    lists = [peer.functions for peer in CONTENDERS.values() if peer.functions]
    return [row.name for row in table if not row.torch and not any(row.name in names for names in lists)]


def make_input(task):
    """x of a task, and its mask: normal(0, 3), or what its layout says. A million of them, over and over."""
    rng = np.random.default_rng(0)
    shape, layout = tuple(task["shape"]), task["layout"]
    mask = (np.arange(np.prod(shape)) % 2 == 0).reshape(shape) if layout == "where" else None
    if task["dtype"] in INTEGERS:
        low, high = (0, 256) if task["dtype"] == "uint8" else (-128, 128)  # pixels, or quantised logits
        return rng.integers(low, high, shape, task["dtype"]), mask
    stored = (*shape[:-1], 3 * shape[-1]) if layout == "row slices" else shape
    size = int(np.prod(stored))
    values = rng.normal(0, 3, min(size, 1_000_000))
    low, high = task["domain"]
    if low == 0:
        values = np.abs(values) if high == np.inf else 1 / (1 + np.exp(-values))  # probabilities
    x = np.resize(values.astype(task["dtype"]), stored)
    if layout == "row slices":
        x = x[..., : shape[-1]]
    return (np.asfortranarray(x) if layout == "Fortran order" else x), mask


def result_dtype(task):
    """What fastsig makes of a dtype."""
    return "float64" if task["dtype"] in INTEGERS and not task["keeps_integers"] else task["dtype"]


def targets(task, x):
    """What a call gives beside x: probabilities, or a class for each row."""
    rng = np.random.default_rng(2)
    if task["kind"] == "loss":
        shape, n = np.delete(x.shape, task["axis"]), x.shape[task["axis"]]
        return {name: rng.integers(0, n, shape) for name in task["arrays"]}
    some = rng.random(min(x.size, 1_000_000)).astype(result_dtype(task))
    return {name: np.resize(some, x.shape) for name in task["arrays"]}


def operands(task, x, expressions):
    """x and its targets; for a gradient grad, and y where an expression has it."""
    if not task["gradient"]:
        return {"x": x} | targets(task, x)
    row = {"np": np, "math": math, "axis": task["axis"], **task["parameters"]}
    shape = x.shape if task["kind"] in {"elementwise", "rows"} else np.delete(x.shape, task["axis"])
    if task["kind"] == "halves":
        shape = np.split(x, 2, task["axis"])[0].shape
    grad = np.random.default_rng(1).normal(0, 1, min(math.prod(shape), 1_000_000)).astype(x.dtype)
    arrays = {"x": x, "grad": np.resize(grad, shape)} | targets(task, x)
    if any("y" in names_in(text) for text in expressions):
        arrays["y"] = np.asarray(eval(task["forward"], row | {"x": x.astype(np.float64)})).astype(x.dtype)
    return arrays


def reference(task, arrays, mask):
    """(where to look, what must be there): NumPy in float64, of some elements or of all rows."""
    row = {"np": np, "math": math, "axis": task["axis"], **task["parameters"]}
    x = arrays["x"]
    look = (slice(None, None, max(1, x.shape[0] // 1000)),) if task["kind"] == "elementwise" else (...,)
    classes = task["arrays"] if task["kind"] == "loss" else ()
    parts = {name: array[look] for name, array in arrays.items()}
    parts |= {name: part.astype(np.float64) for name, part in parts.items() if name not in classes}
    if mask is not None and task["kind"] != "elementwise":
        parts["x"] = np.where(mask, parts["x"], float(task["nothing"]))
    expected = np.asarray(eval(task["numpy"], row | parts))
    if mask is not None and task["kind"] == "elementwise":
        expected = np.where(mask[look], expected, 0)
    return look, expected


LOOP = """
def once():
    return {form}

def run(count):
    start = clock()
    for _ in repeat(None, count):
        {form}
    return clock() - start

def sporadic(calls, pause):
    times = []
    for _ in repeat(None, calls):
        sleep(pause)
        start = clock()
        {form}
        times.append(clock() - start)
    return times
"""


class Race:
    """The forms of the task in hand, timed: `prepare` chooses one, `visit` and `sporadic` time it."""

    def __init__(self, contender):
        self.contender = contender
        self.loop = None
        self.count = 1

    def compile(self, form, names):
        names = names | {"clock": time.perf_counter_ns, "repeat": repeat, "sleep": time.sleep}
        exec(LOOP.format(form=form), names)
        return types.SimpleNamespace(**{name: names[name] for name in ("once", "run", "sporadic")})

    def check(self, form, value, dtype, look, expected, forgiven):
        """Raise unless the form's result has the dtype and, nearly, the values of the reference."""
        if value.dtype != dtype:
            raise TypeError(f"{form}: {value.dtype} and not {dtype}")
        expected = expected.astype(dtype).astype(np.float64)  # in 16 bits some are infinite
        rtol, atol = TOLERANCE.get(self.contender.precision or dtype.name, (0, 0))
        atol *= min(1, np.abs(expected, where=np.isfinite(expected), out=np.zeros(expected.shape)).max())
        wrong = ~np.isclose(value[look].astype(np.float64), expected, rtol, atol, equal_nan=True)
        if wrong.mean() > forgiven:
            raise ArithmeticError(f"{form}: wrong values")

    def prepare(self, task):
        """Make the input, try the forms, keep the fastest."""
        self.loop = None
        gc.collect()  # the last task's arrays and sessions hang in a cycle, and gc is off while times are taken
        x, mask = make_input(task)
        forms = self.contender.forms(task)
        arrays = operands(task, x, [*forms, task["numpy"]])
        look, expected = reference(task, arrays, mask)
        dtype = self.contender.dtype(task)
        shape = x.shape if task["kind"] == "elementwise" else expected.shape
        out = np.zeros(shape, dtype) if task["out"] else None
        names = task["parameters"] | {"axis": task["axis"], "mask": mask}
        names |= self.contender.names(task, out, **arrays)
        if isinstance(self.contender, Copy):
            look, expected = ..., x
        # Many numbers of 16 bits lie on kinks, where each library has a derivative of its own.
        forgiven = 0.01 if task["gradient"] and task["dtype"] in HALF else 0
        best, problems = None, []
        for form in forms:
            try:
                loop = self.compile(form, names)
                if not isinstance(self.contender, Copy):
                    value = self.contender.array(loop.once(), out)
                    self.check(form, value, dtype, look, expected, forgiven)
                count, ns = self.calibrate(loop)
            except Exception as error:
                problems.append(f"{type(error).__name__}: {error}".splitlines()[0][:200])
                continue
            if best is None or ns < best:
                best, self.loop, self.count, chosen = ns, loop, count, form
        if best is None:
            raise LookupError("; ".join(problems) or "no form")
        return {"form": chosen, "wrong": [text for text in problems if text.startswith("Arithmetic")]}

    def calibrate(self, loop):
        """(calls that take LEAST ns together, ns a call)."""
        count, taken = 1, loop.run(1)
        while taken < LEAST:
            count = max(2 * count, min(100 * count, int(1.2 * count * LEAST / max(taken, 1))))
            taken = loop.run(count)
        if count < 3:
            taken = min(taken, count * loop.run(1))  # the first calls met cold pages
        return count, taken / count

    def visit(self, milliseconds):
        """Least ns a call, of as many measurements as the time allows, after a warm-up."""
        self.loop.run(max(1, self.count // 3))
        least, spent = float("inf"), 0
        while spent < milliseconds * 1e6:
            taken = self.loop.run(self.count)
            least, spent = min(least, taken), spent + taken
        return {"ns": least / self.count}

    def sporadic(self, calls, pause):
        """ns of each call, `pause` seconds after the one before; without a pause they follow one another."""
        if pause:
            return {"ns": self.loop.sporadic(calls, pause)}
        self.loop.run(3)
        return {"ns": [self.loop.run(1) for _ in range(calls)]}

    def calls(self, forms, value):
        """Least ns of each form, in turn, with a Python object for x; None where it cannot be called."""
        names = self.contender.names(None, None, x=np.array(value) if isinstance(value, list) else value)
        least = {}
        for form in forms:
            with contextlib.suppress(Exception):
                loop = self.compile(form, names)
                least[form] = (loop, *self.calibrate(loop))
        for _ in range(10):
            least = {f: (loop, n, min(ns, loop.run(n) / n)) for f, (loop, n, ns) in least.items()}
        return {"ns": [least[form][2] if form in least else None for form in forms]}


def main(name, threads, pinned):
    """Answer tasks until stdin ends."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not get between the answers
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    with contextlib.suppress(ImportError):
        importlib.import_module("ml_dtypes")  # NumPy knows bfloat16 from then on
    threads = None if threads == "default" else int(threads)
    if threads and pinned and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        race = Race(CONTENDERS[name](threads))
        answer = {}
    except Exception as error:  # a broken install can raise anything
        answer = {"error": f"{type(error).__name__}: {error}"}
    gc.disable()
    channel.write(json.dumps(answer) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(race, request.pop("do"))(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        channel.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
