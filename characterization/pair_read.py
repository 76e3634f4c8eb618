"""The ``pair_read`` procedure: reading a differential pair of phase-change cells, and each cell by itself.

Steady currents at every age come from operating points; energy, charge and settling of an input from
transients at t_0. Read noise is sampled on single cells: those of a pair are independent, so that the pair's
variance is the sum of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from characterization.definition import Definition, DefinitionError, axis, check_settings, number, whole
from characterization.pcm_state import state_unit, thicknesses
from characterization.values import check_points
from circuits.cell import require_positive
from circuits.pcm_cell import PcmCell
from circuits.pcm_pair import (
    Read,
    branch_deck,
    measure_branch,
    measure_read,
    measure_steady,
    read_deck,
    steady_deck,
)
from spicebridge.settings import shortened
from spicebridge.store import Values
from spicebridge.sweep import Ran, Runs, Unit, run_all

POLARITIES = {"negative": -1.0, "positive": 1.0}
MOST_READS = 4096
_SETTINGS = ("g", "g_pair", "t_in", "age", "v_read", "reads", "noise_seed")
_PAIR = ("polarity", "g_p", "g_n")
_QUANTITIES = {
    "current": ((*_PAIR, "age"), "A", "current of the first cell less the second's, steady, without noise"),
    "noise": ((*_PAIR, "age"), "A", "standard deviation of current from read to read"),
    "noise_se": ((*_PAIR, "age"), "A", "standard error of noise"),
    "energy": ((*_PAIR, "t_in"), "J", "energy of one input at t_0, all sources, a pair's share of the lines"),
    "charge": ((*_PAIR, "t_in"), "C", "integral of the current of one input at t_0"),
    "settling": ((*_PAIR, "t_in"), "s", "time until the current of whole lines stays within 2 %, at t_0"),
    "g_read": (("g", "age"), "S", "current of a single cell over the voltage of its input, without noise"),
    "g_noise": (("g", "age"), "S", "standard deviation of g_read from read to read"),
    "g_noise_se": (("g", "age"), "S", "standard error of g_noise"),
    "energy_word_line": (("t_in",), "J", "energy of opening and closing a whole word line for one input"),
}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Axes:
    """What is read: conductances of single cells and of pairs (S), inputs (V, s), ages (s), noisy reads."""

    g: tuple[float, ...]
    g_pair: tuple[float, ...]
    t_in: tuple[float, ...]
    age: tuple[float, ...]
    v_read: float
    reads: int
    noise_seed: int


def characterize(definition: Definition[PcmCell], engine: Runs) -> tuple[xr.Dataset, list[Ran]]:
    """The table's data, NaN where a simulation failed, and the simulations it came from."""
    axes, cell = _axes(definition), definition.cell
    states = run_all(engine, [state_unit(cell, seed=seed) for seed in (0, axes.noise_seed)])
    typical, noisy = (each.values for each in states)
    if typical is None or noisy is None:
        return _dataset({}, axes), states
    u_pair = thicknesses(typical, axes.g_pair, what=definition.name)
    u_typical, u_noisy = (thicknesses(each, axes.g, what=definition.name) for each in (typical, noisy))
    units: dict[tuple[Any, ...], Unit] = {}
    for polarity, sign in POLARITIES.items():
        v_read = sign * axes.v_read
        for age in axes.age:
            units["steady", polarity, age] = _steady_unit(cell, u_pair, age, v_read)
            for place, u in enumerate(u_noisy):
                units["noise", polarity, age, place] = _noise_unit(cell, axes, place, u, age, v_read)
        for t_in in axes.t_in:
            for shared in (True, False):
                units["pulse", polarity, t_in, shared] = _pulse_unit(cell, u_pair, t_in, v_read, shared)
    for age in axes.age:
        units["branch", age] = _branch_unit(cell, u_typical, age, axes.v_read)
    ran = dict(zip(units, run_all(engine, list(units.values())), strict=True))
    values = {key: each.values for key, each in ran.items()}
    return _dataset(_tabulate(values, axes, cell), axes), [*states, *ran.values()]


def _axes(definition: Definition[PcmCell]) -> _Axes:
    sweep = definition.sweep
    check_settings(sweep, _SETTINGS, f"{definition.name} sweep")
    named = {name: axis(name, sweep[name]) for name in ("g", "g_pair", "t_in", "age")}
    for name, values in named.items():
        require_positive(name, values)
    if stray := sorted(set(named["g_pair"]) - set(named["g"])):
        raise DefinitionError(
            f"{definition.name}: g_pair {shortened(str(stray))} is not on the g axis, where noise is sampled."
        )
    lengths = [len(named[each]) for each in ("g", "g_pair", "g_pair", "t_in", "age")]
    check_points(f"{definition.name}: g_pair by g_pair and the other axes", *lengths)
    # Half of the reads are of either polarity, and a spread needs two.
    reads = whole("reads", sweep["reads"], least=4)
    if reads > MOST_READS or reads % 2:
        raise DefinitionError(f"reads = {reads} should be an even number of at most {MOST_READS}.")
    seed = whole("noise_seed", sweep["noise_seed"])
    return _Axes(**named, v_read=number("v_read", sweep["v_read"]), reads=reads, noise_seed=seed)


def _steady_unit(cell: PcmCell, u_pair: Array, age: float, v_read: float) -> Unit:
    pairs = [(Read(p, age=age), Read(n, age=age)) for p, n in product(u_pair.tolist(), repeat=2)]
    return Unit(steady_deck(cell, pairs, v_read=v_read), measure_steady, {"pairs": len(pairs)})


