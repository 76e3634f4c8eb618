"""Operating-point values and noise totals as measures of a sweep: closed forms, and the bare program."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from characterization.definition import load_definition
from characterization.netlist_sweep import NetlistDefinition
from characterization.run import definition_of, make_table
from characterization.values import DefinitionError
from characterization.verify import plan, verify
from spicebridge.bare import BareEngine
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable, load_table
from tests.command_line import done

NOISE = """thermal noise of a resistor on a capacitor
.param cval=1p t=27
v1 in 0 dc 0 ac 1
r1 in out 1k
c1 out 0 {cval}
.temp {t}
SAVE
.noise v(out) v1 dec 20 1 1e14
.end
"""
CAPACITORS = '[axes.cval]\nunit = "F"\nvalues = [0.5e-12, 1e-12, 2e-12]\n'
POINT = """a transistor's operating point
.param vg=1
vd d 0 1.5
vin g 0 {vg}
m1 d g 0 0 nm w=1u l=1u
.model nm nmos level=1 vto=0.5 kp=200u lambda=0
SAVE
.op
.end
"""
GATES = '[axes.vg]\nunit = "V"\nvalues = [0.7, 1.0, 1.3]\n'
BOLTZMANN = 1.380649e-23


@pytest.fixture(autouse=True)
def _own_results(results: Path) -> None:
    """No test here writes into the checkout's results."""


def loaded(folder: Path, deck: str, sweep: str) -> NetlistDefinition:
    (folder / "mine.cir").write_text(deck)
    (folder / "mine.toml").write_text(f'deck = "mine.cir"\n{sweep}')
    made = load_definition(str(folder / "mine.toml"), size="quick", overrides={})
    assert isinstance(made, NetlistDefinition)
    return made


def table_of(folder: Path, deck: str, sweep: str, *, workers: int = 1) -> LookupTable:
    engine = Engine(store=folder / "points.sqlite", workers=workers, version="ngspice-test")
    return make_table(loaded(folder, deck, sweep), engine)


def vector(name: str, of: str, unit: str, more: str = "") -> str:
    return f'[measures.{name}]\nunit = "{unit}"\nvector = "{of}"\n{more}'


@pytest.mark.parametrize("save", ["", ".save v(out)", ".save all"])
def test_a_noise_total_is_that_of_the_capacitor(tmp_path: Path, save: str) -> None:
    sweep = CAPACITORS + vector("noise", "onoise_total", "V")
    table = table_of(tmp_path, NOISE.replace("SAVE", save), sweep)
    for value, capacitance in zip(table.data["noise"].values, (0.5e-12, 1e-12, 2e-12), strict=True):
        assert value == pytest.approx(math.sqrt(BOLTZMANN * 300.15 / capacitance), rel=2e-3)
    assert table.data["noise"].attrs["units"] == "V"


@pytest.mark.parametrize("save", ["", ".save v(d)"])
def test_an_operating_points_values_are_those_of_the_square_law(tmp_path: Path, save: str) -> None:
    sweep = GATES + vector("gm", "@m1[gm]", "S") + vector("id", "@M1[id]", "A") + vector("drain", "v(d)", "V")
    table = table_of(tmp_path, POINT.replace("SAVE", save), sweep)
    for gate, gm, current in zip(
        (0.7, 1.0, 1.3), table.data["gm"].values, table.data["id"].values, strict=True
    ):
        assert gm == pytest.approx(200e-6 * (gate - 0.5), rel=1e-4)
        assert current == pytest.approx(100e-6 * (gate - 0.5) ** 2, rel=1e-4)
    assert table.data["drain"].values == pytest.approx([1.5] * 3)


