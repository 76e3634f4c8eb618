"""What happened to the devices in training, for the energy; kept with the state, summed over runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s


@dataclass
class Reading:
    """Input pulses at pairs (a pulse sees every output's pair), and the energy they took (J)."""

    events: float = 0.0
    energy: float = 0.0

    def add(self, other: Reading) -> None:
        """Take in another's."""
        self.events += other.events
        self.energy += other.energy


@dataclass
class Counts:
    """Events of training; energies in J.

    Attributes:
        images, steps: seen and made.
        set_pulses: SET pulses by number since RESET, shape (table's pulses,); the last entry has all later
            ones.
        set_energy: of all of them.
        refresh_set_pulses: those that refreshes sent.
        outside_support: SET pulses whose nearest conductance in the table was not sampled.
        resets, reset_energy: devices RESET.
        refreshes: looks at the whole memory for pairs to refresh.
        refreshed_pairs: pairs programmed anew.
        sampled_steps: steps whose reads were taken.
        forward, backward: reads of the sampled steps, one entry a layer.
        look: reads of every pair at full width, one look a sampled step.
        inputs: inputs that were not zero, of each layer, summed over the images, the constant one included.
        rows: rows of each layer's weights whose input was not zero in any image of the step, summed over the
            steps: what an update touches.
    """

    images: int = 0
    steps: int = 0
    set_pulses: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    set_energy: float = 0.0
    refresh_set_pulses: int = 0
    outside_support: int = 0
    resets: int = 0
    reset_energy: float = 0.0
    refreshes: int = 0
    refreshed_pairs: int = 0
    sampled_steps: int = 0
    forward: list[Reading] = field(default_factory=list)
    backward: list[Reading] = field(default_factory=list)
    look: Reading = field(default_factory=Reading)
    inputs: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def see(self, inputs: Sequence[Float32s]) -> None:
        """Count a step's inputs, one array (images, inputs) a layer, that are not zero, and their rows."""
        pulsed = [x != 0 for x in inputs]
        self.inputs = summed(self.inputs, [int(np.count_nonzero(x)) for x in pulsed])
        self.rows = summed(self.rows, [int(np.count_nonzero(x.any(axis=0))) for x in pulsed])

    @property
    def pulses(self) -> int:
        """SET pulses in all."""
        return int(self.set_pulses.sum())

    def add(self, other: Counts) -> None:
        """Take in another's events, of a network of the same layers."""
        for name in (
            "images", "steps", "set_energy", "refresh_set_pulses", "outside_support", "resets",
            "reset_energy", "refreshes", "refreshed_pairs", "sampled_steps",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        longer, shorter = sorted((self.set_pulses, other.set_pulses), key=len, reverse=True)
        self.set_pulses = longer.copy()
        self.set_pulses[: len(shorter)] += shorter
        for mine, theirs in ((self.forward, other.forward), (self.backward, other.backward)):
            mine.extend(Reading() for _ in range(len(theirs) - len(mine)))
            for reading, more in zip(mine, theirs, strict=True):
                reading.add(more)
        self.look.add(other.look)
        self.inputs, self.rows = summed(self.inputs, other.inputs), summed(self.rows, other.rows)

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON-like values; ``counts_from_json`` reads them back."""
        return asdict(self) | {"set_pulses": self.set_pulses.tolist()}


def summed(mine: Sequence[int], theirs: Sequence[int]) -> list[int]:
    """Layer by layer; one that has counted nothing yet has no layers."""
    if not (mine and theirs):
        return list(mine or theirs)
    return [one + other for one, other in zip(mine, theirs, strict=True)]


def counts_from_json(values: Mapping[str, Any]) -> Counts:
    """The counts that ``Counts.to_json`` wrote."""
    return Counts(
        **{
            **values,
            "set_pulses": np.array(values["set_pulses"], np.int64),
            "forward": [Reading(**each) for each in values["forward"]],
            "backward": [Reading(**each) for each in values["backward"]],
            "look": Reading(**values["look"]),
        }
    )
