"""Verification: a sound table passes by the bare route, and one wrong value is found and named."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from characterization.definition import load_definition
from characterization.narrowed import place
from characterization.run import make_table
from characterization.synapse_read import READS
from characterization.verify import (
    BATCHED_TOLERANCE,
    FLOOR,
    TOLERANCE,
    Verification,
    cost_text,
    plan,
    verification_record,
    verification_text,
    verify,
)
from spicebridge import bare
from spicebridge.bare import BareEngine
from spicebridge.errors import SpicebridgeError
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable, TableError, load_table

READ = {"v_read": [0.1, 0.2], "t_read": [0.3e-9, 0.5e-9]}
WRITE = {
    "v_write": [0.5, 0.6],
    "v_sampled": [0.6],
    "t_step": 100e-12,
    "t_max": 1e-9,
    "first_seed": 1,
    "samples": 18,
    "tail_samples": 18,
}


@pytest.fixture(scope="module")
def tables(
    compiled_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, LookupTable]]:
    """A tiny table of each procedure, made once by the engine."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "cache").mkdir()
    (folder / "cache" / "models").symlink_to(compiled_models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder))
        engine = Engine(store=folder / "store", workers=2, version="ngspice-46")
        yield {
            name: make_table(replace(load_definition(name, size="quick"), sweep=sweep), engine)
            for name, sweep in (("synapse_read", READ), ("mtj_write", WRITE))
        }


@pytest.fixture
def engine(results: Path) -> BareEngine:
    return BareEngine(folder=results / "verify", workers=2)


def altered(
    table: LookupTable, quantity: str, at: dict[str, Any], factor: float, folder: Path
) -> LookupTable:
    """The table with one value changed and a digest that is right, as read from a file."""
    data = table.data.copy(deep=True)
    data[quantity].loc[at] = data[quantity].sel(at) * factor
    replace(table, data=data).save(folder / "altered.h5")
    return load_table(folder / "altered.h5")


def wrong(verification: Verification) -> list[tuple[str, dict[str, Any], str]]:
    return [(each.quantity, dict(each.at), each.verdict) for each in verification.entries if not each.ok]


# Sound tables


def test_a_sound_read_table_is_verified(tables: dict[str, LookupTable], engine: BareEngine) -> None:
    table = tables["synapse_read"]
    told: list[tuple[int, int, int]] = []
    chosen = plan(table, entries=6, seed=3)
    engine = replace(engine, progress=lambda *counts: told.append(counts))
    verification = verify(chosen, engine=engine)
    assert verification.ok
    assert verification.tolerance == TOLERANCE
    assert verification.points == 6
    # A quantity without the axes of a sequence of reads has one value for several points.
    places = {
        place(table, name, point)
        for part in chosen.parts
        for point in part.points
        for name in table.quantities
    }
    assert len(verification.entries) == len(places)
    for entry in verification.entries:
        assert entry.recorded == float(table.data[entry.quantity].sel(entry.at))
        assert entry.difference <= TOLERANCE
    assert any(entry.again != 0 for entry in verification.entries if entry.quantity == "current")
    assert told == [(count, chosen.simulations, 0) for count in range(1, chosen.simulations + 1)]
    assert verification.simulations == chosen.simulations == len(verification.decks)
    for path in verification.decks:
        assert path.parent == engine.folder
        assert path.read_text().splitlines()[0].split()[-1] in table.lineage["decks"]


def test_a_sound_write_table_is_verified_devices_and_all(
    tables: dict[str, LookupTable], engine: BareEngine
) -> None:
    table = tables["mtj_write"]
    chosen = plan(table, entries=12, seed=1, at={"v_write": 0.6})
    assert (chosen.simulations, chosen.devices) == (2 * (3 + 2), 2 * 36)
    verification = verify(chosen, engine=engine)
    assert verification.ok
    assert {entry.quantity for entry in verification.entries} == set(table.quantities)
    assert all(entry.at["v_write"] == 0.6 for entry in verification.entries)
    counted = [entry for entry in verification.entries if entry.quantity == "n_samples"]
    assert any(entry.recorded >= 18 for entry in counted)
    assert any(np.isnan(entry.recorded) and np.isnan(entry.again) for entry in verification.entries)
    # A quantity without the axis t_pulse is compared once at each point of its own axes.
    places = [(entry.quantity, *entry.at.items()) for entry in verification.entries]
    assert len(set(places)) == len(places)


