"""The nodes of a crossbar in an order that keeps its factorisation sparse, and its conductance matrix.

A line without segment resistance is one node; without driver or sense resistance too, it is its terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from spicebridge.crossbar.wiring import Wiring

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix, csr_matrix

Line = Literal["segments", "node", "terminal"]
_LEAF = 5  # cells a side below which the dissection stops; smaller gains nothing


@dataclass(frozen=True)
class Grid:
    """The nodes and edges of a crossbar of one size, whatever its conductances.

    Nodes are numbered: the unknown ones in order of elimination, then the terminals of the word lines,
    then those of the bit lines.

    Attributes:
        unknowns: how many node voltages are to be found.
        word, bit: node of each cell, (rows, columns).
        start, end: nodes of each edge: devices, word and bit segments, drivers, senses, as ``edges`` tells.
        inner: edges between two unknown nodes; ``outer``: those from an unknown node to a terminal.
        slots: where the entries (diagonal, inner, inner transposed) belong in the sparse matrix.
        indices, pointers: the sparse matrix's pattern, by columns.
    """

    unknowns: int
    word: NDArray[np.intp]
    bit: NDArray[np.intp]
    start: NDArray[np.intp]
    end: NDArray[np.intp]
    inner: NDArray[np.intp]
    outer: NDArray[np.intp]
    slots: NDArray[np.intp]
    indices: NDArray[np.int32]
    pointers: NDArray[np.int32]

    @property
    def nodes(self) -> int:
        """Unknown nodes and terminals."""
        return self.unknowns + sum(self.word.shape)

    def matrix(self, edges: NDArray[np.float64], leaks: NDArray[np.float64]) -> csc_matrix:
        """The unknown nodes' conductance matrix, S, from the edges' conductances and the nodes' leaks."""
        from scipy.sparse import csc_matrix  # slow to import, and few of those who import this solve

        diagonal = leaks.copy()
        diagonal += np.bincount(self.start, edges, self.nodes) + np.bincount(self.end, edges, self.nodes)
        between = -edges[self.inner]
        data = np.concatenate([diagonal[: self.unknowns], between, between])[self.slots]
        shape = (self.unknowns, self.unknowns)
        return csc_matrix((data, self.indices, self.pointers), shape=shape)

    def coupling(self, edges: NDArray[np.float64]) -> csr_matrix:
        """Current into each unknown node per volt at each terminal, (unknowns, terminals), S."""
        from scipy.sparse import csr_matrix

        start, end = self.start[self.outer], self.end[self.outer]
        entries = (edges[self.outer], (np.minimum(start, end), np.maximum(start, end) - self.unknowns))
        return csr_matrix(entries, shape=(self.unknowns, sum(self.word.shape)))

    def injection(self) -> csr_matrix:
        """Current into each unknown node per ampere through each device, (unknowns, cells)."""
        from scipy.sparse import csr_matrix

        cells = np.arange(self.word.size)
        ends = [(self.word.ravel(), -1.0), (self.bit.ravel(), 1.0)]
        known = [(node[node < self.unknowns], cells[node < self.unknowns], sign) for node, sign in ends]
        values = np.concatenate([np.full(node.size, sign) for node, _, sign in known])
        places = tuple(np.concatenate([each[axis] for each in known]) for axis in (0, 1))
        return csr_matrix((values, places), shape=(self.unknowns, self.word.size))


def grid_of(rows: int, columns: int, wiring: Wiring) -> Grid:
    """The grid of a crossbar; it is made once for each size and kept."""
    word = _kind(wiring.r_word, wiring.r_source)
    return _grid(rows, columns, word, _kind(wiring.r_bit, wiring.r_sense))


def edge_conductances(device: NDArray[np.float64], wiring: Wiring) -> NDArray[np.float64]:
    """Conductances in the order of the grid's edges, S; ``device`` is (rows, columns)."""
    rows, columns = device.shape
    parts = [device.ravel()]
    groups = (
        (rows * (columns - 1) if wiring.r_word else 0, wiring.r_word),
        ((rows - 1) * columns if wiring.r_bit else 0, wiring.r_bit),
        (rows, wiring.r_source + wiring.r_word),
        (columns, wiring.r_sense + wiring.r_bit),
    )
    parts += [np.full(count, 1 / ohms) for count, ohms in groups if ohms > 0]
    return np.concatenate(parts)


def node_leaks(grid: Grid, wiring: Wiring) -> NDArray[np.float64]:
    """Conductance of each node to the substrate, S, (nodes,)."""
    leaks = np.bincount(grid.word.ravel(), minlength=grid.nodes) * wiring.g_leak_word
    return leaks + np.bincount(grid.bit.ravel(), minlength=grid.nodes) * wiring.g_leak_bit


