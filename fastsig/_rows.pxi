"""softmax and log_softmax along an axis: the inner loops of generalised ufuncs "(n)->(n)".

A row is one vector along the axis; it may lie anywhere, with any stride. Four ways to run the same arithmetic:

- short_rows:   rows that fit a block, several at a time: maxima, one exp over the whole block, sums, results
- long_rows:    one row in blocks: maximum; exp and sum; results
- short_lanes:  many very short rows: 64 rows stand side by side, so that vector lanes are rows
- long_lanes:   many rows side by side in memory (axis 0 of a C-ordered matrix): lanes are rows again, streamed

All four add a row's terms in the same order (`total` and `fold`: element i goes to lane i mod LANES, lanes are folded
in halves, blocks of BLOCK elements are added in double), so a row's bits depend neither on where it lies nor on its
neighbours.
The pointer `_` at the end of a signature only tells Cython the type.
"""
from libc.math cimport INFINITY

cdef enum:
    LANES = 16          # partial sums of a row
    WIDE = 64           # rows side by side in the lane variants
    STEPS = 8           # elements of each that pass through exp together: WIDE * STEPS == BLOCK
    SHORT = 16          # rows of up to so many elements are transposed when there are enough of them
    TILE = 1024         # WIDE * SHORT

cdef struct RowLoop:
    bint logarithm          # log_softmax
    bint masked             # a second, boolean operand: "(n),(n)->(n)"
    npy_intp serial         # as in Loop
    Load load               # as in Loop
    Store store

cdef struct Layout:         # one call's operands; strides in bytes, [row, element]
    const char *x
    const char *mask        # or NULL
    char *y
    npy_intp n
    npy_intp[2] x_step
    npy_intp[2] mask_step
    npy_intp[2] y_step


# ------------------------------------------------------------------------------------- pieces of a row

cdef inline const floating *read(const Layout *at, npy_intp row, npy_intp i, npy_intp n, floating *block,
                                 Load load) noexcept nogil:
    """Elements [i, i + n) of a row, masked: where they lie if that is possible, else in `block`."""
    cdef const char *p = at.x + row * at.x_step[0] + i * at.x_step[1]
    cdef const char *mask
    cdef npy_intp j
    if at.mask == NULL and load == NULL and at.x_step[1] == sizeof(floating):
        return <const floating *>p
    gather(p, at.x_step[1], block, n, load)
    if at.mask != NULL:
        mask = at.mask + row * at.mask_step[0] + i * at.mask_step[1]
        for j in range(n):
            if not mask[j * at.mask_step[1]]:
                block[j] = -INFINITY
    return block

cdef inline void write(const Layout *at, npy_intp row, npy_intp i, npy_intp n, floating *block,
                       const RowLoop *loop) noexcept nogil:
    """The results `block` to elements [i, i + n) of a row; masked-out ones become 0 or -inf."""
    cdef const char *mask
    cdef npy_intp j
    if at.mask != NULL:
        mask = at.mask + row * at.mask_step[0] + i * at.mask_step[1]
        for j in range(n):
            if not mask[j * at.mask_step[1]]:
                block[j] = <floating>-INFINITY if loop.logarithm else <floating>0
    scatter(block, at.y + row * at.y_step[0] + i * at.y_step[1], at.y_step[1], n, loop.store)

cdef inline void max_halves(floating *lanes, npy_intp half) noexcept nogil:
    cdef npy_intp j
    for j in range(half):
        lanes[j] = lanes[half + j] if lanes[half + j] > lanes[j] else lanes[j]

