cdef enum:
    PARALLEL_NS = 15_000        # with less work than this, a team of threads costs more than it saves

cdef enum:
    MAX_SHARES = 64

cdef enum:
    KEEPS_GIL = 500             # numbers for which NumPy does not release the GIL: who does may have to wait for it

cdef struct Share:              # a part of a call's work: [next, end) is left of it
    long long next
    long long end
    char[48] apart              # each in a cache line of its own

cdef int acquire_threads(double nanoseconds, void **team) noexcept nogil
cdef void join_team(void *team) noexcept nogil
cdef void release_threads(int n) noexcept nogil
cdef void *release_gil(double nanoseconds) noexcept nogil
cdef void take_gil(void *state) noexcept nogil
cdef int share_out(Share *shares, int threads, long long begin, long long end, long long unit) noexcept nogil
cdef bint take(Share *shares, int count, int thread, long long chunk, Share *piece) noexcept nogil
