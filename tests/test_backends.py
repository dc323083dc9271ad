"""The table is complete, both implementations follow it, and the right one is chosen at import."""

import ast
import copy
import doctest
import inspect
import json
import math
import pickle
import platform
import re
import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from conftest import BACKENDS, PACKAGE, imported_on, switched_on, why_not
from layouts import assert_same_bits
from oracle import (
    ELEMENTWISE,
    EXPANDED,
    HALVES,
    REDUCTIONS,
    ROWS,
    along,
    called,
    chosen,
    defaults,
    exact,
    hard,
    hole,
    label,
    ulp_error,
)

from fastsig import _docs, _generate
from fastsig._bench import operands
from fastsig._catalog import TABLE, Parameter, Row, expanded
from fastsig._lazy import Made

each_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
each_expanded = pytest.mark.parametrize("row", EXPANDED, ids=label)
each_elementwise = pytest.mark.parametrize("row", ELEMENTWISE, ids=label)
along_an_axis = pytest.mark.parametrize("row", ROWS + REDUCTIONS, ids=lambda row: row.name)
each_real = pytest.mark.parametrize("dtype", ["float32", "float64"])

CHECKOUT = PACKAGE.parent
needs_checkout = pytest.mark.skipif(not (CHECKOUT / "setup.py").exists(), reason="about the source tree")
runnable = [backend for backend in BACKENDS[1:] if why_not(backend)[0] is None]
needs_compiled = pytest.mark.skipif(not runnable, reason="no compiled kernels to choose")


# -------------------------------------------------------------------------------- the table


@each_row
def test_row_is_complete(row):
    optional = {
        "parameters",
        "keeps_integers",
        "logarithm",
        "negates",
        "torch",
        "choice",
        "elsewhere",
        "differs",
        "words",
        "keywords",
        "related",
    }
    assert all(getattr(row, field) for field in Row._fields if field not in optional)
    assert row.name.isidentifier()
    assert row.kind in {"elementwise", "rows", "reduction", "loss", "halves"}
    assert len(row.max_ulp) == 2
    assert row.gradient.formula and row.gradient.special and row.gradient.truth and len(row.gradient.max_ulp) == 2
    assert row.gradient.operand == ("y" if row.kind == "rows" else "x")
    assert row.kind == "elementwise" or bool(row.gradient.scale) == (row.kind == "rows")
    assert bool(row.gradient.slope) == (row.kind in {"reduction", "loss"})
    assert all(parameter.text.endswith(".") for parameter in row.parameters)
    assert set(row.related) <= {other.name for other in TABLE} - {row.name}
    assert row.example.startswith(f">>> fastsig.{row.name}(")
    assert "\n" in row.example


def test_a_row_wants_its_fields():
    for values, named, wrong in ((("x", 1.0), {}, "text"), (("x", 1.0, "A number."), {"texts": ""}, "texts")):
        with pytest.raises(TypeError, match=f"Parameter: missing or unknown: {wrong}$"):
            Parameter(*values, **named)


def test_names_are_unique():
    assert len({row.name for row in TABLE}) == len(TABLE)


MODERATE = np.random.default_rng(0).normal(0, 2, (5, 8))
AXIS = {
    "elementwise": {},
    "rows": {},
    "reduction": {"axis": -1},
    "loss": {},
    "halves": {},
}  # what the expressions along the last axis need


def own_parameters(row):
    """The names that no ufunc has."""
    reduction, loss = {"axis", "b", "keepdims", "return_sign"}, {"axis", "label_smoothing", "ignore_index"}
    along = {"rows": {"axis"}, "halves": {"axis"}, "reduction": reduction, "loss": loss}
    return {parameter.name for parameter in row.parameters} | along.get(row.kind, set())


