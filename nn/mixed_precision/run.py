"""Networks on pairs of phase-change devices: which an experiment trains, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import isclose
from pathlib import Path

from nn.data import load_dataset
from nn.jobs import Kind, chosen_arms, train_all
from nn.mixed_precision.arms import ARMS, FULL
from nn.mixed_precision.device import compile_device
from nn.mixed_precision.experiment import MixedExperiment
from nn.mixed_precision.loop import Given, Job, train_one
from nn.mixed_precision.reading import compile_energy
from nn.mixed_precision.record import make_record
from nn.tables import refuse_missing
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable


def jobs_of(experiment: MixedExperiment, arms: Sequence[str] | None = None) -> list[Job]:
    """The networks to train: all seeds of the arms in ``FULL``, the first few of the others.

    Raises:
        SpicebridgeError: an unknown arm, or an empty list.
    """
    return [
        Job(experiment, arm, seed)
        for arm in chosen_arms(arms, ARMS)
        for seed in experiment.seeds[: None if arm in FULL else experiment.ablation_seeds]
    ]


def given_for(
    experiment: MixedExperiment, tables: Mapping[str, LookupTable], *, data_folder: Path | None = None
) -> Given:
    """An experiment's tables, laid out for the loop, and its images.

    Raises:
        SpicebridgeError: a table that is missing or does not fit, or data that cannot be had.
    """
    names = experiment.tables
    refuse_missing(experiment.name, names.names, tables)
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


MIXED = Kind(jobs_of, given_for, train_one, make_record, kept=FULL)
run = partial(train_all, MIXED)
"""As ``nn.jobs.train_all``."""
