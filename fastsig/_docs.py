"""Docstrings, type stubs, the Cython API and the README's list of functions, made from the table.

`make generate` writes the files that are made from it; a test fails if they are behind the table.
"""

import itertools
import re
import textwrap

from ._catalog import TABLE, expanded

CALLING = """out : ndarray, optional
    Where to write the result{itself}.
{where}dtype, casting, order, subok
    As in any NumPy ufunc."""

WHERE_ELEMENTWISE = """where : array_like of bool, optional
    Compute only there; elsewhere `out` keeps its values.
"""
WHERE_ROWS = """where : array_like of bool, optional
    A mask that broadcasts to `x`: entries outside do not take part and become {hole}.
"""
WHERE_GRADIENT = """where : array_like of bool, optional
    A mask that broadcasts to `{operand}`: entries outside do not take part and become 0.
"""
WHERE_REDUCTION = """where : array_like of bool, optional
    A mask that broadcasts to `x`: entries outside do not take part.
"""

AXIS_ROWS = """axis : int, tuple of int, or None, default -1
    What to normalise over; None is the whole array."""
AXIS_REDUCTION = """axis : int, tuple of int, or None, default None
    What to sum over; None is the whole array."""

AXIS_HALVES = """axis : int, default -1
    What to halve; it has an even length."""

AXIS_LOSS = """axis : int, default -1
    Along which the classes lie."""
LOSS = """label_smoothing : float, default 0.0
    How much of the target, in [0, 1], is shared out evenly among all classes that are not masked out.
ignore_index : int, optional
    A class that marks rows to ignore: their loss is 0, and so is their gradient."""

KEEPDIMS_GRADIENT = """keepdims : bool, default False
    Whether `grad_output` has the axes that are summed over, with length 1."""

REDUCTION = """b : array_like, optional
    Weights of the exponentials, also negative; `x` and `b` broadcast against each other.
keepdims : bool, default False
    Keep the axes that are summed over, with length 1.
return_sign : bool, default False
    Return the sign of the sum, too; without it, the logarithm of a negative sum is NaN."""

RETURNS_REDUCTION = """result : ndarray or scalar
    The logarithm of the sum's absolute value; the axes that are summed over are gone.
sign : ndarray or scalar
    1, 0 or -1 (or NaN), only if `return_sign` is true."""

DTYPES = (
    "float16, float32, float64 and bfloat16, a dtype of the package ml_dtypes, are kept (those of 16 bits are computed "
    "in float32); {integers}. Other dtypes raise TypeError."
)


ERROR = "{} ULP in float32, {} in float64"
ULP = " (units in the last place, the distance of neighbouring numbers)"
WIDTH = 84  # of the notes


def _parameters(row):
    """The sections' lines on what follows x."""
    defaults = ["" if p.required else f", default {p.default!r}" for p in row.parameters]
    lines = [f"{p.name} : array_like{default}\n    {p.text}" for p, default in zip(row.parameters, defaults)]
    if row.choice:
        values = ", ".join(repr(variant.choice.default) for _, variant in expanded(row))
        lines.append(f"{row.choice.name} : {{{values}}}, default {row.choice.default!r}\n    {row.choice.text}")
    return lines


def _errors(bounds):
    """From (row or variant, its max_ulp) pairs, the function itself first."""
    (_, first), *variants = bounds
    text = "at most " + ERROR.format(*first).replace("ULP", "ULP" + ULP, 1) if first[0] else "none, the result is exact"
    for variant, bound in variants:
        text += f"; with {variant.choice.name}={variant.choice.default!r} {ERROR.format(*bound)}"
    return text


def _wrapped(text):
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _other_names(row):
    """What others call a function, as a note."""
    own = {"ONNX": "{} in ONNX", "transformers": "{} of transformers"}
    calls = [*([("PyTorch", row.torch)] if row.torch else []), *row.elsewhere]
    calls = [own.get(library, "{}").format(f"``{call}``") for library, call in calls]
    text = f"Elsewhere: {', '.join(calls)}." + (f" Also: {', '.join(row.words)}." if row.words else "")
    return text + "".join(f" In {library}: {differs}." for library, differs in row.differs)


