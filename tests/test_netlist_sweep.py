"""Sweeps over a user's own netlist: right values, holes, resuming, and what a table says of itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from characterization.definition import DefinitionError, load_definition
from characterization.netlist import Units
from characterization.netlist_sweep import NetlistDefinition
from characterization.run import definition_of, make_table
from characterization.verify import plan
from spicebridge.deck import DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.lineage import chain_text, changed_netlists, table_chain
from spicebridge.permission import RefusedError
from spicebridge.project import netlists_folder
from spicebridge.show import describe, holes_text, table_text
from spicebridge.store import Store
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable, load_table

DOCS = Path(__file__).parent.parent / "docs"
RC = """charging
.param rval=1k cval=1p
.param t_read=1n
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {rval}
c1 out 0 {cval}
.tran 1p 3n 0 1p
.meas tran v1ns find v(out) at={t_read}
.meas tran V2NS find v(out) at=2n
.meas tran t_late when v(out)=0.9
.end
"""
SWEEP = """deck = "rc.cir"
[axes.rval]
unit = "ohm"
values = [500, 1000, 2000]
[measures.v1ns]
unit = "V"
"""


def written(folder: Path, **texts: str) -> str:
    """Files ``NAME_ENDING`` as ``NAME.ENDING`` in the folder; the path of ``mine.toml``."""
    for name, text in texts.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(text)
    return str(folder / "mine.toml")


def load(path: str, **overrides: Any) -> NetlistDefinition:
    made = load_definition(path, size="quick", overrides=overrides)
    assert isinstance(made, NetlistDefinition)
    return made


def engine(folder: Path, **more: Any) -> Engine:
    return Engine(store=folder / "points.sqlite", workers=1, version="ngspice-test", **more)


def stored(folder: Path) -> int:
    with Store(folder / "points.sqlite") as store:
        return len(store)


def charged(r: Any, c: Any, t: float = 1e-9) -> Any:
    return 1 - np.exp(-t / (np.asarray(r) * np.asarray(c)))


@pytest.fixture(autouse=True)
def _own_results(results: Path) -> None:
    """No test here writes into the checkout's results."""


def test_an_rc_element_over_two_axes_is_the_closed_form(tmp_path: Path) -> None:
    sweep = """deck = "rc.cir"
about = "charging"
[axes.rval]
unit = "ohm"
start = 100
stop = 10e3
points = 5
spacing = "log"
[axes.cval]
unit = "F"
values = [0.5e-12, 1e-12]
long_name = "load"
[measures.v1ns]
unit = "V"
[measures.v2ns]
unit = "V"
long_name = "later"
"""
    table = make_table(load(written(tmp_path, rc_cir=RC, mine_toml=sweep)), engine(tmp_path))
    r, c = table.data["rval"].values, table.data["cval"].values
    assert r == pytest.approx([100, 10**2.5, 1000, 10**3.5, 10**4], rel=1e-11)
    for name, t in (("v1ns", 1e-9), ("v2ns", 2e-9)):
        assert table.data[name].dims == ("rval", "cval")
        assert table.data[name].values == pytest.approx(charged(r[:, None], c, t), rel=2e-3)
    assert table.read("v1ns", rval=1000, cval=1e-12) == pytest.approx(charged(1000, 1e-12), rel=2e-3)
    assert "failed" not in table.lineage
    table.save(tmp_path / "mine.h5")
    assert load_table(tmp_path / "mine.h5").digest == table.digest
    told = describe(table)
    assert (told["simulations"], told["quantities"]["v2ns"]["long_name"]) == (10, "later")
    assert table_text(table).startswith(f"mine   digest {table.digest[:12]}   ngspice-test\n10 simulations\n")


def test_fixed_parameters_hold_for_the_whole_table(tmp_path: Path) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP + "[parameters]\ncval = 2e-12\nt_read = 2e-9\n")
    table = make_table(load(path), engine(tmp_path))
    assert table.data["v1ns"].values == pytest.approx(charged([500, 1000, 2000], 2e-12, 2e-9), rel=2e-3)
    assert {name: each["value"] for name, each in table.lineage["parameters"].items()} == {
        "cval": 2e-12,
        "t_read": 2e-9,
    }


