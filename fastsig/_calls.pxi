"""The short way from Python to the loop of an elementwise ufunc.

NumPy takes longer to find out what a call wants than a loop takes for some hundred numbers. Most calls want what is
plain: C-ordered arrays of one dtype and shape, perhaps Python floats as parameters and an `out`; or one number.
They go to the loop from here, and get what NumPy would give. All others go on to NumPy.
"""
cdef extern from *:
    """
    /* Where a ufunc keeps the function that its calls go to; NULL if not there in this NumPy. */
    static vectorcallfunc *entry_of(PyObject *ufunc) {
        vectorcallfunc *entry = &((PyUFuncObject *)ufunc)->vectorcall;
        return *entry && *entry == PyVectorcall_Function(ufunc) ? entry : NULL;
    }
    """
    ctypedef PyObject *(*vectorcallfunc)(PyObject *self, PyObject **args, size_t nargsf, PyObject *names)
    vectorcallfunc *entry_of(object ufunc)
    npy_intp PyVectorcall_NARGS(size_t nargsf)
    PyObject *Py_None
    PyObject *PyErr_Occurred()
    ctypedef struct PyTypeObject:
        pass
    PyTypeObject *Py_TYPE(PyObject *x)
    bint PyFloat_CheckExact(PyObject *x)
    double PyFloat_AS_DOUBLE(PyObject *x)
    npy_intp PyTuple_GET_SIZE(PyObject *x)
    PyObject *PyTuple_GET_ITEM(PyObject *x, npy_intp i)

    ctypedef struct Float32 "PyFloatScalarObject":
        float obval
    ctypedef struct Array "PyArrayObject":
        pass
    ctypedef struct Descr "PyArray_Descr":
        pass
    PyTypeObject PyArray_Type, PyFloatArrType_Type, PyDoubleArrType_Type
    bint PyArray_CheckExact(PyObject *x)
    bint PyArray_ISCARRAY_RO(Array *x)
    bint PyArray_ISWRITEABLE(Array *x)
    int PyArray_FLAGS(Array *x)
    Descr *PyArray_DESCR(Array *x)
    bint PyArray_SAMESHAPE(Array *x, Array *y)
    int PyArray_TYPE(Array *x)
    int PyArray_NDIM(Array *x)
    npy_intp *PyArray_DIMS(Array *x)
    npy_intp PyArray_SIZE(Array *x)
    npy_intp PyArray_NBYTES(Array *x)
    npy_intp PyArray_ITEMSIZE(Array *x)
    char *PyArray_BYTES(Array *x)
    PyObject *PyArray_NewFromDescr(PyTypeObject *subtype, Descr *dtype, int ndim, npy_intp *shape, npy_intp *strides,
                                   void *data, int flags, PyObject *base)
    PyObject *PyArray_Scalar(void *data, cnp.dtype dtype, PyObject *base)

cdef union Number:
    float as_float
    double as_double

cdef vectorcallfunc numpy_call = NULL
cdef str OUT = sys.intern("out")
cdef cnp.dtype float32_dtype = np.dtype("f"), float64_dtype = np.dtype("d")


cdef inline int loop_of(const PyUFuncObject *ufunc, int kind) noexcept:
    """Which loop's operands are all of this type number; -1: none's."""
    cdef int i, k
    for i in range(ufunc.ntypes):
        k = 0
        while k < ufunc.nargs and ufunc.types[i * ufunc.nargs + k] == kind:
            k += 1
        if k == ufunc.nargs:
            return i
    return -1


cdef inline bint put_number(PyObject *x, int kind, Number *place) noexcept:
    """A Python float as an operand of this type number, if it is one; what overflows is left to NumPy, which warns."""
    cdef double value
    if not PyFloat_CheckExact(x):
        return False
    value = PyFloat_AS_DOUBLE(x)
    if kind == cnp.NPY_DOUBLE:
        place.as_double = value
    elif kind == cnp.NPY_FLOAT and not FLT_MAX < abs(value) < INFINITY:
        place.as_float = <float>value
    else:
        return False
    return True


cdef PyObject *call_number(const PyUFuncObject *ufunc, PyObject *x) noexcept:
    """The call for one Python or NumPy float; NULL for all else."""
    cdef npy_intp n = 1
    cdef npy_intp[2] steps = [0, 0]
    cdef char *operands[2]
    cdef Number number, y
    cdef bint is_float32 = Py_TYPE(x) == &PyFloatArrType_Type
    cdef int loop
    if is_float32:
        number.as_float = (<Float32 *>x).obval
    elif PyFloat_CheckExact(x) or Py_TYPE(x) == &PyDoubleArrType_Type:
        number.as_double = PyFloat_AS_DOUBLE(x)
    else:
        return NULL
    loop = loop_of(ufunc, cnp.NPY_FLOAT if is_float32 else cnp.NPY_DOUBLE)
    operands[0], operands[1] = <char *>&number, <char *>&y
    ufunc.functions[loop](operands, &n, steps, ufunc.data[loop])
    return PyArray_Scalar(&y, float32_dtype if is_float32 else float64_dtype, NULL)


