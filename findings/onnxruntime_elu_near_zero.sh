#!/usr/bin/env bash
# ONNX Runtime computes Elu, Celu and Selu of negative numbers as exp(x) - 1 in float32: 1.3 % off at -1e-6, and 0 from
# -2.9e-8 on, where the functions are x (times a constant).
# Seen with onnxruntime 1.32.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

x = np.array([-1e-6, -1e-7, -2e-8], np.float32)
for name, slope in (("Elu", 1.0), ("Celu", 1.0), ("Selu", 1.7580993)):
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, [3]) for end in "xy"]
    graph = helper.make_graph([helper.make_node(name, ["x"], ["y"])], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    (y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    print(name, y, "right", slope * x)
    assert abs(y[0] / (slope * x[0]) - 1) > 0.01 and y[2] == 0, name
END
