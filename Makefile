# Everything runs in virtual environments of its own; `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= python3
SOURCES := $(wildcard fastsig/*.py fastsig/*.p[xy]* setup.py pyproject.toml Makefile)
STAMP = .venv/.installed-$(1)

.PHONY: demo test exhaustive bench lint generate clean

demo: $(call STAMP,examples)
	.venv/bin/python examples/logistic_regression.py

test: $(call STAMP,examples) $(call STAMP,test)
	.venv/bin/pytest -q

exhaustive: $(call STAMP,test)
	.venv/bin/python tests/exhaustive.py

lint: $(call STAMP,lint)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/cython-lint fastsig
	.venv/bin/mypy

# The files that are made from the table: __init__.pyi and the README's list of functions.
generate: $(call STAMP,test)
	.venv/bin/python -c "from fastsig._docs import write_files; write_files()"

bench: .venv-bench/.installed
	.venv-bench/bin/python bench/race.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

# Editable, so that `python` in this folder finds the compiled modules; built again when a source has changed.
.venv/.installed-%: .venv/bin/python $(SOURCES)
	.venv/bin/pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

.venv-bench/.installed: $(SOURCES) bench/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	touch $@

clean:
	rm -rf .venv .venv-bench build dist *.egg-info fastsig/*.so
