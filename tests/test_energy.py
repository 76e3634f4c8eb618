"""The energy ledger and the definitions of an operation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spicebridge.energy import (
    OPERATIONS_PER_MAC,
    OPERATIONS_PER_UPDATE,
    EnergyLedger,
    Source,
    ledger_from_json,
    merge,
    tops_per_watt,
)
from spicebridge.errors import SpicebridgeError

TABLE, OTHER = Source("mtj_write", "abc"), Source("mtj_write", "def")
BOOKINGS = st.lists(
    st.tuples(
        st.sampled_from(["array", "periphery"]),
        st.sampled_from(["pulse", "read"]),
        st.integers(1, 10**9),
        st.floats(0.0, 1.0),
        st.sampled_from([TABLE, OTHER]),
    ),
    max_size=20,
)


def ledger_of(bookings: list[tuple[str, str, int, float, Source]]) -> EnergyLedger:
    ledger = EnergyLedger()
    for component, action, events, joules, source in bookings:
        ledger.add(component, action, events=events, joules=joules, source=source)
    return ledger


@given(BOOKINGS, BOOKINGS)
def test_energy_and_events_add_over_disjoint_batches(
    first: list[tuple[str, str, int, float, Source]], second: list[tuple[str, str, int, float, Source]]
) -> None:
    whole, parts = ledger_of(first + second), merge([ledger_of(first), ledger_of(second)])
    assert whole.events() == parts.events() == sum(each[2] for each in first + second)
    assert whole.joules() == pytest.approx(parts.joules(), rel=1e-12, abs=0.0)
    assert whole.joules() == pytest.approx(sum(each[3] for each in first + second), rel=1e-12, abs=0.0)
    for component in ("array", "periphery"):
        assert whole.joules(component) == pytest.approx(
            ledger_of(first).joules(component) + ledger_of(second).joules(component), rel=1e-12, abs=0.0
        )


@given(BOOKINGS)
def test_a_ledger_survives_json(bookings: list[tuple[str, str, int, float, Source]]) -> None:
    ledger = ledger_of(bookings)
    assert ledger_from_json(json.loads(json.dumps(ledger.to_json()))).entries == ledger.entries


def test_the_same_action_from_two_tables_stays_two_lines() -> None:
    ledger = ledger_of([("array", "pulse", 1, 1.0, TABLE), ("array", "pulse", 2, 3.0, OTHER)])
    assert [entry.source for entry in ledger.entries] == [TABLE, OTHER]
    assert ledger.joules("array", "pulse") == 4.0


def test_an_empty_ledger_holds_no_energy() -> None:
    assert EnergyLedger().joules() == 0.0
    assert EnergyLedger().events() == 0


@pytest.mark.parametrize(("events", "joules"), [(0, 1e-15), (-1, 0.0)])
def test_energy_without_an_event_is_refused(events: int, joules: float) -> None:
    with pytest.raises(SpicebridgeError, match="at least one event"):
        EnergyLedger().add("array", "pulse", events=events, joules=joules, source=TABLE)


def test_operations_are_counted_by_the_one_definition() -> None:
    assert OPERATIONS_PER_MAC == 2
    assert OPERATIONS_PER_UPDATE == 2


def test_tops_per_watt_is_operations_per_picojoule() -> None:
    assert tops_per_watt(operations=2, joules=109.3e-15) == pytest.approx(18.3, rel=1e-3)
    with pytest.raises(SpicebridgeError, match="above zero"):
        tops_per_watt(operations=2, joules=0.0)
