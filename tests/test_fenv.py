"""The floating-point environment of the calling thread: results do not depend on it, and it stays as it is."""

import contextlib
import ctypes
import platform
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from calls import calls, results, same

from fastsig._catalog import TABLE

MACHINE = platform.machine()
# Where fegetenv() puts the control register, its size, what it is by default; and the bits for each mode in it.
REGISTERS = {
    "x86_64": (28, 4, 0x1F80, {"down": 0x2000, "up": 0x4000, "to zero": 0x6000, "flush": 0x8040}),
    "aarch64": (0, 4, 0, {"up": 1 << 22, "down": 2 << 22, "to zero": 3 << 22, "flush": 1 << 24}),
}
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or MACHINE not in REGISTERS, reason="knows glibc's fenv_t of x86-64 and aarch64"
)
OFFSET, SIZE, DEFAULT, MODES = REGISTERS.get(MACHINE, (0, 0, 0, {"": 0}))


def exchange(new=None):
    """The control register of this thread, and a new value to it."""
    libm, fenv = ctypes.CDLL("libm.so.6"), ctypes.create_string_buffer(64)
    libm.fegetenv(fenv)
    before = int.from_bytes(fenv.raw[OFFSET : OFFSET + SIZE], "little")
    if new is not None:
        fenv[OFFSET : OFFSET + SIZE] = new.to_bytes(SIZE, "little")
        libm.fesetenv(fenv)
    return before


@contextlib.contextmanager
def mode(name):
    before = exchange(DEFAULT | MODES[name])
    try:
        yield
        assert exchange() & MODES[name] == MODES[name]
    finally:
        exchange(before)


def of_array(package, names, x):
    """Work as calls() gives it."""
    return {name: lambda name=name: [getattr(package, name)(x)] for name in names}


def differing(work, expected, name):
    with mode(name):
        got = results(work)
    return [call for call in expected if not same(got[call], expected[call])]


def test_modes_are_real():
    tiny, third = np.float32(5.5e-42), np.float32([1, 3])
    assert np.add(tiny, tiny) > 0
    with mode("flush"):
        flushed = np.add(tiny, tiny).tobytes()
    assert flushed == bytes(4)
    with mode("up"):
        up = np.divide(*third)
    with mode("down"):
        down = np.divide(*third)
    assert up > down


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 40), (70, 5), (8, 700)])
def test_same_bits_in_every_mode(compiled, shape, dtype, name):
    work = calls(compiled, shape, dtype)
    # NumPy's own arithmetic: sums with weights, losses of probabilities and of smoothed labels, the product in
    # logsumexp's gradient, grad_output over temperatures, and what a default like 0.01 becomes on the way to the ufunc.
    of_numpy = {r.name for r in TABLE for p in r.parameters if p.default != float(np.dtype(dtype).type(p.default))}
    of_numpy |= {call for call in work if {"weights", "smoothed", "shares"} & {*call.split()}}
    of_numpy |= {call for call in work if "backward" in call and {"logsumexp", "number", "numbers"} & {*call.split()}}
    work = {call: work[call] for call in work if of_numpy.isdisjoint([call, call.split()[0]])}
    expected = results(work)
    assert differing(work, expected, name) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_subnormal_numbers(compiled, dtype):
    tiny = np.array([5, 1e3, 1e5, -7]) * np.finfo(dtype).smallest_subnormal
    x = np.array([[*tiny, -100.5], [-720, -95, -90, 0, 1]]).astype(dtype)
    work = of_array(compiled, ("relu", "silu", "gelu", "tanh", "sigmoid", "softmax", "leaky_relu", "celu"), x)
    expected = results(work)
    assert differing(work, expected, "flush") == []


@pytest.mark.parametrize("name", MODES)
def test_workers_that_started_in_a_mode(compiled, libgomp, name):
    """A Python thread has workers of its own, for all that uses this OpenMP runtime; they stay as they began."""
    x = np.tile(np.linspace(-110, 90, 1000, dtype="f"), (400, 1))
    work = of_array(compiled, ("sigmoid", "softmax"), x)

    def in_thread():
        with mode(name):
            ctypes.CDLL(libgomp).GOMP_parallel(ctypes.CDLL(None).free, None, 2, 0)
        with compiled.num_threads(2):
            return results(work)

    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(in_thread).result()
    with compiled.num_threads(1):
        expected = results(work)
    assert [call for call in work if not same(got[call], expected[call])] == []
