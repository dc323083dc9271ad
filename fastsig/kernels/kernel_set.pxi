"""A kernel set: the formulas, compiled for one instruction set. Each _kernels_*.pyx includes this.

What makes ufuncs and functions of them, building.pxi, is compiled once, in _ufuncs.pyx.
"""
from cython cimport floating
from cython.parallel cimport parallel, threadid
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from numpy cimport npy_intp, PyUFuncGenericFunction

from fastsig._fenv cimport Fenv, clear_fp_flags, default_fenv, restore_fenv
from fastsig._ufuncs cimport (
    BLOCK, BothKernel, DriveHalves, Halves, Kernel, KernelSet, Layout, Load, Loop, MAX_IN, MAX_SHARES, PARALLEL_NS,
    RowLoop, STRANDS, Share, ShareRows, Store, Strand, VECTOR, acquire_threads, join_team, overlap, release_gil,
    release_threads, share_out, take, take_gil,
)

cdef extern from *:
    """
    /* The formulas count on sums being rounded as they are written. setup.py asks for it; where that does not help, no
       kernels are better than wrong ones. */
    #if defined(__FAST_MATH__) || defined(_M_FP_FAST) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) \\
        || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
    #error "fastsig: this compiler is set to fast, inexact arithmetic (-ffast-math or a part of it)"
    #endif
    #if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
    #error "fastsig: this compiler computes with more precision than a type has (x87)"
    #endif
    """

cdef KernelSet here = KernelSet()

include "formulas.pxi"
include "gradients.pxi"
include "lookup.pxi"
include "driver.pxi"
include "narrow.pxi"
include "halves.pxi"
include "rows.pxi"

here.load_integer = {
    "i1": <size_t>load_integer[int8_t], "i2": <size_t>load_integer[int16_t],
    "i4": <size_t>load_integer[int32_t], "i8": <size_t>load_integer[int64_t],
    "u1": <size_t>load_integer[uint8_t], "u2": <size_t>load_integer[uint16_t],
    "u4": <size_t>load_integer[uint32_t], "u8": <size_t>load_integer[uint64_t],
}
here.drive[1], here.drive[2] = <PyUFuncGenericFunction>drive[uint8_t], <PyUFuncGenericFunction>drive[uint16_t]
here.drive[4], here.drive[8] = <PyUFuncGenericFunction>drive[uint32_t], <PyUFuncGenericFunction>drive[uint64_t]
here.drive_rows[4] = <PyUFuncGenericFunction>drive_rows[float]
here.drive_rows[8] = <PyUFuncGenericFunction>drive_rows[double]
# Two bytes become four before they are driven.
here.drive_halves[2] = here.drive_halves[4] = <DriveHalves>drive_halves[uint32_t]
here.drive_halves[8] = <DriveHalves>drive_halves[uint64_t]
here.share_rows[2] = here.share_rows[4] = <ShareRows>share_rows[float]
here.share_rows[8] = <ShareRows>share_rows[double]
here.load_half, here.store_half, here.half_cost = load_half, store_half, 3 if HALVES == 1 else 1.3
here.load_bfloat16, here.store_bfloat16 = load_bfloat16, store_bfloat16
here.negative_load, here.all_below = negative_load, all_below

kernels = here
