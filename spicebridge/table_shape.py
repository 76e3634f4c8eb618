"""The shape of a table that is read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from spicebridge.foreign import ForeignError, digest, inner_path, mapping, sequence


def check_table(data: xr.Dataset, lineage: Any, origin: Any) -> None:
    """Hold a table to what one holds: numbers or texts, and in its lineage no path out of a known folder.

    The lineage of a table that was made in Python may hold anything else.

    Args:
        data, lineage, origin: the table's, as read from its file.

    Raises:
        ForeignError: it holds something else.
    """
    for each in data.variables.values():
        if each.dtype.kind not in "fiubUOST":
            raise ForeignError(f"its values are of the type {each.dtype}")
    mapping()(origin, "its origin")
    mapping()(lineage, "its lineage")
    if isinstance(netlists := lineage.get("netlists"), Mapping):
        mapping(keys=inner_path)(netlists, "its lineage.netlists")
    if isinstance(decks := lineage.get("base_decks"), list):
        sequence(digest, 1)(decks, "its lineage.base_decks")
