"""Array, weight update and all-in of a run of mixed-precision training, from its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nn.accounting import (
    ABSENT,
    ARRAY_PARTS,
    BOUNDARIES,
    FORWARD,
    NOT_IN_RECORD,
    UPDATE,
    figure,
    joules_of,
    price,
    unknown,
)
from nn.mixed_precision.assumptions import prices_of, values_of
from nn.mixed_precision.costs import energy_block, run_assumptions
from nn.mixed_precision.work import conversion_of, converter_bits, rows_counted, training_work
from spicebridge.energy import OPERATIONS_PER_MAC, OPERATIONS_PER_UPDATE, EnergyLedger, Source


def accounting_block(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Array, weight update and all-in of a record, as ``nn.costs.accounting_block`` gives them.

    A record of before rows were counted is priced with none left out. ``grid`` and ``digital_int8`` are those
    of ``energy_block``. None for a record without energies.
    """
    counts, device = record.get("counts"), record.get("device")
    if not (counts and device and record.get("energy")):
        return None
    layers, images, counted = counts["layers"], int(counts["images"]), rows_counted(counts)
    sources = _sources(record)
    energy = energy_block(counts, device, layers, sources=sources)
    chosen = values_of(run_assumptions(counts, device, layers))
    dense = {**chosen, **dict.fromkeys(("chi_touched", "chi_products"), 1.0)}
    weights = sum(rows * columns for rows, columns in layers)
    macs, updates = OPERATIONS_PER_MAC * weights * images, OPERATIONS_PER_UPDATE * weights * counts["steps"]
    sparse, full = (
        price(training_work(counts, device, layers, each, sources=sources), prices_of(each))
        for each in (chosen, dense)
    )
    look = counts["refresh_reads"]
    read = weights * images * look["energy"] / look["events"] if look["events"] else None
    rest = joules_of(sparse, FORWARD) - joules_of(sparse, FORWARD, ARRAY_PARTS)

    def forward(joules: float | None) -> dict[str, Any]:
        return figure(joules, images=images, operations=macs, why=f"{NOT_IN_RECORD}: a look at all pairs")

    def update(ledger: EnergyLedger, parts: Iterable[str] | None = None) -> dict[str, Any]:
        return figure(joules_of(ledger, UPDATE, parts), images=images, operations=updates)

    return {
        "feedforward": {
            "array": forward(joules_of(sparse, FORWARD, ARRAY_PARTS)),
            "all_in": forward(joules_of(sparse, FORWARD)),
            "dense": {"array": forward(read), "all_in": forward(None if read is None else read + rest)},
            "dense_reads": None,
        },
        "update": {
            "array": update(sparse, ARRAY_PARTS),
            "weight_update": update(sparse) if counted else unknown(f"{NOT_IN_RECORD}: rows touched"),
            "dense": {"weight_update": update(full)},
        },
        "training_step": {
            "all_in": {"energy_per_image": sparse.joules() / images}
            if counted
            else unknown(f"{NOT_IN_RECORD}: rows touched"),
            "dense": {"energy_per_image": full.joules() / images},
        },
        "ledgers": {"training": sparse.to_json()},
        "boundaries": dict(BOUNDARIES),
        "absent": list(dict.fromkeys([*ABSENT, *energy["absent"]])),
        "definition": energy["definition"],
        "assumptions": [f"a conversion of {converter_bits(device)[0]} bits sums {conversion_of(device)}"],
        "grid": energy["grid"],
        "digital_int8": energy["digital_int8"],
    }


def _sources(record: Mapping[str, Any]) -> list[Source]:
    """The record's tables of SET, RESET and read, by their names in its settings."""
    digests = {each["name"]: each["digest"] for each in record["tables"]}
    named = record.get("settings", {}).get("tables")
    names = [named[role] for role in ("set", "reset", "read")] if named else list(digests)
    return [Source(name, digests.get(name, "")) for name in names]
