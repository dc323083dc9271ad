"""How kernels become ufuncs and functions: the methods of a KernelSet. This is the same for all sets, so it is compiled
once.
"""

cdef enum:
    MAX_DIMS = 64           # NumPy's

cdef dict CONVERTED = {}    # as_stored of most kernels


ctypedef fused filling:
    float
    double
    uint16_t


cdef const void *full_block(filling value) except NULL:
    """A block full of this value, never freed."""
    cdef size_t memory = <size_t>allocated(BLOCK * sizeof(filling) + VECTOR)
    cdef filling *block = <filling *>((memory + VECTOR) & ~<size_t>(VECTOR - 1))
    cdef npy_intp i
    for i in range(BLOCK):
        block[i] = value
    return block


cdef const void *default_block(KernelSet kernels, Kernel kernel, double value, str char) except NULL:
    """Of a default value as NumPy would round it to x's dtype, had it come with the call."""
    cdef float number = <float>value
    cdef uint16_t stored
    if char == "d":
        return full_block(value)
    if char == "f":
        return full_block(number)
    (kernels.store_half if char == "e" else kernels.store_bfloat16)(&number, <char *>&stored, sizeof(stored), 1)
    if char in kernel.as_stored:
        return full_block(stored)
    (kernels.load_half if char == "e" else kernels.load_bfloat16)(<char *>&stored, sizeof(stored), &number, 1)
    return full_block(number)


cdef Loop new_loop(KernelSet kernels, Kernel kernel, str char, defaults=()):
    """All inputs come with a call, save for the last ones: those that have a value in `defaults`."""
    cdef Loop loop
    cdef int k
    loop.nin, loop.operands = kernel.nin, kernel.nin - len(defaults)
    loop.cost, loop.kernel, loop.load, loop.store, loop.load_all = 0, NULL, NULL, NULL, False
    loop.of_bytes, loop.table = False, NULL
    for k in range(MAX_IN):
        loop.defaults[k] = NULL
    for k in range(loop.operands, loop.nin):
        loop.defaults[k] = default_block(kernels, kernel, defaults[k - loop.operands], char)
    return loop


cdef Loop float_loop(KernelSet kernels, Kernel kernel, str char, defaults=()):
    cdef Loop loop = new_loop(kernels, kernel, char, defaults)
    loop.kernel = <BlockKernel>(kernel.f64 if char == "d" else kernel.f32)
    loop.cost = kernel.cost * {"f": 1, "d": 2, "E": 1.5, "e": kernels.half_cost}[char]
    loop.load_all = char in "eE"
    if char in kernel.as_stored:
        loop.kernel = <BlockKernel><size_t>kernel.as_stored[char]
        loop.cost = kernel.cost * (0.5 if loop.operands == 1 else 0.65)
    elif char == "e":
        loop.load, loop.store = kernels.load_half, kernels.store_half
    elif char == "E":
        loop.load, loop.store = kernels.load_bfloat16, kernels.store_bfloat16
    return loop


cdef add_floats(KernelSet kernels, Loops loops, Kernel kernel, defaults=()):
    cdef Loop loop
    cdef int size
    for char in "dfeE" if kernel.nin == len(defaults) + 1 else "Eefd":
        loop = float_loop(kernels, kernel, char, defaults)
        size = 8 if char == "d" else 2 if char in kernel.as_stored else 4
        loops.add(char * (loop.operands + 1), kernels.drive[size], &loop, sizeof(Loop))


