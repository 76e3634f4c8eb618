"""Splits: every solution's own training and test part of a data set, scaled to its array's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s, Labels
from nn.data import LOADERS
from nn.passive_array.seeds import Stream, generator
from spicebridge.errors import SpicebridgeError

CLIP = 2.5  # standard deviations of a feature that drive a row to its full voltage


@dataclass(frozen=True, eq=False)
class Splits:
    """Training and test parts of one data set, one pair for each solution.

    Attributes:
        seeds: one a solution.
        train_inputs, test_inputs: row values in [-1, 1], shape (solutions, samples, rows); the last rows are
            constant.
        train_labels, test_labels: classes, shape (solutions, samples).
        train, test: which samples of the data set, shape (solutions, samples).
        classes: how many there are.
    """

    seeds: tuple[int, ...]
    train_inputs: Float32s
    train_labels: Labels
    test_inputs: Float32s
    test_labels: Labels
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    classes: int

    def part(self, which: slice) -> Splits:
        """Those of some solutions."""
        return Splits(
            self.seeds[which],
            self.train_inputs[which],
            self.train_labels[which],
            self.test_inputs[which],
            self.test_labels[which],
            self.train[which],
            self.test[which],
            self.classes,
        )


def wine() -> tuple[NDArray[np.float64], Labels]:
    """The Wine data: features, shape (178, 13), and classes, shape (178,)."""
    raw = LOADERS["wine"](None)
    return raw.images.astype(np.float64), raw.labels


def draw_splits(
    features: NDArray[Any],
    labels: Labels,
    *,
    seeds: Sequence[int],
    train: int = 135,
    test: int = 43,
    constant_rows: int = 2,
) -> Splits:
    """A fresh stratified split for each seed, scaled by its own training part alone.

    A feature becomes its z-score over 2.5, clipped to [-1, 1]: the row's voltage as a share of the read
    voltage. Constant rows stand at 1.

    Args:
        features: shape (samples, features).
        labels: shape (samples,), classes 0 .. n-1.
        seeds: one a solution, all different.
        train, test: sizes of the two parts; together no more than there are samples.
        constant_rows: rows beside the features.

    Raises:
        SpicebridgeError: seeds that repeat, or parts larger than the data.
    """
    if len(set(seeds)) != len(seeds) or not seeds:
        raise SpicebridgeError("a solution's seed is its name: give at least one, and none twice.")
    if train < 1 or test < 1 or train + test > len(labels):
        raise SpicebridgeError(
            f"{len(labels)} samples cannot be split into {train} for training and {test} for testing."
        )
    parts = [_stratified(labels, (train, test), generator(seed, Stream.SPLIT)) for seed in seeds]
    chosen, held = (np.stack([part[which] for part in parts]) for which in (0, 1))
    of_training = features[chosen]
    mean = of_training.mean(axis=1, keepdims=True)
    deviation = of_training.std(axis=1, keepdims=True)
    deviation = np.where(deviation > 0, deviation, 1.0)

    def scaled(raw: NDArray[Any]) -> Float32s:
        values = np.clip((raw - mean) / deviation / CLIP, -1.0, 1.0)
        constant = np.ones((*raw.shape[:2], constant_rows))
        return np.concatenate([values, constant], axis=2).astype(np.float32)

    return Splits(
        seeds=tuple(int(seed) for seed in seeds),
        train_inputs=scaled(of_training),
        train_labels=labels[chosen],
        test_inputs=scaled(features[held]),
        test_labels=labels[held],
        train=chosen,
        test=held,
        classes=int(labels.max()) + 1,
    )


def _stratified(
    labels: Labels, sizes: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted samples of the two parts, each with the classes' shares."""
    shuffled = [rng.permutation(np.flatnonzero(labels == each)) for each in range(int(labels.max()) + 1)]
    counts = np.array([len(each) for each in shuffled])
    test = _shares(counts, sizes[1])
    train = _shares(counts - test, sizes[0])
    held = np.concatenate([each[:some] for each, some in zip(shuffled, test, strict=True)])
    chosen = np.concatenate(
        [each[skip : skip + some] for each, skip, some in zip(shuffled, test, train, strict=True)]
    )
    return np.sort(chosen), np.sort(held)


def _shares(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many of each class make up ``size``, by largest remainder."""
    share = counts * (size / counts.sum())
    take = np.floor(share).astype(np.int64)
    take[np.argsort(take - share, kind="stable")[: size - int(take.sum())]] += 1
    return take
