"""The short way from Python to the loop of an elementwise ufunc.

NumPy takes longer to find out what a call wants than a loop takes for some hundred numbers. Most calls want what is
plain: C-ordered arrays of one dtype and shape, perhaps Python floats as parameters and an `out`, of 32 or 64 bits also
`where`; or one number. They go to the loop from here, and get what NumPy would give. All others go on to NumPy.
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
    PyObject *Py_True
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
        int type_num
    PyTypeObject PyArray_Type, PyFloatArrType_Type, PyDoubleArrType_Type, PyList_Type, PyTuple_Type
    bint PyArray_CheckExact(PyObject *x)
    const int CARRAY_RO "NPY_ARRAY_CARRAY_RO"
    bint PyArray_CHKFLAGS(Array *x, int flags)
    bint PyArray_ISCARRAY_RO(Array *x)
    bint PyArray_ISWRITEABLE(Array *x)
    int PyArray_FLAGS(Array *x)
    bint PyDataType_ISNOTSWAPPED(Descr *dtype)
    npy_intp PyDataType_ELSIZE(Descr *dtype)
    Descr *PyArray_DESCR(Array *x)
    bint PyArray_SAMESHAPE(Array *x, Array *y)
    int PyArray_TYPE(Array *x)
    int PyArray_NDIM(Array *x)
    npy_intp *PyArray_DIMS(Array *x)
    npy_intp PyArray_SIZE(Array *x)
    npy_intp PyArray_NBYTES(Array *x)
    char *PyArray_BYTES(Array *x)
    PyObject *PyArray_NewFromDescr(PyTypeObject *subtype, Descr *dtype, int ndim, npy_intp *shape, npy_intp *strides,
                                   void *data, int flags, PyObject *base)
    PyObject *PyArray_Scalar(void *data, cnp.dtype dtype, PyObject *base)

cdef union Number:
    float as_float
    double as_double

ctypedef fused word:
    uint32_t
    uint64_t

cdef enum:
    PIECE = 512         # elements of a call with a mask that are computed together
    KEEPS_GIL = 500     # numbers for which NumPy does not release the GIL: who does may have to wait for it

cdef vectorcallfunc *numpy_entry = entry_of(np.negative)
cdef vectorcallfunc numpy_call = numpy_entry[0] if numpy_entry != NULL else NULL     # what all of NumPy's calls go to
cdef str OUT = sys.intern("out"), WHERE = sys.intern("where")
cdef cnp.dtype float32_dtype = np.dtype("f"), float64_dtype = np.dtype("d")


cdef inline bint warns_when_written(int flags) noexcept nogil:
    """As a result of np.broadcast_arrays does: bit 31 of an array's flags, which has no public name."""
    return flags < 0


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


cdef inline bint is_plain(PyObject *x, Descr *dtype, Array *like) noexcept:
    """Whether x is an array in C order, of that dtype, the same object in native order, and of the shape of `like`."""
    cdef Array *array = <Array *>x
    return (PyArray_CheckExact(x) and PyArray_CHKFLAGS(array, CARRAY_RO) and PyArray_DESCR(array) == dtype
            and PyArray_SAMESHAPE(array, like))


cdef inline bint is_mask(PyObject *where, Array *out) noexcept:
    """Whether it is an array of bools in C order, of the shape of `out` and apart from it in memory."""
    cdef Array *mask = <Array *>where
    return (PyArray_CheckExact(where) and PyArray_TYPE(mask) == cnp.NPY_BOOL and PyArray_ISCARRAY_RO(mask)
            and PyArray_SAMESHAPE(mask, out)
            and not overlap(PyArray_BYTES(mask), PyArray_NBYTES(mask), PyArray_BYTES(out), PyArray_NBYTES(out)))


cdef inline int add_places(const char *mask, int begin, int end, int *kept, int count) noexcept nogil:
    cdef int i
    for i in range(begin, end):
        kept[count] = i                 # stays by the next line; a branch here would be mispredicted
        count += mask[i] != 0
    return count


