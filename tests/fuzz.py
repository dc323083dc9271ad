"""Calls that nobody would think of, of every function of the table: shapes, dtypes, byte orders, strides, alignment and
overlap, out=, where=, axes, casts, lists and numbers at random.

    python tests/fuzz.py [--minutes 60] [--seed 0] [--function NAME ...] [--backend NAME ...]

All memory of a call is one arena of bytes, and its arrays are views of that. What must come out is NumPy's: its own
ufuncs get the same arguments, and raise, or say what the result is like. The values are those of a plain call, which is
held to the table's truth in long double. No byte of the arena may have changed but those of the results.

The functions and backends take turns, with fresh seeds, until the time is up. A call that fails is made smaller and
printed, with the command that finds it again; in the end stands how many calls there were. test_fuzz.py runs a few.
"""

import argparse
import contextlib
import faulthandler
import functools
import itertools
import operator
import sys
import time
import traceback
import warnings
from typing import Any, NamedTuple

import hypothesis
import numpy as np
from conftest import BACKENDS, imported_on, why_not
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layouts import assert_same
from numpy.lib.array_utils import normalize_axis_tuple
from oracle import (
    DERIVATIVES,
    ELEMENTWISE,
    HALVES,
    HAS_LONG_DOUBLE,
    PAIR_DERIVATIVES,
    PAIRS,
    REDUCTIONS,
    ROWS,
    along,
    called,
    chosen,
    defaults,
    excess,
    gradient_along,
    gradient_tolerated,
    hard,
    hole,
    label,
    losses,
    numbers,
    of_halves,
    reference,
    ulp_error,
    unit,
)

from fastsig._catalog import TABLE

try:
    from ml_dtypes import bfloat16
except ModuleNotFoundError:
    bfloat16 = None

LOSSES = [row for row in TABLE if row.kind == "loss"]
ALONG = [*ROWS, *REDUCTIONS, *HALVES, *LOSSES]
ALONG += [row._replace(name=f"backward.{row.name}", kind=f"{row.kind} gradient") for row in ALONG]
SUBJECTS = {label(row): row for row in (*ELEMENTWISE, *DERIVATIVES, *PAIRS, *PAIR_DERIVATIVES, *ALONG)}
SETTINGS = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))

BFLOAT16 = [np.dtype(bfloat16)] if bfloat16 else []
FLOATS = [*map(np.dtype, "dfe")]
INTEGERS = [*map(np.dtype, "bBhHiIlLqQ")]
ONE_BY_ONE = {"elementwise", "derivative"}  # kinds
OF_HALVES, OF_LOSSES = ({kind, f"{kind} gradient"} for kind in ("halves", "loss"))
NUMBERS = {bool, int, float}
DEFAULTS = (("where", True), ("keepdims", False), ("return_sign", False))
POISON = 0xA5  # fills memory that nobody may touch
MARGIN = 64
CHECKED = 100  # elements of an elementwise call that are compared with the truth

# How an axis goes on where a smaller one ends: its gap in items, or one byte; nothing for a stride of 0. Forwards?
STEPS = [*itertools.product([0, 1, 2, "byte"], [True, False]), (None, True)]
FORMS = [*["array"] * 12, "list", "number", "scalar"]
SHAPED = FORMS[:-2]
SIDES = [2, 3, 1, 4, 5, 7, 9, 0]
ENDS = [*range(10, 70), 100, 127, 128, 129, 511, 512, 513, 1000, 1500, 20_011]  # where loops go another way
SHARES = [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0.2, 0.2, 0.6), (0.01, 0, 0.99)]  # of a pool, patterns, ordinary numbers
TAME = {False: (0.125, 8), True: (0, 1)}  # parameters, and targets, for which the truth needs no more than long double
ORDINARY = {
    "parameter": lambda rng, shape: rng.uniform(*TAME[False], shape),
    "target": lambda rng, shape: np.clip(rng.uniform(-0.5, 1.5, shape), *TAME[True]),
    "softmax": lambda rng, shape: rng.random(shape) ** 3,
    "softmin": lambda rng, shape: rng.random(shape) ** 3,
    "log_softmax": lambda rng, shape: -rng.exponential(3, shape),
}
OPTIONS = {
    "casting": ["same_kind", "unsafe", "safe", "equiv", "no"],
    "order": ["K", "C", "F", "A"],
    "subok": [True, False],
    "dtype": [None, *FLOATS, "d", np.float32],
    "keepdims": [False, True],
    "return_sign": [False, True],
    "label_smoothing": [0.0, 0.1, 1, 0],
    "ignore_index": [None, 0, -1, 1],
}


class Subclass(np.ndarray):
    """Comes back from a ufunc."""


# -------------------------------------------------------------------------------- calls


class Place(NamedTuple):
    """An array as a view of an arena."""

    dtype: np.dtype
    shape: tuple
    strides: tuple
    offset: int  # of its first element
    subclass: bool = False
    writeable: bool = True

    def on(self, arena):
        array = np.ndarray(self.shape, self.dtype, arena, self.offset, self.strides)
        array = array.view(Subclass) if self.subclass else array
        array.flags.writeable = self.writeable
        return array


def on(arena, value):
    """A value with the arena's arrays instead of Places."""
    if isinstance(value, Place):
        return value.on(arena)
    if isinstance(value, dict):
        return {name: on(arena, each) for name, each in value.items()}
    return type(value)(on(arena, each) for each in value) if type(value) in {tuple, list} else value


class Call(NamedTuple):
    """The arguments of a row's function."""

    row: Any
    arena: np.ndarray
    operands: list
    parameters: dict  # operands by keyword
    keywords: dict
    positional_out: bool = False

    def out(self):
        """The Place of out=, or None."""
        out = self.keywords.get("out")
        (out,) = out if type(out) is tuple and len(out) == 1 else (out,)
        return out if isinstance(out, Place) else None

    def __repr__(self):
        lines = [f"{label(self.row)}{', out by position' * self.positional_out}"]
        for name, value in {**dict(enumerate(self.operands)), **self.parameters, **self.keywords}.items():
            text = repr(on(self.arena, value))
            lines.append(f"{name} = {text if len(text) < 500 else text[:500] + '...'}")
            lines += [f"    {value}"] * ("Place" in repr(value))
        return "\n    ".join(lines)


