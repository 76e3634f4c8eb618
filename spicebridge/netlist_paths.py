"""Names of files as ngspice reads them: variables of the environment, the home folder, and where it looks.

Measured with ngspice 46. ``$NAME`` counts where it is a whole part of a path that begins with one; other
forms, ``${NAME}`` too, end ngspice. What is relative is looked for in the folder it is started in (here
always the deck's), in the folders of ``sourcepath``, and beside the file that includes it.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.limits import SEARCHED, Budget
from spicebridge.permission import Permission, permitted_sources, real_path
from spicebridge.verilog_a.source import source_text

_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
# Possessive: blanks are looked at once, and not again from each of them.
_MODULE = re.compile(r"^[^\S\n]*+(?:\(\*[^\n]*?\*\)\s*+)?(?:module|macromodule)\s++(\w+)", re.MULTILINE)


class PathError(SpicebridgeError):
    """A file's name that leads nowhere."""


def expanded(name: str, where: str) -> str:
    """A file's name with the home folder and the variables of the environment in it.

    Raises:
        PathError: a variable that is not set, or is not written as ngspice takes it; ``where`` says where.
    """
    if name.startswith("~/"):
        return os.environ.get("HOME", "~") + name[1:]
    if not name.startswith("$"):
        return name
    return "/".join(_value(part, name, where) if part[:1] == "$" else part for part in name.split("/"))


def _value(part: str, name: str, where: str) -> str:
    match = _VARIABLE.fullmatch(part)
    if match is None:
        raise PathError(
            f"{where}: {name!r} has {part!r}, which ngspice does not take for a variable of the environment. "
            "Write $NAME, without braces and with a / after it."
        )
    value = os.environ.get(match[1])
    if value is None:
        raise PathError(
            f"{where}: {name!r} needs the variable {match[1]} of the environment, and it is not set. Set it "
            f"before the command: export {match[1]}=FOLDER"
        )
    return value


def located(name: str, folders: Sequence[Path], where: str) -> Path:
    """The first file of that name that is in one of the folders; if none is, where it is in the last of them.

    Raises:
        PathError: as ``expanded``.
    """
    paths = [folder / expanded(name, where) for folder in folders]
    return next((path for path in paths if real_path(path).exists()), paths[-1])


def model_beside(name: str, folders: Sequence[Path]) -> Path | None:
    """The Verilog-A source of that file name in one of the folders, or below; the first there is."""
    return next((path for folder in folders for path in _below(folder, name) if path.is_file()), None)


def _below(folder: Path, pattern: str) -> list[Path]:
    """What is called so in a folder or below, sorted.

    Raises:
        PathError: there is too much to look through.
    """
    looked = Budget(SEARCHED, PathError)
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        looked.take(len(folders) + len(files), str(folder), "looking for a model's source, there are")
        found += [Path(place) / each for each in fnmatch.filter((*folders, *files), pattern)]
    return sorted(found)


def sources_of_modules(
    wanted: Collection[str], folders: Sequence[Path], permission: Permission
) -> tuple[Path, ...]:
    """The Verilog-A sources in the folders, or below, that define these modules.

    Args:
        wanted: modules' names in lower case; one that no source defines is passed over.
        folders: where to look.
        permission: what the sources may include.

    Raises:
        PathError: two sources define one module.
        RefusedError: a source includes what it may not.
    """
    defining: dict[str, list[Path]] = {name: [] for name in wanted}
    for path in sorted({each for folder in folders for each in _below(folder, "*.va")}) if wanted else ():
        for name in modules_in(path) & defining.keys():
            defining[name].append(real_path(path))
    for name, paths in defining.items():
        if len(paths) > 1:
            included = {file for path in paths for file in permitted_sources(path, permission)[1:]}
            paths[:] = [path for path in paths if path not in included]
        if len(paths) > 1:
            raise PathError(
                f"the Verilog-A module {name} is defined in {paths[0]} and in {paths[1]}. Name the one that "
                "is meant in files, and not the folder of both."
            )
    return tuple(dict.fromkeys(path for paths in defining.values() for path in paths))


def modules_in(path: Path) -> set[str]:
    """The modules of a source in lower case; its own name where they stand in what it includes."""
    try:
        text = source_text(path)
    except (OSError, ValueError):
        return set()
    return {name.lower() for name in _MODULE.findall(text)} or {path.stem.lower()}
