"""The store of finished simulations: one SQLite file, safe to delete at any time.

SQLite keeps what was committed through a crash, a SIGKILL or a full disk, and lets several sweeps write at
once. Units that end within ``_COMMIT_EVERY`` of one another share a commit, which is what small units need
to cost microseconds; a kill loses no more than those, and they are simulated again.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from spicebridge.errors import SpicebridgeError

Values = dict[str, NDArray[np.float64]]

_COMMIT_EVERY = 1.0  # s
_LOCK_SECONDS = 60.0  # another sweep holds the file for milliseconds at a time
_FAST = 1  # zlib's level


@dataclass(frozen=True, eq=False)
class Stored:
    """A finished unit.

    Attributes:
        values: what was measured.
        aid: the convergence aid it needed, or None.
    """

    values: Values
    aid: str | None


class Store:
    """An open store; a context manager, which commits at its end."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``, or make it.

        Raises:
            SpicebridgeError: it cannot be opened or is no store.
        """
        self._path = path
        self._waiting: dict[str, bytes] = {}
        self._committed = time.monotonic()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=_LOCK_SECONDS)
            self._file.execute("PRAGMA journal_mode = TRUNCATE")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS units (key TEXT PRIMARY KEY, content BLOB)")
            self._file.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self.commit()
        finally:
            self._file.close()

    def __len__(self) -> int:
        with self._told():
            return int(self._file.execute("SELECT count(*) FROM units").fetchone()[0])

    def get(self, key: str) -> Stored | None:
        """A finished unit; None where there is none, or where its content was damaged by something else."""
        if key in self._waiting:
            return _unpacked(self._waiting[key])
        with self._told():
            row = self._file.execute("SELECT content FROM units WHERE key = ?", (key,)).fetchone()
        return None if row is None else _unpacked(row[0])

    def put(self, key: str, unit: Stored) -> None:
        """Keep a finished unit; it is on disk after the next commit, a fraction of a second later."""
        self._waiting[key] = _packed(unit)
        if time.monotonic() - self._committed >= _COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Put on disk what waits.

        Raises:
            SpicebridgeError: the disk is full or the file cannot be written; what was committed is kept.
        """
        waiting, self._waiting = self._waiting, {}
        self._committed = time.monotonic()
        if waiting:
            with self._told(), self._file:
                self._file.executemany("INSERT OR REPLACE INTO units VALUES (?, ?)", waiting.items())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's and the system's errors in plain words."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise SpicebridgeError(
                f"cannot use the store of finished simulations {self._path}: {error}. Check the folder's "
                "permissions and free space; what it holds is kept, so the same command goes on from there."
            ) from error
        except sqlite3.DatabaseError as error:
            raise SpicebridgeError(
                f"{self._path} is not a store of finished simulations, or was damaged: {error}. It holds "
                "nothing that cannot be simulated again: delete it and repeat the command."
            ) from error
        except OSError as error:
            raise SpicebridgeError(
                f"cannot make {self._path}: {error.strerror}. Check the folder's permissions and free space."
            ) from error


def _packed(unit: Stored) -> bytes:
    """A header line in JSON, then the numbers, little-endian; zlib's checksum guards both."""
    arrays = {name: np.ascontiguousarray(each, dtype="<f8") for name, each in unit.values.items()}
    header = {"aid": unit.aid, "shapes": {name: np.shape(each) for name, each in unit.values.items()}}
    numbers = b"".join(each.tobytes() for each in arrays.values())
    return zlib.compress(json.dumps(header).encode() + b"\n" + numbers, _FAST)


def _unpacked(content: bytes) -> Stored | None:
    try:
        line, numbers = zlib.decompress(content).split(b"\n", 1)
        header = json.loads(line)
    except (zlib.error, TypeError, ValueError):  # not what was written: simulate again
        return None
    values, start = {}, 0
    for name, shape in header["shapes"].items():
        size = 8 * int(np.prod(shape))
        values[name] = np.frombuffer(numbers[start : start + size], dtype="<f8").reshape(shape).astype(float)
        start += size
    return Stored(values, header["aid"])
