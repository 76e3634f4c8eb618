"""All kinds of experiment behind one door; an experiment's setting ``study`` says which kind it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nn import costs
from nn.experiment import Experiment, experiment_from, read_settings
from nn.jobs import Progress, train_all
from nn.mixed_precision import boundaries as mixed_boundaries
from nn.mixed_precision import experiment as mixed_experiment
from nn.mixed_precision.experiment import MixedExperiment, mixed_experiment_from
from nn.mixed_precision.run import MIXED
from nn.passive_array import costs as array_costs
from nn.passive_array import experiment as array_experiment
from nn.passive_array import run as passive_array
from nn.passive_array.experiment import ArrayExperiment, array_experiment_from
from nn.run import TERNARY
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

AnyExperiment = Experiment | ArrayExperiment | MixedExperiment
Show = Callable[[int, int, str], None]


def load_study(name_or_path: str | Path, *, overrides: Mapping[str, Any] | None = None) -> AnyExperiment:
    """An experiment of any kind, told apart by its setting ``study``; see ``nn.experiment.read_settings``.

    Raises:
        SpicebridgeError: no such experiment, a file that is not TOML, or a setting that is none.
    """
    settings = read_settings(name_or_path, overrides=overrides)
    where = f"experiment {Path(name_or_path).stem}"
    study = settings.get("study")
    if study is None:
        return experiment_from(settings, where=where)
    if study == array_experiment.STUDY:
        return array_experiment_from(settings, where=where)
    if study == mixed_experiment.STUDY:
        return mixed_experiment_from(settings, where=where)
    named = f"{array_experiment.STUDY}, {mixed_experiment.STUDY}"
    raise SpicebridgeError(f"{where}: study = {study!r} is none of: {named}.")


def run_study(
    chosen: AnyExperiment,
    tables: Mapping[str, LookupTable],
    *,
    folder: Path,
    arms: Sequence[str] | None,
    workers: int,
    show: Show,
    data_folder: Path | None,
    allow_holes: bool,
    resume: bool = True,
    circumstances: Mapping[str, Any],
) -> dict[str, Any]:
    """Run an experiment of any kind, as ``nn.jobs.train_all`` and ``nn.passive_array.run.run`` do.

    ``show`` is told what is done, what there is in all, and a few words.

    Raises:
        SpicebridgeError: arms asked of a study that has none, a study that was interrupted, and what its own
            ``run`` raises.
    """
    if isinstance(chosen, ArrayExperiment):
        if arms is not None:
            raise SpicebridgeError(f"{chosen.name} has stages, not arms: leave --arms out.")
        try:
            return passive_array.run(
                chosen,
                tables,
                folder=folder,
                workers=workers,
                progress=show,
                allow_holes=allow_holes,
                circumstances=circumstances,
            )
        except KeyboardInterrupt:
            raise SpicebridgeError(
                f"stopped. Nothing is kept of a part of {chosen.name}, which takes minutes: run it again."
            ) from None
    kind = MIXED if isinstance(chosen, MixedExperiment) else TERNARY
    return train_all(
        kind,
        chosen,
        tables,
        folder=folder,
        arms=arms,
        workers=workers,
        progress=_epochs(show, len(kind.jobs_of(chosen, arms)) * chosen.epochs),
        data_folder=data_folder,
        allow_holes=allow_holes,
        resume=resume,
        circumstances=circumstances,
    )


def accounted(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its accounting, worked out from what it holds where it was made without one."""
    blocks = {
        None: costs.accounting_block,
        array_experiment.STUDY: array_costs.accounting_block,
        mixed_experiment.STUDY: mixed_boundaries.accounting_block,
    }
    block = blocks.get(record.get("study"))
    if block is None or record.get("accounting"):
        return dict(record)
    return {**record, "accounting": block(record)}


def _epochs(show: Show, epochs: int) -> Callable[[Progress], None]:
    """Progress of networks in training, shown as epochs done of all networks' ``epochs``."""
    done = 0

    def progress(report: Progress) -> None:
        nonlocal done
        done += 1
        words = f"{report.arm} seed {report.seed}, {report.images_per_second:,.0f} images/s"
        show(done, epochs, words)

    return progress
