"""The command line: results are those of the functions, memory is bounded, and no failure leaves anything behind."""

import contextlib
import errno
import functools
import importlib.util
import io
import itertools
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PACKAGE
from layouts import assert_same_bits
from oracle import ELEMENTWISE, OF_ONE, ROWS, along, upwards

import fastsig
from fastsig import __main__ as command_line
from fastsig import _backend, _bench, _npy
from fastsig._catalog import TABLE, Choice, Parameter
from fastsig._functions import functions, gradients

OPTIONAL = [row for row in OF_ONE if not row.operands]  # without options, too
each_row = pytest.mark.parametrize("row", OPTIONAL, ids=lambda row: row.name)
posix = pytest.mark.skipif(os.name != "posix", reason="about POSIX")

PROGRAM = "from fastsig.__main__ import program; program()"
LEAST = command_line.LEAST_MEMORY


def run(*arguments):
    return command_line.main([str(argument) for argument in arguments])


def apply(row, x, *options, **saving):
    """What the command line makes of an array."""
    np.save("x.npy", x, **saving)
    assert run("apply", row.name, "x.npy", "-o", "y.npy", "--force", *options) == 0
    assert sorted(os.listdir()) == ["x.npy", "y.npy"]
    return np.load("y.npy")


def complaint(capsys):
    """The one line, without the program's name."""
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch("fastsig: .+\n", err), err
    return err[len("fastsig: ") : -1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # slow
    return tmp_path


@pytest.fixture(params=[3, 40], ids=["columns", "lines"])
def small_blocks(request, monkeypatch):
    """Blocks of no more than 40 elements, in pieces of 3, or in whole lines where there are no more than 40 columns."""
    monkeypatch.setattr(command_line, "BYTES_PER_ELEMENT", LEAST // 2 // 40)
    monkeypatch.setattr(command_line, "SHORTEST_PIECE", request.param)
    monkeypatch.setattr(command_line, "MOST_ELEMENTS", 16)
    return ["--memory", "32MB"]


# -------------------------------------------------------------------------------- apply

SHAPES = [(), (0,), (7,), (1, 100), (2, 0), (0, 3), (9, 11), (3, 50, 3), (2, 3, 1, 4)]


def arrays(order="C"):
    """Every dtype and shape, but not every pair of them."""
    dtypes = ["f4", "f8", "f2", ">f4", "i8", "?", ">i2", "u1", "f8"]
    for shape, dtype in zip(SHAPES, dtypes, strict=True):
        yield np.asarray(np.random.default_rng(0).normal(0, 5, shape)).astype(dtype, order=order)


def axes(row, x):
    return [None, *range(-1, max(1, x.ndim))] if row.kind != "elementwise" else [()]


@each_row
@pytest.mark.parametrize("order", "CF")
def test_apply(row, order):
    """To the bit what the function makes of the array in memory, in the same memory order."""
    for x in arrays(order):
        for axis in axes(row, x):
            options, keywords = ([], {}) if axis == () else (["--axis", axis], {"axis": axis})
            y, expected = apply(row, x, *options), np.asarray(functions[row.name](x, **keywords))
            assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
            if axis is None and order == "F":  # another order of summation
                np.testing.assert_allclose(y, expected, rtol=1e-2 if y.dtype == np.float16 else 1e-6)
            else:
                assert_same_bits(y, expected)
            if row.kind != "reduction" and x.size:
                assert y.flags.f_contiguous == x.flags.f_contiguous


@each_row
@pytest.mark.parametrize("order", "CF")
def test_apply_in_small_blocks(row, order, small_blocks):
    for x in arrays(order):
        for axis in axes(row, x):
            options, keywords = ([], {}) if axis == () else (["--axis", axis], {"axis": axis})
            y = apply(row, x, *options, *small_blocks)
            expected = np.asarray(functions[row.name](x, **keywords))
            assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
            eps = np.finfo(y.dtype).eps if y.dtype.kind == "f" else 0
            np.testing.assert_allclose(y, expected, rtol=16 * eps, atol=np.finfo(np.float16).tiny * eps)


@each_row
def test_default_options(row):
    x = np.random.default_rng(0).normal(0, 2, (4, 5)).astype(np.float32)
    assert_same_bits(apply(row, x), functions[row.name](x))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_temperature(row, capsys, small_blocks):
    """Of files of any size; what the function refuses is one line."""
    for temperature in ("0.7", "inf", "1e-3"):
        for x in (np.random.default_rng(0).normal(0, 3, (3, 50)), upwards(row, np.array([[1.0, -np.inf, 2.0] * 20]))):
            for axis in ("-1", "0", "none"):
                y = apply(row, x, "--temperature", temperature, "--axis", axis, *small_blocks)
                axes = None if axis == "none" else int(axis)
                expected = functions[row.name](x, axes, temperature=float(temperature))
                np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-300)
    assert run("apply", row.name, "x.npy", "-o", "z.npy", "--temperature", "0") == 2
    assert complaint(capsys) == f"{row.name}: temperature must be above 0, not 0.0"
    assert run("apply", "sigmoid", "x.npy", "-o", "z.npy", "--temperature", "2") == 2
    assert complaint(capsys) == "sigmoid: no such option as --temperature"


@pytest.mark.parametrize(
    "row", [row for row in ELEMENTWISE if row.parameters and not row.operands], ids=lambda row: row.name
)
def test_parameters(row):
    """An option for each; numbers may be negative."""
    x = np.random.default_rng(0).normal(0, 2, 50).astype(np.float32)
    for parameter in row.parameters:
        y = apply(row, x, f"--{parameter.name.replace('_', '-')}", "-0.3")
        assert_same_bits(y, functions[row.name](x, **{parameter.name: -0.3}))


def test_required_parameters(monkeypatch):
    """They are options, too, though a ufunc has no names for them."""
    x, (row,) = np.linspace(-3, 3, 50), (row for row in OF_ONE if row.operands)
    given = [f"--{name}={value}" for name, value in row.operands.items()]
    assert_same_bits(apply(row, x, *given), functions[row.name](x, *row.operands.values()))
    figure = pytest.importorskip("matplotlib.figure")
    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, file, format: drawn.append(self))
    assert run("plot", row.name, *given, "-o", "figure.svg") == 0
    for panel, function in zip(drawn[0].axes, (functions[row.name], functools.partial(gradients[row.name], 1.0))):
        curve, y = panel.lines[0].get_data()
        assert_same_bits(y, function(curve, *row.operands.values()))


