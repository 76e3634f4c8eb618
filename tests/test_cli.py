"""The command line: help that runs, exit codes, plain errors, and the whole chain in small."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import pytest
import xarray as xr

from spicebridge.catalog import find_record
from spicebridge.cli import main
from spicebridge.deck import make_deck
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable, load_table
from spicebridge.workers import Task, run_tasks

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "doctor", "list", "simulate", "compile", "characterize", "show", "verify", "train", "report", "trace",
)  # fmt: skip
RC = """charging
.param r=1k
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {r}
c1 out 0 1p
.tran 10p 3n
.meas tran v_end find v(out) at=2.9n
.meas tran never when v(out)=2
.end
"""
READ = 'procedure = "synapse_read"\n[sweep]\nv_read = [0.2]\nt_read = [1e-9]\n'
WRITE = """procedure = "mtj_write"
[sweep]
v_write = [0.6]
v_sampled = [0.6]
t_step = 50e-12
t_max = 9e-9
first_seed = 1
samples = 18
tail_samples = 0
"""
TRAIN = (
    "train", "digits_ternary_mtj", "--seeds", "1", "--set", "epochs=2", "--set", "hidden=[24]",
    "--set", "v_write=0.6",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def call(*arguments: object) -> Outcome:
    """Run the command in this process, as the console script does."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main.main([str(each) for each in arguments], prog_name="spicebridge")
        except SystemExit as stopped:
            code = stopped.code
    return Outcome(int(str(code or 0)), out.getvalue(), err.getvalue())


def done(*arguments: object) -> Outcome:
    """Run a command that must succeed."""
    outcome = call(*arguments)
    assert outcome.code == 0, outcome.err
    return outcome


def refused(*arguments: object) -> str:
    """Run a command with a foreseen problem and return its message."""
    outcome = call(*arguments)
    assert outcome.code == 1, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("Error: ")
    assert "Traceback" not in outcome.err
    return outcome.err


