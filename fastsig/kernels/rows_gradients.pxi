"""The gradients of softmax, from its output y: y (grad - sum(grad y)), and with the other sign, of softmin; of
log_softmax, from its output y: grad - exp(y) sum(grad). Along rows and across them, in the order of terms of all rows.
And that of cross_entropy, from its input.
"""

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

cdef inline void fold_halves(double *sums, double *lost, npy_intp half, bint first) noexcept nogil:
    """add_halves(); what rounding takes goes to `lost` (Knuth's), which holds nothing at first."""
    cdef double more, added, taken
    cdef npy_intp j
    for j in range(half):
        more = sums[j] + sums[half + j]
        added = more - sums[j]
        taken = (sums[j] - (more - added)) + (sums[half + j] - added)
        lost[j] = taken if first else (lost[j] + lost[half + j]) + taken
        sums[j] = more

cdef inline double fold_all(floating *sums, bint few, double *lost) noexcept nogil:
    """fold(): float32 in double; float64, unless they are few, with what the first two steps lose."""
    cdef double[8] lanes
    cdef npy_intp j
    if floating is float:
        for j in range(8):
            lanes[j] = <double>sums[j] + <double>sums[8 + j]
        return fold_half(lanes)
    elif few:
        return fold(sums)
    else:
        fold_halves(sums, lanes, 8, True)
        fold_halves(sums, lanes, 4, False)
        add_halves(sums, 2)
        lost[0] += (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
        return sums[0] + sums[1]

cdef void add_gradient_total(const floating *grad, const floating *y, npy_intp n, bint few, bint logarithm,
                             Sum *sum) noexcept nogil:
    """What up to a block of a row adds to its sum. Not inline, see maximum()."""
    cdef floating[LANES] sums
    cdef floating[LANES] lost
    cdef double high, low
    pad(sums, 0, LANES)
    if few:
        if logarithm:
            add_block_terms(grad, y, n, True, True, sums, lost)
        else:
            add_block_terms(grad, y, n, False, True, sums, lost)
        sum.high = fold_all(sums, True, &low)
        return
    pad(lost, 0, LANES)
    if logarithm:
        add_block_terms(grad, y, n, True, False, sums, lost)
    else:
        add_block_terms(grad, y, n, False, False, sums, lost)
    low = fold(lost)
    high = fold_all(sums, False, &low)
    add_to(sum, high, low)

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
            if loop.negates:
                load_negative(<const char *>result, sizeof(floating), result, n)
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

cdef inline void add_sums_across(floating *sums, floating *lost, npy_intp n, bint few, double *wide, double *high,
                                 double *low) noexcept nogil:
    """fold_all() of WIDE rows, and add_to(). `wide` is for 8 of each."""
    cdef npy_intp k
    cdef Sum sum
    if not few:
        fold_some(lost, n)
    if floating is float:
        for k in range(min(<npy_intp>8, n) * WIDE):
            wide[k] = sums[k]
        for k in range((n - 8) * WIDE):
            wide[k] += sums[8 * WIDE + k]
        fold_some(wide, min(<npy_intp>8, n))
        for k in range(WIDE):
            wide[WIDE + k] = <floating>0 if few else lost[k]
    elif few:
        fold_some(sums, n)
        for k in range(WIDE):
            wide[k] = sums[k]
            wide[WIDE + k] = 0
    else:
        fold_halves(sums, wide, 8 * WIDE, True)
        fold_halves(sums, wide, 4 * WIDE, False)
        for k in range(WIDE):
            wide[k] = (wide[k] + wide[2 * WIDE + k]) + (wide[WIDE + k] + wide[3 * WIDE + k])
            wide[WIDE + k] = lost[k] + wide[k]
            wide[k] = (sums[k] + sums[2 * WIDE + k]) + (sums[WIDE + k] + sums[3 * WIDE + k])
    for k in range(WIDE):
        sum.high, sum.low = high[k], low[k]
        add_to(&sum, wide[k], wide[WIDE + k])
        high[k], low[k] = sum.high, sum.low

cdef void gradient_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                         floating *_) noexcept nogil:
    """Vector lanes across rows: many that are short, or that lie side by side."""
    cdef floating[LANES * WIDE] sums
    cdef floating[LANES * WIDE] grad_block
    cdef floating[LANES * WIDE] more_block
    cdef floating[WIDE] e
    cdef floating[WIDE] rounded
    cdef double[8 * WIDE] wide
    cdef double[WIDE] high
    cdef double[WIDE] low
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
                add_sums_across(sums, lost, lanes, not fours, wide, high, low)
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

cdef void loss_gradients(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, Known *known,
                         floating *_) noexcept nogil:
    cdef RowLoop softmax = loop[0]
    cdef npy_intp row, rows, most = max(<npy_intp>(NEARBY // <int>sizeof(floating)) // at.n, <npy_intp>1)
    softmax.loss, softmax.scaled = False, True
    if most > WIDE or across_rows(at, end - begin, &softmax, _):
        most = WIDE
    for row from begin <= row < end by most:
        rows = min(most, end - row)
        run_rows(at, row, row + rows, &softmax, known, _)
        finish_losses(at, row, rows, _)
