"""PyTorch's activation functions for NumPy arrays, called as NumPy's ufuncs are."""

from . import backward, scalar
from ._config import VERSION as __version__
from ._config import get_config, get_num_threads, num_threads, set_num_threads, show_config
from ._functions import functions
from ._lazy import offer


def bench():
    """Print how many times faster each function is here than the faster of NumPy's expression and SciPy's function.

    `make bench` in the source tree runs the full race against PyTorch, ONNX Runtime and others.
    """
    from ._bench import print_speeds  # only now: no function needs it

    show_config()
    print_speeds()


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
