"""Device-to-device spread of the write: its statistics, and what it leaves as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

from nn.blind import blind_update
from nn.counts import UpdateCounts
from nn.loop import Job, fresh_state
from nn.run import given_for, run
from nn.spread import draw_factors, of_devices
from nn.synapse import SynapseDevice, Synapses, compile_device
from nn.update import UpdateRule, pulsed_update
from tests.synthetic_tables import read_table, tables, write_table
from tests.test_nn_train import small

SPREAD = 0.8
COUNT = 200_000


def device_with(zero: str) -> SynapseDevice:
    return compile_device(
        write_table(), read_table(), v_write=0.5, step=50e-12, v_read=0.2, t_read=1e-9, zero=zero
    )


def rule_of(zero: str = "weak") -> UpdateRule:
    return pulsed_update(device_with(zero), encoding="inverse", steepness=3.0)


def flipped(
    rule: UpdateRule,
    weight: int,
    increment: float,
    factors: np.ndarray | None,
    *,
    strong: bool = False,
    seed: int = 0,
) -> np.ndarray:
    """Which of ``COUNT`` synapses at ``weight`` an increment moves."""
    shape = (1, COUNT)
    synapses = Synapses(np.full(shape, weight, np.int8), np.full(shape, strong), factors)
    increments = np.full(shape, increment, np.float32)
    rule.apply(synapses, increments, np.random.default_rng(seed), UpdateCounts())
    return np.asarray(synapses.weights != weight)


def factors_of(first: float, second: float) -> np.ndarray:
    """Every synapse's MTJs alike, those of branch 1 and of branch 2."""
    return np.broadcast_to(np.array([first, second], np.float32)[:, None, None], (2, 1, COUNT)).copy()


def test_factors_are_lognormal_with_median_one_and_the_branches_independent() -> None:
    drawn = np.log(draw_factors((300, 200), spread=SPREAD, rng=np.random.default_rng(1)).astype(float))
    assert drawn.shape == (2, 300, 200)
    assert kstest(drawn.ravel() / SPREAD, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(drawn.reshape(2, -1))[0, 1]) < 0.02


def test_small_probabilities_are_multiplied_and_saturating_ones_stay() -> None:
    factors = draw_factors((100, 100), spread=SPREAD, rng=np.random.default_rng(2)).ravel()
    small_ones = of_devices(np.full(factors.shape, 1e-5, np.float32), factors)
    assert np.std(np.log(small_ones.astype(float))) == pytest.approx(SPREAD, rel=0.02)
    np.testing.assert_allclose(small_ones, 1e-5 * factors, rtol=1e-3)
    assert of_devices(np.full(factors.shape, 0.9999999, np.float32), factors).min() > 0.5
    given = np.array([0.0, 0.25, 0.5, 1.0], np.float32)
    np.testing.assert_allclose(of_devices(given, np.full(4, 2, np.float32)), 1 - (1 - given) ** 2, atol=1e-6)
    np.testing.assert_allclose(of_devices(given, np.ones(4, np.float32)), given, atol=1e-6)


@pytest.mark.parametrize("increment", [1e-3, -1e-3, 0.05, -0.05, 0.4, 1.0, -1.0])
@pytest.mark.parametrize("weight", [-1, 0, 1])
@pytest.mark.parametrize("zero", ["weak", "strong"])
def test_a_move_flips_as_the_one_mtj_it_pulses_does(zero: str, weight: int, increment: float) -> None:
    rule, strong = rule_of(zero), zero == "strong"
    sign = int(np.sign(increment))
    if abs(weight + sign) > 1:
        assert not flipped(rule, weight, increment, factors_of(9.0, 9.0), strong=strong).any()
        return
    plain = flipped(rule, weight, increment, None, strong=strong).mean()
    upper = 2 * weight + sign > 0  # between 0 and +1, else between -1 and 0
    of_branch_1 = upper != strong  # +1 is (P, AP); the weak zero is (AP, AP), the strong one (P, P)
    factor = 0.5
    factors = factors_of(factor, 1.0) if of_branch_1 else factors_of(1.0, factor)
    found = flipped(rule, weight, increment, factors, strong=strong, seed=1).mean()
    other = flipped(rule, weight, increment, factors[::-1].copy(), strong=strong, seed=2).mean()
    wanted = 1 - (1 - plain) ** factor
    error = 5 * np.sqrt((plain + wanted) / COUNT) + 2e-3 * wanted
    # Dither sends two widths in turn: the mean of two probabilities, not quite the probability of their mean.
    assert found == pytest.approx(wanted, abs=error + 0.02 * wanted * plain)
    assert other == pytest.approx(plain, abs=error)


def test_factors_of_one_change_no_draw() -> None:
    rule, ones = rule_of(), factors_of(1.0, 1.0)
    for increment in (1e-3, 0.3, 1.4):
        alike = flipped(rule, 0, increment, None) == flipped(rule, 0, increment, ones)
        assert alike.mean() > 1 - 1e-4  # of a rounding in float32


def test_a_device_that_never_switches_is_stuck_under_blind_pulses_too() -> None:
    rule = blind_update(device_with("weak"), steepness=3.0)
    stuck = flipped(rule, 1, -2.0, factors_of(0.0, 0.0))
    assert not stuck.any()
    assert flipped(rule, 1, -2.0, factors_of(1.0, 1.0)).mean() > 0.9


def test_devices_are_those_of_the_seed_alone() -> None:
    given = given_for(small(), tables())

    def drawn(seed: int, **settings: object) -> np.ndarray:
        state = fresh_state(Job(small(**settings), "table_spread", seed), given, spread=SPREAD)
        factors = state.network[0].synapses.factors
        assert factors is not None
        return factors

    np.testing.assert_array_equal(drawn(1), drawn(1, epochs=7))
    assert not np.array_equal(drawn(1), drawn(2))
    plain = fresh_state(Job(small(), "table", 1), given)
    assert all(layer.synapses.factors is None for layer in plain.network)


def test_the_spread_bears_on_its_own_arm_alone_and_the_record_says_how_wide(tmp_path: Path) -> None:
    records = {
        spread: run(
            small(seeds=[1], epochs=2, write_spread=spread), tables(), folder=tmp_path / str(spread),
            arms=["table", "table_spread"],
        )
        for spread in (0.0, 2.0)
    }  # fmt: skip
    flips = {
        spread: {name: arm["runs"][0]["epochs"][-1]["flips"] for name, arm in record["arms"].items()}
        for spread, record in records.items()
    }
    assert flips[0.0]["table"] == flips[2.0]["table"]
    assert flips[0.0]["table_spread"] != flips[2.0]["table_spread"]
    assert records[2.0]["arms"]["table_spread"]["write_spread"] == 2.0
