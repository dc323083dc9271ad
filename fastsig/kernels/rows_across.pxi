"""Rows side by side, each a vector lane: short_lanes and long_lanes of rows.pxi, and how rows that lie in one piece are
turned for them.

The order of a row's terms is that of the rows along which lanes lie, to the bit: element i goes to lane i mod LANES.
"""

cdef inline void lanes_maximum(const floating *x, npy_intp w, floating *m) noexcept nogil:
    cdef npy_intp k
    for k in range(w):
        m[k] = x[k] if x[k] > m[k] else m[k]

cdef inline double two_lanes(const floating *sums, const floating *lost, int plain) noexcept nogil:
    """One lane's sum, and half of LANES further that one's; `plain`: of lanes that have no beginning, and have lost
    nothing (1) or have another sum there (2)."""
    cdef npy_intp half = LANES // 2 * WIDE
    if plain == 1:
        return <double>sums[0] + <double>sums[half]
    if plain == 2:
        return (<double>sums[0] + <double>lost[0]) + (<double>sums[half] + <double>lost[half])
    if floating is float:
        return lane_sum(sums[0], lost[0]) + lane_sum(sums[half], lost[half])
    else:
        return (sums[0] - beginning(sums)) + (sums[half] - beginning(sums))

cdef inline double four_lanes(const floating *sums, const floating *lost, int plain) noexcept nogil:
    return two_lanes(sums, lost, plain) + two_lanes(sums + 4 * WIDE, lost + 4 * WIDE, plain)

cdef inline double fold_lanes(const floating *sums, const floating *lost, int plain) noexcept nogil:
    """fold() of a row's lanes."""
    return ((four_lanes(sums, lost, plain) + four_lanes(sums + 2 * WIDE, lost + 2 * WIDE, plain))
            + (four_lanes(sums + WIDE, lost + WIDE, plain) + four_lanes(sums + 3 * WIDE, lost + 3 * WIDE, plain)))

cdef inline void lanes_fold(const floating *sums, const floating *lost, int plain, bint first, double *high,
                            double *low) noexcept nogil:
    """fold_to_four() and the rest of WIDE rows, of which this may be the first block."""
    cdef double[WIDE] total
    cdef double[WIDE] rest
    cdef npy_intp k
    cdef Sum sum
    for k in range(WIDE):
        total[k], rest[k] = fold_lanes(sums + k, lost + k, plain), 0
    if floating is double:
        for k in range(WIDE):
            rest[k] = fold_lanes(lost + k, lost + k, 1)
    for k in range(WIDE):
        sum.high, sum.low = 0 if first else high[k], 0 if first else low[k]
        add_to(&sum, total[k], rest[k])
        high[k], low[k] = sum.high, sum.low

cdef inline floating fourth(const floating *e, floating top, bint rest, int fours, floating *others) noexcept nogil:
    """Every fourth of a row's terms, of which there are so many fours, added up; `rest`: without `top`."""
    cdef floating[FOUR] term
    cdef int i
    for i in range(FOUR):
        term[i] = e[i * FOUR * WIDE] if i < fours else <floating>0
        if rest and i < fours:
            term[i] = other(term[i], top, others)
    return (term[0] + term[2]) + (term[1] + term[3])

cdef inline double few_sum(const floating *e, floating top, bint rest, int fours, floating *others) noexcept nogil:
    return exact_sum(fourth(e, top, rest, fours, others), fourth(e + WIDE, top, rest, fours, others),
                     fourth(e + 2 * WIDE, top, rest, fours, others), fourth(e + 3 * WIDE, top, rest, fours, others))

cdef inline void few_others_of(const floating *e, const floating *top, int fours, floating *norm) noexcept nogil:
    cdef floating others
    cdef double rest
    cdef npy_intp k
    for k in range(WIDE):
        others = 0
        rest = few_sum(e + k, top[k], True, fours, &others)
        norm[k] = over_ties(rest, fours * FOUR - number_of(others), top[k])

cdef inline void few_totals_of(const floating *e, int fours, double *sum) noexcept nogil:
    cdef npy_intp k
    for k in range(WIDE):
        sum[k] = few_sum(e + k, <floating>0, False, fours, NULL)

