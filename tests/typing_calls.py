"""Calls that the type stubs have to accept, one of each kind; for mypy, and never run."""

from typing import Any

import numpy as np
import numpy.typing as npt
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
fastsig.softmin(x, (0, 1), temperature=[0.5, 2.0], out=x)
fastsig.log_softmax([1, 2], axis=(0,), where=True, dtype="float32", out=None)
fastsig.softmax(1.5, axis=None)
fastsig.logsumexp(x)
fastsig.logsumexp(x, (0, 1), [1, 2, 3], True, return_sign=True, where=[True, False, True], out=x)

fastsig.glu(x, 0, out=x[:1], where=x > 0)
assert_type(fastsig.glu(x), npt.NDArray[np.float32])
fastsig.threshold(x, 0.5, [1.0, 2.0, 3.0], out=x)
assert_type(fastsig.threshold(x, 0.5, 0.0), npt.NDArray[np.float32])

assert_type(fastsig.scalar.sigmoid(0.5), float)
assert_type(fastsig.scalar.leaky_relu(1, negative_slope=0.2), float)

gradient: np.ufunc = fastsig.backward.sigmoid
fastsig.backward.sigmoid(1.0, x, out=x)
fastsig.backward.leaky_relu(x, x, 0.1, out=x, where=x > 0)
fastsig.backward.gelu(x, x, approximate="tanh")
fastsig.backward.softmax(x, x, (0, 1), out=x, where=x > 0)
assert_type(fastsig.backward.glu(1.0, x, axis=0), npt.NDArray[np.float32])
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

# An array's dtype stays, unless an operand, `dtype` or `out` says otherwise.
half, double, wide = np.ones(3, np.float16), np.ones(3), x.astype(np.float64)
assert_type(fastsig.sigmoid(x), npt.NDArray[np.float32])
assert_type(fastsig.sigmoid(half, where=[True, False, True]), npt.NDArray[np.float16])
assert_type(fastsig.leaky_relu(x), npt.NDArray[np.float32])
assert_type(fastsig.leaky_relu(x, 0.1), npt.NDArray[np.float32])
assert_type(fastsig.leaky_relu(x, x), npt.NDArray[np.float32])
assert_type(fastsig.gelu(double, "tanh"), npt.NDArray[np.float64])
assert_type(fastsig.softmax(x, axis=(0, 1)), npt.NDArray[np.float32])
assert_type(fastsig.logsumexp(x), np.float32)
assert_type(fastsig.backward.sigmoid(1.0, x), npt.NDArray[np.float32])
assert_type(fastsig.backward.elu(x, x, 0.5), npt.NDArray[np.float32])
assert_type(fastsig.backward.softmax(x, x), npt.NDArray[np.float32])
assert_type(fastsig.sigmoid(x, dtype=np.float64), Any)
assert_type(fastsig.sigmoid(x, out=wide), Any)
assert_type(fastsig.sigmoid([1.0]), Any)
assert_type(fastsig.softmax(x, dtype="float64"), Any)
assert_type(fastsig.logsumexp(x, 0), Any)

fastsig.glu(x, (0, 1))  # type: ignore[call-overload]
fastsig.logsumexp(x, axis="0")  # type: ignore[call-overload]
fastsig.leaky_relu(x, slope=0.1)  # type: ignore[call-overload]
fastsig.gelu(x, approximate="sigmoid")  # type: ignore[call-overload]
fastsig.set_num_threads("2")  # type: ignore[arg-type]
fastsig.backward.leaky_relu(x)  # type: ignore[call-overload]
fastsig.backward.gelu(x, x, approximate="erf")  # type: ignore[call-overload]
fastsig.backward.softmax(x, x, axis="0")  # type: ignore[call-overload]
fastsig.unknown(x)  # type: ignore[attr-defined]
