"""Sections of the page of a study of passive arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spicebridge.energy import ledger_from_json
from spicebridge.report import sections
from spicebridge.report.markup import Html, table, tag
from spicebridge.report.quantity import MINUS, MISSING, listed, minus, setting, si, tops
from spicebridge.report.run_plots import energy_plot
from spicebridge.report.sections import card, ledger_listing, plots, section
from spicebridge.report.study_plots import SCHEMES, box_plot, disturb_plot, drop_plot, fidelity_plot
from spicebridge.report.study_summary import METRICS, STAGES, p_value, written_cases
from spicebridge.table import LookupTable

Record = Mapping[str, Any]


def header(said: Record) -> Html:
    """What was studied and on which tables, in a few lines."""
    names = "; ".join(map(sections.table_name, said["tables"]))
    return tag(
        "header",
        tag("h1", said["description"] or said["experiment"]),
        tag(
            "p",
            tag("code", said["experiment"]),
            f". {said['solutions']} solutions, {said['distinct_weight_sets']} distinct weight sets; "
            f"{said['split']}.",
            class_="quiet",
        ),
        tag("p", f"Tables: {names}.", class_="quiet"),
    )


def headline(said: Record) -> Html:
    """The figures beside the paper's."""
    first, paper = said["cases"][said["headline_case"]], said["paper"]
    gap = minus(f"{said['accuracy_mean'] - said['baseline_accuracy_mean']:+.2f} points")
    block, writing, point = said["feedforward"], said["write"], first["point"]
    cards = tag(
        "div",
        card(
            "Accuracy after tuning, median",
            f"{said['accuracy']:.2f} %",
            f"paper: up to {paper['accuracy']} %",
            [
                ("mean", f"{said['accuracy_mean']:.2f} %"),
                ("software, median", f"{said['baseline_accuracy']:.2f} %"),
                ("software, mean", f"{said['baseline_accuracy_mean']:.2f} %"),
                ("mean to software", gap),
                ("ideal arrays, tuned, mean", _ideal(said)),
                ("untuned, median", f"{said['stages']['lines']['median']:.2f} %"),
            ],
        ),
        card(
            "Write fidelity, mean",
            f"{100 * said['write_fidelity']:.2f} %",
            first["about"],
            [
                ("write voltage", setting(point["v_write"], "V")),
                ("pulse", setting(point["t_pulse"], "s")),
                ("per pulse", si(writing["energy_per_pulse"], "J")),
                ("per solution", si(writing["energy_per_solution"], "J")),
                ("time per solution", si(writing["time_per_solution"], "s")),
            ],
        ),
        card(
            "Feed-forward, array",
            tops(block["tops_per_watt"]),
            "paper: no figure in the abstract",
            [
                ("per operation", si(block["energy_per_op"], "J")),
                ("per inference", si(block["energy_per_inference"], "J")),
            ],
        ),
        class_="headline",
    )
    link = tag("a", "what differs from the paper", href="#differences")
    return Html(cards + tag("p", "Not to be compared as they stand: ", link, ".", class_="quiet"))


def _ideal(said: Record) -> str:
    found = said["cases"].get("ideal")
    return MISSING if found is None else f"{found['stages']['thresholds_tuned']['mean']:.2f} %"


def accuracy(record: Record, said: Record) -> Html:
    """Accuracy by stage, as box plots and as numbers."""
    schemes = dict.fromkeys(case["point"]["scheme"] for case in record["cases"] if case["point"])
    return section(
        "Accuracy by stage",
        plots(*(box_plot(record, scheme) for scheme in sorted(schemes))),
        tag("h3", "Median / mean in %"),
        _case_table(_written(record, said), "Accuracy by stage and diameter"),
    )


def _written(record: Record, said: Record) -> dict[str, Any]:
    return {case["case"]: said["cases"][case["case"]] for case in written_cases(record)}


def _case_table(cases: Mapping[str, Record], label: str) -> Html:
    rows = (
        (
            case["about"],
            f"{100 * case['write_fidelity']:.2f} %",
            *(
                f"{case['stages'][stage]['median']:.1f} / {case['stages'][stage]['mean']:.1f}"
                for stage in STAGES
            ),
        )
        for case in cases.values()
    )
    head = ("", "write fidelity", *STAGES.values())
    return table(head, rows, numbers=range(1, len(head)), label=label)


def fidelity(record: Record, said: Record) -> Html:
    """Whether write fidelity tells the accuracy."""
    beside = tag("div", tag("p", said["finding"]["words"]), _metric_table(record))
    drawn = fidelity_plot(record)
    return section(
        "What write fidelity tells of accuracy",
        tag("div", drawn.html() if drawn else None, beside, class_="plots"),
        tag("h3", "Write fidelity against accuracy on test samples"),
        _association_table(said["finding"]["statistics"]),
        tag(
            "p",
            "Pearson's r over solutions; in brackets the 95 % confidence interval of r² by "
            "bootstrap; p against "
            "no correlation. Arrays in which fidelity or accuracy does not vary are left out. "
            "Pooled, poor write "
            "points make fidelity look better than it is at any one of them.",
            class_="quiet",
        ),
    )


