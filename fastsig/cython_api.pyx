# Made by `make generate` from the table in _catalog.py.
"""The elementwise functions for Cython: `from fastsig.cython_api cimport sigmoid`. See cython_api.pxd."""

from fastsig._backend import kernels

try:
    address = kernels.scalar_address
except AttributeError:
    raise ImportError("fastsig.cython_api needs compiled kernels, but fastsig runs in pure Python") from None

ctypedef float (*float1)(float) noexcept nogil
ctypedef float (*float2)(float, float) noexcept nogil
ctypedef float (*float3)(float, float, float) noexcept nogil
ctypedef double (*double1)(double) noexcept nogil
ctypedef double (*double2)(double, double) noexcept nogil
ctypedef double (*double3)(double, double, double) noexcept nogil

cdef float1 sigmoid_float = <float1><size_t>address("sigmoid", "f")
cdef double1 sigmoid_double = <double1><size_t>address("sigmoid", "d")
cdef floating sigmoid(floating x) noexcept nogil:
    if floating is float:
        return sigmoid_float(x)
    else:
        return sigmoid_double(x)

cdef float1 tanh_float = <float1><size_t>address("tanh", "f")
cdef double1 tanh_double = <double1><size_t>address("tanh", "d")
cdef floating tanh(floating x) noexcept nogil:
    if floating is float:
        return tanh_float(x)
    else:
        return tanh_double(x)

cdef float1 relu_float = <float1><size_t>address("relu", "f")
cdef double1 relu_double = <double1><size_t>address("relu", "d")
cdef floating relu(floating x) noexcept nogil:
    if floating is float:
        return relu_float(x)
    else:
        return relu_double(x)

cdef float2 leaky_relu_float = <float2><size_t>address("leaky_relu", "f")
cdef double2 leaky_relu_double = <double2><size_t>address("leaky_relu", "d")
cdef floating leaky_relu(floating x, floating negative_slope) noexcept nogil:
    if floating is float:
        return leaky_relu_float(x, negative_slope)
    else:
        return leaky_relu_double(x, negative_slope)
