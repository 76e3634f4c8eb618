"""Kills, crashes, hangs, rivals and Ctrl-C.

Every one ends in the table of an undisturbed run or in one plain message, and costs no finished work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import random
import re
import resource
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from characterization.definition import load_definition
from characterization.run import make_table
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import make_deck
from spicebridge.simulator import whole
from spicebridge.sweep import Engine
from spicebridge.table import load_table
from spicebridge.workers import Pool, Task
from tests.disturbed_sweeps import (
    FEW,
    IN_PROC,
    MANY,
    POINTS,
    QUICK,
    RC,
    assert_plain,
    assert_right,
    ended,
    here,
    script,
    start,
    stored,
    undisturbed,
    wait_for,
    workers_of,
    write_sweep,
)

STOPPED = "Error: stopped. What had finished is kept: the same command goes on from there."


@pytest.fixture
def sweep(tmp_path: Path, results: Path) -> Path:  # noqa: ARG001  # the results folder is set
    return write_sweep(tmp_path / "sweep")


@pytest.fixture
def small_sweep(tmp_path: Path, results: Path) -> Path:  # noqa: ARG001  # the results folder is set
    return write_sweep(tmp_path / "sweep", points=FEW)


# Kills


@IN_PROC
def test_ten_kills_of_the_command_cost_no_finished_point(sweep: Path, results: Path) -> None:
    chance = random.Random(3)
    before: dict[str, int] = {}

    def grown() -> bool:
        return len(stored(results)) > len(before)

    for number in range(10):
        command = start(sweep)
        assert wait_for(lambda: workers_of(results), seconds=60)
        if number % 3 == 2:  # late enough for new points on disk; the others are killed at any moment
            assert wait_for(grown, seconds=60)
        time.sleep(chance.uniform(0.0, 0.6))
        command.kill()
        said = ended(command)
        assert (said.code, said.err) == (-signal.SIGKILL, "")
        assert wait_for(lambda: not workers_of(results), seconds=1.0), "a worker outlived its parent by 1 s"
        after = stored(results)
        # The same rows in the same places: nothing was lost, and nothing simulated again.
        assert before.items() <= after.items()
        before = after
    assert 0 < len(before) < POINTS
    said = ended(start(sweep))
    assert said.code == 0, said.err
    assert before.items() <= stored(results).items()
    assert_right(results, undisturbed(POINTS))


@IN_PROC
def test_ten_kills_of_workers_in_one_run_lose_nothing(tmp_path: Path, results: Path) -> None:
    chance = random.Random(4)
    sweep = write_sweep(tmp_path / "sweep", points=MANY, deck=QUICK)
    command = start(sweep)
    killed = 0
    while killed < 10 and command.poll() is None:
        # One that has ngspice; of those that are only starting, a killer this quick would let none begin.
        assert wait_for(lambda: running_ngspice(results) or command.poll() is not None, seconds=60)
        time.sleep(chance.uniform(0.05, 0.2))
        if victims := running_ngspice(results):
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(chance.choice(victims), signal.SIGKILL)
                killed += 1
    assert killed == 10
    said = ended(command)
    if said.code == 1:  # two of the kills met the same deck, which is then a hole until the next run
        assert "its process ended with status -9, 2 times" in said.err
        said = ended(start(sweep))
    assert (said.code, said.err) == (0, "")
    assert_right(results, undisturbed(MANY))


def running_ngspice(results: Path) -> list[int]:
    """The workers that have loaded ngspice."""
    found = []
    for worker in workers_of(results):
        with contextlib.suppress(OSError):
            if "libngspice" in Path(f"/proc/{worker}/maps").read_text():
                found.append(worker)
    return found


@IN_PROC
def test_a_worker_that_is_killed_while_it_starts_costs_nothing(small_sweep: Path, results: Path) -> None:
    """Its deck had not begun, so it is not the deck's fault, however often."""
    definition = load_definition(str(small_sweep), size="quick")
    engine = Engine(store=results / "points.sqlite", workers=1, version="ngspice-test")
    stop = threading.Event()
    killed: set[int] = set()

    def kill() -> None:
        while len(killed) < 3 and not stop.is_set():
            for worker in set(workers_of(results)) - killed:
                os.kill(worker, signal.SIGKILL)
                killed.add(worker)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        table = make_table(definition, engine)
    finally:
        stop.set()
        killer.join()
    assert len(killed) == 3
    assert not table.holes


