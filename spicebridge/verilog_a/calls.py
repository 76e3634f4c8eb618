"""Calls of the intermediate representation as C: $limit, $simparam, analysis(), messages, node collapse."""

from __future__ import annotations

import re
from typing import Any

from spicebridge.verilog_a.checks import LIMITERS
from spicebridge.verilog_a.emit_c import INTEGER, REAL, string_literal
from spicebridge.verilog_a.frontend import Module
from spicebridge.verilog_a.model import VerilogAError

# ngspice sets its flag for "static" in the first step of a transient and not in the operating point before
# it; what it never says is told apart by whether charges count. In an operating point they do not.
STATIC = "((info->flags & CALC_REACT_JACOBIAN) == 0)"
TRANSIENT, AC, DC = (
    "((info->flags & 8192u) != 0)",
    "((info->flags & 4096u) != 0)",
    "((info->flags & 2048u) != 0)",
)
ANALYSES = {
    "static": STATIC,
    "ic": f"({TRANSIENT} && {STATIC})",
    "tran": TRANSIENT,
    "dc": f"({DC} && {STATIC})",
    "ac": AC,
}
LEVELS = {
    "Display": "",
    "Info": "info: ",
    "Warn": "warning: ",
    "Error": "error: ",
    "Fatal": "fatal: ",
    "Debug": "",
}
FORMAT = re.compile(r"%(?:%|([-+ #0]*\d*(?:\.\d+)?)([a-zA-Z]))")


class EvalCalls:
    """Calls in the evaluation function, where the front end names each callee."""

    def __init__(self, module: Module, limiters: list[str]) -> None:
        """``limiters`` are the limiting functions in the order in which the front end numbers them."""
        self.module = module
        self.strings: dict[str, str] = module["strings"]
        self.declared = {ref: decl["name"] for ref, decl in module["eval"]["function_decls"].items()}
        spurs = sorted(
            {
                int(n)
                for n in re.findall(
                    r"BuiltinLimit \{ name: Spur\((\d+)\)",
                    "".join(f"{name};" for name in module["callbacks"]),
                )
            }
        )
        if len(spurs) > len(limiters):
            raise VerilogAError(
                f"{module['name']}: a limiting function has no readable name. Name it in quotes in $limit."
            )
        self.limiters = dict(zip(spurs, limiters, strict=False))

    def __call__(self, instruction: dict[str, Any], operands: list[str]) -> tuple[str, str]:
        """The C type of the call's result, and its code."""
        name = self.declared[instruction["func_ref"]]
        if name == "SimParam":
            return REAL, f"sb_simparam(handle, &info->parameters, {operands[0]}, NULL, &sb_flags)"
        if name == "SimParamOpt":
            return REAL, (
                f"sb_simparam(handle, &info->parameters, {operands[0]}, &(double){{{operands[1]}}}, "
                f"&sb_flags)"
            )
        if name == "Analysis":
            return INTEGER, self._analysis(instruction["operands"][0])
        if name.startswith("BuiltinLimit"):
            return REAL, self._limit(name, operands)
        if found := re.fullmatch(r"StoreLimit\(lim_state(\d+)\)", name):
            state = found[1]
            return REAL, f"(next{state} = info->next_state[s->state[{state}]] = {operands[0]})"
        if name.startswith("Print"):
            return "", print_call(name, self.strings.get(instruction["operands"][0], ""), operands[1:])
        if name == "SetRetFlag(Abort)":
            return "", "sb_flags |= RET_FATAL;"
        if name == "LimDiscontinuity":
            return "", "sb_flags |= RET_LIM;"
        if name.startswith("CollapseHint"):
            return "", ";"
        raise VerilogAError(
            f"{self.module['name']}: the built-in compiler cannot translate the call {name}. Rewrite the "
            "expression "
            'that needs it, or use compiler="openvaf".'
        )

    def _analysis(self, operand: str) -> str:
        wanted = self.strings.get(operand, "")
        if wanted not in ANALYSES:
            raise VerilogAError(
                f'{self.module["name"]}: analysis("{wanted}") is refused: ngspice does not tell models. '
                f"Use one of {', '.join(ANALYSES)}, or test $abstime <= 0."
            )
        return ANALYSES[wanted]

    def _limit(self, name: str, operands: list[str]) -> str:
        spur = re.search(r"Spur\((\d+)\)", name)
        function = self.limiters[int(spur[1]) if spur else -1]
        extra = len(operands) - 2
        if extra != LIMITERS[function]:
            raise VerilogAError(
                f"{self.module['name']}: $limit with {function} takes {LIMITERS[function]} arguments "
                "after its name, "
                f"not {extra}."
            )
        index = list(LIMITERS).index(function)
        arguments = ", ".join(operands)
        return (
            f"sb_limited(((lim{extra})OSDI_LIM_TABLE[{index}].func)((info->flags & INIT_LIM) != 0, "
            "&sb_check, "
            f"{arguments}), &sb_check, &sb_flags)"
        )


