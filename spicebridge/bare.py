"""The independent route: the bare ngspice program on a kept deck, its printed results and raw file read here.

Nothing of the library route is used but ngspice's own equations: neither libngspice, nor PySpice, nor the
reading of their answers. What both share is the deck and the measure, a function of the waveforms.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicebridge.convergence import AIDS, aid_name, aided
from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.failure import Failure, kept_text, unkept_failure
from spicebridge.files import write_text
from spicebridge.levels import PREFIX
from spicebridge.measured_vectors import unmeasured
from spicebridge.netlist_text import lines_of
from spicebridge.ngspice_words import ABORTED, ALTERED, UNSOLVED, told_reason
from spicebridge.settings import listed, shortened
from spicebridge.simulator import ConvergenceError, SimulationError, Waveforms
from spicebridge.sweep import Outcome, Progress, Unit

_CHECKOUT = Path(__file__).resolve().parent.parent
_RESULT = re.compile(r"^(\w+)\s*=\s*(\S+)")
# ngspice goes on after these and ends with status 0, but not with all that the deck says.
_NOT_DONE = re.compile(
    rf"{ALTERED}|instance line, ignored|{ABORTED}|no such command",
    re.IGNORECASE,
)
# The commands by which a trusted deck's .control block simulates.
_SIMULATES = re.compile(r"^(?:run|tran|ac|dc|op|tf|noise|sens|pz|sp|disto)(?:\s|$)", re.IGNORECASE)
_UNSOLVED = re.compile(UNSOLVED, re.IGNORECASE)
_FIRST_WORDS = 12
# ngspice's names of analyses, by a word of the plot's name; the first that fits.
_ANALYSES = {
    "transient": "tran", "operating": "op", "transfer function": "tf", "dc": "dc", "ac": "ac", "pole": "pz",
    "noise": "noise", "sens": "sens", "disto": "disto",
}  # fmt: skip


def find_ngspice_program() -> str:
    """The path of the ngspice program: the one that the set-up unpacked under ``.local``, else the PATH's.

    Raises:
        SpicebridgeError: there is none.
    """
    unpacked = _CHECKOUT / ".local" / "usr" / "bin" / "ngspice"
    found = str(unpacked) if unpacked.is_file() else shutil.which("ngspice")
    if found is None:
        raise SpicebridgeError(
            "there is no ngspice program on the PATH, and verifying needs it beside libngspice. "
            "Run 'make demo', which installs it, or install the package ngspice."
        )
    return found


@cache
def program_version(program: str) -> str:
    """What ``ngspice -v`` says, such as ``ngspice-46``: the major version, as tables are stamped with it.

    Raises:
        SpicebridgeError: the program does not run, or is another one.
    """
    try:
        said = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpicebridgeError(f"{program} does not run: {error}. Install the package ngspice.") from error
    match = re.search(r"ngspice-(\d+)", said)
    if match is None:
        raise SpicebridgeError(f"{program} -v names no version of ngspice. It said: {said.strip()[:200]!r}")
    return f"ngspice-{match[1]}"


def keep_for_program(deck: Deck, folder: Path) -> Path:
    """Write the deck into ``folder`` as the bare program runs it, and return its path.

    A trusted deck whose own commands simulate gets ``quit`` after them, where bare ngspice would run its
    analyses once more.
    """
    text = deck.replayable()
    if _simulates_itself(deck):
        before, end, after = text.rpartition("\n.endc")
        text = f"{before}\nquit{end}{after}"
    path = _kept_path(folder, deck.digest)
    deck.write(path, text)
    return path


def _simulates_itself(deck: Deck) -> bool:
    """Whether commands of the deck's own run its analyses, as those of a trusted deck may."""
    commands = False
    for line in lines_of(deck.text):
        commands = line.lower() == ".control" or (commands and line.lower() != ".endc")
        if commands and _SIMULATES.match(line):
            return True
    return False


def _kept_path(folder: Path, digest: str) -> Path:
    return folder / f"{digest[:12]}.cir"


