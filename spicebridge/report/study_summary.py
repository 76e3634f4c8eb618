"""The headline figures of a study of passive arrays, for scripts, and what it found, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spicebridge.report.boundaries import accounting_of
from spicebridge.report.paper import PASSIVE_ARRAY, has_model
from spicebridge.report.quantity import minus, setting, si, tops

STAGES = {
    "software": "software",
    "write_errors": "write errors",
    "spread": "and device spread",
    "lines": "and lines, leakage",
    "columns_tuned": "columns tuned",
    "thresholds_tuned": "thresholds tuned too",
}
"""A stage's key in the record, and what the report calls it."""

UNITS = {
    "accuracy": "%, median over the solutions after both levels of tuning",
    "baseline_accuracy": "%, median over the solutions in software",
    "stages": "%",
    "write_fidelity": "share of used cells that are as wanted, mean over the solutions",
    "tops_per_watt": "TOPS/W",
    "energy": "J",
}
_FIGURES = ("tops_per_watt", "energy_per_op")
METRICS = {
    "fidelity": "write fidelity",
    "weight_error": "r.m.s. weight error",
    "hidden_agreement": "hidden values as in software",
    "score_error": "r.m.s. error of class scores",
    "decision_agreement": "decisions as in software",
}
DRAWN = "drawn_fidelity"

Record = Mapping[str, Any]


def summary(record: Record) -> dict[str, Any]:
    """A study's headline figures as JSON-like values.

    Args:
        record: as ``record.json`` holds it.

    Returns:
        ``experiment``, ``accuracy`` and ``baseline_accuracy`` (medians, per cent; ``_mean`` beside them),
        ``stages``, ``write_fidelity``, ``cases`` (point, fidelity and stages of each), ``finding``
        (statistics and words), ``solutions``, ``data``, ``feedforward``, ``write``, ``accounting``,
        ``tables``, ``paper``, ``differences``, ``absent``, ``units``.
    """
    feedforward = record["feedforward"]
    return {
        "experiment": record["experiment"],
        "description": record.get("description"),
        "study": record["study"],
        "accuracy": record["accuracy"],
        "accuracy_mean": record["accuracy_mean"],
        "baseline_accuracy": record["baseline_accuracy"],
        "baseline_accuracy_mean": record["baseline_accuracy_mean"],
        "stages": record["stages"],
        "write_fidelity": record["write_fidelity"],
        "headline_case": record["cases"][0]["case"],
        "cases": {
            case["case"]: {
                "about": case["about"],
                "point": case["point"],
                "write_fidelity": case["write_fidelity"],
                "write_energy": case["write_energy"],
                "stages": case["summary"],
            }
            for case in record["cases"]
        },
        "finding": {"words": finding(record), "statistics": statistics(record)},
        "solutions": len(record["seeds"]),
        "distinct_weight_sets": record["weights"]["distinct"],
        "split": record["data"]["split"],
        "data": {"name": record["data"]["name"], "checksum": record["data"]["checksum"]},
        "feedforward": {
            **{key: feedforward[key] for key in (*_FIGURES, "energy_per_mac", "energy_per_inference")},
            "definition": feedforward["definition"],
        },
        "write": record["write"],
        "accounting": accounting_of(record),
        "tables": [
            {
                key: each[key]
                for key in ("name", "digest", "size", "samples", "mixed")
                if each.get(key) is not None
            }
            for each in record["tables"]
        ],
        "paper": PASSIVE_ARRAY.to_json(),
        "differences": list(differences(record)),
        "absent": list((record.get("accounting") or {}).get("absent", ())),
        "units": dict(UNITS),
    }


def statistics(record: Record) -> list[dict[str, Any]]:
    """How write fidelity goes with test accuracy, a row for each set of arrays and stage where both vary."""
    judged = record["judgement"]
    rows = [
        (DRAWN, about_of(record, DRAWN), stage, each["test"].get("fidelity"))
        for stage, each in judged["cases"].get(DRAWN, {}).items()
    ]
    for case in written_cases(record):
        stages = judged["fidelity"][case["case"]]
        rows += [(case["case"], case["about"], stage, each) for stage, each in stages.items()]
    rows += [
        ("pooled", "all of these written arrays", stage, each) for stage, each in judged["pooled"].items()
    ]
    return [
        {"case": case, "about": about, "stage": stage, **found}
        for case, about, stage, found in rows
        if found is not None
    ]


def written_cases(record: Record) -> list[Record]:
    """The cases of sound cells written once, by diameter and scheme."""
    chosen = [case for case in record["cases"] if case["case"] in record["judgement"]["fidelity"]]
    return sorted(chosen, key=lambda case: (case["point"]["diameter"], case["point"]["scheme"]))


def about_of(record: Record, name: str) -> str:
    """What a case is, in words."""
    return next((str(case["about"]) for case in record["cases"] if case["case"] == name), name)


