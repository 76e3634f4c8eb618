"""Lookup tables of every shape and scale: kept whole, read as SciPy reads them, refused elsewhere."""

from __future__ import annotations

import random
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.interpolate import RegularGridInterpolator

from spicebridge.table import LookupTable, TableError, load_table, to_scale

NAMES = ("a", "b_2", "Ü")
# What a quantity may hold, by its scale; log(-log) clips what is nearer to 0 or 1 than floats can tell.
VALUES = {
    "linear": st.floats(-1e12, 1e12),
    "log": st.floats(1e-250, 1e250),
    "log(-log)": st.floats(1e-250, 1 - 1e-12) | st.sampled_from([0.0, 1.0]),
}


@st.composite
def number_axes(draw: st.DrawFn) -> tuple[np.ndarray, str]:
    """An axis' values and its scale: one to five values, femtoseconds to gigahertz."""
    scale = draw(st.sampled_from(["linear", "log"]))
    steps = np.array(draw(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5)))
    unit = 10.0 ** draw(st.integers(-15, 9))
    if scale == "log":
        return unit * np.cumprod(1 + steps), scale
    return unit * (np.cumsum(steps) + draw(st.floats(-1e3, 1e3))), scale


@st.composite
def tables(draw: st.DrawFn, *, texts: bool = True, holes: bool = True) -> LookupTable:
    """Tables of one to three axes and up to two quantities, each over axes of its own choice."""
    coords: dict[str, Any] = {}
    for name in NAMES[: draw(st.integers(1, 3))]:
        if texts and draw(st.integers(0, 3)) == 0:
            letters = st.characters(
                exclude_characters="\0", exclude_categories=["Cs"]
            )  # HDF5's text ends at NUL
            words = st.lists(st.text(letters, min_size=1, max_size=5), min_size=1, max_size=3, unique=True)
            coords[name] = draw(words)
        else:
            values, scale = draw(number_axes())
            assume(np.all(np.diff(values) > 0))
            coords[name] = (name, values, {"units": "s", "scale": scale})
    sizes = {name: len(each[1] if isinstance(each, tuple) else each) for name, each in coords.items()}
    quantities = {}
    for quantity in ("y", "z_err")[: draw(st.integers(1, 2))]:
        dims = [name for name in coords if quantity == "y" or draw(st.booleans())]
        scale = draw(st.sampled_from(sorted(VALUES)))
        elements = VALUES[scale] | st.just(np.nan) if holes else VALUES[scale]
        values = draw(hnp.arrays(float, [sizes[name] for name in dims], elements=elements))
        quantities[quantity] = (dims, values, {"units": "1", "long_name": quantity, "scale": scale})
    lineage = draw(st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.floats(allow_nan=False)))
    return LookupTable(data=xr.Dataset(quantities, coords=coords), name="random", lineage=lineage, origin={})


def scales(table: LookupTable, name: str) -> str:
    return str(table.data[name].attrs.get("scale", "linear"))