@dataclass(frozen=True)
class BareEngine:
    """An engine for procedures whose units all go the bare way; nothing is stored, every unit is simulated.

    Attributes:
        folder: where decks, and the logs of those that failed, are kept.
        workers: how many ngspice programs at a time.
        progress: told (ended, total, failed) as units end.
        time_limit: seconds a run of the program may take.
    """

    folder: Path
    workers: int
    progress: Progress | None = None
    time_limit: float = 600.0

    @property
    def version(self) -> str:
        """The program's version, such as ``ngspice-46``."""
        return program_version(find_ngspice_program())

    def kept(self, digest: str) -> Path:
        """Where a deck of this digest is kept once it has run."""
        return _kept_path(self.folder, digest)

    def run(self, units: Sequence[Unit]) -> list[Outcome]:
        """The units' outcomes, in order."""
        ended = dict(self.stream(units))
        return [ended[index] for index in range(len(units))]

    def stream(self, units: Sequence[Unit]) -> Iterator[tuple[int, Outcome]]:
        """Yield ``(index, outcome)`` as units end. Each is read once, in order, when its turn comes.

        Closing the iterator stops the programs.
        """
        programs = _Programs(find_ngspice_program(), self.time_limit)
        total, ended, failed = len(units), 0, 0
        running: dict[Future[Outcome], int] = {}
        pool = ThreadPoolExecutor(self.workers)
        try:
            for index in range(total + 1):
                # One more than there are workers, so that none waits for the next unit to be built.
                while running and (index == total or len(running) > self.workers):
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        outcome = future.result()
                        ended, failed = ended + 1, failed + (outcome.values is None)
                        if self.progress is not None:
                            self.progress(ended, total, failed)
                        yield running.pop(future), outcome
                if index < total:
                    running[pool.submit(_outcome, units[index], self.folder, programs)] = index
        finally:
            programs.stop()
            pool.shutdown(cancel_futures=True)


def _outcome(unit: Unit, folder: Path, programs: _Programs) -> Outcome:
    """A unit by the bare route, with convergence aids if, and only if, it has no solution without."""
    first: SimulationError | None = None
    for count in range(len(AIDS) + 1):
        try:
            recorded = _simulated(aided(unit.deck, count), folder, programs)
            return Outcome(unit.measure(recorded, **unit.arguments), aid=aid_name(count))
        except ConvergenceError as error:
            first = first or error
        except SpicebridgeError as error:
            first = first or (error if isinstance(error, SimulationError) else None)
            return _failed(first or error, folder)
    assert first is not None
    return _failed(first, folder)


def _failed(error: SpicebridgeError, folder: Path) -> Outcome:
    if not isinstance(error, SimulationError):
        return Outcome(None, unkept_failure(error))
    deck = _kept_path(folder, error.deck.digest)
    log = deck.with_suffix(".log")
    write_text(log, f"{error.log}\n")
    return Outcome(None, Failure(str(error), deck, log, error.reason))


def _simulated(deck: Deck, folder: Path, programs: _Programs) -> Waveforms:
    """A deck's ``.meas`` results and its last analysis' waveforms by the bare program.

    ngspice prints no ``.meas`` results while it writes a raw file, so a deck with ``.meas`` lines runs twice.
    A measure that ngspice gave no number for is NaN. A trusted deck whose own commands simulate gives its
    results and no waveforms.

    Raises:
        ConvergenceError: ngspice found no solution; the message says where the deck is kept.
        SimulationError: it failed otherwise, or ran past the time limit.
        SpicebridgeError: the program does not start.
    """
    kept = keep_for_program(deck, folder)
    analysis, said = "", []
    vectors: dict[str, NDArray[Any]] = {}
    if not _simulates_itself(deck):
        with tempfile.TemporaryDirectory() as scratch:
            raw = Path(scratch) / "deck.raw"
            said.append(programs.run(deck, _analysed(deck, kept, Path(scratch)), "-r", str(raw)))
            try:
                analysis, vectors = read_raw(raw.read_bytes() if raw.is_file() else b"")
            except SpicebridgeError as error:
                raise _error(deck, kept, str(error), said[0]) from error
    measures = {}
    if names := deck.measures:
        said.append(programs.run(deck, kept))
        measures = _measures(names, said[-1])
        if deck.levels is not None:
            for _ in range(deck.levels.depth):  # each time the next results of a chain have all their digits
                said.append(_ran_with(deck, measures, programs))
                measures = _measures(names, said[-1])
        measures |= dict.fromkeys(unmeasured(deck.lines, said[-1].splitlines()), float("nan"))
    return Waveforms(
        analysis=analysis,
        vectors=vectors,
        measures=measures,
        engine=program_version(programs.program).removeprefix("ngspice-"),
        log="\n".join(said),
    )


