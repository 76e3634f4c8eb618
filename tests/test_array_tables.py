"""The passive array's tables: decks against the direct solution, and probabilities against what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from characterization import array_switching
from characterization.array_samples import ROLES
from characterization.array_switching import SwitchingLaw
from characterization.definition import DefinitionError, load_definition
from characterization.fokker_planck import macrospin
from characterization.run import definition_of, make_table
from characterization.verify import plan, verify
from circuits.cell import DIRECTIONS, start_state
from circuits.passive_array_cell import ArrayCell
from circuits.passive_array_write import (
    SCHEMES,
    dc_write_deck,
    in_states,
    line_voltages,
    live_deck,
    measure_dc_write,
    measure_live,
    measure_pulse,
    pulse_deck,
    segments_of,
)
from spicebridge.bare import BareEngine
from spicebridge.crossbar import Spread, Wiring, draw_devices, solve_junctions
from spicebridge.deck import DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.failure import Failure
from spicebridge.netlist import read_deck
from spicebridge.project import netlists_folder, reference_folder
from spicebridge.sweep import Engine, Outcome, Unit
from spicebridge.table import LookupTable, load_table
from spicebridge.workers import simulate

Array = NDArray[np.float64]
SMALL = ArrayCell(rows=5, columns=4)
REAL = Wiring(r_word=5.0, r_bit=4.0, r_source=50.0, r_sense=70.0, g_leak_word=1e-6, g_leak_bit=2e-6)
WRITE: dict[str, Any] = {
    "scheme": ["half", "third"],
    "diameter": [40e-9, 100e-9],
    "r_segment": 40.0,  # as 15 cells of a few ohm
    "v_write": [0.5, 0.7],
    "t_pulse": [2e-9, 3e-9],
    "sampled": [
        {
            "scheme": "half", "diameter": 40e-9, "direction": "p_to_ap", "v_write": 0.7, "t_stop": 3e-9,
            "first_seed": 1,
        }
    ],
    "pulses": 12,
}  # fmt: skip
READ: dict[str, Any] = {
    "diameter": [40e-9, 100e-9],
    "r_segment": [5.0, 40.0],
    "background": ["all_p", "checkerboard"],
    "v_read": 0.15,
    "t_read": 0.2e-9,
}


@pytest.fixture(scope="module")
def made(compiled_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LookupTable]]:
    """A small table of each procedure."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "cache").mkdir()
    (folder / "cache" / "models").symlink_to(compiled_models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder))
        engine = Engine(store=folder / "store", workers=2, version="ngspice-46")
        yield {
            name: make_table(replace(load_definition(name, size="quick"), sweep=sweep, cell=SMALL), engine)
            for name, sweep in (("array_write", WRITE), ("array_read", READ))
        }


def write(table: LookupTable, quantity: str, **at: Any) -> Array:
    return np.asarray(table.data[quantity].sel(at).values, dtype=float)


# The steady state of a write, against the direct solution


