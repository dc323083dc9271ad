"""The race: what its contenders are asked to compute, and what is said of the times. None are measured here."""

import importlib
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import PACKAGE

from fastsig._catalog import TABLE

CHECKOUT = PACKAGE.parent
pytestmark = pytest.mark.skipif(not (CHECKOUT / "bench").exists(), reason="about the source tree")
pytest.importorskip("tqdm")

DTYPES = ("float32", "float64", "float16", "bfloat16")


@pytest.fixture
def race(monkeypatch):
    """bench/race.py, with shapes of a few numbers and without patience."""
    monkeypatch.syspath_prepend(CHECKOUT / "bench")
    names = ("race", "peers", "report")
    module = importlib.import_module("race")
    for shapes in ("ROWS", "OTHER_ROWS", "INTEGER_ROWS"):
        monkeypatch.setattr(module, shapes, (((20, 100), -1), ((12, 5, 20), 1)))
    monkeypatch.setattr(module, "SIZES", (7, 1100))
    monkeypatch.setattr(module, "INTEGER_SIZES", (7, 1100))
    monkeypatch.setattr(module.peers, "LEAST", 0)
    monkeypatch.setattr(module.peers, "gc", SimpleNamespace(collect=lambda: None))
    yield module
    for name in names:
        sys.modules.pop(name)


@pytest.mark.parametrize("section", ["race", "gradients", "rows", "integers"])
@pytest.mark.parametrize("name", ["fastsig", "numpy", "float32", "astype"])
def test_contenders_compute_what_is_asked(race, section, name):
    """A result is right by NumPy's expression, or for a gradient by the table's derivative; NumPy, in whose own 16 bits
    much is lost, has one in 64."""
    pytest.importorskip("ml_dtypes")
    contender = race.peers.Race(race.peers.CONTENDERS[name](1))
    done = set()
    with np.errstate(all="ignore"):
        for task in race.CELLS[section](TABLE, DTYPES, False):
            if contender.contender.can(task) and (name != "numpy" or task["dtype"] == "float64"):
                form = contender.prepare(task)["form"]
                assert ("out" in form) == task["out"] or name == "numpy"
                done.add((task["name"], task["gradient"], task["dtype"]))
    rows = [row for row in TABLE if section != "rows" or row.kind != "elementwise"]
    kinds = race.SMALL_INTEGERS if section == "integers" else DTYPES
    kinds = [each for each in kinds if contender.contender.dtypes is None or each in contender.contender.dtypes]
    kinds = ["float64"] * (section != "integers") if name == "numpy" else kinds
    assert {(row.name, dtype) for row in rows for dtype in kinds} == {(task[0], task[2]) for task in done}


def test_wrong_results_do_not_race(race):
    """Values that are off, another dtype, and the derivative of another library where a kink is no excuse."""
    (row,) = (row for row in TABLE if row.name == "relu")
    contender = race.peers.Race(race.peers.NumPy(1))
    for dtype, gradient, form in [
        ("float64", False, "x * 1.00001"),
        ("float16", False, "np.maximum(x, 0).astype(np.float32)"),
        ("float16", False, "np.maximum(x, 0) * 1.05"),
        ("bfloat16", True, "grad * (x < 0)"),
    ]:
        task = race.task(row, dtype, (500,), gradient=gradient)
        contender.contender.forms = lambda task, form=form: [form]
        with pytest.raises(LookupError):
            contender.prepare(task)
    contender.contender.forms = lambda task: ["np.maximum(x, 0) * np.float16(1.001)"]
    assert contender.prepare(race.task(row, "float16", (500,)))["wrong"] == []


def test_gradients_of_peers_are_of_the_table(race):
    """Every function that has a line there is one; along an axis, NumPy must have one."""
    names = {row.name for row in TABLE}
    for lines in (race.peers.TORCH_GRADIENT, race.peers.NUMPY_GRADIENT, race.peers.LITERT, race.peers.SIMD):
        assert lines.keys() <= names
    assert {row.name for row in TABLE if row.kind != "elementwise"} <= race.peers.NUMPY_GRADIENT.keys()


def cell(function, section="race", dtype="float16", shape=(100_000,), **times):
    task = {"section": section, "function": function, "kind": "elementwise", "dtype": dtype, "shape": list(shape)}
    return task | {"axis": None, "layout": "", "out": True, "threads": 1, "least_ns": times}


def test_report_of_16_bits(race):
    """The column and the summary of what they take beside float32, which is no peer."""
    found = cell("sigmoid", fastsig=3e4, torch=6e4, float32=2e4, copy=1e4)
    found |= race.report.verdict(found)
    assert (found["ratio"], found["fastest_peer"], found["times_float32"], found["times_copy"]) == (2, "torch", 1.5, 3)
    contenders = ["fastsig", "torch", "copy", "float32"]
    head, line = race.report.heading(contenders), race.report.line(found, contenders)
    assert head.endswith("x copy  x float32") and line.endswith("2.00  torch          3.00       1.50")
    assert head.index("float32") + len("float32") == len(line)
    text = "\n".join(race.report.summary([found]))
    assert "float16, times its own float32: 1.50 in the mean" in text and "1.50 sigmoid float16 100k, threads 1" in text
    old = cell("sigmoid", fastsig=3e4, torch=6e4, copy=1e4)
    old |= race.report.verdict(old)
    assert "float32" not in "\n".join(race.report.summary([old])) and "times_float32" not in old


def test_tables_of_all_sections(race):
    """Gradients have a table of their own, other rows one for each function, and layouts none."""
    cells = [cell("sigmoid", fastsig=3e4, torch=6e4), cell("backward.sigmoid", "gradients", fastsig=3e4, torch=9e4)]
    cells += [cell("softmax", "rows", dtype, (20, 33), fastsig=66, torch=660) for dtype in ("float16", "float32")]
    cells += [cell("sigmoid", "layouts", fastsig=3e4, numpy=6e4)]
    lines = race.report.markdown([each | race.report.verdict(each) for each in cells])
    assert "| `sigmoid` float16 | 0.3 / 0.6 torch = **2.00** |" in lines and not any("numpy" in line for line in lines)
    assert "| `backward.sigmoid` float16 | 0.3 / 0.9 torch = **3.00** |" in lines
    at = lines.index("`softmax`:")
    assert lines[at + 2 : at + 5] == [
        "| | float16 | float32 |",
        "|---|---|---|",
        "| 20×33, 1 thread | 0.1 / 1 torch = **10.00** | 0.1 / 1 torch = **10.00** |",
    ]


def test_a_race_from_the_command_line(tmp_path):
    """Processes, tables and the file, in a race of two cells."""
    file = tmp_path / "race.json"
    options = ["--quick", "--function", "logsumexp", "--peers", "numpy", "--sections", "integers", "--threads", "1"]
    command = [sys.executable, CHECKOUT / "bench" / "race.py", *options, "--rounds", "1", "--markdown", "--json", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    cells = json.loads(file.read_text())["cells"]
    assert [(each["function"], each["dtype"], each["shape"]) for each in cells] == [
        ("logsumexp", "uint8", [10_000, 100]),
        ("logsumexp", "uint8", [1000, 1000]),
    ]
    assert all(each["least_ns"].keys() == {"fastsig", "astype", "numpy", "float32"} for each in cells)
    assert "| `logsumexp` uint8 |" in done.stdout and "x float32" in done.stdout
