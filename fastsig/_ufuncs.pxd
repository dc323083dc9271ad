from numpy cimport npy_intp, PyUFuncGenericFunction

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

cdef enum:
    MAX_IN = 4      # the most inputs of a ufunc

cdef bint is_bfloat16(int type_number) noexcept nogil
cdef void *allocated(size_t size) except NULL

cdef inline bint overlap(const char *a, npy_intp a_bytes, const char *b, npy_intp b_bytes) noexcept nogil:
    """Whether two pieces of memory have a byte in common."""
    return a < b + b_bytes and b < a + a_bytes

cdef inline bint warns_when_written(int flags) noexcept nogil:
    """As a result of np.broadcast_arrays does: bit 31 of an array's flags, which has no public name."""
    return flags < 0

cdef class Loops:
    cdef int n
    cdef PyUFuncGenericFunction *functions
    cdef void **data
    cdef bytearray types
    cdef tuple texts
    cdef bint equals                    # operands of equal standing: all become the dtype that they are promoted to
    cdef str bfloat16_types             # of the loop that waits for the first bfloat16 ("E", as in ml_dtypes)
    cdef PyUFuncGenericFunction bfloat16_function
    cdef void *bfloat16_data

    cdef add(self, str types, PyUFuncGenericFunction function, const void *data, size_t size)
    cdef ufunc(self, int nin, str name, str doc, str signature, bint equals=*)
