"""What may stand in a batch: a deck's lines sorted by what they are, each known to keep its meaning there.

What is accepted is what was tried against single decks on ngspice; everything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from spicebridge.deck import Deck, DeckError
from spicebridge.settings import listed

COPY = "batch_copy"  # the subcircuit of which each copy is an instance
_ELEMENTS = frozenset("bcdefghijklmnqrstvwx")
# Elements whose current is an unknown of the circuit, so that i(NAME) exists.
_WITH_CURRENT = frozenset("behlv")
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
_RANDOM = re.compile(
    r"\b(a?gauss|sgauss|a?unif|sunif|limit|random)\s*\(|\b(?:trnoise|trrandom)\b", re.IGNORECASE
)
# Names before a bracket that call no function: XSPICE has a model type limit.
_NO_CALL = re.compile(r"^\.(?:model\s+\S+|subckt)\s+\w+", re.IGNORECASE)
_OWN_FUNCTION = re.compile(r"^\.(?:func|params?)\s+(\w+)\s*\(", re.IGNORECASE)
# Sources driven from outside, ports (numbered once in a circuit), and values read out of other devices.
_OUTSIDE = re.compile(r"\b(?:external|portnum)\b|[@#]", re.IGNORECASE)
NAME = re.compile(r"(?<![\w.#])[a-z_]\w*", re.IGNORECASE)
_LEFT_SIDE = re.compile(r"\b\w+\s*=(?!=)")
_VALUE = r"('[^']*'|\{[^{}]*\}|[^\s={}'\",()]+)"
_ASSIGNMENT = re.compile(rf"([a-z_]\w*)\s*=\s*{_VALUE}\s*,?\s*", re.IGNORECASE)
INITIAL = re.compile(rf"v\s*\(\s*([^\s(),]+)\s*\)\s*=\s*{_VALUE}\s*", re.IGNORECASE)
_MEASURE = re.compile(r"\.meas(?:ure)? (tran|ac) ([a-z_]\w*) (\S.*)")
MEASURE_TOKEN = re.compile(
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
_TAKEN = re.compile(rf"\b(?:\w+__\d+|{COPY})\b", re.IGNORECASE)


class BatchError(DeckError):
    """A deck that is not known to keep its meaning in a batch. Its points can be run one by one."""


@dataclass(frozen=True)
class MeasureLine:
    """A ``.meas`` line in lower case: the line, the measure's name, and what follows it."""

    line: str
    name: str
    body: str

    @property
    def tokens(self) -> list[re.Match[str]]:
        """The parts of the body; see ``MEASURE_TOKEN`` for their kinds."""
        return list(MEASURE_TOKEN.finditer(self.body))

    @property
    def is_expression(self) -> bool:
        """Whether it is computed from other measures, which ngspice knows by name in no other kind."""
        return self.body.startswith("param")


@dataclass(frozen=True)
class Parts:
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
    measures: Sequence[MeasureLine]
    words: frozenset[str]
    elements: frozenset[str]

    def kind(self, kind: str) -> Sequence[str]:
        """The top-level lines of a kind."""
        return self.lines.get(kind, ())

    @property
    def shared(self) -> list[str]:
        """The lines that serve all copies."""
        return [line for kind in _SHARED for line in self.kind(kind)]

    @property
    def analysis(self) -> str:
        """Its dot command, ``.tran`` or ``.ac``."""
        return first_word(self.kind("analysis")[0])

    def refusal(self, line: str, reason: str) -> BatchError:
        """The error that a line of it is not fit for a batch."""
        return _refusal(self.name, line, reason)


def parts_of(deck: Deck) -> Parts:
    """The deck's lines sorted by what they are, each known to keep its meaning in a batch.

    Raises:
        BatchError: one is not.
    """
    definitions: list[tuple[str, ...]] = []
    lines: dict[str, list[str]] = {}
    depth = 0
    if deck.levels is not None:
        raise _refusal(deck.name, deck.levels.lines[0], "names another measure's result")
    if random := random_line(deck):
        raise _refusal(
            deck.name, random, "draws random numbers, of which the copies would share one sequence"
        )
    for line in deck.lines:
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
    return Parts(
        name=deck.name,
        parameters=parameters,
        subcircuits=definitions,
        lines=lines,
        measures=_measures(lines, parameters, deck.name),
        words=frozenset(word for line in elements for word in words_of(line)[1:]) - {"0", "gnd"},
        elements=frozenset(first_word(line) for line in elements),
    )