def test_a_voltage_that_was_not_sampled_costs_few_devices(
    tables: dict[str, LookupTable], engine: BareEngine
) -> None:
    table = replace(
        tables["mtj_write"],
        lineage=tables["mtj_write"].lineage | {"sweep": WRITE | {"samples": 900, "tail_samples": 3150}},
    )
    assert plan(table, entries=1, seed=1, at={"v_write": 0.6}).devices == 2 * 4050
    chosen = plan(table, entries=3, seed=1, at={"v_write": 0.5})
    assert chosen.devices == 2 * 18
    assert verify(chosen, engine=engine).ok


# Tables of a user's own netlist

NETLIST = """an RC line of two resistors
.param rval=1k vin=1
.lib "parts.lib" small
v1 in 0 pulse(0 {{vin}} 0 10p 10p 1)
r1 in out {{rval}}
c1 out 0 {{cval}}
.tran {steps}
.meas tran v1ns find v(out) at=1n
.meas tran t_half when v(out)=0.5
.end
"""
LIBRARY = ".lib small\n.param cval=0.5p\n.endl\n.lib large\n.param cval=1p\n.endl\n"
SWEEP = """deck = "rc.cir"
files = ["parts.lib"]
{batch}
[axes.corner]
library = "parts.lib"
values = ["small", "large"]
[axes.vin]
unit = "V"
values = [0.4, 1.0]
[axes.rval]
unit = "ohm"
start = 300.0
stop = 2000.0
points = 4
[measures.v1ns]
unit = "V"
[measures.t_half]
unit = "s"
"""


def netlist_table(
    folder: Path, *, batch: int = 1, steps: str = "10p 4n", time_limit: float = 60.0
) -> LookupTable:
    """A small table of a netlist, as read from its file."""
    more = f"batch = {batch}\ntime_limit = {time_limit}"
    for name, text in (
        ("rc.cir", NETLIST.format(steps=steps)),
        ("parts.lib", LIBRARY),
        ("rc.toml", SWEEP.format(batch=more)),
    ):
        (folder / name).write_text(text)
    made = load_definition(str(folder / "rc.toml"), size="full")
    make_table(made, Engine(folder / "store", 1, "ngspice-46")).save(folder / "rc.h5")
    return load_table(folder / "rc.h5")


def test_a_table_of_a_netlist_is_verified_and_one_wrong_value_is_found(
    engine: BareEngine, tmp_path: Path
) -> None:
    table = netlist_table(tmp_path)
    chosen = plan(table, entries=100, seed=1)
    assert (chosen.points, chosen.simulations, chosen.devices) == (16, 16, 0)
    verification = verify(chosen, engine=engine)
    assert verification.ok
    assert len(verification.entries) == 16 * 2
    assert len(set(verification.decks)) == 16
    for entry in verification.entries:
        capacitance = {"small": 0.5e-12, "large": 1e-12}[str(entry.at["corner"])]
        tau, v_in = float(entry.at["rval"]) * capacitance, float(entry.at["vin"])
        if entry.quantity == "t_half" and v_in < 0.5:
            assert entry.verdict == "hole"
            assert np.isnan(entry.again)
            continue
        assert entry.verdict == "same"
        edge = 5e-12  # its half, by which the formula's step is late
        formula = v_in * (1 - np.exp(-(1e-9 - edge) / tau))
        if entry.quantity == "t_half":
            formula = edge + tau * np.log(v_in / (v_in - 0.5))
        assert entry.again == pytest.approx(formula, rel=2e-2)

    at = {"corner": "large", "vin": 1.0, "rval": 300.0}
    changed = altered(table, "t_half", at, 1.001, tmp_path)
    assert wrong(verify(plan(changed, entries=100, seed=1), engine=engine)) == [("t_half", at, "differs")]


