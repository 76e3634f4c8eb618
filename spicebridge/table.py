"""Lookup tables: what both banks share.

A table is an ``xarray.Dataset`` with labelled axes, SI units and, beside every sampled quantity, its
standard error. Axes of labels (a direction, a state, a seed) are never interpolated: see ``is_labels``. Other
axes are read multilinearly, in the scale each quantity declares, and never beyond their ends.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_bytes
from spicebridge.foreign import ForeignError, read_json
from spicebridge.limits import TABLE, LimitError
from spicebridge.reading import read_bytes
from spicebridge.settings import listed, shortened
from spicebridge.table_shape import check_table

if TYPE_CHECKING:
    import xarray as xr

# Attributes of a quantity or an axis that mean something and so belong to the digest.
DECLARED = ("units", "long_name", "scale", "flag_meanings", "labels")
# Words in the names of whole, unitless numbers that stand for random draws, where nothing else says so.
_DRAWS = frozenset({
    "chip", "die", "draw", "id", "instance", "mc", "realisation", "realization", "replica", "replicate",
    "run", "sample", "seed", "trial",
})  # fmt: skip
SCALES = ("linear", "log", "log(-log)")
_SEAL = b"\nsha256 "
_TINY = 1e-300


class TableError(SpicebridgeError):
    """A table that is missing, damaged, or asked for what it does not hold."""


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A circuit's swept behaviour, with the lineage of every value.

    Attributes:
        data: axes as coordinates, quantities as variables. Each carries ``units`` and ``long_name``;
            ``scale`` (one of ``SCALES``) says in what scale an axis or a quantity is interpolated; ``labels``
            (``yes`` or ``no``) whether a number axis holds labels.
        name: what the table is called, ``mtj_write`` say.
        lineage: JSON-like record of what the values came from (testbench, parameters, decks, seeds);
            part of the digest, so it holds neither a clock nor a path.
        origin: JSON-like record of circumstances (versions, times); kept in the file, not in the digest.
    """

    data: xr.Dataset
    name: str
    lineage: Mapping[str, Any]
    origin: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse data that could only be read wrongly.

        Raises:
            TableError: an axis without values or not strictly increasing, or a scale that does not fit.
        """
        for axis in self.axes:
            if axis not in self.data.coords:
                raise TableError(f"table {self.name} has no values for its axis {axis}.")
            check_axis(axis, self.data[axis].values)
        for name in (*self.axes, *self.quantities):
            scale = self.data[name].attrs.get("scale", "linear")
            if scale not in SCALES:
                raise TableError(f"{self.name}.{name} has scale {scale!r}. There are: {', '.join(SCALES)}.")
            values = self.data[name].values
            if self.data[name].attrs.get("labels", "no") not in ("yes", "no"):
                mark = self.data[name].attrs["labels"]
                raise TableError(f"{self.name}.{name} has labels {mark!r}; it should be yes or no.")
            if scale == "log" and np.any(values <= 0):
                raise TableError(f"{self.name}.{name} has scale log, but not all its values are positive.")
            if scale == "log(-log)" and np.any((values < 0) | (values > 1)):
                raise TableError(f"{self.name}.{name} has scale log(-log), but is not between 0 and 1.")

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes' names, in the data's order."""
        return tuple(str(name) for name in self.data.sizes)

    @property
    def quantities(self) -> tuple[str, ...]:
        """The names of what was characterised."""
        return tuple(str(name) for name in self.data.data_vars)

    @property
    def holes(self) -> tuple[Mapping[str, Any], ...]:
        """The simulations that failed, whose values are NaN: each ``at`` which point, and ``why``."""
        return self._points("failed")

    @property
    def expected_holes(self) -> tuple[Mapping[str, Any], ...]:
        """The points that lack values as their sweep expected: each ``at`` which, and ``measures``."""
        names = [each.get("measures") for each in self._points("expected_holes")]
        return tuple(
            {**each, "measures": tuple(map(str, held)) if isinstance(held, list | tuple) else ()}
            for each, held in zip(self._points("expected_holes"), names, strict=True)
        )

    @property
    def aids(self) -> tuple[Mapping[str, Any], ...]:
        """The simulations that needed an aid to converge: each ``at`` which point, and the ``aid``."""
        return self._points("aids")

    def _points(self, key: str) -> tuple[Mapping[str, Any], ...]:
        """A list of points in the lineage, as far as it is one: a table made by hand may hold anything."""
        held = self.lineage.get(key)
        return (
            tuple(each for each in held if isinstance(each, Mapping))
            if isinstance(held, list | tuple)
            else ()
        )

    @property
    def empty(self) -> bool:
        """Whether simulations failed and there is not one value."""
        floats = [each.values for each in self.data.data_vars.values() if each.dtype.kind == "f"]
        return bool(self.holes) and all(np.isnan(each).all() for each in floats)

    @property
    def digest(self) -> str:
        """SHA-256 of the content: values, coordinates, declared attributes and lineage."""
        content = hashlib.sha256()
        content.update(_canonical({"name": self.name, "lineage": self.lineage}))
        for name in sorted(str(name) for name in self.data.variables):
            variable = self.data[name]
            declared = {key: variable.attrs[key] for key in DECLARED if key in variable.attrs}
            content.update(_canonical({"variable": name, "dims": variable.dims, "attrs": declared}))
            content.update(_canonical(variable.shape))
            content.update(_value_bytes(variable.values))
        return content.hexdigest()

    def read(self, quantity: str, **at: ArrayLike) -> NDArray[np.float64]:
        """The quantity at the given coordinates, interpolated.

        Args:
            quantity: one of ``quantities``.
            at: a value for every axis of the quantity, in SI units; number axes take arrays, which
                broadcast against one another, those of labels only ones that the axis holds; text axes take
                one category.

        Returns:
            Values in the quantity's unit, of the broadcast shape.

        Raises:
            TableError: an unknown name, a category or value the axis does not hold, or a hole.
        """
        variable = self._variable(quantity)
        self._check_axes(variable, at)
        for axis in variable.dims:
            if _is_category(self.data[axis]):
                variable = variable.sel({axis: self._category(str(axis), at[str(axis)])})
        points = {str(axis): self._within(str(axis), at[str(axis)]) for axis in variable.dims}
        return _multilinear(variable, points, {axis: self.data[axis] for axis in points}, self.name)

    def _variable(self, quantity: str) -> xr.DataArray:
        if quantity not in self.data.data_vars:
            raise TableError(
                f"table {self.name} has no quantity {quantity!r}. It has: {listed(self.quantities)}."
            )
        return self.data[quantity]

    def _check_axes(self, variable: xr.DataArray, at: Mapping[str, ArrayLike]) -> None:
        wanted = {str(axis) for axis in variable.dims}
        unknown, missing = sorted(set(at) - wanted), sorted(wanted - set(at))
        if unknown or missing:
            said = [f"unknown: {', '.join(unknown)}"] if unknown else []
            said += [f"missing: {', '.join(missing)}"] if missing else []
            raise TableError(
                f"{self.name}.{variable.name} is read over {', '.join(sorted(wanted)) or 'no axis'} "
                f"({'; '.join(said)})."
            )

    def _category(self, axis: str, value: ArrayLike) -> str:
        categories = [str(each) for each in self.data[axis].values]
        if str(value) not in categories:
            raise TableError(f"{self.name} has no {axis} {str(value)!r}. It has: {listed(categories)}.")
        return str(value)

    def _within(self, axis: str, value: ArrayLike) -> NDArray[np.float64]:
        points = np.asarray(value, dtype=float)
        if is_labels(self.data[axis]):
            return self._labels(axis, points)
        low, high = float(self.data[axis].values[0]), float(self.data[axis].values[-1])
        # A grid end written as 0.5 and computed as 0.1 * 5 is the same end: allow rounding, no more.
        slack = 1e-9 * max(abs(low), abs(high))
        if not np.all((points >= low - slack) & (points <= high + slack)):
            worst = points.flat[np.argmax(np.maximum(low - points, points - high).ravel())]
            unit = self.data[axis].attrs.get("units", "")
            raise TableError(
                f"{axis}={worst:.12g} {unit} lies outside table {self.name}, which spans "
                f"{low:.12g} to {high:.12g} {unit}. Characterise a wider axis; tables never extrapolate."
            )
        return np.clip(points, low, high)

    def _labels(self, axis: str, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The axis' own labels that are meant."""
        held = np.asarray(self.data[axis].values, dtype=float)
        place = np.abs(held - points[..., None]).argmin(axis=-1)
        meant = held[place]
        amiss = ~np.isclose(meant, points, rtol=1e-9, atol=1e-12)
        if amiss.any():
            wrong, at = float(points[amiss].flat[0]), int(place[amiss].flat[0])
            near = ", ".join(f"{each:.12g}" for each in held[max(at - 1, 0) : at + 2])
            by_name = "labels" not in self.data[axis].attrs  # nobody said that they are labels
            raise TableError(
                f"{axis}={wrong:.12g} is not in table {self.name}: its {axis} are labels, {len(held)} of "
                f"them, and between labels there is nothing to interpolate. The nearest: {near}."
                + (
                    " If they are quantities after all, say so in the table's TOML: labels = false under "
                    f"[axes.{axis}]."
                    if by_name
                    else ""
                )
            )
        return meant

    def save(self, path: Path) -> None:
        """Write HDF5 in netCDF-4 layout, whole or not at all."""
        attributes = {
            "table": self.name,
            "lineage": json.dumps(self.lineage, sort_keys=True),
            "origin": json.dumps(self.origin, sort_keys=True),
            "digest": self.digest,
            "Conventions": "CF-1.11",
        }
        encoding = {
            name: {"zlib": True, "shuffle": True} for name, each in self.data.data_vars.items() if each.ndim
        }
        # Made in memory: a disk that fills under HDF5 leaves it a broken file, which crashes Python later.
        content = self.data.assign_attrs(attributes).to_netcdf(engine="h5netcdf", encoding=encoding)
        write_bytes(path, bytes(content) + _seal(bytes(content)))


def load_table(path: Path) -> LookupTable:
    """Read a table and check that its content still has the digest it was saved with.

    Raises:
        TableError: no such file, not a table, or damaged.
    """
    if not path.is_file():
        raise TableError(f"there is no table at {path}. Make it with: spicebridge characterize {path.stem}")
    _refuse_damage(path)
    # Here, as they take half a second, and most commands that refuse or list something read no table.
    import h5py
    import xarray as xr

    try:
        # Asked first of HDF5 itself, for xarray's reader warns at length about files that are no table.
        with h5py.File(path, "r") as file:
            file.attrs["table"]
            _refuse_links(file)
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            if opened.nbytes > TABLE.bytes:  # compressed, it may be a thousand times smaller
                raise LimitError(f"it holds more than {TABLE.said}. {TABLE.remedy}")
            data = opened.load()
        attributes = dict(data.attrs)
        data.attrs = {}
        table = LookupTable(
            data=data,
            name=str(attributes["table"]),
            lineage=read_json(str(attributes["lineage"]), "its lineage", finite=False),
            origin=read_json(str(attributes["origin"]), "its origin", finite=False),
        )
        check_table(data, table.lineage, table.origin)
        recorded = str(attributes["digest"])
        digest = table.digest
    except LimitError as error:
        raise TableError(f"{path}: {error}") from error
    except ForeignError as error:
        raise TableError(
            f"{path} is not a table that is read here: {error}. If it is yours, make it again: spicebridge "
            f"characterize {path.stem}"
        ) from error
    except Exception as error:  # HDF5 readers raise many kinds on bytes they cannot make sense of
        raise TableError(
            f"{path} is not a readable table ({type(error).__name__}: {error}). "
            f"Delete it and make it again: spicebridge characterize {path.stem}"
        ) from error
    if digest != recorded:
        raise TableError(
            f"{path} was changed after it was written: its content has digest {digest[:12]}, it claims "
            f"{recorded[:12]}. Make it again: spicebridge characterize {table.name}"
        )
    return table


def _refuse_links(file: Any) -> None:
    """Refuse a file that leads to other files, or whose values would take more memory than there may be.

    Raises:
        ForeignError: links to other files, values kept in other files, or values that are too many.
    """
    import h5py

    total = 0
    for key in file:
        link = file.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ForeignError(f"its part {shortened(str(key), 40)!r} is a link, and a table has none")
        part = file[key]
        if not isinstance(part, h5py.Dataset):
            raise ForeignError(f"its part {shortened(str(key), 40)!r} is a group, and a table has none")
        if part.external or part.is_virtual:
            raise ForeignError(f"the values of {shortened(str(key), 40)!r} lie in another file")
        total += part.nbytes
        if total > TABLE.bytes:  # compressed, they may be a thousand times smaller
            raise LimitError(f"its values would take more than {TABLE.said} of memory. {TABLE.remedy}")


def _refuse_damage(path: Path) -> None:
    """Refuse a file whose bytes are not those written: on some, HDF5 never comes to an end.

    Older files have no seal, nor has one that was cut short, which HDF5 notices.
    """
    try:
        content = read_bytes(path, TABLE)
    except LimitError as error:
        raise TableError(str(error)) from error
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}.") from error
    length = len(_seal(b""))
    seal = content[-length:]
    if seal.startswith(_SEAL) and seal != _seal(content[:-length]):
        raise TableError(
            f"{path} is not a readable table (it was changed after it was written, or damaged). "
            f"Delete it and make it again: spicebridge characterize {path.stem}"
        )


