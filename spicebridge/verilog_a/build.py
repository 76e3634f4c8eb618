"""Compiling a Verilog-A file into a cached OSDI library: checks, front end, C, ``cc``, metadata."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from spicebridge.errors import SpicebridgeError
from spicebridge.files import replacing, write_text
from spicebridge.limits import COMPILE_MEMORY, COMPILE_OUTPUT, Limit
from spicebridge.model_types import type_of_module
from spicebridge.verilog_a.checks import limiter_names, refuse_unfaithful, refuse_untold
from spicebridge.verilog_a.compile_process import compiled
from spicebridge.verilog_a.frontend import Module, front_end
from spicebridge.verilog_a.layout import Slot
from spicebridge.verilog_a.memory import refuse_memory
from spicebridge.verilog_a.model import CompiledModel, Parameter, ParameterKind, VerilogAError
from spicebridge.verilog_a.osdi_c import generate
from spicebridge.verilog_a.parameters import (
    Declared,
    declared_parameters,
    parameter_copy,
    spelled,
    without_attributes,
)
from spicebridge.verilog_a.rewrite import repaired
from spicebridge.verilog_a.source import Source, Token, flat_text, read_source

# Part of every library's path: raise it with each change of the generated code, so that no stale library
# is used.
GENERATOR = 4
FLAGS = ("-O2", "-std=gnu11", "-fPIC", "-shared", "-fno-math-errno", "-fwrapv", "-ffp-contract=off")
# Otherwise the dynamic linker may take ngspice's own osdi_log for the library's pointer of that name.
LINKER_FLAGS = ("-Wl,-Bsymbolic",) if sys.platform.startswith("linux") else ()
KINDS: tuple[ParameterKind, ...] = ("real", "integer", "string")
LIBRARY, RECORD = "model.osdi", "model.json"  # a model's two files in its folder of the cache


def compile_model(source: Path, *, cache: Path, compiler: str = "builtin") -> CompiledModel:
    """The compiled model of a Verilog-A file, taken from ``cache`` when its content was compiled before.

    ``compiler`` is ``"builtin"`` (openvaf-py and ``cc``) or ``"openvaf"`` (an OpenVAF binary on the PATH).
    Several processes may compile into one cache at once.

    Raises:
        VerilogAError: the source is not accepted, or a compiler is missing or fails.
    """
    if compiler not in ("builtin", "openvaf"):
        raise VerilogAError(f'unknown Verilog-A compiler "{compiler}". Use "builtin" or "openvaf".')
    read = read_source(source)
    # No name of the user's: ngspice is given this one in a command.
    library = cache.resolve() / _key(read.digest, compiler) / LIBRARY
    try:
        return cached_model(library)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a cache entry is never a reason to fail
    made = compiled(source.resolve(), read.digest, library=library, compiler=compiler)
    module, terminals = made["module"], tuple(made["terminals"])
    parameters = tuple(Parameter(**parameter) for parameter in made["parameters"])
    model = CompiledModel(module, read.digest, library, terminals, parameters)
    written = asdict(model) | {"library": _sha256(library)}
    write_text(library.with_name(RECORD), json.dumps(written, indent=1) + "\n")
    return model


def _key(digest: str, compiler: str) -> str:
    """What the library depends on, as 16 hex digits."""
    parts = (digest, compiler, str(GENERATOR), sys.platform, *FLAGS, *LINKER_FLAGS)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def cached_model(library: Path) -> CompiledModel:
    """The model of a library in a cache, by the record beside it.

    Raises:
        OSError, ValueError, KeyError, TypeError: a file of the two is missing, or is not what was written.
    """
    data = json.loads(library.with_name(RECORD).read_text(encoding="utf-8"))
    if data.get("library") not in (None, _sha256(library)):  # earlier versions wrote none
        raise ValueError(f"{library} is not whole")
    return CompiledModel(
        module=data["module"],
        digest=data["digest"],
        library=library,
        terminals=tuple(data["terminals"]),
        parameters=tuple(Parameter(**parameter) for parameter in data["parameters"]),
    )


def _sha256(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


Built = tuple[str, tuple[str, ...], tuple[Parameter, ...]]


def build_library(source: Path, digest: str, library: Path, compiler: str) -> Built:
    """The name, terminals and parameters of a source's module, compiled into ``library``, with no limits.

    Raises:
        VerilogAError: as ``compile_model``, or the source is no longer what had ``digest``.
        SpicebridgeError: the library cannot be written.
    """
    read = read_source(source)
    if read.digest != digest:
        raise VerilogAError(f"{source.name} changed while it was compiled. Repeat the command.")
    build = _build_builtin if compiler == "builtin" else _build_openvaf
    try:
        return build(read, library)
    except (OSError, SpicebridgeError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno != errno.EFBIG:
            raise
        raise VerilogAError(
            f"{source.name}: compiling it writes a file of more than {COMPILE_OUTPUT.said}. Simplify the "
            f"model. {COMPILE_OUTPUT.remedy}"
        ) from error
    except MemoryError as error:
        raise VerilogAError(
            f"{source.name}: compiling it needs more memory than {COMPILE_MEMORY.said}. Simplify the model. "
            f"{COMPILE_MEMORY.remedy}"
        ) from error


def _analyse(read: Source) -> tuple[Module, Module, list[Slot], tuple[Parameter, ...], list[str]]:
    name = read.path.name
    try:
        refuse_unfaithful(read)
        refuse_memory(read)
        declared = declared_parameters(read)
        limiters = limiter_names(read)
        texts = [flat_text(repaired(without_attributes(read))), parameter_copy(read, declared)]
    except RecursionError as error:
        raise VerilogAError(
            f"{name}: statements or operators are nested too deeply (hundreds of levels: if, else if, begin, "
            "~). Write long choices as case, or as a sum of terms."
        ) from error
    modules, copies = front_end(name, texts)
    if len(modules) != 1 or len(copies) != 1:
        raise VerilogAError(
            f"{name}: the front end found {len(modules)} modules, not one. A file is one model."
        )
    module = modules[0]
    described = {entry["name"]: entry for entry in module["descriptor"]["params"]}
    slots = [_slot(i, parameter, described) for i, parameter in enumerate(declared)]
    public = tuple(
        Parameter(
            name=slot.name,
            kind="integer" if slot.kind == "integer" else "real",
            default=spelled(parameter.default),
            unit=slot.unit,
            description=slot.description,
            range=slot.range,
            is_instance=slot.is_instance,
        )
        for slot, parameter in zip(slots, declared, strict=True)
        if not slot.local
    )
    return module, copies[0], slots, public, limiters


def _slot(index: int, parameter: Declared, described: dict[str, dict[str, Any]]) -> Slot:
    name = parameter.name.text
    entry = described.get(name, {})
    kind = parameter.type or ("integer" if int(entry.get("flags", 0)) & 3 == 1 else "real")
    return Slot(
        index=index,
        name=name,
        kind=kind,
        range=spelled(parameter.range),
        is_instance=parameter.is_instance,
        local=parameter.local,
        aliases=tuple(entry.get("aliases", ())),
        unit=parameter.attributes.get("units", ""),
        description=parameter.attributes.get("desc", ""),
    )


def _build_builtin(read: Source, library: Path) -> Built:
    module, copy, slots, public, limiters = _analyse(read)
    code = generate(module, copy, slots, limiters)
    write_text(library.with_name("model.c"), code)
    _run_cc(read.path.name, library.with_name("model.c"), library)
    return module["name"], tuple(module["dae"]["terminals"]), public


def _run_cc(name: str, code: Path, library: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise VerilogAError(
            f"cannot compile {name}: there is no C compiler cc on the PATH. Install one (Debian: apt "
            "install gcc; "
            "macOS: xcode-select --install)."
        )
    with replacing(library) as temporary:
        command = [compiler, *FLAGS, *LINKER_FLAGS, "-o", str(temporary), str(code), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            if limit := _limit_passed(done.stderr):
                raise VerilogAError(
                    f"{name}: the C compiler needs more than {limit.said}. Simplify the model. {limit.remedy}"
                )
            lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
            raise VerilogAError(
                f"cc could not compile the code generated for {name}: {lines[0] if lines else 'no message'}\n"
                f"  Code kept: {code}. This is a defect of spicebridge; please report the model."
            )


def _with_types(tokens: tuple[Token, ...]) -> list[Token]:
    """The tokens with each module under the name by which ngspice is to know it."""
    named = [
        replace(token, text=type_of_module(token.text)) if before.text in ("module", "macromodule") else token
        for before, token in pairwise(tokens)
    ]
    return [*tokens[:1], *named]


def _limit_passed(complaints: str) -> Limit | None:
    """The limit that a C compiler complains of, in the words of gcc, clang and the linker."""
    words = complaints.lower()
    if any(each in words for each in ("file size limit", "file too large", "xfsz")):
        return COMPILE_OUTPUT
    if any(each in words for each in ("out of memory", "memory exhausted", "cannot allocate", "bad_alloc")):
        return COMPILE_MEMORY
    return None


def _build_openvaf(read: Source, library: Path) -> Built:
    binary = shutil.which("openvaf-r") or shutil.which("openvaf")
    if binary is None:
        raise VerilogAError(
            "there is no openvaf-r or openvaf on the PATH. Install OpenVAF, or leave out "
            'compiler="openvaf" to use '
            "the built-in compiler."
        )
    refuse_untold(read)
    text, _ = flat_text(_with_types(read.tokens))
    with tempfile.TemporaryDirectory(prefix="verilog_a_") as folder, replacing(library) as temporary:
        flat = Path(folder) / read.path.name
        flat.write_text(text, encoding="utf-8")
        command = [binary, str(flat), "-o", str(temporary)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise VerilogAError(f"{Path(binary).name} rejected {read.path.name}:\n{done.stderr.strip()}")
    modules = front_end(read.path.name, [read.text()])[0]
    if len(modules) != 1:  # which of them is in use could not be kept apart from another of its name
        raise VerilogAError(f"{read.path.name} has {len(modules)} modules, not one. A file is one model.")
    module = modules[0]
    declared = {parameter.name.text: parameter for parameter in declared_parameters(read)}
    public = []
    for entry in module["descriptor"]["params"]:
        parameter = declared.get(entry["name"])
        public.append(
            Parameter(
                name=entry["name"],
                kind=KINDS[int(entry["flags"]) & 3],
                default=spelled(parameter.default) if parameter else "",
                unit=entry["units"],
                description=entry["description"],
                range=spelled(parameter.range) if parameter else "",
                is_instance=bool(entry["is_instance"]),
            )
        )
    return module["name"], tuple(module["dae"]["terminals"]), tuple(public)
