#!/usr/bin/env bash
# river's CrossEntropy looks the true label up in the predicted probabilities, and adds nothing if it is not there: a
# label that comes for the first time, of which no online model knows, costs 0, however sure the model was of another,
# less than a right prediction. A label with the probability 0 costs 34.5. So the model that knows the fewest labels
# wins.
# Seen with river 0.26.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check river==0.26.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
from river.metrics import CrossEntropy
from river.naive_bayes import GaussianNB


def loss(label, probabilities):
    metric = CrossEntropy()
    metric.update(label, probabilities)
    return metric.get()


model, whole = GaussianNB(), CrossEntropy()
for label in ["a", "a", "b", "c", "d", "e"]:
    x = {"x": float(ord(label))}
    probabilities = model.predict_proba_one(x)
    whole.update(label, probabilities)
    print(label, "predicted", probabilities, "loss", loss(label, probabilities))
    model.learn_one(x, label)
print("one new label after the other:", whole.get(), "named, with 0:", loss("b", {"a": 1.0, "b": 0.0}))
assert 0 <= whole.get() < 1e-15 and loss("b", {"a": 1.0}) == 0 < loss("a", {"a": 1.0})
assert 34 < loss("b", {"a": 1.0, "b": 0.0}) < 35
END
