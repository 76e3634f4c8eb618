"""The report as one self-contained HTML page: it loads nothing, and the same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    return document(
        f"{said['experiment']}: spicebridge report",
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
    )


def document(title: str, parts: Iterable[Html | None]) -> str:
    """A whole HTML document of these parts; one that is None is left out."""
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        tag("style", Html(STYLESHEET)),
    )
    main = tag("main", join(parts, "\n"))
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', main), lang='en')}\n"
