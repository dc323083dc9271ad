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

cdef extern from *:
    """
    /* Results of eight bytes that lie side by side. A store takes as long whatever its size, and gcc finds no larger
       one for what comes from a table. */
    #if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    typedef double Four __attribute__((vector_size(32)));
    static inline void look_up_eight(const double *table, const void *x, void *y) {
        uint64_t b;
        memcpy(&b, x, 8);
        Four first = {table[b & 255], table[b >> 8 & 255], table[b >> 16 & 255], table[b >> 24 & 255]};
        Four second = {table[b >> 32 & 255], table[b >> 40 & 255], table[b >> 48 & 255], table[b >> 56]};
        memcpy(y, &first, sizeof first);
        memcpy((char *)y + sizeof first, &second, sizeof second);
    }
    #else
    static inline void look_up_eight(const double *table, const void *x, void *y) {
        for (int i = 0; i < 8; i++) ((double *)y)[i] = table[((const uint8_t *)x)[i]];
    }
    #endif
    """
    void look_up_eight(const double *table, const void *x, void *y) noexcept nogil

cdef enum:
    BYTES = 256             # values of a byte
    STRIP = 1024            # bytes of an operand that a kernel is given if it takes its time; from a cache, twice that
    CACHED = 500_000        # bytes of an operand that may well be in the cache
    UNCACHED = 16_000_000   # bytes of an operand that are in none
    PACE = 256              # bytes of it that a kernel is given if it waits for memory
    CHUNK_NS = 25_000       # what a thread of a team takes at a time

cdef double LOOK_UP_NS = 0.3    # of a result in a table

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


# ------------------------------------------------------------------------------ operands of other types than computed

cdef void load_integer(const integer *p, npy_intp stride, double *block, npy_intp n) noexcept nogil:
    cdef npy_intp i
    if stride == sizeof(integer):
        for i in range(n):
            block[i] = <double>p[i]
        return
    for i in range(n):
        block[i] = <double>(<const integer *>(<const char *>p + i * stride))[0]

cdef extern from *:
    """
    /* x86-64-v3 and v4 convert 16-bit floats by one or two instructions, which gcc does not find: HALVES at a time, 1:
       not at all. A float is cut off to bfloat16, having been rounded before. */
    #if defined(__AVX512BW__)
    #include <immintrin.h>
    #define HALVES 16
    static inline void widen_halves(const void *p, float *block) {
        _mm512_storeu_ps(block, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)));
    }
    static inline void narrow_halves(const float *block, void *p) {
        _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(_mm512_loadu_ps(block), _MM_FROUND_TO_NEAREST_INT));
    }
    static inline void widen_bfloat16s(const void *p, float *block) {
        const __m512i from = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0,
                                              7, 0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 1, 0, 0, 0);
        __m512i x = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)p));
        _mm512_storeu_ps(block, _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, from, x)));
    }
    static inline void cut_to_bfloat16s(const float *block, void *p) {
        const __m512i from = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                              31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
        __m512i x = _mm512_permutexvar_epi16(from, _mm512_castps_si512(_mm512_loadu_ps(block)));
        _mm256_storeu_si256((__m256i *)p, _mm512_castsi512_si256(x));
    }
    #elif defined(__F16C__) || (defined(_MSC_VER) && defined(__AVX2__))
    #include <immintrin.h>
    #define HALVES 8
    static inline void widen_halves(const void *p, float *block) {
        _mm256_storeu_ps(block, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)));
    }
    static inline void narrow_halves(const float *block, void *p) {
        _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(_mm256_loadu_ps(block), _MM_FROUND_TO_NEAREST_INT));
    }
    static inline void widen_bfloat16s(const void *p, float *block) {
        __m256i x = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
        _mm256_storeu_ps(block, _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)));
    }
    static inline void cut_to_bfloat16s(const float *block, void *p) {
        __m256i x = _mm256_srli_epi32(_mm256_castps_si256(_mm256_loadu_ps(block)), 16);
        _mm_storeu_si128((__m128i *)p, _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
    }
    #else
    #define HALVES 1
    #if defined(__x86_64__) || defined(_M_X64)  /* few CPUs still need this kernel set, which so is smaller */
    #define ONE_OF_HALVES 1
    #endif
    static inline void widen_halves(const void *p, float *block) { (void)p; (void)block; }
    static inline void narrow_halves(const float *block, void *p) { (void)block; (void)p; }
    static inline void widen_bfloat16s(const void *p, float *block) { (void)p; (void)block; }
    static inline void cut_to_bfloat16s(const float *block, void *p) { (void)block; (void)p; }
    #endif
    #ifndef ONE_OF_HALVES
    #define ONE_OF_HALVES 0
    #endif
    """
    enum: HALVES
    enum: ONE_OF_HALVES     # 1: gradients of bfloat16 rows are those of float16 with other loads and stores
    void widen_halves(const void *p, float *block) noexcept nogil
    void narrow_halves(const float *block, void *p) noexcept nogil
    void widen_bfloat16s(const void *p, float *block) noexcept nogil
    void cut_to_bfloat16s(const float *block, void *p) noexcept nogil

