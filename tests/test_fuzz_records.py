"""Run records from a stranger: a command ends well or in a sentence, and stays in its folder."""

from __future__ import annotations

import pytest

from tests import fuzz_records
from tests.fuzzing import place

SEED = 13


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_records_never_give_a_traceback(tmp_path_factory: pytest.TempPathFactory, count: int) -> None:
    with place(tmp_path_factory.mktemp("records")) as where:
        tally = fuzz_records.fuzz(where, seed=SEED, count=count, pages=50 if count < 1000 else 20)
    assert tally.parsed > tally.made / 2, tally.text()
    assert not tally.faults, tally.text()
    assert tally.accepted > tally.commands / 20, f"hardly a record gets past the first check: {tally.text()}"
