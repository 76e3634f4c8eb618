"""Fast frozen samplers: a write table at one operating point, laid out for the training loop.

``compile_pulses`` reads an ``mtj_write`` table once, at one voltage and direction, on a uniform timing grid.
``BinnedFunction`` then lets the loop evaluate any function of an increment in a shift and a look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicebridge.energy import Source
from spicebridge.table import LookupTable, TableError

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class PulseSampler:
    """Write pulses of one direction at one voltage, on a uniform grid of widths.

    Attributes:
        direction: the table's category, ``ap_to_p`` or ``p_to_ap``.
        v_write: drive voltage (V).
        step: timing grid (s).
        width: pulse widths (s), shape (pulses + 1,); entry 0 is no pulse, the others are multiples of
            ``step``.
        p_switch: switching probability at each width, same shape, float32; zero at entry 0.
        energy: mean energy of one pulse (J), whether or not the device switches, same shape; zero at entry 0.
        half_selected: energy (J) that one pulse costs a branch of which only the u lines, and only the e
            line, is driven, by ``u`` and ``e``; empty where the table does not tell.
        source: the table that gave the values.
    """

    direction: str
    v_write: float
    step: float
    width: NDArray[np.float64]
    p_switch: NDArray[np.float32]
    energy: NDArray[np.float64]
    half_selected: Mapping[str, float]
    source: Source

    @property
    def longest(self) -> int:
        """The grid entry of the longest width: the saturating pulse."""
        return len(self.width) - 1

    def position(self, probability: FloatArray) -> NDArray[np.float64]:
        """Fractional grid entries that switch with the wanted probability once dithered.

        This is the inverse of the curve the dither makes. With ``entry = floor(position + U)``, ``U`` uniform
        on [0, 1), the device switches with ``(1 - f) p_switch[k] + f p_switch[k + 1]``; the position returned
        makes that the wanted probability exactly. (An inverse interpolated in log(-log P) and then dithered
        comes out 9 % high at P = 1e-3 and 15 % at 1e-4 on a 50 ps grid, since P is convex in the width
        there.)

        Of the widths where a curve that is not quite monotone (Monte Carlo) crosses the probability, the
        earliest is taken. A probability above all the curve reaches asks for the longest width; zero for no
        pulse.

        Args:
            probability: wanted switching probabilities in [0, 1], any shape.
        """
        wanted = np.asarray(probability, dtype=np.float64)
        curve = self.p_switch.astype(np.float64)
        reached = np.maximum.accumulate(curve)
        upper = np.clip(np.searchsorted(reached, wanted, side="left"), 1, self.longest)
        low, high = curve[upper - 1], curve[upper]
        with np.errstate(divide="ignore", invalid="ignore"):
            fraction = np.clip((wanted - low) / (high - low), 0.0, 1.0)
        found = np.where(wanted > reached[-1], float(self.longest), upper - 1 + fraction)
        return np.where(wanted > 0.0, found, 0.0)

    def dithered_probability(self, position: FloatArray) -> NDArray[np.float64]:
        """Mean switching probability of the dithered pulse at fractional grid entries."""
        grid = np.arange(len(self.width), dtype=np.float64)
        return np.interp(position, grid, self.p_switch.astype(np.float64))

    def dithered_energy(self, position: FloatArray) -> NDArray[np.float64]:
        """Mean energy (J) of the dithered pulse at fractional grid entries."""
        return np.interp(position, np.arange(len(self.width), dtype=np.float64), self.energy)


def compile_pulses(table: LookupTable, *, direction: str, v_write: float, step: float) -> PulseSampler:
    """A write table at one voltage and direction, on the timing grid ``step``.

    The widths are the multiples of ``step`` (s) within the table's ``t_pulse`` axis; a table that starts
    later than one step leaves a gap between no pulse and its first width, which dither spans.

    Raises:
        TableError: no such direction, a voltage outside the table, no multiple of ``step`` inside its axis,
            or probabilities and energies that are none.
    """
    if not step > 0:
        raise TableError(f"the timing grid must be above zero (got {step:g} s).")
    if "t_pulse" not in table.data.coords:
        raise TableError(f"table {table.name} has no axis t_pulse, so it holds no pulse widths.")
    axis = np.asarray(table.data["t_pulse"].values, dtype=float)
    # A width written as 5e-11 and computed as 1 * 5e-11 is the same width: allow rounding, no more.
    first = max(1, ceil(float(axis[0]) / step * (1 - 1e-9)))
    last = floor(float(axis[-1]) / step * (1 + 1e-9))
    if last < first:
        raise TableError(
            f"table {table.name} spans widths of {axis[0]:g} to {axis[-1]:g} s, which hold no multiple of "
            f"the timing grid {step:g} s. Choose a finer grid."
        )
    width = np.arange(first, last + 1) * step
    p_switch, energy = (
        table.read(quantity, direction=direction, v_write=v_write, t_pulse=width)
        for quantity in ("p_switch", "energy")
    )
    if not np.all((p_switch >= 0.0) & (p_switch <= 1.0)):
        raise TableError(f"table {table.name} holds switching probabilities outside [0, 1] for {direction}.")
    if not np.all(energy >= 0.0):
        raise TableError(f"table {table.name} holds pulse energies below zero for {direction}.")
    return PulseSampler(
        direction=direction,
        v_write=float(v_write),
        step=float(step),
        width=np.concatenate(([0.0], width)),
        p_switch=np.concatenate(([0.0], p_switch)).astype(np.float32),
        energy=np.concatenate(([0.0], energy)),
        half_selected={
            line: float(table.read("energy_half_selected", direction=direction, v_write=v_write, line=line))
            for line in ("u", "e")
            if "energy_half_selected" in table.quantities
        },
        source=Source(table.name, table.digest),
    )


@dataclass(frozen=True, eq=False)
class BinnedFunction:
    """A function of a float32 in [0, 1], tabulated on bins that are uniform in its logarithm.

    The top bits of a positive float32 are its exponent and the head of its mantissa, so a right shift of the
    bit pattern numbers the bins: 128 to an octave, from 2**-32 to 1. Every bin holds the function at its
    centre, at most 0.4 % of the argument away. Arguments below 2**-32 share bin 0, which holds ``at_zero``.

    Attributes:
        values: float32, shape (``BINS``,).
    """

    values: NDArray[np.float32]

    def __call__(self, argument: NDArray[np.float32]) -> NDArray[np.float32]:
        """The tabulated function at float32 arguments in [0, 1], any shape."""
        return self.values[bin_of(argument)]


SHIFT = 16  # 23 bits of mantissa less the 7 that number an octave's 128 bins
FIRST_OCTAVE = -32
PER_OCTAVE = 128
FIRST_PATTERN = ((127 + FIRST_OCTAVE) << 7) - 1  # bin 0 lies just below 2**FIRST_OCTAVE
BINS = -FIRST_OCTAVE * PER_OCTAVE + 2  # bin 0, the octaves, and the bin that starts at exactly 1


def bin_of(argument: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bin of each float32 argument in [0, 1]; the training loop inlines these three steps in place."""
    pattern: NDArray[np.int32] = np.asarray(argument, dtype=np.float32).view(np.int32) >> SHIFT
    return np.clip(pattern - FIRST_PATTERN, 0, BINS - 1)


def bin_centres() -> NDArray[np.float64]:
    """The argument each bin stands for, shape (``BINS``,); zero for bin 0."""
    patterns = (np.arange(BINS, dtype=np.int32) + FIRST_PATTERN) << SHIFT
    edges = patterns.astype(np.int32).view(np.float32).astype(np.float64)
    octave = np.exp2(np.floor(np.log2(edges)))
    centres = np.minimum(edges + 0.5 * octave / PER_OCTAVE, 1.0)
    centres[0] = 0.0
    return centres


def tabulate(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], *, at_zero: float
) -> BinnedFunction:
    """``function`` tabulated over (0, 1], with its value for arguments below 2**-32 given apart."""
    values = np.asarray(function(bin_centres()), dtype=np.float32).copy()
    values[0] = at_zero
    return BinnedFunction(values)
