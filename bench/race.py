"""The race: fastsig against every CPU library that has the same functions.

    python bench/race.py [--quick] [--function NAME ...] [--json FILE] [--chart FILE.svg] [--markdown]

Each contender sits in a process of its own (peers.py). For each cell (function, dtype, shape, threads) the
contenders take turns, several rounds, and the least time counts: noise hits all alike. Cells that are nearly
even then have as many rounds again, each with new arrays: where these lie in memory counts. Peers have their best
form: torch in inference mode with out=, onnxruntime with bound memory, JAX compiled and its input on the
device, numexpr compiled; where there are several ways, the fastest that gives the right values. Up to 1000
elements each call makes a new result; above, there is an `out`. Threads are limited by each library's own
means and by CPU affinity (the first CPUs of the mask). Inputs are normal(0, 3).

ratio       time of the fastest peer / time of fastsig: above 1, fastsig is the faster
x copy      time of fastsig / time of a copy of the input: np.copyto with one thread; with more, the faster of
            it and torch's copy_, which has threads
x float32   time of fastsig / time of its own float32 for the same numbers, in the same cell: for 16-bit types, and for
            integers, of which astype(float32) then makes the input and float32 is the result

A cell takes about three seconds with all peers. `race` and `gradients` have 432 cells each in two dtypes, `rows` 192,
`integers` 360 short ones.

Sections, in parentheses those that are not run unless they are named:
race        every function of the table, over shapes, dtypes and threads
(gradients) the same of every gradient: torch's kernels without autograd, where it has one, some from the function's
            output, where fastsig takes its input; JAX's vjp
(integers)  inputs of 8 and 16 bits, against NumPy's expression and astype(float32) with a result of the same dtype
(rows)      softmax and its kin over shapes of rows that the race steps over: odd widths, middle and first axes
layouts     inputs that people really have, against NumPy's expression
calls       what one small call costs, beside np.negative
threads     default threads against one: calls in a row, after 20 ms of idling, and with every CPU busy
import      what `import fastsig` takes where NumPy is imported already, in fresh processes
"""

import argparse
import contextlib
import functools
import itertools
import json
import os
import platform
import select
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import peers
import report
from tqdm import tqdm

import fastsig
from fastsig._catalog import TABLE

SIZES = (1, 10, 1000, 100_000, 8_000_000)
ROWS = (
    ((1, 10), -1),
    ((100_000, 10), -1),
    ((10_000, 100), -1),
    ((1000, 1000), -1),
    ((8, 128_256), -1),
    ((1000, 1000), 0),
)
WIDTHS = (16, 17, 20, 31, 33, 40, 50, 64, 65, 100, 128)  # 16 and 128 for comparison
OTHER_ROWS = (
    *(((20_000, width), -1) for width in WIDTHS),
    ((4096, 64), 0),
    ((200, 16, 5000), 0),
    ((29, 200, 16), 0),
    ((1, 4, 16, 8400), 2),  # boxes of a detector
    ((2, 21, 256, 256), 1),  # classes of pixels
)
QUICK_SIZES = (1, 1000, 100_000)
QUICK_ROWS = (((1, 10), -1), ((10_000, 100), -1), ((1000, 1000), -1))
SMALL_INTEGERS = ("uint8", "int8", "int16")
INTEGER_SIZES = (1000, 100_000, 1_000_000)
INTEGER_ROWS = (((10_000, 100), -1), ((1000, 1000), -1))
NEW_RESULT = 1000  # elements; larger cells have out=

# name, dtype (None: each), shape for elementwise functions, shape and axis for rows
LAYOUTS = (
    ("row slices", None, (1000, 100), ((1000, 100), -1)),  # x[:, :100] of (1000, 300)
    ("image", "uint8", (480, 640, 3), None),
    ("image", "int32", (480, 640, 3), None),
    ("where", None, (100_000,), ((1000, 100), -1)),  # a mask that alternates
    ("Fortran order", None, (1000, 1000), ((1000, 1000), -1)),
    ("middle axis", None, None, ((100, 100, 100), 1)),
)

SPORADIC = ("fastsig", "torch", "onnxruntime")
SPORADIC_SIZES = (100_000, 200_000, 1_000_000)
PAUSE = 0.02  # seconds between sporadic calls
MODES = (  # name, seconds between calls, whether every CPU has other work
    ("back to back", 0, False),
    ("after 20 ms", PAUSE, False),
    ("busy, back to back", 0, True),
    ("busy, after 20 ms", PAUSE, True),
)
BUSY_LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:  # ends also when the race was killed
    for _ in range(1_000_000):
        pass