@each_expanded
def test_numpy_expression(fs, row):
    """What people write today is the same function, where it is accurate (1 + tanh(x) and 1 + erf(x) cancel)."""
    x, given = MODERATE, operands(row, MODERATE)
    parameters = {parameter.name: parameter.default for parameter in row.parameters} | given
    with np.errstate(all="ignore"):
        theirs = eval(row.numpy, {"np": np, "math": math, "x": x, "axis": -1, **parameters})
    ours = getattr(fs, row.name)(x, *given.values(), **chosen(row), **AXIS[row.kind])
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@each_expanded
def test_torch_expression(fs, row):
    torch = pytest.importorskip("torch")
    if row.torch is None:
        pytest.skip("torch has no such function")
    x, given = MODERATE, operands(row, MODERATE)
    parameters = {parameter.name: parameter.default for parameter in row.parameters} | given
    parameters |= {name: torch.from_numpy(value) for name, value in given.items() if isinstance(value, np.ndarray)}
    theirs = eval(row.torch, {"torch": torch, "x": torch.from_numpy(x), "axis": -1, **parameters, **chosen(row)})
    ours = getattr(fs, row.name)(x, *given.values(), **chosen(row), **AXIS[row.kind])
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=1e-15)


@each_expanded
def test_truth_expression(fs, row):
    x, parameters = MODERATE[0], defaults(row, "float64")
    truth = [float(value) for value in exact(row, x, **parameters)]
    np.testing.assert_allclose(
        getattr(fs, row.name)(x, *row.operands.values(), **chosen(row)), np.squeeze(truth), rtol=1e-14
    )


def test_public_names(fs):
    assert {row.name for row in TABLE} <= set(fs.__all__)
    assert len(set(fs.__all__)) == len(fs.__all__)
    assert all(hasattr(fs, name) for name in fs.__all__)
    assert fs.__version__ == fs.get_config()["fastsig"]
    for module in (fs, fs.backward):  # nothing else is offered for completion
        assert {name for name in dir(module) if name[0] != "_"} <= {*module.__all__, "dask", "cython_api"}
    for module in (fs, fs.backward, fs.scalar):
        assert set(module.__all__) <= set(dir(module)) and len(set(dir(module))) == len(dir(module))


# What `import fastsig` imports beyond what NumPy has, besides the modules that Cython makes: milliseconds of them.
IMPORTED = {"_backend", "_catalog", "_config", "_docs", "_functions", "_lazy", "backward", "scalar"}


@pytest.mark.parametrize("pure", "01")
def test_import_is_short(python, pure):
    """Nothing but these modules, no function until it is asked for, nor their recipes; `make bench` prints the time."""
    code = """
import importlib.machinery, numpy, sys  # newer NumPys have importlib
before = set(sys.modules)
import fastsig
print(*(name for name in set(sys.modules) - before if "cython" not in name))
modules, functions = [fastsig, fastsig.backward, fastsig.scalar, fastsig._backend], fastsig._functions.functions
print(*(name for module in modules for name in vars(module) if name in functions))
print("_recipes" in vars(fastsig._backend.ufuncs))
"""
    done = python(code, FASTSIG_PURE_PYTHON=pure)
    assert done.returncode == 0, done.stderr
    imported, made, listed = done.stdout.splitlines()
    kernels = {*SHARED, f"_kernels_{runnable[-1]}"} if pure == "0" and runnable else {"_fallback"}
    if (PACKAGE / "_left_out.py").exists() and pure == "0" and config(python(CONFIG))["skipped"]:
        kernels.add("_left_out")  # where what it names would have been the first choice
    assert set(imported.split()) == {"fastsig", *(f"fastsig.{name}" for name in IMPORTED | kernels)}
    assert made == "" and listed == "False"


def test_who_is_first_makes_it():
    """Where a thread makes what another has made meanwhile, which here is the same one, both get the other's."""
    inside = []

    def make(recipe):
        if not inside:
            inside.append(None)
            inside.append(made["x"])
        return object()

    made = Made(make, lambda: {"x": 1})
    assert made["x"] is made["x"] is inside[1] and list(made) == ["x"]


