"""Functions of the two halves of an axis. In a plain array each half is rows at equal distances: the driver's loop is
given one after the other, or, of short ones, as many side by side as make a block.
"""

cdef enum:
    SHORT_ROW = 512         # bytes as computed: shorter ones are put side by side;
    RAGGED_ROW = 280        # of other than whole vectors, up to so many elements
    PIECE_BYTES = 2048      # of a strand that are there together: little of the stack
    HAND = 32               # bytes that are copied at once


cdef inline void copy_ends(const char *x, char *y, npy_intp size, npy_intp some) noexcept nogil:
    """`some` <= size bytes from either end, which may overlap: all of up to two times as many."""
    memcpy(y, x, some)
    memcpy(y + size - some, x + size - some, some)

cdef inline void copy_bytes(const char *x, char *y, npy_intp size) noexcept nogil:
    """Mostly few: a call of memcpy() would take longer than to copy them."""
    cdef npy_intp i
    if size >= HAND:
        for i from 0 <= i < size - HAND by HAND:
            memcpy(y + i, x + i, HAND)
        memcpy(y + size - HAND, x + size - HAND, HAND)      # the last ones, some of them again
    elif size >= 16:
        copy_ends(x, y, size, 16)
    elif size >= 8:
        copy_ends(x, y, size, 8)
    elif size >= 4:
        copy_ends(x, y, size, 4)
    else:
        memcpy(y, x, 2)

cdef void copy_rows(const Halves *at, const Strand *strand, char *block, npy_intp begin, npy_intp end,
                    bint back) noexcept nogil:
    """Elements [begin, end) of all rows of a strand to a block, or back."""
    cdef npy_intp row = begin // at.n, column = begin - row * at.n, n
    cdef char *p = strand.start + row * strand.step + column * at.size
    while begin < end:
        n = min(at.n - column, end - begin)
        if back:
            copy_bytes(block, p, n * at.size)
        else:
            copy_bytes(p, block, n * at.size)
        block += n * at.size
        begin += n
        p += strand.step - column * at.size
        column = 0

cdef inline bint in_one_piece(const Halves *at, int k) noexcept nogil:
    return at.strands[k].step == at.n * at.size

cdef void run_both(const Halves *at, char **places, npy_intp n, word *_) noexcept nogil:
    """As run(), for two results, and all of unit stride."""
    cdef Block[2] blocks                    # STRIP bytes of each strand
    cdef const void *x[STRANDS]
    cdef void *y[2]
    cdef word *block
    cdef char *p
    cdef npy_intp i = 0, j, m, padded, lanes = VECTOR // sizeof(word), strip = STRIP // sizeof(word)
    cdef int k
    while i < n:
        m = min(strip, n - i)
        if m > lanes:
            m = m & ~(lanes - 1)
        padded = (m + lanes - 1) & ~(lanes - 1)
        for k in range(at.count):
            p, block = places[k] + i * at.size, <word *>(<char *>blocks + k * STRIP)
            if m == padded and at.loop.load == NULL:
                block = <word *>p
            elif k < at.operands:
                gather(p, at.size, block, m, at.loop.load)
                for j in range(m, padded):
                    block[j] = 0
            if k < at.operands:
                x[k] = block
            else:
                y[k - at.operands] = block
        at.both(x, y[0], y[1], padded)
        for k in range(at.operands, at.count):
            p, block = places[k] + i * at.size, <word *>(<char *>blocks + k * STRIP)
            if y[k - at.operands] == block:
                scatter(block, p, at.size, m, at.loop.store)
        i += m

cdef inline void run_stretch(const Halves *at, char **places, npy_intp n, npy_intp far, word *_) noexcept nogil:
    cdef npy_intp[MAX_IN + 1] steps
    cdef int k
    if at.both != NULL:
        run_both(at, places, n, _)
        return
    for k in range(MAX_IN + 1):
        steps[k] = at.size
    run(places, 0, n, steps, at.loop, far, _)

cdef void run_halves(const Halves *at, npy_intp begin, npy_intp end, npy_intp far, word *_) noexcept nogil:
    """Elements [begin, end) of the rows of a half."""
    cdef Block[3] blocks                    # PIECE_BYTES of each strand
    cdef char *places[STRANDS]
    cdef npy_intp row, column, n, lanes = VECTOR // sizeof(word)
    cdef bint short = at.n < (RAGGED_ROW if at.n & (lanes - 1) else SHORT_ROW // <npy_intp>sizeof(word))
    cdef int k
    while begin < end:
        row = begin // at.n
        column = begin - row * at.n
        n = min(at.n - column, end - begin)
        if short and n < end - begin:
            n = min(PIECE_BYTES // at.size, end - begin)
            for k in range(at.count):
                if in_one_piece(at, k):
                    places[k] = at.strands[k].start + begin * at.size
                else:
                    places[k] = <char *>blocks + k * PIECE_BYTES
                    if k < at.operands:
                        copy_rows(at, &at.strands[k], places[k], begin, begin + n, False)
            run_stretch(at, places, n, 0, _)
            for k in range(at.operands, at.count):
                if not in_one_piece(at, k):
                    copy_rows(at, &at.strands[k], places[k], begin, begin + n, True)
        else:
            for k in range(at.count):
                places[k] = at.strands[k].start + row * at.strands[k].step + column * at.size
            run_stretch(at, places, n, far if n > BLOCK else 0, _)
        begin += n

cdef inline void run_half_shares(const Halves *at, npy_intp chunk, Share *shares, int count, int thread,
                                 npy_intp far, word *_) noexcept nogil:
    """What one thread of a team does."""
    cdef Share piece
    cdef Fenv before = default_fenv()
    while take(shares, count, thread, chunk, &piece):
        run_halves(at, piece.next, piece.end, far, _)
    restore_fenv(before)

cdef void drive_halves(const Halves *at, npy_intp rows, word *_) noexcept nogil:
    """All of a call, on several threads when they pay."""
    cdef Fenv before = default_fenv()
    cdef Share[MAX_SHARES] shares
    cdef npy_intp chunk, n = rows * at.n, far = n if n * at.size > CACHED else 0
    cdef void *team = NULL
    cdef int count, threads = 0
    if n * at.loop.cost > PARALLEL_NS:
        threads = acquire_threads(n * at.loop.cost, &team)
    if threads > 1:
        chunk = chunk_of(n, threads, at.loop.cost, 4 * BLOCK)
        count = share_out(shares, threads, 0, n, BLOCK)
        with parallel(num_threads=threads):
            join_team(team)
            run_half_shares(at, chunk, shares, count, threadid(), far, _)
    else:
        run_halves(at, 0, n, far, _)
    release_threads(threads)
    restore_fenv(before)
    clear_fp_flags()
