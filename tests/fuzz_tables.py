"""Mutated lookup tables, through the commands that read tables: ``python -m tests.fuzz_tables``.

A mutant's digest and seal are made anew wherever its content still allows it: a stranger can do that too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import xarray as xr

from spicebridge.errors import SpicebridgeError
from spicebridge.table import LookupTable, load_table
from tests import command_line, synthetic_array, synthetic_pcm, synthetic_tables, test_before
from tests.fuzz_records import HOSTILE, NUMBERS, main, mutated_json
from tests.fuzzing import Place, Tally, chance_of, numbers, try_commands

REPLAYS = 25  # one in so many mutants is simulated again
ATTRIBUTES = (
    "table", "digest", "lineage", "origin", "units", "long_name", "scale", "labels", "flag_meanings",
    "flag_values", "_FillValue", "missing_value", "scale_factor", "add_offset", "dtype", "coordinates",
    "calendar", "_Unsigned", "grid_mapping", "bounds", "valid_range", "_NCProperties", "CLASS", "NAME",
    "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_nc3_strict", "Conventions",
)  # fmt: skip
NETLIST: dict[str, Any] = {
    "procedure": "netlist",
    "axes": {"v": {"unit": "V", "values": [0.4, 0.6]}, "state": {"unit": "1", "values": ["p", "ap"]}},
    "measures": {"current": "A"},
    "parameters": {"r": {"value": 1e3, "unit": "1", "source": "sheet.toml"}},
    "batch": 1,
    "simulations": 4,
    "decks": {"ab" * 32: "sheet"},
    "base_decks": ["ab" * 32],
    "models": {"mtj": "cd" * 32},
    "netlists": {"sheet.cir": "ef" * 32, "models/mtj.va": "01" * 32},
    "may_lack": ["current"],
    "expected_holes": [{"at": {"v": 0.6, "state": "ap"}, "measures": ["current"]}],
    "failed": [{"at": {"v": 0.4, "state": "ap"}, "deck": "ab" * 32, "why": "timestep too small"}],
    "aids": [{"at": {"v": 0.4, "state": "p"}, "aid": "gmin = 1e-10"}],
}  # fmt: skip


@cache
def bases() -> tuple[bytes, ...]:
    """Tables of every kind, as files; those of before and from tests, small ones oftener."""
    before = [(test_before.BEFORE / f"{name}.h5").read_bytes() for name in ("synapse_read", "pcm_reset")]
    with TemporaryDirectory() as folder:
        sheet = command_line.keep_sheet(Path(folder))
        netlist = LookupTable(data=sheet.data, name="sheet", lineage=NETLIST, origin={"ngspice": "46"})
        swept = load_table(test_before.BEFORE / "synapse_read.h5")
        tiny = {**swept.lineage, "sweep": {**swept.lineage["sweep"], "v_read": [0.1], "t_read": [1e-9]}}
        small = replace(swept, lineage=tiny)
        made = [
            *synthetic_tables.tables().values(), *synthetic_pcm.tables().values(),
            synthetic_array.read_table(), sheet, netlist, netlist, small, small,
        ]  # fmt: skip
        for number, table in enumerate(made):
            table.save(Path(folder, f"{number}.h5"))
        return (*before, *(Path(folder, f"{number}.h5").read_bytes() for number in range(len(made))))


def make_table(path: Path, seed: int, number: int, words: Sequence[str], *, small: bool = False) -> bool:
    """Write one mutant to ``path``, of those that simulate in seconds if ``small``; whether HDF5 opens it."""
    chance = chance_of(seed, number)
    path.unlink(missing_ok=True)
    path.write_bytes(chance.choice(bases()[-5:] if small else bases()))
    if chance.random() < 0.04:
        path.write_bytes(_harmed(path.read_bytes(), chance))
        return _opens(path)
    acts = (
        _lineage, _lineage, _lineage, _lineage, _lineage, _lineage, _attribute, _attribute, _attribute,
        _retype, _reshape, _reshape, _values, _values, _rename, _remove, _link, _elsewhere, _group,
    )  # fmt: skip
    with h5py.File(path, "r+") as file:
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            # HDF5 itself refuses some changes, and some of what an earlier one left.
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError):
                chance.choice(acts)(file, chance, words)
    if chance.random() < 0.95:
        _make_digest_anew(path)
    content = path.read_bytes()
    if chance.random() < 0.95:
        path.write_bytes(content + b"\nsha256 " + hashlib.sha256(content).hexdigest().encode())
    return _opens(path)


def _harmed(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    harmed = chance.choice((
        content[:at],
        content[:at] + chance.randbytes(4) + content[at + 4 :],
        content[:at] * 2,
        b"",
        b"{}",
    ))  # fmt: skip
    if chance.random() < 0.5:
        return harmed + b"\nsha256 " + hashlib.sha256(harmed).hexdigest().encode()
    return harmed


def _opens(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return bool(len(file) >= 0)
    except (OSError, RuntimeError, ValueError):
        return False


def _make_digest_anew(path: Path) -> None:
    """The digest of what is there now, where there is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
                data = opened.load()
        attributes, data.attrs = dict(data.attrs), {}
        lineage = json.loads(attributes["lineage"])
        digest = LookupTable(data=data, name=str(attributes["table"]), lineage=lineage, origin={}).digest
    except (Exception, SpicebridgeError):  # a mutant without one keeps the old
        return
    with contextlib.suppress(OSError, RuntimeError), h5py.File(path, "r+") as file:
        file.attrs["digest"] = digest


