"""The short benchmark that users run: fastsig against what they would write in NumPy."""

import timeit

import numpy as np

from ._catalog import TABLE
from ._config import show_config
from ._functions import functions

SHAPES = {"elementwise": [(10,), (1000,), (1_000_000,)], "rows": [(1, 10), (1000, 10), (1000, 1000)]}


def least_time(call, rounds=5, seconds=0.01):
    """Seconds for one call: the least of several rounds, each long enough for the clock."""
    timer = timeit.Timer(call)
    number, taken = 1, timer.timeit(1)
    while taken < seconds:
        number = max(number * 2, int(number * seconds / max(taken, 1e-9)))
        taken = timer.timeit(number)
    return min(taken, *timer.repeat(rounds - 1, number)) / number


def bench():
    """Print how many times faster than the NumPy expression each function is here.

    `make bench` in the source tree runs the full race against PyTorch, ONNX Runtime and others.
    """
    show_config()
    rng = np.random.default_rng(0)
    for kind, shapes in SHAPES.items():
        columns = [(dtype, shape) for dtype in ("float32", "float64") for shape in shapes]
        labels = [f"{dtype} {'x'.join(map(str, shape))}" for dtype, shape in columns]
        print(f"\n{'NumPy time / fastsig time':<26}" + "".join(f"{label:>19}" for label in labels))
        for row in (row for row in TABLE if row.kind == kind):
            defaults = {parameter.name: parameter.default for parameter in row.parameters} | {"axis": -1}
            cells = []
            for dtype, shape in columns:
                x = rng.normal(0, 3, shape).astype(dtype)
                theirs = eval(f"lambda: {row.numpy}", {"np": np, "x": x, **defaults})
                ours = functions[row.name]
                with np.errstate(all="ignore"):
                    cells.append(least_time(theirs) / least_time(lambda ours=ours, x=x: ours(x)))
            print(f"{row.name:<26}" + "".join(f"{cell:>18.1f}x" for cell in cells))
