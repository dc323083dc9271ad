#!/usr/bin/env bash
# The error of ONNX Runtime's Sigmoid is an absolute one: from -18 on it is 0 in float32, where right is 1.5e-8, and at
# -17 it is larger than at -16. In float64 it is 0 from -37 on. The logarithm of such a probability is -inf for quite
# ordinary logits.
# Seen with onnxruntime 1.32.0 on x86-64 with AVX2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def sigmoid(x, kind):
    ends = [helper.make_tensor_value_info(name, kind, None) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Sigmoid", ["x"], ["y"])], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


x = np.array([-16, -17, -18, -30])
single, double = sigmoid(x.astype(np.float32), TensorProto.FLOAT), sigmoid(x - 20.0, TensorProto.DOUBLE)
print("float32", x, single, "right", 1 / (1 + np.exp(-x)))
print("float64", x - 20, double, "right", 1 / (1 + np.exp(20.0 - x)))
assert single[0] > 0 == single[2] == single[3] and not double[1:].any()
assert abs(single[1] / 4.139938e-8 - 1) > 0.1
END
