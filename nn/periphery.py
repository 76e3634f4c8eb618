"""Energies of what is not simulated: converters and digital arithmetic, each with its source, at 45 nm.

Absent, and said so in the record: the line drivers' own gates and logic (the charge they move is simulated),
wire beyond one cell's length, memory for moments and activations, the random numbers of the dither, square
root and division in Adam, and the gradient's own matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

from spicebridge.energy import EnergyLedger, Source


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

ADAM_MULTIPLICATIONS = 6
ADAM_ADDITIONS = 3

ABSENT = (
    "line drivers' own gates and logic",
    "wire beyond one cell's length",
    "memory of moments and activations",
    "random numbers of the dither",
    "square root and division in Adam",
    "matrix products of the gradient",
)


def book_columns(ledger: EnergyLedger, component: str, *, outputs: int, planes: int, images: int) -> None:
    """Book a layer's read-out: an ADC conversion per column and plane, shift-and-add, batch norm per
    output."""
    columns = outputs * images
    _book(ledger, component, "ADC conversion, 6 bit", ADC_6_BIT, columns * planes)
    if planes > 1:
        _book(ledger, component, "shift and add", ADD_INT32, columns * planes)
    _book(ledger, component, "batch norm multiply", MULTIPLY_INT32, columns)
    _book(ledger, component, "batch norm add", ADD_INT32, columns)


def book_updates(ledger: EnergyLedger, component: str, *, updates: int, reads: int) -> None:
    """Book the updates' digital part: Adam for each, and a conversion to sense each read."""
    _book(ledger, component, "sense a state, 4-bit ADC", ADC_4_BIT, reads)
    _book(ledger, component, "Adam multiply", MULTIPLY_FP32, ADAM_MULTIPLICATIONS * updates)
    _book(ledger, component, "Adam add", ADD_FP32, ADAM_ADDITIONS * updates)


def _book(ledger: EnergyLedger, component: str, action: str, cited: CitedEnergy, events: int) -> None:
    ledger.add(component, action, events=events, joules=events * cited.joules, source=cited.source)
