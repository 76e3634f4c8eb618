"""Whether a model's variables would have to remember: definite assignment over the analog block.

A variable that may be read before it is assigned in the same evaluation keeps, by the language, its value
from the evaluation before. The front end resets it to zero without a word, so such a source is refused: a
state must be a node. The check is cautious: a read that is guarded by the same condition as its assignment
is refused too.
"""

from __future__ import annotations

from spicebridge.verilog_a.checks import STATE
from spicebridge.verilog_a.model import VerilogAError
from spicebridge.verilog_a.source import Source, Token
from spicebridge.verilog_a.syntax import analog_end, closing, module_tokens

Assigned = frozenset[str]


def refuse_memory(source: Source) -> None:
    """Refuse a variable that would have to remember its value between evaluations.

    Raises:
        VerilogAError: with the place of the read and of the declaration.
    """
    module = module_tokens(source)
    variables: dict[str, Token] = {}
    functions: dict[str, list[str]] = {}
    blocks: list[list[Token]] = []
    position = 0
    while position < len(module):
        token = module[position]
        if token.text == "analog":
            end = analog_end(module, position)
            if module[position + 1].text == "function":
                name, directions = _function(module[position:end])
                functions[name] = directions
            else:
                blocks.append(module[position + 1 : end])
            position = end
        elif token.text in ("real", "integer") and (position == 0 or _starts_item(module[position - 1])):
            end = _next(module, position, ";")
            variables.update(_declared(module[position + 1 : end]))
            position = end
        else:
            position += 1
    assigned: Assigned = frozenset()
    constant = set(variables) - _assigned_anywhere(blocks, functions)
    for block in blocks:
        walk = _Walk(block, variables, functions)
        walk.constant = set(constant)
        assigned = walk.statement(assigned)


def _starts_item(before: Token) -> bool:
    return before.text in (";", "*)", "endfunction", "end", "endcase")


def _next(tokens: list[Token], position: int, text: str) -> int:
    while position < len(tokens) and tokens[position].text != text:
        position += 1
    return position


def _declared(tokens: list[Token]) -> dict[str, Token]:
    """Names of ``a, b = 1, c`` with the token of each."""
    names: dict[str, Token] = {}
    expecting, depth = True, 0
    for token in tokens:
        if depth == 0 and token.text == ",":
            expecting = True
        elif expecting and token.kind == "word":
            names[token.text] = token
            expecting = False
        depth += (token.text in ("(", "[", "{", "'{")) - (token.text in (")", "]", "}"))
    return names


def _function(tokens: list[Token]) -> tuple[str, list[str]]:
    """An analog function's name, and the direction of each of its arguments."""
    end = _next(tokens, 0, ";")
    names = [token.text for token in tokens[:end] if token.kind == "word"]
    directions: list[str] = []
    for position, token in enumerate(tokens):
        if token.text in ("input", "output", "inout"):
            stop = _next(tokens, position, ";")
            directions += [token.text] * len(_declared(tokens[position + 1 : stop]))
    return names[-1], directions


def _assigned_anywhere(blocks: list[list[Token]], functions: dict[str, list[str]]) -> set[str]:
    """Every name that some statement assigns (or may assign, as an argument of a function)."""
    names: set[str] = set()
    for block in blocks:
        for position, token in enumerate(block):
            following = block[position + 1].text if position + 1 < len(block) else ""
            if token.kind == "word" and following == "=":
                names.add(token.text)
            if token.text in functions and following == "(":
                names.update(
                    t.text for t in block[position : closing(block, position + 1)] if t.kind == "word"
                )
    return names


