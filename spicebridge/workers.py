"""Worker processes: one ngspice each, replaced when a deck crashes, hangs or spoils it.

A worker's death costs the deck it held, never the pool: the deck is tried once more, identically, in a fresh
process, and if that fails too its answer is the error. A deck for which ngspice finds no solution is tried
again with convergence aids, and its answer says which it needed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

from spicebridge.convergence import AIDS, aid_name, aided
from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.failure import keep_failure
from spicebridge.held_models import builds, misfit
from spicebridge.limits import SIMULATION_MEMORY
from spicebridge.project import results_folder
from spicebridge.simulator import ConvergenceError, SimulationError, Waveforms, whole

_ATTEMPTS = 2
_START_LIMIT = 120.0  # s until a process must have begun
_WEIGH_EVERY = 1.0  # s: how often the memory of workers is looked at
_FALSE_STARTS = 5  # in a row, after which processes are not to be had
# A worker holds tasks for about so long ahead, so that it never waits for its parent; small decks only.
_AHEAD = 0.25  # s
_MOST_AHEAD = 128
_MOST_ASIDE = 1024  # decks that wait for a process without another model of the same name
_BYTES_AHEAD = 64_000  # which a socket holds while the worker is not reading
# Threads of BLAS and OpenMP in a worker only slow ngspice's clock readings.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Task:
    """One deck and the function that turns its waveforms into the values wanted.

    ``measure`` runs in the worker, so that waveforms need not travel; it must be importable by name.
    """

    deck: Deck
    measure: Callable[[Waveforms], Any]


@dataclass(frozen=True)
class Ready:
    """A worker's first word: the ngspice it found, such as ``ngspice-46``, or None."""

    engine: str | None


@dataclass(frozen=True)
class Defect:
    """What a measure that does not work raised, as text: not every exception can travel."""

    traceback: str


class OutdatedError(SpicebridgeError):
    """A process that holds other code of a measure than the sweep began with; another one is tried."""


@dataclass(frozen=True, eq=False)
class Answer:
    """How a task ended.

    Attributes:
        value: what its measure returned.
        error: why there is none.
        aid: the convergence aids that were needed, or None.
        defect: a measure that does not work; never seen outside the pool, which raises it.
    """

    value: Any = None
    error: SpicebridgeError | None = None
    aid: str | None = None
    defect: Defect | None = None


def simulate(deck: Deck, *, time_limit: float = 600.0) -> Waveforms:
    """Run one deck in a worker process, which stays for the next deck or sweep: starting one takes longer.

    Raises:
        SimulationError: ngspice failed, crashed or took longer than ``time_limit`` seconds; the message says
            where the deck is kept.
    """
    with Pool(workers=1, time_limit=time_limit) as pool:
        ((_, answer),) = pool.run([Task(deck, whole)])
        pool.spare()
    error = answer.error
    if isinstance(error, SimulationError):
        message = keep_failure(error).message
        raise SimulationError(message, deck=error.deck, log=error.log, reason=error.reason) from error
    if error is not None:
        raise error
    return answer.value


def engine_version() -> str:
    """The ngspice that a new worker loads, such as ``ngspice-46``.

    The worker that tells it goes on to be the next pool's first.

    Raises:
        SpicebridgeError: it does not run a deck.
    """
    with Pool(workers=1) as pool:
        ((_, answer),) = pool.run([Task(Deck("v1 a 0 1\nr1 a 0 1\n.op", name="probe"), whole)])
        if answer.error is not None:
            raise answer.error
        pool.spare()
    return f"ngspice-{answer.value.engine}"


