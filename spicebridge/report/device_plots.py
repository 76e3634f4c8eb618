"""Plots of a device's tables and waveforms: switching probability against its oracle, one write pulse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from spicebridge.report.drawing import MUTED, SERIES, Plot, decades, finish, legend, never_fatal, panels
from spicebridge.report.quantity import MINUS, listed, minus, setting, si
from spicebridge.report.run_plots import P_FLOOR, direction_name, mark
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable

MARKERS = "osD^v"
POINTS = 16
"""Monte Carlo points drawn of one curve, at most about."""
EXPECTED = 5
"""Devices that the oracle expects on each side before a difference is counted in standard errors."""
_CURRENT, _MZ = "i(v_ref)", "v(n.x_cell.n_mtj#mz)"


@dataclass(frozen=True)
class Sampled:
    """One sampled curve: what the devices did by each width, beside the oracle.

    Attributes:
        v_write: in V.
        t_pulse: the widths in s to which devices were watched.
        switched: how many had switched by then.
        devices: how many were watched for so long.
        oracle: the Fokker-Planck probability at these widths.
        used: whether the table took the sampled value there.
    """

    v_write: float
    t_pulse: NDArray[np.float64]
    switched: NDArray[np.float64]
    devices: NDArray[np.float64]
    oracle: NDArray[np.float64]
    used: NDArray[np.bool_]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where some, and not all, devices had switched."""
        return (self.switched > 0) & (self.switched < self.devices)

    @property
    def tail(self) -> tuple[float, int, float]:
        """The width in s where the oracle is closest to 2 %, how many had switched, how many it expects."""
        at = int(np.argmin(np.abs(self.oracle - 0.02)))
        return float(self.t_pulse[at]), int(self.switched[at]), float(self.oracle[at] * self.devices[at])

    def worst(self) -> tuple[float | None, float | None]:
        """The largest difference from the oracle in P, and the largest in standard errors.

        The first is over the points that the table used; the second over all points, used or not, at which
        the oracle expects ``EXPECTED`` devices or more on each side. They need not be the same point.
        ``None`` where there is no such point.
        """
        difference = np.abs(self.switched / self.devices - self.oracle)
        told = np.minimum(self.oracle, 1 - self.oracle) * self.devices >= EXPECTED
        error = np.sqrt(self.oracle * (1 - self.oracle) / self.devices)
        return (
            float(difference[self.used].max()) if self.used.any() else None,
            float((difference[told] / error[told]).max()) if told.any() else None,
        )


def has_oracle(table: LookupTable) -> bool:
    """Whether a table holds sampled switching probabilities and an oracle for them."""
    return {"p_switch", "p_fokker_planck", "n_samples", "n_switched", "route"} <= set(table.quantities)


def sampled_curves(table: LookupTable, direction: str) -> list[Sampled]:
    """The sampled voltages of one direction; of many, five."""
    data = table.data.sel(direction=direction)
    voltages = [float(v) for v in data["v_write"].values if int(data["n_samples"].sel(v_write=v).max()) > 0]
    if len(voltages) > len(SERIES):
        voltages = [voltages[round(n)] for n in np.linspace(0, len(voltages) - 1, len(SERIES))]
    curves = []
    for voltage in voltages:
        row = data.sel(v_write=voltage)
        devices = np.asarray(row["n_samples"].values, dtype=float)
        watched = devices > 0
        curves.append(
            Sampled(
                v_write=voltage,
                t_pulse=np.asarray(row["t_pulse"].values, dtype=float)[watched],
                switched=np.asarray(row["n_switched"].values, dtype=float)[watched],
                devices=devices[watched],
                oracle=np.asarray(row["p_fokker_planck"].values, dtype=float)[watched],
                used=np.asarray(row["route"].values == 1)[watched],
            )
        )
    return curves