@pytest.mark.parametrize("text", ["-1e-2", "-.5E+0", "-inf", "-3"])
def test_negative_numbers(text):
    x = np.linspace(-3, 3, 50)
    for row in ELEMENTWISE:
        for parameter in row.parameters:
            if parameter.is_array:
                continue
            given = row.operands | {parameter.name: float(text)}
            options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in row.operands.items()]
            y = apply(row, x, *itertools.chain(*options), f"--{parameter.name.replace('_', '-')}", text)
            required = [given.pop(name) for name in row.operands]
            assert_same_bits(y, functions[row.name](x, *required, **given))


CHOICE = TABLE[0]._replace(
    name="scaled", parameters=(Parameter("by", 2, "A number."),), choice=Choice("how", "up", "100% a word.", ())
)


def scaled(x, how="up", by=2):
    if how not in {"up", "down"}:
        raise ValueError(f"how must be\nup or down, not {how}")
    return x * by if how == "up" else x / by


def test_parameter_that_is_a_word(monkeypatch, capsys):
    """Options are of their default's type, but an integer may be any number; what the function refuses is one line."""
    monkeypatch.setattr(command_line, "TABLE", (*TABLE, CHOICE))
    monkeypatch.setattr(command_line, "functions", {**functions, CHOICE.name: scaled})
    assert apply(CHOICE, np.ones(1), "--how", "down", "--by", 2.5) == 0.4
    lines = ["apply scaled x.npy -o z.npy --how sideways", "apply sigmoid x.npy -o z.npy --how up"]
    messages = ["how must be up or down, not sideways", "sigmoid: no such option as --how"]
    if importlib.util.find_spec("matplotlib"):
        lines, messages = [*lines, "plot scaled -o z.svg --how sideways"], [*messages, messages[0]]
    for line, message in zip(lines, messages, strict=True):
        assert run(*line.split()) == 2
        assert complaint(capsys) == message
    with pytest.raises(SystemExit):
        run("apply", "--help")
    printed = capsys.readouterr().out
    assert "scaled: 100% a word. Default up" in printed and "broadcast" not in printed


@each_row
def test_dtype(row):
    """Sets the dtype of computation and result, as in a ufunc."""
    x = np.random.default_rng(0).normal(0, 2, (4, 5)).astype(np.float64)
    for dtype in ("float16", "float32", "f8"):
        assert_same_bits(apply(row, x, "--dtype", dtype), np.asarray(functions[row.name](x.astype(dtype))))
    integers = np.arange(-3, 4)
    assert_same_bits(apply(row, integers, "--dtype", "float32"), functions[row.name](integers.astype(np.float32)))
    if row.keeps_integers:
        assert_same_bits(apply(row, integers, "--dtype", "int16"), functions[row.name](integers.astype(np.int16)))


