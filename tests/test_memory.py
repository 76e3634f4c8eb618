"""Memory: a long sweep holds no more at its end than near its start."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from characterization.definition import load_definition
from characterization.run import make_table
from spicebridge.sweep import Engine
from tests.disturbed_sweeps import QUICK, write_sweep

POINTS = 20_000
SETTLED = 1_000  # points, after which memory must not grow
EVERY = 250
ALLOWED = 50.0  # MB


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_is_flat_over_twenty_thousand_points(tmp_path: Path, results: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", points=POINTS, deck=QUICK)
    held: dict[str, list[tuple[int, float]]] = defaultdict(list)
    places: dict[int, str] = {}  # of the workers: one that took another's place goes on with its curve
    seen = 0

    def weigh(ended: int, _total: int, failed: int) -> None:
        nonlocal seen
        assert failed == 0
        if ended < seen + EVERY:
            return
        seen = ended
        held["parent"].append((ended, resident(os.getpid())))
        running = children(os.getpid())
        for process in sorted(running - set(places)):
            free = {"worker 1", "worker 2"} - {places[other] for other in running & set(places)}
            places[process] = min(free)
        for process in running:
            held[places[process]].append((ended, resident(process)))

    definition = load_definition(str(sweep), size="quick")
    engine = Engine(
        store=results / "cache" / "points.sqlite", workers=2, version="ngspice-test", progress=weigh
    )
    table = make_table(definition, engine)
    rval = np.linspace(500, 2000, POINTS)
    assert table.data["v1ns"].values == pytest.approx(1 - np.exp(-1e-9 / (rval * 1e-12)), rel=5e-3)
    assert set(held) == {"parent", "worker 1", "worker 2"}
    for who, curve in sorted(held.items()):
        settled = next(memory for ended, memory in curve if ended >= SETTLED)
        most = max(memory for ended, memory in curve if ended >= SETTLED)
        shown = ", ".join(f"{ended}: {memory:.1f}" for ended, memory in curve[:: max(len(curve) // 16, 1)])
        print(f"{who}: {shown} MB")  # noqa: T201  # the curve, for pytest -s
        assert most - settled < ALLOWED, f"{who} grew by {most - settled:.1f} MB: {shown}"
    assert max(len(curve) for curve in held.values()) > 50


def resident(process: int) -> float:
    """A process's resident memory, MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(process: int) -> set[int]:
    """Its worker processes."""
    found = set()
    for other in Path("/proc").iterdir():
        if other.name.isdigit():
            try:
                parent = (other / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == process and b"spicebridge.runner" in (other / "cmdline").read_bytes():
                    found.add(int(other.name))
            except OSError:  # it ended meanwhile
                continue
    return found
