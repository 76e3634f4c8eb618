"""A module's parameters as declared, and the parameter copy that reveals their defaults and ranges.

The front end does not export defaults and ranges. It does resolve them, in the set-up function, for
parameters that carry ``(* type="instance" *)``; so a copy of the module is compiled that has nothing but
such parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from spicebridge.verilog_a.model import VerilogAError
from spicebridge.verilog_a.source import Source, Token, flat_text
from spicebridge.verilog_a.syntax import analog_end, module_tokens


@dataclass(frozen=True)
class Declared:
    """One parameter (or local parameter) as written."""

    name: Token
    type: str
    default: tuple[Token, ...]
    range: tuple[Token, ...]
    local: bool
    attributes: dict[str, str]

    @property
    def is_instance(self) -> bool:
        """Whether each instance has its own value (``(* type="instance" *)``)."""
        return self.attributes.get("type") == "instance" and not self.local


def declared_parameters(source: Source) -> list[Declared]:
    """The module's parameters in the order of the source.

    Raises:
        VerilogAError: a string parameter, which is not supported, or a declaration that cannot be read.
    """
    module = module_tokens(source)
    found: list[Declared] = []
    position = 0
    attributes: dict[str, str] = {}
    while position < len(module):
        token = module[position]
        if token.text == "(*":
            end = _attribute_end(module, position)
            attributes |= _attributes(module[position + 1 : end])
            position = end + 1
            continue
        if token.text == "analog":
            _refuse_inner(module[position : analog_end(module, position)])
            position = analog_end(module, position)
            continue
        if token.text in ("parameter", "localparam"):
            end = position
            while module[end].text != ";" and end < len(module) - 1:
                end += 1
            found += _read(module[position:end], attributes)
            position = end
        attributes = {}
        position += 1
    lowered: dict[str, Declared] = {}
    for parameter in found:
        other = lowered.setdefault(parameter.name.text.lower(), parameter)
        if other is not parameter:
            raise VerilogAError(
                f"{parameter.name.where}: parameter {parameter.name.text} differs from {other.name.text} "
                "only by case, "
                "and netlists do not distinguish case. Rename one."
            )
    return found


def _attribute_end(tokens: list[Token], position: int) -> int:
    while position < len(tokens) - 1 and tokens[position].text != "*)":
        position += 1
    return position


def _attributes(tokens: list[Token]) -> dict[str, str]:
    """``name = "value"`` pairs of one attribute list."""
    return {
        name.text: value.text[1:-1]
        for name, sign, value in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if name.kind == "word" and sign.text == "=" and value.kind == "string"
    }


def without_attributes(source: Source) -> list[Token]:
    """The source's tokens without attributes.

    An instance parameter is an ordinary one to the front end then: its value is resolved before, in one
    place.
    """
    tokens, out, position = list(source.tokens), [], 0
    while position < len(tokens):
        if tokens[position].text == "(*":
            position = _attribute_end(tokens, position) + 1
            continue
        out.append(tokens[position])
        position += 1
    return out


def _refuse_inner(block: list[Token]) -> None:
    for token in block:
        if token.text in ("parameter", "localparam"):
            raise VerilogAError(
                f"{token.where}: a parameter inside a block. Declare it at the top of the module."
            )


def _read(tokens: list[Token], attributes: dict[str, str]) -> list[Declared]:
    keyword, rest = tokens[0], tokens[1:]
    kind = ""
    if rest and rest[0].text in ("real", "integer", "string", "time", "realtime"):
        kind, rest = rest[0].text, rest[1:]
    if kind not in ("", "real", "integer"):
        raise VerilogAError(
            f"{keyword.where}: a {kind} parameter is not supported by the built-in compiler. Use an "
            "integer with a "
            'from list, or compiler="openvaf".'
        )
    found = []
    for part in _split(rest):
        if len(part) < 3 or part[0].kind != "word" or part[1].text != "=":
            raise VerilogAError(
                f"{keyword.where}: this parameter is not of the form NAME = VALUE. Give it a default."
            )
        stop = next((i for i, token in enumerate(part) if token.text in ("from", "exclude")), len(part))
        default = part[2:stop]
        if any(token.kind == "string" for token in default):
            raise VerilogAError(
                f"{keyword.where}: string parameter {part[0].text} is not supported. Use an integer."
            )
        local = keyword.text == "localparam"
        found.append(Declared(part[0], kind, tuple(default), tuple(part[stop:]), local, attributes))
    return found


def _split(tokens: list[Token]) -> list[list[Token]]:
    """Parts of a declaration between commas outside all brackets ((a:b] closes what (a opened)."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.text == "," and depth == 0:
            parts.append([])
            continue
        depth += (token.text in ("(", "[", "{", "'{")) - (token.text in (")", "]", "}"))
        parts[-1].append(token)
    return parts


def parameter_copy(source: Source, declared: list[Declared]) -> tuple[str, list[str]]:
    """The flat text, with origins, of a module that has the same parameters, all instance ones, and no
    equations."""
    out: list[Token] = [token for token in source.tokens if token.kind == "header"]

    def write(text: str, like: Token) -> None:
        out.append(Token(text, "word", like.file, like.line))

    start = module_tokens(source)[0]
    write("module parameter_copy();", start)
    for parameter in declared:
        write(f'(* type="instance" *) parameter {parameter.type}', parameter.name)
        out.append(parameter.name)
        write("=", parameter.name)
        out += parameter.default
        out += parameter.range
        write(";", parameter.name)
    write("analog begin end endmodule", start)
    return flat_text(out)


def spelled(tokens: tuple[Token, ...]) -> str:
    """Tokens as a user would write them."""
    text = ""
    for before, token in zip((None, *tokens), tokens, strict=False):
        gap = before is not None and not token.glued
        if before is not None and before.kind in ("word", "number") and token.kind in ("word", "number"):
            gap = True
        text += (" " if gap else "") + token.text
    return text
