"""The procedure of a user's own netlist: a deck for each point, its ``.meas`` results as quantities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from characterization.measured import Integrated, measured
from characterization.netlist_sweep import Axis, Measure, NetlistDefinition
from characterization.source_power import Integral, named_sources
from characterization.values import DefinitionError
from spicebridge.batch import batched, shared_parameters
from spicebridge.batch_lines import BatchError
from spicebridge.deck import Deck, DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.failure import keep_deck
from spicebridge.kept_decks import kept_deck
from spicebridge.netlist_text import Line
from spicebridge.permission import refuse_line
from spicebridge.project import results_folder
from spicebridge.randomness import seeded
from spicebridge.settings import listed
from spicebridge.sweep import Engine, Outcome, Runs, Unit
from spicebridge.table import LookupTable

if TYPE_CHECKING:
    import xarray as xr

Index = tuple[int, ...]  # of a point, an entry for each axis


def characterize(definition: NetlistDefinition, engine: Runs) -> tuple[xr.Dataset, dict[str, Any]]:
    """The table's data, NaN where there is no value, and its lineage.

    The base decks are kept under ``results/decks``, so that the table can be made again from its lineage.

    Raises:
        DefinitionError: the deck cannot be batched.
        SpicebridgeError: not one point gave a value.
    """
    for deck in definition.decks:
        deck.keep(_decks_folder())
    if definition.time_limit is not None and isinstance(engine, Engine):
        engine = replace(engine, time_limit=definition.time_limit)
    units = Units(definition, batch=definition.batch)
    found = _Found(definition, Units(definition, batch=1))
    again: list[Index] = []
    for position, outcome in engine.stream(units):
        points = units.points(position)
        if outcome.values is None and len(points) > 1:
            again += points  # one point can spoil a batch: each gets a deck of its own
        else:
            found.add(points, outcome)
    if again:
        alone = Units(definition, batch=1, only=sorted(again))
        for position, outcome in engine.stream(alone):
            found.add(alone.points(position), outcome)
    if found.empty:
        raise SpicebridgeError(
            f"{definition.name}: not one of {math.prod(definition.shape)} points gave a value. The first:\n"
            f"{found.first_failure}"
        )
    return _dataset(definition, found.values), _lineage(definition, len(units), found)


class Units(Sequence[Unit]):
    """A sweep's units, each made when it is asked for: 20,000 decks need not be held at once.

    Points of one batch agree in everything that its copies must share, and lie side by side on the other
    axes.
    """

    def __init__(
        self, definition: NetlistDefinition, *, batch: int, only: Sequence[Index] | None = None
    ) -> None:
        """The units of all points, or of ``only`` some, one a unit.

        Raises:
            DefinitionError: more points than one are to share a deck that cannot be batched.
        """
        self._axes = definition.axes
        self._only = only
        self._decks = definition.decks
        self._batch = batch
        shared = _shared(definition) if batch > 1 else frozenset()
        # Positions of axes: an outer point fixes what the points of a batch agree in.
        self._outer = [
            at
            for at, axis in enumerate(self._axes)
            if axis.library is not None or axis.name.lower() in shared
        ]
        self._inner = [at for at in range(len(self._axes)) if at not in self._outer]
        self._shape = definition.shape
        self._inner_points = math.prod(self._shape[at] for at in self._inner)
        self._batches = math.ceil(self._inner_points / batch)
        numbers = [
            (at, axis) for at, axis in enumerate(self._axes) if axis.library is None and axis.option is None
        ]
        self._seeds = next((at for at, axis in enumerate(self._axes) if axis.option), None)
        self._swept = [(axis.name, at, axis.values) for at, axis in numbers]
        self._libraries = [at for at in self._outer if self._axes[at].library is not None]
        self._templates = [deck.template([name for name, *_ in self._swept]) for deck in definition.decks]
        # All of the deck's measures are stored, so that a table of one more is made without a simulation.
        self._names = tuple(sorted({name for deck in definition.decks for name in deck.measures}))
        self._vectors = tuple((name.lower(), vector) for name, vector in definition.vectors.items())
        self._integrals = [_integrals(definition, deck) for deck in definition.decks]

    def __len__(self) -> int:
        if self._only is not None:
            return len(self._only)
        return self._batches * math.prod(self._shape[at] for at in self._outer)

    @overload
    def __getitem__(self, position: int) -> Unit: ...
    @overload
    def __getitem__(self, position: slice) -> list[Unit]: ...
    def __getitem__(self, position: int | slice) -> Unit | list[Unit]:
        if isinstance(position, slice):
            return [self[each] for each in range(len(self))[position]]
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        points = self.points(position % len(self))
        if len(points) == 1:
            arguments = {"names": self._names, "copies": 0}
            if integrals := self._integrals[self._deck_number(points[0])]:
                arguments["integrals"] = integrals
            if self._vectors:
                arguments["vectors"] = self._vectors
            return Unit(self.deck(points[0]), measured, arguments)
        base = self._decks[self._deck_number(points[0])]
        deck = batched(base, [self._values(point) for point in points])
        return Unit(deck, measured, {"names": self._names, "copies": len(points)})

    def deck(self, point: Index) -> Deck:
        """The deck of one point."""
        deck = self._templates[self._deck_number(point)].deck(self._values(point))
        if self._seeds is None:
            return deck
        return seeded(deck, float(self._axes[self._seeds].values[point[self._seeds]]))

    def points(self, position: int) -> list[Index]:
        """The points of one unit."""
        if self._only is not None:
            return [self._only[position]]
        outer, batch = divmod(position, self._batches)
        point = [0] * len(self._axes)
        self._unravel(outer, self._outer, point)
        points = []
        for inner in range(batch * self._batch, min((batch + 1) * self._batch, self._inner_points)):
            self._unravel(inner, self._inner, point)
            points.append(tuple(point))
        return points

    def _unravel(self, number: int, axes: Sequence[int], point: list[int]) -> None:
        """Set the entries of some axes from a flat number, the last of them running fastest."""
        for at in reversed(axes):
            number, point[at] = divmod(number, self._shape[at])

    def _values(self, point: Index) -> dict[str, float]:
        return {name: values[point[at]] for name, at, values in self._swept}  # type: ignore[misc]  # numbers

    def _deck_number(self, point: Index) -> int:
        number = 0
        for at in self._libraries:
            number = number * self._shape[at] + point[at]
        return number


def _integrals(definition: NetlistDefinition, deck: Deck) -> tuple[Integrated, ...]:
    """A deck's integrals, as what is measured takes them."""
    return tuple(
        (
            each.name.lower(),
            named_sources(each.integral, deck, key=f"measures.{each.name}"),
            each.integral.start,
            each.integral.stop,
        )
        for each in definition.measures
        if each.integral is not None
    )