def spread_devices() -> Any:
    return draw_devices(
        np.random.default_rng(3),
        shape=SMALL.shape,
        diameter=60e-9,
        ra=1e-11,
        tmr=1.0,
        v_switch=0.4,
        v_h=0.5,
        spread=Spread(ra=0.07, tmr=0.07),
    ).junctions(np.zeros(SMALL.shape, dtype=bool))


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("v_write", [0.9, -0.6])
@pytest.mark.parametrize("scheme", list(SCHEMES))
@pytest.mark.parametrize(
    "wiring", [REAL, replace(REAL, r_word=0.0), Wiring(r_word=3.0, r_bit=3.0)], ids=["real", "node", "ideal"]
)
def test_every_cell_of_ngspices_array_has_the_solvers_voltage(
    scheme: str, v_write: float, wiring: Wiring
) -> None:
    devices, parallel = spread_devices(), np.random.default_rng(4).random(SMALL.shape) < 0.5
    selected = [(0, 0), (2, 3), (4, 1)]
    deck = dc_write_deck(devices, parallel, wiring, scheme=scheme, v_write=v_write, selected=selected)
    found = measure_dc_write(
        simulate(deck),
        rows=5,
        columns=4,
        segments=segments_of(wiring),
        scheme=scheme,
        v_write=v_write,
        selected=selected,
    )
    rows, columns = line_voltages(SMALL.shape, scheme=scheme, v_write=v_write, selected=selected)
    for index, place in enumerate(selected):
        assert rows[index, place[0]] - columns[index, place[1]] == v_write
        both = []
        for state in (0, 1):
            states = parallel.copy()
            states[place] = state
            wanted = solve_junctions(in_states(devices, states), wiring, rows[index], columns[index])
            both.append(wanted.v_device)
            assert found["v_selected"][state, index] == pytest.approx(
                wanted.v_device[place], rel=1e-9, abs=0.0
            )
            # All that the drivers deliver is burnt in the array and its drivers.
            power = wanted.i_row @ rows[index] - wanted.i_column @ columns[index]
            assert found["power"][state, index] == pytest.approx(power, rel=1e-9, abs=0.0)
            assert power > 0
        assert np.abs(found["v_cell"][index] - np.mean(both, axis=0)).max() <= 1e-7 * abs(v_write)
        assert both[0][place] / v_write > both[1][place] / v_write  # AP draws less, so it has more


def test_what_the_rails_deliver_is_what_the_elements_burn() -> None:
    """Energy is conserved: drivers, segments, devices and leaks of one drive."""
    junctions, wiring = in_states(SMALL.antiparallel(40e-9), SMALL.background("checkerboard")), REAL
    (rows,), (columns,) = line_voltages(SMALL.shape, scheme="third", v_write=0.8, selected=[(1, 2)])
    s = solve_junctions(junctions, wiring, rows, columns)
    leaks = wiring.g_leak_word * np.sum(s.v_word**2) + wiring.g_leak_bit * np.sum(s.v_bit**2)
    word = np.diff(s.v_word, axis=1) ** 2 / wiring.r_word
    bit = np.diff(s.v_bit, axis=0) ** 2 / wiring.r_bit
    ends = np.sum(s.i_row**2) * (wiring.r_source + wiring.r_word)
    ends += np.sum(s.i_column**2) * (wiring.r_sense + wiring.r_bit)
    burnt = np.sum(s.i_device * s.v_device) + leaks + word.sum() + bit.sum() + ends
    deck = dc_write_deck(
        SMALL.antiparallel(40e-9),
        SMALL.background("checkerboard"),
        wiring,
        scheme="third",
        v_write=0.8,
        selected=[(1, 2)],
    )
    found = measure_dc_write(
        simulate(deck),
        rows=5,
        columns=4,
        segments=segments_of(wiring),
        scheme="third",
        v_write=0.8,
        selected=[(1, 2)],
    )
    state = int(SMALL.background("checkerboard")[1, 2])
    assert found["power"][state, 0] == pytest.approx(burnt, rel=1e-9, abs=0.0)


# A pulse in time


def pulse_energy(t_pulse: float, v_write: float = 0.8, diameter: float = 40e-9, **more: Any) -> float:
    deck = pulse_deck(
        SMALL.antiparallel(diameter),
        SMALL.background("checkerboard"),
        REAL,
        capacitance=SMALL.capacitance(diameter),
        scheme="half",
        v_write=v_write,
        selected=(2, 2),
        t_pulse=t_pulse,
        **more,
    )
    return float(measure_pulse(simulate(deck), scheme="half", v_write=v_write)["energy"])


def steady_power(v_write: float = 0.8, diameter: float = 40e-9) -> float:
    junctions = in_states(SMALL.antiparallel(diameter), SMALL.background("checkerboard"))
    (rows,), (columns,) = line_voltages(SMALL.shape, scheme="half", v_write=v_write, selected=[(2, 2)])
    s = solve_junctions(junctions, REAL, rows, columns)
    return float(s.i_row @ rows - s.i_column @ columns)


