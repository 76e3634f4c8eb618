"""The section of the page that a phase-change cell's tables fill, beside the published statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spicebridge.pcm_statistics import SOURCE
from spicebridge.report.markup import Html, table, tag
from spicebridge.report.pcm_plots import accumulation_plot, map_plot, worst_steps
from spicebridge.report.pcm_read_plots import pair_plot, read_plot, reset_plot
from spicebridge.report.quantity import setting
from spicebridge.report.sections import plots, section
from spicebridge.table import LookupTable

WORST = 8
"""Cells listed of those that depart most."""


def device(tables: Sequence[LookupTable]) -> Html | None:
    """The cell against the published statistics: SET, RESET, reading."""
    set_ = _with(tables, "delta_g_mean")
    reset, read = _with(tables, "g_after_mean"), _with(tables, "g_read")
    parts: list[Html | None] = []
    if set_:
        maps = (map_plot(set_, each) for each in ("delta_g_mean", "delta_g_std"))
        parts += [
            plots(accumulation_plot(set_), reset_plot(reset) if reset else None),
            tag("h3", "A SET pulse by number and conductance"),
            plots(*maps),
            tag("h3", "Where a SET pulse departs most from the published step"),
            _departures(set_),
            tag(
                "p",
                "Of the sampled cells only. The published step depends on the conductance and on the pulse "
                "number alone; in the compact model a device's own speed stays with it, so that those still "
                "low after many pulses are the slow ones.",
                class_="quiet",
            ),
        ]
    if read:
        parts += [tag("h3", "Reading"), plots(read_plot(read), pair_plot(read))]
    if not parts:
        return None
    return section(
        "The device against the published statistics",
        tag("p", f"Published: {SOURCE}, SET pulses of 90 µA and 50 ns.{_own_pulses(set_)}", class_="quiet"),
        *parts,
    )


def _own_pulses(set_: LookupTable | None) -> str:
    """The SET pulses of the table, where its lineage tells them."""
    sweep = set_.lineage.get("sweep") if set_ else None
    if not isinstance(sweep, Mapping) or not {"i_set", "t_set"} <= set(sweep):
        return " The table's SET pulses are not told." if set_ else ""
    return f" The table's: {setting(sweep['i_set'], 'A')} and {setting(sweep['t_set'], 's')}."


def _departures(set_: LookupTable) -> Html:
    tables = (
        table(
            ("pulse", "G before", "table (µS)", "published (µS)", "difference (µS)"),
            worst_steps(set_, quantity, count=WORST),
            numbers=range(1, 5),
            label=f"Largest departures of the {words} of a step",
        )
        for quantity, words in (("delta_g_mean", "mean"), ("delta_g_std", "spread"))
    )
    titled = zip(("Mean", "Spread"), tables, strict=True)
    return tag(
        "div", *(tag("div", tag("p", f"{name} of the step"), each) for name, each in titled), class_="plots"
    )


def _with(tables: Sequence[LookupTable], quantity: str) -> LookupTable | None:
    return next((each for each in tables if quantity in each.quantities), None)
