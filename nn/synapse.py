"""The ternary 4T2MTJ synapse: what its states weigh, what a move pulses, what a read costs.

A weight exists only as the states of the synapse's two MTJs: +1 = (P, AP), -1 = (AP, P), and 0 as one
canonical pair, (AP, AP) "weak" or (P, P) "strong". From the canonical weak zero every move away from 0 writes
AP>P and every move back to 0 writes P>AP; with the strong zero it is the other way round.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicebridge.energy import Source
from spicebridge.errors import SpicebridgeError
from spicebridge.sampler import PulseSampler, compile_pulses
from spicebridge.table import LookupTable, TableError

STATES = ("ap_p", "ap_ap", "p_p", "p_ap")
"""The ``synapse_read`` table's categories (branch 1 first), in the order of the energy arrays here."""

LEAST_SATURATION = 0.5
"""A longest pulse that switches fewer devices than this is no saturating pulse at all."""

ACTIVATIONS = ("-1", "0", "1")
ZEROS = {"weak": "ap_ap", "strong": "p_p"}


@dataclass(frozen=True, eq=False)
class Synapses:
    """An array of synapses, moved in place by an update rule.

    Attributes:
        weights: shape (inputs, outputs); int8 in {-1, 0, 1}, or float32 in the floating-point baseline.
        strong: where a zero is (P, P) rather than (AP, AP), same shape; of no meaning at +-1.
        factors: how readily each MTJ switches, as ``nn.spread`` has it, shape (2, inputs, outputs), branch 1
            first; None where all are the table's.
    """

    weights: NDArray[Any]
    strong: NDArray[np.bool_]
    factors: NDArray[np.float32] | None = None


DISTURB_LIMIT = 1e-9
"""Most that an inference pass may flip of a cell, as a probability: a training of a million passes then flips
less than a thousandth of the weights. Read points are chosen by it; above it a read is called destructive."""


@dataclass(frozen=True)
class ReadDisturb:
    """What the reads that are really sent do to a cell, at worst over states and activations.

    Attributes:
        reads: of one pass through the first layer, one for each bit plane.
        t_gap: rest between two reads (s).
        first_pass: probability that they flip an MTJ, from equilibrium.
        further_read: the same for each further read of a long sequence, as when passes follow at once; that
            of a read before an update too.
    """

    reads: int
    t_gap: float
    first_pass: float
    further_read: float

    @property
    def per_pass(self) -> float:
        """Probability that one of many passes flips an MTJ of the cell."""
        return max(self.first_pass, self.reads * self.further_read)


@dataclass(frozen=True, eq=False)
class SynapseDevice:
    """The two tables at one operating point: all that training knows of the circuit.

    Attributes:
        zero: the canonical zero, ``weak`` or ``strong``.
        away: pulses that move a weight from 0 to +-1.
        back: pulses that move a weight from +-1 to 0.
        read_energy: energy of one read (J), shape (4, 3): ``STATES`` by ``ACTIVATIONS``.
        v_read: read voltage (V).
        t_read: read duration (s).
        read_disturb: probability that one read alone flips an MTJ, at worst over states and activations; None
            where the table lacks it.
        read_source: the table that gave the read energies.
        disturb: what the reads in sequence do; None where the table lacks it.
        exponents: of the mean read energy over the three weights and activations, in ``v_read`` and in
            ``t_read``, between the table's entries about the point; None where the table has no two.
        read_current: current of a read (A), shape (4, 3) as ``read_energy``; None where the table lacks it.
    """

    zero: str
    away: PulseSampler
    back: PulseSampler
    read_energy: NDArray[np.float64]
    v_read: float
    t_read: float
    read_disturb: float | None
    read_source: Source
    disturb: ReadDisturb | None = None
    exponents: Mapping[str, float | None] = field(default_factory=dict)
    read_current: NDArray[np.float64] | None = None

    @property
    def zero_state(self) -> str:
        """The canonical zero as a category of the read table."""
        return ZEROS[self.zero]

    @property
    def saturation(self) -> float:
        """The lesser of the two directions' switching probabilities at the longest pulse, for whole steps."""
        return float(min(self.away.p_switch[-1], self.back.p_switch[-1]))

    @property
    def ap_to_p(self) -> PulseSampler:
        """Pulses that make a device parallel."""
        return self.away if self.away.direction == "ap_to_p" else self.back

    @property
    def p_to_ap(self) -> PulseSampler:
        """Pulses that make a device antiparallel."""
        return self.back if self.away.direction == "ap_to_p" else self.away

    def energy_by_weight(self) -> NDArray[np.float64]:
        """Read energy (J) of the three canonical states, shape (3, 3): weight -1, 0, +1 by activation."""
        rows = [STATES.index("ap_p"), STATES.index(self.zero_state), STATES.index("p_ap")]
        return self.read_energy[rows]


