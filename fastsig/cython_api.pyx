# Made by `make generate` from the table in _catalog.py.
# cython: language_level=3, freethreading_compatible=True
"""The elementwise functions for Cython: `from fastsig.cython_api cimport sigmoid`. See cython_api.pxd.

What is cimported is of float or double, under names that Cython makes up. numba and SciPy's LowLevelCallable find plain
ones beside these: NAME takes and gives double, NAME_float float.
"""

from cpython.pycapsule cimport PyCapsule_New

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

cdef plainly(str name, const char *double_signature, const char *float_signature):
    exported = globals()["__pyx_capi__"]
    exported[name] = PyCapsule_New(<void *><size_t>address(name, "d"), double_signature, NULL)
    exported[f"{name}_float"] = PyCapsule_New(<void *><size_t>address(name, "f"), float_signature, NULL)

cdef float1 sigmoid_float = <float1><size_t>address("sigmoid", "f")
cdef double1 sigmoid_double = <double1><size_t>address("sigmoid", "d")
cdef floating sigmoid(floating x) noexcept nogil:
    if floating is float:
        return sigmoid_float(x)
    else:
        return sigmoid_double(x)
plainly("sigmoid", "double (double)", "float (float)")

cdef float1 tanh_float = <float1><size_t>address("tanh", "f")
cdef double1 tanh_double = <double1><size_t>address("tanh", "d")
cdef floating tanh(floating x) noexcept nogil:
    if floating is float:
        return tanh_float(x)
    else:
        return tanh_double(x)
plainly("tanh", "double (double)", "float (float)")

cdef float1 relu_float = <float1><size_t>address("relu", "f")
cdef double1 relu_double = <double1><size_t>address("relu", "d")
cdef floating relu(floating x) noexcept nogil:
    if floating is float:
        return relu_float(x)
    else:
        return relu_double(x)
plainly("relu", "double (double)", "float (float)")

cdef float2 leaky_relu_float = <float2><size_t>address("leaky_relu", "f")
cdef double2 leaky_relu_double = <double2><size_t>address("leaky_relu", "d")
cdef floating leaky_relu(floating x, floating negative_slope) noexcept nogil:
    if floating is float:
        return leaky_relu_float(x, negative_slope)
    else:
        return leaky_relu_double(x, negative_slope)
plainly("leaky_relu", "double (double, double)", "float (float, float)")

cdef float1 relu6_float = <float1><size_t>address("relu6", "f")
cdef double1 relu6_double = <double1><size_t>address("relu6", "d")
cdef floating relu6(floating x) noexcept nogil:
    if floating is float:
        return relu6_float(x)
    else:
        return relu6_double(x)
plainly("relu6", "double (double)", "float (float)")

cdef float3 hard_tanh_float = <float3><size_t>address("hard_tanh", "f")
cdef double3 hard_tanh_double = <double3><size_t>address("hard_tanh", "d")
cdef floating hard_tanh(floating x, floating min_val, floating max_val) noexcept nogil:
    if floating is float:
        return hard_tanh_float(x, min_val, max_val)
    else:
        return hard_tanh_double(x, min_val, max_val)
plainly("hard_tanh", "double (double, double, double)", "float (float, float, float)")

cdef float1 hard_sigmoid_float = <float1><size_t>address("hard_sigmoid", "f")
cdef double1 hard_sigmoid_double = <double1><size_t>address("hard_sigmoid", "d")
cdef floating hard_sigmoid(floating x) noexcept nogil:
    if floating is float:
        return hard_sigmoid_float(x)
    else:
        return hard_sigmoid_double(x)
plainly("hard_sigmoid", "double (double)", "float (float)")

cdef float1 hard_swish_float = <float1><size_t>address("hard_swish", "f")
cdef double1 hard_swish_double = <double1><size_t>address("hard_swish", "d")
cdef floating hard_swish(floating x) noexcept nogil:
    if floating is float:
        return hard_swish_float(x)
    else:
        return hard_swish_double(x)
plainly("hard_swish", "double (double)", "float (float)")

cdef float1 softsign_float = <float1><size_t>address("softsign", "f")
cdef double1 softsign_double = <double1><size_t>address("softsign", "d")
cdef floating softsign(floating x) noexcept nogil:
    if floating is float:
        return softsign_float(x)
    else:
        return softsign_double(x)
plainly("softsign", "double (double)", "float (float)")

cdef float1 silu_float = <float1><size_t>address("silu", "f")
cdef double1 silu_double = <double1><size_t>address("silu", "d")
cdef floating silu(floating x) noexcept nogil:
    if floating is float:
        return silu_float(x)
    else:
        return silu_double(x)
plainly("silu", "double (double)", "float (float)")

cdef float1 mish_float = <float1><size_t>address("mish", "f")
cdef double1 mish_double = <double1><size_t>address("mish", "d")
cdef floating mish(floating x) noexcept nogil:
    if floating is float:
        return mish_float(x)
    else:
        return mish_double(x)
plainly("mish", "double (double)", "float (float)")

cdef float1 gelu_float = <float1><size_t>address("gelu", "f")
cdef double1 gelu_double = <double1><size_t>address("gelu", "d")
cdef floating gelu(floating x) noexcept nogil:
    if floating is float:
        return gelu_float(x)
    else:
        return gelu_double(x)
plainly("gelu", "double (double)", "float (float)")