cdef inline float half_to_float(uint16_t h) noexcept nogil:
    """As the hardware does: a NaN keeps its payload and becomes quiet."""
    cdef uint32_t bits = <uint32_t>(h & 0x7fff) << 13, sign = <uint32_t>(h & 0x8000) << 16, normal, small
    sign = sign | (<uint32_t>0x00400000 if bits > 0x0f800000 else <uint32_t>0)
    normal = bits + <uint32_t>0x38000000 + (<uint32_t>0x38000000 if bits >= 0x0f800000 else <uint32_t>0)    # inf, NaN
    small = float_bits(bits_float(bits + <uint32_t>0x38800000) - bits_float(<uint32_t>0x38800000))  # subnormal halves
    return bits_float((small if bits < 0x00800000 else normal) | sign)

cdef inline uint16_t float_to_half(float x) noexcept nogil:
    """As the hardware does, with integers alone: to nearest even; a NaN keeps what it can of its payload, quiet."""
    cdef uint32_t bits = float_bits(x) & <uint32_t>0x7fffffff, sign = (float_bits(x) >> 16) & <uint32_t>0x8000
    cdef uint32_t small = float_bits(bits_float(bits) + <float>0.5) - <uint32_t>0x3f000000
    cdef uint32_t normal = (bits + <uint32_t>0xc8000fff + ((bits >> 13) & 1)) >> 13
    cdef uint32_t huge = <uint32_t>0x7e00 | (bits >> 13 & 0x3ff) if bits > 0x7f800000 else <uint32_t>0x7c00
    normal = small if bits < 0x38800000 else normal
    return <uint16_t>((huge if bits >= 0x47800000 else normal) | sign)

cdef inline const uint16_t *packed(const char *p, npy_intp stride, uint16_t *block, npy_intp n) noexcept nogil:
    """16-bit numbers side by side: where they lie, or in `block`, which has room for 2 BLOCK of them."""
    cdef npy_intp i
    if stride == sizeof(uint16_t):
        return <const uint16_t *>p
    for i in range(n):
        block[i] = (<const uint16_t *>(p + i * stride))[0]
    return block

cdef inline void unpack(const uint16_t *block, char *p, npy_intp stride, npy_intp n) noexcept nogil:
    cdef npy_intp i
    for i in range(n):
        (<uint16_t *>(p + i * stride))[0] = block[i]

