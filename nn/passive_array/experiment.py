"""The study as a file: which solutions, in which arrays, written and read how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nn.experiment import Checks, TableNames, dataclass_from
from nn.passive_array.placement import SCHEMES, place
from spicebridge.crossbar import Spread
from spicebridge.errors import SpicebridgeError
from spicebridge.settings import NAME_WORDS, is_name

STUDY = "passive_array"
WRITE_SCHEMES = ("half", "third")
FEATURES, CONSTANT_ROWS, CLASSES, SAMPLES = 13, 2, 3, 178  # of the Wine data and its rows
LONGEST = 100_000  # epochs, solutions


@dataclass(frozen=True)
class Parts:
    """Samples that each solution is trained on and tested on, a stratified split of its own."""

    train: int = 135
    test: int = 43


@dataclass(frozen=True)
class Aware:
    """Hardware-aware training: share of weights flipped, and noise added to each, in every step."""

    flips: float = 0.02
    noise: float = 0.1


@dataclass(frozen=True)
class DefectShares:
    """Shares of bad cells, one case for each kind; of stuck ones half are in P and half in AP."""

    stuck: float = 0.02
    shorted: float = 0.01
    open: float = 0.02


@dataclass(frozen=True)
class FidelityRange:
    """Between which each solution's write fidelity is drawn, in the case that asks what it predicts."""

    lowest: float = 0.85
    highest: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ArrayExperiment:
    """A study of binary perceptrons on passive arrays.

    Attributes:
        name: also the name of its run.
        description: one line.
        study: ``STUDY``, by which its file is told from those of other experiments.
        solutions, first_seed: networks; seeds count up from the first.
        hidden: hidden neurons.
        placement: one of ``nn.passive_array.placement.SCHEMES``.
        epochs: passes over the training part.
        diameters: of the junctions, one set of cases for each (m).
        diameter: of the headline and of the cases beside it (m).
        schemes: write schemes, of ``WRITE_SCHEMES``.
        t_pulse: of a write pulse (s).
        r_segment: resistance of a cell's length of line (ohm).
        v_read: read voltage (V).
        split, spread, aware, defects, fidelity, tables: sections.
        allow_mixed_elements: whether the tables may be of different elements: devices, cards, supplies.
    """

    name: str
    description: str
    study: str = STUDY
    solutions: int = 300
    first_seed: int = 1
    hidden: int = 7
    placement: str = "pair"
    epochs: int = 300
    diameters: tuple[float, ...] = (20e-9, 40e-9, 60e-9, 100e-9)
    diameter: float = 40e-9
    schemes: tuple[str, ...] = WRITE_SCHEMES
    t_pulse: float = 20e-9
    r_segment: float = 5.0
    v_read: float = 0.15
    split: Parts = field(default_factory=Parts)
    spread: Spread = field(default_factory=Spread)
    aware: Aware = field(default_factory=Aware)
    defects: DefectShares = field(default_factory=DefectShares)
    fidelity: FidelityRange = field(default_factory=FidelityRange)
    tables: TableNames = field(default_factory=lambda: TableNames("array_write", "array_read"))
    allow_mixed_elements: bool = False

    @property
    def unit(self) -> str:
        """What its progress is counted in."""
        return "solution"

    @property
    def seeds(self) -> tuple[int, ...]:
        """One a solution."""
        return tuple(range(self.first_seed, self.first_seed + self.solutions))


def array_experiment_from(settings: Mapping[str, Any], *, where: str) -> ArrayExperiment:
    """A study from JSON-like settings, checked.

    Raises:
        SpicebridgeError: an unknown or missing key, or a value of the wrong kind or out of range.
    """
    if "seeds" in settings:
        raise SpicebridgeError(
            f"{where} counts its seeds up from first_seed, one a solution: set solutions and first_seed "
            "(--set solutions=20), not seeds."
        )
    experiment = dataclass_from(ArrayExperiment, settings, where)
    _check_ranges(Checks(experiment, where))
    return experiment


def _check_ranges(check: Checks) -> None:
    experiment: ArrayExperiment = check.experiment
    check(is_name(experiment.name), "name", NAME_WORDS)
    check.one_of("study", (STUDY,))
    check.one_of("placement", SCHEMES)
    check.one_of("schemes", WRITE_SCHEMES)
    for key in ("schemes", "diameters"):
        listed = getattr(experiment, key)
        check(bool(listed) and len(set(listed)) == len(listed), key, "must name one or more, each once")
    check.above_zero("diameter", "diameters", "t_pulse", "r_segment", "v_read")
    check(experiment.diameter in experiment.diameters, "diameter", "is not one of the diameters")
    for key in ("solutions", "epochs"):
        check(1 <= getattr(experiment, key) <= LONGEST, key, f"must lie in 1 .. {LONGEST:,}")
    check(experiment.solutions >= 4, "solutions", "must be at least 4: correlations need so many")
    check(experiment.first_seed >= 0, "first_seed", "must not be negative")
    parts = experiment.split
    fits = parts.train >= CLASSES and parts.test >= CLASSES and parts.train + parts.test <= SAMPLES
    check(fits, "split", f"must be two parts of the {SAMPLES} samples, each of {CLASSES} or more")
    check(0 <= experiment.aware.flips < 0.5, "aware.flips", "must lie in [0, 0.5)")
    check(experiment.aware.noise >= 0, "aware.noise", "must not be negative")
    for key in ("stuck", "shorted", "open"):
        check(0 <= getattr(experiment.defects, key) <= 1, f"defects.{key}", "must lie in [0, 1]")
    drawn = experiment.fidelity
    check(0 <= drawn.lowest < drawn.highest <= 1, "fidelity", "must have 0 <= lowest < highest <= 1")
    place(
        inputs=FEATURES + CONSTANT_ROWS,
        hidden=max(experiment.hidden, 1),
        classes=CLASSES,
        scheme=experiment.placement,
    )
    check(experiment.hidden >= 1, "hidden", "must be 1 or more")
