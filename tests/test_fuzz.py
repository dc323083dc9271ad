"""A few of the calls of fuzz.py, the same ones in each run; `make fuzz` makes others for as long as there is time."""

import pytest

pytest.importorskip("hypothesis")

import fuzz

EXAMPLES = 10


@pytest.mark.parametrize("name", fuzz.SUBJECTS)
def test_calls(fs, name):
    _, found = fuzz.fuzz(fs, name, EXAMPLES, seed=0)
    if found:
        raise found
