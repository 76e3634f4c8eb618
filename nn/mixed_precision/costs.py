"""What training on differential PCM pairs costs, by phase, beside a digital design of the same network.

Energy of pulses, RESETs and reads is what the training counted, at the tables' own energies; converters,
arithmetic and memories are priced by ``nn.accounting``, here and in the digital designs of ``baseline``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nn.accounting import price
from nn.mixed_precision.assumptions import Assumption, assumptions, prices_of, values_of
from nn.mixed_precision.baseline import Shapes, digital_ledger
from nn.mixed_precision.grid import grid
from nn.mixed_precision.sensitivity import ratio_range, reach, scenarios, sensitivity
from nn.mixed_precision.work import Counts, Values, conversion_of, converter_bits, rows_counted, training_work
from spicebridge.energy import OPERATIONS_PER_MAC, OPERATIONS_PER_UPDATE, EnergyLedger, Source, tops_per_watt

PHASES = ("forward", "backward", "update")
OURS = {
    "forward": ("array", "periphery", "logic"),
    "backward": ("array", "periphery", "logic"),
    "update": (
        "array",
        "reset",
        "word lines",
        "refresh reads",
        "refresh conversions",
        "logic",
        "products",
        "chi arithmetic",
        "chi memory",
    ),
}
"""The parts of each phase's energy, as components ``forward array`` and so on of the ledger."""
DIGITAL = dict.fromkeys(PHASES, ("arithmetic", "memory", "logic"))
ABSENT = (
    "programming of the devices before training",
    "buffers of inputs, activations and errors, in either design",
    "amplifiers that hold the read lines at ground, and what makes the word lines' level",
    "lines of the transposed read: the backward pass is at the energies of the forward one's deck",
    "row and column decoders, select lines of unselected rows",
    "control and clock, in either design",
    "wire between the array, the converters and the digital unit",
    "leakage and refresh of memories",
    "reads for the tests during training",
)
DIGITAL_DESIGN = (
    "the same network, every number a 32-bit floating-point one; no instructions; rows of zero inputs left "
    "out as in ours",
    "a memory of one word for each weight: read forward, read backward above the first layer, read and "
    "written in the update, once for each batch",
    "one multiply and add for each weight, image and phase (backward: above the first layer)",
    "activation, derivative and error as in ours",
)
INT8_DESIGN = (
    "the same network in whole numbers: products of 8 bits, sums of 32, updates of a 16-bit word of which "
    "the passes read 8; whether it trains as well is not tried here",
    "rows of zero inputs left out as in ours; activation, derivative and error as in the other designs",
)
WORD_LINES = "word lines opened for single pulses, beyond the pulsed cell's share"
READ_WORD_LINES = "word lines opened for reads, of which the table does not tell the energy"
PAPER_RATIO = 173.0
"""Energy of a digital 32-bit design over that of the mixed-precision one, of the paper's abstract."""


def energy_block(
    counts: Counts, device: Mapping[str, Any], layers: Shapes, *, sources: Sequence[Source]
) -> dict[str, Any]:
    """The energy of one training image in both designs, the ratio, and what it rests on; JSON-like.

    Args:
        counts: what the training counted, as ``nn.mixed_precision.record`` lists it.
        device: the operating point: ``t_read`` (s), and where the tables give them ``word_line_energy`` (J,
            opening a whole word line once for a pulse) and ``pair_word_line_energy`` (J, a pair's share of
            the line in a read).
        layers: inputs (the biases' constant one included) and outputs of each layer.
        sources: the tables of SET, RESET and read, in this order, to stamp energies with.

    Returns:
        ``per_image`` and ``digital`` (J, by phase and part; None for a part that no table tells),
        ``ratio`` (digital over ours) and by phase,
        ``ratio_range`` (one assumption changed at a time), ``sensitivity``, ``scenarios``,
        ``reach`` (what brings the ratio to the paper's), ``digital_int8`` (a design of whole numbers),
        ``grid`` (``nn.mixed_precision.grid``), ``tops_per_watt``, ``assumptions``, ``absent``,
        ``definition``, ``batch`` (images), ``pulses_per_image`` and ``ledgers``.
    """
    chosen = run_assumptions(counts, device, layers)
    values, images = values_of(chosen), int(counts["images"])

    def ledgers(changed: Values, *, bits: int = 32) -> tuple[EnergyLedger, EnergyLedger]:
        work = training_work(counts, device, layers, changed, sources=sources)
        return price(work, prices_of(changed)), digital_ledger(layers, changed, images=images, bits=bits)

    def ratio(changed: Values, *, bits: int = 32) -> float:
        ours, digital = ledgers(changed, bits=bits)
        return digital.joules() / ours.joules()

    ours, digital = ledgers(values)
    eight = split(digital_ledger(layers, values, images=images, bits=8), DIGITAL, images)
    per_image, baseline = split(ours, OURS, images), split(digital, DIGITAL, images)
    if device.get("word_line_energy") is None:
        per_image["update"]["word_lines"] = None  # the table does not hold it: unknown, and not zero
    rows = sensitivity(chosen, ratio)
    return {
        "per_image": per_image,
        "digital": {
            **{phase: baseline[phase]["total"] for phase in PHASES},
            "total": baseline["total"],
            "parts": {phase: baseline[phase] for phase in PHASES},
            "assumptions": list(DIGITAL_DESIGN),
        },
        "digital_int8": {
            **{phase: eight[phase]["total"] for phase in PHASES},
            "total": eight["total"],
            "ratio": eight["total"] / per_image["total"],
            "ratio_by_phase": {phase: eight[phase]["total"] / per_image[phase]["total"] for phase in PHASES},
            "assumptions": list(INT8_DESIGN),
        },
        "ratio": baseline["total"] / per_image["total"],
        "ratio_by_phase": {phase: baseline[phase]["total"] / per_image[phase]["total"] for phase in PHASES},
        "ratio_range": ratio_range(rows),
        "sensitivity": rows,
        "scenarios": scenarios(chosen, ratio),
        "grid": grid(chosen, ratio, counted=rows_counted(counts)),
        "reach": reach(chosen, ratio, target=PAPER_RATIO),
        "tops_per_watt": _efficiencies(per_image, layers, batch=values["batch"]),
        "assumptions": [each.to_json() for each in chosen],
        "absent": [
            *ABSENT,
            *(() if device.get("word_line_energy") else (WORD_LINES,)),
            *(() if device.get("pair_word_line_energy") else (READ_WORD_LINES,)),
        ],
        "definition": _definition(layers),
        "batch": values["batch"],
        "pulses_per_image": values["set_pulses"],
        "ledgers": {"training": ours.to_json(), "digital": digital.to_json()},
    }


