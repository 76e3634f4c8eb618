"""Convergence aids: each lets a deck run that fails without it, rightly; none invents a solution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from spicebridge import workers
from spicebridge.convergence import AIDS, aid_name, aided
from spicebridge.deck import Deck
from spicebridge.netlist import make_deck
from spicebridge.simulator import ConvergenceError, SimulationError, Waveforms, whole
from spicebridge.sweep import Engine, Unit
from spicebridge.workers import Answer, Task
from tests.on_workers import on_workers

pytestmark = pytest.mark.usefixtures("results")

RISE = 100e-12
STOP = 10e-9
# A tunnel diode behind an inductor and a resistor: a relaxation oscillator, in V, H, ohm, F.
TUNNEL = """v1 s 0 pulse(0 {v_s!r} 0 100p 100p 1)
l1 s a0 {inductance!r}
r1 a0 a {r!r}
c1 a 0 {c!r}
b1 a 0 i=1e-2*(v(a)/0.05)*exp(1-v(a)/0.05)+1e-9*(exp(v(a)/0.026)-1)
.tran 10p 10n
"""
OSCILLATORS = {
    "tighter tolerances": (
        (0.344735102, 8.20771546e-10, 0.130616442, 3.32894944e-14),
        (0.23288446, 1.0047521e-08, 8.776363, 1.53998143e-14),
        (0.132152371, 1.9857692e-08, 1.38417133, 1.26256091e-13),
    ),
    "tighter tolerances + trtol=1": (
        (0.213774526, 7.04013946e-09, 8.96586825, 6.03263659e-15),
        (0.0706226121, 1.21370798e-09, 0.137946551, 1.87128114e-15),
    ),
}
# A current of g sqrt(v) behind a resistor; in V, ohm, A.
ROOT = "v1 s 0 {v_s!r}\nr1 s a {r!r}\nb1 a 0 i={g!r}*sgn(v(a))*sqrt(abs(v(a)))\n.op\n"
ROOTS = ((1.0, 225898.193, 0.0243127975), (5.0, 12513330.8, 0.00480500275), (2.0, 1e6, 0.02))
# exp(40 v) - 1 amperes into a node that only 1 ohm to 1 V takes them from.
NO_SOLUTION = "v1 s 0 1\nb1 0 a i=exp(40*v(a))-1\nr1 s a 1\n.op\n"
# An inductor forces its current through the tunnel diode: past the peak no voltage near by carries it.
NO_CAPACITANCE = TUNNEL.replace("c1 a 0 {c!r}\n", "").format(v_s=0.3, inductance=1e-9, r=1.0)


def deck(text: str) -> Deck:
    return make_deck(text, folder=Path(), name="mine")


def answers(*texts: str) -> list[Answer]:
    ran = on_workers([Task(deck(text), whole) for text in texts], workers=1, time_limit=60)
    return [ran[position] for position in range(len(texts))]


def oscillation(
    v_s: float, inductance: float, r: float, c: float
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The tunnel diode's voltage over time from its differential equation."""

    def slopes(t: float, state: NDArray[np.float64]) -> list[float]:
        i, v = state
        diode = 1e-2 * (v / 0.05) * math.exp(1 - v / 0.05) + 1e-9 * (math.exp(v / 0.026) - 1)
        return [(v_s * min(t / RISE, 1.0) - r * i - v) / inductance, (i - diode) / c]

    accuracy: Any = {"method": "LSODA", "rtol": 1e-8, "atol": 1e-11, "dense_output": True}
    rising = solve_ivp(slopes, (0, RISE), [0.0, 0.0], **accuracy)
    steady = solve_ivp(slopes, (RISE, STOP), rising.y[:, -1], **accuracy)
    return lambda time: np.where(
        time < RISE,
        rising.sol(np.clip(time, 0, RISE))[1],
        steady.sol(np.clip(time, RISE, STOP))[1],
    )


@pytest.mark.parametrize("needed", OSCILLATORS)
def test_smaller_time_steps_let_oscillators_run_and_run_right(needed: str) -> None:
    circuits = [dict(zip(("v_s", "inductance", "r", "c"), each, strict=True)) for each in OSCILLATORS[needed]]
    ran = answers(*(TUNNEL.format(**circuit) for circuit in circuits))
    for circuit, answer in zip(circuits, ran, strict=True):
        time, voltage = answer.value["time"], answer.value["a"]
        expected = oscillation(**circuit)(time)
        assert np.ptp(expected) > 0.3  # it swings across the region of negative resistance
        off = np.trapezoid(np.abs(voltage - expected), time) / time[-1]
        assert off < 0.01 * np.max(np.abs(expected))
    assert needed in [answer.aid for answer in ran]


def test_more_iterations_find_operating_points_where_the_conductance_has_no_bound() -> None:
    ran = answers(*(ROOT.format(v_s=v_s, r=r, g=g) for v_s, r, g in ROOTS))
    for (v_s, r, g), answer in zip(ROOTS, ran, strict=True):
        root = brentq(lambda x, v_s=v_s, r=r, g=g: v_s - x * x - r * g * x, 0, math.sqrt(v_s), xtol=1e-18)
        assert answer.value["a"] == pytest.approx([root**2], rel=1e-6, abs=0.0)
    assert aid_name(3) in [answer.aid for answer in ran]


@pytest.mark.parametrize("text", [NO_SOLUTION, NO_CAPACITANCE])
def test_no_aid_finds_a_solution_where_there_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counts_asked(monkeypatch)
    (answer,) = answers(text)
    assert asked == [1, 2, 3]
    assert isinstance(answer.error, ConvergenceError)
    assert answer.aid is None


