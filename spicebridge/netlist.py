"""Netlist files read into decks: includes and library sections written in, Verilog-A models compiled."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from spicebridge.deck import Deck, DeckError, parse_number
from spicebridge.foreign_sweeps import foreign_sweep
from spicebridge.limits import DEPTH, FILE, INCLUDES, LINES, NETLIST, Budget, LimitError
from spicebridge.model_types import FILE_TYPES, HARMLESS_TYPES
from spicebridge.netlist_paths import located, model_beside, modules_in, sources_of_modules
from spicebridge.netlist_text import Line, logical_lines, unquoted
from spicebridge.permission import (
    OURS,
    TRUST,
    Permission,
    permitted_sources,
    real_path,
    refuse_file,
    refuse_line,
)
from spicebridge.project import private_cache
from spicebridge.reading import read_bytes
from spicebridge.settings import listed, shortened
from spicebridge.verilog_a import CompiledModel

# To ngspice a comment does not begin right after quotes, but nothing there counts either.
_INCLUDE = re.compile(r"""^\.inc(?:lude)?\s+("[^"]+"|'[^']+'|.*?)(?:(?<=["']);.*)?$""", re.IGNORECASE)
# Of the two kinds of .lib line the one with two words: take a section of a file.
_LIBRARY = re.compile(
    r"""^\.lib(?:\s*("[^"]+"|'[^']+')|\s+([^\s"']+)(?=[\s"']))[\s"']*([^\s"']+)[\s"']*(.*?)(?:(?<=["']);.*)?$""",
    re.IGNORECASE,
)
# The other begins a section.
_SECTION = re.compile(r"""^\.lib[\s"']+([^\s"']+)[\s"']*$""", re.IGNORECASE)
# The command that loads a model; ngspice takes single quotes around a name, and not double ones.
_LOADED = re.compile(r"pre_osdi\s+(?:'([^']+)'|([^\s']+))", re.IGNORECASE)
# A model card: what stands before its type, its name, its type.
_CARD = re.compile(r"(\.model\s+(\S+)\s+)([^\s(,]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Netlist:
    """A netlist file as read.

    Attributes:
        deck: the deck.
        files: every file that went into it, links resolved, in the order of reading; Verilog-A sources last.
    """

    deck: Deck
    files: tuple[Path, ...]


def read_deck(path: Path, *, permission: Permission = OURS, compat: str = "") -> Deck:
    """The deck in a netlist file. As in ngspice, the file's first line is its title.

    Includes and library sections are written in; ``pre_osdi NAME.osdi`` lines in a ``.control`` block name
    Verilog-A models, which are compiled from ``NAME.va`` at that place.

    Raises:
        DeckError: a missing file, any other command in a ``.control`` block, or a Verilog-A device with too
            few or too many nodes.
        RefusedError: a line or a file that is not permitted.
    """
    return read_netlist(path, permission=permission, compat=compat).deck


def read_netlist(
    path: Path,
    *,
    permission: Permission = OURS,
    models: Sequence[Path] = (),
    model_folders: Sequence[Path] = (),
    sections: Mapping[tuple[Path, str], str] | None = None,
    compat: str = "",
    source_path: Sequence[Path] = (),
) -> Netlist:
    """The deck in a netlist file, with the files that went into it.

    Args:
        path: the netlist.
        permission: what it may do.
        models: Verilog-A sources to compile and load beside those that the netlist names.
        model_folders: folders in which the sources of modules that the netlist uses are looked for.
        sections: by library file, links resolved, and section in lower case as a ``.lib`` line of the netlist
            itself names them: the section to take instead.
        compat: ngspice's compatibility mode for the deck; empty for none.
        source_path: folders in which included files are looked for beside the deck's.

    Raises:
        DeckError, RefusedError: as ``read_deck``.
    """
    reading = _Reading(
        path.stem,
        permission,
        path.parent,
        {} if sections is None else sections,
        compat,
        tuple(source_path),
        tuple(model_folders),
    )
    lines = _lines_without_title(path, dollars="ps" not in compat)
    reading.files.append(real_path(path))
    try:
        _expand(lines, path.parent, reading)
    except RecursionError as error:  # where the limit was raised
        raise DeckError(f"{reading.name}: includes are nested too deeply to be read.") from error
    reading.sources += models
    return _made(reading)


def make_deck(text: str, *, folder: Path, name: str) -> Deck:
    """A deck of ours from netlist text without a title; files it names are looked for in ``folder``."""
    reading = _Reading(name, OURS, folder)
    _expand(logical_lines(text, name), folder, reading)
    return _made(reading).deck


def library_lines(path: Path, source_path: Sequence[Path] = ()) -> list[tuple[Path, str]]:
    """The library files, links resolved, and sections that a netlist file's own ``.lib`` lines name."""
    found = [(line, library) for line in _lines_without_title(path) if (library := _library(line))]
    return [
        (real_path(located(name, (path.parent, *source_path), line.where)), section)
        for line, (name, section) in found
    ]


def _lines_without_title(path: Path, *, dollars: bool = True) -> list[Line]:
    return logical_lines("\n" + read_text(path, None).partition("\n")[2], path.name, dollars=dollars)


@dataclass(frozen=True)
class _File:
    """A file that was read: its lines."""

    lines: Sequence[Line]

    @cached_property
    def sections(self) -> dict[str, int]:
        """Where each of its library sections begins, by name in lower case; the first of one name."""
        found: dict[str, int] = {}
        for at, line in enumerate(self.lines):
            if match := _SECTION.match(line.text):
                found.setdefault(match[1].lower(), at)
        return found


@dataclass
class _Reading:
    """What is gathered while a netlist and what it includes are read.

    Attributes:
        name: the deck's.
        permission: what the deck may do.
        folder: the netlist's.
        sections: sections to take instead of those that the netlist's own ``.lib`` lines name.
        compat: ngspice's compatibility mode.
        source_path: folders in which included files are looked for beside the netlist's.
        model_folders: folders in which the sources of modules are looked for.
        lines: canonical lines.
        sources: Verilog-A sources.
        files: netlist files, links resolved.
        read: the files read so far, but the netlist.
        megabytes, inclusions, length: what was used of the limits so far.
    """

    name: str
    permission: Permission
    folder: Path
    sections: Mapping[tuple[Path, str], str] = field(default_factory=dict)
    compat: str = ""
    source_path: tuple[Path, ...] = ()
    model_folders: tuple[Path, ...] = ()
    lines: list[Line] = field(default_factory=list)
    sources: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    read: dict[Path, _File] = field(default_factory=dict)
    megabytes: Budget = field(default_factory=lambda: Budget(NETLIST, DeckError))
    inclusions: Budget = field(default_factory=lambda: Budget(INCLUDES, DeckError))
    length: Budget = field(default_factory=lambda: Budget(LINES, DeckError))


def _made(reading: _Reading) -> Netlist:
    """The deck of what was read, its Verilog-A models compiled."""
    # A title is no part of the circuit; the simulator puts the digest in its place.
    kept = [line for line in reading.lines if not line.is_apart]
    reading.sources += _sources_in_folders(kept, reading)
    sources = tuple(dict.fromkeys(real_path(each) for each in reading.sources))
    included: tuple[Path, ...] = sources
    if reading.permission != OURS:
        trees = [permitted_sources(source, reading.permission) for source in sources]
        included = tuple(file for tree in trees for file in tree)
        # What another source includes is no model by itself.
        sources = tuple(each for each in sources if not any(each in tree[1:] for tree in trees))
    if sources:
        from spicebridge.verilog_a import compile_model
    models = tuple(compile_model(source, cache=private_cache() / "models") for source in sources)
    _refuse_namesakes(sources, models, reading.name)
    _refuse_mode(reading)
    if reading.permission != OURS:
        for line in kept:
            if cure := foreign_sweep(line.text, parse_number):
                raise DeckError(f"{line.where}: {cure}")
    kept = _under_types(kept, models)
    if reading.permission.confined:
        types = {model.type.lower() for model in models}
        for line in kept:
            refuse_line(line, types)
    canonical = [line.text for line in kept]
    _check_terminals(canonical, models, reading.name)
    deck = Deck(text="\n".join(canonical), models=models, name=reading.name, compat=reading.compat)
    return Netlist(deck, tuple(dict.fromkeys((*reading.files, *included))))


def _sources_in_folders(lines: Sequence[Line], reading: _Reading) -> tuple[Path, ...]:
    """The sources of modules that ``.model`` lines use, and that no source named by itself is called for."""
    types = {card[3].lower() for line in lines if (card := _CARD.match(line.text))}
    named = {name for source in reading.sources for name in modules_in(source)}
    return sources_of_modules(types - HARMLESS_TYPES - named, reading.model_folders, reading.permission)


def _refuse_mode(reading: _Reading) -> None:
    """Refuse a mode in which ngspice reads included files otherwise than the deck they are written into here.

    Raises:
        DeckError: it is one.
    """
    mode = reading.compat
    if ("lt" in mode or "ps" in mode) and not mode.endswith("a") and len(set(reading.files)) > 1:
        raise DeckError(
            f"{reading.name}: in the mode {mode} ngspice translates included files and not the deck itself, "
            f"and here they become one text. Choose {mode}a, which translates both."
        )


def _expand(
    lines: Iterable[Line], folder: Path, reading: _Reading, within: tuple[tuple[Path, str], ...] = ()
) -> None:
    """Gather canonical lines with includes written in, and the Verilog-A sources they use.

    ``within`` holds the files, with their sections, that are being included at this point.
    """
    if len(within) > DEPTH.value:
        raise DeckError(
            f"{reading.name}: includes are nested more than {DEPTH.said} deep, down to {within[-1][0]}. "
            f"{DEPTH.remedy}"
        )
    block: list[Line] | None = None  # the .control block at this point
    for line in lines:
        if line.word == ".control":
            block = [line]
        elif line.word == ".endc":
            # A block that only loads models is no part of the circuit.
            if block is not None and len(block) > 1:
                reading.lines += [*block, line]
            block = None
        elif block is not None:
            source = _model_source(line, folder, reading)
            if source is None:
                block.append(line)
            else:
                reading.sources.append(source)
        elif match := _INCLUDE.match(line.text):
            _include(line, (unquoted(match[1]), ""), folder, reading, within)
        elif _is_whole_library(line, reading.compat):
            _include(line, (unquoted(line.text.partition(" ")[2]), ""), folder, reading, within)
        elif library := _library(line):
            _include(line, library, folder, reading, within)
        else:
            reading.lines.append(line)


def _include(
    line: Line,
    named: tuple[str, str],
    folder: Path,
    reading: _Reading,
    within: tuple[tuple[Path, str], ...],
) -> None:
    """Gather the lines of a library's section, or of a file where the section's name is empty."""
    name, section = named
    folders = tuple(dict.fromkeys((reading.folder, *reading.source_path, folder)))
    path = located(name, folders, line.where)
    resolved = refuse_file(path, reading.permission, line.where)
    if not resolved.exists() and len(folders) > 1:
        raise DeckError(
            f"cannot read netlist {path}, included by {line.file}: there is no {name} in "
            f"{listed(map(str, folders))}."
        )
    if not within:
        section = reading.sections.get((resolved, section), section)
    if (resolved, section) in within:
        raise DeckError(f"{path} includes itself, by way of {line.file}.")
    reading.inclusions.take(1, line.where, "the deck includes")
    file = _read_once(path, line, reading)
    reading.files.append(resolved)
    included = _library_section(file, section, path) if section else file.lines
    reading.length.take(len(included), line.where, "with what it includes the deck has")
    _expand(included, path.parent, reading, (*within, (resolved, section)))


def _is_whole_library(line: Line, compat: str) -> bool:
    """Whether a line includes a file by ``.lib FILE``, as it does in the modes of LTspice and PSpice."""
    return ("lt" in compat or "ps" in compat) and _SECTION.match(line.text) is not None


def _library(line: Line) -> tuple[str, str] | None:
    """The file and the section in lower case of a line that takes one of a library; None for another line.

    Raises:
        DeckError: more stands there.
    """
    match = _LIBRARY.match(line.text)
    if match is None:
        return None
    if match[4]:
        raise DeckError(
            f"{line.where}: {shortened(line.text)!r} should be .lib FILE SECTION, and "
            f"{shortened(match[4])!r} comes after."
        )
    return unquoted(match[1] or match[2]), match[3].lower()


def _read_once(path: Path, by: Line, reading: _Reading) -> _File:
    """A file that is included: a library is read once for all its sections, which it may take itself."""
    file = reading.read.get(path)
    if file is None:
        text = read_text(path, by.file)
        reading.megabytes.take(len(text) / 2**20, by.where, "with what it includes the deck has")
        file = _File(logical_lines(text, path.name, dollars="ps" not in reading.compat))
        reading.read[path] = file
    return file


def _library_section(file: _File, section: str, path: Path) -> Sequence[Line]:
    """The lines from ``.lib SECTION`` to ``.endl`` in a library file; ngspice takes the first of several."""
    lines, heads = file.lines, file.sections
    if section not in heads:
        raise DeckError(f"{path} has no library section {section!r}. It has: {listed(heads)}.")
    begin = heads[section] + 1
    end = next((at for at in range(begin, len(lines)) if lines[at].word.startswith(".endl")), len(lines))
    heads_inside = (_SECTION.match(line.text) for line in lines[begin:end])
    inner = next((match[1].lower() for match in heads_inside if match), None)
    if inner or end == len(lines):
        missed = f".lib {inner}" if inner else "the file ends"
        raise DeckError(f"{path}: the library section {section!r} needs an .endl before {missed}.")
    return lines[begin:end]


def _refuse_namesakes(sources: Sequence[Path], models: Sequence[CompiledModel], name: str) -> None:
    """Refuse two models of one name, of which ngspice takes the first for both in silence."""
    first: dict[str, tuple[Path, CompiledModel]] = {}
    for source, model in zip(sources, models, strict=True):
        other, namesake = first.setdefault(model.type.lower(), (source, model))
        if namesake.build != model.build:
            raise DeckError(
                f"{name} loads two models of one name: {namesake.module} of {other} and {model.module} of "
                f"{source}, and ngspice takes the first for both. Rename one, or load one only."
            )


def _check_terminals(lines: list[str], models: tuple[CompiledModel, ...], name: str) -> None:
    """Refuse a Verilog-A device without a node for each terminal, which ngspice leaves open in silence."""
    terminals = {model.type.lower(): model.terminals for model in models}
    cards = _cards(lines, terminals)
    for line in lines:
        nodes, card = _device(line, cards)
        if card and nodes != len(wanted := terminals[cards[card]]):
            raise DeckError(
                f"{name}: {shortened(line)!r} gives {nodes} nodes, but {cards[card]} has "
                f"{len(wanted)} terminals: {', '.join(wanted)}."
            )


def _under_types(lines: list[Line], models: tuple[CompiledModel, ...]) -> list[Line]:
    """The lines with cards of Verilog-A modules as ngspice takes them.

    A module that has the name of a device of ngspice's is known to it by another. A card that no Verilog-A
    device uses stays ngspice's where its type means something there: a deck that loads a module called ``d``
    may have junction diodes too. After the type stands a blank: ngspice would pass over the first parameter
    of ``TYPE(r=1 ...)`` in silence.
    """
    types = {model.module.lower(): model.type for model in models}
    texts = [line.text for line in lines]
    cards = _cards(texts, types)
    used = {_device(text, cards)[1] for text in texts} if cards else set()

    def under_type(line: Line) -> Line:
        card = _CARD.match(line.text)
        if card is None or (kind := card[3].lower()) not in types:
            return line
        if kind in HARMLESS_TYPES | FILE_TYPES and card[2].lower() not in used:
            return line
        rest = line.text[card.end() :]
        written = card[3] if types[kind].lower() == kind else types[kind]
        return replace(line, text=f"{card[1]}{written}{' ' if rest[:1] == '(' else ''}{rest}")

    return [under_type(line) for line in lines] if cards else lines


def _cards(lines: Iterable[str], types: Container[str]) -> dict[str, str]:
    """The lower-case names of the model cards of some types, and the type of each."""
    found = (card for line in lines if (card := _CARD.match(line)))
    return {card[2].lower(): card[3].lower() for card in found if card[3].lower() in types}


def _device(line: str, cards: Container[str]) -> tuple[int, str]:
    """How many nodes a Verilog-A device has and which of the cards; none if the line is another."""
    if line[0] not in "nN":
        return 0, ""
    words = line.lower().split("=")[0].split()
    # The word before the first '=' names a parameter; without one the line ends with its model.
    at = next((index for index in range(len(words) - 1, 0, -1) if words[index] in cards), None)
    return (0, "") if at is None else (at - 1, words[at])


def _model_source(line: Line, folder: Path, reading: _Reading) -> Path | None:
    """The Verilog-A source that a control command loads; None for another command of a trusted deck."""
    named = _LOADED.fullmatch(line.text)
    if named is None:
        if reading.permission.commands:
            return None
        raise DeckError(
            f"{line.where}: {line.file} has the control command {shortened(line.text)!r}. A deck may only "
            "load models there (pre_osdi NAME.osdi): write analyses as .tran, .dc, .op and results as .meas "
            "lines." + (f" {TRUST}" if reading.permission.confined else "")
        )
    library = named[1] or named[2]
    try:
        name = str(Path(library).with_suffix(".va"))
    except ValueError as error:
        raise DeckError(f"{line.where}: {library!r} is no name of a file.") from error
    source = located(name, (reading.folder, folder), line.where)
    if not source.is_file():
        source = model_beside(source.name, reading.model_folders) or source
    refuse_file(source, reading.permission, line.where)
    if not source.is_file():
        raise DeckError(
            f"{line.where}: {line.file} loads {library}, but there is no Verilog-A source at {source}."
        )
    return source


def netlist_digest(path: Path) -> str:
    """SHA-256 of a netlist file's canonical lines, or of a Verilog-A source as it stands."""
    text = read_text(path, None)
    content = (
        text if path.suffix == ".va" else "\n".join(line.text for line in logical_lines(text, path.name))
    )
    return hashlib.sha256(content.encode()).hexdigest()


def read_text(path: Path, includer: str | None) -> str:
    """A netlist file's text; ``includer`` is the file that names it, for the message.

    Raises:
        DeckError: it cannot be read, or is not text.
    """
    try:
        content = read_bytes(path, FILE)
        if b"\0" in content:
            raise ValueError
        if content.count(b"\n") > LINES.value:
            raise DeckError(f"{path} has more than {LINES.said}. {LINES.remedy}")
    except LimitError as error:
        raise DeckError(str(error)) from error
    except (OSError, ValueError) as error:  # a path with a NUL in it is a ValueError too
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        where = f", included by {includer}" if includer else ""
        raise DeckError(f"cannot read netlist {path}{where}: {reason}.") from error
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # foundries' comments are written so
