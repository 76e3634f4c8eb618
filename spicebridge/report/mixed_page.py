"""The page of mixed-precision training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spicebridge.report import device_sections, mixed_sections, pcm_sections, sections
from spicebridge.report.boundaries import boundary_section
from spicebridge.report.markup import Html
from spicebridge.table import LookupTable


def mixed_sections_of(
    record: Mapping[str, Any], said: Mapping[str, Any], tables: Sequence[LookupTable]
) -> Iterator[Html | None]:
    """What the page of mixed-precision training shows, in order.

    Args:
        record: as ``record.json`` holds it; arms and figures it lacks are said to be missing.
        said: its summary.
        tables: those of its tables that are at hand.
    """
    yield sections.header(said)
    yield device_sections.missing_tables(record, tables)
    yield mixed_sections.headline(said)
    yield boundary_section(said["accounting"])
    yield mixed_sections.accuracy(record, said)
    yield mixed_sections.memory(record, said)
    yield mixed_sections.energy(record, said)
    yield sections.differences(said)
    yield pcm_sections.device(tables)
