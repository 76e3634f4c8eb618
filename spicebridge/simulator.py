"""The simulator: libngspice through PySpice, one to a process.

PySpice's shared-library class is driven at its lowest level, because its own judgement of ngspice's output
is wrong in both directions: it takes notes for errors, and after a deck that fails to load it hands out the
waveforms of the deck before. Here a run is good only if ngspice made a new plot that bears the deck's digest.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.ngspice_library import find_ngspice_library
from spicebridge.project import results_folder

_MEASURE = re.compile(r"^([A-Za-z_]\w*)\s+=\s+([-+0-9.eE]+)(?:\s|$)")
_FAILED_MEASURE = re.compile(r"^\.meas\w*\s+\w+\s+(\w+)\s.*failed!", re.IGNORECASE)
# What ngspice says when a result must not be trusted although it goes on.
_FATAL = re.compile(
    r"unrecognized parameter|unknown parameter|unknown subckt|no such (?:model|function)|could not find"
    r"|unable to find definition|can't find model|undefined parameter|singular matrix"
    r"|timestep too small|no convergence|iteration limit|run simulation\(s\) aborted|simulation interrupted"
    r"|^error\b|\berror:|fatal|floating point",
    re.IGNORECASE,
)
# Harmless although it matches above: convergence aids at work, which ngspice announces as it tries them.
_HARMLESS = re.compile(
    r"^(?:note|warning|trying|starting|supplies|dynamic gmin|one successful)", re.IGNORECASE
)
# Never harmless, not even in a warning: the deck that ran is not the deck that was meant.
_ALTERED = re.compile(
    r"unrecognized parameter|unknown parameter|not a valid \w+ instance line|non-increasing pwl",
    re.IGNORECASE,
)
# What ngspice says of every deck, or of itself; it tells nothing about a failure.
_CHATTER = re.compile(
    r"^(?:note: no compat|circuit:|constant values|doing analysis|using (?:sparse|klu)|no\. of data rows"
    r"|error: ngspice\.dll cannot recover|error: ngspice_circ returned)",
    re.IGNORECASE,
)
_LOG_TAIL = 12


class SimulationError(SpicebridgeError):
    """A deck that ngspice could not run, with ngspice's own words and the deck kept for replay."""

    def __init__(self, message: str, *, deck: Deck, log: str) -> None:
        super().__init__(message)
        self.deck = deck
        self.log = log

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt_error, (str(self), self.deck, self.log)


def _rebuilt_error(message: str, deck: Deck, log: str) -> SimulationError:
    return SimulationError(message, deck=deck, log=log)


@dataclass(frozen=True, eq=False)
class Waveforms:
    """What one deck's last analysis gave.

    Attributes:
        analysis: ngspice's name of the analysis: ``tran``, ``dc``, ``op`` or ``ac``.
        vectors: saved waveforms by ngspice's lower-case name (``time``, ``v(out)`` as ``out``,
            ``i(v1)`` as ``v1#branch``), SI units; real, or complex for ``ac``.
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
            raise SpicebridgeError(f"no waveform {name!r}. Saved are: {', '.join(sorted(self.vectors))}.")
        return self.vectors[key]


class Simulator(Protocol):
    """Anything that runs a deck."""

    def run(self, deck: Deck) -> Waveforms:
        """The deck's waveforms, or ``SimulationError``."""
        ...


