"""Checkpoints from elsewhere: one that goes on, or one sentence; and nothing of a refused one is taken."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn.checkpoint import restore, save_state
from nn.counts import UpdateCounts
from nn.network import Layer
from nn.optimizer import Adam
from nn.state import Moments, State
from nn.synapse import Synapses
from spicebridge.errors import SpicebridgeError

SHAPE = (6, 4)


def fresh(seed: int = 1) -> State:
    weights = np.zeros(SHAPE, np.int8)
    ones = [np.ones(SHAPE[1], np.float32) for _ in range(4)]
    layer = Layer(Synapses(weights, np.zeros(SHAPE, bool)), *ones)
    adam = [
        Adam(np.zeros(shape, np.float32), np.zeros(shape, np.float32), 0.9, 0.999) for shape in (SHAPE, 4, 4)
    ]
    generators = [np.random.default_rng([seed, each]) for each in (1, 2)]
    return State((layer,), (Moments(*adam),), *generators, UpdateCounts(), [], 0.0)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    state = fresh()
    state.network[0].synapses.weights[:] = 1
    state.history = [{"epoch": 1, "loss": 0.5, "test_accuracy": 0.9}]
    state.counts.pulses["ap_to_p"] = np.array([0, 3, 1])
    state.counts.inputs = np.array([7])
    state.seconds = 2.0
    save_state(tmp_path / "kept.npz", state, "mine")
    return tmp_path / "kept.npz"


def contents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(str(arrays.pop("rest")))


def rewrite(path: Path, arrays: dict[str, Any], rest: Any) -> None:
    np.savez(path, **arrays, rest=np.array(rest if isinstance(rest, str) else json.dumps(rest)))


def test_a_whole_one_is_taken(kept: Path) -> None:
    state = fresh(seed=9)
    restore(kept, state, "mine")
    assert (state.network[0].synapses.weights == 1).all()
    assert state.shuffle.integers(1000) == fresh().shuffle.integers(1000)
    assert (state.history[0]["epoch"], state.seconds) == (1, 2.0)


def test_one_of_another_fingerprint_is_left_alone(kept: Path) -> None:
    state = fresh()
    restore(kept, state, "another")
    assert not state.history


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("history", 3, "history should be a list"),
        ("history", [{"epoch": 2}], "epochs from 1 on"),
        ("history", [[1]], r"history\[0\] should be a mapping"),
        ("seconds", "long", "seconds should be a number"),
        ("updates", -1, "updates should be a whole number"),
        ("updates", 1.5, "updates should be a whole number"),
        ("inputs", [1, 2, 3], "inputs of 3 layers"),
        ("adam", [], "argument"),
        ("shuffle", {"bit_generator": "MT19937"}, "state"),
        ("draws", None, "draws should be a mapping"),
    ],
)
def test_a_changed_part_is_refused_by_its_name(key: str, value: Any, words: str, kept: Path) -> None:
    arrays, rest = contents(kept)
    rewrite(kept, arrays, {**rest, key: value})
    with pytest.raises(SpicebridgeError, match=words) as caught:
        restore(kept, fresh(), "mine")
    assert "is damaged" in str(caught.value)
    assert "--no-resume" in str(caught.value)


def test_an_array_of_another_shape_is_not_spread_over_the_layer(kept: Path) -> None:
    arrays, rest = contents(kept)
    for other in (np.ones(1, np.int8), np.ones(SHAPE, np.float64), np.ones((4, 6), np.int8)):
        rewrite(kept, {**arrays, "layer1.weights": other}, rest)
        state = fresh()
        with pytest.raises(SpicebridgeError, match=r"layer1\.weights has another shape or type"):
            restore(kept, state, "mine")
        assert (state.network[0].synapses.weights == 0).all()


def test_numbers_that_are_not_finite_are_refused(kept: Path) -> None:
    arrays, rest = contents(kept)
    rewrite(kept, {**arrays, "layer1.scale": np.full(4, np.nan, np.float32)}, rest)
    with pytest.raises(SpicebridgeError, match="not finite"):
        restore(kept, fresh(), "mine")


def test_a_file_that_unpacks_to_gigabytes_is_refused_before_it_is_read(kept: Path) -> None:
    with zipfile.ZipFile(kept, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("huge.npy", "w") as file:
        for _ in range(100):
            file.write(bytes(2**20))
    with pytest.raises(SpicebridgeError, match="more than such a network's state"):
        restore(kept, fresh(), "mine")
