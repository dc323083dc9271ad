"""Made by `make generate` from the table in _catalog.py."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

sigmoid: np.ufunc
tanh: np.ufunc
relu: np.ufunc
def leaky_relu(grad_output: ArrayLike, x: ArrayLike, negative_slope: ArrayLike = 0.01, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
relu6: np.ufunc
def hard_tanh(grad_output: ArrayLike, x: ArrayLike, min_val: ArrayLike = -1.0, max_val: ArrayLike = 1.0, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
hard_sigmoid: np.ufunc
hard_swish: np.ufunc
softsign: np.ufunc
silu: np.ufunc
mish: np.ufunc
def gelu(grad_output: ArrayLike, x: ArrayLike, approximate: Literal["none", "tanh"] = "none", *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
def elu(grad_output: ArrayLike, x: ArrayLike, alpha: ArrayLike = 1.0, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
selu: np.ufunc
def celu(grad_output: ArrayLike, x: ArrayLike, alpha: ArrayLike = 1.0, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
def softplus(grad_output: ArrayLike, x: ArrayLike, beta: ArrayLike = 1.0, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
log_sigmoid: np.ufunc
logit: np.ufunc
def softmax(grad_output: ArrayLike, y: ArrayLike, axis: int | tuple[int, ...] | None = -1, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
def log_softmax(grad_output: ArrayLike, y: ArrayLike, axis: int | tuple[int, ...] | None = -1, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...
def logsumexp(grad_output: ArrayLike, x: ArrayLike, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, *, out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: DTypeLike | None = None, subok: bool = True) -> Any: ...

__all__ = ["celu", "elu", "gelu", "hard_sigmoid", "hard_swish", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "logit", "logsumexp", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh"]
