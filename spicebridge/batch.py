"""Batches: many points of one swept deck as copies of its circuit in one deck.

A batched deck holds one independent copy of the circuit for each point, in a subcircuit with that point's
parameter values, and every copy's measures. The analysis is shared, so ngspice pays once for loading, for
each time point and for each solution of the matrix.

The copies share their time steps: a step is as short as the copy that needs the shortest asks for. A measure
therefore differs from the same point's alone, and between two batches of different composition, within the
integration's own tolerance; where ``.tran`` bounds the steps so that they never adapt, by rounding only.
A copy that does not converge fails the whole deck: run its points one by one.

What is accepted is what was tried against single decks on ngspice; everything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spicebridge.deck import Deck, DeckError, parse_number, spice_number

_COPY = "batch_copy"
_ELEMENTS = frozenset("bcdefghijklmnqrstvwx")
# Elements whose current is an unknown of the circuit, so that i(NAME) exists.
_WITH_CURRENT = frozenset("behlv")
_ANALYSES = (".tran", ".ac")
# Of these one line serves all copies, so it may not differ between them.
_SHARED = ("analysis", "operating point", "option", "temperature", "function")
_KINDS = {
    ".param": "parameter", ".model": "card", ".ic": "initial", ".nodeset": "initial", ".save": "output",
    ".print": "output", ".plot": "output", ".meas": "measure", ".measure": "measure", ".tran": "analysis",
    ".ac": "analysis", ".op": "operating point", ".option": "option", ".options": "option",
    ".temp": "temperature", ".func": "function",
    ".subckt": "definition", ".ends": "end of definition",
}  # fmt: skip
_OPTIONS = frozenset({
    "reltol", "abstol", "vntol", "chgtol", "trtol", "pivtol", "pivrel", "gmin", "gminsteps", "srcsteps",
    "itl1", "itl2", "itl4", "method", "maxord", "xmu", "temp", "tnom", "klu", "sparse", "noacct",
    "numdgt",
})  # fmt: skip
_MEASURE_WORDS = frozenset({
    "find", "when", "avg", "max", "min", "max_at", "min_at", "pp", "rms", "integ",
    "trig", "targ", "at", "from", "to", "td", "val", "rise", "fall", "cross", "last", "param",
})  # fmt: skip
_NODE_FUNCTIONS = {".tran": ("v",), ".ac": ("v", "vm", "vdb", "vp", "vr", "vi")}

# Copies would share one sequence of random numbers, and each one's share would depend on the others.
RANDOM = re.compile(
    r"\b(?:a?gauss|sgauss|a?unif|sunif|limit|random)\s*\(|\b(?:trnoise|trrandom)\b", re.IGNORECASE
)
# Sources driven from outside, ports (numbered once in a circuit), and values read out of other devices.
_OUTSIDE = re.compile(r"\b(?:external|portnum)\b|[@#]", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w.#])[a-z_]\w*", re.IGNORECASE)
_LEFT_SIDE = re.compile(r"\b\w+\s*=(?!=)")
_VALUE = r"('[^']*'|\{[^{}]*\}|[^\s={}'\",()]+)"
_ASSIGNMENT = re.compile(rf"([a-z_]\w*)\s*=\s*{_VALUE}\s*,?\s*", re.IGNORECASE)
_INITIAL = re.compile(rf"v\s*\(\s*([^\s(),]+)\s*\)\s*=\s*{_VALUE}\s*", re.IGNORECASE)
_MEASURE = re.compile(r"\.meas(?:ure)? (tran|ac) ([a-z_]\w*) (\S.*)")
_MEASURE_TOKEN = re.compile(
    r"""(?:(?P<reference>(?P<function>[a-z]+)\((?P<argument>[^()\s,]+)\))
    | (?P<probe>@(?P<device>[\w.]+)(?P<quantity>\[\w+\]))
    | (?P<expression>\{[^{}]*\}|'[^']*')
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?[a-z]*)
    | (?P<word>[a-z_]\w*))(?=[\s=]|$)
    | =""",
    re.VERBOSE,
)
_CALL = re.compile(r"\b([a-z_]\w*)\s*\(")
_FUNCTIONS = frozenset({
    "sqr", "sqrt", "exp", "ln", "log", "log10", "abs", "pow", "pwr", "min", "max", "sgn", "int", "nint",
    "ceil", "floor", "sin", "cos", "tan", "asin", "acos", "atan", "arctan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh",
})  # fmt: skip
_TAKEN = re.compile(rf"\b(?:\w+__\d+|{_COPY})\b", re.IGNORECASE)


class BatchError(DeckError):
    """A deck that is not known to keep its meaning in a batch. Its points can be run one by one."""


def batched(deck: Deck, points: Sequence[Mapping[str, float | str]]) -> Deck:
    """One deck that simulates a copy of the circuit for each point.

    It keeps the waveforms that the ``.meas`` lines read and no others; ``unbatched_measures`` sorts what they
    print. Parameters in which all points agree are set once for all copies. A small transient gains up to
    about 50 copies, where most of its time is its own devices', and loses a little again beyond 200.

    Args:
        deck: a deck with ``.param`` and ``.meas`` lines and one analysis, ``.tran`` or ``.ac``.
        points: values of the same top-level ``.param`` names in SI units, one mapping for each copy.

    Raises:
        BatchError: a line of the deck, or a difference between the points, that cannot be batched.
        DeckError: a name that the deck does not define.
    """
    lowered = [{name.lower(): value for name, value in point.items()} for point in points]
    swept = _refuse_points(deck, lowered)
    parts = _parts(deck.with_parameters(**{name: lowered[0][name] for name in lowered[0].keys() - swept}))
    varying = _dependents(parts.parameters, swept)
    _refuse_varying(parts, varying)
    copies = [_Copy(parts, frozenset(varying), number) for number in range(1, len(points) + 1)]
    lines = _circuit(parts, swept, varying)
    lines += _named_parameters(parts, copies, lowered, swept)
    for copy, point in zip(copies, lowered, strict=True):
        values = "".join(f" {name}={_number(point[name])}" for name in swept)
        lines.append(f"{copy.instance} {_COPY}{values}")
        lines += copy.initial()
    lines += [f".save {' '.join(read)}" for copy in copies if (read := copy.read())]
    lines += [*parts.kind("operating point"), *parts.kind("analysis")]
    lines += [line for copy in copies for line in copy.measures()]
    return Deck(text="\n".join(lines), models=deck.models, name=f"{deck.name} x {len(points)}")


def unbatched_measures(
    measures: Mapping[str, float], *, count: int, names: Iterable[str]
) -> dict[str, NDArray[np.float64]]:
    """The measures of a batched deck by their names in the single deck.

    Args:
        measures: what the batched deck's simulation printed.
        count: the number of copies.
        names: the single deck's measures that are wanted.

    Returns:
        For each name the values of the copies in the order of the points, shape (count,); NaN where ngspice
        printed none, as it does for an expression of measures that failed.
    """
    return {
        name: np.array([measures.get(_suffixed(name.lower(), copy), np.nan) for copy in range(1, count + 1)])
        for name in names
    }


def shared_parameters(deck: Deck) -> frozenset[str]:
    """The parameters in which the points of one batch must agree: analysis or options depend on them.

    Raises:
        BatchError: the deck has a line that cannot be batched.
    """
    parts = _parts(deck)
    return frozenset(_needed(parts.parameters, {name for line in parts.shared for name in _names(line)}))


@dataclass(frozen=True)
class _Measure:
    """A ``.meas`` line in lower case: the line, the measure's name, and what follows it."""

    line: str
    name: str
    body: str

    @property
    def tokens(self) -> list[re.Match[str]]:
        return list(_MEASURE_TOKEN.finditer(self.body))

    @property
    def is_expression(self) -> bool:
        """Whether it is computed from other measures, which ngspice knows by name in no other kind."""
        return self.body.startswith("param")


