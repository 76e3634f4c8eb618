"""Decks: complete ngspice netlists as frozen canonical text.

A deck holds everything a simulation depends on. Included files are written into it; Verilog-A models are
named by the digest of their source. Its own digest is therefore the same on every machine, and changes when
anything that matters does.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from spicebridge.errors import SpicebridgeError
from spicebridge.files import write_bytes, write_text
from spicebridge.levels import Levels, levels_of
from spicebridge.measured_vectors import saves, saving_line
from spicebridge.netlist_text import lines_of
from spicebridge.settings import listed, shortened
from spicebridge.startup import startup_for
from spicebridge.verilog_a import CompiledModel

# A value without quotes or braces ends at a comma, unless that stands in brackets: max(1,2).
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\s*=\s*('[^']*'|\{[^}]*\}|\"[^\"]*\"|(?:\([^\s=]*\)|[^\s=,()])+)")
# What may follow a value that was taken whole: nothing, or the next parameter.
_NEXT_PARAMETER = re.compile(r"\s*,?\s*(?:$|[A-Za-z_]\w*\s*(?:\([^)]*\)\s*)?=)")
_MEASURE = re.compile(
    r"^\.?meas(?:ure)?\s+(?:tran|ac|dc|op|sp|noise|tf)\s+([A-Za-z_]\w*)(?:\s|$)", re.IGNORECASE
)
_READS_CIRCUIT = re.compile(r"(?<![\w@.])(?:v\w{0,2}|i\w?|par)\s*\(|^\.(?:print|plot|four)", re.IGNORECASE)
_PRINTING = (".print", ".plot", ".four", ".meas")
_UNPRINTED = frozenset({".tran", ".ac", ".dc", ".noise", ".sp", ".disto", ".pss"})  # .op and .tf print
COMPAT = "* run with ngspice -n -b -D ngbehavior="  # a kept deck's line, by which its mode is known
_OPEN = "\0"  # stands in no line: ngspice would end there
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
        compat: ngspice's compatibility mode, as ``set ngbehavior=`` takes it; empty for none.
    """

    text: str
    models: tuple[CompiledModel, ...] = ()
    name: str = field(default="deck", compare=False)
    compat: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical text, the models' sources, and a compatibility mode if there is one."""
        models = sorted(f"{each.module} {each.digest}" for each in self.models)
        compat = [f"compat {self.compat}"] if self.compat else []
        content = "\n".join([self.text, *models, *compat])
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def levels(self) -> Levels | None:
        """Its measures at others' results, which ngspice's own lines cannot be; None if there are none.

        A trusted deck with commands of its own has none: it can do without.

        Raises:
            LevelError: one cannot be carried out.
        """
        return None if ".control" in self.text.lower() else levels_of(self.lines, self.parameters)

    @property
    def netlist(self) -> str:
        """The text that ngspice loads: without the measures at others' results, with what these need."""
        if self.levels is None:
            return self.text
        loaded = [line for line in self.lines if line not in self.levels.lines]
        return "\n".join([*loaded, *self.levels.parameters])

    @property
    def saving_line(self) -> str:
        """A ``.save`` line of what its measures read and ngspice would not keep; empty where it keeps all."""
        late = () if self.levels is None else self.levels.lines
        return saving_line([line for line in self.lines if line not in late], late)

    @property
    def needs_run(self) -> bool:
        """Whether the bare program runs its measures by a command only.

        So it does those at others' results; and of a deck that prints nothing and measures devices' inner
        quantities only, it says that there is nothing to simulate.
        """
        if ".control" in self.text.lower():
            return False  # a trusted deck's own commands do
        if self.levels is not None:
            return True
        printing = [line.lower() for line in self.lines if line.lower().startswith(_PRINTING)]
        return bool(printing) and not any(_READS_CIRCUIT.search(line) for line in printing)

    def replayable(self, values: Mapping[str, float] = MappingProxyType({}), *, run: bool = True) -> str:
        """The deck as a file that bare ``ngspice -b`` runs where its models lie beside it (see ``write``).

        Args:
            values: results that measures at others' results take to all their digits, by lower-case name.
            run: whether a command may run it, if it needs that; the program then writes no raw file.
        """
        control = [".control", "set num_threads=1", "set no_mem_check"]
        control += [f"pre_osdi {_beside(model)}" for model in self.models]
        compat = [f"{COMPAT}{self.compat}"] if self.compat else []
        # Without a .save line the program keeps only what .meas lines name, and of that not all.
        save = self.saving_line or ("" if saves(self.lines) else ".save all")
        text = self.text
        late: Sequence[str] = ()
        if self.levels is not None:
            compat += self.levels.parameters
            late = self.levels.commands_with(values)
            text = "\n".join(f"*{line}" if line in self.levels.lines else line for line in self.lines)
        if run and self.needs_run:
            control += ["run", *late, "quit"]
        # The name may be a file's, which may hold a line feed.
        title = "".join(each if each.isprintable() else "?" for each in self.name)
        head = [f"* {title} {self.digest}", *compat, *([save] if save else []), *control, ".endc"]
        return "\n".join([*head, text, ".end", ""])

    def replay_command(self, path: Path) -> str:
        """The command by which the bare program runs the deck kept at ``path`` as it was run here."""
        options = self.program_options if self.compat or startup_for(path.parent) is not None else ()
        # Without a line that prints, the program simulates nothing; with -r it leaves .meas lines out.
        raw = ["-r", str(path.with_suffix(".raw"))] if self._prints_nothing else []
        return shlex.join(["ngspice", *options, "-b", *raw, str(path)])

    @property
    def _prints_nothing(self) -> bool:
        """Whether the bare program has nothing to print, and so would not run the deck's analysis."""
        words = {line.lower().split()[0] for line in self.lines if line}
        prints = any(word.startswith(_PRINTING) for word in words)
        return bool(words & _UNPRINTED) and not prints and ".control" not in words

    @property
    def program_options(self) -> tuple[str, ...]:
        """What the bare program needs beside ``-b``: no start-up file of the user's, and the deck's mode."""
        return ("-n", "-D", f"ngbehavior={self.compat}") if self.compat else ("-n",)

    def keep(self, folder: Path) -> Path:
        """Write the replayable deck into ``folder`` and return its path."""
        path = folder / f"{self.digest[:12]}.cir"
        self.write(path)
        return path

    def write(self, path: Path, text: str | None = None) -> None:
        """Write the replayable deck, or another ``text`` of it, and its compiled models beside it.

        So ngspice is given names of our own only: in those of a user's folders it would read commands.
        """
        for model in self.models:
            place, library = path.parent / _beside(model), model.library.read_bytes()
            if not place.is_file() or place.read_bytes() != library:
                write_bytes(place, library)
        write_text(path, self.replayable() if text is None else text)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of its text."""
        return tuple(lines_of(self.text))

    @property
    def top_level(self) -> list[str]:
        """Its lines outside subcircuits."""
        kept = []
        depth = 0
        for line in self.lines:
            depth += _depth_change(line)
            if depth == 0:
                kept.append(line)
        return kept

    @property
    def parameters(self) -> dict[str, str]:
        """The deck's top-level ``.param`` names and their value texts."""
        found: dict[str, str] = {}
        for line in self.top_level:
            if line.lower().startswith(".param"):
                found.update({name.lower(): value for name, value in _ASSIGNMENT.findall(line[6:])})
        return found

    @property
    def measures(self) -> tuple[str, ...]:
        """The lower-case names of the deck's ``.meas`` lines and of a trusted deck's ``meas`` commands."""
        found = (_MEASURE.match(line) for line in self.lines)
        return tuple(dict.fromkeys(match[1].lower() for match in found if match))

    def with_parameters(self, **values: float | str) -> Deck:
        """The same deck with top-level ``.param`` values replaced.

        Raises:
            DeckError: a name the deck does not define, or a value that is not one line of text.
        """
        return self.template(values).deck(values)

    def template(self, names: Iterable[str]) -> DeckTemplate:
        """The deck cut open at the values of some top-level parameters, for many sets of values.

        Raises:
            DeckError: a name the deck does not define, or whose value there has no clear end.
        """
        wanted = {name.lower() for name in names}
        known = self.parameters
        unknown = [name for name in names if name.lower() not in known]
        if unknown:
            raise DeckError(f"{self.name} has no .param {listed(unknown)}. It has: {listed(known)}.")
        parts, slots = [], []
        depth = 0
        for line in self.lines:
            depth += _depth_change(line)
            if depth != 0 or not line.lower().startswith(".param"):
                parts.append(line)
                continue
            cut, opened = _opened(line, wanted, self.name)
            parts.append(cut)
            slots += opened
        return DeckTemplate(
            tuple("\n".join(parts).split(_OPEN)), tuple(slots), self.models, self.name, self.compat
        )


