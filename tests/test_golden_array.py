"""Full inference with every layer's array in ngspice decides as the solver does, and as the record says."""

from __future__ import annotations

import json

import pytest

from spicebridge.project import reference_folder
from spicebridge.terminal import cores
from tests.golden_array import RUN, TUNINGS, check, reference_record

pytestmark = pytest.mark.usefixtures("results")


def hold(result: dict, record: dict, first: int) -> None:
    """What must be true of a golden check of the record's solutions from ``first`` on."""
    assert max(result["first_layer"], result["second_layer"]) <= 1e-6
    headline = record["cases"][0]
    part = slice(first, first + result["solutions"])
    for tuning in TUNINGS:
        assert result[tuning]["bits_differing"] == 0
        assert result[tuning]["decisions_differing"] == 0
        assert result[tuning]["correct"] == headline["stages"][tuning]["correct"][part]


def test_inference_in_ngspice_is_the_records() -> None:
    record = reference_record()
    result = check(record, record["seeds"][40:41], workers=cores())
    hold(result, record, first=40)
    assert result["dc_points"] == 3 * 178


@pytest.mark.slow
def test_inference_of_all_solutions_in_ngspice_is_the_records() -> None:
    record = reference_record()
    hold(check(record, record["seeds"], workers=cores()), record, first=0)


def test_the_golden_record_is_of_the_reference_and_holds() -> None:
    record = reference_record()
    text = (reference_folder() / "runs" / RUN / "golden.json").read_text(encoding="utf-8")
    golden = json.loads(text)
    assert golden["tables"] == [table["digest"] for table in record["tables"]]
    assert (golden["solutions"], golden["samples"]) == (300, 178)
    hold(golden, record, first=0)
