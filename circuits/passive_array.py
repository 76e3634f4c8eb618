"""Decks that read a passive MTJ array of any size, and what is measured on them.

Rows are word lines, driven from the left; columns are bit lines, sensed at the bottom into virtual grounds.
The same ``Junctions`` and ``Wiring`` make a deck here and are solved directly by ``spicebridge.crossbar``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from circuits.timing import timing
from spicebridge.crossbar import Junctions, Wiring
from spicebridge.deck import Deck, DeckError
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import Waveforms

_TIMING = timing("array")
T_DRIVE, T_EDGE, T_SETTLE = (_TIMING[name] for name in ("t_drive", "t_edge", "t_settle"))
T_START = T_DRIVE + T_EDGE / 2  # s, the half height of the driven lines
SETTLED = 0.02  # settled within this share of the largest column current
# Gear, as the trapezoidal rule rings on for many steps after an edge of lines faster than a step.
STIFF = "method=gear reltol=1e-6 abstol=1e-15 vntol=1e-9"
_STEPS = 200  # time steps of a read, at least; the edges take far shorter ones
_KLU_FROM = 64 * 64  # cells; from here ngspice's KLU is faster than its Sparse, 35 times at the start


@dataclass(frozen=True)
class Capacitance:
    """What one cell adds to its lines, F. All assumed: 0.5 um of line at 0.2 fF/um, a 40 nm junction."""

    word: float = 0.1e-15
    bit: float = 0.1e-15
    mtj: float = 0.109e-15


def dc_read_deck(junctions: Junctions, wiring: Wiring, *, voltages: NDArray[np.float64]) -> Deck:
    """The steady column currents of many input vectors, one deck for all: a DC sweep over their index.

    Args:
        junctions: the devices, (rows, columns).
        wiring: of the array.
        voltages: of the rows, (vectors, rows), V.
    """
    rows, columns = junctions.g_p.shape
    inputs = _checked(voltages, (None, rows))
    circuit = new_circuit()
    circuit.V("index", "index", circuit.gnd, "dc 0")
    for row in range(rows):
        # The last vector twice, as one point alone makes no table.
        points = ", ".join(
            f"{at}, {float(volts)!r}" for at, volts in enumerate([*inputs[:, row], inputs[-1, row]])
        )
        circuit.B(f"row{row}", f"row{row}", circuit.gnd, v=f"pwl(v(index), {points})")
    add_array(circuit, junctions, wiring, Capacitance())
    add_word_terminals(circuit, rows, wiring)
    add_bit_terminals(circuit, (rows, columns), wiring)
    _ground_columns(circuit, columns)
    return finish_array(
        circuit,
        name=f"array_read_{rows}x{columns}_{len(inputs)}_vectors",
        # Currents to 1e-11 of the largest: this deck is what the direct solution is held against.
        options="reltol=1e-9 abstol=1e-16 vntol=1e-12" + solver(junctions),
        save=[f"i(vcol{column})" for column in range(columns)],
        analysis=f".dc vindex 0 {len(inputs) - 1} 1",
    )


def transient_read_deck(
    junctions: Junctions,
    wiring: Wiring,
    *,
    voltages: NDArray[np.float64],
    t_read: float,
    capacitance: Capacitance | None = None,
) -> Deck:
    """One input vector applied for a while and taken away, from drivers on constant rails.

    Args:
        junctions: the devices, (rows, columns).
        wiring: of the array; ``r_source`` is the drivers' resistance, above zero.
        voltages: of the rows, (rows,), V.
        t_read: how long the rows are driven, between half heights, s.
        capacitance: of the cells; the assumed one unless given.
    """
    rows, columns = junctions.g_p.shape
    inputs = _checked(voltages, (rows,))
    if not (wiring.r_source > 0 and t_read > T_EDGE):
        raise DeckError(
            f"a transient read needs drivers of some resistance and a read longer than their edge of "
            f"{T_EDGE:g} s (r_source={wiring.r_source:g} ohm, t_read={t_read:g} s)."
        )
    circuit = new_circuit()
    end = T_DRIVE + t_read
    levels = ((0.0, 0), (T_DRIVE, 0), (T_DRIVE + T_EDGE, 1), (end, 1), (end + T_EDGE, 0))
    circuit.V(
        "drive", "ctl", circuit.gnd, f"pwl({' '.join(f'{time:.6g} {level}' for time, level in levels)})"
    )
    for row, volts in enumerate(inputs):
        circuit.V(f"rail{row}", f"rail{row}", circuit.gnd, f"dc {float(volts)!r}")
        circuit.X(
            f"row{row}", "line_driver", f"row{row}", f"rail{row}", "ctl", r_drive=wiring.r_source, c_line=0
        )
    driven = replace(wiring, r_source=0.0)  # the drivers have it
    add_array(circuit, junctions, driven, capacitance or Capacitance())
    add_word_terminals(circuit, rows, driven)
    add_bit_terminals(circuit, (rows, columns), wiring)
    _ground_columns(circuit, columns)
    step = t_read / _STEPS
    return finish_array(
        circuit,
        name=f"array_read_{rows}x{columns}_{t_read * 1e9:g}ns",
        options=STIFF + solver(junctions),
        save=[f"i(vrail{row})" for row in range(rows)] + [f"i(vcol{column})" for column in range(columns)],
        analysis=f".tran {step:.6g} {end + T_EDGE + T_SETTLE:.6g} 0 {step:.6g}",
    )


def measure_dc_read(recorded: Waveforms, *, columns: int) -> dict[str, NDArray[np.float64]]:
    """``current`` of a ``dc_read_deck`` into the virtual grounds, (vectors, columns), A."""
    return {"current": np.stack([recorded[f"i(vcol{column})"] for column in range(columns)], axis=1)}


def measure_transient_read(
    recorded: Waveforms, *, voltages: NDArray[np.float64], columns: int, t_read: float
) -> dict[str, NDArray[np.float64]]:
    """What one read did.

    Returns:
        ``current`` into the virtual grounds as the rows begin to fall, (columns,), A; ``settling``: from the
        rows' half height until each column stays within 2 % of the largest current of its last value,
        (columns,), s; ``energy`` of all rails, both edges included, J.
    """
    time = recorded["time"]
    last = T_DRIVE + t_read
    outputs = np.stack([recorded[f"i(vcol{column})"] for column in range(columns)])
    current = np.array([np.interp(last, time, output) for output in outputs])
    tolerance = SETTLED * np.abs(current).max()
    reading = (time >= T_START) & (time <= last)
    away = np.abs(outputs[:, reading] - current[:, None])
    power = -sum(volts * recorded[f"i(vrail{row})"] for row, volts in enumerate(voltages))
    return {
        "current": current,
        "settling": np.array([_settled(time[reading], each, tolerance) for each in away]) - T_START,
        "energy": np.array(np.trapezoid(power, time)),
    }


def _settled(time: NDArray[np.float64], away: NDArray[np.float64], tolerance: float) -> float:
    """From when on a distance stays within the tolerance, interpolated, s; ``T_START`` if it always did."""
    outside = np.flatnonzero(away > tolerance)
    if outside.size == 0:
        return T_START
    last = outside[-1]
    if last + 1 == len(time):
        return float(time[last])
    share = (away[last] - tolerance) / (away[last] - away[last + 1])
    return float(time[last] + share * (time[last + 1] - time[last]))


def new_circuit() -> Circuit:
    """A PySpice circuit with the subcircuits of an array."""
    circuit = Circuit("array")
    circuit.raw_spice += ".include cells.lib\n.include array_cell.lib\n"
    return circuit


def word_node(wiring: Wiring) -> Callable[[int, int], str]:
    """The name of a cell's word-line node: a line without resistance is one node, named as its terminal."""
    if wiring.r_word > 0:
        return lambda row, column: f"w{row}_{column}"
    return (lambda row, _: f"w{row}") if wiring.r_source > 0 else (lambda row, _: f"row{row}")


