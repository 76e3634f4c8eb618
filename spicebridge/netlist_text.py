"""A netlist's text as ngspice sees it: lines without comments and continuations, and where each began."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = " \t\v\f"  # what ngspice takes for space within a line; no other character is
_SPACE = re.compile(rf"[{_BLANK}]+")
# At a line's head only blank and tab are: ngspice leaves a line out that begins with a form feed.
_INNER_SPACE = re.compile(rf"(?!^){_SPACE.pattern}")
_CONTROLS = "".join(map(chr, range(33)))  # what ngspice skips to find a line's * # $ or +

# Here a $ begins a file's name, and no comment.
_NAMED_BY_VARIABLE = re.compile(rf"\.(?:inc(?:lude)?|lib)[{_BLANK}]+\$[^\s;]+", re.IGNORECASE)
_APART = re.compile(rf"\.title|\.end(?:[{_BLANK}]|$)", re.IGNORECASE)


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
        return _INNER_SPACE.split(self.text, maxsplit=1)[0].lower()

    @property
    def is_apart(self) -> bool:
        """Whether it is a title or an end: a comment to ngspice, wherever it stands."""
        return _APART.match(self.text) is not None


def lines_of(text: str) -> list[str]:
    """The lines of a netlist's text. As in ngspice only a line feed ends one, and carriage returns go."""
    lines = text.replace("\r", "").split("\n")
    return lines if lines[-1] else lines[:-1]


def logical_lines(text: str, file: str, *, dollars: bool = True) -> list[Line]:
    """The lines of a netlist's text; space within the commands of a ``.control`` block is left as it is.

    ``dollars``: whether a $ begins a comment, which it does but in PSpice's mode.
    """
    lines: list[Line] = []
    continued: dict[int, list[str]] = {}  # what goes on with each line, joined once: some have thousands
    before: int | None = None  # the last line that is not apart
    commands = False
    in_comment = False  # ngspice takes what continues a line that begins with ; for part of that comment
    for number, raw in _joined_by_backslashes(text):
        if raw.startswith(";"):
            in_comment = True
            continue
        stripped = _without_comment(raw, commands=commands, dollars=dollars)
        if not stripped:
            continue
        head = stripped.lstrip(_CONTROLS)
        if head.startswith("+") and in_comment:
            continue
        if head.startswith("+") and before is not None:
            continued.setdefault(before, []).append(" ".join(_SPACE.split(head[1:].strip(_BLANK))))
            continue
        line = Line(stripped if commands else _INNER_SPACE.sub(" ", stripped), file, number)
        if not line.is_apart:
            before = len(lines)
        lines.append(line)
        in_comment = in_comment and line.is_apart
        commands = line.word == ".control" or (commands and line.word != ".endc")
    for at, more in continued.items():
        lines[at] = Line(" ".join([lines[at].text, *more]), file, lines[at].number)
    return lines


def _joined_by_backslashes(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, without space at their heads, + before one after two backslashes.

    That holds for backslashes at the end of a comment that follows something, too.
    """
    joins = False
    for number, raw in enumerate(lines_of(text), start=1):
        line = raw.lstrip(" \t")
        if line:
            line = f"+{line}" if joins else line
            ended = line.rstrip(_BLANK)
            joins = ended.endswith(r"\\") and line[0] not in "*$" and not _APART.match(line)
            yield number, ended.removesuffix(r"\\") if joins else line


def unquoted(text: str) -> str:
    """A file's name without the quotes and blanks around it."""
    return text.strip().strip("\"'")


def _without_comment(line: str, *, commands: bool, dollars: bool) -> str:
    """The line up to its comment. As in ngspice, none begins in quotes, or right after them with ;."""
    if line.lstrip(_CONTROLS).startswith(("*", "#")):
        return ""
    named = None if commands else _NAMED_BY_VARIABLE.match(line)
    at = named.end() if named else 0
    while at < len(line):
        if (quote := line[at]) in "\"'":
            at = _after_quoted(line, at + 1, quote)
            continue
        is_dollar = (dollars or commands) and line[at] == "$"
        if line.startswith("//", at) or (is_dollar and _begins_comment(line, at, commands=commands)):
            return line[:at].rstrip(_BLANK)
        at += 1
        if line.startswith(";", at):
            return line[:at].rstrip(_BLANK)
    return line.rstrip(_BLANK)


def _after_quoted(line: str, begin: int, quote: str) -> int:
    """Where the text in quotes that begins there has ended; a quote after a backslash does not end it."""
    for at in range(begin, len(line)):
        if line[at] == quote and (at == begin or line[at - 1] != "\\"):
            return at + 1
    return len(line)


def _begins_comment(line: str, index: int, *, commands: bool) -> bool:
    """Whether the $ there does; in a command it marks a variable, unless it stands alone."""
    if commands:
        return line[index + 1 : index + 2] == " "
    return index == 0 or line[index - 1] in " \t," or line[:index] == "+"
