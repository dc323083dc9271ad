"""Rows with temperatures: softmax of x / T, where x / T is never computed, as it would be rounded.

exp(x / T) is 2^n exp(t) for x = n (T ln2) + T t: T times the constants of row_exp(), and a factor. Of a T that is a
power of two the results are those of x / T, to the bit.
"""

cdef inline double temperature(const Layout *at, npy_intp row) noexcept nogil:
    return (<const double *>(at.heat + row * at.heat_step))[0]

cdef inline void temper(double t, floating *near, floating *scale, floating *inverse, floating *high,
                        floating *low) noexcept nogil:
    """`near` = T * scale, about 1, with a power of two as its scale; 1/near; and near * ln2 in two parts, as in
    without_ln2(). Temperatures beyond all finite numbers are as good as infinity, or as any that all differences in x
    exceed by far."""
    cdef double most = 4.49423283715578976932e307, s, product      # 2^1022
    s = t if t < most else most
    s = bits_double(<uint64_t>0x7fe0000000000000 - (double_bits(s) & <uint64_t>0x7ff0000000000000))
    if floating is float:
        s = 1.7014118346046923e38 if s > 1.7014118346046923e38 else s       # 2^127
        s = 1.1754943508222875e-38 if s < 1.1754943508222875e-38 else s     # 2^-126
        t = t * s
        t = t if t < 1.8889465931478581e22 else 1.8889465931478581e22       # 2^74
        t = 3.009265538105056e-36 if t < 3.009265538105056e-36 else t       # 2^-118
        product = t * 0.69314718055994530942
        high[0] = bits_float((float_bits(<float>product) + <uint32_t>0x4000) & <uint32_t>0xffff8000)
        low[0] = <float>(product - <double>high[0])
    else:
        t = t * s
        t = t if t < 3.0223145490365729e23 else 3.0223145490365729e23       # 2^78
        product = t * 0.69314718055994530942
        high[0] = bits_double(double_bits(product) & <uint64_t>0xffffffffffe00000)
        low[0] = (product - high[0]) + multiply_add(t, 2.31904681384629956e-17,
                                                    rounded_off(t, 0.69314718055994530942, product))
    near[0], scale[0], inverse[0] = <floating>t, <floating>s, <floating>(1 / t)

cdef inline floating tempered_move(floating x, floating origin, floating small, floating large) noexcept nogil:
    return multiply_add(x, small, -(origin * small)) * large

cdef inline bint fits(const floating *m, npy_intp n, floating *frame) noexcept nogil:
    """Whether all that a frame has for a temperature, which is one for all rows, holds for these maxima, too: then it
    gets the rest."""
    cdef floating bound = frame[10 * n], log2e = frame[2 * n] / octave(m), ln2 = frame[11 * n]
    cdef npy_intp r, others = 0
    if frame[9 * n] != 0:
        return False
    for r in range(n):
        others += not (magnitude(m[r]) <= bound)
    if others:
        return False
    for r in range(n):
        exp_bounds(m[r], log2e, ln2, &frame[r], &frame[n + r])
    return True

cdef void fill(floating *frame, npy_intp part, npy_intp n, floating value) noexcept nogil:
    cdef npy_intp r
    for r in range(n):
        frame[part * n + r] = value

cdef void copy_to(floating *frame, npy_intp part, npy_intp n, const floating *numbers) noexcept nogil:
    cdef npy_intp r
    for r in range(n):
        frame[part * n + r] = numbers[r]

cdef void begin_frame(double t, npy_intp n, floating *frame) noexcept nogil:
    """What fits() needs of one temperature for all rows."""
    cdef floating near = 0, scale = 0, inverse = 0, high = 0, low = 0, back, limit, most, log2e, ln2
    temper(t, &near, &scale, &inverse, &high, &low)
    if floating is float:
        limit, most, log2e, ln2 = 256, 1.1529215046068470e18, 1.44269504, 0.69314718056         # 2^60
    else:
        limit, most, log2e, ln2 = 2048, 3.2733906078961419e150, 1.4426950408889634074, 6.93147180559945309417e-01
    if scale > most or scale * most < 1:
        scale, limit = 1, -1
    back = 1 / scale
    inverse *= scale
    fill(frame, 2, n, log2e * inverse * octave(frame))
    fill(frame, 3, n, high * back / octave(frame))
    fill(frame, 4, n, low * back / octave(frame))
    fill(frame, 5, n, inverse)
    fill(frame, 7, n, <floating>1)
    fill(frame, 8, n, <floating>1)
    fill(frame, 9, n, <floating>0)
    frame[10 * n], frame[11 * n] = limit * near * back, near * back * ln2

