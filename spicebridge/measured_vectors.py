"""What a deck's ``.meas`` lines read, which its ``.save`` lines may not name.

In batch mode the ngspice program keeps it all the same; the library does not, and needs a line that says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from spicebridge.deck import Deck

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


def measured_vectors(deck: Deck) -> str:
    """A ``.save`` line of the vectors that the deck's ``.meas`` lines read; empty where none is needed."""
    lines = [line for line in deck.lines if line.startswith(".")]
    if not any(line.lower().startswith(".save") for line in lines):
        return ""
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
    return f".save {' '.join(dict.fromkeys(names))}\n" if names else ""


def unmeasured(deck: Deck, log: Sequence[str]) -> set[str]:
    """The lower-case names of measures that read a vector which is not there, or another such measure.

    ngspice says that the vector is missing; to some of these measures it gives 0 all the same.
    """
    missing = {match[1].lower() for line in log if (match := _MISSING.search(line))}
    if not missing:
        return set()
    reads = {
        match[1].lower(): re.sub(r"\s", "", match[2].lower())
        for line in deck.lines
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
