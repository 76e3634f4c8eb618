"""Fixtures that several test files share."""

import os
import shutil
from pathlib import Path

import pytest

NO_DATA = "needs SPICEBRIDGE_DATA"


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
def compiled_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of compiled Verilog-A models for the whole run."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def results(tmp_path: Path, compiled_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder, which this process and those it starts use."""
    folder = tmp_path / "results"
    (folder / "cache").mkdir(parents=True)
    (folder / "cache" / "models").symlink_to(compiled_models)
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(folder))
    return folder


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
