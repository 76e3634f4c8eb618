"""Replaying a table: its decks simulated again from its lineage, and the digests compared."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from characterization.run import definition_of, make_table
from spicebridge.settings import listed
from spicebridge.sweep import Engine, Progress
from spicebridge.table import LookupTable, TableError


def replay(
    table: LookupTable, *, workers: int, version: str, progress: Progress, trust: bool = False
) -> dict[str, Any]:
    """Simulate a table again in a store of its own.

    Args:
        table: the table.
        workers: processes.
        version: of the ngspice in use.
        trust: whether the decks of a user's own netlist may run commands and read any file.
        progress: called with simulations ended, all there are, and those that failed.

    Returns:
        ``table``, its name; ``same``, whether the digests are equal; ``outcome``, in words, also
        of a table whose lineage does not say how it was made.
    """
    try:
        definition = definition_of(table, trust=trust)
    except TableError as error:
        return {"table": table.name, "same": False, "outcome": str(error)}
    with tempfile.TemporaryDirectory() as store:
        engine = Engine(
            store=Path(store) / "points.sqlite", workers=workers, version=version, progress=progress
        )
        again = make_table(definition, engine)
    same = again.digest == table.digest
    outcome = "the same digest" if same else f"digest {again.digest[:12]}, recorded {table.digest[:12]}"
    if not same and again.lineage == table.lineage:
        outcome += " (the same decks; another ngspice or machine may round otherwise)"
    elif not same:
        changed = [key for key in table.lineage if table.lineage[key] != again.lineage.get(key)]
        outcome += f" (changed: {listed(changed)})"
    return {"table": table.name, "same": same, "outcome": outcome}
