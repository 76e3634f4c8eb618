"""Injected faults: kills, crashes, hangs, full and read-only disks, rivals, Ctrl-C and damaged files.

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
import shutil
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from characterization.definition import load_definition
from characterization.run import make_table
from spicebridge.cli import main
from spicebridge.deck import make_deck
from spicebridge.errors import SpicebridgeError
from spicebridge.simulator import whole
from spicebridge.sweep import Engine
from spicebridge.table import LookupTable, load_table
from spicebridge.workers import Pool, Task, simulate

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
# Many and short: a kill that finds a deck twice, which is then a hole as it should be, is all but impossible.
QUICK = RC.replace(".tran 1p 5n 0 1p", ".tran 10p 3n")
MANY = 3000  # at 1 ms each
STOPPED = "Error: stopped. What had finished is kept: the same command goes on from there."
IN_PROC = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")


# The sweep, and its table without a fault


def write_sweep(folder: Path, *, points: int = POINTS, deck: str = RC, more: str = "") -> Path:
    """A netlist and its TOML file in a new folder."""
    folder.mkdir()
    (folder / "mine.cir").write_text(deck)
    (folder / "mine.toml").write_text(more + SWEEP.format(points=points))
    return folder / "mine.toml"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], LookupTable]:
    """The table of so many points that no fault touched, each simulated once for all tests."""
    made: dict[int, LookupTable] = {}

    def table(points: int) -> LookupTable:
        if points not in made:
            deck = QUICK if points == MANY else RC
            folder = tmp_path_factory.mktemp("undisturbed")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SPICEBRIDGE_RESULTS", str(folder / "results"))
                definition = load_definition(
                    str(write_sweep(folder / "sweep", points=points, deck=deck)), size="quick"
                )
                engine = Engine(store=folder / "points.sqlite", workers=2, version=engine_version())
                made[points] = make_table(definition, engine)
        return made[points]

    return table


def engine_version() -> str:
    from spicebridge.deck import make_deck

    probe = make_deck("v1 a 0 1\nr1 a 0 1\n.op", folder=Path(), name="probe")
    return f"ngspice-{simulate(probe).engine}"


@pytest.fixture
def sweep(tmp_path: Path, results: Path) -> Path:  # noqa: ARG001  # the results folder is set
    return write_sweep(tmp_path / "sweep")


@pytest.fixture
def small_sweep(tmp_path: Path, results: Path) -> Path:  # noqa: ARG001  # the results folder is set
    return write_sweep(tmp_path / "sweep", points=FEW)


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


# The command


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


SCRIPT = "from spicebridge.cli import main; main()"


def start(sweep: Path, **options: Any) -> subprocess.Popen[str]:
    """The command on two workers, in a session of its own as a terminal would have it."""
    settings: dict[str, Any] = {
        "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True,
    }  # fmt: skip
    command = [sys.executable, "-c", SCRIPT, "characterize", str(sweep), "--workers", "2"]
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


# Kills


@IN_PROC
def test_ten_kills_of_the_command_cost_no_finished_point(
    sweep: Path, results: Path, undisturbed: Callable[[int], LookupTable]
) -> None:
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
def test_ten_kills_of_workers_in_one_run_cost_nothing(
    tmp_path: Path, results: Path, undisturbed: Callable[[int], LookupTable]
) -> None:
    chance = random.Random(4)
    command = start(write_sweep(tmp_path / "sweep", points=MANY, deck=QUICK))
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


# Disks that are full, and folders that cannot be written


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=30)


def mount(*options: str) -> None:
    try:
        done = subprocess.run(["mount", *options], capture_output=True, text=True, timeout=30)
    except OSError as error:
        pytest.skip(f"there is no mount: {error}")
    if done.returncode != 0:
        pytest.skip(f"a disk in memory cannot be mounted here: {done.stderr.strip()}")


def fill(disk: Path, *, free: int) -> Path:
    """A file that leaves so many bytes of the disk."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - free))
    return ballast