cdef elementwise_ufunc(KernelSet kernels, str name, str ufunc_name, str doc, tuple defaults):
    """Integers have loops of their own, which convert as they load: so they always become float64, need no buffered
    casts and run on all threads. relu keeps them.
    """
    cdef Kernel kernel = kernels.kernels[name]
    cdef Loops loops = Loops()
    cdef Loop loop = new_loop(kernels, kernel, "d", defaults)
    cdef size_t load
    loop.cost = 2 * kernel.cost
    if loop.operands == 1:  # with one input every dtype is an exact match, and NumPy finds the first rows soonest
        add_floats(kernels, loops, kernel, defaults)
    for char in "?bBhHiIlLqQ":
        key = np.dtype(char).str[1:].replace("b1", "u1")
        if char != "?" and key in kernel.as_stored:
            loop.kernel, loop.load, loop.of_bytes = <BlockKernel><size_t>kernel.as_stored[key], NULL, False
            loops.add(char * (loop.operands + 1), kernels.drive[int(key[1])], &loop, sizeof(Loop))
        else:
            load = kernels.load_integer[key]
            loop.kernel, loop.load, loop.of_bytes = <BlockKernel>kernel.f64, <Load>load, key in ("i1", "u1")
            loops.add(char + "d" * loop.operands, kernels.drive[8], &loop, sizeof(Loop))
    if loop.operands > 1:   # a Python float matches any dtype, so the narrowest that will do must come first
        add_floats(kernels, loops, kernel)
    return loops.ufunc(loop.operands, ufunc_name, doc, None)


cdef float_ufunc(KernelSet kernels, str name, str doc):
    """A ufunc of floats alone, which become one dtype."""
    cdef Kernel kernel = kernels.kernels[name]
    cdef Loops loops = Loops()
    add_floats(kernels, loops, kernel)
    return loops.ufunc(kernel.nin, name, doc, None, equals=True)


ctypedef double (*Scalar1)(double) noexcept nogil
ctypedef double (*Scalar2)(double, double) noexcept nogil
ctypedef double (*Scalar3)(double, double, double) noexcept nogil

cdef tuple REAL = (float, int, np.integer, np.float16, np.float32, np.bool_)


cdef inline double real(x, str name) except? -1:
    """What `math` takes: a number, or what has __float__ or __index__."""
    if type(x) is float or isinstance(x, REAL):
        return x
    try:
        if not np.iscomplexobj(x):      # NumPy's have a __float__, which leaves the imaginary part out
            return x
    except TypeError:
        pass
    raise TypeError(f"{name}: must be a real number, not {type(x).__name__}")


cdef RowLoop row_loop(KernelSet kernels, row, str char, bint backward, bint tempered=False, bint masked=False):
    cdef RowLoop loop
    cdef str kind = row.kind
    loop.loss, loop.scaled = kind == "loss" or (backward and kind == "reduction"), False
    loop.masked, loop.tempered = masked, tempered
    loop.reduces = not backward and kind != "rows"
    loop.logarithm, loop.negates = row.logarithm, row.negates
    loop.logarithm |= loop.reduces
    loop.gradient = backward and not loop.loss
    loop.cost = 2.0 if char == "d" else 0.8
    if loop.gradient and not loop.logarithm:
        loop.cost /= 3                                      # no exponential
    loop.load, loop.store, loop.size = NULL, NULL, 8 if char == "d" else 4
    if char == "e":
        loop.load, loop.store, loop.size = kernels.load_half, kernels.store_half, 2
    elif char == "E":
        loop.load, loop.store, loop.size = kernels.load_bfloat16, kernels.store_bfloat16, 2
    if loop.negates and not backward:
        loop.load = kernels.negative_load(loop.load, loop.size)
    return loop


cdef bint of_shape(x, int kind, int ndim, const npy_intp *shape):
    """Whether it is a plain C-ordered array of this type number and shape."""
    cdef cnp.ndarray array
    if type(x) is not cnp.ndarray:
        return False
    array = x
    return (cnp.PyArray_TYPE(array) == kind and cnp.PyArray_ISCARRAY_RO(array) and array.ndim == ndim
            and cnp.PyArray_CompareLists(array.shape, shape, ndim))


cdef extern from "Python.h":
    npy_intp PyNumber_AsSsize_t(object x, void *error) except? -1   # without an error to raise, the nearest there is

