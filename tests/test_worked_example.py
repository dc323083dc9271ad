"""The worked example of docs/contributing.md, followed to the letter in a copy of the source tree."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import PACKAGE, why_not

CHECKOUT = PACKAGE.parent
COPIED = ["README.md", "docs", "fastsig", "pyproject.toml", "setup.py", "tests"]

# Where each block of the page goes, in its order: below the line that starts like this, or at the end.
PLACES = [
    ("kernels/formulas.pxi", None),
    ("kernels/gradients.pxi", None),
    ("_catalog.py", "TABLE = ("),
    ("_fallback.py", "FORMULAS: "),
    ("_fallback.py", "GRADIENTS: "),
]
GENERATE = "from fastsig._generate import write_files; write_files()"
BUILD = """
import setup, setuptools
setup.MARCH["unix"].clear()     # for the baseline alone, and quickly
setup.FLAGS["unix"].append(["-O0"])
setuptools.setup(ext_modules=setup.extensions(), **setup.KEYWORDS)
"""
TESTS = ["tests/test_accuracy.py", "tests/test_backends.py", "tests/test_scalar.py"]


def insert(path, block, start):
    lines = path.read_text().splitlines()
    at = len(lines) if start is None else 1 + next(i for i, line in enumerate(lines) if line.startswith(start))
    lines[at:at] = block.splitlines()
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.skipif(not (CHECKOUT / "docs").exists(), reason="about the source tree")
@pytest.mark.skipif(why_not("baseline")[0] is not None, reason="needs the compiler that built the baseline")
def test_thresholded_relu(tmp_path):
    """The tests that the table then makes for the new row pass on both backends; mpmath has the truth."""
    pytest.importorskip("Cython")
    for name in COPIED:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, tmp_path / name)
    for module in (tmp_path / "fastsig").glob("*.so"):
        module.unlink()
    page = (tmp_path / "docs" / "contributing.md").read_text()
    blocks = re.findall(r"^```(?:cython|python)\n(.*?)^```", page, re.M | re.S)
    for block, (name, start) in zip(blocks, PLACES, strict=True):
        insert(tmp_path / "fastsig" / name, block, start)

    def python(*arguments, **environment):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=os.environ | environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("-c", GENERATE, FASTSIG_PURE_PYTHON="1")
    python("-c", BUILD, "build_ext", "--inplace", FASTSIG_REQUIRE_EXTENSION="1")
    chosen = "thresholded_relu and not cimport"  # which compiles once more
    environment = {"PYTHONPATH": str(tmp_path), "FASTSIG_REQUIRE_EXTENSION": "0"}  # the other sets are not built
    printed = python("-m", "pytest", "-q", "-k", chosen, *TESTS, **environment)
    assert int(re.search(r"(\d+) passed", printed)[1]) > 50, printed