class InitCalls:
    """Calls in the set-up function, whose callees the front end does not name.

    They are the callbacks that the evaluation function no longer calls, in the same order.
    """

    def __init__(self, module: Module) -> None:
        """Find each callee of the module's set-up function."""
        self.module = module
        instructions = module["init"]["instructions"]
        calls = [i for i in instructions if i["opcode"] == "call"]
        declared = {ref: decl["name"] for ref, decl in module["eval"]["function_decls"].items()}
        kept = {declared[i["func_ref"]] for i in module["eval"]["instructions"] if i["opcode"] == "call"}
        signatures = {i["func_ref"]: (len(i["operands"]), bool(i.get("result"))) for i in calls}
        self.callee: dict[str, str] = {}
        for silent in (True, False):
            refs = sorted(
                (r for r, (n, _) in signatures.items() if (n == 0) == silent), key=lambda r: int(r[4:])
            )
            names = [name for name in module["callbacks"] if _silent(name) == silent and _in_setup(name)]
            if not refs:
                continue
            if len(refs) != len(names):
                names = [name for name in names if name not in kept]
            if len(refs) != len(names) or any(signatures[r][1] for r in refs):
                raise VerilogAError(
                    f"{module['name']}: the calls made at set-up cannot be told apart. Take $strobe, "
                    "$fatal and their "
                    "like out of the statements that depend only on parameters."
                )
            self.callee |= dict(zip(refs, names, strict=True))

    def __call__(self, instruction: dict[str, Any], operands: list[str]) -> tuple[str, str]:
        """The C type of the call's result (none has one), and its code."""
        name = self.callee[instruction["func_ref"]]
        if name.startswith("Print"):
            text = f"a message at set-up of {self.module['name']}" + " %g" * (len(operands) - 1) + "\n"
            return "", print_call(name, text, [f"(double)({o})" for o in operands[1:]])
        if name == "SetRetFlag(Abort)":
            return "", "sb_flags |= RET_FATAL;"
        found = re.fullmatch(r"CollapseHint\(node(\d+), (?:Some\(node(\d+)\)|None)\)", name)
        if found is None:
            return "", ";"
        hinted = {int(found[1]), int(found[2]) if found[2] else 2**32 - 1}
        for index, (first, second) in enumerate(self.module["collapsible"]):
            if {first, second} == hinted:
                return "", f"s->collapsed[{index}] = true;"
        return "", ";"


def _silent(name: str) -> bool:
    return name.startswith(("CollapseHint", "SetRetFlag", "LimDiscontinuity"))


def _in_setup(name: str) -> bool:
    return _silent(name) or name.startswith("Print")


def print_call(name: str, text: str, arguments: list[str]) -> str:
    """A C statement that prints a Verilog-A message through the simulator's log."""
    kind = re.search(r"kind: (\w+)", name)
    types = re.findall(r"ty: (\w+)", name)
    level = LEVELS.get(kind[1] if kind else "", "")
    remaining = list(zip(types, arguments, strict=False)) if types else [("Real", a) for a in arguments]
    values: list[str] = []

    def convert(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%%"
        if match[2] in "mM" or not remaining:
            return "%" + match[0]
        kind_of, argument = remaining.pop(0)
        letter = match[2].lower()
        if letter == "s" and kind_of == "String":
            values.append(argument)
            return "%s"
        if letter in "dohxb":
            values.append(f"(int)({argument})")
            return "%" + (match[1] or "") + {"h": "x", "b": "x"}.get(letter, letter)
        values.append(f"(double)({argument})")
        return "%" + (match[1] or "") + (match[2] if letter in "efg" else "g")

    converted = FORMAT.sub(convert, text)
    if not converted.endswith("\n"):
        converted += "\n"
    tail = "".join(f", {value}" for value in values)
    return (
        "{ char sb_text[512]; "
        f"snprintf(sb_text, sizeof sb_text, {string_literal(level + converted)}{tail}); "
        "sb_log(handle, sb_text); }"
    )
