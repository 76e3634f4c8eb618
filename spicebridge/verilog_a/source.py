"""A Verilog-A source as one stream of tokens: includes resolved, macros expanded, origins kept.

The front end has a preprocessor of its own; this one exists because the checks (``checks``, ``memory``)
and the parameter copy (``parameters``) must see what the macros hide, and because the digest must cover
the includes. Names this preprocessor does not know (those of the standard headers) are passed on untouched.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from spicebridge.limits import DEPTH, INCLUDES, TOKENS, VERILOG_A, Budget, LimitError
from spicebridge.reading import read_bytes
from spicebridge.verilog_a.model import VerilogAError

# The standard headers are built into the front end.
STANDARD_HEADERS = frozenset({"disciplines.vams", "constants.vams"})
PREDEFINED = frozenset({"__OPENVAF__", "__VAMS__", "__VAMS_COMPACT_MODELING__"})

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f]+|//[^\n]*|/\*.*?\*/)
      |(?P<continued>\\\r?\n)
      |(?P<newline>\n)
      |(?P<string>"(?:[^"\\\n]|\\.)*")
      |(?P<directive>`[A-Za-z_][A-Za-z0-9_$]*)
      |(?P<word>[A-Za-z_$][A-Za-z0-9_$]*|\\[^\s]+)
      |(?P<number>(?:\d[\d_]*(?:\.\d[\d_]*)?|\.\d+)(?:[eE][+-]?\d+|[TGMKkmunpfa](?![A-Za-z0-9_]))?)
      |(?P<operator>\(\*(?!\))|\*\)|<\+|<<<|>>>|<<|>>|<=|>=|===|!==|==|!=|&&|\|\||\*\*|'\{|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A lexical element and where it was written (for a macro's body: where the macro was used)."""

    text: str
    kind: str
    file: str
    line: int
    glued: bool = False

    @property
    def where(self) -> str:
        """The origin as ``file:line``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Source:
    """A preprocessed source: its tokens, its content digest, and its text with the origin of each line."""

    path: Path
    digest: str
    tokens: tuple[Token, ...]

    def text(self) -> tuple[str, list[str]]:
        """The source as flat text, and for each line of it the ``file:line`` it came from."""
        return flat_text(self.tokens)


@dataclass
class _Macro:
    arguments: list[str] | None
    body: list[Token]


@dataclass
class _State:
    """What is gathered while a source is read, and what that has used of its limits."""

    root: Path
    macros: dict[str, _Macro] = field(default_factory=dict)
    contents: list[tuple[str, str]] = field(default_factory=list)
    standard: bool = False
    out: list[Token] = field(default_factory=list)
    megabytes: Budget = field(default_factory=lambda: Budget(VERILOG_A, VerilogAError))
    files: Budget = field(default_factory=lambda: Budget(INCLUDES, VerilogAError))
    tokens: Budget = field(default_factory=lambda: Budget(TOKENS, VerilogAError))


def flat_text(tokens: tuple[Token, ...] | list[Token]) -> tuple[str, list[str]]:
    """Tokens as text, a new line wherever the origin changes, and the origin of each line."""
    lines: list[list[str]] = []
    origins: list[str] = []
    for token in tokens:
        if token.kind == "header":
            lines.append([token.text])
            origins.append(token.where)
            continue
        if not origins or origins[-1] != token.where or lines[-1][0].startswith("`include"):
            lines.append([])
            origins.append(token.where)
        lines[-1].append(token.text)
    return "\n".join(" ".join(line) for line in lines) + "\n", origins


def read_source(path: Path) -> Source:
    """The preprocessed source at ``path``.

    Raises:
        VerilogAError: a file is missing or unreadable, a directive is malformed, or a limit is passed.
    """
    state = _State(root=path.parent)
    try:
        _process_file(path, path.name, None, state, depth=0)
    except RecursionError as error:  # where the limit was raised
        raise VerilogAError(f"{path.name}: its includes are nested too deeply to be read.") from error
    content = hashlib.sha256()
    for name, digest in state.contents:
        content.update(f"{name}\0{digest}\n".encode())
    return Source(path=path, digest=content.hexdigest(), tokens=tuple(state.out))


def tokenize(text: str, file: str) -> list[Token]:
    """All tokens of one file, newlines included (they end a ``define``).

    Raises:
        VerilogAError: a string or a comment that is not closed, or too many tokens.
    """
    tokens: list[Token] = []
    line, glued, most = 1, False, TOKENS.value
    for match in TOKEN.finditer(text):
        kind = str(match.lastgroup)
        value = match.group()
        if kind == "operator" and value == '"':
            raise VerilogAError(f"{file}:{line}: a string is not closed on its line. Add the closing quote.")
        if kind == "operator" and text.startswith("/*", match.start()):
            raise VerilogAError(f"{file}:{line}: a comment is not closed. Add the missing */.")
        if kind not in ("space", "continued"):
            tokens.append(Token(value, kind, file, line, glued))
            if len(tokens) > most:
                raise VerilogAError(f"{file}:{line}: this file has more than {TOKENS.said}. {TOKENS.remedy}")
        glued = kind not in ("space", "continued", "newline")
        line += value.count("\n")
    return tokens


def source_text(path: Path) -> str:
    """The text of one Verilog-A file.

    Raises:
        OSError, ValueError: it cannot be read, or is no plain file.
        VerilogAError: it is larger than a source may be.
    """
    try:
        data = read_bytes(path, VERILOG_A)
    except LimitError as error:
        raise VerilogAError(str(error)) from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _read(path: Path, by: Token | None) -> str:
    try:
        return source_text(path)
    except (OSError, ValueError) as error:
        origin = f"{by.where}: " if by else ""
        reason = error.strerror if isinstance(error, OSError) else error
        raise VerilogAError(
            f"{origin}cannot read the Verilog-A file {path.name}: {reason}. Check the name and the folder."
        ) from error


def _process_file(path: Path, name: str, by: Token | None, state: _State, depth: int) -> None:
    where = by.where if by else name
    if depth > DEPTH.value:
        raise VerilogAError(
            f"{where}: includes are nested more than {DEPTH.said} deep; does {name} include itself? Guard it "
            f"with `ifndef. {DEPTH.remedy}"
        )
    state.files.take(by is not None, where, "the model includes")
    text = _read(path, by)
    state.megabytes.take(len(text) / 2**20, where, "the model's files have")
    # The root's own name is no part of the content: two copies in two folders are one model.
    shown = "" if by is None else name
    state.contents.append((shown, hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()))
    tokens = tokenize(text, path.name)
    state.tokens.take(len(tokens), where, "with what it includes the model has")
    _process_tokens(deque(tokens), path, state, depth)


def _process_tokens(queue: deque[Token], path: Path, state: _State, depth: int) -> None:
    # Each open conditional: [this branch is taken, some branch was taken, opening token].
    conditions: list[tuple[bool, bool, Token]] = []
    off = 0  # how many of them have this branch not taken
    while queue:
        token = queue.popleft()
        active = not off
        if token.kind == "newline":
            continue
        if token.kind != "directive":
            if active:
                state.out.append(token)
            continue
        name = token.text[1:]
        if name in ("ifdef", "ifndef"):
            wanted = _defined(_name(queue, token), state) == (name == "ifdef")
            conditions.append((wanted, wanted, token))
            off += not wanted
            if len(conditions) > DEPTH.value:
                raise VerilogAError(
                    f"{token.where}: conditionals are nested more than {DEPTH.said} deep. {DEPTH.remedy}"
                )
        elif name in ("elsif", "else", "endif"):
            if not conditions:
                raise VerilogAError(f"{token.where}: `{name} without an `ifdef. Remove it or add the `ifdef.")
            taken, before, opened = conditions.pop()
            off -= not taken
            if name == "elsif":
                wanted = _defined(_name(queue, token), state) and not before
                conditions.append((wanted, before or wanted, opened))
                off += not wanted
            elif name == "else":
                conditions.append((not before, True, opened))
                off += before
        elif not active:
            if name == "define":
                _rest_of_line(queue)
        elif name == "define":
            _define(queue, token, state)
        elif name == "undef":
            state.macros.pop(_name(queue, token), None)
        elif name == "include":
            _include(queue, token, path, state, depth)
        elif name in (
            "resetall",
            "timescale",
            "default_discipline",
            "default_nettype",
            "begin_keywords",
            "end_keywords",
            "celldefine",
            "endcelldefine",
            "line",
            "pragma",
        ):
            _rest_of_line(queue)
        else:
            _expand(name, token, queue, state)
    if conditions:
        raise VerilogAError(f"{conditions[-1][2].where}: this conditional has no `endif. Add it.")


def _defined(name: str, state: _State) -> bool:
    standard = state.standard and (name.startswith(("M_", "P_")) or name.endswith("_VAMS"))
    return name in state.macros or name in PREDEFINED or standard


def _name(queue: deque[Token], by: Token) -> str:
    if not queue or queue[0].kind != "word":
        raise VerilogAError(f"{by.where}: {by.text} needs a name after it. Add the macro's name.")
    return queue.popleft().text


def _rest_of_line(queue: deque[Token]) -> list[Token]:
    rest = []
    while queue and queue[0].kind != "newline":
        rest.append(queue.popleft())
    return rest


def _define(queue: deque[Token], by: Token, state: _State) -> None:
    name = _name(queue, by)
    body = _rest_of_line(queue)
    arguments: list[str] | None = None
    if body and body[0].text == "(" and body[0].glued:
        close = next((i for i, token in enumerate(body) if token.text == ")"), None)
        listed = body[1:close] if close is not None else []
        if close is None or any(token.text != "," and token.kind != "word" for token in listed):
            raise VerilogAError(
                f"{by.where}: the arguments of macro {name} are not a plain list of names. Write `define "
                f"{name}(a, b)."
            )
        arguments = [token.text for token in listed if token.text != ","]
        body = body[close + 1 :]
    state.macros[name] = _Macro(arguments, body)


def _include(queue: deque[Token], by: Token, path: Path, state: _State, depth: int) -> None:
    rest = _rest_of_line(queue)
    if len(rest) != 1 or rest[0].kind != "string":
        raise VerilogAError(f'{by.where}: `include needs one file name in double quotes: `include "file.va".')
    name = rest[0].text[1:-1]
    for folder in (path.parent, state.root):
        if _is_file(folder / name):
            _process_file(folder / name, name, by, state, depth + 1)
            return
    if name in STANDARD_HEADERS:
        state.standard = True
        state.out.append(Token(f'`include "{name}"', "header", by.file, by.line))
        return
    raise VerilogAError(
        f"{by.where}: the included file {name} was not found beside {path.name}. Put it there or correct "
        "the name."
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _expand(name: str, token: Token, queue: deque[Token], state: _State) -> None:
    macro = state.macros.get(name)
    if macro is None:
        if not state.standard:
            raise VerilogAError(
                f"{token.where}: the macro `{name} is not defined. Define it or include its header."
            )
        state.out.append(token)
        return
    bound: dict[str, list[Token]] = {}
    if macro.arguments is not None:
        given = _arguments(name, token, queue)
        if len(given) != len(macro.arguments):
            raise VerilogAError(
                f"{token.where}: the macro `{name} takes {len(macro.arguments)} arguments but is given "
                f"{len(given)}."
            )
        bound = dict(zip(macro.arguments, given, strict=True))
    # Counted before it is made: a body that names a long argument often has no room.
    length = 1 + sum(len(bound[part.text]) if part.text in bound else 1 for part in macro.body)
    state.tokens.take(length, token.where, f"does the macro `{name} use itself? Written out, the model has")
    expanded: list[Token] = []
    for part in macro.body:
        if part.kind == "word" and part.text in bound:
            expanded.extend(bound[part.text])
        else:
            expanded.append(Token(part.text, part.kind, token.file, token.line, part.glued))
    queue.extendleft(reversed(expanded))


def _arguments(name: str, by: Token, queue: deque[Token]) -> list[list[Token]]:
    while queue and queue[0].kind == "newline":
        queue.popleft()
    if not queue or queue[0].text != "(":
        raise VerilogAError(f"{by.where}: the macro `{name} takes arguments. Write `{name}(...).")
    queue.popleft()
    given: list[list[Token]] = [[]]
    depth = 0
    while queue:
        token = queue.popleft()
        if token.kind == "newline":
            continue
        if depth == 0 and token.text == ")":
            return [] if given == [[]] else given
        if depth == 0 and token.text == ",":
            given.append([])
            continue
        depth += (token.text in ("(", "[", "{", "'{")) - (token.text in (")", "]", "}"))
        given[-1].append(token)
    raise VerilogAError(f"{by.where}: the call of macro `{name} is not closed. Add the missing parenthesis.")
