"""What SECURITY.md promises, by Python's own audit events: nothing is written, sent, started or loaded."""

import json
import sys

import numpy as np
import pytest

# What importing modules and making functions raises, "sys._getframe" for one; reading files is told from writing below.
PYTHON = {"builtins", "code", "compile", "exec", "function", "import", "marshal", "object", "open", "sys"}
LOOKING = {"os.listdir", "os.scandir"}
SPINNING = {"os.putenv", "os.unsetenv"}  # GOMP_SPINCOUNT, while libgomp is loaded

WATCH = """
import json, os, sys
import numpy as np, numpy.ma

seen, watching = [], True

def hook(event, arguments):
    if watching:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        seen.append(["writes" if writes else event, str(arguments[0]) if arguments else ""])

def watched(call):
    global seen, watching
    seen, watching = [], True
    call()
    watching = False
    return seen
"""

EVERYTHING = """
def everything():
    fastsig.set_num_threads(2)
    for row in (row for row in TABLE if not row.operands and row.kind != "halves"):
        function = getattr(fastsig, row.name)
        for x in (0.5, [0.25, 0.5], small, large):
            function(x)
        if row.kind == "elementwise":
            getattr(fastsig.scalar, row.name)(0.5)
        if row.kind != "reduction":
            getattr(fastsig.backward, row.name)(small, small)
    with fastsig.num_threads(1):
        fastsig.get_config()

sys.addaudithook(hook)
importing = watched(lambda: __import__("fastsig"))
import fastsig
from fastsig._catalog import TABLE
modules = fastsig, fastsig.scalar, fastsig.backward
making = watched(lambda: [getattr(module, name) for module in modules for name in module.__all__])
small, large = np.linspace(0.1, 0.9, 10), np.linspace(0.1, 0.9, 600_000, dtype="f").reshape(1000, 600)
print(json.dumps([importing, making, watched(everything)]))
"""

APPLY = """
from fastsig.__main__ import main

sys.addaudithook(hook)
events = watched(lambda: main(["apply", "sigmoid", sys.argv[1], "-o", sys.argv[2]]))
print(json.dumps([events, "multiprocessing.synchronize" in sys.modules]))
"""


def beyond_python(events):
    return {event for event, _ in events if event.partition(".")[0] not in PYTHON} - LOOKING


@pytest.mark.parametrize("pure", "01")
def test_import_reads_and_calls_do_nothing(python, default, pure):
    done = python(WATCH + EVERYTHING, FASTSIG_PURE_PYTHON=pure)
    assert done.returncode == 0, done.stderr
    importing, making, calling = json.loads(done.stdout)
    assert "open" in dict(importing)  # so events are seen
    threads = pure == "0" and default._backend.threads is not None
    assert (["open", "/sys/fs/cgroup/cpu.max"] in importing) == threads or sys.platform != "linux"
    assert beyond_python(importing) <= SPINNING
    assert {name for event, name in importing if event in SPINNING} <= {"b'GOMP_SPINCOUNT'"}
    assert not beyond_python(making) and "open" not in dict(making)  # also in a process that may open nothing any more
    assert calling == []


def test_command_line_writes_its_output_alone(python, tmp_path):
    """Under another name in the same folder, until it is complete."""
    source, target = tmp_path / "in" / "x.npy", tmp_path / "out" / "y.npy"
    source.parent.mkdir()
    target.parent.mkdir()
    np.save(source, np.zeros(10))
    done = python(WATCH + APPLY, str(source), str(target))
    assert done.returncode == 0, done.stderr
    events, shares_locks = json.loads(done.stdout)
    assert not shares_locks  # with other processes: for that, Python 3.14 starts one, and makes a socket
    tqdm = {"_thread.start_joinable_thread", "_thread.start_new_thread"}  # its clock
    assert beyond_python(events) - tqdm == {"writes", "mmap.__new__", "os.rename"}
    written = [name for event, name in events if event == "writes"]
    assert len(written) == 1 and written[0].startswith(str(target.parent / ".fastsig-"))
    assert [name for event, name in events if event == "os.rename"] == written
    assert list(target.parent.iterdir()) == [target] and list(source.parent.iterdir()) == [source]
