"""The gradients of softmax, from its output y: y (grad - sum(grad y)), and with the other sign, of softmin; of
log_softmax, from its output y: grad - exp(y) sum(grad). Along rows and across them, in one order of terms. And those of
cross_entropy and logsumexp, from their input.
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
    row_exps(e, lowest, bias, e, whole_lanes(n))

# Numbers of 16 bits are widened, computed and narrowed in registers, LANES at a time.

ctypedef fused stored:      # as numbers lie in memory
    float
    double
    half
    bfloat16

cdef inline const floating *widened(const stored *x, floating *block, const RowLoop *loop) noexcept nogil:
    """LANES numbers as they are computed: where they lie, or in `block`."""
    cdef npy_intp j
    if stored is half:
        if HALVES == 1:                     # a long way, not to be inline
            loop.load(<const char *>x, sizeof(half), block, LANES)
            return block
        for j from 0 <= j < LANES by HALVES:
            widen_halves(x + j, <float *>block + j)
        return block
    elif stored is bfloat16:
        for j from 0 <= j < LANES by HALVES:
            if HALVES == 1:
                block[j] = bfloat16_to_float(x[j].bits)
            else:
                widen_bfloat16s(x + j, <float *>block + j)
        return block
    else:
        return <const floating *>x

cdef inline void narrowed(floating *x, bint numbers, stored *y, const RowLoop *loop) noexcept nogil:
    """The same back; x is not kept. `numbers`: no NaN is among them."""
    cdef npy_intp j
    if stored is half:
        if HALVES == 1:
            loop.store(x, <char *>y, sizeof(half), LANES)
            return
        for j from 0 <= j < LANES by HALVES:
            narrow_halves(<float *>x + j, y + j)
    elif stored is bfloat16:
        for j in range(LANES):
            x[j] = bits_float(rounded_bits(<float>x[j], False)) if numbers else rounded_to_bfloat16(<float>x[j])
        for j from 0 <= j < LANES by HALVES:
            if HALVES == 1:
                y[j].bits = <uint16_t>(float_bits(<float>x[j]) >> 16)
            else:
                cut_to_bfloat16s(<float *>x + j, y + j)

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

cdef inline void plus_widened(const stored *grad, npy_intp grad_step, const stored *y, npy_intp y_step, int count,
                              npy_intp n, bint logarithm, bint first, double *sums, double *lost,
                              const RowLoop *loop, floating *_) noexcept nogil:
    """plus_terms(), of n lanes, a multiple of LANES if they are widened."""
    cdef floating[FOUR * LANES] grads
    cdef floating[FOUR * LANES] ys
    cdef npy_intp k
    cdef int q
    if stored is half or stored is bfloat16:
        for k from 0 <= k < n by LANES:
            for q in range(count):
                widened(grad + q * grad_step + k, grads + q * LANES, loop)
                if not logarithm:
                    widened(y + q * y_step + k, ys + q * LANES, loop)
            if logarithm:
                plus_terms(grads, LANES, ys, LANES, count, LANES, True, first, sums + k, lost + k)
            else:
                plus_terms(grads, LANES, ys, LANES, count, LANES, False, first, sums + k, lost + k)
    elif logarithm:
        plus_terms(<const floating *>grad, grad_step, <const floating *>y, y_step, count, n, True, first, sums, lost)
    else:
        plus_terms(<const floating *>grad, grad_step, <const floating *>y, y_step, count, n, False, first, sums, lost)

cdef inline void add_block_terms(const stored *grad, const stored *y, npy_intp n, const floating *mask,
                                 bint logarithm, Sum *sum, const RowLoop *loop) noexcept nogil:
    """Up to a block of a row to its sum. Its last LANES elements, some of which may lie before it, are one vector: what
    is copied into one would have to wait until it is in memory."""
    cdef double[LANES] sums
    cdef double[LANES] lost
    cdef floating[4 * LANES] blocks
    cdef const floating *some_grad
    cdef const floating *some_y
    cdef const floating *last_grad
    cdef const floating *last_y
    cdef npy_intp k, whole = n & ~<npy_intp>(LANES - 1)
    cdef floating one
    for k in range(LANES):
        sums[k] = lost[k] = 0
    last_grad, last_y = widened(grad + n - LANES, &blocks[0], loop), widened(y + n - LANES, &blocks[LANES], loop)
    if whole >= 2 * LANES:
        plus_widened(grad, LANES, y, LANES, 2, LANES, logarithm, True, sums, lost, loop, blocks)
        grad += 2 * LANES
        y += 2 * LANES
        whole -= 2 * LANES
    while whole >= FOUR * LANES:
        plus_widened(grad, LANES, y, LANES, FOUR, LANES, logarithm, False, sums, lost, loop, blocks)
        grad += FOUR * LANES
        y += FOUR * LANES
        whole -= FOUR * LANES
    if whole >= 2 * LANES:
        plus_widened(grad, LANES, y, LANES, 2, LANES, logarithm, False, sums, lost, loop, blocks)
        grad += 2 * LANES
        y += 2 * LANES
    if n & LANES:
        some_grad, some_y = widened(grad, &blocks[2 * LANES], loop), widened(y, &blocks[3 * LANES], loop)
        for k in range(LANES):
            one = term(some_grad[k], some_y[k], <floating>0, logarithm)
            one = where(mask[k], term(last_grad[k], last_y[k], one, logarithm), one)
            plus_term(one, &sums[k], &lost[k])
    elif n & (LANES - 1):
        for k in range(LANES):
            one = term(last_grad[k], last_y[k], <floating>0, logarithm)
            plus_term(where(mask[k], one, <floating>0), &sums[k], &lost[k])
    fold_halves(sums, lost, 8, 16, &blocks[0])
    fold_halves(sums, lost, 4, 8, &blocks[0])
    fold_halves(sums, lost, 2, 4, &blocks[0])
    fold_halves(sums, lost, 1, 2, &blocks[0])
    sum.high = sums[0]
    sum.low = lost[0] if floating is double else 0

cdef void add_products(const stored *grad, const stored *y, npy_intp n, const floating *mask, Sum *sum,
                       const RowLoop *loop) noexcept nogil:
    add_block_terms(grad, y, n, mask, False, sum, loop)

cdef void add_gradients(const stored *grad, const stored *y, npy_intp n, const floating *mask,
                        Sum *sum, const RowLoop *loop) noexcept nogil:
    add_block_terms(grad, y, n, mask, True, sum, loop)

cdef inline double sum_of(double high, double low) noexcept nogil:
    """What infinity has lost says nothing."""
    cdef double sum = high + low
    return select(sum - sum == 0, sum, high)

cdef inline void exponentials_of(const stored *y, floating lowest, floating bias, floating *e, npy_intp n,
                                 const RowLoop *loop) noexcept nogil:
    if stored is half or stored is bfloat16:
        loop.load(<const char *>y, sizeof(stored), e, n)
        exponentials(e, lowest, bias, e, n)
    else:
        exponentials(<const floating *>y, lowest, bias, e, n)

cdef inline void some_results(const floating *grad, const floating *y, const floating *e, npy_intp n,
                              const floating *sum, bint of_rows, bint negates, floating *result) noexcept nogil:
    """y (grad - sum), or of log_softmax, from e, grad - e sum; sum[0], or each row's."""
    cdef npy_intp j
    for j in range(n):
        if e != NULL:
            result[j] = log_softmax_gradient(grad[j], e[j], sum[j if of_rows else 0])
        else:
            result[j] = softmax_gradient(grad[j], y[j], sum[j if of_rows else 0])
    if negates:
        load_negative(<const char *>result, sizeof(floating), result, n)

