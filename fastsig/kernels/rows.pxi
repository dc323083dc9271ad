"""softmax, softmin, log_softmax, logsumexp and cross_entropy along an axis, and their gradients: the inner loops of
generalised ufuncs "(n)->(n)", "(n)->()", "(n),()->()", "(n),(n)->(n)" and "(),(n),()->(n)"; with temperatures,
"(n),()->(n)". logsumexp's gradient is called with plain arrays alone, and is no ufunc.

A row is one vector along the axis; it may lie anywhere, with any stride. Five ways to run the same arithmetic:

- short_rows:   rows of which several fit a buffer: maxima, one exp over the whole block, sums, results
- rows_in_turn: long rows where they lie, in blocks, with the last one's results and the next one's maximum beside
- long_rows:    one row in blocks, a step after the other
- short_lanes:  many very short rows: 64 rows are put side by side, so that vector lanes are rows
- long_lanes:   many rows side by side in memory (axis 0 of a C-ordered matrix): lanes are rows again, streamed

Before the last two, turned_rows puts short rows that lie in one piece side by side in a buffer.

No x_i - max x is rounded before its exponential is taken: see exp_frame(). All of them add a row's terms in one order:
element i goes to lane i mod LANES, FOUR terms of a lane at a time, lanes are folded in halves, and blocks of SEGMENT
elements follow one after the other. A row's bits thus depend neither on where it lies nor on its neighbours. Beyond one
term a lane, what rounding takes from a sum is added up, too, so that a million small terms beside a large one count,
and the logarithm of 1 + tiny loses nothing until it is dominated(). The gradients, short_gradients, gradient_rows and
gradient_lanes, have an order of their own. While exponentials are computed, the next rows come from memory, strip by
strip.
The pointer `_` at the end of a signature only tells Cython the type.
"""
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef enum:
    SEGMENT = 512       # elements of a row that are added up at once
    LANES = 16          # partial sums of a row
    WIDE = 64           # rows side by side in the lane variants
    STEPS = 8           # elements of each that pass through exp together: WIDE * STEPS == SEGMENT
    WIDENED = 4194304   # bytes of what is widened before rows are run
    NEARBY = 16384      # bytes of results that are still in the nearest cache when they are multiplied
    SHORTS = 64         # short rows that pass through exp together, at the most
    FEW = 1536          # bytes of a row whose exponentials need not wait in the output
    SHORT = 16          # rows of up to so many elements are always put side by side, if there are enough of them
    FOUR = 4            # terms of a lane that are added up at once
    TURNED = 3          # Blocks of rows that are turned into lanes
    FRAME = 12          # numbers of a row's frame, see tempered_frame(); without a temperature two are used

# What softmin's rows are loaded by. `block` may be p.

cdef void load_negative(const char *p, npy_intp stride, floating *block, npy_intp n) noexcept nogil:
    cdef npy_intp i
    if stride == sizeof(floating):
        for i in range(n):
            block[i] = -(<const floating *>p)[i]
        return
    for i in range(n):
        block[i] = -(<const floating *>(p + i * stride))[0]

