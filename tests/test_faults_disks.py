"""Full and read-only disks, folders without permission, a damaged store.

Every one ends in the table of an undisturbed run or in one plain message, and costs no finished work.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spicebridge.table import load_table
from tests.disturbed_sweeps import (
    FEW,
    assert_plain,
    assert_right,
    ended,
    here,
    start,
    stored,
    strays,
    undisturbed,
    write_sweep,
)


@pytest.fixture
def small_sweep(tmp_path: Path, results: Path) -> Path:  # noqa: ARG001  # the results folder is set
    return write_sweep(tmp_path / "sweep", points=FEW)


# Disks that are full, and folders that cannot be written


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    yield folder
    # Lazily: a process that is just ending may still hold a file there.
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def mount(*options: str) -> None:
    try:
        done = subprocess.run(["mount", *options], capture_output=True, text=True, timeout=30)
    except OSError as error:
        pytest.skip(f"there is no mount: {error}")
    if done.returncode != 0:
        pytest.skip(f"a disk in memory cannot be mounted here: {done.stderr.strip()}")


def fill(disk: Path, *, free: int) -> Path:
    """A file that leaves so many bytes of the disk."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - free))
    return ballast


# What is left of the disk, what is finished before, and what then cannot be written.
STAGES = {
    "deck": (0, None, r"cannot write \S+/decks/\S+\.cir: No space left on device"),
    "new store": (
        8192,
        None,
        r"cannot use the store of \S+ \S+ \S+/points\.sqlite: database or disk is full",
    ),
    "store": (20480, None, r"cannot use the store of \S+ \S+ \S+/points\.sqlite: database or disk is full"),
    "table": (8192, "tables", r"cannot write \S+/tables/mine\.h5: "),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_one_message_and_the_same_command_goes_on_when_there_is_space(
    tmp_path: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stage: str,
) -> None:
    free, lost, words = STAGES[stage]
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = disk / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    if lost:
        assert here(sweep, capsys).code == 0
        shutil.rmtree(results / lost)
    ballast = fill(disk, free=free)
    assert_plain(here(sweep, capsys), words)
    assert not (results / "tables" / "mine.h5").exists()
    assert strays(results) == []
    kept = stored(results)
    ballast.unlink()
    said = here(sweep, capsys)
    assert said.code == 0, said.err
    assert kept.items() <= stored(results).items()
    assert_right(results, undisturbed(FEW))


def test_an_earlier_table_outlives_a_disk_that_fills(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = disk / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    assert here(sweep, capsys).code == 0
    before = (results / "tables" / "mine.h5").read_bytes()
    fill(disk, free=8192)
    sweep.write_text(sweep.read_text() + 'long_name = "the voltage after 1 ns"\n')
    assert_plain(here(sweep, capsys), r"cannot write \S+/tables/mine\.h5: ")
    assert (results / "tables" / "mine.h5").read_bytes() == before
    assert strays(results) == []


def test_a_limit_on_the_size_of_files_is_told_like_a_full_disk(
    small_sweep: Path,
    results: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))

    assert_plain(ended(start(small_sweep, preexec_fn=limited)), r"points\.sqlite|mine\.h5", "space")
    kept = stored(results)
    assert strays(results) == []
    said = here(small_sweep, capsys)
    assert said.code == 0, said.err
    assert kept.items() <= stored(results).items()
    assert_right(results, undisturbed(FEW))


def test_a_results_folder_below_a_file_is_one_message(
    small_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(tmp_path / "file" / "results"))
    assert_plain(
        here(small_sweep, capsys), r"cannot write \S+/file/results/decks/\S+: Not a directory\. Check"
    )


@pytest.mark.parametrize("finished", [False, True])
def test_a_read_only_disk_is_one_message(
    tmp_path: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: bool,
) -> None:
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = disk / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    if finished:
        assert here(sweep, capsys).code == 0
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    mount("-o", "remount,ro", str(disk))
    assert_plain(
        here(sweep, capsys), r"cannot write \S+: Read-only file system\. Check the folder's permissions"
    )
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_message(
    small_sweep: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.chmod(0o555)
    try:
        assert_plain(here(small_sweep, capsys), r"cannot write \S+: Permission denied\. Check")
    finally:
        results.chmod(0o755)


def test_a_store_that_may_only_be_read_is_one_message(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path / "sweep", points=FEW)
    results = tmp_path / "results"
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    results.mkdir()
    (disk / "cache").mkdir()
    (results / "cache").symlink_to(disk / "cache")
    mount("-o", "remount,ro", str(disk))
    assert_plain(here(sweep, capsys), r"cannot use the store .*points\.sqlite: unable to open database file")
    assert not (results / "tables").exists()


# Damage


def random_bytes(content: bytes) -> bytes:
    chance = random.Random(5)
    for _ in range(20):
        at = chance.randrange(4096, len(content))
        content = content[:at] + chance.randbytes(1) + content[at + 1 :]
    return content


@pytest.mark.parametrize(
    "damage",
    [random_bytes, lambda content: content[: len(content) // 2], lambda _content: b"not SQLite\n" * 1000],
    ids=["bytes", "truncated", "text"],
)
def test_a_damaged_store_is_simulated_again_or_told_and_never_gives_a_wrong_value(
    small_sweep: Path,
    results: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[bytes], bytes],
) -> None:
    assert here(small_sweep, capsys).code == 0
    store = results / "cache" / "points.sqlite"
    store.write_bytes(damage(store.read_bytes()))
    shutil.rmtree(results / "tables")
    said = here(small_sweep, capsys)
    if said.code != 0:
        assert_plain(said, r"points\.sqlite .*was damaged: .*delete it and repeat the command")
        store.unlink()
        said = here(small_sweep, capsys)
    assert said.code == 0
    table = load_table(results / "tables" / "mine.h5")
    assert table.digest == undisturbed(FEW).digest