def _analysed(deck: Deck, kept: Path, scratch: Path) -> Path:
    """The file whose run writes a raw file, which ngspice does not do where commands end the run."""
    if not deck.needs_run:
        return kept
    path = scratch / kept.name
    deck.write(path, deck.replayable(run=False))
    return path


def _ran_with(deck: Deck, measures: Mapping[str, float], programs: _Programs) -> str:
    """What the program says of a deck whose measures at others' results take those to all their digits."""
    known = {name: value for name, value in measures.items() if math.isfinite(value)}
    with tempfile.TemporaryDirectory() as scratch:
        path = _kept_path(Path(scratch), deck.digest)
        deck.write(path, deck.replayable(known))
        return programs.run(deck, path)


def _measures(names: Sequence[str], said: str) -> dict[str, float]:
    """The printed results of the named ``.meas`` lines; NaN for one without."""
    measures = dict.fromkeys(names, float("nan"))
    for line in said.splitlines():
        if (match := _RESULT.match(line)) and (name := match[1].lower().removeprefix(PREFIX)) in measures:
            with contextlib.suppress(ValueError):
                measures[name] = float(match[2])
    return measures


@dataclass
class _Programs:
    """Running ngspice programs, which can all be stopped at once."""

    program: str
    time_limit: float
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def run(self, deck: Deck, kept: Path, *options: str) -> str:
        """What ``ngspice -b`` said of a kept deck.

        Raises:
            SimulationError: it failed, left out something of the deck, or ran past the time limit.
        """
        environment = {**os.environ, "NGSPICE_MEAS_PRECISION": "12", "OMP_NUM_THREADS": "1"}
        command = [self.program, *deck.program_options, "-b", *options, str(kept.absolute())]
        with tempfile.TemporaryDirectory(prefix="spicebridge-") as folder:
            return self._said(deck, kept, command, environment, folder)

    def _said(
        self, deck: Deck, kept: Path, command: Sequence[str], environment: Mapping[str, str], folder: str
    ) -> str:
        with self._lock:
            if self._stopped:
                raise _error(deck, kept, "it was stopped", "")
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    cwd=folder,  # ngspice writes reports of odd cards, and reads a .spiceinit, where it runs
                    env=environment,
                    start_new_session=True,  # a group of its own, to be killed with all that it started
                )
            except OSError as error:
                raise SpicebridgeError(
                    f"{self.program} does not start: {error}. Check free memory and the limit on processes "
                    "(ulimit -u), or install the package ngspice again."
                ) from error
            self._running.add(process)
        try:
            said, complaints = process.communicate(timeout=self.time_limit)
        except subprocess.TimeoutExpired:
            _kill(process)
            said, complaints = process.communicate()
            reason = f"it ran past {self.time_limit:g} s"
            raise _error(deck, kept, reason, f"{complaints}\n{said}") from None
        finally:
            with self._lock:
                self._running.discard(process)
        if process.returncode != 0:
            raise _error(deck, kept, f"it ended with status {process.returncode}", complaints or said)
        if _NOT_DONE.search(complaints):
            raise _error(deck, kept, "it did not do all that the deck says", complaints)
        return f"{said}\n{complaints}"

    def stop(self) -> None:
        """Kill what runs and start nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _error(deck: Deck, kept: Path, reason: str, log: str) -> SimulationError:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    parameters = listed(f"{name}={shortened(value, 40)}" for name, value in deck.parameters.items())
    where = f"{deck.name} at {parameters}" if deck.parameters else deck.name
    kind = ConvergenceError if _UNSOLVED.search(log) else SimulationError
    return kind(
        f"the bare ngspice program failed on {where}: {reason}.\n"
        + "".join(f"  {shortened(line)}\n" for line in lines[:_FIRST_WORDS])
        + f"  {kept_text(kept, deck)}",
        deck=deck,
        log=log,
        reason=told_reason(lines) or next(filter(_NOT_DONE.search, lines), reason),
    )


# Raw files


def read_raw(content: bytes) -> tuple[str, dict[str, NDArray[Any]]]:
    """The last plot of an ngspice raw file, binary or ASCII.

    Returns:
        ngspice's short name of the analysis (``tran``, ``dc``, ``op``, ``ac``), and the vectors by the
        lower-case names that ``Waveforms`` has, each (points,), real or complex.

    Raises:
        SpicebridgeError: it is none, is cut short, or holds no points.
    """
    at, last = 0, None
    while content[at:].strip():
        last, at = _plot(content, at)
    if last is None:
        raise SpicebridgeError("it wrote no raw file")
    header, values = last
    if not values.size:
        raise SpicebridgeError(f"its raw file holds no points of the {header['plotname']}")
    return _analysis(header["plotname"]), {
        _vector_name(name): values[:, column].copy() for column, name in enumerate(header["names"])
    }


def _plot(content: bytes, start: int) -> tuple[tuple[dict[str, Any], NDArray[Any]], int]:
    """The header and the values, (points, variables), of the plot at ``start``, and where the next begins."""
    match = re.compile(rb"^(Binary|Values):[ ]*\r?\n", re.MULTILINE).search(content, start)
    if match is None:
        raise SpicebridgeError("its raw file has no values")
    header = _header(content[start : match.start()].decode(errors="replace"))
    points, names = header["points"], header["names"]
    kind = np.dtype("<c16") if "complex" in header["flags"] else np.dtype("<f8")
    if match[1] == b"Binary":
        end = match.end() + points * len(names) * kind.itemsize
        if end > len(content):
            raise SpicebridgeError("its raw file is cut short")
        rest = content[end:].lstrip()
        if rest and not rest.startswith(b"Title:"):
            return _repeating(content, match.end(), header, kind)
        values = np.frombuffer(content[match.end() : end], dtype=kind)
    else:
        found = re.compile(rb"^Title:", re.MULTILINE).search(content, match.end())
        end = found.start() if found else len(content)
        values = _ascii(content[match.end() : end], points, len(names), kind)
    return (header, values.reshape(points, len(names))), end


def _repeating(
    content: bytes, start: int, header: dict[str, Any], kind: np.dtype[Any]
) -> tuple[tuple[dict[str, Any], NDArray[Any]], int]:
    """As ``_plot`` a plot whose rows, from ``start`` on, are more than its header says.

    With ``.options interp`` ngspice writes a row at each of its time steps, the last one again where the step
    ended before the next point.
    """
    end = content.find(b"Title:", start)
    end = len(content) if end < 0 else end
    row = len(header["names"]) * kind.itemsize
    if (end - start) % row:
        raise SpicebridgeError("its raw file is cut short")
    rows = np.frombuffer(content[start:end], dtype=kind).reshape(-1, len(header["names"]))
    new = np.append(True, (rows[1:] != rows[:-1]).any(axis=1))
    if np.count_nonzero(new) != header["points"]:
        raise SpicebridgeError("its raw file holds more points than its header says")
    return (header, rows[new]), end


def _header(text: str) -> dict[str, Any]:
    """``plotname``, ``flags``, ``points`` and the variables' ``names`` of a plot's header."""
    told, _, variables = text.partition("\nVariables:")
    fields: Mapping[str, str] = {
        key.strip().lower(): value.strip()
        for key, _, value in (line.partition(":") for line in told.splitlines())
    }
    try:
        names = [line.split()[1] for line in variables.splitlines() if line.strip()]
        points = int(fields["no. points"])
        if not names or len(names) != int(fields["no. variables"]) or points < 0:
            raise ValueError
        plotname, flags = fields["plotname"].lower(), fields["flags"].lower()
        return {"plotname": plotname, "flags": flags, "points": points, "names": names}
    except (IndexError, KeyError, ValueError) as error:
        raise SpicebridgeError("its raw file has a header that makes no sense") from error


def _ascii(content: bytes, points: int, variables: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Values written as text: for each point its number, then a value for each variable."""
    words = content.split()
    if len(words) != points * (variables + 1):
        raise SpicebridgeError("its raw file is cut short")
    values = [word for index, word in enumerate(words) if index % (variables + 1)]
    try:
        if kind.kind == "c":
            return np.array([complex(*map(float, word.split(b","))) for word in values], dtype=kind)
        return np.array([float(word) for word in values], dtype=kind)
    except (TypeError, ValueError) as error:
        raise SpicebridgeError("its raw file holds values that are no numbers") from error


def _analysis(plotname: str) -> str:
    return next((short for word, short in _ANALYSES.items() if word in plotname), plotname)


def _vector_name(name: str) -> str:
    """A raw file's name as ``Waveforms`` has it: ``v(out)`` as ``out``, ``i(v1)`` as ``v1#branch``."""
    match = re.fullmatch(r"([vi])\((.+)\)", name.lower())
    if match is None:
        return name.lower()
    is_branch = match[1] == "i" and not match[2].startswith("@") and not match[2].endswith("-sweep")
    return f"{match[2]}#branch" if is_branch else match[2]
