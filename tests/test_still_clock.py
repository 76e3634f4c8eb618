"""The clock that stands still: ngspice takes it, and nothing depends on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spicebridge.still_clock import still_clock, use_still_clock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the clock is put in place by Linux's linker")

RUN = """
import sys
from pathlib import Path
from spicebridge.netlist import make_deck
from spicebridge.simulator import in_this_process
deck = make_deck("v1 a 0 sin(0 1 1g)\\nr1 a b 1k\\nc1 b 0 1p\\nd1 b 0 d\\n.model d d\\n.tran 1p 2n\\n",
                 folder=Path(), name="rectifier")
sys.stdout.write(in_this_process().run(deck)["b"].tobytes().hex())
"""


def told(**environment: str) -> tuple[str, str]:
    """What a process says that simulates a rectifier: its waveform's bytes, and the linker's notes."""
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LD_DEBUG": "bindings", **environment},
    )
    return done.stdout, done.stderr


@pytest.mark.usefixtures("results")
def test_ngspice_takes_it_and_gives_the_same_values_without_it(tmp_path: Path) -> None:
    taken = re.compile(r"libngspice\S* \[0\] to \S*clock\.so \[0\]: normal symbol `omp_get_wtime'")
    waveform, linked = told()
    assert taken.search(linked)
    (tmp_path / "blocked").write_text("a file where the cache should be")
    without, linked = told(SPICEBRIDGE_RESULTS=str(tmp_path / "blocked"))
    assert not taken.search(linked)
    assert len(waveform) > 10_000
    assert waveform == without


def test_without_a_compiler_or_a_cache_ngspice_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path / "results"))
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert still_clock() is None
        assert not use_still_clock()
    (tmp_path / "blocked").write_text("a file where the cache should be")
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path / "blocked"))
    assert still_clock() is None


@pytest.mark.parametrize("kept", [0, 100, 4096])
def test_a_damaged_one_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path))
    library = still_clock()
    assert library is not None
    whole = library.read_bytes()
    library.write_bytes(whole[:kept])
    assert still_clock() == library
    assert library.read_bytes() == whole
    assert use_still_clock()
