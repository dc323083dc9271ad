"""Every function of the table with arrays of another kind, against the same with NumPy's plain arrays.

A `Container` says how arrays of one kind are made and taken apart; `check` makes all calls. Under what is missing lies
what would be seen in every result that it took part in.
"""

import numpy as np
import pytest
from oracle import OF_ONE, PAIRS, called

from fastsig._catalog import expanded

DTYPES = ("float64", "float32", "int32", "bool")
SHAPES = {1: (7,), 2: (6, 5)}


class Container:
    """Arrays of one kind."""

    ndims: tuple = (1, 2)
    has_missing = True
    axes = True  # whether functions along an axis take it
    slow = False
    gives_numbers = True  # what a reduction gives can be a gradient's operand
    keeps_axes = False  # also those that are summed over
    out = False  # whether a NumPy array may be `out`
    losses = True  # whether losses take it
    temperatures = True  # whether each row may have one of its own
    temperatures_in_gradients = True
    tolerance = 0.0  # of functions along an axis: where the order of additions is another

    def make(self, x, missing):
        """One that holds x, without what is missing."""
        raise NotImplementedError

    def take(self, result):
        """(values, what is missing) of a result, as NumPy's arrays."""
        raise NotImplementedError

    def weighted(self, function, x, axis, weights, **options):
        """The results of logsumexp with weights and signs, or None if there can be none."""
        return function(x, axis, weights, return_sign=True, **options)

    def check(self, result, x, axis=None, keepdims=None):
        """Whatever else a result is to have of x, from which an axis may have gone (keepdims is then a bool)."""


def numbers(ndim, dtype, seed=0, poison=True):
    """(x, which of them are missing), with a row of nothing else among them; or with none missing."""
    rng, shape = np.random.default_rng(seed), SHAPES[ndim]
    x = (rng.normal(0, 3, shape) if dtype[0] == "f" else rng.integers(0 if dtype == "bool" else -5, 2, shape)).astype(
        dtype
    )
    missing = rng.random(shape) < 0.3
    missing[0], missing[-1] = True, False
    if poison and dtype[0] == "f":
        x[missing] = rng.choice([np.nan, np.inf, 1e4], missing.sum()).astype(dtype)
    return x, missing


def elementwise_calls(fs):
    """(name, number of arrays, function of them)"""
    for row in OF_ONE:
        if row.kind != "elementwise":
            continue
        function, gradient = called(fs, row), called(fs.backward, row)
        for name, variant in expanded(row):
            word = {variant.choice.name: variant.choice.default} if variant.choice else {}
            yield name, 1, lambda x, f=function, word=word: f(x, **word)
            yield f"{name} backward", 2, lambda g, x, f=gradient, word=word: f(g, x, **word)
            yield f"{name} backward of 1.0", 1, lambda x, f=gradient, word=word: f(1.0, x, **word)
        if row.parameters:
            given = {parameter.name: parameter.default * 0.75 for parameter in row.parameters}
            first, text = row.parameters[0].name, " ".join(map(str, given.values()))
            yield f"{row.name} {text}", 1, lambda x, f=function, given=given: f(x, **given)
            yield f"{row.name} {text} backward", 2, lambda g, x, f=gradient, given=given: f(g, x, **given)
            yield f"{row.name} of arrays", 2, lambda x, y, f=function, all=given, a=first: f(x, **all | {a: y})
    for row in PAIRS:
        function, gradient = getattr(fs, row.name), getattr(fs.backward, row.name)
        yield row.name, 1, lambda x, f=function: f(x, 0.25)
        yield f"{row.name} of arrays", 2, function
        yield f"{row.name} backward of arrays", 2, lambda x, y, f=gradient: f(0.5, x, y)


def same(container, name, got, expected, missing):
    __tracebackhide__ = True
    values, holes = container.take(got)
    expected = np.asarray(expected)
    missing = np.broadcast_to(missing, expected.shape)
    assert values.dtype == expected.dtype, name
    if container.keeps_axes:
        values, holes = values.reshape(expected.shape), holes.reshape(expected.shape)
    assert values.shape == expected.shape, name
    np.testing.assert_array_equal(holes, missing, err_msg=name)
    compare = np.testing.assert_array_equal
    if container.tolerance:
        compare = lambda a, b, err_msg: np.testing.assert_allclose(a, b, container.tolerance, 1e-6, err_msg=err_msg)  # noqa: E731
    compare(values[~missing], expected[~missing], err_msg=name)


