"""Small tables of a passive array of known content, with the dims and the lineage of characterised ones.

A cell flips in one pulse with probability exp(-exp((0.42 V - v) / 45 mV)), which interpolates exactly: all
that is selected or half-selected follows from its voltage, which falls towards the far end of the lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spicebridge.table import LookupTable

DIAMETERS = (40e-9, 100e-9)
SCHEMES = {"half": (1 / 2, 0.0), "third": (1 / 3, 1 / 3)}
V_WRITE = np.linspace(0.3, 1.0, 15)
T_PULSE = (10e-9, 20e-9)
LINEAGE: dict[str, Any] = {
    "procedure": "array_test",
    "size": "quick",
    "samples": 0,
    "cell": {"rows": 15, "columns": 15, "r_driver": 50.0, "g_leak": 1e-6, "mtj": "mtj_array"},
    "sweep": {"r_segment": 5.0, "v_read": 0.15, "t_read": 0.5e-9},
    "parameters": {
        "ra": {"value": 1e-11, "unit": "ohm m^2", "source": "assumed"},
        "tmr": {"value": 1.0, "unit": "1", "source": "assumed"},
        "v_h": {"value": 0.5, "unit": "V", "source": "assumed"},
    },
}
PULSE_ENERGY, READ_ENERGY = 1e-12, {"all_p": 200e-15, "all_ap": 100e-15, "checkerboard": 150e-15}


def flips(v: np.ndarray) -> np.ndarray:
    """Probability that a cell with ``v`` (V) over it flips in one pulse."""
    return np.exp(-np.exp((0.42 - v) / 0.045))


def write_table(**lineage: Any) -> LookupTable:
    """An ``array_write`` table; ``lineage`` replaces parts of it."""
    row, column = np.indices((15, 15))
    reach = 1 - 0.003 * (14 - row + column)  # of the voltage at the cell
    shape = (len(SCHEMES), len(DIAMETERS), 2, len(V_WRITE), len(T_PULSE), 15, 15)
    found = {name: np.zeros(shape) for name in ("success", "row_disturb", "column_disturb", "rest_disturb")}
    for number, (half, rest) in enumerate(SCHEMES.values()):
        volts = V_WRITE[:, None, None, None] * reach
        for name, share in (
            ("success", 1.0),
            ("row_disturb", half),
            ("column_disturb", half),
            ("rest_disturb", rest),
        ):
            found[name][number] = flips(share * volts)
    axes = ("scheme", "diameter", "direction", "v_write", "t_pulse", "row", "column")
    probability = {"units": "1", "scale": "log(-log)"}
    data = xr.Dataset(
        {name: (axes, values, probability) for name, values in found.items()}
        | {"energy": (axes, np.full(shape, PULSE_ENERGY), {"units": "J"})},
        coords={
            "scheme": list(SCHEMES),
            "diameter": ("diameter", list(DIAMETERS), {"units": "m"}),
            "direction": ["ap_to_p", "p_to_ap"],
            "v_write": ("v_write", V_WRITE, {"units": "V"}),
            "t_pulse": ("t_pulse", list(T_PULSE), {"units": "s"}),
            "row": ("row", np.arange(15.0), {"units": "1"}),
            "column": ("column", np.arange(15.0), {"units": "1"}),
        },
    )
    return LookupTable(data=data, name="array_write", lineage=LINEAGE | lineage, origin={})


def read_table(**lineage: Any) -> LookupTable:
    """An ``array_read`` table; ``lineage`` replaces parts of it."""
    row, column = np.indices((15, 15))
    drop = np.array([0.005, 0.02])[:, None, None, None, None] * (15 - row + column)
    shape = (len(DIAMETERS), 2, len(READ_ENERGY), 15, 15)
    axes = ("diameter", "r_segment", "background", "row", "column")
    energy = np.broadcast_to(np.array(list(READ_ENERGY.values())), shape[:3])
    data = xr.Dataset(
        {
            "transmission": (axes, np.broadcast_to(1 - drop, shape), {"units": "1"}),
            "energy": (axes[:3], energy, {"units": "J"}),
        },
        coords={
            "diameter": ("diameter", list(DIAMETERS), {"units": "m"}),
            "r_segment": ("r_segment", [1.0, 5.0], {"units": "ohm"}),
            "background": list(READ_ENERGY),
            "row": ("row", np.arange(15.0), {"units": "1"}),
            "column": ("column", np.arange(15.0), {"units": "1"}),
        },
    )
    return LookupTable(data=data, name="array_read", lineage=LINEAGE | lineage, origin={})


def tables() -> dict[str, LookupTable]:
    """Both tables by name."""
    return {"array_write": write_table(), "array_read": read_table()}
