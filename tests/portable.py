"""All of our C compiles for systems that are not at hand, as far as zig's clang can tell: `make portable`, in minutes.

It has their C libraries' headers; NumPy's are out of the target's wheel, and Python's are this one's, save for Windows'
pyconfig.h: PYTHON_WINDOWS_HEADERS may name the folder of one; else a few lines below stand for it. Nothing is linked,
and nothing runs.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize

sys.path.insert(0, str(Path(__file__).parents[1]))
import setup

# zig's name of the system, and pip's
TARGETS = {
    "x86_64-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-linux-musl": "musllinux_1_2_aarch64",
    "x86_64-macos": "macosx_14_0_x86_64",
    "aarch64-macos": "macosx_14_0_arm64",
    "x86_64-windows-gnu": "win_amd64",
    "aarch64-windows-gnu": "win_arm64",
    "x86-windows-gnu": "win32",
}
PYCONFIG = """
#define MS_WINDOWS
#define NT_THREADS
#define HAVE_DECLSPEC_DLL
#define Py_ENABLE_SHARED
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_FLOAT 4
#define SIZEOF_DOUBLE 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_TIME_T 8
#define SIZEOF_PID_T 4
#define SIZEOF_VOID_P __SIZEOF_POINTER__
#define SIZEOF_SIZE_T __SIZEOF_SIZE_T__
#ifdef _WIN64
#define MS_WIN64
#endif
#define HAVE_PY_SSIZE_T
typedef __INTPTR_TYPE__ Py_ssize_t;
#define PY_SSIZE_T_MAX __INTPTR_MAX__
"""


def numpy_headers(platform, folder):
    version = ".".join(map(str, sys.version_info[:2]))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    which = ["--platform", platform, "--python-version", version, "--dest", str(folder), f"numpy=={np.__version__}"]
    subprocess.run([*pip, *which], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder, [name for name in files.namelist() if "/_core/include/" in name])
    return folder / "numpy" / "_core" / "include"


def compiles(target, folder, *arguments):
    """Whether it does, and what the compiler says."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-c", *arguments, "-o", folder / "made.o"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def check(target, folder, modules):
    """How many modules of how many do not compile."""
    python = shutil.copytree(sysconfig.get_path("include"), folder / "python")
    if "windows" in target:
        given = os.environ.get("PYTHON_WINDOWS_HEADERS")
        (python / "pyconfig.h").write_text(Path(given, "pyconfig.h").read_text() if given else PYCONFIG)
    empty = folder / "empty.c"
    empty.write_text(setup.EMPTY)
    strict = [flag for group in setup.STRICT for flag in group]
    groups = (*setup.FLAGS["unix"], *setup.LOOP_FLAGS)
    known = [group for group in groups if compiles(target, folder, *strict, *group, empty)[0]]
    flags = [flag for group in known for flag in group]
    includes = ["-I", numpy_headers(TARGETS[target], folder), "-I", python]
    tried = failed = 0
    for module in modules:
        kernel_set = module.name.removeprefix(setup.KERNELS)
        if kernel_set in setup.MARCH["unix"] and not target.startswith("x86_64-"):
            continue
        march = [f"-mcpu={kernel_set}"] if kernel_set in setup.MARCH["unix"] else []
        defines = [f"-D{name}={value}" for name, value in module.define_macros]
        good, said = compiles(target, folder, *flags, *march, *defines, *includes, *module.sources)
        tried, failed = tried + 1, failed + (not good)
        if said:
            print(f"{target}, {module.name}:\n{said}")
    print(f"{target}: {tried - failed} of {tried} modules compile with {' '.join(flags)}", flush=True)
    return failed


def main(targets):
    os.chdir(Path(setup.__file__).parent)
    modules = cythonize(setup.extensions(), build_dir="build/cython", emit_linenums=True, quiet=True)
    failed = 0
    for target in targets or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            failed += check(target, Path(folder), modules)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main(sys.argv[1:])
