# Everything runs in virtual environments of its own; `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= python3
COMPILED := $(wildcard fastsig/*.pyx fastsig/*.px*) setup.py pyproject.toml
PIP = bin/pip install --quiet --disable-pip-version-check

.PHONY: demo test test-integrations exhaustive sanitize bench docs lint generate clean

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

# What watches memory and threads, most of an hour: AddressSanitizer and UndefinedBehaviorSanitizer, ThreadSanitizer,
# valgrind, and a million calls of every kind for what they leave behind. Needs gcc, clang, llvm, libomp and valgrind.
# ThreadSanitizer sees a race in every parallel region of libgomp, which is not built for it; of LLVM's libomp it is told
# by archer, in llvm-config's folder, so that no report has to be suppressed. Under a limit no sanitizer has memory.
KERNEL_TESTS = $(addprefix tests/test_,ufunc.py rows.py logsumexp.py scalar.py backward.py bfloat16.py)
LOAD_TESTS = tests/test_threads.py tests/test_faults.py -k "not memory and not cannot and not leaks"
sanitize: .venv/.installed .venv-address/.installed .venv-thread/.installed
	LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 .venv-address/bin/pytest -q $(KERNEL_TESTS) $(LOAD_TESTS)
	LD_PRELOAD=$$(gcc -print-file-name=libtsan.so) LD_LIBRARY_PATH=$$(llvm-config --libdir) \
		TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1" .venv-thread/bin/pytest -q $(LOAD_TESTS)
	FASTSIG_ISA=x86_64_v3 PYTHONMALLOC=malloc valgrind -q --error-exitcode=1 --suppressions=tests/valgrind.supp \
		.venv/bin/python tests/calls.py
	FASTSIG_LEAK_CALLS=1000000 .venv/bin/pytest -q tests/test_faults.py -k leaks

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

# A build of its own, and all symbols kept.
.venv-address/.installed: CC = gcc -fsanitize=address,undefined -fno-omit-frame-pointer
.venv-thread/.installed: CC = clang -fsanitize=thread
.venv-address/.installed .venv-thread/.installed: $(COMPILED)
	$(PYTHON) -m venv $(@D)
	mkdir -p build
	printf '[build]\nbuild_base = build/$(@D)\n' > build/$(@D).cfg
	CC="$(CC)" CFLAGS=-g DIST_EXTRA_CONFIG=$(CURDIR)/build/$(@D).cfg FASTSIG_REQUIRE_EXTENSION=1 \
		$(@D)/$(PIP) --force-reinstall ".[test]"
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

.venv-lint/.installed: Makefile
	$(PYTHON) -m venv .venv-lint
	.venv-lint/$(PIP) ruff cython-lint mypy typing_extensions numpy
	touch $@

clean:
	rm -rf .venv .venv-address .venv-bench .venv-docs .venv-integrations .venv-lint .venv-thread build dist *.egg-info fastsig/*.so docs/_build docs/functions docs/made
