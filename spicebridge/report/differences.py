"""What keeps a run's figures from being compared with a paper's as they stand, in plain sentences.

Each sentence opens with its subject and a colon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spicebridge.energy import OPERATIONS_PER_MAC
from spicebridge.report.boundaries import as_text
from spicebridge.report.paper import DATA_NAMES, Paper
from spicebridge.report.quantity import chance, claimed, setting, share, si, tops

DESTRUCTIVE = 1e-6
"""Probability of a flip per read above which the reports say that the read is destructive."""

Record = Mapping[str, Any]


def differences(record: Record, paper: Paper) -> Iterator[str]:
    """The sentences, those of parts the record does not hold left out."""
    yield _network(record, paper)
    yield (
        "Device values: the paper's device and circuit tables could not be read. Every parameter here is "
        "assumed or taken from a published compact model, and says which; the transistors are a predictive "
        "model card."
    )
    yield (
        "Macrospin: an MTJ is one uniform magnetisation with thermal noise. Domains, self-heating and a "
        "spread of parameters between devices are left out, so a device's randomness is all thermal."
        + (" An ablation has a spread of the write." if record.get("arms", {}).get("table_spread") else "")
    )
    feedforward, update = record.get("feedforward"), record.get("update")
    yield _single_cells(update)
    if feedforward or update:
        yield _periphery(record.get("accounting"))
    if feedforward:
        yield from _reading(record, feedforward, paper)
    yield from _destructive(record.get("device") or {})
    if update:
        yield from _updating(record, update, paper)


def network_of(record: Record) -> str | None:
    """The network's layer sizes: ``64-256-10``."""
    layers = (record.get("feedforward") or {}).get("layers")
    if not layers:
        return None
    return "-".join(map(str, [layers[0]["inputs"], *(layer["outputs"] for layer in layers)]))


def _network(record: Record, paper: Paper) -> str:
    data = str(record.get("data", {}).get("name"))
    network = network_of(record) or "dense"
    name = DATA_NAMES.get(data, data)
    theirs = ", ".join(f"{value} % on {DATA_NAMES.get(key, key)}" for key, value in paper.accuracy.items())
    if data in paper.accuracy:
        return (
            f"Network: here a {network} network on {name}. The paper reports {paper.accuracy[data]} % on "
            f"{name}; its network, epochs and batch could not be read."
        )
    return (
        f"Network and data: here a {network} network on {name}, which the paper does not report. "
        f"Its accuracies ({theirs}) are of other networks and cannot be set against this one."
    )


def _periphery(accounting: Record | None) -> str:
    opening = "Array only: the first figures count what was simulated."
    closing = "Whether the paper's figures include more than the array is not known."
    if accounting is None:
        return f"{opening} {closing}"
    update = accounting["update"]
    return (
        f"{opening} With converters and arithmetic at cited energies feed-forward takes "
        f"{as_text(accounting['feedforward']['all_in'])}; the weight update, whose moments are kept in "
        f"float, {as_text(update['weight_update'])} (no zero skipped: "
        f"{as_text(update['dense']['weight_update'])}). "
        f"{closing}"
    )


def _single_cells(update: Record | None) -> str:
    opening = (
        "Single cells: each cell is simulated alone, with its line drivers and one cell's length of wire, at "
        "an ideal virtual ground."
    )
    half = (update or {}).get("half_selected")
    if not half or half["tops_per_watt"] is None:
        return (
            f"{opening} Wire resistance, sneak paths and the charging of half-selected cells' lines are not "
            "counted."
        )
    return (
        f"{opening} Wire resistance and sneak paths are not counted. The headline of the update counts the "
        "pulsed branch and its own sibling; with the half-selected cells of "
        f"{half['tile']} x {half['tile']} tiles it is {tops(half['tops_per_watt'])}."
    )


def _destructive(device: Record) -> Iterator[str]:
    disturb, sequence = device.get("read_disturb"), device.get("disturb")
    if sequence:
        if sequence["per_pass"] > sequence["limit"]:
            yield (
                f"The read is destructive: the {sequence['reads']} reads of one pass, one each "
                f"{setting(sequence['period'], 's')}, flip an MTJ of a cell with a probability of up to "
                f"{chance(sequence['per_pass'])}, where at most {chance(sequence['limit'])} is asked for. "
                "The networks are trained and tested as if reads changed nothing: their accuracy does not "
                "show it."
            )
    elif disturb is not None and disturb > DESTRUCTIVE:
        yield (
            "The read is destructive: at this operating point one read flips an MTJ with a probability of up "
            f"to {chance(disturb)}. The networks are trained and tested as if reads changed nothing: their "
            "accuracy does not show it."
        )


def _reading(record: Record, feedforward: Record, paper: Paper) -> Iterator[str]:
    theirs = paper.feedforward_tops_per_watt
    yield (
        f"Operations: 1 MAC is {OPERATIONS_PER_MAC} operations here. The paper's count is not known: if a "
        f"MAC were one operation there, its {claimed(theirs)} would be "
        f"{claimed(theirs * OPERATIONS_PER_MAC)} by ours."
    )
    bits = record.get("settings", {}).get("input_bits")
    if bits and bits > 1:
        yield (
            f"Inputs: the first layer reads its {bits}-bit inputs in {bits} bit planes. All {bits} reads are "
            f"paid for and count as one MAC; were each read a MAC, the figure would be "
            f"{tops((feedforward.get('per_read') or {}).get('tops_per_watt'))}."
        )
    device = record.get("device", {})
    if device.get("v_read") is not None:
        per_mac = OPERATIONS_PER_MAC * 1e-12 / theirs
        yield (
            f"Operating point: a read is {setting(device['v_read'], 'V')} for "
            f"{setting(device['t_read'], 's')}. "
            + _exponents(device.get("read_energy_exponents") or {})
            + "The figure is as much this choice as the device. The paper's is not known; its figure is "
            f"{si(per_mac, 'J')} per MAC, here {si(feedforward.get('energy_per_mac'), 'J')}."
        )
    if feedforward.get("mean_of_nine"):
        yield (
            "Zeros: feed-forward is averaged over the trained networks' own weights and activations, and a "
            "synapse at activation 0 draws almost nothing. The plain mean of the nine cases of weight and "
            f"activation gives {tops(feedforward['mean_of_nine'].get('tops_per_watt'))}."
        )


def _exponents(exponents: Record) -> str:
    """How the energy of a read goes with voltage and time here, where the record says."""
    words = [
        f"as its {what} to the power of {exponents[name]:.2f}"
        for name, what in (("v_read", "voltage"), ("t_read", "time"))
        if exponents.get(name) is not None
    ]
    return f"About that point of the table its energy rises {' and '.join(words)}. " if words else ""


def _updating(record: Record, update: Record, paper: Paper) -> Iterator[str]:
    updates = update["updates"]
    flips = share(update["flips"] / updates) if updates else "none"
    pulses = share(update["pulses"] / updates) if updates else "none"
    yield (
        f"Updates: {update['definition']}. The mean over the whole training includes the reads that choose "
        f"the branch; {pulses} of the updates sent a pulse and {flips} flipped a device. How the paper "
        f"counts its {claimed(paper.update_tops_per_watt)} is not known."
    )
    encoding = record.get("settings", {}).get("encoding", "inverse")
    if encoding != "inverse":
        yield (
            f"Ablation: this run encodes increments as {encoding!r} pulses, not by the table's inverse, "
            "which is the scheme of the other records."
        )
