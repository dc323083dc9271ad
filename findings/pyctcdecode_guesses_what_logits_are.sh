#!/usr/bin/env bash
# pyctcdecode takes logits or probabilities, and tells them apart by their sum: if the rows add up to 1 on average, it
# takes the logarithm and no softmax. Logits may be shifted by any constant; those that happen to add up to 1 decode
# to another text, where all beams tie and everything over 1 counts as certain.
# Seen with pyctcdecode 0.5.0 and NumPy 1.26.4; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pyctcdecode==0.5.0 numpy==1.26.4
"$folder/bin/python" - 2>"$folder/log" <<'END'
import numpy as np
from pyctcdecode import build_ctcdecoder

decoder = build_ctcdecoder(["a", "b", ""])
logits = np.array([[3.0, 2.0, -5.0], [1.0, 4.0, -5.0]])
texts = []
for shift in (0, 1 / 3, 1):
    beams = [(text, round(float(score), 2)) for text, *_, score in decoder.decode_beams(logits + shift)]
    print(f"rows that add up to {(logits + shift).sum(axis=1)}: {beams}")
    texts.append(beams[0][0])
assert texts[0] == texts[2] != texts[1]
END
