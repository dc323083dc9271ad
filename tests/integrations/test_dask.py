"""Dask arrays: elementwise as they are, and rows whichever way they are split over chunks."""

import dask.array as da
import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from oracle import OF_ONE, called

import fastsig
import fastsig.dask
from fastsig._catalog import TABLE

ROWS = [row.name for row in TABLE if row.kind == "rows"]
CHUNKS = [(6, 40), (2, 40), (6, 7), (4, 9), (3, 1), ((1, 5), (39, 1))]
AXES = [-1, 0, (0, 1), None]


def logits(dtype="float32", shape=(6, 40)):
    return np.random.default_rng(0).normal(0, 6, shape).astype(dtype)


def truth(name, x, axis):
    """The same by its definition, in extended precision."""
    x = np.asarray(x, np.longdouble)
    if name == "softmin":
        return truth("softmax", -x, axis)
    top = x.max(axis, keepdims=True)
    rest = np.where(x == top, 0, np.exp(x - top)).sum(axis, keepdims=True) + (x == top).sum(axis, keepdims=True) - 1
    log_softmax = (x - top) - np.log1p(rest)
    return {"softmax": np.exp(log_softmax), "log_softmax": log_softmax, "logsumexp": top + np.log1p(rest)}[name]


def same(lazy, expected):
    """Computed, the declared shape, dtype and chunks hold."""
    assert isinstance(lazy, da.Array)
    got = lazy.compute(scheduler="sync")
    assert got.dtype == lazy.dtype == expected.dtype
    assert got.shape == lazy.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("function", [fastsig.sigmoid, fastsig.gelu, fastsig.leaky_relu])
def test_elementwise(function, chunks):
    x = logits()
    lazy = da.from_array(x, chunks)
    same(function(lazy), function(x))
    gradient = getattr(fastsig.backward, function.__name__)
    same(gradient(lazy, lazy), gradient(x, x))
    same(gradient(lazy + 1, x), gradient(x + 1, x))


def test_parameters():
    x, slopes = logits(), np.linspace(0, 1, 40, dtype="float32")
    same(fastsig.leaky_relu(da.from_array(x, (2, 7)), da.from_array(slopes, 9)), fastsig.leaky_relu(x, slopes))


def test_names_of_its_own():
    x = da.from_array(logits(), (4, 9))
    assert sorted(fastsig.dask.__all__) == sorted([*ROWS, "logsumexp"])
    for name in fastsig.dask.__all__:
        got, expected = getattr(fastsig.dask, name)(x, axis=1), getattr(fastsig, name)(x, axis=1)
        np.testing.assert_array_equal(got.compute(scheduler="sync"), expected.compute(scheduler="sync"))


def close(lazy, expected, tolerance):
    """Computed, the declared shape and dtype hold, and what is masked."""
    assert isinstance(lazy, da.Array)
    got = lazy.compute(scheduler="sync")
    assert got.dtype == lazy.dtype == expected.dtype
    assert got.shape == lazy.shape == expected.shape
    missing = np.ma.getmaskarray(expected)
    np.testing.assert_array_equal(np.ma.getmaskarray(got), missing)
    np.testing.assert_allclose(np.asarray(got)[~missing], np.asarray(expected)[~missing], tolerance, tolerance)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("chunks", [(6, 40), (4, 9)])
def test_masks_weights_and_gradients(chunks, axis, masked):
    """where= of NumPy and of Dask, in other chunks; an operand of NumPy beside one of Dask; dtype=."""
    rng = np.random.default_rng(1)
    x, grad, where = logits("float64"), logits("float64") / 3, rng.random((6, 40)) < 0.7
    if masked:
        x = np.ma.array(np.where(rng.random(x.shape) < 0.3, np.nan, x))
        x.mask = np.isnan(x.data)
        x[2] = np.ma.masked
    lazy, lazy_grad = da.from_array(x, chunks), da.from_array(grad, chunks)
    for mask in (True, where, da.from_array(where, 5)):
        plain = {"where": mask if mask is True else where}
        for row in OF_ONE:
            if row.kind == "elementwise":
                continue
            function, gradient = called(fastsig, row), called(fastsig.backward, row)
            if row.kind == "rows":
                close(function(lazy, axis, where=mask), function(x, axis, **plain), 1e-12)
                got = function(lazy, axis, where=mask, dtype="f4")
                close(got, function(x, axis, dtype="f4", **plain), 1e-5)
                for y in (lazy_grad, grad):
                    close(gradient(y, lazy, axis, where=mask), gradient(grad, x, axis, **plain), 1e-9)
                continue
            for keepdims in (False, True):
                kept = {"keepdims": keepdims}
                close(
                    function(lazy, axis, where=mask, **kept),
                    np.ma.asanyarray(function(x, axis, **plain, **kept)),
                    1e-12,
                )
                for b, options in (
                    (lazy_grad, {}),
                    (grad, {"return_sign": True}),
                    (2, {}),
                    (None, {"return_sign": True}),
                ):
                    weights = grad if b is lazy_grad else b
                    got = function(lazy, axis, b, where=mask, **kept, **options)
                    expected = function(x, axis, weights, **plain, **kept, **options)
                    for one, other in zip(*((each if options else (each,)) for each in (got, expected))):
                        close(one, np.ma.asanyarray(other), 1e-9)
                given = np.asarray(function(grad, axis, **kept))
                for each in (given, da.from_array(given)):
                    got = gradient(each, lazy, axis, where=mask, **kept)
                    close(got, gradient(given, x, axis, **plain, **kept), 1e-12)
            close(gradient(2.0, lazy, axis, where=mask), gradient(2.0, x, axis, **plain), 1e-12)


