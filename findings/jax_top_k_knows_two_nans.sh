#!/usr/bin/env bash
# jax.lax.top_k sorts NaN by its sign bit: np.nan counts as the largest number, but what x86 makes of inf - inf,
# log(-1) or inf * 0 has the bit set, and counts as the smallest. So whether a score gone wrong is among the top k
# depends on how it came about: it is silently left out, where argmax, max and sort of the same array find NaN.
# Seen with JAX 0.10.2 on x86-64; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 numpy==2.4.6
"$folder/bin/python" - <<'END'
import jax
import jax.numpy as jnp
import numpy as np

scores = jnp.array([1.0, 0.0, 3.0, 2.0])
infinity = scores.at[1].set(jnp.inf)
for name, with_nan in (
    ("a stored NaN", scores.at[1].set(jnp.nan)),
    ("inf - inf", scores + (infinity - infinity)),
    ("log(-1)", jnp.log(scores.at[1].set(-1.0)) + scores),
    ("inf * 0", scores + infinity * 0.0),
):
    top, where = jax.lax.top_k(with_nan, 2)
    print(f"{name}: scores {with_nan}, top 2 {top} at {where}", end=", ")
    print(f"argmax {jnp.argmax(with_nan)}, max {with_nan.max()}, sort {jnp.sort(with_nan)}")
    assert np.flatnonzero(np.isnan(with_nan)).tolist() == [1] and jnp.argmax(with_nan) == 1
    assert jnp.isnan(with_nan.max()) and jnp.isnan(jnp.sort(with_nan)[-1])
    assert where.tolist() == ([1, 2] if name == "a stored NaN" else [2, 3])
END
