"""Set-up in the generated C: parameter access, defaults and ranges, node collapse, what is computed once."""

from __future__ import annotations

from typing import Any

from spicebridge.verilog_a.emit_c import INTEGER, Function, string_literal
from spicebridge.verilog_a.layout import Layout
from spicebridge.verilog_a.model import VerilogAError


def resolve(layout: Layout) -> list[str]:
    """Defaults and ranges, from the parameter copy's set-up function."""
    inputs: dict[str, tuple[str, str]] = {}
    raw: dict[str, int] = {}
    for kind, name, value in layout.copy["init_params"]:
        if kind == "param":
            slot = layout.parameter(name)
            inputs[f"v{value}"] = (slot.c_type, f"in->p{slot.index}")
            raw[f"v{value}"] = slot.index
        elif kind == "param_given":
            inputs[f"v{value}"] = (INTEGER, f"in->given[{layout.parameter(name).index}]")

    def out_of_range(instruction: dict[str, Any], operands: list[str]) -> tuple[str, str]:
        index = int(instruction["func_ref"][4:])
        if operands or index >= len(layout.slots) or not layout.slots[index].range:
            raise VerilogAError(
                f"{layout.module['name']}: a parameter's range cannot be read. Simplify the ranges."
            )
        return "", f"bad[{index}] = 1;"

    function = Function(layout.module["name"], layout.copy["init"], inputs, out_of_range)
    resolved: dict[int, str] = {}
    for instruction in layout.copy["init"]["instructions"]:
        if instruction["opcode"] == "phi":
            for part in instruction["phi_operands"]:
                if part["value"] in raw and raw[part["value"]] not in resolved:
                    resolved[raw[part["value"]]] = instruction["result"]
    lines = ["static void resolve(const parameters *in, parameters *out, uint8_t *bad) {"]
    lines += [
        "    uint32_t sb_flags = 0;",
        *function.body(),
        "sb_end:;",
        "    (void)sb_flags; (void)in; (void)bad;",
    ]
    for slot in layout.slots:
        if slot.index not in resolved:
            raise VerilogAError(
                f"{layout.module['name']}: the default of parameter {slot.name} cannot be read."
            )
        lines.append(f"    out->p{slot.index} = {function.reference(resolved[slot.index])};")
    lines += ["    memcpy(out->given, in->given, sizeof out->given);", "}", ""]
    return lines


def access(layout: Layout) -> list[str]:
    """The function through which the simulator reads and writes parameters."""
    lines = ["static void *access(void *inst, void *mod, uint32_t id, uint32_t flags) {"]
    lines += ["    instance *s = inst; model *m = mod;", "    if (id == 0) {", "        if (!s) return NULL;"]
    lines += ["        if (flags & ACCESS_SET) s->mfactor_given = 1;", "        return &s->mfactor;", "    }"]
    lines += ["    parameters *p = (flags & ACCESS_INSTANCE) ? (s ? &s->raw : NULL) : (m ? &m->raw : NULL);"]
    lines += ["    if (!p) return NULL;", "    switch (id) {"]
    for number, slot in enumerate(layout.ordered(), start=1):
        lines.append(
            f"    case {number}: if (flags & ACCESS_SET) p->given[{slot.index}] = 1; return "
            f"&p->p{slot.index};"
        )
    return [*lines, "    default: return NULL;", "    }", "}", ""]


def _report(layout: Layout, instance: bool) -> list[str]:
    """Statements that report each parameter whose value is outside its range."""
    lines = []
    for number, slot in enumerate(layout.ordered(), start=1):
        if slot.is_instance != instance or not slot.range:
            continue
        text = string_literal(
            f"error: parameter {slot.name} = %.17g of {layout.module['name']} is out of range"
        )
        value = f"(double)out->p{slot.index}"
        lines += [
            f"    if (bad[{slot.index}]) {{",
            f'        char text[512]; snprintf(text, sizeof text, {text} ": %s\\n", {value}, '
            f"{string_literal(slot.range)});",
            f"        sb_log(handle, text); sb_error(res, {number});",
            "    }",
        ]
    return lines


def setup(layout: Layout) -> list[str]:
    """The set-up functions of a model and of an instance."""
    count = max(1, len(layout.slots))
    lines = [
        "static void sb_error(init_info *res, uint32_t id) {",
        f"    if (!res->errors) res->errors = calloc({count + 1}, sizeof *res->errors);",
        "    if (!res->errors) { res->flags |= RET_FATAL; return; }",
        "    res->errors[res->num_errors++] = (init_error){ 1, id };",
        "}",
        "static void setup_model(void *handle, void *mod, sim_parameters *given, init_info *res) {",
        "    model *m = mod; parameters values, *out = &values;",
        f"    uint8_t bad[{count}] = {{0}};",
        "    *res = (init_info){ 0, 0, NULL }; (void)handle; (void)given;",
        "    resolve(&m->raw, out, bad);",
        *_report(layout, instance=False),
    ]
    lines += [
        f"    if (!m->raw.given[{slot.index}]) m->raw.p{slot.index} = out->p{slot.index};"
        for slot in layout.ordered()
        if not slot.is_instance
    ]
    lines += [
        "}",
        "static void setup_instance(void *handle, void *inst, void *mod, double temperature, uint32_t "
        "connected,",
        "                           sim_parameters *given, init_info *res) {",
        "    instance *s = inst; model *m = mod; parameters merged = m->raw, *out = &s->val;",
        f"    uint8_t bad[{count}] = {{0}}; uint32_t sb_flags = 0;",
        "    *res = (init_info){ 0, 0, NULL }; (void)given;",
        "    s->temperature = temperature; s->connected = connected;",
        "    if (!s->mfactor_given) s->mfactor = 1.0;",
        "    memset(s->collapsed, 0, sizeof s->collapsed);",
    ]
    for slot in layout.ordered():
        if slot.is_instance:
            i = slot.index
            lines.append(f"    merged.p{i} = s->raw.p{i}; merged.given[{i}] = s->raw.given[{i}];")
    lines += ["    resolve(&merged, out, bad);", *_report(layout, instance=True)]
    for slot in layout.ordered():
        if slot.is_instance:
            lines.append(f"    if (!s->raw.given[{slot.index}]) s->raw.p{slot.index} = out->p{slot.index};")
    lines += ["    if (res->num_errors) return;", *layout.init.body(), "sb_end:;"]
    for slot_number, _, value in layout.cache.values():
        lines.append(f"    s->c{slot_number} = {layout.init.reference(value)};")
    lines += _collapse_check(layout)
    lines += [*division_check(layout), "    res->flags |= sb_flags & 0x7fffffffu;", "}", ""]
    return lines


def division_check(layout: Layout) -> list[str]:
    """The message of an integer division by zero."""
    text = string_literal(f"fatal: integer division by zero in {layout.module['name']}\n")
    return [f"    if (sb_flags & 0x80000000u) sb_log(handle, {text});"]


def _collapse_check(layout: Layout) -> list[str]:
    if not layout.collapsible:
        return []
    nodes, pairs = len(layout.nodes), len(layout.collapsible)
    text = string_literal(
        f"fatal: {layout.module['name']} short-circuits two of its terminals (V <+ 0), which ngspice "
        "cannot do; "
        "give the branch a small resistance\n"
    )
    return [
        f"    uint32_t group[{nodes + 1}];",
        f"    if (sb_joins_terminals(group, {nodes}, connected, collapsible, s->collapsed, {pairs})) {{",
        f"        sb_log(handle, {text}); sb_flags |= RET_FATAL;",
        "    }",
    ]
