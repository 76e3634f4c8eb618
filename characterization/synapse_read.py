"""The ``synapse_read`` procedure: a 4T2MTJ synapse's reads as current, energy, settling time and disturb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from characterization.definition import Definition, axis, check_settings
from characterization.load_line import load_line_unit, make_load_line
from circuits.cell import DIRECTIONS, Cell, require_positive, start_state
from circuits.ternary_synapse import ACTIVATIONS, STATES, measure_read, read_deck
from spicebridge.sweep import Ran, Runs, Unit, run_all

_QUANTITIES = {
    "current": ("A", "current into the column's virtual ground as the read ends"),
    "energy": ("J", "energy of one read, all rails, edges included"),
    "settling": ("s", "time until the current stays within 2 % of full scale"),
    "p_disturb": ("1", "probability that the read flips one of the MTJs, Fokker-Planck over the load line"),
    "p_disturb_sequence": (
        "1",
        "probability that reads in sequence, each from the state the last one left, flip one of the MTJs, "
        "Fokker-Planck over the load line",
    ),
}
_SEQUENCE = ("t_gap", "n_reads")
GAPS = [0.3e-9]
"""Rests between reads, s, where a sweep names none: the shortest that the lines' timing leaves. Gates open
0.1 ns before and close 0.1 ns after u, by edges of 20 ps."""
READS = (1, 2, 3, 4, 5, 6, 7, 8, 64, 128)
"""Lengths of the sequences: the planes of an input, and two to tell what each further read does."""


def characterize(definition: Definition[Cell], engine: Runs) -> tuple[xr.Dataset, list[Ran]]:
    """The table's data, NaN where a simulation failed, and the simulations it came from."""
    what = f"{definition.name} sweep"
    check_settings({"t_gap": GAPS, **definition.sweep}, ("v_read", "t_read", "t_gap"), what)
    voltages = axis("v_read", definition.sweep["v_read"])
    times = axis("t_read", definition.sweep["t_read"])
    gaps = axis("t_gap", definition.sweep.get("t_gap", GAPS))
    require_positive("t_gap", gaps)
    require_positive("v_read", voltages)
    require_positive("t_read", times)
    cell = definition.cell
    units = [
        Unit(
            read_deck(cell, v_read=v, t_read=t),
            measure_read,
            {"v_read": v, "v_gate": cell.v_gate, "t_read": t},
        )
        for v in voltages
        for t in times
    ]
    points = [(direction, v) for v in voltages for direction in DIRECTIONS]
    line_units = [load_line_unit(cell, direction=direction, v_write=v) for direction, v in points]
    ran = run_all(engine, [*units, *line_units])
    lines = {
        point: make_load_line(each.unit.deck, each.values, direction=point[0], temperature=cell.temperature)
        for point, each in zip(points, ran[len(units) :], strict=True)
        if each.values is not None
    }
    values = {}
    hole = np.full((len(STATES), len(ACTIVATIONS)), np.nan)
    for name in ("current", "energy", "settling"):
        measured = np.array(
            [hole if each.values is None else each.values[name] for each in ran[: len(units)]]
        )  # (v_read * t_read, state, activation)
        shape = (len(voltages), len(times), len(STATES), len(ACTIVATIONS))
        values[name] = np.moveaxis(measured.reshape(shape), (2, 3), (0, 1))
    alone = {point: line.switching_probability(times) for point, line in lines.items()}
    in_sequence = {
        point: np.array(
            [[line.disturb_of_reads(t_read=time, t_gap=gap, reads=READS) for gap in gaps] for time in times]
        )
        for point, line in lines.items()
    }
    values["p_disturb"] = _of_either(alone, voltages, (len(times),))
    values["p_disturb_sequence"] = _of_either(in_sequence, voltages, (len(times), len(gaps), len(READS)))
    variables = {
        name: (
            ("state", "activation", "v_read", "t_read", *(_SEQUENCE if name.endswith("sequence") else ())),
            values[name],
            {"units": unit, "long_name": long_name}
            | ({"scale": "log(-log)"} if name.startswith("p_disturb") else {}),
        )
        for name, (unit, long_name) in _QUANTITIES.items()
    }
    data = xr.Dataset(
        variables,
        coords={
            "state": ("state", list(STATES), {"long_name": "states of MTJ 1 and MTJ 2"}),
            "activation": ("activation", list(ACTIVATIONS), {"long_name": "activation: sign of e1"}),
            "v_read": ("v_read", list(voltages), {"units": "V", "long_name": "swing of line u"}),
            "t_read": ("t_read", list(times), {"units": "s", "long_name": "read width at half height"}),
            "t_gap": ("t_gap", list(gaps), {"units": "s", "long_name": "rest between two reads"}),
            "n_reads": ("n_reads", [float(each) for each in READS], {"long_name": "reads in sequence"}),
        },
    )
    return data, ran


def _of_either(
    flips: Mapping[tuple[str, float], NDArray[np.float64]], voltages: Sequence[float], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """P(either MTJ flips), (state, activation, v_read, *shape), from P of one by direction and voltage.

    A driven MTJ is at risk only in the state that its drive leads away from. NaN where the load
    line is missing.
    """
    result = np.zeros((len(STATES), len(ACTIVATIONS), len(voltages), *shape))
    for row, states in enumerate(STATES.values()):
        for column, activation in enumerate(ACTIVATIONS.values()):
            for place, v in enumerate(voltages):
                if any((direction, v) not in flips for direction in DIRECTIONS):
                    result[row, column, place] = np.nan
                    continue
                log_stay = np.zeros(shape)
                for mz, drive in zip(states, (activation, -activation), strict=True):
                    direction = "ap_to_p" if drive > 0 else "p_to_ap"
                    if drive and mz == start_state(direction):
                        log_stay = log_stay + np.log1p(-np.minimum(flips[direction, v], 1 - 2.0**-53))
                result[row, column, place] = 0.0 - np.expm1(log_stay)
    return result
