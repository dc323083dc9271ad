"""softmax, log_softmax and logsumexp along an axis, and the gradients of the first two: the inner loops of generalised
ufuncs "(n)->(n)", "(n)->()" and "(n),(n)->(n)".

A row is one vector along the axis; it may lie anywhere, with any stride. Six ways to run the same arithmetic:

- short_rows:   rows of which several fit a buffer: maxima, one exp over the whole block, sums, results
- block_rows:   rows of a block, in memory as they are: exp and sum of one beside the next one's maximum
- long_rows:    likewise, one row in blocks; its results may follow the next one's exp and sum
- short_lanes:  many very short rows: 64 rows are put side by side, so that vector lanes are rows
- short_quads:  likewise, but four elements of a row stay together; for rows that lie in one piece
- long_lanes:   many rows side by side in memory (axis 0 of a C-ordered matrix): lanes are rows again, streamed

No x_i - max x is rounded before its exponential is taken: see exp_frame(). All six add a row's terms in the same order:
element i goes to lane i mod LANES, FOUR terms of a lane at a time, lanes are folded in halves, and blocks of SEGMENT
elements follow one after the other. A row's bits thus depend neither on where it lies nor on its neighbours. Beyond one
term a lane, what rounding takes from a sum is added up, too, so that a million small terms beside a large one count,
and the logarithm of 1 + tiny loses nothing until it is dominated(). The gradients, gradient_rows and gradient_lanes,
keep that order. While exponentials are computed, the next rows come from memory, strip by strip.
The pointer `_` at the end of a signature only tells Cython the type.
"""
from libc.math cimport INFINITY

