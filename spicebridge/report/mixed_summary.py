"""The headline figures of mixed-precision training on PCM pairs, for scripts, and its ablations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spicebridge.report.boundaries import accounting_of
from spicebridge.report.effects import arm_figures
from spicebridge.report.mixed_differences import differences
from spicebridge.report.paper import MIXED_PRECISION

ARMS = {
    "table": "PCM pairs",
    "float": "floating point",
    "ideal": "ideal device",
    "without_chi": "without chi",
    "without_refresh": "without refresh",
    "without_noise": "without noise",
    "without_drift": "without drift",
}
"""An arm's key in the record, and what the report calls it."""

UNITS = {
    "accuracy": "%, mean over seeds after the last epoch",
    "accuracy_spread": "%, standard deviation over seeds",
    "gap": "points, table minus float",
    "retention": "%, mean over seeds, at an age in s",
    "energy": "J per training image",
    "ratio": "energy of the digital design over ours",
    "tops_per_watt": "TOPS/W",
}
PHASES = {"forward": "forward", "backward": "backward", "update": "weight update"}
_TABLE = ("name", "digest", "size", "samples", "mixed")
_ENERGY = (
    "per_image",
    "digital",
    "ratio",
    "ratio_by_phase",
    "ratio_range",
    "sensitivity",
    "scenarios",
    "reach",
    "tops_per_watt",
    "assumptions",
    "definition",
    "batch",
    "pulses_per_image",
)

Record = Mapping[str, Any]


def summary(record: Record) -> dict[str, Any]:
    """A run's headline figures as JSON-like values; ``None`` where the record has no such figure.

    Args:
        record: as ``record.json`` holds it.

    Returns:
        ``experiment``, accuracies in per cent with their spread, ``gap``, ``arms`` (accuracy, seeds, and
        ``effect``, what the arm gains over the whole), ``network``, ``retention``, ``energy`` (J, ratio,
        sensitivity), ``accounting``, ``device``, ``data``, ``seeds``, ``split``, ``tables``, ``paper``,
        ``differences``, ``absent``, ``units``.
    """
    data, energy, arms = record.get("data", {}), record.get("energy"), record.get("arms", {})
    return {
        "experiment": record["experiment"],
        "description": record.get("description"),
        "study": record.get("study"),
        "accuracy": record.get("accuracy"),
        "accuracy_spread": record.get("accuracy_spread"),
        "baseline_accuracy": record.get("baseline_accuracy"),
        "baseline_accuracy_spread": arms.get("float", {}).get("accuracy_spread"),
        "gap": record.get("gap"),
        "arms": {
            name: {"about": record["arms"][name].get("about", ARMS[name]), **figures}
            for name, figures in arm_figures(record, ARMS).items()
        },
        "network": network(record),
        "retention": record.get("retention") or [],
        "energy": None if energy is None else {key: energy[key] for key in _ENERGY},
        "accounting": accounting_of(record),
        "device": record.get("device"),
        "seeds": record.get("seeds"),
        "split": data.get("split"),
        "data": {"name": data.get("name"), "checksum": data.get("checksum")},
        "evaluated_on": record.get("settings", {}).get("evaluate_on"),
        "tables": [
            {key: each[key] for key in _TABLE if each.get(key) is not None}
            for each in record.get("tables", ())
        ],
        "paper": MIXED_PRECISION.to_json(),
        "differences": list(differences(record)),
        "absent": list((record.get("accounting") or energy)["absent"]) if energy else [],
        "units": dict(UNITS),
    }


def network(record: Record) -> str | None:
    """The network's layer sizes without the constant one of the biases: ``784-250-10``."""
    layers = (record.get("counts") or {}).get("layers") or record.get("layers")
    if not layers:
        return None
    return "-".join(str(each) for each in (layers[0][0] - 1, *(outputs for _, outputs in layers)))