# What is left of the disk, what is finished before, and what then cannot be written.
STAGES = {
    "deck": (0, None, r"cannot write \S+/decks/\S+\.cir: No space left on device"),
    "new store": (
        8192,
        None,
        r"cannot use the store of \S+ \S+ \S+/points\.sqlite: database or disk is full",
    ),
    "store": (20480, None, r"cannot use the store of \S+ \S+ \S+/points\.sqlite: database or disk is full"),
    "table": (8192, "tables", r"cannot write \S+/tables/mine\.h5: "),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_one_message_and_the_same_command_goes_on_when_there_is_space(
    tmp_path: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    undisturbed: Callable[[int], LookupTable],
    stage: str,
) -> None:
    free, lost, words = STAGES[stage]
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = disk / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    if lost:
        assert here(sweep, capsys).code == 0
        shutil.rmtree(results / lost)
    ballast = fill(disk, free=free)
    assert_plain(here(sweep, capsys), words)
    assert not (results / "tables" / "mine.h5").exists()
    assert strays(results) == []
    kept = stored(results)
    ballast.unlink()
    said = here(sweep, capsys)
    assert said.code == 0, said.err
    assert kept.items() <= stored(results).items()
    assert_right(results, undisturbed(FEW))


def test_an_earlier_table_outlives_a_disk_that_fills(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = disk / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    assert here(sweep, capsys).code == 0
    before = (results / "tables" / "mine.h5").read_bytes()
    fill(disk, free=8192)
    sweep.write_text(sweep.read_text() + 'long_name = "the voltage after 1 ns"\n')
    assert_plain(here(sweep, capsys), r"cannot write \S+/tables/mine\.h5: ")
    assert (results / "tables" / "mine.h5").read_bytes() == before
    assert strays(results) == []


def test_a_limit_on_the_size_of_files_is_told_like_a_full_disk(
    small_sweep: Path,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    undisturbed: Callable[[int], LookupTable],
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))

    assert_plain(ended(start(small_sweep, preexec_fn=limited)), r"points\.sqlite|mine\.h5", "space")
    kept = stored(results)
    assert strays(results) == []
    said = here(small_sweep, capsys)
    assert said.code == 0, said.err
    assert kept.items() <= stored(results).items()
    assert_right(results, undisturbed(FEW))


def test_a_results_folder_below_a_file_is_one_message(
    small_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path / "file" / "results"))
    assert_plain(
        here(small_sweep, capsys), r"cannot write \S+/file/results/decks/\S+: Not a directory\. Check"
    )


@pytest.mark.parametrize("finished", [False, True])
def test_a_read_only_disk_is_one_message(
    tmp_path: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: bool,
) -> None:
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = disk / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    if finished:
        assert here(sweep, capsys).code == 0
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    mount("-o", "remount,ro", str(disk))
    assert_plain(
        here(sweep, capsys), r"cannot write \S+: Read-only file system\. Check the folder's permissions"
    )
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_message(
    small_sweep: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.chmod(0o555)
    try:
        assert_plain(here(small_sweep, capsys), r"cannot write \S+: Permission denied\. Check")
    finally:
        results.chmod(0o755)


def test_a_store_that_may_only_be_read_is_one_message(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = tmp_path / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    results.mkdir()
    (disk / "cache").mkdir()
    (results / "cache").symlink_to(disk / "cache")
    mount("-o", "remount,ro", str(disk))
    assert_plain(here(sweep, capsys), r"cannot use the store .*points\.sqlite: unable to open database file")
    assert not (results / "tables").exists()


# Rivals


def test_two_commands_at_once_on_one_folder_both_give_the_right_table(
    small_sweep: Path, results: Path, undisturbed: Callable[[int], LookupTable]
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


# Damage


def random_bytes(content: bytes) -> bytes:
    chance = random.Random(5)
    for _ in range(20):
        at = chance.randrange(4096, len(content))
        content = content[:at] + chance.randbytes(1) + content[at + 1 :]
    return content


@pytest.mark.parametrize(
    "damage",
    [random_bytes, lambda content: content[: len(content) // 2], lambda _content: b"not SQLite\n" * 1000],
    ids=["bytes", "truncated", "text"],
)
def test_a_damaged_store_is_simulated_again_or_told_and_never_gives_a_wrong_value(
    small_sweep: Path,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    undisturbed: Callable[[int], LookupTable],
    damage: Callable[[bytes], bytes],
) -> None:
    assert here(small_sweep, capsys).code == 0
    store = results / "cache" / "points.sqlite"
    store.write_bytes(damage(store.read_bytes()))
    shutil.rmtree(results / "tables")
    said = here(small_sweep, capsys)
    if said.code != 0:
        assert_plain(said, r"points\.sqlite .*was damaged: .*delete it and repeat the command")
        store.unlink()
        said = here(small_sweep, capsys)
    assert said.code == 0
    table = load_table(results / "tables" / "mine.h5")
    assert table.digest == undisturbed(FEW).digest
