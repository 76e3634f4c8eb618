"""Decks that write one cell of a passive MTJ array, and what is measured on them.

The selected word line is driven at the full voltage and the selected bit line at zero; the schemes differ in
what the other lines rest at. Every line has a driver on rails that the array shares, so that what flows into
an intermediate rail is not lost; what all rails deliver is the energy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from circuits.cell import start_state
from circuits.mtj_branch import first_passage
from circuits.passive_array import (
    STIFF,
    T_DRIVE,
    T_EDGE,
    T_SETTLE,
    T_START,
    Capacitance,
    add_array,
    add_bit_terminals,
    add_segments,
    add_word_terminals,
    bit_node,
    finish_array,
    line_loads,
    new_circuit,
    solver,
    word_node,
)
from circuits.timing import timing
from spicebridge.crossbar import Junctions, Wiring
from spicebridge.deck import Deck, DeckError
from spicebridge.simulator import Waveforms

# What the word and bit lines that are not selected are driven at, as shares of the selected word line's.
SCHEMES: Mapping[str, tuple[float, float]] = {"half": (1 / 2, 1 / 2), "third": (1 / 3, 2 / 3)}
STEP = timing("array")["t_step"]  # s, with thermal noise
_EDGE_STEP = 1e-12  # s, a twentieth of the drivers' edge

Place = tuple[int, int]


def line_voltages(
    shape: Place, *, scheme: str, v_write: float, selected: Sequence[Place]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What drives the word lines (selections, rows) and the bit lines (selections, columns), V.

    Args:
        shape: (rows, columns).
        scheme: one of ``SCHEMES``.
        v_write: of the selected word line; below zero it writes P to AP.
        selected: the cell of each selection.
    """
    if scheme not in SCHEMES:
        raise DeckError(f"there is no write scheme {scheme!r}. There are: {', '.join(SCHEMES)}.")
    if not all(0 <= row < shape[0] and 0 <= column < shape[1] for row, column in selected):
        raise DeckError(f"selected cells {list(selected)} do not all lie in an array of {shape}.")
    word, bit = SCHEMES[scheme]
    rows, columns = np.full((len(selected), shape[0]), word), np.full((len(selected), shape[1]), bit)
    for index, (row, column) in enumerate(selected):
        rows[index, row], columns[index, column] = 1.0, 0.0
    return v_write * rows, v_write * columns


def every_cell(shape: Place) -> list[Place]:
    """The places of an array, row by row."""
    return [(row, column) for row in range(shape[0]) for column in range(shape[1])]


def dc_write_deck(
    antiparallel: Junctions,
    parallel: NDArray[np.bool_],
    wiring: Wiring,
    *,
    scheme: str,
    v_write: float,
    selected: Sequence[Place],
) -> Deck:
    """The steady state of an array under write, for many selected cells: a DC sweep over their index.

    Args:
        antiparallel: the devices, (rows, columns), as they are in AP.
        parallel: which of them are in P. A selected cell is not as told here but in AP in the first half of
            the points and in P in the second.
        wiring: of the array; others as ``line_voltages``.
    """
    shape = (parallel.shape[0], parallel.shape[1])
    junctions = in_states(antiparallel, parallel)
    circuit = new_circuit()
    circuit.V("index", "index", circuit.gnd, "dc 0")
    rows, columns = line_voltages(shape, scheme=scheme, v_write=v_write, selected=[*selected, *selected])
    for kind, voltages in (("row", rows), ("col", columns)):
        for line in range(voltages.shape[1]):
            circuit.B(f"{kind}{line}", f"{kind}{line}", circuit.gnd, v=_by_index(voltages[:, line]))
    fixed = np.ones(shape, dtype=bool)
    for at, place in enumerate(selected):
        fixed[place] = False
        # Where it is selected in the state that is not its own in the background.
        other = at if parallel[place] else at + len(selected)
        _add_chosen(circuit, antiparallel, wiring, place, state=bool(parallel[place]), other_at=other)
    # A chosen cell is only a junction; the open one beside it brings the lines' leakage.
    add_array(circuit, junctions.with_defects(~fixed, g=0.0), wiring, Capacitance())
    add_word_terminals(circuit, shape[0], wiring)
    add_bit_terminals(circuit, shape, wiring)
    return finish_array(
        circuit,
        name=f"array_write_{shape[0]}x{shape[1]}_{scheme}_{v_write:g}V",
        options="reltol=1e-9 abstol=1e-16 vntol=1e-12" + solver(junctions),
        save=[f"v({node})" for node in dict.fromkeys(np.ravel(_cell_nodes(shape, wiring)).tolist())]
        + [f"i(b{line})" for line in _line_names(shape)],
        analysis=f".dc vindex 0 {2 * len(selected) - 1} 1",
    )


