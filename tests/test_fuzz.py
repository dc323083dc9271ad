"""Some of the calls of fuzz.py, and that it sees what is wrong; `make fuzz` makes as many as there is time for."""

import os

import pytest

pytest.importorskip("hypothesis")

import fuzz

EXAMPLES = 10


@pytest.mark.parametrize("name", fuzz.SUBJECTS)
def test_calls(fs, name):
    _, found = fuzz.fuzz(fs, name, EXAMPLES, 0 if "CI" in os.environ else None)
    if found:
        raise found
