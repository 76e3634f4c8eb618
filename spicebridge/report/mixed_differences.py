"""What keeps the figures of mixed-precision training from being compared with the paper's as they stand.

Plain sentences; each opens with its subject and a colon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spicebridge.report.paper import DATA_NAMES, MIXED_PRECISION, has_model
from spicebridge.report.quantity import setting, si, times

Record = Mapping[str, Any]


def differences(record: Record) -> Iterator[str]:
    """The sentences, those of parts the record does not hold left out."""
    settings, device = record.get("settings", {}), record.get("device") or {}
    abstracts = "Reconstruction: the papers are known to us by their abstracts."
    if has_model(record, "pcm", before="pcm_"):
        yield (
            f"{abstracts} The device is a compact model fitted to a statistical model of such cells whose "
            "coefficients are those of third-party code, which names the publication; neither its tables nor "
            "a chip's data were at hand. What is assumed says so under device parameters."
        )
    else:
        yield f"{abstracts} The device is that of this run's tables, and not the papers'."
    yield from _data(record)
    yield from _experiment(settings)
    yield from _algorithm(settings, device)
    yield from _time(settings)
    energy = record.get("energy")
    if energy:
        yield from _energy(energy)


def _data(record: Record) -> Iterator[str]:
    data = str(record.get("data", {}).get("name"))
    if data != "mnist":
        name = DATA_NAMES.get(data, data)
        yield f"Data: here {name}; the abstracts give MNIST, whose accuracies are not to be set against it."


def _experiment(settings: Record) -> Iterator[str]:
    yield (
        "Experiment: 97.73 % is of training with a chip in the loop, every device read and written. Here "
        "every device draws from tables of simulated ones, of which none is slower or faster than its "
        "fellows for good: what the tables give at a conductance and pulse number is their mean and spread."
    )
    if "batch" in settings:
        yield (
            f"Training: batch {settings['batch']}, {settings.get('epochs')} epochs, learning rate "
            f"{settings.get('rate_start')} falling to {settings.get('rate_end')}; the papers' are not known "
            "to us, nor how many seeds their figures are of."
        )


def _algorithm(settings: Record, device: Record) -> Iterator[str]:
    if device.get("epsilon") is not None:
        yield (
            f"Epsilon: {device['epsilon']:.4f} in weights, {si(device['epsilon_siemens'], 'S')}, the mean "
            "change per pulse over the first ten SET pulses of the table's accumulation curve; a weight of "
            f"one is {setting(device['g_scale'], 'S')} (assumed)."
        )
    if "refresh_threshold" in settings:
        yield (
            f"Refresh: every {settings['refresh_interval']} images, pairs with a device that reads above "
            f"{setting(settings['refresh_threshold'], 'S')} while they differ by less than "
            f"{setting(settings['refresh_difference'], 'S')} are RESET and programmed anew with up to "
            f"{settings['refresh_pulses']} SET pulses. The rule is assumed; the papers' is not known to us."
        )
    if "dac_bits" in settings:
        yield (
            f"Converters: {settings['dac_bits']} bits in, {settings['adc_bits']} bits out, with fixed "
            "ranges; assumed."
        )


def _time(settings: Record) -> Iterator[str]:
    if "image_time" in settings:
        yield (
            f"Time: a training image takes {setting(settings['image_time'], 's')} (assumed), by which "
            "devices drift between their programming and their reads."
        )


def _energy(energy: Record) -> Iterator[str]:
    theirs = MIXED_PRECISION.energy_ratio
    update, chi = energy["per_image"]["update"], energy["per_image"]["update"]["chi_memory"]
    arithmetic = chi_energy(update) - chi
    ratio, span = energy["ratio"], energy["ratio_range"]
    far = "far from" if not theirs / 2 < ratio < 2 * theirs else "near"
    yield (
        f"Energy ratio: {times(ratio)} here, {far} the paper's {theirs:g}, of which we do not know what "
        f"it counts. Of our {si(energy['per_image']['total'], 'J')} an image, {si(chi, 'J')} is chi's memory "
        f"and {si(arithmetic, 'J')} its products and arithmetic; the arrays and their converters are "
        f"{si(arrays(energy), 'J')}. One assumption at a time moves the ratio between {times(span['low'])} "
        f"and {times(span['high'])}."
    )
    yield f"What would bring it there: {reaching(energy)}"
    by_phase = energy["ratio_by_phase"]
    yield (
        f"Phases: the ratio is {times(by_phase['forward'])} forward, {times(by_phase['backward'])} backward "
        f"and {times(by_phase['update'])} in the update. The array pays where weights are read; gathering "
        "updates in a digital word for each weight costs what updating such words costs."
    )


def chi_energy(update: Record) -> float:
    """Joules per image of the products that go into chi, its arithmetic and its memory.

    Records of before products had a line of their own hold them in the arithmetic.
    """
    return float(sum(update.get(part, 0.0) for part in ("products", "chi_arithmetic", "chi_memory")))


def arrays(energy: Record) -> float:
    """Joules per image of arrays and converters: pulses, RESETs, reads, refresh, drivers and conversions."""
    image = energy["per_image"]
    return float(
        sum(image[phase][part] for phase in ("forward", "backward") for part in ("array", "periphery"))
        + sum(
            image["update"][part] or 0.0  # None where no table tells, which ``absent`` names
            for part in ("array", "reset", "word_lines", "refresh_reads", "refresh_conversions")
        )
    )


def reaching(energy: Record) -> str:
    """Which assumptions by themselves, and which together, bring the ratio to the paper's; a sentence."""
    theirs = MIXED_PRECISION.energy_ratio
    alone = [row for row in energy["reach"] if row["value"] is not None]
    said = "; ".join(f"{row['assumption']} at {quantity(row['value'], row['unit'])}" for row in alone)
    parts = [f"by itself, {said}." if said else "no assumption does by itself."]
    nearest = min(energy["scenarios"], key=lambda each: abs(each["ratio"] - theirs))
    parts.append(
        f"Of the combinations worked out the nearest is {nearest['scenario']}: {times(nearest['ratio'])}."
    )
    return " ".join(parts)


def quantity(value: float, unit: str) -> str:
    """An assumption's value as a reader meets it."""
    if unit == "share":
        return f"{100 * value:.3g} %"
    return si(value, unit) if unit in ("J", "s") else f"{value:.3g} {unit}"
