"""Every one of the 2^32 float32 inputs of the elementwise functions and their derivatives against float64, and float64
against MPFR.

    python tests/exhaustive.py [names] [--processes 2] [--every 1] [--points 1000000]

Prints each function's largest error in ULP and where it is, and ends with exit code 1 if one is beyond the table's
max_ulp, if a NaN or a sign is wrong, or if a function of NEVER_FALL falls from one float32 to the next. float64 is
checked at random points of all magnitudes, in the tails, and around the breakpoints of the range reductions.
A function takes some minutes. FASTSIG_ISA and FASTSIG_PURE_PYTHON choose the
backend, FASTSIG_NUM_THREADS does not matter: the processes use one thread each.
test_accuracy.py shows that the reference, the table's truth in float64, is good enough.
"""

import argparse
import multiprocessing
import sys
from functools import partial
from typing import NamedTuple

import numpy as np
from oracle import DERIVATIVES, ELEMENTWISE, defaults, exact, function, hard, label, numbers, reference, unit

import fastsig

try:
    import gmpy2
except ModuleNotFoundError:
    gmpy2 = None
try:
    from tqdm import tqdm
except ModuleNotFoundError:

    def tqdm(iterable, **_):
        return iterable


CHUNK = 2**13  # the temporary arrays stay in the cache
CHUNKS = 2**32 // CHUNK
SAMPLE = 5000  # float64 points in one piece of work
NEVER_FALL = {"sigmoid", "tanh", "softplus", "log_sigmoid"}  # they increase, and so do the results, or stay


class Result(NamedTuple):
    """Of one chunk or, merged, of all."""

    error: float = 0.0  # the largest, ULP
    bits: int = 0  # the input where it is
    over_one: int = 0  # inputs with more than 1 ULP
    wrong_nan: int = 0
    wrong_sign: int = 0
    falls: int = 0  # inputs whose result is less than that of their neighbour below

    def merged(self, other):
        error, bits = max(self[:2], other[:2], key=lambda pair: pair[0])
        return Result(error, bits, *(a + b for a, b in zip(self[2:], other[2:], strict=True)))


def ulp(truth):
    """The distance of neighbouring float32 at float64 values, by their exponent fields; 2^-149 among the subnormals."""
    exponent = np.clip((truth.view(np.int64) >> 52) & 0x7FF, 1023 - 126, 1023 + 127)
    return ((exponent - 23) << 52).view(np.float64)


def check(row, chunk, called=None):
    """Compare one chunk of inputs, those whose bit patterns begin at chunk * CHUNK."""
    patterns = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK, dtype=np.uint32)
    x, parameters = patterns.view(np.float32), defaults(row, np.float32)
    got = (called or function(fastsig, row))(x, **parameters)
    truth = np.array(reference(row, x, np.float64, **parameters), np.float64)
    for i in np.flatnonzero(np.isinf(x)):
        truth[i] = float(exact(row, x[i], **parameters)[0])  # the limit
    wrong_nan = np.isnan(got) != np.isnan(truth)
    least = unit(row, x, np.float64, **parameters)
    wrong_sign = (np.signbit(got) != np.signbit(truth)) & (np.abs(truth) > least)
    with np.errstate(all="ignore"):  # signalling NaNs
        steps = np.diff(got) if patterns[0] < 2**31 else -np.diff(got)  # negative numbers' patterns run the other way
        top = 2.0**128  # infinity counts as the first number that is too large
        difference = np.abs(np.clip(got.astype(np.float64), -top, top) - np.clip(truth, -top, top))
        errors = np.where(np.isnan(difference), 0, difference / ulp(np.fmax(np.abs(truth), least)))
    worst = int(errors.argmax())
    counts = (int(wrong.sum()) for wrong in (errors > 1, wrong_nan, wrong_sign, steps < 0))
    return Result(float(errors[worst]), int(patterns[worst]), *counts)


def check_all(row, pool, every=1):
    """Of one function, all chunks, or every n-th."""
    chunks = range(0, CHUNKS, every)
    results = pool.imap_unordered(partial(check, row), chunks, chunksize=512)
    total = Result()
    for result in tqdm(results, total=len(chunks), desc=label(row), leave=False, file=sys.stderr):
        total = total.merged(result)
    return total


def acceptable(row, result, kind=0):
    """Whether a result keeps what the table promises; kind: 0 float32, 1 float64."""
    fell = row.name in NEVER_FALL and result.falls
    return result.error <= row.max_ulp[kind] and not (result.wrong_nan or result.wrong_sign or fell)