def run_assumptions(counts: Counts, device: Mapping[str, Any], layers: Shapes) -> tuple[Assumption, ...]:
    """The assumptions at what a run counted: its pulses, its batch, its inputs above zero and their rows."""
    images, steps = counts["images"], counts["steps"]
    adc_bits, dac_bits = converter_bits(device)
    weights = sum(rows * columns for rows, columns in layers)
    touched = None
    if rows_counted(counts):
        entries = [
            columns * inputs for (_, columns), inputs in zip(layers, counts["nonzero_inputs"], strict=True)
        ]
        active = sum(entries) / (images * weights)
        moved = [columns * rows for (_, columns), rows in zip(layers, counts["touched_rows"], strict=True)]
        touched = sum(moved) / (steps * weights)
    else:
        active = sum(each["events"] for each in counts["forward_reads"].values()) / (images * weights)
    return assumptions(
        weights=weights,
        t_read=device["t_read"],
        pulses_per_image=sum(counts["set_pulses"]) / images,
        batch=images / steps,
        active=min(1.0, active),
        touched=touched,
        conversion=conversion_of(device),
        adc_bits=adc_bits,
        dac_bits=dac_bits,
    )


def split(ledger: EnergyLedger, parts: Mapping[str, Iterable[str]], images: int) -> dict[str, Any]:
    """Joules per image by phase and part, with totals; parts named with ``_`` for spaces."""
    told: dict[str, Any] = {}
    for phase, names in parts.items():
        found = {name.replace(" ", "_"): ledger.joules(f"{phase} {name}") / images for name in names}
        told[phase] = {**found, "total": sum(found.values())}
    return {**told, "total": sum(each["total"] for each in told.values())}


def _efficiencies(per_image: Mapping[str, Any], layers: Shapes, *, batch: float) -> dict[str, float | None]:
    """TOPS/W of forward pass and update, array alone and all parts; None where nothing was drawn."""
    weights = sum(rows * columns for rows, columns in layers)
    forward, update = per_image["forward"], per_image["update"]
    macs, updates = OPERATIONS_PER_MAC * weights, OPERATIONS_PER_UPDATE * weights / batch
    wanted = {
        "feedforward_array": (macs, forward["array"]),
        "feedforward": (macs, forward["total"]),
        "update_array": (updates, update["array"] + update["reset"] + (update["word_lines"] or 0.0)),
        "update": (updates, update["total"]),
    }
    return {
        name: tops_per_watt(operations=operations, joules=joules) if joules > 0 else None
        for name, (operations, joules) in wanted.items()
    }


def _definition(layers: Shapes) -> str:
    weights = sum(rows * columns for rows, columns in layers)
    return (
        f"one training image is a forward pass, a backward pass above the first layer and its share of an "
        f"update; {weights} weights, biases included; 1 MAC = {OPERATIONS_PER_MAC} operations, one weight's "
        f"update in one step = {OPERATIONS_PER_UPDATE}, whether or not a pulse is sent"
    )
