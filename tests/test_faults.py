"""What can go wrong around a call: no memory, no threads, signals, forks, the interpreter's end, many calls at once."""

import contextlib
import multiprocessing
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from calls import calls, results, same
from conftest import PACKAGE

import fastsig
from fastsig._catalog import TABLE

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
linux = pytest.mark.skipif(sys.platform != "linux", reason="about Linux")
each_face = pytest.mark.parametrize("pure", "01", ids=["compiled", "pure"])


IMPORTS = f"""
import os, signal, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np, fastsig
from calls import calls, results, same
"""


@pytest.fixture
def passes(python):
    """Code that runs to its end in a new interpreter and leaves nothing on stderr."""

    def check(code, **environment):
        done = python(code + "\nprint('passed')", **environment)
        assert done.stderr == ""
        assert (done.returncode, done.stdout) == (0, "passed\n")

    return check


# -------------------------------------------------------------------------------- memory

LIMITS = """
import os, resource, time
held = []
def limit(spare):  # how much more address space there may be
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare, resource.RLIM_INFINITY))
def no_limit():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
between = []
def reserve(n):  # free pieces for what is small, between others that stay: malloc would make one of them, for an array
    pieces = []
    for i in range(n):
        pieces.append(bytearray(70_000))
        if len(between) < n:
            between.append(bytearray(70_000))
def fill_holes():  # malloc would take an array from where small things were, if there is a large gap
    limit(0)
    try:
        while True:
            held.append(bytearray(400_000))
    except MemoryError:
        no_limit()
def threads(expected):  # one that has ended is there for another moment
    for _ in range(100):
        if len(os.listdir("/proc/self/task")) == expected:
            return True
        time.sleep(0.05)
"""

# Arrays and libraries are mapped: under a limit, there is no memory for any. All else comes from a reserve, as NumPy
# crashes where it has none for an iterator's buffers (it sets MemoryError without the GIL) or for a ufunc's loops.
SMALL_FROM_RESERVE = {"PYTHONMALLOC": "malloc", "MALLOC_MMAP_THRESHOLD_": "100000"}
SMALL_FROM_RESERVE |= {"MALLOC_TOP_PAD_": "500000", "MALLOC_TRIM_THRESHOLD_": "1000000"}
has_reserve = pytest.mark.skipif(
    sys.platform != "linux" or bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="about Linux and malloc, which a Python without a GIL does not use",
)


@has_reserve
def test_out_of_memory(passes, fs):
    """With a little more memory at every attempt, a call raises MemoryError until it has enough, and then is right."""
    code = """
work = calls(fastsig, (600, 500))
expected = results(work)
fill_holes()
for name, call in work.items():
    for attempt in range(1000):
        reserve(10)
        limit(attempt * 1_000_000)
        try:
            got = call()
        except MemoryError:
            continue
        finally:
            no_limit()
        break
    assert same(got, expected[name]), name
    assert attempt or max(array.nbytes for array in got) < 1_000_000, name
"""
    pure = fs._backend.name == "pure Python"
    backend = {"FASTSIG_PURE_PYTHON": "1"} if pure else {"FASTSIG_ISA": fs._backend.name}
    passes(IMPORTS + LIMITS + code, timeout=300, **SMALL_FROM_RESERVE, **backend)


@linux
def test_rows_without_memory(passes, compiled):
    """Rows that are widened into memory of their own do without, with the same bits."""
    code = """
x = np.random.default_rng(0).normal(0, 9, (2000, 900)).astype("float16")
work = []
for array in x, x.reshape(2, -1), x.astype("float32"), x.reshape(2, -1).astype("float32"):
    functions = [fastsig.softmax, fastsig.log_softmax] * (array.dtype == "float16") + [fastsig.softmin]
    for function, axis in itertools.product(functions, range(2)):
        out = np.empty((*array.shape, 2), array.dtype)[..., 0]
        work.append(functools.partial(function, array, axis=axis, out=out))
expected = [call().copy() for call in work]
for call in work:
    call.keywords["out"][...] = 0
limit(0)
got = [call() for call in work]
no_limit()
assert same(got, expected)
for x, axis in (x.reshape(2, -1), 1), (x, 0):
    shape = x.shape[1 - axis]
    call = functools.partial(fastsig.backward.cross_entropy, 1.0, x, np.arange(shape), axis, out=np.empty_like(x))
    expected = call().copy()
    call.keywords["out"][...] = 0
    limit(0)
    try:
        got = call()
    except MemoryError:
        got = None
    no_limit()
    assert got is None or same([got], [expected])
    assert same([call()], [expected])
"""
    head = IMPORTS + LIMITS + "import functools, itertools\nfastsig.set_num_threads(1)\n"
    passes(head + code, FASTSIG_ISA=compiled._backend.name, **SMALL_FROM_RESERVE)


