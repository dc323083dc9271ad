#!/usr/bin/env bash
# OpenVINO's SoftPlus, there to make a positive number, is -1.9e-6 at a third of the numbers from -23.9 to -17.7, and 0
# at most others below -16: the logarithm of a scale made by it is NaN. And NaN does not last: Exp of NaN is
# inf, Relu of NaN 0, and a Softmax of 1, NaN and 2 says 0, NaN and 0.
# Seen with openvino 2026.4.1 on x86-64 with AVX2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import openvino
from onnx import TensorProto, helper


def run(name, *x):
    x = np.array([x], np.float32)
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, x.shape) for end in "xy"]
    graph = helper.make_graph([helper.make_node(name, ["x"], ["y"])], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU")
    return compiled(x)[0][0]


x = [-10.0, -17.0, -18.0, -20.0, -23.0, -30.0]
print("Softplus", x, run("Softplus", *x), "right", np.logaddexp(x, 0))
print("Exp", run("Exp", np.nan), "Relu", run("Relu", np.nan), "Softmax", run("Softmax", 1, np.nan, 2))
assert (run("Softplus", *x)[2:4] < 0).all()
assert run("Exp", np.nan) == np.inf and run("Relu", np.nan) == 0
assert run("Softmax", 1, np.nan, 2)[0] == 0
END
