"""What the kernel sets and _ufuncs.pyx know of each other: the one calls kernels, the others share threads."""
from numpy cimport npy_intp, PyUFuncGenericFunction

cdef enum:
    PARALLEL_NS = 15_000        # with less work than this, a team of threads costs more than it saves
    MAX_SHARES = 64

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

cdef inline bint overlap(const char *a, npy_intp a_bytes, const char *b, npy_intp b_bytes) noexcept nogil:
    """Whether two pieces of memory have a byte in common."""
    return a < b + b_bytes and b < a + a_bytes

cdef enum:
    MAX_IN = 4      # the most inputs of a ufunc
    STRANDS = 5     # the most operands and results of a call for halves
    BLOCK = 1024    # the most elements a block kernel is given: its stage buffers stay in L1
    VECTOR = 64     # bytes: blocks are padded to whole vectors, so no element ever passes through scalar remainder code

ctypedef void (*BlockKernel)(const void **x, void *y, npy_intp n) noexcept nogil
ctypedef void (*Load)(const char *p, npy_intp stride, void *block, npy_intp n) noexcept nogil
ctypedef void (*Store)(const void *block, char *p, npy_intp stride, npy_intp n) noexcept nogil

cdef struct Loop:
    int nin                 # the kernel's inputs
    int operands            # how many of them a call gives; the others are parameters with their default values
    const void *defaults[MAX_IN]    # a block full of each of these
    double cost             # ns for one element, about
    BlockKernel kernel
    Load load               # how input 0..nin-1 is stored and becomes the computed type; NULL: it is the computed type
    bint load_all           # parameters are stored like input 0 (16-bit floats), or already are the computed type
    Store store             # likewise for the output
    bint of_bytes           # input 0 is stored as bytes, the results as double
    const double *table     # of the results for each byte, or NULL

ctypedef void (*BothKernel)(const void **x, void *y, void *z, npy_intp n) noexcept nogil

cdef struct Strand:         # an operand, or a result
    char *start
    npy_intp step           # bytes from one row to the next

cdef struct Halves:
    npy_intp n              # elements of a row of one half
    npy_intp size           # bytes of one
    int count, operands     # strands; the first of them are operands
    Strand[STRANDS] strands
    const Loop *loop
    BothKernel both         # if there are two results, in the place of the loop's

cdef struct RowLoop:
    bint logarithm          # log_softmax and logsumexp, not softmax
    bint reduces            # logsumexp: one result a row, "(n)->()"
    bint gradient           # of softmax or log_softmax; grad_output is a first operand: "(n),(n)->(n)"
    bint negates            # softmin, of -x: `load` changes the sign; a gradient is given the other one
    bint loss               # cross_entropy: reduces, with a row's class beside x; or its gradient, or logsumexp's
    bint scaled             # softmax times a row's grad, of such a gradient
    bint tempered           # temperatures, one a row, beside x
    bint masked             # a last, boolean operand
    double cost             # as in Loop
    Load load               # as in Loop
    Store store
    npy_intp size           # bytes of a number as it is stored

cdef struct Layout:         # one call's operands; strides in bytes, [row, element]
    const char *x           # for a gradient, the function's output
    const char *grad        # not used if there is no gradient; of a loss, or if scaled, one a row
    const char *target      # of a loss, a row's class as npy_intp: less than n, or below 0: it does not count; or NULL
    const char *heat        # a row's temperature as double, above 0; or NULL
    const char *mask        # or NULL
    char *y
    bint *failed            # of a loss's gradient in 16 bits: becomes True if there is no memory to widen rows in
    npy_intp n
    npy_intp rows
    bint far                # so many rows that most come from memory, not from a cache
    const char *soon[2]     # n * WIDE elements each that are fetched while this is computed, or NULL
    npy_intp[2] x_step
    npy_intp[2] grad_step
    npy_intp target_step
    npy_intp heat_step
    npy_intp[2] mask_step
    npy_intp[2] y_step      # the second is not used if a row has one result

ctypedef void (*DriveHalves)(const Halves *at, npy_intp rows, void *) noexcept nogil
ctypedef void (*ShareRows)(Layout *at, npy_intp rows, const RowLoop *loop, void *) noexcept nogil

cdef class Kernel:
    cdef int nin
    cdef double cost            # ns for one float32, about: decides when threads pay
    cdef void *f32
    cdef void *f64
    cdef void *scalar32         # the stages composed directly, for one number; NULL if nothing calls that
    cdef void *scalar64
    cdef tuple both             # of a gradient, block kernels of float and double with a second result
    cdef dict as_stored         # "i4" (kind and size), "e" or "E" -> block kernel's address, if these are not converted

cdef class KernelSet:
    # What there is for several types stands at the bytes of an element.
    cdef dict kernels           # name -> Kernel
    cdef dict load_integer      # "i4" (kind and size) -> what loads such as double, its address
    cdef PyUFuncGenericFunction[9] drive
    cdef PyUFuncGenericFunction[9] drive_rows
    cdef DriveHalves[9] drive_halves
    cdef ShareRows[9] share_rows
    cdef Load load_half
    cdef Load load_bfloat16
    cdef Store store_half
    cdef Store store_bfloat16
    cdef Load (*negative_load)(Load load, npy_intp size) noexcept nogil
    cdef bint (*all_below)(const npy_intp *numbers, npy_intp n, npy_intp bound) noexcept nogil
    cdef double half_cost       # of a float16, times a float32's

    cdef Kernel elementwise(self, const char *name, int nin, double cost, void *f32, void *f64, void *scalar32,
                            void *scalar64)