cdef inline void widened_results(const stored *grad, const stored *y, const floating *e, npy_intp n,
                                 const floating *sum, bint of_rows, bint negates, bint numbers, stored *result,
                                 const RowLoop *loop) noexcept nogil:
    """LANES at a time."""
    cdef floating[LANES] grads
    cdef floating[LANES] ys
    cdef floating[LANES] wide
    cdef npy_intp j
    for j from 0 <= j < n by LANES:
        widened(grad + j, grads, loop)
        if e == NULL:
            widened(y + j, ys, loop)
        some_results(grads, ys, e + j if e != NULL else NULL, LANES, sum + (j if of_rows else 0), of_rows, negates,
                     wide)
        narrowed(wide, numbers, result + j, loop)

cdef void few_results(const stored *grad, const stored *y, const floating *e, npy_intp n, const floating *sum,
                      bint of_rows, const RowLoop *loop, stored *result) noexcept nogil:
    """Fewer."""
    cdef floating[LANES] grads
    cdef floating[LANES] ys
    loop.load(<const char *>grad, sizeof(stored), grads, n)
    loop.load(<const char *>y, sizeof(stored), ys, n)
    some_results(grads, ys, e, n, sum, of_rows, loop.negates, grads)
    loop.store(grads, <char *>result, sizeof(stored), n)

