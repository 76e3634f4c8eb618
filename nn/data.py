"""Data sets as bit-serial inputs: levels of a few bits, labels, a stated split and a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.arrays import Float32s, Labels, Levels
from nn.mnist import Parts, load_fashion_mnist, load_mnist
from spicebridge.errors import SpicebridgeError


@dataclass(frozen=True)
class Split:
    """How images are divided.

    Attributes:
        train: images to train on.
        test: images to test on.
        seed: seed of the stratified choice; a data set with a split of its own takes its first images
            instead.
    """

    train: int
    test: int
    seed: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images as the array sees them.

    Attributes:
        name: one of ``LOADERS``.
        bits: bits an input is read in, one plane each.
        train_levels, test_levels: inputs, shape (images, inputs), whole numbers 0 .. 2**bits - 1.
        train_labels, test_labels: classes, shape (images,).
        classes: how many there are.
        checksum: SHA-256 of the levels and labels above.
        split: in words, where the two parts come from.
    """

    name: str
    bits: int
    train_levels: Levels
    train_labels: Labels
    test_levels: Levels
    test_labels: Labels
    classes: int
    split: str

    @property
    def inputs(self) -> int:
        """Inputs of one image."""
        return int(self.train_levels.shape[1])

    @property
    def checksum(self) -> str:
        """SHA-256 of the images and labels, in order."""
        content = hashlib.sha256()
        for part in (self.train_levels, self.train_labels, self.test_levels, self.test_labels):
            content.update(f"{part.shape}".encode())
            content.update(np.ascontiguousarray(part).astype("<i8").tobytes())
        return content.hexdigest()

    def values(self, levels: Levels) -> Float32s:
        """Levels as numbers in [0, 1], what the shift-and-add of the bit planes amounts to."""
        return levels.astype(np.float32) / np.float32(2**self.bits - 1)


@dataclass(frozen=True, eq=False)
class _Raw:
    """Images before the split.

    ``scale`` is the top of their range (none: each feature's own), ``own`` how many of them, from the start,
    the publishers train on (none: no split of theirs).
    """

    images: NDArray[Any]
    labels: Labels
    scale: float | None
    own: int | None


def _digits(_folder: Path | None) -> _Raw:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return _Raw(images, labels.astype(np.int64), 16.0, None)


def _wine(_folder: Path | None) -> _Raw:
    from sklearn.datasets import load_wine

    images, labels = load_wine(return_X_y=True)
    return _Raw(images, labels.astype(np.int64), None, None)


def _mnist(folder: Path | None) -> _Raw:
    return _with_own_split(load_mnist(folder))


def _fashion_mnist(folder: Path | None) -> _Raw:
    return _with_own_split(load_fashion_mnist(folder))


def _with_own_split(parts: Parts) -> _Raw:
    train_images, train_labels, test_images, test_labels = parts
    images = np.concatenate([train_images, test_images]).reshape(-1, 784)
    labels = np.concatenate([train_labels, test_labels]).astype(np.int64)
    return _Raw(images, labels, 255.0, len(train_labels))


LOADERS: dict[str, Callable[[Path | None], _Raw]] = {
    "digits": _digits,
    "wine": _wine,
    "mnist": _mnist,
    "fashion_mnist": _fashion_mnist,
}


def load_dataset(
    name: str, *, bits: int, split: Split, evaluate_on: str = "test", folder: Path | None = None
) -> Dataset:
    """A data set, split and quantised.

    Args:
        name: one of ``LOADERS``.
        bits: bits an input is quantised to. Pixels span their full range; the wine features span the training
            images' own, and test values beyond it are clipped.
        split: sizes and seed. Digits and wine (scikit-learn) are drawn stratified by class.
        evaluate_on: ``test``, or ``validation`` to hold out part of the training images (as many as there are
            test images, a sixth at most) and leave the test images alone: settings are chosen on that.
        folder: where the files of ``mnist`` and ``fashion_mnist`` lie; see ``nn.mnist.load_mnist``.

    Raises:
        SpicebridgeError: an unknown name, or a split the data set cannot give.
    """
    if name not in LOADERS:
        raise SpicebridgeError(f"there is no data set {name!r}. There are: {', '.join(LOADERS)}.")
    raw = LOADERS[name](folder)
    train, test, words = _choose(raw, name, split)
    if evaluate_on == "validation":
        held = min(split.test, split.train // 6)
        kept, chosen = _stratified(raw.labels[train], held, split.seed + 1)
        train, test = train[kept], train[chosen]
        words += f"; {held} of the training images held out for validation, test images unused"
    elif evaluate_on != "test":
        raise SpicebridgeError(f"evaluate_on = {evaluate_on!r} is none of: test, validation.")
    levels = _quantise(raw, train, bits)
    return Dataset(
        name=name,
        bits=bits,
        train_levels=levels[train],
        train_labels=raw.labels[train],
        test_levels=levels[test],
        test_labels=raw.labels[test],
        classes=int(raw.labels.max()) + 1,
        split=words,
    )


def _choose(raw: _Raw, name: str, split: Split) -> tuple[NDArray[np.intp], NDArray[np.intp], str]:
    total = len(raw.labels)
    train_most = raw.own if raw.own is not None else total
    test_most = total - (raw.own if raw.own is not None else split.train)
    if not (0 < split.train <= train_most and 0 < split.test <= test_most):
        raise SpicebridgeError(
            f"data set {name} has {total} images and cannot be split into {split.train} for training and "
            f"{split.test} for testing"
            + (f" (its publishers train on {raw.own})." if raw.own is not None else ".")
        )
    if raw.own is not None:
        words = f"publishers' own: first {split.train} training and first {split.test} test images"
        return np.arange(split.train), raw.own + np.arange(split.test), words
    rest, test = _stratified(raw.labels, split.test, split.seed)
    train = rest
    if len(rest) > split.train:
        _, chosen = _stratified(raw.labels[rest], split.train, split.seed + 2)
        train = rest[chosen]
    return train, test, f"{split.train} training and {split.test} test images, stratified, seed {split.seed}"


def _stratified(labels: Labels, size: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the rest and of ``size`` images with the classes' shares, by largest remainder."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels)
    share = counts * (size / len(labels))
    take = np.floor(share).astype(int)
    take[np.argsort(take - share, kind="stable")[: size - take.sum()]] += 1
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(labels == each))[:some] for each, some in enumerate(take)]
    )
    return np.setdiff1d(np.arange(len(labels)), chosen), np.sort(chosen)


def _quantise(raw: _Raw, train: NDArray[np.intp], bits: int) -> Levels:
    if not 1 <= bits <= 8:
        raise SpicebridgeError(f"input_bits = {bits} must lie in 1 .. 8.")
    top = 2**bits - 1
    if raw.images.dtype == np.uint8 and raw.scale is not None:  # a look-up spares a large float copy
        lookup = np.rint(np.arange(256) * (top / raw.scale)).astype(np.uint8)
        return np.take(lookup, raw.images)
    if raw.scale is not None:
        unit = raw.images / raw.scale
    else:
        low, high = raw.images[train].min(axis=0), raw.images[train].max(axis=0)
        unit = np.clip((raw.images - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    return np.asarray(np.rint(unit * top), dtype=np.uint8)
