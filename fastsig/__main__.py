"""The command line: `python -m fastsig`, or `fastsig` where the package is installed."""

import argparse
import contextlib
import difflib
import inspect
import math
import os
import re
import signal
import sys
import threading
from typing import NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ._bench import print_check, print_speeds
from ._catalog import TABLE, Row, known_as, names
from ._config import VERSION, get_config, num_threads, show_config
from ._functions import functions, gradients
from ._npy import STANDARD, Array, Failure, exists, is_pipe, read_header, reading, replacing, write_header

UNITS = {None: 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
LEAST_MEMORY = 32_000_000
NEGATIVE = r"(?i)-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|-inf(inity)?|-nan"
BYTES_PER_ELEMENT = 64  # of a block: input, output, and what pure Python, the most wasteful, needs in between
MOST_ELEMENTS = 1 << 20  # of a block that may be cut anywhere: more is no faster
SHORTEST_PIECE = 1 << 16  # elements; shorter ones are slow to read, and bring their neighbours into memory
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's


# -------------------------------------------------------------------------------- what the table offers


def arrays_of(row):
    """What it takes beside x that is no option: an array."""
    return [parameter.name for parameter in row.parameters if parameter.is_array]


def find_row(name):
    """The table's row of a function."""
    rows = {row.name: row for row in TABLE}
    if name not in rows:
        close = difflib.get_close_matches(name.lower(), [*rows, *(other for row in TABLE for other in names(row))], 1)
        meant = known_as(name) or (known_as(close[0]) if close else [])
        hint = f"did you mean {' or '.join(meant)}?" if meant else f"there are {', '.join(rows)}"
        raise Failure(f"unknown function {name!r}; {hint}")
    if arrays := arrays_of(rows[name]):
        raise Failure(f"{name} takes a {' and a '.join(arrays)} beside x; call it from Python")
    return rows[name]


def parameters_of(row):
    """Numbers, and at most one word; alike in what a command line needs of them."""
    return [*(p for p in row.parameters if not p.is_array), *([row.choice] if row.choice else [])]


def options_of(row):
    """The names of a function's options."""
    return {parameter.name for parameter in parameters_of(row)} | (set() if row.kind == "elementwise" else {"axis"})


def given_options(arguments, rows):
    """For each row, those of the given options that it has; one that none has, or one that is required, is an error."""
    given = {name: value for name, value in vars(arguments).items() if any(name in options_of(row) for row in TABLE)}
    for name in given:
        if not any(name in options_of(row) for row in rows):
            raise Failure(f"{', '.join(row.name for row in rows)}: no such option as --{name.replace('_', '-')}")
    for row in rows:
        if missing := [f"--{name.replace('_', '-')}" for name in row.operands if name not in given]:
            raise Failure(f"{row.name} needs {' and '.join(missing)}")
    return [{name: value for name, value in given.items() if name in options_of(row)} for row in rows]


def bound(functions, row, options):
    """A row's function with its options; by position those that a ufunc requires, which has no names for them."""
    options = dict(options)
    required = [options.pop(name) for name in row.operands]
    return lambda *arrays: functions[row.name](*arrays, *required, **options)


def add_common(parser, run, output):
    """What all commands have. A parameter in the table becomes an option, without a default: the function has that."""
    parser.set_defaults(run=run)
    parser.add_argument("-o", "--output", required=True, help=output)
    parser.add_argument("--force", action="store_true", help="replace OUTPUT if it exists")
    owners = {}
    for row in TABLE:
        for parameter in parameters_of(row):
            owners.setdefault(parameter.name, []).append((row.name, parameter))
    for name, users in owners.items():
        option, kind = f"--{name.replace('_', '-')}", str if isinstance(users[0][1].default, str) else float
        texts = {function: parameter.text.partition("; an array")[0].rstrip(".") for function, parameter in users}
        text = "; ".join(
            f"{function}: {texts[function]}. "
            + ("Required" if getattr(parameter, "required", False) else f"Default {parameter.default}")
            for function, parameter in users
        )
        parser.add_argument(option, type=kind, default=argparse.SUPPRESS, metavar="VALUE", help=text.replace("%", "%%"))


# -------------------------------------------------------------------------------- apply


@contextlib.contextmanager
def progress(title, total):
    """What to tell of every number of bytes done: a bar, or nobody where there is no terminal or no tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda size: None
        return
    tqdm.set_lock(threading.RLock())  # its own is for processes, and starts one from Python 3.14 on
    with tqdm(desc=title, total=total, unit="B", unit_scale=True, disable=None) as bar:
        yield bar.update


class Application(NamedTuple):
    """A function applied to a file in blocks. The array is seen as (outer, n, inner) in C order, n along the axis."""

    row: Row
    options: dict
    dtype: np.dtype  # to compute in
    source: Array
    target: Array
    fold: tuple
    elements: int  # that a block may have

    def run(self):
        """All blocks: whole slices (n, inner), or if these are too large some of their columns, or parts of those."""
        outer, n, inner = self.fold
        if not math.prod(self.target.shape):
            return
        step = max(1, min(self.elements, MOST_ELEMENTS) // max(1, n * inner))
        width = min(inner, max(self.elements // max(1, n), SHORTEST_PIECE))
        lines = min(n, self.elements // width)
        passes = 1 if lines == n or self.row.kind in {"reduction", "halves"} else 2
        with progress(self.row.name, passes * (self.source.end - self.source.offset)) as done:
            for first in range(0, outer, step):
                for column in range(0, inner, width):
                    columns = range(column, min(column + width, inner))
                    if lines == n:
                        self.block(first, min(step, outer - first), columns, done)
                    elif self.row.kind == "halves":
                        self.stream_halves(first, lines, columns, done)
                    else:
                        self.stream(first, lines, columns, done)

    def block(self, first, count, columns, done):
        """Where all of the axis fits into memory, fastsig's function does it."""
        _, n, inner = self.fold
        x = self.source.read(first * n, count * n, inner, columns)
        block = x.astype(self.dtype, copy=False).reshape(count, n, len(columns))
        y = bound(functions, self.row, self.options)(block).reshape(-1, len(columns))
        self.target.write(y, first * (len(y) // count), inner, columns)
        done(x.nbytes)

    def stream_halves(self, first, lines, columns, done):
        """Where it does not fit: of each half some lines."""
        _, n, inner = self.fold
        half, lines = n // 2, max(1, lines // 2)
        for line in range(0, half, lines):
            count = min(lines, half - line)
            parts = [self.source.read(first * n + start + line, count, inner, columns) for start in (0, half)]
            x = np.concatenate(parts).astype(self.dtype, copy=False)
            self.target.write(functions[self.row.name](x, 0), first * half + line, inner, columns)
            done(x.nbytes)

    def stream(self, first, lines, columns, done):
        """Where it does not fit: read it once for maximum and sum, in float64, and once more for the results."""
        _, n, inner = self.fold
        temperature = self.options.get("temperature", 1.0)

        def parts():
            for line in range(first * n, (first + 1) * n, lines):
                x = self.source.read(line, min(lines, (first + 1) * n - line), inner, columns)
                x = x.astype(self.dtype, copy=False)
                yield line, np.negative(x, dtype=float) if self.row.negates else x
                done(x.nbytes)

        def divided(z):
            return z if temperature == 1 else np.where(np.isinf(z), z, z / temperature)

        # sum(exp(x - top)) is high + low: log_softmax of an entry far above all others is what high alone would lose.
        top, high, low = -np.inf, 0.0, 0.0
        for _, x in parts():
            rows = x.T.astype(float, order="C")  # NumPy adds pairwise along what is contiguous
            largest, at = rows.max(-1), (np.arange(len(rows)), rows.argmax(-1))
            rows -= finite_or_above(largest)[:, None]
            rows = divided(rows)
            np.exp(rows, out=rows)
            rows[at] = 0  # its 1 is added exactly
            before, top = top, np.maximum(top, largest)
            old, new = (np.exp(divided(each - finite_or_above(top))) for each in (before, largest))
            high, low = high * old, low * old
            for term in (new, new * rows.sum(-1)):
                total = high + term
                rounded = total - high
                low = low + ((high - (total - rounded)) + (term - rounded))  # Knuth's two-sum
                high = total
        log_sum = np.log1p((high - 1) + low)
        if self.row.kind == "reduction":
            self.target.write(np.where(np.isinf(top), top, top + log_sum)[None], first, inner, columns)
            return
        for line, x in parts():
            z = divided(np.subtract(x, top, dtype=float))
            y = z - log_sum if self.row.logarithm else np.exp(z, out=z) / (high + low)
            self.target.write(y, line, inner, columns)


def finite_or_above(x):
    """0 in the place of -inf, which cannot be subtracted from itself."""
    return np.where(np.isneginf(x), 0, x)


def checked_dtypes(row, options, given, wanted, path):
    """The dtypes to compute in and of the result: the function itself is asked what it takes and gives."""
    function = bound(functions, row, options)
    try:
        result = function(np.zeros(2, given)).dtype
    except TypeError as error:
        raise Failure(f"{path}: {error}") from None
    except ValueError as error:
        raise Failure(error) from None
    if wanted is None:
        return given, result
    try:
        result = function(np.zeros(2, wanted)).dtype
    except TypeError as error:
        raise Failure(f"--dtype {wanted}: {error}") from None
    if result != wanted or not np.can_cast(given, wanted, "same_kind"):
        raise Failure(f"--dtype {wanted}: {row.name} makes no {wanted} of {given}")
    return wanted, result


def folded(row, array, options, path):
    """The array's shape in C order as (outer, n, inner), n along the axis; and the shape of the result."""
    if row.kind == "elementwise":
        return (math.prod(array.shape), 1, 1), array.shape
    along = options.pop("axis", inspect.signature(functions[row.name]).parameters["axis"].default)
    if along is None and row.kind == "halves":
        raise Failure(f"{row.name} halves one axis")
    if along is None:
        fold, reduced = (1, math.prod(array.shape), 1), ()
    else:
        shape = array.shape or (1,)  # as in torch, a single number has one axis
        try:
            along = normalize_axis_index(along, len(shape))
        except ValueError as error:
            raise Failure(f"{path}: {error}") from None
        outer, inner = math.prod(shape[:along]), math.prod(shape[along + 1 :])
        fold = (inner, shape[along], outer) if array.fortran else (outer, shape[along], inner)
        reduced = shape[:along] + shape[along + 1 :]
        if row.kind == "halves":
            if shape[along] % 2:
                raise Failure(f"{path}: axis {along} has the odd length {shape[along]}, and no halves")
            return fold, (*shape[:along], shape[along] // 2, *shape[along + 1 :])
    return fold, reduced if row.kind == "reduction" else array.shape


def apply(arguments):
    """Apply a function to all that a .npy file holds, in blocks, and write the result into another one."""
    row, path, output = find_row(arguments.function), arguments.input, arguments.output
    (options,) = given_options(arguments, [row])
    elements = arguments.memory // 2 // BYTES_PER_ELEMENT  # half, because Python and NumPy take something, too
    same = STANDARD not in {path, output} and not is_pipe(path) and exists(path) and exists(output)
    same = same and os.path.samefile(path, output)
    with reading(path) as file, arguments.threads, np.errstate(all="ignore"):
        source = read_header(file, "standard input" if path == STANDARD else path)
        if source.dtype == "V2" and str(arguments.dtype) != "bfloat16":
            raise Failure(f"{path}: holds {source.dtype}, as which NumPy saves bfloat16; --dtype bfloat16 reads it so")
        if source.dtype == "V2":
            source = source._replace(dtype=arguments.dtype)
        fold, shape = folded(row, source, options, path)
        dtype, result = checked_dtypes(row, options, source.dtype.newbyteorder("="), arguments.dtype, path)
        if row.kind != "elementwise":
            options["axis"] = 1
        if same:
            raise Failure(f"{output}: is the input, which is never written to")
        with replacing(output, arguments.force) as file:
            target = write_header(file, result, shape, source.fortran)
            Application(row, options, dtype, source, target, fold, elements).run()
    return 0


# -------------------------------------------------------------------------------- plot


def drawable(row, options, low, high):
    """Where to draw a function between low and high: that part of it in which there are finite values."""
    x = np.linspace(low, high, 1201)
    with np.errstate(all="ignore"):
        finite = x[np.isfinite(bound(functions, row, options)(x))]
    return np.linspace(finite[0], finite[-1], 1200) if 1 < len(finite) < len(x) else x


def plot(arguments):
    """Draw elementwise functions and their slopes."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise Failure("plot needs matplotlib: pip install matplotlib") from None
    rows, path = [find_row(name) for name in arguments.functions], arguments.output
    low, high = arguments.range or (-6.0, 6.0)
    along = [row.name for row in rows if row.kind != "elementwise"]
    if along:
        raise Failure(f"{along[0]} works along an axis; only elementwise functions can be drawn")
    every = given_options(arguments, rows)
    for row, options in zip(rows, every):
        checked_dtypes(row, options, np.dtype(float), None, path)
    suffix = os.path.splitext(path)[1][1:].lower()
    if suffix not in {"svg", "png", "pdf"}:
        raise Failure(f"{path}: the name has to end in .svg, .png or .pdf")
    if not (low < high and math.isfinite(high - low)):
        raise Failure(f"--range {low} {high}: LOW has to be less than HIGH")
    xs = [drawable(row, options, low, high) for row, options in zip(rows, every)]
    if arguments.range is None:
        low, high = min(x[0] for x in xs), max(x[-1] for x in xs)
    style = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3}
    with rc_context(style), np.errstate(all="ignore"), replacing(path, arguments.force) as file:
        figure = Figure(figsize=(10, 4.5), dpi=150, layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        for i, (row, options, x) in enumerate(zip(rows, every, xs)):
            line = {"color": COLOURS[i % len(COLOURS)], "linestyle": ("-", "--", ":")[i // len(COLOURS) % 3]}
            label = " ".join([row.name, *(f"{name}={value}" for name, value in options.items())])
            left.plot(x, bound(functions, row, options)(x), linewidth=2, label=label, **line)
            right.plot(x, bound(gradients, row, options)(1.0, x), linewidth=2, **line)
        left.set(title="function", xlabel="x", xlim=(low, high))
        right.set(title="slope", xlabel="x")
        figure.legend(loc="outside lower center", ncols=min(len(rows), 5), frameon=False)
        figure.savefig(file, format=suffix)
    return 0


# -------------------------------------------------------------------------------- the program


def report(arguments):
    """Print the configuration, a self-check and a short speed table; 1 if the check fails."""
    show_config()
    passed = print_check()
    if get_config()["kernels"] == "pure Python":
        print("\nno table of speeds: without compiled kernels there is no gain over NumPy")
    else:
        print_speeds(largest=10_000, rounds=3, seconds=0.002)
    return 0 if passed else 1


def axis(text):
    """An integer, or None for the whole array."""
    return None if text.lower() == "none" else int(text)


def dtype(text):
    """A dtype by its name alone: NumPy would also take descriptions of structures."""
    if not text.isalnum():
        raise ValueError
    if text == "bfloat16":
        try:
            import ml_dtypes  # noqa: F401
        except ImportError:
            raise argparse.ArgumentTypeError("bfloat16 needs ml_dtypes: pip install ml_dtypes") from None
    return np.dtype(text)


def threads(text):
    """The context in which large calls use that many threads."""
    return num_threads(int(text))


def memory(text):
    """Bytes, from a text like 256MB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMG]I?)?B?", text.strip().upper())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 256MB or 1.5GB")
    size = int(float(match[1]) * UNITS[match[2]])
    if size < LEAST_MEMORY:
        raise argparse.ArgumentTypeError(f"{text!r} is less than {LEAST_MEMORY // 10**6}MB")
    return size


class Parser(argparse.ArgumentParser):
    """Takes no abbreviations, and leaves it to `main` to tell of an error in one line."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message):
        raise Failure(message)


def parse(argv):
    """The arguments, with the function to run."""
    parser = Parser(prog="fastsig", description="Without a command: configuration, self-check and a short speed table.")
    parser.add_argument("--version", action="version", version=f"fastsig {VERSION}")
    parser.set_defaults(run=report)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    command = commands.add_parser("apply", help="a function of a .npy file, of any size", description=apply.__doc__)
    add_common(command, apply, "the .npy file to make, .fastsig-*.tmp until it is complete; - is standard output")
    add = command.add_argument
    applicable = [row for row in TABLE if not arrays_of(row)]
    add("function", metavar="FUNCTION", help=", ".join(row.name for row in applicable))
    add("input", metavar="INPUT", help="a .npy file; it is only read; - is standard input")
    users = ", ".join(row.name for row in applicable if "axis" in options_of(row))
    add("--axis", type=axis, default=argparse.SUPPRESS, help=f"{users}: an integer, or none for all axes")
    add("--dtype", type=dtype, help="to compute in, and of the result")
    add("--threads", type=threads, metavar="N", default=contextlib.nullcontext(), help="how many may be used")
    add("--memory", type=memory, metavar="SIZE", default="256MB", help="not to be exceeded (default: %(default)s)")

    command = commands.add_parser("plot", help="draw functions and their slopes", description=plot.__doc__)
    add_common(command, plot, "the .svg, .png or .pdf file to make")
    add = command.add_argument
    add("functions", metavar="FUNCTION", nargs="+", help="an elementwise function")
    add("--range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="of x (default: -6 6, or where they are defined)")
    # argparse takes -1e-2 and -inf for options, but nothing that begins with a space.
    arguments = sys.argv[1:] if argv is None else argv
    return parser.parse_args([f" {text}" if re.fullmatch(NEGATIVE, text) else text for text in arguments])


def main(argv=None):
    """Run a command line; return the exit code."""
    try:
        arguments = parse(argv)
        return arguments.run(arguments)
    except Failure as failure:
        message, code = str(failure), 2
    except OSError as error:
        message, code = f"{error.filename}: {error.strerror}" if error.filename else str(error), 2
    except MemoryError:
        message, code = "not enough memory", 2
    except KeyboardInterrupt:
        message, code = "interrupted", 130
    print("fastsig:", *message.splitlines(), file=sys.stderr)
    return code


def program():
    """The program `fastsig`: SIGTERM and SIGHUP end it as an exception does, so that temporary files are removed."""
    for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")):
        if number and signal.getsignal(number) is signal.SIG_DFL:  # under nohup, SIGHUP stays ignored
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())


if __name__ == "__main__":
    program()
