"""What an arm's accuracy gains or loses against arm ``table``, from the seeds that both have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Record = Mapping[str, Any]


def arm_figures(record: Record, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Accuracy (%), spread and seeds of each arm that was run, and its effect against arm ``table``.

    ``effect`` is the mean over the seeds that both arms have of the arm's accuracy minus the table's, in
    points; ``effect_spread`` its standard deviation, None for one seed.

    Args:
        record: as ``record.json`` holds it.
        names: the arms to look for, in order.
    """
    arms = record.get("arms", {})
    whole = _by_seed(arms.get("table", {}))
    figures = {}
    for name in (name for name in names if arms.get(name, {}).get("runs")):
        own = _by_seed(arms[name])
        gains = [own[seed] - whole[seed] for seed in own if seed in whole]
        compared = bool(gains) and name != "table"
        figures[name] = {
            "accuracy": arms[name]["accuracy"],
            "accuracy_spread": arms[name].get("accuracy_spread"),
            "seeds": list(own),
            "effect": float(np.mean(gains)) if compared else None,
            "effect_spread": float(np.std(gains, ddof=1)) if compared and len(gains) > 1 else None,
            "effect_seeds": len(gains) if compared else 0,
        }
    return figures


def _by_seed(arm: Record) -> dict[int, float]:
    return {run["seed"]: run["test_accuracy"] for run in arm.get("runs", ())}
