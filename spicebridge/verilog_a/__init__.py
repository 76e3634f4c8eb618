"""Verilog-A compact models compiled into OSDI shared libraries, without a Verilog-A compiler binary.

The front end is openvaf-py (the OpenVAF parser, optimiser and automatic differentiation); this package
turns its intermediate representation into one C file per model and compiles that with ``cc``.
"""

from spicebridge.verilog_a.build import compile_model
from spicebridge.verilog_a.model import CompiledModel, Parameter, VerilogAError

__all__ = ["CompiledModel", "Parameter", "VerilogAError", "compile_model"]