def _numpydoc(row, summary, formulas, parameters, result, notes, see_also=(), references=()):
    """A docstring of the sections that all functions have, and more."""
    reason = (
        ", or an axis that does not exist"
        if row.kind != "elementwise"
        else f", or another {row.choice.name}"
        if row.choice
        else ""
    )
    if row.kind == "halves":
        reason = f", an axis of odd length{reason}"
    sections = [
        summary,
        *formulas,
        "Parameters\n----------\n" + "\n".join(parameters),
        f"Returns\n-------\n{result}",
        "Raises\n------\nTypeError\n    For dtypes that are not supported.\n"
        f"ValueError\n    For shapes that do not fit{reason}."
        + "\nIndexError\n    For a class that does not exist; nothing is written then."
        * (row.kind == "loss"),
        *see_also,
        "Notes\n-----\n" + "\n\n".join(map(_wrapped, [*notes, "No floating-point warning is ever raised."])),
        *references,
    ]
    return "\n\n".join(sections) + "\n"


def _first(row):
    """The name of a function's first argument."""
    return "logits" if row.kind == "loss" else "x"


def _related(row):
    """The lines of a function's See Also: its gradient, then its relatives."""
    summaries = {other.name: other.summary for other in TABLE}
    yield f"fastsig.backward.{row.name} : The gradient."
    for name in row.related:
        yield f"fastsig.{name} : {summaries[name]}"


def docstring(row):
    """The numpydoc docstring of one function."""
    variants, reduction = [variant for _, variant in expanded(row)], row.kind == "reduction"
    rows, loss = row.kind == "rows", row.kind == "loss"
    parameters = [f"{_first(row)} : array_like\n    Input of any shape."]
    if rows:
        parameters.append(AXIS_ROWS)
    if row.kind == "halves":
        parameters.append(AXIS_HALVES)
    if reduction:
        parameters = [
            "x : array_like\n    Input of any shape; it may be given as `a`, too, which is its name in SciPy."
        ]
        parameters += [AXIS_REDUCTION, REDUCTION]
    where = WHERE_ROWS.format(hole="-inf" if row.logarithm else "0") if rows else WHERE_ELEMENTWISE
    if reduction:
        parameters.append(CALLING.format(where=WHERE_REDUCTION, itself=""))
    elif loss:
        where = WHERE_REDUCTION.replace("`x`", "`logits`")
        parameters += [*_parameters(row), AXIS_LOSS, LOSS, CALLING.format(where=where, itself="")]
    else:
        itself = "" if row.kind == "halves" else "; may be `x` itself"
        parameters += [*_parameters(row), CALLING.format(where=where, itself=itself)]
    integers = "integers are kept, bool becomes float64" if row.keeps_integers else "bool and integers become float64"
    error = _errors([(variant, variant.max_ulp) for variant in variants])
    if reduction:  # near 0, max(x) and the logarithm of the sum cancel
        error += " (units of the larger of abs(max(x)) and the logarithm of the sum of exp(x - max(x)))"
    shape = "of the shape of `x`" if rows or not row.parameters else "of the shape that the inputs broadcast to"
    if loss:
        shape = "of the shape of `logits` without `axis`: one loss a row"
    if row.kind == "halves":
        shape = "of the shape of `x` with half the length along `axis`"
    return _numpydoc(
        row,
        row.summary,
        [f"``{variant.formula}``" for variant in variants],
        parameters,
        RETURNS_REDUCTION if reduction else f"ndarray or scalar\n    A result {shape}.",
        [
            DTYPES.format(integers=integers),
            f"NaN propagates. {row.special}",
            f"Error: {error}.",
            *([_other_names(row)] if row.elsewhere else []),
        ],
        see_also=["See Also\n--------\n" + "\n".join(_related(row))] if row.gradient else [],
        references=[
            f"References\n----------\n.. [1] {row.reference}",
            f"Examples\n--------\n>>> import fastsig\n{row.example}",
        ],
    )


