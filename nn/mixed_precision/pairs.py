"""Weights on differential pairs of phase-change devices: blind SET pulses, drift, refresh.

All pairs of a network lie in one flat array, so that a step programs all layers at once. A device is numbered
``sign * pairs + pair``, sign 0 for the positive and 1 for the negative device.

What devices read is kept beside their state. It is brought up to date where devices are programmed, at every
look (each ``refresh_interval`` images) for those programmed since ``SWEEP`` looks, and at every ``SWEEP``-th
look for all, each time at the age they will have half way to the next time. What that leaves off is the
factor (age / age read at)**-nu. With nu = 0.04 and 100 images between looks: a device reads up to 17 % low in
the first image after its programming, if that came just after a look, within 3 % half an interval later, and
within 2 % from the second look on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s
from nn.mixed_precision.arms import Arm
from nn.mixed_precision.counts import Counts
from nn.mixed_precision.device import PcmDevice
from nn.mixed_precision.experiment import MixedExperiment

Devices = NDArray[np.intp]
SWEEP = 10  # looks to one that brings every device up to date
BLOCK = 16384  # devices read at a time, so that what is between stays near the cache


@dataclass(frozen=True, kw_only=True)
class Operation:
    """How pairs are used.

    Attributes:
        device: the tables.
        arm: what is switched off.
        g_scale: conductance difference of a weight of one (S).
        image_time: of one training image (s).
        drift_reference: age at which a device that does not drift is read (s).
        threshold, difference: a pair is refreshed when one of its devices reads more than the first while
            they differ by less than the second (S).
        most_pulses: that a refreshed pair gets.
        margin: pairs that read this much below the threshold are never over it, whatever the noise (S).
    """

    device: PcmDevice
    arm: Arm
    g_scale: float
    image_time: float
    drift_reference: float
    threshold: float
    difference: float
    most_pulses: int
    margin: float


def operation_of(experiment: MixedExperiment, arm: Arm, device: PcmDevice) -> Operation:
    """How an experiment's arm uses its pairs; the margin is five standard deviations of a read's noise."""
    return Operation(
        device=device,
        arm=arm,
        g_scale=experiment.g_scale,
        image_time=experiment.image_time,
        drift_reference=experiment.drift_reference,
        threshold=experiment.refresh_threshold,
        difference=experiment.refresh_difference,
        most_pulses=experiment.refresh_pulses,
        margin=5 * device.reads.worst_noise(experiment.refresh_threshold) if arm.noise else 0.0,
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """The devices of a network and what they read.

    Attributes:
        g: conductance at the tables' reference age, shape (2 * pairs,) (S).
        pulses: SET pulses since RESET, at most 255, same shape.
        programmed: number of the image after which each was programmed last, same shape.
        read: conductance read, without noise, same shape (S).
        variance: of one read, same shape (S^2).
        weights: (positive - negative) / g_scale as read, shape (pairs,).
        noise: variance of one read of the weight, shape (pairs,).
    """

    g: Float32s
    pulses: NDArray[np.uint8]
    programmed: Float32s
    read: Float32s
    variance: Float32s
    weights: Float32s
    noise: Float32s

    @property
    def count(self) -> int:
        """Pairs."""
        return len(self.weights)


def fresh_pairs(count: int, operation: Operation, *, share: float, rng: np.random.Generator) -> Pairs:
    """Pairs that were RESET, some of which got one SET pulse on a device drawn at random.

    Args:
        count: pairs.
        operation: how they are used.
        share: of the pairs that get the pulse.
        rng: draws conductances, pairs and pulses.
    """
    device = operation.device
    mean, std = device.fresh
    g = rng.standard_normal(2 * count, dtype=np.float32)
    g *= np.float32(std if operation.arm.noise else 0.0)
    g += np.float32(mean)
    np.clip(g, device.least, device.most, out=g)
    empty = [np.zeros(2 * count, np.float32) for _ in range(3)]
    weights, noise = np.zeros(count, np.float32), np.zeros(count, np.float32)
    pairs = Pairs(g, np.zeros(2 * count, np.uint8), empty[0], empty[1], empty[2], weights, noise)
    chosen = np.flatnonzero(rng.random(count, dtype=np.float32) < share)
    chosen += count * rng.integers(0, 2, len(chosen))
    set_once(pairs, chosen, operation, now=0.0, rng=rng, counts=Counts())
    return pairs


def set_once(
    pairs: Pairs,
    devices: Devices,
    operation: Operation,
    *,
    now: float,
    rng: np.random.Generator,
    counts: Counts,
) -> None:
    """One blind SET pulse on each of ``devices``, none named twice; what they read is left as it is.

    The change is normal, with the table's mean and standard deviation at the pulse's number and the
    conductance before it, and is cut at the table's ends.
    """
    device = operation.device
    number, before = pairs.pulses[devices], pairs.g[devices]
    row = np.minimum(number, len(device.pulses.values) - 1).astype(np.intp)
    found = device.pulses(row, before)
    after = found[:, 0]
    if operation.arm.noise:
        after += found[:, 1] * rng.standard_normal(len(devices), dtype=np.float32)
    after += before
    pairs.g[devices] = np.clip(after, device.least, device.most, out=after)
    pairs.pulses[devices] = number + (number < 255)
    pairs.programmed[devices] = now
    if len(counts.set_pulses) < len(device.pulses.values):
        counts.set_pulses = np.zeros(len(device.pulses.values), np.int64)
    counts.set_pulses += np.bincount(row, minlength=len(counts.set_pulses))
    counts.set_energy += float(found[:, 3].sum(dtype=np.float64))
    # Interpolated between grid points: below one half the nearer one was not sampled.
    counts.outside_support += int(np.count_nonzero(found[:, 2] < 0.5))


def set_many(
    pairs: Pairs,
    devices: Devices,
    wanted: NDArray[np.intp],
    operation: Operation,
    *,
    now: float,
    rng: np.random.Generator,
    counts: Counts,
) -> None:
    """``wanted`` pulses on each of ``devices``, one round after the other; see ``set_once``."""
    while len(devices):
        set_once(pairs, devices, operation, now=now, rng=rng, counts=counts)
        more = wanted > 1
        devices, wanted = devices[more], wanted[more] - 1


def look(pairs: Pairs, operation: Operation, *, at: float, since: float | None = None) -> None:
    """Bring what every device reads up to date, at the time of image number ``at``.

    With ``since``, only of devices that were programmed at that image or later.
    """
    if since is not None:
        look_at(pairs, np.flatnonzero(pairs.programmed >= np.float32(since)), operation, at=at)
        return
    for begin in range(0, 2 * pairs.count, BLOCK):
        part = slice(begin, begin + BLOCK)
        _read(pairs, part, operation, at)
    _combine(pairs, slice(None), operation)


def look_at(pairs: Pairs, devices: Devices, operation: Operation, *, at: float) -> None:
    """The same for some devices and their weights; a device may be named more than once."""
    _read(pairs, devices, operation, at)
    _combine(pairs, devices % pairs.count, operation)


def _read(pairs: Pairs, which: slice | Devices, operation: Operation, at: float) -> None:
    reads, g = operation.device.reads, pairs.g[which]
    if operation.arm.drift:
        age = np.float32(at) - pairs.programmed[which]
        age *= np.float32(operation.image_time)
    else:
        age = np.full(len(g), operation.drift_reference, np.float32)
    bins = reads.bins(g, age)
    pairs.read[which] = reads.ratio[bins] * g
    if operation.arm.noise:
        pairs.variance[which] = reads.variance[bins]


def _combine(pairs: Pairs, which: slice | Devices, operation: Operation) -> None:
    scale = np.float32(1 / operation.g_scale)
    for two, one, factor in (
        (pairs.read, pairs.weights, -scale),
        (pairs.variance, pairs.noise, scale * scale),
    ):
        negative = two[pairs.count :][which]
        # The positive device less the negative one, or the sum of the two variances.
        one[which] = (two[: pairs.count][which] + np.sign(factor) * negative) * abs(factor)


def refresh(
    pairs: Pairs, operation: Operation, *, now: float, rng: np.random.Generator, counts: Counts
) -> Devices:
    """RESET the pairs that are worn to one side and program their difference anew; returns their devices.

    A pair's two devices are read once, with noise. Where one reads more than the threshold while they differ
    by less than ``difference``, both are RESET, and the one that read more gets as many pulses, at most
    ``most_pulses``, as bring the mean device nearest to the difference. What devices read is not brought up
    to date. Noise is drawn only for pairs that could pass, see ``Operation.margin``.
    """
    device, count = operation.device, pairs.count
    positive, negative = pairs.read[:count], pairs.read[count:]
    counts.refreshes += 1
    near = np.flatnonzero(np.maximum(positive, negative) > operation.threshold - operation.margin)
    seen = np.stack([positive[near], negative[near]])
    if operation.arm.noise:
        spread = np.sqrt(np.stack([pairs.variance[near], pairs.variance[near + count]]))
        seen += spread * rng.standard_normal(seen.shape, dtype=np.float32)
    difference = seen[0] - seen[1]
    worn = (seen.max(axis=0) > operation.threshold) & (np.abs(difference) < operation.difference)
    chosen, difference = near[worn], difference[worn]
    both = np.concatenate([chosen, chosen + count])
    counts.refreshed_pairs += len(chosen)
    _reset(pairs, both, operation, now=now, rng=rng, counts=counts)
    reached = device.curve[: operation.most_pulses + 1]
    wanted = np.abs(np.abs(difference)[:, None] - reached).argmin(axis=1)
    some = wanted > 0
    before = counts.pulses
    set_many(
        pairs,
        (chosen + count * (difference < 0))[some],
        wanted[some],
        operation,
        now=now,
        rng=rng,
        counts=counts,
    )
    counts.refresh_set_pulses += counts.pulses - before
    return both


def _reset(
    pairs: Pairs,
    devices: Devices,
    operation: Operation,
    *,
    now: float,
    rng: np.random.Generator,
    counts: Counts,
) -> None:
    device = operation.device
    found = device.resets(np.zeros(len(devices), np.intp), pairs.g[devices])
    after = found[:, 0]
    if operation.arm.noise:
        after += found[:, 1] * rng.standard_normal(len(devices), dtype=np.float32)
    pairs.g[devices] = np.clip(after, device.least, device.most)
    pairs.pulses[devices] = 0
    pairs.programmed[devices] = now
    counts.resets += len(devices)
    counts.reset_energy += float(found[:, 2].sum(dtype=np.float64))
