"""Whether a random draw can matter in an expression of a deck: by evaluation with what is known to be zero.

A value is a known number, or any number that is the same on every run, or one that may differ between runs.
What cannot be read with certainty raises ``UnreadError``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from spicebridge.deck import DeckError, parse_number

DRAWS = ("agauss", "gauss", "aunif", "unif", "limit")
# Which of their arguments would switch them off was never tried.
OTHER_DRAWS = ("sgauss", "sunif", "random", "trnoise", "trrandom")
_TOKEN = re.compile(
    r"\s*((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?[a-z]*|[a-z_][\w.#]*|\*\*|[<>=!]=|[-+*/^(),?:<>])", re.IGNORECASE
)
_DEEPEST = 40


class UnreadError(Exception):
    """An expression that is not understood with certainty."""


@dataclass(frozen=True)
class Value:
    """What is known of a value: its number, None for one not known, and whether runs may differ in it."""

    number: float | None = None
    random: bool = False


@dataclass(frozen=True)
class Function:
    """A function of the deck's own: its arguments' names and its body, lower case."""

    arguments: tuple[str, ...]
    body: str


def evaluate(
    text: str, names: Mapping[str, Value], functions: Mapping[str, Function | None], depth: int = 0
) -> Value:
    """The value of an expression.

    Args:
        text: the expression, without braces.
        names: what is known of parameters, lower case; any other is the same on every run.
        functions: the deck's own, lower case; None for one that is not known for certain.
        depth: of calls so far.

    Raises:
        UnreadError: it is not read with certainty.
    """
    tokens, at = [], 0
    text = text.strip().lower()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnreadError(text[at:])
        tokens.append(match[1])
        at = match.end()
    reader = _Reader(tokens, names, functions, depth)
    value = reader.choice()
    if reader.tokens:
        raise UnreadError(text)
    return value


class _Reader:
    """One expression, read from its first token on."""

    def __init__(
        self,
        tokens: list[str],
        names: Mapping[str, Value],
        functions: Mapping[str, Function | None],
        depth: int,
    ) -> None:
        self.tokens = tokens
        self._names, self._functions, self._depth = names, functions, depth

    def choice(self) -> Value:
        """A sum, or ``condition ? one : other``."""
        value = self._sum()
        if self._next() in ("<", ">", "<=", ">=", "==", "!="):
            operator = self._take()
            value = _compared(operator, value, self._sum())
            if self._next() not in ("?", ")", ",", "", ":"):
                raise UnreadError(operator)
        if self._next() != "?":
            return value
        self._take()
        one = self.choice()
        self._expect(":")
        other = self.choice()
        if value.number is not None:
            return one if value.number else other
        return _either(value, one, other)

    def _sum(self) -> Value:
        value = self._product()
        while self._next() in ("+", "-"):
            sign = 1 if self._take() == "+" else -1
            other = self._product()
            known = value.number is not None and other.number is not None
            number = value.number + sign * other.number if known else None  # type: ignore[operator]  # known
            value = Value(number, value.random or other.random)
        return value

    def _product(self) -> Value:
        value = self._power()
        while self._next() in ("*", "/"):
            value = _product(value, self._power()) if self._take() == "*" else _ratio(value, self._power())
        return value

    def _power(self) -> Value:
        value = self._signed()
        if self._next() in ("^", "**"):
            self._take()
            exponent = self._signed()
            if self._next() in ("^", "**"):
                raise UnreadError("a power of a power")
            if value.number == 0 and exponent.number is not None and exponent.number > 0:
                return Value(0.0)
            return _either(value, exponent)
        return value

    def _signed(self) -> Value:
        if self._next() in ("+", "-"):
            sign = self._take()
            value = self._signed()
            negated = sign == "-" and value.number is not None
            return Value(-value.number, value.random) if negated else value  # type: ignore[operator]  # known
        return self._primary()

    def _primary(self) -> Value:
        word = self._take()
        if word == "(":
            value = self.choice()
            self._expect(")")
            return value
        if word[:1].isdigit() or word[:1] == ".":
            try:
                return Value(parse_number(word))
            except DeckError as error:
                raise UnreadError(word) from error
        if not (word[:1].isalpha() or word[:1] == "_"):
            raise UnreadError(word)
        if self._next() != "(":
            return self._names.get(word, Value())
        self._take()
        arguments = [self.choice()]
        while self._next() == ",":
            self._take()
            arguments.append(self.choice())
        self._expect(")")
        return self._call(word, arguments)

    def _call(self, name: str, arguments: list[Value]) -> Value:
        if name in self._functions:
            function = self._functions[name]
            if function is None or len(function.arguments) != len(arguments) or self._depth > _DEEPEST:
                raise UnreadError(name)
            bound = {**self._names, **dict(zip(function.arguments, arguments, strict=True))}
            return evaluate(function.body, bound, self._functions, self._depth + 1)
        if name in OTHER_DRAWS:
            raise UnreadError(name)
        if name not in DRAWS:
            return _either(*arguments)
        # Around its first argument, as wide as its second says: without width ngspice gives the first.
        if len(arguments) >= 2 and arguments[1] == Value(0.0) and not _either(*arguments).random:
            return arguments[0]
        return Value(random=True)

    def _next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def _take(self) -> str:
        if not self.tokens:
            raise UnreadError("it ends early")
        return self.tokens.pop(0)

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise UnreadError(token)


def _either(*values: Value) -> Value:
    """An unknown function of some values."""
    return Value(random=any(each.random for each in values))


def _product(one: Value, other: Value) -> Value:
    if one == Value(0.0) or other == Value(0.0):
        return Value(0.0)
    if one.number is None or other.number is None:
        return _either(one, other)
    return Value(one.number * other.number, one.random or other.random)


def _ratio(one: Value, other: Value) -> Value:
    if one.number is None or not other.number:
        return _either(one, other)
    return Value(one.number / other.number)


def _compared(operator: str, one: Value, other: Value) -> Value:
    if one.number is None or other.number is None:
        return _either(one, other)
    first, second = one.number, other.number
    true = {
        "<": first < second,
        ">": first > second,
        "<=": first <= second,
        ">=": first >= second,
        "==": first == second,
        "!=": first != second,
    }
    return Value(float(true[operator]))
