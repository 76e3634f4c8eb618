"""What training on differential PCM pairs costs, by phase, beside a digital design of the same network.

Energy of pulses, RESETs and reads is what the training counted, at the tables' own energies; converters,
arithmetic and chi's memory are booked at cited figures. Digital parts are those of ``baseline``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nn.mixed_precision.assumptions import (
    WORD,
    Assumption,
    assumptions,
    multiply_and_add,
    outer_product,
    values_of,
)
from nn.mixed_precision.baseline import ARITHMETIC, MEMORY, Shapes, book, book_neurons, digital_ledger
from nn.mixed_precision.sensitivity import ratio_range, reach, scenarios, sensitivity
from nn.periphery import ADC_8_BIT
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
    "the same network, every number a 32-bit floating-point one; no instructions",
    "a memory of one word for each weight: read forward, read backward above the first layer, read and "
    "written in the update, once for each batch",
    "one multiply and add for each weight, image and phase (backward: above the first layer)",
    "activation, derivative and error as in ours",
)
WORD_LINES = "word lines opened for single pulses, beyond the pulsed cell's share"
READ_WORD_LINES = "word lines opened for reads, of which the table does not tell the energy"
PAPER_RATIO = 173.0
"""Energy of a digital 32-bit design over that of the mixed-precision one, of the paper's abstract."""
_DAC = Source("assumed: comparison with a shared counter, add of 8 bits, Horowitz, ISSCC 2014, 45 nm")