def wilson(
    switched: NDArray[np.float64], devices: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 68 % Wilson interval of a binomial share: lower and upper end."""
    share = switched / devices
    centre = (share + 1 / (2 * devices)) / (1 + 1 / devices)
    half = np.sqrt(share * (1 - share) / devices + 1 / (4 * devices**2)) / (1 + 1 / devices)
    return centre - half, centre + half


@never_fatal("switching probability")
def switching_plot(table: LookupTable, direction: str) -> Plot | None:
    """P_switch against pulse width for one direction: samples with error bars on the oracle, both scales."""
    curves = sampled_curves(table, direction)
    if not curves:
        return None
    t_pulse = np.asarray(table.data["t_pulse"].values, dtype=float)
    figure, (linear, tail) = panels(2, height=5.4)
    last = 0.0
    for number, curve in enumerate(curves):
        colour, row = SERIES[number], table.data.sel(direction=direction, v_write=curve.v_write)
        oracle = np.asarray(row["p_fokker_planck"].values, dtype=float)
        chosen = drawn_points(curve)
        low, high = wilson(curve.switched, curve.devices)
        share = curve.switched / curve.devices
        for axes in (linear, tail):
            axes.plot(t_pulse * 1e9, oracle, "-", color=colour, linewidth=1.2)
            for used, face in ((True, colour), (False, "none")):
                at = chosen[curve.used[chosen] == used]
                axes.errorbar(
                    curve.t_pulse[at] * 1e9,
                    share[at],
                    yerr=np.maximum([(share - low)[at], (high - share)[at]], 0),
                    fmt=MARKERS[number],
                    color=colour,
                    markerfacecolor=face,
                    elinewidth=1,
                    capsize=2,
                    label=setting(curve.v_write, "V") if used else None,
                )
        last = max(last, float(t_pulse[min(int(np.searchsorted(oracle, 0.998)), len(t_pulse) - 1)]))
    linear.plot([], [], "-", color=MUTED, linewidth=1.2, label="Fokker-Planck")
    linear.set(ylabel="switching probability", ylim=(-0.03, 1.03), xlim=(0, last * 1e9))
    tail.set(ylabel="switching probability", yscale="log", ylim=(P_FLOOR, 1.6), xlabel="pulse width (ns)")
    decades(tail)
    mark(linear, "linear scale")
    mark(tail, "logarithmic scale")
    legend(figure, linear, columns=min(len(curves) + 1, 3))
    name = direction_name(direction)
    return finish(
        figure,
        name=f"switching-{direction}",
        alt=(
            f"Switching probability against pulse width, {name}: Monte Carlo points at "
            f"{listed([setting(curve.v_write, 'V') for curve in curves])} on Fokker-Planck lines, on a "
            "linear and a logarithmic scale. The table that follows gives their differences."
        ),
        caption=(
            f"{name}. Points: Monte Carlo on the deck, bars the 68 % Wilson interval; open where too few "
            "devices are on one side for the table to use them. Points of one voltage share their devices. "
            "Lines: Fokker-Planck, solved on the deck's DC load line, with nothing fitted to the points."
        ),
    )


def drawn_points(curve: Sampled) -> NDArray[np.intp]:
    """Points some way apart along the curve: where it is steep in probability, and in the tail."""
    seen = np.flatnonzero(curve.seen)
    every = max(1, len(seen) // (2 * POINTS))
    kept = list(seen[:1])
    for at in seen[1:]:
        share, last = (curve.switched[each] / curve.devices[each] for each in (at, kept[-1]))
        rise, growth = share - last, share / last
        if rise > 0.06 or (growth > 1.7 and share < 0.2) or at - kept[-1] > 6 * every:
            kept.append(at)
    return np.array(kept, dtype=np.intp)


@never_fatal("one write pulse")
def waveform_plot(write: Waveforms) -> Plot | None:
    """One write pulse: line voltages, magnetisation and MTJ current against time."""
    wanted = {"u": "v(u)", "e": "v(e)", "mz": _MZ, "current": _CURRENT}
    if not all(_saved(write, name) for name in wanted.values()):
        return None
    time = np.asarray(write["time"], dtype=float) * 1e9
    traces: Mapping[str, NDArray[np.float64]] = {
        key: np.asarray(write[name], dtype=float) for key, name in wanted.items()
    }
    figure, (lines, magnetisation, current) = panels(3, height=5.0, ratios=(1, 1, 1))
    lines.plot(time, traces["u"], color=SERIES[0], label="line u")
    lines.plot(time, traces["e"], "--", color=SERIES[1], label="gate line e")
    magnetisation.plot(time, traces["mz"], color=SERIES[2])
    current.plot(time, traces["current"] * 1e6, color=SERIES[3])
    lines.set_ylabel("voltage (V)")
    magnetisation.set(ylabel="mz (1)", ylim=(-1.15, 1.15))
    magnetisation.yaxis.set_major_locator(MultipleLocator(0.5))
    current.set(ylabel="MTJ current (µA)", xlabel="time (ns)", xlim=(float(time[0]), float(time[-1])))
    legend(figure, lines, columns=2)
    start, end = float(traces["mz"][0]), float(traces["mz"][-1])
    begins, ends = (minus(f"{each:.2f}") for each in (start, end))
    energy = write.measures.get("energy")
    drawn = (
        f" All rails together give {si(energy, 'J')}." if energy is not None and np.isfinite(energy) else ""
    )
    return finish(
        figure,
        name="waveforms",
        alt=(
            f"Waveforms of one write against time: line u up to {traces['u'].max():.2f} V, gate line e up to "
            f"{traces['e'].max():.2f} V, mz from {begins} to {ends}, MTJ current up to "
            f"{traces['current'].max() * 1e6:.1f} µA."
        ),
        caption=(
            f"One write{_way(start, end)}: netlists/mtj_write.cir with this run's device, transistors, gate "
            "swing and voltage, and the netlist's own line drivers and temperature; thermal noise on. "
            f"mz is +1 in P and {MINUS}1 in AP; the current is the one that leaves the reference "
            f"layer.{drawn}"
        ),
    )


def _way(start: float, end: float) -> str:
    if start * end >= 0:
        return ""
    return f" from {'AP to P' if start < 0 else 'P to AP'}"


def _saved(write: Waveforms, name: str) -> bool:
    return (name[2:-1] if name.startswith("v(") else f"{name[2:-1]}#branch") in write.vectors
