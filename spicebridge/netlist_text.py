"""A netlist's text as ngspice sees it: lines without comments and continuations, and where each began."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line without comment and continuation, inner space made single.

    Attributes:
        text: the line, not empty.
        file: the name of the file it stands in.
        number: of its first line there, from 1.
    """

    text: str
    file: str
    number: int

    @property
    def where(self) -> str:
        """The place for messages."""
        return f"{self.file}, line {self.number}"

    @property
    def word(self) -> str:
        """Its first word in lower case."""
        return self.text.split(maxsplit=1)[0].lower()


def logical_lines(text: str, file: str) -> list[Line]:
    """The lines of a netlist's text; space within the commands of a ``.control`` block is left as it is."""
    lines: list[Line] = []
    commands = False
    for number, raw in enumerate(text.splitlines(), start=1):
        stripped = _without_comment(raw, commands=commands)
        if not stripped:
            continue
        if stripped.startswith("+") and lines:
            before = lines[-1]
            joined = f"{before.text} {' '.join(stripped[1:].split())}"
            lines[-1] = Line(joined, before.file, before.number)
            continue
        line = Line(stripped if commands else " ".join(stripped.split()), file, number)
        lines.append(line)
        commands = line.word == ".control" or (commands and line.word != ".endc")
    return lines


def unquoted(text: str) -> str:
    """A file's name without the quotes and blanks around it."""
    return text.strip().strip("\"'")


def _without_comment(line: str, *, commands: bool) -> str:
    stripped = line.strip()
    if stripped.startswith(("*", "#")):
        return ""
    quoted = False
    for index, character in enumerate(stripped):
        if character == '"':
            quoted = not quoted
        elif not quoted and (
            character == ";"
            or (character == "$" and _begins_comment(stripped, index, commands=commands))
            or stripped.startswith("//", index)
        ):
            return stripped[:index].rstrip()
    return stripped


def _begins_comment(line: str, index: int, *, commands: bool) -> bool:
    """Whether the $ there does; in a command it marks a variable, unless it stands alone."""
    if commands:
        return line[index + 1 : index + 2].isspace()
    return index == 0 or line[index - 1].isspace()
