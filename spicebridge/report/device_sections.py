"""Sections of the page that tables, waveforms and the lineage fill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spicebridge.lineage import Link
from spicebridge.report.device_plots import (
    EXPECTED,
    has_oracle,
    sampled_curves,
    switching_plot,
    waveform_plot,
)
from spicebridge.report.markup import Html, join, table, tag
from spicebridge.report.quantity import MINUS, chance, minus, setting, si
from spicebridge.report.run_plots import by_law_share, direction_name, width_plot
from spicebridge.report.sections import Record, plots, section
from spicebridge.report.summary import mixed_elements
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable

STATES = {
    "p_ap": "w = +1 (P, AP)",
    "ap_p": f"w = {MINUS}1 (AP, P)",
    "p_p": "w = 0 (P, P)",
    "ap_ap": "w = 0 (AP, AP)",
}
CELL_UNITS = {
    **dict.fromkeys(("w_n", "w_p", "l_gate", "w_access", "l_access"), "m"),
    **dict.fromkeys(("v_gate", "v_threshold", "v_supply", "v_word"), "V"),
    **dict.fromkeys(("r_drive", "r_driver", "r_write", "r_rest", "r_input", "r_line"), "ohm"),
    **dict.fromkeys(("c_line", "c_bit", "c_word"), "F"),
    "g_leak": "S",
    "k_access": "A/V²",
    "temperature": "K",
}
"""Of every setting of every system's cell that is not a name or a count."""


MEASURED_LATE = {"mtj": "mtj_b", "card": "ptm45hp", "temperature": 300.15}
"""The cell on which the lateness of the deck's Monte Carlo was measured."""
_PARAMETER = {"value", "unit", "source"}


def missing_tables(record: Record, tables: Sequence[LookupTable]) -> Html | None:
    """Which tables of the record are not at hand, said plainly."""
    here = {each.digest for each in tables}
    gone = [each for each in record.get("tables", ()) if each["digest"] not in here]
    if not gone:
        return None
    items = (
        tag("li", each["name"], ", digest ", tag("span", each["digest"], class_="digest")) for each in gone
    )
    return tag(
        "div",
        tag(
            "p",
            "Not at hand: these tables were made elsewhere, or made anew since this run. Their curves, "
            "device parameters and lineage are missing from this page; the figures are the record's own.",
        ),
        tag("ul", *items),
        class_="notice",
    )


def mixed_tables(said: Record) -> Html | None:
    """In which elements the tables differ, where a run was set to allow it."""
    mixed = mixed_elements(said)
    if not mixed:
        return None
    words = (
        "These figures are of no one cell: the tables are of different elements, as the run was set to allow."
    )
    return tag("div", tag("p", words), tag("ul", *(tag("li", each) for each in mixed)), class_="notice")


def writing(record: Record, tables: Sequence[LookupTable], write: Waveforms | None) -> Html:
    """How a device is written: probability against the oracle, one pulse, the pulses of the training."""
    write_table = next((each for each in tables if has_oracle(each)), None)
    curve_table = next((each for each in tables if "p_switch" in each.quantities), None)
    v_write = record.get("device", {}).get("v_write")
    directions = [str(each) for each in write_table.data["direction"].values] if write_table else []
    waveforms = waveform_plot(write) if write else None
    update = record.get("update") or {}
    by_law = (
        by_law_share(update, write_table, v_write=v_write) if write_table and v_write is not None else None
    )
    return section(
        "Writing",
        _point(record),
        tag("h3", "Switching probability against its oracle") if directions else None,
        plots(*(switching_plot(write_table, each) for each in directions)) if write_table else None,
        _agreement(write_table, directions) if write_table else None,
        tag("h3", "One pulse, and all the pulses of the training"),
        plots(waveforms, width_plot(update, curve_table, v_write=v_write)),
        tag("p", "No waveforms: the write deck was not simulated for this page.", class_="notice")
        if waveforms is None
        else None,
        tag(
            "p",
            f"{by_law} of the pulses have a width at which too few devices switched, or stayed, for the "
            "Monte Carlo to give a probability: there the table holds the Fokker-Planck value."
            + _lateness(write_table),
        )
        if by_law
        else None,
    )


