"""A small sweep to be disturbed: its files, the command that runs it, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from characterization.definition import load_definition
from characterization.run import make_table
from spicebridge.cli import main
from spicebridge.netlist import make_deck
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable, load_table
from spicebridge.workers import simulate

RC = """charging
.param rval=1k
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {rval}
c1 out 0 1p
.tran 1p 5n 0 1p
.meas tran v1ns find v(out) at=1n
.end
"""
SWEEP = """deck = "mine.cir"
[axes.rval]
unit = "ohm"
start = 500
stop = 2000
points = {points}
[measures.v1ns]
unit = "V"
"""
POINTS = 400  # at 10 ms each
FEW = 30
# Many and short: kills seldom find a deck twice, which is then a hole as it should be.
QUICK = RC.replace(".tran 1p 5n 0 1p", ".tran 10p 3n")
MANY = 3000  # at 1 ms each
IN_PROC = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")


def write_sweep(folder: Path, *, points: int = POINTS, deck: str = RC, more: str = "") -> Path:
    """A netlist and its TOML file in a new folder."""
    folder.mkdir()
    (folder / "mine.cir").write_text(deck)
    (folder / "mine.toml").write_text(more + SWEEP.format(points=points))
    return folder / "mine.toml"


@cache
def undisturbed(points: int) -> LookupTable:
    """The table of so many points that no fault touched, each simulated once for all tests."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder / "results"))
        deck = QUICK if points == MANY else RC
        definition = load_definition(
            str(write_sweep(folder / "sweep", points=points, deck=deck)), size="quick"
        )
        return make_table(
            definition, Engine(store=folder / "points.sqlite", workers=2, version=engine_version())
        )


def engine_version() -> str:
    probe = make_deck("v1 a 0 1\nr1 a 0 1\n.op", folder=Path(), name="probe")
    return f"ngspice-{simulate(probe).engine}"


def assert_right(results: Path, expected: LookupTable) -> None:
    """The table on disk is the one expected in every bit; the store is sound and holds each point once."""
    table = load_table(results / "tables" / "mine.h5")
    assert table.digest == expected.digest
    assert table.data["v1ns"].values.tobytes() == expected.data["v1ns"].values.tobytes()
    assert not table.holes
    assert len(stored(results)) == expected.data["v1ns"].size
    assert strays(results) == []


def stored(results: Path) -> dict[str, int]:
    """The finished units and the place of each in the file, which changes if it is written again."""
    path = results / "cache" / "points.sqlite"
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not file.execute("SELECT name FROM sqlite_master WHERE name = 'units'").fetchone():
            return {}
        return dict(file.execute("SELECT key, rowid FROM units").fetchall())


def strays(results: Path) -> list[str]:
    """Files that an unfinished writing left where tables are read from."""
    return [
        path.name for path in (results / "tables").glob("*") if path.suffix != ".h5" or path.name[0] == "."
    ]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def script(interrupt: str = "default_int_handler") -> str:
    """The command as a program that Ctrl-C stops, however the shell that runs the tests has that set.

    With ``SIG_IGN`` as a shell starts it in the background, and ``nohup``: Ctrl-C is not for it.
    """
    return (
        f"import signal; signal.signal(signal.SIGINT, signal.{interrupt}); "
        "from spicebridge.cli import main; main()"
    )


SCRIPT = script()


def start(sweep: Path, program: str = SCRIPT, **options: Any) -> subprocess.Popen[str]:
    """The command on two workers, in a session of its own as a terminal would have it."""
    settings: dict[str, Any] = {
        "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True,
    }  # fmt: skip
    command = [sys.executable, "-c", program, "characterize", str(sweep), "--workers", "2"]
    return subprocess.Popen(command, **settings | options)


def ended(command: subprocess.Popen[str], *, within: float = 120.0) -> Ended:
    out, err = command.communicate(timeout=within)
    return Ended(command.returncode, out, err)


def here(sweep: Path, capsys: pytest.CaptureFixture[str]) -> Ended:
    """The same command in this process, which saves starting another."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["characterize", str(sweep), "--workers", "2"])
    said = capsys.readouterr()
    return Ended(stopped.value.code if isinstance(stopped.value.code, int) else 0, said.out, said.err)


def assert_plain(ended: Ended, *words: str) -> None:
    """Exit status 1 and one plain message with these words."""
    assert ended.code == 1, ended
    assert ended.err.startswith("Error: "), ended.err
    assert "Traceback" not in ended.err
    for each in words:
        assert re.search(each, ended.err), ended.err


def workers_of(results: Path) -> list[int]:
    """The worker processes of sweeps into this results folder, wherever their parents went."""
    marker = f"SPICEBRIDGE_RESULTS={results}\0".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
                if b"spicebridge.runner" in command and marker in (process / "environ").read_bytes() + b"\0":
                    found.append(int(process.name))
            except OSError:  # it ended meanwhile
                continue
    return found


def wait_for(condition: Callable[[], Any], *, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while not (met := bool(condition())) and time.monotonic() < give_up:
        time.sleep(0.02)
    return met