@pytest.mark.parametrize(
    ("deck", "sweep"),
    [
        (NOISE, CAPACITORS + vector("noise", "onoise_total", "V") + vector("input", "inoise_total", "V")),
        (POINT, GATES + vector("gm", "@m1[gm]", "S") + vector("drain", "i(vd)", "A")),
    ],
)
def test_a_vector_is_verified_by_the_bare_program_from_the_lineage_alone(
    tmp_path: Path, deck: str, sweep: str
) -> None:
    table = table_of(tmp_path, deck.replace("SAVE", ""), sweep, workers=2)
    table.save(tmp_path / "mine.h5")
    kept = load_table(tmp_path / "mine.h5")
    again = definition_of(kept)
    assert isinstance(again, NetlistDefinition)
    assert again.vectors == loaded(tmp_path, deck.replace("SAVE", ""), sweep).vectors
    assert verify(plan(kept, entries=3, seed=1), engine=BareEngine(tmp_path / "verify", workers=1)).ok


def test_a_vector_that_is_not_there_costs_itself_only(tmp_path: Path) -> None:
    sweep = GATES + vector("drain", "v(d)", "V") + vector("gone", "v(nowhere)", "V")
    table = table_of(tmp_path, POINT.replace("SAVE", ""), sweep)
    assert table.data["drain"].values == pytest.approx([1.5] * 3)
    assert all(math.isnan(value) for value in table.data["gone"].values)
    assert {hole["why"] for hole in table.holes} == {"the run has no vector v(nowhere)"}


def test_a_vector_is_part_of_what_a_point_is(tmp_path: Path) -> None:
    one = table_of(tmp_path, POINT.replace("SAVE", ""), GATES + vector("it", "@m1[gm]", "S"))
    other = table_of(tmp_path, POINT.replace("SAVE", ""), GATES + vector("it", "@m1[gds]", "S"))
    assert one.data["it"].values == pytest.approx([40e-6, 100e-6, 160e-6], rel=1e-4)
    assert other.data["it"].values == pytest.approx([0.0] * 3, abs=1e-9)
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("deck", "sweep", "words"),
    [
        (POINT, GATES + vector("x", "v(d) v(g)", "V"), "should be the name of one vector"),
        (POINT, GATES + vector("x", "", "V"), "should be the name of one vector"),
        (POINT, GATES + vector("x", "v(d)", "V", 'integrate = "power"\n'), "integrate"),
        (
            POINT.replace(".op", ".tran 1n 10n"),
            GATES + vector("x", "v(d)", "V"),
            r"one analysis, \.op or \.noise",
        ),
        (POINT.replace(".op", ".op\n.op"), GATES + vector("x", "v(d)", "V"), "one analysis"),
        (POINT, "batch = 2\n" + GATES + vector("x", "v(d)", "V"), "vector does not suit batch = 2"),
    ],
)
def test_vectors_that_could_have_no_one_value_are_refused(
    tmp_path: Path, deck: str, sweep: str, words: str
) -> None:
    with pytest.raises(DefinitionError, match=words):
        loaded(tmp_path, deck.replace("SAVE", ""), sweep)


def test_the_command_line_sweeps_shows_and_verifies_a_noise_total(tmp_path: Path, results: Path) -> None:
    (tmp_path / "mine.cir").write_text(NOISE.replace("SAVE", ""))
    (tmp_path / "mine.toml").write_text(
        f'deck = "mine.cir"\n{CAPACITORS}{vector("noise", "onoise_total", "V")}'
    )
    assert "noise" in done("characterize", tmp_path / "mine.toml").out
    assert "uV" in done("show", "mine", "noise").out
    assert done("verify", "mine").out
    assert results.is_dir()


def test_a_meas_line_of_a_noise_analysis_is_answered_with_the_vector(tmp_path: Path) -> None:
    deck = NOISE.replace("SAVE", ".meas noise floor max onoise_spectrum")
    with pytest.raises(DefinitionError, match=r"no \.meas noise\. .* vector = \"onoise_total\""):
        loaded(tmp_path, deck, f'{CAPACITORS}[measures.floor]\nunit = "V"\n')
