"""Forward and backward through arrays of pairs: sigmoid units, logistic loss, converters, read noise.

The loss is the cross-entropy of every output unit with its target, 0 or 1, so that an output's error is
unit - target. (With half the squared difference, the error has another factor unit * (1 - unit), and learning
starts on a plateau that only small batches leave.)

The inputs of a layer are pulses whose widths span 0 .. 1 in steps of the converter; the noise of a read lasts
as long as the read, so that of independent devices adds up to a normal error of each sum with variance
sum_i x_i^2 s_i^2: drawn there, it has the distribution that drawing it in every device would give. A column
longer than a tile is read in parts, each converted by itself; the parts are added as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nn.arrays import Float32s

NEAR_ONE = np.float32(1 - 1e-6)  # an error of one has no finite loss


@dataclass(frozen=True, kw_only=True)
class Converters:
    """Quantisation of what goes into and comes out of an array.

    Attributes:
        input_bits: of hidden activations in [0, 1]; signed inputs have one bit fewer for their size.
        output_bits: of outputs, of both signs.
        forward, backward: outputs within +- this are told apart, larger ones cut.
        tile: inputs that one conversion sums; the parts of a longer column are converted apart and added.
    """

    input_bits: int
    output_bits: int
    forward: float
    backward: float
    tile: int


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer's weights, the last row of inputs being the constant one of the biases.

    Attributes:
        weights: shape (inputs, outputs).
        noise: variance of one read of each weight; None where reads have none.
    """

    weights: Float32s
    noise: Float32s | None


def shapes_of(inputs: int, hidden: Sequence[int], classes: int) -> tuple[tuple[int, int], ...]:
    """Inputs, the constant one included, and outputs of each layer."""
    widths = (inputs, *hidden, classes)
    return tuple((before + 1, after) for before, after in pairwise(widths))


def views(flat: Float32s, shapes: Sequence[tuple[int, int]]) -> tuple[Float32s, ...]:
    """The layers' parts of a flat array over all weights, shape (inputs, outputs) each."""
    found, begin = [], 0
    for inputs, outputs in shapes:
        found.append(flat[begin : begin + inputs * outputs].reshape(inputs, outputs))
        begin += inputs * outputs
    return tuple(found)


def layers_of(
    weights: Float32s, noise: Float32s | None, shapes: Sequence[tuple[int, int]]
) -> tuple[Layer, ...]:
    """The layers as views of flat arrays."""
    noises = (None,) * len(shapes) if noise is None else views(noise, shapes)
    return tuple(map(Layer, views(weights, shapes), noises))


