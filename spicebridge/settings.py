"""Settings as people write them: the text of a ``--set``, the names that files are called by."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_-]+")
NAME_WORDS = "must be letters, digits, _ and - (files are called by it)"


def parse_setting(text: str) -> Any:
    """A setting's value as TOML reads it; what is no TOML value, such as a bare word, is text."""
    try:
        read = tomllib.loads(f"value = {text}")
    except ValueError:  # not TOML, or a number of too many digits
        return text
    return read["value"] if len(read) == 1 else text  # further lines would be further settings


def is_name(text: str) -> bool:
    """Whether a table or a run may be called this: no folder, dot or space in it."""
    return _NAME.fullmatch(text) is not None
