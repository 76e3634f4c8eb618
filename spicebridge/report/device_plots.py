"""Plots of a device's tables and waveforms: switching probability against its oracle, one write pulse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from spicebridge.report.drawing import MUTED, SERIES, Plot, decades, finish, legend, panels
from spicebridge.report.quantity import listed, setting, si
from spicebridge.report.run_plots import P_FLOOR, direction_name, mark
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable

MARKERS = "osD^v"
POINTS = 16
"""Monte Carlo points drawn of one curve, at most about."""
_CURRENT, _MZ = "i(v_ref)", "v(n.x_cell.n_mtj#mz)"


@dataclass(frozen=True)
class Sampled:
    """One sampled curve: what the devices did by each width, beside the oracle.

    Attributes:
        v_write: in V.
        t_pulse: widths in s at which some, and not all, devices had switched.
        switched: how many had.
        devices: how many were watched for so long.
        oracle: the Fokker-Planck probability at these widths.
        tail: the width in s at which the oracle is closest to 2 %, how many had switched there, and how many
            the oracle expects.
        used: whether the table took the sampled value there.
    """

    v_write: float
    t_pulse: NDArray[np.float64]
    switched: NDArray[np.float64]
    devices: NDArray[np.float64]
    oracle: NDArray[np.float64]
    tail: tuple[float, int, float]
    used: NDArray[np.bool_]

    def worst(self) -> tuple[float, float] | None:
        """The largest difference from the oracle where the table used samples, and its standard error."""
        if not self.used.any():
            return None
        difference = np.abs(self.switched / self.devices - self.oracle)[self.used]
        error = np.sqrt(self.oracle * (1 - self.oracle) / self.devices)[self.used]
        at = int(np.argmax(difference))
        return float(difference[at]), float(error[at])


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
        switched = np.asarray(row["n_switched"].values, dtype=float)
        seen = (switched > 0) & (switched < devices)
        oracle = np.asarray(row["p_fokker_planck"].values, dtype=float)
        two = int(np.argmin(np.abs(oracle - 0.02)))
        curves.append(
            Sampled(
                v_write=voltage,
                t_pulse=np.asarray(row["t_pulse"].values, dtype=float)[seen],
                switched=switched[seen],
                devices=devices[seen],
                oracle=oracle[seen],
                tail=(
                    float(row["t_pulse"].values[two]),
                    int(switched[two]),
                    float(oracle[two] * devices[two]),
                ),
                used=np.asarray(row["route"].values == 1)[seen],
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
        chosen = _spread(curve)
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


def _spread(curve: Sampled) -> NDArray[np.intp]:
    """Points some way apart along the curve: where it is steep in probability, and in the tail."""
    every = max(1, len(curve.t_pulse) // (2 * POINTS))
    kept, before = [0], 0
    for at in range(1, len(curve.t_pulse)):
        share, last = (curve.switched[each] / curve.devices[each] for each in (at, before))
        rise, growth = share - last, share / last
        if rise > 0.06 or (growth > 1.7 and share < 0.2) or at - before > 6 * every:
            kept.append(at)
            before = at
    return np.array(kept if len(curve.t_pulse) else [], dtype=np.intp)


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
    energy = write.measures.get("energy")
    drawn = (
        f" All rails together give {si(energy, 'J')}." if energy is not None and np.isfinite(energy) else ""
    )
    return finish(
        figure,
        name="waveforms",
        alt=(
            f"Waveforms of one write against time: line u up to {traces['u'].max():.2f} V, gate line e up to "
            f"{traces['e'].max():.2f} V, mz from {start:.2f} to {end:.2f}, MTJ current up to "
            f"{traces['current'].max() * 1e6:.1f} µA."
        ),
        caption=(
            f"One write{_way(start, end)} by netlists/mtj_write.cir, thermal noise on. mz is +1 in P and -1 "
            f"in AP; the current is the one that leaves the reference layer.{drawn}"
        ),
    )


def _way(start: float, end: float) -> str:
    if start * end >= 0:
        return ""
    return f" from {'AP to P' if start < 0 else 'P to AP'}"


def _saved(write: Waveforms, name: str) -> bool:
    return (name[2:-1] if name.startswith("v(") else f"{name[2:-1]}#branch") in write.vectors
