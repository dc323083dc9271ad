"""The pure-Python twin of the compiled kernels, for where there is no compiled module. It needs NumPy alone.

Adding a function means adding one line to `FORMULAS` (elementwise) or to `ROWS` (along an axis). A formula
gets fresh native arrays of one dtype, a step wider than the result's where there is one, and NumPy's warnings
are off around it. `Ufunc` is all the rest that a caller expects of a `numpy.ufunc`.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["FORMULAS", "ROWS", "Ufunc", "build", "build_direct", "build_rows"]


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    if not x.size:
        return x
    top = x.argmax(-1, keepdims=True)
    z = x - np.take_along_axis(x, top, -1)
    # log(sum) is log1p(sum - 1). The maximum's exp(0) is subtracted, not skipped: were it NaN, all has to be.
    rest = np.exp(z) - (np.arange(x.shape[-1]) == top)
    return z - np.log1p(rest.sum(-1, keepdims=True))


FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    # The exponents are never positive: nothing overflows, and small results underflow gradually.
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "tanh": np.tanh,
    "relu": lambda x: np.where(x < 0, 0, x),
    "leaky_relu": lambda x, negative_slope: np.where(x > 0, x, x * negative_slope),
}

# Rows lie along the last axis. A mask comes as numbers, 0 and 1.
ROWS: dict[str, Callable[..., np.ndarray]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "softmax_where": lambda x, mask: np.where(mask, _softmax(np.where(mask, x, -np.inf)), 0),
    "log_softmax_where": lambda x, mask: np.where(mask, _log_softmax(np.where(mask, x, -np.inf)), -np.inf),
}

_INTEGERS, _FLOATS = "bBhHiIlLqQ", "efd"
_KEEP_INTEGERS = {"relu"}
# NumPy's exp is off by up to 2.5 ULP in float32, which would leave a formula no room of its own.
_WIDER = {"e": "f", "E": "f", "f": "d"}


def _bfloat16() -> type | None:
    """Return the scalar type bfloat16 of ml_dtypes, once that package has been imported."""
    return getattr(sys.modules.get("ml_dtypes"), "bfloat16", None)


def _char(dtype: np.dtype) -> str:
    """Return a dtype's letter in a loop: "E" for bfloat16. No other package's dtype has one."""
    return dtype.char if dtype.isbuiltin < 2 else "E" if dtype.type is _bfloat16() else " "


def _dtype(char: str) -> np.dtype:
    """Return the dtype of a letter in a loop."""
    return np.dtype(_bfloat16() if char == "E" else char)


class Ufunc:
    """An elementwise function that is called, introspected and pickled like a `numpy.ufunc`.

    Parameters
    ----------
    name, doc : str
        The docstring comes without the line that shows the call.
    module : str
        Where pickle finds the object, under its name.
    formula : callable
        From arrays of the computing dtype to one such array.
    types : list of str
        The loops, as in `numpy.ufunc.types`.
    signature : str, optional
        The core dimensions, as in `numpy.ufunc.signature`.
    """

    nout = 1
    identity = None
    signature: str | None = None
    _keywords: tuple[str, ...] = ("out", "where", "casting", "order", "dtype", "subok", "signature", "sig")
    _like = np.add  # a ufunc with two inputs whose options are ours
    _usage = "where=True, casting='same_kind', order='K', dtype=None, subok=True[, signature]"

    def __init__(self, name: str, doc: str, module: str, formula: Callable, types: list[str]) -> None:
        self.__name__ = self.__qualname__ = name
        self.__module__ = module
        self.types, self.ntypes = types, len(types)
        self.nin = types[0].index("->")
        self.nargs = self.nin + self.nout
        self._formula = formula
        inputs = ["x"] if self.nin == 1 else [f"x{i + 1}" for i in range(self.nin)]
        self.__doc__ = f"{name}({', '.join(inputs)}, /, out=None, *, {self._usage})\n\n{doc}"
        try:
            like = inspect.signature(self._like)
        except ValueError:  # NumPy before 2.4 has no signatures of ufuncs
            return
        named = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in inputs]
        self.__signature__ = like.replace(parameters=[*named, *list(like.parameters.values())[2:]])

    def __repr__(self) -> str:
        return f"<ufunc '{self.__name__}'>"

    def __reduce__(self) -> str:
        return self.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs, kwargs = self._parse(args, kwargs)
        result = self._override(inputs, kwargs)
        if result is not NotImplemented:
            return result
        with np.errstate(all="ignore"):
            return self._evaluate(inputs, **kwargs)

    def _parse(self, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """Split off the inputs, and spell the keywords as `__array_ufunc__` methods expect them."""
        name, inputs, out = self.__name__, args[: self.nin], args[self.nin :]
        if not self.nin <= len(args) <= self.nargs:
            given = f"{len(args)} {'was' if len(args) == 1 else 'were'}"
            span = f"from {self.nin} to {self.nargs} positional arguments"
            raise TypeError(f"{name}() takes {span} but {given} given")
        for key in kwargs:
            if key not in self._keywords:
                raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
        for pair in (("sig", "signature"), ("sig", "dtype"), ("signature", "dtype"), ("axis", "axes")):
            if kwargs.keys() >= set(pair):
                raise TypeError("cannot specify both '{}' and '{}'".format(*pair))
        if "sig" in kwargs:
            kwargs["signature"] = kwargs.pop("sig")
        if out and "out" in kwargs:
            raise TypeError("cannot specify 'out' as both a positional and keyword argument")
        if "out" in kwargs:
            out = kwargs["out"] if isinstance(kwargs["out"], tuple) else (kwargs["out"],)
            if len(out) != self.nout:
                raise ValueError("The 'out' tuple must have exactly one entry per ufunc output")
        return inputs, kwargs | ({"out": out} if out else {})

    def _override(self, inputs: tuple, kwargs: dict) -> Any:
        """Let operands with an `__array_ufunc__` of their own answer; NotImplemented if there is none."""
        out = tuple(operand for operand in kwargs.get("out", ()) if operand is not None)
        kwargs = {key: value for key, value in kwargs.items() if key != "out" or out}
        overriding: list = []
        for operand in (*inputs, *out, kwargs.get("where")):
            kind = type(operand)
            method = getattr(kind, "__array_ufunc__", np.ndarray.__array_ufunc__)
            if method is None:
                raise TypeError(f"operand '{kind.__name__}' does not support ufuncs (__array_ufunc__=None)")
            if method is not np.ndarray.__array_ufunc__ and kind not in map(type, overriding):
                # From left to right, but a subclass before its bases.
                bases = (i for i, other in enumerate(overriding) if issubclass(kind, type(other)))
                overriding.insert(next(bases, len(overriding)), operand)
        for operand in overriding:
            result = type(operand).__array_ufunc__(operand, self, "__call__", *inputs, **kwargs)
            if result is not NotImplemented:
                return result
        if overriding:
            call = ", ".join([*map(repr, inputs), *(f"{key}={value!r}" for key, value in kwargs.items())])
            kinds = ", ".join(repr(type(operand).__name__) for operand in (*inputs, *out))
            asked = f"__array_ufunc__({self!r}, '__call__', {call}): {kinds}"
            raise TypeError(f"operand type(s) all returned NotImplemented from {asked}")
        return NotImplemented

    def _evaluate(self, inputs: tuple, dtype: Any = None, signature: Any = None, **options: Any) -> Any:
        casting = options.get("casting", "same_kind")
        arrays = [np.asarray(x) for x in inputs]
        dtype = self._resolve(inputs, arrays, signature or (None,) * self.nin + (dtype,), casting)
        (out,) = options.get("out", (None,))
        given = isinstance(out, np.ndarray)
        if given:
            self._check_cast("output", dtype, out.dtype, casting)
        elif out is not None and out is not ...:
            raise TypeError("return arrays must be of ArrayType")
        if "out" in options:
            # No subclass, which NumPy would wrap as its own result; no tuple, which it lets hold no `...`.
            options["out"] = np.asarray(out) if given else out
        result = self._apply(arrays, dtype, options)
        if given:
            like, result, operands = out, out, (*inputs, out)
        else:
            wrappers = [x for x in inputs if options.get("subok", True) and hasattr(x, "__array_wrap__")]
            like, operands = max(wrappers, key=_priority, default=None), inputs
        if like is None or type(like) is np.ndarray or isinstance(like, np.generic):
            return result
        try:
            scalar = isinstance(result, np.generic)
            return like.__array_wrap__(np.asanyarray(result), (self, operands, 0), scalar)
        except TypeError:
            return like.__array_wrap__(np.asanyarray(result))  # older than NumPy 2, as torch's

    def _resolve(self, inputs: tuple, arrays: list[np.ndarray], wanted: Any, casting: Any) -> np.dtype:
        """Return the result's dtype in the loop that fits the operands and the wanted dtypes (None: any)."""
        # A Python number is a float64 that follows floating arrays (NEP 50), but an integer x stays one.
        weak = [type(x) is float or (type(x) is int and i > 0) for i, x in enumerate(inputs)]
        dtypes = [np.dtype(float) if number else array.dtype for number, array in zip(weak, arrays)]
        leaders = [dtype for dtype, follows in zip(dtypes, weak) if _char(dtype) in "eEfdg" and not follows]
        weak = [follows and bool(leaders) for follows in weak]
        widest = next(loop for loop in self.types if loop[0] == "d")
        for have, needed, follows in zip(dtypes, widest, weak):
            if not follows and (_char(have) == " " or not np.can_cast(have, needed)):
                floats = "bool, integer, float16, float32 and float64 input, and bfloat16 of ml_dtypes"
                accepts = "bool mask input" if needed == "?" else floats
                raise TypeError(f"ufunc '{self.__name__}' supports {accepts}, not {have.type.__name__}")
        if isinstance(wanted, str):
            wanted = wanted.replace("->", "")
        if len(wanted) != self.nargs:
            raise TypeError(f"a signature of {self.__name__} has {self.nargs} dtypes, not {len(wanted)}")
        fixed = [(i, np.dtype(want)) for i, want in enumerate(wanted) if want is not None]
        native = all(dtype.isnative for _, dtype in fixed)  # a loop has no byte order to ask for
        types = self.types + [t.replace("e", "E") for t in self.types if "e" in t]
        loops = [t for t in types if native and all(t.replace("->", "")[i] == _char(d) for i, d in fixed)]
        if not loops:
            problem = "No loop matching the specified signature and casting was found"
            raise TypeError(f"{problem} for ufunc {self.__name__}")
        votes = [np.dtype("e") if follows else have for have, follows in zip(dtypes, weak)]
        if "E" in map(_char, votes):
            votes = self._beside_bfloat16(votes, weak)
        chars = "".join(map(_char, votes))
        exact = [loop for loop in loops if loop.startswith(chars)]
        fits = (loop for loop in exact + loops if all(map(np.can_cast, votes, map(_dtype, loop.partition("-")[0]))))
        loop = next(fits, loops[-1])
        for i, (have, takes, follows) in enumerate(zip(dtypes, loop, weak)):
            if not follows:
                self._check_cast(f"input {i}" if self.nin > 1 else "input", have, _dtype(takes), casting)
        return _dtype(loop[-1])

    def _beside_bfloat16(self, votes: list[np.dtype], weak: list[bool]) -> list[np.dtype]:
        """Return the votes beside a bfloat16: float64 if x is an integer, else what promotion gives."""
        if votes[0].kind in "biu":
            return [np.dtype(float) if _char(vote) == "E" else vote for vote in votes]
        masks = [kind == "?" for kind in self.types[-1]]
        try:
            common = np.result_type(*(v for v, follows, mask in zip(votes, weak, masks) if not follows and not mask))
        except TypeError:  # with float16, for one: the first loop then that takes both
            return votes
        return [vote if mask or _char(common) != "E" else common for vote, mask in zip(votes, masks)]

    def _check_cast(self, operand: str, have: np.dtype, takes: np.dtype, casting: Any) -> None:
        if not np.can_cast(have, takes, casting):
            cast = f"Cannot cast ufunc '{self.__name__}' {operand} from {have!r} to {takes!r}"
            raise TypeError(f"{cast} with casting rule '{casting}'")

    def _apply(self, arrays: list[np.ndarray], dtype: np.dtype, options: dict) -> Any:
        """Compute and hand over; NumPy sees to where=, order=, broadcasting into out= and 0-d results."""
        return np.positive(self._compute(arrays, dtype, "K"), **options)

    def _compute(self, arrays: list[np.ndarray], dtype: np.dtype, order: Any) -> np.ndarray:
        """Run the formula over fresh contiguous arrays: no strides, no difference in the result's bits."""
        fresh = (np.positive(array, dtype=dtype, casting="unsafe", order=order) for array in arrays)
        wide = (array.astype(_WIDER.get(dtype.char, dtype), copy=False) for array in fresh)
        return self._formula(*wide).astype(dtype, copy=False)


