"""How far off fastsig and its peers are, on the same points: what docs/accuracy.md begins with.

    python bench/accuracy.py [--function NAME ...] [--json FILE]

For each function and dtype the largest error in ULP, against the table's truth in long double; of a peer's several ways
to write a function (peers.py), that of the best one. Elementwise functions get numbers of all magnitudes, from the
subnormal to the largest, many of common size, and where range reductions have their breaks; rows have 10 to 20000
entries. "inf" is NaN where there is a number. With --function the other functions stay in FILE as they are.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import peers
import race
import report
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import oracle

CONTENDERS = ("fastsig", "torch", "numpy", "scipy", "onnxruntime", "jax")
DTYPES = ("float32", "float64")
SCALES = (0.01, 0.3, 1, 3, 10, 100)


def numbers(dtype, count=8000):
    """Some 70,000 finite ones."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), count, np.uint64)
    x = [rng.normal(0, scale, count) for scale in SCALES] + [rng.uniform(0, 1, count), oracle.hard(dtype, 20)]
    x = np.concatenate(
        [*(part.astype(dtype) for part in x), patterns.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)]
    )
    return x[np.isfinite(x)]


def rows(dtype):
    """Normal ones of several spreads, and many entries that are small next to one."""
    rng = np.random.default_rng(0)
    for n in (10, 1000):
        yield np.concatenate([rng.normal(0, scale, (5000 // n, n)) for scale in (0.1, 1, 10, 30)]).astype(dtype)
    x = np.full((2, 20_000), [[-9.0], [-17.2]], dtype)
    x[:, 0] = 0
    yield x


def samples(row, dtype):
    """(inputs by name, truth) of a function: of targets many at the ends, of classes half the likeliest."""
    rng = np.random.default_rng(1)
    if row.kind == "elementwise":
        x, arrays = numbers(dtype), {}
        for name in (parameter.name for parameter in row.parameters if parameter.is_array):
            arrays[name] = np.clip(rng.uniform(-0.5, 1.5, x.shape), 0, 1).astype(dtype)
        yield {"x": x, **arrays}, oracle.reference(row, x, **oracle.defaults(row, dtype) | arrays)
    elif row.kind == "halves":
        x = np.concatenate([rng.permutation(numbers(dtype)), numbers(dtype)])
        yield {"x": x}, oracle.of_halves(row, x)
    elif row.kind == "loss":
        for x in rows(dtype):
            target = np.where(rng.random(len(x)) < 0.5, x.argmax(-1), rng.integers(0, x.shape[-1], len(x)))
            yield {"x": x, **dict.fromkeys(row.operands, target)}, oracle.losses(x, target)
    else:
        for x in rows(dtype):
            yield {"x": x}, oracle.along(row, x)


def values(contender, row, arrays):
    """The results of each form that a contender has, and can do."""
    x = arrays["x"]
    first = next(other for other in oracle.EXPANDED if other.name == row.name)
    if isinstance(contender, peers.SciPy) and row is not first:  # which has no choice
        return
    axis = None if row.kind == "elementwise" else -1
    task = race.task(row, x.dtype.name, x.shape, axis, out=False)
    if not contender.can(task):
        return
    try:
        names = task["parameters"] | {"axis": axis, "mask": None} | contender.names(task, None, **arrays)
    except LookupError:  # no kernel for this dtype
        return
    forms = contender.forms(task)
    if isinstance(contender, peers.Fastsig):
        forms = [
            form.replace(")", f", {row.choice.name}={row.choice.default!r})") if row.choice else form for form in forms
        ]
    if isinstance(contender, peers.Torch):
        forms += peers.TORCH_OUT.get(row.name, [])
    for form in forms:
        with np.errstate(all="ignore"):
            try:
                value = contender.array(eval(form, names), None)
            except Exception as error:
                print(f"{form}: {error}".splitlines()[0], file=sys.stderr)
                continue
        if value.dtype == x.dtype:
            yield form, value


def errors(contenders, row, dtype):
    """Contender -> the largest error of its best form."""
    worst = {}
    for arrays, truth in samples(row, dtype):
        for name, contender in contenders.items():
            for form, value in values(contender, row, arrays):
                key = name, form
                worst[key] = max(worst.get(key, 0.0), float(oracle.ulp_error(value, truth).max()))
    best = {}
    for (name, _), error in worst.items():
        best[name] = min(error, best.get(name, error))
    return {name: "inf" if np.isinf(error) else round(error, 3) for name, error in best.items()}


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    names = [row.name for row in oracle.TABLE]
    parser.add_argument("--function", nargs="+", metavar="NAME", choices=names, default=names, help="default: all")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the errors, and with what they were measured")
    arguments = parser.parse_args()
    contenders = {name: peers.CONTENDERS[name](1) for name in CONTENDERS}
    found = {"errors": {}}
    if arguments.json and arguments.json.exists():
        found = json.loads(arguments.json.read_text(encoding="utf-8"))
    chosen = [row for row in oracle.EXPANDED if row.name in arguments.function]
    for row in tqdm(chosen, disable=None, leave=False):
        found["errors"][oracle.label(row)] = {dtype: errors(contenders, row, dtype) for dtype in DTYPES}
    order = [oracle.label(row) for row in oracle.EXPANDED if row.name in names]
    found["errors"] = {name: found["errors"][name] for name in order if name in found["errors"]}
    found["environment"] = race.environment() | {"load_before": 0.0}  # which is nothing to errors
    print("\n".join([*report.accuracy(found), "", *report.environment(found["environment"])]))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
