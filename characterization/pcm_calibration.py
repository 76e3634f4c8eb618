"""Calibration of the PCM compact model to the published statistics of SET pulses.

Least squares on a population of cells in the replica (``pcm_model``), the same draws in every evaluation, so
that the residuals are smooth in the parameters and a fit is the same each time. ``python -m
characterization.pcm_calibration`` fits from the committed set and prints the parameters and how they do.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from characterization.pcm_model import PcmCell, Pulse, accumulated, read_cell
from spicebridge.pcm_statistics import PublishedModel
from spicebridge.project import netlists_folder

Array = NDArray[np.float64]

PARAMETER_SET = "devices/pcm_90nm.lib"
RESET = Pulse(440e-6, 100e-9)  # the chip's lasts 1 us; the cap has its size, to 0.03 nm, after 60 ns
SET = Pulse(90e-6, 50e-9)
TARGETS = (1, 2, 3, 5, 10, 20, 50)  # pulses after which G is compared
# The chip's curves for 50 to 100 uA are drawn on an axis that ends at 12 uS: so far do 50 pulses of the
# strongest take the mean, to about 5 %. Sebastian et al. 2017; the curves themselves could not be read.
STRONG, STRONG_MEAN, STRONG_CELLS = Pulse(100e-6, 50e-9), 11.5e-6, 256
MAP_ROWS = (1, 2, 5, 9, 19, 35)  # pulses before the one whose change is compared
MAP_CENTRES = np.array([1.0, 2.5, 4.0, 6.0, 8.0, 10.0, 13.0]) * 1e-6  # S
MAP_WIDTH = 0.7e-6  # S, of the Gaussian window around a centre
FEWEST = 25.0  # cells in a window, below which it says too little
PUBLISHED_DEVICES, PUBLISHED_SEED = 40_000, 2018
CELLS = 2048  # seeds 1 to CELLS
# What is fitted, with bounds in SI units.
FREE: dict[str, tuple[float, float]] = {
    "r_th": (1.5e6, 5e6),
    "e_on": (0.5e7, 6e7),
    "v_growth": (0.05, 0.6),
    "t_growth": (740.0, 770.0),
    "w_cold": (20.0, 150.0),
    "r_amorphous": (50.0, 5000.0),
    "u_decay": (2e-9, 8e-9),
    "r_melt": (20e-9, 60e-9),
    "u_stall": (0e-9, 40e-9),
    "w_stall": (0.5e-9, 10e-9),
    "a_fresh": (0.0, 5.0),
    "k_fresh": (0.5, 10.0),
    "d2d_e_on": (1e-4, 0.3),
    "c2c_e_on": (1e-4, 0.3),
    "c2c_growth": (1e-3, 1.0),
    "c2c_g": (1e-3, 4.0),
    "tau_structure": (50e-9, 5e-6),
}


@dataclass(frozen=True)
class Weights:
    """One over the departure that counts as one, of each kind of residual.

    Attributes:
        mean, spread: of the accumulation curve, relative.
        late: the same after 50 pulses, beyond what must hold.
        map_mean: of the mean change, per S.
        map_spread: of its spread, relative.
        reset: of the mean conductance after RESET, of its logarithm.
        strong: of the mean after 50 strong pulses, of its logarithm.
    """

    mean: float = 1 / 0.02
    spread: float = 1 / 0.03
    late: float = 1 / 0.06
    map_mean: float = 1 / 0.2e-6
    map_spread: float = 1 / 0.3
    reset: float = 1 / 0.1
    strong: float = 1 / 0.05


def published_accumulation() -> tuple[Array, Array]:
    """Mean and spread in S of the published model at ``TARGETS``."""
    rng = np.random.default_rng(PUBLISHED_SEED)
    g = PublishedModel().accumulation(pulses=max(TARGETS), devices=PUBLISHED_DEVICES, rng=rng)
    return g[:, TARGETS].mean(axis=0), g[:, TARGETS].std(axis=0)


def map_departures(g: Array) -> tuple[Array, Array]:
    """How the changes in curves ``g`` (devices, pulses + 1) depart from the published law at the same G.

    Returns:
        Mean change less the published mean (S), and spread over the published spread less one, each of shape
        (MAP_ROWS, MAP_CENTRES), NaN where a window holds too few cells. Windows are smooth.
    """
    law = PublishedModel()
    mean = np.full((len(MAP_ROWS), MAP_CENTRES.size), np.nan)
    spread = mean.copy()
    for row, pulses in enumerate(MAP_ROWS):
        before, after = g[:, pulses], g[:, pulses + 1]
        wanted_mean, wanted_spread = law.change(before, pulses + 1)
        excess = after - before - wanted_mean
        for column, centre in enumerate(MAP_CENTRES):
            weight = np.exp(-0.5 * ((before - centre) / MAP_WIDTH) ** 2)
            if weight.sum() < FEWEST:
                continue
            bias = np.average(excess, weights=weight)
            variance = np.average((excess - bias) ** 2, weights=weight)
            mean[row, column] = bias
            spread[row, column] = np.sqrt(variance / np.average(wanted_spread**2, weights=weight)) - 1
    return mean, spread


def population(cell: PcmCell, *, cells: int = CELLS, pulses: int = max(TARGETS)) -> Array:
    """Conductances in S of cells after RESET and 1, 2, ... pulses, shape (cells, pulses + 1)."""
    return accumulated(cell, np.arange(1, cells + 1), reset=RESET, pulse=SET, pulses=pulses)[1]


def residuals(
    cell: PcmCell, published: tuple[Array, Array], *, cells: int = CELLS, weights: Weights | None = None
) -> Array:
    """Departures of a population from the published statistics, weighted."""
    scale = weights or Weights()
    g = population(cell, cells=cells)
    at = g[:, TARGETS]
    mean, spread = at.mean(axis=0) / published[0] - 1, at.std(axis=0) / published[1] - 1
    map_mean, map_spread = map_departures(g)
    # A window that holds too few cells says nothing; its place stays, so that the number of residuals does.
    return np.concatenate(
        [
            mean[:-1] * scale.mean,
            spread[:-1] * scale.spread,
            np.array([mean[-1], spread[-1]]) * scale.late,
            np.nan_to_num(map_mean.ravel()) * scale.map_mean,
            np.nan_to_num(map_spread.ravel()) * scale.map_spread,
            [np.log(g[:, 0].mean() / PublishedModel().reset_mean) * scale.reset],
            [np.log(_strong(cell) / STRONG_MEAN) * scale.strong],
        ]
    )


def calibrate(
    start: PcmCell,
    *,
    free: Mapping[str, tuple[float, float]] = FREE,
    cells: int = CELLS,
    evaluations: int = 20,
    weights: Weights | None = None,
) -> tuple[PcmCell, OptimizeResult]:
    """The cell that fits best, from ``start``; parameters are scaled by their start."""
    published = published_accumulation()
    names = list(free)
    scale = np.array([max(getattr(start, name), 1e-3 * free[name][1]) for name in names])
    low, high = (np.array([free[name][side] for name in names]) / scale for side in (0, 1))

    def departures(x: Array) -> Array:
        cell = replace(start, **dict(zip(names, (x * scale).tolist(), strict=True)))
        return residuals(cell, published, cells=cells, weights=weights)

    first = np.clip(np.array([getattr(start, name) for name in names]) / scale, low * 1.001, high * 0.999)
    found = least_squares(
        departures, first, bounds=(low, high), diff_step=2e-3, max_nfev=evaluations, x_scale=0.1
    )
    return replace(start, **dict(zip(names, (found.x * scale).tolist(), strict=True))), found


def summary(cell: PcmCell, *, cells: int = CELLS) -> str:
    """What the replica gives beside what is published, and the values of the fitted parameters, as text."""
    mean, spread = published_accumulation()
    g = population(cell, cells=cells)
    at = g[:, TARGETS]
    rows = [f"{cells} cells; conductances in uS", "pulses   mean published  ratio   spread published  ratio"]
    for index, pulses in enumerate(TARGETS):
        each, wide = at[:, index].mean(), at[:, index].std()
        rows.append(
            f"{pulses:6d} {each * 1e6:6.2f} {mean[index] * 1e6:9.2f} {each / mean[index]:6.3f}"
            f" {wide * 1e6:8.2f} {spread[index] * 1e6:9.2f} {wide / spread[index]:6.3f}"
        )
    rows.append(f"after RESET {g[:, 0].mean() * 1e6:.3f}; after 50 of 100 uA {_strong(cell) * 1e6:.2f}")
    bias, wider = map_departures(g)
    for title, values, unit in (("mean", bias, 1e6), ("spread, relative", wider, 1)):
        centres = "".join(f"{centre * 1e6:7.1f}" for centre in MAP_CENTRES)
        rows += [
            f"change per pulse less published, {title}: pulses before, by conductance",
            f"      {centres}",
        ]
        for pulses, line in zip(MAP_ROWS, values * unit, strict=True):
            rows.append(f"{pulses:6d}" + "".join(f"{value:7.2f}" for value in line))
    rows += [f"{name}={getattr(cell, name):.4g}" for name in FREE]
    return "\n".join(rows)


def _strong(cell: PcmCell) -> float:
    g = accumulated(cell, np.arange(1, STRONG_CELLS + 1), reset=RESET, pulse=STRONG, pulses=max(TARGETS))[1]
    return float(g[:, -1].mean())


def main() -> None:
    """Fit from the committed parameter set and print the outcome."""
    start = read_cell(netlists_folder() / PARAMETER_SET)
    fitted, found = calibrate(start)
    sys.stdout.write(f"committed: {summary(start)}\n\n")
    sys.stdout.write(f"fitted, cost {found.cost:.2f}, {found.message}: {summary(fitted)}\n")


if __name__ == "__main__":
    main()
