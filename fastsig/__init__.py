"""PyTorch's activation functions for NumPy arrays, called as NumPy's ufuncs are."""

from . import backward, scalar
from ._bench import bench
from ._config import VERSION as __version__
from ._config import get_config, get_num_threads, num_threads, set_num_threads, show_config
from ._functions import functions
from ._lazy import offer

offer(functions, globals())

__all__ = [
    "__version__",
    "backward",
    "bench",
    "get_config",
    "get_num_threads",
    "num_threads",
    "scalar",
    "set_num_threads",
    "show_config",
    *functions,
]
del functions, offer  # not for users
