"""Layers as functions, each gradient beside its forward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn.arrays import Floats

EPSILON = 1e-4
"""Added to a batch's variance before its root. Source: the authors' GXNOR code (AcrossV/Gated-XNOR)."""


def dense(x: Floats, weights: Floats) -> Floats:
    """Column sums of a synapse array: (images, inputs) times (inputs, outputs)."""
    return x @ weights


def dense_weight_gradient(x: Floats, gradient: Floats) -> Floats:
    """Gradient with respect to the weights, shape (inputs, outputs)."""
    return x.T @ gradient


def dense_input_gradient(weights: Floats, gradient: Floats) -> Floats:
    """Gradient with respect to the inputs, shape (images, inputs)."""
    return gradient @ weights.T


@dataclass(frozen=True, eq=False)
class Normalised:
    """What batch normalisation keeps for its gradient.

    Attributes:
        centred: normalised input before scale and shift, shape (images, outputs).
        inverse_deviation: one over the batch's standard deviation, shape (outputs,).
        scale: shape (outputs,).
    """

    centred: Floats
    inverse_deviation: Floats
    scale: Floats


def batch_norm(x: Floats, scale: Floats, shift: Floats) -> tuple[Floats, Normalised]:
    """Batch normalisation over images with the batch's own statistics, x of shape (images, outputs)."""
    mean = x.mean(axis=0)
    centred = x - mean
    inverse_deviation = 1 / np.sqrt(np.mean(centred * centred, axis=0) + x.dtype.type(EPSILON))
    centred *= inverse_deviation
    return centred * scale + shift, Normalised(centred, inverse_deviation, scale)


def batch_norm_gradient(kept: Normalised, gradient: Floats) -> tuple[Floats, Floats, Floats]:
    """Gradients with respect to input (images, outputs), scale (outputs,) and shift (outputs,)."""
    shift = gradient.sum(axis=0)
    scale = np.sum(gradient * kept.centred, axis=0)
    images = gradient.dtype.type(len(gradient))
    inner = gradient - shift / images - kept.centred * (scale / images)
    return inner * (kept.scale * kept.inverse_deviation), scale, shift


def batch_norm_at(x: Floats, *, mean: Floats, variance: Floats, scale: Floats, shift: Floats) -> Floats:
    """Batch normalisation with recorded statistics, as at test time: one multiply and one add an output."""
    factor = scale / np.sqrt(variance + x.dtype.type(EPSILON))
    return x * factor + (shift - mean * factor)
