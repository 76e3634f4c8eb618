"""Decks: complete ngspice netlists as frozen canonical text.

A deck holds everything a simulation depends on. Included files are written into it; Verilog-A models are
named by the digest of their source. Its own digest is therefore the same on every machine, and changes when
anything that matters does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_text
from spicebridge.project import cache_folder
from spicebridge.verilog_a import CompiledModel, compile_model

_INCLUDE = re.compile(r"^\.inc(?:lude)?\s+(.*)$", re.IGNORECASE)
# Of the two kinds of .lib line the one with two words: take a section of a file.
_LIBRARY = re.compile(r"^\.lib\s+(\"[^\"]+\"|'[^']+'|\S+)\s+(\S+)$", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\s*=\s*('[^']*'|\{[^}]*\}|\"[^\"]*\"|[^\s=]+)")
_NUMBER = re.compile(
    r"^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(t|g|meg|k|m|u|n|p|f|a)?[a-z]*$", re.IGNORECASE
)
_PREFIXES = {
    "t": 1e12, "g": 1e9, "meg": 1e6, "k": 1e3, "m": 1e-3,
    "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18,
}  # fmt: skip


class DeckError(SpicebridgeError):
    """A netlist that cannot be made into a deck."""


@dataclass(frozen=True)
class Deck:
    """One complete ngspice netlist.

    Attributes:
        text: canonical lines: no title, no comments, no continuation, includes written in.
        models: the compiled Verilog-A models that the text uses.
        name: what to call it in messages; not part of its identity.
    """

    text: str
    models: tuple[CompiledModel, ...] = ()
    name: str = field(default="deck", compare=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical text and of the models' sources."""
        content = "\n".join([self.text, *sorted(f"{each.module} {each.digest}" for each in self.models)])
        return hashlib.sha256(content.encode()).hexdigest()

    def replayable(self) -> str:
        """The deck as a file that bare ``ngspice -b`` runs on this machine."""
        control = [".control", "set num_threads=1", "set no_mem_check"]
        control += [f"pre_osdi {model.library}" for model in self.models]
        return "\n".join([f"* {self.name} {self.digest}", *control, ".endc", self.text, ".end", ""])

    def keep(self, folder: Path) -> Path:
        """Write the replayable deck into ``folder`` and return its path."""
        path = folder / f"{self.digest[:12]}.cir"
        write_text(path, self.replayable())
        return path

    @property
    def parameters(self) -> dict[str, str]:
        """The deck's top-level ``.param`` names and their value texts."""
        found: dict[str, str] = {}
        for line in _top_level(self.text.splitlines()):
            if line.lower().startswith(".param"):
                found.update({name.lower(): value for name, value in _ASSIGNMENT.findall(line[6:])})
        return found

    def with_parameters(self, **values: float | str) -> Deck:
        """The same deck with top-level ``.param`` values replaced.

        Raises:
            DeckError: a name the deck does not define, or a value that is not one line of text.
        """
        known = self.parameters
        unknown = [name for name in values if name.lower() not in known]
        if unknown:
            raise DeckError(
                f"{self.name} has no .param {', '.join(unknown)}. It has: {', '.join(known) or 'none'}."
            )
        for name, value in values.items():
            if isinstance(value, str) and value.splitlines() != [value]:
                raise DeckError(f"{self.name}: {name} = {value!r} must be one line, and not empty.")
        new = {name.lower(): value for name, value in values.items()}
        lines = []
        depth = 0
        for line in self.text.splitlines():
            depth += _depth_change(line)
            if depth == 0 and line.lower().startswith(".param"):
                line = _ASSIGNMENT.sub(
                    lambda match: f"{match[1]}={spice_number(new.get(match[1].lower(), match[2]))}", line
                )
            lines.append(line)
        return Deck(text="\n".join(lines), models=self.models, name=self.name)


def spice_number(value: float | str) -> str:
    """A value as ngspice reads it back exactly."""
    return value if isinstance(value, str) else repr(float(value))


def parse_number(text: str) -> float:
    """A SPICE number with its optional scale prefix: ``32n``, ``1meg``, ``5e-12``.

    Raises:
        DeckError: not a number.
    """
    match = _NUMBER.match(text.strip())
    if not match:
        raise DeckError(f"{text!r} is not a SPICE number such as 0.5, 32n or 5e-12.")
    return float(match[1]) * _PREFIXES.get((match[2] or "").lower(), 1.0)


def read_deck(path: Path) -> Deck:
    """The deck in a netlist file. As in ngspice, the file's first line is its title.

    Includes and library sections are written in; ``pre_osdi NAME.osdi`` lines in a ``.control`` block name
    Verilog-A models, which are compiled from ``NAME.va`` at that place.

    Raises:
        DeckError: a missing file, any other command in a ``.control`` block, or a Verilog-A device with too
            few or too many nodes.
    """
    return make_deck("\n".join(_read(path, None).splitlines()[1:]), folder=path.parent, name=path.stem)


def make_deck(text: str, *, folder: Path, name: str) -> Deck:
    """A deck from netlist text without a title; files it names are looked for in ``folder``."""
    lines, sources = _expand(text, folder, name)
    models = tuple(
        compile_model(source, cache=cache_folder() / "models") for source in dict.fromkeys(sources)
    )
    # A title is no part of the circuit; the simulator puts the digest in its place.
    canonical = [line for line in lines if line.split()[0].lower() not in (".end", ".title")]
    _check_terminals(canonical, models, name)
    return Deck(text="\n".join(canonical), models=models, name=name)


