"""Device-to-device spread of the write: each MTJ switches more or less readily than the table's, for good.

An MTJ of factor f switches with 1 - (1 - P)**f where the table gives P: f P where P is small, and a
saturating pulse still saturates. The factors are lognormal with median one, the same for both directions, so
that the spread is the standard deviation of ln P in the tail, where almost all pulses are.
"""

from __future__ import annotations

import numpy as np

from nn.arrays import Float32s

NEAR_ONE = np.float32(1 - 2.0**-24)  # the largest float32 below one


def draw_factors(shape: tuple[int, ...], *, spread: float, rng: np.random.Generator) -> Float32s:
    """Factors of both MTJs of an array of synapses, shape (2, inputs, outputs), branch 1 first."""
    factors = rng.standard_normal((2, *shape), dtype=np.float32)
    factors *= np.float32(spread)
    return np.exp(factors, out=factors)


def of_devices(p_switch: Float32s, factors: Float32s) -> Float32s:
    """Switching probabilities of devices with these factors, where the table gives ``p_switch``."""
    kept: Float32s = np.log1p(-np.minimum(p_switch, NEAR_ONE))
    kept *= factors
    return -np.expm1(kept, out=kept)
