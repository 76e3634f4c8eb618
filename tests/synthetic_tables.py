"""Small tables of known content: switching curves P = exp(-K exp(-t/T)) and read energies like a circuit's.

Stand-ins with the shape and size of characterised tables, so that the training tests need no simulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from spicebridge.table import LookupTable

# Medians and 90 % times (s) of one branch at each drive (V), by direction.
VOLTAGES = (0.4, 0.5, 0.6)
TIMES = {
    "ap_to_p": ((2.07e-9, 2.87e-9), (1.55e-9, 2.05e-9), (1.38e-9, 1.80e-9)),
    "p_to_ap": ((3.20e-9, 4.80e-9), (2.52e-9, 3.65e-9), (2.30e-9, 3.35e-9)),
}
HALF_SELECTED = (0.4e-15, 2.3e-15)  # J, of a pulse on u alone and on e alone
POWER = {"ap_to_p": (13e-6, 24e-6, 37e-6), "p_to_ap": (20e-6, 33e-6, 46e-6)}


def gumbel_constants(direction: str, voltage: int) -> tuple[float, float]:
    """K and T (s) of exp(-K exp(-t/T)) through a drive's median and 90 % time."""
    half, most = TIMES[direction][voltage]
    span = (most - half) / (np.log(-np.log(0.5)) - np.log(-np.log(0.9)))
    return float(-np.log(0.5) * np.exp(half / span)), float(span)


def write_table(*, step: float = 50e-12, last: float = 10e-9) -> LookupTable:
    """An ``mtj_write`` table of Gumbel curves, over direction, v_write and t_pulse."""
    t_pulse = np.arange(1, round(last / step) + 1) * step
    p_switch, energy = np.zeros((2, 3, len(t_pulse))), np.zeros((2, 3, len(t_pulse)))
    for row, direction in enumerate(TIMES):
        for column in range(len(VOLTAGES)):
            scale, span = gumbel_constants(direction, column)
            p_switch[row, column] = np.exp(-scale * np.exp(-t_pulse / span))
            energy[row, column] = 1e-15 + POWER[direction][column] * t_pulse
    half = np.broadcast_to(np.array(HALF_SELECTED), (2, 3, 2))
    axes = ("direction", "v_write", "t_pulse")
    data = xr.Dataset(
        {
            "p_switch": (axes, p_switch, {"units": "1", "scale": "log(-log)"}),
            "energy": (axes, energy, {"units": "J", "scale": "linear"}),
            "energy_half_selected": (("direction", "v_write", "line"), half, {"units": "J"}),
        },
        coords={
            "line": ["u", "e"],
            "direction": list(TIMES),
            "v_write": ("v_write", list(VOLTAGES), {"units": "V"}),
            "t_pulse": ("t_pulse", t_pulse, {"units": "s"}),
        },
    )
    return LookupTable(data=data, name="mtj_write", lineage={"made by": "test"}, origin={})


# fJ for 1 ns at 0.2 V, by state and activation -1, 0, +1.
READ_ENERGY = {
    "ap_p": (11.0, 0.18, 11.2),
    "p_p": (14.0, 0.18, 14.0),
    "ap_ap": (7.7, 0.18, 7.7),
    "p_ap": (11.2, 0.18, 11.0),
}

# uA at 0.2 V, likewise; the states +1 and -1 differ in sign, and a zero is nearly balanced.
READ_CURRENT = {
    "ap_p": (14.4, 0.0002, -13.6),
    "p_p": (0.46, 0.0002, 0.46),
    "ap_ap": (0.13, 0.0002, 0.13),
    "p_ap": (-13.6, 0.0002, 14.4),
}


def read_table() -> LookupTable:
    """A ``synapse_read`` table over state, activation, v_read and t_read."""
    v_read, t_read = np.array([0.1, 0.2, 0.3]), np.array([0.5e-9, 1e-9, 2e-9])
    base = np.array(list(READ_ENERGY.values())) * 1e-15
    energy = base[:, :, None, None] * (v_read[:, None] / 0.2) ** 2 * (0.1 + 0.9 * t_read / 1e-9)
    current = np.array(list(READ_CURRENT.values())) * 1e-6
    current = current[:, :, None, None] * (v_read[:, None] / 0.2) * np.ones_like(t_read)
    axes = ("state", "activation", "v_read", "t_read")
    data = xr.Dataset(
        {
            "energy": (axes, energy, {"units": "J", "scale": "linear"}),
            "current": (axes, current, {"units": "A", "scale": "linear"}),
        },
        coords={
            "state": list(READ_ENERGY),
            "activation": ["-1", "0", "+1"],
            "v_read": ("v_read", v_read, {"units": "V"}),
            "t_read": ("t_read", t_read, {"units": "s"}),
        },
    )
    return LookupTable(data=data, name="synapse_read", lineage={"made by": "test"}, origin={})


def tables() -> dict[str, LookupTable]:
    """Both tables by name."""
    return {"mtj_write": write_table(), "synapse_read": read_table()}


def near(joules: float) -> Any:
    """An energy (J) but for rounding; ``approx`` by itself takes any two below 1e-12 J for equal."""
    return pytest.approx(joules, rel=1e-9, abs=0.0)
