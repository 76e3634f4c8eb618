"""The ``array_read`` procedure: reading a passive array, against the same array on lines without resistance.

Steady currents come from DC decks: every word line driven alone, which tells each cell by its position, and
all of them together. Energy and settling come from a transient of the whole read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from characterization.definition import Definition, DefinitionError, axis, check_settings, number
from circuits.cell import require_positive
from circuits.passive_array import (
    dc_read_deck,
    measure_dc_read,
    measure_transient_read,
    transient_read_deck,
)
from circuits.passive_array_cell import BACKGROUNDS, ArrayCell
from circuits.passive_array_write import in_states
from spicebridge.crossbar import Junctions, Wiring
from spicebridge.store import Values
from spicebridge.sweep import Ran, Runs, Unit, run_all

_SETTINGS = ("diameter", "r_segment", "background", "v_read", "t_read")
_QUANTITIES = {
    "current": ("A", "current of a bit line with only one word line driven"),
    "ideal_current": ("A", "the same on lines without resistance and leakage"),
    "transmission": ("1", "current over ideal_current"),
    "column_current": ("A", "current of a bit line with all word lines driven"),
    "column_ideal_current": ("A", "the same on lines without resistance and leakage"),
    "column_transmission": ("1", "column_current over column_ideal_current"),
    "settling": ("s", "time until a bit line stays within 2 % of the largest current, all word lines driven"),
    "energy": ("J", "energy of one read with all word lines driven, all rails, edges included"),
}
Array = NDArray[np.float64]


def characterize(definition: Definition[ArrayCell], engine: Runs) -> tuple[xr.Dataset, list[Ran]]:
    """The table's data, NaN where a simulation failed, and the simulations it came from."""
    sweep, cell = definition.sweep, definition.cell
    check_settings(sweep, _SETTINGS, f"{definition.name} sweep")
    diameters, segments = axis("diameter", sweep["diameter"]), axis("r_segment", sweep["r_segment"])
    require_positive("diameter", diameters)
    require_positive("r_segment", segments)
    backgrounds = _backgrounds(sweep["background"])
    v_read, t_read = number("v_read", sweep["v_read"]), number("t_read", sweep["t_read"])

    arrays = [(diameter, background) for diameter in diameters for background in backgrounds]
    points = [(diameter, segment, background) for diameter, background in arrays for segment in segments]
    ideal = [_dc_unit(cell, at, Wiring(), v_read) for at in arrays]
    steady = [_dc_unit(cell, (d, background), cell.wiring(r), v_read) for d, r, background in points]
    timed = [
        _timed_unit(cell, (d, background), cell.wiring(r), v_read, t_read) for d, r, background in points
    ]
    ran = run_all(engine, [*ideal, *steady, *timed])
    wanted = dict(zip(arrays, (each.values for each in ran), strict=False))
    found = {
        point: _filled(wanted[point[0], point[2]], direct.values, transient.values)
        for point, direct, transient in zip(
            points, ran[len(ideal) :], ran[len(ideal) + len(steady) :], strict=False
        )
    }
    return _dataset(cell, diameters, segments, backgrounds, found), ran


def _junctions(cell: ArrayCell, at: tuple[float, str]) -> Junctions:
    return in_states(cell.antiparallel(at[0]), cell.background(at[1]))


def _dc_unit(cell: ArrayCell, at: tuple[float, str], wiring: Wiring, v_read: float) -> Unit:
    """Each word line driven alone, then all together."""
    inputs = v_read * np.concatenate([np.eye(cell.rows), np.ones((1, cell.rows))])
    deck = dc_read_deck(_junctions(cell, at), wiring, voltages=inputs)
    return Unit(deck, measure_dc_read, {"columns": cell.columns})


def _timed_unit(cell: ArrayCell, at: tuple[float, str], wiring: Wiring, v_read: float, t_read: float) -> Unit:
    voltages = np.full(cell.rows, v_read)
    deck = transient_read_deck(
        _junctions(cell, at), wiring, voltages=voltages, t_read=t_read, capacitance=cell.capacitance(at[0])
    )
    arguments = {"voltages": tuple(voltages.tolist()), "columns": cell.columns, "t_read": t_read}
    return Unit(deck, measure_transient_read, arguments)


def _filled(ideal: Values | None, steady: Values | None, timed: Values | None) -> dict[str, Array]:
    """A point's quantities, those of a failed simulation left out."""
    values: dict[str, Array] = {}
    for prefix, part in (("", slice(0, -1)), ("column_", -1)):
        if ideal is not None:
            values[f"{prefix}ideal_current"] = ideal["current"][part]
        if steady is not None:
            values[f"{prefix}current"] = steady["current"][part]
        if ideal is not None and steady is not None:
            values[f"{prefix}transmission"] = steady["current"][part] / ideal["current"][part]
    if timed is not None:
        values |= {name: timed[name] for name in ("settling", "energy")}
    return values


def _dataset(
    cell: ArrayCell,
    diameters: Sequence[float],
    segments: Sequence[float],
    backgrounds: Sequence[str],
    found: Mapping[tuple[float, float, str], Mapping[str, Array]],
) -> xr.Dataset:
    variables = {}
    for name, (units, long_name) in _QUANTITIES.items():
        last = ("row", "column")[_axes_left_out(name) :]
        hole = np.full(
            {"row": cell.shape, "column": (cell.columns,)}.get(last[0] if last else "", ()), np.nan
        )
        values = np.array(
            [
                [[found[d, r, background].get(name, hole) for background in backgrounds] for r in segments]
                for d in diameters
            ]
        )
        attributes = {"units": units, "long_name": long_name}
        variables[name] = (("diameter", "r_segment", "background", *last), values, attributes)
    return xr.Dataset(
        variables,
        coords={
            "diameter": ("diameter", list(diameters), {"units": "m", "long_name": "MTJ diameter"}),
            "r_segment": ("r_segment", list(segments), {"units": "ohm", "long_name": "a cell's line"}),
            "background": ("background", list(backgrounds), {"long_name": "states of the cells"}),
            "row": ("row", np.arange(float(cell.rows)), {"units": "1", "long_name": "word line"}),
            "column": ("column", np.arange(float(cell.columns)), {"units": "1", "long_name": "bit line"}),
        },
    )


def _axes_left_out(name: str) -> int:
    """How many of row and column a quantity is not over."""
    if name == "energy":
        return 2
    return 1 if name == "settling" or name.startswith("column_") else 0


def _backgrounds(value: object) -> list[str]:
    if not isinstance(value, list) or not value or not all(each in BACKGROUNDS for each in value):
        raise DefinitionError(f"background = {value!r} should be a list of some of {', '.join(BACKGROUNDS)}.")
    return value
