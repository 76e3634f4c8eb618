"""Records, tables, checkpoints from a stranger: a command ends well or in a sentence, and stays in place."""

from __future__ import annotations

import json
import math
from importlib import import_module

import pytest

from tests import digits_record, fuzz_records
from tests.fuzzing import Tally, place, try_commands

SEED = 13


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("kind", "few"), [("records", 40), ("tables", 40), ("checkpoints", 15)], ids=lambda value: str(value)
)
def test_mutants_never_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, kind: str, few: int, slow: bool
) -> None:
    fuzz = import_module(f"tests.fuzz_{kind}").fuzz
    with place(tmp_path_factory.mktemp(kind)) as where:
        tally = fuzz(where, seed=SEED, count=10_000 if slow else few, seconds=60.0 if slow else math.inf)
    assert tally.parsed > tally.made / 2, tally.text()
    assert not tally.faults, tally.text()
    assert tally.accepted > tally.commands / 20, f"hardly one gets past the first check: {tally.text()}"


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
