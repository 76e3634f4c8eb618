"""The MTJ access cell: which device, which transistors, how driven; and the netlist text its decks share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from PySpice.Spice.Netlist import Circuit

from circuits.timing import FILE, timing
from spicebridge.deck import Deck, DeckError, model_parameters
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder

S = TypeVar("S")

DIRECTIONS = ("ap_to_p", "p_to_ap")
_TIMING = timing("mtj_cell")
T_SELECT, T_DRIVE, T_EDGE, T_SETTLE, STEP = (
    _TIMING[name] for name in ("t_select", "t_drive", "t_edge", "t_settle", "t_step")
)
T_START = T_DRIVE + T_EDGE / 2  # s, the half height of u


@dataclass(frozen=True)
class Cell:
    """A 2T1MTJ access cell. Lengths in m, voltages in V, resistance in ohm, capacitance in F.

    Attributes:
        mtj: parameter set in ``netlists/devices``.
        card: transistor card in ``netlists/transistors``.
        w_n, w_p, l_gate: access transistors.
        v_gate: magnitude of the gate line's swing.
        r_drive, c_line: line driver's resistance and one cell's length of line (assumed).
        temperature: in K.
    """

    mtj: str = "mtj_b"
    card: str = "ptm45hp"
    w_n: float = 0.4e-6
    w_p: float = 0.6e-6
    l_gate: float = 45e-9
    v_gate: float = 1.2
    r_drive: float = 500.0
    c_line: float = 0.5e-15
    temperature: float = 300.15

    @property
    def widths(self) -> dict[str, float]:
        """The access transistors' sizes as subcircuit parameters."""
        return {"w_n": self.w_n, "w_p": self.w_p, "l_gate": self.l_gate}

    @property
    def parameter_set(self) -> str:
        """The MTJ's parameter set, a file in ``netlists``."""
        return f"devices/{self.mtj}.lib"

    @property
    def files(self) -> tuple[str, ...]:
        """The files in ``netlists`` that the cell's decks are made from."""
        devices = f"devices/{self.mtj}.lib", f"transistors/{self.card}.lib"
        return (*devices, "cells.lib", FILE, "devices/stt_mtj.va")

    @property
    def driver(self) -> dict[str, float]:
        """The line driver's subcircuit parameters."""
        return {"r_drive": self.r_drive, "c_line": self.c_line}


def make_cell(settings: Mapping[str, object]) -> Cell:
    """An access cell from a settings table; errors as ``make_settings``."""
    return make_settings(Cell, settings)


def make_settings(kind: type[S], settings: Mapping[str, object]) -> S:
    """A circuit's settings from a table: a dataclass of names and of positive numbers, whole or not.

    Raises:
        DeckError: an unknown name, or a value of the wrong kind or sign.
    """
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for name, value in settings.items():
        if name not in known:
            raise DeckError(f"a cell has no {name!r}. It has: {', '.join(known)}.")
        default = known[name].default
        is_text, is_whole = isinstance(default, str), isinstance(default, int)
        if is_text != isinstance(value, str) or (not is_text and not _is_positive(value)):
            raise DeckError(
                f"cell {name} = {value!r} should be {'a name' if is_text else 'a positive number'}."
            )
        if is_whole and not isinstance(value, int):
            raise DeckError(f"cell {name} = {value!r} should be a whole number.")
        if is_text and not re.fullmatch(r"[\w-]+", str(value)):
            raise DeckError(f"cell {name} = {value!r} should be the plain name of a file in netlists.")
    return kind(**settings)


def require_positive(name: str, values: Sequence[float]) -> None:
    """Refuse a drive or a time that is not above zero: a direction is a sign of e, never of u.

    Raises:
        DeckError: a value of zero or below.
    """
    if not all(_is_positive(value) for value in values):
        raise DeckError(f"{name} = {list(values)} must all be above zero.")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def gate_sign(direction: str) -> int:
    """The sign of e that writes ``direction``: the NMOS pulls up to +u, the PMOS down to -u."""
    if direction not in DIRECTIONS:
        raise DeckError(f"there is no direction {direction!r}. There are: {', '.join(DIRECTIONS)}.")
    return 1 if direction == "ap_to_p" else -1


def start_state(direction: str) -> int:
    """mz of the state a write in ``direction`` starts from: 1 is P, -1 is AP."""
    return -gate_sign(direction)


def new_circuit(cell: Cell) -> Circuit:
    """A PySpice circuit with the cell's models and subcircuits."""
    circuit = Circuit("cell")
    for file in (f"devices/{cell.mtj}.lib", f"transistors/{cell.card}.lib", "cells.lib"):
        if not (netlists_folder() / file).is_file():
            folder = (netlists_folder() / file).parent
            known = ", ".join(sorted(path.stem for path in folder.glob("*.lib")))
            raise DeckError(f"there is no {file} in netlists. Known there: {known}.")
        circuit.raw_spice += f".include {file}\n"
    return circuit


def add_controls(circuit: Circuit, t_pulse: float | None) -> None:
    """Control nodes ctl_e and ctl_u of the line drivers, 0 to 1, drawing no current.

    ``t_pulse`` in s is the width of u between half heights, e opening before and closing after it; None
    means both lines are on from the start and stay so.
    """
    for node, start, wait in (("ctl_e", T_SELECT, 2 * (T_DRIVE - T_SELECT)), ("ctl_u", T_DRIVE, 0.0)):
        if t_pulse is None:
            circuit.V(node, node, circuit.gnd, "dc 1")
            continue
        end = start + t_pulse + wait
        points = ((0.0, 0), (start, 0), (start + T_EDGE, 1), (end, 1), (end + T_EDGE, 0))
        circuit.V(
            node, node, circuit.gnd, f"pwl({' '.join(f'{time:.6g} {level}' for time, level in points)})"
        )


def transient(t_pulse: float) -> str:
    """The analysis of a deck with pulses of ``t_pulse`` (s), until their trailing edges have settled."""
    return until(t_pulse + T_SETTLE)


def until(t_stop: float, *, step: float = STEP) -> str:
    """The analysis that follows the lines' pulse for ``t_stop`` (s) from its half height, at ``step`` (s)."""
    end = T_START + t_stop
    return f".tran {step:.6g} {end:.6g} 0 {step:.6g}"


def finish(circuit: Circuit, cell: Cell, *, name: str, analysis: str, save: list[str]) -> Deck:
    """The deck of a circuit: models loaded, options set, an analysis, and what is saved."""
    head = ".control\npre_osdi devices/stt_mtj.osdi\n.endc\n"
    # trtol: the step is bounded by the noise, so the local error estimate only costs time. Trapezoidal is
    # ngspice's default and must stay: gear's numerical damping is as large as the magnet's own.
    tail = f".options trtol=1000 temp={cell.temperature - 273.15:.6g}\n.save {' '.join(save)}\n{analysis}\n"
    netlist = str(circuit)
    return make_deck(f"{head}{netlist}\n{tail}", folder=netlists_folder(), name=name)


def mtj_card(deck: Deck) -> Mapping[str, float]:
    """The MTJ parameters a deck was built with, SI units."""
    return model_parameters(deck, "mtj")
