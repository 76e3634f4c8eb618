"""Finding what was made: tables and run records, the newest working ones before the tracked reference."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spicebridge.errors import SpicebridgeError
from spicebridge.foreign import ForeignError
from spicebridge.project import reference_folder, results_folder
from spicebridge.record_shape import read_record
from spicebridge.settings import listed
from spicebridge.table import LookupTable, TableError, load_table


def table_path(name: str) -> Path:
    """Where a working table is kept."""
    return results_folder() / "tables" / f"{name}.h5"


def run_folder(name: str) -> Path:
    """Where a working run is kept."""
    return results_folder() / "runs" / name


def available_tables() -> dict[str, Path]:
    """Tables by name; a working one hides the reference of its name."""
    found = {}
    for folder in (reference_folder() / "tables", results_folder() / "tables"):
        found.update({path.stem: path for path in _tables_in(folder)})
    return found


def _tables_in(folder: Path) -> list[Path]:
    # A dot begins the temporary name of a file that a killed process was writing.
    return [path for path in sorted(folder.glob("*.h5")) if not path.name.startswith(".") and path.is_file()]


def find_table(name: str) -> LookupTable:
    """A table by its name or by the path of an ``.h5`` file.

    Raises:
        TableError: none of that name, or a damaged file.
    """
    if name.endswith(".h5"):
        return load_table(Path(name))
    known = available_tables()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise TableError(
            f"there is no table {name!r}."
            + (f" Did you mean {near[0]}?" if near else f" Make it with: spicebridge characterize {name}.")
            + f" There are: {listed(sorted(known)) if known else 'none yet'}."
        )
    return load_table(known[name])


def tables_by_digest() -> dict[str, LookupTable]:
    """Every readable table at hand, working and reference, by digest."""
    found = {}
    for folder in (reference_folder() / "tables", results_folder() / "tables"):
        for path in _tables_in(folder):
            try:
                table = load_table(path)
            except TableError:
                continue  # a damaged table is no source; the record that needs it says it is not here
            found[table.digest] = table
    return found


def available_runs() -> dict[str, Path]:
    """Records by experiment; a working one hides the reference of its name."""
    found = {}
    for folder in (reference_folder() / "runs", results_folder() / "runs"):
        kept = (path for path in sorted(folder.glob("*/record.json")) if path.is_file())
        found.update({path.parent.name: path for path in kept})
    return found


def find_record(name: str, *, also: Iterable[str] = ()) -> dict[str, Any]:
    """A run's record: ``latest`` (the newest working run, else the last reference), or an experiment's name.

    ``also`` are other names that would have been right here, for the advice on a misspelt one.

    Raises:
        SpicebridgeError: none of that name, or a damaged file.
    """
    known = available_runs()
    if name == "latest":
        path = _latest(known)
        advice = "Train one with: spicebridge train digits_ternary_mtj."
    else:
        path = known.get(name)
        near = difflib.get_close_matches(name, [*known, *also], n=1)
        advice = (
            f"Did you mean {near[0]}?" if near else f"Train one with: spicebridge train {name}."
        ) + f" There are: {listed(sorted(known)) if known else 'none yet'}."
    if path is None:
        raise SpicebridgeError(f"there is no run {name!r}. {advice}")
    try:
        return read_record(path)
    except ForeignError as error:
        raise SpicebridgeError(
            f"{path} is not a readable run record: {error}. Delete it and train again."
        ) from error


def _latest(known: Mapping[str, Path]) -> Path | None:
    """The record written last of the working ones; without one, the reference that finished last.

    A checkout gives tracked files times in no order, so a reference record says itself when it was made.
    Of records from the same time it is the first by name.
    """
    runs = [known[name] for name in sorted(known)]
    working = [path for path in runs if path.is_relative_to(results_folder() / "runs")]
    if working:
        return max(working, key=lambda path: path.stat().st_mtime)
    return max(runs, key=_finished, default=None)


def _finished(path: Path) -> str:
    """When a record says that its run ended (ISO 8601, UTC); empty if it does not say."""
    try:
        return str(read_record(path)["circumstances"]["finished"])
    except (ForeignError, LookupError, TypeError):
        return ""