class NgspiceSimulator:
    """ngspice inside this process. There can be one; ``ngspice()`` returns it.

    Attributes:
        library: the libngspice in use.
        spent: whether an earlier deck left ngspice beyond recovery, so that this process must be replaced.
    """

    def __init__(self) -> None:
        library = find_ngspice_library()
        os.environ["NGSPICE_LIBRARY_PATH"] = library
        os.environ["NGSPICE_MEAS_PRECISION"] = "12"  # .meas results are printed, so print them in full
        from PySpice.Spice.NgSpice.Shared import NgSpiceShared

        for name in ("PySpice", "PySpice.Spice.NgSpice.Shared"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        NgSpiceShared.LIBRARY_PATH = library
        log: list[str] = []

        class Session(NgSpiceShared):  # type: ignore[misc]  # PySpice is untyped
            """PySpice's session with its judgement switched off: every line goes to our log."""

            def send_char(self, message: str, ngspice_id: object) -> int:  # noqa: ARG002  # PySpice's call
                log.append(message.partition(" ")[2])
                self._error_in_stdout = self._error_in_stderr = False
                return 0

        try:
            self._session = Session(ngspice_id=0, send_data=False)
        except OSError as error:
            raise SpicebridgeError(
                f"libngspice at {library} does not load: {error}. Set NGSPICE_LIBRARY_PATH to one that does."
            ) from error
        self._log = log
        self._loaded: set[Path] = set()
        self.spent = False
        self.library = library
        self._command("set num_threads=1")
        # Since 44 ngspice looks up free memory at every stored time point, which halves a small deck's speed.
        self._command("set no_mem_check")

    @property
    def version(self) -> int:
        """ngspice's major version."""
        return int(self._session.ngspice_version or 0)

    def run(self, deck: Deck) -> Waveforms:
        """Run every analysis of the deck; the waveforms are the last one's.

        Raises:
            SimulationError: ngspice did not load or finish it; the deck is kept under ``results/failed``.
        """
        if self.spent:
            raise SimulationError(
                "this process's ngspice could not recover from an earlier deck; start a new process.",
                deck=deck,
                log="",
            )
        self._log.clear()
        for model in deck.models:
            self.load_model(model.library)
        title = deck.digest
        try:
            if self._load(f"{title}\n{deck.text}\n.end"):
                self._command("run")
            self._refuse_failure(deck)
            return self._waveforms()
        finally:
            # Some bad decks leave ngspice beyond recovery: only a new process helps then (see workers.py).
            self.spent = any("cannot recover" in line for line in self._log)
            if not self.spent:
                self._command("destroy all")
                self._command("remcirc")

    def load_model(self, library: Path) -> None:
        """Load a compiled Verilog-A model, once in this process."""
        if library in self._loaded:
            return
        before = len(self._log)
        self._command(f"osdi {library}")
        said = "\n".join(self._log[before:])
        if "error" in said.lower() or "no such command" in said.lower():
            raise SpicebridgeError(
                f"ngspice {self.version} at {self.library} did not load {library.name}: {said.strip()}. "
                "It needs ngspice built with OSDI; 'spicebridge doctor' tells which one was found."
            )
        self._loaded.add(library)

    def _load(self, netlist: str) -> bool:
        """Hand ngspice a netlist; whether it took it without complaint."""
        try:
            self._session.load_circuit(netlist)
        except NameError as error:  # PySpice's word for a non-zero status
            self._log.append(f"Error: {error}")
        return not self._complaints()

    def _command(self, command: str) -> list[str]:
        """Give ngspice a command and return the lines it answered."""
        before = len(self._log)
        try:
            self._session.exec_command(command)
        except NameError as error:
            self._log.append(f"Error: {error}")
        return self._log[before:]

    def _complaints(self) -> list[str]:
        """The lines that speak of failure, each with the line before and after it, which say where."""
        at = [index for index, line in enumerate(self._log) if _is_complaint(line)]
        around = sorted({near for index in at for near in (index - 1, index, index + 1)})
        return [self._log[index] for index in around if 0 <= index < len(self._log)]

    def _refuse_failure(self, deck: Deck) -> None:
        complaints = self._complaints()
        title = self._command("echo $curplottitle")
        made = any(deck.digest in line for line in title)
        if made and not complaints:
            return
        log = "\n".join(self._log)
        words = [
            line for line in complaints or self._log if not _CHATTER.match(line) and deck.digest not in line
        ]
        words = (words[:_LOG_TAIL] if complaints else words[-_LOG_TAIL:]) or ["ngspice said nothing"]
        parameters = ", ".join(f"{name}={value}" for name, value in deck.parameters.items())
        try:
            kept = deck.keep(results_folder() / "failed")
            where = f"Deck kept: {kept}   Replay: ngspice -b {kept}"
        except SpicebridgeError as error:
            where = f"The deck could not be kept: {error}"
        raise SimulationError(
            f"ngspice failed on {deck.name}{f' at {parameters}' if parameters else ''}.\n"
            + "\n".join(f"  {line.strip()}" for line in words)
            + f"\n  {where}",
            deck=deck,
            log=log,
        )

    def _waveforms(self) -> Waveforms:
        plot = self._session.last_plot
        vectors = {
            name.lower(): np.asarray(vector._data) for name, vector in self._session.plot(None, plot).items()
        }
        measures = {}
        for line in self._log:
            if match := _MEASURE.match(line.strip()):
                measures[match[1].lower()] = float(match[2])
            elif match := _FAILED_MEASURE.match(line.strip()):
                measures[match[1].lower()] = float("nan")
        return Waveforms(
            analysis=re.sub(r"\d+$", "", plot),
            vectors=vectors,
            measures=measures,
            engine=str(self.version),
            log="\n".join(self._log),
        )


def _is_complaint(line: str) -> bool:
    if _ALTERED.search(line):
        return True
    return bool(_FATAL.search(line)) and not _HARMLESS.match(line.strip())


@cache
def ngspice() -> NgspiceSimulator:
    """This process's ngspice."""
    return NgspiceSimulator()
