"""The report of mixed-precision training for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spicebridge.report.boundaries import boundary_lines, grid_rows, headline, notes
from spicebridge.report.lines import bulleted, closing, columns, title
from spicebridge.report.mixed_differences import quantity
from spicebridge.report.mixed_summary import ARMS, PHASES, summary
from spicebridge.report.quantity import MISSING, NOT_IN_TABLE, listed, percent, points, si, times

Record = Mapping[str, Any]
Row = tuple[str, str, str]


def text_report(record: Record) -> str:
    """A run's figures as aligned text, headline first, every number with its unit."""
    said = summary(record)
    lines = [title(said)]
    if said["split"]:
        lines.append(f"{said['split']}; training seeds {listed(said['seeds'])}")
    if said["evaluated_on"] not in (None, "test"):
        lines.append(f"accuracy is on the {said['evaluated_on']} images, not on the test images")
    lines += ["", *columns([("", "here", "paper"), *_headline(said)])]
    lines += ["", "± is the standard deviation over training seeds on one split."]
    if len(said["arms"]) > 2:
        lines += ["", "Ablations, against PCM pairs with the same seeds", *columns(list(_ablations(said)))]
    if said["retention"]:
        lines += ["", "Retention, accuracy against age after training", *columns(list(_retention(said)))]
    if said["energy"]:
        block = said["accounting"]
        lines += ["", "Energy by boundary, J an image and TOPS/W", *columns(boundary_lines(block))]
        lines += [line for each in notes(block) for line in bulleted(each)]
        if block:
            lines += ["", *columns(grid_rows(block["grid"]))]
            if block["grid"]["defensible"]:
                lines += [*bulleted(f"Defensible: {block['grid']['defensible']}.")]
        lines += ["", "Energy of one training image", *columns(list(_phases(said["energy"])))]
        lines += ["", "Ratio with one assumption changed", *columns(list(_sensitivity(said["energy"])))]
        lines += ["", "Ratio with some changed together", *columns(list(_scenarios(said["energy"])))]
    return "\n".join([*lines, *closing(said)]) + "\n"


def headline_text(record: Record) -> str:
    """A run's accuracies, energy of a training image and ratio to the digital design, in two lines."""
    said = summary(record)
    accuracies = [
        f"{name} {percent(said['arms'].get(arm, {}).get('accuracy'), _spread(said, arm))}"
        for arm, name in list(ARMS.items())[:2]
    ]
    energy = said["energy"]
    if energy is None:
        return f"accuracy {', '.join(accuracies)}\nenergy {MISSING}"
    return (
        f"accuracy {', '.join(accuracies)}\n"
        f"a training image {si(energy['per_image']['total'], 'J')}, "
        f"digital {si(energy['digital']['total'], 'J')}: ratio {times(energy['ratio'])}; "
        f"{headline(said['accounting'])}"
    )


def _spread(said: Record, arm: str) -> float | None:
    found: float | None = said["arms"].get(arm, {}).get("accuracy_spread")
    return found


def _headline(said: Record) -> Iterator[Row]:
    accuracy = said["paper"]["accuracy"]
    mnist = said["data"]["name"] == "mnist"
    theirs = ", ".join(f"{value:.2f} % ({how})" for how, value in accuracy.items()) if mnist else ""
    yield "accuracy, PCM pairs", percent(said["accuracy"], said["accuracy_spread"]), theirs
    yield "  floating point", percent(said["baseline_accuracy"], said["baseline_accuracy_spread"]), ""
    yield "  gap", points(said["gap"]), ""
    energy = said["energy"]
    if energy is None:
        yield "energy", MISSING, ""
        return
    yield "energy of a training image", si(energy["per_image"]["total"], "J"), ""
    yield "  digital 32-bit design", si(energy["digital"]["total"], "J"), ""
    eight = (said["accounting"] or {}).get("digital_int8")
    if eight:
        yield "  digital 8-bit design", f"{si(eight['total'], 'J')}, ratio {times(eight['ratio'])}", ""
    yield "  ratio", times(energy["ratio"]), f"{said['paper']['energy_ratio']:g}×"
    yield "  SET pulses per image", f"{energy['pulses_per_image']:.3g}", ""


def _ablations(said: Record) -> Iterator[tuple[str, ...]]:
    yield "", "accuracy", "effect", "seeds"
    for arm, each in said["arms"].items():
        effect = "" if arm == "table" else points(each["effect"], each["effect_spread"])
        yield (
            ARMS[arm],
            percent(each["accuracy"], each["accuracy_spread"]),
            effect,
            listed(each["seeds"]),
        )


def _retention(said: Record) -> Iterator[Row]:
    for each in said["retention"]:
        yield age(each["age_s"]), percent(each["accuracy"], each.get("accuracy_spread")), ""


def age(seconds: float) -> str:
    """An age in the unit that suits it: ``1 s``, ``1 h``, ``30 d``, ``1 a``."""
    for unit, length in (("a", 365.25 * 86400), ("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 0.99 * length:
            value = seconds / length
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.2g} {unit}"
    return f"{seconds:.2g} s"


def _phases(energy: Record) -> Iterator[tuple[str, ...]]:
    ours, digital = energy["per_image"], energy["digital"]
    yield "", "here", "digital", "ratio"
    for phase, name in PHASES.items():
        ratio = times(energy["ratio_by_phase"][phase])
        yield name, si(ours[phase]["total"], "J"), si(digital[phase], "J"), ratio
        names = dict.fromkeys([*ours[phase], *digital["parts"][phase]])
        for part in (part for part in names if part != "total"):
            cells = (part_energy(each, part) for each in (ours[phase], digital["parts"][phase]))
            yield f"  {part.replace('_', ' ')}", *cells, ""
    yield "total", si(ours["total"], "J"), si(digital["total"], "J"), times(energy["ratio"])


def part_energy(phase: Record, part: str) -> str:
    """A part's energy in one design, in words: nothing if the design has no such part."""
    if part not in phase:
        return ""
    return NOT_IN_TABLE if phase[part] is None else si(phase[part], "J")


def _sensitivity(energy: Record) -> Iterator[tuple[str, ...]]:
    yield "", "low", "here", "high", "ratio at low", "at high"
    for row in energy["sensitivity"]:
        ends = (quantity(row[key], row["unit"]) for key in ("low", "nominal", "high"))
        yield row["assumption"], *ends, times(row["ratio_low"]), times(row["ratio_high"])


def _scenarios(energy: Record) -> Iterator[tuple[str, ...]]:
    for each in energy["scenarios"]:
        yield each["scenario"], times(each["ratio"])
