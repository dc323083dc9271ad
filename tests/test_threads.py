"""How many threads, who decides, and that nothing but the time depends on it."""

import os
import re
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from layouts import assert_same_bits
from oracle import ELEMENTWISE, OF_ONE, REDUCTIONS, ROWS, called

BAD = [(0, ValueError), (-1, ValueError), (2**16, ValueError), (1.5, TypeError), ("2", TypeError), (None, TypeError)]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture(autouse=True)
def restored(default):
    before = default.get_num_threads()
    yield
    default.set_num_threads(before)


@pytest.fixture
def threaded(compiled):
    if not compiled.get_config()["openmp"]:
        pytest.skip("built without OpenMP")
    return compiled


def test_set_and_get(threaded):
    for n in (1, 2, 7, np.int64(3)):
        assert threaded.set_num_threads(n) is None
        assert threaded.get_num_threads() == threaded.get_config()["threads"] == n


def test_context_manager(threaded):
    threaded.set_num_threads(5)
    with threaded.num_threads(3) as value:
        assert value is None
        assert threaded.get_num_threads() == 3
        with threaded.num_threads(1):
            assert threaded.get_num_threads() == 1
            with threaded.num_threads(4):
                assert threaded.get_num_threads() == 4
            assert threaded.get_num_threads() == 1
        threaded.set_num_threads(6)  # for the process, not for this block
        assert threaded.get_num_threads() == 3
    assert threaded.get_num_threads() == 6


def test_context_manager_and_exceptions(threaded):
    threaded.set_num_threads(2)
    with pytest.raises(ZeroDivisionError), threaded.num_threads(3):
        1 / 0  # noqa: B018
    assert threaded.get_num_threads() == 2


def test_other_threads_are_not_affected(threaded):
    threaded.set_num_threads(4)
    with threaded.num_threads(1), ThreadPoolExecutor(1) as pool:
        assert threaded.get_num_threads() == 1
        assert pool.submit(threaded.get_num_threads).result() == 4
        threaded.set_num_threads(5)
        assert pool.submit(threaded.get_num_threads).result() == 5


@pytest.mark.parametrize(("n", "exception"), BAD, ids=[repr(n) for n, _ in BAD])
def test_bad_numbers(fs, n, exception):
    before = fs.get_num_threads()
    with pytest.raises(exception, match="set_num_threads: must be an integer"):
        fs.set_num_threads(n)
    with pytest.raises(exception, match="num_threads: must be an integer"), fs.num_threads(n):
        pass
    assert fs.get_num_threads() == before


def test_pure_python_has_one(fs):
    if fs._backend.threads is not None:
        pytest.skip("about the fallback")
    fs.set_num_threads(4)
    with fs.num_threads(3):
        assert fs.get_num_threads() == 1
    assert fs.get_num_threads() == 1


# -------------------------------------------------------------------------------- results


def cases():
    """(row, input): large enough for threads."""
    rng = np.random.default_rng(0)
    for row in ELEMENTWISE:
        yield row, rng.normal(0, 20, 300_000).astype("float32")
    for row in ROWS + REDUCTIONS:
        yield row, rng.normal(0, 20, (3000, 50)).astype("float32")
        yield row, rng.normal(0, 20, (7, 20_000))


def test_many_callers_at_once(threaded):
    """Eight Python threads share two threads' worth of teams; every one gets the right results."""
    threaded.set_num_threads(1)
    work = [(function := called(threaded, row), x, function(x)) for row, x in cases()]
    threaded.set_num_threads(2)

    def call(i):
        function, x, expected = work[i % len(work)]
        with threaded.num_threads(1 + i % 3):
            assert_same_bits(function(x), expected)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(200)))
    assert threaded.get_num_threads() == 2


def test_one_result_from_many_callers(threaded):
    """Threads that fill parts of one array do not step on each other."""
    x = np.random.default_rng(0).normal(0, 20, 400_000).astype("float32")
    for row in ELEMENTWISE:
        out, function = np.empty_like(x), called(threaded, row)
        parts = [slice(i, i + 60_000) for i in range(0, len(x), 60_000)]
        with ThreadPoolExecutor(7) as pool:
            list(pool.map(lambda part, f=function, out=out: f(x[part], out=out[part]), parts))
        assert_same_bits(out, function(x))


