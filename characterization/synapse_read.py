"""The ``synapse_read`` procedure: a 4T2MTJ synapse's reads as current, energy and settling time."""

from __future__ import annotations

import numpy as np
import xarray as xr

from characterization.definition import Definition, axis, check_settings
from circuits.ternary_synapse import ACTIVATIONS, STATES, measure_read, read_deck
from spicebridge.sweep import Engine, Unit

_QUANTITIES = {
    "current": ("A", "current into the column's virtual ground as the read ends"),
    "energy": ("J", "energy of one read, all rails, edges included"),
    "settling": ("s", "time until the current stays within 2 % of full scale"),
}


def characterize(definition: Definition, engine: Engine) -> tuple[xr.Dataset, list[Unit]]:
    """The table's data and the simulations it came from."""
    check_settings(definition.sweep, ("v_read", "t_read"), f"{definition.name} sweep")
    voltages = axis("v_read", definition.sweep["v_read"])
    times = axis("t_read", definition.sweep["t_read"])
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
    results = engine.run(units)
    variables = {}
    for name, (unit, long_name) in _QUANTITIES.items():
        values = np.array([each[name] for each in results])  # (v_read * t_read, state, activation)
        values = values.reshape(len(voltages), len(times), len(STATES), len(ACTIVATIONS))
        variables[name] = (
            ("state", "activation", "v_read", "t_read"),
            np.moveaxis(values, (2, 3), (0, 1)),
            {"units": unit, "long_name": long_name},
        )
    data = xr.Dataset(
        variables,
        coords={
            "state": ("state", list(STATES), {"long_name": "states of MTJ 1 and MTJ 2"}),
            "activation": ("activation", list(ACTIVATIONS), {"long_name": "activation: sign of e1"}),
            "v_read": ("v_read", list(voltages), {"units": "V", "long_name": "swing of line u"}),
            "t_read": ("t_read", list(times), {"units": "s", "long_name": "read width at half height"}),
        },
    )
    return data, units
