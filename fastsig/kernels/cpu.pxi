"""What this CPU can do. In a module that is built for the baseline, so that asking is safe everywhere."""

cdef extern from *:
    """
    #if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
    static int has_v3(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    }
    static int has_v4(void) {
        return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512vl");
    }
    #elif defined(_MSC_VER) && defined(_M_X64)
    #include <intrin.h>
    static int has_all(unsigned leaf1_ecx, unsigned leaf7_ebx, unsigned xcr0) {
        int r[4];
        __cpuid(r, 0);
        if (r[0] < 7) return 0;
        __cpuid(r, 1);
        if ((r[2] & leaf1_ecx) != leaf1_ecx) return 0;
        if ((_xgetbv(0) & xcr0) != xcr0) return 0;                  /* the system saves these registers */
        __cpuidex(r, 7, 0);
        return (r[1] & leaf7_ebx) == leaf7_ebx;
    }
    static int has_v3(void) { return has_all(1u << 12 | 1u << 27 | 1u << 28, 1u << 3 | 1u << 5 | 1u << 8, 0x6); }
    static int has_v4(void) {
        return has_v3() && has_all(1u << 27, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, 0xe6);
    }
    #else
    static int has_v3(void) { return 0; }
    static int has_v4(void) { return 0; }
    #endif

    #if defined(__AVX512F__)
    #define VECTORS "AVX-512"
    #elif defined(__AVX2__)
    #define VECTORS "AVX2"
    #elif defined(__AVX__)
    #define VECTORS "AVX"
    #elif defined(__SSE2__) || defined(_M_X64)
    #define VECTORS "SSE2"
    #elif defined(__ARM_FEATURE_SVE)
    #define VECTORS "SVE"
    #elif defined(__ARM_NEON) || defined(_M_ARM64)
    #define VECTORS "NEON"
    #elif defined(__VSX__)
    #define VECTORS "VSX"
    #elif defined(__VEC__)
    #define VECTORS "vectors of z/Architecture"
    #elif defined(__riscv_vector)
    #define VECTORS "RVV"
    #else
    #define VECTORS "no vectors"
    #endif
    """
    const char *VECTORS
    int has_v3() noexcept nogil
    int has_v4() noexcept nogil


def vectors():
    """What the compiler meant by the baseline."""
    return VECTORS.decode()


def kernel_sets():
    """The kernel sets this CPU can run, best first."""
    return ["x86_64_v4"] * bool(has_v4()) + ["x86_64_v3"] * bool(has_v3()) + ["baseline"]
