"""One seed a solution, one stream of it for each purpose: no solution's draws depend on its company."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a solution's random numbers are for; the numbers are part of every record, so they only grow."""

    SPLIT = 0
    START = 1
    ORDER = 2
    TRAINING_NOISE = 3
    SPREAD = 4
    WRITE = 5
    DEFECTS = 6
    FIDELITY = 7


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """The generator of one solution's stream."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream),)))
