"""The simulator: libngspice through PySpice, one to a process.

PySpice's shared-library class is driven at its lowest level, because its own judgement of ngspice's output
is wrong in both directions: it takes notes for errors, and after a deck that fails to load it hands out the
waveforms of the deck before. Here a run is good only if ngspice made a new plot that bears the deck's digest.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.held_models import misfit
from spicebridge.lasting_commands import outlasts
from spicebridge.levels import PREFIX, exactly, measure_of
from spicebridge.measured_vectors import unmeasured
from spicebridge.ngspice_library import find_ngspice_library
from spicebridge.ngspice_words import UNSOLVED, is_abort, is_complaint, of_measures, told_reason
from spicebridge.settings import listed, shortened
from spicebridge.still_clock import use_still_clock
from spicebridge.verilog_a import CompiledModel

if TYPE_CHECKING:
    from spicebridge.ngspice_process import NgspiceProcess

T = TypeVar("T")


# Names are padded to 20 characters, so that a longer one is followed by the sign at once.
_MEASURE = re.compile(r"^([A-Za-z_]\w*)\s*=\s+([-+0-9.eE]+)(?:\s|$)")
_FAILED_MEASURE = re.compile(r"^\.meas\w*\s+\w+\s+(\w+)\s.*failed!", re.IGNORECASE)
# What ngspice says of every deck, or of itself; it tells nothing about a failure.
_CHATTER = re.compile(
    r"^(?:note: no compat|circuit:|constant values|doing analysis|using (?:sparse|klu)|no\. of data rows"
    r"|error: ngspice\.dll cannot recover|error: ngspice did not)",
    re.IGNORECASE,
)
_IS_UNSOLVED = re.compile(UNSOLVED, re.IGNORECASE)
# Of each phrase of a complaint a part: a log without any of them is looked at no further, and most are.
_SUSPECT = (
    "unrecognized", "unknown", "no such", "could not find", "unable to", "can't find", "undefined",
    "singular", "too small", "no convergence", "limit", "aborted", "interrupted", "error", "fatal",
    "floating", "not a valid", "non-increasing",
)  # fmt: skip
_NUMBERED = re.compile(r"^v\((\d\w*)\)$")
_PLAIN = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)  # of a path: what ngspice takes as it stands
_LOG_TAIL = 12


class SimulationError(SpicebridgeError):
    """A deck that ngspice could not run, in ngspice's own words.

    Attributes:
        deck: the deck.
        log: all that ngspice said.
        reason: why, in one line; the message's first if not given.
    """

    def __init__(self, message: str, *, deck: Deck, log: str, reason: str = "") -> None:
        super().__init__(message)
        self.deck = deck
        self.log = log
        self.reason = reason or message.partition("\n")[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt_error, (type(self), str(self), self.deck, self.log, self.reason)


class ConvergenceError(SimulationError):
    """A deck for which ngspice found no solution."""


def _rebuilt_error(
    kind: type[SimulationError], message: str, deck: Deck, log: str, reason: str
) -> SimulationError:
    return kind(message, deck=deck, log=log, reason=reason)


@dataclass(frozen=True, eq=False)
class Waveforms:
    """What one deck's last analysis gave.

    Attributes:
        analysis: ngspice's name of the analysis: ``tran``, ``dc``, ``op`` or ``ac``.
        vectors: saved waveforms by ngspice's lower-case name (``time``, ``v(out)`` as ``out``,
            ``i(v1)`` as ``v1#branch``), SI units; real, or complex for ``ac``. Each is fetched from
            ngspice when it is asked for, so that a measure pays for no more than it reads.
        measures: results of the deck's ``.meas`` lines; NaN where one failed.
        engine: ngspice's version, such as ``46``.
        log: what ngspice said.
    """

    analysis: str
    vectors: Mapping[str, NDArray[Any]]
    measures: Mapping[str, float]
    engine: str
    log: str

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The waveform of a node (``x``), a branch (``i(v1)``) or an inner node.

        Raises:
            SpicebridgeError: not saved by the deck.
        """
        key = name.lower()
        if match := re.fullmatch(r"i\((.+)\)", key):
            key = f"{match[1]}#branch"
        elif match := re.fullmatch(r"v\((.+)\)", key):
            key = match[1]
        if key not in self.vectors:
            raise SpicebridgeError(f"no waveform {name!r}. Saved are: {listed(sorted(self.vectors))}.")
        return self.vectors[key]


