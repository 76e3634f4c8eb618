"""Placement: which cell of which array holds which weight, and what the cells are to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Floats
from nn.passive_array.perceptrons import Perceptrons
from spicebridge.errors import SpicebridgeError

SCHEMES = ("pair", "reference")
"""``pair``: a weight is two neighbouring cells, P and AP or AP and P, one array for each layer.
``reference``: a weight is one cell, P or AP, against a column of P cells; both layers in one array, read in
turn."""

Parallel = NDArray[np.bool_]
"""Cells in the P state, shape (solutions, arrays, rows, columns)."""


@dataclass(frozen=True)
class Layer:
    """Where one layer's weights lie.

    Attributes:
        array: which array.
        rows: the word line of each input.
        columns: the bit line of each output.
        references: the bit line that is subtracted from it.
    """

    array: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    references: tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """Where a two-layer perceptron lies.

    Attributes:
        scheme: one of ``SCHEMES``.
        arrays: how many arrays.
        rows, columns: of each array.
        hidden, output: the two layers.
    """

    scheme: str
    arrays: int
    rows: int
    columns: int
    hidden: Layer
    output: Layer

    @property
    def used(self) -> NDArray[np.bool_]:
        """Cells that carry a weight or a reference, shape (arrays, rows, columns)."""
        used = np.zeros((self.arrays, self.rows, self.columns), np.bool_)
        for layer in (self.hidden, self.output):
            used[np.ix_([layer.array], layer.rows, (*layer.columns, *layer.references))] = True
        return used


def place(
    *, inputs: int, hidden: int, classes: int, scheme: str = "pair", rows: int = 15, columns: int = 15
) -> Placement:
    """The placement of an ``inputs``-``hidden``-``classes`` network.

    Inputs count the constant rows; the output layer has one more row than there are hidden neurons. Columns
    fill from the drivers, rows of a layer that leaves some free from the sense amplifiers, where lines are
    shortest.

    Raises:
        SpicebridgeError: an unknown scheme, or a network that does not fit.
    """
    if scheme == "pair":
        arrays, needed = 2, max(2 * hidden, 2 * classes)
    elif scheme == "reference":
        arrays, needed = 1, hidden + classes + 1
    else:
        raise SpicebridgeError(f"scheme {scheme!r} is none of: {', '.join(SCHEMES)}.")
    if needed > columns or max(inputs, hidden + 1) > rows:
        raise SpicebridgeError(
            f"a {inputs}-{hidden}-{classes} network as {scheme} needs {max(inputs, hidden + 1)} rows and "
            f"{needed} columns; the array has {rows} and {columns}. "
            "Take fewer hidden neurons, or a larger array."
        )
    last_rows = [tuple(range(rows - count, rows)) for count in (inputs, hidden + 1)]
    if scheme == "pair":
        layers = [
            Layer(array, used, tuple(range(0, 2 * outputs, 2)), tuple(range(1, 2 * outputs, 2)))
            for array, (used, outputs) in enumerate(zip(last_rows, (hidden, classes), strict=True))
        ]
    else:
        of_hidden, of_output = tuple(range(hidden)), tuple(range(hidden, hidden + classes))
        shared = hidden + classes
        layers = [
            Layer(0, used, own, (shared,) * len(own))
            for used, own in zip(last_rows, (of_hidden, of_output), strict=True)
        ]
    return Placement(scheme, arrays, rows, columns, *layers)


def targets(networks: Perceptrons, placement: Placement) -> Parallel:
    """What the cells are to be; those without a task AP, which draws least."""
    wanted = np.zeros((len(networks.hidden), placement.arrays, placement.rows, placement.columns), np.bool_)
    for layer, weights in ((placement.hidden, networks.hidden), (placement.output, networks.output)):
        rows = np.array(layer.rows)[:, None]
        wanted[:, layer.array, rows, np.array(layer.columns)] = weights > 0
        paired = weights < 0 if placement.scheme == "pair" else True
        wanted[:, layer.array, rows, np.array(layer.references)] = paired
    return wanted


def reference_share(placement: Placement, *, g_p: float, g_ap: float) -> float:
    """What a reference column's current is multiplied by before it is subtracted."""
    return 1.0 if placement.scheme == "pair" else 0.5 * (1 + g_ap / g_p)


def unit_conductance(placement: Placement, *, g_p: float, g_ap: float) -> float:
    """The difference of conductances that stands for a weight of 1 (S)."""
    return (g_p - g_ap) if placement.scheme == "pair" else 0.5 * (g_p - g_ap)


def effective_weights(
    conductances: Floats, placement: Placement, layer: Layer, *, g_p: float, g_ap: float
) -> Floats:
    """Weights as nominal electronics see a layer's conductances (S), shape (solutions, rows, outputs)."""
    cells = conductances[:, layer.array][:, list(layer.rows)]
    share = reference_share(placement, g_p=g_p, g_ap=g_ap)
    difference = cells[:, :, list(layer.columns)] - share * cells[:, :, list(layer.references)]
    return difference / unit_conductance(placement, g_p=g_p, g_ap=g_ap)
