"""What every record says of where its figures are from: tables, data, versions, circumstances."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from nn.data import Dataset
from nn.elements import mixed_elements
from spicebridge.table import LookupTable


def describe_tables(tables: Iterable[LookupTable]) -> list[dict[str, Any]]:
    """Names, digests and sizes of the tables that were read, with what measured them and the models' names.

    Where tables were mixed that are not of one cell, the later of two has ``mixed``: what differs, in words.
    """
    tables = list(tables)
    mixed: dict[str, list[str]] = {}
    for each in mixed_elements(tables):
        mixed.setdefault(each.other, []).append(str(each))
    return [
        {
            "name": table.name,
            "digest": table.digest,
            "procedure": table.lineage.get("procedure"),
            "models": sorted(table.lineage.get("models") or {}),
            "size": table.lineage.get("size"),
            "samples": table.lineage.get("samples"),
            **({"mixed": mixed[table.name]} if table.name in mixed else {}),
        }
        for table in tables
    ]


def describe_images(dataset: Dataset) -> dict[str, Any]:
    """The images, and how they were divided."""
    return {
        "name": dataset.name,
        "checksum": dataset.checksum,
        "split": dataset.split,
        "training_images": len(dataset.train_labels),
        "test_images": len(dataset.test_labels),
    }


def versions() -> dict[str, str]:
    """Of what the figures were computed with."""
    return {"python": platform.python_version(), "numpy": np.__version__}


def circumstances_of(given: Mapping[str, Any] | None, *, workers: int, started: float) -> dict[str, Any]:
    """What does not bear on the values: what is given (git revision, command), workers, times.

    Args:
        given: put first, as it is.
        workers: processes.
        started: ``time.perf_counter()`` when the run began (s).
    """
    return {
        **(given or {}),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "workers": workers,
        "wall_seconds": time.perf_counter() - started,
    }
