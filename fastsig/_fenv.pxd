"""The floating-point environment of a thread: how its CPU rounds, and whether it takes subnormal numbers for zero.

The formulas count on IEEE 754's defaults. Callers may have changed them (fesetround, torch.set_flush_denormal, a
library linked with -ffast-math), and OpenMP's workers keep what their first caller had. So whoever calls a kernel calls
default_fenv() before and restore_fenv() after.
"""
cdef extern from *:
    """
    #if defined(__SSE2__) || defined(_M_X64)
    /* All of it is in MXCSR, and touching that alone takes a tenth of <fenv.h>'s time, which would show in a call for
       one number. The low six bits are flags. */
    #include <xmmintrin.h>
    typedef unsigned Fenv;
    static inline Fenv default_fenv(void) {
        Fenv before = _mm_getcsr();
        if ((before & ~0x3fu) != 0x1f80u) _mm_setcsr(0x1f80u);
        return before;
    }
    static inline void restore_fenv(Fenv before) {
        if ((before & ~0x3fu) != 0x1f80u) _mm_setcsr(before);
    }
    CYTHON_UNUSED static inline void clear_fp_flags(void) {
        unsigned flags = _mm_getcsr();
        if (flags & 0x1du) _mm_setcsr(flags & ~0x1du);      /* invalid, divide by zero, overflow, underflow */
    }
    #else
    #include <fenv.h>
    #if defined(__aarch64__) && defined(__GNUC__)
    typedef unsigned long long Fenv;                        /* FPCR, 0 by default */
    static inline Fenv default_fenv(void) {
        Fenv before;
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(before));
        if (before) __asm__ __volatile__("msr fpcr, xzr" ::: "memory");
        return before;
    }
    static inline void restore_fenv(Fenv before) {
        if (before) __asm__ __volatile__("msr fpcr, %0" :: "r"(before) : "memory");
    }
    #else
    typedef int Fenv;
    static inline Fenv default_fenv(void) {
        Fenv before = fegetround();
        if (before != FE_TONEAREST) fesetround(FE_TONEAREST);
        return before;
    }
    static inline void restore_fenv(Fenv before) {
        if (before != FE_TONEAREST) fesetround(before);
    }
    #endif
    CYTHON_UNUSED static inline void clear_fp_flags(void) {
        feclearexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW);
    }
    #endif
    """
    ctypedef unsigned long long Fenv        # or smaller
    Fenv default_fenv() noexcept nogil
    void restore_fenv(Fenv before) noexcept nogil
    void clear_fp_flags() noexcept nogil    # vector code raises spurious ones (a select computes both sides), and NumPy
    # would warn of them: it clears all before it calls a loop, and looks afterwards