cdef inline int places(const char *mask, int n, int *kept) noexcept nogil:
    """Where the mask is true, in up to a piece of it; at how many places."""
    cdef uint64_t eight
    cdef int i, j, count = 0, whole = n & ~7
    for i from 0 <= i < whole by 8:
        memcpy(&eight, mask + i, 8)
        if eight == <uint64_t>0x0101010101010101:
            for j in range(8):
                kept[count + j] = i + j
            count += 8
        elif eight:
            count = add_places(mask, i, i + 8, kept, count)
    return add_places(mask, whole, n, kept, count)


cdef void call_masked(const PyUFuncObject *ufunc, int loop, char **operands, const npy_intp *steps, const char *mask,
                      npy_intp n, word *_) noexcept nogil:
    """The loop for what the mask keeps. NumPy would call it for each run of such elements. Here the few of a piece are
    put side by side; of many, all of the piece is computed. What is not kept is not written to: it may be another
    thread's."""
    cdef int[PIECE] kept
    cdef word packed[MAX_IN][PIECE]
    cdef word[PIECE] result
    cdef char *part[MAX_IN + 1]
    cdef word *y = <word *>operands[ufunc.nin]
    cdef const word *x
    cdef npy_intp begin = 0, run, whole = 0         # all of [whole, begin) is kept, and still to be computed
    cdef int m, count, i, k
    while whole < n:
        m = <int>min(<npy_intp>PIECE, n - begin)
        count = places(mask + begin, m, kept)
        if count == m > 0:
            begin += m
            continue
        run = begin - whole
        if run > 0:
            for k in range(ufunc.nargs):
                part[k] = operands[k] + whole * steps[k]
            ufunc.functions[loop](part, &run, steps, ufunc.data[loop])
        if count > 0:
            run = count if 2 * count < m else m
            for k in range(ufunc.nin):
                part[k] = operands[k] + begin * steps[k]
                if steps[k] and run < m:
                    x = <const word *>part[k]
                    for i in range(count):
                        packed[k][i] = x[kept[i]]
                    part[k] = <char *>&packed[k]
            part[ufunc.nin] = <char *>&result
            ufunc.functions[loop](part, &run, steps, ufunc.data[loop])
            if run < m:
                for i in range(count):
                    y[begin + kept[i]] = result[i]
            else:
                for i in range(count):
                    y[begin + kept[i]] = result[kept[i]]
        begin += m
        whole = begin


cdef void call_loop(const PyUFuncObject *ufunc, int loop, char **operands, const npy_intp *steps, const char *mask,
                    npy_intp n) noexcept nogil:
    if mask == NULL:
        ufunc.functions[loop](operands, &n, steps, ufunc.data[loop])
    elif steps[ufunc.nin] == 8:
        call_masked(ufunc, loop, operands, steps, mask, n, <uint64_t *>NULL)
    else:
        call_masked(ufunc, loop, operands, steps, mask, n, <uint32_t *>NULL)


cdef PyObject *short_call(const PyUFuncObject *ufunc, PyObject **args, PyObject *out, PyObject *where) noexcept:
    """NULL, and no error, for what NumPy has to see to."""
    cdef char *operands[MAX_IN + 1]
    cdef npy_intp[MAX_IN + 1] steps
    cdef Number[MAX_IN] numbers
    cdef Array *x = <Array *>args[0]
    cdef Descr *dtype
    cdef const char *mask = NULL
    cdef char *y
    cdef npy_intp n, size
    cdef int kind, loop, k, nin = ufunc.nin
    if not PyArray_CheckExact(args[0]):
        return call_number(ufunc, args[0]) if nin == 1 and out == where == NULL else NULL
    if PyArray_NDIM(x) == 0:                                # the result is a scalar
        return NULL
    dtype = PyArray_DESCR(x)                                # once: without a GIL, another thread may give x another one
    kind, size, n = dtype.type_num, PyDataType_ELSIZE(dtype), PyArray_SIZE(x)
    loop = loop_of(ufunc, kind)
    if loop < 0 or not PyDataType_ISNOTSWAPPED(dtype):
        return NULL
    for k in range(nin):
        if put_number(args[k], kind, &numbers[k]):
            operands[k], steps[k] = <char *>&numbers[k], 0
        elif is_plain(args[k], dtype, x):
            operands[k], steps[k] = PyArray_BYTES(<Array *>args[k]), size
        else:
            return NULL
    if out == NULL:
        if where != NULL:                                   # NumPy warns of it
            return NULL
        Py_INCREF(<object>dtype)                            # for the new array
        out = PyArray_NewFromDescr(&PyArray_Type, dtype, PyArray_NDIM(x), PyArray_DIMS(x), NULL, NULL, 0, NULL)
        if out == NULL:
            return NULL
    elif (is_plain(out, dtype, x) and PyArray_ISWRITEABLE(<Array *>out)
            and not warns_when_written(PyArray_FLAGS(<Array *>out))):
        y = PyArray_BYTES(<Array *>out)
        for k in range(nin):                                # in place is fine, shifted is not
            if steps[k] and operands[k] != y and overlap(operands[k], n * size, y, n * size):
                return NULL
        if where != NULL:
            if size < 4 or not is_mask(where, <Array *>out):
                return NULL
            mask = PyArray_BYTES(<Array *>where)
        Py_INCREF(<object>out)
    else:
        return NULL
    operands[nin], steps[nin] = PyArray_BYTES(<Array *>out), size
    if n > KEEPS_GIL:
        with nogil:
            call_loop(ufunc, loop, operands, steps, mask, n)
    else:
        call_loop(ufunc, loop, operands, steps, mask, n)
    return out


