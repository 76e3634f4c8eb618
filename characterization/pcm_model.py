"""A replica of the compact model ``pcm.va`` for populations of cells under pulses of current.

The equations, parameters and draws are the model's. Two things are simplified: the on state is reached at
once, so that the voltage follows from the current, and a step of time is explicit in the thickness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spicebridge.errors import SpicebridgeError
from spicebridge.parameters import read_parameter_set

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

EDGE = 1e-9  # s, rise and fall of a pulse
_COOLING = (0.3e-9, 0.5e-9, 0.7e-9, 1e-9, 1.5e-9)  # s, steps after a pulse, until dT is about 1 K
_NEAR_MELTING = 40.0  # K below t_melt, where the molten share is 5e-5
_DEVICE = -9  # the model's number for draws that belong to the device, not to an event


@dataclass(frozen=True)
class PcmCell:
    """The parameters of ``pcm.va``, by its names and in its units; see there."""

    g_crystal: float
    r_amorphous: float
    u_decay: float
    v_hop: float
    e_hop: float
    v_t0: float
    e_t: float
    v_hold: float
    w_switch: float
    tau_on: float
    tau_off: float
    v_on0: float
    e_on: float
    r_on: float
    w_on: float
    r_th: float
    tau_th: float
    k_molten: float
    t_melt: float
    w_melt: float
    r_melt: float
    tau_melt: float
    v_growth: float
    t_growth: float
    w_cold: float
    w_hot: float
    t_drop: float
    u_last: float
    u_stall: float
    w_stall: float
    a_fresh: float
    k_fresh: float
    c_cell: float
    d2d_r_th: float
    d2d_e_on: float
    c2c_e_on: float
    c2c_growth: float
    c2c_g: float
    tau_structure: float
    c2c_r_melt: float
    t_0: float
    nu: float
    nu_std: float
    noise_slope: float
    noise_floor: float


@dataclass(frozen=True)
class Draws:
    """Standard normal numbers of cells, as the model draws them, shape (devices,); zero for seed 0.

    Attributes:
        z: of the device. The others are of an event (a pulse, or the state after it):
        e_on, growth, g, r_melt: what each moves.
    """

    z: Array
    e_on: Array
    growth: Array
    g: Array
    r_melt: Array


@dataclass(frozen=True)
class Pulse:
    """A trapezoid of current (A), ``width`` (s) between its half-heights."""

    current: float
    width: float


def read_cell(path: Path) -> PcmCell:
    """The cell of a parameter set in ``netlists/devices``.

    Raises:
        SpicebridgeError: the set is unreadable, or leaves parameters to the model's defaults.
    """
    return make_cell({name: each.value for name, each in read_parameter_set(path).items()}, name=path.name)


def make_cell(card: Mapping[str, float], *, name: str = "the card") -> PcmCell:
    """The cell of a ``pcm`` model card.

    Raises:
        SpicebridgeError: it leaves parameters to the model's defaults.
    """
    wanted = [each.name for each in fields(PcmCell)]
    if missing := [each for each in wanted if each not in card]:
        raise SpicebridgeError(
            f"{name} leaves {', '.join(missing)} to the model's default. The replica needs the value: "
            "write it into the set, with its unit and source."
        )
    return PcmCell(**{each: card[each] for each in wanted})


def draws(seeds: Integers, *, event: int, cycle: int = 0) -> Draws:
    """The draws of cells at an event: -1 while molten, else SET pulses since RESET."""
    step = 2 * (cycle * 1024 + event)
    z, _ = _normal_pair(seeds, stream=0, step=_DEVICE)
    e_on, r_melt = _normal_pair(seeds, stream=0, step=step)
    growth, g = _normal_pair(seeds, stream=0, step=step + 1)
    return Draws(z, e_on, growth, g, r_melt)


def read_draws(seeds: Integers, *, read_number: int) -> Array:
    """The standard normal numbers of a read, shape (devices,)."""
    return _normal_pair(seeds, stream=2, step=read_number)[0]


def drift_draws(seeds: Integers) -> Array:
    """The standard normal numbers that spread the drift exponent, shape (devices,)."""
    return _normal_pair(seeds, stream=0, step=_DEVICE)[1]


def conductance(cell: PcmCell, u: Array, y: Array | float = 0.0) -> Array:
    """Low-field conductance in S at thickness ``u`` (m) and structure ``y``, without drift and read noise."""
    exponent = np.minimum(np.maximum(u, 0.0) / cell.u_decay, 80.0)
    return np.exp(y) / (1 / cell.g_crystal + cell.r_amorphous * np.expm1(exponent))


def programmed(
    cell: PcmCell,
    u: Array,
    y: Array,
    pulse: Pulse,
    drawn: Draws,
    *,
    event: int = 0,
    step: float = 1e-9,
    ambient: float = 300.15,
) -> tuple[Array, Array]:
    """Thickness (m) and structure after one pulse on cells of ``u`` and ``y``; ``event`` pulses came before.

    Draws that a melting cell takes anew are ``drawn`` too: pass those of event -1 with a RESET pulse.
    """
    rise = np.zeros_like(u)
    for duration, current in _stages(pulse, step):
        halfway = _heated(cell, u, rise, duration / 2, current, drawn, ambient)
        middle = u + duration / 2 * _slope(cell, u, halfway, drawn, event, ambient)
        u = np.maximum(u + duration * _slope(cell, middle, halfway, drawn, event, ambient), 0.0)
        rise = _heated(cell, middle, rise, duration, current, drawn, ambient)
        y = _restructured(cell, y, halfway, duration, drawn, ambient)
    return u, y


def accumulated(
    cell: PcmCell,
    seeds: Integers,
    *,
    reset: Pulse,
    pulse: Pulse,
    pulses: int,
    step: float = 1e-9,
    ambient: float = 300.15,
) -> tuple[Array, Array]:
    """Thickness (m) and conductance (S) after RESET and each SET pulse: two of (devices, pulses + 1)."""
    u = y = np.zeros(seeds.size)
    drawn = draws(seeds, event=-1)
    u, y = programmed(cell, u, y, reset, drawn, event=-1, step=2 * step, ambient=ambient)
    thickness, g = [u], [conductance(cell, u, y)]
    for event in range(pulses):
        # Fresh from RESET a cell moves fast; later pulses change it little.
        longer = 1 if event < 2 else 4 if event < 10 else 10
        drawn = draws(seeds, event=event)
        u, y = programmed(cell, u, y, pulse, drawn, event=event, step=longer * step, ambient=ambient)
        thickness.append(u)
        g.append(conductance(cell, u, y))
    return np.stack(thickness, axis=1), np.stack(g, axis=1)


def _stages(pulse: Pulse, step: float) -> list[tuple[float, float]]:
    """Steps of time as (duration in s, current in A): rise, plateau, fall, cooling."""
    plateau = pulse.width - EDGE
    count = max(int(np.ceil(plateau / step - 1e-9)), 1)
    edge = [(EDGE / 2, 0.25 * pulse.current), (EDGE / 2, 0.75 * pulse.current)]
    flat = [(plateau / count, pulse.current)] * count
    return [*edge, *flat, *reversed(edge), *((duration, 0.0) for duration in _COOLING)]


def _power(cell: PcmCell, u: Array, molten: Array | float, current: float, drawn: Draws) -> Array:
    """Power in W at a current in A through the switched-on cell."""
    if current == 0:
        return np.zeros_like(u)
    field = cell.e_on * np.maximum(1 + cell.d2d_e_on * drawn.z + cell.c2c_e_on * drawn.e_on, 0.1)
    over = cell.w_on * np.log(np.expm1(current * cell.r_on / cell.w_on))
    return current * (cell.v_on0 + field * np.maximum(u, 0.0) * (1 - molten) + over)


def _heated(
    cell: PcmCell, u: Array, rise: Array, duration: float, current: float, drawn: Draws, ambient: float
) -> Array:
    """The hot spot's rise over ambient in K after ``duration`` at a constant current and thickness."""
    r_th = cell.r_th * (1 + cell.d2d_r_th * drawn.z)
    melting = cell.t_melt - ambient
    fall = np.exp(-duration / cell.tau_th)
    settled = r_th * _power(cell, u, 0.0, current, drawn)
    after = settled + (rise - settled) * fall
    hot = np.maximum(rise, after) > melting - _NEAR_MELTING
    if not hot.any():
        return after
    some = Draws(*(getattr(drawn, each.name)[hot] for each in fields(Draws)))
    after[hot] = _melted(cell, u[hot], rise[hot], duration, current, some, r_th[hot], melting)
    return after


