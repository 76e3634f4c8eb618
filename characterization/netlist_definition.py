"""Definitions of sweeps over a netlist of the user's own: a TOML file with deck, axes and measures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from characterization.measured import power_vectors
from characterization.netlist_checks import check_deck, check_names, check_size
from characterization.netlist_sweep import Axis, Measure, NetlistDefinition
from characterization.source_power import Integral, check_analysis, named_sources, saving
from characterization.values import DefinitionError, axis, is_number, number
from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.limits import DECK_TIME
from spicebridge.netlist import library_lines, netlist_digest, read_netlist
from spicebridge.netlist_paths import expanded
from spicebridge.permission import TRUSTED, outside, real_path
from spicebridge.randomness import LARGEST_SEED, without_seed
from spicebridge.settings import did_you_mean, listed, shortened
from spicebridge.startup import check_compat, refuse_startup, startup_for
from spicebridge.table import SCALES

MOST_BATCHED = 10_000
_KEYS = ("deck", "about", "files", "compat", "axes", "parameters", "measures", "batch", "time_limit")
_AXIS_KEYS = ("unit", "start", "stop", "points", "spacing", "values", "long_name", "scale", "labels")
_SEED_KEYS = ("option", "unit", "start", "stop", "points", "values", "long_name")
_SPAN = ("start", "stop", "points")
_LIBRARY_KEYS = ("library", "values", "long_name")
_MEASURE_KEYS = ("unit", "long_name", "scale", "holes")
_VECTOR_KEYS = (*_MEASURE_KEYS, "vector")
_INTEGRAL_KEYS = (*_MEASURE_KEYS, "integrate", "sources", "from", "to")
_VECTOR = re.compile(r"[A-Za-z_@][\w@\[\]().#:/+-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def netlist_definition(
    path: Path, content: Mapping[str, Any], *, overrides: Mapping[str, Any], trust: bool
) -> NetlistDefinition:
    """The definition in the content of a TOML file.

    Args:
        path: the file's; what it names is looked for beside it.
        content: what it holds.
        overrides: dotted keys, such as ``axes.rval.points``, to values that take the place of the file's.
        trust: whether the deck may read any file and run commands.

    Raises:
        DefinitionError: a key that is unknown, missing, or has a value of a wrong kind.
        SpicebridgeError: a deck that cannot be read, or that asks for what it may not do.
    """
    reader = _Reader(path, _overridden(content, overrides, path.name), trust)
    try:
        return reader.definition()
    except DefinitionError as error:
        raise DefinitionError(f"{path.name}: {error}") from error


@dataclass(frozen=True)
class _Reader:
    """Reads one file; its errors name the key, not the file."""

    path: Path
    content: Mapping[str, Any]
    trust: bool

    def definition(self) -> NetlistDefinition:
        _check_keys("", self.content, _KEYS, required=("deck", "axes", "measures"))
        axes = tuple(_axis(name, value) for name, value in _sections("axes", self.content["axes"]))
        measures = tuple(_measure(*each) for each in _sections("measures", self.content["measures"]))
        check_names([*(each.name for each in axes), *(each.name for each in measures)])
        check_size(axes, measures)
        parameters = _parameters(self.content.get("parameters", {}))
        batch, limit = self.content.get("batch", 1), self.content.get("time_limit")
        if not isinstance(batch, int) or isinstance(batch, bool) or not 1 <= batch <= MOST_BATCHED:
            raise DefinitionError(f"batch = {batch!r} should be a whole number, 1 to {MOST_BATCHED}.")
        if batch > 1 and (seeds := [each.name for each in axes if each.option]):
            raise DefinitionError(
                f"batch = {batch} does not suit axes.{seeds[0]}: the copies would share one "
                "seed. Leave batch out."
            )
        decks, files, notes = self.decks(axes)
        for deck in decks:
            check_deck(deck, axes, measures, parameters)
        saved = _saved(decks, measures, batch)
        return NetlistDefinition(
            name=self.path.stem,
            about=_text("about", self.content.get("about", self.path.stem)),
            axes=axes,
            measures=measures,
            decks=tuple(
                saving(deck.with_parameters(**parameters), names)
                for deck, names in zip(decks, saved, strict=True)
            ),
            parameters=parameters,
            netlists={name: netlist_digest(file) for name, file in sorted(files.items())},
            batch=batch,
            time_limit=None if limit is None else _time_limit(limit),
            notes=tuple(notes),
        )

    def decks(self, axes: Sequence[Axis]) -> tuple[list[Deck], dict[str, Path], list[str]]:
        """The base decks, the files they were read from by their names in the TOML file, and notes."""
        named = self.named_files(axes)
        netlist = self.beside("deck", self.content["deck"])
        called = {self.content["deck"]: netlist, **named}
        permission = TRUSTED if self.trust else outside([netlist, *named.values()], self.path.parent)
        startup = startup_for(netlist.parent)
        source_path = () if startup is None else startup.source_folders(netlist.parent)
        sources = [file for file in named.values() if file.suffix == ".va"]
        compat = check_compat(self.content["compat"]) if "compat" in self.content else None
        decks: list[Deck] = []
        files: dict[str, Path] = {}
        notes: list[str] = []
        libraries = [each for each in axes if each.library is not None]
        for sections in self.choices(netlist, libraries, source_path):
            read = read_netlist(
                netlist,
                permission=permission,
                models=sources,
                model_folders=[folder for folder in named.values() if folder.is_dir()],
                sections=sections,
                compat=compat or "",
                source_path=source_path,
            )
            own = replace(read.deck, name=self.path.stem)
            decks.append(without_seed(own) if any(each.option for each in axes) else own)
            files.update((_name_of(file, called), file) for file in read.files)
        if startup is not None:
            remedy = f'Add this to {self.path.name}: compat = "MODE"'
            notes = refuse_startup(startup, compat=compat, lines=decks[0].top_level, remedy=remedy)
        return decks, files, notes

    def named_files(self, axes: Sequence[Axis]) -> dict[str, Path]:
        """The files and folders that the deck may read, by their names in the TOML file."""
        listed = self.content.get("files", [])
        if not isinstance(listed, list):
            raise DefinitionError(f'files = {listed!r} should be a list, files = ["models.lib"].')
        named = {_text("files", each): self.beside("files", each, folder=True) for each in listed}
        libraries = {each.library: f"axes.{each.name}.library" for each in axes if each.library is not None}
        return named | {library: self.beside(key, library) for library, key in libraries.items()}

    def beside(self, key: str, value: object, *, folder: bool = False) -> Path:
        """A file that the TOML file names, relative to it."""
        path = real_path(self.path.parent / expanded(_text(key, value), key))
        if not (path.is_file() or (folder and path.is_dir())):
            raise DefinitionError(
                f"{key} names {value!r}, and there is no such file beside {self.path.name}."
            )
        return path

    def choices(
        self, netlist: Path, axes: Sequence[Axis], source_path: Sequence[Path]
    ) -> Iterator[dict[tuple[Path, str], str]]:
        """For each combination of sections: what ``.lib`` lines are to take instead of their own."""
        lines = [self.library_line(netlist, each, source_path) for each in axes]
        if len(set(lines)) < len(lines):
            raise DefinitionError("two axes choose the section of the same .lib line.")
        for sections in product(*(each.values for each in axes)):
            yield {line: str(section) for line, section in zip(lines, sections, strict=True)}

    def library_line(self, netlist: Path, axis: Axis, source_path: Sequence[Path]) -> tuple[Path, str]:
        """The deck's ``.lib`` line that an axis chooses the section of.

        Of several lines for one library it is the one whose section is among the axis' values.
        """
        library = self.beside(f"axes.{axis.name}.library", axis.library)
        found = [line for line in library_lines(netlist, source_path) if line[0] == library]
        if len(found) > 1:
            found = [line for line in found if line[1] in axis.values]
        if len(found) != 1:
            raise DefinitionError(
                f"axes.{axis.name}: {netlist.name} should have one line .lib {axis.library!r} SECTION for "
                f"it, and has {len(found) or 'none'}. Of several, its section is among the axis' values."
            )
        return found[0]


def _sections(key: str, value: object) -> list[tuple[str, Mapping[str, Any]]]:
    """The sections under ``[key.NAME]``."""
    if not isinstance(value, dict) or not value:
        raise DefinitionError(f"{key} should be sections, [{key}.NAME] and its keys, at least one.")
    for name, inner in value.items():
        if not isinstance(inner, dict):
            raise DefinitionError(f"{key}.{name} should be a section, [{key}.{name}] and its keys.")
        if not _NAME.fullmatch(name):
            raise DefinitionError(f"{key}.{name!r}: a name is made of letters, digits and _.")
    return list(value.items())


def _axis(name: str, given: Mapping[str, Any]) -> Axis:
    key = f"axes.{name}"
    if "library" in given:
        _check_keys(key, given, _LIBRARY_KEYS, required=("library", "values"))
        return Axis(
            name,
            _library_sections(f"{key}.values", given["values"]),
            unit="",
            long_name=_text(f"{key}.long_name", given.get("long_name", name)),
            library=_text(f"{key}.library", given["library"]),
        )
    if "option" in given:
        return _seed_axis(name, given)
    listed = "values" in given
    _check_keys(key, given, _AXIS_KEYS, required=("unit", *(() if listed else ("start", "stop", "points"))))
    if listed and (spaced := [each for each in ("start", "stop", "points", "spacing") if each in given]):
        raise DefinitionError(f"{key} has both values and {', '.join(spaced)}: give one or the other.")
    try:
        values = axis(key, given["values"] if listed else given)
    except SpicebridgeError as error:
        raise DefinitionError(str(error)) from error
    scale = given.get("scale", "log" if given.get("spacing") == "log" else "linear")
    _check_scale(f"{key}.scale", scale)
    labels = given.get("labels")
    if labels is not None and not isinstance(labels, bool):
        raise DefinitionError(f"{key}.labels = {labels!r} should be true or false.")
    if (scale == "log" and values[0] <= 0) or (
        scale == "log(-log)" and not 0 <= values[0] <= values[-1] <= 1
    ):
        raise DefinitionError(f"{key}.scale = {scale!r} does not fit {values[0]:g} to {values[-1]:g}.")
    return Axis(
        name,
        values,
        unit=_text(f"{key}.unit", given["unit"]),
        long_name=_text(f"{key}.long_name", given.get("long_name", name)),
        scale=scale,
        labels=labels,
    )


def _seed_axis(name: str, given: Mapping[str, Any]) -> Axis:
    """An axis of ngspice's own seeds."""
    key = f"axes.{name}"
    _check_keys(key, given, _SEED_KEYS, required=())
    if given["option"] != "seed":
        raise DefinitionError(
            f'{key}.option = {given["option"]!r} should be "seed"; no other can be an axis.'
        )
    try:
        values = axis(
            key, given["values"] if "values" in given else {k: given[k] for k in _SPAN if k in given}
        )
    except SpicebridgeError as error:
        raise DefinitionError(str(error)) from error
    if any(value != int(value) or not 1 <= value <= LARGEST_SEED for value in values):
        raise DefinitionError(f"{key}: seeds are whole numbers, 1 to {LARGEST_SEED}.")
    long_name = _text(f"{key}.long_name", given.get("long_name", "seed of ngspice's random numbers"))
    unit = _text(f"{key}.unit", given.get("unit", "1"))
    return Axis(name, values, unit=unit, long_name=long_name, labels=True, option="seed")


