"""A table for people: description and text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spicebridge.project import results_folder
from spicebridge.settings import listed
from spicebridge.table import LookupTable, TableError, is_labels

if TYPE_CHECKING:
    import xarray as xr

_PREFIXES = (
    (1e-18, "a"),
    (1e-15, "f"),
    (1e-12, "p"),
    (1e-9, "n"),
    (1e-6, "u"),
    (1e-3, "m"),
    (1.0, ""),
    (1e3, "k"),
    (1e6, "M"),
    (1e9, "G"),
)
# Units that take one. Another, such as kilohm, degC or m^2, has a prefix already, or would mean another
# size with one.
_PREFIXED = frozenset({
    "A", "C", "F", "H", "Hz", "J", "K", "Ohm", "Pa", "S", "T", "V", "W", "Wb", "bit", "eV", "m", "mol", "ohm",
    "rad", "s", "Ω",
})  # fmt: skip
_UNIT = re.compile(r"([^\W\d_]+)(?:[/*·. ]|$)")
_HOLES = 10  # told one by one
_MOST_FIGURES = 15  # beyond the first three: all that a float has


def describe(table: LookupTable) -> dict[str, Any]:
    """What a table holds, JSON-like: ``axes``, ``quantities`` with units and ranges, ``digest``, ``samples``.

    ``samples`` counts the stochastic devices simulated, ``simulations`` the decks (None if not known).
    """
    return {
        "table": table.name,
        "digest": table.digest,
        "axes": {
            axis: {
                "units": table.data[axis].attrs.get("units", ""),
                "values": table.data[axis].values.tolist(),
            }
            for axis in table.axes
        },
        "quantities": {
            name: {
                "units": table.data[name].attrs.get("units", ""),
                "long_name": table.data[name].attrs.get("long_name", name),
                "axes": [str(axis) for axis in table.data[name].dims],
                "min": _number(table.data[name].min()),
                "max": _number(table.data[name].max()),
            }
            for name in table.quantities
        },
        "samples": table.lineage.get("samples", 0),
        "simulations": _simulations(table),
        "size": table.lineage.get("size"),
        "engine": table.origin.get("ngspice"),
    }


def _joined(rows: Sequence[str]) -> str:
    """Rows as lines: a name that holds a line feed makes no line of its own."""
    return "\n".join(row.replace("\n", " ") for row in rows)


def _simulations(table: LookupTable) -> int | None:
    """How many decks were run for a table; None where its lineage does not tell, as of one made in Python."""
    decks = table.lineage.get("decks")
    known: int | None = table.lineage.get("simulations", len(decks) if isinstance(decks, Mapping) else None)
    return known


def table_text(table: LookupTable) -> str:
    """A table in a few lines: its axes with their ends, its quantities with their ranges."""
    told = describe(table)
    size = f"{told['size']} size, " if told["size"] else ""
    engine = told["engine"] or "not made by a sweep of this project"
    rows = [f"{table.name}   digest {told['digest'][:12]}   {size}{engine}"]
    devices = f", {told['samples']} stochastic devices" if size else ""
    if told["simulations"] is not None:
        rows.append(f"{told['simulations']} simulations{devices}")
    if table.holes:
        rows.append(_holes(table))
    if expected := _expected(table):
        rows.append(expected)
    rows.append("axes")
    for name, axis in told["axes"].items():
        values, unit = axis["values"], axis["units"]
        if isinstance(values[0], str):
            rows.append(f"  {name:<18} {', '.join(values)}")
        else:
            heads = axis_texts(values, unit)
            labels = ", labels" if is_labels(table.data[name]) else ""
            rows.append(f"  {name:<18} {heads[0]} to {heads[-1]}, {len(values)} values{labels}")
    rows.append("quantities")
    for name, each in told["quantities"].items():
        span = f"{with_unit(each['min'], each['units'])} to {with_unit(each['max'], each['units'])}"
        rows.append(f"  {name:<18} {span:<28} {each['long_name']}")
    return _joined(rows)


def holes_text(table: LookupTable) -> str:
    """The points without a value, a line each, the first ones of many; and where their decks are."""
    rows = [f"{table.name}: {_holes(table)}"]
    for hole in table.holes[:_HOLES]:
        where = ", ".join(f"{key}={_plain(value)}" for key, value in hole.get("at", {}).items())
        deck = f" ({hole['deck'][:12]}.cir)" if "deck" in hole else ""
        rows.append(f"  {where}: {hole.get('why', 'no reason given')}{deck}")
    if len(table.holes) > _HOLES:
        rows.append(f"  and {len(table.holes) - _HOLES} more: spicebridge trace {table.name} --json")
    rows.append(f"Decks kept, with the logs of simulations that failed: {results_folder() / 'failed'}")
    return _joined(rows)


def _expected(table: LookupTable) -> str:
    """How many points lack a value as their sweep expected, and of what; empty if none does."""
    points = table.expected_holes
    if not points:
        return ""
    names = sorted({name for each in points for name in each["measures"]})
    return f"{len(points)} point{'s' if len(points) > 1 else ''} without {', '.join(names)}, as expected"


def _holes(table: LookupTable) -> str:
    return f"{len(table.holes)} point{'s' if len(table.holes) > 1 else ''} without a value"


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def quantity_text(table: LookupTable, quantity: str) -> str:
    """One quantity's values, a row for each point of all axes but the last; long axes are thinned."""
    variable = variable_of(table, quantity)
    unit = variable.attrs.get("units", "")
    last = variable.dims[-1] if variable.dims else None
    rows = [f"{table.name}.{quantity} [{unit}]: {variable.attrs.get('long_name', quantity)}"]
    if last is None:
        return f"{rows[0]}\n{with_unit(float(variable), unit)}"
    axis = variable[last].values
    picked = np.unique(np.linspace(0, len(axis) - 1, min(len(axis), 8)).round().astype(int))
    named = axis_texts(axis.tolist(), table.data[last].attrs.get("units", ""))
    heads = [named[index] for index in picked]
    rows.append(f"{last!s:>30} " + " ".join(f"{head:>10}" for head in heads))
    for outer in np.ndindex(variable.shape[:-1]):
        values = variable.values[outer]
        told = " ".join(f"{with_unit(values[index], unit):>10}" for index in picked)
        rows.append(f"{point_label(table, variable, outer):>30} {told}")
    return _joined(rows)


