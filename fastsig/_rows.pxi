"""softmax, log_softmax and logsumexp along an axis, and the gradients of the first two: the inner loops of generalised
ufuncs "(n)->(n)", "(n)->()" and "(n),(n)->(n)".

A row is one vector along the axis; it may lie anywhere, with any stride. Six ways to run the same arithmetic:

- short_rows:   rows of which several fit a buffer: maxima, one exp over the whole block, sums, results
- block_rows:   rows of a block, in memory as they are: exp and sum of one beside the next one's maximum
- long_rows:    likewise, one row in blocks; its results may follow the next one's exp and sum
- short_lanes:  many very short rows: 64 rows are put side by side, so that vector lanes are rows
- short_quads:  likewise, but four elements of a row stay together; for rows that lie in one piece
- long_lanes:   many rows side by side in memory (axis 0 of a C-ordered matrix): lanes are rows again, streamed

All six add a row's terms in the same order (`total` and `fold`: element i goes to lane i mod LANES, lanes are folded
in halves, blocks of SEGMENT elements are added in double), so a row's bits depend neither on where it lies nor on its
neighbours. The gradients, gradient_rows and gradient_lanes, keep that order, too. While exponentials are computed, the
next rows come from memory, strip by strip.
The pointer `_` at the end of a signature only tells Cython the type.
"""
from libc.math cimport INFINITY

cdef extern from *:
    """
    /* Whether exponentials are added up as they are computed: with registers enough that the sums stay in some, and
       LANES floats in one. Where there are fewer, a second loop is faster. */
    #if defined(__AVX512F__)
    #define FUSED 1
    #else
    #define FUSED 0
    #endif
    """
    const bint FUSED

cdef enum:
    SEGMENT = 512       # elements of a row that are added up at once
    LANES = 16          # partial sums of a row
    WIDE = 64           # rows side by side in the lane variants
    STEPS = 8           # elements of each that pass through exp together: WIDE * STEPS == SEGMENT
    SPAN = 4            # blocks of short rows that pass through exp together, at the most
    NEAR = 6144         # bytes of a row that stays in the nearest cache, beside the next ones
    FURTHER = 2048      # bytes from what a loop reads to what is fetched for it
    SHORT = 16          # rows of up to so many elements are always put side by side, if there are enough of them
    QUAD = 4            # elements of a row that stay together in quads
    GROUP = 4           # quads of a row that move one after the other, in which a row moves together

cdef struct RowLoop:
    bint logarithm          # log_softmax and logsumexp, not softmax
    bint reduces            # logsumexp: one result a row, "(n)->()"
    bint gradient           # of softmax or log_softmax; grad_output is a first operand: "(n),(n)->(n)"
    bint masked             # a last, boolean operand
    double cost             # as in Loop
    Load load               # as in Loop
    Store store

cdef struct Layout:         # one call's operands; strides in bytes, [row, element]
    const char *x           # for a gradient, the function's output
    const char *grad        # not used if there is no gradient
    const char *mask        # or NULL
    char *y
    npy_intp n
    npy_intp rows
    bint far                # so many rows that most come from memory, not from a cache
    npy_intp[2] x_step
    npy_intp[2] grad_step
    npy_intp[2] mask_step
    npy_intp[2] y_step      # the second is not used if a row has one result

cdef struct Known:          # of a row that a thread may take next
    npy_intp row            # -1: none
    double maximum


# ------------------------------------------------------------------------------------- pieces of a row

cdef inline void mask_out(const Layout *at, npy_intp row, npy_intp i, npy_intp n, floating *block,
                          floating hole) noexcept nogil:
    """`hole` to those of elements [i, i + n) of a row that the mask, if there is one, leaves out."""
    cdef const char *mask
    cdef npy_intp j
    if at.mask == NULL:
        return
    mask = at.mask + row * at.mask_step[0] + i * at.mask_step[1]
    for j in range(n):
        if not mask[j * at.mask_step[1]]:
            block[j] = hole

cdef void gather_masked(const Layout *at, const char *p, const npy_intp *step, npy_intp row, npy_intp i, npy_intp n,
                        floating *block, floating hole, Load load) noexcept nogil:
    """What read_operand() does where elements cannot stay where they lie. Not inline, for the size of its callers."""
    gather(p + row * step[0] + i * step[1], step[1], block, n, load)
    mask_out(at, row, i, n, block, hole)

cdef inline const floating *read_operand(const Layout *at, const char *p, const npy_intp *step, npy_intp row,
                                         npy_intp i, npy_intp n, floating *block, floating hole,
                                         Load load) noexcept nogil:
    """Elements [i, i + n) of a row of the operand p, masked: where they lie if that is possible, else in `block`."""
    if at.mask == NULL and load == NULL and step[1] == sizeof(floating):
        return <const floating *>(p + row * step[0] + i * step[1])
    gather_masked(at, p, step, row, i, n, block, hole, load)
    return block

cdef inline const floating *read(const Layout *at, npy_intp row, npy_intp i, npy_intp n, floating *block,
                                 Load load) noexcept nogil:
    return read_operand(at, at.x, at.x_step, row, i, n, block, <floating>-INFINITY, load)

cdef void write(const Layout *at, npy_intp row, npy_intp i, npy_intp n, floating *block,
                const RowLoop *loop) noexcept nogil:
    """The results `block` to elements [i, i + n) of a row; masked-out ones become 0 or -inf."""
    mask_out(at, row, i, n, block, <floating>-INFINITY if loop.logarithm and not loop.gradient else <floating>0)
    scatter(block, at.y + row * at.y_step[0] + i * at.y_step[1], at.y_step[1], n, loop.store)

cdef inline void max_halves(floating *lanes, npy_intp half) noexcept nogil:
    cdef npy_intp j
    for j in range(half):
        lanes[j] = lanes[half + j] if lanes[half + j] > lanes[j] else lanes[j]

cdef inline floating higher(floating a, floating b) noexcept nogil:
    return a if a > b else b

cdef inline floating highest(floating *lanes) noexcept nogil:
    """The maximum of LANES partial maxima."""
    max_halves(lanes, 8)
    max_halves(lanes, 4)
    max_halves(lanes, 2)
    max_halves(lanes, 1)
    return lanes[0]

cdef inline void rise(const floating *x, floating *lanes) noexcept nogil:
    """LANES elements to the partial maxima."""
    cdef npy_intp j
    for j in range(LANES):
        lanes[j] = higher(x[j], lanes[j])

