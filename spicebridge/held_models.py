"""Compiled Verilog-A models that an ngspice process holds.

ngspice keeps the first model of a name, in any case of letters, for the life of its process: another of that
name is passed over in silence, and a deck that brings none gets it too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from spicebridge.deck import Deck


def builds(deck: Deck) -> dict[str, str]:
    """The builds of the deck's models by the name that ngspice knows each by."""
    return {model.type.lower(): model.build for model in deck.models}


def misfit(deck: Deck, held: Mapping[str, str]) -> str | None:
    """The model that a process holding these builds would take for another in this deck; None if it fits."""
    brought: dict[str, str] = {}
    for model in deck.models:
        name = model.type.lower()
        if {held.get(name, model.build), brought.setdefault(name, model.build)} != {model.build}:
            return model.type
    return next((name for name in held if name not in brought and _names(deck, name)), None)


def _names(deck: Deck, kind: str) -> bool:
    """Whether a ``.model`` card of the deck is of this type."""
    card = rf"^\.model\s+\S+\s+{re.escape(kind)}(?:[\s(,]|$)"
    return re.search(card, deck.text, re.IGNORECASE | re.MULTILINE) is not None
