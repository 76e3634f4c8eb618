"""Words by which ngspice says that a run went wrong, as parts of regular expressions; case does not count."""

from __future__ import annotations

import re
from collections.abc import Sequence

# It found no solution: what convergence aids are for (see convergence.py).
UNSOLVED = r"singular matrix|timestep too small|no convergence|iteration limit"
# The circuit that ran is not the one that was meant, though ngspice may call it a warning.
ALTERED = r"unrecognized parameter|unknown parameter|not a valid \w+ instance line|non-increasing pwl"
# It gave up.
ABORTED = r"simulation\(s\) aborted"
# What else it says when a result must not be trusted although it goes on.
_FATAL = (
    r"unrecognized parameter|unknown parameter|unknown subckt|no such (?:model|function)|could not find"
    rf"|unable to find definition|can't find model|undefined parameter|{UNSOLVED}"
    rf"|{ABORTED}|simulation interrupted|^error\b|\berror:|fatal|floating point"
)
# Harmless although it matches above: convergence aids at work, which ngspice announces as it tries them, and
# the two ways in which it says that it has no such kind of .meas line. That measure alone is without value.
_HARMLESS = re.compile(
    r"^(?:note|warning|trying|starting|supplies|dynamic gmin|one successful"
    r"|error: measure  \w+ (?:failed| ):$|no such function as ')",
    re.IGNORECASE,
)
_IS_FATAL, _IS_ALTERED = re.compile(_FATAL, re.IGNORECASE), re.compile(ALTERED, re.IGNORECASE)


def is_abort(line: str) -> bool:
    """Whether ngspice says that it gave up a simulation."""
    return re.search(ABORTED, line, re.IGNORECASE) is not None


def is_complaint(line: str) -> bool:
    """Whether a line of ngspice's speaks of failure."""
    # What is altered is never harmless, not even in a warning.
    if _IS_ALTERED.search(line):
        return True
    return bool(_IS_FATAL.search(line)) and not _HARMLESS.match(line.strip())


_MEASURING = re.compile(r"^\s*measurements for ", re.IGNORECASE)
_ANALYSING = re.compile(r"^\s*doing analysis at", re.IGNORECASE)


def of_measures(lines: Sequence[str]) -> list[bool]:
    """Which lines tell the results of ``.meas`` lines, or why one has none: that costs this measure alone.

    They follow their heading, up to the next analysis.
    """
    measuring, inside = [], False
    for line in lines:
        inside = (inside or bool(_MEASURING.match(line))) and not _ANALYSING.match(line)
        measuring.append(inside)
    return measuring


def told_reason(lines: Sequence[str]) -> str:
    """The first complaint that says what is wrong, and not only where; empty if there is none."""
    return next((line.strip() for line in lines if is_complaint(line) and not line.strip().endswith(":")), "")
