"""The elementwise functions for one number, like those of `math`: no array machinery.

>>> from fastsig import scalar
>>> scalar.sigmoid(0.0)
0.5

They take what `math` takes, numbers and what has __float__ or __index__, raise TypeError for anything else, and give
the same bits as the array functions in float64.
"""

from ._backend import kernels
from ._catalog import TABLE, expanded
from ._functions import elementwise
from ._lazy import Made, offer


def _scalar(row):
    """The function of a row, for numbers."""
    numbers = {name: kernels.build_scalar(name, len(row.parameters)) for name, _ in expanded(row)}
    doc = f"{row.summary[:-1]}, of one number: {row.formula}."
    function = elementwise(row, numbers, doc, arrays=False, module=__name__)
    function.__name__ = function.__qualname__ = row.name
    function.__module__, function.__doc__ = __name__, doc
    return function


_functions = Made(_scalar, lambda: {row.name: row for row in TABLE if row.kind == "elementwise"})
offer(_functions, globals())

__all__ = list(_functions)
