"""What a deck's ``.meas`` lines read, which its ``.save`` lines may not name, or no line at all.

In batch mode the ngspice program keeps it all the same; the library does not, and needs a line that says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MISSING = re.compile(r"no such vector as '?([^\s']+?)'?\.?\s*$", re.IGNORECASE)
_MEASURE = re.compile(r"^\.?meas(?:ure)?\s+\w+\s+(\w+)\s+(.*)$", re.IGNORECASE)
_READ = re.compile(r"\b(?:v(?:db|m|p|r|i)?|i)\s*\(\s*([^()]+?)\s*\)", re.IGNORECASE)
_DEVICE = re.compile(r"@[\w.:#]+\[\w+\]")
_PAR = re.compile(r"\bpar\s*\(", re.IGNORECASE)
_BRANCHED = "vlehb"  # elements whose current is a vector of its own
_PRINTS = (
    ".meas",
    ".print",
    ".plot",
    ".four",
)  # lines in which ngspice makes a node of each par(...), in turn


def saving_line(lines: Sequence[str], late: Sequence[str] = ()) -> str:
    """A ``.save`` line of what ``.meas`` lines read and the library would not keep; empty where it keeps all.

    Args:
        lines: the netlist's, as ngspice loads them.
        late: ``.meas`` lines that are carried out after the analysis.
    """
    names: list[str] = []
    nodes = 0
    for line in lines:
        if not line.lower().startswith(_PRINTS):
            continue
        made = len(_PAR.findall(line))
        if line.lower().startswith(".meas"):
            names += [f"v(pa_{number:02d})" for number in range(nodes, nodes + made)]
            names += _vectors(line)
        nodes += made
    names += [name for line in late for name in _vectors(line)]
    if not saves(lines):  # then all nodes are kept, and of devices nothing
        inner = [name for name in names if name.startswith("@")]
        names = ["all", *inner] if inner else []
    return f".save {' '.join(dict.fromkeys(names))}" if names else ""


def saves(lines: Sequence[str]) -> bool:
    """Whether there is a ``.save`` line, so that only what such lines name is kept."""
    return any(line.lower().startswith(".save") for line in lines)


def unmeasured(lines: Sequence[str], log: Sequence[str]) -> set[str]:
    """The lower-case names of measures that read a vector which is not there, or another such measure.

    ngspice says that the vector is missing; to some of these measures it gives 0 all the same.

    Args:
        lines: the deck's.
        log: ngspice's words.
    """
    missing = {match[1].lower() for line in log if (match := _MISSING.search(line))}
    if not missing:
        return set()
    reads = {
        match[1].lower(): re.sub(r"\s", "", match[2].lower())
        for line in lines
        if (match := _MEASURE.match(line))
    }
    without = {name for name, text in reads.items() if any(vector in text for vector in missing)}
    while True:
        words = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(without)))})\b")
        more = {name for name, text in reads.items() if without and words.search(text)} - without
        if not more:
            return without
        without |= more


def _vectors(line: str) -> list[str]:
    names = [match.lower() for match in _DEVICE.findall(line)]
    for match in _READ.finditer(line):
        if match[0].lower().startswith("i"):
            element = match[1].lower()
            if element.rsplit(".", 1)[0][0] in _BRANCHED:
                names.append(f"i({element})")
        else:
            names += [f"v({node.strip().lower()})" for node in match[1].split(",")]
    return names
