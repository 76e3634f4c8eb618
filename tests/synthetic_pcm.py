"""Tables of a phase-change memory of known content: the published update model in closed form.

A stand-in with the axes and quantities of characterised tables. After n SET pulses since RESET, with all
conductances in uS (Nandakumar et al., J. Appl. Phys. 124, 152135 (2018), coefficients from open code):
mean dG = -0.084 G + 0.880 + 1.40 exp(-n/2.6), std dG = 0.091 G + 0.260 + 2.15 exp(-n/2.6), G within
0.1 .. 20; drift (age / 38.6 s)**-0.04; read noise 0.03 G + 0.13. Energies are round numbers of our own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from spicebridge.table import LookupTable

T0, NU = 38.6, 0.04
PULSES = 20
G_LEAST, G_MOST = 0.1e-6, 20e-6
SET_ENERGY, RESET_ENERGY = 10e-12, 500e-12  # J
EDGE_ENERGY, V_READ = 1e-15, 0.2  # J a read whatever its width, V


def step_mean(g: Any, pulse: Any) -> Any:
    """Mean change (S) of a device at ``g`` (S) by its SET pulse number ``pulse``."""
    return -0.084 * g + (0.880 + 1.40 * np.exp(-np.asarray(pulse) / 2.6)) * 1e-6


def step_std(g: Any, pulse: Any) -> Any:
    """Standard deviation of that change (S)."""
    return 0.091 * g + (0.260 + 2.15 * np.exp(-np.asarray(pulse) / 2.6)) * 1e-6


def drifted(g: Any, age: Any) -> Any:
    """Conductance (S) read at an age (s)."""
    return g * (np.asarray(age) / T0) ** -NU


def read_noise(g: Any) -> Any:
    """Standard deviation (S) of one read of a device that reads ``g`` (S)."""
    return 0.03 * g + 0.13e-6


@cache
def accumulation(devices: int = 20_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (S) after 0, 1, ... ``PULSES`` SET pulses."""
    rng = np.random.default_rng(1)
    g = rng.normal(0.1e-6, 0.01e-6, devices)
    curve = [g]
    for pulse in range(1, PULSES + 1):
        step = rng.normal(step_mean(curve[-1], pulse), step_std(curve[-1], pulse))
        curve.append(np.clip(curve[-1] + step, G_LEAST, G_MOST))
    return tuple(float(each.mean()) for each in curve), tuple(float(each.std()) for each in curve)


def set_table(*, sampled_to: float = G_MOST) -> LookupTable:
    """A ``pcm_set`` table; conductances above ``sampled_to`` (S) count as not sampled."""
    pulse, g = np.arange(1.0, PULSES + 1), np.linspace(G_LEAST, G_MOST, 41)
    pulses = np.arange(0.0, PULSES + 1)
    shape = (PULSES, len(g))
    mean, std = step_mean(g, pulse[:, None]), step_std(g, pulse[:, None])
    curve_mean, curve_std = accumulation()
    axes = ("pulse", "g")
    siemens = {"units": "S"}
    data = xr.Dataset(
        {
            "delta_g_mean": (axes, mean, siemens),
            "delta_g_std": (axes, std, siemens),
            "delta_g_mean_se": (axes, std / 100, siemens),
            "delta_g_std_se": (axes, std / 141, siemens),
            "n_samples": (axes, np.full(shape, 10_000), {"units": "1"}),
            "support": (axes, np.broadcast_to(1.0 * (g <= sampled_to), shape), {"units": "1"}),
            "energy": (axes, np.full(shape, SET_ENERGY), {"units": "J"}),
            "latency": (axes, np.full(shape, 60e-9), {"units": "s"}),
            "g_mean": (("pulses",), np.array(curve_mean), siemens),
            "g_std": (("pulses",), np.array(curve_std), siemens),
        },
        coords={
            "pulse": ("pulse", pulse, {"units": "1"}),
            "g": ("g", g, siemens),
            "pulses": ("pulses", pulses, {"units": "1"}),
        },
    )
    return LookupTable(data=data, name="pcm_set", lineage={"made by": "test"}, origin={})


def reset_table() -> LookupTable:
    """A ``pcm_reset`` table."""
    g = np.array([G_LEAST, 5e-6, 10e-6, G_MOST])
    data = xr.Dataset(
        {
            "g_after_mean": (("g",), np.full(4, 0.12e-6), {"units": "S"}),
            "g_after_std": (("g",), np.full(4, 0.01e-6), {"units": "S"}),
            "energy": (("g",), np.full(4, RESET_ENERGY), {"units": "J"}),
            "latency": (("g",), np.full(4, 1.1e-6), {"units": "s"}),
        },
        coords={"g": ("g", g, {"units": "S"})},
    )
    return LookupTable(data=data, name="pcm_reset", lineage={"made by": "test"}, origin={})


def pair_energy(g_p: Any, g_n: Any, t_in: Any) -> Any:
    """Energy (J) of one read of a pair, linear in the width ``t_in`` (s)."""
    return EDGE_ENERGY + V_READ**2 * (np.asarray(g_p) + g_n) * t_in


def read_table() -> LookupTable:
    """A ``pair_read`` table."""
    g_pair = np.linspace(0.0, G_MOST, 9)
    t_in = np.array([1e-9, 10e-9, 100e-9, 1e-6])
    g = np.linspace(0.05e-6, G_MOST, 161)
    age = np.geomspace(1e-2, 3.2e7, 60)
    pair = ("polarity", "g_p", "g_n")
    signs = np.array([-1.0, 1.0])[:, None, None]
    current = signs[..., None] * V_READ * drifted((g_pair[:, None] - g_pair)[..., None], age)
    spread = V_READ * np.hypot(
        read_noise(drifted(g_pair[:, None, None], age)), read_noise(drifted(g_pair[None, :, None], age))
    )
    energy = pair_energy(g_pair[:, None, None], g_pair[None, :, None], t_in)
    one = drifted(g[:, None], age)
    data = xr.Dataset(
        {
            "current": ((*pair, "age"), current, {"units": "A"}),
            "noise": ((*pair, "age"), np.stack([spread, spread]), {"units": "A"}),
            "energy": ((*pair, "t_in"), np.stack([energy, energy]), {"units": "J"}),
            "settling": ((*pair, "t_in"), np.full((2, *energy.shape), 2e-9), {"units": "s"}),
            "g_read": (("g", "age"), one, {"units": "S"}),
            "g_noise": (("g", "age"), read_noise(one), {"units": "S"}),
        },
        coords={
            "polarity": ["negative", "positive"],
            "g_p": ("g_p", g_pair, {"units": "S"}),
            "g_n": ("g_n", g_pair, {"units": "S"}),
            "t_in": ("t_in", t_in, {"units": "s"}),
            "g": ("g", g, {"units": "S"}),
            "age": ("age", age, {"units": "s", "scale": "log"}),
        },
    )
    return LookupTable(data=data, name="pair_read", lineage={"sweep": {"v_read": 0.2}}, origin={})


def tables() -> dict[str, LookupTable]:
    """All three tables by name."""
    return {"pcm_set": set_table(), "pcm_reset": reset_table(), "pair_read": read_table()}
