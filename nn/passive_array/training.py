"""Training of binary perceptrons: straight-through gradients and Adam, all solutions at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from nn.arrays import Float32s, Floats
from nn.passive_array.perceptrons import (
    Parameters,
    Perceptrons,
    backward,
    forward,
    one_hot,
    sample_losses,
    score_scale,
    sign,
)
from nn.passive_array.seeds import Stream, generator
from nn.passive_array.splits import Splits
from spicebridge.errors import SpicebridgeError

EPSILON = 1e-8  # Adam's, against division by zero


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How networks are trained.

    Attributes:
        hidden: hidden neurons.
        epochs: passes over the training part.
        batch: samples a step, about; an epoch is cut into equal steps.
        rate: Adam's at the start, falling to zero along a cosine.
        beta1, beta2: Adam's decays.
        unsettled: share of the epochs before the first snapshot.
        flips: probability that a weight enters a step with the other sign, for hardware-aware training.
        noise: standard deviation of what is added to each weight in each step, in units of the weight.
    """

    hidden: int = 7
    epochs: int = 300
    batch: int = 32
    rate: float = 0.03
    beta1: float = 0.9
    beta2: float = 0.99
    unsettled: float = 1 / 3
    flips: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.epochs < 1 or self.batch < 1:
            raise SpicebridgeError(
                f"hidden = {self.hidden}, epochs = {self.epochs}, batch = {self.batch} must all be 1 or more."
            )
        if not (0 <= self.flips < 0.5 and self.noise >= 0 and 0 <= self.unsettled < 1):
            raise SpicebridgeError(
                f"flips = {self.flips:g} must lie in [0, 0.5), noise = {self.noise:g} be 0 or more, and "
                f"unsettled = {self.unsettled:g} lie in [0, 1)."
            )


@dataclass(frozen=True, eq=False)
class Trained:
    """Trained networks.

    Attributes:
        networks: the binarised weights and the thresholds.
        loss: their mean cross-entropy on the training part, shape (solutions,).
        epoch: after which epoch each was taken, counted from 1, shape (solutions,).
    """

    networks: Perceptrons
    loss: Floats
    epoch: np.ndarray[tuple[int], np.dtype[np.int64]]


class _Store:
    """All parameters of all solutions in one flat array, so that Adam is a few long operations.

    ``shadow`` is real-valued; ``weights`` of its entries, from the start, are binarised in the forward pass.
    """

    def __init__(self, solutions: int, rows: int, hidden: int, classes: int) -> None:
        self.shapes = (
            (solutions, rows, hidden),
            (solutions, hidden + 1, classes),
            (solutions, 1, hidden),
            (solutions, 1, classes),
        )
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.ends = np.cumsum(sizes)
        self.weights = int(self.ends[1])
        self.shadow = np.zeros(int(self.ends[-1]), np.float32)

    def views(self, flat: Float32s) -> Parameters:
        """The flat array's parts in their shapes."""
        parts = np.split(flat, self.ends[:-1])
        hidden, output, hidden_bias, output_bias = (
            part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)
        )
        return Parameters(hidden, hidden_bias, output, output_bias)

    def effective(self) -> Float32s:
        """What the forward pass uses: weights binarised, biases as they are."""
        flat = self.shadow.copy()
        flat[: self.weights] = sign(flat[: self.weights])
        return flat


def train(splits: Splits, recipe: Recipe) -> Trained:
    """Train one network for each solution of the splits.

    A solution's network depends on its own seed and split only, not on which others are trained with it.

    Args:
        splits: the data.
        recipe: how.
    """
    with threadpool_limits(1):  # thousands of tiny products: a second thread only waits
        return _train(splits, recipe)


