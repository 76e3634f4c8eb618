"""Sections of the page that a run record fills by itself: headline, accuracy, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spicebridge.energy import Entry, ledger_from_json
from spicebridge.report.drawing import Plot
from spicebridge.report.markup import Html, join, table, tag
from spicebridge.report.paper import DATA_NAMES
from spicebridge.report.quantity import (
    claimed,
    count,
    disturb_rows,
    listed,
    minus,
    percent,
    points,
    si,
    tops,
    tops_or_unknown,
)
from spicebridge.report.run_plots import accuracy_plot, energy_plot
from spicebridge.report.summary import ARMS, half_selected_name, table_size

Record = Mapping[str, Any]


def section(title: str, *children: object, **attributes: str) -> Html:
    """A titled part of the page."""
    return tag("section", tag("h2", title), *children, **attributes)


def plots(*drawn: Plot | None) -> Html | None:
    """Plots side by side where there is room; None if there is none."""
    kept = [each.html() for each in drawn if each is not None]
    return tag("div", *kept, class_="plots") if kept else None


def header(said: Record) -> Html:
    """What was run and on which tables, in a few lines."""
    what = [f"{said['split']}; training seeds {listed(said['seeds'])}."] if said["split"] else []
    if said["evaluated_on"] not in (None, "test"):
        what.append(f"Accuracy is on the {said['evaluated_on']} images, not on the test images.")
    return tag(
        "header",
        tag("h1", said["description"] or said["experiment"]),
        tag("p", tag("code", said["experiment"]), ". ", " ".join(what), class_="quiet"),
        tag("p", f"Tables: {'; '.join(map(table_name, said['tables']))}.", class_="quiet")
        if said["tables"]
        else None,
    )


def table_name(each: Record) -> str:
    """A table's name and size, in words."""
    size = table_size(each)
    return f"{each['name']}, {size}" if size else str(each["name"])


def headline(said: Record) -> Html:
    """The figures beside the paper's."""
    cards = tag("div", _accuracy_card(said), _feedforward_card(said), _update_card(said), class_="headline")
    if not said["paper"]:
        return cards
    link = tag("a", "what differs from the paper", href="#differences")
    return join([cards, tag("p", "Not to be compared as they stand: ", link, ".", class_="quiet")])


def differences(said: Record) -> Html | None:
    """In words, what keeps the figures from being compared with the paper's."""
    if not said["paper"]:
        return None
    sentences = (each.partition(": ") for each in said["differences"])
    items = (tag("li", tag("strong", f"{subject}."), " ", _capital(rest)) for subject, _, rest in sentences)
    paper = said["paper"]
    known = f"Paper: {paper['source']}. Not to be found there: {listed(paper['unknown'])}."
    return section(
        "What differs from the paper", tag("p", known, class_="quiet"), tag("ul", *items), id="differences"
    )


def _accuracy_card(said: Record) -> Html:
    data = said["data"]["name"]
    theirs = ((said["paper"] or {}).get("accuracy") or {}).get(data)
    beside = (
        f"paper: {theirs} % on {DATA_NAMES.get(data, data)}, another network" if theirs is not None else None
    )
    if said["paper"] and theirs is None:
        beside = f"paper: no figure for {DATA_NAMES.get(data, data)}"
    rows = [(name, percent(said[key], said[f"{key}_spread"])) for key, name in list(ARMS.values())[1:]]
    if said["accuracy"] is not None and said["baseline_accuracy"] is not None:
        gap = f"{said['accuracy'] - said['baseline_accuracy']:+.2f} points"
        rows.append(("to floating point", minus(gap)))
    return card("Accuracy, circuit tables", percent(said["accuracy"], said["accuracy_spread"]), beside, rows)


def _feedforward_card(said: Record) -> Html:
    block, paper = said["feedforward"], said["paper"]
    beside = f"paper: {claimed(paper['feedforward_tops_per_watt'])}" if paper else None
    if block is None:
        return card("Feed-forward, array", "not run", beside, [])
    rows = [
        ("per operation", si(block["energy_per_op"], "J")),
        ("per MAC", si(block["energy_per_mac"], "J")),
        ("per image", si(block["energy_per_image"], "J")),
        *_tops_rows(
            block,
            per_read="each plane's read a MAC",
            mean_of_nine="mean of nine cases",
        ),
    ]
    rows += disturb_rows(said["operating_point"])
    return card("Feed-forward, array", tops(block["tops_per_watt"]), beside, rows)


def _update_card(said: Record) -> Html:
    block, paper = said["update"], said["paper"]
    beside = f"paper: {claimed(paper['update_tops_per_watt'])}" if paper else None
    if block is None:
        return card("Weight update, array", "not run", beside, [])
    rows = [
        ("per operation", si(block["energy_per_op"], "J")),
        ("per update", si(block["energy_per_update"], "J")),
        ("per pulse", si(block["energy_per_pulse"], "J")),
        ("per flip", si(block["energy_per_flip"], "J")),
        *_tops_rows(block, half_selected=half_selected_name(block)),
    ]
    return card("Weight update, array", tops(block["tops_per_watt"]), beside, rows)


def _tops_rows(block: Record, **names: str) -> list[tuple[str, str]]:
    return [(name, tops_or_unknown(block[key])) for key, name in names.items() if block[key]]


