"""The 1T1R phase-change cell's decks: energy is conserved, currents follow closed forms, reads are sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq

from circuits.cell import make_settings
from circuits.pcm_cell import PcmCell
from circuits.pcm_pair import (
    Read,
    branch_deck,
    measure_branch,
    measure_read,
    measure_state,
    measure_steady,
    read_deck,
    state_deck,
    steady_deck,
)
from circuits.pcm_write import (
    T_LEAD,
    V_REST,
    Device,
    Pulse,
    event_starts,
    measure_write,
    read_times,
    write_deck,
)
from spicebridge.deck import Deck, DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import read_deck as read_netlist
from spicebridge.parameters import read_parameter_set
from spicebridge.project import netlists_folder
from spicebridge.simulator import Waveforms
from spicebridge.simulator import whole as everything
from spicebridge.workers import Pool, Task

pytestmark = pytest.mark.usefixtures("results")

Array = NDArray[np.float64]
CELL = PcmCell()
SET, RESET = Pulse(90e-6, 50e-9), Pulse(440e-6, 300e-9)


POOL: list[Pool] = []


@pytest.fixture(scope="module", autouse=True)
def _pool() -> Iterator[None]:
    """One worker for all tests here: starting it takes longer than most decks."""
    with Pool(workers=1) as pool:
        POOL[:] = [pool]
        yield


def written(
    pulses: list[Pulse], *, cell: PcmCell = CELL, devices: list[Device] | None = None, **more: Any
) -> dict[str, Array]:
    devices = devices or [Device(seed=3, u0=25e-9)]
    recorded = simulate(write_deck(cell, devices, pulses, **more))
    return measured_write(recorded, pulses, cell=cell, devices=len(devices))


def measured_write(
    recorded: Waveforms, pulses: list[Pulse], *, cell: PcmCell = CELL, devices: int = 1
) -> dict[str, Array]:
    widths = [each.width for each in pulses]
    return measure_write(recorded, devices=devices, widths=widths, v_supply=cell.v_supply)


def whole(deck: Deck) -> Deck:
    """The deck with all its node voltages and source currents saved, and the branch currents."""
    lines = [".save all" if line.startswith(".save") else line for line in deck.text.splitlines()]
    return replace(deck, text="\n".join(lines))


def access_current(v_drain: Array, v_gate: Array) -> Array:
    """The access transistor's level-1 current, source and body at ground: written out once more."""
    beta, over = 200e-6 * CELL.w_access / CELL.l_access, v_gate - 0.5
    triode, saturated = beta * (over * v_drain - v_drain**2 / 2), beta / 2 * over**2
    return np.where(over > 0, np.where(v_drain < over, triode, saturated), 0.0)


# Writing


def test_what_the_sources_deliver_is_dissipated_or_stored() -> None:
    """Driver, line, cell and transistor, the current taken from the transistor's own law."""
    pulses = [RESET, SET, SET]
    recorded = simulate(whole(write_deck(CELL, [Device(seed=3, u0=25e-9)], pulses)))
    time, near, line, mid = (recorded[name] for name in ("time", "near0", "bl0", "xc0.mid"))
    driven, rested = -recorded["i(vwrite0)"], -recorded["i(vrest0)"]
    current = access_current(mid, recorded["wl"])
    series = CELL.bit_line["r"] / 2
    power = (CELL.v_supply - near) * driven + (V_REST - near) * rested
    power = power + (near - line) ** 2 / series + line * current
    stored = CELL.bit_line["c"] * (line[-1] ** 2 - line[0] ** 2) / 2
    delivered = np.trapezoid(CELL.v_supply * driven + V_REST * rested, time)
    assert delivered == pytest.approx(np.trapezoid(power, time) + stored, rel=2e-3, abs=0.0)
    found = measured_write(recorded, pulses)
    rails = found["energy"].sum() - found["energy_word"].sum()
    assert rails == pytest.approx(delivered, rel=1e-6, abs=0.0)
    in_cell = np.trapezoid((line - mid) * current, time)
    assert 0.2 * delivered < in_cell < 0.6 * delivered  # the access transistor has the rest


@pytest.mark.parametrize("pulse", [SET, RESET])
def test_a_pulse_costs_its_charge_and_the_bit_lines_times_the_rail(pulse: Pulse) -> None:
    found = written([pulse])
    flowing = CELL.v_supply * pulse.current * pulse.width
    charging = CELL.bit_line["c"] * CELL.v_supply**2
    assert found["energy"][0, 0] == pytest.approx(flowing + charging, rel=0.02, abs=0.0)


def test_a_word_line_costs_its_charge_times_its_rail() -> None:
    found = written([SET, SET])
    swing = CELL.gate_level(SET.current)
    # The integral over a transient's coarse steps is a few per cent low.
    assert found["energy_word"] == pytest.approx(CELL.c_word * swing * CELL.v_word, rel=0.08, abs=0.0)


