"""What training on differential PCM pairs did, in the counts that ``nn.accounting`` prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nn.accounting import BACKWARD, FORWARD, Access, Arithmetic, Converters, Layer, Simulated, Work
from nn.mixed_precision.assumptions import OUTER, word_form
from nn.mixed_precision.baseline import Shapes, activations, neurons
from nn.periphery import MEMORY_8_KB, CitedEnergy
from spicebridge.energy import Source

Counts = Mapping[str, Any]
Values = Mapping[str, float]


def rows_counted(counts: Counts) -> bool:
    """Whether the run counted its inputs above zero and the rows that its steps touched."""
    return bool(counts.get("touched_rows")) and bool(counts.get("nonzero_inputs"))


def training_work(
    counts: Counts,
    device: Mapping[str, Any],
    layers: Shapes,
    values: Values,
    *,
    sources: Sequence[Source],
) -> Work:
    """What training on the pairs did, at the assumptions' values; components as ``OURS`` names them."""
    images = int(counts["images"])
    weights = sum(rows * columns for rows, columns in layers)
    outputs = sum(columns for _, columns in layers) * images
    hidden = sum(rows for rows, _ in layers[1:]) * images
    entries, steps = (
        weights * values["chi_products"],
        weights * values["chi_touched"] * images / values["batch"],
    )
    form = word_form(values["chi_bits"])
    adc_bits, dac_bits = converter_bits(device)
    chi, looks = "update chi arithmetic", counts["refresh_reads"]["events"]
    return Work(
        images=images,
        layers=tuple(Layer(rows=rows, columns=columns) for rows, columns in layers),
        converters=Converters(bits=adc_bits, tile=device.get("tile"), driver_bits=dac_bits),
        backward=True,
        products=entries * images,
        multiplied=entries * images,
        product_form=OUTER,
        sum_form=form,
        arithmetic=(
            *neurons(layers, images=images),
            *(
                Arithmetic(component=component, action=action, operation=operation, form=each, events=events)
                for component, action, operation, each, events in (
                    ("forward logic", "scale an output", "multiply", "fp32", outputs),
                    ("backward logic", "scale an output", "multiply", "fp32", hidden),
                    (chi, "compare with epsilon", "add", form, steps),
                    (chi, "subtract a pulse's epsilon", "add", form, values["set_pulses"] * images),
                )
            ),
        ),
        accesses=(
            activations(layers, images=images),
            Access(
                component="update chi memory",
                action="read and write",
                events=2 * steps,
                bits=int(values["chi_bits"]),
                memory=CitedEnergy(values["chi_memory"], MEMORY_8_KB.source),
            ),
        ),
        conversions=(("update refresh conversions", 2 * looks, adc_bits),),
        simulated=(
            *_reads(counts, values, device, layers, reading=sources[2]),
            *_pulses(counts, values, device, sources=sources),
        ),
    )


def _reads(
    counts: Counts, values: Values, device: Mapping[str, Any], layers: Shapes, *, reading: Source
) -> Iterator[Simulated]:
    """Both passes' reads and the looks of the refresh, each layer's pulses apart from its word lines."""
    images, time = int(counts["images"]), values["t_read"] / device["t_read"]
    opened = device.get("pair_word_line_energy") or 0.0
    for phase in (FORWARD, BACKWARD):
        for layer, read in counts[f"{phase}_reads"].items():
            rows, columns = layers[int(layer.removeprefix("layer")) - 1]
            lines, name = rows * columns * images, f"{phase} array"
            pulses = time * (read["energy"] - read["events"] * opened)
            yield Simulated(
                component=name,
                action=f"input pulses at pairs, {layer}",
                events=read["events"],
                joules=pulses,
                source=reading,
            )
            # A word line crosses all inputs of an output: pairs whose input is zero are opened too.
            if opened:
                yield Simulated(
                    component=name,
                    action=f"word lines, pairs of {layer}",
                    events=lines,
                    joules=lines * opened,
                    source=reading,
                )
    looks = counts["refresh_reads"]
    shares = looks["events"] * opened
    yield Simulated(
        component="update refresh reads", action="read of a pair", events=looks["events"],
        joules=time * (looks["energy"] - shares) + shares, source=reading,
    )  # fmt: skip


def _pulses(
    counts: Counts, values: Values, device: Mapping[str, Any], *, sources: Sequence[Source]
) -> Iterator[Simulated]:
    """SET pulses, RESETs, and the word lines opened for them.

    A whole word line is opened for every SET pulse and RESET, at the level of a SET pulse: blind pulses come
    one at a time. Reads share a line among all its cells.
    """
    set_, reset, _ = sources
    counted, pulses = sum(counts["set_pulses"]), values["set_pulses"] * counts["images"]
    energy = counts["set_energy_sum"] / counted if counted else 0.0
    yield Simulated(
        component="update array", action="SET pulse", events=pulses, joules=pulses * energy, source=set_
    )
    yield Simulated(
        component="update reset", action="RESET of a device", events=counts["resets"],
        joules=counts["reset_energy_sum"], source=reset,
    )  # fmt: skip
    each = device.get("word_line_energy")
    if each:
        lines = pulses + counts["resets"]
        yield Simulated(
            component="update word lines", action="open and close a line", events=lines, joules=lines * each,
            source=set_,
        )  # fmt: skip


def converter_bits(device: Mapping[str, Any]) -> tuple[int, int]:
    """Bits of a conversion and of an input; 8 where an old record does not say."""
    return int(device.get("adc_bits", 8)), int(device.get("dac_bits", 8))


def conversion_of(device: Mapping[str, Any]) -> str:
    """What a conversion sums, in words."""
    tile = device.get("tile")
    return "a whole column" if tile is None else f"{tile} inputs of a column"
