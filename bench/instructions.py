"""Instructions an element, counted by valgrind's callgrind: a figure that the noise of a machine does not move.

    python bench/instructions.py [--store] [--tolerance 0.02]

Every function of the table and its gradient, float32 and float64, one thread, on the kernel sets that valgrind knows
(AVX-512 it does not). Compares with bench/instructions.json and ends with exit code 1 where there are more instructions
than there; --store writes that file anew. The counts are the compiler's as much as the source's: with another one than
the file names, the differences are shown, but are no error.

Calls are counted from one call of getppid() to the next, at which callgrind writes down its counts. Twice as many
calls, less those, is what the calls alone take.
"""

import argparse
import functools
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import peers

import fastsig
from fastsig._bench import operands
from fastsig._catalog import TABLE, expanded

STORED = Path(__file__).with_name("instructions.json")
SETS = ("baseline", "x86_64_v3")
DTYPES = ("float32", "float64")
ROWS = ((1000, 1000), (10_000, 100))
ELEMENTS = 100_000


@functools.cache
def numbers(domain, dtype, shape):
    return peers.make_input({"domain": domain, "dtype": dtype, "shape": shape, "layout": ""})[0]


def cells():
    """(name, a call without arguments, its elements) of everything that is counted."""
    for row in TABLE:
        for _, variant in expanded(row):
            words = {variant.choice.name: variant.choice.default} if variant.choice else {}
            for dtype, shape in itertools.product(DTYPES, [(ELEMENTS,)] if row.kind == "elementwise" else ROWS):
                name = " ".join([row.name, *words.values(), dtype, "x".join(map(str, shape))])
                x = numbers(row.domain, dtype, shape)
                axis = () if row.kind == "elementwise" else (-1,)
                given = operands(row, x).values()
                function = functools.partial(getattr(fastsig, row.name), x, *given, *axis, **words)
                y = function()
                yield name, functools.partial(function, out=y), x.size
                grad, operand = x if y.shape == x.shape else y.copy(), y if row.gradient.operand == "y" else x
                gradient = functools.partial(getattr(fastsig.backward, row.name), grad, operand, *given, *axis, **words)
                yield f"backward.{name}", functools.partial(gradient, out=gradient()), x.size


def make_calls():
    """What callgrind watches: of each cell some calls, and twice as many. Prints {cell: its elements in the former}."""
    elements = {}
    for name, call, size in cells():
        few = max(1, 2 * ELEMENTS // size)
        elements[name] = few * size
        call()  # to warm up
        os.getppid()
        for count in (few, 2 * few):
            for _ in range(count):
                call()
            os.getppid()
    print(json.dumps(elements))


def count(kernels):
    """{cell: instructions an element} with a kernel set."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--tool=callgrind", f"--callgrind-out-file={folder}/out", "--dump-before=getppid"]
        environment = os.environ | {"FASTSIG_ISA": kernels, "FASTSIG_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        command = ["valgrind", *options, sys.executable, __file__, "--calls"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)

        def total(dump):
            return int(re.search(r"^(?:summary|totals): (\d+)", Path(folder, f"out.{dump}").read_text(), re.M)[1])

        # Of the three dumps of a cell, counted from 1, the first is what prepares it.
        elements = json.loads(done.stdout.splitlines()[-1])
        return {
            name: round((total(3 * i + 3) - total(3 * i + 2)) / n, 3) for i, (name, n) in enumerate(elements.items())
        }


def compiler():
    """What compiled the kernels, as it says in them."""
    module = importlib.util.find_spec("fastsig._kernels_baseline").origin
    found = re.search(rb"GCC: \([^)]*\) [\w.]+|clang version [\w.]+", Path(module).read_bytes())
    return found[0].decode() if found else "unknown"


def compare(stored, counted, tolerance):
    """Print what differs; whether there are more instructions anywhere."""
    more = []
    for kernels, counts in counted.items():
        before = stored.get(kernels, {})
        for name in sorted(counts.keys() | before.keys()):
            old, new = before.get(name), counts.get(name)
            if old and new and abs(new - old) <= tolerance * old:
                continue
            ratio = f"{new / old:.3f}" if old and new else "new" if new else "gone"
            print(f"{kernels:<12}{name:<45}{old or '':>9} -> {new or '':<9}{ratio}")
            more += [name] if old and new and new > old else []
    return bool(more)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="store_true", help=f"write {STORED.name}")
    parser.add_argument("--tolerance", type=float, default=0.02, help="differences up to here are none")
    parser.add_argument("--calls", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.calls:
        return make_calls()
    if not shutil.which("valgrind"):
        sys.exit("This needs valgrind.")
    if not arguments.store and not STORED.exists():
        sys.exit(f"There is no {STORED.name} yet: --store")
    counted = {kernels: count(kernels) for kernels in SETS}
    if arguments.store:
        STORED.write_text(
            json.dumps({"compiler": compiler(), "numpy": np.__version__, **counted}, indent=1, sort_keys=True) + "\n"
        )
        return 0
    stored = json.loads(STORED.read_text())
    more = compare(stored, counted, arguments.tolerance)
    same = stored["compiler"] == compiler()
    if not same:
        print(f"{STORED.name} is of {stored['compiler']}, this of {compiler()}: the counts are not comparable")
    print(f"{sum(map(len, counted.values()))} counts, tolerance {arguments.tolerance:.0%}")
    return 1 if more and same else 0


if __name__ == "__main__":
    sys.exit(main())
