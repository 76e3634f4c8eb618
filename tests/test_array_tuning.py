"""Tuning: columns fitted, thresholds searched, class scores fitted; on training data alone."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize

from nn.passive_array.perceptrons import Perceptrons, one_hot, sample_losses, softmax
from nn.passive_array.reading import Measured, hidden_patterns
from nn.passive_array.splits import Splits, draw_splits, wine
from nn.passive_array.training import Recipe, train
from nn.passive_array.tuning import (
    FINEST,
    RIDGE,
    Periphery,
    class_scores,
    fit_classes,
    fit_columns,
    hidden_bits,
    look_up,
    pattern_numbers,
    search_thresholds,
    untuned,
)

SOLUTIONS = 12


@cache
def trained() -> tuple[Splits, Perceptrons]:
    splits = draw_splits(*wine(), seeds=range(SOLUTIONS))
    return splits, train(splits, Recipe(epochs=60)).networks


def software_arrays() -> Measured:
    """What arrays without fault would tell."""
    splits, networks = trained()
    rows = np.concatenate([hidden_patterns(networks.width), np.ones((2**networks.width, 1))], axis=1)
    return Measured(
        train=networks.sums(splits.train_inputs),
        test=networks.sums(splits.test_inputs),
        scores=rows @ networks.output.astype(float),
    )


def faulty_arrays(seed: int = 0) -> tuple[Measured, np.ndarray, np.ndarray]:
    """Arrays with a gain and an offset in every column, and those of the first layer."""
    good, rng = software_arrays(), np.random.default_rng(seed)
    width, classes = good.train.shape[2], good.scores.shape[2]
    gain, offset = rng.uniform(0.4, 1.1, (SOLUTIONS, 1, width)), rng.normal(0, 2, (SOLUTIONS, 1, width))
    class_gain = rng.uniform(0.4, 1.1, (SOLUTIONS, 1, classes))
    class_offset = rng.normal(0, 2, (SOLUTIONS, 1, classes))
    faulty = Measured(
        gain * good.train + offset, gain * good.test + offset, class_gain * good.scores + class_offset
    )
    return faulty, gain[:, 0], offset[:, 0]


def noisy_arrays() -> Measured:
    """Arrays that also say something random."""
    rng, faulty = np.random.default_rng(1), faulty_arrays()[0]
    return Measured(*(part + rng.normal(0, 0.5, part.shape) for part in vars(faulty).values()))


def assert_same(one: Periphery, other: Periphery) -> None:
    for each in fields(Periphery):
        np.testing.assert_array_equal(getattr(one, each.name), getattr(other, each.name))


def test_an_untuned_periphery_on_good_arrays_decides_as_software() -> None:
    splits, networks = trained()
    good = software_arrays()
    scores = class_scores(good.test, good, untuned(networks))
    np.testing.assert_allclose(scores, networks.scores(splits.test_inputs), rtol=1e-12, atol=1e-12)


def test_fitting_the_columns_undoes_gains_and_offsets() -> None:
    splits, networks = trained()
    faulty, gain, offset = faulty_arrays()
    before = class_scores(faulty.test, faulty, untuned(networks)).argmax(axis=2)
    found = fit_columns(networks, faulty, splits.train_inputs)
    np.testing.assert_allclose(found.gain, 1 / gain, rtol=1e-9)
    np.testing.assert_allclose(found.offset, -offset / gain, rtol=1e-9, atol=1e-9)
    after = class_scores(faulty.test, faulty, found)
    np.testing.assert_allclose(after, networks.scores(splits.test_inputs), rtol=1e-8, atol=1e-8)
    assert np.mean(before == networks.decisions(splits.test_inputs)) < 0.95


def test_a_column_that_says_nothing_is_left_at_unit_gain() -> None:
    splits, networks = trained()
    good = software_arrays()
    sums = good.train.copy()
    sums[:, :, 2] = 0.7
    found = fit_columns(networks, replace(good, train=sums), splits.train_inputs)
    np.testing.assert_array_equal(found.gain[:, 2], 1.0)
    for each in fields(Periphery):
        assert np.isfinite(getattr(found, each.name)).all()
    tuned = search_thresholds(found, replace(good, train=sums), splits.train_labels)
    for each in fields(Periphery):
        assert np.isfinite(getattr(tuned, each.name)).all()


def test_no_tuned_parameter_depends_on_test_samples() -> None:
    splits, networks = trained()
    seen = noisy_arrays()
    unseen = replace(seen, test=np.full_like(seen.test, np.nan))
    columns = [fit_columns(networks, each, splits.train_inputs) for each in (seen, unseen)]
    assert_same(*columns)
    assert_same(*(search_thresholds(columns[0], each, splits.train_labels) for each in (seen, unseen)))


def test_tuning_one_solution_does_not_depend_on_the_others() -> None:
    splits, networks = trained()
    seen = noisy_arrays()
    part = slice(4, 6)
    alone = Measured(*(each[part] for each in vars(seen).values()))
    columns = fit_columns(networks, seen, splits.train_inputs)
    few = fit_columns(networks.part(part), alone, splits.train_inputs[part])
    many_tuned = search_thresholds(columns, seen, splits.train_labels)
    few_tuned = search_thresholds(few, alone, splits.train_labels[part])
    for many, one in ((columns, few), (many_tuned, few_tuned)):
        for each in fields(Periphery):
            np.testing.assert_allclose(
                getattr(many, each.name)[part], getattr(one, each.name), rtol=1e-9, atol=1e-9
            )


def ridged_loss(
    now: np.ndarray, start: np.ndarray, found: np.ndarray, target: np.ndarray, scale: float
) -> float:
    """The loss of one solution that class gains and offsets minimise, spelled out."""
    classes = found.shape[1]
    scores = scale * (now[:classes] * found + now[classes:])
    return sample_losses(softmax(scores), target).mean() + 0.5 * RIDGE * float(np.sum((now - start) ** 2))


def test_class_gains_and_offsets_are_those_of_least_cross_entropy() -> None:
    splits, networks = trained()
    measured = noisy_arrays()
    start = fit_columns(networks, measured, splits.train_inputs)
    target = one_hot(splits.train_labels, 3)
    fitted = fit_classes(start, start, measured, target)
    found = look_up(measured.scores, pattern_numbers(hidden_bits(measured.train, start)))
    scale = 3 / math.sqrt(networks.width + 1)
    for n in range(3):
        anchor = np.concatenate([start.class_gain[n], start.class_offset[n]])
        known = (anchor, found[n], target[n : n + 1], scale)
        best = minimize(ridged_loss, anchor, args=known, method="BFGS", options={"gtol": 1e-7})
        ours = np.concatenate([fitted.class_gain[n], fitted.class_offset[n]])
        assert best.fun < ridged_loss(anchor, *known)
        np.testing.assert_allclose(ours, best.x, atol=2e-4)


@pytest.mark.parametrize("doubt", [0.0, 0.3, 0.8])
def test_a_searched_threshold_is_the_one_of_least_expected_loss(doubt: float) -> None:
    splits, _ = trained()
    measured = noisy_arrays()
    one = Measured(measured.train[:1, :, :1], measured.test[:1, :, :1], measured.scores[:1, :2])
    start = Periphery(
        gain=np.array([[1.3]]),
        offset=np.array([[0.2]]),
        threshold=np.array([[9.0]]),
        class_gain=np.ones((1, 3)),
        class_offset=np.zeros((1, 3)),
        doubt=np.array([[doubt]]),
    )
    labels = splits.train_labels[:1]
    target = one_hot(labels, 3)
    used = fit_classes(start, start, one, target)  # the class scores that the search holds
    found = search_thresholds(start, one, labels, sweeps=1).threshold[0, 0]
    sums = 1.3 * one.train[0, :, 0] + 0.2
    scores = used.class_gain[0] * one.scores[0] + used.class_offset[0]
    losses = -np.log(softmax(3 / math.sqrt(2) * scores))  # (pattern, class)

    def expected(threshold: float) -> float:
        total = 0.0
        for value, label in zip(sums, labels[0], strict=True):
            silent = 0.5 * (1 + math.erf((threshold - value) / max(doubt, FINEST) / math.sqrt(2)))
            total += silent * losses[0, label] + (1 - silent) * losses[1, label]
        return total

    ordered = np.sort(sums)
    tried = [ordered[0] - 1, *(0.5 * (ordered[1:] + ordered[:-1])), ordered[-1] + 1]
    assert found == pytest.approx(min(tried, key=expected), rel=1e-12)
    assert expected(found) < 0.97 * expected(9.0)


def test_doubt_is_what_the_first_level_leaves_and_knows_no_label() -> None:
    splits, networks = trained()
    measured = noisy_arrays()
    found = fit_columns(networks, measured, splits.train_inputs)
    left = found.gain[:, None] * measured.train + found.offset[:, None] - networks.sums(splits.train_inputs)
    np.testing.assert_allclose(found.doubt, left.std(axis=1), rtol=1e-9)
    perfect = fit_columns(networks, software_arrays(), splits.train_inputs)
    np.testing.assert_allclose(perfect.doubt, 0.0, atol=1e-12)
    assert found.doubt.min() > 0.01


def test_searching_thresholds_mends_thresholds_that_were_shifted() -> None:
    splits, networks = trained()
    good = software_arrays()
    shifted = untuned(networks)
    shifted = replace(
        shifted, threshold=shifted.threshold + np.random.default_rng(0).choice([-4, 4], (12, 7))
    )

    def right(periphery: Periphery) -> float:
        decisions = class_scores(good.test, good, periphery).argmax(axis=2)
        return float(np.mean(decisions == splits.test_labels))

    tuned = search_thresholds(shifted, good, splits.train_labels)
    assert right(shifted) < right(untuned(networks)) - 0.1
    assert right(tuned) > right(untuned(networks)) - 0.03


def test_the_second_level_lowers_the_training_loss_of_the_first() -> None:
    splits, networks = trained()
    measured = noisy_arrays()
    target = one_hot(splits.train_labels, 3)
    scale = 3 / math.sqrt(networks.width + 1)
    columns = fit_columns(networks, measured, splits.train_inputs)
    first, second = (
        sample_losses(softmax(scale * class_scores(measured.train, measured, each)), target).mean()
        for each in (columns, search_thresholds(columns, measured, splits.train_labels))
    )
    assert second < 0.8 * first
