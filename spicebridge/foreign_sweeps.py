"""Sweeps of other simulators left in a deck (``.step``, ``.alter``, ``.data``), and the axis instead."""

from __future__ import annotations

from collections.abc import Callable

from spicebridge.errors import SpicebridgeError

Number = Callable[[str], float]  # reads a SPICE number, or raises SpicebridgeError
_KINDS = ("lin", "dec", "oct")
_MOST = 100  # values in a message
_TEMPERATURE = "write .param tc=27 and .temp {tc} into it"


def foreign_sweep(line: str, number: Number) -> str | None:
    """What to write in the place of a line that sweeps in another simulator; None for other lines."""
    words = line.replace("=", " ").replace(",", " ").split()
    command = words[0].lower() if words else ""
    if command == ".step":
        return _step(words[1:], number)
    if command in (".data", ".enddata"):
        return _data(words[1:], number)
    if command in (".alter", ".del"):
        return (
            "ngspice has no .alter. Take it out of the deck with what follows it, make a .param of each "
            'value that it changes, and an axis in the TOML file: [axes.NAME] with unit = "..." and '
            "values = [...]; of libraries' sections, library = and their names as values."
        )
    return None


def _step(words: list[str], number: Number) -> str:
    kind = words.pop(0).lower() if words and words[0].lower() in _KINDS else "lin"
    if words and words[0].lower() == "param":
        words.pop(0)
    name, *numbers = words or ["NAME"]
    listed = bool(numbers) and numbers[0].lower() == "list"
    values = _numbers(numbers[1 if listed else 0 :], number)
    keys = "values = [...]"
    if values:
        keys = _values(values) if listed else _span(kind, values)
    return (
        f"ngspice has no .step. Take the line out of the deck{_parameter(name)} and make it an axis in the "
        f'TOML file: [axes.{_axis_name(name)}] with unit = "..." and {keys}.'
    )


def _parameter(name: str) -> str:
    """What else the deck needs, where the name is none of a ``.param``."""
    if name.lower() in ("temp", "temperature"):
        return f", {_TEMPERATURE}"
    if name.lower()[:1] in ("v", "i"):
        own = _axis_name(name)
        return f", if {name} is a source write .param {own}=0 into it and give the source {{{own}}}"
    return ""


def _axis_name(name: str) -> str:
    return "tc" if name.lower() in ("temp", "temperature") else name.lower()


def _span(kind: str, values: list[float]) -> str:
    """The keys of a start, a stop and a step (or points a decade or an octave)."""
    if len(values) != 3 or values[2] <= 0:
        return _values(values)
    start, stop, step = values
    if kind == "lin":
        points = round(abs(stop - start) / step) + 1
        return f"start = {start:.12g}, stop = {stop:.12g}, points = {points}"
    base = 10.0 if kind == "dec" else 2.0
    ratio, points = stop / start if start > 0 else 0.0, 1
    while ratio > base ** ((points - 1) / step) * (1 + 1e-9) and points < 100_000:
        points += 1
    return f'start = {start:.12g}, stop = {stop:.12g}, points = {points}, spacing = "log"'


def _values(values: list[float]) -> str:
    written = [f"{each:.12g}" for each in sorted(set(values))]
    more = f", ...] of these and {len(written) - _MOST} more" if len(written) > _MOST else "]"
    return f"values = [{', '.join(written[:_MOST])}{more}"


def _data(words: list[str], number: Number) -> str:
    """The axes of a table of values: names, then a row for each point."""
    numbers = [_value(each, number) for each in words[1:]]
    first = next((at for at, each in enumerate(numbers) if each is not None), len(numbers))
    names, rows = words[1 : 1 + first], numbers[first:]
    whole = bool(names) and bool(rows) and len(rows) % len(names) == 0 and None not in rows
    axes = [
        f'[axes.{name.lower()}] with unit = "..." and '
        + (
            _values([each for each in rows[at :: len(names)] if each is not None])
            if whole
            else "values = [...]"
        )
        for at, name in enumerate(names[:6])
    ] or ['[axes.NAME] with unit = "..." and values = [...] for each column']
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (
        "ngspice has no .data. Take it out of the deck, with its rows, and make each column an axis in the "
        f"TOML file: {'; '.join(axes)}{more}. The axes are combined, each value with each."
    )


def _numbers(words: list[str], number: Number) -> list[float]:
    """The values of all words; empty where one of them is no number."""
    values = [_value(each, number) for each in words]
    known = [each for each in values if each is not None]
    return known if len(known) == len(values) else []


def _value(word: str, number: Number) -> float | None:
    try:
        return number(word)
    except SpicebridgeError:
        return None
