"""Tables that an experiment asks for: there, and whole."""

from __future__ import annotations

from collections.abc import Mapping

from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable


def refuse_missing(experiment: str, names: tuple[str, ...], tables: Mapping[str, LookupTable]) -> None:
    """Refuse to go on without a table that an experiment names.

    Raises:
        SpicebridgeError: one of ``names`` is not among ``tables``.
    """
    for name in names:
        if name not in tables:
            raise SpicebridgeError(
                f"experiment {experiment} reads the table {name}, which is not there. "
                f"Make it with: spicebridge characterize {name}"
            )


def refuse_holes(tables: Mapping[str, LookupTable]) -> None:
    """Refuse tables of which simulations failed.

    Raises:
        SpicebridgeError: one has holes.
    """
    for name, table in tables.items():
        if table.holes:
            raise SpicebridgeError(
                f"table {name} has holes: {len(table.holes)} without a value, the first because of "
                f"{table.holes[0]['why']!r}. Make it again (spicebridge characterize {name}), or train on "
                "what there is with --allow-holes."
            )
