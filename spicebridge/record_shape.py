"""The shape of a run record that is read from a file, as far as every study's records have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spicebridge.foreign import (
    ForeignError,
    digest,
    fields,
    mapping,
    name,
    number,
    read_json,
    sequence,
    text,
    whole,
)
from spicebridge.limits import RECORD, LimitError
from spicebridge.reading import read_bytes

_PERCENT = (
    "accuracy", "accuracy_mean", "baseline_accuracy", "baseline_accuracy_mean", "ideal_accuracy",
    "read_accuracy", "spread_accuracy",
)  # fmt: skip
_TABLE = fields(
    {"name": text, "digest": digest},
    {
        "procedure": text, "models": sequence(text), "size": text, "samples": whole, "mixed": sequence(text),
    },
)  # fmt: skip
_CIRCUMSTANCES = fields(
    {}, {"command": text, "revision": text, "finished": text, "workers": whole, "wall_seconds": number}
)
_RECORD = fields(
    {
        "experiment": name,
        "settings": mapping(),
        "seeds": sequence(whole, 1),
        "data": fields({"name": text, "checksum": text, "split": text}),
        "tables": sequence(_TABLE),
    },
    {
        "study": text, "description": text, "arms": mapping(mapping()), "cases": sequence(mapping()),
        "stages": mapping(mapping()), "versions": mapping(text), "device": mapping(), "ledgers": mapping(),
        "circumstances": _CIRCUMSTANCES,
        "weights": fields({"digest": digest}),
    },
)  # fmt: skip


def read_record(path: Path) -> dict[str, Any]:
    """A run record, held to the shape that all records have.

    Raises:
        ForeignError: it cannot be read, or holds something else; the message says what and where.
    """
    try:
        content = read_bytes(path, RECORD).decode("utf-8")
    except (OSError, UnicodeDecodeError, LimitError) as error:
        raise ForeignError(f"it cannot be read ({error})") from error
    record: dict[str, Any] = read_json(content, "the record")
    _RECORD(record, "the record")
    for key in _PERCENT:
        value = record.get(key)
        if value is not None:
            number(value, f"the record.{key}")
            if not 0 <= value <= 100:
                raise ForeignError(f"the record.{key} = {value!r} should lie in [0, 100] per cent")
    return record
