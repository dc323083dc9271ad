"""The compiler vectorises every loop of the block kernels: by its own report, for the flags that setup.py uses."""

import re
import runpy
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest
from conftest import PACKAGE

CHECKOUT = PACKAGE.parent
SOURCES = [PACKAGE / name for name in ("_formulas.pxi", "_gradients.pxi")]

# A loop that cannot be vectorised, lest the test believe a report that says yes to everything.
COUNTER_EXAMPLE = """
from libc.math cimport lgamma
cdef void libm_block(const double *x, double *y, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i in range(whole(n, y)):  # libm
        y[i] = lgamma(x[i])
"""


def fused_types(text):
    """Name of a fused type -> how many types it stands for."""
    declared = re.findall(r"^ctypedef fused (\w+):.*\n((?:    \w+\n)+)", text, re.M)
    return {"floating": 2} | {name: len(members.split()) for name, members in declared}


def loops_of_block_kernels(text):
    """(line, function, how many specialisations) of every loop over a block's elements."""
    fused, found = fused_types(text), []
    for number, line in enumerate(text.splitlines(), 1):
        if definition := re.match(r"cdef .*?(\w+)\(", line):
            kernel = definition[1] if definition[1].endswith("_block") else None
            copies = next((count for name, count in fused.items() if re.search(rf"\b{name} \*", line)), 1)
        elif re.match(r" +for \w+ in range\(whole\(n, y\)\):", line) and kernel:
            found.append((number, kernel, copies))
    return found


@pytest.fixture(scope="module", params=["baseline", "x86_64_v3", "x86_64_v4"])
def report(request, tmp_path_factory):
    """(file, line) -> bytes of the vectors of each loop that gcc vectorised there."""
    if not (CHECKOUT / "setup.py").exists() or not SOURCES[0].exists():
        pytest.skip("about the source tree")
    pytest.importorskip("Cython")
    compiler = shutil.which("gcc")
    if compiler is None or "clang" in subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("needs gcc, whose report it reads")
    folder = tmp_path_factory.mktemp("vectorised")
    setup = runpy.run_path(str(CHECKOUT / "setup.py"), run_name="setup")
    kernel_set = request.param
    if setup["X86_64"] == (kernel_set == "baseline"):
        pytest.skip("x86-64 has the other two, all else this one")

    # A kernel set without driver and rows: only the block kernels stay, none of them inlined somewhere.
    directives = (PACKAGE / f"_kernels_{kernel_set}.pyx").read_text().splitlines()[0]
    head, _ = (PACKAGE / "_kernels.pxi").read_text().split('include "_driver.pxi"')
    pyx, c, listing = folder / "kernels.pyx", folder / "kernels.c", folder / "report.txt"
    kernels = {kernel for source in SOURCES for _, kernel, _ in loops_of_block_kernels(source.read_text())}
    # Those that only the rows use need a user here, or they would not be compiled.
    used = [f"<void *>{kernel}[float], <void *>{kernel}[double]" for kernel in sorted(kernels)]
    used.append("NULL, <void *>libm_block")
    users = "".join(f"elementwise('user', 1, 1.0, {both}, NULL, NULL)\n" for both in used)
    pyx.write_text(f"{directives}\n{head}{COUNTER_EXAMPLE}{users}")
    cython = [
        sys.executable,
        "-m",
        "cython",
        "--line-directives",
        "-I",
        str(PACKAGE),
        "-I",
        str(CHECKOUT),
        str(pyx),
        "-o",
        str(c),
    ]
    subprocess.run(cython, check=True, capture_output=True, cwd=CHECKOUT)

    def known(group):
        command = [compiler, *group, "-E", "-x", "c", "/dev/null"]
        return group if subprocess.run(command, capture_output=True).returncode == 0 else []

    march = setup["MARCH"]["unix"].get(kernel_set)
    if march and not known([march]):
        pytest.skip(f"this compiler does not know {march}")
    flags = [march] if march else []
    for group in [*setup["FLAGS"]["unix"], *setup["MORE_FLAGS"][kernel_set]]:  # without those of other compilers
        flags += known(group)
    flags += [f"-D{name}={value}" for name, value in setup["extension"](f"fastsig._kernels_{kernel_set}").define_macros]
    includes = ["-I", sysconfig.get_paths()["include"], "-I", np.get_include()]
    gcc = [compiler, "-c", str(c), "-o", str(folder / "kernels.o"), "-fPIC", *flags, *includes]
    subprocess.run([*gcc, f"-fopt-info-vec-optimized={listing}"], check=True, capture_output=True, cwd=CHECKOUT)

    vectorised = {}
    for path, line, size in re.findall(
        r"^(.*?):(\d+):\d+: optimized: +loop vectorized using (\d+) byte", listing.read_text(), re.M
    ):
        vectorised.setdefault((path.rpartition("/")[2], int(line)), []).append(int(size))
    return pyx, vectorised, {"x86_64_v3": 32, "x86_64_v4": 64}.get(kernel_set, 8)


@pytest.mark.skipif(not SOURCES[0].exists(), reason="about the source tree")
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_loop_is_vectorised(report, source):
    _, vectorised, full = report
    loops = loops_of_block_kernels(source.read_text())
    assert len(loops) >= len(re.findall(r"^elementwise\(", source.read_text(), re.M))
    for line, kernel, copies in loops:
        # What is left over gets another, narrower loop, which is listed too.
        widths = [width for width in vectorised.get((source.name, line), []) if width >= full]
        assert len(widths) >= copies, f"{kernel}, line {line}: {len(widths)} of {copies} specialisations are vectorised"


def test_a_call_is_not_vectorised(report):
    pyx, vectorised, _ = report
    (line,) = (number for number, text in enumerate(pyx.read_text().splitlines(), 1) if text.endswith("# libm"))
    assert (pyx.name, line) not in vectorised
