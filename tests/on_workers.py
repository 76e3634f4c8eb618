"""Decks run on worker processes of their own, for tests that look at the answers."""

from __future__ import annotations

from collections.abc import Iterable

from spicebridge.workers import Answer, Pool, Task


def on_workers(tasks: Iterable[Task], *, workers: int, time_limit: float = 600.0) -> dict[int, Answer]:
    """The tasks' answers by position."""
    with Pool(workers=workers, time_limit=time_limit) as pool:
        return dict(pool.run(tasks))
