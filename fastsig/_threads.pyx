# cython: language_level=3, freethreading_compatible=True
"""How many threads a call may use. The state lives here, shared by all kernel sets; what users see is in _config.py."""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define HAS_OPENMP 1
    #else
    static int omp_get_max_threads(void) { return 1; }
    #define HAS_OPENMP 0
    #endif
    #if defined(_MSC_VER)
    #include <intrin.h>
    #define THREAD_LOCAL __declspec(thread)
    static int fetch_add(volatile long *p, int n) { return (int)_InterlockedExchangeAdd(p, n); }
    #else
    #define THREAD_LOCAL __thread
    static int fetch_add(volatile long *p, int n) { return (int)__atomic_fetch_add(p, (long)n, __ATOMIC_RELAXED); }
    #endif
    static volatile long in_use = 0;            /* threads that large calls occupy now, over all Python threads */
    static volatile int limit = 1;              /* for the process */
    static THREAD_LOCAL int local_limit = 0;    /* for one Python thread, inside num_threads(n); 0: none */
    static volatile int forked = 0;
    #if HAS_OPENMP && !defined(_WIN32)
    #include <pthread.h>
    /* libgomp's workers do not survive a fork: a parallel region in the child would wait for them for ever. */
    static void in_child(void) { forked = 1; in_use = 0; }
    static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }
    #else
    static void watch_forks(void) {}
    #endif
    """
    int omp_get_max_threads() noexcept nogil
    int fetch_add(long *p, int n) noexcept nogil
    long in_use
    int limit, forked, local_limit
    const int HAS_OPENMP
    void watch_forks() noexcept nogil

# The OpenMP runtime's own limit when we came. Below it, somebody (threadpoolctl, joblib, dask) wants fewer threads.
cdef int omp_at_start = omp_get_max_threads()

watch_forks()


cdef int allowed() noexcept nogil:
    cdef int omp, n = local_limit if local_limit else limit
    if not HAS_OPENMP or forked:
        return 1
    omp = omp_get_max_threads()
    return min(n, omp) if omp < omp_at_start else n


cdef int acquire_threads() noexcept nogil:
    """Threads for a large call, to be given back with release_threads(); 0: one is all there is.

    Large calls that run at the same time in several Python threads share the limit, so that teams do not multiply.
    """
    cdef int n = allowed(), taken, granted
    if n == 1:
        return 0
    taken = fetch_add(&in_use, n)
    granted = max(1, n - taken)
    fetch_add(&in_use, granted - n)
    return granted


cdef void release_threads(int n) noexcept nogil:
    if n:
        fetch_add(&in_use, -n)


def has_openmp():
    return bool(HAS_OPENMP)


def get_limit():
    """Threads that a large call of this Python thread would use now."""
    return allowed()


def set_limit(int n):
    global limit
    limit = n


def set_local_limit(int n):
    """Limit this Python thread; 0 takes the limit away. Returns the one before."""
    global local_limit
    before = local_limit
    local_limit = n
    return before