@linux
@pytest.mark.parametrize("what", ["memory", "number"])
def test_threads_that_cannot_be_started(passes, default, what):
    """OpenMP's runtimes end the process. fastsig does without, and starts them as soon as it can."""
    if not default.get_config()["openmp"]:
        pytest.skip("built without OpenMP")
    restrict = "limit(200_000)"
    if what == "number":
        no_privilege = "os.setresuid(*[54321] * 3)\n" if os.getuid() == 0 else ""
        restrict = no_privilege + "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))"
    code = f"""
fastsig.set_num_threads(4)
x = np.random.default_rng(0).normal(0, 9, (2000, 1000)).astype("float32")
functions = fastsig.sigmoid, fastsig.softmax, lambda x, out: fastsig.backward.log_softmax(x, x, out=out)
with fastsig.num_threads(1):
    expected = [function(x, out=np.empty_like(x)) for function in functions]
outs = [np.empty_like(x) for function in functions]
{restrict}
for function, out in zip(functions, outs):
    function(x, out=out)
assert threads(1)
no_limit()
assert same(outs, expected)
if {what == "memory"}:
    fastsig.sigmoid(x, out=outs[0])
    assert threads(4)
    assert same(outs, expected)
"""
    passes(IMPORTS + LIMITS + code, OPENBLAS_NUM_THREADS="1")


@has_reserve
@forks
def test_import_out_of_memory(passes, default):
    """The fallback where there is no memory for a library, or MemoryError: never a crash."""
    if default._backend.threads is None:
        pytest.skip("the fallback has no libraries")
    code = """
import warnings, numpy
warnings.simplefilter("ignore", RuntimeWarning)  # where it falls back
names, ends = ["compiled", "fallback", "MemoryError", "wrong"], set()
for spare in range(0, 9_000_000, 150_000):
    pid = os.fork()
    if not pid:
        end = "wrong"
        try:
            reserve(200)
            limit(spare)
            import fastsig
            no_limit()
            if fastsig.sigmoid(0.0) == 0.5:
                end = "fallback" if fastsig.get_config()["kernels"] == "pure Python" else "compiled"
        except MemoryError:
            end = "MemoryError"
        finally:
            os._exit(names.index(end))
    ends.add(names[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])])
assert ends - {"MemoryError"} == {"fallback", "compiled"}, ends
"""
    passes(LIMITS + code, **SMALL_FROM_RESERVE | {"MALLOC_TRIM_THRESHOLD_": "64000000"})


def test_out_of_memory_for_loops(passes, compiled):
    """What a kernel set allocates at import, each time without memory for one thing more: MemoryError, and no crash."""
    pytest.importorskip("_testcapi")
    code = """
import _testcapi
from fastsig._catalog import TABLE
kernels = fastsig._backend.kernels
for build, *arguments in (
    (kernels.build, "sigmoid", None),  # without a docstring it ends before NumPy is called, which would crash
    (kernels.build_default, "softplus", None, (1.0,)),
    (kernels.build_gradient, "gelu", None),
    (kernels.build_rows, "softmax", None, next(row for row in TABLE if row.name == "softmax")),
):
    ends = []
    for n in range(300):
        _testcapi.set_nomemory(n, n + 1)
        try:
            build(*arguments)
        except (MemoryError, AttributeError) as error:
            end = type(error)
        finally:
            _testcapi.remove_mem_hooks()
        ends.append(end)
    assert ends[0] is MemoryError and ends[-1] is AttributeError, build
"""
    passes(IMPORTS + code, FASTSIG_ISA=compiled._backend.name)


# -------------------------------------------------------------------------------- signals


@each_face
def test_keyboard_interrupt(passes, pure):
    """It comes when the call in progress is done, or between the steps of one that has several; the next is right."""
    code = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
fastsig.set_num_threads(2)
threads = fastsig.get_num_threads()
work = dict(list(calls(fastsig, (400, 300)).items())[::5])
expected = results(work)
for name, call in work.items():
    timer = threading.Timer(0.002, signal.raise_signal, [signal.SIGINT])
    try:
        timer.start()
        while True:
            call()
    except KeyboardInterrupt:
        pass
    timer.join()
    assert same(call(), expected[name]), name
