"""Linear crossbars: one factorisation, many input vectors; the transfer matrix from voltages to currents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicebridge.crossbar.blocks import BLOCKS_FROM, transfer_by_blocks
from spicebridge.crossbar.grid import Grid, edge_conductances, grid_of, node_leaks
from spicebridge.crossbar.wiring import (
    CrossbarError,
    Wiring,
    check_contrast,
    checked_conductance,
    checked_voltages,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import SuperLU

_TOGETHER = 64  # right-hand sides solved at once: more only costs memory


@dataclass(frozen=True)
class Solution:
    """What a crossbar does under each input vector; the leading axes are the vectors'.

    Attributes:
        v_word, v_bit: voltage of each cell's word-line and bit-line node, (..., rows, columns), V.
        i_device: current through each device, from word line to bit line, (..., rows, columns), A.
        i_row: current out of each word-line driver, (..., rows), A.
        i_column: current into each bit-line terminal, (..., columns), A: what a sense input measures.
    """

    v_word: NDArray[np.float64]
    v_bit: NDArray[np.float64]
    i_device: NDArray[np.float64]
    i_row: NDArray[np.float64]
    i_column: NDArray[np.float64]

    @property
    def v_device(self) -> NDArray[np.float64]:
        """Voltage across each device, word line to bit line, (..., rows, columns), V."""
        return self.v_word - self.v_bit


@dataclass(frozen=True)
class LinearArray:
    """A crossbar of fixed conductances (rows, columns), S, factorised; ``factorize`` makes one."""

    conductance: NDArray[np.float64]
    wiring: Wiring
    grid: Grid
    lu: SuperLU | None

    def solve(self, v_rows: ArrayLike, v_columns: ArrayLike = 0.0) -> Solution:
        """Every voltage and current of the array.

        Args:
            v_rows: voltages of the word-line drivers, (..., rows), V.
            v_columns: of the bit-line terminals, (..., columns), V; 0, their virtual ground, unless given.
        """
        terminals, vectors = terminal_voltages(self.grid, v_rows, v_columns)
        potentials = self.potentials(terminals)
        device = (potentials[:, self.grid.word] - potentials[:, self.grid.bit]) * self.conductance
        return make_solution(self.grid, self.wiring, potentials, device, vectors)

    def potentials(self, terminals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voltages of all nodes, (vectors, nodes), from those of the terminals, (vectors, terminals)."""
        return np.concatenate([self.respond(self._coupling @ terminals.T).T, terminals], axis=1)

    def respond(self, injected: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voltages of the unknown nodes under currents injected there, both (unknowns, vectors)."""
        return np.zeros_like(injected) if self.lu is None else self.lu.solve(np.asfortranarray(injected))

    @cached_property
    def transfer(self) -> NDArray[np.float64]:
        """Column currents per row voltage, (columns, rows), S; the bit-line terminals at 0 V."""
        return transfer_matrix(self.conductance, self.wiring)

    @cached_property
    def _coupling(self) -> csr_matrix:
        return self.grid.coupling(edge_conductances(self.conductance, self.wiring))


def factorize(conductance: ArrayLike, wiring: Wiring) -> LinearArray:
    """The crossbar of these conductances, (rows, columns), S, ready to be solved for any input.

    Raises:
        CrossbarError: conductances that are no crossbar's, or a short too good for its lines.
    """
    from scipy.sparse.linalg import splu  # slow to import, and few of those who import this solve

    g = checked_conductance(conductance)
    check_contrast(g, wiring)
    grid = grid_of(g.shape[0], g.shape[1], wiring)
    if grid.unknowns == 0:
        return LinearArray(g, wiring, grid, None)
    matrix = grid.matrix(edge_conductances(g, wiring), node_leaks(grid, wiring))
    # The grid's numbering is the fill-reducing order, and a conductance matrix needs no pivoting.
    lu = splu(
        matrix,
        permc_spec="NATURAL",
        diag_pivot_thresh=0.0,
        relax=1,
        panel_size=4,
        options={"SymmetricMode": True},
    )
    return LinearArray(g, wiring, grid, lu)


def transfer_matrix(conductance: ArrayLike, wiring: Wiring) -> NDArray[np.float64]:
    """Column currents per row voltage, (columns, rows), S, the bit-line terminals at 0 V.

    ``voltages @ transfer.T`` then gives the currents (vectors, columns) of any number of vectors.

    Raises:
        CrossbarError: as ``factorize``.
    """
    g = checked_conductance(conductance)
    if g.size >= BLOCKS_FROM and wiring.r_word > 0 and wiring.r_bit > 0:
        check_contrast(g, wiring)
        return transfer_by_blocks(g, wiring)
    array = factorize(g, wiring)
    currents = [
        array.solve(np.eye(g.shape[0])[first : first + _TOGETHER]).i_column
        for first in range(0, g.shape[0], _TOGETHER)
    ]
    return np.concatenate(currents).T


def terminal_voltages(
    grid: Grid, v_rows: ArrayLike, v_columns: ArrayLike
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Voltages of all terminals, (vectors, terminals), and the shape of the vectors' axes."""
    rows, columns = grid.word.shape
    driven = checked_voltages(v_rows, lines=rows, name="v_rows")
    if np.ndim(v_columns) == 0:
        v_columns = np.full(columns, v_columns)
    held = checked_voltages(v_columns, lines=columns, name="v_columns")
    try:
        vectors = np.broadcast_shapes(driven.shape[:-1], held.shape[:-1])
    except ValueError as error:
        raise CrossbarError(
            f"v_rows {driven.shape} and v_columns {held.shape} do not hold the same number of vectors."
        ) from error
    both = [np.broadcast_to(each, (*vectors, each.shape[-1])) for each in (driven, held)]
    return np.concatenate(both, axis=-1).reshape(-1, rows + columns), vectors


def make_solution(
    grid: Grid,
    wiring: Wiring,
    potentials: NDArray[np.float64],
    device: NDArray[np.float64],
    vectors: tuple[int, ...],
) -> Solution:
    """The solution of node voltages (n, nodes) and device currents (n, rows, columns).

    A line's current is the sum of its devices' and leaks: the drop over a small resistance would tell it
    less exactly.
    """
    v_word, v_bit = potentials[:, grid.word], potentials[:, grid.bit]
    parts = (
        v_word,
        v_bit,
        device,
        (device + wiring.g_leak_word * v_word).sum(axis=2),
        (device - wiring.g_leak_bit * v_bit).sum(axis=1),
    )
    return Solution(*(part.reshape(*vectors, *part.shape[1:]) for part in parts))
