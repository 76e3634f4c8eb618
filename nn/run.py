"""Networks of ternary synapses: which an experiment trains, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from nn.arms import ARMS, EFFECTS, experiment_readout
from nn.data import load_dataset
from nn.experiment import Experiment
from nn.jobs import Kind, chosen_arms, train_all
from nn.loop import Given, Job, train_one
from nn.record import make_record
from nn.synapse import compile_device
from nn.tables import refuse_missing
from spicebridge.table import LookupTable


def jobs_of(experiment: Experiment, arms: Sequence[str] | None = None) -> list[Job]:
    """The networks to train: the arms named (all if none are) with every seed, effects with the first ones.

    Raises:
        SpicebridgeError: an unknown arm, or an empty list.
    """
    names = chosen_arms(arms, ARMS)
    some = experiment.seeds[: experiment.ablation_seeds]
    return [
        Job(experiment, arm, seed)
        for seed in experiment.seeds
        for arm in names
        if arm not in EFFECTS or seed in some
    ]


def given_for(
    experiment: Experiment, tables: Mapping[str, LookupTable], *, data_folder: Path | None = None
) -> Given:
    """An experiment's tables at its operating point, and its images.

    Raises:
        SpicebridgeError: a table that is missing or does not hold the point, or data that cannot be had.
    """
    names = experiment.tables
    refuse_missing(experiment.name, names.names, tables)
    device = compile_device(
        tables[names.write],
        tables[names.read],
        v_write=experiment.v_write,
        step=experiment.timing_step,
        v_read=experiment.v_read,
        t_read=experiment.t_read,
        zero=experiment.zero,
        read_gap=experiment.read_gap,
        planes=experiment.input_bits,
    )
    dataset = load_dataset(
        experiment.dataset,
        bits=experiment.input_bits,
        split=experiment.split,
        evaluate_on=experiment.evaluate_on,
        folder=data_folder,
    )
    return Given(device, dataset)


def refuse(jobs: Sequence[Job], given: Given) -> None:
    """Refuse arms that the read table does not serve.

    Raises:
        SpicebridgeError: arm ``table_read`` and a table without currents.
    """
    for job in jobs:
        if job.arm == "table_read":
            experiment_readout(job.experiment, given.device)


TERNARY = Kind(jobs_of, given_for, train_one, make_record, kept=ARMS, refuse=refuse)
run = partial(train_all, TERNARY)
"""As ``nn.jobs.train_all``."""
