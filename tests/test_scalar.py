"""fastsig.scalar and fastsig.cython_api: the formulas for one number at a time, with the bits of the arrays."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from oracle import ELEMENTWISE, defaults, hard

import fastsig

PACKAGE = Path(fastsig.__file__).parent

each = pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)


def inputs(dtype):
    rng = np.random.default_rng(5)
    return np.concatenate([*(rng.normal(0, scale, 2000) for scale in (0.1, 1, 10, 300)), hard(dtype, 2)]).astype(dtype)


@each
def test_same_bits_as_arrays(fs, row):
    x = inputs(np.float64)
    np.testing.assert_array_equal(
        np.array([getattr(fs.scalar, row.name)(value) for value in x.tolist()]).view(np.int64),
        getattr(fs, row.name)(x).view(np.int64),
    )


@each
def test_parameters(fs, row):
    function = getattr(fs.scalar, row.name)
    given = {parameter.name: 0.75 + i for i, parameter in enumerate(row.parameters)}
    for x in (-0.3, 0.4, 2.0):
        assert function(x, **given) == function(x, *given.values()) == getattr(fs, row.name)(x, **given)
    with pytest.raises(TypeError):
        function()
    with pytest.raises(TypeError):
        function(0.5, 1, 2, 3)
    with pytest.raises(TypeError):
        function(0.5, no_such_parameter=1)


@each
@pytest.mark.parametrize("kind", [int, bool, np.float64, np.float32, np.float16, np.int8, np.uint64, np.bool_])
def test_numbers(fs, row, kind):
    result = getattr(fs.scalar, row.name)(kind(1))
    assert type(result) is float
    assert result == getattr(fs.scalar, row.name)(1.0)


@each
@pytest.mark.parametrize("bad", ["1", None, 1j, np.ones(1), np.array(1.0), np.longdouble(1), np.complex64(1), [1.0]])
def test_anything_else_is_a_type_error(fs, row, bad):
    with pytest.raises(TypeError, match=f"{row.name}: must be a real number, not {type(bad).__name__}"):
        getattr(fs.scalar, row.name)(bad)
    if row.parameters:
        with pytest.raises(TypeError, match=f"{row.name}: must be a real number"):
            getattr(fs.scalar, row.name)(1.0, bad)


@each
def test_looks_like_a_function_of_a_module(fs, row):
    function = getattr(fs.scalar, row.name)
    assert function.__name__ == row.name
    assert row.name in fs.scalar.__all__
    assert row.formula in function.__doc__


def test_too_large_an_integer(fs):
    with pytest.raises(OverflowError):
        fs.scalar.sigmoid(10**400)


# -------------------------------------------------------------------------------- Cython


@pytest.fixture(scope="module")
def user(tmp_path_factory, default):
    """A module that cimports everything and applies it to arrays in a prange loop of its own."""
    if default._backend.threads is None:
        pytest.skip("needs compiled kernels")
    pytest.importorskip("Cython")
    folder = tmp_path_factory.mktemp("cython")
    text = "# cython: language_level=3\nfrom cython.parallel cimport prange\nfrom cython cimport floating\n"
    for row in ELEMENTWISE:
        names = [parameter.name for parameter in row.parameters]
        text += textwrap.dedent(f"""
            from fastsig.cython_api cimport {row.name} as c_{row.name}

            def {row.name}(floating[::1] x, floating[::1] y{"".join(f", floating {name}" for name in names)}):
                cdef Py_ssize_t i
                for i in prange(x.shape[0], nogil=True, num_threads=2):
                    y[i] = c_{row.name}({", ".join(["x[i]", *names])})
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
    getattr(user, row.name)(x, y, **parameters)
    expected = getattr(default, row.name)(x, **parameters)
    kind = f"i{x.itemsize}"
    np.testing.assert_array_equal(y.view(kind), expected.view(kind))


def test_pure_python_has_no_cython_api(default, python):
    if default._backend.threads is None:
        pytest.skip("needs compiled kernels")
    run = python("import fastsig.cython_api", FASTSIG_PURE_PYTHON="1")
    assert "ImportError: fastsig.cython_api needs compiled kernels" in run.stderr
