"""Local-linear regression: the conditional mean and spread of a scattered quantity, with their errors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ENOUGH = 30.0  # effective samples that an estimate needs
BESIDE = 10  # samples that must lie on either side of it: a regression here never extrapolates


@dataclass(frozen=True, eq=False)
class Estimate:
    """A quantity's distribution given x, each (points,).

    Attributes:
        mean, std: conditional mean and standard deviation.
        mean_se, std_se: their standard errors.
        n_samples: effective samples: as many as would give the mean's error if all lay at the point.
        supported: whether they are ``ENOUGH``, with some on either side; where not, the rest is NaN.
    """

    mean: Array
    std: Array
    mean_se: Array
    std_se: Array
    n_samples: Array
    supported: NDArray[np.bool_]


def local_linear(x: Array, y: Array, *, at: Array, width: Array) -> Estimate:
    """The distribution of y given x at some points.

    Around each point a line is fitted to the samples within ``width`` on either side, those nearby weighing
    more (Epanechnikov's kernel); squared departures from it are fitted in the same way. Errors follow from
    the departures themselves (heteroscedastic), so no law is assumed of y.

    Args:
        x, y: the samples.
        at: where, (points,).
        width: the kernel's half width at each point.
    """
    rows = [_at_point(x - point, y, reach) for point, reach in zip(at, width, strict=True)]
    return Estimate(*(np.array(column) for column in zip(*rows, strict=True)))


def extended(estimate: Estimate, at: Array) -> Estimate:
    """The same, each point without support filled from the nearest that has it; ``supported`` as it was.

    Raises:
        ValueError: none has.
    """
    if not estimate.supported.any():
        raise ValueError("no point has support")
    known = np.flatnonzero(estimate.supported)
    source = known[np.argmin(np.abs(at[:, None] - at[known]), axis=1)]
    filled = {
        each.name: getattr(estimate, each.name)[source] for each in fields(Estimate) if each.name[-2:] != "ed"
    }
    return Estimate(**(filled | {"n_samples": estimate.n_samples, "supported": estimate.supported}))


def reaches(at: Array) -> Array:
    """Half widths that suit a grid: the larger distance of each point to its neighbours."""
    gaps = np.diff(at)
    return np.maximum(np.concatenate([gaps[:1], gaps]), np.concatenate([gaps, gaps[-1:]]))


def _at_point(away: Array, y: Array, reach: float) -> tuple[float, float, float, float, float, bool]:
    near = np.abs(away) < reach
    away, y = away[near], y[near]
    lopsided = min(np.count_nonzero(away <= 0), np.count_nonzero(away >= 0)) < BESIDE
    share = np.zeros(0) if lopsided else _shares(away, reach)
    samples = float(1 / (share @ share)) if share.size else 0.0
    if samples < ENOUGH:
        return np.nan, np.nan, np.nan, np.nan, samples, False
    mean = float(share @ y)
    kernel = 1 - (away / reach) ** 2
    slope = (kernel * away) @ (y - mean) / ((kernel * away) @ away)
    square = (y - mean - slope * away) ** 2
    # Two degrees of freedom went into the line; near an edge a line through squares may fall below zero.
    variance = float(share @ square)
    if variance <= 0:
        variance = float(kernel @ square / kernel.sum())
    variance *= samples / (samples - 2)
    mean_se = np.sqrt(np.sum(share**2 * square))
    spread = np.sqrt(np.sum(share**2 * (square - variance) ** 2))
    std = np.sqrt(variance)
    return mean, float(std), float(mean_se), float(spread / (2 * std)) if std > 0 else 0.0, samples, True


def _shares(away: Array, reach: float) -> Array:
    """What each sample counts in the fitted line's value at zero; they add up to one."""
    kernel = 1 - (away / reach) ** 2
    s_0, s_1, s_2 = (float(np.sum(kernel * away**power)) for power in range(3))
    if s_0 * s_2 - s_1**2 <= 1e-12 * s_0 * s_2:
        return kernel / s_0
    return kernel * (s_2 - s_1 * away) / (s_0 * s_2 - s_1**2)