@pytest.mark.usefixtures("results")
def test_a_pulses_energy_is_its_steady_power_and_the_lines_charge() -> None:
    short, long = pulse_energy(200e-12), pulse_energy(500e-12)
    assert long - short == pytest.approx(steady_power() * 300e-12, rel=1e-3, abs=0.0)
    edges = short - steady_power() * 200e-12
    # Of the order of what charging every node to the full voltage takes, and paid, not handed back.
    load = SMALL.capacitance(40e-9)
    assert 0 < edges < 20 * (load.word + load.bit + load.mtj) * 0.8**2
    assert edges > 0.1 * 4 * load.word * 0.8**2


def live(
    v_write: float, *, seeds: Sequence[int], t_stop: float, states: NDArray[np.bool_]
) -> dict[str, Array]:
    deck = live_deck(
        SMALL.card(40e-9),
        states,
        REAL,
        capacitance=SMALL.capacitance(40e-9),
        temperature=300.15,
        scheme="half",
        v_write=v_write,
        selected=(2, 2),
        seeds=seeds,
        t_stop=t_stop,
    )
    return measure_live(simulate(deck), rows=5, columns=4, scheme="half", v_write=v_write)


@pytest.mark.usefixtures("results")
def test_live_cells_at_rest_draw_what_the_static_array_does() -> None:
    states, still = SMALL.background("checkerboard"), [0] * 20
    short, long = (live(0.1, seeds=still, t_stop=t, states=states) for t in (0.2e-9, 0.4e-9))
    drawn = float(long["energy"] - short["energy"])
    assert drawn == pytest.approx(steady_power(0.1) * 0.2e-9, rel=2e-3, abs=0.0)
    assert np.all(np.isinf(long["first_passage"]))


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(("v_write", "state"), [(1.2, False), (-1.2, True)])
def test_a_strong_pulse_flips_the_selected_cell_the_way_it_drives(v_write: float, state: bool) -> None:
    states = np.full(SMALL.shape, state)
    found = live(v_write, seeds=range(1, 21), t_stop=3e-9, states=states)["first_passage"]
    assert 0.2e-9 < found[2, 2] < 3e-9
    others = np.isinf(found)
    assert others.sum() >= 12  # the cells on neither line see next to nothing
    stays = live(v_write, seeds=range(1, 21), t_stop=1.5e-9, states=~states)["first_passage"]
    assert np.isinf(stays[2, 2])


@pytest.mark.usefixtures("results")
def test_zero_volts_write_nothing_and_cost_nothing() -> None:
    found = live(0.0, seeds=range(1, 21), t_stop=0.3e-9, states=SMALL.background("checkerboard"))
    assert np.all(np.isinf(found["first_passage"]))
    assert float(found["energy"]) == 0.0
    assert pulse_energy(100e-12, v_write=0.0) == 0.0


@pytest.mark.usefixtures("results")
def test_the_netlist_of_a_3x3_write_is_the_deck_builders() -> None:
    recorded = simulate(read_deck(netlists_folder() / "array_write.cir").with_parameters(t_pulse=0.5e-9))
    cell = ArrayCell(rows=3, columns=3)
    states = cell.background("checkerboard").copy()
    states[1, 1] = False
    deck = live_deck(
        cell.card(40e-9),
        states,
        cell.wiring(5.0),
        capacitance=cell.capacitance(40e-9),
        temperature=300.15,
        scheme="half",
        v_write=0.7,
        selected=(1, 1),
        seeds=range(1, 10),
        t_stop=0.4e-9,
    )
    built = simulate(deck)
    wanted, found = (
        np.interp(0.3e-9, each["time"], each[node])
        for each, node in ((recorded, "n.x_11.n_mtj#mz"), (built, "n.x1_1.n_mtj#mz"))
    )
    assert found == pytest.approx(wanted, rel=1e-4)
    assert -1 < found < -0.9
    assert recorded.measures["energy"] == pytest.approx(
        float(measure_live(built, rows=3, columns=3, scheme="half", v_write=0.7)["energy"]) * 0.5 / 0.4,
        rel=0.05,
        abs=0.0,
    )


