#!/usr/bin/env bash
# gensim's Word2Vec looks its sigmoid up in a table from -6 to 6, and passes over whatever lies outside: a pair of words
# that do stand together, but whose vectors' product is -6.1, is never learned from, however often it comes, and adds
# nothing to the loss; at -5.9 it costs 6 and moves at once. So the worst predictions are as good as the perfect ones.
# Seen with gensim 4.4.0; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.4.6
"$folder/bin/python" - <<'END'
from gensim.models import Word2Vec

pairs = [["salt", "pepper"]] * 1000
for score in (-5.9, -6.1, -50.0):
    model = Word2Vec(pairs, vector_size=1, min_count=1, sample=0, negative=1, sg=1, workers=1, seed=1)
    model.wv.vectors[:], model.syn1neg[:] = 1, score
    model.train(pairs, total_examples=len(pairs), epochs=1, compute_loss=True)
    vectors, loss = model.wv.vectors.ravel(), model.get_latest_training_loss()
    print(f"product {score}: after 1000 pairs the vectors are {vectors}, from [1. 1.], the loss {loss:.0f}")
    assert (loss == 0 and (vectors == 1).all()) == (score < -6)
END
