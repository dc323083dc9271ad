#!/usr/bin/env bash
# JAX on a CPU has no subnormal numbers: jnp.exp(-88) and jax.nn.sigmoid(-88) are 0 in float32 where NumPy's exp gives
# 6.05e-39, and a stored 1e-40 times 1 is 0. So a softmax loses its entries 16 units of log earlier than NumPy's.
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

x = np.float32(-88)
print("exp", jnp.exp(x), np.exp(x), "sigmoid", jax.nn.sigmoid(x), "1e-40 * 1", jnp.float32(1e-40) * 1)
print("softmax", jax.nn.softmax(jnp.array([0, -88], jnp.float32)))
assert jnp.exp(x) == jax.nn.sigmoid(x) == 0 < np.exp(x)
assert jax.nn.softmax(jnp.array([0, -88], jnp.float32))[1] == 0
assert jnp.array([1e-40], jnp.float32).item() * 1 > 0 == (jnp.array([1e-40], jnp.float32) * 1).item()
END