def test_the_set_is_as_stable_and_as_hard_to_write_as_it_says() -> None:
    for diameter, stability in ((20e-9, 30), (40e-9, 60), (100e-9, 150)):
        card = SMALL.card(diameter)
        magnet = macrospin(card, 300.15)
        assert magnet.stability == pytest.approx(stability, rel=0.01)
        r_p = card["ra"] / (np.pi / 4 * diameter**2)
        to_ap = magnet.critical_current("p_to_ap") * r_p
        to_p = magnet.critical_current("ap_to_p") * r_p * (1 + card["tmr"])
        assert (to_ap, to_p) == (pytest.approx(0.4, rel=0.01), pytest.approx(0.4, rel=0.01))


# The law over a load line


@pytest.fixture(scope="module")
def laws() -> dict[str, SwitchingLaw]:
    card = SMALL.card(40e-9)
    return {each: SwitchingLaw(card, direction=each, t_max=5e-9, temperature=300.15) for each in DIRECTIONS}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_law_between_its_lattice_points_is_the_equations(
    laws: dict[str, SwitchingLaw], direction: str
) -> None:
    law = laws[direction]
    for v, share in ((0.325, 0.02), (0.475, 0.07)):
        wanted = law.solve(v, share / law.g_p)
        found = law.probability(np.array([v]), np.array([share / law.g_p]))[0]
        seen = wanted > 1e-9
        assert seen.sum() > 20
        assert found[seen] == pytest.approx(wanted[seen], rel=0.01)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_laws_lattice_is_fine_enough_in_space_and_time(direction: str) -> None:
    law = SwitchingLaw(SMALL.card(40e-9), direction=direction, t_max=5e-9, temperature=300.15)
    coarse = law.solve(0.4, 300.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_switching, "CELLS", 800)
        patch.setattr(array_switching, "T_STEP", 2.5e-12)
        fine = law.solve(0.4, 300.0)
    assert coarse[-1] == pytest.approx(fine[-1], rel=2e-3)
    assert coarse[20] == pytest.approx(fine[20], rel=0.05)  # 2 ns, a tail of 1e-5 or less


def test_a_stronger_or_longer_pulse_flips_no_less(laws: dict[str, SwitchingLaw]) -> None:
    for law in laws.values():
        odds = law.probability(np.linspace(-0.1, 1.0, 45), np.full(45, 200.0))
        assert np.all(np.diff(odds, axis=1) >= 0)
        assert np.all(np.diff(odds[:, -1]) >= -1e-12)
        assert odds[0, -1] < 1e-15  # driven the other way: an upper bound
        assert odds[-1, -1] > 0.999


def test_the_cell_and_its_source_share_the_voltage(laws: dict[str, SwitchingLaw]) -> None:
    v_open, r_series = np.array([0.3, 0.8, -0.5, 0.0]), np.array([100.0, 900.0, 2000.0, 50.0])
    for direction, law in laws.items():
        v = law.start_voltage(v_open, r_series)
        assert v + r_series * law.current(v, start_state(direction)) == pytest.approx(v_open, abs=1e-9)


# The write table


def test_a_half_selected_cells_voltage_is_what_the_solver_gives_it_in_its_starting_state(
    made: dict[str, LookupTable],
) -> None:
    """Which state it has in the background does not matter: the series resistance makes up for it."""
    table, diameter, v = made["array_write"], 100e-9, 0.7
    devices, wiring = SMALL.antiparallel(diameter), SMALL.wiring(WRITE["r_segment"])
    for scheme in SCHEMES:
        for direction in DIRECTIONS:
            for cell in ((0, 3), (4, 0), (1, 1)):
                wanted = []
                for column in range(4):
                    if column == cell[1]:
                        continue
                    both = []
                    for state in (False, True):
                        states = SMALL.background("checkerboard").copy()
                        states[cell], states[cell[0], column] = start_state(direction) > 0, state
                        drive = line_voltages(
                            SMALL.shape, scheme=scheme, v_write=v, selected=[(cell[0], column)]
                        )
                        s = solve_junctions(in_states(devices, states), wiring, drive[0][0], drive[1][0])
                        both.append(s.v_device[cell])
                    wanted.append(np.mean(both))
                at = {"scheme": scheme, "diameter": diameter, "direction": direction, "v_write": v}
                found = write(table, "v_row", **at)[cell]
                assert found == pytest.approx(np.mean(wanted), rel=2e-3, abs=0.0)