def measure_dc_write(
    recorded: Waveforms,
    *,
    rows: int,
    columns: int,
    segments: tuple[bool, bool, bool, bool],
    scheme: str,
    v_write: float,
    selected: Sequence[Place],
) -> dict[str, NDArray[np.float64]]:
    """What a ``dc_write_deck`` tells; the selected cell's state, AP or P, is a first axis where it matters.

    Args:
        rows, columns: of the array; ``scheme``, ``v_write`` and ``selected`` as the deck's.
        segments: which of the word segments, bit segments, word terminals and bit terminals have resistance.

    Returns:
        ``v_selected`` over the selected cell, word line to bit line, (2, selections), V; ``v_cell`` over
        every cell, mean of the selected one's two states, to 24 bits, (selections, rows, columns), V;
        ``power`` that all drivers deliver, (2, selections), W.
    """
    nodes = _cell_nodes((rows, columns), Wiring(*(float(each) for each in segments)))
    count = len(selected)
    v_cell = np.array([recorded[word] - recorded[bit] for word, bit in nodes.reshape(-1, 2)])
    v_cell = v_cell.T.reshape(2, count, rows, columns)
    driven = line_voltages((rows, columns), scheme=scheme, v_write=v_write, selected=[*selected, *selected])
    volts = np.concatenate(driven, axis=1)
    currents = np.stack([-recorded[f"i(b{line})"] for line in _line_names((rows, columns))], axis=1)
    at = tuple(np.array(selected).T)
    return {
        "v_selected": v_cell[:, np.arange(count), *at],
        "v_cell": v_cell.mean(axis=0).astype(np.float32).astype(np.float64),
        "power": (volts * currents).sum(axis=1).reshape(2, count),
    }


def segments_of(wiring: Wiring) -> tuple[bool, bool, bool, bool]:
    """Which parts of the lines have resistance, as ``measure_dc_write`` asks."""
    return wiring.r_word > 0, wiring.r_bit > 0, wiring.r_source > 0, wiring.r_sense > 0


def pulse_deck(
    antiparallel: Junctions,
    parallel: NDArray[np.bool_],
    wiring: Wiring,
    *,
    capacitance: Capacitance,
    scheme: str,
    v_write: float,
    selected: Place,
    t_pulse: float,
) -> Deck:
    """One whole pulse on an array whose cells stay in their states, from drivers on constant rails.

    Args:
        capacitance: of the cells.
        t_pulse: between half heights, s; others as ``dc_write_deck``.
    """
    junctions = in_states(antiparallel, parallel)
    circuit = new_circuit()
    shape = (parallel.shape[0], parallel.shape[1])
    rails = _add_drivers(circuit, shape, wiring, scheme, v_write, selected, t_pulse)
    add_array(circuit, junctions, _without_drivers(wiring), capacitance)
    return finish_array(
        circuit,
        name=f"array_pulse_{shape[0]}x{shape[1]}_{scheme}_{v_write:g}V",
        options=STIFF + solver(junctions),
        save=rails,
        analysis=f".tran {_EDGE_STEP:.6g} {T_START + t_pulse + T_SETTLE:.6g} 0 {_EDGE_STEP:.6g}",
    )