class Pool:
    """Worker processes; a context manager, which stops them."""

    def __init__(self, *, workers: int, time_limit: float = 600.0) -> None:
        """A pool of so many workers, which a deck may hold for ``time_limit`` seconds each."""
        self._time_limit = time_limit
        self._weigh_at = time.monotonic() + _WEIGH_EVERY
        self._workers = [_Worker(time_limit) for _ in range(workers)]
        if workers and (spare := _spares.pop(os.getpid(), None)) is not None:
            self._workers[0].succeed(spare)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End every worker at once."""
        for worker in self._workers:
            worker.stop()

    def spare(self) -> None:
        """Leave the first worker's process, which has nothing to do, to the next pool."""
        _spares[os.getpid()] = _Worker(self._time_limit)
        _spares[os.getpid()].succeed(self._workers[0])

    @property
    def engine(self) -> str | None:
        """The ngspice of a worker that has begun, such as ``ngspice-46``."""
        return next((worker.engine for worker in self._workers if worker.engine), None)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[int, Answer]]:
        """Run decks and yield ``(position, answer)`` as each ends.

        ``tasks`` is read as workers need it, so it may be long and make each task when asked.

        Raises:
            RuntimeError: a ``measure`` raised something unforeseen: a defect in it, told with its traceback.
        """
        queue = _Queue(tasks)
        while True:
            for worker in self._workers:
                # A repeated job gets a worker to itself, so that its end is its own.
                room = (0 if worker.jobs else 1) if queue.repeats else worker.room
                if room:
                    worker.give(queue.take(room, worker))
            if not any(worker.jobs for worker in self._workers):
                return
            for job, answer in self._collect():
                if answer.defect is not None:
                    raise RuntimeError(
                        f"measuring {job.task.deck.name} failed in its worker process:\n"
                        f"{answer.defect.traceback}"
                    )
                repeated = job.after(answer)
                if repeated is None:
                    yield job.position, job.told(answer)
                else:
                    queue.repeat(repeated)

    def _collect(self) -> list[tuple[_Job, Answer]]:
        """What has ended: answers, deaths, and decks past their time."""
        busy = [worker for worker in self._workers if worker.jobs]
        soonest = min(worker.deadline for worker in busy) - time.monotonic()
        until = min(soonest, self._weigh_at - time.monotonic())
        ready = wait([worker.connection for worker in busy], timeout=max(until, 0.0))
        if weighs := time.monotonic() >= self._weigh_at:
            self._weigh_at = time.monotonic() + _WEIGH_EVERY
        ended: list[tuple[_Job, Answer]] = []
        for worker in busy:
            if worker.connection in ready:
                ended += worker.take()
            elif time.monotonic() > worker.deadline:
                ended += worker.lost(f"it ran past {self._time_limit:g} s")
            elif weighs and worker.resident > SIMULATION_MEMORY.bytes:
                variable = SIMULATION_MEMORY.variable
                ended += worker.lost(
                    f"it needs more memory than {SIMULATION_MEMORY.said}, a limit that {variable} raises"
                )
        return ended


@dataclass(frozen=True)
class _Job:
    """A task on its way.

    Attributes:
        position: its place in the sweep.
        task: the deck and its measure.
        attempt: how often it was alone in a worker that died, and one more.
        aids: convergence aids in use.
        first: what ngspice said without aids.
    """

    position: int
    task: Task
    attempt: int = 1
    aids: int = 0
    first: SpicebridgeError | None = None

    @property
    def aided(self) -> Task:
        return replace(self.task, deck=aided(self.task.deck, self.aids)) if self.aids else self.task

    def after(self, answer: Answer) -> _Job | None:
        """The job to repeat after this answer, or None if the answer stands."""
        if isinstance(answer.error, _UnansweredError):
            return self
        if isinstance(answer.error, _LostError | OutdatedError) and self.attempt < _ATTEMPTS:
            return replace(self, attempt=self.attempt + 1)
        if isinstance(answer.error, ConvergenceError) and self.aids < len(AIDS):
            return replace(self, attempt=1, aids=self.aids + 1, first=self.first or answer.error)
        return None

    def told(self, answer: Answer) -> Answer:
        """The answer as the outside is to have it."""
        if answer.error is None:
            return replace(answer, aid=aid_name(self.aids)) if self.aids else answer
        if self.first is not None:
            return replace(answer, error=self.first)
        if isinstance(answer.error, _LostError):
            words = f"ngspice did not finish {self.task.deck.name}: {answer.error}, {self.attempt} times."
            return replace(answer, error=SimulationError(words, deck=self.task.deck, log=""))
        return answer


