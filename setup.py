"""Builds the kernel sets: one source, compiled once per instruction set, with what this machine's compiler can do.

FASTSIG_PURE_PYTHON=1 compiles nothing; FASTSIG_REQUIRE_EXTENSION=1 makes it an error if something does not compile;
FASTSIG_WITH_LIBGOMP=1 is for those who then put libgomp into the wheel: its licence goes with it.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, PlatformError

HERE = Path(__file__).parent
PURE_PYTHON, REQUIRE_EXTENSION, WITH_LIBGOMP = (
    os.environ.get(f"FASTSIG_{name}", "0").strip() not in {"", "0"}
    for name in ("PURE_PYTHON", "REQUIRE_EXTENSION", "WITH_LIBGOMP")
)

# Every flag is probed, and left out where the compiler does not know it. Never -ffast-math, nor a part of it that lets
# the compiler reassociate or assume that there are no NaNs: the formulas count on both. These take back what CFLAGS say
# of it, and icx does unasked. To the linker, too: there gcc and clang otherwise add code for -Ofast, -ffast-math and
# -funsafe-math-optimizations that sets the processor to flush subnormals to zero as soon as the module is imported.
ARITHMETIC = [
    ["-O3"],  # in place of -Ofast
    ["-fno-fast-math"],
    ["-fno-unsafe-math-optimizations"],
    ["-fno-single-precision-constant"],
    ["-msse2", "-mfpmath=sse"],  # 32-bit x86: x87 does not round sums to float, on which the formulas count
]
FLAGS = {
    "unix": [
        *ARITHMETIC,
        ["-fno-trapping-math"],  # else a float select does not vectorise
        ["-Wno-overriding-t-option"],  # clang to 17: of -fno-unsafe-math-optimizations, which allowed them
        ["-fno-math-errno"],
        ["-ffp-contract=fast"],  # a*b + c in one rounding where the CPU can
        ["-Wno-unused-function"],
    ],
    "msvc": [["/O2"], ["/fp:precise"], ["/fp:contract"]],
}
# Of kernels alone: other code they make larger, and not faster.
LOOP_FLAGS = [
    ["-frename-registers"],
    ["-fschedule-insns", "-fsched-pressure"],
    ["-fno-tree-loop-distribute-patterns"],  # to copy or clear a few vectors, rep movs and rep stos take too long
    # What is declared inline is, and little else: by default 40 % of a module at the most, wherever that leaves off.
    ["--param=inline-unit-growth=1000", "--param=max-inline-insns-auto=15"],
    # Taken apart before they are vectorised, loops over 8 or 16 numbers inside of one over rows would stay so.
    ["--param=max-completely-peel-times=7"],
    # clang: pairing the polynomials of one number's gelu gains little, and rounds unlike the arrays' loop
    ["-mllvm", "-slp-threshold=8"],
]
UNROLLING = [["-funroll-loops"], ["--param=max-unroll-times=2"]]  # by default 8: no faster, and a quarter larger
# Where 16 floats are one vector; less, and no loop over four terms inside of one over lanes would be taken apart.
PEELING = [["--param=max-completely-peel-times=4"]]
# Beside FLAGS. Not for x86-64's baseline, which few CPUs still need: it would be a quarter larger.
MORE_FLAGS = {"x86_64_v3": UNROLLING, "x86_64_v4": [*UNROLLING, *PEELING], "baseline": UNROLLING}
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

# What probes compile. The compiler alone knows which machine it compiles for; macOS' -arch can say two at once.
EMPTY = "int probe(void) { return 0; }\n"
PYTHON = "#include <Python.h>\nPyMODINIT_FUNC PyInit_probe(void) { return PyLong_FromLong(0); }\n"
OMP = "#include <omp.h>\nint probe(void) { int n = 0;\n#pragma omp parallel\nn = omp_get_max_threads();\nreturn n; }\n"
X86_64 = "#if !(defined(__x86_64__) || defined(_M_X64)) || defined(__ILP32__)\n#error\n#endif\n" + EMPTY
# Without this, CFLAGS=-Werror=format-security is an error for gcc whatever it compiles.
FORMAT = ["-Wformat"]
# Makes an error of what clang only warns of: a flag that it does not know or has no use for. -Werror would make one of
# anything that CFLAGS let the compiler warn of.
STRICT = [
    [f"-Werror={warning}"]
    for warning in ("unknown-warning-option", "unused-command-line-argument", "ignored-optimization-argument")
]


def extension(name):
    return Extension(
        name,
        [name.replace(".", "/") + ".pyx"],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")],
    )


def extensions():
    shared = [f"fastsig.{name}" for name in ("_ufuncs", "cython_api")]
    return [extension(name) for name in [*shared, *(KERNELS + isa for isa in ["baseline", *MARCH["unix"]])]]


class Modules(build_ext):
    """Probes the compiler, then builds what it can; without a compiler only the pure-Python fallback is installed.

    What is left out, and why, stands in _left_out.py, for show_config(): pip hides what a build that succeeds has said.
    """

    def run(self):
        self.left_out = {}
        if PURE_PYTHON:
            self.give_up("FASTSIG_PURE_PYTHON was set")
        super().run()
        self.distribution.ext_modules = self.extensions
        if PURE_PYTHON and self.inplace:  # what was compiled there before stays: it is for others, too
            return
        for name in self.left_out:
            Path(self.get_ext_fullpath(f"fastsig.{name}")).unlink(missing_ok=True)
        note = Path(self.get_ext_fullpath("fastsig._left_out")).with_name("_left_out.py")
        note.unlink(missing_ok=True)
        if self.left_out:
            note.parent.mkdir(parents=True, exist_ok=True)
            text = f"LEFT_OUT = {self.left_out!r}\nASKED = {PURE_PYTHON}  # to compile nothing\n"
            note.write_text(f'"""What setup.py did not compile, and why."""\n\n{text}')

    def build_extensions(self):
        from Cython.Build import cythonize  # not at the top, nor NumPy: compiling nothing must need nothing

        self.kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        why_not = self.try_compiler()
        if why_not:
            return self.give_up(why_not)
        self.choose_flags()
        for ext, made in zip(self.extensions, cythonize(self.extensions, build_dir="build/cython", emit_linenums=True)):
            ext.sources = made.sources
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()
        self.extensions = [ext for ext in self.extensions if ext.name.removeprefix("fastsig.") not in self.left_out]
        if not any(KERNELS in ext.name for ext in self.extensions):
            self.give_up(self.left_out["_kernels_baseline"])

    def try_compiler(self):
        """Why the compiler is of no use, or None; what every call of it needs, and every probe."""
        self.probing = self.always = []
        working = [flags for flags in ([], FORMAT) if self.compiles(flags, [])]
        if not working:
            return "no working C compiler was found"
        self.probing = self.always = working[0]
        if not self.compiles([], [], PYTHON):
            return "the C compiler makes no module of what includes Python.h"
        self.probing = [*self.always, *self.known(STRICT)]

    def choose_flags(self):
        """Those that the compiler knows, for the kernel sets that the machine may have."""
        import numpy

        flags = [*self.always, *self.known(FLAGS[self.kind])]
        loop_flags = self.known(LOOP_FLAGS) if self.kind == "unix" else []
        arithmetic = ARITHMETIC if self.kind == "unix" else []
        link_flags = [flag for group in arithmetic if self.compiles([], group) for flag in group]
        # A module may lack functions until it is loaded: clang's OpenMP, linked by gcc, would be no error before.
        complete = ["-Wl,-z,defs"] if self.kind == "unix" and self.compiles([], ["-Wl,-z,defs"]) else []
        pairs = OPENMP[self.kind]
        openmp = next((pair for pair in pairs if self.compiles(pair[0], [*pair[1], *complete], OMP)), ([], []))
        if not openmp[0]:
            print("fastsig: this compiler has no OpenMP; building for one thread.", file=sys.stderr)
        symbols = "-g" in os.environ.get("CFLAGS", "").split()  # who asks for them keeps them
        strip = ["-s"] if self.kind == "unix" and not symbols and self.compiles([], ["-s"]) else []
        x86_64 = self.compiles([], None, X86_64)
        for ext in list(self.extensions):
            kernel_set = ext.name.removeprefix(KERNELS)
            march = MARCH[self.kind].get(kernel_set)
            if march and not (x86_64 and self.compiles([march])):
                self.extensions.remove(ext)
                if x86_64:
                    self.leave_out(ext, f"this compiler does not know {march}")
                continue
            ext.extra_compile_args = [*flags, *openmp[0], *([march] if march else [])]
            if ext.name.startswith(KERNELS):
                ext.extra_compile_args += loop_flags
            if self.kind == "unix" and (march or not x86_64):
                ext.extra_compile_args += self.known(MORE_FLAGS.get(kernel_set, []))
            ext.extra_link_args = [*link_flags, *openmp[1], *strip]
            ext.include_dirs = [numpy.get_include()]

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except CCompilerError:  # of which the compiler has said more
            if REQUIRE_EXTENSION:
                raise
            self.leave_out(ext, f"{ext.name} could not be compiled")

    def known(self, groups):
        """The flags of those groups that the compiler knows."""
        return [flag for group in groups if self.compiles(group) for flag in group]

    def compiles(self, compile_args, link_args=None, source=EMPTY):
        """Whether a small file compiles with these arguments, and becomes a module with those."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.c")
            path.write_text(source)
            try:
                arguments = [*self.probing, *compile_args]
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=arguments)
                if link_args is not None:
                    libraries = self.get_libraries(self.extensions[0])
                    name = str(path.with_suffix(".so"))
                    self.compiler.link_shared_object(objects, name, libraries=libraries, extra_postargs=link_args)
            except (CCompilerError, PlatformError, OSError):  # the second, of MSVC: it is not there
                return False
        return True

    def leave_out(self, ext, why):
        print(f"fastsig: {why}; leaving {ext.name} out.", file=sys.stderr)
        self.left_out[ext.name.removeprefix("fastsig.")] = why

    def give_up(self, why):
        if REQUIRE_EXTENSION:
            raise SystemExit(f"fastsig: {why}, and FASTSIG_REQUIRE_EXTENSION is set.")
        print(f"fastsig: {why}; installing the pure-Python fallback, which is correct and slower.", file=sys.stderr)
        self.left_out.update((ext.name.removeprefix("fastsig."), why) for ext in self.extensions)
        self.extensions = []


