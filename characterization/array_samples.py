"""Whole arrays of MTJs with thermal noise, pulsed: what the ``array_write`` table is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from characterization.array_drive import BACKGROUND, Array, Condition, Drive, half_selected
from characterization.array_switching import SwitchingLaw
from characterization.definition import DefinitionError, check_settings, number
from characterization.values import is_number
from circuits.cell import DIRECTIONS, start_state
from circuits.passive_array_cell import ArrayCell
from circuits.passive_array_write import drive_sign, live_deck, measure_live
from spicebridge.store import Values
from spicebridge.sweep import Ran, Unit

ROLES = ("selected", "row", "column", "rest")
_SAMPLED = ("scheme", "diameter", "direction", "v_write", "t_stop", "first_seed")


@dataclass(frozen=True)
class Sampled:
    """Whole arrays pulsed at one point, each on another selected cell.

    Attributes:
        condition: scheme, diameter (m) and v_write (V).
        direction: of the pulse.
        t_stop: how long they are watched, s.
        first_seed: of the first array's first cell; arrays and cells follow in order.
    """

    condition: Condition
    direction: str
    t_stop: float
    first_seed: int


def read_sampled(
    sweep: Mapping[str, Any], cell: ArrayCell, conditions: Sequence[Condition], t_max: float
) -> list[Sampled]:
    """The points at which whole arrays are pulsed.

    Raises:
        DefinitionError: one that is not of the table, or seeds given twice.
    """
    found = []
    if not isinstance(sweep["sampled"], list):
        raise DefinitionError(f"sampled = {sweep['sampled']!r} should be a list of points.")
    for each in sweep["sampled"]:
        if not isinstance(each, dict):
            raise DefinitionError(f"sampled point {each!r} should give {', '.join(_SAMPLED)}.")
        check_settings(each, _SAMPLED, "a sampled point")
        condition = (each["scheme"], each["diameter"], each["v_write"])
        if condition not in conditions or each["direction"] not in DIRECTIONS:
            raise DefinitionError(f"sampled point {each} is not one of the table's.")
        t_stop = number("t_stop", each["t_stop"])
        if t_stop > t_max:
            raise DefinitionError(f"sampled point {each}: t_stop is beyond the longest t_pulse, {t_max:g} s.")
        found.append(Sampled(condition, each["direction"], t_stop, each["first_seed"]))
    many = sweep["pulses"] * cell.rows * cell.columns if is_number(sweep["pulses"]) else 1
    first = sorted(each.first_seed for each in found)
    whole = all(isinstance(each, int) and not isinstance(each, bool) and each >= 1 for each in first)
    if not whole or any(b - a < many for a, b in pairwise([*first, 2**29])):
        raise DefinitionError(
            f"first_seed {first}: each sampled point needs {many} seeds of its own, from 1 to 2^29 - 1."
        )
    return found


def spread_cells(cell: ArrayCell, pulses: object) -> list[tuple[int, int]]:
    """So many cells, spread evenly over the array in its order."""
    cells = cell.rows * cell.columns
    if not isinstance(pulses, int) or isinstance(pulses, bool) or not 1 <= pulses <= cells:
        raise DefinitionError(f"pulses = {pulses!r} should be a whole number from 1 to {cells}.")
    chosen = ((np.arange(pulses) + 0.5) * cells / pulses).astype(int)
    return [divmod(int(each), cell.columns) for each in chosen]


def live_units(
    cell: ArrayCell, sampled: Sampled, r_segment: float, places: Sequence[tuple[int, int]]
) -> Iterator[Unit]:
    """A pulsed array for each selected cell in ``places``."""
    scheme, diameter, v_write = sampled.condition
    v_drive = drive_sign(sampled.direction) * v_write
    cells = cell.rows * cell.columns
    for pulse, place in enumerate(places):
        first = sampled.first_seed + pulse * cells
        deck = live_deck(
            cell.card(diameter),
            _live_states(cell, sampled.direction, place),
            cell.wiring(r_segment),
            capacitance=cell.capacitance(diameter),
            temperature=cell.temperature,
            scheme=scheme,
            v_write=v_drive,
            selected=place,
            seeds=range(first, first + cells),
            t_stop=sampled.t_stop,
        )
        arguments = {"rows": cell.rows, "columns": cell.columns, "scheme": scheme, "v_write": v_drive}
        yield Unit(deck, measure_live, arguments)


def _live_states(cell: ArrayCell, direction: str, selected: tuple[int, int]) -> NDArray[np.bool_]:
    """The background with the selected cell in the state that the pulse leads away from."""
    states = cell.background(BACKGROUND).copy()
    states[selected] = start_state(direction) > 0
    return states


def add_samples(
    data: xr.Dataset,
    cell: ArrayCell,
    sampled: Sequence[Sampled],
    places: Sequence[tuple[int, int]],
    ran: Sequence[Ran],
    drives: Mapping[Condition, Drive | None],
    laws: Mapping[tuple[float, str], SwitchingLaw],
) -> None:
    """Put counts of the pulsed arrays' flips into the data, with what the table expects of the same cells."""
    axes = ("scheme", "diameter", "direction", "v_write", "t_pulse", "role")
    shape = tuple(data.sizes[each] for each in axes)
    devices, flips = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    expected = np.full(shape, np.nan)
    variance = np.zeros(shape)
    results = iter(ran)
    for each in sampled:
        scheme, diameter, v = each.condition
        passages = [next(results).values for _ in places]
        drive = drives[each.condition]
        times = data["t_pulse"].values[data["t_pulse"].values <= each.t_stop * (1 + 1e-9)]
        if drive is None or times.size == 0:
            continue
        where = (
            data.get_index("scheme").get_loc(scheme),
            data.get_index("diameter").get_loc(diameter),
            data.get_index("v_write").get_loc(v),
        )
        for role, name in enumerate(ROLES):
            # Cells on neither line are driven the other way.
            direction = each.direction if name != "rest" else DIRECTIONS[1 - DIRECTIONS.index(each.direction)]
            flipped, law = _flips(cell, each, name, direction, places, passages, drive, laws, times)
            place = (where[0], where[1], DIRECTIONS.index(direction), where[2], slice(0, len(times)), role)
            devices[place] = flipped.shape[0]
            flips[place] = flipped.sum(axis=0)
            if flipped.shape[0]:
                expected[place] = law.mean(axis=0)
                variance[place] = (law * (1 - law)).sum(axis=0) / flipped.shape[0] ** 2
    seen = devices > 0
    share = np.where(seen, flips / np.maximum(devices, 1), np.nan)
    for name, values, long_name in (
        ("p_monte_carlo", share, "share of cells that flipped in arrays of noisy MTJs; NaN if none were run"),
        ("p_expected", expected, "mean of this table's probabilities over the same cells"),
        (
            "p_monte_carlo_se",
            np.where(seen, np.sqrt(variance), np.nan),
            "standard error of p_monte_carlo where these probabilities hold",
        ),
        ("n_samples", devices, "cells that could flip in the arrays that were run"),
        ("n_switched", flips, "cells that flipped in them"),
    ):
        data[name] = (axes, values, {"units": "1", "long_name": long_name})


