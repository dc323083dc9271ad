"""Which of the ways to run a call takes, its threads, and its operands as NumPy hands them over.

A new way to run is chosen in run_rows(). 16-bit rows are made float32 here, before they are shared among the ways.
"""

cdef void write_empty(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """logsumexp of nothing; a row without classes cannot count."""
    cdef floating nothing = 0 if loop.loss else -INFINITY
    cdef npy_intp row
    for row in range(begin, end):
        scatter(&nothing, at.y + row * at.y_step[0], 0, 1, loop.store)

cdef inline bint turns(const Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether rows are turned into lanes: short ones that lie in one piece, input and output, and enough of them. Of
    longer ones, that costs more than to find what is left of each row's maximum and sum."""
    cdef npy_intp most = SHORT + (3 if sizeof(floating) == 8 else 0) + (7 if loop.reduces else 0)
    if at.heat != NULL:                             # these would be copied; what doubles need would be deep on a stack
        most = 2 * SHORT if sizeof(floating) == 4 else SHORT
    return (TURN and piece(_) <= at.n <= most and at.n * WIDE * sizeof(floating) <= TURNED * sizeof(Block)
            and rows >= (LANES if at.n <= SHORT else WIDE // 2)
            and (loop.load == NULL or loop.size == sizeof(floating)) and at.x_step[1] == sizeof(floating)
            and at.mask == NULL and (loop.reduces or at.y_step[1] == sizeof(floating)) and not loop.gradient)

cdef inline bint across_rows(const Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether vector lanes are rows: many that are short, or that lie side by side."""
    if at.mask != NULL or rows < LANES:
        return False
    return (at.n <= SHORT or turns(at, rows, loop, _) or at.x_step[0] == loop.size
            or (loop.gradient and at.grad_step[0] == loop.size))

cdef inline npy_intp fitting(const floating *_) noexcept nogil:
    """Numbers in a Block."""
    return sizeof(Block) // sizeof(floating)

cdef inline bint of_loss(const RowLoop *loop) noexcept nogil:
    """Whether it is a loss's gradient."""
    return loop.loss and not loop.reduces

cdef inline bint widens(const Layout *at, const RowLoop *loop, floating *_) noexcept nogil:
    """Whether rows become what is computed with before anything else: those in one piece each, and not too long."""
    cdef npy_intp most = fitting(_) if loop.gradient else WIDENED // <npy_intp>sizeof(floating)
    return (loop.load != NULL and at.n <= most and at.mask == NULL
            and at.x_step[1] == loop.size and (loop.reduces or loop.store == NULL or at.y_step[1] == loop.size)
            and (not loop.gradient or (HALVES == 1 and at.grad_step[1] == loop.size)))

cdef inline bint widens_lanes(const Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """Likewise, of rows side by side that are more than short_lanes() holds."""
    return (loop.load != NULL and ((SHORT < at.n and rows >= LANES) or of_loss(loop))
            and at.n <= WIDENED // (WIDE * <npy_intp>sizeof(floating))
            and at.mask == NULL and at.x_step[0] == loop.size and not loop.gradient)

cdef inline void widen_rows(const char *p, npy_intp step, npy_intp rows, npy_intp n, floating *block,
                            const RowLoop *loop) noexcept nogil:
    """Rows of n numbers to some Blocks; all at once where one follows the other."""
    cdef npy_intp row
    if step == n * loop.size:
        rows, n = 1, rows * n
    for row in range(rows):
        loop.load(p + row * step, loop.size, block + row * n, n)

cdef inline void narrow_rows(const float *block, char *p, npy_intp step, npy_intp rows, npy_intp n,
                             Store store) noexcept nogil:
    cdef npy_intp row
    if step == n * <npy_intp>sizeof(uint16_t):
        rows, n = 1, rows * n
    for row in range(rows):
        store(block + row * n, p + row * step, sizeof(uint16_t), n)

cdef inline void leave_out_loads(Layout *some, RowLoop *plain, const Layout *at, const RowLoop *loop,
                                 floating *_) noexcept nogil:
    """What widened rows have in common."""
    some[0], plain[0] = at[0], loop[0]
    some.far, some.soon[0], some.soon[1] = False, NULL, NULL
    plain.load, plain.store, plain.size = NULL, NULL, sizeof(floating)

cdef inline void begin_at(Layout *some, const Layout *at, const RowLoop *loop, npy_intp row) noexcept nogil:
    """What rows have beside them begins at this one."""
    if loop.loss:                                   # else there may be no pointer
        some.target = at.target + row * at.target_step
    if loop.scaled or of_loss(loop):
        some.grad = at.grad + row * at.grad_step[0]
    if at.heat != NULL:
        some.heat = at.heat + row * at.heat_step

cdef bint widened_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """Rows of 16-bit numbers, or of softmin, as some that are computed with after the other: each number is converted
    once. As many as turns() is glad of. Of long ones, each in memory of its own, or, of softmin, in the output; False
    if there is no memory."""
    cdef Block[TURNED] blocks
    cdef floating *x = <floating *>&blocks[0]
    cdef floating *grad = <floating *>&blocks[1]        # of gradients, for which a Block each is enough
    # Results take the place of what they come from, one result a row that of a row before: a stack may be of 64 kB.
    cdef floating *y = <floating *>&blocks[2 if loop.gradient else 0]
    cdef void *memory = NULL
    cdef Layout some
    cdef RowLoop plain
    cdef npy_intp row, rows, n = at.n, most = fitting(x) // n
    cdef bint straight = loop.store == NULL             # to the output
    cdef bint long = n > fitting(x), there = straight and not loop.reduces and at.y_step[1] == sizeof(floating)
    if long:
        most = 1
        if not there:
            memory = malloc(n * sizeof(floating))
            if memory == NULL:
                return False
            x = y = <floating *>memory
    elif most < WIDE and not loop.gradient:
        most = min(TURNED * fitting(x) // n, <npy_intp>WIDE)
    if most > WIDE:
        most = most // WIDE * WIDE
    leave_out_loads(&some, &plain, at, loop, x)
    some.x_step[0], some.x_step[1] = n * sizeof(floating), sizeof(floating)
    if loop.gradient:
        some.grad, some.grad_step = <const char *>grad, some.x_step
    if not straight:
        some.y_step[0], some.y_step[1] = sizeof(floating) if loop.reduces else some.x_step[0], sizeof(floating)
    for row from begin <= row < end by most:
        rows = some.rows = min(most, end - row)
        some.y = at.y + row * at.y_step[0] if straight else <char *>y
        if long and there:
            x = <floating *>some.y
        some.x = <const char *>x
        widen_rows(at.x + row * at.x_step[0], at.x_step[0], rows, n, x, loop)
        if loop.gradient:
            widen_rows(at.grad + row * at.grad_step[0], at.grad_step[0], rows, n, grad, loop)
        begin_at(&some, at, loop, row)
        run_rows(&some, 0, rows, &plain, _)
        if straight:
            continue
        if loop.reduces:
            loop.store(y, at.y + row * at.y_step[0], at.y_step[0], rows)
        else:
            narrow_rows(<const float *>y, at.y + row * at.y_step[0], at.y_step[0], rows, n, loop.store)
    free(memory)
    return True

cdef bint widened_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop,
                        floating *_) noexcept nogil:
    """Likewise, WIDE rows side by side at a time."""
    cdef floating[WIDE] sums
    cdef bint straight = loop.store == NULL and not loop.reduces and at.y_step[0] == sizeof(floating)
    cdef npy_intp row, i, w, step = at.y_step[1] if straight else WIDE * <npy_intp>sizeof(floating)
    cdef void *memory = NULL
    cdef const char *p
    cdef char *z
    cdef char *y
    cdef Layout some
    cdef RowLoop plain
    if not straight:
        memory = malloc(at.n * step)
        if memory == NULL:
            return False
    leave_out_loads(&some, &plain, at, loop, _)
    some.x_step[0], some.x_step[1] = sizeof(floating), step
    some.y_step = some.x_step
    for row from begin <= row < end by WIDE:
        w = some.rows = min(<npy_intp>WIDE, end - row)
        p, y = at.x + row * at.x_step[0], at.y + row * at.y_step[0]
        z = y if straight else <char *>memory
        for i in range(at.n):
            if at.far and i + STEPS < at.n:
                fetch(p + (i + STEPS) * at.x_step[1], w * loop.size)
            loop.load(p + i * at.x_step[1], loop.size, z + i * step, w)
        begin_at(&some, at, loop, row)
        some.x, some.y = z, <char *>sums if loop.reduces else z
        run_rows(&some, 0, w, &plain, _)
        if loop.reduces:
            scatter(sums, y, at.y_step[0], w, loop.store)
        for i in range(0 if straight or loop.reduces else at.n):
            scatter(<floating *>(z + i * step), y + i * at.y_step[1], at.y_step[0], w, loop.store)
    free(memory)
    return True

cdef void turned_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """Rows as lanes, WIDE at a time, of softmin with the other sign; results take the place of what they come from."""
    cdef Block[TURNED] blocks
    cdef floating *z = <floating *>&blocks[0]
    cdef Layout some = at[0]
    cdef RowLoop plain = loop[0]
    cdef npy_intp row, w, size = at.n * <npy_intp>sizeof(floating)
    some.x, some.far, plain.load = <const char *>z, False, NULL
    some.x_step[0], some.x_step[1] = sizeof(floating), WIDE * sizeof(floating)
    if not loop.reduces:
        some.y, some.y_step = <char *>z, some.x_step
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        if w < LANES:
            run_rows(at, row, end, loop, _)
            continue
        turn(at.x + row * at.x_step[0], at.x_step[0], at.n, w, z)
        if loop.load != NULL:
            loop.load(<const char *>z, sizeof(floating), z, at.n * WIDE)
        if at.far:
            some.soon[0] = at.x + (row + w) * size if at.x_step[0] == size and row + 2 * WIDE <= end else NULL
            some.soon[1] = at.y + row * size if not loop.reduces and at.y_step[0] == size and w == WIDE else NULL
        begin_at(&some, at, loop, row)
        if loop.reduces:
            some.y = at.y + row * at.y_step[0]
        run_rows(&some, 0, w, &plain, _)
        if not loop.reduces:
            turn_back(z, at.n, w, at.y + row * at.y_step[0], at.y_step[0])

cdef inline npy_intp short_most(const Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """Of how many elements short_rows() still are faster."""
    if from_table(_) and not loop.reduces and in_turn(at, rows, loop, _):
        return SEGMENT // 2
    return SEGMENT if loop.logarithm or not in_output(at, loop, _) else FEW // <int>sizeof(floating)

cdef void run_rows(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    if at.n == 0:
        if loop.reduces:
            write_empty(at, begin, end, loop, _)
    elif turns(at, end - begin, loop, _):
        turned_rows(at, begin, end, loop, _)
    elif of_loss(loop) and loop.load == NULL:
        loss_gradients(at, begin, end, loop, _)
    elif widens(at, loop, _) and widened_rows(at, begin, end, loop, _):
        pass
    elif widens_lanes(at, end - begin, loop, _) and widened_lanes(at, begin, end, loop, _):
        pass
    elif of_loss(loop):
        at.failed[0] = True
    elif loop.gradient:
        run_gradients(at, begin, end, loop, _)
    elif across_rows(at, end - begin, loop, _):
        if at.n <= SHORT:
            short_lanes(at, begin, end, loop, _)
        else:
            long_lanes(at, begin, end, loop, _)
    elif at.n <= short_most(at, end - begin, loop, _):
        short_rows(at, begin, end, loop, _)
    elif in_turn(at, end - begin, loop, _):
        rows_in_turn(at, begin, end, loop, _)
    else:
        long_rows(at, begin, end, loop, _)

cdef bint all_below(const npy_intp *numbers, npy_intp n, npy_intp bound) noexcept nogil:
    """Whether classes exist: all are in [0, bound)."""
    cdef npy_intp i
    cdef bint wrong = False
    for i in range(n):
        wrong |= <size_t>numbers[i] >= <size_t>bound
    return not wrong

cdef void run_row_shares(const Layout *at, npy_intp chunk, const RowLoop *loop, Share *shares, int count, int thread,
                         floating *_) noexcept nogil:
    """What one thread of a team does."""
    cdef Share piece
    cdef Fenv before = default_fenv()
    while take(shares, count, thread, chunk, &piece):
        run_rows(at, piece.next, piece.end, loop, _)
    restore_fenv(before)

cdef void share_rows(Layout *at, npy_intp rows, const RowLoop *loop, floating *_) noexcept nogil:
    """All rows, on several threads when they pay."""
    cdef npy_intp chunk, unit
    cdef Share[MAX_SHARES] shares
    cdef void *team = NULL
    cdef int count, threads = 0
    cdef Fenv before = default_fenv()
    at.rows, at.soon[0], at.soon[1] = rows, NULL, NULL
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
        run_rows(at, 0, rows, loop, _)
    release_threads(threads)
    restore_fenv(before)
    clear_fp_flags()

cdef void drive_rows(floating **args, const npy_intp *dims, const npy_intp *steps, void *data) noexcept nogil:
    """A generalised ufunc's inner loop. The steps are those over rows of all operands, then those along a row of all
    that have an axis."""
    cdef const RowLoop *loop = <const RowLoop *>data
    cdef int x = 1 if loop.gradient or of_loss(loop) else 0, beside = x + 1
    cdef int mask = beside + (1 if loop.loss or loop.tempered else 0), y = mask + (1 if loop.masked else 0)
    cdef const npy_intp *along = steps + y + 1
    cdef void *gil
    cdef Layout at
    at.n = dims[1]
    at.grad, at.x, at.y = <const char *>args[0], <const char *>args[x], <char *>args[y]
    at.target, at.heat, at.mask, at.failed = NULL, NULL, NULL, NULL
    at.grad_step[0], at.grad_step[1] = steps[0], 0
    if loop.loss:
        at.target, at.target_step = <const char *>args[beside], steps[beside]
    if loop.tempered:
        at.heat, at.heat_step = <const char *>args[beside], steps[beside]
    if loop.gradient:
        at.grad_step[1] = along[0]
        along += 1
    at.x_step[0], at.x_step[1] = steps[x], along[0]
    if loop.masked:
        along += 1
        at.mask = <const char *>args[mask]
        at.mask_step[0], at.mask_step[1] = steps[mask], along[0]
    at.y_step[0], at.y_step[1] = steps[y], 0 if loop.reduces else along[1]
    # NumPy keeps the GIL where there are few results, however long their rows are.
    gil = release_gil(dims[0] * dims[1] * loop.cost) if loop.reduces else NULL
    share_rows(&at, dims[0], loop, args[0])
    take_gil(gil)
