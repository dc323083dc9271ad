"""The pages under docs/ and the README: their examples run, and what is made for the site is there."""

import doctest
import importlib
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import PACKAGE
from oracle import EXPANDED, label

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
        assert f"examples/{path.name}" in texts["made/examples.md"]


def test_times_are_those_of_the_race(pages, monkeypatch, tmp_path):
    row = TABLE[0]
    monkeypatch.setattr(pages, "RACE", tmp_path / "race.json")
    assert "performance.md" in pages.speed(row) and not re.search(r"\d", pages.speed(row))
    cell = {"section": "race", "function": row.name, "kind": row.kind, "dtype": "float32", "shape": [1000]}
    cell |= {"axis": None, "threads": 1, "least_ns": {"fastsig": 500.0, "torch": 1000.0}}
    cell |= {"fastest_peer": "torch", "ratio": 2.0}
    environment = {"cpu": "A CPU", "cpus": 1, "system": "Linux", "python": "3", "versions": {}, "load_before": 3.0}
    environment["fastsig"] = {"fastsig": "0", "kernels": "baseline", "threads": 1, "openmp": True}
    pages.RACE.write_text(json.dumps({"cells": [cell], "environment": environment}))
    assert "| 1000, 1 thread | 0.5 / 1 torch = **2.00** |" in pages.speed(row) and "A CPU" in pages.speed(row)
    assert "load     3.0 before" in pages.speed(row) and "noise" not in pages.speed(row)  # as a race that is run says
    assert "noise" in "".join(importlib.import_module("report").warning(environment))
    assert "performance.md" in pages.speed(TABLE[1])


def relative(text):
    return re.findall(r"\]\((?!https?:|#)[^)]*\)", text)


def test_readme_on_a_package_index(monkeypatch):
    """Nothing lies beside it there: links and pictures lead to the repository, or there are none."""
    pytest.importorskip("setuptools")
    monkeypatch.syspath_prepend(CHECKOUT)
    setup = importlib.import_module("setup")
    readme, address = (CHECKOUT / "README.md").read_text(encoding="utf-8"), "https://example.org/someone/fastsig"
    with_links, without = setup.long_description(address), setup.long_description("")
    assert len(relative(readme)) == len(re.findall(re.escape(f"]({address}/"), with_links)) > 10
    assert not relative(with_links) and not relative(without) and "![" not in without
    for kind, path in re.findall(rf"{re.escape(address)}/(blob|raw)/HEAD/([^)]+)", with_links):
        assert (CHECKOUT / path).exists() and (kind == "raw") == path.endswith(".svg")
    assert "PyTorch's activation functions" in without and "Choosing an activation" in without
    assert setup.urls("") == {} and setup.urls(address)["Source"] == address
    assert all(url.startswith(address) for url in setup.urls(address).values())


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("address", ["", "https://example.org", "TODO", "git@example.org:someone/fastsig"])
def test_a_release_says_where_its_source_is(address):
    command = ["make", "--no-print-directory", "release"]
    environment = os.environ | {"FASTSIG_REPOSITORY": address}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode and done.stderr.startswith("make release: FASTSIG_REPOSITORY is not set\n")
    workflow = CHECKOUT / ".github" / "workflows" / "release.yml"
    if workflow.exists():  # not in an sdist
        assert "run: make release\n" in workflow.read_text() and "make sdist" not in workflow.read_text()


def test_site_search_finds_names_elsewhere(pages):
    """The words that people bring along are on a function's page, in the text that the search goes through."""
    texts = {name: text for name, text in pages.texts().items() if name.startswith("functions/")}
    for word in ("expit", "swish", "hardtanh", "logsigmoid", "cross entropy", "temperature", "PReLU", "HardSwish"):
        assert any(word in text for text in texts.values()), word


def test_errors_are_those_recorded(pages, monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "ERRORS", tmp_path / "accuracy.json")
    environment = {"cpu": "A CPU", "cpus": 1, "system": "Linux", "python": "3", "versions": {}, "load_before": 0.0}
    environment["fastsig"] = {"fastsig": "0", "kernels": "baseline", "threads": 1, "openmp": True}
    errors = {
        "tanh": {"float32": {"fastsig": 2.25, "torch": 0.51}, "float64": {"fastsig": 1.5, "jax": "inf", "numpy": 2e9}}
    }
    pages.ERRORS.write_text(json.dumps({"errors": errors, "environment": environment}))
    text = pages.accuracy()
    assert "| `tanh` float32 | 2.2 | **0.5** |  |  |" in text and "A CPU" in text
    assert "| `tanh` float64 | **1.5** |  | inf | 2e+09 |" in text
    recorded = json.loads((CHECKOUT / "bench" / "accuracy.json").read_text(encoding="utf-8"))["errors"]
    names = {label(row) for row in EXPANDED}
    assert set(recorded) == names and all(set(each) == {"float32", "float64"} for each in recorded.values())
