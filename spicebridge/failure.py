"""Failed simulations: the deck and ngspice's log kept, and told with where they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_text
from spicebridge.project import results_folder
from spicebridge.simulator import SimulationError

_KEPT, _UNKEPT = "Deck kept: ", "The deck could not be kept: "


@dataclass(frozen=True)
class Failure:
    """Why a simulation gave no values.

    Attributes:
        message: what went wrong, in ngspice's words, and where deck and log are kept.
        deck: the deck as bare ``ngspice -b`` runs it; None if it could not be written.
        log: ngspice's log.
    """

    message: str
    deck: Path | None
    log: Path | None

    @property
    def reason(self) -> str:
        """The first line that says more than which deck, or where in it."""
        first, *others = (line.strip() for line in self.message.splitlines())
        told = (line for line in others if not line.endswith(":") and not line.startswith((_KEPT, _UNKEPT)))
        return next(told, first)


def keep_failure(error: SpicebridgeError) -> Failure:
    """The failure, with deck and log written under ``results/failed``."""
    if not isinstance(error, SimulationError):
        return Failure(str(error), None, None)
    folder = results_folder() / "failed"
    try:
        deck = error.deck.keep(folder)
        log = deck.with_suffix(".log")
        write_text(log, f"{error.log}\n")
    except SpicebridgeError as unkept:
        return Failure(f"{error}\n  {_UNKEPT}{unkept}", None, None)
    return Failure(f"{error}\n  {_KEPT}{deck}   Replay: ngspice -b {deck}", deck, log)
