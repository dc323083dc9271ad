"""The gradients: grad_output * f'(x) of each elementwise function, written as the formulas are.

A kernel's inputs are grad_output, x and the parameters; f'(x) is rounded before it is multiplied by grad_output. In
e = exp(-|x|) no derivative of an exponential function cancels in its tails. It comes times exp_unit(), which the last
step takes back, so that results round once into the subnormal numbers. A derivative that is 0 between kinks is a
select: 0 whatever grad_output is. NaN in x comes through everywhere.
"""

cdef inline floating square_of_one_plus(floating e) noexcept nogil:
    """(1 + e)^2 with one rounding where there is FMA, and a part of another."""
    return <floating>1.0 + e * (<floating>2.0 + e)

cdef inline floating exp_of_negative(floating z, floating lowest) noexcept nogil:
    """exp(z) exp_unit() for z <= 0."""
    cdef floating scale = 0, t = exp_reduce_scaled(lowest if lowest > z else z, &scale)
    return exp_finish(t, scale)


# ---------------------------------------------------------------------------------------------- sigmoid, tanh
# sigmoid' = e / (1 + e)^2, tanh' = 4 sigmoid'(2x).

cdef inline floating sigmoid_slope(floating scaled_e, floating factor) noexcept nogil:
    """factor e / (1 + e)^2"""
    cdef floating unit = exp_unit_inverse(scaled_e), e = scaled_e * unit
    return scaled_e / square_of_one_plus(e) * (factor * unit)

