"""Lineage: from a report's figures back to the decks, models and sources they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spicebridge.netlist import netlist_digest
from spicebridge.table import LookupTable

# Parts of a lineage that are told as links, or as notes.
_LINKED = ("netlists", "models", "parameters", "decks", "failed", "aids")


@dataclass(frozen=True)
class Link:
    """One step of a chain, and what it was made from.

    Attributes:
        what: its kind: ``figure``, ``run``, ``table``, ``deck``, ``model``, ``netlist``, ``parameter``.
        name: which one.
        facts: what is worth saying of it, in order.
        sources: what it came from.
    """

    what: str
    name: str
    facts: tuple[str, ...] = ()
    sources: tuple[Link, ...] = ()


def chain(record: Mapping[str, Any], tables: Mapping[str, LookupTable], netlists: Path) -> tuple[Link, ...]:
    """The lineage of a run record's headline figures, those of the arms that were trained.

    A TOPS/W figure comes from the tables that its ledger's entries are stamped with.

    Args:
        record: as ``record.json`` holds it.
        tables: the tables at hand by digest; one the record names and that is missing is said to be.
        netlists: the folder that the tables' netlist digests are compared with.
    """
    links = {
        named["digest"]: _table_link(tables[named["digest"]], netlists)
        if named["digest"] in tables
        else Link(
            "table",
            named["name"],
            (f"digest {named['digest']}", "not here: made elsewhere, or made anew since"),
        )
        for named in record["tables"]
    }
    run = _run_link(record)
    figures = []
    if record.get("accuracy") is not None:
        figures.append(Link("figure", f"accuracy {record['accuracy']:.2f} %", sources=(run, *links.values())))
    for block, label in (("feedforward", "feed-forward"), ("update", "update")):
        if record.get(block):
            stamped = dict.fromkeys(entry["source"]["digest"] for entry in record["ledgers"][block])
            figures.append(
                Link(
                    "figure",
                    f"{label} {record[block]['tops_per_watt']:.4g} TOPS/W",
                    (f"{len(record['ledgers'][block])} ledger entries, stamped with these tables",),
                    (run, *(links[digest] for digest in stamped if digest in links)),
                )
            )
    if record.get("write"):
        stamped = dict.fromkeys(entry["source"]["digest"] for entry in record["ledgers"]["write"])
        figures.append(
            Link(
                "figure",
                f"writing {record['write']['energy_per_solution']:.4g} J a solution",
                (f"{len(record['ledgers']['write'])} ledger entries, stamped with these tables",),
                (run, *(links[digest] for digest in stamped if digest in links)),
            )
        )
    if record.get("energy"):
        lines = record["energy"]["ledgers"]["training"]
        stamped = dict.fromkeys(entry["source"]["digest"] for entry in lines)
        figures.append(
            Link(
                "figure",
                f"{record['energy']['per_image']['total']:.4g} J a training image",
                (f"{len(lines)} ledger entries, stamped with these tables or with citations",),
                (run, *(links[digest] for digest in stamped if digest in links)),
            )
        )
    return tuple(figures)


def _seeds_text(seeds: Sequence[int]) -> str:
    """Seeds as a list, or as a range where they count up."""
    if len(seeds) > 5 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _run_link(record: Mapping[str, Any]) -> Link:
    circumstances, data = record.get("circumstances", {}), record["data"]
    return Link(
        "run",
        record["experiment"],
        (
            f"seeds {_seeds_text(record['seeds'])}",
            f"data {data['name']}, SHA-256 {data['checksum']}, {data['split']}",
            *([f"weights, SHA-256 {record['weights']['digest']}"] if "weights" in record else []),
            f"git {circumstances.get('revision') or 'unknown'}",
        ),
    )


def table_chain(table: LookupTable, netlists: Path) -> Link:
    """The lineage of a table alone."""
    return _table_link(table, netlists)


def changed_netlists(table: LookupTable, netlists: Path) -> list[str]:
    """Files that no longer are what the table was made from; those of a user's own netlist lie elsewhere."""
    recorded = {} if _is_users_own(table.lineage) else _section(table.lineage, "netlists")
    return [
        file
        for file, digest in recorded.items()
        if not (netlists / file).is_file() or netlist_digest(netlists / file) != digest
    ]