cdef void new_frame(const Layout *at, npy_intp row, npy_intp rows, const floating *m, npy_intp n,
                    floating *frame) noexcept nogil:
    """tempered_frame()"""
    # By themselves at first: of all these parts of a frame the compiler could not tell that they are apart.
    cdef floating[SHORTS] top
    cdef floating[SHORTS] near
    cdef floating[SHORTS] scale
    cdef floating[SHORTS] log2e
    cdef floating[SHORTS] inverse
    cdef floating[SHORTS] high
    cdef floating[SHORTS] low
    cdef floating[SHORTS] origin
    cdef floating[SHORTS] small
    cdef floating[SHORTS] large
    cdef floating[SHORTS] boost
    cdef double[SHORTS] t
    cdef floating power, back, base, bound, limit, most, log2_e, ln2, way
    cdef npy_intp r, others = 0, lanes = whole_lanes(n)
    cdef bint far, moved
    if floating is float:
        limit, most, log2_e, ln2 = 256, 1.1529215046068470e18, 1.44269504, 0.69314718056        # 2^60
    else:
        limit, most = 2048, 3.2733906078961419e150                                              # 2^500
        log2_e, ln2 = 1.4426950408889634074, 6.93147180559945309417e-01
    memcpy(top, m, n * sizeof(floating))
    pad(top, n, lanes)
    for r in range(lanes):
        t[r] = 1
    for r in range(min(rows, n)):
        t[r] = temperature(at, row + r)
    near[0] = scale[0] = 1
    for r in range(whole(lanes, top)):      # beside no large maximum, differences may be too small for T to end there
        boost[r] = 1
        if floating is float:
            boost[r] = select((t[r] < 1.7686e-74) & (magnitude(top[r]) < <float>1.23794e27), <float>4294967296.0, 1)
            t[r] = t[r] * <double>boost[r]                                          # 2^-245, 2^90
    for r in range(whole(lanes, top)):
        temper(t[r], &near[r], &scale[r], &inverse[r], &high[r], &low[r])
    bound = limit * near[0] / scale[0]
    for r in range(whole(lanes, top)):
        far = not (magnitude(top[r] * scale[r]) <= limit * near[r])
        moved = far | (scale[r] > most) | (scale[r] * most < 1)
        others += moved
        power = select(moved, 1, scale[r])
        back = 1 / power
        base = select(moved, scale[r], 1)
        small[r] = boost[r] * (base if base < 1 else select(moved & (base == 1), <floating>0.5, <floating>1))
        large[r] = base if base > 1 else select(moved & (base == 1), <floating>2, <floating>1)
        origin[r] = select(far, top[r], 0)
        inverse[r] = inverse[r] * power
        log2e[r] = log2_e * inverse[r]
        high[r] = high[r] * back / octave(m)
        low[r] = low[r] * back / octave(m)
        near[r] = near[r] * back * ln2
    for r in range(whole(lanes, top)):
        base = tempered_move(top[r], origin[r], small[r], large[r])
        exp_bounds(base, log2e[r], near[r], &scale[r], &top[r])
        log2e[r] = log2e[r] * octave(m)
    way = 2 if others else 1 if at.heat_step else 0
    copy_to(frame, 0, n, scale)
    copy_to(frame, 1, n, top)
    copy_to(frame, 2, n, log2e)
    copy_to(frame, 3, n, high)
    copy_to(frame, 4, n, low)
    copy_to(frame, 5, n, inverse)
    copy_to(frame, 6, n, origin)
    copy_to(frame, 7, n, small)
    copy_to(frame, 8, n, large)
    fill(frame, 9, n, way)
    frame[10 * n] = bound
    copy_to(frame, 11, n, near)

cdef void tempered_frame(const Layout *at, npy_intp row, npy_intp rows, const floating *m, npy_intp n,
                         floating *frame) noexcept nogil:
    """The frames of n rows, of which the first `rows` are there, with the maxima m: n of each number. That is

    - as in exp_frame(), `lowest` and `bias`;
    - log2(e) / T; T ln2 in two parts; 1 / T, or all that times a power of two for x that are moved;
    - how x is moved, (x small - origin small) large: by exp_origin(), and so that T is about 1 if it is a very large or
      small one, and that a difference of large numbers is not infinite before it is divided;
    - 0 if none of the rows is, and all have one temperature, 1 if none is, else 2; below 0, there is no frame yet;
    - up to which maxima they are not; T ln2."""
    if at.heat_step == 0 and frame[9 * n] < 0:
        begin_frame(temperature(at, row), n, frame)
    if at.heat_step != 0 or not fits(m, n, frame):
        new_frame(at, row, rows, m, n, frame)

