"""Mixed-precision training as a file: network, rates, how the devices are used and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nn.data import Split
from nn.experiment import Checks, dataclass_from

STUDY = "mixed_precision"
MOST_IMAGES = 2**24  # in a training run: the times of programming are image numbers in float32


@dataclass(frozen=True)
class PairTables:
    """The tables an experiment reads.

    Attributes:
        set: change of conductance and energy of a SET pulse.
        reset: conductance after RESET, and its energy.
        read: what a pair and one branch of it read, their noise and energy.
    """

    set: str = "pcm_set"
    reset: str = "pcm_reset"
    read: str = "pair_read"

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (self.set, self.reset, self.read)


@dataclass(frozen=True, kw_only=True)
class MixedExperiment:
    """Training of a network on differential pairs of phase-change devices.

    Attributes:
        name: also the name of its run.
        description: one line.
        study: ``STUDY``, by which its file is told from those of other experiments.
        dataset: one of ``nn.data.LOADERS``.
        split: sizes and seed of the two parts.
        evaluate_on: ``test``, or ``validation`` while settings are being chosen.
        hidden: hidden layers' widths, sigmoid units.
        batch: images an update.
        epochs: passes over the training images.
        seeds: one network each, in the arms ``table`` and ``float``.
        ablation_seeds: how many of the seeds, from the first, the other arms get.
        rate_start, rate_end: learning rate on the batch's mean gradient, falling exponentially.
        g_scale: conductance difference of a weight of one (S).
        initial_share: share of the pairs that one SET pulse starts off, on a device drawn at random.
        image_time: time that a training image takes, by which devices age (s).
        drift_reference: age at which a conductance is as the tables give it, for the arm without drift (s).
        tile: inputs whose currents one conversion sums, forward and backward; the parts of a longer column
            are converted apart and added. Assumed, an array size in common use.
        dac_bits, adc_bits: bits of inputs and of outputs; signed values have one of them for the sign.
        adc_range_forward: outputs within +- this are converted, weight times full-width input.
        adc_range_backward: the same of the transposed product, whose inputs are scaled to the largest.
        v_read, t_read: read voltage (V), and width of the largest input (s).
        refresh_interval: images between looks at every pair, when drift is followed too.
        refresh_threshold, refresh_difference: a pair is refreshed when one of its devices reads more than the
            first while they differ by less than the second (S).
        refresh_pulses: SET pulses that a refreshed pair gets, at most.
        energy_interval: read energy is taken from every batch of this number.
        retention_ages: times after training at which the networks are read again (s).
        tables: names of the tables.
        allow_mixed_elements: whether the tables may be of different elements: devices, cards, supplies.
    """

    name: str
    description: str
    dataset: str
    split: Split
    hidden: tuple[int, ...]
    batch: int
    epochs: int
    seeds: tuple[int, ...]
    study: str = STUDY
    evaluate_on: str = "test"
    ablation_seeds: int = 2
    rate_start: float = 0.4
    rate_end: float = 0.1
    g_scale: float = 8e-6
    initial_share: float = 0.1
    image_time: float = 0.01
    drift_reference: float = 38.6
    tile: int = 128
    dac_bits: int = 8
    adc_bits: int = 8
    adc_range_forward: float = 8.0
    adc_range_backward: float = 2.0
    v_read: float = 0.2
    t_read: float = 1e-6
    refresh_interval: int = 100
    refresh_threshold: float = 8e-6
    refresh_difference: float = 6e-6
    refresh_pulses: int = 3
    energy_interval: int = 500
    retention_ages: tuple[float, ...] = (1.0, 3600.0, 86400.0, 2.6e6, 3.1e7)
    tables: PairTables = PairTables()
    allow_mixed_elements: bool = False

    @property
    def unit(self) -> str:
        """What its progress is counted in."""
        return "epoch"


def mixed_experiment_from(settings: Mapping[str, Any], *, where: str) -> MixedExperiment:
    """An experiment from JSON-like settings, checked.

    Raises:
        SpicebridgeError: an unknown or missing key, or a value of the wrong kind or out of range.
    """
    experiment = dataclass_from(MixedExperiment, settings, where)
    _check_ranges(Checks(experiment, where))
    return experiment


def _check_ranges(check: Checks) -> None:
    experiment: MixedExperiment = check.experiment
    check.training(fewest_layers=1)
    check.one_of("study", (STUDY,))
    check.above_zero(
        "batch", "epochs", "tile", "rate_start", "rate_end", "g_scale", "image_time", "drift_reference",
        "adc_range_forward", "adc_range_backward", "v_read", "t_read", "refresh_interval",
        "refresh_threshold", "refresh_difference", "refresh_pulses", "energy_interval", "ablation_seeds",
        "retention_ages",
    )  # fmt: skip
    check(0 < experiment.initial_share <= 1, "initial_share", "must lie in (0, 1]")
    for key in ("dac_bits", "adc_bits"):
        check(2 <= getattr(experiment, key) <= 8, key, "must lie in 2 .. 8")
    fits = experiment.epochs * experiment.split.train < MOST_IMAGES
    check(fits, "epochs", f"must not make more than {MOST_IMAGES:,} images in all")
