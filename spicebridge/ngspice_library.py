"""Finding libngspice: one place that knows where it may be."""

from __future__ import annotations

import ctypes.util
import os
import sys
from pathlib import Path

from spicebridge.errors import SpicebridgeError

_CHECKOUT = Path(__file__).resolve().parent.parent


def find_ngspice_library() -> str:
    """The path (or loader name) of libngspice.

    Looked for in ``$NGSPICE_LIBRARY_PATH`` (a path, or a name that the system's loader knows), then under the
    checkout's ``.local`` (where the set-up unpacks it when it may not install), then where the system's
    loader looks.

    Raises:
        SpicebridgeError: none found, or the variable names a file that is not there.
    """
    named = os.environ.get("NGSPICE_LIBRARY_PATH")
    if named:
        if os.sep in named and not Path(named).is_file():
            raise SpicebridgeError(
                f"NGSPICE_LIBRARY_PATH names {named}, and there is no such file. "
                "Unset it, or point it to libngspice."
            )
        return named
    name = "libngspice.dylib" if sys.platform == "darwin" else "libngspice.so.0"
    local = sorted((_CHECKOUT / ".local").glob(f"**/{name}"))
    if local:
        return str(local[0])
    found = ctypes.util.find_library("ngspice")
    if found:
        return found
    raise SpicebridgeError(
        "libngspice was not found. Run 'make demo', which installs it, or install ngspice's shared library "
        "(Debian: libngspice0, an ngspice with OSDI) and set NGSPICE_LIBRARY_PATH to it."
    )
