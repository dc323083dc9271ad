"""The gradients of softmax, from its output y: y (grad - sum(grad y)), and with the other sign, of softmin; of
log_softmax, from its output y: grad - exp(y) sum(grad). Along rows and across them, in one order of terms. And that of
cross_entropy, from its input.
"""

cdef inline floating softmax_gradient(floating grad, floating y, floating sum) noexcept nogil:
    """y (grad - sum), whose difference would be rounded in units that y makes twice as large."""
    return multiply_add(y, grad, -(y * sum))

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

# Terms are added up two at a time, and those pairs to a lane's sum: float32's in double, float64's with what rounding
# takes from it. What is left over behind the last whole vector goes to the last lanes, beside the last odd vector if
# there is one.

cdef inline floating term(floating grad, floating y, floating sum, bint logarithm) noexcept nogil:
    """And `sum`: products are added at once, so that all ways fuse the two, or none."""
    return sum + grad if logarithm else multiply_add(grad, y, sum)

cdef inline floating pair(const floating *grad, npy_intp grad_step, const floating *y, npy_intp y_step, int count,
                          bint logarithm) noexcept nogil:
    """The sum of one or two terms."""
    cdef floating one = term(grad[0], y[0], <floating>0, logarithm)
    return term(grad[grad_step], y[y_step], one, logarithm) if count > 1 else one

cdef inline void plus_term(floating term, double *sum, double *lost) noexcept nogil:
    """What float64 loses goes to `lost` (Knuth's)."""
    cdef double more = sum[0] + term, added
    if floating is double:
        added = more - sum[0]
        lost[0] += (sum[0] - (more - added)) + (term - added)
    sum[0] = more

cdef inline void plus_terms(const floating *grad, npy_intp grad_step, const floating *y, npy_intp y_step, int count,
                            npy_intp n, bint logarithm, bint first, double *sums, double *lost) noexcept nogil:
    """One, two or four terms of n lanes, so many elements apart, to their sums, which may begin with the first two."""
    cdef double sum, less = 0
    cdef npy_intp k
    for k in range(n):
        if first:
            sum = pair(grad + k, grad_step, y + k, y_step, count, logarithm)
        else:
            sum = sums[k]
            if floating is double:
                less = lost[k]
            plus_term(pair(grad + k, grad_step, y + k, y_step, count, logarithm), &sum, &less)
        if count > 2:
            plus_term(pair(grad + 2 * grad_step + k, grad_step, y + 2 * y_step + k, y_step, count, logarithm), &sum,
                      &less)
        sums[k] = sum
        if floating is double:
            lost[k] = less

cdef inline void fold_halves(double *sums, double *lost, npy_intp half, npy_intp n, floating *_) noexcept nogil:
    """Of n partial sums, those from `half` on to those before, as plus_term() does."""
    cdef npy_intp j
    for j in range(n - half):
        if floating is double:
            lost[j] += lost[half + j]
            plus_term(sums[half + j], &sums[j], &lost[j])
        else:
            sums[j] += sums[half + j]

cdef inline floating where(floating mask, floating yes, floating no) noexcept nogil:
    """`yes` where all bits of the mask are set, `no` where none is."""
    if floating is float:
        return bits_float((float_bits(yes) & float_bits(mask)) | (float_bits(no) & ~float_bits(mask)))
    else:
        return bits_double((double_bits(yes) & double_bits(mask)) | (double_bits(no) & ~double_bits(mask)))

cdef inline void mask_of(npy_intp left, floating *mask) noexcept nogil:
    """Of the last so many of LANES."""
    cdef npy_intp k
    for k in range(LANES):
        if floating is float:
            mask[k] = bits_float(<uint32_t>0xffffffff if k >= LANES - left else <uint32_t>0)
        else:
            mask[k] = bits_double(<uint64_t>0xffffffffffffffff if k >= LANES - left else <uint64_t>0)

