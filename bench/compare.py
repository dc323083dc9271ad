"""This build of fastsig against another: a regression shows.

    python bench/compare.py BASE [--quick] [--function NAME ...] [--tolerance 0.05] [--json FILE]

BASE is a commit, which is built in a scratch folder and raced as race.py races peers: processes of their own, turns,
least times. The base runs in two processes: by how much these differ is the noise of a cell. Or BASE is a JSON file of
an earlier race (race.py --json, or this program's): the times are then of another hour, if not of another machine.

ratio       time of the base / time of this build: below 1, this build is the slower

A cell that is slower than both of the base's processes by more than the tolerance is raced again, and again; if it
still is, by the least of all times, it counts as a regression. There is exit code 1 if there are any, or if this build
cannot do a cell, as its values are wrong.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import race
import report
from tqdm import tqdm

from fastsig._catalog import TABLE

ROOT = Path(__file__).parent.parent
OURS = "fastsig"
AGAIN = 2  # times that a slower cell is raced again


@contextlib.contextmanager
def built(commit):
    """The interpreter of an environment with that commit's fastsig, and NumPy as here; both gone at the end."""
    same = [f"{name}=={metadata.version(name)}" for name in ("numpy", "ml_dtypes")]
    with tempfile.TemporaryDirectory() as folder:
        tree, python = Path(folder, "tree"), Path(folder, "venv", "bin", "python")
        run = {"check": True, "cwd": ROOT, "env": os.environ | {"FASTSIG_REQUIRE_EXTENSION": "1"}}
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], **run)
        try:
            subprocess.run([sys.executable, "-m", "venv", python.parent.parent], **run)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *same, tree], **run)
            yield str(python)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], **run)


def key(cell):
    """What tells a cell, and a task, from others."""
    return json.dumps([cell[name] for name in race.CELL])


def slower(least, tolerance):
    """Whether this build is slower than the base in all its processes."""
    return least[OURS] > (1 + tolerance) * max(ns for name, ns in least.items() if name != OURS)


def compared(tasks, field, stored, arguments):
    """Finished cells: both builds' least times, the base's either raced or stored."""
    contenders = [OURS, *field.pythons]
    for threads in arguments.threads:
        with field.workers(contenders, threads) as workers:
            for task in race.progress(tasks, f"threads {threads}"):
                least = {name: ns for name, ns in [("base", stored.get((threads, key(task))))] if ns}
                for _ in range(1 + AGAIN):
                    for name, ns in race.run_cell(workers, task, arguments, field)[0].items():
                        least[name] = min(ns, least.get(name, ns))
                    if OURS not in least:
                        sys.exit(f"This build cannot do {report.label(task)}.")
                    if len(least) == 1 or not slower(least, arguments.tolerance):
                        break
                if OURS in least and len(least) > 1:
                    yield {"section": "race", "threads": threads, "least_ns": least} | {
                        name: task[name] for name in race.CELL
                    }


def ratio(cell):
    """The faster of the base's times by ours."""
    return min(ns for name, ns in cell["least_ns"].items() if name != OURS) / cell["least_ns"][OURS]


def line(cell, tolerance):
    """A cell's line of the table."""
    base = [ns for name, ns in cell["least_ns"].items() if name != OURS]
    text = f"{report.label(cell):<45}{cell['threads']:>2} {'call' if report.unit(cell) == 1 else 'element':<8}"
    text += "".join(f"{report.number(ns / report.unit(cell)):>8}" for ns in (cell["least_ns"][OURS], min(base)))
    noise = f"{max(base) / min(base) - 1:>7.0%}" if len(base) > 1 else ""
    return f"{text}{ratio(cell):>7.2f}{noise}{'  <<< slower' if slower(cell['least_ns'], tolerance) else ''}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, names = parser.add_argument, [row.name for row in TABLE]
    add("base", help="a commit, or a JSON file")
    add("--quick", action="store_true", help="float32, fewer cells and rounds")
    add("--function", nargs="+", metavar="NAME", choices=names, default=names)
    add("--threads", nargs="+", type=int, default=[1])
    add("--dtypes", nargs="+", choices=race.DTYPES, help="default: float32 float64")
    add("--sections", nargs="+", choices=race.CELLS, default=["race"], help="default: race")
    add("--rounds", type=int, help="turns of each build in a cell (default 5, quick 3)")
    add("--tolerance", type=float, default=0.05, help="how much slower is still as fast")
    add("--json", metavar="FILE", type=Path, help="write all times and the environment")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 5)
    arguments.dtypes = arguments.dtypes or ["float32"] + ["float64"] * (not arguments.quick)
    return arguments


def stored_times(path):
    """{(threads, cell): this file's time of fastsig}."""
    results = json.loads(path.read_text())
    there = results["environment"]
    tqdm.write(
        f"{path}: {there['date']}, {there['cpu']}, {there['fastsig']['kernels']}, NumPy {there['versions']['numpy']}"
    )
    tqdm.write("WARNING  times of another hour, if not of another machine: differences may be the machine's")
    return {(cell["threads"], key(cell)): cell["least_ns"][OURS] for cell in results["cells"]}


def main():
    arguments = parse()
    table = [row for row in TABLE if row.name in arguments.function]
    tasks = [
        task for section in arguments.sections for task in race.CELLS[section](table, arguments.dtypes, arguments.quick)
    ]
    tasks = json.loads(json.dumps(tasks))  # shapes as they are in a file
    environment = race.environment()
    tqdm.write("\n".join([*report.environment(environment), *report.warning(environment)]))
    with contextlib.ExitStack() as stack:
        if Path(arguments.base).is_file():
            stored, pythons = stored_times(Path(arguments.base)), {}
        else:
            stored, python = {}, stack.enter_context(built(arguments.base))
            pythons = {"base": python, "again": python}
        heading = f"{'cell':<45}{'threads and ns per':<12}{'ours':>7}{'base':>8}{'ratio':>7}{'  noise' * bool(pythons)}"
        tqdm.write(heading)
        cells = []
        for cell in compared(tasks, race.Field(tqdm.write, pythons), stored, arguments):
            cells.append(cell)
            tqdm.write(line(cell, arguments.tolerance))
    if not cells:
        sys.exit("There is no cell that both have.")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"environment": environment, "cells": cells}, separators=(",", ":")) + "\n"
        )
    regressions = sorted((cell for cell in cells if slower(cell["least_ns"], arguments.tolerance)), key=ratio)
    mean = report.geometric_mean([ratio(cell) for cell in cells])
    print(f"\n{len(cells)} cells, geometric mean of the ratios {mean:.3f}; {len(regressions)} slower than the base")
    for cell in regressions:
        print(line(cell, arguments.tolerance))
    return 1 if regressions else 0


if __name__ == "__main__":
    sys.exit(main())
