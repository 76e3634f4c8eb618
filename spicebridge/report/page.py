"""The report as one self-contained HTML page: it loads nothing, and the same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spicebridge.report import device_sections, sections
from spicebridge.report.boundaries import boundary_section
from spicebridge.report.markup import Html, join, tag
from spicebridge.report.stylesheet import STYLESHEET
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable


def network_sections(
    record: Mapping[str, Any],
    said: Mapping[str, Any],
    tables: Sequence[LookupTable],
    write: Waveforms | None,
) -> Iterator[Html | None]:
    """What the page of a network in training shows, in order.

    Args:
        record: as ``record.json`` holds it; arms and figures it lacks are said to be missing.
        said: its summary.
        tables: those of its tables that are at hand.
        write: one write pulse, if it was simulated.
    """
    yield sections.header(said)
    yield device_sections.missing_tables(record, tables)
    yield sections.headline(said)
    yield boundary_section(said["accounting"])
    yield sections.accuracy(record, said)
    yield sections.energy(record, said)
    yield sections.differences(said)
    yield device_sections.writing(record, tables, write)
    yield device_sections.reading(record, tables)


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
