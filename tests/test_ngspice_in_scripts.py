"""``ngspice()`` in a script or a notebook leaves the script's own process as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import make_deck
from spicebridge.ngspice_library import find_ngspice_library
from spicebridge.simulator import SimulationError, Waveforms, ngspice, ngspice_version
from spicebridge.workers import Task, simulate
from tests.on_workers import on_workers

pytestmark = pytest.mark.usefixtures("results")

STATE = """
import ctypes, locale, logging, os, signal, sys, threading
from pathlib import Path
import numpy
from spicebridge.netlist import make_deck
from spicebridge.simulator import ngspice, ngspice_version
from spicebridge.workers import simulate

def state():
    return {
        "environment": dict(os.environ), "folder": os.getcwd(), "threads": threading.active_count(),
        "signals": [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV)],
        "library": sys.platform == "linux" and "libngspice" in Path("/proc/self/maps").read_text(),
        "locale": locale.setlocale(locale.LC_ALL), "output": (sys.stdout, sys.stderr),
        "logging": [logging.getLogger(name).level for name in ("", "PySpice")], "files": sorted(os.listdir()),
    }

deck = make_deck("v1 a 0 1\\nr1 a b 1k\\nr2 b 0 3k\\n.op", folder=Path(), name="divider")
before = state()
assert ngspice().run(deck)["b"][0] == 0.75
assert ngspice_version().startswith("ngspice-")
after = state()
assert after == before, {name: (before[name], after[name]) for name in before if before[name] != after[name]}
assert simulate(deck)["b"][0] == 0.75
"""


def run_script(script: str, folder: Path, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


def divider(r: str = "3k") -> Deck:
    return make_deck(f"v1 a 0 1\nr1 a b 1k\nr2 b 0 {r}\n.op", folder=Path(), name="divider")


def half(recorded: Waveforms) -> float:
    return float(recorded["b"][0]) / 2


def test_nothing_is_left_in_the_scripts_process_and_sweeps_run_after_it(tmp_path: Path) -> None:
    (tmp_path / ".spiceinit").write_text("shell touch was_run\n")
    run_script(STATE, tmp_path)


def test_results_and_library_may_be_named_from_the_scripts_folder(tmp_path: Path) -> None:
    library = Path(os.path.realpath(_path_of(find_ngspice_library())))
    (tmp_path / "mine.so").symlink_to(library)
    run_script(STATE, tmp_path, NGSPICE_LIBRARY_PATH="./mine.so", SPICEBRIDGE_RESULTS="results")
    assert not (tmp_path / "results" / "cache" / "ngspice" / "results").exists()


def _path_of(library: str) -> str:
    """Where the system's loader finds a library."""
    script = f"import ctypes; ctypes.CDLL({library!r}); print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return next(line.split()[-1] for line in maps.splitlines() if "libngspice" in line)


def test_a_library_may_be_named_as_the_systems_loader_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGSPICE_LIBRARY_PATH", find_ngspice_library())
    assert simulate(divider())["b"] == pytest.approx([0.75])
    monkeypatch.setenv("NGSPICE_LIBRARY_PATH", "libnosuch.so.0")
    with pytest.raises(SpicebridgeError, match=r"libnosuch\.so\.0 does not load.*Set NGSPICE_LIBRARY_PATH"):
        simulate(divider())


def test_it_measures_here_with_any_function() -> None:
    factor = 2.0
    assert ngspice().measured(divider(), lambda recorded: factor * half(recorded)) == pytest.approx(0.75)
    assert ngspice().run(divider("1k"))["b"] == pytest.approx([0.5])
    assert ngspice_version() == f"ngspice-{ngspice().version}"


def test_a_deck_that_was_interrupted_never_answers_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    ngspice().run(divider())

    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("spicebridge.workers.wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ngspice().run(divider("7k"))
    assert ngspice().run(divider("1k"))["b"] == pytest.approx([0.5])


def test_a_forked_process_has_an_ngspice_of_its_own(tmp_path: Path) -> None:
    script = (
        STATE[: STATE.index("def state")]
        + """
def volts(r):
    deck = make_deck(f"v1 a 0 1\\nr1 a b 1\\nr2 b 0 {r}\\n.op", folder=Path(), name="divider")
    return ngspice().run(deck)["b"][0]

assert volts(1) == 0.5
child = os.fork()
for r in range(1, 60):
    assert abs(volts(r) - r / (r + 1)) < 1e-9, r
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    )
    run_script(script, tmp_path)


def test_a_failure_is_raised_and_followed_by_right_results() -> None:
    with pytest.raises(SimulationError, match="nosuch"):
        ngspice().run(make_deck("x1 a 0 nosuch\nv1 a 0 1\n.op", folder=Path(), name="bad"))
    assert np.asarray(ngspice().run(divider())["b"]) == pytest.approx([0.75])


CHILDREN = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


@pytest.mark.skipif(not CHILDREN.exists(), reason="this system does not tell a process's children in /proc")
def test_the_worker_that_tells_the_version_is_the_next_sweeps_first() -> None:
    def processes(workers: int) -> set[str]:
        tasks = [Task(divider(f"{k + 1}k"), process_number) for k in range(200)]
        return {str(answer.value) for answer in on_workers(tasks, workers=workers).values()}

    processes(1)  # ends one that may be left of another test
    before = set(CHILDREN.read_text().split())
    assert ngspice_version() == ngspice_version()
    (spare,) = set(CHILDREN.read_text().split()) - before
    assert processes(1) == {spare}
    assert set(CHILDREN.read_text().split()) == before  # it ended with its pool
    ngspice_version()
    (spare,) = set(CHILDREN.read_text().split()) - before
    os.kill(int(spare), signal.SIGKILL)
    assert spare not in processes(2)


def test_a_worker_started_for_another_results_folder_is_not_the_next_sweeps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ngspice_version()
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path / "elsewhere"))
    answers = on_workers([Task(divider(), results_here)], workers=1)
    assert answers[0].value == str(tmp_path / "elsewhere")


def process_number(recorded: Waveforms) -> int:  # noqa: ARG001  # a measure
    return os.getpid()


def results_here(recorded: Waveforms) -> str:  # noqa: ARG001  # a measure
    return os.environ["SPICEBRIDGE_RESULTS"]
