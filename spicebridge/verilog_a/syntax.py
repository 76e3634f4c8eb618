"""Where a module's parts begin and end: statements, blocks, brackets, by position in its tokens."""

from __future__ import annotations

from spicebridge.verilog_a.model import VerilogAError
from spicebridge.verilog_a.source import Source, Token


def module_tokens(source: Source) -> list[Token]:
    """The tokens of the file's one module, from ``module`` to ``endmodule``.

    Raises:
        VerilogAError: there is not exactly one module.
    """
    tokens = list(source.tokens)
    starts = [i for i, token in enumerate(tokens) if token.text in ("module", "macromodule")]
    if not starts:
        raise VerilogAError(f"{source.path.name} holds no module. Write module NAME(...); ... endmodule.")
    if len(starts) > 1:
        second = tokens[starts[1]]
        raise VerilogAError(
            f"{second.where}: a second module in one file; a file is one model here. Move it to a file "
            "of its own."
        )
    end = next((i for i, token in enumerate(tokens) if token.text == "endmodule"), None)
    if end is None:
        raise VerilogAError(f"{tokens[starts[0]].where}: this module has no endmodule. Add it.")
    return tokens[starts[0] : end + 1]


def after(tokens: list[Token], position: int, text: str) -> int:
    """The position after the next ``text``, or the end."""
    while position < len(tokens) and tokens[position].text != text:
        position += 1
    return position + 1


def analog_end(tokens: list[Token], position: int) -> int:
    """The position after the analog block or analog function that starts at ``position``."""
    if tokens[position + 1].text == "function":
        return after(tokens, position, "endfunction")
    return statement_end(tokens, position + 1)


def statement_end(tokens: list[Token], position: int) -> int:
    """The position after the statement that starts at ``position``."""
    if position >= len(tokens):
        return position
    word = tokens[position].text
    if word == "(*":
        return statement_end(tokens, after(tokens, position, "*)"))
    if word == "begin":
        return _block_end(tokens, position, "begin", "end")
    if word in ("case", "casex", "casez"):
        return _block_end(tokens, position, word, "endcase")
    if word in ("if", "for", "while", "repeat"):
        end = statement_end(tokens, closing(tokens, position + 1) + 1)
        while word == "if" and end < len(tokens) and tokens[end].text == "else":
            end = statement_end(tokens, end + 1)
        return end
    return after(tokens, position, ";")


def _block_end(tokens: list[Token], position: int, opening: str, ending: str) -> int:
    start, depth = tokens[position], 0
    while position < len(tokens):
        depth += (tokens[position].text == opening) - (tokens[position].text == ending)
        position += 1
        if depth == 0:
            return position
    raise VerilogAError(f"{start.where}: this {opening} has no {ending}. Add it.")


def closing(tokens: list[Token], position: int) -> int:
    """The position of the parenthesis that closes the one at ``position``."""
    start, depth = position, 0
    while position < len(tokens):
        depth += (tokens[position].text in ("(", "(*")) - (tokens[position].text in (")", "*)"))
        if depth == 0 and position > start:
            return position
        if depth == 0:
            break
        position += 1
    where = tokens[min(start, len(tokens) - 1)].where
    raise VerilogAError(f"{where}: a parenthesis is expected or not closed here. Add it.")
