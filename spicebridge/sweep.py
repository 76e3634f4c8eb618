"""The sweep engine: decks run on worker processes, each finished one kept by content.

A unit of work is a deck and a measure. Its key covers the deck's digest, the measure's code and arguments,
and ngspice's version, so a finished unit is never simulated twice, a sweep that was stopped goes on where it
was, and a change of anything that matters runs again just what it touches.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from spicebridge.cluster import run_on_cluster
from spicebridge.deck import Deck
from spicebridge.failure import Failure, keep_failure
from spicebridge.simulator import Waveforms
from spicebridge.store import Store, Stored, Values
from spicebridge.workers import Answer, OutdatedError, Pool, Task

Progress = Callable[[int, int, int], None]
Counts = Callable[[int, int], None]


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
        code = _code_digest(self.measure.__module__)
        builds = sorted(model.build for model in self.deck.models)
        said = f"{self.measure.__qualname__} {code} {sorted(self.arguments.items())!r}"
        return hashlib.sha256(f"{self.deck.digest} {builds} {said} {engine}".encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a unit ended.

    Attributes:
        values: what was measured; None if the simulation failed.
        failure: why there are no values.
        aid: the convergence aid that was needed, or None.
    """

    values: Values | None
    failure: Failure | None = None
    aid: str | None = None


@dataclass(frozen=True)
class Ran:
    """A unit and how it ended."""

    unit: Unit
    outcome: Outcome

    @property
    def values(self) -> Values | None:
        """What was measured; None if the simulation failed."""
        return self.outcome.values


class Runs(Protocol):
    """Anything that runs units: the engine, or another route to check it by."""

    @property
    def version(self) -> str:
        """The simulator, such as ``ngspice-46``."""
        ...

    def run(self, units: Sequence[Unit]) -> list[Outcome]:
        """The units' outcomes, in order."""
        ...

    def stream(self, units: Sequence[Unit]) -> Iterator[tuple[int, Outcome]]:
        """The units' indices and outcomes as they end."""
        ...


def run_all(engine: Runs, units: Sequence[Unit]) -> list[Ran]:
    """The units with their outcomes, in order."""
    return [Ran(unit, outcome) for unit, outcome in zip(units, engine.run(units), strict=True)]


@dataclass(frozen=True)
class Engine:
    """How units are run.

    Attributes:
        store: the file of finished units.
        workers: worker processes.
        version: ngspice's version, part of every key.
        progress: told (ended, total, failed) as units end.
        time_limit: seconds a deck may take.
        executor: where decks are run instead of on this machine's workers, such as a Dask cluster's.
        counts: told (simulated, found in the store) of each sweep that came to its end.
    """

    store: Path
    workers: int
    version: str
    progress: Progress | None = None
    time_limit: float = 600.0
    executor: Executor | None = None
    counts: Counts | None = None

    def run(self, units: Sequence[Unit]) -> list[Outcome]:
        """The units' outcomes, in order."""
        outcomes = dict(self.stream(units))
        return [outcomes[index] for index in range(len(units))]

    def stream(self, units: Sequence[Unit]) -> Iterator[tuple[int, Outcome]]:
        """Yield ``(index, outcome)`` as units end, simulating only what the store lacks.

        ``units`` is read in order, each unit once and when it is needed: a long sequence may make them as
        they are asked for. Failures are not stored, so the next run tries those units again.

        Raises:
            SpicebridgeError: the store cannot be read or written; what it holds is kept.
        """
        ended = failed = 0
        _code_digest.cache_clear()  # in a notebook, a measure may have been edited since the last sweep
        with Store(self.store) as store:
            pending = _Pending(units, store, self.version)
            self._report(0, len(units), 0)
            for key, answer in self._answers(pending):
                for index, outcome in pending.ended(key, answer):
                    ended, failed = ended + 1, failed + (outcome.values is None)
                    yield index, outcome
                self._report(ended, len(units), failed)
            if self.counts is not None:
                self.counts(len(pending.keys), pending.stored)

    def _report(self, ended: int, total: int, failed: int) -> None:
        if self.progress is not None:
            self.progress(ended, total, failed)

    def _answers(self, pending: _Pending) -> Iterator[tuple[str | None, Answer | None]]:
        """What is run, by key; at the end once more ``(None, None)`` for what was found after the last."""
        tasks = pending.tasks()
        if self.executor is not None:
            answers = run_on_cluster(self.executor, tasks, time_limit=self.time_limit, engine=self.version)
            yield from ((pending.keys[position], answer) for position, answer in answers)
        else:
            with Pool(workers=self.workers, time_limit=self.time_limit) as pool:
                yield from ((pending.keys[position], answer) for position, answer in pool.run(tasks))
        yield None, None


class _Pending:
    """A sweep's units on their way: looked up in the store, run if it lacks them."""

    def __init__(self, units: Sequence[Unit], store: Store, version: str) -> None:
        self.keys: list[str] = []  # of the tasks made so far
        self.stored = 0  # units found in the store so far
        self._units = units
        self._store = store
        self._version = version
        self._running: dict[str, list[int]] = {}
        self._found: list[tuple[int, Outcome]] = []

    def tasks(self) -> Iterator[Task]:
        """A task for each unit that the store lacks; units of one key are one simulation."""
        for index in range(len(self._units)):
            unit = self._units[index]
            key = unit.key(self._version)
            if key in self._running:
                self._running[key].append(index)
            elif (stored := self._store.get(key)) is not None:
                self.stored += 1
                self._found.append((index, Outcome(stored.values, aid=stored.aid)))
            else:
                self._running[key] = [index]
                self.keys.append(key)
                code = _code_digest(unit.measure.__module__)
                yield Task(unit.deck, _Measurement(unit.measure, unit.arguments, code))

    def ended(self, key: str | None, answer: Answer | None) -> Iterator[tuple[int, Outcome]]:
        """The outcomes found in the store since the last call, and those of this key, now stored."""
        found, self._found = self._found, []
        yield from found
        if key is None or answer is None:
            return
        if isinstance(answer.error, OutdatedError):
            raise answer.error
        failure = None if answer.error is None else keep_failure(answer.error)
        outcome = Outcome(None if failure else answer.value, failure, answer.aid)
        if outcome.values is not None:
            self._store.put(key, Stored(outcome.values, outcome.aid))
        yield from ((index, outcome) for index in self._running.pop(key))


@dataclass(frozen=True)
class _Measurement:
    """A unit's measure on its way to a worker, with the digest of the code that the unit's key names.

    Attributes:
        measure: as the unit's, found by its name where it arrives.
        arguments: as the unit's.
        code: digest of its module's code where the sweep began.
    """

    measure: Callable[..., Values]
    arguments: Mapping[str, Any]
    code: str

    def __call__(self, recorded: Waveforms) -> Values:
        """The values, or ``OutdatedError`` where the measure's code is another."""
        module = self.measure.__module__
        if _code_digest(module) != self.code:
            raise OutdatedError(
                f"the code of {module} is not what it was when the sweep began: it was edited meanwhile, or "
                "a machine of the cluster has another. What had finished is kept: the same command goes on."
            )
        return self.measure(recorded, **self.arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (self.measure, dict(self.arguments), self.code)


def _arrived(measure: Callable[..., Values], arguments: Mapping[str, Any], code: str) -> _Measurement:
    _code_digest(measure.__module__)  # now, as it was just imported
    return _Measurement(measure, arguments, code)


@cache
def _code_digest(module: str) -> str:
    """SHA-256 of a module's code, comments and docstrings aside: a measure that changed is another one."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