def _train(splits: Splits, recipe: Recipe) -> Trained:
    inputs, target = splits.train_inputs, one_hot(splits.train_labels, splits.classes, np.float32)
    solutions, samples, rows = inputs.shape
    scale = hidden_scale(inputs)
    store = _Store(solutions, rows, recipe.hidden, splits.classes)
    _start(store, splits.seeds)
    orders = [generator(seed, Stream.ORDER) for seed in splits.seeds]
    noises = [generator(seed, Stream.TRAINING_NOISE) for seed in splits.seeds]
    steps = -(-samples // recipe.batch)
    bounds = np.linspace(0, samples, steps + 1).round().astype(int)
    adam = _Adam(store.shadow.size, recipe, total=steps * recipe.epochs)
    best = _Snapshots(store, solutions)
    every = np.arange(solutions)[:, None]
    for epoch in range(1, recipe.epochs + 1):
        order = np.stack([rng.permutation(samples) for rng in orders])
        shuffled, wanted = inputs[every, order], target[every, order]
        disturbances = _disturbances(store, noises, recipe, steps)
        for begin, end in pairwise(bounds):
            flat = next(disturbances)
            used, x = store.views(flat), shuffled[:, begin:end]
            kept = forward(used, x, scale=scale)
            slopes = backward(used, x, kept, wanted[:, begin:end], scale=scale)
            parts = (slopes.hidden, slopes.output, slopes.hidden_bias, slopes.output_bias)
            adam.step(store.shadow, np.concatenate([part.reshape(-1) for part in parts]))
            np.clip(store.shadow[: store.weights], -1, 1, out=store.shadow[: store.weights])
        if epoch > recipe.unsettled * recipe.epochs:
            flat = store.effective()
            p = forward(store.views(flat), inputs, scale=scale).p
            best.offer(flat, sample_losses(p, target).mean(axis=1), epoch)
    return Trained(_as_written(store.views(best.flat), scale), best.loss, best.epoch)


def hidden_scale(inputs: Floats) -> Floats:
    """What brings the hidden sums of random weights to unit size, shape (solutions, 1, 1)."""
    power = np.mean(np.square(inputs), axis=(1, 2), keepdims=True)
    return 1 / np.sqrt(power * inputs.dtype.type(inputs.shape[2]))


def _start(store: _Store, seeds: tuple[int, ...]) -> None:
    views = store.views(store.shadow)
    for number, seed in enumerate(seeds):
        rng = generator(seed, Stream.START)
        for part in (views.hidden, views.output):
            part[number] = rng.uniform(-0.5, 0.5, part.shape[1:])


def _disturbances(
    store: _Store, noises: list[np.random.Generator], recipe: Recipe, steps: int
) -> Iterator[Float32s]:
    """The parameters each step of an epoch sees: binarised, then flipped and blurred as asked."""
    shapes = store.shapes[:2]
    per_solution = sum(int(np.prod(shape[1:])) for shape in shapes)
    drawn = (steps, per_solution)
    flips = np.stack([rng.random(drawn, np.float32) for rng in noises]) if recipe.flips else None
    blurs = np.stack([rng.standard_normal(drawn, np.float32) for rng in noises]) if recipe.noise else None

    def spread(step: Float32s) -> Float32s:
        """One step's draws (solutions, weights) in the store's order."""
        cut = int(np.prod(shapes[0][1:]))
        return np.concatenate([step[:, :cut].reshape(-1), step[:, cut:].reshape(-1)])

    for step in range(steps):
        flat = store.effective()
        if flips is not None:
            flat[: store.weights] *= np.where(spread(flips[:, step]) < recipe.flips, -1, 1)
        if blurs is not None:
            flat[: store.weights] += np.float32(recipe.noise) * spread(blurs[:, step])
        yield flat


class _Adam:
    """Adam with a cosine fall of its rate; the state of one flat array."""

    def __init__(self, size: int, recipe: Recipe, *, total: int) -> None:
        self.recipe, self.total, self.taken = recipe, total, 0
        self.mean, self.square = np.zeros(size, np.float32), np.zeros(size, np.float32)

    def step(self, shadow: Float32s, slopes: Float32s) -> None:
        """Move ``shadow`` against ``slopes``, which is used up."""
        recipe = self.recipe
        rate = recipe.rate * 0.5 * (1 + np.cos(np.pi * self.taken / self.total))
        self.taken += 1
        beta1, beta2 = np.float32(recipe.beta1), np.float32(recipe.beta2)
        self.mean *= beta1
        self.mean += (1 - beta1) * slopes
        np.square(slopes, out=slopes)
        slopes *= 1 - beta2
        self.square *= beta2
        self.square += slopes
        np.sqrt(self.square, out=slopes)
        slopes *= np.float32(1 / np.sqrt(1 - recipe.beta2**self.taken))
        slopes += np.float32(EPSILON)
        np.divide(self.mean, slopes, out=slopes)
        slopes *= np.float32(rate / (1 - recipe.beta1**self.taken))
        shadow -= slopes


class _Snapshots:
    """The parameters of lowest loss that each solution has had."""

    def __init__(self, store: _Store, solutions: int) -> None:
        self.store, self.flat = store, np.zeros_like(store.shadow)
        self.loss, self.epoch = np.full(solutions, np.inf), np.zeros(solutions, np.int64)

    def offer(self, flat: Float32s, loss: Floats, epoch: int) -> None:
        """Take those of ``flat`` whose loss (solutions,) is lower than before."""
        better = loss < self.loss
        offered, kept = self.store.views(flat), self.store.views(self.flat)
        for name in ("hidden", "output", "hidden_bias", "output_bias"):
            getattr(kept, name)[better] = getattr(offered, name)[better]
        self.epoch[better] = epoch
        self.loss = np.minimum(loss, self.loss)


def _as_written(found: Parameters, scale: Floats) -> Perceptrons:
    """Binarised parameters with the biases in units of the weighted sums."""
    width = found.hidden.shape[2]
    return Perceptrons(
        hidden=found.hidden.astype(np.int8),
        threshold=-(found.hidden_bias[:, 0].astype(np.float64)) / scale[:, 0].astype(np.float64),
        output=found.output.astype(np.int8),
        offset=found.output_bias[:, 0].astype(np.float64) / score_scale(width),
    )