def branch_of_move(weight: int, wanted: int, *, zero: str) -> tuple[int, str]:
    """Which MTJ branch (1 or 2) to pulse, and in which direction, to move a weight by one step.

    Args:
        weight: the state's weight, -1, 0 or +1; 0 is the canonical ``zero``.
        wanted: sign of the move, -1 or +1.
        zero: ``weak`` or ``strong``.
    """
    pairs = {-1: ("ap", "p"), 0: tuple(ZEROS[zero].split("_")), 1: ("p", "ap")}
    before, after = pairs[weight], pairs[weight + wanted]
    (branch,) = (each for each in (0, 1) if before[each] != after[each])
    return branch + 1, f"{before[branch]}_to_{after[branch]}"


def compile_device(
    write: LookupTable,
    read: LookupTable,
    *,
    v_write: float,
    step: float,
    v_read: float,
    t_read: float,
    zero: str,
    read_gap: float | None = None,
    planes: int = 1,
) -> SynapseDevice:
    """The synapse at one operating point, from its write and read tables.

    Args:
        write: ``mtj_write``, over direction, v_write (V), t_pulse (s).
        read: ``synapse_read``, over state, activation, v_read (V), t_read (s).
        v_write: write drive (V).
        step: timing grid of the pulses (s).
        v_read: read drive (V).
        t_read: read duration (s).
        zero: ``weak``, ``strong``, or ``auto`` for the one whose reads at activation +-1 take less energy.
        read_gap: rest between two reads (s), for their disturb; None leaves that out.
        planes: reads of one pass.

    Raises:
        TableError: the tables do not hold the operating point, or no pulse there that saturates.
        SpicebridgeError: an unknown ``zero``.
    """
    energy = _of_cases(read, "energy", v_read=v_read, t_read=t_read)
    if zero == "auto":
        active = {name: energy[STATES.index(state)][[0, 2]].mean() for name, state in ZEROS.items()}
        zero = min(active, key=lambda name: (active[name], name))
    if zero not in ZEROS:
        raise SpicebridgeError(f"zero = {zero!r} is none of: auto, weak, strong.")
    _, away = branch_of_move(0, 1, zero=zero)
    _, back = branch_of_move(1, -1, zero=zero)
    return SynapseDevice(
        zero=zero,
        away=_saturating(compile_pulses(write, direction=away, v_write=v_write, step=step)),
        back=_saturating(compile_pulses(write, direction=back, v_write=v_write, step=step)),
        read_energy=energy,
        v_read=v_read,
        t_read=t_read,
        read_disturb=_read_disturb(read, v_read=v_read, t_read=t_read),
        read_source=Source(read.name, read.digest),
        disturb=None
        if read_gap is None
        else disturb_of(read, v_read=v_read, t_read=t_read, t_gap=read_gap, planes=planes),
        exponents=read_exponents(read, v_read=v_read, t_read=t_read, zero=zero),
        read_current=_of_cases(read, "current", v_read=v_read, t_read=t_read)
        if "current" in read.quantities
        else None,
    )


def _of_cases(read: LookupTable, quantity: str, **at: float) -> NDArray[np.float64]:
    """A quantity of ``STATES`` at activations -1, 0, 1, shape (4, 3)."""
    return np.array(
        [
            [
                float(read.read(quantity, state=state, activation=name, **at))
                for name in _activation_names(read)
            ]
            for state in STATES
        ]
    )


