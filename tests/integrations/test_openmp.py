"""Other packages' OpenMP in the same process: several copies of GNU's runtime, LLVM's, and calls from inside a parallel
region of each."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux" or platform.machine() != "x86_64":
    pytest.skip("intel-openmp is for x86-64, and what is loaded is seen in /proc", allow_module_level=True)

TESTS = str(Path(__file__).parents[1])


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=TESTS)
    assert (done.returncode, done.stdout) == (0, "passed\n"), done.stderr


LOAD = """
import ctypes, importlib.metadata, re
import numpy as np
{imports}
from calls import calls, same
(llvm,) = (path.locate() for path in importlib.metadata.files("intel-openmp") if path.name == "libiomp5.so")
ctypes.CDLL(str(llvm))  # LLVM's libomp, as Intel builds it
with open("/proc/self/maps") as maps:
    runtimes = {{line.split()[-1] for line in maps if re.search(r"/lib(gomp|iomp|omp)[^/]*$", line)}}
names = sorted(path.rpartition("/")[2] for path in runtimes)
assert len(runtimes) >= 3 and any("gomp" in name for name in names) and any("iomp" in name for name in names), names
fastsig.set_num_threads(2)
work = calls(fastsig, (300, 200))
with fastsig.num_threads(1):
    expected = {{name: call() for name, call in work.items()}}
def check():
    for name, call in work.items():
        assert same(call(), expected[name]), name
check()
"""
ORDERS = {
    "fastsig first": "import fastsig, torch, sklearn.cluster",
    "torch first": "import torch, fastsig, sklearn.cluster",
    "last": "import sklearn.cluster, torch, fastsig",
}


@pytest.mark.parametrize("order", ORDERS)
def test_side_by_side(order):
    """Each does its work between, and during, calls of the others."""
    run(
        LOAD.format(imports=ORDERS[order])
        + """
import threading
points = np.random.default_rng(0).normal(size=(5000, 8)).astype("float32")
rows = torch.from_numpy(np.random.default_rng(0).normal(size=(1000, 2000)).astype("float32"))
def theirs():
    labels = sklearn.cluster.KMeans(8, n_init=1, random_state=0).fit(points).labels_
    return labels, torch.softmax(rows, -1).numpy()
first = theirs()
for _ in range(3):
    others = [threading.Thread(target=theirs) for _ in range(3)]
    for other in others:
        other.start()
    check()
    for other in others:
        other.join()
    labels, soft = theirs()
    assert (labels == first[0]).all() and (soft == first[1]).all()
print("passed")
"""
    )


@pytest.mark.parametrize("order", ORDERS)
def test_inside_a_parallel_region(order):
    """Of each runtime: all of them have the entry point that GNU's compiler uses."""
    run(
        LOAD.format(imports=ORDERS[order])
        + """
Body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
for runtime in sorted(runtimes):
    library, ran, failed = ctypes.CDLL(runtime), [], []
    def body(_):
        ran.append(library.omp_get_thread_num())
        try:
            check()
        except BaseException as error:
            failed.append(error)
    for active_levels in (1, 2):
        library.omp_set_max_active_levels(active_levels)
        library.GOMP_parallel(Body(body), None, 3, 0)
        assert sorted(ran) == [0, 1, 2] and not failed, (runtime, ran, failed)
        ran.clear()
    check()
print("passed")
"""
    )
