cdef enum:
    PARALLEL_NS = 15_000        # with less work than this, a team of threads costs more than it saves

cdef int acquire_threads(double nanoseconds, void **team) noexcept nogil
cdef void join_team(void *team) noexcept nogil
cdef void release_threads(int n) noexcept nogil