def test_a_batched_table_is_verified_point_by_point_within_a_looser_tolerance(
    engine: BareEngine, tmp_path: Path
) -> None:
    table = netlist_table(tmp_path, batch=4, steps="200p 10n")
    assert table.lineage["simulations"] == 4
    chosen = plan(table, entries=100, seed=1)
    assert chosen.simulations == 16
    verification = verify(chosen, engine=engine)
    assert verification.ok
    assert verification.tolerance == BATCHED_TOLERANCE
    strict = verify(chosen, tolerance=0.0, engine=engine)
    assert not strict.ok  # the copies' time steps do differ
    assert "shared decks, and so time steps" in verification_text(strict)


def test_a_batched_table_with_bounded_steps_is_the_same_to_rounding(
    engine: BareEngine, tmp_path: Path
) -> None:
    verification = verify(
        plan(netlist_table(tmp_path, batch=4, steps="10p 4n 0 10p"), entries=100, seed=1),
        tolerance=TOLERANCE,
        engine=engine,
    )
    assert verification.ok
    assert "shared decks" not in verification_text(verification)


def test_a_netlists_own_time_limit_holds(engine: BareEngine, tmp_path: Path) -> None:
    table = netlist_table(tmp_path)
    slow = replace(table, origin=table.origin | {"time_limit": 1e-6})
    verification = verify(plan(slow, entries=1, seed=1, at={"vin": 1.0}), engine=engine)
    assert {entry.verdict for entry in verification.entries} == {"failed"}
    (deck,) = verification.decks
    told = f"Failed now: it ran past 1e-06 s\n  Replay: ngspice -b {deck}   Log: {deck.with_suffix('.log')}"
    assert told in verification_text(verification)
    assert engine.time_limit == 600.0


def test_a_netlist_of_interpolated_points_is_verified(engine: BareEngine, tmp_path: Path) -> None:
    table = netlist_table(tmp_path, steps="10p 4n\n.options interp")
    verification = verify(plan(table, entries=4, seed=1, at={"vin": 1.0}), engine=engine)
    assert {entry.verdict for entry in verification.entries} == {"same"}


def test_a_measure_that_has_no_value_now_is_named(engine: BareEngine, tmp_path: Path) -> None:
    table = netlist_table(tmp_path)
    data = table.data.copy(deep=True)
    data["t_half"].loc[{"vin": 0.4}] = 1e-9
    lineage = {key: value for key, value in table.lineage.items() if key != "failed"}
    verification = verify(
        plan(replace(table, data=data, lineage=lineage), entries=1, seed=1, at={"vin": 0.4}), engine=engine
    )
    assert wrong(verification)[0][::2] == ("t_half", "failed")
    text = verification_text(verification)
    assert f"Failed now: .meas t_half gave no value\n  Replay: ngspice -b {verification.decks[0]}\n" in text


def test_a_table_whose_base_deck_is_gone_says_how_to_get_it(results: Path, tmp_path: Path) -> None:
    table = netlist_table(tmp_path)
    shutil.rmtree(results / "decks")
    with pytest.raises(SpicebridgeError, match=r"cannot be made again.*spicebridge characterize rc\.toml"):
        plan(table, entries=1, seed=1)


# The choice of points


def test_another_seed_chooses_other_points_and_the_same_seed_the_same(tables: dict[str, LookupTable]) -> None:
    def points(seed: int) -> list[Any]:
        return [part.points for part in plan(tables["synapse_read"], entries=5, seed=seed).parts]

    assert points(1) == points(1)
    assert points(1) != points(2)


