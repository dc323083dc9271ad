"""The table's calls of JAX, Keras, ONNX and transformers are the same functions as ours."""

import os

import numpy as np
import oracle
import pytest

import fastsig
from fastsig._catalog import TABLE

os.environ.setdefault("KERAS_BACKEND", "numpy")
X = np.random.default_rng(0).normal(0, 2, (5, 8)).astype(np.float32)


def jax():
    import jax
    import jax.nn
    import jax.scipy.special

    return {"jax": jax, "x": jax.numpy.asarray}


def keras():
    import keras

    return {"keras": keras, "x": keras.ops.convert_to_tensor}


def onnx():
    """Operators as functions, by the reference implementation; what is not an attribute is an input."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    def operator(name):
        def run(*inputs, **attributes):
            kinds = [np.int64 if isinstance(value, list) else np.float32 for value in inputs]
            arrays = {f"in{i}": np.asarray(value, kind) for i, (value, kind) in enumerate(zip(inputs, kinds))}
            node = onnx.helper.make_node(name, list(arrays), ["y"], **attributes)
            types = {np.dtype("f4"): onnx.TensorProto.FLOAT, np.dtype("i8"): onnx.TensorProto.INT64}
            values = [onnx.helper.make_tensor_value_info(k, types[v.dtype], v.shape) for k, v in arrays.items()]
            result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
            model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", values, [result]))
            return ReferenceEvaluator(model).run(None, arrays)[0]

        return run

    names = {schema.name for schema in onnx.defs.get_all_schemas()}
    return {name: operator(name) for name in names} | {"x": np.asarray}


def transformers():
    activations = pytest.importorskip("transformers.activations")
    import torch

    return {"ACT2FN": activations.ACT2FN, "x": torch.from_numpy}


LIBRARIES = {"JAX": jax, "Keras": keras, "ONNX": onnx, "transformers": transformers}
CALLS = [(row, library, call) for row in TABLE for library, call in row.elsewhere.items() if library in LIBRARIES]


@pytest.mark.parametrize(("row", "library", "call"), CALLS, ids=lambda value: getattr(value, "name", value))
def test_theirs_are_ours(row, library, call):
    names = LIBRARIES[library]()
    x = oracle.inside(row, X)
    parameters = {parameter.name: parameter.default for parameter in row.parameters}
    theirs = np.asarray(eval(call, names | {"x": names["x"](x), "axis": -1, **parameters}))
    ours = oracle.called(fastsig, row)(x, **({"axis": -1} if row.kind == "reduction" else {}))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_defaults_that_differ():
    """As docs/names.md says of them."""
    import jax
    import keras

    negative = np.float32([-1])
    assert np.allclose(keras.activations.leaky_relu(negative), fastsig.leaky_relu(negative, 0.2))
    for theirs in (jax.nn.gelu, keras.ops.gelu):
        assert np.allclose(theirs(X), fastsig.gelu(X, "tanh"), atol=1e-6)
        assert not np.allclose(theirs(X), fastsig.gelu(X), atol=1e-6)
    assert np.allclose(onnx()["HardSigmoid"](X), np.clip(0.2 * X + 0.5, 0, 1), atol=1e-6)
    transformer = pytest.importorskip("transformers.activations")
    import torch

    for name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh"):
        assert np.allclose(transformer.ACT2FN[name](torch.from_numpy(X)), fastsig.gelu(X, "tanh"), atol=1e-5)
    theirs = transformer.ACT2FN["quick_gelu"](torch.from_numpy(X))
    assert np.allclose(theirs, fastsig.swish(X, 1.702), atol=1e-5)