@st.composite
def points(draw: st.DrawFn, table: LookupTable, count: int = 8) -> dict[str, np.ndarray]:
    """Points of a table of number axes: within its cells, on its grid, and at its ends."""
    at = {}
    for name in table.data["y"].dims:
        grid = table.data[name].values
        low, high = grid[0], grid[-1]
        shares = np.array(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
        between = (
            low * (high / low) ** shares if scales(table, str(name)) == "log" else low + shares * (high - low)
        )
        on_grid = draw(st.lists(st.integers(-1, len(grid) - 1), min_size=count, max_size=count))
        at[str(name)] = np.array(
            [
                grid[where] if where >= 0 else each
                for where, each in zip(on_grid, np.clip(between, low, high), strict=True)
            ]
        )
    return at


# Storage


def through_a_file(table: LookupTable) -> LookupTable:
    with tempfile.TemporaryDirectory() as folder:
        table.save(Path(folder, "random.h5"))
        return load_table(Path(folder, "random.h5"))


@settings(max_examples=30, deadline=None)
@given(table=tables())
def test_a_table_comes_back_with_every_bit_unit_and_scale(table: LookupTable) -> None:
    loaded = through_a_file(table)
    assert loaded.digest == table.digest
    xr.testing.assert_identical(loaded.data, table.data)
    for name in table.data.variables:
        if table.data[name].dtype.kind == "f":
            assert loaded.data[name].values.tobytes() == table.data[name].values.tobytes()
    assert through_a_file(loaded).digest == table.digest


@settings(max_examples=60, deadline=None)
@given(table=tables(), data=st.data())
def test_any_other_value_is_another_digest(table: LookupTable, data: st.DataObject) -> None:
    variable = data.draw(st.sampled_from(table.quantities))
    values = table.data[variable].values
    index = tuple(data.draw(st.integers(0, size - 1)) for size in values.shape)
    other = data.draw(VALUES[scales(table, variable)])
    assume(not np.array_equal(values[index], other, equal_nan=True))
    changed = table.data.copy(deep=True)
    changed[variable].values[index] = other
    assert LookupTable(data=changed, name="random", lineage=table.lineage, origin={}).digest != table.digest


@settings(max_examples=40, deadline=None)
@given(table=tables(), seed=st.integers(0, 2**32), harm=st.sampled_from(["bytes", "zeros", "cut", "doubled"]))
def test_a_damaged_file_is_refused_or_holds_what_was_written(
    table: LookupTable, seed: int, harm: str
) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "random.h5")
        table.save(path)
        path.write_bytes(damaged(path.read_bytes(), harm, chance))
        try:
            loaded = load_table(path)
        except TableError:
            return
    assert loaded.digest == table.digest
    for name in table.quantities:
        assert loaded.data[name].values.tobytes() == table.data[name].values.tobytes()


def damaged(content: bytes, harm: str, chance: random.Random) -> bytes:
    at = chance.randrange(1, len(content))
    if harm == "cut":
        return content[:at]
    if harm == "doubled":
        return content[:at] + content
    length = chance.choice([1, 8, 300])
    new = bytes(length) if harm == "zeros" else chance.randbytes(length)
    return (content[:at] + new + content[at + length :])[: len(content)]


# Reading


@settings(max_examples=60, deadline=None)
@given(table=tables(texts=False, holes=False), data=st.data())
def test_between_grid_points_it_reads_as_scipy_does_in_the_declared_scales(
    table: LookupTable, data: st.DataObject
) -> None:
    at = data.draw(points(table))
    scale = scales(table, "y")
    grids = [to_scale(table.data[name].values, scales(table, str(name))) for name in table.data["y"].dims]
    values = to_scale(table.data["y"].values, scale)
    wanted = [to_scale(at[str(name)], scales(table, str(name))) for name in table.data["y"].dims]
    for axis, grid in enumerate(grids):
        if len(grid) == 1:  # SciPy wants two: the same value at a second place is the same table
            grids[axis] = np.array([grid[0], grid[0] + 1.0])
            values = np.repeat(values, 2, axis)
    inside = [np.clip(each, grid[0], grid[-1]) for each, grid in zip(wanted, grids, strict=True)]
    expected = RegularGridInterpolator(grids, values)(np.stack(inside, axis=-1))
    # Rounding of a position within its cell is worth that share of the cell's rise.
    position = max(np.spacing(np.abs(grid).max()) / np.diff(grid).min() for grid in grids)
    slack = 8 * position * np.ptp(values) + 1e-12 * np.abs(values).max()
    read = table.read("y", **at)
    if scale == "log(-log)":  # near 1 the scale itself cannot be told from a value
        assert read == pytest.approx(np.exp(-np.exp(expected)), rel=1e-9 + 1e3 * slack, abs=1e-15)
    else:
        assert np.all(np.abs(to_scale(read, scale) - expected) <= slack)


@settings(max_examples=60, deadline=None)
@given(table=tables(texts=False, holes=False), data=st.data())
def test_what_is_read_at_once_is_what_is_read_one_by_one(table: LookupTable, data: st.DataObject) -> None:
    at = data.draw(points(table, count=4))
    together = table.read("y", **at)
    singly = [table.read("y", **{name: each[index] for name, each in at.items()}) for index in range(4)]
    assert np.array(singly).tobytes() == together.tobytes()
    outer = {name: each.reshape([-1, *[1] * place]) for place, (name, each) in enumerate(at.items())}
    crossed = table.read("y", **outer)
    diagonal = crossed[tuple(np.arange(4) for _ in at)]
    assert diagonal.tobytes() == together.tobytes()


