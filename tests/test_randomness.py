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
        ("1+sw*agauss(0,1,1)^2", False),
    ],
)
def test_a_draw_is_off_only_as_a_factor_of_zero(tmp_path: Path, value: str, off: bool) -> None:
    deck = make_deck(f".param sw=0 other=1\nr1 a 0 {{{value}}}", folder=tmp_path, name="d")
    assert (drawing_line(deck, {}) is None) is off
    assert drawing_line(deck, {"sw": [0.0, 1.0]}) is not None


@pytest.mark.parametrize(
    "line", ["x1 a 0 res sw=1", ".param sw=(1)", ".func f(sw) {sw*2}", ".param sw={2-2}"]
)
def test_a_switch_that_is_set_elsewhere_is_not_known_to_be_off(tmp_path: Path, line: str) -> None:
    deck = make_deck(f".param sw=0\nr1 a 0 {{1+sw*agauss(0,1,1)}}\n{line}", folder=tmp_path, name="d")
    assert drawing_line(deck, {}) is not None


@pytest.mark.parametrize("seed", ["seed", "seed=random", "seed=0", "seed=-3", "seed={s}", "seed=3000000000"])
def test_a_seed_that_repeats_nothing_is_refused(tmp_path: Path, seed: str) -> None:
    with pytest.raises(DeckError, match="could be made again"):
        seed_of(make_deck(f".options {seed}\nr1 a 0 1", folder=tmp_path, name="d"))
