"""Sections of the page of mixed-precision training: headline, accuracy, the memory at work, energy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spicebridge.energy import ledger_from_json
from spicebridge.report.boundaries import grid_rows
from spicebridge.report.markup import Html, join, table, tag
from spicebridge.report.mixed_differences import arrays, chi_energy, quantity, reaching
from spicebridge.report.mixed_energy_plots import part_plot, phase_plot, tornado_plot
from spicebridge.report.mixed_plots import ablation_plot, pulse_plot, retention_plot, training_plot
from spicebridge.report.mixed_summary import ARMS, PHASES
from spicebridge.report.mixed_text import age, part_energy
from spicebridge.report.quantity import MISSING, count, listed, percent, points, share, si, times, tops
from spicebridge.report.sections import card, ledger_listing, plots, section

Record = Mapping[str, Any]


def headline(said: Record) -> Html:
    """Accuracy, energy of a training image, and efficiency, beside the paper's."""
    cards = tag("div", _accuracy_card(said), *_energy_cards(said), class_="headline")
    link = tag("a", "what differs from the paper", href="#differences")
    return join([cards, tag("p", "Not to be compared as they stand: ", link, ".", class_="quiet")])


def _accuracy_card(said: Record) -> Html:
    theirs = said["paper"]["accuracy"]
    listing = ", ".join(f"{value:.2f} % ({how})" for how, value in theirs.items())
    on_mnist = said["data"]["name"] == "mnist"
    rows = [
        ("floating point", percent(said["baseline_accuracy"], said["baseline_accuracy_spread"])),
        ("gap", points(said["gap"])),
    ]
    if said["network"]:
        rows.append(("network", said["network"]))
    if said["retention"]:
        last = said["retention"][-1]
        rows.append((f"read again after {age(last['age_s'])}", percent(last["accuracy"])))
    return card(
        "Accuracy, PCM pairs",
        percent(said["accuracy"], said["accuracy_spread"]),
        f"paper: {listing}" if on_mnist else "paper: MNIST only",
        rows,
    )


def _energy_cards(said: Record) -> tuple[Html, ...]:
    energy, theirs = said["energy"], said["paper"]["energy_ratio"]
    if energy is None:
        return (card("Digital energy over ours", MISSING, f"paper: {theirs:g}×", []),)
    image, efficiency = energy["per_image"], energy["tops_per_watt"]
    chi = chi_energy(image["update"])
    ratio = card(
        "Digital energy over ours",
        times(energy["ratio"]),
        f"paper: {theirs:g}×, what it counts is not known",
        [
            *((name, times(energy["ratio_by_phase"][phase])) for phase, name in PHASES.items()),
            ("training image, ours", si(image["total"], "J")),
            ("of that, chi", si(chi, "J")),
            ("of that, arrays and converters", si(arrays(energy), "J")),
            ("training image, digital", si(energy["digital"]["total"], "J")),
        ],
    )
    array = card(
        "Feed-forward, array",
        tops(efficiency["feedforward_array"]),
        "paper: no figure in the abstract",
        [
            ("SET pulses per image", f"{energy['pulses_per_image']:.3g}"),
        ],
    )
    return ratio, array


def accuracy(record: Record, said: Record) -> Html:
    """Accuracy by epoch and seed, and what each effect costs."""
    drawn = training_plot(record.get("arms", {}), evaluated_on=str(said["evaluated_on"] or "test"))
    if drawn is None:
        return section("Accuracy", tag("p", "No arm of this record was trained.", class_="notice"))
    missing = [name for arm, name in ARMS.items() if arm not in said["arms"]]
    return section(
        "Accuracy",
        plots(drawn, ablation_plot(said["arms"])),
        tag("h3", "Ablations"),
        _arm_table(said),
        tag(
            "p",
            "± is the standard deviation over seeds on one split; an effect's is that of the differences "
            "between networks of the same seed, which share first weights and batches.",
            class_="quiet",
        ),
        tag("p", f"Not run: {listed(missing)}.", class_="notice") if missing else None,
    )


def _arm_table(said: Record) -> Html:
    rows = [
        (
            ARMS[arm],
            percent(each["accuracy"], each["accuracy_spread"]),
            "" if arm == "table" else points(each["effect"], each["effect_spread"]),
            listed(each["seeds"]),
            each["about"],
        )
        for arm, each in said["arms"].items()
    ]
    head = ("", "accuracy", "against PCM pairs", "seeds", "what it is")
    return table(head, rows, numbers=(1, 2), label="Accuracy of each arm")


