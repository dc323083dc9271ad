#!/usr/bin/env bash
# CRFsuite takes the exponentials of the scores as they are for its probabilities, without their maximum: as soon as a
# feature's value times its weight is over 709, marginal() and probability() are NaN, for all labels of the sequence.
# Features may have any value, and one of 50, as a length or a price is, will do. tag() finds the right labels.
# Seen with python-crfsuite 0.9.12; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check python-crfsuite==0.9.12
"$folder/bin/python" - <<'END'
import math
import os
import random
import tempfile

from pycrfsuite import ItemSequence, Tagger, Trainer


def sequence(values):
    return ItemSequence([{"balance": value} for value in values])


draw = random.Random(0)
trainer, tagger = Trainer(verbose=False), Tagger()
for _ in range(50):
    values = [draw.gauss(0, 1) for _ in range(6)]
    trainer.append(sequence(values), ["plus" if value > 0 else "minus" for value in values])
trainer.set_params({"c2": 0.01})
with tempfile.TemporaryDirectory() as folder:
    trainer.train(os.path.join(folder, "model"))
    tagger.open(os.path.join(folder, "model"))
    (weight,) = tagger.info().state_features.values()
    for scale in (1, 10, 700 / weight, 720 / weight, 50, 1000):
        labels = tagger.tag(sequence([1.0 * scale, -1.0 * scale, 0.1]))
        found = tagger.probability(labels), [tagger.marginal("plus", position) for position in range(3)]
        print(f"value {scale:.4g} by {weight:.4g}: {labels}, probability {found[0]}, marginals of plus {found[1]}")
        assert labels == ["plus", "minus", "plus"]
        assert all(math.isnan(number) for number in (found[0], *found[1])) == (scale * weight > 709)
END
