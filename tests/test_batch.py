"""Batches: every kind of line that is accepted gives the single decks' measures; everything else is refused.

Measures are compared in units of the largest of the points. The transients' steps are bounded so that they
hardly adapt; what is left is the difference between step sequences, and rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spicebridge.batch import batched, shared_parameters, unbatched_measures
from spicebridge.batch_lines import BatchError, random_line
from spicebridge.deck import Deck, DeckError
from spicebridge.netlist import make_deck, read_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import whole
from spicebridge.workers import Pool, Task
from tests.mtj_decks import HEAD

Points = Sequence[Mapping[str, float | str]]

RESISTANCES: Points = [{"r": 1e3}, {"r": 2.2e3}, {"r": 1234.5678901234567}]
SOURCE = "v1 in 0 dc 0 ac 1 pulse(0 1 0 10p 10p 2n 100n)\nc1 out 0 1p\n"
STEP = ".tran 5p 4n 0 5p\n.meas tran v_end find v(out) at=1n\n.meas tran q integ i(v1) from=0 to=3n\n"
FINE = STEP.replace("5p", "0.5p")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path_factory.mktemp("results")))
        with Pool(workers=1) as workers:
            yield workers


def deck_of(text: str) -> Deck:
    return make_deck(text, folder=netlists_folder(), name="swept")


def measured(pool: Pool, decks: Sequence[Deck]) -> list[Mapping[str, float]]:
    """The measures of each deck; the first failure is raised."""
    answers = dict(pool.run(Task(deck, whole) for deck in decks))
    for answer in answers.values():
        if answer.error is not None:
            raise answer.error
    return [answers[position].value.measures for position in range(len(decks))]


def names_of(deck: Deck) -> list[str]:
    lines = [line.lower().split() for line in deck.text.splitlines()]
    return [words[2] for words in lines if words[0] == ".meas"]


def run_batched(pool: Pool, deck: Deck, points: Points) -> dict[str, NDArray[np.float64]]:
    [measures] = measured(pool, [batched(deck, points)])
    return unbatched_measures(measures, count=len(points), names=names_of(deck))


def run_singly(pool: Pool, deck: Deck, points: Points) -> dict[str, NDArray[np.float64]]:
    found = measured(pool, [deck.with_parameters(**point) for point in points])
    return {name: np.array([each[name] for each in found]) for name in names_of(deck)}


def assert_same(
    together: Mapping[str, NDArray[np.float64]],
    alone: Mapping[str, NDArray[np.float64]],
    *,
    tolerance: float,
) -> None:
    for name, wanted in alone.items():
        allowed = tolerance * np.max(np.abs(wanted))
        assert together[name] == pytest.approx(wanted, rel=0.0, abs=allowed), name


def check(pool: Pool, text: str, points: Points = RESISTANCES, *, tolerance: float = 3e-6) -> None:
    """The first measure differs between points, and batched all are what they are alone."""
    deck = deck_of(text)
    alone = run_singly(pool, deck, points)
    first = next(iter(alone.values()))
    assert np.ptp(first) > 100 * tolerance * np.max(np.abs(first)), "the points must differ to tell anything"
    assert_same(run_batched(pool, deck, points), alone, tolerance=tolerance)


# Elements

ELEMENTS = {
    "resistor in braces": "r1 in out {r}",
    "resistor in quotes": "r1 in out 'r*1.1'",
    "bare parameter": "r1 in out r",
    "resistor card": "r1 in out sheet l={r*1u} w=1u\n.model sheet r rsh=1",
    "temperature coefficients": "r1 in out {r} tc1=1e-3 temp=50\nr2 out 0 10k m={r/1k}",
    "resistor of a voltage": "r1 in out r={r*(1+v(out))}",
    "capacitor card": "r1 in out 1k\nc2 out 0 plate l=10u w={r*10n}\n.model plate c cj=1m",
    "capacitor of a voltage": "r1 in out {r}\nc2 out 0 c='1p*(1+v(out))'",
    "charge of a voltage": "r1 in out {r}\nc2 out 0 q='1p*v(out)*(1+v(out))'",
    "current source": "i1 0 out {r*1u}\nr1 in out {r}",
    "current pulse": "i1 0 out pulse(0 {r*1n} 0.5n 1p 1p 1n)\nr1 in out 1k",
    "sine": "v2 far 0 sin(0 {r/10k} 1g)\nr1 out far {r}\nr2 in out 1k",
    "piecewise linear": "v2 far 0 pwl(0 0 {r*0.5p} 1 3n 0)\nr1 out far {r}\nr2 in out 1k",
    "exponential": "v2 far 0 exp(0 1 0 {r*0.1p} 2n 1n)\nr1 out far {r}\nr2 in out 1k",
    "frequency modulation": "v2 far 0 sffm(0 1 1g {r/1k} 100meg)\nr1 out far {r}\nr2 in out 1k",
    "diode": "r1 in out {r}\nd1 out 0 dm area={r/1k}\n.model dm d is=1e-14 cjo=0.1p",
    "diode card with an expression": "r1 in out 1k\nd1 out 0 dm\n.model dm d(is={r*1e-17} cjo=0.1p)",
    "bipolar transistor": (
        "vcc vcc 0 2\nr1 vcc out {r}\nrb in b 10k\nq1 out b 0 qm\n.model qm npn is=1e-16 bf={r/20}"
    ),
    "junction transistor": "vcc vcc 0 2\nr1 vcc out {r}\nj1 out in 0 jm\n.model jm njf vto=-1 beta=1m",
    "mos transistor": (
        ".param width={r*1n}\nvcc vcc 0 2\nr1 vcc out {r}\nm1 out in 0 0 mm w=width l=0.1u\n"
        ".model mm nmos level=1 vto=0.3 kp=200u"
    ),
    "bsim4": "vcc vcc 0 1\nr1 vcc out {r}\nm1 out in 0 0 nmos w=1u l=45n\n.include transistors/ptm45hp.lib",
    "behavioural voltage": "b1 m 0 v=v(in)*r/5k+i(v1)\nr1 m out 1k",
    "behavioural current": "b1 0 out i=v(in)/r\nr1 out 0 1k",
    "behavioural difference": "b1 m 0 v='v(in,out)*{r}/5k'\nr1 m out 1k",
    "behavioural time": "b1 m 0 v=sin(6.28e9*time)*{r/1k}+temper/1000\nr1 m out 1k",
    "behavioural branches": "b1 m 0 v=v(in)>0.5 ? {r/1k} : 0\nr1 m out 1k",
    "behavioural table": "b1 m 0 v=pwl(v(in),0,0,1,{r/1k})\nr1 m out 1k",
    "voltage-controlled voltage": "e1 m 0 in 0 {r/1k}\nr1 m out 1k",
    "polynomial of voltages": "e1 m 0 poly(2) in 0 out 0 0 {r/1k} 0.1\nr1 m out 1k",
    "voltage by value": "e1 m 0 value={v(in)*r/1k}\nr1 m out 1k",
    "voltage by vol": "e1 m 0 vol='v(in)*r/1k'\nr1 m out 1k",
    "voltage by table": "e1 m 0 table {v(in)*r/1k} = (0,0) (1,1) (5,2)\nr1 m out 1k",
    "voltage-controlled current": "g1 0 out in 0 {1/r}\nr1 out 0 1k",
    "current by polynomial": "g1 0 out poly(1) in 0 0 {1/r} 1e-5\nr1 out 0 1k",
    "current by value": "g1 0 out value={v(in)/r}\nr1 out 0 1k",
    "current by cur": "g1 0 out cur='v(in)/r'\nr1 out 0 1k",
    "current by table": "g1 0 out table {v(in)} = (0,0) (1,1m)\nr1 out 0 {r}",
    "current-controlled current": "r0 in k 1k\nv0 k 0 0\nf1 0 out v0 {r/1k}\nr1 out 0 1k",
    "polynomial of currents": "r0 in k 1k\nv0 k 0 0\nf1 0 out poly(1) v0 0 {r/1k}\nr1 out 0 1k",
    "current-controlled voltage": "r0 in k 1k\nv0 k 0 0\nh1 m 0 v0 {r}\nr1 m out 1k",
    "voltage by polynomial of a current": "r0 in k 1k\nv0 k 0 0\nh1 m 0 poly(1) v0 0 {r}\nr1 m out 1k",
    "switch": "s1 in out in 0 sm\n.model sm sw vt=0.5 vh=0.1 ron={r} roff=1g",
    "current switch": "r0 in k 1k\nv0 k 0 0\nw1 in out v0 wm\n.model wm csw it=0.5m ron={r} roff=1g",
    "function": ".func half(x,y) {x/2+y}\nr1 in out {half(r,1)}",
    "numbered node and ground": "r1 in 5 {r}\nr2 5 out 1\nr3 out gnd 10k",
    "upper case": "R1 IN OUT {R}\nR2 OUT GND 10K",
    "options": "r1 in out {r} tc1=1e-3\n.options method=gear reltol=1e-5 abstol = 1e-14\n.temp 40",
    "operating point as well": "r1 in out {r}\n.op",
    "unused outputs": "r1 in out {r}\n.print tran v(out)\n.save all\n.plot tran v(in)",
}  # fmt: skip
COARSE = {"behavioural branches": 1e-3, "voltage by table": 1e-4}  # corners, stepped over differently


@pytest.mark.parametrize("lines", ELEMENTS.values(), ids=ELEMENTS)
def test_a_copy_behaves_as_the_circuit_alone(pool: Pool, lines: str, request: pytest.FixtureRequest) -> None:
    tolerance = COARSE.get(request.node.callspec.id, 3e-6)
    check(pool, f".param r=1k\n{SOURCE}{lines}\n{STEP}", tolerance=tolerance)


@pytest.mark.parametrize(
    "lines",
    [
        "l1 in m 1n\nr1 m out {r}",
        "l1 in 0 1n\nl2 out 0 {r*1p}\nk1 l1 l2 0.5\nr1 out 0 {r}",
        "l1 in 0 1n\nl2 out 0 {r*1p}\nl3 far 0 {r*1p}\nr2 far 0 1k\nk1 l1 l2 l3 0.5\nr1 out 0 {r}",
        "t1 in 0 m 0 z0=50 td=0.2n\nr1 m out {r}",
    ],
    ids=["coil", "two coupled coils", "three coupled coils", "line"],
)
def test_coils_and_lines_agree_where_the_step_resolves_them(pool: Pool, lines: str) -> None:
    check(pool, f".param r=1k\n{SOURCE}{lines}\n{FINE}")


# Subcircuits

SUBCIRCUITS = {
    "parameters": (
        ".subckt cell a b params: q=1k w=2\nr1 a m {q/w}\nr2 m b {q}\nc1 m 0 1f\n.ends\nx1 in out cell q={r}"
    ),
    "parameters without the word": (
        ".subckt cell a b q=1k w=2\nr1 a b {q*w}\n.ends\nx1 in out cell q=r w = 'r/500'"
    ),
    "a swept name in the body": (
        ".subckt cell a b\n.param half={r/2}\nr1 a m {half}\nr2 m b card\n.model card r r={r}\n.ends\n"
        "x1 in out cell"
    ),
    "a swept name as a default": ".subckt cell a b params: q={r}\nr1 a b {q}\n.ends\nx1 in out cell",
    "a swept name of its own": (
        ".subckt cell a b\n.param r=700\nr1 a b {r}\n.ends\nx1 in k cell\nr2 k out {r}"
    ),
    "a parameter of the same name": (
        ".subckt inner a b params: r=3\nr1 a b {r*100}\n.ends\n"
        ".subckt cell a b\nx1 a m inner r={r/100}\nx2 m b inner\n.ends\nx1 in out cell"
    ),
    "a card that differs between copies": (
        ".subckt cell a b\nr1 a m card\nr2 m b {r}\n.ends\n.subckt outer a b\nx1 a b cell\n.ends\n"
        "x1 in out outer\n.model card r r={r}"
    ),
    "a card of the same name": (
        ".subckt cell a b\nr1 a b card\n.model card r r=700\n.ends\nx1 in k cell\n"
        "r2 k out card\n.model card r r={r}"
    ),
    "a definition in a definition": (
        ".subckt cell a b params: q=1\n.subckt inner a b\nr1 a b {r*q}\n.ends\nx1 a m inner\n"
        "r2 m b {r}\n.ends\nx1 in out cell q=2"
    ),
    "a node of an instance": (
        ".subckt cell a b params: q=1\nr1 a m {q}\nr2 m b {q}\n.ends\nx1 in far cell q=r\nr2 far 0 1k\n"
        "b1 k 0 v=v(x1.m)*2\nr1 k out 1k\n.meas tran v_m find v(x1.m) at=0.5n"
    ),
    "a current of an instance": (
        ".subckt cell a b params: q=1\nv1 a m 0\nr1 m b {q}\n.ends\nx1 in out cell q=r\n"
        ".meas tran i_m find i(v.x1.v1) at=0.5n\n.meas tran q_m integ i(v.x1.v1)"
    ),
    "a device of an instance": (
        ".subckt cell a b params: q=1\nr1 a b {q}\n.ends\nx1 in out cell q=r\n.save all @r.x1.r1[i]\n"
        ".meas tran i_m find @r.x1.r1[i] at=0.5n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("lines", SUBCIRCUITS.values(), ids=SUBCIRCUITS)
def test_subcircuits_see_their_own_copy(pool: Pool, lines: str) -> None:
    check(pool, f".param r=1k\n{SOURCE}{lines}\n{STEP}")


# Parameters and measures


def test_parameters_follow_the_swept_ones_into_measures_and_initial_values(pool: Pool) -> None:
    check(
        pool,
        ".param r=1k c=1p\n.param tau={r*c} v0='r/10k'\n.param half='tau/2'\n"
        "v1 in 0 pulse(0 1 0 1f 1f 1)\nr1 in out {r}\nc1 out 0 {c}\n.ic v(out)={v0}\n.tran 2p 3n 0 2p uic\n"
        ".meas tran at_tau find v(out) at={tau}\n.meas tran at_half find v(out) at=half\n"
        ".meas tran product param='at_tau*r+at_half'\n.meas tran more param='product*half+max(at_tau,2)+c'\n"
        ".meas tran bare param=at_tau\n.meas tran crossing when v(out)=v0\n"
        ".meas tran later when v(out)='v0*2'\n.meas tran mean avg v(out) from=half to='half*2'\n"
        ".meas tran delay trig v(in) val=v0 rise=1 targ v(out) val='v0*2' rise=1\n",
        [{"r": 1e3}, {"r": 2e3}, {"r": 1500.123456789}],
        tolerance=1e-5,
    )


def test_every_kind_of_transient_measure_follows_its_copy(pool: Pool) -> None:
    check(
        pool,
        f".param r=1k\n{SOURCE}r1 in out {{r}}\nm1 far out 0 0 mm w=1u l=0.1u\nr2 in far 5k\n"
        ".model mm nmos level=1 vto=0.3 kp=200u\ne1 k 0 out 0 2\nl1 k k2 1n\nr3 k2 0 {r}\nb1 y 0 v=v(in)*r\n"
        "r4 y 0 1k\n.save all @m1[id] @m1[gm]\n.tran 2p 8n 0 2p\n"
        ".meas tran highest max v(out) from=0 to=1n\n.meas tran lowest min v(far) from=0.1n to=1.9n\n"
        ".meas tran where max_at v(out)\n.meas tran where_not min_at v(far) from=0.1n to=1.9n\n"
        ".meas tran swing pp v(out)\n.meas tran power rms v(out)\n"
        ".meas tran crossed find v(far) when v(out)=0.3 rise=1\n"
        ".meas tran equal when v(out)=v(in) cross=last\n.meas tran falls when v(out)=0.2 fall=1\n"
        ".meas tran delay trig at=10p targ v(out) val=0.3 td=1p rise=1\n"
        ".meas tran drain find @m1[id] at=1n\n.meas tran slope max @m1[gm]\n"
        ".meas tran i_e find i(e1) at=1n\n.meas tran i_l find i(l1) at=1n\n.meas tran i_b find i(b1) at=1n\n",
        tolerance=2e-5,
    )


HYPERBOLIC = {
    "sinh(x)": np.sinh, "cosh(x)": np.cosh, "tanh(x)": np.tanh, "asinh(x)": np.arcsinh,
    "acosh(1+x)": lambda x: np.arccosh(1 + x), "atanh(x)": np.arctanh,
}  # fmt: skip


@pytest.mark.parametrize("text", HYPERBOLIC)
def test_hyperbolic_functions_have_their_values_wherever_an_expression_stands(pool: Pool, text: str) -> None:
    points: Points = [{"x": 0.25}, {"x": 0.5}, {"x": 0.8}]

    def of(argument: str) -> str:
        return text.replace("x)", f"{argument})")

    deck = deck_of(
        f".param x=1 f={{{text}}}\n.func g(y) {{{of('y')}}}\nvx v 0 {{x}}\nv1 a 0 {{f}}\nv2 b 0 {{g(x)}}\n"
        f"b1 c 0 v={of('v(v)')}\nr1 v a 1k\nr2 b c 1k\n.tran 1n 2n\n"
        + "".join(f".meas tran m_{node} find v({node}) at=1n\n" for node in "abcv")
        + f".meas tran m_e param='{of('m_v')}'\n"
    )
    wanted = HYPERBOLIC[text](np.array([0.25, 0.5, 0.8]))
    for found in (run_singly(pool, deck, points), run_batched(pool, deck, points)):
        for name in ("m_a", "m_b", "m_c", "m_e"):
            assert found[name] == pytest.approx(wanted, rel=1e-9), name


def test_ac_measures_follow_their_copy(pool: Pool) -> None:
    check(
        pool,
        f".param r=1k\n{SOURCE}r1 in out {{r}}\nl1 out far 1n\nr2 far 0 10k\n.ac dec 20 1meg 10g\n"
        ".meas ac db find vdb(out) at=100meg\n.meas ac size find vm(out) at=100meg\n"
        ".meas ac re find vr(out) at=50meg\n.meas ac im find vi(out) at=50meg\n"
        ".meas ac ph find vp(out) at=50meg\n.meas ac edge when vdb(out)=-4\n.meas ac i find i(l1) at=1g\n"
        ".meas ac product param='edge/r*2'\n.meas ac most max vdb(far) from=2meg to=10meg\n",
        tolerance=1e-12,
    )


def test_initial_values_and_nodesets_hold_for_each_copy(pool: Pool) -> None:
    check(
        pool,
        ".param bit=1\nvdd vdd 0 1\nr1 vdd a 10k\nr2 vdd b 10k\nm1 a b 0 0 n w=1u l=0.1u\n"
        "m2 b a 0 0 n w=1u l=0.1u\n.model n nmos level=1 vto=0.3 kp=200u\n.nodeset v(a)={bit} v(b)={1-bit}\n"
        ".tran 1p 1n\n.meas tran v_a find v(a) at=0.5n\n",
        [{"bit": 1}, {"bit": 0}, {"bit": 1}],
    )
    check(
        pool,
        ".param v0=0.1\n.subckt cell a b\nr1 a m 1k\nr2 m b 1k\nc2 m 0 1p\n.ends\nx1 in out cell\n"
        f"{SOURCE}c2 out 0 1p ic={{v0}}\n.ic v(x1.m)={{v0*2}} v(out)='v0'\n.tran 5p 1n 0 5p uic\n"
        ".meas tran v_m find v(x1.m) at=10p\n.meas tran v_out find v(out) at=10p\n",
        [{"v0": 0.1}, {"v0": 0.9}, {"v0": -0.3}],
    )


def test_a_node_a_parameter_and_a_model_may_share_a_name(pool: Pool) -> None:
    check(
        pool,
        f".param out=1k in=3\n{SOURCE}r1 in out {{out}}\n{STEP}"
        ".meas tran product param='out*v_end'\n.meas tran early find v(out) at='out*1p/10'\n",
        [{"out": 1e3}, {"OUT": 3e3}],
    )


def test_values_reach_the_copies_exactly(pool: Pool) -> None:
    deck = deck_of(
        ".param x=1\nv1 a 0 1\nr1 a 0 1\n.tran 1n 2n\n.meas tran one find v(a) at=1n\n"
        ".meas tran got param='x*one'"
    )
    values = [0.1 + 0.2, 1 / 3 * 1e-12, -(2.0**29) + 1, 536870911.0]
    got = run_batched(pool, deck, [{"x": value} for value in values])["got"]
    assert got == pytest.approx(values, rel=1e-11, abs=0.0)  # what .meas prints
    text = batched(deck, [{"x": value} for value in values]).text
    assert all(f"x{copy} batch_copy x={value!r}\n" in text for copy, value in enumerate(values, start=1))


def test_parameters_in_which_all_points_agree_may_stand_in_shared_lines(pool: Pool) -> None:
    text = (
        f".param r=1k t=27 stop=1n\n{SOURCE}r1 in out {{r}} tc1=1e-2\n.options temp={{t}}\n"
        ".tran 5p {stop} 0 5p\n.meas tran v_end find v(out) at='stop*0.9'"
    )
    points = [{"r": r, "t": 80.0, "stop": 2e-9} for r in (1e3, 2e3)]
    check(pool, text, points)
    assert shared_parameters(deck_of(text)) == {"t", "stop"}


def test_shared_parameters_include_what_they_are_computed_from() -> None:
    deck = deck_of(
        f".param r=1k a=1 b={{a*2}} free=3\n{SOURCE}r1 in out {{r}}\n.tran 5p {{b*1n}}\n"
        ".meas tran v_end find v(out) at=1n"
    )
    assert shared_parameters(deck) == {"a", "b"}


# Copies


def test_copies_do_not_influence_each_other(pool: Pool) -> None:
    deck = deck_of(f".param r=1k\n{SOURCE}r1 in out {{r}}\nd1 out 0 dm\n.model dm d is=1e-14\n{STEP}")
    points: list[Mapping[str, float]] = [{"r": r} for r in (1e3, 2e3, 5e3, 1e4)]
    forward = run_batched(pool, deck, points)
    backward = run_batched(pool, deck, points[::-1])
    other = run_batched(pool, deck, [points[0], {"r": 10.0}, {"r": 1e7}])
    for name, values in forward.items():
        assert backward[name][::-1] == pytest.approx(values, rel=1e-6, abs=0.0)
        assert other[name][0] == pytest.approx(values[0], rel=1e-5, abs=0.0)


def test_the_same_point_twice_gives_the_same_value_twice(pool: Pool) -> None:
    deck = deck_of(f".param r=1k\n{SOURCE}r1 in out {{r}}\n{STEP}")
    got = run_batched(pool, deck, [{"r": 2e3}] * 3)
    assert_same(got, run_singly(pool, deck, [{"r": 2e3}] * 3), tolerance=1e-9)


def test_adaptive_steps_agree_within_the_integration_tolerance(pool: Pool) -> None:
    deck = deck_of(
        ".param r=1k\nv1 in 0 pulse(0 1 0 10p 10p 2n)\nr1 in out {r}\nc1 out 0 0.1p\n"
        ".options reltol=1e-6 trtol=1\n.tran 1n 20n\n.meas tran early find v(out) at=30p\n"
        ".meas tran crossing when v(out)=0.4 rise=1\n"
    )
    points = [{"r": r} for r in (50.0, 100.0, 400.0, 1e3)]
    assert_same(run_batched(pool, deck, points), run_singly(pool, deck, points), tolerance=1e-3)


def test_a_measure_that_fails_in_one_copy_is_nan_there_alone(pool: Pool) -> None:
    deck = deck_of(
        f".param r=1k\n{SOURCE}r1 in out {{r}}\n{STEP}.meas tran crossing when v(out)=0.6 rise=1\n"
    )
    got = run_batched(pool, deck, [{"r": 1e3}, {"r": 1e4}, {"r": 500.0}])["crossing"]
    assert np.isnan(got).tolist() == [False, True, False]


def test_measures_are_sorted_by_copy() -> None:
    printed = {"a__1": 1.0, "a__2": 2.0, "a__10": 10.0, "b__1": -1.0}
    got = unbatched_measures(printed, count=2, names=["A", "b"])
    assert got["A"].tolist() == [1.0, 2.0]
    assert got["b"][0] == -1.0
    assert np.isnan(got["b"][1])


def test_only_what_the_measures_read_is_kept(pool: Pool) -> None:
    deck = deck_of(f".param r=1k\n{SOURCE}r1 in m {{r}}\nr2 m out 1\n.save v(m)\n{STEP}")
    [(_, answer)] = pool.run([Task(batched(deck, [{"r": 1e3}, {"r": 2e3}]), whole)])
    assert set(answer.value.vectors) == {
        "time", "x1.out", "x2.out", "v.x1.v1#branch", "v.x2.v1#branch",
    }  # fmt: skip


# Ladders


@st.composite
def ladders(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Resistances (ohm) and capacitances (F) of RC ladders, each of shape (copies, sections)."""
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 4)))
    exponents = st.lists(st.floats(0.0, 1.0), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    resistance = 1e2 * 10 ** np.reshape(draw(exponents), shape)
    capacitance = 1e-13 * 10 ** np.reshape(draw(exponents), shape)
    return resistance, capacitance


def conductances(resistance: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ladder's nodal matrix (S), shape (sections, sections), driven at its first resistor's other end."""
    g = np.append(1 / resistance, 0.0)
    return np.diag(g[:-1] + g[1:]) - np.diag(g[1:-1], 1) - np.diag(g[1:-1], -1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ladders())
def test_ladders_match_their_closed_form(
    pool: Pool, values: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    resistance, capacitance = values
    copies, sections = resistance.shape
    nodes = ["in", *(f"n{each}" for each in range(sections))]
    lines = [f".param r{each}=1k c{each}=1p" for each in range(sections)]
    for each in range(sections):
        lines += [
            f"r{each} {nodes[each]} {nodes[each + 1]} {{r{each}}}",
            f"c{each} {nodes[each + 1]} 0 {{c{each}}}",
        ]
    circuit = "\n".join(lines) + "\nv1 in 0 dc 1 ac 1\n"
    tables = {"r": resistance, "c": capacitance}
    points = [
        {f"{letter}{each}": table[copy, each] for letter, table in tables.items() for each in range(sections)}
        for copy in range(copies)
    ]
    frequency, time = 3e8, 0.5e-9
    ac = deck_of(
        f"{circuit}.ac lin 3 {frequency / 2:g} {frequency * 1.5:g}\n"
        f".meas ac re find vr({nodes[-1]}) at={frequency:g}\n"
        f".meas ac im find vi({nodes[-1]}) at={frequency:g}"
    )
    step = deck_of(f"{circuit}.tran 1p 1n 0 1p uic\n.meas tran v find v({nodes[-1]}) at={time:g}")
    smooth, stepped = run_batched(pool, ac, points), run_batched(pool, step, points)
    for copy in range(copies):
        g, c = conductances(resistance[copy]), np.diag(capacitance[copy])
        drive = np.zeros(sections)
        drive[0] = 1 / resistance[copy, 0]
        phasor = np.linalg.solve(g + 2j * np.pi * frequency * c, drive)[-1]
        assert smooth["re"][copy] == pytest.approx(phasor.real, rel=0.0, abs=1e-9)
        assert smooth["im"][copy] == pytest.approx(phasor.imag, rel=0.0, abs=1e-9)
        settled = np.linalg.solve(g, drive)
        remaining = scipy.linalg.expm(-np.linalg.solve(c, g) * time) @ settled
        assert stepped["v"][copy] == pytest.approx((settled - remaining)[-1], rel=0.0, abs=2e-3)


# Verilog-A


def test_stochastic_devices_in_a_batch_follow_their_own_seeds(results: Path) -> None:  # noqa: ARG001
    deck = deck_of(
        f"{HEAD}.param seed=1 drive=20u damping=0.01\n.model driven stt_mtj alpha={{damping}}\n"
        "i0 0 f {drive}\nn0 f 0 mtj seed={seed} mz0=-1\ni1 0 g {drive}\nn1 g 0 driven seed={seed} mz0=-1\n"
        ".options trtol=1000\n.tran 1.25p 0.5n 0 1.25p\n.meas tran mz find v(n0#mz) at=0.45n\n"
        ".meas tran mx find v(n0#mx) at=0.2n\n.meas tran v_f find v(f) at=0.4n\n"
        ".meas tran mx_g find v(n1#mx) at=0.2n\n"
    )
    points = [
        {"seed": seed, "drive": drive, "damping": damping}
        for seed in (1, 2, 536870911)
        for drive, damping in ((20e-6, 0.01), (60e-6, 0.02))
    ]
    with Pool(workers=1) as workers:
        alone = run_singly(workers, deck, points)
        assert len(set(alone["mx"])) == len(points)
        assert_same(run_batched(workers, deck, points), alone, tolerance=1e-9)


def test_the_write_deck_is_batched_over_seed_and_voltage(results: Path) -> None:  # noqa: ARG001
    deck = read_deck(netlists_folder() / "mtj_write.cir").with_parameters(t_pulse=0.2e-9)
    points = [{"seed": seed, "v_write": v_write} for seed in (1, 2) for v_write in (0.4, 0.6)]
    with Pool(workers=1) as workers:
        alone = run_singly(workers, deck, points)
        assert np.ptp(alone["energy"]) > 0.1 * np.max(alone["energy"])
        assert_same(run_batched(workers, deck, points), alone, tolerance=1e-3)


# Refusals

REFUSED = {
    ".dc v1 0 1 0.1": "'.dc v1 0 1 0.1' is of a kind that was never tried",
    ".control": "is of a kind that was never tried",
    ".global vdd": "is of a kind that was never tried",
    "\u00a0": "is of a kind that was never tried",
    ".noise v(out) v1 dec 1 1 10": "is of a kind that was never tried",
    ".if (r > 1)": "is of a kind that was never tried",
    ".csparam q={r}": "is of a kind that was never tried",
    "a1 [in] [out] gate": "is of a kind that was never tried",
    "z1 out in 0 mz": "is of a kind that was never tried",
    ".ac dec 1 1 10": "it needs one analysis, .tran or .ac, and has .tran 5p 4n 0 5p and .ac dec 1 1 10",
    ".options temp={r}": "depends on r, and all copies share it; batch points that agree there",
    ".temp {double}": "depends on double, and all copies share it",
    ".func scaled(x) {x*r}": "depends on r, and all copies share it",
    ".options seed=3": "sets seed, which was never tried",
    ".options savecurrents reltol = 1e-4": "sets savecurrents, which was never tried",
    "r9 out 0 {gauss(1k,0.1,3)}": "draws random numbers",
    "v9 far 0 trnoise(1 1n 0 0)": "draws random numbers",
    ".param noisy={agauss(1,2,3)}": "draws random numbers",
    "v9 far 0 dc 0 external": "has 'external', which was never tried",
    "v9 far 0 dc 0 portnum 1 z0=50": "has 'portnum', which was never tried",
    "b9 far 0 v=@r1[i]": "has '@', which was never tried",
    ".ic v(nowhere)=1": "names 'nowhere', which is no node of the circuit",
    ".ic i(l1)=1": "is not of the form v(NODE)=VALUE",
    ".nodeset all=1": "is not of the form v(NODE)=VALUE",
    ".param odd=1 + 2": "is not of the form NAME=VALUE, with an expression in quotes or braces",
    ".param r=3": "sets r a second time",
    ".param at=3": "names a parameter at, which is a word of .meas lines",
    ".param r__2=3": "uses the name r__2, which the copies of a batch take",
    "r9 batch_copy 0 1": "uses the name batch_copy, which the copies of a batch take",
    ".ends": "ends no .subckt",
    ".subckt cell a\n.ic v(a)=1\n.ends": "stands in a subcircuit, which was never tried",
    ".meas ac late find vm(out) at=1": "is not of the form .meas tran NAME ...",
    ".meas tran v_end max v(in)": "gives the name v_end a second time",
    ".meas tran r max v(in)": "gives the name r a second time",
    ".meas tran late find v(nowhere) at=1n": "names 'nowhere', which is no node of the circuit",
    ".meas tran late find v(0) at=1n": "names '0', which is no node of the circuit",
    ".meas tran late find v(in,out) at=1n": "which was never tried",
    ".meas tran late find i(r1) at=1n": "knows the current of a voltage source, B, E, H or L only",
    ".meas tran late find i(v7) at=1n": "names 'v7', which is no device of the circuit",
    ".meas tran late find v(x7.m) at=1n": "names 'x7.m', which is no node of the circuit",
    ".meas tran late find @r1[i] at=1n": "reads @r1[i], which no .save line keeps",
    ".meas tran late find vdb(out) at=1n": "reads vdb(out), which was never tried",
    ".meas tran late find par('v(out)*2') at=1n": "which was never tried",
    ".meas tran late deriv v(out) at=1n": "has the word deriv, which was never tried",
    ".meas tran late find v(out) at=v_end": "names another measure's result",
    ".meas tran late find v(out) at=1n+2n": "which was never tried",
    ".meas tran late param='v(out)*2'": "of which v was never tried",
    ".meas tran late param='@r1[i]*2'": "of which @ was never tried",
    ".meas tran late param='mine(v_end)'": "of which mine was never tried",
    ".meas tran late param=sinh(v_end)": "has the expression sinh(v_end) without quotes or braces around it",
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        ".func limit(x,lo,hi) {min(max(x,lo),hi)}\n.param most={limit(5,1,2)}",
        ".subckt limit (a)\nr1 a 0 1\n.ends",
    ],
)
def test_a_name_of_the_decks_own_draws_no_random_numbers(line: str) -> None:
    deck = deck_of(f".param r=1k\n{line}\n{SOURCE}r1 in out {{r}}\n{STEP}")
    assert random_line(deck) is None
    batched(deck, RESISTANCES)


def test_a_function_of_a_subcircuits_own_leaves_ngspices_outside() -> None:
    inner = ".subckt s a\n.func limit(x,y) {x+y}\n.ends\n"
    assert random_line(Deck(f"{inner}.param q={{limit(1,2)}}")) is not None
    assert random_line(Deck(".func unif(x) {x}\n.param q={agauss(1,2,3)}")) == ".param q={agauss(1,2,3)}"


@pytest.mark.parametrize("line", REFUSED)
def test_what_was_never_tried_is_refused(line: str) -> None:
    text = f".param r=1k double={{2*r}}\n{SOURCE}r1 in out {{r}}\n{STEP}"
    deck = deck_of(text)
    batched(deck, RESISTANCES)
    with pytest.raises(BatchError, match="swept cannot be batched") as caught:
        batched(Deck(text=f"{deck.text}\n{line}", name="swept"), RESISTANCES)
    assert REFUSED[line] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "points", "reason"),
    [
        ("r1 a 0 1\n.tran 1n 2n\n", [{}], "it has no .meas line"),
        ("r1 a 0 1\n", [{}], "it needs one analysis, .tran or .ac, and has none"),
        (f".param r=1k\n{SOURCE}r1 in out {{r}}\n{STEP}", [], "there is no point"),
        (f".param r=1k q=1\n{SOURCE}r1 in out 1\n{STEP}", [{"r": 1}, {"q": 1}], "set the same parameters"),
        (f".param r=1k\n{SOURCE}r1 in out {{r}}\n{STEP}", [{"r": 1}, {"r": "{2}"}], "'{2}' is not a SPICE"),
        (f".param m=1\n{SOURCE}r1 in out {{m}}\n{STEP}", [{"m": 1}, {"m": 2}], "m, given to an instance"),
        (
            f".param t=1n r=1\n{SOURCE}r1 in out 1\n.tran 1p {{t}}\n.meas tran a max v(in)",
            [{"t": 1e-9}, {"t": 2e-9}],
            "'.tran 1p {t}' depends on t",
        ),
    ],
)  # fmt: skip
def test_points_that_cannot_share_a_deck_are_refused(text: str, points: Points, reason: str) -> None:
    with pytest.raises(BatchError, match="swept cannot be batched") as caught:
        batched(deck_of(text), points)
    assert reason in str(caught.value)


def test_a_name_the_deck_lacks_is_told_with_those_it_has() -> None:
    deck = deck_of(f".param r=1k\n{SOURCE}r1 in out {{r}}\n{STEP}")
    with pytest.raises(DeckError, match=r"swept has no \.param q.*It has: r"):
        batched(deck, [{"r": 1, "q": 1}, {"r": 2, "q": 1}])
