"""Mixed-precision training, piece by piece: pulses, drift, refresh, gradients, chi, noise, reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nn.mixed_precision import pairs as pcm
from nn.mixed_precision.arms import ARMS
from nn.mixed_precision.counts import Counts, counts_from_json
from nn.mixed_precision.device import PcmDevice, compile_device
from nn.mixed_precision.experiment import MixedExperiment
from nn.mixed_precision.memory import PairMemory
from nn.mixed_precision.network import (
    Converters,
    Layer,
    Pass,
    convert_inputs,
    convert_outputs,
    convert_signed,
    layers_of,
    shapes_of,
    views,
)
from nn.mixed_precision.pairs import Operation, Pairs, operation_of
from nn.mixed_precision.reading import compile_energy, sample_reads
from nn.mixed_precision.update import Accumulator, add_products, rounded
from tests import synthetic_pcm as known

EPSILON = 0.1


def device() -> PcmDevice:
    return compile_device(known.set_table(), known.reset_table(), known.read_table())


def operation(arm: str = "table", **changes: Any) -> Operation:
    experiment = MixedExperiment(
        name="x", description="x", dataset="digits", split=None, hidden=(4,), batch=1, epochs=1, seeds=(1,)
    )  # fmt: skip
    return replace(operation_of(experiment, ARMS[arm], device()), **changes)


def some_pairs(g: Any, *, programmed: float = 0.0, pulses: int = 0) -> Pairs:
    """Pairs with the conductances ``g``, shape (2, pairs), all programmed at one image."""
    flat = np.array(g, np.float32).ravel()
    count = len(flat) // 2
    return Pairs(
        flat,
        np.full(2 * count, pulses, np.uint8),
        np.full(2 * count, programmed, np.float32),
        *(np.zeros(2 * count, np.float32) for _ in range(2)),
        *(np.zeros(count, np.float32) for _ in range(2)),
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# What the tables hold


def test_pulses_are_looked_up_as_the_table_is_read() -> None:
    found, table = device(), known.set_table()
    g = rng().uniform(known.G_LEAST, known.G_MOST, 500)
    number = rng(1).integers(1, 21, 500)
    looked = found.pulses((number - 1).astype(np.intp), g.astype(np.float32))
    for column, name in enumerate(("delta_g_mean", "delta_g_std", "support", "energy")):
        np.testing.assert_allclose(
            looked[:, column], table.read(name, pulse=number, g=g), rtol=2e-5, atol=1e-12
        )


def test_epsilon_is_the_mean_change_of_the_first_ten_pulses() -> None:
    mean, _ = known.accumulation()
    assert device().epsilon == pytest.approx((mean[10] - mean[0]) / 10)
    assert device().epsilon / 8e-6 == pytest.approx(0.096, abs=0.002)  # what the published model gives


def test_drift_and_read_noise_follow_their_formulas_within_the_bins() -> None:
    reads = device().reads
    g = rng().uniform(known.G_LEAST, known.G_MOST, 20_000).astype(np.float32)
    age = np.exp(rng(1).uniform(np.log(1e-2), np.log(3.1e7), 20_000)).astype(np.float32)
    bins = reads.bins(g, age)
    np.testing.assert_allclose(reads.ratio[bins] * g, known.drifted(g, age), rtol=3e-3)
    noise = known.read_noise(known.drifted(g, age))
    np.testing.assert_allclose(np.sqrt(reads.variance[bins]), noise, rtol=1.5e-2)
    young, old = (reads.bins(g[:1], np.float32([age])) for age in (0.0, 1e9))
    assert reads.ratio[young] == pytest.approx(known.drifted(1.0, 1e-2), rel=3e-3)
    assert reads.ratio[old] == pytest.approx(known.drifted(1.0, 3.2e7), rel=3e-3)


# Pulses


def test_pulses_have_the_tables_mean_and_spread() -> None:
    pairs, counts = some_pairs(np.full((2, 100_000), 4e-6), pulses=2), Counts()
    devices = np.arange(100_000)
    pcm.set_once(pairs, devices, operation(), now=7.0, rng=rng(), counts=counts)
    change = pairs.g[:100_000].astype(float) - 4e-6
    mean, std = known.step_mean(4e-6, 3), known.step_std(4e-6, 3)
    # Those that would fall below the least conductance are cut, which moves mean and spread a little.
    raw = rng(5).normal(mean, std, 400_000)
    cut = np.clip(4e-6 + raw, known.G_LEAST, known.G_MOST) - 4e-6
    assert change.mean() == pytest.approx(cut.mean(), abs=4 * std / np.sqrt(100_000))
    assert change.std() == pytest.approx(cut.std(), rel=0.015)
    assert set(pairs.pulses[:100_000]) == {3}
    assert set(pairs.programmed[:100_000]) == {7.0}
    np.testing.assert_array_equal(pairs.g[100_000:], np.float32(4e-6))
    assert counts.set_pulses.tolist() == [0, 0, 100_000, *[0] * 17]
    assert counts.set_energy == pytest.approx(100_000 * known.SET_ENERGY, rel=1e-5)


def test_without_noise_pulses_follow_the_closed_form() -> None:
    pairs, quiet = some_pairs([[known.G_LEAST], [known.G_LEAST]]), operation("without_noise")
    wanted = known.G_LEAST
    for pulse in range(1, 31):
        pcm.set_once(pairs, np.array([0]), quiet, now=0.0, rng=rng(), counts=Counts())
        wanted += known.step_mean(wanted, min(pulse, known.PULSES))
        assert pairs.g[0] == pytest.approx(wanted, rel=1e-4)
    # The pair's weight is that conductance, as read at its age, less the other's.
    pcm.look(pairs, quiet, at=1000.0)
    age = 1000 * quiet.image_time
    wanted_weight = known.drifted(wanted - known.G_LEAST, age) / quiet.g_scale
    assert pairs.weights[0] == pytest.approx(wanted_weight, rel=3e-3)


def test_several_pulses_come_one_after_the_other_and_are_counted_by_number() -> None:
    pairs, counts = some_pairs(np.full((2, 3), 1e-6), pulses=18), Counts()
    found = np.array([0, 4]), np.array([4, 1])
    pcm.set_many(pairs, *found, operation("without_noise"), now=0.0, rng=rng(), counts=counts)
    assert pairs.pulses.tolist() == [22, 18, 18, 18, 19, 18]
    assert counts.set_pulses[17:].tolist() == [0, 2, 3]


def test_conductances_stay_within_the_tables_and_counters_within_a_byte() -> None:
    pairs = some_pairs([[19.9e-6] * 50, [0.11e-6] * 50], pulses=255)
    for seed in range(20):
        pcm.set_once(pairs, np.arange(100), operation(), now=0.0, rng=rng(seed), counts=Counts())
    assert pairs.g.min() >= np.float32(known.G_LEAST)
    assert pairs.g.max() <= np.float32(known.G_MOST)
    assert set(pairs.pulses) == {255}


def test_pulses_where_the_table_was_not_sampled_are_counted() -> None:
    sampled = compile_device(known.set_table(sampled_to=5e-6), known.reset_table(), known.read_table())
    pairs, counts = some_pairs([[4e-6, 6e-6], [1e-6, 9e-6]]), Counts()
    pcm.set_once(pairs, np.arange(4), operation(device=sampled), now=0.0, rng=rng(), counts=counts)
    assert counts.outside_support == 2


def test_the_share_of_pairs_started_off_is_the_asked_one_and_of_both_signs() -> None:
    pairs = pcm.fresh_pairs(50_000, operation(), share=0.2, rng=rng())
    pulsed = pairs.pulses.reshape(2, -1)
    assert pulsed.sum() / 50_000 == pytest.approx(0.2, abs=0.01)
    assert pulsed.max(axis=0).sum() == pulsed.sum()  # never both devices of a pair
    assert pulsed[0].mean() == pytest.approx(pulsed[1].mean(), rel=0.05)


# Drift, looks, refresh


def test_devices_drift_by_the_time_since_each_was_programmed() -> None:
    used = operation(image_time=0.5)
    pairs = some_pairs([[5e-6, 5e-6], [0.5e-6, 5e-6]])
    pairs.programmed[:] = [0, 900, 0, 990]
    pcm.look(pairs, used, at=1000.0)
    ages = 0.5 * (1000 - pairs.programmed)
    read = known.drifted(pairs.g, ages)
    np.testing.assert_allclose(pairs.read, read, rtol=3e-3)
    np.testing.assert_allclose(pairs.weights, (read[:2] - read[2:]) / used.g_scale, rtol=6e-3, atol=2e-3)
    variance = known.read_noise(read) ** 2
    np.testing.assert_allclose(pairs.noise, (variance[:2] + variance[2:]) / used.g_scale**2, rtol=0.03)


def test_a_partial_look_does_what_a_whole_one_does_to_the_devices_named() -> None:
    g = rng().uniform(1e-6, 9e-6, (2, 1000))
    whole, part = some_pairs(g), some_pairs(g)
    for pairs in (whole, part):
        pairs.programmed[::3] = 500
        pcm.look(pairs, operation(), at=600.0)
        pairs.programmed[5:2000:7] = 700
    pcm.look(whole, operation(), at=800.0)
    pcm.look(part, operation(), at=800.0, since=700.0)
    touched = part.programmed >= 700
    np.testing.assert_array_equal(part.read[touched], whole.read[touched])
    both = touched[:1000] & touched[1000:]
    np.testing.assert_array_equal(part.weights[both], whole.weights[both])
    np.testing.assert_array_equal(part.weights, (part.read[:1000] - part.read[1000:]) * np.float32(1 / 8e-6))


def test_without_drift_conductances_stay() -> None:
    pairs = some_pairs([[5e-6], [1e-6]])
    pcm.look(pairs, operation("without_drift"), at=1e6)
    assert pairs.weights[0] == pytest.approx(4e-6 / 8e-6, rel=2e-3)


def test_worn_pairs_are_refreshed_to_their_difference_and_no_others() -> None:
    quiet = operation("without_noise")
    # positive, negative: worn; worn the other way; differ by 6 and more; none above 8; worn and equal
    g = np.array([[9.0, 7.0, 9.5, 7.0, 8.5], [7.0, 9.5, 3.0, 6.9, 8.5]]) * 1e-6
    pairs, counts = some_pairs(g, programmed=5.0, pulses=12), Counts()
    pairs.read[:] = pairs.g
    devices = pcm.refresh(pairs, quiet, now=100.0, rng=rng(), counts=counts)
    assert sorted(devices % 5) == [0, 0, 1, 1, 4, 4]
    reset = 0.12e-6  # what the table says of a RESET
    one = reset + known.step_mean(reset, 1)
    after = pairs.g.reshape(2, 5) * 1e6
    # 2.0 is one pulse's worth (2.05), 2.5 too (the next is 3.4), 0 none.
    np.testing.assert_allclose(after[0], [one * 1e6, 0.12, 9.5, 7.0, 0.12], rtol=1e-4)
    np.testing.assert_allclose(after[1], [0.12, one * 1e6, 3.0, 6.9, 0.12], rtol=1e-4)
    assert pairs.pulses.reshape(2, 5).tolist() == [[1, 0, 12, 12, 0], [0, 1, 12, 12, 0]]
    assert pairs.programmed.reshape(2, 5)[0].tolist() == [100, 100, 5, 5, 100]
    assert (counts.resets, counts.refreshed_pairs, counts.refresh_set_pulses, counts.refreshes) == (
        6,
        3,
        2,
        1,
    )
    assert counts.reset_energy == pytest.approx(6 * known.RESET_ENERGY, rel=1e-5)


def test_a_refreshed_pair_gets_no_more_pulses_than_allowed() -> None:
    pairs, counts = some_pairs([[12e-6], [6.1e-6]]), Counts()
    pairs.read[:] = pairs.g
    pcm.refresh(pairs, operation("without_noise"), now=0.0, rng=rng(), counts=counts)
    assert pairs.pulses.tolist() == [3, 0]
    assert counts.set_pulses[:3].tolist() == [1, 1, 1]


def test_noise_is_drawn_for_every_pair_that_could_pass_the_threshold() -> None:
    """Against a refresh that reads all pairs: the share that pass, from 3 uS below the threshold to above."""
    for g_p in (6.5e-6, 7.7e-6, 8.1e-6):
        pairs, counts = some_pairs([[g_p] * 20_000, [4e-6] * 20_000]), Counts()
        pcm.look(pairs, operation(), at=38.6 / 0.01)
        noise = rng(3).standard_normal((2, 20_000)) * known.read_noise(np.array([[g_p], [4e-6]]))
        seen = np.array([[g_p], [4e-6]]) + noise
        share = ((seen.max(axis=0) > 8e-6) & (np.abs(seen[0] - seen[1]) < 6e-6)).mean()
        pcm.refresh(pairs, operation(), now=0.0, rng=rng(), counts=counts)
        assert counts.refreshed_pairs / 20_000 == pytest.approx(share, abs=0.02)


# Forward, backward


def network(seed: int = 0) -> tuple[np.ndarray, tuple[tuple[int, int], ...]]:
    shapes = shapes_of(6, [5, 4], 3)
    weights = rng(seed).standard_normal(sum(rows * columns for rows, columns in shapes))
    return weights.astype(np.float32), shapes


def test_gradients_are_those_of_central_differences() -> None:
    weights, shapes = network()
    done = Pass(layers_of(weights, None, shapes), 4, None, rng())
    x, labels = rng(1).random((4, 6)), np.array([0, 1, 2, 1])
    gradient = np.zeros_like(weights)

    def loss() -> float:
        done.inputs[0][:, :-1] = x
        done.forward()
        return done.backward(labels)

    loss()
    for number, part in enumerate(views(gradient, shapes)):
        add_products(part, done.inputs[number], done.deltas[number], factor=1 / 4)
    for index in range(len(weights)):
        kept = weights[index]
        told = []
        for step in (1e-2, -1e-2):
            weights[index] = kept + np.float32(step)
            told.append(loss())
        weights[index] = kept
        assert gradient[index] == pytest.approx((told[0] - told[1]) / 2e-2, abs=3e-4)


def test_the_loss_is_the_cross_entropy_of_the_output_units() -> None:
    weights, shapes = network()
    done = Pass(layers_of(weights, None, shapes), 4, None, rng())
    done.inputs[0][:, :-1] = rng(1).random((4, 6))
    units = done.forward().astype(float)
    labels = np.array([0, 1, 2, 1])
    target = np.eye(3)[labels]
    wanted = -(target * np.log(units) + (1 - target) * np.log(1 - units)).sum() / 4
    assert done.backward(labels) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
def test_noise_at_the_outputs_is_that_of_every_device_drawn_apart(transposed: bool) -> None:
    """Read noise drawn at each output against read noise drawn in each device: mean, spread, shape."""
    repeats, shape = 40_000, (8, 3)
    weights = rng(0).standard_normal(shape).astype(np.float32) * 0.3
    noise = rng(1).uniform(0.001, 0.01, shape).astype(np.float32)
    x = rng(2).random(shape[1] if transposed else shape[0]).astype(np.float32)
    done = Pass(
        [Layer(weights, noise), Layer(weights, noise)][: 2 if transposed else 1], repeats, None, rng(3)
    )
    if transposed:
        done.deltas[1][:] = x
        drawn = done._transposed(1)
        matrix, variance = weights[:-1].T, noise[:-1].T
    else:
        done.inputs[0][:] = x
        before = done.forward()
        drawn = np.log(before / (1 - before))  # the sigmoid undone
        matrix, variance = weights, noise
    direct = np.empty((repeats, matrix.shape[1]))
    draws = rng(4)
    for begin in range(0, repeats, 1000):
        devices = matrix + np.sqrt(variance) * draws.standard_normal((1000, *matrix.shape))
        direct[begin : begin + 1000] = x @ devices
    error = direct.std(axis=0) / np.sqrt(repeats)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - direct.mean(axis=0)), 6 * error)
    np.testing.assert_allclose(drawn.std(axis=0), direct.std(axis=0), rtol=0.025)
    quantiles = [0.05, 0.25, 0.75, 0.95]
    np.testing.assert_allclose(
        np.quantile(drawn, quantiles, axis=0),
        np.quantile(direct, quantiles, axis=0),
        atol=0.04 * direct.std(),
    )


def test_converters_round_to_their_levels_and_cut_beyond_their_range() -> None:
    y = np.array([0.0, 0.03, 0.04, -7.99, 9.0, -50.0], np.float32)
    convert_outputs(y, 8, 8.0)
    np.testing.assert_allclose(y, np.array([0, 0, 1, -127, 127, -127]) * 8 / 127, rtol=1e-6)
    out = np.empty(4, np.float32)
    convert_inputs(np.array([0.0, 0.0019, 0.5, 1.0], np.float32), 8, out=out)
    np.testing.assert_allclose(out, np.array([0, 0, 128, 255]) / 255, rtol=1e-6)
    signed = np.array([-1.0, -0.003, 0.0, 0.6, 1.0], np.float32)
    convert_signed(signed, 8)
    np.testing.assert_allclose(signed, np.array([-127, 0, 0, 76, 127]) / 127, rtol=1e-6)


def test_quantised_passes_are_near_exact_ones() -> None:
    weights, shapes = network()
    converters = Converters(input_bits=8, output_bits=8, forward=8.0, backward=4.0, tile=128)
    rough, exact = (Pass(layers_of(weights, None, shapes), 4, each, rng()) for each in (converters, None))
    for done in (rough, exact):
        done.inputs[0][:, :-1] = rng(1).random((4, 6))
        done.forward()
        done.backward(np.array([0, 1, 2, 1]))
    assert np.abs(rough.deltas[0] - exact.deltas[0]).max() > 0
    for rough_delta, exact_delta in zip(rough.deltas, exact.deltas, strict=True):
        np.testing.assert_allclose(rough_delta, exact_delta, atol=0.03)


# chi


@pytest.mark.parametrize("images", [1, 5])
@pytest.mark.parametrize("sparse", [False, True])
def test_chi_keeps_the_rule_of_a_plain_loop(images: int, sparse: bool) -> None:
    shapes = ((30, 7), (8, 4))
    count = sum(rows * columns for rows, columns in shapes)
    accumulator = Accumulator(np.zeros(count, np.float32), shapes, EPSILON)
    chi, begins = np.zeros(count), (0, 210)
    draws = rng(images)
    for _ in range(50):
        sent: dict[int, int] = {}
        ready = []
        for number, (rows, columns) in enumerate(shapes):
            x = draws.random((images, rows)).astype(np.float32)
            if sparse:
                x[draws.random((images, rows)) < 0.7] = 0
            delta = draws.standard_normal((images, columns)).astype(np.float32)
            ready.append(accumulator.add(number, x, delta, factor=-0.1) + begins[number])
            for row in range(rows):
                for column in range(columns):
                    index = begins[number] + row * columns + column
                    chi[index] += -0.1 * sum(
                        float(x[i, row]) * float(delta[i, column]) for i in range(images)
                    )
        for index in range(count):
            pulses = int(chi[index] / EPSILON)
            if pulses:
                sent[index] = pulses
                chi[index] -= pulses * EPSILON
        found, wanted = accumulator.take(np.concatenate(ready))
        assert dict(zip(found.tolist(), wanted.tolist(), strict=True)) == sent
        np.testing.assert_allclose(accumulator.chi, chi, atol=2e-5)


def test_products_are_added_in_place_whatever_the_batch() -> None:
    for images in (1, 3):
        x, delta = rng().random((images, 5)).astype(np.float32), rng(1).random((images, 4)).astype(np.float32)
        total = np.ones((5, 4), np.float32)
        add_products(total, x, delta, factor=-2.0)
        np.testing.assert_allclose(total, 1 - 2 * x.T @ delta, rtol=1e-5)
        add_products(total, x, delta, factor=-2.0, keep=False)
        np.testing.assert_allclose(total, -2 * x.T @ delta, rtol=1e-5)


def test_rounding_at_once_is_right_on_average() -> None:
    update = np.repeat(np.array([0.03, -0.03, 0.25, -0.25, 0.0], np.float32), 40_000)
    sent = np.zeros(len(update))
    found, pulses = rounded(update, EPSILON, rng())
    sent[found] = pulses
    means = sent.reshape(5, -1).mean(axis=1)
    np.testing.assert_allclose(means, [0.3, -0.3, 2.5, -2.5, 0], atol=0.01)
    assert set(np.unique(sent[:40_000])) == {0, 1}
    assert set(np.unique(sent[80_000:120_000])) == {2, 3}


# Energy of the reads, and counts


def test_read_energy_is_the_tables_summed_over_every_pair_and_pulse() -> None:
    shapes = shapes_of(6, [5], 3)
    count = sum(rows * columns for rows, columns in shapes)
    pairs = some_pairs(rng().uniform(0.2e-6, 12e-6, (2, count)))
    pairs.read[:] = pairs.g
    weights = rng(1).standard_normal(count).astype(np.float32)
    converters = Converters(input_bits=8, output_bits=8, forward=8.0, backward=2.0, tile=128)
    done = Pass(layers_of(weights, None, shapes), 3, converters, rng())
    x = rng(2).random((3, 6)).astype(np.float32)
    x[rng(3).random((3, 6)) < 0.3] = 0
    done.inputs[0][:, :-1] = x
    done.forward()
    done.backward(np.array([0, 1, 2]))
    counts, energy = Counts(), compile_energy(known.read_table(), t_read=1e-6)
    sample_reads(counts, energy, pairs, done, shapes)
    g_p, g_n = (views(each, shapes) for each in (pairs.g[:count], pairs.g[count:]))

    def wanted(inputs: np.ndarray, number: int, transposed: bool) -> tuple[float, int]:
        p, n = (each[number][:-1].T if transposed else each[number] for each in (g_p, g_n))
        total, events = 0.0, 0
        for image in range(len(inputs)):
            for row, size in enumerate(np.abs(inputs[image])):
                if size:
                    width = max(size * 1e-6, 1e-9)
                    total += float(known.pair_energy(p[row], n[row], width).sum())
                    events += p.shape[1]
        return total, events

    for found, (joules, events) in (
        (counts.forward[0], wanted(done.inputs[0], 0, False)),
        (counts.forward[1], wanted(done.inputs[1], 1, False)),
        (counts.backward[1], wanted(done.errors[1], 1, True)),
    ):
        assert found.energy == pytest.approx(joules, rel=1e-4)
        assert found.events == events
    assert counts.backward[0].events == 0
    look = known.pair_energy(pairs.g[:count], pairs.g[count:], 1e-6).sum()
    assert counts.look.energy == pytest.approx(look, rel=1e-4)
    assert counts.look.events == count


def test_counts_add_up_and_survive_json() -> None:
    first, second = Counts(images=2, set_pulses=np.array([1, 2])), Counts(images=3, set_energy=1e-12)
    first.add(second)
    first.add(Counts(set_pulses=np.array([1, 1, 1])))
    assert (first.images, first.set_energy, first.set_pulses.tolist()) == (5, 1e-12, [2, 3, 1])
    again = counts_from_json(first.to_json())
    assert again.to_json() == first.to_json()


# How near the reading stays to the truth between looks


@pytest.mark.parametrize("batch", [1, 10, 250])
def test_what_devices_read_stays_near_their_drift_between_looks(batch: int) -> None:
    """Every batch of random pulses: within 3.5 % from half an interval after a pulse, 17 % before."""
    quiet, count, interval = operation("without_noise"), 300, 100
    memory = PairMemory(pcm.fresh_pairs(count, quiet, share=0.5, rng=rng()), quiet, interval, batch)
    pairs, draws, counts = memory.pairs, rng(1), Counts()
    memory.catch_up(0)
    older, younger = [], []
    for now in range(batch, 3001, batch):
        found = draws.choice(count, 2, replace=False), draws.choice([-1.0, 1.0], 2)
        memory.program(found, now=now, rng=draws, counts=counts)
        if now // interval > (now - batch) // interval:
            memory.look(now, rng=draws, counts=counts)
        age = (now + (batch + 1) / 2 - pairs.programmed) * quiet.image_time
        off = np.abs(pairs.read / known.drifted(pairs.g, age) - 1)
        settled = age >= interval / 2 * quiet.image_time
        older.append(off[settled].max(initial=0.0))
        younger.append(off[~settled].max(initial=0.0))
    assert 0 < max(older) < 0.035
    assert max(younger) < 0.175
