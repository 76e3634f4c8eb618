"""The headline figures of a run record, for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spicebridge.report.boundaries import accounting_of
from spicebridge.report.differences import differences
from spicebridge.report.effects import arm_figures
from spicebridge.report.paper import paper_of
from spicebridge.report.quantity import count, si

ARMS = {
    "table": ("accuracy", "circuit tables"),
    "ideal": ("ideal_accuracy", "ideal GXNOR (tanh)"),
    "float": ("baseline_accuracy", "floating point"),
    "table_read": ("read_accuracy", "read currents and ADC"),
    "table_spread": ("spread_accuracy", "spread of the write"),
}
"""An arm's key in the summary, and what the report calls it."""

ABLATIONS = ("table_read", "table_spread")
"""Arms that are ``table`` with one effect more."""

UNITS = {
    "accuracy": "%",
    "accuracy_spread": "%, standard deviation over seeds",
    "tops_per_watt": "TOPS/W",
    "energy": "J",
}
_TABLE = ("name", "digest", "size", "samples", "mixed")
_FIGURES = ("tops_per_watt", "energy_per_op")
_FEEDFORWARD = (*_FIGURES, "energy_per_mac", "energy_per_image", "images", "definition")
_UPDATE = (
    *_FIGURES,
    "energy_per_update",
    "energy_per_pulse",
    "energy_per_flip",
    "updates",
    "reads",
    "pulses",
    "flips",
    "definition",
    "half_selected",
)


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's headline figures as JSON-like values; ``None`` where the record has no such figure.

    Args:
        record: as ``record.json`` holds it.

    Returns:
        ``experiment``, accuracies in per cent with their spread over seeds, ``seeds``, ``split``, ``data``,
        ``operating_point``, ``feedforward`` and ``update`` (TOPS/W and J), ``accounting``
        (array, weight update and all-in), ``tables`` (with ``size`` and
        ``samples`` where known), ``ablations`` (what one effect more does to the accuracy, in points, and
        ``about`` it in words), ``paper``, ``differences`` from it in words, ``absent`` (what no figure
        counts), ``units``.
    """
    arms = record.get("arms", {})
    accuracies = {}
    for arm, (key, _) in ARMS.items():
        accuracies[key] = record.get(key)
        accuracies[f"{key}_spread"] = arms.get(arm, {}).get("accuracy_spread")
    data = record.get("data", {})
    paper = paper_of(record)
    return {
        "experiment": record["experiment"],
        "description": record.get("description"),
        **accuracies,
        "seeds": record.get("seeds"),
        "split": data.get("split"),
        "data": {"name": data.get("name"), "checksum": data.get("checksum")},
        "evaluated_on": record.get("settings", {}).get("evaluate_on"),
        "operating_point": record.get("device"),
        "feedforward": _block(record.get("feedforward"), _FEEDFORWARD, ("mean_of_nine", "per_read")),
        "update": _block(record.get("update"), _UPDATE, ()),
        "accounting": accounting_of(record),
        "tables": [
            {key: each[key] for key in _TABLE if each.get(key) is not None}
            for each in record.get("tables", ())
        ],
        "ablations": {
            name: {**figures, "about": about(record["arms"][name])}
            for name, figures in arm_figures(record, ABLATIONS).items()
        },
        "paper": paper.to_json() if paper else None,
        "differences": list(differences(record, paper)) if paper else [],
        "absent": absent(record),
        "units": dict(UNITS),
    }


def about(arm: Mapping[str, Any]) -> str:
    """What an arm adds to arm ``table``, in words, from its part of the record."""
    if "readout" in arm:
        readout = arm["readout"]
        return (
            f"column currents as the read table has them, {si(readout['unit'], 'A')} for a weight of "
            f"one; a conversion of {readout['bits']} bits sums the {readout['tile']} rows of a tile in one "
            f"bit plane, within ±{readout['range']:.3g} such currents in steps of {readout['step']:.3g}; "
            "planes and tiles are added as numbers, gradients are the ideal product's, reads have no noise"
        )
    return (
        "every MTJ has a factor of its own on small switching probabilities, for good: lognormal, standard "
        f"deviation of ln(P) {arm['write_spread']:g}, assumed"
    )


def table_size(named: Mapping[str, Any]) -> str:
    """How finely a table was swept, in words: ``full size, 40 500 devices``; empty where it is not known."""
    size, samples = named.get("size"), named.get("samples")
    devices = "1 device" if samples == 1 else f"{count(samples)} devices" if samples else None
    return ", ".join(each for each in (f"{size} size" if size else None, devices) if each)


def mixed_elements(said: Mapping[str, Any]) -> list[str]:
    """In which elements a run's tables differ, as it was asked to allow; empty if they are of one cell."""
    return [words for table in said["tables"] for words in table.get("mixed", ())]


def half_selected_name(update: Mapping[str, Any]) -> str:
    """What a report calls an update's figure that counts half-selected cells."""
    tile = (update.get("half_selected") or {}).get("tile")
    return f"with half-selected cells of {tile} x {tile} tiles"


def absent(record: Mapping[str, Any]) -> list[str]:
    """What no figure of the record counts, each named once."""
    named: dict[str, None] = {}
    for block in ("feedforward", "update"):
        named |= dict.fromkeys((record.get(block) or {}).get("absent", ()))
    named |= dict.fromkeys((record.get("accounting") or {}).get("absent", ()))
    return list(named)


def _block(
    block: Mapping[str, Any] | None, keys: Sequence[str], beside: Sequence[str]
) -> dict[str, Any] | None:
    if block is None:
        return None
    chosen = {key: block.get(key) for key in keys}
    for name in beside:
        figure = block.get(name)
        chosen[name] = None if figure is None else {key: figure.get(key) for key in _FIGURES}
    return chosen