class _RowUfunc(Ufunc):
    """A generalised ufunc: the formula runs along one axis of the operands, the last one by default."""

    _keywords = ("out", "casting", "order", "dtype", "subok", "signature", "sig", "axis", "axes")
    _like = np.matmul
    _usage = "casting='same_kind', order='K', dtype=None, subok=True[, signature, axes, axis]"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.signature = ",".join(["(n)"] * self.nin) + "->(n)"

    def _apply(self, arrays: list[np.ndarray], dtype: np.dtype, options: dict) -> Any:
        axes = options.pop("axes", [options.pop("axis", -1)] * self.nargs)
        if not isinstance(axes, list):
            raise TypeError("axes should be a list.")
        if len(axes) != self.nargs:
            raise ValueError(f"axes should be a list with an entry for all {self.nargs} inputs and outputs")
        given = isinstance(options.get("out"), np.ndarray)
        rows: list[np.ndarray] = []
        for i, (array, axis) in enumerate(zip([*arrays, options["out"]] if given else arrays, axes)):
            operand = f"{self.__name__}: " + (f"Input operand {i}" if i < self.nin else "Output operand 0")
            if array.ndim == 0:
                core = f"gufunc core with signature {self.signature} requires 1"
                raise ValueError(f"{operand} does not have enough dimensions (has 0, {core})")
            rows.append(np.moveaxis(array, axis, -1))
            n, size = rows[0].shape[-1], rows[i].shape[-1]
            if size != n:
                problem = "has a mismatch in its core dimension 0, with gufunc signature"
                raise ValueError(f"{operand} {problem} {self.signature} (size {size} is different from {n})")
        result = self._compute(rows[: self.nin], dtype, "C")
        if given:
            return np.positive(result, **options | {"out": rows[-1]})
        return np.moveaxis(np.positive(result, **options), -1, axes[-1])


