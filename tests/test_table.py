"""Lookup tables: what is stored comes back, what is read is right or refused, and damage is noticed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spicebridge.table import LookupTable, TableError, from_scale, load_table, to_scale

LINEAGE = {"procedure": "test", "decks": ["ab12"], "sweep": {"v": [0.4, 0.6]}}


def make_table(**changes: Any) -> LookupTable:
    """Current over direction, v and t: an affine function of v and t, steeper in one direction."""
    v, t = np.array([0.4, 0.5, 0.6]), np.array([1e-9, 2e-9, 4e-9, 8e-9])
    plane = np.array([1.0, 3.0])[:, None, None] * (2e-6 * v[:, None] + 50.0 * t) + 1e-6
    data = xr.Dataset(
        {"current": (("direction", "v", "t"), plane, {"units": "A", "long_name": "current"})},
        coords={
            "direction": ["ap_to_p", "p_to_ap"],
            "v": ("v", v, {"units": "V"}),
            "t": ("t", t, {"units": "s"}),
        },
    )
    content = {"data": data, "name": "sheet", "lineage": LINEAGE, "origin": {"made": "today"}}
    return LookupTable(**{**content, **changes})


def curve(values: np.ndarray, *, t: np.ndarray | None = None, **attributes: str) -> LookupTable:
    """One quantity ``y`` over one axis ``t``."""
    grid = np.arange(len(values), dtype=float) if t is None else t
    data = xr.Dataset(
        {"y": ("t", values, {"units": "1", **attributes})}, coords={"t": ("t", grid, {"units": "s"})}
    )
    return LookupTable(data=data, name="curve", lineage={}, origin={})


# Storage


def test_a_saved_table_loads_with_the_same_values_units_lineage_and_digest(tmp_path: Path) -> None:
    table = make_table()
    table.save(tmp_path / "sheet.h5")
    loaded = load_table(tmp_path / "sheet.h5")
    xr.testing.assert_identical(loaded.data, table.data)
    assert (loaded.name, loaded.lineage, loaded.origin) == (table.name, table.lineage, table.origin)
    assert loaded.digest == table.digest


def test_h5py_and_xarray_open_a_table_by_themselves(tmp_path: Path) -> None:
    table = make_table()
    table.save(tmp_path / "sheet.h5")
    with h5py.File(tmp_path / "sheet.h5") as file:
        assert np.array_equal(file["current"][:], table.data["current"].values)
        assert file["current"].attrs["units"] == "A"
        assert json.loads(file.attrs["lineage"]) == LINEAGE
        assert [dimension[0].name for dimension in file["current"].dims] == ["/direction", "/v", "/t"]
    with xr.open_dataset(tmp_path / "sheet.h5", engine="h5netcdf") as opened:
        assert (
            opened["current"].sel(direction="p_to_ap", v=0.5, t=2e-9) == table.data["current"].values[1, 1, 1]
        )
        assert opened.attrs["digest"] == table.digest


def test_saving_replaces_the_earlier_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    make_table().save(tmp_path / "sheet.h5")
    make_table(name="other").save(tmp_path / "sheet.h5")
    assert load_table(tmp_path / "sheet.h5").name == "other"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.h5"]


def test_a_table_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    make_table().save(tmp_path / "sheet.h5")
    data = make_table().data.copy()
    data["v"].attrs["long_name"] = {"not": "text"}
    with pytest.raises(TypeError):
        make_table(data=data).save(tmp_path / "sheet.h5")
    assert load_table(tmp_path / "sheet.h5").digest == make_table().digest
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.h5"]


# The digest


def test_tables_of_equal_content_have_one_digest() -> None:
    assert make_table().digest == make_table().digest


def test_the_digest_does_not_depend_on_origin_or_the_order_of_quantities() -> None:
    table = make_table()
    assert make_table(origin={"made": "tomorrow", "ngspice": "99"}).digest == table.digest
    two = table.data.assign(extra=table.data["current"] * 2)
    assert make_table(data=two).digest == make_table(data=two[["extra", "current"]]).digest != table.digest


@pytest.mark.parametrize("what", ["value", "coordinate", "category", "unit", "scale", "lineage", "name"])
def test_the_digest_changes_with(what: str) -> None:
    data = make_table().data.copy(deep=True)
    changes: dict[str, Any] = {"data": data}
    if what == "value":
        data["current"].values[0, 0, 0] = np.nextafter(data["current"].values[0, 0, 0], 1)
    elif what == "coordinate":
        changes["data"] = data.assign_coords(v=("v", [0.4, 0.5, 0.61], data["v"].attrs))
    elif what == "category":
        changes["data"] = data.assign_coords(direction=["ap_to_p", "other"])
    elif what == "unit":
        data["current"].attrs["units"] = "mA"
    elif what == "scale":
        data["current"].attrs["scale"] = "log"
    elif what == "lineage":
        changes["lineage"] = {**LINEAGE, "decks": ["cd34"]}
    else:
        changes["name"] = "another"
    assert make_table(**changes).digest != make_table().digest


def test_zero_and_its_negative_are_one_value_to_the_digest() -> None:
    assert curve(np.array([0.0, 1.0])).digest == curve(np.array([-0.0, 1.0])).digest


# Damage


def test_a_missing_table_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"there is no table at .*spicebridge characterize sheet"):
        load_table(tmp_path / "sheet.h5")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "flipped", "other_hdf5"])
def test_a_damaged_file_gives_one_clear_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "sheet.h5"
    make_table().save(path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        path.write_text("not a table")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        path.write_bytes(bytes(byte ^ 0xFF for byte in content[:2000]) + content[2000:])
    else:
        with h5py.File(path, "w") as file:
            file["current"] = [1.0]
    with pytest.raises(TableError, match=r"is not a readable table .*characterize sheet"):
        load_table(path)


def test_no_flipped_byte_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "sheet.h5"
    table = make_table()
    table.save(path)
    content = path.read_bytes()
    for position in range(0, len(content), 401):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        try:
            loaded = load_table(path)
        except TableError:
            continue
        # Bytes that carry no content (padding, a timestamp, origin) may change.
        assert loaded.digest == table.digest
        assert np.array_equal(loaded.data["current"].values, table.data["current"].values)


def test_an_edited_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sheet.h5"
    make_table().save(path)
    with h5py.File(path, "r+") as file:
        file["current"][0, 0, 0] *= 2
    with pytest.raises(TableError, match="was changed after it was written"):
        load_table(path)


# Data that would be read wrongly


@pytest.mark.parametrize("axis", [[0.0, 2.0, 1.0], [0.0, 0.0, 1.0], [0.0, np.nan, 1.0], [0.0, 1.0, np.inf]])
def test_an_axis_that_does_not_increase_is_refused(axis: list[float]) -> None:
    with pytest.raises(TableError, match="axis t must be finite and strictly increasing"):
        curve(np.zeros(3), t=np.array(axis))


def test_an_axis_without_values_is_refused() -> None:
    with pytest.raises(TableError, match="no values for its axis t"):
        LookupTable(data=xr.Dataset({"y": ("t", [1.0, 2.0])}), name="curve", lineage={}, origin={})


def test_a_category_named_twice_is_refused() -> None:
    data = xr.Dataset({"y": ("state", [1.0, 2.0])}, coords={"state": ["p", "p"]})
    with pytest.raises(TableError, match="state names a category twice"):
        LookupTable(data=data, name="curve", lineage={}, origin={})


@pytest.mark.parametrize(
    ("scale", "values"), [("cubic", [1.0, 2.0]), ("log", [0.0, 1.0]), ("log(-log)", [0.5, 1.5])]
)
def test_a_scale_that_does_not_fit_is_refused(scale: str, values: list[float]) -> None:
    with pytest.raises(TableError, match="scale"):
        curve(np.array(values), scale=scale)


# Reading


def test_reading_is_exact_on_a_multilinear_function() -> None:
    v, t = np.array([0.4, 0.5, 0.7]), np.array([1.0, 2.0, 5.0])
    data = xr.Dataset(
        {"y": (("v", "t"), 2 + 3 * v[:, None] - 4 * t + 5 * v[:, None] * t, {"units": "1"})},
        coords={"v": v, "t": t},
    )
    table = LookupTable(data=data, name="curve", lineage={}, origin={})
    rng = np.random.default_rng(1)
    at_v, at_t = rng.uniform(0.4, 0.7, 100), rng.uniform(1, 5, 100)
    expected = 2 + 3 * at_v - 4 * at_t + 5 * at_v * at_t
    assert table.read("y", v=at_v, t=at_t) == pytest.approx(expected, rel=1e-12)


def test_reading_is_second_order_elsewhere() -> None:
    errors = []
    for intervals in (16, 32, 64):
        t = np.linspace(0, np.pi, intervals + 1)
        fine = np.linspace(0, np.pi, 1001)
        errors.append(np.abs(curve(np.sin(t), t=t).read("y", t=fine) - np.sin(fine)).max())
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert slopes == pytest.approx(2.0, abs=0.1)


def test_a_gumbel_law_is_read_exactly_in_log_minus_log() -> None:
    def law(t: np.ndarray) -> np.ndarray:
        return np.exp(-40 * np.exp(-t / 0.5e-9))

    t = np.linspace(0.5e-9, 8e-9, 4)
    fine = np.linspace(0.5e-9, 8e-9, 333)
    read = curve(law(t), t=t, scale="log(-log)").read("y", t=fine)
    assert read == pytest.approx(law(fine), rel=1e-9)
    assert np.abs(curve(law(t), t=t).read("y", t=fine) - law(fine)).max() > 0.1  # linear reading is not


def test_a_power_law_is_read_exactly_on_log_axes() -> None:
    t = np.array([1.0, 10.0, 1000.0])
    data = xr.Dataset(
        {"y": ("t", t**-0.05, {"units": "S", "scale": "log"})}, coords={"t": ("t", t, {"scale": "log"})}
    )
    table = LookupTable(data=data, name="curve", lineage={}, origin={})
    assert table.read("y", t=[2.0, 300.0]) == pytest.approx([2**-0.05, 300**-0.05], rel=1e-12)


def test_probabilities_of_zero_and_one_are_read_as_such() -> None:
    table = curve(np.array([0.0, 1e-30, 0.5, 1.0]), scale="log(-log)")
    assert table.read("y", t=[0.0, 1.0, 2.0, 3.0]) == pytest.approx([0.0, 1e-30, 0.5, 1.0], rel=1e-9, abs=0)


def test_arguments_broadcast_and_a_category_is_chosen() -> None:
    table = make_table()
    read = table.read("current", direction="p_to_ap", v=np.array([[0.4], [0.6]]), t=[1e-9, 2e-9, 3e-9])
    assert read.shape == (2, 3)
    assert read[1, 2] == pytest.approx(3 * (2e-6 * 0.6 + 50 * 3e-9) + 1e-6, rel=1e-12)


def test_an_axis_of_one_value_is_read_at_that_value_only() -> None:
    table = curve(np.array([7.0]), t=np.array([2.0]))
    assert table.read("y", t=2.0) == 7.0
    with pytest.raises(TableError, match="outside"):
        table.read("y", t=2.1)


def test_the_ends_of_an_axis_are_inside_whatever_their_rounding() -> None:
    table = make_table()
    at_end = table.read("current", direction="ap_to_p", v=0.2 * 3, t=8e-9)
    assert at_end == table.data["current"].values[0, -1, -1]


@pytest.mark.parametrize("v", [0.399, 0.601, -1.0, np.nan, np.inf, [0.5, 0.7]])
def test_outside_the_table_is_refused_with_its_span(v: Any) -> None:
    with pytest.raises(TableError, match=r"v=.* V lies outside table sheet, which spans 0\.4 to 0\.6 V"):
        make_table().read("current", direction="ap_to_p", v=v, t=1e-9)


@pytest.mark.parametrize(
    ("quantity", "at", "words"),
    [
        ("curent", {}, "has no quantity 'curent'. It has: current"),
        ("current", {"direction": "ap_to_p", "w": 0.5, "t": 1e-9}, r"unknown: w; missing: v"),
        ("current", {"direction": "ap_to_p", "t": 1e-9}, r"missing: v"),
        (
            "current",
            {"direction": "up", "v": 0.5, "t": 1e-9},
            "has no direction 'up'. It has: ap_to_p, p_to_ap",
        ),
    ],
)
def test_a_misspelt_name_is_refused_with_the_right_ones(
    quantity: str, at: dict[str, Any], words: str
) -> None:
    with pytest.raises(TableError, match=words):
        make_table().read(quantity, **at)


def test_a_hole_spoils_only_the_cells_that_touch_it() -> None:
    table = curve(np.array([1.0, 2.0, np.nan, 4.0, 5.0]))
    assert table.read("y", t=[0.5, 1.0, 3.0, 3.5]) == pytest.approx([1.5, 2.0, 4.0, 4.5])
    for at in (1.5, 2.0, 2.5):
        with pytest.raises(TableError, match="has no value at 1 of the points asked for"):
            table.read("y", t=at)


# Properties


@st.composite
def random_tables(draw: st.DrawFn) -> LookupTable:
    """Tables of one to three axes, some of text, with holes."""
    dims = draw(st.integers(1, 3))
    coords: dict[str, Any] = {}
    for name in ("a", "b", "c")[:dims]:
        size = draw(st.integers(1, 4))
        if draw(st.booleans()):
            coords[name] = draw(
                st.lists(
                    st.text("pa+-0_ é", min_size=1, max_size=4), min_size=size, max_size=size, unique=True
                )
            )
        else:
            numbers = st.lists(st.integers(-1000, 1000), min_size=size, max_size=size, unique=True)
            coords[name] = (
                name,
                np.array(sorted(draw(numbers))) * 0.37e-9,
                {"units": draw(st.sampled_from(["s", "", "V"]))},
            )
    shape = tuple(len(each[1] if isinstance(each, tuple) else each) for each in coords.values())
    elements = st.floats(-1e6, 1e6) | st.just(float("nan"))
    values = draw(hnp.arrays(float, shape, elements=elements))
    data = xr.Dataset({"y": (tuple(coords), values, {"units": "1", "long_name": "why"})}, coords=coords)
    lineage = draw(
        st.dictionaries(st.text(max_size=3), st.integers() | st.floats(allow_nan=False) | st.text(max_size=3))
    )
    return LookupTable(data=data, name="random", lineage=lineage, origin={})


@settings(max_examples=40, deadline=None)
@given(table=random_tables())
def test_any_table_comes_back_bit_for_bit(table: LookupTable) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "random.h5")
        table.save(path)
        loaded = load_table(path)
    assert loaded.digest == table.digest
    assert loaded.data["y"].values.tobytes() == table.data["y"].values.tobytes()
    assert loaded.axes == table.axes
    for axis in table.axes:
        assert loaded.data[axis].values.tolist() == table.data[axis].values.tolist()


@settings(max_examples=60, deadline=None)
@given(table=random_tables())
def test_reading_at_grid_points_gives_the_stored_values(table: LookupTable) -> None:
    variable = table.data["y"]
    for index in np.ndindex(variable.shape):
        at = {axis: variable[axis].values[position] for axis, position in zip(table.axes, index, strict=True)}
        stored = variable.values[index]
        if np.isnan(stored):
            with pytest.raises(TableError, match="no value"):
                table.read("y", **at)
        else:
            assert table.read("y", **at) == stored


@settings(max_examples=60, deadline=None)
@given(
    corners=hnp.arrays(float, (2, 2), elements=st.floats(-1e3, 1e3)),
    v=st.floats(0, 1),
    t=st.floats(0, 1),
)
def test_a_value_read_within_a_cell_lies_between_its_corners(corners: np.ndarray, v: float, t: float) -> None:
    data = xr.Dataset({"y": (("v", "t"), corners, {"units": "1"})}, coords={"v": [0.0, 1.0], "t": [0.0, 1.0]})
    read = LookupTable(data=data, name="cell", lineage={}, origin={}).read("y", v=v, t=t)
    slack = 1e-12 * np.abs(corners).max()
    assert corners.min() - slack <= read <= corners.max() + slack


@given(p=st.floats(1e-12, 1 - 1e-12), scale=st.sampled_from(["linear", "log", "log(-log)"]))
def test_scales_and_their_inverses_agree(p: float, scale: str) -> None:
    assert from_scale(to_scale(np.array(p), scale), scale) == pytest.approx(p, rel=1e-12)


def seeded(values: list[float], *, name: str = "seed", unit: str = "1", **attributes: str) -> LookupTable:
    """A quantity that is 0 and 1 in turn along an axis, as a device that switched or did not."""
    y = np.arange(len(values)) % 2.0
    return LookupTable(
        data=xr.Dataset(
            {"y": (name, y, {"units": "1", "long_name": "switched"})},
            coords={name: (name, np.array(values), {"units": unit} | attributes)},
        ),
        name="noisy",
        lineage={},
        origin={},
    )


@pytest.mark.parametrize("name", ["seed", "mc_run", "samples", "die", "mcseed", "Trial_2"])
def test_between_random_draws_there_is_no_value(name: str) -> None:
    table = seeded([1.0, 2.0, 5.0, 6.0], name=name)
    assert table.read("y", **{name: 5}) == 0.0
    assert table.read("y", **{name: [6, 1, 2]}).tolist() == [1.0, 0.0, 1.0]
    for wrong in (5.5, 3, 0, 7, [1, 5.5]):
        with pytest.raises(TableError, match=r"labels, 4 of them.*The nearest: .*labels = false"):
            table.read("y", **{name: wrong})


def test_a_large_seed_is_named_in_full() -> None:
    with pytest.raises(TableError, match=r"seed=1234567\.5 .* The nearest: 1234567, 1234568"):
        seeded([1234567.0, 1234568.0]).read("y", seed=1234567.5)


@pytest.mark.parametrize(
    ("axis", "interpolated"),
    [
        ({"name": "seed", "labels": "no"}, True),
        ({"name": "die", "unit": "m"}, True),
        ({"name": "fins"}, True),
        ({"name": "rundown"}, True),
        ({"name": "fins", "labels": "yes"}, False),
        ({"name": "seed", "unit": ""}, False),
    ],
)
def test_an_axis_says_itself_whether_it_holds_labels(axis: dict[str, str], interpolated: bool) -> None:
    table = seeded([1.0, 2.0], **axis)  # type: ignore[arg-type]
    if interpolated:
        assert table.read("y", **{axis["name"]: 1.5}) == pytest.approx(0.5)
    else:
        with pytest.raises(TableError, match="labels"):
            table.read("y", **{axis["name"]: 1.5})


def test_seeds_that_are_fractions_are_quantities_and_truth_values_are_labels() -> None:
    assert seeded([0.5, 1.5]).read("y", seed=1.0) == pytest.approx(0.5)
    with pytest.raises(TableError, match="labels"):
        seeded([False, True], name="noise").read("y", noise=0.5)


def test_the_mark_of_labels_is_kept_and_part_of_the_digest(tmp_path: Path) -> None:
    plain, marked = seeded([1.0, 2.0]), seeded([1.0, 2.0], labels="yes")
    assert plain.digest != marked.digest
    marked.save(tmp_path / "noisy.h5")
    assert load_table(tmp_path / "noisy.h5").digest == marked.digest
    with pytest.raises(TableError, match="labels 'maybe'; it should be yes or no"):
        seeded([1.0], labels="maybe")


def test_a_value_just_outside_is_told_apart_from_the_end() -> None:
    with pytest.raises(TableError, match=r"v=1\.00000002 V lies outside .* spans 0 to 1 V"):
        seeded([0.0, 1.0], name="v", unit="V").read("y", v=1.00000002)