def test_processes_that_never_start_are_one_message(
    small_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import os\nos._exit(7)\n")
    monkeypatch.syspath_prepend(str(broken))
    assert_plain(here(small_sweep, capsys), r"worker processes do not start: .* status 7, \d times")


def test_a_process_that_the_system_refuses_is_told() -> None:
    task = Task(make_deck("v1 a 0 1\nr1 a 0 1\n.op", folder=Path(), name="one"), whole)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(SpicebridgeError, match=r"a worker process does not start: .*Too many open files"):
            next(Pool(workers=1).run([task]))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Decks that crash or hang ngspice

# A function that calls itself overflows ngspice's stack; a second of time in steps of 1 ps takes hours.
FAULTY = """.lib fine
.tran 1p 5n 0 1p
.endl
.lib crashing
.tran 1p 5n 0 1p
.func f(x) {f(x)}
b1 x 0 v=f(v(out))
.endl
.lib hanging
.tran 1p 1 0 1p
.endl
"""


def test_a_deck_that_crashes_and_one_that_hangs_are_holes_and_the_others_are_right(
    tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(
        tmp_path / "sweep",
        deck=RC.replace(".tran 1p 5n 0 1p", '.lib "kinds.lib" fine'),
        more="time_limit = 1\n",
    )
    (sweep.parent / "kinds.lib").write_text(FAULTY)
    axes = '[axes.kind]\nlibrary = "kinds.lib"\nvalues = ["fine", "crashing", "hanging"]\n[axes.rval]\n'
    sweep.write_text(sweep.read_text().replace("[axes.rval]\n", axes).replace(str(POINTS), "2"))
    started = time.monotonic()
    said = here(sweep, capsys)
    took = time.monotonic() - started
    assert (said.code, "Traceback" in said.err) == (1, False)
    assert "mine: 4 points without a value" in said.err
    for rval in (500, 2000):
        assert re.search(rf"kind=crashing, rval={rval}: .* ended with status -11, 2 times", said.err), (
            said.err
        )
        assert re.search(rf"kind=hanging, rval={rval}: .* it ran past 1 s, 2 times", said.err), said.err
    assert "The same command tries" in said.err
    assert took < 30
    table = load_table(results / "tables" / "mine.h5")
    values = table.data["v1ns"]
    assert bool(values.sel(kind=["crashing", "hanging"]).isnull().all())
    assert values.sel(kind="fine").values == pytest.approx(
        1 - np.exp(-1e-9 / np.array([500e-12, 2e-9])), rel=2e-3
    )
    kept = {path.stem: path for path in (results / "failed").glob("*.cir")}
    assert set(kept) == {hole["deck"][:12] for hole in table.holes}
    assert all(path.with_suffix(".log").exists() for path in kept.values())
    assert sum("f(x)" in path.read_text() for path in kept.values()) == 2
    assert len(stored(results)) == 2
    if Path("/proc/self/environ").exists():
        assert workers_of(results) == []


# Rivals


def test_two_commands_at_once_on_one_folder_both_give_the_right_table(
    small_sweep: Path, results: Path
) -> None:
    rivals = [start(small_sweep) for _ in range(2)]
    for said in [ended(each) for each in rivals]:
        assert (said.code, said.err) == (0, "")
    assert_right(results, undisturbed(FEW))


# Ctrl-C


@IN_PROC
@pytest.mark.parametrize(("where", "presses"), [("group", 1), ("terminal", 1), ("terminal", 3)])
def test_ctrl_c_stops_within_two_seconds_keeps_what_is_done_and_says_how_to_go_on(
    sweep: Path, results: Path, where: str, presses: int
) -> None:
    command, interrupt, said = (started_in_terminal if where == "terminal" else started_alone)(sweep)
    assert wait_for(lambda: len(stored(results)) > 0, seconds=60)
    pressed = time.monotonic()
    for _ in range(presses):
        interrupt()
        time.sleep(0.02)
    code = command.wait(timeout=30)
    assert time.monotonic() - pressed < 2.0
    assert wait_for(lambda: not workers_of(results), seconds=1.0)
    words = said()
    assert code == 1, words
    assert "Traceback" not in words
    assert STOPPED in words
    assert 0 < len(stored(results)) < POINTS
    assert not (results / "tables").exists()


def test_a_command_in_a_shells_background_goes_on_when_ctrl_c_stops_another(
    small_sweep: Path, results: Path
) -> None:
    command = start(small_sweep, script("SIG_IGN"))
    assert wait_for(lambda: len(stored(results)) > 0, seconds=60)
    os.killpg(command.pid, signal.SIGINT)
    said = ended(command)
    assert (said.code, said.err) == (0, "")
    assert_right(results, undisturbed(FEW))


def started_alone(sweep: Path) -> tuple[subprocess.Popen[str], Callable[[], None], Callable[[], str]]:
    """The command with pipes, interrupted as kill does it: with all processes of its group."""
    command = start(sweep)
    return command, lambda: os.killpg(command.pid, signal.SIGINT), lambda: "".join(command.communicate())


def started_in_terminal(sweep: Path) -> tuple[subprocess.Popen[str], Callable[[], None], Callable[[], str]]:
    """The command on a terminal, at which Ctrl-C is typed."""
    ours, its = pty.openpty()

    def control() -> None:
        fcntl.ioctl(its, termios.TIOCSCTTY, 0)

    command = start(sweep, stdin=its, stdout=its, stderr=its, preexec_fn=control)
    os.close(its)
    os.set_blocking(ours, False)

    def interrupt() -> None:
        os.write(ours, b"\x03")

    def said() -> str:
        text = b""
        with contextlib.suppress(OSError):
            while more := os.read(ours, 65536):
                text += more
        os.close(ours)
        return text.decode()

    return command, interrupt, said
