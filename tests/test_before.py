"""Records and tables that earlier versions made can still be read; ``before/`` keeps some of each system."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from nn.studies import accounted
from spicebridge.cli import main
from spicebridge.lineage import chain
from spicebridge.project import netlists_folder
from spicebridge.report import headline_text, html_report, summary, text_report
from spicebridge.table import load_table

BEFORE = Path(__file__).parent / "before"
RECORDS = ("digits_ternary_mtj", "wine_passive_array", "fashion_pcm_mixed")
TABLES = ("synapse_read", "mtj_write_65nm", "pcm_reset", "array_read", "pair_read")


def record_of(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(gzip.decompress((BEFORE / f"{name}.json.gz").read_bytes()))
    return record


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_before_has_its_text_its_page_and_its_figures(name: str) -> None:
    record = accounted(record_of(name))
    tables = {each.digest: each for each in (load_table(path) for path in sorted(BEFORE.glob("*.h5")))}
    accuracy = f"{record['accuracy']:.2f}"
    assert accuracy in headline_text(record)
    assert accuracy in text_report(record)
    assert summary(record)["accuracy"] == record["accuracy"]
    page = html_report(record, tables=tables, chain=chain(record, tables, netlists_folder()), write=None)
    assert accuracy in page
    assert ("Not at hand" in page) is bool({each["digest"] for each in record["tables"]} - set(tables))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_before_is_whole_and_is_shown(name: str) -> None:
    path = BEFORE / f"{name}.h5"
    table = load_table(path)
    shown = CliRunner().invoke(main, ["show", str(path)], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    assert table.digest[:12] in shown.output
    for quantity in table.quantities:
        assert quantity in shown.output
    assert np.isfinite(table.data[next(iter(table.quantities))].values).any()