def point_label(table: LookupTable, variable: xr.DataArray, at: tuple[int, ...]) -> str:
    """A point of the variable's first axes in words."""
    return ", ".join(
        _among_neighbours(variable[dim].values, index, table.data[dim].attrs.get("units", ""))
        for dim, index in zip(variable.dims, at, strict=False)
    )


def _among_neighbours(values: NDArray[Any], index: int, unit: str) -> str:
    """One value of an axis, told apart from the ones beside it."""
    first = max(index - 1, 0)
    return axis_texts(values[first : index + 2].tolist(), unit)[index - first]


def axis_texts(values: Sequence[float | str], unit: str) -> list[str]:
    """An axis' values for people, with as many figures as it takes to tell neighbours apart."""
    if unit in ("", "1") and all(not isinstance(each, str) and each == round(each) for each in values):
        return [f"{each:.15g}" for each in values]  # seeds and counts are whole
    for more in range(_MOST_FIGURES):
        told = [each if isinstance(each, str) else with_unit(each, unit, more=more) for each in values]
        if all(one != other for one, other in pairwise(told)):
            break
    return told


def with_unit(value: float | None, unit: str, *, more: int = 0) -> str:
    """A value to three figures with an SI prefix: ``52.3 fJ``; where none fits the unit, to four as it is.

    ``more`` is a number of further figures.
    """
    if value is None or not math.isfinite(value):
        return "none"
    if unit in ("", "1", "%"):
        return f"{value:.{4 + more}g}{'' if unit != '%' else ' %'}"
    if value == 0:
        return f"0 {unit}"
    if not ((leading := _UNIT.match(unit)) and leading[1] in _PREFIXED):
        return f"{value:.{4 + more}g} {unit}"
    scale, prefix = next(
        ((scale, prefix) for scale, prefix in reversed(_PREFIXES) if abs(value) >= scale * 0.9995),
        _PREFIXES[0],
    )
    return f"{value / scale:.{3 + more}g} {prefix}{unit}"


def measures_text(measures: Mapping[str, float]) -> str:
    """Results of ``.meas`` lines, one a line."""
    return "\n".join(f"  {name:<16} {value:.6g}" for name, value in measures.items())


def variable_of(table: LookupTable, quantity: str) -> xr.DataArray:
    """The quantity with its axes.

    Raises:
        TableError: the table has none of this name.
    """
    if quantity not in table.quantities:
        raise TableError(
            f"table {table.name} has no quantity {quantity!r}. It has: {listed(table.quantities)}."
        )
    return table.data[quantity]


def _number(value: xr.DataArray) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
