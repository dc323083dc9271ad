#!/usr/bin/env bash
# OpenCV 5 computes Tanh as (exp(2 x) - 1) / (exp(2 x) + 1), eight numbers at a time: from 44.2 on it is NaN, inf by
# inf, where right is 1. What is left over when a row is divided by eight goes another way and is 1: of nine times 50
# eight are NaN. And of 1e-8 it is 0. OpenCV 4.14 is right in all of that; Softplus of 89 is inf in both.
# Seen with opencv-python-headless 5.0.0.93 on x86-64 with AVX2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 onnx==1.23.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import cv2
import numpy as np
from onnx import TensorProto, helper


def run(operator, x):
    x = np.array([x], np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "graph", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    net.setInput(x)
    return net.forward()[0]


nine = run("Tanh", [50] * 9)
print("Tanh of nine times 50", nine)
assert np.isnan(nine[:8]).all() and nine[8] == 1
small = run("Tanh", [44, 45, -1000, 1e-6, 1e-8, 0, 0, 0])[:5]
print("Tanh of 44, 45, -1000, 1e-6, 1e-8", small)
assert small[0] == 1 and np.isnan(small[1]) and small[2] == -1 and small[3] > 1.01e-6 and small[4] == 0
print("Softplus of 88 and 89", run("Softplus", [88, 89]))
assert run("Softplus", [88, 89]).tolist() == [88, np.inf]
END
