"""fastsig.scalar and fastsig.cython_api: the formulas for one number at a time, with the bits of the arrays."""

import ctypes
import ctypes.util
import decimal
import fractions
import importlib
import math
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from oracle import ELEMENTWISE, called, chosen, defaults, hard, label, numbers

import fastsig
from fastsig._catalog import TABLE, expanded

PACKAGE = Path(fastsig.__file__).parent
NAMED = dict(variant for row in TABLE if row.kind == "elementwise" for variant in expanded(row))

each = pytest.mark.parametrize("row", ELEMENTWISE, ids=label)


def inputs(dtype):
    rng = np.random.default_rng(5)
    return np.concatenate([*(rng.normal(0, scale, 2000) for scale in (0.1, 1, 10, 300)), hard(dtype, 2)]).astype(dtype)


@each
def test_same_bits_as_arrays(fs, row):
    x = inputs(np.float64)
    np.testing.assert_array_equal(
        np.array([called(fs.scalar, row)(value, **chosen(row)) for value in x.tolist()]).view(np.int64),
        called(fs, row)(x, **chosen(row)).view(np.int64),
    )


@each
def test_parameters(fs, row):
    function = called(fs.scalar, row)
    given = {parameter.name: 0.75 + i for i, parameter in enumerate(row.parameters)}
    for x in (-0.3, 0.4, 2.0):
        values = function(x, **given), function(x, *given.values()), called(fs, row)(x, **given)
        np.testing.assert_array_equal(values, values[0])
    with pytest.raises(TypeError):
        function()
    with pytest.raises((TypeError, ValueError) if row.choice else TypeError):
        function(0.5, 1, 2, 3)
    with pytest.raises(TypeError):
        function(0.5, no_such_parameter=1)


@each
@pytest.mark.parametrize(
    "kind",
    [
        *(int, bool, np.float64, np.float32, np.float16, np.int8, np.uint64, np.bool_, np.longdouble),
        *(np.array, decimal.Decimal, fractions.Fraction),
        type("HasFloat", (), {"__init__": lambda self, x: None, "__float__": lambda self: 1.0}),
        type("HasIndex", (), {"__init__": lambda self, x: None, "__index__": lambda self: 1}),
        type("IsFloat", (float,), {}),
    ],
    ids=lambda kind: kind.__name__,
)
def test_numbers(fs, row, kind):
    """What `math` takes."""
    assert math.fabs(kind(1)) == 1
    result = called(fs.scalar, row)(kind(1))
    assert type(result) is float
    assert result == called(fs.scalar, row)(1.0)
    if row.parameters:
        assert called(fs.scalar, row)(-1.0, kind(1)) == called(fs.scalar, row)(-1.0, 1.0)


def test_bfloat16(fs):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert fs.scalar.sigmoid(bfloat16(1.5)) == fs.scalar.sigmoid(1.5)


@each
@pytest.mark.parametrize("bad", ["1", None, 1j, np.ones(2), np.complex64(1), np.array(1j), [1.0]], ids=repr)
def test_anything_else_is_a_type_error(fs, row, bad):
    with pytest.raises(TypeError, match=f"{row.name}: must be a real number, not {type(bad).__name__}"):
        called(fs.scalar, row)(bad)
    if row.parameters:
        with pytest.raises(TypeError, match=f"{row.name}: must be a real number"):
            called(fs.scalar, row)(1.0, bad)


@each
def test_looks_like_a_function_of_a_module(fs, row):
    function = called(fs.scalar, row)
    assert function.__name__ == row.name
    assert row.name in fs.scalar.__all__
    assert row.summary[:-1] in function.__doc__


def test_too_large_an_integer(fs):
    with pytest.raises(OverflowError):
        fs.scalar.sigmoid(10**400)


def test_special_numbers(fs):
    """Which a conversion must let through."""
    inf, nan = decimal.Decimal("Infinity"), decimal.Decimal("NaN")
    assert fs.scalar.sigmoid(inf) == 1 and fs.scalar.sigmoid(-inf) == 0 and math.isnan(fs.scalar.sigmoid(nan))
    assert math.copysign(1, fs.scalar.tanh(np.array(-0.0))) == -1
    with pytest.raises(ZeroDivisionError, match="own"):  # what goes wrong in it is its own

        class Broken:
            def __float__(self):
                raise ZeroDivisionError("own")

        fs.scalar.sigmoid(Broken())


# -------------------------------------------------------------------------------- subnormal terms

# Where a result is a normal number, 0 or infinite; exponentials that are subnormal themselves are left out.
NEAR = {"f": [12, 9], "d": [36, 20]}  # gelu_tanh's argument grows with x^3
FAR = {"f": [(20, 80), (140, 300)], "d": [(50, 700), (1200, 1300)]}


@pytest.fixture(scope="module")
def underflows():
    """Whether a call underflows: by the CPU's flag, which NumPy does not get to see."""
    libm = ctypes.util.find_library("m")
    if platform.machine() not in {"x86_64", "AMD64"} or not libm:
        pytest.skip("about flags of x86-64, read through libm")
    libm, underflow = ctypes.CDLL(libm), 0x10

    def underflows(function, *arguments):
        libm.feclearexcept(underflow)
        function(*arguments)
        return bool(libm.fetestexcept(underflow))

    return underflows


