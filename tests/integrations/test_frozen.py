"""A program that PyInstaller makes of a script finds the kernels and the fallback, without a hook or an option."""

import os
import subprocess
import sys

import pytest
from conftest import BACKENDS, PACKAGE, package_or_skip

PROGRAM = """
import fastsig
assert fastsig.sigmoid(0.0) == 0.5 and (fastsig.softmax([1.0, 1.0]) == 0.5).all()
print(fastsig._backend.name, fastsig.__file__, sep="|", end="")
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    pytest.importorskip("PyInstaller")
    folder = tmp_path_factory.mktemp("frozen")
    (folder / "program.py").write_text(PROGRAM)
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "PYINSTALLER_CONFIG_DIR": str(folder / "cache")}
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "program.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    collected = (folder / "build" / "program" / "Analysis-00.toc").read_text()
    assert "'fastsig.dask'" in collected and "'dask" not in collected and "'pandas" not in collected
    return folder / "dist" / "program" / "program"


@pytest.mark.parametrize("backend", BACKENDS)
def test_pyinstaller(program, backend):
    name = package_or_skip(backend)._backend.name
    pure = name == "pure Python"
    environment = {"FASTSIG_PURE_PYTHON": str(int(pure)), "FASTSIG_ISA": "" if pure else name}
    done = subprocess.run([program], env=environment, cwd=program.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels, file = done.stdout.split("|")
    assert kernels == name and file.startswith(str(program.parent))