cdef tuple CLASS = (int, np.intp)      # what one for all rows may be


cdef bint put_classes(KernelSet kernels, target, int ndim, const npy_intp *shape, npy_intp rows, npy_intp *number,
                      Layout *at):
    """Each row's class, or the one of all, if they are plain and all of them exist."""
    if type(target) in CLASS:
        number[0] = PyNumber_AsSsize_t(target, NULL)
        at.target, at.target_step = <const char *>number, 0
        return <size_t>number[0] < <size_t>at.n
    if not of_shape(target, cnp.NPY_INTP, ndim, shape):
        return False
    at.target, at.target_step = cnp.PyArray_BYTES(target), sizeof(npy_intp)
    return kernels.all_below(<const npy_intp *>at.target, rows, at.n)


cdef bint put_temperature(temperature, int ndim, const npy_intp *shape, npy_intp rows, double *number, Layout *at):
    """One number for all rows, or one for each; only if it is not 1 for all is there anything to do."""
    cdef const double *numbers
    cdef npy_intp i
    cdef bint wrong = False
    at.heat, at.heat_step = NULL, 0
    if temperature is None:
        return True
    if of_shape(temperature, cnp.NPY_DOUBLE, ndim, shape):
        at.heat, at.heat_step = cnp.PyArray_BYTES(temperature), sizeof(double)
        numbers = <const double *>at.heat
        for i in range(rows):
            wrong |= not numbers[i] > 0
        return not wrong
    if type(temperature) is not float:
        return False
    number[0] = <double>temperature
    if number[0] != 1:
        at.heat = <const char *>number
    return number[0] > 0


cdef row_numbers(numbers, cnp.ndarray x, int axis):
    """An array of floats that has 1 number where x has the axis, or lacks it, as one of float64 that lacks it; all else
    as it is."""
    cdef cnp.ndarray array
    cdef npy_intp[MAX_DIMS] kept
    cdef int i, kind
    if type(numbers) is not cnp.ndarray:
        return numbers
    array, kind = numbers, cnp.PyArray_TYPE(numbers)
    if kind != cnp.NPY_DOUBLE and kind != cnp.NPY_FLOAT and kind != cnp.NPY_FLOAT16:
        return numbers
    for i in range(x.ndim):
        kept[i] = x.shape[i]
    kept[axis] = 1
    if array.ndim == x.ndim and cnp.PyArray_CompareLists(array.shape, kept, array.ndim):
        numbers = numbers.squeeze(axis)
    if kind == cnp.NPY_DOUBLE:
        return numbers
    with np.errstate(invalid="ignore"):     # a signalling NaN
        return numbers.astype(np.float64)


cdef bint put_grad(grad, int kind, int ndim, const npy_intp *shape, Number *number, Layout *at):
    """grad_output: a number for all rows, or one for each."""
    at.grad_step[0] = 0
    if type(grad) is float:
        if kind == cnp.NPY_FLOAT:
            number.as_float = <float><double>grad
        else:
            number.as_double = <double>grad
        at.grad = <const char *>number
        return True
    if not of_shape(grad, kind, ndim, shape):
        return False
    at.grad, at.grad_step[0] = cnp.PyArray_BYTES(grad), 4 if kind == cnp.NPY_FLOAT else 8
    return True


cdef widened(KernelSet kernels, x, int kind, int ndim, npy_intp *shape):
    """A plain array of this 16-bit type and shape as one of float32, or None."""
    if not of_shape(x, kind, ndim, shape):
        return None
    wide = cnp.PyArray_EMPTY(ndim, shape, cnp.NPY_FLOAT, 0)
    kernels.convert(x, wide)
    return wide


