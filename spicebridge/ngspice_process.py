"""ngspice for a script or a notebook: beside it, in a process of its own.

Nothing of ngspice is left in the script's own process: no environment variable, locale or start-up file, and
no model of an earlier compilation. A deck that crashes ngspice does not end the script.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from spicebridge.deck import Deck
from spicebridge.netlist import make_deck
from spicebridge.ngspice_library import find_ngspice_library
from spicebridge.simulator import Waveforms, whole
from spicebridge.workers import Pool, Task

T = TypeVar("T")

_UNLIMITED = 1e6  # s, eleven days: nobody set a limit


class NgspiceProcess:
    """ngspice in a process that lasts from deck to deck, and is replaced when a deck crashes or spoils it.

    Threads may share it: it runs one deck at a time.
    """

    def __init__(self) -> None:
        self._pool = Pool(workers=1, time_limit=_UNLIMITED)
        self._lock = threading.Lock()

    def run(self, deck: Deck) -> Waveforms:
        """Run every analysis of the deck; the waveforms are the last one's.

        Raises:
            SimulationError: ngspice did not load or finish it.
        """
        with self._lock:
            try:
                ((_, answer),) = self._pool.run([Task(deck, whole)])
            except BaseException:  # its answer is still under way, and must not become the next deck's
                self._pool.stop()
                raise
        if answer.error is not None:
            raise answer.error
        recorded: Waveforms = answer.value
        return recorded

    def measured(self, deck: Deck, measure: Callable[[Waveforms], T]) -> T:
        """What ``measure``, called here, makes of the deck's waveforms.

        Raises:
            SimulationError: ngspice did not load or finish it.
        """
        return measure(self.run(deck))

    @property
    def version(self) -> int:
        """ngspice's major version."""
        return int(self.run(make_deck("v1 a 0 1\nr1 a 0 1\n.op", folder=Path(), name="probe")).engine)

    @property
    def library(self) -> str:
        """The libngspice in use: its path, or the name that the system's loader knows it by."""
        return find_ngspice_library()
