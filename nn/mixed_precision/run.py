"""Training runs: every arm and seed of an experiment, on one or more worker processes, into one record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isclose
from pathlib import Path
from typing import Any

from nn.checkpoint import CHECKPOINTS, keep_run
from nn.data import load_dataset
from nn.loop import Progress
from nn.mixed_precision.arms import ARMS, FULL
from nn.mixed_precision.device import compile_device
from nn.mixed_precision.experiment import MixedExperiment
from nn.mixed_precision.loop import Given, Job, Outcome, train_one
from nn.mixed_precision.reading import compile_energy
from nn.mixed_precision.record import make_record
from nn.pool import work_through
from nn.record import digest_of
from nn.tables import refuse_holes, refuse_missing
from nn.train import WORKER_DIED
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

LAYOUT = 1  # of the checkpoints; a new number leaves older ones unused


def run(
    experiment: MixedExperiment,
    tables: Mapping[str, LookupTable],
    *,
    folder: Path,
    arms: Sequence[str] | None = None,
    workers: int = 1,
    progress: Callable[[Progress], None] = lambda _: None,
    data_folder: Path | None = None,
    allow_holes: bool = False,
    resume: bool = True,
    circumstances: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train an experiment and write ``record.json`` and ``weights.npz`` into ``folder``.

    A run that was cut short continues from its last finished epochs; the values are those of an uninterrupted
    run, whatever the number of workers.

    Args:
        experiment: what to train.
        tables: the tables it names, by name.
        folder: the run's own folder.
        arms: which of ``ARMS``; all if not given.
        workers: processes; networks (arm and seed) are shared out among them.
        progress: called in this process after every epoch of every network.
        data_folder: holds the data set's files; see ``nn.data.load_dataset``.
        allow_holes: whether a table may lack simulations that failed; reading a hole is an error still.
        resume: False to begin anew where a run was cut short.
        circumstances: put into the record as they are (command, git revision).

    Returns:
        The record, as ``nn.mixed_precision.record.make_record`` describes it.

    Raises:
        SpicebridgeError: a table that is missing, has holes or does not fit, unknown arms, data that cannot
            be had, or a worker that died.
    """
    started = time.perf_counter()
    jobs = jobs_of(experiment, arms)
    given = given_for(experiment, tables, data_folder=data_folder, allow_holes=allow_holes)
    tasks = [_task(job, given, folder) for job in jobs]
    if not resume:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    outcomes = work_through(tasks, _carry_out, given, workers=workers, report=progress, died=WORKER_DIED)
    record = make_record(
        experiment,
        outcomes,
        given,
        circumstances={
            **(circumstances or {}),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "workers": workers,
            "wall_seconds": time.perf_counter() - started,
        },
    )
    arrays = {
        f"{outcome.job.arm}.seed{outcome.job.seed}.{name}": array
        for outcome in outcomes
        if outcome.job.arm in FULL
        for name, array in outcome.weights.items()
    }
    keep_run(folder, record, arrays)
    return record


def jobs_of(experiment: MixedExperiment, arms: Sequence[str] | None = None) -> list[Job]:
    """The networks to train: all seeds of the arms in ``FULL``, the first few of the others.

    Raises:
        SpicebridgeError: an unknown arm, or none.
    """
    names = list(ARMS if arms is None else arms)
    unknown = [name for name in names if name not in ARMS]
    if unknown or not names:
        raise SpicebridgeError(f"arms are {', '.join(ARMS)} (got: {', '.join(unknown) or 'none'}).")
    return [
        Job(experiment, name, seed)
        for name in ARMS
        if name in names
        for seed in experiment.seeds[: None if name in FULL else experiment.ablation_seeds]
    ]


def given_for(
    experiment: MixedExperiment,
    tables: Mapping[str, LookupTable],
    *,
    data_folder: Path | None = None,
    allow_holes: bool = False,
) -> Given:
    """An experiment's tables, laid out for the loop, and its images.

    Raises:
        SpicebridgeError: a table that is missing, has holes or does not fit, or data that cannot be had.
    """
    names = experiment.tables
    refuse_missing(experiment.name, names.names, tables)
    if not allow_holes:
        refuse_holes(tables)
    device = compile_device(tables[names.set], tables[names.reset], tables[names.read])
    swept = tables[names.read].lineage.get("sweep", {}).get("v_read")
    if swept is not None and not isclose(float(swept), experiment.v_read, rel_tol=1e-9):
        raise SpicebridgeError(
            f"v_read = {experiment.v_read:g} V, but table {names.read} is of reads at {float(swept):g} V. "
            "Set v_read to that, or characterise a table at another voltage."
        )
    oldest = max(experiment.retention_ages, default=0.0)
    trained = experiment.split.train * experiment.epochs * experiment.image_time
    if oldest + trained > device.age_most:
        raise SpicebridgeError(
            f"devices would be read up to {oldest + trained:g} s old, but table {names.read} ends at "
            f"{device.age_most:g} s. Shorten retention_ages or image_time, or characterise older devices."
        )
    return Given(
        device=device,
        energy=compile_energy(tables[names.read], t_read=experiment.t_read),
        dataset=load_dataset(
            experiment.dataset,
            bits=experiment.dac_bits,
            split=experiment.split,
            evaluate_on=experiment.evaluate_on,
            folder=data_folder,
        ),
    )


@dataclass(frozen=True)
class _Task:
    """A job with the place of its checkpoint and the digest of all that it depends on."""

    job: Job
    checkpoint: Path
    fingerprint: str


def _task(job: Job, given: Given, folder: Path) -> _Task:
    settings = job.experiment.settings()
    for key in ("name", "description", "seeds", "ablation_seeds", "retention_ages"):
        del settings[key]
    content = {
        "layout": LAYOUT,
        "settings": settings,
        "arm": job.arm,
        "seed": job.seed,
        "tables": [source.digest for source in given.device.sources],
        "data": given.dataset.checksum,
    }
    return _Task(job, folder / CHECKPOINTS / f"{job.arm}-{job.seed}.npz", digest_of(content))


def _carry_out(given: Given, task: _Task, progress: Callable[[Progress], None]) -> Outcome:
    return train_one(
        task.job, given, checkpoint=task.checkpoint, fingerprint=task.fingerprint, report=progress
    )
