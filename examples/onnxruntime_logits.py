"""Logits of an ONNX model to probabilities, after onnxruntime: in place, in the array the session returned.

    python examples/onnxruntime_logits.py

Exported classifiers, rerankers and detector heads often end in logits. `probabilities` is what to copy.
"""

import sys

import numpy as np
from _race import race

import fastsig

try:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from scipy.special import expit, softmax
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[onnx]'")


def probabilities(session, inputs):
    """One row of them for each input."""
    (logits,) = session.run(None, {"x": inputs})
    return fastsig.softmax(logits, out=logits)


def with_scipy(session, inputs):
    (logits,) = session.run(None, {"x": inputs})
    return softmax(logits, axis=-1)


def exported(model):
    """A linear classifier's logits as an ONNX session."""
    weights, bias = model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weights", "bias"], ["logits"])],
        "logits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights.shape[0]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(onnx_model)
    return onnxruntime.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])


def main():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    model = LogisticRegression(tol=1e-2).fit(X, y)
    session = exported(model)
    print("Ten classes, the session's run included: scipy.special -> fastsig")
    for label, inputs in (("one row", X[:1]), ("100,000 rows", np.resize(X, (100_000, 64)))):
        theirs, ours = race(label, with_scipy, probabilities, session, inputs)
    print(f"  largest difference: {np.abs(theirs - ours).max():.1e}")
    print(
        f"  and to scikit-learn's predict_proba: {np.abs(probabilities(session, X) - model.predict_proba(X)).max():.1e}"
    )

    scores = np.random.default_rng(0).normal(-6, 3, (1, 8400, 80)).astype(np.float32)
    print(f"A detector's class scores, {scores.shape}: scipy.special -> fastsig")
    theirs, ours = race("sigmoid", expit, fastsig.sigmoid, scores)
    print(f"  largest difference: {np.abs(theirs - ours).max():.1e}")


if __name__ == "__main__":
    main()
