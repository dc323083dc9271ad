"""Picks the kernels: the best compiled set that this CPU can run, or pure Python.

The ufuncs are attributes of this module, too: pickle stores a ufunc as the place where it can be imported from.
"""

import contextlib
import importlib
import itertools
import os
import struct
import warnings
from importlib.machinery import EXTENSION_SUFFIXES

from ._catalog import TABLE, expanded
from ._docs import docstring, gradient_docstring
from ._lazy import Made, offer

SPIN_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
PLACE_SETTINGS = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
SETS = ("x86_64_v4", "x86_64_v3", "baseline")


def _any_set(variables):
    return any(variable in os.environ for variable in variables)


def _switch(variable):
    return os.environ.get(variable, "0").strip() not in {"", "0"}


def _fallback():
    return importlib.import_module(f"{__package__}._fallback")  # only now: it is not needed beside compiled kernels


def _refuse_cut_short(name):
    """Linux's loader does not look whether all of a library is there: what a full disk has cut off is a crash."""
    for suffix in EXTENSION_SUFFIXES:  # of which the first that is there is imported
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"{os.path.dirname(__file__)}/{name}{suffix}", "rb", 0) as file,
        ):
            head, size = file.read(64), file.seek(0, os.SEEK_END)
            if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:  # 64 bits, little-endian
                return
            table, count = struct.unpack_from("<32xQ16xH", head)
            file.seek(table)
            segments = file.read(56 * count).ljust(56 * count, b"\xff")
            ends = [place + length for place, length in struct.iter_unpack("<8xQ16xQ16x", segments)]
            if max(ends, default=0) > size:
                raise ImportError(f"{file.name} is cut short")
            return


def _left_out():
    """Module -> why setup.py left it out; and whether all were, as it was asked to."""
    try:
        note = importlib.import_module(f"{__package__}._left_out")
    except ImportError:
        return {}, False
    return note.LEFT_OUT, note.ASKED


def _import(name):
    """A compiled module and None, or None and why it cannot be had."""
    try:
        _refuse_cut_short(name)
        return importlib.import_module(f"{__package__}.{name}"), None
    except Exception as error:  # a missing module or library, a file that is no library, one of another version
        why = isinstance(error, ModuleNotFoundError) and _left_out()[0].get(name)
        return None, f"{name}: " + (f"not built, as {why}" if why else str(error))


@contextlib.contextmanager
def _short_spin():
    """While libgomp is loaded, which reads its settings then: let idle threads spin for microseconds, not milliseconds.

    By default they spin so long that they take the CPU from other work, their own caller's included. What the user has
    set stays, and so does the environment. If another package has loaded libgomp before, it is too late.
    """
    ours = not _any_set(SPIN_SETTINGS)
    if ours:
        os.environ["GOMP_SPINCOUNT"] = "4000"
    try:
        yield
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]


def _imports():
    """Never called. Programs that collect what a script needs (PyInstaller, cx_Freeze, Nuitka) look for such lines."""
    from . import _fallback, _left_out, _ufuncs, cython_api  # noqa: F401, I001
    from . import _kernels_baseline, _kernels_x86_64_v3, _kernels_x86_64_v4  # noqa: F401


def _choose():
    """(name, kernels, threads, skipped, late): the set to use, the thread count's module, why not a better set, and
    whether another package's threads, which spin for long, are the ones to use."""
    pinned = os.environ.get("FASTSIG_ISA", "").strip()
    if pinned and pinned not in SETS:
        raise ValueError(f"FASTSIG_ISA={pinned!r}: must be one of {', '.join(SETS)}")
    if _switch("FASTSIG_PURE_PYTHON"):
        return "pure Python", _fallback(), None, ["FASTSIG_PURE_PYTHON is set"], False
    with _short_spin():
        threads, why = _import("_ufuncs")
    late = False
    if threads:
        late = threads.libgomp_was_here() and not _any_set(SPIN_SETTINGS)
        threads.set_keep_apart(not _any_set(PLACE_SETTINGS))
    skipped = [why] if why else []
    supported = threads.kernel_sets() if threads else []
    if pinned and threads and pinned not in supported:
        raise ValueError(f"FASTSIG_ISA={pinned!r}: this CPU can run {', '.join(supported)}")
    for name in [pinned] if pinned and threads else supported:
        module, why = _import(f"_kernels_{name}")
        if module:
            return name, module.kernels, threads, skipped, late
        skipped.append(why)
    if pinned:
        raise ImportError(f"FASTSIG_ISA={pinned!r}: this kernel set cannot be imported ({'; '.join(skipped)})")
    reasons, asked = _left_out()
    if not threads and "_ufuncs" in reasons:  # which all kernel sets need
        skipped = [f"built without kernels, as {reasons['_ufuncs']}"]
    if not asked:
        text = f"runs in pure Python, right but slower ({'; '.join(skipped)}); FASTSIG_PURE_PYTHON=1 silences this"
        warnings.warn_explicit(text, RuntimeWarning, "fastsig", 0)  # in one line: without one of our source
    return "pure Python", _fallback(), None, skipped, False


name, kernels, threads, skipped, late = _choose()


def _recipes(row):
    """The ufuncs of a row: name; module where pickle finds it; what builds it, of which name, docstring and more."""
    if row.kind == "elementwise":
        defaults = tuple(parameter.default for parameter in row.parameters)
        home = "fastsig" if row.is_ufunc else __name__
        for name, _ in expanded(row):
            yield name, (home, kernels.build, name, docstring, row, len(defaults))
            if defaults and not row.operands:
                yield f"{name}_default", (__name__, kernels.build_default, name, docstring, row, defaults)
            # Not by the function's own name, by which others look ufuncs up, as pint does: they would take it for that.
            yield f"{name}_backward", (__name__, kernels.build_gradient, name, gradient_docstring, row, len(defaults))
        return
    if row.kind == "halves":
        for name in (row.name, f"{row.name}_backward", f"{row.name}_backward_linear"):
            document = docstring if name == row.name else gradient_docstring
            yield name, (__name__, kernels.build_halves, name, document, row)
        return
    for backward in (False,) if row.kind == "reduction" else (False, True):
        name, document = (f"{row.name}_backward", gradient_docstring) if backward else (row.name, docstring)
        # A parameter that has a default is an operand of another ufunc: most calls give none.
        beside = [f"_{parameter.name}" for parameter in row.parameters if not parameter.required and not backward]
        for parameter, mask in itertools.product(("", *beside), ("", "_where")):
            plain = not parameter and not mask
            described = (document, row) if plain else (_operands_docstring, name)
            operands = row, backward, bool(parameter), bool(mask)
            yield f"{name}{parameter}{mask}", (__name__, kernels.build_rows, name, *described, *operands)


def _operands_docstring(name):
    return f"{name} with more operands: a number for each row; a mask of the entries that take part."


def _made(recipe):
    module, build, name, document, of, *more = recipe
    ufunc = build(name, document(of), *more)
    with contextlib.suppress(AttributeError):  # NumPy before 2.2: pickle then searches all modules
        ufunc.__module__ = module
    return ufunc


ufuncs = Made(_made, lambda: dict(recipe for row in TABLE for recipe in _recipes(row)))
offer(ufuncs, globals())
