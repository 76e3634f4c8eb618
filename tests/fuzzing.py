"""Commands on files from a stranger: what each did that it must not, counted over many mutants."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import struct
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from tests.command_line import ROOT, Outcome, call

BAIT = ("b.cir", "bait", "bait.cir", "bait.h5", "bait.npz", "bait.html")
FORGED = "forged line"
LONGEST = 4_000  # characters of a message that should be one sentence
SECONDS = 60  # for one command
MEMORY = 8 << 30  # bytes of address space; more would be a mutant's doing
_OPENED = 0x20 | 0x2 | 0x100 | 0x200 | 0x40 | 0x80  # inotify: opened, modified, created, deleted, moved
_TELLING = ("--json", "--replay", "--plot", "digits_ternary_mtj", "mnist_pcm_mixed")
_FOLDER = 0x40000000


class TooLongError(BaseException):
    """A command did not end in its time; no ``except Exception`` takes it."""


@dataclass(frozen=True)
class Place:
    """A folder that holds everything a command may use, and beside it what it may not.

    Attributes:
        root: all of it.
        results: what SPICEBRIDGE_RESULTS names.
        bait: a folder of files that a mutant's words name, and that no command may open.
        watch: says whether anything in ``bait`` was opened or written since it was last asked.
    """

    root: Path
    results: Path
    bait: Path
    watch: Callable[[], bool]

    def words(self) -> tuple[str, ...]:
        """Paths that a file may try to be read or written by."""
        netlists = ROOT / "netlists"
        return (
            str(self.bait / "bait.cir"),
            os.path.relpath(self.bait / "bait.cir", netlists),
            os.path.relpath(self.bait / "bait.h5", netlists),
            str(self.bait / "bait"),
            os.path.relpath(self.bait / "bait", self.results / "reports"),
            str(self.bait / "bait.h5"),
            "../../../b/b",
            "../escaped",
            "../../escaped",
            str(self.root / "escaped"),
            "a/b",
            ".",
            "..",
            "/",
        )

    def files(self) -> dict[str, int]:
        """All files but the bait, which watches itself, and the caches, with their sizes."""
        return {
            str(path.relative_to(self.root)): path.lstat().st_size
            for path in self.root.rglob("*")
            if self.bait not in path.parents and "cache" not in path.parts and not path.is_dir()
        }


@contextlib.contextmanager
def place(root: Path) -> Iterator[Place]:
    """A place of its own for a run of mutants; the project's reference results are out of its sight."""
    root = root.resolve()
    results, bait = root / "here" / "results", root / "b"
    for folder in (results / "tables", results / "runs", results / "reports", bait):
        folder.mkdir(parents=True)
    (root / "here" / "netlists").symlink_to(ROOT / "netlists")
    for name in BAIT:
        (bait / name).write_text("* bait\n.end\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    handler = signal.signal(signal.SIGALRM, _too_long)
    try:
        with (
            _watching(bait) as watch,
            patch.dict(os.environ, {"SPICEBRIDGE_RESULTS": str(results)}),
            patch("spicebridge.project._ROOT", root / "here"),
            # A terminal gets the escape sequences that click takes out of what goes elsewhere.
            patch("click.utils.should_strip_ansi", lambda *_, **__: False),
        ):
            yield Place(root, results, bait, watch)
    finally:
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _too_long(_signal: int, _frame: object) -> None:
    raise TooLongError


@contextlib.contextmanager
def _watching(folder: Path) -> Iterator[Callable[[], bool]]:
    """Whether a file in the folder was opened, by Python or by a C library: the kernel says."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    assert handle >= 0, os.strerror(ctypes.get_errno())
    assert libc.inotify_add_watch(handle, os.fsencode(folder), _OPENED) >= 0

    def asked() -> bool:
        seen = False
        with contextlib.suppress(BlockingIOError):
            while content := os.read(handle, 65536):
                while content:
                    _, mask, _, length = struct.unpack_from("iIII", content)
                    seen |= not mask & _FOLDER  # anyone may list the folder: this module does
                    content = content[16 + length :]
        return seen

    try:
        yield asked
    finally:
        os.close(handle)


@dataclass
class Tally:
    """What came of many mutants.

    Attributes:
        made, parsed: mutants, and those that still parse as what they are.
        commands, accepted: commands, and those that exited 0.
        faults: the numbers of the mutants, by what went wrong.
        slowest: seconds, mutant and command.
    """

    made: int = 0
    parsed: int = 0
    commands: int = 0
    accepted: int = 0
    faults: dict[str, list[int]] = field(default_factory=dict)
    slowest: tuple[float, int, str] = (0.0, 0, "")

    def text(self) -> str:
        """The counts, and each fault with how often it came and the first mutants that showed it."""
        shares = f"{self.made} mutants, {self.parsed} parse; {self.commands} commands, {self.accepted} exit 0"
        seconds, number, command = self.slowest
        rows = [shares, f"slowest {seconds:.1f} s: mutant {number}, {command}"]
        for what, numbers in sorted(self.faults.items(), key=lambda item: -len(item[1])):
            rows.append(f"  {len(numbers):>6}  {what}   [{', '.join(map(str, numbers[:4]))}]")
        return "\n".join(rows)


def chance_of(seed: int, number: int) -> random.Random:
    """The generator of one mutant, whichever others are made."""
    return random.Random(f"{seed}/{number}")


def numbers(first: int, count: int, seconds: float) -> Iterator[int]:
    """The mutants' numbers, as many as there is time for."""
    until = time.monotonic() + seconds
    for number in range(first, first + count):
        if time.monotonic() > until:
            return
        yield number


def try_commands(
    tally: Tally,
    number: int,
    where: Place,
    commands: Sequence[Sequence[object]],
    *,
    may_write: Callable[[str], bool],
) -> None:
    """Run commands on a mutant that lies ready, and put down every fault.

    Args:
        tally: gets what is found.
        number: the mutant's.
        where: it lies there.
        commands: each in the words of the command line.
        may_write: whether a command may make or change the file of this path below ``where.root``.
    """
    for command in commands:
        before = where.files()
        where.watch()
        started = time.perf_counter()
        faults = _faults(command, tally)
        took = time.perf_counter() - started
        if where.watch():
            faults.append("opens a file that the mutant names")
            _restore_bait(where)
        after = where.files()
        strange = {
            name
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name) and not may_write(name)
        }
        if strange:
            faults.append("writes or removes a file elsewhere")
            for name in strange - before.keys():
                (where.root / name).unlink()
        words = " ".join(_short(str(each)) for each in command)
        tally.commands += 1
        tally.slowest = max(tally.slowest, (took, number, words))
        for fault in faults:
            tally.faults.setdefault(f"{_kind(command)}: {fault}", []).append(number)