def test_corners_are_categories_of_the_decks_library(tmp_path: Path) -> None:
    library = ".lib TT\n.param speed=1\n.endl\n.lib ff\n.param speed=2\n.endl\n"
    deck = RC.replace("r1 in out {rval}", ".lib 'models.lib' tt\nr1 in out {rval/speed}")
    sweep = SWEEP + '[axes.corner]\nlibrary = "models.lib"\nvalues = ["ff", "tt"]\n'
    table = make_table(
        load(written(tmp_path, rc_cir=deck, models_lib=library, mine_toml=sweep)), engine(tmp_path)
    )
    assert table.data["v1ns"].dims == ("rval", "corner")
    r = np.array([500, 1000, 2000])
    assert table.data["v1ns"].sel(corner="ff").values == pytest.approx(charged(r / 2, 1e-12), rel=2e-3)
    assert table.data["v1ns"].sel(corner="tt").values == pytest.approx(charged(r, 1e-12), rel=2e-3)
    assert table.read("v1ns", rval=1000, corner="ff") == pytest.approx(charged(500, 1e-12), rel=2e-3)
    assert sorted(table.lineage["decks"].values()) == ["mine ff", "mine tt"]
    assert set(table.lineage["netlists"]) == {"rc.cir", "models.lib"}
    again = make_table(definition_of(table), engine(tmp_path))
    assert again.digest == table.digest


@pytest.mark.parametrize("line", [".temp {t}", ".options temp={t}"])
def test_temperature_is_an_axis_like_any_other(tmp_path: Path, line: str) -> None:
    deck = f"warm\n.param t=27\nv1 a 0 1\nr1 a 0 1k tc1=1e-3\n{line}\n.tran 1n 4n\n"
    deck += ".meas tran i find i(v1) at=2n\n"
    sweep = 'deck = "warm.cir"\n[axes.t]\nunit = "degC"\nvalues = [-73, 27, 127]\n[measures.i]\nunit = "A"\n'
    table = make_table(load(written(tmp_path, warm_cir=deck, mine_toml=sweep)), engine(tmp_path))
    assert table.data["i"].values == pytest.approx([-1e-3 / 0.9, -1e-3, -1e-3 / 1.1], rel=1e-6, abs=0.0)


@pytest.mark.parametrize("loads", ["", ".control\npre_osdi twice.osdi\n.endc\n"])
def test_verilog_a_sources_are_compiled_and_loaded(tmp_path: Path, loads: str) -> None:
    source = (
        '`include "disciplines.vams"\nmodule twice(a, b);\n  inout a, b;\n  electrical a, b;\n'
        "  parameter real r = 1k;\n  analog I(a, b) <+ V(a, b) / (2 * r);\nendmodule\n"
    )
    deck = f"va\n{loads}.param rval=1k\nv1 a 0 1\n.model m twice r={{rval}}\nn1 a 0 m\n.tran 1n 4n\n"
    deck += ".meas tran v1ns find i(v1) at=2n\n"
    path = written(tmp_path, rc_cir=deck, twice_va=source, mine_toml='files = ["twice.va"]\n' + SWEEP)
    table = make_table(load(path), engine(tmp_path))
    assert table.data["v1ns"].values == pytest.approx([-1e-3, -0.5e-3, -0.25e-3], rel=1e-6, abs=0.0)
    assert list(table.lineage["models"]) == ["twice"]
    assert set(table.lineage["netlists"]) == {"rc.cir", "twice.va"}
    assert make_table(definition_of(table), engine(tmp_path)).digest == table.digest


