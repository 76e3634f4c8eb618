"""Crossbars against a dense modified nodal analysis, badcrossbar's currents, and what circuits must obey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spicebridge.crossbar import (
    CrossbarError,
    Devices,
    Junctions,
    Spread,
    Wiring,
    draw_devices,
    factorize,
    linear,
    nonlinear,
    solve_junctions,
    transfer_matrix,
)
from spicebridge.crossbar.blocks import BLOCKS_FROM, transfer_by_blocks

Array = NDArray[np.float64]
REAL = Wiring(r_word=2.0, r_bit=3.0, r_source=50.0, r_sense=70.0, g_leak_word=1e-6, g_leak_bit=3e-6)
SHAPES = [(1, 1), (1, 6), (7, 1), (5, 4), (3, 9)]
WIRINGS = [
    replace(REAL, **dict.fromkeys(names, 0.0))
    for names in (
        (),
        ("r_word",),
        ("r_bit",),
        ("r_source",),
        ("r_sense", "g_leak_word"),
        ("r_word", "r_source"),
        ("r_bit", "r_sense"),
        ("r_word", "r_bit"),
        ("r_source", "r_sense", "g_leak_bit"),
        ("r_word", "r_bit", "r_source", "r_sense"),
    )
]


def close(found: Array, wanted: Array, share: float = 1e-10) -> bool:
    """Within a share of the largest of the wanted values."""
    return bool(np.abs(found - wanted).max() <= share * np.abs(wanted).max())


def oracle(g: Array, wiring: Wiring, v_rows: Array, v_columns: Array) -> dict[str, Array]:
    """The array by dense modified nodal analysis: the current of every piece of line is an unknown.

    A piece says v(a) - v(b) - r i = 0, which holds for r = 0 too; a terminal is a voltage source.
    """
    rows, columns = g.shape
    names: dict[Any, int] = {}

    def at(*name: Any) -> int:
        return names.setdefault(name, len(names))

    pieces = [(at("row", i), at("w", i, 0), wiring.r_source + wiring.r_word) for i in range(rows)]
    pieces += [
        (at("w", i, j), at("w", i, j + 1), wiring.r_word) for i in range(rows) for j in range(columns - 1)
    ]
    pieces += [
        (at("b", i, j), at("b", i + 1, j), wiring.r_bit) for i in range(rows - 1) for j in range(columns)
    ]
    pieces += [(at("b", rows - 1, j), at("column", j), wiring.r_bit + wiring.r_sense) for j in range(columns)]
    sources = [(at("row", i), v_rows[i]) for i in range(rows)]
    sources += [(at("column", j), v_columns[j]) for j in range(columns)]
    nodes, lines = len(names), len(pieces)
    system = np.zeros((nodes + lines + len(sources),) * 2)
    known = np.zeros(len(system))
    for i in range(rows):
        for j in range(columns):
            w, b = at("w", i, j), at("b", i, j)
            system[[w, b], [w, b]] += g[i, j] + np.array([wiring.g_leak_word, wiring.g_leak_bit])
            system[[w, b], [b, w]] -= g[i, j]
    for index, (a, b, r) in enumerate(pieces, start=nodes):
        system[[a, b, index, index], [index, index, a, b]] = [1, -1, 1, -1]
        system[index, index] = -r
    for index, (node, volts) in enumerate(sources, start=nodes + lines):
        system[node, index] = system[index, node] = 1
        known[index] = volts
    x = np.linalg.solve(system, known)
    out = x[nodes + lines :]
    word = np.array([[x[at("w", i, j)] for j in range(columns)] for i in range(rows)])
    bit = np.array([[x[at("b", i, j)] for j in range(columns)] for i in range(rows)])
    return {"v_word": word, "v_bit": bit, "i_row": -out[:rows], "i_column": out[rows:]}


def conductances(shape: tuple[int, int], seed: int = 0) -> Array:
    return 1 / np.random.default_rng(seed).uniform(1e3, 1e4, shape)


def junctions(shape: tuple[int, int], seed: int = 0) -> Junctions:
    rng = np.random.default_rng(seed)
    devices = draw_devices(
        rng, shape=shape, diameter=60e-9, ra=1e-11, tmr=1.0, v_switch=0.4, v_h=0.5, spread=Spread()
    )
    return devices.junctions(rng.random(shape) < 0.5)


def law(made: Junctions, v: Array) -> Array:
    """The current of netlists/devices/stt_mtj.va, written as there: through a resistance."""
    bias = 1 + (v / made.v_h) ** 2
    return v / ((bias + made.tmr) / bias / made.g_p)


# Linear, against the oracle


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("wiring", WIRINGS, ids=lambda wiring: str(wiring).removeprefix("Wiring"))
def test_every_voltage_and_current_is_that_of_a_dense_nodal_analysis(
    shape: tuple[int, int], wiring: Wiring
) -> None:
    g = conductances(shape)
    rng = np.random.default_rng(1)
    v_rows, v_columns = rng.uniform(-1, 1, (3, shape[0])), rng.uniform(-1, 1, (3, shape[1]))
    found = factorize(g, wiring).solve(v_rows, v_columns)
    for vector in range(3):
        wanted = oracle(g, wiring, v_rows[vector], v_columns[vector])
        for name, value in wanted.items():
            assert close(getattr(found, name)[vector], value), name


@pytest.mark.parametrize("shape", [(1, 1), (1, 23), (23, 1), (6, 10), (7, 11), (13, 40), (33, 20)], ids=str)
@pytest.mark.parametrize("wiring", [REAL, Wiring(r_word=1.0, r_bit=1.0)], ids=["real", "bare"])
def test_joined_blocks_and_one_factorisation_give_the_same_transfer_matrix(
    shape: tuple[int, int], wiring: Wiring
) -> None:
    g = conductances(shape)
    g[0, -1] = 0.0
    assert g.size < BLOCKS_FROM
    assert close(transfer_by_blocks(g, wiring), transfer_matrix(g, wiring), 1e-11)


def test_a_large_array_by_blocks_is_exact_at_its_terminals() -> None:
    g = conductances((50, 70))
    assert g.size >= BLOCKS_FROM
    v = np.random.default_rng(2).uniform(-1, 1, (4, 50))
    array = factorize(g, REAL)
    assert close(v @ array.transfer.T, array.solve(v).i_column, 1e-11)


@pytest.mark.parametrize("wiring", [Wiring(r_word=2, r_source=1), Wiring(r_bit=2), Wiring()], ids=str)
def test_a_large_array_with_resistance_on_one_side_only_is_solved_too(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "BLOCKS_FROM", 1)  # what is large; the dense analysis takes minutes there
    g = conductances((8, 6))
    wanted = oracle(g, wiring, np.ones(8), np.zeros(6))["i_column"]
    assert close(transfer_matrix(g, wiring).sum(axis=1), wanted)


# badcrossbar 1.1.0 (NumPy 2.4, SciPy 1.17): compute(V, R, ...).currents.output[0], its sum, first and last
# column; R = rng.uniform(1e3, 1e4, shape), then V = rng.uniform(0, 1, (rows, 1)) from default_rng(seed).
GOLDEN = [
    ((15, 15), 1, (1.0, 1.0), (0.026393925935336935, 0.001419069132847414, 0.002210431831622859)),
    ((12, 7), 2, (2.0, 3.0), (0.005753252550553141, 0.001070348885236357, 0.0008497671585202567)),
    ((7, 12), 3, (0.0, 5.0), (0.011623121754855864, 0.0010131170542240547, 0.0009828651197169179)),
    ((64, 64), 1, (1.0, 1.0), (0.3275916982325702, 0.00812591998084037, 0.0038592946770419382)),
    ((256, 256), 1, (1.0, 1.0), (0.8928329515318745, 0.008021762411087834, 0.00184942403014692)),
]


@pytest.mark.parametrize(
    ("shape", "seed", "segments", "wanted"), GOLDEN, ids=[str(each[0]) for each in GOLDEN]
)
def test_column_currents_are_badcrossbars(
    shape: tuple[int, int], seed: int, segments: tuple[float, float], wanted: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    g = 1 / rng.uniform(1e3, 1e4, shape)
    v = rng.uniform(0, 1, (shape[0], 1))[:, 0]
    current = transfer_matrix(g, Wiring(r_word=segments[0], r_bit=segments[1])) @ v
    found = [current.sum(), current[0], current[-1]]
    assert found == pytest.approx(wanted, rel=1e-10, abs=0.0)


# Linear, as properties


@st.composite
def arrays(draw: st.DrawFn, segments: bool = False) -> tuple[Array, Wiring]:
    """Conductances of a small array, some cells open, and its wiring, some of it without resistance."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    g = 10 ** rng.uniform(-6, -2, shape) * (rng.random(shape) > draw(st.sampled_from([0.0, 0.3])))
    least = 0.1 if segments else 0.0
    ohms = st.one_of(st.floats(0.1, 1e3), st.just(least))
    leak = st.one_of(st.just(0.0), st.floats(1e-9, 1e-4))
    return g, Wiring(draw(ohms), draw(ohms), draw(ohms), draw(ohms), draw(leak), draw(leak))


