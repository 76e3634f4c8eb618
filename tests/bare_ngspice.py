"""What the bare ngspice program itself makes of a netlist, as the oracle of how netlists are read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def bare_measures(program: str, deck: Path) -> dict[str, float]:
    """What ``ngspice -b DECK``, run in the deck's folder, prints for its ``.meas`` lines."""
    run = subprocess.run(
        [program, "-b", deck.name],
        cwd=deck.parent, capture_output=True, text=True, errors="replace", timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    found = re.findall(r"^([a-z_]\w*)\s+=\s+(\S+)", run.stdout, re.MULTILINE)
    return {name: float(value) for name, value in found}