def test_bfloat16(capsys, monkeypatch):
    """NumPy saves it as V2."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.random.default_rng(0).normal(0, 2, (4, 5)).astype(bfloat16)
    for row in OPTIONAL:
        assert_same_bits(apply(row, x, "--dtype", "bfloat16").view(bfloat16), np.asarray(functions[row.name](x)))
        wide = x.astype(np.float32)
        assert_same_bits(apply(row, wide, "--dtype", "bfloat16").view(bfloat16), np.asarray(functions[row.name](x)))
    np.save("x.npy", x)
    for dtype in ([], ["--dtype", "float32"]):
        assert run("apply", "relu", "x.npy", "-o", "z.npy", *dtype) == 2
        assert complaint(capsys) == "x.npy: holds |V2, as which NumPy saves bfloat16; --dtype bfloat16 reads it so"
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert run("apply", "relu", "x.npy", "-o", "z.npy", "--dtype", "bfloat16") == 2
    assert complaint(capsys) == "argument --dtype: bfloat16 needs ml_dtypes: pip install ml_dtypes"


def piped(*arguments, given=b"", **options):
    """The finished program, with that on its standard input."""
    command = [sys.executable, "-c", PROGRAM, "apply", *arguments]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(command, env=environment, input=given, capture_output=True, timeout=60, **options)


@pytest.mark.parametrize("order", "CF")
def test_standard_input_and_output(order):
    """Through pipes, which cannot be mapped, and no file but the results is made."""
    x = np.random.default_rng(0).normal(0, 2, (300, 500)).astype(np.float32, order=order)
    np.save("x.npy", x)
    given, wanted = Path("x.npy").read_bytes(), functions["softmax"](x)
    os.unlink("x.npy")
    for options in ([], ["--memory", "32MB"]):
        done = piped("softmax", "-", "-o", "-", *options, given=given)
        assert (done.returncode, done.stderr) == (0, b"")
        y = np.load(io.BytesIO(done.stdout))
        assert_same_bits(y, wanted)
        assert y.flags.f_contiguous == x.flags.f_contiguous
    assert os.listdir() == []
    assert piped("softmax", "-", "-o", "y.npy", given=given).returncode == 0
    assert_same_bits(np.load("y.npy"), wanted)
    for wrong, message in ((b"", "not a .npy file"), (given[:-1], "cut short, 600127 bytes of 600128")):
        done = piped("softmax", "-", "-o", "-", given=wrong)
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.decode() == f"fastsig: standard input: {message}\n"
    assert os.listdir() == ["y.npy"]


@posix
def test_pipes(folder):
    """A pipe by its name, as a shell makes of <(...); and one whose reader goes away."""
    np.save("x.npy", np.arange(1_000_000.0))
    os.mkfifo("pipe")
    with subprocess.Popen(["sh", "-c", "cat x.npy > pipe"]):
        assert run("apply", "sigmoid", "pipe", "-o", "y.npy") == 0
    assert_same_bits(np.load("y.npy"), functions["sigmoid"](np.arange(1_000_000.0)))
    command = [sys.executable, "-c", PROGRAM, "apply", "sigmoid", "x.npy", "-o", "-"]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b"fastsig: standard output: Broken pipe\n"
    assert process.returncode == 2


@posix
def test_terminals_are_no_files():
    np.save("x.npy", np.zeros(3))
    master, slave = os.openpty()
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    for line, use in (("- -o y.npy", "stdin"), ("x.npy -o -", "stdout")):
        command = [sys.executable, "-c", PROGRAM, "apply", "sigmoid", *line.split()]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, timeout=60, **{use: slave})
        assert done.returncode == 2 and b": a terminal, " in done.stderr
    os.close(slave)
    os.close(master)
    assert os.listdir() == ["x.npy"]


def test_threads(monkeypatch):
    seen = []
    monkeypatch.setattr(command_line.Application, "run", lambda self: seen.append(fastsig.get_num_threads()))
    apply(TABLE[0], np.zeros(3), "--threads", 3)
    assert seen == [3 if fastsig.get_config()["openmp"] else 1]
    assert fastsig.get_num_threads() != 3


@pytest.mark.parametrize("x", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf] * 2, [-np.inf, 1.0, -np.inf]], ids=str)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_special_values_in_long_rows(row, x, small_blocks):
    """NaN wherever in the row; whole blocks of -inf before, between and after others."""
    for place in (0, 60, 100):
        whole = upwards(row, np.insert(np.full(100, -np.inf), place, x))
        assert_same_bits(
            np.round(apply(row, whole, *small_blocks), 12), np.round(functions[row.name](whole), 12), f"at {place}"
        )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_accuracy_of_long_rows(row, small_blocks):
    """As good as a row in memory: also in many blocks, with a rising maximum, and where the result is close to 0."""
    rng = np.random.default_rng(0)
    for x in (
        rng.normal(0, 3, 4000),
        np.linspace(-30, 30, 4000),
        upwards(
            row, np.append(np.full(1000, -45.0), 0)
        ),  # log_softmax of the last is -2.9e-17, which 1 + 2.9e-17 has lost
        np.append(0, np.full(1000, -45.0)),
        rng.normal(0, 3, (400, 5)).astype(np.float32),
    ):
        y, truth = apply(row, x, "--axis", 0, *small_blocks), along(row, x, 0)
        x = upwards(row, x.astype(np.longdouble))
        bound = (8 + np.abs(x - x.max(0))) * np.finfo(y.dtype).eps
        np.testing.assert_array_less(np.abs((y - truth) / truth), bound)


REDUCTION = ROWS[0]._replace(name="logarithm_of_sum", kind="reduction")


def logarithm_of_sum(x, axis=None):
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        result = np.logaddexp.reduce(x.astype(np.float64), axis, initial=-np.inf)
    return result.astype(np.result_type(x.dtype, np.float16) if x.dtype.kind == "f" else np.float64)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("small", [False, True])
def test_reduction(order, small, request, monkeypatch):
    monkeypatch.setattr(command_line, "TABLE", (*TABLE, REDUCTION))
    monkeypatch.setattr(command_line, "functions", {**functions, REDUCTION.name: logarithm_of_sum})
    if small:
        monkeypatch.setattr(command_line, "BYTES_PER_ELEMENT", LEAST // 2 // 40)
        monkeypatch.setattr(command_line, "SHORTEST_PIECE", 3)
    for x in arrays(order):
        for axis in axes(REDUCTION, x):
            expected = logarithm_of_sum(x, axis if x.ndim else None)
            y = apply(REDUCTION, x, "--axis", axis, "--memory", "32MB")
            assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
            np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(y.dtype).eps)
    for row in ([np.inf, 1.0], [-np.inf, -np.inf], [np.nan, np.inf]):
        x = np.resize(row, 100)
        assert_same_bits(apply(REDUCTION, x, "--memory", "32MB"), logarithm_of_sum(x))


def test_every_backend(python, folder):
    """The pure-Python fallback, too, in blocks large and small."""
    code = """
