"""The formulas: each written once, as one to three inline stages over a fused real type, composed into a block kernel.

A stage is plain branch-free arithmetic that the compiler vectorises; no libm call stands in a loop. A block kernel runs
the stages of one function one after another over at most BLOCK elements, through stack arrays that stay in L1: shorter
loops schedule better than one long one. For a single number the same stages are composed in a plain function, NAME.
`elementwise(...)` under them hands both over.

The idea common to all exponentials: z = n ln2 + t with n an integer and |t| <= ln2/2, found by adding a constant so
large that the sum has no fraction bits left (ROUND); the bias is added in the same step, so that shifting the
sum's low bits into the exponent field gives the power of two with no further integer work.
"""

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint32_t float_bits(float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
    static inline float bits_float(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }
    static inline uint64_t double_bits(double x) { uint64_t u; memcpy(&u, &x, sizeof u); return u; }
    static inline double bits_double(uint64_t u) { double x; memcpy(&x, &u, sizeof x); return x; }

    /* a * b + c, rounded once, where a formula counts on it. Without FMA: the product of floats is exact in double. */
    #if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    static inline float fused_float(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
    #else
    static inline float fused_float(float a, float b, float c) { return (float)((double)a * b + c); }
    #endif

    /* A bound that the compiler cannot see. Clamping to a known constant becomes compare and blend; to an unknown
       number it becomes one max or min instruction, which keeps a NaN in its second operand just the same. */
    static inline float hidden_float(float x) { volatile float v = x; return v; }
    static inline double hidden_double(double x) { volatile double v = x; return v; }
    """
    float fused_float(float a, float b, float c) noexcept nogil
    float hidden_float(float) noexcept nogil
    double hidden_double(double) noexcept nogil
    uint32_t float_bits(float) noexcept nogil
    float bits_float(uint32_t) noexcept nogil
    uint64_t double_bits(double) noexcept nogil
    double bits_double(uint64_t) noexcept nogil

cdef enum:
    BLOCK = 512     # the most elements a block kernel is given: its stage buffers stay in L1
    VECTOR = 64     # bytes: blocks are padded to whole vectors, so no element ever passes through scalar remainder code
    MAX_IN = 4      # the most inputs of an elementwise function

ctypedef fused number:              # what the driver can move: reals are computed, integers only by relu
    float
    double
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t

cdef class Kernel:
    """The block kernels of one elementwise function and what the driver must know of it."""
    cdef int nin
    cdef double cost            # ns for one float32, about: decides when threads pay
    cdef void *f32
    cdef void *f64
    cdef void *scalar32         # the stages composed directly, for one number; NULL if nothing calls that
    cdef void *scalar64
    cdef dict integers          # dtype kind and size ("i4") -> block kernel's address, if integers stay integers

cdef dict kernels = {}

cdef Kernel elementwise(str name, int nin, double cost, void *f32, void *f64, void *scalar32, void *scalar64):
    """Hand a function to the driver. cost: one float32's time on one core, ns, about."""
    cdef Kernel kernel = Kernel()
    kernel.nin, kernel.cost, kernel.integers = nin, cost, {}
    kernel.f32, kernel.f64, kernel.scalar32, kernel.scalar64 = f32, f64, scalar32, scalar64
    kernels[name] = kernel
    return kernel


# ---------------------------------------------------------------------------------------------- shared stages

cdef inline floating clamp(floating x, floating low, floating high) noexcept nogil:
    """x into [low, high], low < 0 < high; NaN stays NaN.

    float32 compares bit patterns as integers, which vectorises to two min instructions: shifting all patterns by
    0x7fffff moves the NaNs of both signs outside of the two ranges that are cut. AVX2 lacks 64-bit integer min.
    """
    cdef uint32_t u, lowest
    cdef int32_t i, highest
    if floating is float:
        u = float_bits(x) + <uint32_t>0x7fffff
        lowest = float_bits(low) + <uint32_t>0x7fffff
        i = <int32_t>(u if u < lowest else lowest)
        highest = <int32_t>(float_bits(high) + <uint32_t>0x7fffff)
        i = i if i < highest else highest
        return bits_float(<uint32_t>i - <uint32_t>0x7fffff)
    else:
        x = low if x < low else x
        return high if x > high else x

cdef inline floating exp_reduce(floating z, int shift, floating *scale) noexcept nogil:
    """z = n ln2 + t: returns t and sets scale = 2^(n + shift). The caller keeps n + shift within the exponent range."""
    cdef floating n
    if floating is float:
        n = z * <float>1.44269504 + <float>(12582912 + 127 + shift)             # 1.5 * 2^23
        scale[0] = bits_float(float_bits(n) << 23)
        n = n - <float>(12582912 + 127 + shift)
        z = z - n * <float>0.693359375                      # ln2 in two parts: n times the first is exact
        return z + n * <float>2.12194440e-4
    else:
        n = z * 1.4426950408889634074 + <double>(6755399441055744.0 + 1023 + shift)   # 1.5 * 2^52
        scale[0] = bits_double(double_bits(n) << 52)
        n = n - <double>(6755399441055744.0 + 1023 + shift)
        z = z - n * 6.93147180369123816490e-01
        return z - n * 1.90821492927058770002e-10

cdef inline floating exp_reduce_rounded(floating z, int shift, floating *scale) noexcept nogil:
    """exp_reduce for a z that is itself rounded: next to that error, of up to 6e-8 |z|, the 3e-9 |z| by which float32's
    ln2 in one part is off do not show."""
    cdef floating n
    if floating is float:
        n = z * <float>1.44269504 + <float>(12582912 + 127 + shift)
        scale[0] = bits_float(float_bits(n) << 23)
        return fused_float(<float>(12582912 + 127 + shift) - n, <float>0.69314718056, z)
    else:
        return exp_reduce(z, shift, scale)

cdef inline floating expm1_poly(floating t) noexcept nogil:
    """exp(t) - 1 for |t| <= ln2/2: minimax, degree 6 (float32) and 11 (float64)."""
    cdef floating t2 = t * t, t4, a, b, c, d, e
    if floating is float:
        a = <float>0.499999940395355224609375 + t * <float>0.16666518151760101318359375
        b = <float>4.1668236255645751953125e-2 + t * <float>8.369010873138904571533203125e-3
        b = b + t2 * <float>1.382395741529762744903564453125e-3
        a = a + t2 * b
    else:
        t4 = t2 * t2
        a = 0.5 + t * 0.16666666666666616
        b = 0.04166666666662069 + t * 0.00833333333337355
        c = 0.00138888889200357 + t * 0.00019841269750616228
        d = 2.4801517137532258e-05 + t * 2.7557383042707623e-06
        e = 2.762184797274857e-07 + t * 2.50601820873785e-08
        a = a + t2 * b
        c = c + t2 * d
        c = c + t4 * e
        a = a + t4 * c
    return t2 * a + t

cdef inline floating log1p_ratio(floating s) noexcept nogil:
    """log1p(e) for s = 2e / (2 + e), |s| <= 2/3: the odd series of 2 atanh(s/2), minimax."""
    cdef floating v = s * s, v2, v4, w, a, b, c, d
    if floating is float:
        w = <float>4.1885659447944148586e-4 + v * <float>1.1835357145173476295e-4
        w = <float>2.2355539258569478989e-3 + v * w
        w = <float>1.24996723604272507e-2 + v * w
        w = <float>8.33333432674407958984e-2 + v * w
    else:
        v2 = v * v
        v4 = v2 * v2
        a = 8.3333333333332884618e-2 + v * 1.2500000000048647544e-2
        b = 2.2321428553172062773e-3 + v * 4.3402781165494417955e-4
        c = 8.8778048744662992216e-5 + v * 1.8782409960512768075e-5
        d = 4.0591733412085926561e-6 + v * 9.2354637640106281233e-7
        a = a + v2 * b
        c = c + v2 * d
        c = c + v4 * (1.5915509778874054273e-7 + v * 8.1114323629799239328e-8)
        w = a + v4 * c
    return s + s * (v * w)


# ---------------------------------------------------------------------------------------------- sigmoid
# 1/(1 + exp(-x)) = S / (S + S 2^n exp(t)) with S = 2^-32 (2^-300): no branch on the sign of x, and since S 2^n
# is a normal number down to the last representable result, the division itself rounds into the subnormals.
# Every step is monotone, or its errors are smaller than what adjacent x differ by: with FMA, sigmoid never falls.

cdef inline floating sigmoid_unit(floating which) noexcept nogil:
    if floating is float:
        return <float>2.3283064365386962891e-10         # 2^-32
    else:
        return 4.909093465297726553e-91                 # 2^-300

cdef inline floating sigmoid_reduce(floating x, floating *scale) noexcept nogil:
    if floating is float:
        return exp_reduce(-clamp(x, <float>-104.0, <float>40.0), -32, scale)
    else:
        return exp_reduce(-clamp(x, -746.0, 50.0), -300, scale)

cdef inline floating sigmoid_finish(floating t, floating scale) noexcept nogil:
    cdef floating unit = sigmoid_unit(t), p = expm1_poly(t), larger, smaller, sum, divisor, rest, y
    if floating is float:
        return unit / (unit + scale * (<floating>1.0 + p))
    else:
        # What rounding takes from the divisor, and the quotient's remainder, put right.
        larger = unit if unit > scale else scale
        smaller = scale if unit > scale else unit
        sum = unit + scale
        divisor = sum + scale * p
        rest = scale * p - (divisor - sum) + (smaller - (sum - larger))
        y = 1.0 / divisor
        return unit * (y + y * ((1.0 - y * divisor) - y * rest))

cdef floating sigmoid(floating x) noexcept nogil:
    cdef floating scale = 0, t = sigmoid_reduce(x, &scale)
    return sigmoid_finish(t, scale)

cdef void sigmoid_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef npy_intp i
    for i in range(n):
        t[i] = sigmoid_reduce(a[i], &scale[i])
    for i in range(n):
        y[i] = sigmoid_finish(t[i], scale[i])

elementwise("sigmoid", 1, 0.4, <void *>sigmoid_block[float], <void *>sigmoid_block[double],
            <void *>sigmoid[float], <void *>sigmoid[double])


# ---------------------------------------------------------------------------------------------- tanh
# With x = n ln2/2 + u, s = 2^n and C = u / tanh(u), an even function: exp(2x) = s (C + u) / (C - u), and
# tanh(x) = ((s - 1) C + (s + 1) u) / ((s + 1) C + (s - 1) u). Near 0, where s = 1, that is u / C: nothing cancels.
# For -x the same numbers come with other signs and another power of two: odd to the bit.
# float64, in which not every CPU can fuse, takes |x| and N / (N + 2 (C - u)) with N = (s - 1)(C - u) + 2 s u, where
# 2 s u is exact: the numerator's rounding all but cancels.

cdef inline floating tanh_bound(const floating *_) noexcept nogil:
    """From where on tanh rounds to 1."""
    if floating is float:
        return hidden_float(<float>9.5)
    else:
        return hidden_double(20.0)

cdef inline floating tanh_reduce(floating x, floating bound, floating *scale) noexcept nogil:
    """exp_reduce(2x) / 2 of x clamped; float32 takes ln2 in one part, as tanh is flat where n is large."""
    cdef floating n
    if floating is float:
        x = -bound if -bound > x else x
        x = bound if bound < x else x
        n = x * <float>2.88539008 + <float>(12582912 + 127)
        scale[0] = bits_float(float_bits(n) << 23)
        return fused_float(n - <float>(12582912 + 127), <float>-0.34657359, x)
    else:
        x = bits_double(double_bits(x) & <uint64_t>0x7fffffffffffffff)
        x = bound if bound < x else x
        return 0.5 * exp_reduce(x + x, 0, scale)

cdef inline floating tanh_finish(floating x, floating u, floating scale) noexcept nogil:
    cdef floating z = u * u, v, c, d, less = <floating>1.0 - scale, more = <floating>1.0 + scale
    if floating is float:
        c = <float>1.0 + z * (<float>0.333332329988479616 + z * <float>-0.0221267249435192)
        return fused_float(-less, c, more * u) / fused_float(more, c, -less * u)
    else:
        v = z * z
        c = 0.33333333333333104 + z * -0.02222222222133947
        d = 0.0021164019982286442 + z * -0.0002116330410696762
        c = 1.0 + (z * (c + v * (d + v * 2.1175497336984434e-05)) - u)
        d = (scale + scale) * u - less * c
        d = d / (d + (c + c))
        return bits_double(double_bits(d) | (double_bits(x) & <uint64_t>0x8000000000000000))

cdef floating tanh(floating x) noexcept nogil:
    cdef floating scale = 0, u = tanh_reduce(x, tanh_bound(&x), &scale)
    return tanh_finish(x, u, scale)

cdef void tanh_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef floating bound = tanh_bound(a), u, s = 0
    cdef npy_intp i
    if floating is float:                   # short enough for one loop, which is faster then
        for i in range(n):
            u = tanh_reduce(a[i], bound, &s)
            y[i] = tanh_finish(a[i], u, s)
    else:
        for i in range(n):
            t[i] = tanh_reduce(a[i], bound, &scale[i])
        for i in range(n):
            y[i] = tanh_finish(a[i], t[i], scale[i])

elementwise("tanh", 1, 0.4, <void *>tanh_block[float], <void *>tanh_block[double],
            <void *>tanh[float], <void *>tanh[double])


# ---------------------------------------------------------------------------------------------- relu
# Written so that NaN, for which every comparison is false, passes through.

cdef inline number relu(number x) noexcept nogil:
    return <number>0 if x < 0 else x

cdef void relu_block(const number **x, number *y, npy_intp n) noexcept nogil:
    cdef const number *a = x[0]
    cdef npy_intp i
    for i in range(n):
        y[i] = relu(a[i])

elementwise("relu", 1, 0.2, <void *>relu_block[float], <void *>relu_block[double],
            <void *>relu[float], <void *>relu[double]).integers = {
    "i1": <size_t>relu_block[int8_t], "i2": <size_t>relu_block[int16_t],
    "i4": <size_t>relu_block[int32_t], "i8": <size_t>relu_block[int64_t],
    "u1": <size_t>relu_block[uint8_t], "u2": <size_t>relu_block[uint16_t],
    "u4": <size_t>relu_block[uint32_t], "u8": <size_t>relu_block[uint64_t],
}


# ---------------------------------------------------------------------------------------------- leaky_relu

cdef inline floating leaky_relu(floating x, floating negative_slope) noexcept nogil:
    cdef floating scaled = x * negative_slope       # not inside the select: that would stop vectorisation
    return x if x > 0 else scaled

cdef void leaky_relu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *slope = x[1]
    cdef npy_intp i
    for i in range(n):
        y[i] = leaky_relu(a[i], slope[i])

elementwise("leaky_relu", 2, 0.25, <void *>leaky_relu_block[float], <void *>leaky_relu_block[double],
            <void *>leaky_relu[float], <void *>leaky_relu[double])


# ---------------------------------------------------------------------------------------------- for rows: exp, log1p
# exp(z) for z <= 0, times 2^64 (2^512): sums of the scaled values cannot underflow, and the one multiplication by
# 2^-64 / sum at the end rounds into the subnormals. The clamp lies so low that a million clamped terms are nothing.

cdef inline floating exp_unit(floating which) noexcept nogil:
    if floating is float:
        return <float>18446744073709551616.0
    else:
        return 1.3407807929942597100e154

cdef inline floating lowest_exponent(const floating *_) noexcept nogil:
    if floating is float:
        return hidden_float(<float>-130.0)
    else:
        return hidden_double(-1060.0)

cdef inline floating scaled_exp(floating z, floating lowest) noexcept nogil:
    cdef floating t, scale = 0
    z = lowest if lowest > z else z
    if floating is float:
        t = exp_reduce_rounded(z, 64, &scale)
    else:
        t = exp_reduce_rounded(z, 512, &scale)
    return scale + scale * expm1_poly(t)

cdef void scaled_exp_block(const floating *x, floating m, floating *y, npy_intp n) noexcept nogil:
    """exp(x - m), m >= x."""
    cdef floating lowest = lowest_exponent(x)
    cdef npy_intp i
    for i in range(n):
        y[i] = scaled_exp(x[i] - m, lowest)

# log1p(u) for u >= 0: 1 + u = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); f = u 2^-k + (2^-k - 1) is exact or
# rounded once, and f = u while k = 0, so that small u lose nothing.

cdef inline floating log1p_reduce(floating u, floating *exponent) noexcept nogil:
    cdef uint32_t k32
    cdef uint64_t k64
    cdef floating down
    if floating is float:
        k32 = (float_bits(<float>1.0 + u) - <uint32_t>0x3f3504f3) >> 23
        down = bits_float((<uint32_t>127 - k32) << 23)
        exponent[0] = bits_float(k32 | <uint32_t>0x4b000000) - <float>8388608.0
    else:
        k64 = (double_bits(1.0 + u) - <uint64_t>0x3fe6a09e667f3bcd) >> 52
        down = bits_double((<uint64_t>1023 - k64) << 52)
        exponent[0] = bits_double(k64 | <uint64_t>0x4330000000000000) - 4503599627370496.0
    return u * down + (down - <floating>1.0)

cdef inline floating log1p_finish(floating f, floating exponent) noexcept nogil:
    cdef floating s = (f + f) / (<floating>2.0 + f)
    if floating is float:
        return exponent * <float>0.693359375 + (log1p_ratio(s) - exponent * <float>2.12194440e-4)
    else:
        return exponent * 6.93147180369123816490e-01 + (log1p_ratio(s) + exponent * 1.90821492927058770002e-10)

cdef void log1p_block(const floating *u, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] f
    cdef floating[BLOCK] exponent
    cdef npy_intp i
    for i in range(n):
        f[i] = log1p_reduce(u[i], &exponent[i])
    for i in range(n):
        y[i] = log1p_finish(f[i], exponent[i])
