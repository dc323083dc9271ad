"""Rows one after the other, vector lanes along each: short_rows and long_rows of rows.pxi.

What is exchanged here has the order of a row's terms to keep: that of row_totals().
"""

cdef inline void shift(const floating *x, floating m, floating norm, floating *y, npy_intp n) noexcept nogil:
    """(x - m) - norm, in whole vectors if n >= LANES: the last ones overlap, so y is not x."""
    cdef floating[LANES] last
    cdef npy_intp i, j
    if n < LANES:
        for j in range(n):
            y[j] = (x[j] - m) - norm
        return
    for i in range(n & ~<npy_intp>(LANES - 1)):
        y[i] = (x[i] - m) - norm
    for j in range(LANES):
        last[j] = x[n - LANES + j]
    for j in range(LANES):
        y[n - LANES + j] = (last[j] - m) - norm

cdef inline void copy_wide(const floating *x, floating origin, floating *y, npy_intp n, npy_intp width) noexcept nogil:
    """x - origin, and -inf from n to width = whole_lanes(n)."""
    cdef npy_intp j
    for j in range(LANES):
        y[width - LANES + j] = -INFINITY
    shift(x, origin, <floating>0, y, n)

cdef inline void finish_row(const floating *x, floating m, const floating *frame, floating norm, floating *y,
                            npy_intp n) noexcept nogil:
    """log_softmax from its row, the maximum and what the sum's logarithm exceeds that by."""
    cdef npy_intp i
    if frame != NULL:
        with_temperature(y).logs(x, &m, frame, 1, &norm, y, n)
        return
    for i in range(n):
        y[i] = (x[i] - m) - norm

cdef inline void fetch_rows(const Layout *at, npy_intp end, npy_intp *row, npy_intp *i, npy_intp n,
                            floating *_) noexcept nogil:
    """The next n elements, from element i of a row on, of rows that lie in one piece, before `end`."""
    cdef npy_intp part
    while n > 0 and row[0] < end:
        part = min(n, at.n - i[0])
        fetch(at.x + row[0] * at.x_step[0] + i[0] * sizeof(floating), part * sizeof(floating))
        n -= part
        i[0] += part
        if i[0] == at.n:
            row[0] += 1
            i[0] = 0

cdef void move(const floating *x, floating origin, floating *y, npy_intp n) noexcept nogil:
    """x - origin. Not inline, as it is seldom needed."""
    cdef npy_intp i
    for i in range(n):
        y[i] = x[i] - origin

cdef inline bint lanes_frame(const Layout *at, npy_intp row, npy_intp rows, const floating *m, floating *base,
                             floating *frame, npy_intp n) noexcept nogil:
    """exp_frame() of n maxima, of which the first `rows` are there, and these less exp_origin(). Whether any is another
    then, and lanes_exp() does not see to that itself."""
    cdef npy_intp k, others = 0
    if at.heat != NULL:
        with_temperature(m).frame(at, row, rows, m, n, frame)
        memcpy(base, m, n * sizeof(floating))
        return False
    for k in range(n):
        base[k] = m[k] - exp_origin(m[k])
        exp_frame(base[k], &frame[k], &frame[n + k])
    for k in range(n):
        others += base[k] != m[k]
    return others != 0

cdef void move_lanes(floating *x, npy_intp steps, const floating *m, const floating *base, npy_intp n) noexcept nogil:
    """Less exp_origin(), some elements of n rows each."""
    cdef npy_intp i, k
    for i in range(steps):
        for k in range(n):
            x[i * n + k] -= m[k] - base[k]

cdef inline void lanes_exp(const Layout *at, const floating *x, const floating *frame, npy_intp n,
                           floating *y) noexcept nogil:
    """Exponentials of an element of each of n rows."""
    if at.heat != NULL:
        with_temperature(x).lanes_exp(x, 0, frame, n, y, 0, 1)
        return
    lane_exps(x, frame, frame + n, y, n)

# Rows of at least LANES elements: whole LANES, and the last ones, `part` of them, which may overlap others. They are 8
# where that is enough: 16, of many short rows, would be in vain.

