"""Verifying a table: random entries simulated again by the bare ngspice program, and compared.

The table's definition is narrowed to the voltages, times and values of the entry's point, and that little
table is made by the bare route (``spicebridge.bare``). Its decks are those of the whole table, as seeds come
from values and not from positions, so on the same ngspice and machine the values are the same to rounding.

Shared with the route that made the table are the netlists, the measures and the procedure's arithmetic; not
shared are libngspice, PySpice, the worker processes, the store and the reading of waveforms and results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from characterization.narrowed import Again, Part, Point, narrowed_parts, place
from characterization.netlist_sweep import NetlistDefinition
from spicebridge.bare import BareEngine
from spicebridge.kept_decks import kept_command
from spicebridge.lineage import changed_netlists
from spicebridge.project import netlists_folder
from spicebridge.settings import listed
from spicebridge.sweep import Progress
from spicebridge.table import LookupTable, TableError

TOLERANCE = 1e-6
# Points of one deck share its time steps. Where ngspice adapts these, levels and crossing times of RC lines
# and of a rectifier came out up to 0.6 % from those of single decks. Worse (3 %; a third for the integral of
# a spiky current) only where the steps were too coarse for the measure itself, which is worth being told; and
# near zero in circuits of B sources, by 1e-4 of the measure's largest value: Newton's search ends at reltol.
BATCHED_TOLERANCE = 1e-2
# An entry smaller than this share of its quantity's largest value is held to the tolerance of that share:
# such values (a leakage current, a probability's tail) are differences of larger ones.
FLOOR = 1e-3
_FAILURES = 10  # told one by one
SAME, DIFFERS, FAILED, HOLE, FILLED = "same", "differs", "failed", "hole", "filled"


@dataclass(frozen=True, eq=False)
class Plan:
    """Which points are verified, and what that costs.

    Attributes:
        table: the table.
        seed: what chose the points.
        possible: how many points there were to choose from.
        parts: the points by what must be simulated for them.
    """

    table: LookupTable
    seed: int
    possible: int
    parts: tuple[Part, ...]

    @property
    def points(self) -> int:
        """How many points are verified."""
        return sum(len(part.points) for part in self.parts)

    @property
    def simulations(self) -> int:
        """Decks that will be run."""
        return sum(part.simulations for part in self.parts)

    @property
    def devices(self) -> int:
        """Stochastic devices in them, which cost the most."""
        return sum(part.devices for part in self.parts)


@dataclass(frozen=True)
class Entry:
    """One value of the table and its second simulation.

    Attributes:
        at: the point, along the quantity's axes, SI units.
        quantity: its name.
        unit: of both values.
        recorded: the table's value; NaN is a value, and in a hole there is none.
        again: the bare route's.
        difference: ``|again - recorded|`` over the larger of ``|recorded|`` and ``FLOOR`` times the largest
            magnitude that the quantity has in the table; infinite if only one is a number.
        verdict: ``same``; ``differs``; ``failed``, no second value although the table has one; ``hole``, no
            value in the table, as its simulation failed then and again; ``filled``, no value in the table,
            but its simulation works now.
    """

    at: Point
    quantity: str
    unit: str
    recorded: float
    again: float
    difference: float
    verdict: str

    @property
    def ok(self) -> bool:
        """Whether nothing false stands in the table: a hole claims nothing, even one that fills now."""
        return self.verdict in (SAME, HOLE, FILLED)


@dataclass(frozen=True)
class Verification:
    """A table's verification.

    Attributes:
        table, digest: which table.
        recorded_engine, engine: the ngspice that made it, and the program that simulated again.
        seed, points, possible, simulations: how the points were chosen, how many of how many, and their cost.
        tolerance: the largest difference that counts as the same; see ``Entry.difference`` for its scale.
        entries: every quantity at every point, each once.
        decks: the kept decks, which ``ngspice -b`` runs.
        failures: why decks failed now, by their paths; without what the table's holes say themselves.
        batched: whether the table's points shared decks, which those simulated again do not.
        familiar: whether any of the decks is one of the table's own; if not, the circuits were changed since.
        beyond: quantities that the table's procedure does not make, which so have no second value.
    """

    table: str
    digest: str
    recorded_engine: str
    engine: str
    seed: int
    points: int
    possible: int
    simulations: int
    tolerance: float
    entries: tuple[Entry, ...]
    decks: tuple[Path, ...]
    failures: Mapping[str, str]
    batched: bool
    familiar: bool
    beyond: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every entry is, and there is one."""
        return bool(self.entries) and all(entry.ok for entry in self.entries)