class Builder:
    """Draws the arguments of a call, and where in the arena they lie."""

    def __init__(self, draw):
        self.draw, self.end = draw, MARGIN
        self.taken = []  # (first byte, Place)
        self.apart = []  # (first byte, end) of what must not be overwritten
        self.contents = []  # (Place, values)

    def one_of(self, values):
        return self.draw(st.sampled_from(values))

    def seldom(self, one_in):
        return self.draw(st.integers(1, one_in)) == one_in

    def random(self):
        return np.random.default_rng(self.draw(st.integers(0, 2**16)))

    def shape(self):
        shape = self.draw(st.lists(st.sampled_from(SIDES), max_size=4))
        if shape and self.seldom(2):
            side = self.one_of(ENDS)
            shape = [min(n, 2 + 4000 // (side * len(shape))) for n in shape]
            shape[self.draw(st.integers(0, len(shape) - 1))] = side
        return tuple(shape)

    def part(self, shape):
        """A shape that broadcasts to this one: mostly itself."""
        if not self.seldom(3):
            return shape
        shape = shape[self.draw(st.integers(0, len(shape))) :]
        return tuple(n if self.draw(st.booleans()) else 1 for n in shape)

    def place(self, shape, dtype, own=False, apart=False):
        """A new Place; `own`: no two of its elements are one; `apart`: no other Place has its memory."""
        if dtype.isbuiltin == 1 and self.seldom(6):
            dtype = dtype.newbyteorder()
        begin, fresh = None, -(-self.end // MARGIN) * MARGIN
        if self.taken and not apart and self.seldom(4):
            begin, other = self.one_of(self.taken)
            same = (shape, dtype.itemsize) == (other.shape, other.dtype.itemsize)
            if same and not (own and 0 in other.strides) and self.draw(st.booleans()):
                return other._replace(dtype=dtype, subclass=False, writeable=True)
        strides, first, span = [0] * len(shape), 0, dtype.itemsize
        simple = self.draw(st.booleans())
        for axis in range(len(shape))[::-1] if simple else self.draw(st.permutations(range(len(shape)))):
            gap, forwards = (0, True) if simple else self.one_of(STEPS)
            if gap is None and not own:
                continue
            stride = span + (1 if gap == "byte" else (gap or 0) * dtype.itemsize)
            reach = stride * max(shape[axis] - 1, 0)
            strides[axis] = stride if forwards else -stride
            first, span = first + (0 if forwards else reach), span + reach
        shift = self.one_of([0, 0, dtype.itemsize, 3 * dtype.itemsize, 1])
        if begin is None or any(begin + shift < end and start < begin + shift + span for start, end in self.apart):
            begin = fresh
        begin += shift
        self.end = max(self.end, begin + span + MARGIN)
        place = Place(dtype, shape, tuple(strides), begin + first)
        if apart:
            self.apart.append((begin, begin + span))
        else:
            self.taken.append((begin, place))
        return place

    def numbers(self, shape, dtype, kind=None):
        rng, kind = self.random(), ORDINARY.get(kind)
        if dtype.kind == "b":
            return np.asarray(rng.random(shape) < 0.5)
        if kind and not self.seldom(4):
            return np.asarray(kind(rng, shape)).astype(dtype)
        drawn = np.dtype("e") if dtype in BFLOAT16 else dtype
        pool = np.array(self.draw(st.lists(hnp.from_dtype(drawn), min_size=1, max_size=4)), drawn).astype(dtype)
        pool = pool[rng.integers(len(pool), size=shape)]
        if dtype.kind in "iu":
            patterns = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]
            ordinary = rng.integers(-50 if dtype.kind == "i" else 0, 100, shape)
        else:
            patterns = awkward(dtype)[rng.integers(len(awkward(dtype)), size=shape)]
            ordinary = rng.normal(0, self.one_of([3, 0.1, 1, 30, 300]), shape)
        which = rng.choice(3, shape, p=self.one_of(SHARES))
        with np.errstate(all="ignore"):
            return np.where(which == 0, pool, np.where(which == 1, patterns, np.asarray(ordinary).astype(dtype)))

    def operand(self, shape, dtype, kind=None, forms=FORMS):
        """An array, mostly, or what NumPy can make one of."""
        form = self.one_of(forms)
        if form == "array" or (form == "list" and not 0 < np.prod(shape) < 100):
            place = self.place(shape, dtype, apart=dtype.kind == "b")
            place = place._replace(subclass=self.seldom(12), writeable=not self.seldom(4))
            self.contents.append((place, self.numbers(shape, dtype, kind)))
            return place
        values = self.numbers(shape if form == "list" else (), dtype, kind)
        return values[()] if form == "scalar" else values.tolist()

    def mask(self, shape):
        """where=, or nothing."""
        form = self.one_of([None, None, "array", "array", "list", True, False])
        if form is None:
            return {}
        if type(form) is bool:
            return {"where": form}
        values = np.asarray(self.random().random(self.part(shape)) < self.one_of([0.5, 0.1, 0.9, 0, 1]))
        if form == "list" and values.size < 100:
            return {"where": values.tolist()}
        place = self.place(values.shape, np.dtype(bool), apart=True)
        self.contents.append((place, values))
        return {"where": place}

    def out(self, shape, dtype, others):
        """out=, or nothing; of one of the other dtypes, too."""
        form = self.one_of(["array", None, "array", "tuple", "none"])
        if form is None:
            return {}
        if others and self.seldom(4):
            dtype = self.one_of(others)
        place = self.place(shape, dtype, own=True)
        return {"out": {"array": place, "tuple": (place,), "none": None}[form]}

    def options(self, *names):
        return {name: self.one_of(OPTIONS[name]) for name in names if self.seldom(4)}

    def axis(self, ndim):
        axes = st.integers(-ndim, ndim - 1) if ndim else st.sampled_from([-1, 0])
        several = st.lists(axes, unique_by=lambda axis: axis % (ndim or 1), max_size=ndim).map(tuple)
        return self.draw(st.one_of(st.just(-1), axes, several, st.none(), axes.map(np.int8)))

    def one_axis(self, ndim):
        """For a function that takes no others; seldom, one of these."""
        one = st.integers(-ndim, ndim - 1) if ndim else st.sampled_from([-1, 0])
        return self.axis(ndim) if self.seldom(10) else self.draw(st.one_of(one, one.map(np.int8)))

    def classes(self, shape, n, dtype):
        """Mostly of n that there are."""
        values = np.asarray(self.random().integers(0, max(n, 1), shape))
        if self.seldom(6) and values.size:
            values.flat[self.random().integers(values.size)] = self.one_of([-1, n, 100])
        if self.seldom(4):
            return values.tolist()
        with np.errstate(all="ignore"):
            values = values.astype(dtype)
        place = self.place(shape, dtype)
        self.contents.append((place, values))
        return place


@functools.cache
def awkward(dtype):
    if dtype.itemsize == 2:
        return np.arange(2**16, dtype=np.uint32).astype(np.uint16).view(dtype)
    patterns = np.random.default_rng(0).integers(0, 256, (3000, dtype.itemsize), np.uint8).view(dtype)[:, 0]
    return np.concatenate([hard(dtype, 2), patterns, np.array([np.nan, -np.nan, np.inf, -np.inf], dtype)])


@st.composite
def calls(draw, row):
    """Calls of a row's function, some of them with a flaw that NumPy may mind."""
    build = Builder(draw)
    shape = build.shape()
    dtype = draw(st.sampled_from([*FLOATS, *FLOATS, *BFLOAT16, np.dtype(bool), *INTEGERS]))

    def another():
        return dtype if dtype in BFLOAT16 or not build.seldom(4) else build.one_of([*FLOATS, *INTEGERS])

    if row.kind in OF_HALVES and shape and not build.seldom(8):
        shape = (*shape[:-1], 2 * shape[-1])
    axis = build.one_axis if row.kind in OF_HALVES | OF_LOSSES else build.axis
    keywords = {} if row.kind in ONE_BY_ONE or build.seldom(4) else {"axis": axis(len(shape))}
    keywords |= build.options(*(["keepdims"] if "reduction" in row.kind else []))
    keywords |= build.options(*(["return_sign"] if row.kind == "reduction" else []))
    parameters, reduced, forms = {}, shape, SHAPED if shape else FORMS  # to a number no drawn axis would fit
    if "reduction" in row.kind:
        with contextlib.suppress(Exception):
            reduced = np.sum(np.ones(shape), keywords.get("axis"), keepdims=keywords.get("keepdims", False)).shape
    if row.kind in OF_HALVES | OF_LOSSES:
        with contextlib.suppress(Exception):
            reduced = result_shape(row, shape, keywords.get("axis", -1))
    if row.kind in OF_LOSSES:
        keywords |= build.options("label_smoothing", "ignore_index")
        n = shape[keywords.get("axis", -1)] if len(reduced) < len(shape) else 1
        target = build.one_of([build.classes, None])
        target = (
            target(reduced, n, build.one_of(INTEGERS)) if target else build.operand(shape, another(), "softmax", SHAPED)
        )
        grad = [build.operand(build.part(reduced), another())] * (row.kind == "loss gradient")
        operands = [*grad, build.operand(shape, dtype, forms=forms), target]
    elif row.kind == "halves gradient":
        operands = [build.operand(build.part(reduced), another()), build.operand(shape, dtype, forms=SHAPED)]
    elif row.kind in ONE_BY_ONE:
        operands = [build.operand(build.part(shape), another()) for _ in range(1 + (row.kind == "derivative"))]
        for parameter in row.parameters:
            if parameter.is_array or not build.seldom(3):
                kind = "target" if parameter.is_array else "parameter"
                parameters[parameter.name] = build.operand(build.part(shape), another(), kind)
    elif row.kind == "reduction gradient":
        operands = [build.operand(build.part(reduced), another()), build.operand(shape, dtype, forms=forms)]
    elif row.kind == "rows gradient":
        grad = build.operand(build.part(shape), another(), forms=SHAPED)
        operands = [grad, build.operand(shape, dtype, row.name.removeprefix("backward."), SHAPED)]
    else:
        operands = [build.operand(shape, dtype, forms=forms)]
        if row.kind == "reduction" and build.seldom(3):
            parameters["b"] = build.operand(build.part(shape), another())
    keywords |= build.mask(reduced if row.kind in OF_HALVES else shape) | build.options("order", "subok")
    flawed = build.seldom(10)  # with one thing wrong it is clear what must be raised
    if not flawed:
        keywords |= build.options("casting", "dtype")
    if (row.parameters or NUMBERS & {*map(type, operands)}) and (
        dtype in BFLOAT16 or keywords.get("casting") in {"equiv", "no"}
    ):
        # What a number, as defaults are, may be cast to by such a rule, and beside another package's dtype, follows
        # no rule in NumPy itself.
        keywords.pop("casting", None)
    if dtype in BFLOAT16 and keywords.get("dtype") == np.float16:
        del keywords["dtype"]  # NumPy does not cast one to the other, nor below
    everything = (on(np.zeros(build.end, np.uint8), each) for each in (operands, parameters, keywords))
    computed = loop_dtype(row, *everything)
    others = [] if flawed else [*FLOATS[: 2 if computed in BFLOAT16 else 3], *map(np.dtype, "Dl")]
    keywords |= build.out(reduced if row.kind in {"reduction", "halves", "loss"} else shape, computed, others)
    if flawed:
        add_flaw(build, len(shape), operands, keywords)
    arena = np.full(build.end + MARGIN, POISON, np.uint8)
    for place, values in build.contents:
        place._replace(writeable=True).on(arena)[...] = values
    is_ufunc = row.kind in ONE_BY_ONE and not row.parameters and not row.choice
    call = Call(row, arena, operands, parameters, keywords)
    return call._replace(positional_out=is_ufunc and type(keywords.get("out", ())) is not tuple and draw(st.booleans()))


def result_shape(row, shape, axis):
    """Of a function of halves, or of a loss."""
    (axis,) = normalize_axis_tuple(operator.index(axis), len(shape) or 1)
    if row.kind in OF_LOSSES:
        return shape[:axis] + shape[axis + 1 :]
    return (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])


def add_flaw(build, ndim, operands, keywords):
    """One thing that may be wrong."""
    out = keywords.get("out")
    flaw = build.one_of(
        ["operand", "shape", "keyword", "casting", "order", "mask", "mask's shape", "axis", "dtype", *["out"] * 4]
    )
    if flaw == "operand":
        i = build.draw(st.integers(0, len(operands) - 1))
        shape = operands[i].shape if isinstance(operands[i], Place) else np.shape(operands[i])
        operands[i] = np.ones(shape, build.one_of("gFDOSUM"))
    elif flaw == "axis":
        keywords["axis"] = build.one_of([ndim or 1, -ndim - 1, (0, ndim or 1), (0, 0), (0, -(ndim or 1)), 0.0, "0"])
    elif flaw == "dtype":
        keywords["dtype"] = build.one_of([np.dtype(">f8"), np.dtype("g"), np.dtype("i"), "nonsense"])
    elif flaw == "shape":
        operands[-1] = build.operand((3, 11), np.dtype("f"))
    elif flaw == "keyword":
        keywords["nonsense"] = 1
    elif flaw in {"casting", "order"}:
        keywords[flaw] = "nonsense"
    elif flaw == "mask":
        keywords["where"] = build.one_of([np.ones(()), np.ones((), int), np.array(None), np.array("x")])
    elif flaw == "mask's shape":
        keywords["where"] = np.ones(build.one_of([(11,), (2, 1, 1, 1, 1), (0,)]), bool)
    elif isinstance(out, Place):
        others = [out._replace(writeable=False), (out, out), [1.0], (), "x"]
        others += [out._replace(shape=out.shape[1:], strides=out.strides[1:])] * bool(out.shape)
        others += [out._replace(shape=(*out.shape, 1), strides=(*out.strides, 0))]
        keywords["out"] = build.one_of(others)


# -------------------------------------------------------------------------------- what NumPy says


def loop_dtype(row, operands, parameters, keywords):
    """The dtype that a call computes in, by DESIGN's rules; TypeError where there is none."""
    equals = "gradient" in row.kind or row.kind == "derivative" or (row.kind == "reduction" and parameters)
    if row.kind in OF_LOSSES and is_of_classes(operands):
        operands = operands[:-1]
    elif row.kind in OF_LOSSES:
        equals = True
    strong = []
    for i, x in enumerate([*operands, *parameters.values()]):
        if row.kind in ONE_BY_ONE:
            weak = type(x) is float or (type(x) is int and (i > 0 or equals))
        elif row.kind in {"loss gradient", "halves gradient"}:
            weak = i == 0 and type(x) in NUMBERS
        else:
            weak = "reduction" in row.kind and x is not operands[-1] and type(x) in {bool, int, float}
        if not weak:
            dtype = np.asarray(x).dtype
            if (dtype.kind not in "?biuf" and dtype not in BFLOAT16) or dtype.char == "g":
                raise TypeError(f"{dtype} is not supported")
            strong.append(np.dtype(dtype.type))
        elif i == 0:
            strong.append(None)
    kept = row.keeps_integers and row.kind == "elementwise"
    wanted = keywords.get("dtype")
    if wanted is not None:
        dtype = np.dtype(np.dtype(wanted).type)
        if dtype not in [*FLOATS, *BFLOAT16, *(INTEGERS if kept else [])]:
            raise TypeError(f"there is no loop for {dtype}")
        return dtype
    if not equals and strong[0] is not None and not is_real(strong[0]) and not (kept and strong[0].kind in "iu"):
        return np.dtype(float)
    strong = [dtype for dtype in strong if dtype is not None]
    common = np.result_type(*strong) if strong else np.dtype(float)
    return common if is_real(common) or (kept and common.kind in "iu") else np.dtype(float)


def is_of_classes(operands):
    """Whether a loss's target is, which is its last operand; an empty list is of floats."""
    target = np.asarray(operands[-1])
    return target.dtype.kind in "iu" or (not target.size and target.ndim < np.ndim(operands[-2]))


def is_real(dtype):
    return dtype.kind == "f" or dtype in BFLOAT16


def stand_in(value):
    """float16 in bfloat16's place, which NumPy's ufuncs know all about."""
    if isinstance(value, Place):
        return value._replace(dtype=np.dtype("e")) if value.dtype in BFLOAT16 else value
    if isinstance(value, dict):
        return {name: stand_in(each) for name, each in value.items()}
    if type(value) in {tuple, list}:
        return type(value)(map(stand_in, value))
    if isinstance(value, np.dtype):
        return np.dtype("e") if value in BFLOAT16 else value
    return np.float16(value) if bfloat16 and type(value) is bfloat16 else value


def numpy_elementwise(call, arena, dtype):
    """A result like ours, or the exception, of NumPy's ufunc with as many operands."""
    operands, parameters, keywords = (on(arena, stand_in(part)) for part in call[2:5])
    first, *rest = [*operands, *(parameters.get(each.name, each.default) for each in call.row.parameters)]
    if keywords.get("dtype") is None:
        keywords["dtype"] = stand_in(dtype)
    given = np.asarray(first).dtype
    whole = given.kind == "b" or (given.kind in "iu" and not call.row.keeps_integers)
    if call.row.kind == "elementwise" and whole and dtype == np.float64:  # there is a loop for it
        if not np.can_cast(given, np.dtype(given.type), keywords.get("casting", "same_kind")):
            raise TypeError("byte order")
        first = np.asanyarray(first).astype(float)
    if not rest:
        return np.positive(first, **keywords)
    if len(rest) > 1:
        for x in rest:
            casting = keywords.get("casting", "same_kind")
            np.add(np.zeros((), keywords["dtype"]), x, dtype=keywords["dtype"], casting=casting)
        kind = Subclass if any(isinstance(x, Subclass) for x in rest) else np.ndarray
        shape = np.broadcast_shapes(*map(np.shape, rest))
        rest = [np.broadcast_to(np.zeros((), keywords["dtype"]), shape).view(kind)]
    return np.add(first, *rest, **keywords)


class Wrong(Exception):
    """All that is wrong with a call; which of it comes first is nobody's promise."""


class Faults(list):
    """What NumPy finds wrong with a call: any of it may be what is raised."""

    def ask(self, function, *arguments, **named):
        try:
            return function(*arguments, **named)
        except Exception as why:
            self.append(why)

    def result(self, call, shape, keywords, dtype):
        """An array as the call's result, or Wrong."""
        if call.out() and call.out().shape != shape:
            self.append(ValueError("out has another shape"))
        like = self.ask(np.positive, np.ones(shape, stand_in(dtype)), **keywords)
        if self:
            raise Wrong(*self)
        return like


def numpy_along(call, arena, dtype):
    """The same for a function along axes, from those that NumPy has; out= must have the result's shape."""
    row, wrong = call.row, Faults()
    operands, parameters, keywords = (on(arena, stand_in(part)) for part in call[2:5])
    axis = keywords.pop("axis", None if "reduction" in row.kind else -1)
    where, keepdims, sign = (keywords.pop(name, default) for name, default in DEFAULTS)
    given = [*operands, *parameters.values()]
    arrays = [np.asarray(x) for x in given]
    shapes = [x.shape for x in arrays]
    shape = shapes[-1] if row.kind == "reduction gradient" else wrong.ask(np.broadcast_shapes, *shapes)
    if shape is None:
        raise Wrong(*wrong)
    # As in torch and SciPy, a number has an axis.
    axes = wrong.ask(normalize_axis_tuple, range(len(shape) or 1) if axis is None else axis, len(shape) or 1)
    if not shape and row.kind == "reduction" and (parameters or keepdims or sign or keywords.get("out") is not None):
        shape = (1,)
    wrong.ask(np.add, np.ones(shape), 0, where=where, out=np.ones(shape))
    if axes is None:
        raise Wrong(*wrong)
    reduced = np.sum(np.ones(shape), axes, keepdims=keepdims).shape if shape else ()
    if row.kind == "reduction gradient":
        wrong.ask(np.broadcast_to, arrays[0], reduced)
    own = [(1,) * (len(shape) - x.ndim) + x.shape for x in arrays]
    if row.kind == "rows gradient" and shape and any(each[i] != shape[i] for each in own for i in axes):
        wrong.append(ValueError("stretched along an axis"))
    if keywords.get("dtype") is None:
        keywords["dtype"] = stand_in(dtype)
    for i, x in enumerate(arrays):
        weak = "reduction" in row.kind and i != len(operands) - 1 and type(given[i]) in NUMBERS
        casting = "unsafe" if weak else keywords.get("casting", "same_kind")
        integers = x.dtype.kind in "biu" and not parameters
        if row.kind in {"rows", "reduction"} and integers and dtype == np.float64:  # to which it is no cast
            x = x.astype(float)
        wrong.ask(np.positive, x, dtype=keywords["dtype"], casting=casting)
    return wrong.result(call, reduced if row.kind == "reduction" else shape, keywords, dtype)


def numpy_halves(call, arena, dtype):
    """The same for a function of halves: NumPy's sum of them, or of a gradient something of its shape."""
    operands, _, keywords = (on(arena, stand_in(part)) for part in call[2:5])
    axis = keywords.pop("axis", -1)
    *grad, x = operands
    x = np.asanyarray(x)
    if axis is None or type(axis) is tuple:
        raise TypeError("one axis")
    half = result_shape(call.row, x.shape or (1,), axis)
    if not x.ndim:
        raise ValueError("no halves")
    a, b = np.split(x, 2, operator.index(axis))
    if keywords.get("dtype") is None:
        keywords["dtype"] = stand_in(dtype)
    if not grad:
        if keywords.get("casting") in {"no", "equiv"} and x.dtype.kind in "biu":  # to float64 is no cast
            a, b = a.astype(float), b.astype(float)
        return np.add(a, b, **keywords)
    np.broadcast_to(grad[0], half)
    where, out = keywords.pop("where", True), call.out()
    np.add(np.ones(half), 0, where=where, out=np.ones(half))
    if out and out.shape != x.shape:
        raise ValueError("out has another shape")
    for i, each in enumerate((grad[0], x)):
        weak = i == 0 and type(each) in NUMBERS
        casting = "unsafe" if weak else keywords.get("casting", "same_kind")
        np.positive(np.asarray(each), dtype=keywords["dtype"], casting=casting)
    return np.positive(np.ones(x.shape, stand_in(dtype)), **keywords)


def numpy_loss(call, arena, dtype):
    """The same for a loss, of which all that is wrong counts."""
    row, wrong = call.row, Faults()
    operands, _, keywords = (on(arena, stand_in(part)) for part in call[2:5])
    axis, where, ignored = (
        keywords.pop(name, other) for name, other in (("axis", -1), ("where", True), ("ignore_index", None))
    )
    keywords.pop("label_smoothing", None)
    *grad, x, target = operands
    of_classes, shape, target = is_of_classes(operands), np.shape(x) or (1,), np.asarray(target)
    if axis is None or type(axis) is tuple:
        raise TypeError("one axis")
    kept = result_shape(row, shape, axis)
    n = shape[operator.index(axis)]
    wrong.ask(np.add, np.ones(shape), 0, where=where, out=np.ones(shape))
    if target.shape != (kept if of_classes else shape) and not (of_classes and target.ndim == 0):
        wrong.append(ValueError("the target's shape"))
    if not of_classes and ignored is not None:
        wrong.append(TypeError("ignore_index is for classes"))
    seen = target if ignored is None else target[target != ignored]
    if of_classes and np.size(seen) and not ((seen >= 0) & (seen < n)).all():
        wrong.append(IndexError("no such class"))
    if target.dtype.kind == "b":
        wrong.append(TypeError("a target of bools"))
    if keywords.get("dtype") is None:
        keywords["dtype"] = stand_in(dtype)
    for i, each in enumerate([*grad, x, *([] if of_classes else [target])]):
        each = np.asarray(each)
        integers = each.dtype.kind in "biu" and of_classes and not call.keywords.get("label_smoothing")
        if row.kind == "loss" and integers and dtype == np.float64:  # to which it is no cast
            each = each.astype(float)
        casting = "unsafe" if grad and i == 0 and type(grad[0]) in NUMBERS else keywords.get("casting", "same_kind")
        wrong.ask(np.positive, each, dtype=keywords["dtype"], casting=casting)
    if grad:
        wrong.ask(np.broadcast_to, grad[0], kept)
    return wrong.result(call, kept if row.kind == "loss" else np.shape(x), keywords, dtype)


MODELS = dict.fromkeys(ONE_BY_ONE, numpy_elementwise) | dict.fromkeys(OF_HALVES, numpy_halves)
MODELS |= dict.fromkeys(OF_LOSSES, numpy_loss)


# -------------------------------------------------------------------------------- whether it is so


def function_of(fs, row):
    """A row's function, with the word that chooses it."""
    module = fs.backward if row.name.startswith("backward.") else fs
    function = called(module, row._replace(name=row.name.removeprefix("backward.")))
    return functools.partial(function, **chosen(row))


def kind_of(error):
    """What a caller catches."""
    kinds = (np.exceptions.AxisError, TypeError, ValueError, IndexError, Exception)
    return next(kind for kind in kinds if isinstance(error, kind))


def is_compiled(fs):
    return fs._backend.threads is not None


def assert_equal(fs, got, expected, message):
    """As assert_same, of bfloat16, too."""
    if expected.dtype in BFLOAT16:
        with np.errstate(all="ignore"):
            got, expected = (values.astype(np.float32) for values in (got, expected))
            if not is_compiled(fs):  # ties may fall to either side
                np.testing.assert_allclose(got, expected, rtol=2.0**-7, atol=2.0**-133, err_msg=message)
                return
    assert_same(fs, got, expected, message)


def plain(value, dtype=None):
    """A copy of an operand as simple as can be."""
    with np.errstate(all="ignore"):
        value = np.asarray(value)
        return np.array(value, np.dtype(value.dtype.type) if dtype is None else dtype, order="C", subok=False)


def axes_in_memory(x):
    """The axes that matter, from the outermost."""
    return sorted((i for i in range(x.ndim) if x.size and x.shape[i] > 1), key=lambda i: -abs(x.strides[i]))


def check(fs, call):
    """Raise unless the call does what it should."""
    row, like, errors, dtype = call.row, None, [], None
    arena, twin = call.arena.copy(), call.arena.copy()
    model = MODELS.get(row.kind, numpy_along)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dtype = loop_dtype(row, *(on(twin, part) for part in call[2:5]))
        except Exception as why:
            errors.append(why)
        try:
            like = model(call, twin, np.dtype(float) if dtype is None else dtype)
        except Wrong as why:
            errors += why.args
        except Exception as why:
            errors.append(why)
    if row.kind in ONE_BY_ONE:  # a ufunc looks for its loop before all else
        del errors[1:]
    operands, parameters, keywords = (on(arena, part) for part in call[2:5])
    given = [*operands, *parameters.values()]
    out = call.out() and call.out().on(arena)
    arrays = [*given, *[out] * (out is not None)]
    same = all(isinstance(x, (np.ndarray, np.generic)) and x.dtype == dtype for x in arrays)
    quiet = not errors and same and (out is not None or "where" not in keywords)
    arguments = [*operands, *([keywords["out"]] if call.positional_out else [])]
    named = parameters | {name: value for name, value in keywords.items() if name != "out" or not call.positional_out}
    try:
        # What a cast of NumPy's own may warn of is not ours.
        with np.errstate(all="raise" if quiet else "ignore"), warnings.catch_warnings():
            warnings.simplefilter("error" if quiet else "ignore")
            got = function_of(fs, row)(*arguments, **named)
    except Exception as ours:
        if not isinstance(ours, tuple(map(kind_of, errors))):
            raise AssertionError(f"{ours!r}, where NumPy: {errors}") from ours
        assert np.array_equal(arena, call.arena), f"memory has changed, though {ours!r}"
        return
    assert not errors, f"no error, where NumPy: {errors}"
    got, sign = got if type(got) is tuple else (got, None)
    assert out is None or got is (keywords["out"][0] if type(keywords["out"]) is tuple else keywords["out"]), "not out"
    assert np.shape(got) == like.shape, f"shape {np.shape(got)}, not {like.shape}"
    if out is None:
        assert got.dtype == dtype, f"{got.dtype}, not {dtype}"
        if row.kind in ONE_BY_ONE:
            assert type(got) is type(like) or dtype in BFLOAT16, f"{type(got)}, not {type(like)}"
            simple = same and len(given) == 1 and 0 not in given[0].strides
            assert not simple or axes_in_memory(got) == axes_in_memory(like), f"strides {got.strides}"
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        check_values(fs, call, dtype, got, sign)
    untouched = call.arena.copy()
    if out is not None:
        mask = mask_of(call, keywords, out.shape)
        if not same and any(np.may_share_memory(out, x) for x in given if isinstance(x, np.ndarray)):
            mask = True  # NumPy writes back a copy of out, which it did not fill where the mask is false
        np.copyto(call.out()._replace(subclass=False).on(untouched), out, where=np.asarray(mask, bool))
    assert np.array_equal(arena, untouched), "memory beside the result has changed"


def mask_of(call, keywords, shape):
    """Which of the results a mask has computed; along an axis all."""
    where = keywords.get("where", True)
    if call.row.kind == "halves gradient" and where is not True:
        axis = operator.index(keywords.get("axis", -1))
        half = result_shape(call.row, shape, axis)
        return np.concatenate([np.broadcast_to(np.asarray(where, bool), half)] * 2, axis)
    return np.asarray(where, bool) if call.row.kind in {*ONE_BY_ONE, "halves"} else True


def check_values(fs, call, dtype, got, sign):
    """The results against those of a plain call, and these against the truth."""
    row, (operands, parameters, keywords) = call.row, (on(call.arena, part) for part in call[2:5])
    kept = ("axis", "keepdims", "return_sign", "label_smoothing", "ignore_index")
    over = {name: keywords[name] for name in kept if name in keywords}
    where, mask = keywords.get("where", True), mask_of(call, keywords, np.shape(got))
    if row.kind in OF_LOSSES and where is not True:
        over["where"] = where = plain(where, bool)
    elif row.kind not in ONE_BY_ONE | OF_HALVES and where is not True:
        shapes = [np.shape(x) for x in [*operands[row.kind == "reduction gradient" :], *parameters.values()]]
        over["where"] = where = np.broadcast_to(plain(where, bool), np.broadcast_shapes(*shapes)).copy()
    if row.kind in OF_LOSSES or "reduction" in row.kind:  # some operands have a way of their own into the computed type
        over |= {"dtype": dtype, "casting": "unsafe"}
        simple = [x if type(x) in NUMBERS else plain(x) for x in operands]
        named = {name: x if type(x) in NUMBERS else plain(x) for name, x in parameters.items()}
    else:
        simple, named = [plain(x, dtype) for x in operands], {name: plain(x, dtype) for name, x in parameters.items()}
    expected = function_of(fs, row)(*simple, **named, **over)
    if type(expected) is tuple:
        expected, expected_sign = expected
        assert_equal(fs, np.asarray(sign), np.asarray(expected_sign), "sign")
    mask = np.broadcast_to(mask, np.shape(got))
    got, expected = np.asarray(got)[mask], np.broadcast_to(expected, np.shape(got))[mask]
    if np.can_cast(dtype, got.dtype) and is_real(dtype):
        final = got.astype(dtype)
        assert_equal(fs, final, expected, "not the plain call's result")
    elif is_real(got.dtype):
        final = expected
        assert_equal(fs, plain(got), expected.astype(np.dtype(got.dtype.type)), "not the plain call's result, cast")
    else:
        final, fits = expected, np.abs(expected.astype(float)) < 100
        assert (got[fits] - expected[fits].astype(got.dtype) == 0).all() or not is_compiled(fs), "not what a cast gives"
    if dtype == np.float64 and not HAS_LONG_DOUBLE:
        return
    if row.kind in ONE_BY_ONE:
        check_elementwise(fs, row, dtype, simple, named, mask, final)
    elif row.kind in OF_HALVES:
        check_halves(row, dtype, simple, over, mask, final)
    elif row.kind in OF_LOSSES:
        check_loss(row, dtype, simple, over, final)
    elif not final.size:
        return
    else:
        check_along(row, dtype, simple, named, over, where, final.reshape(mask.shape))


def assert_within(errors, bound, *what):
    """Errors in ULP."""
    errors, bound = np.broadcast_arrays(errors, bound)
    if (errors <= bound).all():
        return
    i = np.unravel_index(np.argmax(errors - bound), errors.shape)
    values = ", ".join(str(np.broadcast_to(x, errors.shape)[i]) for x in what)
    raise AssertionError(f"{errors[i]:.3f} ULP, and not {bound[i]:.3f}: at {values}")


def ulps(got, truth, least=0):
    """ulp_error, of bfloat16, too: float32's exponents, and 16 bits less."""
    if got.dtype in BFLOAT16:
        return ulp_error(got.astype(np.float32), truth, least) / 2**16
    return ulp_error(got, truth, least)


def rounded(bound, dtype):
    """A bound in ULP of the computed type in those of the result, which 16-bit types are rounded to."""
    return bound if dtype.itemsize > 2 else 0.5 + bound / (2**16 if dtype in BFLOAT16 else 2**13)


def check_elementwise(fs, row, dtype, operands, parameters, mask, got):
    """Some of the elements against the truth."""
    wide = np.result_type(dtype, np.float32) if is_real(dtype) else dtype
    few = np.random.default_rng(0).permutation(got.size)[:CHECKED]
    with np.errstate(all="ignore"):
        values = {name: np.broadcast_to(x, mask.shape)[mask][few].astype(wide) for name, x in parameters.items()}
        *grad, x = (np.broadcast_to(x, mask.shape)[mask][few].astype(wide) for x in operands)
    got, named = got[few], defaults(row, dtype) | values
    named = {name: x.astype(wide) if dtype in BFLOAT16 and not isinstance(x, str) else x for name, x in named.items()}
    if dtype.kind in "iu":
        np.testing.assert_array_equal(got, np.maximum(x, 0))
        return
    bound = (row.gradient if grad else row).max_ulp[dtype == np.float64]
    result = got
    if not grad and dtype.itemsize == 2 and is_compiled(fs):  # ties, of which the truth says nothing
        once = function_of(fs, row)(x, **numbers(named)).astype(dtype)
        assert_equal(fs, got, once, "not float32's result rounded once")
    if grad:  # to the truth is held the derivative, as in test_accuracy; the product is then rounded
        slope = got = function_of(fs, row)(np.ones_like(x), x, **numbers(named))
        check_product(fs, grad[0], slope, result, bound == 0)
    truth, least = reference(row, x, **named), unit(row, x, **named)
    tame = np.isfinite(x)  # what infinities give is in test_accuracy
    for parameter in row.parameters:
        low, high = TAME[parameter.is_array]
        if parameter.name in values:
            tame &= (values[parameter.name] >= low) & (values[parameter.name] <= high)
    slack = 2**-9 if bound else 0  # long double holds no exact product of two doubles
    limit = rounded(bound, got.dtype) + slack
    assert_within(np.where(tame, ulps(got, truth, least), 0), limit, x, *values.values(), got, truth)


def check_product(fs, grad, slope, got, exact):
    """grad_output times the derivative, rounded once more; 0 where the function is flat between kinks."""
    with np.errstate(all="ignore"):
        expected = (grad * slope).astype(got.dtype)
        there = ~((slope == 0) & (got == 0))
        if is_compiled(fs):
            assert_equal(fs, got[there], expected[there], "not grad_output times the derivative")
            return
        # The fallback multiplies in a wider type, where a subnormal derivative is not rounded.
        normal = there & (np.abs(slope) >= np.finfo(slope.dtype).tiny)
        errors = ulps(got[normal], expected[normal].astype(np.float64).astype(np.longdouble))
        assert_within(errors, 0 if exact else 2, grad[normal], slope[normal])


def check_halves(row, dtype, operands, over, mask, got):
    """Of a function, results of what is finite against the truth; the gradient is held to it by test_halves."""
    if row.kind == "halves":
        wide = np.result_type(dtype, np.float32)
        x, axis = operands[0].astype(wide), operator.index(over.get("axis", -1))
        tame = np.logical_and(*np.split(np.isfinite(x), 2, axis))[mask]
        truth = of_halves(row, x, axis)[mask]
        bound = rounded(row.max_ulp[dtype == np.float64], got.dtype)
        assert_within(np.where(tame, ulps(got, truth), 0), bound, got, truth)


def check_loss(row, dtype, operands, over, got):
    """Losses of one class, of finite logits without a mask, against the truth."""
    x, target = operands[-2:]
    x = np.asarray(x).astype(dtype).astype(np.result_type(dtype, np.float32))
    x = x if x.ndim else x.reshape(1)
    if row.kind != "loss" or over.keys() & {"where"} or over.get("label_smoothing") or not is_of_classes(operands):
        return
    target, axis = np.asarray(target, int), operator.index(over.get("axis", -1))
    target = np.broadcast_to(target, np.delete(x.shape, axis))
    there = target != (over.get("ignore_index") if over.get("ignore_index") is not None else -1)
    tame = there & np.isfinite(x).all(axis)
    truth = np.where(there, losses(x, np.maximum(np.where(there, target, 0), 0), axis), 0)
    bound = rounded(row.max_ulp[dtype == np.float64], got.dtype)
    assert_within(np.where(tame, ulps(got.reshape(truth.shape), truth), 0), bound, truth)


def check_along(row, dtype, operands, parameters, over, where, got):
    """All of the results against the truth; not where weights or gradients are such that it has no bound."""
    axis, wide = over.get("axis", None if "reduction" in row.kind else -1), np.result_type(dtype, np.float32)
    with np.errstate(all="ignore"):
        first = (
            float if parameters else wide if row.kind == "reduction gradient" else dtype
        )  # what NumPy casts to before the loop does
        *grad, x = (np.asarray(value).astype(first).astype(float if parameters else wide) for value in operands)
        x, *weights = np.broadcast_arrays(x, *(np.asarray(b).astype(float) for b in parameters.values()))
    axis = axis if axis is None or type(axis) is tuple else int(axis)
    if not x.ndim:
        x, where = x.reshape(1), np.reshape(where, -1)
        axis = axis if axis == () else None
        got = got.reshape(np.sum(x, axis, keepdims=over.get("keepdims", False)).shape if row.kind == "reduction" else 1)
    if weights:
        check_weighted(x, weights[0], axis, where, over, got)
    elif grad:
        check_row_gradient(row, grad[0], x, axis, where, over, got)
    elif not x.size:
        assert (got == -np.inf).all()
    else:
        bound = row.max_ulp[np.asarray(x).dtype == np.float64]
        truth, bound, least = along(row, x, axis, where), rounded(bound, got.dtype), 0
        if row.kind == "rows":
            truth = np.where(np.broadcast_to(where, x.shape).any(axis, keepdims=True), truth, hole(row))
        else:
            least = np.abs(np.where(where, x, -np.inf).max(axis).astype(np.longdouble))
            least = np.maximum(np.where(np.isfinite(least), least, 0), excess(x, axis, where))
        truth, bound, least = (np.broadcast_to(each, truth.shape).reshape(got.shape) for each in (truth, bound, least))
        assert_within(ulps(got, truth, least), bound, got, truth)


def check_weighted(x, b, axis, where, over, got):
    """logsumexp with weights, in float64: how far cancellation lets it be off."""
    with np.errstate(all="ignore"):
        part = where & (b.reshape(x.shape) != 0)
        x, b = np.where(part, x, -np.inf), np.where(part, b.reshape(x.shape), 0)
        if not x.size or not np.isfinite(b).all() or not (x < np.inf).all():
            return
        top = x.max(axis, keepdims=True)
        z = np.where(x == top, 0, (x.astype(np.longdouble) - top))
        terms = b * np.exp(z)
        total, size = (each.sum(axis, keepdims=True) for each in (terms, np.abs(terms)))
        truth, condition = np.log(np.abs(total)) + top, size / np.abs(total)
        truth = truth if over.get("return_sign") else np.where(total < 0, np.nan, truth)
        eps = 2.0**-7 if got.dtype in BFLOAT16 else np.finfo(got.dtype).eps
        far = np.max(np.where(z > -750, -z, 0), axis, keepdims=True)
        bound = 2 * eps * np.maximum(np.maximum(np.abs(truth), np.abs(top)), 1)
        bound = bound + 8 * np.finfo(float).eps * condition * np.maximum(1, far)
        truth, bound = truth.reshape(got.shape), bound.reshape(got.shape)
        sure = (bound < 1) & (np.abs(truth) < 1e4)
        assert not (np.abs(got.astype(np.longdouble if got.dtype not in BFLOAT16 else float) - truth) > bound)[
            sure
        ].any()
        assert np.isnan(got.astype(float))[np.isnan(truth) & (condition < 1e6).reshape(got.shape)].all()


def check_row_gradient(row, grad, x, axis, where, over, got):
    """At the magnitude that the result would have without cancellation."""
    row = row._replace(name=row.name.removeprefix("backward."))
    if row.gradient.operand == "x":
        kept = np.sum(np.ones(x.shape), axis, keepdims=True).shape
        reduced = np.sum(np.ones(x.shape), axis, keepdims=over.get("keepdims", False)).shape
        grad = np.broadcast_to(grad, reduced).reshape(kept)
        tame = np.ones(x.shape, bool)
    else:
        shape = np.broadcast_shapes(grad.shape, x.shape)
        grad, x = np.broadcast_to(grad, shape), np.broadcast_to(x, shape)
        tame = ((x <= 0) & (x > -80)) if hole(row) else (x == 0) | ((x >= 1e-10) & (x <= 1))
    tame = tame & ((grad == 0) | ((np.abs(grad) >= 1e-10) & (np.abs(grad) <= 1e10)))
    if not (tame | ~np.broadcast_to(where, np.shape(tame))).all():
        return
    truth, _ = gradient_along(row, grad, x, axis, where)
    bound, scale = gradient_tolerated(row, grad, x, axis, where)
    truth, bound, scale = (np.broadcast_to(each, got.shape) for each in (truth, bound, scale))
    assert_within(ulps(got, truth, scale), rounded(bound, got.dtype), got, truth, scale)


# -------------------------------------------------------------------------------- for as long as one likes


def fuzz(fs, name, examples, seed):
    """(How many calls were made, what was found) of a function: None, or an exception with the smallest such call."""
    done = 0

    @hypothesis.seed(seed)
    @settings(SETTINGS, max_examples=examples)
    @given(calls(SUBJECTS[name]))
    def one(call):
        nonlocal done
        done += 1
        check(fs, call)

    try:
        one()
    except Exception as found:
        return done, found
    return done, None


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, help="one turn of each, with this seed")
    parser.add_argument("--examples", type=int, default=50, help="calls in a turn")
    parser.add_argument("--function", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), metavar="NAME")
    parser.add_argument("--backend", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    return parser.parse_args()


def main():
    arguments = parse()
    faulthandler.enable()
    absent = {name: why for name in arguments.backend if (why := why_not(name)[0])}
    packages = {name: imported_on(name) for name in arguments.backend if name not in absent}
    end = time.monotonic() + 60 * arguments.minutes
    counts = {(name, backend): 0 for name in arguments.function for backend in packages}
    findings = []
    seeds = itertools.count(time.time_ns() // 10**9) if arguments.seed is None else [arguments.seed]
    for seed, (name, backend) in ((seed, key) for seed in seeds for key in counts):
        if time.monotonic() > end and arguments.seed is None:
            break
        if (name, backend) == next(iter(counts)):
            print(f"seed {seed}: {sum(counts.values()):,} calls, {len(findings)} findings", flush=True)
        done, found = fuzz(packages[backend], name, arguments.examples, seed)
        counts[name, backend] += done
        if found:
            command = f"--seed {seed} --examples {arguments.examples} --function {name} --backend {backend}"
            findings.append(f"{command}: {repr(found).splitlines()[0]}")
            print(f"python tests/fuzz.py {command}", *traceback.format_exception(found), sep="\n", flush=True)
    print(f"{'calls':<28}" + "".join(f"{backend:>12}" for backend in packages))
    for name in arguments.function:
        print(f"{name:<28}" + "".join(f"{counts[name, backend]:>12,}" for backend in packages))
    print(f"{sum(counts.values()):,} calls, {len(findings)} findings", *findings, sep="\n")
    print(*(f"without {name}: {why}" for name, why in absent.items()), sep="\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
