"""A passive array as its tables characterise it: which MTJ, how many, on what lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.mtj_temperature import at_temperature
from circuits.passive_array import Capacitance
from circuits.timing import FILE
from spicebridge.crossbar import Junctions, Wiring
from spicebridge.deck import DeckError
from spicebridge.parameters import read_parameter_set
from spicebridge.project import netlists_folder

BACKGROUNDS = ("all_p", "all_ap", "checkerboard")


@dataclass(frozen=True)
class ArrayCell:
    """A passive array of MTJs; resistances in ohm, conductances in S, capacitances in F. All assumed.

    Attributes:
        mtj: parameter set in ``netlists/devices``.
        rows, columns: of cells.
        r_driver: of each line's driver, and of each bit line's sense input.
        g_leak: from each node to the substrate.
        c_line: one cell's length of line.
        temperature: in K.
    """

    mtj: str = "mtj_array"
    rows: int = 15
    columns: int = 15
    r_driver: float = 50.0
    g_leak: float = 1e-6
    c_line: float = 0.1e-15
    temperature: float = 300.15

    @property
    def parameter_set(self) -> str:
        """The MTJ's parameter set, a file in ``netlists``."""
        return f"devices/{self.mtj}.lib"

    @property
    def files(self) -> tuple[str, ...]:
        """The files in ``netlists`` that the array's decks are made from."""
        return (f"devices/{self.mtj}.lib", "array_cell.lib", "cells.lib", FILE, "devices/stt_mtj.va")

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)``."""
        return self.rows, self.columns

    def wiring(self, r_segment: float) -> Wiring:
        """The array's lines with segments of ``r_segment``, ohm."""
        return Wiring(
            r_word=r_segment,
            r_bit=r_segment,
            r_source=self.r_driver,
            r_sense=self.r_driver,
            g_leak_word=self.g_leak,
            g_leak_bit=self.g_leak,
        )

    def card(self, diameter: float) -> Mapping[str, float]:
        """The MTJ's ``stt_mtj`` parameters at a diameter in m, SI units.

        The set's own diameter apart, h_k goes as 1/diameter and alpha as diameter: the critical voltage and
        the time scale stay, and the thermal stability is in proportion to the diameter.

        Raises:
            DeckError: no such parameter set.
            SpicebridgeError: one that is not whole.
        """
        path = netlists_folder() / "devices" / f"{self.mtj}.lib"
        if not path.is_file():
            known = ", ".join(sorted(each.stem for each in path.parent.glob("*.lib")))
            raise DeckError(f"there is no devices/{path.name} in netlists. Known there: {known}.")
        given = {name.lower(): each.value for name, each in read_parameter_set(path).items()}
        if missing := sorted({"diameter", "h_k", "alpha", "ra", "tmr", "v_h", "c_area"} - set(given)):
            raise DeckError(f"devices/{path.name} lacks {', '.join(missing)}, which an array needs.")
        scale = diameter / given["diameter"]
        return given | {
            "diameter": diameter,
            "h_k": given["h_k"] / scale,
            "alpha": given["alpha"] * scale,
        }

    def antiparallel(self, diameter: float) -> Junctions:
        """The array's MTJs, all alike, as they are in AP."""
        card = at_temperature(self.card(diameter), self.temperature)
        g_p = np.pi / 4 * diameter**2 / card["ra"]
        return Junctions(*(np.full(self.shape, each) for each in (g_p, card["tmr"], card["v_h"])))

    def capacitance(self, diameter: float) -> Capacitance:
        """What each cell adds to its lines."""
        card = self.card(diameter)
        return Capacitance(self.c_line, self.c_line, card["c_area"] * np.pi / 4 * diameter**2)

    def background(self, name: str) -> NDArray[np.bool_]:
        """Which cells are in P, (rows, columns): of a ``checkerboard`` those whose row + column is even."""
        if name not in BACKGROUNDS:
            raise DeckError(f"there is no background {name!r}. There are: {', '.join(BACKGROUNDS)}.")
        if name == "checkerboard":
            return np.indices(self.shape).sum(axis=0) % 2 == 0
        return np.full(self.shape, name == "all_p")
