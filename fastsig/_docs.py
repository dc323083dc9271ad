"""Docstrings, type stubs and the README's list of functions, made from the table.

`make generate` writes the files that are made from it; a test fails if they are behind the table.
"""

from ._catalog import TABLE

CALLING = """out : ndarray, optional
    Where to write the result; may be `x` itself.
{where}dtype, casting, order, subok
    As in any NumPy ufunc."""

WHERE_ELEMENTWISE = """where : array_like of bool, optional
    Compute only there; elsewhere `out` keeps its values.
"""
WHERE_ROWS = """where : array_like of bool, optional
    A mask that broadcasts to `x`: entries outside do not take part and become {hole}.
"""

DTYPES = (
    "float16, float32, float64 and bfloat16, a dtype of the package ml_dtypes, are kept (those of 16 bits are computed "
    "in float32); {integers}. Other dtypes raise TypeError."
)


def docstring(row):
    """The numpydoc docstring of one function."""
    rows = row.kind == "rows"
    parameters = ["x : array_like\n    Input of any shape."]
    if rows:
        parameters.append(
            "axis : int, tuple of int, or None, default -1\n    What to normalise over; None is the whole array."
        )
    for parameter in row.parameters:
        parameters.append(f"{parameter.name} : array_like, default {parameter.default!r}\n    {parameter.text}")
    where = WHERE_ROWS.format(hole="-inf" if row.name.startswith("log_") else "0") if rows else WHERE_ELEMENTWISE
    parameters.append(CALLING.format(where=where))
    integers = "integers are kept, bool becomes float64" if row.keeps_integers else "bool and integers become float64"
    error = "exact" if not row.max_ulp[0] else "at most {} ULP in float32, {} in float64".format(*row.max_ulp)
    if rows:  # half a unit of rounding in x - max changes exp(x - max) by half as many units as x - max counts
        error += ", and one more for every unit of max(x) - x"
    shape = "of the shape of `x`" if rows or not row.parameters else "of the shape that the inputs broadcast to"
    sections = [
        row.summary,
        f"``{row.formula}``",
        "Parameters\n----------\n" + "\n".join(parameters),
        f"Returns\n-------\nndarray or scalar\n    A result {shape}.",
        "Raises\n------\nTypeError\n    For dtypes that are not supported.\nValueError\n    For shapes that do not fit"
        + (", or an axis that does not exist." if rows else "."),
        "Notes\n-----\n"
        + DTYPES.format(integers=integers)
        + "\n\nNaN propagates. "
        + row.special
        + f"\n\nError: {error}."
        + "\n\nNo floating-point warning is ever raised.",
        f"References\n----------\n.. [1] {row.reference}",
        f"Examples\n--------\n>>> import fastsig\n{row.example}",
    ]
    return "\n\n".join(sections) + "\n"


STUB_HEAD = '''"""Made by `make generate` from the table in _catalog.py."""

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

__version__: str
__all__: list[str]

'''

STUB_TAIL = """
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def num_threads(n: int) -> AbstractContextManager[None]: ...
def show_config() -> None: ...
def get_config() -> dict[str, Any]: ...
def bench() -> None: ...
"""

OPTIONS = (
    "out: np.ndarray | tuple[np.ndarray] | None = None, where: ArrayLike = True, casting: str = ..., order: str = ..., "
    "dtype: DTypeLike | None = None, subok: bool = True"
)


def stub():
    """The text of __init__.pyi."""
    lines = []
    for row in TABLE:
        if row.kind == "rows":
            lines.append(
                f"def {row.name}(x: ArrayLike, axis: int | tuple[int, ...] | None = -1, *, {OPTIONS}) -> Any: ..."
            )
        elif row.parameters:
            parameters = ", ".join(f"{p.name}: ArrayLike = {p.default!r}" for p in row.parameters)
            lines.append(f"def {row.name}(x: ArrayLike, {parameters}, *, {OPTIONS}) -> Any: ...")
        else:
            lines.append(f"{row.name}: np.ufunc")
    return STUB_HEAD + "\n".join(lines) + "\n" + STUB_TAIL


def readme_list():
    """The README's table of functions."""
    lines = ["| function | | largest error, ULP (float32 / float64) |", "|---|---|---|"]
    for row in TABLE:
        call = ", ".join(
            ["x", *(["axis=-1"] if row.kind == "rows" else []), *(f"{p.name}={p.default}" for p in row.parameters)]
        )
        error = "{} / {}".format(*row.max_ulp) if row.max_ulp[0] else "exact"
        error += " + (max - x)" if row.kind == "rows" else ""
        lines.append(f"| `{row.name}({call})` | `{row.formula}` | {error} |")
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- functions: made by make generate -->\n", "<!-- /functions -->"


def with_list(readme):
    """A README's text with its list of functions renewed."""
    head, rest = readme.split(BEGIN)
    return head + BEGIN + readme_list() + END + rest.split(END, 1)[1]


def write_files():
    """Renew the stubs and the README's list: `make generate`."""
    from pathlib import Path  # slow to import, and of no use to users

    package = Path(__file__).parent
    (package / "__init__.pyi").write_text(stub())
    readme = package.parent / "README.md"
    readme.write_text(with_list(readme.read_text()))
