"""Random numbers of ngspice's own in a deck: whether they are drawn at all, and whether a seed repeats them.

ngspice draws ``agauss`` and its like as it reads a deck, after ``.options seed=N`` if the deck has that; so a
seed makes them the same on every run. A draw whose share in every value is exactly zero is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from spicebridge.batch_lines import random_line
from spicebridge.deck import Deck, DeckError, parse_number

LARGEST_SEED = 2**31 - 1
_OPTION_LINE = re.compile(r"^\.opt(?:ions?)?(?=\s)", re.IGNORECASE)
_SEED = re.compile(r"(?<=\s)seed(?:\s*=\s*(?P<value>\{[^}]*\}|'[^']*'|[^\s,]+))?(?=[\s,]|$)", re.IGNORECASE)
_NOISE = re.compile(r"\btrnoise\b", re.IGNORECASE)
_DRAWN = re.compile(r"\b(agauss|gauss|aunif|unif|limit)\s*\(", re.IGNORECASE)
_ASSIGNED = re.compile(r"\b([a-z_]\w*)\s*=\s*('[^']*'|\{[^}]*\}|[^\s=]*)", re.IGNORECASE)
_LEFT = re.compile(r"(?<![\w.$#])([a-z_]\w*)\s*\*\s*$", re.IGNORECASE)

# What may stand before off*draw(...) for that to be a product of its own: not 1/, and no power.
_BEFORE = re.compile(r"(?:^|[{'(,+=]|(?<![*^])[-*])$")


def noise_line(deck: Deck) -> str | None:
    """The first line with a ``trnoise`` source, which no seed repeats: its pool is the process's."""
    return next((line for line in deck.lines if _NOISE.search(line)), None)


def seed_of(deck: Deck) -> int | None:
    """The seed that the deck's own ``.options seed=N`` sets; None if it sets none.

    Raises:
        DeckError: a seed that ngspice does not take, or takes from the clock.
    """
    found = [
        match["value"]
        for line in deck.top_level
        if _OPTION_LINE.match(line)
        for match in _SEED.finditer(line)
    ]
    if not found:
        return None
    if not re.fullmatch(r"[0-9]+", found[0] or "") or not 1 <= int(found[0]) <= LARGEST_SEED:
        raise DeckError(
            f"{deck.name}: the option seed={found[0]} makes no value that could be made again; ngspice takes "
            f"a whole number here, 1 to {LARGEST_SEED}, and no parameter."
        )
    return int(found[0])


def without_seed(deck: Deck) -> Deck:
    """The deck without its own seed options."""
    lines = []
    for line in deck.lines:
        kept = _SEED.sub("", line).rstrip() if _OPTION_LINE.match(line) else line
        if kept == line or len(kept.split()) > 1:
            lines.append(kept)
    return replace(deck, text="\n".join(lines))


def seeded(deck: Deck, seed: float) -> Deck:
    """The deck with ``.options seed=N`` as its first line: a number, as ngspice takes no parameter there."""
    return replace(deck, text=f".options seed={int(seed)}\n{deck.text}")


def drawing_line(deck: Deck, values: Mapping[str, Sequence[float]]) -> str | None:
    """The first line whose draws are not known to be switched off; None if there is none.

    A draw is off where the parameter just before it, as in ``off*agauss(0,1,1)``, is zero: whatever the deck
    sets it to anywhere, and in all ``values`` that a sweep gives it, by lower-case name.
    """
    off = _zeros(deck, values)
    shown = [_without_draws(line, off) for line in deck.lines]
    line = random_line(replace(deck, text="\n".join(shown)))
    return None if line is None else deck.lines[shown.index(line)]


def _zeros(deck: Deck, values: Mapping[str, Sequence[float]]) -> frozenset[str]:
    """The parameters that are zero wherever they are set."""
    top = {line for line in deck.top_level if line.lower().startswith(".param")}
    given: dict[str, bool] = {name: not any(each) for name, each in values.items()}
    for line in deck.lines:
        for name, text in _ASSIGNED.findall(line):
            if line in top and name.lower() in values:
                continue
            given[name.lower()] = given.get(name.lower(), True) and _is_zero(text)
    # A function's argument of that name would hide the parameter.
    hidden = {
        word.lower()
        for line in deck.lines
        if re.match(r"\.(?:func|params?)\s+\w+\s*\(", line, re.IGNORECASE)
        for word in re.findall(r"\w+", line.partition("(")[2].partition(")")[0])
    }
    return frozenset(name for name, zero in given.items() if zero and name not in hidden)


def _is_zero(text: str) -> bool:
    try:
        return parse_number(text.strip("{}', ")) == 0
    except DeckError:
        return False


def _without_draws(line: str, off: frozenset[str]) -> str:
    """The line with 0 in the place of ``off*draw(...)``."""
    at = 0
    while match := _DRAWN.search(line, at):
        end = _closing(line, match.end())
        left = _LEFT.search(line[: match.start()])
        before = "".join(line[: left.start()].split()) if left else ""
        after = line[end:].lstrip()[:1]
        # off*draw^2 is another product.
        power = after == "^" or line[end:].lstrip().startswith("**")
        if left and left[1].lower() in off and _BEFORE.search(before) and not power:
            line = f"{line[: left.start()]}0{line[end:]}"
            at = left.start()
        else:
            at = match.end()
    return line


def _closing(line: str, begin: int) -> int:
    depth = 1
    for at in range(begin, len(line)):
        depth += (line[at] == "(") - (line[at] == ")")
        if depth == 0:
            return at + 1
    return len(line)
