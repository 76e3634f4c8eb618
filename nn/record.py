"""Run records: what a training run was, what came of it, and where every figure is from; JSON-like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nn.arms import ARMS, experiment_readout
from nn.costs import accounting_block
from nn.counts import UPDATE, UpdateCounts
from nn.data import Dataset
from nn.experiment import Experiment, json_like
from nn.jobs import runs_by_arm
from nn.loop import Given, Outcome
from nn.origin import describe_images, describe_tables, versions
from nn.readout import Readout
from nn.synapse import DISTURB_LIMIT, STATES, SynapseDevice
from spicebridge.energy import (
    OPERATIONS_PER_MAC,
    OPERATIONS_PER_UPDATE,
    EnergyLedger,
    merge,
    tops_per_watt,
)
from spicebridge.table import LookupTable

HALF_SELECTED = "idle siblings and half-selected cells, of which the table does not tell the energy"
ACCURACY_KEYS = {
    "table": "accuracy",
    "ideal": "ideal_accuracy",
    "float": "baseline_accuracy",
    "table_read": "read_accuracy",
    "table_spread": "spread_accuracy",
}


def make_record(
    experiment: Experiment,
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
        ``experiment``, ``settings``, ``data``, ``device``, ``tables``, ``arms``, mean accuracies in per cent
        (``ACCURACY_KEYS`` of the arms that were run), ``feedforward``,
        ``update``, ``ledgers`` and ``accounting`` (arm ``table``), ``versions``,
        ``circumstances``. SI units; energies in J.
    """
    device, dataset = given.device, given.dataset
    arms = runs_by_arm(outcomes, ARMS)
    record: dict[str, Any] = {
        "experiment": experiment.name,
        "description": experiment.description,
        "settings": json_like(experiment),
        "seeds": sorted({outcome.job.seed for outcome in outcomes}),
        "data": describe_images(dataset),
        "device": describe_device(device),
        "tables": describe_tables(tables),
        "arms": arms,
    }
    for name, arm in arms.items():
        record[ACCURACY_KEYS[name]] = arm["accuracy"]
    if "table_read" in arms:
        arms["table_read"] |= {"readout": readout_block(experiment_readout(experiment, device))}
    if "table_spread" in arms:
        arms["table_spread"] |= {"write_spread": experiment.write_spread}
    on_table = [outcome for outcome in outcomes if outcome.feedforward is not None]
    if on_table:
        record |= _energy_blocks(on_table, device, dataset, experiment)
        record["accounting"] = accounting_block(record)
    record["versions"] = versions()
    record["circumstances"] = dict(circumstances)
    return record


def readout_block(readout: Readout) -> dict[str, Any]:
    """How arm ``table_read`` reads.

    Returns:
        ``tile`` (rows that a conversion sums), ``bits``, ``range`` and ``step`` of the ADC (in read currents
        of a weight of one), that ``unit`` (A), and ``currents`` (A) by state and activation.
    """
    return {
        "tile": readout.tile,
        "bits": readout.bits,
        "range": readout.reach,
        "step": readout.step,
        "unit": readout.unit,
        "currents": dict(zip(STATES, (readout.currents * readout.unit).tolist(), strict=True)),
    }


def describe_device(device: SynapseDevice) -> dict[str, Any]:
    """The operating point, and which zero the weights use."""
    return {
        "v_write": device.away.v_write,
        "timing_step": device.away.step,
        "longest_pulse": {each.direction: float(each.width[-1]) for each in (device.away, device.back)},
        "v_read": device.v_read,
        "t_read": device.t_read,
        "zero": device.zero,
        "zero_state": device.zero_state,
        "read_disturb": device.read_disturb,
        "disturb": _describe_disturb(device),
        "read_energy_exponents": dict(device.exponents),
        "saturation": device.saturation,
    }


def _describe_disturb(device: SynapseDevice) -> dict[str, Any] | None:
    disturb = device.disturb
    if disturb is None:
        return None
    return {
        "reads": disturb.reads,
        "t_gap": disturb.t_gap,
        "period": device.t_read + disturb.t_gap,
        "first_pass": disturb.first_pass,
        "further_read": disturb.further_read,
        "per_pass": disturb.per_pass,
        "limit": DISTURB_LIMIT,
    }


def _energy_blocks(
    outcomes: Sequence[Outcome], device: SynapseDevice, dataset: Dataset, experiment: Experiment
) -> dict[str, Any]:
    reading = merge(outcome.feedforward for outcome in outcomes if outcome.feedforward is not None)
    counts = UpdateCounts()
    for outcome in outcomes:
        counts.add(outcome.counts)
    updating = counts.ledger(device, siblings=experiment.encoding != "blind")
    shapes = [array.shape for name, array in outcomes[0].weights.items() if name.endswith(".weights")]
    images = len(dataset.test_labels) * len(outcomes)
    return {
        "feedforward": feedforward_block(reading, device, shapes=shapes, images=images, bits=dataset.bits),
        "update": update_block(updating, counts, device, tile=experiment.tile),
        "ledgers": {"feedforward": reading.to_json(), "update": updating.to_json()},
    }


