"""One contender of the race, in a process of its own: a JSON task a line on stdin, a JSON answer on stdout.

`race.py` starts it as `python peers.py CONTENDER THREADS PINNED`. A contender may have several ways to write
a function (its forms). All that work, with the right dtype and values, are timed for a moment, and the
fastest one races. To let a peer take part in a new function, add a line to its dict below; torch's and
NumPy's calls come from the table.
"""

import ast
import contextlib
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
    "log_softmax": [
        "np.subtract(x, x.max(axis, keepdims=True), out), "
        "np.subtract(out, np.log(np.exp(out).sum(axis, keepdims=True)), out)"
    ],
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
}

SCIPY = {
    "sigmoid": ["scipy.special.expit(x)"],
    "logit": ["scipy.special.logit(x)"],
    "log_sigmoid": ["scipy.special.log_expit(x)"],
    "softplus": ["scipy.special.softplus(x)", "-scipy.special.log_expit(-x)"],
    "silu": ["x * scipy.special.expit(x)"],
    "gelu": ["x * scipy.special.ndtr(x)"],
    "softmax": ["scipy.special.softmax(x, axis)"],
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
    "softmax": ["y = Softmax <axis = $axis> (x)"],
    "log_softmax": ["y = LogSoftmax <axis = $axis> (x)"],
    "logsumexp": ["n = Constant <value = int64[1] {$axis}> () y = ReduceLogSumExp <keepdims = 0> (x, n)"],
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
    "softmax": ["jax.nn.softmax(x, axis)"],
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


class Contender:
    """What a contender has to say: the forms of a task, and what the names in them stand for."""

    functions = None  # the names that it can do; None: what the table says

    def __init__(self, threads):
        """Import it, with `threads` threads, or as many as it wants (None)."""

    def forms(self, task):
        """Expressions in x, axis, the parameters, np, and out where the task has one."""
        raise NotImplementedError

    def names(self, task, x, out):
        """What the forms refer to, beyond the parameters."""
        return {"np": np, "math": math, "x": x, "out": out}

    def array(self, value, out):
        """The value of a form, as a NumPy array."""
        return np.asarray(value[-1] if isinstance(value, tuple) else value)


class Fastsig(Contender):
    def __init__(self, threads):
        import fastsig

        self.module = fastsig

    def forms(self, task):
        arguments = ["x"] + ["axis"] * (task["kind"] != "elementwise")
        arguments += ["where=mask"] * (task["layout"] == "where") + ["out=out"] * task["out"]
        return [f"fastsig.{task['function']}({', '.join(arguments)})"]

    def names(self, task, x, out):
        return super().names(task, x, out) | {"fastsig": self.module}


class NumPy(Contender):
    numpy = np

    def forms(self, task):
        expression = task["numpy"]
        if task["layout"] == "where" and task["kind"] == "elementwise":
            return [
                f"np.copyto(out, {expression}, where=mask)",
                f"out.__setitem__(mask, (lambda x: {expression})(x[mask]))",
            ]
        if task["layout"] == "where":
            return [f"(lambda x: {expression})(np.where(mask, x, -np.inf))"]
        forms = [expression]
        if task["dtype"] in ("uint8", "int32"):  # -x of a uint8 wraps around: people convert first
            forms.append(f"(lambda x: {expression})(x.astype(np.float64))")
        elif task["out"]:
            forms += with_out(expression) + NUMPY_OUT.get(task["function"], [])
        return forms

    def names(self, task, x, out):
        return super().names(task, x, out) | {"np": self.numpy}

    def array(self, value, out):
        return super().array(out if value is None else value, out)


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
        forms = SCIPY[task["function"]]
        return forms + [other for form in forms for other in with_out(form) if task["out"]]

    def names(self, task, x, out):
        return super().names(task, x, out) | {"scipy": self.module}


class Numexpr(Contender):
    functions = NUMEXPR

    def __init__(self, threads):
        import numexpr

        self.module = numexpr
        if threads:
            numexpr.set_num_threads(threads)

    def forms(self, task):
        """Calls of expressions compiled once: less overhead than evaluate()."""
        forms = []
        for i, expression in enumerate(NUMEXPR[task["function"]]):
            operands = ", ".join(self.operands(task, expression))
            out = ", out=out" if task["out"] else ""
            forms.append(f"compiled[{i}]({operands}{out}, ex_uses_vml=False)")
        return forms

    def operands(self, task, expression):
        used = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}
        return [name for name in ("x", *task["parameters"], *CONSTANTS) if name in used]

    def names(self, task, x, out):
        kind = {"float32": float, "float64": self.module.necompiler.double}[task["dtype"]]
        compiled = [
            self.module.NumExpr(text, [(name, kind) for name in self.operands(task, text)])
            for text in NUMEXPR[task["function"]]
        ]
        constants = task["parameters"] | CONSTANTS
        constants = {name: x.dtype.type(v) for name, v in constants.items() if not isinstance(v, str)}
        return super().names(task, x, out) | constants | {"compiled": compiled}


