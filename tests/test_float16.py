"""float16 is computed in float32: every value on its way in, and every kind of rounding on its way out."""

import operator

import numpy as np
import pytest
from layouts import EMPTY, PRODUCTS, place
from oracle import ELEMENTWISE, called, chosen, defaults, label, numbers

EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)
QUIET = 0x0200


def quiet(x):
    """The bits of x; NaNs keep their payload, as when a CPU converts them."""
    return np.where(np.isnan(x), x.view(np.uint16) | QUIET, x.view(np.uint16))


def rounded(exact):
    """float64 as the nearest float16, by NumPy, which rounds once."""
    with np.errstate(all="ignore"):
        return exact.astype(np.float16)


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_every_value_in_and_out(compiled, product):
    got = product(compiled, EVERY, 1)
    np.testing.assert_array_equal(got.view(np.uint16), quiet(EVERY))


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
@pytest.mark.parametrize("layout", EMPTY)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 1023, 1025])
def test_few_and_many(compiled, product, layout, n):
    x = np.random.default_rng(n).permutation(EVERY[~np.isnan(EVERY)])[:n]
    got = product(compiled, place(x, layout), 1, out=EMPTY[layout](x))
    np.testing.assert_array_equal(np.ascontiguousarray(got).astype("=f2").view(np.uint16), x.view(np.uint16))


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
@pytest.mark.parametrize("slope", [0.5, 1.0005, 0.3333, 3.25, 1e-3, 6e-5, 2048, 60000])
def test_rounding(compiled, product, slope):
    """A product of two float16 is exact in float32: all ties, subnormal results and overflows among 32,768 of them."""
    slope = np.float16(slope)
    x = EVERY[np.signbit(EVERY) & ~np.isnan(EVERY)]
    np.testing.assert_array_equal(product(compiled, x, slope), rounded(x.astype(float) * float(slope)))


@pytest.mark.parametrize("row", ELEMENTWISE, ids=label)
def test_float32_rounded_once(compiled, row):
    parameters = defaults(row, np.float16)
    function = called(compiled, row)
    with np.errstate(all="ignore"):
        widened = {name: np.float32(value) for name, value in numbers(parameters).items()}
        once = rounded(function(EVERY.astype(np.float32), **widened, **chosen(row)).astype(float))
    for got in (function(EVERY, **parameters), function(EVERY, **chosen(row))):
        np.testing.assert_array_equal(
            np.where(np.isnan(got), 0x7E00, got.view(np.uint16)), np.where(np.isnan(once), 0x7E00, once.view(np.uint16))
        )
        assert (got.view(np.uint16)[np.isnan(got)] & QUIET).all()


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("celu", ([-53.34, -500], -0.5), [-np.inf, -np.inf]),
        ("celu", ([-500], -2), [-np.inf]),
        ("mish", ([-476.8, -108.7],), [-0.0, -0.0]),
        ("glu", ([np.inf, -89],), [np.inf]),
        ("glu", ([-np.inf, -100],), [-np.inf]),
        ("backward.gelu", ([0.5264], [-28.52]), [-0.0]),
    ],
)
def test_far_out(fs, name, arguments, expected):
    """Where an exponential is not even a float32."""
    function = operator.attrgetter(name)(fs)
    got = function(*(np.array(x, "e") for x in arguments))
    np.testing.assert_array_equal(got.view(np.uint16), np.array(expected, "e").view(np.uint16))
