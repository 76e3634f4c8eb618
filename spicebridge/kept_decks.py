"""Decks that were kept on this machine, read back from their files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from spicebridge.deck import COMPAT, Deck, DeckError
from spicebridge.netlist import read_text
from spicebridge.netlist_text import lines_of
from spicebridge.project import private_cache
from spicebridge.startup import check_compat
from spicebridge.verilog_a.build import LIBRARY, cached_model
from spicebridge.verilog_a.model import CompiledModel

_LATE = re.compile(r"^\*(?=\.meas)", re.IGNORECASE | re.MULTILINE)


def kept_deck(path: Path, digest: str, *, name: str) -> Deck:
    """A deck that ``Deck.keep`` wrote on this machine.

    Raises:
        DeckError: the file or a compiled model is gone, or is not what it was.
    """
    # A measure at another's result stands in a kept deck as a comment: commands in the head carry it out.
    lines = lines_of(_LATE.sub("", read_text(path, None)))
    try:
        end = lines.index(".endc")
        models = tuple(
            _kept_model(line.removeprefix("pre_osdi "))
            for line in lines[:end]
            if line.startswith("pre_osdi ")
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeckError(
            f"{path} is no deck that was kept whole, or a model of it is gone: {error}."
        ) from error
    deck = Deck("\n".join(lines[end + 1 : -1]), models, name, _mode_of(lines[:end]))
    if deck.digest != digest:
        raise DeckError(f"{path} was changed after it was kept: its digest is {deck.digest[:12]}.")
    return deck


def kept_command(path: Path) -> str:
    """The command by which the bare program runs a deck that ``Deck.keep`` wrote."""
    try:
        lines = lines_of(read_text(path, None))
    except DeckError:
        return f"ngspice -b {path}"
    # The block at the head loads models; a trusted deck's own stands below.
    begin = lines.index(".endc") + 1 if ".endc" in lines else 0
    return Deck("\n".join(lines[begin:]), compat=_mode_of(lines)).replay_command(path)


def _mode_of(lines: Sequence[str]) -> str:
    mode = next((line.removeprefix(COMPAT) for line in lines if line.startswith(COMPAT)), "")
    return check_compat(mode) if mode else ""


def _kept_model(named: str) -> CompiledModel:
    """A compiled model of this machine's cache, whatever file of that name lies beside the deck.

    It is named ``models/BUILD.osdi``, or by a path that ends in its folder in the cache.
    """
    path = Path(named)
    folder = path.parent.name if path.name == LIBRARY else path.stem
    library = (private_cache() / "models").resolve() / Path(folder).name / LIBRARY
    if not library.is_file():
        raise FileNotFoundError(folder)
    return cached_model(library)
