"""Networks to train, whatever their kind: every arm and seed, on worker processes, into one record."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from nn.checkpoint import CHECKPOINTS, save_arrays
from nn.elements import refuse_mixed
from nn.experiment import json_like
from nn.origin import circumstances_of
from nn.pool import work_through
from nn.tables import refuse_holes, refuse_missing
from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_text
from spicebridge.table import LookupTable

LAYOUT = 2  # of the checkpoints; a new number leaves older ones unused
OF_THE_WHOLE = ("name", "description", "seeds", "ablation_seeds", "retention_ages")
"""Settings that the training of any one network does not depend on."""

WORKER_DIED = (
    "a training worker died (out of memory, or killed). What it had finished is kept: run the same "
    "command again to continue, with fewer workers if memory was short."
)

Of = TypeVar("Of")


@dataclass(frozen=True)
class Job(Generic[Of]):
    """One network to train: an arm and a seed of an experiment."""

    experiment: Of
    arm: str
    seed: int


@dataclass(frozen=True)
class Progress:
    """Where a job stands, at the end of an epoch.

    Attributes:
        arm, seed: the job.
        epoch, epochs: done, and in all.
        images_per_second: training rate of this epoch.
        test_accuracy: of the network as it stands (fraction).
    """

    arm: str
    seed: int
    epoch: int
    epochs: int
    images_per_second: float
    test_accuracy: float


class Outcome(Protocol):
    """A trained network and what its training took, as far as every kind tells it."""

    @property
    def job(self) -> Job[Any]:
        """What was asked for."""

    @property
    def history(self) -> list[dict[str, Any]]:
        """One JSON-like record per epoch."""

    @property
    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """Arrays by name."""

    @property
    def seconds(self) -> float:
        """Wall time of the training, over all sittings (s)."""


@dataclass(frozen=True)
class Kind:
    """A kind of networks to train.

    Attributes:
        jobs_of: the networks of an experiment, in the arms that are named (None for all).
        given_for: what they share, from the experiment, its tables and ``data_folder``: the tables laid out
            for the loop, and ``dataset``.
        train_one: trains a job with what is given, with ``checkpoint``, ``fingerprint`` and ``report``.
        make_record: of the experiment, the outcomes and what is given, with ``tables`` and ``circumstances``.
        kept: arms whose weights are kept.
        refuse: raises where what is given lacks what one of the jobs needs, before any is begun.
    """

    jobs_of: Callable[[Any, Sequence[str] | None], list[Job[Any]]]
    given_for: Callable[..., Any]
    train_one: Callable[..., Outcome]
    make_record: Callable[..., dict[str, Any]]
    kept: Sequence[str]
    refuse: Callable[[Sequence[Job[Any]], Any], None] = lambda _jobs, _given: None


def train_all(
    kind: Kind,
    experiment: Any,
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
        kind: of its networks.
        experiment: what to train.
        tables: the tables it names, by name.
        folder: the run's own folder.
        arms: which of the kind's; all if not given.
        workers: processes; networks (arm and seed) are shared out among them.
        progress: called in this process after every epoch of every network.
        data_folder: holds the data sets' files; see ``nn.data.load_dataset``.
        allow_holes: whether a table may lack simulations that failed. What is read is there all the same:
            reading a hole is an error.
        resume: False to begin anew where a run was cut short.
        circumstances: put into the record as they are (command, git revision).

    Returns:
        The record, as the kind's ``make_record`` describes it.

    Raises:
        SpicebridgeError: a table that is missing, has holes or does not fit, unknown arms, data that cannot
            be had, or a worker that died.
    """
    started = time.perf_counter()
    jobs = kind.jobs_of(experiment, arms)
    if not allow_holes:
        refuse_holes(tables)
    refuse_missing(experiment.name, experiment.tables.names, tables)
    read = [tables[name] for name in experiment.tables.names]
    refuse_mixed(read, allowed=experiment.allow_mixed_elements)
    given = kind.given_for(experiment, tables, data_folder=data_folder)
    kind.refuse(jobs, given)
    shared = {
        "layout": LAYOUT,
        "settings": {key: value for key, value in json_like(experiment).items() if key not in OF_THE_WHOLE},
        "tables": [table.digest for table in read],
        "data": given.dataset.checksum,
    }
    tasks = [
        _Task(
            job,
            folder / CHECKPOINTS / f"{job.arm}-{job.seed}.npz",
            _digest_of({**shared, "arm": job.arm, "seed": job.seed}),
        )
        for job in jobs
    ]
    if not resume:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    outcomes = work_through(
        tasks, _carry_out, (kind.train_one, given), workers=workers, report=progress, died=WORKER_DIED
    )
    record = kind.make_record(
        experiment,
        outcomes,
        given,
        tables=read,
        circumstances=circumstances_of(circumstances, workers=workers, started=started),
    )
    weights = {
        f"{outcome.job.arm}.seed{outcome.job.seed}.{name}": array
        for outcome in outcomes
        if outcome.job.arm in kind.kept
        for name, array in outcome.weights.items()
    }
    save_arrays(folder / "weights.npz", weights)
    write_text(folder / "record.json", json.dumps(record, indent=1) + "\n")
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return record


def chosen_arms(named: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """Those of the arms there are that are named, in their order; all if none were asked for.

    Raises:
        SpicebridgeError: an unknown arm, or an empty list.
    """
    known = list(known)
    asked = known if named is None else named
    unknown = [arm for arm in asked if arm not in known]
    if unknown or not asked:
        raise SpicebridgeError(f"arms are {', '.join(known)} (got: {', '.join(unknown) or 'none'}).")
    return [arm for arm in known if arm in asked]


def runs_by_arm(outcomes: Sequence[Outcome], arms: Iterable[str]) -> dict[str, Any]:
    """What records tell of the arms that were run: each one's runs, mean accuracy and its spread.

    The accuracies (per cent) are of the last epoch's networks, the spread is the standard deviation over the
    seeds.
    """
    told = {}
    for arm in arms:
        runs = [
            {
                "seed": outcome.job.seed,
                "test_accuracy": 100 * outcome.history[-1]["test_accuracy"],
                "epochs": outcome.history,
                "seconds": outcome.seconds,
            }
            for outcome in outcomes
            if outcome.job.arm == arm
        ]
        if runs:
            mean, spread = mean_and_spread([run["test_accuracy"] for run in runs])
            told[arm] = {"runs": runs, "accuracy": mean, "accuracy_spread": spread}
    return told


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and standard deviation of a sample of two or more."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class _Task:
    """A job with the place of its checkpoint and the digest of all that it depends on."""

    job: Job[Any]
    checkpoint: Path
    fingerprint: str


def _carry_out(
    setting: tuple[Callable[..., Outcome], Any], task: _Task, report: Callable[[Progress], None]
) -> Outcome:
    train_one, given = setting
    return train_one(task.job, given, checkpoint=task.checkpoint, fingerprint=task.fingerprint, report=report)


def _digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of JSON-like content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
