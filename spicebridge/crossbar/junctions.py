"""MTJs as an array's read sees them: conductance under bias, and the spread from device to device.

The law is that of ``netlists/devices/stt_mtj.va`` at mz = +1 (P) and mz = -1 (AP).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicebridge.crossbar.wiring import CrossbarError, checked_conductance


@dataclass(frozen=True)
class Junctions:
    """Devices with I = g_p v / (1 + tmr / (1 + (v / v_h)^2)); every attribute is (rows, columns).

    A device in P, an open cell (``g_p`` 0) or a shorted one is linear: its ``tmr`` is 0.

    Attributes:
        g_p: conductance in P, S.
        tmr: tunnel magnetoresistance at 0 V of a device in AP, 0 for any other.
        v_h: bias at which TMR has halved, V.
    """

    g_p: NDArray[np.float64]
    tmr: NDArray[np.float64]
    v_h: NDArray[np.float64]

    def __post_init__(self) -> None:
        g_p = checked_conductance(self.g_p)
        _check_alike(self, g_p.shape)
        if not (np.all(np.isfinite(self.tmr) & (self.tmr >= 0)) and np.all(self.v_h > 0)):
            raise CrossbarError("junctions need tmr of zero or above and v_h above zero, all finite.")

    @property
    def linear(self) -> bool:
        """Whether no device depends on its bias."""
        return not np.any((self.tmr > 0) & (self.g_p > 0))

    def conductance(self, v: ArrayLike = 0.0) -> NDArray[np.float64]:
        """I / v at bias ``v``, V, which broadcasts against (rows, columns); S."""
        return self.g_p / (1 + self.tmr / self._rise(v))

    def current(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Current at bias ``v``, V; A."""
        return self.conductance(v) * v

    def slope(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """dI/dv at bias ``v``, V; S. It is above zero, so that a crossbar has one solution only."""
        rise = self._rise(v)
        return self.g_p * (rise / (rise + self.tmr) + 2 * (rise - 1) * self.tmr / (rise + self.tmr) ** 2)

    def with_defects(self, where: NDArray[np.bool_], *, g: float) -> Junctions:
        """The same with the cells of a mask (rows, columns) replaced by a conductance ``g``, S; 0 is open."""
        return Junctions(np.where(where, g, self.g_p), np.where(where, 0.0, self.tmr), self.v_h)

    def _rise(self, v: ArrayLike) -> NDArray[np.float64]:
        return 1 + (np.asarray(v) / self.v_h) ** 2


@dataclass(frozen=True)
class Devices:
    """What the MTJs of an array are, each attribute (rows, columns).

    Attributes:
        diameter: of the junction, m.
        ra: resistance-area product in P, ohm m^2.
        tmr: tunnel magnetoresistance at 0 V.
        v_switch: critical switching voltage, V.
        v_h: bias at which TMR has halved, V.
    """

    diameter: NDArray[np.float64]
    ra: NDArray[np.float64]
    tmr: NDArray[np.float64]
    v_switch: NDArray[np.float64]
    v_h: NDArray[np.float64]

    def __post_init__(self) -> None:
        _check_alike(self, np.shape(self.diameter))
        for each in fields(self):
            values = getattr(self, each.name)
            if not np.all(np.isfinite(values) & (values > 0)):
                raise CrossbarError(f"devices' {each.name} must be finite and above zero everywhere.")

    @property
    def g_p(self) -> NDArray[np.float64]:
        """Conductance in P, S."""
        return math.pi / 4 * self.diameter**2 / self.ra

    def junctions(self, parallel: NDArray[np.bool_]) -> Junctions:
        """The devices in the states of a mask (rows, columns): True is P, False is AP."""
        if np.shape(parallel) != self.tmr.shape:
            raise CrossbarError(f"states {np.shape(parallel)} do not fit devices {self.tmr.shape}.")
        return Junctions(self.g_p, np.where(parallel, 0.0, self.tmr), self.v_h)


@dataclass(frozen=True)
class Spread:
    """Standard deviations of ln(value) from device to device; for small ones the relative spread.

    All assumed; 5 % is of the order that perpendicular MTJ arrays are reported with.
    """

    ra: float = 0.05
    tmr: float = 0.05
    diameter: float = 0.02
    v_switch: float = 0.05

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not (math.isfinite(value) and value >= 0):
                raise CrossbarError(f"spread {each.name} = {value!r} must be a finite number, zero or above.")


def draw_devices(
    rng: np.random.Generator,
    *,
    shape: tuple[int, int],
    diameter: float,
    ra: float,
    tmr: float,
    v_switch: float,
    v_h: float,
    spread: Spread,
) -> Devices:
    """Devices of an array of ``shape`` (rows, columns), log-normal about the given medians.

    Each draws the same numbers whatever the spread, so that arrays of one seed differ in scale only.

    Args:
        diameter: m; ``ra``: ohm m^2; ``tmr``: 1; ``v_switch`` and ``v_h``: V (``v_h`` does not spread).
    """
    drawn = rng.standard_normal((4, *shape))
    return Devices(
        ra=ra * np.exp(spread.ra * drawn[0]),
        tmr=tmr * np.exp(spread.tmr * drawn[1]),
        diameter=diameter * np.exp(spread.diameter * drawn[2]),
        v_switch=v_switch * np.exp(spread.v_switch * drawn[3]),
        v_h=np.full(shape, v_h),
    )


def _check_alike(arrays: Junctions | Devices, shape: tuple[int, ...]) -> None:
    for each in fields(arrays):
        if np.shape(getattr(arrays, each.name)) != shape or len(shape) != 2:
            raise CrossbarError(
                f"{each.name} has shape {np.shape(getattr(arrays, each.name))}; the array's is {shape}, "
                "which must be (rows, columns)."
            )
