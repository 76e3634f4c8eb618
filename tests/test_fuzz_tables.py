"""Tables from a stranger: a command ends well or in a sentence, and opens no other file."""

from __future__ import annotations

import math

import pytest

from tests import fuzz_tables
from tests.fuzzing import place

SEED = 13


@pytest.mark.parametrize(
    ("count", "seconds"), [(40, math.inf), pytest.param(10_000, 60.0, marks=pytest.mark.slow)]
)
def test_mutated_tables_never_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, count: int, seconds: float
) -> None:
    with place(tmp_path_factory.mktemp("tables")) as where:
        tally = fuzz_tables.fuzz(
            where, seed=SEED, count=count, seconds=seconds, replays=100 if count < 1000 else 25
        )
    assert tally.parsed > tally.made / 2, tally.text()
    assert not tally.faults, tally.text()
    assert tally.accepted > tally.commands / 20, f"hardly a table gets past the first check: {tally.text()}"