cdef inline int fill_up(floating *e, npy_intp n) noexcept nogil:
    """Zeros behind the elements of WIDE rows. How many fours there are then."""
    cdef int fours = <int>((n + FOUR - 1) // FOUR)
    pad(e, n * WIDE, fours * FOUR * WIDE)
    return fours

cdef inline void few_lanes_total(floating *e, npy_intp n, double *sum) noexcept nogil:
    """few_total() of WIDE rows of n <= LANES elements, in loops that know how many fours they have."""
    cdef int fours = fill_up(e, n)
    if fours == 1:
        few_totals_of(e, 1, sum)
    elif fours == 2:
        few_totals_of(e, 2, sum)
    elif fours == 3:
        few_totals_of(e, 3, sum)
    else:
        few_totals_of(e, FOUR, sum)

cdef inline void few_lanes_others(floating *e, npy_intp n, const floating *top, floating *norm) noexcept nogil:
    """few_others() of these."""
    cdef int fours = fill_up(e, n)
    if fours == 1:
        few_others_of(e, top, 1, norm)
    elif fours == 2:
        few_others_of(e, top, 2, norm)
    elif fours == 3:
        few_others_of(e, top, 3, norm)
    else:
        few_others_of(e, top, FOUR, norm)

cdef inline void lanes_invert(const double *high, const double *low, floating *factor, floating *fine) noexcept nogil:
    cdef npy_intp k
    for k in range(WIDE):
        invert(high[k], low[k], &factor[k], &fine[k])

cdef inline void lanes_take_in(const Layout *at, npy_intp row, npy_intp w, floating *factor,
                               floating *fine) noexcept nogil:
    cdef floating[WIDE] grad
    cdef npy_intp k
    gather(at.grad + row * at.grad_step[0], at.grad_step[0], grad, w, NULL)
    pad(grad, w, WIDE)
    for k in range(WIDE):
        take_in(grad[k], &factor[k], &fine[k])

cdef inline void lanes_logarithm(const Layout *at, npy_intp row, npy_intp w, const floating *m, const double *high,
                                 const double *low, const floating *top, floating *norm,
                                 const RowLoop *loop) noexcept nogil:
    """What the logarithms of w long rows' sums exceed the maxima by."""
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
                             const floating *m, const floating *norm, const floating *frame, floating *block,
                             const RowLoop *loop) noexcept nogil:
    """Element i of w rows, (x - m) - norm or e times norm and, in place of m, what that lost, to the output, by way of
    `block`, which may be `value`."""
    cdef char *p = at.y + row * at.y_step[0] + i * at.y_step[1]
    cdef floating *y = block
    cdef npy_intp k
    if loop.store == NULL and at.y_step[0] == sizeof(floating):
        y = <floating *>p
    if loop.logarithm and at.heat != NULL:
        with_temperature(value).lanes_logs(value, 0, m, frame, WIDE, norm, y, 0, w, 1)
    elif loop.logarithm:
        for k in range(w):
            y[k] = (value[k] - m[k]) - norm[k]
    else:
        for k in range(w):
            y[k] = times(value[k], norm[k], m[k])
    if y == block:
        scatter(block, p, at.y_step[0], w, loop.store)

cdef inline void fetch_soon(const Layout *at, npy_intp i, floating *_) noexcept nogil:
    cdef npy_intp bytes = WIDE * sizeof(floating)
    if at.soon[0] != NULL:
        fetch(at.soon[0] + i * bytes, bytes)
    if at.soon[1] != NULL:
        fetch(at.soon[1] + i * bytes, bytes)