def test_a_cell_costs_and_does_the_same_whoever_shares_its_word_line() -> None:
    alone = written([RESET, SET])
    devices = [Device(seed=3, u0=25e-9), *(Device(seed=seed, u0=15e-9) for seed in (4, 5, 6))]
    among = written([RESET, SET], devices=devices)
    assert among["g"][0] == pytest.approx(alone["g"][0], rel=0.03)
    assert among["energy"][0] == pytest.approx(alone["energy"][0], rel=1e-3)
    assert not np.allclose(among["g"][1:, 1], among["g"][0, 1], rtol=0.05)  # other draws


def test_reset_lowers_the_conductance_and_set_pulses_raise_it_in_steps() -> None:
    found = written([RESET, *[SET] * 4], devices=[Device(seed=0, u0=15e-9)])
    g = found["g"][0]
    assert g[0] < 0.2e-6
    assert np.all(np.diff(g) > 0)
    assert np.all(np.diff(found["u"][0]) < 0)
    assert np.all(found["hottest"][0] > [500, *[200] * 4])


def test_latency_ends_when_the_cell_is_cold() -> None:
    found = written([RESET, SET])
    ends = event_starts([RESET.width, SET.width])[:-1] + T_LEAD + np.array([RESET.width, SET.width])
    after = found["latency"][0] + event_starts([RESET.width, SET.width])[:-1] - ends
    assert np.all((after > 1e-9) & (after < 8e-9))


def test_a_tenth_of_the_step_changes_the_result_far_less_than_the_spread() -> None:
    devices = [Device(seed=seed, u0=20e-9) for seed in range(1, 9)]
    train = [RESET, *[SET] * 3]
    coarse, fine = (written(train, devices=devices, step=step) for step in (2e-9, 0.2e-9))
    assert np.abs(coarse["g"] - fine["g"])[:, 1:].mean() < 0.03 * fine["g"][:, 1:].std()
    assert np.abs(coarse["u"] - fine["u"]).max() < 0.3e-9
    assert coarse["energy"] == pytest.approx(fine["energy"], rel=1e-3)


def test_the_access_transistor_gives_the_pulses_current_whatever_the_cells_state() -> None:
    for u0 in (5e-9, 30e-9):
        recorded = simulate(write_deck(CELL, [Device(seed=0, u0=u0)], [SET]))
        middle = T_LEAD + SET.width / 2
        current = np.interp(middle, recorded["time"], -recorded["i(vwrite0)"])
        assert current == pytest.approx(SET.current, rel=5e-3, abs=0.0)


def test_a_rail_below_the_threshold_voltage_leaves_the_cell_as_it_was() -> None:
    low = replace(CELL, v_supply=1.0)
    recorded = simulate(write_deck(low, [Device(seed=0, u0=30e-9)], [SET]))
    assert recorded["bl0"].max() < 1.05
    found = measured_write(recorded, [SET], cell=low)
    assert found["u"][0, 0] == pytest.approx(30e-9, abs=0.01e-9)
    assert found["energy"][0, 0] < 0.1 * 1.0 * SET.current * SET.width


def test_a_current_beyond_the_word_lines_rail_is_refused() -> None:
    with pytest.raises(DeckError, match="V on its gate for 2e"):
        write_deck(CELL, [Device(1, 20e-9)], [Pulse(2e-3, 50e-9)])


def test_a_read_that_has_not_settled_is_refused() -> None:
    """A bit line of 10 pF, which does not come to rest in the pause after a pulse."""
    with pytest.raises(SpicebridgeError, match="has not settled"):
        written([RESET, SET], cell=replace(CELL, c_bit=20e-15), devices=[Device(1, 20e-9)])


def test_a_solution_without_physics_is_refused() -> None:
    recorded = simulate(write_deck(CELL, [Device(seed=0, u0=25e-9)], [SET]))
    vectors = dict(recorded.vectors)
    vectors["bl0"] = vectors["bl0"] - 20.0
    with pytest.raises(SpicebridgeError, match=r"cell 0 ran to .* which no cell can"):
        measured_write(replace(recorded, vectors=vectors), [SET])


def test_the_netlist_of_a_write_is_the_deck_builders() -> None:
    own = simulate(read_netlist(netlists_folder() / "pcm_write.cir").with_parameters(t_reset=300e-9))
    found = written([RESET, SET, SET, SET], devices=[Device(seed=1, u0=20e-9)])
    read = [own.measures[name] for name in ("g_reset", "g_1", "g_2", "g_3")]
    assert found["g"][0] == pytest.approx(np.array(read), rel=0.03)
    assert own.measures["energy_set"] == pytest.approx(found["energy"][0, 1], rel=2e-3, abs=0.0)
    assert own.measures["energy_word"] == pytest.approx(found["energy_word"][1], rel=0.01, abs=0.0)
    assert own.measures["energy_reset"] == pytest.approx(found["energy"][0, 0], rel=2e-3, abs=0.0)


