"""The transfer matrix of a large crossbar: blocks of cells are reduced to their ports and joined.

This is sparse Cholesky by nested dissection (a multifrontal one), with what a grid gives for free: all
blocks of a stage are alike, so that each stage is a few array operations over all of them; and what is
wanted, terminals only, is what is left when the last two blocks have been joined. No factor is kept.

A block's ports are the nodes it shares with its neighbours: ``left`` and ``right``, a word-line node a row;
``top`` and ``bottom``, a bit-line node a column. A block owns the nodes of its cells, which lie to the left
and on top, and reaches the first of its neighbours. Blocks at the array's top and right have no ports there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spicebridge.crossbar.wiring import Wiring

BLOCKS_FROM = 1024  # cells; measured: below it one sparse factorisation is faster
_LEAF = (6, 10)  # the most rows and columns of cells in a leaf; measured

Side = Literal["left", "top", "right", "bottom"]
SIDES: tuple[Side, ...] = ("left", "top", "right", "bottom")
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Blocks:
    """Like blocks on a grid, each reduced to its ports.

    Attributes:
        matrices: conductance matrices of the ports, side by side, (rows of blocks, columns of blocks, ports,
            ports), S.
        ports: how many ports each side has.
    """

    matrices: Matrix
    ports: Mapping[Side, int]

    def at(self, side: Side) -> slice:
        """Where a side's ports lie."""
        before = sum(self.ports[each] for each in SIDES[: SIDES.index(side)])
        return slice(before, before + self.ports[side])

    def part(self, down: slice, across: slice) -> Blocks:
        """Some of the blocks."""
        return Blocks(self.matrices[down, across], self.ports)

    def without(self, side: Side, *, reduce: bool) -> Blocks:
        """The same without a side's ports: ``reduce`` keeps their nodes in the circuit, else they go."""
        if not self.matrices.size:
            return Blocks(self.matrices, {**self.ports, side: 0})
        every = np.arange(self.matrices.shape[-1])
        order = np.concatenate([every[self.at(each)] for each in (side, *(s for s in SIDES if s != side))])
        turned = self.matrices[..., order[:, None], order]
        count = self.ports[side]
        matrices = turned[..., count:, count:]
        if reduce:
            matrices = matrices + _correction(turned[..., :count, :])
        return Blocks(matrices, {**self.ports, side: 0})


def transfer_by_blocks(conductance: Matrix, wiring: Wiring) -> Matrix:
    """Column currents per row voltage, (columns, rows), S; both segment resistances must be above zero."""
    from scipy.linalg import cho_factor, cho_solve  # slow to import

    rows, columns = conductance.shape
    down, across = (_leaves(cells, most) for cells, most in zip((rows, columns), _LEAF, strict=True))
    height, width = math.ceil(rows / down), math.ceil(columns / across)
    # Cells of nothing but wire make the array fill its leaves, above and to the right: there they dangle.
    spare = down * height - rows
    padded = np.zeros((down * height, across * width))
    padded[spare:, :columns] = conductance
    real = np.zeros(padded.shape)
    real[spare:, :columns] = 1.0
    blocks = _sorted_by_edge(_leaf_blocks(padded, real, wiring, (height, width)))
    while down * across > 1:
        if across >= down:
            blocks, across = _joined_across(blocks), across // 2
        else:
            blocks, down = _joined_down(blocks), down // 2
    whole = blocks[True, True]
    left, bottom = whole.at("left"), whole.at("bottom")
    matrix = whole.matrices[0, 0]
    g_in = 1 / (wiring.r_source + wiring.r_word)
    inside = matrix[left, left] + g_in * np.eye(len(padded))
    factor = cho_factor(inside, lower=True, overwrite_a=True, check_finite=False)
    transfer = -g_in * cho_solve(factor, matrix[left, bottom], check_finite=False).T
    return np.ascontiguousarray(transfer[:columns, spare:])


