"""What a write puts over the cells of an array: its decks, and what the voltages on them mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.passive_array_cell import ArrayCell
from circuits.passive_array_write import (
    dc_write_deck,
    every_cell,
    measure_dc_write,
    measure_pulse,
    pulse_deck,
    segments_of,
)
from spicebridge.store import Values
from spicebridge.sweep import Unit

BACKGROUND = "checkerboard"  # the states of the cells that are not in question
T_EDGES = 200e-12  # s, the noiseless pulse by which the edges' energy is measured

Array = NDArray[np.float64]
Condition = tuple[str, float, float]  # scheme, diameter (m), v_write (V)


@dataclass(frozen=True, eq=False)
class Drive:
    """What one condition puts over the cells, (rows, columns) but where said.

    Attributes:
        r_series: resistance of the array as each cell sees it, ohm.
        v_open: of the source each selected cell sees, V.
        v_open_cell: of the source that each cell sees for each selected one, (selected, rows, columns), V.
        power: of all drivers with the selected cell in AP and in P, (2, rows, columns), W.
        edges: energy of the pulse's edges, J.
    """

    r_series: Array
    v_open: Array
    v_open_cell: Array
    power: Array
    edges: float


def dc_unit(cell: ArrayCell, condition: Condition, r_segment: float) -> Unit:
    """The steady state for every selected cell; ``r_segment`` in ohm."""
    scheme, diameter, v_write = condition
    wiring, selected = cell.wiring(r_segment), every_cell(cell.shape)
    deck = dc_write_deck(
        cell.antiparallel(diameter),
        cell.background(BACKGROUND),
        wiring,
        scheme=scheme,
        v_write=v_write,
        selected=selected,
    )
    arguments = {"rows": cell.rows, "columns": cell.columns, "segments": segments_of(wiring)}
    drive = {"scheme": scheme, "v_write": v_write, "selected": selected}
    return Unit(deck, measure_dc_write, arguments | drive)


def edge_unit(cell: ArrayCell, condition: Condition, r_segment: float) -> Unit:
    """One short noiseless pulse; ``r_segment`` in ohm."""
    scheme, diameter, v_write = condition
    deck = pulse_deck(
        cell.antiparallel(diameter),
        cell.background(BACKGROUND),
        cell.wiring(r_segment),
        capacitance=cell.capacitance(diameter),
        scheme=scheme,
        v_write=v_write,
        selected=_centre(cell),
        t_pulse=T_EDGES,
    )
    return Unit(deck, measure_pulse, {"scheme": scheme, "v_write": v_write})


def _centre(cell: ArrayCell) -> tuple[int, int]:
    """The selected cell of the pulse that measures the edges, which hardly depend on where it is."""
    return cell.rows // 2, cell.columns // 2


def make_drive(
    cell: ArrayCell, condition: Condition, steady: Values | None, edge: Values | None
) -> Drive | None:
    """What a condition's decks tell, for v_write above zero; None if one of them failed."""
    if steady is None or edge is None:
        return None
    junctions = cell.antiparallel(condition[1])
    parallel = cell.background(BACKGROUND)
    v_ap, v_p = (each.reshape(cell.shape) for each in steady["v_selected"])
    i_ap, i_p = junctions.current(v_ap), junctions.g_p * v_p
    r_series = (v_ap - v_p) / (i_p - i_ap)
    v_cell = steady["v_cell"]
    i_cell = np.where(parallel, junctions.g_p * v_cell, junctions.current(v_cell))
    power = steady["power"].reshape(2, *cell.shape)
    centre = _centre(cell)
    at_rest = power[int(parallel[centre])][centre]
    return Drive(
        r_series=r_series,
        v_open=v_p + r_series * i_p,
        v_open_cell=v_cell + r_series * i_cell,
        power=power,
        edges=float(edge["energy"]) - at_rest * T_EDGES,
    )


def half_selected(shape: tuple[int, ...]) -> Iterator[tuple[str, int, NDArray[np.bool_]]]:
    """Of row, column and rest: the sign of the pulse, and which cells are it for each selected one."""
    row, column = np.indices(shape)
    same_row = row.reshape(-1, 1, 1) == row
    same_column = column.reshape(-1, 1, 1) == column
    yield "row", 1, same_row & ~same_column
    yield "column", 1, same_column & ~same_row
    yield "rest", -1, ~same_row & ~same_column