def test_a_function_is_made_once(python):
    """By whichever thread is the first; and then it is a plain attribute."""
    code = """
import sys, threading, fastsig
from fastsig._catalog import TABLE
sys.setswitchinterval(1e-6)
places = [(module, name) for module in (fastsig, fastsig.backward, fastsig.scalar) for name in module.__all__]
places += [(fastsig._backend, name) for name in fastsig._backend.ufuncs]
barrier, found = threading.Barrier(8), []
def look():
    barrier.wait()
    found.append([getattr(module, name) for module, name in places])
threads = [threading.Thread(target=look) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert len(found) == 8 and all(a is b for one in found for a, b in zip(one, found[0]))
assert all(name in vars(module) for module, name in places)
assert fastsig.sigmoid is fastsig._backend.sigmoid is fastsig._functions.functions["sigmoid"]
"""
    done = python(code)
    assert done.returncode == 0, done.stderr  # which has a warning where no kernels could be built


def test_a_name_that_is_not_there(fs):
    for module in (fs, fs.backward, fs.scalar, fs._backend):
        with pytest.raises(AttributeError, match="has no attribute 'sigmoyd'"):
            attrgetter("sigmoyd")(module)
    with pytest.raises(KeyError):
        fs._functions.functions["sigmoyd"]


# -------------------------------------------------------------------------------- documentation

# What numpydoc may say and we do not follow: sections that would be empty words, and the options that all ufuncs share.
STYLE = {"ES01", "EX01", "PR01", "PR02", "PR04", "RT03", "RT04", "SA01", "SA03", "YD01"}


def public(fs):
    """The public functions of the package and of its module for the gradients."""
    names = [name for name in fs.__all__ if callable(getattr(fs, name))]
    return names + [f"backward.{name}" for name in fs.backward.__all__]


def test_docstrings(fs, monkeypatch):
    validate = pytest.importorskip("numpydoc.validate").validate
    monkeypatch.setitem(sys.modules, "fastsig", fs)  # where numpydoc looks the names up
    monkeypatch.setitem(sys.modules, "fastsig.backward", fs.backward)
    complaints = {name: validate(f"fastsig.{name}")["errors"] for name in public(fs)}
    assert not [(name, error) for name, errors in complaints.items() for error in errors if error[0] not in STYLE]


@each_row
def test_docstring_of_a_row(row):
    docstring = pytest.importorskip("numpydoc.docscrape").NumpyDocString(_docs.docstring(row))
    documented = {name for parameter in docstring["Parameters"] for name in parameter.name.split(", ")}
    own = own_parameters(row) | set(chosen(row))
    assert (
        documented
        == {"logits" if row.kind == "loss" else "x", "out", "where", "dtype", "casting", "order", "subok"} | own
    )
    text = " ".join(map(str, docstring["Notes"]))
    for promised in (
        row.special,
        "NaN propagates",
        *(map(str, row.max_ulp) if row.kind == "elementwise" and any(row.max_ulp) else ()),
    ):
        assert promised in text
    assert docstring["Raises"] and docstring["Returns"] and docstring["References"] and docstring["Examples"]