def test_more_entries_than_points_are_all_points_once(tables: dict[str, LookupTable]) -> None:
    chosen = plan(tables["synapse_read"], entries=1000, seed=0, at={"v_read": 0.2 * (1 + 1e-12)})
    points = [tuple(point.items()) for part in chosen.parts for point in part.points]
    assert chosen.points == chosen.possible == len(set(points)) == 4 * 3 * 2 * len(READS)
    assert {dict(point)["v_read"] for point in points} == {0.2}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"entries": 0}, "entries = 0 should be at least 1"),
        ({"seed": -1}, "the seed -1 not below zero"),
        ({"at": {"v_raed": 0.2}}, r"no axis 'v_raed'\. It has: state, activation, v_read, t_read"),
        ({"at": {"v_read": 0.15}}, r"v_read=0\.15 is not on the axis .*Its values \[V\]: 0\.1, 0\.2\."),
        ({"at": {"state": "p"}}, r"state=p is not on the axis .*: ap_p, p_p, ap_ap, p_ap\."),
        ({"at": {"state": 1.0}}, r"state=1\.0 is not on the axis"),
        ({"at": {"v_read": "fast"}}, "v_read=fast is not on the axis"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(
    tables: dict[str, LookupTable], wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(TableError, match=words):
        plan(tables["synapse_read"], **({"entries": 1, "seed": 0} | wanted))


def test_a_table_of_changed_netlists_is_refused(tables: dict[str, LookupTable]) -> None:
    table = tables["synapse_read"]
    netlists = table.lineage["netlists"] | {"cells.lib": "0" * 64}
    old = replace(table, lineage=table.lineage | {"netlists": netlists})
    with pytest.raises(TableError, match=r"cells\.lib changed since table synapse_read was made"):
        plan(old, entries=1, seed=0)


def test_a_table_of_an_unknown_procedure_is_refused(tables: dict[str, LookupTable]) -> None:
    table = tables["synapse_read"]
    strange = replace(table, lineage=table.lineage | {"procedure": "guesswork"})
    with pytest.raises(TableError, match="procedure 'guesswork', which cannot be narrowed"):
        plan(strange, entries=1, seed=0)


# Wrong tables


@pytest.mark.parametrize(
    ("name", "quantity", "fixed"),
    [
        ("synapse_read", "current", {"activation": "+1", "state": "p_ap", "v_read": 0.2}),
        ("synapse_read", "energy", {"activation": "0"}),
        ("mtj_write", "energy", {"v_write": 0.5}),
        ("mtj_write", "energy_half_selected", {"v_write": 0.5}),
    ],
)
def test_one_value_off_by_a_thousandth_is_found_and_named(
    name: str,
    quantity: str,
    fixed: dict[str, Any],
    tables: dict[str, LookupTable],
    engine: BareEngine,
    tmp_path: Path,
) -> None:
    table = tables[name]
    first = dict(plan(table, entries=2, seed=7, at=fixed).parts[0].points[0])
    at = {str(axis): first[str(axis)] for axis in table.data[quantity].dims}
    changed = altered(table, quantity, at, 1.001, tmp_path)
    assert changed.digest != table.digest
    verification = verify(plan(changed, entries=2, seed=7, at=fixed), engine=engine)
    assert not verification.ok
    assert wrong(verification) == [(quantity, at, "differs")]
    (entry,) = (each for each in verification.entries if not each.ok)
    assert 1e-5 < entry.difference < 1.01e-3
    (line,) = (line for line in verification_text(verification).splitlines() if "differs  " in line[:12])
    assert quantity in line
    assert f"{entry.recorded:.9g}" in line
    assert all(f"{axis}=" in line for axis in at)
    assert "NOT verified" in verification_text(verification)
    assert verify(plan(changed, entries=2, seed=7, at=fixed), tolerance=1e-2, engine=engine).ok


def test_small_entries_are_held_to_the_largest_of_their_quantity(
    tables: dict[str, LookupTable], engine: BareEngine, tmp_path: Path
) -> None:
    table = tables["synapse_read"]
    at = {"state": "p_p", "activation": "0", "v_read": 0.1, "t_read": 0.5e-9}
    current = abs(float(table.data["current"].sel(at)))
    largest = float(np.abs(table.data["current"]).max())
    assert current < FLOOR * largest / 10
    changed = altered(table, "current", at, 1 + 1e-3 * FLOOR * largest / current, tmp_path)
    for tolerance, ok in ((1.1e-3, True), (0.9e-3, False)):
        verification = verify(plan(changed, entries=1, seed=0, at=at), tolerance=tolerance, engine=engine)
        assert verification.ok is ok
        (entry,) = (each for each in verification.entries if each.quantity == "current")
        assert entry.difference == pytest.approx(1e-3, rel=1e-6)


# Holes and failures


def with_hole(table: LookupTable, at: dict[str, Any]) -> LookupTable:
    data = table.data.copy(deep=True)
    for name in table.quantities:
        data[name].loc[at] = np.nan
    return replace(
        table, data=data, lineage=table.lineage | {"failed": [{"at": at, "deck": "0" * 64, "why": "hang"}]}
    )


def refuse_all(root: Path, ngspice_program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ngspice that tells its version and fails on every deck."""
    program = root / ".local" / "usr" / "bin" / "ngspice"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = -v ] && exec {shlex.quote(ngspice_program)} -v\n'
        'echo "out of luck" >&2\nexit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(bare, "_CHECKOUT", root)


HOLE = {"v_read": 0.2, "t_read": 0.5e-9}


def test_a_hole_that_would_fill_now_is_told_and_no_mismatch(
    tables: dict[str, LookupTable], engine: BareEngine
) -> None:
    table = with_hole(tables["synapse_read"], HOLE)
    verification = verify(plan(table, entries=8, seed=2, at={"v_read": 0.2}), engine=engine)
    assert verification.ok
    for entry in verification.entries:
        assert entry.verdict == ("filled" if entry.at["t_read"] == 0.5e-9 else "same")
    assert "in holes that characterizing again fills" in verification_text(verification)


def test_a_hole_that_fails_again_is_a_hole(
    tables: dict[str, LookupTable],
    engine: BareEngine,
    tmp_path: Path,
    ngspice_program: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_all(tmp_path, ngspice_program, monkeypatch)
    table = with_hole(tables["synapse_read"], HOLE)
    verification = verify(plan(table, entries=2, seed=2, at=HOLE), engine=engine)
    assert verification.ok
    assert {entry.verdict for entry in verification.entries} == {"hole"}


def test_a_value_whose_simulation_fails_now_is_a_mismatch(
    tables: dict[str, LookupTable],
    engine: BareEngine,
    tmp_path: Path,
    ngspice_program: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_all(tmp_path, ngspice_program, monkeypatch)
    verification = verify(plan(tables["synapse_read"], entries=2, seed=2, at=HOLE), engine=engine)
    assert not verification.ok
    assert {entry.verdict for entry in verification.entries if entry.quantity == "current"} == {"failed"}
    assert all(path.with_suffix(".log").read_text() == "out of luck\n\n" for path in verification.decks)


# Texts


def test_the_cost_and_the_outcome_are_told(tables: dict[str, LookupTable], engine: BareEngine) -> None:
    table = tables["mtj_write"]
    chosen = plan(table, entries=1, seed=4, at={"v_write": 0.6})
    assert cost_text(chosen) == (
        f"mtj_write: 1 of {chosen.possible} points, chosen by seed 4; 10 simulations, 72 stochastic devices "
        "in them"
    )
    verification = verify(chosen, engine=engine)
    text = verification_text(verification).splitlines()
    assert table.digest[:12] in text[0]
    assert "seed 4" in text[1]
    assert "within 1e-06 of the entry, or of 0.001 of its quantity's largest value" in text[2]
    assert text[-2].startswith(f"Verified: {len(table.quantities)} the same; largest difference")
    assert text[-1] == f"Decks kept: {engine.folder}"
    record = json.loads(json.dumps(verification_record(verification)))
    assert record["ok"] is True
    assert record["entries"][0]["at"]["v_write"] == 0.6
    assert record["decks"] == [str(path) for path in verification.decks]
