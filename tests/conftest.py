"""Every backend in one process, and a clean interpreter for what needs one."""

import functools
import importlib
import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path

import pytest

import fastsig
from fastsig._backend import SETS

sys.path.insert(0, str(Path(__file__).parent))  # for what the tests share: oracle.py and layouts.py

BACKENDS = ("pure", *reversed(SETS))
PACKAGE = Path(fastsig.__file__).parent


def switched_on(variable):
    return os.environ.get(variable, "0").strip() not in {"", "0"}


def why_not(backend):
    """Why a backend cannot run here, or None; and whether that is the machine's doing rather than the build's."""
    if backend == "pure":
        return None, True
    if importlib.util.find_spec("fastsig._ufuncs") is None:
        return "no kernel set was built", False
    if backend not in importlib.import_module("fastsig._ufuncs").kernel_sets():
        return f"this CPU cannot run {backend}", True
    if importlib.util.find_spec(f"fastsig._kernels_{backend}") is None:
        return f"{backend} was not built", False
    return None, True


@functools.cache
def imported_on(backend):
    """A copy of the package beside the one in sys.modules. Compiled modules can be loaded only once and are shared."""

    def python_modules():
        ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "fastsig"}
        return {name: module for name, module in ours.items() if not isinstance(module.__loader__, ExtensionFileLoader)}

    before = python_modules()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSIG_PURE_PYTHON", "1" if backend == "pure" else "0")
        patch.setenv("FASTSIG_ISA", "" if backend == "pure" else backend)
        try:
            for name in before:
                del sys.modules[name]
            package = importlib.import_module("fastsig")
            importlib.import_module("fastsig._bench")  # which bench() would import from the other one
            return package
        finally:
            for name in python_modules():
                del sys.modules[name]
            sys.modules.update(before)


def package_or_skip(backend):
    if backend != "pure" and switched_on("FASTSIG_PURE_PYTHON"):
        pytest.skip("FASTSIG_PURE_PYTHON is set")
    reason, excused = why_not(backend)
    if reason and switched_on("FASTSIG_REQUIRE_EXTENSION") and not excused:
        pytest.fail(f"{reason}, and FASTSIG_REQUIRE_EXTENSION is set")
    if reason:
        pytest.skip(reason)
    package = imported_on(backend)
    assert package._backend.name == {"pure": "pure Python"}.get(backend, backend)
    return package


@pytest.fixture(scope="session", params=BACKENDS)
def fs(request):
    """The package fastsig on each backend in turn."""
    return package_or_skip(request.param)


@pytest.fixture(scope="session", params=BACKENDS[1:])
def compiled(request):
    """The package on each compiled backend in turn."""
    return package_or_skip(request.param)


@pytest.fixture(scope="session")
def default():
    """The package as users get it: the one that sys.modules, and so pickle, knows."""
    return fastsig


@pytest.fixture(scope="session")
def python():
    """Run code in a new interpreter, with these environment variables and no others of ours; the finished process."""

    def run(code, *arguments, folder=PACKAGE.parent, timeout=60, **environment):
        ours = ("FASTSIG_", "OMP_", "GOMP_")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=inherited | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


LIBGOMP = "import fastsig; print(*{line.split()[-1] for line in open('/proc/self/maps') if 'libgomp' in line})"


@pytest.fixture(scope="session")
def libgomp(default, python):
    """The libgomp that fastsig runs on: the system's, or a wheel's copy of it."""
    path = python(LIBGOMP).stdout.strip() if sys.platform == "linux" and default.get_config()["openmp"] else ""
    return path if "libgomp" in path else pytest.skip("about libgomp")
