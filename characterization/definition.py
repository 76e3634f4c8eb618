"""Table definitions: TOML files that say which circuit is swept over what."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from circuits.cell import Cell, make_cell
from spicebridge.errors import SpicebridgeError
from spicebridge.settings import NAME_WORDS, is_name
from spicebridge.table import check_axis

_FOLDER = Path(__file__).parent / "tables"
SIZES = ("quick", "full")
_MOST_POINTS = 100_000
_SECTIONS = ("procedure", "about", "cell", "sweep", *SIZES)


class DefinitionError(SpicebridgeError):
    """A table definition that is missing or does not make sense."""


@dataclass(frozen=True)
class Definition:
    """What a table is made of.

    Attributes:
        name: the table's.
        procedure: the characterisation procedure that fills it.
        about: one line for people.
        cell: the circuit's settings.
        sweep: the procedure's settings for the chosen size.
        size: ``quick`` or ``full``.
    """

    name: str
    procedure: str
    about: str
    cell: Cell
    sweep: Mapping[str, Any]
    size: str


def available_definitions() -> list[str]:
    """The names of the definitions that come with the project."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_definition(name: str, *, size: str, overrides: Mapping[str, Any] | None = None) -> Definition:
    """A definition by name or by the path of a TOML file.

    Args:
        name: one of ``available_definitions()``, or a path ending in ``.toml``.
        size: ``quick`` or ``full``.
        overrides: ``section.key`` to a value, such as ``cell.temperature``; a sweep's key in either section.

    Raises:
        DefinitionError: unknown, unreadable, of a name no file can have, or with unknown sections or keys.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        near = difflib.get_close_matches(name, available_definitions(), n=1)
        raise DefinitionError(
            f"there is no table definition {name!r}."
            + (f" Did you mean {near[0]}?" if near else "")
            + f" There are: {', '.join(available_definitions())}."
        )
    if not is_name(path.stem):
        raise DefinitionError(f"{path}: the table's name, {path.stem!r}, {NAME_WORDS}. Rename the file.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"cannot read table definition {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path} is not valid TOML: {error}.") from error
    unknown = sorted(set(content) - set(_SECTIONS))
    missing = sorted({"procedure", "sweep"} - set(content))
    if unknown or missing:
        raise DefinitionError(
            f"{path.name}: unknown {unknown or 'nothing'}, missing {missing or 'nothing'}; "
            f"a definition has {', '.join(_SECTIONS)}."
        )
    plain = [
        section for section in ("cell", "sweep", *SIZES) if not isinstance(content.get(section, {}), dict)
    ]
    if plain:
        raise DefinitionError(
            f"{path.name}: {', '.join(plain)} should be a section, [{plain[0]}] and its keys."
        )
    cell = dict(content.get("cell", {}))
    sweep = {**content["sweep"], **content.get(size, {})}
    for key, value in (overrides or {}).items():
        section, _, inner = key.rpartition(".")
        if section == "cell":
            cell[inner] = value
        elif section in ("", "sweep") and inner in sweep:
            sweep[inner] = value
        else:
            known = [f"cell.{each}" for each in Cell.__dataclass_fields__] + list(sweep)
            raise DefinitionError(f"{path.stem} has no setting {key!r}. It has: {', '.join(known)}.")
    return Definition(
        name=path.stem,
        procedure=str(content["procedure"]),
        about=str(content.get("about", "")),
        cell=make_cell(cell),
        sweep=sweep,
        size=size,
    )


def axis(name: str, value: object) -> tuple[float, ...]:
    """A number axis from a list of values or from ``{start, stop, points}``.

    Raises:
        DefinitionError: neither, or not strictly increasing.
    """
    if isinstance(value, Mapping):
        try:
            start, stop, points = float(value["start"]), float(value["stop"]), int(value["points"])
            if not 1 <= points <= _MOST_POINTS:
                raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise DefinitionError(
                f"axis {name} needs numbers start and stop, and points, 1 to {_MOST_POINTS}."
            ) from error
        # Twelve figures, so that 0.45 is 0.45 and not what adding steps makes of it.
        values: Sequence[float] = [float(f"{each:.12g}") for each in np.linspace(start, stop, points)]
    elif isinstance(value, list) and all(_is_number(each) for each in value):
        values = [float(each) for each in value]
    else:
        raise DefinitionError(f"axis {name} is {value!r}: give a list of numbers or start, stop, points.")
    check_axis(name, values)
    return tuple(values)


def number(name: str, value: object) -> float:
    """A positive number of a sweep, SI units.

    Raises:
        DefinitionError: it is none.
    """
    if not _is_number(value) or not 0 < float(value) < float("inf"):  # type: ignore[arg-type]  # a number
        raise DefinitionError(f"{name} = {value!r} should be a positive number.")
    return float(value)  # type: ignore[arg-type]  # a number


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_settings(given: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    """Refuse a sweep with names its procedure does not know, or without one that it needs."""
    unknown, missing = sorted(set(given) - set(names)), sorted(set(names) - set(given))
    if unknown or missing:
        raise DefinitionError(
            f"{what}: unknown {', '.join(unknown) or 'nothing'}; missing {', '.join(missing) or 'nothing'}."
        )
