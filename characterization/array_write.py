"""The ``array_write`` procedure: writing one cell of a passive array, and what that does to the others.

Decks of the whole array give the voltage over every cell for every selected one; a cell's two states give the
resistance that the rest of the array is in series with it. Over that load line the MTJ's own stochastic
switching, by Fokker-Planck, gives the probabilities. At a few points whole arrays of MTJs with thermal noise
are pulsed, and what became of them stands beside what the table expects of the same cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from characterization.array_drive import (
    Array,
    Condition,
    Drive,
    dc_unit,
    edge_unit,
    half_selected,
    make_drive,
)
from characterization.array_samples import ROLES, add_samples, live_units, read_sampled, spread_cells
from characterization.array_switching import T_KEPT, SwitchingLaw
from characterization.definition import Definition, DefinitionError, axis, check_settings, number
from circuits.cell import DIRECTIONS, require_positive, start_state
from circuits.passive_array_cell import ArrayCell
from circuits.passive_array_write import SCHEMES
from spicebridge.sweep import Ran, Runs, run_all

_SETTINGS = ("scheme", "diameter", "r_segment", "v_write", "t_pulse", "sampled", "pulses")


def characterize(definition: Definition[ArrayCell], engine: Runs) -> tuple[xr.Dataset, list[Ran]]:
    """The table's data, NaN where a simulation failed, and the simulations it came from."""
    sweep, cell = definition.sweep, definition.cell
    check_settings(sweep, _SETTINGS, f"{definition.name} sweep")
    schemes = _schemes(sweep["scheme"])
    diameters, v_write, t_pulse = (axis(name, sweep[name]) for name in ("diameter", "v_write", "t_pulse"))
    for name, values in (("diameter", diameters), ("v_write", v_write), ("t_pulse", t_pulse)):
        require_positive(name, values)
    if any(abs(t / T_KEPT - round(t / T_KEPT)) > 1e-6 for t in t_pulse):
        raise DefinitionError(f"t_pulse = {list(t_pulse)} should be multiples of {T_KEPT:g} s.")
    if min(cell.shape) < 2:
        raise DefinitionError(f"{definition.name}: an array of {cell.shape} has no half-selected cells.")
    r_segment = number("r_segment", sweep["r_segment"])
    conditions = [(scheme, each, v) for scheme in schemes for each in diameters for v in v_write]
    sampled = read_sampled(sweep, cell, conditions, max(t_pulse))

    static = [dc_unit(cell, each, r_segment) for each in conditions]
    edges = [edge_unit(cell, each, r_segment) for each in conditions]
    places = spread_cells(cell, sweep["pulses"])
    live = [unit for each in sampled for unit in live_units(cell, each, r_segment, places)]
    ran = run_all(engine, [*static, *edges, *live])
    drives = {
        condition: make_drive(cell, condition, steady.values, edge.values)
        for condition, steady, edge in zip(
            conditions, ran[: len(static)], ran[len(static) : 2 * len(static)], strict=True
        )
    }
    laws = {
        (diameter, direction): SwitchingLaw(
            cell.card(diameter), direction=direction, t_max=max(t_pulse), temperature=cell.temperature
        )
        for diameter in diameters
        for direction in DIRECTIONS
    }
    data = _dataset(cell, schemes, diameters, v_write, t_pulse, drives, laws)
    add_samples(data, cell, sampled, places, ran[2 * len(static) :], drives, laws)
    return data, ran


def _schemes(value: object) -> list[str]:
    if not isinstance(value, list) or not value or not all(each in SCHEMES for each in value):
        raise DefinitionError(f"scheme = {value!r} should be a list of some of {', '.join(SCHEMES)}.")
    return value


_QUANTITIES: dict[str, tuple[str, str, dict[str, str]]] = {
    "success": ("1", "probability that the selected cell at (row, column) flips", {"scale": "log(-log)"}),
    "row_disturb": (
        "1",
        "probability that a cell flips by a pulse on another of its word line",
        {"scale": "log(-log)"},
    ),
    "column_disturb": (
        "1",
        "probability that a cell flips by a pulse on another of its bit line",
        {"scale": "log(-log)"},
    ),
    "rest_disturb": (
        "1",
        "probability that a cell flips by an opposite pulse on one of another word and bit line",
        {"scale": "log(-log)"},
    ),
    "energy": ("J", "mean energy of one pulse on the cell at (row, column), all rails, edges included", {}),
    "latency": ("s", "median switching time of the selected cell; NaN beyond the longest pulse", {}),
    "v_success": ("V", "voltage over the selected cell in its starting state", {}),
    "v_row": ("V", "mean voltage over a cell half-selected on its word line, in its starting state", {}),
    "v_column": ("V", "mean voltage over a cell half-selected on its bit line, in its starting state", {}),
    "v_rest": ("V", "mean voltage over a cell on neither line, in the way that an opposite pulse flips", {}),
}
_TIMED = ("success", "row_disturb", "column_disturb", "rest_disturb", "energy")


