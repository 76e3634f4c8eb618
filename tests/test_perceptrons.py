"""Binary perceptrons: splits, gradients, training of many at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn.passive_array.perceptrons import (
    Parameters,
    Perceptrons,
    backward,
    distinct,
    forward,
    one_hot,
    sample_losses,
    sign,
    softmax,
)
from nn.passive_array.splits import Splits, draw_splits, wine
from nn.passive_array.training import Recipe, hidden_scale, train
from spicebridge.errors import SpicebridgeError

FEATURES, LABELS = wine()
SHORT = Recipe(epochs=12)
NAMES = ("hidden", "threshold", "output", "offset")


def splits_of(*seeds: int) -> Splits:
    return draw_splits(FEATURES, LABELS, seeds=seeds)


def test_every_solution_has_its_own_stratified_split() -> None:
    splits = splits_of(*range(20))
    assert splits.train.shape == (20, 135)
    assert splits.test.shape == (20, 43)
    for train_part, test_part in zip(splits.train, splits.test, strict=True):
        assert set(train_part).isdisjoint(test_part)
        assert len(set(train_part)) == 135
        assert np.bincount(LABELS[test_part]).tolist() == [14, 17, 12]
        assert np.bincount(LABELS[train_part]).tolist() == [45, 54, 36]
    assert len({tuple(each) for each in splits.test}) == 20
    np.testing.assert_array_equal(splits.test_labels, LABELS[splits.test])


def test_a_split_depends_on_its_seed_only() -> None:
    several, alone = splits_of(3, 7, 11), splits_of(7)
    np.testing.assert_array_equal(several.train_inputs[1], alone.train_inputs[0])
    np.testing.assert_array_equal(several.test_inputs[1], alone.test_inputs[0])
    np.testing.assert_array_equal(several.part(slice(1, 2)).test, alone.test)


def test_inputs_are_scaled_by_the_training_part_alone() -> None:
    known = splits_of(5)
    moved = FEATURES.copy()
    moved[known.test[0]] *= 1e6
    again = draw_splits(moved, LABELS, seeds=[5])
    np.testing.assert_array_equal(again.train_inputs, known.train_inputs)
    raw = FEATURES[known.train[0]]
    expected = np.clip((raw - raw.mean(axis=0)) / raw.std(axis=0) / 2.5, -1, 1)
    np.testing.assert_allclose(known.train_inputs[0, :, :13], expected, atol=1e-6)
    assert np.abs(again.test_inputs).max() == 1.0


def test_the_last_rows_are_constant_and_a_constant_feature_is_no_trouble() -> None:
    features = np.column_stack([FEATURES, np.full(len(FEATURES), 4.0)])
    splits = draw_splits(features, LABELS, seeds=[0], constant_rows=2)
    assert splits.train_inputs.shape[-1] == 16
    assert np.all(splits.train_inputs[..., -2:] == 1)
    assert np.all(splits.train_inputs[..., 13] == 0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"seeds": [1, 1]}, "none twice"),
        ({"seeds": []}, "at least one"),
        ({"seeds": [0], "train": 140, "test": 43}, "178 samples cannot be split into 140"),
        ({"seeds": [0], "test": 0}, "0 for testing"),
    ],
)
def test_a_split_that_cannot_be_is_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(SpicebridgeError, match=told):
        draw_splits(FEATURES, LABELS, **settings)


def random_parameters(rng: np.random.Generator) -> Parameters:
    return Parameters(
        hidden=rng.normal(size=(2, 5, 4)),
        hidden_bias=rng.normal(size=(2, 1, 4)),
        output=rng.normal(size=(2, 5, 3)),
        output_bias=rng.normal(size=(2, 1, 3)),
    )


def slopes_by_difference(function: Callable[[], float], array: np.ndarray) -> np.ndarray:
    slopes, step = np.zeros_like(array), 1e-6
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = function()
        array[index] = kept - step
        slopes[index] = (above - function()) / (2 * step)
        array[index] = kept
    return slopes


@pytest.mark.parametrize(
    ("activation", "names"),
    [(np.tanh, ("hidden", "hidden_bias", "output", "output_bias")), (sign, ("output", "output_bias"))],
)
def test_gradients_are_the_slopes_of_the_loss(
    activation: Callable[[np.ndarray], np.ndarray], names: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(0)
    parameters, inputs = random_parameters(rng), rng.normal(size=(2, 9, 5))
    target, scale = one_hot(rng.integers(0, 3, (2, 9)), 3), rng.uniform(0.3, 0.6, (2, 1, 1))

    def loss() -> float:
        kept = forward(parameters, inputs, scale=scale, activation=activation)
        return float(sample_losses(kept.p, target).mean(axis=1).sum())

    kept = forward(parameters, inputs, scale=scale, activation=activation)
    found = backward(parameters, inputs, kept, target, scale=scale)
    for name in names:
        expected = slopes_by_difference(loss, getattr(parameters, name))
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-6, atol=1e-9)


def test_a_sign_neuron_passes_on_the_gradient_of_a_tanh_of_the_same_sum() -> None:
    rng = np.random.default_rng(1)
    parameters, inputs = random_parameters(rng), rng.normal(size=(2, 1, 5))
    target, scale = one_hot(np.array([[0], [2]]), 3), np.ones((2, 1, 1))
    kept = forward(parameters, inputs, scale=scale)
    found = backward(parameters, inputs, kept, target, scale=scale)
    upstream = (kept.p - target) * 3 / np.sqrt(5)
    inner = upstream @ parameters.output[:, :4].transpose(0, 2, 1) / np.cosh(kept.z) ** 2
    np.testing.assert_allclose(found.hidden_bias, inner, rtol=1e-12)
    np.testing.assert_allclose(found.hidden, inputs.transpose(0, 2, 1) @ inner, rtol=1e-12)


@given(seed=st.integers(0, 2**32), rows=st.integers(1, 6), width=st.integers(1, 5))
def test_the_batched_forward_is_the_sum_of_signs_spelled_out(seed: int, rows: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    networks = Perceptrons(
        hidden=rng.choice(np.array([-1, 1], np.int8), (2, rows, width)),
        threshold=rng.normal(size=(2, width)),
        output=rng.choice(np.array([-1, 1], np.int8), (2, width + 1, 3)),
        offset=rng.normal(size=(2, 3)),
    )
    inputs = rng.uniform(-1, 1, (2, 4, rows))
    for n in range(2):
        for m in range(4):
            fired = []
            for j in range(width):
                total = sum(inputs[n, m, i] * int(networks.hidden[n, i, j]) for i in range(rows))
                fired.append(1 if total >= networks.threshold[n, j] else -1)
            scores = [
                sum(h * int(w) for h, w in zip([*fired, 1], networks.output[n, :, k], strict=True))
                + networks.offset[n, k]
                for k in range(3)
            ]
            np.testing.assert_allclose(networks.scores(inputs)[n, m], scores, rtol=1e-12, atol=1e-12)
            assert networks.decisions(inputs)[n, m] == scores.index(max(scores))


def test_a_sum_at_its_threshold_fires_and_of_equal_scores_the_first_wins() -> None:
    networks = Perceptrons(
        hidden=np.array([[[1], [-1]]], np.int8),
        threshold=np.zeros((1, 1)),
        output=np.array([[[1, -1, 1], [1, 1, 1]]], np.int8),
        offset=np.zeros((1, 3)),
    )
    inputs = np.array([[[0.5, 0.5]]])
    assert networks.bits(inputs).tolist() == [[[True]]]
    assert networks.scores(inputs).tolist() == [[[2.0, 0.0, 2.0]]]
    assert networks.decisions(inputs).tolist() == [[0]]
    assert sign(np.array([-0.0, 0.0, -1e-30])).tolist() == [1, 1, -1]


def test_probabilities_are_those_of_large_scores_too() -> None:
    p = softmax(np.array([[[1000.0, 0.0, -1000.0], [0.0, 0.0, np.log(2)]]]))
    np.testing.assert_allclose(p, [[[1, 0, 0], [0.25, 0.25, 0.5]]], atol=1e-15)
    assert np.isfinite(sample_losses(p, one_hot(np.array([[2, 2]]), 3))).all()


def test_trained_weights_are_binary_and_their_loss_is_the_one_told() -> None:
    splits = splits_of(*range(6))
    trained = train(splits, SHORT)
    networks = trained.networks
    assert set(np.unique(networks.hidden)) == set(np.unique(networks.output)) == {-1, 1}
    p = softmax(networks.scores(splits.train_inputs) * 3 / np.sqrt(networks.width + 1))
    loss = sample_losses(p, one_hot(splits.train_labels, 3)).mean(axis=1)
    np.testing.assert_allclose(trained.loss, loss, rtol=1e-4)


@pytest.mark.parametrize("recipe", [SHORT, replace(SHORT, flips=0.02, noise=0.1)])
def test_a_network_is_the_same_whatever_is_trained_beside_it(recipe: Recipe) -> None:
    many, few = train(splits_of(*range(10)), recipe), train(splits_of(9, 4), recipe)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(many.networks, name)[[9, 4]], getattr(few.networks, name))
    np.testing.assert_array_equal(many.epoch[[9, 4]], few.epoch)


def test_other_seeds_give_other_weights_and_doubles_are_counted_once() -> None:
    networks = train(splits_of(*range(8)), SHORT).networks
    assert distinct(networks) == 8
    doubled = Perceptrons(*(np.concatenate([getattr(networks, name)] * 2) for name in NAMES))
    assert distinct(doubled) == 8


def test_the_snapshot_kept_is_the_best_of_those_looked_at() -> None:
    splits = splits_of(0, 1, 2, 3)
    every = train(splits, replace(SHORT, epochs=30, unsettled=0.0))
    late = train(splits, replace(SHORT, epochs=30, unsettled=0.9))
    assert np.all(every.loss <= late.loss)
    assert np.all(late.epoch > 27)
    assert np.any(every.loss < late.loss)


def test_training_learns_the_wine() -> None:
    splits = splits_of(*range(30))
    trained = train(splits, Recipe(epochs=100))
    correct = trained.networks.decisions(splits.test_inputs) == splits.test_labels
    assert correct.mean() > 0.92
    assert (trained.networks.decisions(splits.train_inputs) == splits.train_labels).mean() > 0.97


def test_hardware_aware_training_makes_weights_that_stand_flips() -> None:
    splits = splits_of(*range(30))
    disturbed = []
    for recipe in (Recipe(epochs=100), Recipe(epochs=100, flips=0.05, noise=0.15)):
        networks = train(splits, recipe).networks
        rng, losses = np.random.default_rng(0), []
        for _ in range(10):
            flipped = replace(
                networks,
                hidden=networks.hidden * rng.choice([-1, 1], networks.hidden.shape, p=[0.05, 0.95]),
                output=networks.output * rng.choice([-1, 1], networks.output.shape, p=[0.05, 0.95]),
            )
            p = softmax(flipped.scores(splits.train_inputs) * 3 / np.sqrt(8))
            losses.append(sample_losses(p, one_hot(splits.train_labels, 3)).mean())
        disturbed.append(np.mean(losses))
    assert disturbed[1] < disturbed[0]


def test_hidden_sums_of_random_weights_are_scaled_to_unit_size() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (1, 400, 15))
    sums = inputs @ rng.choice([-1, 1], (1, 15, 200)) * hidden_scale(inputs)
    assert sums.std() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"flips": 0.5}, {"noise": -0.1}, {"unsettled": 1.0}])
def test_a_recipe_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SpicebridgeError, match=next(iter(wrong))):
        replace(SHORT, **wrong)
