"""Decks of bare PCM cells driven by current or voltage sources, for the tests of the device model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from characterization.pcm_model import PcmCell, conductance
from spicebridge.deck import Deck
from spicebridge.netlist import make_deck
from spicebridge.project import netlists_folder
from spicebridge.simulator import Waveforms

HEAD = ".control\npre_osdi devices/pcm.osdi\n.endc\n.include devices/pcm_90nm.lib\n"
LENGTH, KELVIN = 1e-7, 1e3  # m and K per volt of nodes u and th
EDGE = 1e-9  # s
REST = 60e-9  # s between pulses: the cell cools in a few ns, the counter follows within 20 ns
STEP = 5e-9  # s
OPTIONS = "abstol=1e-8 vntol=1e-5 reltol=3e-4"  # with ngspice's 1e-3 the quench errs by up to 0.8 nm
R_SHUNT = 1e7  # ohm across each cell: an open cell would keep its voltage, and with it the on state
Pulse = tuple[float, float]  # A, and s between the half-heights


def pulse_ends(pulses: Sequence[Pulse]) -> NDArray[np.float64]:
    """The instants, in s, at which the cells are cold after each pulse."""
    return np.cumsum([width + EDGE + REST for _, width in pulses])


def corners(pulses: Sequence[Pulse]) -> list[tuple[float, float]]:
    """The source's trapezoids as points of (s, A)."""
    points = [(0.0, 0.0)]
    for (height, width), end in zip(pulses, pulse_ends(pulses), strict=True):
        at = end - width - EDGE - REST / 2
        points += [(at, 0.0), (at + EDGE, height), (at + width, height), (at + width + EDGE, 0.0)]
    return points


def programmed_deck(
    cells: Sequence[str],
    pulses: Sequence[Pulse] | Sequence[Sequence[Pulse]],
    *,
    card: str = "",
    step: float = STEP,
    options: str = OPTIONS,
) -> Deck:
    """Cells, each with its instance parameters, under pulses of current: the same for all, or each its own.

    ``card`` overrides model parameters. Saved are the voltage across a cell, ``t{index}``, and its nodes.
    """
    trains = [pulses] * len(cells) if isinstance(pulses[0][0], float) else pulses
    lines = [HEAD, f".model other pcm {card}" if card else ""]
    for index, (instance, train) in enumerate(zip(cells, trains, strict=True)):
        points = " ".join(f"{time:.9g} {height:.9g}" for time, height in corners(train))
        lines.append(f"i{index} 0 t{index} pwl({points})\nr{index} t{index} 0 {R_SHUNT!r}")
        lines.append(f"n{index} t{index} 0 {'other' if card else 'pcm'} {instance}")
    nodes = [f"v(n{index}#{node})" for index in range(len(cells)) for node in ("u", "th", "s", "y", "c2")]
    lines.append(f".options {options} temp=27")
    lines.append(".save " + " ".join(nodes + [f"v(t{index})" for index in range(len(cells))]))
    lines.append(f".tran {step:.6g} {pulse_ends(trains[0])[-1]:.6g} 0 {step:.6g}")
    return make_deck("\n".join(lines), folder=netlists_folder(), name="programmed")


def after_pulses(
    recorded: Waveforms, *, devices: int, ends: Sequence[float] | NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """``u`` (m), ``y`` and ``count`` of the cells when cold after each pulse: (devices, pulses) each."""
    time = recorded["time"]

    def at_ends(node: str) -> NDArray[np.float64]:
        return np.array([np.interp(ends, time, recorded[f"n{index}#{node}"]) for index in range(devices)])

    return {"u": at_ends("u") * LENGTH, "y": at_ends("y"), "count": at_ends("c2")}


def conductances_of(cell: PcmCell, found: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Low-field conductances in S, (devices, pulses), of what ``after_pulses`` found."""
    return conductance(cell, found["u"], found["y"])


def read_deck(cells: Sequence[str], *, voltages: Sequence[float] | None = None, card: str = "") -> Deck:
    """The operating point of cells, each read at its voltage or at 1 mV; currents are ``i(v{index})``."""
    lines = [HEAD, f".model other pcm {card}" if card else ""]
    for index, (instance, voltage) in enumerate(zip(cells, voltages or [1e-3] * len(cells), strict=True)):
        lines.append(f"v{index} t{index} 0 {voltage!r}")
        lines.append(f"n{index} t{index} 0 {'other' if card else 'pcm'} {instance}")
    lines.append(".options abstol=1e-16 reltol=1e-7 temp=27\n.op")
    return make_deck("\n".join(lines), folder=netlists_folder(), name="read")


def currents(recorded: Waveforms, *, devices: int) -> NDArray[np.float64]:
    """Currents in A into the cells of a ``read_deck``."""
    return np.array([-recorded[f"i(v{index})"][0] for index in range(devices)])
