"""Mutated checkpoints, through the training that goes on from them: ``python -m tests.fuzz_checkpoints``."""

from __future__ import annotations

import io
import json
import math
import random
import warnings
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nn.checkpoint import CHECKPOINTS
from nn.jobs import Progress
from nn.studies import load_study, run_study
from spicebridge.table import LookupTable
from tests import synthetic_pcm, synthetic_tables
from tests.fuzz_records import HOSTILE, main, mutated_json
from tests.fuzzing import Place, Tally, chance_of, numbers, try_commands

Arrays = dict[str, np.ndarray[Any, Any]]
EPOCHS = 2
SETTINGS = (
    "dataset=digits", "hidden=[2]", f"epochs={EPOCHS}", "batch=20", "split={train=40, test=20, seed=0}",
)  # fmt: skip
EXPERIMENTS = ("digits_ternary_mtj", "mnist_pcm_mixed")
"""One of each kind of network that is kept while it trains."""
_MEMBERS = 60_000  # bytes: a header that lies about its array does so within this


def tables() -> dict[str, LookupTable]:
    """All that the experiments read, by name."""
    return synthetic_tables.tables() | synthetic_pcm.tables()


def command(experiment: str) -> list[str]:
    """The training that goes on from a checkpoint."""
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return [
        "train",
        experiment,
        *settings,
        "--seeds",
        "1",
        "--arms",
        "table",
        "--workers",
        "1",
        "--allow-holes",
    ]


class _CutError(Exception):
    """Ends a training when its first checkpoints are kept."""


def keep_bases(where: Place) -> dict[str, list[bytes]]:
    """Every experiment's checkpoints after each epoch, as the command's own training keeps them."""
    for name, table in tables().items():
        table.save(where.results / "tables" / f"{name}.h5")
    return {name: _checkpoints(where, name) for name in EXPERIMENTS}


def _checkpoints(where: Place, name: str) -> list[bytes]:
    overrides = dict(setting.split("=", 1) for setting in SETTINGS) | {"seeds": [1]}
    experiment = load_study(name, overrides=overrides)
    path = where.results / "runs" / name / CHECKPOINTS / "table-1.npz"
    kept: list[bytes] = []

    def keep(_: Progress) -> None:
        kept.append(path.read_bytes())
        if len(kept) == EPOCHS:
            raise _CutError

    def run(**how: Any) -> None:
        run_study(
            experiment, {each: tables()[each] for each in experiment.tables.names}, folder=path.parent.parent,
            arms=["table"], workers=1, data_folder=None, resume=True, circumstances={}, **how,
        )  # fmt: skip

    try:
        run(show=lambda *_: keep(Progress("", 0, 0, 0, 0.0, 0.0)), allow_holes=True)
    except _CutError:
        return kept
    raise AssertionError(f"{name} trained without a checkpoint of its {EPOCHS} epochs")


@cache
def _members(content: bytes) -> tuple[tuple[str, np.ndarray[Any, Any]], ...]:
    with np.load(io.BytesIO(content)) as file:
        return tuple((name, file[name]) for name in file.files)