def test_one_result_from_many_masks(threaded):
    """Nor do threads whose masks lie between each other's: elements that a mask leaves out are not written to."""
    rng = np.random.default_rng(0)
    x, owner = rng.normal(0, 20, 400_000).astype("float32"), rng.choice(4, 400_000, p=[0.05, 0.1, 0.1, 0.75])
    masks = [owner == i for i in range(4)]
    for row in ELEMENTWISE:
        out, function = np.full_like(x, 99), called(threaded, row)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda mask, f=function, out=out: f(x, out=out, where=mask), masks))
        assert_same_bits(out, function(x))


with_gil = pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no GIL")


@with_gil
@pytest.mark.parametrize("row", OF_ONE, ids=lambda row: row.name)
def test_gil_is_released(compiled, row):
    """The other thread waits for the GIL, and with this switch interval nobody asks the caller to give it up. So it
    runs before the call returns if, and only if, the call releases the GIL of its own accord."""
    x = np.zeros(2_000_000, "float32")  # one row
    function = called(compiled, row)
    out, interval = np.empty_like(function(x)), sys.getswitchinterval()

    def attempt():
        gate, ran = threading.Lock(), []
        gate.acquire()
        other = threading.Thread(target=lambda: (gate.acquire(), ran.append(True)))
        other.start()
        sys.setswitchinterval(1000)
        try:
            with compiled.num_threads(1):  # leaves a core to the other thread
                gate.release()
                before = bool(ran)
                for _ in range(20):
                    function(x, out=out)
                return not before and bool(ran)
        finally:
            sys.setswitchinterval(interval)
            other.join()

    deadline = time.monotonic() + 30  # a busy machine may not let the other thread run at once
    while not attempt():
        assert time.monotonic() < deadline


@with_gil
def test_gil_is_not_given_away(compiled):
    """Who releases it beside a busy thread waits for the switch interval: not for a small call, and not in each of the
    hundred parts into which NumPy takes a large one apart, unless each is work for several threads. As above, the
    other thread runs if it is released."""
    x, interval = np.zeros((100, 5000, 4), "float32"), sys.getswitchinterval()
    for function, count in (
        (lambda: compiled.logsumexp(x, axis=1), 2),
        (lambda: compiled.softmax(x[0, 0]), 20_000),
        (lambda: compiled.logsumexp(x[0, 0]), 20_000),
        (lambda: compiled.sigmoid(x[0, 0]), 20_000),
    ):
        compiled.logsumexp(np.zeros((2, 4_000_000, 2), "f"), axis=1)  # releases it: not again for 5 ms of work
        gate, ran = threading.Lock(), []
        gate.acquire()
        other = threading.Thread(target=lambda gate=gate, ran=ran: (gate.acquire(), ran.append(True)))
        other.start()
        sys.setswitchinterval(1000)
        try:
            gate.release()
            waits = time.monotonic() + 0.01
            while time.monotonic() < waits:
                pass
            with compiled.num_threads(1):
                for _ in range(count):
                    function()
                assert not ran
        finally:
            sys.setswitchinterval(interval)
            other.join()


# -------------------------------------------------------------------------------- the environment, other libraries

PRINT = "import fastsig; print(fastsig.get_num_threads())"


def has_libgomp():
    return sys.platform == "linux" and "libgomp" in Path("/proc/self/maps").read_text()


