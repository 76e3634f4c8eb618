"""Training state on disk: all that a resumed run needs to end bit for bit where an uninterrupted one does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nn.arrays import Float32s
from nn.checkpoint import generator_from, load_kept, save_arrays
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


def save_state(path: Path, state: State, fingerprint: str) -> None:
    """Write the state whole, under the digest of all that it depends on."""
    rest = {
        "fingerprint": fingerprint,
        "shuffle": state.shuffle.bit_generator.state,
        "draws": state.draws.bit_generator.state,
        "counts": state.counts.to_json(),
        "history": state.history,
        "seconds": state.seconds,
    }
    save_arrays(path, {**state.memory.arrays(), "chi": state.chi, "rest": np.array(json.dumps(rest))})


def restore(path: Path, state: State, fingerprint: str) -> None:
    """Put a fresh state where the one kept at ``path`` was; nothing, where there is none of this fingerprint.

    Raises:
        SpicebridgeError: the file is damaged.
    """

    def put(arrays: dict[str, Any], rest: dict[str, Any]) -> None:
        for name, array in {**state.memory.arrays(), "chi": state.chi}.items():
            array[:] = arrays[name]
        state.shuffle = generator_from(rest["shuffle"])
        state.draws = generator_from(rest["draws"])
        state.counts = counts_from_json(rest["counts"])
        state.history = rest["history"]
        state.seconds = rest["seconds"]

    load_kept(path, fingerprint, put)
