"""The elementwise functions for one Python float, like those of `math`: no array machinery.

>>> from fastsig import scalar
>>> scalar.sigmoid(0.0)
0.5

They take Python and NumPy integers and floats, raise TypeError for anything else, and give the same bits as the array
functions in float64.
"""

from ._backend import kernels
from ._catalog import TABLE, expanded
from ._functions import elementwise

__all__ = []

for _row in TABLE:
    if _row.kind == "elementwise":
        _numbers = {name: kernels.build_scalar(name, len(_row.parameters)) for name, _ in expanded(_row)}
        _doc = f"{_row.summary[:-1]}, of one number: {_row.formula}."
        _function = elementwise(_row, _numbers, _doc, arrays=False, module=__name__)
        _function.__name__ = _function.__qualname__ = _row.name
        _function.__module__, _function.__doc__ = __name__, _doc
        globals()[_row.name] = _function
        __all__.append(_row.name)
