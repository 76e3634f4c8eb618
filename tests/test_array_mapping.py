"""Weights into cells and out again: placement, spread, defects, writing, reading."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.passive_array.cells import Defects, Device, Filled, draw_cells, nominal_cells
from nn.passive_array.perceptrons import Perceptrons, output_rows
from nn.passive_array.placement import Layer, Placement, effective_weights, place, targets
from nn.passive_array.reading import Crossbar, Read, biased_crossbar, hidden_patterns, ideal_crossbar, measure
from nn.passive_array.writing import TO_AP, TO_P, BitErrors, PulsedWriting, drawn_errors, wrong_cells
from spicebridge.crossbar import Spread, Wiring, transfer_matrix
from spicebridge.errors import SpicebridgeError

PAIR = place(inputs=15, hidden=7, classes=3)
REFERENCE = place(inputs=15, hidden=11, classes=3, scheme="reference")
DEVICE = Device()
NO_SPREAD = Spread(ra=0, tmr=0, diameter=0, v_switch=0)
WIRING = Wiring(r_word=5, r_bit=5, r_source=50, r_sense=50, g_leak_bit=1e-6)


def linear_crossbar(wiring: Wiring) -> Crossbar:
    """Arrays with lines, at low bias: one transfer matrix an array serves every vector."""

    def prepare(cells: Filled) -> Read:
        transfer = np.stack([transfer_matrix(each, wiring).T for each in cells.conductances])

        def read(voltages: np.ndarray) -> np.ndarray:
            return np.matmul(voltages, transfer)

        return read

    return prepare


def weights_in(parallel: np.ndarray, placement: Placement, layer: Layer) -> np.ndarray:
    """The weights that a layer's cells stand for, shape (solutions, rows, outputs).

    -1, 0 or 1 as pairs (0: both cells alike); -1 or 1 against a reference column.
    """
    cells = parallel[:, layer.array][:, list(layer.rows)]
    columns = cells[:, :, list(layer.columns)].astype(np.int8)
    if placement.scheme == "reference":
        return (2 * columns - 1).astype(np.int8)
    return columns - cells[:, :, list(layer.references)].astype(np.int8)


def random_networks(
    rng: np.random.Generator, solutions: int, *, inputs: int = 15, hidden: int = 7, classes: int = 3
) -> Perceptrons:
    def signs(*shape: int) -> np.ndarray:
        return rng.choice(np.array([-1, 1], np.int8), (solutions, *shape))

    return Perceptrons(
        hidden=signs(inputs, hidden),
        threshold=rng.normal(size=(solutions, hidden)),
        output=signs(hidden + 1, classes),
        offset=rng.normal(size=(solutions, classes)),
    )


@given(
    seed=st.integers(0, 2**32),
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 6),
    classes=st.integers(2, 4),
    scheme=st.sampled_from(["pair", "reference"]),
)
def test_weights_come_back_from_the_cells_they_were_placed_in(
    seed: int, inputs: int, hidden: int, classes: int, scheme: str
) -> None:
    placement = place(inputs=inputs, hidden=hidden, classes=classes, scheme=scheme, rows=9, columns=12)
    networks = random_networks(np.random.default_rng(seed), 2, inputs=inputs, hidden=hidden, classes=classes)
    wanted = targets(networks, placement)
    for layer, weights in ((placement.hidden, networks.hidden), (placement.output, networks.output)):
        np.testing.assert_array_equal(weights_in(wanted, placement, layer), weights)
        conductances = nominal_cells(2, placement, DEVICE).fill(wanted).conductances
        seen = effective_weights(conductances, placement, layer, g_p=DEVICE.g_p, g_ap=DEVICE.g_ap)
        np.testing.assert_allclose(seen, weights, rtol=1e-12)
    assert not wanted[:, ~placement.used].any()


@pytest.mark.parametrize(("placement", "used"), [(PAIR, 15 * 14 + 8 * 6), (REFERENCE, 15 * 12 + 12 * 3)])
def test_no_cell_serves_two_weights(placement: Placement, used: int) -> None:
    assert placement.used.sum() == used
    taken = [
        (layer.array, row, column)
        for layer in (placement.hidden, placement.output)
        for row in layer.rows
        for column in layer.columns
    ]
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize(("placement", "hidden"), [(PAIR, 7), (REFERENCE, 11)])
def test_an_ideal_array_gives_softwares_sums(placement: Placement, hidden: int) -> None:
    rng = np.random.default_rng(0)
    networks = random_networks(rng, 3, hidden=hidden)
    train_inputs, test_inputs = rng.uniform(-1, 1, (3, 6, 15)), rng.uniform(-1, 1, (3, 4, 15))
    cells = nominal_cells(3, placement, DEVICE).fill(targets(networks, placement))
    measured = measure(
        cells,
        train_inputs,
        test_inputs,
        placement,
        device=DEVICE,
        crossbar=ideal_crossbar,
        v_read=0.15,
    )
    np.testing.assert_allclose(measured.train, networks.sums(train_inputs), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(measured.test, networks.sums(test_inputs), rtol=1e-9, atol=1e-11)
    expected = output_rows(hidden_patterns(hidden)) @ networks.output.astype(float)
    np.testing.assert_allclose(measured.scores, expected, rtol=1e-9, atol=1e-10)


def test_hidden_patterns_are_numbered_by_their_bits() -> None:
    assert hidden_patterns(2).tolist() == [[-1, -1], [1, -1], [-1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ({"inputs": 15, "hidden": 8, "classes": 3}, "needs 15 rows and 16 columns"),
        ({"inputs": 15, "hidden": 12, "classes": 3, "scheme": "reference"}, "needs 15 rows and 16 columns"),
        ({"inputs": 16, "hidden": 3, "classes": 3}, "needs 16 rows"),
        ({"inputs": 15, "hidden": 7, "classes": 3, "scheme": "single"}, "none of: pair, reference"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(network: dict[str, object], told: str) -> None:
    with pytest.raises(SpicebridgeError, match=told):
        place(**network)


def test_cells_spread_as_ordered_and_from_their_own_seed() -> None:
    device = Device(spread=Spread(ra=0.05, tmr=0.1, diameter=0.02, v_switch=0.03))
    many = draw_cells(range(40), PAIR, device)
    expected = {
        "g_p": (device.g_p, np.hypot(0.05, 2 * 0.02)),
        "tmr": (device.tmr, 0.1),
        "v_switch": (device.v_switch, 0.03),
    }
    for name, (middle, spread) in expected.items():
        logs = np.log(getattr(many, name) / middle)
        assert logs.std() == pytest.approx(spread, rel=0.03)
        assert abs(logs.mean()) < 5 * spread / np.sqrt(logs.size)
    alone = draw_cells([17], PAIR, device)
    np.testing.assert_array_equal(alone.g_p[0], many.g_p[17])
    wider = draw_cells([17], PAIR, Device(diameter=80e-9, spread=device.spread))
    np.testing.assert_allclose(wider.g_p, 4 * alone.g_p, rtol=1e-12)


def test_cells_without_spread_are_the_nominal_ones() -> None:
    drawn = draw_cells(range(2), PAIR, Device(spread=NO_SPREAD))
    np.testing.assert_allclose(drawn.g_p, np.pi / 4 * (40e-9) ** 2 / 10e-12, rtol=1e-12)
    np.testing.assert_allclose(drawn.tmr, 1.0, rtol=1e-12)


def test_defects_come_at_their_rates_and_hold_what_they_must() -> None:
    rates = Defects(stuck_p=0.1, stuck_ap=0.15, shorted=0.05, open=0.2)
    cells = draw_cells(range(60), PAIR, Device(spread=NO_SPREAD), rates)
    total = cells.defect.size
    for kind, rate in ((1, 0.1), (2, 0.15), (3, 0.05), (4, 0.2)):
        found = np.count_nonzero(cells.defect == kind) / total
        assert abs(found - rate) < 5 * np.sqrt(rate * (1 - rate) / total)
    for written in (np.zeros(cells.defect.shape, bool), np.ones(cells.defect.shape, bool)):
        held, g = cells.hold(written), cells.fill(written).conductances
        assert held[cells.defect == 1].all()
        assert not held[cells.defect == 2].any()
        assert np.all(held[cells.defect == 0] == written[cells.defect == 0])
        np.testing.assert_allclose(g[cells.defect == 1], DEVICE.g_p, rtol=1e-12)
        np.testing.assert_allclose(g[cells.defect == 2], DEVICE.g_ap, rtol=1e-12)
        np.testing.assert_allclose(g[cells.defect == 3], 1 / 500, rtol=1e-12)
        assert np.all(g[cells.defect == 4] == 0)
    dead = wrong_cells(written, written, np.ones(written.shape[1:], bool), cells.dead)
    assert dead.sum() == np.count_nonzero(cells.defect >= 3)


@pytest.mark.parametrize("wrong", [{"stuck_p": -0.1}, {"shorted": 0.6, "open": 0.5}])
def test_defects_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SpicebridgeError, match="no more than 1 together"):
        Defects(**wrong)


def test_a_device_that_cannot_be_is_refused() -> None:
    with pytest.raises(SpicebridgeError, match=r"tmr = 0\.0"):
        Device(tmr=0.0)


def wanted_states(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.5


def test_bit_errors_come_at_their_rate_in_the_cells_they_concern() -> None:
    wanted = wanted_states(0, 50, 2, 15, 15)
    flipped = BitErrors(0.02)(wanted, range(50)) != wanted
    assert abs(flipped.mean() - 0.02) < 5 * np.sqrt(0.02 * 0.98 / flipped.size)
    np.testing.assert_array_equal(BitErrors(0.0)(wanted, range(50)), wanted)
    np.testing.assert_array_equal(BitErrors(0.0, rate_ap=1.0)(wanted, range(50)), np.ones_like(wanted))
    np.testing.assert_array_equal(BitErrors(0.02)(wanted[7:8], [7])[0] != wanted[7], flipped[7])


def test_a_drawn_fidelity_is_each_solutions_own() -> None:
    errors = drawn_errors(range(400), lowest=0.85, highest=1.0)
    wanted = wanted_states(0, 400, 2, 15, 15)
    fidelity = 1 - (errors(wanted, range(400)) != wanted).mean(axis=(1, 2, 3))
    assert np.all((errors.rate >= 0) & (errors.rate <= 0.15))
    assert np.corrcoef(fidelity, -errors.rate.ravel())[0, 1] > 0.9
    assert fidelity.mean() == pytest.approx(0.925, abs=0.01)


def zeros(rows: int = 3, columns: int = 4) -> np.ndarray:
    return np.zeros((2, rows, columns))


def test_sure_pulses_write_everything_and_pulses_that_fail_nothing() -> None:
    wanted = wanted_states(0, 30, 2, 3, 4)
    sure = PulsedWriting(zeros() + 1, zeros(), zeros())
    np.testing.assert_array_equal(sure(wanted, range(30)), wanted)
    start = PulsedWriting(zeros(), zeros(), zeros())(wanted, range(30))
    assert (start == wanted).mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(start, PulsedWriting(zeros(), zeros(), zeros())(~wanted, range(30)))


def pulses_one_by_one(state: np.ndarray, wanted: np.ndarray, odds: dict[str, np.ndarray]) -> np.ndarray:
    """What certain odds (0 or 1) make of one array (rows, columns)."""
    state = state.copy()
    rows, columns = state.shape
    for row in range(rows):
        for column in range(columns):
            towards = wanted[row, column]
            before = state.copy()
            for i in range(rows):
                for j in range(columns):
                    name = ("rest", "column", "row", "success")[2 * (i == row) + (j == column)]
                    favoured = towards if name != "rest" else not towards
                    if before[i, j] != favoured and odds[name][TO_P if favoured else TO_AP, i, j] == 1:
                        state[i, j] = favoured
    return state


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_pulses_disturb_the_cells_on_the_selected_lines_and_the_rest_as_told(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = {name: (rng.random((2, 3, 4)) < 0.4) * 1.0 for name in ("success", "row", "column", "rest")}
    wanted = rng.random((2, 2, 3, 4)) < 0.5
    start = PulsedWriting(zeros(), zeros(), zeros())(wanted, (0, 1))
    found = PulsedWriting(odds["success"], odds["row"], odds["column"], odds["rest"])(wanted, (0, 1))
    for solution, array in np.ndindex(2, 2):
        expected = pulses_one_by_one(start[solution, array], wanted[solution, array], odds)
        np.testing.assert_array_equal(found[solution, array], expected)


def test_a_disturbed_cell_survives_each_later_pulse_with_the_same_odds() -> None:
    wanted = np.zeros((3000, 1, 2, 6), bool)
    wanted[:, 0, 0, 0] = True
    disturb = np.zeros((2, 2, 6))
    disturb[TO_AP] = 0.1
    found = PulsedWriting(np.ones((2, 2, 6)), disturb, np.zeros((2, 2, 6)))(wanted, range(3000))
    survived, expected = found[:, 0, 0, 0].mean(), 0.9**5
    assert abs(survived - expected) < 4 * np.sqrt(expected * (1 - expected) / 3000)
    assert not found[:, 0, 1].any()


def test_verified_passes_mend_what_the_first_left() -> None:
    wanted = wanted_states(1, 200, 1, 3, 4)
    wrong = [
        (PulsedWriting(zeros() + 0.8, zeros(), zeros(), passes=passes)(wanted, range(200)) != wanted).mean()
        for passes in (1, 2, 3)
    ]
    for passes, found in enumerate(wrong, start=1):
        expected = 0.5 * 0.2**passes
        assert abs(found - expected) < 5 * np.sqrt(expected / wanted.size)


def test_one_solutions_pulses_do_not_depend_on_the_others() -> None:
    wanted = wanted_states(2, 40, 2, 3, 4)
    writing = PulsedWriting(zeros() + 0.9, zeros() + 0.05, zeros() + 0.05)
    np.testing.assert_array_equal(writing(wanted, range(40))[33], writing(wanted[33:34], [33])[0])


def test_odds_of_each_solutions_own_devices_are_taken_for_that_solution() -> None:
    wanted = wanted_states(3, 20, 1, 3, 4)
    success = np.zeros((2, 20, 1, 3, 4))
    success[:, 18] = 1.0
    nothing = np.zeros_like(success)
    found = PulsedWriting(success, nothing, nothing)(wanted, range(20))
    np.testing.assert_array_equal(found[18], wanted[18])
    assert np.any(found[17] != wanted[17])


def test_odds_that_are_none_are_refused() -> None:
    with pytest.raises(SpicebridgeError, match="row_disturb"):
        PulsedWriting(zeros(), zeros() - 0.1, zeros())
    with pytest.raises(SpicebridgeError, match="passes = 0"):
        PulsedWriting(zeros(), zeros(), zeros(), passes=0)


def test_lines_that_vanish_leave_an_ideal_array_and_small_voltages_a_linear_one() -> None:
    rng = np.random.default_rng(0)
    cells = draw_cells(range(2), PAIR, DEVICE).fill(wanted_states(0, 2, 2, 15, 15)).array(0)
    voltages = rng.uniform(-0.15, 0.15, (2, 5, 15))
    ideal = ideal_crossbar(cells)(voltages)
    scale = np.abs(ideal).max()
    thin = linear_crossbar(Wiring(r_word=1e-6, r_bit=1e-6, r_source=1e-6, r_sense=1e-6))(cells)(voltages)
    np.testing.assert_allclose(thin, ideal, rtol=0, atol=1e-7 * scale)
    linear = linear_crossbar(WIRING)(cells)(voltages)
    assert np.abs(linear - ideal).max() > 0.01 * scale
    biased = biased_crossbar(WIRING, v_h=DEVICE.v_h)(cells)
    np.testing.assert_allclose(biased(1e-4 * voltages) / 1e-4, linear, rtol=0, atol=1e-6 * scale)
    assert np.abs(biased(voltages) - linear).max() > 1e-3 * scale
