"""All kinds of experiment behind one door; an experiment's setting ``study`` says which kind it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nn import train
from nn.arms import ARMS
from nn.experiment import Experiment, experiment_from, read_settings
from nn.loop import Progress
from nn.mixed_precision import experiment as mixed_experiment
from nn.mixed_precision import run as mixed_precision
from nn.mixed_precision.experiment import MixedExperiment, mixed_experiment_from
from nn.passive_array import experiment as array_experiment
from nn.passive_array import run as passive_array
from nn.passive_array.experiment import ArrayExperiment, array_experiment_from
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

AnyExperiment = Experiment | ArrayExperiment | MixedExperiment
Show = Callable[[int, int, str], None]
"""Told what is done, what there is in all, and a few words."""


@dataclass(frozen=True, kw_only=True)
class How:
    """How a study is run, whatever its kind.

    Attributes:
        folder: the run's own folder.
        arms: which networks; None for all.
        workers: processes.
        show: told of progress.
        data_folder: holds the data sets.
        allow_holes: whether tables may lack simulations that failed.
        resume: whether a stopped run is gone on with; else begun anew.
        circumstances: put into the record as they are.
    """

    folder: Path
    arms: Sequence[str] | None
    workers: int
    show: Show
    data_folder: Path | None
    allow_holes: bool
    resume: bool
    circumstances: Mapping[str, Any]


def load_study(name_or_path: str | Path, *, overrides: Mapping[str, Any] | None = None) -> AnyExperiment:
    """An experiment of any kind, told apart by its setting ``study``; see ``nn.experiment``.

    Raises:
        SpicebridgeError: no such experiment, a file that is not TOML, or a setting that is none.
    """
    settings = read_settings(name_or_path, overrides=overrides)
    where = f"experiment {Path(name_or_path).stem}"
    study = settings.get("study")
    if study not in KINDS:
        named = ", ".join(str(name) for name in KINDS if name is not None)
        raise SpicebridgeError(f"{where}: study = {study!r} is none of: {named}.")
    return KINDS[study].parse(settings, where)


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
    """Run an experiment of any kind, as the ``run`` of its own package does.

    Raises:
        SpicebridgeError: arms asked of a study that has none, a study that was interrupted, and what its own
            ``run`` raises.
    """
    how = How(
        folder=folder,
        arms=arms,
        workers=workers,
        show=show,
        data_folder=data_folder,
        allow_holes=allow_holes,
        resume=resume,
        circumstances=circumstances,
    )
    return KINDS[getattr(chosen, "study", None)].run(chosen, tables, how)


def _parse_array(settings: Mapping[str, Any], where: str) -> ArrayExperiment:
    if "seeds" in settings:
        raise SpicebridgeError(
            f"{where} counts its seeds up from first_seed, one a solution: set solutions and first_seed "
            "(--set solutions=20), not seeds."
        )
    return array_experiment_from(settings, where=where)


def _run_array(chosen: ArrayExperiment, tables: Mapping[str, LookupTable], how: How) -> dict[str, Any]:
    if how.arms is not None:
        raise SpicebridgeError(f"{chosen.name} has stages, not arms: leave --arms out.")
    try:
        return passive_array.run(
            chosen,
            tables,
            folder=how.folder,
            workers=how.workers,
            progress=how.show,
            allow_holes=how.allow_holes,
            circumstances=how.circumstances,
        )
    except KeyboardInterrupt:
        raise SpicebridgeError(
            f"stopped. Nothing is kept of a part of {chosen.name}, which takes minutes: run it again."
        ) from None


def _run_ternary(chosen: Experiment, tables: Mapping[str, LookupTable], how: How) -> dict[str, Any]:
    names = list(how.arms or ARMS)
    return train.run(
        chosen,
        tables,
        folder=how.folder,
        arms=names,
        workers=how.workers,
        progress=_epochs(how.show, len(names) * len(chosen.seeds) * chosen.epochs),
        data_folder=how.data_folder,
        allow_holes=how.allow_holes,
        resume=how.resume,
        circumstances=how.circumstances,
    )


def _run_mixed(chosen: MixedExperiment, tables: Mapping[str, LookupTable], how: How) -> dict[str, Any]:
    return mixed_precision.run(
        chosen,
        tables,
        folder=how.folder,
        arms=how.arms,
        workers=how.workers,
        progress=_epochs(how.show, len(mixed_precision.jobs_of(chosen, how.arms)) * chosen.epochs),
        data_folder=how.data_folder,
        allow_holes=how.allow_holes,
        resume=how.resume,
        circumstances=how.circumstances,
    )


def _epochs(show: Show, epochs: int) -> Callable[[Progress], None]:
    """Progress of networks in training, shown as epochs done of all networks' ``epochs``."""
    done = 0

    def progress(report: Progress) -> None:
        nonlocal done
        done += 1
        words = f"{report.arm} seed {report.seed}, {report.images_per_second:,.0f} images/s"
        show(done, epochs, words)

    return progress


@dataclass(frozen=True)
class _Kind:
    """How experiments of one kind are read and run."""

    parse: Callable[[Mapping[str, Any], str], AnyExperiment]
    run: Callable[[Any, Mapping[str, LookupTable], How], dict[str, Any]]


KINDS: Mapping[str | None, _Kind] = {
    None: _Kind(lambda settings, where: experiment_from(settings, where=where), _run_ternary),
    array_experiment.STUDY: _Kind(_parse_array, _run_array),
    mixed_experiment.STUDY: _Kind(
        lambda settings, where: mixed_experiment_from(settings, where=where), _run_mixed
    ),
}
"""By the setting ``study``; networks of ternary synapses have none."""