@dataclass(frozen=True)
class DeckTemplate:
    """A deck with open places for the values of some of its parameters.

    Attributes:
        pieces: the text around the open places.
        slots: the lower-case name of the parameter of each place, one fewer than pieces.
        models: as the deck's.
        name: as the deck's.
        compat: as the deck's.
    """

    pieces: tuple[str, ...]
    slots: tuple[str, ...]
    models: tuple[CompiledModel, ...]
    name: str
    compat: str = ""

    def deck(self, values: Mapping[str, float | str]) -> Deck:
        """The deck with these values, which are one for each name that the template was made for.

        Raises:
            DeckError: a value that is not one line of text.
        """
        written = {name.lower(): self._written(name, value) for name, value in values.items()}
        parts = [self.pieces[0]]
        for slot, piece in zip(self.slots, self.pieces[1:], strict=True):
            parts += (written[slot], piece)
        return Deck("".join(parts), self.models, self.name, self.compat)

    def _written(self, name: str, value: float | str) -> str:
        if isinstance(value, str) and lines_of(value) != [value]:
            raise DeckError(f"{self.name}: {name} = {value!r} must be one line, and not empty.")
        return spice_number(value)


def _opened(line: str, wanted: Collection[str], name: str) -> tuple[str, list[str]]:
    """A ``.param`` line with ``_OPEN`` in the place of the wanted values, and whose they are, in order."""
    opened: list[str] = []

    def written(match: re.Match[str]) -> str:
        if match[1].lower() not in wanted:
            return f"{match[1]}={match[2]}"
        if not _NEXT_PARAMETER.match(line, match.end()):
            raise DeckError(
                f"{name}: in {shortened(line)!r} it is not clear where the value of {match[1]} ends. "
                "Write it in braces."
            )
        opened.append(match[1].lower())
        return f"{match[1]}={_OPEN}"

    return _ASSIGNMENT.sub(written, line), opened


def _beside(model: CompiledModel) -> str:
    """Where a kept deck's model lies, from its folder."""
    return f"models/{model.build}.osdi"


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


def _depth_change(line: str) -> int:
    lowered = line.lower()
    return lowered.startswith((".subckt", ".macro")) - lowered.startswith((".ends", ".eom"))


def model_parameters(deck: Deck, model: str) -> Mapping[str, float]:
    """The numbers given on a deck's ``.model`` card, by lower-case name.

    Raises:
        DeckError: the deck has no such card.
    """
    for line in deck.lines:
        words = line.split()
        if len(words) > 2 and words[0].lower() == ".model" and words[1].lower() == model.lower():
            try:
                return {name.lower(): parse_number(value) for name, value in _ASSIGNMENT.findall(line)}
            except DeckError as error:
                raise DeckError(f"{deck.name}, .model {model}: {error}") from error
    raise DeckError(f"{deck.name} has no .model {model}.")
