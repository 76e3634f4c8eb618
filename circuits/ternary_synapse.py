"""Decks of the 4T2MTJ ternary synapse: every weight read with every activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.cell import T_START, Cell, add_controls, finish, new_circuit, transient
from spicebridge.deck import Deck
from spicebridge.simulator import Waveforms

# (mz1, mz2) of the pair, by name: the first letters are branch 1's state.
STATES = {"ap_p": (-1, 1), "p_p": (1, 1), "ap_ap": (-1, -1), "p_ap": (1, -1)}
WEIGHTS = {"ap_p": -1, "p_p": 0, "ap_ap": 0, "p_ap": 1}
ACTIVATIONS = {"-1": -1, "0": 0, "+1": 1}
SETTLED = 0.02  # settled within this share of the full-scale current


def read_deck(cell: Cell, *, v_read: float, t_read: float) -> Deck:
    """Twelve synapses, one for each state and activation, each on rails of its own and read at once.

    Activation +1 drives e1 up and e2 down, -1 the reverse, 0 neither; u pulses in every case.

    Args:
        v_read: swing of u, V.
        t_read: width of u between half heights, s.
    """
    circuit = new_circuit(cell)
    add_controls(circuit, t_read)
    circuit.V("idle", "idle", circuit.gnd, "dc 0")
    saved = []
    for index, (state, activation) in enumerate(_cases()):
        mz1, mz2 = STATES[state]
        drive = ACTIVATIONS[activation]
        voltages = _rail_voltages(v_read, cell.v_gate, drive)
        for rail, voltage in voltages.items():
            circuit.V(f"{rail}{index}", f"rail_{rail}{index}", circuit.gnd, f"dc {voltage!r}")
        for line in voltages:
            control = "ctl_u" if line in ("u", "ub") else "ctl_e" if drive else "idle"
            circuit.X(
                f"{line}_{index}",
                "line_driver",
                f"{line}{index}",
                f"rail_{line}{index}",
                control,
                **cell.driver,
            )
        lines = [f"{line}{index}" for line in voltages]
        bodies = (f"rail_ub{index}", f"rail_u{index}")
        circuit.X(
            f"s{index}", "synapse_4t2mtj", *lines, f"out{index}", *bodies, **cell.widths, mz1=mz1, mz2=mz2
        )
        circuit.V(f"out{index}", f"out{index}", circuit.gnd, "dc 0")
        saved += [f"i(v{rail}{index})" for rail in voltages] + [f"i(vout{index})"]
    return finish(
        circuit,
        cell,
        name=f"synapse_read_{v_read:g}V_{t_read * 1e9:g}ns",
        analysis=transient(t_read),
        save=saved,
    )


def measure_read(
    recorded: Waveforms, *, v_read: float, v_gate: float, t_read: float
) -> dict[str, NDArray[np.float64]]:
    """The twelve reads, each (states, activations).

    Returns:
        ``current`` into the virtual ground as u begins to fall, A; ``energy`` of all rails, edges included,
        J; ``settling``: from u's half height until the current stays within 2 % of the full-scale current
        of its last value, s.
    """
    time = recorded["time"]
    last = T_START + t_read - 10e-12
    shape = (len(STATES), len(ACTIVATIONS))
    current, energy = np.zeros(shape), np.zeros(shape)
    outputs = {}
    for index, (_, activation) in enumerate(_cases()):
        at = divmod(index, len(ACTIVATIONS))
        outputs[at] = recorded[f"i(vout{index})"]
        current[at] = np.interp(last, time, outputs[at])
        power = -sum(
            voltage * recorded[f"i(v{rail}{index})"]
            for rail, voltage in _rail_voltages(v_read, v_gate, ACTIVATIONS[activation]).items()
        )
        energy[at] = np.trapezoid(power, time)
    tolerance = SETTLED * np.abs(current).max()
    settling = np.zeros(shape)
    reading = (time >= T_START) & (time <= last)
    for at, output in outputs.items():
        unsettled = time[reading & (np.abs(output - current[at]) > tolerance)]
        settling[at] = max(unsettled[-1] - T_START, 0.0) if unsettled.size else 0.0
    return {"current": current, "energy": energy, "settling": settling}


def _cases() -> list[tuple[str, str]]:
    return [(state, activation) for state in STATES for activation in ACTIVATIONS]


def _rail_voltages(v_read: float, v_gate: float, drive: int) -> dict[str, float]:
    sign = drive if drive else 1
    return {"u": v_read, "ub": -v_read, "e1": sign * v_gate, "e2": -sign * v_gate}