def _lateness(found: LookupTable | None) -> str:
    """How late the Monte Carlo runs in the tail, for the tables on which that was measured."""
    cell = _section(found.lineage.get("cell")) if found else {}
    if any(cell.get(name) != value for name, value in MEASURED_LATE.items()):
        return ""
    return (
        " In this tail the deck's Monte Carlo runs 0.7 ± 0.3 % late in time against Fokker-Planck, 7 to 9 % "
        "in P; half the time step does not change it."
    )


def _agreement(found: LookupTable, directions: Sequence[str]) -> Html | None:
    """Samples against the oracle in numbers."""
    rows = []
    for direction in directions:
        for curve in sampled_curves(found, direction):
            (difference, deviation), (width, switched, expected) = curve.worst(), curve.tail
            fewest, most = curve.devices.min(), curve.devices.max()
            rows.append(
                (
                    f"{direction_name(direction)}, {setting(curve.v_write, 'V')}",
                    f"{fewest:.0f} to {most:.0f}" if fewest < most else f"{most:.0f}",
                    "none used" if difference is None else f"{difference:.3f}",
                    "too few" if deviation is None else f"{deviation:.1f}",
                    setting(width, "s"),
                    f"{switched}, {expected:.1f} expected",
                )
            )
    if not rows:
        return tag("p", "No Monte Carlo samples in this table.", class_="notice")
    head = ("", "devices", "largest difference in P", "in standard errors", "tail: by", "had switched")
    return join(
        [
            table(head, rows, numbers=range(1, len(head)), label="Monte Carlo against Fokker-Planck"),
            tag(
                "p",
                "The difference in P is over the points that the table uses, the one in standard errors over "
                f"all points at which Fokker-Planck expects {EXPECTED} devices or more on each side; they "
                "need not be the same point.",
                class_="quiet",
            ),
        ]
    )


def _point(record: Record) -> Html | None:
    device = record.get("device", {})
    if device.get("v_write") is None:
        return None
    longest = ", ".join(
        f"{direction_name(key)} {setting(t, 's')}" for key, t in device.get("longest_pulse", {}).items()
    )
    return tag(
        "p",
        f"Operating point: line u at {setting(device['v_write'], 'V')}, widths on a grid of "
        f"{setting(device['timing_step'], 's')}" + (f", longest pulse {longest}." if longest else "."),
    )


def reading(record: Record, tables: Sequence[LookupTable]) -> Html | None:
    """What one read gives for each state and activation, at the run's operating point."""
    device = record.get("device", {})
    found = next((each for each in tables if {"state", "activation"} <= set(each.axes)), None)
    if found is None or device.get("v_read") is None:
        return None
    activations = [str(each) for each in found.data["activation"].values]
    parts: list[Html] = []
    for quantity, unit, title in (("current", "A", "output current"), ("energy", "J", "energy of the read")):
        if quantity in found.quantities:
            rows = (
                [
                    STATES.get(state, state),
                    *(_read(found, quantity, unit, device, state, each) for each in activations),
                ]
                for state in map(str, found.data["state"].values)
            )
            head = [title, *(f"x = {minus(each)}" for each in activations)]
            parts.append(table(head, rows, numbers=range(1, len(head)), label=f"One read: {title}"))
    zero = device.get("zero_state")
    return section(
        "Reading",
        tag(
            "p",
            f"One synapse read at {setting(device['v_read'], 'V')} for {setting(device['t_read'], 's')}: the "
            "circuit multiplies the stored weight w by the activation x."
            + (f" Trained networks store w = 0 as ({zero.upper().replace('_', ', ')})." if zero else "")
            + _disturb(found, device),
        ),
        tag("div", *parts, class_="plots"),
    )


def _disturb(found: LookupTable, device: Record) -> str:
    """How likely such a read is to flip an MTJ: the record's figure, else the table's worst."""
    sequence, worst = device.get("disturb"), device.get("read_disturb")
    if sequence:
        return (
            f" The {sequence['reads']} reads of a pass, one each {setting(sequence['period'], 's')} and each "
            "from the state the last one left, flip an MTJ of a cell with a probability of at most "
            f"{chance(sequence['first_pass'])}, and each further read of a long sequence, that before an "
            f"update too, with {chance(sequence['further_read'])} (Fokker-Planck); what reads do to cells "
            "that share their lines is left out."
        )
    if worst is None and "p_disturb" not in found.quantities:
        return ""
    if worst is None:
        worst = _worst_disturb(found, device)
    return f" One read flips an MTJ with a probability of at most {chance(worst)} (Fokker-Planck)."


