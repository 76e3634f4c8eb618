"""Training runs: every arm and seed of an experiment, on one or more worker processes, into one record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nn.arms import ARMS
from nn.checkpoint import CHECKPOINTS, keep_run
from nn.data import Dataset, load_dataset
from nn.experiment import Experiment
from nn.loop import Job, Outcome, Progress, train_one
from nn.pool import work_through
from nn.record import digest_of, make_record
from nn.synapse import SynapseDevice, compile_device
from nn.tables import refuse_holes, refuse_missing
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

LAYOUT = 1  # of the checkpoints; a new number leaves older ones unused
WORKER_DIED = (
    "a training worker died (out of memory, or killed). What it had finished is kept: run the same "
    "command again to continue, with fewer workers if memory was short."
)


def run(
    experiment: Experiment,
    tables: Mapping[str, LookupTable],
    *,
    folder: Path,
    seeds: Sequence[int] | None = None,
    arms: Sequence[str] = ARMS,
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
        seeds: instead of the experiment's.
        arms: which of ``ARMS``.
        workers: processes; networks (arm and seed) are shared out among them.
        progress: called in this process after every epoch of every network.
        data_folder: holds ``mnist/``; see ``nn.mnist.load_mnist``.
        allow_holes: whether a table may lack simulations that failed. What is read is there all the same:
            reading a hole is an error.
        resume: False to begin anew where a run was cut short.
        circumstances: put into the record as they are (command, git revision).

    Returns:
        The record, as ``nn.record.make_record`` describes it.

    Raises:
        SpicebridgeError: a table that is missing, has holes or does not hold the operating point, unknown
            arms, data that cannot be had, or a worker that died.
    """
    started = time.perf_counter()
    if not allow_holes:
        refuse_holes(tables)
    device = device_for(experiment, tables)
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown or not arms:
        raise SpicebridgeError(f"arms are {', '.join(ARMS)} (got: {', '.join(arms) or 'none'}).")
    dataset = load_dataset(
        experiment.dataset,
        bits=experiment.input_bits,
        split=experiment.split,
        evaluate_on=experiment.evaluate_on,
        folder=data_folder,
    )
    jobs = [Job(experiment, arm, seed) for seed in (seeds or experiment.seeds) for arm in ARMS if arm in arms]
    tasks = [_task(job, device, dataset, folder) for job in jobs]
    if not resume:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    outcomes = work_through(
        tasks, _carry_out, (device, dataset), workers=workers, report=progress, died=WORKER_DIED
    )
    record = make_record(
        experiment,
        outcomes,
        device,
        dataset,
        tables=tables,
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
        for name, array in outcome.weights.items()
    }
    keep_run(folder, record, arrays)
    return record


def device_for(experiment: Experiment, tables: Mapping[str, LookupTable]) -> SynapseDevice:
    """An experiment's tables at its operating point.

    Raises:
        SpicebridgeError: a table it names is not among those given, or does not hold the point.
    """
    refuse_missing(experiment.name, experiment.tables.names, tables)
    return compile_device(
        tables[experiment.tables.write],
        tables[experiment.tables.read],
        v_write=experiment.v_write,
        step=experiment.timing_step,
        v_read=experiment.v_read,
        t_read=experiment.t_read,
        zero=experiment.zero,
    )


@dataclass(frozen=True)
class _Task:
    """A job with the place of its checkpoint and the digest of all that it depends on."""

    job: Job
    checkpoint: Path
    fingerprint: str


def _task(job: Job, device: SynapseDevice, dataset: Dataset, folder: Path) -> _Task:
    settings = job.experiment.settings()
    for key in ("name", "description", "seeds"):
        del settings[key]
    content = {
        "layout": LAYOUT,
        "settings": settings,
        "arm": job.arm,
        "seed": job.seed,
        "tables": [device.away.source.digest, device.read_source.digest],
        "data": dataset.checksum,
    }
    return _Task(job, folder / CHECKPOINTS / f"{job.arm}-{job.seed}.npz", digest_of(content))


def _carry_out(
    setting: tuple[SynapseDevice, Dataset], task: _Task, progress: Callable[[Progress], None]
) -> Outcome:
    device, dataset = setting
    return train_one(
        task.job,
        device,
        dataset,
        checkpoint=task.checkpoint,
        fingerprint=task.fingerprint,
        report=progress,
    )
