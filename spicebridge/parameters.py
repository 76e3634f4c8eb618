"""Parameter sets: one ``.model`` card a file, each value with its unit and its source.

The file is a netlist that ngspice reads as it is. A parameter stands on a line of its own,
``+ name=value ; unit | source``, where the source is a citation or begins with ``assumed``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spicebridge.deck import parse_number
from spicebridge.errors import SpicebridgeError
from spicebridge.limits import FILE
from spicebridge.reading import read_bytes

_LINE = re.compile(r"^\+\s*(\w+)\s*=\s*([^\s;]+)\s*;\s*([^|\s][^|]*?)\s*\|\s*(.+?)\s*$")


@dataclass(frozen=True)
class SourcedValue:
    """A device parameter: value in SI units, its unit (``1`` for a pure number), where it comes from."""

    value: float
    unit: str
    source: str


def read_parameter_set(path: Path) -> dict[str, SourcedValue]:
    """The parameters of a set's ``.model`` card, by name.

    Raises:
        SpicebridgeError: no such file, a value without unit and source, or a name given twice.
    """
    try:
        lines = read_bytes(path, FILE).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SpicebridgeError(f"cannot read parameter set {path}: {reason}.") from error
    values: dict[str, SourcedValue] = {}
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if not (stripped.startswith("+") or (stripped.lower().startswith(".model") and "=" in stripped)):
            continue
        match = _LINE.match(stripped)
        if not match:
            raise SpicebridgeError(
                f"{path.name}:{number}: a parameter needs the form '+ name=value ; unit | source', "
                f"the source being a citation or 'assumed'. Found: {stripped}"
            )
        # ngspice reads names in any case, and takes the last of two.
        if match[1].lower() in {name.lower() for name in values}:
            raise SpicebridgeError(f"{path.name}:{number}: {match[1]} is given twice. Keep one of them.")
        values[match[1]] = SourcedValue(parse_number(match[2]), match[3], match[4])
    return values