def _leaves(cells: int, most: int) -> int:
    """Into how many leaves a side is cut: a power of two, so that blocks always pair."""
    return 1 << max(0, math.ceil(math.log2(cells / most)))


def _leaf_blocks(conductance: Matrix, real: Matrix, wiring: Wiring, leaf: tuple[int, int]) -> Blocks:
    """Leaves of (rows, columns) cells, reduced to their ports; ``real`` is 0 where a cell is wire."""
    height, width = leaf
    rows, columns = conductance.shape
    down, across = rows // height, columns // width
    g_along = np.full((rows, columns), 1 / wiring.r_word)
    g_along[:, -1] = 0.0  # word lines end in the open
    g_below = np.full((rows, columns), 1 / wiring.r_bit)
    g_below[-1] = 1 / (wiring.r_bit + wiring.r_sense)
    tiles = [
        np.ascontiguousarray(each.reshape(down, height, across, width).transpose(1, 3, 0, 2))
        for each in (conductance, g_along, g_below, real)
    ]
    elimination = _Elimination()
    for i in range(height):
        for j in range(width):
            device, along, below, leaks = (each[i, j] for each in tiles)
            word, bit = ("word", i, j), ("bit", i, j)
            elimination.connect(word, bit, device)
            elimination.connect(word, ("word", i, j + 1), along)
            elimination.connect(bit, ("bit", i + 1, j), below)
            elimination.ground(word, wiring.g_leak_word * leaks)
            elimination.ground(bit, wiring.g_leak_bit * leaks)
    sides: dict[Side, list[_Node]] = {
        "left": [("word", i, 0) for i in range(height)],
        "top": [("bit", 0, j) for j in range(width)],
        "right": [("word", i, width) for i in range(height)],
        "bottom": [("bit", height, j) for j in range(width)],
    }
    kept = [node for side in SIDES for node in sides[side]]
    elimination.eliminate_all_but(kept)
    matrices = elimination.matrices(kept, (down, across))
    return Blocks(matrices, {side: len(nodes) for side, nodes in sides.items()})


_Node = tuple[str, int, int]


class _Elimination:
    """Gaussian elimination of one small sparse matrix whose entries are arrays, one element a leaf."""

    def __init__(self) -> None:
        self._diagonal: dict[_Node, Any] = {}
        self._beside: dict[_Node, dict[_Node, Any]] = {}

    def connect(self, first: _Node, second: _Node, conductance: Matrix) -> None:
        """A conductance between two nodes, S."""
        for node, other in ((first, second), (second, first)):
            self.ground(node, conductance)
            self._beside.setdefault(node, {})[other] = -conductance

    def ground(self, node: _Node, conductance: Matrix | float) -> None:
        """A conductance from a node to 0 V, S."""
        self._diagonal[node] = self._diagonal.get(node, 0.0) + conductance

    def eliminate_all_but(self, kept: list[_Node]) -> None:
        """Eliminate nodes, that with the fewest neighbours first."""
        left = set(self._diagonal) - set(kept)
        while left:
            # The node itself breaks ties, so that rounding is the same in every run.
            node = min(left, key=lambda each: (len(self._beside[each]), each))
            left.remove(node)
            self._eliminate(node)

    def _eliminate(self, node: _Node) -> None:
        neighbours = list(self._beside.pop(node).items())
        inverse = 1 / self._diagonal.pop(node)
        for other, _ in neighbours:
            del self._beside[other][node]
        for index, (first, value) in enumerate(neighbours):
            share = value * inverse
            self._diagonal[first] = self._diagonal[first] - share * value
            for second, far in neighbours[index + 1 :]:
                entry = self._beside[first].get(second, 0.0) - share * far
                self._beside[first][second] = self._beside[second][first] = entry

    def matrices(self, nodes: list[_Node], grid: tuple[int, int]) -> Matrix:
        """The matrix among ``nodes``, (*grid, nodes, nodes)."""
        found = np.zeros((*grid, len(nodes), len(nodes)))
        for row, node in enumerate(nodes):
            found[..., row, row] = self._diagonal[node]
            for column, other in enumerate(nodes):
                if other in self._beside[node]:
                    found[..., row, column] = self._beside[node][other]
        return found


