"""The macrospin MTJ model against SciPy, Boltzmann and closed forms."""

import numpy as np
import pytest
from scipy.constants import elementary_charge, hbar, k, mu_0
from scipy.integrate import quad, solve_ivp

from characterization.fokker_planck import GAMMA_0, Macrospin, macrospin
from circuits.mtj_branch import first_passage
from spicebridge.deck import model_parameters
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.sweep import Unit
from spicebridge.workers import simulate
from tests.mtj_decks import HEAD, current_driven, magnetisations, run_all

SET_B = Macrospin(diameter=32e-9, t_free=1.2e-9, ms=1e6, h_k=4.1e5, alpha=0.01, pol=0.65, temperature=300.15)


def test_the_magnet_of_the_tests_is_parameter_set_b() -> None:
    deck = current_driven([0], current=0.0, mz0=1.0, t_stop=1e-12)
    assert macrospin(model_parameters(deck, "mtj"), 300.15) == SET_B


@pytest.mark.parametrize(("direction", "overdrive"), [("p_to_ap", 1.6), ("p_to_ap", 3.0), ("ap_to_p", 2.0)])
def test_a_noiseless_switch_takes_the_time_that_scipy_integrates(direction: str, overdrive: float) -> None:
    start = 1.0 if direction == "p_to_ap" else -1.0
    theta, phi = 0.12, 0.4
    current = -start * overdrive * SET_B.critical_current(direction)
    mz0 = start * np.cos(theta)
    deck = current_driven([0], current=float(current), mz0=float(mz0), phi0=phi, t_stop=6e-9, step=0.5e-12)
    recorded = simulate(deck)
    simulated = first_passage(recorded["time"], recorded["n0#mz"])

    def slope(_: float, m: np.ndarray) -> np.ndarray:
        # The implicit (Gilbert) form, solved as a linear system: the model is written in the explicit one.
        a_j = hbar * SET_B.pol / (1 + SET_B.pol**2 * m[2]) * current
        a_j /= 2 * elementary_charge * mu_0 * SET_B.ms * SET_B.volume
        z = np.array([0.0, 0.0, 1.0])
        torque = -GAMMA_0 * np.cross(m, SET_B.h_k * m[2] * z) - GAMMA_0 * a_j * np.cross(m, np.cross(m, z))
        cross = np.array([[0, -m[2], m[1]], [m[2], 0, -m[0]], [-m[1], m[0], 0]])
        return np.linalg.solve(np.eye(3) - SET_B.alpha * cross, torque)

    def crossing(_: float, m: np.ndarray) -> float:
        return float(m[2])

    crossing.terminal = True  # type: ignore[attr-defined]
    first = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), mz0]
    solved = solve_ivp(slope, (0, 6e-9), first, method="DOP853", events=crossing, rtol=1e-10, atol=1e-12)
    assert simulated == pytest.approx(solved.t_events[0][0], rel=5e-3)


def test_thermal_equilibrium_is_boltzmann() -> None:
    devices = 225
    deck = current_driven(range(1, devices + 1), current=0.0, mz0=1.0, t_stop=40e-9)
    values = run_all([Unit(deck, magnetisations, {"devices": devices})])[0]
    mean = np.trapezoid(1 - values["mz"] ** 2, values["time"], axis=1).mean() / values["time"][-1]
    delta = mu_0 * SET_B.ms * SET_B.h_k * SET_B.volume / (2 * k * 300.15)
    weight = quad(lambda z: np.exp(delta * (z * z - 1)), 0, 1)[0]
    expected = quad(lambda z: (1 - z * z) * np.exp(delta * (z * z - 1)), 0, 1)[0] / weight
    assert mean == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("mz", [-1.0, -0.4, 0.0, 0.7, 1.0])
@pytest.mark.parametrize("bias", [-0.4, 0.05, 0.3])
def test_resistance_follows_angle_and_bias(mz: float, bias: float) -> None:
    deck = make_deck(
        f"{HEAD}v1 free 0 {bias}\nn1 free 0 mtj mz0={mz}\n.op", folder=netlists_folder(), name="r"
    )
    card = model_parameters(deck, "mtj")
    r_p = card["ra"] / (np.pi / 4 * card["diameter"] ** 2)
    # At the poles this is TMR(V) = TMR0 / (1 + (V/Vh)^2); between them conductance goes with the cosine.
    tmr = card["tmr"] / (1 + (bias / card["v_h"]) ** 2)
    g_p, g_ap = 1 / r_p, 1 / (r_p * (1 + tmr))
    r = r_p * (1 + tmr) / (1 + tmr * (1 + mz) / 2)
    current = -simulate(deck)["i(v1)"][0]
    assert current == pytest.approx(bias / r, rel=1e-6)
    assert g_ap * (1 - 1e-9) <= current / bias <= g_p * (1 + 1e-9)


def test_tmr_is_the_polarisations_own() -> None:
    deck = current_driven([0], current=0.0, mz0=1.0, t_stop=1e-12)
    card = model_parameters(deck, "mtj")
    assert card["tmr"] == pytest.approx(2 * card["pol"] ** 2 / (1 - card["pol"] ** 2), rel=1e-3)


def test_a_seed_is_a_trajectory() -> None:
    arguments = {"devices": 3}
    units = [
        Unit(current_driven(seeds, current=0.0, mz0=1.0, t_stop=0.5e-9), magnetisations, arguments)
        for seeds in ([5, 6, 5], [6, 5, 7])
    ]
    first, second = (each["mz"] for each in run_all(units))
    assert np.allclose(first[0], first[2], atol=1e-6)
    assert np.allclose(first[0], second[1], atol=1e-3)
    assert np.abs(first[0] - first[1]).max() > 1e-3


def test_the_sign_of_the_current_chooses_the_state() -> None:
    strong = 3 * SET_B.critical_current("p_to_ap")
    for current, mz0, end in (
        (strong, -0.99, 1),
        (-strong, 0.99, -1),
        (strong, 0.99, 1),
        (-strong, -0.99, -1),
    ):
        recorded = simulate(current_driven([0], current=current, mz0=mz0, t_stop=6e-9))
        assert recorded["n0#mz"][-1] * end > 0.95
