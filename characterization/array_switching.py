"""The switching law of an MTJ in its place in an array: Fokker-Planck over the cell's load line.

The rest of the array is to a cell a source with a series resistance: its two states' voltages and currents
give both, and the line through them is the load line. The law is solved on a lattice of voltage over the cell
in its starting state and of series resistance, and interpolated between. The lattice is the same whatever is
asked of it, so that a probability does not depend on what else a table holds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from characterization.fokker_planck import Macrospin, macrospin, switching_probability
from characterization.load_line import MZ
from circuits.cell import start_state
from spicebridge.table import from_scale, to_scale

V_LATTICE = 0.05  # V; cubic between
R_LATTICE = 0.05  # of the series resistance over the MTJ's in P; linear between
T_STEP = 10e-12  # s, of the Fokker-Planck solution
T_KEPT = 100e-12  # s, how far apart its probabilities are kept
CELLS = 400  # within 0.3 % of 800 cells and 2.5 ps, but for tails below 1e-3 at 5 ns and less: within 5 %
_SCALE = "log(-log)"
_SETTLED = 1e-12  # relative, of a load line's fixed point

Array = NDArray[np.float64]


class SwitchingLaw:
    """P(flip by t) of one MTJ in one direction, t a multiple of ``T_KEPT`` up to ``t_max``.

    Attributes:
        times: (times,), s, from 0.
        g_p: conductance in P, S.
    """

    def __init__(
        self, card: Mapping[str, float], *, direction: str, t_max: float, temperature: float
    ) -> None:
        self.times: Array = T_KEPT * np.arange(np.ceil(t_max / T_KEPT - 1e-6) + 1, dtype=float)
        self.g_p = np.pi / 4 * card["diameter"] ** 2 / card["ra"]
        self._card = card
        self._direction = direction
        self._magnet: Macrospin = macrospin(card, temperature)
        self._solved: dict[tuple[int, int], Array] = {}

    def current(self, v: Array, mz: Array | float) -> Array:
        """Current through the MTJ at a magnetisation, A; ``v`` in V."""
        bias = 1 + (v / self._card["v_h"]) ** 2
        tmr = self._card["tmr"]
        return self.g_p * v * (bias + tmr * (1 + mz) / 2) / (bias + tmr)

    def start_voltage(self, v_open: Array, r_series: Array) -> Array:
        """Voltage over the cell in its starting state, V, of a source of ``v_open`` behind ``r_series``."""
        return self._loaded(v_open, r_series, float(start_state(self._direction)))

    def probability(self, v_start: Array, r_series: Array, times: Array | None = None) -> Array:
        """P(flip), one axis for ``times`` (all kept ones unless given) after those of the arguments.

        Args:
            v_start: over the cell in its starting state, V, positive in the way it flips. Below zero the
                probability is that at zero, which is an upper bound.
            r_series: ohm, alike in shape.
            times: s, within those kept.
        """
        v = np.clip(v_start, 0.0, None) / V_LATTICE
        rho = r_series * self.g_p / R_LATTICE
        at = self.times if times is None else times
        first = np.clip(np.floor(v).astype(int) - 1, 0, None)
        lower = np.floor(rho).astype(int)
        result = np.zeros((*np.shape(v), len(at)))
        block = first * (lower.max(initial=0) + 1) + lower
        for each in np.unique(block):
            here = block == each
            v_index, r_index = int(first[here][0]), int(lower[here][0])
            stencil = np.array(
                [[self._node(v_index + i, r_index + j, at) for j in range(2)] for i in range(4)]
            )
            values = np.einsum("ni,ijt->njt", _cubic(v[here] - v_index), stencil)
            across = rho[here] - r_index
            result[here] = values[:, 0] + across[:, None] * (values[:, 1] - values[:, 0])
        return from_scale(result, _SCALE)

    def _node(self, v_index: int, r_index: int, times: Array) -> Array:
        """A lattice point's probabilities, in the scale they are interpolated in."""
        place = (v_index, r_index)
        if place not in self._solved:
            solved = self.solve(v_index * V_LATTICE, r_index * R_LATTICE / self.g_p)
            self._solved[place] = to_scale(solved, _SCALE)
        return np.interp(times, self.times, self._solved[place])

    def solve(self, v_start: float, r_series: float) -> Array:
        """P(flip) at all times kept, by the Fokker-Planck equation itself."""
        begin = float(start_state(self._direction))
        sign = -begin  # of the current that flips the cell
        v_open = np.full(MZ.shape, v_start + r_series * self.current(np.array(v_start), begin))
        v = self._loaded(v_open, np.full(MZ.shape, r_series), MZ)
        line = CubicSpline(MZ, sign * self.current(v, MZ))
        return switching_probability(
            self._magnet, line, direction=self._direction, times=self.times, step=T_STEP, cells=CELLS
        )

    def _loaded(self, v_open: Array, r_series: Array, mz: Array | float) -> Array:
        """Voltage over the cell: a fixed point, which contracts as ``r_series`` is below the cell's own."""
        v = np.array(v_open, dtype=float)
        for _ in range(200):
            # i / v, as the current at no voltage is none.
            conductance = self.current(np.where(v == 0, 1e-9, v), mz) / np.where(v == 0, 1e-9, v)
            following = v_open / (1 + r_series * conductance)
            done = np.abs(following - v).max(initial=0.0) <= _SETTLED
            v = following
            if done:
                break
        return v


def _cubic(x: Array) -> Array:
    """Weights of Lagrange's cubic through 0, 1, 2, 3 at each x, (x, 4)."""
    return np.stack(
        [
            -(x - 1) * (x - 2) * (x - 3) / 6,
            x * (x - 2) * (x - 3) / 2,
            -x * (x - 1) * (x - 3) / 2,
            x * (x - 1) * (x - 2) / 6,
        ],
        axis=-1,
    )
