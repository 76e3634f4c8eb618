"""Tuning of the digital periphery on training data: gains and offsets, then thresholds and class scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Floats, Labels
from nn.passive_array.perceptrons import (
    Perceptrons,
    one_hot,
    output_rows,
    sample_losses,
    score_scale,
    softmax,
)
from nn.passive_array.reading import Measured, hidden_patterns

SWEEPS = 3  # over all hidden neurons; later ones change next to nothing
NEWTON_STEPS = 8
FINEST = 0.02  # of a weighted sum (1: one weight at full input): no sum is trusted more finely than that
RIDGE = 0.01  # pull of a class's gain and offset to where they start: the training part may be separable


@dataclass(frozen=True, eq=False)
class Periphery:
    """What is done to the arrays' sums off the array.

    Attributes:
        gain, offset: applied to the hidden neurons' sums, shape (solutions, hidden).
        threshold: at which a neuron fires, after gain and offset, shape (solutions, hidden).
        class_gain, class_offset: applied to the class sums, shape (solutions, classes).
        doubt: how far the sums, after gain and offset, are from software's on the training samples: root
            mean square, shape (solutions, hidden). No label has part in it.
    """

    gain: Floats
    offset: Floats
    threshold: Floats
    class_gain: Floats
    class_offset: Floats
    doubt: Floats


def untuned(networks: Perceptrons) -> Periphery:
    """The periphery that software would use: its thresholds and offsets, unit gain."""
    return Periphery(
        gain=np.ones_like(networks.threshold),
        offset=np.zeros_like(networks.threshold),
        threshold=networks.threshold,
        class_gain=np.ones_like(networks.offset),
        class_offset=networks.offset,
        doubt=np.zeros_like(networks.threshold),
    )


def hidden_bits(sums: Floats, periphery: Periphery) -> NDArray[np.bool_]:
    """Neurons that fire, shape (solutions, samples, hidden)."""
    corrected = periphery.gain[:, None] * sums + periphery.offset[:, None]
    return corrected >= periphery.threshold[:, None]


def pattern_numbers(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Numbers of hidden patterns, shape (solutions, samples)."""
    return bits @ (1 << np.arange(bits.shape[2], dtype=np.int64))


def look_up(scores: Floats, numbers: NDArray[np.int64]) -> Floats:
    """Class sums (solutions, samples, classes) of hidden patterns, from those of all patterns."""
    return np.take_along_axis(scores, numbers[:, :, None], axis=1)


def class_scores(sums: Floats, measured: Measured, periphery: Periphery) -> Floats:
    """Class scores of samples whose hidden sums are given, shape (solutions, samples, classes)."""
    found = look_up(measured.scores, pattern_numbers(hidden_bits(sums, periphery)))
    return periphery.class_gain[:, None] * found + periphery.class_offset[:, None]


def fit_columns(networks: Perceptrons, measured: Measured, train_inputs: Floats) -> Periphery:
    """Level 1: gain and offset of every column pair, by least squares against software's weighted sums.

    The second layer is fitted on the hidden patterns that the training samples give, against what software's
    weights make of the same patterns.
    """
    aim = networks.sums(train_inputs)
    gain, offset = _least_squares(measured.train, aim)
    left = gain[:, None] * measured.train + offset[:, None] - aim
    doubt = np.sqrt(np.mean(left**2, axis=1))
    start = replace(untuned(networks), gain=gain, offset=offset, doubt=doubt)
    numbers = pattern_numbers(hidden_bits(measured.train, start))
    driven = output_rows(hidden_patterns(networks.width))[numbers]
    wanted = np.matmul(driven, networks.output.astype(np.float64))
    class_gain, class_shift = _least_squares(look_up(measured.scores, numbers), wanted)
    return replace(start, class_gain=class_gain, class_offset=class_shift + networks.offset)


