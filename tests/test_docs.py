"""The pages under docs/ and the README: their examples run, and what is made for the site is there."""

import doctest
import importlib
import json
import re
import sys

import numpy as np
import pytest
from conftest import PACKAGE

from fastsig._catalog import TABLE

CHECKOUT = PACKAGE.parent
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
pytestmark = pytest.mark.skipif(not (CHECKOUT / "docs").exists(), reason="about the source tree")


def blocks(text, language):
    """The code of all fences of a language, each on its own lines of the text."""
    lines, inside = [], False
    for line in text.splitlines():
        fence = line.startswith("```")
        inside = line == f"```{language}" if fence else inside
        lines.append(line if inside and not fence else "")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_examples_run(fs, monkeypatch, path):
    monkeypatch.setitem(sys.modules, "fastsig", fs)
    names = {"np": np, "fastsig": fs}
    text = path.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(blocks(text, "pycon"), names, path.name, str(path), 0)
    assert len(test.examples) == len(re.findall("^>>> ", text, re.M))  # none outside of what is run
    assert doctest.DocTestRunner().run(test).failed == 0
    if path.stem == "README":
        exec(blocks(text, "python"), names)


@pytest.fixture
def pages(monkeypatch):
    """docs/pages.py, which makes the functions' pages."""
    monkeypatch.syspath_prepend(CHECKOUT / "docs")
    monkeypatch.syspath_prepend(CHECKOUT / "bench")
    yield importlib.import_module("pages")
    sys.modules.pop("pages")


def test_every_function_and_example_has_its_place(pages):
    texts = pages.texts()
    for row in TABLE:
        page = texts[f"functions/{row.name}.md"]
        assert f"autofunction:: fastsig.{row.name}\n" in page and row.numpy in page
        assert (f"autofunction:: fastsig.backward.{row.name}\n" in page) == bool(row.gradient)
        assert f"({row.name}.md)" in texts["functions/index.md"]
    for path in (CHECKOUT / "examples").glob("[!_]*.py"):
        assert f"../examples/{path.name}\n" in texts["made/examples.md"]


def test_times_are_those_of_the_race(pages, monkeypatch, tmp_path):
    row = TABLE[0]
    monkeypatch.setattr(pages, "RACE", tmp_path / "race.json")
    assert "performance.md" in pages.speed(row) and not re.search(r"\d", pages.speed(row))
    cell = {"section": "race", "function": row.name, "kind": row.kind, "dtype": "float32", "shape": [1000]}
    cell |= {"axis": None, "threads": 1, "least_ns": {"fastsig": 500.0, "torch": 1000.0}}
    cell |= {"fastest_peer": "torch", "ratio": 2.0}
    environment = {"cpu": "A CPU", "cpus": 1, "system": "Linux", "python": "3", "versions": {}, "load_before": 0.0}
    environment["fastsig"] = {"fastsig": "0", "kernels": "baseline", "threads": 1, "openmp": True}
    pages.RACE.write_text(json.dumps({"cells": [cell], "environment": environment}))
    assert "0.5 / 1 torch = **2.00**" in pages.speed(row) and "A CPU" in pages.speed(row)
    assert "performance.md" in pages.speed(TABLE[1])
