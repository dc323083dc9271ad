"""Names elsewhere, in the table: they are the same functions, and lead whoever uses them here to ours."""

import importlib
import re

import numpy as np
import pytest
from oracle import inside

from fastsig._catalog import COMMON, TABLE, known_as
from fastsig._catalog import names as names_of

X = np.random.default_rng(0).normal(0, 2, (5, 8))
KEYWORDS = [(row, keyword) for row in TABLE for keyword in row.keywords]
KEYWORDS += [(row, keyword) for keyword, _, kinds in COMMON for row in TABLE if row.kind in kinds]


def argument(row):
    """Inside of every function's domain."""
    return inside(row, X)


def scipy_calls():
    return [(row, row.elsewhere["SciPy"]) for row in TABLE if "SciPy" in row.elsewhere]


@pytest.mark.parametrize(("row", "call"), scipy_calls(), ids=lambda value: getattr(value, "name", value))
def test_scipys_are_ours(default, row, call):
    special = importlib.import_module("scipy.special")
    function = re.search(r"scipy\.special\.(\w+)", call)[1]
    if not hasattr(special, function):
        pytest.skip(f"this SciPy has no {function}")
    x, parameters = argument(row), {parameter.name: parameter.default for parameter in row.parameters}
    theirs = eval(call, {"scipy": importlib.import_module("scipy"), "x": x, "axis": -1, **parameters})
    ours = getattr(default, row.name)(x, **({"axis": -1} if row.kind == "reduction" else {}))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_scipys_default_axis_is_another(default):
    """As docs/names.md says: the whole array, where ours are rows."""
    special = importlib.import_module("scipy.special")
    for name in ("softmax", "log_softmax"):
        ours = getattr(default, name)
        np.testing.assert_allclose(special.__dict__[name](X), ours(X, axis=None), rtol=1e-12)
        assert not np.allclose(ours(X), ours(X, axis=None))
    np.testing.assert_allclose(special.logsumexp(X), default.logsumexp(X), rtol=1e-12)


WANTED = {
    "expit": ["sigmoid"],
    "quick_gelu": ["swish"],
    "SiLU": ["silu"],
    "hardtanh": ["hard_tanh"],
    "logsigmoid": ["log_sigmoid"],
    "CrossEntropyLoss": ["cross_entropy"],
    "sigmoid_cross_entropy_with_logits": ["binary_cross_entropy_with_logits"],
    "temperature": ["softmax"],
    "PReLU": ["leaky_relu"],
    "HardSwish": ["hard_swish"],
    "soft_sign": ["softsign"],
    "clip": ["relu6", "hard_tanh"],
    "where": [],
}


@pytest.mark.parametrize("name", WANTED)
def test_known_as(fs, name):
    """By the function's own attribute, too, which tells no other library's name from a slip of the pen."""
    assert known_as(name) == WANTED[name]
    with pytest.raises(AttributeError, match=f"no attribute '{name}'") as raised:
        getattr(fs, name)
    assert str(raised.value).partition(": here it is ")[2].split(" or ") == (WANTED[name] or [""])
    assert not hasattr(fs.backward, name)


def test_each_name_leads_to_its_row():
    for row in TABLE:
        for name in names_of(row):
            assert row.name in known_as(name)


@pytest.mark.parametrize(("row", "keyword"), KEYWORDS, ids=lambda value: getattr(value, "name", value))
def test_keywords_of_others(fs, row, keyword):
    """The error that Python or NumPy would raise says what is meant, on the short way and on the long one."""
    pattern = rf"^{row.name}\(\) got an unexpected keyword argument '{keyword}': "
    for x in (np.ones(3), [1.0], np.ma.array([1.0])):
        for options in ({}, {"dtype": np.float32}):
            with pytest.raises(TypeError, match=pattern):
                getattr(fs, row.name)(x, *row.operands.values(), **{keyword: 1}, **options)
    with pytest.raises(TypeError, match=pattern):
        getattr(fs.backward, row.name)(1.0, np.ones(3), *row.operands.values(), **{keyword: 1})


def test_operands_of_a_ufunc_have_no_names(fs):
    """As NumPy's own; but its error would not say so."""
    for row in (row for row in TABLE if row.operands and row.is_ufunc):
        for name, value in row.operands.items():
            pattern = rf"^{row.name}\(\) got an unexpected keyword argument '{name}': it goes by position"
            for arguments in ((1.0,), (np.ones(3),), (np.ones(3), *list(row.operands.values())[1:])):
                with pytest.raises(TypeError, match=pattern):
                    getattr(fs, row.name)(*arguments, **{name: value})


def test_no_keyword_is_our_own(default):
    for row, keyword in KEYWORDS:
        function = getattr(default, row.name)
        own = function.__code__.co_varnames if hasattr(function, "__code__") else ()
        assert keyword not in own and keyword not in {"out", "where", "dtype", "casting", "order", "subok"}
