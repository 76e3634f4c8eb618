"""The sweep engine: decks run on worker processes, each finished one kept by content.

A unit of work is a deck and a measure. Its key covers the deck's digest, the measure's code and arguments,
and ngspice's version, so a finished unit is never simulated twice, a sweep that was stopped goes on where it
was, and a change of anything that matters runs again just what it touches.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_bytes
from spicebridge.simulator import Waveforms
from spicebridge.workers import Task, run_tasks

Values = dict[str, NDArray[np.float64]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Unit:
    """One deck and what is measured on it.

    ``measure`` is a module-level function; ``arguments`` are its keyword arguments (numbers, text, or
    sequences of them), part of the unit's identity.
    """

    deck: Deck
    measure: Callable[..., Values]
    arguments: Mapping[str, Any]

    def key(self, engine: str) -> str:
        """SHA-256 that names the unit's result."""
        code = _code_digest(inspect.getmodule(self.measure))
        # A model's folder in the cache is named by its source, the code generator and the compiler's flags.
        builds = sorted(model.library.parent.name for model in self.deck.models)
        said = f"{self.measure.__qualname__} {code} {sorted(self.arguments.items())!r}"
        return hashlib.sha256(f"{self.deck.digest} {builds} {said} {engine}".encode()).hexdigest()


@dataclass(frozen=True)
class Engine:
    """How units are run.

    Attributes:
        store: folder of finished units.
        workers: worker processes.
        version: ngspice's version, part of every key.
        progress: told (finished, total) as units end.
        time_limit: seconds a deck may take.
    """

    store: Path
    workers: int
    version: str
    progress: Progress | None = None
    time_limit: float = 600.0

    def run(self, units: Sequence[Unit]) -> list[Values]:
        """The units' values, in order, simulating only what the store lacks.

        Raises:
            SpicebridgeError: some units failed; the others are stored, so that a repeat runs only those.
        """
        keys = [unit.key(self.version) for unit in units]
        found: dict[int, Values] = {}
        for index, key in enumerate(keys):
            stored = _load(self._path(key))
            if stored is not None:
                found[index] = stored
        missing = [index for index in range(len(units)) if index not in found]
        self._report(len(found), len(units))
        # Units of one key are one simulation.
        missing = list({keys[index]: index for index in reversed(missing)}.values())[::-1]
        failures: list[SpicebridgeError] = []
        tasks = [
            Task(units[index].deck, partial(_measured, units[index].measure, dict(units[index].arguments)))
            for index in missing
        ]
        for position, outcome in run_tasks(tasks, workers=self.workers, time_limit=self.time_limit):
            if isinstance(outcome, SpicebridgeError):
                failures.append(outcome)
                continue
            key = keys[missing[position]]
            _save(self._path(key), outcome)
            found.update({index: outcome for index, each in enumerate(keys) if each == key})
            self._report(len(found), len(units))
        if failures:
            raise SpicebridgeError(
                f"{len(failures)} of {len(units)} simulations failed; the others are kept, so the same "
                f"command runs only the failed ones again. The first failure:\n{failures[0]}"
            )
        return [found[index] for index in range(len(units))]

    def _path(self, key: str) -> Path:
        return self.store / key[:2] / f"{key}.npz"

    def _report(self, finished: int, total: int) -> None:
        if self.progress is not None:
            self.progress(finished, total)


def _measured(measure: Callable[..., Values], arguments: Mapping[str, Any], recorded: Waveforms) -> Values:
    return measure(recorded, **arguments)


def _save(path: Path, values: Values) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **values)  # type: ignore[arg-type]  # NumPy's stub takes allow_pickle first
    write_bytes(path, buffer.getvalue())


def _load(path: Path) -> Values | None:
    """A finished unit's values; None where there are none, or a file that something else has damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception:  # damaged bytes raise many kinds (zlib's, zipfile's, NumPy's); all mean: simulate again
        return None


@cache
def _code_digest(module: object) -> str:
    """SHA-256 of a module's code, comments and docstrings aside: a measure that changed is another one."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]  # a module
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