import numpy as np, fastsig
from fastsig import __main__ as m
from fastsig._catalog import TABLE
x = np.random.default_rng(0).normal(0, 3, (30, 40)).astype(np.float32)
np.save("x.npy", x)
for elements in (10**6, 100):
    m.BYTES_PER_ELEMENT, m.SHORTEST_PIECE = m.LEAST_MEMORY // 2 // elements, 10
    for row in (row for row in TABLE if not row.operands):
        assert m.main(["apply", row.name, "x.npy", "-o", "y.npy", "--force", "--memory", "32MB"]) == 0
        np.testing.assert_allclose(np.load("y.npy"), getattr(fastsig, row.name)(x), rtol=1e-5)
m.print_speeds = lambda **effort: None
assert m.main([]) == 0
"""
    done = python(f"import os; os.chdir({str(folder)!r})\n{code}", FASTSIG_PURE_PYTHON="1")
    assert done.returncode == 0, done.stderr
    assert "kernels  pure Python" in done.stdout and done.stdout.count(" OK\n") == len(TABLE)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="about Linux")
@pytest.mark.parametrize("pure", "01")
def test_memory(python, folder, pure):
    """Files much larger than the memory, cut into blocks in all ways; beside the interpreter itself."""
    code = """
import os, re, sys
import numpy as np
from fastsig.__main__ import main
os.chdir(sys.argv[1])
os.fsync = lambda file: None
elementwise, rows = sys.argv[2:]
def peak():  # resource.getrusage would begin with that of the process that started this one
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
before = peak()
for name, shape, *axis in [
    (elementwise, (10_000_000,)),
    (rows, (10_000, 1000)),
    (rows, (10_000_000,)),
    (rows, (5_000_000, 2), "--axis", "0"),
    (rows, (4, 2_500_000), "--axis", "0"),
    (rows, (100, 100_000), "--axis", "0"),
]:
    np.lib.format.open_memmap("x.npy", "w+", np.float32, shape)  # zeros that take no space on the disk
    assert main(["apply", name, "x.npy", "-o", "y.npy", "--force", "--memory", "32MB", *axis]) == 0
    y = np.load("y.npy", mmap_mode="r")
    assert y.shape == shape and y.flat[0] == y.flat[-1] != 0
    print(peak() - before)
