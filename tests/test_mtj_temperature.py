"""The MTJ's temperature law and its spread between devices, by closed forms and SciPy; 27 C feels neither."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.stats import chi2

from characterization.fokker_planck import GAMMA_0, macrospin
from circuits.mtj_branch import first_passage
from circuits.mtj_temperature import at_temperature
from circuits.passive_array_cell import ArrayCell
from spicebridge.deck import model_parameters
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.workers import simulate
from tests.mtj_decks import HEAD, current_driven

CARD = model_parameters(current_driven([0], current=0.0, mz0=1.0, t_stop=1e-12), "mtj")
HOT = [233.15, 358.15, 500.0]
NOMINAL = 300.15


def law(temperature: float) -> dict[str, float]:
    """ms, h_k, pol and tmr of parameter set mtj_b at a temperature (K), in figures."""
    ms = ((1 - temperature / 1420) / (1 - NOMINAL / 1420)) ** 0.4
    pol = 0.65 * (1 - 2e-5 * temperature**1.5) / (1 - 2e-5 * NOMINAL**1.5)
    return {
        "ms": 1e6 * ms, "h_k": 4.1e5 * ms**1.2, "pol": pol,
        "tmr": 1.4632 * (pol**2 / (1 - pol**2)) / (0.65**2 / (1 - 0.65**2)),
    }  # fmt: skip


def resistances(temperature: float, line: str = "") -> tuple[float, float]:
    """Of an MTJ in P and in AP at 10 mV, by its operating point, ohm."""
    deck = make_deck(
        f"{HEAD}v1 p 0 10m\nn1 p 0 mtj mz0=1 {line}\nv2 ap 0 10m\nn2 ap 0 mtj mz0=-1 {line}\n"
        f".options temp={temperature - 273.15:.6g}\n.op",
        folder=netlists_folder(),
        name="r",
    )
    found = simulate(deck)
    return -0.01 / float(found["i(v1)"][0]), -0.01 / float(found["i(v2)"][0])


@pytest.mark.parametrize("temperature", [NOMINAL, *HOT])
def test_resistances_follow_the_polarisation(temperature: float) -> None:
    r_p, r_ap = resistances(temperature)
    area = np.pi / 4 * 32e-9**2
    assert r_p == pytest.approx(5e-12 / area, rel=1e-6)
    tmr = law(temperature)["tmr"] / (1 + (0.01 / 0.5) ** 2)
    assert r_ap / r_p - 1 == pytest.approx(tmr, rel=1e-6)
    assert at_temperature(CARD, temperature)["tmr"] == pytest.approx(law(temperature)["tmr"], rel=1e-12)


@pytest.mark.parametrize("temperature", HOT)
def test_a_noiseless_switch_takes_the_time_that_scipy_integrates_at_that_temperature(
    temperature: float,
) -> None:
    magnet, wanted = macrospin(CARD, temperature), law(temperature)
    assert (magnet.ms, magnet.h_k, magnet.pol) == pytest.approx(
        (wanted["ms"], wanted["h_k"], wanted["pol"]), rel=1e-12
    )
    current, theta = -2.0 * magnet.critical_current("p_to_ap"), 0.12
    deck = current_driven(
        [0], current=current, mz0=float(np.cos(theta)), t_stop=6e-9, step=0.5e-12, temperature=temperature
    )
    recorded = simulate(deck)
    rate = GAMMA_0 / (1 + magnet.alpha**2)

    def slope(_: float, z: NDArray[np.float64]) -> NDArray[np.float64]:
        # One axis of symmetry: z moves by damping and torque alone.
        torque = magnet.torque_field(np.full(1, current), z)
        return rate * (1 - z**2) * (magnet.alpha * wanted["h_k"] * z + torque)

    def crossing(_: float, z: NDArray[np.float64]) -> float:
        return float(z[0])

    crossing.terminal = True  # type: ignore[attr-defined]
    solved = solve_ivp(slope, (0, 6e-9), [np.cos(theta)], events=crossing, rtol=1e-10, atol=1e-12)
    assert first_passage(recorded["time"], recorded["n0#mz"]) == pytest.approx(
        solved.t_events[0][0], rel=5e-3
    )


def started(card: str = "", instance: str = "", temperature: float = NOMINAL) -> NDArray[np.float64]:
    """mz of forty noisy devices over 50 ps."""
    lines = [HEAD, f".model other stt_mtj diameter=32n t_free=1.2n ms=1e6 h_k=4.1e5 {card}"]
    for index in range(40):
        lines.append(f"i{index} 0 f{index} -20u")
        number = instance.replace("INDEX", str(index + 1))
        lines.append(f"n{index} f{index} 0 other seed={index + 1} mz0=1 {number}")
    lines += [
        f".options trtol=1000 temp={temperature - 273.15:.6g}",
        ".save " + " ".join(f"v(n{index}#mz)" for index in range(40)),
        ".tran 1.25p 50p 0 1.25p",
    ]
    recorded = simulate(make_deck("\n".join(lines), folder=netlists_folder(), name="started"))
    return np.array([recorded[f"n{index}#mz"] for index in range(40)])


@pytest.mark.parametrize(
    ("card", "instance"),
    [
        ("t_c=700 b_ms=1 b_k=3 c_pol=5e-5", ""),
        ("sd_ra=0.2 sd_tmr=0.2 sd_hk=0.2", ""),
        ("sd_ra=0.2 sd_tmr=0.2 sd_hk=0.2", "device=0"),
        ("", "device=INDEX"),
    ],
)
def test_neither_law_nor_spread_changes_anything_unless_asked_for(card: str, instance: str) -> None:
    np.testing.assert_array_equal(started(card, instance), started())


def test_a_device_differs_but_keeps_its_thermal_noise() -> None:
    """Of h_k alone: the angle that a seed draws from Boltzmann goes as its inverse, exactly."""
    nominal, spread = started()[:, 0], started("sd_hk=0.1", "device=INDEX")[:, 0]
    factors = (1 - nominal**2) / (1 - spread**2)
    assert np.std(np.log(factors)) == pytest.approx(0.1, rel=0.4)
    np.testing.assert_array_equal(spread, started("sd_hk=0.1", "device=INDEX")[:, 0])
    same = (1 - nominal**2) / (1 - started("sd_hk=0.1", "device=7")[:, 0] ** 2)
    assert same == pytest.approx(np.full(40, same[0]), rel=1e-5)
    assert same[0] == pytest.approx(factors[6], rel=1e-5)


def test_the_spread_has_the_deviation_that_was_asked_for_and_its_draws_are_independent() -> None:
    count, sd = 600, {"ra": 0.05, "tmr": 0.1, "hk": 0.15}
    spreads = " ".join(f"sd_{name}={value}" for name, value in sd.items())
    lines = [HEAD, f".model some stt_mtj {spreads}", ".model one stt_mtj"]
    saved = []
    for index in range(count):
        for model, polar in (("some", 1), ("some", -1), ("some", 0.999999), ("one", 0.999999)):
            node = f"{model}{index}_{len(saved) % 4}"
            lines.append(f"v{node} {node} 0 1m")
            seed = f"seed={index + 1} mz0=1" if polar not in (1, -1) else f"mz0={polar}"
            lines.append(f"n{node} {node} 0 {model} device={index + 1} {seed}")
            saved.append(f"i(v{node})" if polar in (1, -1) else f"v(n{node}#mz)")
    deck = make_deck(
        "\n".join([*lines, ".save " + " ".join(saved), ".op"]), folder=netlists_folder(), name="spread"
    )
    found = simulate(deck)
    values = np.array(
        [found[name.removeprefix("v(").removesuffix(")") if name[0] == "v" else name][0] for name in saved]
    ).reshape(count, 4)
    r_p, r_ap = -1e-3 / values[:, 0], -1e-3 / values[:, 1]
    h_k = (1 - values[:, 3] ** 2) / (1 - values[:, 2] ** 2)
    logs = np.log([r_p, r_ap / r_p - 1, h_k])
    for sample, name in zip(logs, sd, strict=True):
        low, high = chi2.ppf([0.001, 0.999], count - 1) / (count - 1)
        assert low < np.var(sample, ddof=1) / sd[name] ** 2 < high, name
    centres = np.log([5e-12 / (np.pi / 4 * 32e-9**2), 1.4632 / (1 + (1e-3 / 0.5) ** 2), 1.0])
    assert np.all(np.abs(logs.mean(axis=1) - centres) < 4 * np.array(list(sd.values())) / np.sqrt(count))
    correlation = np.corrcoef(logs) - np.eye(3)
    assert np.abs(correlation).max() < 4 / np.sqrt(count)


def test_a_magnet_above_its_transition_is_refused_by_deck_and_by_law() -> None:
    with pytest.raises(SpicebridgeError, match="fatal: a message at set-up of stt_mtj"):
        started("t_c=350", temperature=400.0)
    with pytest.raises(SpicebridgeError, match=r"400 K is not below t_c = 350 K"):
        at_temperature({**CARD, "t_c": 350.0}, 400.0)


def test_a_card_without_the_law_serves_at_its_own_temperature_alone() -> None:
    bare = {
        name: value for name, value in CARD.items() if name not in ("t_c", "b_ms", "b_k", "c_pol", "t_nom")
    }
    assert at_temperature(bare, NOMINAL) == bare
    with pytest.raises(SpicebridgeError, match="leaves t_c, b_ms, b_k, c_pol to the model's default"):
        at_temperature(bare, 350.0)


def test_an_array_of_mtjs_has_the_ratio_of_its_temperature() -> None:
    cold, hot = (ArrayCell(temperature=each).antiparallel(40e-9) for each in (NOMINAL, 358.15))
    pol = 0.57735 * (1 - 2e-5 * 358.15**1.5) / (1 - 2e-5 * NOMINAL**1.5)
    wanted = (pol**2 / (1 - pol**2)) / (0.57735**2 / (1 - 0.57735**2))
    assert hot.tmr / cold.tmr == pytest.approx(np.full(cold.tmr.shape, wanted), rel=1e-9)
    np.testing.assert_array_equal(hot.g_p, cold.g_p)
