#!/usr/bin/env bash
# jax.random.categorical draws its noise in the dtype of the logits, and bfloat16's has 128 values: of a vocabulary of
# 32,000 equal logits it only ever draws from the first thousand or so, as many of them tie for the largest noise and
# argmax takes the first; a class that softmax gives 1 in 12,000 never comes. In float32 both come out as they should.
# Seen with JAX 0.10.2; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import jax
import jax.numpy as jnp
import numpy as np

key = jax.random.key(0)
drawn = {}
for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
    tokens = np.asarray(jax.random.categorical(key, jnp.zeros(32_000, dtype), shape=(1000,)))
    rare = int(jax.random.categorical(key, jnp.array([0, -9.4], dtype), shape=(1_000_000,)).sum())
    drawn[dtype] = np.median(tokens), tokens.max(), rare
    print(f"{dtype.__name__}: of 32,000 median {np.median(tokens)}, last {tokens.max()}; of about 83 rare ones {rare}")
median, last, rare = drawn[jnp.bfloat16]
assert last < 2000 and rare == 0
assert drawn[jnp.float32][0] > 14_000 and 50 < drawn[jnp.float32][2] < 120
END