def _priority(operand: Any) -> tuple[float, bool]:
    """Rank an operand's claim to wrap the result; a plain array yields to others of its rank."""
    return getattr(operand, "__array_priority__", 0.0), type(operand) is not np.ndarray


def _formula(table: dict[str, Callable], name: str) -> Callable:
    if name not in table:
        raise KeyError(f"no formula for {name!r}: add its line to fastsig/_fallback.py")
    return table[name]


def build(name: str, doc: str, parameters: int) -> Ufunc:
    """Build the elementwise ufunc `name`, with its formula from `FORMULAS`.

    Parameters
    ----------
    name, doc : str
        The docstring comes without the line that shows the call.
    parameters : int
        How many operands follow x.

    Returns
    -------
    Ufunc
        With ``nin = 1 + parameters``.
    """
    keep = _FLOATS + _INTEGERS if name in _KEEP_INTEGERS else _FLOATS
    results = {char: char if char in keep else "d" for char in "?" + _INTEGERS + _FLOATS}
    types = [f"{char}{result * parameters}->{result}" for char, result in results.items()]
    module = "fastsig._backend" if parameters else "fastsig"  # where the object itself is public
    return Ufunc(name, doc, module, _formula(FORMULAS, name), types)


def build_rows(name: str, doc: str) -> Ufunc:
    """Build the generalised ufunc `name`, with its formula from `ROWS`.

    Parameters
    ----------
    name, doc : str
        A name that ends in ``_where`` takes a boolean mask as its second operand.

    Returns
    -------
    Ufunc
        Of signature ``(n)->(n)``, or ``(n),(n)->(n)`` with a mask.
    """
    mask = "?" if name.endswith("_where") else ""
    types = [f"{char}{mask}->{char}" for char in "dfe"]  # integers go to the first, float64
    return _RowUfunc(name, doc, "fastsig._backend", _formula(ROWS, name), types)


def build_direct(name: str) -> Callable[[Any, Any], None]:
    """A short cut for plain arrays, which here there is none."""
    return lambda x, axis: None


def build_scalar(name: str, parameters: int) -> Callable[..., float]:
    """Build the function `name` of one number, and of its parameters, all positional."""
    ufunc = build(name, "", parameters)
    real = (float, int, np.integer, np.float16, np.float32, np.bool_)

    def scalar(*numbers: Any) -> float:
        for number in numbers:
            if not isinstance(number, real):
                raise TypeError(f"{name}: must be a real number, not {type(number).__name__}")
        return float(ufunc(*map(float, numbers)))

    return scalar
