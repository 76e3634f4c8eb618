"""What a deck may do: one of ours, a trusted one, or one from outside, which is held to what is allowed.

A netlist is a program. ngspice runs what stands in a ``.control`` block, shell commands included; several
lines read or write files; and it knows dot commands by their first letters, so that ``.incXYZ`` includes. So
what is listed here is what is allowed, by exact words, and not what is known to be bad.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from spicebridge.errors import SpicebridgeError
from spicebridge.model_types import HARMLESS_TYPES
from spicebridge.netlist_text import Line
from spicebridge.settings import shortened
from spicebridge.verilog_a.source import source_text, tokenize


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What describes a circuit, an analysis or a result. Missing are, among others, .control (commands), .hdl and
# .cmodel (code) and .sndprint (writes a file). Includes and library sections have been written into the deck
# when it is looked at, so their own words may not remain.
_DOT_COMMANDS = _words(
    """
    .param .params .csparam .func .model .subckt .ends .macro .eom .global .ic .nodeset .if
    .elseif .else .endif .option .options .opt .temp .op .dc .ac .tran .tf .noise .pz .sens
    .disto .pss .sp .four .fourier .meas .measure .save .probe .print .plot .width .prot .unprot
    .protect .unprotect
    """
)
_OPTION_COMMANDS = (".option", ".options", ".opt")
# An option is also a variable of ngspice's command language: measoutfile writes a file, ngbehavior changes
# what the next deck means. These only set numbers and methods.
_OPTIONS = _words(
    """
    abstol reltol vntol chgtol trtol xmu pivtol pivrel gmin gminsteps gminfactor srcsteps itl1
    itl2 itl3 itl4 itl5 itl6 method maxord temp tnom klu sparse klu_memgrow_factor rshunt gshunt
    cshunt rseries minbreak newtrunc ltereltol lteabstol ltetrtol reldv convstep convabsstep
    convlimit absdv epsmin bypass trytocompact copynodesets nodedamping noopiter noopac
    noopalter maxopalter maxevtiter ramptime keepopinfo oldlimit badmos3 indverbosity scale
    scalm defl defw defad defas defm autostop interp acct noacct noinit list nomod nopage node
    opts post probe ingold brief numdgt measdgt seed seedinfo warn maxwarns soacheck wnflag
    statlocal savecurrents savecurrents_bsim3 savecurrents_bsim4 savecurrents_mos1
    """
)
_WORD = re.compile(r"\.\w*")  # .if(x) needs no blank
_VALUE = r"(?:\{[^{}]*\}|'[^']*'|[^\s=,{}'\"]+)"
_OPTION = re.compile(rf"([a-z_]\w*)(?:\s*=\s*{_VALUE})?(?:\s*,)?(?:\s+|$)", re.IGNORECASE)
# The name is held to plain characters: "m,filesource(...) r" is the name m to ngspice.
_MODEL = re.compile(r"\.model\s+[\w.]+\s+([a-z_]\w*)(?=[\s(,]|$)", re.IGNORECASE)
# What names a file or a program, or is handed to one. ngspice needs no = after it: a blank, a comma or a
# parenthesis will do, and in a model card no quotes either.
_FILE_WORD = r"\b(?:(?:\w*_|in|out|root|ic)?file|simulation|process_params|sim_args|lib_args)\b"
_FILE_PARAMETER = re.compile(rf'{_FILE_WORD}\s*(?:=|[,(\[\s]*")', re.IGNORECASE)
_FILE_IN_CARD = re.compile(rf"\.model\s+\S+\s.*{_FILE_WORD}", re.IGNORECASE)
_QUOTED = re.compile(r'"[\w.+/-]*"')


@dataclass(frozen=True)
class Permission:
    """What a deck may do.

    Attributes:
        files: the files it may read, and the folders with all that lies in them, links resolved; its lines
            are then held to what is allowed. None: any file and any line.
        commands: whether its ``.control`` blocks stay in it.
        base: the folder that names in its TOML file are relative to; None without such a file.
    """

    files: tuple[Path, ...] | None = None
    commands: bool = False
    base: Path | None = None

    @property
    def confined(self) -> bool:
        """Whether its lines and files are looked at."""
        return self.files is not None

    def covers(self, path: Path) -> bool:
        """Whether it may read the file at ``path``, links resolved."""
        return self.files is None or any(path == each or each in path.parents for each in self.files)


OURS = Permission()
TRUSTED = Permission(commands=True)
TRUST = "If you trust the deck and what came with it, repeat the command with --trust."


class RefusedError(SpicebridgeError):
    """A deck from outside that would do what it may not."""


def outside(files: Iterable[Path], base: Path | None = None) -> Permission:
    """The permission of a deck from elsewhere: to read these files and what lies in these folders."""
    return Permission(
        tuple(real_path(path) for path in files), base=None if base is None else real_path(base)
    )


def real_path(path: Path) -> Path:
    """The absolute path with links resolved.

    Raises:
        SpicebridgeError: links in a circle, a name that no file can have, or a folder one may not look into.
    """
    try:
        resolved = path.resolve()
        resolved.exists()  # this is what tells of a name that is too long
        return resolved
    except RecursionError:
        raise  # of includes, which is told where they begin
    except (OSError, RuntimeError, ValueError) as error:
        raise SpicebridgeError(f"{str(path)!r} is no path that leads to a file: {error}.") from error


def refuse_line(line: Line, types: Collection[str]) -> None:
    """Refuse a line that may not stand in a deck from outside.

    Args:
        line: the line, its includes written in.
        types: the model types of the deck's Verilog-A modules, in lower case.

    Raises:
        RefusedError: it may not.
    """
    if reason := _reason(line.text, types):
        raise RefusedError(f"{line.where}: {shortened(line.text, 80)!r} is refused: {reason}. {TRUST}")


def refuse_file(path: Path, permission: Permission, by: str) -> Path:
    """The path with links resolved, unless the deck may not read it.

    Raises:
        RefusedError: it may not; ``by`` says where it is named.
    """
    resolved = real_path(path)
    if permission.covers(resolved):
        return resolved
    leads = "" if resolved.name == path.name else f" (it leads to {resolved.name})"
    there = (
        f"it lies at {resolved}, which this deck may not read"
        if resolved.exists()
        else f"it would lie at {resolved}, where there is none, and this deck may not read there"
    )
    raise RefusedError(
        f"{by}: the file {path.name}{leads} is refused: {there}. {_remedy(resolved, permission.base)} {TRUST}"
    )


def _remedy(resolved: Path, base: Path | None) -> str:
    """How a deck is allowed to read a file."""
    if base is None:
        return "For simulate, put it beside the deck; for a sweep, name it under files in the TOML file."
    near = resolved.is_relative_to(base.parent) and base.parent != Path(base.anchor)
    named = Path(os.path.relpath(resolved, base)).as_posix() if near else str(resolved)
    return f"Add it, or its folder, to files in the TOML file: files = [{json.dumps(named)}]."


def permitted_sources(source: Path, permission: Permission) -> tuple[Path, ...]:
    """A Verilog-A source and the files it includes, each of which the deck may read, links resolved.

    Raises:
        RefusedError: it may not read one, or an include stands where it cannot be followed with certainty.
    """
    found: dict[Path, None] = {}
    root = refuse_file(source, permission, source.name)
    waiting = [root]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = None
            waiting += _included(path, root.parent, permission)
    return tuple(found)


def _included(path: Path, root: Path, permission: Permission) -> list[Path]:
    """The files that a Verilog-A file includes, looked for as the compiler does."""
    try:
        text = source_text(path)
    except (OSError, ValueError):
        return []  # the compiler tells
    tokens = tokenize(text, path.name)
    found = []
    for index, token in enumerate(tokens):
        if token.text != "`include" or token.kind != "directive":
            continue
        # At the start of a line, hence in no macro, which could be used in another folder.
        begins = index == 0 or tokens[index - 1].kind == "newline"
        named = tokens[index + 1] if index + 1 < len(tokens) else token
        if not begins or named.kind != "string":
            raise RefusedError(
                f"{token.where}: `include is refused unless it begins a line and names a file in quotes. "
                f"{TRUST}"
            )
        near = [real_path(folder / named.text[1:-1]) for folder in (path.parent, root)]
        existing = next((each for each in near if each.is_file()), None)
        if existing is not None:
            found.append(refuse_file(existing, permission, token.where))
    return found


def _reason(line: str, types: Collection[str]) -> str | None:
    """Why a line may not stand in a deck from outside; None if it may."""
    if not line.isprintable():
        return "it holds a character that cannot be seen"
    if line.endswith("\\"):
        return "a backslash at its end joins it to the next line; continue lines with + instead"
    if line[0] != "." and not (line[0].isascii() and line[0].isalpha()):
        return f"{line[0]!r} begins neither a device nor a dot command"
    if '"' in _QUOTED.sub("", line):
        return "a text in double quotes may hold letters, digits and _ . + - / only"
    if _FILE_PARAMETER.search(line) or _FILE_IN_CARD.match(line):
        return "its parameter names a file or a program"
    if line[0] != ".":
        return None
    word = _WORD.match(line)[0].lower()  # type: ignore[index]  # the dot matches at least
    if word not in _DOT_COMMANDS:
        return f"{word} is not among the dot commands that are allowed"
    if word in _OPTION_COMMANDS:
        return _option_reason(line[len(word) :].strip())
    if word == ".model":
        return _model_reason(line, types)
    return None


def _option_reason(settings: str) -> str | None:
    at = 0
    while at < len(settings):
        match = _OPTION.match(settings, at)
        if match is None:
            return f"{settings[at:]!r} is not of the form name or name=value"
        if match[1].lower() not in _OPTIONS:
            return f"the option {match[1]} is not among those that are allowed"
        at = match.end()
    return None


def _model_reason(line: str, types: Collection[str]) -> str | None:
    match = _MODEL.match(line)
    if match is None:
        return "it is not of the form .model NAME TYPE with a plain name and type"
    kind = match[1].lower()
    if kind not in HARMLESS_TYPES and kind not in types:
        return (
            f"the model type {kind} is not among those that are allowed (ngspice's own, XSPICE's that open "
            "no file, and the Verilog-A models that the deck loads)"
        )
    return None