def files(folder: Path) -> set[str]:
    """All files of a folder but the caches, which may grow at any time."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "cache" not in path.parts
    }


@pytest.fixture
def sheet(results: Path) -> LookupTable:
    """A small working table named ``sheet``."""
    data = xr.Dataset(
        {
            "current": (
                ("state", "v"),
                np.array([[1e-6, 2e-6], [3e-6, np.nan]]),
                {"units": "A", "long_name": "current"},
            ),
            "n_samples": ("state", np.array([225, 900]), {"units": "1", "long_name": "devices simulated"}),
        },
        coords={"state": ["p", "ap"], "v": ("v", [0.4, 0.6], {"units": "V"})},
    )
    table = LookupTable(
        data=data, name="sheet", lineage={"decks": ["ab", "cd"], "samples": 1125, "size": "quick"}, origin={}
    )
    table.save(results / "tables" / "sheet.h5")
    return table


# Help and misuse


def test_the_commands_are_the_ones_named() -> None:
    assert tuple(main.commands) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_that_parses(name: str) -> None:
    told = done(name, "--help").out
    examples = re.findall(r"Example: spicebridge (.*)", told)
    assert len(examples) == 1, told
    words = shlex.split(examples[0])
    assert words[0] == name
    command = main.commands[name]
    command.make_context(name, words[1:])  # raises if the words do not fit
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"


def test_the_top_level_help_names_every_command_in_the_order_of_use() -> None:
    told = done("--help").out
    rows = re.findall(r"^  (\w+) ", told[told.index("Commands:") :], re.MULTILINE)
    assert tuple(rows) == COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuch",),
        ("show",),
        ("show", "sheet", "--nosuch"),
        ("characterize", "mtj_write", "--workers", "0"),
        ("simulate", str(ROOT / "netlists" / "mtj_write.cir"), "--set", "v_write"),
        ("characterize", "synapse_read", "--set", "=3"),
        ("train", "digits_ternary_mtj", "--seeds", "one"),
        ("train", "digits_ternary_mtj", "--seeds", ""),
        ("compile", "x.va", "--compiler", "gcc"),
    ],
)
@pytest.mark.usefixtures("sheet")
def test_misuse_of_the_command_line_exits_with_2(arguments: tuple[str, ...]) -> None:
    outcome = call(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Usage: spicebridge" in outcome.err


# Foreseen problems


def test_misspelt_names_are_told_with_the_right_ones(sheet: LookupTable, results: Path) -> None:
    assert sheet.name == "sheet"
    before = files(results)
    assert "there is no table 'sheeet'. Did you mean sheet?" in refused("show", "sheeet")
    assert "has no quantity 'curent'. It has: current, n_samples" in refused("show", "sheet", "curent")
    assert "has no quantity 'curent'" in refused("show", "sheet", "curent", "--json")
    assert "there is no table at" in refused("show", "nowhere/sheet.h5")
    assert "no table definition 'mtj_wirte'. Did you mean mtj_write?" in refused("characterize", "mtj_wirte")
    assert "there is no file my.toml" in refused("characterize", "my.toml")
    assert "digits_ternary_mtj" in refused("train", "digits_ternry_mtj")
    assert "there is no run 'digits_ternry_mtj'" in refused("report", "digits_ternry_mtj")
    assert "Did you mean sheet?" in refused("trace", "sheeet")
    assert files(results) == before


def test_misspelt_settings_are_told_with_the_right_ones(results: Path) -> None:
    before = files(results)
    assert "mtj_write has no .param v_wirte. It has: v_write" in refused(
        "simulate", ROOT / "netlists" / "mtj_write.cir", "--set", "v_wirte=1"
    )
    assert "a cell has no 'temprature'" in refused(
        "characterize", "mtj_write", "--set", "cell.temprature=350"
    )
    assert "has no setting 'v_raed'. It has: cell.mtj" in refused(
        "characterize", "synapse_read", "--set", "v_raed=[1]"
    )
    assert "axis v_read is 0.3" in refused("characterize", "synapse_read", "--set", "v_read=0.3")
    assert "epohcs" in refused("train", "digits_ternary_mtj", "--set", "epohcs=3")
    assert files(results) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "-1"), "seeds = (-1,) must be different and not negative"),
        (("--seeds", "1,1"), "seeds = (1, 1) must be different and not negative"),
        (("--set", "split.seed=-1"), "split.seed = -1 must not be negative"),
        (("--set", "timing_step=1e-20"), "timing_step = 1e-20 must be at least 1e-13 (s)"),
        (("--set", "hidden=[100000000000]"), "hidden = (100000000000,) must hold widths of 1 to 1,000,000"),
        (("--set", "name=../../x"), "name = '../../x' must be letters, digits, _ and -"),
    ],
)
def test_a_setting_out_of_range_is_one_clear_sentence(
    results: Path, words: tuple[str, ...], said: str
) -> None:
    before = files(results.parent)
    told = refused("train", "digits_ternary_mtj", *words)
    assert said in told
    assert len(told.splitlines()) == 1
    assert files(results.parent) == before


def test_a_definition_of_a_name_no_table_can_have_is_refused(tmp_path: Path, results: Path) -> None:
    definition = tmp_path / "my read.toml"
    definition.write_text(READ)
    told = refused("characterize", definition)
    assert "the table's name, 'my read', must be letters, digits, _ and -" in told
    assert "Rename the file" in told
    assert files(results) == set()


def test_a_setting_cannot_bring_lines_into_a_deck(tmp_path: Path, results: Path) -> None:
    (tmp_path / "rc.cir").write_text(RC)
    told = refused("simulate", tmp_path / "rc.cir", "--set", "r=1k\n.tran 1p 1n")
    assert "rc: r = '1k\\n.tran 1p 1n' must be one line" in told
    assert files(results) == set()


def test_a_missing_or_wrong_file_is_told(tmp_path: Path, results: Path) -> None:
    before = files(results)
    assert "cannot read netlist nothere.cir: No such file" in refused("simulate", "nothere.cir")
    assert "nothere.va" in refused("compile", "nothere.va")
    model = tmp_path / "bad.va"
    model.write_text("module bad(a, b);\n  electrical a, b;\n  analog I(a,b) <+ V(a,b)/;\nendmodule\n")
    assert "bad.va" in refused("compile", model)
    assert not model.with_suffix(".osdi").exists()
    assert files(results) == before


@pytest.mark.parametrize("damage", ["truncated", "text", "header", "edited", "foreign"])
def test_a_damaged_table_is_one_clear_sentence(sheet: LookupTable, results: Path, damage: str) -> None:
    path = results / "tables" / "sheet.h5"
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif damage == "text":
        path.write_text("not a table")
    elif damage == "header":
        path.write_bytes(bytes(byte ^ 0x55 for byte in content[:600]) + content[600:])
    elif damage == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = [1.0]
    else:
        with h5py.File(path, "r+") as file:
            file["current"][0, 0] = 7.0
    for arguments in (("show", "sheet"), ("show", path), ("trace", "sheet")):
        told = refused(*arguments)
        assert str(path) in told
        assert "spicebridge characterize sheet" in told
        assert len(told.splitlines()) == 1
    assert sheet.name == "sheet"


def test_a_deck_with_an_unknown_subcircuit_is_told_in_ngspices_words_and_kept(
    tmp_path: Path, results: Path
) -> None:
    (tmp_path / "bad.cir").write_text(RC.replace(".end\n", "x1 out 0 nosuch\n.end\n"))
    plot = tmp_path / "w.png"
    told = refused("simulate", tmp_path / "bad.cir", "--plot", plot, "--export", tmp_path / "out.cir")
    assert "unknown subckt: x1 out 0 nosuch" in told
    kept = re.search(r"Deck kept: (\S+)", told)
    assert kept is not None
    assert Path(kept[1]).parent == results / "failed"
    assert Path(kept[1]).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.cir", "results"]


def test_a_sweep_with_failures_is_a_table_with_holes_that_train_refuses(
    tmp_path: Path, results: Path, chain: Path
) -> None:
    definition = tmp_path / "tiny.toml"
    definition.write_text(READ.replace("[1e-9]", "[1e-12, 1e-9]"))  # the first is shorter than its own edges
    outcome = call("characterize", definition, "--workers", "1")
    assert outcome.code == 1
    assert "tiny: 1 point without a value" in outcome.err
    assert "non-increasing PWL" in outcome.err
    assert outcome.err.strip().endswith("a .meas line without a result will have none again.")
    table = load_table(results / "tables" / "tiny.h5")
    assert np.isnan(table.data["current"].sel(t_read=1e-12)).all()
    assert not np.isnan(table.data["current"].sel(t_read=1e-9)).any()
    assert "1 point without a value" in done("show", "tiny").out
    assert len(stored(results)) == 3
    kept = list((results / "failed").iterdir())
    assert sorted(path.suffix for path in kept) == [".cir", ".log"]

    shutil.copy(chain / "tables" / "mtj_write.h5", results / "tables")
    on_it = (*TRAIN, "--set", "tables.read=tiny")
    assert "table tiny has holes: 1 without a value" in refused(*on_it)
    assert "accuracy" in done(*on_it, "--allow-holes").out


def test_a_sweep_of_ours_without_one_value_is_refused(tmp_path: Path, results: Path) -> None:
    definition = tmp_path / "tiny.toml"
    definition.write_text(READ)
    told = refused("characterize", definition, "--set", "cell.l_gate=1e-12")
    assert "tiny: 3 points without a value" in told
    assert "Effective channel length <= 0" in told
    assert "There is not one value, so no table is written" in told
    assert not (results / "tables").exists()


def test_a_sweep_without_one_value_is_refused(tmp_path: Path, results: Path) -> None:
    (tmp_path / "bad.cir").write_text(RC.replace(".end\n", "x1 out 0 nosuch\n.end\n"))
    (tmp_path / "bad.toml").write_text(
        'deck = "bad.cir"\n[axes.r]\nunit = "ohm"\nvalues = [1e3, 2e3]\n[measures.v_end]\nunit = "V"\n'
    )
    told = refused("characterize", tmp_path / "bad.toml")
    assert "not one of 2 points gave a value" in told
    assert "unknown subckt: x1 out 0 nosuch" in told
    assert not (results / "tables").exists()


def stored(results: Path) -> dict[str, int]:
    """The finished simulations, and the place of each in its file."""
    if not (results / "cache" / "points.sqlite").exists():
        return {}
    with sqlite3.connect(results / "cache" / "points.sqlite") as file:
        found = file.execute("SELECT name FROM sqlite_master").fetchall()
        return dict(file.execute("SELECT key, rowid FROM units").fetchall()) if found else {}


def test_a_value_outside_a_table_is_told_with_its_span(results: Path, chain: Path) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    for setting in ("v_write=0.7", "v_read=0.4"):
        told = refused(*TRAIN, "--set", setting, "--set", "epochs=1")
        assert setting.split("=")[1] in told
    assert not (results / "runs" / "digits_ternary_mtj" / "record.json").exists()


def test_training_without_its_tables_says_how_to_make_them(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spicebridge.catalog.reference_folder", lambda: results / "none")
    told = refused(*TRAIN)
    assert "there is no table 'mtj_write'" in told
    assert "spicebridge characterize mtj_write" in told
    assert "there is no run 'latest'. Train one with: spicebridge train" in refused("report")


def test_an_unknown_kind_of_plot_is_refused_before_anything_is_done(
    sheet: LookupTable, tmp_path: Path
) -> None:
    (tmp_path / "rc.cir").write_text(RC)
    before = files(tmp_path)
    assert "its ending should be one of" in refused("show", sheet.name, "--plot", tmp_path / "x.doc")
    assert "its ending should be one of" in refused(
        "simulate", tmp_path / "rc.cir", "--plot", tmp_path / "x.doc", "--export", tmp_path / "y.cir"
    )
    assert files(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_told(sheet: LookupTable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot write" in refused("show", sheet.name, "--plot", tmp_path / "file" / "x.png")


# What scripts read


@pytest.mark.usefixtures("results")
def test_doctor_finds_a_working_installation() -> None:
    found = done("doctor", "--json").json
    assert found["ok"] is True
    assert found["problems"] == []
    assert int(found["ngspice"]["version"]) >= 39
    assert found["ngspice"]["osdi"] is True
    assert found["ngspice"]["simulates"] is True
    told = done("doctor").out
    assert re.search(r"^OSDI +yes$", told, re.MULTILINE)


@pytest.mark.usefixtures("results")
def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGSPICE_LIBRARY_PATH", "/nowhere/libngspice.so")
    outcome = call("doctor", "--json")
    assert outcome.code == 1
    assert outcome.json["ok"] is False
    assert "NGSPICE_LIBRARY_PATH names /nowhere" in outcome.json["problems"][0]


def test_doctor_says_that_results_cannot_be_kept_and_not_that_models_do_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path / "file" / "results"))
    outcome = call("doctor", "--json")
    assert outcome.code == 1
    assert outcome.json["ngspice"]["simulates"] is True
    assert outcome.json["ngspice"]["osdi"] is None
    (problem,) = outcome.json["problems"]
    assert problem.startswith(f"results cannot be kept: cannot write {tmp_path / 'file'}")
    assert "SPICEBRIDGE_RESULTS may name another folder" in problem
    assert re.search(r"^OSDI +not tried$", call("doctor").out, re.MULTILINE)


@pytest.mark.usefixtures("sheet")
def test_list_names_everything_there_is() -> None:
    found = done("list", "--json").json
    assert set(found) == {"netlists", "definitions", "tables", "experiments", "runs"}
    assert {"mtj_write", "synapse_read"} <= set(found["netlists"]) & set(found["definitions"])
    assert "sheet" in found["tables"]
    assert "digits_ternary_mtj" in found["experiments"]
    told = done("list").out
    assert all(name in told for kind in found.values() for name in kind)


def test_show_describes_a_table(sheet: LookupTable, tmp_path: Path) -> None:
    found = done("show", "sheet", "--json").json
    assert found["digest"] == sheet.digest
    assert found["axes"]["v"] == {"units": "V", "values": [0.4, 0.6]}
    assert found["axes"]["state"]["values"] == ["p", "ap"]
    assert found["quantities"]["current"]["units"] == "A"
    assert (found["quantities"]["current"]["min"], found["quantities"]["current"]["max"]) == (1e-6, 3e-6)
    assert (found["samples"], found["simulations"]) == (1125, 2)
    assert "1 uA to 3 uA" in done("show", "sheet").out
    told = done("show", "sheet", "current", "--plot", tmp_path / "c.svg").out
    assert re.search(r"p +1 uA +2 uA\n", told)
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")


def test_simulate_prints_measures_plots_and_exports(
    tmp_path: Path, results: Path, ngspice_program: str
) -> None:
    deck = tmp_path / "rc.cir"
    deck.write_text(RC)
    found = done("simulate", deck, "--set", "r=2k", "--json").json
    assert found["measures"]["v_end"] == pytest.approx(1 - np.exp(-2.9 / 2), rel=1e-3)
    assert found["measures"]["never"] is None
    assert (found["analysis"], found["vectors"]) == ("tran", ["in", "out", "time", "v1#branch"])
    assert re.fullmatch("[0-9a-f]{64}", found["deck"])
    assert int(found["engine"]) >= 39
    told = done("simulate", deck, "--plot", tmp_path / "w.png", "--export", tmp_path / "e.cir").out
    assert "v_end" in told
    assert (tmp_path / "w.png").read_bytes().startswith(b"\x89PNG")
    replay = subprocess.run(
        [ngspice_program, "-b", "e.cir"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert "v_end" in replay.stdout
    assert files(results) == set()


def test_compile_writes_the_library_where_it_is_told(tmp_path: Path, results: Path) -> None:
    target = tmp_path / "mtj.osdi"
    told = done("compile", ROOT / "netlists" / "devices" / "stt_mtj.va", "--output", target).out
    assert target.stat().st_size > 10_000
    assert told.startswith("stt_mtj(free, ref)")
    assert re.search(r"alpha +0\.01 +model +Gilbert damping", told)
    assert files(results) == set()


# Which of several is taken


def keep_record(folder: Path, name: str, **circumstances: str) -> Path:
    """A run record with nothing in it but what a search looks at."""
    path = folder / "runs" / name / "record.json"
    path.parent.mkdir(parents=True)
    content = {"experiment": name, "tables": [], "circumstances": circumstances}
    path.write_text(json.dumps(content))
    return path


def test_the_latest_is_the_newest_working_run_or_else_the_reference_that_finished_last(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = tmp_path / "reference"
    monkeypatch.setattr("spicebridge.catalog.reference_folder", lambda: reference)
    kept = [
        keep_record(reference, "c"),
        keep_record(reference, "a"),
        keep_record(reference, "b"),
    ]

    def latest_whatever_the_file_times() -> set[str]:
        found = set()
        for newest in kept:
            for path in kept:
                os.utime(path, (2e9, 2e9) if path == newest else (1e9, 1e9))
            found.add(find_record("latest")["experiment"])
        return found

    assert latest_whatever_the_file_times() == {"a"}
    kept += [
        keep_record(reference, "e", finished="2026-03-01T10:00:00+00:00"),
        keep_record(reference, "g", finished="2026-03-01T12:00:00+00:00"),
        keep_record(reference, "f", finished="2026-03-01T12:00:00+00:00"),
    ]
    assert latest_whatever_the_file_times() == {"f"}
    os.utime(keep_record(results, "old", finished="2030-01-01T00:00:00+00:00"), (1e9, 1e9))
    os.utime(keep_record(results, "new"), (1.1e9, 1.1e9))
    assert latest_whatever_the_file_times() == {"new"}


@pytest.mark.usefixtures("results")
def test_a_table_that_hides_a_reference_says_so(tmp_path: Path) -> None:
    small = ("--set", "v_read=[0.2]", "--set", "t_read=[1e-9]")
    own, other = tmp_path / "synapse_read.toml", tmp_path / "mine.toml"
    for definition in (own, other):
        definition.write_text(READ)
    path = tmp_path / "results" / "tables" / "synapse_read.h5"
    end = f"; train reads it instead of the reference until it is deleted: {path}\n"
    assert done("characterize", "synapse_read", *small).err == (
        f"Note: made with v_read=[0.2], t_read=[1e-9]{end}"
    )
    assert done("characterize", own).err == f"Note: made from {own}{end}"
    assert done("characterize", other).err == ""


# Ctrl-C


def own_group(recorded: Waveforms) -> bool:  # noqa: ARG001  # a measure
    """Whether the worker that measures leads a process group, where no Ctrl-C of its parent's reaches it."""
    return os.getpgrp() == os.getpid()