def read_exponents(read: LookupTable, *, v_read: float, t_read: float, zero: str) -> dict[str, float | None]:
    """d ln E / d ln x of the mean read energy in x = ``v_read`` (V) and ``t_read`` (s), about the point.

    E is the mean over the weights -1, 0 and 1 (``zero`` is ``weak`` or ``strong``) and the activations. The
    slope is that between the table's entries on either side; at its edge, between the point and the next.
    """

    def mean(**at: float) -> float:
        states = ("ap_p", ZEROS[zero], "p_ap")
        energies = [
            float(read.read("energy", state=state, activation=activation, **at))
            for state in states
            for activation in _activation_names(read)
        ]
        return float(np.mean(energies))

    point = {"v_read": v_read, "t_read": t_read}
    exponents: dict[str, float | None] = {}
    for name, here in point.items():
        entries = read.data[name].values
        below, above = entries[entries < here], entries[entries > here]
        low = float(below[-1]) if below.size else here
        high = float(above[0]) if above.size else here
        exponents[name] = None
        if low < high:
            with contextlib.suppress(TableError):  # an entry beside the point may be a hole
                ratio = mean(**{**point, name: high}) / mean(**{**point, name: low})
                exponents[name] = float(np.log(ratio) / np.log(high / low))
    return exponents


def _saturating(pulses: PulseSampler) -> PulseSampler:
    """The pulses, refused if the longest leaves too many devices as they were: whole steps rely on it."""
    if pulses.p_switch[-1] < LEAST_SATURATION:
        raise TableError(
            f"table {pulses.source.name} ends at {pulses.width[-1]:g} s, where {pulses.direction} switches "
            f"with P = {pulses.p_switch[-1]:.4f} only at {pulses.v_write:g} V. Whole steps need a pulse that "
            "saturates: characterise a longer t_max, or write at a higher voltage."
        )
    return pulses


def disturb_of(
    read: LookupTable, *, v_read: float, t_read: float, t_gap: float, planes: int
) -> ReadDisturb | None:
    """What reads in sequence do, from a table of ``p_disturb_sequence``; None where the table lacks it."""
    if "p_disturb_sequence" not in read.quantities:
        return None
    *_, before, last = (float(each) for each in read.data["n_reads"].values)
    one_pass, short, long = _worst(
        read, "p_disturb_sequence", v_read=v_read, t_read=t_read, t_gap=t_gap,
        n_reads=np.array([float(planes), before, last]),
    )  # fmt: skip
    kept = [np.log1p(-min(each, 1 - 2.0**-53)) for each in (short, long)]
    further = -np.expm1((kept[1] - kept[0]) / (last - before))
    return ReadDisturb(planes, t_gap, float(one_pass), float(further))


def _read_disturb(read: LookupTable, *, v_read: float, t_read: float) -> float | None:
    if "p_disturb" not in read.quantities:
        return None
    return float(_worst(read, "p_disturb", v_read=v_read, t_read=t_read))


def _worst(read: LookupTable, quantity: str, **at: ArrayLike) -> NDArray[np.float64]:
    """The largest values over states and activations."""
    found = [
        read.read(quantity, state=state, activation=activation, **at)
        for state in STATES
        for activation in _activation_names(read)
    ]
    return np.asarray(np.max(found, axis=0))


def _activation_names(read: LookupTable) -> tuple[str, str, str]:
    """The table's own spelling of activations -1, 0, +1 (it may write "+1" or "1")."""
    held: Mapping[int, str] = (
        {int(str(each)): str(each) for each in read.data["activation"].values}
        if "activation" in read.data.coords
        else {}
    )
    if set(held) != {-1, 0, 1}:
        raise SpicebridgeError(
            f"table {read.name} must hold activations -1, 0 and +1 "
            f"(it holds: {', '.join(held.values()) or 'none'})."
        )
    return held[-1], held[0], held[1]