@given(case=arrays())
@settings(max_examples=60, deadline=None)
def test_the_array_is_reciprocal(case: tuple[Array, Wiring]) -> None:
    g, wiring = case
    forward = transfer_matrix(g, wiring)
    array = factorize(g, wiring)
    # Driven from the columns, the rows grounded: the current into row m is the same as forward.
    backward = np.array([-array.solve(np.zeros(g.shape[0]), unit).i_row for unit in np.eye(g.shape[1])])
    assume(forward.max() > 0)
    assert close(backward, forward)


@given(case=arrays(), a=st.floats(-2, 2), b=st.floats(-2, 2))
@settings(max_examples=60, deadline=None)
def test_responses_add_up(case: tuple[Array, Wiring], a: float, b: float) -> None:
    g, wiring = case
    v = np.random.default_rng(0).uniform(-1, 1, (2, g.shape[0]))
    array = factorize(g, wiring)
    one, other = array.solve(v).i_column
    together = array.solve(a * v[0] + b * v[1]).i_column
    scale = (abs(a) + abs(b)) * transfer_matrix(g, wiring).sum(axis=1).max()
    assert np.abs(together - (a * one + b * other)).max() <= 1e-10 * scale


@given(case=arrays(segments=True))
@settings(max_examples=60, deadline=None)
def test_currents_obey_kirchhoff_at_drivers_senses_and_substrate(case: tuple[Array, Wiring]) -> None:
    g, wiring = case
    v = np.random.default_rng(0).uniform(0.1, 1, g.shape[0])
    found = factorize(g, wiring).solve(v)
    # The currents again, by Ohm's law at the ends of the lines.
    into = (v - found.v_word[:, 0]) / (wiring.r_source + wiring.r_word)
    out = found.v_bit[-1] / (wiring.r_sense + wiring.r_bit)
    leaked = wiring.g_leak_word * found.v_word.sum() + wiring.g_leak_bit * found.v_bit.sum()
    # A node's voltage, near 1 V, is rounded; over the smallest resistance that is worth this current.
    rounding = 1e-14 / min(wiring.r_word, wiring.r_bit)
    assert np.abs(into - found.i_row).max() <= rounding
    assert np.abs(out - found.i_column).max() <= rounding
    assert abs(into.sum() - out.sum() - leaked) <= g.size * rounding


