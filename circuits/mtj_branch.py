"""Decks of the 2T1MTJ branch: stochastic writing, its load line, its edges, half-selection.

Every deck holds many independent branches, each with its own line drivers, on rails shared by a group; what
the rails deliver is the energy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySpice.Spice.Netlist import Circuit

from circuits.cell import (
    STEP,
    T_START,
    Cell,
    add_controls,
    finish,
    gate_sign,
    new_circuit,
    start_state,
    transient,
    until,
)
from spicebridge.deck import Deck
from spicebridge.simulator import Waveforms

LINES = ("u", "e")  # what alone is driven on a half-selected cell; u stands for u and ub
GROUPS = 9  # rails to a deck: energies of whole groups give the standard error


def write_deck(
    cell: Cell,
    *,
    direction: str,
    v_write: float,
    seeds: Sequence[int],
    t_stop: float,
    t_pulse: float | None = None,
    step: float = STEP,
) -> Deck:
    """Independent branches written by one pulse, thermal noise on, started from equilibrium.

    Args:
        direction: ``ap_to_p`` or ``p_to_ap``.
        v_write: swing of u, V.
        seeds: one a branch, 1 to 2^29 - 1.
        t_stop: how long to watch after the pulse began, s.
        t_pulse: width of the pulse, s; None: it lasts longer than the watch.
        step: longest time step, s.
    """
    circuit = new_circuit(cell)
    add_controls(circuit, t_stop * 2 if t_pulse is None else t_pulse)
    saved = []
    for group in range(GROUPS):
        saved += _rails(circuit, group, v_write, gate_sign(direction) * cell.v_gate)
    for index, seed in enumerate(seeds):
        _branch(circuit, cell, index, index % GROUPS, seed=int(seed), mz0=start_state(direction))
        saved.append(f"v({_mz_node(index)})")
    return finish(
        circuit,
        cell,
        name=f"mtj_write_{direction}_{v_write:g}V",
        analysis=until(t_stop, step=step),
        save=saved,
    )


def trailing_deck(cell: Cell, *, direction: str, v_write: float, t_pulse: float) -> Deck:
    """A noiseless pulse on two branches, the first at rest in the starting state, the second in the final."""
    circuit = new_circuit(cell)
    add_controls(circuit, t_pulse)
    saved = []
    for index, mz0 in enumerate((start_state(direction), -start_state(direction))):
        saved += _rails(circuit, index, v_write, gate_sign(direction) * cell.v_gate)
        _branch(circuit, cell, index, index, seed=0, mz0=mz0)
    return finish(
        circuit,
        cell,
        name=f"mtj_edges_{direction}_{v_write:g}V",
        analysis=transient(t_pulse),
        save=saved,
    )


def half_select_deck(cell: Cell, *, direction: str, v_write: float, t_pulse: float) -> Deck:
    """A noiseless pulse on two half-selected branches: on one only u and ub move, on the other only e."""
    circuit = new_circuit(cell)
    add_controls(circuit, t_pulse)
    circuit.V("idle", "idle", circuit.gnd, "dc 0")
    saved = []
    for index, controls in enumerate((("ctl_u", "idle"), ("idle", "ctl_e"))):
        saved += _rails(circuit, index, v_write, gate_sign(direction) * cell.v_gate)
        _branch(circuit, cell, index, index, seed=0, mz0=start_state(direction), controls=controls)
    return finish(
        circuit,
        cell,
        name=f"mtj_half_select_{direction}_{v_write:g}V",
        analysis=transient(t_pulse),
        save=saved,
    )


def load_line_deck(
    cell: Cell,
    *,
    direction: str,
    v_write: float,
    mz: NDArray[np.float64],
    selected: tuple[bool, bool] = (True, True),
) -> Deck:
    """The operating point of branches whose magnetisation is held at each ``mz``.

    ``selected`` says whether lines (u, e) are driven; an undriven line rests at ground, which gives the
    half-selected cells.
    """
    circuit = new_circuit(cell)
    driven_u, driven_e = selected
    for node, on in (("ctl_u", driven_u), ("ctl_e", driven_e)):
        circuit.V(node, node, circuit.gnd, f"dc {int(on)}")
    saved = []
    for index, z in enumerate(mz):
        saved += _rails(circuit, index, v_write, gate_sign(direction) * cell.v_gate)
        _branch(circuit, cell, index, index, seed=0, mz0=float(z), reference=f"ref{index}")
        circuit.V(f"ref{index}", f"ref{index}", circuit.gnd, "dc 0")
        saved.append(f"i(vref{index})")
    return finish(circuit, cell, name=f"mtj_load_line_{direction}_{v_write:g}V", analysis=".op", save=saved)


def measure_write(
    recorded: Waveforms, *, devices: int, v_write: float, v_gate: float, widths: Sequence[float]
) -> dict[str, NDArray[np.float64]]:
    """First passages and energy of a ``write_deck``.

    Returns:
        ``first_passage`` (devices,): time of mz = 0 after the pulse began, s, inf where it did not happen;
        ``energy`` (GROUPS, widths): mean energy a branch drew until each width, s, all rails, J.
    """
    time = recorded["time"]
    passages = np.full(devices, np.inf)
    for index in range(devices):
        passages[index] = first_passage(time, recorded[_mz_node(index)]) - T_START
    drawn = np.array(
        [
            np.interp(T_START + np.asarray(widths), time, _energy(recorded, group, v_write, v_gate))
            / len(range(group, devices, GROUPS))
            for group in range(min(GROUPS, devices))
        ]
    )
    return {"first_passage": passages, "energy": drawn}


def measure_finite_pulse(
    recorded: Waveforms, *, devices: int, v_write: float, v_gate: float
) -> dict[str, NDArray[np.float64]]:
    """What a whole pulse did.

    Returns:
        ``switched`` (devices,): 0 or 1 by the final sign of mz; ``energy`` (GROUPS,) in J.
    """
    ends = np.array([recorded[_mz_node(index)][[0, -1]] for index in range(devices)])
    drawn = [
        _energy(recorded, group, v_write, v_gate)[-1] / len(range(group, devices, GROUPS))
        for group in range(min(GROUPS, devices))
    ]
    return {"switched": (ends[:, 0] * ends[:, 1] < 0).astype(float), "energy": np.array(drawn)}


def measure_edges(
    recorded: Waveforms, *, v_write: float, v_gate: float, t_pulse: float
) -> dict[str, NDArray[np.float64]]:
    """Energy of a ``trailing_deck`` in the (starting, final) state, J, shape (2,).

    ``leading`` is drawn until the pulse ends, ``trailing`` from there until all has settled.
    """
    time = recorded["time"]
    drawn = [_energy(recorded, index, v_write, v_gate) for index in range(2)]
    at_end = np.array([np.interp(T_START + t_pulse, time, each) for each in drawn])
    return {"leading": at_end, "trailing": np.array([each[-1] for each in drawn]) - at_end}


def measure_half_select(
    recorded: Waveforms, *, v_write: float, v_gate: float
) -> dict[str, NDArray[np.float64]]:
    """``energy`` of a ``half_select_deck``, J, in the order of ``LINES``, shape (2,)."""
    return {"energy": np.array([_energy(recorded, index, v_write, v_gate)[-1] for index in range(2)])}


def measure_load_line(
    recorded: Waveforms, *, points: int, v_write: float, v_gate: float
) -> dict[str, NDArray[np.float64]]:
    """The operating points of a ``load_line_deck``, each (points,).

    Returns:
        ``current`` through the MTJ, A, positive towards the reference layer; ``power`` of all rails, W.
    """
    current = np.array([recorded[f"i(vref{index})"][0] for index in range(points)])
    power = np.array(
        [
            -sum(
                voltage * recorded[f"i({rail}{index})"][0]
                for rail, voltage in _rail_voltages(v_write, v_gate).items()
            )
            for index in range(points)
        ]
    )
    return {"current": current, "power": power}


def first_passage(time: NDArray[np.float64], mz: NDArray[np.float64]) -> float:
    """When mz first crosses zero, interpolated, s; inf if it never does."""
    crossed = np.flatnonzero(mz * mz[0] < 0)
    if crossed.size == 0:
        return float("inf")
    after = crossed[0]
    share = mz[after - 1] / (mz[after - 1] - mz[after])
    return float(time[after - 1] + share * (time[after] - time[after - 1]))


def _rail_voltages(v_write: float, v_gate: float) -> dict[str, float]:
    return {"vu": v_write, "vub": -v_write, "ve": v_gate}


def _rails(circuit: Circuit, group: int, v_write: float, v_gate: float) -> list[str]:
    """A group's constant rails; returns what to save of them."""
    for rail, voltage in _rail_voltages(v_write, v_gate).items():
        circuit.V(f"{rail[1:]}{group}", f"rail_{rail[1:]}{group}", circuit.gnd, f"dc {voltage!r}")
    return [f"i({rail}{group})" for rail in _rail_voltages(v_write, v_gate)]


