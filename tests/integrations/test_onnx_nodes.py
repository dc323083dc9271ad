"""ONNX's own node tests of the operators that are functions here."""

import importlib
import pkgutil

import numpy as np
import pytest

import fastsig

onnx = pytest.importorskip("onnx")
node_tests = importlib.import_module("onnx.backend.test.case.node")


def shrink(x, lambd=0.5, bias=0.0):
    """ONNX allows any bias; here there are the two that have names."""
    assert bias in {0, lambd}
    return fastsig.soft_shrink(x, lambd) if bias else fastsig.hard_shrink(x, lambd)


def loss(x, target, weight=None, ignore_index=None, reduction="mean"):
    """Which fastsig does not reduce, nor weigh; and the logarithms that are a second output."""
    losses = fastsig.cross_entropy(x, target, 1, ignore_index=ignore_index)
    kept = np.ones(target.shape, x.dtype) if ignore_index is None else np.not_equal(target, ignore_index, dtype=object)
    weights = kept.astype(x.dtype) if weight is None else weight[np.where(kept, target, 0).astype(int)] * kept
    losses = (losses * weights).astype(x.dtype)
    reduced = {"none": lambda: losses, "sum": losses.sum, "mean": lambda: losses.sum() / weights.sum()}
    return reduced[reduction](), fastsig.log_softmax(x, 1)


OPERATORS = {
    "Celu": lambda x, alpha=1.0: fastsig.celu(x, alpha),
    "Clip": lambda x, low=-np.inf, high=np.inf: fastsig.hard_tanh(x, low, high),
    "Elu": lambda x, alpha=1.0: fastsig.elu(x, alpha),
    "Gelu": fastsig.gelu,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: fastsig.hard_tanh(alpha * x + beta, 0.0, 1.0),
    "HardSwish": fastsig.hard_swish,
    "LeakyRelu": lambda x, alpha=0.01: fastsig.leaky_relu(x, alpha),
    "LogSoftmax": fastsig.log_softmax,
    "Mish": fastsig.mish,
    "PRelu": fastsig.leaky_relu,
    "ReduceLogSumExp": lambda x, axes=(), keepdims=1: fastsig.logsumexp(x, tuple(axes) or None, keepdims=keepdims == 1),
    "Relu": fastsig.relu,
    "Selu": lambda x, alpha=None, gamma=1.0: fastsig.selu(x) if alpha is None else gamma * fastsig.elu(x, alpha),
    "Shrink": shrink,
    "Sigmoid": fastsig.sigmoid,
    "Softmax": fastsig.softmax,
    "SoftmaxCrossEntropyLoss": loss,
    "Softplus": fastsig.softplus,
    "Softsign": fastsig.softsign,
    "Swish": lambda x, alpha=1.0: fastsig.swish(x, alpha),
    "Tanh": fastsig.tanh,
    "ThresholdedRelu": lambda x, alpha=1.0: fastsig.threshold(x, alpha, 0.0),
}


def collected():
    """Name -> (node, inputs, outputs): what the modules of these operators expect as they are imported. Of integers,
    which become float64 here, ONNX expects integers."""
    found, expect = {}, node_tests.expect

    def remember(node, inputs, outputs, name, **_):
        if node.op_type in OPERATORS and np.asarray(inputs[0]).dtype.kind != "i":
            found[name] = node, inputs, outputs

    node_tests.expect = remember
    try:
        with np.errstate(all="ignore"):
            for _, module, _ in pkgutil.iter_modules(node_tests.__path__):
                if module.replace("_", "") in map(str.lower, OPERATORS):
                    importlib.import_module(f"{node_tests.__name__}.{module}")
    finally:
        node_tests.expect = expect
    return found


CASES = collected()


def test_there_are_some_of_each():
    assert {node.op_type for node, _, _ in CASES.values()} == OPERATORS.keys()


@pytest.mark.parametrize("name", CASES)
def test_node(name):
    node, inputs, outputs = CASES[name]
    given = iter(inputs)
    arrays = {i: next(given) for i, each in enumerate(node.input) if each}
    options = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    options = {key: value.decode() if isinstance(value, bytes) else value for key, value in options.items()}
    if sorted(arrays) != list(range(len(arrays))):  # without the lower bound of Clip
        options["high"] = arrays.pop(2)
    results = OPERATORS[node.op_type](*arrays.values(), **options)
    for got, expected in zip(results if isinstance(results, tuple) else (results,), outputs):
        assert np.shape(got) == np.shape(expected)
        assert got.dtype == inputs[0].dtype
        eps = float(np.finfo(np.float32).eps if got.itemsize > 2 else 2**-8 if got.dtype.kind == "V" else 2**-10)
        wide = [np.asarray(each).astype(np.float64) for each in (got, expected)]
        np.testing.assert_allclose(*wide, rtol=16 * eps, atol=eps)
