"""Networks on disk: weights, and training state, all that a resumed run needs to end bit for bit the same."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spicebridge.errors import SpicebridgeError
from spicebridge.files import replacing
from spicebridge.foreign import (
    ForeignError,
    fields,
    mapping,
    number,
    read_json,
    sequence,
    text,
    whole,
    worked_out,
)
from spicebridge.limits import RECORD
from spicebridge.reading import read_bytes

CHECKPOINTS = "checkpoints"  # the folder of a run's checkpoints, in its own folder
_SLACK = 2**26  # bytes, for what grows with the epochs
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
    remedy = "Delete it to start that network anew, or all networks with --no-resume."
    try:
        with worked_out("it", ""):
            _take(path, state, fingerprint)
    except (SpicebridgeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SpicebridgeError(
            f"checkpoint {path} is damaged ({str(error).rstrip('. ')}). {remedy}"
        ) from error


def _take(path: Path, state: Resumable, fingerprint: str) -> None:
    """Put the state where the kept one was, after all of that was looked at."""
    fresh, counted = state.arrays(), state.counted()
    arrays = _arrays_in(path, most=2 * sum(array.nbytes for array in fresh.values()) + _SLACK)
    rest = read_json(str(arrays.pop("rest")), "its record", finite=False)  # generators have 128 bits
    fields({"fingerprint": text, "shuffle": mapping(), "draws": mapping(), "seconds": number})(
        rest, "its record"
    )
    if rest["fingerprint"] != fingerprint:
        return
    for name, array in fresh.items():
        kept = arrays[name]
        if (kept.shape, kept.dtype) != (array.shape, array.dtype):
            raise ForeignError(f"{name} has another shape or type")
    for name, kept in arrays.items():
        if not np.isfinite(kept).all():
            raise ForeignError(f"{name} holds numbers that are not finite")
        if name not in fresh and (kept.ndim != 1 or kept.dtype.kind != "i" or np.any(kept < 0)):
            raise ForeignError(f"{name} should be counts")
    _check_like(rest, counted, "its record")
    _check_history(rest.get("history"))
    # Both are taken before anything else is moved: a generator refuses what is no state of its own.
    for generator, kept_state in ((state.shuffle, rest["shuffle"]), (state.draws, rest["draws"])):
        generator.bit_generator.state = kept_state
    for name, array in fresh.items():
        array[:] = arrays[name]
    state.take(rest, arrays)
    state.history, state.seconds = rest["history"], rest["seconds"]


def _arrays_in(path: Path, most: int) -> Arrays:
    """The arrays of a file, if they do not take more than ``most`` bytes together."""
    content = BytesIO(read_bytes(path, RECORD))
    with zipfile.ZipFile(content) as archive:
        if sum(member.file_size for member in archive.infolist()) > most:
            raise ForeignError("it holds more than such a network's state")
    try:
        with np.load(content, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # NumPy reads a header as Python's text, which fails in many ways
        raise ForeignError(f"its arrays cannot be read: {type(error).__name__}") from error


def _check_like(kept: Any, counted: Any, where: str) -> None:
    """Refuse counts that are not of the shape that a fresh state has them in."""
    if isinstance(counted, Mapping):
        mapping()(kept, where)
        for key, each in counted.items():
            if key not in kept:
                raise ForeignError(f"{where} lacks {key}")
            _check_like(kept[key], each, f"{where}.{key}")
    elif isinstance(counted, list):
        sequence(_anything)(kept, where)
        for at, each in enumerate(kept):
            if counted:
                _check_like(each, counted[min(at, len(counted) - 1)], f"{where}[{at}]")
    elif isinstance(counted, int) and not isinstance(counted, bool):
        whole(kept, where)
    elif isinstance(counted, float):
        number(kept, where)


def _anything(_value: Any, _where: str) -> None:
    """What is looked at elsewhere."""


def _check_history(history: Any) -> None:
    """Refuse what is no list of finished epochs."""
    sequence(mapping())(history, "its record.history")
    if [each.get("epoch") for each in history] != list(range(1, len(history) + 1)):
        raise ForeignError("its record.history should have the epochs from 1 on")


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write named arrays as ``.npz``, without pickle, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
