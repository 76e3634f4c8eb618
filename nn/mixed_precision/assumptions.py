"""What the energy of mixed-precision training rests on beside the tables: each with its range and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nn.accounting import Prices
from nn.periphery import (
    ADC_8_BIT,
    ADD,
    ADD_FP32,
    MEMORY_8_KB,
    MEMORY_DRAM,
    MULTIPLY,
    MULTIPLY_FP32,
    MULTIPLY_INT8,
    WORD,
    CitedEnergy,
    adc,
    memory_for,
    pulse_width_driver,
)

MAC_FP32 = MULTIPLY_FP32.joules + ADD_FP32.joules
_HOROWITZ = MULTIPLY_FP32.source.name


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
    *,
    weights: int,
    t_read: float,
    pulses_per_image: float,
    batch: float,
    active: float,
    touched: float | None,
    conversion: str,
    adc_bits: int = 8,
    dac_bits: int = 8,
) -> tuple[Assumption, ...]:
    """The assumptions, at a run's own read time, pulses, batch and inputs.

    Args:
        weights: how many there are, of which the memory's size follows.
        t_read: full width of a read pulse (s).
        pulses_per_image: SET pulses that training sent, per image.
        batch: images between two updates.
        active: share of the weights whose input is not zero, mean over images.
        touched: share of the weights whose input is not zero in one image of a step or more, mean over the
            steps, as counted; None where it was not, and none are left out.
        conversion: what one sums, in words.
        adc_bits, dac_bits: of a conversion and of an input's pulse width.
    """
    return (
        *_memory(weights),
        *_arithmetic(active, touched),
        *_converters(conversion, adc_bits, dac_bits),
        *_run(t_read, pulses_per_image, batch),
    )


def values_of(chosen: Sequence[Assumption]) -> Mapping[str, float]:
    """The headline's values by key."""
    return {key: value for each in chosen for key, value in each.at(each.value).items()}


def prices_of(values: Mapping[str, float]) -> Prices:
    """The prices at the assumptions' values: a multiply and an add in floating point go with ``mac``."""
    scale = values["mac"] / MAC_FP32
    floating = ("fp32", "fp16")

    def scaled(cited: Mapping[str, CitedEnergy]) -> dict[str, CitedEnergy]:
        return {
            form: CitedEnergy(each.joules * scale, each.source) if form in floating else each
            for form, each in cited.items()
        }

    multiply = scaled(MULTIPLY)
    outer = min(multiply[word_form(values["chi_bits"])].joules, values["outer_multiply"] * scale)
    return Prices(
        multiply=multiply | {OUTER: CitedEnergy(outer, MULTIPLY_FP32.source)},
        add=scaled(ADD),
        driver=CitedEnergy(values["dac"], pulse_width_driver(8).source),
        adc=CitedEnergy(values["adc"], ADC_8_BIT.source),
    )


OUTER = "product's word"
"""The number format of chi's outer product, whose energy is an assumption of its own."""


def word_form(bits: float) -> str:
    """The floating-point format of so many bits."""
    return {WORD: "fp32", WORD // 2: "fp16"}[int(bits)]


def _memory(weights: int) -> tuple[Assumption, ...]:
    name, memory = memory_for(WORD * weights)
    value = memory.joules
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


def _arithmetic(active: float, touched: float | None) -> tuple[Assumption, ...]:
    counted = touched is not None
    a_step, an_image = (touched, active) if touched is not None else (1.0, 1.0)
    source = "counted in training" if counted else "none left out: the run did not count rows"
    of_a_step = "a step's images all alike; none left out"
    of_an_image = "the rows of an image's inputs above zero; none left out"
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
        *(
            Assumption(key, f"{whose} that {what} touches", value, "share", source, active, 1.0, ends)
            for whose, memory, products in (
                ("entries of chi", "chi_touched", "chi_products"),
                ("digital design's weights", "weights_touched", "weights_products"),
            )
            for key, what, value, ends in (
                (memory, "a step", a_step, of_a_step),
                (products, "an image", an_image, of_an_image),
            )
        ),
    )  # fmt: skip


def _converters(conversion: str, adc_bits: int, dac_bits: int) -> tuple[Assumption, ...]:
    cited, dac = adc(adc_bits), pulse_width_driver(dac_bits).joules
    scale = cited.joules / ADC_8_BIT.joules
    return (
        Assumption(
            "adc", f"conversion of {conversion}, {adc_bits} bits", cited.joules, "J", cited.source.name,
            1.33e-12 * scale, 6.5e-12 * scale, "the same fit at 28 nm; at 65 nm",
        ),
        Assumption(
            "dac",
            f"pulse-width driver of a row, {dac_bits} bits",
            dac,
            "J",
            f"assumed: a comparison with a shared counter in each of {2**dac_bits - 1} clock periods, at the "
            f"energy of an add of as many bits, in proportion to one of 8 ({_HOROWITZ})",
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
