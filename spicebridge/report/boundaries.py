"""A run's energy within each boundary, side by side: array, weight update, all-in; the same for every system.

A figure is J an image beside TOPS/W. What is not known says why; dense figures, of which no zero is skipped,
stand below those that profit from zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spicebridge.report.markup import Html, table, tag
from spicebridge.report.quantity import MISSING, listed, si, times, tops

HEAD = ("", "array", "weight update", "all-in")
NOT_IN_RECORD = "not in the record"
_WITHOUT_DETAIL = ("ledgers", "boundaries")

Record = Mapping[str, Any]


def accounting_of(record: Record) -> dict[str, Any] | None:
    """A record's accounting without its ledgers, for scripts; None where it has none."""
    block = record.get("accounting")
    return (
        None if block is None else {key: value for key, value in block.items() if key not in _WITHOUT_DETAIL}
    )


def boundary_rows(block: Record | None) -> list[tuple[str, str, str, str]]:
    """Feed-forward, update and training step, each with its dense figure; without any, one row says so."""
    if block is None:
        return [("energy by boundary", NOT_IN_RECORD, "", "")]
    forward, update, step = block["feedforward"], block["update"], block["training_step"]
    dense = "  no zero skipped"
    rows = [
        ("feed-forward", as_text(forward["array"]), "", as_text(forward["all_in"])),
        (dense, as_text(forward["dense"]["array"]), "", as_text(forward["dense"]["all_in"])),
        ("update", as_text(update["array"]), as_text(update["weight_update"]), ""),
        (dense, "", as_text(update["dense"]["weight_update"]), ""),
        ("training step", "", "", as_text(step["all_in"])),
        (dense, "", "", as_text(step["dense"])),
    ]
    return [row for number, row in enumerate(rows) if row[1:] != rows[number - 1][1:] or row[0] != dense]


def as_text(figure: Record) -> str:
    """``1.94 nJ, 277 TOPS/W``; where there is none, ``not in the record`` or ``not applicable``."""
    if figure["energy_per_image"] is None:
        return reason(figure).partition(":")[0]
    joules = si(figure["energy_per_image"], "J")
    efficiency = figure.get("tops_per_watt")
    return joules if efficiency is None else f"{joules}, {tops(efficiency)}"


def reason(figure: Record) -> str:
    """Why there is no such figure: a word or two, and what is missing after a colon."""
    return str(figure.get("why", NOT_IN_RECORD))


def missing(block: Record) -> list[str]:
    """The reasons for the figures that there are none of, each once; those that say no more than the cell
    are left out."""
    figures = (*block["feedforward"].values(), *block["update"].values(), *block["training_step"].values())
    reasons = (
        reason(each)
        for each in figures
        if isinstance(each, Mapping) and each.get("energy_per_image", 0) is None
    )
    return [each for each in dict.fromkeys(reasons) if ":" in each]


def boundary_lines(block: Record | None) -> list[tuple[str, str, str, str]]:
    """The rows with their head, for the terminal."""
    return [HEAD, *boundary_rows(block)]


def notes(block: Record | None) -> Iterator[str]:
    """What the figures rest on, in sentences."""
    if block is None:
        return
    yield f"Accounting: {block['definition']}."
    yield from (f"{each[:1].upper()}{each[1:]}." for each in missing(block))
    for each in block["assumptions"]:
        yield f"Assumed: {each}."
    reads = block["feedforward"].get("dense_reads")
    if reads:
        planes = reads["first_layer"]["planes"]
        yield (
            "A read at an activation other than zero, the mean of the states: "
            f"{as_text(reads['ternary'])} for a ternary input, "
            f"{as_text(reads['first_layer'])} for one of {planes} bits."
        )
    update = block["update"]
    for name, figure in (update.get("memories") or {}).items():
        yield f"Weight update with the moments in {name}, {update['memories_are']}: {as_text(figure)}."


def boundary_section(block: Record | None) -> Html | None:
    """The page's table of boundaries, with what each holds."""
    if block is None:
        return None
    return tag(
        "section",
        tag("h2", "Energy by boundary"),
        tag("p", "J an image, and TOPS/W.", class_="quiet"),
        table(HEAD, boundary_rows(block), numbers=(1, 2, 3), label="Energy by boundary"),
        tag("ul", *(tag("li", each) for each in notes(block))),
        tag("p", f"Counted in none: {listed(block['absent'])}.", class_="quiet"),
    )


def headline(block: Record | None) -> str:
    """The boundaries in one line."""
    if block is None:
        return f"energy {MISSING}"
    forward, update, step = block["feedforward"], block["update"], block["training_step"]
    return (
        f"feed-forward array {as_text(forward['array'])}, all-in {as_text(forward['all_in'])}; update array "
        f"{as_text(update['array'])}, weight update {as_text(update['weight_update'])}; training step "
        f"{as_text(step['all_in'])}"
    )


def grid_rows(grid: Record) -> list[tuple[str, str, str, str]]:
    """The ratio's grid: scenario, ours alone, both designs, against the 8-bit one."""
    head = ("ratio, digital over ours", "ours alone", "both designs", "8-bit digital")
    cells = (
        (each["scenario"], *(_ratio(each[key]) for key in ("alone", "both", "int8"))) for each in grid["rows"]
    )
    return [head, *cells]


def _ratio(value: float | None) -> str:
    return NOT_IN_RECORD if value is None else times(value)
