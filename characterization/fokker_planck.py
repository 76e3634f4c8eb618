"""Switching probability of a perpendicular macrospin by the Fokker-Planck equation.

The probability density of z = mz obeys, with g = g0 / (1 + alpha^2),

    dp/dt = -d/dz [ (1 - z^2) g (alpha h_k z + a_j(z)) p - (1 - z^2) d dp/dz ],
    d = g alpha kB T / (mu0 ms volume),

exact for a magnet with one axis of symmetry (Brown, Phys. Rev. 130, 1677 (1963), with Slonczewski's torque
added to the anisotropy field). Switching is the first passage of z = 0. The drive enters only through the
current as a function of z, the circuit's load line, so this route shares the circuit with the Monte Carlo of
the deck and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import elementary_charge, hbar, mu_0, physical_constants
from scipy.constants import k as k_boltzmann
from scipy.linalg.lapack import dgttrf, dgttrs

from circuits.mtj_temperature import at_temperature
from spicebridge.errors import SpicebridgeError

GAMMA_0 = physical_constants["electron gyromag. ratio"][0] * mu_0  # m/(A s)
CELLS = 800
REPEATS = 1e-4
"""Relative change of the share that a read flips, from one read to the next, below which it is constant."""
_SDIRK = 1.0 - 1.0 / np.sqrt(2.0)


@dataclass(frozen=True)
class Macrospin:
    """A free layer: lengths in m, magnetisation and fields in A/m, temperature in K."""

    diameter: float
    t_free: float
    ms: float
    h_k: float
    alpha: float
    pol: float
    temperature: float

    @property
    def volume(self) -> float:
        """Free layer volume, m^3."""
        return np.pi / 4 * self.diameter**2 * self.t_free

    @property
    def stability(self) -> float:
        """Energy barrier over kB T."""
        return mu_0 * self.ms * self.h_k * self.volume / (2 * k_boltzmann * self.temperature)

    @property
    def rate(self) -> float:
        """g = g0 / (1 + alpha^2), m/(A s)."""
        return float(GAMMA_0 / (1 + self.alpha**2))

    def torque_field(self, current: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        """The damping-like field a_j(z) in A/m of a current in A; a positive one drives towards P (z = 1)."""
        efficiency = self.pol / (1 + self.pol**2 * z)
        return hbar * efficiency * current / (2 * elementary_charge * mu_0 * self.ms * self.volume)

    def critical_current(self, direction: str) -> float:
        """The current, in A and positive, above which the starting state of ``direction`` is unstable."""
        start = 1.0 if direction == "p_to_ap" else -1.0
        per_ampere = self.torque_field(np.ones(1), np.full(1, start))[0]
        return float(self.alpha * self.h_k / per_ampere)


def macrospin(card: Mapping[str, float], temperature: float) -> Macrospin:
    """The free layer of an ``stt_mtj`` model card at a temperature (K)."""
    names = ("diameter", "t_free", "ms", "h_k", "alpha", "pol")
    missing = [name for name in names if name not in card]
    if missing:
        raise SpicebridgeError(
            f"the MTJ's parameter set leaves {', '.join(missing)} to the model's default. The Fokker-Planck "
            "route needs the value: write it into the set, with its unit and source."
        )
    there = at_temperature(card, temperature)
    return Macrospin(**{name: there[name] for name in names}, temperature=temperature)


def switching_probability(
    magnet: Macrospin,
    load_line: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    direction: str,
    times: ArrayLike,
    step: float = 5e-12,
    cells: int = CELLS,
) -> NDArray[np.float64]:
    """P(first passage of mz = 0 before t) under a constant drive, from equilibrium in the starting state.

    Args:
        magnet: the free layer.
        load_line: current through the MTJ in A against mz; positive drives AP to P.
        direction: ``p_to_ap`` (starts at mz near 1) or ``ap_to_p`` (near -1).
        times: increasing, in s, shape (t,).
        step: time step in s; the method (SDIRK, second order, L-stable) is linear in the density.
        cells: finite volumes, uniform in the polar angle, which makes them small at the poles.

    Returns:
        Probabilities, shape (t,).
    """
    at = np.asarray(times, dtype=float)
    edges = _edges(cells)
    drive = _drive(magnet, load_line, direction, edges, step)
    steps = int(np.ceil(at[-1] / step)) if at.size else 0
    absorbed, _ = _advance(drive, _equilibrium(magnet, edges), steps)
    return np.clip(np.interp(at, step * np.arange(steps + 1), absorbed), 0.0, 1.0)


def disturb_of_reads(
    magnet: Macrospin,
    load_line: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    direction: str,
    t_read: float,
    t_gap: float,
    reads: Sequence[int],
    step: float = 5e-12,
    cells: int = CELLS,
) -> NDArray[np.float64]:
    """P(first passage of mz = 0) in a sequence of reads, each starting from the state the last one left.

    A read is a constant drive, the rest after it none; the first read starts from equilibrium, and the rest
    after the last one counts. Once the distribution repeats from read to read, what each further read flips
    is a constant share of what is left, and is no longer integrated.

    Args:
        magnet, load_line, direction, cells: as in ``switching_probability``; the line is the read's.
        t_read: width of a read, s.
        t_gap: rest between a read and the next, s.
        reads: numbers of reads, increasing, shape (n,).
        step: time step at most, s.

    Returns:
        Probabilities, shape (n,).
    """
    edges = _edges(cells)
    phases = []
    for line, duration in ((load_line, t_read), (np.zeros_like, t_gap)):
        steps = max(int(np.ceil(duration / step - 1e-9)), 1)
        phases.append((_drive(magnet, line, direction, edges, duration / steps), steps))
    mass, flipped, last_share, found = _equilibrium(magnet, edges), 0.0, 0.0, np.zeros(len(reads))
    repeats = False
    for read in range(1, (reads[-1] if len(reads) else 0) + 1):
        if repeats:
            flipped += last_share * (1.0 - flipped)
        else:
            left = float(mass.sum())
            lost = 0.0
            for drive, steps in phases:
                absorbed, mass = _advance(drive, mass, steps)
                lost += float(absorbed[-1])
            flipped += lost
            share = lost / left if left > 0 else 1.0
            repeats = abs(share - last_share) <= REPEATS * share
            last_share = share
        found[[each == read for each in reads]] = flipped
    return np.clip(found, 0.0, 1.0)


def _edges(cells: int) -> NDArray[np.float64]:
    """Of the finite volumes on y = sign * z, from 0 to 1."""
    return np.sin(np.linspace(0.0, np.pi / 2, cells + 1))


def _equilibrium(magnet: Macrospin, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boltzmann's distribution in one well, as the mass of each volume."""
    mass = np.exp(magnet.stability * (_middles(edges) ** 2 - 1)) * np.diff(edges)
    return np.asarray(mass / mass.sum())


