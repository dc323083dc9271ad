"""What fastsig runs on, and with how many threads."""

import contextlib
import math
import operator
import os

import numpy as np

from . import _backend

VERSION = "0.1.0"
MOST_THREADS = 1024


def _checked(n, what):
    """n as a number of threads."""
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"{what}: must be an integer, not {type(n).__name__}") from None
    if not 1 <= n <= MOST_THREADS:
        raise ValueError(f"{what}: must be an integer from 1 to {MOST_THREADS}")
    return n


def _number(text):
    """A short decimal number, or -1."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _read(path):
    with open(path, "rb", 0) as file:  # pathlib would take longer to import than all of fastsig
        return os.fsdecode(file.read())


def _quota(folder):
    """CPUs that the quota of one cgroup, of version 2 or 1, allows, or infinity."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = map(int, " ".join(_read(f"{folder}/{name}") for name in names).split())
        except (OSError, ValueError):  # there is no such file, or it says "max"
            continue
        if quota > 0 and period > 0:
            return quota / period
    return math.inf


def _cgroup_quota():
    """CPUs that the quotas of this process's cgroup, perhaps a service's, and of those around it allow, or infinity."""
    try:
        lines = _read("/proc/self/cgroup").splitlines()
    except OSError:
        lines = []
    folders = {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu"}  # all that a container sees of its own, under another name
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(",") or not controllers:
            parts = [part for part in path.split("/") if part]
            root = "/sys/fs/cgroup/cpu" if controllers else "/sys/fs/cgroup"
            folders.update("/".join([root, *parts[:n]]) for n in range(1, len(parts) + 1))
    return min(map(_quota, folders))


def _default_threads():
    """FASTSIG_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs that this process may use; 1 in pure Python."""
    own = os.environ.get("FASTSIG_NUM_THREADS", "").strip()
    if own:
        return _checked(_number(own), f"FASTSIG_NUM_THREADS={own!r}")
    openmp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list is one number a nesting level
    if 1 <= _number(openmp) <= MOST_THREADS:
        return _number(openmp)
    if not _backend.threads:
        return 1
    bound = _backend.threads.bound_cpus()
    mask = bound or (os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))
    return max(1, int(min(len(mask), _cgroup_quota())))


_initial = _default_threads()
if _backend.threads:
    _backend.threads.set_limit(_initial)


def set_num_threads(n):
    """Let large calls use up to `n` threads, in the whole process.

    Parameters
    ----------
    n : int
        1 or more. The pure-Python fallback, a build without OpenMP and a forked child always use 1.

    See Also
    --------
    num_threads : for one block of code.
    """
    n = _checked(n, "set_num_threads")
    if _backend.threads:
        _backend.threads.set_limit(n)


def get_num_threads():
    """The number of threads that a large call of this Python thread may use now.

    It is no more than what threadpoolctl, joblib or dask leave to OpenMP.

    Returns
    -------
    int
    """
    return _backend.threads.get_limit() if _backend.threads else 1


def num_threads(n):
    """Context manager: up to `n` threads for large calls of this Python thread.

    Parameters
    ----------
    n : int
        1 or more.

    Returns
    -------
    context manager
        To enter and leave in the same Python thread.

    Examples
    --------
    >>> import fastsig
    >>> with fastsig.num_threads(1):
    ...     fastsig.get_num_threads()
    1
    """
    return _limited(_checked(n, "num_threads"))


@contextlib.contextmanager
def _limited(n):
    before = _backend.threads.set_local_limit(n) if _backend.threads else 0
    try:
        yield
    finally:
        if _backend.threads:
            _backend.threads.set_local_limit(before)


def get_config():
    """What fastsig runs on, as a dict; see show_config.

    Returns
    -------
    dict
        fastsig, numpy: versions. kernels: the kernel set in use. vectors: what the baseline is, if that is in use,
        such as SSE2 or NEON. skipped: why a better set is not. openmp: whether large calls can use threads. threads:
        how many. late: whether another package loaded libgomp before fastsig could shorten the time that its idle
        threads spin for.
    """
    return {
        "fastsig": VERSION,
        "numpy": np.__version__,
        "kernels": _backend.name,
        "vectors": _backend.threads.vectors() if _backend.name == "baseline" else None,
        "skipped": list(_backend.skipped),
        "openmp": bool(_backend.threads and _backend.threads.has_openmp()),
        "threads": get_num_threads(),
        "late": _backend.late,
    }


def show_config():
    """Print what fastsig runs on: version, kernel set, threads."""
    config = get_config()
    print(f"fastsig  {config['fastsig']} with NumPy {config['numpy']}")
    vectors = f" ({config['vectors']})" if config["vectors"] else ""
    print(f"kernels  {config['kernels']}{vectors}" + "".join(f" ({why})" for why in config["skipped"]))
    print(f"threads  {config['threads']}" + ("" if config["openmp"] else " (no OpenMP)"))
    if config["late"]:
        print("         another package loaded libgomp first; idle threads spin for longer than fastsig would let them")
