"""Settings as people write them: TOML files, the text of a ``--set``, names of files."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spicebridge.errors import SpicebridgeError
from spicebridge.limits import TOML, LimitError
from spicebridge.reading import read_bytes

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{64}}")
NAME_WORDS = "must be letters, digits, _ and - (files are called by it)"


def parse_setting(text: str) -> Any:
    """A setting's value as TOML reads it; what is no TOML value, such as a bare word, is text."""
    try:
        read = tomllib.loads(f"value = {text}")
    except ValueError:  # not TOML, or a number of too many digits
        return text
    return read["value"] if len(read) == 1 else text  # further lines would be further settings


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, the first few of many; ``none`` if there is none."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more or "none"


def shortened(text: str, most: int = 200) -> str:
    """A text for a message, the beginning of a long one."""
    return text if len(text) <= most else f"{text[:most]}..."


def is_name(text: str) -> bool:
    """Whether a table or a run may be called this: no folder, dot or space in it."""
    return _NAME.fullmatch(text) is not None


def read_toml(path: Path, *, what: str, error: type[SpicebridgeError] = SpicebridgeError) -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        path: the file.
        what: what it is, for messages: ``experiment`` say.
        error: the kind of error to raise.

    Raises:
        SpicebridgeError: of that kind: it is missing, no text, or no TOML.
    """
    try:
        text = read_bytes(path, TOML).decode("utf-8-sig")  # some editors begin a file with a mark
        if _DEEP_KEY.search(text):
            raise ValueError("a key of more than 64 parts")  # tomllib's time grows with their square
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except LimitError as problem:
        raise error(str(problem)) from problem
    except OSError as problem:
        raise error(f"cannot read {what} {path}: {problem.strerror}.") from problem
    # Beside TOML's own errors: numbers of thousands of digits, brackets nested a thousand deep.
    except (ValueError, RecursionError) as problem:
        raise error(f"{what} {path} is not valid TOML: {problem}.") from problem


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`` Did you mean X?`` with the name that is nearest to a misspelt one; empty if none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {near[0]}?" if near else ""
