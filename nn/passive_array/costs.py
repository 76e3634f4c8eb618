"""What writing and reading a solution costs: energies and times from the tables, by one ledger each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nn import accounting
from nn.accounting import (
    ADC_BITS,
    ARRAY_PARTS,
    BOUNDARIES,
    FORWARD,
    Arithmetic,
    Converters,
    Layer,
    Simulated,
    Work,
    figure,
    joules_of,
    price,
    unknown,
)
from nn.passive_array.operating import Arrays, WritePoint
from nn.passive_array.placement import Layer as Placed
from nn.passive_array.placement import Parallel, Placement
from nn.passive_array.splits import Splits
from spicebridge.energy import OPERATIONS_PER_MAC, EnergyLedger, Source, tops_per_watt
from spicebridge.table import LookupTable, TableError

ABSENT = (
    "digital-to-analogue conversion of the inputs",
    "line drivers' own gates and logic",
    "memory of the tuned gains, offsets and thresholds",
)


def inference_block(
    arrays: Arrays, splits: Splits, placement: Placement, diameter: float
) -> tuple[dict[str, Any], EnergyLedger]:
    """Energy of inferring every test sample of every solution once, and its ledger.

    The table's read drives all rows at the full read voltage; the energy goes as the square of a row's
    voltage, so that a read counts with the mean square of its row values. Columns of pairs, or of weights and
    a reference, count as half in P and half in AP, columns without a task as AP.
    """
    inferences = splits.test_labels.size
    ledger, dense = EnergyLedger(), 0.0
    source = _source(arrays.read)
    squares = (
        float(np.mean(splits.test_inputs**2)) * len(placement.hidden.rows) / placement.rows,
        len(placement.output.rows) / placement.rows,
    )
    for number, (layer, square) in enumerate(
        zip((placement.hidden, placement.output), squares, strict=True), start=1
    ):
        energy = square * _full_read(arrays, placement, layer, diameter)
        ledger.add(f"layer {number}", "read", events=inferences, joules=inferences * energy, source=source)
        dense += len(layer.rows) / placement.rows * _full_read(arrays, placement, layer, diameter)
    macs = sum(len(layer.rows) * len(layer.columns) for layer in (placement.hidden, placement.output))
    operations = OPERATIONS_PER_MAC * macs * inferences
    joules = ledger.joules("layer 1") + ledger.joules("layer 2")
    settling = arrays.read.data["settling"] if "settling" in arrays.read.quantities else None
    return {
        **_efficiency(joules, operations),
        "energy_per_mac": joules / (macs * inferences),
        "energy_per_inference": joules / inferences,
        "inferences": inferences,
        "macs": macs,
        "t_read": arrays.read.lineage["sweep"]["t_read"],
        "v_read": arrays.experiment.v_read,
        "settling": None
        if settling is None
        else float(
            settling.sel(diameter=diameter, r_segment=arrays.experiment.r_segment, method="nearest").max()
        ),
        "dense": {"energy_per_inference": dense, "inputs": "every row at the full voltage"},
        "absent": list(ABSENT),
        "definition": (
            f"1 MAC = {OPERATIONS_PER_MAC} operations; an inference is {macs} MACs, constant rows "
            "counted, in "
            "one read of each array"
        ),
    }, ledger


def _full_read(arrays: Arrays, placement: Placement, layer: Placed, diameter: float) -> float:
    """Energy (J) of a read with all rows at the full voltage, of a layer's array."""
    tasks = set(placement.hidden.columns) | set(placement.hidden.references)
    if placement.arrays == 2:
        tasks = {*layer.columns, *layer.references}
    else:
        tasks |= {*placement.output.columns, *placement.output.references}
    share = len(tasks) / placement.columns

    def energy(background: str) -> float:
        at: dict[str, Any] = {
            "diameter": diameter,
            "r_segment": arrays.experiment.r_segment,
            "background": background,
        }
        return float(arrays.read.read("energy", **at))

    return share * 0.5 * (energy("all_p") + energy("all_ap")) + (1 - share) * energy("all_ap")