def _worst_disturb(found: LookupTable, device: Record) -> float:
    """The table's read disturb at the operating point, the worst over states and activations."""
    return max(
        float(
            found.read(
                "p_disturb",
                state=state,
                activation=activation,
                v_read=device["v_read"],
                t_read=device["t_read"],
            )
        )
        for state in map(str, found.data["state"].values)
        for activation in map(str, found.data["activation"].values)
    )


def _read(found: LookupTable, quantity: str, unit: str, device: Record, state: str, activation: str) -> str:
    at = {"state": state, "activation": activation, "v_read": device["v_read"], "t_read": device["t_read"]}
    axes = {str(axis) for axis in found.data[quantity].dims}
    if not axes <= set(at):
        return ""
    return si(float(found.read(quantity, **{key: at[key] for key in axes})), unit)


def parameters(tables: Sequence[LookupTable]) -> Html | None:
    """Device and cell values of the tables, each with its unit and source."""
    groups: dict[str, tuple[list[str], Mapping[str, Any], Mapping[str, Any]]] = {}
    for each in tables:
        values, cell = (_section(each.lineage.get(key)) for key in ("parameters", "cell"))
        values = {name: value for name, value in values.items() if set(_section(value)) >= _PARAMETER}
        if values or cell:
            same = repr((sorted(values.items()), sorted(cell.items())))
            groups.setdefault(same, ([], values, cell))[0].append(each.name)
    if not groups:
        return None
    return section("Device parameters", *(part for group in groups.values() for part in _group(*group)))


def _section(held: object) -> Mapping[str, Any]:
    """A part of a lineage; empty where a table made by hand holds something else."""
    return held if isinstance(held, Mapping) else {}


def _group(names: Sequence[str], values: Mapping[str, Any], cell: Mapping[str, Any]) -> Iterator[Html]:
    yield tag("h3", f"Tables {' and '.join(names)}" if len(names) > 1 else f"Table {names[0]}")
    if values:
        assumed = sum(str(each["source"]).startswith("assumed") for each in values.values())
        yield tag("p", f"{assumed} of the {len(values)} device parameters are assumed; each says so.")
        rows = ((key, f"{each['value']:g}", each["unit"], each["source"]) for key, each in values.items())
        yield table(("parameter", "value", "unit", "source"), rows, numbers=(1,), label="Device parameters")
    if cell:
        said = ", ".join(f"{key} {_cell_value(key, value)}" for key, value in cell.items())
        yield tag("p", f"Cell: {said}.", class_="quiet")


def _cell_value(key: str, value: object) -> str:
    unit = CELL_UNITS.get(key)
    if unit is None or not isinstance(value, int | float):
        return str(value)
    return f"{value:g} K" if unit == "K" else setting(value, unit)


def lineage(chain: Sequence[Link]) -> Html | None:
    """Every headline figure down to its decks."""
    if not chain:
        return None
    return section(
        "Lineage",
        tag("p", "What each figure came from, down to the decks by content digest."),
        tag("ul", *(tag("li", tag("h3", link.name), _branch(link)) for link in chain), class_="chain"),
    )


def _branch(link: Link) -> Html:
    facts = [tag("span", fact, class_="fact") for fact in link.facts]
    decks = [source for source in link.sources if source.what == "deck"]
    items = [tag("li", _source(source)) for source in link.sources if source.what != "deck"]
    if decks:
        listing = tag("ul", *(tag("li", each.name, _branch(each), class_="digest") for each in decks))
        title = f"{len(decks)} decks" if len(decks) > 1 else "1 deck"
        items.append(tag("li", tag("details", tag("summary", title), listing)))
    return join([*facts, tag("ul", *items, class_="chain") if items else None])


def _source(link: Link) -> Html:
    """A link below a figure; a table's many sources are folded away."""
    named = join([tag("span", link.what, class_="what"), " ", tag("strong", link.name)])
    if link.what == "table" and link.sources:
        return tag("details", tag("summary", named), _branch(link))
    return join([named, _branch(link)])
