"""NumPy's own arrays that are not plain: masked ones, matrices, subclasses, memory maps."""

import numpy as np
import pytest
from containers import DTYPES, Container, check_elementwise, check_reductions, check_rows

CHECKS = (check_elementwise, check_rows, check_reductions)
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