def writing_block(arrays: Arrays, wanted: Parallel, point: WritePoint) -> tuple[dict[str, Any], EnergyLedger]:
    """Energy and time of writing every solution once, one pulse a cell, and the ledger.

    Args:
        arrays: the tables.
        wanted: what the cells are to be, shape (solutions, arrays, rows, columns).
        point: where they are written.
    """
    rows, columns = np.indices(wanted.shape[-2:])
    ledger, latencies = EnergyLedger(), []
    at: dict[str, Any] = {"scheme": point.scheme, "diameter": point.diameter, "v_write": point.v_write}
    for direction, chosen in (("ap_to_p", wanted), ("p_to_ap", ~wanted)):
        place: dict[str, Any] = {"direction": direction, "row": rows, "column": columns}
        energy = arrays.write.read("energy", t_pulse=point.t_pulse, **at, **place)
        events = int(chosen.sum())
        ledger.add(
            "write",
            f"pulse {direction}",
            events=events,
            joules=float(np.sum(chosen * energy)),
            source=_source(arrays.write),
        )
        latencies.append(_median_latency(arrays.write, at, place))
    pulses = wanted[0].size
    known = [each for each in latencies if each is not None]
    return {
        "energy_per_solution": ledger.joules() / len(wanted),
        "energy_per_pulse": ledger.joules() / wanted.size,
        "pulses_per_solution": pulses,
        "time_per_solution": pulses * point.t_pulse,
        "latency": max(known) if len(known) == len(latencies) else None,
        "definition": "every cell of both arrays gets one pulse, one after another, whatever it held",
    }, ledger


def _median_latency(table: LookupTable, at: dict[str, Any], place: dict[str, Any]) -> float | None:
    """Median switching time (s) of the slowest cell; None where the table gives none for every cell."""
    if "latency" not in table.quantities:
        return None
    try:
        return float(table.read("latency", **at, **place).max())
    except TableError:  # some cells' medians lie beyond the table's longest pulse
        return None


def _source(table: LookupTable) -> Source:
    return Source(table.name, table.digest)


def _efficiency(joules: float, operations: int) -> dict[str, Any]:
    return {
        "energy_total": joules,
        "operations": operations,
        "energy_per_op": joules / operations,
        "tops_per_watt": tops_per_watt(operations=operations, joules=joules),
    }


NOT_TRAINED = "not applicable: weights are trained in software and written once"


def accounting_block(record: Mapping[str, Any]) -> dict[str, Any]:
    """Array and all-in of inference, and the writing of a solution, as ``nn.costs.accounting_block`` has it.

    A layer's read-out is a conversion, a gain and an offset for each output.
    """
    reading, writing, shape = record["feedforward"], record["write"], record["array"]
    inferences, operations = (
        reading["inferences"],
        OPERATIONS_PER_MAC * reading["macs"] * reading["inferences"],
    )
    inputs, hidden, classes = shape["network"]
    outputs = (hidden + classes) * inferences
    work = Work(
        images=inferences,
        layers=(Layer(rows=inputs, columns=hidden), Layer(rows=hidden + 1, columns=classes)),
        converters=Converters(bits=ADC_BITS, tile=shape["rows"]),
        arithmetic=tuple(
            Arithmetic(
                component="forward logic", action=action, operation=operation, form="int32", events=outputs
            )
            for action, operation in (("gain", "multiply"), ("offset", "add"))
        ),
        simulated=tuple(
            Simulated(
                component="forward array",
                action=f"{line['component']}: {line['action']}",
                events=line["events"],
                joules=line["joules"],
                source=Source(**line["source"]),
            )
            for line in record["ledgers"]["feedforward"]
            if line["source"]["digest"]
        ),
    )
    ledger = price(work)
    array, all_in = joules_of(ledger, FORWARD, ARRAY_PARTS), joules_of(ledger, FORWARD)
    full = (reading.get("dense") or {}).get("energy_per_inference")
    full = None if full is None else full * inferences

    def told(joules: float | None) -> dict[str, Any]:
        return figure(joules, images=inferences, operations=operations)

    nothing = unknown(NOT_TRAINED)
    return {
        "feedforward": {
            "array": told(array),
            "all_in": told(all_in),
            "dense": {
                "array": told(full),
                "all_in": told(None if full is None else full + all_in - array),
            },
            "dense_reads": None,
        },
        "update": {
            "array": nothing,
            "weight_update": nothing,
            "dense": {"weight_update": nothing},
            "programming": {"energy_per_solution": writing["energy_per_solution"]},
        },
        "training_step": {"all_in": nothing, "dense": nothing},
        "ledgers": {"inference": ledger.to_json()},
        "boundaries": dict(BOUNDARIES),
        "absent": list(dict.fromkeys([*accounting.ABSENT, *ABSENT])),
        "definition": "programming is one pulse a cell, once",
        "assumptions": [f"a conversion of {ADC_BITS} bits sums {shape['rows']} rows, the whole of a column"],
    }
