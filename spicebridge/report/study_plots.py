"""Plots of a study of passive arrays: accuracy by stage, fidelity, IR drop and disturb over the array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from spicebridge.report.drawing import INK, MUTED, SERIES, Plot, finish, grid, legend, never_fatal, panels
from spicebridge.report.quantity import chance, power_of_ten, setting
from spicebridge.report.study_summary import DRAWN, STAGES
from spicebridge.table import LookupTable

Record = Mapping[str, Any]
SCHEMES = {"half": "V/2", "third": "V/3"}
BOX = 0.17
"""Width of a box, of the distance between two stages."""
FAINTEST = 1e-8
"""Probabilities below this are drawn as nothing."""


@never_fatal("accuracy by stage")
def box_plot(record: Record, scheme: str) -> Plot | None:
    """Accuracy of all solutions by stage, a box for each diameter, of the cases written by a scheme."""
    cases = [
        case
        for case in record["cases"]
        if case["point"]
        and case["point"]["scheme"] == scheme
        and not (case["aware"] or case["passes"] > 1 or case["defects"])
    ]
    if not cases:
        return None
    cases.sort(key=lambda case: float(case["point"]["diameter"]))
    figure, (axes,) = panels(1, height=3.9)
    lowest = 100.0
    for number, case in enumerate(cases):
        colour = SERIES[number % len(SERIES)]
        shift = 1.15 * BOX * (number - (len(cases) - 1) / 2)
        for place, stage in enumerate(STAGES):
            name = setting(case["point"]["diameter"], "m") if place == 0 else ""
            _box(axes, place + shift, case["summary"][stage], colour, label=name)
            lowest = min(lowest, case["summary"][stage]["q10"])
    axes.set(
        xticks=range(len(STAGES)),
        ylabel="accuracy, test samples (%)",
        ylim=(max(0.0, lowest - 3), 101),
        xlim=(-0.55, len(STAGES) - 0.45),
    )
    axes.set_xticklabels([name.replace(", ", ",\n").replace(" ", "\n", 1) for name in STAGES.values()])
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(visible=False, axis="x")
    legend(figure, axes, columns=len(cases))
    ends = "; ".join(
        f"{setting(case['point']['diameter'], 'm')} {case['summary']['thresholds_tuned']['median']:.1f} %"
        for case in cases
    )
    points = ", ".join(
        f"{setting(case['point']['diameter'], 'm')} at {setting(case['point']['v_write'], 'V')} "
        f"(fidelity {100 * case['write_fidelity']:.1f} %)"
        for case in cases
    )
    return finish(
        figure,
        name=f"stages-{scheme}",
        alt=f"Box plots of accuracy by stage and diameter, {SCHEMES[scheme]}. Medians at the end: {ends}.",
        caption=(
            f"{SCHEMES[scheme]}: {points}. Box: quartiles over {len(record['seeds'])} solutions. "
            "Line: median. "
            "Whiskers: 10 and 90 %. Dot: mean. Every stage keeps what the one before added."
        ),
    )


def _box(axes: Axes, x: float, said: Record, colour: str, *, label: str) -> None:
    """One box with whiskers at the outer deciles; a box of no height is drawn as a line."""
    low, high = said["q25"], said["q75"]
    axes.plot([x, x], [said["q10"], said["q90"]], color=colour, linewidth=1)
    box = Rectangle(
        (x - BOX / 2, low), BOX, high - low, facecolor=colour, alpha=0.35, linewidth=0, label=label
    )
    axes.add_patch(box)
    axes.plot([x - BOX / 2, x + BOX / 2], [said["median"]] * 2, color=colour, linewidth=2)
    axes.plot([x], [said["mean"]], ".", color=INK, markersize=3.5)


@never_fatal("accuracy by write fidelity")
def fidelity_plot(record: Record) -> Plot | None:
    """Test accuracy against write fidelity of every solution, where fidelity was drawn."""
    case = next((each for each in record["cases"] if each["case"] == DRAWN), None)
    if case is None:
        return None
    fidelity = 100 * (1 - np.array(case["wrong_cells"]) / case["cells"])
    figure, axes = panels(2, height=4.6)
    said = []
    for one, stage, colour in zip(axes, ("lines", "thresholds_tuned"), SERIES, strict=False):
        accuracy = 100 * np.array(case["stages"][stage]["correct"]) / case["test_samples"]
        one.plot(
            fidelity, accuracy + _jitter(len(accuracy), case), ".", color=colour, markersize=3, alpha=0.6
        )
        slope, rest = np.polyfit(fidelity, accuracy, 1) if np.ptp(fidelity) > 0 else (0.0, accuracy.mean())
        ends = np.array([fidelity.min(), fidelity.max()])
        one.plot(ends, slope * ends + rest, color=INK, linewidth=1)
        r = np.corrcoef(fidelity, accuracy)[0, 1] if np.ptp(fidelity) * np.ptp(accuracy) > 0 else 0.0
        words = {"lines": "before tuning", "thresholds_tuned": "after tuning"}[stage]
        one.set(ylabel="accuracy (%)", ylim=(min(50.0, accuracy.min() - 3), 102))
        one.annotate(
            f"{words}: r² = {r**2:.2f}",
            (0.02, 0.06),
            xycoords="axes fraction",
            color=MUTED,
        )
        said.append(f"{words} r² = {r**2:.2f}")
    axes[-1].set_xlabel("write fidelity (% of used cells)")
    return finish(
        figure,
        name="fidelity",
        alt=f"Test accuracy against write fidelity of {len(fidelity)} solutions: {'; '.join(said)}.",
        caption=(
            f"A dot is one solution on {case['test_samples']} test samples of its own split, moved up "
            "or down "
            "by less than half a sample so that equal ones show. Write errors fall at random, at a "
            "rate drawn "
            "for each solution. Line: least squares."
        ),
    )


def _jitter(count: int, case: Record) -> NDArray[np.float64]:
    """Even steps of less than half a test sample, in an order without pattern, in per cent."""
    golden = (np.sqrt(5) - 1) / 2
    return (np.arange(count) * golden % 1 - 0.5) * 0.8 * 100 / case["test_samples"]


@never_fatal("the IR drop by position")
def drop_plot(record: Record, table: LookupTable) -> Plot | None:
    """Map of the IR drop of a read by position, one for each diameter, half of the cells in P."""
    if not {"diameter", "r_segment", "background"} <= set(table.axes):
        return None
    at = {"r_segment": record["settings"]["r_segment"]}
    data = table.data["transmission"].sel(background="checkerboard").sel(at, method="nearest")
    drops = {
        setting(float(diameter), "m"): 100 * (1 - data.sel(diameter=diameter).values)
        for diameter in data["diameter"].values
    }
    most = max(float(drop.max()) for drop in drops.values())
    figure = _maps({name: drop / (most or 1.0) for name, drop in drops.items()}, columns=2)
    ranges = {name: f"{drop.min():.1f} to {drop.max():.1f} %" for name, drop in drops.items()}
    _titles(figure, ranges)
    return finish(
        figure,
        name="ir-drop",
        alt="Maps of IR drop over the array: " + "; ".join(f"{n} {said}" for n, said in ranges.items()) + ".",
        caption=(
            "IR drop: what of a cell's current is lost on its way to the column's output, in per "
            "cent of the "
            f"ideal, cell after cell, with lines of {setting(at['r_segment'], 'ohm').replace('ohm', 'Ω')} a "
            f"segment, a checkerboard of states and one row driven. Deepest colour: {most:.0f} %. Drivers on "
            "the left, sense inputs at the bottom."
        ),
    )


@never_fatal("write errors and disturb by position")
def disturb_plot(record: Record, table: LookupTable) -> Plot | None:
    """Maps of write errors and half-select disturb by position, at the headline diameter's write points."""
    points = [
        case["point"]
        for case in record["cases"]
        if case["point"]
        and case["point"]["diameter"] == record["settings"]["diameter"]
        and not (case["aware"] or case["passes"] > 1 or case["defects"])
    ]
    points.sort(key=lambda point: str(point["scheme"]))
    maps: dict[str, NDArray[np.float64]] = {}
    for point in points:
        scheme = SCHEMES[point["scheme"]]
        maps[f"{scheme}, not written"] = 1 - _worst(table, "success", point, least=True)
        maps[f"{scheme}, same row"] = _worst(table, "row_disturb", point)
        maps[f"{scheme}, same column"] = _worst(table, "column_disturb", point)
    if not maps:
        return None
    depth = {name: _depth(values) for name, values in maps.items()}
    figure = _maps(depth, columns=3)
    ranges = {name: f"up to {chance(float(values.max()))}" for name, values in maps.items()}
    _titles(figure, ranges)
    written = ", ".join(f"{SCHEMES[point['scheme']]} {setting(point['v_write'], 'V')}" for point in points)
    return finish(
        figure,
        name="disturb",
        alt="Maps of write failure and disturb: "
        + "; ".join(f"{n} {said}" for n, said in ranges.items())
        + ".",
        caption=(
            f"Probabilities of one pulse of {setting(points[0]['t_pulse'], 's')} at "
            f"{setting(points[0]['diameter'], 'm')} ({written}), the worse of both directions: that the cell "
            "is not written, or flips while another in its row or column is. Colour on a logarithmic scale "
            f"from {power_of_ten(FAINTEST)} (none) to 1 (deepest)."
        ),
    )


