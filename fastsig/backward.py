"""Gradients: the vector-Jacobian product of every function of fastsig, under the function's own name. The ufuncs among
them call themselves NAME_backward.

``fastsig.backward.NAME(grad_output, x, ...)`` is ``grad_output * f'(x)`` in one pass, for a backward pass in NumPy.
Where every result depends on a whole row, as in softmax, the gradient takes the function's output instead of x.

>>> import fastsig
>>> fastsig.backward.sigmoid(1.0, [-1.0, 0.0, 1.0])
array([0.19661193, 0.25      , 0.19661193])
"""

from ._functions import gradients
from ._lazy import offer

offer(gradients, globals())

__all__ = list(gradients)
del gradients, offer