cdef float1 gelu_tanh_float = <float1><size_t>address("gelu_tanh", "f")
cdef double1 gelu_tanh_double = <double1><size_t>address("gelu_tanh", "d")
cdef floating gelu_tanh(floating x) noexcept nogil:
    if floating is float:
        return gelu_tanh_float(x)
    else:
        return gelu_tanh_double(x)
plainly("gelu_tanh", "double (double)", "float (float)")

cdef float2 elu_float = <float2><size_t>address("elu", "f")
cdef double2 elu_double = <double2><size_t>address("elu", "d")
cdef floating elu(floating x, floating alpha) noexcept nogil:
    if floating is float:
        return elu_float(x, alpha)
    else:
        return elu_double(x, alpha)
plainly("elu", "double (double, double)", "float (float, float)")

cdef float1 selu_float = <float1><size_t>address("selu", "f")
cdef double1 selu_double = <double1><size_t>address("selu", "d")
cdef floating selu(floating x) noexcept nogil:
    if floating is float:
        return selu_float(x)
    else:
        return selu_double(x)
plainly("selu", "double (double)", "float (float)")

cdef float2 celu_float = <float2><size_t>address("celu", "f")
cdef double2 celu_double = <double2><size_t>address("celu", "d")
cdef floating celu(floating x, floating alpha) noexcept nogil:
    if floating is float:
        return celu_float(x, alpha)
    else:
        return celu_double(x, alpha)
plainly("celu", "double (double, double)", "float (float, float)")

cdef float2 softplus_float = <float2><size_t>address("softplus", "f")
cdef double2 softplus_double = <double2><size_t>address("softplus", "d")
cdef floating softplus(floating x, floating beta) noexcept nogil:
    if floating is float:
        return softplus_float(x, beta)
    else:
        return softplus_double(x, beta)
plainly("softplus", "double (double, double)", "float (float, float)")

cdef float1 log_sigmoid_float = <float1><size_t>address("log_sigmoid", "f")
cdef double1 log_sigmoid_double = <double1><size_t>address("log_sigmoid", "d")
cdef floating log_sigmoid(floating x) noexcept nogil:
    if floating is float:
        return log_sigmoid_float(x)
    else:
        return log_sigmoid_double(x)
plainly("log_sigmoid", "double (double)", "float (float)")

cdef float2 binary_cross_entropy_with_logits_float = <float2><size_t>address("binary_cross_entropy_with_logits", "f")
cdef double2 binary_cross_entropy_with_logits_double = <double2><size_t>address("binary_cross_entropy_with_logits", "d")
cdef floating binary_cross_entropy_with_logits(floating x, floating target) noexcept nogil:
    if floating is float:
        return binary_cross_entropy_with_logits_float(x, target)
    else:
        return binary_cross_entropy_with_logits_double(x, target)
plainly("binary_cross_entropy_with_logits", "double (double, double)", "float (float, float)")

cdef float1 logit_float = <float1><size_t>address("logit", "f")
cdef double1 logit_double = <double1><size_t>address("logit", "d")
cdef floating logit(floating x) noexcept nogil:
    if floating is float:
        return logit_float(x)
    else:
        return logit_double(x)
plainly("logit", "double (double)", "float (float)")

cdef float1 log1mexp_float = <float1><size_t>address("log1mexp", "f")
cdef double1 log1mexp_double = <double1><size_t>address("log1mexp", "d")
cdef floating log1mexp(floating x) noexcept nogil:
    if floating is float:
        return log1mexp_float(x)
    else:
        return log1mexp_double(x)
plainly("log1mexp", "double (double)", "float (float)")

cdef float2 hard_shrink_float = <float2><size_t>address("hard_shrink", "f")
cdef double2 hard_shrink_double = <double2><size_t>address("hard_shrink", "d")
cdef floating hard_shrink(floating x, floating lambd) noexcept nogil:
    if floating is float:
        return hard_shrink_float(x, lambd)
    else:
        return hard_shrink_double(x, lambd)
plainly("hard_shrink", "double (double, double)", "float (float, float)")

cdef float2 soft_shrink_float = <float2><size_t>address("soft_shrink", "f")
cdef double2 soft_shrink_double = <double2><size_t>address("soft_shrink", "d")
cdef floating soft_shrink(floating x, floating lambd) noexcept nogil:
    if floating is float:
        return soft_shrink_float(x, lambd)
    else:
        return soft_shrink_double(x, lambd)
plainly("soft_shrink", "double (double, double)", "float (float, float)")

cdef float1 tanh_shrink_float = <float1><size_t>address("tanh_shrink", "f")
cdef double1 tanh_shrink_double = <double1><size_t>address("tanh_shrink", "d")
cdef floating tanh_shrink(floating x) noexcept nogil:
    if floating is float:
        return tanh_shrink_float(x)
    else:
        return tanh_shrink_double(x)
plainly("tanh_shrink", "double (double)", "float (float)")

cdef float3 threshold_float = <float3><size_t>address("threshold", "f")
cdef double3 threshold_double = <double3><size_t>address("threshold", "d")
cdef floating threshold(floating x, floating threshold, floating value) noexcept nogil:
    if floating is float:
        return threshold_float(x, threshold, value)
    else:
        return threshold_double(x, threshold, value)
plainly("threshold", "double (double, double, double)", "float (float, float, float)")

cdef float2 swish_float = <float2><size_t>address("swish", "f")
cdef double2 swish_double = <double2><size_t>address("swish", "d")
cdef floating swish(floating x, floating beta) noexcept nogil:
    if floating is float:
        return swish_float(x, beta)
    else:
        return swish_double(x, beta)
plainly("swish", "double (double, double)", "float (float, float)")
