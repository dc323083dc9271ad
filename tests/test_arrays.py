"""NumPy's own arrays that are not plain: masked ones, matrices, subclasses, memory maps."""

import functools

import numpy as np
import pytest
from containers import DTYPES, Container, check_elementwise, check_losses, check_reductions, check_rows
from oracle import OF_ONE, called

CHECKS = (check_elementwise, check_rows, check_reductions, check_losses)
pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")


class Subclass(np.ndarray):
    def __array_finalize__(self, other):
        self.note = getattr(other, "note", None)


class MaskedSubclass(np.ma.MaskedArray):
    pass


class Masked(Container):
    out = True
    kind = np.ma.MaskedArray

    def make(self, x, missing):
        return np.ma.array(x, mask=missing, fill_value=7).view(self.kind)

    def take(self, result):
        if result is np.ma.masked:
            return np.float64(0), np.True_
        return np.asarray(result), np.ma.getmaskarray(result)

    def check(self, result, x, axis=None, keepdims=None):
        if np.ndim(result):
            assert type(result) is self.kind
            assert result.fill_value == 7 or x.dtype == bool
            assert result.mask.flags.writeable and not np.shares_memory(result.mask, x.mask)


class OfMaskedSubclass(Masked):
    kind = MaskedSubclass


class Matrix(Container):
    ndims, has_missing, keeps_axes = (2,), False, True

    def make(self, x, missing):
        return np.matrix(x)

    def take(self, result):
        return np.asarray(result), np.zeros(np.shape(result), bool)

    def check(self, result, x, axis=None, keepdims=None):
        assert type(result) is np.matrix or np.ndim(result) == 0
        if axis is not None and keepdims is not None:
            assert result.shape == x.sum(axis).shape


class OfSubclass(Container):
    has_missing = False
    take = Matrix.take

    def make(self, x, missing):
        array = x.view(Subclass)
        array.note = "kept"
        return array

    def check(self, result, x, axis=None, keepdims=None):
        if keepdims is None:
            assert type(result) is Subclass and result.note == "kept"


CONTAINERS = (Masked(), OfMaskedSubclass(), Matrix(), OfSubclass())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: type(container).__name__)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_all(fs, check, container, dtype):
    check(fs, container, dtype)


def results_of(fs, x):
    """One of each function and gradient, of an array of two axes."""
    for row in OF_ONE:
        function, gradient = called(fs, row), called(fs.backward, row)
        yield function(x, axis=1) if row.kind == "reduction" else function(x)
        yield gradient(1.0, x) if row.kind != "rows" else gradient(x, x)


@pytest.mark.parametrize("hard", [False, True])
def test_a_masked_result_is_its_own(fs, hard):
    """NumPy's np.tanh(x) shares mask and fill value with x, so that writing to it masks x."""
    x = np.ma.array(np.arange(6.0).reshape(2, 3), mask=[[0, 1, 0], [0, 0, 0]], hard_mask=hard, fill_value=7)
    before = x.mask.copy()
    for got in results_of(fs, x):
        assert got.hardmask == hard and got.fill_value == 7
        got.soften_mask()
        got[got < np.inf] = np.ma.masked
        got.fill_value = 3
        got.sort()
        got.mask = False
        got[..., 0] = np.ma.masked
        assert x.fill_value == 7
        np.testing.assert_array_equal(x.mask, before)


def test_into_masked_arrays(fs):
    """What is written to has a mask of its own, too; where nothing is written, its mask stays."""
    x = np.ma.array([1.0, 2.0, 3.0, 4.0], mask=[0, 1, 0, 0])
    base = np.ma.array(np.full(4, 9.0), mask=[0, 0, 1, 1])
    for function in (fs.sigmoid, fs.gelu, fs.leaky_relu):
        out = base[:]
        assert function(x, out=out, where=[True, True, True, False]) is out
        assert out.mask.tolist() == [False, True, False, True] and base.mask.tolist() == [False, False, True, True]
        assert out.data[1] == 9
    out = base[:]
    assert fs.softmax(x, out=(out,)) is out
    assert out.mask.tolist() == [False, True, False, False] and base.mask.tolist() == [False, False, True, True]


@pytest.mark.parametrize("axis", [None, (0, 1), 0, -1])
def test_a_matrix_into_an_array(fs, axis):
    x, out = np.arange(6.0).reshape(2, 3), np.empty((2, 3))
    for function in (fs.softmax, functools.partial(fs.backward.log_softmax, x)):
        assert function(np.matrix(x), axis, out=out) is out
        np.testing.assert_array_equal(out, function(x, axis))


def test_masked_grad_output(fs):
    """Of what reduces: it is a row's, and so is what is missing of it."""
    x, grad = np.arange(6.0).reshape(2, 3), np.ma.array([1.0, 2.0], mask=[False, True])
    for row in OF_ONE:
        if row.kind == "reduction":
            gradient = called(fs.backward, row)
            for given, options in ((grad, {}), (grad[:, None], {"keepdims": True})):
                got = gradient(given, x, 1, **options)
                assert got.mask.tolist() == [[False] * 3, [True] * 3]
                np.testing.assert_array_equal(got[0], gradient(1.0, x[0], 0))
                assert gradient(given, np.ma.array(x, mask=x == 1), 1, **options).mask.tolist() == [
                    [False, True, False],
                    [True] * 3,
                ]