def plan(
    table: LookupTable,
    *,
    entries: int,
    seed: int,
    at: Mapping[str, float | str] | None = None,
    trust: bool = False,
) -> Plan:
    """Choose random points of a table.

    Args:
        table: the table.
        entries: how many points; all there are, if there are fewer.
        seed: chooses them.
        at: values of some axes that all points shall have, each one that the axis holds.
        trust: whether the decks of a user's own netlist may run commands and read any file.

    Raises:
        TableError: no such axis or value, or netlists that were changed since the table was made.
    """
    if entries < 1 or seed < 0:
        raise TableError(f"entries = {entries} should be at least 1, and the seed {seed} not below zero.")
    if changed := changed_netlists(table, netlists_folder()):
        raise TableError(
            f"{listed(changed)} changed since table {table.name} was made, so its decks cannot be "
            f"simulated again. Make it again: spicebridge characterize {table.name}"
        )
    axes = {name: table.data[name].values.tolist() for name in table.axes}
    for name, value in (at or {}).items():
        axes[name] = [_on_axis(table, name, value)]
    shape = tuple(len(values) for values in axes.values())
    possible = math.prod(shape)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(possible, size=min(entries, possible), replace=False))
    points = [
        {name: values[index] for (name, values), index in zip(axes.items(), where, strict=True)}
        for where in zip(*np.unravel_index(chosen, shape), strict=True)
    ]
    try:
        parts = tuple(narrowed_parts(table, points, trust=trust))
    except (KeyError, TypeError, AttributeError) as error:  # what a lineage written by hand lacks
        raise TableError(
            f"table {table.name} cannot be simulated again: its lineage and axes are not those of its "
            f"procedure {table.lineage.get('procedure')!r} ({type(error).__name__}: {error})."
        ) from error
    return Plan(table, seed, possible, parts)


def verify(plan: Plan, *, tolerance: float | None = None, engine: BareEngine) -> Verification:
    """Simulate a plan's points again and compare every quantity there.

    Args:
        plan: which points of which table.
        tolerance: the largest difference that counts as the same, relative as ``Entry.difference`` says; the
            table's own (``default_tolerance``) if not given.
        engine: runs the decks; its progress is told of the whole plan.
    """
    table = plan.table
    limit = default_tolerance(table) if tolerance is None else tolerance
    engine = replace(engine, progress=_of_all(engine.progress, plan.simulations))
    entries: dict[tuple[object, ...], Entry] = {}
    decks: set[str] = set()
    failures: dict[str, str] = {}
    beyond: dict[str, None] = {}
    largest = {name: _largest(table.data[name].values) for name in table.quantities}
    for part in plan.parts:
        again = part.simulate(engine)
        decks |= again.decks
        failures |= again.failures
        for point in part.points:
            for quantity in table.quantities:
                if place(table, quantity, point) not in again.values:
                    beyond.setdefault(quantity)
                    continue
                entry = _compared(table, again, quantity, point, limit, largest[quantity])
                # A quantity without some of the axes has one value for several points.
                entries.setdefault(place(table, quantity, point), entry)
    holes = {each["deck"]: each["why"] for each in table.holes}
    return Verification(
        table=table.name,
        digest=table.digest,
        recorded_engine=str(table.origin.get("ngspice")),
        engine=engine.version,
        seed=plan.seed,
        points=plan.points,
        possible=plan.possible,
        simulations=len(decks),
        tolerance=limit,
        entries=tuple(entries.values()),
        decks=tuple(sorted(engine.kept(digest) for digest in decks)),
        failures={
            str(engine.kept(digest)): why
            for digest, why in sorted(failures.items())
            if holes.get(digest) != why
        },
        batched=_is_batched(table),
        # A netlist's lineage holds its base deck, of which each point's is a variant.
        familiar=table.lineage.get("procedure") == NetlistDefinition.procedure
        or not decks.isdisjoint(table.lineage.get("decks", ())),
        beyond=tuple(beyond),
    )


