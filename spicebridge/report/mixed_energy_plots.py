"""Plots of a training image's energy: ours, a digital design's, and the ratio's sensitivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from spicebridge.report.drawing import INK, MUTED, SERIES, Plot, finish, legend, never_fatal, panels
from spicebridge.report.mixed_differences import quantity
from spicebridge.report.mixed_summary import PHASES
from spicebridge.report.quantity import setting, si, times

Record = Mapping[str, Any]
DESIGNS = {"ours": SERIES[0], "digital": SERIES[1]}


@never_fatal("energy by phase")
def phase_plot(energy: Record) -> Plot | None:
    """Energy of forward, backward and update, ours beside the digital design's, on a logarithmic axis."""
    ours, digital = energy["per_image"], energy["digital"]
    rows = [(name, ours[key]["total"], digital[key]) for key, name in PHASES.items()]
    rows.append(("training image", ours["total"], digital["total"]))
    drawn = [value for _, *pair in rows for value in pair if value > 0]
    if not drawn:
        return None
    least, most = min(drawn), max(drawn)
    figure, (axes,) = panels(1, height=3.6)
    for row, (_, *pair) in enumerate(rows):
        for shift, (design, value) in zip((-0.19, 0.19), zip(DESIGNS, pair, strict=True), strict=True):
            label = {"ours": "PCM pairs and chi", "digital": "digital, 32 bits"}[design]
            axes.barh(
                row + shift,
                max(value - least / 5, 0.0),
                left=least / 5,
                height=0.34,
                color=DESIGNS[design],
                alpha=0.8,
                linewidth=0,
                label=label if row == 0 else None,
            )
            _beside(axes, max(value, least / 5), row + shift, si(value, "J"))
    _energy_axis(axes, least / 5, most * 14)
    axes.set(yticks=range(len(rows)), ylim=(len(rows) - 0.4, -0.6), xlabel="energy per training image (J)")
    ratios = [times(theirs / mine) if mine else "" for _, mine, theirs in rows]
    axes.set_yticklabels([f"{name}\n{ratio}" for (name, *_), ratio in zip(rows, ratios, strict=True)])
    legend(figure, axes, columns=2)
    said = "; ".join(f"{name} {si(mine, 'J')}, digital {si(theirs, 'J')}" for name, mine, theirs in rows)
    return finish(
        figure,
        name="energy-phases",
        alt=f"Energy per training image: {said}.",
        caption=(
            "Energy of one training image by phase, on a logarithmic axis; under each name the ratio of the "
            "digital design's to ours."
        ),
    )


@never_fatal("energy by part")
def part_plot(energy: Record) -> Plot | None:
    """Every part of our energy, what was simulated filled and what is cited open."""
    simulated = {"array", "reset", "word_lines", "refresh_reads"}
    rows = [
        (f"{name}, {part.replace('_', ' ')}", value, part in simulated)
        for key, name in PHASES.items()
        for part, value in energy["per_image"][key].items()
        if part != "total" and value is not None and value > 0
    ]
    if not rows:
        return None
    figure, (axes,) = panels(1, height=1.2 + 0.26 * len(rows))
    for filled, colour, marker, words in (
        (True, SERIES[0], "o", "from tables"),
        (False, SERIES[1], "D", "cited"),
    ):
        at = [row for row, each in enumerate(rows) if each[2] is filled]
        face = colour if filled else "none"
        axes.plot(
            [rows[row][1] for row in at],
            at,
            marker,
            color=colour,
            markerfacecolor=face,
            markersize=5.5,
            label=words,
        )
    for row, (_, value, _) in enumerate(rows):
        _beside(axes, value, row, si(value, "J"))
    values = [value for _, value, _ in rows]
    _energy_axis(axes, min(values) / 3, max(values) * 60)
    axes.set(yticks=range(len(rows)), ylim=(len(rows) - 0.4, -0.6), xlabel="energy per training image (J)")
    axes.set_yticklabels([name for name, *_ in rows])
    legend(figure, axes, columns=2)
    said = "; ".join(f"{name} {si(value, 'J')}" for name, value, _ in rows)
    return finish(
        figure,
        name="energy-parts",
        alt=f"Energy per training image by part: {said}.",
        caption=(
            "Where our energy goes. Filled: pulses, RESETs and reads, simulated and counted. Open: at cited "
            "or assumed energies."
        ),
    )