@dataclass(frozen=True)
class _Parts:
    """A deck's lines by what they are.

    Attributes:
        name: the deck's, for messages.
        parameters: top-level ``.param`` names and value texts, lower case.
        subcircuits: the lines of each top-level definition.
        lines: the other top-level lines by kind; see ``_KINDS``.
        measures: the ``.meas`` lines, read.
        words: what stands on the circuit's own element lines, lower case: nodes and elements among them.
        elements: the names of those elements, lower case.
    """

    name: str
    parameters: Mapping[str, str]
    subcircuits: Sequence[tuple[str, ...]]
    lines: Mapping[str, Sequence[str]]
    measures: Sequence[_Measure]
    words: frozenset[str]
    elements: frozenset[str]

    def kind(self, kind: str) -> Sequence[str]:
        return self.lines.get(kind, ())

    @property
    def shared(self) -> list[str]:
        return [line for kind in _SHARED for line in self.kind(kind)]

    @property
    def analysis(self) -> str:
        return _first(self.kind("analysis")[0])

    def refusal(self, line: str, reason: str) -> BatchError:
        return _refusal(self.name, line, reason)


@dataclass(frozen=True)
class _Copy:
    """One copy's names for what the deck calls by its own."""

    parts: _Parts
    varying: frozenset[str]
    number: int

    @property
    def instance(self) -> str:
        return f"x{self.number}"

    def initial(self) -> list[str]:
        return [
            _first(line)
            + "".join(
                f" v({self.node(node, line)})={self.expression(value)}"
                for node, value in _INITIAL.findall(line.lower().partition(" ")[2])
            )
            for line in self.parts.kind("initial")
        ]

    def measures(self) -> list[str]:
        return [
            f".meas {self.parts.analysis[1:]} {_suffixed(measure.name, self.number)} "
            + _MEASURE_TOKEN.sub(partial(self._token, measure), measure.body)
            for measure in self.parts.measures
        ]

    def read(self) -> list[str]:
        """What the measures read, as ``.save`` names it."""
        found: dict[str, None] = {}
        for measure in self.parts.measures:
            for token in measure.tokens:
                if token["probe"] or token["function"] == "i":
                    found[self._token(measure, token)] = None
                elif token["reference"]:
                    found[f"v({self.node(token['argument'], measure.line)})"] = None
        return list(found)

    def node(self, name: str, line: str) -> str:
        """A node's full name, or an inner node's of a device."""
        device, mark, inner = name.partition("#")
        if mark:
            return f"{self.device(device, line)}#{inner}"
        if name in self.parts.words or self._is_instance(name.partition(".")[0]):
            return f"{self.instance}.{name}"
        raise self.parts.refusal(line, f"names {name!r}, which is no node of the circuit")

    def device(self, name: str, line: str) -> str:
        """A device's full name: its letter, the instances it lies in, its own name."""
        letter, _, path = name.partition(".")
        if name in self.parts.elements and name[0] != "x":
            return f"{name[0]}.{self.instance}.{name}"
        if len(letter) == 1 and self._is_instance(path.partition(".")[0]):
            return f"{letter}.{self.instance}.{path}"
        raise self.parts.refusal(line, f"names {name!r}, which is no device of the circuit")

    def expression(self, text: str, *, measures: Iterable[str] = ()) -> str:
        """A value or expression with this copy's parameters, and its own measures."""
        own = {*self.varying, *measures}
        return _NAME.sub(
            lambda name: _suffixed(name[0], self.number) if name[0].lower() in own else name[0], text
        )

    def _is_instance(self, name: str) -> bool:
        return name in self.parts.elements and name[0] == "x"

    def _token(self, measure: _Measure, token: re.Match[str]) -> str:
        if token["probe"]:
            return f"@{self.device(token['device'], measure.line)}{token['quantity']}"
        if token["function"] == "i":
            return f"i({self.device(token['argument'], measure.line)})"
        if token["reference"]:
            return f"{token['function']}({self.node(token['argument'], measure.line)})"
        known = [each.name for each in self.parts.measures] if measure.is_expression else []
        return self.expression(token[0], measures=known)