cdef floating maximum(const floating *x, npy_intp n) noexcept nogil:
    """The maximum. Explicit lanes, as a plain reduction stays scalar; the last ones overlap. Not inline, nor are sums:
    inside a loop over rows gcc takes loops over 16 lanes apart before it could vectorise them.

    A NaN may win or be ignored: it comes back through the sum.
    """
    cdef floating[4 * LANES] lanes
    cdef npy_intp i, j
    if n >= 16 * LANES:
        for j in range(4 * LANES):
            lanes[j] = higher(x[j], x[n - 4 * LANES + j])
        for i from 4 * LANES <= i < n - 4 * LANES by 4 * LANES:
            for j in range(4 * LANES):
                lanes[j] = higher(x[i + j], lanes[j])
        max_halves(lanes, 32)
        max_halves(lanes, 16)
    elif n >= 2 * LANES:
        for j in range(2 * LANES):
            lanes[j] = higher(x[j], x[n - 2 * LANES + j])
        for i from 2 * LANES <= i < n - 2 * LANES by 2 * LANES:
            for j in range(2 * LANES):
                lanes[j] = higher(x[i + j], lanes[j])
        max_halves(lanes, 16)
    elif n >= LANES:
        for j in range(LANES):
            lanes[j] = higher(x[j], x[n - LANES + j])
    else:
        for j in range(LANES):
            lanes[j] = -INFINITY
        for j in range(n):
            lanes[j] = x[j]
    return highest(lanes)

cdef inline void add_halves(floating *lanes, npy_intp half) noexcept nogil:
    cdef npy_intp j
    for j in range(half):
        lanes[j] += lanes[half + j]

cdef inline floating fold(floating *lanes) noexcept nogil:
    """The sum of LANES partial sums. Constant trip counts become straight vector code."""
    add_halves(lanes, 8)
    add_halves(lanes, 4)
    add_halves(lanes, 2)
    add_halves(lanes, 1)
    return lanes[0]

cdef inline floating without_units(floating e) noexcept nogil:
    return <floating>0 if e == exp_unit(e) else e

cdef floating total_with(const floating *e, npy_intp whole, const floating *tail, bint rest) noexcept nogil:
    """The sum of up to a block of terms: `whole`, a multiple of LANES, and LANES more. `rest`: without the maxima,
    exactly one unit each; log_softmax needs it, as it still knows what a sum of 1 + tiny has lost."""
    cdef floating[LANES] lanes
    cdef npy_intp i, j
    for j in range(LANES):
        lanes[j] = 0
    for i from 0 <= i < whole by LANES:
        for j in range(LANES):
            lanes[j] += without_units(e[i + j]) if rest else e[i + j]
    for j in range(LANES):
        lanes[j] += without_units(tail[j]) if rest else tail[j]
    return fold(lanes)

cdef inline floating total(const floating *e, npy_intp n, bint rest) noexcept nogil:
    """Likewise of n, a multiple of LANES."""
    return total_with(e, n - LANES, e + n - LANES, rest)

cdef inline bint needs_rest(double sum, floating unit) noexcept nogil:
    """Whether log_softmax takes the rest, of a row with one maximum that outweighs it, to log1p and not the sum."""
    return sum < 2 * <double>unit

cdef floating rest_of(const floating *e, npy_intp whole, const floating *tail, floating total,
                      double sum) noexcept nogil:
    """Of a block with this total, the sum without the maxima, if a row with this sum may need it. Not inline: gcc would
    branch on the sum first, which nobody can predict, in softmax, too."""
    cdef floating unit = exp_unit(total)
    if not needs_rest(sum, unit):
        return 0
    return total if total < unit else total_with(e, whole, tail, True)      # of less than a unit none is a maximum

cdef inline floating normaliser(double sum, double rest, floating unit, bint logarithm) noexcept nogil:
    """1/sum for softmax; for log_softmax what log1p takes: the sum less one unit, in units."""
    if logarithm:
        return <floating>((rest if needs_rest(sum, unit) else sum - unit) * <double>exp_unit_inverse(unit))
    return <floating>1 / <floating>sum

cdef inline void pad(floating *block, npy_intp n, npy_intp padded) noexcept nogil:
    cdef npy_intp i
    for i in range(n, padded):
        block[i] = 0

cdef inline npy_intp whole_lanes(npy_intp n) noexcept nogil:
    return (n + LANES - 1) & ~<npy_intp>(LANES - 1)