def _least_squares(found: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Gain and offset, shape (solutions, outputs), of the line through (solutions, samples, outputs)."""
    mean, aim = found.mean(axis=1), wanted.mean(axis=1)
    deviation = found - mean[:, None]
    power = np.sum(deviation**2, axis=1)
    # A column that says the same to every sample keeps its scale: its sum tells nothing of it.
    silent = power <= 1e-18 * (1 + np.sum(found**2, axis=1))
    slope = np.sum(deviation * (wanted - aim[:, None]), axis=1) / np.where(silent, 1.0, power)
    gain = np.where(silent, 1.0, slope)
    return gain, aim - gain * mean


def search_thresholds(
    start: Periphery, measured: Measured, train_labels: Labels, *, sweeps: int = SWEEPS
) -> Periphery:
    """Level 2: each hidden neuron's threshold searched, each class's gain and offset fitted, in turn.

    Both by the cross-entropy of the training samples. A threshold is tried between every two neighbouring
    sums of its neuron, the others held.

    Args:
        start: the periphery after level 1.
        measured: the arrays' sums; those of the test samples are not looked at.
        train_labels: classes, shape (solutions, samples).
        sweeps: over all hidden neurons.
    """
    target = one_hot(train_labels, measured.scores.shape[2])
    tuned = fit_classes(start, start, measured, target)
    for _ in range(sweeps):
        for neuron in range(measured.train.shape[2]):
            tuned = _search_one(tuned, measured, target, neuron)
        tuned = fit_classes(tuned, start, measured, target)
    return tuned


def _search_one(periphery: Periphery, measured: Measured, target: Floats, neuron: int) -> Periphery:
    """The threshold of one neuron with the least expected loss of the training samples.

    Expected over sums that are uncertain by the neuron's ``doubt``: a threshold that only just divides two
    samples would not hold for others.
    """
    from scipy.special import ndtr  # here, as it takes longer to import than NumPy

    sums = periphery.gain[:, None, neuron] * measured.train[:, :, neuron] + periphery.offset[:, None, neuron]
    bits = hidden_bits(measured.train, periphery)
    losses = []
    for fires in (False, True):
        bits[:, :, neuron] = fires
        found = look_up(measured.scores, pattern_numbers(bits))
        scores = periphery.class_gain[:, None] * found + periphery.class_offset[:, None]
        losses.append(sample_losses(softmax(score_scale(bits.shape[2]) * scores), target))
    ordered = np.sort(sums, axis=1)
    between = 0.5 * (ordered[:, 1:] + ordered[:, :-1])
    tried = np.concatenate([ordered[:, :1] - 1.0, between, ordered[:, -1:] + 1.0], axis=1)
    doubt = np.maximum(periphery.doubt[:, neuron], FINEST)[:, None, None]
    below = ndtr((tried[:, :, None] - sums[:, None, :]) / doubt)
    expected = np.matmul(below, (losses[0] - losses[1])[:, :, None])[:, :, 0]
    best = np.argmin(expected, axis=1)[:, None]
    threshold = periphery.threshold.copy()
    threshold[:, neuron] = np.take_along_axis(tried, best, axis=1)[:, 0]
    return replace(periphery, threshold=threshold)


def fit_classes(periphery: Periphery, start: Periphery, measured: Measured, target: Floats) -> Periphery:
    """Each class's gain and offset by cross-entropy on the training samples, not far from ``start``'s.

    Damped Newton steps on a convex function; a step that would raise it is not taken.
    """
    scale = score_scale(measured.train.shape[2])
    found = look_up(measured.scores, pattern_numbers(hidden_bits(measured.train, periphery)))
    features = scale * np.stack([found, np.ones_like(found)], axis=3)  # (..., classes, 2)
    anchor = np.stack([start.class_gain, start.class_offset], axis=2)
    now = np.stack([periphery.class_gain, periphery.class_offset], axis=2)
    damping = np.full(len(found), 1e-3)
    loss = _ridged_loss(now, anchor, features, target)
    for _ in range(NEWTON_STEPS):
        slopes, curvature = _newton(now, anchor, features, target)
        damped = curvature + damping[:, None, None] * np.eye(slopes.shape[1])
        step = np.linalg.solve(damped, slopes[:, :, None])[:, :, 0].reshape(now.shape)
        new_loss = _ridged_loss(now - step, anchor, features, target)
        better = new_loss <= loss
        now = np.where(better[:, None, None], now - step, now)
        loss = np.where(better, new_loss, loss)
        damping = np.where(better, damping / 10, damping * 10)
    return replace(periphery, class_gain=now[:, :, 0], class_offset=now[:, :, 1])


def _probabilities(now: Floats, features: Floats) -> Floats:
    """Class probabilities, from gains and offsets (solutions, classes, 2)."""
    return softmax(np.sum(features * now[:, None], axis=3))


def _ridged_loss(now: Floats, anchor: Floats, features: Floats, target: Floats) -> Floats:
    losses = sample_losses(_probabilities(now, features), target).mean(axis=1)
    return losses + 0.5 * RIDGE * np.sum((now - anchor) ** 2, axis=(1, 2))


def _newton(now: Floats, anchor: Floats, features: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Slopes (solutions, 2 classes) and curvature (solutions, 2 classes, 2 classes) of the ridged loss."""
    solutions, samples, classes, kinds = features.shape
    p = _probabilities(now, features)
    slopes = np.mean((p - target)[:, :, :, None] * features, axis=1) + RIDGE * (now - anchor)
    weighted = (p[:, :, :, None] * features).reshape(solutions, samples, -1)
    curvature = -np.matmul(weighted.transpose(0, 2, 1), weighted) / samples
    for each in range(classes):
        own, block = features[:, :, each], slice(kinds * each, kinds * (each + 1))
        curvature[:, block, block] += np.matmul((p[:, :, each, None] * own).transpose(0, 2, 1), own) / samples
    return slopes.reshape(solutions, -1), curvature + RIDGE * np.eye(classes * kinds)
