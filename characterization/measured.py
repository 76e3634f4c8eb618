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
        power = np.sum([_delivered(recorded, source) for source in sources], axis=0)
        values[name] = np.array([_integral(recorded["time"].real, power, start, stop)])
    for name, vector in vectors:
        values[name] = np.array([_value(recorded, vector)])
    return values


def power_vectors(source: str) -> tuple[str, ...]:
    """The vectors that the power of an independent source is made of; ``source`` is ngspice's name.

    A current source's own ``[p]`` is that of its DC value and of one device.
    """
    return (f"@{source}[v]", f"@{source}[current]") if source.startswith("i") else (f"@{source}[p]",)


def _delivered(recorded: Waveforms, source: str) -> NDArray[np.float64]:
    """The power that a source delivers at each time point, W."""
    factors = [recorded[name].real for name in power_vectors(source)]
    # A voltage source's is what it takes up; a current source's voltage counts along its current.
    return np.prod(factors, axis=0) if len(factors) > 1 else -factors[0]


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
