"""Table definitions: TOML files that say which circuit is swept over what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from characterization.netlist_definition import netlist_definition
from characterization.netlist_sweep import NetlistDefinition
from characterization.values import DefinitionError, axis, check_points, is_number, number, whole
from circuits.cell import Cell, make_settings
from circuits.passive_array_cell import ArrayCell
from circuits.pcm_cell import PcmCell
from spicebridge.settings import NAME_WORDS, did_you_mean, is_name, read_toml

# What procedures need of a definition, in one place.
__all__ = [
    "SIZES", "Definition", "DefinitionError", "available_definitions", "axis", "cell_kind",
    "check_settings", "load_definition", "number", "whole",
]  # fmt: skip

_FOLDER = Path(__file__).parent / "tables"
SIZES = ("quick", "full")
_SECTIONS = ("procedure", "about", "cell", "sweep", *SIZES)
_OF_A_NETLIST = ("deck", "axes", "measures")
# The circuit of each procedure, by the dataclass of its settings.
_CELLS: Mapping[str, type[Any]] = {
    "array_read": ArrayCell,
    "array_write": ArrayCell,
    "mtj_write": Cell,
    "pair_read": PcmCell,
    "pcm_reset": PcmCell,
    "pcm_set": PcmCell,
    "synapse_read": Cell,
}

C = TypeVar("C", Cell, ArrayCell, PcmCell)


@dataclass(frozen=True)
class Definition(Generic[C]):
    """What a table of one of our procedures is made of.

    Attributes:
        name: the table's.
        procedure: the characterisation procedure that fills it.
        about: one line for people.
        cell: the circuit's settings, of the procedure's kind.
        sweep: the procedure's settings for the chosen size.
        size: ``quick`` or ``full``.
    """

    name: str
    procedure: str
    about: str
    cell: C
    sweep: Mapping[str, Any]
    size: str


def cell_kind(procedure: str) -> type[Any]:
    """The dataclass of the settings of a procedure's circuit."""
    return _CELLS.get(procedure, Cell)


def available_definitions() -> list[str]:
    """The names of the definitions that come with the project."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_definition(
    name: str, *, size: str, overrides: Mapping[str, Any] | None = None, trust: bool = False
) -> Definition[Any] | NetlistDefinition:
    """A definition by name or by the path of a TOML file: of a procedure, or of a netlist of one's own.

    Args:
        name: one of ``available_definitions()``, or a path ending in ``.toml``.
        size: ``quick`` or ``full``; a netlist's has one size.
        overrides: ``section.key`` to a value: ``cell.temperature`` or ``axes.rval.points``, say; a
            procedure's sweep key in either section.
        trust: whether a netlist is trusted with files and commands.

    Raises:
        DefinitionError: unknown, unreadable, of a name no file can have or that is the project's, or with
            unknown sections or keys.
        SpicebridgeError: a netlist that cannot be read, or that asks for what it may not do.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file() and name.endswith((".toml", ".cir")):
        raise DefinitionError(
            f"{name} is a netlist: name it in a TOML file, as docs/own_netlist.md says, and give that."
            if name.endswith(".cir")
            else f"there is no file {name}."
        )
    if not path.is_file():
        raise DefinitionError(
            f"there is no table definition {name!r}.{did_you_mean(name, available_definitions())}"
            f" There are: {', '.join(available_definitions())}."
        )
    if not is_name(path.stem):
        raise DefinitionError(f"{path}: the table's name, {path.stem!r}, {NAME_WORDS}. Rename the file.")
    if path.stem in available_definitions() and path.resolve().parent != _FOLDER.resolve():
        raise DefinitionError(
            f"{path}: a table is called by its file's name, and {path.stem} is one that comes with the "
            "project, which this one would replace. Rename the file."
        )
    content = read_toml(path, what="table definition", error=DefinitionError)
    if "procedure" not in content and not content.keys().isdisjoint(_OF_A_NETLIST):
        return netlist_definition(path, content, overrides=overrides or {}, trust=trust)
    return _procedure_definition(path, content, size=size, overrides=overrides or {})


def _procedure_definition(
    path: Path, content: Mapping[str, Any], *, size: str, overrides: Mapping[str, Any]
) -> Definition[Any]:
    _check_sections(path, content)
    procedure = str(content["procedure"])
    kind = cell_kind(procedure)
    cell = dict(content.get("cell", {}))
    sweep = {**content["sweep"], **content.get(size, {})}
    for key, value in overrides.items():
        section, _, inner = key.rpartition(".")
        if section == "cell":
            cell[inner] = value
        elif section in ("", "sweep") and inner in sweep:
            sweep[inner] = value
        else:
            known = [f"cell.{each}" for each in kind.__dataclass_fields__] + list(sweep)
            raise DefinitionError(f"{path.stem} has no setting {key!r}. It has: {', '.join(known)}.")
    check_points(f"{path.stem}: sweep", *filter(None, map(_length, sweep.values())))
    return Definition(
        name=path.stem,
        procedure=procedure,
        about=str(content.get("about", "")),
        cell=make_settings(kind, cell),
        sweep=sweep,
        size=size,
    )


def _length(value: object) -> int:
    """How many points an axis of numbers has; 0 for another value."""
    if isinstance(value, list):
        return len(value) if all(map(is_number, value)) else 0
    points = value.get("points") if isinstance(value, dict) else None
    return int(points) if isinstance(points, int) and points > 0 else 0


def _check_sections(path: Path, content: Mapping[str, Any]) -> None:
    if amiss := _amiss(content, known=_SECTIONS, required=("procedure", "sweep")):
        raise DefinitionError(
            f"{path.name}: {amiss if content else 'it is empty'}. A definition has {', '.join(_SECTIONS)}, "
            f"or {', '.join(_OF_A_NETLIST)} for a netlist of your own (see docs/own_netlist.md)."
        )
    plain = [
        section for section in ("cell", "sweep", *SIZES) if not isinstance(content.get(section, {}), dict)
    ]
    if plain:
        raise DefinitionError(
            f"{path.name}: {', '.join(plain)} should be a section, [{plain[0]}] and its keys."
        )


def check_settings(given: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    """Refuse a sweep with names its procedure does not know, or without one that it needs."""
    if amiss := _amiss(given, known=names, required=names):
        raise DefinitionError(f"{what}: {amiss}. It takes {', '.join(names)}.")


def _amiss(given: Mapping[str, Any], *, known: Sequence[str], required: Sequence[str]) -> str:
    """Which keys are unknown, and which are missing, in words; empty if none is."""
    unknown = [key for key in given if key not in known]
    missing = [key for key in required if key not in given]
    said = [f"unknown: {', '.join(unknown)}"] if unknown else []
    said += [f"missing: {', '.join(missing)}"] if missing else []
    return "; ".join(said)