def test_what_is_refused():
    x = da.from_array(logits(), (4, 9))
    for call in (
        lambda: fastsig.softmax(x, out=np.empty(x.shape)),
        lambda: fastsig.softmax(x, out=x),
        lambda: fastsig.softmax(x, order="F"),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError):
        fastsig.backward.softmax(x[:, :1], x)


def test_unknown_chunks():
    x = logits()
    lazy = da.from_array(x, (4, 9))
    some = lazy[lazy[:, 0] > 0]
    for axis in (1, -1):
        for function in (fastsig.softmax, fastsig.logsumexp, lambda x, axis: fastsig.backward.softmax(x, x, axis)):
            got = function(some, axis).compute(scheduler="sync")
            np.testing.assert_allclose(got, function(x[x[:, 0] > 0], axis), 1e-4, 1e-4)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
@pytest.mark.parametrize("name", [*ROWS, "logsumexp"])
def test_split_rows(name, dtype, chunks, axis):
    x = logits(dtype)
    lazy = getattr(fastsig, name)(da.from_array(x, chunks), axis)
    got = lazy.compute(scheduler="sync")
    expected = getattr(fastsig, name)(x, axis)
    assert got.dtype == lazy.dtype == expected.dtype
    assert got.shape == lazy.shape == expected.shape
    if name in ROWS:
        assert lazy.numblocks == da.from_array(x, chunks).numblocks
    accurate = truth(name, x, axis).reshape(expected.shape)
    epsilon = np.finfo(expected.dtype).eps
    # The table's bound, 16 ULP and one for each by which an element is below the maximum; subnormals have less.
    wide = x.astype("float64")
    below = {"softmax": wide.max(axis, keepdims=True) - wide, "softmin": wide - wide.min(axis, keepdims=True)}.get(
        name, 0
    )
    tolerance = (16 + below) * epsilon * np.abs(accurate) + np.finfo(expected.dtype).smallest_subnormal
    assert (np.abs(got - accurate) <= tolerance).all()


@pytest.mark.parametrize("chunks", [(8, 2), (8, 3), (1, 1), (3, 6)])
def test_special_rows(chunks):
    """As of plain arrays, wherever in a row the special value is; a chunk of nothing but -inf is no row of that."""
    inf, nan, big, small = np.inf, np.nan, np.finfo("float32").max, -1e-9
    rows = [
        [-inf, -inf, -inf, 1, 2, 3],
        [3, 2, 1, -inf, -inf, -inf],
        [-inf] * 6,
        [0, 1, inf, 1, 0, 1],
        [0, 1, 1, 1, nan, 1],
        [-inf, inf, -inf, nan, 0, 0],
        [big, -big, 0, big, -big, 0],
        [0, -20, -20, -20, -20, small],
    ]
    x = np.array(rows, "float32")
    lazy = da.from_array(x, chunks)
    for name in (*ROWS, "logsumexp"):
        got = getattr(fastsig, name)(lazy, axis=1).compute(scheduler="sync")
        np.testing.assert_allclose(got, getattr(fastsig, name)(x, axis=1), rtol=2e-6, atol=1e-44, err_msg=name)


def test_what_one_and_tiny_lose():
    """A row of one large number: its log-probability is not rounded to 0."""
    x = np.array([[0, -30, -31, -32]], "float32")
    got = fastsig.dask.log_softmax(da.from_array(x, (1, 2))).compute(scheduler="sync")
    np.testing.assert_allclose(got[0, 0], truth("log_softmax", x, 1)[0, 0], rtol=1e-6)