cdef inline void exp_rows_by(npy_intp part, const floating *x, npy_intp step, npy_intp n, const floating *frame,
                             npy_intp lanes, npy_intp rows, npy_intp width, floating *y) noexcept nogil:
    cdef floating[LANES] last
    cdef floating lowest, bias
    cdef npy_intp r, j, whole = (n - 1) & ~<npy_intp>(LANES - 1)
    for r in range(rows):
        lowest, bias = frame[r], frame[lanes + r]
        for j in range(part):
            last[j] = x[n - part + j]
        for j in range(LANES):
            y[width - LANES + j] = 0
        row_exps(x, lowest, bias, y, whole & ~<npy_intp>(LANES - 1))
        if from_table(x):
            row_exps(last, lowest, bias, y + n - part, part)
        else:                                           # it may be half of a vector
            for j in range(part):
                y[n - part + j] = row_exp(last[j], lowest, bias)
        x = further(x, step)
        y += width

cdef void exp_rows(const floating *x, npy_intp step, npy_intp n, const floating *frame, npy_intp lanes, npy_intp rows,
                   npy_intp width, floating *y) noexcept nogil:
    """Exponentials of rows `step` bytes apart, with lanes_frame() of `lanes`; up to their width, 0. y is not x."""
    if (n - 1) & 8 or from_table(x):
        exp_rows_by(16, x, step, n, frame, lanes, rows, width, y)
    else:
        exp_rows_by(8, x, step, n, frame, lanes, rows, width, y)

cdef inline void scale_rows_by(npy_intp part, const floating *e, npy_intp width, npy_intp n, npy_intp rows,
                               const floating *factor, const floating *fine, floating *y, npy_intp step) noexcept nogil:
    cdef floating[LANES] last
    cdef floating high, low
    cdef npy_intp r, i, j, whole = (n - 1) & ~<npy_intp>(LANES - 1)
    for r in range(rows):
        high, low = factor[r], fine[r]
        for j in range(part):
            last[j] = e[n - part + j]
        for i in range(whole & ~<npy_intp>(LANES - 1)):
            y[i] = times(e[i], high, low)
        for j in range(part):
            y[n - part + j] = times(last[j], high, low)
        e += width
        y = <floating *>further(y, step)

cdef void scale_rows(const floating *e, npy_intp width, npy_intp n, npy_intp rows, const floating *factor,
                     const floating *fine, floating *y, npy_intp step) noexcept nogil:
    """Times their factors, to rows `step` bytes apart. y may be e."""
    if (n - 1) & 8:
        scale_rows_by(16, e, width, n, rows, factor, fine, y, step)
    else:
        scale_rows_by(8, e, width, n, rows, factor, fine, y, step)

cdef inline void shift_rows_by(npy_intp part, const floating *x, npy_intp x_step, npy_intp n, npy_intp rows,
                               const floating *m, const floating *norm, floating *y, npy_intp step) noexcept nogil:
    cdef floating[LANES] last
    cdef floating top, less
    cdef npy_intp r, i, j, whole = (n - 1) & ~<npy_intp>(LANES - 1)
    for r in range(rows):
        top, less = m[r], norm[r]
        for j in range(part):
            last[j] = x[n - part + j]
        for i in range(whole & ~<npy_intp>(LANES - 1)):
            y[i] = (x[i] - top) - less
        for j in range(part):
            y[n - part + j] = (last[j] - top) - less
        x = further(x, x_step)
        y = <floating *>further(y, step)

cdef void shift_rows(const floating *x, npy_intp x_step, npy_intp n, npy_intp rows, const floating *m,
                     const floating *norm, floating *y, npy_intp step) noexcept nogil:
    """(x - m) - norm, likewise. y may be x."""
    if (n - 1) & 8:
        shift_rows_by(16, x, x_step, n, rows, m, norm, y, step)
    else:
        shift_rows_by(8, x, x_step, n, rows, m, norm, y, step)

