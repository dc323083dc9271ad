"""The suite on other Pythons, NumPys and compilers: `make matrix`, or some of it, `make matrix ARGS="-s clang oldest"`.

Each session builds a copy of the tree and stops if what it built is not what its name says. Then it runs the tests that
can differ there, on the pure or the best kernels alone; `ARGS="-s clang -- tests"` runs the whole suite, as CI does.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import nox

BACKENDS = {"pure", "baseline", "x86_64_v3", "x86_64_v4"}
QUICK = [f"tests/test_{name}.py" for name in ("backends", "threads", "scalar", "docs")]
LOOPS = [f"tests/test_{name}.py" for name in ("backends", "threads", "ufunc", "rows")]
COMPILED = [f"tests/test_{name}.py" for name in ("vectorised", "scalar", "accuracy", "ufunc", "rows", "backward")]
NUMPY = [f"tests/test_{name}.py" for name in ("backends", "docs", "ufunc", "bfloat16")]
# Every warning of two compilers but -Wtype-limits, of the formula of relu as it is for unsigned integers. -Wshadow,
# -Wcast-qual and -Wconversion are not for what Cython writes, or NumPy's headers.
WARNINGS = "-Werror -Wall -Wextra -Wvla -Wpointer-arith -Wwrite-strings -Wformat=2 -Wno-type-limits"
PROBE = """
import fastsig, json, sys, sysconfig
free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
gil = getattr(sys, "_is_gil_enabled", lambda: True)()
more = {"python": "{}.{}".format(*sys.version_info) + free, "gil": gil}
print(json.dumps(fastsig.get_config() | more))
"""
OPENMP_PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() == 0; }\n"


def build(session, *options, **environment):
    """An editable install of a copy of the tree, as sessions would share build/; what the build said."""
    session.env.update({"FASTSIG_REQUIRE_EXTENSION": "1"} | environment)
    tree = Path(session.create_tmp(), "tree")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(".", tree, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "*.so", "*.pyd"))
    session.chdir(tree)
    return session.run("python", "-m", "pip", "install", "-v", *options, "--editable", ".[test]", silent=True)


def expect(session, **facts):
    """Stop if the package is another than this session is about; what it is."""
    config = json.loads(session.run("python", "-W", "ignore", "-c", PROBE, silent=True))  # pure Python warns
    session.log(", ".join(f"{name} {value}" for name, value in config.items()))
    wrong = {name: config[name] for name, value in facts.items() if config[name] != value}
    if wrong:
        session.error(f"wanted {facts}, got {wrong}")
    return config


def test(session, kernels, *selection):
    """The tests that are named behind the session, or the selection, without those of other kernels."""
    others = " and ".join(f"not [{backend}" for backend in sorted(BACKENDS - {kernels}))
    quiet = ["-W", "ignore:runs in pure Python:RuntimeWarning"]  # as it is meant to
    session.run("pytest", "-q", "-rs", *quiet, *(session.posargs or [*selection, "-k", others]))


def said(session, output, words):
    if words not in output:
        session.error(f"the build did not say {words!r}")


def compiler(session, name):
    """The compiler's path; without it, there is nothing to test."""
    return shutil.which(name) or session.skip(f"no {name} here")


def refusing(session, flag, name):
    """A compiler that does not know a flag."""
    script = Path(session.create_tmp(), "refusing")
    script.write_text(f"""#!/bin/sh
case " $* " in *" {flag} "*) echo "unknown option {flag}" >&2; exit 1;; esac
exec {compiler(session, name)} "$@"
""")
    script.chmod(0o755)
    return str(script.resolve())


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14", "3.15", "3.13t", "3.14t", "3.15t"])
def python(session):
    """Every Python, free-threaded ones without a GIL."""
    build(session)
    free = session.python.endswith("t")
    config = expect(session, python=session.python, gil=not free, skipped=[], openmp=True)
    session.env.update({"PYTHON_GIL": "0"} if free else {})  # not again for the sake of what only the tests need
    test(session, config["kernels"], *QUICK)


@nox.session
def pure(session):
    """FASTSIG_PURE_PYTHON=1, at build and at import."""
    build(session, FASTSIG_PURE_PYTHON="1", FASTSIG_REQUIRE_EXTENSION="0")
    if list(Path("fastsig").glob("*.so")):
        session.error("something was compiled")
    expect(session, kernels="pure Python", skipped=["FASTSIG_PURE_PYTHON is set"])
    test(session, "pure", "tests")