@given(case=arrays(segments=True), grown=st.floats(1.1, 10), name=st.sampled_from(["r_word", "r_bit"]))
@settings(max_examples=60, deadline=None)
def test_a_longer_line_never_delivers_more(case: tuple[Array, Wiring], grown: float, name: str) -> None:
    g, wiring = case
    longer = replace(wiring, **{name: getattr(wiring, name) * grown})
    ones = np.ones(g.shape[0])
    before, after = (factorize(g, each).solve(ones) for each in (wiring, longer))
    assert after.i_row.sum() <= before.i_row.sum() * (1 + 1e-12)
    assume(g.sum() > 0 and not (wiring.g_leak_word or wiring.g_leak_bit))
    assert after.i_column.sum() <= before.i_column.sum() * (1 + 1e-9)


@given(case=arrays())
@settings(max_examples=40, deadline=None)
def test_lines_without_resistance_multiply_exactly(case: tuple[Array, Wiring]) -> None:
    g, wiring = case
    free = Wiring(g_leak_word=wiring.g_leak_word, g_leak_bit=wiring.g_leak_bit)
    assert transfer_matrix(g, free) == pytest.approx(g.T, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("shape", [(6, 5), (40, 40)], ids=str)
def test_lines_of_vanishing_resistance_approach_the_product_in_proportion(shape: tuple[int, int]) -> None:
    g = conductances(shape)
    assume_blocks = g.size >= BLOCKS_FROM
    assert assume_blocks == (shape == (40, 40))
    errors = [
        np.abs(transfer_matrix(g, Wiring(r_word=r, r_bit=r)) - g.T).max() / g.max() for r in (1e-4, 1e-7)
    ]
    assert 0 < errors[0] < 1e-3
    assert errors[1] == pytest.approx(errors[0] * 1e-3, rel=0.01)


# Cells that are open or shorted


def test_an_array_of_open_cells_carries_only_its_leaks() -> None:
    found = factorize(np.zeros((3, 4)), REAL).solve([0.2, 0.0, -0.1])
    assert np.all(found.i_column == 0)
    assert found.i_row == pytest.approx(REAL.g_leak_word * found.v_word.sum(axis=1), rel=1e-9)
    assert transfer_matrix(np.zeros((40, 40)), REAL) == pytest.approx(np.zeros((40, 40)), abs=0.0)


def test_a_shorted_cell_carries_what_its_lines_let_through() -> None:
    g = np.zeros((3, 3))
    g[1, 1] = 1e5
    wiring = Wiring(r_word=2.0, r_bit=3.0, r_source=50.0, r_sense=70.0)
    path = 50 + 2 * 2 + 1e-5 + 2 * 3 + 70
    for found in (transfer_matrix(g, wiring), transfer_by_blocks(g, wiring)):
        assert found[1, 1] == pytest.approx(1 / path, rel=1e-8)
        assert np.count_nonzero(found) == 1


def test_a_segment_too_short_for_the_lines_is_refused_and_none_at_all_is_exact() -> None:
    g = conductances((4, 4))
    for solve in (factorize, transfer_matrix):
        with pytest.raises(
            CrossbarError, match=r"r_bit = 1e-09 ohm is too small .* at least 5e-07 ohm, or 0"
        ):
            solve(g, Wiring(r_bit=1e-9, r_source=50.0))
    assert transfer_matrix(g, Wiring(r_bit=0.0, r_source=50.0)).max() > 0


def test_a_short_too_good_for_its_lines_is_refused_with_the_largest_there_may_be() -> None:
    g = conductances((40, 40))
    g[3, 4] = 1e9
    for solve in (factorize, transfer_matrix):
        with pytest.raises(
            CrossbarError, match=r"1e\+09 S is too much beside lines of 320 ohm.* at most 312500 S"
        ):
            solve(g, replace(REAL, r_sense=70.0))
    assert transfer_matrix(g, Wiring())[4, 3] == 1e9


@pytest.mark.parametrize("defect", [0.0, 1e-2], ids=["open", "shorted"])
def test_defects_replace_devices_and_leave_the_others(defect: float) -> None:
    made = junctions((4, 5))
    where = np.zeros((4, 5), dtype=bool)
    where[1, 2] = True
    bad = made.with_defects(where, g=defect)
    assert bad.conductance(0.3)[1, 2] == defect
    assert np.array_equal(bad.conductance(0.3)[~where], made.conductance(0.3)[~where])
    v = np.full(4, 0.3)
    change = solve_junctions(bad, REAL, v).i_column[2] - solve_junctions(made, REAL, v).i_column[2]
    assert np.sign(change) == np.sign(defect - made.g_p[1, 2])


# Bias-dependent devices


@pytest.mark.parametrize("shape", [*SHAPES, (7, 8)], ids=str)
@pytest.mark.parametrize("wiring", [WIRINGS[0], *WIRINGS[5:8], WIRINGS[-1]], ids=str)
@pytest.mark.parametrize("v_read", [0.05, 0.3, 0.8])
def test_junctions_under_bias_obey_kirchhoff_by_the_models_own_law(
    shape: tuple[int, int], wiring: Wiring, v_read: float
) -> None:
    made = junctions(shape)
    rng = np.random.default_rng(3)
    v_rows, v_columns = (
        rng.uniform(-v_read, v_read, (2, shape[0])),
        rng.uniform(-v_read, v_read, (2, shape[1])),
    )
    found = solve_junctions(made, wiring, v_rows, v_columns)
    for vector in range(2):
        v = found.v_device[vector]
        current = law(made, v)
        assert close(found.i_device[vector], current, 1e-12)
        # The linear array of the chords it settled on must carry the very same.
        chords = np.where(v == 0, made.conductance(0.0), current / np.where(v == 0, 1.0, v))
        wanted = oracle(chords, wiring, v_rows[vector], v_columns[vector])
        for name, value in wanted.items():
            assert close(getattr(found, name)[vector], value, 1e-11), name
        residual = np.diff(found.v_word[vector], axis=1)
        if wiring.r_word > 0 and shape[1] > 2:
            balance = (residual[:, :-1] - residual[:, 1:]) / wiring.r_word  # into each inner word-line node
            drawn = current + wiring.g_leak_word * found.v_word[vector]
            rounding = np.spacing(np.abs(found.v_word).max()) * 4 / wiring.r_word
            assert np.abs(-balance - drawn[:, 1:-1]).max() <= 1e-12 * np.abs(found.i_row).max() + rounding


@pytest.mark.parametrize("v_read", [0.1, 0.8])
def test_newton_alone_gives_what_the_fixed_point_gives(
    v_read: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = junctions((9, 12), seed=5)
    v = np.random.default_rng(4).uniform(-v_read, v_read, (3, 9))
    both = [solve_junctions(made, REAL, v)]
    monkeypatch.setattr(nonlinear, "_FIXED_POINT_STEPS", 1)
    both.append(solve_junctions(made, REAL, v))
    assert close(both[1].i_column, both[0].i_column, 1e-12)
    assert not close(factorize(made.conductance(), REAL).solve(v).i_column, both[0].i_column, 1e-3)


def test_an_array_too_large_for_dense_responses_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = junctions((10, 11))
    v = np.random.default_rng(4).uniform(-0.4, 0.4, (3, 10))
    dense = solve_junctions(made, REAL, v)
    monkeypatch.setattr(nonlinear, "_DENSE_CELLS", 10)
    assert close(solve_junctions(made, REAL, v).v_device, dense.v_device, 1e-12)


def test_low_resistance_devices_far_beyond_the_fixed_points_reach_are_solved_by_newton() -> None:
    made = junctions((8, 8))
    strong = Junctions(made.g_p * 1e3, np.full((8, 8), 20.0), made.v_h)
    v = np.random.default_rng(6).uniform(-3, 3, (2, 8))
    found = solve_junctions(strong, REAL, v)
    for vector in range(2):
        chords = strong.conductance(found.v_device[vector])
        wanted = oracle(chords, REAL, v[vector], np.zeros(8))
        assert close(found.i_column[vector], wanted["i_column"], 1e-9)


def test_devices_that_do_not_settle_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonlinear, "_FIXED_POINT_STEPS", 1)
    monkeypatch.setattr(nonlinear, "_NEWTON_STEPS", 1)
    with pytest.raises(
        CrossbarError, match=r"did not settle in 1 Newton steps .* of 0\.8 V .* Lower the voltage"
    ):
        solve_junctions(junctions((3, 3)), REAL, np.full(3, 0.8))


def test_a_flat_law_is_the_linear_array_exactly() -> None:
    made = junctions((6, 7))
    flat = Junctions(made.conductance(), np.zeros((6, 7)), made.v_h)
    assert flat.linear
    assert not made.linear
    v = np.random.default_rng(7).uniform(-0.5, 0.5, (4, 6))
    assert np.array_equal(
        solve_junctions(flat, REAL, v).i_column, factorize(made.conductance(), REAL).solve(v).i_column
    )
    # A law that is all but flat, down the other road.
    nearly = replace(made, v_h=np.full((6, 7), 1e6))
    assert close(
        solve_junctions(nearly, REAL, v).i_column,
        factorize(made.conductance(), REAL).solve(v).i_column,
        1e-10,
    )


@given(v=st.floats(-3, 3), tmr=st.floats(0.01, 5), v_h=st.floats(0.1, 2))
def test_a_junctions_slope_is_the_derivative_of_its_current(v: float, tmr: float, v_h: float) -> None:
    made = Junctions(np.array([[1e-4]]), np.array([[tmr]]), np.array([[v_h]]))
    step = 1e-5 * v_h
    rise = made.current(np.array([[v + step]])) - made.current(np.array([[v - step]]))
    assert made.slope(np.array([[v]]))[0, 0] == pytest.approx(rise[0, 0] / (2 * step), rel=1e-5)
    assert made.slope(np.array([[v]]))[0, 0] > 0


# Devices and their spread


def test_devices_without_spread_are_the_nominal_one() -> None:
    none = Spread(ra=0.0, tmr=0.0, diameter=0.0, v_switch=0.0)
    devices = draw_devices(
        np.random.default_rng(0),
        shape=(2, 3),
        diameter=40e-9,
        ra=1e-11,
        tmr=1.0,
        v_switch=0.4,
        v_h=0.5,
        spread=none,
    )
    assert devices.g_p == pytest.approx(np.full((2, 3), np.pi / 4 * 40e-9**2 / 1e-11), rel=1e-12)
    made = devices.junctions(np.array([[True, False, True], [False, True, False]]))
    assert made.conductance() == pytest.approx(devices.g_p / np.array([[1, 2, 1], [2, 1, 2]]), rel=1e-12)
    assert made.conductance(0.5)[0, 1] == pytest.approx(devices.g_p[0, 1] / 1.5, rel=1e-12)


def test_the_spread_is_log_normal_of_the_stated_width_and_of_the_seed_alone() -> None:
    spread = Spread(ra=0.05, tmr=0.1, diameter=0.02, v_switch=0.07)
    nominal = {"diameter": 40e-9, "ra": 1e-11, "tmr": 1.0, "v_switch": 0.4}
    one, again, wider = (
        draw_devices(np.random.default_rng(9), shape=(100, 100), v_h=0.5, spread=each, **nominal)
        for each in (spread, spread, replace(spread, tmr=0.2))
    )
    for name, value in nominal.items():
        logs = np.log(getattr(one, name) / value)
        sigma = getattr(spread, name)
        assert logs.std() == pytest.approx(sigma, rel=4 / np.sqrt(2e4))
        assert abs(logs.mean()) < 4 * sigma / 100
        assert np.array_equal(getattr(one, name), getattr(again, name))
    assert np.array_equal(one.ra, wider.ra)
    assert np.log(wider.tmr) == pytest.approx(2 * np.log(one.tmr), rel=1e-9)
    assert abs(np.corrcoef(np.log(one.ra).ravel(), np.log(one.tmr).ravel())[0, 1]) < 0.04


# Input that cannot be


@pytest.mark.parametrize(
    ("g", "said"),
    [
        (np.ones(3), r"shape \(3,\); a crossbar needs \(rows, columns\)"),
        (np.ones((0, 3)), r"none empty"),
        (np.array([[1.0, -1e-3]]), r"conductance at \(0, 1\) is .*-0\.001.* zero or above"),
        (np.array([[1.0], [np.nan]]), r"conductance at \(1, 0\) is .*nan"),
        (np.array([[np.inf]]), "finite"),
    ],
)
def test_conductances_that_cannot_be_are_refused(g: Array, said: str) -> None:
    for solve in (factorize, transfer_matrix):
        with pytest.raises(CrossbarError, match=said):
            solve(g, REAL)


@pytest.mark.parametrize(
    ("v_rows", "v_columns", "said"),
    [
        (np.ones(4), 0.0, r"v_rows has shape \(4,\); its last axis must be the array's 3 lines"),
        (1.0, 0.0, r"v_rows has shape \(\)"),
        (np.ones(3), np.ones(3), r"v_columns has shape \(3,\); its last axis must be the array's 2 lines"),
        (np.full(3, np.nan), 0.0, "v_rows holds a value that is not finite"),
        (np.ones((4, 3)), np.ones((5, 2)), r"do not hold the same number of vectors"),
    ],
)
def test_voltages_that_do_not_fit_are_refused(v_rows: Any, v_columns: Any, said: str) -> None:
    with pytest.raises(CrossbarError, match=said):
        factorize(np.ones((3, 2)), REAL).solve(v_rows, v_columns)
    with pytest.raises(CrossbarError, match=said):
        solve_junctions(junctions((3, 2)), REAL, v_rows, v_columns)


@pytest.mark.parametrize("name", ["r_word", "r_bit", "r_source", "r_sense", "g_leak_word", "g_leak_bit"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_wiring_that_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(CrossbarError, match=rf"wiring {name} = .* zero or above"):
        Wiring(**{name: value})


def test_devices_that_cannot_be_are_refused() -> None:
    ones = np.ones((2, 2))
    with pytest.raises(CrossbarError, match=r"tmr has shape \(2,\); the array's is \(2, 2\)"):
        Junctions(ones, np.ones(2), ones)
    with pytest.raises(CrossbarError, match="tmr of zero or above and v_h above zero"):
        Junctions(ones, -ones, ones)
    with pytest.raises(CrossbarError, match="devices' ra must be finite and above zero"):
        Devices(ones, 0 * ones, ones, ones, ones)
    with pytest.raises(CrossbarError, match=r"states \(3, 2\) do not fit devices \(2, 2\)"):
        Devices(ones, ones, ones, ones, ones).junctions(np.ones((3, 2), dtype=bool))
    with pytest.raises(CrossbarError, match=r"spread tmr = -0\.1"):
        Spread(tmr=-0.1)


def test_axes_of_vectors_come_back_as_they_were_given() -> None:
    array = factorize(conductances((3, 4)), REAL)
    for leading in ((), (5,), (2, 5)):
        v = np.random.default_rng(0).random((*leading, 3))
        found = array.solve(v)
        assert found.i_column.shape == (*leading, 4)
        assert found.v_word.shape == found.i_device.shape == (*leading, 3, 4)
        assert close(found.i_column, v @ array.transfer.T)
    held = array.solve(np.zeros(3), np.ones((6, 4)))
    assert held.i_row.shape == (6, 3)
