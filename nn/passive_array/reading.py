"""Reading: column currents of arrays as weighted sums, for all samples and all patterns of hidden bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nn.arrays import Floats
from nn.passive_array.cells import Device, Filled
from nn.passive_array.perceptrons import output_rows
from nn.passive_array.placement import Layer, Placement, reference_share, unit_conductance
from spicebridge.crossbar import Junctions, Wiring, solve_junctions


class Read(Protocol):
    """One array of every solution, ready to be read."""

    def __call__(self, voltages: Floats) -> Floats:
        """Column currents (A), shape (solutions, vectors, columns), at row voltages (V) (..., rows)."""
        ...


class Crossbar(Protocol):
    """A kind of array: ideal lines, or resistive ones with all that a solver keeps of them."""

    def __call__(self, cells: Filled) -> Read:
        """The arrays with these cells, shape (solutions, rows, columns)."""
        ...


def ideal_crossbar(cells: Filled) -> Read:
    """Arrays without line resistance, at low bias: Ohm and Kirchhoff."""
    conductances = cells.conductances

    def read(voltages: Floats) -> Floats:
        return np.matmul(voltages, conductances)

    return read


def biased_crossbar(wiring: Wiring, *, v_h: float) -> Crossbar:
    """Arrays with lines, exact in the cells' bias dependence.

    Args:
        wiring: the lines.
        v_h: bias at which TMR has halved (V).
    """

    def prepare(cells: Filled) -> Read:
        halving = np.full(cells.g_p.shape[1:], v_h)

        def read(voltages: Floats) -> Floats:
            solved = [
                solve_junctions(Junctions(g_p, tmr, halving), wiring, driven).i_column
                for g_p, tmr, driven in zip(cells.g_p, cells.tmr, voltages, strict=True)
            ]
            return np.stack(solved)

        return read

    return prepare


@dataclass(frozen=True, eq=False)
class Measured:
    """All that the periphery ever sees of the arrays, in units of the weighted sums.

    Attributes:
        train, test: hidden neurons' sums, shape (solutions, samples, hidden).
        scores: class sums of every pattern of hidden bits, shape (solutions, 2**hidden, classes); pattern n
            has neuron j firing where bit j of n is set.
    """

    train: Floats
    test: Floats
    scores: Floats


def hidden_patterns(width: int) -> Floats:
    """Every pattern of hidden values +-1, shape (2**width, width), in ``Measured``'s order."""
    numbers = np.arange(2**width)[:, None]
    return np.where((numbers >> np.arange(width)) & 1, 1.0, -1.0)


def row_voltages(values: Floats, layer: Layer, placement: Placement, *, v_read: float) -> Floats:
    """Voltages (V) of all rows of an array, shape (..., rows); rows that carry no input stay at 0 V.

    Args:
        values: of the layer's inputs, 1 standing for ``v_read``, shape (..., inputs).
        layer, placement: where they go.
        v_read: read voltage (V).
    """
    voltages = np.zeros((*values.shape[:-1], placement.rows))
    voltages[..., list(layer.rows)] = v_read * values
    return voltages


def weighted_sums(
    currents: Floats, layer: Layer, placement: Placement, *, device: Device, v_read: float
) -> Floats:
    """Column currents (A) (..., columns) as sums (..., outputs), taking all cells for nominal ones."""
    share = reference_share(placement, g_p=device.g_p, g_ap=device.g_ap)
    unit = unit_conductance(placement, g_p=device.g_p, g_ap=device.g_ap) * v_read
    return (currents[..., list(layer.columns)] - share * currents[..., list(layer.references)]) / unit


def measure(
    cells: Filled,
    train_inputs: Floats,
    test_inputs: Floats,
    placement: Placement,
    *,
    device: Device,
    crossbar: Crossbar,
    v_read: float,
) -> Measured:
    """Read every sample through the first layer and every hidden pattern through the second.

    Args:
        cells: all of them, shape (solutions, arrays, rows, columns).
        train_inputs, test_inputs: row values, shape (solutions, samples, inputs).
        placement: where the layers lie.
        device: what the periphery takes the cells for.
        crossbar: the arrays' lines.
        v_read: read voltage (V).
    """
    reads = [crossbar(cells.array(number)) for number in range(placement.arrays)]

    def sums(layer: Layer, values: Floats) -> Floats:
        voltages = row_voltages(values, layer, placement, v_read=v_read)
        currents = reads[layer.array](voltages)
        return weighted_sums(currents, layer, placement, device=device, v_read=v_read)

    patterns = output_rows(hidden_patterns(len(placement.hidden.columns)))
    return Measured(
        train=sums(placement.hidden, train_inputs),
        test=sums(placement.hidden, test_inputs),
        scores=sums(placement.output, np.broadcast_to(patterns, (len(cells.g_p), *patterns.shape))),
    )
