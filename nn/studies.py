"""Both kinds of experiment behind one door: ternary networks in training, and the study of passive arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nn import train
from nn.arms import ARMS
from nn.experiment import Experiment, experiment_from, read_settings
from nn.loop import Progress
from nn.passive_array import run as passive_array
from nn.passive_array.experiment import STUDY, ArrayExperiment, array_experiment_from
from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

Show = Callable[[int, int, str], None]
"""Told what is done, what there is in all, and a few words."""


def load_study(
    name_or_path: str | Path, *, overrides: Mapping[str, Any] | None = None
) -> Experiment | ArrayExperiment:
    """An experiment of either kind, told apart by its setting ``study``; see ``nn.experiment``.

    Raises:
        SpicebridgeError: no such experiment, a file that is not TOML, or a setting that is none.
    """
    settings = read_settings(name_or_path, overrides=overrides)
    where = f"experiment {Path(name_or_path).stem}"
    if "study" not in settings:
        return experiment_from(settings, where=where)
    if settings["study"] != STUDY:
        raise SpicebridgeError(f"{where}: study = {settings['study']!r} is none of: {STUDY}.")
    if "seeds" in settings:
        raise SpicebridgeError(
            f"{where} counts its seeds up from first_seed, one a solution: set solutions and first_seed "
            "(--set solutions=20), not seeds."
        )
    return array_experiment_from(settings, where=where)


def run_study(
    chosen: Experiment | ArrayExperiment,
    tables: Mapping[str, LookupTable],
    *,
    folder: Path,
    arms: Sequence[str] | None,
    workers: int,
    show: Show,
    data_folder: Path | None,
    allow_holes: bool,
    circumstances: Mapping[str, Any],
) -> dict[str, Any]:
    """Run an experiment of either kind, as ``nn.train.run`` and ``nn.passive_array.run.run`` do.

    Raises:
        SpicebridgeError: arms asked of a study that has none, a study that was interrupted, and what the two
            raise.
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
    names = list(arms or ARMS)
    epochs, done = len(names) * len(chosen.seeds) * chosen.epochs, 0

    def progress(report: Progress) -> None:
        nonlocal done
        done += 1
        words = f"{report.arm} seed {report.seed}, {report.images_per_second:,.0f} images/s"
        show(done, epochs, words)

    return train.run(
        chosen,
        tables,
        folder=folder,
        arms=names,
        workers=workers,
        progress=progress,
        data_folder=data_folder,
        allow_holes=allow_holes,
        circumstances=circumstances,
    )
