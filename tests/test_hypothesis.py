"""Arrays that nobody would think of: shapes, dtypes, byte orders, strides, offsets, masks and parameters at random."""

import os

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402
from layouts import GUARD, LAYOUTS, assert_same, place  # noqa: E402
from oracle import ELEMENTWISE, ROWS, along, chosen, defaults, hole, label, reference, ulp_error  # noqa: E402

settings.register_profile(
    "fastsig",
    max_examples=100,
    deadline=None,  # the first call of a kind is slow
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
profile = settings.get_profile("fastsig")

DTYPES = ["?", *"bBhHiIlLqQ", "e", "f", "d"]


def wide(dtype):
    return np.longdouble if np.dtype(dtype).char == "d" else np.float64


@st.composite
def arrays(draw, min_dims=0):
    """An array of any supported dtype, as a view of any kind."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    elements = hnp.from_dtype(dtype, **({"allow_nan": True, "allow_infinity": True} if dtype.kind == "f" else {}))
    shape = draw(hnp.array_shapes(min_dims=min_dims, max_dims=4, min_side=0, max_side=9))
    x = draw(hnp.arrays(dtype, shape, elements=elements, fill=st.just(dtype.type(1))))
    if x.ndim:
        x = place(x, draw(st.sampled_from(LAYOUTS)))
        x = x[tuple(slice(None, None, draw(st.sampled_from([1, 1, 2, -1, -3]))) for _ in x.shape)]
        x = x.transpose(draw(st.permutations(range(x.ndim))))
    if draw(st.booleans()) and x.ndim > min_dims:
        x = np.broadcast_to(x, (draw(st.integers(0, 3)), *x.shape))
    return x


def result_dtype(row, x):
    return (
        x.dtype.newbyteorder("=")
        if x.dtype.kind == "f" or (row.keeps_integers and x.dtype.kind in "iu")
        else np.dtype("d")
    )


def exactly(x, dtype):
    """x in its own dtype's values and native order; the oracle widens them."""
    return np.array(x, dtype)


@pytest.mark.parametrize("row", ELEMENTWISE, ids=label)
@settings(profile)
@given(data=st.data())
def test_elementwise(fs, row, data):
    x = data.draw(arrays())
    dtype = result_dtype(row, x)
    parameters, together = chosen(row), x.shape
    for parameter in row.parameters:
        if data.draw(st.booleans()):
            shape = data.draw(hnp.broadcastable_shapes(together, max_dims=x.ndim, max_side=9)) if x.ndim else ()
            together = np.broadcast_shapes(together, shape)
            values = hnp.arrays(
                dtype,
                shape,
                elements=hnp.from_dtype(dtype, min_value=0.125, max_value=8),
                fill=st.just(dtype.type(0.5)),
            )
            parameters[parameter.name] = data.draw(values)
    got = getattr(fs, row.name)(x, **parameters)
    assert (got.dtype, got.shape) == (dtype, together)
    if dtype.kind in "iu":
        np.testing.assert_array_equal(got, np.maximum(x, 0))
        return
    with np.errstate(all="ignore"):
        plain = np.broadcast_to(x.astype(dtype), together)
    truth = reference(row, plain, wide(dtype), **defaults(row, dtype) | parameters)
    special = np.isinf(plain)  # test_accuracy's
    errors = np.where(special, 0, ulp_error(np.asarray(got), truth))
    # Half a unit for the rounding to float16; a thousandth for what the reference itself is off.
    assert errors.max(initial=0) <= row.max_ulp[dtype.char == "d"] + (0.5 if dtype.char == "e" else 0) + 1e-3
    out, mask = np.full(together, GUARD, dtype), data.draw(hnp.arrays(bool, together))
    getattr(fs, row.name)(x, out=out, where=mask, **parameters)
    assert_same(fs, out, np.where(mask, got, np.array(GUARD, dtype)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@settings(profile)
@given(data=st.data())
def test_rows(fs, row, data):
    x = data.draw(arrays(min_dims=1))
    axes = st.lists(
        st.integers(-x.ndim, x.ndim - 1), unique_by=lambda axis, ndim=x.ndim: axis % ndim, max_size=x.ndim
    ).map(tuple)
    axis = data.draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1), axes))
    mask_shape = data.draw(hnp.broadcastable_shapes(x.shape, max_dims=x.ndim, max_side=9))
    mask = True
    if data.draw(st.booleans()) and np.broadcast_shapes(x.shape, mask_shape) == x.shape:
        mask = data.draw(hnp.arrays(bool, mask_shape))
    got = getattr(fs, row.name)(x, axis=axis, where=mask)
    dtype = result_dtype(row, x) if x.dtype.kind == "f" else np.dtype("d")
    assert (got.dtype, got.shape) == (dtype, x.shape)
    if not x.size:
        return
    truth = along(row, x.astype(dtype), axis, mask)
    emptied = ~np.broadcast_to(mask, x.shape).any(axis if axis is None else tuple(np.atleast_1d(axis)), keepdims=True)
    truth = np.where(emptied, hole(row), truth)
    with np.errstate(all="ignore"):
        wide_x = np.where(mask, x.astype(np.longdouble), -np.inf)
        span = (
            np.nan_to_num(np.ptp(wide_x[np.isfinite(wide_x)], axis=None), posinf=0) if np.isfinite(wide_x).any() else 0
        )
    info = np.finfo(dtype)
    # Rounding x - max is felt by exp; of what lies further below than `far`, nothing is left.
    far = -np.log(np.longdouble(info.smallest_subnormal))
    rtol = (64 + min(float(span), float(far))) * float(info.eps)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            np.asarray(got, np.longdouble),
            truth.astype(dtype).astype(np.longdouble),
            rtol=rtol,
            atol=2 * info.smallest_subnormal,
        )
    out = np.full(x.shape, GUARD, dtype)
    assert getattr(fs, row.name)(x, axis=axis, where=mask, out=out) is out
    assert_same(fs, out, got)
