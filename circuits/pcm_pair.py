"""Decks that read 1T1R phase-change cells and their differential pairs, and what is measured on them.

The bit line carries the input, a pulse of fixed voltage and either sign; each cell of a pair lies on a word
line of its own and on a source line that ends in a virtual ground. The pair's current is that of its first
cell less that of its second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from circuits.pcm_cell import PcmCell, add_level, add_word_line, finish, new_circuit
from circuits.pcm_write import V_REST
from circuits.timing import timing
from spicebridge.deck import Deck, DeckError
from spicebridge.simulator import Waveforms

_TIMING = timing("pcm_read")
T_LEAD, T_EDGE, T_LAG, T_SETTLE = (_TIMING[name] for name in ("t_lead", "t_edge", "t_lag", "t_settle"))
T_START = T_LEAD + T_EDGE / 2  # s, the half height of the input
SETTLED = 0.02  # settled within this share of the larger of the two currents
_STEPS = 100  # time steps of an input, at least
# Currents to a millionth; gear, as lines are much faster than a step.
_OPTIONS = "method=gear reltol=1e-6 abstol=1e-15 vntol=1e-9"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Read:
    """A cell as it is read: amorphous thickness u (m), seed, age (s; 0 is t_0), read number (0: no noise)."""

    u: float
    seed: int = 0
    age: float = 0.0
    number: int = 0


def state_deck(cell: PcmCell, *, seed: int, thicknesses: Sequence[float]) -> Deck:
    """The low-field conductance of one device at many thicknesses: operating points side by side."""
    circuit, saved = _open_cells(cell), []
    for index, u in enumerate(thicknesses):
        circuit.V(f"in{index}", f"bl{index}", circuit.gnd, f"dc {V_REST!r}")
        circuit.X(f"c{index}", "cell_1t1r", f"bl{index}", "wl", circuit.gnd, **cell.access, seed=seed, u0=u)
        saved += [f"i(vin{index})", f"v(xc{index}.mid)"]
    name = f"pcm_state_{len(thicknesses)}_points"
    return finish(circuit, cell, name=name, analysis=".op", save=saved, options=_OPTIONS)


def measure_state(recorded: Waveforms, *, points: int) -> dict[str, Array]:
    """``g`` of a ``state_deck``, (points,), S."""
    current = np.array([-recorded[f"i(vin{index})"][0] for index in range(points)])
    drop = V_REST - np.array([recorded[f"xc{index}.mid"][0] for index in range(points)])
    return {"g": current / drop}


def branch_deck(cell: PcmCell, reads: Sequence[Read], *, v_read: float) -> Deck:
    """The steady currents of single cells, each at the crossing of a bit and a source line of its own."""
    circuit, saved = _open_cells(cell), []
    for index, read in enumerate(reads):
        _add_input(circuit, cell, index, v_read=v_read)
        state = {"seed": read.seed, "u0": read.u, "age": read.age, "read_number": read.number}
        circuit.X(f"c{index}", "cell_1t1r", f"bl{index}", "wl", f"sl_c{index}", **cell.access, **state)
        saved.append(_add_output(circuit, cell, f"c{index}", shared=False))
    name = f"pcm_branch_{len(reads)}_reads"
    return finish(circuit, cell, name=name, analysis=".op", save=saved, options=_OPTIONS)


def measure_branch(recorded: Waveforms, *, reads: int) -> dict[str, Array]:
    """``current`` of a ``branch_deck`` into the virtual grounds, (reads,), A."""
    return {"current": np.array([recorded[f"i(vc{index})"][0] for index in range(reads)])}


def steady_deck(cell: PcmCell, pairs: Sequence[tuple[Read, Read]], *, v_read: float) -> Deck:
    """The steady currents of pairs, each on lines of its own."""
    circuit = _open_cells(cell)
    saved = [
        name for index, pair in enumerate(pairs) for name in _add_pair(circuit, cell, index, pair, v_read)
    ]
    name = f"pair_steady_{len(pairs)}_pairs"
    return finish(circuit, cell, name=name, analysis=".op", save=saved, options=_OPTIONS)


def measure_steady(recorded: Waveforms, *, pairs: int) -> dict[str, Array]:
    """``current`` of a ``steady_deck``: of each pair's first cell less its second's, (pairs,), A."""
    return {"current": np.array([_difference(recorded, index)[0] for index in range(pairs)])}


def read_deck(
    cell: PcmCell, pairs: Sequence[tuple[Read, Read]], *, v_read: float, t_in: float, shared: bool
) -> Deck:
    """One input pulse on pairs.

    Args:
        v_read: of the input, V, of either sign.
        t_in: its width, s.
        shared: whether a pair has only its own length of the lines' capacitance, which is what it costs where
            all pairs of an array are read together, or that of whole lines, which is what it waits for.

    Raises:
        DeckError: a width below two edges.
    """
    if not t_in > 2 * T_EDGE:
        raise DeckError(f"t_in = {t_in:g} s should be longer than its two edges of {T_EDGE:g} s.")
    circuit = new_circuit(cell)
    end = T_LEAD + t_in
    add_level(circuit, "ctl", ((0, 0), (T_LEAD, 0), (T_LEAD + T_EDGE, 1), (end, 1), (end + T_EDGE, 0)))
    close = end + T_LAG
    level = ((0, 0), (T_EDGE, cell.v_word), (close, cell.v_word), (close + T_EDGE, 0))
    add_word_line(circuit, cell, cells=2 * len(pairs), level=level)
    saved = ["i(vword)"]
    for index, pair in enumerate(pairs):
        saved += _add_pair(circuit, cell, index, pair, v_read, control="ctl", shared=shared)
    step = min(t_in / _STEPS, 5e-9)
    return finish(
        circuit,
        cell,
        name=f"pair_read_{len(pairs)}_pairs_{t_in * 1e9:g}ns",
        analysis=f".tran {step:.6g} {end + T_SETTLE:.9g} 0 {max(step, 0.2e-9):.6g}",
        save=saved,
        options=_OPTIONS,
    )


def measure_read(
    recorded: Waveforms, *, pairs: int, v_read: float, v_word: float, t_in: float
) -> dict[str, Array]:
    """What one input did, each (pairs,).

    Returns:
        ``current``, of the first cell less the second's as the input ends, A; ``charge``, its integral, C;
        ``settling``, from the input's half height until it stays within 2 % of the larger of the two, s;
        ``energy`` of all sources from before the input until the word line has closed, J; ``energy_word``,
        what of that the pair's share of the word lines took, J.
    """
    time = recorded["time"]
    last = T_START + t_in - T_EDGE / 2
    reading = (time >= T_START) & (time <= last)
    word = np.trapezoid(-v_word * recorded["i(vword)"], time) / pairs
    found: dict[str, list[float]] = {"current": [], "charge": [], "settling": [], "energy": []}
    for index in range(pairs):
        difference = _difference(recorded, index)
        current = float(np.interp(last, time, difference))
        larger = max(abs(np.interp(last, time, recorded[f"i(v{branch}{index})"])) for branch in "pn")
        unsettled = time[reading & (np.abs(difference - current) > SETTLED * larger)]
        found["current"].append(current)
        found["charge"].append(float(np.trapezoid(difference, time)))
        found["settling"].append(float(unsettled[-1]) - T_START if unsettled.size else 0.0)
        found["energy"].append(float(np.trapezoid(-v_read * recorded[f"i(vin{index})"], time) + word))
    return {name: np.array(values) for name, values in found.items()} | {"energy_word": np.full(pairs, word)}


def _difference(recorded: Waveforms, index: int) -> Array:
    return recorded[f"i(vp{index})"] - recorded[f"i(vn{index})"]


def _open_cells(cell: PcmCell) -> Circuit:
    """A circuit whose word line is open."""
    circuit = new_circuit(cell)
    circuit.V("wl", "wl", circuit.gnd, f"dc {cell.v_word!r}")
    return circuit


def _add_pair(
    circuit: Circuit,
    cell: PcmCell,
    index: int,
    pair: tuple[Read, Read],
    v_read: float,
    *,
    control: str | None = None,
    shared: bool = False,
) -> list[str]:
    """A pair with its input and its virtual grounds; returns what to save of it."""
    first, second = pair
    if first.age != second.age:
        raise DeckError(
            f"the cells of a pair are read at one age, not at {first.age:g} s and {second.age:g} s."
        )
    _add_input(circuit, cell, index, v_read=v_read, control=control, shared=shared)
    states = {"seed_p": first.seed, "seed_n": second.seed, "u0_p": first.u, "u0_n": second.u}
    reads = {"age": first.age, "read_p": first.number, "read_n": second.number}
    nodes = (f"bl{index}", "wl", f"sl_p{index}", f"sl_n{index}")
    circuit.X(f"pair{index}", "pair_1t1r", *nodes, **cell.access, **states, **reads)
    outputs = [_add_output(circuit, cell, f"{branch}{index}", shared=shared) for branch in "pn"]
    return [*outputs, f"i(vin{index})"]


def _add_input(
    circuit: Circuit,
    cell: PcmCell,
    index: int,
    *,
    v_read: float,
    control: str | None = None,
    shared: bool = False,
) -> None:
    """A bit line ``bl`` driven from a rail of its own while ``control`` is 1; always, if there is none."""
    near, rail = f"near{index}", f"rail{index}"
    circuit.V(f"in{index}", rail, circuit.gnd, f"dc {v_read!r}")
    if control is None:
        circuit.R(f"in{index}", rail, near, cell.r_input)
    else:
        circuit.X(f"in{index}", "line_driver", near, rail, control, r_drive=cell.r_input, c_line=0)
    line = cell.bit_line | ({"c": 2 * cell.c_bit} if shared else {})
    circuit.X(f"bl{index}", "half_line", f"near{index}", f"bl{index}", **line)


def _add_output(circuit: Circuit, cell: PcmCell, name: str, *, shared: bool) -> str:
    """A source line ``sl_<name>`` that ends in a virtual ground, whose current is to be saved."""
    line = cell.source_line | ({"c": cell.c_bit} if shared else {})
    circuit.X(f"sl_{name}", "half_line", f"out_{name}", f"sl_{name}", **line)
    circuit.V(name, f"out_{name}", circuit.gnd, "dc 0")
    return f"i(v{name})"
