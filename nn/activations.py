"""Activations, each with its derivative (or surrogate) beside it; elementwise, any shape."""

from __future__ import annotations

import numpy as np

from nn.arrays import Floats


def ternary(x: Floats, *, window: float) -> Floats:
    """The ternary activation: sign(x) outside the zero window, 0 where |x| <= ``window``."""
    return (x > window).astype(x.dtype) - (x < -window).astype(x.dtype)


def ternary_derivative(x: Floats, *, window: float, half_width: float) -> Floats:
    """Its surrogate derivative: rectangles of area 1 around the two steps at +-``window``.

    1 / (2 ``half_width``) where | |x| - ``window`` | < ``half_width``, else 0. Source: Deng et al.,
    arXiv 1705.09283.
    """
    inside = np.abs(np.abs(x) - x.dtype.type(window)) < half_width
    return inside.astype(x.dtype) * x.dtype.type(0.5 / half_width)


def relu(x: Floats) -> Floats:
    """The rectifier, max(x, 0)."""
    return np.maximum(x, 0)


def relu_derivative(x: Floats) -> Floats:
    """1 where x > 0, else 0."""
    return (x > 0).astype(x.dtype)
