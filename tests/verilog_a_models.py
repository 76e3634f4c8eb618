"""Verilog-A sources compiled and run in ngspice, for the tests of the compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from spicebridge.verilog_a import CompiledModel, compile_model

HEADER = '`include "disciplines.vams"\n`include "constants.vams"\n'
FIXTURES = Path(__file__).parent / "verilog_a"


def build(folder: Path, cache: Path, text: str, name: str = "model.va") -> CompiledModel:
    """Compile a source text."""
    source = folder / name
    source.write_text(HEADER + text)
    return compile_model(source, cache=cache)


def ngspice(folder: Path, models: list[CompiledModel], circuit: str, control: str) -> tuple[np.ndarray, str]:
    """Run a deck; the table that ``wrdata out`` wrote (empty if none) and the log."""
    loads = "\n".join(f"pre_osdi {model.library}" for model in models)
    deck = folder / "deck.cir"
    deck.write_text(
        f"test\n{circuit}\n.control\nset num_threads=1\nset wr_singlescale\nset "
        f"numdgt=15\n{loads}\n{control}\n"
        "quit\n.endc\n.end\n"
    )
    out = folder / "out"
    out.unlink(missing_ok=True)
    done = subprocess.run(
        ["ngspice", "-b", str(deck)], capture_output=True, text=True, timeout=60, cwd=folder, check=False
    )
    table = np.loadtxt(out, ndmin=2) if out.exists() else np.empty((0, 0))
    return table, done.stdout + done.stderr


RESISTOR = """
module va_resistor(a, b);
inout a, b; electrical a, b;
(* desc="resistance", units="Ohm", type="instance" *) parameter real r = 1k from (0:inf);
analog I(a, b) <+ V(a, b) / r;
endmodule
"""


DIODE = """
module va_diode(a, c);
inout a, c; electrical a, c, i;
parameter real is = 1e-14 from (0:inf);
parameter real n = 1 from [0.1:10];
parameter real rs = 0 from [0:inf);
parameter real cj = 0, tt = 0 from [0:inf);
real vd, id, vcrit, vte;
analog begin
  vte = n * $vt;
  vcrit = vte * ln(vte / (sqrt(2.0) * is));
  vd = $limit(V(a, i), "pnjlim", vte, vcrit);
  id = is * (exp(vd / vte) - 1) + $simparam("gmin") * vd;
  I(a, i) <+ id + ddt(tt * id + cj * vd);
  if (rs > 0) I(i, c) <+ V(i, c) / rs;
  else V(i, c) <+ 0;
end
endmodule
"""
