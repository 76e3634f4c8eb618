"""Binary two-layer perceptrons, many at once: weights +-1, sign hidden neurons, gradient beside forward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Floats, Labels, States

CONFIDENCE = 3.0  # score spread of a random network that the cross-entropy sees; 1 to 5 train alike


def sign(z: Floats) -> Floats:
    """+1 where z >= 0, else -1."""
    return np.where(z >= 0, z.dtype.type(1), z.dtype.type(-1))


def score_scale(hidden: int) -> float:
    """What class sums are multiplied by in the cross-entropy."""
    return CONFIDENCE / float(np.sqrt(hidden + 1))


@dataclass(frozen=True, eq=False)
class Perceptrons:
    """Trained networks as they are written into arrays, and the digital periphery's part of them.

    Attributes:
        hidden: weights +-1, shape (solutions, rows, hidden).
        threshold: of the hidden neurons, in units of the weighted sum, shape (solutions, hidden).
        output: weights +-1, shape (solutions, hidden + 1, classes); the last row is constant.
        offset: added to the class sums, shape (solutions, classes).
    """

    hidden: States
    threshold: Floats
    output: States
    offset: Floats

    @property
    def width(self) -> int:
        """Hidden neurons."""
        return int(self.hidden.shape[2])

    def part(self, which: slice) -> Perceptrons:
        """Some of the solutions."""
        return Perceptrons(self.hidden[which], self.threshold[which], self.output[which], self.offset[which])

    def sums(self, inputs: Floats) -> Floats:
        """Weighted sums of the hidden neurons, shape (solutions, samples, hidden)."""
        return np.matmul(inputs.astype(np.float64), self.hidden.astype(np.float64))

    def bits(self, inputs: Floats) -> NDArray[np.bool_]:
        """Hidden neurons that fire, shape (solutions, samples, hidden); a sum at the threshold fires."""
        return self.sums(inputs) >= self.threshold[:, None, :]

    def scores(self, inputs: Floats) -> Floats:
        """Class scores, shape (solutions, samples, classes)."""
        bits = self.bits(inputs)
        driven = output_rows(np.where(bits, 1.0, -1.0))
        return np.matmul(driven, self.output.astype(np.float64)) + self.offset[:, None, :]

    def decisions(self, inputs: Floats) -> Labels:
        """Classes, shape (solutions, samples); of equal scores the first class wins."""
        return np.argmax(self.scores(inputs), axis=2)


def output_rows(hidden: Floats) -> Floats:
    """Row values of the second layer: the hidden values and a constant 1, shape (..., hidden + 1)."""
    return np.concatenate([hidden, np.ones((*hidden.shape[:-1], 1), hidden.dtype)], axis=-1)


def distinct(networks: Perceptrons) -> int:
    """How many different weight sets there are among the solutions."""
    count = len(networks.hidden)
    weights = np.concatenate([networks.hidden.reshape(count, -1), networks.output.reshape(count, -1)], axis=1)
    return len(np.unique(weights, axis=0))


@dataclass(frozen=True, eq=False)
class Parameters:
    """What a forward pass multiplies and adds, or the loss's slopes along it.

    Attributes:
        hidden: shape (solutions, rows, hidden).
        hidden_bias: shape (solutions, 1, hidden).
        output: shape (solutions, hidden + 1, classes).
        output_bias: shape (solutions, 1, classes).
    """

    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: Floats


@dataclass(frozen=True, eq=False)
class Kept:
    """What the gradient needs of a forward pass, and its loss.

    Attributes:
        z: hidden neurons' sums, scaled, with bias.
        rows: row values of the second layer.
        p: class probabilities.
    """

    z: Floats
    rows: Floats
    p: Floats


def forward(
    parameters: Parameters, inputs: Floats, *, scale: Floats, activation: Callable[[Floats], Floats] = sign
) -> Kept:
    """Class probabilities of inputs (solutions, samples, rows).

    Args:
        parameters: the weights as the array holds them, and the biases.
        inputs: row values.
        scale: of the hidden neurons' sums, shape (solutions, 1, 1).
        activation: of the hidden neurons.
    """
    z = np.matmul(inputs, parameters.hidden)
    z *= scale
    z += parameters.hidden_bias
    rows = output_rows(activation(z))
    scores = np.matmul(rows, parameters.output)
    scores *= scores.dtype.type(score_scale(z.shape[2]))
    scores += parameters.output_bias
    return Kept(z, rows, softmax(scores))


def backward(
    parameters: Parameters, inputs: Floats, kept: Kept, target: Floats, *, scale: Floats
) -> Parameters:
    """Slopes of the mean cross-entropy; through a hidden neuron as if it were tanh.

    Args:
        parameters, inputs, scale: as in ``forward``.
        kept: what it returned.
        target: one-hot classes, shape (solutions, samples, classes).
    """
    width = kept.z.shape[2]
    upstream = kept.p - target
    upstream /= upstream.dtype.type(upstream.shape[1])
    output_bias = upstream.sum(axis=1, keepdims=True)
    upstream *= upstream.dtype.type(score_scale(width))
    output = np.matmul(kept.rows.transpose(0, 2, 1), upstream)
    inner = np.matmul(upstream, parameters.output[:, :width].transpose(0, 2, 1))
    slope = np.tanh(kept.z)
    np.square(slope, out=slope)
    np.subtract(1, slope, out=slope)
    inner *= slope
    hidden_bias = inner.sum(axis=1, keepdims=True)
    hidden = np.matmul(inputs.transpose(0, 2, 1), inner)
    hidden *= scale
    return Parameters(hidden, hidden_bias, output, output_bias)


def softmax(scores: Floats) -> Floats:
    """Class probabilities, shape (..., classes)."""
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p


def sample_losses(p: Floats, target: Floats) -> Floats:
    """Cross-entropies (solutions, samples) of class probabilities against one-hot classes."""
    return -np.log(np.maximum(np.sum(p * target, axis=2), np.finfo(p.dtype).tiny))


def one_hot(labels: Labels, classes: int, dtype: Any = np.float64) -> Floats:
    """Classes as unit vectors, shape (..., classes)."""
    return np.eye(classes, dtype=dtype)[labels]