def card(title: str, figure: str, beside: str | None, rows: Sequence[tuple[str, str]]) -> Html:
    """One headline figure, what stands beside it, and what it is made of."""
    listing = (item for name, value in rows for item in (tag("dt", name), tag("dd", value)))
    return tag(
        "div",
        tag("h2", title),
        tag("div", figure, class_="figure"),
        tag("div", beside, class_="beside") if beside else None,
        tag("dl", *listing),
        class_="card",
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def accuracy(record: Record, said: Record) -> Html:
    """Accuracy against epoch and per seed."""
    arms = record.get("arms", {})
    drawn = accuracy_plot(arms, evaluated_on=str(said["evaluated_on"] or "test"))
    if drawn is None:
        return section("Accuracy", tag("p", "No arm of this record was trained.", class_="notice"))
    ran = [arm for arm in ARMS if arms.get(arm, {}).get("runs")]
    by_seed = {arm: {run["seed"]: run["test_accuracy"] for run in arms[arm]["runs"]} for arm in ran}
    rows: list[list[object]] = [
        [f"seed {seed}", *(percent(by_seed[arm].get(seed)) for arm in ran)] for seed in said["seeds"] or ()
    ]
    rows.append(
        [
            "mean ± s.d.",
            *(percent(said[ARMS[arm][0]], said[f"{ARMS[arm][0]}_spread"]) for arm in ran),
        ]
    )
    missing = [ARMS[arm][1] for arm in ARMS if arm not in ran]
    grid = table(
        ["", *(ARMS[arm][1] for arm in ran)],
        rows,
        numbers=range(1, len(ran) + 1),
        label="Accuracy after the last epoch",
    )
    beside = tag(
        "div",
        grid,
        tag(
            "p",
            "Seeds change the starting weights and the draws; the split is the same for all.",
            class_="quiet",
        ),
        tag("p", f"Not run: {listed(missing)}.", class_="notice") if missing else None,
    )
    return section("Accuracy", tag("div", drawn.html(), beside, class_="plots"), _ablations(said))


def _ablations(said: Record) -> Html | None:
    """What one effect more costs the arm on the circuit tables."""
    if not said["ablations"]:
        return None
    rows = [
        (
            ARMS[arm][1],
            percent(each["accuracy"], each["accuracy_spread"]),
            points(each["effect"], each["effect_spread"]),
            _capital(each["about"]),
        )
        for arm, each in said["ablations"].items()
    ]
    head = ("", "accuracy", f"against {ARMS['table'][1]}", "what it adds to them")
    note = (
        "One effect more, in training and in tests alike. ± of a difference is the standard deviation over "
        "seeds, each against the network of the same seed."
    )
    return join(
        [
            tag("h3", "Ablations"),
            table(head, rows, numbers=(1, 2), label="What one effect more does to the accuracy"),
            tag("p", note, class_="quiet"),
        ]
    )


def energy(record: Record, said: Record) -> Html:
    """Where the energy goes, what an operation is, and the whole ledger."""
    ledgers = {name: ledger_from_json(lines).entries for name, lines in record.get("ledgers", {}).items()}
    feedforward, update = record.get("feedforward"), record.get("update")
    drawn = plots(
        energy_plot(
            ledgers.get("feedforward", ()),
            per=int(feedforward["images"]) if feedforward else 0,
            name="feedforward-energy",
            what="one inference",
        ),
        energy_plot(
            ledgers.get("update", ()),
            per=int(update["updates"]) if update else 0,
            name="update-energy",
            what="one synapse's update in one step",
        ),
    )
    if drawn is None:
        return section(
            "Energy",
            tag("p", "This record holds no energies: the circuit-table arm was not run.", class_="notice"),
        )
    defined = [
        f"{name}: {block['definition']}."
        for name, block in (("Feed-forward", feedforward), ("Update", update))
        if block
    ]
    half = (update or {}).get("half_selected")
    if half and half["tops_per_watt"] is None:
        defined.append(f"{_capital(half['definition'])}.")
    elif half:
        defined.append(
            f"Half-selected cells: {half['definition']}. One such cell's share of line u costs "
            f"{si(half['u_line_energy'], 'J')}, of line e {si(half['e_line_energy'], 'J')}."
        )
    layers = (feedforward or {}).get("layers") or ()
    accounting = record.get("accounting") or {}
    ledgers |= {
        name: ledger_from_json(lines).entries for name, lines in accounting.get("ledgers", {}).items()
    }
    return section(
        "Energy",
        drawn,
        tag("h3", "Definitions"),
        tag("ul", *(tag("li", each) for each in defined)),
        tag("p", f"Counted in no figure: {listed(said['absent'])}.") if said["absent"] else None,
        _layers(layers) if layers else None,
        *(ledger_listing(name, entries) for name, entries in ledgers.items()),
    )


def _layers(layers: Sequence[Record]) -> Html:
    rows = (
        (
            layer["name"],
            f"{layer['inputs']} by {layer['outputs']}",
            str(layer["planes"]),
            si(layer["energy_per_op"], "J"),
            tops(layer["tops_per_watt"]),
        )
        for layer in layers
    )
    head = ("", "inputs by outputs", "bit planes", "per operation", "efficiency")
    return join(
        [tag("h3", "Layers, array only"), table(head, rows, numbers=(1, 2, 3, 4), label="Energy by layer")]
    )


def ledger_listing(name: str, entries: Sequence[Entry]) -> Html:
    """Every line of a ledger, folded away."""
    rows = (
        (
            entry.component,
            entry.action,
            count(entry.events),
            si(entry.joules, "J"),
            si(entry.joules / entry.events, "J") if entry.events else "",
            join(
                [
                    f"table {entry.source.name} ",
                    tag("span", entry.source.digest[:12], class_="digest", title=entry.source.digest),
                ]
            )
            if entry.source.digest
            else f"cited: {entry.source.name}",
        )
        for entry in entries
    )
    head = ("component", "action", "events", "energy", "per event", "source of the energy")
    label = f"Energy ledger, {'feed-forward' if name == 'feedforward' else name}"
    return tag(
        "details",
        tag("summary", f"{label} ({len(entries)} lines)"),
        table(head, rows, numbers=(2, 3, 4), label=label),
    )
