"""Random numbers of ngspice's own in sweeps: seeded, swept over seeds, or switched off; else refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from characterization.definition import DefinitionError, load_definition
from characterization.run import make_table
from characterization.verify import plan, verify
from spicebridge.bare import BareEngine
from spicebridge.deck import DeckError
from spicebridge.netlist import make_deck
from spicebridge.randomness import drawing_line, seed_of
from spicebridge.sweep import Engine
from tests.bare_ngspice import bare_measures

DRAWN = """a drawn resistor
.options seed=7
.param r={agauss(1k,100,1)}
.param v=1
v1 1 0 {v}
r1 1 0 {r}
.tran 1u 2u
.meas tran i find i(v1) at=1u
.end
"""
SWEEP = """deck = "d.cir"
[axes.v]
unit = "V"
values = [1, 2]
[measures.i]
unit = "A"
"""
SEEDS = '[axes.mc]\noption = "seed"\nvalues = [7, 8]\n'


def written(folder: Path, deck: str, sweep: str = SWEEP) -> str:
    (folder / "d.cir").write_text(deck)
    (folder / "drawn.toml").write_text(sweep)
    return str(folder / "drawn.toml")


FUNCTIONS = """.param sw=0 other=1
.func uniform_of(n) {sunif(n)}
.func one_of(n) {n*sw}
.func mismatch(n,s) {n*(1+s*agauss(0,0.1,1))}
"""


def bare_current(ngspice_program: str, folder: Path, value: str, seed: int) -> float:
    """What the bare program makes of 1 V at a resistor of this value, A."""
    deck = folder / "bare.cir"
    deck.write_text(
        f"bare\n.options seed={seed}\n{FUNCTIONS}v1 a 0 1\nr1 a 0 {{{value}}}\n"
        ".tran 1u 2u\n.meas tran i find i(v1) at=1u\n.end\n"
    )
    return bare_measures(ngspice_program, deck)["i"]


def engine(folder: Path, workers: int) -> Engine:
    return Engine(store=folder / f"{workers}.sqlite", workers=workers, version="ngspice-46")


def test_a_seed_in_the_deck_repeats_its_draws(tmp_path: Path) -> None:
    table = make_table(load_definition(written(tmp_path, DRAWN), size="quick"), engine(tmp_path, 1))
    assert table.data["i"].values == pytest.approx([-1.102745e-3, -2.205490e-3], rel=1e-5)


def test_an_axis_of_seeds_has_the_same_values_with_any_workers_and_by_the_bare_program(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, DRAWN, SWEEP.replace("[measures", SEEDS + "[measures"))
    tables = [make_table(load_definition(path, size="quick"), engine(tmp_path, n)) for n in (1, 2)]
    assert tables[0].data["i"].values[0] == pytest.approx([-1.102745e-3, -9.466334e-4], rel=1e-5)
    assert tables[0].digest == tables[1].digest
    chosen = plan(tables[0], entries=4, seed=1)
    assert verify(chosen, engine=BareEngine(folder=tmp_path / "v", workers=1)).ok
    with pytest.raises(DefinitionError, match="copies would share one seed"):
        load_definition(path, size="quick", overrides={"batch": 2})


@pytest.mark.parametrize(
    ("value", "off"),
    [
        ("0.5+sw*agauss(0,1,1)*0.01", True),
        ("2*sw * gauss(1,0.1,3)+1", True),
        ("1-sw*aunif(1,(0.1))", True),
        ("min(1,sw*unif(1,0.1))+1", True),
        ("1+agauss(0,1,1)", False),
        ("1+other*agauss(0,1,1)", False),
        ("1/sw*agauss(0,1,1)", False),
        ("2**sw*agauss(0,1,1)", False),
        ("2^-sw*agauss(0,1,1)", False),
        ("2 ^ - sw*agauss(0,1,1)", False),
        ("1+sw*agauss(0,1,1)^2", True),
        ("1+agauss(0,1,1)**2*sw", True),
        ("1-sw^2*agauss(1,1,1)", True),
        ("1+agauss(0,1,1)*(sw-0)", True),
        ("1+2*(sw*agauss(0,1,1)+agauss(0,1,1)*sw)/3", True),
        ("sw==1 ? agauss(1,1,1) : 2", True),
        ("agauss(5,sw*3,1)", True),
        ("gauss(5,sw,3)", True),
        ("aunif(5,3*sw)+unif(5,sw)+limit(5,sw)", True),
        ("1+one_of(agauss(0,1,1))", True),
        ("2*mismatch(other,sw)", True),
        ("2*mismatch(other,1)", False),
        ("1+agauss(0,1,1)*sw+agauss(0,1,1)", False),
        ("agauss(5,sw+1,1)", False),
        ("agauss(agauss(5,1,1),sw,1)", False),
        ("sw==0 ? agauss(1,1,1) : 2", False),
        ("1+sw*sunif(0)", False),
        ("1+uniform_of(1)", False),
    ],
)
def test_a_draw_is_off_only_as_a_factor_of_zero(
    tmp_path: Path, value: str, off: bool, ngspice_program: str
) -> None:
    deck = make_deck(f"{FUNCTIONS}r1 a 0 {{{value}}}", folder=tmp_path, name="d")
    assert (drawing_line(deck, {}) is None) is off
    assert drawing_line(deck, {"sw": [0.0, 1.0]}) is not None
    if off:
        assert len({bare_current(ngspice_program, tmp_path, value, seed) for seed in (1, 2)}) == 1


@pytest.mark.parametrize(
    "line",
    ["x1 a 0 res sw=1", ".param sw=(1)", ".func f(sw) {sw*2}", ".param sw={2-1}", ".param sw=0 + other"],
)
def test_a_switch_that_is_set_elsewhere_is_not_known_to_be_off(tmp_path: Path, line: str) -> None:
    deck = make_deck(f".param sw=0\nr1 a 0 {{1+sw*agauss(0,1,1)}}\n{line}", folder=tmp_path, name="d")
    assert drawing_line(deck, {}) is not None


def test_a_switch_reaches_into_subcircuits_by_its_value_there(tmp_path: Path) -> None:
    inner = (
        ".subckt part a b sw=0\nr1 a b {1+sw*agauss(0,1,1)}\n.ends\n"
        ".subckt pair a b on=0\nx1 a b part sw={on}\nx2 a b part sw='on*2'\n.ends\n"
    )
    for given, off in (("{mm}", True), ("0", True), ("{mm+1}", False), ("{unknown}", False)):
        deck = make_deck(f".param mm=0\n{inner}x3 a 0 pair on={given}", folder=tmp_path, name="d")
        assert (drawing_line(deck, {}) is None) is off, given


# A process design kit in small: corners, each with its switches, and parts that draw their mismatch.
KIT = """* a kit
.lib tt
.param mc_mm_switch=0 mc_pr_switch=0
.include "parts.spice"
.endl tt
.lib tt_mm
.param mc_mm_switch=1 mc_pr_switch=0
.include "parts.spice"
.endl tt_mm
"""
PARTS = """* parts
.param rsheet_spread={mc_pr_switch*agauss(0,1.0,1)*0.05}
.param rsheet={1k*(1+rsheet_spread)}
.subckt kit_res a b w=1 l=1 mult=1
.param slope=0.02
r1 a b {rsheet*l/w*(1+mc_mm_switch*agauss(0,1.0,1)*(slope/sqrt(l*w*mult)))}
.ends kit_res
"""
KIT_DECK = """a divider of a kit's parts
.lib "kit.lib" tt
.param v=1
v1 in 0 {v}
x1 in out kit_res
x2 out 0 kit_res l=2
.tran 1u 2u
.meas tran out find v(out) at=1u
.end
"""
KIT_SWEEP = """deck = "d.cir"
files = ["kit.lib", "parts.spice"]
[axes.v]
unit = "V"
values = [1, 2]
[measures.out]
unit = "V"
"""


def kit(folder: Path, section: str, seeds: str = "") -> str:
    folder.mkdir(exist_ok=True)
    (folder / "kit.lib").write_text(KIT)
    (folder / "parts.spice").write_text(PARTS)
    deck = KIT_DECK.replace('kit.lib" tt', f'kit.lib" {section}')
    return written(folder, deck, KIT_SWEEP.replace("[measures", f"{seeds}[measures"))


def test_a_kit_without_mismatch_needs_no_seed(tmp_path: Path) -> None:
    table = make_table(load_definition(kit(tmp_path, "tt"), size="quick"), engine(tmp_path, 1))
    assert table.data["out"].values == pytest.approx([2 / 3, 4 / 3], rel=1e-6)
    with pytest.raises(DefinitionError, match="nothing seeds"):
        load_definition(kit(tmp_path, "tt_mm"), size="quick")


def test_a_kits_mismatch_over_seeds_is_the_bare_programs_in_any_order(
    tmp_path: Path, ngspice_program: str
) -> None:
    seeds = (3, 4, 5)
    path = kit(tmp_path, "tt_mm", f'[axes.mc]\noption = "seed"\nvalues = {list(seeds)}\n')
    tables = [make_table(load_definition(path, size="quick"), engine(tmp_path, n)) for n in (1, 2)]
    assert tables[0].digest == tables[1].digest
    swept = tables[0].data["out"].sel(v=1).values
    assert len(set(swept)) == 3
    for seed, value in reversed(list(zip(seeds, swept, strict=True))):
        alone = tmp_path / "alone.cir"
        text = (tmp_path / "d.cir").read_text().replace("\n.param v", f"\n.options seed={seed}\n.param v")
        alone.write_text(text)
        assert bare_measures(ngspice_program, alone)["out"] == pytest.approx(value, rel=1e-5)
    chosen = plan(tables[0], entries=6, seed=1)
    assert verify(chosen, engine=BareEngine(folder=tmp_path / "v", workers=1)).ok


@pytest.mark.parametrize("seed", ["seed", "seed=random", "seed=0", "seed=-3", "seed={s}", "seed=3000000000"])
def test_a_seed_that_repeats_nothing_is_refused(tmp_path: Path, seed: str) -> None:
    with pytest.raises(DeckError, match="could be made again"):
        seed_of(make_deck(f".options {seed}\nr1 a 0 1", folder=tmp_path, name="d"))