def sample64(seed):
    """SAMPLE float64 inputs: of all magnitudes, as they are common, in the tails, and the hard ones in the first."""
    rng = np.random.default_rng(seed)
    x = [rng.normal(0, scale, SAMPLE // 8) for scale in (0.01, 0.3, 1, 3, 10, 300)]
    x.append(rng.uniform(700, 750, SAMPLE // 16) * rng.choice([-1, 1], SAMPLE // 16))
    patterns = rng.integers(0, 2**64, SAMPLE // 16, dtype=np.uint64, endpoint=False).view(np.float64)
    x.append(patterns[np.isfinite(patterns)])
    x.append(rng.uniform(0, 1, SAMPLE // 16))
    if seed == 0:
        values = hard(np.float64, 50)
        x.append(values[np.isfinite(values)])
    return np.concatenate(x)


def check64(row, seed, called=None):
    """Compare one sample of float64 inputs with MPFR."""
    x, parameters = sample64(seed), defaults(row, np.float64)
    got = (called or function(fastsig, row))(x, **parameters)
    with gmpy2.context(precision=400):
        names = {name: getattr(gmpy2, name) for name in dir(gmpy2) if not name.startswith("_")}
        names |= {"mpf": gmpy2.mpfr, "max": max, "min": min, "pi": gmpy2.const_pi(), "abs": abs, "nan": gmpy2.nan()}
        names |= {"ncdf": lambda v: gmpy2.erfc(-v / gmpy2.sqrt(2)) / 2}
        names |= {name: gmpy2.mpfr(float(value)) for name, value in numbers(parameters).items()}
        code = compile(row.truth, row.name, "eval")
        truths = [eval(code, names | {"x": gmpy2.mpfr(value)}) for value in x.tolist()]
        high = np.array([float(truth) for truth in truths])
        low = np.array(
            [float(t - h) if gmpy2.is_finite(t) and np.isfinite(h) else 0.0 for t, h in zip(truths, high.tolist())]
        )
    wrong_nan = np.isnan(got) != np.isnan(high)
    least = unit(row, x, np.float64, **parameters)
    wrong_sign = (np.signbit(got) != np.signbit(high)) & (np.abs(high) > least)
    with np.errstate(all="ignore"):
        size = np.nextafter(np.fmax(np.abs(high), least), 0)
        spacing = np.maximum(np.spacing(size), np.finfo(np.float64).smallest_subnormal)
        errors = np.where(got == high, np.abs(low), np.abs((got - high) - low)) / spacing
    errors = np.where(np.isnan(errors), 0, errors)
    worst = int(errors.argmax())
    counts = (int(wrong.sum()) for wrong in (errors > 1, wrong_nan, wrong_sign))
    return Result(float(errors[worst]), int(x[worst : worst + 1].view(np.uint64)[0]), *counts)


def check_all64(row, pool, points):
    results = pool.imap_unordered(partial(check64, row), range(-(-points // SAMPLE)))
    total = Result()
    for result in results:
        total = total.merged(result)
    return total


HEAD = (
    f"\n{'function':<24}{'max ULP':>9}{'allowed':>9}{'at':>20}{'':>16}{'> 1 ULP':>13}{'NaN':>6}{'sign':>6} wrong"
    f"{'falls':>11}"
)


def show(row, result, kind):
    """Print a function's line; whether it failed."""
    value = np.uint64(result.bits).view(np.float64) if kind else np.uint32(result.bits).view(np.float32)
    verdict = "" if acceptable(row, result, kind) else "   FAILED"
    print(
        f"{label(row):<24}{result.error:>9.3f}{row.max_ulp[kind]:>9}{result.bits:>#20x}{value:>16.8g}{result.over_one:>13,}"
        f"{result.wrong_nan:>6}{result.wrong_sign:>6}      {result.falls:>11,}{verdict}",
        flush=True,
    )
    return bool(verdict)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    rows = ELEMENTWISE + DERIVATIVES
    names = [label(row) for row in rows]
    parser.add_argument("names", nargs="*", metavar="name", help=f"functions (default: {' '.join(names)})")
    parser.add_argument("--processes", type=int, default=2, help="how many work at it (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th of the chunks, as a trial")
    parser.add_argument("--points", type=int, default=1_000_000, help="float64 points (default: %(default)s)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no such elementwise function: {' '.join(sorted(unknown))}")

    fastsig.show_config()
    rows = [row for row in rows if not arguments.names or label(row) in arguments.names]
    failed = False
    with multiprocessing.Pool(arguments.processes, fastsig.set_num_threads, (1,)) as pool:
        print("\nfloat32" + HEAD)
        for row in rows:
            failed |= show(row, check_all(row, pool, arguments.every), 0)
        if arguments.points and gmpy2 is None:
            print("\nfloat64 is not checked: gmpy2 is not installed")
        elif arguments.points:
            print(f"\nfloat64, {arguments.points:,} points" + HEAD)
            for row in rows:
                failed |= show(row, check_all64(row, pool, arguments.points), 1)
    return failed


if __name__ == "__main__":
    sys.exit(main())
