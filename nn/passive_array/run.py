"""The whole study in one run: write points, training, every case of every solution, the record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nn.checkpoint import save_arrays
from nn.elements import refuse_mixed
from nn.origin import circumstances_of
from nn.passive_array.experiment import CLASSES, CONSTANT_ROWS, FEATURES, ArrayExperiment
from nn.passive_array.operating import Arrays, arrays_of, best_point
from nn.passive_array.perceptrons import Perceptrons
from nn.passive_array.placement import Placement, place
from nn.passive_array.plan import Plan, build_case, plan_cases
from nn.passive_array.record import Study, record_text, study_record
from nn.passive_array.splits import Splits, draw_splits, wine
from nn.passive_array.study import CaseResult, join_results, run_case
from nn.passive_array.training import Recipe, train
from nn.pool import work_through
from nn.tables import refuse_holes, refuse_missing
from spicebridge.files import write_text
from spicebridge.table import LookupTable

BLOCK = 20  # solutions worked on together: enough for long array operations, few enough to see progress
WORKER_DIED = (
    "a worker of the study died (out of memory, or killed). Run the same command again, with fewer "
    "workers if memory was short."
)


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
    if not allow_holes:
        refuse_holes(tables)
    refuse_missing(experiment.name, experiment.tables.names, tables)
    refuse_mixed([tables[name] for name in experiment.tables.names], allowed=experiment.allow_mixed_elements)
    setting = prepare(experiment, arrays_of(experiment, tables), progress)
    solutions = experiment.solutions
    blocks = [slice(begin, min(begin + BLOCK, solutions)) for begin in range(0, solutions, BLOCK)]
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, solutions, f"{len(setting.cases)} cases")

    worked = work_through(blocks, work, setting, workers=workers, report=count, died=WORKER_DIED)
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
        circumstances=circumstances_of(circumstances, workers=workers, started=started),
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


def work(setting: Setting, which: slice, report: Callable[[int], None]) -> Worked:
    """Train some of the solutions, take them through all cases and report how many they are."""
    experiment, splits = setting.experiment, setting.splits.part(which)
    recipe = Recipe(hidden=experiment.hidden, epochs=experiment.epochs)
    plain = train(splits, recipe).networks
    hardened = replace(recipe, flips=experiment.aware.flips, noise=experiment.aware.noise)
    aware = train(splits, hardened).networks
    results = []
    for plan in setting.cases:
        case = build_case(plan, setting.arrays, setting.placement, splits.seeds)
        results.append(run_case(splits, aware if plan.aware else plain, setting.placement, case))
    report(which.stop - which.start)
    return Worked(plain, aware, tuple(results))


def _joined_networks(parts: list[Perceptrons]) -> Perceptrons:
    names = ("hidden", "threshold", "output", "offset")
    return Perceptrons(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
