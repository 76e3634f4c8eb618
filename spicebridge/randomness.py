"""Random numbers of ngspice's own in a deck: whether they are drawn at all, and whether a seed repeats them.

ngspice draws ``agauss`` and its like as it reads a deck, after ``.options seed=N`` if the deck has that; so a
seed makes them the same on every run. A draw whose share in every value is exactly zero is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from spicebridge.batch_lines import random_line
from spicebridge.deck import Deck, DeckError
from spicebridge.draws import DRAWS, OTHER_DRAWS, Function, UnreadError, Value, evaluate

LARGEST_SEED = 2**31 - 1
_OPTION_LINE = re.compile(r"^\.opt(?:ions?)?(?=\s)", re.IGNORECASE)
_SEED = re.compile(r"(?<=\s)seed(?:\s*=\s*(?P<value>\{[^}]*\}|'[^']*'|[^\s,]+))?(?=[\s,]|$)", re.IGNORECASE)
_NOISE = re.compile(r"\btr(?:noise|random)\b", re.IGNORECASE)
_ASSIGNED = re.compile(r"\b([a-z_]\w*)\s*=(?!=)\s*", re.IGNORECASE)
_FUNCTION = re.compile(
    r"^\.(?:func|params?)\s+(\w+)\s*\(([^()]*)\)\s*=?\s*(?:\{(.*)\}|'(.*)')\s*$", re.IGNORECASE
)
_DEFINES = re.compile(r"^\.(?:func|params?)\s+(\w+)\s*\(", re.IGNORECASE)
_NEXT = re.compile(r"[\s,]+[a-z_]\w*\s*=(?!=)", re.IGNORECASE)


def noise_line(deck: Deck) -> str | None:
    """The first line with a ``trnoise`` or ``trrandom`` source, whose numbers go on from deck to deck."""
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
    """The first line whose draws are not known to be without effect; None if there is none.

    Each expression with a draw is evaluated with the parameters that are known to be zero: whatever the deck
    sets one to anywhere, and in all ``values`` that a sweep gives it, by lower-case name. A draw is without
    effect where a factor of it is zero, or its own width.
    """
    functions = _functions(deck)
    zeros = _zeros(deck, values, functions)
    calls = _drawing_calls(functions)
    # A call of a function that draws is judged where it stands, and its definition by its calls.
    known = {name for name, function in functions.items() if function is not None}
    for line in deck.lines:
        defined = _DEFINES.match(line)
        if defined and defined[1].lower() in known:
            continue
        shown = _without_draws(line, zeros, functions, calls)
        if random_line(replace(deck, text=f"{_own_names(known)}{shown}")) or (calls and calls.search(shown)):
            return line
    return None


def _own_names(names: Iterable[str]) -> str:
    """Definitions of the functions, so that a name among them is not taken for ngspice's own."""
    return "".join(f".func {name}(x) {{x}}\n" for name in names)


def _functions(deck: Deck) -> dict[str, Function | None]:
    """The deck's own functions; None for one that stands in a subcircuit, or twice, or is not understood."""
    top = set(deck.top_level)
    found: dict[str, Function | None] = {}
    for line in deck.lines:
        if not (defined := _DEFINES.match(line)):
            continue
        name, match = defined[1].lower(), _FUNCTION.match(line)
        if match is None or line not in top or name in found:
            found[name] = None
            continue
        arguments = tuple(each.strip().lower() for each in match[2].split(","))
        found[name] = Function(arguments, (match[3] or match[4] or "").lower())
    return found


def _drawing_calls(functions: Mapping[str, Function | None]) -> re.Pattern[str] | None:
    """Calls of functions that draw themselves or through others; None if there are none."""
    own = {name for name, function in functions.items() if function is not None}
    drawing: set[str] = set()
    while True:
        calls = _calls({*drawing, *({*DRAWS, *OTHER_DRAWS} - own)})
        more = {
            name
            for name, function in functions.items()
            if function is not None and calls.search(function.body)
        }
        if more <= drawing:
            return _calls(drawing) if drawing else None
        drawing |= more


def _calls(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\s*\(", re.IGNORECASE)


def _zeros(
    deck: Deck, values: Mapping[str, Sequence[float]], functions: Mapping[str, Function | None]
) -> dict[str, Value]:
    """The parameters that are zero wherever they are set."""
    top = {line for line in deck.top_level if line.lower().startswith(".param")}
    texts: dict[str, list[str]] = {name: [] for name in values}
    for line in deck.lines:
        for name, text in _assignments(line):
            # What a subcircuit hands on under the same name is zero where the others are.
            if not (line in top and name in values) and text.strip("{}', ").lower() != name:
                texts.setdefault(name, []).append(text)
    # A function's argument of that name would hide the parameter.
    hidden = {
        word.lower()
        for line in deck.lines
        if _DEFINES.match(line)
        for word in re.findall(r"\w+", line.partition("(")[2].partition(")")[0])
    }
    possible = {
        name
        for name, each in texts.items()
        if name not in hidden and not any(values.get(name, ())) and (each or name in values)
    }
    zeros: dict[str, Value] = {}
    while True:
        more = {
            name
            for name in possible - set(zeros)
            if all(_is_zero(text, zeros, functions) for text in texts[name])
        }
        if not more:
            return zeros
        zeros |= dict.fromkeys(more, Value(0.0))


def _assignments(line: str) -> Iterator[tuple[str, str]]:
    """What a line sets: each name in lower case, and all that stands before the next."""
    found = list(_ASSIGNED.finditer(line))
    for at, match in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(line)
        yield match[1].lower(), line[match.end() : end].rstrip(", ")


def _is_zero(text: str, zeros: Mapping[str, Value], functions: Mapping[str, Function | None]) -> bool:
    try:
        return evaluate(text.strip("{}', "), zeros, functions) == Value(0.0)
    except UnreadError:
        return False


def _without_draws(
    line: str,
    zeros: Mapping[str, Value],
    functions: Mapping[str, Function | None],
    calls: re.Pattern[str] | None,
) -> str:
    """The line with 0 in the place of each expression in which no draw has an effect."""
    drawn = _calls(DRAWS)
    at = 0
    while match := min(
        (each for each in (drawn.search(line, at), calls and calls.search(line, at)) if each),
        key=lambda each: each.start(),
        default=None,
    ):
        begin, end = _expression(line, match.start())
        try:
            effect = evaluate(line[begin:end], zeros, functions).random
        except UnreadError:
            effect = True
        if effect:
            at = match.end()
        else:
            line = f"{line[:begin]}0{line[end:]}"
            at = begin
    return line


def _expression(line: str, inside: int) -> tuple[int, int]:
    """Where the expression around a place begins and ends: in braces, in quotes, or after an equals sign."""
    for pattern in (r"\{[^{}]*\}", r"'[^']*'"):
        for match in re.finditer(pattern, line):
            if match.start() < inside < match.end():
                return match.start() + 1, match.end() - 1
    assigned = [match.end() for match in re.finditer(r"(?<![<>=!])=(?!=)", line[:inside])]
    if not assigned:
        return inside, inside  # not read
    following = _NEXT.search(line, inside)
    return assigned[-1], following.start() if following else len(line)