def test_success_falls_with_distance_along_the_lines(made: dict[str, LookupTable]) -> None:
    """Word lines are driven from the left, bit lines from the bottom.

    Compared are cells two apart, whose neighbours on the checkerboard are alike.
    """
    for diameter in WRITE["diameter"]:
        at = {"scheme": "half", "diameter": diameter, "direction": "p_to_ap", "v_write": 0.7}
        v, success = (
            write(made["array_write"], "v_success", **at),
            write(made["array_write"], "success", **at),
        )
        for values in (v, success[0]):
            assert np.all(values[:, 2:] < values[:, :-2])
            assert np.all(values[2:] > values[:-2])
        assert np.all((success > 0) & (success < 1))
        assert np.all(success[1] > success[0])  # a longer pulse
    thin, wide = (
        write(made["array_write"], "v_success", scheme="half", direction="p_to_ap", v_write=0.7, diameter=d)
        for d in WRITE["diameter"]
    )
    assert np.all(wide < thin)


def test_a_third_disturbs_less_than_a_half_but_reaches_all_cells(made: dict[str, LookupTable]) -> None:
    for direction in DIRECTIONS:
        half, third = (
            {
                name: write(
                    made["array_write"], name, scheme=scheme, direction=direction, v_write=0.7, diameter=40e-9
                )
                for name in ("success", "row_disturb", "column_disturb", "rest_disturb")
            }
            for scheme in ("half", "third")
        )
        for name in ("row_disturb", "column_disturb"):
            assert np.all(third[name] < 1e-2 * half[name])
            assert np.all(half[name] < half["success"])
        assert np.all(half["rest_disturb"] < 1e-12)
        assert np.all(third["rest_disturb"] > half["rest_disturb"])


def test_no_cell_gets_more_than_the_lines_give(made: dict[str, LookupTable]) -> None:
    data = made["array_write"].data
    v = data["v_write"]
    assert bool((data["v_success"] < v).all())
    assert bool((data["v_success"] > 0.5 * v).all())
    for scheme, share in (("half", 1 / 2), ("third", 1 / 3)):
        for name in ("v_row", "v_column"):
            drop = data[name].sel(scheme=scheme) / (share * v)
            assert bool(((drop > 0.5) & (drop < 1.01)).all()), (scheme, name)


def test_energy_is_that_of_a_pulse_on_the_real_array(made: dict[str, LookupTable]) -> None:
    """Two ns at 40 nm against a transient with the selected cell left in its starting state."""
    at = {"scheme": "half", "diameter": 40e-9, "direction": "ap_to_p", "v_write": 0.5, "t_pulse": 2e-9}
    states = SMALL.background("checkerboard").copy()
    states[2, 1] = False
    deck = pulse_deck(
        SMALL.antiparallel(40e-9),
        states,
        SMALL.wiring(WRITE["r_segment"]),
        capacitance=SMALL.capacitance(40e-9),
        scheme="half",
        v_write=0.5,
        selected=(2, 1),
        t_pulse=2e-9,
    )
    wanted = float(measure_pulse(simulate(deck), scheme="half", v_write=0.5)["energy"])
    assert write(made["array_write"], "energy", **at)[2, 1] == pytest.approx(wanted, rel=5e-3, abs=0.0)
    energy = made["array_write"].data["energy"]
    assert bool((energy > 0).all())
    assert bool((energy.diff("t_pulse") > 0).all())
    assert bool((energy.diff("v_write") > 0).all())


def test_the_median_switching_time_is_where_success_is_a_half(made: dict[str, LookupTable]) -> None:
    table = made["array_write"]
    latency, success = table.data["latency"], table.data["success"]
    seen = np.isfinite(latency.values)
    assert seen.any()
    assert not seen.all()
    for t in WRITE["t_pulse"]:
        at = success.sel(t_pulse=t).values
        assert np.array_equal(at >= 0.5, np.where(seen, latency.values <= t, False))