def _shared(definition: NetlistDefinition) -> frozenset[str]:
    """The parameters that the points of a batch must agree in.

    Raises:
        DefinitionError: the deck cannot be batched.
    """
    try:
        shared = frozenset(name for deck in definition.decks for name in shared_parameters(deck))
        swept = {axis.name: axis.values for axis in definition.axes if axis.library is None}
        ends = [
            {name: values[at if name.lower() not in shared else 0] for name, values in swept.items()}
            for at in (0, -1)
        ]
        for deck in definition.decks:
            batched(deck, ends)
    except BatchError as error:
        raise DefinitionError(
            f"{definition.name}: batch = {definition.batch} does not suit this deck: {error} Leave batch "
            "out, and every point gets a deck of its own."
        ) from error
    return shared


@dataclass
class _Found:
    """The values as they come, and what there is to say of some points."""

    definition: NetlistDefinition
    units: Units
    values: dict[str, NDArray[np.float64]] = field(init=False)
    first_failure: str = ""
    failed: dict[Index, str] = field(default_factory=dict)
    expected: dict[Index, tuple[str, ...]] = field(default_factory=dict)
    aids: dict[Index, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.definition.shape
        self.values = {each.name: np.full(shape, np.nan) for each in self.definition.measures}

    @property
    def empty(self) -> bool:
        """Whether there is not one value."""
        return all(np.isnan(each).all() for each in self.values.values())

    def add(self, points: Sequence[Index], outcome: Outcome) -> None:
        """Put in what a unit gave for its points."""
        if outcome.values is None:
            assert outcome.failure is not None
            self.first_failure = self.first_failure or outcome.failure.message
            self.failed.update(dict.fromkeys(points, outcome.failure.reason))
            return
        for place, point in enumerate(points):
            missing = []
            for name, values in self.values.items():
                value = float(outcome.values[name.lower()][place])
                if math.isfinite(value):
                    values[point] = value
                else:
                    missing.append(name)
            expected = tuple(each.name for each in self.definition.measures if each.may_lack)
            if missing and set(missing) <= set(expected):
                self.expected[point] = tuple(missing)
                self.first_failure = self.first_failure or without_value(missing, self.definition)
            elif missing:
                self.failed[point] = without_value(missing, self.definition)
                kept = keep_deck(self.units.deck(point))
                self.first_failure = self.first_failure or (
                    f"{self.failed[point]}. A replay gives ngspice's words on it.\n  {kept}"
                )
            if outcome.aid is not None:
                self.aids[point] = outcome.aid


def without_value(measures: Sequence[str], definition: NetlistDefinition) -> str:
    """What to say of a simulation that ran and left these measures without a value.

    Args:
        measures: their names.
        definition: the sweep's, by which a name is a ``.meas`` line, a vector or an energy.
    """
    vectors = definition.vectors
    windows = {each.name for each in definition.measures if each.integral is not None}
    lines = [name for name in measures if name not in vectors and name not in windows]
    kinds = (
        (".meas {} gave no value", lines),
        ("the run has no vector {}", [vectors[name] for name in measures if name in vectors]),
        (
            "the window of {} reaches beyond the times of the run",
            [name for name in measures if name in windows],
        ),
    )
    return "; ".join(words.format(listed(names)) for words, names in kinds if names)


def _integral_of(kept: Mapping[str, Any] | None) -> Integral | None:
    """An integral as a table's lineage holds it."""
    return Integral(tuple(kept["sources"]), kept["start"], kept["stop"]) if kept else None


def _dataset(definition: NetlistDefinition, values: Mapping[str, NDArray[np.float64]]) -> xr.Dataset:
    import xarray as xr  # half a second, which a sweep that is refused or stopped need not spend

    dims = tuple(axis.name for axis in definition.axes)
    return xr.Dataset(
        {each.name: (dims, values[each.name], _attributes(each)) for each in definition.measures},
        coords={each.name: (each.name, list(each.values), _attributes(each)) for each in definition.axes},
    )


def _attributes(of: Axis | Measure) -> dict[str, str]:
    said = {"units": of.unit, "long_name": of.long_name, "scale": of.scale}
    if isinstance(of, Axis) and of.labels is not None:
        said["labels"] = "yes" if of.labels else "no"
    return {key: value for key, value in said.items() if value and (key, value) != ("scale", "linear")}


def _lineage(definition: NetlistDefinition, simulations: int, found: _Found) -> dict[str, Any]:
    """What the values came from. Its decks are the base decks: a point's is one of them with its values."""
    libraries = [axis for axis in definition.axes if axis.library is not None]
    sections = product(*(axis.values for axis in libraries))
    lineage: dict[str, Any] = {
        "procedure": definition.procedure,
        "axes": {axis.name: _axis_lineage(axis) for axis in definition.axes},
        "measures": {each.name: each.unit for each in definition.measures},
        "parameters": {
            name: {"value": value, "unit": "1", "source": f"{definition.name}.toml"}
            for name, value in definition.parameters.items()
        },
        "batch": definition.batch,
        "simulations": simulations,
        "decks": {
            deck.digest: " ".join([definition.name, *map(str, chosen)])
            for deck, chosen in zip(definition.decks, sections, strict=True)
        },
        "base_decks": [deck.digest for deck in definition.decks],
        "models": {each.module: each.digest for deck in definition.decks for each in deck.models},
        "netlists": dict(definition.netlists),
    }
    integrals = {each.name: asdict(each.integral) for each in definition.measures if each.integral}
    if integrals:
        lineage["integrals"] = integrals
    if definition.vectors:
        lineage["vectors"] = definition.vectors
    if may_lack := [each.name for each in definition.measures if each.may_lack]:
        lineage["may_lack"] = may_lack
        lineage["expected_holes"] = [
            {"at": _at(definition, point), "measures": list(found.expected[point])}
            for point in sorted(found.expected)
        ]
    if found.failed:
        lineage["failed"] = [
            {"at": _at(definition, point), "deck": found.units.deck(point).digest, "why": found.failed[point]}
            for point in sorted(found.failed)
        ]
    if found.aids:
        lineage["aids"] = [
            {"at": _at(definition, point), "aid": found.aids[point]} for point in sorted(found.aids)
        ]
    return lineage


def _axis_lineage(axis: Axis) -> dict[str, Any]:
    """The axis in a few words; its values are the table's own."""
    if axis.library is not None:
        return {"library": Path(axis.library).name, "sections": list(axis.values)}
    option = {"option": axis.option} if axis.option else {}
    return option | {
        "unit": axis.unit,
        "first": axis.values[0],
        "last": axis.values[-1],
        "points": len(axis.values),
    }


def _at(definition: NetlistDefinition, point: Index) -> dict[str, float | str]:
    return {axis.name: axis.values[index] for axis, index in zip(definition.axes, point, strict=True)}


def definition_of(table: LookupTable, *, trust: bool = False) -> NetlistDefinition:
    """The definition that a table was made from: its lineage, and the base decks kept on this machine.

    Args:
        table: the table.
        trust: whether its decks may run commands and read any file. Tables and decks travel together, so that
            whoever made this one need not have been on this machine.

    Raises:
        DeckError: a base deck is gone, or is not what it was.
        RefusedError: a base deck would do what it may not.
    """
    lineage = table.lineage
    return NetlistDefinition(
        name=table.name,
        about=table.name,
        axes=tuple(
            Axis(
                str(name),
                tuple(table.data[name].values.tolist()),
                unit=table.data[name].attrs.get("units", ""),
                long_name=table.data[name].attrs["long_name"],
                scale=table.data[name].attrs.get("scale", "linear"),
                library=lineage["axes"][name].get("library"),
                option=lineage["axes"][name].get("option"),
                labels={"yes": True, "no": False}.get(table.data[name].attrs.get("labels", "")),
            )
            for name in table.data[table.quantities[0]].dims
        ),
        measures=tuple(
            Measure(
                name,
                unit=table.data[name].attrs["units"],
                long_name=table.data[name].attrs["long_name"],
                scale=table.data[name].attrs.get("scale", "linear"),
                integral=_integral_of(lineage.get("integrals", {}).get(name)),
                vector=lineage.get("vectors", {}).get(name),
                may_lack=name in lineage.get("may_lack", ()),
            )
            for name in table.quantities
        ),
        decks=tuple(_base_deck(table.name, digest, trust=trust) for digest in lineage["base_decks"]),
        parameters={name: each["value"] for name, each in lineage["parameters"].items()},
        netlists=lineage["netlists"],
        batch=lineage["batch"],
        time_limit=table.origin.get("time_limit"),
    )


def _base_deck(table: str, digest: str, *, trust: bool) -> Deck:
    path = _decks_folder() / f"{digest[:12]}.cir"
    try:
        deck = kept_deck(path, digest, name=table)
    except DeckError as error:
        raise DeckError(
            f"table {table} cannot be made again from its lineage alone: {error} Its TOML file and netlist "
            f"make it: spicebridge characterize {table}.toml keeps the deck anew."
        ) from error
    if not trust:
        types = {model.type.lower() for model in deck.models}
        for number, line in enumerate(deck.lines, start=1):
            refuse_line(Line(line, path.name, number), types)
    return deck


def _decks_folder() -> Path:
    """Where base decks are kept. They are no part of the table: a foundry's models may not be passed on."""
    return results_folder() / "decks"