def _melted(
    cell: PcmCell,
    u: Array,
    rise: Array,
    duration: float,
    current: float,
    drawn: Draws,
    r_th: Array,
    melting: float,
) -> Array:
    """As ``_heated`` where the molten share may change: implicit, by bisection, since the change is steep."""
    share = duration / cell.tau_th
    low, high = np.zeros_like(u), np.maximum(rise, r_th * _power(cell, u, 0.0, current, drawn)) + 1.0
    for _ in range(16):
        middle = (low + high) / 2
        molten = _sigmoid((middle - melting) / cell.w_melt)
        loss = middle * (1 + cell.k_molten * molten)
        excess = middle - rise + share * (loss - r_th * _power(cell, u, molten, current, drawn))
        low, high = np.where(excess < 0, middle, low), np.where(excess < 0, high, middle)
    return (low + high) / 2


def _slope(cell: PcmCell, u: Array, rise: Array, drawn: Draws, event: int, ambient: float) -> Array:
    """du/dt in m/s: melting less growth."""
    cap = np.maximum(u, 0.0)
    temperature = rise
    melting = cell.t_melt - ambient
    molten: Array | float = 0.0
    if hot := bool((rise > melting - _NEAR_MELTING).any()):
        molten = _sigmoid((rise - melting) / cell.w_melt)
        temperature = rise * (1 - molten + molten / (1 + (cap / cell.r_melt) ** 2))
    above = temperature - (cell.t_growth - ambient)
    deviation = above / np.where(above < 0, cell.w_cold, cell.w_hot)
    growth = np.exp((cell.c2c_growth * drawn.growth if event >= 0 else 0.0) - 0.5 * deviation**2)
    growth *= -np.expm1(np.minimum((temperature - melting) / cell.t_drop, 0.0))
    growth *= cell.v_growth * (1 + (cell.a_fresh * np.exp(-event / cell.k_fresh) if event >= 0 else 0.0))
    growth *= cap / (cap + cell.u_last)
    growth *= molten + (1 - molten) * _sigmoid((cap - cell.u_stall) / cell.w_stall)
    if not hot:
        return -growth
    soft = cell.w_melt / melting
    front = cell.r_melt * (1 + cell.c2c_r_melt * drawn.r_melt)
    front = front * np.sqrt(soft * np.logaddexp(0.0, (rise / melting - 1) / soft)) - cap
    depth = np.maximum(front, 0.0)
    return molten * depth**2 / (depth + 1e-10) / cell.tau_melt - growth


