"""The data of one generated model: what each input of its functions means, and where each value is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from spicebridge.verilog_a.calls import EvalCalls, InitCalls
from spicebridge.verilog_a.emit_c import INTEGER, REAL, Function
from spicebridge.verilog_a.frontend import Module
from spicebridge.verilog_a.model import VerilogAError
from spicebridge.verilog_a.rewrite import ZERO


@dataclass(frozen=True)
class Slot:
    """A parameter's place in the generated structures: ``p<index>``."""

    index: int
    name: str
    kind: str
    range: str
    is_instance: bool
    local: bool
    aliases: tuple[str, ...]
    unit: str
    description: str

    @property
    def c_type(self) -> str:
        """The C type of the value."""
        return INTEGER if self.kind == "integer" else REAL


# Field of the instance for each part of a residual.
RESIDUALS = {"r": "resist_var", "q": "react_var", "lr": "resist_lim_rhs_var", "lq": "react_lim_rhs_var"}


class Layout:
    """A model's nodes, parameters, cached values and results, as the generated C file names them.

    ``module`` is the front end's view of the model, ``copy`` that of its parameter copy.
    """

    def __init__(self, module: Module, copy: Module, slots: list[Slot], limiters: list[str]) -> None:
        """Give every input, cached value and result its place."""
        self.module, self.copy, self.slots = module, copy, slots
        self.by_name = {slot.name: slot for slot in slots}
        self.nodes: list[dict[str, Any]] = module["dae"]["nodes"]
        self.node_index: dict[str, int] = {node["name"]: node["idx"] for node in self.nodes}
        self.terminals = int(module["dae"]["num_terminals"])
        self.jacobian: list[dict[str, Any]] = module["dae"]["jacobian"]
        self.residuals: list[dict[str, Any]] = module["dae"]["residuals"]
        self.states = int(module["num_states"])
        self.collapsible: list[tuple[int, int]] = [tuple(pair) for pair in module["collapsible"]]
        self.uses_limit = bool(limiters)
        self.init = Function(module["name"], module["init"], self._init_inputs(), InitCalls(module))
        self.cache = {
            entry["eval_param"]: (k, self.init.type_of(entry["init_value"]) or REAL, entry["init_value"])
            for k, entry in enumerate(module["init"]["cache_mapping"])
        }
        self.eval_calls = EvalCalls(module, limiters)
        self.eval = Function(
            module["name"],
            module["eval"],
            self._eval_inputs(),
            self.eval_calls,
            module["strings"],
        )
        self._refuse_real_remainder()

    def parameter(self, name: str) -> Slot:
        """The place of a parameter, by its name."""
        if name not in self.by_name:
            raise VerilogAError(
                f"{self.module['name']}: the parameter {name} has no declaration that can be read."
            )
        return self.by_name[name]

    def _common(self, kind: str, name: str) -> tuple[str, str] | None:
        if kind == "param" and name == ZERO:
            return INTEGER, "0"
        if kind == "param":
            slot = self.parameter(name)
            return slot.c_type, f"s->val.p{slot.index}"
        if kind == "param_given":
            return INTEGER, f"s->val.given[{self.parameter(name).index}]"
        if kind == "temperature":
            return REAL, "s->temperature"
        if kind == "sysfun" and name == "mfactor":
            return REAL, "s->mfactor"
        if kind == "port_connected":
            return INTEGER, f"({self.node(name)}u < s->connected)"
        return None

    def _init_inputs(self) -> dict[str, tuple[str, str]]:
        inputs = {}
        for kind, name, value in self.module["init_params"]:
            known = self._common(kind, name)
            if known:
                inputs[f"v{value}"] = known
        return inputs

    def _eval_inputs(self) -> dict[str, tuple[str, str]]:
        inputs: dict[str, tuple[str, str]] = {}
        params = self.module["params"]
        for position, value in self.module["param_values"]:
            if position >= len(params):
                slot, kind, _ = self._cache_slot(position)
                inputs[f"v{value}"] = (kind, f"s->c{slot}")
                continue
            kind, name = params[position]
            known = self._common(kind, name) or self._unknown(kind, name)
            if known:
                inputs[f"v{value}"] = known
        return inputs

    def _cache_slot(self, position: int) -> tuple[int, str, str]:
        if position not in self.cache:
            raise VerilogAError(
                f"{self.module['name']}: the front end names a cached value that it does not define."
            )
        return self.cache[position]

    def _unknown(self, kind: str, name: str) -> tuple[str, str] | None:
        """Inputs that change during the simulation."""
        if kind == "voltage":
            high, _, low = name[2:-1].partition(",")
            text = f"x{self.node(high)}"
            return REAL, f"({text} - x{self.node(low)})" if low else text
        if kind == "current":
            # The front end also lists currents that no equation needs; those have no node.
            flow = f"flow({name[2:-1]})"
            return (REAL, f"x{self.node_index[flow]}") if flow in self.node_index else None
        if kind == "implicit_unknown":
            return REAL, f"x{self.node_index[f'implicit_equation_{name[5:]}']}"
        if kind == "abstime":
            return REAL, "info->abstime"
        if kind == "prev_state":
            return REAL, f"prev{name.rsplit('_', 1)[1]}"
        if kind == "new_state":
            return REAL, f"next{name.rsplit('_', 1)[1]}"
        if kind == "enable_lim":
            return INTEGER, "((info->flags & ENABLE_LIM) != 0)"
        if kind == "enable_integration":
            return INTEGER, "integrating"
        return None

    def _refuse_real_remainder(self) -> None:
        """The front end gives the real remainder a derivative of zero, which only constants of a solution
        have."""
        varying = {v for v, (_, text) in self.eval.inputs.items() if re.search(r"\bx\d", text)}
        size = -1
        while len(varying) != size:
            size = len(varying)
            for instruction in self.module["eval"]["instructions"]:
                values = list(instruction.get("operands", []))
                values += [part["value"] for part in instruction.get("phi_operands", [])]
                if varying.intersection(values):
                    if instruction["opcode"] == "frem":
                        raise VerilogAError(
                            f"{self.module['name']}: the remainder % of a real that depends on a voltage "
                            "or current is "
                            "refused, since its derivative is wrong in the front end. Write x - y * "
                            "floor(x / y)."
                        )
                    if real := instruction.get("result"):
                        varying.add(real)

    def starts(self) -> list[tuple[int, int]]:
        """The integrators idt(x, ic): the node of each one's equation, and its entry on the diagonal.

        Such an equation has a reactive part only while integration is enabled.
        """
        if not any(kind == "enable_integration" for kind, _ in self.module["params"]):
            return []
        outputs = self.outputs()
        return [
            (entry["row_node_idx"], entry["entry_idx"])
            for entry in self.jacobian
            if entry["row_node_idx"] == entry["col_node_idx"]
            and self.nodes[entry["row_node_idx"]]["name"].startswith("implicit_equation_")
            and f"jq{entry['entry_idx']}" in outputs
        ]

    def limited(self) -> dict[int, str]:
        """What each limited value stands for, by the number of its state, where the model does not say itself
        (by ``$discontinuity``) whether it was limited.

        The front end keeps the difference of the two for the right-hand side.
        """
        instructions = self.module["eval"]["instructions"]
        called = {self.eval_calls.declared[i["func_ref"]] for i in instructions if i["opcode"] == "call"}
        if "LimDiscontinuity" in called:
            return {}
        own = {
            int(found[1]) for name in called if (found := re.fullmatch(r"StoreLimit\(lim_state(\d+)\)", name))
        }
        pairs: dict[int, str] = {}
        for instruction in instructions:
            if instruction["opcode"] == "fsub":
                limited, probe = (
                    self.eval.inputs.get(value, ("", ""))[1] for value in instruction["operands"]
                )
                found = re.fullmatch(r"next(\d+)", limited)
                if found and probe and int(found[1]) in own:
                    pairs[int(found[1])] = probe
        return pairs

    def node(self, name: str) -> int:
        """The index of a node, by its name."""
        if name not in self.node_index:
            raise VerilogAError(
                f"{self.module['name']}: the front end names a node {name} that it does not list."
            )
        return self.node_index[name]

    def outputs(self) -> dict[str, str]:
        """What an evaluation leaves in the instance, field to MIR value; zeros are left out."""
        found: dict[str, str] = {}
        for residual in self.residuals:
            row = residual["node_idx"]
            for field, key in RESIDUALS.items():
                if not self._zero(residual[key]):
                    found[f"{field}{row}"] = _value(residual[key])
        for entry in self.jacobian:
            if not self._zero(entry["resist_var"]):
                found[f"jr{entry['entry_idx']}"] = _value(entry["resist_var"])
            if not self._zero(entry["react_var"]):
                found[f"jq{entry['entry_idx']}"] = _value(entry["react_var"])
        return found

    def _zero(self, variable: str) -> bool:
        value = _value(variable)
        return bool(self.module["eval"]["constants"].get(value, 1.0) == 0.0)

    def ordered(self) -> list[Slot]:
        """Parameters in OSDI order: those of instances first (after the multiplier), then those of the
        model."""
        public = [slot for slot in self.slots if not slot.local]
        return [s for s in public if s.is_instance] + [s for s in public if not s.is_instance]

    def structures(self) -> list[str]:
        """The structures of the model and of an instance."""
        count = max(1, len(self.slots))
        lines = ["typedef struct {"]
        lines += [f"    {slot.c_type} p{slot.index};" for slot in self.slots]
        lines += [f"    uint8_t given[{count}];", "} parameters;"]
        lines += [
            "typedef struct { parameters raw; } __attribute__((aligned(16))) model;",
            "typedef struct {",
        ]
        lines += [f"    uint32_t node[{len(self.nodes)}];"]
        lines += [f"    double *resist[{max(1, len(self.jacobian))}], *react[{max(1, len(self.jacobian))}];"]
        lines += [f"    uint32_t state[{max(1, self.states)}];"]
        lines += ["    double mfactor, temperature;", "    parameters val;"]
        lines += [f"    {kind} c{slot};" for slot, kind, _ in self.cache.values()]
        lines += [f"    double {name};" for name in self.outputs()]
        lines += ["    uint32_t connected;", "    uint8_t mfactor_given;"]
        lines += [f"    bool collapsed[{max(1, len(self.collapsible))}];", "    parameters raw;"]
        lines += ["} __attribute__((aligned(16))) instance;"]
        lines += [f"static node_pair collapsible[{max(1, len(self.collapsible))}] = {{"]
        lines += [f"    {{ {a}u, {b}u }}," for a, b in self.collapsible] + ["};", ""]
        return lines


def _value(variable: str) -> str:
    """``mir_17`` of the equation system is ``v17`` of the function."""
    return "v" + variable.removeprefix("mir_")
