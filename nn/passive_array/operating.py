"""What the tables say of the arrays: their lines and devices, every pulse's odds, the best write point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nn.arrays import Floats
from nn.passive_array.cells import Device, draw_cells
from nn.passive_array.experiment import ArrayExperiment
from nn.passive_array.placement import Placement, place
from nn.passive_array.writing import PulsedWriting
from nn.tables import refuse_missing
from spicebridge.crossbar import Wiring
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

DIRECTIONS = ("p_to_ap", "ap_to_p")  # in the order of nn.passive_array.writing.TO_AP, TO_P
ROLES = ("success", "row_disturb", "column_disturb", "rest_disturb")
V_STEP = 0.02  # V, between the write voltages that are tried
PATTERNS = 32  # random arrays that a write voltage is tried on
PATTERN_SEED = 10**9  # theirs count up from here: no solution's luck decides on its own write point


@dataclass(frozen=True, kw_only=True)
class WritePoint:
    """Where an array is written.

    Attributes:
        scheme: ``half`` (V/2) or ``third`` (V/3).
        diameter: of the junctions (m).
        v_write: between the drivers of the selected cell (V).
        t_pulse: of the pulse (s).
        predicted: write fidelity on random patterns, by which the voltage was chosen.
        at_end: whether the voltage is one of the table's ends, beyond which a better one may lie.
    """

    scheme: str
    diameter: float
    v_write: float
    t_pulse: float
    predicted: float
    at_end: bool


@dataclass(frozen=True, eq=False)
class Arrays:
    """The tables of one experiment, found to be of the same array.

    Attributes:
        experiment: what is studied.
        write, read: ``array_write`` and ``array_read``.
        device: the junctions, of the experiment's main diameter and spread.
        wiring: the lines.
    """

    experiment: ArrayExperiment
    write: LookupTable
    read: LookupTable
    device: Device
    wiring: Wiring

    def of(self, diameter: float) -> Device:
        """The same junctions at another diameter (m)."""
        return replace(self.device, diameter=diameter)


def arrays_of(experiment: ArrayExperiment, tables: Mapping[str, LookupTable]) -> Arrays:
    """The arrays that an experiment's tables describe.

    Raises:
        SpicebridgeError: a table is missing, they are of different arrays, or do not hold the experiment's
            diameters, schemes, line resistance or read voltage.
    """
    names = experiment.tables
    refuse_missing(experiment.name, names.names, tables)
    write, read = tables[names.write], tables[names.read]
    _check_kind(write, {*ROLES, "energy"}, names.write)
    _check_kind(read, {"transmission", "energy"}, names.read)
    cell = write.lineage["cell"]
    for key in ("cell", "parameters"):
        if write.lineage[key] != read.lineage[key] and not experiment.allow_mixed_elements:
            raise SpicebridgeError(
                f"tables {names.write} and {names.read} are of different arrays: their {key} differs. Make "
                f"both anew with the same settings: spicebridge characterize {names.write} {names.read}"
            )
    _check_axis(read, "r_segment", [experiment.r_segment], names.read)
    _check_same(experiment.r_segment, write.lineage["sweep"]["r_segment"], "r_segment", names.write)
    _check_same(experiment.v_read, read.lineage["sweep"]["v_read"], "v_read", names.read)
    for each, name in ((write, names.write), (read, names.read)):
        _check_axis(each, "diameter", experiment.diameters, name)
    _check_axis(write, "scheme", experiment.schemes, names.write)
    _check_axis(write, "t_pulse", [experiment.t_pulse], names.write)
    known = {name: each["value"] for name, each in write.lineage["parameters"].items()}
    return Arrays(
        experiment=experiment,
        write=write,
        read=read,
        device=Device(
            diameter=experiment.diameter,
            ra=known["ra"],
            tmr=known["tmr"],
            v_h=known["v_h"],
            spread=experiment.spread,
        ),
        wiring=Wiring(
            r_word=experiment.r_segment,
            r_bit=experiment.r_segment,
            r_source=cell["r_driver"],
            r_sense=cell["r_driver"],
            g_leak_word=cell["g_leak"],
            g_leak_bit=cell["g_leak"],
        ),
    )


def _check_kind(table: LookupTable, quantities: set[str], name: str) -> None:
    missing = sorted(quantities - set(table.quantities))
    lacking = [key for key in ("cell", "parameters", "sweep") if key not in table.lineage]
    if missing or lacking:
        raise SpicebridgeError(
            f"table {name} is not one of a passive array: it lacks {', '.join(missing + lacking)}."
        )


def _check_axis(table: LookupTable, axis: str, wanted: Sequence[Any], name: str) -> None:
    held = table.data[axis].values.tolist() if axis in table.data.coords else []
    for value in wanted:
        close = value in held or (
            not isinstance(value, str) and np.isclose(held, value, rtol=1e-6, atol=0.0).any()
        )
        if not close:
            raise SpicebridgeError(
                f"table {name} has no {axis} of {value}. It has: {', '.join(map(str, held)) or 'none'}. "
                f"Characterise it, or change the experiment."
            )


def _check_same(wanted: float, found: float, key: str, name: str) -> None:
    if not np.isclose(wanted, found, rtol=1e-6, atol=0.0):
        raise SpicebridgeError(
            f"the experiment's {key} is {wanted:g}, but table {name} was made at {found:g}. "
            f"Make the table anew, or set {key}={found:g}."
        )


def writing_at(
    arrays: Arrays,
    placement: Placement,
    seeds: Sequence[int],
    *,
    scheme: str,
    diameter: float,
    v_write: float,
) -> PulsedWriting:
    """Pulses with the table's odds, each cell's own switching voltage counted.

    A cell whose switching voltage is x times the nominal one sees v_write as a nominal cell sees v_write / x;
    beyond the table's voltages it counts as at their end. Its other properties enter as nominal.
    """
    device = arrays.of(diameter)
    cells = draw_cells(seeds, placement, device)
    return _pulses(_one_kind(arrays, scheme, diameter), v_write * device.v_switch / cells.v_switch)


def _one_kind(arrays: Arrays, scheme: str, diameter: float) -> LookupTable:
    """The write table at one scheme, diameter and width: fewer axes are read in a fraction of the time."""
    at = {"diameter": diameter, "t_pulse": arrays.experiment.t_pulse}
    data = arrays.write.data[list(ROLES)].sel(scheme=scheme, drop=True)
    return replace(arrays.write, data=data.sel(at, method="nearest", drop=True))


def _pulses(table: LookupTable, v_seen: Floats) -> PulsedWriting:
    """Pulses that each cell (solutions, arrays, rows, columns) sees as a nominal one sees ``v_seen`` (V)."""
    axis = table.data["v_write"].values
    v_within = np.clip(v_seen, axis[0], axis[-1])
    rows, columns = np.indices(v_seen.shape[-2:])

    def odds(role: str) -> Floats:
        return np.stack(
            [
                table.read(role, direction=direction, v_write=v_within, row=rows, column=columns)
                for direction in DIRECTIONS
            ]
        )

    success, row, column, rest = map(odds, ROLES)
    return PulsedWriting(success, row, column, rest)


def best_point(arrays: Arrays, *, scheme: str, diameter: float) -> WritePoint:
    """The write voltage of highest mean fidelity on random patterns; of equal ones the lowest.

    Nothing of the data set has part in it: random targets, random cells, the table.
    """
    experiment = arrays.experiment
    placement = _whole_array(arrays)
    axis = arrays.write.data["v_write"].values
    tried = np.linspace(axis[0], axis[-1], round((axis[-1] - axis[0]) / V_STEP) + 1)
    seeds = range(PATTERN_SEED, PATTERN_SEED + PATTERNS)
    shape = (PATTERNS, placement.arrays, placement.rows, placement.columns)
    wanted = np.random.default_rng(PATTERN_SEED).random(shape) < 0.5
    device = arrays.of(diameter)
    share = device.v_switch / draw_cells(seeds, placement, device).v_switch
    table = _one_kind(arrays, scheme, diameter)
    fidelity = [float(np.mean(_pulses(table, volts * share)(wanted, seeds) == wanted)) for volts in tried]
    best = int(np.argmax(fidelity))
    return WritePoint(
        scheme=scheme,
        diameter=diameter,
        v_write=round(float(tried[best]), 9),
        t_pulse=experiment.t_pulse,
        predicted=fidelity[best],
        at_end=best in (0, len(tried) - 1),
    )


def _whole_array(arrays: Arrays) -> Placement:
    """One array of the tables' size; what lies where in it does not matter here."""
    cell = arrays.write.lineage["cell"]
    return replace(
        place(inputs=1, hidden=1, classes=1, scheme="reference", rows=cell["rows"], columns=cell["columns"]),
    )
