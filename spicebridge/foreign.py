"""What comes from elsewhere, read: tables' lineages, run records and checkpoints, each held to a shape.

A file that was shared may say anything. It is refused, in a sentence, before a value of it is used as a path,
a name or a number; and what is worked out of it afterwards fails in a sentence too (``worked_out``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from spicebridge.errors import SpicebridgeError
from spicebridge.settings import is_name, shortened

DEEPEST = 40  # lists and mappings in one another; ours are 9 deep
LARGEST_NUMBER = 2**63  # of whole numbers: beyond it they are no counts, and floats lose them
_DIGEST = re.compile(r"[0-9a-f]{64}")

Check = Callable[[Any, str], None]


class ForeignError(SpicebridgeError):
    """A file's content that is not what such a file holds."""


# Shapes


def text(value: Any, where: str) -> None:
    """A text; what of it cannot be seen is made visible where it is shown (``terminal.echo``)."""
    if not isinstance(value, str):
        raise ForeignError(f"{where} should be a text")


def name(value: Any, where: str) -> None:
    """A name that files are called by."""
    if not isinstance(value, str) or not is_name(value):
        raise ForeignError(f"{where} should be a name of letters, digits, _ and -")


def digest(value: Any, where: str) -> None:
    """A SHA-256 in hexadecimal digits."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ForeignError(f"{where} should be a digest of 64 hexadecimal digits")


def inner_path(value: Any, where: str) -> None:
    """A file's name, or its path below a folder that is known."""
    parts = PurePosixPath(value).parts if isinstance(value, str) else ()
    if not parts or value.startswith("/") or ".." in parts or "\\" in value:
        raise ForeignError(f"{where} should be a file's name, below its folder")


def number(value: Any, where: str) -> None:
    """A number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ForeignError(f"{where} should be a number")


def whole(value: Any, where: str) -> None:
    """A whole number, zero or above."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ForeignError(f"{where} should be a whole number, zero or above")


def mapping(of: Check | None = None, keys: Check | None = None) -> Check:
    """A mapping whose values are each ``of`` a shape, and its keys."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ForeignError(f"{where} should be a mapping")
        for key, each in value.items():
            if keys is not None:
                keys(key, f"{where}, the key {shortened(str(key), 40)!r},")
            if of is not None:
                of(each, f"{where}.{shortened(str(key), 40)}")

    return check


def sequence(of: Check, least: int = 0) -> Check:
    """A list whose entries are each ``of`` a shape."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list | tuple) or len(value) < least:
            raise ForeignError(f"{where} should be a list{f' of {least} or more' if least else ''}")
        for at, each in enumerate(value):
            of(each, f"{where}[{at}]")

    return check


def fields(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """A mapping with some keys, and perhaps others; what they do not name may be anything."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ForeignError(f"{where} should be a mapping")
        for key, of in required.items():
            if key not in value:
                raise ForeignError(f"{where} lacks {key}")
            of(value[key], f"{where}.{key}")
        for key, of in (optional or {}).items():
            if value.get(key) is not None:
                of(value[key], f"{where}.{key}")

    return check


# Texts of JSON


def read_json(content: str, where: str, *, finite: bool = True) -> Any:
    """What a text of JSON holds, each part of it within bounds.

    Args:
        content: the text.
        where: what it is, for messages.
        finite: whether NaN, infinite numbers and whole numbers of more than 63 bits are refused.

    Raises:
        ForeignError: no JSON, NaN or infinite numbers, a number beyond its bound, nesting too deep; the
            message says where.
    """
    try:
        value = json.loads(content, parse_constant=_refuse_constant if finite else float)
    except (ValueError, RecursionError) as error:
        raise ForeignError(f"{where} is no JSON that can be read: {shortened(str(error), 80)}") from error
    _check_parts(value, where, 0, finite)
    return value


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def _check_parts(value: Any, where: str, depth: int, finite: bool) -> None:
    if depth > DEEPEST:
        raise ForeignError(f"{where[:80]}... is nested more than {DEEPEST} deep")
    if finite and isinstance(value, float) and not math.isfinite(value):
        raise ForeignError(f"{where} is a number too large for a float")
    if finite and isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise ForeignError(f"{where} is a whole number of more than 63 bits")
    if isinstance(value, dict):
        for key, each in value.items():
            _check_parts(each, f"{where}.{key}", depth + 1, finite)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            _check_parts(each, f"{where}[{at}]", depth + 1, finite)


@contextmanager
def worked_out(what: str, remedy: str) -> Iterator[None]:
    """Turns what goes wrong while a foreign content is worked out into a sentence.

    Args:
        what: the content, ``the record of mnist`` say.
        remedy: the next step.

    Raises:
        ForeignError: the content is not what such a file holds.
    """
    try:
        yield
    except SpicebridgeError:
        raise
    except (
        LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError, MemoryError,
        RecursionError,
    ) as error:  # fmt: skip
        problem = shortened(f"{type(error).__name__}: {error}".replace("\n", " "), 120)
        raise ForeignError(f"{what} does not hold what such a file should ({problem}). {remedy}") from error
