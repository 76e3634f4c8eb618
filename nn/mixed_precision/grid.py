"""How the energy ratio grows with what is granted, one concession on top of the other, in two columns.

In the first column our design alone profits, in the second the digital design is given the same. So it is
seen how much of a ratio is the device's, and how much is a digital design that was denied the same tricks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nn.accounting import NOT_IN_RECORD
from nn.mixed_precision.assumptions import Assumption, values_of
from nn.periphery import MEMORY_8_KB, MEMORY_DRAM, MULTIPLY_INT8


class Ratio(Protocol):
    """The digital design's energy over ours, at the assumptions' values; ``bits`` of the digital numbers."""

    def __call__(self, changed: Mapping[str, float], /, *, bits: int = 32) -> float:
        """The ratio."""
        ...


ALL_ROWS = {
    "chi_touched": 1.0, "chi_products": 1.0, "weights_touched": 1.0, "weights_products": 1.0
}  # fmt: skip
SHORT = {"chi_bits": 16.0, "outer_multiply": MULTIPLY_INT8.joules}
FREE = {"chi_memory": 0.0, "chi_touched": 0.0, "chi_products": 0.0}
DIGITAL_ROWS = ("weights_touched", "weights_products")


def grid(chosen: Sequence[Assumption], ratio: Ratio, *, counted: bool) -> dict[str, Any]:
    """The rows of the grid: ``scenario``, ``alone`` and ``both`` (ratios), ``int8`` (over the 8-bit design).

    A row that rests on the rows touched has None where the run did not count them.

    Returns:
        ``rows``, ``defensible`` (the ratios that stand on equal terms, in words), ``why`` (of the None).
    """
    counted_values = dict(values_of(chosen))
    batch = counted_values["batch"]
    small = {"chi_memory": MEMORY_8_KB.joules}
    rows = [
        _row("no row left out", ratio, counted_values | ALL_ROWS, {}),
        _row("the same, an update an image", ratio, counted_values | ALL_ROWS | {"batch": 1.0}, {}),
    ]
    steps: tuple[tuple[str, dict[str, float], dict[str, float]], ...] = (
        ("rows of zero inputs left out, as counted", {}, {}),
        ("and chi of 16 bits, products of 8", SHORT, {}),
        ("and chi in banks of 8 KB", SHORT | small, {"weight_memory": MEMORY_8_KB.joules}),
        ("and chi's memory and arithmetic free", FREE, {}),
    )
    for name, ours, theirs in steps:
        if not counted:
            rows.append({"scenario": name, "alone": None, "both": None, "int8": None})
            continue
        rows.append(_row(name, ratio, counted_values | ours, theirs))
    if counted:
        free = counted_values | FREE
        rows.append(_row("chi free, an update an image", ratio, free | {"batch": 1.0} | _image(free), {}))
        dram = counted_values | SHORT | {"batch": 1.0, "weight_memory": MEMORY_DRAM.joules}
        name = "an update an image, digital weights off the chip, chi of 16 bits on it"
        rows.append(_row(name, ratio, dram | _image(dram), {}))
    return {
        "rows": rows,
        "batch": batch,
        "why": None if counted else f"{NOT_IN_RECORD}: rows touched",
        "defensible": _defensible(rows) if counted else None,
    }


def _image(values: Mapping[str, float]) -> dict[str, float]:
    """With an update an image, a step touches the rows of that image."""
    return {
        "chi_touched": values["chi_products"],
        "weights_touched": values["weights_products"],
    }


def _row(name: str, ratio: Ratio, ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, Any]:
    """A scenario's ratios: ours alone with its concessions against a digital design that leaves no row out,
    and with the digital design given ``theirs`` and the rows."""
    alone = {**ours, **dict.fromkeys(DIGITAL_ROWS, 1.0)}
    both = {**ours, **theirs}
    return {
        "scenario": name,
        "alone": ratio(alone),
        "both": ratio(both),
        "int8": ratio(both, bits=8),
    }


def _defensible(rows: Sequence[Mapping[str, Any]]) -> str:
    """What may be said of the ratio on equal terms."""
    by_name = {each["scenario"]: each for each in rows}
    plain = by_name["rows of zero inputs left out, as counted"]
    short = by_name["and chi of 16 bits, products of 8"]
    return (
        f"{plain['both']:.2g} to {plain['alone']:.2g} with the same memory in both designs, "
        f"{short['both']:.2g} to {short['alone']:.2g} with chi of 16 bits and products of 8; against whole "
        f"numbers of 8 bits {plain['int8']:.2g} to {short['int8']:.2g}"
    )
