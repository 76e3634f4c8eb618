"""Pulse-width encodings: from the fraction of an increment to a fractional entry of the timing grid.

The discrete update asks for a flip with probability tanh(m nu), nu the increment's fraction of one weight
step. ``inverse`` asks the table for the width that gives it. ``affine`` (width t0 + nu W) and ``gated``
(affine, and no pulse where the wanted probability lies below that of t0) are kept as ablations: increments
are tiny, and there an affine width flips far too often, a gated one never.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spicebridge.errors import SpicebridgeError
from spicebridge.sampler import BinnedFunction, PulseSampler, tabulate

ENCODINGS = ("inverse", "affine", "gated")


@dataclass(frozen=True)
class AffineWidth:
    """The width ``offset + nu * span``, both in s, that best makes tanh(m nu) of a switching curve."""

    offset: float
    span: float


def fit_affine(sampler: PulseSampler, *, steepness: float) -> AffineWidth:
    """Least-squares fit of P(offset + nu span) to tanh(steepness nu) on 0 < nu <= 1."""
    from scipy.optimize import least_squares  # slow to import, and seldom needed

    nu = np.linspace(0.005, 1.0, 200)
    wanted = np.tanh(steepness * nu)
    early, late = sampler.position(np.array([0.05, 0.95]))

    def misfit(guess: NDArray[np.float64]) -> NDArray[np.float64]:
        return sampler.dithered_probability(_entry(sampler, guess[0] + nu * guess[1])) - wanted

    # In grid steps, where a useful difference is a small part of one.
    start = np.interp([early, late], np.arange(len(sampler.width)), sampler.width) / sampler.step
    offset, span = least_squares(misfit, (start[0], max(start[1] - start[0], 1.0)), diff_step=1e-3).x
    return AffineWidth(offset=float(offset) * sampler.step, span=float(span) * sampler.step)


def _entry(sampler: PulseSampler, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional grid entry of widths given in steps; none lie between no pulse and the first width."""
    return np.interp(steps, sampler.width / sampler.step, np.arange(len(sampler.width), dtype=np.float64))


def position_of(
    nu: NDArray[np.float64], sampler: PulseSampler, *, encoding: str, steepness: float
) -> NDArray[np.float64]:
    """Fractional grid entry of the pulse for fractions ``nu`` in [0, 1], any shape; nu = 0 is no pulse.

    Raises:
        SpicebridgeError: an unknown encoding.
    """
    wanted = np.tanh(steepness * nu)
    if encoding == "inverse":
        return sampler.position(wanted)
    if encoding not in ENCODINGS:
        raise SpicebridgeError(f"encoding {encoding!r} is none of: {', '.join(ENCODINGS)}.")
    fit = fit_affine(sampler, steepness=steepness)
    position = _entry(sampler, (fit.offset + nu * fit.span) / sampler.step)
    floor = 0.0
    if encoding == "gated":
        start = _entry(sampler, np.array([fit.offset / sampler.step]))
        floor = float(sampler.dithered_probability(start)[0])
    return np.where((nu > 0.0) & (wanted >= floor), position, 0.0)


def tabulate_encoding(sampler: PulseSampler, *, encoding: str, steepness: float) -> BinnedFunction:
    """An encoding over nu in (0, 1], laid out for the training loop; nu below 2**-32 is no pulse."""
    return tabulate(lambda nu: position_of(nu, sampler, encoding=encoding, steepness=steepness), at_zero=0.0)