def bit_node(wiring: Wiring) -> Callable[[int, int], str]:
    """The name of a cell's bit-line node, as ``word_node``."""
    if wiring.r_bit > 0:
        return lambda row, column: f"b{row}_{column}"
    return (lambda _, column: f"b{column}") if wiring.r_sense > 0 else (lambda _, column: f"col{column}")


def add_array(circuit: Circuit, junctions: Junctions, wiring: Wiring, capacitance: Capacitance) -> None:
    """The cells and the segments between them."""
    word, bit = word_node(wiring), bit_node(wiring)
    loads = line_loads(wiring, capacitance) | {"c_mtj": capacitance.mtj}
    for row, column in np.ndindex(*junctions.g_p.shape):
        g_p, tmr, v_h = (float(each[row, column]) for each in (junctions.g_p, junctions.tmr, junctions.v_h))
        nodes = (word(row, column), bit(row, column))
        if g_p == 0:
            circuit.X(f"{row}_{column}", "cell_open", *nodes, **loads)
        elif tmr == 0:
            circuit.X(f"{row}_{column}", "cell_p", *nodes, g_p=g_p, **loads)
        else:
            circuit.X(f"{row}_{column}", "cell_ap", *nodes, g_p=g_p, tmr=tmr, v_h=v_h, **loads)
    add_segments(circuit, junctions.g_p.shape, wiring)


