"""Other packages' OpenMP in the same process: copies of GNU's runtime, LLVM's, and calls from inside a parallel
region of each."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux" or platform.machine() != "x86_64":
    pytest.skip("intel-openmp is for x86-64, and what is loaded is seen in /proc", allow_module_level=True)

CODE = """
import ctypes, importlib.metadata, re, threading
import numpy as np
{imports}
from calls import calls, results, same

(llvm,) = (path.locate() for path in importlib.metadata.files("intel-openmp") if path.name == "libiomp5.so")
ctypes.CDLL(str(llvm))  # LLVM's libomp, as Intel builds it
with open("/proc/self/maps") as maps:
    runtimes = {{line.split()[-1] for line in maps if re.search(r"/lib(gomp|iomp5)\\b[^/]*$", line)}}
assert len(runtimes) > 2, runtimes  # two of GNU's, of which one is scikit-learn's own

fastsig.set_num_threads(2)
work = calls(fastsig, (300, 200))
with fastsig.num_threads(1):
    expected = results(work)
def check():
    for name, call in work.items():
        assert same(call(), expected[name]), name
check()

# Side by side: each does its work between, and during, calls of the others.
points = np.random.default_rng(0).normal(size=(5000, 8)).astype("float32")
rows = torch.from_numpy(np.random.default_rng(0).normal(size=(1000, 2000)).astype("float32"))
def theirs():
    labels = sklearn.cluster.KMeans(8, n_init=1, random_state=0).fit(points).labels_
    return [labels, torch.softmax(rows, -1).numpy()]
first = theirs()
for _ in range(2):
    others = [threading.Thread(target=theirs) for _ in range(3)]
    for other in others:
        other.start()
    check()
    for other in others:
        other.join()
    assert same(theirs(), first)

# Inside a parallel region of each: all runtimes have the entry point that GNU's compiler uses.
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
        library.GOMP_parallel(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(body), None, 3, 0)
        assert sorted(ran) == [0, 1, 2] and not failed, (runtime, ran, failed)
        ran.clear()
    check()
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import fastsig, torch, sklearn.cluster",
        "import torch, fastsig, sklearn.cluster",
        "import sklearn.cluster, torch, fastsig",
    ],
)
def test_other_openmp(imports):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(imports=imports)],
        cwd=Path(__file__).parents[1],  # where `calls` is found
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
