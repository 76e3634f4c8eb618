"""Fixtures that several test files share."""

import os
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests went without the data folder."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(NO_DATA in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(f"Tests that need SPICEBRIDGE_DATA and were skipped: {count}.")
