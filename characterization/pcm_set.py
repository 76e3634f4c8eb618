"""The ``pcm_set`` procedure: what SET pulses do to a phase-change cell, by conductance and by pulse number.

Many cells, each with draws of its own, are RESET and then get a train of SET pulses. Every pulse of every
cell is a sample: the conductance before it, its number since the RESET, and the change. Regression over the
conductance turns the samples of each pulse number into mean and spread of the change. As these are the
conditional ones, normal draws from the table, pulse after pulse, nearly give back the cells' accumulation
curve, whatever a cell remembers beside its conductance. Nearly: the change after RESET is skewed, so that the
spread of normal draws, cut at the table's least conductance, is a tenth too small after the first pulse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from characterization.definition import Definition, DefinitionError, axis, check_settings, number, whole
from characterization.local_regression import Estimate, extended, local_linear, reaches
from circuits.cell import require_positive
from circuits.pcm_cell import PcmCell
from circuits.pcm_write import Device, Pulse, measure_write, write_deck
from spicebridge.limits import AXIS
from spicebridge.store import Values
from spicebridge.sweep import Ran, Runs, Unit, run_all

DEVICES_PER_DECK = 128
SEEDS = 2**29
_SETTINGS = (
    "i_set", "t_set", "i_reset", "t_reset", "u_start", "pulses", "g", "devices", "first_seed",
)  # fmt: skip
_BY_PULSE = {
    "delta_g_mean": ("S", "mean change of conductance by this SET pulse"),
    "delta_g_std": ("S", "its standard deviation from pulse to pulse and cell to cell"),
    "delta_g_mean_se": ("S", "standard error of delta_g_mean"),
    "delta_g_std_se": ("S", "standard error of delta_g_std"),
    "n_samples": ("1", "effective samples at this conductance"),
    "support": ("1", "1 sampled here, 0 taken from the nearest sampled conductance of this pulse"),
    "energy": ("J", "mean energy of this pulse, all sources, the cell's own share of the word line included"),
    "energy_se": ("J", "standard error of energy"),
    "latency": ("s", "mean time from the word line's control until the cell is cold"),
    "latency_se": ("s", "standard error of latency"),
}
_BY_COUNT = {
    "g_mean": ("S", "mean conductance after so many SET pulses since RESET"),
    "g_std": ("S", "its standard deviation"),
    "g_mean_se": ("S", "standard error of g_mean"),
    "g_std_se": ("S", "standard error of g_std"),
}
_SINGLE = {
    "energy_word_line": ("J", "energy of opening and closing a whole word line once"),
    "n_devices": ("1", "cells simulated"),
}
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What the cells did.

    Attributes:
        g: conductance after RESET and after each SET pulse, (cells, pulses + 1), S.
        energy, latency: of each SET pulse, (cells, pulses), J and s.
        energy_word: a cell's share of the word line in one SET pulse, J.
    """

    g: Array
    energy: Array
    latency: Array
    energy_word: float


def characterize(definition: Definition[PcmCell], engine: Runs) -> tuple[xr.Dataset, list[Ran]]:
    """The table's data and the simulations it came from; cells of a failed one are left out."""
    sweep, cell = definition.sweep, definition.cell
    check_settings(sweep, _SETTINGS, f"{definition.name} sweep")
    pulses = whole("pulses", sweep["pulses"], most=AXIS)
    grid = axis("g", sweep["g"])
    require_positive("g", grid)
    devices = [
        Device(seed=seed, u0=number("u_start", sweep["u_start"]))
        for seed in seeds(sweep["first_seed"], whole("devices", sweep["devices"], least=2, most=AXIS))
    ]
    train = [_pulse(sweep, "reset"), *[_pulse(sweep, "set")] * pulses]
    ran = run_all(engine, write_units(cell, devices, train))
    done = [each.values for each in ran if each.values is not None]
    if not done:
        return _dataset(_holes(pulses, len(grid)), pulses, grid), ran
    return _dataset(_tabulate(_trajectories(done), np.array(grid), cell), pulses, grid), ran


def seeds(first: object, count: int) -> range:
    """The seeds of so many cells, one after the other.

    Raises:
        DefinitionError: they do not lie between 1 and 2^29 - 1.
    """
    start = whole("first_seed", first)
    if start + count > SEEDS:
        raise DefinitionError(f"first_seed = {start} and {count} cells go beyond the largest seed, 2^29 - 1.")
    return range(start, start + count)


def write_units(cell: PcmCell, devices: Sequence[Device], train: Sequence[Pulse]) -> list[Unit]:
    """The decks that give cells a train of pulses."""
    units = []
    for start in range(0, len(devices), DEVICES_PER_DECK):
        batch = devices[start : start + DEVICES_PER_DECK]
        arguments = {
            "devices": len(batch),
            "widths": tuple(pulse.width for pulse in train),
            "v_supply": cell.v_supply,
        }
        units.append(Unit(write_deck(cell, batch, train), measure_write, arguments))
    return units