cdef void short_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[SHORT * WIDE] z
    cdef floating[SHORT * WIDE] e
    cdef floating[FRAME * WIDE] frame
    cdef floating[WIDE] m
    cdef floating[WIDE] base
    cdef floating[WIDE] top
    cdef floating[WIDE] norm
    cdef double[WIDE] sum
    cdef double[WIDE] rest
    cdef const floating *x
    cdef const floating *value
    cdef npy_intp n = at.n, row, w, i, k, lane = WIDE * <npy_intp>sizeof(floating)
    cdef bint turned = at.x_step[1] == lane and at.x_step[0] == sizeof(floating) and loop.load == NULL
    frame[9 * WIDE] = -1                                # see tempered_frame()
    for k in range(WIDE):
        rest[k] = 0
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        x = z
        if turned and w == WIDE:
            x = <const floating *>(at.x + row * at.x_step[0])
        else:
            for i in range(n):
                gather(at.x + row * at.x_step[0] + i * at.x_step[1], at.x_step[0], z + i * WIDE, w, loop.load)
                pad(z + i * WIDE, w, WIDE)
        for k in range(WIDE):
            m[k] = -INFINITY
        for i in range(n):
            lanes_maximum(x + i * WIDE, WIDE, m)
        if lanes_frame(at, row, w, m, base, frame, WIDE):
            if x != z:
                memcpy(z, x, n * WIDE * sizeof(floating))
                x = z
            move_lanes(z, n, m, base, WIDE)
        value = x if loop.logarithm else e
        if at.heat != NULL:                             # at once, as it takes a while to begin
            with_temperature(x).lanes_exp(x, lane, frame, WIDE, e, lane, n)
        for i in range(n):
            fetch_soon(at, i, z)
            if at.heat == NULL:
                lanes_exp(at, x + i * WIDE, frame, WIDE, e + i * WIDE)
        if loop.logarithm:
            lanes_exp(at, base, frame, WIDE, top)
            few_lanes_others(e, n, top, norm)
            log1p_block(norm, norm, WIDE)
        else:
            few_lanes_total(e, n, sum)
            lanes_invert(sum, rest, norm, base)
            if loop.scaled:
                lanes_take_in(at, row, w, norm, base)
        if loop.reduces:
            write_sums(at, row, w, m, norm, loop)
            continue
        for i in range(n):
            write_lanes(at, row, i, w, value + i * WIDE, base, norm, frame, e + i * WIDE, loop)