@pytest.mark.usefixtures("results")
def test_workers_are_out_of_reach_of_a_ctrl_c(tmp_path: Path) -> None:
    deck = make_deck("v1 a 0 1\nr1 a 0 1\n.op", folder=tmp_path, name="probe")
    asked = run_tasks([Task(deck, own_group)] * 4, workers=2)
    assert [answer.value for _, answer in asked] == [True] * 4


def test_an_interrupt_while_workers_start_is_one_sentence(results: Path) -> None:
    """As a terminal does it: the signal goes to the command and to all its children."""
    script = "from spicebridge.cli import main; main()"
    sweep = subprocess.Popen(
        [sys.executable, "-c", script, "characterize", "synapse_read", "--workers", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children")
    if not children.exists():
        sweep.kill()
        pytest.skip("this system does not tell a process's children in /proc")
    give_up = time.monotonic() + 60
    while len(children.read_text().split()) < 2 and time.monotonic() < give_up:
        time.sleep(0.001)  # the first child is multiprocessing's tracker of resources
    time.sleep(0.05)
    os.killpg(sweep.pid, signal.SIGINT)
    out, err = sweep.communicate(timeout=60)
    assert (sweep.returncode, out) == (1, "")
    assert err.strip() == "Error: stopped. What had finished is kept: the same command goes on from there."
    assert files(results) == set()


# The whole chain in small


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, compiled_models: Path) -> Path:
    """A results folder after characterize and train in tiny sizes."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "cache").mkdir()
    (folder / "cache" / "models").symlink_to(compiled_models)
    for name, text in (("mtj_write", WRITE), ("synapse_read", READ)):
        (folder / f"{name}.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder))
        told = done(
            "characterize", folder / "mtj_write.toml", folder / "synapse_read.toml", "--workers", 2
        ).out
        assert f"Written: {folder / 'tables' / 'mtj_write.h5'}" in told
        done(*TRAIN, "--workers", 2)
    return folder


def summary(folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder))
        found: dict[str, Any] = done("report", "latest", "--json").json
    return found


def test_a_report_has_every_headline_and_the_tables_it_stands_on(chain: Path) -> None:
    found = summary(chain)
    for accuracy in ("accuracy", "baseline_accuracy", "ideal_accuracy"):
        assert 5 < found[accuracy] <= 100
    for phase in ("feedforward", "update"):
        assert found[phase]["energy_per_op"] * found[phase]["tops_per_watt"] * 1e12 == pytest.approx(1.0)
    digests = {table["name"]: table["digest"] for table in found["tables"]}
    for name in ("mtj_write", "synapse_read"):
        assert digests[name] == load_table(chain / "tables" / f"{name}.h5").digest


def test_a_report_is_written_as_one_page_that_needs_no_other_file(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(chain))
    told = done("report").out
    page = Path(re.search(r"Page: (\S+)", told)[1])  # type: ignore[index]
    text = page.read_text()
    assert text.count("<html") == 1
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    assert summary(chain)["tables"][0]["digest"][:12] in text


def test_trace_leads_from_figures_to_decks_and_sources(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(chain))
    told = done("trace", "latest").out
    found = summary(chain)
    for words in (
        "accuracy", "TOPS/W", "alpha = 0.01", "assumed", "stt_mtj", "devices/mtj_b.lib", "seeds 1",
        found["tables"][0]["digest"], found["tables"][1]["digest"],
    ):  # fmt: skip
        assert words in told, words
    decks = load_table(chain / "tables" / "synapse_read.h5").lineage["decks"]
    assert all(deck in done("trace", "synapse_read").out for deck in decks)
    links = done("trace", "latest", "--json").json
    assert links["replay"] == []
    assert [link["what"] for link in links["chain"]] == ["figure"] * 3


def test_trace_replays_a_table_to_the_same_digest(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(chain))
    found = done("trace", "synapse_read", "--replay", "--json").json
    assert found["replay"] == [{"table": "synapse_read", "same": True, "outcome": "the same digest"}]


def test_trace_tells_a_table_whose_values_do_not_come_again(
    chain: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = load_table(chain / "tables" / "synapse_read.h5")
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    other = LookupTable(data=table.data * 2, name=table.name, lineage=table.lineage, origin=table.origin)
    for name in table.data.variables:
        other.data[name].attrs = table.data[name].attrs
    other.save(results / "tables" / "synapse_read.h5")
    outcome = call("trace", "synapse_read", "--replay", "--json")
    assert outcome.code == 1
    (found,) = outcome.json["replay"]
    assert found["same"] is False
    digests = f"digest {table.digest[:12]}, recorded {other.digest[:12]}"
    assert found["outcome"] == f"{digests} (the same decks; another ngspice or machine may round otherwise)"


def test_training_ends_with_its_figures_in_three_lines(chain: Path, results: Path) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    told = done(*TRAIN, "--set", "epochs=1", "--arms", "table,float", "--seeds", "3,4").out
    accuracy, energy, where = told.splitlines()
    value = r"[\d.]+ ± [\d.]+ %"
    assert re.fullmatch(rf"accuracy on the tables {value}, ideal tanh not run, float {value}", accuracy)
    assert re.fullmatch(r"feed-forward [\d.]+ TOPS/W, update [\d.]+ TOPS/W", energy)
    path = results / "runs" / "digits_ternary_mtj" / "record.json"
    assert where == f"Written: {path}   All of it: spicebridge report digits_ternary_mtj"
    record = json.loads(path.read_text())
    assert record["seeds"] == record["settings"]["seeds"] == [3, 4]


def test_training_resumes_unless_it_is_told_not_to(chain: Path, results: Path) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    kept = results / "runs" / "digits_ternary_mtj" / "checkpoints" / "table-1.npz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"not a checkpoint")
    words = (*TRAIN, "--set", "epochs=1", "--arms", "table", "--seeds", "1")
    outcome = call(*words, "--resume")
    assert outcome.code == 1
    assert f"checkpoint {kept} is damaged" in outcome.err.replace("\n", " ")
    assert "--no-resume" in outcome.err
    assert "accuracy on the tables" in done(*words, "--no-resume").out


def test_training_again_gives_the_same_record_whatever_the_workers(
    chain: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    done(*TRAIN, "--workers", 1)
    assert summary(results) == summary(chain)
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))


def test_a_sweep_killed_outright_resumes_to_the_same_table(tmp_path: Path, results: Path) -> None:
    definition = tmp_path / "grid.toml"
    definition.write_text(READ.replace("[0.2]", "[0.10, 0.15, 0.20, 0.25, 0.30]"))
    words = [
        sys.executable,
        "-c",
        "from spicebridge.cli import main; main()",
        "characterize",
        str(definition),
    ]
    sweep = subprocess.Popen([*words, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while len(stored(results)) < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    sweep.kill()
    assert sweep.wait() == -signal.SIGKILL, "it ended before it could be killed"
    finished = stored(results)
    assert not (results / "tables").exists()
    resumed = done("characterize", definition, "--workers", 1)
    assert "Written" in resumed.out
    assert finished.items() < stored(results).items()
    digest = load_table(results / "tables" / "grid.h5").digest
    (results / "cache" / "points.sqlite").unlink()
    done("characterize", definition, "--workers", 2)
    assert load_table(results / "tables" / "grid.h5").digest == digest


def test_changing_the_damping_changes_the_report_and_trace_shows_why(
    chain: Path, tmp_path: Path, compiled_models: Path
) -> None:
    """As a user does it: edit the parameter set, then characterize, train and report again."""
    checkout, folder = tmp_path / "checkout", tmp_path / "again"
    for part in ("spicebridge", "circuits", "characterization", "nn", "netlists"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "*.osdi"))
    for part in ("tables", "runs"):
        shutil.copytree(chain / part, folder / part)
    (folder / "cache").mkdir()
    shutil.copy(chain / "cache" / "points.sqlite", folder / "cache")
    (folder / "cache" / "models").symlink_to(compiled_models)
    parameters = checkout / "netlists" / "devices" / "mtj_b.lib"
    before = parameters.read_text()
    parameters.write_text(re.sub(r"alpha=0\.010? ", "alpha=0.012 ", before))
    assert parameters.read_text() != before

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        run = subprocess.run(
            [sys.executable, "-c", "from spicebridge.cli import main; main()", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(checkout), "SPICEBRIDGE_RESULTS": str(folder)},
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, run.stderr
        return run

    stale = command("trace", "latest").stdout
    assert "alpha = 0.01\n" in stale
    assert "changed since" in stale
    command("characterize", chain / "mtj_write.toml", chain / "synapse_read.toml")
    command(*TRAIN)
    old, new = summary(chain), summary(folder)
    assert old["tables"][0]["digest"] != new["tables"][0]["digest"]
    assert old["update"]["tops_per_watt"] != new["update"]["tops_per_watt"]
    fresh = command("trace", "latest").stdout
    assert "alpha = 0.012\n" in fresh
    assert "changed since" not in fresh
