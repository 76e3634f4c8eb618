"""Published statistics of a phase-change cell: how SET pulses, RESET, age and reads move its conductance.

Nandakumar et al., J. Appl. Phys. 124, 152135 (2018): mushroom cells of doped GST in the 90 nm node, SET by
pulses of 90 uA and 50 ns. The coefficients are those of open code (GitHub, YigitDemirag/srnn-pcm, file
``xbar.py``), which states them in uS; the paper's own table could not be read. They describe that model, not
a chip's raw data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SOURCE = "J. Appl. Phys. 124, 152135 (2018), coefficients of open code (YigitDemirag/srnn-pcm)"


@dataclass(frozen=True)
class PublishedModel:
    """The conductance change of one SET pulse: normal, its mean and spread linear in G and in a memory.

    The memory is exp(-n/n_memory) at the n-th pulse after RESET. Conductances in S.

    Attributes:
        mean_slope, mean_offset, mean_memory: of the mean change (1, S, S).
        spread_slope, spread_offset, spread_memory: of its spread (1, S, S).
        n_memory: pulses over which the memory falls by e.
        g_least, g_most: bounds of G.
        reset_mean, reset_spread: conductance after RESET, normal.
        nu, t_0: drift G (t/t_0)^-nu, t since programming in s.
        noise_slope, noise_floor: spread of the read noise, noise_slope G + noise_floor.
    """

    mean_slope: float = -0.084
    mean_offset: float = 0.880e-6
    mean_memory: float = 1.40e-6
    spread_slope: float = 0.091
    spread_offset: float = 0.260e-6
    spread_memory: float = 2.15e-6
    n_memory: float = 2.6
    g_least: float = 0.1e-6
    g_most: float = 20e-6
    reset_mean: float = 0.1e-6
    reset_spread: float = 0.01e-6
    nu: float = 0.04
    t_0: float = 38.6
    noise_slope: float = 0.03
    noise_floor: float = 0.13e-6

    def change(self, g: ArrayLike, pulse: ArrayLike) -> tuple[Array, Array]:
        """Mean and spread in S of what the ``pulse``-th pulse (1, 2, ...) adds to ``g``, unbounded."""
        memory = np.exp(-np.asarray(pulse, dtype=float) / self.n_memory)
        before = np.asarray(g, dtype=float)
        mean = self.mean_slope * before + self.mean_offset + self.mean_memory * memory
        return mean, self.spread_slope * before + self.spread_offset + self.spread_memory * memory

    def accumulation(self, *, pulses: int, devices: int, rng: np.random.Generator) -> Array:
        """Conductances in S after 0, 1, ... ``pulses`` SET pulses, shape (devices, pulses + 1)."""
        g = np.empty((devices, pulses + 1))
        g[:, 0] = np.maximum(rng.normal(self.reset_mean, self.reset_spread, devices), 0.0)
        for pulse in range(1, pulses + 1):
            mean, spread = self.change(g[:, pulse - 1], pulse)
            g[:, pulse] = np.clip(rng.normal(g[:, pulse - 1] + mean, spread), self.g_least, self.g_most)
        return g

    def read_noise(self, g: ArrayLike) -> Array:
        """Spread in S of one read of a conductance ``g``."""
        return self.noise_slope * np.asarray(g, dtype=float) + self.noise_floor

    def drift(self, age: ArrayLike) -> Array:
        """What is left of a conductance at an age in s, relative to that at ``t_0``."""
        return np.asarray((np.asarray(age, dtype=float) / self.t_0) ** -self.nu)
