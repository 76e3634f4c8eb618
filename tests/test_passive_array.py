"""Decks of the passive array: ngspice against the direct solution, and what a real read takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from circuits.cell import T_EDGE
from circuits.passive_array import (
    SETTLED,
    T_SETTLE,
    T_START,
    Capacitance,
    dc_read_deck,
    measure_dc_read,
    measure_transient_read,
    transient_read_deck,
)
from spicebridge.crossbar import Junctions, Spread, Wiring, draw_devices, factorize, solve_junctions
from spicebridge.deck import Deck, DeckError
from spicebridge.netlist import make_deck, read_deck
from spicebridge.project import netlists_folder
from spicebridge.workers import simulate

Array = NDArray[np.float64]
REAL = Wiring(r_word=5.0, r_bit=4.0, r_source=50.0, r_sense=70.0, g_leak_word=1e-6, g_leak_bit=2e-6)

pytestmark = pytest.mark.usefixtures("results")


def array(shape: tuple[int, int], *, biased: bool = True, seed: int = 0) -> Junctions:
    """Devices with spread in random states; ``biased`` or not, some of them defective."""
    rng = np.random.default_rng(seed)
    devices = draw_devices(
        rng,
        shape=shape,
        diameter=60e-9,
        ra=1e-11,
        tmr=1.0,
        v_switch=0.4,
        v_h=0.5,
        spread=Spread(ra=0.07, tmr=0.07, diameter=0.03, v_switch=0.05),
    )
    made = devices.junctions(rng.random(shape) < 0.5)
    where = np.zeros(shape, dtype=bool)
    where[0, -1] = True
    made = made.with_defects(where, g=0.0).with_defects(np.roll(where, 1), g=5e-3)
    return made if biased else Junctions(made.conductance(), np.zeros(shape), made.v_h)


def inputs(vectors: int, rows: int, v_read: float = 0.4) -> Array:
    return np.random.default_rng(1).uniform(-v_read, v_read, (vectors, rows))


# The steady read


@pytest.mark.parametrize("biased", [False, True], ids=["linear", "biased"])
@pytest.mark.parametrize("shape", [(15, 15), (4, 11), (9, 1), (1, 5)], ids=str)
def test_column_currents_of_ngspice_are_the_solvers(shape: tuple[int, int], biased: bool) -> None:
    made, v = array(shape, biased=biased), inputs(6, shape[0])
    found = measure_dc_read(simulate(dc_read_deck(made, REAL, voltages=v)), columns=shape[1])["current"]
    wanted = solve_junctions(made, REAL, v).i_column
    assert found.shape == wanted.shape == (6, shape[1])
    largest = np.abs(wanted).max()
    assert np.abs(found - wanted).max() <= 1e-9 * largest  # the promise is 1e-6; 1e-11 is usual
    if biased:  # and it is the bias that the two agree about
        flat = factorize(made.conductance(), REAL).solve(v).i_column
        assert np.abs(flat - wanted).max() > 1e-3 * largest


@pytest.mark.parametrize(
    "absent",
    [
        ("r_word",),
        ("r_bit", "r_sense"),
        ("r_word", "r_source", "g_leak_word", "g_leak_bit"),
        ("r_word", "r_bit"),
        ("r_word", "r_bit", "r_source", "r_sense"),
    ],
    ids="+".join,
)
def test_lines_without_resistance_are_single_nodes_to_both(absent: tuple[str, ...]) -> None:
    made, v = array((4, 5)), inputs(3, 4)
    wiring = replace(REAL, **dict.fromkeys(absent, 0.0))
    deck = dc_read_deck(made, wiring, voltages=v)
    found = measure_dc_read(simulate(deck), columns=5)["current"]
    wanted = solve_junctions(made, wiring, v).i_column
    assert np.abs(found - wanted).max() <= 1e-9 * np.abs(wanted).max()


def test_one_vector_alone_is_read_as_among_others() -> None:
    made, v = array((3, 4)), inputs(5, 3)
    alone = measure_dc_read(simulate(dc_read_deck(made, REAL, voltages=v[2:3])), columns=4)["current"]
    among = measure_dc_read(simulate(dc_read_deck(made, REAL, voltages=v)), columns=4)["current"]
    assert alone.shape == (1, 4)
    assert alone[0] == pytest.approx(among[2], rel=1e-9, abs=0.0)


def test_a_large_array_is_read_with_klu() -> None:
    made, v = array((64, 64)), inputs(2, 64)
    recorded = simulate(dc_read_deck(made, REAL, voltages=v))
    assert "Using KLU" in recorded.log
    wanted = solve_junctions(made, REAL, v).i_column
    found = measure_dc_read(recorded, columns=64)["current"]
    assert np.abs(found - wanted).max() <= 1e-8 * np.abs(wanted).max()


def test_the_array_cell_conducts_as_the_compact_model_it_stands_for() -> None:
    g_p = np.pi / 4 * 40e-9**2 / 1e-11
    lines = [
        ".control\npre_osdi devices/stt_mtj.osdi\n.endc\n.include array_cell.lib",
        ".model written stt_mtj diameter=40n ra=1e-11 tmr=1 v_h=0.5",
        "v1 a 0 0",
        f"x_p a p cell_p g_p={g_p!r}\nv_p p 0 0",
        f"x_ap a ap cell_ap g_p={g_p!r} tmr=1 v_h=0.5\nv_ap ap 0 0",
        "n_p a mp written mz0=1\nv_mp mp 0 0",
        "n_ap a map written mz0=-1\nv_map map 0 0",
        ".options reltol=1e-9 abstol=1e-16 vntol=1e-12",
        ".save i(v_p) i(v_ap) i(v_mp) i(v_map)",
        ".dc v1 -0.8 0.8 0.05",
    ]
    recorded = simulate(make_deck("\n".join(lines), folder=netlists_folder(), name="cells"))
    for cell, model in (("v_p", "v_mp"), ("v_ap", "v_map")):
        largest = np.abs(recorded[f"i({model})"]).max()
        assert largest > 5e-5
        assert np.abs(recorded[f"i({cell})"] - recorded[f"i({model})"]).max() <= 1e-8 * largest


# The read in time


def read(
    made: Junctions, wiring: Wiring, v: Array, t_read: float, capacitance: Capacitance | None = None
) -> dict[str, Array]:
    deck = transient_read_deck(made, wiring, voltages=v, t_read=t_read, capacitance=capacitance)
    return measure_transient_read(simulate(deck), voltages=v, columns=made.g_p.shape[1], t_read=t_read)


@pytest.mark.parametrize("shape", [(15, 15), (3, 7)], ids=str)
def test_a_read_settles_to_the_steady_current(shape: tuple[int, int]) -> None:
    made, v = array(shape), inputs(1, shape[0])[0]
    found = read(made, REAL, v, 200e-12)
    wanted = solve_junctions(made, REAL, v)
    assert np.abs(found["current"] - wanted.i_column).max() <= 1e-5 * np.abs(wanted.i_column).max()
    # A column of small current may never be out of the band about its last value.
    assert np.all((found["settling"] >= 0) & (found["settling"] < 100e-12))
    assert found["settling"].max() > 0


def test_energy_is_the_rails_power_over_the_read_and_the_lines_charge() -> None:
    made, v = array((4, 5)), inputs(1, 4)[0]
    power = float(solve_junctions(made, REAL, v).i_row @ v)
    short, long = (float(read(made, REAL, v, t)["energy"]) for t in (200e-12, 600e-12))
    assert 0 < short < long
    assert long - short == pytest.approx(power * 400e-12, rel=1e-3, abs=0.0)
    # What is left beside v i t is of the order of what charging every node to its row's voltage takes.
    load = Capacitance()
    charging = float(np.sum(v**2)) * 5 * (load.word + load.mtj)
    assert abs(short - power * 200e-12) <= 2 * charging


def test_a_lines_charge_is_paid_at_full_from_a_constant_rail() -> None:
    """Without conduction a read costs C V^2: half of it heats the driver at each edge."""
    nothing = Junctions(np.zeros((2, 3)), np.zeros((2, 3)), np.ones((2, 3)))
    load = Capacitance(word=2e-15, bit=1e-15, mtj=0.0)
    v = np.array([0.5, -0.2])
    found = read(nothing, Wiring(r_word=5.0, r_bit=5.0, r_source=500.0, r_sense=50.0), v, 300e-12, load)
    assert float(found["energy"]) == pytest.approx(3 * 2e-15 * (0.5**2 + 0.2**2), rel=1e-2, abs=0.0)
    assert found["current"] == pytest.approx(np.zeros(3), abs=1e-15)


def test_settling_is_that_of_the_line_it_is_sensed_through() -> None:
    """A column whose capacitance dwarfs all else charges through its sense resistance alone."""
    wiring = Wiring(r_source=1.0, r_sense=1e3)
    made = Junctions(np.array([[1e-6]]), np.zeros((1, 1)), np.ones((1, 1)))
    load = Capacitance(word=0.0, bit=20e-15, mtj=0.0)
    found = read(made, wiring, np.array([0.3]), 200e-12, load)
    tau = 20e-15 / (1e-3 + 1e-6)
    assert found["settling"][0] == pytest.approx(tau * np.log(1 / SETTLED), rel=0.02, abs=0.0)


def test_halving_the_time_step_changes_nothing_that_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    made, v = array((3, 4)), inputs(1, 3)[0]
    coarse = read(made, REAL, v, 200e-12)
    monkeypatch.setattr("circuits.passive_array._STEPS", 400)
    fine = read(made, REAL, v, 200e-12)
    assert coarse["energy"] == pytest.approx(fine["energy"], rel=2e-3, abs=0.0)
    assert coarse["settling"] == pytest.approx(fine["settling"], rel=0.1, abs=0.3e-12)


def test_no_volts_cost_nothing() -> None:
    found = read(array((2, 3)), REAL, np.zeros(2), 100e-12)
    assert float(found["energy"]) == 0.0
    assert np.all(found["current"] == 0.0)


# The stand-alone netlist


def test_the_netlist_of_a_3x3_array_agrees_with_deck_builder_and_solver() -> None:
    recorded = simulate(read_deck(netlists_folder() / "array_read.cir"))
    parallel = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]], dtype=bool)
    made = Junctions(np.full((3, 3), 125.7e-6), np.where(parallel, 0.0, 1.0), np.full((3, 3), 0.5))
    wiring = Wiring(r_word=5.0, r_bit=5.0, r_source=50.0, r_sense=50.0, g_leak_word=1e-6, g_leak_bit=1e-6)
    v = np.array([0.2, -0.2, 0.1])
    wanted = solve_junctions(made, wiring, v).i_column
    told = np.array([recorded.measures[f"i_{column}"] for column in range(3)])
    assert np.abs(told - wanted).max() <= 1e-5 * np.abs(wanted).max()
    built = read(made, wiring, v, 200e-12)
    assert recorded.measures["energy"] == pytest.approx(float(built["energy"]), rel=5e-3, abs=0.0)


# What is refused, and what a deck is


@pytest.mark.parametrize("voltages", [np.ones(3), np.ones((2, 4)), np.ones((0, 3)), np.full((1, 3), np.nan)])
def test_row_voltages_that_do_not_fit_are_refused(voltages: Array) -> None:
    with pytest.raises(
        DeckError, match=r"row voltages of shape .* should be \(vectors, 3 rows\), all finite"
    ):
        dc_read_deck(array((3, 4)), REAL, voltages=voltages)


@pytest.mark.parametrize(("r_source", "t_read"), [(0.0, 1e-9), (50.0, T_EDGE / 2)])
def test_a_read_in_time_needs_drivers_and_duration(r_source: float, t_read: float) -> None:
    with pytest.raises(DeckError, match="drivers of some resistance and a read longer than their edge"):
        transient_read_deck(
            array((3, 4)), replace(REAL, r_source=r_source), voltages=np.ones(3), t_read=t_read
        )


def test_the_same_array_is_the_same_deck_and_another_is_not() -> None:
    def deck(seed: int) -> Deck:
        return dc_read_deck(array((3, 4), seed=seed), REAL, voltages=inputs(2, 3))

    assert deck(0).digest == deck(0).digest != deck(1).digest


def test_a_read_is_watched_until_its_lines_are_empty() -> None:
    made, v = array((3, 4)), inputs(1, 3)[0]
    recorded = simulate(transient_read_deck(made, REAL, voltages=v, t_read=100e-12))
    assert recorded["time"][-1] >= T_START + 100e-12 + T_SETTLE
    ends = [abs(recorded[f"i(vcol{column})"][-1]) for column in range(4)]
    assert max(ends) <= 1e-6 * max(np.abs(recorded[f"i(vcol{column})"]).max() for column in range(4))
