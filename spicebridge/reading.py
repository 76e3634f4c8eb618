"""Reading files from elsewhere: plain files only, and no more of one than its limit."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from spicebridge.limits import Limit, LimitError

_NO_FILE = "it is a pipe, a socket or a device, and no file"  # a pipe would be waited for


def read_bytes(path: Path, limit: Limit) -> bytes:
    """A file's content.

    Raises:
        OSError: it cannot be read, or is a pipe, a socket, a device or a folder.
        ValueError: no file can have this name.
        LimitError: it is larger than ``limit``, which is in MB.
    """
    _refuse_special(path.stat().st_mode)  # before it is opened, which alone may do something to a device
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        _refuse_special(status.st_mode)
        most = limit.bytes
        # A file of the system's may have no size and no end.
        content = b"" if status.st_size > most else file.read(most + 1)
        if status.st_size > most or len(content) > most:
            raise LimitError(f"{path} is larger than {limit.said}, the most that is read. {limit.remedy}")
        return content


def _refuse_special(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, _NO_FILE)