def variants(container, ndim, dtype, seed):
    """Some numbers with what is missing, and some with nothing missing."""
    if container.has_missing:
        yield numbers(ndim, dtype, seed)
    if dtype == "float64" or not container.has_missing:
        x, missing = numbers(ndim, dtype, seed, poison=False)
        yield x, np.zeros_like(missing)


def check_elementwise(fs, container, dtype):
    for ndim in container.ndims:
        for (x, missing), (y, missing_y) in zip(
            variants(container, ndim, dtype, 0), variants(container, ndim, dtype, 1)
        ):
            for name, nin, function in elementwise_calls(fs):
                lost = missing | missing_y if nin == 2 else missing
                first, second = (np.where(lost, x.dtype.type(0), each) for each in (x, y))
                operands = [(x, missing), (y, missing_y)][:nin]
                if nin == 2 and name.endswith("of arrays") and dtype == "bool":
                    continue  # slopes are not of bools
                got = function(*(container.make(*operand) for operand in operands))
                same(container, name, got, function(*(first, second)[:nin]), lost)
                container.check(got, container.make(x, missing))


def axes_of(ndim):
    return (-1, None) if ndim == 1 else (-1, 0, None, (1,))


def check_rows(fs, container, dtype):
    for ndim in container.ndims:
        for (x, missing), (g, out_of_g) in zip(
            variants(container, ndim, dtype, 0), variants(container, ndim, dtype, 1)
        ):
            made, seen = container.make(x, missing), ~missing
            where = np.random.default_rng(2).random(x.shape) < 0.8
            for row in OF_ONE:
                if row.kind != "rows":
                    continue
                function, gradient = called(fs, row), called(fs.backward, row)
                grad = np.where(missing | out_of_g, 0, g).astype(g.dtype)
                for axis in axes_of(ndim):
                    name = f"{row.name} {axis}"
                    got = function(made, axis)
                    same(container, name, got, function(x, axis, where=seen), missing)
                    container.check(got, made)
                    same(
                        container,
                        name,
                        function(made, axis, where=where),
                        function(x, axis, where=seen & where),
                        missing,
                    )
                    got = function(made, axis, dtype="float32")
                    same(container, name, got, function(x, axis, where=seen, dtype="float32"), missing)
                    y = np.where(missing, 0, x).astype(x.dtype)
                    for given in (container.make(np.where(missing, g, grad).astype(g.dtype), missing), grad):
                        got = gradient(given, container.make(y, missing), axis)
                        same(container, f"{name} backward", got, gradient(grad, y, axis, where=seen), missing)
                        container.check(got, made)
                    if container.out:
                        out = np.empty(x.shape, "float64")
                        assert function(made, axis, out=out) is out
                        np.testing.assert_array_equal(out, function(x, axis, where=seen, out=np.empty_like(out)))
                    check_temperatures(row, container, function, gradient, x, missing, axis)


def check_temperatures(row, container, function, gradient, x, missing, axis):
    """One number; an array of one a row, of which some are missing; in the gradient, too, or a message."""
    made, seen, y = container.make(x, missing), ~missing, np.where(missing, 0, x).astype(x.dtype)
    (parameter,) = row.parameters
    assert parameter.name == "temperature"
    rows = [n for i, n in enumerate(x.shape) if axis is not None and i not in np.atleast_1d(axis) % x.ndim]
    heats = 0.5 + np.arange(np.prod(rows, dtype=int)).reshape(rows)
    cases = [(0.5, np.float64(0.5), seen), (heats, heats, seen)]
    if container.has_missing and rows:
        lost = heats % 3 == 0.5
        of_rows = np.expand_dims(lost, axis)
        cases.append((np.ma.array(np.where(lost, -1, heats), mask=lost), heats, seen & ~of_rows))
    for given, plain, part in cases:
        name = f"{row.name} {axis} temperature {given}"
        if np.ndim(given) and not container.temperatures:
            with pytest.raises(TypeError, match="must be a number"):
                function(made, axis, temperature=given)
            continue
        got = function(made, axis, temperature=given)
        same(container, name, got, function(x, axis, where=part, temperature=plain), ~part)
        container.check(got, made)
        own = container.make(y, missing)
        if np.ndim(given) and not container.temperatures_in_gradients:
            with pytest.raises(TypeError, match="divide the gradient by it"):
                gradient(own, own, axis, temperature=given)
            continue
        got = gradient(own, own, axis, temperature=given)
        same(container, f"{name} backward", got, gradient(y, y, axis, where=part, temperature=plain), ~part)
        container.check(got, made)
    for wrong in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match=f"^{row.name}(_backward)?: temperature must be above 0"):
            container.take(function(made, axis, temperature=wrong))
        with pytest.raises(ValueError, match=f"^{row.name}(_backward)?: temperature must be above 0"):
            container.take(gradient(made, made, axis, temperature=wrong))


