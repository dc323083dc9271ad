# Made by `make generate` from the table in _catalog.py.
# from fastsig.cython_api cimport sigmoid
#
# Each takes float or double and runs the formula of the best kernel set, as the array functions do, without the GIL.
from cython cimport floating

cdef floating sigmoid(floating x) noexcept nogil
cdef floating tanh(floating x) noexcept nogil
cdef floating relu(floating x) noexcept nogil
cdef floating leaky_relu(floating x, floating negative_slope) noexcept nogil
cdef floating relu6(floating x) noexcept nogil
cdef floating hard_tanh(floating x, floating min_val, floating max_val) noexcept nogil
cdef floating hard_sigmoid(floating x) noexcept nogil
cdef floating hard_swish(floating x) noexcept nogil
cdef floating softsign(floating x) noexcept nogil
cdef floating silu(floating x) noexcept nogil
cdef floating mish(floating x) noexcept nogil
cdef floating gelu(floating x) noexcept nogil
cdef floating gelu_tanh(floating x) noexcept nogil
cdef floating elu(floating x, floating alpha) noexcept nogil
cdef floating selu(floating x) noexcept nogil
cdef floating celu(floating x, floating alpha) noexcept nogil
cdef floating softplus(floating x, floating beta) noexcept nogil
cdef floating log_sigmoid(floating x) noexcept nogil
cdef floating binary_cross_entropy_with_logits(floating x, floating target) noexcept nogil
cdef floating logit(floating x) noexcept nogil
cdef floating log1mexp(floating x) noexcept nogil
cdef floating hard_shrink(floating x, floating lambd) noexcept nogil
cdef floating soft_shrink(floating x, floating lambd) noexcept nogil
cdef floating tanh_shrink(floating x) noexcept nogil
cdef floating threshold(floating x, floating threshold, floating value) noexcept nogil
cdef floating swish(floating x, floating beta) noexcept nogil
