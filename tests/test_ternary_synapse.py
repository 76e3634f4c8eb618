"""The 4T2MTJ synapse's reads against its two branches solved apart."""

import numpy as np
import pytest

from circuits.cell import Cell
from circuits.ternary_synapse import ACTIVATIONS, STATES, WEIGHTS, measure_read, read_deck
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.sweep import Unit
from spicebridge.workers import simulate
from tests.mtj_decks import run_all

V_READ, T_READ = 0.2, 1e-9


@pytest.fixture(scope="module")
def reads() -> dict[str, np.ndarray]:
    cell = Cell()
    deck = read_deck(cell, v_read=V_READ, t_read=T_READ)
    return run_all([Unit(deck, measure_read, {"v_read": V_READ, "v_gate": cell.v_gate, "t_read": T_READ})])[0]


def branch_current(mz: int, gate: float) -> float:
    """Into the reference node, of one branch alone at its operating point, drivers as plain resistors."""
    netlist = f"""
.control
pre_osdi devices/stt_mtj.osdi
.endc
.include devices/mtj_b.lib
.include transistors/ptm45hp.lib
v_u ru 0 {V_READ}
v_ub rub 0 {-V_READ}
v_e e 0 {gate}
r_u ru u 500
r_ub rub ub 500
m_n u e x rub nmos w=0.4u l=45n
m_p ub e x ru pmos w=0.6u l=45n
n_mtj x ref mtj mz0={mz}
v_ref ref 0 0
.op
"""
    return float(simulate(make_deck(netlist, folder=netlists_folder(), name="branch"))["i(v_ref)"][0])


def test_the_output_is_the_sum_of_two_branches(reads: dict[str, np.ndarray]) -> None:
    alone = {(mz, sign): branch_current(mz, sign * 1.2) for mz in (-1, 1) for sign in (-1, 1)}
    full_scale = np.abs(reads["current"]).max()
    for row, (mz1, mz2) in enumerate(STATES.values()):
        for column, activation in enumerate(ACTIVATIONS.values()):
            expected = alone[mz1, activation] + alone[mz2, -activation] if activation else 0.0
            assert reads["current"][row, column] == pytest.approx(expected, abs=1e-3 * full_scale)


def test_the_output_is_weight_times_activation(reads: dict[str, np.ndarray]) -> None:
    full_scale = np.abs(reads["current"]).max()
    for row, weight in enumerate(WEIGHTS.values()):
        for column, activation in enumerate(ACTIVATIONS.values()):
            share = reads["current"][row, column] / full_scale
            assert share == pytest.approx(weight * activation, abs=0.05)


def test_an_activation_of_zero_is_cheap_and_silent(reads: dict[str, np.ndarray]) -> None:
    idle = list(ACTIVATIONS).index("0")
    assert np.all(reads["energy"][:, idle] < 0.05 * reads["energy"].mean())
    assert np.all(np.abs(reads["current"][:, idle]) < 1e-3 * np.abs(reads["current"]).max())


def test_reads_cost_energy_and_settle_within_the_read(reads: dict[str, np.ndarray]) -> None:
    assert np.all(reads["energy"] > 0)
    assert np.all(reads["settling"] < 0.2 * T_READ)


def test_the_weak_zero_is_cheaper_to_read_than_the_strong(reads: dict[str, np.ndarray]) -> None:
    names = list(STATES)
    weak, strong = (reads["energy"][names.index(each), 2] for each in ("ap_ap", "p_p"))
    assert weak < strong