def test_examples_run(fs, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastsig", fs)
    runner, found = doctest.DocTestRunner(), 0
    for name in public(fs):
        text = attrgetter(name)(fs).__doc__
        test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
        found += bool(test.examples)
        assert runner.run(test).failed == 0, name
    assert found >= len(TABLE)


@needs_checkout
@pytest.mark.parametrize("name", _generate.made_files())
def test_made_file_is_current(name):
    assert (PACKAGE / name).read_text() == _generate.made_files()[name], "run `make generate`"


def test_stubs_name_what_there_is(fs):
    modules = {"backward": _generate.gradient_stub, "scalar": _generate.scalar_stub}
    for name, made in modules.items() | {("fastsig", _generate.stub)}:
        stub = {
            node.name if isinstance(node, ast.FunctionDef) else node.target.id
            for node in ast.parse(made()).body
            if isinstance(node, (ast.FunctionDef, ast.AnnAssign))
        }
        assert stub - {"__all__"} == set(getattr(fs, name, fs).__all__) - modules.keys()


@needs_checkout
def test_readme_list_is_current():
    readme = (CHECKOUT / "README.md").read_text()
    if _generate.BEGIN not in readme:
        pytest.skip("no list in the README")
    assert readme == _generate.with_list(readme), "run `make generate`"


# -------------------------------------------------------------------------------- three places for a function


GRADIENTS_OF_HALVES = ("_backward_linear", "_backward")
UFUNCS = {name for row in TABLE if row.kind == "elementwise" for name, _ in expanded(row)}


def test_fallback_has_the_rows_and_no_others():
    fallback = imported_on("pure")._backend.kernels
    assert set(fallback.FORMULAS) == set(fallback.GRADIENTS) == UFUNCS
    names = {row.name for row in ROWS + REDUCTIONS} | {f"{row.name}_backward" for row in ROWS}
    assert set(fallback.ROWS) == {name + suffix for name in names for suffix in ("", "_where")}
    names = {f"{row.name}{backward}" for row in TABLE if row.kind == "loss" for backward in ("", "_backward")}
    assert set(fallback.LOSSES) == {name + suffix for name in names for suffix in ("", "_where")}
    assert set(fallback.HALVES) == {row.name + suffix for row in HALVES for suffix in ("", *GRADIENTS_OF_HALVES)}


@needs_checkout
def test_kernels_have_the_rows_and_no_others():
    for source, suffix in (("formulas.pxi", ""), ("gradients.pxi", "_backward")):
        registered = re.findall(r'^elementwise\("(\w+)"', (PACKAGE / "kernels" / source).read_text(), re.M)
        of_halves = [row.name + end for row in HALVES for end in (GRADIENTS_OF_HALVES if suffix else [""])]
        assert sorted(registered) == sorted([*(name + suffix for name in UFUNCS), *of_halves])


@needs_checkout
@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.pyx")), ids=lambda path: path.name)
def test_module_needs_no_gil(path):
    """A free-threaded Python gets its GIL back, with a warning, when it imports a module that does not say so."""
    directives = [line for line in path.read_text().splitlines() if line.startswith("# cython: ")]
    assert "freethreading_compatible=True" in " ".join(directives)


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_no_other_list_of_functions(path):
    """A function's name in quotes belongs to the table and to its formulas alone; dask.py has some, for chunks."""
    if path.name in {"_catalog.py", "_fallback.py", "dask.py"}:
        return
    names = {row.name for row in TABLE}
    assert not [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    ]


def copied(folder, *compiled):
    """The package without compiled modules, save these, and without what a build said of those that it left out."""
    target = folder / "fastsig"
    shutil.copytree(
        PACKAGE,
        target,
        ignore=lambda _, names: [name for name in names if not name.endswith(".py") or name == "_left_out.py"],
    )
    for name in compiled:
        for path in PACKAGE.glob(f"{name}.*"):
            if path.name.endswith(tuple(EXTENSION_SUFFIXES)):
                shutil.copy(path, target)
    libraries = PACKAGE.parent / "fastsig_ufuncs.libs"  # a wheel's own libgomp
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return target


NEW_ROW = """
TABLE += (Row("thrice", "elementwise", "Thrice.", "3 x", (0, 0), "None.", "3 * x", "3 * x", None, "Nobody (2000).",
              ">>> fastsig.thrice(1.0)\\narray(3.)", (Parameter("factor", 3.0, "Not always three."),),
              gradient=Gradient("3", (0, 0), "None.", "factor")),)
"""


def test_a_new_row_needs_nothing_else(python, tmp_path):
    """A row and its formulas in the fallback make a public, documented, typed function there."""
    package = copied(tmp_path)
    with (package / "_catalog.py").open("a") as catalog:
        catalog.write(NEW_ROW)
    for formula in (
        'FORMULAS["thrice"] = lambda x, factor: x * factor',
        'GRADIENTS["thrice"] = lambda grad, x, factor: grad * factor',
    ):
        forgotten = python("import fastsig; fastsig.thrice, fastsig.backward.thrice", folder=tmp_path)
        assert "no formula for 'thrice'" in forgotten.stderr
        with (package / "_fallback.py").open("a") as fallback:
            fallback.write(f"\n{formula}\n")
    code = """
import fastsig, inspect, numpy as np
from fastsig import _generate
assert (fastsig.thrice(np.float32([1, 2])) == [3, 6]).all() and fastsig.thrice(np.float32(1)).dtype == np.float32
assert "thrice" in fastsig.__all__ and "Thrice." in fastsig.thrice.__doc__
assert str(inspect.signature(fastsig.thrice)).startswith("(x, factor=3.0")
assert (fastsig.backward.thrice(2, np.float32([1, 2])) == [6, 6]).all() and "thrice" in fastsig.backward.__all__
assert "def thrice(grad_output" in _generate.gradient_stub()
assert fastsig.scalar.thrice(2, 5) == 10 and "def thrice(" in _generate.scalar_stub()
assert "def thrice(" in _generate.stub() and "thrice(x, factor=3.0)" in _generate.function_list()
"""
    done = python(code, folder=tmp_path)
    assert done.returncode == 0, done.stderr


# -------------------------------------------------------------------------------- compiled and pure agree


@each_elementwise
@each_real
def test_compiled_and_pure_agree(compiled, row, dtype):
    """Within the sum of their errors; NaNs, infinities and the signs of zeros in the same places."""
    pure = imported_on("pure")
    x = np.concatenate([hard(dtype, 20), np.random.default_rng(0).normal(0, 10, 20_000).astype(dtype), [np.nan]])
    x = x.astype(dtype)
    ours, theirs = (called(fs, row)(x, **chosen(row)) for fs in (compiled, pure))
    assert ulp_error(ours, theirs.astype(np.longdouble)).max() <= 2 * row.max_ulp[dtype == "float64"]
    zero = (ours == 0) & (theirs == 0)
    np.testing.assert_array_equal(np.signbit(ours[zero]), np.signbit(theirs[zero]))
    assert_same_bits(ours[~np.isfinite(ours)], theirs[~np.isfinite(ours)])


@along_an_axis
@each_real
def test_compiled_and_pure_rows_agree(compiled, row, dtype):
    rng = np.random.default_rng(0)
    for n in (1, 3, 16, 40, 600):
        x, mask = rng.normal(0, 5, (20, n)).astype(dtype), rng.random((20, n)) < 0.7
        for keywords in ({}, {"where": mask}):
            ours, theirs = (getattr(fs, row.name)(x, axis=-1, **keywords) for fs in (compiled, imported_on("pure")))
            np.testing.assert_allclose(ours, theirs, rtol=64 * np.finfo(dtype).eps)
        truth = along(row, x, where=mask)
        if row.kind == "rows":
            truth = np.where(mask.any(-1, keepdims=True), truth, hole(row))
        np.testing.assert_allclose(ours, truth.astype(dtype), rtol=64 * np.finfo(dtype).eps)


def signature(function):
    try:
        return inspect.signature(function)
    except ValueError:  # of a ufunc, before NumPy 2.4
        return None


def test_same_interface(compiled):
    pure = imported_on("pure")
    assert compiled.__all__ == pure.__all__
    for name in public(pure):
        ours, theirs = attrgetter(name)(compiled), attrgetter(name)(pure)
        assert ours.__doc__ == theirs.__doc__, name
        assert ours.__name__ == theirs.__name__
        if signature(ours) is not None:
            assert str(signature(theirs)) == str(signature(ours)), name
    for name, ours in compiled._backend.ufuncs.items():
        theirs = pure._backend.ufuncs[name]
        for attribute in ("__name__", "__doc__", "nin", "nout", "nargs", "types", "ntypes", "identity", "signature"):
            got, wanted = getattr(theirs, attribute), getattr(ours, attribute)
            assert sorted(got) == sorted(wanted) if attribute == "types" else got == wanted, (name, attribute)
        assert repr(theirs) == repr(ours)


# -------------------------------------------------------------------------------- pickle


def picklable(package):
    ufuncs = {
        f for name, f in package._backend.ufuncs.items() if f.__name__ == name
    }  # others are called by no one else
    return {*(getattr(package, row.name) for row in TABLE), *ufuncs}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # before NumPy 2.2 pickle looks for a ufunc in all modules
def test_pickle(default):
    for function in picklable(default):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(function, protocol)
            assert b"fastsig" in pickled
            assert pickle.loads(pickled) is function
        assert copy.copy(function) is copy.deepcopy(function) is function


@pytest.mark.parametrize("environment", [{"FASTSIG_PURE_PYTHON": "1"}, {}], ids=["pure", "default"])
def test_pickle_travels(python, environment):
    """From one process to another, also from a compiled one to a pure one."""
    send = "import fastsig, pickle, sys; print(pickle.dumps([getattr(fastsig, n) for n in sys.argv[1:]]).hex())"
    receive = (
        "import pickle, sys; functions = pickle.loads(bytes.fromhex(sys.argv[1])); import fastsig;"
        "assert all(getattr(fastsig, f.__name__) is f for f in functions); print(len(functions))"
    )
    names = [row.name for row in TABLE]
    sent = python(send, *names, **environment)
    assert sent.returncode == 0, sent.stderr
    for receiver in ({"FASTSIG_PURE_PYTHON": "1"}, {}):
        received = python(receive, sent.stdout.strip(), **receiver)
        assert received.stdout.split() == [str(len(names))], received.stderr


# -------------------------------------------------------------------------------- the choice at import

CONFIG = "import fastsig, json; print(json.dumps(fastsig.get_config()))"


def config(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pure_python_switch(python):
    for value, pure in (("1", True), ("yes", True), (" 1 ", True), ("0", False), ("", False)):
        kernels = config(python(CONFIG, FASTSIG_PURE_PYTHON=value))["kernels"]
        assert (kernels == "pure Python") == (pure or not runnable)


@needs_compiled
def test_isa_switch(python):
    for backend in runnable:
        assert config(python(CONFIG, FASTSIG_ISA=backend))["kernels"] == backend
    assert config(python(CONFIG))["kernels"] == runnable[-1]  # the best


def test_unknown_isa(python):
    done = python("import fastsig", FASTSIG_ISA="sse9")
    assert done.returncode != 0
    assert (
        done.stderr.splitlines()[-1] == "ValueError: FASTSIG_ISA='sse9': must be one of x86_64_v4, x86_64_v3, baseline"
    )


@needs_compiled
@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_isa_that_this_cpu_lacks(python, backend):
    if backend in sys.modules["fastsig._ufuncs"].kernel_sets():
        pytest.skip(f"this CPU can run {backend}")
    done = python("import fastsig", FASTSIG_ISA=backend)
    assert done.returncode != 0
    assert f"ValueError: FASTSIG_ISA='{backend}': this CPU can run" in done.stderr


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "1,2", "70000"])
def test_bad_number_of_threads(python, value):
    done = python("import fastsig", FASTSIG_NUM_THREADS=value)
    assert done.returncode != 0
    assert f"ValueError: FASTSIG_NUM_THREADS='{value}': must be an integer" in done.stderr


