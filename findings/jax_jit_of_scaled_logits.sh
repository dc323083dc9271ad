#!/usr/bin/env bash
# jax.jit fuses softmax with the scaling of the logits before it: x * c - max is one multiply-add, whose product is not
# rounded, against a maximum that is. So the largest entry's exponent is not 0: the log-probability of logits of 100
# comes out above 0, and a row filled with float32's least number, as masks are, is NaN, where without jit it is 1 / n.
# A scale that is a power of two multiplies exactly, and is spared.
# Seen with JAX 0.10.2 on x86-64 with FMA; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import jax
import jax.numpy as jnp

masked = jnp.full(4, jnp.finfo(jnp.float32).min)
for scale in (0.7, 0.5):
    softmax, log_softmax = (lambda x, f=f: f(x * scale) for f in (jax.nn.softmax, jax.nn.log_softmax))
    logits = jnp.array([100.0, 0.0])
    print("scale", scale, "masked", softmax(masked), "with jit", jax.jit(softmax)(masked))
    print("scale", scale, "log", log_softmax(logits), "with jit", jax.jit(log_softmax)(logits))
    assert (softmax(masked) == 0.25).all() and log_softmax(logits)[0] == 0
    assert jnp.isnan(jax.jit(softmax)(masked)).all() == (scale == 0.7)
    assert (jax.jit(log_softmax)(logits)[0] > 0) == (scale == 0.7)
END
