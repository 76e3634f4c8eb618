"""Source rewrites that repair what the front end gets wrong.

- Its derivatives of ``atan2`` and ``hypot`` are wrong (a product for a quotient, a missing factor), which
would show only as slow convergence in a transient but as a wrong answer in AC. Both become analog
functions of the same value.
- It compiles ``~x`` as ``-x``; so ``~x`` is written ``-1 - x``.
- Of the arguments of ``analysis`` it takes one; several become ``(analysis(a) || analysis(b))``.
- It folds a shift of constants with rules of its own (the sign is kept, wide shifts wrap); a zero that is
no constant to it (a local parameter, which the generated code replaces by 0) keeps it from folding.
"""

from __future__ import annotations

from spicebridge.verilog_a.model import VerilogAError
from spicebridge.verilog_a.source import Token
from spicebridge.verilog_a.syntax import closing

ZERO = "sb_zero"

REPAIRS = {
    "hypot": """
analog function real sb_hypot ;
input a , b ; real a , b , big ;
begin
big = max ( abs ( a ) , abs ( b ) ) ;
sb_hypot = ( big > 0.0 ) ? big * sqrt ( ( a / big ) * ( a / big ) + ( b / big ) * ( b / big ) ) : 0.0 ;
end
endfunction""",
    "atan2": """
analog function real sb_atan2 ;
input y , x ; real y , x , r ;
begin
if ( abs ( x ) >= abs ( y ) ) begin
if ( x == 0.0 ) r = 0.0 ;
else begin
r = atan ( y / x ) ;
if ( x < 0.0 ) r = ( y >= 0.0 ) ? r + 3.14159265358979323846 : r - 3.14159265358979323846 ;
end
end else begin
r = ( ( y > 0.0 ) ? 1.57079632679489661923 : - 1.57079632679489661923 ) - atan ( x / y ) ;
end
sb_atan2 = r ;
end
endfunction""",
}


def repaired(tokens: list[Token]) -> list[Token]:
    """The tokens with all repairs made; helper definitions go on the line of the module's header."""
    tokens = _analyses(_complements(tokens))
    used = {token.text for token in tokens} & set(REPAIRS)
    shifts = any(token.text in ("<<", ">>") for token in tokens)
    helpers = [REPAIRS[name].strip().replace("\n", " ") for name in sorted(used)]
    if shifts:
        helpers.insert(0, f"localparam integer {ZERO} = 0 ;")
    out: list[Token] = []
    header, inside = False, False
    for token in tokens:
        if inside and token.text in used and token.kind == "word":
            out.append(_like(token, f"sb_{token.text}"))
        elif token.text in ("<<", ">>"):
            # A sum binds tighter than a shift, so the zero joins the right operand whatever that is.
            out += [token, _like(token, ZERO), _like(token, "+")]
        else:
            out.append(token)
        header = header or token.text in ("module", "macromodule")
        if header and not inside and token.text == ";":
            inside = True
            out += [_like(token, text) for text in helpers]
    return out


def _like(token: Token, text: str) -> Token:
    return Token(text, "word", token.file, token.line)


def _analyses(tokens: list[Token]) -> list[Token]:
    """``analysis("a", "b")`` written as ``( analysis("a") || analysis("b") )``."""
    out: list[Token] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.text == "analysis" and position + 1 < len(tokens) and tokens[position + 1].text == "(":
            end = closing(tokens, position + 1)
            names = [each for each in tokens[position + 2 : end] if each.text != ","]
            calls = " || ".join(f"analysis ( {each.text} )" for each in names)
            out.append(_like(token, f"( {calls} )"))
            position = end + 1
        else:
            out.append(token)
            position += 1
    return out


def _complements(tokens: list[Token]) -> list[Token]:
    """``~ operand`` written as ``( - 1 - ( operand ) )``."""
    out: list[Token] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.text != "~":
            out.append(token)
            position += 1
            continue
        end = _operand_end(tokens, position + 1)
        inner = _complements(tokens[position + 1 : end])
        out += [_like(token, "( - 1 - ("), *inner, _like(token, ") )")]
        position = end
    return out


def _operand_end(tokens: list[Token], position: int) -> int:
    """The position after the unary operand that starts at ``position``: signs, then a name, call, number
    or (...)."""
    start = tokens[position - 1]
    while position < len(tokens) and tokens[position].text in ("~", "-", "+", "!"):
        position += 1
    if position < len(tokens) and tokens[position].text == "(":
        return closing(tokens, position) + 1
    if position >= len(tokens) or tokens[position].kind not in ("word", "number", "directive"):
        raise VerilogAError(
            f"{start.where}: the operator ~ is not followed by an operand. Write ~(...) around it."
        )
    if position + 1 < len(tokens) and tokens[position].kind == "word" and tokens[position + 1].text == "(":
        return closing(tokens, position + 1) + 1
    return position + 1