cdef extern from *:
    """
    /* Sixteen bytes of each of TURN rows, four floats or two doubles, become as many lanes `apart` bytes from one
       another, and back. Compilers have shuffles in common, which they do not find; else TURN rows are 0. */
    #if defined(__has_builtin)
    #if __has_builtin(__builtin_shufflevector)
    #define SHUFFLES
    #endif
    #endif
    #if defined(SHUFFLES)
    typedef double Half __attribute__((vector_size(16)));
    #if defined(__AVX__)
    #define TURN 32
    typedef float Floats __attribute__((vector_size(32)));
    typedef double Doubles __attribute__((vector_size(32)));
    #define BEGINS(a, b) (Doubles)__builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
    #define ENDS(a, b) (Doubles)__builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
    #define EVEN(a, b) __builtin_shufflevector(a, b, 0, 4, 2, 6)
    #define ODD(a, b) __builtin_shufflevector(a, b, 1, 5, 3, 7)
    static inline Doubles two(const char *p, ptrdiff_t apart) {
        Half a, b;
        memcpy(&a, p, 16), memcpy(&b, p + apart, 16);
        return __builtin_shufflevector(a, b, 0, 1, 2, 3);
    }
    static inline void put_two(Doubles v, char *p, ptrdiff_t apart) {
        Half a = __builtin_shufflevector(v, v, 0, 1), b = __builtin_shufflevector(v, v, 2, 3);
        memcpy(p, &a, 16), memcpy(p + apart, &b, 16);
    }
    #else
    #define TURN 16
    typedef float Floats __attribute__((vector_size(16)));
    typedef double Doubles __attribute__((vector_size(16)));
    #define BEGINS(a, b) (Doubles)__builtin_shufflevector(a, b, 0, 4, 1, 5)
    #define ENDS(a, b) (Doubles)__builtin_shufflevector(a, b, 2, 6, 3, 7)
    #define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2)
    #define ODD(a, b) __builtin_shufflevector(a, b, 1, 3)
    static inline Doubles two(const char *p, ptrdiff_t apart) { Doubles v; memcpy(&v, p, 16); (void)apart; return v; }
    static inline void put_two(Doubles v, char *p, ptrdiff_t apart) { memcpy(p, &v, 16); (void)apart; }
    #endif
    static inline void put_vector(Doubles v, char *p) { memcpy(p, &v, TURN); }
    static inline Doubles whole_vector(const char *p) { Doubles v; memcpy(&v, p, TURN); return v; }
    static inline void turn_floats(const char *x, ptrdiff_t step, char *z, ptrdiff_t apart) {
        Floats a = (Floats)two(x, 4 * step), b = (Floats)two(x + step, 4 * step);
        Floats c = (Floats)two(x + 2 * step, 4 * step), d = (Floats)two(x + 3 * step, 4 * step);
        Doubles ab = BEGINS(a, b), cd = BEGINS(c, d), last_ab = ENDS(a, b), last_cd = ENDS(c, d);
        put_vector(EVEN(ab, cd), z), put_vector(ODD(ab, cd), z + apart);
        put_vector(EVEN(last_ab, last_cd), z + 2 * apart), put_vector(ODD(last_ab, last_cd), z + 3 * apart);
    }
    static inline void turn_floats_back(const char *z, ptrdiff_t apart, char *y, ptrdiff_t step) {
        Floats a = (Floats)whole_vector(z), b = (Floats)whole_vector(z + apart);
        Floats c = (Floats)whole_vector(z + 2 * apart), d = (Floats)whole_vector(z + 3 * apart);
        Doubles ab = BEGINS(a, b), cd = BEGINS(c, d), last_ab = ENDS(a, b), last_cd = ENDS(c, d);
        put_two(EVEN(ab, cd), y, 4 * step), put_two(ODD(ab, cd), y + step, 4 * step);
        put_two(EVEN(last_ab, last_cd), y + 2 * step, 4 * step), put_two(ODD(last_ab, last_cd), y + 3 * step, 4 * step);
    }
    static inline void turn_doubles(const char *x, ptrdiff_t step, char *z, ptrdiff_t apart) {
        Doubles a = two(x, 2 * step), b = two(x + step, 2 * step);
        put_vector(EVEN(a, b), z), put_vector(ODD(a, b), z + apart);
    }
    static inline void turn_doubles_back(const char *z, ptrdiff_t apart, char *y, ptrdiff_t step) {
        Doubles a = whole_vector(z), b = whole_vector(z + apart);
        put_two(EVEN(a, b), y, 2 * step), put_two(ODD(a, b), y + step, 2 * step);
    }
    #else
    #define TURN 0
    static inline void turn_floats(const char *x, ptrdiff_t step, char *z, ptrdiff_t apart) {}
    static inline void turn_floats_back(const char *z, ptrdiff_t apart, char *y, ptrdiff_t step) {}
    static inline void turn_doubles(const char *x, ptrdiff_t step, char *z, ptrdiff_t apart) {}
    static inline void turn_doubles_back(const char *z, ptrdiff_t apart, char *y, ptrdiff_t step) {}
    #endif
    """
    const npy_intp TURN     # bytes of a vector of lanes
    void turn_floats(const char *x, npy_intp step, char *z, npy_intp apart) noexcept nogil
    void turn_floats_back(const char *z, npy_intp apart, char *y, npy_intp step) noexcept nogil
    void turn_doubles(const char *x, npy_intp step, char *z, npy_intp apart) noexcept nogil
    void turn_doubles_back(const char *z, npy_intp apart, char *y, npy_intp step) noexcept nogil

cdef inline npy_intp piece(const floating *_) noexcept nogil:
    """Elements of a row that move together; its last ones may do so twice."""
    return 16 // <npy_intp>sizeof(floating)

cdef void turn(const char *x, npy_intp step, npy_intp n, npy_intp w, floating *z) noexcept nogil:
    """w rows of n elements in one piece, `step` bytes apart, to lanes: element i of row r to z[i * WIDE + r]. Lanes
    that are not rows become 0."""
    cdef npy_intp rows = TURN // <npy_intp>sizeof(floating), r = 0, i, k, size = sizeof(floating)
    if TURN and n >= piece(z):
        while r + rows <= w:
            for i from 0 <= i < n by 16 // size:
                k = min(i, n - piece(z))
                if floating is float:
                    turn_floats(x + r * step + k * size, step, <char *>(z + k * WIDE + r), WIDE * size)
                else:
                    turn_doubles(x + r * step + k * size, step, <char *>(z + k * WIDE + r), WIDE * size)
            r += rows
    for i in range(n if r < WIDE else 0):
        for k in range(r, w):
            z[i * WIDE + k] = (<const floating *>(x + k * step + i * size))[0]
        pad(z + i * WIDE, w, WIDE)

