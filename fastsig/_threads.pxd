cdef int acquire_threads() noexcept nogil
cdef void release_threads(int n) noexcept nogil
