"""The one inner loop of every elementwise ufunc.

A ufunc's `void *data` is a Loop: the block kernel and how each operand is stored. Unit-stride operands of the computed
type are handed to the kernel where they lie; all else (strided, broadcast, in place, other dtypes, the padded tail)
passes through a stack block. So every element goes through the same vector code, and its bits do not depend on where
it lies. Long calls are split over threads with prange.
"""

ctypedef fused integer:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef void (*Load)(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil
ctypedef void (*Store)(const void *block, char *p, npy_intp stride, npy_intp n) noexcept nogil

cdef struct Loop:
    int nin                 # the kernel's inputs
    int operands            # how many of them a call gives; the others are parameters with their default values
    double[MAX_IN] defaults
    double cost             # ns for one element, about
    void *kernel
    Load load               # how input 0..nin-1 is stored and becomes the computed type; NULL: it is the computed type
    bint load_all           # parameters are stored like input 0 (16-bit floats), or already are the computed type
    Store store             # likewise for the output


# ------------------------------------------------------------------------------ operands of other types than computed

cdef void load_integer(const integer *p, npy_intp stride, double *block, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i in range(n):
        block[i] = <double>(<const integer *>(<const char *>p + i * stride))[0]

cdef inline float half_to_float(uint16_t h) noexcept nogil:
    cdef uint32_t bits = <uint32_t>(h & 0x7fff) << 13, sign = <uint32_t>(h & 0x8000) << 16, normal, small
    normal = bits + <uint32_t>0x38000000 + (<uint32_t>0x38000000 if bits >= 0x0f800000 else <uint32_t>0)    # inf, NaN
    small = float_bits(bits_float(bits + <uint32_t>0x38800000) - bits_float(<uint32_t>0x38800000))  # subnormal halves
    return bits_float((small if bits < 0x00800000 else normal) | sign)

cdef inline uint16_t float_to_half(float x) noexcept nogil:
    """Round to nearest even, as the hardware does, with integers alone."""
    cdef uint32_t bits = float_bits(x) & <uint32_t>0x7fffffff, sign = (float_bits(x) >> 16) & <uint32_t>0x8000
    cdef uint32_t small = float_bits(bits_float(bits) + <float>0.5) - <uint32_t>0x3f000000
    cdef uint32_t normal = (bits + <uint32_t>0xc8000fff + ((bits >> 13) & 1)) >> 13
    cdef uint32_t huge = <uint32_t>0x7e00 if bits > 0x7f800000 else <uint32_t>0x7c00
    normal = small if bits < 0x38800000 else normal
    return <uint16_t>((huge if bits >= 0x47800000 else normal) | sign)

cdef void load_half(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil:
    cdef npy_intp i
    if stride == sizeof(uint16_t):
        for i in range(n):
            (<float *>block)[i] = half_to_float((<const uint16_t *>p)[i])
    else:
        for i in range(n):
            (<float *>block)[i] = half_to_float((<const uint16_t *>(p + i * stride))[0])

cdef void store_half(const void *block, char *p, npy_intp stride, npy_intp n) noexcept nogil:
    cdef npy_intp i
    if stride == sizeof(uint16_t):
        for i in range(n):
            (<uint16_t *>p)[i] = float_to_half((<const float *>block)[i])
    else:
        for i in range(n):
            (<uint16_t *>(p + i * stride))[0] = float_to_half((<const float *>block)[i])

cdef inline float bfloat16_to_float(uint16_t b) noexcept nogil:
    return bits_float(<uint32_t>b << 16)

cdef inline uint16_t float_to_bfloat16(float x) noexcept nogil:
    """Round to nearest even; every NaN becomes the quiet one of its sign, as in ml_dtypes."""
    cdef uint32_t bits = float_bits(x)
    cdef uint32_t rounded = (bits + <uint32_t>0x7fff + ((bits >> 16) & 1)) >> 16
    cdef uint32_t nan = ((bits >> 16) & <uint32_t>0x8000) | <uint32_t>0x7fc0
    return <uint16_t>(nan if (bits & <uint32_t>0x7fffffff) > <uint32_t>0x7f800000 else rounded)

cdef void load_bfloat16(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil:
    cdef npy_intp i
    if stride == sizeof(uint16_t):
        for i in range(n):
            (<float *>block)[i] = bfloat16_to_float((<const uint16_t *>p)[i])
    else:
        for i in range(n):
            (<float *>block)[i] = bfloat16_to_float((<const uint16_t *>(p + i * stride))[0])

cdef void store_bfloat16(const void *block, char *p, npy_intp stride, npy_intp n) noexcept nogil:
    cdef npy_intp i
    if stride == sizeof(uint16_t):
        for i in range(n):
            (<uint16_t *>p)[i] = float_to_bfloat16((<const float *>block)[i])
    else:
        for i in range(n):
            (<uint16_t *>(p + i * stride))[0] = float_to_bfloat16((<const float *>block)[i])

cdef inline void gather(const char *p, npy_intp stride, number *block, npy_intp n, Load load) noexcept nogil:
    cdef npy_intp i
    if load != NULL:
        load(p, stride, block, n)
    elif stride == sizeof(number) and n > 1:
        memcpy(block, p, n * sizeof(number))
    else:
        for i in range(n):
            block[i] = (<const number *>(p + i * stride))[0]

cdef inline void scatter(const number *block, char *p, npy_intp stride, npy_intp n, Store store) noexcept nogil:
    cdef npy_intp i
    if store != NULL:
        store(block, p, stride, n)
    elif stride == sizeof(number) and n > 1:
        memcpy(p, block, n * sizeof(number))
    else:
        for i in range(n):
            (<number *>(p + i * stride))[0] = block[i]


# ---------------------------------------------------------------------------------------------------- the loop

cdef void run(number **args, npy_intp begin, npy_intp end, const npy_intp *steps, const Loop *loop) noexcept nogil:
    """Elements [begin, end) in blocks. Never writes to args or steps: NumPy's where= driver uses them again."""
    cdef number[MAX_IN][BLOCK] blocks
    cdef number[BLOCK] result
    cdef const number *x[MAX_IN]
    cdef Load[MAX_IN] load
    cdef void (*kernel)(const number **, number *, npy_intp) noexcept nogil
    cdef char *out = <char *>args[loop.operands]
    cdef const char *source
    cdef npy_intp i = begin, n, padded, j, out_step = steps[loop.operands], lanes = VECTOR // sizeof(number)
    cdef int k
    kernel = <void (*)(const number **, number *, npy_intp) noexcept nogil>loop.kernel
    for k in range(loop.nin):
        load[k] = loop.load if k == 0 or loop.load_all else NULL
        x[k] = blocks[k]
        if k >= loop.operands or steps[k] == 0:             # broadcast: one value fills the block, once
            if k < loop.operands:
                gather(<const char *>args[k], 0, blocks[k], 1, load[k])
            else:
                blocks[k][0] = <number>loop.defaults[k]
            for j in range(1, min(<npy_intp>BLOCK, (end - begin + lanes - 1) & ~(lanes - 1))):
                blocks[k][j] = blocks[k][0]
    while i < end:
        n = min(<npy_intp>BLOCK, end - i)
        if n > lanes:
            n = n & ~(lanes - 1)
        padded = (n + lanes - 1) & ~(lanes - 1)
        for k in range(loop.operands):
            if steps[k] == 0:
                continue
            source = <const char *>args[k] + i * steps[k]
            if n == padded and load[k] == NULL and steps[k] == sizeof(number) and <const char *>args[k] != out:
                x[k] = <const number *>source
            else:
                gather(source, steps[k], blocks[k], n, load[k])
                for j in range(n, padded):
                    blocks[k][j] = 0
                x[k] = blocks[k]
        if n == padded and loop.store == NULL and out_step == sizeof(number):
            kernel(x, <number *>(out + i * out_step), n)
        else:
            kernel(x, result, padded)
            scatter(result, out + i * out_step, out_step, n, loop.store)
        i += n

cdef inline npy_intp chunk_of(npy_intp n, int threads, npy_intp least) noexcept nogil:
    """How many of n things a thread takes at a time: a worker that wakes up late then finds less left to do."""
    return (max(least, n // (threads * 8)) + least - 1) // least * least

cdef void drive(number **args, const npy_intp *dims, const npy_intp *steps, void *data) noexcept nogil:
    """A ufunc's inner loop, on several threads when they pay."""
    cdef const Loop *loop = <const Loop *>data
    cdef npy_intp n = dims[0], chunk, c
    cdef void *team = NULL
    cdef int threads = acquire_threads(n * loop.cost, &team) if n * loop.cost > PARALLEL_NS else 0
    if threads > 1:
        chunk = chunk_of(n, threads, 8 * BLOCK)
        for c in prange((n + chunk - 1) // chunk, num_threads=threads, schedule="dynamic"):
            join_team(team)
            run(args, c * chunk, min(n, (c + 1) * chunk), steps, loop)
    else:
        run(args, 0, n, steps, loop)
    release_threads(threads)
    clear_fp_flags()