def live_deck(
    card: Mapping[str, float],
    parallel: NDArray[np.bool_],
    wiring: Wiring,
    *,
    capacitance: Capacitance,
    temperature: float,
    scheme: str,
    v_write: float,
    selected: Place,
    seeds: Sequence[int],
    t_stop: float,
) -> Deck:
    """A pulse on an array of which every cell is an MTJ with thermal noise, watched until it ends.

    Args:
        card: ``stt_mtj`` parameters, SI units.
        parallel: the states it starts from, (rows, columns).
        capacitance: of the lines; the MTJs have their own.
        temperature: K.
        v_write: of the selected word line, V, above zero to write AP to P, below to write P to AP.
        seeds: one a cell, row by row, 1 to 2^29 - 1; 0 is no noise.
        t_stop: how long it is watched from its half height, s.
    """
    shape = (parallel.shape[0], parallel.shape[1])
    circuit = new_circuit()
    circuit.raw_spice += f".model mtj stt_mtj {' '.join(f'{key}={value!r}' for key, value in card.items())}\n"
    rails = _add_drivers(circuit, shape, wiring, scheme, v_write, selected, 2 * t_stop)
    word, bit = word_node(_without_drivers(wiring)), bit_node(_without_drivers(wiring))
    for (row, column), seed in zip(every_cell(shape), seeds, strict=True):
        circuit.X(
            f"{row}_{column}",
            "cell_live",
            word(row, column),
            bit(row, column),
            seed=int(seed),
            mz0=1 if parallel[row, column] else -1,
            **line_loads(wiring, capacitance),
        )
    add_segments(circuit, shape, wiring)
    return finish_array(
        circuit,
        name=f"array_live_{shape[0]}x{shape[1]}_{scheme}_{v_write:g}V",
        head=".control\npre_osdi devices/stt_mtj.osdi\n.endc\n",
        # As for single branches: the noise bounds the step, and the method must stay trapezoidal.
        options=f"trtol=1000 temp={temperature - 273.15:.6g}",
        save=[*rails, *(f"v({_mz_node(place)})" for place in every_cell(shape))],
        analysis=f".tran {STEP:.6g} {T_START + t_stop:.6g} 0 {STEP:.6g}",
    )


def measure_pulse(recorded: Waveforms, *, scheme: str, v_write: float) -> dict[str, NDArray[np.float64]]:
    """``energy`` that all rails have delivered by the end of a pulse deck, J."""
    power = -sum(volts * recorded[f"i(v{rail})"] for rail, volts in _rails(scheme, v_write).items())
    return {"energy": np.array(np.trapezoid(power, recorded["time"]))}


def measure_live(
    recorded: Waveforms, *, rows: int, columns: int, scheme: str, v_write: float
) -> dict[str, NDArray[np.float64]]:
    """What happened in a ``live_deck``.

    Returns:
        ``first_passage`` of mz = 0 after the pulse began, s, inf where it did not happen, (rows, columns);
        ``energy`` that all rails have delivered by the end of the watch, J.
    """
    time = recorded["time"]
    passages = [
        first_passage(time, recorded[_mz_node(place)]) - T_START for place in every_cell((rows, columns))
    ]
    return {
        "first_passage": np.array(passages).reshape(rows, columns),
        **measure_pulse(recorded, scheme=scheme, v_write=v_write),
    }


def drive_sign(direction: str) -> int:
    """The sign of the selected word line's voltage that writes ``direction``."""
    return -start_state(direction)


def in_states(antiparallel: Junctions, parallel: NDArray[np.bool_]) -> Junctions:
    """Devices given as they are in AP, those of a mask in P."""
    return Junctions(antiparallel.g_p, np.where(parallel, 0.0, antiparallel.tmr), antiparallel.v_h)


def _by_index(values: NDArray[np.float64]) -> str:
    """An expression that takes each value at its index."""
    # The last value twice, as one point alone makes no table.
    points = (f"{at}, {float(each)!r}" for at, each in enumerate([*values, values[-1]]))
    return f"pwl(v(index), {', '.join(points)})"