cdef inline void add_block_terms(const floating *grad, const floating *y, npy_intp n, const floating *mask,
                                 bint logarithm, Sum *sum) noexcept nogil:
    """Up to a block of a row to its sum. Its last LANES elements, some of which may lie before it, are one vector: what
    is copied into one would have to wait until it is in memory."""
    cdef double[LANES] sums
    cdef double[LANES] lost
    cdef const floating *last_grad = grad + n - LANES
    cdef const floating *last_y = y + n - LANES
    cdef npy_intp k, whole = n & ~<npy_intp>(LANES - 1)
    cdef bint odd = n & LANES
    cdef floating one
    for k in range(LANES):
        sums[k] = lost[k] = 0
    if whole >= 2 * LANES:
        plus_terms(grad, LANES, y, LANES, 2, LANES, logarithm, True, sums, lost)
        grad += 2 * LANES
        y += 2 * LANES
        whole -= 2 * LANES
    while whole >= FOUR * LANES:
        plus_terms(grad, LANES, y, LANES, FOUR, LANES, logarithm, False, sums, lost)
        grad += FOUR * LANES
        y += FOUR * LANES
        whole -= FOUR * LANES
    if whole >= 2 * LANES:
        plus_terms(grad, LANES, y, LANES, 2, LANES, logarithm, False, sums, lost)
        grad += 2 * LANES
        y += 2 * LANES
    if odd:
        for k in range(LANES):
            one = pair(grad + k, LANES, y + k, LANES, 1, logarithm)
            one = where(mask[k], term(last_grad[k], last_y[k], one, logarithm), one)
            plus_term(one, &sums[k], &lost[k])
    elif n & (LANES - 1):
        for k in range(LANES):
            one = pair(last_grad + k, LANES, last_y + k, LANES, 1, logarithm)
            plus_term(where(mask[k], one, <floating>0), &sums[k], &lost[k])
    fold_halves(sums, lost, 8, 16, <floating *>grad)
    fold_halves(sums, lost, 4, 8, <floating *>grad)
    fold_halves(sums, lost, 2, 4, <floating *>grad)
    fold_halves(sums, lost, 1, 2, <floating *>grad)
    sum.high = sums[0]
    sum.low = lost[0] if floating is double else 0

cdef void add_products(const floating *grad, const floating *y, npy_intp n, const floating *mask,
                       Sum *sum) noexcept nogil:
    add_block_terms(grad, y, n, mask, False, sum)

cdef void add_gradients(const floating *grad, const floating *y, npy_intp n, const floating *mask,
                        Sum *sum) noexcept nogil:
    add_block_terms(grad, y, n, mask, True, sum)

cdef inline double sum_of(double high, double low) noexcept nogil:
    """What infinity has lost says nothing."""
    cdef double sum = high + low
    return select(sum - sum == 0, sum, high)

cdef inline const floating *read_gradient(const Layout *at, const char *p, const npy_intp *step, npy_intp row,
                                          npy_intp i, npy_intp n, floating *block, Load load) noexcept nogil:
    """As read_operand(); LANES elements that end with the n-th can be read, as `block` begins with so many others. Of a
    shorter row, LANES that end with zeros, which are there."""
    if at.n >= LANES:
        return read_operand(at, p, step, row, i, n, block + LANES, <floating>0, load)
    gather_masked(at, p, step, row, i, n, block, <floating>0, load)
    return block

ctypedef void (*AddTerms)(const floating *, const floating *, npy_intp, const floating *, Sum *) noexcept nogil