def test_the_failure_told_is_that_of_the_deck_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "AIDS", ())
    (plain,) = answers(NO_SOLUTION)
    monkeypatch.undo()
    (tried,) = answers(NO_SOLUTION)
    assert isinstance(plain.error, SimulationError)
    assert isinstance(tried.error, SimulationError)
    assert (str(tried.error), tried.error.log) == (str(plain.error), plain.error.log)
    assert tried.error.deck.text == deck(NO_SOLUTION).text
    assert "trouble with node" in str(tried.error)


def test_a_steep_exponential_is_not_taken_for_solved_half_way_down() -> None:
    """As it is with itl1=1000 alone: 40 V, where the diode would carry 1e1700 A."""
    text = "v1 s 0 50\nb1 a 0 i=1e-14*(exp(100*v(a))-1)\nr1 s a 1\n.op"
    (answer,) = answers(aided(deck(text), len(AIDS)).text)
    right = brentq(lambda v: 50 - v - 1e-14 * math.expm1(100 * v), 0, 1)
    assert answer.value["a"] == pytest.approx([right], rel=1e-6, abs=0.0)


def test_a_deck_that_runs_or_that_ngspice_does_not_take_is_not_tried_with_aids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = counts_asked(monkeypatch)
    good, bad = answers("v1 a 0 1\nr1 a 0 1k\n.op", "v1 a 0 1\nx1 a 0 nosuch\n.op")
    assert (good.error, good.aid) == (None, None)
    assert isinstance(bad.error, SimulationError)
    assert not isinstance(bad.error, ConvergenceError)
    assert asked == []


def test_the_aid_is_noted_with_the_values_and_seen_again_when_they_are_found_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v_s, r, g = ROOTS[0]
    engine = Engine(store=tmp_path / "points.sqlite", workers=1, version="ngspice-test")
    units = [
        Unit(deck(ROOT.format(v_s=v_s, r=r, g=g)), voltage, {}),
        Unit(deck("v1 a 0 1\nr1 a 0 1k\n.op"), voltage, {}),
    ]
    first = engine.run(units)
    asked = counts_asked(monkeypatch)
    again = engine.run(units)
    assert asked == []  # so it was not simulated again, which would need aids
    assert [each.aid for each in first] == [each.aid for each in again] == [aid_name(3), None]
    for one, other in zip(first, again, strict=True):
        assert one.values is not None
        assert other.values is not None
        assert other.values["v"].tolist() == one.values["v"].tolist()


def test_each_aid_is_added_to_those_before_it() -> None:
    plain = deck("r1 a 0 1\n.op")
    assert (aided(plain, 0), aid_name(0)) == (plain, None)
    texts = [aided(plain, count).text for count in range(len(AIDS) + 1)]
    assert all(longer.startswith(shorter) for shorter, longer in itertools.pairwise(texts))
    assert [aid_name(count) for count in (1, 2, 3)] == [
        "tighter tolerances",
        "tighter tolerances + trtol=1",
        "tighter tolerances + trtol=1 + more iterations",
    ]


@pytest.mark.parametrize(
    ("own", "kept", "changed"),
    [
        (".options reltol=1e-9 itl1=5k", ("reltol", "itl1"), ("vntol", "abstol", "trtol", "itl2")),
        (".option RELTOL = 1m itl1=10", (), ("reltol", "vntol", "abstol", "trtol", "itl1", "itl2")),
        (".opt abstol={x} trtol=0.5", ("abstol", "trtol"), ("reltol", "vntol", "itl1", "itl2")),
        # ngspice takes a line's first setting, and the last line's.
        (".options vntol=1m vntol=1p", (), ("reltol", "vntol", "abstol", "trtol", "itl1", "itl2")),
        (".options vntol=1m\n.options vntol=1p", ("vntol",), ("reltol", "abstol", "trtol", "itl1", "itl2")),
    ],
)
def test_what_the_deck_sets_more_strongly_itself_stays(
    own: str, kept: tuple[str, ...], changed: tuple[str, ...]
) -> None:
    plain = deck(f".param x=1p\nr1 a 0 1\n{own}\n.op")
    added = aided(plain, len(AIDS)).text.removeprefix(plain.text)
    assert [name for name in (*kept, *changed) if f"{name}=" in added] == list(changed)


@pytest.mark.parametrize(
    ("lines", "same_as"),
    [
        (".options reltol=1e-2\n.options reltol=1e-6", ".options reltol=1e-6"),
        (".options reltol=1e-2 reltol=1e-6", ".options reltol=1e-2"),
    ],
)
def test_ngspice_takes_the_last_line_and_its_first_setting(lines: str, same_as: str) -> None:
    circuit = "v1 a 0 pulse(0 1 0 1n 1n 1)\nr1 a b 1k\nc1 b 0 1p\n.tran 0.1n 5n\n"
    one, other, default = answers(circuit + lines, circuit + same_as, circuit + ".options reltol=1e-4")
    assert one.value["b"].tolist() == other.value["b"].tolist()
    assert one.value["b"].tolist() != default.value["b"].tolist()


def voltage(recorded: Waveforms) -> dict[str, Any]:
    return {"v": recorded["a"]}


def counts_asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of aids with which decks are tried from now on."""
    asked: list[int] = []

    def noted(plain: Deck, count: int) -> Deck:
        asked.append(count)
        return aided(plain, count)

    monkeypatch.setattr(workers, "aided", noted)
    return asked
