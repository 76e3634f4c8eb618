"""The digital designs that mixed-precision training is held against: the same network in 32 or 8 bits.

A dedicated circuit without instructions: multiplies and adds, and a memory of a word for each weight. A step
reads the weights for the forward pass, those above the first layer for the backward pass, and reads and
writes them for the update. Buffers of inputs, activations and errors are in neither design.

With 8 bits, products are of whole numbers, sums have 32 bits, and the word that an update moves has 16, of
which the passes read the upper half. That is assumed: whether the network trains so is not tried here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nn.accounting import BACKWARD, FORWARD, UPDATE, Access, Arithmetic, Work, price
from nn.mixed_precision.assumptions import prices_of
from nn.periphery import MEMORY_8_KB, WORD, CitedEnergy
from spicebridge.energy import EnergyLedger

Shapes = Sequence[Sequence[int]]
"""Rows and columns of each layer's weights, the bias row included."""


def digital_ledger(
    layers: Shapes, values: Mapping[str, float], *, images: int, bits: int = WORD
) -> EnergyLedger:
    """The energy of training on some images, by phase and part.

    Args:
        layers: shapes of the weights.
        values: the assumptions' values by key.
        images: how many the network was trained on.
        bits: of its numbers: 32, in floating point, or 8, whole ones, of which an update keeps 16.

    Returns:
        Components ``forward arithmetic``, ``forward memory`` and so on for ``backward`` and ``update``.
    """
    weights = sum(rows * columns for rows, columns in layers)
    upper = sum(rows * columns for rows, columns in layers[1:])
    steps = images / values["batch"]
    memory = CitedEnergy(values["weight_memory"], MEMORY_8_KB.source)
    multiply, add, kept = ("fp32", "fp32", WORD) if bits == WORD else ("int8", "int32", 16)
    arithmetic = list(neurons(layers, images=images))
    accesses = [activations(layers, images=images)]
    for phase, entries, moves, held in (
        (FORWARD, weights, 1, bits),
        (BACKWARD, upper, 1, bits),
        (UPDATE, weights, 2, kept),
    ):
        # Errors seldom have zeros to leave out: what a step skips are the rows of zero inputs.
        image, step = (
            (1.0, 1.0) if phase == BACKWARD else (values["weights_products"], values["weights_touched"])
        )
        for operation, form in (
            ("multiply", multiply),
            ("add", add if phase != UPDATE or bits == WORD else "int16"),
        ):
            arithmetic.append(
                Arithmetic(
                    component=f"{phase} arithmetic",
                    action=operation,
                    operation=operation,
                    form=form,
                    events=image * entries * images,
                )
            )
        accesses.append(
            Access(
                component=f"{phase} memory",
                action="read weights" if moves == 1 else "read and write weights",
                events=moves * step * entries * steps,
                bits=held,
                memory=memory,
            )
        )
    work = Work(images=images, arithmetic=tuple(arithmetic), accesses=tuple(accesses))
    return price(work, prices_of(values))


def neurons(layers: Shapes, *, images: int) -> tuple[Arithmetic, ...]:
    """What neurons need in either design: derivative and error, learning rate."""
    outputs = sum(columns for _, columns in layers) * images
    last = layers[-1][1] * images
    return tuple(
        Arithmetic(component=component, action=action, operation=operation, form="fp32", events=events)
        for component, action, operation, events in (
            ("backward logic", "subtract the target", "add", last),
            ("backward logic", "derivative y (1 - y), multiply", "multiply", outputs),
            ("backward logic", "derivative y (1 - y), add", "add", outputs),
            ("backward logic", "error times derivative", "multiply", outputs),
            ("update logic", "error times learning rate", "multiply", outputs),
        )
    )


def activations(layers: Shapes, *, images: int) -> Access:
    """The look-up of every unit's activation, in either design."""
    outputs = sum(columns for _, columns in layers) * images
    return Access(
        component="forward logic", action="look up the activation", events=outputs, bits=WORD,
        memory=MEMORY_8_KB,
    )  # fmt: skip
