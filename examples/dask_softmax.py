"""Softmax of logits that do not fit into memory: a zarr store, dask worker processes and fastsig.dask.

    python examples/dask_softmax.py [--megabytes 600] [--memory 256] [--workers 2]

Writes a store larger than the memory each worker may use, then its softmax beside it. Rows are split over chunks, so
every chunk is first reduced to its part of the rows' sums. Dask's workers are processes with one thread each, to which
dask gives OMP_NUM_THREADS=1: fastsig starts no threads of its own there, and the cores are not oversubscribed.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastsig

try:
    import dask
    import dask.array as da
    import zarr
    from dask.distributed import Client, LocalCluster

    import fastsig.dask
except ModuleNotFoundError as missing:
    sys.exit(f"This example needs {missing.name}: pip install 'fastsig-ufuncs[dask]'")

CLASSES = 131_072
CHUNK = (32, 16_384)  # 2 MB; a row lies in eight of them


def new_store(path, rows):
    return zarr.create_array(path, shape=(rows, CLASSES), chunks=CHUNK, dtype="f4", compressors=None)


def write_logits(path, megabytes):
    """A store of float32 logits, row block by row block."""
    rows = max(1, round(megabytes * 1e6 / CLASSES / 4))
    store = new_store(path, rows)
    rng = np.random.default_rng(0)
    for start in range(0, rows, CHUNK[0]):
        part = rng.standard_normal((min(CHUNK[0], rows - start), CLASSES), np.float32)
        store[start : start + CHUNK[0]] = 5 * part
    return store


def peak_megabytes(dask_worker):
    """The most memory that a worker process has had."""
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=600, help="size of the store (default: %(default)s)")
    parser.add_argument("--memory", type=float, default=256, help="megabytes for each worker (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        dask.config.set({"temporary-directory": folder})
        source, target = Path(folder, "logits.zarr"), Path(folder, "probabilities.zarr")
        store = write_logits(source, arguments.megabytes)
        print(f"{store.nbytes / 1e6:.0f} MB of logits, {store.shape[0]} rows of {CLASSES} in chunks of {CHUNK}")
        probabilities = new_store(target, store.shape[0])
        print(f"{arguments.workers} workers of {arguments.memory:.0f} MB")
        with (
            LocalCluster(
                n_workers=arguments.workers,
                threads_per_worker=1,
                memory_limit=int(arguments.memory * 1e6),
                dashboard_address=None,
                silence_logs="ERROR",
            ) as cluster,
            Client(cluster) as client,
        ):
            threads = set(client.run(fastsig.get_num_threads).values())
            start = time.perf_counter()
            logits = da.from_zarr(source, chunks=CHUNK)
            da.store(
                fastsig.dask.softmax(logits, axis=-1), probabilities, lock=False
            )  # as chunked; to_zarr merges chunks
            seconds = time.perf_counter() - start
            peak = max(client.run(peak_megabytes).values())
        print(f"threads of fastsig in a worker  {threads}")
        print(f"softmax, read and written       {seconds:.1f} s, {store.nbytes / 1e6 / seconds:.0f} MB/s")
        print(f"peak memory of a worker         {peak:.0f} MB")

        rows = np.linspace(0, store.shape[0] - 1, 5).astype(int)
        difference = max(np.abs(probabilities[row] / fastsig.softmax(store[row]) - 1).max() for row in rows)
        print(f"against fastsig.softmax of whole rows: largest relative difference {difference:.1e}")


if __name__ == "__main__":
    main()
