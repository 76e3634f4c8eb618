"""Energies that a deck's sources deliver, integrated over the simulator's time points: closed forms."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from characterization.definition import load_definition
from characterization.netlist_sweep import NetlistDefinition
from characterization.run import definition_of, make_table
from characterization.source_power import sources_of
from characterization.values import DefinitionError
from characterization.verify import plan, verify
from spicebridge.bare import BareEngine
from spicebridge.netlist import make_deck
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable

RC = """charging
.param rval=1k
v1 in 0 pwl(0 0 1n 0 1.001n 2)
r1 in out {rval}
c1 out 0 1p
SAVE
.tran 10p 30n 0 10p
.meas tran vend find v(out) at=29n
.end
"""
SWEEP = """deck = "mine.cir"
[axes.rval]
unit = "ohm"
values = [500, 1000]
"""


@pytest.fixture(autouse=True)
def _own_results(results: Path) -> None:
    """No test here writes into the checkout's results."""


def loaded(folder: Path, deck: str, measures: str, sweep: str = SWEEP) -> NetlistDefinition:
    (folder / "mine.cir").write_text(deck)
    (folder / "mine.toml").write_text(sweep + measures)
    made = load_definition(str(folder / "mine.toml"), size="quick", overrides={})
    assert isinstance(made, NetlistDefinition)
    return made


def table_of(folder: Path, deck: str, measures: str, *, workers: int = 1) -> LookupTable:
    engine = Engine(store=folder / "points.sqlite", workers=workers, version="ngspice-test")
    return make_table(loaded(folder, deck, measures), engine)


def integral(name: str = "energy", **keys: object) -> str:
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in keys.items()]
    return "\n".join([f"[measures.{name}]", 'unit = "J"', 'integrate = "power"', *lines, ""])


@pytest.mark.parametrize("save", ["", ".save v(out)", ".save all"])
def test_charging_a_capacitor_takes_c_v_squared_whatever_the_resistance(tmp_path: Path, save: str) -> None:
    """Half of it stays in the capacitor; an edge of 1 ps is short beside RC."""
    table = table_of(tmp_path, RC.replace("SAVE", save), integral() + '[measures.vend]\nunit = "V"\n')
    assert table.data["energy"].values == pytest.approx([4e-12, 4e-12], rel=2e-3)
    assert table.data["vend"].values == pytest.approx([2.0, 2.0], rel=1e-6)
    assert table.data["energy"].attrs["units"] == "J"


def test_a_window_takes_its_share_between_time_points(tmp_path: Path) -> None:
    """From the step to RC after it the source delivers C V^2 (1 - 1/e)."""
    measures = (
        integral(**{"from": 1.0005e-9, "to": 2.0013e-9})
        + integral("whole")
        + integral("late", **{"from": 20e-9})
    )
    table = table_of(tmp_path, RC.replace("SAVE", ""), measures)
    law = [4e-12 * (1 - math.exp(-1.0008e-9 / (r * 1e-12))) for r in (500, 1000)]
    assert table.data["energy"].values == pytest.approx(law, rel=3e-3)
    assert table.data["whole"].values == pytest.approx([4e-12, 4e-12], rel=2e-3)
    assert table.data["late"].values == pytest.approx([0, 0], abs=1e-18)


def test_sources_of_both_kinds_and_in_subcircuits_count_by_name_or_all_together(tmp_path: Path) -> None:
    """Constant powers over 10 ns: a voltage and a current source, and one in a cell within a cell."""
    deck = """powers
.param rval=1k
.subckt inner p scale=1
v9 q 0 {2*scale}
r9 q p 1k
.ends
.subckt outer p
x2 p inner scale=1
.ends
v1 a 0 1
r1 a 0 {rval}
i1 0 b 1m
r2 b 0 {rval}
rs s 0 1u
X1 s outer
.tran 1n 10n
.end
"""
    parts = {"e_v1": ["v1"], "e_i1": ["I1"], "e_inner": ["x1.x2.v9"], "e_two": ["v1", "i1"]}
    measures = "".join(integral(name, sources=names) for name, names in parts.items()) + integral("e_all")
    table = table_of(tmp_path, deck, measures)
    for at, r in enumerate((500, 1000)):
        v1, i1, inner = 1 / r * 10e-9, 1e-6 * r * 10e-9, 4e-3 * 10e-9
        expected = {"e_v1": v1, "e_i1": i1, "e_inner": inner, "e_two": v1 + i1, "e_all": v1 + i1 + inner}
        found = {name: float(table.data[name].values[at]) for name in expected}
        assert found == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}


