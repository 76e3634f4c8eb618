"""Plots of a run: accuracy, energy, pulse widths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from spicebridge.energy import Entry
from spicebridge.report.drawing import INK, MUTED, SERIES, Plot, decades, finish, legend, never_fatal, panels
from spicebridge.report.quantity import count, percent, setting, share, si
from spicebridge.report.summary import ARMS
from spicebridge.table import LookupTable

COLOURS = dict(zip(ARMS, SERIES, strict=False))
_DASHES: dict[str, Any] = {
    "table": "-",
    "ideal": "--",
    "float": ":",
    "table_read": "-.",
    "table_spread": (0, (5, 1)),
}
DIRECTIONS = {"ap_to_p": "AP to P", "p_to_ap": "P to AP"}
P_FLOOR = 1e-6
"""Probabilities below this are not drawn."""


def direction_name(direction: str) -> str:
    """A write direction as a reader would call it."""
    return DIRECTIONS.get(direction, direction.replace("_", " "))


@never_fatal("accuracy by epoch")
def accuracy_plot(arms: Mapping[str, Any], *, evaluated_on: str) -> Plot | None:
    """Accuracy against epoch, mean over seeds and its standard deviation, for the arms that were run."""
    figure, (axes,) = panels(1, height=3.3)
    said = []
    for arm in (arm for arm in ARMS if arms.get(arm, {}).get("runs")):
        runs = arms[arm]["runs"]
        accuracy = 100 * np.array([[each["test_accuracy"] for each in run["epochs"]] for run in runs])
        epoch = np.array([each["epoch"] for each in runs[0]["epochs"]])
        mean, name = accuracy.mean(axis=0), ARMS[arm][1]
        axes.plot(epoch, mean, linestyle=_DASHES[arm], color=COLOURS[arm], label=name)
        if len(runs) > 1:
            spread = accuracy.std(axis=0, ddof=1)
            axes.fill_between(epoch, mean - spread, mean + spread, color=COLOURS[arm], alpha=0.18, lw=0)
        said.append(f"{name} {percent(float(mean[-1]))}")
    if not said:
        return None
    axes.set(xlabel="epoch", ylabel=f"accuracy, {evaluated_on} images (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.01)
    legend(figure, axes, columns=3)
    return finish(
        figure,
        name="accuracy",
        alt=f"Accuracy against epoch. After the last: {'; '.join(said)}.",
        caption=(
            "Accuracy after each epoch. Line: mean over seeds. Band: one standard deviation over seeds. "
            "The headline is the last epoch's, not the best."
        ),
    )


@never_fatal("energy by component")
def energy_plot(entries: Iterable[Entry], *, per: int, name: str, what: str) -> Plot | None:
    """Where a ledger's energy goes: what was simulated, and what is cited, on one logarithmic axis.

    Args:
        entries: the ledger's lines.
        per: how many images or updates share it.
        name: the plot's.
        what: ``one inference`` say.
    """
    rows = _rows(entries)
    if not rows or per < 1:
        return None
    figure, (axes,) = panels(1, height=1.2 + 0.24 * len(rows))
    labels = [label for label, *_ in rows]
    for simulated, marker, face, said in ((True, "o", SERIES[0], "simulated"), (False, "D", "none", "cited")):
        at = [n for n, row in enumerate(rows) if row[2] is simulated]
        values = [rows[n][1] / per for n in at]
        if at:
            colour = SERIES[0] if simulated else SERIES[1]
            axes.plot(values, at, marker, color=colour, markerfacecolor=face, markersize=5.5, label=said)
        for n, value in zip(at, values, strict=True):
            axes.annotate(
                si(rows[n][1] / per, "J"),
                (value, n),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                color=INK,
            )
    axes.set_xscale("log")
    axes.set_xlim(min(row[1] for row in rows) / per / 2, max(row[1] for row in rows) / per * 12)
    axes.xaxis.set_major_locator(LogLocator(numticks=7))
    axes.xaxis.set_major_formatter(lambda value, _: setting(value, "J"))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.set(xlabel=f"energy of {what} (J)", yticks=range(len(rows)), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticklabels(labels)
    axes.grid(visible=False, axis="x", which="minor")
    legend(figure, axes, columns=2)
    return finish(
        figure,
        name=name,
        alt=f"Energy of {what}: "
        + "; ".join(f"{label} {si(joules / per, 'J')}" for label, joules, _ in rows)
        + ".",
        caption=(
            f"Energy of {what}, on a logarithmic axis. Filled: simulated, in the headline. "
            "Open: periphery at cited energies, apart from it."
        ),
    )


def _rows(entries: Iterable[Entry]) -> list[tuple[str, float, bool]]:
    """Label, joules, whether simulated: per component or action, whichever tells more."""
    entries = [entry for entry in entries if entry.joules > 0]
    simulated = [entry for entry in entries if entry.source.digest]
    several = len({entry.component for entry in simulated}) > 1
    sums: dict[tuple[bool, str], float] = defaultdict(float)
    for entry in (*simulated, *(entry for entry in entries if not entry.source.digest)):
        found = bool(entry.source.digest)
        label = f"{entry.component}, reads" if found and several else entry.action
        for direction, name in DIRECTIONS.items():
            label = label.replace(direction, name)
        sums[found, label] += entry.joules
    return [(label, joules, found) for (found, label), joules in sums.items()]


@never_fatal("pulse widths")
def width_plot(update: Mapping[str, Any], table: LookupTable | None, *, v_write: float | None) -> Plot | None:
    """Histogram of the pulse widths that training sent, above the P_switch each of them stands for."""
    widths = {
        direction: (np.array(each["width"]), np.array(each["pulses"], dtype=float))
        for direction, each in update.get("pulse_widths", {}).items()
        if sum(each["pulses"])
    }
    if not widths:
        return None
    curves = _curves(table, widths, v_write)
    figure, axes = panels(2 if curves else 1, height=4.4 if curves else 3.0)
    total = sum(pulses.sum() for _, pulses in widths.values())
    said, last = [], 0.0
    for number, (direction, (width, pulses)) in enumerate(widths.items()):
        step = width[0] if len(width) < 2 else width[1] - width[0]
        edges = np.append(width - step / 2, width[-1] + step / 2)
        colour, dash = SERIES[number], ("-", "--")[number % 2]
        axes[0].stairs(
            100 * pulses / total,
            edges * 1e9,
            linewidth=1.4,
            color=colour,
            linestyle=dash,
            label=direction_name(direction),
        )
        last = max(last, float(width[np.flatnonzero(pulses)[-1]] + step))
        middle = width[np.searchsorted(np.cumsum(pulses), pulses.sum() / 2)]
        said.append(
            f"{direction_name(direction)}: {count(pulses.sum())} pulses, median {si(float(middle), 's')}, "
            f"longest {si(float(width[np.flatnonzero(pulses)[-1]]), 's')}"
        )
        if direction in curves:
            t_pulse, p_switch = curves[direction]
            axes[1].plot(t_pulse * 1e9, p_switch, dash, color=colour)
    axes[0].set(ylabel="share of pulses (%)", xlim=(0, last * 1e9), ylim=(0, None))
    if curves:
        axes[1].set(yscale="log", ylim=(P_FLOOR, 1.5), ylabel="switching probability")
        decades(axes[1])
    axes[-1].set_xlabel("pulse width (ns)")
    legend(figure, axes[0], columns=2)
    return finish(
        figure,
        name="widths",
        alt=f"Histogram of pulse widths. {'; '.join(said)}.",
        caption=f"Pulses sent while training, all seeds, by width on the timing grid. {'; '.join(said)}."
        + (" Below: the probability that the table gives each width." if curves else ""),
    )


def _curves(
    table: LookupTable | None, directions: Iterable[str], v_write: float | None
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    if table is None or v_write is None:
        return {}
    t_pulse = np.asarray(table.data["t_pulse"].values, dtype=float)
    known = [str(each) for each in table.data["direction"].values]
    return {
        direction: (t_pulse, table.read("p_switch", direction=direction, v_write=v_write, t_pulse=t_pulse))
        for direction in directions
        if direction in known
    }


def by_law_share(update: Mapping[str, Any], table: LookupTable, *, v_write: float) -> str | None:
    """The share of pulses whose probability the Monte Carlo did not give, in words.

    ``None`` where the table cannot tell: no ``route``, or no row at ``v_write``.
    """
    data = table.data
    if "route" not in data or v_write not in data["v_write"].values:
        return None
    beyond = total = 0.0
    for direction, each in update.get("pulse_widths", {}).items():
        route = data["route"].sel(direction=direction, v_write=v_write)
        sampled = np.interp(each["width"], data["t_pulse"].values, (route.values == 1).astype(float)) > 0.5
        pulses = np.array(each["pulses"], dtype=float)
        beyond, total = beyond + float(pulses[~sampled].sum()), total + float(pulses.sum())
    return share(beyond / total) if total else None


def mark(axes: Axes, text: str) -> None:
    """A panel's name in its lower right corner, where rising curves leave room."""
    axes.annotate(
        text,
        (1, 0),
        xycoords="axes fraction",
        xytext=(-6, 6),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=MUTED,
        fontsize=8.5,
    )
