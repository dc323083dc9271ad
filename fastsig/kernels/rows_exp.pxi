"""The exponentials of a row, times a factor that all of them share: exp_unit over a power of two next to that of the
maximum m, which so has an exponential of about one unit, 0.7 to 1.42. Sums cannot underflow, and what is computed from
them rounds into the subnormals once. x - m would be rounded, so m goes into the exponents: with k ln2 next to m,
exp(x - k ln2) = 2^(n - k) exp(t) for x = n ln2 + t. Of a large m, an origin is subtracted first: m itself, as then all
x whose exponentials count are so near to it that x - m is exact.

In float32, on kernel sets that have tables, n counts sixteenths, and 2^(n - k) comes out of one.
"""

cdef inline bint from_table(const floating *_) noexcept nogil:
    return sizeof(floating) == 4 and LOOKUPS > 1

cdef inline floating octave(const floating *_) noexcept nogil:
    """How often n counts in it."""
    return 16 if from_table(_) else 1

cdef inline floating exp_origin(floating m) noexcept nogil:
    """What is subtracted from a row with the maximum m. Infinities and NaN give NaN."""
    if floating is float:
        return <float>0.0 if magnitude(m) <= <float>256.0 else m
    else:
        return 0.0 if magnitude(m) <= 2048.0 else m

cdef inline void exp_bounds(floating m, floating log2e, floating ln2, floating *lowest, floating *bias) noexcept nogil:
    """Of a row with the maximum m, less its origin: `lowest`, whose scale, and so its exponential, is 0, as those of
    all smaller numbers are taken to be; and what makes n the low bits of a product, with no room for a fraction."""
    cdef floating k
    if floating is float:
        k = (m * log2e + <float>12582912.0) - <float>12582912.0
        lowest[0] = (k - <float>(127 + 64)) * ln2
        if LOOKUPS > 1:
            bias[0] = <float>12582912 + (64 - k) * 16       # 127 is in the table
        else:
            bias[0] = <float>(12582912 + 127 + 64) - k
    else:
        k = (m * log2e + 6755399441055744.0) - 6755399441055744.0
        lowest[0] = (k - <double>(1023 + 512)) * ln2
        bias[0] = <double>(6755399441055744.0 + 1023 + 512) - k

cdef inline void exp_frame(floating m, floating *lowest, floating *bias) noexcept nogil:
    if floating is float:
        exp_bounds(m, <float>1.44269504, <float>0.69314718056, lowest, bias)
    else:
        exp_bounds(m, 1.4426950408889634074, 6.93147180559945309417e-01, lowest, bias)

cdef inline floating row_exp_computed(floating x, floating lowest, floating bias) noexcept nogil:
    cdef floating z = lowest if lowest > x else x, n, scale
    if floating is float:
        n = z * <float>1.44269504 + bias
        scale = bits_float(float_bits(n) << 23)
    else:
        n = z * <double>1.4426950408889634074 + bias
        scale = bits_double(double_bits(n) << 52)
    return exp_finish(without_ln2(z, n - bias), scale)

cdef inline FloatVector row_exp_looked_up(FloatVector x, FloatVector lowest, FloatVector bias) noexcept nogil:
    cdef FloatVector z = greater(lowest, x), rounded = z * <float>(1.44269504 * 16) + bias, n = rounded - bias
    z = z - n * <float>(0.693359375 / 16)
    return exp_looked_up(z + n * <float>(2.12194440e-4 / 16), words_of(rounded), 1)

cdef inline floating row_exp(floating x, floating lowest, floating bias) noexcept nogil:
    if floating is float and LOOKUPS > 1:
        return first_float(row_exp_looked_up(all_floats(x), all_floats(lowest), all_floats(bias)))
    else:
        return row_exp_computed(x, lowest, bias)

# Of n numbers, a multiple of LANES.

cdef inline void row_exps(const floating *x, floating lowest, floating bias, floating *y, npy_intp n) noexcept nogil:
    """Of one row. y may be x."""
    cdef npy_intp i
    if floating is float and LOOKUPS > 1:
        for i from 0 <= i < n by LOOKUPS:
            store_floats(row_exp_looked_up(load_floats(x + i), all_floats(lowest), all_floats(bias)), y + i)
    else:
        for i in range(whole(n, y)):
            y[i] = row_exp_computed(x[i], lowest, bias)

cdef inline void lane_exps(const floating *x, const floating *lowest, const floating *bias, floating *y,
                           npy_intp n) noexcept nogil:
    """Of so many rows."""
    cdef npy_intp k
    if floating is float and LOOKUPS > 1:
        for k from 0 <= k < n by LOOKUPS:
            store_floats(row_exp_looked_up(load_floats(x + k), load_floats(lowest + k), load_floats(bias + k)), y + k)
    else:
        for k in range(n):
            y[k] = row_exp_computed(x[k], lowest[k], bias[k])

# Exponentials and their sums at once. A row's terms are added up as in row_totals().

cdef inline void add_looked_up(FloatVector a, FloatVector b, FloatVector c, FloatVector d, bint logarithm,
                               FloatVector *sum, FloatVector *lost) noexcept nogil:
    """plus_vectors() of four."""
    cdef FloatVector more, first, second
    if logarithm:
        more = sum[0] + a
        first, sum[0] = a - (more - sum[0]), more
        more = sum[0] + b
        first, sum[0] = first + (b - (more - sum[0])), more
        more = sum[0] + c
        second, sum[0] = c - (more - sum[0]), more
        more = sum[0] + d
        second, sum[0] = second + (d - (more - sum[0])), more
        lost[0] += first + second
    else:
        a = (a + b) + (c + d)
        more = sum[0] + a
        lost[0] += a - (more - sum[0])
        sum[0] = more

