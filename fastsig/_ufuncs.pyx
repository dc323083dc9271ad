# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""What all kernel sets share. How kernels become ufuncs: loop tables, dtypes that no loop has, and the short way of
calls; threads; which sets this CPU can run. Built for the baseline."""
cimport cython
from cpython.mem cimport PyMem_Malloc
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XINCREF, PyObject
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
cimport numpy as cnp
from numpy cimport npy_intp, PyUFuncGenericFunction

from fastsig._fenv cimport Fenv, default_fenv, restore_fenv

import sys
from _thread import allocate_lock     # threading would take a while to import

import numpy as np

from fastsig._catalog import refuse

cnp.import_array()
cnp.import_ufunc()

cdef extern from "numpy/dtype_api.h":
    ctypedef struct DType "PyArray_DTypeMeta":
        int type_num
    DType *PyArray_CommonDType(DType *, DType *) except NULL
    DType *PyArray_PromoteDTypeSequence(int, DType **) except NULL

cdef extern from "numpy/ufuncobject.h":
    object PyUFunc_FromFuncAndDataAndSignature(PyUFuncGenericFunction *, void **, char *, int, int, int, int,
                                               const char *, const char *, int, const char *)
    int PyUFunc_AddPromoter(object ufunc, object dtypes, object promoter) except -1
    ctypedef struct PyUFuncObject:
        int nin, nargs, ntypes
        void (**functions)(char **args, const npy_intp *dims, const npy_intp *steps, void *data) noexcept nogil
        void **data
        const char *types
    int PyUFunc_RegisterLoopForType(PyUFuncObject *, int, PyUFuncGenericFunction, const int *, void *) except -1

include "kernels/cpu.pxi"       # modules of their own would take longer to import
include "kernels/threads.pxi"
include "kernels/calls.pxi"

cdef dict loops_of = {}     # ufunc -> its Loops

cdef enum:
    MAX_LOOPS = 16


cdef void *allocated(size_t size) except NULL:
    """Memory that is never freed."""
    cdef void *memory = PyMem_Malloc(size)
    if memory == NULL:
        raise MemoryError
    return memory


cdef class Loops:
    """The loop table of one ufunc as it grows. NumPy keeps pointers into it, so it is never freed."""
    cdef int n
    cdef PyUFuncGenericFunction *functions
    cdef void **data
    cdef bytearray types
    cdef tuple texts
    cdef bint equals                    # operands of equal standing: all become the dtype that they are promoted to
    cdef str bfloat16_types             # of the loop that waits for the first bfloat16 ("E", as in ml_dtypes)
    cdef PyUFuncGenericFunction bfloat16_function
    cdef void *bfloat16_data

    def __cinit__(self):
        self.functions = <PyUFuncGenericFunction *>allocated(MAX_LOOPS * sizeof(PyUFuncGenericFunction))
        self.data = <void **>allocated(MAX_LOOPS * sizeof(void *))
        self.types = bytearray()

    cdef add(self, str types, PyUFuncGenericFunction function, const void *data, size_t size):
        cdef void *copy = memcpy(allocated(size), data, size)
        if "E" in types:                # NumPy has no such dtype yet: see register_bfloat16
            self.bfloat16_types, self.bfloat16_function, self.bfloat16_data = types, function, copy
            return
        self.functions[self.n], self.data[self.n] = function, copy
        self.types += bytes([np.dtype(char).num for char in types])
        self.n += 1

    cdef ufunc(self, int nin, str name, str doc, str signature, bint equals=False):
        cdef bytes c_name = name.encode(), c_doc = doc.encode(), c_signature = (signature or "").encode()
        self.texts = c_name, c_doc, c_signature
        ufunc = PyUFunc_FromFuncAndDataAndSignature(
            self.functions, self.data, <char *>self.types, self.n, nin, 1, -1, c_name, c_doc, 0,
            <const char *>c_signature if signature else NULL)
        self.equals = equals
        loops_of[ufunc] = self
        PyUFunc_AddPromoter(ufunc, (None,) * (nin + 1), PyCapsule_New(<void *>promote, "numpy._ufunc_promoter", NULL))
        if not signature:
            shorten_calls(ufunc)
        return ufunc


cdef object registering = allocate_lock()
cdef int bfloat16_number = -1       # before the first call with one


cdef bint is_bfloat16(int type_number) noexcept nogil:
    return type_number == load(&bfloat16_number)


cdef register_bfloat16(object ufunc, Loops loops, DType *bfloat16):
    """One thread at a time: NumPy looks whether it has the loop, then adds it, and holds no lock over both."""
    cdef int[MAX_IN + 1] types
    cdef int i
    store(&bfloat16_number, bfloat16.type_num)
    for i in range(ufunc.nargs):
        types[i] = bfloat16.type_num if loops.bfloat16_types[i] == "E" else np.dtype(loops.bfloat16_types[i]).num
    with registering:
        PyUFunc_RegisterLoopForType(<PyUFuncObject *>ufunc, bfloat16.type_num, loops.bfloat16_function, types,
                                    loops.bfloat16_data)


# ---------------------------------------------------------------------------------------------- dtypes without a loop

cdef frozenset whole_numbers = frozenset([np.dtype(char).type for char in "?bBhHiIlLqQ"] + [int])
cdef frozenset supported = whole_numbers | {float, np.float16, np.float32, np.float64}
cdef object float64 = type(np.dtype("d"))
cdef object classes = type(np.dtype(np.intp))     # of a loss's rows: "p" in types


cdef DType *beside_bfloat16(DType *bfloat16, str types, bint equals, int nin, DType **given,
                            DType **signature) except? NULL:
    """What a call with bfloat16 computes in: what is asked for, else float64 for integer x, else what promotion gives.

    NULL is for what NumPy finds by itself: the first loop that all operands can be cast to.
    """
    cdef DType *common = bfloat16
    cdef int i
    if signature[nin] != NULL:
        return bfloat16 if signature[nin] == bfloat16 else NULL
    for i in range(nin if equals else 1):
        if types[i] == "E" and given[i] != NULL and (<object>given[i]).type in whole_numbers:
            return <DType *>float64
    for i in range(nin):                                    # Python numbers take the dtype of the others
        if common == bfloat16 and types[i] == "E" and given[i] != NULL and (<object>given[i]).type not in {int, float}:
            try:
                common = PyArray_CommonDType(bfloat16, given[i])
            except TypeError:
                return NULL
            Py_DECREF(<object>common)                       # DTypes outlive this
    return common if common == bfloat16 else NULL


cdef DType *common_float(str types, int nin, DType **given, DType **signature) except NULL:
    """What operands of equal standing are computed in: what is asked for, else what they are promoted to."""
    cdef DType *common = NULL
    cdef int i, first = 1 if given[0] == NULL else 0         # reduce() gives no first one
    for i in range(nin + 1):
        if types[i] == "E" and signature[i] != NULL:
            common = signature[i]
            break
    else:
        # What else there is, as a mask, comes behind them.
        common = PyArray_PromoteDTypeSequence(types.count("E", 0, nin) - first, given + first)
        Py_DECREF(<object>common)                           # DTypes outlive this
    if common.type_num != cnp.NPY_FLOAT16 and common.type_num != cnp.NPY_FLOAT:
        return <DType *>float64
    return common


cdef bint has_mask(str types, int nin, DType **given):
    """Whether the last input is a mask, if a loop wants one."""
    return types[nin - 1] != "?" or (<object>given[nin - 1]).type is np.bool


cdef int promote(object ufunc, DType **given, DType **signature, DType **wanted) except -1:
    """NumPy's question where no loop has the dtypes of the operands and those asked for: which are wanted instead?

    An unsupported dtype is an error. bfloat16 gets its loop now, when it is first met: it belongs to ml_dtypes, which
    may be imported after this or never. All else is wanted as given, and NumPy goes on to look for a loop by casting.
    """
    cdef Loops loops = loops_of[ufunc]
    cdef DType *bfloat16 = NULL
    cdef DType *floats = NULL
    cdef int i, nin = ufunc.nin
    theirs = getattr(sys.modules.get("ml_dtypes"), "bfloat16", None)
    if loops.bfloat16_types is None:
        raise TypeError(f"ufunc '{ufunc.__name__}' supports float32 and float64 input of one dtype")
    for i in range(nin + 1):
        kind = (<object>given[i]).type if given[i] != NULL else int
        if kind is theirs is not None:
            bfloat16 = given[i]
        elif i < nin and loops.bfloat16_types[i] == "E" and kind not in supported:
            raise TypeError(f"ufunc '{ufunc.__name__.removesuffix('_default')}' supports bool, integer, float16, "
                            f"float32 and float64 input, and bfloat16 of ml_dtypes, not {kind.__name__}")
    if bfloat16 != NULL:
        register_bfloat16(ufunc, loops, bfloat16)
    if not has_mask(loops.bfloat16_types, nin, given):
        pass                                                # what NumPy finds is an error
    elif bfloat16 != NULL:
        floats = beside_bfloat16(bfloat16, loops.bfloat16_types, loops.equals, nin, given, signature)
    elif loops.equals:
        floats = common_float(loops.bfloat16_types, nin, given, signature)
    elif given[0] != NULL and (<object>given[0]).type is int:   # NumPy would take the first loop of integers
        floats = signature[nin] if signature[nin] != NULL else <DType *>float64
    for i in range(nin + 1):
        wanted[i] = floats if floats != NULL and loops.bfloat16_types[i] == "E" else given[i]
        if loops.bfloat16_types[i] == "p":
            wanted[i] = <DType *>classes
    if wanted[0] == NULL:
        wanted[0] = given[1]                                # reduce() gives no first one
    if floats != NULL and given[nin] != NULL:
        wanted[nin] = NULL                                  # an answer that equals the question counts as none
    for i in range(nin + 1):
        Py_XINCREF(<PyObject *>wanted[i])
    return 0


include "kernels/building.pxi"