assert fastsig.get_num_threads() == threads
"""
    passes(IMPORTS + code, FASTSIG_PURE_PYTHON=pure)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@each_face
def test_signal_handler(passes, pure):
    """A handler calls the function that it interrupts, on other data."""
    code = """
fastsig.set_num_threads(2)
work, others = (calls(fastsig, (200, 150), seed=seed) for seed in (0, 1))
expected, other_results = results(work), results(others)
handled, wrong = 0, []
def handle(number, frame):
    global handled
    handled += 1
    if not same(others[name](), other_results[name]):
        wrong.append(name)
signal.signal(signal.SIGALRM, handle)
while handled < 100:
    for name, call in work.items():
        signal.setitimer(signal.ITIMER_REAL, 0.0002)
        assert same(call(), expected[name]), name
signal.setitimer(signal.ITIMER_REAL, 0)
assert not wrong
"""
    passes(IMPORTS + code, FASTSIG_PURE_PYTHON=pure)


# -------------------------------------------------------------------------------- threads of Python


def run_to_the_end(workers):
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def at_once(threads, works, expected):
    """All calls in many Python threads, of other data in each, four of them at the same one at the same time."""
    start, failures, interval = threading.Barrier(threads), [], sys.getswitchinterval()

    def run(i):
        work, names = works[i % len(works)], list(works[0])
        start.wait()
        for k in range(len(names)):
            name = names[(k + i // 4 * 4 * len(names) // threads) % len(names)]
            try:
                if not same(work[name](), expected[i % len(works)][name]):
                    failures.append(name)
            except BaseException as error:
                failures.append((name, error))

    workers = [threading.Thread(target=run, args=[i]) for i in range(threads)]
    sys.setswitchinterval(1e-5)
    try:
        run_to_the_end(workers)
    finally:
        sys.setswitchinterval(interval)
    assert not failures


@linux
def test_small_stacks(passes):
    """All calls twenty calls of C deep in a thread of 128 KiB, which is what musl gives one; the workers' have less
    than half of that, 4 kB below what is promised: what the dynamic linker takes there differs from CPU to CPU."""
    code = """
fastsig.set_num_threads(2)
def deep(levels, function):
    return next(map(deep, [levels - 1], [function])) if levels else function()
shapes = (70, 9), (3000, 14), (3000, 17), (2000, 30), (90, 200), (3, 3000), (500, 401)
works = [calls(fastsig, shape, dtype) for dtype in ("float16", "float32", "float64") for shape in shapes]
expected = [results(work) for work in works]
wrong = []
def run():
    for work, right in zip(works, expected):
        for name, call in work.items():
            if not same(deep(20, call), right[name]):
                wrong.append(name)
threading.stack_size(1 << 17)
thread = threading.Thread(target=run)
thread.start()
thread.join()
assert not wrong, wrong
"""
    passes(IMPORTS + code, OMP_STACKSIZE="60k")


@linux
def test_frames_are_small():
    """At most 32 kB, in all kernel sets, also those that this machine cannot run: what objdump sees them take."""
    if platform.machine() != "x86_64" or shutil.which("objdump") is None:
        pytest.skip("reads x86-64's instructions by objdump")
    libraries = list(PACKAGE.glob("*.so"))
    for library in libraries:
        code = subprocess.run(["objdump", "-d", library], capture_output=True, text=True, check=True).stdout
        frames = [int(size, 16) for size in re.findall(r"\bsub +\$0x([0-9a-f]{1,8}),%rsp", code)]  # longer: negative
        assert frames, library
        assert max(frames) <= 1 << 15, library
    assert libraries or fastsig._backend.threads is None


@pytest.mark.parametrize("shape", [(3, 8), (300, 200)], ids=str)
def test_sixteen_threads(fs, shape):
    if fs._backend.threads is None and shape != (3, 8):
        pytest.skip("the fallback has no large calls")
    works = [calls(fs, shape, seed=seed) for seed in range(3)]
    at_once(16, works, [results(work) for work in works])


def test_eight_threads_for_a_while(fs):
    """All calls in eight Python threads, at random, while the numbers of threads that they may use change.

    FASTSIG_STRESS_SECONDS says for how long."""
    until, before = time.monotonic() + float(os.environ.get("FASTSIG_STRESS_SECONDS", "2")), fs.get_num_threads()
    shapes = [(3, 8), (300, 200)] if fs._backend.threads else [(3, 8)]
    works = [calls(fs, shape, dtype) for shape in shapes for dtype in ("float16", "float32", "float64")]
    work = {(i, name): call for i, some in enumerate(works) for name, call in some.items()}
    expected, failures = results(work), []

    def run(seed):
        chance = random.Random(seed)
        while time.monotonic() < until and not failures:
            name, n = chance.choice(list(work)), chance.choice([1, 2, 3])
            try:
                fs.set_num_threads(chance.choice([1, 2, 3]))
                with fs.num_threads(n) if chance.random() < 0.5 else contextlib.nullcontext():
                    right = same(work[name](), expected[name]) and 1 <= fs.get_config()["threads"] <= 3
            except BaseException as error:
                right, name = False, (name, error)
            if not right:
                failures.append(name)

    workers = [threading.Thread(target=run, args=[seed]) for seed in range(8)]
    try:
        run_to_the_end(workers)
    finally:
        fs.set_num_threads(before)
    assert not failures


def test_first_calls_from_sixteen_threads(passes):
    """Not from the main one. Those of bfloat16, too, which NumPy is told of at the first call."""
    pytest.importorskip("ml_dtypes")
    code = """