cdef void load_half(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil:
    cdef uint16_t[2 * BLOCK] side_by_side
    cdef uint16_t[HALVES] few
    cdef float[HALVES] wide
    cdef const uint16_t *x = packed(p, stride, side_by_side, n)
    cdef float *y = <float *>block
    cdef npy_intp i
    if HALVES == 1:
        for i in range(n):
            y[i] = half_to_float(x[i])
    elif n >= HALVES:                       # the last ones may be converted twice
        for i from 0 <= i < n - HALVES by HALVES:
            widen_halves(x + i, y + i)
        widen_halves(x + n - HALVES, y + n - HALVES)
    else:
        for i in range(HALVES):
            few[i] = x[i] if i < n else 0
        widen_halves(few, wide)
        for i in range(n):
            y[i] = wide[i]

cdef void store_half(const void *block, char *p, npy_intp stride, npy_intp n) noexcept nogil:
    cdef uint16_t[2 * BLOCK] side_by_side
    cdef uint16_t[HALVES] few
    cdef float[HALVES] wide
    cdef const float *x = <const float *>block
    cdef uint16_t *y = <uint16_t *>p if stride == sizeof(uint16_t) else side_by_side
    cdef npy_intp i
    if HALVES == 1:
        for i in range(n):
            y[i] = float_to_half(x[i])
    elif n >= HALVES:
        for i from 0 <= i < n - HALVES by HALVES:
            narrow_halves(x + i, y + i)
        narrow_halves(x + n - HALVES, y + n - HALVES)
    else:
        for i in range(HALVES):
            wide[i] = x[i] if i < n else 0
        narrow_halves(wide, few)
        for i in range(n):
            y[i] = few[i]
    if stride != sizeof(uint16_t):
        unpack(y, p, stride, n)

cdef extern from *:
    """
    /* Which half of a float's bytes has its sign. */
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define HIGH 0
    #else
    #define HIGH 1
    #endif
    """
    enum: HIGH

cdef inline float bfloat16_to_float(uint16_t b) noexcept nogil:
    return bits_float(<uint32_t>b << 16)

cdef inline float rounded_to_bfloat16(float x) noexcept nogil:
    """To nearest even, but for the lower half of its bits; every NaN becomes the quiet one of its sign, as in
    ml_dtypes."""
    cdef uint32_t bits = float_bits(x), sign = bits & <uint32_t>0x80000000, rounded
    rounded = bits + 0x7fff + ((bits >> 16) & 1)
    return bits_float(sign | <uint32_t>0x7fc00000 if <int32_t>(bits - sign) > <int32_t>0x7f800000 else rounded)

cdef inline uint16_t float_to_bfloat16(float x) noexcept nogil:
    return <uint16_t>(float_bits(rounded_to_bfloat16(x)) >> 16)

cdef void load_bfloat16(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil:
    cdef uint16_t[2 * BLOCK] side_by_side
    cdef const uint16_t *x = packed(p, stride, side_by_side, n)
    cdef float *y = <float *>block
    cdef npy_intp i
    for i in range(n):
        y[i] = bfloat16_to_float(x[i])

cdef void store_bfloat16(const void *block, char *p, npy_intp stride, npy_intp n) noexcept nogil:
    cdef uint16_t[2 * BLOCK] side_by_side
    cdef uint16_t *y = <uint16_t *>p if stride == sizeof(uint16_t) else side_by_side
    cdef const int16_t *halves = <const int16_t *>block
    cdef int16_t high, low, size, most = 0
    cdef int32_t bits, largest = 0
    cdef npy_intp i
    for i in range(n):                      # 16-bit lanes: half the instructions of an addition to the float's bits
        high, low = halves[2 * i + HIGH], halves[2 * i + 1 - HIGH]
        size = high & 0x7fff
        most = size if size > most else most
        y[i] = <uint16_t>(high + (<int16_t>(low ^ -0x8000) > <int16_t>-(high & 1)))
    if most >= 0x7f80:                      # infinite, or a NaN, which is not rounded
        for i in range(n):
            bits = <int32_t>float_bits((<const float *>block)[i]) & 0x7fffffff
            largest = bits if bits > largest else largest
    if largest > 0x7f800000:
        for i in range(n):
            y[i] = float_to_bfloat16((<const float *>block)[i])
    if stride != sizeof(uint16_t):
        unpack(y, p, stride, n)

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

cdef void look_up(const double *table, const char *x, npy_intp step, char *y, npy_intp y_step,
                  npy_intp n) noexcept nogil:
    cdef npy_intp i = 0
    if step == 1 and y_step == sizeof(double):
        while i + 8 <= n:
            look_up_eight(table, x + i, y + i * <npy_intp>sizeof(double))
            i += 8
    while i < n:
        (<double *>(y + i * y_step))[0] = table[(<const uint8_t *>(x + i * step))[0]]
        i += 1

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
    cdef npy_intp most, ahead = 0, strip = BLOCK, held = sizeof(Block) // sizeof(word)
    cdef int k
    if sizeof(word) == sizeof(double) and loop.table != NULL:
        look_up(loop.table, args[0] + begin * steps[0], steps[0], out + begin * out_step, out_step, end - begin)
        return
    # While a kernel computes, the next block can come from memory, and in small ones one stage's divisions overlap with
    # the next block's first stage. A kernel that does little waits for memory anyway, and the longer (Zen 4) the more
    # of it is asked for at once; bytes, what is gathered, and 16-bit floats from a cache take longer in small pieces.
    if loop.cost > 0.07 * sizeof(word) and (far or not loop.load_all):
        strip, ahead = min(<npy_intp>BLOCK, (STRIP if far else 2 * STRIP) // <npy_intp>sizeof(word)), far
    elif sizeof(word) >= 4 and steps[0] == sizeof(word) and far * <npy_intp>sizeof(word) > UNCACHED:
        strip = PACE // sizeof(word)
    # What is gathered or scattered, to or from a Block.
    if sizeof(word) > 4:
        if out_step != sizeof(word) or loop.store != NULL:
            strip = min(strip, held)
        for k in range(loop.operands):
            if steps[k] != sizeof(word) or args[k] == out or loop.load != NULL:
                strip = min(strip, held)
    most = head_of(out + begin * out_step, end - begin, out_step, loop, _) or strip
    for k in range(loop.nin):
        load[k] = loop.load if k == 0 or loop.load_all else NULL
        x[k] = &blocks[k] if k < loop.operands else loop.defaults[k]
        x[MAX_IN + k] = x[k] if k >= loop.operands or steps[k] == 0 else NULL
        if k < loop.operands and steps[k] == 0:             # broadcast: one value fills the block, once
            block = <word *>&blocks[k]
            gather(args[k], 0, block, 1, load[k])
            spread(block, min(strip, (end - begin + lanes - 1) & ~(lanes - 1)))
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

cdef inline bint pays_in_bytes(npy_intp n, const npy_intp *steps, const Loop *loop) noexcept nogil:
    """Whether a call's results depend on a byte alone, and are so many that it saves time to compute each once."""
    cdef int k
    for k in range(1, loop.operands):
        if steps[k] != 0:
            return False
    return loop.of_bytes and (n - BYTES) * loop.cost > n * LOOK_UP_NS

cdef void fill_table(char **args, const Loop *loop, double *table, word *_) noexcept nogil:
    """The results for all bytes, with a call's parameters."""
    cdef uint8_t[BYTES] every
    cdef char *operands[MAX_IN + 1]
    cdef npy_intp[MAX_IN + 1] step
    cdef int k
    for k in range(BYTES):
        every[k] = <uint8_t>k
    for k in range(loop.operands):
        operands[k], step[k] = args[k], 0
    operands[0], step[0] = <char *>every, 1
    operands[loop.operands], step[loop.operands] = <char *>table, sizeof(double)
    run(operands, 0, BYTES, step, loop, 0, _)

cdef inline void share_elements(char **args, npy_intp n, const npy_intp *steps, const Loop *loop,
                                word *_) noexcept nogil:
    """All elements, on several threads when they pay."""
    cdef npy_intp chunk, head, i
    cdef Share[MAX_SHARES] shares
    cdef double[BYTES] table
    cdef Loop tabled
    cdef void *team = NULL
    cdef int count, threads = 0
    cdef npy_intp far = n if n * <npy_intp>sizeof(word) > CACHED else 0
    if chained(args, steps, loop):
        for i in range(n):
            run(args, i, i + 1, steps, loop, far, _)
        return
    if sizeof(word) == sizeof(double) and pays_in_bytes(n, steps, loop):
        fill_table(args, loop, table, _)
        tabled = loop[0]
        tabled.table, tabled.cost = table, LOOK_UP_NS
        loop = &tabled
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
