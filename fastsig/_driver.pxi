"""The one inner loop of every elementwise ufunc.

A ufunc's `void *data` is a Loop: the block kernel and how each operand is stored. Unit-stride operands of the computed
type are handed to the kernel where they lie; all else (strided, broadcast, in place, other dtypes, the padded tail)
passes through a stack block. So every element goes through the same vector code, and its bits do not depend on where
it lies. Long calls are split over threads (OpenMP).

Only the kernel knows whether four bytes are a float or an integer: the driver moves them as words of one size.
"""

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define prefetch(p) __builtin_prefetch(p)
    #else
    #define prefetch(p) ((void)(p))
    #endif
    """
    void prefetch(const char *p) noexcept nogil

cdef enum:
    STRIP = 1024            # bytes of an operand that a kernel is given if it takes its time
    CACHED = 500_000        # bytes of an operand that may well be in the cache
    UNCACHED = 16_000_000   # bytes of an operand that are in none
    PACE = 256              # bytes of it that a kernel is given if it waits for memory
    CHUNK_NS = 25_000       # what a thread of a team takes at a time

ctypedef fused word:
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef fused integer:
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef void (*BlockKernel)(const void **x, void *y, npy_intp n) noexcept nogil
ctypedef void (*Load)(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil
ctypedef void (*Store)(const void *block, char *p, npy_intp stride, npy_intp n) noexcept nogil

cdef struct Loop:
    int nin                 # the kernel's inputs
    int operands            # how many of them a call gives; the others are parameters with their default values
    const void *defaults[MAX_IN]    # a block full of each of these
    double cost             # ns for one element, about
    BlockKernel kernel
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

cdef inline npy_intp head_of(const char *out, npy_intp n, npy_intp step, const Loop *loop, word *_) noexcept nogil:
    """How many elements of a long call come before `out` reaches a whole vector in memory. They make the first block:
    vectors that straddle cache lines would take longer in all others."""
    if n < 4 * BLOCK or step != sizeof(word) or loop.store != NULL:
        return 0
    return <npy_intp>(-<size_t>out & (VECTOR - 1)) // <npy_intp>sizeof(word)

cdef inline void fetch(const char *p, npy_intp bytes) noexcept nogil:
    """Have memory come to the cache."""
    cdef npy_intp i
    for i from 0 <= i < bytes by VECTOR:
        prefetch(p + i)

cdef inline void spread(word *block, npy_intp n) noexcept nogil:
    """The first element to the first n."""
    cdef word first = block[0]
    cdef npy_intp j
    for j in range(n):
        block[j] = first

cdef void run(char **args, npy_intp begin, npy_intp end, const npy_intp *steps, const Loop *loop, npy_intp far,
              word *_) noexcept nogil:
    """Elements [begin, end) in blocks. `far`: of how many, if of so many that most come from memory, not from a cache.

    Never writes to args or steps: NumPy's where= driver uses them again.
    """
    cdef Block[MAX_IN] blocks
    cdef Block result
    cdef const void *x[2 * MAX_IN]          # the operands, and again those that are uniform
    cdef word *block
    cdef Load[MAX_IN] load
    cdef char *out = args[loop.operands]
    cdef const char *source
    cdef npy_intp i = begin, n, padded, j, out_step = steps[loop.operands], lanes = VECTOR // sizeof(word)
    cdef npy_intp most, ahead = 0, strip = BLOCK
    cdef int k
    # While a kernel computes, the next block can come from memory, and in small ones one stage's divisions overlap with
    # the next block's first stage. A kernel that does little waits for memory anyway, and the longer (Zen 4) the more
    # of it is asked for at once; bytes, and what is gathered, take longer in small pieces.
    if loop.cost > 0.07 * sizeof(word):
        strip, ahead = min(<npy_intp>BLOCK, <npy_intp>(STRIP // sizeof(word))), far
    elif sizeof(word) >= 4 and steps[0] == sizeof(word) and far * <npy_intp>sizeof(word) > UNCACHED:
        strip = PACE // sizeof(word)
    most = head_of(out + begin * out_step, end - begin, out_step, loop, _) or strip
    for k in range(loop.nin):
        load[k] = loop.load if k == 0 or loop.load_all else NULL
        x[k] = &blocks[k] if k < loop.operands else loop.defaults[k]
        x[MAX_IN + k] = x[k] if k >= loop.operands or steps[k] == 0 else NULL
        if k < loop.operands and steps[k] == 0:             # broadcast: one value fills the block, once
            block = <word *>&blocks[k]
            gather(args[k], 0, block, 1, load[k])
            spread(block, min(<npy_intp>BLOCK, (end - begin + lanes - 1) & ~(lanes - 1)))
    while i < end:
        n = min(most, end - i)
        most = strip
        if n > lanes:
            n = n & ~(lanes - 1)
        padded = (n + lanes - 1) & ~(lanes - 1)
        for k in range(loop.operands):
            if steps[k] == 0:
                continue
            source = args[k] + i * steps[k]
            if n == padded and load[k] == NULL and steps[k] == sizeof(word) and args[k] != out:
                x[k] = source
            else:
                block = <word *>&blocks[k]
                gather(source, steps[k], block, n, load[k])
                if n == 1:                                  # in whole vectors, for which a read need not wait
                    spread(block, lanes)
                else:
                    for j in range(n, padded):
                        block[j] = 0
                x[k] = block
            if i + n + strip <= ahead and steps[k] == sizeof(word):
                fetch(source + n * steps[k], strip * sizeof(word))
        if n == padded and loop.store == NULL and out_step == sizeof(word):
            loop.kernel(x, out + i * out_step, n)
        else:
            loop.kernel(x, &result, padded)
            scatter(<word *>&result, out + i * out_step, out_step, n, loop.store)
        i += n

cdef inline npy_intp chunk_of(npy_intp n, int threads, double ns, npy_intp unit) noexcept nogil:
    """How many of n things, of so many nanoseconds each, a thread takes at a time, a multiple of `unit`: few enough
    that none has long to wait for another one's last."""
    return max(unit, (min(n // threads + 1, <npy_intp>(CHUNK_NS / ns)) + unit - 1) // unit * unit)

cdef void run_shares(char **args, npy_intp head, npy_intp chunk, const npy_intp *steps, const Loop *loop,
                     Share *shares, int count, int thread, npy_intp far, word *_) noexcept nogil:
    """What one thread of a team does; the first piece begins with the head."""
    cdef Share piece
    cdef Fenv before = default_fenv()
    while take(shares, count, thread, chunk, &piece):
        run(args, piece.next if piece.next > head else 0, piece.end, steps, loop, far, _)
    restore_fenv(before)

cdef inline bint chained(char **args, const npy_intp *steps, const Loop *loop) noexcept nogil:
    """Whether an element's result is the next one's operand, as in a ufunc's reduce() and accumulate()."""
    cdef npy_intp step = steps[loop.operands]
    return loop.operands > 1 and steps[0] == step and args[0] + step == args[loop.operands]

cdef inline bint needs_order(char **args, npy_intp n, const npy_intp *steps, const Loop *loop, word *_) noexcept nogil:
    """Whether an operand lies in the same memory as the result, but not in the same places. NumPy makes no copy of one
    that is read before it is written to, if elements are taken one after the other."""
    cdef npy_intp size, last, out_last = (n - 1) * steps[loop.operands]
    cdef char *out = args[loop.operands]
    cdef int k
    for k in range(loop.operands):
        last = (n - 1) * steps[k]
        size = max(steps[k], -steps[k])
        if size == 0 or size > <npy_intp>sizeof(word):      # of an element, at the most
            size = sizeof(word)
        if ((args[k] != out or steps[k] != steps[loop.operands])
                and overlap(args[k] + min(<npy_intp>0, last), max(last, -last) + size,
                            out + min(<npy_intp>0, out_last), max(out_last, -out_last) + <npy_intp>sizeof(word))):
            return True
    return False

cdef inline void share_elements(char **args, npy_intp n, const npy_intp *steps, const Loop *loop,
                                word *_) noexcept nogil:
    """All elements, on several threads when they pay."""
    cdef npy_intp chunk, head, i
    cdef Share[MAX_SHARES] shares
    cdef void *team = NULL
    cdef int count, threads = 0
    cdef npy_intp far = n if n * <npy_intp>sizeof(word) > CACHED else 0
    if chained(args, steps, loop):
        for i in range(n):
            run(args, i, i + 1, steps, loop, far, _)
        return
    if n * loop.cost > PARALLEL_NS and not needs_order(args, n, steps, loop, _):
        threads = acquire_threads(n * loop.cost, &team)
    if threads > 1:
        head = head_of(args[loop.operands], n, steps[loop.operands], loop, _)
        chunk = chunk_of(n, threads, loop.cost, 4 * BLOCK)
        count = share_out(shares, threads, head, n, BLOCK)
        with parallel(num_threads=threads):         # prange begins with a barrier: nobody works before all are awake
            join_team(team)
            run_shares(args, head, chunk, steps, loop, shares, count, threadid(), far, _)
    else:
        run(args, 0, n, steps, loop, far, _)
    release_threads(threads)

cdef void drive(word **args, const npy_intp *dims, const npy_intp *steps, void *data) noexcept nogil:
    """A ufunc's inner loop."""
    cdef Fenv before = default_fenv()
    share_elements(<char **>args, dims[0], steps, <const Loop *>data, args[0])
    restore_fenv(before)
    clear_fp_flags()
