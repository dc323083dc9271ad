"""Builds the kernel sets: one source, compiled once per instruction set, with what this machine's compiler can do.

FASTSIG_PURE_PYTHON=1 compiles nothing; FASTSIG_REQUIRE_EXTENSION=1 makes it an error if something does not compile.
"""

import os
import platform
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError, LinkError

PURE_PYTHON = os.environ.get("FASTSIG_PURE_PYTHON", "0") not in {"", "0"}
REQUIRE_EXTENSION = os.environ.get("FASTSIG_REQUIRE_EXTENSION", "0") not in {"", "0"}
X86_64 = platform.machine().lower() in {"x86_64", "amd64"} and sys.maxsize > 2**32

# Every flag is probed, and left out where the compiler does not know it. Never -ffast-math, nor a part of it that lets
# the compiler reassociate or assume that there are no NaNs: the formulas count on both.
FLAGS = {
    "unix": [
        ["-O3"],
        ["-fno-trapping-math"],  # else a float select does not vectorise
        ["-fno-math-errno"],
        ["-ffp-contract=fast"],  # a*b + c in one rounding where the CPU can
        ["-frename-registers"],
        ["-fschedule-insns", "-fsched-pressure"],
        ["-fno-tree-loop-distribute-patterns"],  # to copy or clear a few vectors, rep movs and rep stos take too long
        # clang: pairing the polynomials of one number's gelu gains little, and rounds unlike the arrays' loop
        ["-mllvm", "-slp-threshold=8"],
        ["-Wno-unused-function"],
    ],
    "msvc": [["/O2"], ["/fp:contract"]],
}
UNROLLING = [["-funroll-loops"], ["--param=max-unroll-times=2"]]  # by default 8: no faster, and a quarter larger
# Where 16 floats are one vector: taken apart before it is vectorised, a loop over them would stay so.
PEELING = [["--param=max-completely-peel-times=3"]]
# Beside FLAGS. x86-64's baseline, which few CPUs still need, would be a quarter larger.
MORE_FLAGS = {"x86_64_v3": UNROLLING, "x86_64_v4": [*UNROLLING, *PEELING], "baseline": [] if X86_64 else UNROLLING}
MARCH = {
    "unix": {"x86_64_v3": "-march=x86-64-v3", "x86_64_v4": "-march=x86-64-v4"},
    "msvc": {"x86_64_v3": "/arch:AVX2", "x86_64_v4": "/arch:AVX512"},
}
# (compile, link) arguments, the first that works: gcc and clang; Apple's clang with Homebrew's libomp; MSVC
OPENMP = {
    "unix": [(["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])],
    "msvc": [(["/openmp"], [])],
}
KERNELS = "fastsig._kernels_"


def extension(name):
    return Extension(
        name,
        [name.replace(".", "/") + ".pyx"],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")],
        depends=[str(path) for path in Path("fastsig").glob("*.px*")] if KERNELS in name else [],
    )


class Build(build_ext):
    """Probes the compiler, then builds what it can; without a compiler only the pure-Python fallback is installed."""

    def build_extensions(self):
        import numpy  # not at the top: compiling nothing must need nothing

        self.failed = []
        self.kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        if not self.compiles():
            self.give_up("no working C compiler was found")
            self.extensions = []
            return
        flags = self.known(FLAGS[self.kind])
        main = "#include <omp.h>\nint main(void) { return omp_get_max_threads() == 0; }\n"
        openmp = next((pair for pair in OPENMP[self.kind] if self.compiles(*pair, source=main)), ([], []))
        if not openmp[0]:
            print("fastsig: this compiler has no OpenMP; building for one thread.", file=sys.stderr)
        symbols = "-g" in os.environ.get("CFLAGS", "").split()  # who asks for them keeps them
        strip = ["-s"] if self.kind == "unix" and not symbols and self.compiles([], ["-s"]) else []
        for ext in list(self.extensions):
            kernel_set = ext.name.removeprefix(KERNELS)
            march = MARCH[self.kind].get(kernel_set)
            if march and not self.compiles([march]):
                print(f"fastsig: this compiler does not know {march}; leaving {ext.name} out.", file=sys.stderr)
                self.extensions.remove(ext)
                continue
            ext.extra_compile_args = [*flags, *openmp[0], *([march] if march else [])]
            if self.kind == "unix":
                ext.extra_compile_args += self.known(MORE_FLAGS.get(kernel_set, []))
            ext.extra_link_args = [*openmp[1], *strip]
            ext.include_dirs = [numpy.get_include()]
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()
        self.extensions = [ext for ext in self.extensions if ext not in self.failed]

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except (CCompilerError, CompileError, LinkError) as error:
            self.failed.append(ext)
            self.give_up(f"{ext.name} could not be compiled ({error})")

    def known(self, groups):
        """The flags of those groups that the compiler knows."""
        return [flag for group in groups if self.compiles(group) for flag in group]

    def compiles(self, compile_args=(), link_args=(), source="int main(void) { return 0; }\n"):
        """Whether a small program compiles and links with these arguments. Warnings about unknown flags count as no."""
        strict = ["-Werror"] if self.kind == "unix" else []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.c")
            path.write_text(source)
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=[*strict, *compile_args])
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=list(link_args))
            except (CompileError, LinkError, OSError):
                return False
        return True

    def give_up(self, why):
        if REQUIRE_EXTENSION:
            raise SystemExit(f"fastsig: {why}, and FASTSIG_REQUIRE_EXTENSION is set.")
        print(f"fastsig: {why}; installing the pure-Python fallback, which is correct and slower.", file=sys.stderr)


def extensions():
    if PURE_PYTHON:
        if REQUIRE_EXTENSION:
            raise SystemExit("fastsig: FASTSIG_PURE_PYTHON and FASTSIG_REQUIRE_EXTENSION contradict each other.")
        return []
    from Cython.Build import cythonize

    sets = ["baseline", *(MARCH["unix"] if X86_64 else [])]
    shared = [f"fastsig.{name}" for name in ("_cpu", "_threads", "_ufuncs", "cython_api")]
    names = [*shared, *(KERNELS + isa for isa in sets)]
    return cythonize([extension(name) for name in names], build_dir="build/cython", emit_linenums=True)


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": Build})