Counts = Mapping[str, Any]
Values = Mapping[str, float]


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
        ``reach`` (what brings the ratio to the paper's), ``tops_per_watt``, ``assumptions``, ``absent``,
        ``definition``, ``batch`` (images), ``pulses_per_image`` and ``ledgers``.
    """
    chosen = run_assumptions(counts, device, layers)
    values, images = values_of(chosen), int(counts["images"])

    def both(changed: Values) -> tuple[EnergyLedger, EnergyLedger]:
        ours = training_ledger(counts, device, layers, changed, sources=sources)
        return ours, digital_ledger(layers, changed, images=images)

    def ratio(changed: Values) -> float:
        ours, digital = both(changed)
        return digital.joules() / ours.joules()

    ours, digital = both(values)
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
        "ratio": baseline["total"] / per_image["total"],
        "ratio_by_phase": {phase: baseline[phase]["total"] / per_image[phase]["total"] for phase in PHASES},
        "ratio_range": ratio_range(rows),
        "sensitivity": rows,
        "scenarios": scenarios(chosen, ratio),
        "reach": reach(chosen, ratio, target=PAPER_RATIO),
        "tops_per_watt": _efficiencies(per_image, layers),
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
    """The assumptions at what a run counted: its pulses, its batch, its share of inputs above zero."""
    images = counts["images"]
    weights = sum(rows * columns for rows, columns in layers)
    pulsed = sum(each["events"] for each in counts["forward_reads"].values())
    return assumptions(
        weights=weights,
        t_read=device["t_read"],
        pulses_per_image=sum(counts["set_pulses"]) / images,
        batch=images / counts["steps"],
        active=min(1.0, pulsed / (images * weights)),
    )


def training_ledger(
    counts: Counts,
    device: Mapping[str, Any],
    layers: Shapes,
    values: Values,
    *,
    sources: Sequence[Source],
) -> EnergyLedger:
    """The energy of training on the pairs, with the components that ``OURS`` names."""
    ledger = EnergyLedger()
    _, _, reading = sources
    images, time = int(counts["images"]), values["t_read"] / device["t_read"]
    opened = device.get("pair_word_line_energy") or 0.0
    for phase in ("forward", "backward"):
        for layer, read in counts[f"{phase}_reads"].items():
            rows, columns = layers[int(layer.removeprefix("layer")) - 1]
            events, lines = round(read["events"]), rows * columns * images
            pulses = time * (read["energy"] - read["events"] * opened)
            name = f"{phase} array"
            ledger.add(name, f"input pulses at pairs, {layer}", events=events, joules=pulses, source=reading)
            # A word line crosses all inputs of an output: pairs whose input is zero are opened too.
            if opened:
                book(ledger, name, f"word lines, pairs of {layer}", lines, opened, reading)
        _book_converters(ledger, phase, layers, values, images=images)
    book_neurons(ledger, layers, values, images=images)
    _book_pulses(ledger, counts, values, time=time, opened=opened, sources=sources)
    _book_word_lines(ledger, counts, values, device, set_=sources[0])
    _book_chi(ledger, layers, values, images=images)
    return ledger


def _book_converters(
    ledger: EnergyLedger, phase: str, layers: Shapes, values: Values, *, images: int
) -> None:
    """Book a phase's pulse-width drivers, conversions and scaling; backward drives columns and reads rows."""
    shapes = layers if phase == "forward" else [(columns, rows) for rows, columns in layers[1:]]
    driven = sum(inputs for inputs, _ in shapes) * images
    read = sum(outputs for _, outputs in shapes) * images
    book(ledger, f"{phase} periphery", "pulse-width driver, 8 bit", driven, values["dac"], _DAC)
    book(ledger, f"{phase} periphery", "ADC conversion, 8 bit", read, values["adc"], ADC_8_BIT.source)
    multiply, _ = multiply_and_add(values)
    book(ledger, f"{phase} logic", "scale an output", read, multiply, ARITHMETIC)


def _book_pulses(
    ledger: EnergyLedger,
    counts: Counts,
    values: Values,
    *,
    time: float,
    opened: float,
    sources: Sequence[Source],
) -> None:
    """Book SET pulses, RESETs and the looks of the refresh, each with its conversions."""
    set_, reset, reading = sources
    counted = sum(counts["set_pulses"])
    energy = counts["set_energy_sum"] / counted if counted else 0.0
    book(ledger, "update array", "SET pulse", values["set_pulses"] * counts["images"], energy, set_)
    ledger.add(
        "update reset",
        "RESET of a device",
        events=counts["resets"],
        joules=counts["reset_energy_sum"],
        source=reset,
    )
    looks = counts["refresh_reads"]
    ledger.add(
        "update refresh reads",
        "read of a pair",
        events=looks["events"],
        joules=time * (looks["energy"] - looks["events"] * opened) + looks["events"] * opened,
        source=reading,
    )
    conversions = 2 * looks["events"]
    book(
        ledger, "update refresh conversions", "ADC conversion of a device, 8 bit", conversions, values["adc"],
        ADC_8_BIT.source,
    )  # fmt: skip


def _book_word_lines(
    ledger: EnergyLedger, counts: Counts, values: Values, device: Mapping[str, Any], *, set_: Source
) -> None:
    """Book a whole word line for every SET pulse and RESET: blind pulses come one at a time.

    The level is that of a SET pulse for both. Reads share a line among all its cells.
    """
    each = device.get("word_line_energy")
    if each:
        pulses = values["set_pulses"] * counts["images"] + counts["resets"]
        book(ledger, "update word lines", "open and close a line", pulses, each, set_)


def _book_chi(ledger: EnergyLedger, layers: Shapes, values: Values, *, images: int) -> None:
    """Book chi: every image's outer product; a read, a comparison with epsilon and a write a step."""
    product, add = outer_product(values)
    entries = values["chi_touched"] * sum(rows * columns for rows, columns in layers)
    steps = images / values["batch"]
    pulses = values["set_pulses"] * images
    name = "update chi arithmetic"
    book(ledger, name, "outer product, multiply", entries * images, product, ARITHMETIC)
    book(ledger, name, "outer product, add", entries * images, add, ARITHMETIC)
    book(ledger, name, "compare with epsilon", entries * steps, add, ARITHMETIC)
    book(ledger, name, "subtract a pulse's epsilon", pulses, add, ARITHMETIC)
    access = values["chi_memory"] * values["chi_bits"] / WORD
    book(ledger, "update chi memory", "read and write", 2 * entries * steps, access, MEMORY)


def split(ledger: EnergyLedger, parts: Mapping[str, Iterable[str]], images: int) -> dict[str, Any]:
    """Joules per image by phase and part, with totals; parts named with ``_`` for spaces."""
    told: dict[str, Any] = {}
    for phase, names in parts.items():
        found = {name.replace(" ", "_"): ledger.joules(f"{phase} {name}") / images for name in names}
        told[phase] = {**found, "total": sum(found.values())}
    return {**told, "total": sum(each["total"] for each in told.values())}


def _efficiencies(per_image: Mapping[str, Any], layers: Shapes) -> dict[str, float | None]:
    """TOPS/W of forward pass and update, array alone and all parts; None where nothing was drawn."""
    weights = sum(rows * columns for rows, columns in layers)
    forward, update = per_image["forward"], per_image["update"]
    macs, updates = OPERATIONS_PER_MAC * weights, OPERATIONS_PER_UPDATE * weights
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
        f"update for one image = {OPERATIONS_PER_UPDATE}, whether or not a pulse is sent"
    )