def _worst(table: LookupTable, quantity: str, point: Record, *, least: bool = False) -> NDArray[np.float64]:
    """A probability by position (rows, columns), the highest (or least) of both directions."""
    rows, columns = np.meshgrid(
        table.data["row"].values, table.data["column"].values, indexing="ij", sparse=False
    )
    at = {key: point[key] for key in ("scheme", "diameter", "v_write", "t_pulse")}
    both = [
        table.read(quantity, direction=direction, row=rows, column=columns, **at)
        for direction in ("ap_to_p", "p_to_ap")
    ]
    return np.minimum(*both) if least else np.maximum(*both)


def _depth(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a probability lies between ``FAINTEST`` (0) and 1 (1), logarithmically."""
    return 1 - np.log10(np.clip(probability, FAINTEST, 1)) / np.log10(FAINTEST)


def _maps(depth: Mapping[str, NDArray[np.float64]], *, columns: int) -> Figure:
    """Maps side by side, each cell as deep in colour as its value in [0, 1]."""
    rows = -(-len(depth) // columns)
    figure, axes = grid(rows, columns, height=0.4 + rows * (5.4 / columns))
    for one, (name, values) in zip(axes, depth.items(), strict=False):
        for row, column in np.ndindex(*values.shape):
            one.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5),
                    1,
                    1,
                    facecolor=SERIES[0],
                    alpha=float(np.clip(values[row, column], 0, 1)),
                    linewidth=0,
                )
            )
        ends = (values.shape[0] - 0.5, -0.5)
        one.set(xlim=(-0.5, values.shape[1] - 0.5), ylim=ends, xticks=[0, 7, 14], yticks=[0, 7, 14])
        one.set(aspect="equal", title=name)
        one.grid(visible=False)
    for one in axes[len(depth) :]:
        one.set_visible(False)
    for one in axes[-columns:]:
        one.set_xlabel("column")
    for one in axes[::columns]:
        one.set_ylabel("row")
    return figure


def _titles(figure: Figure, said: Mapping[str, str]) -> None:
    for axes in figure.axes:
        name = axes.get_title()
        if name in said:
            axes.set_title(f"{name}\n{said[name]}", fontsize=8.5)
