#!/usr/bin/env bash
# ONNX Runtime's MeanVarianceNormalization divides by the deviation as it is: a channel that is all the same, as that of
# a blank image, is NaN if it is all 3, and all 1 if it is 64 times 0.7, whose mean is rounded. The function that the
# standard defines the operator by adds 1e-9 to the deviation (the formula in words does not), and the reference
# evaluator, which does that, makes 0 or next to it of both.
# Seen with onnxruntime 1.32.0 and onnx 1.23.2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
import numpy as np
import onnxruntime
from onnx import TensorProto, defs, helper
from onnx.reference import ReferenceEvaluator

assert "1e-09" in str(defs.get_schema("MeanVarianceNormalization").function_body)
for value in (3.0, 0.0, 0.7):
    image = np.full((1, 1, 8, 8), value, np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, image.shape) for name in "xy"]
    node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"])
    graph = helper.make_graph([node], "one", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": image})[0]
    reference = ReferenceEvaluator(model).run(None, {"x": image})[0]
    print(f"all {value}: ONNX Runtime", np.unique(found), "reference", np.unique(reference))
    assert np.abs(reference).max() < 1e-3
    assert (found == 1).all() if value == 0.7 else np.isnan(found).all()
END
