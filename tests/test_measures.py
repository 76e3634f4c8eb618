"""Measures of a user's own netlist: each has its value or none, as the bare ngspice program gives it."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from characterization.definition import load_definition
from characterization.netlist_sweep import NetlistDefinition
from characterization.run import make_table
from characterization.values import DefinitionError
from characterization.verify import plan, verify
from nn.tables import refuse_holes
from spicebridge.bare import BareEngine
from spicebridge.errors import SpicebridgeError
from spicebridge.lineage import chain_text, table_chain
from spicebridge.project import netlists_folder
from spicebridge.show import table_text
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable


@pytest.fixture(autouse=True)
def _own_results(results: Path) -> None:
    """No test here writes into the checkout's results."""


RC = """RC with measures
.param a=1
v1 in 0 pulse(0 {{a}} 0 1n 1n 10u 20u)
r1 in out 1k
c1 out 0 1n
{save}
.tran 10n 5u
{measures}
.end
"""


def table_of(
    folder: Path,
    measures: str,
    *,
    save: str = "",
    batch: int = 1,
    names: list[str] | None = None,
    expected: Sequence[str] = (),
) -> LookupTable:
    """The table of these ``.meas`` lines over a = 0.5 V and 1 V."""
    (folder / "mine.cir").write_text(RC.format(save=save, measures=measures))
    found = names or re.findall(r"(?m)^\.meas \w+ (\w+)", measures)
    holes = dict.fromkeys(expected, 'holes = "expected"\n')
    wanted = "".join(f'[measures.{name}]\nunit = "1"\n{holes.get(name, "")}' for name in found)
    (folder / "mine.toml").write_text(
        f'deck = "mine.cir"\nbatch = {batch}\n[axes.a]\nunit = "V"\nvalues = [0.5, 1.0]\n{wanted}'
    )
    definition = load_definition(str(folder / "mine.toml"), size="quick", overrides={})
    assert isinstance(definition, NetlistDefinition)
    return make_table(definition, Engine(store=folder / "points.sqlite", workers=1, version="ngspice-test"))


