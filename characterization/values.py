"""Values as a definition gives them: axes and numbers, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from spicebridge.errors import SpicebridgeError
from spicebridge.limits import AXIS, POINTS, Limit
from spicebridge.settings import shortened
from spicebridge.table import check_axis

_SPACINGS = ("linear", "log")


class DefinitionError(SpicebridgeError):
    """A table definition that is missing or does not make sense."""


def axis(name: str, value: object) -> tuple[float, ...]:
    """A number axis from a list of values or from ``{start, stop, points}``, ``spacing = "log"`` if wanted.

    Raises:
        DefinitionError: neither, or spaced as it cannot be.
        TableError: not finite and strictly increasing.
    """
    if isinstance(value, Mapping):
        values: Sequence[float] = _spaced(name, value)
    elif isinstance(value, list) and all(is_number(each) for each in value):
        values = [_finite(name, each) for each in value]
    else:
        raise DefinitionError(
            f"axis {name} is {shortened(repr(value))}: give a list of numbers or start, stop, points."
        )
    check_axis(name, values)
    return tuple(values)


def number(name: str, value: object) -> float:
    """A positive number of a sweep, SI units.

    Raises:
        DefinitionError: it is none.
    """
    if not is_number(value) or not 0 < value < float("inf"):  # type: ignore[operator]  # a number
        raise DefinitionError(f"{name} = {value!r} should be a positive number.")
    return _finite(name, value)


def whole(name: str, value: object, *, least: int = 1, most: Limit | None = None) -> int:
    """A whole number of a sweep, no smaller than ``least``, and no larger than ``most``.

    Raises:
        DefinitionError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise DefinitionError(f"{name} = {value!r} should be a whole number of at least {least}.")
    if most is not None and value > most.value:
        raise DefinitionError(f"{name} = {value!r} is more than {most.said}. {most.remedy}")
    return value


def check_points(name: str, *lengths: int) -> None:
    """Refuse axes whose product is more points than a table may have.

    Raises:
        DefinitionError: it is.
    """
    if (points := math.prod(lengths)) > POINTS.value:
        raise DefinitionError(f"{name}: {points:,} points are more than {POINTS.said}. {POINTS.remedy}")


def is_number(value: object) -> bool:
    """Whether a TOML value is a number, ``true`` being none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _spaced(name: str, value: Mapping[str, object]) -> list[float]:
    ends, points = (value.get("start"), value.get("stop")), value.get("points")
    if not all(is_number(each) for each in ends) or not _is_count(points):
        raise DefinitionError(
            f"axis {name} needs numbers start and stop, and points, 1 to {AXIS.value:.0f}. {AXIS.remedy}"
        )
    start, stop = (_finite(name, each) for each in ends)
    spacing = value.get("spacing", "linear")
    if spacing not in _SPACINGS:
        raise DefinitionError(f"axis {name} has spacing {spacing!r}. There are: {', '.join(_SPACINGS)}.")
    if spacing == "log" and not 0 < start <= stop:
        raise DefinitionError(f"axis {name} has spacing log, so 0 < start <= stop must hold.")
    with np.errstate(all="ignore"):  # ends too far apart for a float give what check_axis refuses
        space = np.geomspace if spacing == "log" else np.linspace
        # Twelve figures, so that 0.45 is 0.45 and not what adding steps makes of it.
        return [float(f"{each:.12g}") for each in space(start, stop, int(points))]  # type: ignore[call-overload]


def _is_count(value: object) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and 1 <= value <= AXIS.value  # type: ignore[operator]


def _finite(name: str, value: object) -> float:
    """The number as a float; TOML's integers may be too large for one."""
    try:
        return float(value)  # type: ignore[arg-type]  # a number
    except OverflowError as error:
        raise DefinitionError(f"{name} holds a number that is too large.") from error
