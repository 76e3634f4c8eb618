"""What the array's lines are made of, and the checks of what a solver is given."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicebridge.errors import SpicebridgeError

_CONTRAST = 1e8  # of any conductance to that of the lines, end to end


class CrossbarError(SpicebridgeError):
    """A crossbar that cannot be: a negative resistance, a shape that does not fit."""


@dataclass(frozen=True)
class Wiring:
    """The lines of a crossbar. Resistances in ohm, conductances in S; zero resistance is exact.

    Attributes:
        r_word, r_bit: one segment of word line and of bit line, between neighbouring cells.
        r_source: each word line's driver, in series with the line's first segment.
        r_sense: each bit line's sense input, in series with the line's last segment.
        g_leak_word, g_leak_bit: from each node to a substrate at 0 V.
    """

    r_word: float = 0.0
    r_bit: float = 0.0
    r_source: float = 0.0
    r_sense: float = 0.0
    g_leak_word: float = 0.0
    g_leak_bit: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not (math.isfinite(value) and value >= 0):
                raise CrossbarError(f"wiring {each.name} = {value!r} must be a finite number, zero or above.")


def checked_conductance(conductance: ArrayLike) -> NDArray[np.float64]:
    """Conductances as a float array (rows, columns), S.

    Raises:
        CrossbarError: not two axes, empty, negative or not finite.
    """
    g = np.asarray(conductance, dtype=np.float64)
    if g.ndim != 2 or g.size == 0:
        raise CrossbarError(
            f"conductances have shape {g.shape}; a crossbar needs (rows, columns), none empty."
        )
    if not np.all(np.isfinite(g) & (g >= 0)):
        at = tuple(int(index) for index in np.argwhere(~(np.isfinite(g) & (g >= 0)))[0])
        raise CrossbarError(
            f"the conductance at {at} is {g[at]!r} S. Each must be finite and zero or above: an open cell is "
            "0, a shorted one a large number."
        )
    return g


def check_contrast(conductance: NDArray[np.float64], wiring: Wiring) -> None:
    """Refuse a device or a segment so well conducting that the lines' resistance drowns in rounding.

    The voltage over it is a difference of two near equal ones, so that currents are exact to a few times
    2e-16 (its conductance) (resistance of the lines); the bound keeps that far below 1e-6.

    Raises:
        CrossbarError: with the bound.
    """
    rows, columns = conductance.shape
    lines = columns * wiring.r_word + rows * wiring.r_bit + wiring.r_source + wiring.r_sense
    if lines == 0:
        return
    most = _CONTRAST / lines
    for name in ("r_word", "r_bit"):
        if 0 < getattr(wiring, name) < 1 / most:
            raise CrossbarError(
                f"{name} = {getattr(wiring, name):g} ohm is too small beside lines of {lines:g} ohm to be "
                f"solved exactly. Give it at least {1 / most:g} ohm, or 0, which is exact."
            )
    if conductance.max() > most:
        raise CrossbarError(
            f"a device of {conductance.max():g} S is too much beside lines of {lines:g} ohm to be solved "
            f"exactly. Give a shorted cell at most {most:g} S; its lines limit its current long before."
        )


def checked_voltages(voltages: ArrayLike, *, lines: int, name: str) -> NDArray[np.float64]:
    """Voltages as a float array (..., lines), V.

    Raises:
        CrossbarError: the last axis is not the lines, or a value is not finite.
    """
    v = np.asarray(voltages, dtype=np.float64)
    if v.ndim == 0 or v.shape[-1] != lines:
        raise CrossbarError(f"{name} has shape {v.shape}; its last axis must be the array's {lines} lines.")
    if not np.all(np.isfinite(v)):
        raise CrossbarError(f"{name} holds a value that is not finite.")
    return v
