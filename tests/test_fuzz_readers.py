"""No text makes a reader of decks, TOML files or Verilog-A sources fail otherwise than in a sentence.

Hypothesis chooses a seed; the mutations of ``mutated`` keep the grammar in most cases. A short run is part of
every test run, and a minute of each reader of the slow ones.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from characterization.definition import available_definitions, load_definition
from nn.experiment import available_experiments
from nn.studies import load_study
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import read_netlist
from spicebridge.permission import outside
from spicebridge.project import netlists_folder
from spicebridge.verilog_a.build import compile_model
from spicebridge.verilog_a.checks import limiter_names, refuse_unfaithful, refuse_untold
from spicebridge.verilog_a.memory import refuse_memory
from spicebridge.verilog_a.parameters import declared_parameters, parameter_copy, without_attributes
from spicebridge.verilog_a.rewrite import repaired
from spicebridge.verilog_a.source import flat_text, read_source
from tests.mutated import mutated_toml, mutated_words

MINUTE = 60.0  # s, a reader
SHORT = 60  # inputs of each reader in every test run
ROOT = Path(__file__).parents[1]

DECK_WORDS = (
    ".param", ".include", ".lib", ".endl", ".model", ".subckt", ".ends", ".control", ".endc",
    ".meas", ".tran", ".step", ".data", ".enddata", ".dc", ".if", ".endif", ".func", ".end",
    ".temp", ".option", "tran", "+", "{", "}", "'", "\"", "=", "(", ")", "list", "dec", "param",
    "pre_osdi", "shell", "sweep", ".save", ".title", "$x",
)  # fmt: skip
VERILOG_A_WORDS = (
    "module", "endmodule", "analog", "begin", "end", "if", "else", "case", "endcase", "for",
    "while", "function", "endfunction", "parameter", "real", "integer", "string", "inout",
    "electrical", "branch", "ground", "from", "exclude", "inf", "`define", "`include", "`ifdef",
    "`else", "`endif", "`undef", "ddt", "idt", "ddx", "$limit", "$strobe", "$fatal", "@", "(", ")",
    "[", "]", "{", "}", "<+", "=", ";", ",", "?", ":", "(*", "*)", "V", "I", "aliasparam",
    "localparam", "genvar", "default", "~", "**", "\"", "\n", "initial_step", "cross",
    "$temperature",
)  # fmt: skip
MACROS = """`include "disciplines.vams"
`define G(a, b) ((a) / (b))
`ifdef FAST
`define N 3
`else
`define N 2
`endif
(* desc = "odd" *) module odd(p, n);
  inout p, n; electrical p, n, i; branch (p, n) pn;
  (* units = "ohm", type = "instance" *) parameter real r = 1k from (0:inf) exclude 5;
  parameter integer kind = 1 from [0:3]; aliasparam res = r; localparam real g = 1 / r;
  real x; integer k;
  analog function real twice; input a; real a; begin twice = 2 * a; end endfunction
  analog begin
    x = 0;
    for (k = 0; k < `N; k = k + 1) x = x + twice(k);
    case (kind) 0, 1: x = x * 2; default: x = ddt(V(pn)); endcase
    if (kind == 2) $strobe("kind %d", kind); else $strobe("plain");
    I(p, i) <+ `G(V(p, i), r) + 1p * ddt(V(p, i)); V(i, n) <+ g * I(i, n) + 0 * x;
  end
endmodule
"""


def read_deck_text(text: str, folder: Path) -> None:
    path = folder / "mutated.cir"
    path.write_text(text, encoding="utf-8", newline="")
    read_netlist(path, permission=outside([path]))


def read_definition_text(text: str, folder: Path) -> None:
    (folder / "rc.cir").write_text((ROOT / "docs" / "rc.cir").read_text())
    path = folder / "mutated.toml"
    path.write_text(text, encoding="utf-8", newline="")
    load_definition(str(path), size="quick")


def read_experiment_text(text: str, folder: Path) -> None:
    path = folder / "mutated.toml"
    path.write_text(text, encoding="utf-8", newline="")
    load_study(str(path))


def check_source_text(text: str, folder: Path) -> None:
    """Everything before the front end."""
    path = folder / "mutated.va"
    path.write_text(text, encoding="utf-8", newline="")
    read = read_source(path)
    try:
        refuse_unfaithful(read)
        refuse_untold(read)
        refuse_memory(read)
        declared = declared_parameters(read)
        limiter_names(read)
        flat_text(repaired(without_attributes(read)))
        parameter_copy(read, declared)
    except RecursionError:  # which the build explains
        return


def compile_text(text: str, folder: Path) -> None:
    path = folder / "mutated.va"
    path.write_text(text, encoding="utf-8", newline="")
    compile_model(path, cache=folder / "cache")


def _decks() -> list[str]:
    return [path.read_text() for path in (ROOT / "docs" / "rc.cir", *sorted(netlists_folder().glob("*.cir")))]


def _definitions() -> list[str]:
    tables = [ROOT / "characterization" / "tables" / f"{name}.toml" for name in available_definitions()]
    return [path.read_text() for path in (ROOT / "docs" / "rc.toml", *tables)]


def _experiments() -> list[str]:
    return [(ROOT / "nn" / "experiments" / f"{name}.toml").read_text() for name in available_experiments()]


def _sources() -> list[str]:
    return [MACROS, (netlists_folder() / "devices" / "stt_mtj.va").read_text()]


Reader = Callable[[str, Path], None]
READERS: dict[str, tuple[Reader, Callable[[], list[str]], Callable[[str, random.Random], str]]] = {
    "deck": (read_deck_text, _decks, lambda text, rng: mutated_words(text, rng, DECK_WORDS)),
    "definition": (read_definition_text, _definitions, mutated_toml),
    "experiment": (read_experiment_text, _experiments, mutated_toml),
    "verilog_a": (check_source_text, _sources, lambda text, rng: mutated_words(text, rng, VERILOG_A_WORDS)),
    "compiled": (compile_text, lambda: [MACROS], lambda text, rng: mutated_words(text, rng, VERILOG_A_WORDS)),
}


def try_one(name: str, seed: int) -> str:
    """Read the mutation that a seed makes; ``accepted`` or ``refused``, whatever else is raised goes on."""
    reader, seeds, mutate = READERS[name]
    rng = random.Random(seed)
    text = mutate(rng.choice(seeds()), rng)
    with tempfile.TemporaryDirectory() as folder:
        try:
            reader(text, Path(folder))
        except SpicebridgeError as error:
            said = str(error)
        else:
            return "accepted"
    assert said.strip()
    return "refused"


@pytest.mark.parametrize("name", [name for name in READERS if name != "compiled"])
@settings(max_examples=SHORT, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_reader_ends_in_a_sentence(name: str, seed: int) -> None:
    try_one(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_reader_ends_in_a_sentence_for_a_minute(name: str) -> None:
    first = int(os.environ.get("SPICEBRIDGE_FUZZ_SEED", time.time_ns() % 2**32))
    ends = time.monotonic() + MINUTE
    seed = first
    while time.monotonic() < ends:
        try:
            try_one(name, seed)
        except Exception as error:
            raise AssertionError(f"{name}: the mutation of seed {seed} raised {error!r}") from error
        seed += 1
    assert seed > first


@pytest.mark.parametrize("name", ["definition", "experiment"])
def test_most_mutations_of_toml_are_still_toml(name: str) -> None:
    _, seeds, mutate = READERS[name]
    whole = 0
    for seed in range(400):
        rng = random.Random(seed)
        try:
            tomllib.loads(mutate(rng.choice(seeds()), rng))
            whole += 1
        except ValueError:
            pass
    assert whole >= 300
