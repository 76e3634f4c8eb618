"""Energy of inference: exact counts of (state, activation) pairs, times the read table's energy of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s, Levels
from nn.network import Layer
from nn.synapse import STATES, SynapseDevice, Synapses
from spicebridge.energy import EnergyLedger


def count_states(synapses: Synapses) -> NDArray[np.int64]:
    """Synapses in each state on each row, shape (inputs, 4), in the order of ``STATES``."""
    weights, strong = synapses.weights, synapses.strong
    zero = weights == 0
    masks = (weights == -1, zero & ~strong, zero & strong, weights == 1)
    return np.stack([mask.sum(axis=1, dtype=np.int64) for mask in masks], axis=1)


def count_activations(x: Float32s) -> NDArray[np.int64]:
    """Images that put -1, 0, +1 on each row, shape (inputs, 3), for ternary inputs (images, inputs)."""
    return np.stack([(x == value).sum(axis=0, dtype=np.int64) for value in (-1, 0, 1)], axis=1)


def count_planes(levels: Levels, bits: int) -> NDArray[np.int64]:
    """The same for bit-serial inputs: planes of all images that put 0 or +1 on each row, shape (inputs,
    3)."""
    ones = sum(
        (((levels >> bit) & 1).sum(axis=0, dtype=np.int64) for bit in range(bits)),
        start=np.zeros(levels.shape[1], np.int64),
    )
    return np.stack([np.zeros_like(ones), len(levels) * bits - ones, ones], axis=1)


def feedforward_ledger(
    network: Sequence[Layer],
    device: SynapseDevice,
    *,
    levels: Levels,
    bits: int,
    hidden_inputs: Sequence[Float32s],
) -> EnergyLedger:
    """The energy of one pass of every image through the trained network.

    Args:
        network: trained layers.
        device: the compiled tables.
        levels: the images, shape (images, inputs), read in ``bits`` planes by the first layer.
        hidden_inputs: ternary inputs of the later layers, shape (images, inputs of the layer) each.

    Returns:
        Components ``layer 1`` .. with one action per state and activation.
    """
    ledger = EnergyLedger()
    counts = [count_planes(levels, bits), *(count_activations(x) for x in hidden_inputs)]
    for number, (layer, activations) in enumerate(zip(network, counts, strict=True), start=1):
        pairs = count_states(layer.synapses).T @ activations
        for row, state in enumerate(STATES):
            for column, activation in enumerate((-1, 0, 1)):
                events = int(pairs[row, column])
                sign = f"{activation:+d}" if activation else "0"
                ledger.add(
                    f"layer {number}",
                    f"read {state} at activation {sign}",
                    events=events,
                    joules=events * float(device.read_energy[row, column]),
                    source=device.read_source,
                )
    return ledger