def _kind(segment: float, terminal: float) -> Line:
    return "segments" if segment > 0 else "node" if terminal > 0 else "terminal"


@lru_cache(maxsize=8)
def _grid(rows: int, columns: int, word_kind: Line, bit_kind: Line) -> Grid:
    word, bit, unknowns = _numbered(rows, columns, word_kind, bit_kind)
    terminals = unknowns + np.arange(rows + columns)
    pairs = [(word, bit)]
    if word_kind == "segments":
        pairs.append((word[:, :-1], word[:, 1:]))
    if bit_kind == "segments":
        pairs.append((bit[:-1], bit[1:]))
    if word_kind != "terminal":
        pairs.append((terminals[:rows], word[:, 0]))
    if bit_kind != "terminal":
        pairs.append((bit[-1], terminals[rows:]))
    start = np.concatenate([first.ravel() for first, _ in pairs])
    end = np.concatenate([second.ravel() for _, second in pairs])
    unknown_ends = (start < unknowns).astype(int) + (end < unknowns)
    inner, outer = np.flatnonzero(unknown_ends == 2), np.flatnonzero(unknown_ends == 1)
    diagonal = np.arange(unknowns)
    row = np.concatenate([diagonal, start[inner], end[inner]])
    column = np.concatenate([diagonal, end[inner], start[inner]])
    slots = np.lexsort((row, column))
    pointers = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=unknowns))])
    return Grid(
        unknowns,
        word,
        bit,
        start,
        end,
        inner,
        outer,
        slots,
        indices=row[slots].astype(np.int32),
        pointers=pointers.astype(np.int32),
    )


def _numbered(
    rows: int, columns: int, word_kind: Line, bit_kind: Line
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Node of each cell on its word and on its bit line, and how many nodes are unknown."""
    cells = rows * columns
    if word_kind == bit_kind == "segments":
        place = np.empty(2 * cells, dtype=np.intp)
        place[np.concatenate(_dissected(rows, columns))] = np.arange(2 * cells)
        return place[:cells].reshape(rows, columns), place[cells:].reshape(rows, columns), 2 * cells
    # At most one side has a node to each cell; numbered along its lines it fills in nothing by itself.
    count = 0
    word: NDArray[np.intp] = np.zeros((rows, columns), dtype=np.intp)
    bit = word
    if word_kind == "segments":
        word, count = np.arange(cells).reshape(rows, columns), cells
    if bit_kind == "segments":
        bit, count = np.arange(cells).reshape(columns, rows).T, cells
    if word_kind == "node":
        word, count = np.repeat(count + np.arange(rows)[:, None], columns, axis=1), count + rows
    if bit_kind == "node":
        bit, count = np.repeat(count + np.arange(columns)[None, :], rows, axis=0), count + columns
    if word_kind == "terminal":
        word = np.repeat(count + np.arange(rows)[:, None], columns, axis=1)
    if bit_kind == "terminal":
        bit = np.repeat(count + rows + np.arange(columns)[None, :], rows, axis=0)
    return word, bit, count


def _dissected(rows: int, columns: int) -> list[NDArray[np.intp]]:
    """Nested dissection: cell nodes in order of elimination, those of word lines numbered first.

    A cut between two columns severs word lines only, so that its separator is one word node a row, not
    two nodes; between two rows likewise.
    """
    word = np.arange(rows * columns).reshape(rows, columns)
    bit = word + rows * columns
    order: list[NDArray[np.intp]] = []

    def dissect(top: int, bottom: int, left: int, right: int, word_right: int, bit_bottom: int) -> None:
        # The cells [top:bottom, left:right]; a separator has taken the word nodes from column word_right on,
        # the bit nodes from row bit_bottom on.
        height, width = bottom - top, right - left
        if max(height, width) <= _LEAF:
            order.append(word[top:bottom, left:word_right].ravel())
            order.append(bit[top:bit_bottom, left:right].ravel())
        elif width >= height:
            cut = (left + right) // 2
            dissect(top, bottom, left, cut, cut - 1, bit_bottom)
            dissect(top, bottom, cut, right, word_right, bit_bottom)
            order.append(word[top:bottom, cut - 1])
        else:
            cut = (top + bottom) // 2
            dissect(top, cut, left, right, word_right, cut - 1)
            dissect(cut, bottom, left, right, word_right, bit_bottom)
            order.append(bit[cut - 1, left:right])

    dissect(0, rows, 0, columns, columns, rows)
    return order