cdef inline floating maximum(const floating *x, npy_intp n) noexcept nogil:
    """The maximum, or -inf of nothing. Explicit lanes, as a plain reduction stays scalar; the last ones overlap.

    A NaN may win or be ignored: it comes back through the sum.
    """
    cdef floating[2 * LANES] lanes
    cdef npy_intp i, j
    if n >= 2 * LANES:
        for j in range(2 * LANES):
            lanes[j] = x[j]
        i = 2 * LANES
        while i < n:
            i = min(i, n - 2 * LANES)
            for j in range(2 * LANES):
                lanes[j] = x[i + j] if x[i + j] > lanes[j] else lanes[j]
            i += 2 * LANES
    else:
        for j in range(2 * LANES):
            lanes[j] = -INFINITY
        for j in range(min(n, <npy_intp>LANES)):
            lanes[j] = x[j]
        if n > LANES:
            for j in range(LANES):
                lanes[LANES + j] = x[n - LANES + j]
    max_halves(lanes, 16)
    max_halves(lanes, 8)
    max_halves(lanes, 4)
    max_halves(lanes, 2)
    max_halves(lanes, 1)
    return lanes[0]

cdef inline void add_halves(floating *lanes, npy_intp half) noexcept nogil:
    cdef npy_intp j
    for j in range(half):
        lanes[j] += lanes[half + j]

cdef inline void fold(floating *lanes) noexcept nogil:
    """lanes[0] = their sum, in halves of constant length: known trip counts become straight vector code."""
    add_halves(lanes, 8)
    add_halves(lanes, 4)
    add_halves(lanes, 2)
    add_halves(lanes, 1)

cdef inline floating total(const floating *e, npy_intp n) noexcept nogil:
    """The sum of up to a block of terms."""
    cdef floating[LANES] lanes
    cdef npy_intp i, j, whole = n & ~<npy_intp>(LANES - 1)
    for j in range(LANES):
        lanes[j] = 0
    for i from 0 <= i < whole by LANES:
        for j in range(LANES):
            lanes[j] += e[i + j]
    for j in range(n - whole):
        lanes[j] += e[whole + j]
    fold(lanes)
    return lanes[0]

cdef inline void split(floating *e, floating *units, npy_intp n) noexcept nogil:
    """For log_softmax: the terms that are exactly one unit, the maxima, move to `units`.

    Summed apart, they leave log1p a small rest that a sum of 1 + tiny would have lost.
    """
    cdef npy_intp i
    cdef floating rest
    for i in range(n):
        rest = <floating>0 if e[i] == exp_unit(e[i]) else e[i]
        units[i] = e[i] - rest
        e[i] = rest

cdef inline floating normaliser(double sum, double units, floating one, bint logarithm) noexcept nogil:
    """1/sum for softmax; for log_softmax what log1p takes: the whole sum, in units, less 1."""
    if logarithm:
        return (<floating>(units / exp_unit(one)) - one) + <floating>sum / exp_unit(one)
    return one / <floating>sum

cdef inline void pad(floating *block, npy_intp n, npy_intp padded) noexcept nogil:
    cdef npy_intp i
    for i in range(n, padded):
        block[i] = 0

cdef inline npy_intp whole_lanes(npy_intp n) noexcept nogil:
    return (n + LANES - 1) & ~<npy_intp>(LANES - 1)

cdef inline floating *target(const Layout *at, npy_intp row, npy_intp i, floating *block, Store store) noexcept nogil:
    """Where the results of elements [i, ...) of a row can be computed: in the output itself, or in `block`."""
    if at.mask == NULL and store == NULL and at.y_step[1] == sizeof(floating):
        return <floating *>(at.y + row * at.y_step[0] + i * at.y_step[1])
    return block


# ------------------------------------------------------------------------------------- vector lanes along a row

