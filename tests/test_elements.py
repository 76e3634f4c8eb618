"""Tables of one experiment are of the same elements, or are refused with both names and both values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from nn.elements import mixed_elements, refuse_mixed, unknown_elements
from nn.origin import describe_tables
from nn.studies import load_study, run_study
from spicebridge.errors import SpicebridgeError
from spicebridge.project import reference_folder
from spicebridge.table import LookupTable, load_table
from tests import synthetic_array, synthetic_pcm, synthetic_tables

CELL = {"mtj": "mtj_b", "card": "ptm45hp", "w_n": 4e-7, "v_gate": 1.2, "temperature": 300.15}
ALPHA = {"alpha": {"value": 0.01, "unit": "1", "source": "assumed"}}


def table(name: str, **lineage: Any) -> LookupTable:
    data = xr.Dataset({"y": ((), np.array(1.0), {"units": "1", "long_name": "y"})})
    return LookupTable(data=data, name=name, lineage=lineage, origin={})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mtj": "mtj_mine"}, "device parameter set is mtj_b in w and mtj_mine in r"),
        ({"card": "ptm65"}, "transistor card is ptm45hp in w and ptm65 in r"),
        ({"w_n": 5e-7}, "w_n is 4e-07 in w and 5e-07 in r"),
        ({"v_gate": 1.0}, "v_gate is 1.2 in w and 1 in r"),
        ({"temperature": 358.15}, "temperature is 300.15 in w and 358.15 in r"),
    ],
)
def test_an_element_with_two_values_is_refused_with_both(changed: dict[str, Any], said: str) -> None:
    both = [table("w", cell=CELL), table("r", cell=CELL | changed)]
    with pytest.raises(SpicebridgeError, match=r"not of one cell.*allow_mixed_elements") as refused:
        refuse_mixed(both, allowed=False)
    assert said in str(refused.value)
    refuse_mixed(both, allowed=True)
    assert describe_tables(both)[1]["mixed"] == [said]
    assert "mixed" not in describe_tables(both)[0]


def test_a_parameter_set_edited_between_two_tables_is_refused() -> None:
    hotter = {"alpha": ALPHA["alpha"] | {"value": 0.02}}
    both = [table("w", parameters=ALPHA), table("r", parameters=hotter)]
    with pytest.raises(SpicebridgeError, match=r"alpha is 0\.01 in w and 0\.02 in r"):
        refuse_mixed(both, allowed=False)


def test_another_source_or_rounding_of_the_same_value_is_the_same_element() -> None:
    cited = {"alpha": ALPHA["alpha"] | {"source": "measured"}}
    both = [
        table("w", parameters=ALPHA, cell=CELL | {"w_n": 0.4e-6}),
        table("r", parameters=cited, cell=CELL | {"w_n": 4e-7 * (1 + 1e-15)}),
    ]
    assert mixed_elements(both) == []


def test_different_cells_of_the_same_elements_belong_together() -> None:
    branch, synapse = table("w", cell=CELL | {"rows": 1}), table("r", cell=CELL | {"r_load": 1e3})
    refuse_mixed([branch, synapse], allowed=False)


def test_a_transistor_card_edited_between_two_tables_is_refused() -> None:
    files = [{"transistors/ptm45hp.lib": digest * 64, "cells.lib": digest} for digest in "ab"]
    both = [table(name, netlists=each) for name, each in zip("wr", files, strict=True)]
    with pytest.raises(
        SpicebridgeError, match=r"content of transistors/ptm45hp\.lib is digest aaaaaaaaaaaa in w"
    ):
        refuse_mixed(both, allowed=False)
    assert len(mixed_elements(both)) == 1


def test_netlists_of_ones_own_are_compared_with_one_another_only() -> None:
    fixed = {"temperature": {"value": 27.0, "unit": "1", "source": "mine.toml"}}
    warm = {"temperature": fixed["temperature"] | {"value": 85.0}}
    mine, other = (
        table("a", procedure="netlist", parameters=fixed),
        table("b", procedure="netlist", parameters=warm),
    )
    assert mixed_elements([mine, table("r", cell=CELL, parameters=ALPHA)]) == []
    assert [str(each) for each in mixed_elements([mine, other])] == ["temperature is 27 in a and 85 in b"]


@pytest.mark.parametrize(
    "lineage", [{}, {"made by": "hand"}, {"cell": None}, {"parameters": {"a": 1}}, {"cell": 3}]
)
def test_tables_that_do_not_tell_their_cell_are_named_and_not_refused(lineage: dict[str, Any]) -> None:
    both = [table("w", cell=CELL), table("made", **lineage)]
    refuse_mixed(both, allowed=False)
    assert unknown_elements(both) == ["made"]
    assert unknown_elements([table("w", cell=CELL), table("r", cell=CELL)]) == []


def test_three_differences_are_named_and_the_others_counted() -> None:
    other = {"mtj": "x", "card": "y", "w_n": 1.0, "v_gate": 2.0, "temperature": 3.0}
    with pytest.raises(SpicebridgeError, match="; and 2 more"):
        refuse_mixed([table("w", cell=CELL), table("r", cell=other)], allowed=False)


@pytest.mark.parametrize(
    "names",
    [
        ("mtj_write", "synapse_read"),
        ("mtj_write_65nm", "synapse_read_65nm"),
        ("array_write", "array_read"),
        ("pcm_set", "pcm_reset", "pair_read"),
    ],
)
def test_the_reference_tables_of_each_system_are_of_one_cell(names: tuple[str, ...]) -> None:
    tables = [load_table(reference_folder() / "tables" / f"{name}.h5") for name in names]
    assert mixed_elements(tables) == []
    assert unknown_elements(tables) == []


def of(made: LookupTable, **cell: Any) -> LookupTable:
    lineage = {**made.lineage, "cell": {**made.lineage.get("cell", {}), **cell}}
    return LookupTable(data=made.data, name=made.name, lineage=lineage, origin={})


@pytest.mark.parametrize("system", ["digits_ternary_mtj", "mnist_pcm_mixed", "wine_passive_array"])
def test_training_refuses_mixed_tables_in_every_system(system: str, tmp_path: Path) -> None:
    tables = {
        "digits_ternary_mtj": [synthetic_tables.write_table(), synthetic_tables.read_table()],
        "mnist_pcm_mixed": [*synthetic_pcm.tables().values()],
        "wine_passive_array": [synthetic_array.write_table(), synthetic_array.read_table()],
    }[system]
    named = {each.name: of(each, temperature=300.15 + number) for number, each in enumerate(tables)}
    first, last = tables[0].name, tables[-1].name
    chosen = load_study(system)
    with pytest.raises(SpicebridgeError, match=r"temperature is 300\.15 in") as refused:
        run_study(
            chosen, named, folder=tmp_path, arms=None, workers=1, show=lambda *_: None, data_folder=None,
            allow_holes=False, circumstances={},
        )  # fmt: skip
    assert f"in {first} and" in str(refused.value)
    assert last in str(refused.value)
