"""Plots of RESET and of reading a phase-change cell, beside the published laws."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from spicebridge.pcm_statistics import PublishedModel
from spicebridge.report.drawing import INK, SERIES, Plot, decades, finish, grid, legend, never_fatal, panels
from spicebridge.report.mixed_text import age as age_words
from spicebridge.report.quantity import power_of_ten, setting, si
from spicebridge.table import LookupTable

_MICRO = 1e6


@never_fatal("conductance after RESET")
def reset_plot(table: LookupTable) -> Plot | None:
    """Conductance after RESET against the one before, mean and spread, and the energy it takes."""
    if "g_after_mean" not in table.quantities:
        return None
    data = _at_last(table)
    g = _MICRO * np.asarray(data["g"].values, dtype=float)
    model = PublishedModel()
    figure, (after, energy) = panels(2, height=4.3)
    mean, spread = (np.asarray(data[f"g_after_{each}"].values, dtype=float) for each in ("mean", "std"))
    low, high = model.reset_mean - model.reset_spread, model.reset_mean + model.reset_spread
    after.axhspan(_MICRO * low, _MICRO * high, color=INK, alpha=0.12, lw=0, label="published")
    after.errorbar(
        g, _MICRO * mean, _MICRO * spread, fmt="o", color=SERIES[0], label="table, mean and spread"
    )
    after.set(ylabel="G after RESET (µS)", ylim=(0, None))
    picojoules = 1e12 * np.asarray(data["energy"].values, dtype=float)
    energy.plot(g, picojoules, "o-", color=SERIES[0])
    energy.set(xlabel="G before RESET (µS)", ylabel="energy (pJ)", ylim=(0, 1.15 * picojoules.max()))
    legend(figure, after, columns=2)
    return finish(
        figure,
        name="reset",
        alt=f"Conductance after RESET: mean {si(float(mean.min()), 'S')} to {si(float(mean.max()), 'S')}.",
        caption=(
            "One RESET pulse: conductance after it, mean and standard deviation over devices, and the energy "
            "all sources deliver. Band: the published state after RESET."
        ),
    )


@never_fatal("reading one branch")
def read_plot(table: LookupTable) -> Plot | None:
    """Reading one branch: conductance read, read noise, and drift, each with its published law."""
    if not {"g_read", "g_noise"} <= set(table.quantities):
        return None
    model = PublishedModel()
    figure, axes = grid(3, 1, height=6.6)
    ages = np.asarray(table.data["age"].values, dtype=float)
    g = np.asarray(table.data["g"].values, dtype=float)
    reference = float(np.clip(model.t_0, ages[0], ages[-1]))
    read, noise = (table.read(each, g=g, age=reference) for each in ("g_read", "g_noise"))
    axes[0].plot(_MICRO * g, 100 * (read / g - 1), "o-", color=SERIES[0], label="table")
    axes[0].axhline(0, color=INK, linewidth=1, label="published law")
    axes[0].set(ylabel="read less true G (%)", xlabel="G (µS)")
    known = "g_noise_se" in table.quantities
    error = _MICRO * table.read("g_noise_se", g=g, age=reference) if known else None
    axes[1].errorbar(_MICRO * g, _MICRO * noise, error, fmt="o", color=SERIES[0])
    axes[1].plot(_MICRO * g, _MICRO * model.read_noise(read), color=INK, linewidth=1)
    axes[1].set(ylabel="noise of a read (µS)", xlabel="G (µS)", ylim=(0, None))
    _drift(axes[2], table, model, g, ages, reference)
    legend(figure, axes[0], columns=2)
    departure = float(np.abs(noise / model.read_noise(read) - 1).max())
    return finish(
        figure,
        name="reading",
        alt="Read conductance, read noise and drift of one branch against the published laws.",
        caption=(
            f"One branch read{_voltage(table)}. Top: what it reads against its low-field conductance at "
            f"{age_words(reference)}. Middle: standard deviation over reads; it departs from the law at the "
            f"conductance read by up to {100 * departure:.1f} %. Bottom: what is left after an age, of the "
            f"conductance read at {age_words(reference)}; line: the published exponent {model.nu:g}."
        ),
    )


def _voltage(table: LookupTable) -> str:
    """At which voltage the table's reads are, where its lineage tells."""
    sweep = table.lineage.get("sweep")
    voltage = sweep.get("v_read") if isinstance(sweep, Mapping) else None
    return f" at {setting(voltage, 'V')}" if isinstance(voltage, int | float) else ""


def _drift(
    axes: Axes, table: LookupTable, model: PublishedModel, g: np.ndarray, ages: np.ndarray, at: float
) -> None:
    for number, share in enumerate((0.1, 0.5, 1.0)):
        chosen = float(g[0] + share * (g[-1] - g[0]))
        left = table.read("g_read", g=chosen, age=ages) / table.read("g_read", g=chosen, age=at)
        axes.plot(ages, left, "osD"[number], color=SERIES[number], label=f"{_MICRO * chosen:.3g} µS")
    axes.plot(ages, model.drift(ages) / model.drift(at), color=INK, linewidth=1)
    axes.set(xscale="log", xlabel="age (s)", ylabel="G read, relative")
    axes.xaxis.set_major_formatter(lambda value, _: power_of_ten(value))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.legend(frameon=False, fontsize=8, loc="lower left")


@never_fatal("reading a pair")
def pair_plot(table: LookupTable) -> Plot | None:
    """A pair's read: current against the difference of its conductances, and energy against their sum."""
    if not {"current", "energy", "noise"} <= set(table.quantities) or "g_p" not in table.axes:
        return None
    data = table.data
    ages = np.asarray(data["age"].values, dtype=float)
    nearest = int(np.argmin(np.abs(np.log(ages / PublishedModel().t_0))))
    one = data.isel(age=nearest, t_in=-1).sel(polarity="positive").transpose("g_p", "g_n", ...)
    g_p, g_n = np.meshgrid(data["g_p"].values, data["g_n"].values, indexing="ij")
    figure, axes = grid(2, 1, height=4.8)
    current = 1e6 * np.asarray(one["current"].values)
    noise = 1e6 * np.asarray(one["noise"].values)
    axes[0].errorbar(
        _MICRO * (g_p - g_n).ravel(), current.ravel(), noise.ravel(), fmt=".", color=SERIES[0], linewidth=0.8
    )
    axes[0].set(xlabel="Gp less Gn (µS)", ylabel="current (µA)")
    energy = np.asarray(one["energy"].values)
    axes[1].plot(_MICRO * (g_p + g_n).ravel(), energy.ravel(), ".", color=SERIES[0])
    axes[1].set(xlabel="Gp plus Gn (µS)", ylabel="energy (J)", yscale="log")
    decades(axes[1])
    width = float(data["t_in"].values[-1])
    return finish(
        figure,
        name="pair",
        alt=f"A pair's current against the difference of its conductances; energy up to "
        f"{si(float(energy.max()), 'J')}.",
        caption=(
            f"One pair read at {age_words(float(ages[nearest]))}, positive input. Top: the difference of the "
            "branches' currents as the pulse ends; bars: standard deviation over reads. Bottom: energy of an "
            f"input pulse of {si(width, 's')}, all sources."
        ),
    )


def _at_last(table: LookupTable) -> xr.Dataset:
    """The table's data along ``g``: other number axes (a pulse's width) at their last entry."""
    data = table.data
    others = {axis: -1 for axis in table.axes if axis != "g"}
    return data.isel(others) if others else data