def _branch(
    circuit: Circuit,
    cell: Cell,
    index: int,
    group: int,
    *,
    seed: int,
    mz0: float,
    reference: str = "0",
    controls: tuple[str, str] = ("ctl_u", "ctl_e"),
) -> None:
    """One branch with its three line drivers; ``controls`` are those of (u and ub, e)."""
    for line, control in (("u", controls[0]), ("ub", controls[0]), ("e", controls[1])):
        circuit.X(
            f"{line}{index}", "line_driver", f"{line}{index}", f"rail_{line}{group}", control, **cell.driver
        )
    lines = (f"u{index}", f"ub{index}", f"e{index}", reference, f"rail_ub{group}", f"rail_u{group}")
    circuit.X(f"b{index}", "branch_2t1mtj", *lines, **cell.widths, seed=seed, mz0=mz0)


def _mz_node(index: int) -> str:
    return f"n.xb{index}.n_mtj#mz"


def _energy(recorded: Waveforms, group: int, v_write: float, v_gate: float) -> NDArray[np.float64]:
    """Energy all rails of a group have delivered by each time, J (trapezoidal, as ngspice integrated)."""
    drawn = [
        -voltage * recorded[f"i({rail}{group})"] for rail, voltage in _rail_voltages(v_write, v_gate).items()
    ]
    power = np.sum(drawn, axis=0)
    steps = np.diff(recorded["time"]) * (power[1:] + power[:-1]) / 2
    return np.concatenate([[0.0], np.cumsum(steps)])