def _pulse(sweep: Mapping[str, Any], kind: str) -> Pulse:
    return Pulse(*(number(f"{name}_{kind}", sweep[f"{name}_{kind}"]) for name in ("i", "t")))


def _trajectories(done: Sequence[Values]) -> Trajectories:
    """All decks' cells; the RESET's own energy and latency are left to ``pcm_reset``."""
    return Trajectories(
        g=np.concatenate([each["g"] for each in done]),
        energy=np.concatenate([each["energy"] for each in done])[:, 1:],
        latency=np.concatenate([each["latency"] for each in done])[:, 1:],
        energy_word=float(np.mean([each["energy_word"][1:] for each in done])),
    )


def _tabulate(cells: Trajectories, grid: Array, cell: PcmCell) -> dict[str, Array]:
    """All quantities by name."""
    rows = []
    for pulse in range(cells.energy.shape[1]):
        before, after = cells.g[:, pulse], cells.g[:, pulse + 1]
        step = _at_every(grid, before, after - before, pulse)
        energy, latency = (
            _at_every(grid, before, each[:, pulse], pulse) for each in (cells.energy, cells.latency)
        )
        rows.append(
            {
                "delta_g_mean": step.mean,
                "delta_g_std": step.std,
                "delta_g_mean_se": step.mean_se,
                "delta_g_std_se": step.std_se,
                "n_samples": step.n_samples,
                "support": step.supported.astype(float),
                "energy": energy.mean,
                "energy_se": energy.mean_se,
                "latency": latency.mean,
                "latency_se": latency.mean_se,
            }
        )
    values = {name: np.array([row[name] for row in rows]) for name in _BY_PULSE}
    return values | {
        **spread(cells.g, "g"),
        "energy_word_line": np.array(cells.energy_word * cell.columns),
        "n_devices": np.array(len(cells.g)),
    }


def _at_every(grid: Array, g: Array, y: Array, pulse: int) -> Estimate:
    """The regression of one pulse's samples at every grid point, extended where there are none."""
    estimate = local_linear(g, y, at=grid, width=reaches(grid))
    if not estimate.supported.any():
        low, high = np.quantile(g, [0.05, 0.95])
        raise DefinitionError(
            f"no value of g has enough samples before SET pulse {pulse + 1}: 9 of 10 cells are between "
            f"{low * 1e6:.3g} and {high * 1e6:.3g} uS. Give g values in between, or take more devices."
        )
    return extended(estimate, grid)


def spread(samples: Array, name: str) -> dict[str, Array]:
    """Mean and standard deviation over the first axis, with their standard errors: ``<name>_mean`` and so on.

    The error of the standard deviation is from the samples' own fourth moment.
    """
    count = len(samples)
    mean, std = samples.mean(axis=0), samples.std(axis=0, ddof=1)
    fourth = np.mean((samples - mean) ** 4, axis=0)
    error = np.sqrt(np.maximum(fourth - std**4, 0) / count)
    return {
        f"{name}_mean": mean,
        f"{name}_std": std,
        f"{name}_mean_se": std / np.sqrt(count),
        f"{name}_std_se": np.divide(error, 2 * std, out=np.zeros_like(std), where=std > 0),
    }


def _holes(pulses: int, points: int) -> dict[str, Array]:
    shapes = [(_BY_PULSE, (pulses, points)), (_BY_COUNT, (pulses + 1,)), (_SINGLE, ())]
    holes = {name: np.full(shape, np.nan) for names, shape in shapes for name in names}
    return holes | {"n_devices": np.array(0)}


def _dataset(values: Mapping[str, Array], pulses: int, grid: Sequence[float]) -> xr.Dataset:
    dims = [(_BY_PULSE, ("pulse", "g")), (_BY_COUNT, ("pulses",)), (_SINGLE, ())]
    variables = {
        name: (axes, values[name], {"units": units, "long_name": long_name})
        for names, axes in dims
        for name, (units, long_name) in names.items()
    }
    numbers = np.arange(pulses + 1.0)
    count = {"units": "1", "long_name": "SET pulses since RESET"}
    before = {"units": "S", "long_name": "conductance before the pulse, without noise, at t_0"}
    return xr.Dataset(
        variables,
        coords={
            "pulse": (
                "pulse",
                numbers[1:],
                {"units": "1", "long_name": "number of the SET pulse since RESET"},
            ),
            "g": ("g", list(grid), before),
            "pulses": ("pulses", numbers, count),
        },
    )
