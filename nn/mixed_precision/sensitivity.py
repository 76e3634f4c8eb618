"""How the energy ratio hangs on its assumptions: one at a time, together, and to a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nn.mixed_precision.assumptions import Assumption, values_of

Ratio = Callable[[Mapping[str, float]], float]
"""The digital design's energy over ours, at the assumptions' values by key."""

_FAR = 1e6
_BOUNDS = {
    "chi_touched": (0.0, 1.0),
    "chi_products": (0.0, 1.0),
    "weights_touched": (0.0, 1.0),
    "weights_products": (0.0, 1.0),
    "batch": (1.0, float("inf")),
}
_WORDS = ("chi_bits",)
"""Taken at the ends of their range only."""


def sensitivity(chosen: Sequence[Assumption], ratio: Ratio) -> list[dict[str, Any]]:
    """The ratio with one assumption after another at the ends of its range, widest first."""
    values = values_of(chosen)
    rows = [
        {
            "key": each.key,
            "assumption": each.name,
            "unit": each.unit,
            "low": each.low,
            "nominal": each.value,
            "high": each.high,
            "ends": each.ends,
            "ratio_low": ratio({**values, **each.at(each.low)}),
            "ratio_high": ratio({**values, **each.at(each.high)}),
        }
        for each in chosen
    ]
    return sorted(rows, key=lambda row: -abs(row["ratio_high"] - row["ratio_low"]))


def ratio_range(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The lowest and the highest ratio of a sensitivity: one assumption changed at a time."""
    ratios = [row[end] for row in rows for end in ("ratio_low", "ratio_high")]
    return {"low": min(ratios), "high": max(ratios)}


def scenarios(chosen: Sequence[Assumption], ratio: Ratio) -> list[dict[str, Any]]:
    """The ratio under some assumptions changed together, each told in words."""
    values = values_of(chosen)
    by_key = {each.key: each for each in chosen}
    off_chip = by_key["weight_memory"].high
    short = {"chi_bits": by_key["chi_bits"].low, "outer_multiply": by_key["outer_multiply"].low}
    every = dict.fromkeys(("chi_touched", "chi_products", "weights_touched", "weights_products"), 1.0)
    told: dict[str, dict[str, float]] = {
        "as in the headline": {},
        "no row left out in either design": every,
        "chi's memory costs nothing": {"chi_memory": 0.0},
        "chi's memory costs nothing, chi of 16 bits, product of 8": {"chi_memory": 0.0, **short},
        "digital design's weights in DRAM, chi on the chip": {"weight_memory": off_chip},
        "digital design's weights in DRAM, chi on the chip, of 16 bits, product of 8": {
            "weight_memory": off_chip,
            **short,
        },
    }
    return [
        {"scenario": words, "changes": changes, "ratio": ratio({**values, **changes})}
        for words, changes in told.items()
    ]


def reach(chosen: Sequence[Assumption], ratio: Ratio, *, target: float) -> list[dict[str, Any]]:
    """For each assumption by itself: the value at which the ratio is the target, or how far it gets.

    Returns:
        ``assumption``, ``unit``, ``value`` (None where the target is not reached) and ``limit`` (the ratio at
        the far end, six decades away or where a share or a batch ends).
    """
    values = values_of(chosen)
    nominal = ratio(values)
    rows = []
    for each in chosen:
        if each.key in _WORDS:
            continue
        low, high = _BOUNDS.get(each.key, (0.0, float("inf")))
        # A decade grid also serves a share that may be zero: its last step is the bound itself.
        ends = [max(low, each.value / _FAR), min(high, each.value * _FAR)]
        limit, end = max((ratio({**values, **each.at(end)}), end) for end in ends)
        crosses = (nominal - target) * (limit - target) < 0
        rows.append(
            {
                "key": each.key,
                "assumption": each.name,
                "unit": each.unit,
                "value": _crossing(each, end, values, ratio, target) if crosses else None,
                "limit": limit,
            }
        )
    return rows


def _crossing(
    each: Assumption, end: float, values: Mapping[str, float], ratio: Ratio, target: float
) -> float:
    """Where the ratio passes the target between an assumption's value and an end: bisected logarithm."""
    near, far = each.value, end
    below = ratio({**values, **each.at(near)}) < target
    for _ in range(60):
        middle = float((near * far) ** 0.5)
        if (ratio({**values, **each.at(middle)}) < target) == below:
            near = middle
        else:
            far = middle
    return far