def _association_table(statistics: Sequence[Record]) -> Html:
    """How fidelity goes with accuracy, a line for each set of arrays, before and after tuning."""
    found: dict[str, dict[str, Record]] = {}
    for each in statistics:
        found.setdefault(each["about"], {})[each["stage"]] = each
    rows = [
        (
            about,
            str(next(iter(stages.values()))["n"]),
            *(cell for stage in ("lines", "thresholds_tuned") for cell in _association(stages.get(stage))),
        )
        for about, stages in found.items()
    ]
    head = ("arrays", "solutions", "untuned: r", "r²", "p", "tuned: r", "r²", "p")
    return table(head, rows, numbers=range(1, len(head)), label="Correlation of write fidelity with accuracy")


def _association(found: Record | None) -> tuple[str, str, str]:
    if found is None:
        return MINUS, MINUS, MINUS
    return (
        minus(f"{found['pearson']:.2f}"),
        f"{found['explained']:.3f} ({found['explained_low']:.3f} to {found['explained_high']:.3f})",
        p_value(found["pearson_p"]).removeprefix("= "),
    )


def _metric_table(record: Record) -> Html | None:
    """How much of accuracy each metric explains, where fidelity was drawn."""
    judged = record["judgement"]["cases"].get("drawn_fidelity", {})
    stages = [stage for stage, each in judged.items() if each.get("test")]
    if not stages:
        return None
    rows = [
        (
            words,
            *(
                f"{judged[stage]['test'][name]['explained']:.2f}" if name in judged[stage]["test"] else MINUS
                for stage in stages
            ),
        )
        for name, words in METRICS.items()
    ]
    head = ("r² with test accuracy", *(STAGES[stage] for stage in stages))
    return table(head, rows, numbers=range(1, len(head)), label="What explains accuracy")


def variants(record: Record, said: Record) -> Html | None:
    """Hardware-aware training, write-verify and defects."""
    chosen = {
        name: case for name, case in said["cases"].items() if name not in record["judgement"]["fidelity"]
    }
    if not chosen:
        return None
    settings = record["settings"]
    return section(
        "Hardware-aware training, write-verify, defects",
        tag(
            "p",
            f"At {setting(settings['diameter'], 'm')}. Hardware-aware training flips "
            f"{100 * settings['aware']['flips']:g} % of the weights and adds noise of "
            f"{settings['aware']['noise']:g} of a weight in every step; its software column is its own. A "
            f"shorted cell is a resistor of {record['array']['r_short']:g} Ω, assumed; defects come "
            "in with the "
            "device spread.",
        ),
        _case_table(chosen, "Accuracy of the other cases"),
    )


def array(record: Record, said: Record, tables: Sequence[LookupTable]) -> Html:
    """The arrays: IR drop, disturb, and the write points."""
    read = next((each for each in tables if "transmission" in each.quantities), None)
    write = next((each for each in tables if "row_disturb" in each.quantities), None)
    rows = (
        (
            setting(case["point"]["diameter"], "m"),
            SCHEMES[case["point"]["scheme"]],
            setting(case["point"]["v_write"], "V") + (", table's end" if case["point"]["at_end"] else ""),
            f"{100 * case['point']['predicted']:.2f} %",
            f"{100 * case['write_fidelity']:.2f} %",
            si(case["write_energy"], "J"),
        )
        for case in _written(record, said).values()
    )
    head = (
        "diameter",
        "scheme",
        "write voltage",
        "fidelity, random patterns",
        "fidelity, solutions",
        "energy per solution",
    )
    return section(
        "The arrays",
        plots(drop_plot(record, read) if read else None, disturb_plot(record, write) if write else None),
        tag("h3", "Write points"),
        table(head, rows, numbers=(2, 3, 4, 5), label="Write points"),
        tag(
            "p",
            "The voltage of each is that of the highest mean fidelity on random patterns in random "
            "cells; the "
            "headline takes the better scheme at its diameter by the same figure. No sample of the "
            "data set has "
            "part in it.",
            class_="quiet",
        ),
    )


def energy(record: Record, said: Record) -> Html:
    """Where the energy of an inference and of writing goes."""
    ledgers = {name: ledger_from_json(lines).entries for name, lines in record["ledgers"].items()}
    latency = record["write"].get("latency")
    defined = [
        f"Feed-forward: {record['feedforward']['definition']}.",
        f"Writing: {record['write']['definition']}.",
    ]
    if latency is not None:
        defined.append(f"The slowest cell's median switching time is {si(latency, 's')}.")
    settling = record["feedforward"].get("settling")
    if settling is not None:
        defined.append(
            f"The slowest column settles in {si(settling, 's')}; a read lasts "
            f"{setting(record['feedforward']['t_read'], 's')}."
        )
    return section(
        "Energy",
        plots(
            energy_plot(
                ledgers["feedforward"],
                per=int(record["feedforward"]["inferences"]),
                name="feedforward-energy",
                what="one inference",
            ),
        ),
        tag("ul", *(tag("li", each) for each in defined)),
        tag("p", f"Counted in no figure: {listed(said['absent'])}."),
        *(ledger_listing(name, entries) for name, entries in ledgers.items()),
    )