def test_a_square_array_is_symmetric_about_its_drivers_corner(results: Path) -> None:
    """Word lines from the left and bit lines from the bottom are each other's mirror image."""
    cell = ArrayCell(rows=4, columns=4, g_leak=1e-12)
    sweep = WRITE | {"scheme": ["half"], "diameter": [100e-9], "v_write": [0.7], "sampled": []}
    definition = replace(load_definition("array_write", size="quick"), sweep=sweep, cell=cell)
    data = make_table(definition, Engine(results / "store", 1, "ngspice-46")).data.squeeze(drop=True)
    for one, other in (("success", "success"), ("row_disturb", "column_disturb"), ("energy", "energy")):
        values, mirrored = data[one].values, data[other].values[..., ::-1, ::-1].swapaxes(-1, -2)
        assert values == pytest.approx(mirrored, rel=1e-3, abs=0.0)
        assert values[..., 0, 0] != pytest.approx(values[..., -1, 0], rel=1e-3, abs=0.0)


def test_arrays_of_noisy_mtjs_do_what_the_table_expects(made: dict[str, LookupTable]) -> None:
    data = made["array_write"].data
    sampled = data["n_samples"] > 0
    for role in ROLES:
        assert int(sampled.sel(role=role).sum()) == len(WRITE["t_pulse"]), role
    off = np.abs(data["p_monte_carlo"] - data["p_expected"])
    # As for single branches: three standard errors, or 0.03.
    allowed = np.maximum(3 * data["p_monte_carlo_se"], 0.03)
    assert bool((off <= allowed).where(sampled, True).all())
    selected = data.sel(role="selected").where(sampled.sel(role="selected"), drop=True)
    assert 0.2 < float(selected["p_expected"].max()) < 0.98  # neither certain nor hopeless
    assert int(selected["n_samples"].max()) == WRITE["pulses"]
    assert float(selected["p_monte_carlo"].max()) > 0
    assert bool(np.isnan(data["p_monte_carlo"]).where(~sampled, True).all())


@pytest.mark.slow
def test_a_15x15_array_of_noisy_mtjs_does_what_the_table_expects(results: Path) -> None:
    point = {"scheme": "half", "diameter": 40e-9, "direction": "ap_to_p", "v_write": 0.9, "t_stop": 4e-9}
    sweep = WRITE | {"scheme": ["half"], "diameter": [40e-9], "v_write": [0.9], "t_pulse": [3e-9, 4e-9]}
    sweep |= {"r_segment": 5.0, "pulses": 10, "sampled": [point | {"first_seed": 50_000}]}
    definition = replace(load_definition("array_write", size="full"), sweep=sweep)
    data = make_table(definition, Engine(results / "store", 2, "ngspice-46")).data
    sampled = data["n_samples"] > 0
    off = np.abs(data["p_monte_carlo"] - data["p_expected"]).where(sampled, 0.0)
    assert bool((off <= np.maximum(3 * data["p_monte_carlo_se"], 0.03)).where(sampled, True).all())
    disturbed = data["n_switched"].sel(role=["row", "column"], direction="ap_to_p", t_pulse=4e-9)
    assert int(disturbed.sum()) > 5


# The read table


def test_read_currents_are_the_solvers(made: dict[str, LookupTable]) -> None:
    table = made["array_read"]
    for diameter in READ["diameter"]:
        for background in READ["background"]:
            junctions = in_states(SMALL.antiparallel(diameter), SMALL.background(background))
            for r_segment in READ["r_segment"]:
                wiring = SMALL.wiring(r_segment)
                at = {"diameter": diameter, "r_segment": r_segment, "background": background}
                found = table.data.sel(at)
                alone = solve_junctions(junctions, wiring, 0.15 * np.eye(5)).i_column
                whole = solve_junctions(junctions, wiring, np.full(5, 0.15)).i_column
                assert found["current"].values == pytest.approx(alone, rel=1e-8, abs=0.0)
                assert found["column_current"].values == pytest.approx(whole, rel=1e-8, abs=0.0)
                ideal = junctions.current(np.full(SMALL.shape, 0.15))
                assert found["ideal_current"].values == pytest.approx(ideal, rel=1e-8, abs=0.0)
                assert found["column_ideal_current"].values == pytest.approx(ideal.sum(axis=0), rel=1e-8)


