"""A whole compilation in a child process: its time, memory and output are limited, and so are its children's.

Checks, front end, generated C and C compiler all run there. What they write lies in a folder of its own until
it is whole, which goes with them when they are stopped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import spicebridge
from spicebridge.files import write_bytes
from spicebridge.limits import COMPILE_MEMORY, COMPILE_TIME
from spicebridge.verilog_a.model import VerilogAError

_CHILD = Path(__file__).with_name("compile_child.py")


def compiled(source: Path, digest: str, *, library: Path, compiler: str) -> dict[str, Any]:
    """What is known of a source's module, compiled into ``library``: its name, terminals and parameters.

    ``digest`` is the source's as it was read; ``compiler`` is ``"builtin"`` or ``"openvaf"``.

    Raises:
        VerilogAError: the source is not accepted, a compiler is missing or fails, or a limit is passed.
        SpicebridgeError: the library cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="verilog_a_") as folder:
        made = Path(folder) / library.name
        asked = {"source": str(source), "digest": digest, "library": str(made), "compiler": compiler}
        root = str(Path(spicebridge.__file__).parent.parent)
        command = [sys.executable, "-I", str(_CHILD), root, json.dumps(asked)]
        said = _answer(source.name, command, folder)
        code = made.with_name("model.c")
        if code.is_file():
            write_bytes(library.with_name(code.name), code.read_bytes())
        if error := said.get("error"):
            raise VerilogAError(error.replace(str(code), str(library.with_name(code.name))))
        write_bytes(library, made.read_bytes())
        return said


def _answer(name: str, command: list[str], folder: str) -> dict[str, Any]:
    """What the child says, which it and all its children are stopped for when it takes too long."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": folder},
        start_new_session=True,  # a group that is stopped as one
    )
    try:
        said, complaints = process.communicate(timeout=COMPILE_TIME.value)
    except subprocess.TimeoutExpired as error:
        raise VerilogAError(
            f"{name}: compiling it takes more than {COMPILE_TIME.said}. Simplify the model. "
            f"{COMPILE_TIME.remedy}"
        ) from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode == 0:
        answer: dict[str, Any] = json.loads(said)
        return answer
    last = next((line for line in reversed(complaints.splitlines()) if line.strip()), "no message")
    raise VerilogAError(
        f"{name}: compiling it failed or passed the limit of {COMPILE_MEMORY.said} (exit "
        f"{process.returncode}: {last.strip()}). Simplify the model. {COMPILE_MEMORY.remedy}"
    )