@pytest.mark.parametrize(
    ("devices", "pulses", "words"),
    [
        ([], [SET], "at least one pulse and one cell"),
        ([Device(1, 0.0)], [], "at least one pulse and one cell"),
        ([Device(1, 0.0)], [Pulse(-1e-6, 50e-9)], "should be above zero"),
        ([Device(1, 0.0)], [Pulse(1e-6, 0.3e-9)], "longer than their two edges"),
    ],
)
def test_a_train_that_makes_no_sense_is_refused(devices: Any, pulses: Any, words: str) -> None:
    with pytest.raises(DeckError, match=words):
        write_deck(CELL, devices, pulses)


def test_settings_are_checked() -> None:
    assert make_settings(PcmCell, {"rows": 64, "v_word": 3}) == PcmCell(rows=64, v_word=3)
    for wrong in ({"rows": 1.5}, {"c_bit": 0}, {"device": "../pcm"}, {"mtj": "mtj_b"}):
        with pytest.raises(DeckError):
            make_settings(PcmCell, wrong)
    for other in ("none", "mtj_b"):
        with pytest.raises(DeckError, match=rf"device = '{other}': .*Known: pcm_90nm\."):
            write_deck(replace(CELL, device=other), [Device(1, 0.0)], [SET])


def test_reads_lie_between_the_events() -> None:
    widths = [1e-6, 50e-9]
    starts, reads = event_starts(widths), read_times(widths)
    assert np.all(reads < starts[1:])
    assert np.all(reads > starts[:-1] + widths)


# Reading


def run(deck: Deck, measure: Any, **arguments: Any) -> dict[str, Array]:
    return _answer(Task(deck, partial(_measured, measure, arguments)))


def simulate(deck: Deck) -> Waveforms:
    return _answer(Task(deck, everything))


def _answer(task: Task) -> Any:
    ((_, answer),) = POOL[0].run([task])
    if answer.error is not None:
        raise answer.error
    return answer.value


def _measured(measure: Any, arguments: dict[str, Any], recorded: Waveforms) -> dict[str, Array]:
    return measure(recorded, **arguments)


def device_card() -> dict[str, float]:
    """The device's parameters, SI units."""
    found = read_parameter_set(netlists_folder() / CELL.parameter_set)
    return {name: each.value for name, each in found.items()}


def closed_form(u: float, v_read: float) -> float:
    """The steady current of one typical cell: input driver, half of both lines, transistor and sinh law."""
    card = {
        name: each.value for name, each in read_parameter_set(netlists_folder() / CELL.parameter_set).items()
    }
    g = 1 / (1 / card["g_crystal"] + card["r_amorphous"] * np.expm1(u / card["u_decay"]))
    v_c = card["v_hop"] + card["e_hop"] * u
    series = CELL.r_input + (CELL.bit_line["r"] + CELL.source_line["r"]) / 2
    beta, over = 200e-6 * CELL.w_access / CELL.l_access, CELL.v_word - 0.5

    # The transistor's source is lifted by the current in the source line, which changes next to nothing.
    def left(current: float) -> float:
        v_drain = current / (beta * over)
        v_cell = v_read - current * series - v_drain
        return g * v_c * np.sinh(v_cell / v_c) - current

    return brentq(left, -1e-3, 1e-3, xtol=1e-18)


@pytest.mark.parametrize("v_read", [0.02, 0.2, -0.2])
def test_a_cells_current_is_that_of_its_resistances_in_series(v_read: float) -> None:
    thicknesses = [3e-9, 8e-9, 15e-9, 25e-9]
    deck = branch_deck(CELL, [Read(u) for u in thicknesses], v_read=v_read)
    found = run(deck, measure_branch, reads=4)["current"]
    expected = [closed_form(u, v_read) for u in thicknesses]
    assert found == pytest.approx(np.array(expected), rel=2e-3)


def test_a_pairs_current_is_the_difference_of_its_cells() -> None:
    states = [3e-9, 15e-9, 25e-9]
    pairs = [(Read(p), Read(n)) for p in states for n in states]
    current = run(steady_deck(CELL, pairs, v_read=0.2), measure_steady, pairs=9)["current"].reshape(3, 3)
    assert current == pytest.approx(-current.T, rel=1e-9, abs=1e-15)
    alone = np.array([closed_form(u, 0.2) for u in states])
    # Two cells share the input's resistance, about 600 ohm.
    assert current == pytest.approx(alone[:, None] - alone, rel=0.03, abs=1e-12)


