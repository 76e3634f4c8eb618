"""A network of ternary synapses in training, as it is kept to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nn.checkpoint import Arrays
from nn.counts import UpdateCounts
from nn.network import Layer
from nn.optimizer import Adam


@dataclass(frozen=True, eq=False)
class Moments:
    """A layer's Adam states."""

    weights: Adam
    scale: Adam
    shift: Adam


@dataclass(eq=False)
class State:
    """A network in training.

    Attributes:
        network: its layers.
        adams: their moments.
        shuffle: draws the batches.
        draws: draws the dither and the flips.
        counts: events so far.
        history: one JSON-like record per finished epoch.
        seconds: wall time so far (s).
    """

    network: tuple[Layer, ...]
    adams: tuple[Moments, ...]
    shuffle: np.random.Generator
    draws: np.random.Generator
    counts: UpdateCounts
    history: list[dict[str, Any]]
    seconds: float

    def parameters(self) -> Arrays:
        """What inference needs, by name: ``layer1.weights`` and so on."""
        named = {}
        for number, layer in enumerate(self.network, start=1):
            named[f"layer{number}.weights"] = layer.synapses.weights
            named[f"layer{number}.strong"] = layer.synapses.strong
            for name in ("scale", "shift", "mean", "variance"):
                named[f"layer{number}.{name}"] = getattr(layer, name)
        return named

    def arrays(self) -> Arrays:
        """All that training moves in place, by name, and the pulses counted."""
        named = self.parameters()
        for number, moments in enumerate(self.adams, start=1):
            for name, each in vars(moments).items():
                named[f"adam{number}.{name}.mean"] = each.mean
                named[f"adam{number}.{name}.square"] = each.square
        for direction, histogram in self.counts.pulses.items():
            named[f"pulses.{direction}"] = histogram
        return named | {"reads": self.counts.reads}

    def counted(self) -> dict[str, Any]:
        """The whole numbers beside the arrays."""
        return {
            "adam": [
                {name: {"steps": each.steps} for name, each in vars(adams).items()} for adams in self.adams
            ],
            "updates": self.counts.updates,
            "flips": self.counts.flips,
            "inputs": self.counts.inputs.tolist(),
        }

    def take(self, counted: Mapping[str, Any], arrays: Arrays) -> None:
        """Go on from what another state ``counted``, its pulses among the arrays.

        Raises:
            ValueError: it is of a network of other layers.
        """
        if len(counted["inputs"]) not in (0, len(self.network)):
            raise ValueError(f"inputs of {len(counted['inputs'])} layers")
        for moments, kept in zip(self.adams, counted["adam"], strict=True):
            for name, each in vars(moments).items():
                each.steps = kept[name]["steps"]
        self.counts.updates, self.counts.flips = counted["updates"], counted["flips"]
        self.counts.inputs = np.array(counted["inputs"], np.int64)
        for name, array in arrays.items():
            if name.startswith("pulses."):
                self.counts.pulses[name.removeprefix("pulses.")] = array
