"""A worker process: ngspice, decks to run, and the answers going back.

Started by ``workers.py`` as ``python -m spicebridge.runner SOCKET PARENT``. It ends with its parent, on
Linux even in the middle of a deck that hangs, so that a parent's sudden end leaves nothing behind. It has
one thread only: with a second one, every allocation in ngspice would have to take a lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import signal
import sys
import time
import traceback
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.project import private_cache
from spicebridge.simulator import in_this_process
from spicebridge.workers import Answer, Defect, OutdatedError, Ready, Task

# ngspice leaks about 1.5 kB a run even when told to forget it (PySpice issues 246, 373).
RUNS_PER_WORKER = 5000
MEMORY_PER_WORKER = 2**30  # bytes, after a deck was forgotten
_ANSWER_EVERY = 0.05  # s: small decks' answers travel together
_WEIGH_EVERY = 1.0  # s
_PR_SET_PDEATHSIG = 1  # of Linux's prctl


def serve(connection: Connection) -> None:
    """Answer tasks in order until this process should be replaced, or its parent closes the connection."""
    engine = None
    with contextlib.suppress(SpicebridgeError):  # raised again, and told, for each task
        engine = f"ngspice-{in_this_process().version}"
    connection.send(Ready(engine))
    gc.collect()
    gc.freeze()  # the imported packages need not be searched for garbage again and again
    tasks: deque[Task] = deque()
    answers: list[Answer] = []
    answered = time.monotonic()
    runs, weighed = 0, answered
    while True:
        if not tasks or (not answers and connection.poll()):
            tasks.extend(connection.recv())
        answer, spent = _answer(tasks.popleft())
        answers.append(answer)
        runs += 1
        now = time.monotonic()
        if spent or runs >= RUNS_PER_WORKER or not tasks or now - answered >= _ANSWER_EVERY:
            spent = spent or runs >= RUNS_PER_WORKER
            if now - weighed >= _WEIGH_EVERY:
                spent, weighed = spent or _resident() > MEMORY_PER_WORKER, now
            _send(connection, answers, spent=spent)
            answers, answered = [], now
            if spent:
                return


def _answer(task: Task) -> tuple[Answer, bool]:
    """The task's answer, and whether this process must be replaced."""
    try:
        return Answer(in_this_process().measured(task.deck, task.measure)), in_this_process().spent
    except OutdatedError as error:
        return Answer(error=error), True
    except SpicebridgeError as error:
        try:
            return Answer(error=error), in_this_process().spent
        except SpicebridgeError:  # no ngspice to be had at all
            return Answer(error=error), True
    except Exception:  # raised again in the parent, which would otherwise see only a lost process
        return Answer(defect=Defect(traceback.format_exc())), True


def _send(connection: Connection, answers: list[Answer], *, spent: bool) -> None:
    try:
        packed = pickle.dumps((answers, spent))
    except Exception:  # a value that cannot travel is a defect of its measure
        packed = pickle.dumps(([Answer(defect=Defect(traceback.format_exc()))], True))
    connection.send_bytes(packed)


def _resident() -> int:
    """This process's memory, bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _end_with(parent: int) -> None:
    """Have Linux kill this process when its parent ends, as then nobody is left to do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        sys.exit()


def _leave() -> None:
    """Go where no user's files lie; ngspice writes reports on odd cards, and reads a .spiceinit, there."""
    try:
        folder = private_cache() / "ngspice"
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
    except (OSError, SpicebridgeError):  # a full disk, or one that is only read, or another user's
        os.chdir("/")


if __name__ == "__main__":
    _end_with(int(sys.argv[2]))
    _leave()
    with contextlib.suppress(EOFError, ConnectionError):
        serve(Connection(int(sys.argv[1])))
