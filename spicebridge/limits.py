"""Bounds on what a file from elsewhere may cost, each of which a variable of the environment raises.

By default each is more than twice what the largest model and library that were tried need: PSP103 compiles
in 54 s and 400 MB.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from spicebridge.errors import SpicebridgeError


@dataclass(frozen=True)
class Limit:
    """One bound.

    Attributes:
        variable: of the environment, whose value takes the default's place.
        default: in ``unit``.
        unit: for messages.
    """

    variable: str
    default: int
    unit: str

    @property
    def value(self) -> int:
        """The bound in force.

        Raises:
            SpicebridgeError: the variable holds no whole number above zero.
        """
        given = os.environ.get(self.variable)
        if given is None:
            return self.default
        if not given.isascii() or not given.isdigit() or int(given) == 0:
            raise SpicebridgeError(
                f"{self.variable} = {given!r} should be a whole number ({self.unit}) above zero."
            )
        return int(given)

    @property
    def remedy(self) -> str:
        """How to raise it."""
        return f"If it is meant, raise the limit: export {self.variable}={2 * self.value}"


# Of one file; of a netlist with all that it includes; files that a netlist or a model includes; words of a
# model with its macros written out; what the compilation of a model takes.
FILE = Limit("SPICEBRIDGE_MAX_FILE_MB", 128, "MB")
NETLIST = Limit("SPICEBRIDGE_MAX_NETLIST_MB", 128, "MB")
INCLUDES = Limit("SPICEBRIDGE_MAX_INCLUDES", 20_000, "files")
TOKENS = Limit("SPICEBRIDGE_MAX_TOKENS", 2_000_000, "words")
COMPILE_SECONDS = Limit("SPICEBRIDGE_MAX_COMPILE_S", 600, "s")
COMPILE_MEMORY = Limit("SPICEBRIDGE_MAX_COMPILE_MB", 4096, "MB")


def read_plain(path: Path) -> bytes:
    """The content of a file that is one, and no longer than ``FILE`` allows.

    Raises:
        OSError: it cannot be read.
        SpicebridgeError: it is a pipe, a device or a socket, which may have no end, or it is too long.
    """
    # Opening a pipe would wait for who writes into it.
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "Is a directory", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise SpicebridgeError(f"{path} is no file but a pipe, a device or a socket.")
        most = FILE.value * 1_000_000
        if status.st_size > most:
            raise SpicebridgeError(
                f"{path} has {status.st_size / 1e6:,.0f} MB, more than {FILE.value:,} MB. {FILE.remedy}"
            )
        return file.read(most + 1)
