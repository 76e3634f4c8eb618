"""When each circuit's lines move: ``netlists/timing.lib``, from which the stand-alone decks take it too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from spicebridge.deck import DeckError, parse_number
from spicebridge.project import netlists_folder

FILE = "timing.lib"
_PARAM = re.compile(r"\.param\s+(\w+)\s*=\s*([^\s;]+)", re.IGNORECASE)


def timing(section: str) -> Mapping[str, float]:
    """The times of a section, by name, s.

    Raises:
        DeckError: no such section.
    """
    return timing_of(netlists_folder() / FILE, section)


@cache
def timing_of(path: Path, section: str) -> Mapping[str, float]:
    """The times of a section of a file; errors as ``timing``."""
    sections: dict[str, dict[str, float]] = {}
    current: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == [".lib"]:
            current = sections.setdefault(words[1], {})
        elif match := _PARAM.match(line):
            current[match[1]] = parse_number(match[2])
    if section not in sections:
        raise DeckError(f"{path.name} has no section {section!r}. It has: {', '.join(sections)}.")
    return sections[section]
