"""Batches: many points of one swept deck as copies of its circuit in one deck.

A batched deck holds one independent copy of the circuit for each point, in a subcircuit with that point's
parameter values, and every copy's measures. The analysis is shared, so ngspice pays once for loading, for
each time point and for each solution of the matrix.

The copies share their time steps: a step is as short as the copy that needs the shortest asks for. A measure
therefore differs from the same point's alone, and between two batches of different composition, within the
integration's own tolerance; where ``.tran`` bounds the steps so that they never adapt, by rounding only, but
for B sources, whose solution of each step is within Newton's tolerance.
A copy that does not converge fails the whole deck: run its points one by one. What may stand in a batch says
``batch_lines.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spicebridge.batch_lines import (
    COPY,
    INITIAL,
    MEASURE_TOKEN,
    NAME,
    BatchError,
    MeasureLine,
    Parts,
    first_word,
    names_in,
    parts_of,
    words_of,
)
from spicebridge.deck import Deck, DeckError, parse_number, spice_number
from spicebridge.settings import listed


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
    parts = parts_of(deck.with_parameters(**{name: lowered[0][name] for name in lowered[0].keys() - swept}))
    varying = _dependents(parts.parameters, swept)
    _refuse_varying(parts, varying)
    copies = [_Copy(parts, frozenset(varying), number) for number in range(1, len(points) + 1)]
    lines = _circuit(parts, swept, varying)
    lines += _named_parameters(parts, copies, lowered, swept)
    for copy, point in zip(copies, lowered, strict=True):
        values = "".join(f" {name}={_number(point[name])}" for name in swept)
        lines.append(f"{copy.instance} {COPY}{values}")
        lines += copy.initial()
    lines += [f".save {' '.join(read)}" for copy in copies if (read := copy.read())]
    lines += [*parts.kind("operating point"), *parts.kind("analysis")]
    lines += [line for copy in copies for line in copy.measures()]
    return Deck(
        text="\n".join(lines), models=deck.models, name=f"{deck.name} x {len(points)}", compat=deck.compat
    )


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
    parts = parts_of(deck)
    return frozenset(_needed(parts.parameters, {name for line in parts.shared for name in names_in(line)}))


@dataclass(frozen=True)
class _Copy:
    """One copy's names for what the deck calls by its own."""

    parts: Parts
    varying: frozenset[str]
    number: int

    @property
    def instance(self) -> str:
        return f"x{self.number}"

    def initial(self) -> list[str]:
        return [
            first_word(line)
            + "".join(
                f" v({self.node(node, line)})={self.expression(value)}"
                for node, value in INITIAL.findall(line.lower().partition(" ")[2])
            )
            for line in self.parts.kind("initial")
        ]

    def measures(self) -> list[str]:
        return [
            f".meas {self.parts.analysis[1:]} {_suffixed(measure.name, self.number)} "
            + MEASURE_TOKEN.sub(partial(self._token, measure), measure.body)
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
        return NAME.sub(
            lambda name: _suffixed(name[0], self.number) if name[0].lower() in own else name[0], text
        )

    def _is_instance(self, name: str) -> bool:
        return name in self.parts.elements and name[0] == "x"

    def _token(self, measure: MeasureLine, token: re.Match[str]) -> str:
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
            first, other = (listed(each) if each else "nothing" for each in (points[0], point))
            raise BatchError(
                f"{deck.name} cannot be batched: one point sets {first}, another "
                f"{other}. All points of a batch set the same parameters."
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


def _refuse_varying(parts: Parts, varying: Sequence[str]) -> None:
    """Refuse what cannot differ between copies: lines that all share, and the multiplier of instances."""
    if "m" in varying:
        raise BatchError(f"{parts.name} cannot be batched: m, given to an instance, multiplies its devices.")
    for line in parts.shared:
        if mentioned := sorted({*varying} & {*names_in(line)}):
            raise parts.refusal(
                line,
                f"depends on {listed(mentioned)}, and all copies share it; batch points that agree there",
            )


def _circuit(parts: Parts, swept: Sequence[str], varying: Sequence[str]) -> list[str]:
    """What all copies share, and the subcircuit of which each is an instance.

    A definition or card stays outside, one for all, unless it could not be found or would have one value for
    all there: ngspice looks a parameter up in the instances that enclose its use, but a model and a
    subcircuit in those that enclose its definition.
    """
    cards = parts.kind("card")
    own_cards = [line for line in cards if {*varying} & {*names_in(line)}]
    own_names = {line.lower().split()[1] for line in own_cards}
    own_definitions: list[tuple[str, ...]] = []
    while moved := [
        block
        for block in parts.subcircuits
        if block not in own_definitions and own_names & {word for line in block for word in words_of(line)}
    ]:
        own_definitions += moved
        own_names |= {block[0].lower().split()[1] for block in moved}
    outside = [f".param {name}={value}" for name, value in parts.parameters.items() if name not in varying]
    outside += [*parts.kind("function"), *parts.kind("option"), *parts.kind("temperature")]
    outside += [line for line in cards if line not in own_cards]
    outside += [line for block in parts.subcircuits if block not in own_definitions for line in block]
    head = f".subckt {COPY}"
    if swept:
        head += " params:" + "".join(f" {name}=0" for name in swept)
    inside = [f".param {name}={parts.parameters[name]}" for name in varying if name not in swept]
    inside += own_cards + [line for block in own_definitions for line in block]
    return [*outside, head, *inside, *parts.kind("element"), ".ends"]


def _named_parameters(
    parts: Parts,
    copies: Sequence[_Copy],
    points: Sequence[Mapping[str, float | str]],
    swept: Sequence[str],
) -> list[str]:
    """Each copy's values under names of its own, as far as measures and initial values mention them."""
    mentions = [value for line in parts.kind("initial") for _, value in INITIAL.findall(line)]
    mentions += [token[0] for each in parts.measures for token in each.tokens if not token["reference"]]
    needed = _needed(parts.parameters, {name for text in mentions for name in names_in(text)})
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
            waiting += [each for each in names_in(parameters[name]) if each in parameters]
    return found


def _dependents(parameters: Mapping[str, str], swept: Sequence[str]) -> list[str]:
    """The swept parameters and those computed from them, in the deck's order."""
    found = set(swept)
    while more := {name for name, value in parameters.items() if found & {*names_in(value)}} - found:
        found |= more
    return [name for name in parameters if name in found]


def _number(value: float | str) -> str:
    return spice_number(value).strip()


def _suffixed(name: str, copy: int) -> str:
    return f"{name}__{copy}"
