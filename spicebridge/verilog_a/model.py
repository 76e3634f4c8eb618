"""What a compiled Verilog-A model is, and the one error its compilation raises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spicebridge.errors import SpicebridgeError
from spicebridge.model_types import type_of_module

ParameterKind = Literal["real", "integer", "string"]


class VerilogAError(SpicebridgeError):
    """A Verilog-A source that cannot be compiled faithfully: what, file:line, reason, next step."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model, as its source declares it.

    ``default`` is the text of the default expression, since it may refer to other parameters;
    ``range`` is the text after the default (``from (0:inf) exclude 5``), empty when there is none.
    """

    name: str
    kind: ParameterKind
    default: str
    unit: str
    description: str
    range: str
    is_instance: bool


@dataclass(frozen=True)
class CompiledModel:
    """A Verilog-A module as a shared library that ngspice loads through OSDI.

    ``digest`` is the sha256 of the source with its resolved includes and is the same on every machine;
    ``library`` is an absolute path that changes with the content, the code generator and the compiler.
    """

    module: str
    digest: str
    library: Path
    terminals: tuple[str, ...]
    parameters: tuple[Parameter, ...]

    @property
    def build(self) -> str:
        """What the code depends on, as hex digits: source, code generator and compiler; not its place."""
        return self.library.parent.name.rpartition("-")[2]

    @property
    def type(self) -> str:
        """The model type that ``.model`` cards name it by: not its module's name where ngspice has that."""
        return type_of_module(self.module)