def _expand(
    text: str, folder: Path, name: str, within: tuple[tuple[Path, str], ...] = ()
) -> tuple[list[str], list[Path]]:
    """Canonical lines with includes written in, and the Verilog-A sources they use.

    ``within`` holds the files, with their sections, that are being included at this point.
    """
    lines: list[str] = []
    sources: list[Path] = []
    in_control = False
    for line in _logical_lines(text):
        word = line.split()[0].lower()
        if word == ".control":
            in_control = True
        elif word == ".endc":
            in_control = False
        elif in_control:
            sources.append(_model_source(line, folder, name))
        elif match := _INCLUDE.match(line) or _LIBRARY.match(line):
            included = folder / match[1].strip().strip("\"'")
            section = match[2].lower() if match.re is _LIBRARY else ""
            step = (included.resolve(), section)
            if step in within:
                raise DeckError(f"{included} includes itself, by way of {name}.")
            content = _read(included, name)
            if section:
                content = _library_section(content, section, included)
            more, more_sources = _expand(content, included.parent, included.name, (*within, step))
            lines += more
            sources += more_sources
        else:
            lines.append(line)
    return lines, sources


def _library_section(text: str, section: str, path: Path) -> str:
    """The lines between ``.lib SECTION`` and ``.endl`` in a library file."""
    taken: list[str] = []
    known: list[str] = []
    current = None
    for line in _logical_lines(text):
        words = line.lower().split()
        if words[0] == ".lib" and len(words) == 2:
            current = words[1]
            known.append(current)
        elif words[0] == ".endl":
            current = None
        elif current == section:
            taken.append(line)
    if section not in known:
        raise DeckError(f"{path} has no library section {section!r}. It has: {', '.join(known) or 'none'}.")
    return "\n".join(taken)


def _check_terminals(lines: list[str], models: tuple[CompiledModel, ...], name: str) -> None:
    """Refuse a Verilog-A device without a node for each terminal, which ngspice leaves open in silence."""
    terminals = {model.module.lower(): model.terminals for model in models}
    cards = {}
    for line in lines:
        words = line.lower().split()
        if words[0] == ".model" and len(words) > 2 and words[2] in terminals:
            cards[words[1]] = words[2]
    for line in lines:
        if line[0] not in "nN":
            continue
        words = line.lower().split("=")[0].split()
        # The word before the first '=' names a parameter; without one the line ends with its model.
        at = next((index for index in range(len(words) - 1, 0, -1) if words[index] in cards), None)
        if at is not None and at - 1 != len(terminals[cards[words[at]]]):
            wanted = terminals[cards[words[at]]]
            raise DeckError(
                f"{name}: {line!r} gives {at - 1} nodes, but {cards[words[at]]} has {len(wanted)} terminals: "
                f"{', '.join(wanted)}."
            )


def _model_source(command: str, folder: Path, name: str) -> Path:
    words = command.split()
    if words[0].lower() != "pre_osdi" or len(words) != 2:
        raise DeckError(
            f"{name} has the control command {command!r}. A deck may only load models there (pre_osdi "
            "NAME.osdi): write analyses as .tran, .dc, .op and results as .meas lines."
        )
    source = (folder / words[1]).with_suffix(".va")
    if not source.is_file():
        raise DeckError(f"{name} loads {words[1]}, but there is no Verilog-A source at {source}.")
    return source.resolve()


def _logical_lines(text: str) -> list[str]:
    """Lines without comments and continuations, inner space made single."""
    lines: list[str] = []
    for raw in text.splitlines():
        line = _without_comment(raw)
        if not line:
            continue
        if line.startswith("+") and lines:
            lines[-1] = f"{lines[-1]} {' '.join(line[1:].split())}"
        else:
            lines.append(" ".join(line.split()))
    return lines


def _without_comment(line: str) -> str:
    stripped = line.strip()
    if stripped.startswith("*"):
        return ""
    quoted = False
    for index, character in enumerate(stripped):
        if character == '"':
            quoted = not quoted
        elif not quoted and (
            character == ";"
            or (character == "$" and (index == 0 or stripped[index - 1].isspace()))
            or stripped.startswith("//", index)
        ):
            return stripped[:index].rstrip()
    return stripped


def _top_level(lines: list[str]) -> list[str]:
    kept = []
    depth = 0
    for line in lines:
        depth += _depth_change(line)
        if depth == 0:
            kept.append(line)
    return kept


def _depth_change(line: str) -> int:
    lowered = line.lower()
    return lowered.startswith(".subckt") - lowered.startswith(".ends")


def _read(path: Path, includer: str | None) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        where = f", included by {includer}" if includer else ""
        raise DeckError(f"cannot read netlist {path}{where}: {reason}.") from error


def netlist_digest(path: Path) -> str:
    """SHA-256 of a netlist file's canonical lines, or of a Verilog-A source as it stands."""
    text = _read(path, None)
    content = text if path.suffix == ".va" else "\n".join(_logical_lines(text))
    return hashlib.sha256(content.encode()).hexdigest()


def model_parameters(deck: Deck, model: str) -> Mapping[str, float]:
    """The numbers given on a deck's ``.model`` card, by lower-case name.

    Raises:
        DeckError: the deck has no such card.
    """
    for line in deck.text.splitlines():
        words = line.split()
        if len(words) > 2 and words[0].lower() == ".model" and words[1].lower() == model.lower():
            try:
                return {name.lower(): parse_number(value) for name, value in _ASSIGNMENT.findall(line)}
            except DeckError as error:
                raise DeckError(f"{deck.name}, .model {model}: {error}") from error
    raise DeckError(f"{deck.name} has no .model {model}.")
