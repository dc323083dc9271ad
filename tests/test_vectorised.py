"""The compiler vectorises every loop of the block kernels, and of rows every one over lanes: by its own report, for the
flags that setup.py uses."""

import itertools
import operator
import os
import platform
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from conftest import PACKAGE

CHECKOUT = PACKAGE.parent
SOURCES = [PACKAGE / "kernels" / name for name in ("formulas.pxi", "gradients.pxi")]
ROWS = sorted((PACKAGE / "kernels").glob("rows*.pxi"))
# CC, which may be a cross compiler, or the two whose reports are read here.
COMPILERS = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
KERNEL_SETS = {"baseline": 16, "x86_64_v3": 32, "x86_64_v4": 64}  # and the bytes of a vector
SIZES = {"float": 4, "double": 8, "int": 4, "char": 1}

# A loop that cannot be vectorised, lest the test believe a report that says yes to everything.
COUNTER_EXAMPLE = """
from libc.math cimport lgamma
cdef void libm_block(const double *x, double *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i in range(whole(n, y)):  # libm
        y[i] = lgamma(x[i])
"""


def size_of(name):
    """Bytes of float, double, or an integer of stdint.h."""
    return {"float": 4, "double": 8}.get(name) or int(re.search(r"\d+", name)[0]) // 8


def fused_types(text):
    """Name of a fused type -> the sizes of the types that it stands for."""
    declared = re.findall(r"^ctypedef fused (\w+):.*\n((?:    \w+\n)+)", text, re.M)
    return {"floating": [4, 8]} | {name: list(map(size_of, members.split())) for name, members in declared}


def loops_of_block_kernels(text):
    """(line, function, sizes of the specialisations' elements) of every loop over a block's elements."""
    fused, found = fused_types(text), []
    for number, line in enumerate(text.splitlines(), 1):
        if definition := re.match(r"cdef .*?(\w+)\(", line):
            kernel = definition[1] if definition[1].endswith("_block") else None
            of = re.search(r"(\w+) \*y\b", line)
            sizes = fused.get(of[1]) or [size_of(of[1])] if of else []
        elif re.match(r" +for \w+ in range\(whole\(n, y\)\):", line) and kernel:
            found.append((number, kernel, sizes))
    return found


def loops_over_lanes(text):
    """(line, function) of every loop over so many LANES or WIDE, but for those that call what has loops of its own."""
    lines, function = text.splitlines(), None
    for number, line in enumerate(lines, 1):
        if definition := re.match(r"cdef .*?(\w+)\(", line):
            function = definition[1]
        if re.match(r" +for \w+ in range\((\d+ \* )?(LANES|WIDE)( \* WIDE)?\):", line):
            deeper = re.match(" *", line)[0] + " "
            inside = itertools.takewhile(operator.methodcaller("startswith", deeper), lines[number:])
            if not any("at, row" in text for text in inside):
                yield number, function


def to_c(pyx):
    folders = [part for folder in (PACKAGE, PACKAGE / "kernels", CHECKOUT) for part in ("-I", folder)]
    cython = [sys.executable, "-m", "cython", "--line-directives", *folders, pyx]
    subprocess.run(cython, check=True, capture_output=True, cwd=CHECKOUT)
    return pyx.with_suffix(".c")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """A kernel set without driver and rows, as Cython and as C: only the block kernels stay, none of them inlined."""
    if not (CHECKOUT / "setup.py").exists() or not SOURCES[0].exists():
        pytest.skip("about the source tree")
    pytest.importorskip("Cython")
    pyx = tmp_path_factory.mktemp("vectorised") / "kernels.pyx"
    directives = (PACKAGE / "_kernels_baseline.pyx").read_text().splitlines()[0]
    head, _ = (PACKAGE / "kernels" / "kernel_set.pxi").read_text().split('include "driver.pxi"')
    loops = [loop for source in SOURCES for loop in loops_of_block_kernels(source.read_text())]
    names = {kernel for _, kernel, sizes in loops if len(sizes) > 1}
    # Those that only the rows use need a user here, or they would not be compiled.
    used = [f"<void *>{kernel}[float], <void *>{kernel}[double]" for kernel in sorted(names)]
    used.append("NULL, <void *>libm_block")
    users = "".join(f"elementwise('user', 1, 1.0, {both}, NULL, NULL)\n" for both in used)
    pyx.write_text(f"{directives}\n{head}{COUNTER_EXAMPLE}{users}")
    to_c(pyx)
    return pyx


@pytest.fixture(scope="module", params=KERNEL_SETS)
def kernel_set(request):
    return request.param


