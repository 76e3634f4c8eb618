"""Update rules: how a wanted increment becomes a change of state.

The discrete rule (GXNOR / DST; Deng et al., arXiv 1705.09283) splits an increment into k whole weight steps
and a fraction nu: the weight moves k steps, and one more with probability tanh(m nu), within [-1, 1]. No
float copy of a weight is kept. ``TanhUpdate`` draws that probability in software; ``PulsedUpdate`` leaves the
draw to the MTJ, at the pulse width the encoding asks for. ``nn.blind`` holds the rule that pulses without
reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s, States
from nn.counts import UpdateCounts
from nn.encoding import tabulate_encoding
from nn.spread import of_devices
from nn.synapse import SynapseDevice, Synapses
from spicebridge.sampler import BINS, FIRST_PATTERN, SHIFT

BLOCK = 16384  # weights worked on at a time; part of what fixes the order of the random draws


class UpdateRule(Protocol):
    """What carries wanted increments into an array of weights, in place."""

    def apply(
        self, synapses: Synapses, increments: Float32s, rng: np.random.Generator, counts: UpdateCounts, /
    ) -> None:
        """Move the weights, shape (inputs, outputs), by ``increments`` of the same shape."""
        ...


@dataclass(frozen=True)
class FloatUpdate:
    """The floating-point baseline: the weight moves by the increment."""

    def apply(
        self, synapses: Synapses, increments: Float32s, _rng: np.random.Generator, counts: UpdateCounts
    ) -> None:
        """Add the increments; draws nothing and counts only operations."""
        synapses.weights[:] += increments
        counts.updates += increments.size


@dataclass(frozen=True)
class TanhUpdate:
    """The discrete rule with its Bernoulli draw in software.

    Attributes:
        steepness: m of tanh(m nu).
    """

    steepness: float

    def apply(
        self, synapses: Synapses, increments: Float32s, rng: np.random.Generator, counts: UpdateCounts
    ) -> None:
        """Move int8 weights, shape (inputs, outputs)."""
        weights = synapses.weights
        size = np.abs(increments)
        whole = np.floor(size)
        probability = np.tanh(np.float32(self.steepness) * (size - whole))
        whole += rng.random(size.shape, dtype=np.float32) < probability
        moved = np.clip(weights + np.sign(increments) * whole, -1, 1).astype(np.int8)
        counts.updates += weights.size
        counts.flips += int(np.sum(np.abs(moved - weights), dtype=np.int64))
        weights[...] = moved


@dataclass(frozen=True, eq=False)
class _Scratch:
    """Buffers of one block of weights, so that the hot loop allocates little; one thread at a time."""

    size: Float32s
    uniform: Float32s
    bins: NDArray[np.int32]
    offset: NDArray[np.int32]
    index: NDArray[np.intp]
    sign: States
    section: States
    flag: NDArray[np.bool_]

    def first(self, n: int) -> _Scratch:
        """Views of the first ``n`` entries."""
        return _Scratch(
            size=self.size[:n],
            uniform=self.uniform[:n],
            bins=self.bins[:n],
            offset=self.offset[:n],
            index=self.index[:n],
            sign=self.sign[:n],
            section=self.section[:n],
            flag=self.flag[:n],
        )


def _scratch() -> _Scratch:
    return _Scratch(
        size=np.empty(BLOCK, np.float32),
        uniform=np.empty(BLOCK, np.float32),
        bins=np.empty(BLOCK, np.int32),
        offset=np.empty(BLOCK, np.int32),
        index=np.empty(BLOCK, np.intp),
        sign=np.empty(BLOCK, np.int8),
        section=np.empty(BLOCK, np.int8),
        flag=np.empty(BLOCK, np.bool_),
    )


@dataclass(frozen=True, eq=False)
class PulsedUpdate:
    """The discrete rule carried out by the MTJs: read, then pulse the one branch the state calls for.

    Every increment that is not zero costs a read. A whole step is a saturating pulse, preceded by its own
    read; the fraction is a pulse of the encoded width, dithered to the timing grid; at the end of the range
    none is sent.

    Three sections lie end to end in each array: ``back`` (the weight is +-1 and moves toward 0), ``away`` (it
    is 0) and ``end`` (no pulse). A weight's section is weight * sign(increment) + 1.

    Attributes:
        device: the compiled tables.
        positions: fractional flat entry by section and bin of nu, shape (3 * BINS,), float32.
        probability: switching probability by flat entry, float32.
        starts: first flat entry of the sections.
    """

    device: SynapseDevice
    positions: Float32s
    probability: Float32s
    starts: tuple[int, int, int]
    _scratch: _Scratch = field(default_factory=_scratch, repr=False)

    def apply(
        self, synapses: Synapses, increments: Float32s, rng: np.random.Generator, counts: UpdateCounts
    ) -> None:
        """Move int8 weights whose zeros are canonical, shape (inputs, outputs), C-contiguous."""
        weights = synapses.weights
        flat_weights, flat_increments = weights.reshape(-1), increments.reshape(-1)
        factors = None if synapses.factors is None else synapses.factors.reshape(2, -1)
        histogram = np.zeros(len(self.probability), np.int64)
        for start in range(0, weights.size, BLOCK):
            block = slice(start, start + BLOCK)
            some = None if factors is None else factors[:, block]
            histogram += self._apply_block(flat_weights[block], flat_increments[block], some, rng, counts)
        counts.updates += weights.size
        back, away, end = self.starts
        counts.book(self.device.back, histogram[back:away])
        counts.book(self.device.away, histogram[away:end])

    def _apply_block(
        self,
        weights: States,
        increments: Float32s,
        factors: Float32s | None,
        rng: np.random.Generator,
        counts: UpdateCounts,
    ) -> NDArray[np.int64]:
        at = self._scratch.first(len(weights))
        histogram = np.zeros(len(self.probability), np.int64)
        np.abs(increments, out=at.size)
        np.greater(increments, 0, out=at.flag)
        np.multiply(at.flag.view(np.int8), 2, out=at.sign)
        np.subtract(at.sign, 1, out=at.sign)
        if at.size.max(initial=0.0) >= 1.0:
            histogram += self._whole_steps(weights, at.sign, at.size, factors, rng, counts)
        self._count_reads(weights, at.size, at.flag, counts)
        np.multiply(weights, at.sign, out=at.section)
        # bin_of(size) in place, then on to the weight's section.
        np.right_shift(at.size.view(np.int32), SHIFT, out=at.bins)
        np.subtract(at.bins, FIRST_PATTERN, out=at.bins)
        np.maximum(at.bins, 0, out=at.bins)
        np.multiply(at.section, BINS, out=at.offset, dtype=np.int32)
        np.add(at.bins, at.offset, out=at.bins)
        np.add(at.bins, BINS, out=at.bins)
        np.copyto(at.index, at.bins)
        np.take(self.positions, at.index, out=at.size, mode="clip")
        rng.random(out=at.uniform, dtype=np.float32)
        np.add(at.size, at.uniform, out=at.size)
        np.copyto(at.index, at.size, casting="unsafe")  # positions are not negative, so this is the floor
        histogram += np.bincount(at.index, minlength=len(histogram))
        np.take(self.probability, at.index, out=at.size, mode="clip")
        rng.random(out=at.uniform, dtype=np.float32)
        if factors is None:
            np.less(at.uniform, at.size, out=at.flag)
            flipped = np.flatnonzero(at.flag)
        else:
            flipped = self._flipped(weights, at, factors)
        weights[flipped] += at.sign[flipped]
        counts.flips += len(flipped)
        return histogram

    def _flipped(self, weights: States, at: _Scratch, factors: Float32s) -> NDArray[np.intp]:
        """Where devices that differ flip, of probabilities in ``at.size`` and draws in ``at.uniform``.

        No device's probability is above the table's times the largest factor or one, so that few need theirs
        worked out.
        """
        bound = at.size * np.maximum(factors.max(), np.float32(1))
        near = np.flatnonzero(at.uniform < bound)
        theirs = of_devices(at.size[near], self._factors_of(near, weights, at.sign, factors))
        return near[at.uniform[near] < theirs]

    def _factors_of(
        self, chosen: NDArray[np.intp], weights: States, sign: States, factors: Float32s
    ) -> Float32s:
        """Factors of the MTJs that moves of the weights by their signs pulse."""
        between_zero_and_one = 2 * weights[chosen] + sign[chosen] > 0
        # Branch 1 tells +1 from the weak zero, branch 2 from the strong one.
        second = between_zero_and_one == (self.device.zero == "strong")
        return factors[second.astype(np.intp), chosen]

    def _whole_steps(
        self,
        weights: States,
        sign: States,
        size: Float32s,
        factors: Float32s | None,
        rng: np.random.Generator,
        counts: UpdateCounts,
    ) -> NDArray[np.int64]:
        """Carry out whole steps, each a read and a saturating pulse; their fractions stay in ``size``."""
        histogram = np.zeros(len(self.probability), np.int64)
        back, away, _ = self.starts
        saturating = np.array([back + self.device.back.longest, away + self.device.away.longest])
        remaining = np.floor(size)
        size -= remaining
        np.minimum(remaining, 2.0, out=remaining)  # two steps cross the whole range
        while remaining.max(initial=0.0) >= 1.0:
            chosen = np.flatnonzero(remaining >= 1.0)
            remaining[chosen] -= 1.0
            for weight in (-1, 0, 1):
                counts.reads[weight + 1] += int(np.count_nonzero(weights[chosen] == weight))
            chosen = chosen[weights[chosen] * sign[chosen] < 1]
            pulse = saturating[weights[chosen] * sign[chosen] + 1]
            histogram += np.bincount(pulse, minlength=len(histogram))
            probability = self.probability[pulse]
            if factors is not None:
                probability = of_devices(probability, self._factors_of(chosen, weights, sign, factors))
            flipped = chosen[rng.random(len(chosen), dtype=np.float32) < probability]
            weights[flipped] += sign[flipped]
            counts.flips += len(flipped)
        return histogram

    def _count_reads(
        self, weights: States, size: Float32s, flag: NDArray[np.bool_], counts: UpdateCounts
    ) -> None:
        np.not_equal(size, 0, out=flag)
        reads = int(np.count_nonzero(flag))
        signed = np.multiply(weights, flag.view(np.int8))
        plus = int(np.count_nonzero(signed > 0))
        nonzero = int(np.count_nonzero(signed))
        counts.reads += np.array([nonzero - plus, reads - nonzero, plus])


def pulsed_update(device: SynapseDevice, *, encoding: str, steepness: float) -> PulsedUpdate:
    """The discrete rule on a device's tables, with one of ``nn.encoding.ENCODINGS``.

    Raises:
        SpicebridgeError: an unknown encoding.
    """
    positions, chances, starts, start = [], [], [], 0
    for sampler in (device.back, device.away):
        inside = tabulate_encoding(sampler, encoding=encoding, steepness=steepness).values
        starts.append(start)
        positions.append(inside + np.float32(start))
        # float32 rounding can lift longest + U to longest + 1: that entry repeats the longest pulse.
        chances.append(np.append(sampler.p_switch, sampler.p_switch[-1]))
        start += len(chances[-1])
    for each, first in zip(positions, starts, strict=True):
        each[each == first] = start  # no pulse, whatever the dither
    positions.append(np.full(BINS, start, np.float32))
    chances.append(np.zeros(2, np.float32))
    return PulsedUpdate(
        device=device,
        positions=np.concatenate(positions),
        probability=np.concatenate(chances),
        starts=(starts[0], starts[1], start),
    )