cdef extern from *:
    """
    /* Whether the next row's maximum is found in the loop of this one's exponentials: with registers enough, and LANES
       floats in one. Where there are fewer, a second loop is faster. */
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
    NEAR = 6144         # bytes of a row that stays in the nearest cache, beside the next ones
    FURTHER = 2048      # bytes from what a loop reads to what is fetched for it
    SHORTS = 128        # short rows that pass through exp together, at the most: two Blocks, LANES floats each
    SHORT = 16          # rows of up to so many elements are always put side by side, if there are enough of them
    FOUR = 4            # terms of a lane that are added up at once
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

cdef struct Sum:            # high + low: twice a double's digits
    double high
    double low

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

cdef inline floating without(floating e, floating top) noexcept nogil:
    return <floating>0 if e == top else e

cdef inline void add_to(Sum *sum, double term, double low) noexcept nogil:
    """Of the sum of high and term nothing is lost (Knuth's), and what is in low goes to high as soon as it can: else
    that would be a plain sum of thousands. `low` is small beside `term`."""
    cdef double high = sum.high + term, added = high - sum.high
    if sum.high != 0:                       # a short row need not wait for what 0 + term loses
        low += sum.low + ((sum.high - (high - added)) + (term - added))
    low = low if low - low == 0 else 0      # what infinity has lost says nothing
    sum.high = high + low
    sum.low = low - (sum.high - high)

# A lane's sum and what it lost. A sum begins with so much that no term exceeds it: what a term lost is then known in
# two subtractions (Fast2Sum, Dekker's). In float64 it begins with more than a block's sum: sums, less their beginnings,
# are multiples of one number, which fold() adds up exactly. float32's lanes are folded in double.

cdef inline floating beginning(const floating *_) noexcept nogil:
    if floating is float:
        return 2 * exp_unit(<float>0)
    else:
        return SEGMENT * 2 * exp_unit(<double>0)

cdef inline void plus(floating e, floating *sum, floating *lost) noexcept nogil:
    cdef floating more = sum[0] + e
    lost[0] += e - (more - sum[0])
    sum[0] = more

cdef inline void clear_sums(floating *sums, floating *lost, npy_intp n) noexcept nogil:
    cdef npy_intp j
    for j in range(n):
        sums[j] = beginning(sums)
        lost[j] = 0

cdef inline double fold_half(double *lanes) noexcept nogil:
    """What is left to do of fold() when halves are added."""
    add_halves(lanes, 4)
    add_halves(lanes, 2)
    return lanes[0] + lanes[1]

cdef inline double lane_sum(floating sum, floating lost) noexcept nogil:
    """In float32, all that plus() added up; the double has digits enough."""
    return <double>(sum - beginning(&sum)) + <double>lost

cdef inline void fold_to(floating *sums, floating *lost, Sum *sum) noexcept nogil:
    """LANES sums to a row's."""
    cdef double[8] lanes
    cdef npy_intp j
    if floating is float:
        for j in range(8):
            lanes[j] = lane_sum(sums[j], lost[j]) + lane_sum(sums[8 + j], lost[8 + j])
        add_to(sum, fold_half(lanes), 0)
    else:
        for j in range(LANES):
            sums[j] -= beginning(sums)
        add_to(sum, fold(sums), fold(lost))

cdef inline void pad(floating *block, npy_intp n, npy_intp padded) noexcept nogil:
    cdef npy_intp i
    for i in range(n, padded):
        block[i] = 0

cdef inline floating two_pairs(const floating **e, int count, npy_intp k) noexcept nogil:
    cdef floating a = e[0][k], b = 0
    if count > 1:
        a = a + e[1][k]
    if count > 2:
        b = e[2][k]
    if count > 3:
        b = b + e[3][k]
    return a + b

cdef inline void plus_vectors(const floating **e, int count, npy_intp n, bint logarithm, floating *sums,
                              floating *lost) noexcept nogil:
    """Terms of so many vectors of n lanes, up to four, to their sums. Softmax can bear two roundings; a logarithm is to
    know what little there is beside one large term."""
    cdef floating sum, more, first, second
    cdef npy_intp k
    if not logarithm:
        for k in range(n):
            plus(two_pairs(e, count, k), &sums[k], &lost[k])
        return
    for k in range(n):
        sum = sums[k]
        more = sum + e[0][k]
        first, second, sum = e[0][k] - (more - sum), 0, more
        if count > 1:
            more = sum + e[1][k]
            first, sum = first + (e[1][k] - (more - sum)), more
        if count > 2:
            more = sum + e[2][k]
            second, sum = e[2][k] - (more - sum), more
        if count > 3:
            more = sum + e[3][k]
            second, sum = second + (e[3][k] - (more - sum)), more
        lost[k] += first + second
        sums[k] = sum

cdef inline void plus_last(const floating **e, int count, const floating *tail, bint logarithm, floating *sums,
                           floating *lost) noexcept nogil:
    """Likewise, LANES of each, the last of which is `tail`: in loops that know how many there are."""
    if count == 1:
        e[0] = tail
        plus_vectors(e, 1, LANES, logarithm, sums, lost)
    elif count == 2:
        e[1] = tail
        plus_vectors(e, 2, LANES, logarithm, sums, lost)
    elif count == 3:
        e[2] = tail
        plus_vectors(e, 3, LANES, logarithm, sums, lost)
    else:
        e[3] = tail
        plus_vectors(e, FOUR, LANES, logarithm, sums, lost)

cdef inline void last_four(const floating *e, npy_intp whole, const floating *tail, floating *lanes) noexcept nogil:
    """The sums of up to four vectors, the last of which is `tail`."""
    cdef npy_intp j
    if whole == 0:
        for j in range(LANES):
            lanes[j] = tail[j]
    elif whole == LANES:
        for j in range(LANES):
            lanes[j] = e[j] + tail[j]
    elif whole == 2 * LANES:
        for j in range(LANES):
            lanes[j] = (e[j] + e[LANES + j]) + tail[j]
    else:
        for j in range(LANES):
            lanes[j] = (e[j] + e[LANES + j]) + (e[2 * LANES + j] + tail[j])

cdef void add_total(const floating *e, npy_intp whole, const floating *tail, bint logarithm, Sum *sum) noexcept nogil:
    """Up to a block of terms, `whole`, a multiple of LANES, and LANES more, to a row's sum. Not inline, see
    maximum()."""
    cdef floating[LANES] sums
    cdef floating[LANES] lost
    cdef floating[LANES] lanes
    cdef double[8] wide
    cdef const floating *four[FOUR]
    cdef npy_intp i = 0, j
    if floating is float:
        if not logarithm and whole < FOUR * LANES:          # with less to do, what plus() would give
            last_four(e, whole, tail, lanes)
            for j in range(8):
                wide[j] = <double>lanes[j] + <double>lanes[8 + j]
            add_to(sum, fold_half(wide), 0)
            return
    clear_sums(sums, lost, LANES)
    while True:
        four[0], four[1], four[2], four[3] = e + i, e + i + LANES, e + i + 2 * LANES, e + i + 3 * LANES
        i += FOUR * LANES
        if i > whole:
            break
        if logarithm:
            plus_vectors(four, FOUR, LANES, True, sums, lost)
        else:
            plus_vectors(four, FOUR, LANES, False, sums, lost)
    if logarithm:
        plus_last(four, <int>((whole - i) // LANES) + FOUR + 1, tail, True, sums, lost)
    else:
        plus_last(four, <int>((whole - i) // LANES) + FOUR + 1, tail, False, sums, lost)
    fold_to(sums, lost, sum)

cdef inline double exact_sum(floating a, floating b, floating c, floating d) noexcept nogil:
    """Of four numbers below beginning()."""
    cdef double p, q, r, s, most = beginning(&a)
    if floating is float:
        return (<double>a + <double>c) + (<double>b + <double>d)
    else:
        p, q, r, s = (a + most) - most, (b + most) - most, (c + most) - most, (d + most) - most
        return ((p + r) + (q + s)) + (((a - p) + (c - r)) + ((b - q) + (d - s)))

cdef double few_total(const floating *e, floating top, bint rest) noexcept nogil:
    """The sum of LANES terms: two roundings. `rest`: without the maxima, as exp(x) = top."""
    cdef floating[LANES] lanes
    cdef npy_intp j
    for j in range(LANES):
        lanes[j] = without(e[j], top) if rest else e[j]
    add_halves(lanes, 8)
    add_halves(lanes, 4)
    return exact_sum(lanes[0], lanes[1], lanes[2], lanes[3])

# log_softmax and logsumexp take log1p of the sum less the maximum's exponential, `top`, in units of that. Where next to
# nothing is left then, they need the rest, added up for itself.

cdef inline floating dominated(npy_intp n, const floating *_) noexcept nogil:
    """From which share of `top` on downwards that is, in rows of n."""
    if n <= LANES:
        return 1
    if floating is float:
        return <float>(1.0 / (1 << 18))
    else:
        return 1.0 / (<npy_intp>1 << 32)

cdef void add_rest(const floating *e, npy_intp whole, const floating *tail, floating top, Sum *rest) noexcept nogil:
    """As add_total(), all but the maximum. Of terms of any size, the smaller one is what Fast2Sum can lose."""
    cdef double[LANES] sums
    cdef double[LANES] lost
    cdef double less, more, both
    cdef const floating *terms
    cdef npy_intp i, j
    for j in range(LANES):
        sums[j] = lost[j] = 0
    for i from 0 <= i <= whole by LANES:
        terms = tail if i == whole else e + i
        for j in range(LANES):
            less = without(terms[j], top)
            more = sums[j] if sums[j] > less else less
            less = less if sums[j] > less else sums[j]
            both = more + less
            lost[j] += less - (both - more)
            sums[j] = both
    for j in range(LANES):
        add_to(rest, sums[j], lost[j])

cdef inline floating over(double high, double low, floating top) noexcept nogil:
    """What log1p takes."""
    return <floating>(((high - top) + low) / top)

# softmax's factor, 1/sum, is as good as in two numbers where a product can be fused to a sum. Elsewhere its second
# number would not make results any better, and they are divided by the sum.

cdef inline void invert(double sum, double low, floating *factor, floating *fine) noexcept nogil:
    cdef floating high = <floating>sum, one
    if not HAS_FMA:
        factor[0], fine[0] = <floating>(sum + low), 0
        return
    if floating is float:
        low = sum - high
    factor[0] = <floating>1.0 / high
    one = high * factor[0]
    fine[0] = factor[0] * ((<floating>1.0 - one) - (rounded_off(high, factor[0], one) + <floating>low * factor[0]))

cdef inline floating times(floating e, floating factor, floating fine) noexcept nogil:
    return rounded_off(e, factor, -(e * fine)) if HAS_FMA else e / factor

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

cdef inline void scale(const floating *x, floating by, floating fine, floating *y, npy_intp n) noexcept nogil:
    """x * by, likewise."""
    cdef floating[LANES] last
    cdef npy_intp i, j
    if n < LANES:
        for j in range(n):
            y[j] = times(x[j], by, fine)
        return
    for i in range(n & ~<npy_intp>(LANES - 1)):
        y[i] = times(x[i], by, fine)
    for j in range(LANES):
        last[j] = x[n - LANES + j]
    for j in range(LANES):
        y[n - LANES + j] = times(last[j], by, fine)

cdef inline void copy_wide(const floating *x, floating origin, floating *y, npy_intp n, npy_intp width) noexcept nogil:
    """x - origin, and -inf from n to width = whole_lanes(n)."""
    cdef npy_intp j
    for j in range(LANES):
        y[width - LANES + j] = -INFINITY
    shift(x, origin, <floating>0, y, n)

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

cdef void move(const floating *x, floating origin, floating *y, npy_intp n) noexcept nogil:
    """x - origin. Not inline, as it is seldom needed."""
    cdef npy_intp i
    for i in range(n):
        y[i] = x[i] - origin

cdef inline bint lanes_frame(const floating *m, floating *base, floating *frame, npy_intp n) noexcept nogil:
    """exp_frame() of n maxima, and these less exp_origin(). Whether any is another then."""
    cdef npy_intp k, others = 0
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

cdef inline void lanes_exp(const floating *x, const floating *frame, npy_intp n, floating *y) noexcept nogil:
    """Exponentials of an element of each of n rows."""
    cdef npy_intp k
    for k in range(n):
        y[k] = scaled_exp(x[k], frame[k], frame[n + k])

cdef void exp_rows(const floating *x, const floating *frame, npy_intp n, npy_intp rows, npy_intp width,
                   floating *y) noexcept nogil:
    """Exponentials of rows of a multiple of LANES, with lanes_frame() of n. Not inline, see maximum()."""
    cdef floating lowest, bias
    cdef npy_intp r, i, j
    for r in range(rows):
        lowest, bias = frame[r], frame[n + r]
        for i from 0 <= i < width by LANES:
            for j in range(LANES):
                y[i + j] = scaled_exp(x[i + j], lowest, bias)
        x += width
        y += width

cdef void short_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef Block[2] z_block
    cdef Block[2] spare_block
    cdef floating *z = <floating *>&z_block
    cdef floating *spare = <floating *>&spare_block
    cdef floating *e = spare if loop.logarithm else z
    cdef floating[SHORTS] top
    cdef floating[SHORTS] base                          # top, less exp_origin()
    cdef floating[2 * SHORTS] frame
    cdef floating[SHORTS] exp_top
    cdef floating[SHORTS] norm
    cdef floating[SHORTS] fine
    cdef Sum[SHORTS] sums
    cdef npy_intp[SHORTS] dominated_rows
    cdef npy_intp n = at.n, row = begin, rows, lanes, r, i, count, next_row, next_i, width = whole_lanes(n)
    cdef npy_intp strip = max(<npy_intp>(STRIP // <int>sizeof(floating)) // width, <npy_intp>1)
    # As few as pay, to leave the nearest cache to input and output; what is computed once a row pays for many at once.
    cdef npy_intp most = (<npy_intp>sizeof(z_block) // <npy_intp>sizeof(floating) if loop.reduces
                          else SEGMENT * 2) // width
    cdef const floating *terms
    cdef floating *y
    cdef floating limit = dominated(n, z)
    cdef bint ahead = at.far and at.x_step[1] == sizeof(floating)
    while row < end:
        rows = min(most, end - row)
        lanes = whole_lanes(rows)
        for r in range(rows):
            terms = read(at, row + r, 0, n, spare + r * width, loop.load)
            top[r] = maximum(terms, n)
            copy_wide(terms, <floating>0, z + r * width, n, width)
            if ahead and not loop.reduces and at.y_step[1] == sizeof(floating):
                fetch(at.y + (row + r) * at.y_step[0], n * sizeof(floating))
        pad(top, rows, lanes)
        if lanes_frame(top, base, frame, lanes):
            for r in range(rows):
                move(z + r * width, exp_origin(top[r]), z + r * width, n)
        next_row, next_i = row + rows, 0
        for r from 0 <= r < rows by strip:
            if ahead:
                fetch_rows(at, min(end, row + 2 * rows), &next_row, &next_i, strip * width, z)
            exp_rows(z + r * width, frame + r, lanes, min(strip, rows - r), width, e + r * width)
        for r in range(rows):
            terms = e + r * width
            sums[r].high = sums[r].low = 0
            if n <= LANES:
                sums[r].high = few_total(terms, <floating>0, False)
            else:
                add_total(terms, width - LANES, terms + width - LANES, loop.logarithm, &sums[r])
        for r in range(rows, lanes):
            sums[r].high = sums[r].low = 0
        if not loop.logarithm:
            for r in range(lanes):
                invert(sums[r].high, sums[r].low, &norm[r], &fine[r])
        else:
            lanes_exp(base, frame, lanes, exp_top)
            for r in range(lanes):
                norm[r] = over(sums[r].high, sums[r].low, exp_top[r])
            count = 0
            for r in range(rows):
                dominated_rows[count] = r           # kept by the next line; a branch here would be mispredicted
                count += norm[r] < limit
            for i in range(count):
                r = dominated_rows[i]
                terms = e + r * width
                sums[r].high = sums[r].low = 0
                if n <= LANES:
                    sums[r].high = few_total(terms, exp_top[r], True)
                else:
                    add_rest(terms, width - LANES, terms + width - LANES, exp_top[r], &sums[r])
                norm[r] = <floating>((sums[r].high + sums[r].low) / exp_top[r])
            log1p_block(norm, norm, lanes)
        if loop.reduces:
            write_sums(at, row, rows, top, norm, loop)
            row += rows
            continue
        for r in range(rows):
            y = target(at, row + r, 0, spare + r * width, loop)
            if loop.logarithm:
                shift(z + r * width, base[r], norm[r], y, n)
            else:
                scale(z + r * width, norm[r], fine[r], y, n)
            if y == spare + r * width:
                write(at, row + r, 0, n, y, loop)
        row += rows

cdef inline void exps_and_maxima(const floating *x, floating lowest, floating bias, floating *y, const floating *next,
                                 npy_intp n, floating *top) noexcept nogil:
    """Exponentials of n elements, a multiple of LANES, to y. Beside it, n elements of `next` to the partial maxima
    `top`: the CPU has time."""
    cdef npy_intp i, j
    for i from 0 <= i < n by LANES:
        for j in range(LANES):
            y[i + j] = scaled_exp(x[i + j], lowest, bias)
        rise(next + i, top)

cdef inline floating exp_of_top(floating m) noexcept nogil:
    """A row's largest exponential."""
    cdef floating base = m - exp_origin(m), lowest, bias
    exp_frame(base, &lowest, &bias)
    return scaled_exp(base, lowest, bias)

cdef floating over_top_again(const Layout *at, npy_intp row, floating m, const RowLoop *loop) noexcept nogil:
    """What over() cannot tell of a row that is dominated by its maximum m."""
    cdef floating[SEGMENT] e
    cdef const floating *x
    cdef floating origin = exp_origin(m), lowest, bias, top = exp_of_top(m)
    cdef npy_intp i, n, width
    cdef Sum rest
    rest.high = rest.low = 0
    exp_frame(m - origin, &lowest, &bias)
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        width = whole_lanes(n)
        x = read(at, row, i, n, e, loop.load)
        move(x, origin, e, n)
        for k in range(n, width):
            e[k] = -INFINITY
        scaled_exp_block(e, lowest, bias, e, width)
        add_rest(e, width - LANES, e + width - LANES, top, &rest)
    return <floating>((rest.high + rest.low) / top)

cdef inline floating over_top(const Layout *at, npy_intp row, floating m, const Sum *sum,
                              const RowLoop *loop) noexcept nogil:
    """What log1p takes for a row of more than LANES elements."""
    cdef floating others = over(sum.high, sum.low, exp_of_top(m))
    return over_top_again(at, row, m, loop) if others < dominated(at.n, &m) else others

cdef inline void exp_total(const floating *x, floating m, floating *y, npy_intp n, bint logarithm, bint over,
                           const char *fetch_x, const char *fetch_y, const floating *next, Sum *sum,
                           floating *next_m) noexcept nogil:
    """Exponentials of up to a block, of a row with the maximum m, to y, which may be x, and `sum`. `over`: the elements
    up to a multiple of LANES can be read, and written. Beside it, n elements of `next`, unless that is NULL, to the
    maximum `next_m`, and what `fetch_x` and `fetch_y` point to, unless NULL, comes to the cache, in strips: at once, it
    would keep the CPU waiting."""
    cdef floating[SEGMENT] moved
    cdef floating[LANES] tail
    cdef floating[LANES] top
    cdef npy_intp whole = n & ~<npy_intp>(LANES - 1), strip = STRIP // sizeof(floating), i, j, k
    cdef int left = <int>(n - whole)
    cdef floating origin = exp_origin(m), lowest, bias
    cdef const floating *last = &tail[0] if left else y + whole - LANES
    cdef const floating *beside = x if next == NULL else next
    # The last LANES elements, some of them before `next`; or what does no harm.
    cdef const floating *end = <const floating *>tail if next == NULL else next + n - LANES
    exp_frame(m - origin, &lowest, &bias)
    if origin != 0:
        move(x, origin, moved, n)
        x = moved
    if over and left:
        for j in range(LANES):
            tail[j] = x[whole + j] if <int>j < left else <floating>-INFINITY
    elif left:
        for j in range(LANES):
            tail[j] = -INFINITY
        for j in range(left):
            tail[j] = x[whole + j]
    for j in range(LANES):
        top[j] = -INFINITY
    for i from 0 <= i < whole by strip:
        k = min(strip, whole - i)
        if fetch_x != NULL:
            fetch(fetch_x + i * sizeof(floating), k * sizeof(floating))
        if fetch_y != NULL:
            fetch(fetch_y + i * sizeof(floating), k * sizeof(floating))
        if FUSED:
            exps_and_maxima(x + i, lowest, bias, y + i, beside + i, k, top)
        else:
            scaled_exp_block(x + i, lowest, bias, y + i, k)
    if left:
        if FUSED:
            exps_and_maxima(tail, lowest, bias, tail, end, LANES, top)
        else:
            scaled_exp_block(tail, lowest, bias, tail, LANES)
        for j in range(LANES if over else left):
            y[whole + j] = tail[j]
    add_total(y, whole if left else whole - LANES, last, logarithm, sum)
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
    cdef Sum[LANES] sums
    cdef npy_intp n = at.n, row, rows, r, i
    cdef const floating *x = <const floating *>(at.x + begin * at.x_step[0])
    cdef const floating *next_x
    cdef floating *y = e
    cdef floating m, factor, fine, next = maximum(x, n)
    cdef bint logarithm = FUSED and loop.logarithm        # as in_blocks() has it
    # Where the next row follows at once, whole vectors reach into it: its results are written later. Not in place, as
    # it would be read later, too.
    cdef npy_intp size = n * <npy_intp>sizeof(floating)
    cdef bint over_x = at.x_step[0] == size
    cdef bint over_y = over_x and not loop.reduces and at.y_step[0] == size and not overlap(
        at.x + begin * size, (end - begin) * size, at.y + begin * size, (end - begin) * size)
    cdef bint reaches
    for row from begin <= row < end by LANES:
        rows = min(<npy_intp>LANES, end - row)
        for r in range(LANES):
            sums[r].high = sums[r].low = top[r] = norm[r] = 0
        for r in range(rows):
            m = top[r] = next
            if not logarithm:
                y = <floating *>(at.y + (row + r) * at.y_step[0])
            next_x = <const floating *>(<const char *>x + at.x_step[0]) if row + r + 1 < end else NULL
            reaches = (over_x if logarithm else over_y) and row + r + 1 < end
            next = -INFINITY
            exp_total(x, m, y, n, logarithm, reaches, <const char *>next_x if at.far else NULL, NULL, next_x, &sums[r],
                      &next)
            x = next_x
            if not FUSED and x != NULL:
                next = maximum(x, n)
            if logarithm:
                if at.far and not loop.reduces:
                    fetch(at.y + (row + r) * at.y_step[0], n * sizeof(floating))
            else:
                invert(sums[r].high, sums[r].low, &factor, &fine)
                for i in range(whole_lanes(n) if reaches else n):
                    y[i] = times(y[i], factor, fine)
        if not logarithm:
            continue
        for r in range(rows):
            norm[r] = over_top(at, row + r, top[r], &sums[r], loop)
        log1p_block(norm, norm, LANES)
        if loop.reduces:
            write_sums(at, row, rows, top, norm, loop)
            continue
        for r in range(rows):
            finish_row(<const floating *>(at.x + (row + r) * at.x_step[0]), top[r], norm[r],
                       <floating *>(at.y + (row + r) * at.y_step[0]),
                       whole_lanes(n) if over_y and row + r + 1 < end else n)

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
    cdef floating origin = exp_origin(m), lowest, bias
    cdef npy_intp i, j, n
    cdef const floating *x
    cdef floating *y = target(at, row, 0, e, loop)
    if keep:
        for i in range(at.n):
            y[i] = times(y[i], norm, fine)
        return
    exp_frame(m - origin, &lowest, &bias)
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        x = read(at, row, i, n, z, loop.load)
        y = target(at, row, i, e, loop)
        if loop.logarithm:
            finish_row(x, m, norm, y, n)
        else:
            copy_wide(x, origin, e, n, whole_lanes(n))
            scaled_exp_block(e, lowest, bias, e, whole_lanes(n))
            for j in range(n):
                y[j] = times(e[j], norm, fine)
        if y == e:
            write(at, row, i, n, e, loop)

cdef void long_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, Known *known,
                    floating *_) noexcept nogil:
    cdef Block[2] z_block
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
    cdef floating m = 0, factor, fine = 0, next = -INFINITY, last_m
    cdef Sum sum
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
        sum.high = sum.low = 0
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
                      <const floating *>following if fused else NULL, &sum, &next)
            if beside and not fused and following != NULL:
                next = higher(maximum(read(at, row + 1, i, n, z, loop.load), n), next)
        if beside and row + 1 < last:
            known.row, known.maximum = row + 1, next
        if late and row > begin:
            finish_long_row(at, row - 1, last_m, norm[0], fine, keep, loop)
        if not loop.logarithm:
            invert(sum.high, sum.low, &norm[0], &fine)
        else:
            factor = over_top(at, row, m, &sum, loop)
            for j in range(LANES):
                norm[j] = factor
            log1p_block(norm, norm, LANES)
        if loop.reduces:
            write_sums(at, row, 1, &m, norm, loop)
        elif not late:
            finish_long_row(at, row, m, norm[0], fine, keep, loop)
    if late:
        finish_long_row(at, end - 1, m, norm[0], fine, keep, loop)


# ------------------------------------------------------------------------------------- vector lanes across rows

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


# ------------------------------------------------------------------------------------- gradients
# Of softmax, from its output y: y (grad - sum(grad y)); of log_softmax, from its output y: grad - exp(y) sum(grad).

cdef inline floating softmax_gradient(floating grad, floating y, floating sum) noexcept nogil:
    return y * (grad - sum)

cdef inline floating log_softmax_gradient(floating grad, floating scaled_e, floating sum) noexcept nogil:
    return grad - (scaled_e * exp_unit_inverse(sum)) * sum

cdef inline void exponentials(const floating *y, floating lowest, floating bias, floating *e,
                              npy_intp n) noexcept nogil:
    """exp(y) times exp_unit. No logarithm of a probability is above 0; what is counts as 0, lest it overflow."""
    cdef npy_intp i
    for i in range(n):
        e[i] = <floating>0 if y[i] > 0 else y[i]
    pad(e, n, whole_lanes(n))
    scaled_exp_block(e, lowest, bias, e, whole_lanes(n))

cdef inline const floating *tail_of(const floating *x, npy_intp n, npy_intp whole, floating *block) noexcept nogil:
    """The elements of n that follow `whole`, less than LANES, and zeros, in a block of 2 * LANES. At least LANES
    elements that end with the n-th can be read."""
    cdef npy_intp j
    for j in range(LANES):
        block[j] = x[n - LANES + j]
        block[LANES + j] = 0
    return block + (LANES - (n - whole))

cdef inline floating term(const floating **grad, const floating **y, npy_intp count, npy_intp k,
                          bint logarithm) noexcept nogil:
    """Of lane k of so many vectors, up to four. Products are added at once, so that all ways fuse the two, or none."""
    cdef floating one = 0, two = 0
    if logarithm:
        one = grad[0][k]
        if count > 1:
            one = one + grad[1][k]
        if count > 2:
            two = grad[2][k]
        if count > 3:
            two = two + grad[3][k]
    else:
        one = multiply_add(grad[0][k], y[0][k], one)
        if count > 1:
            one = multiply_add(grad[1][k], y[1][k], one)
        if count > 2:
            two = multiply_add(grad[2][k], y[2][k], two)
        if count > 3:
            two = multiply_add(grad[3][k], y[3][k], two)
    return one + two

cdef inline void plus_terms(const floating **grad, const floating **y, npy_intp count, npy_intp n, bint logarithm,
                            bint few, floating *sums, floating *lost) noexcept nogil:
    """These of n lanes to their sums; unless they are few, what rounding takes from these to `lost` (Knuth's)."""
    cdef floating more, added, one
    cdef npy_intp k
    if few:
        for k in range(n):
            sums[k] += term(grad, y, count, k, logarithm)
        return
    for k in range(n):
        one = term(grad, y, count, k, logarithm)
        more = sums[k] + one
        added = more - sums[k]
        lost[k] += (sums[k] - (more - added)) + (one - added)
        sums[k] = more

cdef inline void add_terms(const floating **grad, const floating **y, npy_intp count, npy_intp n, bint logarithm,
                           bint few, floating *sums, floating *lost) noexcept nogil:
    """Likewise, in loops that know how many vectors there are."""
    if count == 1:
        plus_terms(grad, y, 1, n, logarithm, few, sums, lost)
    elif count == 2:
        plus_terms(grad, y, 2, n, logarithm, few, sums, lost)
    elif count == 3:
        plus_terms(grad, y, 3, n, logarithm, few, sums, lost)
    else:
        plus_terms(grad, y, 4, n, logarithm, few, sums, lost)

cdef inline void add_last_terms(const floating **grad, const floating *last_grad, const floating **y,
                                const floating *last_y, npy_intp count, bint logarithm, bint few, floating *sums,
                                floating *lost) noexcept nogil:
    """Likewise, LANES of each, the last of which are given apart."""
    if count == 1:
        grad[0], y[0] = last_grad, last_y
        plus_terms(grad, y, 1, LANES, logarithm, few, sums, lost)
    elif count == 2:
        grad[1], y[1] = last_grad, last_y
        plus_terms(grad, y, 2, LANES, logarithm, few, sums, lost)
    elif count == 3:
        grad[2], y[2] = last_grad, last_y
        plus_terms(grad, y, 3, LANES, logarithm, few, sums, lost)
    elif count == 4:
        grad[3], y[3] = last_grad, last_y
        plus_terms(grad, y, 4, LANES, logarithm, few, sums, lost)

cdef inline void add_block_terms(const floating *grad, const floating *y, npy_intp n, bint logarithm, bint few,
                                 floating *sums, floating *lost) noexcept nogil:
    """Up to a block of a row to its partial sums; see tail_of()."""
    cdef floating[2 * LANES] last_grads
    cdef floating[2 * LANES] last_ys
    cdef npy_intp i, whole = n & ~<npy_intp>(LANES - 1)
    cdef const floating *grads[FOUR]
    cdef const floating *ys[FOUR]
    cdef const floating *last_grad = grad + whole - LANES
    cdef const floating *last_y = y + whole - LANES
    if n > whole:
        last_grad, last_y = tail_of(grad, n, whole, last_grads), tail_of(y, n, whole, last_ys)
    for i from 0 <= i < n by FOUR * LANES:
        grads[0], grads[1], grads[2], grads[3] = grad, grad + LANES, grad + 2 * LANES, grad + 3 * LANES
        ys[0], ys[1], ys[2], ys[3] = y, y + LANES, y + 2 * LANES, y + 3 * LANES
        if i + FOUR * LANES < n:
            plus_terms(grads, ys, FOUR, LANES, logarithm, few, sums, lost)
            grad += FOUR * LANES
            y += FOUR * LANES
        else:
            add_last_terms(grads, last_grad, ys, last_y, (n - i + LANES - 1) // LANES, logarithm, few, sums, lost)

cdef void add_gradient_total(const floating *grad, const floating *y, npy_intp n, bint few, bint logarithm,
                             Sum *sum) noexcept nogil:
    """What up to a block of a row adds to its sum. Not inline, see maximum()."""
    cdef floating[LANES] sums
    cdef floating[LANES] lost
    pad(sums, 0, LANES)
    if few:
        if logarithm:
            add_block_terms(grad, y, n, True, True, sums, lost)
        else:
            add_block_terms(grad, y, n, False, True, sums, lost)
        sum.high = fold(sums)
        return
    pad(lost, 0, LANES)
    if logarithm:
        add_block_terms(grad, y, n, True, False, sums, lost)
    else:
        add_block_terms(grad, y, n, False, False, sums, lost)
    add_to(sum, fold(sums), fold(lost))

cdef inline double sum_of(double high, double low) noexcept nogil:
    """What infinity has lost says nothing."""
    cdef double sum = high + low
    return sum if sum - sum == 0 else high

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
    cdef floating rounded, lowest, bias
    cdef Sum sum
    cdef npy_intp row, i, j, n
    exp_frame(hidden(<floating>0), &lowest, &bias)
    pad(grad_block, 0, LANES)
    pad(y_block, 0, LANES)
    for row in range(begin, end):
        sum.high = sum.low = 0
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            grad = read_gradient(at, at.grad, at.grad_step, row, i, n, grad_block, loop.load)
            y = read_gradient(at, at.x, at.x_step, row, i, n, y_block, loop.load)
            add_gradient_total(grad, y, n, at.n <= FOUR * LANES, loop.logarithm, &sum)
        rounded = <floating>sum_of(sum.high, sum.low)
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            if at.n > SEGMENT:
                grad = read_gradient(at, at.grad, at.grad_step, row, i, n, grad_block, loop.load)
                y = read_gradient(at, at.x, at.x_step, row, i, n, y_block, loop.load)
            result = target(at, row, i, e, loop)
            if loop.logarithm:
                exponentials(y, lowest, bias, e, n)
                for j in range(n):
                    result[j] = log_softmax_gradient(grad[j], e[j], rounded)
            else:
                for j in range(n):
                    result[j] = softmax_gradient(grad[j], y[j], rounded)
            if result == e:
                write(at, row, i, n, e, loop)

cdef inline const floating *gradient_lanes_at(const char *p, const npy_intp *step, npy_intp row, npy_intp i, npy_intp w,
                                              floating *block, Load load) noexcept nogil:
    """Element i of w rows of one operand, where it lies, or else in `block`."""
    p += row * step[0] + i * step[1]
    if load == NULL and step[0] == sizeof(floating):
        return <const floating *>p
    gather(p, step[0], block, w, load)
    return block

cdef inline void fold_some(floating *lanes, npy_intp n) noexcept nogil:
    """fold() of WIDE rows, of which the partial sums after the first n are 0 and need not be there."""
    cdef npy_intp half = LANES // 2, k
    while half:
        for k in range(min(half, n - half) * WIDE):
            lanes[k] += lanes[half * WIDE + k]
        half //= 2

cdef void gradient_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                         floating *_) noexcept nogil:
    """Vector lanes across rows: many that are short, or that lie side by side."""
    cdef floating[LANES * WIDE] sums
    cdef floating[LANES * WIDE] grad_block
    cdef floating[LANES * WIDE] more_block
    cdef floating[WIDE] e
    cdef floating[WIDE] rounded
    cdef double[WIDE] high
    cdef double[WIDE] low
    cdef Sum sum
    cdef const floating *grads[FOUR]
    cdef const floating *ys[FOUR]
    cdef const floating *grad
    cdef const floating *y
    cdef floating *result
    cdef char *p
    cdef bint few = at.n <= LANES, fours = at.n > FOUR * LANES
    # Where few elements are gathered, they stay; of more, four, and there are sums that may lose something.
    cdef floating *lost = more_block
    cdef floating *y_block = <floating *>more_block if few else grad_block + FOUR * WIDE
    cdef npy_intp row, w, i, j, k, q, count, slot, lanes = min(<npy_intp>LANES, at.n)
    cdef floating lowest, bias
    exp_frame(hidden(<floating>0), &lowest, &bias)
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            high[k] = low[k] = 0
        pad(sums, 0, lanes * WIDE)
        if fours:
            pad(lost, 0, LANES * WIDE)
        for i from 0 <= i < at.n by FOUR * LANES:
            for j in range(min(<npy_intp>LANES, at.n - i)):
                count = min(<npy_intp>FOUR, (at.n - i - j + LANES - 1) // LANES)
                for q in range(count):
                    k, slot = i + q * LANES + j, j if few else q
                    grads[q] = gradient_lanes_at(at.grad, at.grad_step, row, k, w, grad_block + slot * WIDE, loop.load)
                    ys[q] = gradient_lanes_at(at.x, at.x_step, row, k, w, y_block + slot * WIDE, loop.load)
                if not fours:
                    if loop.logarithm:
                        add_terms(grads, ys, count, w, True, True, sums + j * WIDE, lost + j * WIDE)
                    else:
                        add_terms(grads, ys, count, w, False, True, sums + j * WIDE, lost + j * WIDE)
                elif loop.logarithm:
                    add_terms(grads, ys, count, w, True, False, sums + j * WIDE, lost + j * WIDE)
                else:
                    add_terms(grads, ys, count, w, False, False, sums + j * WIDE, lost + j * WIDE)
            if (i + FOUR * LANES) % SEGMENT == 0 or i + FOUR * LANES >= at.n:
                fold_some(sums, lanes)
                if fours:
                    fold_some(lost, lanes)
                for k in range(WIDE):
                    sum.high, sum.low = high[k], low[k]
                    add_to(&sum, sums[k], lost[k] if fours else <floating>0)
                    high[k], low[k] = sum.high, sum.low
                pad(sums, 0, lanes * WIDE)
                if fours:
                    pad(lost, 0, LANES * WIDE)
        for k in range(WIDE):
            rounded[k] = <floating>sum_of(high[k], low[k])
        for i in range(at.n):
            grad, y, result = grad_block + i * WIDE, y_block + i * WIDE, e
            if not few or (loop.load == NULL and at.grad_step[0] == sizeof(floating)):
                grad = gradient_lanes_at(at.grad, at.grad_step, row, i, w, grad_block, loop.load)
            if not few or (loop.load == NULL and at.x_step[0] == sizeof(floating)):
                y = gradient_lanes_at(at.x, at.x_step, row, i, w, y_block, loop.load)
            p = at.y + row * at.y_step[0] + i * at.y_step[1]
            if loop.store == NULL and at.y_step[0] == sizeof(floating):
                result = <floating *>p
            if loop.logarithm:
                exponentials(y, lowest, bias, e, w)
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
            and whole * WIDE * <npy_intp>sizeof(floating) <= 2 * <npy_intp>sizeof(Block)
            and loop.load == NULL and at.x_step[1] == sizeof(floating)
            and (loop.reduces or at.y_step[1] == sizeof(floating)) and not loop.gradient)

cdef inline bint across_rows(const Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether vector lanes are rows: many that are short, or that lie side by side."""
    cdef npy_intp stored = sizeof(uint16_t) if loop.load != NULL else sizeof(floating)
    if at.mask != NULL or rows < LANES:
        return False
    return (at.n <= SHORT or in_quads(at, loop, _) or at.x_step[0] == stored
            or (loop.gradient and at.grad_step[0] == stored))

cdef inline bint widens(const Layout *at, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether rows of 16-bit numbers become float32 before anything else: of up to a Block, in one piece each."""
    return (loop.load != NULL and at.n <= <npy_intp>(sizeof(Block) // sizeof(floating)) and at.mask == NULL
            and at.x_step[1] == sizeof(uint16_t) and (loop.reduces or at.y_step[1] == sizeof(uint16_t))
            and (not loop.gradient or at.grad_step[1] == sizeof(uint16_t)))

cdef inline void widen_rows(const char *p, npy_intp step, npy_intp rows, npy_intp n, void *block,
                            Load load) noexcept nogil:
    """Rows of n 16-bit numbers to a Block; all at once where one follows the other."""
    cdef npy_intp row
    if step == n * <npy_intp>sizeof(uint16_t):
        rows, n = 1, rows * n
    for row in range(rows):
        load(p + row * step, sizeof(uint16_t), <float *>block + row * n, n)

cdef inline void narrow_rows(const void *block, char *p, npy_intp step, npy_intp rows, npy_intp n,
                             Store store) noexcept nogil:
    cdef npy_intp row
    if step == n * <npy_intp>sizeof(uint16_t):
        rows, n = 1, rows * n
    for row in range(rows):
        store(<const float *>block + row * n, p + row * step, sizeof(uint16_t), n)

cdef void widened_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """Rows of 16-bit numbers as some of float32 after the other: each number is converted once."""
    cdef Block x
    cdef Block grad
    cdef Block y
    cdef Layout some
    cdef RowLoop plain = loop[0]
    cdef Known known
    cdef npy_intp row, rows, n = at.n, most = <npy_intp>(sizeof(Block) // sizeof(floating)) // max(n, <npy_intp>1)
    if most > WIDE:
        most = most // WIDE * WIDE
    plain.load, plain.store = NULL, NULL
    some.x, some.grad, some.mask, some.y = <const char *>&x, <const char *>&grad, NULL, <char *>&y
    some.n, some.far = n, False
    some.x_step[0], some.x_step[1] = n * sizeof(floating), sizeof(floating)
    some.grad_step = some.x_step
    some.y_step[0], some.y_step[1] = sizeof(floating) if loop.reduces else some.x_step[0], sizeof(floating)
    for row from begin <= row < end by most:
        rows = min(most, end - row)
        widen_rows(at.x + row * at.x_step[0], at.x_step[0], rows, n, &x, loop.load)
        if loop.gradient:
            widen_rows(at.grad + row * at.grad_step[0], at.grad_step[0], rows, n, &grad, loop.load)
        some.rows, known.row = rows, -1
        run_rows(&some, 0, rows, &plain, &known, _)
        if loop.reduces:
            loop.store(&y, at.y + row * at.y_step[0], at.y_step[0], rows)
        else:
            narrow_rows(&y, at.y + row * at.y_step[0], at.y_step[0], rows, n, loop.store)

cdef void run_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, Known *known,
                   floating *_) noexcept nogil:
    if at.n == 0:
        if loop.reduces:
            write_empty(at, begin, end, loop, _)
    elif widens(at, loop, _):
        widened_rows(at, begin, end, loop, _)
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