"""

CELL = ("function", "kind", "dtype", "shape", "axis", "layout", "out")  # what results keep of a task
HOPELESS = 5  # a peer that takes this many times as long as the fastest is not asked again after two rounds
CLOSE = 1.15  # up to this ratio, one way or the other, a cell is raced again
IMPORTS = 30  # processes, of which the fastest counts
IMPORT = """
import time, numpy
begin = time.perf_counter()
import fastsig
print(time.perf_counter() - begin)
"""
DTYPES = ("float32", "float64", "float16", "bfloat16")
SECTIONS = ("race", "gradients", "rows", "integers", "layouts", "calls", "threads", "import")
DEFAULT_SECTIONS = ("race", "layouts", "calls", "threads", "import")
LIMIT = 180  # seconds that an answer may take


class PeerError(Exception):
    """A contender that cannot do what it was asked; the message says why."""


class Worker:
    """A contender's process."""

    def __init__(self, contender, threads, pinned=True, python=sys.executable):
        self.threads = threads
        environment = dict(os.environ)
        if threads != "default":
            for variable in ("FASTSIG_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
                environment[variable] = str(threads)
        # Open until stop().
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [python, peers.__file__, contender, str(threads), "pinned" if pinned else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment | {"JAX_PLATFORMS": "cpu"},
            bufsize=0,
        )

    def answer(self):
        """The next line of the process, or PeerError."""
        if not select.select([self.process.stdout], [], [], LIMIT)[0]:
            self.process.kill()
            raise PeerError(f"no answer in {LIMIT} s")
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            last = self.errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise PeerError(f"exit {self.process.wait()}: {''.join(last)}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def ask(self, do, **request):
        """Have the process call a method of its Race."""
        with contextlib.suppress(BrokenPipeError):  # the answer says why it died
            self.process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
        return self.answer()

    def cpu_time(self):
        """ns of CPU that its threads have taken."""
        taken = 0
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError):
                taken += int(path.read_text().split()[0])
        return taken

    def settle(self, step=0.01):
        """Wait until its threads sleep: OpenMP's wait for more work by spinning, MKL's for 200 ms."""
        before = self.cpu_time()
        for _ in range(50):
            time.sleep(step)
            now = self.cpu_time()
            if now - before < step * 1e9 / 20:
                return
            before = now

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Field:
    """The contenders at the start: those that could be imported, each in its process."""

    def __init__(self, say, pythons=None):
        self.say = say
        self.pythons = pythons or {}  # name: another interpreter than this
        self.absent = {}  # name: why
        self.said = set()

    def say_once(self, text):
        if text not in self.said:
            self.said.add(text)
            self.say(text)

    def drop(self, name, why):
        if name not in self.absent:
            self.say(f"{name} is left out: {why}")
        self.absent[name] = str(why)

    @contextlib.contextmanager
    def workers(self, names, threads, pinned=True):
        """name: worker, of those that start; all stopped at the end."""
        started = {
            name: Worker(name, threads, pinned, self.pythons.get(name, sys.executable))
            for name in names
            if name not in self.absent
        }
        running = {}
        try:
            for name, worker in started.items():
                try:
                    worker.answer()
                    running[name] = worker
                except PeerError as error:
                    self.drop(name, error)
            if "fastsig" not in running and "fastsig" in names:
                sys.exit("There is no race without fastsig.")
            yield running
        finally:
            for worker in started.values():
                worker.stop()


def task(row, dtype, shape, axis=None, layout="", out=None, gradient=False):
    """What a worker must know of a cell."""
    size = 1
    for n in shape:
        size *= n
    own = (*row.parameters, *([row.choice] if row.choice else []))
    return {
        "name": row.name,
        "function": f"backward.{row.name}" if gradient else row.name,
        "kind": row.kind,
        "gradient": row.gradient.operand if gradient else "",  # what follows grad
        "forward": row.numpy,
        "numpy": peers.gradient(row) if gradient else row.numpy,
        "torch": row.torch,
        "parameters": {p.name: p.default for p in own if not getattr(p, "is_array", False)},
        "operands": list(row.operands),
        "arrays": [p.name for p in row.parameters if p.is_array],
        "keeps_integers": row.keeps_integers,
        "domain": row.domain,
        "nothing": "inf" if row.negates else "-inf",  # what of x takes no part
        "dtype": dtype,
        "shape": shape,
        "axis": axis,
        "layout": layout,
        "out": size > NEW_RESULT if out is None else out,
    }


def possible(row, shapes):
    """Those of the (shape, axis) pairs whose axis can be halved, if it has to be."""
    return [(shape, axis) for shape, axis in shapes if row.kind != "halves" or shape[axis] % 2 == 0]


def race_tasks(table, dtypes, quick, gradient=False):
    """The cells of the race, function by function."""
    sizes, rows = (QUICK_SIZES, QUICK_ROWS) if quick else (SIZES, ROWS)
    for row in table:
        for dtype in dtypes:
            for shape, axis in [((n,), None) for n in sizes] if row.kind == "elementwise" else possible(row, rows):
                yield task(row, dtype, shape, axis, gradient=gradient)


def rows_tasks(table, dtypes, quick):
    """The cells of other shapes of rows."""
    for row in table:
        for dtype in dtypes if row.kind != "elementwise" else ():
            yield from (task(row, dtype, shape, axis) for shape, axis in possible(row, OTHER_ROWS))


def integer_tasks(table, dtypes, quick):
    """The cells with small integers, whatever dtypes were asked for."""
    for row in table:
        shapes = [((n,), None) for n in INTEGER_SIZES] if row.kind == "elementwise" else possible(row, INTEGER_ROWS)
        for dtype, (shape, axis) in itertools.product(SMALL_INTEGERS[: 1 if quick else None], shapes):
            yield task(row, dtype, shape, axis)


def layout_tasks(table, dtypes, quick):
    """The cells with inputs that people really have."""
    for row in table:
        for layout, dtype, shape, rows in LAYOUTS:
            shape, axis = (shape, None) if row.kind == "elementwise" else (rows or (None, None))
            if shape:
                for each in [dtype] if dtype else dtypes:
                    yield task(row, each, shape, axis, layout, out=layout == "where")


CELLS = {  # what the sections of cells are made of
    "race": race_tasks,
    "gradients": functools.partial(race_tasks, gradient=True),
    "rows": rows_tasks,
    "integers": integer_tasks,
    "layouts": layout_tasks,
}


def contenders_of(section, tasks, chosen):
    """Who races there, of the peers that were chosen."""
    if section == "layouts":
        return ["fastsig", "numpy"]
    if section == "integers":
        return ["fastsig", "astype", "numpy", "float32"]
    half = any(task["dtype"] in peers.HALF for task in tasks)
    return ["fastsig", *(name for name in peers.PEERS if name in chosen), "copy", *["float32"] * half]


def ask(workers, name, field, cell, do, **request):
    """A worker's answer; None if it cannot do the task. One that has died leaves the race."""
    worker = workers[name]
    try:
        answer = worker.ask(do, **request)
    except PeerError as error:
        if worker.process.poll() is not None:
            field.drop(name, error)
            del workers[name]
        elif name == "fastsig":
            field.say(f"fastsig cannot do {report.label(cell)}: {error}")
        return None
    if worker.threads != 1:  # one thread has no others that could spin
        worker.settle()
    return answer


def fastest_peer(least):
    """Its ns, or 0 if no peer can do it."""
    return min((ns for name, ns in least.items() if name in peers.RIVALS), default=0)


def in_reach(least, times=HOPELESS):
    """The contenders but the peers that take more than so many times as long as the fastest peer."""
    limit = times * fastest_peer(least)
    return [name for name, ns in least.items() if name not in peers.RIVALS or ns <= limit]


def is_close(least):
    """Whether fastsig and the fastest peer are so close that where their arrays lie in memory may decide."""
    ours, theirs = least.get("fastsig", float("inf")), fastest_peer(least)
    return theirs <= CLOSE * ours and ours <= CLOSE * theirs


def run_cell(workers, task, arguments, field):
    """{contender: least ns a call} and {contender: form} of those that can do the task, after some rounds."""
    ready, forms, least = {}, {}, {}

    def prepare(name):
        if not peers.CONTENDERS[name].can(task):
            return
        if answer := ask(workers, name, field, task, "prepare", task=task):
            ready[name] = answer["form"]
            for text in answer["wrong"]:
                field.say_once(f"{name}, {task['function']} {task['dtype']}: {text}")

    def visit(names):
        for name in [name for name in names if name in workers]:
            if answer := ask(workers, name, field, task, "visit", milliseconds=8 if arguments.quick else 20):
                ns = round(answer["ns"], 1)
                if ns < least.get(name, float("inf")):  # new arrays may have another form win
                    least[name], forms[name] = ns, ready[name]

    for name in list(workers):
        prepare(name)
    for turn in range(arguments.rounds):
        visit(ready if turn < 2 else in_reach(least))
    for _ in range(0 if arguments.quick else arguments.rounds):
        if not is_close(least):
            break
        names = [name for name in in_reach(least, CLOSE) if name in workers]
        for name in names:
            prepare(name)
        visit(names)
    return least, forms


def progress(cells, words):
    """A bar on stderr, where that is a terminal."""
    return tqdm(cells, words, unit="cell", leave=False, disable=None)


def run_cells(section, table, arguments, field):
    """Race a section's tasks with each number of threads; yields finished cells."""
    all_tasks = list(CELLS[section](table, arguments.dtypes, arguments.quick))
    contenders = contenders_of(section, all_tasks, arguments.peers)
    for threads in arguments.threads:
        tasks = all_tasks
        if arguments.quick and threads != arguments.threads[0]:  # small cells have one thread anyway
            tasks = [each for each in tasks if each["out"] and section != "layouts"]
        if not tasks:
            continue
        with field.workers(contenders, threads) as workers:
            field.say("\n" + report.heading(contenders))
            for each in progress(tasks, f"{section}, threads {threads}"):
                least, forms = run_cell(workers, each, arguments, field)
                if "fastsig" not in least:
                    continue
                cell = {"section": section, "threads": threads, "least_ns": least, "forms": forms}
                cell |= {name: each[name] for name in CELL}
                cell |= report.verdict(cell)
                field.say(report.line(cell, contenders))
                yield cell


def run_calls(table, field):
    """What one small call costs, in fastsig's process, beside a NumPy ufunc that does next to nothing."""
    ten = [0.1 * i for i in range(10)]
    with field.workers(["fastsig"], 1) as workers:
        for value, words in ((0.5, "0.5"), (ten, "ten numbers")):
            rows = [row for row in table if row.kind == "elementwise" or value is ten]
            called = [f"{row.name}({', '.join(['x', *map(str, row.operands.values())])})" for row in rows]
            forms = ["np.negative(x)"] + [f"fastsig.{form}" for form in called]
            if value is not ten:
                forms += [f"fastsig.scalar.{form}" for form in called]
            times = workers["fastsig"].ask("calls", forms=forms, value=value)["ns"]
            for form, ns in zip(forms, times, strict=True):
                if ns is not None:
                    yield {"form": form, "x": words, "ns": ns}


def run_imports():
    """Milliseconds of `import fastsig` beyond NumPy, from modules that Python has compiled before."""
    for pure in "01":
        settings = {"FASTSIG_PURE_PYTHON": pure, "PYTHONDONTWRITEBYTECODE": ""}
        run = {"env": os.environ | settings, "capture_output": True, "text": True, "check": True}
        times = [float(subprocess.run([sys.executable, "-c", IMPORT], **run).stdout) for _ in range(IMPORTS)]
        yield {"pure": pure == "1", "ms": min(times) * 1000}


@contextlib.contextmanager
def busy(cpus):
    """Every CPU has other work to do."""
    loops = []
    try:
        for cpu in cpus:
            loop = subprocess.Popen([sys.executable, "-c", BUSY_LOOP], stderr=subprocess.DEVNULL)
            loops.append(loop)
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(loop.pid, {cpu})
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def run_threads(table, arguments, field):
    """Medians of one call with default threads and with one thread, each library in both ways in turn."""
    rows = [row for row in table if row.kind == "elementwise"]
    row = next((row for row in rows if row.name == "sigmoid"), rows[0] if rows else None)
    names = [name for name in SPORADIC if name in ("fastsig", *arguments.peers)]
    if row is None:
        return
    # Not pinned: with one thread, too, the scheduler may choose the CPU.
    with field.workers(names, "default", False) as default, field.workers(names, 1, False) as single:
        pairs = {(name, "default"): worker for name, worker in default.items()}
        pairs |= {(name, "one_thread"): worker for name, worker in single.items()}
        for n, mode in progress(list(itertools.product(SPORADIC_SIZES, MODES)), "threads"):
            for worker in pairs.values():
                worker.ask("prepare", task=task(row, "float32", (n,)))
            times = run_mode(pairs, mode, arguments.quick)
            for name in single:
                result = {"function": row.name, "n": n, "mode": mode[0], "contender": name}
                for threads in ("default", "one_thread"):
                    ns = times[name, threads]
                    result[f"{threads}_ns"] = statistics.median(ns)
                    result[f"{threads}_p90_ns"] = statistics.quantiles(ns, n=10)[-1]
                yield result


def run_mode(workers, mode, quick):
    """The ns of each call of each worker, in a list."""
    _, pause, loaded = mode
    turns = 4 if quick else 30  # short ones, there and back: what else a CPU that wakes up meets hits all alike
    times = {key: [] for key in workers}
    with busy(allowed_cpus() if loaded else []):
        for turn in range(turns):
            for key, worker in list(workers.items())[:: -1 if turn % 2 else 1]:
                worker.settle()
                times[key] += worker.ask("sporadic", calls=5, pause=pause)["ns"]
                worker.settle()
    return times


def allowed_cpus():
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cpu_model():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def environment():
    """Where the race is run, and with what."""
    versions = {}
    for name, distribution in peers.DISTRIBUTIONS.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(distribution).split("+")[0]  # after +: how it was built
    return {
        "cpu": cpu_model(),
        "cpus": len(allowed_cpus()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "fastsig": fastsig.get_config(),
        "versions": versions,
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        "date": time.strftime("%Y-%m-%d"),
    }


def parse():
    """The command line; --quick is smaller defaults."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    add = parser.add_argument
    names = [row.name for row in TABLE]
    add("--quick", action="store_true", help="float32, fewer cells and rounds")
    add("--function", nargs="+", metavar="NAME", choices=names, default=names, help=f"of {', '.join(names)}")
    add("--threads", nargs="+", type=int, help="default: 1 2")
    add("--dtypes", nargs="+", choices=DTYPES, help="default: float32 float64")
    add("--peers", nargs="+", choices=peers.PEERS, default=list(peers.PEERS), help="default: all")
    default = list(DEFAULT_SECTIONS)
    add("--sections", nargs="+", choices=SECTIONS, default=default, help=f"default: {' '.join(default)}")
    add("--rounds", type=int, help="turns of each contender in a cell (default 5, quick 2)")
    add("--json", metavar="FILE", type=Path, help="write all times and the environment")
    add("--chart", metavar="FILE", type=Path, help="draw the ratios: .svg or .png")
    add("--markdown", action="store_true", help="print the tables of docs/performance.md")
    add("--load", metavar="FILE", type=Path, help="a JSON file of an earlier race, instead of racing")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 5)
    arguments.dtypes = arguments.dtypes or ["float32"] + ["float64"] * (not arguments.quick)
    cpus = len(allowed_cpus())
    arguments.threads = arguments.threads or [n for n in (1, 2) if n <= cpus]
    if min(arguments.threads) < 1 or max(arguments.threads) > cpus:
        parser.error(f"--threads: this process may use 1 to {cpus} CPUs")
    return arguments


def race(arguments, say):
    """Run the sections asked for; what was measured until then also when interrupted."""
    table = [row for row in TABLE if row.name in arguments.function]
    field = Field(say)
    results = {"environment": environment(), "cells": [], "calls": [], "threads": [], "imports": []}
    for name in peers.rows_without_peer(table):
        say(f"{name}: no peer but NumPy in the table and in bench/peers.py")
    say("\n".join([*report.environment(results["environment"]), *report.warning(results["environment"])]))
    try:
        for section in CELLS:
            if section in arguments.sections:
                results["cells"].extend(run_cells(section, table, arguments, field))
        if "calls" in arguments.sections:
            results["calls"].extend(run_calls(table, field))
            say("\n".join(report.calls(results["calls"])))
        if "threads" in arguments.sections:
            results["threads"].extend(run_threads(table, arguments, field))
            say("\n".join(report.threads(results["threads"])))
        if "import" in arguments.sections:
            results["imports"].extend(run_imports())
            say("\n".join(report.imports(results["imports"])))
    except (KeyboardInterrupt, PeerError) as error:
        say(f"{str(error) or 'Interrupted'}: what follows is what was measured until then.")
    results["environment"]["absent"] = field.absent
    return results


def main():
    arguments = parse()
    results = json.loads(arguments.load.read_text()) if arguments.load else race(arguments, tqdm.write)
    print("\n".join(report.summary(results["cells"])))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, separators=(",", ":")) + "\n")
    if arguments.markdown:
        print("\n" + "\n".join(report.markdown(results["cells"])))
    if arguments.chart:
        report.chart(results, arguments.chart)
        report.lead(results, arguments.chart.with_stem(f"{arguments.chart.stem}-lead"))


if __name__ == "__main__":
    main()
