"""The other side of ``compile_process``: run as a program, compile one source within limits.

Usage: compile_child.py ROOT JSON. ROOT is the folder of this package's parent.
"""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def main(root: str, asked: dict[str, Any]) -> None:
    """Print a JSON object: what is known of the module, or ``error``, a message for people."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.path.insert(0, root)
    from spicebridge.errors import SpicebridgeError
    from spicebridge.limits import COMPILE_MEMORY, COMPILE_OUTPUT, COMPILE_TIME, restrict, restrict_memory
    from spicebridge.verilog_a.build import build_library

    # Its children have them too. The parent looks at the clock; this ends what outlives it.
    restrict(resource.RLIMIT_CPU, int(COMPILE_TIME.value) + 10)
    restrict(resource.RLIMIT_FSIZE, COMPILE_OUTPUT.bytes)
    restrict(resource.RLIMIT_CORE, 0)
    restrict_memory(COMPILE_MEMORY)
    try:
        module, terminals, parameters = build_library(
            Path(asked["source"]), asked["digest"], Path(asked["library"]), asked["compiler"]
        )
    except SpicebridgeError as error:
        json.dump({"error": str(error)}, sys.stdout)
    else:
        described = [asdict(each) for each in parameters]
        json.dump({"module": module, "terminals": terminals, "parameters": described}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
