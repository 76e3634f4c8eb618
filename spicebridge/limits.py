"""Bounds on what a file from elsewhere may cost, each with a default and an environment variable to raise it.

The defaults are at least twice what the largest published models and libraries were measured to need (see
docs/limits.md). A variable is read where its limit is used, so that it may change from call to call.
"""

from __future__ import annotations

import math
import os
import resource
import sys
from dataclasses import dataclass

from spicebridge.errors import SpicebridgeError

_MEGABYTE = 1024 * 1024


class LimitError(SpicebridgeError):
    """A file that passes a limit, or a limit that is no number."""


@dataclass(frozen=True)
class Limit:
    """One bound.

    Attributes:
        variable: the environment variable that sets another value.
        default: the value without it, in ``unit``.
        unit: MB (of 1024 x 1024 bytes), s, or what is counted.
        bounds: what it bounds, for the documentation.
    """

    variable: str
    default: int
    unit: str
    bounds: str

    @property
    def value(self) -> float:
        """The bound in force, in its unit.

        Raises:
            LimitError: the environment variable is no positive number.
        """
        text = os.environ.get(self.variable)
        if not text:
            return float(self.default)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise LimitError(
                f"{self.variable}={text[:40]!r} should be a positive number of {self.unit}; without the "
                f"variable it is {self.default:,}."
            )
        return value

    @property
    def bytes(self) -> int:
        """The bound of a limit in MB as bytes."""
        return int(self.value * _MEGABYTE)

    @property
    def said(self) -> str:
        """The bound in force, for a message: ``256 MB``."""
        value = self.value
        return f"{value:,.0f} {self.unit}" if value.is_integer() else f"{value:g} {self.unit}"

    @property
    def remedy(self) -> str:
        """How to raise it."""
        return f"If it is meant to be so large, raise the limit: export {self.variable}={2 * self.value:.15g}"


def restrict(kind: int, most: int) -> None:
    """Hold this process and its children to so much of a resource, as ``resource`` names its kinds."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def restrict_memory(limit: Limit) -> None:
    """Hold this process and its children to so much address space each; nothing where the system cannot."""
    if sys.platform == "linux":
        restrict(resource.RLIMIT_AS, limit.bytes)


@dataclass
class Budget:
    """What has been used of a limit so far."""

    limit: Limit
    error: type[SpicebridgeError]
    used: float = 0.0

    def take(self, amount: float, where: str, what: str) -> None:
        """Use so much of it, in the limit's unit.

        Raises:
            SpicebridgeError: of the budget's kind: it is used up; ``where`` and ``what`` say at what
                place and by what.
        """
        self.used += amount
        if self.used > self.limit.value:
            raise self.error(f"{where}: {what} more than {self.limit.said}. {self.limit.remedy}")


FILE = Limit("SPICEBRIDGE_MAX_FILE_MB", 128, "MB", "one netlist, library or start-up file")
NETLIST = Limit("SPICEBRIDGE_MAX_NETLIST_MB", 256, "MB", "the files that one deck includes")
LINES = Limit(
    "SPICEBRIDGE_MAX_NETLIST_LINES", 5_000_000, "lines", "the lines of one deck, includes written in"
)
INCLUDES = Limit("SPICEBRIDGE_MAX_INCLUDES", 10_000, "files", "the files that one deck or model includes")
DEPTH = Limit("SPICEBRIDGE_MAX_DEPTH", 64, "levels", "how deep includes and conditionals are nested")
SEARCHED = Limit(
    "SPICEBRIDGE_MAX_SEARCHED", 200_000, "entries", "what is looked through in a folder of models"
)
VERILOG_A = Limit("SPICEBRIDGE_MAX_VERILOG_A_MB", 32, "MB", "all files of one Verilog-A model")
TOKENS = Limit(
    "SPICEBRIDGE_MAX_VERILOG_A_TOKENS", 3_000_000, "tokens", "one Verilog-A model, its macros written out"
)
COMPILE_TIME = Limit(
    "SPICEBRIDGE_MAX_COMPILE_SECONDS", 600, "s", "compiling one model: front end, generated C, C compiler"
)
COMPILE_MEMORY = Limit(
    "SPICEBRIDGE_MAX_COMPILE_MB", 4096, "MB", "the address space of each process that compiles"
)
COMPILE_OUTPUT = Limit("SPICEBRIDGE_MAX_COMPILE_OUTPUT_MB", 512, "MB", "each file that a compilation writes")
TOML = Limit("SPICEBRIDGE_MAX_TOML_MB", 16, "MB", "one TOML file")
TABLE = Limit("SPICEBRIDGE_MAX_TABLE_MB", 4096, "MB", "one table, as a file and in memory")
RECORD = Limit("SPICEBRIDGE_MAX_RECORD_MB", 512, "MB", "one run record or checkpoint")
AXIS = Limit("SPICEBRIDGE_MAX_AXIS_POINTS", 100_000, "points", "one axis given by start, stop and points")
POINTS = Limit("SPICEBRIDGE_MAX_POINTS", 10_000_000, "points", "the product of a table's axes")
VALUES = Limit("SPICEBRIDGE_MAX_VALUES", 200_000_000, "values", "a table's points times its measures")
DECKS = Limit("SPICEBRIDGE_MAX_DECKS", 100, "decks", "the combinations of library sections of a table")
MEASURES = Limit("SPICEBRIDGE_MAX_MEASURES", 10_000, "measures", "the measures of a definition")
DECK_TIME = Limit("SPICEBRIDGE_MAX_DECK_SECONDS", 2_000_000, "s", "the time_limit of a definition")
SIMULATION_MEMORY = Limit(
    "SPICEBRIDGE_MAX_SIMULATION_MB", 16_384, "MB", "the address space of each process that simulates"
)

LIMITS = (
    FILE, NETLIST, LINES, INCLUDES, DEPTH, SEARCHED, VERILOG_A, TOKENS, COMPILE_TIME, COMPILE_MEMORY,
    COMPILE_OUTPUT, TOML, TABLE, RECORD, AXIS, POINTS, VALUES, DECKS, MEASURES, DECK_TIME, SIMULATION_MEMORY,
)  # fmt: skip
