"""The report of a study of passive arrays for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from spicebridge.report.boundaries import boundary_lines, headline, notes
from spicebridge.report.lines import WIDTH, bulleted, closing, columns, title
from spicebridge.report.quantity import si, tops
from spicebridge.report.study_summary import STAGES, summary

Record = Mapping[str, Any]


def text_report(record: Record) -> str:
    """A study's figures as aligned text, headline first, every number with its unit."""
    said = summary(record)
    lines = [
        title(said),
        f"{said['solutions']} solutions, {said['split']}",
        "",
        *columns(_headline(said)),
        "",
        "Energy by boundary, J an image and TOPS/W",
        *columns(boundary_lines(said["accounting"])),
        *(line for each in notes(said["accounting"]) for line in bulleted(each)),
        "",
        "Accuracy, median / mean in %, by stage",
        *columns([["", "fidelity", *STAGES.values()], *(_case(each) for each in said["cases"].values())]),
        "",
        *textwrap.wrap(said["finding"]["words"], WIDTH),
        *closing(said),
    ]
    return "\n".join(lines) + "\n"


def headline_text(record: Record) -> str:
    """A study's accuracies, write fidelity and TOPS/W, in two lines."""
    return (
        f"accuracy, median of {len(record['seeds'])}: after tuning {record['accuracy']:.2f} %, software "
        f"{record['baseline_accuracy']:.2f} % (means {record['accuracy_mean']:.2f} and "
        f"{record['baseline_accuracy_mean']:.2f} %)\n"
        f"write fidelity {100 * record['write_fidelity']:.2f} %, writing "
        f"{si(record['write']['energy_per_solution'], 'J')} a solution; {headline(record.get('accounting'))}"
    )


def _headline(said: Record) -> list[list[str]]:
    first = said["cases"][said["headline_case"]]
    block, writing = said["feedforward"], said["write"]
    return [
        ["", "here", "paper"],
        [
            "accuracy after tuning, median",
            f"{said['accuracy']:.2f} %",
            f"up to {said['paper']['accuracy']} %",
        ],
        ["  mean", f"{said['accuracy_mean']:.2f} %", ""],
        ["  software, median", f"{said['baseline_accuracy']:.2f} %", ""],
        ["  software, mean", f"{said['baseline_accuracy_mean']:.2f} %", ""],
        ["write fidelity, mean", f"{100 * said['write_fidelity']:.2f} %", ""],
        ["  of", first["about"], ""],
        ["feed-forward, array", tops(block["tops_per_watt"]), ""],
        ["  energy per inference", si(block["energy_per_inference"], "J"), ""],
        ["writing, energy per solution", si(writing["energy_per_solution"], "J"), ""],
        ["  energy per pulse", si(writing["energy_per_pulse"], "J"), ""],
        ["  time per solution", si(writing["time_per_solution"], "s"), ""],
    ]


def _case(case: Record) -> list[str]:
    return [
        case["about"],
        f"{100 * case['write_fidelity']:.2f} %",
        *(f"{case['stages'][stage]['median']:.1f} / {case['stages'][stage]['mean']:.1f}" for stage in STAGES),
    ]
