"""Plots of a phase-change cell's tables beside the published statistics they were calibrated to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spicebridge.pcm_statistics import SOURCE, PublishedModel
from spicebridge.report.drawing import INK, MUTED, SERIES, Plot, finish, grid, legend, never_fatal, panels
from spicebridge.report.quantity import minus, si
from spicebridge.table import LookupTable

Array = NDArray[np.float64]

TOLERANCE_MEAN, TOLERANCE_STD = 0.10, 0.15
"""Within which the accumulation curve's mean and spread are to meet the published ones."""
DEVICES, SEED = 40_000, 1
"""Cells drawn from the published model for its accumulation curve, and the draws' seed."""
SHADES = 16
_MICRO = 1e6


@never_fatal("conductance after each SET pulse")
def accumulation_plot(table: LookupTable) -> Plot | None:
    """Mean and spread of conductance after each SET pulse, with the published ones and their tolerance."""
    if "g_mean" not in table.quantities:
        return None
    pulses = np.asarray(table.data["pulses"].values, dtype=float)
    published = published_curve(int(pulses[-1]))
    numbers = np.arange(published.shape[1])
    figure, axes = panels(2, height=4.9)
    for one, quantity, curve, tolerance, words in (
        (axes[0], "g_mean", published[0], TOLERANCE_MEAN, "mean"),
        (axes[1], "g_std", published[1], TOLERANCE_STD, "spread"),
    ):
        low, high = curve * (1 - tolerance), curve * (1 + tolerance)
        one.fill_between(
            numbers, _MICRO * low, _MICRO * high, color=MUTED, alpha=0.2, lw=0, label="tolerance"
        )
        one.plot(numbers, _MICRO * curve, color=INK, linewidth=1, label="published")
        values = _MICRO * np.asarray(table.data[quantity].values)
        error = f"{quantity}_se"
        bars = _MICRO * np.asarray(table.data[error].values) if error in table.quantities else None
        one.errorbar(pulses, values, bars, fmt="o", color=SERIES[0], markersize=4, label="table")
        one.set(ylabel=f"{words} of G (µS)", ylim=(0, None))
        one.annotate(
            f"band ± {100 * tolerance:.0f} %", (0.98, 0.06), xycoords="axes fraction", ha="right", color=MUTED
        )
    axes[1].set_xlabel("SET pulses since RESET")
    axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes[0], columns=3)
    mean, spread = worst_departures(table)
    return finish(
        figure,
        name="accumulation",
        alt=f"Conductance after each SET pulse. Largest departure: mean {mean}, spread {spread}.",
        caption=(
            "Conductance after each SET pulse, mean and standard deviation over devices; bars: standard "
            f"errors. Line: {DEVICES} draws of the published model ({SOURCE}). Largest departure from pulse "
            f"1 on: mean {mean}, spread {spread}."
        ),
    )


def published_curve(pulses: int) -> Array:
    """Mean and spread (S) after 0 .. ``pulses`` SET pulses of the published model, shape (2, n)."""
    drawn = PublishedModel().accumulation(pulses=pulses, devices=DEVICES, rng=np.random.default_rng(SEED))
    return np.stack([drawn.mean(axis=0), drawn.std(axis=0)])


def worst_departures(table: LookupTable) -> tuple[str, str]:
    """The largest relative departure of the accumulation curve's mean and spread, each with its pulse."""
    pulses = np.asarray(table.data["pulses"].values, dtype=float)
    published = published_curve(int(pulses[-1]))
    told = []
    for quantity, curve in (("g_mean", published[0]), ("g_std", published[1])):
        after = pulses >= 1
        expected = np.interp(pulses[after], np.arange(len(curve)), curve)
        departure = np.asarray(table.data[quantity].values)[after] / expected - 1
        at = int(np.argmax(np.abs(departure)))
        told.append(minus(f"{100 * departure[at]:+.1f} % at pulse {pulses[after][at]:.0f}"))
    return told[0], told[1]


@dataclass(frozen=True, eq=False)
class StepMap:
    """Conductance steps by pulse number and conductance before the pulse.

    Attributes:
        quantity: ``delta_g_mean`` or ``delta_g_std``.
        pulse: shape (pulses,); g: conductances (S), shape (points,).
        table, published: the steps (S), shape (pulses, points); ``error`` the table's standard errors (S).
        sampled: where the table was sampled, shape (pulses, points).
    """

    quantity: str
    pulse: Array
    g: Array
    table: Array
    published: Array
    error: Array
    sampled: NDArray[np.bool_]


def step_map(table: LookupTable, quantity: str) -> StepMap:
    """A quantity of table ``pcm_set`` beside the published model's."""
    data = table.data.transpose("pulse", "g", ...)
    pulse, g = (np.asarray(data[axis].values, dtype=float) for axis in ("pulse", "g"))
    published = PublishedModel().change(g, pulse[:, None])[quantity == "delta_g_std"]
    values = np.asarray(data[quantity].values, dtype=float)
    error, support = f"{quantity}_se", "support"
    return StepMap(
        quantity,
        pulse,
        g,
        values,
        published,
        np.asarray(data[error].values) if error in table.quantities else np.full(values.shape, np.nan),
        np.asarray(data[support].values) > 0 if support in table.quantities else np.isfinite(values),
    )


