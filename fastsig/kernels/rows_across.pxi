"""Rows side by side, each a vector lane: short_lanes, short_quads and long_lanes of rows.pxi.

The order of a row's terms is that of the rows along which lanes lie, to the bit: element i goes to lane i mod LANES.
"""

cdef inline void lanes_maximum(const floating *x, npy_intp w, floating *m) noexcept nogil:
    cdef npy_intp k
    for k in range(w):
        m[k] = x[k] if x[k] > m[k] else m[k]

cdef inline void halve_lanes(double *lanes, npy_intp half) noexcept nogil:
    """fold() of WIDE rows, from so many lanes on."""
    cdef npy_intp k
    while half:
        for k in range(half * WIDE):
            lanes[k] += lanes[half * WIDE + k]
        half //= 2

cdef inline void lanes_fold(floating *sums, floating *lost, double *high, double *low) noexcept nogil:
    """fold_to() of WIDE rows."""
    cdef double[SEGMENT] lanes             # WIDE times half of LANES
    cdef npy_intp half = LANES // 2 * WIDE, k
    cdef Sum sum
    if floating is float:
        for k in range(LANES // 2 * WIDE):
            lanes[k] = lane_sum(sums[k], lost[k]) + lane_sum(sums[half + k], lost[half + k])
        halve_lanes(lanes, LANES // 4)
    else:
        for k in range(LANES * WIDE):
            sums[k] -= beginning(sums)
        halve_lanes(sums, LANES // 2)
        halve_lanes(lost, LANES // 2)
    for k in range(WIDE):
        sum.high, sum.low = high[k], low[k]
        if floating is float:
            add_to(&sum, lanes[k], 0)
        else:
            add_to(&sum, sums[k], lost[k])
        high[k], low[k] = sum.high, sum.low

cdef inline void few_lanes_total(const floating *e, npy_intp n, floating *lanes, double *sum) noexcept nogil:
    """few_total() of WIDE rows of n <= LANES elements; `lanes`: for half of them."""
    cdef npy_intp half = LANES // 2, k
    memcpy(lanes, e, min(half, n) * WIDE * sizeof(floating))
    for k in range((n - half) * WIDE):
        lanes[k] += e[half * WIDE + k]
    for k in range(min(half, n), 4):
        pad(lanes + k * WIDE, 0, WIDE)
    half //= 2
    for k in range(min(half, n - half) * WIDE):
        lanes[k] += lanes[half * WIDE + k]
    for k in range(WIDE):
        sum[k] = exact_sum(lanes[k], lanes[WIDE + k], lanes[2 * WIDE + k], lanes[3 * WIDE + k])

cdef inline void lanes_invert(const double *high, const double *low, floating *factor, floating *fine) noexcept nogil:
    cdef npy_intp k
    for k in range(WIDE):
        invert(high[k], low[k], &factor[k], &fine[k])

cdef inline void few_lanes_logarithm(const double *sum, const double *rest, const floating *top,
                                     floating *norm) noexcept nogil:
    """What the logarithms of WIDE short rows' sums exceed the maxima by."""
    cdef npy_intp k
    for k in range(WIDE):
        norm[k] = <floating>((rest[k] if sum[k] < 2 * <double>top[k] else sum[k] - top[k]) / top[k])
    log1p_block(norm, norm, WIDE)

cdef inline void lanes_logarithm(const Layout *at, npy_intp row, npy_intp w, const floating *m, const double *high,
                                 const double *low, const floating *top, floating *norm,
                                 const RowLoop *loop) noexcept nogil:
    """Likewise of w long rows."""
    cdef npy_intp k
    cdef floating limit = dominated(at.n, m)
    for k in range(WIDE):
        norm[k] = over(high[k], low[k], top[k])
    for k in range(w):
        if norm[k] < limit:
            norm[k] = over_top_again(at, row + k, m[k], loop)
    log1p_block(norm, norm, WIDE)

cdef inline const floating *read_lanes(const Layout *at, npy_intp row, npy_intp i, npy_intp w, floating *block,
                                       Load load) noexcept nogil:
    """Element i of w rows: where they lie if that is possible, else in `block`."""
    cdef const char *p = at.x + row * at.x_step[0] + i * at.x_step[1]
    if load == NULL and at.x_step[0] == sizeof(floating):
        return <const floating *>p
    gather(p, at.x_step[0], block, w, load)
    return block

cdef inline void write_lanes(const Layout *at, npy_intp row, npy_intp i, npy_intp w, const floating *value,
                             const floating *m, const floating *norm, floating *block,
                             const RowLoop *loop) noexcept nogil:
    """Element i of w rows, (x - m) - norm or e times norm and, in place of m, what that lost, to the output, by way of
    `block`, which may be `value`."""
    cdef char *p = at.y + row * at.y_step[0] + i * at.y_step[1]
    cdef floating *y = block
    cdef npy_intp k
    if loop.store == NULL and at.y_step[0] == sizeof(floating):
        y = <floating *>p
    if loop.logarithm:
        for k in range(w):
            y[k] = (value[k] - m[k]) - norm[k]
    else:
        for k in range(w):
            y[k] = times(value[k], norm[k], m[k])
    if y == block:
        scatter(block, p, at.y_step[0], w, loop.store)

cdef void short_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[SHORT * WIDE] z
    cdef floating[SHORT * WIDE] e
    cdef floating[SEGMENT] lanes
    cdef floating[2 * WIDE] frame
    cdef floating[WIDE] m
    cdef floating[WIDE] base
    cdef floating[WIDE] top
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef double[WIDE] rest
    cdef floating *value = &z[0] if loop.logarithm else &e[0]
    cdef npy_intp n = at.n, row, w, i, k
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            m[k] = -INFINITY
        for i in range(n):
            gather(at.x + row * at.x_step[0] + i * at.x_step[1], at.x_step[0], z + i * WIDE, w, loop.load)
            pad(z + i * WIDE, w, WIDE)
            lanes_maximum(z + i * WIDE, WIDE, m)
        if lanes_frame(m, base, frame, WIDE):
            move_lanes(z, n, m, base, WIDE)
        for i in range(n):
            lanes_exp(z + i * WIDE, frame, WIDE, e + i * WIDE)
        few_lanes_total(e, n, lanes, sum)
        if loop.logarithm:
            lanes_exp(base, frame, WIDE, top)
            for i in range(n):
                for k in range(WIDE):
                    e[i * WIDE + k] = without(e[i * WIDE + k], top[k])
            few_lanes_total(e, n, lanes, rest)
            few_lanes_logarithm(sum, rest, top, norm)
        else:
            for k in range(WIDE):
                rest[k] = 0
            lanes_invert(sum, rest, norm, base)
        if loop.reduces:
            write_sums(at, row, w, m, norm, loop)
            continue
        for i in range(n):
            write_lanes(at, row, i, w, value + i * WIDE, base, norm, value + i * WIDE, loop)

cdef inline floating all_bits(floating _) noexcept nogil:
    if floating is float:
        return bits_float(<uint32_t>-1)
    else:
        return bits_double(<uint64_t>-1)

cdef inline floating keep_bits(floating value, floating kept) noexcept nogil:
    """The value or 0: `kept` has all bits set, or none."""
    if floating is float:
        return bits_float(float_bits(value) & float_bits(kept))
    else:
        return bits_double(double_bits(value) & double_bits(kept))

cdef inline const floating *last_quads(const floating *e, npy_intp lead, const floating *kept,
                                       floating *block) noexcept nogil:
    """WIDE rows' last quads without the `lead` elements that the quads before have: moved to the front, zeros behind.
    `lead` more elements than are used can be read."""
    cdef npy_intp k
    if lead == 0:
        return e
    for k in range(QUAD * WIDE):
        block[k] = keep_bits(e[k + lead], kept[k])
    return block

cdef inline void few_quads_fold(const floating *e, npy_intp quads, const floating *last, floating *one,
                                double *sum) noexcept nogil:
    """few_total() of WIDE rows of so many quads, of which `last` are the last; `one`: for one of each."""
    cdef const floating *lanes = one
    cdef npy_intp k, width = QUAD * WIDE
    if quads == 4:
        for k in range(QUAD * WIDE):
            one[k] = (e[k] + e[2 * width + k]) + (e[width + k] + last[k])
    elif quads == 3:
        for k in range(QUAD * WIDE):
            one[k] = (e[k] + last[k]) + e[width + k]
    elif quads == 2:
        for k in range(QUAD * WIDE):
            one[k] = e[k] + last[k]
    else:
        lanes = last
    for k in range(WIDE):
        sum[k] = exact_sum(lanes[QUAD * k], lanes[QUAD * k + 1], lanes[QUAD * k + 2], lanes[QUAD * k + 3])

cdef inline double sum_of_two(floating a, floating b, bint logarithm) noexcept nogil:
    """What becomes of a lane's only terms."""
    cdef floating sum = beginning(&a), lost = 0
    if not logarithm:
        return a + b
    plus(a, &sum, &lost)
    plus(b, &sum, &lost)
    return lane_sum(sum, lost)

cdef inline void quads_total(const floating *e, npy_intp quads, const floating *last, const floating *zeros,
                             bint logarithm, double *high) noexcept nogil:
    """add_total() or add_log_total(), of WIDE rows of more than LANES float32."""
    cdef double[QUAD * WIDE] one
    cdef const floating *more[FOUR]
    cdef npy_intp q, k, width = QUAD * WIDE
    for q in range(FOUR):
        more[q] = zeros if q + FOUR >= quads else last if q + FOUR == quads - 1 else e + (q + FOUR) * width
    for k in range(QUAD * WIDE):
        one[k] = ((sum_of_two(e[k], more[0][k], logarithm) + sum_of_two(e[2 * width + k], more[2][k], logarithm))
                  + (sum_of_two(e[width + k], more[1][k], logarithm)
                     + sum_of_two(e[3 * width + k], more[3][k], logarithm)))
    for k in range(WIDE):
        high[k] = (one[QUAD * k] + one[QUAD * k + 2]) + (one[QUAD * k + 1] + one[QUAD * k + 3])

cdef inline npy_intp last_begins(npy_intp n, npy_intp first, npy_intp count, const floating *_) noexcept nogil:
    """Where the last of `count` quads of a row begins, in bytes from the first: earlier if it ends with the n-th."""
    return min((count - 1) * QUAD, n - QUAD - first * QUAD) * <npy_intp>sizeof(floating)

cdef inline void read_group(const char *x, npy_intp step, npy_intp w, npy_intp count, npy_intp last,
                            floating *z) noexcept nogil:
    cdef npy_intp r, q, size = QUAD * sizeof(floating)
    for r in range(w):
        for q in range(count - 1):
            memcpy(z + (q * WIDE + r) * QUAD, x + r * step + q * size, size)
        memcpy(z + ((count - 1) * WIDE + r) * QUAD, x + r * step + last, size)

cdef void read_quads(const char *x, npy_intp step, npy_intp n, npy_intp w, floating *z) noexcept nogil:
    """w rows of n elements, `step` bytes apart; of each row some quads at once, a number that the compiler knows."""
    cdef npy_intp quads = (n + QUAD - 1) // QUAD, q, count, last
    for q from 0 <= q < quads by GROUP:
        count = min(<npy_intp>GROUP, quads - q)
        last = last_begins(n, q, count, z)
        if count == 1:
            read_group(x, step, w, 1, last, z)
        elif count == 2:
            read_group(x, step, w, 2, last, z)
        elif count == 3:
            read_group(x, step, w, 3, last, z)
        else:
            read_group(x, step, w, GROUP, last, z)
        x += GROUP * QUAD * sizeof(floating)
        z += GROUP * QUAD * WIDE

cdef inline void write_quad(const floating *value, floating m, floating norm, bint logarithm, char *y) noexcept nogil:
    cdef floating[QUAD] part
    cdef npy_intp k
    for k in range(QUAD):
        part[k] = (value[k] - m) - norm if logarithm else times(value[k], norm, m)
    memcpy(y, part, sizeof(part))

cdef inline void write_group(const floating *value, const floating *m, const floating *norm, bint logarithm, npy_intp w,
                             npy_intp count, npy_intp last, char *y, npy_intp step) noexcept nogil:
    cdef npy_intp r, q, size = QUAD * sizeof(floating)
    cdef floating top, factor
    for r in range(w):
        top, factor = m[r], norm[r]
        for q in range(count - 1):
            write_quad(value + (q * WIDE + r) * QUAD, top, factor, logarithm, y + r * step + q * size)
        write_quad(value + ((count - 1) * WIDE + r) * QUAD, top, factor, logarithm, y + r * step + last)

cdef inline void write_quads(const floating *value, const floating *m, const floating *norm, bint logarithm, npy_intp w,
                             npy_intp n, char *y, npy_intp step) noexcept nogil:
    """(value - m) - norm or value times norm and, in place of m, what that lost, to w rows of n elements, likewise."""
    cdef npy_intp quads = (n + QUAD - 1) // QUAD, q, count, last
    for q from 0 <= q < quads by GROUP:
        count = min(<npy_intp>GROUP, quads - q)
        last = last_begins(n, q, count, m)
        if count == 1:
            write_group(value, m, norm, logarithm, w, 1, last, y, step)
        elif count == 2:
            write_group(value, m, norm, logarithm, w, 2, last, y, step)
        elif count == 3:
            write_group(value, m, norm, logarithm, w, 3, last, y, step)
        else:
            write_group(value, m, norm, logarithm, w, GROUP, last, y, step)
        y += GROUP * QUAD * sizeof(floating)
        value += GROUP * QUAD * WIDE

cdef inline void to_quads(const floating *of_rows, floating *of_quads) noexcept nogil:
    """A number of each of WIDE rows to all lanes of their quads."""
    cdef npy_intp r, k
    for r in range(WIDE):
        for k in range(QUAD):
            of_quads[QUAD * r + k] = of_rows[r]

cdef void short_quads(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """Quads of a row's elements lie beside those of the next row: all moves are of whole quads, of which the last may
    begin with elements of the one before. Terms still meet in fold()'s order."""
    cdef Block[4] blocks
    cdef floating *e = <floating *>&blocks[0]       # in this order, as last_quads() reads beyond the end of e
    cdef floating *z = <floating *>&blocks[2]
    cdef floating[2 * QUAD * WIDE] frame
    cdef floating[2 * WIDE] own_frame
    cdef floating[QUAD * WIDE] top
    cdef floating[QUAD * WIDE] kept
    cdef floating[WIDE] m
    cdef floating[WIDE] base
    cdef floating[WIDE] exp_top
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef double[WIDE] rest
    cdef const floating *ends
    cdef npy_intp n = at.n, quads = (n + QUAD - 1) // QUAD, width = QUAD * WIDE, last = (quads - 1) * width
    cdef npy_intp lead = quads * QUAD - n, row, w, r, q, k
    # Not read through `at` all the time, which for all the compiler knows results may overwrite.
    cdef npy_intp x_step = at.x_step[0], y_step = at.y_step[0]
    cdef bint ahead = at.far and x_step == n * <npy_intp>sizeof(floating)
    for r in range(WIDE):
        for k in range(QUAD):
            kept[QUAD * r + k] = all_bits(<floating>0) if k < QUAD - lead else <floating>0
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        read_quads(at.x + row * x_step, x_step, n, w, z)
        if w < WIDE:
            for q in range(quads):
                pad(z + q * width, w * QUAD, width)
        for k in range(width):
            top[k] = higher(z[k], z[last + k])
        for q in range(1, quads - 1):
            for k in range(width):
                top[k] = higher(z[q * width + k], top[k])
        for r in range(WIDE):
            m[r] = higher(higher(top[QUAD * r], top[QUAD * r + 2]), higher(top[QUAD * r + 1], top[QUAD * r + 3]))
        if lanes_frame(m, base, own_frame, WIDE):
            to_quads(m, top)
            to_quads(base, frame)
            move_lanes(z, quads, top, frame, QUAD * WIDE)
        to_quads(own_frame, frame)
        to_quads(own_frame + WIDE, frame + QUAD * WIDE)
        for q in range(quads):
            if ahead and row + WIDE < end:
                fetch(at.x + (row + WIDE) * x_step + q * width * sizeof(floating), QUAD * WIDE * sizeof(floating))
            lanes_exp(z + q * width, frame, QUAD * WIDE, e + q * width)
        ends = last_quads(e + last, lead, kept, top)
        if loop.logarithm:
            lanes_exp(base, own_frame, WIDE, exp_top)
        for k in range(WIDE):
            rest[k] = 0
        if n > LANES:
            if floating is float:                       # as in_quads() has it
                pad(frame, 0, QUAD * WIDE)
                if loop.logarithm:
                    quads_total(e, quads, ends, frame, True, sum)
                    lanes_logarithm(at, row, w, m, sum, rest, exp_top, norm, loop)
                else:
                    quads_total(e, quads, ends, frame, False, sum)
                    lanes_invert(sum, rest, norm, base)
        else:
            few_quads_fold(e, quads, ends, frame, sum)
            if loop.logarithm:
                to_quads(exp_top, frame)
                for q in range(quads - 1):
                    for k in range(width):
                        e[q * width + k] = without(e[q * width + k], frame[k])
                for k in range(width):
                    e[last + k] = without(ends[k], frame[k])
                few_quads_fold(e, quads, e + last, frame, rest)
                few_lanes_logarithm(sum, rest, exp_top, norm)
            else:
                lanes_invert(sum, rest, norm, base)
        if loop.reduces:
            write_sums(at, row, w, m, norm, loop)
            continue
        if loop.logarithm:
            write_quads(z, base, norm, True, w, n, at.y + row * y_step, y_step)
        else:
            write_quads(e, base, norm, False, w, n, at.y + row * y_step, y_step)

cdef inline void gathered_lanes(const Layout *at, npy_intp row, npy_intp i, npy_intp steps, npy_intp w, floating *z,
                                Load load) noexcept nogil:
    """Elements [i, i + steps) of w rows; lanes that are not rows become 0."""
    cdef npy_intp j
    for j in range(steps):
        gather(at.x + row * at.x_step[0] + (i + j) * at.x_step[1], at.x_step[0], z + j * WIDE, w, load)
        pad(z + j * WIDE, w, WIDE)

cdef void long_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[SEGMENT] z
    cdef floating[SEGMENT] e
    cdef floating[LANES * WIDE] sums
    cdef floating[LANES * WIDE] lost
    cdef floating[2 * WIDE] frame
    cdef floating[WIDE] m
    cdef floating[WIDE] base
    cdef floating[WIDE] top
    cdef floating[WIDE] norm
    cdef double[WIDE] high
    cdef double[WIDE] low
    cdef floating *value = &z[0] if loop.logarithm else &e[0]
    cdef const floating *less = &m[0] if loop.logarithm else &top[0]    # or what factors lost
    cdef const floating *x
    cdef floating *y
    cdef floating[WIDE] zeros
    cdef const floating *four[FOUR]
    cdef npy_intp row, w, block, i, j, k, q, steps
    cdef bint direct = loop.store == NULL and at.y_step[0] == sizeof(floating) and not loop.reduces
    # What a few elements further on lies too far away in memory for the CPU to fetch it unasked.
    cdef bint ahead = at.far and at.x_step[0] == sizeof(floating)
    # Whether exponentials are computed from where x lies, to where they wait, if they do.
    cdef bint moved, in_place = at.x_step[0] == sizeof(floating) and loop.load == NULL and (direct or loop.logarithm)
    pad(zeros, 0, WIDE)
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            m[k] = -INFINITY
            high[k] = low[k] = 0
        for i in range(at.n):
            if ahead and i + STEPS < at.n:
                fetch(at.x + row * at.x_step[0] + (i + STEPS) * at.x_step[1], w * sizeof(floating))
            lanes_maximum(read_lanes(at, row, i, w, z, loop.load), w, m)
        moved = lanes_frame(m, base, frame, WIDE)
        for block from 0 <= block < at.n by SEGMENT:
            clear_sums(sums, lost, LANES * WIDE)
            for i from block <= i < min(block + SEGMENT, at.n) by FOUR * LANES:
                for j in range(min(<npy_intp>LANES, at.n - i)):
                    for q in range(FOUR):
                        k = i + q * LANES + j
                        if k >= at.n:
                            four[q] = zeros
                            continue
                        x = z
                        if w == WIDE and in_place and not moved:
                            x = <const floating *>(at.x + row * at.x_step[0] + k * at.x_step[1])
                        else:
                            gather(at.x + row * at.x_step[0] + k * at.x_step[1], at.x_step[0], z, w, loop.load)
                            pad(z, w, WIDE)
                            if moved:
                                move_lanes(z, 1, m, base, WIDE)
                        y = <floating *>(at.y + row * at.y_step[0] + k * at.y_step[1])
                        if not loop.logarithm and w == WIDE and in_place:
                            lanes_exp(x, frame, WIDE, y)
                            four[q] = y
                        else:
                            four[q] = e + q * WIDE
                            lanes_exp(x, frame, WIDE, e + q * WIDE)
                            if direct and not loop.logarithm:   # they wait in the output
                                memcpy(y, four[q], w * sizeof(floating))
                    if loop.logarithm:
                        plus_vectors(four, FOUR, WIDE, True, sums + j * WIDE, lost + j * WIDE)
                    else:
                        plus_vectors(four, FOUR, WIDE, False, sums + j * WIDE, lost + j * WIDE)
            lanes_fold(sums, lost, high, low)
        if loop.logarithm:
            lanes_exp(base, frame, WIDE, top)
            lanes_logarithm(at, row, w, m, high, low, top, norm, loop)
        else:
            lanes_invert(high, low, norm, top)
        if loop.reduces:
            write_sums(at, row, w, m, norm, loop)
            continue
        if direct:
            for i in range(at.n):
                y = <floating *>(at.y + row * at.y_step[0] + i * at.y_step[1])
                if loop.logarithm:
                    x = read_lanes(at, row, i, w, z, loop.load)
                    if ahead and i + STEPS < at.n:
                        fetch(<char *>y + STEPS * at.y_step[1], w * sizeof(floating))
                    for k in range(w):
                        y[k] = (x[k] - m[k]) - norm[k]
                else:
                    for k in range(w):
                        y[k] = times(y[k], norm[k], top[k])
            continue
        for i from 0 <= i < at.n by STEPS:
            steps = min(<npy_intp>STEPS, at.n - i)
            gathered_lanes(at, row, i, steps, w, z, loop.load)
            for j in range(steps):
                if moved and not loop.logarithm:
                    move_lanes(z + j * WIDE, 1, m, base, WIDE)
                if not loop.logarithm:
                    lanes_exp(z + j * WIDE, frame, WIDE, e + j * WIDE)
                write_lanes(at, row, i + j, w, value + j * WIDE, less, norm, value + j * WIDE, loop)
