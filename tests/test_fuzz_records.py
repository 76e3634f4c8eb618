"""Run records from a stranger: a command ends well or in a sentence, and stays in its folder."""

from __future__ import annotations

import json
import math

import pytest

from tests import digits_record, fuzz_records
from tests.fuzzing import Tally, place, try_commands

SEED = 13


@pytest.mark.parametrize(
    ("count", "seconds"), [(40, math.inf), pytest.param(10_000, 60.0, marks=pytest.mark.slow)]
)
def test_mutated_records_never_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, count: int, seconds: float
) -> None:
    with place(tmp_path_factory.mktemp("records")) as where:
        tally = fuzz_records.fuzz(
            where, seed=SEED, count=count, seconds=seconds, pages=50 if count < 1000 else 20
        )
    assert tally.parsed > tally.made / 2, tally.text()
    assert not tally.faults, tally.text()
    assert tally.accepted > tally.commands / 20, f"hardly a record gets past the first check: {tally.text()}"


@pytest.mark.parametrize(
    "name", ["../../escaped", "../runs/other/page", "a/b", "..", "\x1b[2Jcleared", "two\nforged line"]
)
def test_a_records_own_name_is_no_path_and_no_escape_sequence(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    tally = Tally()
    with place(tmp_path_factory.mktemp("named")) as where:
        path = where.results / "runs" / "stranger" / "record.json"
        path.parent.mkdir()
        path.write_text(json.dumps(digits_record.make_record() | {"experiment": name}))
        try_commands(
            tally, 0, where, [["report", "stranger"], ["trace", "latest"]], may_write=fuzz_records.may_write
        )
    assert not tally.faults, tally.text()