def _seal(content: bytes) -> bytes:
    """What stands behind a table's HDF5 bytes, where readers of HDF5 do not look."""
    return _SEAL + hashlib.sha256(content).hexdigest().encode()


def check_axis(name: str, values: ArrayLike) -> None:
    """Refuse a number axis that is not finite and strictly increasing, or a text axis with repeats."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise TableError(f"axis {name} needs a list of at least one value.")
    if array.dtype.kind in "UOST":
        names = [str(each) for each in array.tolist()]
        if len(set(names)) != len(names):
            raise TableError(f"axis {name} names a category twice: {', '.join(names)}.")
        return
    if not (np.all(np.isfinite(array)) and np.all(np.diff(array) > 0)):
        raise TableError(f"axis {name} must be finite and strictly increasing.")


def to_scale(values: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Values in the scale they are interpolated in.

    ``log(-log)`` makes the two tails of a switching probability straight: a Gumbel law
    ``P = exp(-k exp(-t/tau))`` is a line in ``log(-log P)`` against ``t``.
    """
    if scale == "linear":
        return values
    if scale == "log":
        return np.log(values)
    return np.log(-np.log(np.clip(values, _TINY, 1 - 2.0**-53)))


def from_scale(values: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """The inverse of ``to_scale``."""
    if scale == "linear":
        return values
    if scale == "log":
        return np.exp(values)
    probability = np.exp(-np.exp(values))
    return np.where(probability <= _TINY * 1.001, 0.0, probability)


def _multilinear(
    variable: xr.DataArray,
    points: Mapping[str, NDArray[np.float64]],
    axes: Mapping[str, xr.DataArray],
    table: str,
) -> NDArray[np.float64]:
    """Multilinear interpolation: the corners of each point's cell, weighted.

    A corner of weight zero does not count, so that a hole spoils only the cells that touch it.
    """
    scale = variable.attrs.get("scale", "linear")
    values = to_scale(np.asarray(variable.values, dtype=float), scale)
    if not points:
        return _refuse_holes(from_scale(values, scale), variable, table)
    cells, weights = [], []
    for axis, at in points.items():
        axis_scale = axes[axis].attrs.get("scale", "linear")
        grid = to_scale(np.asarray(axes[axis].values, dtype=float), axis_scale)
        position = to_scale(at, axis_scale)
        lower = np.clip(np.searchsorted(grid, position, side="right") - 1, 0, max(len(grid) - 2, 0))
        upper = np.minimum(lower + 1, len(grid) - 1)
        width = np.where(upper > lower, grid[upper] - grid[lower], 1.0)
        cells.append((lower, upper))
        weights.append((position - grid[lower]) / width)
    result = np.zeros(np.broadcast_shapes(*(weight.shape for weight in weights)))
    for corner in product((0, 1), repeat=len(cells)):
        index = tuple(cell[side] for cell, side in zip(cells, corner, strict=True))
        share = np.ones(())
        for weight, side in zip(weights, corner, strict=True):
            share = share * (weight if side else 1.0 - weight)
        with np.errstate(invalid="ignore"):
            result = result + np.where(share == 0.0, 0.0, share * values[index])
    return _refuse_holes(from_scale(result, scale), variable, table)


def _refuse_holes(values: NDArray[np.float64], variable: xr.DataArray, table: str) -> NDArray[np.float64]:
    if np.isnan(values).any():
        raise TableError(
            f"{table}.{variable.name} has no value at {int(np.isnan(values).sum())} of the points asked for "
            f"(not simulated there). Read elsewhere, or characterise the missing points."
        )
    return values


def is_labels(axis: xr.DataArray) -> bool:
    """Whether an axis holds labels, between which there is no value.

    Text and truth values do, and numbers that the axis' attribute ``labels`` calls so. Where it says nothing,
    whole numbers without a unit do if their name says that they number random draws: ``seed``, ``mc_run``.
    """
    if axis.dtype.kind in "UOSTb":
        return True
    if "labels" in axis.attrs:
        return bool(axis.attrs["labels"] == "yes")
    words = {word.rstrip("s") for word in re.split(r"[^a-z]+", str(axis.name).lower())}
    draws = "seed" in str(axis.name).lower() or not words.isdisjoint(_DRAWS)
    whole = bool(np.all(np.asarray(axis.values, dtype=float) % 1 == 0))
    return draws and whole and axis.attrs.get("units", "") in ("", "1")


def _is_category(axis: xr.DataArray) -> bool:
    return axis.dtype.kind in "UOST"


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def _value_bytes(values: NDArray[Any]) -> bytes:
    """Bytes that equal values share on every machine: little-endian numbers, or JSON text."""
    if values.dtype.kind in "UOST":
        return _canonical([str(each) for each in values.ravel()])
    kind = "<f8" if values.dtype.kind == "f" else "<i8"
    # -0.0 and 0.0 are the same value; NaN has one spelling.
    numbers = np.ascontiguousarray(values).astype(kind)
    if kind == "<f8":
        numbers = np.where(np.isnan(numbers), np.nan, numbers + 0.0).astype(kind)
    return numbers.tobytes()