def test_what_a_circuit_hands_back_counts_against_it(tmp_path: Path) -> None:
    """A capacitor charged and discharged by slow ramps: the source delivers only what the resistor burns."""
    deck = RC.replace("pwl(0 0 1n 0 1.001n 2)", "pwl(0 0 1n 0 6n 2 11n 0)").replace("SAVE", "")
    energy = table_of(tmp_path, deck, integral()).data["energy"].values
    for r, delivered in zip((500, 1000), energy, strict=True):
        t, tau, flat = np.linspace(0, 5e-9, 20_001), r * 1e-12, 1e-12 * 0.4e9
        up = flat * (1 - np.exp(-t / tau))
        down = -flat + (up[-1] + flat) * np.exp(-t / tau)
        after = down[-1] * np.exp(-t / tau)
        burnt = sum(r * np.trapezoid(i**2, t) for i in (up, down, after))
        assert delivered == pytest.approx(burnt, rel=3e-3)


def test_the_bare_program_gives_the_same_energy(tmp_path: Path) -> None:
    table = table_of(tmp_path, RC.replace("SAVE", ""), integral(to=5e-9))
    again = verify(plan(table, entries=2, seed=1), engine=BareEngine(tmp_path / "verify", workers=1))
    assert again.ok
    (measure,) = definition_of(table).measures
    assert measure.integral is not None
    assert measure.integral.stop == 5e-9


def test_a_window_that_the_analysis_does_not_reach_has_no_value(tmp_path: Path) -> None:
    table = table_of(tmp_path, RC.replace("SAVE", ""), integral(to=1.0) + '[measures.vend]\nunit = "V"\n')
    assert len(table.holes) == 2
    assert np.isnan(table.data["energy"].values).all()
    assert np.isfinite(table.data["vend"].values).all()


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        (integral().replace('"power"', '"charge"'), 'should be "power"'),
        (integral().replace('"J"', '"W"'), "power integrated is an energy"),
        (integral(sources=["v7"]), "no independent source v7"),
        (integral(sources=[]), "should be a list of names"),
        (integral(to=-1.0), "a time in s, zero or above"),
        (integral(**{"from": 2e-9, "to": 1e-9}), "should be after"),
        (integral("vend"), "has a .meas of that name"),
        (integral(start=1.0), "unknown key measures.energy.start"),
    ],
)
def test_what_cannot_be_integrated_is_refused(tmp_path: Path, measures: str, words: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(words)):
        loaded(tmp_path, RC.replace("SAVE", ""), measures)


def test_a_batch_and_another_analysis_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="does not suit batch = 2"):
        loaded(tmp_path, RC.replace("SAVE", ""), integral(), sweep=f"batch = 2\n{SWEEP}")
    steady = (
        RC.replace("SAVE", "")
        .replace(".tran 10p 30n 0 10p", ".op")
        .replace(".meas tran vend find v(out) at=29n", "")
    )
    with pytest.raises(DefinitionError, match=r"one analysis, \.tran"):
        loaded(tmp_path, steady, integral())


def test_sources_are_named_as_ngspice_names_them(tmp_path: Path) -> None:
    text = ".subckt c a\nVdd b 0 1\nr1 a b 1\n.ends\nI1 0 a 1\nx1 a c\nxTwo a c m = 2\nr2 a 0 1\n.op"
    assert sources_of(make_deck(text, folder=tmp_path, name="names")) == ("i1", "v.x1.vdd", "v.xtwo.vdd")


@pytest.mark.parametrize(
    ("deck", "joules"),
    [
        ("i1 0 b pulse(0 1m 1n 1f 1f 0.2n 1)", 500 * 1e-6 * 0.2e-9),
        ("i1 0 b dc 1m m=3", 500 * 9e-6 * 2e-9),
        ("i1 0 b pwl(0 0 2n 1m)", 500 * 1e-6 * 2e-9 / 3),
        ("i1 b 0 sin(0 1m 1g)", 500 * 1e-6 * 2e-9 / 2),
        (".subckt cell a\ni1 0 a pwl(0 0 2n 1m)\n.ends\nx1 b cell m=2", 500 * 4e-6 * 2e-9 / 3),
    ],
)
def test_a_current_source_delivers_its_voltage_times_its_whole_current(
    tmp_path: Path, deck: str, joules: float
) -> None:
    """Its own [p] in ngspice is that of the DC value, and of one device."""
    text = (
        f"currents\n.param rval=1k\n{deck}\nr2 b 0 500\nv1 a 0 1\nr1 a 0 {{rval}}\n.tran 1p 2n 0 1p\n.end\n"
    )
    name = "x1.i1" if "subckt" in deck else "i1"
    table = table_of(tmp_path, text, integral(sources=[name]) + integral("all"))
    assert table.data["energy"].values == pytest.approx([joules, joules], rel=2e-3)
    drawn = [joules + 2e-9 / r for r in (500, 1000)]
    assert table.data["all"].values == pytest.approx(drawn, rel=2e-3)


def test_a_window_beyond_the_run_is_named(tmp_path: Path) -> None:
    table = table_of(tmp_path, RC.replace("SAVE", ""), integral() + integral("late", to=1.0))
    assert {hole["why"] for hole in table.holes} == {"the window of late reaches beyond the times of the run"}
