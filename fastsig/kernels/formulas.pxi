"""The formulas: each written once, as one to three inline stages over a fused real type, composed into a block kernel.

A stage is plain branch-free arithmetic that the compiler vectorises; no libm call stands in a loop. A block kernel runs
the stages of one function one after another over at most BLOCK elements, through stack arrays that stay in L1. A CPU
works at as many vectors at once as it has registers for (Zen 3: for some 125 results), and the longer a loop is, the
more of them each vector takes, and for the longer: so a loop has about 15 multiply-adds, some of them beside a
division, which takes its time. For a single number the same stages are composed in a plain function, NAME.
`elementwise(...)` under them hands both over.

The idea common to all exponentials: z = n ln2 + t with n an integer and |t| <= ln2/2, found by adding a constant so
large that the sum has no fraction bits left (ROUND); the bias is added in the same step, so that shifting the
sum's low bits into the exponent field gives the power of two with no further integer work.

Subnormal numbers cost some CPUs 150 cycles each, also as terms that the result does not show. So an argument is clamped
where its power of two is 0 or infinite, not where the result is 0, and a square that no longer counts is not taken.
"""

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint32_t float_bits(float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
    static inline float bits_float(uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }
    static inline uint64_t double_bits(double x) { uint64_t u; memcpy(&u, &x, sizeof u); return u; }
    static inline double bits_double(uint64_t u) { double x; memcpy(&x, &u, sizeof x); return x; }

    #if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || (defined(__FP_FAST_FMAF) && defined(__FP_FAST_FMA)) \
        || (defined(_MSC_VER) && (defined(__AVX2__) || defined(_M_ARM64)))
    #define HAS_FMA 1
    #if defined(__GNUC__) || defined(__clang__)
    #define fmaf __builtin_fmaf
    #define fma __builtin_fma
    #else
    #include <math.h>
    #endif
    #else
    #define HAS_FMA 0
    #endif

    /* a * b + c, rounded once, where a formula counts on it. Without FMA: the product of floats is exact in double; to
       doubles comes what their product and the sum (Knuth's) have lost. */
    #if HAS_FMA
    static inline float fused_float(float a, float b, float c) { return fmaf(a, b, c); }
    static inline double fused_double(double a, double b, double c) { return fma(a, b, c); }
    static inline double rounded_off_double(double a, double b, double ab) { return fma(a, b, -ab); }
    #else
    static inline float fused_float(float a, float b, float c) { return (float)((double)a * b + c); }
    static inline double rounded_off_double(double a, double b, double ab) {            /* Dekker's, halved by masks */
        uint64_t mask = 0xfffffffff8000000u;
        double p = bits_double(double_bits(a) & mask), q = bits_double(double_bits(b) & mask);
        return ((p * q - ab) + (p * (b - q) + (a - p) * q)) + (a - p) * (b - q);
    }
    static inline double fused_double(double a, double b, double c) {
        double ab = a * b, sum = ab + c, part = sum - ab;
        return sum + (((ab - (sum - part)) + (c - part)) + rounded_off_double(a, b, ab));
    }
    #endif

    /* a * b + c, and a * b, where the compiler might fuse another product with the sum: as it would not do everywhere,
       bits would depend on where a number lies. test_sums.py finds such sums. */
    #if HAS_FMA
    #if defined(__GNUC__)                           /* gcc and clang would else multiply, by a constant 1, too */
    #define ALWAYS_ONE(b) (__builtin_constant_p(b) && (b) == 1)
    #else
    #define ALWAYS_ONE(b) 0
    #endif
    static inline float multiply_add_float(float a, float b, float c) { return ALWAYS_ONE(b) ? a + c : fmaf(a, b, c); }
    static inline double multiply_add_double(double a, double b, double c) {
        return ALWAYS_ONE(b) ? a + c : fma(a, b, c);
    }
    static inline float rounded_product_float(float a, float b) { return fmaf(a, b, 0.0f); }
    static inline double rounded_product_double(double a, double b) { return fma(a, b, 0.0); }
    #else
    static inline float multiply_add_float(float a, float b, float c) { return a * b + c; }
    static inline double multiply_add_double(double a, double b, double c) { return a * b + c; }
    static inline float rounded_product_float(float a, float b) { return a * b; }
    static inline double rounded_product_double(double a, double b) { return a * b; }
    #endif

    /* yes ? a : b of numbers that are there. clang would make a branch of it, load or compute each only where it is
       taken, and then not vectorise the loop. With masks, gcc would not vectorise all that it does for SSE2. */
    #if defined(__clang__)
    static inline float select_float(int yes, float a, float b) {
        uint32_t mask = -(uint32_t)yes;
        return bits_float((float_bits(a) & mask) | (float_bits(b) & ~mask));
    }
    static inline double select_double(int yes, double a, double b) {
        uint64_t mask = -(uint64_t)yes;
        return bits_double((double_bits(a) & mask) | (double_bits(b) & ~mask));
    }
    #else
    static inline float select_float(int yes, float a, float b) { return yes ? a : b; }
    static inline double select_double(int yes, double a, double b) { return yes ? a : b; }
    #endif

    /* A bound that the compiler cannot see. Clamping to a known constant becomes compare and blend; to an unknown
       number it becomes one max or min instruction, which keeps a NaN in its second operand just the same. */
    static inline float hidden_float(float x) { volatile float v = x; return v; }
    static inline double hidden_double(double x) { volatile double v = x; return v; }

    /* The same in a register, for what is hidden again for every few numbers. Else it is no faster, or slower. */
    #if defined(__GNUC__)
    static inline float obscured_float(float x) {
        uint32_t u = float_bits(x);
        __asm__("" : "+r"(u));
        return bits_float(u);
    }
    #else
    #define obscured_float hidden_float
    #endif

    /* x / 6, rounded once: a product and its remainder take a third of a division's time. */
    #if HAS_FMA
    static inline float sixth_float(float x) {
        float y = x * (1.0f / 6.0f);
        return fmaf(fmaf(-6.0f, y, x), 1.0f / 6.0f, y);
    }
    static inline double sixth_double(double x) {
        double y = x * (1.0 / 6.0);
        return fma(fma(-6.0, y, x), 1.0 / 6.0, y);
    }
    #else
    static inline float sixth_float(float x) { return x / 6.0f; }
    static inline double sixth_double(double x) { return x / 6.0; }
    #endif

    /* Memory for a block, or half of one of 8-byte elements, laid out for whole vectors. */
    #if defined(_MSC_VER)
    typedef struct { __declspec(align(64)) char bytes[1024 * 4]; } Block;
    #else
    typedef struct { char bytes[1024 * 4] __attribute__((aligned(64))); } Block;
    #endif
    """
    ctypedef struct Block:
        pass
    const bint HAS_FMA
    float fused_float(float a, float b, float c) noexcept nogil
    double fused_double(double a, double b, double c) noexcept nogil
    float multiply_add_float(float a, float b, float c) noexcept nogil
    double multiply_add_double(double a, double b, double c) noexcept nogil
    float rounded_product_float(float a, float b) noexcept nogil
    double rounded_product_double(double a, double b) noexcept nogil
    double rounded_off_double(double a, double b, double ab) noexcept nogil
    float sixth_float(float) noexcept nogil
    double sixth_double(double) noexcept nogil
    float select_float(bint yes, float a, float b) noexcept nogil
    double select_double(bint yes, double a, double b) noexcept nogil
    float hidden_float(float) noexcept nogil
    double hidden_double(double) noexcept nogil
    float obscured_float(float) noexcept nogil
    uint32_t float_bits(float) noexcept nogil
    float bits_float(uint32_t) noexcept nogil
    uint64_t double_bits(double) noexcept nogil
    double bits_double(uint64_t) noexcept nogil

ctypedef fused number:              # reals are computed, integers only by relu
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

cdef Kernel elementwise(const char *name, int nin, double cost, void *f32, void *f64, void *scalar32, void *scalar64):
    """Hand a function to the driver. cost: one float32's time on one core, ns, about."""
    return here.elementwise(name, nin, cost, f32, f64, scalar32, scalar64)


cdef inline npy_intp whole(npy_intp n, const number *_) noexcept nogil:
    """n. A block is made of whole vectors: the compiler, once it knows, leaves out all that is for single elements."""
    return n & -<npy_intp>(VECTOR // sizeof(number))

cdef inline bint uniform(const floating **x, int k) noexcept nogil:
    """Whether operand k has one value in the whole block: a loop may then read it once."""
    return x[MAX_IN + k] != NULL


# ---------------------------------------------------------------------------------------------- shared stages

cdef inline floating hidden(floating x) noexcept nogil:
    if floating is float:
        return hidden_float(x)
    else:
        return hidden_double(x)

cdef inline floating obscured(floating x) noexcept nogil:
    if floating is float:
        return obscured_float(x)
    else:
        return hidden_double(x)

cdef inline floating select(bint yes, floating a, floating b) noexcept nogil:
    """a if yes else b, never as a branch. Only a min or a max stays a conditional expression."""
    if floating is float:
        return select_float(yes, a, b)
    else:
        return select_double(yes, a, b)

cdef inline floating clamp(floating x, floating low, floating high) noexcept nogil:
    """x into [low, high], which are hidden() or come from outside; a NaN in x, and no other, stays."""
    x = low if low > x else x
    return high if high < x else x

cdef inline floating magnitude(floating x) noexcept nogil:
    if floating is float:
        return bits_float(float_bits(x) & <uint32_t>0x7fffffff)
    else:
        return bits_double(double_bits(x) & <uint64_t>0x7fffffffffffffff)

cdef inline floating bounded_magnitude(floating x, floating bound) noexcept nogil:
    """|x|, but not over the bound; a NaN stays."""
    cdef floating a = magnitude(x)
    return bound if bound < a else a

cdef inline floating multiply_add(floating a, floating b, floating c) noexcept nogil:
    """a * b + c, and of a sum with two products the one to fuse."""
    if floating is float:
        return multiply_add_float(a, b, c)
    else:
        return multiply_add_double(a, b, c)

cdef inline floating fused(floating a, floating b, floating c) noexcept nogil:
    """a * b + c, rounded once, also without FMA. Finite."""
    if floating is float:
        return fused_float(a, b, c)
    else:
        return fused_double(a, b, c)

cdef inline floating rounded_product(floating a, floating b) noexcept nogil:
    """a * b, and nothing that a sum could fuse."""
    if floating is float:
        return rounded_product_float(a, b)
    else:
        return rounded_product_double(a, b)

cdef inline floating rounded_off(floating a, floating b, floating ab) noexcept nogil:
    """a * b - ab for ab = a * b: what the product lost."""
    if floating is float:
        return fused_float(a, b, -ab)
    else:
        return rounded_off_double(a, b, ab)

cdef inline floating remainder(floating a, floating y, floating b) noexcept nogil:
    """a - y * b for y = a / b as rounded: exact. For a y about a / b, rounded."""
    cdef floating yb
    if floating is float:
        return fused_float(-y, b, a)
    elif HAS_FMA:
        return multiply_add(-y, b, a)
    else:
        yb = y * b
        return (a - yb) - rounded_off(y, b, yb)

cdef inline floating rough_inverse(floating x) noexcept nogil:
    """1 / x, of which a seventh may be wrong, for an x > 0: enough for what a rounding took."""
    if floating is float:
        return bits_float(<uint32_t>0x7ef311c7 - float_bits(x))
    else:
        return bits_double(<uint64_t>0x7fde623822fc16e6 - double_bits(x))

cdef inline floating nearest(floating z, floating factor, floating shift, floating *scale) noexcept nogil:
    """The integer n nearest to z * factor; sets scale = 2^(n + shift). The caller keeps n + shift within the exponent
    range, or just below: then scale is 0."""
    cdef floating n
    if floating is float:
        n = z * factor + (<float>(12582912 + 127) + shift)                      # 1.5 * 2^23
        scale[0] = bits_float(float_bits(n) << 23)
        return n - (<float>(12582912 + 127) + shift)
    else:
        n = z * factor + (6755399441055744.0 + 1023 + shift)                     # 1.5 * 2^52
        scale[0] = bits_double(double_bits(n) << 52)
        return n - (6755399441055744.0 + 1023 + shift)

cdef inline floating without_ln2(floating z, floating n) noexcept nogil:
    """z - n ln2, in two parts: n times the first is exact."""
    if floating is float:
        z = multiply_add(n, <float>-0.693359375, z)
        return z + n * <float>2.12194440e-4
    else:
        z = multiply_add(n, <double>-6.93147180369123816490e-01, z)
        return z - n * 1.90821492927058770002e-10

cdef inline floating exp_reduce(floating z, floating shift, floating *scale) noexcept nogil:
    """z = n ln2 + t: returns t and sets scale = 2^(n + shift)."""
    if floating is float:
        return without_ln2(z, nearest(z, <float>1.44269504, shift, scale))
    else:
        return without_ln2(z, nearest(z, <double>1.4426950408889634074, shift, scale))

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
    return multiply_add(t2, a, t)

# exp(z) times exp_unit, 2^64 (2^512), which does not underflow for any z whose exponential is not 0. What is
# computed from it is divided by exp_unit in its last step, and so rounds into the subnormals, once.

cdef inline floating exp_unit(floating which) noexcept nogil:
    if floating is float:
        return <float>18446744073709551616.0
    else:
        return 1.3407807929942597100e154

cdef inline floating exp_unit_inverse(floating which) noexcept nogil:
    return <floating>1.0 / exp_unit(which)

cdef inline floating lowest_exponent(const floating *_) noexcept nogil:
    """Its scale, and so its exponential, is 0, as those of all smaller numbers are taken to be."""
    if floating is float:
        return hidden_float(<float>-132.4)
    else:
        return hidden_double(-1064.0)

cdef inline floating exp_reduce_scaled(floating z, floating *scale) noexcept nogil:
    if floating is float:
        return exp_reduce(z, 64, scale)
    else:
        return exp_reduce(z, 512, scale)

cdef inline floating exp_finish(floating t, floating scale) noexcept nogil:
    """Also of a multiple of exp: a factor of its scale costs no rounding."""
    return multiply_add(scale, expm1_poly(t), scale)

# exp(z) for z <= 0 that is multiplied by a factor of any size: far below 0 it may be less than any number though the
# product is one. There it comes times 2^160 (2^1400), half of which the factor is multiplied by before, the product
# after.

cdef inline floating far_below(floating which) noexcept nogil:
    """From where on downwards."""
    if floating is float:
        return <float>-60.0
    else:
        return -500.0

cdef inline floating lowest_far_exponent(const floating *_) noexcept nogil:
    """The product is 0, however large the factor is."""
    if floating is float:
        return hidden_float(<float>-193.5)
    else:
        return hidden_double(-1456.0)

cdef inline floating far_shift(floating z) noexcept nogil:
    """What is added to the exponent."""
    if floating is float:
        return select(z < far_below(z), <float>160.0, <float>0.0)
    else:
        return select(z < far_below(z), 1400.0, 0.0)

cdef inline floating far_half(floating z) noexcept nogil:
    """Its half, as a factor."""
    if floating is float:
        return select(z < far_below(z), <float>8.271806125530277e-25, <float>1.0)
    else:
        return select(z < far_below(z), 1.90109156629516e-211, 1.0)

cdef inline floating exp_far(floating z, floating lowest) noexcept nogil:
    cdef floating scale = 0, t
    z = lowest if lowest > z else z
    t = exp_reduce(z, far_shift(z), &scale)
    return exp_finish(t, scale)

cdef inline floating times_far(floating factor, floating e, floating z) noexcept nogil:
    """factor exp(z), of exp_far()'s."""
    return factor * far_half(z) * e * far_half(z)

cdef inline floating log1p_series(floating v) noexcept nogil:
    """(log1p(e) / s - 1) / v for s = 2e / (2 + e), |s| <= 2/3, v = s^2: 2 atanh(s/2) is odd in s; minimax."""
    cdef floating v2, v4, w, a, b, c, d
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
    return w

cdef inline floating log1p_ratio(floating s, floating v) noexcept nogil:
    """log1p(e)"""
    return s + s * (v * log1p_series(v))


# ---------------------------------------------------------------------------------------------- sigmoid
# 1/(1 + exp(-x)) = S / (S + S 2^n exp(t)) with S = 2^-32 (2^-300): no branch on the sign of x, and since S 2^n
# is a normal number down to the last representable result, the division itself rounds into the subnormals.
# Every step is monotone, or its errors are smaller than what adjacent x differ by: with FMA, sigmoid never falls.

cdef inline floating sigmoid_unit(floating which) noexcept nogil:
    if floating is float:
        return <float>2.3283064365386962891e-10         # 2^-32
    else:
        return 4.909093465297726553e-91                 # 2^-300

cdef inline floating sigmoid_exponential(floating x, floating *scale) noexcept nogil:
    """For S exp(-x)."""
    if floating is float:
        return exp_reduce(-x, -32, scale)
    else:
        return exp_reduce(-x, -300, scale)

cdef inline floating sigmoid_low(const floating *_) noexcept nogil:
    """From where on downwards sigmoid rounds to 0. In float32 the scale is infinite there."""
    if floating is float:
        return hidden_float(<float>-110.9)
    else:
        return hidden_double(-746.0)

cdef inline floating sigmoid_high(const floating *_) noexcept nogil:
    """From where on it rounds to 1."""
    if floating is float:
        return hidden_float(<float>40.0)
    else:
        return hidden_double(50.0)

cdef inline floating sigmoid_reduce(floating x, floating low, floating high, floating *scale) noexcept nogil:
    return sigmoid_exponential(clamp(x, low, high), scale)

cdef inline floating sigmoid_finish(floating t, floating scale) noexcept nogil:
    cdef floating unit = sigmoid_unit(t), p = expm1_poly(t), sum, part, rest
    if floating is float:
        return unit / (unit + scale * (<floating>1.0 + p))
    else:
        sum = unit + scale                      # what this rounding takes goes back to the smaller terms
        part = sum - unit
        rest = (unit - (sum - part)) + (scale - part)
        unit = select(scale > 3.9e233, 0.0, unit)                        # 2^776, that of sigmoid_low
        return unit / (sum + multiply_add(scale, p, rest))

cdef floating sigmoid(floating x) noexcept nogil:
    cdef floating scale = 0, t = sigmoid_reduce(x, sigmoid_low(&x), sigmoid_high(&x), &scale)
    return sigmoid_finish(t, scale)

cdef void sigmoid_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef floating low = sigmoid_low(a), high = sigmoid_high(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        t[i] = sigmoid_reduce(a[i], low, high, &scale[i])
    for i in range(whole(n, y)):
        y[i] = sigmoid_finish(t[i], scale[i])

elementwise("sigmoid", 1, 0.4, <void *>sigmoid_block[float], <void *>sigmoid_block[double],
            <void *>sigmoid[float], <void *>sigmoid[double])


# ---------------------------------------------------------------------------------------------- tanh
# Of |x|, and the sign of x: odd to the bit. float32: exp(-2|x|) = (1 + p) / s, and tanh(|x|) = N / D with
# N = (s - 1) - p and D = (s + 1) + p. s is a power of two, so N, D and the quotient are each rounded once: nothing
# cancels, and tanh never falls.
# float64, in which not every CPU can fuse: with x = n ln2/2 + u, s = 2^n, T = tanh(n ln2/2) = (s - 1) / (s + 1) and
# C = u / tanh(u) = 1 + g, an even function, tanh(x) = T + (1 - T^2) (u - u h / (1 + h)) with h = g + T u. That is one
# division more than (s C - C + s u + u) / (s C + C + s u - u) has, but no more time, and its roundings hardly count.

cdef inline floating tanh_bound(const floating *_) noexcept nogil:
    """From where on tanh rounds to 1."""
    if floating is float:
        return hidden_float(<float>9.5)
    else:
        return hidden_double(20.0)

cdef inline floating tanh_reduce(floating x, floating bound, floating *scale) noexcept nogil:
    """float32: u = n ln2 - 2|x|, ln2 in one part, tanh being flat where n counts; float64: |x| - n ln2/2; n is at most
    52, lest s + 1 be rounded, and ln2/2 so much less as makes up for a T that is 1/3, rounded. Sets s = 2^n."""
    cdef floating n, most
    x = bounded_magnitude(x, bound)
    if floating is float:
        return fused_float(nearest(x, <float>2.88539008, 0, scale), <float>0.69314718, -(x + x))
    else:
        most = bound - 1.9
        n = nearest(most if most < x else x, <double>2.8853900817779268, 0, scale)
        x = x - n * 3.46573590184561910595e-01
        return x - n * 9.5410734e-11

cdef inline floating tanh_parts(floating u, floating scale, floating *divisor, floating *bend) noexcept nogil:
    """float32: N and D; float64: T, 1 - T^2 in place of D, and h."""
    cdef floating z = u * u, v, c, d
    if floating is float:
        c = <float>0.49999985 + u * <float>0.16666508
        d = <float>0.04166996 + u * <float>0.008369417 + z * <float>0.0013726904
        c = u + z * (c + z * d)
        divisor[0] = (scale + <float>1.0) + c
        d = (scale - <float>1.0) - c
    else:
        v = z * z
        c = 0.33333333333333104 + z * -0.02222222222133947
        d = 0.0021164019982286442 + z * -0.0002116330410696762
        c = z * (c + v * (d + v * 2.1175497336984434e-05))
        d = (scale - 1.0) / (scale + 1.0)
        divisor[0] = 1.0 - rounded_product(d, d)
        bend[0] = multiply_add(d, u, c)
    return d

cdef inline floating signed_as(floating a, floating x) noexcept nogil:
    """a >= 0 with the sign of x."""
    if floating is float:
        return bits_float(float_bits(a) | (float_bits(x) & <uint32_t>0x80000000))
    else:
        return bits_double(double_bits(a) | (double_bits(x) & <uint64_t>0x8000000000000000))

cdef inline floating tanh_finish(floating x, floating u, floating scale) noexcept nogil:
    cdef floating divisor = 0, h = 0, d = tanh_parts(u, scale, &divisor, &h)
    if floating is float:
        return signed_as(d / divisor, x)
    else:
        return signed_as(multiply_add(divisor, u - u * h / (1.0 + h), d), x)

cdef floating tanh(floating x) noexcept nogil:
    cdef floating scale = 0, u = tanh_reduce(x, tanh_bound(&x), &scale)
    return tanh_finish(x, u, scale)

cdef void tanh_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] u
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef floating bound = tanh_bound(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        u[i] = tanh_reduce(a[i], bound, &scale[i])
    for i in range(whole(n, y)):
        y[i] = tanh_finish(a[i], u[i], scale[i])

elementwise("tanh", 1, 0.4, <void *>tanh_block[float], <void *>tanh_block[double],
            <void *>tanh[float], <void *>tanh[double])


# ---------------------------------------------------------------------------------------------- relu
# Written so that NaN, for which every comparison is false, passes through.

cdef inline number relu(number x) noexcept nogil:
    if number is int64_t:       # which SSE2 cannot compare
        return x & (<int64_t>(<uint64_t>x >> 63) - 1)
    else:
        return <number>0 if x < 0 else x

cdef void relu_block(const number **x, number *y, npy_intp n) noexcept nogil:
    cdef const number *a = x[0]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = relu(a[i])

cdef inline int16_t clip16(int16_t x, int16_t most, int16_t inf, int16_t payload, int16_t quiet) noexcept nogil:
    """x of 16 bits, sign and magnitude, from -0.0 to `most`: no need to make floats of it. A NaN becomes quiet."""
    cdef int16_t positive = x if x > 0 else <int16_t>0
    cdef int16_t clipped = positive if positive < most else most
    cdef int16_t minus_zero = x if x == <int16_t>-0x8000 else <int16_t>0
    return (x & payload) | quiet if <int16_t>(x & 0x7fff) > inf else clipped | minus_zero

cdef inline int16_t clip_half(int16_t x, int16_t most) noexcept nogil:
    return clip16(x, most, 0x7c00, -1, 0x7e00)

cdef inline int16_t clip_bfloat16(int16_t x, int16_t most) noexcept nogil:
    return clip16(x, most, 0x7f80, -0x8000, 0x7fc0)

cdef void relu_half_block(const int16_t **x, int16_t *y, npy_intp n) noexcept nogil:
    cdef const int16_t *a = x[0]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = clip_half(a[i], 0x7c00)

cdef void relu_bfloat16_block(const int16_t **x, int16_t *y, npy_intp n) noexcept nogil:
    cdef const int16_t *a = x[0]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = clip_bfloat16(a[i], 0x7f80)

elementwise("relu", 1, 0.2, <void *>relu_block[float], <void *>relu_block[double],
            <void *>relu[float], <void *>relu[double]).as_stored = {
    "e": <size_t>relu_half_block, "E": <size_t>relu_bfloat16_block,
    "i1": <size_t>relu_block[int8_t], "i2": <size_t>relu_block[int16_t],
    "i4": <size_t>relu_block[int32_t], "i8": <size_t>relu_block[int64_t],
    "u1": <size_t>relu_block[uint8_t], "u2": <size_t>relu_block[uint16_t],
    "u4": <size_t>relu_block[uint32_t], "u8": <size_t>relu_block[uint64_t],
}


# ---------------------------------------------------------------------------------------------- leaky_relu

cdef inline floating leaky_relu(floating x, floating negative_slope) noexcept nogil:
    return select(x > 0, x, x * negative_slope)

cdef inline void leaky_relu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *slope = x[1]
    cdef floating negative_slope = slope[0]
    cdef npy_intp i
    if uniform(x, 1):
        for i in range(whole(n, y)):
            y[i] = leaky_relu(a[i], negative_slope)
    else:
        for i in range(whole(n, y)):
            y[i] = leaky_relu(a[i], slope[i])

elementwise("leaky_relu", 2, 0.25, <void *>leaky_relu_block[float], <void *>leaky_relu_block[double],
            <void *>leaky_relu[float], <void *>leaky_relu[double])


# ---------------------------------------------------------------------------------------------- for rows: log1p
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

cdef inline floating log_finish(floating s, floating exponent) noexcept nogil:
    """exponent * ln2 + log1p(e) for s = 2e / (2 + e)."""
    if floating is float:
        return exponent * <float>0.693359375 + (log1p_ratio(s, s * s) - exponent * <float>2.12194440e-4)
    else:
        return exponent * 6.93147180369123816490e-01 + (log1p_ratio(s, s * s) + exponent * 1.90821492927058770002e-10)

cdef inline floating log1p_finish(floating f, floating exponent) noexcept nogil:
    """exponent * ln2 + log1p(f), more exactly: of s as in log1p_series(), f - s f/2, roundings hardly count."""
    cdef floating half = <floating>0.5 * f, s = f / (<floating>1.0 + half), v = s * s
    cdef floating low = s * multiply_add(-v, log1p_series(v), half)
    if floating is float:
        return exponent * <float>0.693359375 + (f - multiply_add(exponent, <float>2.12194440e-4, low))
    else:
        return exponent * 6.93147180369123816490e-01 + (f - multiply_add(exponent, -1.90821492927058770002e-10, low))

cdef inline void log1p_block(const floating *u, floating *y, npy_intp n) noexcept nogil:
    """Few numbers, one a row: two stages would gain nothing, and need memory for what passes between them."""
    cdef floating f, exponent = 0
    cdef npy_intp i
    for i in range(whole(n, y)):
        f = log1p_reduce(u[i], &exponent)
        y[i] = log1p_finish(f, exponent)


# ---------------------------------------------------------------------------------------------- piecewise linear
# All written so that NaN, for which every comparison is false, passes through.

cdef floating relu6(floating x) noexcept nogil:
    return clamp(x, hidden(<floating>0.0), hidden(<floating>6.0))

cdef void relu6_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef floating zero = hidden(<floating>0.0), six = hidden(<floating>6.0)
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = clamp(a[i], zero, six)

cdef void relu6_half_block(const int16_t **x, int16_t *y, npy_intp n) noexcept nogil:
    cdef const int16_t *a = x[0]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = clip_half(a[i], 0x4600)

cdef void relu6_bfloat16_block(const int16_t **x, int16_t *y, npy_intp n) noexcept nogil:
    cdef const int16_t *a = x[0]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = clip_bfloat16(a[i], 0x40c0)

elementwise("relu6", 1, 0.2, <void *>relu6_block[float], <void *>relu6_block[double],
            <void *>relu6[float], <void *>relu6[double]).as_stored = {
    "e": <size_t>relu6_half_block, "E": <size_t>relu6_bfloat16_block,
}


cdef inline floating hard_tanh(floating x, floating min_val, floating max_val) noexcept nogil:
    """NaN comes through from all three, as from np.clip."""
    x = clamp(x, min_val, max_val)
    x = select(min_val != min_val, min_val, x)
    return select(max_val != max_val, max_val, x)

cdef inline void hard_tanh_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *min_val = x[1]
    cdef const floating *max_val = x[2]
    cdef floating low, high, nan
    cdef npy_intp i
    if uniform(x, 1) and uniform(x, 2):
        low, high = min_val[0], max_val[0]
        nan = low if low != low else high
        if nan != nan:
            for i in range(whole(n, y)):
                y[i] = nan
        else:
            for i in range(whole(n, y)):
                y[i] = clamp(a[i], low, high)
    else:
        for i in range(whole(n, y)):
            y[i] = hard_tanh(a[i], min_val[i], max_val[i])

elementwise("hard_tanh", 3, 0.25, <void *>hard_tanh_block[float], <void *>hard_tanh_block[double],
            <void *>hard_tanh[float], <void *>hard_tanh[double])


# (x + 3) / 6, and not x / 6 + 1 / 2: near -3, where the result crosses 0, the sum is exact.

cdef inline floating sixth(floating x) noexcept nogil:
    if floating is float:
        return sixth_float(x)
    else:
        return sixth_double(x)

cdef inline floating hard_gate(floating x, floating zero, floating six) noexcept nogil:
    """The bounds are hidden, too, lest the compiler finish the arithmetic for each of them apart."""
    return sixth(clamp(x + <floating>3.0, zero, six))

cdef floating hard_sigmoid(floating x) noexcept nogil:
    return hard_gate(x, hidden(<floating>0.0), hidden(<floating>6.0))

cdef inline void hard_sigmoid_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef floating zero = obscured(<floating>0.0), six = obscured(<floating>6.0)
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = hard_gate(a[i], zero, six)

elementwise("hard_sigmoid", 1, 0.2, <void *>hard_sigmoid_block[float], <void *>hard_sigmoid_block[double],
            <void *>hard_sigmoid[float], <void *>hard_sigmoid[double])


cdef inline floating hard_swish_gated(floating x, floating least, floating zero, floating six) noexcept nogil:
    x = least if least > x else x                   # -3: so that -inf gives -3 * 0 = -0.0
    return x * hard_gate(x, zero, six)

cdef floating hard_swish(floating x) noexcept nogil:
    return hard_swish_gated(x, hidden(<floating>-3.0), hidden(<floating>0.0), hidden(<floating>6.0))

cdef inline void hard_swish_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef floating least = obscured(<floating>-3.0), zero = obscured(<floating>0.0), six = obscured(<floating>6.0)
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = hard_swish_gated(a[i], least, zero, six)

elementwise("hard_swish", 1, 0.2, <void *>hard_swish_block[float], <void *>hard_swish_block[double],
            <void *>hard_swish[float], <void *>hard_swish[double])


# ---------------------------------------------------------------------------------------------- softsign

cdef inline floating softsign_far(const floating *_) noexcept nogil:
    """Where it has long been 1: beyond, it would be inf / inf."""
    if floating is float:
        return hidden_float(<float>1e30)
    else:
        return hidden_double(1e30)

cdef inline floating softsign_clamped(floating x, floating far) noexcept nogil:
    x = clamp(x, -far, far)
    return x / (<floating>1.0 + magnitude(x))

cdef floating softsign(floating x) noexcept nogil:
    return softsign_clamped(x, softsign_far(&x))

cdef inline void softsign_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef floating far = softsign_far(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = softsign_clamped(a[i], far)

elementwise("softsign", 1, 0.25, <void *>softsign_block[float], <void *>softsign_block[double],
            <void *>softsign[float], <void *>softsign[double])


# ---------------------------------------------------------------------------------------------- silu
# x / (1 + exp(-x)), with sigmoid's scaling: x is not divided by a number that overflows, and S, the last factor, is a
# power of two, which rounds nothing but subnormal results. Over `highest` the result is x.

cdef inline floating silu_lowest(const floating *_) noexcept nogil:
    """The result has long been -0.0, and the scale is infinite."""
    if floating is float:
        return hidden_float(<float>-110.9)
    else:
        return hidden_double(-917.7)

cdef inline floating silu_highest(const floating *_) noexcept nogil:
    return hidden(<floating>40.0)

cdef inline floating silu_reduce(floating x, floating highest, floating *scale) noexcept nogil:
    return sigmoid_exponential(highest if highest < x else x, scale)

cdef inline floating silu_finish(floating x, floating t, floating scale, floating highest) noexcept nogil:
    """x sigmoid(z) for exp(-z) = scale exp(t) / S."""
    cdef floating unit = sigmoid_unit(x), y = x / (unit + scale * (<floating>1.0 + expm1_poly(t))) * unit
    return select(x > highest, x, y)

cdef floating silu(floating x) noexcept nogil:
    cdef floating scale = 0, lowest = silu_lowest(&x), highest = silu_highest(&x), t
    x = lowest if lowest > x else x
    t = silu_reduce(x, highest, &scale)
    return silu_finish(x, t, scale, highest)

cdef void silu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef floating lowest = silu_lowest(a), highest = silu_highest(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        t[i] = silu_reduce(lowest if lowest > a[i] else a[i], highest, &scale[i])
    for i in range(whole(n, y)):
        y[i] = silu_finish(lowest if lowest > a[i] else a[i], t[i], scale[i], highest)

elementwise("silu", 1, 0.4, <void *>silu_block[float], <void *>silu_block[double],
            <void *>silu[float], <void *>silu[double])


# ---------------------------------------------------------------------------------------------- mish
# With E = exp(x): tanh(log1p(E)) = N / (N + 2), N = E (E + 2), all of them positive. N = E^2 + 2 E is never rounded: it
# is 2 scale, a power of two, and a rest P, and times x or plus 2 they are one multiply-add. In float64 what quotient,
# product and sum have lost together comes from these, in an order in which nothing large is rounded.

cdef inline floating mish_highest(const floating *_) noexcept nogil:
    """From where on mish(x) rounds to x."""
    return hidden(<floating>20.0)

cdef inline floating mish_reduce(floating x, floating one, floating highest, floating *scale) noexcept nogil:
    """P, and 2 scale. `one` is hidden; beside 2, an E of one unit does not count."""
    cdef floating p = expm1_poly(exp_reduce_scaled(highest if highest < x else x, scale)), e
    p = scale[0] * p
    e = scale[0] + p
    scale[0] = scale[0] + scale[0]
    return multiply_add(e, (one if one > e else e) * exp_unit_inverse(x), p + p)

cdef inline floating mish_finish(floating x, floating p, floating scale, floating highest) noexcept nogil:
    cdef floating two = exp_unit(x) + exp_unit(x), y = multiply_add(x, p, x * scale), inverse, rest
    if floating is float:
        y = y / (p + (scale + two))
    else:
        inverse = 1.0 / (p + (scale + two))
        y = rounded_product(y, inverse)
        rest = multiply_add(-y, scale, multiply_add(-two, y, x * scale))
        y = signed_as(multiply_add(multiply_add(x - y, p, rest), inverse, y), x)        # -0.0 has become 0
    return select(x > highest, x, y)

cdef floating mish(floating x) noexcept nogil:
    cdef floating scale = 0, lowest = lowest_exponent(&x), highest = mish_highest(&x), p
    x = lowest if lowest > x else x
    p = mish_reduce(x, hidden(<floating>1.0), highest, &scale)
    return mish_finish(x, p, scale, highest)

cdef void mish_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] p
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef floating lowest = lowest_exponent(a), highest = mish_highest(a), one = hidden(<floating>1.0)
    cdef npy_intp i
    for i in range(whole(n, y)):
        p[i] = mish_reduce(lowest if lowest > a[i] else a[i], one, highest, &scale[i])
    for i in range(whole(n, y)):
        y[i] = mish_finish(lowest if lowest > a[i] else a[i], p[i], scale[i], highest)

elementwise("mish", 1, 0.5, <void *>mish_block[float], <void *>mish_block[double],
            <void *>mish[float], <void *>mish[double])


# ---------------------------------------------------------------------------------------------- elu, selu, celu

cdef inline floating expm1_lowest(const floating *_) noexcept nogil:
    """From where on downwards expm1 rounds to -1."""
    if floating is float:
        return obscured_float(<float>-20.0)
    else:
        return hidden_double(-40.0)

cdef inline floating expm1_reduce(floating z, floating *scale) noexcept nogil:
    """exp_reduce() for z <= 0: where n is large, 1 is larger than what a less exact ln2 costs."""
    if floating is float and HAS_FMA:
        return multiply_add(nearest(z, <float>1.44269504, 0, scale), <float>-0.69314718, z)
    else:
        return exp_reduce(z, 0, scale)

cdef inline floating expm1(floating z, floating lowest) noexcept nogil:
    """exp(z) - 1 for z <= 0. Near 0 the scale is 1, and nothing cancels."""
    cdef floating t, scale = 0
    z = lowest if lowest > z else z
    t = expm1_reduce(z, &scale)
    return scale * expm1_poly(t) + (scale - <floating>1.0)

cdef inline floating elu_branch(floating x, floating alpha, floating lowest) noexcept nogil:
    return select(x >= 0, x, alpha * expm1(x, lowest))

cdef floating elu(floating x, floating alpha) noexcept nogil:
    return elu_branch(x, alpha, expm1_lowest(&x))

cdef inline void elu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *alpha = x[1]
    cdef floating lowest = expm1_lowest(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = elu_branch(a[i], alpha[i], lowest)

elementwise("elu", 2, 0.4, <void *>elu_block[float], <void *>elu_block[double],
            <void *>elu[float], <void *>elu[double])

cdef inline floating selu_branch(floating x, floating lowest) noexcept nogil:
    return select(x >= 0, <floating>1.0507009873554805 * x, <floating>1.7580993408473766 * expm1(x, lowest))

cdef floating selu(floating x) noexcept nogil:
    return selu_branch(x, expm1_lowest(&x))

cdef inline void selu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef floating lowest = expm1_lowest(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = selu_branch(a[i], lowest)

elementwise("selu", 1, 0.4, <void *>selu_block[float], <void *>selu_block[double],
            <void *>selu[float], <void *>selu[double])

cdef inline floating quotient(floating x, floating alpha, floating *rest) noexcept nogil:
    """x / alpha, and what that has lost to rounding."""
    # Multiplied by a power of 2, so that z * alpha and what it lost keep within the range.
    cdef floating power = select(magnitude(alpha) < <floating>1e-10, exp_unit(x), <floating>0.25)
    cdef floating scaled = x * power, divisor = alpha * power, z = x / alpha, back
    back = rounded_product(z, divisor)
    rest[0] = ((scaled - back) - rounded_off(z, divisor, back)) * (<floating>1.0 / divisor)
    rest[0] = select(magnitude(rest[0]) < 1, rest[0], <floating>0.0)        # not if x or alpha is infinite
    return z

cdef inline floating linear_below(const floating *_) noexcept nogil:
    """Where expm1(z) is z, and a quotient z of subnormal size need not be multiplied back."""
    if floating is float:
        return <float>2e-8
    else:
        return 4e-17

cdef inline floating celu_of_positive(floating x, floating alpha, floating lowest) noexcept nogil:
    cdef floating z = x / alpha
    return select((x >= 0) | (magnitude(z) < linear_below(&x)), x, alpha * expm1(z, lowest))

cdef inline floating celu_branch(floating x, floating alpha, floating lowest) noexcept nogil:
    """For a negative alpha expm1's argument is positive: it feels what the quotient has lost, and may be infinite where
    the product is not. So above `large` it comes divided by a unit, from a scale that is but bits, half of which alpha
    is multiplied by before, the product after."""
    cdef floating rest = 0, z = quotient(x, alpha, &rest), large, top, half, one, t, scale = 0, smaller, y
    if floating is float:
        large, top, half = <float>80.0, <float>193.0, <float>7.555786372591432e22           # 2^76
    else:
        large, top, half = 600.0, 1455.0, 3.599131035634557e162                             # 2^540
    y = clamp(z, lowest, top)
    t = exp_reduce(y, 0, &scale)
    t = select(z > 0, t, expm1_reduce(y, &scale)) + select(z > <floating>0.01, rest, <floating>0.0)
    if floating is float:
        smaller = bits_float(float_bits(scale) - <uint32_t>(152 << 23))
    else:
        smaller = bits_double(double_bits(scale) - (<uint64_t>1080 << 52))
    scale = select(z > large, smaller, scale)
    one = select(z > large, <floating>0.0, <floating>1.0)
    half = select(z > large, half, <floating>1.0)
    y = select(z > top, <floating>INFINITY, scale * expm1_poly(t) + (scale - one))
    y = alpha * half * y * half
    return select((x >= 0) | (magnitude(z) < linear_below(&x)), x, select(alpha == 0, alpha, y))

cdef floating celu(floating x, floating alpha) noexcept nogil:
    return celu_branch(x, alpha, expm1_lowest(&x))

cdef void celu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *alpha = x[1]
    cdef floating lowest = expm1_lowest(a), positive
    cdef npy_intp i
    if uniform(x, 1) and alpha[0] > 0:
        positive = alpha[0]
        for i in range(whole(n, y)):
            y[i] = celu_of_positive(a[i], positive, lowest)
    else:
        for i in range(whole(n, y)):
            y[i] = celu_branch(a[i], alpha[i], lowest)

elementwise("celu", 2, 0.5, <void *>celu_block[float], <void *>celu_block[double],
            <void *>celu[float], <void *>celu[double])


# ---------------------------------------------------------------------------------------------- softplus, log_sigmoid
# With z = beta x: softplus(x) = max(x, 0) + log1p(E) / beta, E = exp(-|z|), and log_sigmoid(x) = -softplus(-x).
# In float32 it never falls, given FMA, as each step either rises with x or has an error that is small next to what
# adjacent x differ by. log1p(E) = C + log1p(u) with u = E or, for the larger E, (1 + E) exp(-C) - 1, from exp's own
# parts, and log1p(u) = u + u^2 q(u). C has few bits, and exp(-C) is a float32 but for 4e-10. Where z is small, the sum
# of x and log1p(E) would cancel, and E = exp(z) does instead.

cdef inline floating softplus_small(floating _) noexcept nogil:
    """Up to where E = exp(z), z > 0; within ln2/2."""
    if floating is float:
        return <float>0.34
    else:
        return 0.0

cdef inline floating softplus_highest(const floating *_) noexcept nogil:
    """From where on z + E rounds to z."""
    return hidden(<floating>40.0)

cdef inline floating softplus_least(const floating *_) noexcept nogil:
    """An E whose square does not count beside it, and whose eighth power is a normal number."""
    return hidden(<floating>1e-30)

cdef inline floating softplus_reduce(floating z, floating rest, floating lowest, floating highest, bint of_any,
                                     floating *scale) noexcept nogil:
    """t for E = 2^n exp(t), and the scale: of_any() beta, as exp_far() has it. Where z counts for more, E need not be
    as small as it is; rest is what |z| has lost."""
    cdef floating a = -magnitude(clamp(z, lowest, highest))
    rest = select(-magnitude(z) < lowest, <floating>0.0, rest)
    if floating is float:
        rest = select(a >= -softplus_small(z), <float>0.0, rest)
        a = select(a >= -softplus_small(z), z, a)
    a = exp_reduce(a, far_shift(a), scale) if of_any else exp_reduce_scaled(a, scale)
    return a - rest

cdef inline floating softplus_part(floating t, floating scale, floating unit, floating *e,
                                   floating *base) noexcept nogil:
    """u, for log1p(E) = C + log1p(u), and C; float64: s as in log1p_series(), and what E has lost times 1 / (1 + E), or
    about that. Sets E / unit. unit: what the scale is to be multiplied by."""
    cdef floating p = expm1_poly(t), k, u
    e[0] = scale + scale * p
    if floating is float:
        k = scale * (<float>0.5545492768287659 * unit)
        # All fused as it says: some compilers put a product before the branch that they make of a select, and its sum
        # behind.
        u = multiply_add(k, p, k - <float>0.44545072317123413)
        base[0] = select(e[0] * unit > <float>0.33, <float>0.589599609375, <float>0.0)
        return select(e[0] * unit > <float>0.33, u, e[0] * unit)
    else:
        k = e[0] * unit
        u = multiply_add(scale, p, scale - e[0])
        base[0] = u * select(k > 1e-250, 0.62 * unit, <double>0.0)      # lest the product be subnormal
        return k / (1.0 + 0.5 * k)

cdef inline floating softplus_linear(floating x, floating z) noexcept nogil:
    return select(z <= softplus_small(z), <floating>0.0, x)

cdef inline floating softplus_sum(floating linear, floating z, floating u, floating base, floating e,
                                  floating per_beta, floating least) noexcept nogil:
    """linear + log1p(E) / beta; float64: log1p(E) = E - s (E/2 - s^2 w)"""
    cdef floating q, v, high, low
    if floating is float:
        q = multiply_add(u, <float>0.09566057, <float>-0.14130913)                      # no u^2: it may be subnormal
        q = multiply_add(u, q, <float>0.14659238)
        q = multiply_add(u, q, <float>-0.16586223)
        q = multiply_add(u, q, <float>0.19980821)
        q = multiply_add(u, q, <float>-0.2500125)
        q = multiply_add(u, q, <float>0.33333606)
        q = multiply_add(u, q, <float>-0.5)
        u = multiply_add(u, u * q, u)
        high = multiply_add(base, per_beta, linear)
        low = linear - multiply_add(-base, per_beta, high)
        low = select(base > 0, low, <float>0.0)                 # linear may be infinite
        high = high + multiply_add(u, per_beta, low)
        return select(per_beta - per_beta == 0, high, z + per_beta)       # for beta = 0, not inf - inf
    else:
        q = 0.5 * e
        q = least if least > q else q
        v = least if least > u else u
        u = select(u > 1e-100, u, <double>0.0)                  # lest its product with q be subnormal
        v = v * v
        low = multiply_add(u, multiply_add(-v, log1p_series(v), q), -base)
        return select(per_beta - per_beta == 0, e * per_beta + (linear - low * per_beta), z + per_beta)

cdef inline floating softplus_of_beta(floating x, floating z, floating u, floating base, floating e, floating beta,
                                      floating least) noexcept nogil:
    """For any beta: where log1p(E) is E, that may be a number only when divided by beta; the sum is then not used. A
    subnormal beta, whose inverse is infinite, is multiplied by a power of two, and so is what comes of it."""
    cdef floating normal, power, up, per_beta, tail, y
    if floating is float:
        normal, power = <float>1.1754943508222875e-38, <float>16777216.0            # 2^24
    else:
        normal, power = 2.2250738585072014e-308, 9007199254740992.0                 # 2^53
    up = select(magnitude(beta) < normal, power, <floating>1.0)
    x = rounded_product(x, select(magnitude(beta) < normal, <floating>1.0 / power, <floating>1.0))
    per_beta = <floating>1.0 / (beta * up)
    tail = times_far(per_beta, e, z)
    y = softplus_sum(softplus_linear(x, z), z, u, base, e, per_beta, least)
    return select(z < <floating>-40.0, tail, y) * up

cdef floating softplus(floating x, floating beta) noexcept nogil:
    cdef floating scale = 0, z = rounded_product(x, beta), base = 0, e = 0
    cdef floating rest = rounded_off(magnitude(x), magnitude(beta), magnitude(z))
    cdef floating t, u
    if beta == 1:
        t = softplus_reduce(x, <floating>0.0, lowest_exponent(&x), softplus_highest(&x), False, &scale)
        u = softplus_part(t, scale, exp_unit_inverse(x), &e, &base)
        e = e * exp_unit_inverse(x)
        return softplus_sum(softplus_linear(x, x), x, u, base, e, <floating>1.0, softplus_least(&x))
    t = softplus_reduce(z, rest, lowest_far_exponent(&x), softplus_highest(&x), True, &scale)
    u = softplus_part(t, scale, <floating>1.0, &e, &base)
    return softplus_of_beta(x, z, u, base, e, beta, softplus_least(&x))

cdef inline floating flipped(floating x, floating zero) noexcept nogil:
    """x, or -x if zero is -0.0."""
    if floating is float:
        return bits_float(float_bits(x) ^ float_bits(zero))
    else:
        return bits_double(double_bits(x) ^ double_bits(zero))

cdef void softplus_of_one_block(const floating *a, floating zero, floating *y, npy_intp n) noexcept nogil:
    """softplus(a), or -softplus(-a) if zero is -0.0."""
    cdef Block[3] blocks                                    # as costly a kernel is given no more than a Block at a time
    cdef floating *u = <floating *>&blocks[0]
    cdef floating *scale = <floating *>&blocks[1]
    cdef floating *base = <floating *>&blocks[2]
    cdef floating lowest = lowest_exponent(a), highest = softplus_highest(a), least = softplus_least(a), x, e
    cdef npy_intp i
    for i in range(whole(n, y)):
        u[i] = softplus_reduce(flipped(a[i], zero), <floating>0.0, lowest, highest, False, &scale[i])
    for i in range(whole(n, y)):
        u[i] = softplus_part(u[i], scale[i], exp_unit_inverse(least), &scale[i], &base[i])
    for i in range(whole(n, y)):
        x, e = flipped(a[i], zero), scale[i] * exp_unit_inverse(least)
        y[i] = flipped(softplus_sum(softplus_linear(x, x), x, u[i], base[i], e, <floating>1.0, least), zero)

cdef void softplus_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef Block[3] blocks
    cdef floating *u = <floating *>&blocks[0]
    cdef floating *scale = <floating *>&blocks[1]
    cdef floating *base = <floating *>&blocks[2]
    cdef const floating *a = x[0]
    cdef const floating *beta = x[1]
    cdef floating lowest = lowest_far_exponent(a), highest = softplus_highest(a), least = softplus_least(a), z
    cdef npy_intp i
    if uniform(x, 1) and beta[0] == 1:
        softplus_of_one_block(a, <floating>0.0, y, n)
        return
    for i in range(whole(n, y)):
        z = rounded_product(a[i], beta[i])
        u[i] = rounded_off(magnitude(a[i]), magnitude(beta[i]), magnitude(z))
        u[i] = softplus_reduce(z, u[i], lowest, highest, True, &scale[i])
    for i in range(whole(n, y)):
        u[i] = softplus_part(u[i], scale[i], <floating>1.0, &scale[i], &base[i])
    for i in range(whole(n, y)):
        z = rounded_product(a[i], beta[i])
        y[i] = softplus_of_beta(a[i], z, u[i], base[i], scale[i], beta[i], least)

elementwise("softplus", 2, 0.8, <void *>softplus_block[float], <void *>softplus_block[double],
            <void *>softplus[float], <void *>softplus[double])

cdef floating log_sigmoid(floating x) noexcept nogil:
    return -softplus(-x, <floating>1.0)

cdef void log_sigmoid_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    softplus_of_one_block(x[0], <floating>-0.0, y, n)

elementwise("log_sigmoid", 1, 0.6, <void *>log_sigmoid_block[float], <void *>log_sigmoid_block[double],
            <void *>log_sigmoid[float], <void *>log_sigmoid[double])


# ---------------------------------------------------------------------------------------------- binary cross entropy
# softplus(x) - x y = w |x| + log1p(exp(-|x|)), where w is the share of the answer that x speaks against: 1 - y for
# x >= 0, else y. For y in [0, 1] nothing cancels.

cdef inline floating against(floating x, floating y) noexcept nogil:
    return select(x < 0, y, <floating>1.0 - y)

cdef inline floating against_linear(floating x, floating y) noexcept nogil:
    """w |x|, and 0 for w = 0 at infinity, too."""
    cdef floating w = against(x, y), linear = rounded_product(w, magnitude(x))
    return select(w == 0, <floating>0.0, linear)

cdef floating binary_cross_entropy_with_logits(floating x, floating y) noexcept nogil:
    cdef floating scale = 0, z = -magnitude(x), base = 0, e = 0
    cdef floating t = softplus_reduce(z, <floating>0.0, lowest_exponent(&x), softplus_highest(&x), False, &scale)
    cdef floating u = softplus_part(t, scale, exp_unit_inverse(x), &e, &base)
    e = e * exp_unit_inverse(x)
    return softplus_sum(against_linear(x, y), z, u, base, e, <floating>1.0, softplus_least(&x))

cdef void binary_cross_entropy_with_logits_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] u
    cdef floating[BLOCK] scale
    cdef floating[BLOCK] base
    cdef const floating *a = x[0]
    cdef const floating *b = x[1]
    cdef floating lowest = lowest_exponent(a), highest = softplus_highest(a), least = softplus_least(a), z, e
    cdef npy_intp i
    for i in range(whole(n, y)):
        u[i] = softplus_reduce(-magnitude(a[i]), <floating>0.0, lowest, highest, False, &scale[i])
    for i in range(whole(n, y)):
        u[i] = softplus_part(u[i], scale[i], exp_unit_inverse(least), &scale[i], &base[i])
    for i in range(whole(n, y)):
        z, e = -magnitude(a[i]), scale[i] * exp_unit_inverse(least)
        y[i] = softplus_sum(against_linear(a[i], b[i]), z, u[i], base[i], e, <floating>1.0, least)

elementwise("binary_cross_entropy_with_logits", 2, 0.7,
            <void *>binary_cross_entropy_with_logits_block[float],
            <void *>binary_cross_entropy_with_logits_block[double],
            <void *>binary_cross_entropy_with_logits[float], <void *>binary_cross_entropy_with_logits[double])


# ---------------------------------------------------------------------------------------------- logit
# p / (1 - p) = 2^k r with r about 1, and log(r) = 2 atanh((r - 1) / (r + 1)). 1 - p is q + rest, exactly, so that for
# k = 0 the numerator is 2p - 1 to the last bit. The difference of the bit patterns of p and q gives k without a
# division. A tiny p is multiplied by 2^64 (2^512) first: k is found in the exponent field, which subnormals lack.

cdef inline floating logit_reduce(floating p, floating *exponent) noexcept nogil:
    """2 (r - 1) / (r + 1) and k."""
    cdef floating q = <floating>1.0 - p, rest = (<floating>1.0 - q) - p, unit = exp_unit(p), lifted = p * unit, bias
    cdef uint32_t k32
    cdef uint64_t k64
    if floating is float:
        bias = <float>(8388608 + 128)
        bias = select(p < <float>5.4210109e-20, bias + <float>64.0, bias)
        lifted = select(p < <float>5.4210109e-20, lifted, p)
        k32 = (float_bits(lifted) - float_bits(q) + <uint32_t>0x40400000) >> 23         # k + 128, rounded
        exponent[0] = bits_float(k32 | <uint32_t>0x4b000000) - bias
        lifted = lifted * bits_float((<uint32_t>255 - k32) << 23)
    else:
        bias = <double>(4503599627370496 + 1024)
        bias = select(p < 7.4583407312002067e-155, bias + 512.0, bias)
        lifted = select(p < 7.4583407312002067e-155, lifted, p)
        k64 = (double_bits(lifted) - double_bits(q) + <uint64_t>0x4008000000000000) >> 52
        exponent[0] = bits_double(k64 | <uint64_t>0x4330000000000000) - bias
        lifted = lifted * bits_double((<uint64_t>2047 - k64) << 52)
    rest = (lifted - q) - rest
    return (rest + rest) / (lifted + q)

cdef inline floating logit_finish(floating p, floating s, floating exponent) noexcept nogil:
    cdef floating inside = p * (<floating>1.0 - p), edge = (p - <floating>0.5) * <floating>INFINITY, y
    y = log_finish(s, exponent)
    edge = select(inside == 0, edge, <floating>NAN)
    return select(inside > 0, y, edge)

cdef floating logit(floating p) noexcept nogil:
    cdef floating exponent = 0, s = logit_reduce(p, &exponent)
    return logit_finish(p, s, exponent)

cdef void logit_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] s
    cdef floating[BLOCK] exponent
    cdef const floating *a = x[0]
    cdef npy_intp i
    for i in range(whole(n, y)):
        s[i] = logit_reduce(a[i], &exponent[i])
    for i in range(whole(n, y)):
        y[i] = logit_finish(a[i], s[i], exponent[i])

elementwise("logit", 1, 0.6, <void *>logit_block[float], <void *>logit_block[double],
            <void *>logit[float], <void *>logit[double])


# ---------------------------------------------------------------------------------------------- shrinking
# What lies within +-lambd is 0, with its sign. A NaN in lambd gives NaN.

cdef inline floating hard_shrink(floating x, floating lambd) noexcept nogil:
    cdef floating y = select(magnitude(x) <= lambd, signed_as(<floating>0.0, x), x)
    return select(lambd != lambd, lambd, y)

cdef inline void hard_shrink_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *lambd = x[1]
    cdef floating most = lambd[0]
    cdef npy_intp i
    if uniform(x, 1) and most == most:
        for i in range(whole(n, y)):
            y[i] = select(magnitude(a[i]) <= most, signed_as(<floating>0.0, a[i]), a[i])
    else:
        for i in range(whole(n, y)):
            y[i] = hard_shrink(a[i], lambd[i])

elementwise("hard_shrink", 2, 0.25, <void *>hard_shrink_block[float], <void *>hard_shrink_block[double],
            <void *>hard_shrink[float], <void *>hard_shrink[double])

cdef inline floating soft_shrink(floating x, floating lambd) noexcept nogil:
    cdef floating above = x - lambd, below = x + lambd
    return select(magnitude(x) <= lambd, signed_as(<floating>0.0, x), select(x < 0, below, above))

cdef inline void soft_shrink_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *lambd = x[1]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = soft_shrink(a[i], lambd[i])

elementwise("soft_shrink", 2, 0.25, <void *>soft_shrink_block[float], <void *>soft_shrink_block[double],
            <void *>soft_shrink[float], <void *>soft_shrink[double])

# x - tanh(x), which cancels the more the smaller x is: up to `near`, |x|^3 P(x^2) / Q(x^2). One division serves both.

cdef inline floating shrink_near(floating x) noexcept nogil:
    return <floating>1.75

cdef inline floating shrink_least(floating x) noexcept nogil:
    """Up to here x^3 / 3 rounds to 0, and is not computed."""
    if floating is float:
        return <float>8.8817841970012523e-16            # 2^-50
    else:
        return 1.7030093798205763e-108                  # 2^-358

cdef inline floating shrink_parts(floating a, floating *divisor) noexcept nogil:
    """a^3 P, and Q, for a >= 0."""
    cdef floating w = select(a < shrink_least(a), <floating>0.0, a), z = w * w, v, p, q
    if floating is float:
        p = <float>0.33333333271275466671 + z * (<float>0.016022024154692171213 + z * <float>5.8134434515483524238e-6)
        divisor[0] = <float>1.0 + z * (<float>0.4480660412042563943 + z * <float>0.017339188772073711607)
    else:
        v = z * z
        p = 0.00041266135946666675071 + z * 1.7234659647050107538e-6 + v * 3.2271844861343261496e-11
        p = 0.33333333333333333331 + z * 0.024138805850149168223 + v * p
        q = 0.00044708408048064576971 + z * 1.7727916546317711333e-6
        divisor[0] = 1.0 + z * (0.47241641755044750027 + z * (0.028299789193817135651 + z * q))
    return rounded_product(w, p) * z

cdef inline floating tanh_shrink_finish(floating x, floating u, floating scale) noexcept nogil:
    cdef floating a = magnitude(x), far = 0, near = 0, h = 0, d = tanh_parts(u, scale, &far, &h)
    cdef floating p = shrink_parts(a, &near), base = select(a < shrink_near(x), <floating>0.0, a)
    if floating is float:
        d = select(a < shrink_near(x), -p, d)
        return signed_as(base - d / select(a < shrink_near(x), near, far), x)
    else:
        p = select(a < shrink_near(x), p, u * h) / select(a < shrink_near(x), near, 1.0 + h)
        return signed_as(select(a < shrink_near(x), p, base - multiply_add(far, u - p, d)), x)

cdef floating tanh_shrink(floating x) noexcept nogil:
    cdef floating scale = 0, u = tanh_reduce(x, tanh_bound(&x), &scale)
    return tanh_shrink_finish(x, u, scale)

cdef void tanh_shrink_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] u
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef floating bound = tanh_bound(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        u[i] = tanh_reduce(a[i], bound, &scale[i])
    for i in range(whole(n, y)):
        y[i] = tanh_shrink_finish(a[i], u[i], scale[i])

elementwise("tanh_shrink", 1, 0.5, <void *>tanh_shrink_block[float], <void *>tanh_shrink_block[double],
            <void *>tanh_shrink[float], <void *>tanh_shrink[double])


# ---------------------------------------------------------------------------------------------- threshold

cdef inline floating threshold(floating x, floating bound, floating value) noexcept nogil:
    return select(bound != bound, bound, select(x <= bound, value, x))

cdef inline void threshold_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *a = x[0]
    cdef const floating *bound = x[1]
    cdef const floating *value = x[2]
    cdef floating most = bound[0], other = value[0]
    cdef npy_intp i
    if uniform(x, 1) and uniform(x, 2):
        if most != most:            # then all are
            most, other = <floating>INFINITY, most
        for i in range(whole(n, y)):
            y[i] = select(a[i] <= most, other, a[i])
    else:
        for i in range(whole(n, y)):
            y[i] = threshold(a[i], bound[i], value[i])

elementwise("threshold", 3, 0.25, <void *>threshold_block[float], <void *>threshold_block[double],
            <void *>threshold[float], <void *>threshold[double])


# ---------------------------------------------------------------------------------------------- swish, glu
# x sigmoid(z) = x / (1 + exp(-z)) for any x and any z. Far below 0 the 1 no longer counts, but exp(-z) may be infinite
# while its quotient with a large x is a number: so there it is as the inverse of exp_far()'s.

cdef inline floating gate_highest(const floating *_) noexcept nogil:
    """It is x."""
    return hidden(<floating>40.0)

cdef inline floating gate_reduce(floating z, floating lowest, floating highest, floating *scale) noexcept nogil:
    """For exp(-z)."""
    z = clamp(z, lowest, highest)
    return exp_reduce(-z, -far_shift(z), scale)

cdef inline floating gate_finish(floating x, floating z, floating t, floating scale) noexcept nogil:
    cdef floating one = select(z < far_below(z), <floating>0.0, <floating>1.0), half = far_half(z)
    return x * half / (one + scale * (<floating>1.0 + expm1_poly(t))) * half

cdef inline floating swish_argument(floating x, floating beta, floating zero, floating *rest) noexcept nogil:
    """z, where 0 times infinity is 0, and what it has lost to rounding. `zero` is hidden, lest clang finish the
    arithmetic for it apart."""
    cdef floating z = rounded_product(x, beta), lost = rounded_off(x, beta, z)
    rest[0] = select(magnitude(lost) < 1, lost, <floating>0.0)              # not if the product is infinite
    return select((z != z) & (x == x) & (beta == beta), zero, z)

cdef inline floating largest(const floating *_) noexcept nogil:
    if floating is float:
        return hidden_float(<float>3.4028234663852886e38)
    else:
        return hidden_double(1.7976931348623157e308)

cdef inline floating swish_linear(floating x, floating z, floating most) noexcept nogil:
    """x, but finite where it is multiplied by a sigmoid of 0. `most` is hidden, and the largest number."""
    return select(z < 0, clamp(x, -most, most), x)

cdef floating swish(floating x, floating beta) noexcept nogil:
    cdef floating scale = 0, rest = 0, z, t
    if beta == 1:
        return silu(x)
    z = swish_argument(x, beta, hidden(<floating>0.0), &rest)
    t = gate_reduce(z, lowest_far_exponent(&x), gate_highest(&x), &scale) - rest
    return gate_finish(swish_linear(x, z, largest(&x)), z, t, scale)

cdef void swish_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] z
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef const floating *beta = x[1]
    cdef floating lowest = lowest_far_exponent(a), highest = gate_highest(a), most = largest(a), slope = beta[0]
    cdef floating zero = hidden(<floating>0.0), rest = 0, at, product
    cdef npy_intp i
    if uniform(x, 1) and slope == 1:
        silu_block(x, y, n)
        return
    if uniform(x, 1) and <floating>1e-18 < slope < <floating>1e18:       # x is clamped in place of its product
        lowest, highest = lowest / slope, highest / slope
        for i in range(whole(n, y)):
            at = clamp(a[i], lowest, highest)
            product = rounded_product(at, slope)
            t[i] = exp_reduce(-product, -far_shift(product), &scale[i]) - rounded_off(at, slope, product)
        for i in range(whole(n, y)):
            at = lowest if lowest > a[i] else a[i]
            y[i] = gate_finish(at, rounded_product(at, slope), t[i], scale[i])
        return
    for i in range(whole(n, y)):
        z[i] = swish_argument(a[i], beta[i], zero, &rest)
        t[i] = gate_reduce(z[i], lowest, highest, &scale[i]) - rest
    for i in range(whole(n, y)):
        y[i] = gate_finish(swish_linear(a[i], z[i], most), z[i], t[i], scale[i])

elementwise("swish", 2, 0.5, <void *>swish_block[float], <void *>swish_block[double],
            <void *>swish[float], <void *>swish[double])


cdef void glu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    """Of the halves of an axis. Infinity times a sigmoid of 0 is NaN."""
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef const floating *b = x[1]
    cdef floating lowest = lowest_far_exponent(a), highest = gate_highest(a), most = largest(a), linear
    cdef npy_intp i
    for i in range(whole(n, y)):
        t[i] = gate_reduce(b[i], lowest, highest, &scale[i])
    for i in range(whole(n, y)):
        linear = select(b[i] < -most, a[i] * <floating>0.0, a[i])
        y[i] = gate_finish(linear, b[i], t[i], scale[i])

elementwise("glu", 2, 0.5, <void *>glu_block[float], <void *>glu_block[double], NULL, NULL)


# ---------------------------------------------------------------------------------------------- log1mexp
# v = 1 - exp(-x) does not cancel, as expm1 has it. Up to ln2 the result is log(v), v = 2^k (1 + f); beyond, log1p(f)
# with f = -exp(-x). A tiny v is multiplied by 2^64 (2^512) first: k is found in the exponent field, which subnormals
# lack.

cdef inline floating log1mexp_parts(floating x, floating lowest, floating *v) noexcept nogil:
    """exp(-x) exp_unit(), and v."""
    cdef floating a = x if x > 0 else <floating>0.0, scale = 0, one, p      # below 0 the result is NaN anyhow
    p = expm1_poly(exp_reduce_scaled(-bounded_magnitude(a, -lowest), &scale))
    one = scale * exp_unit_inverse(x)
    v[0] = (<floating>1.0 - one) - one * p
    return multiply_add(scale, p, scale)

cdef inline floating log1mexp_reduce(floating x, floating lowest, floating *exponent) noexcept nogil:
    """f and k."""
    cdef floating v = 0, e = log1mexp_parts(x, lowest, &v) * exp_unit_inverse(x), bias
    cdef uint32_t k32
    cdef uint64_t k64
    if floating is float:
        bias = select(v < <float>5.4210109e-20, <float>(8388608 + 128 + 64), <float>(8388608 + 128))
        v = select(v < <float>5.4210109e-20, v * exp_unit(x), v)
        k32 = (float_bits(v) - <uint32_t>0x3f3504f3 + <uint32_t>0x40000000) >> 23              # k + 128
        bias = bits_float(k32 | <uint32_t>0x4b000000) - bias
        v = v * bits_float((<uint32_t>255 - k32) << 23) - <float>1.0
    else:
        bias = select(v < 7.4583407312002067e-155, <double>(4503599627370496 + 1024 + 512),
                      <double>(4503599627370496 + 1024))
        v = select(v < 7.4583407312002067e-155, v * exp_unit(x), v)
        k64 = (double_bits(v) - <uint64_t>0x3fe6a09e667f3bcd + <uint64_t>0x4000000000000000) >> 52
        bias = bits_double(k64 | <uint64_t>0x4330000000000000) - bias
        v = v * bits_double((<uint64_t>2047 - k64) << 52) - 1.0
    exponent[0] = select(x > <floating>0.6931471805599453, <floating>0.0, bias)
    return select(x > <floating>0.6931471805599453, -e, v)

cdef inline floating log1mexp_finish(floating x, floating f, floating exponent) noexcept nogil:
    """As log1p_finish(), but without what a tiny f does not show. The result is negative, -0.0 too."""
    cdef floating half = <floating>0.5 * f, s, low, y
    if floating is float:
        s = select(magnitude(f) < <float>1e-15, <float>0.0, f / (<float>1.0 + half))
    else:
        s = select(magnitude(f) < 1e-30, 0.0, f / (1.0 + half))
    low = s * multiply_add(-(s * s), log1p_series(s * s), half)
    if floating is float:
        y = exponent * <float>0.693359375 + (f - multiply_add(exponent, <float>2.12194440e-4, low))
    else:
        y = exponent * 6.93147180369123816490e-01 + (f - multiply_add(exponent, -1.90821492927058770002e-10, low))
    return select(x > 0, -magnitude(y), select(x == 0, <floating>-INFINITY, <floating>NAN))

cdef floating log1mexp(floating x) noexcept nogil:
    cdef floating exponent = 0, f = log1mexp_reduce(x, lowest_exponent(&x), &exponent)
    return log1mexp_finish(x, f, exponent)

cdef void log1mexp_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] f
    cdef floating[BLOCK] exponent
    cdef const floating *a = x[0]
    cdef floating lowest = lowest_exponent(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        f[i] = log1mexp_reduce(a[i], lowest, &exponent[i])
    for i in range(whole(n, y)):
        y[i] = log1mexp_finish(a[i], f[i], exponent[i])

elementwise("log1mexp", 1, 0.7, <void *>log1mexp_block[float], <void *>log1mexp_block[double],
            <void *>log1mexp[float], <void *>log1mexp[double])


# ---------------------------------------------------------------------------------------------- gelu
# x Phi(x) = max(x, 0) - a Phi(-a) with a = |x|. The normal distribution's tail over its density is so smooth that one
# quotient serves all a: Phi(-a) = exp(-a^2/2) M(a) / Q(a), Q = sqrt(2 pi) a M + N, all positive. What the polynomials M
# and N are off by shows the less the larger a is. As N begins with 2, exactly, Q is 2 and a rest that is hardly rounded
# for a small a, and cancels against M for a large one: what the quotient lost is found from these two, not from Q.

cdef inline floating gelu_bound(const floating *_) noexcept nogil:
    """a Phi(-a) has long rounded to 0, and so does the scale."""
    if floating is float:
        return hidden_float(<float>16.27)
    else:
        return hidden_double(46.13)

cdef inline floating density_reduce(floating a, bint exact, floating *scale) noexcept nogil:
    """exp(-a^2/2) = 2^n exp(-t/2): returns t, with what the square would lose to rounding, and sets the scale.
    Unless exact, float32's 2 ln2 is off by 2.7e-9 of itself: M and N take that back."""
    cdef floating square = a * a, n, rest
    if floating is float:
        n = nearest(square, <float>-0.72134752, 64, scale)
        rest = fused_float(a, a, -square)
        rest = multiply_add(n, <float>-3.8093086e-9, rest) if exact else rest
        return fused_float(n, <float>1.38629436, square) + rest
    else:
        n = nearest(square, -0.72134752044448170368, 512, scale)
        rest = n * 3.81642985854515540004e-10 + rounded_off(a, a, square)
        return multiply_add(n, <double>1.38629436073824763298, square) + rest

cdef inline floating density_finish(floating t) noexcept nogil:
    """exp(-t/2) - 1"""
    cdef floating t2, t4, b, c, d, e, h
    if floating is float:
        h = <float>-0.00026153159 + t * <float>2.15999335e-5
        h = <float>0.124999985 + t * (<float>-0.0208331477 + t * (<float>0.00260426477 + t * h))
        return multiply_add(t * t, h, <float>-0.5 * t)
    else:
        t2 = t * t
        t4 = t2 * t2
        b = 0.125 + t * -0.0208333333333332698
        c = 0.00260416666666379295 + t * -0.000260416666667923416
        d = 0.000021701388937555781 + t * -1.55009919926689283e-6
        e = 9.68809263184853828e-8 + t * -5.38230137552883264e-9
        h = 2.69744609108872745e-10 + t * -1.22364170348527825e-11
        b = b + t2 * c
        d = d + t2 * e
        d = d + t4 * h
        b = b + t4 * d
        return multiply_add(t2, b, -0.5 * t)

cdef inline floating normal_tail(floating a, floating *slope, floating *p) noexcept nogil:
    """Q - 2; sets (M - 1) / a and a M."""
    cdef floating a2 = a * a, a4, m, n, high
    if floating is float:
        m = <float>0.431607306 + a * <float>0.1100859195 + a2 * (<float>0.01508237701 + a * <float>0.0007769899094)
        n = <float>0.274606608 + a * <float>0.0376457667 + a2 * <float>0.00195228744
        m = <float>0.9461869597 + a * m
        n = a * (<float>0.9815151 + a * n)
        slope[0], p[0] = m, fused(a2, m, a)
        return fused(<float>2.50662827, p[0], n)
    else:
        a4 = a2 * a2
        high = 0.00241867536457795664 + a * 0.00025472606538413489
        high = high + a2 * (0.0000171933271950807537 + a * 5.72959507118228503e-7)
        m = 0.76078626300724439 + a * 0.286881449798912129
        m = m + a2 * (0.0791529305004573457 + a * 0.0161684766194169139) + a4 * high
        m = 1.69346487713298517 + a * (1.41846381495569994 + a * m)         # their roundings count
        high = 0.00063563116285699188 + a * 0.0000430972801045908808 + a2 * 1.43619650064293869e-6
        n = 0.64432544285780793 + a * 0.18671259570058544
        n = n + a2 * (0.0392657120153378251 + a * 0.00597652559494370473) + a4 * high
        n = 2.47607060124070166 + a * (1.56765919098312204 + a * n)
        slope[0], p[0] = m, fused(a2, m, a)
        n = fused(a, n, p[0] * -1.83285799804591675e-16)            # sqrt(2 pi) in two parts
        return fused(p[0], <double>2.5066282746310007, n)

cdef inline floating gelu_argument(floating x, floating bound) noexcept nogil:
    """|x|, but not over the bound. A float32 NaN is lost here, by one instruction for both."""
    cdef uint32_t bits, most
    if floating is float:
        bits, most = float_bits(x) & <uint32_t>0x7fffffff, float_bits(bound)
        return bits_float(most if most < bits else bits)
    else:
        return bounded_magnitude(x, bound)

cdef inline floating gelu_finish(floating x, floating low, floating t, floating scale, floating p,
                                 floating q) noexcept nogil:
    """`low` is a hidden -0.0: what is left of x where it is negative. The division can run beside the exponential."""
    cdef floating linear = low if low > x else x
    cdef floating y = p / (<floating>2.0 + q), lost = multiply_add(<floating>-2.0, y, remainder(p, y, q)), z
    z = multiply_add(lost, rough_inverse(p), density_finish(t))
    return linear - fused(y, z, y) * scale * exp_unit_inverse(x)

cdef floating gelu(floating x) noexcept nogil:
    cdef floating scale = 0, p = 0, m = 0, a = gelu_argument(x, gelu_bound(&x)), q = normal_tail(a, &m, &p)
    cdef floating t = density_reduce(a, False, &scale)
    return gelu_finish(x, hidden(<floating>-0.0), t, scale, p, q)

cdef void gelu_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef Block[4] blocks                                    # as costly a kernel is given no more than a Block at a time
    cdef floating *t = <floating *>&blocks[0]
    cdef floating *scale = <floating *>&blocks[1]
    cdef floating *p = <floating *>&blocks[2]
    cdef floating *q = <floating *>&blocks[3]
    cdef const floating *a = x[0]
    cdef floating bound = gelu_bound(a), low = hidden(<floating>-0.0), m = 0
    cdef npy_intp i
    for i in range(whole(n, y)):
        q[i] = normal_tail(gelu_argument(a[i], bound), &m, &p[i])
        t[i] = density_reduce(gelu_argument(a[i], bound), False, &scale[i])
    for i in range(whole(n, y)):
        y[i] = gelu_finish(a[i], low, t[i], scale[i], p[i], q[i])

elementwise("gelu", 1, 0.9, <void *>gelu_block[float], <void *>gelu_block[double],
            <void *>gelu[float], <void *>gelu[double])


# The approximation is x sigmoid(z) with z = sqrt(8/pi) (x + 0.044715 x^3). As z is as large as 100 (750), its rounding
# errors are carried along: each is what a product or a sum has lost.

cdef inline floating gelu_tanh_lowest(const floating *_) noexcept nogil:
    """As silu_lowest."""
    if floating is float:
        return hidden_float(<float>-10.94)
    else:
        return hidden_double(-23.111)

cdef inline floating gelu_tanh_highest(const floating *_) noexcept nogil:
    return hidden(<floating>8.0)

cdef inline floating gelu_tanh_argument(floating x, floating *lost) noexcept nogil:
    """z, and what it has lost to rounding."""
    cdef floating one, one_rest, three, three_rest, square = x * x, cubic, slope, part, rest, z
    if floating is float:
        one, one_rest = <float>1.5957692, <float>-4.534068e-8
        three, three_rest = <float>0.071354814, <float>2.3988324e-9
    else:
        one, one_rest = 1.5957691216057308, -9.96930880911092e-17
        three, three_rest = 0.07135481627260025, -4.1218577217431825e-18
    cubic = rounded_product(three, square)
    slope = one + cubic
    part = slope - one
    rest = (one - (slope - part)) + (cubic - part) + rounded_off(three, square, cubic)
    rest = rest + three * rounded_off(x, x, square) + (three_rest * square + one_rest)
    z = x * slope
    lost[0] = rounded_off(x, slope, z) + x * rest
    return z

cdef inline floating gelu_tanh_reduce(floating x, floating lowest, floating highest, floating *scale) noexcept nogil:
    cdef floating rest = 0, z = gelu_tanh_argument(clamp(x, lowest, highest), &rest)
    return sigmoid_exponential(z, scale) - rest

cdef floating gelu_tanh(floating x) noexcept nogil:
    cdef floating scale = 0, lowest = gelu_tanh_lowest(&x), highest = gelu_tanh_highest(&x)
    cdef floating t = gelu_tanh_reduce(x, lowest, highest, &scale)
    return silu_finish(lowest if lowest > x else x, t, scale, highest)

cdef void gelu_tanh_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *a = x[0]
    cdef floating lowest = gelu_tanh_lowest(a), highest = gelu_tanh_highest(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        t[i] = gelu_tanh_reduce(a[i], lowest, highest, &scale[i])
    for i in range(whole(n, y)):
        y[i] = silu_finish(lowest if lowest > a[i] else a[i], t[i], scale[i], highest)

elementwise("gelu_tanh", 1, 0.9, <void *>gelu_tanh_block[float], <void *>gelu_tanh_block[double],
            <void *>gelu_tanh[float], <void *>gelu_tanh[double])
