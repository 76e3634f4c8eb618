"""The ``mtj_write`` procedure: a 2T1MTJ branch's writing as P_switch, energy and latency.

Two routes fill the table. Monte Carlo runs the deck itself: hundreds of branches with thermal noise at each
sampled voltage, whose first passages of mz = 0 give P_switch at every pulse width at once. Fokker-Planck
takes the deck's DC load line and fills the tails and the voltages between. ``route`` says which gave what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from characterization.definition import Definition, DefinitionError, axis, check_settings, number, whole
from characterization.load_line import LoadLine, load_line_unit, make_load_line
from circuits.cell import DIRECTIONS, STEP, Cell, gate_sign, require_positive
from circuits.mtj_branch import (
    GROUPS,
    LINES,
    half_select_deck,
    measure_edges,
    measure_half_select,
    measure_write,
    trailing_deck,
    write_deck,
)
from spicebridge.limits import AXIS
from spicebridge.settings import shortened
from spicebridge.store import Values
from spicebridge.sweep import Ran, Runs, Unit, run_all

DEVICES_PER_DECK = 225
SEEDS_PER_POINT = 4096
FOKKER_PLANCK, MONTE_CARLO = 0, 1
# A sampled probability is kept where at least so many devices are on either side of it.
ENOUGH = 25
# Training lives in the lower tail, so more devices are watched there: until this share has switched, and at
# half the time step. How late they are against Fokker-Planck is not the step's doing: in the reference table
# 0.70 % (standard error 0.37 %) where 1 to 2 % have switched; 0.75 % for the same seeds at the whole step.
TAIL = 0.03
TAIL_STEP = STEP / 2
T_EDGES = 0.5e-9  # s, the noiseless pulse whose edges are measured
MOST_WIDTHS = 100_000
QUANTILES = (0.1, 0.5, 0.9)
_SETTINGS = ("v_write", "t_step", "t_max", "first_seed", "v_sampled", "samples", "tail_samples")


@dataclass(frozen=True)
class Row:
    """One (direction, v_write): Monte Carlo samples where there are any, and the deck's load line.

    Attributes:
        half_selected: energy of a cell of which only one of ``LINES`` is driven, (lines,), J.
        edges: ``leading`` and ``trailing`` energy in the (starting, final) state, J.
        first_passage: (samples,) in s, inf where it did not happen within ``watched``; empty if not sampled.
        tail_passage: the same of the devices watched in the lower tail only, within ``tail_watched``.
        energy: (rail groups, widths) mean energy a branch had drawn by each pulse width, J.
        watched, tail_watched: how long the devices were watched, s; 0 if there are none.
    """

    line: LoadLine
    edges: Values
    half_selected: NDArray[np.float64]
    first_passage: NDArray[np.float64]
    tail_passage: NDArray[np.float64]
    energy: NDArray[np.float64]
    watched: float
    tail_watched: float


def characterize(definition: Definition[Cell], engine: Runs) -> tuple[xr.Dataset, list[Ran]]:
    """The table's data and the simulations it came from; a row of which one failed is all NaN."""
    check_settings(definition.sweep, _SETTINGS, f"{definition.name} sweep")
    v_write = axis("v_write", definition.sweep["v_write"])
    v_sampled = axis("v_sampled", definition.sweep["v_sampled"])
    require_positive("v_write", v_write)
    if stray := sorted(set(v_sampled) - set(v_write)):
        raise DefinitionError(
            f"{definition.name}: v_sampled {shortened(str(stray))} is not on the v_write axis "
            f"{shortened(str(v_write))}."
        )
    # Fewer than two devices on each of a deck's rails would give no standard error.
    samples = whole("samples", definition.sweep["samples"], least=2 * GROUPS, most=AXIS)
    tail_samples = whole("tail_samples", definition.sweep["tail_samples"], least=0, most=AXIS)
    widths = _widths(number("t_step", definition.sweep["t_step"]), number("t_max", definition.sweep["t_max"]))
    cell, points = definition.cell, [(direction, v) for direction in DIRECTIONS for v in v_write]

    line_units = [load_line_unit(cell, direction=direction, v_write=v) for direction, v in points]
    edge_units = [_edge_unit(cell, direction, v) for direction, v in points]
    half_units = [_half_unit(cell, direction, v) for direction, v in points]
    static = run_all(engine, [*line_units, *edge_units, *half_units])
    parts = {point: static[index :: len(points)] for index, point in enumerate(points)}
    lines = {
        point: make_load_line(line.unit.deck, line.values, direction=point[0], temperature=cell.temperature)
        for point, (line, *_) in parts.items()
        if line.values is not None
    }

    first = whole("first_seed", definition.sweep["first_seed"])
    sampled = [point for point in points if point[1] in v_sampled and point in lines]
    watch = {point: _watch(lines[point], widths, until=0.998) for point in sampled}
    tail_watch = {point: _watch(lines[point], widths, until=TAIL) for point in sampled}
    main_units, tail_units = {}, {}
    for point in sampled:
        seeds = device_seeds(first, *point, samples + tail_samples)
        main_units[point] = _write_units(cell, point, watch[point], seeds[:samples], widths)
        tail_units[point] = _write_units(
            cell, point, tail_watch[point], seeds[samples:], widths, step=TAIL_STEP
        )
    flat = run_all(
        engine, [unit for units in (main_units, tail_units) for point in sampled for unit in units[point]]
    )
    results = iter(flat)
    main = {point: [next(results) for _ in main_units[point]] for point in sampled}
    tail = {point: [next(results) for _ in tail_units[point]] for point in sampled}
    rows: dict[tuple[str, float], Row | None] = {}
    for point in points:
        statics, mains, tails = (_complete(each.get(point, [])) for each in (parts, main, tail))
        if statics is None or mains is None or tails is None:
            rows[point] = None
            continue
        _, edges, half_selected = statics
        rows[point] = Row(
            line=lines[point],
            edges=edges,
            half_selected=half_selected["energy"],
            first_passage=_passages(mains),
            tail_passage=_passages(tails),
            energy=np.concatenate([np.empty((0, len(widths))), *(_padded(each, widths) for each in mains)]),
            watched=watch.get(point, 0.0),
            tail_watched=tail_watch.get(point, 0.0),
        )
    return _dataset(rows, v_write, widths), [*static, *flat]