cdef inline bint are_numbers(const floating *x, npy_intp n) noexcept nogil:
    cdef bint wrong = False
    cdef npy_intp j
    for j in range(n):
        wrong |= x[j] != x[j]
    return not wrong

cdef inline void gradient_results(const stored *grad, const stored *y, const floating *e, npy_intp n,
                                  const floating *sum, bint of_rows, bint finite, const RowLoop *loop,
                                  stored *result) noexcept nogil:
    """n results. If they are narrowed, the last LANES, some of which may be there already, come first: results may lie
    where an operand lies. `finite`: all sums are, so that no NaN is among what they are of."""
    cdef stored[LANES] last
    cdef bint negates = loop.negates
    cdef npy_intp end = n - LANES
    if stored is half or stored is bfloat16:
        if n < LANES:
            few_results(grad, y, e, n, sum, of_rows, loop, result)
            return
        widened_results(grad + end, y + end, e + end if e != NULL else NULL, LANES, sum + (end if of_rows else 0),
                        of_rows, negates, False, last, loop)
        if e != NULL and (stored is half or (finite and are_numbers(e, n))):
            widened_results(grad, y, e, end, sum, of_rows, negates, True, result, loop)
        elif e != NULL:
            widened_results(grad, y, e, end, sum, of_rows, negates, False, result, loop)
        elif stored is half or finite:
            widened_results(grad, y, NULL, end, sum, of_rows, negates, True, result, loop)
        else:
            widened_results(grad, y, NULL, end, sum, of_rows, negates, False, result, loop)
        memcpy(result + end, last, sizeof(last))
    elif e != NULL:
        some_results(<const floating *>grad, <const floating *>y, e, n, sum, of_rows, negates, <floating *>result)
    else:
        some_results(<const floating *>grad, <const floating *>y, NULL, n, sum, of_rows, negates, <floating *>result)

cdef void results_along(const stored *grad, const stored *y, const floating *e, npy_intp n, const floating *sum,
                        const RowLoop *loop, stored *result) noexcept nogil:
    gradient_results(grad, y, e, n, sum, False, sum[0] - sum[0] == 0, loop, result)

cdef void results_across(const stored *grad, const stored *y, const floating *e, npy_intp n, const floating *sums,
                         bint finite, const RowLoop *loop, stored *result) noexcept nogil:
    gradient_results(grad, y, e, n, sums, True, finite, loop, result)

cdef inline const stored *read_gradient(const Layout *at, const char *p, const npy_intp *step, npy_intp row, npy_intp i,
                                        npy_intp n, stored *block) noexcept nogil:
    """As read_operand(); LANES elements that end with the n-th can be read, as `block` begins with so many others. Of a
    shorter row, LANES that end with zeros, which are there."""
    if at.n >= LANES:
        if at.mask == NULL and step[1] == sizeof(stored):
            return <const stored *>(p + row * step[0] + i * step[1])
        block += LANES
    if stored is half or stored is bfloat16:
        gather_masked(at, p, step, row, i, n, <uint16_t *>block, <uint16_t>0, NULL)
    else:
        gather_masked(at, p, step, row, i, n, block, <stored>0, NULL)
    return block

cdef inline void write_gradient(const Layout *at, npy_intp row, npy_intp i, npy_intp n, stored *block) noexcept nogil:
    cdef char *p = at.y + row * at.y_step[0] + i * at.y_step[1]
    if stored is half or stored is bfloat16:
        mask_out(at, row, i, n, <uint16_t *>block, <uint16_t>0)
        scatter(<uint16_t *>block, p, at.y_step[1], n, NULL)
    else:
        mask_out(at, row, i, n, block, <stored>0)
        scatter(block, p, at.y_step[1], n, NULL)

