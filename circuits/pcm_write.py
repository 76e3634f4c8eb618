"""Decks that programme 1T1R phase-change cells with trains of current pulses, and what is measured on them.

A deck holds many independent cells on one word line, each with a bit line, a write driver and rails of its
own, so that each one's energy is told apart. The word line's level, which makes the access transistors
saturate, sets the current; the bit line's pulse sets the width. Between pulses the bit lines rest at a few
millivolts: the current then is a read without noise, too small to disturb.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from circuits.pcm_cell import PcmCell, add_level, add_word_line, finish, new_circuit
from circuits.timing import timing
from spicebridge.deck import Deck, DeckError
from spicebridge.errors import SpicebridgeError
from spicebridge.simulator import Waveforms

_TIMING = timing("pcm_write")
T_LEAD, T_EDGE, T_COOL, T_IDLE, STEP = (
    _TIMING[name] for name in ("t_lead", "t_edge", "t_cool", "t_idle", "t_step")
)
V_REST = 20e-3  # V, on a resting bit line: sinh adds 0.1 % to the current at most
STEADY = (
    0.02  # a read may differ so much from a step before, relative to itself or to G_LEAST if that is more
)
G_LEAST = 0.1e-6  # S
COLD = 10.0  # K over ambient: a pulse's latency ends here
KELVIN = 1e3  # K per volt of the model's node th
LENGTH = 1e-7  # m per volt of its node u
# Gear, as the trapezoidal rule rings on after edges of lines much faster than a step. Step and trtol together
# cost 1.3 % of g after the first SET pulse and 0.3 % after the twentieth.
OPTIONS = "method=gear abstol=1e-8 vntol=1e-5 trtol=20"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Device:
    """One cell at the start: its seed, its amorphous thickness u0 (m), its SET pulses since RESET."""

    seed: int
    u0: float
    n0: int = 0


@dataclass(frozen=True)
class Pulse:
    """A rectangular pulse of at most ``current`` (A), ``width`` (s) between its half heights."""

    current: float
    width: float


def write_deck(
    cell: PcmCell, devices: Sequence[Device], pulses: Sequence[Pulse], *, step: float = STEP
) -> Deck:
    """Cells that all get the same train of pulses.

    Raises:
        DeckError: no cell or no pulse, a pulse that is not above zero or shorter than its edges.
    """
    if not devices or not pulses:
        raise DeckError("a train of pulses needs at least one pulse and one cell.")
    if bad := [each for each in pulses if not (each.current > 0 and each.width > 2 * T_EDGE)]:
        raise DeckError(
            f"pulses {bad} should be above zero, and longer than their two edges of {T_EDGE:g} s."
        )
    circuit = new_circuit(cell)
    starts = event_starts([each.width for each in pulses])
    word, drive = _controls(cell, pulses, starts)
    add_level(circuit, "ctl", drive)
    add_word_line(circuit, cell, cells=len(devices), level=word)
    # The word line's energy, 1 V for 1 J: its edges are too fast for a trapezoid over these time steps.
    circuit.raw_spice += "b_word e_word 0 i=v(rail_word)*i(vword)\nc_word e_word 0 1\n.ic v(e_word)=0\n"
    saved = ["v(e_word)"]
    for index, device in enumerate(devices):
        circuit.V(f"write{index}", f"rail{index}", circuit.gnd, f"dc {cell.v_supply!r}")
        circuit.V(f"rest{index}", f"rest{index}", circuit.gnd, f"dc {V_REST!r}")
        driver = (f"near{index}", f"rail{index}", f"rest{index}", "ctl")
        circuit.X(f"d{index}", "write_driver", *driver, r_drive=cell.r_write, r_rest=cell.r_rest)
        circuit.X(f"l{index}", "half_line", f"near{index}", f"bl{index}", **cell.bit_line)
        state = {"seed": device.seed, "u0": device.u0, "n0": device.n0}
        circuit.X(f"c{index}", "cell_1t1r", f"bl{index}", "wl", circuit.gnd, **cell.access, **state)
        saved += [f"i(vwrite{index})", f"i(vrest{index})", f"v(bl{index})", f"v(xc{index}.mid)"]
        saved += [f"v({inner_node(index, node)})" for node in ("u", "th")]
    return finish(
        circuit,
        cell,
        name=f"pcm_write_{len(devices)}_cells_{len(pulses)}_pulses",
        analysis=f".tran {step:.6g} {starts[-1]:.9g} 0 {step:.6g}",
        save=saved,
        options=OPTIONS,
    )


def event_starts(widths: Sequence[float]) -> Array:
    """When the event of each pulse of these widths begins, and when the last one has ended, s."""
    each = T_LEAD + np.asarray(widths, dtype=float) + T_EDGE + T_COOL + T_IDLE
    return np.concatenate([[0.0], np.cumsum(each)])


def read_times(widths: Sequence[float]) -> Array:
    """When cells are read, cold after each pulse, s."""
    return event_starts(widths)[1:] - T_IDLE


def measure_write(
    recorded: Waveforms, *, devices: int, widths: Sequence[float], v_supply: float
) -> dict[str, Array]:
    """What a train of pulses did.

    Args:
        devices: how many cells.
        widths: of the pulses, s.
        v_supply: the write drivers' rail, V.

    Returns:
        Of each pulse, (devices, pulses): ``g``, low-field conductance after it without noise, at the age at
        which conductances are stated, S; ``u``, amorphous thickness then, m; ``energy`` of all sources, the
        cell's own share of the word line among them, from before the pulse until the word line has closed, J;
        ``latency`` from the word line's control until the cell is within ``COLD`` of ambient, s; ``hottest``,
        largest rise of the hot spot, K. ``energy_word``: the word line's share of each pulse, (pulses,), J.

    Raises:
        SpicebridgeError: a cell below ambient, a bit line beyond its rail, or a read that still moves: a
            solution without physics.
    """
    time, starts, reads = recorded["time"], event_starts(widths), read_times(widths)
    g, u = np.empty((devices, len(reads))), np.empty((devices, len(reads)))
    energy, latency, hottest = (np.empty((devices, len(widths))) for _ in range(3))
    word = np.diff(np.interp(starts, time, recorded["e_word"])) / devices
    for index in range(devices):
        line, rise = recorded[f"bl{index}"], recorded[inner_node(index, "th")] * KELVIN
        if rise.min() < -COLD or line.min() < -0.05 or line.max() > v_supply + 0.05:
            raise SpicebridgeError(
                f"cell {index} ran to {line.min():.3g} .. {line.max():.3g} V and {rise.min():.3g} K over "
                "ambient, which no cell can: ngspice's solution is wrong. Take a shorter time step."
            )
        rest = recorded[f"i(vrest{index})"]
        drop = line - recorded[f"xc{index}.mid"]
        g[index] = _settled(time, -rest / np.where(drop == 0, np.nan, drop), reads, index)
        u[index] = np.interp(reads, time, recorded[inner_node(index, "u")]) * LENGTH
        drawn = _integral(time, -v_supply * recorded[f"i(vwrite{index})"] - V_REST * rest)
        energy[index] = np.diff(np.interp(starts, time, drawn)) + word
        for event, (start, end) in enumerate(pairwise(starts)):
            part = slice(*np.searchsorted(time, [start, end]))
            hottest[index, event] = rise[part].max()
            latency[index, event] = _cold_from(time[part], rise[part]) - start
    return {"g": g, "u": u, "energy": energy, "latency": latency, "hottest": hottest, "energy_word": word}


def inner_node(index: int, node: str) -> str:
    """The model's inner ``node`` of the cell of that index."""
    return f"n.xc{index}.n_pcm#{node}"