@settings(max_examples=60, deadline=None)
@given(table=tables(texts=False, holes=False), data=st.data())
def test_no_read_value_lies_beyond_the_stored_ones(table: LookupTable, data: st.DataObject) -> None:
    read = table.read("y", **data.draw(points(table)))
    stored = table.data["y"].values
    slack = 1e-9 * np.abs(stored).max()
    assert np.all((read >= stored.min() - slack) & (read <= stored.max() + slack))


@settings(max_examples=60, deadline=None)
@given(axis=number_axes(), scale=st.sampled_from(sorted(VALUES)), data=st.data())
def test_a_rising_quantity_is_read_rising(
    axis: tuple[np.ndarray, str], scale: str, data: st.DataObject
) -> None:
    grid, axis_scale = axis
    assume(np.all(np.diff(grid) > 0))
    values = np.sort(data.draw(hnp.arrays(float, len(grid), elements=VALUES[scale])))
    made = xr.Dataset(
        {"y": ("t", values, {"units": "1", "scale": scale})}, coords={"t": ("t", grid, {"scale": axis_scale})}
    )
    table = LookupTable(data=made, name="rising", lineage={}, origin={})
    at = np.sort(data.draw(points(table, count=20))["t"])
    read = table.read("y", t=at)
    assert np.all(np.diff(read) >= -1e-9 * np.abs(values).max())


@settings(max_examples=60, deadline=None)
@given(table=tables(texts=False, holes=False), data=st.data())
def test_beyond_an_axis_nothing_is_read(table: LookupTable, data: st.DataObject) -> None:
    at = data.draw(points(table, count=3))
    name = data.draw(st.sampled_from(sorted(at)))
    grid = table.data[name].values
    reach = max(abs(grid[0]), abs(grid[-1]))
    beyond = data.draw(st.floats(1e-6, 1e6)) * reach
    wrong = data.draw(st.sampled_from([grid[0] - beyond, grid[-1] + beyond, np.nan, np.inf, -np.inf]))
    at[name][data.draw(st.integers(0, 2))] = wrong
    with pytest.raises(TableError, match="lies outside table random, which spans"):
        table.read("y", **at)


@settings(max_examples=60, deadline=None)
@given(table=tables(texts=False), data=st.data())
def test_a_hole_is_refused_where_it_has_a_share_and_nowhere_else(
    table: LookupTable, data: st.DataObject
) -> None:
    at = data.draw(points(table, count=1))
    missing = np.isnan(table.data["y"].values)
    corners = []
    for name in table.data["y"].dims:
        grid = table.data[name].values
        (value,) = at[str(name)]
        beside = {int(np.searchsorted(grid, value, "right")) - 1, int(np.searchsorted(grid, value, "left"))}
        if value in grid:
            beside = {int(np.searchsorted(grid, value))}
        # A value within rounding of the grid may count as on it.
        near = [np.abs(to_scale(grid, scales(table, str(name))) - to_scale(value, scales(table, str(name))))]
        spacing = 1e-9 * np.abs(to_scale(grid, scales(table, str(name)))).max()
        assume(value in grid or np.all(near[0] > spacing))
        corners.append(sorted(beside))
    if any(missing[corner] for corner in product(*corners)):
        with pytest.raises(TableError, match="has no value at 1 of the points"):
            table.read("y", **at)
    else:
        assert np.all(np.isfinite(table.read("y", **at)))


@settings(max_examples=60, deadline=None)
@given(table=tables(), data=st.data())
def test_a_category_is_read_from_its_own_part_of_the_table(table: LookupTable, data: st.DataObject) -> None:
    variable = table.data["y"]
    categories = [str(name) for name in variable.dims if variable[name].dtype.kind in "UO"]
    assume(categories)
    chosen = {name: data.draw(st.sampled_from(variable[name].values.tolist())) for name in categories}
    part = LookupTable(
        data=table.data[["y"]].sel(chosen).drop_vars(categories), name="random", lineage={}, origin={}
    )
    at = data.draw(points(part, count=1)) if part.axes else {}
    try:
        expected = part.read("y", **at)
    except TableError as error:
        with pytest.raises(TableError, match=str(error).split(" of ")[0].split(".y")[1]):
            table.read("y", **chosen, **at)
    else:
        assert table.read("y", **chosen, **at).tobytes() == expected.tobytes()
    with pytest.raises(TableError, match=f"has no {categories[0]} "):
        table.read("y", **chosen | {categories[0]: "not one of them"}, **at)