def test_more_line_lets_less_current_through(made: dict[str, LookupTable]) -> None:
    data = made["array_read"].data
    for name in ("transmission", "column_transmission"):
        values = data[name]
        assert bool(((values > 0) & (values < 1)).all())
        assert bool((values.diff("r_segment") < 0).all())
        assert bool((values.diff("diameter") < 0).all())
    far = data["transmission"].sel(background="all_p")
    assert bool((far.diff("column") < 0).all())
    assert bool((far.diff("row") > 0).all())


def test_a_read_settles_and_costs_its_power(made: dict[str, LookupTable]) -> None:
    data = made["array_read"].data
    power = 0.15 * data["column_current"].sum("column")  # of the devices and lines; leakage aside
    assert bool((data["energy"] > 0.9 * power * READ["t_read"]).all())
    assert bool((data["energy"] < 1.3 * power * READ["t_read"]).all())
    assert bool(((data["settling"] >= 0) & (data["settling"] < 0.1e-9)).all())


# Lineage, holes, verification, what is refused


@pytest.mark.parametrize("name", ["array_write", "array_read"])
def test_a_table_of_an_array_says_how_to_make_it_again(made: dict[str, LookupTable], name: str) -> None:
    table = made[name]
    again = definition_of(table)
    assert again.cell == SMALL
    assert table.lineage["netlists"].keys() == set(SMALL.files)
    assert table.lineage["parameters"]["ra"]["unit"] == "ohm m^2"
    assert table.holes == ()


@pytest.mark.parametrize("name", ["array_write", "array_read"])
def test_a_table_of_an_array_is_verified(made: dict[str, LookupTable], results: Path, name: str) -> None:
    at = {"v_write": 0.5, "diameter": 100e-9} if name == "array_write" else {"r_segment": 40.0}
    chosen = plan(made[name], entries=3, seed=2, at=at)
    verification = verify(chosen, engine=BareEngine(folder=results / "verify", workers=2))
    assert verification.ok
    assert verification.familiar
    assert verification.simulations <= chosen.simulations
    assert {each.quantity for each in verification.entries} == set(made[name].quantities)


def test_a_drive_with_noisy_arrays_is_verified_with_them(made: dict[str, LookupTable]) -> None:
    point = {"scheme": "half", "v_write": 0.7, "diameter": 40e-9}
    chosen = plan(made["array_write"], entries=5, seed=1, at=point)
    assert chosen.devices == WRITE["pulses"] * 20
    assert chosen.simulations == 2 + WRITE["pulses"]


class Failing:
    """An engine whose runs of some decks fail."""

    def __init__(self, engine: Engine, word: str) -> None:
        self.engine, self.word, self.version = engine, word, engine.version

    def run(self, units: Sequence[Unit]) -> list[Outcome]:
        why = Failure(message="out of luck", deck=None, log=None, reason="out of luck")
        return [
            Outcome(None, why) if self.word in unit.deck.name else outcome
            for unit, outcome in zip(units, self.engine.run(units), strict=True)
        ]

    def stream(self, units: Sequence[Unit]) -> Iterator[tuple[int, Outcome]]:
        yield from enumerate(self.run(units))


@pytest.mark.parametrize("word", ["write_5x4_third_0.5V", "pulse_5x4_third_0.5V"])
def test_a_drive_whose_deck_failed_is_a_hole_and_no_other(
    made: dict[str, LookupTable], results: Path, word: str
) -> None:
    sweep = WRITE | {"diameter": [40e-9], "sampled": []}
    definition = replace(load_definition("array_write", size="quick"), sweep=sweep, cell=SMALL)
    table = make_table(definition, Failing(Engine(results / "store", 1, "ngspice-46"), word))
    assert len(table.holes) == 1
    success = table.data["success"]
    empty = np.isnan(success)
    assert bool(empty.sel(scheme="third", v_write=0.5).all())
    assert int(empty.sum()) == empty.sel(scheme="third", v_write=0.5).size
    whole = made["array_write"].data["success"].sel(diameter=[40e-9])
    assert np.array_equal(success.values[~empty], whole.values[~empty])