def default_tolerance(table: LookupTable) -> float:
    """The tolerance that suits how the table was made: ``BATCHED_TOLERANCE`` if points shared decks."""
    return BATCHED_TOLERANCE if _is_batched(table) else TOLERANCE


def _is_batched(table: LookupTable) -> bool:
    return bool(table.lineage.get("batch", 1) > 1)


def cost_text(plan: Plan) -> str:
    """What verifying will cost, in a line, to be told before it begins."""
    devices = f", {plan.devices} stochastic devices in them" if plan.devices else ""
    return (
        f"{plan.table.name}: {plan.points} of {plan.possible} points, chosen by seed {plan.seed}; "
        f"{plan.simulations} simulations{devices}"
    )


def verification_text(verification: Verification) -> str:
    """A line for each entry, and the verdict."""
    told = verification
    rows = [
        f"{told.table}   digest {told.digest[:12]}   made with {told.recorded_engine}, simulated again with "
        f"{told.engine} -b",
        f"seed {told.seed}: {told.points} of {told.possible} points, {told.simulations} simulations",
        f"same: within {told.tolerance:g} of the entry, or of {FLOOR:g} of its quantity's largest value "
        "where that is more",
        *(_entry_text(entry) for entry in told.entries),
    ]
    counts = {verdict: sum(each.verdict == verdict for each in told.entries) for verdict in _WORDS}
    said = ", ".join(f"{count} {_WORDS[verdict]}" for verdict, count in counts.items() if count)
    worst = max((each.difference for each in told.entries if each.verdict in (SAME, DIFFERS)), default=0.0)
    rows.append(f"{'Verified' if told.ok else 'NOT verified'}: {said}; largest difference {worst:.2g}")
    if told.beyond:
        rows.append(f"Not simulated again, as the procedure does not make them: {', '.join(told.beyond)}.")
    if counts[FAILED]:
        rows += [_failure_text(Path(deck), why) for deck, why in list(told.failures.items())[:_FAILURES]]
    if not told.ok and told.engine != told.recorded_engine:
        rows.append(f"Another ngspice rounds otherwise; a larger --tolerance allows for {told.engine}.")
    if not told.ok and told.batched and worst > 0:
        rows.append(
            "Its points shared decks, and so time steps: bound .tran's longest step, or leave batch out."
        )
    if not told.ok and not told.familiar:
        rows.append("None of these decks is the table's own: the circuits were changed since it was made.")
    rows.append(f"Decks kept: {told.decks[0].parent}")
    return "\n".join(rows)


def verification_record(verification: Verification) -> dict[str, Any]:
    """A verification as JSON-like values."""
    record = asdict(verification)
    entries = [asdict(entry) | {"ok": entry.ok} for entry in verification.entries]
    decks = [str(path) for path in verification.decks]
    return record | {"ok": verification.ok, "floor": FLOOR, "entries": entries, "decks": decks}


_WORDS = {
    SAME: "the same",
    DIFFERS: "different",
    FAILED: "failed now",
    HOLE: "in holes",
    FILLED: "in holes that characterizing again fills",
}