cdef inline bint is_others(PyObject *x) noexcept:
    """Whether it may be an array of another kind than NumPy's plain one, or the tuple of one that an `out` may be."""
    if Py_TYPE(x) == &PyTuple_Type and PyTuple_GET_SIZE(x) == 1:
        x = PyTuple_GET_ITEM(x, 0)
    return not (PyArray_CheckExact(x) or cnp.PyArray_IsAnyScalar(<object>x) or x == Py_None
                or Py_TYPE(x) == &PyList_Type or Py_TYPE(x) == &PyTuple_Type)


cdef PyObject *call_of_others(PyObject *self, PyObject **args, npy_intp given, PyObject *names) except NULL:
    """The call for arrays of other kinds; NotImplemented if it is NumPy's."""
    from fastsig._arrays import elementwise                 # when such an array is first met
    keywords = <tuple>names if names != NULL else ()
    result = elementwise(<object>self, *[<object>args[k] for k in range(given)],
                         **{name: <object>args[given + k] for k, name in enumerate(keywords)})
    Py_INCREF(result)
    return <PyObject *>result


cdef PyObject *call(PyObject *self, PyObject **args, size_t nargsf, PyObject *names) except? NULL:
    """What calls of a ufunc go to, instead of NumPy's function."""
    cdef const PyUFuncObject *ufunc = <PyUFuncObject *>self
    cdef npy_intp given = PyVectorcall_NARGS(nargsf)
    cdef PyObject *out = NULL
    cdef PyObject *where = NULL
    cdef PyObject *result = NULL
    cdef npy_intp k = 0, named = PyTuple_GET_SIZE(names) if names != NULL else 0
    if given == ufunc.nargs:
        out = args[ufunc.nin]
    while k < named:
        if PyTuple_GET_ITEM(names, k) == <PyObject *>OUT and out == NULL:
            out = args[given + k]
        elif PyTuple_GET_ITEM(names, k) == <PyObject *>WHERE:
            where = args[given + k] if args[given + k] != Py_True else NULL
        else:
            break
        k += 1
    if k == named and (given == ufunc.nin or given == ufunc.nargs):
        result = short_call(ufunc, args, out if out != Py_None else NULL, where)
    if result != NULL or PyErr_Occurred():
        return result
    for k in range(given + named):
        if (k < given or PyTuple_GET_ITEM(names, k - given) == <PyObject *>OUT) and is_others(args[k]):
            result = call_of_others(self, args, given, names)
            if result != <PyObject *>NotImplemented:
                return result
            Py_DECREF(NotImplemented)
            break
    if named:
        refuse((<object>self).__name__.removesuffix("_backward"), <tuple>names)
    return numpy_call(self, args, nargsf, names)


cdef shorten_calls(ufunc):
    """Have calls of this ufunc take the short way, if they come from where this NumPy is known to keep it."""
    cdef vectorcallfunc *entry = entry_of(ufunc)
    if entry != NULL and entry[0] == numpy_call:
        entry[0] = <vectorcallfunc>call
