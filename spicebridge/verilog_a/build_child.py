"""The compiler's side of the fence: one source built into one library, within bounds; prints JSON.

A program of its own because a source may make the compiler take all the memory or time there is; what it
starts, the front end and ``cc``, has the same bounds. Usage: build_child SOURCE LIBRARY COMPILER
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.limits import COMPILE_MEMORY
from spicebridge.verilog_a.build import build


def main() -> None:
    """Build what is named on the command line, and say what came of it."""
    source, library, compiler = sys.argv[1:]
    bound = COMPILE_MEMORY.value * 2**20
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (bound, bound))
    try:
        module, terminals, parameters = build(Path(source), Path(library), compiler)
    except SpicebridgeError as error:
        json.dump({"refusal": str(error)}, sys.stdout)
        return
    built = {"module": module, "terminals": terminals, "parameters": [asdict(each) for each in parameters]}
    json.dump(built, sys.stdout)


if __name__ == "__main__":
    main()