def test_show_config(fs, capsys):
    """Prints what get_config() says."""
    facts = fs.get_config()
    assert fs.show_config() is None
    printed = capsys.readouterr().out
    assert re.findall(r"^\w+", printed, re.M) == ["fastsig", "kernels", "threads"]
    assert ("another package" in printed) == facts["late"]
    for fact in (
        facts["fastsig"],
        f"NumPy {np.__version__}",
        facts["kernels"],
        f"threads  {facts['threads']}",
        *facts["skipped"],
    ):
        assert fact in printed
    assert ("no OpenMP" in printed) == (not facts["openmp"])
    assert facts["kernels"] == fs._backend.name
    assert (facts["vectors"] is not None) == (facts["kernels"] == "baseline")
    if facts["vectors"]:
        assert f"kernels  baseline ({facts['vectors']})" in printed
        x86, arm = ("SSE2", "AVX"), ("NEON", "SVE")
        named = {"x86_64": x86, "AMD64": x86, "aarch64": arm, "arm64": arm}
        assert facts["vectors"].startswith(named.get(platform.machine(), ""))


def test_bench(fs, capsys, monkeypatch):
    """Every row has a line with a figure for every size."""
    monkeypatch.setattr(fs._bench, "least_time", lambda call: (call(), 1.0)[1])
    monkeypatch.setitem(sys.modules, "fastsig._bench", fs._bench)  # where bench() looks for it
    fs.bench()
    printed = capsys.readouterr().out
    for row in TABLE:
        (line,) = (line for line in printed.splitlines() if line.split()[:1] == [row.name])
        assert line.split()[1:] == ["1.0x"] * 6


