"""Every one of the 2^32 float32 inputs of the elementwise functions, against float64.

    python tests/exhaustive.py [names] [--processes 2] [--every 1]

Prints each function's largest error in ULP and where it is, and ends with exit code 1 if one is beyond the table's
max_ulp, or if a NaN or a sign is wrong. A function takes some minutes. FASTSIG_ISA and FASTSIG_PURE_PYTHON choose the
backend, FASTSIG_NUM_THREADS does not matter: the processes use one thread each.
test_accuracy.py shows that the reference, the table's truth in float64, is good enough.
"""

import argparse
import multiprocessing
import sys
from functools import partial
from typing import NamedTuple

import numpy as np
from oracle import ELEMENTWISE, defaults, exact, reference

import fastsig

try:
    from tqdm import tqdm
except ModuleNotFoundError:

    def tqdm(iterable, **_):
        return iterable


CHUNK = 2**13  # the temporary arrays stay in the cache
CHUNKS = 2**32 // CHUNK


class Result(NamedTuple):
    """Of one chunk or, merged, of all."""

    error: float = 0.0  # the largest, ULP
    bits: int = 0  # the input where it is
    over_one: int = 0  # inputs with more than 1 ULP
    wrong_nan: int = 0
    wrong_sign: int = 0

    def merged(self, other):
        error, bits = max(self[:2], other[:2], key=lambda pair: pair[0])
        return Result(error, bits, *(a + b for a, b in zip(self[2:], other[2:], strict=True)))


def ulp(truth):
    """The distance of neighbouring float32 at float64 values, by their exponent fields; 2^-149 among the subnormals."""
    exponent = np.clip((truth.view(np.int64) >> 52) & 0x7FF, 1023 - 126, 1023 + 127)
    return ((exponent - 23) << 52).view(np.float64)


def check(row, chunk, function=None):
    """Compare one chunk of inputs, those whose bit patterns begin at chunk * CHUNK."""
    patterns = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK, dtype=np.uint32)
    x, parameters = patterns.view(np.float32), defaults(row, np.float32)
    got = (function or getattr(fastsig, row.name))(x, **parameters)
    truth = np.array(reference(row, x, np.float64, **parameters), np.float64)
    for i in np.flatnonzero(np.isinf(x)):
        truth[i] = float(exact(row, x[i], **parameters)[0])  # the limit
    wrong_nan = np.isnan(got) != np.isnan(truth)
    wrong_sign = (np.signbit(got) != np.signbit(truth)) & (truth != 0) & ~np.isnan(truth)
    with np.errstate(all="ignore"):  # signalling NaNs
        top = 2.0**128  # infinity counts as the first number that is too large
        difference = np.abs(np.clip(got.astype(np.float64), -top, top) - np.clip(truth, -top, top))
        errors = np.where(np.isnan(difference), 0, difference / ulp(truth))
    worst = int(errors.argmax())
    counts = (int(wrong.sum()) for wrong in (errors > 1, wrong_nan, wrong_sign))
    return Result(float(errors[worst]), int(patterns[worst]), *counts)


def check_all(row, pool, every=1):
    """Of one function, all chunks, or every n-th."""
    chunks = range(0, CHUNKS, every)
    results = pool.imap_unordered(partial(check, row), chunks, chunksize=512)
    total = Result()
    for result in tqdm(results, total=len(chunks), desc=row.name, leave=False, file=sys.stderr):
        total = total.merged(result)
    return total


def acceptable(row, result):
    return result.error <= row.max_ulp[0] and not result.wrong_nan and not result.wrong_sign


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [row.name for row in ELEMENTWISE]
    parser.add_argument("names", nargs="*", metavar="name", help=f"functions (default: {' '.join(names)})")
    parser.add_argument("--processes", type=int, default=2, help="how many work at it (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th of the chunks, as a trial")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no such elementwise function: {' '.join(sorted(unknown))}")

    fastsig.show_config()
    print(f"\n{'function':<16}{'max ULP':>9}{'allowed':>9}{'at':>12}{'':>16}{'> 1 ULP':>13}{'NaN':>6}{'sign':>6} wrong")
    failed = False
    with multiprocessing.Pool(arguments.processes, fastsig.set_num_threads, (1,)) as pool:
        for row in ELEMENTWISE:
            if arguments.names and row.name not in arguments.names:
                continue
            result = check_all(row, pool, arguments.every)
            value = np.uint32(result.bits).view(np.float32)
            verdict = "" if acceptable(row, result) else "   FAILED"
            failed |= bool(verdict)
            print(
                f"{row.name:<16}{result.error:>9.3f}{row.max_ulp[0]:>9}{result.bits:>#12x}{value:>16.8g}{result.over_one:>13,}"
                f"{result.wrong_nan:>6}{result.wrong_sign:>6}{verdict}",
                flush=True,
            )
    return failed


if __name__ == "__main__":
    sys.exit(main())
