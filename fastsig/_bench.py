"""The short check and benchmark that users run: fastsig against what they would write in NumPy."""

import contextlib
import functools
import importlib
import math

import numpy as np

from ._catalog import TABLE
from ._functions import functions

ROWS = [(1, 10), (1000, 10), (1000, 1000)]
SHAPES = {"elementwise": [(10,), (1000,), (1_000_000,)], "rows": ROWS, "reduction": ROWS, "loss": ROWS, "halves": ROWS}

TOLERANCES = {"float32": 1e-6, "float64": 1e-12}  # relative to 1 or more: near 0 the NumPy expressions are inexact


def least_time(call, rounds=5, seconds=0.01):
    """Seconds for one call: the least of several rounds, each long enough for the clock."""
    import timeit  # which would be most of this module's time to import

    timer = timeit.Timer(call)
    number, taken = 1, timer.timeit(1)
    while taken < seconds:
        number = max(number * 2, int(number * seconds / max(taken, 1e-9)))
        taken = timer.timeit(number)
    return min(taken, *timer.repeat(rounds - 1, number)) / number


def operands(row, x):
    """What a call gives beside x, by name."""
    shape, dtype = (x.shape[:-1], np.intp) if row.kind == "loss" else (x.shape, x.dtype)
    required = [parameter for parameter in row.parameters if parameter.required]
    return {p.name: np.full(shape, p.default, dtype) if p.is_array else p.default for p in required}


def numpy_call(row, x, expression=None, **modules):
    """What people write today for x, with the default parameters, as a function without arguments."""
    defaults = {parameter.name: parameter.default for parameter in row.parameters} | {"axis": -1} | operands(row, x)
    return eval(f"lambda: {expression or row.numpy}", {"np": np, "math": math, "x": x, **defaults, **modules})


def others_calls(row, x):
    """That, and SciPy's function, where there is one here."""
    yield numpy_call(row, x)
    with contextlib.suppress(ImportError, AttributeError):  # no SciPy, or one that has no such function yet
        importlib.import_module("scipy.special")
        scipy = importlib.import_module("scipy")
        if "SciPy" in row.elsewhere:
            theirs = numpy_call(row, x, row.elsewhere["SciPy"], scipy=scipy)
            theirs()
            yield theirs


def print_check():
    """Print how far each function is from its NumPy expression in float64, and return whether all are near enough."""
    rng, all_good = np.random.default_rng(0), True
    print(f"\n{'largest difference to NumPy':<28}" + "".join(f"{dtype:>10}" for dtype in TOLERANCES))
    for row in TABLE:
        differences = []
        for dtype in TOLERANCES:
            x = rng.normal(0, 3, (100, 100)).astype(dtype)
            with np.errstate(all="ignore"):
                theirs = numpy_call(row, x.astype(float))()
                axis = {} if row.kind == "elementwise" else {"axis": -1}
                ours = functions[row.name](x, *operands(row, x).values(), **axis)
                difference = np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))
            same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
            differences.append(np.where(same, 0, np.where(np.isnan(difference), np.inf, difference)).max())
        good = all(difference <= allowed for difference, allowed in zip(differences, TOLERANCES.values()))
        all_good &= good
        cells = "".join(f"{difference:>10.1e}" for difference in differences)
        print(f"{row.name:<28}{cells}  {'OK' if good else 'FAIL'}")
    return all_good


def print_speeds(largest=math.inf, **effort):
    """Print the ratios for arrays of up to `largest` elements; effort is least_time's."""
    rng = np.random.default_rng(0)
    for kind, shapes in SHAPES.items():
        shapes = [shape for shape in shapes if math.prod(shape) <= largest]
        columns = [(dtype, shape) for dtype in ("float32", "float64") for shape in shapes]
        labels = [f"{dtype} {'x'.join(map(str, shape))}" for dtype, shape in columns]
        print(f"\n{'NumPy, SciPy / fastsig':<26}" + "".join(f"{label:>19}" for label in labels))
        for row in (row for row in TABLE if row.kind == kind):
            cells = []
            for dtype, shape in columns:
                x = rng.normal(0, 3, shape).astype(dtype)
                ours = functools.partial(functions[row.name], x, *operands(row, x).values())
                with np.errstate(all="ignore"):
                    theirs = min(least_time(call, **effort) for call in others_calls(row, x))
                    cells.append(theirs / least_time(ours, **effort))
            print(f"{row.name:<26}" + "".join(f"{cell:>18.1f}x" for cell in cells))