ctypedef void (*AddTerms)(const stored *, const stored *, npy_intp, const floating *, Sum *,
                          const RowLoop *) noexcept nogil

cdef void short_gradients(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, const floating *mask,
                          const stored *_) noexcept nogil:
    """As many rows as fit a block: their sums, whose additions then need not wait for each other, their exponentials,
    their results."""
    cdef floating[SEGMENT + LANES] e
    cdef floating[WIDE] sums
    cdef const char *grads
    cdef const char *ys
    cdef const stored *grad
    cdef const stored *y
    cdef floating lowest, bias
    cdef Sum sum
    cdef npy_intp row, rows, r, n = at.n, together = SEGMENT // n, grad_step = at.grad_step[0], y_step = at.x_step[0]
    # By its address, so that gcc cannot make it inline; see maximum().
    cdef AddTerms add = add_gradients if loop.logarithm else add_products
    exp_frame(hidden(<floating>0), &lowest, &bias)
    for row from begin <= row < end by together:
        rows = min(together, end - row)
        grads, ys = at.grad + row * grad_step, at.x + row * y_step
        for r in range(rows):
            add(<const stored *>(grads + r * grad_step), <const stored *>(ys + r * y_step), n, mask, &sum,
                loop)
            sums[r] = <floating>sum_of(sum.high, sum.low)
        if loop.logarithm:
            if y_step == n * <npy_intp>sizeof(stored):
                exponentials_of(<const stored *>ys, lowest, bias, e, rows * n, loop)
            else:
                for r in range(rows):
                    exponentials_of(<const stored *>(ys + r * y_step), lowest, bias, e + r * n, n, loop)
        for r in range(rows):
            grad, y = <const stored *>(grads + r * grad_step), <const stored *>(ys + r * y_step)
            results_along(grad, y, e + r * n if loop.logarithm else NULL, n, &sums[r], loop,
                          <stored *>(at.y + (row + r) * at.y_step[0]))

cdef void gradient_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, const stored *_,
                        floating *__) noexcept nogil:
    """Vector lanes along a row."""
    cdef stored[LANES + SEGMENT] grad_block
    cdef stored[LANES + SEGMENT] y_block
    cdef stored[SEGMENT] block
    cdef floating[SEGMENT] e
    cdef floating[LANES] mask
    cdef const stored *grad = NULL
    cdef const stored *y = NULL
    cdef stored *result
    cdef floating rounded, lowest, bias
    cdef Sum sum, more
    cdef npy_intp row, i, n, least = LANES if at.n < LANES else 0
    cdef AddTerms add = add_gradients if loop.logarithm else add_products
    cdef bint there = at.mask == NULL and at.y_step[1] == sizeof(stored)
    exp_frame(hidden(<floating>0), &lowest, &bias)
    memset(grad_block, 0, LANES * sizeof(stored))
    memset(y_block, 0, LANES * sizeof(stored))
    mask_of(max(at.n, least) & (LANES - 1), mask)
    if (there and LANES <= at.n <= SEGMENT and at.grad_step[1] == sizeof(stored) and at.x_step[1] == sizeof(stored)):
        short_gradients(at, begin, end, loop, mask, _)
        return
    for row in range(begin, end):
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            grad = read_gradient(at, at.grad, at.grad_step, row, i, n, grad_block)
            y = read_gradient(at, at.x, at.x_step, row, i, n, y_block)
            add(grad, y, max(n, least), mask, &sum if i == 0 else &more, loop)
            if i:
                add_to(&sum, more.high, more.low)
        rounded = <floating>sum_of(sum.high, sum.low)
        for i from 0 <= i < at.n by SEGMENT:
            n = min(<npy_intp>SEGMENT, at.n - i)
            if at.n > SEGMENT:
                grad = read_gradient(at, at.grad, at.grad_step, row, i, n, grad_block)
                y = read_gradient(at, at.x, at.x_step, row, i, n, y_block)
            result = <stored *>(at.y + row * at.y_step[0] + i * at.y_step[1]) if there else block
            if loop.logarithm:
                exponentials_of(y, lowest, bias, e, n, loop)
            results_along(grad, y, e if loop.logarithm else NULL, n, &rounded, loop, result)
            if not there:
                write_gradient(at, row, i, n, block)