def _branch_unit(cell: PcmCell, u: Array, age: float, v_read: float) -> Unit:
    reads = [Read(each, age=age) for each in u.tolist()]
    return Unit(branch_deck(cell, reads, v_read=v_read), measure_branch, {"reads": len(reads)})


def _noise_unit(cell: PcmCell, axes: _Axes, place: int, u: float, age: float, v_read: float) -> Unit:
    """Half of the noisy reads of one cell: numbers of their own for each conductance and polarity."""
    half = axes.reads // 2
    first = 1 + MOST_READS * round(axes.g[place] * 1e9) + (half if v_read > 0 else 0)
    reads = [
        Read(float(u), seed=axes.noise_seed, age=age, number=number) for number in range(first, first + half)
    ]
    return Unit(branch_deck(cell, reads, v_read=v_read), measure_branch, {"reads": half})


def _pulse_unit(cell: PcmCell, u_pair: Array, t_in: float, v_read: float, shared: bool) -> Unit:
    pairs = [(Read(p), Read(n)) for p, n in product(u_pair.tolist(), repeat=2)]
    deck = read_deck(cell, pairs, v_read=v_read, t_in=t_in, shared=shared)
    arguments = {"pairs": len(pairs), "v_read": v_read, "v_word": cell.v_word, "t_in": t_in}
    return Unit(deck, measure_read, arguments)


def _tabulate(
    values: Mapping[tuple[Any, ...], Values | None], axes: _Axes, cell: PcmCell
) -> dict[str, Array]:
    """The quantities by name, NaN where a deck failed."""
    pair = (len(axes.g_pair), len(axes.g_pair))

    def of(key: tuple[Any, ...], name: str, shape: tuple[int, ...]) -> Array:
        found = values[key]
        return np.full(shape, np.nan) if found is None else found[name].reshape(shape)

    pulse = {
        name: [[of(("pulse", p, t, shared), name, pair) for t in axes.t_in] for p in POLARITIES]
        for name, shared in (("energy", True), ("charge", True), ("settling", False), ("energy_word", True))
    }
    found = {name: np.moveaxis(np.array(each), 1, -1) for name, each in pulse.items()}
    found["energy_word_line"] = np.mean(found.pop("energy_word"), axis=(0, 1, 2)) * cell.columns / 2
    steady = [[of(("steady", p, age), "current", pair) for age in axes.age] for p in POLARITIES]
    found["current"] = np.moveaxis(np.array(steady), 1, -1)
    branch = [of(("branch", age), "current", (len(axes.g),)) for age in axes.age]
    found["g_read"] = np.array(branch).T / axes.v_read
    found["g_noise"], found["g_noise_se"] = _noise(values, axes)
    at = [axes.g.index(g) for g in axes.g_pair]
    noise, error = found["g_noise"][at], found["g_noise_se"][at]
    both = axes.v_read * np.hypot(noise[:, None], noise)
    error = axes.v_read**2 * np.hypot((noise * error)[:, None], noise * error) / both
    shape = (len(POLARITIES), *both.shape)
    return found | {"noise": np.broadcast_to(both, shape), "noise_se": np.broadcast_to(error, shape)}


def _noise(values: Mapping[tuple[Any, ...], Values | None], axes: _Axes) -> tuple[Array, Array]:
    """Standard deviation over the noisy reads, of both polarities together, and its error, (g, age), S."""
    half = axes.reads // 2
    std, error = np.empty((len(axes.g), len(axes.age))), np.empty((len(axes.g), len(axes.age)))
    for place, column in np.ndindex(*std.shape):
        decks = [values["noise", polarity, axes.age[column], place] for polarity in POLARITIES]
        if any(each is None for each in decks):
            std[place, column] = error[place, column] = np.nan
            continue
        square = [(each["current"] - each["current"].mean()) ** 2 for each in decks if each is not None]
        flat = np.concatenate(square) / axes.v_read**2 * half / (half - 1)
        std[place, column] = np.sqrt(flat.mean())
        error[place, column] = flat.std() / np.sqrt(flat.size) / (2 * std[place, column])
    return std, error


def _dataset(values: Mapping[str, Array], axes: _Axes) -> xr.Dataset:
    siemens = {"units": "S"}
    coords: dict[str, tuple[str, Sequence[Any], dict[str, str]]] = {
        "polarity": ("polarity", list(POLARITIES), {"long_name": "sign of the input"}),
        "g_p": ("g_p", axes.g_pair, siemens | {"long_name": "conductance of the first cell, at t_0"}),
        "g_n": ("g_n", axes.g_pair, siemens | {"long_name": "conductance of the second cell, at t_0"}),
        "t_in": ("t_in", axes.t_in, {"units": "s", "long_name": "width of the input at half height"}),
        "g": ("g", axes.g, siemens | {"long_name": "conductance of a single cell, at t_0"}),
        "age": ("age", axes.age, {"units": "s", "long_name": "time since programming", "scale": "log"}),
    }
    variables = {}
    for name, (dims, units, long_name) in _QUANTITIES.items():
        hole = np.full([len(coords[dim][1]) for dim in dims], np.nan)
        variables[name] = (dims, values.get(name, hole), {"units": units, "long_name": long_name})
    return xr.Dataset(
        variables, coords={name: (dim, list(each), a) for name, (dim, each, a) in coords.items()}
    )