"""
    done = python(code, str(folder), ELEMENTWISE[0].name, ROWS[0].name, FASTSIG_PURE_PYTHON=pure)
    assert done.returncode == 0, done.stderr
    peaks = [int(peak) for peak in done.stdout.split()]
    assert 0 < peaks[0] <= peaks[-1] < LEAST, peaks


# -------------------------------------------------------------------------------- files


def test_space_is_taken_before_the_work(monkeypatch):
    """A disk that fills up under mapped memory would kill the process."""
    sizes = []
    run = command_line.Application.run

    def first(self):
        sizes.append(os.fstat(self.target.file.fileno()).st_blocks * 512)
        run(self)

    monkeypatch.setattr(command_line.Application, "run", first)
    apply(TABLE[0], np.zeros(100_000))
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    assert_same_bits(apply(TABLE[0], np.ones(300_001)), functions[TABLE[0].name](np.ones(300_001)))
    assert_same_bits(apply(TABLE[0], np.ones(())), functions[TABLE[0].name](np.ones(1)).reshape(()))
    if os.name == "posix":
        assert sizes[0] >= 800_000 and sizes[1] >= 2_400_000


def test_written_before_renamed(monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, original=original: (calls.append(name), original(*a)))
    apply(TABLE[0], np.zeros(3))
    assert calls == ["fsync", "replace"]


@posix
def test_permissions():
    """A new file's are the usual ones; a replaced file's stay."""
    before = os.umask(0o027)
    try:
        apply(TABLE[0], np.zeros(3))
        assert stat.S_IMODE(os.stat("y.npy").st_mode) == 0o640
        os.chmod("y.npy", 0o600)
        apply(TABLE[0], np.zeros(3))
        assert stat.S_IMODE(os.stat("y.npy").st_mode) == 0o600
    finally:
        os.umask(before)


@posix
def test_links():
    """Links are followed, and stay."""
    os.mkdir("elsewhere")
    np.save("elsewhere/x.npy", np.zeros(3))
    os.symlink("elsewhere/x.npy", "x.npy")
    os.symlink("elsewhere/y.npy", "y.npy")
    for force in ([], ["--force"]):
        assert run("apply", TABLE[0].name, "x.npy", "-o", "y.npy", *force) == 0
        assert os.path.islink("y.npy")
        assert sorted(os.listdir("elsewhere")) == ["x.npy", "y.npy"]


# -------------------------------------------------------------------------------- failures

SUPPORTED = "supports bool, integer, float16, float32 and float64 input, and bfloat16 of ml_dtypes, not"
HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"


def broken(header):
    """A .npy file with this header, and zeros."""
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00v\x00" + text.encode("latin1") + bytes(24)


class Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


@pytest.fixture
def files():
    np.save("x.npy", np.zeros((2, 3), np.float32))
    np.save("exists.npy", np.zeros(1))
    for name, dtype in (("complex", "c8"), ("text", "U4"), ("long", "g"), ("struct", [("a", "f4")])):
        np.save(f"{name}.npy", np.zeros(3, dtype))
    np.save("pickle.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez("archive.npz", x=np.zeros(3))
    for name, content in {
        "empty.npy": b"",
        "prose.npy": b"To whom it may concern",
        "short.npy": broken(HEADER)[:-1],
        "half.npy": broken(HEADER)[:60],
        "unbalanced.npy": broken(HEADER.replace("(2, 3)", "((2, 3)")),
        "negative.npy": broken(HEADER.replace("(2,", "(-2,")),
        "number.npy": broken(HEADER.replace("(2, 3)", "6")),
        "call.npy": broken(HEADER.replace("(2, 3)", "open('exploded', 'w')")),
        "new.npy": b"\x93NUMPY\x09\x00" + broken(HEADER)[8:],
    }.items():
        Path(name).write_bytes(content)
    os.mkdir("folder")
    return sorted(os.listdir())


ONE, OTHER = "sigmoid x.npy -o y.npy", "softmax x.npy -o y.npy"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sigmoyd x.npy -o y.npy", "unknown function 'sigmoyd'; did you mean sigmoid?"),
        ("Soft-Max x.npy -o y.npy", "unknown function 'Soft-Max'; did you mean softmax?"),
        ("cross_entropy x.npy -o y.npy", "cross_entropy takes a target beside x; call it from Python"),
        ("threshold x.npy -o y.npy", "threshold needs --threshold and --value"),
        ("threshold x.npy -o y.npy --value 1", "threshold needs --threshold"),
        ("qqq x.npy -o y.npy", "unknown function 'qqq'; there are " + ", ".join(row.name for row in TABLE)),
        ("sigmoid missing.npy -o y.npy", "missing.npy: No such file or directory"),
        ("sigmoid folder -o y.npy", "folder: not a regular file"),
        ("sigmoid x.npy/x.npy -o y.npy", "x.npy/x.npy: Not a directory"),
        ("sigmoid empty.npy -o y.npy", "empty.npy: not a .npy file"),
        ("sigmoid prose.npy -o y.npy", "prose.npy: not a .npy file"),
        ("sigmoid archive.npz -o y.npy", "archive.npz: not a .npy file"),
        ("sigmoid short.npy -o y.npy", "short.npy: cut short, 151 bytes of 152"),
        ("sigmoid half.npy -o y.npy", "half.npy: broken .npy header, EOF: .*"),
        ("sigmoid unbalanced.npy -o y.npy", "unbalanced.npy: broken .npy header, .*"),
        ("sigmoid negative.npy -o y.npy", r"negative.npy: broken .npy header, shape \(-2, 3\)"),
        ("sigmoid number.npy -o y.npy", "number.npy: broken .npy header, .*"),
        ("sigmoid call.npy -o y.npy", "call.npy: broken .npy header, .*"),
        ("sigmoid new.npy -o y.npy", "new.npy: broken .npy header, .*"),
        ("sigmoid complex.npy -o y.npy", f"complex.npy: ufunc 'sigmoid' {SUPPORTED} complex64"),
        ("softmax text.npy -o y.npy", f"text.npy: ufunc 'softmax' {SUPPORTED} str_"),
        ("softmax struct.npy -o y.npy", f"struct.npy: ufunc 'softmax' {SUPPORTED} void"),
        ("sigmoid pickle.npy -o y.npy", f"pickle.npy: ufunc 'sigmoid' {SUPPORTED} object_"),
        ("sigmoid x.npy -o exists.npy", "exists.npy: exists; --force replaces it"),
        ("sigmoid x.npy -o x.npy", "x.npy: is the input, which is never written to"),
        ("sigmoid x.npy -o ./folder/../x.npy --force", ".*x.npy: is the input, which is never written to"),
        ("sigmoid x.npy -o folder --force", "folder: not a regular file"),
        ("sigmoid x.npy -o nowhere/y.npy", "nowhere/y.npy: No such file or directory"),
        ("sigmoid x.npy -o nowhere/", "nowhere/: not the name of a file"),
        ("sigmoid x.npy -o x.npy/y.npy", "x.npy/y.npy: Not a directory"),
        (f"sigmoid x.npy -o {'y' * 300}", "y{300}: File name too long"),
        (f"{OTHER} --axis 2", "x.npy: axis 2 is out of bounds for array of dimension 2"),
        (f"{OTHER} --axis -3", "x.npy: axis -3 is out of bounds for array of dimension 2"),
        (f"{OTHER} --axis first", "argument --axis: invalid axis value: 'first'"),
        (f"{ONE} --axis 0", "sigmoid: no such option as --axis"),
        (f"{ONE} --negative-slope 0.2", "sigmoid: no such option as --negative-slope"),
        ("leaky_relu x.npy -o y.npy --negative-slope a", "argument --negative-slope: invalid float value: 'a'"),
        (f"{ONE} --dtype int32", "--dtype int32: sigmoid makes no int32 of float32"),
        ("relu x.npy -o y.npy --dtype int32", "--dtype int32: relu makes no int32 of float32"),
        (f"{ONE} --dtype complex64", f"--dtype complex64: ufunc 'sigmoid' {SUPPORTED} complex64"),
        (f"{ONE} --dtype single,", "argument --dtype: invalid dtype value: 'single,'"),
        (f"{ONE} --dtype real", "argument --dtype: invalid dtype value: 'real'"),
        (f"{ONE} --threads 0", "argument --threads: invalid threads value: '0'"),
        (f"{ONE} --threads all", "argument --threads: invalid threads value: 'all'"),
        (f"{ONE} --memory 64", "argument --memory: '64' is less than 32MB"),
        (f"{ONE} --memory much", "argument --memory: 'much' is no size like 256MB or 1.5GB"),
        (f"{ONE} --forc", "unrecognized arguments: --forc"),
        ("sigmoid x.npy", "the following arguments are required: -o/--output"),
        ("", "the following arguments are required: .*"),
    ],
    ids=lambda value: value[:60],
)
def test_failures(line, message, files, capsys):
    """One line, exit code 2, and no file is made, changed or unpickled."""
    before = {name: Path(name).read_bytes() for name in files if name != "folder"}
    assert run("apply", *line.split()) == 2
    text = complaint(capsys)
    assert text == message or re.fullmatch(message, text)
    assert sorted(os.listdir()) == files
    assert before == {name: Path(name).read_bytes() for name in before}


def test_failures_without_a_command(capsys):
    assert run("aply") == 2
    assert "invalid choice: 'aply'" in complaint(capsys)


def test_long_double(files, capsys):
    if np.dtype("g") == np.dtype("d"):
        pytest.skip("long double is float64")
    assert run("apply", "sigmoid", "long.npy", "-o", "y.npy") == 2
    assert complaint(capsys).startswith(f"long.npy: ufunc 'sigmoid' {SUPPORTED} ")


@posix
def test_special_files(files, capsys):
    """A device is neither read nor replaced, nor is a pipe replaced."""
    os.mkfifo("pipe")
    for line in ("/dev/null -o y.npy", "x.npy -o pipe --force"):
        assert run("apply", "sigmoid", *line.split()) == 2
        assert complaint(capsys).endswith(": not a regular file")
    assert run("apply", "sigmoid", "x.npy", "-o", "/dev/null", "--force") == 2
    assert complaint(capsys) == "/dev/null: not a regular file"
    os.symlink("x.npy", "link.npy")
    os.link("x.npy", "hard.npy")
    for name in ("link.npy", "hard.npy"):
        assert run("apply", "sigmoid", "x.npy", "-o", name, "--force") == 2
        assert complaint(capsys) == f"{name}: is the input, which is never written to"


@posix
def test_line_break_in_a_name(capsys):
    assert run("apply", "sigmoid", "a\nb.npy", "-o", "y.npy") == 2
    assert complaint(capsys) == "a b.npy: No such file or directory"


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do everything")
def test_no_permission(files, capsys):
    os.chmod("folder", 0o500)
    os.chmod("exists.npy", 0)
    assert run("apply", "sigmoid", "x.npy", "-o", "folder/y.npy") == 2
    assert complaint(capsys) == "folder/y.npy: Permission denied"
    assert run("apply", "sigmoid", "exists.npy", "-o", "y.npy") == 2
    assert complaint(capsys) == "exists.npy: Permission denied"


@posix
@pytest.mark.parametrize("allocate", [True, False])
def test_disk_full(python, folder, allocate):
    """What is written beyond the limit fails as on a full disk, before or while the space is taken."""
    np.save("x.npy", np.zeros(1_000_000))
    code = "import os, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000,) * 2)\n"
    code += "" if allocate else "if hasattr(os, 'posix_fallocate'): del os.posix_fallocate\n"
    done = python(code + PROGRAM, "apply", "sigmoid", str(folder / "x.npy"), "-o", str(folder / "y.npy"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"fastsig: {folder / 'y.npy'}: File too large\n"
    assert os.listdir() == ["x.npy"]


def test_late_failure(monkeypatch, capsys):
    """An error of the system while blocks are written; the file that was there stays."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    np.save("x.npy", np.zeros(10))
    np.save("y.npy", np.arange(3))
    monkeypatch.setattr(_npy.Array, "write", full)
    assert run("apply", "sigmoid", "x.npy", "-o", "y.npy", "--force") == 2
    assert complaint(capsys) == "y.npy: No space left on device"
    assert sorted(os.listdir()) == ["x.npy", "y.npy"]
    assert_same_bits(np.load("y.npy"), np.arange(3))


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(KeyboardInterrupt, 130, "interrupted"), (MemoryError, 2, "not enough memory"), (ZeroDivisionError, None, None)],
)
def test_interruption(error, code, message, monkeypatch, capsys):
    """Whatever happens, the temporary file goes; an error of ours is not hidden."""

    def fail(*_):
        assert len(os.listdir()) == 2
        raise error

    np.save("x.npy", np.zeros(10))
    monkeypatch.setattr(command_line.Application, "block", fail)
    if code is None:
        with pytest.raises(error):
            run("apply", "sigmoid", "x.npy", "-o", "y.npy")
    else:
        assert run("apply", "sigmoid", "x.npy", "-o", "y.npy") == code
        assert complaint(capsys) == message
    assert os.listdir() == ["x.npy"]


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_signals(name, folder):
    """The temporary file is removed, save by SIGKILL; there is never a half-written result."""
    np.save("x.npy", np.zeros(10))
    code = """
import signal, time
from fastsig import __main__ as m
for name in ("SIGTERM", "SIGHUP"):  # whatever is ignored by those who run the tests
    signal.signal(getattr(signal, name), signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
def block(*_):
    print("at work", flush=True)
    while True:  # a signal just before a sleep is handled after it
        time.sleep(0.01)
m.Application.block = block
m.program()
"""
    command = [sys.executable, "-c", code, "apply", "sigmoid", "x.npy", "-o", "y.npy"]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "at work\n"
        assert len(os.listdir()) == 2
        process.send_signal(getattr(signal, name))
        errors = process.communicate(timeout=30)[1]
    assert process.returncode == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGKILL": -9}[name]
    assert errors == ("fastsig: interrupted\n" if name == "SIGINT" else "")
    assert "y.npy" not in os.listdir()
    assert name == "SIGKILL" or os.listdir() == ["x.npy"]