def finding(record: Record) -> str:
    """Whether write fidelity by itself tells the accuracy, in plain words with the statistics."""
    rows = {(each["case"], each["stage"]): each for each in statistics(record)}
    said = []
    for stage, words in (("lines", "before tuning"), ("thresholds_tuned", "after tuning")):
        found = rows.get((DRAWN, stage))
        if found:
            said.append(f"{words} {association_words(found)}")
    if not said:
        return (
            "Write fidelity or accuracy is the same in all arrays here, so that nothing can be said of them."
        )
    tuned = rows.get((DRAWN, "thresholds_tuned"))
    alone = tuned is not None and tuned["predicts_alone"]
    verdict = "does predict" if alone else "does not predict"
    parts = [
        f"Write fidelity alone {verdict} the accuracy of a tuned array. Among arrays with "
        f"{about_of(record, DRAWN)}: {'; '.join(said)}."
    ]
    single = _single_points(record)
    if single:
        parts.append(single)
    best = _best_metric(record)
    if best:
        parts.append(best)
    return " ".join(parts)


def association_words(found: Record) -> str:
    """``r = 0.5, r² = 0.25 (95 % confidence 0.2 to 0.3), p = 1e-9, n = 300``."""
    r = minus(f"{found['pearson']:.2f}")
    return (
        f"r = {r}, r² = {found['explained']:.2f} (95 % confidence "
        f"{found['explained_low']:.2f} to {found['explained_high']:.2f}), p {p_value(found['pearson_p'])}, "
        f"n = {found['n']}"
    )


def p_value(p: float) -> str:
    """A p-value with its relation sign."""
    return "< 1e-16" if p < 1e-16 else f"= {p:.1e}" if p < 0.001 else f"= {p:.3f}"


def _single_points(record: Record) -> str | None:
    """How little fidelity explains among arrays that are all written at one point."""
    names = {case["case"] for case in written_cases(record)}
    single = [each for each in statistics(record) if each["case"] in names]
    most = {
        stage: max((each["explained"] for each in single if each["stage"] == stage), default=None)
        for stage in ("lines", "thresholds_tuned")
    }
    if None in most.values():
        return None
    return (
        f"Among arrays of one diameter written at one point it explains r² = {most['lines']:.3f} at "
        "most before "
        f"tuning and {most['thresholds_tuned']:.3f} after."
    )


def _best_metric(record: Record) -> str | None:
    """What explains more than fidelity does, before tuning."""
    judged = record["judgement"]["cases"].get(DRAWN, {}).get("lines", {}).get("test", {})
    better = {
        name: each
        for name, each in judged.items()
        if name != "fidelity" and each.get("over_fidelity", {}).get("low", 0.0) > 0
    }
    if not better:
        return None
    name = max(better, key=lambda each: better[each]["explained"])
    over = better[name]["over_fidelity"]
    return (
        f"Before tuning the share of {METRICS[name]} explains r² = {better[name]['explained']:.2f}, "
        f"{over['gain']:.2f} more (95 % confidence {over['low']:.2f} to {over['high']:.2f})."
    )


def differences(record: Record) -> Iterator[str]:
    """What keeps the figures from being compared with the paper's; each opens with its subject and colon."""
    settings, parts = record["settings"], record["data"]
    network = "-".join(map(str, record["array"]["network"]))
    test = parts["test_samples"]
    best = record["cases"][0]["summary"]["thresholds_tuned"]["max"]
    yield (
        f"Reconstruction: the paper is known to us by its abstract. The network ({network}, "
        f"{'two cells a weight' if settings['placement'] == 'pair' else 'one cell a weight'}), the "
        "encoding of "
        "the inputs, diameters and what is tuned are ours."
    )
    ours = (
        "every parameter is assumed or of a published compact model; the paper measured arrays. An MTJ is "
        "one macrospin whose barrier goes as its diameter."
    )
    yield (
        "Devices: here they are simulated, and "
        f"{ours if has_model(record, 'stt_mtj', before='array_') else 'the paper measured arrays.'}"
    )
    yield (
        f"Splits: each of our {len(record['seeds'])} solutions has a split of its own, "
        f"{parts['training_samples']} "
        f"training and {test} test samples; the paper's is not known. Accuracy moves in steps of "
        f"{100 / test:.1f} points."
    )
    yield (
        f"The figure: the paper gives the best after tuning as up to {PASSIVE_ARRAY.accuracy} %. Ours is the "
        f"median over all solutions; the best of {len(record['seeds'])} is {best:.1f} %."
    )
    yield (
        "Tuning: gain and offset of each column pair by least squares, then thresholds and class "
        "scores by the "
        "cross-entropy, on training samples only. How finely a threshold is trusted is what the first level "
        "leaves between an array's sums and software's; no test label has part in it."
    )
    ideal = next((case for case in record["cases"] if case["case"] == "ideal"), None)
    if ideal:
        tuned = ideal["summary"]["thresholds_tuned"]
        yield (
            "Software: its thresholds are those of the training. The same search of thresholds on "
            "ideal arrays "
            f"brings software to a median of {tuned['median']:.2f} and a mean of {tuned['mean']:.2f} "
            "%, which "
            "is what tuned arrays are to be held against."
        )
    block = record["feedforward"]
    yield (
        f"Energy: a read of {setting(block['v_read'], 'V')} for {setting(block['t_read'], 's')} is "
        "assumed and "
        f"enters in proportion. The array's {tops(block['tops_per_watt'])} counts no conversion of inputs."
    )
    writing = record["write"]
    yield (
        f"Writing: {writing['definition']}, {si(writing['energy_per_solution'], 'J')} and "
        f"{si(writing['time_per_solution'], 's')} a solution. A cell's own switching voltage counts, its "
        "resistance enters the write as nominal; the other cells' states are a checkerboard."
    )
