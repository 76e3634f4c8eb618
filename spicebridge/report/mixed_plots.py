"""Plots of mixed-precision training: accuracy by epoch, ablations, retention, pulses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from spicebridge.report.drawing import INK, MUTED, SERIES, Plot, finish, legend, never_fatal, panels
from spicebridge.report.mixed_summary import ARMS
from spicebridge.report.mixed_text import age
from spicebridge.report.quantity import count, minus, percent, points, power_of_ten, share, si

Record = Mapping[str, Any]
CURVES = {"table": ("-", SERIES[0]), "float": (":", SERIES[2]), "ideal": ("--", SERIES[1])}
"""The arms that the plot of training draws with their band; line and colour of each."""
_THIN = ("-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)))


@never_fatal("accuracy by epoch")
def training_plot(arms: Mapping[str, Any], *, evaluated_on: str) -> Plot | None:
    """Accuracy against epoch of every arm, mean over seeds, with a band of one standard deviation."""
    ran = [arm for arm in ARMS if arms.get(arm, {}).get("runs")]
    if not ran:
        return None
    figure, (axes,) = panels(1, height=3.9)
    said, lowest = [], []
    for number, arm in enumerate(ran):
        curves = 100 * np.array(
            [[each["test_accuracy"] for each in run["epochs"]] for run in arms[arm]["runs"]]
        )
        epoch = np.array([each["epoch"] for each in arms[arm]["runs"][0]["epochs"]])
        line, colour = CURVES.get(arm, (_THIN[number % len(_THIN)], SERIES[3 + number % 2]))
        mean = curves.mean(axis=0)
        axes.plot(epoch, mean, linestyle=line, color=colour, label=ARMS[arm], marker=".", markersize=3)
        if len(curves) > 1 and arm in CURVES:
            spread = curves.std(axis=0, ddof=1)
            axes.fill_between(epoch, mean - spread, mean + spread, color=colour, alpha=0.18, lw=0)
        lowest.append(float(mean.min()))
        said.append(f"{ARMS[arm]} {percent(float(mean[-1]))}")
    top = max(axes.get_ylim()[1], 0)
    # The worst ablation would squeeze all the others into one line: it may leave the panel below.
    axes.set_ylim(max(min(lowest) - 0.5, float(np.median(lowest)) - 6), min(top, 100))
    axes.set(xlabel="epoch", ylabel=f"accuracy, {evaluated_on} images (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.margins(x=0.02)
    legend(figure, axes, columns=3)
    return finish(
        figure,
        name="training",
        alt=f"Accuracy against epoch. After the last: {'; '.join(said)}.",
        caption=(
            "Accuracy after each epoch, mean over the seeds an arm had; band: one standard deviation. The "
            "headline is the last epoch's, not the best. An arm far below the others leaves the panel."
        ),
    )


@never_fatal("the ablations")
def ablation_plot(arms: Mapping[str, Mapping[str, Any]]) -> Plot | None:
    """What each arm gains over all effects on, in points, with its spread over seeds."""
    compared = {arm: each for arm, each in arms.items() if each["effect"] is not None}
    if not compared:
        return None
    figure, (axes,) = panels(1, height=1.1 + 0.32 * len(compared))
    for row, each in enumerate(compared.values()):
        axes.plot([each["effect"]], [row], "o", color=SERIES[0], markersize=5.5)
        if each["effect_spread"] is not None:
            ends = [each["effect"] - each["effect_spread"], each["effect"] + each["effect_spread"]]
            axes.plot(ends, [row, row], color=SERIES[0])
        axes.annotate(
            points(each["effect"]).removesuffix(" points"),
            (each["effect"], row),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=INK,
        )
    most = max(abs(each["effect"]) + (each["effect_spread"] or 0) for each in compared.values())
    axes.set_xscale("symlog", linthresh=0.5, linscale=1.0)
    axes.set_xlim(-2.5 * max(most, 0.5), max(1.0, 1.6 * max(each["effect"] for each in compared.values())))
    axes.axvline(0, color=MUTED, linewidth=0.9)
    every = (-50, -10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 50)
    ticks = [tick for tick in every if within(tick, axes.get_xlim())]
    axes.set_xticks(ticks, [minus(f"{tick:g}") for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(yticks=range(len(compared)), ylim=(len(compared) - 0.4, -0.8))
    axes.set_yticklabels([ARMS[arm] for arm in compared])
    axes.set_xlabel("accuracy less that with all effects on (points)")
    axes.grid(visible=False, axis="y")
    listing = "; ".join(f"{ARMS[arm]} {points(each['effect'])}" for arm, each in compared.items())
    return finish(
        figure,
        name="ablations",
        alt=f"Accuracy of each arm less that of the PCM pairs: {listing}.",
        caption=(
            "What an arm gains over PCM pairs with all effects on, mean over the seeds that both had; bar: "
            "one standard deviation of the differences. The axis is linear within half a point, logarithmic "
            "beyond."
        ),
    )


def within(value: float, limits: tuple[float, float]) -> bool:
    """Whether a value lies between two limits."""
    return limits[0] <= value <= limits[1]


@never_fatal("accuracy by age")
def retention_plot(retention: Sequence[Record], *, after_training: float | None) -> Plot | None:
    """Accuracy of the trained networks against the time since training."""
    if not retention:
        return None
    figure, (axes,) = panels(1, height=3.1)
    ages = np.array([each["age_s"] for each in retention], dtype=float)
    accuracy = np.array([each["accuracy"] for each in retention], dtype=float)
    spread = np.array([each.get("accuracy_spread") or 0.0 for each in retention])
    axes.errorbar(ages, accuracy, spread, fmt="o-", color=SERIES[0], capsize=2, linewidth=1.2)
    if after_training is not None:
        axes.axhline(after_training, color=MUTED, linewidth=1, linestyle="--", label="end of training")
        legend(figure, axes, columns=1)
    axes.set_xscale("log")
    axes.set_xticks(ages, [age(each) for each in ages])
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.set(xlabel="age", ylabel="accuracy (%)")
    said = "; ".join(
        f"{age(each['age_s'])} {percent(each['accuracy'], each.get('accuracy_spread'))}" for each in retention
    )
    return finish(
        figure,
        name="retention",
        alt=f"Accuracy against age: {said}.",
        caption=(
            "The trained networks read again at a time after training, every device older by it; nothing is "
            "corrected for drift. Mean over seeds; bars: one standard deviation."
        ),
    )


@never_fatal("SET pulses by number")
def pulse_plot(counts: Record) -> Plot | None:
    """Histogram of SET pulses by their number since the device's RESET."""
    pulses = np.array(counts.get("set_pulses") or [0], dtype=float)
    if not pulses.sum():
        return None
    figure, (axes,) = panels(1, height=3.1)
    numbers = np.arange(1, len(pulses) + 1)
    axes.bar(numbers, pulses / counts["images"], width=0.8, color=SERIES[0], alpha=0.75, linewidth=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
    axes.yaxis.set_minor_formatter(lambda *_: "")
    axes.set(xlabel="number of the pulse since RESET", ylabel="SET pulses per training image")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False, axis="x")
    total, last = pulses.sum(), share(float(pulses[-1] / pulses.sum()))
    energy = si(counts["set_energy_sum"] / total, "J")
    return finish(
        figure,
        name="pulses",
        alt=f"Histogram of {count(total)} SET pulses by number since RESET; the last bar has {last}.",
        caption=(
            f"{count(total)} SET pulses over {count(counts['images'])} training images, all seeds, {energy} "
            f"each; {count(counts['refresh_set_pulses'])} of them sent by refreshes after "
            f"{count(counts['resets'])} RESETs. The last bar ({last}) holds its own number and all later "
            "ones, which the table does not tell apart."
        ),
    )
