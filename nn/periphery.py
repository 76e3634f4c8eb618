"""Energies of what is not simulated: converters, arithmetic and memories, each with its source, at 45 nm."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from spicebridge.energy import Source


@dataclass(frozen=True)
class CitedEnergy:
    """Energy of one action (J) and where it is from."""

    joules: float
    source: Source


_ADC = Source("Murmann ADC survey, optimistic envelope, fit of Accelergy's hwcomponents-adc, 45 nm")
_HOROWITZ = Source("Horowitz, ISSCC 2014, 45 nm, 0.9 V")

ADC_8_BIT = CitedEnergy(3.25e-12, _ADC)
ADC_6_BIT = CitedEnergy(2.0e-12, _ADC)
ADC_4_BIT = CitedEnergy(1.75e-12, _ADC)
ADD_INT32 = CitedEnergy(0.1e-12, _HOROWITZ)
ADD_INT16 = CitedEnergy(0.05e-12, _HOROWITZ)
MULTIPLY_INT32 = CitedEnergy(3.1e-12, _HOROWITZ)
ADD_FP32 = CitedEnergy(0.9e-12, _HOROWITZ)
MULTIPLY_FP32 = CitedEnergy(3.7e-12, _HOROWITZ)
ADD_FP16 = CitedEnergy(0.4e-12, _HOROWITZ)
MULTIPLY_FP16 = CitedEnergy(1.1e-12, _HOROWITZ)
ADD_INT8 = CitedEnergy(0.03e-12, _HOROWITZ)
MULTIPLY_INT8 = CitedEnergy(0.2e-12, _HOROWITZ)

# Of a word of 32 bits, half of the figure's 64: static memories by size, and the lower end of DRAM.
MEMORY_8_KB = CitedEnergy(5e-12, _HOROWITZ)
MEMORY_32_KB = CitedEnergy(10e-12, _HOROWITZ)
MEMORY_1_MB = CitedEnergy(50e-12, _HOROWITZ)
MEMORY_DRAM = CitedEnergy(650e-12, _HOROWITZ)


MULTIPLY = MappingProxyType(
    {"fp32": MULTIPLY_FP32, "fp16": MULTIPLY_FP16, "int32": MULTIPLY_INT32, "int8": MULTIPLY_INT8}
)
ADD = MappingProxyType(
    {"fp32": ADD_FP32, "fp16": ADD_FP16, "int32": ADD_INT32, "int16": ADD_INT16, "int8": ADD_INT8}
)
"""By number format."""

_COMPARISON = Source("assumed: comparison with a shared counter, add of 8 bits, Horowitz, ISSCC 2014, 45 nm")

WORD = 32
"""Bits of a word of the memories above."""

_ABOVE = Source(f"assumed: fourfold a bit above 8, as thermal noise has it, from {_ADC.name}")


def adc(bits: int) -> CitedEnergy:
    """A conversion: the cited one of the next number of bits that there is; assumed above 8."""
    for known, cited in ((4, ADC_4_BIT), (6, ADC_6_BIT), (8, ADC_8_BIT)):
        if bits <= known:
            return cited
    return CitedEnergy(ADC_8_BIT.joules * 4 ** (bits - 8), _ABOVE)


def pulse_width_driver(bits: int) -> CitedEnergy:
    """Setting one input: a comparison of so many bits in each clock period of the longest pulse."""
    return CitedEnergy((2**bits - 1) * ADD_INT8.joules * bits / 8, _COMPARISON)


def memory_for(bits: float) -> tuple[str, CitedEnergy]:
    """The smallest of the cited static memories that holds so many bits, and its energy of 32 of them.

    What one of 1 MB does not hold lies in several: an access is at one bank's energy, without the wires.
    """
    for size, name, cited in (
        (2**13, "an SRAM of 8 KB", MEMORY_8_KB),
        (2**15, "an SRAM of 32 KB", MEMORY_32_KB),
        (2**20, "an SRAM of 1 MB", MEMORY_1_MB),
    ):
        if bits <= 8 * size:
            return name, cited
    return f"{-(-bits // 2**23):.0f} SRAMs of 1 MB", MEMORY_1_MB
