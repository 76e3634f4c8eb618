"""What inference and training cost, priced from counts by one rule for every system.

A system says what a run did (``Work``): its arrays' shapes, images and steps, what its tables priced already,
and what its digital side computed, kept and sensed. ``price`` books all of it. Components are named ``PHASE
PART``; a boundary is a set of them:

- *array*: pulses, RESETs, word lines and reads, at the tables' energies;
- *weight update*: the array's part of it, the gradient's products, what the rule keeps for a weight (moments,
  chi) with its memory, the sense before a pulse;
- *all-in*: of inference, the array, its converters and neurons; of training, the whole step: weight update,
  forward, backward through transposed reads, converters, batch norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from types import MappingProxyType
from typing import Any

from nn import periphery
from nn.periphery import CitedEnergy
from spicebridge.energy import EnergyLedger, Source, tops_per_watt

NOT_IN_RECORD = "not in the record"
TILE, ADC_BITS = 128, 6
"""Rows a conversion sums, and its bits, where a record's settings do not say; assumed, in common use."""

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
ARRAY_PARTS = ("array", "reset", "word lines", "refresh reads")
BOUNDARIES = MappingProxyType(
    {
        "array": "pulses, RESETs, word lines and reads, at the tables' energies",
        "weight_update": (
            "the array's part, the gradient's products, what the rule keeps for each weight with its memory, "
            "and the sense before a pulse"
        ),
        "all_in": (
            "of inference: array, converters, neurons; of a training step: weight update, forward, backward "
            "through transposed reads, converters, batch norm"
        ),
    }
)
ABSENT = (
    "line drivers' own gates and logic",
    "wire beyond one cell's length",
    "memory of inputs, activations and errors",
    "random numbers of the dither",
    "square root and division in Adam",
    "the loss and its gradient",
    "control and clock",
)
"""What the accounting leaves out, of every system."""


@dataclass(frozen=True)
class Prices:
    """Energies (J) of what is not simulated, each with its source.

    Attributes:
        multiply, add: by number format, ``fp32``, ``fp16``, ``int8`` and so on.
        driver, adc: setting one input by its pulse's width, and a conversion; None for the cited ones of
            their bits.
    """

    multiply: Mapping[str, CitedEnergy] = field(default_factory=lambda: periphery.MULTIPLY)
    add: Mapping[str, CitedEnergy] = field(default_factory=lambda: periphery.ADD)
    driver: CitedEnergy | None = None
    adc: CitedEnergy | None = None

    def conversion(self, bits: int) -> CitedEnergy:
        """A conversion of so many bits."""
        return self.adc or periphery.adc(bits)

    def pulse_width(self, bits: int) -> CitedEnergy:
        """One input's pulse width of so many bits."""
        return self.driver or periphery.pulse_width_driver(bits)


CITED = Prices()


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer's array: inputs and outputs, and how many planes of bits its inputs are read in."""

    rows: int
    columns: int
    planes: int = 1


@dataclass(frozen=True, kw_only=True)
class Converters:
    """How an array's sums become numbers.

    Attributes:
        bits: of a conversion.
        tile: rows that one conversion sums; None where it sums a whole column.
        error_planes: planes that errors go back in.
        driver_bits: of inputs that are pulse widths, with a driver each; None where they are levels.
    """

    bits: int
    tile: int | None
    error_planes: int = 1
    driver_bits: int | None = None

    def tiles(self, rows: int) -> int:
        """Conversions that a column of so many rows takes."""
        return 1 if self.tile is None else ceil(rows / self.tile)


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """Digital operations: ``multiply`` or ``add`` in a number format."""

    component: str
    action: str
    operation: str
    form: str
    events: float


@dataclass(frozen=True, kw_only=True)
class Access:
    """Words read or written in a memory; ``memory`` is the energy of one of 32 bits."""

    component: str
    action: str
    events: float
    bits: int
    memory: CitedEnergy


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a table has priced already; ``joules`` is for all its events."""

    component: str
    action: str
    events: float
    joules: float
    source: Source


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run did, in counts.

    Attributes:
        images: that went forward.
        layers: the arrays, first to last; none in a digital design.
        converters: what reads them; None in a digital design.
        backward: whether errors went back, through the transposed arrays above the first.
        products: entries of the gradient's outer products that were formed: an image's nonzero inputs, each
            by all outputs.
        multiplied: those of them that take a multiply; an input of -1 or 1 takes an add alone.
        product_form, sum_form: number formats of their multiplies and adds.
        conversions: those beside the passes': component, number and bits of each kind.
        arithmetic, accesses, simulated: the rest.
    """

    images: int
    layers: tuple[Layer, ...] = ()
    converters: Converters | None = None
    backward: bool = False
    products: float = 0
    multiplied: float = 0
    product_form: str = "fp32"
    sum_form: str = "fp32"
    conversions: tuple[tuple[str, float, int], ...] = ()
    arithmetic: tuple[Arithmetic, ...] = ()
    accesses: tuple[Access, ...] = ()
    simulated: tuple[Simulated, ...] = ()