class _Walk:
    """A reader of one analog block that knows, at each statement, which variables are assigned for
    certain."""

    def __init__(
        self, tokens: list[Token], variables: dict[str, Token], functions: dict[str, list[str]]
    ) -> None:
        self.tokens = tokens
        self.variables = dict(variables)
        self.functions = functions
        self.constant: set[str] = set()
        self.position = 0

    def statement(self, known: Assigned) -> Assigned:
        """Read one statement; the variables assigned for certain after it."""
        if self.position >= len(self.tokens):
            return known
        word = self._word()
        if word == "(*":
            self.position = _next(self.tokens, self.position, "*)") + 1
            return self.statement(known)
        if word == "begin":
            return self._begin(known)
        if word == "if":
            self.position += 1
            known = self._parenthesis(known)
            after = self.statement(known)
            if self._word() == "else":
                self.position += 1
                return after & self.statement(known)
            return after & known
        if word == "for":
            return self._for(known)
        if word in ("while", "repeat"):
            self.position += 1
            known = self._parenthesis(known)
            self.statement(known)
            return known
        if word in ("case", "casex", "casez"):
            return self._case(known)
        end = _next(self.tokens, self.position, ";")
        known = self._simple(self.position, end, known)
        self.position = end + 1
        return known

    def _word(self) -> str:
        return self.tokens[self.position].text if self.position < len(self.tokens) else ""

    def _begin(self, known: Assigned) -> Assigned:
        self.position += 1
        if self._word() == ":":
            self.position += 2
        while self.position < len(self.tokens) and self._word() != "end":
            if self._word() in ("real", "integer"):
                end = _next(self.tokens, self.position, ";")
                local = _declared(self.tokens[self.position + 1 : end])
                self.variables.update(local)
                self.constant -= set(local)
                known -= set(local)
                self.position = end + 1
            elif self._word() in ("parameter", "localparam", "string"):
                self.position = _next(self.tokens, self.position, ";") + 1
            else:
                known = self.statement(known)
        self.position += 1
        return known

    def _for(self, known: Assigned) -> Assigned:
        start = self.position + 1
        end = closing(self.tokens, start)
        first = _next(self.tokens, start, ";")
        second = _next(self.tokens, first + 1, ";")
        known = self._simple(start + 1, first, known)
        known = self._reads(first + 1, second, known)
        self.position = end + 1
        inside = self.statement(known)
        self._simple(second + 1, end, inside)
        return known

    def _case(self, known: Assigned) -> Assigned:
        self.position += 1
        known = self._parenthesis(known)
        results: list[Assigned] = []
        default = False
        while self.position < len(self.tokens) and self._word() != "endcase":
            if self._word() == "default":
                default = True
                self.position += 1
                if self._word() == ":":
                    self.position += 1
            else:
                colon = _next(self.tokens, self.position, ":")
                known = self._reads(self.position, colon, known)
                self.position = colon + 1
            results.append(self.statement(known))
        self.position += 1
        if not default:
            results.append(known)
        return frozenset.intersection(*results)

    def _parenthesis(self, known: Assigned) -> Assigned:
        start = self.position
        end = closing(self.tokens, start)
        self.position = end + 1
        return self._reads(start + 1, end, known)

    def _simple(self, start: int, end: int, known: Assigned) -> Assigned:
        """An assignment, a contribution or a call, between two positions."""
        if end - start >= 2 and self.tokens[start].kind == "word" and self.tokens[start + 1].text == "=":
            known = self._reads(start + 2, end, known)
            return known | {self.tokens[start].text}
        return self._reads(start, end, known)

    def _reads(self, start: int, end: int, known: Assigned) -> Assigned:
        """Check the reads between two positions; output arguments of functions are assigned there."""
        outputs: dict[int, str] = {}
        for position in range(start, end):
            token = self.tokens[position]
            if token.text in self.functions and self.tokens[position + 1].text == "(":
                outputs.update(self._outputs(position))
        added: set[str] = set()
        for position in range(start, end):
            token = self.tokens[position]
            if position in outputs:
                added.add(token.text)
                if outputs[position] == "output":
                    continue
            self._check(token, known)
        return known | added

    def _outputs(self, position: int) -> dict[int, str]:
        """Positions of plain variables that a call passes to output or inout arguments."""
        directions = self.functions[self.tokens[position].text]
        stop = closing(self.tokens, position + 1)
        found: dict[int, str] = {}
        depth, index, start = 0, 0, position + 2
        for current in range(position + 2, stop + 1):
            text = self.tokens[current].text
            if depth == 0 and (text == "," or current == stop):
                if current - start == 1 and index < len(directions) and directions[index] != "input":
                    found[start] = directions[index]
                index, start = index + 1, current + 1
            depth += (text in ("(", "[", "{", "'{")) - (text in (")", "]", "}"))
        return found

    def _check(self, token: Token, known: Assigned) -> None:
        name = token.text
        if token.kind != "word" or name not in self.variables or name in known or name in self.constant:
            return
        raise VerilogAError(
            f"{token.where}: variable {name} (declared at {self.variables[name].where}) may be read here "
            "before it is "
            "assigned in the same evaluation, so it would have to remember, and it would be reset to "
            "zero instead. "
            f"Assign {name} on every path before this line. If it is a state that must last: {STATE}"
        )
