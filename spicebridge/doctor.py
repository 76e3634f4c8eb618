"""A look at what is installed, by using it: a real simulation and a real Verilog-A model."""

from __future__ import annotations

import math
import shutil
from typing import Any

from spicebridge.errors import SpicebridgeError
from spicebridge.files import replacing
from spicebridge.netlist import make_deck
from spicebridge.ngspice_library import find_ngspice_library
from spicebridge.project import cache_folder, netlists_folder
from spicebridge.workers import simulate

_RC = """
v1 in 0 pulse(0 1 0 1p 1p 10n)
r1 in out 1k
c1 out 0 1p
.tran 1p 2n
.meas tran v1 find v(out) at=1n
"""
_MTJ = """
.control
pre_osdi devices/stt_mtj.osdi
.endc
.include devices/mtj_b.lib
i1 0 free 10u
n1 free 0 mtj mz0=1
.op
"""


def examine() -> dict[str, Any]:
    """What works here.

    Returns:
        ``ok``; ``ngspice`` with ``version``, ``library``, ``binary``, ``simulates`` and ``osdi`` (None if it
        could not be tried); ``compiler``; ``problems``, a sentence for each thing that does not work.
    """
    problems: list[str] = []
    ngspice: dict[str, Any] = {
        "version": None,
        "library": None,
        "binary": shutil.which("ngspice"),
        "simulates": False,
        "osdi": None,
    }
    try:
        ngspice["library"] = find_ngspice_library()
        recorded = simulate(make_deck(_RC, folder=netlists_folder(), name="doctor_rc"), time_limit=60)
        ngspice["version"] = recorded.engine
        ngspice["simulates"] = abs(recorded.measures["v1"] - (1 - math.exp(-1))) < 1e-3
        if not ngspice["simulates"]:
            problems.append(f"an RC circuit charged to {recorded.measures['v1']:.4f} V, not 0.6321 V.")
        _try_writing()
        ngspice["osdi"] = False
        resistance = simulate(make_deck(_MTJ, folder=netlists_folder(), name="doctor_mtj"), time_limit=60)
        ngspice["osdi"] = 0.05 < float(resistance["free"][0]) < 0.07
        if not ngspice["osdi"]:
            problems.append(f"the MTJ model gave {float(resistance['free'][0]):g} V at 10 uA, not 0.062 V.")
    except SpicebridgeError as error:
        problems.append(str(error))
    compiler = shutil.which("cc")
    if compiler is None:
        problems.append("there is no C compiler 'cc' on the PATH; Verilog-A models need one (Debian: gcc).")
    return {"ok": not problems, "ngspice": ngspice, "compiler": compiler, "problems": problems}


def _try_writing() -> None:
    """Raise SpicebridgeError if compiled models cannot be kept, which says nothing about ngspice."""
    probe = cache_folder() / "models" / "doctor"
    try:
        with replacing(probe):
            pass
    except SpicebridgeError as error:
        raise SpicebridgeError(
            f"results cannot be kept: {error} SPICEBRIDGE_RESULTS may name another folder."
        ) from error
    probe.unlink()