def _flips(
    cell: ArrayCell,
    sampled: Sampled,
    role: str,
    direction: str,
    places: Sequence[tuple[int, int]],
    passages: Sequence[Values | None],
    drive: Drive,
    laws: Mapping[tuple[float, str], SwitchingLaw],
    times: Array,
) -> tuple[Array, Array]:
    """Of the cells in a role that could flip: which did by each time, and their probabilities."""
    law = laws[sampled.condition[1], direction]
    parts: list[tuple[Array, Array]] = [(np.zeros((0, len(times))), np.zeros((0, len(times))))]
    for place, values in zip(places, passages, strict=True):
        if values is None:
            continue
        index = place[0] * cell.columns + place[1]
        states = _live_states(cell, sampled.direction, place)
        if role == "selected":
            mask = np.zeros(cell.shape, dtype=bool)
            mask[place] = True
            v = law.start_voltage(drive.v_open, drive.r_series)
        else:
            sign, others = next((s, o) for name, s, o in half_selected(cell.shape) if name == role)
            mask = others[index] & (states == (start_state(direction) > 0))
            v = sign * law.start_voltage(drive.v_open_cell[index], drive.r_series)
        flipped = values["first_passage"][mask][:, None] <= times
        parts.append((flipped.astype(float), law.probability(v[mask], drive.r_series[mask], times)))
    return np.concatenate([each[0] for each in parts]), np.concatenate([each[1] for each in parts])
