"""The command run in this process, and small files for it to work on."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spicebridge.cli import main
from spicebridge.table import LookupTable

ROOT = Path(__file__).parent.parent
RC = """charging
.param r=1k
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {r}
c1 out 0 1p
.tran 10p 3n
.meas tran v_end find v(out) at=2.9n
.meas tran never when v(out)=2
.end
"""
READ = 'procedure = "synapse_read"\n[sweep]\nv_read = [0.1]\nt_read = [1e-9]\n'
# The project's two tables in tiny sizes.
TINY = {
    "mtj_write": (
        "v_write=[0.6]", "v_sampled=[0.6]", "t_step=50e-12", "t_max=9e-9", "first_seed=1", "samples=18",
        "tail_samples=0",
    ),
    "synapse_read": ("v_read=[0.1]", "t_read=[1e-9]"),
}  # fmt: skip
TRAIN = (
    "train", "digits_ternary_mtj", "--seeds", "1", "--set", "epochs=2", "--set", "hidden=[24]",
    "--set", "v_write=0.6",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def call(*arguments: object) -> Outcome:
    """Run the command in this process, as the console script does."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main.main([str(each) for each in arguments], prog_name="spicebridge")
        except SystemExit as stopped:
            code = stopped.code
    return Outcome(int(str(code or 0)), out.getvalue(), err.getvalue())


def done(*arguments: object) -> Outcome:
    """Run a command that must succeed."""
    outcome = call(*arguments)
    assert outcome.code == 0, outcome.err
    return outcome


def refused(*arguments: object) -> str:
    """Run a command with a foreseen problem and return its message."""
    outcome = call(*arguments)
    assert outcome.code == 1, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("Error: ")
    assert "Traceback" not in outcome.err
    return outcome.err


def files(folder: Path) -> set[str]:
    """All files of a folder but the caches, which may grow at any time."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "cache" not in path.parts
    }


def keep_sheet(results: Path) -> LookupTable:
    """A small working table named ``sheet``."""
    data = xr.Dataset(
        {
            "current": (
                ("state", "v"),
                np.array([[1e-6, 2e-6], [3e-6, np.nan]]),
                {"units": "A", "long_name": "current"},
            ),
            "n_samples": ("state", np.array([225, 900]), {"units": "1", "long_name": "devices simulated"}),
        },
        coords={"state": ["p", "ap"], "v": ("v", [0.4, 0.6], {"units": "V"})},
    )
    table = LookupTable(
        data=data,
        name="sheet",
        lineage={"decks": {"ab": "sheet", "cd": "sheet"}, "samples": 1125, "size": "quick"},
        origin={},
    )
    table.save(results / "tables" / "sheet.h5")
    return table


def stored(results: Path) -> dict[str, int]:
    """The finished simulations, and the place of each in its file."""
    if not (results / "cache" / "points.sqlite").exists():
        return {}
    with sqlite3.connect(results / "cache" / "points.sqlite") as file:
        found = file.execute("SELECT name FROM sqlite_master").fetchall()
        return dict(file.execute("SELECT key, rowid FROM units").fetchall()) if found else {}


def tiny(name: str) -> list[str]:
    """The command that makes a table of the project's in a tiny size."""
    return ["characterize", name, *(word for setting in TINY[name] for word in ("--set", setting))]