import ml_dtypes
from test_faults import at_once
fastsig.set_num_threads(2)
for shape, dtype in (((300, 200), "float32"), ((3, 8), ml_dtypes.bfloat16)):
    work, first = calls(fastsig, shape, dtype), {}
    class Expected(dict):
        def __missing__(self, name):  # whoever comes first
            return first.setdefault(name, work[name]())
    at_once(16, [work], [Expected()])
    assert first.keys() == work.keys()
"""
    passes(IMPORTS + code)


def test_first_bfloat16_calls_of_two_threads(passes):
    """Of each ufunc at the same moment: both need the loop that NumPy has not been told of."""
    pytest.importorskip("ml_dtypes")
    code = """
import ml_dtypes
operands = {"e": np.ones(4, ml_dtypes.bfloat16), "?": np.ones(4, bool), "d": np.float64(1)}
at, failures = [0, 0], []
def run(me):
    for i, (name, ufunc) in enumerate(fastsig._backend.ufuncs.items()):
        kinds = next((types.split("->")[0] for types in ufunc.types if types.endswith("e")), "")
        at[me] = i
        while at[1 - me] < i:  # no barrier: that wakes one after the other
            pass
        try:
            kinds and ufunc(*[operands.get(kind, 0) for kind in kinds])
        except Exception as error:
            failures.append((name, error))
    at[me] += 1
workers = [threading.Thread(target=run, args=[me]) for me in (0, 1)]
[worker.start() for worker in workers], [worker.join() for worker in workers]
assert not failures, failures
"""
    passes(IMPORTS + code)


@each_face
def test_exit_during_a_call(passes, pure):
    """The interpreter ends while daemon threads are inside calls."""
    code = """
fastsig.set_num_threads(2)
work = calls(fastsig, (900, 500))
begun = threading.Barrier(4)
def run(i):
    begun.wait()
    while True:
        for call in list(work.values())[i * 20 :]:
            call()
for i in range(3):
    threading.Thread(target=run, args=[i], daemon=True).start()
begun.wait()
time.sleep(0.05)
"""
    for _ in range(3):
        passes(IMPORTS + code, FASTSIG_PURE_PYTHON=pure)


def test_subinterpreters(passes):
    """Where NumPy refuses, fastsig does with it, else it works; the interpreter that has both goes on."""
    code = '''
try:
    import _interpreters as interpreters  # since 3.13
except ImportError:
    import _xxsubinterpreters as interpreters
tried = """
import warnings
warnings.simplefilter("ignore")  # NumPy's, for Python 3.10
try:
    import numpy
except ImportError:
    try:
        import fastsig
    except ImportError as error:
        assert "numpy" in str(error) or "load module" in str(error), error
    else:
        raise SystemError("imported")
else:
    import fastsig
    assert fastsig.sigmoid(0.0) == 0.5
"""
other = interpreters.create()
assert interpreters.run_string(other, tried) is None
interpreters.destroy(other)
assert fastsig.sigmoid(0.0) == 0.5
'''
    passes(IMPORTS + code)


# -------------------------------------------------------------------------------- other processes


@forks
def test_fork_during_a_call(passes):
    """A child has one thread, whatever its parent's others were doing."""
    code = """
fastsig.set_num_threads(2)
work = calls(fastsig, (300, 200))
expected = results(work)
stop, begun = threading.Event(), threading.Barrier(3)
def run():
    begun.wait()
    while not stop.is_set():
        for call in work.values():
            call()
others = [threading.Thread(target=run) for _ in range(2)]
for other in others:
    other.start()
begun.wait()
pids = []
for _ in range(8):
    pid = os.fork()
    if not pid:
        signal.alarm(50)  # lest a child that hangs stays when its parent is ended
        code = 1
        try:
            if all(same(call(), expected[name]) for name, call in work.items()) and fastsig.get_num_threads() == 1:
                code = 0
        finally:
            os._exit(code)
    pids.append(pid)
ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
stop.set()
for other in others:
    other.join()
assert ends == [0] * 8, ends
"""
    passes(IMPORTS + code, PYTHONWARNINGS="ignore::DeprecationWarning")  # of forks in programs that have threads


