"""What an update rule did, in whole numbers, and the energy that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.synapse import SynapseDevice
from spicebridge.energy import EnergyLedger
from spicebridge.sampler import PulseSampler

UPDATE = "update"
"""The ledger's component for weight updates."""


@dataclass(eq=False)
class UpdateCounts:
    """Event counts of weight updates; whole numbers, so that sums do not depend on their order.

    Attributes:
        updates: synapse updates, flipped or not.
        flips: changes of an MTJ's state.
        reads: reads before a pulse, by the weight found: -1, 0, +1, shape (3,).
        pulses: pulses sent, by direction, shape (grid entries,) each; entry 0 counts the pulses not sent.
        inputs: inputs that were not zero, of each layer, summed over the training images; shape (layers,).
    """

    updates: int = 0
    flips: int = 0
    reads: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    pulses: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    inputs: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def book(self, sampler: PulseSampler, histogram: NDArray[np.int64]) -> None:
        """Add a histogram over grid entries; entries past the longest count as the longest."""
        known = self.pulses.setdefault(sampler.direction, np.zeros(len(sampler.width), np.int64))
        known += histogram[: len(known)]
        known[-1] += histogram[len(known) :].sum()

    def see(self, inputs: Sequence[NDArray[Any]]) -> None:
        """Count what of a batch's inputs, one array (images, inputs) a layer, is not zero."""
        seen = np.array([np.count_nonzero(x) for x in inputs], np.int64)
        self.inputs = seen + self.inputs if len(self.inputs) else seen

    @property
    def pulses_sent(self) -> int:
        """Pulses of any width above zero."""
        return int(sum(histogram[1:].sum() for histogram in self.pulses.values()))

    def add(self, other: UpdateCounts) -> None:
        """Add another's counts to these."""
        self.updates += other.updates
        self.flips += other.flips
        self.reads += other.reads
        if len(other.inputs):
            self.inputs = other.inputs + self.inputs if len(self.inputs) else other.inputs.copy()
        for direction, histogram in other.pulses.items():
            mine = self.pulses.setdefault(direction, np.zeros_like(histogram))
            mine += histogram

    def ledger(self, device: SynapseDevice, *, siblings: bool) -> EnergyLedger:
        """The energy of these reads and pulses, from the device's tables.

        A read before an update is made at activation +1. A pulse counts at its own width, whether or not the
        device switches.

        Args:
            device: the compiled tables.
            siblings: whether a pulsed branch's sibling, which shares its u lines, idles with its gate at
                ground (it does unless both are pulsed blindly): what it draws is then counted too.
        """
        ledger = EnergyLedger()
        by_weight = device.energy_by_weight()[:, 2]
        for weight, events, joules in zip((-1, 0, 1), self.reads, by_weight, strict=True):
            ledger.add(
                UPDATE,
                f"read w={weight:+d}" if weight else "read w=0",
                events=int(events),
                joules=float(events * joules),
                source=device.read_source,
            )
        for sampler in (device.away, device.back):
            histogram = self.pulses.get(sampler.direction, np.zeros(len(sampler.width), np.int64))
            ledger.add(
                UPDATE,
                f"pulse {sampler.direction}",
                events=int(histogram[1:].sum()),
                joules=float(histogram @ sampler.energy),
                source=sampler.source,
            )
            if siblings and sampler.half_selected:
                sent = int(histogram[1:].sum())
                ledger.add(
                    UPDATE,
                    f"idle sibling, {sampler.direction}",
                    events=sent,
                    joules=sent * sampler.half_selected["u"],
                    source=sampler.source,
                )
        return ledger
