"""Type stubs, the Cython API and the README's list of functions, made from the table. Only for who works on fastsig.

`make generate` writes the files that are made from it; a test fails if they are behind the table.
"""

import itertools
import re
from pathlib import Path

from ._catalog import TABLE, expanded
from ._docs import first_input

MADE = '"""Made by `make generate` from the table in _catalog.py."""\n\n'

IMPORTS = """from typing import Any, Literal, TypeVar, overload, type_check_only

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

"""

# An array's dtype stays; all else, with `out` and `dtype`, is as NumPy's own stubs have it for ufuncs.
KEPT = "_Float"
KEPT_ARRAY = f"NDArray[{KEPT}]"
TYPES = f"""{KEPT} = TypeVar("{KEPT}", bound=np.floating[Any])

"""
CALLS = f"""@type_check_only
class NAME(np.ufunc):  # type: ignore[misc]
    @overload
    def __call__(self, ARRAYS, /, out: None = None, *, KEPT_OPTIONS) -> {KEPT_ARRAY}: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

"""

STUB_HEAD = f"""{MADE}from contextlib import AbstractContextManager
{IMPORTS}from . import backward as backward
from . import scalar as scalar

__version__: str

"""

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


def _choice(row):
    """The stub's parameter of a row whose ufunc is chosen by a word."""
    values = ", ".join(f'"{variant.choice.default}"' for _, variant in expanded(row))
    return f'{row.choice.name}: Literal[{values}] = "{row.choice.default}"'


KEPT_OPTIONS = "where: ArrayLike = True, casting: str = ..., order: str = ..., dtype: None = None, subok: bool = True"


def _ufunc_name(row):
    """The type of a function that is a ufunc, by its operands."""
    return "_Ufunc" + "".join(f"_{name}" for name in row.operands)


def _ufunc_types(*inputs):
    """The types of ufuncs of these array inputs, and of those with more; a number beside an array has no say in the
    dtype."""
    text = TYPES
    for row in {_ufunc_name(row): row for row in TABLE if row.is_ufunc}.values():
        names = [*inputs, *row.operands]
        arrays = [f"{name}: {KEPT_ARRAY}{' | float' * (name != 'x')}" for name in names]
        text += CALLS.replace("ARRAYS", ", ".join(arrays)).replace("NAME", _ufunc_name(row))
    return text.replace("KEPT_OPTIONS", KEPT_OPTIONS)


def _typed(parameter, kind):
    """A parameter as a stub has it."""
    return f"{parameter.name}: {kind}" + ("" if parameter.required else f" = {parameter.default!r}")


def _declaration(row, *inputs):
    """The stub's lines of one function, or of its gradient, of these array inputs."""
    arguments = [f"{name}: ArrayLike" for name in inputs]
    result, keywords = KEPT_ARRAY, ""
    if row.kind == "loss":
        arguments[-1] = "logits: ArrayLike"
        arguments += ["target: ArrayLike", "axis: int = -1", "*", "label_smoothing: float = 0.0"]
        arguments.append("ignore_index: int | None = None")
        return f"def {row.name}({', '.join(arguments)}, {OPTIONS}) -> Any: ...\n"
    if row.is_ufunc:
        return f"{row.name}: {_ufunc_name(row)}\n"
    if row.kind == "rows":
        arguments.append("axis: int | tuple[int, ...] | None = -1")
        keywords = "".join(f"{_typed(parameter, 'ArrayLike')}, " for parameter in row.parameters)
    elif row.kind == "halves":
        arguments.append("axis: int = -1")
    elif row.kind == "reduction":
        arguments += ["axis: int | tuple[int, ...] | None = None", "keepdims: bool = False"]
        if len(inputs) == 1:
            arguments[0] += " = ..."  # or a
            arguments[2:] = ["b: ArrayLike | None = None", "keepdims: bool = False", "return_sign: bool = False"]
            arguments.append("*, a: ArrayLike = ...")
    elif row.choice:
        arguments.append(_choice(row))
    else:
        arguments += [_typed(parameter, "ArrayLike") for parameter in row.parameters]
    kept = [argument.replace("ArrayLike", f"{KEPT_ARRAY} | float") for argument in arguments]
    kept[len(inputs) - 1] = f"{inputs[-1]}: {KEPT_ARRAY}"
    if row.kind == "reduction" and len(inputs) == 1:
        kept[1:], result = ["axis: None = None", "b: None = None"], KEPT
        kept += [f"{name}: Literal[False] = False" for name in ("keepdims", "return_sign")]
    text = ", ".join(arguments)
    return (
        f"@overload\ndef {row.name}({', '.join(kept)}, *, {keywords}out: None = None, {KEPT_OPTIONS}) "
        f"-> {result}: ...\n"
        f"@overload\ndef {row.name}({text}, {'' if '*, ' in text else '*, '}{keywords}{OPTIONS}) -> Any: ...\n"
    )


def _exporting(text):
    """A stub with its __all__: all that it declares."""
    names = re.findall(r"^(?:def |from \. import )?(\w+)(?=[:(]| as )", text, re.M)
    quoted = ", ".join(f'"{name}"' for name in sorted(set(names)))
    return f"{text}\n__all__ = [{quoted}]\n"


def stub():
    """The text of __init__.pyi."""
    return _exporting(STUB_HEAD + _ufunc_types("x") + "".join(_declaration(row, "x") for row in TABLE) + STUB_TAIL)


def gradient_stub():
    """The text of backward.pyi."""
    rows = (row for row in TABLE if row.gradient)
    declarations = (_declaration(row, "grad_output", row.gradient.operand) for row in rows)
    return _exporting(MADE + IMPORTS + _ufunc_types("grad_output", "x") + "".join(declarations))


