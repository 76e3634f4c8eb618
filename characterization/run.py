"""From a definition to a table: the procedure run, the lineage written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import xarray as xr

from characterization import mtj_write, synapse_read
from characterization.definition import Definition, DefinitionError
from circuits.cell import make_cell
from spicebridge.deck import netlist_digest
from spicebridge.parameters import read_parameter_set
from spicebridge.project import netlists_folder
from spicebridge.sweep import Engine, Unit
from spicebridge.table import LookupTable

PROCEDURES: dict[str, Callable[[Definition, Engine], tuple[xr.Dataset, list[Unit]]]] = {
    "mtj_write": mtj_write.characterize,
    "synapse_read": synapse_read.characterize,
}


def make_table(definition: Definition, engine: Engine) -> LookupTable:
    """Characterise: simulate what is missing and assemble the table.

    Raises:
        DefinitionError: an unknown procedure or setting.
        SpicebridgeError: some simulations failed.
    """
    if definition.procedure not in PROCEDURES:
        raise DefinitionError(
            f"{definition.name} asks for procedure {definition.procedure!r}. "
            f"There are: {', '.join(PROCEDURES)}."
        )
    data, units = PROCEDURES[definition.procedure](definition, engine)
    return LookupTable(
        data=data,
        name=definition.name,
        lineage=_lineage(definition, data, units),
        origin={
            "ngspice": engine.version,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "packages": {name: version(name) for name in ("numpy", "scipy", "xarray", "PySpice")},
        },
    )


def _lineage(definition: Definition, data: xr.Dataset, units: list[Unit]) -> dict[str, Any]:
    """What the values came from: settings, every deck and model by digest, device parameters with sources."""
    cell = definition.cell
    parameters = read_parameter_set(netlists_folder() / "devices" / f"{cell.mtj}.lib")
    files = [f"devices/{cell.mtj}.lib", f"transistors/{cell.card}.lib", "cells.lib", "devices/stt_mtj.va"]
    return {
        "procedure": definition.procedure,
        "size": definition.size,
        "samples": int(data["n_samples"].max("t_pulse").sum()) if "n_samples" in data else 0,
        "cell": asdict(cell),
        "sweep": dict(definition.sweep),
        "decks": dict(sorted({(unit.deck.digest, unit.deck.name) for unit in units})),
        "models": dict(sorted({(each.module, each.digest) for unit in units for each in unit.deck.models})),
        "netlists": {file: netlist_digest(netlists_folder() / file) for file in files},
        "parameters": {name: asdict(each) for name, each in parameters.items()},
    }


def definition_of(table: LookupTable) -> Definition:
    """The definition that a table was made from, as its lineage holds it."""
    lineage = table.lineage
    return Definition(
        name=table.name,
        procedure=lineage["procedure"],
        about="",
        cell=make_cell(lineage["cell"]),
        sweep=lineage["sweep"],
        size=lineage["size"],
    )
