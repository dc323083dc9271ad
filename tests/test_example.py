"""The example runs as the README says, and its models are as good as they should be."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from conftest import PACKAGE

import fastsig

EXAMPLE = PACKAGE.parent / "examples" / "logistic_regression.py"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="about the source tree")
def test_logistic_regression(tmp_path):
    for needed in ("sklearn", "matplotlib", "tqdm"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"the example needs {needed}")
    picture = tmp_path / "activations.png"
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "--output", str(picture)],
        env=os.environ | {"PYTHONPATH": path, "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    accuracies = [tuple(map(float, match)) for match in re.findall(r"test accuracy\s+([\d.]+)\s+([\d.]+)", done.stdout)]
    assert len(accuracies) == 2
    for ours, sklearn in accuracies:
        assert ours > 0.9
        assert abs(ours - sklearn) < 0.02
    probabilities = [tuple(map(float, match)) for match in re.findall(r"P\(\w+\)\s+([\d.]+)\s+([\d.]+)", done.stdout)]
    assert len(probabilities) == 2
    assert all(abs(ours - sklearn) < 0.01 for ours, sklearn in probabilities)
    assert "float32" in done.stdout
    assert f"kernels  {fastsig.get_config()['kernels']}" in done.stdout