def scalar_stub():
    """The text of scalar.pyi."""
    text = f"{MADE}from typing import Literal\n\n"
    for row in TABLE:
        if row.kind == "elementwise":
            arguments = ["x: float", *(_typed(parameter, "float") for parameter in row.parameters)]
            arguments += [_choice(row)] if row.choice else ["/"] if row.is_ufunc else []
            text += f"def {row.name}({', '.join(arguments)}) -> float: ...\n"
    return _exporting(text)


def call(row):
    """A function with its parameters, as one would call it."""
    axis = {
        "rows": ["axis=-1"],
        "halves": ["axis=-1"],
        "reduction": ["axis=None", "b=None", "keepdims=False", "return_sign=False"],
    }
    choice = [f'{row.choice.name}="{row.choice.default}"'] if row.choice else []
    parameters = [p.name if p.required else f"{p.name}={p.default}" for p in row.parameters]
    if row.kind == "loss":
        parameters += ["axis=-1"]
    return f"{row.name}({', '.join([first_input(row), *axis.get(row.kind, []), *parameters, *choice])})"


# What a function is, in words, and of which rows that is so.
GROUPS = {
    "NumPy ufuncs, objects of type `np.ufunc`": lambda row: row.is_ufunc,
    "functions over ufuncs, with a ufunc's options; numbers as parameters may be arrays, which broadcast": lambda row: (
        row.kind == "elementwise" and not row.is_ufunc
    ),
    "along an axis, several or all, with `where=` as a mask": lambda row: row.kind in {"rows", "reduction"},
    "likewise along one axis, of classes or probabilities, one loss a row": lambda row: row.kind == "loss",
    "of the two halves of an axis": lambda row: row.kind == "halves",
}


def function_list(shown=lambda row: f"`{call(row)}`"):
    """All functions, by what they are: as many to a line as fit."""
    lines = []
    for words, belongs in GROUPS.items():
        lines.append(f"- {words}:")
        for row in filter(belongs, TABLE):
            if len(f"{lines[-1]} {shown(row)},") > 120:
                lines.append(" ")
            lines[-1] += f" {shown(row)},"
        lines[-1] = lines[-1].rstrip(",")
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- functions: made by make generate -->\n", "<!-- /functions -->"


def with_list(readme):
    """A README's text with its list of functions renewed."""
    head, rest = readme.split(BEGIN)
    return head + BEGIN + function_list() + END + rest.split(END, 1)[1]


CYTHON_HEAD = """# Made by `make generate` from the table in _catalog.py.
"""
PXD_NOTE = """# from fastsig.cython_api cimport sigmoid
#
# Each takes float or double and runs the formula of the best kernel set, as the array functions do, without the GIL.
from cython cimport floating

"""
PYX_NOTE = '''# cython: language_level=3, freethreading_compatible=True
"""The elementwise functions for Cython: `from fastsig.cython_api cimport sigmoid`. See cython_api.pxd.

What is cimported is of float or double, under names that Cython makes up. numba and SciPy's LowLevelCallable find plain
ones beside these: NAME takes and gives double, NAME_float float.
"""

from cpython.pycapsule cimport PyCapsule_New

from fastsig._backend import kernels

try:
    address = kernels.scalar_address
except AttributeError:
    raise ImportError("fastsig.cython_api needs compiled kernels, but fastsig runs in pure Python") from None

'''
for _kind in ("float", "double"):
    for _count in (1, 2, 3):
        PYX_NOTE += f"ctypedef {_kind} (*{_kind}{_count})({', '.join([_kind] * _count)}) noexcept nogil\n"
PYX_NOTE += """
cdef plainly(str name, const char *double_signature, const char *float_signature):
    exported = globals()["__pyx_capi__"]
    exported[name] = PyCapsule_New(<void *><size_t>address(name, "d"), double_signature, NULL)
    exported[f"{name}_float"] = PyCapsule_New(<void *><size_t>address(name, "f"), float_signature, NULL)

"""


def cython_files():
    """The texts of cython_api.pxd and cython_api.pyx."""
    pxd, pyx = CYTHON_HEAD + PXD_NOTE, CYTHON_HEAD + PYX_NOTE
    for name, row in itertools.chain.from_iterable(map(expanded, TABLE)):
        if row.kind != "elementwise":
            continue
        arguments = ["x", *(parameter.name for parameter in row.parameters)]
        signature = (
            f"cdef floating {name}({', '.join(f'floating {argument}' for argument in arguments)}) noexcept nogil"
        )
        pxd += signature + "\n"
        for kind in ("float", "double"):
            pointer = f"{kind}{len(arguments)}"
            pyx += f'cdef {pointer} {name}_{kind} = <{pointer}><size_t>address("{name}", "{kind[0]}")\n'
        call = f"({', '.join(arguments)})"
        pyx += f"{signature}:\n    if floating is float:\n        return {name}_float{call}\n"
        pyx += f"    else:\n        return {name}_double{call}\n"
        signatures = (f'"{kind} ({", ".join([kind] * len(arguments))})"' for kind in ("double", "float"))
        pyx += f'plainly("{name}", {", ".join(signatures)})\n\n'
    return pxd, pyx.rstrip("\n") + "\n"


def made_files():
    """Name in the package -> text, of each file that is made from the table."""
    pxd, pyx = cython_files()
    stubs = {"__init__.pyi": stub(), "backward.pyi": gradient_stub(), "scalar.pyi": scalar_stub()}
    return stubs | {"cython_api.pxd": pxd, "cython_api.pyx": pyx}


def write_files():
    """Renew these and the README's list: `make generate`."""
    package = Path(__file__).parent
    for name, text in made_files().items():
        (package / name).write_text(text)
    readme = package.parent / "README.md"
    readme.write_text(with_list(readme.read_text()))
