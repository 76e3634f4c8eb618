"""The elements that an experiment's tables are of: device, transistors, supply; the same in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isclose
from typing import Any

from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable

NETLIST = "netlist"  # procedure of tables of a user's own netlists
_SAID = 3  # differences named one by one
_NAMES = {"mtj": "device parameter set", "device": "device parameter set", "card": "transistor card"}


@dataclass(frozen=True)
class Mixed:
    """An element that two tables have with different values.

    Attributes:
        element: its name.
        one, other: the tables' names.
        of_one, of_other: its values there, as text with units where they are known.
    """

    element: str
    one: str
    other: str
    of_one: str
    of_other: str

    def __str__(self) -> str:
        return f"{self.element} is {self.of_one} in {self.one} and {self.of_other} in {self.other}"


def mixed_elements(tables: Sequence[LookupTable]) -> list[Mixed]:
    """Elements that tables share with different values.

    What tables say of their cells is compared name by name, so that different cells of the same elements
    belong together. What only one of two tables tells is not compared.
    """
    return [
        Mixed(name, one.name, other.name, _text(theirs[0]), _text(theirs[1]))
        for one, other in combinations(tables, 2)
        for name, theirs in _shared(one, other)
        if not _same(*theirs)
    ]


def unknown_elements(tables: Sequence[LookupTable]) -> list[str]:
    """Names of the tables that say nothing of what their cell is made of, if there is one to compare with."""
    silent = [table.name for table in tables if not _elements(table)]
    return silent if len(tables) > 1 else []


def refuse_mixed(tables: Sequence[LookupTable], *, allowed: bool) -> None:
    """Refuse tables of different elements, unless they were asked for.

    Raises:
        SpicebridgeError: two tables share an element with different values.
    """
    found = mixed_elements(tables)
    if not found or allowed:
        return
    more = f"; and {len(found) - _SAID} more" if len(found) > _SAID else ""
    raise SpicebridgeError(
        f"the tables are not of one cell: {'; '.join(map(str, found[:_SAID]))}{more}. Characterise all of "
        "them with the same values, and name them all in the experiment; or, if they are to be mixed, set "
        "allow_mixed_elements=true, and the report says so."
    )


def _shared(one: LookupTable, other: LookupTable) -> Iterator[tuple[str, tuple[Any, Any]]]:
    both = _elements(one), _elements(other)
    for key in both[0]:
        if key in both[1]:
            kind, name = key
            yield _NAMES.get(name, name) if kind == "cell" else name, (both[0][key], both[1][key])


def _elements(table: LookupTable) -> dict[tuple[str, str], Any]:
    """What a table's lineage holds of its elements, by kind and name; empty if it does not say.

    The settings of the cell, the device's parameters, and transistor cards by the digest of their content. A
    user's own netlist has its fixed parameters instead of a cell; their names mean something beside those of
    another netlist only.
    """
    lineage = table.lineage
    kind = "netlist" if lineage.get("procedure") == NETLIST else "device"
    found: dict[tuple[str, str], Any] = {("cell", name): value for name, value in _held(lineage, "cell")}
    for name, each in _held(lineage, "parameters"):
        if isinstance(each, Mapping) and "value" in each:
            found[kind, name] = (each["value"], each.get("unit", "1"))
    for name, digest in _held(lineage, "netlists"):
        if name.startswith("transistors/"):
            found["file", f"the content of {name}"] = f"digest {str(digest)[:12]}"
    return found


def _held(lineage: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    section = lineage.get(key)
    if isinstance(section, Mapping):
        yield from section.items()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        number, unit = value
        return _text(number) if unit in ("", "1") else f"{_text(number)} {unit}"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
