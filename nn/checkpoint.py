"""Networks on disk: weights, and training state, all that a resumed run needs to end bit for bit the same."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spicebridge.errors import SpicebridgeError
from spicebridge.files import replacing
from spicebridge.limits import RECORD
from spicebridge.reading import read_bytes

CHECKPOINTS = "checkpoints"  # the folder of a run's checkpoints, in its own folder
Arrays = dict[str, np.ndarray[Any, Any]]


class Resumable(Protocol):
    """A network in training, as far as every kind has the same.

    Attributes:
        shuffle, draws: its generators.
        history: one JSON-like record per finished epoch.
        seconds: wall time so far (s).
    """

    shuffle: np.random.Generator
    draws: np.random.Generator
    history: list[dict[str, Any]]
    seconds: float

    def arrays(self) -> Arrays:
        """What is to be kept, by name; training moves it in place."""
        ...

    def counted(self) -> dict[str, Any]:
        """What else is to be kept, JSON-like."""
        ...

    def take(self, counted: Mapping[str, Any], arrays: Arrays) -> None:
        """Take over what another state ``counted``, and those of its arrays that a fresh state lacks."""
        ...


def save_state(path: Path, state: Resumable, fingerprint: str) -> None:
    """Write a state whole, under the digest of all that it depends on."""
    rest = {
        "fingerprint": fingerprint,
        **state.counted(),
        "shuffle": state.shuffle.bit_generator.state,
        "draws": state.draws.bit_generator.state,
        "history": state.history,
        "seconds": state.seconds,
    }
    save_arrays(path, {**state.arrays(), "rest": np.array(json.dumps(rest))})


def restore(path: Path, state: Resumable, fingerprint: str) -> None:
    """Put a fresh state where the one kept at ``path`` was; nothing, where there is none of this fingerprint.

    Raises:
        SpicebridgeError: the file is damaged.
    """
    if not path.exists():
        return
    try:
        content = BytesIO(read_bytes(path, RECORD))
        with np.load(content, allow_pickle=False) as file:
            # Compressed, they may be a thousand times smaller.
            if sum(each.file_size for each in file.zip.infolist()) > RECORD.bytes:
                raise SpicebridgeError(f"checkpoint {path} holds more than {RECORD.said}. {RECORD.remedy}")
            arrays: Arrays = {name: file[name] for name in file.files}
        rest = json.loads(str(arrays.pop("rest")))
        if rest["fingerprint"] != fingerprint:
            return
        for name, array in state.arrays().items():
            array[:] = arrays[name]
        state.take(rest, arrays)
        state.shuffle.bit_generator.state = rest["shuffle"]
        state.draws.bit_generator.state = rest["draws"]
        state.history, state.seconds = rest["history"], rest["seconds"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SpicebridgeError(
            f"checkpoint {path} is damaged ({type(error).__name__}: {error}). "
            "Delete it to start that network anew, or all networks with --no-resume."
        ) from error


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write named arrays as ``.npz``, without pickle, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
