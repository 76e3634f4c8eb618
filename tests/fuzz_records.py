"""Mutated run records, through the commands that read records: ``python -m tests.fuzz_records``."""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests import digits_record, mixed_records, test_before
from tests.fuzzing import FORGED, Place, Tally, chance_of, numbers, place, try_commands

PAGES = 20  # one in so many mutants gets its page, which takes a second or two
_NEST = "\ue000nest here\ue000"
HOSTILE = (
    "",
    " ",
    "\0",
    "\x1b]0;title\x07",
    "a\x1b[2J\x1b[31mb",
    "\x9b31m",
    f"name\n{FORGED}",
    f"name\r{FORGED}",
    "\b\b\b\b",
    "x" * 6000,
    "\ud800",
    "\u202eevil",
    "<script>alert(1)</script>",
    "$(touch x) `touch x` ; touch x",
    "%s {0} {record}",
    "NaN",
    "passive_array",
    "mixed_precision",
    "network",
    "no such study",
    "Ω 長い",
)
NUMBERS = (
    0, 1, -1, 2, 3, 10**30, -(10**30), 10**400, 0.0, -0.0, 0.5, -1.5, 1e-320, 1e308, -1e308, float("nan"),
    float("inf"), float("-inf"), 2**31, 2**63, 2**64,
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [None], [1], ["a"], [[1, 2], [3]], {"a": 1}, {"": None}, [{}],
    {"runs": []}, {"digest": 1, "name": 2}, _NEST,
)  # fmt: skip


@cache
def bases() -> tuple[str, ...]:
    """Records of every kind, as JSON text; some have their tables at hand."""
    made = [digits_record.make_record(), mixed_records.make_record()]
    return tuple(json.dumps(each) for each in [*made, *map(test_before.record_of, test_before.RECORDS)])


def mutated_json(text: str, chance: random.Random, words: Sequence[str]) -> str:
    """JSON text with one to three changes of keys, types, values, lengths, nesting; mostly still JSON.

    Args:
        text: what is changed.
        chance: draws the changes.
        words: strings to try beside the ``HOSTILE`` ones.
    """
    value: Any = {"": json.loads(text)}  # so that the whole can be replaced too
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        _change(value, chance, words)
    changed = json.dumps(value[""], ensure_ascii=chance.random() < 0.9, indent=chance.choice((None, 1)))
    while json.dumps(_NEST)[1:-1] in changed or _NEST in changed:
        depth, (left, right) = (
            chance.choice((50, 900, 5_000, 200_000)),
            chance.choice((("[", "]"), ('{"a":', "}"))),
        )
        deep = left * depth + "1" + right * depth
        for spelt in (json.dumps(_NEST), f'"{_NEST}"'):
            changed = changed.replace(spelt, deep, 1)
        changed = changed.replace(json.dumps(_NEST)[1:-1], "").replace(_NEST, "")
    if chance.random() < 0.03:
        return _harmed(changed, chance)
    return changed