# -------------------------------------------------------------------------------- progress


@posix
@pytest.mark.parametrize("rows", [1000, 1], ids=["once", "twice"])
def test_bar(rows):
    """On a terminal: rate and time left; bytes are counted each time they are read."""
    pytest.importorskip("tqdm")
    import fcntl
    import termios

    np.save("x.npy", np.zeros((rows, 600_000 // rows)))
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, np.array([24, 100, 0, 0], np.uint16).tobytes())
    command = [sys.executable, "-c", PROGRAM, "apply", "softmax", "x.npy", "-o", "y.npy", "--memory", "32MB"]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(command, env=environment, stderr=slave, stdout=subprocess.PIPE, timeout=60)
    os.close(slave)
    text, part = "", b"..."
    with contextlib.suppress(OSError):  # Linux's end of a terminal
        while part:
            part = os.read(master, 10_000)
            text += part.decode()
    os.close(master)
    assert (done.returncode, done.stdout) == (0, b"")
    last = text.strip().split("\r")[-1]
    assert re.search(r"softmax: 100%.*\| (\d\.\d\dM)/\1 \[.*<.*B/s\]", last), text
    assert ("4.80M" if rows == 1000 else "9.60M") in last


def test_no_bar_elsewhere(capsys):
    """Neither in a file or a pipe..."""
    apply(TABLE[0], np.zeros(10))
    assert capsys.readouterr() == ("", "")


def test_no_tqdm(monkeypatch, capsys):
    """...nor without tqdm."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    apply(TABLE[0], np.zeros(10))
    assert capsys.readouterr() == ("", "")


# -------------------------------------------------------------------------------- plot


def test_plot(python, folder):
    """All elementwise functions, in every format; nothing else is drawn, and nothing is overwritten."""
    pytest.importorskip("matplotlib")
    code = """
import os, sys
from fastsig.__main__ import main
os.chdir(sys.argv[1])
for suffix in ("svg", "png", "PDF"):
    assert main(["plot", *sys.argv[2:], "--negative-slope", "0.3", "-o", f"figure.{suffix}", "--range", "-3", "3"]) == 0
assert main(["plot", *sys.argv[2:], "-o", "figure.svg"]) == 2
"""
    names = [row.name for row in ELEMENTWISE if not row.operands]
    done = python(code, str(folder), *names, MPLCONFIGDIR=str(folder / "config"))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "fastsig: figure.svg: exists; --force replaces it\n" in done.stderr
    shutil.rmtree("config", ignore_errors=True)
    assert sorted(os.listdir()) == ["figure.PDF", "figure.png", "figure.svg"]
    for name, start in (("figure.png", b"\x89PNG"), ("figure.PDF", b"%PDF"), ("figure.svg", b"<?xml")):
        content = Path(name).read_bytes()
        assert content.startswith(start) and len(content) > 10_000


def test_slopes(monkeypatch):
    """Functions are drawn, and their derivatives; parameters go to the functions that have them."""
    pytest.importorskip("matplotlib")
    from matplotlib import figure

    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, file, format: drawn.append(self))
    assert run("plot", "sigmoid", "leaky_relu", "--negative-slope", "0.3", "-o", "figure.svg") == 0
    left, right = drawn[0].axes
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["sigmoid", "leaky_relu negative_slope=0.3"]
    x, y = left.lines[0].get_data()
    assert (x[0], x[-1]) == (-6, 6)
    assert_same_bits(y, fastsig.sigmoid(x))
    np.testing.assert_allclose(right.lines[0].get_ydata(), y * (1 - y), atol=1e-15)
    np.testing.assert_allclose(right.lines[1].get_ydata(), np.where(x > 0, 1, 0.3))


def test_drawn_where_it_is_defined(monkeypatch):
    """A function's curve has all of its points there; the picture has room for all, or shows the range asked for."""
    pytest.importorskip("matplotlib")
    from matplotlib import figure

    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, file, format: drawn.append(self))
    for line, limits in (("logit", (0.005, 0.995)), ("logit tanh", (-6, 6)), ("logit --range -1 3", (-1, 3))):
        assert run("plot", *line.split(), "-o", "figure.svg", "--force") == 0
        left = drawn[-1].axes[0]
        assert np.allclose(left.get_xlim(), limits, atol=0.005)
        x, y = left.lines[0].get_data()
        assert 0 < x[0] < 0.011 and 0.989 < x[-1] < 1 and np.isfinite(y).all() and len(x) == 1200


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("softmax -o y.svg", "softmax works along an axis; only elementwise functions can be drawn"),
        ("expit -o y.jpg", "unknown function 'expit'; did you mean sigmoid?"),
        ("clip -o y.jpg", "unknown function 'clip'; did you mean relu6 or hard_tanh?"),
        ("swis -o y.jpg", "unknown function 'swis'; did you mean swish?"),
        ("tahn -o y.svg", "unknown function 'tahn'; did you mean tanh?"),
        ("tanh -o y.jpg", "y.jpg: the name has to end in .svg, .png or .pdf"),
        ("tanh -o y.svg --range 2 1", "--range 2.0 1.0: LOW has to be less than HIGH"),
        ("tanh -o y.svg --range 2 nan", "--range 2.0 nan: LOW has to be less than HIGH"),
        ("tanh sigmoid -o y.svg --negative-slope 1", "tanh, sigmoid: no such option as --negative-slope"),
        ("relu threshold --value 2 -o y.svg", "threshold needs --threshold"),
        ("tanh -o nowhere/y.svg", "nowhere/y.svg: No such file or directory"),
        ("-o y.svg", "the following arguments are required: FUNCTION"),
    ],
)
def test_plot_failures(line, message, capsys):
    pytest.importorskip("matplotlib")
    assert run("plot", *line.split()) == 2
    assert complaint(capsys) == message
    assert os.listdir() == []