cdef void load_negative_half(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil:
    load_half(p, stride, block, n)
    load_negative(<const char *>block, sizeof(float), <float *>block, n)

cdef void load_negative_bfloat16(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil:
    load_bfloat16(p, stride, block, n)
    load_negative(<const char *>block, sizeof(float), <float *>block, n)

cdef Load negative_load(Load load, npy_intp size) noexcept nogil:
    """What loads the same with the other sign."""
    if load == load_half:
        return load_negative_half
    if load == load_bfloat16:
        return load_negative_bfloat16
    return <Load><void *>load_negative[double] if size == 8 else <Load><void *>load_negative[float]

ctypedef fused cell:        # a number as it is computed, or one of 16 bits as it is stored
    float
    double
    uint16_t

cdef struct Sum:            # high + low: twice a double's digits
    double high
    double low


# ------------------------------------------------------------------------------------- pieces of a row

cdef inline void mask_out(const Layout *at, npy_intp row, npy_intp i, npy_intp n, cell *block,
                          cell hole) noexcept nogil:
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
                        cell *block, cell hole, Load load) noexcept nogil:
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
    mask_out(at, row, i, n, block, <floating>-INFINITY if loop.logarithm else <floating>0)
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
    inside a loop over rows gcc may take loops over 16 lanes apart before it could vectorise them, see setup.py.

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

cdef inline const floating *further(const floating *x, npy_intp bytes) noexcept nogil:
    return <const floating *>(<const char *>x + bytes)

cdef void row_maxima(const floating *x, npy_intp step, npy_intp n, npy_intp rows, floating *top) noexcept nogil:
    """maximum() of up to LANES rows of at least LANES elements, `step` bytes apart: the last of their lanes are folded
    beside each other."""
    cdef floating[LANES] lanes
    cdef floating[8 * LANES] eight
    cdef floating[4 * LANES] four
    cdef npy_intp r, i, j
    for r in range(rows):
        for j in range(LANES):
            lanes[j] = higher(x[j], x[n - LANES + j])
        for i from LANES <= i < n - LANES by LANES:
            rise(x + i, lanes)
        for j in range(8):
            eight[8 * r + j] = higher(lanes[8 + j], lanes[j])
        x = further(x, step)
    for r in range(rows):
        for j in range(4):
            four[4 * r + j] = higher(eight[8 * r + 4 + j], eight[8 * r + j])
    for r in range(rows):
        top[r] = higher(higher(four[4 * r + 3], four[4 * r + 1]), higher(four[4 * r + 2], four[4 * r]))

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

cdef inline double lane_sum(floating sum, floating lost) noexcept nogil:
    """In float32, all that plus() added up; the double has digits enough."""
    return <double>(sum - beginning(&sum)) + <double>lost

cdef inline void four_of_eight(const double *lanes, double *four) noexcept nogil:
    """A step of fold(), to where a row's four wait."""
    cdef npy_intp j
    for j in range(4):
        four[j] = lanes[j] + lanes[4 + j]

cdef inline void fold_to_four(floating *sums, floating *lost, double *four, double *low) noexcept nogil:
    """LANES sums to four, and what these lost, if that is kept apart."""
    cdef double[8] lanes
    cdef npy_intp j
    if floating is float:
        for j in range(8):
            lanes[j] = lane_sum(sums[j], lost[j]) + lane_sum(sums[8 + j], lost[8 + j])
        four_of_eight(lanes, four)
    else:
        for j in range(8):
            lanes[j] = (sums[j] - beginning(sums)) + (sums[8 + j] - beginning(sums))
        four_of_eight(lanes, four)
        add_halves(lost, 8)
        four_of_eight(lost, low)

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

cdef inline void plus_some(const floating **e, npy_intp count, npy_intp n, bint logarithm, floating *sums,
                           floating *lost) noexcept nogil:
    """Likewise, in loops that know how many there are."""
    if count == 1:
        plus_vectors(e, 1, n, logarithm, sums, lost)
    elif count == 2:
        plus_vectors(e, 2, n, logarithm, sums, lost)
    elif count == 3:
        plus_vectors(e, 3, n, logarithm, sums, lost)
    else:
        plus_vectors(e, FOUR, n, logarithm, sums, lost)

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

cdef inline void few_to_four(const floating *e, npy_intp whole, const floating *tail, double *four) noexcept nogil:
    """What plus() would give for softmax in float32, of up to eight vectors, with less to do."""
    cdef floating[LANES] first
    cdef floating[LANES] second
    cdef double[8] lanes
    cdef npy_intp j
    if whole < FOUR * LANES:
        last_four(e, whole, tail, first)
        for j in range(8):
            lanes[j] = <double>first[j] + <double>first[8 + j]
    else:
        last_four(e, 3 * LANES, e + 3 * LANES, first)
        last_four(e + FOUR * LANES, whole - FOUR * LANES, tail, second)
        for j in range(8):
            lanes[j] = (<double>first[j] + <double>second[j]) + (<double>first[8 + j] + <double>second[8 + j])
    four_of_eight(lanes, four)

cdef void row_totals(const floating *e, npy_intp whole, const floating *tail, npy_intp step, npy_intp rows,
                     bint logarithm, double *high, double *low) noexcept nogil:
    """The sums of up to LANES rows, `step` apart, of up to a block of terms: `whole`, a multiple of LANES, and LANES
    more. Their last four lanes are folded beside each other. Not inline, see maximum()."""
    cdef floating[LANES] sums
    cdef floating[LANES] lost
    cdef double[4 * LANES] four_high
    cdef double[4 * LANES] four_low
    cdef const floating *four[FOUR]
    cdef npy_intp r, i, j
    for r in range(rows):
        if sizeof(floating) == 4 and not logarithm and whole < 2 * FOUR * LANES:
            few_to_four(e, whole, tail, four_high + 4 * r)
        else:
            clear_sums(sums, lost, LANES)
            i = 0
            while True:
                four[0], four[1], four[2], four[3] = e + i, e + i + LANES, e + i + 2 * LANES, e + i + 3 * LANES
                i += FOUR * LANES
                if i > whole:
                    break
                if logarithm:
                    plus_vectors(four, FOUR, LANES, True, sums, lost)
                else:
                    plus_vectors(four, FOUR, LANES, False, sums, lost)
            j = (whole - i) // LANES + FOUR
            four[j] = tail
            if logarithm:
                plus_some(four, j + 1, LANES, True, sums, lost)
            else:
                plus_some(four, j + 1, LANES, False, sums, lost)
            fold_to_four(sums, lost, four_high + 4 * r, four_low + 4 * r)
        e += step
        tail += step
    for r in range(rows):
        high[r] = (four_high[4 * r] + four_high[4 * r + 2]) + (four_high[4 * r + 1] + four_high[4 * r + 3])
    for r in range(rows if sizeof(floating) == 8 else 0):
        low[r] = (four_low[4 * r] + four_low[4 * r + 2]) + (four_low[4 * r + 1] + four_low[4 * r + 3])

cdef inline void add_total(const floating *e, npy_intp whole, const floating *tail, bint logarithm,
                           Sum *sum) noexcept nogil:
    """Of one row, to its sum."""
    cdef double high, low = 0
    row_totals(e, whole, tail, 0, 1, logarithm, &high, &low)
    add_to(sum, high, low)

cdef inline double exact_sum(floating a, floating b, floating c, floating d) noexcept nogil:
    """Of four numbers below beginning()."""
    cdef double p, q, r, s, most = beginning(&a)
    if floating is float:
        return (<double>a + <double>c) + (<double>b + <double>d)
    else:
        p, q, r, s = (a + most) - most, (b + most) - most, (c + most) - most, (d + most) - most
        return ((p + r) + (q + s)) + (((a - p) + (c - r)) + ((b - q) + (d - s)))

cdef double few_total(const floating *e) noexcept nogil:
    """The sum of LANES terms: two roundings."""
    cdef floating[LANES] lanes
    cdef npy_intp j
    for j in range(LANES):
        lanes[j] = e[j]
    add_halves(lanes, 8)
    add_halves(lanes, 4)
    return exact_sum(lanes[0], lanes[1], lanes[2], lanes[3])

# log_softmax and logsumexp take log1p of the sum less the maximum's exponential, `top`, in units of that. Of up to
# LANES terms, all but the maxima are added up, and then the maxima but one. Of more, it is what the sum exceeds `top`
# by; where next to nothing is left then, they need the rest, added up for itself.

cdef inline floating other(floating e, floating top, floating *others) noexcept nogil:
    """0 for a maximum. Else the term, and `others`, which has the bits of a whole number, counts one more: added up as
    floats, maxima would cost twice as much."""
    cdef uint32_t all32
    cdef uint64_t all64
    if floating is float:
        all32 = <uint32_t>0xffffffff if e != top else <uint32_t>0
        others[0] = bits_float(float_bits(others[0]) - all32)
        return bits_float(float_bits(e) & all32)
    else:
        all64 = <uint64_t>0xffffffffffffffff if e != top else <uint64_t>0
        others[0] = bits_double(double_bits(others[0]) - all64)
        return bits_double(double_bits(e) & all64)

cdef inline floating number_of(floating others) noexcept nogil:
    """What other() has counted, from 0.0 on."""
    if floating is float:
        return bits_float(float_bits(others) | <uint32_t>0x4b000000) - <float>8388608.0
    else:
        return bits_double(double_bits(others) | <uint64_t>0x4330000000000000) - 4503599627370496.0

cdef inline floating over_ties(double rest, floating ties, floating top) noexcept nogil:
    """What log1p takes, for so many maxima."""
    return <floating>((rest + (<double>ties - 1) * <double>top) / top)

cdef floating few_others(const floating *e, floating top) noexcept nogil:
    """Likewise, for LANES terms."""
    cdef floating[LANES] lanes
    cdef floating[LANES] others
    cdef npy_intp j
    for j in range(LANES):
        others[j] = 0
        lanes[j] = other(e[j], top, &others[j])
        others[j] = number_of(others[j])
    add_halves(lanes, 8)
    add_halves(lanes, 4)
    return over_ties(exact_sum(lanes[0], lanes[1], lanes[2], lanes[3]), LANES - fold(others), top)

cdef inline floating dominated(npy_intp n, const floating *_) noexcept nogil:
    """From which share of `top` on downwards next to nothing is left, in rows of n."""
    if floating is float:
        return <float>(1.0 / (1 << 18))
    else:
        return 1.0 / 4294967296.0       # 2 ** 32: npy_intp may have 32 bits

cdef inline void two_sums(double *sums, double *lost, npy_intp half) noexcept nogil:
    """add_halves(), and what is lost."""
    cdef double a, b, both, added
    cdef npy_intp j
    for j in range(half):
        a, b = sums[j], sums[half + j]
        both = a + b
        added = both - a
        lost[j] += lost[half + j] + ((a - (both - added)) + (b - added))
        sums[j] = both

cdef void add_rest(const floating *e, npy_intp whole, const floating *tail, floating top, Sum *rest) noexcept nogil:
    """As row_totals(), all but the maximum. Of terms of any size, the smaller one is what Fast2Sum can lose."""
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
    two_sums(sums, lost, 8)
    two_sums(sums, lost, 4)
    two_sums(sums, lost, 2)
    two_sums(sums, lost, 1)
    add_to(rest, sums[0], lost[0])

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

cdef inline floating grad_of(const Layout *at, npy_intp row, floating *_) noexcept nogil:
    """A row's grad_output, of a loss."""
    return (<const floating *>(at.grad + row * at.grad_step[0]))[0]

cdef inline bint is_taken_in(floating grad) noexcept nogil:
    """Whether a factor times this keeps all its digits."""
    cdef floating size = magnitude(grad)
    if floating is float:
        return (size >= <float>3e-8) & (size <= <float>1e18)
    else:
        return (size >= 1e-120) & (size <= 1e120)

cdef inline void take_in(floating grad, floating *factor, floating *fine) noexcept nogil:
    """A row's factor, from invert(), becomes that of softmax times grad, if this is_taken_in()."""
    cdef floating plain = factor[0]
    grad = select(is_taken_in(grad), grad, <floating>1)
    if HAS_FMA:
        factor[0] = plain * grad
        fine[0] = multiply_add(fine[0], grad, rounded_off(plain, grad, factor[0]))
    else:
        factor[0] = plain / grad

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

cdef inline npy_intp target_of(const Layout *at, npy_intp row) noexcept nogil:
    """A row's class; -1 if it does not count, or if another thread has made it one that does not exist."""
    cdef npy_intp target = (<const npy_intp *>(at.target + row * at.target_step))[0]
    return target if target < at.n else <npy_intp>-1

cdef inline bint is_kept(const Layout *at, npy_intp row, npy_intp i) noexcept nogil:
    """Whether the mask, if there is one, leaves an element in."""
    return at.mask == NULL or (at.mask + row * at.mask_step[0] + i * at.mask_step[1])[0] != 0

cdef inline npy_intp chosen(const Layout *at, npy_intp row, npy_intp rows, const char *p, const npy_intp *step,
                            floating *of_target, npy_intp *classes, Load load) noexcept nogil:
    """Of some rows of p their targets' elements and their classes; of a row that does not count, the first. -1 if there
    is one."""
    cdef const char *target = at.target + row * at.target_step
    cdef npy_intp r, k, n = at.n, least = 0, target_step = at.target_step, row_step = step[0], one_step = step[1]
    cdef uint16_t[SHORTS] side_by_side                  # all that a loss's loads are of
    p += row * row_step
    for r in range(rows):
        k = (<const npy_intp *>(target + r * target_step))[0]
        k = k if k < n else <npy_intp>-1        # as target_of() has it
        least = min(least, k)
        classes[r] = k = max(k, <npy_intp>0)
        if load == NULL:
            of_target[r] = (<const floating *>(p + r * row_step + k * one_step))[0]
        else:
            side_by_side[r] = (<const uint16_t *>(p + r * row_step + k * one_step))[0]
    if load != NULL:
        load(<const char *>side_by_side, sizeof(uint16_t), of_target, rows)
    return least

cdef void write_losses(const Layout *at, npy_intp row, npy_intp rows, const floating *m, floating *norm,
                       const RowLoop *loop) noexcept nogil:
    """cross_entropy, likewise: both terms are positive, and nothing cancels."""
    cdef floating[SHORTS] x
    cdef npy_intp[SHORTS] classes
    cdef npy_intp r, least = chosen(at, row, rows, at.x, at.x_step, x, classes, loop.load)
    for r in range(rows):
        norm[r] = (m[r] - x[r]) + norm[r]
    if least < 0 or at.mask != NULL:
        for r in range(rows):
            if target_of(at, row + r) < 0:
                norm[r] = 0
            elif not is_kept(at, row + r, classes[r]):
                norm[r] = INFINITY
    scatter(norm, at.y + row * at.y_step[0], at.y_step[0], rows, loop.store)

cdef inline void write_sums(const Layout *at, npy_intp row, npy_intp rows, const floating *m, floating *norm,
                            const RowLoop *loop) noexcept nogil:
    """logsumexp of rows [row, row + rows) from their maxima and what their logarithms exceed these by."""
    cdef npy_intp r
    if loop.loss:
        write_losses(at, row, rows, m, norm, loop)
        return
    for r in range(rows):
        norm[r] = m[r] + norm[r]
    for r in range(rows):
        if norm[r] != norm[r]:
            norm[r] = of_special_row(at, row + r, loop, norm[r])
    scatter(norm, at.y + row * at.y_step[0], at.y_step[0], rows, loop.store)


include "rows_exp.pxi"
include "rows_tempered.pxi"
include "rows_along.pxi"
include "rows_across.pxi"
include "rows_gradients.pxi"
include "rows_choosing.pxi"
