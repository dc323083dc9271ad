#!/usr/bin/env bash
# ONNX's classifiers have a post_transform SOFTMAX_ZERO, which the standard names and does not define: a score of
# exactly 0 has the probability 0. So of the scores 0, -5 and -6 the best is impossible; ONNX Runtime's label is that
# of the best score all the same, the reference evaluator's that of the best probability. Three scores of 0 are NaN in
# the one and 0.5 each in the other.
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

kinds = {"x": (TensorProto.FLOAT, [1, 1]), "label": (TensorProto.INT64, [1]), "p": (TensorProto.FLOAT, [1, 3])}
ends = [helper.make_tensor_value_info(name, *kind) for name, kind in kinds.items()]
sets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]


def classify(scores, transform):
    options = {"coefficients": scores, "intercepts": [0.0] * 3, "classlabels_ints": [0, 1, 2]}
    options |= {"domain": "ai.onnx.ml", "post_transform": transform}
    node = helper.make_node("LinearClassifier", ["x"], ["label", "p"], **options)
    model = helper.make_model(helper.make_graph([node], "one", ends[:1], ends[1:]), opset_imports=sets, ir_version=9)
    x = {"x": np.ones((1, 1), np.float32)}
    session, evaluator = onnxruntime.InferenceSession(model.SerializeToString()), ReferenceEvaluator(model)
    found = *session.run(None, x), *evaluator.run(None, x)
    print(transform, scores, "onnxruntime", *found[:2], "reference", *found[2:])
    return found


classify([0.0, -5.0, -6.0], "SOFTMAX")
label, p, reference, q = classify([0.0, -5.0, -6.0], "SOFTMAX_ZERO")
assert (p[0, 0], q[0, 0], label[0], reference[0]) == (0, 0, 0, 1)
_, p, _, q = classify([0.0, 0.0, 0.0], "SOFTMAX_ZERO")
assert np.isnan(p).all() and (q == 0.5).all()
END
