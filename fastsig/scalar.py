"""The elementwise functions for one Python float, like those of `math`: no array machinery.

>>> from fastsig import scalar
>>> scalar.sigmoid(0.0)
0.5

They take Python and NumPy integers and floats, raise TypeError for anything else, and give the same bits as the array
functions in float64.
"""

from ._backend import kernels
from ._catalog import TABLE
from ._functions import with_parameters

__all__ = []

for _row in TABLE:
    if _row.kind == "elementwise":
        _function = kernels.build_scalar(_row.name, len(_row.parameters))
        if _row.parameters:
            _function = with_parameters(_row, _function, options="")
        _function.__name__ = _function.__qualname__ = _row.name
        _function.__module__ = __name__
        _function.__doc__ = f"{_row.summary[:-1]}, of one number: {_row.formula}."
        globals()[_row.name] = _function
        __all__.append(_row.name)
