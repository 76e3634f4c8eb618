"""Sweeps: nothing is simulated twice, a stop costs nothing, and who computes the values does not matter."""

from __future__ import annotations

import itertools
import re
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from characterization import mtj_write
from characterization.definition import (
    Definition,
    DefinitionError,
    available_definitions,
    axis,
    load_definition,
)
from characterization.mtj_write import device_seeds
from characterization.run import definition_of, make_table
from circuits.cell import Cell
from circuits.mtj_branch import load_line_deck, write_deck
from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import Waveforms
from spicebridge.sweep import Engine, Outcome, Unit
from spicebridge.table import TableError, load_table
from spicebridge.workers import simulate

RC = ".param r={r}\nv1 in 0 pulse(0 1 0 1f 1f 1)\nr1 in out {{r}}\nc1 out 0 1p\n.tran 10p 3n\n"
READ = {"v_read": [0.2], "t_read": [0.5e-9]}
WRITE = {
    "v_write": [0.5, 0.6],
    "v_sampled": [0.6],
    "t_step": 100e-12,
    "t_max": 1e-9,
    "first_seed": 1,
    "samples": 18,
    "tail_samples": 0,
}


def rc(r: float, *, model: str = "") -> Deck:
    return make_deck(RC.format(r=r) + model, folder=Path(), name=f"rc_{r:g}")


def final_voltage(recorded: Waveforms, *, scale: float) -> dict[str, Any]:
    return {"v": np.array([scale * recorded["out"][-1]])}


def unit(r: float, *, scale: float = 1.0, model: str = "") -> Unit:
    return Unit(rc(r, model=model), final_voltage, {"scale": scale})


def engine(folder: Path, *, workers: int = 1, **more: Any) -> Engine:
    return Engine(store=folder / "points.sqlite", workers=workers, version="ngspice-test", **more)


def stored(folder: Path) -> dict[str, int]:
    """The finished units and the place of each in the file, which changes if it is written again."""
    if not (folder / "points.sqlite").exists():
        return {}
    with sqlite3.connect(folder / "points.sqlite") as file:
        return dict(file.execute("SELECT key, rowid FROM units").fetchall())


def values(outcomes: list[Outcome]) -> list[Any]:
    """What each unit measured."""
    assert all(each.values is not None for each in outcomes), outcomes
    return [each.values for each in outcomes]


def definition(procedure: str, sweep: dict[str, Any], **cell: Any) -> Definition:
    """A tiny definition, its cell changed."""
    base = load_definition(procedure, size="quick")
    return replace(base, name="tiny", sweep=sweep, cell=replace(base.cell, **cell))


# The engine


def test_a_finished_unit_is_never_simulated_twice(tmp_path: Path) -> None:
    units = [unit(1000), unit(2000)]
    first = values(engine(tmp_path).run(units))
    before = stored(tmp_path)
    told: list[tuple[int, int, int]] = []
    came: list[tuple[int, int]] = []
    second = engine(
        tmp_path, progress=lambda *counts: told.append(counts), counts=lambda *counts: came.append(counts)
    )
    again = values(second.run([*units, unit(3000)]))
    after = stored(tmp_path)
    assert first[0]["v"] == pytest.approx([1 - np.exp(-3)], rel=1e-3)
    assert [each["v"].tolist() for each in again[:2]] == [each["v"].tolist() for each in first]
    assert before.items() < after.items()
    assert len(after) == 3
    assert came == [(1, 2)]
    assert told[0] == (0, 3, 0)
    assert told[-1] == (3, 3, 0)


def test_equal_units_in_one_sweep_are_one_simulation(tmp_path: Path) -> None:
    ended = values(engine(tmp_path, workers=2).run([unit(1000), unit(2000), unit(1000)]))
    assert len(stored(tmp_path)) == 2
    assert ended[0] == ended[2] != ended[1]


