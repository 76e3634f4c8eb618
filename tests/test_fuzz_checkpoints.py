"""Checkpoints from a stranger: training goes on from them, begins anew, or ends in a sentence."""

from __future__ import annotations

import math

import pytest

from tests import fuzz_checkpoints
from tests.fuzzing import place

SEED = 13


@pytest.mark.parametrize(
    ("count", "seconds"), [(15, math.inf), pytest.param(10_000, 60.0, marks=pytest.mark.slow)]
)
def test_mutated_checkpoints_never_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, count: int, seconds: float
) -> None:
    with place(tmp_path_factory.mktemp("checkpoints")) as where:
        tally = fuzz_checkpoints.fuzz(where, seed=SEED, count=count, seconds=seconds)
    assert tally.parsed > tally.made / 2, tally.text()
    assert not tally.faults, tally.text()
    assert tally.accepted > tally.commands / 20, f"hardly one gets past the first check: {tally.text()}"
