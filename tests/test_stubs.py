"""The type stubs against the package as it is imported."""

import subprocess
import sys

import pytest

import fastsig
from fastsig._catalog import TABLE

# Private modules have no stubs, cython_api is there to be cimported, and dask may not be installed.
WITHOUT_STUBS = r"""
fastsig\._[a-z].*
fastsig\.__main__.*
fastsig\.cython_api
fastsig\.dask
"""
CONFIGURATION = """
[mypy]
ignore_missing_imports = True
"""


@pytest.mark.skipif(fastsig.get_config()["kernels"] == "pure Python", reason="the stubs say np.ufunc")
def test_stubs_are_true(tmp_path):
    pytest.importorskip("mypy")
    ufuncs = [row.name for row in TABLE if row.is_ufunc]
    own_type = "".join(rf"fastsig\.(backward\.)?{name}{chr(10)}" for name in ufuncs)  # of theirs, for what calls return
    (tmp_path / "allowed").write_text(WITHOUT_STUBS + own_type)
    (tmp_path / "mypy.ini").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "mypy.stubtest", "fastsig", "--ignore-unused-allowlist"]
    command += ["--allowlist", str(tmp_path / "allowed"), "--mypy-config-file", str(tmp_path / "mypy.ini")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
