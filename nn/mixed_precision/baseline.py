"""The digital design that mixed-precision training is held against: the same network in 32-bit arithmetic.

A dedicated circuit without instructions: floating-point multiplies and adds, and a memory that holds a word
for each weight. A step reads the weights for the forward pass, those above the first layer for the backward
pass, and reads and writes all of them for the update. Buffers of inputs, activations and errors are in
neither design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nn.mixed_precision.assumptions import multiply_and_add
from nn.periphery import MEMORY_8_KB, MULTIPLY_FP32
from spicebridge.energy import EnergyLedger, Source

Shapes = Sequence[Sequence[int]]
"""Rows and columns of each layer's weights, the bias row included."""

ARITHMETIC = MULTIPLY_FP32.source
MEMORY = MEMORY_8_KB.source


def book(
    ledger: EnergyLedger, component: str, action: str, events: float, joules: float, source: Source
) -> None:
    """Book events of ``joules`` each; their number may be a mean, and is told as a whole one."""
    whole = max(round(events), 1) if events * joules > 0 else 0
    ledger.add(component, action, events=whole, joules=events * joules, source=source)


def digital_ledger(layers: Shapes, values: Mapping[str, float], *, images: int) -> EnergyLedger:
    """The energy of training on some images, by phase and part.

    Args:
        layers: shapes of the weights.
        values: the assumptions' values by key.
        images: how many the network was trained on.

    Returns:
        Components ``forward arithmetic``, ``forward memory`` and so on for ``backward`` and ``update``.
    """
    ledger = EnergyLedger()
    weights = sum(rows * columns for rows, columns in layers)
    upper = sum(rows * columns for rows, columns in layers[1:])
    steps = images / values["batch"]
    touched = values["weights_touched"]
    for phase, entries, accesses in (("forward", weights, 1), ("backward", upper, 1), ("update", weights, 2)):
        # Errors seldom have zeros to leave out: what a step skips are the rows of zero inputs.
        share = 1.0 if phase == "backward" else touched
        macs = f"{phase} arithmetic"
        book(ledger, macs, "multiply and add", share * entries * images, values["mac"], ARITHMETIC)
        name = "read weights" if accesses == 1 else "read and write weights"
        book(
            ledger,
            f"{phase} memory",
            name,
            accesses * share * entries * steps,
            values["weight_memory"],
            MEMORY,
        )
    book_neurons(ledger, layers, values, images=images)
    return ledger


def book_neurons(ledger: EnergyLedger, layers: Shapes, values: Mapping[str, float], *, images: int) -> None:
    """Book what neurons need in either design: activation, derivative and error, learning rate."""
    multiply, add = multiply_and_add(values)
    outputs = sum(columns for _, columns in layers) * images
    book(ledger, "forward logic", "look up the activation", outputs, MEMORY_8_KB.joules, MEMORY)
    book(ledger, "backward logic", "subtract the target", layers[-1][1] * images, add, ARITHMETIC)
    book(ledger, "backward logic", "derivative y (1 - y), multiply", outputs, multiply, ARITHMETIC)
    book(ledger, "backward logic", "derivative y (1 - y), add", outputs, add, ARITHMETIC)
    book(ledger, "backward logic", "error times derivative", outputs, multiply, ARITHMETIC)
    book(ledger, "update logic", "error times learning rate", outputs, multiply, ARITHMETIC)