cdef void short_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[BLOCK] z
    cdef floating[BLOCK] e
    cdef floating[BLOCK] units
    cdef floating[BLOCK] norm
    cdef npy_intp n = at.n, row = begin, rows, r, i
    cdef const floating *x
    cdef floating *b
    cdef floating *y
    cdef floating m
    while row < end:
        rows = min(BLOCK // n, end - row)
        for r in range(rows):
            b = z + r * n
            x = read(at, row + r, 0, n, b, loop.load)
            m = maximum(x, n)
            for i in range(n):
                b[i] = x[i] - m
        pad(z, rows * n, whole_lanes(rows * n))
        scaled_exp_block(z, e, whole_lanes(rows * n))
        if loop.logarithm:
            split(e, units, rows * n)
        for r in range(rows):
            m = total(units + r * n, n) if loop.logarithm else 0
            norm[r] = normaliser(total(e + r * n, n), m, <floating>1, loop.logarithm)
        if loop.logarithm:
            pad(norm, rows, whole_lanes(rows))
            log1p_block(norm, norm, whole_lanes(rows))
        for r in range(rows):
            b = e + r * n
            y = target(at, row + r, 0, b, loop.store)
            m = norm[r]
            if loop.logarithm:
                for i in range(n):
                    y[i] = z[r * n + i] - m
            else:
                for i in range(n):
                    y[i] = b[i] * m
            if y == b:
                write(at, row + r, 0, n, b, loop)
        row += rows

cdef inline void shifted(const Layout *at, npy_intp row, npy_intp i, npy_intp n, floating m, floating *z,
                         Load load) noexcept nogil:
    """Elements [i, i + n) of a row less its maximum, padded to whole lanes."""
    cdef const floating *x = read(at, row, i, n, z, load)
    cdef npy_intp j
    for j in range(n):
        z[j] = x[j] - m
    pad(z, n, whole_lanes(n))

cdef void long_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[BLOCK] z
    cdef floating[BLOCK] e
    cdef floating[BLOCK] units_block
    cdef floating[LANES] norm
    cdef npy_intp row, i, j, n
    cdef floating *y
    cdef floating m, factor
    cdef double sum, units
    # The exponentials wait in the output if it can hold them; else they are computed a second time.
    cdef bint keep = not loop.logarithm and target(at, 0, 0, e, loop.store) != e
    for row in range(begin, end):
        m = -INFINITY
        for i from 0 <= i < at.n by BLOCK:
            n = min(<npy_intp>BLOCK, at.n - i)
            norm[0] = maximum(read(at, row, i, n, z, loop.load), n)
            m = norm[0] if norm[0] > m else m
        sum = units = 0
        for i from 0 <= i < at.n by BLOCK:
            n = min(<npy_intp>BLOCK, at.n - i)
            shifted(at, row, i, n, m, z, loop.load)
            y = target(at, row, i, e, loop.store) if keep and n == BLOCK else e
            scaled_exp_block(z, y, whole_lanes(n))
            if loop.logarithm:
                split(e, units_block, n)
                units += total(units_block, n)
            sum += total(y, n)
            if keep and y == e:
                memcpy(target(at, row, i, e, loop.store), e, n * sizeof(floating))
        norm[0] = normaliser(sum, units, <floating>1, loop.logarithm)
        if loop.logarithm:
            pad(norm, 1, LANES)
            log1p_block(norm, norm, LANES)
        factor = norm[0]
        if keep:
            y = target(at, row, 0, e, loop.store)
            for i in range(at.n):
                y[i] = y[i] * factor
            continue
        for i from 0 <= i < at.n by BLOCK:
            n = min(<npy_intp>BLOCK, at.n - i)
            shifted(at, row, i, n, m, z, loop.load)
            y = target(at, row, i, e, loop.store)
            if loop.logarithm:
                for j in range(n):
                    y[j] = z[j] - factor
            else:
                scaled_exp_block(z, e, whole_lanes(n))
                for j in range(n):
                    y[j] = e[j] * factor
            if y == e:
                write(at, row, i, n, e, loop)


# ------------------------------------------------------------------------------------- vector lanes across rows

cdef inline void lanes_maximum(const floating *x, npy_intp w, floating *m) noexcept nogil:
    cdef npy_intp k
    for k in range(w):
        m[k] = x[k] if x[k] > m[k] else m[k]

cdef inline void lanes_add(const floating *e, floating *sum) noexcept nogil:
    cdef npy_intp k
    for k in range(WIDE):
        sum[k] += e[k]

cdef inline void lanes_fold(floating *lanes, npy_intp n) noexcept nogil:
    """fold() of WIDE rows at once, of which only the first n lanes are in use."""
    cdef npy_intp half = LANES // 2, k
    while half:
        for k in range(min(half, n - half) * WIDE):
            lanes[k] += lanes[half * WIDE + k]
        half //= 2

cdef inline void lanes_normaliser(const double *sum, const floating *units, floating *norm,
                                  bint logarithm) noexcept nogil:
    cdef npy_intp k
    for k in range(WIDE):
        norm[k] = normaliser(sum[k], units[k], <floating>1, logarithm)
    if logarithm:
        log1p_block(norm, norm, WIDE)

cdef inline const floating *read_lanes(const Layout *at, npy_intp row, npy_intp i, npy_intp w, floating *block,
                                       Load load) noexcept nogil:
    """Element i of w rows: where they lie if that is possible, else in `block`."""
    cdef const char *p = at.x + row * at.x_step[0] + i * at.x_step[1]
    if load == NULL and at.x_step[0] == sizeof(floating):
        return <const floating *>p
    gather(p, at.x_step[0], block, w, load)
    return block

cdef inline void write_lanes(const Layout *at, npy_intp row, npy_intp i, npy_intp w, floating *value,
                             const floating *norm, const RowLoop *loop) noexcept nogil:
    """Element i of w rows, z - norm or e * norm, to the output."""
    cdef char *p = at.y + row * at.y_step[0] + i * at.y_step[1]
    cdef floating *y = value
    cdef npy_intp k
    if loop.store == NULL and at.y_step[0] == sizeof(floating):
        y = <floating *>p
    if loop.logarithm:
        for k in range(w):
            y[k] = value[k] - norm[k]
    else:
        for k in range(w):
            y[k] = value[k] * norm[k]
    if y == value:
        scatter(value, p, at.y_step[0], w, loop.store)

cdef void short_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[TILE] z
    cdef floating[TILE] e
    cdef floating[TILE] lanes
    cdef floating[BLOCK] units_block
    cdef floating[WIDE] m
    cdef floating[WIDE] units
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef floating *value = &z[0] if loop.logarithm else &e[0]
    cdef npy_intp n = at.n, row, w, i, j, k, steps
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            m[k] = -INFINITY
            units[k] = 0
        for i in range(n):
            gather(at.x + row * at.x_step[0] + i * at.x_step[1], at.x_step[0], z + i * WIDE, w, loop.load)
            pad(z + i * WIDE, w, WIDE)
            lanes_maximum(z + i * WIDE, WIDE, m)
        for i in range(n):
            for k in range(WIDE):
                z[i * WIDE + k] = z[i * WIDE + k] - m[k]
        for i from 0 <= i < n by STEPS:
            steps = min(<npy_intp>STEPS, n - i)
            scaled_exp_block(z + i * WIDE, e + i * WIDE, steps * WIDE)
            if loop.logarithm:
                split(e + i * WIDE, units_block, steps * WIDE)
                for j in range(steps):
                    lanes_add(units_block + j * WIDE, units)
        memcpy(lanes, e, n * WIDE * sizeof(floating))
        lanes_fold(lanes, n)
        for k in range(WIDE):
            sum[k] = lanes[k]
        lanes_normaliser(sum, units, norm, loop.logarithm)
        for i in range(n):
            write_lanes(at, row, i, w, value + i * WIDE, norm, loop)

cdef inline void shifted_lanes(const Layout *at, npy_intp row, npy_intp i, npy_intp steps, npy_intp w,
                               const floating *m, floating *z, Load load) noexcept nogil:
    """Elements [i, i + steps) of w rows less their maxima; lanes that are not rows become 0."""
    cdef const floating *x
    cdef npy_intp j, k
    for j in range(steps):
        x = read_lanes(at, row, i + j, w, z + j * WIDE, load)
        for k in range(w):
            z[j * WIDE + k] = x[k] - m[k]
        pad(z + j * WIDE, w, WIDE)

cdef void long_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[BLOCK] z
    cdef floating[BLOCK] e
    cdef floating[BLOCK] units_block
    cdef floating[TILE] lanes
    cdef floating[WIDE] m
    cdef floating[WIDE] units
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef floating *value = &z[0] if loop.logarithm else &e[0]
    cdef floating *y
    cdef npy_intp row, w, block, i, j, k, steps
    cdef bint keep = not loop.logarithm and loop.store == NULL and at.y_step[0] == sizeof(floating)
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            m[k] = -INFINITY
            units[k] = 0
            sum[k] = 0
        for i in range(at.n):
            lanes_maximum(read_lanes(at, row, i, w, z, loop.load), w, m)
        for block from 0 <= block < at.n by BLOCK:
            for k in range(TILE):
                lanes[k] = 0
            for i from block <= i < min(block + BLOCK, at.n) by STEPS:
                steps = min(<npy_intp>STEPS, at.n - i)
                shifted_lanes(at, row, i, steps, w, m, z, loop.load)
                scaled_exp_block(z, e, steps * WIDE)
                if loop.logarithm:
                    split(e, units_block, steps * WIDE)
                for j in range(steps):
                    lanes_add(e + j * WIDE, lanes + (i + j) % LANES * WIDE)
                    if loop.logarithm:
                        lanes_add(units_block + j * WIDE, units)
                    if keep:
                        memcpy(at.y + row * at.y_step[0] + (i + j) * at.y_step[1], e + j * WIDE, w * sizeof(floating))
            lanes_fold(lanes, LANES)
            for k in range(WIDE):
                sum[k] += lanes[k]
        lanes_normaliser(sum, units, norm, loop.logarithm)
        if keep:
            for i in range(at.n):
                y = <floating *>(at.y + row * at.y_step[0] + i * at.y_step[1])
                for k in range(w):
                    y[k] = y[k] * norm[k]
            continue
        for i from 0 <= i < at.n by STEPS:
            steps = min(<npy_intp>STEPS, at.n - i)
            shifted_lanes(at, row, i, steps, w, m, z, loop.load)
            if not loop.logarithm:
                scaled_exp_block(z, e, steps * WIDE)
            for j in range(steps):
                write_lanes(at, row, i + j, w, value + j * WIDE, norm, loop)


# ------------------------------------------------------------------------------------- the loop

cdef void run_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef npy_intp stored = sizeof(uint16_t) if loop.load != NULL else sizeof(floating)
    if end - begin >= LANES and at.mask == NULL:
        if at.n <= SHORT:
            short_lanes(at, begin, end, loop, _)
            return
        if at.x_step[0] == stored:
            long_lanes(at, begin, end, loop, _)
            return
    if at.n <= BLOCK:
        short_rows(at, begin, end, loop, _)
    else:
        long_rows(at, begin, end, loop, _)

cdef void drive_rows(floating **args, const npy_intp *dims, const npy_intp *steps, void *data) noexcept nogil:
    """A generalised ufunc's inner loop, on several threads when they pay."""
    cdef const RowLoop *loop = <const RowLoop *>data
    cdef int nargs = 3 if loop.masked else 2, threads
    cdef npy_intp rows = dims[0], share, c
    cdef Layout at
    at.n = dims[1]
    if rows == 0 or at.n == 0:
        return
    at.x, at.y = <const char *>args[0], <char *>args[nargs - 1]
    at.mask = <const char *>args[1] if loop.masked else NULL
    at.x_step[0], at.x_step[1] = steps[0], steps[nargs]
    at.mask_step[0], at.mask_step[1] = steps[1], steps[nargs + 1]
    at.y_step[0], at.y_step[1] = steps[nargs - 1], steps[2 * nargs - 1]
    threads = acquire_threads() if rows > 1 and rows * at.n > loop.serial else 0
    if threads > 1:
        share = (rows + threads - 1) // threads
        if share > WIDE:
            share = (share + WIDE - 1) // WIDE * WIDE
        for c in prange(threads, num_threads=threads, schedule="static"):
            run_rows(&at, min(rows, c * share), min(rows, (c + 1) * share), loop, args[0])
    else:
        run_rows(&at, 0, rows, loop, args[0])
    release_threads(threads)
    clear_fp_flags()
