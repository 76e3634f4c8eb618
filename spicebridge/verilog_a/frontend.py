"""The door to openvaf-py: flat text in, modules (SSA blocks, residuals, Jacobian) out, errors explained."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from spicebridge.limits import COMPILE_MEMORY
from spicebridge.verilog_a.model import VerilogAError

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

Module = dict[str, Any]


def front_end(name: str, texts: list[tuple[str, list[str]]]) -> list[list[Module]]:
    """Modules of each flat text, compiled in one child process, which has the limits of this one.

    Each text comes with the origin (``file:line``) of its lines, so that errors name the user's file.

    Raises:
        VerilogAError: the front end rejected the source, crashed, or ran out of memory.
    """
    with tempfile.TemporaryDirectory(prefix="verilog_a_") as folder:
        paths = []
        for number, (text, _) in enumerate(texts):
            path = Path(folder) / f"flat{number}.va"
            path.write_text(text, encoding="utf-8")
            paths.append(str(path))
        program = str(Path(__file__).with_name("frontend_child.py"))
        command = [sys.executable, "-I", program, *paths]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=folder)
    if done.returncode == 0:
        result: list[list[Module]] = json.loads(done.stdout)
        return result
    raise VerilogAError(_explain(name, done, [origins for _, origins in texts]))


def _explain(name: str, done: subprocess.CompletedProcess[str], origins: list[list[str]]) -> str:
    """The front end's complaint with our flat lines mapped back to the user's."""
    log = ESCAPES.sub("", done.stderr)
    if "No module named 'openvaf_py'" in log:
        return (
            "the Verilog-A front end openvaf-py is not installed in this Python environment. Install "
            "openvaf-py "
            '(Python 3.11 or 3.12), or use compiler="openvaf" with an openvaf binary.'
        )
    complaints = []
    message = ""
    for line in log.splitlines():
        if line.startswith(("error: ", "error[")):
            message = line.split(":", 1)[1].strip()
            where = ""
        elif message and (found := re.search(r"-->\s*\S*?flat(\d+)\.va:(\d+)", line)):
            text, number = int(found[1]), int(found[2])
            lines = origins[text]
            where = lines[min(number, len(lines)) - 1] if lines else name
            complaints.append(f"{where}: {message}")
            message = ""
    if complaints:
        return "\n  ".join(
            [f"{name} is not accepted by the Verilog-A front end:", *dict.fromkeys(complaints)]
        ) + ("\n  Correct the source; the front end accepts the analog compact-model subset of Verilog-A.")
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "no message")
    if done.returncode < 0 or "memory allocation" in log or "MemoryError" in log:
        return (
            f"{name}: the Verilog-A front end crashed or passed its limit of {COMPILE_MEMORY.said} (exit "
            f"{done.returncode}: {last.strip()}). Reduce the number of parameters or simplify the model. "
            f"{COMPILE_MEMORY.remedy}"
        )
    if "PanicException" in last:
        return (
            f"{name}: the Verilog-A front end gave up ({last.split(': ', 1)[-1].strip()}). It does so at a "
            "loop that never ends (its condition never becomes false); otherwise simplify the model."
        )
    return f"{name}: the Verilog-A front end failed: {last.strip()}. Simplify the construct it names."
