"""`make aarch64`: builds for 64-bit ARM with each cross compiler that is here, and runs tests under an emulator.

From nothing, in build/aarch64: a root of Debian arm64, wheels for it, a build by setup.py for each compiler. All but
mpmath's truth is computed by qemu, at 1/10 to 1/30 of the native speed: an hour and a half for each. Arguments go to
pytest: `make aarch64 ARGS="-x -k tanh"`. FASTSIG_CROSS=gcc or clang is one of the compilers; by itself, clang is only
there to run without threads, as Debian's is told of no libomp for ARM.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import tomllib

TREE = Path(__file__).resolve().parents[2]
HERE = TREE / "build" / "aarch64"
ROOT, SITE = HERE / "root", HERE / "site"
VERSION = "{}.{}".format(*sys.version_info)
RELEASE = {"3.11": "bookworm", "3.13": "trixie"}.get(VERSION)  # of Debian, with this Python
TRIPLE = "aarch64-linux-gnu"
NEEDED = {
    "qemu-aarch64-static": "qemu-user-static",
    "debootstrap": "debootstrap",
    f"{TRIPLE}-gcc": f"gcc-{TRIPLE} libc6-dev-arm64-cross",
}
COMPILERS = {"gcc": f"{TRIPLE}-gcc", "clang": f"clang --target={TRIPLE} -isystem /usr/{TRIPLE}/include"}
NAMES = "scalar fenv threads losses temperature halves logsumexp backward rows ufunc"
EMULATED = [f"tests/test_{name}.py" for name in NAMES.split()]
# Tests of other kernels and of what is not ours to emulate: mpmath, a CPU that is slower than a timeout allows.
SELECTED = "not pure and not x86_64"


def run(*command, **environment):
    print("$", shlex.join(map(str, command)), flush=True)
    subprocess.run(command, check=True, env=os.environ | environment)


def check():
    missing = [packages for tool, packages in NEEDED.items() if shutil.which(tool) is None]
    if missing:
        sys.exit(f"Not here: apt-get install --no-install-recommends {' '.join(missing)} clang")
    if RELEASE is None:
        sys.exit(f"Needs Python 3.11 or 3.13, as Debian has for ARM, and not {VERSION}: make aarch64 PYTHON=python3.13")
    if os.geteuid() and not (ROOT / "unpacked").exists():
        sys.exit("debootstrap needs root")


def make_root():
    """Debian's Python for ARM, unpacked and not configured; no binfmt_misc, no chroot."""
    if (ROOT / "unpacked").exists():
        return
    shutil.rmtree(ROOT, ignore_errors=True)
    packages = f"python3,python3-dev,libpython{VERSION}-dev,libgomp1,libatomic1"
    run("debootstrap", "--arch=arm64", "--foreign", "--variant=minbase", f"--include={packages}", RELEASE, ROOT)
    for package in sorted((ROOT / "var/cache/apt/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, ROOT], check=True)
    (ROOT / "unpacked").touch()


def make_site():
    """What the build needs in this Python, and the tests in ARM's."""
    if (SITE / "unpacked").exists():
        return
    project = tomllib.loads((TREE / "pyproject.toml").read_text())
    needed = [*project["build-system"]["requires"], *project["project"]["optional-dependencies"]["test"]]
    needed = [name for name in needed if name != "mypy"] + ["pytest-timeout"]
    run(sys.executable, "-m", "venv", HERE / "venv")
    run(HERE / "venv/bin/pip", "install", "--quiet", *needed)
    platforms = ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"]
    options = [f"--platform={platform}" for platform in platforms] + [f"--python-version={VERSION}"]
    wheels = HERE / "wheels"
    run(HERE / "venv/bin/pip", "download", "--quiet", "--only-binary=:all:", *options, "--dest", wheels, *needed)
    for wheel in wheels.glob("*.whl"):
        shutil.unpack_archive(wheel, SITE, "zip")
    (SITE / "unpacked").touch()


def make_python():
    """A script that is ARM's Python: tests start sys.executable again."""
    script, packages = HERE / "python", f"{SITE}"
    script.write_text(f"""#!/bin/sh
exec qemu-aarch64-static -0 {script} -L {ROOT} -E PYTHONHOME=/usr \\
    -E PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{packages}" {ROOT}/usr/bin/python{VERSION} "$@"
""")
    script.chmod(0o755)
    return script


def build(name, compiler, python):
    """The tree, built for ARM by setup.py as for any cross build."""
    tree = HERE / name
    shutil.rmtree(tree, ignore_errors=True)
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "*.so")
    shutil.copytree(TREE, tree, ignore=ignored)
    data = f"_sysconfigdata__{TRIPLE}"
    (HERE / "sysconfig").mkdir(exist_ok=True)
    shutil.copy(ROOT / f"usr/lib/python{VERSION}/{data}.py", HERE / "sysconfig")
    headers = f"-idirafter {ROOT}/usr/include -idirafter {ROOT}/usr/include/python{VERSION}"
    environment = {
        "PYTHONPATH": str(HERE / "sysconfig"),
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",
        "_PYTHON_SYSCONFIGDATA_NAME": data,
        "CC": compiler,
        "LDSHARED": f"{TRIPLE}-gcc -shared",
        "CFLAGS": headers,
        "FASTSIG_REQUIRE_EXTENSION": "1",
    }
    os.chdir(tree)
    run(HERE / "venv/bin/python", "setup.py", "--quiet", "build_ext", "--inplace", **environment)
    run(python, "-c", "import fastsig; fastsig.show_config()")
    return tree, headers


def main(arguments):
    check()
    HERE.mkdir(parents=True, exist_ok=True)
    make_root()
    make_site()
    python = make_python()
    failed = []

    def pytest(name, interpreter, *options, **environment):
        command = [interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *arguments]
        print("$", name, shlex.join(map(str, command)), flush=True)
        done = subprocess.run(command, env=os.environ | environment)
        if done.returncode not in (0, 5):  # 5: what was asked for is not in this file
            failed.append(f"{name}: {' '.join(map(str, options))}")

    chosen = os.environ.get("FASTSIG_CROSS")
    for name, compiler in COMPILERS.items():
        if chosen not in (None, name) or shutil.which(name if name == "clang" else compiler) is None:
            continue
        tree, headers = build(name, compiler, python)
        native, anyway = HERE / "venv/bin/python", "-Wignore:runs in pure Python"  # no kernels for this machine
        pytest(name, native, anyway, "tests/test_vectorised.py", "tests/test_sums.py", CC=compiler)
        # test_cimport compiles for ARM, too.
        cross = {"CC": compiler, "LDSHARED": f"{TRIPLE}-gcc -shared", "CFLAGS": headers, "PYTHONPATH": str(tree)}
        for path in EMULATED:
            pytest(name, python, "--timeout=900", path, "-k", SELECTED, **cross)
        proxy = {"PYTHONPATH": str(Path(__file__).parent), "FASTSIG_PYTHON": str(python), "FASTSIG_TREE": str(tree)}
        pytest(name, native, anyway, "-p", "proxy", "tests/test_accuracy.py", "-k", "baseline", **proxy)
    if failed:
        sys.exit("\n".join(["Failed:", *failed]))


if __name__ == "__main__":
    main(sys.argv[1:])