def test_keepdims_errors_and_laziness():
    x = logits()
    lazy = da.from_array(x, (4, 9))
    same(
        fastsig.dask.logsumexp(lazy, keepdims=True).astype("float16"),
        fastsig.logsumexp(x, keepdims=True).astype("float16"),
    )
    for name in (*ROWS, "logsumexp"):
        function = getattr(fastsig, name)
        with pytest.raises(TypeError, match="supports"):
            function(lazy.astype("complex64"))
        with pytest.raises(np.exceptions.AxisError):
            function(lazy, axis=2)
        with pytest.raises(TypeError, match="bool"):
            function(lazy, axis=True)

        def never(block):
            raise AssertionError("computed")

        function(lazy.map_blocks(never, dtype="float32", meta=np.empty((0, 0), "float32")))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit="512MB",
            dashboard_address=None,
            local_directory=str(tmp_path_factory.mktemp("workers")),
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_cluster(client):
    """Through pickle, in worker processes."""
    x = logits(shape=(200, 3000))
    lazy = da.from_array(x, (100, 1100))
    np.testing.assert_array_equal(fastsig.gelu(lazy).compute(), fastsig.gelu(x))
    np.testing.assert_array_equal(fastsig.leaky_relu(lazy, 0.2).compute(), fastsig.leaky_relu(x, 0.2))
    np.testing.assert_array_equal(fastsig.softmax(lazy.rechunk((100, -1))).compute(), fastsig.softmax(x))
    for axis in (1, None):
        for name in (*ROWS, "logsumexp"):
            got = getattr(fastsig.dask, name)(lazy, axis).compute()
            np.testing.assert_allclose(got, getattr(fastsig, name)(x, axis), rtol=1e-5, atol=1e-30)


def test_cluster_does_not_oversubscribe(client):
    """Dask gives its workers OMP_NUM_THREADS=1, which is what fastsig takes."""
    assert set(client.run(fastsig.get_num_threads).values()) == {1}


@pytest.mark.parametrize("chunks", [(6, 8), (2, 8), (2, 3)])
def test_masks_beside_plain(chunks):
    """Of another operand or of where=, in arrays in memory or in chunks: as beside NumPy's arrays."""
    rng, x = np.random.default_rng(3), logits("float64", (6, 8))
    lazy, backward = da.from_array(x, chunks), fastsig.backward

    def masked(values):
        mask = rng.random(values.shape) < 0.4
        mask[0] = True
        return np.ma.array(values, mask=mask)

    other, row, where = masked(rng.random(x.shape)), masked(rng.random(6)), masked(rng.random(x.shape) < 0.7)
    y = fastsig.softmax(x)
    calls = {
        "weights": (other, lambda x, b: fastsig.logsumexp(x, 1, b)),
        "weights, kept": (other, lambda x, b: fastsig.logsumexp(x, 1, b, keepdims=True)),
        "rows": (other, lambda x, g: backward.softmax(g, y if x is not lazy else da.from_array(y, chunks), 1)),
        "sums": (row, lambda x, g: backward.logsumexp(g, x, 1)),
        "where": (where, lambda x, where: fastsig.softmax(x, 1, where=where)),
        "where of logarithms": (where, lambda x, where: fastsig.log_softmax(x, 1, where=where)),
        "where of sums": (where, lambda x, where: fastsig.logsumexp(x, 1, where=where)),
        "where of rows": (where, lambda x, where: backward.log_softmax(x, x, 1, where=where)),
        "where of gradients": (where, lambda x, where: backward.logsumexp(2.0, x, 1, where=where)),
    }
    for name, (given, call) in calls.items():
        expected = call(x, given)
        for each in (given, da.from_array(given, chunks[: given.ndim]), da.from_array(given, 5)):
            got = call(lazy, each)
            assert isinstance(got, da.Array)
            got = got.compute(scheduler="sync")
            np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected), err_msg=name)
            kept = ~np.ma.getmaskarray(expected)
            np.testing.assert_allclose(np.asarray(got)[kept], np.asarray(expected)[kept], 1e-12, 1e-14, err_msg=name)
    np.testing.assert_allclose(fastsig.softmax(lazy, where=[1, 0] * 4), fastsig.softmax(x, where=[1, 0] * 4), 1e-12)
    with pytest.raises(TypeError, match="where must be of bools"):
        fastsig.softmax(lazy, where=lazy)


@pytest.mark.parametrize("chunks", [(2, 8), (2, 3)])
def test_chunks_of_unknown_sizes(chunks):
    x = logits("float64", (6, 8))
    lazy = da.from_array(x, chunks)
    unknown = lazy[lazy[:, 0] < np.inf]
    part, weights = np.arange(8) % 3 > 0, np.arange(8.0)
    for got, expected in (
        (fastsig.softmax(unknown, 1, where=part), fastsig.softmax(x, 1, where=part)),
        (fastsig.softmax(unknown, 0), fastsig.softmax(x, 0)),
        (fastsig.logsumexp(unknown, 1, weights), fastsig.logsumexp(x, 1, weights)),
        (fastsig.backward.softmax(unknown, unknown, 1), fastsig.backward.softmax(x, x, 1)),
        (
            fastsig.backward.logsumexp(fastsig.logsumexp(unknown, 1), unknown, 1),
            fastsig.softmax(x) * fastsig.logsumexp(x, 1)[:, None],
        ),
        (fastsig.backward.logsumexp(weights, unknown, 0), fastsig.backward.logsumexp(weights, x, 0)),
    ):
        np.testing.assert_allclose(got.compute(scheduler="sync"), expected, 1e-11, 1e-11)
    for call in (
        lambda: fastsig.softmax(unknown, 1, where=x > 0),
        lambda: fastsig.softmax(unknown, 1, where=part[: chunks[1] - 1]),
        lambda: fastsig.backward.softmax(x, unknown, 1),
    ):
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            call()
