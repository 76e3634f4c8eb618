"""A phase-change device for the training loop: the three tables, laid out for fast look-ups.

Pulses are looked up as the tables are read: multilinear, exactly. Reads are looked up in bins, ``G_BINS``
of conductance and eight to an octave of age: what a device reads is its conductance times the ratio at
its bin's centre. With a drift exponent of 0.05 the age bin is off by at most 0.2 % of the conductance, less
than a tenth of the read noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s, Floats
from spicebridge.energy import Source
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

G_BINS = 256
AGE_SHIFT = 20  # of a float32's bits: 3 of its mantissa are left, eight bins to an octave
EPSILON_PULSES = 10  # the granularity is the mean change over so many pulses of the accumulation curve

SET_QUANTITIES = {"delta_g_mean", "delta_g_std", "support", "energy", "g_mean", "g_std"}
RESET_QUANTITIES = {"g_after_mean", "g_after_std", "energy"}
READ_QUANTITIES = {"g_read", "g_noise", "energy"}


@dataclass(frozen=True, eq=False)
class Curves:
    """Quantities along conductance, piecewise linear.

    Attributes:
        g: conductances, strictly increasing, shape (points,) (S).
        values: shape (rows, points, quantities).
    """

    g: Float32s
    values: Float32s

    def __call__(self, row: NDArray[np.intp], g: Float32s) -> Float32s:
        """The quantities of each device, shape (devices, quantities), at its row and conductance (S)."""
        cell = np.searchsorted(self.g, g, side="right") - 1
        # Two comparisons take a third of what np.clip does for these few numbers.
        np.minimum(np.maximum(cell, 0, out=cell), len(self.g) - 2, out=cell)
        low = self.g[cell]
        share = (g - low) / (self.g[cell + 1] - low)
        below, above = self.values[row, cell], self.values[row, cell + 1]
        above -= below
        above *= share[:, None]
        above += below
        return above


@dataclass(frozen=True, eq=False)
class Reads:
    """What devices read, by bins of conductance and age.

    Attributes:
        least: of the conductances (S).
        per_siemens: bins to a siemens.
        age_least: the youngest device the table knows (s).
        first: pattern of the first age bin: its float32 bits shifted right by ``AGE_SHIFT``.
        ages: age bins; a bin's number is conductance bin * ``ages`` + age bin.
        ratio: conductance read over conductance, shape (bins,).
        variance: of one read (S^2), shape (bins,).
    """

    least: float
    per_siemens: float
    age_least: float
    first: int
    ages: int
    ratio: Float32s
    variance: Float32s

    def bins(self, g: Float32s, age: Float32s) -> NDArray[np.intp]:
        """The bin of each device at conductance ``g`` (S) and ``age`` (s)."""
        found = np.maximum(age, np.float32(self.age_least)).view(np.int32) >> AGE_SHIFT
        found -= self.first
        np.minimum(found, self.ages - 1, out=found)
        cell = ((g - np.float32(self.least)) * np.float32(self.per_siemens)).astype(np.intp)
        np.minimum(np.maximum(cell, 0, out=cell), G_BINS - 1, out=cell)
        cell *= self.ages
        cell += found
        return cell

    def worst_noise(self, most: float) -> float:
        """Largest standard deviation of one read (S) of devices that read ``most`` (S) or less."""
        centres = self.least + (np.arange(G_BINS) + 0.5) / self.per_siemens
        below = self.ratio * np.repeat(centres, self.ages) <= most
        return float(np.sqrt(self.variance[below].max(initial=0.0)))


@dataclass(frozen=True, eq=False)
class PcmDevice:
    """A device as the tables have it.

    Attributes:
        least, most: conductances that all three tables hold (S); states stay within.
        pulses: mean, standard deviation (S), support and energy (J) of a SET pulse; row n is pulse n + 1, and
            the last row serves all later ones.
        resets: mean and standard deviation after RESET (S), energy (J); one row.
        curve: mean conductance after 0, 1, 2, ... SET pulses since RESET (S).
        fresh: mean and standard deviation of a device that was RESET (S).
        epsilon: mean change per pulse over the curve's first ``EPSILON_PULSES`` (S).
        reads: reading.
        age_most: the oldest device the table knows (s).
        tables: set, reset and read, for what is looked up seldom.
    """

    least: float
    most: float
    pulses: Curves
    resets: Curves
    curve: Floats
    fresh: tuple[float, float]
    epsilon: float
    reads: Reads
    age_most: float
    tables: tuple[LookupTable, LookupTable, LookupTable]

    @property
    def sources(self) -> tuple[Source, ...]:
        """The tables' names and digests."""
        return tuple(Source(table.name, table.digest) for table in self.tables)


