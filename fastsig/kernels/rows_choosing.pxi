"""Which of the ways to run a call takes, its threads, and its operands as NumPy hands them over.

A new way to run is chosen in run_rows(). 16-bit rows are made float32 here, before they are shared among the ways.
"""

cdef void write_empty(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    """logsumexp of nothing; a row without classes cannot count."""
    cdef floating nothing = 0 if loop.loss else -INFINITY
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
    some.target_step = at.target_step
    some.y_step[0], some.y_step[1] = sizeof(floating) if loop.reduces else some.x_step[0], sizeof(floating)
    for row from begin <= row < end by most:
        rows = min(most, end - row)
        widen_rows(at.x + row * at.x_step[0], at.x_step[0], rows, n, &x, loop.load)
        if loop.gradient:
            widen_rows(at.grad + row * at.grad_step[0], at.grad_step[0], rows, n, &grad, loop.load)
        some.rows, known.row = rows, -1
        some.target = at.target + row * at.target_step if loop.loss else NULL
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
    elif loop.loss and not loop.reduces:
        loss_gradients(at, begin, end, loop, known, _)
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
    """A generalised ufunc's inner loop. The steps are those over rows of all operands, then those along a row of all
    that have an axis."""
    cdef const RowLoop *loop = <const RowLoop *>data
    cdef int x = 1 if loop.gradient or (loop.loss and not loop.reduces) else 0, target = x + 1
    cdef int mask = target + (1 if loop.loss else 0), y = mask + (1 if loop.masked else 0)
    cdef const npy_intp *along = steps + y + 1
    cdef void *gil
    cdef Layout at
    at.n = dims[1]
    at.grad, at.x, at.y = <const char *>args[0], <const char *>args[x], <char *>args[y]
    at.target, at.mask = NULL, NULL
    at.grad_step[0], at.grad_step[1] = steps[0], 0
    if loop.loss:
        at.target, at.target_step = <const char *>args[target], steps[target]
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
