"""Blind pulses: the ablation that updates both branches of a synapse without reading it first.

A move up drives branch 1 to P and branch 2 to AP, a move down the reverse, each with the pulse its own
direction needs for the wanted probability. The two devices flip independently, so a synapse at -1 reaches +1
in one step with probability P**2 (the hazard), and a zero can be either pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s
from nn.counts import UpdateCounts
from nn.encoding import tabulate_encoding
from nn.spread import of_devices
from nn.synapse import SynapseDevice, Synapses
from spicebridge.sampler import BinnedFunction, PulseSampler


@dataclass(frozen=True, eq=False)
class BlindUpdate:
    """Both branches pulsed with the wanted width, whatever the state, at the range's end too.

    A pulse on a device that already is in the wanted state costs the table's energy for that width: the table
    holds no other.

    Attributes:
        device: the compiled tables.
        to_p, to_ap: fractional grid entry by nu of the two directions' pulses.
    """

    device: SynapseDevice
    to_p: BinnedFunction
    to_ap: BinnedFunction

    def apply(
        self, synapses: Synapses, increments: Float32s, rng: np.random.Generator, counts: UpdateCounts
    ) -> None:
        """Move int8 weights and the kinds of their zeros, shape (inputs, outputs)."""
        weights, strong = synapses.weights, synapses.strong
        parallel = [(weights == 1) | ((weights == 0) & strong), (weights == -1) | ((weights == 0) & strong)]
        factors = (None, None) if synapses.factors is None else synapses.factors
        up, pulsed = increments > 0, increments != 0
        size = np.abs(increments)
        saturating, fraction = size >= 1.0, size - np.floor(size)
        for branch, towards_p in ((0, up), (1, ~up)):
            for sampler, positions, chosen in (
                (self.device.ap_to_p, self.to_p, pulsed & towards_p),
                (self.device.p_to_ap, self.to_ap, pulsed & ~towards_p),
            ):
                can_flip = parallel[branch] != (sampler.direction == "ap_to_p")
                longest = np.where(saturating, sampler.longest, 0)
                dithered = (positions(fraction) + rng.random(size.shape, dtype=np.float32)).astype(np.intp)
                for entry in (longest, dithered):
                    sent = np.where(chosen, entry, 0)
                    flipped = _pulse(sampler, sent, can_flip, factors[branch], rng, counts)
                    parallel[branch] ^= flipped
                    can_flip &= ~flipped
        counts.updates += weights.size
        weights[...] = parallel[0].astype(np.int8) - parallel[1].astype(np.int8)
        strong[...] = parallel[0] & parallel[1]


def _pulse(
    sampler: PulseSampler,
    entry: NDArray[np.intp],
    can_flip: NDArray[np.bool_],
    factors: Float32s | None,
    rng: np.random.Generator,
    counts: UpdateCounts,
) -> NDArray[Any]:
    """Send the grid entries' pulses; returns where a device flipped."""
    entry = np.minimum(entry, sampler.longest)
    counts.book(sampler, np.bincount(entry.ravel(), minlength=len(sampler.width)))
    p_switch = sampler.p_switch[entry]
    if factors is not None:
        p_switch = of_devices(p_switch, factors)
    flipped = can_flip & (rng.random(entry.shape, dtype=np.float32) < p_switch)
    counts.flips += int(np.count_nonzero(flipped))
    return flipped


def blind_update(device: SynapseDevice, *, steepness: float) -> BlindUpdate:
    """Blind pulses whose widths are the inverse of the table at tanh(steepness nu)."""
    to_p, to_ap = (
        tabulate_encoding(sampler, encoding="inverse", steepness=steepness)
        for sampler in (device.ap_to_p, device.p_to_ap)
    )
    return BlindUpdate(device=device, to_p=to_p, to_ap=to_ap)
