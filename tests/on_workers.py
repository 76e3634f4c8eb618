"""Decks run on worker processes, for tests that look at the answers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from spicebridge.workers import Answer, Pool, Task


def on_workers(tasks: Iterable[Task], *, workers: int, time_limit: float = 600.0) -> dict[int, Answer]:
    """The tasks' answers by position, from workers of this test's own."""
    with Pool(workers=workers, time_limit=time_limit) as pool:
        return dict(pool.run(tasks))


def on_lasting_workers(tasks: Iterable[Task]) -> dict[int, Answer]:
    """The tasks' answers by position, from two workers that all such tests of this process use."""
    try:
        return dict(_lasting_pool().run(tasks))
    except BaseException:
        _lasting_pool().stop()
        raise


@cache
def _lasting_pool() -> Pool:
    return Pool(workers=2)
