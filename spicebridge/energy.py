"""The energy ledger: joules and event counts, each stamped with what gave the joules.

Operations are counted by one definition, written here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spicebridge.errors import SpicebridgeError

OPERATIONS_PER_MAC = 2
"""One multiply and one add."""

OPERATIONS_PER_UPDATE = 2
"""One synapse's update in one training step, multiply and add, whether or not its state changes."""


@dataclass(frozen=True, order=True)
class Source:
    """What a number of joules came from.

    Attributes:
        name: a table's name, or a citation for what is not simulated.
        digest: the table's content digest; empty for a citation.
    """

    name: str
    digest: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of a ledger: how often ``component`` did ``action``, and the energy it took (J)."""

    component: str
    action: str
    source: Source
    events: int
    joules: float


@dataclass
class EnergyLedger:
    """Joules and events per (component, action, source).

    Adding to a line that exists adds to its events and its joules; lines with different sources stay apart,
    so no joule loses what gave it.
    """

    _lines: dict[tuple[str, str, Source], tuple[int, float]] = field(default_factory=dict)

    def add(self, component: str, action: str, *, events: int, joules: float, source: Source) -> None:
        """Book ``events`` actions that took ``joules`` in all.

        Raises:
            SpicebridgeError: a negative count, or joules without an event.
        """
        if events < 0 or (events == 0 and joules != 0.0):
            raise SpicebridgeError(
                f"the ledger was given {joules:g} J for {events} events of {component} {action}: "
                f"energy needs at least one event."
            )
        before = self._lines.get((component, action, source), (0, 0.0))
        self._lines[component, action, source] = (before[0] + int(events), before[1] + float(joules))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The lines, sorted by component, action and source."""
        return tuple(
            Entry(component, action, source, events, joules)
            for (component, action, source), (events, joules) in sorted(self._lines.items())
        )

    def events(self, component: str | None = None, action: str | None = None) -> int:
        """How often it happened; ``None`` stands for any."""
        return sum(entry.events for entry in self._chosen(component, action))

    def joules(self, component: str | None = None, action: str | None = None) -> float:
        """The energy it took (J); ``None`` stands for any."""
        return sum((entry.joules for entry in self._chosen(component, action)), 0.0)

    def _chosen(self, component: str | None, action: str | None) -> Iterable[Entry]:
        for entry in self.entries:
            if component in (None, entry.component) and action in (None, entry.action):
                yield entry

    def to_json(self) -> list[dict[str, Any]]:
        """The lines as JSON-like records; ``ledger_from_json`` reads them back."""
        return [
            {
                "component": entry.component,
                "action": entry.action,
                "events": entry.events,
                "joules": entry.joules,
                "source": {"name": entry.source.name, "digest": entry.source.digest},
            }
            for entry in self.entries
        ]


def merge(ledgers: Iterable[EnergyLedger]) -> EnergyLedger:
    """One ledger with every line of the given ones."""
    merged = EnergyLedger()
    for ledger in ledgers:
        for entry in ledger.entries:
            merged.add(
                entry.component, entry.action, events=entry.events, joules=entry.joules, source=entry.source
            )
    return merged


def ledger_from_json(lines: Iterable[Mapping[str, Any]]) -> EnergyLedger:
    """The ledger ``EnergyLedger.to_json`` wrote."""
    ledger = EnergyLedger()
    for line in lines:
        ledger.add(
            line["component"],
            line["action"],
            events=line["events"],
            joules=line["joules"],
            source=Source(line["source"]["name"], line["source"]["digest"]),
        )
    return ledger


def tops_per_watt(*, operations: float, joules: float) -> float:
    """Tera-operations per second and watt: operations per picojoule.

    Raises:
        SpicebridgeError: no operations, or no energy to divide by.
    """
    if not (operations > 0 and joules > 0):
        raise SpicebridgeError(
            f"TOPS/W needs operations and energy above zero (got {operations:g} operations, {joules:g} J)."
        )
    return operations / joules * 1e-12
