"""Training state on disk: all that a resumed run needs to end bit for bit where an uninterrupted one does."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nn.counts import UpdateCounts
from nn.network import Layer
from nn.optimizer import Adam
from nn.synapse import Synapses
from spicebridge.errors import SpicebridgeError
from spicebridge.files import replacing, write_text

CHECKPOINTS = "checkpoints"  # the folder of a run's checkpoints, in its own folder
Array = np.ndarray[Any, Any]
Kept = TypeVar("Kept")


@dataclass(frozen=True, eq=False)
class Moments:
    """A layer's Adam states."""

    weights: Adam
    scale: Adam
    shift: Adam


@dataclass(eq=False)
class State:
    """A network in training.

    Attributes:
        network: its layers.
        adams: their moments.
        shuffle: draws the batches.
        draws: draws the dither and the flips.
        counts: events so far.
        history: one JSON-like record per finished epoch.
        seconds: wall time so far (s).
    """

    network: tuple[Layer, ...]
    adams: tuple[Moments, ...]
    shuffle: np.random.Generator
    draws: np.random.Generator
    counts: UpdateCounts
    history: list[dict[str, Any]]
    seconds: float

    def parameters(self) -> dict[str, Array]:
        """What inference needs, by name: ``layer1.weights`` and so on."""
        return {
            f"layer{number}.{name}": array
            for number, layer in enumerate(self.network, start=1)
            for name, array in _layer_arrays(layer)
        }


def save_state(path: Path, state: State, fingerprint: str) -> None:
    """Write the state whole, under the digest of all that it depends on."""
    arrays = state.parameters()
    for number, moments in enumerate(state.adams, start=1):
        for name in ("weights", "scale", "shift"):
            each: Adam = getattr(moments, name)
            arrays[f"adam{number}.{name}.mean"] = each.mean
            arrays[f"adam{number}.{name}.square"] = each.square
    for direction, histogram in state.counts.pulses.items():
        arrays[f"pulses.{direction}"] = histogram
    arrays["reads"] = state.counts.reads
    rest = {
        "fingerprint": fingerprint,
        "layers": len(state.network),
        "adam": [
            {name: _adam_settings(getattr(moments, name)) for name in ("weights", "scale", "shift")}
            for moments in state.adams
        ],
        "shuffle": state.shuffle.bit_generator.state,
        "draws": state.draws.bit_generator.state,
        "updates": state.counts.updates,
        "flips": state.counts.flips,
        "history": state.history,
        "seconds": state.seconds,
    }
    save_arrays(path, {**arrays, "rest": np.array(json.dumps(rest))})


def load_state(path: Path, fingerprint: str) -> State | None:
    """The state kept at ``path``; none where there is no file, or it belongs to other settings.

    Raises:
        SpicebridgeError: the file is damaged.
    """
    return load_kept(path, fingerprint, _state_from)


def load_kept(
    path: Path, fingerprint: str, make: Callable[[dict[str, Array], dict[str, Any]], Kept]
) -> Kept | None:
    """What ``make`` makes of the arrays kept at ``path`` and the JSON among them, ``rest``.

    None where there is no file, or its ``rest`` has another fingerprint.

    Raises:
        SpicebridgeError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Array] = {name: file[name] for name in file.files}
        rest = json.loads(str(arrays.pop("rest")))
        if rest["fingerprint"] != fingerprint:
            return None
        return make(arrays, rest)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SpicebridgeError(
            f"checkpoint {path} is damaged ({type(error).__name__}: {error}). "
            "Delete it to start that network anew, or all networks with --no-resume."
        ) from error


def save_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write named arrays as ``.npz``, without pickle, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def keep_run(folder: Path, record: Mapping[str, Any], weights: dict[str, Array]) -> None:
    """Write a finished run, ``record.json`` and ``weights.npz``, and clear its checkpoints."""
    save_arrays(folder / "weights.npz", weights)
    write_text(folder / "record.json", json.dumps(record, indent=1) + "\n")
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _state_from(arrays: dict[str, Array], rest: dict[str, Any]) -> State:
    numbers = range(1, rest["layers"] + 1)
    return State(
        network=tuple(
            Layer(
                synapses=Synapses(arrays[f"layer{n}.weights"], arrays[f"layer{n}.strong"]),
                **{name: arrays[f"layer{n}.{name}"] for name in ("scale", "shift", "mean", "variance")},
            )
            for n in numbers
        ),
        adams=tuple(
            Moments(
                **{
                    name: Adam(
                        mean=arrays[f"adam{n}.{name}.mean"],
                        square=arrays[f"adam{n}.{name}.square"],
                        **rest["adam"][n - 1][name],
                    )
                    for name in ("weights", "scale", "shift")
                }
            )
            for n in numbers
        ),
        shuffle=generator_from(rest["shuffle"]),
        draws=generator_from(rest["draws"]),
        counts=UpdateCounts(
            updates=rest["updates"],
            flips=rest["flips"],
            reads=arrays["reads"],
            pulses={
                name.removeprefix("pulses."): array
                for name, array in arrays.items()
                if name.startswith("pulses.")
            },
        ),
        history=rest["history"],
        seconds=rest["seconds"],
    )


def _layer_arrays(layer: Layer) -> Iterator[tuple[str, Array]]:
    yield "weights", layer.synapses.weights
    yield "strong", layer.synapses.strong
    yield "scale", layer.scale
    yield "shift", layer.shift
    yield "mean", layer.mean
    yield "variance", layer.variance


def _adam_settings(adam: Adam) -> dict[str, Any]:
    return {"beta1": adam.beta1, "beta2": adam.beta2, "steps": adam.steps}


def generator_from(state: Any) -> np.random.Generator:
    """A generator as its bit generator's state, kept as JSON, has it."""
    bits = np.random.PCG64()
    bits.state = state
    return np.random.Generator(bits)
