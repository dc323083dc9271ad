"""A kernel set: the formulas, compiled for one instruction set, as NumPy ufuncs. Each _kernels_*.pyx includes this.

build(), build_rows(), build_direct() and build_scalar() are the whole interface; _fallback.py has the same.
scalar_address() is for cython_api alone.
"""
from cpython.mem cimport PyMem_Malloc
from cython cimport floating
from cython.parallel cimport prange
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
cimport numpy as cnp
from numpy cimport npy_intp, PyUFuncGenericFunction

from fastsig._threads cimport PARALLEL_NS, acquire_threads, join_team, release_threads

cdef extern from *:
    """
    /* Vector code raises spurious flags (a select computes both sides), and NumPy, which clears all flags before it
       calls a loop, would warn of them. On x86-64 they are all in MXCSR, and touching that alone takes a tenth of
       <fenv.h>'s time, which would show in a call for one number. */
    #if defined(__x86_64__) || defined(_M_X64)
    #include <xmmintrin.h>
    static inline void clear_fp_flags(void) {
        unsigned flags = _mm_getcsr();
        if (flags & 0x1du) _mm_setcsr(flags & ~0x1du);      /* invalid, divide by zero, overflow, underflow */
    }
    #else
    #include <fenv.h>
    static inline void clear_fp_flags(void) { feclearexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW); }
    #endif
    """
    void clear_fp_flags() noexcept nogil

include "_formulas.pxi"
include "_driver.pxi"
include "_rows.pxi"

cdef extern from *:
    """
    #include "numpy/dtype_api.h"
    /* No dtype of these kinds has a loop; a promoter that raises says what has. */
    static int refuse(PyObject *ufunc, PyArray_DTypeMeta *const op_dtypes[], PyArray_DTypeMeta *const signature[],
                      PyArray_DTypeMeta *new_op_dtypes[]) {
        const char *type = op_dtypes[0]->scalar_type->tp_name;
        const char *dot = strrchr(type, '.');
        PyErr_Format(PyExc_TypeError, "ufunc '%s' supports bool, integer, float16, float32 and float64 input, not %s",
                     ((PyUFuncObject *)ufunc)->name, dot ? dot + 1 : type);
        return -1;
    }
    static PyObject *refusal(void) { return PyCapsule_New((void *)&refuse, "numpy._ufunc_promoter", NULL); }
    static PyObject *python_complex(void) { return Py_NewRef((PyObject *)&PyArray_PyComplexDType); }
    """
    object refusal()
    object python_complex()
    int PyUFunc_AddPromoter(object ufunc, object dtypes, object promoter) except -1
    object PyUFunc_FromFuncAndDataAndSignature(PyUFuncGenericFunction *, void **, char *, int, int, int, int,
                                               const char *, const char *, int, const char *)

import numpy as np

cnp.import_array()
cnp.import_ufunc()

cdef list alive = []        # names, docs, type tables: a ufunc points to them for the life of the process

cdef enum:
    MAX_LOOPS = 16


cdef class Loops:
    """The loop table of one ufunc as it grows. NumPy keeps pointers into it, so it is never freed."""
    cdef int n
    cdef PyUFuncGenericFunction *functions
    cdef void **data
    cdef bytearray types

    def __cinit__(self):
        self.functions = <PyUFuncGenericFunction *>PyMem_Malloc(MAX_LOOPS * sizeof(PyUFuncGenericFunction))
        self.data = <void **>PyMem_Malloc(MAX_LOOPS * sizeof(void *))
        self.types = bytearray()

    cdef add(self, str types, PyUFuncGenericFunction function, const void *data, size_t size):
        self.functions[self.n] = function
        self.data[self.n] = memcpy(PyMem_Malloc(size), data, size)
        self.types += bytes([np.dtype(char).num for char in types])
        self.n += 1

    cdef ufunc(self, int nin, str name, str doc, str signature):
        cdef bytes c_name = name.encode(), c_doc = doc.encode(), c_signature = (signature or "").encode()
        alive.append((c_name, c_doc, c_signature, self.types))
        ufunc = PyUFunc_FromFuncAndDataAndSignature(
            self.functions, self.data, <char *>self.types, self.n, nin, 1, -1, c_name, c_doc, 0,
            <const char *>c_signature if signature else NULL)
        for dtype in [python_complex()] + [type(np.dtype(char)) for char in "gFDGOSUVMm"]:
            PyUFunc_AddPromoter(ufunc, (dtype,) + (None,) * nin, refusal())
        return ufunc


# dtype kind and size -> how such integers are loaded as double, and the driver that computes in them
cdef dict integers = {
    "i1": (<size_t>load_integer[int8_t], <size_t>drive[int8_t]),
    "i2": (<size_t>load_integer[int16_t], <size_t>drive[int16_t]),
    "i4": (<size_t>load_integer[int32_t], <size_t>drive[int32_t]),
    "i8": (<size_t>load_integer[int64_t], <size_t>drive[int64_t]),
    "u1": (<size_t>load_integer[uint8_t], <size_t>drive[uint8_t]),
    "u2": (<size_t>load_integer[uint16_t], <size_t>drive[uint16_t]),
    "u4": (<size_t>load_integer[uint32_t], <size_t>drive[uint32_t]),
    "u8": (<size_t>load_integer[uint64_t], <size_t>drive[uint64_t]),
}


cdef add_floats(Loops loops, Kernel kernel):
    cdef Loop loop
    cdef size_t driver
    loop.nin = kernel.nin
    for char in "dfe" if kernel.nin == 1 else "efd":
        loop.kernel = kernel.f64 if char == "d" else kernel.f32
        loop.cost = kernel.cost * np.dtype(char).itemsize / 4
        loop.load, loop.store, loop.load_all = NULL, NULL, char == "e"
        if char == "e":
            loop.load, loop.store = load_half, store_half
        driver = <size_t>drive[double] if char == "d" else <size_t>drive[float]
        loops.add(char * (kernel.nin + 1), <PyUFuncGenericFunction>driver, &loop, sizeof(Loop))