def test_a_state_decks_conductance_is_the_low_field_one() -> None:
    g = run(state_deck(CELL, seed=0, thicknesses=[0.0, 10e-9]), measure_state, points=2)["g"]
    card = {
        name: each.value for name, each in read_parameter_set(netlists_folder() / CELL.parameter_set).items()
    }
    assert g[0] == pytest.approx(card["g_crystal"], rel=2e-3, abs=0.0)
    wanted = 1 / (1 / card["g_crystal"] + card["r_amorphous"] * np.expm1(10e-9 / card["u_decay"]))
    assert g[1] == pytest.approx(wanted, rel=2e-3, abs=0.0)


def test_the_read_between_pulses_is_the_same_conductance() -> None:
    found = written([RESET, SET, SET], devices=[Device(seed=0, u0=20e-9)])
    deck = state_deck(CELL, seed=0, thicknesses=found["u"][0].tolist())
    again = run(deck, measure_state, points=3)["g"]
    assert found["g"][0] == pytest.approx(again, rel=0.01)


PAIRS = [(Read(15e-9), Read(20e-9)), (Read(5e-9), Read(30e-9)), (Read(20e-9), Read(20e-9))]


def pulsed(t_in: float, v_read: float = 0.2, *, shared: bool = True) -> dict[str, Array]:
    deck = read_deck(CELL, PAIRS, v_read=v_read, t_in=t_in, shared=shared)
    return run(deck, measure_read, pairs=3, v_read=v_read, v_word=CELL.v_word, t_in=t_in)


def test_an_inputs_charge_is_its_steady_current_times_its_width() -> None:
    steady = run(steady_deck(CELL, PAIRS, v_read=0.2), measure_steady, pairs=3)["current"]
    for t_in in (2e-9, 50e-9):
        found = pulsed(t_in)
        assert found["current"][:2] == pytest.approx(steady[:2], rel=1e-3)
        assert found["charge"][:2] == pytest.approx(steady[:2] * t_in, rel=2e-3)
        assert abs(found["charge"][2]) < 1e-24


def test_an_inputs_energy_is_what_flows_and_the_lines_charge() -> None:
    short, long = pulsed(50e-9), pulsed(150e-9)
    currents = [[closed_form(read.u, 0.2) for read in pair] for pair in PAIRS]
    flowing = 0.2 * np.sum(currents, axis=1) * 100e-9
    assert long["energy"] - short["energy"] == pytest.approx(flowing, rel=0.03)
    assert short["energy_word"] == pytest.approx(2 * CELL.c_word * CELL.v_word**2, rel=0.02)
    whole_lines = pulsed(50e-9, shared=False)["energy"] - short["energy"]
    assert whole_lines == pytest.approx(CELL.bit_line["c"] * 0.2**2, rel=0.2)


def test_whole_lines_delay_a_read_by_their_time_constant() -> None:
    shared, whole_lines = pulsed(50e-9)["settling"], pulsed(50e-9, shared=False)["settling"]
    constant = CELL.source_line["r"] / 2 * CELL.source_line["c"]
    assert np.all(shared[:2] < 0.05e-9)
    assert np.all((whole_lines[:2] > constant) & (whole_lines[:2] < 10 * constant))


def test_the_netlist_of_a_pair_read_is_the_deck_builders() -> None:
    own = simulate(read_netlist(netlists_folder() / "pair_read.cir").with_parameters(t_in=50e-9))
    pair = [(Read(18e-9, seed=1), Read(22e-9, seed=2))]
    deck = read_deck(CELL, pair, v_read=0.2, t_in=50e-9, shared=False)
    found = run(deck, measure_read, pairs=1, v_read=0.2, v_word=CELL.v_word, t_in=50e-9)
    assert own.measures["i_pair"] == pytest.approx(found["current"][0], rel=1e-3, abs=0.0)
    assert own.measures["charge"] == pytest.approx(found["charge"][0], rel=2e-3, abs=0.0)
    assert own.measures["energy"] == pytest.approx(found["energy"][0], rel=5e-3, abs=0.0)


def test_reads_with_noise_differ_by_their_numbers_and_are_repeated_by_them() -> None:
    reads = [Read(15e-9, seed=7, number=number) for number in (0, 1, 2, 1)]
    current = run(branch_deck(CELL, reads, v_read=0.2), measure_branch, reads=4)["current"]
    assert current[1] == pytest.approx(current[3], rel=1e-9, abs=0.0)
    assert len({f"{each:.6g}" for each in current}) == 3


def test_reads_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DeckError, match="longer than its two edges"):
        read_deck(CELL, PAIRS, v_read=0.2, t_in=0.1e-9, shared=True)
    with pytest.raises(DeckError, match="at one age"):
        steady_deck(CELL, [(Read(1e-9, age=1.0), Read(1e-9, age=2.0))], v_read=0.2)
