"""The phase-change cell against SciPy, its replica, and what any passive cell must do."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from characterization.pcm_model import (
    Pulse,
    accumulated,
    conductance,
    draws,
    drift_draws,
    programmed,
    read_cell,
    read_draws,
)
from spicebridge.project import netlists_folder
from spicebridge.simulator import Waveforms
from spicebridge.workers import simulate
from tests.pcm_decks import (
    KELVIN,
    LENGTH,
    R_SHUNT,
    after_pulses,
    corners,
    currents,
    programmed_deck,
    pulse_ends,
    read_deck,
)

AMBIENT = 300.15
CELL = read_cell(netlists_folder() / "devices" / "pcm_90nm.lib")
RESET, SET = (440e-6, 1e-6), (90e-6, 50e-9)


def slopes(time: float, state: np.ndarray, pulses: list[tuple[float, float]]) -> list[float]:
    """d(v, s, dT, u)/dt of the typical cell under pulses of current, written out from the physics.

    In V, 1, K and nm, against ns. ``pulses`` begins with a RESET.
    """
    c = CELL
    v, s, rise, u = state[0], min(max(state[1], 0.0), 1.0), state[2], state[3] * 1e-9
    molten = 1 / (1 + np.exp((c.t_melt - AMBIENT - rise) / c.w_melt))
    g = 1 / (1 / c.g_crystal + c.r_amorphous * np.expm1(u / c.u_decay))
    v_c = c.v_hop + c.e_hop * u
    hopping = np.sinh(min(v / v_c, 8.0)) + np.cosh(8.0) * max(v / v_c - 8.0, 0.0)
    v_on = c.v_on0 + c.e_on * u * (1 - molten)
    knee = np.logaddexp(0, (v - v_on) / c.w_on) - np.logaddexp(0, (-v - v_on) / c.w_on)
    current = (1 - s) * g * v_c * hopping + s * c.w_on / c.r_on * knee
    limit = c.v_hold + (c.v_t0 + c.e_t * u - c.v_hold) * (1 - s) ** 4
    wanted = 1 / (1 + np.exp(np.clip((limit - abs(v)) / c.w_switch, -600, 600)))
    heating = c.r_th * v * current - rise * (1 + c.k_molten * molten)
    boundary = AMBIENT + rise * (1 - molten + molten / (1 + (u / c.r_melt) ** 2))
    growth = 0.0
    if boundary < c.t_melt:
        before = np.sum(pulse_ends(pulses) <= time * 1e-9) - 1  # -1 is the RESET
        width = c.w_cold if boundary < c.t_growth else c.w_hot
        growth = c.v_growth * np.exp(-((boundary - c.t_growth) ** 2) / (2 * width**2))
        growth *= 1 - np.exp((boundary - c.t_melt) / c.t_drop)
        growth *= (1 + (before >= 0) * c.a_fresh * np.exp(-before / c.k_fresh)) * u / (u + c.u_last)
        growth *= molten + (1 - molten) / (1 + np.exp((c.u_stall - u) / c.w_stall))
    soft = c.w_melt / (c.t_melt - AMBIENT)
    front = c.r_melt * np.sqrt(soft * np.logaddexp(0, (rise / (c.t_melt - AMBIENT) - 1) / soft))
    depth = max(front - u, 0.0)
    melting = molten * depth**2 / (depth + 1e-10) / c.tau_melt
    source = np.interp(time * 1e-9, *np.transpose(corners(pulses)))
    return [
        (source - current - v / R_SHUNT) / c.c_cell * 1e-9,
        (wanted - s) / (c.tau_on * wanted + c.tau_off * (1 - wanted)) * 1e-9,
        heating / c.tau_th * 1e-9,
        melting - growth,  # m/s is nm/ns
    ]


def test_a_reset_and_set_pulses_go_as_scipy_integrates_them() -> None:
    pulses = [(440e-6, 200e-9), SET, SET, SET]
    fine = "abstol=1e-9 vntol=1e-6 reltol=1e-5"
    recorded = simulate(programmed_deck(["seed=0"], pulses, step=0.2e-9, options=fine))
    at = recorded["time"] * 1e9
    edges = [0.0, *(time * 1e9 for time, _ in corners(pulses)[1:]), at[-1]]
    state, solution = np.zeros(4), np.empty((4, at.size))
    for start, end in pairwise(edges):
        inside = (at >= start) & (at <= end)
        solved = solve_ivp(
            slopes, (start, end), state, "LSODA", args=(pulses,), rtol=1e-8, atol=1e-9, dense_output=True
        )
        assert solved.success, solved.message
        state = solved.y[:, -1]
        solution[:, inside] = solved.sol(at[inside])
    v, _, rise, u = solution
    settled = np.min(np.abs(at[:, None] - np.array(edges)), axis=1) > 3.0  # ns away from the edges
    assert np.abs(recorded["n0#u"] * LENGTH * 1e9 - u)[settled].max() < 0.03
    assert np.abs(recorded["n0#th"] * KELVIN - rise)[settled].max() < 1.0
    assert np.abs(recorded["t0"] - v)[settled].max() < 0.02
    assert rise.max() > CELL.t_melt - AMBIENT > rise[at > edges[5]].max() + 10  # RESET alone melts
    # The steps that the tables are made with.
    coarse = after_pulses(simulate(programmed_deck(["seed=0"], pulses)), devices=1, ends=pulse_ends(pulses))
    ends = np.interp(pulse_ends(pulses) * 1e9, at, u)
    assert np.abs(coarse["u"][0] * 1e9 - ends).max() < 0.3


@pytest.fixture(scope="module")
def population() -> tuple[Waveforms, dict[str, np.ndarray]]:
    """Sixteen devices after a RESET and four SET pulses, in the deck."""
    pulses = [RESET, *[SET] * 4]
    recorded = simulate(programmed_deck([f"seed={seed}" for seed in range(1, 17)], pulses))
    return recorded, after_pulses(recorded, devices=16, ends=pulse_ends(pulses).tolist())


def test_each_seed_is_the_same_device_in_the_deck_and_in_the_replica(
    population: tuple[Waveforms, dict[str, np.ndarray]],
) -> None:
    found = population[1]
    seeds = np.arange(1, 17)
    u, g = accumulated(CELL, seeds, reset=Pulse(*RESET), pulse=Pulse(*SET), pulses=4, step=0.5e-9)
    assert np.abs(found["u"] - u).max() < 0.6e-9
    assert np.abs(found["u"] - u)[:, 2:].max() < 0.2e-9
    assert np.ptp(u[:, 1]) > 3e-9  # the devices do differ
    structure = np.log(g / conductance(CELL, u))
    assert np.abs(found["y"] - structure).max() < 0.02 * np.std(structure[:, 4])


def test_a_reset_starts_the_count_of_pulses_again(
    population: tuple[Waveforms, dict[str, np.ndarray]],
) -> None:
    assert np.abs(population[1]["count"] - np.arange(5)).max() < 0.05
    pulses = [SET, SET, RESET, SET]
    recorded = simulate(programmed_deck(["u0=20n n0=7"], pulses))
    count = after_pulses(recorded, devices=1, ends=pulse_ends(pulses).tolist())["count"][0]
    assert np.abs(7 + count - [8, 9, 0, 1]).max() < 0.05


def test_no_cell_delivers_power_cools_below_ambient_or_has_less_than_no_cap(
    population: tuple[Waveforms, dict[str, np.ndarray]],
) -> None:
    recorded = population[0]
    source = np.interp(recorded["time"], *np.transpose(corners([RESET, *[SET] * 4])))
    for index in range(16):
        assert (recorded[f"t{index}"] * source).min() >= 0
        assert -10e-3 < recorded[f"t{index}"].min() <= recorded[f"t{index}"].max() < 10.0
        assert recorded[f"n{index}#th"].min() * KELVIN > -0.5
        assert recorded[f"n{index}#u"].min() * LENGTH > -1e-12


def test_a_deck_in_two_parts_goes_on_where_the_first_ended() -> None:
    cells = ["seed=5", "seed=6"]
    whole = simulate(programmed_deck(cells, [RESET, *[SET] * 4]))
    ends = pulse_ends([RESET, *[SET] * 4]).tolist()
    before = after_pulses(whole, devices=2, ends=ends)
    starts = [
        f"{cell} n0=2 u0={u!r} y0={y!r}"
        for cell, u, y in zip(cells, before["u"][:, 2].tolist(), before["y"][:, 2].tolist(), strict=True)
    ]
    rest = simulate(programmed_deck(starts, [SET] * 2))
    after = after_pulses(rest, devices=2, ends=pulse_ends([SET] * 2).tolist())
    assert np.abs(after["u"] - before["u"][:, 3:]).max() < 0.02e-9
    assert np.abs(after["y"] - before["y"][:, 3:]).max() < 1e-3


def test_a_seed_is_a_device_whatever_its_neighbours() -> None:
    pulses = [RESET, SET]
    first, second = (
        simulate(programmed_deck([f"seed={seed}" for seed in seeds], pulses))
        for seeds in ([31, 32], [33, 31, 34])
    )
    assert np.abs(first["n0#u"][-1] - second["n1#u"][-1]) * LENGTH < 0.05e-9
    again = simulate(programmed_deck(["seed=31", "seed=32"], pulses))
    assert np.array_equal(first["n0#u"], again["n0#u"])


def test_another_cycle_of_a_device_has_other_draws() -> None:
    pulses = [RESET, SET]
    recorded = simulate(programmed_deck(["seed=3", "seed=3 cycle=1", "cycle=0", "cycle=1"], pulses))
    u = [recorded[f"n{index}#u"][-1] * LENGTH for index in range(4)]
    assert abs(u[0] - u[1]) > 0.1e-9
    assert abs(u[2] - u[3]) < 1e-12


def test_both_polarities_do_the_same() -> None:
    trains = [[(sign * height, width) for height, width in (RESET, SET)] for sign in (1.0, -1.0)]
    recorded = simulate(programmed_deck(["seed=4", "seed=4"], trains))
    assert recorded["n0#u"][-1] == pytest.approx(recorded["n1#u"][-1], rel=1e-4)
    assert np.abs(recorded["t0"] + recorded["t1"]).max() < 1e-3


def test_a_stronger_reset_leaves_no_thinner_cap() -> None:
    currents = np.linspace(300e-6, 560e-6, 14).tolist()
    recorded = simulate(programmed_deck(["seed=0"] * 14, [[(current, 1e-6)] for current in currents]))
    u = [recorded[f"n{index}#u"][-1] * LENGTH for index in range(14)]
    assert np.diff(u).min() > 0
    assert u[-1] < 100e-9  # the layer is 100 nm thick


@settings(max_examples=40, deadline=None)
@given(
    current=st.floats(20e-6, 500e-6),
    width=st.floats(5e-9, 200e-9),
    u=st.floats(0.0, 60e-9),
    seed=st.integers(0, 2**29 - 1),
)
def test_thickness_stays_a_thickness(current: float, width: float, u: float, seed: int) -> None:
    drawn = draws(np.array([seed]), event=1)
    after, _ = programmed(CELL, np.array([u]), np.zeros(1), Pulse(current, width), drawn, event=1)
    assert 0 <= after[0] < 100e-9


def test_a_read_gives_the_low_field_conductance_and_hopping_in_both_directions() -> None:
    voltages = [0.0, 1e-3, -1e-3, 0.2, -0.2]
    for u in (0.0, 20e-9, 33e-9):
        i = currents(simulate(read_deck([f"u0={u!r}"] * 5, voltages=voltages)), devices=5)
        g = conductance(CELL, np.array([u]))[0]
        assert i[0] == pytest.approx(0.0, abs=1e-18)
        assert i[1:3] / 1e-3 == pytest.approx([g, -g], rel=1e-5)
        v_c = CELL.v_hop + CELL.e_hop * u
        hopping = g * v_c * np.sinh(0.2 / v_c)
        assert i[3:] == pytest.approx([hopping, -hopping], rel=1e-5)


def test_conductance_drifts_by_its_power_law() -> None:
    ages = [1e-2, 38.6, 3600.0, 3.2e7]
    recorded = simulate(read_deck([f"u0=20n age={age!r}" for age in ages]))
    expected = conductance(CELL, np.array([20e-9]))[0] * (np.array(ages) / 38.6) ** -0.04
    assert currents(recorded, devices=4) / 1e-3 == pytest.approx(expected, rel=1e-5)
    seeds = np.arange(1, 5)
    wide = read_deck([f"u0=20n seed={seed} age=1e4" for seed in seeds], card="nu=0.04 nu_std=0.01")
    fresh = read_deck([f"u0=20n seed={seed}" for seed in seeds], card="nu=0.04 nu_std=0.01")
    ratio = currents(simulate(wide), devices=4) / currents(simulate(fresh), devices=4)
    assert ratio == pytest.approx((1e4 / 38.6) ** -(0.04 + 0.01 * drift_draws(seeds)), rel=1e-5)


def test_read_noise_is_a_draw_of_its_own_for_each_read() -> None:
    reads = 400
    recorded = simulate(read_deck([f"u0=17n seed=9 read_number={read}" for read in range(reads + 1)]))
    g = currents(recorded, devices=reads + 1) / 1e-3
    spread = 0.03 * g[0] + 0.13e-6
    drawn = np.array([read_draws(np.array([9]), read_number=read)[0] for read in range(1, reads + 1)])
    assert g[1:] == pytest.approx(g[0] + spread * drawn, rel=1e-5)
    # 400 draws: 3 standard errors are 11 % of the spread and 0.15 of it for the mean.
    assert g[1:].std() == pytest.approx(spread, rel=0.11)
    assert abs(g[1:].mean() - g[0]) < 0.15 * spread
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.15


def test_noise_never_makes_a_conductance_negative() -> None:
    cells = [f"u0=36n seed={seed} read_number=1" for seed in range(1, 41)]
    g = currents(simulate(read_deck(cells)), devices=40) / 1e-3
    assert g.min() == pytest.approx(1e-9, rel=1e-5)
    assert 5 < np.sum(g < 1.1e-9) < 35