def test_least_time(fs):
    calls = []
    assert 0 < fs._bench.least_time(lambda: calls.append(sum(range(1000))), rounds=2, seconds=0.001) < 0.1
    assert len(calls) > 2


# -------------------------------------------------------------------------------- broken installations

SHARED = ("_ufuncs",)  # what every kernel set needs
WORKS = CONFIG + "; assert fastsig.sigmoid(0.0) == 0.5 and (fastsig.softmax([1.0, 1.0]) == 0.5).all()"


def garbage(package, name):
    (package / (name + EXTENSION_SUFFIXES[0])).write_bytes(b"this is not a library")


def test_no_compiled_module(python, tmp_path):
    copied(tmp_path)
    facts = config(python(WORKS, folder=tmp_path))
    assert (facts["kernels"], facts["openmp"], facts["threads"]) == ("pure Python", False, 1)
    assert "_ufuncs" in facts["skipped"][0]
    done = python("import fastsig", folder=tmp_path, FASTSIG_ISA="baseline")
    assert "ImportError: FASTSIG_ISA='baseline': this kernel set cannot be imported" in done.stderr


def test_only_garbage(python, tmp_path):
    package = copied(tmp_path)
    for name in (*SHARED, *(f"_kernels_{backend}" for backend in BACKENDS[1:])):
        garbage(package, name)
    facts = config(python(WORKS, folder=tmp_path))
    assert facts["kernels"] == "pure Python"
    assert any("_ufuncs" in why for why in facts["skipped"])