def _add_chosen(
    circuit: Circuit, antiparallel: Junctions, wiring: Wiring, place: Place, *, state: bool, other_at: int
) -> None:
    """The junction of a cell that is in ``state`` (True is P) but for one index, where it is in the other."""
    name = f"chosen{place[0]}_{place[1]}"
    g_p, tmr, v_h = (float(each[place]) for each in (antiparallel.g_p, antiparallel.tmr, antiparallel.v_h))
    choice = f"abs(v(index) - {other_at}) < 0.5 ? {int(not state)} : {int(state)}"
    circuit.B(name, name, circuit.gnd, v=choice)
    nodes = (word_node(wiring)(*place), bit_node(wiring)(*place), name)
    circuit.X(name, "cell_chosen", *nodes, g_p=g_p, tmr=tmr, v_h=v_h)


def _add_drivers(
    circuit: Circuit,
    shape: Place,
    wiring: Wiring,
    scheme: str,
    v_write: float,
    selected: Place,
    t_pulse: float,
) -> list[str]:
    """Rails, a driver for each line and the lines' first segments; returns what to save of the rails."""
    if not (wiring.r_source > 0 and wiring.r_sense > 0 and t_pulse > T_EDGE):
        raise DeckError(
            f"a pulse needs drivers of some resistance on every line and a width above their edge of "
            f"{T_EDGE:g} s (r_source={wiring.r_source:g} ohm, r_sense={wiring.r_sense:g} ohm, "
            f"t_pulse={t_pulse:g} s)."
        )
    end = T_DRIVE + t_pulse
    points = ((0.0, 0), (T_DRIVE, 0), (T_DRIVE + T_EDGE, 1), (end, 1), (end + T_EDGE, 0))
    circuit.V("ctl", "ctl", circuit.gnd, f"pwl({' '.join(f'{time:.6g} {level}' for time, level in points)})")
    for rail, volts in _rails(scheme, v_write).items():
        circuit.V(rail, rail, circuit.gnd, f"dc {volts!r}")
    words = ["full" if row == selected[0] else "word" for row in range(shape[0])]
    bits = ["0" if column == selected[1] else "bit" for column in range(shape[1])]
    for kind, rails, ohms in (("row", words, wiring.r_source), ("col", bits, wiring.r_sense)):
        for number, rail in enumerate(rails):
            line = f"{kind}{number}"
            circuit.X(line, "line_driver", line, rail, "ctl", r_drive=ohms, c_line=0)
    add_word_terminals(circuit, shape[0], _without_drivers(wiring))
    add_bit_terminals(circuit, shape, _without_drivers(wiring))
    return [f"i(v{rail})" for rail in _rails(scheme, v_write)]


def _without_drivers(wiring: Wiring) -> Wiring:
    """The wiring without the drivers' resistance, where they are elements of their own."""
    return Wiring(wiring.r_word, wiring.r_bit, 0.0, 0.0, wiring.g_leak_word, wiring.g_leak_bit)


def _rails(scheme: str, v_write: float) -> dict[str, float]:
    """The rails that lines rest on and their voltages; a share that both kinds of line have is two rails."""
    word, bit = SCHEMES[scheme]
    return {"full": v_write, "word": word * v_write, "bit": bit * v_write}


def _line_names(shape: Place) -> list[str]:
    return [f"row{row}" for row in range(shape[0])] + [f"col{column}" for column in range(shape[1])]


def _cell_nodes(shape: tuple[int, ...], wiring: Wiring) -> NDArray[np.str_]:
    """Word and bit node of every cell, (rows, columns, 2)."""
    word, bit = word_node(wiring), bit_node(wiring)
    names = [[[word(row, column), bit(row, column)] for column in range(shape[1])] for row in range(shape[0])]
    return np.array(names)


def _mz_node(place: Place) -> str:
    return f"n.x{place[0]}_{place[1]}.n_mtj#mz"
