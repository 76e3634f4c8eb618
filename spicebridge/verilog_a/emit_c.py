"""SSA blocks of the front end as C: a variable per value, a label per block, phis as copies on the edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from spicebridge.verilog_a.model import VerilogAError

REAL = "double"
INTEGER = "int32_t"
STRING = "const char *"

UNARY: dict[str, tuple[str, str]] = {
    "inot": (INTEGER, "~{0}"),
    "bnot": (INTEGER, "!{0}"),
    "fneg": (REAL, "-{0}"),
    "ineg": (INTEGER, "-{0}"),
    "ficast": (INTEGER, "sb_round({0})"),
    "ifcast": (REAL, "(double){0}"),
    "bicast": (INTEGER, "({0} != 0)"),
    "ibcast": (INTEGER, "({0} != 0)"),
    "fbcast": (INTEGER, "({0} != 0.0)"),
    "bfcast": (REAL, "({0} != 0 ? 1.0 : 0.0)"),
    "clog2": (INTEGER, "sb_clog2({0})"),
    "ln": (REAL, "log({0})"),
    "log": (REAL, "log10({0})"),
} | {
    name: (REAL, name + "({0})")
    for name in (
        *("sqrt", "exp", "floor", "ceil", "sin", "cos", "tan", "asin", "acos", "atan"),
        *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    )
}
BINARY: dict[str, tuple[str, str]] = {
    "ishl": (INTEGER, "sb_shl({0}, {1})"),
    "ishr": (INTEGER, "sb_shr({0}, {1})"),
    "idiv": (INTEGER, "sb_div({0}, {1}, &sb_flags)"),
    "irem": (INTEGER, "sb_rem({0}, {1}, &sb_flags)"),
    "frem": (REAL, "fmod({0}, {1})"),
    "pow": (REAL, "pow({0}, {1})"),
    "hypot": (REAL, "hypot({0}, {1})"),
    "atan2": (REAL, "atan2({0}, {1})"),
}
for _prefix, _type in (("i", INTEGER), ("f", REAL)):
    for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*")):
        BINARY[_prefix + _name] = (_type, "{0} " + _sign + " {1}")
    for _name, _sign in (("lt", "<"), ("gt", ">"), ("le", "<="), ("ge", ">="), ("eq", "=="), ("ne", "!=")):
        BINARY[_prefix + _name] = (INTEGER, "({0} " + _sign + " {1})")
BINARY["fdiv"] = (REAL, "{0} / {1}")
for _name, _sign in (("xor", "^"), ("and", "&"), ("or", "|")):
    BINARY["i" + _name] = (INTEGER, "{0} " + _sign + " {1}")
for _name, _sign in (("eq", "=="), ("ne", "!=")):
    BINARY["b" + _name] = (INTEGER, "({0} " + _sign + " {1})")

# What a call becomes: the C type of its result ("" if none), and its C code (an expression, or statements).
Call = Callable[[dict[str, Any], list[str]], tuple[str, str]]


@dataclass
class Function:
    """One MIR function with the meaning of its inputs, ready to be written as C.

    ``inputs`` maps a value's name to its C type and expression; ``call`` translates call instructions;
    ``strings`` are the string constants.
    """

    name: str
    mir: dict[str, Any]
    inputs: dict[str, tuple[str, str]]
    call: Call
    strings: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    types: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Collect the constants, then infer the type of every value."""
        self.literals: dict[str, tuple[str, str]] = {}
        for value, real in self.mir["constants"].items():
            self.literals[value] = (REAL, real_literal(float(real)))
        for value, integer in self.mir["int_constants"].items():
            self.literals[value] = (INTEGER, integer_literal(int(integer)))
        for value, truth in self.mir["bool_constants"].items():
            self.literals[value] = (INTEGER, "1" if truth else "0")
        for value, text in self.strings.items():
            self.literals[value] = (STRING, string_literal(text))
        self._infer()

    def reference(self, value: str) -> str:
        """The C expression of a value: a literal, an input or a variable of this function."""
        self.used.add(value)
        if value in self.types and value not in self.literals and value not in self.inputs:
            return value
        if value in self.inputs:
            return self.inputs[value][1]
        if value in self.literals:
            return self.literals[value][1]
        raise VerilogAError(
            f"{self.name}: the value {value} is used and given by no statement that is ever reached. If the "
            "model has a loop that never ends (its condition never becomes false), end it; otherwise it "
            'needs a construct that the built-in compiler does not know: use compiler="openvaf".'
        )

    def _argument(self, value: str) -> str:
        """A value passed to a call; what the front end leaves without a meaning can only be a text.

        It does not hand out the texts of the set-up function.
        """
        known = value in self.types or value in self.inputs or value in self.literals
        return self.reference(value) if known else '""'

    def type_of(self, value: str) -> str:
        """The C type of a value ("" while it is not known)."""
        if value in self.inputs:
            return self.inputs[value][0]
        if value in self.literals:
            return self.literals[value][0]
        return self.types.get(value, "")

    def body(self) -> list[str]:
        """Declarations and statements; execution ends at the label ``sb_end``, which the caller writes."""
        instructions = self.mir["instructions"]
        code = self._blocks(instructions)
        reals = sorted((v for v, t in self.types.items() if t == REAL), key=_number)
        integers = sorted((v for v, t in self.types.items() if t == INTEGER), key=_number)
        lines = [f"    double {value} = 0.0;" for value in reals]
        lines += [f"    int32_t {value} = 0;" for value in integers]
        return lines + code

    def _infer(self) -> None:
        """Types of all results; phis and barriers take theirs from their operands, so go round until
        stable."""
        pending = [instruction for instruction in self.mir["instructions"] if instruction.get("result")]
        while pending:
            left = []
            for instruction in pending:
                kind = self._result_type(instruction)
                if kind:
                    self.types[instruction["result"]] = kind
                else:
                    left.append(instruction)
            if len(left) == len(pending):
                # Only a cycle of phis without any outside value can remain, and that is dead code.
                for instruction in left:
                    self.types[instruction["result"]] = REAL
                return
            pending = left

    def _result_type(self, instruction: dict[str, Any]) -> str:
        code = instruction["opcode"]
        if code == "phi":
            kinds = (self.type_of(part["value"]) for part in instruction["phi_operands"])
            return next((kind for kind in kinds if kind), "")
        if code == "optbarrier":
            return self.type_of(instruction["operands"][0])
        if code == "call":
            return self.call(instruction, ["0"] * len(instruction["operands"]))[0]
        table = UNARY if code in UNARY else BINARY
        if code not in table:
            raise VerilogAError(
                f"{self.name}: the built-in compiler has no code for the operation {code}"
                f"{' (comparison of strings)' if code in ('seq', 'sne') else ''}. Rewrite it, or use "
                'compiler="openvaf".'
            )
        return table[code][0]

    def _blocks(self, instructions: list[dict[str, Any]]) -> list[str]:
        order = list(dict.fromkeys(instruction["block"] for instruction in instructions))
        entries = [block for block in order if not self.mir["blocks"][block]["predecessors"]]
        named = set(order)
        if len(entries) != 1 and order:
            entries = entries[:1] or order[:1]
        phis: dict[str, list[dict[str, Any]]] = {}
        for instruction in instructions:
            if instruction["opcode"] == "phi":
                phis.setdefault(instruction["block"], []).append(instruction)
        lines = [f"    goto {entries[0]};"] if entries else []
        current, closed = "", True
        for instruction in instructions:
            if instruction["block"] != current:
                if not closed:
                    lines.append("    goto sb_end;")
                current, closed = instruction["block"], False
                lines.append(f"{current}:;")
            if instruction["opcode"] == "phi":
                continue
            lines += self._instruction(instruction, phis, named)
            closed = instruction["opcode"] in ("br", "jmp", "exit")
        if not closed:
            lines.append("    goto sb_end;")
        return lines

    def _instruction(
        self, instruction: dict[str, Any], phis: dict[str, list[dict[str, Any]]], named: set[str]
    ) -> list[str]:
        code = instruction["opcode"]
        block = instruction["block"]
        if code == "jmp":
            return [f"    {self._edge(block, instruction['destination'], phis, named)}"]
        if code == "br":
            condition = self.reference(instruction["condition"])
            true = self._edge(block, instruction["true_block"], phis, named)
            false = self._edge(block, instruction["false_block"], phis, named)
            return [f"    if ({condition}) {{ {true} }} else {{ {false} }}"]
        if code == "exit":
            return ["    goto sb_end;"]
        if code == "call":
            operands = [self._argument(value) for value in instruction["operands"]]
            _, text = self.call(instruction, operands)
            result = instruction.get("result")
            return [f"    {result} = {text};" if result else f"    {text}"]
        operands = [self.reference(value) for value in instruction["operands"]]
        text = operands[0] if code == "optbarrier" else ""
        if code in UNARY:
            text = UNARY[code][1].format(*operands)
        elif code in BINARY:
            text = BINARY[code][1].format(*operands)
        return [f"    {instruction['result']} = {text};"]

    def _edge(self, block: str, target: str, phis: dict[str, list[dict[str, Any]]], named: set[str]) -> str:
        """The copies that the phis of ``target`` ask of this edge, all at once, then the jump."""
        copies = []
        for phi in phis.get(target, []):
            source = next((part["value"] for part in phi["phi_operands"] if part["block"] == block), None)
            if source is not None:
                copies.append((phi["result"], self.reference(source), self.types[phi["result"]]))
        jump = f"goto {target};" if target in named else "goto sb_end;"
        if len(copies) == 1:
            return f"{copies[0][0]} = {copies[0][1]}; {jump}"
        first = " ".join(f"{kind} t{i} = {source};" for i, (_, source, kind) in enumerate(copies))
        then = " ".join(f"{result} = t{i};" for i, (result, _, _) in enumerate(copies))
        return f"{{ {first} {then} }} {jump}" if copies else jump


def _number(value: str) -> int:
    return int(value[1:])


def real_literal(value: float) -> str:
    """A double as C, exact to the last bit."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    text = value.hex()
    return f"({text})" if text.startswith("-") else text


def integer_literal(value: int) -> str:
    """A 32-bit integer as C (its smallest value has no plain literal)."""
    if value == -(2**31):
        return "INT32_MIN"
    return f"({value})" if value < 0 else str(value)


def string_literal(text: str) -> str:
    """A C string; every byte that is not plain ASCII is an octal escape."""
    out = []
    for byte in text.encode("utf-8"):
        char = chr(byte)
        out.append(char if 32 <= byte < 127 and char not in '"\\?' else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'
