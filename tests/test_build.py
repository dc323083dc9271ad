"""setup.py builds right kernels whatever CFLAGS say, or says why it builds none; never what an earlier build left."""

import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES

import numpy as np
import pytest
from conftest import PACKAGE

from fastsig import _backend

CHECKOUT = PACKAGE.parent
COPIED = ["LICENSE", "LICENSE-libgomp.txt", "README.md", "fastsig", "pyproject.toml", "setup.py"]

if sys.platform != "linux" or not (CHECKOUT / "setup.py").exists():
    pytest.skip("about the source tree, and flags of gcc and clang on Linux", allow_module_level=True)
pytest.importorskip("Cython")
pytest.importorskip("setuptools")

# Probes, flags and commands are setup.py's own; only all kernel sets and -O3 take too long for a test.
PREPARE = """
import os, setup, setuptools
setup.MARCH["unix"].clear()
setup.ARITHMETIC[0] = setup.FLAGS["unix"][0] = ["-O1"]
"""
BUILD = f"{PREPARE}setuptools.setup(ext_modules=setup.extensions(), **setup.KEYWORDS)"


def run(code, folder, *arguments, **environment):
    """That code in a new interpreter, without other variables that are for us or for a compiler."""
    ours = ("FASTSIG_", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LDSHARED")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=inherited | {"PYTHONPATH": str(folder)} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )


def output(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needed(compiler):
    return shutil.which(compiler) or pytest.skip(f"no {compiler} here")


# -------------------------------------------------------------------------------- flags, on a small module

SOURCE = """
float rounded(float x) { return (x + 12582912.0f) - 12582912.0f; }
int is_nan(double x) { return x != x; }
double third(double x) { return x / 3.0; }
double plus_zero(double x) { return x + 0.0; }
double tenth(void) { return 0.1; }
void *PyInit__kernels_baseline(void) { return 0; }
"""
SMALL = f"""{PREPARE}
def build(folder, flags, *more):
    os.environ["CFLAGS"] = flags
    modules = [setuptools.Extension(setup.KERNELS + isa, ["small.c"]) for isa in ("baseline", *more)]
    command = ["build", "--build-lib", folder, "--build-temp", folder + "-objects"]
    setuptools.setup(script_args=command, ext_modules=modules, cmdclass=setup.KEYWORDS["cmdclass"])
"""
CHECK = """
import ctypes, math, pathlib
(path,) = pathlib.Path("fastsig").glob("_kernels_baseline.*")
c = ctypes.CDLL(str(path.resolve()))
def function(name, real):
    f = getattr(c, name)
    f.restype = real
    return lambda *x: f(*map(real, x))
assert 2e-310 / 2 != 0, "it flushes subnormals"
assert function("rounded", ctypes.c_float)(1.25) == 1
assert c.is_nan(ctypes.c_double(math.nan))
assert all(function("third", ctypes.c_double)(i) == i / 3 for i in range(100))
assert math.copysign(1, function("plus_zero", ctypes.c_double)(-0.0)) == 1
assert function("tenth", ctypes.c_double)() == 0.1
"""
FLAGS = {
    "gcc": [
        "-ffast-math",
        "-Ofast",
        "-Ofast -fno-fast-math",
        "-funsafe-math-optimizations",
        "-fassociative-math -fno-signed-zeros -fno-trapping-math",
        "-fsingle-precision-constant",
        "-mfpmath=387",
        "-O2 -Wp,-D_FORTIFY_SOURCE=2 -Wp,-D_FORTIFY_SOURCE=3",
        "-Werror=format-security",
        "-Wmissing-include-dirs -I/nowhere",
        "--coverage",
        "-fsanitize=address",
    ],
    "clang": ["-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-stdlib=libc++", "-L/usr/lib -Wl,--as-needed"],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """compiler -> a folder in which a small module was built with each of its flags, and what that said."""

    @functools.cache
    def built(compiler):
        folder = tmp_path_factory.mktemp(compiler)
        (folder / "small.c").write_text(SOURCE)
        code = f"{SMALL}\nfor number, flags in enumerate({FLAGS[compiler]}):\n    build(str(number), flags)"
        return folder, output(run(code, folder, CC=needed(compiler), PYTHONPATH=str(CHECKOUT)))

    return built


@pytest.mark.parametrize(("compiler", "flags"), [(name, flags) for name, cases in FLAGS.items() for flags in cases])
def test_flags(small, tmp_path, compiler, flags):
    """CFLAGS cost no kernels, and what they say of arithmetic is taken back."""
    (tmp_path / "alone.c").write_text(SOURCE)
    alone = [needed(compiler), *flags.split(), "-Wformat", "-shared", "-fPIC", "alone.c", "-o", "alone.so"]
    if subprocess.run(alone, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip(f"this {compiler} cannot do with {flags}")
    folder = small(compiler)[0] / str(FLAGS[compiler].index(flags))
    if "sanitize" in flags:  # which cannot be loaded just so
        assert list(folder.glob("fastsig/_kernels_baseline.*"))
    else:
        output(run(CHECK, folder))


@pytest.mark.parametrize(
    ("compiler", "known", "unknown"),
    [("gcc", {"-fno-fast-math", "-frename-registers"}, {"-mllvm"}), ("clang", {"-mllvm"}, {"-frename-registers"})],
)
def test_probes(small, compiler, known, unknown):
    """A flag that is left out though the compiler knows it would cost speed, and nobody would be told."""
    for line in small(compiler)[1].splitlines():
        if " small.c " in line:
            assert known <= set(line.split()) and not unknown & set(line.split())


def test_asks_about_the_machine_that_it_compiles_for(tmp_path):
    """Not the one that it runs on: a cross compiler knows nothing of x86-64, of which nothing need be said."""
    (tmp_path / "small.c").write_text(SOURCE)
    code = f"{SMALL}\nsetup.MARCH['unix']['x86_64_v3'] = '-march=x86-64-v3'\nbuild('.', '', 'x86_64_v3')"
    cross = needed("aarch64-linux-gnu-gcc")
    done = run(code, tmp_path, CC=cross, LDSHARED=f"{cross} -shared", PYTHONPATH=str(CHECKOUT))
    assert "out." not in output(done) + done.stderr
    (path,) = tmp_path.glob("fastsig/*.so")
    assert path.name.startswith("_kernels_baseline") and path.read_bytes()[18:20] == b"\xb7\x00"  # AArch64


def test_openmp_that_the_linker_does_not_have(tmp_path):
    """Kernels for one thread, not kernels that cannot be loaded."""
    parallel = "int threads(void) { int n = 0;\n#pragma omp parallel\nn = 1;\nreturn n; }\n"
    (tmp_path / "small.c").write_text(SOURCE + parallel)
    compilers = {"CC": needed("clang"), "LDSHARED": f"{needed('gcc')} -shared"}
    done = run(f"{SMALL}\nbuild('.', '')", tmp_path, PYTHONPATH=str(CHECKOUT), **compilers)
    assert "no OpenMP; building for one thread" in output(done) + done.stderr
    output(run(CHECK, tmp_path))


# -------------------------------------------------------------------------------- the package


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the source tree in which all was built once, with flags of which each would spoil the kernels."""
    tree = tmp_path_factory.mktemp("tree")
    left = shutil.ignore_patterns(*(f"*{suffix}" for suffix in EXTENSION_SUFFIXES), "_left_out.py", "__pycache__")
    for name in COPIED:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, tree / name, ignore=left)
        else:
            shutil.copy(CHECKOUT / name, tree)
    flags = "-Ofast -Wp,-D_FORTIFY_SOURCE=2 -Wp,-D_FORTIFY_SOURCE=3"
    command = ("bdist_wheel", "--dist-dir", "first")
    output(run(BUILD, tree, *command, CC=needed("gcc"), CFLAGS=flags, FASTSIG_REQUIRE_EXTENSION="1"))
    unpacked(tree / "first")
    return tree


@pytest.fixture
def copy(tree, tmp_path):
    shutil.copytree(tree, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("first"))
    return tmp_path


def unpacked(folder):
    """The tags of the wheel that is in that folder, and the names of what is in it, which now lies beside it."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder)
        return wheel.stem.split("-", 2)[2], files.namelist()


def compiled(names):
    return {name.partition(".")[0] for name in names if name.endswith(tuple(EXTENSION_SUFFIXES))}


WORKS = """
import math
import numpy as np
import fastsig
from fastsig._bench import operands
from fastsig._catalog import TABLE
assert 2e-310 / 2 != 0, "it flushes subnormals"
x = np.random.default_rng(0).normal(0, 2, (5, 8))
for row in TABLE:
    names = {"np": np, "math": math, "x": x, "axis": -1}
    names |= {parameter.name: parameter.default for parameter in row.parameters} | operands(row, x)
    axis = {} if row.kind == "elementwise" else {"axis": -1}
    ours = getattr(fastsig, row.name)(x, *operands(row, x).values(), **axis)
    np.testing.assert_allclose(ours, eval(row.numpy, names), rtol=1e-12, atol=1e-15)
fastsig.show_config()
"""


def test_wheel(tree):
    """What it computes is what people write today, which these flags alone would spoil."""
    tags, names = unpacked(tree / "first")
    assert tags.startswith(f"cp{sys.version_info[0]}{sys.version_info[1]}-") and "linux" in tags
    modules = ("_ufuncs", "cython_api", "_kernels_baseline")
    assert compiled(names) == {f"fastsig/{name}" for name in modules}
    assert not [name for name in names if "_left_out" in name or "libgomp" in name]
    assert "kernels  baseline" in output(run(WORKS, tree / "first"))


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"CC": "false"}, "no working C compiler was found"),
        ({"CFLAGS": "-DPy_PYTHON_H"}, "the C compiler makes no module of what includes Python.h"),
        ({"FASTSIG_PURE_PYTHON": "1"}, "FASTSIG_PURE_PYTHON was set"),
    ],
    ids=["no compiler", "no Python.h", "pure"],
)
def test_nothing_old_is_installed(tree, copy, environment, why):
    """Neither what lies in build/ nor what was compiled in place; the wheel is for every machine, and tells why."""
    for path in tree.glob("first/fastsig/*.so"):
        shutil.copy(path, copy / "fastsig")
    assert list(copy.glob("build/lib*/fastsig/*.so")) and list(copy.glob("fastsig/*.so"))
    done = run(BUILD, copy, "bdist_wheel", **environment)
    assert f"fastsig: {why}; installing the pure-Python fallback" in output(done) + done.stderr
    tags, names = unpacked(copy / "dist")
    assert tags == "py3-none-any" and not compiled(names)
    done = run(WORKS, copy / "dist")
    assert f"pure Python (built without kernels, as {why})" in output(done)
    assert ("fastsig:0: RuntimeWarning: runs in pure Python" in done.stderr) != ("FASTSIG_PURE_PYTHON" in environment)

    # In place what cannot be compiled does not stay, either; but FASTSIG_PURE_PYTHON leaves it to those whom it serves.
    output(run(BUILD, copy, "build_ext", "--inplace", **environment))
    pure = "FASTSIG_PURE_PYTHON" in environment
    assert bool(list(copy.glob("fastsig/*.so"))) == pure and (copy / "fastsig/_left_out.py").exists() == (not pure)

    done = run(BUILD, copy, "bdist_wheel", FASTSIG_REQUIRE_EXTENSION="1", **environment)
    assert done.returncode and f"fastsig: {why}, and FASTSIG_REQUIRE_EXTENSION is set." in done.stderr


