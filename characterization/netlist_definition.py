"""Definitions of sweeps over a netlist of the user's own: a TOML file with deck, axes and measures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from characterization.source_power import Integral, check_analysis, named_sources, saving_power
from characterization.values import DefinitionError, axis, is_number, number
from spicebridge.deck import Deck
from spicebridge.errors import SpicebridgeError
from spicebridge.netlist import library_lines, netlist_digest, read_netlist
from spicebridge.netlist_paths import expanded
from spicebridge.permission import TRUSTED, outside, real_path
from spicebridge.randomness import LARGEST_SEED, drawing_line, noise_line, seed_of, without_seed
from spicebridge.settings import did_you_mean, listed, shortened
from spicebridge.startup import check_compat, refuse_startup, startup_for
from spicebridge.table import SCALES

MOST_POINTS_OF_TABLE = 10_000_000
MOST_DECKS = 100  # base decks, one for each combination of library sections; all are held in memory
MOST_BATCHED = 10_000
_KEYS = ("deck", "about", "files", "compat", "axes", "parameters", "measures", "batch", "time_limit")
_AXIS_KEYS = ("unit", "start", "stop", "points", "spacing", "values", "long_name", "scale", "labels")
_SEED_KEYS = ("option", "unit", "start", "stop", "points", "values", "long_name")
_SPAN = ("start", "stop", "points")
_LIBRARY_KEYS = ("library", "values", "long_name")
_MEASURE_KEYS = ("unit", "long_name", "scale", "holes")
_INTEGRAL_KEYS = (*_MEASURE_KEYS, "integrate", "sources", "from", "to")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MEASURED = re.compile(r"^\.meas(?:ure)?\s+([a-z]+)\s", re.IGNORECASE)
_BARE_TEMPERATURE = re.compile(r"\.temp[\s=]+[A-Za-z]", re.IGNORECASE)


@dataclass(frozen=True)
class Axis:
    """One axis of the table.

    Attributes:
        name: a top-level parameter of the deck, or what a choice of library sections is called.
        values: numbers, strictly increasing, or library sections.
        unit: of the numbers; empty for sections.
        long_name: for people.
        scale: the scale the table is interpolated in along it.
        library: the library, as the TOML file names it, whose section is chosen; None for numbers.
        labels: whether its numbers are labels, never interpolated; None to go by their name, as
            ``spicebridge.table.is_labels`` does.
        option: ``seed`` where its values are ngspice's seed and no parameter's.
    """

    name: str
    values: tuple[float, ...] | tuple[str, ...]
    unit: str
    long_name: str
    scale: str = "linear"
    library: str | None = None
    labels: bool | None = None
    option: str | None = None


@dataclass(frozen=True)
class Measure:
    """One quantity of the table: a ``.meas`` line of the deck, or the energy that sources deliver.

    Attributes:
        name: of the ``.meas`` line, in any case of letters, or of the integral.
        unit, long_name: for people.
        scale: the scale the table is interpolated in.
        integral: whose power is integrated; None for a ``.meas`` line.
        may_lack: whether a point without a value is expected, and no fault.
    """

    name: str
    unit: str
    long_name: str
    scale: str = "linear"
    integral: Integral | None = None
    may_lack: bool = False


@dataclass(frozen=True)
class NetlistDefinition:
    """What a table of a user's own netlist is made of.

    Attributes:
        name: the table's.
        about: one line for people.
        axes: the table's, in order.
        measures: the table's quantities.
        decks: the base decks, with ``parameters`` set: one for each combination of the sections on the
            library axes, the last of these axes running fastest.
        parameters: top-level parameters of the deck that are set to other values for the whole table.
        netlists: digests of the files that the decks were read from, by their names in the TOML file.
        batch: points that share a deck.
        time_limit: seconds that a deck may take; None for the engine's.
        notes: what people should know of how it was read.
    """

    name: str
    about: str
    axes: tuple[Axis, ...]
    measures: tuple[Measure, ...]
    decks: tuple[Deck, ...]
    parameters: Mapping[str, float]
    netlists: Mapping[str, str]
    batch: int = 1
    time_limit: float | None = None
    notes: tuple[str, ...] = ()

    procedure = "netlist"

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(len(each.values) for each in self.axes)


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
        _check_names([*(each.name for each in axes), *(each.name for each in measures)])
        _check_size(axes)
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
            _check_deck(deck, axes, measures, parameters)
        saved = _saved_sources(decks, measures, batch)
        return NetlistDefinition(
            name=self.path.stem,
            about=_text("about", self.content.get("about", self.path.stem)),
            axes=axes,
            measures=measures,
            decks=tuple(
                saving_power(deck.with_parameters(**parameters), names)
                for deck, names in zip(decks, saved, strict=True)
            ),
            parameters=parameters,
            netlists={name: netlist_digest(file) for name, file in sorted(files.items())},
            batch=batch,
            time_limit=None if limit is None else number("time_limit", limit),
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
        raise DefinitionError(f'{key} = {given!r} should be a list of sections, ["tt", "ff"].')
    # ngspice knows sections in any case; the deck's digest should not depend on it.
    sections = tuple(_text(key, each).lower() for each in given)
    if len(set(sections)) < len(sections):
        raise DefinitionError(f"{key} names a section twice: {listed(sections)}.")
    return sections


def _measure(name: str, given: Mapping[str, Any]) -> Measure:
    key = f"measures.{name}"
    known = _INTEGRAL_KEYS if "integrate" in given else _MEASURE_KEYS
    _check_keys(key, given, known, required=("unit",))
    scale = given.get("scale", "linear")
    _check_scale(f"{key}.scale", scale)
    return Measure(
        name,
        unit=_text(f"{key}.unit", given["unit"]),
        long_name=_text(f"{key}.long_name", given.get("long_name", name)),
        scale=scale,
        integral=_integral(key, given) if "integrate" in given else None,
        may_lack=_may_lack(key, given),
    )


def _may_lack(key: str, given: Mapping[str, Any]) -> bool:
    if given.get("holes", "expected") != "expected":
        raise DefinitionError(f'{key}.holes = {given["holes"]!r} should be "expected", or left out.')
    return "holes" in given


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


def _saved_sources(decks: Sequence[Deck], measures: Sequence[Measure], batch: int) -> list[list[str]]:
    """For each deck the sources whose power its integrals need."""
    integrals = {f"measures.{each.name}": each.integral for each in measures if each.integral is not None}
    if integrals and batch > 1:
        raise DefinitionError(
            f"{next(iter(integrals))}: integrate does not suit batch = {batch}, whose points share one deck. "
            "Leave batch out."
        )
    saved: list[list[str]] = []
    for deck in decks:
        names: list[str] = []
        for key, integral in integrals.items():
            check_analysis(deck, key=key)
            names += named_sources(integral, deck, key=key)
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


def _fits(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _text(key: str, value: object) -> str:
    """A text of one visible line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise DefinitionError(f"{key} = {value!r} should be a text of one line, and not empty.")
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


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that ngspice, which knows no capitals, cannot tell apart."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise DefinitionError(f"the name {name} is given twice among axes and measures.")
        seen.add(name.lower())