def price(work: Work, prices: Prices = CITED) -> EnergyLedger:
    """The energy of what was done, every line with its source."""
    ledger = EnergyLedger()
    for each in work.simulated:
        ledger.add(
            each.component, each.action, events=whole(each.events, each.joules), joules=each.joules,
            source=each.source,
        )  # fmt: skip
    if work.converters is not None:
        _book_conversions(ledger, work, work.converters, prices)
    name, multiply, add = "update products", prices.multiply[work.product_form], prices.add[work.sum_form]
    book(ledger, name, f"outer product, multiply, {work.product_form}", work.multiplied, multiply)
    book(ledger, name, f"outer product, add, {work.sum_form}", work.products, add)
    for component, events, bits in work.conversions:
        book(ledger, component, f"ADC conversion, {bits} bit", events, prices.conversion(bits))
    for line in work.arithmetic:
        cited = {"multiply": prices.multiply, "add": prices.add}[line.operation][line.form]
        book(ledger, line.component, f"{line.action}, {line.form}", line.events, cited)
    for access in work.accesses:
        joules = access.memory.joules * access.bits / periphery.WORD
        book(
            ledger, access.component, access.action, access.events, CitedEnergy(joules, access.memory.source)
        )
    return ledger


def _book_conversions(ledger: EnergyLedger, work: Work, converters: Converters, prices: Prices) -> None:
    """Book both passes' conversions and the adds of a column's parts; backward reads rows, drives columns."""
    passes = [(FORWARD, [(each.rows, each.columns, each.planes) for each in work.layers])]
    if work.backward:
        planes = converters.error_planes
        passes.append((BACKWARD, [(each.columns, each.rows, planes) for each in work.layers[1:]]))
    cited = prices.conversion(converters.bits)
    for phase, shapes in passes:
        name = f"{phase} periphery"
        parts = sum(columns * converters.tiles(rows) * planes for rows, columns, planes in shapes)
        first = sum(columns for _, columns, _ in shapes)
        book(ledger, name, f"ADC conversion, {converters.bits} bit", parts * work.images, cited)
        added = (parts - first) * work.images
        book(ledger, name, "add a plane's or a tile's part", added, prices.add["int32"])
        if converters.driver_bits is not None:
            bits, driven = converters.driver_bits, sum(rows for rows, _, _ in shapes) * work.images
            book(ledger, name, f"pulse-width driver, {bits} bit", driven, prices.pulse_width(bits))


def book(ledger: EnergyLedger, component: str, action: str, events: float, cited: CitedEnergy) -> None:
    """Book events at a cited energy each; nothing where there are none. Their number may be a mean."""
    if events > 0:
        joules = events * cited.joules
        ledger.add(component, action, events=whole(events, joules), joules=joules, source=cited.source)


def whole(events: float, joules: float) -> int:
    """A number of events as a ledger holds it: at least one where there is energy."""
    return max(round(events), 1) if joules else round(events)


def joules_of(ledger: EnergyLedger, phase: str, parts: Iterable[str] | None = None) -> float:
    """The energy (J) of a phase's parts, of all of them where none are named."""
    wanted = None if parts is None else {f"{phase} {part}" for part in parts}
    return sum(
        entry.joules
        for entry in ledger.entries
        if (entry.component.split()[0] == phase if wanted is None else entry.component in wanted)
    )


def figure(joules: float | None, *, images: float, operations: float, why: str = "") -> dict[str, Any]:
    """A boundary's figure: J an image beside TOPS/W; None, and why, where it is not known."""
    if joules is None:
        return {"energy_per_image": None, "tops_per_watt": None, "why": why or NOT_IN_RECORD}
    return {
        "energy_per_image": joules / images,
        "tops_per_watt": tops_per_watt(operations=operations, joules=joules) if joules > 0 else None,
    }


def unknown(why: str) -> dict[str, Any]:
    """A figure that there is none of."""
    return figure(None, images=1, operations=1, why=why)
