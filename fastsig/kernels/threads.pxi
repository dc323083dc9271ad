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
    static int load(volatile int *p) { return *p; }
    static void store(volatile int *p, int n) { *p = n; }
    #else
    #define THREAD_LOCAL __thread
    static long long fetch_add(volatile long long *p, long long n) {
        return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
    }
    static int load(volatile int *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
    static void store(volatile int *p, int n) { __atomic_store_n(p, n, __ATOMIC_RELAXED); }
    #endif
    /* Every thread may read and change these four at any time, and no lock is held. */
    static volatile long long in_use = 0;       /* threads that large calls occupy now, over all Python threads */
    static volatile int limit = 1;              /* for the process */
    static volatile int forked = 0;
    /* A woken worker often starts on the very CPU that its caller runs on, and waits there while other CPUs are idle:
       for milliseconds. So workers keep off their caller's CPU; the caller stays as free as it was. */
    static volatile int keep_apart = 0;

    static THREAD_LOCAL int local_limit = 0;    /* for one Python thread, inside num_threads(n); 0: none */
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
        int cpu = load(&keep_apart) ? sched_getcpu() : -1;
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
    static void in_child(void) { store(&forked, 1); in_use = 0; }
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

    /* The runtime's places, if it binds its threads to them. */
    #if HAS_OPENMP && _OPENMP >= 201511
    static int count_places(void) { return omp_get_proc_bind() == omp_proc_bind_false ? 0 : omp_get_num_places(); }
    #else
    static int count_places(void) { return 0; }
    static int omp_get_place_num_procs(int place) { (void)place; return 0; }
    static void omp_get_place_proc_ids(int place, int *cpus) { (void)place; (void)cpus; }
    #endif

    /* Was libgomp, if that is the runtime, here before this module? Libraries are listed in the order of loading. */
    #if HAS_OPENMP && defined(__linux__)
    #include <link.h>
    #include <string.h>
    static int find_runtime(struct dl_phdr_info *library, size_t size, void *is_late) {
        ElfW(Addr) runtime = (ElfW(Addr))&omp_get_wtime - library->dlpi_addr;
        ElfW(Addr) own = (ElfW(Addr))&limit - library->dlpi_addr;
        int i;
        (void)size;
        for (i = 0; i < library->dlpi_phnum; i++) {
            const ElfW(Phdr) *part = &library->dlpi_phdr[i];
            if (part->p_type != PT_LOAD) continue;
            if (own - part->p_vaddr < part->p_memsz) return 1;
            if (runtime - part->p_vaddr < part->p_memsz) {
                *(int *)is_late = strstr(library->dlpi_name, "libgomp") != NULL;
                return 1;
            }
        }
        return 0;
    }
    static int libgomp_was_here(void) {
        int is_late = 0;
        dl_iterate_phdr(find_runtime, &is_late);
        return is_late;
    }
    #else
    static int libgomp_was_here(void) { return 0; }
    #endif
    """
    int omp_get_max_threads() noexcept nogil
    double omp_get_wtime() noexcept nogil
    long long fetch_add(long long *p, long long n) noexcept nogil
    int load(int *p) noexcept nogil
    void store(int *p, int n) noexcept nogil
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
    int count_places() noexcept
    int omp_get_place_num_procs(int place) noexcept
    void omp_get_place_proc_ids(int place, int *cpus) noexcept
    bint c_libgomp_was_here "libgomp_was_here" () noexcept

cdef double AWAKE_S = 0.002             # workers that have had nothing to do for longer sleep, and so does their CPU:
cdef double ASLEEP_NS = 200_000         # then it takes more work before waking them pays

# The OpenMP runtime's own limit when we came. Below it, somebody (threadpoolctl, joblib, dask) wants fewer threads.
cdef int omp_at_start = omp_get_max_threads()

watch_forks()


cdef int allowed() noexcept nogil:
    cdef int omp, n = local_limit if local_limit else load(&limit)
    if not HAS_OPENMP or load(&forked):
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


def libgomp_was_here():
    """Whether another package has loaded libgomp, and so when it read its settings, before this module."""
    return c_libgomp_was_here()


def bound_cpus():
    """The CPUs that the OpenMP runtime binds its threads to, among them the one that imports this; none: it binds none.

    Such a thread's own mask, which those that it starts inherit, says nothing of the others.
    """
    cdef bytearray ids
    cdef int place
    cpus = set()
    for place in range(count_places()):
        ids = bytearray(omp_get_place_num_procs(place) * sizeof(int))
        omp_get_place_proc_ids(place, <int *><char *>ids)
        cpus.update(memoryview(ids).cast("i"))
    return cpus


def get_limit():
    """Threads that a large call of this Python thread would use now."""
    return allowed()


def set_keep_apart(bint on):
    """Whether workers may be moved off their caller's CPU."""
    store(&keep_apart, on)


def set_limit(int n):
    store(&limit, n)


def set_local_limit(int n):
    """Limit this Python thread; 0 takes the limit away. Returns the one before."""
    global local_limit
    before = local_limit
    local_limit = n
    return before