def test_no_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("plot", "tanh", "-o", "y.svg") == 2
    assert complaint(capsys) == "plot needs matplotlib: pip install matplotlib"


# -------------------------------------------------------------------------------- without a command


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(_bench, "least_time", lambda call, **effort: (call(), 1.0)[1])


def test_report(quick, capsys):
    """Configuration, then a line for every function in the self-check and in the speed table."""
    assert run() == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"fastsig  {fastsig.__version__} with NumPy {np.__version__}\nkernels  ")
    for row in TABLE:
        check, *speeds = (line.split()[1:] for line in printed.splitlines() if line.split()[:1] == [row.name])
        assert check[-1] == "OK"
        assert all(float(difference) < 1e-6 for difference in check[:-1])
        assert [set(speed) for speed in speeds] == ([{"1.0x"}] if _backend.threads else [])


@pytest.mark.parametrize(
    "wrong", [lambda y: y + 1e-5, lambda y: np.where(y > np.nanmean(y), np.nan, y)], ids=["far", "NaN"]
)
def test_failed_check(wrong, quick, monkeypatch, capsys):
    for row in TABLE:
        changed = {**functions, row.name: lambda *x, row=row, **axis: wrong(functions[row.name](*x, **axis))}
        with monkeypatch.context() as patch:
            patch.setattr(_bench, "functions", changed)
            assert run() == 1
        failed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.endswith("FAIL")]
        assert failed == [row.name]


def test_as_a_module():
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "fastsig"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" OK\n") == len(TABLE)


def test_no_speeds_without_kernels(python):
    done = python("import fastsig.__main__ as program; print(program.main([]))", FASTSIG_PURE_PYTHON="1")
    assert done.stdout.count(" OK\n") == len(TABLE)
    assert done.stdout.endswith("without compiled kernels there is no gain over NumPy\n0\n")


def test_help(capsys):
    """Every function and every parameter is in it."""
    with pytest.raises(SystemExit) as stopped:
        run("apply", "--help")
    text = capsys.readouterr().out
    assert stopped.value.code == 0
    for row in OF_ONE:
        assert row.name in text
        assert all(f"--{parameter.name.replace('_', '-')} VALUE" in text for parameter in row.parameters)
    with pytest.raises(SystemExit):
        run("--version")
    assert capsys.readouterr().out == f"fastsig {fastsig.__version__}\n"


def test_import_does_not_load_it(python):
    done = python("import sys, fastsig; print('fastsig.__main__' in sys.modules, 'fastsig._npy' in sys.modules)")
    assert done.stdout == "False False\n"
