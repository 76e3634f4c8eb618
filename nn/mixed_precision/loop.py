"""The training loop: one arm of one experiment with one seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nn import jobs
from nn.arrays import Float32s, Labels, Levels
from nn.checkpoint import restore, save_state
from nn.data import Dataset
from nn.mixed_precision.arms import ARMS, Arm
from nn.mixed_precision.counts import Counts
from nn.mixed_precision.device import PcmDevice
from nn.mixed_precision.experiment import MixedExperiment
from nn.mixed_precision.memory import Memory, PairMemory, memory_of
from nn.mixed_precision.network import Converters, Pass, layers_of, shapes_of, views
from nn.mixed_precision.pairs import fresh_pairs, operation_of
from nn.mixed_precision.reading import PairEnergy, sample_reads
from nn.mixed_precision.state import State
from nn.mixed_precision.update import Accumulator, add_products, rounded

TEST_BATCH = 1000  # images

Shapes = Sequence[tuple[int, int]]


Job = jobs.Job[MixedExperiment]  # of an arm in ``nn.mixed_precision.arms.ARMS``


@dataclass(frozen=True, eq=False)
class Given:
    """What all networks of an experiment share: the compiled tables and the images."""

    device: PcmDevice
    energy: PairEnergy
    dataset: Dataset


@dataclass(frozen=True, eq=False)
class Outcome:
    """A trained network and what its training took.

    Attributes:
        job: what was asked for.
        history: one JSON-like record per epoch.
        counts: events of the training.
        retention: test accuracy at each of the experiment's ages, arm ``table`` only.
        weights: arrays by name: devices, or weights.
        seconds: wall time of the training, over all sittings (s).
    """

    job: Job
    history: list[dict[str, Any]]
    counts: Counts
    retention: list[float]
    weights: dict[str, np.ndarray[Any, Any]]
    seconds: float


def train_one(
    job: Job,
    given: Given,
    *,
    checkpoint: Path,
    fingerprint: str,
    report: Callable[[jobs.Progress], None],
) -> Outcome:
    """Train one network, from its checkpoint where that has the same fingerprint.

    The network tested is the last epoch's; no epoch is chosen by its test accuracy. A batch that the epoch's
    images do not fill is left out (they are shuffled anew each epoch).

    Args:
        job: what to train.
        given: tables and images.
        checkpoint: where the state is kept after every epoch.
        fingerprint: digest of all that the result depends on.
        report: called after every epoch.
    """
    experiment = job.experiment
    state = fresh_state(job, given)
    restore(checkpoint, state, fingerprint)
    while len(state.history) < experiment.epochs:
        started = time.perf_counter()
        epoch = _train_epoch(job, given, state)
        elapsed = time.perf_counter() - started
        epoch["test_accuracy"] = _test(job, given, state, state.counts.images, len(state.history))
        state.history.append(epoch)
        state.seconds += time.perf_counter() - started
        save_state(checkpoint, state, fingerprint)
        images = state.counts.images // len(state.history)
        done = len(state.history)
        speed = images / max(elapsed, 1e-9)
        report(jobs.Progress(job.arm, job.seed, done, experiment.epochs, speed, epoch["test_accuracy"]))
    retention = []
    if job.arm == "table":
        for number, age in enumerate(experiment.retention_ages, start=experiment.epochs):
            at = state.counts.images + age / experiment.image_time
            retention.append(_test(job, given, state, at, number))
    kept = dict(state.memory.arrays())
    return Outcome(job, state.history, state.counts, retention, kept, state.seconds)


def fresh_state(job: Job, given: Given) -> State:
    """A network that has seen nothing; arms of one seed share first weights and batches."""
    experiment, seed, arm = job.experiment, job.seed, ARMS[job.arm]
    count = sum(inputs * outputs for inputs, outputs in shapes_for(experiment, given.dataset))
    first = operation_of(experiment, ARMS["table"], given.device)
    devices = fresh_pairs(count, first, share=experiment.initial_share, rng=np.random.default_rng([seed, 0]))
    memory = memory_of(
        arm,
        devices,
        operation_of(experiment, arm, given.device),
        epsilon=given.device.epsilon / experiment.g_scale,
        interval=experiment.refresh_interval,
        batch=min(experiment.batch, len(given.dataset.train_labels)),
    )
    return State(
        memory=memory,
        chi=np.zeros(count if arm.gathered else 0, np.float32),
        shuffle=np.random.default_rng([seed, 1]),
        draws=np.random.default_rng([seed, 2, list(ARMS).index(job.arm)]),
        counts=Counts(),
        history=[],
        seconds=0.0,
    )


def shapes_for(experiment: MixedExperiment, dataset: Dataset) -> Shapes:
    """Inputs, the constant one included, and outputs of each layer."""
    return shapes_of(dataset.inputs, experiment.hidden, dataset.classes)


def _train_epoch(job: Job, given: Given, state: State) -> dict[str, Any]:
    """One pass over the training images; returns what the history keeps of it."""
    experiment, dataset, counts = job.experiment, given.dataset, state.counts
    shapes = shapes_for(experiment, dataset)
    images = len(dataset.train_labels)
    batch = min(experiment.batch, images)
    steps = images // batch
    network = _network(job, shapes, state.memory, batch, state.draws)
    update = updater(job, given, state, shapes)
    before = Counts()
    before.add(counts)
    order = state.shuffle.permutation(images)
    state.memory.catch_up(counts.images)
    loss, correct = 0.0, 0
    for start in range(0, steps * batch, batch):
        chosen = order[start : start + batch]
        labels = dataset.train_labels[chosen]
        put_images(network, dataset.train_levels[chosen], dataset.bits)
        units = network.forward()
        loss += network.backward(labels) / steps
        correct += int(np.count_nonzero(units.argmax(axis=1) == labels))
        counts.see(network.inputs)
        if isinstance(state.memory, PairMemory) and counts.steps % experiment.energy_interval == 0:
            sample_reads(counts, given.energy, state.memory.pairs, network, shapes)
        done = counts.steps / (steps * experiment.epochs)
        rate = experiment.rate_start * (experiment.rate_end / experiment.rate_start) ** done
        counts.images += batch
        counts.steps += 1
        update(network, -rate / batch)
        if (
            counts.images // experiment.refresh_interval
            > (counts.images - batch) // experiment.refresh_interval
        ):
            state.memory.look(counts.images, rng=state.draws, counts=counts)
    return {
        "epoch": len(state.history) + 1,
        "loss": loss,
        "train_accuracy": correct / (steps * batch),
        "set_pulses": counts.pulses - before.pulses,
        "resets": counts.resets - before.resets,
        "refreshed_pairs": counts.refreshed_pairs - before.refreshed_pairs,
        "outside_support": counts.outside_support - before.outside_support,
    }


def updater(job: Job, given: Given, state: State, shapes: Shapes) -> Callable[[Pass, float], None]:
    """The arm's update: called with a batch that has gone through and back, and -rate / images."""
    arm, memory, counts = ARMS[job.arm], state.memory, state.counts
    epsilon = given.device.epsilon / job.experiment.g_scale
    begins = np.cumsum([0] + [inputs * outputs for inputs, outputs in shapes])
    layers = range(len(shapes))
    if arm.memory == "float":
        plain = views(memory.weights, shapes)

        def add(done: Pass, factor: float) -> None:
            for number in layers:
                add_products(plain[number], done.inputs[number], done.deltas[number], factor=factor)

        return add
    if arm.gathered:
        accumulator = Accumulator(state.chi, shapes, epsilon)

        def gather(done: Pass, factor: float) -> None:
            ready = [
                accumulator.add(number, done.inputs[number], done.deltas[number], factor=factor)
                + begins[number]
                for number in layers
            ]
            found = accumulator.take(np.concatenate(ready))
            memory.program(found, now=counts.images, rng=state.draws, counts=counts)

        return gather
    scratch = np.empty(begins[-1], np.float32)
    parts = views(scratch, shapes)

    def round_at_once(done: Pass, factor: float) -> None:
        for number in layers:
            add_products(parts[number], done.inputs[number], done.deltas[number], factor=factor, keep=False)
        found = rounded(scratch, epsilon, state.draws)
        memory.program(found, now=counts.images, rng=state.draws, counts=counts)

    return round_at_once