METHODS = multiprocessing.get_all_start_methods()


@pytest.mark.parametrize("method", METHODS)
def test_processes_of_processes(python, tmp_path, method):
    """Children, grandchildren and their children, started in every way after threads have run."""
    script = tmp_path / "script.py"
    script.write_text(f"""{IMPORTS}
import multiprocessing
fastsig.set_num_threads(2)
work = calls(fastsig, (300, 200))
expected = results(work)

def generation(n):
    getattr(signal, "alarm", int)(50)  # lest one that hangs stays when its parent is ended
    assert all(same(call(), expected[name]) for name, call in work.items())
    if n:
        child = multiprocessing.get_context({method!r}).Process(target=generation, args=[n - 1])
        child.start()
        child.join()
        assert child.exitcode == 0

if __name__ == "__main__":
    generation(3)
    print("passed")
""")
    code = "import runpy, sys; sys.argv = [sys.argv[1]]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = python(code, str(script))
    assert done.stdout == "passed\n", done.stderr


# -------------------------------------------------------------------------------- leaks


@linux
def test_leaks(passes):
    """Many calls of each kind, and many that fail, take no memory and no references with them.

    FASTSIG_LEAK_CALLS says how many of each kind."""
    count = int(os.environ.get("FASTSIG_LEAK_CALLS", "20000"))
    code = f"""
import gc, itertools, tracemalloc
from test_faults import failing
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def run(work, count):
    for call in itertools.islice(itertools.cycle(work), count):
        call()
kinds = {{"fail": failing(fastsig)}}
for name, call in calls(fastsig, (3, 4)).items():
    words = set(name.split()) & {{"scalar", "backward", "weights"}}
    kinds.setdefault(words.pop() if words else "softmax" if "softmax" in name else "others", []).append(call)
shared = [type(np.dtype(char)) for char in "efd?lD"] + [np.dtype("f"), np.ndarray, TypeError, ValueError, np.ma.masked]
shared += [*fastsig._backend.ufuncs.values(), fastsig.softmax]
for kind, work in kinds.items():
    run(work, 3 * len(work) + 1000)
    references, before = [sys.getrefcount(x) for x in shared], resident()
    run(work, {count})
    grown = resident() - before
    assert grown < 400_000, (kind, grown)
    more = [sys.getrefcount(x) - n for x, n in zip(shared, references)]
    assert max(more) < 50, (kind, more)
    tracemalloc.start()
    run(work, 3 * len(work))
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    run(work, {count} // 10)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 40_000, (kind, grown)  # CPython's lists of free objects
"""
    passes(IMPORTS + code, timeout=60 + count / 1000)


def failing(package):
    """Calls that fail, each in another way."""
    x, refused = np.zeros((3, 4), "float32"), []
    for row in (row for row in TABLE if not row.operands):
        function, gradient = getattr(package, row.name), getattr(package.backward, row.name)
        refused += [
            lambda f=function: f(x.astype(complex)),
            lambda f=function: f("text"),
            lambda f=function: f(np.array([None])),
            lambda f=function: f(x, out=np.zeros((2, 2), "float32")),
            lambda f=function: f(x, out=np.zeros((3, 4), int)),
            lambda f=function: f(x, out=x.copy(), where=np.zeros(7, bool)),
            lambda f=function: f(x, unknown=1),
            lambda f=function: f(),
            lambda g=gradient: g(x, x.astype("longdouble")),
            lambda g=gradient: g(np.zeros((5, 7)), np.zeros((5, 6))),
        ]
        if row.kind == "elementwise":
            number = getattr(package.scalar, row.name)
            refused += [lambda f=number: f("text"), lambda f=number: f(1j), lambda f=number: f()]
        else:
            refused += [lambda f=function: f(x, 2), lambda f=function: f(x, 1.5), lambda f=function: f(x, (0, 0))]

    def caught(call):
        def fails():
            with contextlib.suppress(TypeError, ValueError):
                raise SystemError(f"no error, but {call()}")

        return fails

    return [caught(call) for call in refused]