def _complete(ran: Sequence[Ran]) -> list[Values] | None:
    """The values of all, or None if one has none."""
    values = [each.values for each in ran if each.values is not None]
    return values if len(values) == len(ran) else None


def device_seeds(first: int, direction: str, v_write: float, samples: int) -> list[int]:
    """The seeds of one point's devices, the same whatever else the table holds.

    Every millivolt and direction owns a block of 4096 numbers above ``first``.
    """
    if abs(v_write * 1000 - round(v_write * 1000)) > 1e-6:
        raise DefinitionError(
            f"v_sampled {v_write} V is not a whole number of millivolts, by which seeds are allocated."
        )
    block = 2 * round(v_write * 1000) + DIRECTIONS.index(direction)
    start = first + SEEDS_PER_POINT * block
    if samples > SEEDS_PER_POINT or start + samples >= 2**29:
        raise DefinitionError(
            f"{samples} samples at {v_write} V do not fit the seeds of a table: at most {SEEDS_PER_POINT} a "
            "point, and below 2^29 in all."
        )
    return list(range(start, start + samples))


def _write_units(
    cell: Cell,
    point: tuple[str, float],
    watch: float,
    seeds: Sequence[int],
    widths: NDArray[np.float64],
    *,
    step: float = STEP,
) -> list[Unit]:
    direction, v_write = point
    units = []
    for start in range(0, len(seeds), DEVICES_PER_DECK):
        batch = seeds[start : start + DEVICES_PER_DECK]
        deck = write_deck(cell, direction=direction, v_write=v_write, seeds=batch, t_stop=watch, step=step)
        arguments: dict[str, Any] = {
            "devices": len(batch),
            "v_write": v_write,
            "v_gate": gate_sign(direction) * cell.v_gate,
            "widths": tuple(widths[widths <= watch * (1 + 1e-9)].tolist()),
        }
        units.append(Unit(deck, measure_write, arguments))
    return units