def _refuse_points(deck: Deck, points: Sequence[Mapping[str, float | str]]) -> list[str]:
    """The names whose values differ between points, after a check that the points are comparable."""
    if not points:
        raise BatchError(f"{deck.name} cannot be batched: there is no point.")
    for point in points:
        if point.keys() != points[0].keys():
            raise BatchError(
                f"{deck.name} cannot be batched: one point sets {', '.join(points[0]) or 'nothing'}, another "
                f"{', '.join(point) or 'nothing'}. All points of a batch set the same parameters."
            )
    swept = [name for name in points[0] if len({spice_number(point[name]) for point in points}) > 1]
    if unknown := [name for name in points[0] if name not in deck.parameters]:
        deck.with_parameters(**{name: points[0][name] for name in unknown})  # says what there is
    for name in swept:
        for point in points:
            try:
                parse_number(_number(point[name]))
            except DeckError as error:
                raise BatchError(f"{deck.name} cannot be batched: {name}: {error}") from error
    return swept


def _refuse_varying(parts: _Parts, varying: Sequence[str]) -> None:
    """Refuse what cannot differ between copies: lines that all share, and the multiplier of instances."""
    if "m" in varying:
        raise BatchError(f"{parts.name} cannot be batched: m, given to an instance, multiplies its devices.")
    for line in parts.shared:
        if mentioned := sorted({*varying} & {*_names(line)}):
            raise parts.refusal(
                line,
                f"depends on {', '.join(mentioned)}, and all copies share it; batch points that agree there",
            )