def memory(record: Record, said: Record) -> Html | None:
    """What the devices did in training, and what time does to the trained networks."""
    counts, arms = record.get("counts"), record.get("arms", {})
    if not counts:
        return None
    epochs = [each for run in arms.get("table", {}).get("runs", ()) for each in run["epochs"]]
    outside = sum(each.get("outside_support", 0) for each in epochs)
    pulses = sum(counts["set_pulses"])
    rows = [
        ("SET pulses", count(pulses), f"{pulses / counts['images']:.3g} per image"),
        ("of them by refreshes", count(counts["refresh_set_pulses"]), ""),
        (
            "of them where the table was not sampled",
            count(outside),
            share(outside / pulses) if pulses else "",
        ),
        ("RESETs", count(counts["resets"]), f"{counts['resets'] / counts['images']:.3g} per image"),
        ("pairs refreshed", count(counts["refreshed_pairs"]), f"in {count(counts['refreshes'])} looks"),
    ]
    device = said["device"] or {}
    point = (
        f"Operating point: reads at {device['v_read']:g} V, the largest input for "
        f"{si(device['t_read'], 's')}; one unit of weight is {si(device['g_scale'], 'S')}, "
        f"epsilon {device['epsilon']:.4f} of it."
        if device.get("epsilon") is not None
        else None
    )
    return section(
        "The memory in training",
        tag("p", point) if point else None,
        plots(
            pulse_plot(counts),
            retention_plot(said["retention"], after_training=said["accuracy"]),
        ),
        table(("", "all seeds", ""), rows, numbers=(1,), label="Events in training"),
    )


def energy(record: Record, said: Record) -> Html:
    """Where the energy of a training image goes, in both designs, and what the ratio rests on."""
    found = said["energy"]
    if found is None:
        words = "This record holds no energies: the arm on PCM pairs was not run."
        return section("Energy", tag("p", words, class_="notice"))
    theirs = said["paper"]["energy_ratio"]
    ledgers = record["energy"]["ledgers"]
    names = {"training": "training on PCM pairs", "digital": "digital design"}
    return section(
        "Energy",
        plots(phase_plot(found), part_plot(found)),
        _phase_table(found),
        tag("p", f"Definition: {found['definition']}. Batch: {found['batch']:g} images."),
        tag("p", "The digital design:"),
        tag("ul", *(tag("li", f"{each}.") for each in found["digital"]["assumptions"])),
        tag("p", f"Counted in no figure: {listed(said['absent'])}."),
        *_grid(said["accounting"]),
        tag("h3", "What the ratio rests on"),
        tag(
            "div",
            tornado_plot(found, theirs=theirs).html(),
            tag("div", tag("p", f"To the paper's {theirs:g}×: {reaching(found)}"), _scenario_table(found)),
            class_="plots",
        ),
        _assumption_table(found),
        *(ledger_listing(names[name], ledger_from_json(lines).entries) for name, lines in ledgers.items()),
    )


def _grid(block: Record | None) -> Iterator[Html]:
    """The ratio with one concession on top of the other, beside the paper's, and what is defensible."""
    if block is None:
        return
    grid = block["grid"]
    head, *rows = grid_rows(grid)
    yield tag("h3", "The ratio, with what is granted to whom")
    yield table(head, rows, numbers=(1, 2, 3), label="Ratio with one concession on top of the other")
    if grid["defensible"]:
        yield tag("p", f"Defensible: {grid['defensible']}.")
    yield tag("p", "The 8-bit design:")
    yield tag("ul", *(tag("li", f"{each}.") for each in block["digital_int8"]["assumptions"]))


def _phase_table(found: Record) -> Html:
    ours, digital = found["per_image"], found["digital"]
    rows: list[tuple[str, ...]] = []
    for phase, name in PHASES.items():
        ratio = times(found["ratio_by_phase"][phase])
        rows.append((name, si(ours[phase]["total"], "J"), si(digital[phase], "J"), ratio))
        for part in dict.fromkeys([*ours[phase], *digital["parts"][phase]]):
            if part != "total":
                cells = (part_energy(each[phase], part) for each in (ours, digital["parts"]))
                rows.append((f"\N{EN DASH} {part.replace('_', ' ')}", *cells, ""))
    rows.append(("training image", si(ours["total"], "J"), si(digital["total"], "J"), times(found["ratio"])))
    head = ("per training image", "PCM pairs and chi", "digital, 32 bits", "ratio")
    return table(head, rows, numbers=(1, 2, 3), label="Energy of a training image by phase and part")


def _scenario_table(found: Record) -> Html:
    rows = [(times(each["ratio"]), each["scenario"]) for each in found["scenarios"]]
    return table(("ratio", "changed together"), rows, label="Ratio with assumptions changed")


def _assumption_table(found: Record) -> Html:
    ratios = {row["key"]: row for row in found["sensitivity"]}
    limits = {row["key"]: row for row in found["reach"]}
    rows = [
        (
            each["name"],
            *(quantity(each[key], each["unit"]) for key in ("low", "value", "high")),
            times(ratios[each["key"]]["ratio_low"]),
            times(ratios[each["key"]]["ratio_high"]),
            _limit(limits.get(each["key"])),
        )
        for each in found["assumptions"]
    ]
    sources = [(each["name"], each["source"], each["ends"]) for each in found["assumptions"]]
    head = ("assumption", "low", "here", "high", "ratio at low", "at high", "the paper's at")
    label = "Assumptions of the energy"
    return join(
        [
            table(head, rows, numbers=range(1, 7), label=f"{label}, and the ratio at their ends"),
            tag("h3", "Where the assumptions are from"),
            table(("assumption", "source", "the ends of its range"), sources, label=f"{label}: sources"),
        ]
    )


def _limit(row: Record | None) -> str:
    """At what value an assumption by itself brings the ratio to the paper's, or how far it gets."""
    if row is None:
        return ""
    if row["value"] is not None:
        return quantity(row["value"], row["unit"])
    return f"never; at most {times(row['limit'])}"