def _check_size(axes: Sequence[Axis]) -> None:
    points = math.prod(len(each.values) for each in axes)
    decks = math.prod(len(each.values) for each in axes if each.library is not None)
    if points > MOST_POINTS_OF_TABLE:
        raise DefinitionError(f"axes: {points:,} points are more than {MOST_POINTS_OF_TABLE:,}.")
    if decks > MOST_DECKS:
        raise DefinitionError(f"axes: {decks:,} combinations of sections are more than {MOST_DECKS}.")


def _check_deck(
    deck: Deck, axes: Sequence[Axis], measures: Sequence[Measure], parameters: Mapping[str, float]
) -> None:
    """Refuse names that the deck does not have, and a temperature that ngspice would not take."""
    for line in deck.lines:
        if _BARE_TEMPERATURE.match(line):
            raise DefinitionError(
                f"deck: ngspice takes 27 for the temperature in {shortened(line)!r}; put the parameter in "
                "braces."
            )
    _check_draws(deck, axes, parameters)
    kinds = sorted({match[1].lower() for match in map(_MEASURED.match, deck.lines) if match})
    if len(kinds) > 1:
        raise DefinitionError(
            f"deck: it has .meas lines of {' and '.join(kinds)}, and ngspice gives those of one analysis a "
            "deck. Make a deck, and a TOML file, for each."
        )
    swept = [each.name for each in axes if each.library is None and each.option is None]
    known = deck.parameters
    for key, names in (("axes", swept), ("parameters", parameters)):
        for name in names:
            if name.lower() not in known:
                near = did_you_mean(name.lower(), known)
                raise DefinitionError(
                    f"{key}.{name}: the deck has no top-level .param {name}.{near} It has: {listed(known)}."
                )
    for each in axes:
        if (each.library or each.option) and each.name.lower() in known:
            raise DefinitionError(f"axes.{each.name}: the deck has a .param of that name; choose another.")
    lowered = [name.lower() for name in (*swept, *parameters)]
    if both := [name for name in (*swept, *parameters) if lowered.count(name.lower()) > 1]:
        raise DefinitionError(f"{both[0]} is given twice among axes and parameters.")
    for measure in measures:
        if measure.integral is not None:
            if measure.name.lower() in deck.measures:
                raise DefinitionError(
                    f"measures.{measure.name}: the deck has a .meas of that name; choose another."
                )
        elif measure.name.lower() not in deck.measures:
            raise DefinitionError(
                f"measures.{measure.name}: the deck has no .meas {measure.name}."
                f"{did_you_mean(measure.name.lower(), deck.measures)}"
                f" It has: {listed(deck.measures)}."
            )


def _check_draws(deck: Deck, axes: Sequence[Axis], parameters: Mapping[str, float]) -> None:
    """Refuse random numbers that could not be drawn again."""
    if noise := noise_line(deck):
        raise DefinitionError(
            f"deck: {shortened(noise)!r} draws random numbers that ngspice does not repeat, not even with a "
            "seed. A Verilog-A model with a seed as parameter can be swept over that."
        )
    seeds = [each for each in axes if each.option == "seed"]
    if len(seeds) > 1:
        raise DefinitionError(f"axes.{seeds[1].name}: a deck has one seed, and axes.{seeds[0].name} is it.")
    values = {
        each.name.lower(): [float(value) for value in each.values] for each in axes if each.library is None
    }
    values |= {name.lower(): [value] for name, value in parameters.items()}
    random = drawing_line(deck, values)
    if random and not seeds and seed_of(deck) is None:
        raise DefinitionError(
            f"deck: {shortened(random)!r} draws random numbers, and nothing seeds those of ngspice, so no "
            "value could be made again. Write .options seed=1 into the deck, or sweep the seed: [axes.seed] "
            'with option = "seed" and values = [1, 2, 3].'
        )


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
