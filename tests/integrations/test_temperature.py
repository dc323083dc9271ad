"""softmax and log_softmax of x / temperature, and their gradients at x, beside torch's in float64."""

import numpy as np
import pytest
import torch

import fastsig


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_torch(name, axis):
    rng = np.random.default_rng(0)
    x, grad = rng.normal(0, 3, (2, 4, 5, 6))
    kept = [n for i, n in enumerate(x.shape) if i != axis % 3]
    for heat in (0.3, 2.0, rng.uniform(0.1, 4, kept)):
        with_axis = heat if np.ndim(heat) == 0 else np.expand_dims(heat, axis)
        tensor = torch.tensor(x, requires_grad=True)
        theirs = getattr(torch, name)(tensor / torch.as_tensor(with_axis, dtype=torch.float64), axis)
        theirs.backward(torch.from_numpy(grad))
        ours = getattr(fastsig, name)(x, axis, temperature=heat)
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)
        gradient = getattr(fastsig.backward, name)(grad, ours, axis, temperature=heat)
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-10, atol=1e-13)
