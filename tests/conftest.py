"""Fixtures that several test files share."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

NO_DATA = "needs SPICEBRIDGE_DATA"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes that tests start keep compiled Python; beside others, leave each process one thread.

    Hundreds of workers and commands are started, and compiling this project takes each as long as all else.
    Threads are limited before anything loads NumPy.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if _beside_others(config):
        for name in THREADS:
            os.environ.setdefault(name, "1")


def _beside_others(config: pytest.Config) -> bool:
    """Whether this process is one of pytest-xdist's, which share the tests and the cores."""
    return hasattr(config, "workerinput")


@pytest.fixture(scope="session", autouse=True)
def _own_share(pytestconfig: pytest.Config) -> Iterator[None]:
    """Commands that run in one of several test processes take one core, as the others have theirs."""
    with pytest.MonkeyPatch.context() as patch:
        if _beside_others(pytestconfig):
            patch.setattr("spicebridge.cli.cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The data sets that SPICEBRIDGE_DATA names; a test that asks for it is skipped where it is absent."""
    named = os.environ.get("SPICEBRIDGE_DATA")
    if named is None:
        pytest.skip(f"{NO_DATA}, which is not set")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"{NO_DATA}, and {folder} is not a folder")
    return folder


@pytest.fixture(scope="session")
def compiled_models(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """One cache of compiled Verilog-A models for the whole run, which its processes share."""
    if not _beside_others(pytestconfig):
        return tmp_path_factory.mktemp("models")
    folder = tmp_path_factory.getbasetemp().parent / "models"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def results(tmp_path: Path, compiled_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder, which this process and those it starts use."""
    folder = tmp_path / "results"
    (folder / "cache").mkdir(parents=True)
    (folder / "cache" / "models").symlink_to(compiled_models)
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(folder))
    return folder


@pytest.fixture(scope="session")
def quick_write(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, compiled_models: Path
) -> Path:
    """A results folder after ``spicebridge characterize mtj_write``, made once for all processes of the run.

    To be read and copied only.
    """
    folder = tmp_path_factory.getbasetemp()
    if _beside_others(pytestconfig):
        folder = folder.parent
    results = folder / "quick_write"
    with (folder / "quick_write.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # those who come meanwhile wait for the first
        if not (results / "tables" / "mtj_write.h5").exists():
            (results / "cache").mkdir(parents=True, exist_ok=True)
            if not (results / "cache" / "models").exists():
                (results / "cache" / "models").symlink_to(compiled_models)
            subprocess.run(
                [Path(sys.executable).with_name("spicebridge"), "characterize", "mtj_write"],
                env={**os.environ, "SPICEBRIDGE_RESULTS": str(results)},
                check=True,
                timeout=600,
            )
    return results


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots are composed but not rendered, which is most of a page's time, for tests of a page's words."""
    from matplotlib.figure import Figure  # not above: it loads NumPy, which pytest_configure comes before

    def empty(_figure: Figure, file: TextIO, **_options: object) -> None:
        file.write('<svg viewBox="0 0 1 1"></svg>')

    monkeypatch.setattr(Figure, "savefig", empty)


@pytest.fixture(scope="session")
def ngspice_program() -> str:
    """The ngspice program, as the set-up left it."""
    unpacked = Path(__file__).parent.parent / ".local" / "usr" / "bin" / "ngspice"
    program = str(unpacked) if unpacked.exists() else shutil.which("ngspice")
    assert program is not None, "there is no ngspice program; make sets it up"
    return program


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests went without the data folder."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(NO_DATA in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(f"Tests that need SPICEBRIDGE_DATA and were skipped: {count}.")
