"""Measures that name another's result as their level or time, such as a bandwidth at 3 dB below the peak.

In a ``.meas`` line ngspice knows other measures' results in ``param='...'`` only. Its command ``meas`` takes
vectors in their place once an analysis has run, and keeps its own result as one. So such lines are left out
of the netlist that ngspice loads, and carried out as commands after it; these are composed from what is
listed here and nothing else, as a deck from outside may not bring commands of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from spicebridge.errors import SpicebridgeError
from spicebridge.settings import listed, shortened

PREFIX = "measured_"  # of the vectors that commands make; a deck may not have such a name itself
_PARAMETER = "parameter_"
_LINE = re.compile(r"\.meas(?:ure)?\s+(tran|ac|dc|op|sp|noise|tf)\s+([a-z_]\w*)\s+(\S.*)", re.IGNORECASE)
_VECTOR = (
    r"\b(?:v|vm|vdb|vp|vr|vi|i)\(\s*[\w.:+-]+\s*(?:,\s*[\w.:+-]+\s*)?\)"
    r"|@[\w.:]+\[\w+\]|[a-z_][\w.]*#branch"
)
_TEXT = r"'[^']*'|\{[^{}]*\}"
_ITEM = re.compile(
    rf"\s*(?:(?P<par>par\s*\(\s*(?:{_TEXT})\s*\))|(?P<vector>{_VECTOR})|(?P<text>{_TEXT})"
    r"|(?P<equals>=)|(?P<plain>[\w.+*/()^,-]+))"
)
_TOKEN = re.compile(
    rf"\s*(?:(?P<vector>{_VECTOR})|(?P<number>(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?[a-z]*)"
    r"|(?P<call>[a-z]\w*)\s*(?=\()|(?P<name>[a-z_]\w*)|(?P<sign>[-+*/(),]))"
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?[a-z]*")
_NAME = re.compile(r"(?<![\w.])[a-z_]\w*")  # not the e of 1e-6, nor the u of 1u
# What ngspice's command ``let`` and its ``.param`` expressions mean the same by.
_FUNCTIONS = frozenset({
    "abs", "sqrt", "exp", "ln", "log10", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh"
})  # fmt: skip
_COUNTS = frozenset({"rise", "fall", "cross"})  # of these an expression never was a level
# What stands in a .meas line without a value.
_WORDS = frozenset({
    "find", "when", "avg", "max", "min", "max_at", "min_at", "pp", "rms", "integ", "trig", "targ", "deriv",
    "param",
})  # fmt: skip


class LevelError(SpicebridgeError):
    """A measure at another's result that cannot be carried out."""


@dataclass(frozen=True)
class Levels:
    """A deck's measures at others' results.

    Attributes:
        names: the measures, lower case.
        lines: their lines, as the deck has them.
        parameters: lines that let commands know the deck's parameters.
        commands: what gives their results once the deck's analysis has run, as vectors and printed: each
            measure by ``PREFIX`` and its name.
        depth: how many results stand one on another in the longest chain.
    """

    names: tuple[str, ...]
    lines: tuple[str, ...]
    parameters: tuple[str, ...]
    commands: tuple[str, ...]
    depth: int

    def commands_with(self, values: Mapping[str, float]) -> list[str]:
        """The commands, which take these results to all their digits; ``meas`` hands on seven.

        Args:
            values: results by measure, lower case; of a measure that is not among them ngspice's own.
        """
        commands = []
        for command in self.commands:
            commands.append(command)
            if (name := measure_of(command)) in values:
                commands.append(exactly(name, values[name]))
        return commands


def exactly(name: str, value: float) -> str:
    """The command that gives the vector of a measure its value to all digits."""
    return f"let {PREFIX}{name} = {value!r}"


def measure_of(command: str) -> str:
    """The measure that a command gives the result of; empty for a command that gives none."""
    match = re.match(rf"(?:meas \w+|print) {PREFIX}(\w+)", command)
    return match[1] if match else ""


def levels_of(lines: Sequence[str], parameters: Collection[str]) -> Levels | None:
    """What a deck's measures at others' results need; None if it has none.

    Args:
        lines: the deck's.
        parameters: the names of its top-level ``.param``, lower case, which come before measures' names.

    Raises:
        LevelError: one cannot be carried out: it holds what is not listed here, or stands on itself.
    """
    matches = [match for line in lines if line[:1] == "." if (match := _LINE.fullmatch(line))]
    if len(matches) < 2:
        return None
    measures = {match[2].lower(): match for match in matches}
    named = {
        name: [each for each in _named(match[3].lower()) if each in measures and each not in parameters]
        for name, match in measures.items()
    }
    late = {name for name, used in named.items() if used and not _is_expression(measures[name])}
    while more := {name for name, used in named.items() if late & set(used)} - late:
        late |= more
    if not late:
        return None
    order = _order(late, named)
    own = [line for line in lines if line not in {measures[name][0] for name in late}]
    if taken := next((line for line in own if re.search(rf"\b{PREFIX}\w", line.lower())), None):
        raise LevelError(
            f"the line {shortened(taken, 60)!r} uses a name that begins with {PREFIX}, as those do by which "
            f"measures at others' results are kept. Choose another."
        )
    used: set[str] = set()
    commands: list[str] = []
    for name in order:
        match = measures[name]
        try:
            commands += _Commands(name, match[1].lower(), set(measures) - set(parameters), used).of(
                match[3].lower()
            )
        except LevelError as error:
            raise LevelError(f"{shortened(match[0], 60)!r}: {error}") from error
    if unknown := sorted(used - set(parameters)):
        raise LevelError(f"measures at others' results use {listed(unknown)}, which is no top-level .param.")
    return Levels(
        names=tuple(name for name in measures if name in late),
        lines=tuple(measures[name][0] for name in measures if name in late),
        parameters=tuple(f".csparam {_PARAMETER}{name}={{{name}}}" for name in sorted(used)),
        commands=("set numdgt=12", *commands),
        depth=_depth(order, named),
    )


