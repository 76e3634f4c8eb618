"""Columns read by the table's currents: against a direct computation, cell by cell and tile by tile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nn.arms import experiment_readout
from nn.network import backward, build, calibrate, forward, predict, ternary_activation
from nn.readout import Readout
from nn.run import run
from nn.synapse import STATES, Synapses, compile_device
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable
from tests.synthetic_tables import READ_CURRENT, read_table, tables, write_table
from tests.test_nn_train import small

IDEAL = np.outer((-1, 0, 0, 1), (-1, 0, 1)).astype(float)
UNEVEN = np.array([[1.02, 0.01, -0.97], [0.03, 0.02, 0.05], [0.11, 0.04, -0.06], [-0.99, 0.03, 1.05]])
PLANES = 4


def readout(currents: np.ndarray, *, bits: int | None, reach: float = 32.0, tile: int = 128) -> Readout:
    return Readout(currents=currents, unit=7e-6, tile=tile, planes=PLANES, bits=bits, reach=reach)


def synapses_of(rows: int, columns: int, *, strong: float = 0.0, seed: int = 0) -> Synapses:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-1, 2, (rows, columns)).astype(np.int8)
    return Synapses(weights, rng.random((rows, columns)) < strong)


def levels_of(images: int, rows: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2**PLANES, (images, rows))


def inputs_of(levels: np.ndarray) -> np.ndarray:
    return (levels / (2**PLANES - 1)).astype(np.float32)


def ternary_inputs(images: int, rows: int) -> np.ndarray:
    return np.random.default_rng(2).integers(-1, 2, (images, rows)).astype(np.float32)


def directly(reading: Readout, reads: list[np.ndarray], synapses: Synapses) -> np.ndarray:
    """Column sums in float64, one cell's current after the other; ``reads`` from the lowest plane up."""
    state = np.select(
        [synapses.weights == -1, synapses.weights == 1, synapses.strong], [0, 3, 2], default=1
    )  # ap_p, p_ap, p_p, ap_ap
    images, columns = len(reads[0]), state.shape[1]
    sums = np.zeros((images, columns))
    for plane, read in enumerate(reads):
        for begin in range(0, state.shape[0], reading.tile):
            for image in range(images):
                for column in range(columns):
                    current = 0.0
                    for row in range(begin, min(begin + reading.tile, state.shape[0])):
                        current += reading.currents[state[row, column], int(read[image, row]) + 1]
                    if reading.bits is not None:
                        most = 2 ** (reading.bits - 1) - 1
                        code = round(current / (reading.reach / most))
                        current = max(-most, min(most, code)) * reading.reach / most
                    sums[image, column] += 2**plane * current
    return sums


@pytest.mark.parametrize("tile", [1, 5, 12, 13, 64])
@pytest.mark.parametrize("bits", [None, 2, 4, 6, 8])
@pytest.mark.parametrize("strong", [0.0, 0.4])
def test_column_sums_are_those_of_the_cells_one_by_one(tile: int, bits: int | None, strong: float) -> None:
    reading = readout(UNEVEN, bits=bits, reach=4.3173, tile=tile)
    synapses, levels = synapses_of(13, 3, strong=strong), levels_of(7, 13)
    planes = [(levels >> plane) & 1 for plane in range(PLANES)]
    found = reading(inputs_of(levels), synapses, first=True)
    np.testing.assert_allclose(found, directly(reading, planes, synapses) / 15, rtol=1e-5, atol=1e-5)
    x = ternary_inputs(7, 13)
    found = reading(x, synapses, first=False)
    np.testing.assert_allclose(found, directly(reading, [x], synapses), rtol=1e-5, atol=1e-5)


def test_many_images_are_read_as_one_by_one() -> None:
    reading, synapses = readout(UNEVEN, bits=6, tile=32), synapses_of(70, 4)
    x = inputs_of(levels_of(600, 70))
    one_by_one = np.concatenate([reading(each[None], synapses, first=True) for each in x])
    np.testing.assert_allclose(reading(x, synapses, first=True), one_by_one, rtol=0, atol=1e-5)


def test_ideal_currents_without_a_converter_are_the_ideal_product() -> None:
    reading, synapses = readout(IDEAL, bits=None), synapses_of(300, 9, strong=0.5)
    levels, x = levels_of(20, 300), ternary_inputs(20, 300)
    weights = synapses.weights.astype(np.float32)
    exact = (levels @ synapses.weights.astype(int)).astype(np.float32) * np.float32(1 / 15)
    np.testing.assert_array_equal(reading(inputs_of(levels), synapses, first=True), exact)
    np.testing.assert_allclose(inputs_of(levels) @ weights, exact, atol=1e-4)  # which rounds each product
    np.testing.assert_array_equal(reading(x, synapses, first=False), x @ weights)