POINT = {
    "scheme": "half", "diameter": 40e-9, "direction": "ap_to_p", "v_write": 0.7, "t_stop": 2e-9,
    "first_seed": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("scheme", ["half", "quarter"], "should be a list of some of half, third"),
        ("v_write", [0.0, 0.5], "must all be above zero"),
        ("t_pulse", [1.23e-10], "should be multiples of 1e-10 s"),
        ("r_segment", -5.0, "r_segment = -5.0 should be a positive number"),
        ("pulses", 21, "should be a whole number from 1 to 20"),
        ("pulses", True, "should be a whole number"),
        ("sampled", 3, "should be a list of points"),
        ("sampled", [3], "should give scheme, diameter"),
        ("sampled", [POINT | {"v_write": 0.6}], "is not one of the table's"),
        ("sampled", [POINT | {"t_stop": 9e-9}], "beyond the longest t_pulse"),
        ("sampled", [POINT | {"first_seed": 0}], "seeds of its own"),
        ("sampled", [POINT, POINT | {"first_seed": 20}], "seeds of its own"),
        ("sampled", [POINT | {"first_seed": 2**29 - 19}], "seeds of its own"),
    ],
)
@pytest.mark.usefixtures("results")
def test_a_write_sweep_that_makes_no_sense_is_refused_plainly(
    tmp_path: Path, setting: str, value: Any, words: str
) -> None:
    sweep = WRITE | {"sampled": [], "pulses": 1, setting: value}
    definition = replace(load_definition("array_write", size="quick"), sweep=sweep, cell=SMALL)
    with pytest.raises(SpicebridgeError, match=words):
        make_table(definition, Engine(tmp_path / "store", 1, "ngspice-46"))


def test_settings_of_an_array_are_checked_as_those_of_a_cell() -> None:
    made = load_definition("array_read", size="quick", overrides={"cell.rows": 7})
    assert made.cell == ArrayCell(rows=7)
    with pytest.raises(DefinitionError, match=r"has no setting 'cell_rows'. It has: cell.mtj, cell.rows"):
        load_definition("array_read", size="quick", overrides={"cell_rows": 7})
    for name, value, words in (
        ("w_n", 1e-6, "a cell has no 'w_n'. It has: mtj, rows"),
        ("rows", 7.5, "cell rows = 7.5 should be a whole number"),
        ("mtj", "no/where", "should be the plain name of a file"),
    ):
        with pytest.raises(DeckError, match=words):
            load_definition("array_read", size="quick", overrides={f"cell.{name}": value})
    with pytest.raises(DeckError, match=r"no devices/mtj_z\.lib in netlists\. Known there: mtj_a, mtj_array"):
        ArrayCell(mtj="mtj_z").card(40e-9)
    with pytest.raises(DeckError, match="do not all lie in an array"):
        line_voltages((3, 3), scheme="half", v_write=1.0, selected=[(3, 0)])
    with pytest.raises(DeckError, match="There are: all_p, all_ap, checkerboard"):
        SMALL.background("stripes")


# The tracked reference


def reference(name: str) -> LookupTable:
    return load_table(reference_folder() / "tables" / f"{name}.h5")


def test_every_sampled_array_of_the_reference_agrees_with_its_probabilities() -> None:
    data = reference("array_write").data
    sampled = data["n_samples"] > 0
    assert int(data["n_samples"].max("t_pulse").sum()) > 5_000
    off = np.abs(data["p_monte_carlo"] - data["p_expected"])
    assert bool((off <= np.maximum(3 * data["p_monte_carlo_se"], 0.03)).where(sampled, True).all())


def test_line_drop_of_the_reference_is_the_studys() -> None:
    """The share of the write voltage that cells of 40 nm get, 5 ohm a segment: 0.86 to 0.92."""
    data = reference("array_write").data.sel(scheme="half")
    share = (data["v_success"] / data["v_write"]).sel(diameter=40e-9, method="nearest")
    assert 0.84 < float(share.min()) < float(share.max()) < 0.96