def _circuit(parts: _Parts, swept: Sequence[str], varying: Sequence[str]) -> list[str]:
    """What all copies share, and the subcircuit of which each is an instance.

    A definition or card stays outside, one for all, unless it could not be found or would have one value for
    all there: ngspice looks a parameter up in the instances that enclose its use, but a model and a
    subcircuit in those that enclose its definition.
    """
    cards = parts.kind("card")
    own_cards = [line for line in cards if {*varying} & {*_names(line)}]
    own_names = {line.lower().split()[1] for line in own_cards}
    own_definitions: list[tuple[str, ...]] = []
    while moved := [
        block
        for block in parts.subcircuits
        if block not in own_definitions and own_names & {word for line in block for word in _words(line)}
    ]:
        own_definitions += moved
        own_names |= {block[0].lower().split()[1] for block in moved}
    outside = [f".param {name}={value}" for name, value in parts.parameters.items() if name not in varying]
    outside += [*parts.kind("function"), *parts.kind("option"), *parts.kind("temperature")]
    outside += [line for line in cards if line not in own_cards]
    outside += [line for block in parts.subcircuits if block not in own_definitions for line in block]
    head = f".subckt {_COPY}"
    if swept:
        head += " params:" + "".join(f" {name}=0" for name in swept)
    inside = [f".param {name}={parts.parameters[name]}" for name in varying if name not in swept]
    inside += own_cards + [line for block in own_definitions for line in block]
    return [*outside, head, *inside, *parts.kind("element"), ".ends"]


def _named_parameters(
    parts: _Parts,
    copies: Sequence[_Copy],
    points: Sequence[Mapping[str, float | str]],
    swept: Sequence[str],
) -> list[str]:
    """Each copy's values under names of its own, as far as measures and initial values mention them."""
    mentions = [value for line in parts.kind("initial") for _, value in _INITIAL.findall(line)]
    mentions += [token[0] for each in parts.measures for token in each.tokens if not token["reference"]]
    needed = _needed(parts.parameters, {name for text in mentions for name in _names(text)})
    lines = []
    for copy, point in zip(copies, points, strict=True):
        for name in sorted(needed & copy.varying):
            value = _number(point[name]) if name in swept else copy.expression(parts.parameters[name])
            lines.append(f".param {_suffixed(name, copy.number)}={value}")
    return lines


def _needed(parameters: Mapping[str, str], names: Iterable[str]) -> set[str]:
    """The parameters among ``names``, and those they are computed from."""
    found: set[str] = set()
    waiting = [name for name in names if name in parameters]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [each for each in _names(parameters[name]) if each in parameters]
    return found


def _dependents(parameters: Mapping[str, str], swept: Sequence[str]) -> list[str]:
    """The swept parameters and those computed from them, in the deck's order."""
    found = set(swept)
    while more := {name for name, value in parameters.items() if found & {*_names(value)}} - found:
        found |= more
    return [name for name in parameters if name in found]


def _parts(deck: Deck) -> _Parts:
    """The deck's lines sorted by what they are, each known to keep its meaning in a batch."""
    definitions: list[tuple[str, ...]] = []
    lines: dict[str, list[str]] = {}
    depth = 0
    for line in deck.text.splitlines():
        kind = _kind(line)
        if reason := _unfit(line, kind):
            raise _refusal(deck.name, line, reason)
        if kind == "definition":
            depth += 1
            if depth == 1:
                definitions.append(())
        if depth == 0:
            if kind == "end of definition":
                raise _refusal(deck.name, line, "ends no .subckt")
            lines.setdefault(kind, []).append(line)
        elif kind in ("definition", "end of definition", "element", "parameter", "card"):
            definitions[-1] += (line,)
        else:
            raise _refusal(deck.name, line, "stands in a subcircuit, which was never tried in a batch")
        depth -= kind == "end of definition"
    if len(analyses := lines.get("analysis", [])) != 1:
        found = " and ".join(analyses) or "none"
        raise BatchError(
            f"{deck.name} cannot be batched: it needs one analysis, .tran or .ac, and has {found}."
        )
    parameters = _parameters(lines.get("parameter", ()), deck.name)
    elements = [line.lower() for line in lines.get("element", ())]
    return _Parts(
        name=deck.name,
        parameters=parameters,
        subcircuits=definitions,
        lines=lines,
        measures=_measures(lines, parameters, deck.name),
        words=frozenset(word for line in elements for word in _words(line)[1:]) - {"0", "gnd"},
        elements=frozenset(_first(line) for line in elements),
    )


