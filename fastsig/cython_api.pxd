# Made by `make generate` from the table in _catalog.py.
# from fastsig.cython_api cimport sigmoid
#
# Each takes float or double and runs the formula of the best kernel set, as the array functions do, without the GIL.
from cython cimport floating

cdef floating sigmoid(floating x) noexcept nogil
cdef floating tanh(floating x) noexcept nogil
cdef floating relu(floating x) noexcept nogil
cdef floating leaky_relu(floating x, floating negative_slope) noexcept nogil
