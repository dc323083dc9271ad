cdef int acquire_threads(double nanoseconds) noexcept nogil
cdef void release_threads(int n) noexcept nogil