cdef inline bint is_plain(PyObject *x, PyObject *like) noexcept:
    """Whether x is an array in C order, of the dtype, the same object, and shape of `like`, which is an array."""
    cdef Array *a = <Array *>x
    cdef Array *b = <Array *>like
    return (PyArray_CheckExact(x) and PyArray_ISCARRAY_RO(a) and PyArray_DESCR(a) == PyArray_DESCR(b)
            and PyArray_SAMESHAPE(a, b))


cdef inline bint warns_when_written(Array *x) noexcept:
    """As a result of np.broadcast_arrays does: bit 31, which has no public name."""
    return PyArray_FLAGS(x) < 0


cdef PyObject *short_call(const PyUFuncObject *ufunc, PyObject **args, PyObject *out) noexcept:
    """NULL, and no error, for what NumPy has to see to."""
    cdef char *operands[MAX_IN + 1]
    cdef npy_intp[MAX_IN + 1] steps
    cdef Number[MAX_IN] numbers
    cdef Array *x = <Array *>args[0]
    cdef npy_intp n, bytes, apart
    cdef int kind, loop, k, nin = ufunc.nin
    if not PyArray_CheckExact(args[0]):
        return call_number(ufunc, args[0]) if nin == 1 and out == NULL else NULL
    if PyArray_NDIM(x) == 0:                                # the result is a scalar
        return NULL
    kind, n, bytes = PyArray_TYPE(x), PyArray_SIZE(x), PyArray_NBYTES(x)
    loop = loop_of(ufunc, kind)
    if loop < 0:
        return NULL
    for k in range(nin):
        if put_number(args[k], kind, &numbers[k]):
            operands[k], steps[k] = <char *>&numbers[k], 0
        elif is_plain(args[k], args[0]):
            operands[k], steps[k] = PyArray_BYTES(<Array *>args[k]), PyArray_ITEMSIZE(x)
        else:
            return NULL
    if out == NULL:
        Py_INCREF(<object>PyArray_DESCR(x))                 # for the new array
        out = PyArray_NewFromDescr(&PyArray_Type, PyArray_DESCR(x), PyArray_NDIM(x), PyArray_DIMS(x), NULL, NULL, 0,
                                   NULL)
        if out == NULL:
            return NULL
    elif is_plain(out, args[0]) and PyArray_ISWRITEABLE(<Array *>out) and not warns_when_written(<Array *>out):
        for k in range(nin):                                # in place is fine, shifted is not
            apart = PyArray_BYTES(<Array *>out) - operands[k]
            if steps[k] and apart != 0 and -bytes < apart < bytes:
                return NULL
        Py_INCREF(<object>out)
    else:
        return NULL
    operands[nin], steps[nin] = PyArray_BYTES(<Array *>out), PyArray_ITEMSIZE(x)
    if n > KEEPS_GIL:
        with nogil:
            ufunc.functions[loop](operands, &n, steps, ufunc.data[loop])
    else:
        ufunc.functions[loop](operands, &n, steps, ufunc.data[loop])
    return out


cdef PyObject *call(PyObject *self, PyObject **args, size_t nargsf, PyObject *names) noexcept:
    """What calls of a ufunc go to, instead of NumPy's function."""
    cdef const PyUFuncObject *ufunc = <PyUFuncObject *>self
    cdef npy_intp given = PyVectorcall_NARGS(nargsf)
    cdef PyObject *result = NULL
    if names == NULL:
        if given == ufunc.nin:
            result = short_call(ufunc, args, NULL)
        elif given == ufunc.nargs:
            result = short_call(ufunc, args, args[ufunc.nin])
    elif given == ufunc.nin and PyTuple_GET_SIZE(names) == 1 and PyTuple_GET_ITEM(names, 0) == <PyObject *>OUT:
        result = short_call(ufunc, args, args[given] if args[given] != Py_None else NULL)
    if result == NULL and not PyErr_Occurred():
        return numpy_call(self, args, nargsf, names)
    return result


cdef shorten_calls(ufunc):
    """Have calls of this ufunc take the short way, if they come from where this NumPy is known to keep it."""
    global numpy_call
    cdef vectorcallfunc *entry = entry_of(ufunc)
    if entry != NULL and (numpy_call == NULL or entry[0] == numpy_call):
        numpy_call = entry[0]
        entry[0] = <vectorcallfunc>call
