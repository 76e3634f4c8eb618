"""The cells of passive arrays: MTJs with device-to-device spread and defects, and the states they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Floats
from nn.passive_array.placement import Parallel, Placement
from nn.passive_array.seeds import Stream, generator
from spicebridge.crossbar import Spread, draw_devices
from spicebridge.errors import SpicebridgeError

SOUND, STUCK_P, STUCK_AP, SHORTED, OPEN = range(5)


@dataclass(frozen=True, kw_only=True)
class Device:
    """An MTJ as an array's designer orders it, and how far its siblings stray.

    The defaults are the reconstruction's middle case, assumed.

    Attributes:
        diameter: of the round junction (m).
        ra: resistance-area product in the P state (ohm m^2).
        tmr: tunnel magnetoresistance at 0 V.
        v_switch: critical switching voltage (V).
        v_h: bias at which TMR has halved (V).
        spread: device to device.
        r_short: what is left of a shorted junction (ohm), assumed.
    """

    diameter: float = 40e-9
    ra: float = 10e-12
    tmr: float = 1.0
    v_switch: float = 0.4
    v_h: float = 0.5
    spread: Spread = field(default_factory=Spread)
    r_short: float = 500.0

    def __post_init__(self) -> None:
        for name in ("diameter", "ra", "tmr", "v_switch", "v_h", "r_short"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise SpicebridgeError(f"an MTJ's {name} = {value!r} must be finite and above 0.")

    @property
    def g_p(self) -> float:
        """Nominal conductance in the P state (S)."""
        return float(np.pi / 4 * self.diameter**2 / self.ra)

    @property
    def g_ap(self) -> float:
        """Nominal conductance in the AP state at 0 V (S)."""
        return self.g_p / (1 + self.tmr)


@dataclass(frozen=True, kw_only=True)
class Defects:
    """Shares of cells that are stuck in P, stuck in AP, shorted, or open."""

    stuck_p: float = 0.0
    stuck_ap: float = 0.0
    shorted: float = 0.0
    open: float = 0.0

    def __post_init__(self) -> None:
        if not (min(self.rates) >= 0 and sum(self.rates) <= 1):
            raise SpicebridgeError(
                f"shares of defects must be 0 or more and no more than 1 together (got {self.rates})."
            )

    @property
    def rates(self) -> tuple[float, float, float, float]:
        """The shares in order."""
        return (self.stuck_p, self.stuck_ap, self.shorted, self.open)


@dataclass(frozen=True, eq=False)
class Filled:
    """Cells with their states in, as a read sees them: I = g_p v / (1 + tmr / (1 + (v / v_h)^2)).

    Attributes:
        g_p: conductance in P, or that of a defect (S), shape (solutions, ..., rows, columns).
        tmr: at 0 V of a cell in AP; 0 of any other, whose conductance does not depend on bias.
    """

    g_p: Floats
    tmr: Floats

    @property
    def conductances(self) -> Floats:
        """Conductances at 0 V (S)."""
        return self.g_p / (1 + self.tmr)

    def part(self, which: slice) -> Filled:
        """Those of some solutions."""
        return Filled(self.g_p[which], self.tmr[which])

    def array(self, number: int) -> Filled:
        """One array of every solution, shape (solutions, rows, columns)."""
        return Filled(self.g_p[:, number], self.tmr[:, number])


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of every solution's arrays, shape (solutions, arrays, rows, columns) throughout.

    Attributes:
        g_p: conductance in P (S).
        tmr: tunnel magnetoresistance at 0 V.
        v_switch: critical switching voltage (V).
        defect: ``SOUND``, ``STUCK_P``, ``STUCK_AP``, ``SHORTED`` or ``OPEN``.
        g_short: conductance of a shorted cell (S).
    """

    g_p: Floats
    tmr: Floats
    v_switch: Floats
    defect: NDArray[np.int8]
    g_short: float

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Cells that hold no state, being shorted or open."""
        return (self.defect == SHORTED) | (self.defect == OPEN)

    def hold(self, written: Parallel) -> Parallel:
        """The states that cells keep of those written: a stuck one has its own."""
        return np.where(self.defect == STUCK_P, True, np.where(self.defect == STUCK_AP, False, written))

    def fill(self, written: Parallel) -> Filled:
        """The cells after these states were written."""
        g_p = np.where(self.defect == SHORTED, self.g_short, np.where(self.defect == OPEN, 0.0, self.g_p))
        return Filled(g_p, np.where(self.hold(written) | self.dead, 0.0, self.tmr))


def draw_cells(
    seeds: Sequence[int], placement: Placement, device: Device, defects: Defects | None = None
) -> Cells:
    """Each solution's cells as made, from its own seed.

    A solution draws the same numbers whatever the device, so that cases compare on the same luck.
    """
    made = []
    for seed in seeds:
        rng = generator(seed, Stream.SPREAD)
        made.append([_draw_array(rng, placement, device) for _ in range(placement.arrays)])
    stacked = np.array(made)  # (solutions, arrays, 3, rows, columns)
    return Cells(
        g_p=stacked[:, :, 0],
        tmr=stacked[:, :, 1],
        v_switch=stacked[:, :, 2],
        defect=_draw_defects(seeds, stacked[0, :, 0].shape, defects or Defects()),
        g_short=1 / device.r_short,
    )


def nominal_cells(solutions: int, placement: Placement, device: Device) -> Cells:
    """Cells that are all as ordered."""
    shape = (solutions, placement.arrays, placement.rows, placement.columns)
    return Cells(
        g_p=np.full(shape, device.g_p),
        tmr=np.full(shape, device.tmr),
        v_switch=np.full(shape, device.v_switch),
        defect=np.full(shape, SOUND, np.int8),
        g_short=1 / device.r_short,
    )


def _draw_array(rng: np.random.Generator, placement: Placement, device: Device) -> tuple[Floats, ...]:
    drawn = draw_devices(
        rng,
        shape=(placement.rows, placement.columns),
        diameter=device.diameter,
        ra=device.ra,
        tmr=device.tmr,
        v_switch=device.v_switch,
        v_h=device.v_h,
        spread=device.spread,
    )
    return drawn.g_p, drawn.tmr, drawn.v_switch


def _draw_defects(seeds: Sequence[int], shape: tuple[int, ...], defects: Defects) -> NDArray[np.int8]:
    draws = np.stack([generator(seed, Stream.DEFECTS).random(shape) for seed in seeds])
    shares = np.array([defects.stuck_p, defects.stuck_ap, defects.shorted, defects.open])
    kinds = np.searchsorted(np.cumsum(shares), draws, side="right")
    return np.array([STUCK_P, STUCK_AP, SHORTED, OPEN, SOUND], np.int8)[kinds]