def _dataset(
    cell: ArrayCell,
    schemes: Sequence[str],
    diameters: Sequence[float],
    v_write: Sequence[float],
    t_pulse: Sequence[float],
    drives: Mapping[Condition, Drive | None],
    laws: Mapping[tuple[float, str], SwitchingLaw],
) -> xr.Dataset:
    shape = (len(schemes), len(diameters), len(DIRECTIONS), len(v_write))
    # Four bytes a number: the table is large, and a probability's seventh figure is nobody's.
    values = {
        name: np.full(
            (*shape, *([len(t_pulse)] if name in _TIMED else []), *cell.shape), np.nan, dtype=np.float32
        )
        for name in _QUANTITIES
    }
    times = np.array(t_pulse)
    for at in np.ndindex(*shape):
        scheme, diameter, direction, v = schemes[at[0]], diameters[at[1]], DIRECTIONS[at[2]], v_write[at[3]]
        drive = drives[scheme, diameter, v]
        if drive is not None:
            for name, filled in _filled(drive, laws[diameter, direction], direction, times).items():
                values[name][at] = filled
    axes = ("scheme", "diameter", "direction", "v_write")
    return xr.Dataset(
        {
            name: (
                (*axes, *(("t_pulse",) if name in _TIMED else ()), "row", "column"),
                values[name],
                {"units": units, "long_name": long_name, **more},
            )
            for name, (units, long_name, more) in _QUANTITIES.items()
        },
        coords={
            "scheme": ("scheme", list(schemes), {"long_name": "V/2 or V/3 on the lines not selected"}),
            "diameter": ("diameter", list(diameters), {"units": "m", "long_name": "MTJ diameter"}),
            "direction": ("direction", list(DIRECTIONS), {"long_name": "the way the cell in question flips"}),
            "v_write": ("v_write", list(v_write), {"units": "V", "long_name": "voltage between the drivers"}),
            "t_pulse": ("t_pulse", times, {"units": "s", "long_name": "pulse width at half height"}),
            "row": ("row", np.arange(float(cell.rows)), {"units": "1", "long_name": "word line"}),
            "column": ("column", np.arange(float(cell.columns)), {"units": "1", "long_name": "bit line"}),
            "role": ("role", list(ROLES), {"long_name": "how the pulse reaches the cell in question"}),
        },
    )


def _filled(drive: Drive, law: SwitchingLaw, direction: str, times: Array) -> dict[str, Array]:
    """A condition's quantities in one direction, times before (rows, columns)."""
    start, final = (1, 0) if start_state(direction) > 0 else (0, 1)
    v_selected = law.start_voltage(drive.v_open, drive.r_series)
    over_time = law.probability(v_selected, drive.r_series)  # (rows, columns, times)
    flipped = np.stack([_time_flipped(over_time, law, t) for t in times])
    resting = drive.power[start] * times[:, None, None]
    energy = drive.edges + resting + (drive.power[final] - drive.power[start]) * flipped
    filled = {
        "success": np.stack([_at(over_time, t) for t in times]),
        "energy": energy,
        "latency": _median(over_time),
        "v_success": v_selected,
    }
    v_cell = _cell_voltages(drive, law)
    r_series = np.broadcast_to(drive.r_series, v_cell.shape)
    for name, sign, others in half_selected(drive.r_series.shape):
        count = others.sum(axis=0)
        probability = np.zeros((len(times), *v_cell.shape))
        probability[:, others] = law.probability(sign * v_cell[others], r_series[others], times).T
        filled[f"{name}_disturb"] = probability.sum(axis=1) / count
        filled[f"v_{name}"] = np.where(others, sign * v_cell, 0.0).sum(axis=0) / count
    return filled


def _cell_voltages(drive: Drive, law: SwitchingLaw) -> Array:
    """Voltage over each cell in its starting state for each selected one, (selected, rows, columns), V."""
    return law.start_voltage(drive.v_open_cell, np.broadcast_to(drive.r_series, drive.v_open_cell.shape))


def _at(over_time: Array, t: float) -> Array:
    """Probabilities at one time, s."""
    return over_time[..., round(t / T_KEPT)]


def _time_flipped(over_time: Array, law: SwitchingLaw, t: float) -> Array:
    """How long a cell has been flipped by ``t``, on average, s."""
    seen = law.times <= t * (1 + 1e-9)
    return np.asarray(np.trapezoid(over_time[..., seen], law.times[seen], axis=-1))


def _median(over_time: Array) -> Array:
    """When half have flipped, s; NaN where that is later than all times."""
    after = np.argmax(over_time >= 0.5, axis=-1)
    upper = np.take_along_axis(over_time, after[..., None], axis=-1)[..., 0]
    lower = np.take_along_axis(over_time, np.maximum(after - 1, 0)[..., None], axis=-1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (0.5 - lower) / (upper - lower)
    return np.where(upper >= 0.5, (after - 1 + share) * T_KEPT, np.nan)