def _unfit(line: str, kind: str) -> str | None:
    """Why the line cannot be part of a batch, by itself; None if it can."""
    if not kind:
        return "is of a kind that was never tried in a batch"
    if taken := _TAKEN.search(line):
        return f"uses the name {taken[0]}, which the copies of a batch take"
    if RANDOM.search(line):
        return "draws random numbers, of which the copies would share one sequence"
    if kind == "element" and (outside := _OUTSIDE.search(line)):
        return f"has {outside[0]!r}, which was never tried in a batch"
    if kind == "option":
        names = {
            word.partition("=")[0] for word in line.lower().replace(" =", "=").replace("= ", "=").split()[1:]
        }
        if unknown := sorted(names - _OPTIONS):
            return f"sets {', '.join(unknown)}, which was never tried in a batch"
    if kind == "initial" and _INITIAL.sub("", line.partition(" ")[2]):
        return "is not of the form v(NODE)=VALUE"
    return None


def _parameters(lines: Iterable[str], deck: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        assignments = line.partition(" ")[2]
        if _ASSIGNMENT.sub("", assignments):
            raise _refusal(
                deck, line, "is not of the form NAME=VALUE, with an expression in quotes or braces"
            )
        for name, value in _ASSIGNMENT.findall(assignments):
            if name.lower() in found:
                raise _refusal(deck, line, f"sets {name} a second time")
            if name.lower() in _MEASURE_WORDS:
                raise _refusal(deck, line, f"names a parameter {name}, which is a word of .meas lines")
            found[name.lower()] = value
    return found


def _measures(lines: Mapping[str, Sequence[str]], parameters: Mapping[str, str], deck: str) -> list[_Measure]:
    """The ``.meas`` lines, read and checked."""
    analysis = _first(lines["analysis"][0])
    saved = {word for line in lines.get("output", ()) for word in line.lower().split()[1:]}
    found: dict[str, _Measure] = {}
    for line in (line.lower() for line in lines.get("measure", ())):
        match = _MEASURE.fullmatch(line)
        if not match or f".{match[1]}" != analysis:
            raise _refusal(deck, line, f"is not of the form .meas {analysis[1:]} NAME ...")
        measure = _Measure(line, match[2], match[3])
        if measure.name in found or measure.name in parameters:
            raise _refusal(deck, line, f"gives the name {measure.name} a second time")
        for token in measure.tokens:
            known = {*parameters, *(found if measure.is_expression else ())}
            if reason := _unfit_token(token, analysis, known, saved):
                raise _refusal(deck, line, reason)
        if rest := _MEASURE_TOKEN.sub("", measure.body).strip():
            raise _refusal(deck, line, f"has {rest!r}, which was never tried in a batch")
        found[measure.name] = measure
    if not found:
        raise BatchError(f"{deck} cannot be batched: it has no .meas line, so nothing would be kept.")
    return list(found.values())


def _unfit_token(token: re.Match[str], analysis: str, known: set[str], saved: set[str]) -> str | None:
    """Why this part of a ``.meas`` line cannot be renamed for each copy; None if it can."""
    if token["function"] and token["function"] not in ("i", *_NODE_FUNCTIONS[analysis]):
        return f"reads {token[0]}, which was never tried in a batch"
    if token["function"] == "i" and token["argument"][0] not in _WITH_CURRENT:
        return f"reads {token[0]}, and ngspice knows the current of a voltage source, B, E, H or L only"
    if token["probe"] and token[0] not in saved:
        return f"reads {token[0]}, which no .save line keeps"
    if token["word"] and token["word"] not in _MEASURE_WORDS and token["word"] not in known:
        return f"has the word {token['word']}, which was never tried in a batch"
    unknown = [name for name in _CALL.findall(token["expression"] or "") if name not in _FUNCTIONS]
    if unknown or "@" in (token["expression"] or ""):
        return (
            f"has the expression {token[0]}, of which {', '.join(unknown) or '@'} was never tried in a batch"
        )
    return None


def _refusal(deck: str, line: str, reason: str) -> BatchError:
    return BatchError(f"{deck} cannot be batched: the line {line!r} {reason}.")


def _kind(line: str) -> str:
    """What a line is; empty if that is unknown here."""
    first = _first(line)
    if first[0] in _ELEMENTS:
        return "element"
    return _KINDS.get(first, "")


def _first(line: str) -> str:
    return line.split()[0].lower()


def _words(line: str) -> list[str]:
    return re.split(r"[\s(),=]+", line.lower())


def _names(text: str) -> list[str]:
    """The names that may be parameters in a line, less those that are given a value there, in lower case."""
    return [name.lower() for name in _NAME.findall(_LEFT_SIDE.sub("", text))]


def _number(value: float | str) -> str:
    return spice_number(value).strip()


def _suffixed(name: str, copy: int) -> str:
    return f"{name}__{copy}"