def test_environment(python, default):
    if not default.get_config()["openmp"]:
        pytest.skip("built without OpenMP")
    for environment, expected in (
        ({"FASTSIG_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "3,2"}, "3"),
        ({"OMP_NUM_THREADS": "3", "FASTSIG_NUM_THREADS": " 1 "}, "1"),
        ({"OMP_NUM_THREADS": "1", "FASTSIG_NUM_THREADS": "4"}, "4"),
        ({"FASTSIG_NUM_THREADS": "3", "FASTSIG_PURE_PYTHON": "1"}, "1"),
    ):
        done = python(PRINT, **environment)
        assert done.stdout.strip() == expected, (environment, done.stderr)


@pytest.mark.parametrize("value", ["1", "2", "100", "2,3", "2,x", "0", "-1", "1e3", "many", "9" * 30, ""])
def test_whatever_openmp_is_told(python, default, value):
    """A number or a list of numbers counts; all else is as if it were not there, whatever the runtime says to it."""
    if not default.get_config()["openmp"]:
        pytest.skip("built without OpenMP")
    first = value.split(",")[0]
    counts = first in {"1", "2", "100"}
    if not (counts and value.replace(",", "").isdecimal()) and not has_libgomp():
        pytest.skip("LLVM's runtime hangs or ends the program, whatever that is")
    code = """
import numpy as np, fastsig
x = np.random.default_rng(0).normal(0, 9, (1000, 2000)).astype("float32")
for function in fastsig.sigmoid, fastsig.softmax:
    got = function(x)
    with fastsig.num_threads(1):
        assert (got == function(x)).all()
"""
    done, usual = python(code + PRINT, OMP_NUM_THREADS=value), python(PRINT).stdout
    assert done.stdout == (f"{first}\n" if counts else usual), done.stderr


class Files(dict):
    """What _config._read finds instead of the system's."""

    def __missing__(self, path):
        raise FileNotFoundError(path)


V2, V1 = "/sys/fs/cgroup", "/sys/fs/cgroup/cpu"
SERVICE = "12:cpu,cpuacct:/docker/0:1\n3:cpuset:/docker\n0::/system.slice/app.service\n"


def version_1(folder, quota, period=100000):
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("own", "files", "threads"),
    [
        ("0::/\n", {f"{V2}/cpu.max": "50000 100000\n"}, 1),  # half a CPU
        ("0::/\n", {f"{V2}/cpu.max": "350000 100000\n"}, 3),
        ("0::/\n", {f"{V2}/cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {f"{V2}/cpu.max": "1600000 100000\n"}, 8),
        ("0::/\n", {f"{V2}/cpu.max": "garbage"}, 8),
        ("0::/\n", {f"{V2}/cpu.max": "50000 0"}, 8),
        ("4:cpu:/\n", version_1(V1, 250000), 2),
        ("4:cpu:/\n", version_1(V1, -1), 8),
        ("4:cpu:/\n", version_1(V1, ""), 8),
        (SERVICE, {f"{V2}/system.slice/app.service/cpu.max": "50000 100000\n"}, 1),  # systemd's CPUQuota=50%
        (SERVICE, {f"{V2}/system.slice/cpu.max": "400000 100000", f"{V2}/cpu.max": "max 100000"}, 4),  # of all services
        (SERVICE, version_1(f"{V1}/docker/0:1", 300000), 3),
        (SERVICE, version_1(f"{V1}/docker", 300000) | version_1(f"{V1}/docker/0:1", 500000), 3),
        (SERVICE, version_1(V1, 200000), 2),  # a container sees its own as the outermost
        (None, {f"{V2}/cpu.max": "50000 100000\n"}, 1),  # no /proc
        (None, {}, 8),
    ],
)
def test_cgroup_quota(default, monkeypatch, own, files, threads):
    files = Files(files if own is None else files | {"/proc/self/cgroup": own})
    monkeypatch.setattr(default._config, "_read", files.__getitem__)
    monkeypatch.setattr(default._backend, "threads", types.SimpleNamespace(bound_cpus=tuple))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for variable in ("FASTSIG_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    assert default._config._default_threads() == threads


def test_cgroup_of_half_a_cpu(python, default):
    """A real one, where we may make it."""
    if not default.get_config()["openmp"]:
        pytest.skip("built without OpenMP")
    version_2 = os.path.exists(f"{V2}/cgroup.controllers")
    folder = Path(V2 if version_2 else V1, f"fastsig-test-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        quota, text = ("cpu.max", "50000 100000") if version_2 else ("cpu.cfs_quota_us", "50000")
        try:
            (folder / quota).write_text(text)
        except OSError as error:
            pytest.skip(f"no quota can be set here: {error}")
        join = f"open({str(folder / 'cgroup.procs')!r}, 'w').write('0'); "
        assert python("import os; " + join + PRINT).stdout == "1\n"
    finally:
        folder.rmdir()


BINDING = [{"OMP_PROC_BIND": "true"}, {"OMP_PROC_BIND": "spread"}, {"OMP_PLACES": "threads"}, {"OMP_PLACES": "cores"}]
BINDING += [{"GOMP_CPU_AFFINITY": "all"}, {"GOMP_CPU_AFFINITY": "one"}, {"OMP_PLACES": "one"}, {"OMP_PLACES": "twice"}]


@pytest.mark.parametrize("first", ["", "first"])
@pytest.mark.parametrize("setting", BINDING, ids=lambda setting: "=".join(*setting.items()))
def test_a_bound_thread_is_not_all_there_is(python, default, monkeypatch, libgomp, setting, first):
    """libgomp binds the thread that loads it to one CPU: those of all its places count, whoever has loaded it."""
    cpus = sorted(os.sched_getaffinity(0))
    numbers = {"all": ",".join(map(str, cpus)), "one": str(cpus[0])}
    ((variable, value),) = setting.items()
    few = value in {"one", "twice"}
    if variable == "OMP_PLACES":
        numbers |= {"one": f"{{{cpus[0]}}}", "twice": f"{{{cpus[0]}}},{{{cpus[0]}}}"}
    code = f"import ctypes, os, sys\nif 'first' in sys.argv:\n    ctypes.CDLL(sys.argv[1])\n{PRINT}"
    code += "; print(len(os.sched_getaffinity(0)))"
    done = python(code, libgomp, first, **{variable: numbers.get(value, value)})
    for limit in ("FASTSIG_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(limit, raising=False)
    free = default._config._default_threads()
    assert done.stdout.split() == [str(1 if few else free), "1"], done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_is_respected(python):
    done = python("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + PRINT)
    assert done.stdout.strip() == "1", done.stderr


def test_threadpoolctl(python, default):
    pytest.importorskip("threadpoolctl")
    if not default.get_config()["openmp"]:
        pytest.skip("built without OpenMP")
    code = """
import numpy, fastsig, threadpoolctl
assert any(pool["user_api"] == "openmp" for pool in threadpoolctl.threadpool_info())
seen = [fastsig.get_num_threads()]
for n in (1, 2):
    with threadpoolctl.threadpool_limits(n):
        seen.append(fastsig.get_num_threads())
        with fastsig.num_threads(1):
            seen.append(fastsig.get_num_threads())
print(*seen, fastsig.get_num_threads())
"""
    done = python(code, OMP_NUM_THREADS="4")
    assert done.stdout.split() == ["4", "1", "1", "2", "1", "4"], done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="no /proc to count threads in")
def test_threads_that_are_started(python, default):
    """None for small calls or with a limit of one, and no more than allowed for large ones."""
    if not default.get_config()["openmp"]:
        pytest.skip("built without OpenMP")
    code = """
import os, threading, time, numpy as np, fastsig
count = lambda: len(os.listdir("/proc/self/task"))
threading.Thread(target=threading.Event().wait, daemon=True).start()  # ThreadSanitizer adds its own to the first one
x, rows, start = np.zeros(1_000_000, "float32"), np.zeros((1000, 1000), "float32"), count()
seen = []
for n, x in ((3, x[:1000]), (1, x), (3, x), (2, x), (3, x)):
    fastsig.set_num_threads(n)
    fastsig.sigmoid(x)
    fastsig.softmax(rows[: len(x) // 1000])
    for _ in range(100):
        if count() - start < n:
            break
        time.sleep(0.05)  # a thread that has ended is there for another moment
    seen.append(count() - start)
print(*seen)
"""
    done = python(code, OPENBLAS_NUM_THREADS="1", OMP_DYNAMIC="FALSE")
    few = done.stdout.split()
    assert few[:2] == ["0", "0"], done.stderr
    assert few[2] == few[4] == "2"


# -------------------------------------------------------------------------------- fork

SETUP = """
import os, sys, numpy as np, fastsig
fastsig.set_num_threads(2)
x = np.random.default_rng(0).normal(0, 9, 400_000).astype("float32")
def results():
    rows = x.reshape(1000, 400)
    return [fastsig.sigmoid(x), fastsig.softmax(rows), fastsig.log_softmax(rows, axis=0)]
expected = results()
def right():
    return all((a == b).all() for a, b in zip(results(), expected))
"""


@forks
@pytest.mark.parametrize("pure", "01")
def test_fork(python, pure):
    """libgomp's threads do not survive a fork, and a parallel region in the child would wait for them for ever."""
    code = (
        SETUP
        + """
def child():
    assert fastsig.get_num_threads() == 1
    fastsig.set_num_threads(2)  # is no way around it
    assert right() and fastsig.get_num_threads() == 1
    with fastsig.num_threads(2):
        assert right()
def spawn(work):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
spawn(child)
spawn(lambda: (child(), spawn(child)))
assert right()
print("parent", fastsig.get_num_threads())
"""
    )
    done = python(code, FASTSIG_PURE_PYTHON=pure)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() in (["parent", "2"], ["parent", "1"])


@forks
def test_multiprocessing_fork_pool(python):
    code = (
        SETUP
        + """
import multiprocessing
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(sum(pool.starmap(right, [()] * 12)))
"""
    )
    done = python(code)
    assert done.stdout.strip() == "12", done.stderr


def test_multiprocessing_spawn_pool(python, tmp_path):
    """Functions travel to other processes by pickle."""
    script = tmp_path / "script.py"
    names = [row.name for row in OF_ONE if not row.operands]
    script.write_text(f"""
import multiprocessing, numpy as np, fastsig
if __name__ == "__main__":
    x = np.linspace(0.01, 0.99, 100)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for name in {names}:
            assert (pool.apply(getattr(fastsig, name), (x,)) == getattr(fastsig, name)(x)).all()
    print("done")
""")
    done = python(
        "import runpy, sys; sys.argv = [sys.argv[1]]; runpy.run_path(sys.argv[0], run_name='__main__')", str(script)
    )
    assert done.stdout.strip() == "done", done.stderr


def test_a_wrong_number_is_refused_at_once(fs):
    with pytest.raises(ValueError):
        fs.num_threads(0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_workers_stay_where_the_process_may_run(python):
    """Workers keep off their caller's CPU, but not outside a mask that is set later; the caller keeps its own."""
    code = """
import os, numpy as np, fastsig
before, x = os.sched_getaffinity(0), np.zeros(3_000_000, np.float32)
for _ in range(20):
    fastsig.sigmoid(x)
assert os.sched_getaffinity(0) == before
cpu = min(before)
for tid in map(int, os.listdir("/proc/self/task")):
    os.sched_setaffinity(tid, {cpu})
fastsig.set_num_threads(3)
for _ in range(20):
    fastsig.sigmoid(x)
print([os.sched_getaffinity(int(tid)) - {cpu} for tid in os.listdir("/proc/self/task")])
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "{" not in done.stdout.replace("set()", ""), done.stdout


def test_no_barrier_before_the_work(threaded):
    """A worker's CPU may take long to wake up: what the others do meanwhile it need not do. prange has a barrier."""
    kernels = [path for path in Path(threaded.__file__).parent.glob("_kernels_*") if path.suffix in (".so", ".pyd")]
    assert kernels
    assert not [path.name for path in kernels if re.search(rb"(GOMP|__kmpc|_vcomp)_barrier", path.read_bytes())]


LATE = """
import ctypes, os, sys
if "first" in sys.argv:
    ctypes.CDLL(sys.argv[1])
import fastsig
assert "GOMP_SPINCOUNT" not in os.environ or "ours" not in sys.argv
print(fastsig.get_config()["late"])
fastsig.show_config()
"""


def test_says_when_libgomp_was_loaded_before(python, libgomp):
    assert python(LATE, libgomp, "first", "ours").stdout.startswith("True")
    assert "another package loaded libgomp first" in python(LATE, libgomp, "first", "ours").stdout
    for arguments, environment in ((["ours"], {}), (["first"], {"GOMP_SPINCOUNT": "5000"})):
        run = python(LATE, libgomp, *arguments, **environment)
        assert run.stdout.startswith("False") and "another package" not in run.stdout, run.stderr


def test_another_libgomp_does_not_matter(python, libgomp):
    """A wheel's copy reads its settings when fastsig loads it, whatever the system's has done before."""
    run = python(LATE, "libgomp.so.1", "first", "ours")
    if "libgomp.so" in libgomp or "OSError" in run.stderr:
        pytest.skip("there is one libgomp")
    assert run.stdout.startswith("False"), run.stderr


def test_idle_threads_spin_shortly(python, libgomp):
    """In libgomp's own words."""
    for environment, spins in (({}, "4000"), ({"GOMP_SPINCOUNT": "5000"}, "5000")):
        run = python("import fastsig", OMP_DISPLAY_ENV="VERBOSE", **environment)
        assert re.findall(r"GOMP_SPINCOUNT = '(\d+)'", run.stderr) == [spins], run.stderr
