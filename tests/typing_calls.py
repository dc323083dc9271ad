"""Calls that the type stubs have to accept, one of each kind; for mypy, and never run."""

from typing import Any

import numpy as np
from typing_extensions import assert_type

import fastsig

x = np.ones((2, 3), np.float32)

ufunc: np.ufunc = fastsig.sigmoid
fastsig.sigmoid(x, out=x, where=x > 0, dtype=np.float64, casting="same_kind", order="K", subok=False)
fastsig.sigmoid([1.0, 2.0])

fastsig.leaky_relu(x)
fastsig.leaky_relu(x, 0.1, out=x)
fastsig.leaky_relu(x, negative_slope=[0.1, 0.2, 0.3], where=[True, False, True], out=(x,))

fastsig.gelu(x)
fastsig.gelu(x, "tanh", out=x)

fastsig.softmax(x)
fastsig.softmax(x, 0)
fastsig.log_softmax([1, 2], axis=(0,), where=True, dtype="float32", out=None)
fastsig.softmax(1.5, axis=None)
fastsig.logsumexp(x)
fastsig.logsumexp(x, (0, 1), [1, 2, 3], True, return_sign=True, where=[True, False, True], out=x)

assert_type(fastsig.scalar.sigmoid(0.5), float)
assert_type(fastsig.scalar.leaky_relu(1, negative_slope=0.2), float)

gradient: np.ufunc = fastsig.backward.sigmoid
fastsig.backward.sigmoid(1.0, x, out=x)
fastsig.backward.leaky_relu(x, x, 0.1, out=x, where=x > 0)
fastsig.backward.gelu(x, x, approximate="tanh")
fastsig.backward.softmax(x, x, (0, 1), out=x, where=x > 0)
fastsig.backward.log_softmax(x, y=x, axis=None)
fastsig.backward.logsumexp(1.0, x, 0, keepdims=True, dtype="float32")

version: str = fastsig.__version__
names: list[str] = fastsig.__all__
fastsig.set_num_threads(2)
assert_type(fastsig.get_num_threads(), int)
assert_type(fastsig.get_config(), dict[str, Any])
fastsig.show_config()
fastsig.bench()
with fastsig.num_threads(1) as nothing:
    assert_type(nothing, None)

fastsig.logsumexp(x, axis="0")  # type: ignore[arg-type]
fastsig.leaky_relu(x, slope=0.1)  # type: ignore[call-arg]
fastsig.gelu(x, approximate="sigmoid")  # type: ignore[arg-type]
fastsig.set_num_threads("2")  # type: ignore[arg-type]
fastsig.backward.leaky_relu(x)  # type: ignore[call-arg]
fastsig.backward.gelu(x, x, approximate="erf")  # type: ignore[arg-type]
fastsig.backward.softmax(x, x, axis="0")  # type: ignore[arg-type]
fastsig.unknown(x)  # type: ignore[attr-defined]
