"""The page of a study of passive arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spicebridge.report import device_sections, sections, study_sections
from spicebridge.report.boundaries import boundary_section
from spicebridge.report.markup import Html
from spicebridge.table import LookupTable


def array_sections(
    record: Mapping[str, Any], said: Mapping[str, Any], tables: Sequence[LookupTable]
) -> Iterator[Html | None]:
    """What the page of a study shows, in order.

    Args:
        record: as ``record.json`` holds it.
        said: its summary.
        tables: those of its tables that are at hand.
    """
    yield study_sections.header(said)
    yield device_sections.missing_tables(record, tables)
    yield study_sections.headline(said)
    yield boundary_section(said["accounting"])
    yield study_sections.accuracy(record, said)
    yield study_sections.fidelity(record, said)
    yield study_sections.variants(record, said)
    yield study_sections.array(record, said, tables)
    yield study_sections.energy(record, said)
    yield sections.differences(said)