def _table_link(table: LookupTable, netlists: Path) -> Link:
    lineage, origin = table.lineage, table.origin
    changed = changed_netlists(table, netlists)
    files = tuple(
        Link(
            "netlist",
            file,
            (f"digest {digest}", *(["changed since this table was made"] if file in changed else [])),
        )
        for file, digest in _section(lineage, "netlists").items()
    )
    models = tuple(
        Link("model", module, (f"Verilog-A source digest {digest}",))
        for module, digest in _section(lineage, "models").items()
    )
    parameters = tuple(_parameter_link(name, each) for name, each in _section(lineage, "parameters").items())
    decks = tuple(
        Link("deck", str(name), (f"digest {digest}",)) for digest, name in _section(lineage, "decks").items()
    )
    made = f"{origin.get('ngspice') or 'unknown engine'}, made {origin.get('made') or 'at an unknown time'}"
    facts = _facts_of_netlist(lineage, made) if _is_users_own(lineage) else _facts(lineage, made)
    return Link(
        "table",
        table.name,
        (f"digest {table.digest}", *facts, *_notes(table), *_expected_holes(table)),
        (*parameters, *models, *files, *decks),
    )


def _section(lineage: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a lineage; empty where a table made by hand holds none, or something else."""
    section = lineage.get(key)
    return section if isinstance(section, Mapping) else {}


def _parameter_link(name: str, each: Any) -> Link:
    known = each if isinstance(each, Mapping) else {"value": each}
    value, unit = known.get("value"), known.get("unit", "1")
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    said = f"{name} = {number} {'' if unit == '1' else unit}".rstrip()
    return Link("parameter", said, (str(known.get("source", "no source given")),))


def _notes(table: LookupTable) -> Iterator[str]:
    """What is to say of single points: those without a value, those that needed an aid to converge."""
    for points, words, about in (
        (table.holes, "without a value", "why"),
        (table.aids, "with convergence aids", "aid"),
    ):
        if points:
            first = points[0]
            where = _settings_text(_section(first, "at")) or "a point that is not named"
            why = first.get(about, "no reason given")
            yield f"points {words}: {len(points)}, the first at {where}: {why}"


def _expected_holes(table: LookupTable) -> Iterator[str]:
    if points := table.expected_holes:
        first = points[0]
        where = _settings_text(_section(first, "at")) or "a point that is not named"
        names = ", ".join(first["measures"]) or "measures that are not named"
        yield f"points that lack a value as expected: {len(points)}, the first at {where}: {names}"


def _facts(lineage: Mapping[str, Any], made: str) -> tuple[str, ...]:
    if "procedure" not in lineage:
        known = {key: value for key, value in lineage.items() if key not in _LINKED}
        return (
            "not made by a sweep of this project: without its decks it cannot be replayed or verified",
            *([f"its lineage: {_settings_text(known)}"] if known else []),
        )
    return (
        f"procedure {lineage['procedure']}, {lineage.get('size') or 'unknown'} size, {made}",
        *(
            f"{key} (SI units) {_settings_text(said)}" if said else f"{key} is not told"
            for key in ("cell", "sweep")
            for said in (_section(lineage, key),)
        ),
    )


def _facts_of_netlist(lineage: Mapping[str, Any], made: str) -> tuple[str, ...]:
    batch = lineage.get("batch", 1)
    shared = "" if batch == 1 else f", {batch} points a deck"
    measures = _section(lineage, "measures")
    return (
        f"netlist of the user's own, {lineage.get('simulations', 'unknown')} simulations{shared}, {made}",
        "axes " + (_settings_text(_section(lineage, "axes")) or "are not told"),
        "measures " + (", ".join(f"{name} {unit}" for name, unit in measures.items()) or "are not told"),
        "decks below: each point's is one of them with the point's values",
    )


def _is_users_own(lineage: Mapping[str, Any]) -> bool:
    return lineage.get("procedure") == "netlist"


def chain_text(links: Sequence[Link], *, decks: int = 4) -> str:
    """Chains as indented text: what several figures share is told once, of many decks the first few."""
    told: set[str] = set()
    lines = (line for link in links for line in _lines(link, 0, decks, told))
    return "\n".join(line.replace("\n", " ") for line in lines)


def _lines(link: Link, depth: int, decks: int, told: set[str]) -> Iterator[str]:
    indent = "  " * depth
    if link.what in ("table", "run"):
        if link.name in told:
            yield f"{indent}{link.what} {link.name} (as above)"
            return
        told.add(link.name)
    yield f"{indent}{link.what} {link.name}"
    for fact in link.facts:
        yield f"{indent}    {fact}"
    some = [source for source in link.sources if source.what != "deck"]
    many = [source for source in link.sources if source.what == "deck"]
    for source in [*some, *many[:decks]]:
        yield from _lines(source, depth + 1, decks, told)
    if len(many) > decks:
        yield f"{indent}  and {len(many) - decks} decks more"


def _settings_text(settings: Mapping[str, Any]) -> str:
    def said(value: Any) -> str:
        if isinstance(value, Mapping):
            return " ".join(f"{key} {said(inner)}" for key, inner in value.items())
        if isinstance(value, Sequence) and not isinstance(value, str):
            return "[" + " ".join(said(inner) for inner in value) + "]"
        return f"{value:.12g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{key} {said(value)}" for key, value in settings.items())
