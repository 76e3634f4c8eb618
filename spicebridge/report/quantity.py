"""Numbers as a reader meets them: three significant digits, a prefix and a unit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

MISSING = "not run"
"""What stands where a record holds no figure."""

NOT_IN_TABLE = "not in the table"
"""What stands where no table of a run tells a quantity."""

MINUS = "\N{MINUS SIGN}"
_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def si(value: float | None, unit: str, *, digits: int = 3) -> str:
    """A value in an SI unit with the prefix that suits it: ``6.70 fJ``."""
    if value is None:
        return MISSING
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    # Rounded first, so that 999.9 fJ becomes 1.00 pJ.
    rounded = float(f"{value:.{digits - 1}e}")
    power = min(max(3 * math.floor(math.log10(abs(rounded)) / 3), min(_PREFIXES)), max(_PREFIXES))
    return minus(f"{_significant(rounded / 10.0**power, digits)} {_PREFIXES[power]}{unit}")


def setting(value: float, unit: str) -> str:
    """A value that was chosen, not computed, as it would be written by hand: ``0.2 V``, ``50 ps``."""
    if unit == "V":
        return minus(f"{value:g} V")
    number, _, prefixed = si(value, unit, digits=6).partition(" ")
    return minus(f"{float(number.replace(MINUS, '-')):g} {prefixed}")


def minus(number: str) -> str:
    """A number whose hyphen has become a true minus sign."""
    return number.replace("-", MINUS)


def chance(value: float) -> str:
    """A small probability: ``2.0e-12``."""
    return f"{value:.1e}"


def disturb_rows(device: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """What a record's device has on read disturb, as labels and figures; older records have the one."""
    alone, sequence = (device or {}).get("read_disturb"), (device or {}).get("disturb")
    if sequence:
        period = setting(sequence["period"], "s")
        reads = f"{sequence['reads']} reads, one each {period}"
        mark = "" if sequence["per_pass"] <= sequence["limit"] else ", destructive"
        yield "read disturb, a cell and pass, at most", f"{chance(sequence['per_pass'])} ({reads}){mark}"
    elif alone is not None:
        yield "read disturb, at most", f"{chance(alone)} per read"


def tops(value: float | None) -> str:
    """A figure in TOPS/W."""
    return MISSING if value is None else f"{_significant(value, 3)} TOPS/W"


def tops_or_unknown(block: Mapping[str, Any]) -> str:
    """A figure in TOPS/W that rests on a quantity which a table need not hold."""
    value = block["tops_per_watt"]
    return NOT_IN_TABLE if value is None else tops(value)


def claimed(tops_per_watt: float) -> str:
    """Another's figure in TOPS/W, with the digits it was given in."""
    return f"{tops_per_watt:g} TOPS/W"


def percent(value: float | None, spread: float | None = None) -> str:
    """A mean in per cent and, where there is one, its standard deviation."""
    if value is None:
        return MISSING
    return f"{value:.2f} %" if spread is None else f"{value:.2f} ± {spread:.2f} %"


def points(value: float | None, spread: float | None = None) -> str:
    """A difference of accuracies."""
    if value is None:
        return MISSING
    return minus(f"{value:+.2f}" + ("" if spread is None else f" ± {spread:.2f}") + " points")


def times(ratio: float) -> str:
    """A ratio of two energies, with three significant digits: ``173×``."""
    return f"{_significant(ratio, 3)}×"


def count(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def share(value: float) -> str:
    """A share of one in per cent, with two significant digits."""
    return f"{_significant(100 * value, 2)} %"


def power_of_ten(value: float) -> str:
    """A decade as text that needs no mathematics font: ``10⁻⁴``."""
    if not (value > 0 and math.isfinite(value)):
        return minus(f"{value:g}")
    exponent = round(math.log10(value))
    return "1" if exponent == 0 else f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def listed(values: object) -> str:
    """A list as words: ``1, 2, 3``."""
    return ", ".join(map(str, values)) if isinstance(values, list | tuple) else str(values)


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 < exponent < digits + 3:
        return f"{round(value, digits - 1 - exponent):.{max(digits - 1 - exponent, 0)}f}"
    return f"{value:.{digits - 1}e}"