def gradient_docstring(row):
    """The numpydoc docstring of a function's gradient."""
    variants, gradient = [variant for _, variant in expanded(row)], row.gradient
    special, against, parameters = gradient.special, f"`{gradient.operand}`", _parameters(row)
    itself = "`grad_output` itself"
    error = _errors([(variant, variant.gradient.max_ulp) for variant in variants])
    where = WHERE_GRADIENT.format(operand=gradient.operand)
    formulas = [f"``{gradient.formula}``"]
    if row.kind == "elementwise":
        formulas = [f"``grad_output * f'(x)`` with ``f'(x) = {variant.gradient.formula}``" for variant in variants]
        special, where = f"NaN in `x` gives NaN. {special}", WHERE_ELEMENTWISE
        error = f"of the derivative {error}"
        if gradient.crosses_zero:
            error += f", in units of ``{row.name}(x) / x`` where the derivative, which crosses 0, is smaller than that"
        if gradient.scale:
            error += f", in units of ``{gradient.scale}`` where the derivative, which crosses 0, is smaller than that"
        error += "; half a unit more for the product"
    elif row.kind == "loss":
        against, itself = f"the result of `fastsig.{row.name}`", "`logits` itself"
        where = where.replace("`x`", "`logits`")
        parameters = [*parameters, AXIS_LOSS, LOSS]
        error += (
            "; where ``softmax(x)`` is subnormal, in its units; for probabilities and smoothed labels in units of the "
            "larger of these and ``softmax(x)``"
        )
    elif row.kind == "halves":
        against, where = f"the result of `fastsig.{row.name}`", WHERE_ELEMENTWISE
        itself, parameters = "`x` itself", [AXIS_HALVES]
        error += "; half a unit more for the product with grad_output"
    elif row.kind == "rows":
        against += ", except along `axis`"
        itself = "`grad_output` or `y` itself"
        parameters = [AXIS_ROWS, *parameters]
        error += f", of ``{gradient.scale}``, which is the result's magnitude unless its two parts cancel"
    else:
        against, itself = f"the result of `fastsig.{row.name}`", "`x` itself"
        parameters = [AXIS_REDUCTION, KEEPDIMS_GRADIENT]
        error += f"; where ``{gradient.slope}(x)`` is subnormal, in its units"
    operand = "input" if gradient.operand == "x" else "output"
    first = _first(row) if gradient.operand == "x" else gradient.operand
    return _numpydoc(
        row,
        f"Gradient of `fastsig.{row.name}`: the vector-Jacobian product at its input.",
        formulas,
        [
            "grad_output : array_like\n    Gradient with respect to the function's output; broadcasts against "
            f"{against}.",
            f"{first} : array_like\n    The {operand} of the function.",
            *parameters,
            CALLING.format(where=where, itself=f"; may be {itself}"),
        ],
        "ndarray or scalar\n    The gradient with respect to `x`, of the shape that the inputs broadcast to.",
        [
            "The dtype is what NumPy promotes the inputs' to: float16 (computed in float32), float32 or float64; bool "
            "and integers become float64. Other dtypes raise TypeError.",
            special,
            f"Error: {error}.",
        ],
        see_also=[f"See Also\n--------\nfastsig.{row.name} : The function."],
    )


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
    return f"{row.name}({', '.join([_first(row), *axis.get(row.kind, []), *parameters, *choice])})"


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
    from pathlib import Path  # slow to import, and of no use to users

    package = Path(__file__).parent
    for name, text in made_files().items():
        (package / name).write_text(text)
    readme = package.parent / "README.md"
    readme.write_text(with_list(readme.read_text()))