@needs_compiled
def test_garbage_for_the_best_set(python, tmp_path):
    """The next best is taken, and show_config says why."""
    best = runnable[-1]
    package = copied(tmp_path, *SHARED, *(f"_kernels_{backend}" for backend in runnable[:-1]))
    garbage(package, f"_kernels_{best}")
    facts = config(python(WORKS, folder=tmp_path))
    assert facts["kernels"] == (runnable[-2] if len(runnable) > 1 else "pure Python")
    assert any(why.startswith(f"_kernels_{best}: ") for why in facts["skipped"])
    shown = python("import fastsig; fastsig.show_config()", folder=tmp_path)
    assert f"_kernels_{best}: " in shown.stdout
    pinned = python("import fastsig", folder=tmp_path, FASTSIG_ISA=best)
    assert f"ImportError: FASTSIG_ISA='{best}'" in pinned.stderr


def cut(part):
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


def of_another_architecture(path):
    data = bytearray(path.read_bytes())
    data[18:20] = b"\xb7\x00" if data[18:20] == b"\x3e\x00" else b"\x3e\x00"  # AArch64, x86-64
    path.write_bytes(data)


def without_its_library(path):
    """OpenMP's runtime and the C library get names of the same length, which nobody has."""
    data, found = re.subn(rb"\0lib(?=g?omp[-.]|c\.)", rb"\0non", path.read_bytes())
    assert found
    path.write_bytes(data)


