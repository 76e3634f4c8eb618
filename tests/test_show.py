"""Values as people read them: three figures, a prefix where the unit takes one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spicebridge.show import axis_texts, quantity_text, table_text, with_unit
from spicebridge.table import LookupTable


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (52.34e-15, "J", "52.3 fJ"),
        (-0.25e-3, "A", "-250 uA"),
        (999.9e-9, "s", "1 us"),
        (4700.0, "ohm", "4.7 kohm"),
        (2e9, "V/s", "2 GV/s"),
        (12e-9, "V/sqrt(Hz)", "12 nV/sqrt(Hz)"),
        (3e-15, "A*s", "3 fA*s"),
        (0.0, "J", "0 J"),
        (None, "J", "none"),
        (math.nan, "J", "none"),
        (1234.5, "1", "1234"),
        (12.5, "%", "12.5 %"),
    ],
)
def test_a_value_has_three_figures_and_a_prefix(value: float | None, unit: str, said: str) -> None:
    assert with_unit(value, unit) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (4700.0, "kilohm", "4700 kilohm"),
        (0.25, "mV", "0.25 mV"),
        (1e-3, "ns", "0.001 ns"),
        (2e-15, "m^2", "2e-15 m^2"),
        (5e-3, "V²/Hz", "0.005 V²/Hz"),
        (2000.0, "1/s", "2000 1/s"),
        (-12.5e3, "degC", "-1.25e+04 degC"),
        (0.0, "kilohm", "0 kilohm"),
        (math.nan, "kilohm", "none"),
    ],
)
def test_a_unit_that_takes_no_prefix_gets_none(value: float, unit: str, said: str) -> None:
    assert with_unit(value, unit) == said


def test_a_table_of_kilohms_says_so_in_every_text() -> None:
    data = xr.Dataset(
        {"drop": ("rval", np.array([2000.0, 5000.0]), {"units": "mV", "long_name": "voltage drop"})},
        coords={"rval": ("rval", [1.0, 1000.0], {"units": "kilohm"})},
    )
    table = LookupTable(data=data, name="mine", lineage={}, origin={})
    assert "1 kilohm to 1000 kilohm, 2 values" in table_text(table)
    assert "2000 mV to 5000 mV" in table_text(table)
    assert "1 kilohm 1000 kilohm\n" in quantity_text(table, "drop")


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        ([1.0, 1.0001, 1.0002], "V", ["1 V", "1.0001 V", "1.0002 V"]),
        ([100e-9, 100.5e-9], "s", ["100 ns", "100.5 ns"]),
        ([300.151, 300.152], "degC", ["300.151 degC", "300.152 degC"]),
        ([1234567.0, 1234568.0], "1", ["1234567", "1234568"]),
        ([0.1, 0.2], "V", ["100 mV", "200 mV"]),
        (["tt", "ff"], "", ["tt", "ff"]),
        ([0.99999, 1.0], "1", ["0.99999", "1"]),
    ],
)
def test_neighbours_on_an_axis_are_told_apart(values: list[Any], unit: str, said: list[str]) -> None:
    assert axis_texts(values, unit) == said
