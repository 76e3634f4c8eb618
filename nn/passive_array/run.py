"""The whole study in one run: write points, training, every case of every solution, the record."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nn.checkpoint import save_arrays
from nn.passive_array.experiment import CLASSES, CONSTANT_ROWS, FEATURES, ArrayExperiment
from nn.passive_array.operating import Arrays, arrays_of, best_point
from nn.passive_array.perceptrons import Perceptrons
from nn.passive_array.placement import Placement, place
from nn.passive_array.plan import Plan, build_case, plan_cases
from nn.passive_array.record import Study, record_text, study_record
from nn.passive_array.splits import Splits, draw_splits, wine
from nn.passive_array.study import CaseResult, join_results, run_case
from nn.passive_array.training import Recipe, train
from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_text
from spicebridge.interrupts import interrupts_held
from spicebridge.table import LookupTable

BLOCK = 20  # solutions worked on together: enough for long array operations, few enough to see progress


@dataclass(frozen=True, eq=False)
class Setting:
    """All that a block of solutions is worked through with.

    Attributes:
        experiment: the study.
        arrays: its tables.
        placement: where weights lie.
        cases: what is done to every solution.
        splits: of all solutions.
    """

    experiment: ArrayExperiment
    arrays: Arrays
    placement: Placement
    cases: tuple[Plan, ...]
    splits: Splits


@dataclass(frozen=True, eq=False)
class Worked:
    """A block of solutions, done: its networks, plain and hardware-aware, and each case's outcome."""

    plain: Perceptrons
    aware: Perceptrons
    results: tuple[CaseResult, ...]


def run(
    experiment: ArrayExperiment,
    tables: Mapping[str, LookupTable],
    *,
    folder: Path,
    workers: int = 1,
    progress: Callable[[int, int, str], None] = lambda *_: None,
    allow_holes: bool = False,
    circumstances: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Carry a study out and write ``record.json`` and ``weights.npz`` into ``folder``.

    It takes minutes, so nothing is kept of a run that is stopped. The values do not depend on the workers.

    Args:
        experiment: the study.
        tables: the tables it names, by name.
        folder: the run's own folder.
        workers: processes; blocks of solutions are shared out among them.
        progress: told the solutions done, how many there are, and words.
        allow_holes: whether a table may lack simulations that failed; reading a hole is an error still.
        circumstances: put into the record as they are (command, git revision).

    Returns:
        The record, as ``nn.passive_array.record.study_record`` describes it.

    Raises:
        SpicebridgeError: tables that are missing, have holes or do not fit, or a worker that died.
    """
    started = time.perf_counter()
    for name, table in tables.items():
        if table.holes and not allow_holes:
            raise SpicebridgeError(
                f"table {name} has holes: {len(table.holes)} of its simulations failed. Make it again "
                f"(spicebridge characterize {name}), or run on what there is with --allow-holes."
            )
    setting = prepare(experiment, arrays_of(experiment, tables), progress)
    worked = list(_work_through(setting, workers, progress))
    study = Study(
        experiment=experiment,
        arrays=setting.arrays,
        splits=setting.splits,
        placement=setting.placement,
        plain=_joined_networks([block.plain for block in worked]),
        aware=_joined_networks([block.aware for block in worked]),
        cases=setting.cases,
        results=tuple(join_results(parts) for parts in zip(*(each.results for each in worked), strict=True)),
    )
    record = study_record(
        study,
        circumstances={
            **(circumstances or {}),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "workers": workers,
            "wall_seconds": time.perf_counter() - started,
        },
    )
    save_arrays(folder / "weights.npz", study.weights())
    write_text(folder / "record.json", record_text(record))
    return record


def prepare(
    experiment: ArrayExperiment, arrays: Arrays, progress: Callable[[int, int, str], None] = lambda *_: None
) -> Setting:
    """Splits, placement, write points and cases of a study."""
    placement = place(
        inputs=FEATURES + CONSTANT_ROWS,
        hidden=experiment.hidden,
        classes=CLASSES,
        scheme=experiment.placement,
    )
    splits = draw_splits(
        *wine(),
        seeds=experiment.seeds,
        train=experiment.split.train,
        test=experiment.split.test,
        constant_rows=CONSTANT_ROWS,
    )
    points = []
    for diameter in experiment.diameters:
        for scheme in experiment.schemes:
            progress(0, experiment.solutions, f"write point {1e9 * diameter:g} nm, {scheme}")
            points.append(best_point(arrays, scheme=scheme, diameter=diameter))
    return Setting(experiment, arrays, placement, plan_cases(experiment, points), splits)


def work(setting: Setting, which: slice) -> Worked:
    """Train some of the solutions and take them through all cases."""
    experiment, splits = setting.experiment, setting.splits.part(which)
    recipe = Recipe(hidden=experiment.hidden, epochs=experiment.epochs)
    plain = train(splits, recipe).networks
    hardened = replace(recipe, flips=experiment.aware.flips, noise=experiment.aware.noise)
    aware = train(splits, hardened).networks
    results = []
    for plan in setting.cases:
        case = build_case(plan, setting.arrays, setting.placement, splits.seeds)
        results.append(run_case(splits, aware if plan.aware else plain, setting.placement, case))
    return Worked(plain, aware, tuple(results))


def _work_through(
    setting: Setting, workers: int, progress: Callable[[int, int, str], None]
) -> Iterable[Worked]:
    solutions = len(setting.splits.seeds)
    blocks = [slice(begin, min(begin + BLOCK, solutions)) for begin in range(0, solutions, BLOCK)]
    words = f"{len(setting.cases)} cases"
    done = 0
    if workers == 1 or len(blocks) == 1:
        for block in blocks:
            yield work(setting, block)
            done += block.stop - block.start
            progress(done, solutions, words)
        return
    yield from _in_processes(setting, blocks, workers, lambda more: progress(more, solutions, words))


def _in_processes(
    setting: Setting, blocks: list[slice], workers: int, progress: Callable[[int], None]
) -> Iterator[Worked]:
    """The blocks in their order, from spawned processes with one BLAS thread each."""
    executor = ProcessPoolExecutor(
        min(workers, len(blocks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(setting,),
    )
    try:
        with interrupts_held():  # the first submission starts the processes
            futures: list[Future[Worked]] = [executor.submit(_in_worker, block) for block in blocks]
        sizes = dict(zip(futures, blocks, strict=True))
        done = 0
        for future in as_completed(futures):
            future.result()
            done += sizes[future].stop - sizes[future].start
            progress(done)
        yield from (future.result() for future in futures)
    except BrokenProcessPool as error:
        raise SpicebridgeError(
            "a worker of the study died (out of memory, or killed). Run the same command again, with fewer "
            "workers if memory was short."
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


_worker: dict[str, Setting] = {}


def _start_worker(setting: Setting) -> None:
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker["setting"] = setting


def _end_with_parent() -> None:
    """A pool's workers outlive a parent that is killed, and wait for ever: end when it ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_worker(which: slice) -> Worked:
    return work(_worker["setting"], which)


def _joined_networks(parts: list[Perceptrons]) -> Perceptrons:
    names = ("hidden", "threshold", "output", "offset")
    return Perceptrons(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
