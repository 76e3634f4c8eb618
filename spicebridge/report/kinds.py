"""Which report a record gets: of networks in training, of passive arrays, or of mixed-precision training.

Pages are imported when one is made: their plots take Matplotlib along, which the figures alone do not need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spicebridge.errors import SpicebridgeError
from spicebridge.lineage import Link
from spicebridge.report import mixed_summary, mixed_text, study_summary, study_text, text
from spicebridge.report import summary as network_summary
from spicebridge.report.markup import Html
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable

Record = Mapping[str, Any]
Sections = Iterable[Html | None]


@dataclass(frozen=True)
class Kind:
    """How records of one kind are told.

    Attributes:
        summary: the headline figures as JSON-like values.
        text_report: the figures as aligned text.
        headline_text: the headline figures in two lines.
        sections: the page's, from the record, its summary, the tables at hand and a write pulse.
    """

    summary: Callable[[Record], dict[str, Any]]
    text_report: Callable[[Record], str]
    headline_text: Callable[[Record], str]
    sections: Callable[[Record, Record, Sequence[LookupTable], Waveforms | None], Sections]


def _network(
    record: Record, said: Record, tables: Sequence[LookupTable], write: Waveforms | None
) -> Sections:
    from spicebridge.report.page import network_sections

    return network_sections(record, said, tables, write)


def _array(record: Record, said: Record, tables: Sequence[LookupTable], _: Waveforms | None) -> Sections:
    from spicebridge.report.study_page import array_sections

    return array_sections(record, said, tables)


def _mixed(record: Record, said: Record, tables: Sequence[LookupTable], _: Waveforms | None) -> Sections:
    from spicebridge.report.mixed_page import mixed_sections_of

    return mixed_sections_of(record, said, tables)


NETWORK = Kind(network_summary.summary, text.text_report, text.headline_text, _network)
STUDIES = {
    "passive_array": Kind(
        study_summary.summary,
        study_text.text_report,
        study_text.headline_text,
        _array,
    ),
    "mixed_precision": Kind(
        mixed_summary.summary,
        mixed_text.text_report,
        mixed_text.headline_text,
        _mixed,
    ),
}
"""By a record's ``study``; a record without one is of networks in training."""


def kind_of(record: Record) -> Kind:
    """The kind a record is of.

    Raises:
        SpicebridgeError: its study is none that there is a report of.
    """
    study = record.get("study")
    if study is None:
        return NETWORK
    if study not in STUDIES:
        raise SpicebridgeError(
            f"the record of {record.get('experiment')} is of study {study!r}, of which there is no "
            f"report. There are: {', '.join(STUDIES)}, and networks of ternary synapses, which name none."
        )
    return STUDIES[study]


def summary(record: Record) -> dict[str, Any]:
    """A record's headline figures as JSON-like values."""
    return kind_of(record).summary(record)


def text_report(record: Record) -> str:
    """A record's figures as aligned text."""
    return kind_of(record).text_report(record)


def headline_text(record: Record) -> str:
    """A record's headline figures in two lines."""
    return kind_of(record).headline_text(record)


def html_report(
    record: Record, *, tables: Mapping[str, LookupTable], chain: Sequence[Link], write: Waveforms | None
) -> str:
    """A record's report as an HTML document.

    Args:
        record: as ``record.json`` holds it.
        tables: the tables at hand by digest; those the record names and that are missing are said to be.
        chain: the lineage of the headline figures.
        write: one write pulse of a network's synapse, if it was simulated.
    """
    from spicebridge.report import device_sections, page

    kind = kind_of(record)
    said = kind.summary(record)
    named = [tables[each["digest"]] for each in said["tables"] if each["digest"] in tables]
    header, *sections = kind.sections(record, said, named, write)
    parts = [
        header,
        device_sections.mixed_tables(said),
        *sections,
        device_sections.parameters(named),
        device_sections.lineage(chain),
    ]
    return page.document(f"{said['experiment']}: spicebridge report", parts)