def random_line(deck: Deck) -> str | None:
    """The first line that draws random numbers of ngspice's own; None if there is none."""
    # A function of the deck's own takes the place of ngspice's everywhere, if it stands in no subcircuit.
    own = {match[1].lower() for line in deck.top_level if (match := _OWN_FUNCTION.match(line))}
    return next((line for line in deck.lines if _draws(line, own)), None)


def _draws(line: str, own: Collection[str]) -> bool:
    found = _RANDOM.finditer(_NO_CALL.sub("", line))
    return any((match[1] or "").lower() not in own for match in found)


def _unfit(line: str, kind: str) -> str | None:
    """Why the line cannot be part of a batch, by itself; None if it can."""
    if not kind:
        return "is of a kind that was never tried in a batch"
    if taken := _TAKEN.search(line):
        return f"uses the name {taken[0]}, which the copies of a batch take"
    if kind == "element" and (outside := _OUTSIDE.search(line)):
        return f"has {outside[0]!r}, which was never tried in a batch"
    if kind == "option":
        names = {
            word.partition("=")[0] for word in line.lower().replace(" =", "=").replace("= ", "=").split()[1:]
        }
        if unknown := sorted(names - _OPTIONS):
            return f"sets {listed(unknown)}, which was never tried in a batch"
    if kind == "initial" and INITIAL.sub("", line.partition(" ")[2]):
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


def _measures(
    lines: Mapping[str, Sequence[str]], parameters: Mapping[str, str], deck: str
) -> list[MeasureLine]:
    """The ``.meas`` lines, read and checked."""
    analysis = first_word(lines["analysis"][0])
    saved = {word for line in lines.get("output", ()) for word in line.lower().split()[1:]}
    found: dict[str, MeasureLine] = {}
    for line in (line.lower() for line in lines.get("measure", ())):
        match = _MEASURE.fullmatch(line)
        if not match or f".{match[1]}" != analysis:
            raise _refusal(deck, line, f"is not of the form .meas {analysis[1:]} NAME ...")
        measure = MeasureLine(line, match[2], match[3])
        if measure.name in found or measure.name in parameters:
            raise _refusal(deck, line, f"gives the name {measure.name} a second time")
        for token in measure.tokens:
            known = {*parameters, *(found if measure.is_expression else ())}
            if reason := _unfit_token(token, analysis, known, saved):
                raise _refusal(deck, line, reason)
        if rest := MEASURE_TOKEN.sub("", measure.body).strip():
            raise _refusal(deck, line, f"has {rest!r}, which was never tried in a batch")
        found[measure.name] = measure
    if not found:
        raise BatchError(f"{deck} cannot be batched: it has no .meas line, so nothing would be kept.")
    return list(found.values())


def _unfit_token(token: re.Match[str], analysis: str, known: set[str], saved: set[str]) -> str | None:
    """Why this part of a ``.meas`` line cannot be renamed for each copy; None if it can."""
    if token["function"] in _FUNCTIONS:
        return f"has the expression {token[0]} without quotes or braces around it"
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
    first = first_word(line)
    if first[:1] in _ELEMENTS:
        return "element"
    return _KINDS.get(first, "")


def first_word(line: str) -> str:
    """A line's first word in lower case; empty if there is nothing to see."""
    return "".join(line.split(maxsplit=1)[:1]).lower()


def words_of(line: str) -> list[str]:
    """A line's words in lower case, brackets, commas and equals signs aside."""
    return re.split(r"[\s(),=]+", line.lower())


def names_in(text: str) -> list[str]:
    """The names that may be parameters in a line, less those that are given a value there, in lower case."""
    return [name.lower() for name in NAME.findall(_LEFT_SIDE.sub("", text))]