cdef void turn_back(const floating *z, npy_intp n, npy_intp w, char *y, npy_intp step) noexcept nogil:
    cdef npy_intp rows = TURN // <npy_intp>sizeof(floating), r = 0, i, k, size = sizeof(floating)
    if TURN and n >= piece(z):
        while r + rows <= w:
            for i from 0 <= i < n by 16 // size:
                k = min(i, n - piece(z))
                if floating is float:
                    turn_floats_back(<const char *>(z + k * WIDE + r), WIDE * size, y + r * step + k * size, step)
                else:
                    turn_doubles_back(<const char *>(z + k * WIDE + r), WIDE * size, y + r * step + k * size, step)
            r += rows
    for i in range(n if r < w else 0):
        for k in range(r, w):
            (<floating *>(y + k * step + i * size))[0] = z[i * WIDE + k]

cdef inline void gathered_lanes(const Layout *at, npy_intp row, npy_intp i, npy_intp steps, npy_intp w, floating *z,
                                Load load) noexcept nogil:
    """Elements [i, i + steps) of w rows; lanes that are not rows become 0."""
    cdef npy_intp j
    for j in range(steps):
        gather(at.x + row * at.x_step[0] + (i + j) * at.x_step[1], at.x_step[0], z + j * WIDE, w, load)
        pad(z + j * WIDE, w, WIDE)

cdef inline void four_sums(const floating **e, npy_intp count, floating *sums) noexcept nogil:
    """Of up to four vectors of lanes."""
    cdef npy_intp k
    if count == 1:
        memcpy(sums, e[0], WIDE * sizeof(floating))
    elif count == 2:
        for k in range(WIDE):
            sums[k] = e[0][k] + e[1][k]
    elif count == 3:
        for k in range(WIDE):
            sums[k] = (e[0][k] + e[1][k]) + e[2][k]
    else:
        for k in range(WIDE):
            sums[k] = (e[0][k] + e[1][k]) + (e[2][k] + e[3][k])

