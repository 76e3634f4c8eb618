"""What verifying points of a table takes: of a netlist their own decks, of a procedure a narrower sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from characterization.definition import Definition, axis
from characterization.mtj_write import DEVICES_PER_DECK
from characterization.netlist import Units, without_value
from characterization.netlist_sweep import NetlistDefinition
from characterization.pcm_set import DEVICES_PER_DECK as PCM_DEVICES_PER_DECK
from characterization.run import definition_of, make_table
from circuits.cell import DIRECTIONS
from circuits.mtj_branch import GROUPS
from spicebridge.bare import BareEngine
from spicebridge.table import LookupTable, TableError

Point = Mapping[str, float | str]


@dataclass(frozen=True, eq=False)
class Again:
    """What the bare route gave.

    Attributes:
        values: by quantity and the items of its place; NaN for none.
        failures: why a simulation failed, or left a measure without a value, by its deck's digest.
        decks: digests of all that ran.
    """

    values: Mapping[tuple[object, ...], float]
    failures: Mapping[str, str]
    decks: frozenset[str]


@dataclass(frozen=True, eq=False)
class Part:
    """Points that are verified together, and what that takes.

    Attributes:
        points: each a value for every axis of the table, SI units.
        simulations: decks to run.
        devices: stochastic devices in them.
        simulate: runs them.
    """

    points: tuple[Point, ...]
    simulations: int
    devices: int
    simulate: Callable[[BareEngine], Again]


def place(table: LookupTable, quantity: str, point: Point) -> tuple[object, ...]:
    """A quantity and the items of the point along its axes."""
    return (quantity, *((str(name), point[str(name)]) for name in table.data[quantity].dims))


def narrowed_parts(table: LookupTable, points: Sequence[Point], *, trust: bool = False) -> Iterator[Part]:
    """The points by what must be simulated for them.

    Raises:
        TableError: the table's procedure cannot be narrowed.
    """
    definition = definition_of(table, trust=trust)
    if isinstance(definition, NetlistDefinition):
        yield _netlist_part(table, definition, points)
        return
    if definition.procedure not in _NARROWED:
        raise TableError(
            f"table {table.name} was made by procedure {definition.procedure!r}, which cannot be narrowed to "
            f"single points. Those that can: {', '.join(_NARROWED)}."
        )
    yield from _NARROWED[definition.procedure](table, definition, points)


def _netlist_part(table: LookupTable, definition: NetlistDefinition, points: Sequence[Point]) -> Part:
    """A deck of its own for each point, batched or not when the table was made."""
    indices = [
        tuple(list(axis.values).index(point[axis.name]) for axis in definition.axes) for point in points
    ]
    units = Units(definition, batch=1, only=indices)

    def simulate(engine: BareEngine) -> Again:
        if definition.time_limit is not None:
            engine = replace(engine, time_limit=definition.time_limit)
        outcomes = engine.run(units)
        values = {
            place(table, name, point): math.nan
            if outcome.values is None
            else float(outcome.values[name.lower()][0])
            for point, outcome in zip(points, outcomes, strict=True)
            for name in table.quantities
        }
        digests = [units[at].deck.digest for at in range(len(units))]
        failures = {}
        for digest, point, outcome in zip(digests, points, outcomes, strict=True):
            missing = [name for name in table.quantities if math.isnan(values[place(table, name, point)])]
            if missing:
                failures[digest] = (
                    outcome.failure.reason if outcome.failure else without_value(missing, definition)
                )
        return Again(values, failures, frozenset(digests))

    return Part(tuple(points), len(units), 0, simulate)


def _part(
    table: LookupTable,
    definition: Definition[Any],
    points: Sequence[Point],
    *,
    simulations: int,
    devices: int = 0,
) -> Part:
    """The points by way of a little table of their definition."""

    def simulate(engine: BareEngine) -> Again:
        again = make_table(definition, engine)
        values = {}
        for point in points:
            for name, variable in again.data.items():
                at = {each: point[str(each)] for each in variable.dims}
                values[place(table, str(name), point)] = float(variable.sel(at))
        failures = {each["deck"]: each["why"] for each in again.lineage.get("failed", ())}
        return Again(values, failures, frozenset(again.lineage["decks"]))

    return Part(tuple(points), simulations, devices, simulate)


def _read_parts(table: LookupTable, definition: Definition[Any], points: Sequence[Point]) -> Iterator[Part]:
    """A table for each voltage."""
    for voltage in dict.fromkeys(point["v_read"] for point in points):
        these = [point for point in points if point["v_read"] == voltage]
        times = sorted({point["t_read"] for point in these})
        narrow = replace(definition, sweep={"v_read": [voltage], "t_read": times})
        yield _part(table, narrow, these, simulations=len(times) + len(DIRECTIONS))


def _write_parts(table: LookupTable, definition: Definition[Any], points: Sequence[Point]) -> Iterator[Part]:
    """One table of the points' voltages.

    If none of them was sampled, the fewest devices are at one that was, since the procedure needs some.
    """
    sweep = definition.sweep
    voltages = {point["v_write"] for point in points}
    counts = {name: sweep[name] for name in ("samples", "tail_samples")}
    v_sampled = axis("v_sampled", sweep["v_sampled"])
    if voltages.isdisjoint(v_sampled):
        voltages.add(v_sampled[0])
        counts = {"samples": 2 * GROUPS, "tail_samples": 0}
    sampled = [each for each in v_sampled if each in voltages]
    chosen = {"v_write": sorted(voltages), "v_sampled": sampled, **counts}
    decks = sum(math.ceil(count / DEVICES_PER_DECK) for count in counts.values())
    yield _part(
        table,
        replace(definition, sweep={**sweep, **chosen}),
        points,
        # A load line, edges and half-selection at each voltage.
        simulations=len(DIRECTIONS) * (3 * len(voltages) + decks * len(sampled)),
        devices=len(DIRECTIONS) * sum(counts.values()) * len(sampled),
    )


def _array_read_parts(
    table: LookupTable, definition: Definition[Any], points: Sequence[Point]
) -> Iterator[Part]:
    """A table for each array that is read."""
    axes = ("diameter", "r_segment", "background")
    for array in dict.fromkeys(tuple(point[name] for name in axes) for point in points):
        these = [point for point in points if tuple(point[name] for name in axes) == array]
        chosen = {name: [value] for name, value in zip(axes, array, strict=True)}
        narrow = replace(definition, sweep={**definition.sweep, **chosen})
        yield _part(table, narrow, these, simulations=3)  # ideal, steady, in time


def _array_write_parts(
    table: LookupTable, definition: Definition[Any], points: Sequence[Point]
) -> Iterator[Part]:
    """A table for each drive of an array, with the arrays of noisy MTJs that were run at it."""
    axes, sweep = ("scheme", "diameter", "v_write"), definition.sweep
    for drive in dict.fromkeys(tuple(point[name] for name in axes) for point in points):
        these = [point for point in points if tuple(point[name] for name in axes) == drive]
        sampled = [each for each in sweep["sampled"] if tuple(each[name] for name in axes) == drive]
        chosen = {name: [value] for name, value in zip(axes, drive, strict=True)}
        arrays = sweep["pulses"] * len(sampled)
        yield _part(
            table,
            replace(definition, sweep={**sweep, **chosen, "sampled": sampled}),
            these,
            simulations=2 + arrays,  # steady state, edges
            devices=definition.cell.rows * definition.cell.columns * arrays,
        )


def _whole_parts(table: LookupTable, definition: Definition[Any], points: Sequence[Point]) -> Iterator[Part]:
    """The whole table, of which every value comes from all devices."""
    yield _part(
        table,
        definition,
        points,
        simulations=len(table.lineage["decks"]),
        devices=table.lineage["samples"],
    )


def _reset_parts(table: LookupTable, definition: Definition[Any], points: Sequence[Point]) -> Iterator[Part]:
    """One table of the points' conductances."""
    sweep = definition.sweep
    g = sorted({float(point["g"]) for point in points})
    yield _part(
        table,
        replace(definition, sweep={**sweep, "g": g}),
        points,
        simulations=1 + len(g) * math.ceil(sweep["devices"] / PCM_DEVICES_PER_DECK),
        devices=len(g) * sweep["devices"],
    )


def _pair_parts(table: LookupTable, definition: Definition[Any], points: Sequence[Point]) -> Iterator[Part]:
    """A table for each age and input, of all pairs: they share decks, and so time steps."""
    sweep = definition.sweep
    for age, t_in in dict.fromkeys((point["age"], point["t_in"]) for point in points):
        these = [point for point in points if (point["age"], point["t_in"]) == (age, t_in)]
        g = sorted({*axis("g_pair", sweep["g_pair"]), *(float(point["g"]) for point in these)})
        narrow = replace(definition, sweep={**sweep, "g": g, "t_in": [t_in], "age": [age]})
        # Two states, the single cells; of either polarity steady currents, two pulses and the noise.
        yield _part(table, narrow, these, simulations=3 + 2 * (3 + len(g)))


_NARROWED: Mapping[str, Callable[[LookupTable, Definition[Any], Sequence[Point]], Iterator[Part]]] = {
    "synapse_read": _read_parts,
    "mtj_write": _write_parts,
    "array_read": _array_read_parts,
    "array_write": _array_write_parts,
    "pcm_set": _whole_parts,
    "pcm_reset": _reset_parts,
    "pair_read": _pair_parts,
}