cdef inline npy_intp whole_rows(npy_intp w, const stored *_) noexcept nogil:
    """How many of w rows side by side are computed: 16-bit ones LANES at a time."""
    return whole_lanes(w) if sizeof(stored) == 2 else w

cdef inline const stored *gradient_lanes_at(const char *p, const npy_intp *step, npy_intp row, npy_intp i,
                                            npy_intp far, npy_intp count, npy_intp w, stored *block,
                                            npy_intp *apart) noexcept nogil:
    """Elements i, i + far, ... of w rows of one operand, where they lie, or else in `block`; how far apart."""
    cdef npy_intp q
    p += row * step[0] + i * step[1]
    far *= step[1]
    apart[0] = far // <npy_intp>sizeof(stored)
    if (step[0] == sizeof(stored) and apart[0] * <npy_intp>sizeof(stored) == far
            and whole_rows(w, block) == w):
        return <const stored *>p
    for q in range(count):
        if stored is half or stored is bfloat16:
            gather(p + q * far, step[0], <uint16_t *>block + q * WIDE, w, NULL)
        else:
            gather(p + q * far, step[0], block + q * WIDE, w, NULL)
    apart[0] = WIDE
    return block

cdef void fold_across(double *sums, double *lost, npy_intp n, floating *_) noexcept nogil:
    """n partial sums of WIDE rows, up to LANES, to one. How many is not for the compiler to know: it would take loops
    apart before it could vectorise them."""
    cdef npy_intp half_of_them = 8
    while half_of_them:
        if n > half_of_them:
            fold_halves(sums, lost, half_of_them * WIDE, n * WIDE, _)
            n = half_of_them
        half_of_them //= 2

cdef inline void add_two_terms(const floating *grad, const floating *y, const floating *more_grad,
                               const floating *more_y, npy_intp n, bint two, bint logarithm, double *sums,
                               double *lost) noexcept nogil:
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

cdef inline void add_two(const stored *grad, const stored *y, const stored *more_grad, const stored *more_y,
                         npy_intp n, bint two, bint logarithm, double *sums, double *lost, const RowLoop *loop,
                         floating *_) noexcept nogil:
    """Likewise, of n that are widened LANES at a time."""
    cdef floating[4 * LANES] blocks
    cdef const floating *few[4]
    cdef npy_intp k
    if stored is half or stored is bfloat16:
        for k from 0 <= k < n by LANES:
            few[0], few[1] = widened(grad + k, &blocks[0], loop), widened(y + k, &blocks[LANES], loop)
            few[2] = widened(more_grad + k, &blocks[2 * LANES], loop)
            few[3] = widened(more_y + k, &blocks[3 * LANES], loop)
            add_two_terms(few[0], few[1], few[2], few[3], LANES, two, logarithm, sums + k, lost + k)
    else:
        add_two_terms(<const floating *>grad, <const floating *>y, <const floating *>more_grad,
                      <const floating *>more_y, n, two, logarithm, sums, lost)

cdef void add_few_across(const stored **grads, const stored **ys, npy_intp n, npy_intp w, const RowLoop *loop,
                         double *sums, double *lost, floating *_) noexcept nogil:
    """Up to LANES elements of w rows to their sums."""
    cdef npy_intp j, k
    for j in range(min(<npy_intp>8, n)):
        k = j + 8
        if k < n:
            if loop.logarithm:
                add_two(grads[j], ys[j], grads[k], ys[k], w, True, True, sums + j * WIDE, lost + j * WIDE, loop, _)
            else:
                add_two(grads[j], ys[j], grads[k], ys[k], w, True, False, sums + j * WIDE, lost + j * WIDE, loop, _)
        elif loop.logarithm:
            add_two(grads[j], ys[j], grads[j], ys[j], w, False, True, sums + j * WIDE, lost + j * WIDE, loop, _)
        else:
            add_two(grads[j], ys[j], grads[j], ys[j], w, False, False, sums + j * WIDE, lost + j * WIDE, loop, _)
    fold_across(sums, lost, min(<npy_intp>8, n), _)

