"""Tables made in Python, with no lineage or a part of one: what is known is shown, the rest is a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spicebridge.lineage import chain_text, table_chain
from spicebridge.project import netlists_folder
from spicebridge.report.device_sections import parameters
from spicebridge.table import LookupTable
from tests.command_line import call, done, refused

WHOLE = {
    "procedure": "synapse_read",
    "size": "quick",
    "cell": {},
    "sweep": {"v_read": [0.2], "t_read": [1e-9]},
}
PARTS: list[dict[str, Any]] = [
    {},
    {"made by": "hand"},
    {"procedure": "synapse_read"},
    {"procedure": "netlist"},
    {"procedure": None},
    {"procedure": "nothing_we_have", "size": "full", "cell": {}, "sweep": {}},
    {"procedure": "netlist", "axes": {}, "measures": {"y": "V"}},
    {
        "procedure": "netlist",
        "axes": {},
        "base_decks": ["0" * 64],
        "parameters": {},
        "netlists": {},
        "batch": 1,
    },
    {"procedure": "mtj_write", "size": "quick", "cell": {}, "sweep": {}},
    {"procedure": "pcm_set", "size": "quick", "cell": {}, "sweep": {}},
    WHOLE | {"cell": None},
    WHOLE | {"cell": {"no_such": 1}},
    {key: value for key, value in WHOLE.items() if key != "size"},
    {"parameters": {"alpha": 0.01, "ra": {"value": 5e-12}}, "models": ["m"], "netlists": None, "decks": 3},
    {"failed": [{"why": "it ran away"}]},
    {"failed": "some", "aids": [3], "samples": "many"},
    {"expected_holes": [{"measures": 3}]},
    {"expected_holes": "some"},
]


def by_hand(lineage: dict[str, Any], **attributes: str) -> LookupTable:
    data = xr.Dataset(
        {"y": ("x", np.array([1.0, 2.0]), attributes)}, coords={"x": ("x", [0.0, 1.0], {"units": "V"})}
    )
    return LookupTable(data=data, name="mine", lineage=lineage, origin={})


@pytest.mark.parametrize("lineage", PARTS, ids=lambda each: ",".join(each) or "none")
def test_a_table_made_in_python_is_shown_traced_and_never_replayed(
    lineage: dict[str, Any], tmp_path: Path, results: Path
) -> None:
    path = tmp_path / "mine.h5"
    by_hand(lineage).save(path)
    for command in (("show", path), ("show", path, "y"), ("show", path, "--json"), ("trace", path, "--json")):
        assert done(*command).out
    assert done("show", path, "y", "--plot", tmp_path / "y.png").out
    assert "table mine" in done("trace", path).out
    assert refused("verify", path, "--entries", "1").startswith("Error: ")
    outcome = call("trace", path, "--replay")
    assert outcome.code == 1
    assert "Traceback" not in outcome.out + outcome.err
    assert results.is_dir()


def test_what_a_lineage_by_hand_tells_is_told_and_what_cannot_be_replayed_is_said(
    tmp_path: Path, results: Path
) -> None:
    made = by_hand(
        {"made by": "a fit", "parameters": {"alpha": 0.01, "ra": {"value": 5e-12, "unit": "ohm m^2"}}}
    )
    text = chain_text([table_chain(made, netlists_folder())])
    assert "without its decks it cannot be replayed or verified" in text
    assert "made by a fit" in text
    assert "alpha = 0.01\n" in text
    assert "ra = 5e-12 ohm m^2\n" in text
    made.save(tmp_path / "mine.h5")
    told = call("trace", tmp_path / "mine.h5", "--replay").out
    assert (
        "replay mine: table mine cannot be simulated again: its lineage does not say how it was made" in told
    )
    assert "(it lacks procedure, cell, sweep, size)" in told
    assert results.is_dir()
    assert parameters([made]) is None
