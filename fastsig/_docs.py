"""Docstrings, made from the table."""

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
    calls = [*([("PyTorch", row.torch)] if row.torch else []), *row.elsewhere.items()]
    calls = [own.get(library, "{}").format(f"``{call}``") for library, call in calls]
    text = f"Elsewhere: {', '.join(calls)}." + (f" Also: {', '.join(row.words)}." if row.words else "")
    return text + "".join(f" In {library}: {differs}." for library, differs in row.differs.items())


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


def first_input(row):
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
    parameters = [f"{first_input(row)} : array_like\n    Input of any shape."]
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
    first = first_input(row) if gradient.operand == "x" else gradient.operand
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
