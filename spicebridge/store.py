"""The store of finished simulations: one SQLite file, safe to delete at any time.

SQLite keeps what was committed through a crash, a SIGKILL or a full disk, and lets several sweeps write at
once. Units that end within ``_COMMIT_EVERY`` of one another share a commit, which is what small units need
to cost microseconds; a kill loses no more than those, and they are simulated again. Commits are a thread's,
as the next unit may be minutes away.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from spicebridge.errors import SpicebridgeError

Values = dict[str, NDArray[np.float64]]

_COMMIT_EVERY = 0.5  # s
_LOCK_SECONDS = 60.0  # another sweep holds the file for milliseconds at a time
_PLAIN, _DEFLATED = b"-", b"z"
_SMALL = 1000  # bytes, which to compress costs more than it saves
_FAST = 1  # zlib's level
# SQLite's codes for what is the fault of a disk, a folder or another program, and not of the file's content.
_SURROUNDINGS = {
    sqlite3.SQLITE_AUTH, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}  # fmt: skip
_CHECK = 16  # bytes of digest before a unit's content


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
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._overdue = False
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=_LOCK_SECONDS, check_same_thread=False)
            with ExitStack() as unless_good:
                unless_good.callback(self._file.close)
                self._file.execute("PRAGMA journal_mode = TRUNCATE")
                self._file.execute("PRAGMA synchronous = NORMAL")
                self._file.execute("CREATE TABLE IF NOT EXISTS units (key TEXT PRIMARY KEY, content BLOB)")
                self._file.commit()
                unless_good.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            try:
                self.commit()
            finally:
                self._file.close()

    def __len__(self) -> int:
        with self._lock, self._told():
            return int(self._file.execute("SELECT count(*) FROM units").fetchone()[0])

    def get(self, key: str) -> Stored | None:
        """A finished unit; None where there is none, or where its content was damaged by something else."""
        with self._lock:
            content = self._waiting.get(key)
            if content is None:
                with self._told():
                    row = self._file.execute("SELECT content FROM units WHERE key = ?", (key,)).fetchone()
                content = row[0] if row else None
        return None if content is None else _unpacked(key, content)

    def put(self, key: str, unit: Stored) -> None:
        """Keep a finished unit; it is on disk ``_COMMIT_EVERY`` later at the latest.

        Raises:
            SpicebridgeError: earlier units could not be put on disk, nor can they now.
        """
        content = _packed(key, unit)
        with self._lock:
            self._waiting[key] = content
            if self._overdue:
                self.commit()
            elif self._timer is None:
                self._timer = threading.Timer(_COMMIT_EVERY, self._commit_on_time)
                self._timer.daemon = True
                self._timer.start()

    def commit(self) -> None:
        """Put on disk what waits.

        Raises:
            SpicebridgeError: the disk is full or the file cannot be written; what was committed is kept.
        """
        with self._lock:
            if self._waiting:
                with self._told(), self._file:
                    self._file.executemany(
                        "INSERT OR REPLACE INTO units VALUES (?, ?)", self._waiting.items()
                    )
                self._waiting.clear()
            self._overdue = False

    def _commit_on_time(self) -> None:
        with self._lock:
            self._timer = None
            try:
                self.commit()
            except SpicebridgeError:  # the next put tries again, and tells
                self._overdue = True

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's and the system's errors in plain words."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite may quote damaged text
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _SURROUNDINGS:
                raise SpicebridgeError(
                    f"cannot use the store of finished simulations {self._path}: {error}. Check the folder's "
                    "permissions and free space; what it holds is kept, so the same command goes on from "
                    "there."
                ) from error
            raise SpicebridgeError(
                f"{self._path} is not a store of finished simulations, or was damaged: {error}. It holds "
                "nothing that cannot be simulated again: delete it and repeat the command."
            ) from error
        except OSError as error:
            raise SpicebridgeError(
                f"cannot make {self._path}: {error.strerror}. Check the folder's permissions and free space."
            ) from error


def _packed(key: str, unit: Stored) -> bytes:
    """A digest of key and content; how it is packed; a header line in JSON and the numbers, little-endian.

    The key counts because SQLite trusts its index: a damaged one leads to another unit's row.
    """
    shapes = tuple((name, np.shape(each)) for name, each in unit.values.items())
    numbers = b"".join(np.asarray(each, dtype="<f8").tobytes() for each in unit.values.values())
    content = _header(unit.aid, shapes) + numbers
    content = _DEFLATED + zlib.compress(content, _FAST) if len(content) > _SMALL else _PLAIN + content
    return _digest(key, content) + content


@lru_cache
def _header(aid: str | None, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> bytes:
    return json.dumps({"aid": aid, "shapes": dict(shapes)}).encode() + b"\n"


def _unpacked(key: str, found: object) -> Stored | None:
    """The unit; None if ``found`` is not what was put under this key, which is then simulated again."""
    if not isinstance(found, bytes) or found[:_CHECK] != _digest(key, found[_CHECK:]):
        return None
    kind, content = found[_CHECK : _CHECK + 1], found[_CHECK + 1 :]
    line, numbers = (zlib.decompress(content) if kind == _DEFLATED else content).split(b"\n", 1)
    header = json.loads(line)
    values, start = {}, 0
    for name, shape in header["shapes"].items():
        size = 8 * int(np.prod(shape))
        values[name] = np.frombuffer(numbers[start : start + size], dtype="<f8").reshape(shape).astype(float)
        start += size
    return Stored(values, header["aid"])


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + b"\0" + content, digest_size=_CHECK).digest()
