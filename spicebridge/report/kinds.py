"""Which report a record gets: that of networks in training, or that of a study of passive arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spicebridge.lineage import Link
from spicebridge.report import page, study_page, study_summary, study_text, text
from spicebridge.report import summary as network_summary
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable

Record = Mapping[str, Any]


def is_array_study(record: Record) -> bool:
    """Whether a record is of a study of passive arrays."""
    return record.get("study") == "passive_array"


def summary(record: Record) -> dict[str, Any]:
    """A record's headline figures as JSON-like values."""
    return study_summary.summary(record) if is_array_study(record) else network_summary.summary(record)


def text_report(record: Record) -> str:
    """A record's figures as aligned text."""
    return study_text.text_report(record) if is_array_study(record) else text.text_report(record)


def headline_text(record: Record) -> str:
    """A record's headline figures in two lines."""
    return study_text.headline_text(record) if is_array_study(record) else text.headline_text(record)


def html_report(
    record: Record, *, tables: Mapping[str, LookupTable], chain: Sequence[Link], write: Waveforms | None
) -> str:
    """A record's page; ``write`` is one write pulse of a network's synapse, if it was simulated."""
    if is_array_study(record):
        return study_page.html_report(record, tables=tables, chain=chain)
    return page.html_report(record, tables=tables, chain=chain, write=write)
