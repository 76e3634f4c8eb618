"""Decks on other machines, behind the standard ``concurrent.futures.Executor`` interface.

Each task of the executor runs a handful of decks and supervises an ngspice process of its own for them, with
the pool's time limit, repeats and convergence aids. Compiled Verilog-A models travel with the decks.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from platform import node
from typing import Any

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_bytes
from spicebridge.netlist import make_deck
from spicebridge.project import private_cache
from spicebridge.simulator import SimulationError, whole
from spicebridge.workers import Answer, Pool, Task

_ATTEMPTS = 2
# A handful is about so much work, and so many decks at most: many small ones travel together.
_HANDFUL = 0.5  # s
_MOST_DECKS = 200
# Handfuls under way, before and after it is known how long a deck takes.
_FIRST, _LATER = 32, 1024
_DECKS_UNDER_WAY = 4000
_LOOK_EVERY = 5.0  # s, for workers, while nothing ends
_ALONE_LIMIT = 120.0  # s without one worker, after which the cluster is given up
_ANSWERS_WITHIN = 10.0  # s, a scheduler
_PROBE_LIMIT = 600.0  # s, as an engine's, so that the probe's process goes on to the sweep

_here = threading.local()


class ClusterError(SpicebridgeError):
    """A cluster that cannot be used."""


def connect(address: str, *, insecure: bool = False) -> Executor:
    """The Dask cluster at ``address`` as an executor.

    Args:
        address: the scheduler's, ``tls://HOST:PORT`` say, or ``tcp://HOST:PORT`` on this machine.
        insecure: whether a scheduler on another machine may be reached without TLS. Who reaches it, or
            answers in its place, runs code of theirs here and on its workers.

    Raises:
        ClusterError: Dask is not installed, no scheduler answers there, or only an insecure one would.
    """
    if not address.strip():
        raise ClusterError("--scheduler needs an address, such as tls://HOST:8786.")
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError as error:
        raise ClusterError(
            "--scheduler needs Dask, which is not installed: pip install distributed."
        ) from error
    if not (insecure or address.lower().startswith("tls://") or _is_this_machine(address)):
        raise ClusterError(
            f"{address!r} is another machine's, without TLS: who reaches it, or answers in its place, runs "
            "code of theirs here and there. Use tls://HOST:PORT with Dask's own certificates, or a tunnel "
            "(ssh -L 8786:localhost:8786 HOST) and tcp://localhost:8786; see docs/security.md. In a network "
            "that you trust whole, add --insecure-scheduler."
        )
    if address.lower().startswith("tls://"):
        _refuse_missing_certificates(address)
    # What goes wrong comes back with the decks; Dask's own log of it is long.
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # First by a plain socket: Dask goes on knocking where nobody is, and leaves its loop in disorder.
        with socket.create_connection(get_address_host_port(address), timeout=_ANSWERS_WITHIN):
            pass
        # Not the default client, or xarray would ask the cluster for leave to write the table.
        client = Client(  # type: ignore[no-untyped-call]  # Dask's
            address, timeout=_ANSWERS_WITHIN, set_as_default=False
        )
    except Exception as error:  # of many kinds, where something else than a scheduler answers
        raise ClusterError(
            f"no Dask scheduler answers at {address!r} ({error}). Start one with 'dask scheduler', and "
            "workers with 'dask worker ADDRESS --nthreads 1'."
        ) from error
    if not client.scheduler_info()["workers"]:
        client.close()  # type: ignore[no-untyped-call]  # Dask's
        raise ClusterError(
            f"the Dask scheduler at {address!r} has no workers yet. Start some with 'dask worker {address} "
            "--nthreads 1'."
        )
    return client.get_executor(pure=False)  # type: ignore[no-untyped-call]  # Dask's


def _refuse_missing_certificates(address: str) -> None:
    """Refuse TLS for which Dask's settings name no certificates."""
    from distributed.security import Security

    security: Any = Security  # Dask's, untyped
    settings = security().get_tls_config_for_role("client")
    missing = [name for name in ("ca_file", "cert", "key") if not settings[name]]
    if missing:
        raise ClusterError(
            f"{address!r} needs certificates, and Dask's settings name no {', '.join(missing)}. Set "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, __CLIENT__CERT and __CLIENT__KEY as docs/security.md says."
        )