@never_fatal("steps by pulse and conductance")
def map_plot(table: LookupTable, quantity: str) -> Plot | None:
    """Maps of a step's mean or spread: the table's, the published, and their difference."""
    if quantity not in table.quantities:
        return None
    found = step_map(table, quantity)
    if not np.isfinite(found.table[found.sampled]).any():
        return None
    difference = np.where(found.sampled, found.table - found.published, np.nan)
    shown = np.where(found.sampled, found.published, np.nan)
    most = float(np.nanmax(np.abs([np.where(found.sampled, found.table, np.nan), shown])))
    worst = float(np.nanmax(np.abs(difference)))
    scale_of_difference = max(worst, 1e-3 * most)  # equal maps have no depth to show
    figure, axes = grid(1, 3, height=3.3)
    for one, title, values, scale in (
        (axes[0], "table", found.table, most),
        (axes[1], "published", found.published, most),
        (axes[2], "difference", difference, scale_of_difference),
    ):
        _map(one, found, values / scale)
        one.set_title(f"{title}\ndeepest {_MICRO * scale:.2g} µS", fontsize=8.5)
        one.set_xlabel("pulse")
    axes[0].set_ylabel("G before the pulse (µS)")
    for one in axes[1:]:
        one.set_yticklabels([])
    words = "Mean" if quantity == "delta_g_mean" else "Spread"
    return finish(
        figure,
        name=quantity.replace("_", "-"),
        alt=f"{words} of a SET pulse's step over pulse number and conductance; departs by up to "
        f"{si(worst, 'S')} from the published.",
        caption=(
            f"{words} of the change of conductance by one SET pulse. Blue: above zero; red: below; "
            "deepest colour as written above each map, its own for the difference. Hatched: not sampled; "
            "the table repeats there the nearest sampled conductance of that pulse, and no "
            "difference is drawn."
        ),
    )


def _map(axes: Axes, found: StepMap, values: Array) -> None:
    """Cells as deep in colour as their value in [-1, 1], those without samples hatched."""
    x, y = _edges(found.pulse), _MICRO * _edges(found.g)
    depth = np.clip(np.nan_to_num(np.abs(values)), 0, 1)
    shade = np.ceil(depth * SHADES).astype(int)
    for colour, chosen in ((SERIES[0], values > 0), (SERIES[1], values < 0)):
        for level in range(1, SHADES + 1):
            _cells(axes, x, y, chosen & (shade == level), facecolor=colour, alpha=level / SHADES, linewidth=0)
    _cells(
        axes, x, y, ~found.sampled, facecolor="none", edgecolor=MUTED, hatch="//////", linewidth=0, alpha=0.6
    )
    axes.set(xlim=(x[0], x[-1]), ylim=(max(y[0], 0), y[-1]))
    axes.grid(visible=False)


def _cells(axes: Axes, x: Array, y: Array, chosen: NDArray[np.bool_], **style: Any) -> None:
    """All chosen cells (pulses, points) as one path, a rectangle for each run of them: a small drawing."""
    corners, codes = [], []
    for row, column in enumerate(chosen):
        bounds = np.flatnonzero(np.diff(np.concatenate([[False], column, [False]]).astype(int)))
        for low, high in zip(y[bounds[::2]], y[bounds[1::2]], strict=True):
            left, right = x[row], x[row + 1]
            corners += [(left, low), (right, low), (right, high), (left, high), (left, low)]
            codes += [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    if corners:
        axes.add_patch(PathPatch(Path(corners, codes), **style))


def _edges(centres: Array) -> Array:
    """Cell borders halfway between grid points, the outer ones as far out."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def worst_steps(table: LookupTable, quantity: str, *, count: int) -> Sequence[tuple[str, ...]]:
    """The sampled cells that depart most from the published steps, as rows of words."""
    found = step_map(table, quantity)
    departure = np.where(found.sampled, np.abs(found.table - found.published), -1.0)
    rows = []
    for flat in np.argsort(-departure, axis=None)[:count]:
        row, column = np.unravel_index(flat, departure.shape)
        if departure[row, column] < 0:
            break
        ours, theirs = found.table[row, column], found.published[row, column]
        error = found.error[row, column]
        rows.append(
            (
                f"{found.pulse[row]:.0f}",
                f"{_MICRO * found.g[column]:.2f} µS",
                minus(f"{_MICRO * ours:.2f}" + (f" ± {_MICRO * error:.2f}" if np.isfinite(error) else "")),
                minus(f"{_MICRO * theirs:.2f}"),
                minus(f"{_MICRO * (ours - theirs):+.2f}"),
            )
        )
    return rows
