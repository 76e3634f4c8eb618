"""Adam against its published recurrence."""

from __future__ import annotations

import numpy as np
import pytest

from nn.optimizer import BLOCK, adam


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.98, 0.999)])
def test_adams_increments_follow_the_published_recurrence(beta1: float, beta2: float) -> None:
    rng = np.random.default_rng(0)
    shape = (BLOCK // 100 + 3, 150)  # more than one block, the last one cut short
    optimizer = adam(shape, beta1=beta1, beta2=beta2)
    mean, square = np.zeros(shape), np.zeros(shape)
    for step in range(1, 8):
        gradient = rng.normal(size=shape).astype(np.float32)
        mean = beta1 * mean + (1 - beta1) * gradient.astype(float)
        square = beta2 * square + (1 - beta2) * gradient.astype(float) ** 2
        wanted = -0.01 * (mean / (1 - beta1**step)) / (np.sqrt(square / (1 - beta2**step)) + 1e-8)
        found = optimizer.increments(gradient, rate=0.01, out=gradient)
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=1e-9)


def test_a_gradient_that_never_was_moves_nothing() -> None:
    optimizer = adam((3,), beta1=0.98, beta2=0.999)
    out = optimizer.increments(np.zeros(3, np.float32), rate=0.1, out=np.ones(3, np.float32))
    assert not out.any()
