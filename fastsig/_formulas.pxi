"""The formulas: each written once, as one to three inline stages over a fused real type, composed into a block kernel.

A stage is plain branch-free arithmetic that the compiler vectorises; no libm call stands in a loop. A block kernel runs
the stages of one function one after another over at most BLOCK elements, through stack arrays that stay in L1: shorter
loops schedule better than one long one. `elementwise(...)` under a kernel hands it to the driver.

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
    """
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
    cdef dict integers          # dtype kind and size ("i4") -> block kernel's address, if integers stay integers

cdef dict kernels = {}

cdef Kernel elementwise(str name, int nin, double cost, void *f32, void *f64):
    """Hand a function to the driver. cost: one float32's time on one core, ns, about."""
    cdef Kernel kernel = Kernel()
    kernel.nin, kernel.cost, kernel.f32, kernel.f64, kernel.integers = nin, cost, f32, f64, {}
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

cdef inline floating clamp_abs(floating x, floating high) noexcept nogil:
    """min(|x|, high); NaN stays NaN."""
    cdef int32_t i, highest
    if floating is float:
        i = <int32_t>((float_bits(x) & <uint32_t>0x7fffffff) + <uint32_t>0x7fffff)
        highest = <int32_t>(float_bits(high) + <uint32_t>0x7fffff)
        i = i if i < highest else highest
        return bits_float(<uint32_t>i - <uint32_t>0x7fffff)
    else:
        x = bits_double(double_bits(x) & <uint64_t>0x7fffffffffffffff)
        return high if x > high else x

cdef inline floating with_sign(floating magnitude, floating x) noexcept nogil:
    """magnitude (>= +0) with the sign of x."""
    if floating is float:
        return bits_float(float_bits(magnitude) | (float_bits(x) & <uint32_t>0x80000000))
    else:
        return bits_double(double_bits(magnitude) | (double_bits(x) & <uint64_t>0x8000000000000000))

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
        a = 0.5000000000000000111 + t * 0.16666666666666404839
        b = 4.1666666666525499496e-2 + t * 8.3333333334981059271e-3
        c = 1.3888888944997451226e-3 + t * 1.9841269501681203010e-4
        d = 2.4801491554792833119e-5 + t * 2.7557587967912126038e-6
        e = 2.7630839332295292160e-7 + t * 2.5000453683079705807e-8
        a = a + t2 * b
        c = c + t2 * d
        c = c + t4 * e
        a = a + t4 * c
    return t2 * a + t

cdef inline floating expm1_divisor(floating t) noexcept nogil:
    """B(t) such that exp(t) = 1 + t / B, |t| <= ln2/2: half the terms of a polynomial, and the division merges with one
    that the formula needs anyhow. B = 1 - t/2 + t^2 (1/12 - ...), summed so that only the last addition rounds at 1."""
    cdef floating z = t * t, a, b
    if floating is float:
        a = z * (<float>0.083333082497119904 + z * <float>-0.0013829203089699149)
    else:
        a = 0.08333333333333276 + z * -0.0013888888888337169
        b = 3.3068781222322566e-05 + z * -8.2669156667842264e-07
        b = b + (z * z) * 2.0679196618148861e-08
        a = z * (a + (z * z) * b)
    return <floating>1.0 + (a - t * <floating>0.5)

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
# is a normal number down to the last representable result, the division itself rounds into the subnormals. With
# exp(t) = (B + t)/B that is S B / (S B + S 2^n (B + t)).

cdef inline floating sigmoid_reduce(floating x, floating *scale) noexcept nogil:
    if floating is float:
        return exp_reduce(-clamp(x, <float>-104.0, <float>40.0), -32, scale)
    else:
        return exp_reduce(-clamp(x, -746.0, 50.0), -300, scale)

cdef inline floating sigmoid_finish(floating t, floating scale) noexcept nogil:
    cdef floating divisor = expm1_divisor(t), numerator
    if floating is float:
        numerator = <float>2.3283064365386962891e-10 * divisor      # 2^-32: exact
    else:
        numerator = 4.909093465297726553e-91 * divisor              # 2^-300
    return numerator / (numerator + scale * (divisor + t))

cdef void sigmoid_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef npy_intp i
    for i in range(n):
        t[i] = sigmoid_reduce(a[i], &scale[i])
    for i in range(n):
        y[i] = sigmoid_finish(t[i], scale[i])

