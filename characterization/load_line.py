"""The load line of an access cell: the current, and the power of the rails, at each magnetisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from characterization.fokker_planck import Macrospin, disturb_of_reads, macrospin, switching_probability
from circuits.cell import Cell, gate_sign, mtj_card, start_state
from circuits.mtj_branch import load_line_deck, measure_load_line
from spicebridge.deck import Deck
from spicebridge.sweep import Unit

MZ = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 33))  # denser near the poles, where the magnet rests


@dataclass(frozen=True, eq=False)
class LoadLine:
    """A driven cell at its operating points.

    Attributes:
        current: through the MTJ against mz, A, positive towards the reference layer.
        power: of all rails in the (starting, final) state, W.
        magnet: the free layer that the deck holds.
        direction: of the write.
    """

    current: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    power: tuple[float, float]
    magnet: Macrospin
    direction: str

    def switching_probability(self, times: ArrayLike) -> NDArray[np.float64]:
        """P_switch at each time by the Fokker-Planck route; times in s."""
        return switching_probability(
            self.magnet, self.current, direction=self.direction, times=times, step=2.5e-12
        )

    def disturb_of_reads(self, *, t_read: float, t_gap: float, reads: Sequence[int]) -> NDArray[np.float64]:
        """P(the sequence of reads flips the MTJ) after each number of ``reads``; widths and rests in s."""
        return disturb_of_reads(
            self.magnet, self.current, direction=self.direction, t_read=t_read, t_gap=t_gap, reads=reads
        )


def load_line_unit(
    cell: Cell, *, direction: str, v_write: float, selected: tuple[bool, bool] = (True, True)
) -> Unit:
    """The simulation that gives a load line; ``selected`` as in ``load_line_deck``."""
    deck = load_line_deck(cell, direction=direction, v_write=v_write, mz=MZ, selected=selected)
    v_gate = gate_sign(direction) * cell.v_gate
    return Unit(deck, measure_load_line, {"points": len(MZ), "v_write": v_write, "v_gate": v_gate})


def make_load_line(
    deck: Deck, values: Mapping[str, NDArray[np.float64]], *, direction: str, temperature: float
) -> LoadLine:
    """The load line from its deck and what was measured on it."""
    poles = (0, -1) if start_state(direction) < 0 else (-1, 0)
    return LoadLine(
        current=CubicSpline(MZ, values["current"]),
        power=(float(values["power"][poles[0]]), float(values["power"][poles[1]])),
        magnet=macrospin(mtj_card(deck), temperature),
        direction=direction,
    )
