"""The ``pcm_reset`` procedure: the conductance that a RESET leaves, by the conductance it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from characterization.definition import Definition, DefinitionError, axis, check_settings, number, whole
from characterization.pcm_set import SEEDS, spread, write_units
from characterization.pcm_state import state_unit, thicknesses
from circuits.cell import require_positive
from circuits.pcm_cell import PcmCell
from circuits.pcm_write import Device, Pulse
from spicebridge.limits import AXIS
from spicebridge.sweep import Ran, Runs, run_all

SEEDS_PER_POINT = 4096
_SETTINGS = ("i_reset", "t_reset", "g", "devices", "first_seed")
_QUANTITIES = {
    "g_after_mean": ("S", "mean conductance after RESET"),
    "g_after_std": ("S", "its standard deviation from pulse to pulse and cell to cell"),
    "g_after_mean_se": ("S", "standard error of g_after_mean"),
    "g_after_std_se": ("S", "standard error of g_after_std"),
    "energy": ("J", "mean energy of the pulse, all sources, the cell's own share of the word line included"),
    "energy_se": ("J", "standard error of energy"),
    "latency": ("s", "mean time from the word line's control until the cell is cold"),
    "latency_se": ("s", "standard error of latency"),
    "n_devices": ("1", "cells simulated"),
}
Array = NDArray[np.float64]


def characterize(definition: Definition[PcmCell], engine: Runs) -> tuple[xr.Dataset, list[Ran]]:
    """The table's data, NaN where all simulations failed, and the simulations it came from."""
    sweep, cell = definition.sweep, definition.cell
    check_settings(sweep, _SETTINGS, f"{definition.name} sweep")
    grid = axis("g", sweep["g"])
    require_positive("g", grid)
    count = whole("devices", sweep["devices"], least=2, most=AXIS)
    train = [Pulse(number("i_reset", sweep["i_reset"]), number("t_reset", sweep["t_reset"]))]
    state = run_all(engine, [state_unit(cell, seed=0)])
    if state[0].values is None:
        return _dataset([_summary([])] * len(grid), grid), state
    starts = thicknesses(state[0].values, grid, what=definition.name)
    units = [
        write_units(cell, _devices(sweep["first_seed"], g, u0, count), train)
        for g, u0 in zip(grid, starts, strict=True)
    ]
    ran = run_all(engine, [unit for each in units for unit in each])
    results = iter(ran)
    rows = [_summary([next(results) for _ in each]) for each in units]
    return _dataset(rows, grid), [*state, *ran]


def _devices(first: object, g: float, u0: float, count: int) -> list[Device]:
    """Cells whose seeds are the same whatever else the table holds: every nS owns a block of them."""
    block = round(g * 1e9)
    start = whole("first_seed", first) + SEEDS_PER_POINT * block
    if count > SEEDS_PER_POINT or start + count > SEEDS:
        raise DefinitionError(
            f"{count} devices at {g * 1e6:g} uS do not fit a table's seeds: at most {SEEDS_PER_POINT} at "
            "one conductance, and below 2^29 in all."
        )
    return [Device(seed=seed, u0=u0) for seed in range(start, start + count)]


def _summary(ran: Sequence[Ran]) -> dict[str, float]:
    """One starting conductance's quantities."""
    done = [each.values for each in ran if each.values is not None]
    if not done:
        return dict.fromkeys(_QUANTITIES, np.nan) | {"n_devices": 0}
    g = np.concatenate([each["g"][:, -1] for each in done])
    found = {name: float(value) for name, value in spread(g, "g_after").items()}
    for name in ("energy", "latency"):
        values = np.concatenate([each[name][:, -1] for each in done])
        found |= {name: float(values.mean()), f"{name}_se": float(values.std(ddof=1) / np.sqrt(values.size))}
    return found | {"n_devices": g.size}


def _dataset(rows: Sequence[Mapping[str, float]], grid: Sequence[float]) -> xr.Dataset:
    before = {"units": "S", "long_name": "conductance of the typical cell before, without noise, at t_0"}
    return xr.Dataset(
        {
            name: ("g", [row[name] for row in rows], {"units": units, "long_name": long_name})
            for name, (units, long_name) in _QUANTITIES.items()
        },
        coords={"g": ("g", list(grid), before)},
    )