def build(str name, str doc, int parameters=0):
    """The elementwise ufunc `name`.

    Integers have loops of their own, which convert as they load: so they always become float64, need no buffered casts
    and run on all threads. relu keeps them.
    """
    cdef Kernel kernel = kernels[name]
    cdef Loops loops = Loops()
    cdef Loop loop
    cdef size_t load, driver
    loop.nin, loop.cost, loop.store, loop.load_all = kernel.nin, 2 * kernel.cost, NULL, False
    if kernel.nin == 1:     # with one input every dtype is an exact match, and NumPy finds the first rows soonest
        add_floats(loops, kernel)
    for char in "?bBhHiIlLqQ":
        key = np.dtype(char).str[1:].replace("b1", "u1")
        load, driver = integers[key]
        if char != "?" and key in kernel.integers:
            loop.kernel, loop.load = <void *><size_t>kernel.integers[key], NULL
            loops.add(char * (kernel.nin + 1), <PyUFuncGenericFunction>driver, &loop, sizeof(Loop))
        else:
            loop.kernel, loop.load = kernel.f64, <Load>load
            loops.add(char + "d" * kernel.nin, <PyUFuncGenericFunction>drive[double], &loop, sizeof(Loop))
    if kernel.nin > 1:      # a Python float matches any dtype, so the narrowest that will do must come first
        add_floats(loops, kernel)
    return loops.ufunc(kernel.nin, name, doc, None)


ctypedef double (*Scalar1)(double) noexcept nogil
ctypedef double (*Scalar2)(double, double) noexcept nogil
ctypedef double (*Scalar3)(double, double, double) noexcept nogil

cdef tuple REAL = (float, int, np.integer, np.float16, np.float32, np.bool_)


cdef inline double real(x, str name) except? -1:
    """A Python or NumPy number, and no array."""
    if type(x) is float or isinstance(x, REAL):
        return x
    raise TypeError(f"{name}: must be a real number, not {type(x).__name__}")


def build_scalar(str name, int parameters):
    """The function `name` of one float64, and of its parameters, all positional."""
    cdef Kernel kernel = kernels[name]
    cdef Scalar1 one = <Scalar1>kernel.scalar64
    cdef Scalar2 two = <Scalar2>kernel.scalar64
    cdef Scalar3 three = <Scalar3>kernel.scalar64

    def scalar1(x, /):
        return one(real(x, name))

    def scalar2(x, a, /):
        return two(real(x, name), real(a, name))

    def scalar3(x, a, b, /):
        return three(real(x, name), real(a, name), real(b, name))

    return (scalar1, scalar2, scalar3)[parameters]


def scalar_address(str name, str char):
    """Where the C function `name` of one float ("f") or double ("d") is."""
    cdef Kernel kernel = kernels[name]
    return <size_t>(kernel.scalar64 if char == "d" else kernel.scalar32)


cdef RowLoop row_loop(str name, str char):
    cdef RowLoop loop
    loop.logarithm, loop.masked = name.startswith("log_"), name.endswith("_where")
    loop.cost = 2.0 if char == "d" else 0.8
    loop.load, loop.store = NULL, NULL
    if char == "e":
        loop.load, loop.store = load_half, store_half
    return loop


def build_rows(str name, str doc):
    """The generalised ufunc `name`: softmax or log_softmax, or their masked twins NAME_where."""
    cdef Loops loops = Loops()
    cdef RowLoop loop
    cdef size_t driver
    mask = "?" if name.endswith("_where") else ""
    for char in "dfe":                                      # double first: that is what integers become
        loop = row_loop(name, char)
        driver = <size_t>drive_rows[double] if char == "d" else <size_t>drive_rows[float]
        loops.add(char + mask + char, <PyUFuncGenericFunction>driver, &loop, sizeof(RowLoop))
    return loops.ufunc(2 if mask else 1, name, doc, "(n),(n)->(n)" if mask else "(n)->(n)")


def build_direct(str name):
    """A function of x and axis: the row function `name` of plain C-ordered float32 and float64 arrays along their last
    axis, in a third of the time that NumPy takes to call a generalised ufunc. For all else it returns None."""
    cdef RowLoop f32 = row_loop(name, "f"), f64 = row_loop(name, "d")

    def direct(x, axis):
        cdef cnp.ndarray source, result
        cdef Layout at
        cdef int kind
        cdef npy_intp rows
        if type(x) is not cnp.ndarray:
            return None
        source = x
        kind = cnp.PyArray_TYPE(source)
        if kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(source):
            return None
        if source.ndim == 0 or axis != -1 and axis != source.ndim - 1:
            return None
        result = cnp.PyArray_EMPTY(source.ndim, source.shape, kind, 0)
        at.n = source.shape[source.ndim - 1]
        at.x, at.mask, at.y = cnp.PyArray_BYTES(source), NULL, cnp.PyArray_BYTES(result)
        at.x_step[1] = at.y_step[1] = cnp.PyArray_ITEMSIZE(source)
        at.x_step[0] = at.y_step[0] = at.n * at.x_step[1]
        rows = cnp.PyArray_SIZE(source) // at.n if at.n else 0
        with nogil:
            if kind == cnp.NPY_FLOAT:
                share_rows(&at, rows, &f32, <float *>NULL)
            else:
                share_rows(&at, rows, &f64, <double *>NULL)
        return result

    return direct