cdef void long_lanes(const Layout *at, npy_intp begin, npy_intp end, const RowLoop *loop, floating *_) noexcept nogil:
    cdef floating[FOUR * WIDE] z
    cdef floating[FOUR * WIDE] e
    cdef floating[LANES * WIDE] sums
    cdef floating[LANES * WIDE] lost
    cdef floating[FRAME * WIDE] frame
    cdef floating[WIDE] m
    cdef floating[WIDE] base
    cdef floating[WIDE] top
    cdef floating[WIDE] norm
    cdef double[WIDE] high
    cdef double[WIDE] low
    cdef const floating *less = &m[0] if loop.logarithm else &top[0]    # or what factors lost
    cdef const floating *x
    cdef floating *y
    cdef const floating *four[FOUR]
    cdef npy_intp row, w, block, i, j, k, q, steps, count
    cdef bint direct = loop.store == NULL and at.y_step[0] == sizeof(floating) and not loop.reduces
    # What a few elements further on lies too far away in memory for the CPU to fetch it unasked.
    cdef bint ahead = at.far and at.x_step[0] == sizeof(floating)
    # As in few_to_four(): 0 if it is not for these rows, or how many fours a lane has.
    cdef bint few = sizeof(floating) == 4 and not loop.logarithm and at.n <= 2 * FOUR * LANES
    cdef int plain = 0 if not few else 1 if at.n <= FOUR * LANES else 2
    # Whether exponentials are computed from where x lies, to where they wait, if they do.
    cdef bint moved, in_place = at.x_step[0] == sizeof(floating) and loop.load == NULL and (direct or loop.logarithm)
    cdef bint together = at.heat != NULL and in_place and direct
    frame[9 * WIDE] = -1
    for row from begin <= row < end by WIDE:
        w = min(<npy_intp>WIDE, end - row)
        for k in range(WIDE):
            m[k] = -INFINITY
            high[k] = low[k] = 0
        for i in range(at.n):
            if ahead and i + STEPS < at.n:
                fetch(at.x + row * at.x_step[0] + (i + STEPS) * at.x_step[1], w * sizeof(floating))
            lanes_maximum(read_lanes(at, row, i, w, z, loop.load), w, m)
        moved = lanes_frame(at, row, w, m, base, frame, WIDE)
        for block from 0 <= block < at.n by SEGMENT:
            if at.n - block < LANES:
                clear_sums(sums, lost, LANES * WIDE)
            if plain == 2:
                pad(lost, 0, LANES * WIDE)
            for i from block <= i < min(block + SEGMENT, at.n) by FOUR * LANES:
                if together and w == WIDE and not loop.logarithm:
                    with_temperature(z).lanes_exp(at.x + row * at.x_step[0] + i * at.x_step[1], at.x_step[1], frame,
                                                  WIDE, at.y + row * at.y_step[0] + i * at.y_step[1], at.y_step[1],
                                                  min(<npy_intp>(FOUR * LANES), at.n - i))
                for j in range(min(<npy_intp>LANES, at.n - i)):
                    count = min(<npy_intp>FOUR, (at.n - i - j + LANES - 1) // LANES)
                    for q in range(count):
                        k = i + q * LANES + j
                        fetch_soon(at, k, z)
                        x = z
                        if together and w == WIDE and not loop.logarithm:
                            four[q] = <floating *>(at.y + row * at.y_step[0] + k * at.y_step[1])
                            continue
                        if w == WIDE and in_place and not moved:
                            x = <const floating *>(at.x + row * at.x_step[0] + k * at.x_step[1])
                        else:
                            gather(at.x + row * at.x_step[0] + k * at.x_step[1], at.x_step[0], z, w, loop.load)
                            pad(z, w, WIDE)
                            if moved:
                                move_lanes(z, 1, m, base, WIDE)
                        y = <floating *>(at.y + row * at.y_step[0] + k * at.y_step[1])
                        if not loop.logarithm and w == WIDE and in_place:
                            lanes_exp(at, x, frame, WIDE, y)
                            four[q] = y
                        else:
                            four[q] = e + q * WIDE
                            lanes_exp(at, x, frame, WIDE, e + q * WIDE)
                            if direct and not loop.logarithm:   # they wait in the output
                                memcpy(y, four[q], w * sizeof(floating))
                    if i == block and not plain:
                        clear_sums(sums + j * WIDE, lost + j * WIDE, WIDE)
                    if plain:
                        four_sums(four, count, &sums[j * WIDE] if i == block else &lost[j * WIDE])
                    elif loop.logarithm:
                        plus_some(four, count, WIDE, True, sums + j * WIDE, lost + j * WIDE)
                    else:
                        plus_some(four, count, WIDE, False, sums + j * WIDE, lost + j * WIDE)
            if plain == 1:
                lanes_fold(sums, lost, 1, True, high, low)
            elif plain:
                lanes_fold(sums, lost, 2, True, high, low)
            elif block == 0:
                lanes_fold(sums, lost, 0, True, high, low)
            else:
                lanes_fold(sums, lost, 0, False, high, low)
        if loop.logarithm:
            lanes_exp(at, base, frame, WIDE, top)
            lanes_logarithm(at, row, w, m, high, low, top, norm, loop)
        else:
            lanes_invert(high, low, norm, top)
            if loop.scaled:
                lanes_take_in(at, row, w, norm, top)
        if loop.reduces:
            write_sums(at, row, w, m, norm, loop)
            continue
        if together and loop.logarithm:
            with_temperature(z).lanes_logs(at.x + row * at.x_step[0], at.x_step[1], m, frame, WIDE, norm,
                                           at.y + row * at.y_step[0], at.y_step[1], w, at.n)
            continue
        if direct and (at.heat == NULL or not loop.logarithm):
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
        for i from 0 <= i < at.n by FOUR:
            steps = min(<npy_intp>FOUR, at.n - i)
            gathered_lanes(at, row, i, steps, w, z, loop.load)
            for j in range(steps):
                if moved and not loop.logarithm:
                    move_lanes(z + j * WIDE, 1, m, base, WIDE)
                if not loop.logarithm:
                    lanes_exp(at, z + j * WIDE, frame, WIDE, z + j * WIDE)
                write_lanes(at, row, i + j, w, z + j * WIDE, less, norm, frame, z + j * WIDE, loop)