def _restructured(
    cell: PcmCell, y: Array, rise: Array, duration: float, drawn: Draws, ambient: float
) -> Array:
    """Structure after ``duration`` at a constant temperature: towards its draw while hot, to 0 by melting."""
    molten = _sigmoid((ambient + rise - cell.t_melt) / cell.w_melt)
    towards = np.clip((rise - 120) / 40, 0, 1) * (1 - molten) / cell.tau_structure
    rate = towards + molten / cell.tau_melt + 1e-30
    settled = cell.c2c_g * drawn.g * towards / rate
    return settled + (y - settled) * np.exp(-rate * duration)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _normal_pair(seeds: Integers, *, stream: int, step: int) -> tuple[Array, Array]:
    """Two standard normal numbers of each seed (Box-Muller), zero for seed 0."""
    radius = np.sqrt(-2 * np.log(_uniform(_hashed(seeds, stream, step))))
    angle = 2 * np.pi * _uniform(_hashed(seeds, stream + 1, step))
    there = np.asarray(seeds) > 0
    return np.where(there, radius * np.cos(angle), 0.0), np.where(there, radius * np.sin(angle), 0.0)


def _uniform(h: NDArray[np.uint32]) -> Array:
    return ((h & np.uint32(2**31 - 1)).astype(np.float64) + 0.5) / 2.0**31


def _hashed(seeds: Integers, stream: int, step: int) -> NDArray[np.uint32]:
    device = (np.asarray(seeds, dtype=np.int64) * 4 + stream).astype(np.uint32)
    event = _mixed(np.array([(step + 1640531527) % 2**32], dtype=np.uint32))
    return _mixed(_mixed(device) ^ event)


def _mixed(h: NDArray[np.uint32]) -> NDArray[np.uint32]:
    h = (h ^ (h >> np.uint32(16))) * np.uint32(2246822507)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(3266489909)
    return h ^ (h >> np.uint32(16))
