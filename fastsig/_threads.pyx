# cython: language_level=3, freethreading_compatible=True
"""How many threads a call may use. The state lives here, shared by all kernel sets; what users see is in _config.py."""

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define HAS_OPENMP 1
    #else
    static int omp_get_max_threads(void) { return 1; }
    static double omp_get_wtime(void) { return 0; }
    #define HAS_OPENMP 0
    #endif
    #if defined(_MSC_VER)
    #include <intrin.h>
    #define THREAD_LOCAL __declspec(thread)
    static long long fetch_add(volatile long long *p, long long n) { return _InterlockedExchangeAdd64(p, n); }
    #else
    #define THREAD_LOCAL __thread
    static long long fetch_add(volatile long long *p, long long n) {
        return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
    }
    #endif
    static volatile long long in_use = 0;       /* threads that large calls occupy now, over all Python threads */
    static volatile int limit = 1;              /* for the process */
    static THREAD_LOCAL int local_limit = 0;    /* for one Python thread, inside num_threads(n); 0: none */
    static volatile int forked = 0;

    /* A woken worker often starts on the very CPU that its caller runs on, and waits there while other CPUs are idle:
       for milliseconds. So workers keep off their caller's CPU; the caller stays as free as it was. */
    static volatile int keep_apart = 0;
    #if HAS_OPENMP && defined(__linux__)
    #include <sched.h>
    typedef struct {                                /* one for each Python thread */
        double awake_until;
        int size;                                   /* threads that the runtime has for it */
        int version;                                /* of `others` */
        cpu_set_t others;                           /* where its workers run */
        int cpu;                                    /* the caller's, when that was last found out */
        double found_out;
    } Team;
    static void part_team(Team *team, double now) {
        cpu_set_t others;
        int cpu = keep_apart ? sched_getcpu() : -1;
        if (cpu < 0 || (cpu == team->cpu && now < team->found_out + 0.001)) return;     /* no system call each time */
        if (sched_getaffinity(0, sizeof others, &others)) return;
        team->cpu = cpu;
        team->found_out = now;
        CPU_CLR(cpu, &others);
        if (CPU_COUNT(&others) == 0) CPU_SET(cpu, &others);
        if (team->version && CPU_EQUAL(&others, &team->others)) return;
        team->others = others;
        team->version++;
    }
    static void join_team(Team *team) {
        static THREAD_LOCAL int version = 0;
        if (version == team->version) return;
        if (omp_get_thread_num() == 0) sched_yield();   /* a worker may have woken up here; now it moves on */
        else if (sched_setaffinity(0, sizeof team->others, &team->others)) return;
        version = team->version;
    }
    #else
    typedef struct { double awake_until; int size; } Team;
    static void part_team(Team *team, double now) { (void)team; (void)now; }
    static void join_team(Team *team) { (void)team; }
    #endif
    static THREAD_LOCAL Team own_team;

    /* Work that this thread has done since it last released the GIL, in ns: who releases it may have to wait for
       Python's switch interval, 5 ms, before it has it again. */
    static THREAD_LOCAL double held_ns = 0;
    #if PY_VERSION_HEX < 0x030d0000
    #define PyThreadState_GetUnchecked _PyThreadState_UncheckedGet
    #endif
    static void *release_gil(double ns) {
        PyThreadState *state;
        held_ns += ns;
        if (held_ns < 5e6) return NULL;
        held_ns = 0;
        state = PyThreadState_GetUnchecked();           /* PyGILState_Check() says yes once there are subinterpreters */
        return state && state == PyGILState_GetThisThreadState() ? PyEval_SaveThread() : NULL;
    }
    static void take_gil(void *state) {
        if (state) PyEval_RestoreThread((PyThreadState *)state);
    }

    #if HAS_OPENMP && !defined(_WIN32)
    #include <pthread.h>
    #include <stdlib.h>
    /* libgomp's workers do not survive a fork: a parallel region in the child would wait for them for ever. */
    static void in_child(void) { forked = 1; in_use = 0; }
    static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }

    /* Runtimes end the process where a thread cannot be started, for want of memory or by a limit on their number. So
       before one is asked for a larger team: could all its workers be started? One more than that, as a thread that has
       just ended may still count. */
    static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    static void *pass_gate(void *unused) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
        return unused;
    }
    static int can_start(int n) {
        pthread_t *threads = (pthread_t *)malloc(n * sizeof(pthread_t));
        int started = 0, i;
        if (!threads) return 0;
        pthread_mutex_lock(&gate);                  /* they are all there at the same time */
        while (started < n && pthread_create(&threads[started], NULL, pass_gate, NULL) == 0) started++;
        pthread_mutex_unlock(&gate);
        for (i = 0; i < started; i++) pthread_join(threads[i], NULL);
        free(threads);
        return started == n;
    }
    #else
    static void watch_forks(void) {}
    static int can_start(int n) { (void)n; return 1; }
    #endif
    """
    int omp_get_max_threads() noexcept nogil
    double omp_get_wtime() noexcept nogil
    long long fetch_add(long long *p, long long n) noexcept nogil
    long long in_use
    int limit, forked, local_limit, keep_apart
    ctypedef struct CTeam "Team":
        double awake_until
        int size
    CTeam own_team
    void part_team(CTeam *team, double now) noexcept nogil
    void c_join_team "join_team" (CTeam *team) noexcept nogil
    void *c_release_gil "release_gil" (double ns) noexcept nogil
    void c_take_gil "take_gil" (void *state) noexcept nogil
    const int HAS_OPENMP
    void watch_forks() noexcept nogil
    bint can_start(int n) noexcept nogil

cdef double AWAKE_S = 0.002             # workers that have had nothing to do for longer sleep, and so does their CPU:
cdef double ASLEEP_NS = 200_000         # then it takes more work before waking them pays

# The OpenMP runtime's own limit when we came. Below it, somebody (threadpoolctl, joblib, dask) wants fewer threads.
cdef int omp_at_start = omp_get_max_threads()

watch_forks()


cdef int allowed() noexcept nogil:
    cdef int omp, n = local_limit if local_limit else limit
    if not HAS_OPENMP or forked:
        return 1
    omp = omp_get_max_threads()
    return min(n, omp) if omp < omp_at_start else n


cdef int acquire_threads(double nanoseconds, void **team) noexcept nogil:
    """Threads for a call of so much work, to be given back with release_threads(); 0: one is best.

    Large calls that run at the same time in several Python threads share the limit, so that teams do not multiply. Each
    thread of the team calls join_team(team) first.
    """
    cdef int n = allowed(), granted
    cdef double now
    if n == 1:
        return 0
    now = omp_get_wtime()
    if now > own_team.awake_until and nanoseconds < ASLEEP_NS:
        own_team.awake_until = now + AWAKE_S        # if another call follows, waking the team pays
        return 0
    own_team.awake_until = now + AWAKE_S
    granted = max(1, n - <int>fetch_add(&in_use, n))
    if granted > own_team.size and granted > 1 and not can_start(granted):
        granted = 1
    fetch_add(&in_use, granted - n)
    if granted > 1:
        own_team.size = granted
        part_team(&own_team, now)
        team[0] = &own_team
    return granted


cdef void join_team(void *team) noexcept nogil:
    c_join_team(<CTeam *>team)


cdef void release_threads(int n) noexcept nogil:
    if n:
        fetch_add(&in_use, -n)


cdef void *release_gil(double nanoseconds) noexcept nogil:
    """For a loop with so much work that may be called with the GIL; take_gil() with the result must follow."""
    return c_release_gil(nanoseconds)


cdef void take_gil(void *state) noexcept nogil:
    c_take_gil(state)


# A call's work is shared in equal, contiguous parts, the same ones in each call: what a thread reads and writes stays
# in its own CPU's cache. They are taken in chunks, and a thread that is done with its own part goes on with those of
# the others: a worker that wakes up late finds less left to do.

cdef int share_out(Share *shares, int threads, long long begin, long long end, long long unit) noexcept nogil:
    """[begin, end) in parts that begin at multiples of `unit` from there; returns how many."""
    cdef int i, count = min(threads, <int>MAX_SHARES)
    for i in range(count):
        shares[i].next = begin + (end - begin) // unit * i // count * unit
        shares[i].end = begin + (end - begin) // unit * (i + 1) // count * unit
    shares[count - 1].end = end
    return count


cdef bint take(Share *shares, int count, int thread, long long chunk, Share *piece) noexcept nogil:
    """The next piece of up to `chunk` for this thread of a team, if any work is left."""
    cdef Share *share
    cdef int i
    for i in range(count):
        share = &shares[(thread + i) % count]
        piece.next = fetch_add(&share.next, chunk)
        if piece.next < share.end:
            piece.end = min(piece.next + chunk, share.end)
            return True
    return False


def has_openmp():
    return bool(HAS_OPENMP)


def get_limit():
    """Threads that a large call of this Python thread would use now."""
    return allowed()


def set_keep_apart(bint on):
    """Whether workers may be moved off their caller's CPU."""
    global keep_apart
    keep_apart = on


def set_limit(int n):
    global limit
    limit = n


def set_local_limit(int n):
    """Limit this Python thread; 0 takes the limit away. Returns the one before."""
    global local_limit
    before = local_limit
    local_limit = n
    return before
