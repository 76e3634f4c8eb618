"""What holds the weights: pairs of phase-change devices, ideal devices, or plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nn.arrays import Float32s
from nn.mixed_precision import pairs as pcm
from nn.mixed_precision.arms import Arm
from nn.mixed_precision.counts import Counts
from nn.mixed_precision.pairs import Operation, Pairs
from nn.mixed_precision.update import Found
from spicebridge.errors import SpicebridgeError

MOST_PULSES = 1000  # on one device in one update: some fifty times what saturates it

Arrays = dict[str, np.ndarray[Any, Any]]


class Memory(Protocol):
    """Weights that pulses move."""

    @property
    def weights(self) -> Float32s:
        """As read, shape (weights,); the same array throughout."""

    @property
    def noise(self) -> Float32s | None:
        """Variance of one read of each, in an array that stays too; None where reads have none."""

    def program(self, found: Found, *, now: int, rng: np.random.Generator, counts: Counts) -> None:
        """Give weights whole pulses, after image number ``now``."""

    def look(self, now: int, *, rng: np.random.Generator, counts: Counts) -> None:
        """What the memory needs from time to time: refresh, and drift brought up to date."""

    def catch_up(self, now: int) -> None:
        """Bring what is read up to date for the images after number ``now``, touching no device."""

    def reread(self, at: float) -> None:
        """Read all weights at the time of image number ``at``, touching no device."""

    def arrays(self) -> Arrays:
        """All that is to be kept, by name."""


@dataclass(frozen=True, eq=False)
class PairMemory:
    """Weights on phase-change pairs; see ``nn.mixed_precision.pairs``.

    Attributes:
        pairs: the devices.
        operation: how they are used.
        interval: images between looks; a batch is the least.
        batch: images between updates.
    """

    pairs: Pairs
    operation: Operation
    interval: int
    batch: int

    @property
    def weights(self) -> Float32s:
        """As read."""
        return self.pairs.weights

    @property
    def noise(self) -> Float32s | None:
        """Variance of one read of each."""
        return self.pairs.noise if self.operation.arm.noise else None

    def program(self, found: Found, *, now: int, rng: np.random.Generator, counts: Counts) -> None:
        """Blind SET pulses: the sign picks the device of the pair."""
        weights, pulses = found
        if not len(weights):
            return
        most = np.abs(pulses).max()
        if not most <= MOST_PULSES:
            raise SpicebridgeError(
                f"an update after {now} images asks for {most:g} pulses on one device: training diverges. "
                "Lower rate_start."
            )
        devices = weights + self.pairs.count * (pulses < 0)
        wanted = np.abs(pulses).astype(np.intp)
        pcm.set_many(self.pairs, devices, wanted, self.operation, now=now, rng=rng, counts=counts)
        rest = max(self.interval - now % self.interval, self.batch)
        pcm.look_at(self.pairs, devices, self.operation, at=now + max(rest / 2, 1))

    def look(self, now: int, *, rng: np.random.Generator, counts: Counts) -> None:
        """Refresh the worn pairs, then bring the reading up to date."""
        if self.operation.arm.refresh:
            pcm.refresh(self.pairs, self.operation, now=now, rng=rng, counts=counts)
        if now // self.interval % pcm.SWEEP < max(1, self.batch // self.interval):
            self.catch_up(now)
        else:
            self._read_recent(now)

    def catch_up(self, now: int) -> None:
        """All devices as half way to the next sweep; those programmed lately as half way to the next look."""
        sweep = max(pcm.SWEEP * self.interval, self.batch)
        pcm.look(self.pairs, self.operation, at=now + sweep / 2)
        self._read_recent(now)

    def _read_recent(self, now: int) -> None:
        step, since = max(self.interval, self.batch), now - pcm.SWEEP * self.interval
        pcm.look(self.pairs, self.operation, at=now + step / 2, since=since)

    def reread(self, at: float) -> None:
        """All devices at that time."""
        pcm.look(self.pairs, self.operation, at=at)

    def arrays(self) -> Arrays:
        """The devices; what they read follows from them."""
        return {name: getattr(self.pairs, name) for name in ("g", "pulses", "programmed")}


@dataclass(frozen=True, eq=False)
class PlainMemory:
    """Numbers, which a pulse moves by exactly ``epsilon``."""

    weights: Float32s
    epsilon: float

    @property
    def noise(self) -> None:
        """None."""
        return None

    def program(self, found: Found, **_: Any) -> None:
        """Move weights by whole epsilons."""
        weights, pulses = found
        self.weights[weights] += pulses * np.float32(self.epsilon)

    def look(self, now: int, **_: Any) -> None:
        """Nothing wears."""

    def catch_up(self, now: int) -> None:
        """Nothing drifts."""

    def reread(self, at: float) -> None:
        """Nothing drifts."""

    def arrays(self) -> Arrays:
        """The weights."""
        return {"weights": self.weights}


def memory_of(
    arm: Arm, devices: Pairs, operation: Operation, *, epsilon: float, interval: int, batch: int
) -> Memory:
    """An arm's memory: the devices themselves, or plain weights that start where theirs are without drift.

    Args:
        arm: of ``nn.mixed_precision.arms.ARMS``.
        devices: freshly programmed, or as a checkpoint has them.
        operation: how they are used.
        epsilon: what a pulse stands for (weight units).
        interval, batch: images between looks and between updates.
    """
    if arm.memory == "pcm":
        return PairMemory(devices, operation, interval, batch)
    difference = devices.g[: devices.count] - devices.g[devices.count :]
    return PlainMemory(difference / np.float32(operation.g_scale), epsilon)