def test_a_converter_of_whole_steps_changes_no_sum_within_its_range() -> None:
    reading, synapses = readout(IDEAL, bits=9, reach=255.0), synapses_of(300, 9)
    plain, x = readout(IDEAL, bits=None), inputs_of(levels_of(20, 300))
    np.testing.assert_array_equal(reading(x, synapses, first=True), plain(x, synapses, first=True))


def test_sums_beyond_the_range_are_cut_tile_by_tile() -> None:
    synapses = Synapses(np.ones((256, 2), np.int8), np.zeros((256, 2), np.bool_))
    x = np.ones((1, 256), np.float32)
    assert readout(IDEAL, bits=6, reach=31.0)(x, synapses, first=False) == pytest.approx(2 * 31)
    assert readout(IDEAL, bits=6, reach=31.0, tile=256)(-x, synapses, first=False) == pytest.approx(-31)
    assert readout(IDEAL, bits=6, reach=31.0)(x, synapses, first=True) == pytest.approx(2 * 31)


def test_the_whole_training_step_is_the_plain_one_where_currents_are_ideal() -> None:
    activation = ternary_activation(window=0.5, half_width=0.5)
    network = build((70, 20, 10), ternary=True, strong_zero=False, rng=np.random.default_rng(3))
    reading = replace(readout(IDEAL, bits=None, tile=16), planes=1)
    x = np.random.default_rng(4).integers(0, 2, (50, 70)).astype(np.float32)
    plain, kept = forward(network, x, activation)
    read, kept_of_read = forward(network, x, activation, reading)
    np.testing.assert_array_equal(plain, read)
    gradient = np.random.default_rng(5).normal(size=plain.shape).astype(np.float32)
    for one, other in zip(
        backward(kept, gradient, activation), backward(kept_of_read, gradient, activation), strict=True
    ):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.scale, other.scale)
    calibrate(network, x, activation, reading)
    statistics = [layer.variance.copy() for layer in network]
    calibrate(network, x, activation)
    np.testing.assert_array_equal(statistics[1], network[1].variance)
    np.testing.assert_array_equal(
        predict(network, x, activation)[0], predict(network, x, activation, reading)[0]
    )


def test_a_trained_network_needs_no_more_than_a_fine_converter_and_fails_with_a_coarse_one(
    tmp_path: Path,
) -> None:
    accuracy = {
        bits: run(
            small(seeds=[1], epochs=10, adc_bits=bits),
            tables(),
            folder=tmp_path / str(bits),
            arms=["table_read"],
        )["read_accuracy"]
        for bits in (2, 8)
    }
    assert accuracy[8] > 88
    assert accuracy[2] < accuracy[8] - 5


def test_the_readout_is_the_tables_at_the_experiments_settings() -> None:
    experiment = small(v_read=0.2, tile=64, adc_bits=5, adc_range=0.4)
    device = compile_device(
        write_table(), read_table(), v_write=0.5, step=50e-12, v_read=0.2, t_read=1e-9, zero="auto"
    )
    reading = experiment_readout(experiment, device)
    assert reading.unit == pytest.approx(14e-6, rel=1e-9)
    assert (reading.tile, reading.bits, reading.planes) == (64, 5, 4)
    assert reading.reach == pytest.approx(0.4 * 64)
    assert reading.step == pytest.approx(reading.reach / 15)
    wanted = 1e-6 * np.array([READ_CURRENT[state] for state in STATES])
    np.testing.assert_allclose(reading.currents * reading.unit, wanted)


@pytest.mark.parametrize("what", ["none", "zero", "turned"])
def test_tables_without_currents_that_tell_weights_apart_are_refused_before_any_training(
    tmp_path: Path, what: str
) -> None:
    whole = read_table()
    data = whole.data.drop_vars("current") if what == "none" else whole.data.copy(deep=True)
    if what != "none":
        data["current"] *= {"zero": 0.0, "turned": -1.0}[what]
    given = tables() | {"synapse_read": LookupTable(data=data, name=whole.name, lineage={}, origin={})}
    seen: list[object] = []
    match = "leave the arm out: --arms table,ideal,float,table_spread"
    with pytest.raises(SpicebridgeError, match=match) as caught:
        run(small(), given, folder=tmp_path / "run", progress=seen.append)
    assert "synapse_read" in str(caught.value)
    assert not seen
    assert not (tmp_path / "run").exists()
    run(small(seeds=[1], epochs=1), given, folder=tmp_path / "run", arms=["table", "table_spread"])