def test_units_are_made_when_they_are_needed_and_each_once(tmp_path: Path) -> None:
    made: list[int] = []

    class Units(Sequence[Unit]):
        def __len__(self) -> int:
            return 500

        def __getitem__(self, index: Any) -> Any:
            made.append(index)
            return unit(1000 + index)

    outcomes = engine(tmp_path).stream(Units())
    next(outcomes)
    assert len(made) < 200
    ended = [index for index, _ in outcomes]
    assert len(ended) == 499
    assert made == list(range(500))


@pytest.mark.parametrize("what", ["deck", "arguments", "measure", "engine"])
def test_a_units_key_changes_with(what: str) -> None:
    key = unit(1000).key("ngspice-46")
    if what == "deck":
        assert unit(1001).key("ngspice-46") != key
    elif what == "arguments":
        assert unit(1000, scale=2.0).key("ngspice-46") != key
    elif what == "measure":
        assert replace(unit(1000), measure=another_measure).key("ngspice-46") != key
    else:
        assert unit(1000).key("ngspice-47") != key
    assert unit(1000).key("ngspice-46") == key


def another_measure(recorded: Waveforms, *, scale: float) -> dict[str, Any]:
    return {"v": np.array([scale * recorded["out"][0]])}


def test_a_change_in_a_measures_code_is_another_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code counts; comments and docstrings do not."""
    code = 'def measure(recorded):\n    """{doc}"""\n    return recorded["out"][{at}:]  # {comment}\n'
    variants = {
        "measure_one": code.format(doc="One.", comment="a", at=-1),
        "measure_two": code.format(doc="Two.", comment="b", at=-1),
        "measure_three": code.format(doc="One.", comment="a", at=-2),
    }
    monkeypatch.syspath_prepend(str(tmp_path))
    keys = []
    for name, text in variants.items():
        (tmp_path / f"{name}.py").write_text(text)
        keys.append(Unit(rc(1000), __import__(name).measure, {}).key("ngspice-46"))
    assert keys[0] == keys[1] != keys[2]


def test_a_sweep_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    units = [unit(1000 + 10 * number) for number in range(6)]
    expected = values(engine(tmp_path / "whole").run(units))

    def stop(done: int, _total: int, _failed: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine(tmp_path / "parts", progress=stop).run(units)
    before = stored(tmp_path / "parts")
    resumed = values(engine(tmp_path / "parts").run(units))
    assert len(before) == 3
    assert before.items() < stored(tmp_path / "parts").items()
    assert [each["v"].tobytes() for each in resumed] == [each["v"].tobytes() for each in expected]


def test_a_failed_unit_has_its_deck_and_log_kept_and_the_others_their_values(
    tmp_path: Path, results: Path
) -> None:
    bad = unit(1500, model="x1 out 0 nosuch\n")
    told: list[tuple[int, int, int]] = []
    ended = engine(tmp_path, progress=lambda *counts: told.append(counts)).run([unit(1000), bad, unit(2000)])
    assert [each.values is None for each in ended] == [False, True, False]
    assert told[-1] == (3, 3, 1)
    failure = ended[1].failure
    assert failure is not None
    assert failure.deck == results / "failed" / f"{bad.deck.digest[:12]}.cir"
    assert failure.deck.read_text() == bad.deck.replayable()
    assert failure.log is not None
    assert "unknown subckt: x1 out 0 nosuch" in failure.log.read_text()
    assert re.search(r"(?s)unknown subckt.*Deck kept", failure.message)
    before = stored(tmp_path)
    assert len(before) == 2
    assert engine(tmp_path).run([unit(1000), bad, unit(2000)])[1].failure is not None
    assert stored(tmp_path) == before


# Whole tables


def test_two_workers_make_the_same_read_table_as_one(tmp_path: Path, results: Path) -> None:
    made = definition("synapse_read", READ | {"v_read": [0.1, 0.2]})
    one = make_table(made, engine(tmp_path / "one"))
    two = make_table(made, engine(tmp_path / "two", workers=2))
    assert one.digest == two.digest
    one.save(results / "tables" / "tiny.h5")
    assert load_table(results / "tables" / "tiny.h5").digest == one.digest


@pytest.mark.usefixtures("results")
def test_a_write_table_is_the_same_from_two_workers_or_resumed_and_a_change_reruns_what_it_touches(
    tmp_path: Path,
) -> None:
    made = definition("mtj_write", WRITE)
    one = make_table(made, engine(tmp_path / "one"))
    two = make_table(made, engine(tmp_path / "two", workers=2))
    assert one.digest == two.digest
    assert int(one.data["n_samples"].max("t_pulse").sum()) == 36

    with sqlite3.connect(tmp_path / "two" / "points.sqlite") as file:
        file.execute("DELETE FROM units WHERE rowid % 2 = 0")
    assert make_table(made, engine(tmp_path / "two", workers=2)).digest == one.digest

    before = stored(tmp_path / "one")
    wider = make_table(
        replace(made, sweep=WRITE | {"v_write": [0.5, 0.6, 0.7]}), engine(tmp_path / "one", workers=2)
    )
    after = stored(tmp_path / "one")
    assert before.items() < after.items()
    assert len(after) - len(before) == 6  # load line, edges and half-selection for each direction
    for quantity in ("p_switch", "n_switched", "energy"):
        narrow, wide = one.data[quantity], wider.data[quantity].sel(v_write=[0.5, 0.6])
        assert np.array_equal(narrow.values, wide.values, equal_nan=True), quantity
    assert wider.digest != one.digest


@pytest.mark.usefixtures("results")
def test_a_changed_cell_is_simulated_anew_and_changes_values_and_lineage(tmp_path: Path) -> None:
    base = make_table(definition("synapse_read", READ), engine(tmp_path))
    before = stored(tmp_path)
    other = make_table(definition("synapse_read", READ, mtj="mtj_a"), engine(tmp_path))
    assert before.items() < stored(tmp_path).items()
    assert other.digest != base.digest
    assert not np.array_equal(other.data["current"], base.data["current"])
    assert other.lineage["parameters"]["diameter"]["value"] == pytest.approx(40e-9)
    assert set(other.lineage["decks"]).isdisjoint(base.lineage["decks"])


@pytest.mark.usefixtures("results")
def test_netlists_edited_while_they_are_swept_make_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(netlists_folder(), tmp_path / "netlists")
    monkeypatch.setattr("spicebridge.project._ROOT", tmp_path)
    edited = tmp_path / "netlists" / "cells.lib"
    made = definition("synapse_read", READ)

    def edit(ended: int, _total: int, _failed: int) -> None:
        if ended == 1:
            edited.write_text(edited.read_text() + text)

    text = "* a comment\n"
    table = make_table(made, engine(tmp_path / "commented", progress=edit))
    text = ".param nobody_reads=1\n"
    with pytest.raises(SpicebridgeError, match=r"cells\.lib changed while tiny was swept"):
        make_table(made, engine(tmp_path / "edited", progress=edit))
    again = make_table(made, engine(tmp_path / "edited"))
    assert again.digest != table.digest
    assert again.data.equals(table.data)


@pytest.mark.usefixtures("results")
def test_a_table_says_how_to_make_it_again(tmp_path: Path) -> None:
    table = make_table(definition("synapse_read", READ), engine(tmp_path))
    assert make_table(definition_of(table), engine(tmp_path)).digest == table.digest
    assert all(each["unit"] and each["source"] for each in table.lineage["parameters"].values())
    assert not any(str(tmp_path) in str(each) for each in (table.lineage, table.origin))


# Seeds


def test_every_device_of_a_table_has_a_seed_of_its_own() -> None:
    voltages = [round(0.4 + 0.001 * step, 3) for step in range(9)]
    points = itertools.product(("ap_to_p", "p_to_ap"), voltages)
    seeds = [seed for direction, v in points for seed in device_seeds(1, direction, v, 900)]
    assert len(set(seeds)) == len(seeds) == 2 * 9 * 900
    assert min(seeds) >= 1
    assert max(seeds) < 2**29


def test_more_samples_keep_the_first_ones_seeds() -> None:
    assert device_seeds(1, "ap_to_p", 0.5, 900)[:225] == device_seeds(1, "ap_to_p", 0.5, 225)


def test_seeds_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DefinitionError, match="do not fit the seeds of a table"):
        device_seeds(1, "ap_to_p", 0.5, 4097)
    with pytest.raises(DefinitionError, match="do not fit the seeds of a table"):
        device_seeds(2**29 - 10, "ap_to_p", 0.5, 225)
    with pytest.raises(DefinitionError, match="whole number of millivolts"):
        device_seeds(1, "ap_to_p", 0.5004, 225)


@pytest.mark.usefixtures("results")
def test_the_seeds_stand_in_the_deck() -> None:
    cell = load_definition("mtj_write", size="quick").cell
    seeds = device_seeds(1, "p_to_ap", 0.5, 3)
    deck = write_deck(cell, direction="p_to_ap", v_write=0.5, seeds=seeds, t_stop=1e-9)
    assert all(f"seed={seed} " in deck.text for seed in seeds)
    assert mtj_write.DEVICES_PER_DECK >= 225


# Definitions


@pytest.mark.parametrize("name", available_definitions())
@pytest.mark.parametrize("size", ["quick", "full"])
def test_every_definition_loads_in_every_size(name: str, size: str) -> None:
    assert load_definition(name, size=size).about


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    "name",
    [name for name in available_definitions() if type(load_definition(name, size="quick").cell) is Cell],
)
def test_the_devices_of_every_access_cells_definition_load(name: str) -> None:
    cell = load_definition(name, size="quick").cell
    deck = load_line_deck(cell, direction="ap_to_p", v_write=0.5, mz=np.array([-1.0, 1.0]))
    current = simulate(deck)["i(vref1)"]
    assert 5e-6 < abs(float(current[0])) < 200e-6


def write_definition(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


GOOD = 'procedure = "synapse_read"\n[sweep]\nv_read = [0.2]\nt_read = [1e-9]\n'


def test_a_definition_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    marked, plain = (
        load_definition(write_definition(tmp_path, text), size="quick") for text in (f"\ufeff{GOOD}", GOOD)
    )
    assert marked == plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("procedure = ", "is not valid TOML"),
        ('procedure = "synapse_read"\n', r"mine\.toml: missing: sweep\. A definition has procedure, about"),
        ("", r"mine\.toml: it is empty\. A definition has procedure, .*, or deck, axes, measures for"),
        ('[axes.r]\nunit = "ohm"\nvalues = [1]\n', r"mine\.toml: deck is missing\."),
        ('[measures.v]\nunit = "V"\n', r"mine\.toml: deck is missing\."),
        (GOOD + "[sweeep]\n", r"mine\.toml: unknown: sweeep\. A definition has"),
        (GOOD.replace("[sweep]", "[sweeep]"), r"mine\.toml: unknown: sweeep; missing: sweep\. A definition"),
        ('procedure = "synapse_read"\nsweep = 3\n', "sweep should be a section"),
        ("cell = 3\n" + GOOD, "cell should be a section"),
        (GOOD + "[cell]\nmjt = 'mtj_a'\n", "a cell has no 'mjt'. It has: mtj, card"),
        (GOOD + "[cell]\nw_n = 'wide'\n", "cell w_n = 'wide' should be a positive number"),
        (GOOD + "[cell]\nw_n = -1e-6\n", "should be a positive number"),
        (GOOD + "[cell]\nmtj = 3\n", "cell mtj = 3 should be a name"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused_plainly(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SpicebridgeError, match=words):
        load_definition(write_definition(tmp_path, text), size="quick")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            GOOD.replace("synapse_read", "synapse_reed"),
            "asks for procedure 'synapse_reed'. There are: array_read, array_write, mtj_write",
        ),
        (GOOD.replace("[0.2]", "0.2"), "axis v_read is 0.2: give a list"),
        (GOOD.replace("[0.2]", "[0.2, 0.1]"), "axis v_read must be finite and strictly increasing"),
        (GOOD.replace("[0.2]", "[nan]"), "axis v_read must be finite"),
        (GOOD.replace("[0.2]", "[]"), "axis v_read needs a list of at least one value"),
        (
            GOOD.replace("[0.2]", "{start = 0.1, stop = 0.2}"),
            "axis v_read needs numbers start and stop, and points",
        ),
        (GOOD.replace("[0.2]", "{start = 0.1, stop = 0.2, points = 0}"), "points, 1 to"),
        (
            GOOD.replace("v_read", "v_raed"),
            r"mine sweep: unknown: v_raed; missing: v_read\. It takes v_",
        ),
        (GOOD + "v_raed = [0.2]\n", r"mine sweep: unknown: v_raed\. It takes v_read, t_read, t_gap\.$"),
        (
            GOOD.replace("v_read = [0.2]\n", ""),
            r"mine sweep: missing: v_read\. It takes v_read, t_read, t_gap\.$",
        ),
        (
            GOOD + "[cell]\nmtj = 'mtj_z'\n",
            r"no devices/mtj_z\.lib in netlists\. Known there: mtj_a, mtj_array, mtj_b",
        ),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused_plainly(tmp_path: Path, text: str, words: str) -> None:
    made = load_definition(write_definition(tmp_path, text), size="quick")
    with pytest.raises(SpicebridgeError, match=words):
        make_table(made, engine(tmp_path))
    assert stored(tmp_path) == {}


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("samples", 0, "samples = 0 should be a whole number"),
        ("samples", 2.5, "should be a whole number"),
        ("samples", 5000, "do not fit the seeds"),
        ("t_step", "fast", "t_step = 'fast' should be a positive number"),
        ("t_step", -1e-12, "should be a positive number"),
        ("t_max", 1e-12, "must be positive and at most t_max"),
        ("v_sampled", [0.55], r"v_sampled \[0.55\] is not on the v_write axis"),
    ],
)
def test_a_write_sweep_that_makes_no_sense_is_refused_plainly(
    tmp_path: Path, results: Path, setting: str, value: Any, words: str
) -> None:
    with pytest.raises(SpicebridgeError, match=words):
        make_table(definition("mtj_write", WRITE | {setting: value}), engine(tmp_path, workers=2))
    assert not (results / "tables").exists()


def test_an_override_is_checked_like_the_file() -> None:
    made = load_definition("synapse_read", size="quick", overrides={"cell.temperature": 350, "v_read": [0.1]})
    assert made.cell.temperature == 350
    assert made.sweep["v_read"] == [0.1]
    with pytest.raises(DefinitionError, match=r"has no setting 'cel.temperature'. It has: cell.mtj"):
        load_definition("synapse_read", size="quick", overrides={"cel.temperature": 350})
    with pytest.raises(SpicebridgeError, match="a cell has no 'temprature'"):
        load_definition("synapse_read", size="quick", overrides={"cell.temprature": 350})


@pytest.mark.parametrize("text", [GOOD, 'deck = "rc.cir"\n'])
def test_a_file_of_ones_own_may_not_have_the_name_of_a_table_of_the_projects(
    tmp_path: Path, text: str
) -> None:
    own = tmp_path / "mtj_write.toml"
    own.write_text(text)
    with pytest.raises(
        DefinitionError, match=r"mtj_write is one that comes with the project.*Rename the"
    ) as told:
        load_definition(str(own), size="quick")
    assert str(own) in str(told.value)
    projects = Path(__file__).parent.parent / "characterization" / "tables" / "mtj_write.toml"
    assert load_definition(str(projects), size="quick") == load_definition("mtj_write", size="quick")


def test_a_misspelt_definition_is_told_with_the_nearest() -> None:
    with pytest.raises(DefinitionError, match=r"no table definition 'mtj_wirte'\. Did you mean mtj_write\?"):
        load_definition("mtj_wirte", size="quick")


def test_an_axis_from_its_ends_has_the_values_one_would_write() -> None:
    assert axis("v", {"start": 0.4, "stop": 0.6, "points": 9})[2] == 0.45
    assert axis("t", {"start": 0.25e-12, "stop": 1e-12, "points": 4}) == (0.25e-12, 0.5e-12, 0.75e-12, 1e-12)
    with pytest.raises(TableError, match="strictly increasing"):
        axis("v", {"start": 1.0, "stop": 0.0, "points": 3})
