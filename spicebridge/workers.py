"""Worker processes: one ngspice each, replaced when a deck crashes, hangs or spoils it.

A worker's death costs the deck it held, never the pool: the deck is tried once more, identically, in a fresh
process, and if that fails too its outcome is the error, with the deck kept for replay.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.interrupts import interrupts_held
from spicebridge.project import results_folder
from spicebridge.simulator import SimulationError, Waveforms, ngspice

# ngspice leaks about 1.5 kB a run even when told to forget it (PySpice issues 246, 373).
RUNS_PER_WORKER = 2000
_ATTEMPTS = 2
_READY = "ready"


@dataclass(frozen=True)
class Task:
    """One deck and the function that turns its waveforms into the values wanted.

    ``measure`` runs in the worker, so that waveforms need not travel; it must be importable by name.
    """

    deck: Deck
    measure: Callable[[Waveforms], Any]


def waveforms(recorded: Waveforms) -> Waveforms:
    """The measure that keeps everything."""
    return recorded


def simulate(deck: Deck, *, time_limit: float = 600.0) -> Waveforms:
    """Run one deck in a process of its own.

    A script that calls this needs ``if __name__ == "__main__":`` around its work, as the new process
    imports it.

    Raises:
        SimulationError: ngspice failed, crashed or took longer than ``time_limit`` seconds.
    """
    outcome = next(run_tasks([Task(deck, waveforms)], workers=1, time_limit=time_limit))[1]
    if isinstance(outcome, SpicebridgeError):
        raise outcome
    return outcome


def run_tasks(tasks: Sequence[Task], *, workers: int, time_limit: float = 600.0) -> Iterator[tuple[int, Any]]:
    """Run decks on worker processes and yield ``(position, outcome)`` as each ends.

    An outcome is what the task's ``measure`` returned, or the ``SpicebridgeError`` that stopped it.
    ``time_limit`` is in seconds a deck. Closing the iterator stops the workers. A script that calls this
    needs ``if __name__ == "__main__":`` around its work, as every worker imports it.

    Raises:
        RuntimeError: a ``measure`` raised something unforeseen: a defect in it, told with its traceback.
    """
    waiting: deque[tuple[int, int]] = deque((position, 1) for position in range(len(tasks)))
    pool: list[_Worker] = []
    try:
        while len(pool) < min(workers, len(tasks)):
            pool.append(_Worker())
        while waiting or any(worker.busy for worker in pool):
            for worker in pool:
                if waiting and not worker.busy:
                    position, attempt = waiting.popleft()
                    worker.give(position, attempt, tasks[position])
            for worker, position, attempt, outcome in _collect(pool, time_limit):
                if isinstance(outcome, _Lost) and attempt < _ATTEMPTS:
                    waiting.appendleft((position, attempt + 1))
                elif isinstance(outcome, _Lost):
                    yield position, _lost_error(tasks[position].deck, outcome, attempt)
                elif isinstance(outcome, _Defect):
                    raise RuntimeError(
                        f"measuring {tasks[position].deck.name} failed in its worker process:\n"
                        f"{outcome.traceback}"
                    )
                else:
                    yield position, outcome
                if worker.spent:
                    worker.restart()
    finally:
        for worker in pool:
            worker.stop()


@dataclass(frozen=True)
class _Lost:
    """A deck whose worker died or was stopped while it ran."""

    reason: str


@dataclass(frozen=True)
class _Defect:
    """What a measure that does not work raised, as text: not every exception can travel."""

    traceback: str


class _Worker:
    """A child process and what it is doing."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, childs_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(childs_end,), daemon=True)
        with interrupts_held():
            self._process.start()
        childs_end.close()
        self._runs = 0
        self._position: int | None = None
        self._attempt = 0
        self.started = 0.0
        self.spent = False

    @property
    def busy(self) -> bool:
        return self._position is not None

    def give(self, position: int, attempt: int, task: Task) -> None:
        self._position, self._attempt, self.started = position, attempt, time.monotonic()
        self._runs += 1
        # A dead worker is noticed, and its deck tried again, when its answer is read.
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def take(self) -> tuple[int, int, Any] | None:
        """The position, attempt and outcome of what it was given; None if it only now begins."""
        assert self._position is not None
        position = self._position
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            self._process.join(5)
            return self.give_up(f"its process ended with status {self._process.exitcode}")
        if said == _READY:
            self.started = time.monotonic()  # the time limit is the deck's, not the start of a process
            return None
        self._position = None
        outcome, still_good = said
        self.spent = not still_good or self._runs >= RUNS_PER_WORKER
        return position, self._attempt, outcome

    def give_up(self, reason: str) -> tuple[int, int, Any]:
        assert self._position is not None
        position = self._position
        self._position = None
        self.spent = True
        return position, self._attempt, _Lost(reason)

    def stop(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()

    def restart(self) -> None:
        self.stop()
        self._start()


def _collect(pool: Sequence[_Worker], time_limit: float) -> list[tuple[_Worker, int, int, Any]]:
    """What has ended: answers, deaths, and decks past their time."""
    busy = [worker for worker in pool if worker.busy]
    soonest = min(worker.started for worker in busy) + time_limit - time.monotonic()
    ready = wait([worker.connection for worker in busy], timeout=max(soonest, 0.0))
    taken = [(worker, worker.take()) for worker in busy if worker.connection in ready]
    ended = [(worker, *each) for worker, each in taken if each is not None]
    late = [worker for worker in busy if worker.busy and time.monotonic() - worker.started > time_limit]
    return ended + [(worker, *worker.give_up(f"it ran past {time_limit:g} s")) for worker in late]


def _lost_error(deck: Deck, lost: _Lost, attempts: int) -> SimulationError:
    kept = deck.keep(results_folder() / "failed")
    return SimulationError(
        f"ngspice did not finish {deck.name}: {lost.reason}, {attempts} times.\n"
        f"  Deck kept: {kept}   Replay: ngspice -b {kept}",
        deck=deck,
        log="",
    )


def _serve(connection: Connection) -> None:
    """A worker's life: take a task, answer (outcome, fit for more), until the pipe closes or it is spent."""
    try:
        with contextlib.suppress(SpicebridgeError):  # raised again, and told, for each task
            ngspice()
        connection.send(_READY)
        while True:
            task: Task = connection.recv()
            outcome: Any
            try:
                outcome = task.measure(ngspice().run(task.deck))
                spent = ngspice().spent
            except SpicebridgeError as error:
                outcome, spent = error, True
            except Exception:  # raised again in the parent, which would otherwise see only a lost process
                outcome, spent = _Defect(traceback.format_exc()), True
            connection.send((outcome, not spent))
            if spent:
                return
    except (EOFError, BrokenPipeError):
        return
