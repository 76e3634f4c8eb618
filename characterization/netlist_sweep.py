"""A sweep over a netlist of the user's own: its axes, its measures, its decks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from characterization.source_power import Integral
from spicebridge.deck import Deck


@dataclass(frozen=True)
class Axis:
    """One axis of the table.

    Attributes:
        name: a top-level parameter of the deck, or what a choice of library sections is called.
        values: numbers, strictly increasing, or library sections.
        unit: of the numbers; empty for sections.
        long_name: for people.
        scale: the scale the table is interpolated in along it.
        library: the library, as the TOML file names it, whose section is chosen; None for numbers.
        labels: whether its numbers are labels, never interpolated; None to go by their name, as
            ``spicebridge.table.is_labels`` does.
        option: ``seed`` where its values are ngspice's seed and no parameter's.
    """

    name: str
    values: tuple[float, ...] | tuple[str, ...]
    unit: str
    long_name: str
    scale: str = "linear"
    library: str | None = None
    labels: bool | None = None
    option: str | None = None


@dataclass(frozen=True)
class Measure:
    """One quantity of the table: a ``.meas`` line, the energy that sources deliver, or a vector.

    Attributes:
        name: of the ``.meas`` line, in any case of letters; of an integral or a vector, its own.
        unit, long_name: for people.
        scale: the scale the table is interpolated in.
        integral: whose power is integrated; None for another kind.
        vector: what an operating point or a noise analysis gives by this name; None for another kind.
        may_lack: whether a point without a value is expected, and no fault.
    """

    name: str
    unit: str
    long_name: str
    scale: str = "linear"
    integral: Integral | None = None
    vector: str | None = None
    may_lack: bool = False


@dataclass(frozen=True)
class NetlistDefinition:
    """What a table of a user's own netlist is made of.

    Attributes:
        name: the table's.
        about: one line for people.
        axes: the table's, in order.
        measures: the table's quantities.
        decks: the base decks, with ``parameters`` set: one for each combination of the sections on the
            library axes, the last of these axes running fastest.
        parameters: top-level parameters of the deck that are set to other values for the whole table.
        netlists: digests of the files that the decks were read from, by their names in the TOML file.
        batch: points that share a deck.
        time_limit: seconds that a deck may take; None for the engine's.
        notes: what people should know of how it was read.
    """

    name: str
    about: str
    axes: tuple[Axis, ...]
    measures: tuple[Measure, ...]
    decks: tuple[Deck, ...]
    parameters: Mapping[str, float]
    netlists: Mapping[str, str]
    batch: int = 1
    time_limit: float | None = None
    notes: tuple[str, ...] = ()

    procedure = "netlist"

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(len(each.values) for each in self.axes)

    @property
    def vectors(self) -> dict[str, str]:
        """The vectors that measures are, by the measures' names."""
        return {each.name: each.vector for each in self.measures if each.vector is not None}