cdef inline bint in_output(const Layout *at, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether results along a row can be computed in the output itself."""
    return at.mask == NULL and loop.store == NULL and at.y_step[1] == sizeof(floating)

cdef inline floating *target(const Layout *at, npy_intp row, npy_intp i, floating *block,
                             const RowLoop *loop) noexcept nogil:
    """Where the results of elements [i, ...) of a row are computed: in the output, or in `block`."""
    return <floating *>(at.y + row * at.y_step[0] + i * at.y_step[1]) if in_output(at, loop, block) else block


cdef floating of_special_row(const Layout *at, npy_intp row, const RowLoop *loop, floating nan) noexcept nogil:
    """logsumexp of a row that gave NaN, as it is all -inf, or holds inf or NaN."""
    cdef floating[SEGMENT] z
    cdef const floating *x
    cdef floating m = -INFINITY
    cdef npy_intp i, j, n
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        x = read(at, row, i, n, z, loop.load)
        for j in range(n):
            if x[j] != x[j]:
                return nan
            m = x[j] if x[j] > m else m
    return m

cdef inline void write_sums(const Layout *at, npy_intp row, npy_intp rows, const floating *m, floating *norm,
                            const RowLoop *loop) noexcept nogil:
    """logsumexp of rows [row, row + rows) from their maxima and what their logarithms exceed these by."""
    cdef npy_intp r
    for r in range(rows):
        norm[r] = m[r] + norm[r]
    for r in range(rows):
        if norm[r] != norm[r]:
            norm[r] = of_special_row(at, row + r, loop, norm[r])
    scatter(norm, at.y + row * at.y_step[0], at.y_step[0], rows, loop.store)


# ------------------------------------------------------------------------------------- vector lanes along a row

cdef inline void shift(const floating *x, floating by, floating *y, npy_intp n) noexcept nogil:
    """x - by, in whole vectors if n >= LANES: the last ones overlap, so y is not x."""
    cdef floating[LANES] last
    cdef npy_intp i, j
    if n < LANES:
        for j in range(n):
            y[j] = x[j] - by
        return
    for i in range(n & ~<npy_intp>(LANES - 1)):
        y[i] = x[i] - by
    for j in range(LANES):
        last[j] = x[n - LANES + j]
    for j in range(LANES):
        y[n - LANES + j] = last[j] - by

cdef inline void scale(const floating *x, floating by, floating *y, npy_intp n) noexcept nogil:
    """x * by, likewise."""
    cdef floating[LANES] last
    cdef npy_intp i, j
    if n < LANES:
        for j in range(n):
            y[j] = x[j] * by
        return
    for i in range(n & ~<npy_intp>(LANES - 1)):
        y[i] = x[i] * by
    for j in range(LANES):
        last[j] = x[n - LANES + j]
    for j in range(LANES):
        y[n - LANES + j] = last[j] * by

cdef inline void shift_wide(const floating *x, floating by, floating *y, npy_intp n, npy_intp width) noexcept nogil:
    """x - by, and -inf from n to width = whole_lanes(n)."""
    cdef npy_intp j
    for j in range(LANES):
        y[width - LANES + j] = -INFINITY
    shift(x, by, y, n)

cdef inline void finish_row(const floating *x, floating m, floating norm, floating *y, npy_intp n) noexcept nogil:
    """log_softmax from its row, the maximum and what the sum's logarithm exceeds that by."""
    cdef npy_intp i
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

cdef void short_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef Block[SPAN] z_blocks
    cdef Block[SPAN] spare_blocks
    cdef floating *z = <floating *>&z_blocks
    cdef floating *spare = <floating *>&spare_blocks
    cdef floating *e = spare if loop.logarithm else z
    cdef floating[SEGMENT] top
    cdef floating[SEGMENT] norm
    cdef npy_intp[SEGMENT] dominated_row
    cdef npy_intp n = at.n, row = begin, rows, lanes, r, i, dominated, width = whole_lanes(n)
    cdef npy_intp strip = STRIP // sizeof(floating), next_row, next_i
    # As few as pay, to leave the nearest cache to input and output; a logarithm pays for many rows at once.
    cdef npy_intp most = SEGMENT * (SPAN if loop.reduces else 2 if loop.logarithm else 1) // width
    cdef const floating *x
    cdef floating *y
    cdef floating m, unit = exp_unit(<floating>0)
    cdef bint ahead = at.far and at.x_step[1] == sizeof(floating)
    while row < end:
        rows = min(most, end - row)
        lanes = whole_lanes(rows)
        for r in range(rows):
            x = read(at, row + r, 0, n, spare + r * width, loop.load)
            m = maximum(x, n)
            top[r] = m
            shift_wide(x, m, z + r * width, n, width)
            if ahead and not loop.reduces and at.y_step[1] == sizeof(floating):
                fetch(at.y + (row + r) * at.y_step[0], n * sizeof(floating))
        next_row, next_i = row + rows, 0
        for i from 0 <= i < rows * width by strip:
            if ahead:
                fetch_rows(at, min(end, row + 2 * rows), &next_row, &next_i, strip, z)
            scaled_exp_block(z + i, <floating>0, e + i, min(strip, rows * width - i))
        for r in range(rows):
            norm[r] = total(e + r * width, width, False)
        pad(norm, rows, lanes)
        if loop.logarithm:
            dominated = 0
            for r in range(rows):
                dominated_row[dominated] = r        # kept by the next line; a branch here would be mispredicted
                dominated += needs_rest(norm[r], unit)
            for r in range(lanes):
                norm[r] = (norm[r] - unit) / unit   # exact, or rounded once
            for r in range(dominated):
                norm[dominated_row[r]] = total(e + dominated_row[r] * width, width, True) / unit
            log1p_block(norm, norm, lanes)
        else:
            for r in range(lanes):
                norm[r] = <floating>1 / norm[r]
        if loop.reduces:
            write_sums(at, row, rows, top, norm, loop)
            row += rows
            continue
        for r in range(rows):
            y = target(at, row + r, 0, spare + r * width, loop)
            if loop.logarithm:
                shift(z + r * width, norm[r], y, n)
            else:
                scale(z + r * width, norm[r], y, n)
            if y == spare + r * width:
                write(at, row + r, 0, n, y, loop)
        row += rows

cdef inline void add_exps(const floating *x, floating m, floating *y, const floating *next, npy_intp n, bint with_rest,
                          floating *sums, floating *rests, floating *top) noexcept nogil:
    """exp(x - m), of n elements, a multiple of LANES, to the partial sums, and to y; `with_rest`: not to y, but all but
    the maxima to the partial rests. Beside it, n elements of `next` to the partial maxima `top`: the CPU has time."""
    cdef floating[LANES] e
    cdef floating lowest = lowest_exponent(x)
    cdef npy_intp i, j
    if with_rest:           # outside of the loop: the compiler would not take it there
        for i from 0 <= i < n by LANES:
            for j in range(LANES):
                e[j] = scaled_exp(x[i + j] - m, lowest)
            for j in range(LANES):
                sums[j] += e[j]
                rests[j] += without_units(e[j])
            rise(next + i, top)
        return
    for i from 0 <= i < n by LANES:
        for j in range(LANES):
            e[j] = scaled_exp(x[i + j] - m, lowest)
        for j in range(LANES):
            sums[j] += e[j]
            y[i + j] = e[j]
        rise(next + i, top)

cdef inline void exp_total(const floating *x, floating m, floating *y, npy_intp n, bint logarithm, bint over,
                           const char *fetch_x, const char *fetch_y, const floating *next, double *sum, double *rest,
                           floating *next_m) noexcept nogil:
    """exp(x - m), of up to a block, to y, which may be x, and `sum`. For a logarithm only to `sum` and, as long as it
    may be needed, all but the maxima to `rest`: what y then holds is of no use. `over`: the elements up to a multiple
    of LANES can be read, and written. Beside it, n elements of `next`, unless that is NULL, to the maximum `next_m`,
    and what `fetch_x` and `fetch_y` point to, unless NULL, comes to the cache, in strips: at once, it would keep the
    CPU waiting."""
    cdef floating[LANES] tail
    cdef floating[LANES] sums
    cdef floating[LANES] rests
    cdef floating[LANES] top
    cdef npy_intp whole = n & ~<npy_intp>(LANES - 1), strip = STRIP // sizeof(floating), i, j, k
    cdef int left = <int>(n - whole)
    cdef floating added
    cdef bint with_rest = FUSED and logarithm and sum[0] == 0       # of the first block; of others, only when needed
    cdef const floating *last = &tail[0] if left else y + whole - LANES
    cdef const floating *beside = x if next == NULL else next
    # The last LANES elements, some of them before `next`; or what does no harm.
    cdef const floating *end = <const floating *>sums if next == NULL else next + n - LANES
    if over and left:
        for j in range(LANES):
            tail[j] = x[whole + j] - m if <int>j < left else <floating>-INFINITY
    elif left:
        for j in range(LANES):
            tail[j] = -INFINITY
        for j in range(left):
            tail[j] = x[whole + j] - m
    pad(sums, 0, LANES)
    pad(rests, 0, LANES)
    for j in range(LANES):
        top[j] = -INFINITY
    for i from 0 <= i < whole by strip:
        k = min(strip, whole - i)
        if fetch_x != NULL:
            fetch(fetch_x + i * sizeof(floating), k * sizeof(floating))
        if fetch_y != NULL:
            fetch(fetch_y + i * sizeof(floating), k * sizeof(floating))
        if FUSED:
            add_exps(x + i, m, y + i, beside + i, k, with_rest, sums, rests, top)
        else:
            scaled_exp_block(x + i, m, y + i, k)
    if left:
        if FUSED:
            add_exps(tail, <floating>0, tail, end, LANES, with_rest, sums, rests, top)
        else:
            scaled_exp_block(tail, <floating>0, tail, LANES)
        for j in range(LANES if over else left):
            y[whole + j] = tail[j]
    whole = whole if left else whole - LANES
    added = fold(sums) if FUSED else total_with(y, whole, last, False)
    sum[0] += added
    if with_rest:
        rest[0] += fold(rests)
    elif logarithm:
        rest[0] += rest_of(y, whole, last, added, sum[0])
    if FUSED and next != NULL:
        next_m[0] = higher(highest(top), next_m[0])

cdef inline bint in_blocks(const Layout *at, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether rows are for block_rows(). Of shorter ones several pass through exp together."""
    cdef npy_intp least = 4 * LANES if FUSED else SEGMENT if loop.logarithm else STRIP // <int>sizeof(floating)
    return (least < at.n and at.n <= SEGMENT and at.mask == NULL and loop.load == NULL
            and at.x_step[1] == sizeof(floating) and (loop.reduces or in_output(at, loop, _)))

cdef void block_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """LANES rows at a time share their logarithms."""
    cdef floating[SEGMENT] e
    cdef floating[LANES] top
    cdef floating[LANES] norm
    cdef double[LANES] sums
    cdef double[LANES] rests
    cdef npy_intp n = at.n, row, rows, r, i
    cdef const floating *x = <const floating *>(at.x + begin * at.x_step[0])
    cdef const floating *next_x
    cdef floating *y = e
    cdef floating m, factor, next = maximum(x, n), unit = exp_unit(<floating>0)
    cdef double sum, rest
    cdef bint logarithm = FUSED and loop.logarithm        # as in_blocks() has it
    # Where the next row follows at once, whole vectors reach into it: its results are written later. Not in place, as
    # it would be read later, too.
    cdef npy_intp size = n * <npy_intp>sizeof(floating)
    cdef bint over_x = at.x_step[0] == size
    cdef bint over_y = over_x and not loop.reduces and at.y_step[0] == size and not overlap(
        at.x + begin * size, (end - begin) * size, at.y + begin * size, (end - begin) * size)
    cdef bint over
    for r in range(LANES):
        sums[r] = rests[r] = unit
    for row from begin <= row < end by LANES:
        rows = min(<npy_intp>LANES, end - row)
        for r in range(rows):
            m = top[r] = next
            if not logarithm:
                y = <floating *>(at.y + (row + r) * at.y_step[0])
            next_x = <const floating *>(<const char *>x + at.x_step[0]) if row + r + 1 < end else NULL
            over = (over_x if logarithm else over_y) and row + r + 1 < end
            sum = rest = 0
            next = -INFINITY
            exp_total(x, m, y, n, logarithm, over, <const char *>next_x if at.far else NULL, NULL, next_x, &sum, &rest,
                      &next)
            x = next_x
            if not FUSED and x != NULL:
                next = maximum(x, n)
            if logarithm:
                sums[r], rests[r] = sum, rest
                if at.far and not loop.reduces:
                    fetch(at.y + (row + r) * at.y_step[0], n * sizeof(floating))
            else:
                factor = normaliser(sum, rest, unit, False)
                for i in range(whole_lanes(n) if over else n):
                    y[i] = y[i] * factor
        if not logarithm:
            continue
        for r in range(LANES):
            norm[r] = normaliser(sums[r], rests[r], unit, True)
        log1p_block(norm, norm, LANES)
        if loop.reduces:
            write_sums(at, row, rows, top, norm, loop)
            continue
        for r in range(rows):
            finish_row(<const floating *>(at.x + (row + r) * at.x_step[0]), top[r], norm[r],
                       <floating *>(at.y + (row + r) * at.y_step[0]),
                       whole_lanes(n) if over_y and row + r + 1 < end else n)

cdef inline floating row_maximum(const Layout *at, npy_intp row, floating *block, Load load) noexcept nogil:
    """`block` is a Block: the more at once, the fewer lanes are folded."""
    cdef floating m = -INFINITY
    cdef npy_intp i, n, most = sizeof(Block) // sizeof(floating)
    for i from 0 <= i < at.n by most:
        n = min(most, at.n - i)
        m = higher(maximum(read(at, row, i, n, block, load), n), m)
    return m

cdef void finish_long_row(const Layout *at, npy_intp row, floating m, floating norm, bint keep,
                          const RowLoop *loop) noexcept nogil:
    """A row's results from its maximum and normaliser; `keep`: from exponentials that wait in the output."""
    cdef floating[SEGMENT] z
    cdef floating[SEGMENT] e
    cdef npy_intp i, j, n
    cdef const floating *x
    cdef floating *y = target(at, row, 0, e, loop)
    if keep:
        for i in range(at.n):
            y[i] = y[i] * norm
        return
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        x = read(at, row, i, n, z, loop.load)
        y = target(at, row, i, e, loop)
        if loop.logarithm:
            finish_row(x, m, norm, y, n)
        else:
            shift_wide(x, m, e, n, whole_lanes(n))
            scaled_exp_block(e, <floating>0, e, whole_lanes(n))
            for j in range(n):
                y[j] = e[j] * norm
        if y == e:
            write(at, row, i, n, e, loop)

cdef void long_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, Known *known,
                    floating *_) noexcept nogil:
    cdef Block z_block
    cdef Block e_block
    cdef floating *z = <floating *>&z_block
    cdef floating *e = <floating *>&e_block
    cdef floating[LANES] norm
    cdef npy_intp row, i, j, n, size = at.n * <npy_intp>sizeof(floating)
    cdef const floating *x
    cdef floating *y
    cdef const char *following
    cdef const char *fetch_x
    cdef const char *fetch_y
    cdef floating m = 0, factor, next = -INFINITY, last_m
    cdef double sum, rest
    # softmax's exponentials wait in the output, if it can hold them.
    cdef bint keep = not loop.logarithm and in_output(at, loop, e)
    # The next row's maximum is found while this one's exponentials are computed: in the same loop, or else, of rows
    # that the caches hold, block by block.
    cdef bint direct = loop.load == NULL and at.x_step[1] == sizeof(floating)
    cdef bint fused = FUSED and direct and at.mask == NULL
    cdef bint cached = size < 65536, beside = fused or cached, ahead = at.far and direct and cached
    # Also of the row that follows, in another piece, as long as nobody can write there.
    cdef bint apart = (at.x_step[0] == size and at.y_step[0] >= 0
                       and not overlap(at.x, at.rows * size, at.y, (at.rows - 1) * at.y_step[0] + size))
    cdef npy_intp last = at.rows if fused and apart else end
    # A row that is still near is finished after the next one's exponentials: by then its norm is known.
    cdef bint late = FUSED and size < NEAR and (end - begin) * size < UNCACHED // 2 and not loop.reduces
    for row in range(begin, end):
        last_m, m = m, <floating>known.maximum if known.row == row else row_maximum(at, row, z, loop.load)
        next = -INFINITY
        sum = rest = 0
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            x = read(at, row, i, n, z, loop.load)
            y = target(at, row, i, e, loop) if keep else e
            following = at.x + (row + 1) * at.x_step[0] + i * sizeof(floating) if row + 1 < last else NULL
            # What the same loop reads: sooner if there is no output, not at all if that is fetched as well.
            fetch_x = following if ahead and not (fused and loop.logarithm) else NULL
            fetch_y = NULL
            if ahead and fused and loop.reduces and following != NULL:
                fetch_x = following + FURTHER
            if ahead and loop.logarithm and not loop.reduces and at.y_step[1] == sizeof(floating):
                fetch_y = at.y + row * at.y_step[0] + i * sizeof(floating)
            exp_total(x, m, y, n, loop.logarithm, False, fetch_x, fetch_y,
                      <const floating *>following if fused else NULL, &sum, &rest, &next)
            if beside and not fused and following != NULL:
                next = higher(maximum(read(at, row + 1, i, n, z, loop.load), n), next)
        if beside and row + 1 < last:
            known.row, known.maximum = row + 1, next
        if late and row > begin:
            finish_long_row(at, row - 1, last_m, norm[0], keep, loop)
        factor = normaliser(sum, rest, exp_unit(m), loop.logarithm)
        for j in range(LANES):
            norm[j] = factor
        if loop.logarithm:
            log1p_block(norm, norm, LANES)
        if loop.reduces:
            write_sums(at, row, 1, &m, norm, loop)
        elif not late:
            finish_long_row(at, row, m, norm[0], keep, loop)
    if late:
        finish_long_row(at, end - 1, m, norm[0], keep, loop)


# ------------------------------------------------------------------------------------- vector lanes across rows

cdef inline void lanes_maximum(const floating *x, npy_intp w, floating *m) noexcept nogil:
    cdef npy_intp k
    for k in range(w):
        m[k] = x[k] if x[k] > m[k] else m[k]

cdef inline void lanes_add(const floating *e, floating *sum, floating *rest, bint logarithm) noexcept nogil:
    """`rest` is not used without `logarithm`."""
    cdef npy_intp k
    for k in range(WIDE):
        sum[k] += e[k]
    if logarithm:
        for k in range(WIDE):
            rest[k] += without_units(e[k])

cdef inline void lanes_exps(const floating *x, const floating *m, floating *sum, floating *rest, floating *y,
                            bint logarithm) noexcept nogil:
    """exp(x - m) of WIDE rows to their sums and, for a logarithm, rests, else to y."""
    cdef floating lowest = lowest_exponent(x), e
    cdef npy_intp k
    if logarithm:
        for k in range(WIDE):
            e = scaled_exp(x[k] - m[k], lowest)
            sum[k] += e
            rest[k] += without_units(e)
    else:
        for k in range(WIDE):
            e = scaled_exp(x[k] - m[k], lowest)
            sum[k] += e
            y[k] = e

cdef inline void lanes_fold(floating *sums, npy_intp n, double *sum) noexcept nogil:
    """fold() of WIDE rows, of which the partial sums after the first n <= LANES are 0 and need not be there."""
    cdef npy_intp half = LANES // 2, k
    while half:
        for k in range(min(half, n - half) * WIDE):
            sums[k] += sums[half * WIDE + k]
        half //= 2
    for k in range(WIDE):
        sum[k] += sums[k]

cdef inline void lanes_normaliser(const double *sum, const double *rest, floating *norm, bint logarithm) noexcept nogil:
    cdef npy_intp k
    for k in range(WIDE):
        norm[k] = normaliser(sum[k], rest[k], exp_unit(norm[k]), logarithm)
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
    cdef floating[SHORT * WIDE] z
    cdef floating[SHORT * WIDE] e
    cdef floating[LANES * WIDE] sums
    cdef floating[LANES * WIDE] rests
    cdef floating[WIDE] m
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef double[WIDE] rest
    cdef floating *value = &z[0] if loop.logarithm else &e[0]
    cdef floating lowest = lowest_exponent(z)
    cdef npy_intp n = at.n, row, w, i, k
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            m[k] = -INFINITY
            sum[k] = 0
            rest[k] = 0
        for i in range(n):
            gather(at.x + row * at.x_step[0] + i * at.x_step[1], at.x_step[0], z + i * WIDE, w, loop.load)
            pad(z + i * WIDE, w, WIDE)
            lanes_maximum(z + i * WIDE, WIDE, m)
        for i in range(n):
            for k in range(WIDE):
                z[i * WIDE + k] = z[i * WIDE + k] - m[k]
                e[i * WIDE + k] = scaled_exp(z[i * WIDE + k], lowest)
        memcpy(sums, e, n * WIDE * sizeof(floating))
        lanes_fold(sums, n, sum)
        if loop.logarithm:
            for k in range(n * WIDE):
                rests[k] = without_units(e[k])
            lanes_fold(rests, n, rest)
        lanes_normaliser(sum, rest, norm, loop.logarithm)
        if loop.reduces:
            write_sums(at, row, w, m, norm, loop)
            continue
        for i in range(n):
            write_lanes(at, row, i, w, value + i * WIDE, norm, loop)

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

cdef inline void quads_fold(const floating *e, npy_intp quads, const floating *last, floating *four,
                            double *sum) noexcept nogil:
    """fold() of WIDE rows of so many quads, of which `last` are the last; four quads, `four`, are for what is left of
    more, and may be e."""
    cdef const floating *part[2 * QUAD]
    cdef const floating *a
    cdef const floating *b
    cdef floating[QUAD * WIDE] one
    cdef const floating *lanes = one
    cdef npy_intp q, k, width = QUAD * WIDE
    for q in range(quads - 1):
        part[q] = e + q * width
    part[quads - 1] = last
    for q in range(quads - 4):
        a, b = part[q], part[q + 4]
        for k in range(width):
            four[q * width + k] = a[k] + b[k]
        part[q] = four + q * width
    if quads >= 4:
        for k in range(QUAD * WIDE):
            one[k] = (part[0][k] + part[2][k]) + (part[1][k] + part[3][k])
    elif quads == 3:
        for k in range(QUAD * WIDE):
            one[k] = (part[0][k] + part[2][k]) + part[1][k]
    elif quads == 2:
        for k in range(QUAD * WIDE):
            one[k] = part[0][k] + part[1][k]
    else:
        lanes = last
    for k in range(WIDE):
        sum[k] = (lanes[QUAD * k] + lanes[QUAD * k + 2]) + (lanes[QUAD * k + 1] + lanes[QUAD * k + 3])

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
        part[k] = (value[k] - m) - norm if logarithm else value[k] * norm
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
    """(value - m) - norm or value * norm to w rows of n elements, likewise."""
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

cdef void short_quads(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """Quads of a row's elements lie beside those of the next row: all moves are of whole quads, of which the last may
    begin with elements of the one before. Terms still meet in fold()'s order."""
    cdef Block[3] blocks
    cdef floating *e = <floating *>&blocks[0]       # in this order, as last_quads() reads beyond the end of e
    cdef floating *z = <floating *>&blocks[1]
    cdef floating *more = <floating *>&blocks[2]
    cdef floating[QUAD * WIDE] top
    cdef floating[QUAD * WIDE] kept
    cdef floating[WIDE] m
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef double[WIDE] rest
    cdef const floating *ends
    cdef npy_intp n = at.n, quads = (n + QUAD - 1) // QUAD, width = QUAD * WIDE, last = (quads - 1) * width
    cdef npy_intp lead = quads * QUAD - n, row, w, r, q, k
    cdef floating lowest = lowest_exponent(kept)
    # Not read through `at` all the time, which for all the compiler knows results may overwrite.
    cdef npy_intp x_step = at.x_step[0], y_step = at.y_step[0]
    cdef bint ahead = at.far and x_step == n * <npy_intp>sizeof(floating)
    for r in range(WIDE):
        for k in range(QUAD):
            kept[QUAD * r + k] = all_bits(lowest) if k < QUAD - lead else <floating>0
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
        for r in range(WIDE):
            for k in range(QUAD):
                top[QUAD * r + k] = m[r]
        for q in range(quads):
            if ahead and row + WIDE < end:
                fetch(at.x + (row + WIDE) * x_step + q * width * sizeof(floating), QUAD * WIDE * sizeof(floating))
            for k in range(QUAD * WIDE):
                e[q * width + k] = scaled_exp(z[q * width + k] - top[k], lowest)
        ends = last_quads(e + last, lead, kept, top)
        if loop.logarithm:
            for k in range(last):
                more[k] = without_units(e[k])
            for k in range(width):
                more[last + k] = without_units(ends[k])
            quads_fold(more, quads, more + last, more, rest)
        quads_fold(e, quads, ends, more, sum)
        lanes_normaliser(sum, rest, norm, loop.logarithm)
        if loop.reduces:
            write_sums(at, row, w, m, norm, loop)
            continue
        if loop.logarithm:
            write_quads(z, m, norm, True, w, n, at.y + row * y_step, y_step)
        else:
            write_quads(e, m, norm, False, w, n, at.y + row * y_step, y_step)

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
    cdef floating[SEGMENT] z
    cdef floating[SEGMENT] e
    cdef floating[LANES * WIDE] sums
    cdef floating[LANES * WIDE] rests
    cdef floating[WIDE] m
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef double[WIDE] rest
    cdef floating *value = &z[0] if loop.logarithm else &e[0]
    cdef const floating *x
    cdef floating *y
    cdef npy_intp row, w, block, i, j, k, steps
    cdef bint direct = loop.store == NULL and at.y_step[0] == sizeof(floating) and not loop.reduces
    # What a few elements further on lies too far away in memory for the CPU to fetch it unasked.
    cdef bint ahead = at.far and at.x_step[0] == sizeof(floating)
    # Whether exponentials are computed from where x lies, to where they wait, if they do.
    cdef bint in_place = at.x_step[0] == sizeof(floating) and loop.load == NULL and (direct or loop.logarithm)
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            m[k] = -INFINITY
            sum[k] = 0
            rest[k] = 0
        for i in range(at.n):
            if ahead and i + STEPS < at.n:
                fetch(at.x + row * at.x_step[0] + (i + STEPS) * at.x_step[1], w * sizeof(floating))
            lanes_maximum(read_lanes(at, row, i, w, z, loop.load), w, m)
        for block from 0 <= block < at.n by SEGMENT:
            pad(sums, 0, LANES * WIDE)
            if loop.logarithm:
                pad(rests, 0, LANES * WIDE)
            for i from block <= i < min(block + SEGMENT, at.n) by STEPS:
                steps = min(<npy_intp>STEPS, at.n - i)
                if w == WIDE and in_place:
                    for j in range(steps):
                        x = read_lanes(at, row, i + j, w, z, NULL)
                        y = <floating *>(at.y + row * at.y_step[0] + (i + j) * at.y_step[1])
                        k = (i + j) % LANES * WIDE
                        lanes_exps(x, m, sums + k, rests + k, y, loop.logarithm)
                    continue
                shifted_lanes(at, row, i, steps, w, m, z, loop.load)
                scaled_exp_block(z, <floating>0, e, steps * WIDE)
                for j in range(steps):
                    k = (i + j) % LANES * WIDE
                    lanes_add(e + j * WIDE, sums + k, rests + k, loop.logarithm)
                    if direct and not loop.logarithm:       # they wait in the output
                        y = <floating *>(at.y + row * at.y_step[0] + (i + j) * at.y_step[1])
                        for k in range(w):
                            y[k] = e[j * WIDE + k]
            lanes_fold(sums, LANES, sum)
            if loop.logarithm:
                lanes_fold(rests, LANES, rest)
        lanes_normaliser(sum, rest, norm, loop.logarithm)
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
                        y[k] = y[k] * norm[k]
            continue
        for i from 0 <= i < at.n by STEPS:
            steps = min(<npy_intp>STEPS, at.n - i)
            shifted_lanes(at, row, i, steps, w, m, z, loop.load)
            if not loop.logarithm:
                scaled_exp_block(z, <floating>0, e, steps * WIDE)
            for j in range(steps):
                write_lanes(at, row, i + j, w, value + j * WIDE, norm, loop)


# ------------------------------------------------------------------------------------- gradients
# Of softmax, from its output y: y (grad - sum(grad y)); of log_softmax, from its output y: grad - exp(y) sum(grad).

cdef inline floating softmax_gradient(floating grad, floating y, floating sum) noexcept nogil:
    return y * (grad - sum)

cdef inline floating log_softmax_gradient(floating grad, floating scaled_e, floating sum) noexcept nogil:
    return grad - (scaled_e * exp_unit_inverse(sum)) * sum

cdef inline void exponentials(const floating *y, floating *e, npy_intp n) noexcept nogil:
    """exp(y) times exp_unit. No logarithm of a probability is above 0; what is counts as 0, lest it overflow."""
    cdef npy_intp i
    for i in range(n):
        e[i] = <floating>0 if y[i] > 0 else y[i]
    pad(e, n, whole_lanes(n))
    scaled_exp_block(e, <floating>0, e, whole_lanes(n))

cdef inline const floating *tail_of(const floating *x, npy_intp n, npy_intp whole, floating *block) noexcept nogil:
    """The elements of n that follow `whole`, less than LANES, and zeros, in a block of 2 * LANES. At least LANES
    elements that end with the n-th can be read."""
    cdef npy_intp j
    for j in range(LANES):
        block[j] = x[n - LANES + j]
        block[LANES + j] = 0
    return block + (LANES - (n - whole))

cdef floating gradient_total(const floating *grad, const floating *y, npy_intp n, bint logarithm) noexcept nogil:
    """What up to a block of a row adds to its sum; see tail_of()."""
    cdef floating[LANES] lanes
    cdef floating[2 * LANES] last_grads
    cdef floating[2 * LANES] last_ys
    cdef npy_intp i, j, whole = n & ~<npy_intp>(LANES - 1)
    cdef const floating *last_grad = tail_of(grad, n, whole, last_grads)
    cdef const floating *last_y = tail_of(y, n, whole, last_ys)
    for j in range(LANES):
        lanes[j] = 0
    if logarithm:
        for i from 0 <= i < whole by LANES:
            for j in range(LANES):
                lanes[j] += grad[i + j]
        for j in range(LANES):
            lanes[j] += last_grad[j]
    else:
        for i from 0 <= i < whole by LANES:
            for j in range(LANES):
                lanes[j] = multiply_add(grad[i + j], y[i + j], lanes[j])
        for j in range(LANES):
            lanes[j] = multiply_add(last_grad[j], last_y[j], lanes[j])
    return fold(lanes)

cdef inline const floating *read_gradient(const Layout *at, const char *p, const npy_intp *step, npy_intp row,
                                          npy_intp i, npy_intp n, floating *block, Load load) noexcept nogil:
    """As read_operand(); LANES elements that end with the n-th can be read, as `block` begins with so many others."""
    if at.n >= LANES:
        return read_operand(at, p, step, row, i, n, block + LANES, <floating>0, load)
    gather_masked(at, p, step, row, i, n, block + LANES, <floating>0, load)
    return block + LANES

cdef void gradient_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                        floating *_) noexcept nogil:
    """Vector lanes along a row."""
    cdef floating[LANES + SEGMENT] grad_block
    cdef floating[LANES + SEGMENT] y_block
    cdef floating[SEGMENT] e
    cdef const floating *grad = NULL
    cdef const floating *y = NULL
    cdef floating *result
    cdef floating rounded
    cdef double sum
    cdef npy_intp row, i, j, n
    pad(grad_block, 0, LANES)
    pad(y_block, 0, LANES)
    for row in range(begin, end):
        sum = 0
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            grad = read_gradient(at, at.grad, at.grad_step, row, i, n, grad_block, loop.load)
            y = read_gradient(at, at.x, at.x_step, row, i, n, y_block, loop.load)
            sum += gradient_total(grad, y, n, loop.logarithm)
        rounded = <floating>sum
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            if at.n > SEGMENT:
                grad = read_gradient(at, at.grad, at.grad_step, row, i, n, grad_block, loop.load)
                y = read_gradient(at, at.x, at.x_step, row, i, n, y_block, loop.load)
            result = target(at, row, i, e, loop)
            if loop.logarithm:
                exponentials(y, e, n)
                for j in range(n):
                    result[j] = log_softmax_gradient(grad[j], e[j], rounded)
            else:
                for j in range(n):
                    result[j] = softmax_gradient(grad[j], y[j], rounded)
            if result == e:
                write(at, row, i, n, e, loop)

cdef inline void read_gradient_lanes(const char *p, const npy_intp *step, npy_intp row, npy_intp i, npy_intp steps,
                                     npy_intp w, floating *block, const floating **lanes, Load load) noexcept nogil:
    """Elements [i, i + steps) of w rows of one operand: `lanes` says where they lie, in memory or in `block`."""
    cdef npy_intp j
    p += row * step[0] + i * step[1]
    for j in range(steps):
        lanes[j] = <const floating *>(p + j * step[1])
        if load != NULL or step[0] != sizeof(floating):
            gather(p + j * step[1], step[0], block + j * WIDE, w, load)
            lanes[j] = block + j * WIDE

cdef void gradient_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                         floating *_) noexcept nogil:
    """Vector lanes across rows: many that are short, or that lie side by side."""
    cdef floating[LANES * WIDE] grad_block
    cdef floating[LANES * WIDE] y_block
    cdef floating[LANES * WIDE] sums
    cdef floating[WIDE] e
    cdef floating[WIDE] rounded
    cdef double[WIDE] sum
    cdef const floating *grads[LANES]
    cdef const floating *ys[LANES]
    cdef const floating *grad
    cdef const floating *y
    cdef floating *partial
    cdef floating *result
    cdef char *p
    cdef npy_intp row, w, i, j, k, steps = 0, lanes = min(<npy_intp>LANES, at.n)
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            sum[k] = 0
        pad(sums, 0, lanes * WIDE)
        for i from 0 <= i < at.n by LANES:
            steps = min(<npy_intp>LANES, at.n - i)
            read_gradient_lanes(at.grad, at.grad_step, row, i, steps, w, grad_block, grads, loop.load)
            read_gradient_lanes(at.x, at.x_step, row, i, steps, w, y_block, ys, loop.load)
            for j in range(steps):
                grad, y, partial = grads[j], ys[j], sums + j * WIDE
                if loop.logarithm:
                    for k in range(w):
                        partial[k] += grad[k]
                else:
                    for k in range(w):
                        partial[k] = multiply_add(grad[k], y[k], partial[k])
            if (i + steps) % SEGMENT == 0 or i + steps == at.n:
                lanes_fold(sums, lanes, sum)
                pad(sums, 0, lanes * WIDE)
        for k in range(WIDE):
            rounded[k] = <floating>sum[k]
        for i from 0 <= i < at.n by LANES:
            if at.n > LANES:
                steps = min(<npy_intp>LANES, at.n - i)
                read_gradient_lanes(at.grad, at.grad_step, row, i, steps, w, grad_block, grads, loop.load)
                read_gradient_lanes(at.x, at.x_step, row, i, steps, w, y_block, ys, loop.load)
            for j in range(steps):
                grad, y, result = grads[j], ys[j], e
                p = at.y + row * at.y_step[0] + (i + j) * at.y_step[1]
                if loop.store == NULL and at.y_step[0] == sizeof(floating):
                    result = <floating *>p
                if loop.logarithm:
                    exponentials(y, e, w)
                    for k in range(w):
                        result[k] = log_softmax_gradient(grad[k], e[k], rounded[k])
                else:
                    for k in range(w):
                        result[k] = softmax_gradient(grad[k], y[k], rounded[k])
                if result == e:
                    scatter(e, p, at.y_step[0], w, loop.store)