def put_images(network: Pass, levels: Levels, bits: int) -> None:
    """Images as the first layer's inputs."""
    np.multiply(levels, np.float32(1 / (2**bits - 1)), out=network.inputs[0][:, :-1])


def _network(job: Job, shapes: Shapes, memory: Memory, images: int, rng: np.random.Generator) -> Pass:
    arm: Arm = ARMS[job.arm]
    experiment = job.experiment
    converters = Converters(
        input_bits=experiment.dac_bits,
        output_bits=experiment.adc_bits,
        forward=experiment.adc_range_forward,
        backward=experiment.adc_range_backward,
        tile=experiment.tile,
    )
    layers = layers_of(memory.weights, memory.noise, shapes)
    return Pass(layers, images, converters if arm.converters else None, rng)


def _test(job: Job, given: Given, state: State, at: float, number: int) -> float:
    """Test accuracy of the network as it reads at image ``at``; its read noise is drawn apart."""
    dataset = given.dataset
    shapes = shapes_for(job.experiment, dataset)
    state.memory.reread(at)
    rng = np.random.default_rng([job.seed, 3, number])
    correct = 0
    for start in range(0, len(dataset.test_labels), TEST_BATCH):
        levels: Levels = dataset.test_levels[start : start + TEST_BATCH]
        labels: Labels = dataset.test_labels[start : start + TEST_BATCH]
        network = _network(job, shapes, state.memory, len(labels), rng)
        put_images(network, levels, dataset.bits)
        units: Float32s = network.forward()
        correct += int(np.count_nonzero(units.argmax(axis=1) == labels))
    return correct / len(dataset.test_labels)
