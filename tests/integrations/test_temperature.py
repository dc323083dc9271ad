"""softmax and its kin of x / temperature, and their gradients at x, beside torch's in float64."""

import numpy as np
import pytest
import torch

import fastsig
from fastsig._catalog import TABLE


@pytest.mark.parametrize("row", [row for row in TABLE if row.kind == "rows"], ids=lambda row: row.name)
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_torch(row, axis):
    rng = np.random.default_rng(0)
    x, grad = rng.normal(0, 3, (2, 4, 5, 6))
    kept = [n for i, n in enumerate(x.shape) if i != axis % 3]
    for heat in (0.3, 2.0, rng.uniform(0.1, 4, kept)):
        with_axis = heat if np.ndim(heat) == 0 else np.expand_dims(heat, axis)
        tensor = torch.tensor(x, requires_grad=True)
        divided = tensor / torch.as_tensor(with_axis, dtype=torch.float64)
        theirs = eval(row.torch, {"torch": torch, "x": divided, "axis": axis})
        theirs.backward(torch.from_numpy(grad))
        ours = getattr(fastsig, row.name)(x, axis, temperature=heat)
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-14)
        gradient = getattr(fastsig.backward, row.name)(grad, ours, axis, temperature=heat)
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-10, atol=1e-13)