def compile_device(set_: LookupTable, reset: LookupTable, read: LookupTable) -> PcmDevice:
    """The three tables, laid out for the loop.

    Raises:
        SpicebridgeError: a table of another kind, or one with other conductances than its fellows.
        TableError: a hole where the loop reads.
    """
    for table, wanted in ((set_, SET_QUANTITIES), (reset, RESET_QUANTITIES), (read, READ_QUANTITIES)):
        if missing := sorted(wanted - set(table.quantities)):
            raise SpicebridgeError(
                f"table {table.name} does not hold what training on PCM pairs reads of it: it lacks "
                f"{', '.join(missing)}."
            )
    axes = [np.asarray(table.data["g"].values, float) for table in (set_, reset, read)]
    axes += [np.asarray(read.data[name].values, float) for name in ("g_p", "g_n")]
    least, most = max(axis[0] for axis in axes), min(axis[-1] for axis in axes)
    if not least < most:
        raise SpicebridgeError(
            f"tables {set_.name}, {reset.name} and {read.name} have no conductance in common. Make them anew "
            f"of one device: spicebridge characterize {set_.name} {reset.name} {read.name}"
        )
    curve = set_.read("g_mean", pulses=set_.data["pulses"].values)
    if len(curve) <= EPSILON_PULSES or set_.data["pulses"].values[0] != 0:
        raise SpicebridgeError(
            f"table {set_.name} must follow {EPSILON_PULSES} pulses from RESET on: epsilon is their mean "
            "change of conductance. Make it anew."
        )
    epsilon = float(curve[EPSILON_PULSES] - curve[0]) / EPSILON_PULSES
    if epsilon <= 0:
        raise SpicebridgeError(f"table {set_.name}: SET pulses do not raise the conductance.")
    return PcmDevice(
        least=float(least),
        most=float(most),
        pulses=_pulses(set_),
        resets=_curves(reset, ("g_after_mean", "g_after_std", "energy")),
        curve=curve,
        fresh=(float(curve[0]), float(set_.read("g_std", pulses=0.0))),
        epsilon=epsilon,
        reads=_reads(read, least, most),
        age_most=float(read.data["age"].values[-1]),
        tables=(set_, reset, read),
    )


def _pulses(table: LookupTable) -> Curves:
    """Rows for every pulse number up to the table's last, interpolated where it skips some."""
    numbers = np.asarray(table.data["pulse"].values, float)
    if numbers[0] != 1:
        raise SpicebridgeError(f"table {table.name} must begin with pulse 1 (it begins with {numbers[0]:g}).")
    every = np.arange(1.0, np.floor(numbers[-1]) + 1)
    return _curves(table, ("delta_g_mean", "delta_g_std", "support", "energy"), pulse=every[:, None])


def _curves(table: LookupTable, quantities: tuple[str, ...], **at: Any) -> Curves:
    g = np.asarray(table.data["g"].values, float)
    values = np.stack([table.read(quantity, g=g, **at) for quantity in quantities], axis=-1)
    return Curves(g.astype(np.float32), values.reshape(-1, len(g), len(quantities)).astype(np.float32))


def _reads(table: LookupTable, least: float, most: float) -> Reads:
    age = np.asarray(table.data["age"].values, float)
    ends = np.array([age[0], age[-1]], np.float32).view(np.int32) >> AGE_SHIFT
    patterns = np.arange(ends[0], ends[1] + 1, dtype=np.int32)
    edges = [(patterns + each).astype(np.int32) << AGE_SHIFT for each in (0, 1)]
    centres = np.sqrt(np.prod([each.view(np.float32).astype(float) for each in edges], axis=0))
    width = (most - least) / G_BINS
    g = least + width * (np.arange(G_BINS) + 0.5)
    at = {"g": g[:, None], "age": np.clip(centres, age[0], age[-1])}
    return Reads(
        least=least,
        per_siemens=1 / width,
        age_least=float(age[0]),
        first=int(ends[0]),
        ages=len(patterns),
        ratio=(table.read("g_read", **at) / g[:, None]).astype(np.float32).ravel(),
        variance=(table.read("g_noise", **at) ** 2).astype(np.float32).ravel(),
    )
