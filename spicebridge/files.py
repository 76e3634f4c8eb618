"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

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
    Two processes that write the same path never mix: the later rename wins whole.

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
        temporary.replace(path)
    except OSError as error:
        raise SpicebridgeError(
            f"cannot write {path}: {error.strerror or error}. The earlier file, if any, is unchanged."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Put ``text`` at ``path`` whole (UTF-8)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` whole."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