class Afresh(build):
    """Takes nothing from an earlier build, whose compiler and flags may have been others."""

    def run(self):
        shutil.rmtree(Path(self.build_lib, "fastsig"), ignore_errors=True)
        super().run()


class Wheel(bdist_wheel):
    """Tagged for what is in it: without compiled modules for every machine."""

    def run_command(self, command):
        super().run_command(command)
        if command == "build":
            self.root_is_pure = not self.distribution.has_ext_modules()


def repository():
    """The address of the source, without a placeholder: a release sets it, and an sdist carries it to its wheels."""
    given = os.environ.get("FASTSIG_REPOSITORY", "")
    carried = HERE / "PKG-INFO"
    if not given and carried.exists():
        found = re.search("^Project-URL: Source, (.+)$", carried.read_text(encoding="utf-8"), re.M)
        given = found[1] if found else ""
    return given


def long_description(address):
    """The README for a package index, which has neither the pictures nor the pages that lie beside it."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    if address:
        text = re.sub(r"\]\((?!https?:|#)", f"]({address}/blob/HEAD/", text)
        return re.sub(r"(!\[[^]]*\]\([^)]*)/blob/HEAD/", r"\1/raw/HEAD/", text)
    return re.sub(
        r"(?<!!)\[([^]]*)\]\((?!https?:|#)[^)]*\)", r"\1", re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\s*", "", text)
    )


def urls(address):
    pages = {"Source": "", "Changelog": "/blob/HEAD/CHANGELOG.md", "Issues": "/issues", "Security": "/security"}
    return {name: address + place for name, place in pages.items()} if address else {}


KEYWORDS = {
    "long_description": long_description(repository()),
    "long_description_content_type": "text/markdown",
    "project_urls": urls(repository()),
    "cmdclass": {"build": Afresh, "build_ext": Modules, "bdist_wheel": Wheel},
    "license_files": ["LICENSE", *(["LICENSE-libgomp.txt"] if WITH_LIBGOMP else [])],
}

if __name__ == "__main__":
    setup(ext_modules=extensions(), **KEYWORDS)