cdef inline bint is_short(const Layout *at, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether rows are in place, as their results can be, and fit a block."""
    return (LANES <= at.n <= SEGMENT and loop.load == NULL and at.grad_step[1] == sizeof(floating)
            and at.x_step[1] == sizeof(floating) and in_output(at, loop, _))

cdef void short_gradients(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                          AddTerms add, const floating *mask, floating *_) noexcept nogil:
    """As many rows as fit a block: their sums, whose additions then need not wait for each other, their exponentials,
    their results."""
    cdef floating[SEGMENT + LANES] e
    cdef floating[WIDE] sums
    cdef const char *grads
    cdef const char *ys
    cdef const floating *grad
    cdef const floating *y
    cdef floating *result
    cdef floating rounded, lowest, bias
    cdef Sum sum
    cdef npy_intp row, rows, r, j, n = at.n, together = SEGMENT // n, grad_step = at.grad_step[0], y_step = at.x_step[0]
    exp_frame(hidden(<floating>0), &lowest, &bias)
    for row from begin <= row < end by together:
        rows = min(together, end - row)
        grads, ys = at.grad + row * grad_step, at.x + row * y_step
        for r in range(rows):
            add(<const floating *>(grads + r * grad_step), <const floating *>(ys + r * y_step), n, mask, &sum)
            sums[r] = <floating>sum_of(sum.high, sum.low)
        if loop.logarithm:
            if y_step == n * <npy_intp>sizeof(floating):
                exponentials(<const floating *>ys, lowest, bias, e, rows * n)
            else:
                for r in range(rows):
                    exponentials(<const floating *>(ys + r * y_step), lowest, bias, e + r * n, n)
        for r in range(rows):
            rounded = sums[r]
            grad, y = <const floating *>(grads + r * grad_step), <const floating *>(ys + r * y_step)
            result = <floating *>(at.y + (row + r) * at.y_step[0])
            if loop.logarithm:
                for j in range(n):
                    result[j] = log_softmax_gradient(grad[j], e[r * n + j], rounded)
            else:
                for j in range(n):
                    result[j] = softmax_gradient(grad[j], y[j], rounded)
            if loop.negates:
                load_negative(<const char *>result, sizeof(floating), result, n)

cdef void gradient_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                        floating *_) noexcept nogil:
    """Vector lanes along a row."""
    cdef floating[LANES + SEGMENT] grad_block
    cdef floating[LANES + SEGMENT] y_block
    cdef floating[SEGMENT] e
    cdef floating[LANES] mask
    cdef const floating *grad = NULL
    cdef const floating *y = NULL
    cdef floating *result
    cdef floating rounded, lowest, bias
    cdef Sum sum, more
    cdef npy_intp row, i, j, n, least = LANES if at.n < LANES else 0
    # By its address, so that gcc cannot make it inline; see maximum().
    cdef AddTerms add = add_gradients if loop.logarithm else add_products
    exp_frame(hidden(<floating>0), &lowest, &bias)
    pad(grad_block, 0, LANES)
    pad(y_block, 0, LANES)
    mask_of(max(at.n, least) & (LANES - 1), mask)
    if is_short(at, loop, e):
        short_gradients(at, begin, end, loop, add, mask, e)
        return
    for row in range(begin, end):
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            grad = read_gradient(at, at.grad, at.grad_step, row, i, n, grad_block, loop.load)
            y = read_gradient(at, at.x, at.x_step, row, i, n, y_block, loop.load)
            add(grad, y, max(n, least), mask, &sum if i == 0 else &more)
            if i:
                add_to(&sum, more.high, more.low)
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
            if loop.negates:
                load_negative(<const char *>result, sizeof(floating), result, n)
            if result == e:
                write(at, row, i, n, e, loop)

cdef inline const floating *gradient_lanes_at(const char *p, const npy_intp *step, npy_intp row, npy_intp i,
                                              npy_intp far, npy_intp count, npy_intp w, floating *block, Load load,
                                              npy_intp *apart) noexcept nogil:
    """Elements i, i + far, ... of w rows of one operand, where they lie, or else in `block`; how far apart."""
    cdef npy_intp q
    p += row * step[0] + i * step[1]
    far *= step[1]
    apart[0] = far // <npy_intp>sizeof(floating)
    if load == NULL and step[0] == sizeof(floating) and apart[0] * <npy_intp>sizeof(floating) == far:
        return <const floating *>p
    for q in range(count):
        gather(p + q * far, step[0], block + q * WIDE, w, load)
    apart[0] = WIDE
    return block

cdef void fold_across(double *sums, double *lost, npy_intp n, floating *_) noexcept nogil:
    """n partial sums of WIDE rows, up to LANES, to one. How many is not for the compiler to know: it would take loops
    apart before it could vectorise them."""
    cdef npy_intp half = 8
    while half:
        if n > half:
            fold_halves(sums, lost, half * WIDE, n * WIDE, _)
            n = half
        half //= 2

cdef inline void add_two(const floating *grad, const floating *y, const floating *more_grad, const floating *more_y,
                         npy_intp n, bint two, bint logarithm, double *sums, double *lost) noexcept nogil:
    """One or two terms of n rows."""
    cdef double sum, less
    cdef npy_intp k
    for k in range(n):
        sum, less = <double>0 + term(grad[k], y[k], <floating>0, logarithm), 0
        if two:
            plus_term(term(more_grad[k], more_y[k], <floating>0, logarithm), &sum, &less)
        sums[k] = sum
        if floating is double:
            lost[k] = less

cdef void add_few_across(const floating **grads, const floating **ys, npy_intp n, npy_intp w, bint logarithm,
                         double *sums, double *lost, floating *_) noexcept nogil:
    """Up to LANES elements of w rows to their sums."""
    cdef npy_intp j, k
    for j in range(min(<npy_intp>8, n)):
        k = j + 8
        if k < n:
            if logarithm:
                add_two(grads[j], ys[j], grads[k], ys[k], w, True, True, sums + j * WIDE, lost + j * WIDE)
            else:
                add_two(grads[j], ys[j], grads[k], ys[k], w, True, False, sums + j * WIDE, lost + j * WIDE)
        elif logarithm:
            add_two(grads[j], ys[j], grads[j], ys[j], w, False, True, sums + j * WIDE, lost + j * WIDE)
        else:
            add_two(grads[j], ys[j], grads[j], ys[j], w, False, False, sums + j * WIDE, lost + j * WIDE)
    fold_across(sums, lost, min(<npy_intp>8, n), _)

cdef void add_lane_across(const Layout *at, npy_intp row, npy_intp w, npy_intp i, npy_intp far, npy_intp count,
                          bint first, const RowLoop *loop, floating *block, double *sums, double *lost) noexcept nogil:
    """plus_terms() of w rows: their elements i, i + far, ..., one, two or four."""
    cdef npy_intp apart, y_apart
    cdef const floating *grad = gradient_lanes_at(at.grad, at.grad_step, row, i, far, count, w, block, loop.load,
                                                  &apart)
    cdef const floating *y = gradient_lanes_at(at.x, at.x_step, row, i, far, count, w, block + FOUR * WIDE, loop.load,
                                               &y_apart)
    if count == 1 and first:
        if loop.logarithm:
            plus_terms(grad, apart, y, y_apart, 1, w, True, True, sums, lost)
        else:
            plus_terms(grad, apart, y, y_apart, 1, w, False, True, sums, lost)
    elif count == 1:
        if loop.logarithm:
            plus_terms(grad, apart, y, y_apart, 1, w, True, False, sums, lost)
        else:
            plus_terms(grad, apart, y, y_apart, 1, w, False, False, sums, lost)
    elif first:
        if loop.logarithm:
            plus_terms(grad, apart, y, y_apart, 2, w, True, True, sums, lost)
        else:
            plus_terms(grad, apart, y, y_apart, 2, w, False, True, sums, lost)
    elif count == 2:
        if loop.logarithm:
            plus_terms(grad, apart, y, y_apart, 2, w, True, False, sums, lost)
        else:
            plus_terms(grad, apart, y, y_apart, 2, w, False, False, sums, lost)
    elif loop.logarithm:
        plus_terms(grad, apart, y, y_apart, FOUR, w, True, False, sums, lost)
    else:
        plus_terms(grad, apart, y, y_apart, FOUR, w, False, False, sums, lost)

cdef void add_block_across(const Layout *at, npy_intp row, npy_intp w, npy_intp i, npy_intp n, const RowLoop *loop,
                           floating *block, double *sums, double *lost) noexcept nogil:
    """Up to a block of w rows to their sums, as add_block_terms() does."""
    cdef npy_intp j, count, left = n & (LANES - 1), end = i + n - left
    cdef bint first = n >= LANES
    if not first:
        for j in range(LANES * WIDE):
            sums[j] = lost[j] = 0
    while end - i >= 2 * LANES:
        count = 2 if first or end - i < FOUR * LANES else FOUR
        for j in range(LANES):
            add_lane_across(at, row, w, i + j, LANES, count, first, loop, block, sums + j * WIDE, lost + j * WIDE)
        i += count * LANES
        first = False
    for j in range(LANES if i < end else 0):
        count = 1 if j < LANES - left else 2
        add_lane_across(at, row, w, i + j, left, count, first, loop, block, sums + j * WIDE, lost + j * WIDE)
    for j in range(LANES if i < end else LANES - left, LANES):
        add_lane_across(at, row, w, i + left - LANES + j, LANES, 1, False, loop, block, sums + j * WIDE,
                        lost + j * WIDE)
    fold_across(sums, lost, LANES, block)

cdef void gradient_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                         floating *_) noexcept nogil:
    """Vector lanes across rows: many that are short, or that lie side by side."""
    cdef double[LANES * WIDE] sums
    cdef floating[LANES * WIDE] block
    cdef double[LANES * WIDE] more_block
    cdef floating[WIDE] e
    cdef floating[WIDE] rounded
    cdef double[WIDE] high
    cdef double[WIDE] low
    cdef Sum sum
    cdef const floating *grads[LANES]
    cdef const floating *ys[LANES]
    cdef const floating *grad
    cdef const floating *y
    cdef floating *result
    cdef char *p
    cdef bint few = at.n <= LANES
    # Where few elements are gathered, they stay, and there are half as many sums.
    cdef double *lost = &sums[8 * WIDE] if few else &more_block[0]
    cdef npy_intp row, w, i, k, apart
    cdef floating lowest, bias
    exp_frame(hidden(<floating>0), &lowest, &bias)
    for k in range(LANES * WIDE):
        sums[k] = more_block[k] = 0
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        if few:
            for i in range(at.n):
                grads[i] = gradient_lanes_at(at.grad, at.grad_step, row, i, LANES, 1, w, &block[i * WIDE], loop.load,
                                             &apart)
                ys[i] = gradient_lanes_at(at.x, at.x_step, row, i, LANES, 1, w, <floating *>more_block + i * WIDE,
                                          loop.load, &apart)
            add_few_across(grads, ys, at.n, w, loop.logarithm, sums, lost, e)
        for i from 0 <= i < at.n by SEGMENT:
            if not few:
                add_block_across(at, row, w, i, min(<npy_intp>SEGMENT, at.n - i), loop, block, sums, lost)
            if i:
                for k in range(WIDE):
                    sum.high, sum.low = high[k], low[k]
                    add_to(&sum, sums[k], lost[k] if floating is double else 0)
                    high[k], low[k] = sum.high, sum.low
            else:
                for k in range(WIDE):
                    high[k], low[k] = sums[k], lost[k] if floating is double else 0
        for k in range(WIDE):
            rounded[k] = <floating>sum_of(high[k], low[k])
        for i in range(at.n):
            if few:
                grad, y = grads[i], ys[i]
            else:
                grad = gradient_lanes_at(at.grad, at.grad_step, row, i, LANES, 1, w, block, loop.load, &apart)
                y = gradient_lanes_at(at.x, at.x_step, row, i, LANES, 1, w, block + WIDE, loop.load, &apart)
            result = e
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
            if loop.negates:
                load_negative(<const char *>result, sizeof(floating), result, w)
            if result == e:
                scatter(e, p, at.y_step[0], w, loop.store)


# ---------------------------------------------------------------------------------------------- cross_entropy
# (softmax(x) - one_hot(target)) grad: softmax times grad, by whichever way it takes, of as many rows as stay in the
# nearest cache. At the target it is minus the sum of all others, if p - 1 would lose digits.

cdef inline const floating *softmax_of(const Layout *at, npy_intp row, npy_intp i, npy_intp n,
                                       floating *block) noexcept nogil:
    """Elements [i, i + n) of a row of the output: where they lie if that is possible, else in `block`."""
    cdef const char *p = at.y + row * at.y_step[0] + i * at.y_step[1]
    if at.y_step[1] == sizeof(floating):
        return <const floating *>p
    gather(p, at.y_step[1], block, n, NULL)
    return block

cdef double sum_without(const Layout *at, npy_intp row, floating top) noexcept nogil:
    """The sum of a row of the output, but for the one that is more than half of it. Not inline, see maximum()."""
    cdef floating[SEGMENT] block
    cdef floating[LANES] tail
    cdef double[LANES] lanes
    cdef const floating *p
    cdef npy_intp i, j, k, n, whole
    cdef Sum sum
    sum.high = sum.low = 0
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        whole = n & ~<npy_intp>(LANES - 1)
        p = softmax_of(at, row, i, n, block)
        pad(tail, 0, LANES)
        for j in range(n - whole):
            tail[j] = p[whole + j]
        if floating is float:               # a double has digits enough
            for j in range(LANES):
                lanes[j] = without(tail[j], top)
            for k from 0 <= k < whole by LANES:
                for j in range(LANES):
                    lanes[j] += without(p[k + j], top)
            add_to(&sum, fold(lanes), 0)
        else:
            add_rest(p, whole, tail, top, &sum)
    return sum.high + sum.low

cdef void multiply_row(const Layout *at, npy_intp row, floating by) noexcept nogil:
    """A row of the output that does not lie in one piece, or has a mask."""
    cdef floating[SEGMENT] block
    cdef char *p
    cdef npy_intp i, j, n
    for i from 0 <= i < at.n by SEGMENT:
        n = min(<npy_intp>SEGMENT, at.n - i)
        p = at.y + row * at.y_step[0] + i * at.y_step[1]
        gather(p, at.y_step[1], block, n, NULL)
        for j in range(n):
            block[j] *= by
        mask_out(at, row, i, n, block, <floating>0)
        scatter(block, p, at.y_step[1], n, NULL)

cdef void few_without(const Layout *at, npy_intp row, npy_intp rows, const npy_intp *classes,
                      floating *sum) noexcept nogil:
    """Of up to WIDE rows of the output, of up to LANES elements each, the sum of all but the target. Not inline, see
    maximum()."""
    cdef floating[LANES * WIDE] block
    cdef double[WIDE] total
    cdef npy_intp i, k
    for i in range(at.n):
        if rows == WIDE and at.y_step[0] == sizeof(floating):
            memcpy(&block[i * WIDE], at.y + row * sizeof(floating) + i * at.y_step[1], WIDE * sizeof(floating))
        else:
            gather(at.y + row * at.y_step[0] + i * at.y_step[1], at.y_step[0], &block[i * WIDE], rows, NULL)
    for k in range(rows):
        block[classes[k] * WIDE + k] = 0
    few_lanes_total(block, at.n, total)
    for k in range(rows):
        sum[k] = <floating>total[k]

cdef void finish_losses(const Layout *at, npy_intp row, npy_intp rows, floating *_) noexcept nogil:
    """Up to WIDE rows of gradients from their softmax, in the output, times grad where that is_taken_in()."""
    cdef floating[WIDE] p
    cdef floating[WIDE] grad
    cdef floating[WIDE] of_target
    cdef floating[WIDE] others
    cdef npy_intp[WIDE] classes
    cdef floating[WIDE] one
    cdef char *y = at.y + row * at.y_step[0]
    cdef npy_intp r, j, n = at.n, y_step = at.y_step[0], one_step = at.y_step[1], sure = 0, left = 0
    cdef npy_intp least = chosen(at, row, rows, at.y, at.y_step, p, classes, NULL)
    gather(at.grad + row * at.grad_step[0], at.grad_step[0], grad, rows, NULL)
    for r in range(rows):
        one[r] = select(is_taken_in(grad[r]), grad[r], <floating>1)
        of_target[r] = p[r] - one[r]
        sure += magnitude(p[r]) > <floating>0.5 * magnitude(one[r])
        left += not is_taken_in(grad[r])
    if sure and n <= LANES:
        few_without(at, row, rows, classes, others)
        for r in range(rows):
            of_target[r] = select(magnitude(p[r]) > <floating>0.5 * magnitude(one[r]), -others[r], of_target[r])
    elif sure:
        for r in range(rows):
            if magnitude(p[r]) > <floating>0.5 * magnitude(one[r]):
                of_target[r] = <floating>-sum_without(at, row + r, p[r])
    if left:
        for r in range(rows):
            if not is_taken_in(grad[r]):
                of_target[r] *= grad[r]
                multiply_row(at, row + r, grad[r])
    for r in range(rows):
        if at.mask == NULL or is_kept(at, row + r, classes[r]):
            (<floating *>(y + r * y_step + classes[r] * one_step))[0] = of_target[r]
    if least < 0:
        for r in range(rows):
            for j in range(n if target_of(at, row + r) < 0 else 0):     # its grad may be infinite, or its row NaN
                (<floating *>(y + r * y_step + j * one_step))[0] = 0

cdef void loss_gradients(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                         floating *_) noexcept nogil:
    cdef RowLoop softmax = loop[0]
    cdef npy_intp row, rows, most = max(<npy_intp>(NEARBY // <int>sizeof(floating)) // at.n, <npy_intp>1)
    softmax.loss, softmax.scaled = False, True
    if most > WIDE or across_rows(at, end - begin, &softmax, _):
        most = WIDE
    for row from begin <= row < end by most:
        rows = min(most, end - row)
        run_rows(at, row, row + rows, &softmax, _)
        finish_losses(at, row, rows, _)