class Torch(Contender):
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
        return [task["torch"], *(with_out(task["torch"]) + TORCH_OUT.get(task["function"], [])) * task["out"]]

    def names(self, task, x, out):
        tensor = self.module.from_numpy
        own = {"torch": self.module, "x": tensor(x), "out": None if out is None else tensor(out)}
        return super().names(task, x, out) | own


class OnnxRuntime(Contender):
    functions = ONNX

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
        range_ = range(len(ONNX[task["function"]]))
        forms = [f"session[{i}].run(None, feed)" for i in range_]
        return forms + [f"session[{i}].run_with_iobinding(binding[{i}])" for i in range_ if task["out"]]

    def names(self, task, x, out):
        sessions = [self.session(task, x, nodes) for nodes in ONNX[task["function"]]]
        if not any(sessions):
            raise LookupError(f"no kernel for {task['dtype']}")
        bindings = [session and task["out"] and self.binding(session, x, out) for session in sessions]
        return super().names(task, x, out) | {"session": sessions, "binding": bindings, "feed": {"x": x}}

    def session(self, task, x, nodes):
        """The model, in the newest opset in which onnxruntime has a kernel for this dtype, or None."""
        values = {"type": {"float32": "float", "float64": "double"}[task["dtype"]], "axis": task["axis"]}
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
        binding = session.io_binding()
        binding.bind_input("x", "cpu", 0, x.dtype.type, x.shape, x.ctypes.data)
        binding.bind_output("y", "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)
        return binding

    def array(self, value, out):
        return out if value is None else value[0]


class Jax(Contender):
    """JAX has no thread limit of its own: it takes the CPUs of the affinity mask. Nor does it have out=."""

    functions = JAX

    def __init__(self, threads):
        import jax
        import jax.scipy.special

        jax.config.update("jax_enable_x64", True)
        self.module = jax

    def forms(self, task):
        return [f"compiled[{i}](x).block_until_ready()" for i in range(len(JAX[task["function"]]))]

    def names(self, task, x, out):
        names = {"jax": self.module, "axis": task["axis"], **task["parameters"]}
        compiled = [self.module.jit(eval(f"lambda x: {text}", names)) for text in JAX[task["function"]]]
        return super().names(task, x, out) | {"compiled": compiled, "x": self.module.numpy.asarray(x)}


class Copy(Contender):
    """The limit of large cells: a copy of the same bytes. NumPy's has one thread, torch's has several."""

    def __init__(self, threads):
        self.torch = None
        if threads != 1:
            with contextlib.suppress(ImportError):
                self.torch = importlib.import_module("torch")
                self.torch.set_num_threads(threads)

    def forms(self, task):
        return ["np.copyto(out, x)"] + ["tensor_out.copy_(tensor_x)"] * bool(self.torch)

    def names(self, task, x, out):
        out = np.empty_like(x)  # not the task's, which a reduction makes smaller
        tensors = {}
        if self.torch:
            tensors = {"tensor_x": self.torch.from_numpy(x), "tensor_out": self.torch.from_numpy(out)}
        return super().names(task, x, out) | tensors


CONTENDERS = {
    "fastsig": Fastsig,
    "base": Fastsig,  # another build of it, twice: compare.py
    "again": Fastsig,
    "torch": Torch,
    "onnxruntime": OnnxRuntime,
    "jax": Jax,
    "scipy": SciPy,
    "numexpr": Numexpr,
    "mkl": MKL,
    "numpy": NumPy,
    "copy": Copy,
}
OTHERS = [name for name, contender in CONTENDERS.items() if contender not in (Fastsig, Copy)]
DISTRIBUTIONS = {name: name for name in OTHERS} | {"mkl": "mkl_umath"}
PEERS = tuple(DISTRIBUTIONS)


def rows_without_peer(table):
    """Names of the table's functions that nobody but NumPy can do."""
    lists = [peer.functions for peer in CONTENDERS.values() if peer.functions]
    return [row.name for row in table if not row.torch and not any(row.name in names for names in lists)]


def make_input(task):
    """x of a task, and its mask: normal(0, 3), or what its layout says. A million of them, over and over."""
    rng = np.random.default_rng(0)
    shape, layout = tuple(task["shape"]), task["layout"]
    mask = (np.arange(np.prod(shape)) % 2 == 0).reshape(shape) if layout == "where" else None
    if task["dtype"] in ("uint8", "int32"):
        low, high = (0, 256) if task["dtype"] == "uint8" else (-128, 128)
        return rng.integers(low, high, shape, task["dtype"]), mask
    stored = (*shape[:-1], 3 * shape[-1]) if layout == "row slices" else shape
    size = int(np.prod(stored))
    values = rng.normal(0, 3, min(size, 1_000_000)).astype(task["dtype"])
    if task["function"] == "logit":
        values = 1 / (1 + np.exp(-values))  # logits of probabilities
    x = np.resize(values, stored)
    if layout == "row slices":
        x = x[..., : shape[-1]]
    return (np.asfortranarray(x) if layout == "Fortran order" else x), mask


def reference(task, x, mask):
    """(where to look, what must be there): NumPy in float64, of some elements or of all rows."""
    row = {"np": np, "math": math, "axis": task["axis"], **task["parameters"]}
    look = (slice(None, None, max(1, x.shape[0] // 1000)),) if task["kind"] == "elementwise" else (...,)
    part = x[look].astype(np.float64)
    if mask is not None and task["kind"] != "elementwise":
        part = np.where(mask, part, -np.inf)
    expected = np.asarray(eval(task["numpy"], row | {"x": part}))
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

    def check(self, form, value, dtype, look, expected):
        """Raise unless the form's result has the dtype and, nearly, the values of the reference."""
        if value.dtype != dtype:
            raise TypeError(f"{form}: {value.dtype} and not {dtype}")
        tolerance = {"rtol": 1e-3, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-6, "atol": 1e-7}
        if not np.allclose(value[look], expected, **tolerance, equal_nan=True):
            raise ArithmeticError(f"{form}: wrong values")

    def prepare(self, task):
        """Make the input, try the forms, keep the fastest."""
        self.loop = None
        gc.collect()  # the last task's arrays and sessions hang in a cycle, and gc is off while times are taken
        x, mask = make_input(task)
        look, expected = reference(task, x, mask)
        integers = task["dtype"] in ("uint8", "int32") and not task["keeps_integers"]
        dtype = np.dtype("float64" if integers else task["dtype"])
        shape = x.shape if task["kind"] == "elementwise" else expected.shape
        out = np.zeros(shape, dtype) if task["out"] else None
        names = task["parameters"] | {"axis": task["axis"], "mask": mask}
        names |= self.contender.names(task, x, out)
        if isinstance(self.contender, Copy):
            look, expected = ..., x
        best, problems = None, []
        for form in self.contender.forms(task):
            try:
                loop = self.compile(form, names)
                if not isinstance(self.contender, Copy):
                    value = self.contender.array(loop.once(), out)
                    self.check(form, value, dtype, look, expected)
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
        names = self.contender.names(None, np.array(value) if isinstance(value, list) else value, None)
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
