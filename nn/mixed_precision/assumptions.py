"""What the energy of mixed-precision training rests on beside the tables: each with its range and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nn.periphery import (
    ADC_8_BIT,
    ADD_FP16,
    ADD_FP32,
    ADD_INT8,
    MEMORY_1_MB,
    MEMORY_8_KB,
    MEMORY_32_KB,
    MEMORY_DRAM,
    MULTIPLY_FP16,
    MULTIPLY_FP32,
    MULTIPLY_INT8,
)

MAC_FP32 = MULTIPLY_FP32.joules + ADD_FP32.joules
WORD = 32
"""Bits of a word of memory, and of the digital design's numbers."""
_OF_THE_MAC = {
    WORD: (MULTIPLY_FP32.joules / MAC_FP32, ADD_FP32.joules / MAC_FP32),
    WORD // 2: (MULTIPLY_FP16.joules / MAC_FP32, ADD_FP16.joules / MAC_FP32),
}
"""A multiply and an add, as shares of the 32-bit multiply and add, by word length."""
_HOROWITZ = MULTIPLY_FP32.source.name
_COMPARISONS = 255
"""Clock periods of a pulse width of 8 bits."""


@dataclass(frozen=True)
class Assumption:
    """One figure that the tables do not give.

    Attributes:
        key: what the ledgers know it by.
        name: what it is.
        value: what the headline takes, in ``unit``.
        unit: SI, or what is counted.
        source: a citation, or ``assumed`` and why.
        low, high: the ends of the range that its sensitivity is worked out over.
        ends: what the ends stand for.
        moves: the keys that change with it; its own if there are none.
    """

    key: str
    name: str
    value: float
    unit: str
    source: str
    low: float
    high: float
    ends: str
    moves: tuple[str, ...] = ()

    def at(self, value: float) -> dict[str, float]:
        """What the ledgers are given in place of the headline's where it has this value."""
        return dict.fromkeys(self.moves or (self.key,), value)

    def to_json(self) -> dict[str, Any]:
        """The figure as JSON-like values."""
        return {key: value for key, value in vars(self).items() if key != "moves"}


def assumptions(
    *, weights: int, t_read: float, pulses_per_image: float, batch: float, active: float
) -> tuple[Assumption, ...]:
    """The assumptions, at a run's own read time, pulses, batch and inputs.

    Args:
        weights: how many there are, of which the memory's size follows.
        t_read: full width of a read pulse (s).
        pulses_per_image: SET pulses that training sent, per image.
        batch: images between two updates.
        active: share of the weights whose input is not zero, mean over images.
    """
    touched = 1 - (1 - active) ** batch
    return (*_memory(weights), *_arithmetic(touched), *_converters(), *_run(t_read, pulses_per_image, batch))


def values_of(chosen: Sequence[Assumption]) -> Mapping[str, float]:
    """The headline's values by key."""
    return {key: value for each in chosen for key, value in each.at(each.value).items()}


def multiply_and_add(values: Mapping[str, float], *, bits: float = WORD) -> tuple[float, float]:
    """Energies (J) of a multiply and of an add of 32 or 16 bits."""
    multiply, add = _OF_THE_MAC[int(bits)]
    return multiply * values["mac"], add * values["mac"]


def outer_product(values: Mapping[str, float]) -> tuple[float, float]:
    """Energies (J) of the multiply and of the add of one entry of chi's outer product."""
    multiply, add = multiply_and_add(values, bits=values["chi_bits"])
    return min(multiply, values["outer_multiply"] * values["mac"] / MAC_FP32), add


def memory_for(weights: int) -> tuple[str, float]:
    """The smallest memory of the cited ones that holds a word for each weight, and its energy (J) a word."""
    sizes = ((8192, "an SRAM of 8 KB", MEMORY_8_KB), (32768, "an SRAM of 32 KB", MEMORY_32_KB))
    for size, name, cited in (*sizes, (2**20, "an SRAM of 1 MB", MEMORY_1_MB)):
        if weights * WORD / 8 <= size:
            return name, cited.joules
    return "DRAM, lower end", MEMORY_DRAM.joules


