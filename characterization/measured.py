"""What a sweep over a netlist measures: results of ``.meas`` lines, energies that sources deliver, vectors.

A module of its own, as worker processes import it and its code is part of every stored point's identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spicebridge.batch import unbatched_measures
from spicebridge.errors import SpicebridgeError
from spicebridge.simulator import Waveforms
from spicebridge.store import Values

# Name, sources by ngspice's names, and the window in s (None for the analysis' ends).
Integrated = tuple[str, tuple[str, ...], float | None, float | None]


def measured(
    recorded: Waveforms,
    *,
    names: Sequence[str],
    copies: int,
    integrals: Sequence[Integrated] = (),
    vectors: Sequence[tuple[str, str]] = (),
) -> Values:
    """The named measures, integrals and vectors, each of shape (copies,); NaN where ngspice gave no value.

    Args:
        recorded: what the deck's last analysis gave.
        names: of ``.meas`` lines.
        copies: how many points the deck is batched from; 0 for a deck of one point as it stands.
        integrals: energies.
        vectors: names of measures, and of the vectors whose one value they are.
    """
    if copies:
        return unbatched_measures(recorded.measures, count=copies, names=names)
    values = {name: np.array([recorded.measures.get(name, np.nan)]) for name in names}
    for name, sources, start, stop in integrals:
        power = np.sum([recorded[f"@{source}[p]"].real for source in sources], axis=0)
        energy = -_integral(recorded["time"].real, power, start, stop)  # [p] is what a source takes up
        values[name] = np.array([energy])
    for name, vector in vectors:
        values[name] = np.array([_value(recorded, vector)])
    return values


def _value(recorded: Waveforms, vector: str) -> float:
    """A vector's one value; NaN where there is no such vector."""
    try:
        found = recorded[vector]
    except SpicebridgeError:
        return float("nan")
    return float(found[-1].real) if len(found) else float("nan")


def _integral(
    time: NDArray[np.float64], values: NDArray[np.float64], start: float | None, stop: float | None
) -> float:
    """The trapezoid over the simulator's time points between two times; NaN where it ended before."""
    first = time[0] if start is None else start
    last = time[-1] if stop is None else stop
    if not time[0] <= first <= last <= time[-1] * (1 + 1e-9):
        return float("nan")
    inside = (time > first) & (time < last)
    at = np.concatenate([[first], time[inside], [last]])
    there = np.interp(at, time, values)
    return float(np.sum(np.diff(at) * (there[1:] + there[:-1])) / 2)