def _named(body: str) -> Iterator[str]:
    """The names in the expressions of a measure's line."""
    for key, value in _assigned(body):
        if key not in _COUNTS:
            yield from (match[0] for match in _NAME.finditer(re.sub(_VECTOR, " ", value)))


def _assigned(body: str) -> Iterator[tuple[str, str]]:
    """Keys and values of a measure's line, and the texts in ``par(...)`` without a key."""
    items = list(_ITEM.finditer(body))
    for at, item in enumerate(items):
        if at and items[at - 1]["equals"]:
            yield (items[at - 2][0].strip() if at > 1 else ""), item[0]
        elif item["par"]:
            yield "", item[0].strip()[3:]


def _is_expression(match: re.Match[str]) -> bool:
    """Whether a line computes from other results, as ngspice's own lines can."""
    return match[3].lower().startswith("param")


def _order(late: Collection[str], named: Mapping[str, Sequence[str]]) -> list[str]:
    """The measures that commands give, each after those that it stands on.

    Raises:
        LevelError: they stand on each other.
    """
    order: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise LevelError(f"measures stand on each other: {' -> '.join([*above, name])}.")
        if name not in order:
            for each in named[name]:
                add(each, (*above, name))
            order.append(name)

    for name in named:
        if name in late:
            add(name, ())
    return order


def _depth(order: Sequence[str], named: Mapping[str, Sequence[str]]) -> int:
    depths: dict[str, int] = {}
    for name in order:
        depths[name] = max((depths[each] + 1 for each in named[name]), default=0)
    return max(depths.values())


@dataclass
class _Commands:
    """Composes the commands of one measure.

    Attributes:
        name, analysis: the measure's.
        measures: the names that are results.
        used: the deck's parameters that the commands use; added to.
    """

    name: str
    analysis: str
    measures: Collection[str]
    used: set[str]
    made: int = 0

    def of(self, body: str) -> list[str]:
        """The commands of a measure by what follows its name in the line."""
        items = self._items(body)
        before: list[str] = []
        if items[0][0] == "param":
            if len(items) != 3:
                raise LevelError("it is not of the form param='EXPRESSION'")
            vector = f"{PREFIX}{self.name}"
            return [f"let {vector} = {self._expression(_bare(items[2][1]))}", f"print {vector}"]
        words: list[str] = []
        for at, (kind, text) in enumerate(items):
            key = items[at - 2][1] if at > 1 and items[at - 1][0] == "equals" else ""
            if kind == "par" or (kind in ("text", "plain") and key and key not in _COUNTS):
                if kind == "plain" and _NUMBER.fullmatch(text):
                    words.append(text)
                    continue
                self.made += 1
                vector = f"{PREFIX}{self.name}_{self.made}"
                before.append(f"let {vector} = {self._expression(_bare(text))}")
                words.append(vector)
            else:
                words.append(text)
        line = re.sub(r" = ", "=", " ".join(words))
        return [*before, f"meas {self.analysis} {PREFIX}{self.name} {line}"]

    def _items(self, body: str) -> list[tuple[str, str]]:
        """The parts of the line by kind, each known to be harmless as part of a command."""
        items: list[tuple[str, str]] = []
        at = 0
        while at < len(body.rstrip()):
            match = _ITEM.match(body, at)
            if match is None:
                raise LevelError(f"{body[at:].strip()!r} was never tried in a measure at another's result")
            kind, text = str(match.lastgroup), match[0].strip()
            at = match.end()
            key = items[-2][1] if len(items) > 1 and items[-1][0] == "equals" else ""
            if kind == "par" and self.analysis == "ac":
                raise LevelError(f"{text} in an AC analysis was never tried in a measure at another's result")
            if kind == "plain" and not key:
                known = _WORDS | _COUNTS | {"val", "at", "from", "to", "td", "last"}
                if text not in known:
                    raise LevelError(f"{text!r} was never tried in a measure at another's result")
                kind = "param" if text == "param" and not items else kind
            elif kind == "plain" and key in _COUNTS and not re.fullmatch(r"\d+|last", text):
                raise LevelError(f"{key}={text} should be a number or LAST")
            items.append((kind, text))
        return items

    def _expression(self, text: str) -> str:
        """An expression as the command ``let`` takes it."""
        at, parts = 0, []
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise LevelError(
                    f"{text[at:].strip()!r}: an expression with another's result may hold numbers, names, "
                    f"+ - * / ( ) and {', '.join(sorted(_FUNCTIONS))}"
                )
            at = match.end()
            parts.append(self._part(match))
        return "".join(parts)

    def _part(self, match: re.Match[str]) -> str:
        text = match[0].strip()
        if match["call"] and text not in _FUNCTIONS:
            raise LevelError(
                f"{text}(...): an expression with another's result may call {', '.join(sorted(_FUNCTIONS))}"
            )
        if match["name"]:
            if text in self.measures:
                return PREFIX + text
            self.used.add(text)
            return _PARAMETER + text
        return text


def _bare(text: str) -> str:
    """An expression without ``par(...)``, quotes or braces around it."""
    inner = re.sub(r"^par\s*\(\s*(.*?)\s*\)$", r"\1", text)
    return inner[1:-1] if inner[:1] in ("'", "{") else inner