cdef inline floating tempered(floating x, floating lowest, floating bias, floating log2e, floating high, floating low,
                              floating inverse) noexcept nogil:
    """row_exp_computed()"""
    cdef floating z = lowest if lowest > x else x, n, scale
    n = z * log2e + bias
    if floating is float:
        scale = bits_float(float_bits(n) << 23)
    else:
        scale = bits_double(double_bits(n) << 52)
    n = n - bias
    z = multiply_add(-n, high, z)
    z = multiply_add(-n, low, z)
    return exp_finish(z * inverse, scale)

cdef inline FloatVector tempered_looked_up(FloatVector x, FloatVector lowest, FloatVector bias, FloatVector log2e,
                                           FloatVector high, FloatVector low, FloatVector inverse) noexcept nogil:
    """row_exp_looked_up()"""
    cdef FloatVector z = greater(lowest, x), rounded = z * log2e + bias, n = rounded - bias
    return exp_looked_up((z - n * high - n * low) * inverse, words_of(rounded), 1)

cdef inline void tempered_exps(const floating *x, floating lowest, floating bias, floating log2e, floating high,
                               floating low, floating inverse, floating *y, npy_intp n) noexcept nogil:
    """row_exps()"""
    cdef npy_intp i
    if floating is float and LOOKUPS > 1:
        for i from 0 <= i < n by LOOKUPS:
            store_floats(tempered_looked_up(load_floats(x + i), all_floats(lowest), all_floats(bias), all_floats(log2e),
                                            all_floats(high), all_floats(low), all_floats(inverse)), y + i)
    else:
        for i in range(whole(n, y)):
            y[i] = tempered(x[i], lowest, bias, log2e, high, low, inverse)

cdef void tempered_exp(const floating *x, npy_intp step, npy_intp n, const floating *frame, npy_intp lanes,
                       npy_intp rows, npy_intp width, floating *y) noexcept nogil:
    """exp_rows(), which may be in place."""
    cdef floating[LANES] last
    cdef floating lowest, bias, log2e, high, low, inverse, origin, small, large
    cdef const floating *z
    cdef npy_intp r, i, j, whole = (n - 1) & ~<npy_intp>(LANES - 1)
    for r in range(rows):
        z = x
        if frame[9 * lanes + r] == 2:
            origin, small, large = frame[6 * lanes + r], frame[7 * lanes + r], frame[8 * lanes + r]
            for i in range(n):
                y[i] = tempered_move(x[i], origin, small, large)
            z = y
        lowest, bias, log2e = frame[r], frame[lanes + r], frame[2 * lanes + r]
        high, low, inverse = frame[3 * lanes + r], frame[4 * lanes + r], frame[5 * lanes + r]
        for j in range(LANES):
            last[j] = z[n - LANES + j]
        tempered_exps(z, lowest, bias, log2e, high, low, inverse, y, whole & ~<npy_intp>(LANES - 1))
        tempered_exps(last, lowest, bias, log2e, high, low, inverse, last, LANES)
        for j in range(LANES):
            y[width - LANES + j] = 0
        for j in range(LANES):
            y[n - LANES + j] = last[j]
        x = further(x, step)
        y += width

cdef void tempered_lanes_exp(const floating *x, npy_intp x_step, const floating *frame, npy_intp n, floating *y,
                             npy_intp y_step, npy_intp steps) noexcept nogil:
    """Exponentials of some elements of each of n rows, a multiple of LANES. y may be x."""
    cdef floating log2e = frame[2 * n], high = frame[3 * n], low = frame[4 * n], inverse = frame[5 * n]
    cdef floating[SHORTS] moved
    cdef floating[SHORTS] lowest
    cdef floating[SHORTS] bias
    cdef const floating *z
    cdef const floating *at
    cdef npy_intp i, k
    if frame[9 * n] == 0:
        memcpy(lowest, frame, n * sizeof(floating))         # where results cannot be, for all that the compiler knows
        memcpy(bias, frame + n, n * sizeof(floating))
        for i in range(steps):
            if floating is float and LOOKUPS > 1:
                for k from 0 <= k < n by LOOKUPS:
                    store_floats(tempered_looked_up(load_floats(x + k), load_floats(lowest + k), load_floats(bias + k),
                                                    all_floats(log2e), all_floats(high), all_floats(low),
                                                    all_floats(inverse)), y + k)
            else:
                for k in range(whole(n, y)):
                    y[k] = tempered(x[k], lowest[k], bias[k], log2e, high, low, inverse)
            x, y = further(x, x_step), <floating *>further(y, y_step)
        return
    for i in range(steps):
        z = x
        if frame[9 * n] == 2:
            for k in range(whole(n, y)):
                moved[k] = tempered_move(x[k], frame[6 * n + k], frame[7 * n + k], frame[8 * n + k])
            z = moved
        if floating is float and LOOKUPS > 1:
            for k from 0 <= k < n by LOOKUPS:
                at = frame + k
                store_floats(tempered_looked_up(load_floats(z + k), load_floats(at), load_floats(at + n),
                                                load_floats(at + 2 * n), load_floats(at + 3 * n),
                                                load_floats(at + 4 * n), load_floats(at + 5 * n)), y + k)
        else:
            for k in range(whole(n, y)):
                y[k] = tempered(z[k], frame[k], frame[n + k], frame[2 * n + k], frame[3 * n + k], frame[4 * n + k],
                                frame[5 * n + k])
        x, y = further(x, x_step), <floating *>further(y, y_step)