def line_loads(wiring: Wiring, capacitance: Capacitance) -> dict[str, float]:
    """What a cell puts on its lines beside its junction, as subcircuit parameters."""
    return {
        "c_word": capacitance.word,
        "c_bit": capacitance.bit,
        "g_leak_word": wiring.g_leak_word,
        "g_leak_bit": wiring.g_leak_bit,
    }


def add_segments(circuit: Circuit, shape: tuple[int, ...], wiring: Wiring) -> None:
    """The segments between neighbouring cells of an array of ``shape`` (rows, columns)."""
    word, bit = word_node(wiring), bit_node(wiring)
    for row, column in np.ndindex(*shape):
        if wiring.r_word > 0 and column > 0:
            ends = (word(row, column - 1), word(row, column))
            add_segment(circuit, f"w{row}_{column}", ends, wiring.r_word)
        if wiring.r_bit > 0 and row > 0:
            ends = (bit(row - 1, column), bit(row, column))
            add_segment(circuit, f"b{row}_{column}", ends, wiring.r_bit)


def add_word_terminals(circuit: Circuit, rows: int, wiring: Wiring) -> None:
    """Each word line's first segment and source resistance, from ``row0``, ``row1``, ..."""
    if wiring.r_source + wiring.r_word > 0:
        for row in range(rows):
            ends = (f"row{row}", word_node(wiring)(row, 0))
            add_segment(circuit, f"in{row}", ends, wiring.r_source + wiring.r_word)


def add_bit_terminals(circuit: Circuit, shape: tuple[int, int], wiring: Wiring) -> None:
    """Each bit line's last segment and terminal resistance, to ``col0``, ``col1``, ..."""
    rows, columns = shape
    if wiring.r_sense + wiring.r_bit > 0:
        for column in range(columns):
            ends = (bit_node(wiring)(rows - 1, column), f"col{column}")
            add_segment(circuit, f"out{column}", ends, wiring.r_sense + wiring.r_bit)


def _ground_columns(circuit: Circuit, columns: int) -> None:
    """The virtual grounds that the bit lines end in."""
    for column in range(columns):
        circuit.V(f"col{column}", f"col{column}", circuit.gnd, "dc 0")


def add_segment(circuit: Circuit, name: str, ends: tuple[str, str], resistance: float) -> None:
    """One segment of line."""
    circuit.X(f"s{name}", "segment", *ends, r=resistance)


def _checked(voltages: NDArray[np.float64], shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    given = np.asarray(voltages, dtype=np.float64)
    fits = len(given.shape) == len(shape) and all(
        want in (None, have) for have, want in zip(given.shape, shape, strict=True)
    )
    if not (fits and given.size and np.all(np.isfinite(given))):
        wanted = ", ".join("vectors" if each is None else f"{each} rows" for each in shape)
        raise DeckError(f"row voltages of shape {given.shape} should be ({wanted}), all finite.")
    return given


def solver(junctions: Junctions) -> str:
    """The option of ngspice's matrix solver that suits an array's size."""
    return " klu" if junctions.g_p.size >= _KLU_FROM else ""


def finish_array(
    circuit: Circuit, *, name: str, options: str, save: list[str], analysis: str, head: str = ""
) -> Deck:
    """The deck of a circuit: models loaded, options set, an analysis, and what is saved."""
    tail = f".options {options}\n.save {' '.join(save)}\n{analysis}\n"
    return make_deck(f"{head}{circuit}\n{tail}", folder=netlists_folder(), name=name)
