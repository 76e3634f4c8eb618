"""From a definition to a table: the procedure run, the lineage written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from characterization import netlist
from characterization.definition import Definition, DefinitionError, cell_kind
from characterization.netlist_sweep import NetlistDefinition
from circuits.cell import make_settings
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import netlist_digest
from spicebridge.parameters import read_parameter_set
from spicebridge.project import netlists_folder
from spicebridge.settings import listed
from spicebridge.sweep import Ran, Runs
from spicebridge.table import LookupTable, TableError

if TYPE_CHECKING:
    import xarray as xr

# Each is a module here of that name, imported when it is asked for: most take a good part of SciPy along.
PROCEDURES = ("array_read", "array_write", "mtj_write", "pair_read", "pcm_reset", "pcm_set", "synapse_read")


def make_table(definition: Definition[Any] | NetlistDefinition, engine: Runs) -> LookupTable:
    """Characterise: simulate what is missing and assemble the table, NaN where a simulation failed.

    Raises:
        DefinitionError: an unknown procedure or setting.
        SpicebridgeError: what is kept between runs cannot be written, or there is not one value.
    """
    if isinstance(definition, NetlistDefinition):
        data, lineage = netlist.characterize(definition, engine)
    else:
        data, lineage = _characterize(definition, engine)
    return LookupTable(
        data=data, name=definition.name, lineage=lineage, origin=_origin(definition, engine.version)
    )


def _origin(definition: Definition[Any] | NetlistDefinition, engine: str) -> dict[str, Any]:
    limit = definition.time_limit if isinstance(definition, NetlistDefinition) else None
    return {
        "ngspice": engine,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": {name: version(name) for name in ("numpy", "scipy", "xarray", "PySpice")},
    } | ({} if limit is None else {"time_limit": limit})


def _characterize(definition: Definition[Any], engine: Runs) -> tuple[xr.Dataset, dict[str, Any]]:
    if definition.procedure not in PROCEDURES:
        raise DefinitionError(
            f"{definition.name} asks for procedure {definition.procedure!r}. "
            f"There are: {', '.join(PROCEDURES)}."
        )
    module = import_module(f"characterization.{definition.procedure}")
    characterize: Callable[[Definition[Any], Runs], tuple[xr.Dataset, list[Ran]]] = module.characterize
    netlists = _netlists(definition)
    data, ran = characterize(definition, engine)
    if changed := [name for name, digest in _netlists(definition).items() if digest != netlists[name]]:
        raise SpicebridgeError(
            f"{listed(changed)} changed while {definition.name} was swept: some values are of each. "
            "What had finished is kept: the same command simulates what the change touches."
        )
    return data, _lineage(definition, data, ran) | {"netlists": netlists}


def _netlists(definition: Definition[Any]) -> dict[str, str]:
    """The digests of the files that decks are made of when each is needed; empty for one that is missing."""
    files = {file: netlists_folder() / file for file in definition.cell.files}
    return {name: netlist_digest(file) if file.is_file() else "" for name, file in files.items()}


def _lineage(definition: Definition[Any], data: xr.Dataset, ran: list[Ran]) -> dict[str, Any]:
    """What the values came from: settings, every deck and model by digest, device parameters with sources."""
    cell = definition.cell
    parameters = read_parameter_set(netlists_folder() / cell.parameter_set)
    decks = [each.unit.deck for each in ran]
    lineage: dict[str, Any] = {
        "procedure": definition.procedure,
        "size": definition.size,
        "samples": _samples(data),
        "cell": asdict(cell),
        "sweep": dict(definition.sweep),
        "decks": dict(sorted({(deck.digest, deck.name) for deck in decks})),
        "models": dict(sorted({(each.module, each.digest) for deck in decks for each in deck.models})),
        "parameters": {name: asdict(each) for name, each in parameters.items()},
    }
    # Only where there are any: a table without keeps the digest it always had.
    if failed := [
        {"at": _at(each), "deck": each.unit.deck.digest, "why": each.outcome.failure.reason}
        for each in ran
        if each.outcome.failure is not None
    ]:
        lineage["failed"] = failed
    if aids := [{"at": _at(each), "aid": each.outcome.aid} for each in ran if each.outcome.aid is not None]:
        lineage["aids"] = aids
    return lineage


def _samples(data: xr.Dataset) -> int:
    """How many stochastic devices were simulated."""
    if "n_devices" in data:
        return int(data["n_devices"].sum())
    return int(data["n_samples"].max("t_pulse").sum()) if "n_samples" in data else 0


def _at(ran: Ran) -> dict[str, float | str]:
    """Which point a simulation was for: its deck's name and the single values it was measured with."""
    single = {
        name: value for name, value in ran.unit.arguments.items() if isinstance(value, int | float | str)
    }
    return {"deck": ran.unit.deck.name, **single}


def definition_of(table: LookupTable, *, trust: bool = False) -> Definition[Any] | NetlistDefinition:
    """The definition that a table was made from, as its lineage holds it.

    Args:
        table: the table.
        trust: whether a netlist's base decks may run commands and read any file.

    Raises:
        DeckError: a netlist's base deck is no longer kept on this machine.
        TableError: the lineage does not say how the table was made, as of one made in Python.
    """
    lineage = table.lineage
    if lineage.get("procedure") == NetlistDefinition.procedure:
        _require(
            table,
            {"axes": Mapping, "base_decks": list, "parameters": Mapping, "netlists": Mapping, "batch": int},
        )
        try:
            return netlist.definition_of(table, trust=trust)
        except (KeyError, TypeError, AttributeError) as error:
            raise TableError(
                f"table {table.name} cannot be simulated again: its lineage is not whole ({error} is missing "
                "or is something else). Its values stand as they are."
            ) from error
    _require(table, {"procedure": str, "cell": Mapping, "sweep": Mapping, "size": str})
    return Definition(
        name=table.name,
        procedure=lineage["procedure"],
        about="",
        cell=make_settings(cell_kind(lineage["procedure"]), lineage["cell"]),
        sweep=lineage["sweep"],
        size=lineage["size"],
    )


def _require(table: LookupTable, parts: Mapping[str, type]) -> None:
    """Refuse a lineage without the parts that its decks are made from."""
    lacking = [key for key, kind in parts.items() if not isinstance(table.lineage.get(key), kind)]
    if lacking:
        raise TableError(
            f"table {table.name} cannot be simulated again: its lineage does not say how it was made "
            f"(it lacks {', '.join(lacking)}), as of a table made in Python. Its values stand as they are."
        )