def test_whatever_has_changed_is_compiled_again():
    """Cython compiles what its own tree of includes and cimports says has changed: no source is outside of it."""
    dependencies = pytest.importorskip("Cython.Build.Dependencies").create_dependency_tree(quiet=True)
    modules = PACKAGE.glob("*.pyx")
    seen = {os.path.realpath(path) for module in modules for path in dependencies.all_dependencies(str(module))}
    sources = {os.path.realpath(path) for kind in ("pyx", "pxd", "pxi") for path in PACKAGE.rglob(f"*.{kind}")}
    assert len(sources) > 15 and not sources - seen


def test_licence_of_libgomp(copy):
    """Goes with the wheels to which libgomp will be added, and no others."""
    output(run(BUILD, copy, "bdist_wheel", FASTSIG_PURE_PYTHON="1", FASTSIG_WITH_LIBGOMP="1"))
    _, names = unpacked(copy / "dist")
    assert [name.rpartition("/")[2] for name in names if "licenses/" in name] == ["LICENSE", "LICENSE-libgomp.txt"]


@pytest.mark.parametrize("flags", ["", "-ffast-math", "-fassociative-math", "-ffinite-math-only", "-mfpmath=387"])
def test_no_kernels_rather_than_wrong_ones(tree, flags):
    """Where those flags that take these back are of no avail."""
    source = tree / "build/cython/fastsig/_kernels_baseline.c"
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{np.get_include()}"]
    needs_these = ["-fno-signed-zeros", "-fno-trapping-math"] if "associative" in flags else []
    command = ["gcc", *flags.split(), *needs_these, *includes, "-E", "-o", os.devnull, str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert bool(done.returncode) == ('#error "fastsig: ' in done.stderr) == bool(flags), done.stderr


@pytest.mark.parametrize(("compiler", "threads"), [("gcc", "-fopenmp"), ("clang", "-fno-openmp")])
def test_no_warning(tree, compiler, threads):
    """Of those with which noxfile.py builds, that no optimiser is needed for; with threads and without."""
    asked = re.search('^WARNINGS = "(.+)"$', (CHECKOUT / "noxfile.py").read_text(encoding="utf-8"), re.M)[1].split()
    macros = [f"-D{name}=NPY_2_0_API_VERSION" for name in ("NPY_NO_DEPRECATED_API", "NPY_TARGET_VERSION")]
    includes = [f"-I{sysconfig.get_path('include')}", f"-I{np.get_include()}"]
    command = [needed(compiler), *asked, *macros, *includes, threads, "-fsyntax-only"]
    sources = sorted((tree / "build/cython/fastsig").glob("*.c"))
    assert len(sources) == 3
    for source in sources:
        done = subprocess.run([*command, source], cwd=tree, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


# -------------------------------------------------------------------------------- frozen programs


def test_programs_that_look_for_imports_find_all():
    """PyInstaller, cx_Freeze, Nuitka: fastsig imports its modules by names that it puts together."""
    sources = {path.stem for path in CHECKOUT.glob("fastsig/*.pyx")}
    assert sources and set(_backend._imports.__code__.co_names) >= sources | {"_fallback"}