class Simulator(Protocol):
    """Anything that runs a deck."""

    def run(self, deck: Deck) -> Waveforms:
        """The deck's waveforms, or ``SimulationError``."""
        ...


class NgspiceSimulator:
    """ngspice inside this process, of which there can be one: a worker's (see ``runner.py``).

    Attributes:
        library: the libngspice in use.
        spent: whether an earlier deck left ngspice beyond recovery, so that this process must be replaced.
    """

    def __init__(self) -> None:
        library = find_ngspice_library()
        os.environ["NGSPICE_MEAS_PRECISION"] = "12"  # .meas results are printed, so print them in full
        from PySpice.Spice.NgSpice.Shared import FFI, NgSpiceShared, ffi

        for name in ("PySpice", "PySpice.Spice.NgSpice.Shared"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        NgSpiceShared.LIBRARY_PATH = library
        use_still_clock()
        log: list[str] = []
        plots: list[tuple[bytes, bytes]] = []

        class Session(NgSpiceShared):  # type: ignore[misc]  # PySpice is untyped
            """PySpice's session with its judgement switched off: every line goes to our log."""

            _number_of_exec_calls: int

            def _load_library(self, verbose: bool) -> None:
                super()._load_library(verbose)
                self._ngspice_shared: Any = _WithoutStatus(self._ngspice_shared, FFI.NULL)

            def load(self, netlist: str) -> int:
                """Hand ngspice a netlist; 0 if it was taken."""
                lines = f"{netlist}\n".encode().split(b"\n")  # an empty line ends it
                text = ffi.from_buffer(b"\0".join([*lines, b""]))
                places = accumulate((len(line) + 1 for line in lines[:-1]), initial=0)
                return self._ngspice_shared.ngSpice_Circ([*(text + place for place in places), FFI.NULL])

            def do(self, command: bytes) -> int:
                """Have ngspice carry out a command; 0 if it did."""
                self._number_of_exec_calls += 1
                if self._number_of_exec_calls > self.NUMBER_OF_EXEC_CALLS_TO_RELEASE_MEMORY:
                    self._ngspice_shared.ngSpice_Command(FFI.NULL)  # forget the history of commands
                    self._number_of_exec_calls = 0
                return self._ngspice_shared.ngSpice_Command(command)

            def current_plot(self) -> str:
                """The name of the plot that was made last."""
                return ffi.string(self._ngspice_shared.ngSpice_CurPlot()).decode()

            def announced(self) -> tuple[str, str]:
                """Name and title of the plot that an analysis began last; empty if there is none."""
                name, title = plots[-1] if plots else (b"", b"")
                return name.decode(errors="replace"), title.decode(errors="replace")

            def forget(self) -> None:
                """Clear the log and the plots that analyses began."""
                log.clear()
                plots.clear()

            def vector_names(self, plot: str) -> list[str]:
                names = self._ngspice_shared.ngSpice_AllVecs(plot.encode())
                return self._convert_string_array(names)

            def vector(self, name: str) -> NDArray[Any]:
                """A copy of the vector, real or complex."""
                found = self._ngspice_shared.ngGet_Vec_Info(name.encode())
                if found.v_compdata == FFI.NULL:
                    numbers = ffi.buffer(found.v_realdata, found.v_length * 8)
                    return np.frombuffer(numbers, dtype=np.float64).copy()
                numbers = ffi.buffer(found.v_compdata, found.v_length * 16)
                return np.frombuffer(numbers, dtype=np.complex128).copy()

            @staticmethod
            def _send_char(message: Any, _ngspice_id: int, _session: Any) -> int:
                # "stdout ..." or "stderr ...": which of the two says nothing about how good a run was.
                log.append(ffi.string(message).decode(errors="replace").partition(" ")[2])
                return 0

            @staticmethod
            def _send_init_data(plot: Any, _ngspice_id: int, _session: Any) -> int:
                plots.append((ffi.string(plot.type), ffi.string(plot.title)))
                return 0

            @property
            def stdout(self) -> str:
                """What ngspice said since the log was cleared, where PySpice looks for an answer."""
                return "\n".join(log)

        try:
            ctypes.CDLL(library)  # first alone: PySpice cannot try a second time
        except OSError as error:
            raise SpicebridgeError(
                f"libngspice at {library} does not load: {error}. Set NGSPICE_LIBRARY_PATH to one that does."
            ) from error
        self._session = Session(ngspice_id=0, send_data=False)
        self._log = log
        self._builds: dict[str, str] = {}  # of the models that ngspice holds, by lower-case module name
        self.spent = False
        self.library = library
        self._engine = str(self.version)
        self._command("set num_threads=1")
        # Since 44 ngspice looks up free memory at every stored time point, which halves a small deck's speed.
        self._command("set no_mem_check")
        # Nor is anybody shown how far a run is, for which it reads the clock at each of them (a fifth more).
        self._command("set norefvalue")
        # Not the node voltages of every operating point nor the count of rows: nobody reads them.
        self._command("set noinit")
        self._command("set noacct")

    @property
    def version(self) -> int:
        """ngspice's major version."""
        return int(self._session.ngspice_version or 0)

    def run(self, deck: Deck) -> Waveforms:
        """Run every analysis of the deck; the waveforms are the last one's, all fetched.

        Raises:
            SimulationError: ngspice did not load or finish it.
        """
        return self.measured(deck, whole)

    def measured(self, deck: Deck, measure: Callable[[Waveforms], T]) -> T:
        """Run the deck and measure it while ngspice still holds its waveforms.

        Raises:
            SimulationError: ngspice did not load or finish it.
        """
        with self._ran(deck) as recorded:
            return measure(recorded)

    @contextmanager
    def _ran(self, deck: Deck) -> Iterator[Waveforms]:
        if self.spent:
            raise SimulationError(
                "an earlier deck left this process's ngspice other than it was; start a new process.",
                deck=deck,
                log="",
            )
        self._session.forget()
        if (other := misfit(deck, self._builds)) is not None:
            raise SimulationError(
                f"this process's ngspice keeps another {other} that it loaded before, and {deck.name} is not "
                "simulated with the wrong one; start a new process.",
                deck=deck,
                log="",
            )
        for model in deck.models:
            self._load_model(model)
        if deck.compat:
            self._command(f"set ngbehavior={deck.compat}")
        try:
            # A trusted deck's .control block runs as the deck is loaded; if it made a plot, that is the run.
            if self._load(
                "\n".join(filter(None, [deck.digest, deck.netlist, deck.saving_line, ".end"]))
            ) and not (_controls(deck) and self._made(deck)):
                self._command("run")
            self._refuse_failure(deck)
            yield self._waveforms(deck)
        finally:
            # Some decks leave ngspice beyond recovery, or other than it was: only a new process helps then
            # (see workers.py).
            lost = any("cannot recover" in line for line in self._log)
            self.spent = lost or (_controls(deck) and outlasts(deck))
            if not self.spent:
                self._command("destroy all")
                self._command("remcirc")
                if deck.compat:
                    self._command("unset ngbehavior")
                if "cshunt" in deck.text.lower():  # an option that ngspice would keep for every later deck
                    self._command("unset cshunt_value")

    def _load_model(self, model: CompiledModel) -> None:
        """Load a compiled Verilog-A model, once in this process."""
        name = model.type.lower()
        if name in self._builds:
            return
        if name in self._devices:
            raise SpicebridgeError(
                f"ngspice {self.version} at {self.library} has a device {name} of its own, and would take it "
                f"for the Verilog-A module {model.module}. Rename the module."
            )
        # Of the path what is our own: ngspice would read commands in another folder's name. The build is part
        # of it, as ngspice passes over a name that it has loaded before, in whatever folder.
        place = f"{model.library.parent.name}/{model.library.name}"
        if not _PLAIN.fullmatch(place):
            raise SpicebridgeError(f"{model.library} does not lie where compiled models do: {place!r}.")
        with _in_folder(model.library.parent.parent):
            said = "\n".join(self._command(f"osdi {place}"))
        if "error" in said.lower() or "no such command" in said.lower():
            raise SpicebridgeError(
                f"ngspice {self.version} at {self.library} did not load {model.library.name}: "
                f"{said.strip()}. It needs ngspice built with OSDI; 'spicebridge doctor' tells which one was "
                "found."
            )
        self._builds[name] = model.build

    @cached_property
    def _devices(self) -> frozenset[str]:
        """The lower-case names of ngspice's devices, when this is asked for first."""
        before = len(self._log)
        described = self._command("devhelp")
        del self._log[before:]  # they tell nothing about a deck
        return frozenset(line.partition(":")[0].strip().lower() for line in described)

    def _load(self, netlist: str) -> bool:
        """Hand ngspice a netlist; whether it took it without complaint."""
        if status := self._session.load(netlist):
            self._log.append(f"Error: ngspice did not take the netlist (status {status})")
        return not self._complaints()

    def _command(self, command: str) -> list[str]:
        """Give ngspice a command and return the lines it answered."""
        before = len(self._log)
        if status := self._session.do(command.encode()):
            self._log.append(f"Error: ngspice did not carry out {command!r} (status {status})")
        return self._log[before:]

    def _complaints(self) -> list[str]:
        """The lines that speak of failure, each with the line before and after it, which say where."""
        said = "\n".join(self._log).lower()
        if not any(words in said for words in _SUSPECT):
            return []
        measuring = of_measures(self._log)
        at = [
            index
            for index, line in enumerate(self._log)
            if is_complaint(line) and (not measuring[index] or is_abort(line))
        ]
        around = sorted({near for index in at for near in (index - 1, index, index + 1)})
        return [self._log[index] for index in around if 0 <= index < len(self._log)]

    def _made(self, deck: Deck) -> bool:
        """Whether the current plot is this deck's: its title is the deck's digest."""
        # ngspice tells of a plot as an analysis begins it, so that most need not be asked for their title.
        if self._session.announced() == (self._session.current_plot(), deck.digest):
            return True
        return any(deck.digest in line for line in self._command("echo $curplottitle"))

    def _refuse_failure(self, deck: Deck) -> None:
        complaints = self._complaints()
        if self._made(deck) and not complaints:
            return
        words = [
            line for line in complaints or self._log if not _CHATTER.match(line) and deck.digest not in line
        ]
        words = (words[:_LOG_TAIL] if complaints else words[-_LOG_TAIL:]) or ["ngspice said nothing"]
        parameters = listed(f"{name}={shortened(value, 40)}" for name, value in deck.parameters.items())
        unsolved = any(_IS_UNSOLVED.search(line) for line in complaints)
        raise (ConvergenceError if unsolved else SimulationError)(
            f"ngspice failed on {deck.name}{f' at {parameters}' if deck.parameters else ''}.\n"
            + "\n".join(f"  {shortened(line.strip())}" for line in words),
            deck=deck,
            log="\n".join(self._log),
            reason=told_reason(complaints) or words[0].strip(),
        )

    def _waveforms(self, deck: Deck) -> Waveforms:
        plot = self._session.current_plot()
        measures = {}
        # A trusted deck's own commands print results without a heading.
        told = [True] * len(self._log) if _controls(deck) else of_measures(self._log)
        for line, is_result in zip(self._log, told, strict=True):
            if not is_result or ("=" not in line and "failed" not in line):
                continue
            if match := _MEASURE.match(line.strip()):
                measures[match[1].lower()] = float(match[2])
            elif match := _FAILED_MEASURE.match(line.strip()):
                measures[match[1].lower()] = float("nan")
        measures |= self._late_measures(deck)
        measures |= dict.fromkeys(unmeasured(deck.lines, self._log), float("nan"))
        return Waveforms(
            analysis=re.sub(r"\d+$", "", plot),
            vectors=_LiveVectors(self._session, plot),
            measures=measures,
            engine=self._engine,
            log="\n".join(self._log),
        )

    def _late_measures(self, deck: Deck) -> dict[str, float]:
        """The measures at others' results, carried out after the run."""
        if deck.levels is None:
            return {}
        results = {}
        for command in deck.levels.commands:
            name = measure_of(command)
            answers = (_MEASURE.match(line.strip()) for line in self._command(command))
            value = next((float(match[2]) for match in answers if match), float("nan"))
            if name and value == value:
                self._command(exactly(name, value))  # ngspice itself hands on seven digits
            results[name] = value
        return {name: results[name] for name in deck.levels.names}


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """Be in another folder meanwhile."""
    try:
        here = os.open(".", os.O_RDONLY | getattr(os, "O_PATH", 0))
    except OSError as error:
        raise SpicebridgeError(
            f"the folder that this process runs in cannot be left and entered again: {error.strerror}."
        ) from error
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def whole(recorded: Waveforms) -> Waveforms:
    """The measure that keeps everything: waveforms that outlive the run."""
    return replace(recorded, vectors=dict(recorded.vectors))


class _LiveVectors(Mapping[str, NDArray[Any]]):
    """A plot's waveforms while ngspice holds it, each copied when it is asked for."""

    def __init__(self, session: Any, plot: str) -> None:
        self._session = session
        self._plot = plot

    @cached_property
    def _names(self) -> dict[str, str]:
        """ngspice's names by the lower-case ones here: the node 1, which it calls ``V(1)``, is ``1``."""
        names = self._session.vector_names(self._plot)
        own = {_NUMBERED.sub(r"\1", name.lower()): name for name in names}
        return {name: vector for name, vector in own.items() if not name.startswith(PREFIX)}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._session.vector(f"{self._plot}.{self._names[name]}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class _WithoutStatus:
    """libngspice started without its status callback, which costs 4 % of a small transient to no end."""

    def __init__(self, library: Any, null: Any) -> None:
        self._library = library
        self._null = null

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def ngSpice_Init(self, send_char: Any, _send_stat: Any, *others: Any) -> Any:  # noqa: N802  # ngspice's
        return self._library.ngSpice_Init(send_char, self._null, *others)


def _controls(deck: Deck) -> bool:
    """Whether the deck brings a ``.control`` block of its own, as only a trusted one may."""
    return ".control" in deck.text.lower()


@cache
def in_this_process() -> NgspiceSimulator:
    """This process's own ngspice, for one that does nothing else."""
    return NgspiceSimulator()


def ngspice() -> NgspiceProcess:
    """ngspice for scripts and notebooks: in a process beside this one, which it leaves as it was."""
    return _beside(os.getpid(), find_ngspice_library())


@cache
def _beside(process: int, library: str) -> NgspiceProcess:  # noqa: ARG001  # a fork, another library: another
    from spicebridge.ngspice_process import NgspiceProcess  # which stands on this module

    return NgspiceProcess()


def ngspice_version() -> str:
    """The ngspice that workers load now, such as ``ngspice-46``: the ``version`` of a ``sweep.Engine``.

    Raises:
        SpicebridgeError: there is none, or it does not work.
    """
    from spicebridge.workers import engine_version  # which stands on this module

    return engine_version()