def _edge_unit(cell: Cell, direction: str, v_write: float) -> Unit:
    deck = trailing_deck(cell, direction=direction, v_write=v_write, t_pulse=T_EDGES)
    v_gate = gate_sign(direction) * cell.v_gate
    return Unit(deck, measure_edges, {"v_write": v_write, "v_gate": v_gate, "t_pulse": T_EDGES})


def _half_unit(cell: Cell, direction: str, v_write: float) -> Unit:
    deck = half_select_deck(cell, direction=direction, v_write=v_write, t_pulse=T_EDGES)
    v_gate = gate_sign(direction) * cell.v_gate
    return Unit(deck, measure_half_select, {"v_write": v_write, "v_gate": v_gate})


def _watch(line: LoadLine, widths: NDArray[np.float64], *, until: float) -> float:
    """How long to watch a point's devices, s: until that share should have switched, in whole half ns."""
    enough = np.flatnonzero(line.switching_probability(widths) >= until)
    last = widths[enough[0]] if enough.size else widths[-1]
    return float(min(np.ceil(last / 0.5e-9 - 1e-6) * 0.5e-9, widths[-1]))


def _passages(results: Sequence[Values]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(each["first_passage"] for each in results)])


def _padded(values: Values, widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energies with the widths beyond the watch as NaN."""
    energy = values["energy"]
    return np.pad(energy, ((0, 0), (0, len(widths) - energy.shape[1])), constant_values=np.nan)


def _dataset(
    rows: dict[tuple[str, float], Row | None], v_write: Sequence[float], widths: NDArray[np.float64]
) -> xr.Dataset:
    filled = {point: _fill(row, widths) if row else _hole(widths) for point, row in rows.items()}
    axes = ("direction", "v_write")
    variables = {}
    for name, (units, long_name, extra) in _QUANTITIES.items():
        last = {"latency": "quantile", "latency_se": "quantile", "energy_half_selected": "line"}.get(
            name, "t_pulse"
        )
        values = np.array([[filled[direction, v][name] for v in v_write] for direction in DIRECTIONS])
        variables[name] = ((*axes, last), values, {"units": units, "long_name": long_name, **extra})
    return xr.Dataset(
        variables,
        coords={
            "direction": ("direction", list(DIRECTIONS), {"long_name": "write direction"}),
            "v_write": ("v_write", list(v_write), {"units": "V", "long_name": "swing of line u"}),
            "t_pulse": ("t_pulse", widths, {"units": "s", "long_name": "pulse width at half height"}),
            "line": ("line", list(LINES), {"long_name": "the one driven line of a half-selected cell"}),
            "quantile": ("quantile", list(QUANTILES), {"units": "1", "long_name": "share of devices"}),
        },
    )


_QUANTITIES: dict[str, tuple[str, str, dict[str, str]]] = {
    "p_switch": ("1", "switching probability", {"scale": "log(-log)"}),
    "p_switch_se": ("1", "standard error of p_switch; NaN where not sampled", {}),
    "n_samples": ("1", "devices watched for so long", {}),
    "n_switched": ("1", "devices that switched within the pulse", {}),
    "p_fokker_planck": ("1", "p_switch by the Fokker-Planck route", {"scale": "log(-log)"}),
    "route": ("1", "which route gave p_switch", {"flag_meanings": "0 fokker_planck, 1 monte_carlo"}),
    "energy": ("J", "mean energy of one pulse, all rails, edges included", {}),
    "energy_se": ("J", "standard error of energy; NaN where not sampled", {}),
    "energy_half_selected": ("J", "energy of one pulse on a cell of which only this line is driven", {}),
    "latency": ("s", "time by which this share of devices has switched; NaN beyond the axis", {}),
    "latency_se": ("s", "standard error of latency; NaN where not sampled", {}),
}


def _fill(row: Row, widths: NDArray[np.float64]) -> dict[str, Any]:
    """A row's quantities over the pulse widths."""
    analytic = row.line.switching_probability(widths)
    total, switched = np.zeros(len(widths), int), np.zeros(len(widths), int)
    for passage, watched in ((row.first_passage, row.watched), (row.tail_passage, row.tail_watched)):
        seen = widths <= watched * (1 + 1e-9)
        total += np.where(seen, passage.size, 0)
        switched += np.where(seen, np.searchsorted(np.sort(passage), widths, side="right"), 0)
    sampled = (switched >= ENOUGH) & (total - switched >= ENOUGH)
    share = switched / np.maximum(total, 1)
    p_switch = np.where(sampled, share, analytic)
    error = np.where(sampled, np.sqrt(share * (1 - share) / np.maximum(total, 1)), np.nan)
    energy, energy_se = _pulse_energy(row, p_switch, widths)
    latency, latency_se = _latency(row, analytic, widths)
    return {
        "p_switch": p_switch,
        "p_switch_se": error,
        "n_samples": total,
        "n_switched": switched,
        "p_fokker_planck": analytic,
        "route": np.where(sampled, MONTE_CARLO, FOKKER_PLANCK),
        "energy": energy,
        "energy_se": energy_se,
        "energy_half_selected": row.half_selected,
        "latency": latency,
        "latency_se": latency_se,
    }


def _hole(widths: NDArray[np.float64]) -> dict[str, Any]:
    """A row without values."""
    shapes = {"energy_half_selected": len(LINES), "latency": len(QUANTILES), "latency_se": len(QUANTILES)}
    values = {name: np.full(shapes.get(name, len(widths)), np.nan) for name in _QUANTITIES}
    whole = np.zeros(len(widths), int)
    return values | {"n_samples": whole, "n_switched": whole, "route": whole + FOKKER_PLANCK}


def _pulse_energy(
    row: Row, p_switch: NDArray[np.float64], widths: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean energy of a whole pulse of each width and its standard error, J.

    Where devices were watched: what they drew until the pulse's end. Elsewhere: the noiseless leading edge,
    then the load line's power in the starting state and, once switched, in the final one, which is within 4 %
    of what sampled devices draw. The trailing edge is the noiseless one of each state, weighted by who is in
    it.
    """
    start, final = row.line.power
    rest = row.edges["leading"][0] - start * T_EDGES
    mixed = start + (final - start) * p_switch
    steps = np.diff(widths) * (mixed[1:] + mixed[:-1]) / 2
    modelled = rest + start * widths[0] + np.concatenate([[0.0], np.cumsum(steps)])
    drawn, error = modelled, np.full(len(widths), np.nan)
    if row.energy.size:
        mean = row.energy.mean(axis=0)
        watched = np.isfinite(mean)
        last = np.flatnonzero(watched)[-1]
        drawn = np.where(watched, mean, mean[last] + modelled - modelled[last])
        error = row.energy.std(axis=0, ddof=1) / np.sqrt(row.energy.shape[0])
    trailing = row.edges["trailing"]
    return drawn + trailing[0] + (trailing[1] - trailing[0]) * p_switch, error


def _latency(
    row: Row, analytic: NDArray[np.float64], widths: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quantiles of the switching time, s, sampled where possible, and their standard errors.

    The error of a sampled quantile is half the distance between those one binomial error to either side.
    """
    shares = np.array(QUANTILES)
    rising, index = np.unique(analytic, return_index=True)
    by_law = np.interp(shares, rising, widths[index], left=np.nan, right=np.nan)
    if row.first_passage.size == 0:
        return by_law, np.full(len(shares), np.nan)
    spread = np.sqrt(shares * (1 - shares) / row.first_passage.size)
    # Between two devices that never switched the quantile is infinite: not seen within the watch.
    low, middle, high = (
        np.quantile(row.first_passage, np.clip(each, 0, 1), method="inverted_cdf")
        for each in (shares - spread, shares, shares + spread)
    )
    with np.errstate(invalid="ignore"):
        error = (high - low) / 2
    seen = np.isfinite(middle) & np.isfinite(error)
    return np.where(seen, middle, by_law), np.where(seen, error, np.nan)


def _widths(step: float, stop: float) -> NDArray[np.float64]:
    if not 0 < step <= stop:
        raise DefinitionError(f"t_step {step:g} s must be positive and at most t_max {stop:g} s.")
    if stop / step > MOST_WIDTHS:
        raise DefinitionError(f"t_step {step:g} s up to {stop:g} s is more than {MOST_WIDTHS} pulse widths.")
    return np.round(step * np.arange(1, round(stop / step) + 1), 15)