def of_another_version(path):
    """What Cython raises where two of our modules come from different versions of fastsig."""
    path.unlink()
    path.with_name(path.name.partition(".")[0] + ".py").write_text('raise TypeError("C function has wrong signature")')


def of_another_python(path):
    path.rename(path.with_name(path.name.partition(".")[0] + ".cpython-39-x86_64-linux-gnu.so"))


BREAKAGES = {  # and what the reason has to say, whichever C library says it
    "missing": (lambda path: path.unlink(), "No module named"),
    "empty": (cut(0), ".so"),
    "its head alone": (cut(0.002), "is cut short"),
    "half of it": (cut(0.5), "is cut short"),
    "nine tenths of it": (cut(0.9), "is cut short"),
    "of another architecture": (of_another_architecture, ".so"),
    "of another Python": (of_another_python, "No module named"),
    "without its library": (without_its_library, "non"),
    "of another version": (of_another_version, "wrong signature"),
}


@needs_compiled
@pytest.mark.skipif(sys.platform != "linux", reason="about ELF")
@pytest.mark.parametrize("module", [*SHARED, "the best kernels"])
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_module(python, tmp_path, breakage, module):
    """What can be had without it is taken, and the reason is told; the process does not crash."""
    package = copied(tmp_path, *SHARED, *(f"_kernels_{backend}" for backend in runnable))
    whole = config(python(WORKS, folder=tmp_path))
    assert whole["kernels"] == runnable[-1]
    assert all("No module named" in why for why in whole["skipped"])  # what an old compiler left out
    rest = ["pure Python", *runnable[:-1]] if module == "the best kernels" else ["pure Python"]
    module = module.replace("the best kernels", f"_kernels_{runnable[-1]}")
    make_broken, words = BREAKAGES[breakage]
    (path,) = package.glob(f"{module}.*")
    make_broken(path)
    facts = config(python(WORKS, folder=tmp_path))
    assert facts["kernels"] == rest[-1]
    (reason,) = set(facts["skipped"]) - set(whole["skipped"])
    assert reason.startswith(f"{module}: ") and words in reason


NOTE = """
LEFT_OUT = {"_ufuncs": "no working C compiler was found", "cython_api": "no working C compiler was found"}
"""


def test_a_build_without_kernels_warns(python, tmp_path):
    """In one line, and not whom asked for it, nor who does not want to read it."""
    package = copied(tmp_path)
    reason = "built without kernels, as no working C compiler was found"
    for asked, environment in ((False, {}), (True, {}), (False, {"FASTSIG_PURE_PYTHON": "1"})):
        (package / "_left_out.py").write_text(f"{NOTE}ASKED = {asked}\n")
        done = python(CONFIG, folder=tmp_path, **environment)
        assert config(done)["skipped"] == (["FASTSIG_PURE_PYTHON is set"] if environment else [reason])
        if asked or environment:
            assert done.stderr == ""
        else:
            text = f"runs in pure Python, right but slower ({reason}); FASTSIG_PURE_PYTHON=1 silences this"
            assert done.stderr == f"fastsig:0: RuntimeWarning: {text}\n"


def test_numpy_is_the_only_dependency(python):
    code = (
        "import sys, numpy; before = set(sys.modules); import fastsig;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    for pure in "01":
        loaded = python(code, FASTSIG_PURE_PYTHON=pure).stdout.split()
        assert "fastsig" in loaded
        others = {
            name for name in loaded if not name.startswith(("cython_runtime", "_cython_"))
        }  # what Cython's modules define
        assert others <= {"fastsig", "numpy"}


def test_every_backend_was_tested():
    """With FASTSIG_REQUIRE_EXTENSION, a kernel set that this CPU can run and that was not built is an error."""
    if not switched_on("FASTSIG_REQUIRE_EXTENSION"):
        pytest.skip("FASTSIG_REQUIRE_EXTENSION is not set")
    assert not [reason for reason, excused in map(why_not, BACKENDS) if reason and not excused]


def test_package_is_typed():
    assert (Path(PACKAGE) / "py.typed").exists()