cdef bint overwrites(const Layout *at, npy_intp rows, npy_intp grad_size, cnp.ndarray result):
    """Whether a result lies where classes or grad_output are still to be read."""
    cdef char *y = cnp.PyArray_BYTES(result)
    cdef npy_intp size = cnp.PyArray_NBYTES(result)
    if overlap(at.target, rows * at.target_step, y, size):
        return True
    return grad_size > 0 and overlap(at.grad, rows * grad_size, y, size)


cdef Halves halves_of(KernelSet kernels, str name, str char):
    """All but where a call's arrays lie: of a function the halves and the result, of a gradient grad_output, the halves
    and those of the result."""
    cdef Kernel kernel = kernels.kernels[name]
    cdef Loop loop = float_loop(kernels, kernel, char)
    cdef Halves at
    cdef int k
    at.n, at.size = 0, np.dtype(char.replace("E", "e")).itemsize
    at.count, at.operands = (3, 2) if kernel.both is None else (5, 3)
    at.both = NULL if kernel.both is None else <BothKernel><size_t>kernel.both[char == "d"]
    for k in range(STRANDS):
        at.strands[k].start, at.strands[k].step = NULL, 0
    at.loop = <const Loop *>memcpy(allocated(sizeof(Loop)), &loop, sizeof(Loop))
    return at


cdef bint overlaps(cnp.ndarray x, cnp.ndarray y):
    return overlap(cnp.PyArray_BYTES(x), cnp.PyArray_NBYTES(x), cnp.PyArray_BYTES(y), cnp.PyArray_NBYTES(y))


cdef put_halves(Strand *strands, cnp.ndarray array, npy_intp row):
    """Both halves, in rows of so many bytes."""
    strands[0].start, strands[1].start = cnp.PyArray_BYTES(array), cnp.PyArray_BYTES(array) + row
    strands[0].step = strands[1].step = 2 * row


@cython.no_gc                 # it holds numbers
cdef class Kernel:
    """The block kernels of one elementwise function and what the driver must know of it."""


