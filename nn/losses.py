"""Losses with their gradients."""

from __future__ import annotations

import numpy as np

from nn.arrays import Floats, Labels


def squared_hinge(scores: Floats, labels: Labels) -> tuple[float, Floats]:
    """Mean squared hinge loss with targets +-1, and its gradient.

    Args:
        scores: shape (images, classes).
        labels: class of each image, shape (images,).

    Returns:
        The sum over classes of max(0, 1 - target * score)**2, mean over images, and its gradient with
        respect to the scores, shape (images, classes).
    """
    images = len(scores)
    targets = np.full_like(scores, -1)
    targets[np.arange(images), labels] = 1
    margin = np.maximum(1 - targets * scores, 0)
    gradient = margin * targets * scores.dtype.type(-2.0 / images)
    return float(np.sum(margin * margin, dtype=np.float64)) / images, gradient
