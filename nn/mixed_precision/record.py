"""The record of mixed-precision training, and what its energy is counted from; JSON-like.

``nn.mixed_precision.costs.energy_block(counts, device, layers, sources=...)`` gets three parts of it:

``layers``: ``[[785, 250], [251, 10]]``, inputs (the constant one of the biases included) and outputs of each
layer; a weight is one pair, two devices.

``counts``: of the arm ``table``, all its seeds summed, training only (no tests, no first programming):

- ``images``: training images seen, over all epochs and seeds. ``steps``: updates (batches).
- ``set_pulses``: list of whole numbers, SET pulses by the number of the pulse since the device's RESET; the
  first entry is pulse 1, the last holds its own number and all later ones. ``set_energy_sum`` (J): every
  pulse's own energy from table ``pcm_set``. ``refresh_set_pulses``: those of them that refreshes sent.
- ``resets``: devices RESET. ``reset_energy_sum`` (J), from table ``pcm_reset``.
- ``sampled_steps``: steps whose reads were taken. ``layers``: as above.
- ``outside_support``: SET pulses whose nearest conductance in ``pcm_set`` was not sampled for their number.
- ``refreshes``: times that the whole memory was looked at. ``refreshed_pairs``: pairs RESET and programmed
  anew. ``refresh_reads``: ``{"events": pairs read, "energy": J}``, each pair once a look at full width.
- ``nonzero_inputs``, ``touched_rows``: by layer, inputs above zero summed over the images, and rows with one
  in any image of a step summed over the steps, of every step; absent in records of before they were counted.
- ``forward_reads``: ``{"layer1": {"events": ..., "energy": ...}, "layer2": ...}``; an event is one input
  pulse at one pair (inputs of zero send none). ``energy`` (J): table ``pair_read`` over the pairs'
  conductances and the pulses' widths. ``backward_reads``: the same for the transposed product, of every layer
  but the first. Both are estimated from every ``energy_interval``-th batch, as ``sampled_steps`` tells.

``device``: ``epsilon`` (weight units), ``epsilon_siemens`` (S), ``g_scale`` (S a unit of weight), ``v_read``
(V), ``t_read`` (s, width of the largest input), ``g_least``, ``g_most`` (S, ends of table ``pcm_set``),
``reset_mean``, ``reset_std`` (S), ``set_energy_mean``, ``reset_energy_mean`` (J, over the tables' axes),
``word_line_energy`` (J, a whole line opened once for a pulse), ``pair_word_line_energy`` (J, a pair's share
of a line opened for a read), ``set_latency``, ``reset_latency``, ``read_settling`` (s, worst in the tables;
these five are None where a table has none),
``image_time`` (s), ``drift`` (``{"g_ratio_1s": ..., "g_ratio_1d": ...}``: conductance read at these ages, as
a share of that at the table's reference), ``dac_bits``, ``adc_bits``, ``adc_range_forward``,
``adc_range_backward`` (weight units, of a full-width input), ``tile`` (inputs that a conversion sums;
absent in records of before, whose conversions summed a whole column), ``refresh_interval`` (images),
``refresh_threshold``, ``refresh_difference`` (S), ``refresh_pulses`` (most SET pulses).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nn.experiment import json_like
from nn.jobs import mean_and_spread, runs_by_arm
from nn.mixed_precision.arms import ARMS
from nn.mixed_precision.boundaries import accounting_block
from nn.mixed_precision.costs import energy_block
from nn.mixed_precision.counts import Counts, Reading
from nn.mixed_precision.device import PcmDevice
from nn.mixed_precision.experiment import MixedExperiment
from nn.mixed_precision.loop import Given, Outcome, shapes_for
from nn.origin import describe_images, describe_tables, versions
from spicebridge.table import LookupTable


def make_record(
    experiment: MixedExperiment,
    outcomes: Sequence[Outcome],
    given: Given,
    *,
    tables: Sequence[LookupTable],
    circumstances: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of a run.

    Args:
        experiment: what was run, overrides included.
        outcomes: the trained networks, at least one.
        given: tables and images.
        tables: the tables themselves.
        circumstances: what does not bear on the values: git revision, command, wall time.

    Returns:
        ``experiment``, ``study``, ``settings``, ``seeds``, ``data``, ``device``, ``tables``, ``arms``;
        ``accuracy``, ``accuracy_spread``, ``counts``, ``retention``, ``energy``, ``accounting`` (arm
        ``table``), ``baseline_accuracy`` (arm ``float``), ``gap`` (both); ``versions``, ``circumstances``.
        Accuracies in per cent, means over the seeds; SI units.
    """
    arms = {name: {"about": ARMS[name].about, **told} for name, told in runs_by_arm(outcomes, ARMS).items()}
    layers = [list(shape) for shape in shapes_for(experiment, given.dataset)]
    record: dict[str, Any] = {
        "experiment": experiment.name,
        "study": experiment.study,
        "description": experiment.description,
        "settings": json_like(experiment),
        "seeds": sorted({outcome.job.seed for outcome in outcomes}),
        "data": describe_images(given.dataset),
        "device": describe_device(experiment, given.device),
        "tables": describe_tables(tables),
        "arms": arms,
    }
    on_table = [outcome for outcome in outcomes if outcome.job.arm == "table"]
    if on_table:
        counts = summed_counts(experiment, on_table, layers)
        record |= {key: arms["table"][key] for key in ("accuracy", "accuracy_spread")}
        record["counts"] = counts
        record["retention"] = retention(experiment, on_table)
        record["energy"] = energy_block(counts, record["device"], layers, sources=given.device.sources)
        record["accounting"] = accounting_block(record)
    if "float" in arms:
        record["baseline_accuracy"] = arms["float"]["accuracy"]
    if on_table and "float" in arms:
        record["gap"] = record["accuracy"] - record["baseline_accuracy"]
    record["versions"] = versions()
    record["circumstances"] = dict(circumstances)
    return record


