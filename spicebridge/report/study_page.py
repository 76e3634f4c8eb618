"""The page of a study of passive arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spicebridge.lineage import Link
from spicebridge.report import device_sections, sections, study_sections
from spicebridge.report.page import document
from spicebridge.report.study_summary import summary
from spicebridge.table import LookupTable


def html_report(
    record: Mapping[str, Any], *, tables: Mapping[str, LookupTable], chain: Sequence[Link]
) -> str:
    """A study's report as an HTML document.

    Args:
        record: as ``record.json`` holds it.
        tables: the tables at hand by digest; those the record names and that are missing are said to be.
        chain: the lineage of the headline figures.
    """
    said = summary(record)
    named = [tables[each["digest"]] for each in said["tables"] if each["digest"] in tables]
    return document(
        f"{said['experiment']}: spicebridge report",
        [
            study_sections.header(said),
            device_sections.missing_tables(record, tables),
            study_sections.headline(said),
            study_sections.accuracy(record, said),
            study_sections.fidelity(record, said),
            study_sections.variants(record, said),
            study_sections.array(record, said, named),
            study_sections.energy(record, said),
            sections.differences(said),
            device_sections.parameters(named),
            device_sections.lineage(chain),
        ],
    )