def _harmed(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return chance.choice((
        text[:at],
        text[:at] + chance.choice('{}[],:"\\\x00\x1b9e') + text[at + 1 :],
        text.replace(": 1", ": " + "9" * 5000, 1),
        "\ufeff" + text,
        text + text,
        "",
    ))  # fmt: skip


def _change(value: Any, chance: random.Random, words: Sequence[str]) -> None:
    """One change somewhere in a container, near its root as likely as deep in it."""
    holder, key = value, next(iter(value))
    while isinstance(holder[key], dict | list) and holder[key] and chance.random() < 0.8:
        holder = holder[key]
        key = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
    acts: list[Callable[..., None]] = [
        _drop, _rename, _replace, _replace, _replace, _number, _word, _word, _resize, _swap, _add,
    ]  # fmt: skip
    chance.choice(acts)(holder, key, chance, words)


def _drop(holder: Any, key: Any, _chance: random.Random, _words: Sequence[str]) -> None:
    if holder is not None and key != "":
        del holder[key]


def _rename(holder: Any, key: Any, chance: random.Random, words: Sequence[str]) -> None:
    if isinstance(holder, dict) and key != "":
        holder[chance.choice((f"{key}_", str(key).upper(), "", *HOSTILE, *words))] = holder.pop(key)
    else:
        _replace(holder, key, chance, words)


def _replace(holder: Any, key: Any, chance: random.Random, words: Sequence[str]) -> None:
    kinds = (OTHERS, NUMBERS, HOSTILE, words)
    held = holder[key]
    new = chance.choice(chance.choice(kinds))
    if chance.random() < 0.2:
        new = chance.choice((str(held), [held], {"value": held}, {str(held)[:40]: held}, [held, held]))
    holder[key] = json.loads(json.dumps(new))


def _number(holder: Any, key: Any, chance: random.Random, words: Sequence[str]) -> None:
    held = holder[key]
    if isinstance(held, int | float) and not isinstance(held, bool):
        scale = chance.choice((-1, 0, 2, 1000, 0.5, 1e-9, 1e9))
        holder[key] = chance.choice((held * scale, held + 1, str(held), chance.choice(NUMBERS)))
    else:
        _replace(holder, key, chance, words)


def _word(holder: Any, key: Any, chance: random.Random, words: Sequence[str]) -> None:
    held = holder[key]
    if isinstance(held, str):
        new = chance.choice((*HOSTILE, *words, *words))
        holder[key] = chance.choice((new, held + new, new + held, held[:-1], held.swapcase()))
    elif isinstance(held, dict):
        held[chance.choice((*HOSTILE, *words))] = chance.choice((*HOSTILE, *words, 1, None))
    else:
        _replace(holder, key, chance, words)


def _resize(holder: Any, key: Any, chance: random.Random, words: Sequence[str]) -> None:
    held = holder[key]
    if isinstance(held, list) and held:
        holder[key] = chance.choice((
            held[:-1], held[1:], held[:1], held + held[-1:], held * 2, [], held[::-1], [*held, None], [held],
            [chance.choice(held)] * len(held),
        ))  # fmt: skip
    elif isinstance(held, dict) and held:
        kept = list(held.items())
        holder[key] = chance.choice(
            (dict(kept[:-1]), dict(kept[1:]), dict(kept[:1]), {}, list(held.values()))
        )
    else:
        _replace(holder, key, chance, words)


def _swap(holder: Any, key: Any, chance: random.Random, words: Sequence[str]) -> None:
    if len(holder) < 2:
        _replace(holder, key, chance, words)
        return
    other = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
    holder[key], holder[other] = holder[other], holder[key]


def _add(holder: Any, key: Any, chance: random.Random, words: Sequence[str]) -> None:
    new = chance.choice((*OTHERS, *NUMBERS, *HOSTILE, *words))
    if isinstance(holder[key], list):
        holder[key].insert(chance.randrange(len(holder[key]) + 1), new)
    elif isinstance(holder[key], dict):
        holder[key][chance.choice((*HOSTILE, *words, "study", "arms", "energy", "write", "update"))] = new
    else:
        _replace(holder, key, chance, words)


def parses(content: bytes) -> bool:
    """Whether it is JSON."""
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def make_record(seed: int, number: int, words: Sequence[str]) -> bytes:
    """One mutant."""
    chance = chance_of(seed, number)
    return mutated_json(chance.choice(bases()), chance, words).encode(errors="surrogatepass")


def keep_tables(where: Place) -> None:
    """Put the tables of the records at hand."""
    for table in (*digits_record.TABLES.values(), *list(mixed_records.TABLES.values())[-1:]):
        table.save(where.results / "tables" / f"{table.name}.h5")


def fuzz(
    where: Place, *, seed: int, count: int, first: int = 0, seconds: float = math.inf, pages: int = PAGES
) -> Tally:
    """Mutants ``first`` to ``first + count`` of a seed, as far as ``seconds`` go, through the commands.

    Args:
        where: they are put there.
        seed, first, count, seconds: which mutants.
        pages: one in so many has its page made.
    """
    tally = Tally()
    keep_tables(where)
    path = where.results / "runs" / "stranger" / "record.json"
    path.parent.mkdir(exist_ok=True)
    for number in numbers(first, count, seconds):
        content = make_record(seed, number, where.words())
        path.write_bytes(content)
        tally.made += 1
        tally.parsed += parses(content)
        name = "latest" if number % 10 == 3 else "stranger"
        commands: list[list[str]] = [["report", name, "--json"]]
        if number % 4 < 2:  # a trace reads every table at hand
            commands.append(["trace", name, *(["--json"] * (number % 2))])
        if number % pages == 0:
            commands.append(["report", name])
        if number % 50 == 1:
            commands += [["list"], ["trace", name, "--replay"]]
        try_commands(tally, number, where, commands, may_write=may_write)
        for page in (where.results / "reports").glob("*"):
            page.unlink()
    return tally


def may_write(name: str) -> bool:
    """Whether reading a record may make this file: a page in the folder of reports."""
    return Path(name).parent == Path("here/results/reports") and name.endswith(".html")


def main(run: Callable[..., Tally] = fuzz) -> None:
    """Mutants by the thousand, and what went wrong with which."""
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--seconds", type=float, default=math.inf)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as where:
        tally = run(where, seed=given.seed, count=given.count, first=given.first, seconds=given.seconds)
    sys.stdout.write(f"seed {given.seed}, from {given.first}\n{tally.text()}\n")


if __name__ == "__main__":
    main()
