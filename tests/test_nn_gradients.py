"""Every gradient against central differences, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nn import activations, layers
from nn.arrays import Floats
from nn.losses import squared_hinge
from nn.network import RELU, Layer, backward, forward
from nn.synapse import Synapses

RNG = np.random.default_rng(0)
STEP = 1e-6


def difference(function: Callable[[], float], array: Floats) -> Floats:
    """Central differences of a scalar with respect to each entry of an array it reads."""
    slopes = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + STEP
        above = function()
        array[index] = kept - STEP
        slopes[index] = (above - function()) / (2 * STEP)
        array[index] = kept
    return slopes


def test_dense_gradients_are_the_slopes() -> None:
    x, weights, upstream = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=(5, 3))

    def scalar() -> float:
        return float(np.sum(layers.dense(x, weights) * upstream))

    np.testing.assert_allclose(
        layers.dense_weight_gradient(x, upstream), difference(scalar, weights), rtol=1e-7, atol=1e-8
    )
    np.testing.assert_allclose(
        layers.dense_input_gradient(weights, upstream), difference(scalar, x), rtol=1e-7, atol=1e-8
    )


def test_batch_norm_gradients_are_the_slopes() -> None:
    x, scale, shift = RNG.normal(size=(7, 3)) * 2 + 1, RNG.normal(size=3), RNG.normal(size=3)
    upstream = RNG.normal(size=(7, 3))

    def scalar() -> float:
        return float(np.sum(layers.batch_norm(x, scale, shift)[0] * upstream))

    _, kept = layers.batch_norm(x, scale, shift)
    inner, scale_slope, shift_slope = layers.batch_norm_gradient(kept, upstream.copy())
    np.testing.assert_allclose(inner, difference(scalar, x), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(scale_slope, difference(scalar, scale), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(shift_slope, difference(scalar, shift), rtol=1e-6, atol=1e-8)


def test_batch_norm_at_test_time_is_that_of_the_batch_it_took_its_statistics_from() -> None:
    x, scale, shift = RNG.normal(size=(50, 3)) * 3 + 2, RNG.normal(size=3), RNG.normal(size=3)
    of_batch, _ = layers.batch_norm(x, scale, shift)
    at_test = layers.batch_norm_at(x, mean=x.mean(axis=0), variance=x.var(axis=0), scale=scale, shift=shift)
    np.testing.assert_allclose(at_test, of_batch, rtol=1e-10, atol=1e-12)


def test_squared_hinge_gradient_is_the_slope() -> None:
    scores, labels = RNG.normal(size=(6, 4)) * 1.5, RNG.integers(0, 4, 6)
    _, gradient = squared_hinge(scores, labels)
    slopes = difference(lambda: squared_hinge(scores, labels)[0], scores)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)


def test_squared_hinge_is_zero_beyond_the_margin_and_four_at_one_class_wrong_by_one() -> None:
    labels = np.array([1])
    assert squared_hinge(np.array([[-1.5, 2.0]]), labels)[0] == 0.0
    assert squared_hinge(np.array([[1.0, 2.0]]), labels)[0] == 4.0


def test_relu_derivative_is_the_slope_away_from_its_kink() -> None:
    x = np.array([-2.0, -0.5, 0.5, 2.0])
    slopes = difference(lambda: float(activations.relu(x).sum()), x)
    np.testing.assert_allclose(activations.relu_derivative(x), slopes, atol=1e-9)


def test_the_ternary_activation_has_three_values_and_a_zero_window() -> None:
    x = np.array([-2.0, -0.51, -0.5, 0.0, 0.5, 0.51, 2.0])
    assert activations.ternary(x, window=0.5).tolist() == [-1, -1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(("window", "half_width"), [(0.5, 0.5), (0.5, 0.25), (1.0, 0.5)])
def test_the_surrogate_derivative_has_the_area_of_both_steps(window: float, half_width: float) -> None:
    x = np.linspace(-3, 3, 600_001)
    slope = activations.ternary_derivative(x, window=window, half_width=half_width)
    assert slope.sum() * (x[1] - x[0]) == pytest.approx(2.0, rel=1e-3)
    assert slope[np.abs(x) > window + half_width].sum() == 0
    assert slope[np.abs(np.abs(x) - window) < 0.9 * half_width].min() == 0.5 / half_width


def test_a_networks_gradients_are_the_slopes() -> None:
    x, labels = RNG.normal(size=(8, 5)).astype(np.float32), RNG.integers(0, 3, 8)
    network = [
        Layer(
            Synapses(RNG.normal(size=shape).astype(np.float32), np.zeros(shape, np.bool_)),
            *(RNG.uniform(0.5, 1.5, shape[1]).astype(np.float32) for _ in range(4)),
        )
        for shape in ((5, 6), (6, 3))
    ]
    # Float32 throughout, as trained, so the step is wide and the tolerance loose; each part is checked above.
    scores, kept = forward(network, x, RELU)
    found = backward(kept, squared_hinge(scores, labels)[1], RELU)
    for layer, gradients in zip(network, found, strict=True):
        for parameter, gradient in (
            (layer.synapses.weights, gradients.weights),
            (layer.scale, gradients.scale),
            (layer.shift, gradients.shift),
        ):
            direction = np.sign(gradient).astype(np.float32)
            losses = []
            for step in (1e-3, -1e-3):
                parameter += np.float32(step) * direction
                losses.append(squared_hinge(forward(network, x, RELU)[0], labels)[0])
                parameter -= np.float32(step) * direction
            slope = (losses[0] - losses[1]) / 2e-3
            assert slope == pytest.approx(float(np.abs(gradient).sum()), rel=0.03)