cdef inline floating tempered_log(floating x, floating m, floating small, floating large, floating inverse,
                                  floating norm) noexcept nogil:
    """(x - m) / T - norm. The smaller factor comes first, lest a product be infinite that is no result."""
    cdef floating difference = tempered_move(x, m, small, select(inverse < 1, <floating>1, large))
    return multiply_add(difference, select(inverse < 1, inverse * large, inverse), -norm)

cdef void tempered_logs(const floating *x, const floating *m, const floating *frame, npy_intp n, const floating *norm,
                        floating *y, npy_intp count) noexcept nogil:
    """log_softmax of `count` elements of a row. y may be x."""
    cdef floating inverse = frame[5 * n], small = frame[7 * n], large = frame[8 * n], top = m[0], less = norm[0]
    cdef npy_intp i
    for i in range(count):
        y[i] = tempered_log(x[i], top, small, large, inverse, less)

cdef void tempered_lanes_logs(const floating *x, npy_intp x_step, const floating *m, const floating *frame, npy_intp n,
                              const floating *norm, floating *y, npy_intp y_step, npy_intp count,
                              npy_intp steps) noexcept nogil:
    """Likewise of some elements of each of `count` rows."""
    cdef floating inverse = frame[5 * n]
    cdef npy_intp i, k
    for i in range(steps):
        if frame[9 * n] == 0:
            for k in range(count):
                y[k] = multiply_add(x[k] - m[k], inverse, -norm[k])
        else:
            for k in range(count):
                y[k] = tempered_log(x[k], m[k], frame[7 * n + k], frame[8 * n + k], frame[5 * n + k], norm[k])
        x, y = further(x, x_step), <floating *>further(y, y_step)


# By their addresses, that are known at run time alone: where they are called is no room for copies of them.

ctypedef void (*NewFrame)(const Layout *at, npy_intp row, npy_intp rows, const void *m, npy_intp n,
                          void *frame) noexcept nogil
ctypedef void (*RowsExp)(const void *x, npy_intp step, npy_intp n, const void *frame, npy_intp lanes, npy_intp rows,
                         npy_intp width, void *y) noexcept nogil
ctypedef void (*LanesExp)(const void *x, npy_intp x_step, const void *frame, npy_intp n, void *y, npy_intp y_step,
                          npy_intp steps) noexcept nogil
ctypedef void (*RowLogs)(const void *x, const void *m, const void *frame, npy_intp n, const void *norm, void *y,
                         npy_intp count) noexcept nogil
ctypedef void (*LanesLogs)(const void *x, npy_intp x_step, const void *m, const void *frame, npy_intp n,
                           const void *norm, void *y, npy_intp y_step, npy_intp count, npy_intp steps) noexcept nogil

cdef struct Tempered:
    NewFrame frame
    RowsExp exp
    LanesExp lanes_exp
    RowLogs logs
    LanesLogs lanes_logs

cdef Tempered[2] tempered_rows

cdef Tempered functions_of(floating *_):
    cdef Tempered functions
    functions.frame = <NewFrame><void *>tempered_frame[floating]
    functions.exp = <RowsExp><void *>tempered_exp[floating]
    functions.lanes_exp = <LanesExp><void *>tempered_lanes_exp[floating]
    functions.logs = <RowLogs><void *>tempered_logs[floating]
    functions.lanes_logs = <LanesLogs><void *>tempered_lanes_logs[floating]
    return functions

tempered_rows[0], tempered_rows[1] = functions_of(<float *>NULL), functions_of(<double *>NULL)

cdef inline const Tempered *with_temperature(const floating *_) noexcept nogil:
    return &tempered_rows[sizeof(floating) // 8]
