"""Verilog-A compact models compiled into OSDI shared libraries, without a Verilog-A compiler binary.

The front end is openvaf-py (the OpenVAF parser, optimiser and automatic differentiation); this package
turns its intermediate representation into one C file per model and compiles that with ``cc``.

The compiler is imported when ``compile_model`` is asked for: those who only run compiled models start sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spicebridge.verilog_a.model import CompiledModel, Parameter, VerilogAError

if TYPE_CHECKING:
    from spicebridge.verilog_a.build import compile_model

__all__ = ["CompiledModel", "Parameter", "VerilogAError", "compile_model"]


def __getattr__(name: str) -> Any:
    if name == "compile_model":
        from spicebridge.verilog_a.build import compile_model

        return compile_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
