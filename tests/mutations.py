"""Changes of JSON-like content that mostly leave it JSON: keys, types, lengths, numbers, texts, nesting."""

from __future__ import annotations

import copy
import random
from typing import Any

ODD = (
    None, True, -1, 0, 1e308, 1e-320, -0.0, 2**63, "", "x", "\x1b[2J", "../../etc/passwd", "/etc/passwd",
    "nan", "\u202e", [], {}, [[]], {"": None}, [None], "a" * 5000, [0] * 1000,
)  # fmt: skip


def mutated(value: Any, generator: random.Random, changes: int = 2) -> Any:
    """The content with some changes."""
    changed = copy.deepcopy(value)
    for _ in range(generator.randint(1, changes)):
        places = list(_places(changed))
        if not places:
            return generator.choice(ODD)
        # A place of few levels as often as one of many, of which there are more.
        depth = generator.choice(sorted({len(path) for path in places}))
        _change(changed, generator.choice([path for path in places if len(path) == depth]), generator)
    return changed


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(inner)[:40]:
        yield (*path, key)
        yield from _places(each, (*path, key))


def _change(value: Any, path: tuple[Any, ...], generator: random.Random) -> None:
    for key in path[:-1]:
        value = value[key]
    key = path[-1]
    kind = generator.randrange(7)
    if kind == 0:
        del value[key]
    elif kind == 1 and isinstance(value, dict):
        value[generator.choice(["", "x", "\x1b[31m", str(key).upper()])] = value.pop(key)
    elif kind == 2:
        value[key] = _nested(generator.choice([3, 60, 200]), value[key])
    elif kind == 3 and isinstance(value[key], list):
        value[key] = value[key] * 2 if generator.random() < 0.5 else value[key][:-1]
    elif kind == 4 and isinstance(value[key], int | float):
        value[key] = value[key] * generator.choice([-1, 0, 1e300, 0.5])
    elif kind == 5:
        value[key] = [value[key]] if generator.random() < 0.5 else {"value": value[key]}
    else:
        value[key] = copy.deepcopy(generator.choice(ODD))


def _nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = [value]
    return value
