"""What a ternary network's inference and training cost within each boundary, from its record.

The arrays' reads and pulses are in the record's ledgers, at the tables' energies; what is digital is priced
by ``nn.accounting``. A record that does not hold a count has no figure that would need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nn.accounting import (
    ABSENT,
    ADC_BITS,
    ARRAY_PARTS,
    BACKWARD,
    BOUNDARIES,
    FORWARD,
    NOT_IN_RECORD,
    TILE,
    UPDATE,
    Access,
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
from nn.periphery import MEMORY_1_MB, MEMORY_8_KB, MEMORY_32_KB, MEMORY_DRAM, WORD, CitedEnergy, memory_for
from spicebridge.energy import OPERATIONS_PER_MAC, OPERATIONS_PER_UPDATE, Source, ledger_from_json

ADAM_MULTIPLIES, ADAM_ADDS, MOMENTS = 6, 3, 2
SENSE_BITS = 4
"""Of the conversion that senses a state before a pulse."""
ERROR_PLANES = 8
"""Bits that an error goes back in, one plane each; assumed."""
NORM_FORWARD, NORM_BACKWARD = (3, 4), (5, 6)
"""Multiplies and adds that batch norm takes for a neuron and image in training, statistics included."""
FROM_READS = Source("assumed: a transposed read costs what a forward one of an input above zero does")
FROM_TEST = Source("assumed: a training image's forward reads cost what a test image's do")

Record = Mapping[str, Any]


def accounting_block(record: Record) -> dict[str, Any] | None:
    """Array, weight update and all-in of a record, dense figures beside those that profit from zeros.

    Returns:
        ``feedforward`` (``array``, ``all_in``, both again under ``dense``, and ``dense_reads``), ``update``
        (``array``, ``weight_update``, that again under ``dense``, and ``memories``), ``training_step``
        (``all_in``, ``dense``), each J an image and TOPS/W; ``ledgers``, ``boundaries``, ``assumptions``,
        ``absent``, ``definition``. None for a record without energies.
    """
    reading, updating = record.get("feedforward"), record.get("update")
    if not (reading and updating and record.get("ledgers")):
        return None
    work = inference_work(record)
    ledger = price(work)
    images, weights = work.images, sum(each.rows * each.columns for each in work.layers)
    operations = OPERATIONS_PER_MAC * weights * images
    array, all_in = joules_of(ledger, FORWARD, ARRAY_PARTS), joules_of(ledger, FORWARD)
    read = active_read(record)
    planes = sum(each.rows * each.columns * each.planes for each in work.layers)
    full = None if read is None else read * planes * images
    rest = all_in - array
    block: dict[str, Any] = {
        "feedforward": {
            "array": figure(array, images=images, operations=operations),
            "all_in": figure(all_in, images=images, operations=operations),
            "dense": {
                "array": figure(full, images=images, operations=operations),
                "all_in": figure(full and full + rest, images=images, operations=operations),
            },
            "dense_reads": None
            if read is None
            else {
                "ternary": figure(read, images=1, operations=OPERATIONS_PER_MAC),
                "first_layer": {
                    "planes": work.layers[0].planes,
                    **figure(read * work.layers[0].planes, images=1, operations=OPERATIONS_PER_MAC),
                },
            },
        },
        "boundaries": dict(BOUNDARIES),
        "absent": [*ABSENT, *updating.get("absent", ())],
    }
    return block | _training(record, work, array / images)


def inference_work(record: Record) -> Work:
    """The passes of the test images through the trained networks."""
    reading, settings = record["feedforward"], record.get("settings", {})
    layers = tuple(
        Layer(rows=each["inputs"], columns=each["outputs"], planes=each["planes"])
        for each in reading["layers"]
    )
    outputs = sum(each.columns for each in layers) * reading["images"]
    names = {each["name"] for each in reading["layers"]}
    return Work(
        images=reading["images"],
        layers=layers,
        converters=Converters(
            bits=settings.get("adc_bits", ADC_BITS),
            tile=settings.get("tile", TILE),
            error_planes=ERROR_PLANES,
        ),
        arithmetic=(
            _logic(FORWARD, "batch norm of inference", "multiply", outputs, form="int32"),
            _logic(FORWARD, "batch norm of inference", "add", outputs, form="int32"),
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
            if line["component"] in names
        ),
    )


def training_work(record: Record, *, per_forward: float, dense: bool = False) -> Work | str:
    """All that training did on the tables; or why it is not known.

    Args:
        record: the run's.
        per_forward: the array's energy of an image's forward reads (J).
        dense: as if no input were zero.
    """
    settings, updating, inference = record.get("settings", {}), record["update"], inference_work(record)
    layers = inference.layers
    weights = sum(each.rows * each.columns for each in layers)
    if "batch" not in settings or "split" not in settings:
        return f"{NOT_IN_RECORD}: the batch"
    steps = updating["updates"] // weights
    images = steps * min(settings["batch"], settings["split"]["train"])
    entries = [each.rows * each.columns * images for each in layers]
    if not dense:
        counted = updating.get("nonzero_inputs")
        if counted is None:
            return f"{NOT_IN_RECORD}: inputs above zero in training"
        entries = [rows * each.columns for rows, each in zip(counted, layers, strict=True)]
    read = active_read(record)
    if read is None:
        return f"{NOT_IN_RECORD}: reads by state and activation"
    cells = ERROR_PLANES * sum(each.rows * each.columns for each in layers[1:]) * images
    outputs = sum(each.columns for each in layers)
    half = (updating.get("half_selected") or {}).get("energy_total")
    array = ledger_from_json(record["ledgers"]["update"])
    return Work(
        images=images,
        layers=layers,
        converters=inference.converters,
        backward=True,
        products=sum(entries),
        multiplied=entries[0] if layers[0].planes > 1 else 0,
        conversions=(("update sense", updating["reads"], SENSE_BITS),),
        arithmetic=(
            _adam("multiply", ADAM_MULTIPLIES, updating["updates"]),
            _adam("add", ADAM_ADDS, updating["updates"]),
            *(
                _logic(phase, "batch norm in training", operation, each * outputs * images)
                for phase, both in ((FORWARD, NORM_FORWARD), (BACKWARD, NORM_BACKWARD))
                for operation, each in zip(("multiply", "add"), both, strict=True)
            ),
            _logic(BACKWARD, "Adam of batch norm", "multiply", 2 * ADAM_MULTIPLIES * outputs * steps),
            _logic(BACKWARD, "Adam of batch norm", "add", 2 * ADAM_ADDS * outputs * steps),
        ),
        accesses=(moments(weights, steps),),
        simulated=(
            *(
                Simulated(
                    component="update array",
                    action=each.action,
                    events=each.events,
                    joules=each.joules,
                    source=each.source,
                )
                for each in array.entries
                if each.component == UPDATE
            ),
            *_half_selected(half, updating, array.entries[0].source),
            Simulated(
                component="forward array", action="reads", events=images, joules=per_forward * images,
                source=FROM_TEST,
            ),
            Simulated(
                component="backward array", action="transposed reads", events=cells, joules=read * cells,
                source=FROM_READS,
            ),
        ),
    )  # fmt: skip


def moments(weights: int, steps: int, memory: CitedEnergy | None = None) -> Access:
    """Adam's two moments of each weight, read and written once a step, where they fit if nowhere is named."""
    return Access(
        component="update moments memory",
        action="read and write both moments",
        events=2 * MOMENTS * weights * steps,
        bits=WORD,
        memory=memory or memory_for(MOMENTS * WORD * weights)[1],
    )