elementwise("sigmoid", 1, 0.5, <void *>sigmoid_block[float], <void *>sigmoid_block[double])


# ---------------------------------------------------------------------------------------------- tanh
# tanh|x| = e / (e + 2) with e = exp(2|x|) - 1. With exp(2|x|) = s (1 + t/B), s = 2^n, that is m / (m + 2 B) for
# m = s t + (s - 1) B: s - 1 and s t are exact, and near 0, where s = 1, nothing cancels.

cdef inline floating tanh_reduce(floating x, floating *scale) noexcept nogil:
    cdef floating a
    if floating is float:
        a = clamp_abs(x, <float>9.5)
    else:
        a = clamp_abs(x, 20.0)
    return exp_reduce(a + a, 0, scale)

cdef inline floating tanh_finish(floating x, floating t, floating scale) noexcept nogil:
    cdef floating divisor = expm1_divisor(t)
    cdef floating m = scale * t + (scale - <floating>1.0) * divisor
    return with_sign(m / (m + (divisor + divisor)), x)

cdef void tanh_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef npy_intp i
    for i in range(n):
        t[i] = tanh_reduce(a[i], &scale[i])
    for i in range(n):
        y[i] = tanh_finish(a[i], t[i], scale[i])

elementwise("tanh", 1, 0.5, <void *>tanh_block[float], <void *>tanh_block[double])


# ---------------------------------------------------------------------------------------------- relu
# Written so that NaN, for which every comparison is false, passes through.

cdef inline number relu_scalar(number x) noexcept nogil:
    return <number>0 if x < 0 else x

cdef void relu_block(const number **x, number *y, npy_intp n) noexcept nogil:
    cdef const number *a = x[0]
    cdef npy_intp i
    for i in range(n):
        y[i] = relu_scalar(a[i])

elementwise("relu", 1, 0.2, <void *>relu_block[float], <void *>relu_block[double]).integers = {
    "i1": <size_t>relu_block[int8_t], "i2": <size_t>relu_block[int16_t],
    "i4": <size_t>relu_block[int32_t], "i8": <size_t>relu_block[int64_t],
    "u1": <size_t>relu_block[uint8_t], "u2": <size_t>relu_block[uint16_t],
    "u4": <size_t>relu_block[uint32_t], "u8": <size_t>relu_block[uint64_t],
}


# ---------------------------------------------------------------------------------------------- leaky_relu

cdef inline floating leaky_relu_scalar(floating x, floating negative_slope) noexcept nogil:
    cdef floating scaled = x * negative_slope       # not inside the select: that would stop vectorisation
    return x if x > 0 else scaled

cdef void leaky_relu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *slope = x[1]
    cdef npy_intp i
    for i in range(n):
        y[i] = leaky_relu_scalar(a[i], slope[i])

elementwise("leaky_relu", 2, 0.25, <void *>leaky_relu_block[float], <void *>leaky_relu_block[double])


# ---------------------------------------------------------------------------------------------- for rows: exp, log1p
# exp(z) for z <= 0, times 2^64 (2^512): sums of the scaled values cannot underflow, and the one multiplication by
# 2^-64 / sum at the end rounds into the subnormals. The clamp lies so low that a million clamped terms are nothing.

cdef inline floating exp_unit(floating which) noexcept nogil:
    if floating is float:
        return <float>18446744073709551616.0
    else:
        return 1.3407807929942597100e154

cdef inline floating scaled_exp_reduce(floating z, floating *scale) noexcept nogil:
    cdef uint32_t u, lowest
    if floating is float:
        u = float_bits(z) + <uint32_t>0x7fffff              # clamp from below alone; see clamp()
        lowest = float_bits(<float>-130.0) + <uint32_t>0x7fffff
        u = u if u < lowest else lowest
        return exp_reduce(bits_float(u - <uint32_t>0x7fffff), 64, scale)
    else:
        return exp_reduce(-1060.0 if z < -1060.0 else z, 512, scale)

cdef inline floating scaled_exp_finish(floating t, floating scale) noexcept nogil:
    return scale + scale * expm1_poly(t)

cdef void scaled_exp_block(const floating *x, floating m, floating *y, npy_intp n) noexcept nogil:
    """exp(x - m), m >= x."""
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef npy_intp i
    for i in range(n):
        t[i] = scaled_exp_reduce(x[i] - m, &scale[i])
    for i in range(n):
        y[i] = scaled_exp_finish(t[i], scale[i])

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
