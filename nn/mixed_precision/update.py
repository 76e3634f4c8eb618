"""The chi accumulator: updates gathered in high precision until they make whole pulses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s
from nn.mixed_precision.network import views

Found = tuple[NDArray[np.intp], Float32s]


def add_products(total: Float32s, x: Float32s, delta: Float32s, *, factor: float, keep: bool = True) -> None:
    """``total`` + factor * x^T delta in place, one BLAS call without a copy.

    Args:
        total: shape (inputs, outputs), C-contiguous.
        x: shape (images, inputs).
        delta: shape (images, outputs).
        factor: minus the learning rate over the images.
        keep: False to overwrite ``total``.
    """
    from scipy.linalg.blas import sgemm, sger  # here, as it takes longer to import than NumPy

    if len(x) == 1 and keep:
        sger(factor, delta[0], x[0], a=total.T, overwrite_a=1)
    else:
        sgemm(factor, delta.T, x.T, beta=float(keep), c=total.T, trans_b=1, overwrite_c=1)


class Accumulator:
    """chi of all weights, and the search for those that make a pulse.

    Attributes:
        chi: what is still to be programmed, in units of weight, shape (weights,).
        epsilon: what a pulse stands for.
    """

    def __init__(self, chi: Float32s, shapes: Sequence[tuple[int, int]], epsilon: float) -> None:
        self.chi, self.epsilon = chi, np.float32(epsilon)
        self._layers = views(chi, shapes)
        self._scratch = np.empty(len(chi), np.float32)
        self._parts = views(self._scratch, shapes)
        self._large = np.empty(len(chi), bool)

    def add(self, number: int, x: Float32s, delta: Float32s, *, factor: float) -> NDArray[np.intp]:
        """Add factor * x^T delta to a layer's chi; returns the layer's weights with |chi| >= epsilon.

        With one image only the rows whose input is not zero change, and only they are fetched and searched.
        """
        layer = self._layers[number]
        size, outputs = layer.size, layer.shape[1]
        large, scratch = self._large[:size], self._parts[number].reshape(-1)
        rows = np.flatnonzero(x[0]) if len(x) == 1 else None
        if rows is None or 2 * len(rows) > layer.shape[0]:
            add_products(layer, x, delta, factor=factor)
            np.abs(layer.reshape(-1), out=scratch)
            np.greater_equal(scratch, self.epsilon, out=large)
            return np.flatnonzero(large)
        if not len(rows):
            return rows
        part = self._parts[number][: len(rows)]
        np.take(layer, rows, axis=0, out=part, mode="clip")
        add_products(part, x[:, rows], delta, factor=factor)
        layer[rows] = part
        found = scratch[: part.size]
        np.abs(found, out=found)
        within = np.flatnonzero(np.greater_equal(found, self.epsilon, out=large[: part.size]))
        return rows[within // outputs] * outputs + within % outputs

    def take(self, weights: NDArray[np.intp]) -> Found:
        """Take whole epsilons out of chi: the weights that had any, and how many, with their sign."""
        had = self.chi[weights]
        pulses = np.trunc(had / self.epsilon)
        self.chi[weights] = had - pulses * self.epsilon
        some = pulses != 0  # rounding can leave a |chi| of just epsilon a hair below one pulse
        return weights[some], pulses[some]


def rounded(update: Float32s, epsilon: float, rng: np.random.Generator) -> Found:
    """Whole pulses for an update at once: down or up at random, so that their mean is the update's.

    What every weight is to change by goes in, in place of chi: the counterpart of training without an
    accumulator, as stochastic pulse updates do it (Gokmen and Vlasov, Front. Neurosci. 10:333, 2016).
    """
    size = np.abs(update)
    size *= np.float32(1 / epsilon)
    size += rng.random(len(update), dtype=np.float32)
    weights = np.flatnonzero(size >= 1)
    return weights, np.copysign(np.floor(size[weights]), update[weights])