# ------------------------------------------------------------------------------------- the loop

cdef void write_empty(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """logsumexp of nothing."""
    cdef floating nothing = -INFINITY
    cdef npy_intp row
    for row in range(begin, end):
        scatter(&nothing, at.y + row * at.y_step[0], 0, 1, loop.store)

cdef inline bint in_quads(const Layout *at, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether rows are short, fill most of their quads and lie in one piece, input and output."""
    cdef npy_intp whole = (at.n + QUAD - 1) // QUAD * QUAD
    return (at.n >= QUAD and whole - at.n <= at.n // (3 if sizeof(floating) == 4 else 4)
            and whole * WIDE * <npy_intp>sizeof(floating) <= <npy_intp>sizeof(Block)
            and loop.load == NULL and at.x_step[1] == sizeof(floating)
            and (loop.reduces or at.y_step[1] == sizeof(floating)) and not loop.gradient)

cdef inline bint across_rows(const Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether vector lanes are rows: many that are short, or that lie side by side."""
    cdef npy_intp stored = sizeof(uint16_t) if loop.load != NULL else sizeof(floating)
    if at.mask != NULL or rows < LANES:
        return False
    return (at.n <= SHORT or in_quads(at, loop, _) or at.x_step[0] == stored
            or (loop.gradient and at.grad_step[0] == stored))

cdef void run_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, Known *known,
                   floating *_) noexcept nogil:
    if at.n == 0:
        if loop.reduces:
            write_empty(at, begin, end, loop, _)
    elif across_rows(at, end - begin, loop, _):
        if loop.gradient:
            gradient_lanes(at, begin, end, loop, _)
        elif in_quads(at, loop, _):
            short_quads(at, begin, end, loop, _)
        elif at.n <= SHORT:
            short_lanes(at, begin, end, loop, _)
        else:
            long_lanes(at, begin, end, loop, _)
    elif loop.gradient:
        gradient_rows(at, begin, end, loop, _)
    elif in_blocks(at, loop, _):
        block_rows(at, begin, end, loop, _)
    # Several rows share their logarithms; exponentials that can wait in the output do so from a strip on.
    elif at.n <= (SEGMENT if loop.logarithm or not in_output(at, loop, _) else STRIP // <int>sizeof(floating)):
        short_rows(at, begin, end, loop, _)
    else:
        long_rows(at, begin, end, loop, known, _)

cdef void run_row_shares(const Layout *at, npy_intp chunk, const RowLoop *loop, Share *shares, int count, int thread,
                         floating *_) noexcept nogil:
    """What one thread of a team does."""
    cdef Share piece
    cdef Known known
    cdef Fenv before = default_fenv()
    known.row = -1
    while take(shares, count, thread, chunk, &piece):
        run_rows(at, piece.next, piece.end, loop, &known, _)
    restore_fenv(before)

cdef void share_rows(Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """All rows, on several threads when they pay."""
    cdef npy_intp chunk, unit
    cdef Share[MAX_SHARES] shares
    cdef Known known
    cdef void *team = NULL
    cdef int count, threads = 0
    cdef Fenv before = default_fenv()
    at.rows = rows
    at.far = rows * at.n * <npy_intp>sizeof(floating) > CACHED
    if rows > 1 and rows * at.n * loop.cost > PARALLEL_NS:
        threads = acquire_threads(rows * at.n * loop.cost, &team)
    if threads > 1:
        unit = WIDE if across_rows(at, rows, loop, _) else 1
        chunk = chunk_of(rows, threads, at.n * loop.cost, unit)
        count = share_out(shares, threads, 0, rows, unit)
        with parallel(num_threads=threads):         # no prange, as in drive()
            join_team(team)
            run_row_shares(at, chunk, loop, shares, count, threadid(), _)
    else:
        known.row = -1
        run_rows(at, 0, rows, loop, &known, _)
    release_threads(threads)
    restore_fenv(before)
    clear_fp_flags()

cdef void drive_rows(floating **args, const npy_intp *dims, const npy_intp *steps, void *data) noexcept nogil:
    """A generalised ufunc's inner loop. The steps are those over rows of all operands, then those along a row."""
    cdef const RowLoop *loop = <const RowLoop *>data
    cdef int x = 1 if loop.gradient else 0, mask = x + 1, y = mask + (1 if loop.masked else 0), nargs = y + 1
    cdef void *gil
    cdef Layout at
    at.n = dims[1]
    at.grad, at.x, at.y = <const char *>args[0], <const char *>args[x], <char *>args[y]
    at.mask = NULL
    if loop.masked:
        at.mask = <const char *>args[mask]
        at.mask_step[0], at.mask_step[1] = steps[mask], steps[nargs + mask]
    at.grad_step[0], at.grad_step[1] = steps[0], steps[nargs]
    at.x_step[0], at.x_step[1] = steps[x], steps[nargs + x]
    at.y_step[0], at.y_step[1] = steps[y], 0 if loop.reduces else steps[nargs + y]
    # NumPy keeps the GIL where there are few results, however long their rows are.
    gil = release_gil(dims[0] * dims[1] * loop.cost) if loop.reduces else NULL
    share_rows(&at, dims[0], loop, args[0])
    take_gil(gil)