def test_classes_with_an_axis_kept(fs):
    """A matrix's are, as what it gives: a loss and its gradient take the same."""
    x, target = np.arange(6.0).reshape(2, 3), np.array([[1], [2]])
    for made in (x, np.ma.array(x)):
        for call in (fs.cross_entropy, lambda *given: fs.backward.cross_entropy(1.0, *given)):
            with pytest.raises(ValueError, match="shape"):
                call(made, target)
            with pytest.raises(ValueError, match="shape"):
                call(made, np.matrix(target))
    matrix = np.matrix(x)
    for given in (target, np.matrix(target), [1, 2]):
        loss, slope = fs.cross_entropy(matrix, given), fs.backward.cross_entropy(1.0, matrix, given)
        np.testing.assert_array_equal(np.asarray(loss)[:, 0], fs.cross_entropy(x, [1, 2]))
        np.testing.assert_array_equal(slope, fs.backward.cross_entropy(1.0, x, [1, 2]))


def test_a_missing_class_of_no_classes(fs):
    """It is missing in the loss, and no class that does not exist."""
    for x, axis in ((np.ma.zeros((2, 0)), 1), (np.zeros((2, 0)), -1), (np.ma.zeros((0, 2)), 0)):
        for kind in (np.uint8, int):
            target = np.ma.array([0, 3], kind, mask=True)
            loss, slope = fs.cross_entropy(x, target, axis), fs.backward.cross_entropy(1.0, x, target, axis)
            assert np.ma.getmaskarray(loss).all() and loss.shape == (2,) and slope.shape == x.shape
            with pytest.raises(IndexError, match="is not one of 0"):
                fs.cross_entropy(x, np.ma.array(target.data, mask=[True, False]), axis)


def test_a_mask_is_stretched_as_its_values_are(fs):
    """NumPy fills a mask of another shape with the same one over and over."""
    x = np.ma.array(np.arange(6.0).reshape(2, 1, 3), mask=[[[0, 1, 0]], [[1, 0, 0]]])
    grad, out = np.ones((2, 2, 3)), np.ma.zeros((2, 2, 3))
    wanted = np.broadcast_to(x.mask, grad.shape)
    for row in OF_ONE:
        if row.kind == "rows":
            gradient = called(fs.backward, row)
            np.testing.assert_array_equal(gradient(grad, x).mask, wanted)
            gradient(grad, x, out=out)
            np.testing.assert_array_equal(out.mask, wanted)


def test_where_that_is_masked(fs):
    """What is masked of it takes no part; numbers are refused as beside plain arrays."""
    x, where = np.ma.array([1.0, 5.0, 2.0, 3.0], mask=[0, 1, 0, 0]), np.ma.array([True] * 4, mask=[0, 0, 1, 0])
    part = [True, True, False, True]
    for row in OF_ONE:
        function = called(fs, row)
        if row.kind == "elementwise":
            got, wanted = (function(x, where=each, out=np.zeros(4)) for each in (where, part))
        else:
            got, wanted = function(x, where=where), function(x, where=part)
            with pytest.raises(TypeError, match="where must be of bools, not of int64"):
                function(x, where=np.ones(4, "int64"))
        np.testing.assert_array_equal(got, wanted)
        assert got[2] == (-np.inf if row.logarithm else 0) if row.kind != "reduction" else True


def test_a_subclass_stays_whatever_the_options(fs):
    x = np.arange(6.0).reshape(2, 3).view(Subclass)
    x.note = "kept"
    for row in OF_ONE:
        if row.kind == "reduction":
            function = called(fs, row)
            for each in (function(x, 1), function(x, 1, x), *function(x, 1, x, return_sign=True)):
                assert type(each) is Subclass and each.note == "kept"
            np.testing.assert_array_equal(function(x, 1, x), function(np.asarray(x), 1, np.asarray(x)))


def test_private_names_stay_out_of_messages(fs):
    x, mask = np.ones((2, 3), "f"), np.ones(3, bool)
    for row in OF_ONE:
        function = called(fs, row)
        wrong = [{"out": np.ones(1 if row.kind == "reduction" else (2, 3), "i")}, {"dtype": "i"}, {"dtype": "g"}]
        for options in wrong:
            calls = [lambda: function(x, **options)]  # noqa: B023
            if row.kind != "elementwise":
                calls.append(lambda: function(x, where=mask, axis=None if row.kind == "reduction" else 0, **options))  # noqa: B023
            for call in calls:
                if row.keeps_integers and "out" in options:
                    continue
                with pytest.raises((TypeError, ValueError)) as error:
                    call()
                assert "_default" not in str(error.value) and "_where" not in str(error.value)
        with pytest.raises(TypeError) as error:
            function(x.astype("g"))
        assert row.name in str(error.value) and "_default" not in str(error.value)
