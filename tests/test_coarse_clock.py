"""The coarse clock: it tells the time, ngspice takes it, and nothing depends on it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spicebridge.coarse_clock import coarse_clock, use_coarse_clock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the coarse clock is Linux's")

RUN = """
import sys
from pathlib import Path
from spicebridge.deck import make_deck
from spicebridge.simulator import ngspice
deck = make_deck("v1 a 0 sin(0 1 1g)\\nr1 a b 1k\\nc1 b 0 1p\\nd1 b 0 d\\n.model d d\\n.tran 1p 2n\\n",
                 folder=Path(), name="rectifier")
sys.stdout.write(ngspice().run(deck)["b"].tobytes().hex())
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
def test_it_tells_the_time() -> None:
    library = coarse_clock()
    assert library is not None
    seconds = ctypes.CDLL(str(library)).omp_get_wtime
    seconds.restype = ctypes.c_double
    assert seconds() == pytest.approx(time.clock_gettime(time.CLOCK_MONOTONIC), abs=0.1)


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
        assert coarse_clock() is None
        assert not use_coarse_clock()
    (tmp_path / "results").write_text("a file where the cache should be")
    assert coarse_clock() is None


def test_a_damaged_one_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path))
    library = coarse_clock()
    assert library is not None
    library.write_bytes(b"no library")
    assert not use_coarse_clock()
