#!/usr/bin/env bash
# fastText, here as its fork floret, adds 0.00001 to every probability before it takes the logarithm, and predict()
# takes the exponential of that. So a sure label has 1.00001, none has less than 0.00001, and those of 300 labels add
# up to 1.003. Its maintainers call that rounding.
# Seen with floret 0.10.5; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check floret==0.10.5 numpy==1.26.4
"$folder/bin/python" - "$folder/text" <<'END'
import sys

import floret

for labels, rate, epochs in ((2, 1.0, 5000), (300, 0.1, 50)):
    with open(sys.argv[1], "w") as text:
        text.writelines(f"__label__{i} word{i}\n" * 20 for i in range(labels))
    model = floret.train_supervised(sys.argv[1], epoch=epochs, lr=rate, dim=10, thread=1, verbose=0)
    _, probabilities = model.predict("word1", k=-1)
    print(f"{labels} labels: the first {probabilities[0]:.7f}, the last {probabilities[-1]:.7f},", end=" ")
    print(f"the sum {probabilities.sum():.5f}")
    assert abs(probabilities.sum() - (1 + labels * 1e-5)) < 2e-6 and probabilities[-1] > 0.99e-5
    assert labels > 2 or 1.000005 < probabilities[0] < 1.00002
END