def check_reductions(fs, container, dtype):
    for ndim in container.ndims:
        for (x, missing), (b, missing_b) in zip(
            variants(container, ndim, dtype, 0), variants(container, ndim, dtype, 1)
        ):
            made, seen = container.make(x, missing), ~missing
            for row in OF_ONE:
                if row.kind != "reduction":
                    continue
                function, gradient = called(fs, row), called(fs.backward, row)
                for axis in axes_of(ndim):
                    for keepdims in (False, True):
                        name, kept = f"{row.name} {axis} {keepdims}", {"keepdims": keepdims}
                        gone = missing.all(axis, **kept)
                        got = function(made, axis, **kept)
                        expected = function(x, axis, where=seen, **kept)
                        same(container, name, got, expected, gone)
                        container.check(got, made, axis, keepdims)
                        zeroed = np.where(missing_b, 0, b).astype(b.dtype)
                        for weights, plain, part in (
                            (container.make(b, missing_b), zeroed, seen & ~missing_b),
                            (zeroed, zeroed, seen),
                            (2, 2, seen),
                        )[: None if axis == -1 else 1]:
                            got = container.weighted(function, made, axis, weights, **kept)
                            wanted = function(x, axis, plain, where=part, return_sign=True, **kept)
                            for each, other in zip(got, wanted):
                                same(container, f"{name} weights", each, other, (~part).all(axis, **kept))
                                container.check(each, made, axis, keepdims)
                        own = np.where(gone, 0, expected).astype(np.asarray(expected).dtype)
                        wanted = gradient(own, x, axis, where=seen, **kept)
                        for given in (function(made, axis, **kept), own) if container.gives_numbers else (own,):
                            got = gradient(given, made, axis, **kept)
                            same(container, f"{name} backward", got, wanted, missing)
                            container.check(got, made)
                    got = gradient(1.0, made, axis)
                    same(container, f"{name} backward of 1.0", got, gradient(1.0, x, axis, where=seen), missing)


def check_losses(fs, container, dtype):
    """Of classes, some of which may be missing, and such as do not exist below them; of probabilities."""
    for ndim in container.ndims if container.losses else ():
        for x, missing in variants(container, ndim, dtype, 0):
            made, seen = container.make(x, missing), ~missing
            for axis in (-1, 0)[:ndim]:
                name, rows = f"cross_entropy {axis}", np.delete(x.shape, axis)
                target, lost = np.arange(rows.prod()).reshape(rows) % x.shape[axis], np.zeros(rows, bool)
                given = [(target[()], lost)]
                if container.has_missing and ndim == 2:
                    lost = target % 3 == 1
                    given.append((np.ma.array(np.where(lost, -9, target), mask=lost), lost))
                for classes, lost in given:
                    part, gone = seen & ~np.expand_dims(lost, axis), missing.all(axis) | lost
                    got = fs.cross_entropy(made, classes, axis)
                    same(container, name, got, fs.cross_entropy(x, target, axis, where=part), gone)
                    container.check(got, made, axis, False)
                    got = fs.backward.cross_entropy(0.5, made, classes, axis)
                    expected = fs.backward.cross_entropy(0.5, x, target, axis, where=part)
                    same(container, f"{name} backward", got, expected, ~part)
                    container.check(got, made)
                shares = fs.softmax(np.where(missing, 0, x), axis)
                got, expected = (
                    fs.cross_entropy(each, shares, axis, **how) for each, how in ((made, {}), (x, {"where": seen}))
                )
                same(container, f"{name} of probabilities", got, expected, missing.all(axis))
                container.check(got, made, axis, False)
                if container.has_missing and ndim == 2:
                    hole = np.arange(x.size).reshape(x.shape) % 7 == 3
                    lost = np.broadcast_to(hole.any(axis, keepdims=True), x.shape)
                    given = np.ma.array(np.where(hole, np.nan, shares), mask=hole)
                    got = fs.cross_entropy(made, given, axis)
                    expected = fs.cross_entropy(x, shares, axis, where=seen & ~lost)
                    same(container, f"{name} of some probabilities", got, expected, (missing | lost).all(axis))
                    got = fs.backward.cross_entropy(0.5, made, given, axis)
                    expected = fs.backward.cross_entropy(0.5, x, shares, axis, where=seen & ~lost)
                    same(container, f"{name} backward of some probabilities", got, expected, missing | lost)