def _beside(axes: Axes, value: float, row: float, words: str) -> None:
    axes.annotate(
        words, (value, row), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK
    )


def _energy_axis(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(numticks=7))
    axes.xaxis.set_major_formatter(lambda value, _: setting(value, "J"))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.grid(visible=False, axis="y")
    axes.grid(visible=False, axis="x", which="minor")


@never_fatal("the energy ratio by assumption")
def tornado_plot(energy: Record, *, theirs: float) -> Plot:
    """The energy ratio with one assumption after another at the ends of its range, widest first."""
    rows: Sequence[Record] = energy["sensitivity"]
    nominal = energy["ratio"]
    figure, (axes,) = panels(1, height=1.1 + 0.42 * len(rows))
    for row, each in enumerate(rows):
        for end, colour in (("low", SERIES[0]), ("high", SERIES[1])):
            ratio = each[f"ratio_{end}"]
            label = f"assumption at its {end} end" if row == 0 else None
            axes.barh(
                row,
                ratio - nominal,
                left=nominal,
                height=0.5,
                color=colour,
                alpha=0.8,
                linewidth=0,
                label=label,
            )
        _ends(axes, row, each, nominal)
    axes.axvline(nominal, color=INK, linewidth=1)
    axes.axvline(theirs, color=MUTED, linewidth=1, linestyle="--")
    every = [each[f"ratio_{end}"] for each in rows for end in ("low", "high")]
    axes.set_xscale("log")
    axes.set_xlim(min([*every, nominal]) / 12, max([*every, theirs]) * 3)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.set(yticks=range(len(rows)), ylim=(len(rows) - 0.4, -0.6), xlabel="digital energy over ours")
    axes.set_yticklabels([_folded(each["assumption"]) for each in rows], fontsize=8.5)
    axes.grid(visible=False, axis="y")
    axes.annotate(
        f"paper\n{theirs:g}×", (theirs, len(rows) - 0.5), ha="right", va="bottom", fontsize=8.5, color=MUTED,
        xytext=(-4, 4), textcoords="offset points",
    )  # fmt: skip
    legend(figure, axes, columns=2)
    said = "; ".join(f"{r['assumption']} {times(r['ratio_low'])} to {times(r['ratio_high'])}" for r in rows)
    return finish(
        figure,
        name="sensitivity",
        alt=f"Energy ratio {times(nominal)}; one assumption at a time: {said}.",
        caption=(
            f"The ratio, {times(nominal)} (line), with one assumption at a time at the ends of its range, "
            "and the others as in the headline. Beside the bars: the values at the ends. Dashed: the paper's."
        ),
    )


def _ends(axes: Axes, row: int, each: Record, nominal: float) -> None:
    """The assumption's values, written beside the ends of its bar."""
    said: dict[str, list[str]] = {"left": [], "right": []}
    edge = {"left": nominal, "right": nominal}
    for end in ("low", "high"):
        ratio = each[f"ratio_{end}"]
        if np.isclose(each[end], each["nominal"], atol=0):
            continue
        side = "right" if ratio >= nominal else "left"
        said[side].append(quantity(each[end], each["unit"]))
        edge[side] = max(edge[side], ratio) if side == "right" else min(edge[side], ratio)
    for side, texts in said.items():
        if texts:
            axes.annotate(
                ", ".join(texts),
                (edge[side], row),
                xytext=(4 if side == "right" else -4, 0),
                textcoords="offset points",
                ha="left" if side == "right" else "right",
                va="center",
                fontsize=7.5,
                color=MUTED,
            )


def _folded(words: str) -> str:
    """A long label on two lines."""
    if len(words) < 26:
        return words
    middle = len(words) // 2
    at = min((n for n, letter in enumerate(words) if letter == " "), key=lambda n: abs(n - middle))
    return f"{words[:at]}\n{words[at + 1 :]}"