cdef inline FloatVector some_exps(const float *x, npy_intp n, FloatVector lowest, FloatVector bias,
                                  float *y) noexcept nogil:
    """Of up to a vector; 0 behind them."""
    cdef FloatVector e
    if n >= LOOKUPS:
        e = row_exp_looked_up(load_floats(x), lowest, bias)
        store_floats(e, y)
        return e
    if n <= 0:
        return all_floats(0)
    e = row_exp_looked_up(load_some_floats(x, <int>n, all_floats(-INFINITY)), lowest, bias)
    store_some_floats(e, <int>n, y)
    return e

cdef struct Beside:         # what of other rows is done beside a row's exponentials; NULL: nothing
    const char *soon[2]     # what comes to the cache
    const void *next        # elements of which the maximum is to be found,
    void *top               # and LANES partial ones
    const void *waiting     # elements or exponentials of a row whose results are due,
    void *results
    double first            # and what they are computed from: softmax's factor and the rest of it,
    double second           # log_softmax's maximum and norm

cdef inline void finish_looked_up(const Beside *beside, npy_intp i, bint logarithm) noexcept nogil:
    cdef FloatVector x = load_floats(<const float *>beside.waiting + i)
    if logarithm:
        x = (x - <float>beside.first) - <float>beside.second
    else:
        x = rounded_off_floats(x, all_floats(<float>beside.first), -(x * <float>beside.second))
    store_floats(x, <float *>beside.results + i)

cdef void finish_others(const Beside *beside, npy_intp i, npy_intp n, bint logarithm, floating *_) noexcept nogil:
    """Elements [i, n) of the row whose results are due."""
    cdef const floating *x = <const floating *>beside.waiting
    cdef floating *y = <floating *>beside.results
    cdef floating first = <floating>beside.first, second = <floating>beside.second
    if logarithm:
        for i in range(i, n):
            y[i] = (x[i] - first) - second
    else:
        for i in range(i, n):
            y[i] = times(x[i], first, second)

cdef inline double exps_and_sum_of(const float *x, float lowest_x, float bias_x, float *y, npy_intp n, bint logarithm,
                                   const Beside *beside) noexcept nogil:
    cdef FloatVector lowest = all_floats(lowest_x), bias = all_floats(bias_x), a, b, c, d
    cdef FloatVector sum = all_floats(beginning(x)), less = all_floats(0), top = all_floats(-INFINITY), more = top
    cdef float[LANES] sums
    cdef float[LANES] lost
    cdef double[4] four
    cdef const float *next = <const float *>beside.next
    cdef npy_intp i
    for i from 0 <= i <= n - FOUR * LOOKUPS by FOUR * LOOKUPS:
        if beside.soon[0] != NULL:
            fetch(beside.soon[0] + i * sizeof(float), FOUR * LOOKUPS * sizeof(float))
        if beside.soon[1] != NULL:
            fetch(beside.soon[1] + i * sizeof(float), FOUR * LOOKUPS * sizeof(float))
        a = row_exp_looked_up(load_floats(x + i), lowest, bias)
        b = row_exp_looked_up(load_floats(x + i + LOOKUPS), lowest, bias)
        c = row_exp_looked_up(load_floats(x + i + 2 * LOOKUPS), lowest, bias)
        d = row_exp_looked_up(load_floats(x + i + 3 * LOOKUPS), lowest, bias)
        store_floats(a, y + i)
        store_floats(b, y + i + LOOKUPS)
        store_floats(c, y + i + 2 * LOOKUPS)
        store_floats(d, y + i + 3 * LOOKUPS)
        add_looked_up(a, b, c, d, logarithm, &sum, &less)
        if beside.next != NULL:
            top = greater(load_floats(next + i), top)
            more = greater(load_floats(next + i + LOOKUPS), more)
            top = greater(load_floats(next + i + 2 * LOOKUPS), top)
            more = greater(load_floats(next + i + 3 * LOOKUPS), more)
        if beside.results != NULL:
            finish_looked_up(beside, i, logarithm)
            finish_looked_up(beside, i + LOOKUPS, logarithm)
            finish_looked_up(beside, i + 2 * LOOKUPS, logarithm)
            finish_looked_up(beside, i + 3 * LOOKUPS, logarithm)
    if i < n:
        a = some_exps(x + i, n - i, lowest, bias, y + i)
        b = some_exps(x + i + LOOKUPS, n - i - LOOKUPS, lowest, bias, y + i + LOOKUPS)
        c = some_exps(x + i + 2 * LOOKUPS, n - i - 2 * LOOKUPS, lowest, bias, y + i + 2 * LOOKUPS)
        d = some_exps(x + i + 3 * LOOKUPS, n - i - 3 * LOOKUPS, lowest, bias, y + i + 3 * LOOKUPS)
        add_looked_up(a, b, c, d, logarithm, &sum, &less)
        if beside.next != NULL:
            top = greater(all_floats(maximum(next + i, n - i)), top)
        if beside.results != NULL:
            finish_others(beside, i, n, logarithm, sums)
    if beside.next != NULL:
        store_floats(greater(greater(top, more), load_floats(<float *>beside.top)), <float *>beside.top)
    store_floats(sum, sums)
    store_floats(less, lost)
    fold_to_four(sums, lost, four, four)
    return (four[0] + four[2]) + (four[1] + four[3])

cdef double exps_and_sum(const float *x, float lowest, float bias, float *y, npy_intp n, bint logarithm,
                         const Beside *beside) noexcept nogil:
    """Of one row, up to a block. y may be x."""
    if logarithm:
        return exps_and_sum_of(x, lowest, bias, y, n, True, beside)
    return exps_and_sum_of(x, lowest, bias, y, n, False, beside)