cdef void sigmoid_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating lowest = lowest_exponent(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_of_negative(-magnitude(a[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * sigmoid_slope(e[i], <floating>1.0)

elementwise("sigmoid_backward", 2, 0.5, <void *>sigmoid_backward_block[float], <void *>sigmoid_backward_block[double],
            NULL, NULL)

cdef void tanh_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating lowest = lowest_exponent(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_of_negative(<floating>-2.0 * magnitude(a[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * sigmoid_slope(e[i], <floating>4.0)

elementwise("tanh_backward", 2, 0.5, <void *>tanh_backward_block[float], <void *>tanh_backward_block[double],
            NULL, NULL)


# ---------------------------------------------------------------------------------------------- piecewise linear

cdef inline floating passed_between(floating grad, floating x, floating low, floating high) noexcept nogil:
    """grad where low < x < high, else 0. One select: of two, and those for NaN, gcc from 13 on makes branches."""
    return select(x != x, x, select((x > low) & (x < high), grad, <floating>0.0))

cdef inline void relu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = select(a[i] != a[i], a[i], select(a[i] > 0, g[i], <floating>0.0))

elementwise("relu_backward", 2, 0.2, <void *>relu_backward_block[float], <void *>relu_backward_block[double],
            NULL, NULL)

cdef inline void leaky_relu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *slope = x[2]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = select(a[i] != a[i], a[i], select(a[i] > 0, g[i], g[i] * slope[i]))

elementwise("leaky_relu_backward", 3, 0.25, <void *>leaky_relu_backward_block[float],
            <void *>leaky_relu_backward_block[double], NULL, NULL)

cdef inline void relu6_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = passed_between(g[i], a[i], <floating>0.0, <floating>6.0)

elementwise("relu6_backward", 2, 0.2, <void *>relu6_backward_block[float], <void *>relu6_backward_block[double],
            NULL, NULL)

cdef inline void hard_tanh_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *min_val = x[2]
    cdef const floating *max_val = x[3]
    cdef floating low, high, grad
    cdef npy_intp i
    for i in range(whole(n, y)):
        low = min_val[i]
        high = max_val[i]
        grad = passed_between(g[i], a[i], low, high)
        grad = select(low != low, low, grad)
        y[i] = select(high != high, high, grad)

elementwise("hard_tanh_backward", 4, 0.3, <void *>hard_tanh_backward_block[float],
            <void *>hard_tanh_backward_block[double], NULL, NULL)

cdef inline void hard_sigmoid_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = passed_between(g[i] * <floating>0.16666666666666666, a[i], <floating>-3.0, <floating>3.0)

elementwise("hard_sigmoid_backward", 2, 0.2, <void *>hard_sigmoid_backward_block[float],
            <void *>hard_sigmoid_backward_block[double], NULL, NULL)

# hard_swish' = (x + 3/2) / 3 between the kinks: near its zero, -3/2, the sum is exact.

cdef inline void hard_swish_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating z
    cdef npy_intp i
    for i in range(whole(n, y)):
        z = select(a[i] >= 3, <floating>1.5, a[i])          # (1.5 + 1.5) / 3 = 1
        y[i] = select(z <= -3, <floating>0.0, g[i] * ((z + <floating>1.5) / <floating>3.0))

elementwise("hard_swish_backward", 2, 0.25, <void *>hard_swish_backward_block[float],
            <void *>hard_swish_backward_block[double], NULL, NULL)


# ---------------------------------------------------------------------------------------------- softsign
# 1 / (1 + |x|)^2, with |x| scaled down so that no square overflows whose inverse is not 0.

cdef inline floating softsign_slope(floating a) noexcept nogil:
    cdef floating half, unit
    if floating is float:
        half = <float>2.3283064365386963e-10        # 2^-32
    else:
        half = 8.6361685550944446e-78               # 2^-256
    unit = half * half
    a = a * half
    return <floating>1.0 / (unit + a * (half + half + a)) * unit

cdef inline void softsign_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = g[i] * softsign_slope(magnitude(a[i]))

elementwise("softsign_backward", 2, 0.25, <void *>softsign_backward_block[float],
            <void *>softsign_backward_block[double], NULL, NULL)


# ---------------------------------------------------------------------------------------------- silu
# (x sigmoid(z))' with q = |x| z' and e = exp(-|z|): (1 + e + q e) / (1 + e)^2 above 0, e (1 - q + e) / (1 + e)^2 below.
# Near the zero, where q = 1 + e, 1 - q is exact.

cdef inline floating gated_slope(floating x, floating q, floating scaled_e) noexcept nogil:
    cdef floating unit = exp_unit_inverse(x), e = scaled_e * unit
    cdef floating above = <floating>1.0 + multiply_add(q, e, e), below = scaled_e * (<floating>1.0 - q + e)
    return select(x < 0, below, above) / square_of_one_plus(e) * select(x < 0, unit, <floating>1.0)

cdef void silu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating lowest = lowest_exponent(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_of_negative(-magnitude(a[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * gated_slope(a[i], bounded_magnitude(a[i], -lowest), e[i])

elementwise("silu_backward", 2, 0.6, <void *>silu_backward_block[float], <void *>silu_backward_block[double],
            NULL, NULL)

# ---------------------------------------------------------------------------------------------- gelu_tanh
# e (1 - q + e) / (1 + e)^2 below 0, and 1 less the slope at -x above. What q and 1 - q have lost goes along, and
# 1 / (1 + e)^2 is a power of two and a rest, so that what a quotient loses is of the rest.

cdef inline floating gelu_tanh_backward_lowest(const floating *_) noexcept nogil:
    """The scale is 0 there."""
    if floating is float:
        return hidden_float(<float>-11.682)
    else:
        return hidden_double(-24.31)

cdef inline floating gelu_tanh_factor(floating a, floating *lost) noexcept nogil:
    """q = a z', and what it has lost."""
    cdef floating one, one_rest, three = <floating>0.21406444881780074, square = a * a, slope, rest, q
    if floating is float:
        one, one_rest = <float>1.5957692, <float>-4.534068e-8
    else:
        one, one_rest = 1.5957691216057308, -9.96930880911092e-17
    slope = fused(three, square, one)
    rest = fused(three, square, one - slope) + multiply_add(three, rounded_off(a, a, square), one_rest)
    q = rounded_product(a, slope)
    lost[0] = rounded_off(a, slope, q) + a * rest
    return q

cdef inline floating gelu_tanh_terms(floating q, floating lost, floating t, floating scale, floating *low,
                                     floating *e) noexcept nogil:
    """(1 - q + e) exp(t) = sum + low, and e = scale exp(t)."""
    cdef floating p = expm1_poly(t), n = <floating>1.0 - q, sum
    e[0] = (scale + scale * p) * exp_unit_inverse(q)
    low[0] = e[0] + (((<floating>1.0 - n) - q) - lost)
    sum = n + low[0]
    low[0] = multiply_add(sum, p, low[0] + (n - sum))
    return sum

cdef inline floating gelu_tanh_slope(floating x, floating sum, floating low, floating e,
                                     floating scale) noexcept nogil:
    cdef floating square = rounded_product(e, <floating>2.0 + e), below
    cdef floating power = select(e > <floating>0.41, <floating>0.25, <floating>1.0)
    cdef floating rest = multiply_add(-power, square, <floating>1.0 - power) / (<floating>1.0 + square)
    below = multiply_add(power, sum, multiply_add(sum + low, rest, power * low)) * scale * exp_unit_inverse(x)
    return select(x < 0, below, <floating>1.0 - below)

cdef void gelu_tanh_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef Block[4] blocks                                    # as costly a kernel is given no more than a Block at a time
    cdef floating *t = <floating *>&blocks[0]
    cdef floating *scale = <floating *>&blocks[1]
    cdef floating *sum = <floating *>&blocks[2]
    cdef floating *low = <floating *>&blocks[3]
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating lowest = gelu_tanh_backward_lowest(g), z, rest = 0
    cdef npy_intp i
    for i in range(whole(n, y)):
        z = gelu_tanh_argument(bounded_magnitude(a[i], -lowest), &rest)
        t[i] = exp_reduce_scaled(-z, &scale[i]) - rest
    for i in range(whole(n, y)):
        z = gelu_tanh_factor(bounded_magnitude(a[i], -lowest), &rest)
        sum[i] = gelu_tanh_terms(z, rest, t[i], scale[i], &low[i], &t[i])
    for i in range(whole(n, y)):
        y[i] = g[i] * gelu_tanh_slope(a[i], sum[i], low[i], t[i], scale[i])

elementwise("gelu_tanh_backward", 2, 1.0, <void *>gelu_tanh_backward_block[float],
            <void *>gelu_tanh_backward_block[double], NULL, NULL)


# ---------------------------------------------------------------------------------------------- gelu
# Phi(x) + x phi(x) is E R for x < 0 and 1 - E R above, with a = |x|, E = exp(-a^2/2) and R = M(a)/Q(a) - a/sqrt(2 pi).

cdef inline floating gelu_ratio(floating a, floating m, floating q, floating *low) noexcept nogil:
    """R, of normal_tail()'s m and q. What the quotient, the product and their difference have lost goes along, and what
    the constant has."""
    cdef floating divisor = <floating>2.0 + q, p = rounded_product(a, m), factor, y, r, lost
    if floating is float:
        factor, low[0] = <float>-0.3989422917, <float>1.1335170e-8
    else:
        factor, low[0] = -0.39894228040143268, 2.49232720227773e-17
    y = (<floating>1.0 + p) / divisor
    lost = rounded_off(a, m, p) + (remainder(p, y, q) + multiply_add(<floating>-2.0, y, <floating>1.0))
    low[0] = multiply_add(a, low[0], rounded_product(lost, rough_inverse(divisor)))
    p = rounded_product(a, factor)
    r = p + y
    low[0] = low[0] + (rounded_off(a, factor, p) + (y - (r - p)))
    return r

cdef inline floating gelu_slope(floating x, floating t, floating scale, floating r, floating low) noexcept nogil:
    """`t` is exact."""
    cdef floating z = density_finish(t)
    cdef floating below = (r + multiply_add(r, z, multiply_add(low, z, low))) * scale * exp_unit_inverse(x)
    return select(x < 0, below, <floating>1.0 - below)

cdef void gelu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef Block[4] blocks                                    # see gelu
    cdef floating *t = <floating *>&blocks[0]
    cdef floating *scale = <floating *>&blocks[1]
    cdef floating *m = <floating *>&blocks[2]
    cdef floating *q = <floating *>&blocks[3]
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating bound = gelu_bound(g), p = 0
    cdef npy_intp i
    for i in range(whole(n, y)):
        t[i] = density_reduce(bounded_magnitude(a[i], bound), True, &scale[i])
        q[i] = normal_tail(bounded_magnitude(a[i], bound), &m[i], &p)
    for i in range(whole(n, y)):
        m[i] = gelu_ratio(bounded_magnitude(a[i], bound), m[i], q[i], &q[i])
    for i in range(whole(n, y)):
        y[i] = g[i] * gelu_slope(a[i], t[i], scale[i], m[i], q[i])

elementwise("gelu_backward", 2, 1.0, <void *>gelu_backward_block[float], <void *>gelu_backward_block[double],
            NULL, NULL)


# ---------------------------------------------------------------------------------------------- mish
# With w = exp(x) and D = w^2 + 2w + 2: mish' = w ((w + 2) D + 4x (w + 1)) / D^2. For x < 0 w is e; above, w is 1/e, and
# everything is multiplied by e^4. Sums are a constant and a rest, to round once: D is 2 + rest, or 1 + rest.

cdef inline floating mish_slope(floating x, floating a, floating scaled_e) noexcept nogil:
    cdef floating unit = exp_unit_inverse(x), e = scaled_e * unit, four_a = <floating>4.0 * a
    cdef floating below = rounded_product(e, <floating>2.0 + e), above = rounded_product(e + e, <floating>1.0 + e)
    cdef floating base, rest
    rest = select(x < 0, below, above)
    base = select(x < 0, <floating>2.0, <floating>1.0)
    below = scaled_e * ((<floating>4.0 - four_a) + e * ((<floating>6.0 - four_a) + ((e + e) + below)))
    above = <floating>1.0 + e * (<floating>4.0 + e * ((<floating>6.0 + four_a) + e * (<floating>4.0 + four_a)))
    unit = select(x < 0, unit, <floating>1.0)
    return select(x < 0, below, above) / multiply_add(rest, (base + base) + rest, base * base) * unit

cdef void mish_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating lowest = lowest_exponent(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_of_negative(-magnitude(a[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * mish_slope(a[i], bounded_magnitude(a[i], -lowest), e[i])

elementwise("mish_backward", 2, 0.7, <void *>mish_backward_block[float], <void *>mish_backward_block[double],
            NULL, NULL)


# ---------------------------------------------------------------------------------------------- elu, selu, celu
# 1 above 0; at 0, as in torch, what holds below.

cdef inline floating elu_slope(floating x, floating alpha, floating e) noexcept nogil:
    """alpha exp(x), of exp_far()'s; 1 above 0."""
    cdef floating y = select(x == -<floating>INFINITY, alpha * <floating>0.0, times_far(alpha, e, x))   # not inf * 0
    return select(x > 0, <floating>1.0, y)

cdef void elu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *alpha = x[2]
    cdef floating lowest = lowest_far_exponent(g), highest = hidden(<floating>0.0)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_far(highest if highest < a[i] else a[i], lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * elu_slope(a[i], alpha[i], e[i])

elementwise("elu_backward", 3, 0.5, <void *>elu_backward_block[float], <void *>elu_backward_block[double],
            NULL, NULL)

cdef void selu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating lowest = lowest_exponent(g), highest = hidden(<floating>0.0), slope
    cdef npy_intp i
    for i in range(whole(n, y)):
        slope = exp_of_negative(highest if highest < a[i] else a[i], lowest)
        slope = slope * (<floating>1.7580993408473766 * exp_unit_inverse(lowest))
        y[i] = g[i] * select(a[i] > 0, <floating>1.0507009873554805, slope)

elementwise("selu_backward", 2, 0.5, <void *>selu_backward_block[float], <void *>selu_backward_block[double],
            NULL, NULL)

# celu' = exp(x / alpha) would err by x / alpha times as much as the quotient: what that has lost goes along.
# For a negative alpha it grows: 1 / exp(-|x / alpha|).

cdef inline floating celu_reduce(floating x, floating alpha, floating lowest, floating *argument,
                                 floating *scale) noexcept nogil:
    """For exp(-|z|), z = x / alpha, the argument."""
    cdef floating rest = 0, z = quotient(x, alpha, &rest)
    rest = select(z > 0, -rest, rest)
    argument[0] = z
    return exp_reduce_scaled(-bounded_magnitude(z, -lowest), scale) + rest

cdef inline floating celu_slope(floating x, floating z, floating t, floating scale) noexcept nogil:
    cdef floating unit = exp_unit(x), e = exp_finish(t, scale), grown = unit / e
    e = e * exp_unit_inverse(x)
    e = select(z > 0, grown, e)
    return select(x > 0, <floating>1.0, e)

cdef void celu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] z
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *alpha = x[2]
    cdef floating lowest = lowest_exponent(g), positive = alpha[0]
    cdef npy_intp i
    if uniform(x, 2) and positive > 0:                      # nothing grows
        for i in range(whole(n, y)):
            t[i] = celu_reduce(a[i], positive, lowest, &z[i], &scale[i])
        for i in range(whole(n, y)):
            y[i] = g[i] * select(a[i] > 0, <floating>1.0, exp_finish(t[i], scale[i]) * exp_unit_inverse(lowest))
        return
    for i in range(whole(n, y)):
        t[i] = celu_reduce(a[i], alpha[i], lowest, &z[i], &scale[i])
    for i in range(whole(n, y)):
        y[i] = g[i] * celu_slope(a[i], z[i], t[i], scale[i])

elementwise("celu_backward", 3, 0.7, <void *>celu_backward_block[float], <void *>celu_backward_block[double],
            NULL, NULL)


# ---------------------------------------------------------------------------------------------- softplus, log_sigmoid
# softplus' = sigmoid(beta x) and log_sigmoid' = sigmoid(-x).

cdef inline floating softplus_slope_reduce(floating x, floating beta, floating low, floating high,
                                           floating *scale) noexcept nogil:
    """sigmoid_reduce(x beta) with what the product lost."""
    cdef floating z = x * beta, rest = rounded_off(x, beta, z)
    rest = select(magnitude(rest) < 1, rest, <floating>0.0)     # not if the product is clamped
    return sigmoid_reduce(z, low, high, scale) - rest

cdef void softplus_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *beta = x[2]
    cdef floating low = sigmoid_low(a), high = sigmoid_high(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        t[i] = softplus_slope_reduce(a[i], beta[i], low, high, &scale[i])
    for i in range(whole(n, y)):
        y[i] = g[i] * sigmoid_finish(t[i], scale[i])

elementwise("softplus_backward", 3, 0.6, <void *>softplus_backward_block[float],
            <void *>softplus_backward_block[double], NULL, NULL)

cdef void log_sigmoid_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] t
    cdef floating[BLOCK] scale
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating low = sigmoid_low(a), high = sigmoid_high(a)
    cdef npy_intp i
    for i in range(whole(n, y)):
        t[i] = sigmoid_reduce(-a[i], low, high, &scale[i])
    for i in range(whole(n, y)):
        y[i] = g[i] * sigmoid_finish(t[i], scale[i])

elementwise("log_sigmoid_backward", 2, 0.5, <void *>log_sigmoid_backward_block[float],
            <void *>log_sigmoid_backward_block[double], NULL, NULL)


# ---------------------------------------------------------------------------------------------- binary cross entropy
# sigmoid(x) - y, from s = sigmoid(-|x|) = e / (1 + e): s - y below 0, (1 - y) - s above, so that where y is 0 or 1
# nothing cancels.

cdef inline floating against_slope(floating x, floating y, floating scaled_e) noexcept nogil:
    cdef floating unit = exp_unit_inverse(x), w = against(x, y)
    cdef floating s = rounded_product(scaled_e / (<floating>1.0 + scaled_e * unit), unit)
    return select(x < 0, s - w, w - s)

cdef void binary_cross_entropy_with_logits_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *b = x[2]
    cdef floating lowest = lowest_exponent(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_of_negative(-magnitude(a[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * against_slope(a[i], b[i], e[i])

elementwise("binary_cross_entropy_with_logits_backward", 3, 0.6,
            <void *>binary_cross_entropy_with_logits_backward_block[float],
            <void *>binary_cross_entropy_with_logits_backward_block[double], NULL, NULL)


# ---------------------------------------------------------------------------------------------- logit
# 1 / (x (1 - x)): infinite at 0, -0.0 and 1, NaN outside.

cdef void logit_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating p
    cdef npy_intp i
    for i in range(whole(n, y)):
        p = a[i] * (<floating>1.0 - a[i])
        y[i] = g[i] * select(p >= 0, <floating>1.0 / magnitude(p), <floating>NAN)

elementwise("logit_backward", 2, 0.25, <void *>logit_backward_block[float], <void *>logit_backward_block[double],
            NULL, NULL)


# ---------------------------------------------------------------------------------------------- shrinking, threshold

cdef inline void hard_shrink_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *lambd = x[2]
    cdef floating grad
    cdef npy_intp i
    for i in range(whole(n, y)):
        grad = select(magnitude(a[i]) > lambd[i], g[i], <floating>0.0)
        grad = select(a[i] != a[i], a[i], grad)
        y[i] = select(lambd[i] != lambd[i], lambd[i], grad)

elementwise("hard_shrink_backward", 3, 0.25, <void *>hard_shrink_backward_block[float],
            <void *>hard_shrink_backward_block[double], NULL, NULL)
elementwise("soft_shrink_backward", 3, 0.25, <void *>hard_shrink_backward_block[float],
            <void *>hard_shrink_backward_block[double], NULL, NULL)

cdef inline void threshold_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *bound = x[2]
    cdef floating grad, most = bound[0]
    cdef npy_intp i
    if uniform(x, 2) and most == most:
        for i in range(whole(n, y)):
            y[i] = select(a[i] != a[i], a[i], select(a[i] > most, g[i], <floating>0.0))
    else:
        for i in range(whole(n, y)):
            grad = select(a[i] > bound[i], g[i], <floating>0.0)
            y[i] = select((a[i] != a[i]) | (bound[i] != bound[i]), a[i] + bound[i], grad)

elementwise("threshold_backward", 4, 0.3, <void *>threshold_backward_block[float],
            <void *>threshold_backward_block[double], NULL, NULL)

# (x - tanh(x))' = tanh(x)^2

cdef void tanh_shrink_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] u
    cdef floating[BLOCK] scale
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating bound = tanh_bound(a), t
    cdef npy_intp i
    for i in range(whole(n, y)):
        u[i] = tanh_reduce(a[i], bound, &scale[i])
    for i in range(whole(n, y)):
        t = tanh_finish(a[i], u[i], scale[i])
        y[i] = g[i] * rounded_product(t, t)

elementwise("tanh_shrink_backward", 2, 0.5, <void *>tanh_shrink_backward_block[float],
            <void *>tanh_shrink_backward_block[double], NULL, NULL)


# ---------------------------------------------------------------------------------------------- swish
# (x sigmoid(beta x))' is silu' at z = beta x.

cdef void swish_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] z
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *beta = x[2]
    cdef floating lowest = lowest_exponent(g), zero = hidden(<floating>0.0), rest = 0, t, scale = 0
    cdef npy_intp i
    if uniform(x, 2) and beta[0] == 1:
        silu_backward_block(x, y, n)
        return
    for i in range(whole(n, y)):
        z[i] = swish_argument(a[i], beta[i], zero, &rest)
        rest = select(z[i] < 0, -rest, rest)                # of |z|
        t = exp_reduce_scaled(-bounded_magnitude(z[i], -lowest), &scale) - rest
        e[i] = exp_finish(t, scale)
    for i in range(whole(n, y)):
        y[i] = g[i] * gated_slope(z[i], bounded_magnitude(z[i], -lowest), e[i])

elementwise("swish_backward", 3, 0.7, <void *>swish_backward_block[float], <void *>swish_backward_block[double],
            NULL, NULL)


# ---------------------------------------------------------------------------------------------- glu
# a sigmoid(b) with respect to a, and to b: a e / (1 + e)^2 with exp_far()'s e = exp(-|b|).

cdef inline floating gate_beside_one(floating b, floating e) noexcept nogil:
    return select(-magnitude(b) < far_below(b), <floating>0.0, e)

cdef inline floating gate_sigmoid(floating b, floating e) noexcept nogil:
    cdef floating half = far_half(b)
    return select(b < 0, e, <floating>1.0) / (<floating>1.0 + gate_beside_one(b, e)) * half * half

cdef inline floating gate_slope(floating a, floating b, floating e, floating most) noexcept nogil:
    """Infinity times a sigmoid of 0 is NaN."""
    cdef floating half = far_half(-magnitude(b)), linear = select(magnitude(b) > most, a * <floating>0.0, a)
    return linear * half * (e / square_of_one_plus(gate_beside_one(b, e))) * half

cdef void glu_backward_linear_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *b = x[1]
    cdef floating lowest = lowest_far_exponent(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_far(-magnitude(b[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * gate_sigmoid(b[i], e[i])

cdef void glu_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *b = x[2]
    cdef floating lowest = lowest_far_exponent(g), most = largest(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_far(-magnitude(b[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * gate_slope(a[i], b[i], e[i], most)

cdef void glu_backward_both_block(const floating **x, floating *y, floating *z, npy_intp n) noexcept nogil:
    """Both, from the same exponential."""
    cdef floating[BLOCK] e
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef const floating *b = x[2]
    cdef floating lowest = lowest_far_exponent(g), most = largest(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        e[i] = exp_far(-magnitude(b[i]), lowest)
    for i in range(whole(n, y)):
        y[i] = g[i] * gate_sigmoid(b[i], e[i])
        z[i] = g[i] * gate_slope(a[i], b[i], e[i], most)

elementwise("glu_backward_linear", 2, 0.5, <void *>glu_backward_linear_block[float],
            <void *>glu_backward_linear_block[double], NULL, NULL)
elementwise("glu_backward", 3, 0.7, <void *>glu_backward_block[float], <void *>glu_backward_block[double],
            NULL, NULL).both = (<size_t>glu_backward_both_block[float], <size_t>glu_backward_both_block[double])


# ---------------------------------------------------------------------------------------------- log1mexp
# 1 / expm1(x) = e / (1 - e): infinite at 0 and -0.0, NaN below.

cdef inline floating log1mexp_slope(floating x, floating lowest) noexcept nogil:
    cdef floating v = 0, e = log1mexp_parts(x, lowest, &v), unit = exp_unit_inverse(x), y
    y = select(x > 1, e, e * unit) / v * select(x > 1, unit, <floating>1.0)
    return select(x >= 0, y, <floating>NAN)

cdef void log1mexp_backward_block(const floating **x, floating *y, npy_intp n) noexcept nogil:
    cdef const floating *g = x[0]
    cdef const floating *a = x[1]
    cdef floating lowest = lowest_exponent(g)
    cdef npy_intp i
    for i in range(whole(n, y)):
        y[i] = g[i] * log1mexp_slope(a[i], lowest)

elementwise("log1mexp_backward", 2, 0.6, <void *>log1mexp_backward_block[float],
            <void *>log1mexp_backward_block[double], NULL, NULL)
