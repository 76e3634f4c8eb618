"""Independent pieces of work on one or more worker processes, one BLAS thread each."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from spicebridge.errors import SpicebridgeError
from spicebridge.interrupts import interrupts_held

POLL = 0.2  # s, between looks at the workers' reports

Setting = TypeVar("Setting")
Task = TypeVar("Task")
Report = TypeVar("Report")
Result = TypeVar("Result")
Work = Callable[[Setting, Task, Callable[[Report], None]], Result]
"""Does a task in a setting, and says how it goes; of a module's own, so that a process can be sent it."""


def work_through(
    tasks: Sequence[Task],
    work: Work[Setting, Task, Report, Result],
    setting: Setting,
    *,
    workers: int,
    report: Callable[[Report], None],
    died: str,
) -> list[Result]:
    """The tasks' results in their order; they do not depend on the workers.

    Args:
        tasks: what there is to do.
        work: does one of them.
        setting: what all of them need, sent to each process once.
        workers: processes; with one, or one task, the work is done in this one.
        report: called in this process with all that the work reports. What it raises ends the others too.
        died: the message if a worker is killed.

    Raises:
        SpicebridgeError: a worker died.
    """
    workers = min(workers, len(tasks))
    if workers > 1:
        return _in_processes(tasks, work, setting, workers, report, died)
    with threadpool_limits(1):
        return [work(setting, task, report) for task in tasks]


def _in_processes(
    tasks: Sequence[Task],
    work: Work[Setting, Task, Report, Result],
    setting: Setting,
    workers: int,
    report: Callable[[Report], None],
    died: str,
) -> list[Result]:
    context = multiprocessing.get_context("spawn")
    reports, stop = context.SimpleQueue(), context.Event()
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(work, setting, reports, stop)
    )
    try:
        with interrupts_held():  # the first submission starts the processes
            futures: list[Future[Result]] = [executor.submit(_in_worker, task) for task in tasks]
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=POLL, return_when=FIRST_COMPLETED)
            while not reports.empty():
                report(reports.get())
            for future in done:
                future.result()
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise SpicebridgeError(died) from error
    finally:
        stop.set()  # after a failure, do not bring the others to their end
        executor.shutdown(cancel_futures=True)


_worker: dict[str, Any] = {}


class _StoppedError(Exception):
    """The run has failed elsewhere."""


def _start_worker(work: Any, setting: Any, reports: Any, stop: Any) -> None:
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(said: Any) -> None:
        # Look before putting: once the run has failed nobody reads the reports, and a full pipe would block.
        if stop.is_set():
            raise _StoppedError
        reports.put(said)

    _worker.update(work=work, setting=setting, report=report)


def _end_with_parent() -> None:
    """A pool's workers outlive a parent that is killed, and wait for ever: end when it ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_worker(task: Any) -> Any:
    return _worker["work"](_worker["setting"], task, _worker["report"])