class _Harm:
    """Unpickled, it would make a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.path, "w")


def make_checkpoint(base: bytes, chance: random.Random, words: Sequence[str]) -> bytes:
    """One mutant: what is counted, arrays, their types and shapes, the archive itself."""
    if chance.random() < 0.04:
        at = chance.randrange(len(base))
        return chance.choice((base[:at], base[:at] + chance.randbytes(3) + base[at + 3 :], b"", base[at:]))
    arrays = dict(_members(base))
    for _ in range(chance.choice((1, 1, 1, 2))):
        chance.choice((_counted, _counted, _counted, _counted, _array, _array, _values, _values))(
            arrays, chance, words
        )
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w") as archive:
        warnings.simplefilter("ignore")
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array)
            data = member.getvalue()
            if chance.random() < 0.003:
                data = _lying(data, chance)
            archive.writestr(f"{name}.npy", data)
            if chance.random() < 0.002:
                archive.writestr(f"{name}.npy", data[: len(data) // 2])
    return written.getvalue()


def _lying(data: bytes, chance: random.Random) -> bytes:
    """An array whose header says another shape, type or nothing at all."""
    said = chance.choice((
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<U99999999', 'fortran_order': False, 'shape': (9999,), }",
        "__import__('os').getcwd()",
        "[" * 5000,
        "{}",
    ))  # fmt: skip
    header = said.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data[128:_MEMBERS]


def _counted(arrays: Arrays, chance: random.Random, words: Sequence[str]) -> None:
    """Change what is kept beside the arrays; not the fingerprint, without which nothing is read."""
    if "rest" not in arrays or arrays["rest"].dtype.kind != "U" or arrays["rest"].ndim:
        return
    held = json.loads(str(arrays["rest"])) if str(arrays["rest"])[:1] == "{" else {}
    mark = held.pop("fingerprint", None) if isinstance(held, dict) else None
    changed = mutated_json(json.dumps(held), chance, words)
    if mark is not None and changed.lstrip().startswith("{") and chance.random() < 0.98:
        changed = changed.replace("{", f'{{"fingerprint": "{mark}"{", " if len(held) else ""}', 1)
    arrays["rest"] = np.array(changed.replace("\ud800", "?"))


def _array(arrays: Arrays, chance: random.Random, words: Sequence[str]) -> None:
    """Another name, type or shape, or none."""
    name = chance.choice(list(arrays))
    held = arrays[name]
    kind = chance.choice((
        "gone", "named", "more", "longer", "shorter", "none", "scalar", "deeper", "type", "object", "pulses",
    ))  # fmt: skip
    text = chance.choice((*HOSTILE, *words)).replace("\ud800", "?").replace("\0", "?")
    if kind in ("gone", "named"):
        del arrays[name]
        if kind == "named":
            arrays[text] = held
    elif kind == "more":
        arrays[text] = held
    elif kind == "pulses":
        arrays[f"pulses.{text}"] = np.array(chance.choice(([1, 2], [-1], [], [[1]], [0.5], ["a"])))
    elif kind == "object":
        made = np.empty(1, object)
        made[0] = _Harm(words[3] + ".made")
        arrays[name] = made
    elif kind == "type":
        kinds = ("i1", "f2", "f4", "f8", "i8", "u8", "?", "c16", "U5", "S5", "M8[s]", "V3")
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            new = np.dtype(chance.choice(kinds))
            arrays[name] = (
                held.astype(new) if held.dtype.kind in "biuf" and new.kind != "V" else np.zeros(3, new)
            )
    else:
        flat = held.ravel()
        shapes: dict[str, Any] = {
            "longer": np.concatenate([flat, flat[:1]]) if held.ndim < 2 else np.concatenate([held, held[:1]]),
            "shorter": held[:-1] if held.ndim else flat,
            "none": flat[:0],
            "scalar": flat[0] if flat.size else np.zeros(()),
            "deeper": held[None],
        }
        arrays[name] = np.asarray(shapes[kind])


def _values(arrays: Arrays, chance: random.Random, _words: Sequence[str]) -> None:
    """Numbers that no training gives."""
    name = chance.choice([each for each in arrays if arrays[each].dtype.kind in "biuf" and arrays[each].size])
    held = arrays[name].copy()
    number = chance.choice((np.nan, np.inf, -np.inf, -1, 0, 2, 127, 1e30, -(2.0**40), 1e-320))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        new = np.array(number).astype(held.dtype)
        if chance.random() < 0.5:
            held[...] = new
        else:
            np.put(held, chance.randrange(held.size), new)
    arrays[name] = held


def parses(content: bytes) -> bool:
    """Whether every array of the archive can be read, and what is counted is JSON."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        json.loads(str(arrays["rest"]))
    except Exception:  # NumPy and zipfile raise many kinds
        return False
    return True


def fuzz(where: Place, *, seed: int, count: int, first: int = 0, seconds: float = math.inf) -> Tally:
    """Mutants ``first`` to ``first + count`` of a seed, as far as ``seconds`` go, taken up by training."""
    tally = Tally()
    bases = keep_bases(where)
    for number in numbers(first, count, seconds):
        chance = chance_of(seed, number)
        experiment = EXPERIMENTS[number % 4 == 3]  # pairs take longer
        content = make_checkpoint(chance.choice(bases[experiment]), chance, where.words())
        path = where.results / "runs" / experiment / CHECKPOINTS / "table-1.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        tally.made += 1
        tally.parsed += parses(content)
        commands = [command(experiment)]
        try_commands(tally, number, where, commands, may_write=may_write)
        if number % 10 == 0:
            try_commands(tally, number, where, [["report", experiment, "--json"]], may_write=may_write)
    return tally


def may_write(name: str) -> bool:
    """Whether training may make or remove this file: what lies in its run's own folder."""
    return Path(name).parts[:3] == ("here", "results", "runs") and Path(name).parts[3] in EXPERIMENTS


if __name__ == "__main__":
    main(fuzz)