def test_an_underflow_is_seen(underflows):
    assert underflows(lambda x: x * 1e-10, 1e-300)
    assert not underflows(lambda x: x * 1e-10, 1e-290)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("char", ["f", "d"])
def test_no_subnormal_terms(compiled, underflows, name, char):
    """They would cost 150 cycles each, and nothing of them is seen in the result."""
    if compiled._backend.name == "baseline":
        pytest.skip("without FMA a product is rounded before it is added")
    real = ctypes.c_float if char == "f" else ctypes.c_double
    parameters = [real(parameter.default) for parameter in NAMED[name].parameters]
    address = compiled._backend.kernels.scalar_address(name, char)
    function = ctypes.CFUNCTYPE(real, real, *[real] * len(parameters))(address)
    near = NEAR[char][name == "gelu_tanh"]
    points = np.concatenate([np.arange(0, near, 0.01), *(np.arange(*ends, 0.25) for ends in FAR[char])])
    points = np.concatenate([points, np.geomspace(2000, 1e30, 500), [np.inf]])
    assert [x for x in [*-points, *points] if underflows(function, real(x), *parameters)] == []


# -------------------------------------------------------------------------------- Cython


@pytest.fixture(scope="module")
def user(tmp_path_factory, default):
    """A module that cimports everything and applies it to arrays in a prange loop of its own."""
    if default._backend.threads is None:
        pytest.skip("needs compiled kernels")
    pytest.importorskip("Cython")
    folder = tmp_path_factory.mktemp("cython")
    text = "# cython: language_level=3, freethreading_compatible=True\n"
    text += "from cython.parallel cimport prange\nfrom cython cimport floating\n"
    for name, row in NAMED.items():
        names = [parameter.name for parameter in row.parameters]
        text += textwrap.dedent(f"""
            from fastsig.cython_api cimport {name} as c_{name}

            def {name}(floating[::1] x, floating[::1] y{"".join(f", floating {name}" for name in names)}):
                cdef Py_ssize_t i
                for i in prange(x.shape[0], nogil=True, num_threads=2):
                    y[i] = c_{name}({", ".join(["x[i]", *names])})
        """)
    (folder / "user.pyx").write_text(text)
    (folder / "setup.py").write_text(
        "from Cython.Build import cythonize\nfrom setuptools import Extension, setup\n"
        "setup(name='user', ext_modules=cythonize([Extension('user', ['user.pyx'], extra_compile_args=['-fopenmp'],"
        " extra_link_args=['-fopenmp'])]))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    build = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    sys.path.insert(0, str(folder))
    try:
        import user
    finally:
        sys.path.remove(str(folder))
    return user


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cimport(user, default, row, dtype):
    x = inputs(dtype)
    y = np.empty_like(x)
    parameters = defaults(row, dtype)
    name = next(name for name, variant in NAMED.items() if label(variant) == label(row))
    getattr(user, name)(x, y, **numbers(parameters))
    expected = called(default, row)(x, **parameters)
    kind = f"i{x.itemsize}"
    np.testing.assert_array_equal(y.view(kind), expected.view(kind))


@each
@pytest.mark.parametrize("kind", ["double", "float"])
def test_plain_names(default, row, kind):
    """In what Cython exports there is, for numba and SciPy, a C function of doubles under the plain name."""
    if default._backend.threads is None:
        pytest.skip("needs compiled kernels")
    exported = importlib.import_module("fastsig.cython_api").__pyx_capi__
    name = next(name for name, variant in NAMED.items() if label(variant) == label(row))
    capsule = exported[name if kind == "double" else f"{name}_float"]
    signature = f"{kind} ({', '.join([kind] * (1 + len(row.parameters)))})".encode()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    real = ctypes.c_double if kind == "double" else ctypes.c_float
    function = ctypes.CFUNCTYPE(real, real, *[real] * len(row.parameters))(pointer(capsule, signature))
    x, parameters = inputs(np.dtype(kind if kind == "double" else "f")), defaults(row, "d" if kind == "double" else "f")
    got = np.array([function(value, *map(float, numbers(parameters).values())) for value in x.tolist()], x.dtype)
    expected = called(default, row)(x, **parameters)
    np.testing.assert_array_equal(got.view(f"i{x.itemsize}"), expected.view(f"i{x.itemsize}"))


def test_scipy_calls_it_without_python(default):
    """quad takes the address; what it integrates is a number's sigmoid, whose integral is softplus."""
    if default._backend.threads is None:
        pytest.skip("needs compiled kernels")
    integrate = pytest.importorskip("scipy.integrate")
    function = pytest.importorskip("scipy").LowLevelCallable.from_cython(
        importlib.import_module("fastsig.cython_api"), "sigmoid"
    )
    assert function.signature == "double (double)"
    value, _ = integrate.quad(function, -2, 3)
    assert value == pytest.approx(default.scalar.softplus(3) - default.scalar.softplus(-2), rel=1e-14)


def test_pure_python_has_no_cython_api(default, python):
    if default._backend.threads is None:
        pytest.skip("needs compiled kernels")
    run = python("import fastsig.cython_api", FASTSIG_PURE_PYTHON="1")
    assert "ImportError: fastsig.cython_api needs compiled kernels" in run.stderr