def _settled(time: Array, g: Array, reads: Array, index: int) -> Array:
    """A cell's conductance at its reads, each held against the time step before."""
    after = np.searchsorted(time, reads * (1 - 1e-9))
    now, before = g[after], g[after - 1]
    if not np.all(np.abs(now - before) <= STEADY * np.maximum(now, G_LEAST)):
        worst = int(np.nanargmax(np.abs(now - before))) if np.isfinite(now - before).any() else 0
        raise SpicebridgeError(
            f"read {worst} of cell {index} has not settled: {now[worst]:.4g} S, and {before[worst]:.4g} S a "
            "step before. The bit line is too fast for the time step, or too slow for the pause before it."
        )
    return now


def _cold_from(time: Array, rise: Array) -> float:
    """When the cell falls below ``COLD`` for good, interpolated, s; its start if it always was."""
    hot = np.flatnonzero(rise > COLD)
    if hot.size == 0:
        return float(time[0])
    last = hot[-1]
    if last + 1 == len(time):
        return float(time[last])
    share = (rise[last] - COLD) / (rise[last] - rise[last + 1])
    return float(time[last] + share * (time[last + 1] - time[last]))


def _integral(time: Array, values: Array) -> Array:
    """The integral up to each time, trapezoidal."""
    return np.concatenate([[0.0], np.cumsum(np.diff(time) * (values[1:] + values[:-1]) / 2)])


def _controls(
    cell: PcmCell, pulses: Sequence[Pulse], starts: Array
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The word line's level and the write drivers' control, as points in time."""
    word, drive = [(0.0, 0.0)], [(0.0, 0.0)]
    for pulse, start in zip(pulses, starts[:-1].tolist(), strict=True):
        begin, end = start + T_LEAD, start + T_LEAD + pulse.width
        close = end + T_EDGE + T_COOL
        level = cell.gate_level(pulse.current)
        if start > 0:
            word.append((start, 0.0))
        word += [(start + T_EDGE, level), (close, level), (close + T_EDGE, 0.0)]
        drive += [(begin, 0.0), (begin + T_EDGE, 1.0), (end, 1.0), (end + T_EDGE, 0.0)]
    return word, drive
