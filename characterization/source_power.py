"""What a deck must save for its measures: the power that sources deliver, and other vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from characterization.values import DefinitionError
from spicebridge.deck import Deck
from spicebridge.settings import did_you_mean, listed

_ANALYSIS = re.compile(r"^\.(tran|ac|dc|op|noise|tf|pz|sens|sp|disto)\b", re.IGNORECASE)
_SUBCIRCUIT = re.compile(r"^\.subckt\s+(\S+)", re.IGNORECASE)
_DEEPEST = 40


@dataclass(frozen=True)
class Integral:
    """A quantity that is integrated over the simulator's own time points.

    Attributes:
        sources: whose delivered power it is, as the deck names them (``v1``, ``x1.v1`` in a subcircuit);
            empty for all independent sources.
        start, stop: the window, s; None for the analysis' ends.
    """

    sources: tuple[str, ...] = ()
    start: float | None = None
    stop: float | None = None


def sources_of(deck: Deck) -> tuple[str, ...]:
    """The independent sources of a deck by ngspice's names, ``v.x1.v1`` for one in a subcircuit."""
    inside: dict[str, list[str]] = {"": []}
    path = [""]
    for line in deck.lines:
        lowered = line.lower()
        if match := _SUBCIRCUIT.match(lowered):
            path.append(match[1])
            inside[path[-1]] = []
        elif lowered.startswith(".ends"):
            path.pop()
        else:
            inside[path[-1]].append(lowered)
    return tuple(_within("", inside, prefix=(), depth=0))


def _within(name: str, inside: dict[str, list[str]], *, prefix: tuple[str, ...], depth: int) -> list[str]:
    found: list[str] = []
    for line in inside.get(name, []) if depth < _DEEPEST else []:
        word, *rest = line.split() or [""]
        if word[:1] in ("v", "i"):
            found.append(".".join((word[0], *prefix, word)) if prefix else word)
        elif word[:1] == "x":
            plain = re.sub(r"\s*=\s*", "=", " ".join(rest)).split()
            called = [each for each in plain if "=" not in each and each != "params:"]
            if called:
                found += _within(called[-1], inside, prefix=(*prefix, word), depth=depth + 1)
    return found


def named_sources(integral: Integral, deck: Deck, *, key: str) -> tuple[str, ...]:
    """The sources of an integral by ngspice's names.

    Raises:
        DefinitionError: one that the deck does not have, or there is none at all.
    """
    there = sources_of(deck)
    spelled = {_plain(name): name for name in there}
    if not there:
        raise DefinitionError(f"{key}: the deck has no independent source whose power it could be.")
    for name in integral.sources:
        if name.lower() not in spelled:
            raise DefinitionError(
                f"{key}.sources: the deck has no independent source {name}."
                f"{did_you_mean(name.lower(), spelled)} It has: {listed(spelled)}."
            )
    return tuple(spelled[name.lower()] for name in integral.sources) or there


def _plain(name: str) -> str:
    """``x1.v1`` of ngspice's ``v.x1.v1``."""
    return name.partition(".")[2] or name


def check_analysis(deck: Deck, kinds: Sequence[str], *, key: str) -> None:
    """Refuse what needs a deck with one analysis, of some kinds, where the deck has another.

    Args:
        deck: the deck.
        kinds: the analyses that would do, as ``tran``.
        key: what needs it, for the message.

    Raises:
        DefinitionError: it has another analysis, several, or none.
    """
    there = [match[1].lower() for match in map(_ANALYSIS.match, deck.top_level) if match]
    if len(there) != 1 or there[0] not in kinds:
        wanted = " or ".join(f".{kind}" for kind in kinds)
        raise DefinitionError(
            f"{key} needs a deck with one analysis, {wanted} (this one has: {', '.join(there) or 'none'}). "
            "Make a deck of its own for it."
        )


def saving(deck: Deck, vectors: Sequence[str]) -> Deck:
    """The deck with these vectors saved, beside what it saves by itself."""
    if not vectors:
        return deck
    # A noise analysis saves nothing where not all is saved.
    kept = any(line.lower().startswith(".save") for line in deck.lines)
    noise = any(line.lower().startswith(".noise") for line in deck.lines)
    others = "all " if noise or not kept else ""
    return replace(deck, text=f"{deck.text.rstrip()}\n.save {others}{' '.join(dict.fromkeys(vectors))}\n")
