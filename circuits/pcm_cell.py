"""The 1T1R phase-change cell and its array lines: which device, how driven, and what its decks share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySpice.Spice.Netlist import Circuit

from circuits.timing import FILE
from spicebridge.deck import Deck, DeckError
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder

Points = Sequence[tuple[float, float]]  # time, s, and level


@dataclass(frozen=True)
class PcmCell:
    """A cell in the middle of an array's lines. Lengths in m, voltages in V, resistances in ohm. All assumed.

    Attributes:
        device: parameter set in ``netlists/devices``.
        w_access, l_access: access transistor, of thick oxide.
        v_threshold, k_access: its threshold, and its transconductance parameter, A/V^2.
        rows, columns: cells along a bit line and along a word line, those of the 90 nm chip's array.
        v_supply: rail of the write driver.
        v_word: rail of the word line, and its level in a read.
        r_driver: of a word line's driver.
        r_write: of a bit line's driver in a pulse.
        r_rest: of what ties an idle bit line to its resting level.
        r_input: of a read input's driver.
        r_line: one cell's length of any line.
        c_bit: the same of bit and source line, F: wire alone, 0.5 um at 0.2 fF/um.
        c_word: the same of a word line, F: mostly the gate.
        temperature: in K.
    """

    device: str = "pcm_90nm"
    w_access: float = 0.8e-6
    l_access: float = 0.24e-6
    v_threshold: float = 0.5
    k_access: float = 200e-6
    rows: int = 512
    columns: int = 2048
    v_supply: float = 3.3
    v_word: float = 2.5
    r_driver: float = 200.0
    r_write: float = 500.0
    r_rest: float = 5000.0
    r_input: float = 500.0
    r_line: float = 0.5
    c_bit: float = 0.1e-15
    c_word: float = 2e-15
    temperature: float = 300.15

    @property
    def parameter_set(self) -> str:
        """The device's parameter set, a file in ``netlists``."""
        return f"devices/{self.device}.lib"

    @property
    def files(self) -> tuple[str, ...]:
        """The files in ``netlists`` that the cell's decks are made from."""
        return (self.parameter_set, "cells.lib", "pcm_cells.lib", FILE, "devices/pcm.va")

    @property
    def access(self) -> dict[str, float]:
        """The access transistor's size as subcircuit parameters."""
        return {"w": self.w_access, "l": self.l_access}

    @property
    def bit_line(self) -> dict[str, float]:
        """A whole bit line as parameters of ``half_line``."""
        return {"r": self.rows * self.r_line, "c": self.rows * self.c_bit}

    @property
    def source_line(self) -> dict[str, float]:
        """A whole source line, which runs along the word lines, as parameters of ``half_line``."""
        return {"r": self.columns * self.r_line, "c": self.columns * self.c_bit}

    def gate_level(self, current: float) -> float:
        """The word line's level, V, at which the access transistor lets through so much (A) and no more.

        Raises:
            DeckError: the word line's rail is too low for it.
        """
        beta = self.k_access * self.w_access / self.l_access
        level = self.v_threshold + math.sqrt(2 * current / beta)
        if level > self.v_word:
            raise DeckError(
                f"the access transistor needs {level:.3g} V on its gate for {current * 1e6:.3g} uA, and "
                f"v_word is {self.v_word:g} V. Give a wider transistor or a higher v_word."
            )
        return level

    def word_line(self, cells: int) -> dict[str, float]:
        """Parameters of the ``level_driver`` of so many cells' share of a word line.

        The share's resistance is scaled up, so that its time constant is the whole line's: that of its driver
        and half its wire on all its gates.
        """
        whole = self.r_driver + self.columns * self.r_line / 2
        return {"r_drive": whole * self.columns / cells, "c_line": cells * self.c_word}


def new_circuit(cell: PcmCell) -> Circuit:
    """A PySpice circuit with the cell's models and subcircuits.

    Raises:
        DeckError: no such parameter set, or one of another model.
    """
    path = netlists_folder() / cell.parameter_set
    if not _is_pcm(path):
        known = ", ".join(sorted(each.stem for each in path.parent.glob("*.lib") if _is_pcm(each)))
        raise DeckError(
            f"device = {cell.device!r}: {path} is not there, or does not define '.model pcm pcm'. "
            f"Known: {known}. For one of your own, put a changed copy beside these."
        )
    circuit = Circuit("cell")
    circuit.raw_spice += f".include {cell.parameter_set}\n.include cells.lib\n.include pcm_cells.lib\n"
    # Without channel-length modulation: a saturated access transistor is the source of a pulse's current.
    circuit.raw_spice += f".model access nmos level=1 vto={cell.v_threshold!r} kp={cell.k_access!r}\n"
    return circuit


def _is_pcm(path: Path) -> bool:
    """Whether a file is a parameter set of the PCM model."""
    return path.is_file() and ".model pcm pcm" in path.read_text(encoding="utf-8").lower()


def add_level(circuit: Circuit, node: str, points: Points) -> None:
    """A control node that follows ``points``, drawing no current."""
    circuit.V(
        node, node, circuit.gnd, f"pwl({' '.join(f'{time:.9g} {level:.9g}' for time, level in points)})"
    )


def add_word_line(circuit: Circuit, cell: PcmCell, *, cells: int, level: Points) -> None:
    """A word line ``wl`` of so many cells that follows ``level`` (V), on the rail of source ``vword``."""
    add_level(circuit, "level_word", level)
    circuit.V("word", "rail_word", circuit.gnd, f"dc {cell.v_word!r}")
    circuit.X("word", "level_driver", "wl", "rail_word", "level_word", **cell.word_line(cells))


def finish(
    circuit: Circuit, cell: PcmCell, *, name: str, analysis: str, save: Sequence[str], options: str
) -> Deck:
    """The deck of a circuit: model loaded, options set, an analysis, and what is saved."""
    head = ".control\npre_osdi devices/pcm.osdi\n.endc\n"
    tail = f".options {options} temp={cell.temperature - 273.15:.6g}\n.save {' '.join(save)}\n{analysis}\n"
    return make_deck(f"{head}{circuit}\n{tail}", folder=netlists_folder(), name=name)