def reported(compiler, kernel_set, c):
    """(file, line) -> of each loop that the compiler vectorised there, in falling order, how many elements of 1 byte
    a vector holds (gcc), or how many elements of its type (clang); and which of these."""
    compiler = shlex.split(compiler)
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]} here")

    def said(*arguments):
        done = subprocess.run([*compiler, *arguments], capture_output=True, text=True, cwd=CHECKOUT)
        return (done.stdout + done.stderr) if done.returncode == 0 else None

    macros = said("-dM", "-E", "-x", "c", "/dev/null") or ""
    if "__GNUC__" not in macros:
        pytest.skip(f"{compiler[0]} is neither gcc nor clang, whose reports are read here")
    clang = "__clang__" in macros
    setup = runpy.run_path(str(CHECKOUT / "setup.py"), run_name="setup")
    march = setup["MARCH"]["unix"].get(kernel_set)
    if march and (said(march, "-E", "-x", "c", "/dev/null") is None or "__x86_64__" not in macros):
        pytest.skip(f"this compiler does not know {march}")
    flags = [march] if march else []
    more = setup["MORE_FLAGS"][kernel_set] if march or "__x86_64__" not in macros else []
    for group in [*setup["FLAGS"]["unix"], *setup["LOOP_FLAGS"], *more]:  # without those of other compilers
        flags += group if said("-Werror", *group, "-c", "-x", "c", "/dev/null", "-o", "/dev/null") is not None else []
    flags += [f"-D{name}={value}" for name, value in setup["extension"](f"fastsig._kernels_{kernel_set}").define_macros]
    includes = ["-I", sysconfig.get_paths()["include"], "-I", np.get_include()]
    o, record = (str(c.with_suffix(suffix)) for suffix in (".o", ".txt"))
    Path(record).unlink(missing_ok=True)  # gcc appends
    remarks = [f"-fopt-info-vec-optimized={record}"]
    form = r"^(?P<path>.*?):(?P<line>\d+):\d+: optimized: +loop vectorized using (?P<size>\d+) byte"
    if clang:
        remarks = ["-fsave-optimization-record", f"-foptimization-record-file={record}"]
        form = r"^--- !Passed\n.*\nName: +Vectorized\nDebugLoc: +{ File: '?(?P<path>[^,']*)'?,\s+Line: (?P<line>\d+)"
        form += r"(?s:(?!\n---).)*?\bVectorizationFactor: '(?P<size>\d+)"
    assert said(*flags, *remarks, "-fPIC", *includes, "-c", str(c), "-o", o) is not None
    vectorised = {}
    for loop in re.finditer(form, Path(record).read_text(), re.M):
        place = loop["path"].rpartition("/")[2], int(loop["line"])
        vectorised.setdefault(place, []).append(int(loop["size"]))
    return {place: sorted(sizes, reverse=True) for place, sizes in vectorised.items()}, clang


@pytest.fixture(scope="module", params=COMPILERS)
def report(request, kernels, kernel_set):
    return reported(request.param, kernel_set, kernels.with_suffix(".c"))


@pytest.mark.skipif(not SOURCES[0].exists(), reason="about the source tree")
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_loop_is_vectorised(report, kernel_set, source):
    vectorised, counts_elements = report
    width = min(KERNEL_SETS[kernel_set], 32 if counts_elements else 64)  # clang prefers such also where 64 are there
    loops = loops_of_block_kernels(source.read_text())
    assert len(loops) >= len(re.findall(r"^elementwise\(", source.read_text(), re.M))
    scalar = []
    for line, kernel, sizes in loops:
        # What is left over gets another, narrower loop, which is listed too.
        full = [width // (size if counts_elements else 1) for size in sorted(sizes)]
        found = vectorised.get((source.name, line), [])
        if len(found) < len(full) or any(map(int.__lt__, found, full)):
            scalar.append(f"{kernel}, line {line}: {found} where {full} make whole vectors")
    assert not scalar


def test_a_call_is_not_vectorised(report, kernels):
    (line,) = (number for number, text in enumerate(kernels.read_text().splitlines(), 1) if text.endswith("# libm"))
    assert (kernels.name, line) not in report[0]


def test_lanes_of_rows_are_vectors(kernels, kernel_set, tmp_path):
    """What a set of flags leaves scalar costs rows twice their time, and changes no result: gcc, as the wheels have it,
    on x86-64."""
    if platform.machine() not in ("x86_64", "AMD64") or "CC" in os.environ:
        pytest.skip("about gcc on x86-64")
    pyx = tmp_path / "whole.pyx"
    pyx.write_text((PACKAGE / "_kernels_baseline.pyx").read_text())
    vectorised, _ = reported("gcc", kernel_set, to_c(pyx))
    scalar, loops = [], 0
    for source in ROWS:
        for line, function in loops_over_lanes(source.read_text()):
            loops += 1
            # SSE2 cannot compare numbers of 64 bits, and what is bfloat16's alone is not there.
            if kernel_set == "baseline" and function in {"mask_of", "narrowed", "all_finite"}:
                continue
            sizes = vectorised.get((source.name, line), [0])
            if sizes[0] < KERNEL_SETS[kernel_set]:
                scalar.append(f"{function}, {source.name}, line {line}: {sizes}")
    assert loops > 40
    assert not scalar
