"""The examples run as the README says, and their models are as good as they should be."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys

import pytest
from conftest import PACKAGE

import fastsig

EXAMPLES = PACKAGE.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="about the source tree")


def run(folder, name, *arguments, needs):
    """Run an example; what it printed."""
    for needed in needs:
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"the example needs {needed}")
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        env=os.environ | {"PYTHONPATH": path, "MPLCONFIGDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_durations(monkeypatch):
    """What takes microseconds is not told as 0.000 ms."""
    monkeypatch.syspath_prepend(EXAMPLES)
    race = importlib.import_module("_race")
    for seconds, text in ((1.234567, "1235 ms"), (0.0456, "45.6 ms"), (7.8e-5, "78 µs"), (3.21e-7, "0.321 µs")):
        assert race.duration(seconds) == text


def test_digits_network(tmp_path):
    printed = run(tmp_path, "digits_network.py", needs=["sklearn"])
    (accuracy,) = re.findall(r"test accuracy ([\d.]+)", printed)
    assert float(accuracy) > 0.97
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", printed)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.02
    assert "float32" in printed


def test_logistic_regression(tmp_path):
    picture = tmp_path / "activations.png"
    printed = run(tmp_path, "logistic_regression.py", "--output", str(picture), needs=["sklearn", "matplotlib", "tqdm"])
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    accuracies = [tuple(map(float, match)) for match in re.findall(r"test accuracy\s+([\d.]+)\s+([\d.]+)", printed)]
    assert len(accuracies) == 2
    for ours, sklearn in accuracies:
        assert ours > 0.9
        assert abs(ours - sklearn) < 0.02
    probabilities = [tuple(map(float, match)) for match in re.findall(r"P\(\w+\)\s+([\d.]+)\s+([\d.]+)", printed)]
    assert len(probabilities) == 2
    assert all(abs(ours - sklearn) < 0.01 for ours, sklearn in probabilities)
    assert "float32" in printed
    assert f"kernels  {fastsig.get_config()['kernels']}" in printed
