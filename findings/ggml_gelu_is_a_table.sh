#!/usr/bin/env bash
# GELU of float32 in ggml, under llama.cpp and whisper.cpp, is read from a table of float16's 65,536: a million numbers
# from 1 to 2 have 1,025 different results, of 1e-8 it is 0, and of 9.999 10, more than its argument. From 10 on it is
# exact. Its other functions, gelu_erf also, are computed.
# Seen with the libggml 0.13.1 in pywhispercpp 1.5.1; it fails where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pywhispercpp==1.5.1 numpy==2.4.6
"$folder/bin/python" - <<'END'
import ctypes
import sysconfig

import numpy as np

base, cpu = (ctypes.CDLL(f"{sysconfig.get_paths()['purelib']}/libggml-{name}.so.0") for name in ("base", "cpu"))
pointer = ctypes.c_void_p


class Memory(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("buffer", pointer), ("no_alloc", ctypes.c_bool)]


def call(library, name, *arguments):
    function = getattr(library, "ggml_" + name)
    function.restype = pointer
    return function(*(pointer(value) if type(value) is int else value for value in arguments))


def run(name, x):
    x = np.asarray(x, np.float32)
    context = call(base, "init", Memory(64 << 20, None, False))
    tensor = call(base, "new_tensor_1d", context, ctypes.c_int(0), ctypes.c_int64(x.size))
    ctypes.memmove(call(base, "get_data", tensor), x.ctypes.data, x.nbytes)
    result, graph = call(base, name, context, tensor), call(base, "new_graph", context)
    call(base, "build_forward_expand", graph, result)
    call(cpu, "graph_compute_with_ctx", context, graph, ctypes.c_int(1))
    y = ctypes.cast(call(base, "get_data", result), ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(y, x.shape).copy()


call(cpu, "cpu_init")
for name in ("gelu", "gelu_erf"):
    different = len(set(run(name, np.linspace(1, 2, 1_000_000)).tolist()))
    print(f"{name} of 1e-8, 9.999 and 10: {run(name, [1e-8, 9.999, 10])}; of a million numbers {different} results")
    assert (different < 2000) == (name == "gelu")
assert run("gelu", [9.999])[0] == 10 and run("gelu", [1e-8])[0] == 0
END