@nox.session
@nox.parametrize("why", ["absent", "broken"])
def no_compiler(session, why):
    """A PATH without a compiler, or a CC that fails: the fallback, and a word about it."""
    hidden = {"CC": None, "PATH": session.bin} if why == "absent" else {"CC": "false"}
    output = build(session, FASTSIG_REQUIRE_EXTENSION="0", **hidden)
    said(session, output, "no working C compiler was found; installing the pure-Python fallback")
    config = expect(session, kernels="pure Python", openmp=False)
    if "no working C compiler was found" not in config["skipped"][0]:
        session.error(f"skipped for another reason: {config['skipped']}")
    test(session, "pure", *QUICK)


@nox.session
@nox.parametrize("cc", ["gcc", "clang"])
def no_openmp(session, cc):
    """A compiler without OpenMP: compiled kernels on one thread, and a word about it."""
    output = build(session, CC=refusing(session, "-fopenmp", cc))
    said(session, output, "this compiler has no OpenMP; building for one thread")
    config = expect(session, openmp=False, skipped=[], threads=1)
    test(session, config["kernels"], *LOOPS)


@nox.session
def old_compiler(session):
    """A compiler that does not know AVX-512: the next best kernels, and a word about it."""
    output = build(session, CC=refusing(session, "-march=x86-64-v4", "gcc"), FASTSIG_REQUIRE_EXTENSION="0")
    said(session, output, "does not know -march=x86-64-v4; leaving fastsig._kernels_x86_64_v4 out")
    config = expect(session, openmp=True)
    if config["kernels"] not in {"x86_64_v3", "baseline"}:
        session.error(f"kernels {config['kernels']}")
    test(session, config["kernels"], "tests/test_backends.py")


@nox.session
def baseline(session):
    """FASTSIG_ISA=baseline."""
    build(session, FASTSIG_ISA="baseline")
    expect(session, kernels="baseline", skipped=[], openmp=True)
    test(session, "baseline", *QUICK)


@nox.session
def clang(session):
    """Clang with LLVM's OpenMP."""
    cc = compiler(session, "clang")
    probe = Path(session.create_tmp(), "probe.c")
    probe.write_text(OPENMP_PROBE)
    if subprocess.run([cc, "-fopenmp", probe, "-o", probe.with_suffix("")], capture_output=True).returncode:
        session.skip("this clang has no OpenMP, which no_openmp tests; Debian's package is libomp-dev")
    build(session, CC=cc)
    config = expect(session, skipped=[], openmp=True)
    (module,) = Path("fastsig").glob(f"_kernels_{config['kernels']}.*.so")
    if b"clang version" not in module.read_bytes():
        session.error("compiled by something else")
    test(session, config["kernels"], "tests")


@nox.session
@nox.parametrize("cc", [*(f"gcc-{n}" for n in range(13, 17)), *(f"clang-{n}" for n in range(16, 23))])
def newer_compiler(session, cc):
    """Those that other distributions have, without a warning; Debian's testing and unstable have most of them."""
    build(session, CC=compiler(session, cc), CFLAGS=WARNINGS)
    config = expect(session, skipped=[])
    session.env["CC"] = cc  # whose report test_vectorised reads
    del session.env["CFLAGS"]  # the module of test_cimport is Cython's alone, of which gcc 14 warns
    test(session, config["kernels"], *COMPILED)


@nox.session(python="3.10")
def oldest(session):
    """The oldest NumPy, Cython and setuptools that pyproject.toml allows, to build and to run with."""
    bounds = nox.project.load_toml("pyproject.toml")["build-system"]["requires"]
    session.install(*(re.sub(r">=(\d+)$", r"==\1.*", bound).replace(">=", "==") for bound in bounds))
    build(session, "--no-build-isolation")
    (numpy,) = (bound for bound in bounds if bound.startswith("numpy"))
    config = expect(session, python="3.10", numpy=f"{numpy.partition('>=')[2]}.0", skipped=[], openmp=True)
    test(session, config["kernels"], *NUMPY)


@nox.session(python=["3.14", "3.15"])
def newest(session):
    """The newest NumPy and Cython, pre-releases included."""
    build(session, PIP_PRE="1")
    outdated = session.run("python", "-m", "pip", "list", "--outdated", silent=True)
    if re.search("^(numpy|Cython) ", outdated, re.M):
        session.error(outdated)
    config = expect(session, skipped=[], openmp=True)
    test(session, config["kernels"], *NUMPY)


@nox.session
@nox.parametrize("cc", ["gcc", "clang"])
def werror(session, cc):
    """Every warning is an error."""
    said(session, build(session, CC=compiler(session, cc), CFLAGS=WARNINGS), WARNINGS)
    config = expect(session, skipped=[])
    test(session, config["kernels"], "tests/test_backends.py")
