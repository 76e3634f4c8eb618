"""The command line: help that runs, what scripts read, which of several is taken, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest

from spicebridge.catalog import find_record
from spicebridge.cli import main
from spicebridge.netlist import make_deck
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable, load_table
from spicebridge.workers import Task
from tests.command_line import RC, READ, ROOT, call, done, files, keep_sheet, stored, tiny
from tests.disturbed_sweeps import SCRIPT
from tests.on_workers import on_workers

COMMANDS = (
    "doctor", "list", "simulate", "compile", "characterize", "show", "verify", "train", "report", "trace",
)  # fmt: skip


@pytest.fixture
def sheet(results: Path) -> LookupTable:
    return keep_sheet(results)


# Help


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
    data = {"name": "digits", "checksum": "", "split": "test"}
    content = {"experiment": name, "tables": [], "settings": {}, "seeds": [1], "data": data}
    content["circumstances"] = circumstances
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
    other = tmp_path / "mine.toml"
    other.write_text(READ)
    path = tmp_path / "results" / "tables" / "synapse_read.h5"
    end = f"; train reads it instead of the reference until it is deleted: {path}\n"
    assert done(*tiny("synapse_read")).err == f"Note: made with v_read=[0.1], t_read=[1e-9]{end}"
    assert done("characterize", other).err == ""


# Ctrl-C


def own_group(recorded: Waveforms) -> bool:  # noqa: ARG001  # a measure
    """Whether the worker that measures leads a process group, where no Ctrl-C of its parent's reaches it."""
    return os.getpgrp() == os.getpid()


@pytest.mark.usefixtures("results")
def test_workers_are_out_of_reach_of_a_ctrl_c(tmp_path: Path) -> None:
    deck = make_deck("v1 a 0 1\nr1 a 0 1\n.op", folder=tmp_path, name="probe")
    asked = on_workers([Task(deck, own_group)] * 4, workers=2)
    assert [answer.value for answer in asked.values()] == [True] * 4


def test_an_interrupt_while_workers_start_is_one_sentence(results: Path) -> None:
    """As a terminal does it: the signal goes to the command and to all its children."""
    sweep = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "characterize", "synapse_read", "--workers", "4"],
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


def test_a_sweep_killed_outright_resumes_to_the_same_table(tmp_path: Path, results: Path) -> None:
    definition = tmp_path / "grid.toml"
    definition.write_text(READ.replace("[0.1]", "[0.10, 0.20, 0.30]"))
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
