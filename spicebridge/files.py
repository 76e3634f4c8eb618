"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spicebridge.errors import SpicebridgeError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed onto it when the block ends well.

    If the block raises, the temporary file is removed and what stood at ``path`` is untouched.
    Two processes that write the same path never mix: the later rename wins whole. What is renamed is on disk
    before, so that a machine that loses its power leaves one or the other file, and none empty.

    Raises:
        SpicebridgeError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise SpicebridgeError(
            f"cannot write {path}: {error.strerror}. Check the folder's permissions and free space."
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise SpicebridgeError(
            f"cannot write {path}: {error.strerror or error}. The earlier file, if any, is unchanged."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the system put a file's content on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_private(folder: Path) -> None:
    """Make a folder, or take an existing one of this user's, into which no other user may look or write.

    One that cannot be made is left to whatever writes there next, which says why.

    Raises:
        SpicebridgeError: it is another user's.
    """
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        status = folder.stat()
    except OSError:
        return
    if status.st_uid not in (os.geteuid(), 0):
        raise SpicebridgeError(
            f"the folder {folder} belongs to another user (id {status.st_uid}), who could change what is run "
            "from there. Choose a folder of your own: export SPICEBRIDGE_RESULTS=FOLDER"
        )
    if status.st_mode & 0o077:
        with contextlib.suppress(OSError):  # a disk that is only read, or one without permissions
            folder.chmod(0o700)


def write_text(path: Path, text: str) -> None:
    """Put ``text`` at ``path`` whole (UTF-8)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` whole."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