def active_read(record: Record) -> float | None:
    """Energy (J) of a read at activation -1 or +1, the mean over the states that were read.

    The mean is over the four pairs of states and activations alike, whatever their number of reads.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for line in record["ledgers"]["feedforward"]:
        words = line["action"].split()
        if words[0] == "read" and words[-1] in ("-1", "+1") and line["events"]:
            events_joules = found.setdefault((words[1], words[-1]), [0.0, 0.0])
            events_joules[0] += line["events"]
            events_joules[1] += line["joules"]
    if not found:
        return None
    return sum(joules / events for events, joules in found.values()) / len(found)


def _training(record: Record, inference: Work, per_forward: float) -> dict[str, Any]:
    """The training's part of the block."""
    weights = sum(each.rows * each.columns for each in inference.layers)
    sparse, full = (training_work(record, per_forward=per_forward, dense=dense) for dense in (False, True))
    if isinstance(full, str):
        nothing = unknown(full)
        return {
            "update": {"array": nothing, "weight_update": nothing, "dense": {"weight_update": nothing}},
            "training_step": {"all_in": nothing, "dense": nothing},
        }
    operations = OPERATIONS_PER_UPDATE * record["update"]["updates"]
    steps = record["update"]["updates"] // weights

    def figures_of(
        work: Work | str, parts: tuple[str, ...] | None = None, *, step: bool = False
    ) -> dict[str, Any]:
        if isinstance(work, str):
            return unknown(work)
        ledger = price(work)
        if step:
            return {"energy_per_image": ledger.joules() / work.images}
        joules = joules_of(ledger, UPDATE, parts)
        return figure(joules, images=work.images, operations=operations)

    known = full if isinstance(sparse, str) else sparse
    memories = {
        name: figures_of(replace(known, accesses=(moments(weights, steps, cited),)))
        for name, cited in (
            ("banks of 8 KB", MEMORY_8_KB),
            ("banks of 32 KB", MEMORY_32_KB),
            ("banks of 1 MB", MEMORY_1_MB),
            ("DRAM, lower end", MEMORY_DRAM),
        )
    }
    name, cited = memory_for(MOMENTS * WORD * weights)
    return {
        "update": {
            "array": figures_of(known, ARRAY_PARTS),
            "weight_update": figures_of(sparse),
            "dense": {"weight_update": figures_of(full)},
            "memories": memories,
            "memories_are": "dense" if isinstance(sparse, str) else "with rows of zero inputs left out",
        },
        "training_step": {"all_in": figures_of(sparse, step=True), "dense": figures_of(full, step=True)},
        "ledgers": {"training": price(known).to_json(), "inference": price(inference).to_json()},
        "definition": (
            f"an update is {OPERATIONS_PER_UPDATE} operations a weight and step, a step "
            f"{known.images // steps} images"
        ),
        "assumptions": [
            f"the moments are kept in float, two words of {WORD} bits a weight in {name}, "
            f"{cited.joules * 1e12:g} pJ a word; read and written once a step",
            "products in fp32 of inputs above zero; ternary inputs take an add alone",
            f"errors go back in {ERROR_PLANES} planes through the transposed arrays, each nonzero in every "
            "plane, at a forward read's energy",
            f"a conversion of {inference.converters.bits} bits sums {inference.converters.tile} rows"
            if inference.converters
            else "no converters",
            "a training image's forward reads cost what a test image's do",
        ],
    }


def _half_selected(total: float | None, updating: Record, source: Source) -> tuple[Simulated, ...]:
    """What idle cells of the tile draw, where the tables tell it."""
    if total is None:
        return ()
    joules = total - updating["energy_total"]
    return (
        Simulated(
            component="update half-selected", action="cells of the tile", events=updating["updates"],
            joules=joules, source=source,
        ),
    )  # fmt: skip


def _adam(operation: str, each: int, updates: int) -> Arithmetic:
    return Arithmetic(
        component="update moments arithmetic", action=f"Adam {operation}", operation=operation, form="fp32",
        events=each * updates,
    )  # fmt: skip


def _logic(phase: str, action: str, operation: str, events: float, *, form: str = "fp32") -> Arithmetic:
    return Arithmetic(
        component=f"{phase} logic", action=f"{action}, {operation}", operation=operation, form=form,
        events=events,
    )  # fmt: skip