@dataclass(frozen=True, eq=False)
class _Drive:
    """The discrete operator of one load line, and the factors of one implicit step of ``step`` s."""

    diagonals: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    outflow: float
    step: float
    factors: tuple[NDArray[np.float64], ...]


def _drive(
    magnet: Macrospin,
    load_line: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    direction: str,
    edges: NDArray[np.float64],
    step: float,
) -> _Drive:
    sign = 1.0 if direction == "p_to_ap" else -1.0
    lower, diagonal, upper, outflow = _operator(magnet, load_line, sign, edges)
    factors = dgttrf(-_SDIRK * step * lower, 1 - _SDIRK * step * diagonal, -_SDIRK * step * upper)[:5]
    return _Drive((lower, diagonal, upper), outflow, step, factors)


def _advance(
    drive: _Drive, mass: NDArray[np.float64], steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mass absorbed by the end of each step, shape (steps + 1,), and the mass that is left."""
    step = drive.step
    # The absorbed mass is summed from the outflow, not as one minus the rest, so that small tails are exact.
    absorbed = np.zeros(steps + 1)
    for index in range(steps):
        first = _solve(drive.factors, _apply(*drive.diagonals, mass))
        second = _solve(drive.factors, _apply(*drive.diagonals, mass + (1 - _SDIRK) * step * first))
        stage_one = mass + _SDIRK * step * first
        stage_two = mass + step * ((1 - _SDIRK) * first + _SDIRK * second)
        absorbed[index + 1] = absorbed[index] + step * drive.outflow * (
            (1 - _SDIRK) * stage_one[0] + _SDIRK * stage_two[0]
        )
        mass = stage_two
    return absorbed, mass


def _operator(
    magnet: Macrospin,
    load_line: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    sign: float,
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Scharfetter-Gummel finite volumes of dmass/dt = A mass on y = sign * z in [0, 1].

    The flux between neighbours is exact for a constant drift, so that the Boltzmann distribution is a
    stationary point of the discrete operator too. y = 0 absorbs, y = 1 is the closed pole.

    Returns:
        A's lower, main and upper diagonals, 1/s, and the rate at which the first cell's mass is absorbed.
    """
    centres = _middles(edges)
    widths = np.diff(edges)
    inner = edges[:-1]  # the face at y = 0 and those between cells; the pole's carries nothing
    torque = sign * magnet.torque_field(load_line(sign * inner), sign * inner)
    drift = (1 - inner**2) * magnet.rate * (magnet.alpha * magnet.h_k * inner + torque)
    diffusion = (
        (1 - inner**2)
        * magnet.rate
        * magnet.alpha
        * k_boltzmann
        * magnet.temperature
        / (mu_0 * magnet.ms * magnet.volume)
    )
    distance = np.diff(centres, prepend=0.0)
    peclet = drift * distance / diffusion
    forward = diffusion / distance * _bernoulli(-peclet)  # from the cell below a face, per density
    backward = diffusion / distance * _bernoulli(peclet)  # from the cell above it
    # mass = density * width; face i lies between cell i - 1 and cell i; face 0 only lets mass out.
    diagonal = -backward / widths
    diagonal[:-1] -= forward[1:] / widths[:-1]
    upper = backward[1:] / widths[1:]
    lower = forward[1:] / widths[:-1]
    return lower, diagonal, upper, float(backward[0] / widths[0])


def _middles(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return (edges[1:] + edges[:-1]) / 2


def _bernoulli(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x / (exp(x) - 1), smooth at zero."""
    small = np.abs(x) < 1e-6
    safe = np.where(small, 1.0, x)
    return np.where(small, 1 - x / 2, safe / np.expm1(safe))


def _apply(
    lower: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    upper: NDArray[np.float64],
    vector: NDArray[np.float64],
) -> NDArray[np.float64]:
    result = diagonal * vector
    result[1:] += lower * vector[:-1]
    result[:-1] += upper * vector[1:]
    return result


def _solve(factors: tuple[NDArray[np.float64], ...], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return dgttrs(*factors, right)[0]