def _objects(file: h5py.File) -> list[Any]:
    return [file, *(file[name] for name in file if file.get(name, getlink=False) is not None)]


def _dataset(file: h5py.File, chance: random.Random) -> h5py.Dataset:
    return file[chance.choice([name for name in file if isinstance(file.get(name), h5py.Dataset)])]


def _lineage(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    name = chance.choice(("lineage", "lineage", "lineage", "lineage", "origin"))
    file.attrs[name] = mutated_json(str(file.attrs[name]), chance, words)


def _hostile(file: h5py.File, chance: random.Random, words: Sequence[str]) -> Any:
    """A value for an attribute."""
    text = chance.choice((*HOSTILE, *words)).replace("\ud800", "?")
    numbers = [each for each in NUMBERS if not isinstance(each, int) or abs(each) < 2**63]
    return chance.choice((
        text, text, text, text, chance.choice(numbers), [text, text], [1, 2, 3], h5py.Empty("f8"), file.ref,
        np.array(["a"], h5py.string_dtype()), h5py.Empty(h5py.string_dtype()), np.bytes_(b"\xff\xfe\x1b[31m"),
        np.bool_(True), np.zeros((2, 2)), np.array([], float), "linear", "log", "log(-log)", "yes", "no",
        "f8", "seconds since 1970-01-01", np.array((1, 2.0), [("a", "i4"), ("b", "f8")]), "x y z",
        np.complex128(1j), np.void(b"opaque"),
    ))  # fmt: skip


def _attribute(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    of = chance.choice(_objects(file))
    held = list(of.attrs)
    if held and chance.random() < 0.2:
        del of.attrs[chance.choice(held)]
        return
    name = chance.choice(held) if held and chance.random() < 0.6 else chance.choice((*ATTRIBUTES, *words))
    of.attrs[name] = _hostile(file, chance, words)


def _renew(file: h5py.File, old: h5py.Dataset, data: Any, **how: Any) -> None:
    """A dataset in another's place, on its axes as far as they fit."""
    name, attributes = old.name, {}
    for key in old.attrs:
        if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid"):
            attributes[key] = old.attrs[key]
    axes = [axis[0].name if len(axis) else None for axis in old.dims]
    scale = old.is_scale
    del file[name]
    new = file.create_dataset(name, data=data, **how)
    new.attrs.update(attributes)
    if scale:
        new.make_scale(name.lstrip("/"))
    else:
        for place_, axis in enumerate(axes[: len(new.shape or ())]):
            if axis in file:
                new.dims[place_].attach_scale(file[axis])


def _retype(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    old = _dataset(file, chance)
    values = old[()]
    texts = h5py.string_dtype()
    kind = chance.choice((
        "i1", "u1", "i8", "u8", "f2", "f4", ">f8", "c16", "S4", "texts", "bool", "compound", "reference",
        "enum", "void", "vlen", "words",
    ))  # fmt: skip
    shape = np.shape(values)
    if kind == "texts":
        _renew(file, old, np.array(np.asarray(values).astype(str), dtype=object), dtype=texts)
    elif kind == "words":
        picked = [
            chance.choice((*HOSTILE[3:9], *HOSTILE[11:], *words)) for _ in range(max(np.size(values), 1))
        ]
        _renew(file, old, np.array(picked[: np.size(values)], dtype=object).reshape(shape), dtype=texts)
    elif kind == "compound":
        _renew(file, old, np.zeros(shape, [("a", "f8"), ("b", "i4")]))
    elif kind == "reference":
        _renew(file, old, np.full(shape, file.ref, h5py.ref_dtype), dtype=h5py.ref_dtype)
    elif kind == "enum":
        _renew(file, old, np.zeros(shape, "i1"), dtype=h5py.enum_dtype({"a": 0, "b": 1}, "i1"))
    elif kind == "void":
        _renew(file, old, np.zeros(shape, "V4"))
    elif kind == "vlen":
        _renew(file, old, None, shape=shape, dtype=h5py.vlen_dtype("i4"))
    else:
        numbers = values if np.asarray(values).dtype.kind in "biuf" else np.zeros(shape)
        with np.errstate(all="ignore"):
            _renew(file, old, np.asarray(numbers).astype(kind))


def _reshape(file: h5py.File, chance: random.Random, _words: Sequence[str]) -> None:
    old = _dataset(file, chance)
    values = np.asarray(old[()])
    flat = values.ravel()
    kind = chance.choice(
        ("shorter", "longer", "none", "scalar", "flat", "more", "null", "turned", "one", "giant", "32")
    )
    if kind == "null":
        _renew(file, old, h5py.Empty(old.dtype))
    elif kind == "giant":  # a file of nothing that asks for more memory than there is
        size = chance.choice(((1 << 36,), (1 << 20, 1 << 20), (1 << 62,), (1 << 22,)))
        _renew(file, old, None, shape=size, dtype="f8", chunks=(4,) * len(size))
    else:
        new: dict[str, Any] = {
            "shorter": values[:-1] if values.ndim else flat,
            "longer": np.concatenate([values, values[-1:]]) if values.ndim else flat.repeat(3),
            "none": values[:0] if values.ndim else flat[:0],
            "scalar": flat[0] if flat.size else np.float64(0),
            "flat": flat,
            "more": values[None],
            "turned": values.T,
            "one": flat[:1],
            "32": values[(None,) * (32 - values.ndim)],
        }
        _renew(file, old, new[kind], dtype=old.dtype)


def _values(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    old = _dataset(file, chance)
    values = np.array(old[()])
    if values.dtype.kind not in "biuf":
        if values.size and values.dtype.kind == "O":
            values.ravel()[chance.randrange(values.size)] = chance.choice(
                (*HOSTILE[3:9], *HOSTILE[11:], *words)
            )
            old[...] = values
        return
    kind = chance.choice(("one", "one", "all", "reversed", "equal", "negative", "scaled", "noise"))
    number = chance.choice([each for each in NUMBERS if not isinstance(each, int) or abs(each) < 2**31])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "one" and values.size:
            np.put(values, chance.randrange(values.size), number)
        elif kind == "all":
            values[...] = number
        elif kind == "reversed":
            values = np.flip(values)
        elif kind == "equal":
            values[...] = values.ravel()[0]
        elif kind == "negative":
            values = -values
        elif kind == "scaled":
            values = (values * chance.choice((1e-300, 1e6, 1e300))).astype(values.dtype)
        else:
            values = (
                np.random.default_rng(chance.randrange(99)).normal(size=values.shape).astype(values.dtype)
            )
    old[...] = values


def _rename(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    texts = [each for each in (*HOSTILE, *words) if each and "\0" not in each and "\ud800" not in each]
    new = chance.choice((*texts, "energy", "v_write", "state", "p_switch"))
    file.move(chance.choice(list(file)), new if chance.random() < 0.9 else f"group/{new}")


def _remove(file: h5py.File, chance: random.Random, _words: Sequence[str]) -> None:
    del file[chance.choice(list(file))]


def _link(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    """A link where a dataset was, or beside the others."""
    names = list(file)
    name = chance.choice((*names, "more"))
    other = chance.choice(names)
    if name in file:
        del file[name]
    kind = chance.choice(("external", "external", "dangling", "loop", "alias", "root", "type"))
    if kind == "external":
        file[name] = h5py.ExternalLink(chance.choice(words[:6]), f"/{other}")
    elif kind == "alias":
        file[name] = file[other]
    elif kind == "root":
        file[name] = file["/"]
    elif kind == "type":
        file[name] = np.dtype("f8")
    else:
        file[name] = h5py.SoftLink(f"/{name}" if kind == "loop" else "/nowhere/at all")


def _elsewhere(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    """A dataset whose values lie in another file."""
    old = _dataset(file, chance)
    shape, dtype = old.shape or (1,), np.dtype("f8")
    path = chance.choice(words[:6])
    if chance.random() < 0.5:
        _renew(file, old, None, shape=shape, dtype=dtype, external=[(path, 0, h5py.h5f.UNLIMITED)])
        return
    layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
    layout[...] = h5py.VirtualSource(path, "values", shape=shape)
    name = chance.choice((old.name, "/more"))
    if name in file:
        del file[name]
    file.create_virtual_dataset(name, layout, fillvalue=0.0)


def _group(file: h5py.File, chance: random.Random, words: Sequence[str]) -> None:
    """Groups that no table has."""
    kind = chance.choice(("deep", "wide", "in place", "attributes", "types"))
    if kind == "deep":
        file.create_group("/".join("g" * chance.choice((5, 300, 2000))))
    elif kind == "wide":
        for number in range(300):
            file.create_group(f"g{number}")
    elif kind == "in place":
        name = chance.choice(list(file))
        del file[name]
        file.create_group(name).create_dataset("inner", data=[1.0])
    elif kind == "attributes":
        for number in range(300):
            file.attrs[f"a{number}"] = chance.choice(words)
    else:
        for number in range(20):
            file[f"t{number}"] = np.dtype([(f"f{each}", "i4") for each in range(number + 1)])


def fuzz(
    where: Place, *, seed: int, count: int, first: int = 0, seconds: float = math.inf, replays: int = REPLAYS
) -> Tally:
    """Mutants ``first`` to ``first + count`` of a seed, as far as ``seconds`` go, through the commands.

    Args:
        where: they are put there.
        seed, first, count, seconds: which mutants.
        replays: one in so many is simulated again from its lineage.
    """
    tally = Tally()
    path = where.results / "tables" / "stranger.h5"
    for table in synthetic_tables.tables().values():
        table.save(where.results / "tables" / f"{table.name}.h5")
    for number in numbers(first, count, seconds):
        simulated = number % replays == 6 % replays
        tally.parsed += make_table(path, seed, number, where.words(), small=simulated)
        tally.made += 1
        commands: list[list[object]] = [
            ["show", "stranger", *(["--json"] * (number % 2))],
            ["trace", path, *(["--json"] * (number // 2 % 2))],
        ]
        if number % 10 == 4:
            commands.append(["show", path, _quantity(path)])
        if number % 100 == 5:
            plot = where.results / "reports" / "plot.png"
            commands += [["list"], ["show", path, "--plot", plot]]
        if simulated:
            commands.append(["trace", path, "--replay"])
        try_commands(tally, number, where, commands, may_write=may_write)
    return tally


def _quantity(path: Path) -> str:
    """The name of one of a mutant's datasets."""
    with contextlib.suppress(OSError, RuntimeError, ValueError), h5py.File(path, "r") as file:
        return max((name for name in file if not name.startswith("-")), default="energy")
    return "energy"


def may_write(name: str) -> bool:
    """Whether reading a table may make this file: the plot that was asked for, or a deck that failed."""
    return name == "here/results/reports/plot.png" or Path(name).parent == Path("here/results/failed")


if __name__ == "__main__":
    run: Callable[..., Tally] = fuzz
    main(run)