def _restore_bait(where: Place) -> None:
    for path in where.bait.iterdir():
        if path.name not in BAIT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    where.watch()


def _kind(command: Sequence[object]) -> str:
    return " ".join([str(command[0]), *(str(each) for each in command if each in _TELLING)])


def _short(word: str) -> str:
    return word if len(word) < 40 else f"{word[:37]}..."


def _faults(command: Sequence[object], tally: Tally) -> list[str]:
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome = call(*command)
    except TooLongError:
        return [f"did not end in {SECONDS} s"]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever escapes is a fault, and the next mutant's turn
        return [_where(error)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    tally.accepted += outcome.code == 0
    return list(_amiss(command, outcome))


def _where(error: BaseException) -> str:
    """A traceback in short: its kind, and the last line of the project's own."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(ROOT) and ".venv" not in frame.filename
        and "tests" not in Path(frame.filename).parts
    ]  # fmt: skip
    at = f"{Path(own[-1].filename).relative_to(ROOT)}:{own[-1].lineno}" if own else "outside the project"
    return f"{type(error).__name__} at {at}"


def _amiss(command: Sequence[object], outcome: Outcome) -> Iterator[str]:
    """What a command that ended says amiss."""
    if outcome.code not in (0, 1):
        yield f"exit {outcome.code}"
    if outcome.code == 1 and "--replay" not in command:
        if not any(line.startswith("Error: ") for line in outcome.err.splitlines()):
            yield "exit 1 without a sentence"
        elif not outcome.err.rpartition("Error: ")[2].strip():
            yield "exit 1 with an empty sentence"
    if "Traceback" in outcome.err:
        yield "a traceback in a message"
    if len(outcome.err) > LONGEST:
        yield f"a message of more than {LONGEST} characters"
    for name, text in (("output", outcome.out), ("message", outcome.err)):
        if any(unicodedata.category(each) == "Cc" for each in text.replace("\n", "")):
            yield f"control characters in its {name}"
        if any(unicodedata.category(each) == "Cs" for each in text):
            yield f"half a surrogate pair in its {name}, which a terminal's encoding refuses"
        if any(line.startswith(FORGED) for line in text.splitlines()):
            yield f"a line in its {name} that a name made"
    if "--json" in command and outcome.code == 0:
        try:
            json.loads(outcome.out, parse_constant=_no_constant)
        except ValueError:
            yield "output that is not JSON"


def _no_constant(name: str) -> None:
    raise ValueError(name)
