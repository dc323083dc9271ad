"""The same values in every way that memory can hold them, and comparisons to the bit."""

import numpy as np

GUARD = 77  # fills what lies between and around the elements of a layout


def _filled(shape, dtype):
    return np.full(shape, GUARD, dtype)


def _strided(x):
    return _filled((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)[..., 1::3]


def _offset(x):
    return _filled(x.size + 9, x.dtype)[1 : x.size + 1].reshape(x.shape)


def _unaligned(x):
    buffer = _filled(x.nbytes + 9, np.uint8)
    return buffer[1 : x.nbytes + 1].view(x.dtype).reshape(x.shape)


def _field(x):
    """A column of a table: the stride is no multiple of the item size."""
    return np.zeros(x.shape, [("before", np.uint8), ("x", x.dtype), ("after", np.uint16)])["x"]


def _last_axis_outermost(x):
    return np.moveaxis(_filled((x.shape[-1], *x.shape[:-1]), x.dtype), 0, -1)


EMPTY = {
    "contiguous": lambda x: _filled(x.shape, x.dtype),
    "fortran": lambda x: _filled(x.shape[::-1], x.dtype).T,
    "strided": _strided,
    "reversed": lambda x: _filled(x.shape, x.dtype)[..., ::-1],
    "strided, reversed": lambda x: _strided(x)[..., ::-1],
    "offset": _offset,
    "last axis outermost": _last_axis_outermost,
    "unaligned": _unaligned,
    "field of a table": _field,
    "byte-swapped": lambda x: _filled(x.shape, x.dtype.newbyteorder()),
}
LAYOUTS = (*EMPTY, "read-only")


def place(x, layout):
    """An array equal to x that lies in memory as `layout` says."""
    placed = EMPTY.get(layout, EMPTY["contiguous"])(x)
    placed[...] = x
    placed.flags.writeable = layout != "read-only"
    return placed


def whole(array):
    """The bytes of all memory that a placed array is part of."""
    while array.base is not None:
        array = array.base
    return np.atleast_1d(array.reshape(-1, order="A")).view(np.uint8)


def assert_same_bits(got, expected, message=""):
    """-0.0 is not 0.0 here; NaNs are all the same."""
    got, expected = np.asarray(got), np.asarray(expected)
    if (got.dtype, got.shape) == (expected.dtype, expected.shape) and got.tobytes() == expected.tobytes():
        return  # much faster than what follows
    np.testing.assert_array_equal(got, expected, message, strict=True)
    if expected.dtype.kind == "f":
        signs = (np.signbit(array) & ~np.isnan(array) for array in (got, expected))
        np.testing.assert_array_equal(*signs, message)


def assert_same(fs, got, expected, message=""):
    """To the bit between results of compiled kernels; NumPy, which the fallback is made of, does not promise that."""
    if fs._backend.threads is not None or expected.dtype.kind != "f":
        assert_same_bits(got, expected, message)
        return
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape), message
    info = np.finfo(expected.dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(got, expected, rtol=4 * info.eps, atol=2 * info.smallest_subnormal, err_msg=message)


# x times 1, or a negative x times a number, as 16-bit floats are computed: in one pass, beside an array of parameters,
# and from block to block.
PRODUCTS = {
    "one pass": lambda fs, x, slope, **out: fs.leaky_relu(x, slope, **out),
    "array": lambda fs, x, slope, **out: fs.leaky_relu(x, np.full(x.shape, slope, x.dtype), **out),
    "blocks": lambda fs, x, slope, **out: fs.backward.elu(x, x.dtype.type(-0.0), x.dtype.type(slope), **out),
}