def test_commands_of_a_deck_run_only_if_it_is_trusted(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    commands = f".control\nrun\nmeas tran v1ns find v(out) at=1n\nshell touch {mark}\n.endc\n.end"
    deck = RC[: RC.index(".meas")] + commands
    path = written(tmp_path, rc_cir=deck, mine_toml=SWEEP)
    with pytest.raises(SpicebridgeError, match=r"rc\.cir, line \d+: .* command 'run'.* with --trust"):
        load(path)
    assert not mark.exists()
    table = make_table(load_definition(path, size="quick", trust=True), engine(tmp_path))
    assert table.data["v1ns"].values == pytest.approx(charged([500, 1000, 2000], 1e-12), rel=2e-3)
    assert mark.exists()
    # Nor later: the table and its deck may have come from elsewhere together.
    mark.unlink()
    for again in (partial(definition_of, table), partial(plan, table, entries=1, seed=1)):
        with pytest.raises(RefusedError, match=r"'\.control' is refused.* with --trust"):
            again()
    assert not mark.exists()
    assert definition_of(table, trust=True).procedure == "netlist"


# Holes


def test_points_that_fail_are_holes_and_the_others_stand(tmp_path: Path) -> None:
    deck = RC.replace(".tran", ".if (rval==1000)\nd1 out 0 nosuch\n.endif\n.tran")
    table = make_table(load(written(tmp_path, rc_cir=deck, mine_toml=SWEEP)), engine(tmp_path))
    values = table.data["v1ns"].values
    assert np.isnan(values).tolist() == [False, True, False]
    assert values[[0, 2]] == pytest.approx(charged([500, 2000], 1e-12), rel=2e-3)
    (failed,) = table.lineage["failed"]
    assert failed["at"] == {"rval": 1000.0}
    assert re.fullmatch(r"[0-9a-f]{64}", failed["deck"])
    assert failed["why"] == "could not find a valid modelname"
    assert "  rval=1000: could not find a valid modelname" in holes_text(table)
    assert str(tmp_path) not in json.dumps(table.lineage)
    told = chain_text([table_chain(table, netlists_folder())])
    assert "points without a value: 1, the first at rval 1000: " in told
    assert stored(tmp_path) == 2


def test_a_measure_that_finds_nothing_is_a_hole_of_its_own(tmp_path: Path) -> None:
    sweep = SWEEP + '[measures.t_late]\nunit = "s"\n'
    table = make_table(load(written(tmp_path, rc_cir=RC, mine_toml=sweep)), engine(tmp_path))
    assert np.isnan(table.data["t_late"].values).tolist() == [False, False, True]
    assert table.data["t_late"].values[:2] == pytest.approx(
        np.log(10) * np.array([0.5e-9, 1e-9]), rel=2e-3, abs=0
    )
    assert not np.isnan(table.data["v1ns"].values).any()
    assert [(each["at"], each["why"]) for each in table.lineage["failed"]] == [
        ({"rval": 2000.0}, ".meas t_late gave no value")
    ]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_deck_of_a_measure_without_a_value_is_kept_and_its_replay_says_why(
    tmp_path: Path, results: Path, ngspice_program: str, batch: int
) -> None:
    sweep = SWEEP + '[measures.t_late]\nunit = "s"\n'
    table = make_table(load(written(tmp_path, rc_cir=RC, mine_toml=sweep), batch=batch), engine(tmp_path))
    (kept,) = (results / "failed").glob("*.cir")
    assert f"  rval=2000: .meas t_late gave no value ({kept.name})" in holes_text(table)
    assert str(kept.parent) in holes_text(table)
    run = subprocess.run([ngspice_program, "-b", kept], capture_output=True, text=True, timeout=60)
    assert re.search(r"measure  t_late .* out of interval", run.stdout + run.stderr)
    assert table.lineage["failed"][0]["deck"].startswith(kept.stem)


def test_a_kind_of_measure_that_ngspice_does_not_have_costs_that_measure_only(tmp_path: Path) -> None:
    deck = RC.replace(".meas tran v1ns", ".meas tran der deriv v(out) at=1n\n.meas tran v1ns")
    sweep = SWEEP + '[measures.der]\nunit = "V/s"\n'
    table = make_table(load(written(tmp_path, rc_cir=deck, mine_toml=sweep)), engine(tmp_path))
    assert table.data["v1ns"].values == pytest.approx(charged([500, 1000, 2000], 1e-12), rel=2e-3)
    assert np.isnan(table.data["der"].values).all()
    assert {each["why"] for each in table.lineage["failed"]} == {".meas der gave no value"}


def test_a_sweep_without_one_value_is_no_table(tmp_path: Path) -> None:
    deck = RC.replace(".tran", "x1 out 0 nosuch\n.tran")
    with pytest.raises(
        SpicebridgeError, match=r"(?s)mine: not one of 3 points gave a value.*nosuch.*Deck kept"
    ):
        make_table(load(written(tmp_path, rc_cir=deck, mine_toml=SWEEP)), engine(tmp_path))


def test_measures_without_one_value_are_no_table_and_a_deck_to_replay_is_named(
    tmp_path: Path, results: Path
) -> None:
    sweep = SWEEP.replace("v1ns", "never")
    deck = RC.replace(".end", ".meas tran never when v(out)=2\n.end")
    with pytest.raises(SpicebridgeError) as caught:
        make_table(load(written(tmp_path, rc_cir=deck, mine_toml=sweep)), engine(tmp_path))
    kept = sorted((results / "failed").glob("*.cir"))
    assert len(kept) == 3
    assert ".meas never gave no value. A replay gives ngspice's words on it." in str(caught.value)
    assert re.search(r"Deck kept: (\S+)   Replay: ngspice -b \1$", str(caught.value))[1] in map(str, kept)  # type: ignore[index]


# What is simulated, and what is kept


def test_a_wider_axis_or_one_more_measure_simulates_only_what_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    first = make_table(load(path), engine(tmp_path))
    assert stored(tmp_path) == 3
    told: list[tuple[int, int, int]] = []
    wider = make_table(
        load(path, **{"axes.rval.values": [500, 750, 1000, 2000]}),
        engine(tmp_path, progress=lambda *counts: told.append(counts)),
    )
    assert stored(tmp_path) == 4
    assert told[-1] == (4, 4, 0)
    assert np.array_equal(wider.data["v1ns"].sel(rval=[500, 1000, 2000]).values, first.data["v1ns"].values)
    more = make_table(load(path, **{"measures.v2ns.unit": "V"}), engine(tmp_path))
    assert stored(tmp_path) == 4
    assert more.data["v2ns"].values == pytest.approx(charged([500, 1000, 2000], 1e-12, 2e-9), rel=2e-3)
    assert len({first.digest, wider.digest, more.digest}) == 3


def test_a_change_of_the_deck_is_simulated_anew_and_a_comment_is_not(tmp_path: Path) -> None:
    path = written(tmp_path, rc_cir=RC, mine_toml=SWEEP)
    first = make_table(load(path), engine(tmp_path))
    (tmp_path / "rc.cir").write_text(RC.replace("v1 in", "* a comment\nv1 in"))
    assert make_table(load(path), engine(tmp_path)).digest == first.digest
    assert stored(tmp_path) == 3
    (tmp_path / "rc.cir").write_text(RC.replace("cval=1p", "cval=2p"))
    assert make_table(load(path), engine(tmp_path)).digest != first.digest
    assert stored(tmp_path) == 6


def test_a_table_is_the_same_wherever_its_files_lie(tmp_path: Path) -> None:
    digests = set()
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        path = written(tmp_path / place, rc_cir=RC, mine_toml=SWEEP)
        digests.add(make_table(load(path), engine(tmp_path)).digest)
    assert len(digests) == 1


def test_a_table_does_not_hold_the_decks_text_and_is_made_again_from_the_kept_one(
    tmp_path: Path, results: Path
) -> None:
    made = load(written(tmp_path, rc_cir=RC, mine_toml=SWEEP + "[parameters]\ncval = 2e-12\n"))
    table = make_table(made, engine(tmp_path))
    table.save(tmp_path / "mine.h5")
    assert "pulse" not in json.dumps([dict(table.lineage), dict(table.origin)])
    table = load_table(tmp_path / "mine.h5")
    again = definition_of(table)
    assert isinstance(again, NetlistDefinition)
    assert (again.axes, again.measures, again.decks) == (made.axes, made.measures, made.decks)
    assert make_table(again, engine(tmp_path / "afresh")).digest == table.digest
    (kept,) = (results / "decks").glob("*.cir")
    assert kept.stem == made.decks[0].digest[:12]
    kept.unlink()
    with pytest.raises(DeckError, match=r"mine cannot be made again .* characterize mine\.toml keeps"):
        definition_of(table)
    make_table(made, engine(tmp_path))
    assert definition_of(table) == again


def test_the_lineage_of_a_large_table_is_small(tmp_path: Path) -> None:
    sweep = SWEEP.replace("values = [500, 1000, 2000]", "start = 500\nstop = 2000\npoints = 40")
    table = make_table(load(written(tmp_path, rc_cir=RC, mine_toml=sweep)), engine(tmp_path))
    assert len(json.dumps(table.lineage)) < 1000
    told = chain_text([table_chain(table, netlists_folder())])
    assert "netlist of the user's own, 40 simulations, ngspice-test" in told
    assert "axes rval unit ohm first 500 last 2000 points 40" in told
    assert "deck mine" in told
    assert "netlist rc.cir" in told


def test_a_users_netlist_is_not_taken_for_one_of_the_projects(tmp_path: Path) -> None:
    path = written(tmp_path, mtj_write_cir=RC, mine_toml=SWEEP.replace("rc.cir", "mtj_write.cir"))
    assert changed_netlists(make_table(load(path), engine(tmp_path)), netlists_folder()) == []


def test_the_time_limit_is_the_decks(tmp_path: Path) -> None:
    slow = RC.replace(".tran 1p 3n 0 1p", ".tran 1p 1m 0 1p")
    path = written(tmp_path, rc_cir=slow, mine_toml=SWEEP + "[parameters]\ncval = 1e-12\n")
    with pytest.raises(SpicebridgeError, match=r"it ran past 0\.3 s"):
        make_table(load(path, time_limit=0.3, **{"axes.rval.values": [500]}), engine(tmp_path))


def test_twenty_thousand_decks_are_not_held_at_once(tmp_path: Path) -> None:
    sweep = SWEEP.replace("values = [500, 1000, 2000]", "start = 500\nstop = 2000\npoints = 20000")
    units = Units(load(written(tmp_path, rc_cir=RC, mine_toml=sweep)), batch=1)
    digests = set()
    tracemalloc.start()
    try:
        for position in range(len(units)):
            digests.add(hash(units[position].deck.text))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(digests) == 20_000
    assert peak < 4e6  # bytes, the set of hashes itself included; the decks are 8 MB of text


# Batches


def test_batched_points_have_the_values_of_single_ones(tmp_path: Path) -> None:
    sweep = SWEEP.replace("values = [500, 1000, 2000]", "start = 500\nstop = 2000\npoints = 7")
    sweep += '[axes.cval]\nunit = "F"\nvalues = [1e-12, 2e-12]\n[measures.V2NS]\nunit = "V"\n'
    path = written(tmp_path, rc_cir=RC, mine_toml=sweep)
    alone = make_table(load(path), engine(tmp_path))
    together = make_table(load(path, batch=4), engine(tmp_path))
    assert stored(tmp_path) == 14 + 4
    for name in ("v1ns", "V2NS"):
        assert together.data[name].values == pytest.approx(alone.data[name].values, rel=1e-4)
    assert (together.lineage["batch"], together.lineage["simulations"]) == (4, 4)
    assert make_table(definition_of(together), engine(tmp_path)).digest == together.digest


def test_points_of_a_batch_agree_in_what_its_copies_share(tmp_path: Path) -> None:
    deck = RC.replace(".param t_read=1n", ".param t_read=1n t_stop=3n").replace(
        "1p 3n 0 1p", "1p {t_stop} 0 1p"
    )
    sweep = SWEEP + '[axes.t_stop]\nunit = "s"\nvalues = [3e-9, 4e-9]\n'
    made = load(written(tmp_path, rc_cir=deck, mine_toml=sweep), batch=2)
    units = Units(made, batch=2)
    points = [units.points(position) for position in range(len(units))]
    assert [{point[1] for point in each} for each in points] == [{0}, {0}, {1}, {1}]
    assert sorted(point for each in points for point in each) == [(r, t) for r in range(3) for t in range(2)]
    table = make_table(made, engine(tmp_path))
    assert table.data["v1ns"].values == pytest.approx(
        np.tile(charged([[500], [1000], [2000]], 1e-12), 2), rel=2e-3
    )


def test_a_batch_that_fails_is_run_again_point_by_point(tmp_path: Path) -> None:
    deck = RC.replace(
        "r1 in out {rval}", "r1 in out {rval}\nb1 out 0 i={rval==1000 ? ln(-1-abs(v(out))) : 0}"
    )
    path = written(tmp_path, rc_cir=deck, mine_toml=SWEEP)
    singly = make_table(load(path), engine(tmp_path))
    table = make_table(load(path, batch=3), engine(tmp_path))
    assert np.isnan(singly.data["v1ns"].values).tolist() == [False, True, False]
    assert np.array_equal(table.data["v1ns"].values, singly.data["v1ns"].values, equal_nan=True)
    assert table.lineage["failed"] == singly.lineage["failed"]


def test_a_deck_that_cannot_be_batched_is_refused_with_the_reason(tmp_path: Path) -> None:
    deck = RC.replace(".tran 1p 3n 0 1p", ".dc v1 0 1 0.5").replace("tran ", "dc ")
    made = load(written(tmp_path, rc_cir=deck, mine_toml=SWEEP), batch=2)
    with pytest.raises(DefinitionError, match=r"mine: batch = 2 does not suit this deck: .* Leave batch out"):
        make_table(made, engine(tmp_path))


# The documentation's examples


def documented(folder: Path) -> set[str]:
    """The files that the page shows, each named in its first line, written into the folder."""
    page = (DOCS / "own_netlist.md").read_text(encoding="utf-8")
    names = set()
    for block in re.findall(r"```\w+\n(.*?)```", page, re.DOTALL):
        if match := re.match(r"(?:\*|#|//) (\w+\.(?:cir|lib|va|toml))", block):
            (folder / match[1]).write_text(block, encoding="utf-8")
            names.add(match[1])
    return names


def test_the_documented_example_runs_by_itself_and_as_a_sweep(tmp_path: Path, ngspice_program: str) -> None:
    assert (DOCS / "rc.toml").read_text() in (DOCS / "own_netlist.md").read_text()
    for name in ("rc.cir", "rc.toml"):
        shutil.copy(DOCS / name, tmp_path)
    run = subprocess.run(
        [ngspice_program, "-b", "rc.cir"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    bare = float(re.findall(r"^v1ns\s+=\s+(\S+)", run.stdout, re.MULTILINE)[0])
    table = make_table(load(str(tmp_path / "rc.toml")), engine(tmp_path))
    assert (table.name, table.data["v1ns"].shape) == ("rc", (12,))
    assert np.all(np.diff(table.data["v1ns"].values) < 0)
    assert table.data["v1ns"].values[0] == pytest.approx(bare, rel=1e-5)  # the deck's own rval is the first


def test_the_documented_corners_run(tmp_path: Path) -> None:
    assert documented(tmp_path) == {"corners.cir", "models.lib", "shunt.va", "corners.toml"}
    table = make_table(load(str(tmp_path / "corners.toml")), engine(tmp_path))
    current = -table.data["i_on"]
    assert current.dims == ("corner", "t", "vg")
    assert bool((current.sel(corner="ff") > current.sel(corner="tt")).all())
    assert bool((current.diff("vg") > 0).all())
    shunted = -LookupTable(data=table.data, name="c", lineage={}, origin={}).read(
        "i_on", corner="tt", t=27, vg=0.8
    )
    assert shunted > 0.6e-6


def test_the_documented_keys_are_the_ones_there_are() -> None:
    page = (DOCS / "own_netlist.md").read_text(encoding="utf-8")
    table = page.partition("## Every key")[2].partition("\n## ")[0]
    for key in ("deck", "about", "files", "[parameters]", "batch", "time_limit", "long_name", "scale"):
        assert f"`{key}`" in table, key
    for key in ("unit", "start", "spacing", "values", "library"):
        assert f"`axes.NAME.{key}`" in table, key


@pytest.mark.parametrize("labels", ["true", "false"])
def test_whether_an_axis_holds_labels_stays_with_the_table(tmp_path: Path, labels: str) -> None:
    own = SWEEP.replace("[axes.rval]", f"[axes.rval]\nlabels = {labels}")
    path = written(tmp_path, rc_cir=RC, mine_toml=own)
    made = make_table(load(path), engine(tmp_path))
    made.save(tmp_path / "kept.h5")
    table = load_table(tmp_path / "kept.h5")
    again = definition_of(table)
    assert isinstance(again, NetlistDefinition)
    assert again.axes[0].labels is (labels == "true")
    if labels == "true":
        with pytest.raises(SpicebridgeError, match=r"rval=700 .* The nearest: 500, 1000"):
            table.read("v1ns", rval=700)
    else:
        assert float(table.read("v1ns", rval=1000)) == pytest.approx(charged(1000, 1e-12), rel=1e-3)
