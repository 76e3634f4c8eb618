"""The report as one self-contained HTML page: it loads nothing, and the same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spicebridge.lineage import Link
from spicebridge.report import device_sections, sections
from spicebridge.report.markup import Html, join, tag
from spicebridge.report.stylesheet import STYLESHEET
from spicebridge.report.summary import summary
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable


def html_report(
    record: Mapping[str, Any],
    *,
    tables: Mapping[str, LookupTable],
    chain: Sequence[Link],
    write: Waveforms | None,
) -> str:
    """A run's report as an HTML document.

    Args:
        record: as ``record.json`` holds it; arms and figures it lacks are said to be missing.
        tables: the tables at hand by digest; those the record names and that are missing are said to be.
        chain: the lineage of the headline figures.
        write: one write pulse, if it was simulated.
    """
    said = summary(record)
    named = [tables[each["digest"]] for each in said["tables"] if each["digest"] in tables]
    body = join(
        [
            sections.header(said),
            device_sections.missing_tables(record, tables),
            sections.headline(said),
            sections.accuracy(record, said),
            sections.energy(record, said),
            sections.differences(said),
            device_sections.writing(record, named, write),
            device_sections.reading(record, named),
            device_sections.parameters(named),
            device_sections.lineage(chain),
        ],
        "\n",
    )
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", f"{said['experiment']}: spicebridge report"),
        tag("style", Html(STYLESHEET)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', tag('main', body)), lang='en')}\n"
