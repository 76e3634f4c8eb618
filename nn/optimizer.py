"""Adam: the increment each parameter is asked to make."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from nn.arrays import Float32s

BLOCK = 16384  # entries worked on at a time, so that the working set stays in the first two cache levels


@dataclass(eq=False)
class Adam:
    """First and second moments of one parameter array (float32), and the steps taken.

    Source: Kingma and Ba, arXiv 1412.6980, with bias correction.

    Attributes:
        mean, square: moments, shape of the parameter.
        beta1, beta2: their decay per step.
        steps: how many gradients they have seen.
    """

    mean: Float32s
    square: Float32s
    beta1: float
    beta2: float
    steps: int = 0
    _scratch: Float32s = field(default_factory=lambda: np.empty(BLOCK, np.float32), repr=False)

    def increments(self, gradient: Float32s, *, rate: float, out: Float32s) -> Float32s:
        """Take in a gradient and write the wanted increment, -rate * mean / sqrt(square), to ``out``.

        Arrays are C-contiguous and of the parameter's shape; ``out`` may be ``gradient`` itself.
        """
        self.steps += 1
        root = sqrt(1 - self.beta2**self.steps)
        rate_now = np.float32(-rate * root / (1 - self.beta1**self.steps))
        epsilon = np.float32(1e-8 * root)
        beta1, beta2 = np.float32(self.beta1), np.float32(self.beta2)
        rest1, rest2 = np.float32(1 - self.beta1), np.float32(1 - self.beta2)
        flat = (gradient.reshape(-1), self.mean.reshape(-1), self.square.reshape(-1), out.reshape(-1))
        for start in range(0, gradient.size, BLOCK):
            g, mean, square, result = (each[start : start + BLOCK] for each in flat)
            scratch = self._scratch[: len(g)]
            np.multiply(g, rest1, out=scratch)
            mean *= beta1
            mean += scratch
            np.multiply(g, g, out=scratch)
            scratch *= rest2
            square *= beta2
            square += scratch
            np.sqrt(square, out=scratch)
            scratch += epsilon
            np.divide(mean, scratch, out=result)
            result *= rate_now
        return out


def adam(shape: tuple[int, ...], *, beta1: float, beta2: float) -> Adam:
    """Adam with empty moments for a parameter of ``shape``."""
    return Adam(np.zeros(shape, np.float32), np.zeros(shape, np.float32), beta1, beta2)
