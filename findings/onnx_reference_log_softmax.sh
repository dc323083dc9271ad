#!/usr/bin/env bash
# ONNX's reference evaluator, the operators' definition in Python, takes the logarithm of the softmax for LogSoftmax:
# -inf where the softmax underflows. ONNX Runtime, whose results one would check against it, is the one that is right.
# Seen with onnx 1.23.2 and onnxruntime 1.32.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

x = np.array([[0.0, -104.0, -200.0]], np.float32)
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
graph = helper.make_graph([helper.make_node("LogSoftmax", ["x"], ["y"])], "one", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
with np.errstate(all="ignore"):
    (reference,) = ReferenceEvaluator(model).run(None, {"x": x})
(runtime,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
print("reference", reference, "onnxruntime", runtime)
assert reference[0, 2] == -np.inf and runtime[0, 2] == -200
END