cdef void add_lane_across(const Layout *at, npy_intp row, npy_intp w, npy_intp i, npy_intp far, npy_intp count,
                          bint first, const RowLoop *loop, stored *block, double *sums, double *lost,
                          floating *_) noexcept nogil:
    """plus_widened() of w rows: their elements i, i + far, ..., one, two or four."""
    cdef npy_intp apart, y_apart, n = whole_rows(w, block)
    cdef const stored *grad = gradient_lanes_at(at.grad, at.grad_step, row, i, far, count, w, block, &apart)
    cdef const stored *y = gradient_lanes_at(at.x, at.x_step, row, i, far, count, w, block + FOUR * WIDE, &y_apart)
    if count == 1 and first:
        plus_widened(grad, apart, y, y_apart, 1, n, loop.logarithm, True, sums, lost, loop, _)
    elif count == 1:
        plus_widened(grad, apart, y, y_apart, 1, n, loop.logarithm, False, sums, lost, loop, _)
    elif first:
        plus_widened(grad, apart, y, y_apart, 2, n, loop.logarithm, True, sums, lost, loop, _)
    elif count == 2:
        plus_widened(grad, apart, y, y_apart, 2, n, loop.logarithm, False, sums, lost, loop, _)
    else:
        plus_widened(grad, apart, y, y_apart, FOUR, n, loop.logarithm, False, sums, lost, loop, _)

cdef void add_block_across(const Layout *at, npy_intp row, npy_intp w, npy_intp i, npy_intp n, const RowLoop *loop,
                           stored *block, double *sums, double *lost, floating *_) noexcept nogil:
    """Up to a block of w rows to their sums, as add_block_terms() does."""
    cdef npy_intp j, count, left = n & (LANES - 1), end = i + n - left
    cdef bint first = n >= LANES
    if not first:
        for j in range(LANES * WIDE):
            sums[j] = lost[j] = 0
    while end - i >= 2 * LANES:
        count = 2 if first or end - i < FOUR * LANES else FOUR
        for j in range(LANES):
            add_lane_across(at, row, w, i + j, LANES, count, first, loop, block, sums + j * WIDE, lost + j * WIDE, _)
        i += count * LANES
        first = False
    for j in range(LANES if i < end else 0):
        count = 1 if j < LANES - left else 2
        add_lane_across(at, row, w, i + j, left, count, first, loop, block, sums + j * WIDE, lost + j * WIDE, _)
    for j in range(LANES if i < end else LANES - left, LANES):
        add_lane_across(at, row, w, i + left - LANES + j, LANES, 1, False, loop, block, sums + j * WIDE,
                        lost + j * WIDE, _)
    fold_across(sums, lost, LANES, _)

cdef inline bint all_finite(const floating *sums) noexcept nogil:
    cdef bint finite = True
    cdef npy_intp k
    for k in range(WIDE):
        finite &= sums[k] - sums[k] == 0
    return finite