def feedforward_block(
    ledger: EnergyLedger,
    device: SynapseDevice,
    *,
    shapes: Sequence[tuple[int, ...]],
    images: int,
    bits: int,
) -> dict[str, Any]:
    """Inference energy per operation: of the simulated arrays, with the other figures beside it.

    An operation is half of one multiply-accumulate of the network. The first layer's inputs are read in
    ``bits`` planes; all their reads are paid for, and count as one MAC in the headline. ``per_read`` counts
    each plane's read as a MAC of its own, which is what the array does.

    Args:
        ledger: as ``nn.feedforward`` books it.
        device: for the mean of the nine read cases.
        shapes: (inputs, outputs) of each layer.
        images: inferences in the ledger.
        bits: planes of the first layer.
    """
    macs = [inputs * outputs * images for inputs, outputs in shapes]
    names = [f"layer {number}" for number in range(1, len(shapes) + 1)]
    arrays = sum(ledger.joules(name) for name in names)
    operations = OPERATIONS_PER_MAC * sum(macs)
    reads = sum(ledger.events(name) for name in names)
    nine = float(device.energy_by_weight().mean())
    return {
        **_per_operation(arrays, operations),
        "energy_per_mac": arrays / sum(macs),
        "energy_per_image": arrays / images,
        "images": images,
        "per_read": {"reads": reads, **_per_operation(arrays, OPERATIONS_PER_MAC * reads)},
        "mean_of_nine": {"energy": nine, **_per_operation(nine, OPERATIONS_PER_MAC)},
        "layers": [
            {
                "name": name,
                "inputs": shape[0],
                "outputs": shape[1],
                "planes": bits if name == "layer 1" else 1,
                **_per_operation(ledger.joules(name), OPERATIONS_PER_MAC * mac),
            }
            for name, shape, mac in zip(names, shapes, macs, strict=True)
        ],
        "definition": (
            f"1 MAC = {OPERATIONS_PER_MAC} operations; an input of {bits} bits is {bits} reads of one MAC"
        ),
    }


def update_block(
    ledger: EnergyLedger, counts: UpdateCounts, device: SynapseDevice, *, tile: int
) -> dict[str, Any]:
    """Update energy per operation, over the whole of the training, with energy per pulse and flip beside
    it."""
    total = ledger.joules(UPDATE)
    operations = OPERATIONS_PER_UPDATE * counts.updates
    lines = [entry for entry in ledger.entries if entry.component == UPDATE]
    pulse_energy = total - sum(entry.joules for entry in lines if entry.action.startswith("read"))
    pulses, flips = counts.pulses_sent, counts.flips
    return {
        **_per_operation(total, operations),
        "energy_per_update": total / counts.updates,
        "updates": counts.updates,
        "reads": int(counts.reads.sum()),
        "read_energy": total - pulse_energy,
        "pulses": pulses,
        "pulse_energy": pulse_energy,
        "energy_per_pulse": pulse_energy / pulses if pulses else None,
        "flips": flips,
        "energy_per_flip": total / flips if flips else None,
        "pulse_widths": {
            sampler.direction: {
                "width": sampler.width[1:].tolist(),
                "pulses": counts.pulses[sampler.direction][1:].tolist(),
            }
            for sampler in (device.away, device.back)
            if sampler.direction in counts.pulses
        },
        "half_selected": half_selected_block(total, counts, device, tile=tile),
        "nonzero_inputs": counts.inputs.tolist(),
        "absent": [] if device.away.half_selected else [HALF_SELECTED],
        "definition": (
            f"one synapse's update in one step = {OPERATIONS_PER_UPDATE} operations, flipped or not"
        ),
    }


def half_selected_block(
    array: float, counts: UpdateCounts, device: SynapseDevice, *, tile: int
) -> dict[str, Any]:
    """Update energy with what half-selected cells cost on tiles of ``tile`` x ``tile`` synapses.

    Columns are written one after another: a column's gate lines open in four phases, for branch 1 or 2 and
    for either direction, and toggle on all its cells; a pulse on a row's u lines is seen by all columns.

    Args:
        array: update energy of the pulsed synapses alone (J).
        counts: what was read and pulsed.
        device: the compiled tables; where they do not tell it, the figures are None.
        tile: synapses on a line.
    """
    if not (device.away.half_selected and device.back.half_selected):  # unknown, and not zero
        unknown = ("u_line_energy", "e_line_energy", "energy_total", "energy_per_op", "tops_per_watt")
        return {"tile": tile, **dict.fromkeys(unknown), "definition": f"{HALF_SELECTED}: not in the table"}
    extra = 0.0
    for sampler in (device.away, device.back):
        sent = int(counts.pulses.get(sampler.direction, np.zeros(1, np.int64))[1:].sum())
        seen_on_u = sent * 2 * (tile - 1)
        opened = 2 * counts.updates - sent
        extra += seen_on_u * sampler.half_selected["u"] + opened * sampler.half_selected["e"]
    operations = OPERATIONS_PER_UPDATE * counts.updates
    return {
        "tile": tile,
        "u_line_energy": _mean_half_selected(device, "u"),
        "e_line_energy": _mean_half_selected(device, "e"),
        **_per_operation(array + extra, operations),
        "definition": (
            f"columns of {tile} x {tile} tiles written in turn, "
            "their gates opened in four phases (branch, direction)"
        ),
    }


def _mean_half_selected(device: SynapseDevice, line: str) -> float:
    """Energy (J) of one pulse on a branch of which only ``line`` is driven, the mean of both directions."""
    return (device.away.half_selected[line] + device.back.half_selected[line]) / 2


def _per_operation(joules: float, operations: int) -> dict[str, Any]:
    """Energy per operation, where any energy was used."""
    return {
        "energy_total": joules,
        "operations": operations,
        "energy_per_op": joules / operations,
        "tops_per_watt": tops_per_watt(operations=operations, joules=joules) if joules > 0 else None,
    }
