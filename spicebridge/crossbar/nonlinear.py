"""Crossbars of bias-dependent devices: a fixed point about one linear array, Newton where it is slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicebridge.crossbar.grid import Grid
from spicebridge.crossbar.junctions import Junctions
from spicebridge.crossbar.linear import (
    LinearArray,
    Solution,
    factorize,
    make_solution,
    terminal_voltages,
)
from spicebridge.crossbar.wiring import CrossbarError, Wiring

# Of the largest terminal voltage; the step still to come is smaller again, by the iteration's contraction.
_TOLERANCE = 1e-13
_FIXED_POINT_STEPS = 25  # a contraction that needs more is slower than Newton
_NEWTON_STEPS = 50
_DENSE_CELLS = 1024  # up to here the devices' responses to each other fit one small dense matrix

Array = NDArray[np.float64]


def solve_junctions(
    junctions: Junctions, wiring: Wiring, v_rows: ArrayLike, v_columns: ArrayLike = 0.0
) -> Solution:
    """Every voltage and current of an array of MTJs, exact in their bias dependence.

    Args:
        junctions: the devices, (rows, columns).
        wiring: of the array.
        v_rows: voltages of the word-line drivers, (..., rows), V.
        v_columns: of the bit-line terminals, (..., columns), V; 0, their virtual ground, unless given.

    Raises:
        CrossbarError: input that does not fit, or no convergence.
    """
    array = factorize(junctions.conductance(), wiring)
    if junctions.linear:
        return array.solve(v_rows, v_columns)
    terminals, vectors = terminal_voltages(array.grid, v_rows, v_columns)
    potentials, converged = _fixed_point(array, junctions, terminals)
    for vector in np.flatnonzero(~converged):
        potentials[vector] = _newton(array.grid, junctions, wiring, terminals[vector : vector + 1])
    device = junctions.current(_across(array.grid, potentials).reshape(-1, *junctions.g_p.shape))
    return make_solution(array.grid, wiring, potentials, device, vectors)


def _fixed_point(
    array: LinearArray, junctions: Junctions, terminals: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Node voltages (vectors, nodes), and which of the vectors are exact.

    The devices are their conductances at 0 V beside sources of what is missing: I(v) - g v. Those sources
    act on the array's own, constant, matrix.
    """
    grid = array.grid
    shape = (-1, *array.conductance.shape)
    at_zero = array.potentials(terminals)
    v_zero = _across(grid, at_zero)
    response = _response(array)
    v, missing = v_zero, np.zeros_like(v_zero)
    scale = np.abs(terminals).max(axis=1)
    converged = scale == 0
    for _ in range(_FIXED_POINT_STEPS):
        biased = v.reshape(shape)
        missing = (junctions.current(biased) - array.conductance * biased).reshape(v.shape)
        following = v_zero + response.across(missing)
        converged = np.abs(following - v).max(axis=1) <= _TOLERANCE * scale
        v = following
        if converged.all():
            break
    at_zero[:, : grid.unknowns] += response.nodes(missing)
    return at_zero, converged


@dataclass(frozen=True)
class _Response:
    """Voltages (vectors, ...) over the devices and at the unknown nodes from currents (vectors, cells)."""

    across: Callable[[Array], Array]
    nodes: Callable[[Array], Array]


def _response(array: LinearArray) -> _Response:
    """What currents through sources beside the devices do to the array."""
    grid = array.grid
    injection = grid.injection()

    def nodes(currents: Array) -> Array:
        return array.respond(injection @ currents.T).T

    if injection.shape[1] > _DENSE_CELLS:
        return _Response(lambda currents: -(nodes(currents) @ injection), nodes)
    each = array.respond(injection.toarray())
    between = -(injection.T @ each).T
    return _Response(lambda currents: currents @ between, lambda currents: currents @ each.T)


def _newton(grid: Grid, junctions: Junctions, wiring: Wiring, terminals: Array) -> Array:
    """Node voltages (nodes,) of one vector of terminal voltages (1, terminals)."""
    injection = grid.injection()
    scale = np.abs(terminals).max()
    v = np.zeros((1, injection.shape[1]))
    for _ in range(_NEWTON_STEPS):
        biased = v.reshape(junctions.g_p.shape)
        slope = junctions.slope(biased)
        array = factorize(slope, wiring)
        missing = (junctions.current(biased) - slope * biased).reshape(1, -1)
        potentials = array.potentials(terminals)
        potentials[:, : grid.unknowns] += array.respond(injection @ missing.T).T
        following = _across(grid, potentials)
        if np.abs(following - v).max() <= _TOLERANCE * scale:
            return potentials[0]
        v = following
    raise CrossbarError(
        f"the crossbar's devices did not settle in {_NEWTON_STEPS} Newton steps at a largest terminal "
        f"voltage of {scale:g} V (v_h is {junctions.v_h.min():g} V or more). Lower the voltage."
    )


def _across(grid: Grid, potentials: Array) -> Array:
    """Voltage across each device, (vectors, cells), from those of all nodes."""
    return (potentials[:, grid.word] - potentials[:, grid.bit]).reshape(len(potentials), -1)
