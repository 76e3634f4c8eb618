"""Mutations of text that keep its grammar: what a reader meets when a file is wrong rather than garbled."""

from __future__ import annotations

import copy
import random
import re
import tomllib
from typing import Any

# Values of every type that TOML has, at the ends of their ranges.
ODD: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**63 - 1, -(2**63), 0.0, -0.0, 1e308, -1e308, 5e-324, float("inf"), float("nan"),
    True, False, "", " ", "a", "../x", "/etc/passwd", "x\n.control", "\x1b[31m", "é" * 3, "%s%n", "$HOME",
    "`id`", "a" * 5000, [], [[]], [1, "a"], [float("nan")], [1e308, -1e308], [0] * 300, {}, {"a": {}},
    {"start": 1}, [{}],
)  # fmt: skip
BYTES = "\0\x01\t\n\r\x0b\x0c\x1b\"'`$\\{}[]()=*+-/.,;:<>é\u2028\U0001f600"


def toml_text(content: dict[str, Any]) -> str:
    """TOML of a nested dictionary: every table inline, which keeps the writer small."""
    return "".join(f"{_quoted(key)} = {_value(value)}\n" for key, value in content.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)} = {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)


def mutated_toml(text: str, rng: random.Random) -> str:
    """The text with one to three keys, values, types or lengths changed; one in five with bytes changed."""
    if rng.random() < 0.2:
        return mutated_bytes(text, rng)
    content = copy.deepcopy(tomllib.loads(text))
    for _ in range(rng.randint(1, 3)):
        holders = list(_holders(content))
        holder = rng.choice(holders)
        if not holder:
            if isinstance(holder, list):
                holder.append(rng.choice(ODD))
            else:
                holder["added"] = rng.choice(ODD)
            continue
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        match rng.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice(["added", "", "a.b", "é", "deck", "values", "\x1b[2J", str(key) + "x"])] = (
                    holder.pop(key)
                )
            case 2:
                holder[key] = [copy.deepcopy(holder[key])]
            case 3 if isinstance(holder, dict):
                holder["added" if rng.random() < 0.5 else str(key) + "_2"] = copy.deepcopy(rng.choice(ODD))
            case 4 if isinstance(holder[key], list):
                holder[key] = holder[key] * rng.choice([0, 2, 3])
            case 5 if isinstance(holder[key], int | float | str) and not isinstance(holder[key], bool):
                holder[key] = rng.choice([holder[key] * 2, str(holder[key])])
            case _:
                holder[key] = copy.deepcopy(rng.choice(ODD))
    return toml_text(content)


def _holders(value: Any) -> Any:
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _holders(each)


def mutated_bytes(text: str, rng: random.Random) -> str:
    """The text with a few characters replaced, a stretch repeated or its end cut."""
    characters = list(text)
    for _ in range(rng.randint(1, 4)):
        if not characters:
            break
        at = rng.randrange(len(characters))
        match rng.randrange(4):
            case 0:
                characters[at] = rng.choice(BYTES)
            case 1:
                del characters[at : at + rng.randint(1, 20)]
            case 2:
                characters[at:at] = characters[at : at + rng.randint(1, 40)] * rng.randint(1, 3)
            case _:
                characters[at:at] = rng.choice(BYTES)
    return "".join(characters)


_WORD = re.compile(r'"[^"\n]*"|`?[\w$.]+|\n|[^\w\s]')
NUMBERS = ("0", "-1", "1e400", "1e-400", "nan", "99999999999999999999", "1k", "0x", "1.2.3", "1e", ".5")


def mutated_words(text: str, rng: random.Random, words: tuple[str, ...]) -> str:
    """The text with one to four words dropped, doubled, swapped, replaced or put elsewhere.

    One in five has bytes changed instead. ``words`` are those of the language.
    """
    if rng.random() < 0.2:
        return mutated_bytes(text, rng)
    for _ in range(rng.randint(1, 4)):
        spans = [match.span() for match in _WORD.finditer(text)]
        if not spans:
            return text
        begin, end = rng.choice(spans)
        word = text[begin:end]
        other = text[slice(*rng.choice(spans))]
        new = rng.choice(
            [
                "",
                f"{word} {word}",
                other,
                rng.choice(words),
                rng.choice(NUMBERS),
                f"{word} {rng.choice(words)}",
            ]
        )
        text = f"{text[:begin]}{new}{text[end:]}"
    return text