def _sorted_by_edge(leaves: Blocks) -> dict[tuple[bool, bool], Blocks]:
    """Leaves by (at the array's top, at its right), those at an edge without ports there."""
    found = {}
    for top, down in ((False, slice(1, None)), (True, slice(0, 1))):
        for right, across in ((False, slice(0, -1)), (True, slice(-1, None))):
            some = leaves.part(down, across)
            if top:
                some = some.without("top", reduce=True)
            found[top, right] = some.without("right", reduce=False) if right else some
    return found


def _joined_across(blocks: Mapping[tuple[bool, bool], Blocks]) -> dict[tuple[bool, bool], Blocks]:
    every = slice(None)
    found = {}
    for top in (False, True):
        inner, edge = blocks[top, False], blocks[top, True]
        found[top, True] = _join(inner.part(every, slice(-1, None)), edge, across=True)
        found[top, False] = _join(
            inner.part(every, slice(0, -1, 2)), inner.part(every, slice(1, -1, 2)), across=True
        )
    return found


def _joined_down(blocks: Mapping[tuple[bool, bool], Blocks]) -> dict[tuple[bool, bool], Blocks]:
    every = slice(None)
    found = {}
    for right in (False, True):
        inner, edge = blocks[False, right], blocks[True, right]
        found[True, right] = _join(edge, inner.part(slice(0, 1), every), across=False)
        found[False, right] = _join(
            inner.part(slice(1, None, 2), every), inner.part(slice(2, None, 2), every), across=False
        )
    return found


def _join(first: Blocks, second: Blocks, *, across: bool) -> Blocks:
    """Blocks side by side (``first`` left), or one above the other (``first`` on top), as one."""
    seam: tuple[Side, Side] = ("right", "left") if across else ("bottom", "top")
    pair = (first, second)
    outside = [(side, each) for side in SIDES for each in (0, 1) if side != seam[each]]
    ports = {side: sum(pair[each].ports[side] for at, each in outside if at == side) for side in SIDES}
    count = first.ports[seam[0]]
    places, end = {}, count
    for side, each in outside:
        places[side, each] = slice(end, end + pair[each].ports[side])
        end += pair[each].ports[side]
    seams = [blocks.matrices[..., blocks.at(side), :] for blocks, side in zip(pair, seam, strict=True)]
    rows = np.empty((*first.matrices.shape[:2], count, end))
    rows[..., :count] = seams[0][..., first.at(seam[0])] + seams[1][..., second.at(seam[1])]
    for side, each in outside:
        rows[..., places[side, each]] = seams[each][..., pair[each].at(side)]
    joined = _correction(rows)
    for each, blocks in enumerate(pair):
        own = [side for side, whose in outside if whose == each]
        for row in own:
            down = slice(places[row, each].start - count, places[row, each].stop - count)
            for column in own:
                along = slice(places[column, each].start - count, places[column, each].stop - count)
                joined[..., down, along] += blocks.matrices[..., blocks.at(row), blocks.at(column)]
    return Blocks(joined, ports)


def _correction(rows: Matrix) -> Matrix:
    """What eliminating nodes adds to the matrices of the others.

    Args:
        rows: the eliminated nodes' rows, their own columns first: (..., eliminated, eliminated + others).
    """
    count = rows.shape[-2]
    root = np.linalg.cholesky(rows[..., :count])
    across = np.linalg.inv(root) @ rows[..., count:]
    # A product of a matrix with its own transpose takes BLAS half the work, and comes out symmetric.
    product = np.swapaxes(across, -1, -2) @ across
    return np.negative(product, out=product)