def _memory(weights: int) -> tuple[Assumption, ...]:
    name, value = memory_for(weights)
    cited = f"{_HOROWITZ}: {name}, half of 64 bits; a word for each weight is {weights * WORD / 8e6:.2g} MB"
    own = "assumed: as in the other design"
    ends = "an SRAM of 8 KB, as if cut into small banks without wires; DRAM outside the chip"
    small, large = MEMORY_8_KB.joules, MEMORY_DRAM.joules
    both, words = ("chi_memory", "weight_memory"), "memory access of 32 bits"
    return (
        Assumption("memory", f"{words}, both designs", value, "J", cited, small, large, ends, both),
        Assumption("chi_memory", f"{words}, chi alone", value, "J", own, small, large, ends),
        Assumption("weight_memory", f"{words}, digital design alone", value, "J", own, small, large, ends),
    )


def _arithmetic(touched: float) -> tuple[Assumption, ...]:
    skipped = (
        "a step leaves out the rows whose inputs are zero in all its images (taken as independent); none "
        "left out"
    )
    return (
        Assumption(
            "mac",
            "multiply and add of 32 bits, both designs",
            MAC_FP32,
            "J",
            f"{_HOROWITZ}, floating point",
            1.69e-12,
            2 * MAC_FP32,
            "7 nm (figures recalled from the TPUv4i paper, not verified); twice the cited, for clock and "
            "control (assumed)",
        ),
        Assumption(
            "chi_bits", "word length of chi", 32, "bits", "assumed: as the digital design's",
            16, 32, "half precision, memory and arithmetic; as in the headline",
        ),
        Assumption(
            "outer_multiply",
            "multiply of chi's outer product",
            MULTIPLY_FP32.joules,
            "J",
            f"{_HOROWITZ}, floating point of 32 bits; never more than at chi's word length",
            MULTIPLY_INT8.joules,
            MULTIPLY_FP32.joules,
            "8 bits, as converters give inputs and errors; as in the headline",
        ),
        Assumption(
            "chi_touched", "entries of chi that a step touches", 1.0, "share", "assumed: none left out",
            touched, 1.0, skipped,
        ),
        Assumption(
            "weights_touched", "digital design's weights that a step touches", 1.0, "share",
            "assumed: none left out", touched, 1.0, skipped,
        ),
    )  # fmt: skip


def _converters() -> tuple[Assumption, ...]:
    dac = _COMPARISONS * ADD_INT8.joules
    return (
        Assumption(
            "adc", "conversion of a column, 8 bits", ADC_8_BIT.joules, "J", ADC_8_BIT.source.name,
            1.33e-12, 6.5e-12, "the same fit at 28 nm; at 65 nm",
        ),
        Assumption(
            "dac",
            "pulse-width driver of a row, 8 bits",
            dac,
            "J",
            "assumed: a comparison with a shared counter in each of 255 clock periods, at the energy of an "
            f"8-bit add ({_HOROWITZ})",
            dac / 10,
            2 * dac,
            "assumed: few bits toggle; twice, for the clock",
        ),
    )  # fmt: skip


def _run(t_read: float, pulses_per_image: float, batch: float) -> tuple[Assumption, ...]:
    decade = "assumed: a decade either way; a read's energy goes in proportion, word lines aside"
    return (
        Assumption(
            "t_read", "full width of a read pulse", t_read, "s", "the experiment's setting, assumed",
            t_read / 10, 10 * t_read, decade,
        ),
        Assumption(
            "set_pulses", "SET pulses", pulses_per_image, "per image", "counted in training",
            pulses_per_image / 10, 10 * pulses_per_image, "assumed: a decade either way",
        ),
        Assumption(
            "batch", "images between two updates", batch, "images", "the experiment's setting",
            1, max(100, batch),
            "the same in both designs: weights and chi move once a step; pulses as counted",
        ),
    )  # fmt: skip
