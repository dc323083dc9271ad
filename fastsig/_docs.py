"""Docstrings, type stubs, the Cython API and the README's list of functions, made from the table.

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

from . import scalar as scalar

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


def scalar_stub():
    """The text of scalar.pyi."""
    lines = ['"""Made by `make generate` from the table in _catalog.py."""\n\n__all__: list[str]\n\n']
    for row in TABLE:
        if row.kind == "elementwise":
            parameters = "".join(f", {p.name}: float = {p.default!r}" for p in row.parameters) or ", /"
            lines.append(f"def {row.name}(x: float{parameters}) -> float: ...\n")
    return "".join(lines)


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


CYTHON_HEAD = """# Made by `make generate` from the table in _catalog.py.
"""
PXD_NOTE = """# from fastsig.cython_api cimport sigmoid
#
# Each takes float or double and runs the formula of the best kernel set, as the array functions do, without the GIL.
from cython cimport floating

"""
PYX_NOTE = '''"""The elementwise functions for Cython: `from fastsig.cython_api cimport sigmoid`. See cython_api.pxd."""

from fastsig._backend import kernels

try:
    address = kernels.scalar_address
except AttributeError:
    raise ImportError("fastsig.cython_api needs compiled kernels, but fastsig runs in pure Python") from None

'''
for _kind in ("float", "double"):
    for _count in (1, 2, 3):
        PYX_NOTE += f"ctypedef {_kind} (*{_kind}{_count})({', '.join([_kind] * _count)}) noexcept nogil\n"
PYX_NOTE += "\n"


def cython_files():
    """The texts of cython_api.pxd and cython_api.pyx."""
    pxd, pyx = CYTHON_HEAD + PXD_NOTE, CYTHON_HEAD + PYX_NOTE
    for row in TABLE:
        if row.kind != "elementwise":
            continue
        names = ["x", *(parameter.name for parameter in row.parameters)]
        signature = f"cdef floating {row.name}({', '.join(f'floating {name}' for name in names)}) noexcept nogil"
        pxd += signature + "\n"
        for kind in ("float", "double"):
            pointer = f"{kind}{len(names)}"
            pyx += f'cdef {pointer} {row.name}_{kind} = <{pointer}><size_t>address("{row.name}", "{kind[0]}")\n'
        call = f"({', '.join(names)})"
        pyx += f"{signature}:\n    if floating is float:\n        return {row.name}_float{call}\n"
        pyx += f"    else:\n        return {row.name}_double{call}\n\n"
    return pxd, pyx.rstrip("\n") + "\n"


def made_files():
    """Name in the package -> text, of each file that is made from the table."""
    pxd, pyx = cython_files()
    return {"__init__.pyi": stub(), "scalar.pyi": scalar_stub(), "cython_api.pxd": pxd, "cython_api.pyx": pyx}


def write_files():
    """Renew these and the README's list: `make generate`."""
    from pathlib import Path  # slow to import, and of no use to users

    package = Path(__file__).parent
    for name, text in made_files().items():
        (package / name).write_text(text)
    readme = package.parent / "README.md"
    readme.write_text(with_list(readme.read_text()))
