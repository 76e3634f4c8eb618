"""ngspice's start-up files: what the one that bare ngspice would read for a deck sets.

A simulation here reads none of them. What such a file decides must therefore stand in the deck or its TOML
file, and a deck is refused where it does not. The files are looked at as text, nothing in them is run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.limits import FILE
from spicebridge.reading import read_bytes

_NAMES = (".spiceinit", "spice.rc")
_MODES = re.compile(r"(?:spe|ps|lt|hs|ki|eg|s3|xs|a)+")
_BEHAVIOUR = re.compile(r"\bngbehavior\s*=\s*[\"']?([\w.]+)", re.IGNORECASE)
_OPTION = re.compile(r"^\s*options?\s+(.*)$", re.IGNORECASE)
_SETTING = re.compile(r"([a-z_]\w*)(?:\s*=\s*([^\s;$]+))?", re.IGNORECASE)
_SOURCE_PATH = re.compile(r"^set\s+sourcepath\s*=\s*\(([^)]*)\)")
_OPTION_LINE = re.compile(r"^\.opt(?:ions?)?\s+(.*)$", re.IGNORECASE)
# Options that change what is printed, and no value.
_HARMLESS = frozenset({
    "acct", "noacct", "list", "node", "opts", "nopage", "nomod", "noinit", "brief", "numdgt", "warn",
    "maxwarns",
})  # fmt: skip


class StartupError(SpicebridgeError):
    """A start-up file that would change what a deck means."""


@dataclass(frozen=True)
class Startup:
    """What a start-up file sets.

    Attributes:
        path: the file.
        compat: the compatibility mode; empty if it sets none.
        options: simulator options and their texts, lower-case names.
        source_path: folders in which ngspice looks for included files.
        others: its other lines.
    """

    path: Path
    compat: str
    options: tuple[tuple[str, str], ...]
    source_path: tuple[str, ...]
    others: tuple[str, ...]

    def source_folders(self, folder: Path) -> tuple[Path, ...]:
        """The folders of the source path as ngspice finds them where it is started in ``folder``."""
        home = os.environ.get("HOME", "~")
        return tuple(folder / (home + each[1:] if each[:2] == "~/" else each) for each in self.source_path)


def check_compat(mode: object) -> str:
    """A compatibility mode as ``set ngbehavior=`` takes it; empty for ``none``.

    Raises:
        StartupError: ngspice knows no such mode.
    """
    if isinstance(mode, str) and mode == "none":
        return ""
    if not isinstance(mode, str) or not _MODES.fullmatch(mode):
        raise StartupError(
            f"compat = {mode!r} is no mode of ngspice's: lower-case letters as 'set ngbehavior=' takes them, "
            'put together from ps, lt, hs, ki, eg, spe, s3, xs and a, such as "hsa" or "ltpsa"; or "none".'
        )
    return mode


def startup_for(folder: Path) -> Startup | None:
    """The start-up file that bare ngspice reads for a deck in ``folder``: the first that there is."""
    places = [folder, Path.cwd()]
    if named := os.environ.get("SPICE_USERINIT_DIR"):
        places.append(Path(named))
    if home := os.environ.get("HOME"):
        places.append(Path(home))
    path = next((place / name for place in places for name in _NAMES if (place / name).is_file()), None)
    if path is None:
        return None
    try:
        return _read(path)
    except OSError:
        return None


def _read(path: Path) -> Startup:
    compat = ""
    source_path: list[str] = []
    options: list[tuple[str, str]] = []
    others: list[str] = []
    for raw in read_bytes(path, FILE).decode("utf-8", errors="replace").splitlines():
        line = raw.strip()
        if not line or line[0] in "*#;":
            continue
        if match := _BEHAVIOUR.search(line):
            compat = match[1].lower()
        if match := _SOURCE_PATH.search(line):
            named = [each.strip("\"'") for each in match[1].split()]
            kept = source_path if "$sourcepath" in named else []  # else the last such line counts
            source_path = [*kept, *(each for each in named if not each.startswith("$"))]
        elif match := _OPTION.match(line):
            options += [(name.lower(), value) for name, value in _SETTING.findall(match[1])]
        elif not _BEHAVIOUR.search(line):
            others.append(line)
    return Startup(path, compat, tuple(options), tuple(source_path), tuple(others))


def refuse_startup(startup: Startup, *, compat: str | None, lines: Iterable[str], remedy: str) -> list[str]:
    """Refuse a start-up file whose settings the deck does not have itself.

    Args:
        startup: what the file sets.
        compat: the mode that was chosen for the deck; None if none was.
        lines: the deck's.
        remedy: how to choose a mode, with ``MODE`` in its place.

    Returns:
        Notes on what else the file would have ngspice do.

    Raises:
        StartupError: it sets a mode and none was chosen, or an option that the deck does not set.
    """
    name = startup.path.name
    where = f"{startup.path} is read by bare ngspice, and not here"
    if startup.compat and compat is None:
        choice, without = remedy.replace("MODE", startup.compat), remedy.replace("MODE", "none")
        raise StartupError(
            f"{where}: its 'set ngbehavior={startup.compat}' decides what the deck means. "
            f"To keep that mode: {choice}. To run without it: {without}."
        )
    settings = [match[1].lower() for match in map(_OPTION_LINE.match, lines) if match]
    own = {found for text in settings for found, _ in _SETTING.findall(text)}
    missing = [each for each in startup.options if each[0] not in own | _HARMLESS]
    if missing:
        words = " ".join(f"{key}={value}" if value else key for key, value in missing)
        raise StartupError(
            f"{where}: it sets an option that changes values. Add this to the deck: .options {words}"
        )
    if not startup.others:
        return []
    shown = "; ".join(startup.others[:3])
    more = f"; and {len(startup.others) - 3} more" if len(startup.others) > 3 else ""
    return [f"{name} in {startup.path.parent} is not read here. It would also do: {shown}{more}"]