class Pass:
    """One batch through the network and back, in arrays made once.

    Attributes:
        inputs: of each layer as the array sees them, shape (images, inputs), the last column one.
        deltas: derivative of each image's loss by each layer's weighted sums, shape (images, outputs).
        errors: the deltas of layers 2 and up as the transposed arrays see them.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        images: int,
        converters: Converters | None,
        rng: np.random.Generator,
    ) -> None:
        self.layers, self.converters, self.rng = layers, converters, rng
        shapes = [layer.weights.shape for layer in layers]
        self.inputs = [np.ones((images, inputs), np.float32) for inputs, _ in shapes]
        self.deltas = [np.empty((images, outputs), np.float32) for _, outputs in shapes]
        self.errors = [np.empty((images, outputs), np.float32) for _, outputs in shapes]
        self._units = [np.empty((images, outputs), np.float32) for _, outputs in shapes]
        self._kept: dict[tuple[int, ...], Float32s] = {}
        self._back = [np.empty((images, inputs - 1), np.float32) for inputs, _ in shapes]

    def forward(self) -> Float32s:
        """The output units, shape (images, classes), of what was put in ``inputs[0][:, :-1]``."""
        from scipy.special import expit  # here, as it takes longer to import than NumPy

        last = len(self.layers) - 1
        for number, (layer, x, y) in enumerate(zip(self.layers, self.inputs, self._units, strict=True)):
            reach = self.converters.forward if self.converters else None
            self._read(x, layer.weights, layer.noise, reach, out=y)
            expit(y, out=y)
            if number < last:
                following = self.inputs[number + 1][:, :-1]
                if self.converters is None:
                    following[:] = y
                else:
                    convert_inputs(y, self.converters.input_bits, out=following)
        return self._units[last]

    def backward(self, labels: np.ndarray) -> float:
        """Fill ``deltas``; returns the loss, summed over classes, mean over images."""
        y, delta = self._units[-1], self.deltas[-1]
        np.copyto(delta, y)
        delta[np.arange(len(labels)), labels] -= 1
        loss = -float(np.log1p(-np.minimum(np.abs(delta), NEAR_ONE)).sum()) / len(labels)
        for number in range(len(self.layers) - 1, 0, -1):
            back, h = self._transposed(number), self._units[number - 1]
            delta = self.deltas[number - 1]
            np.subtract(1, h, out=delta)
            delta *= h
            delta *= back
        return loss

    def _transposed(self, number: int) -> Float32s:
        """A layer's deltas through its transposed array, biases left out, shape (images, inputs - 1)."""
        layer, delta, seen = self.layers[number], self.deltas[number], self.errors[number]
        back, scale = self._back[number], None
        if self.converters is None:
            seen[:] = delta
        else:
            scale = np.abs(delta).max(axis=1, keepdims=True)
            scale[scale == 0] = 1
            np.divide(delta, scale, out=seen)
            convert_signed(seen, self.converters.input_bits)
        noise = None if layer.noise is None else layer.noise[:-1].T
        reach = self.converters.backward if self.converters else None
        self._read(seen, layer.weights[:-1].T, noise, reach, out=back)
        if scale is not None:
            back *= scale
        return back

    def _read(
        self, x: Float32s, weights: Float32s, noise: Float32s | None, reach: float | None, *, out: Float32s
    ) -> None:
        """Sums of x (images, inputs) times weights (inputs, outputs) as they are read, tile by tile, into
        ``out``: each tile's with the noise of its own devices and a conversion of its own."""
        inputs = x.shape[1]
        tile = inputs if self.converters is None else self.converters.tile
        begins = range(0, inputs, tile)
        parts = self._parts(len(begins), out)
        for part, begin in zip(parts, begins, strict=True):
            np.matmul(x[:, begin : begin + tile], weights[begin : begin + tile], out=part)
        if noise is not None:
            squares = x * x
            spread: Float32s = np.stack([squares[:, b : b + tile] @ noise[b : b + tile] for b in begins])
            self._disturb(parts, spread)
        if self.converters is not None and reach is not None:
            convert_outputs(parts, self.converters.output_bits, reach)
        if len(begins) > 1:
            np.sum(parts, axis=0, out=out)

    def _parts(self, tiles: int, out: Float32s) -> Float32s:
        """Room for each tile's sums, shape (tiles, images, outputs); ``out`` itself where there is one."""
        if tiles == 1:
            return out[np.newaxis]
        shape = (tiles, *out.shape)
        if shape not in self._kept:
            self._kept[shape] = np.empty(shape, np.float32)
        return self._kept[shape]

    def _disturb(self, y: Float32s, variance: Float32s) -> None:
        draws = self.rng.standard_normal(y.shape, dtype=np.float32)
        np.sqrt(variance, out=variance)
        draws *= variance
        y += draws


def convert_outputs(y: Float32s, bits: int, reach: float) -> None:
    """Round to the ADC's 2**bits - 1 levels within +-``reach``, zero among them, in place."""
    most = 2 ** (bits - 1) - 1
    y *= np.float32(most / reach)
    np.rint(y, out=y)
    np.minimum(np.maximum(y, np.float32(-most), out=y), np.float32(most), out=y)
    y *= np.float32(reach / most)


def convert_inputs(x: Float32s, bits: int, *, out: Float32s) -> None:
    """Round numbers in [0, 1] to the DAC's 2**bits levels."""
    most = np.float32(2**bits - 1)
    np.multiply(x, most, out=out)
    np.rint(out, out=out)
    out *= 1 / most


def convert_signed(x: Float32s, bits: int) -> None:
    """Round numbers in [-1, 1] to a sign and the DAC's levels, in place."""
    most = np.float32(2 ** (bits - 1) - 1)
    x *= most
    np.rint(x, out=x)
    x *= 1 / most
