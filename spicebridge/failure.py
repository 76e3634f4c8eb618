"""Failed simulations: the deck and ngspice's log kept, and told with where they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_text
from spicebridge.project import results_folder
from spicebridge.simulator import SimulationError

_UNKEPT = "The deck could not be kept:"


@dataclass(frozen=True)
class Failure:
    """Why a simulation gave no values.

    Attributes:
        message: what went wrong, in ngspice's words, and where deck and log are kept.
        deck: the deck as bare ``ngspice -b`` runs it; None if it could not be written.
        log: ngspice's log.
        reason: why, in one line.
    """

    message: str
    deck: Path | None
    log: Path | None
    reason: str


def keep_failure(error: SpicebridgeError) -> Failure:
    """The failure, with deck and log written under ``results/failed``."""
    if not isinstance(error, SimulationError):
        return unkept_failure(error)
    try:
        deck = error.deck.keep(_folder())
        log = deck.with_suffix(".log")
        write_text(log, f"{error.log}\n")
    except SpicebridgeError as unkept:
        return Failure(f"{error}\n  {_UNKEPT} {unkept}", None, None, error.reason)
    return Failure(f"{error}\n  {kept_text(deck, error.deck)}", deck, log, error.reason)


def unkept_failure(error: SpicebridgeError) -> Failure:
    """A failure that is no deck's, or of a deck that is not kept."""
    return Failure(str(error), None, None, str(error).partition("\n")[0])


def keep_deck(deck: Deck) -> str:
    """Keep a deck that ran, but without all that was wanted, where failed ones are; where, in words."""
    kept = _folder() / f"{deck.digest[:12]}.cir"
    try:
        return kept_text(kept if kept.is_file() else deck.keep(_folder()), deck)
    except SpicebridgeError as unkept:
        return f"{_UNKEPT} {unkept}"


def _folder() -> Path:
    return results_folder() / "failed"


def kept_text(path: Path, deck: Deck) -> str:
    """Where a deck is kept, and how it is run by itself."""
    return f"Deck kept: {path}   Replay: {deck.replay_command(path)}"