cdef void short_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef Block[2] z_block
    cdef Block[2] e_block
    cdef floating *z = <floating *>&z_block             # rows that cannot be read where they lie
    cdef floating *e = <floating *>&e_block
    cdef Block frame_block                              # of float64, there are half of SHORTS rows
    cdef double[3 * SHORTS] numbers
    cdef int shorts = SHORTS * 4 // <int>sizeof(floating)
    cdef floating *frame = <floating *>&frame_block
    cdef floating *top = <floating *>&numbers
    cdef floating *base = top + shorts                  # top, less exp_origin()
    cdef floating *exp_top = top + 2 * shorts
    cdef floating *norm = top + 3 * shorts
    cdef floating *fine = top + 4 * shorts
    cdef double[SHORTS] high
    cdef double[SHORTS] low
    cdef npy_intp[SHORTS] dominated_rows
    cdef npy_intp n = at.n, row = begin, rows, lanes = 0, r, i, count, next_row, next_i, width = whole_lanes(n)
    cdef npy_intp size = sizeof(floating), block_step = width * size, strip = max(STRIP // block_step, <npy_intp>1)
    # As few as pay, to leave the nearest cache to input and output; what is computed once a row pays for many at once.
    cdef npy_intp fits = 2 * <npy_intp>sizeof(Block) // block_step
    cdef npy_intp most = min(fits, shorts if loop.reduces else 2 * LANES)
    cdef const floating *x
    cdef const floating *terms
    cdef npy_intp step, x_n
    cdef uint32_t below
    cdef floating *y
    cdef floating limit = dominated(n, z)
    cdef bint along = at.x_step[1] == size, ahead = at.far and along
    cdef bint stays = n >= LANES and along and at.mask == NULL and loop.load == NULL
    cdef bint straight = n >= LANES and in_output(at, loop, z)
    cdef Sum sum
    if not ahead:
        strip = SHORTS
    if most > LANES:
        most &= ~<npy_intp>(LANES - 1)
    while row < end:
        rows = min(most, end - row)
        if whole_lanes(rows) != lanes:
            lanes = whole_lanes(rows)
            frame[9 * lanes] = -1                       # see tempered_frame()
        x, step, x_n = <const floating *>(at.x + row * at.x_step[0]), at.x_step[0], n
        if not stays:
            for r in range(rows):
                copy_wide(read(at, row + r, 0, n, e, loop.load), <floating>0, z + r * width, n, width)
            x, step, x_n = z, block_step, width
        for r from 0 <= r < rows by LANES:
            row_maxima(further(x, r * step), step, x_n, min(<npy_intp>LANES, rows - r), top + r)
        pad(top, rows, lanes)
        if lanes_frame(at, row, rows, top, base, frame, lanes):
            for r in range(rows):
                if stays:
                    copy_wide(further(x, r * step), exp_origin(top[r]), z + r * width, n, width)
                else:
                    move(z + r * width, exp_origin(top[r]), z + r * width, n)
            x, step, x_n = z, block_step, width
        next_row, next_i = row + rows, 0
        for r from 0 <= r < rows by strip:
            count = min(strip, rows - r)
            if ahead:
                fetch_rows(at, min(end, row + 2 * rows), &next_row, &next_i, count * width, z)
                for i in range(count if straight and not loop.reduces else 0):
                    fetch(at.y + (row + r + i) * at.y_step[0], n * size)
            if at.heat != NULL:
                with_temperature(x).exp(further(x, r * step), step, x_n, frame + r, lanes, count, width, e + r * width)
            else:
                exp_rows(further(x, r * step), step, x_n, frame + r, lanes, count, width, e + r * width)
        if loop.logarithm:
            lanes_exp(at, base, frame, lanes, exp_top)
        pad(norm, rows, lanes)
        for r in range(lanes):
            high[r] = low[r] = 0
        if n > LANES:
            for r from 0 <= r < rows by LANES:
                terms = e + r * width
                row_totals(terms, width - LANES, terms + width - LANES, width, min(<npy_intp>LANES, rows - r),
                           loop.logarithm, high + r, low + r)
            for r in range(lanes if sizeof(floating) == 8 else 0):
                sum.high = sum.low = 0
                add_to(&sum, high[r], low[r])
                high[r], low[r] = sum.high, sum.low
        else:
            for r in range(rows):
                if loop.logarithm:
                    norm[r] = few_others(e + r * width, exp_top[r])
                else:
                    high[r] = few_total(e + r * width)
        if not loop.logarithm:
            for r in range(lanes):
                invert(high[r], low[r], &norm[r], &fine[r])
            for r in range(rows if loop.scaled else 0):
                take_in(grad_of(at, row + r, norm), &norm[r], &fine[r])
        elif n > LANES:
            for r in range(lanes):
                norm[r] = over(high[r], low[r], exp_top[r])
            below = 0
            for r in range(lanes):
                below += norm[r] < limit
            count = 0
            for r in range(rows if below else 0):
                dominated_rows[count] = r           # kept by the next line; a branch here would be mispredicted
                count += norm[r] < limit
            for i in range(count):
                r = dominated_rows[i]
                terms = e + r * width
                sum.high = sum.low = 0
                add_rest(terms, width - LANES, terms + width - LANES, exp_top[r], &sum)
                norm[r] = <floating>((sum.high + sum.low) / exp_top[r])
        if loop.logarithm:
            log1p_block(norm, norm, lanes)
        if loop.reduces:
            write_sums(at, row, rows, top, norm, loop)
            row += rows
            continue
        y, i = e, block_step
        if straight:
            y, i = <floating *>(at.y + row * at.y_step[0]), at.y_step[0]
        if loop.logarithm and at.heat != NULL:
            for r in range(rows):
                with_temperature(y).logs(further(x, r * step), &base[r], frame + r, lanes, &norm[r],
                                         <floating *>further(y, r * i), n)
        elif loop.logarithm:
            shift_rows(x, step, max(n, <npy_intp>LANES), rows, base, norm, y, i)
        else:
            scale_rows(e, width, max(n, <npy_intp>LANES), rows, norm, fine, y, i)
        for r in range(0 if straight else rows):
            write(at, row + r, 0, n, e + r * width, loop)
        row += rows

cdef inline floating *row_frame(const Layout *at, npy_intp row, floating m, floating *frame) noexcept nogil:
    """Of a row with a temperature and the maximum m; else NULL. `frame` may be that of another row."""
    if at.heat == NULL:
        return NULL
    with_temperature(frame).frame(at, row, 1, &m, 1, frame)
    return frame

cdef inline floating exp_of_top(floating m, const floating *frame) noexcept nogil:
    """A row's largest exponential."""
    cdef floating base = m - exp_origin(m), lowest, bias
    cdef floating[LANES] tops
    if frame != NULL:
        pad(tops, 0, LANES)
        tops[0] = m
        with_temperature(tops).exp(tops, 0, LANES, frame, 1, 1, LANES, tops)
        return tops[0]
    exp_frame(base, &lowest, &bias)
    return row_exp(base, lowest, bias)

cdef floating over_top_again(const Layout *at, npy_intp row, floating m, const RowLoop *loop) noexcept nogil:
    """What over() cannot tell of a row that is dominated by its maximum m."""
    cdef floating[SEGMENT] e
    cdef floating[FRAME] frame
    cdef const floating *x
    cdef const floating *warm
    cdef floating origin = exp_origin(m) if at.heat == NULL else <floating>0, lowest, bias, top
    cdef npy_intp i, n, width
    cdef Sum rest
    frame[9] = -1
    warm = row_frame(at, row, m, frame)
    top = exp_of_top(m, warm)
    rest.high = rest.low = 0
    exp_frame(m - origin, &lowest, &bias)
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        width = whole_lanes(n)
        x = read(at, row, i, n, e, loop.load)
        move(x, origin, e, n)
        for k in range(n, width):
            e[k] = -INFINITY
        if warm != NULL:
            with_temperature(e).exp(e, 0, width, warm, 1, 1, width, e)
        else:
            row_exps(e, lowest, bias, e, width)
        add_rest(e, width - LANES, e + width - LANES, top, &rest)
    return <floating>((rest.high + rest.low) / top)

cdef inline floating over_top(const Layout *at, npy_intp row, floating m, const floating *frame, const Sum *sum,
                              const RowLoop *loop) noexcept nogil:
    """What log1p takes for a row of more than LANES elements."""
    cdef floating others = over(sum.high, sum.low, exp_of_top(m, frame))
    return over_top_again(at, row, m, loop) if others < dominated(at.n, &m) else others

cdef void add_exps(const floating *x, floating lowest, floating bias, floating *y, npy_intp n, bint logarithm,
                   const Beside *beside, Sum *sum) noexcept nogil:
    """Exponentials of up to a block of a row to y, which may be x, and to its sum. What comes to the cache does so in
    strips: at once, it would keep the CPU waiting."""
    cdef floating[LANES] tail
    cdef npy_intp whole = n & ~<npy_intp>(LANES - 1), strip = STRIP // sizeof(floating), i, j, k
    cdef int left = <int>(n - whole)
    if floating is float and LOOKUPS > 1:
        add_to(sum, exps_and_sum(x, lowest, bias, y, n, logarithm, beside), 0)
        return
    if left:
        for j in range(LANES):
            tail[j] = -INFINITY
        for j in range(left):
            tail[j] = x[whole + j]
    for i from 0 <= i < whole by strip:
        k = min(strip, whole - i)
        for j in range(2):
            if beside.soon[j] != NULL:
                fetch(beside.soon[j] + i * sizeof(floating), k * sizeof(floating))
        row_exps(x + i, lowest, bias, y + i, k)
    if left:
        row_exps(tail, lowest, bias, tail, LANES)
        for j in range(left):
            y[whole + j] = tail[j]
    add_total(y, whole if left else whole - LANES, &tail[0] if left else y + whole - LANES, logarithm, sum)
    if beside.next != NULL:
        (<floating *>beside.top)[0] = higher(maximum(<const floating *>beside.next, n), (<floating *>beside.top)[0])
    if beside.results != NULL:
        finish_others(beside, 0, n, logarithm, y)

cdef inline void exp_total(const floating *x, floating m, const floating *frame, floating *y, npy_intp n,
                           bint logarithm, Sum *sum) noexcept nogil:
    """Likewise, of a row with the maximum m and, if it has a temperature, that frame."""
    cdef floating[SEGMENT] moved
    cdef floating[LANES] tail
    cdef Beside nothing
    cdef npy_intp whole = n & ~<npy_intp>(LANES - 1), j
    cdef int left = <int>(n - whole)
    cdef floating origin, lowest, bias
    if frame == NULL:
        origin = exp_origin(m)
        exp_frame(m - origin, &lowest, &bias)
        if origin != 0:
            move(x, origin, moved, n)
            x = moved
        nothing.soon[0] = nothing.soon[1] = nothing.next = nothing.results = NULL
        add_exps(x, lowest, bias, y, n, logarithm, &nothing, sum)
        return
    if left:
        for j in range(LANES):
            tail[j] = -INFINITY
        for j in range(left):
            tail[j] = x[whole + j]
        with_temperature(tail).exp(tail, 0, LANES, frame, 1, 1, LANES, tail)
    if whole:                                           # once, as it takes a while to begin
        with_temperature(x).exp(x, 0, whole, frame, 1, 1, whole, y)
    for j in range(left):
        y[whole + j] = tail[j]
    add_total(y, whole if left else whole - LANES, &tail[0] if left else y + whole - LANES, logarithm, sum)

cdef inline floating row_maximum(const Layout *at, npy_intp row, floating *block, Load load) noexcept nogil:
    """`block` is two Blocks: the more at once, the fewer lanes are folded."""
    cdef floating m = -INFINITY
    cdef npy_intp i, n, most = 2 * sizeof(Block) // sizeof(floating)
    for i from 0 <= i < at.n by most:
        n = min(most, at.n - i)
        m = higher(maximum(read(at, row, i, n, block, load), n), m)
    return m

cdef void finish_long_row(const Layout *at, npy_intp row, floating m, floating norm, floating fine, bint keep,
                          const RowLoop *loop) noexcept nogil:
    """A row's results from its maximum and normaliser; `keep`: from exponentials that wait in the output."""
    cdef floating[SEGMENT] z
    cdef floating[SEGMENT] e
    cdef floating[FRAME] frame
    cdef const floating *warm
    cdef floating origin = exp_origin(m) if at.heat == NULL else <floating>0, lowest, bias
    cdef npy_intp i, j, n
    cdef const floating *x
    cdef floating *y = target(at, row, 0, e, loop)
    if keep:
        for i in range(at.n):
            y[i] = times(y[i], norm, fine)
        return
    frame[9] = -1
    warm = row_frame(at, row, m, frame)
    exp_frame(m - origin, &lowest, &bias)
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        x = read(at, row, i, n, z, loop.load)
        y = target(at, row, i, e, loop)
        if loop.logarithm:
            finish_row(x, m, warm, norm, y, n)
        else:
            copy_wide(x, origin, e, n, whole_lanes(n))
            if warm != NULL:
                with_temperature(e).exp(e, 0, whole_lanes(n), warm, 1, 1, whole_lanes(n), e)
            else:
                row_exps(e, lowest, bias, e, whole_lanes(n))
            for j in range(n):
                y[j] = times(e[j], norm, fine)
        if y == e:
            write(at, row, i, n, e, loop)

cdef void normalise(const Layout *at, npy_intp row, floating m, const floating *frame, const Sum *sum,
                    const RowLoop *loop, floating *norm, floating *fine) noexcept nogil:
    """softmax's factor and the rest of it, or what the logarithm of the sum exceeds the maximum m by."""
    cdef floating[LANES] others
    cdef npy_intp j
    if not loop.logarithm:
        invert(sum.high, sum.low, norm, fine)
        if loop.scaled:
            take_in(grad_of(at, row, others), norm, fine)
        return
    others[0] = over_top(at, row, m, frame, sum, loop)
    for j in range(1, LANES):
        others[j] = others[0]
    log1p_block(others, others, LANES)
    norm[0], fine[0] = others[0], 0

cdef void long_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef Block[2] z_block
    cdef Block e_block
    cdef floating *z = <floating *>&z_block
    cdef floating *e = <floating *>&e_block
    cdef floating[FRAME] frame
    cdef npy_intp row, i, n
    cdef const floating *warm
    cdef const floating *x
    cdef floating *y
    cdef floating m, norm = 0, fine = 0
    cdef Sum sum
    # softmax's exponentials wait in the output, if it can hold them.
    cdef bint keep = not loop.logarithm and in_output(at, loop, e)
    frame[9] = -1
    for row in range(begin, end):
        m = row_maximum(at, row, z, loop.load)
        warm = row_frame(at, row, m, frame)
        sum.high = sum.low = 0
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            x = read(at, row, i, n, z, loop.load)
            y = target(at, row, i, e, loop) if keep else e
            exp_total(x, m, warm, y, n, loop.logarithm, &sum)
        normalise(at, row, m, warm, &sum, loop, &norm, &fine)
        if loop.reduces:
            write_sums(at, row, 1, &m, &norm, loop)
        else:
            finish_long_row(at, row, m, norm, fine, keep, loop)

cdef inline bint in_turn(const Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """Long rows that can be read, and written, where they lie."""
    return (rows > 1 and loop.load == NULL and at.x_step[1] == sizeof(floating) and at.mask == NULL and at.heat == NULL
            and (loop.reduces or in_output(at, loop, _)))

cdef void rows_in_turn(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """Beside a row's exponentials, which so need not wait for its sum, are found the results of the row before and the
    next one's maximum."""
    cdef floating[SEGMENT] e
    cdef floating[SEGMENT] moved
    cdef floating[LANES] top
    cdef npy_intp row, i, j, n, step = at.x_step[0], y_step = at.y_step[0]
    # What comes to the cache is used beside the next block's exponentials, or after these ones.
    cdef npy_intp ahead = SEGMENT * sizeof(floating) if from_table(e) else 0
    cdef const char *next
    cdef char *before
    cdef const floating *x
    cdef floating *y
    cdef floating m = row_maximum(at, begin, e, loop.load), origin, lowest, bias, norm = 0, fine = 0
    cdef Beside beside
    cdef Sum sum
    beside.top = top
    for row in range(begin, end):
        sum.high = sum.low = 0
        origin = exp_origin(m)
        exp_frame(m - origin, &lowest, &bias)
        for j in range(LANES):
            top[j] = -INFINITY
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            x = <const floating *>(at.x + row * step) + i
            y = &e[0]
            if not loop.logarithm:
                y = <floating *>(at.y + row * y_step) + i
            next = at.x + (row + 1) * step + i * sizeof(floating)
            before = at.y + (row - 1) * y_step + i * sizeof(floating)
            beside.next = next if row + 1 < end else NULL
            beside.results = before if row > begin and not loop.reduces else NULL
            beside.waiting = at.x + (row - 1) * step + i * sizeof(floating) if loop.logarithm else before
            beside.soon[0] = next + ahead if at.far else NULL
            beside.soon[1] = (before if loop.logarithm else <char *>y) + ahead if at.far and not loop.reduces else NULL
            if origin != 0:
                move(x, origin, moved, n)
                x = moved
            add_exps(x, lowest, bias, y, n, loop.logarithm, &beside, &sum)
        normalise(at, row, m, <const floating *>NULL, &sum, loop, &norm, &fine)
        beside.first, beside.second = m if loop.logarithm else norm, norm if loop.logarithm else fine
        if loop.reduces:
            write_sums(at, row, 1, &m, &norm, loop)
        elif row + 1 == end:
            before = at.y + row * y_step
            beside.results = before
            beside.waiting = at.x + row * step if loop.logarithm else before
            finish_others(&beside, 0, at.n, loop.logarithm, e)
        m = highest(top)