cdef void gradient_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, const stored *_,
                         floating *__) noexcept nogil:
    """Vector lanes across rows: many that are short, or that lie side by side."""
    cdef double[LANES * WIDE] sums
    cdef stored[LANES * WIDE] block
    cdef double[LANES * WIDE] more_block
    cdef floating[WIDE] e
    cdef stored[WIDE] results
    cdef floating[WIDE] rounded
    cdef double[WIDE] high
    cdef double[WIDE] low
    cdef Sum sum
    cdef const stored *grads[LANES]
    cdef const stored *ys[LANES]
    cdef const stored *grad
    cdef const stored *y
    cdef stored *result
    cdef char *p
    cdef bint few = at.n <= LANES
    # Where few elements are gathered, they stay, and there are half as many sums.
    cdef double *lost = &sums[8 * WIDE] if few else &more_block[0]
    cdef npy_intp row, w, i, k, apart
    cdef floating lowest, bias
    cdef bint finite
    exp_frame(hidden(<floating>0), &lowest, &bias)
    memset(block, 0, sizeof(block))
    for k in range(LANES * WIDE):
        sums[k] = more_block[k] = 0
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        if few:
            for i in range(at.n):
                grads[i] = gradient_lanes_at(at.grad, at.grad_step, row, i, LANES, 1, w, &block[i * WIDE], &apart)
                ys[i] = gradient_lanes_at(at.x, at.x_step, row, i, LANES, 1, w, <stored *>more_block + i * WIDE, &apart)
            add_few_across(grads, ys, at.n, whole_rows(w, block), loop, sums, lost, e)
        for i from 0 <= i < at.n by SEGMENT:
            if not few:
                add_block_across(at, row, w, i, min(<npy_intp>SEGMENT, at.n - i), loop, block, sums, lost, e)
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
        finite = all_finite(rounded)
        for i in range(at.n):
            if few:
                grad, y = grads[i], ys[i]
            else:
                grad = gradient_lanes_at(at.grad, at.grad_step, row, i, LANES, 1, w, block, &apart)
                y = gradient_lanes_at(at.x, at.x_step, row, i, LANES, 1, w, block + WIDE, &apart)
            p = at.y + row * at.y_step[0] + i * at.y_step[1]
            result = <stored *>p if at.y_step[0] == sizeof(stored) else results
            if loop.logarithm:
                exponentials_of(y, lowest, bias, e, w, loop)
            results_across(grad, y, e if loop.logarithm else NULL, w, rounded, finite, loop, result)
            if result == results:
                if stored is half or stored is bfloat16:
                    scatter(<uint16_t *>results, p, at.y_step[0], w, NULL)
                else:
                    scatter(results, p, at.y_step[0], w, NULL)

cdef inline void run_gradients_as(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, const stored *_,
                                  floating *__) noexcept nogil:
    if across_rows(at, end - begin, loop, __):
        gradient_lanes(at, begin, end, loop, _, __)
    else:
        gradient_rows(at, begin, end, loop, _, __)

cdef void run_gradients(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                        floating *_) noexcept nogil:
    if loop.load == NULL:
        run_gradients_as(at, begin, end, loop, <const floating *>NULL, _)
    elif ONE_OF_HALVES:                     # by itself, so that the compiler can leave out the other one
        run_gradients_as(at, begin, end, loop, <const half *>NULL, <float *>NULL)
    elif loop.load == load_half:
        run_gradients_as(at, begin, end, loop, <const half *>NULL, <float *>NULL)
    else:
        run_gradients_as(at, begin, end, loop, <const bfloat16 *>NULL, <float *>NULL)


# ---------------------------------------------------------------------------------------------- cross_entropy
# (softmax(x) - one_hot(target)) grad: softmax times grad, by whichever way it takes, of as many rows as stay in the
# nearest cache. At the target it is minus the sum of all others, if p - 1 would lose digits. Without targets it is
# logsumexp's gradient, where softmax is rounded first.

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

cdef void multiply_rows(const Layout *at, npy_intp row, npy_intp rows, floating *_) noexcept nogil:
    """Rows of the output, rounded, times grad."""
    cdef floating *y = <floating *>(at.y + row * at.y_step[0])
    cdef floating[WIDE] grad
    cdef npy_intp r, i
    gather(at.grad + row * at.grad_step[0], at.grad_step[0], grad, rows, NULL)
    if at.y_step[0] == sizeof(floating):
        for i in range(at.n):
            for r in range(rows):
                y[r] *= grad[r]
            y = <floating *>further(y, at.y_step[1])
        return
    for r in range(rows):
        for i in range(at.n):
            y[i] *= grad[r]
        y = <floating *>further(y, at.y_step[0])

cdef void loss_gradients(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                         floating *_) noexcept nogil:
    cdef RowLoop softmax = loop[0]
    cdef npy_intp row, rows, most = max(<npy_intp>(NEARBY // <int>sizeof(floating)) // at.n, <npy_intp>1)
    softmax.loss, softmax.scaled = False, at.target != NULL
    if most > WIDE or across_rows(at, end - begin, &softmax, _):
        most = WIDE
    for row from begin <= row < end by most:
        rows = min(most, end - row)
        run_rows(at, row, row + rows, &softmax, _)
        if at.target != NULL:
            finish_losses(at, row, rows, _)
        else:                               # of plain arrays alone: along rows, or rows side by side
            multiply_rows(at, row, rows, _)
