"""Lines of the reports for the terminal: aligned columns, lists, and how every report ends."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from spicebridge.report.summary import mixed_elements, table_size

WIDTH = 96


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines; a column without any text is left out."""
    if not rows:
        return []
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    shown = [number for number, width in enumerate(widths) if width]
    return ["  " + "   ".join(f"{row[n]:<{widths[n]}}" for n in shown).rstrip() for row in rows]


def bulleted(sentence: str) -> list[str]:
    """A sentence as an item of a list."""
    return textwrap.wrap(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    ")


def title(said: Mapping[str, Any]) -> str:
    """The first line: the experiment and what it is."""
    return f"{said['experiment']}: {said['description']}" if said["description"] else str(said["experiment"])


def closing(said: Mapping[str, Any]) -> list[str]:
    """What differs from the paper, what no figure counts, and the tables."""
    lines = []
    if said["differences"]:
        lines += ["", "What differs from the paper"]
        lines += [line for each in said["differences"] for line in bulleted(each)]
        lines += ["", *textwrap.wrap(f"Paper: {said['paper']['source']}.", WIDTH)]
    if said["absent"]:
        lines += ["", *textwrap.wrap(f"Counted in no figure: {', '.join(said['absent'])}.", WIDTH)]
    if mixed := mixed_elements(said):
        lines += ["", "Tables of different elements, as this run was set to allow"]
        lines += [line for each in mixed for line in bulleted(each)]
    lines += ["", "Tables"]
    return lines + columns([(each["name"], table_size(each), each["digest"]) for each in said["tables"]])