def _entry_text(entry: Entry) -> str:
    where = ", ".join(
        f"{name}={value if isinstance(value, str) else format(value, '.12g')}"
        for name, value in entry.at.items()
    )
    unit = "" if entry.unit in ("", "1") else f" {entry.unit}"
    values = f"{entry.recorded:.9g}{unit}, again {entry.again:.9g}{unit}"
    return f"  {entry.verdict:<8} {entry.quantity:<20} {values:<48} differs {entry.difference:<8.2g} {where}"


def _failure_text(deck: Path, why: str) -> str:
    log = deck.with_suffix(".log")
    said = f"   Log: {log}" if log.is_file() else ""
    return f"Failed now: {why}\n  Replay: {kept_command(deck)}{said}"


def _largest(values: NDArray[Any]) -> float:
    """The largest finite magnitude; zero if there is none."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _compared(
    table: LookupTable, again: Again, quantity: str, point: Point, tolerance: float, largest: float
) -> Entry:
    variable = table.data[quantity]
    at = {str(name): point[str(name)] for name in variable.dims}
    recorded, repeated = float(variable.sel(at)), again.values[place(table, quantity, point)]
    scale = max(abs(recorded), FLOOR * largest)
    difference = _difference(recorded, repeated, scale)
    # A failed simulation leaves NaN, and zero where something is counted.
    empty = {0.0} if variable.dtype.kind == "i" else set()
    hole = (math.isnan(recorded) or recorded in empty) and _has_failed(table, point)
    failed = (math.isnan(repeated) or repeated in empty) and bool(again.failures)
    same = difference <= tolerance
    if hole and failed:
        verdict = HOLE
    elif same:
        verdict = SAME
    elif hole:
        verdict = FILLED
    else:
        verdict = FAILED if failed else DIFFERS
    return Entry(at, quantity, str(variable.attrs.get("units", "")), recorded, repeated, difference, verdict)


def _difference(recorded: float, again: float, scale: float) -> float:
    if recorded == again or (math.isnan(recorded) and math.isnan(again)):
        return 0.0
    if not (math.isfinite(recorded) and math.isfinite(again)) or scale == 0.0:
        return math.inf
    return abs(again - recorded) / scale


def _has_failed(table: LookupTable, point: Point) -> bool:
    """Whether a simulation that this point may have needed is recorded as failed."""
    return any(
        all(point[name] == value for name, value in each["at"].items() if name in point)
        for each in table.lineage.get("failed", ())
    )


def _on_axis(table: LookupTable, name: str, wanted: float | str) -> float | str:
    """The axis' own value that is meant."""
    if name not in table.axes:
        raise TableError(f"table {table.name} has no axis {name!r}. It has: {', '.join(table.axes)}.")
    values = table.data[name].values.tolist()
    for value in values:
        if isinstance(value, str) or isinstance(wanted, str):
            meant = value == wanted
        else:
            meant = math.isclose(value, wanted, rel_tol=1e-9)
        if meant:
            return value
    known = [value if isinstance(value, str) else f"{value:.12g}" for value in values]
    listed = ", ".join(known if len(known) <= 20 else [*known[:10], "...", *known[-3:]])
    raise TableError(
        f"{name}={wanted} is not on the axis of table {table.name}; entries are verified where they were "
        f"simulated. Its values [{table.data[name].attrs.get('units', 'names')}]: {listed}."
    )


def _of_all(progress: Progress | None, total: int) -> Progress | None:
    """Progress over all of a plan's simulations, from that of each run of units."""
    if progress is None:
        return None
    ended = failed = so_far = 0

    def told(ended_here: int, _total: int, failed_here: int) -> None:
        nonlocal ended, failed, so_far
        so_far = 0 if ended_here == 1 else so_far
        ended, failed, so_far = ended + 1, failed + failed_here - so_far, failed_here
        progress(ended, max(total, ended), failed)

    return told