def retention(experiment: MixedExperiment, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Test accuracy (per cent) of networks that were left alone, at each age after training."""
    told = []
    for number, age in enumerate(experiment.retention_ages):
        mean, spread = mean_and_spread([100 * outcome.retention[number] for outcome in outcomes])
        told.append({"age_s": age, "accuracy": mean, "accuracy_spread": spread})
    return told


def summed_counts(
    experiment: MixedExperiment, outcomes: Sequence[Outcome], layers: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """What the arm's training counted, as the module's text lists it; sampled reads scaled to all steps."""
    total = Counts()
    for outcome in outcomes:
        total.add(outcome.counts)
    scale = total.steps / total.sampled_steps

    def scaled(reading: Reading, by: float) -> dict[str, float]:
        return {"events": round(by * reading.events), "energy": by * reading.energy}

    looks = total.refreshes / total.sampled_steps
    return {
        "images": total.images,
        "steps": total.steps,
        "set_pulses": total.set_pulses.tolist(),
        "set_energy_sum": total.set_energy,
        "refresh_set_pulses": total.refresh_set_pulses,
        "outside_support": total.outside_support,
        "resets": total.resets,
        "reset_energy_sum": total.reset_energy,
        "refreshes": total.refreshes,
        "refreshed_pairs": total.refreshed_pairs,
        "refresh_reads": scaled(total.look, looks),
        "forward_reads": {f"layer{n}": scaled(each, scale) for n, each in enumerate(total.forward, start=1)},
        "backward_reads": {
            f"layer{n}": scaled(each, scale) for n, each in enumerate(total.backward[1:], start=2)
        },
        "sampled_steps": total.sampled_steps,
        "nonzero_inputs": total.inputs,
        "touched_rows": total.rows,
        "energy_interval": experiment.energy_interval,
        "layers": [list(shape) for shape in layers],
    }


def describe_device(experiment: MixedExperiment, device: PcmDevice) -> dict[str, Any]:
    """The devices and how they are used, as the module's text lists it."""
    set_, reset, read = device.tables
    kept = (
        "g_scale", "v_read", "t_read", "image_time", "tile", "dac_bits", "adc_bits", "adc_range_forward",
        "adc_range_backward", "refresh_interval", "refresh_threshold", "refresh_difference",
        "refresh_pulses",
    )  # fmt: skip
    middle = (device.least + device.most) / 2
    ages = read.data["age"].values

    def read_at(age: float) -> float:
        return float(read.read("g_read", g=middle, age=np.clip(age, ages[0], ages[-1])))

    def share(age: float) -> float:
        return read_at(age) / read_at(experiment.drift_reference)

    return {
        "epsilon": device.epsilon / experiment.g_scale,
        "epsilon_siemens": device.epsilon,
        "g_least": device.least,
        "g_most": device.most,
        "reset_mean": device.fresh[0],
        "reset_std": device.fresh[1],
        "set_energy_mean": float(np.nanmean(set_.data["energy"].values)),
        "reset_energy_mean": float(np.nanmean(reset.data["energy"].values)),
        "word_line_energy": _worst(set_, "energy_word_line"),
        "pair_word_line_energy": _pair_share(read),
        "set_latency": _worst(set_, "latency"),
        "reset_latency": _worst(reset, "latency"),
        "read_settling": _worst(read, "settling"),
        "drift": {"g_ratio_1s": share(1.0), "g_ratio_1d": share(86400.0)},
        **{name: getattr(experiment, name) for name in kept},
    }


def _pair_share(read: LookupTable) -> float | None:
    """Energy of a read's word line that falls to one pair of its cells (J)."""
    whole, cells = _worst(read, "energy_word_line"), read.lineage.get("cell", {}).get("columns")
    return None if whole is None or not cells else 2 * whole / cells


def _worst(table: LookupTable, quantity: str) -> float | None:
    if quantity not in table.quantities:
        return None
    return float(np.nanmax(table.data[quantity].values))
