"""Lineage: from a report's figures back to the decks, models and sources they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spicebridge.table import LookupTable


@dataclass(frozen=True)
class Link:
    """One step of a chain, and what it was made from.

    Attributes:
        what: the kind of thing: ``figure``, ``run``, ``table``, ``deck``, ``model``, ``netlist``, ``parameter``.
        name: which one.
        facts: what is worth saying of it, in order.
        sources: what it came from.
    """

    what: str
    name: str
    facts: tuple[str, ...] = ()
    sources: tuple[Link, ...] = ()


def chain(record: Mapping[str, Any], tables: Mapping[str, LookupTable], netlists: Path) -> tuple[Link, ...]:
    """The lineage of a run record's headline figures.

    Args:
        record: as ``record.json`` holds it.
        tables: the tables at hand by digest; one the record names and that is missing is said to be.
        netlists: the folder that the tables' netlist digests are compared with.
    """
    seen = tuple(
        _table_link(tables[named["digest"]], netlists)
        if named["digest"] in tables
        else Link(
            "table",
            named["name"],
            (f"digest {named['digest']}", "not here: made elsewhere or made anew since"),
        )
        for named in record["tables"]
    )
    write, read = seen
    circumstances = record.get("circumstances", {})
    data = record["data"]
    run = Link(
        "run",
        record["experiment"],
        (
            f"seeds {', '.join(map(str, record['seeds']))}",
            f"data {data['name']}, SHA-256 {data['checksum']}, {data['split']}",
            f"git {circumstances.get('revision') or 'unknown'}",
        ),
    )
    figures = [
        Link("figure", f"accuracy {record['accuracy']:.2f} %", sources=(_with(run, seen),)),
        Link(
            "figure",
            f"feed-forward {record['feedforward']['tops_per_watt']:.4g} TOPS/W",
            ("states and activations of the trained networks",),
            (_with(run, ()), read),
        ),
        Link(
            "figure",
            f"update {record['update']['tops_per_watt']:.4g} TOPS/W",
            ("reads and pulses of the training",),
            (_with(run, ()), write, read),
        ),
    ]
    return tuple(figures)


def _with(link: Link, sources: tuple[Link, ...]) -> Link:
    return Link(link.what, link.name, link.facts, sources)


def table_chain(table: LookupTable, netlists: Path) -> Link:
    """The lineage of a table alone."""
    return _table_link(table, netlists)


def changed_netlists(table: LookupTable, netlists: Path) -> list[str]:
    """Files that no longer are what the table was made from."""
    recorded = table.lineage.get("netlists", {})
    return [file for file, digest in recorded.items() if _digest(netlists / file) != digest]


def _table_link(table: LookupTable, netlists: Path) -> Link:
    lineage, origin = table.lineage, table.origin
    changed = changed_netlists(table, netlists)
    files = tuple(
        Link(
            "netlist",
            file,
            (f"SHA-256 {digest}", *(["changed since this table was made"] if file in changed else [])),
        )
        for file, digest in lineage.get("netlists", {}).items()
    )
    models = tuple(
        Link("model", module, (f"Verilog-A source digest {digest}",))
        for module, digest in lineage.get("models", {}).items()
    )
    parameters = tuple(
        Link(
            "parameter",
            f"{name} = {each['value']:g} {'' if each['unit'] == '1' else each['unit']}".rstrip(),
            (each["source"],),
        )
        for name, each in lineage.get("parameters", {}).items()
    )
    decks = tuple(Link("deck", digest) for digest in lineage.get("decks", ()))
    return Link(
        "table",
        table.name,
        (
            f"digest {table.digest}",
            f"procedure {lineage.get('procedure')}, {lineage.get('size')} size, {origin.get('ngspice')}, made {origin.get('made')}",
            "cell " + ", ".join(f"{key} {value}" for key, value in lineage.get("cell", {}).items()),
            "sweep " + ", ".join(f"{key} {value}" for key, value in lineage.get("sweep", {}).items()),
        ),
        (*parameters, *models, *files, *decks),
    )


def lines(link: Link, *, depth: int = 0, decks: int = 4) -> Iterator[str]:
    """A chain as indented text; of many decks the first few, and how many more there are."""
    indent = "  " * depth
    yield f"{indent}{link.what} {link.name}"
    for fact in link.facts:
        yield f"{indent}    {fact}"
    shown = 0
    for source in link.sources:
        if source.what == "deck":
            shown += 1
            if shown > decks:
                continue
        yield from lines(source, depth=depth + 1, decks=decks)
    if shown > decks:
        yield f"{indent}  and {shown - decks} decks more"


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
