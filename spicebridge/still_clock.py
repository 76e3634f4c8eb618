"""A clock that stands still, for ngspice's own accounting.

ngspice built with OpenMP asks ``omp_get_wtime`` for the time before and after every load and every solution
of its matrix: 16 times a time step, 8,600 times in a transient of 530 steps. It adds them up for ``rusage``,
which nobody asks for here, and decides nothing by them. Where to read the processor's counter takes 35 ns, as
on many virtual machines, that is a sixth of a small deck's time.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.files import replacing
from spicebridge.project import private_cache

_SOURCE = "double omp_get_wtime(void) { return 0.0; }\n"
_FLAGS = ("-O2", "-fPIC", "-shared", "-x", "c")
_COMPILER_SECONDS = 60.0
_SEAL = 32  # bytes


def use_still_clock() -> bool:
    """Put the clock before OpenMP's for the libraries that this process loads from now on.

    Returns:
        whether it is in use: only on Linux, and where it is in the cache or a C compiler is at hand. Without
        it ngspice is slower and gives the same values.
    """
    library = still_clock()
    if library is None:
        return False
    try:
        # The dynamic linker asks what was loaded for all before it asks what libngspice brings along.
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def still_clock() -> Path | None:
    """The clock's library, compiled on first use; None where it cannot be had."""
    compiler = shutil.which("cc")
    key = hashlib.sha256("\0".join([_SOURCE, *_FLAGS]).encode()).hexdigest()[:16]
    with contextlib.suppress(SpicebridgeError, OSError, subprocess.SubprocessError):
        library = private_cache() / "models" / f"still_clock-{key}" / "clock.so"
        if _is_whole(library):
            return library
        if sys.platform != "linux" or compiler is None:
            return None
        with replacing(library) as made:
            subprocess.run(
                [compiler, *_FLAGS, "-o", str(made), "-"],
                input=_SOURCE.encode(),
                capture_output=True,
                timeout=_COMPILER_SECONDS,
                check=True,
            )
            code = made.read_bytes()
            made.write_bytes(code + _seal(code))  # the linker does not look behind what the head speaks of
        return library
    return None


def _is_whole(library: Path) -> bool:
    """Whether the library is there with all that was written."""
    content = library.read_bytes() if library.is_file() else b""
    return content[-_SEAL:] == _seal(content[:-_SEAL])


def _seal(code: bytes) -> bytes:
    return hashlib.sha256(code).digest()
