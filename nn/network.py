"""The multilayer perceptron: dense - batch norm - activation, the last layer without an activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

import numpy as np

from nn import activations, layers
from nn.arrays import Float32s, Floats
from nn.layers import Normalised
from nn.synapse import Synapses


class Read(Protocol):
    """What an array of synapses makes of its inputs, where that is not the ideal product."""

    def __call__(self, x: Float32s, synapses: Synapses, /, *, first: bool) -> Float32s:
        """Column sums, shape (images, outputs), of inputs (images, inputs); ``first``: of the first layer."""
        ...


class Elementwise(Protocol):
    """A function of an array that keeps its shape."""

    def __call__(self, x: Floats, /) -> Floats:
        """The function's values."""
        ...


@dataclass(frozen=True)
class Activation:
    """A hidden layer's activation and the derivative its gradient uses."""

    forward: Elementwise
    derivative: Elementwise


def ternary_activation(*, window: float, half_width: float) -> Activation:
    """The ternary activation with its rectangular surrogate derivative."""
    return Activation(
        partial(activations.ternary, window=window),
        partial(activations.ternary_derivative, window=window, half_width=half_width),
    )


RELU = Activation(activations.relu, activations.relu_derivative)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer's parameters, moved in place.

    Attributes:
        synapses: weights, shape (inputs, outputs).
        scale, shift: batch norm's parameters, shape (outputs,).
        mean, variance: the statistics it uses at test time, shape (outputs,).
    """

    synapses: Synapses
    scale: Float32s
    shift: Float32s
    mean: Float32s
    variance: Float32s


@dataclass(frozen=True, eq=False)
class Kept:
    """What one layer keeps of a forward pass for its gradient.

    Attributes:
        x: the layer's input, shape (images, inputs).
        weights: as float32, shape (inputs, outputs).
        normalised: batch norm's own.
        y: batch norm's output, shape (images, outputs).
    """

    x: Float32s
    weights: Float32s
    normalised: Normalised
    y: Floats


def build(
    widths: Sequence[int],
    *,
    ternary: bool,
    strong_zero: bool,
    rng: np.random.Generator,
    factors: Callable[[tuple[int, int]], Float32s] | None = None,
) -> tuple[Layer, ...]:
    """Fresh layers from inputs through hidden widths to classes.

    ``factors`` draws how readily the MTJs of an array of a shape switch; None for all alike.

    Ternary weights start uniformly over {-1, 0, 1}; floating-point ones uniformly with variance 2 / inputs
    (He et al., arXiv 1502.01852).
    """
    made = []
    for inputs, outputs in pairwise(widths):
        if ternary:
            weights = rng.integers(-1, 2, (inputs, outputs), dtype=np.int8)
        else:
            bound = np.sqrt(6.0 / inputs)
            weights = rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32)
        made.append(
            Layer(
                synapses=Synapses(
                    weights,
                    np.full((inputs, outputs), strong_zero),
                    factors((inputs, outputs)) if factors else None,
                ),
                scale=np.ones(outputs, np.float32),
                shift=np.zeros(outputs, np.float32),
                mean=np.zeros(outputs, np.float32),
                variance=np.ones(outputs, np.float32),
            )
        )
    return tuple(made)


def forward(
    network: Sequence[Layer], x: Float32s, activation: Activation, read: Read | None = None
) -> tuple[Floats, list[Kept]]:
    """Scores (images, classes) with the batch's own statistics, and what the gradient needs.

    ``read`` gives the column sums; None for the ideal product. Gradients are the ideal product's in both
    cases: they go straight through converters and currents.
    """
    kept: list[Kept] = []
    for layer in network:
        if kept:
            x = activation.forward(kept[-1].y)
        weights = layer.synapses.weights.astype(np.float32)
        sums = layers.dense(x, weights) if read is None else read(x, layer.synapses, first=not kept)
        y, normalised = layers.batch_norm(sums, layer.scale, layer.shift)
        kept.append(Kept(x, weights, normalised, y))
    return kept[-1].y, kept


@dataclass(frozen=True, eq=False)
class Gradients:
    """Loss gradients of one layer: weights (inputs, outputs), scale and shift (outputs,)."""

    weights: Floats
    scale: Floats
    shift: Floats


def backward(kept: Sequence[Kept], gradient: Floats, activation: Activation) -> list[Gradients]:
    """Gradients of every layer, first to last, from the scores' gradient (images, classes)."""
    found: list[Gradients] = []
    for number in range(len(kept) - 1, -1, -1):
        each = kept[number]
        gradient, scale, shift = layers.batch_norm_gradient(each.normalised, gradient)
        found.append(Gradients(layers.dense_weight_gradient(each.x, gradient), scale, shift))
        if number:
            gradient = layers.dense_input_gradient(each.weights, gradient)
            gradient = gradient * activation.derivative(kept[number - 1].y)
    return found[::-1]


def calibrate(
    network: Sequence[Layer], x: Float32s, activation: Activation, read: Read | None = None
) -> None:
    """Take batch norm's statistics from images (images, inputs), layer after layer."""
    for layer in network:
        sums = _sums(layer, x, read, first=layer is network[0])
        layer.mean[:] = sums.mean(axis=0)
        layer.variance[:] = sums.var(axis=0)
        x = activation.forward(_normalised(layer, sums))


def predict(
    network: Sequence[Layer], x: Float32s, activation: Activation, read: Read | None = None
) -> tuple[Floats, list[Float32s]]:
    """Scores (images, classes) with the recorded statistics, and every layer's input."""
    inputs = [x]
    for layer in network[:-1]:
        sums = _sums(layer, inputs[-1], read, first=layer is network[0])
        inputs.append(activation.forward(_normalised(layer, sums)))
    last = network[-1]
    return _normalised(last, _sums(last, inputs[-1], read, first=len(network) == 1)), inputs


def _sums(layer: Layer, x: Float32s, read: Read | None, *, first: bool) -> Floats:
    if read is None:
        return layers.dense(x, layer.synapses.weights.astype(np.float32))
    return read(x, layer.synapses, first=first)


def _normalised(layer: Layer, sums: Floats) -> Floats:
    return layers.batch_norm_at(
        sums, mean=layer.mean, variance=layer.variance, scale=layer.scale, shift=layer.shift
    )