def _library_sections(key: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        raise DefinitionError(f'{key} = {shortened(repr(given))} should be a list of sections, ["tt", "ff"].')
    # ngspice knows sections in any case; the deck's digest should not depend on it.
    sections = tuple(_text(key, each).lower() for each in given)
    if len(set(sections)) < len(sections):
        raise DefinitionError(f"{key} names a section twice: {listed(sections)}.")
    return sections


def _measure(name: str, given: Mapping[str, Any]) -> Measure:
    key = f"measures.{name}"
    known = _VECTOR_KEYS if "vector" in given else _INTEGRAL_KEYS if "integrate" in given else _MEASURE_KEYS
    _check_keys(key, given, known, required=("unit",))
    scale = given.get("scale", "linear")
    _check_scale(f"{key}.scale", scale)
    return Measure(
        name,
        unit=_text(f"{key}.unit", given["unit"]),
        long_name=_text(f"{key}.long_name", given.get("long_name", name)),
        scale=scale,
        integral=_integral(key, given) if "integrate" in given else None,
        vector=_vector(f"{key}.vector", given["vector"]) if "vector" in given else None,
        may_lack=_may_lack(key, given),
    )


def _may_lack(key: str, given: Mapping[str, Any]) -> bool:
    if given.get("holes", "expected") != "expected":
        raise DefinitionError(f'{key}.holes = {given["holes"]!r} should be "expected", or left out.')
    return "holes" in given


def _vector(key: str, value: object) -> str:
    """The name of a vector, in lower case as ngspice has it."""
    if not isinstance(value, str) or not _VECTOR.fullmatch(value):
        raise DefinitionError(
            f'{key} = {value!r} should be the name of one vector: "onoise_total", "@m1[gm]" or "v(out)".'
        )
    return value.lower()


def _integral(key: str, given: Mapping[str, Any]) -> Integral:
    if given["integrate"] != "power":
        raise DefinitionError(f'{key}.integrate = {given["integrate"]!r} should be "power".')
    if given["unit"] != "J":
        raise DefinitionError(f'{key}.unit = {given["unit"]!r} should be "J": power integrated is an energy.')
    sources = given.get("sources", [])
    if not isinstance(sources, list) or ("sources" in given and not sources):
        raise DefinitionError(f'{key}.sources = {sources!r} should be a list of names, sources = ["v1"].')
    window = [given.get(name) for name in ("from", "to")]
    for name, value in zip(("from", "to"), window, strict=True):
        if value is not None and not (is_number(value) and _fits(value) and value >= 0):
            raise DefinitionError(f"{key}.{name} = {value!r} should be a time in s, zero or above.")
    start, stop = (None if value is None else float(value) for value in window)
    if start is not None and stop is not None and stop <= start:
        raise DefinitionError(f"{key}: to = {stop:g} s should be after from = {start:g} s.")
    return Integral(tuple(_text(f"{key}.sources", each) for each in sources), start, stop)


def _saved(decks: Sequence[Deck], measures: Sequence[Measure], batch: int) -> list[list[str]]:
    """For each deck the vectors that it must save: its sources' powers, and those that are measures."""
    others = [each for each in measures if each.integral is not None or each.vector is not None]
    if others and batch > 1:
        what = "vector" if others[0].integral is None else "integrate"
        raise DefinitionError(
            f"measures.{others[0].name}: {what} does not suit batch = {batch}, whose points share one deck. "
            "Leave batch out."
        )
    saved: list[list[str]] = []
    for deck in decks:
        names: list[str] = []
        for each in others:
            key = f"measures.{each.name}"
            if each.integral is not None:
                check_analysis(deck, ("tran",), key=f"{key}: integrating")
                sources = named_sources(each.integral, deck, key=key)
                names += [vector for source in sources for vector in power_vectors(source)]
            elif each.vector is not None:
                check_analysis(deck, ("op", "noise"), key=f"{key}: a vector's one value")
                names.append(each.vector)
        saved.append(names)
    return saved


def _parameters(given: object) -> dict[str, float]:
    if not isinstance(given, dict):
        raise DefinitionError("parameters should be a section, [parameters] and NAME = number.")
    values = {}
    for name, value in given.items():
        if not is_number(value) or not _fits(value):
            raise DefinitionError(f"parameters.{name} = {value!r} should be a finite number.")
        values[str(name)] = float(value)
    return values


def _time_limit(given: object) -> float:
    limit = number("time_limit", given)
    if limit > DECK_TIME.value:
        raise DefinitionError(f"time_limit = {limit:g} s is more than {DECK_TIME.said}. {DECK_TIME.remedy}")
    return limit


def _fits(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _text(key: str, value: object) -> str:
    """A text of one visible line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise DefinitionError(
            f"{key} = {shortened(repr(value))} should be a text of one line, and not empty."
        )
    return value


def _check_keys(key: str, given: Mapping[str, Any], known: Sequence[str], *, required: Sequence[str]) -> None:
    prefix = f"{key}." if key else ""
    for each in given:
        if each not in known:
            raise DefinitionError(
                f"unknown key {prefix}{each}.{did_you_mean(each, known)} There are: {', '.join(known)}."
            )
    if missing := [each for each in required if each not in given]:
        raise DefinitionError(f"{prefix}{missing[0]} is missing.")


def _check_scale(key: str, scale: object) -> None:
    if scale not in SCALES:
        raise DefinitionError(f"{key} = {scale!r} is none of: {', '.join(SCALES)}.")


def _overridden(content: Mapping[str, Any], overrides: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The content with values by dotted keys put in; sections on their way are made."""
    changed = dict(content)
    for key, value in overrides.items():
        *sections, last = key.split(".")
        place = changed
        for section in sections:
            inner = place.get(section, {})
            if not isinstance(inner, dict):
                raise DefinitionError(f"{file}: {section} is no section, so {key} cannot be set.")
            place[section] = dict(inner)
            place = place[section]
        place[last] = value
    return changed


def _name_of(file: Path, named: Mapping[str, Path]) -> str:
    """What to call a file: by the TOML file's name for it or for its folder; never by this machine's path."""
    for name, path in named.items():
        called = Path(name).name if Path(name).is_absolute() else Path(name).as_posix()
        if file == path:
            return called
        if path in file.parents:
            return (Path(called) / file.relative_to(path)).as_posix()
    return file.name