def _is_this_machine(address: str) -> bool:
    """Whether an address can be reached from this machine only."""
    host = address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def cluster_engine(executor: Executor) -> str:
    """The ngspice that a worker of the cluster has, such as ``ngspice-46``.

    Raises:
        SpicebridgeError: a worker cannot run decks.
    """
    probe = make_deck("v1 a 0 1\nr1 a 0 1\n.op", folder=Path(), name="probe")
    try:
        done = executor.submit(supervise, _Handful((Task(probe, whole),), {}), _PROBE_LIMIT, None).result()
    except SpicebridgeError:
        raise
    except Exception as error:  # whatever a machine without the right packages raises
        raise ClusterError(
            f"the cluster cannot run decks ({type(error).__name__}: {error}). Its workers need this "
            "spicebridge installed, and the same Python."
        ) from error
    if done.answers[0].error is not None:
        raise done.answers[0].error
    return str(done.engine)


def run_on_cluster(
    executor: Executor, tasks: Iterable[Task], *, time_limit: float, engine: str
) -> Iterator[tuple[int, Answer]]:
    """Run decks through an executor and yield ``(position, answer)`` as they end; see ``Pool.run``.

    Raises:
        ClusterError: a worker has another ngspice than ``engine``, the scheduler is gone, or every worker has
            been for ``_ALONE_LIMIT``.
    """
    source = enumerate(tasks)
    flying: dict[Future[_Done], _Flight] = {}
    seconds: float | None = None  # a deck takes, of late

    def launch(flight: _Flight) -> None:
        handful = _Handful(flight.tasks, _libraries(flight.tasks))
        flying[executor.submit(supervise, handful, time_limit, engine)] = flight

    try:
        while True:
            size = 1 if seconds is None else min(max(int(_HANDFUL / seconds), 1), _MOST_DECKS)
            most = _FIRST if seconds is None else min(_LATER, max(_DECKS_UNDER_WAY // size, 1))
            while len(flying) < most and (taken := list(islice(source, size))):
                launch(_Flight(tuple(position for position, _ in taken), tuple(task for _, task in taken)))
            if not flying:
                return
            for future in _ended(executor, flying):
                flight = flying.pop(future)
                if future.cancelled():  # not by us
                    raise ClusterError(
                        "the cluster's scheduler is gone. What had finished is kept: the same command goes "
                        "on from there."
                    )
                error = future.exception()
                if error is None:
                    done = future.result()
                    seconds = done.seconds / len(flight.tasks)
                    yield from zip(flight.positions, flight.told(done.answers), strict=True)
                elif isinstance(error, SpicebridgeError | RuntimeError):
                    raise error
                elif flight.attempt < _ATTEMPTS:  # a lost machine: its decks again, each alone
                    for each in flight.split():
                        launch(each)
                else:
                    words = f"the cluster lost {flight.tasks[0].deck.name}: {error}"
                    lost = SimulationError(words, deck=flight.tasks[0].deck, log="")
                    yield flight.positions[0], Answer(error=lost)
    finally:
        for future in flying:
            future.cancel()


def _ended(executor: Executor, flying: Iterable[Future[_Done]]) -> set[Future[_Done]]:
    """The next handfuls to end, waited for as long as there is a worker to run them."""
    alone_since: float | None = None
    while not (ended := wait(flying, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED).done):
        now = time.monotonic()
        alone_since = (alone_since or now) if _workers(executor) == 0 else None
        if alone_since is not None and now - alone_since > _ALONE_LIMIT:
            raise ClusterError(
                f"the cluster has had no workers for {_ALONE_LIMIT:.0f} s. What had finished is kept: start "
                "some with 'dask worker ADDRESS --nthreads 1', and the same command goes on from there."
            )
    return ended


def _workers(executor: Executor) -> int | None:
    """The cluster's workers just now; None where the executor is not Dask's, or nobody answers."""
    client = getattr(executor, "_client", None)
    try:
        return None if client is None else len(client.nthreads())
    except OSError:  # the scheduler is gone, and Dask is about to cancel what is under way
        return None


def supervise(handful: _Handful, time_limit: float, engine: str | None) -> _Done:
    """On a machine of the cluster: run decks in this thread's own ngspice process.

    Raises:
        ClusterError: this machine's ngspice is another than ``engine``.
    """
    began = time.perf_counter()
    pool = _pool(time_limit)
    answers: list[Answer] = [Answer()] * len(handful.tasks)
    try:
        for position, answer in pool.run(handful.arrived()):
            answers[position] = answer
    except BaseException:
        _drop_pool()
        raise
    if engine is not None and pool.engine != engine:
        raise ClusterError(
            f"the machine {node()} has {pool.engine}, and the sweep is for {engine}. Values of different "
            "versions do not mix: give the cluster's workers the same ngspice."
        )
    return _Done(tuple(answers), pool.engine, time.perf_counter() - began)


@dataclass(frozen=True)
class _Handful:
    """Decks as they travel: ``libraries`` holds the compiled models' bytes by their place in a cache."""

    tasks: tuple[Task, ...]
    libraries: Mapping[str, bytes]

    def arrived(self) -> list[Task]:
        """The tasks with their models as files of this machine."""
        return [replace(task, deck=self._with_models(task.deck)) for task in self.tasks]

    def _with_models(self, deck: Deck) -> Deck:
        models = []
        for model in deck.models:
            place = _place(model.library)
            content = self.libraries[place]
            if not _holds(model.library, content):
                model = replace(model, library=(private_cache() / "models").resolve() / place)
            if not _holds(model.library, content):
                write_bytes(model.library, content)
            models.append(model)
        return replace(deck, models=tuple(models)) if models else deck


@dataclass(frozen=True)
class _Done:
    """What a handful gave: answers in order, the machine's ngspice, and how long it took (s)."""

    answers: tuple[Answer, ...]
    engine: str | None
    seconds: float


@dataclass(frozen=True)
class _Flight:
    """A handful under way: where its decks stand in the sweep, and which attempt it is."""

    positions: tuple[int, ...]
    tasks: tuple[Task, ...]
    attempt: int = 1

    def told(self, answers: Sequence[Answer]) -> list[Answer]:
        """The answers, each failure with its deck as it stands here: there its models lie elsewhere."""
        return [
            replace(answer, error=_here_again(answer.error, task.deck))
            for task, answer in zip(self.tasks, answers, strict=True)
        ]

    def split(self) -> list[_Flight]:
        """Its decks one by one, for another attempt."""
        return [
            _Flight((position,), (task,), self.attempt + 1)
            for position, task in zip(self.positions, self.tasks, strict=True)
        ]


def _here_again(error: SpicebridgeError | None, deck: Deck) -> SpicebridgeError | None:
    if not isinstance(error, SimulationError):
        return error
    return type(error)(str(error), deck=deck, log=error.log, reason=error.reason)


def _libraries(tasks: Sequence[Task]) -> dict[str, bytes]:
    paths = {model.library for task in tasks for model in task.deck.models}
    return {_place(path): path.read_bytes() for path in paths}


def _holds(library: Path, content: bytes) -> bool:
    return library.is_file() and library.read_bytes() == content


def _place(library: Path) -> str:
    """A compiled model's place in a cache: its folder is named by all it depends on."""
    return f"{library.parent.name}/{library.name}"


def _pool(time_limit: float) -> Pool:
    """This thread's pool of one process; it ends when this process does."""
    if getattr(_here, "limit", None) != time_limit:
        _drop_pool()
        _here.pool, _here.limit = Pool(workers=1, time_limit=time_limit), time_limit
    return _here.pool


def _drop_pool() -> None:
    if getattr(_here, "limit", None) is not None:
        _here.pool.stop()
        _here.limit = None
