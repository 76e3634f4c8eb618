"""Compiled samplers: the inverse of a switching curve, dithered to the timing grid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spicebridge.energy import Source
from spicebridge.sampler import PulseSampler, bin_centres, bin_of, compile_pulses, tabulate
from spicebridge.table import TableError
from tests.synthetic_tables import gumbel_constants, write_table

STEP = 50e-12
TABLE = write_table()


def compiled(direction: str = "ap_to_p", v_write: float = 0.5, step: float = STEP) -> PulseSampler:
    return compile_pulses(TABLE, direction=direction, v_write=v_write, step=step)


def sampler_of(curve: list[float]) -> PulseSampler:
    """A sampler of a hand-made curve; ``curve`` starts at the first width."""
    p_switch = np.array([0.0, *curve], np.float32)
    width = np.arange(len(p_switch), dtype=np.float64) * STEP
    return PulseSampler(
        "ap_to_p", 0.5, STEP, width, p_switch, width * 2e-5, {"u": 0.0, "e": 0.0}, Source("made by hand")
    )


@pytest.mark.parametrize("direction", ["ap_to_p", "p_to_ap"])
def test_the_compiled_curve_is_the_tables_curve(direction: str) -> None:
    sampler = compiled(direction)
    scale, span = gumbel_constants(direction, 1)
    np.testing.assert_allclose(sampler.width, np.arange(201) * STEP, atol=1e-20)
    np.testing.assert_allclose(
        sampler.p_switch[1:], np.exp(-scale * np.exp(-sampler.width[1:] / span)), rtol=1e-5, atol=1e-40
    )
    assert sampler.source.digest == TABLE.digest


def test_no_pulse_switches_nothing_and_costs_nothing() -> None:
    sampler = compiled()
    assert sampler.width[0] == sampler.p_switch[0] == sampler.energy[0] == 0.0
    assert sampler.position(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@given(st.floats(1e-7, 1.0))
def test_the_dithered_pulse_switches_with_the_wanted_probability(wanted: float) -> None:
    sampler = compiled()
    position = sampler.position(np.array([wanted]))
    reachable = min(wanted, float(sampler.p_switch[-1]))
    assert sampler.dithered_probability(position)[0] == pytest.approx(reachable, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("wanted", [1e-4, 1e-3, 0.02, 0.5, 0.99])
def test_drawn_flips_follow_the_wanted_probability(wanted: float) -> None:
    sampler, rng, draws = compiled("p_to_ap"), np.random.default_rng(1), 4_000_000
    position = sampler.position(np.array([wanted]))[0]
    entry = np.floor(position + rng.random(draws)).astype(int)
    flips = np.count_nonzero(rng.random(draws) < sampler.p_switch[entry])
    assert abs(flips - wanted * draws) < 4.5 * np.sqrt(draws * wanted * (1 - wanted))


def test_a_longer_pulse_is_asked_for_where_more_is_wanted() -> None:
    positions = compiled().position(np.linspace(0, 1, 1001))
    assert np.all(np.diff(positions) >= 0)


def test_of_a_curve_that_is_not_monotone_the_earliest_width_is_taken() -> None:
    sampler = sampler_of([0.0, 0.1, 0.4, 0.3, 0.5, 0.9])
    assert sampler.position(np.array([0.25]))[0] == pytest.approx(2.5)
    assert sampler.position(np.array([0.4]))[0] == pytest.approx(3.0)
    # Between a dip to 0.3 and 0.5, 0.45 is three quarters of the way.
    assert sampler.position(np.array([0.45]))[0] == pytest.approx(4.75)
    np.testing.assert_allclose(
        sampler.dithered_probability(sampler.position(np.array([0.35, 0.45, 0.7]))),
        [0.35, 0.45, 0.7],
        rtol=1e-6,
    )


@given(st.lists(st.floats(0, 1, width=16), min_size=1, max_size=30), st.floats(1e-3, 1.0))
def test_on_any_curve_the_earliest_width_that_reaches_the_probability_is_taken(
    curve: list[float], wanted: float
) -> None:
    sampler = sampler_of(curve)
    (position,) = sampler.position(np.array([wanted]))
    reaching = np.flatnonzero(sampler.p_switch.astype(float) >= wanted)
    if not len(reaching):
        assert position == sampler.longest
        return
    assert reaching[0] - 1 < position <= reaching[0]
    assert sampler.dithered_probability(np.array([position]))[0] == pytest.approx(wanted, rel=1e-9)


def test_beyond_the_curve_the_longest_width_is_asked_for() -> None:
    sampler = sampler_of([0.0, 0.2, 0.8])
    assert sampler.position(np.array([0.81, 1.0])).tolist() == [3.0, 3.0]


def test_dither_spans_a_table_that_starts_late() -> None:
    late = TABLE.data.sel(t_pulse=slice(1.99e-9, None))
    sampler = compile_pulses(
        dataclasses.replace(TABLE, data=late), direction="ap_to_p", v_write=0.5, step=STEP
    )
    assert sampler.width[:3] == pytest.approx([0.0, 2e-9, 2.05e-9], abs=0.0)
    wanted = 0.25 * float(sampler.p_switch[1])
    assert sampler.position(np.array([wanted]))[0] == pytest.approx(0.25)


def test_a_sampler_reads_between_the_tables_voltages_and_refuses_beyond() -> None:
    lower, between, upper = (compiled(v_write=v_write).p_switch for v_write in (0.4, 0.45, 0.5))
    alive = upper > 1e-4
    assert np.all((between[alive] >= lower[alive]) & (between[alive] <= upper[alive]))
    assert np.any((between[alive] > lower[alive]) & (between[alive] < upper[alive]))
    with pytest.raises(TableError, match="never extrapolate"):
        compiled(v_write=0.7)


def test_a_misspelt_direction_and_an_unusable_grid_are_told_apart() -> None:
    with pytest.raises(TableError, match="ap_to_p, p_to_ap"):
        compiled(direction="ap_to_q")
    with pytest.raises(TableError, match="finer grid"):
        compiled(step=20e-9)
    with pytest.raises(TableError, match="above zero"):
        compiled(step=0.0)


@given(st.floats(2.0**-32, 1.0, width=32))
def test_a_bins_centre_is_within_its_stated_distance(argument: float) -> None:
    (number,) = bin_of(np.array([argument], np.float32))
    assert bin_centres()[number] == pytest.approx(argument, rel=0.004, abs=0.0)


def test_a_binned_function_keeps_its_own_value_at_zero() -> None:
    square = tabulate(lambda x: x * x, at_zero=-1.0)
    arguments = np.array([0.0, 1e-12, 1e-3, 0.5, 1.0], np.float32)
    np.testing.assert_allclose(square(arguments), [-1.0, -1.0, 1e-6, 0.25, 1.0], rtol=0.008)


def test_impossible_probabilities_in_a_table_are_refused() -> None:
    broken = TABLE.data.copy(deep=True)
    broken["p_switch"].attrs["scale"] = "linear"
    broken["p_switch"][0, 1, 5] = 1.5
    with pytest.raises(TableError, match=r"outside \[0, 1\]"):
        compile_pulses(dataclasses.replace(TABLE, data=broken), direction="ap_to_p", v_write=0.5, step=STEP)
