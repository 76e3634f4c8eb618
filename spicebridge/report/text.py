"""The report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spicebridge.report.boundaries import boundary_lines, headline, notes
from spicebridge.report.lines import bulleted, closing, columns, title
from spicebridge.report.paper import DATA_NAMES
from spicebridge.report.quantity import (
    MISSING,
    claimed,
    count,
    disturb_rows,
    listed,
    percent,
    points,
    si,
    tops,
    tops_or_unknown,
)
from spicebridge.report.summary import ARMS, half_selected_name, summary

Row = tuple[str, str, str]


def text_report(record: Mapping[str, Any]) -> str:
    """A run's figures as aligned text, headline first, every number with its unit."""
    said = summary(record)
    lines = [title(said)]
    if said["split"]:
        lines.append(f"{said['split']}; training seeds {listed(said['seeds'])}")
    if said["evaluated_on"] not in (None, "test"):
        lines.append(f"accuracy is on the {said['evaluated_on']} images, not on the test images")
    rows = [
        ("", "here", "paper" if said["paper"] else ""),
        *_accuracy(said),
        *_feedforward(said),
        *_update(said),
    ]
    lines += ["", *columns(rows)]
    if said["ablations"]:
        lines += ["", f"Ablations, in training and tests alike, against {ARMS['table'][1]}"]
        lines += columns(
            [
                (ARMS[arm][1], points(each["effect"], each["effect_spread"]))
                for arm, each in said["ablations"].items()
            ]
        )
        for arm, each in said["ablations"].items():
            lines += bulleted(f"{ARMS[arm][1]}: {each['about']}.")
    if said["feedforward"]:
        block = said["accounting"]
        lines += ["", "Energy by boundary, J an image and TOPS/W", *columns(boundary_lines(block))]
        lines += [line for each in notes(block) for line in bulleted(each)]
    lines += ["", "± is the standard deviation over training seeds on one split."] if _spread(said) else []
    return "\n".join([*lines, *closing(said)]) + "\n"


def headline_text(record: Mapping[str, Any]) -> str:
    """A run's accuracies, and its energy within each boundary, a line each; "not run" for what was not."""
    said = summary(record)
    accuracies = [
        f"{words} {percent(said[key], said[f'{key}_spread'])}"
        for words, key in (
            ("on the tables", "accuracy"),
            ("ideal tanh", "ideal_accuracy"),
            ("float", "baseline_accuracy"),
        )
    ]
    return f"accuracy {', '.join(accuracies)}\n{headline(said['accounting'])}"


def _accuracy(said: Mapping[str, Any]) -> Iterator[Row]:
    data = said["data"]["name"]
    theirs = (said["paper"] or {}).get("accuracy", {}).get(data)
    for number, (key, name) in enumerate(ARMS.values()):
        label = f"accuracy, {name}" if number == 0 else f"  {name}"
        beside = f"{theirs} % ({DATA_NAMES.get(data, data)})" if theirs is not None and number == 0 else ""
        yield label, percent(said[key], said[f"{key}_spread"]), beside


def _feedforward(said: Mapping[str, Any]) -> Iterator[Row]:
    block, paper = said["feedforward"], said["paper"]
    if block is None:
        yield "feed-forward", MISSING, ""
        return
    yield "feed-forward, array", tops(block["tops_per_watt"]), _claim(paper, "feedforward")
    beside = si(paper["feedforward_energy_per_op"], "J") if paper else ""
    yield "  energy per operation", si(block["energy_per_op"], "J"), beside
    yield "  energy per MAC", si(block["energy_per_mac"], "J"), ""
    yield "  energy per image", si(block["energy_per_image"], "J"), ""
    for key, label in (
        ("per_read", "  each bit plane's read as a MAC"),
        ("mean_of_nine", "  mean of the nine read cases"),
    ):
        if block[key]:
            yield label, tops(block[key]["tops_per_watt"]), ""
    for label, figure in disturb_rows(said["operating_point"]):
        yield f"  {label}", figure, ""


def _update(said: Mapping[str, Any]) -> Iterator[Row]:
    block, paper = said["update"], said["paper"]
    if block is None:
        yield "update", MISSING, ""
        return
    yield "update, array", tops(block["tops_per_watt"]), _claim(paper, "update")
    beside = si(paper["update_energy_per_op"], "J") if paper else ""
    yield "  energy per operation", si(block["energy_per_op"], "J"), beside
    yield "  energy per pulse", si(block["energy_per_pulse"], "J"), ""
    yield "  energy per flip", si(block["energy_per_flip"], "J"), ""
    for key in ("updates", "pulses", "flips"):
        yield f"  {key}", count(block[key]), ""
    if block["half_selected"]:
        yield f"  {half_selected_name(block)}", tops_or_unknown(block["half_selected"]), ""


def _claim(paper: Mapping[str, Any] | None, block: str) -> str:
    return claimed(paper[f"{block}_tops_per_watt"]) if paper else ""


def _spread(said: Mapping[str, Any]) -> bool:
    return any(said[f"{key}_spread"] is not None for key, _ in ARMS.values())