class _LostError(SpicebridgeError):
    """A deck whose worker died or was stopped while it ran."""


class _UnansweredError(SpicebridgeError):
    """A deck whose worker was replaced before its turn, or died holding several."""


class _Queue:
    """Jobs to give out: new ones in order, made when asked for, and repeated ones before them.

    Where models of one name differ, those that a worker cannot run after what it has run stand aside for
    others, so that a process is not replaced for each.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._new = (_Job(position, task) for position, task in enumerate(tasks))
        self._again: deque[_Job] = deque()
        self._aside: deque[_Job] = deque()

    @property
    def repeats(self) -> bool:
        return bool(self._again)

    def repeat(self, job: _Job) -> None:
        self._again.append(job)

    def take(self, room: int, worker: _Worker) -> list[_Job]:
        """At most so many jobs that this worker can run one after the other."""
        if self._again:
            return [self._again.popleft()]
        held = dict(worker.held)
        taken: list[_Job] = []
        waiting, self._aside = self._aside, deque()
        while len(taken) < room and (job := self._next(waiting)) is not None:
            if misfit(job.task.deck, held) is None:
                held |= builds(job.task.deck)
                taken.append(job)
            else:
                self._aside.append(job)
        self._aside += waiting
        if not taken and not worker.jobs and self._aside:  # the worker's process is replaced
            taken.append(self._aside.popleft())
        return taken

    def _next(self, waiting: deque[_Job]) -> _Job | None:
        """The first of those that stood aside, or a new one unless too many do."""
        if waiting:
            return waiting.popleft()
        return next(self._new, None) if len(self._aside) < _MOST_ASIDE else None


class _Worker:
    """A child process, started when it is first given something, and what it holds."""

    def __init__(self, time_limit: float) -> None:
        self.jobs: deque[_Job] = deque()
        self.engine: str | None = None
        self.held: dict[str, str] = {}  # the builds of the models that its ngspice holds or is given
        self._time_limit = time_limit
        self._process: subprocess.Popen[bytes] | None = None
        self.connection: Connection
        self._environment: dict[str, str] = {}
        self._ready = False
        self._false_starts = 0
        self._since = 0.0
        self._seconds: float | None = None  # that a job took, of late
        self._bytes = 1.0  # that a job was long

    @property
    def deadline(self) -> float:
        """When its present deck will have taken too long."""
        # The limit is the deck's: the start of a process has its own.
        return self._since + (self._time_limit if self._ready else _START_LIMIT)

    @property
    def resident(self) -> int:
        """Its process's memory, bytes; 0 where the system does not tell.

        What ngspice asks for and does not use is no part of it: a long transient's vectors, say.
        """
        if self._process is None:
            return 0
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def room(self) -> int:
        """How many more jobs to give it now."""
        if self._seconds is None:
            return 0 if self.jobs else 1
        ahead = max(int(min(_AHEAD / self._seconds, _BYTES_AHEAD / self._bytes, _MOST_AHEAD)), 1)
        return ahead - len(self.jobs) if 2 * len(self.jobs) <= ahead else 0

    def give(self, jobs: Sequence[_Job]) -> None:
        if not jobs:
            return
        if misfit(jobs[0].task.deck, self.held) is not None:
            self.stop()
        if self._process is None:
            self._start()
        if not self.jobs:
            self._since = time.monotonic()
        self.jobs.extend(jobs)
        for job in jobs:
            self.held |= builds(job.task.deck)
        packed = pickle.dumps([job.aided for job in jobs])
        self._bytes = len(packed) / len(jobs)
        # A dead worker is noticed, and its decks tried again, when its answer is read.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(packed)

    def take(self) -> list[tuple[_Job, Answer]]:
        """What it has to say: jobs and their answers."""
        assert self._process is not None
        try:
            said = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            return self.lost(f"its process ended with status {self._process.returncode}")
        now = time.monotonic()
        if isinstance(said, Ready):
            self.engine, self._ready, self._since = said.engine, True, now
            self._false_starts = 0
            return []
        answers, spent = said
        ended = [(self.jobs.popleft(), answer) for answer in answers]
        taken = (now - self._since) / len(ended)
        self._seconds = taken if self._seconds is None else 0.7 * self._seconds + 0.3 * taken
        self._since = now
        return ended + self._emptied(_UnansweredError("its worker was replaced")) if spent else ended

    def lost(self, reason: str) -> list[tuple[_Job, Answer]]:
        """End the process; the deck it held, if it held one only and had begun, is at fault.

        Raises:
            SpicebridgeError: processes end before they begin, again and again.
        """
        if self._ready:
            return self._emptied((_LostError if len(self.jobs) == 1 else _UnansweredError)(reason))
        self._false_starts += 1
        if self._false_starts >= _FALSE_STARTS:
            raise SpicebridgeError(
                f"worker processes do not start: {reason}, {self._false_starts} times. What had finished is "
                "kept; 'spicebridge doctor' tells what is wrong."
            )
        return self._emptied(_UnansweredError(reason))

    def stop(self) -> None:
        """End the process at once, and forget what it held."""
        self.jobs.clear()
        if self._process is not None:
            self.connection.close()
            self._process.kill()
            self._process.wait()
        self._process, self._ready, self.held = None, False, {}

    def succeed(self, other: _Worker) -> None:
        """Take over the other's process, which has nothing to do, if this one's would be started alike."""
        process = other._process
        if process is None or process.poll() is not None or other._environment != _environment():
            other.stop()
            return
        self._process, self._environment, self.connection = process, other._environment, other.connection
        self.engine, self._ready, self.held = other.engine, other._ready, other.held
        other._process = None

    def _emptied(self, error: SpicebridgeError) -> list[tuple[_Job, Answer]]:
        jobs = list(self.jobs)
        self.stop()
        return [(job, Answer(error=error)) for job in jobs]

    def _start(self) -> None:
        try:
            self._process = self._started()
        except OSError as error:
            raise SpicebridgeError(
                f"a worker process does not start: {error}. Check free memory and the limits on processes "
                "and open files (ulimit -u, ulimit -n), or use fewer workers. What had finished is kept."
            ) from error

    def _started(self) -> subprocess.Popen[bytes]:
        _ = SIMULATION_MEMORY.value  # one that makes no sense is refused before anything runs
        self._environment = _environment()
        ours, childs = socket.socketpair()
        with ours, childs:
            # A session of its own: Ctrl-C at the terminal is for the parent, which stops its workers.
            process = subprocess.Popen(
                [sys.executable, "-m", "spicebridge.runner", str(childs.fileno()), str(os.getpid())],
                pass_fds=[childs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
            self.connection = Connection(ours.detach())
        return process


_spares: dict[int, _Worker] = {}  # a worker without a pool, by the process that started it


def _environment() -> dict[str, str]:
    """A worker's environment variables; it goes to another folder, so that paths are whole."""
    path = os.pathsep.join(str(Path(each).absolute()) for each in sys.path if each)
    named = os.environ.get("NGSPICE_LIBRARY_PATH", "")
    library = {"NGSPICE_LIBRARY_PATH": str(Path(named).absolute())} if Path(named).is_file() else {}
    places = {"PYTHONPATH": path, "SPICEBRIDGE_RESULTS": str(results_folder())} | library
    return {**os.environ, **_ENVIRONMENT, **places}