def bare(folder: Path, measures: str, *, save: str, a: float) -> dict[str, float]:
    """What ``ngspice -b`` prints of the same deck; no entry where it prints no number."""
    text = RC.format(save=save, measures=measures).replace(".param a=1", f".param a={a}")
    (folder / "bare.cir").write_text(text)
    said = subprocess.run(
        ["ngspice", "-n", "-b", "bare.cir"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    heading = said.index("Measurements for")
    return {
        name: float(value)
        for name, value in re.findall(r"(?m)^(\w+) *= +([-+\d.e]+)", said[heading:].partition("\n\n\n")[0])
    }


MEASURES = {
    "a crossing that is not there costs itself and what is derived from it": (
        ".meas tran t when v(out)=0.7 rise=1\n.meas tran f param='1/t'\n.meas tran vm max v(out)"
    ),
    "a quotient of zero, a logarithm of a negative": (
        ".meas tran x param='1/0'\n.meas tran y param='log(-1)'\n.meas tran vm max v(out)"
    ),
    "a vector that is not there": ".meas tran x find v(nothere) at=1u\n.meas tran vm max v(out)",
    "a delay of a vector that is not there": (
        ".meas tran d trig v(in) val=0.1 rise=1 targ v(no) val=0.2 rise=1\n.meas tran vm max v(out)"
    ),
    "a delay whose end never comes": (
        ".meas tran d trig v(in) val=0.1 rise=1 targ v(out) val=0.7 rise=1\n.meas tran vm max v(out)"
    ),
    "derived of derived": (
        ".meas tran t when v(out)=0.7\n.meas tran u param='2*t'\n.meas tran w param='u+1'\n"
        ".meas tran vm max v(out)"
    ),
    "names that ngspice uses itself": (
        ".meas tran error max v(out)\n.meas tran fatal find v(out) at=1u\n.meas tran temp find v(in) at=1u\n"
        ".meas tran warning min v(out)\n.meas tran failed avg v(out)"
    ),
    "a name of measures that is an error of another's": (
        ".meas tran error when v(out)=0.7\n.meas tran aborted param='1/error'\n.meas tran vm max v(out)"
    ),
}
SAVES = {
    "another node": ".save v(out)",
    "two lines": ".save v(out)\n.save i(v1)",
    "all": ".save all",
}


ABSENT = ("a vector that is not there", "a delay of a vector that is not there")


@pytest.mark.parametrize(
    ("batch", "measures"),
    [
        pytest.param(batch, measures, id=f"{name}, batch {batch}")
        for name, measures in MEASURES.items()
        for batch in (1, 2)
        if name not in ABSENT or batch == 1
    ],
)
def test_one_measure_without_a_value_costs_that_measure_only(
    tmp_path: Path, batch: int, measures: str
) -> None:
    table = table_of(tmp_path, measures, batch=batch)
    for at, a in enumerate((0.5, 1.0)):
        wanted = bare(tmp_path, measures, save="", a=a)
        for name in table.quantities:
            value = float(table.data[name].values[at])
            if name in wanted and math.isfinite(wanted[name]):
                assert value == pytest.approx(wanted[name], rel=1e-5), (name, a)
            else:
                assert math.isnan(value), (name, a)
    assert any(np.isfinite(table.data[name].values).any() for name in table.quantities)


def test_a_batch_names_the_vector_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="'nothere', which is no node"):
        table_of(tmp_path, MEASURES[ABSENT[0]], batch=2)


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
@pytest.mark.parametrize(
    "measures",
    [
        ".meas tran vx find v(out) at=1u\n.meas tran ia find i(v1) at=1u",
        ".meas tran p avg par('v(in)*i(v1)')",
        ".meas tran p avg par('v(in)*i(v1)')\n.meas tran q max par('v(in)-v(out)')\n.meas tran vi max v(in)",
        ".meas tran d trig v(in) val=0.2 rise=1 targ v(out) val=0.2 rise=1",
    ],
)
def test_a_save_list_does_not_hide_what_measures_read(tmp_path: Path, measures: str, save: str) -> None:
    table = table_of(tmp_path, measures, save=save)
    for at, a in enumerate((0.5, 1.0)):
        wanted = bare(tmp_path, measures, save=save, a=a)
        assert wanted.keys() == set(table.quantities)
        for name, value in wanted.items():
            assert float(table.data[name].values[at]) == pytest.approx(value, rel=1e-5), (name, a)


def test_rc_charging_is_measured_beside_a_save_list(tmp_path: Path) -> None:
    """Against the exponential, 1 us after a step through 1 kohm into 1 nF."""
    table = table_of(
        tmp_path,
        ".meas tran vx find v(out) at=1u\n.meas tran ia find i(v1) at=1u",
        save=".save v(out)",
    )
    tau, t_edge = 1e-6, 1e-9
    v = 1 - tau / t_edge * math.expm1(t_edge / tau) * math.exp(-1)
    assert table.data["vx"].values == pytest.approx([0.5 * v, v], rel=1e-3)
    assert table.data["ia"].values == pytest.approx([-0.5e-3 * (1 - v), -1e-3 * (1 - v)], rel=2e-3)


def test_what_ngspice_gives_zero_for_where_a_vector_is_missing_has_no_value(tmp_path: Path) -> None:
    """Nor has what is derived from it, one step on or two; the rest has its value."""
    measures = (
        ".meas tran t when v(nothere)=0.5\n.meas tran u find v(out) when v(nothere)=0.1\n"
        ".meas tran d param='2*t+1'\n.meas tran e param='d*d'\n.meas tran vm max v(out)"
    )
    assert bare(tmp_path, measures, save="", a=1.0)["t"] == 0.0  # ngspice's own answer
    table = table_of(tmp_path, measures)
    for name in ("t", "u", "d", "e"):
        assert np.isnan(table.data[name].values).all()
    assert np.isfinite(table.data["vm"].values).all()
    again = verify(plan(table, entries=2, seed=1), engine=BareEngine(tmp_path / "verify", workers=1))
    assert again.ok


SWITCHES = ".meas tran t when v(out)=0.7\n.meas tran vm max v(out)"


def test_an_expected_hole_is_named_and_no_fault(tmp_path: Path) -> None:
    """0.5 V never reaches 0.7 V, and the sweep says that this may be."""
    table = table_of(tmp_path, SWITCHES, expected=["t"])
    assert math.isnan(table.data["t"].values[0])
    assert table.data["t"].values[1] == pytest.approx(-1e-6 * math.log(0.3), rel=2e-3)
    assert table.holes == ()
    assert table.lineage["expected_holes"] == [{"at": {"a": 0.5}, "measures": ["t"]}]
    assert "1 point without t, as expected" in table_text(table)
    assert "points that lack a value as expected: 1" in chain_text([table_chain(table, netlists_folder())])
    refuse_holes({"mine": table})
    again = verify(plan(table, entries=2, seed=1), engine=BareEngine(tmp_path / "verify", workers=1))
    assert again.ok
    with pytest.raises(SpicebridgeError):
        table.read("t", a=0.5)


def test_a_hole_of_another_measure_stays_a_fault(tmp_path: Path) -> None:
    (hole,) = table_of(tmp_path, SWITCHES, expected=["vm"]).holes
    assert hole["at"] == {"a": 0.5}
    assert "t gave no value" in hole["why"]


def test_what_holes_may_be_is_checked(tmp_path: Path) -> None:
    table_of(tmp_path, SWITCHES)
    text = (tmp_path / "mine.toml").read_text()
    (tmp_path / "mine.toml").write_text(text + 'holes = "some"\n')
    with pytest.raises(DefinitionError, match='should be "expected"'):
        load_definition(str(tmp_path / "mine.toml"), size="quick", overrides={})


def test_a_deck_without_any_value_still_says_why(tmp_path: Path) -> None:
    with pytest.raises(SpicebridgeError, match=r"\.meas t, f gave no value"):
        table_of(tmp_path, ".meas tran t when v(out)=7\n.meas tran f param='1/t'")


def test_what_is_wrong_with_the_circuit_still_costs_the_deck(tmp_path: Path) -> None:
    """Not only the measure that reads it: another circuit ran than the one that was meant."""
    with pytest.raises(SpicebridgeError, match="nosuch"):
        table_of(tmp_path, "r2 out 0 {nosuch}\n.meas tran vm max v(out)", names=["vm"])
