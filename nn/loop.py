"""The training loop: one arm of one experiment with one seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nn import jobs
from nn.arms import ARMS, arm_of
from nn.checkpoint import restore, save_state
from nn.counts import UpdateCounts
from nn.data import Dataset
from nn.experiment import Experiment
from nn.feedforward import feedforward_ledger
from nn.losses import squared_hinge
from nn.network import backward, build, calibrate, forward, predict
from nn.optimizer import adam
from nn.spread import draw_factors
from nn.state import Moments, State
from nn.synapse import SynapseDevice
from spicebridge.energy import EnergyLedger

Job = jobs.Job[Experiment]  # of an arm in ``nn.arms.ARMS``


@dataclass(frozen=True, eq=False)
class Given:
    """What all networks of an experiment share: the compiled tables and the images."""

    device: SynapseDevice
    dataset: Dataset


@dataclass(frozen=True, eq=False)
class Outcome:
    """A trained network and what its training took.

    Attributes:
        job: what was asked for.
        history: one JSON-like record per epoch.
        counts: events of the updates.
        feedforward: energy of the test images' inference (arm ``table`` only).
        weights: final parameters by name.
        seconds: wall time of the training, over all sittings (s).
    """

    job: Job
    history: list[dict[str, Any]]
    counts: UpdateCounts
    feedforward: EnergyLedger | None
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
    experiment, device, dataset = job.experiment, given.device, given.dataset
    arm = arm_of(experiment, job.arm, device)
    state = fresh_state(job, given, spread=arm.spread)
    restore(checkpoint, state, fingerprint)
    network, activation = state.network, arm.activation
    images = len(dataset.train_labels)
    batch = min(experiment.batch, images)
    steps_per_epoch = images // batch
    steps = steps_per_epoch * experiment.epochs
    scratch = [np.empty(layer.synapses.weights.shape, np.float32) for layer in network]
    test_inputs = dataset.values(dataset.test_levels)

    while len(state.history) < experiment.epochs:
        started = time.perf_counter()
        step = len(state.history) * steps_per_epoch
        loss, correct, counts = 0.0, 0, UpdateCounts()
        order = state.shuffle.permutation(images)
        for start in range(0, steps_per_epoch * batch, batch):
            chosen = order[start : start + batch]
            labels = dataset.train_labels[chosen]
            x = dataset.values(dataset.train_levels[chosen])
            scores, kept = forward(network, x, activation, arm.read)
            batch_loss, gradient = squared_hinge(scores, labels)
            gradients = backward(kept, gradient, activation)
            counts.see([each.x for each in kept])
            done = step / steps
            rate = arm.rate_start * (arm.rate_end / arm.rate_start) ** done
            norm_rate = experiment.norm_rate * (1 - done)
            for layer, adams, grads, increments in zip(network, state.adams, gradients, scratch, strict=True):
                adams.weights.increments(grads.weights, rate=rate, out=increments)
                arm.rule.apply(layer.synapses, increments, state.draws, counts)
                layer.scale[:] += adams.scale.increments(grads.scale, rate=norm_rate, out=grads.scale)
                layer.shift[:] += adams.shift.increments(grads.shift, rate=norm_rate, out=grads.shift)
            loss += batch_loss / steps_per_epoch
            correct += int(np.count_nonzero(scores.argmax(axis=1) == labels))
            step += 1
        elapsed = time.perf_counter() - started

        shown = dataset.values(dataset.train_levels[order[: experiment.calibration]])
        calibrate(network, shown, activation, arm.read)
        scores, _ = predict(network, test_inputs, activation, arm.read)
        accuracy = float(np.mean(scores.argmax(axis=1) == dataset.test_labels))
        state.counts.add(counts)
        state.history.append(
            {
                "epoch": len(state.history) + 1,
                "loss": loss,
                "train_accuracy": correct / (steps_per_epoch * batch),
                "test_accuracy": accuracy,
                **epoch_events(counts, device, siblings=experiment.encoding != "blind"),
            }
        )
        state.seconds += time.perf_counter() - started
        save_state(checkpoint, state, fingerprint)
        speed = steps_per_epoch * batch / max(elapsed, 1e-9)
        report(jobs.Progress(job.arm, job.seed, len(state.history), experiment.epochs, speed, accuracy))

    ledger = None
    if job.arm == "table":
        _, inputs = predict(network, test_inputs, activation)
        ledger = feedforward_ledger(
            network, device, levels=dataset.test_levels, bits=dataset.bits, hidden_inputs=inputs[1:]
        )
    return Outcome(job, state.history, state.counts, ledger, state.parameters(), state.seconds)


def fresh_state(job: Job, given: Given, *, spread: float = 0.0) -> State:
    """A network that has seen nothing; arms of one seed share first weights (by kind) and batches.

    ``spread`` is the devices', drawn anew for each seed.
    """
    experiment, seed, dataset = job.experiment, job.seed, given.dataset
    ternary = job.arm != "float"
    beta1, beta2 = (experiment.beta1, experiment.beta2) if ternary else (0.9, 0.999)
    network = build(
        (dataset.inputs, *experiment.hidden, dataset.classes),
        ternary=ternary,
        strong_zero=given.device.zero == "strong",
        rng=np.random.default_rng([seed, 0]),
        factors=partial(draw_factors, spread=spread, rng=np.random.default_rng([seed, 3]))
        if spread
        else None,
    )
    return State(
        network=network,
        adams=tuple(
            Moments(
                weights=adam(layer.synapses.weights.shape, beta1=beta1, beta2=beta2),
                scale=adam(layer.scale.shape, beta1=0.9, beta2=0.999),
                shift=adam(layer.shift.shape, beta1=0.9, beta2=0.999),
            )
            for layer in network
        ),
        shuffle=np.random.default_rng([seed, 1]),
        draws=np.random.default_rng([seed, 2, ARMS.index(job.arm)]),
        counts=UpdateCounts(),
        history=[],
        seconds=0.0,
    )


def epoch_events(counts: UpdateCounts, device: SynapseDevice, *, siblings: bool) -> dict[str, Any]:
    """An epoch's flips, and its pulses and reads with their energy (J) where the tables were used."""
    events: dict[str, Any] = {"flips": counts.flips}
    if counts.pulses:
        ledger = counts.ledger(device, siblings=siblings)
        reads = int(counts.reads.sum())
        read_energy = sum(entry.joules for entry in ledger.entries if entry.action.startswith("read"))
        events |= {
            "pulses": counts.pulses_sent,
            "pulse_energy": ledger.joules() - read_energy,
            "reads": reads,
            "read_energy": read_energy,
        }
    return events