cdef class KernelSet:
    """The kernels of one instruction set, as NumPy ufuncs. build(), build_default(), build_gradient(), build_halves(),
    build_rows(), build_direct(), build_direct_halves(), build_scalar() and convert() are the whole interface;
    _fallback.py has the same. scalar_address() is for cython_api alone.
    """

    def __cinit__(self):
        self.kernels = {}

    cdef Kernel elementwise(self, const char *name, int nin, double cost, void *f32, void *f64, void *scalar32,
                            void *scalar64):
        cdef Kernel kernel = Kernel()
        kernel.nin, kernel.cost, kernel.as_stored = nin, cost, CONVERTED
        kernel.f32, kernel.f64, kernel.scalar32, kernel.scalar64 = f32, f64, scalar32, scalar64
        self.kernels[name.decode()] = kernel
        return kernel

    def build(self, str name, str doc, int parameters=0):
        """The elementwise ufunc `name`, of x and the parameters."""
        return elementwise_ufunc(self, name, name, doc, ())

    def build_default(self, str name, str doc, tuple defaults):
        """The ufunc NAME_default, of x alone; the parameters have these values. A small call takes half the time."""
        return elementwise_ufunc(self, name, name + "_default", doc, defaults)

    def build_gradient(self, str name, str doc, int parameters=0):
        """The ufunc NAME_backward of grad_output, x and the parameters."""
        return float_ufunc(self, name + "_backward", doc)

    def build_halves(self, str name, str doc):
        """The ufunc `name` of the halves of an axis, and of grad_output before them."""
        return float_ufunc(self, name, doc)

    def build_scalar(self, str name, int parameters):
        """The function `name` of one float64, and of its parameters, all positional."""
        cdef Kernel kernel = self.kernels[name]
        cdef Scalar1 one = <Scalar1>kernel.scalar64
        cdef Scalar2 two = <Scalar2>kernel.scalar64
        cdef Scalar3 three = <Scalar3>kernel.scalar64

        def scalar1(x, /):
            cdef double number = real(x, name)
            cdef Fenv before = default_fenv()
            number = one(number)
            restore_fenv(before)
            return number

        def scalar2(x, a, /):
            cdef double number = real(x, name), first = real(a, name)
            cdef Fenv before = default_fenv()
            number = two(number, first)
            restore_fenv(before)
            return number

        def scalar3(x, a, b, /):
            cdef double number = real(x, name), first = real(a, name), second = real(b, name)
            cdef Fenv before = default_fenv()
            number = three(number, first, second)
            restore_fenv(before)
            return number

        return (scalar1, scalar2, scalar3)[parameters]

    def scalar_address(self, str name, str char):
        """Where the C function `name` of one float ("f") or double ("d") is."""
        cdef Kernel kernel = self.kernels[name]
        return <size_t>(kernel.scalar64 if char == "d" else kernel.scalar32)

    def convert(self, x, y):
        """A plain array's float32 numbers to those of 16 bits of another, or back; whether that is what they are."""
        cdef cnp.ndarray source, target
        cdef int kind, other
        cdef npy_intp i, n
        cdef const char *p
        cdef char *q
        cdef bint widens
        cdef Fenv before
        if type(x) is not cnp.ndarray or type(y) is not cnp.ndarray:
            return False
        source, target = x, y
        kind, other = cnp.PyArray_TYPE(source), cnp.PyArray_TYPE(target)
        widens = other == cnp.NPY_FLOAT
        if widens:
            kind, other = other, kind
        if (kind != cnp.NPY_FLOAT or not (other == cnp.NPY_FLOAT16 or is_bfloat16(other))
                or not cnp.PyArray_ISCARRAY_RO(source) or not of_shape(target, cnp.PyArray_TYPE(target), source.ndim,
                                                                       source.shape)
                or not cnp.PyArray_ISWRITEABLE(target) or overlaps(source, target)):
            return False
        n, p, q = cnp.PyArray_SIZE(source), cnp.PyArray_BYTES(source), cnp.PyArray_BYTES(target)
        load, store = self.load_bfloat16, self.store_bfloat16
        if other == cnp.NPY_FLOAT16:
            load, store = self.load_half, self.store_half
        with nogil:
            before = default_fenv()
            for i from 0 <= i < n by BLOCK:
                if widens:
                    load(p + i * 2, 2, q + i * 4, min(<npy_intp>BLOCK, n - i))
                else:
                    store(p + i * 4, q + i * 2, 2, min(<npy_intp>BLOCK, n - i))
            restore_fenv(before)
        return True

    def build_rows(self, str name, str doc, row, bint backward=False, bint tempered=False, bint masked=False):
        """The generalised ufunc `name`: that of a row of the table, or its gradient; with a temperature for each row
        beside x; with a mask as its last operand."""
        cdef Loops loops = Loops()
        cdef RowLoop loop = row_loop(self, row, "d", backward, tempered, masked)
        inputs = ["(n)"]
        if loop.gradient:
            inputs = ["(n)", "(n)"]
        elif loop.loss:
            inputs = ["(n)", "()"] if loop.reduces else ["()", "(n)", "()"]
        inputs += ["()"] * loop.tempered + ["(n)"] * loop.masked
        core = f"{','.join(inputs)}->{'()' if loop.reduces else '(n)'}"
        chars = "Eefd" if loop.gradient else "dfeE"             # of one operand, integers become the first that fits
        if loop.loss and not loop.reduces:
            chars = "df"                                        # of results of 16 bits too little is left to sum up
        for char in chars:
            loop = row_loop(self, row, char, backward, tempered, masked)
            floats = char * (len(inputs) - loop.loss - loop.tempered - loop.masked)
            types = floats + "p" * loop.loss + "d" * loop.tempered + "?" * loop.masked + char
            loops.add(types, self.drive_rows[8 if char == "d" else 4], &loop, sizeof(RowLoop))
        return loops.ufunc(len(inputs), name, doc, core, equals=loop.gradient)

    def build_direct(self, row, bint backward=False):
        """A function of x, axis, out (unless it reduces), what is beside x (a loss's target, or a temperature) and
        grad_output (of a gradient): that of a row of the table, of plain C-ordered arrays of floats along their last
        axis, their first or all (None), in a third of the time that NumPy takes to call a generalised ufunc. For all
        else it returns None."""
        cdef RowLoop f16 = row_loop(self, row, "e", backward), bf16 = row_loop(self, row, "E", backward)
        cdef RowLoop f32 = row_loop(self, row, "f", backward), f64 = row_loop(self, row, "d", backward)
        cdef bint of_classes = row.kind == "loss"

        def direct(x, axis, out=None, beside=None, grad_output=None):
            cdef cnp.ndarray source, result
            cdef const RowLoop *loop
            cdef Layout at
            cdef Number number
            cdef double heat
            cdef bint failed = False
            cdef object given = None        # grad_output, where it is widened
            cdef npy_intp one_class
            cdef npy_intp *shape            # of the other axes
            cdef npy_intp[2] step           # of x: [row, element]
            cdef npy_intp rows, itemsize
            cdef ShareRows share_rows
            cdef int kind, kept
            if type(x) is not cnp.ndarray:
                return None
            source = x
            kind = cnp.PyArray_TYPE(source)
            if kind == cnp.NPY_FLOAT:
                loop, itemsize = &f32, 4
            elif kind == cnp.NPY_DOUBLE:
                loop, itemsize = &f64, 8
            elif kind == cnp.NPY_FLOAT16:
                loop, itemsize = &f16, 2
            elif is_bfloat16(kind):
                loop, itemsize = &bf16, 2
            else:
                return None
            if not cnp.PyArray_ISCARRAY_RO(source):
                return None
            shape, kept = source.shape, source.ndim - 1
            if kept < 0:
                return None
            if axis is None:
                at.n, kept = cnp.PyArray_SIZE(source), 0
            elif axis == -1 or axis == kept:
                at.n = shape[kept]
            elif axis == 0 or axis == -1 - kept:
                at.n = shape[0]
                shape += 1
            else:
                return None
            rows = cnp.PyArray_MultiplyList(shape, kept)
            step[0], step[1] = (itemsize, rows * itemsize) if shape != source.shape else (at.n * itemsize, itemsize)
            at.heat = NULL
            at.target, at.target_step = NULL, 0
            if of_classes and not put_classes(self, beside, kept, shape, rows, &one_class, &at):
                return None
            if axis is not None and not f32.loss and beside is not None:
                beside = row_numbers(beside, source, kept if shape == source.shape else 0)
            if not f32.loss and not put_temperature(beside, kept, shape, rows, &heat, &at):
                return None
            if f32.gradient and at.heat != NULL:
                return None
            if f32.loss and not f32.reduces:
                if itemsize == 2 and type(grad_output) is not float:
                    given, grad_output = grad_output, widened(self, grad_output, kind, kept, shape)
                if not put_grad(grad_output, cnp.NPY_FLOAT if itemsize == 2 else kind, kept, shape, &number, &at):
                    return None
            if f32.gradient:
                if not of_shape(grad_output, kind, source.ndim, source.shape):
                    return None
                at.grad, at.grad_step = cnp.PyArray_BYTES(grad_output), step
            if f32.reduces:
                result = cnp.PyArray_EMPTY(kept, shape, kind, 0)
            elif out is None:
                result = cnp.PyArray_EMPTY(source.ndim, source.shape, kind, 0)
            elif type(out) is cnp.ndarray:
                result = out
                if not (cnp.PyArray_TYPE(result) == kind and cnp.PyArray_ISCARRAY(result)
                        and cnp.PyArray_SAMESHAPE(result, source) and not warns_when_written(cnp.PyArray_FLAGS(result))
                        and not overlaps(source, result)):
                    return None
            else:
                return None
            if f32.loss and overwrites(&at, rows, 0 if f32.reduces else max(itemsize, <npy_intp>4), result):
                return None
            if given is not None and overlaps(given, result):   # another way may have to read it again
                return None
            if at.heat != NULL and overlap(at.heat, rows * at.heat_step, cnp.PyArray_BYTES(result),
                                           cnp.PyArray_NBYTES(result)):
                return None
            if f32.gradient and overlaps(grad_output, result):
                return None
            at.x, at.mask, at.y = cnp.PyArray_BYTES(source), NULL, cnp.PyArray_BYTES(result)
            at.failed = &failed
            at.x_step, at.y_step = step, step
            if f32.reduces:
                at.y_step[0] = itemsize
            share_rows = self.share_rows[itemsize]
            if rows * at.n > KEEPS_GIL:
                with nogil:
                    share_rows(&at, rows, loop, NULL)
            else:
                share_rows(&at, rows, loop, NULL)
            if failed:
                return None
            return result if result.ndim else cnp.PyArray_ToScalar(at.y, result)

        return direct

    def build_direct_halves(self, str name):
        """A function of x, axis, out and grad_output (of a gradient): what `name` makes of the halves of plain
        C-ordered arrays of floats. For all else it returns None."""
        cdef bint backward = name.endswith("_backward")
        cdef Halves f32 = halves_of(self, name, "f"), f64 = halves_of(self, name, "d")
        cdef Halves f16 = halves_of(self, name, "e"), bf16 = halves_of(self, name, "E")

        def direct(x, int axis, out=None, grad_output=None):
            cdef cnp.ndarray source, result, grad
            cdef Halves at
            cdef npy_intp[MAX_DIMS] half
            cdef const npy_intp *shape = half
            cdef DriveHalves drive_halves
            cdef npy_intp rows, row
            cdef int kind, ndim, i
            if type(x) is not cnp.ndarray:
                return None
            source = x
            kind, ndim = cnp.PyArray_TYPE(source), source.ndim
            if kind == cnp.NPY_FLOAT:
                at = f32
            elif kind == cnp.NPY_DOUBLE:
                at = f64
            elif kind == cnp.NPY_FLOAT16:
                at = f16
            elif is_bfloat16(kind):
                at = bf16
            else:
                return None
            axis += ndim if axis < 0 else 0
            if not cnp.PyArray_ISCARRAY_RO(source) or not 0 <= axis < ndim or source.shape[axis] % 2:
                return None
            for i in range(ndim):
                half[i] = source.shape[i]
            half[axis] //= 2
            if backward:
                shape = source.shape
            rows = cnp.PyArray_MultiplyList(half, axis)
            at.n = cnp.PyArray_MultiplyList(half + axis, ndim - axis)
            row = at.n * at.size
            if out is None:
                result = cnp.PyArray_EMPTY(ndim, shape, kind, 0)
            elif of_shape(out, kind, ndim, shape):
                result = out
                if (not cnp.PyArray_ISWRITEABLE(result) or warns_when_written(cnp.PyArray_FLAGS(result))
                        or overlaps(source, result)):
                    return None
            else:
                return None
            if backward:
                if not of_shape(grad_output, kind, ndim, half):
                    return None
                grad = grad_output
                if overlaps(grad, result):
                    return None
                at.strands[0].start, at.strands[0].step = cnp.PyArray_BYTES(grad), row
                put_halves(&at.strands[1], source, row)
                put_halves(&at.strands[3], result, row)
            else:
                put_halves(at.strands, source, row)
                at.strands[2].start, at.strands[2].step = cnp.PyArray_BYTES(result), row
            drive_halves = self.drive_halves[at.size]
            if rows * at.n > KEEPS_GIL:
                with nogil:
                    drive_halves(&at, rows, NULL)
            elif rows * at.n > 0:
                drive_halves(&at, rows, NULL)
            return result

        return direct
