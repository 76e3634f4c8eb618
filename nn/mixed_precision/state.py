"""A network on pairs in training, as it is kept to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nn.arrays import Float32s
from nn.checkpoint import Arrays
from nn.mixed_precision.counts import Counts, counts_from_json
from nn.mixed_precision.memory import Memory


@dataclass(eq=False)
class State:
    """A network in training.

    Attributes:
        memory: its weights.
        chi: what is still to be programmed (weight units), shape (weights,).
        shuffle: draws the batches.
        draws: draws pulses and read noise.
        counts: events so far.
        history: one JSON-like record per finished epoch.
        seconds: wall time so far (s).
    """

    memory: Memory
    chi: Float32s
    shuffle: np.random.Generator
    draws: np.random.Generator
    counts: Counts
    history: list[dict[str, Any]]
    seconds: float

    def arrays(self) -> Arrays:
        """All that training moves in place, by name."""
        return {**self.memory.arrays(), "chi": self.chi}

    def counted(self) -> dict[str, Any]:
        """The events beside the arrays."""
        return {"counts": self.counts.to_json()}

    def take(self, counted: Mapping[str, Any], _: Arrays) -> None:
        """Go on from what another state ``counted``."""
        self.counts = counts_from_json(counted["counts"])
