"""The energy of mixed-precision training against sums by hand, and how its ratio hangs together."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn.mixed_precision.costs import PHASES, WORD_LINES, energy_block, run_assumptions
from nn.periphery import memory_for
from spicebridge.energy import Source, ledger_from_json

SOURCES = [Source(name, f"{name}-digest") for name in ("pcm_set", "pcm_reset", "pair_read")]
LAYERS = [[3, 3], [4, 2]]  # 2-3-2 with biases: 17 weights, 5 neurons
DEVICE = {"t_read": 1e-6}
PICO = 1e-12


def make_counts(**changed: Any) -> dict[str, Any]:
    """Counts of a 2-3-2 network trained on 100 images, one an update."""
    counts: dict[str, Any] = {
        "images": 100,
        "steps": 100,
        "set_pulses": [30, 15, 5],
        "set_energy_sum": 600 * PICO,
        "refresh_set_pulses": 4,
        "resets": 2,
        "reset_energy_sum": 2000 * PICO,
        "refreshes": 1,
        "refreshed_pairs": 1,
        "refresh_reads": {"events": 17, "energy": 8 * PICO},
        "forward_reads": {
            "layer1": {"events": 450, "energy": 90 * PICO},
            "layer2": {"events": 800, "energy": 40 * PICO},
        },
        "backward_reads": {"layer2": {"events": 700, "energy": 35 * PICO}},
    }
    return counts | changed


def block(counts: dict[str, Any] | None = None, **device: Any) -> dict[str, Any]:
    return energy_block(counts or make_counts(), DEVICE | device, LAYERS, sources=SOURCES)


def near(joules: float) -> Any:
    return pytest.approx(joules, rel=1e-9, abs=0.0)


BLOCK = block()


def row(found: dict[str, Any], key: str) -> dict[str, Any]:
    return next(each for each in found["sensitivity"] if each["key"] == key)


def test_every_part_of_a_tiny_networks_energy_is_the_sum_worked_out_by_hand() -> None:
    """In pJ, 45 nm: multiply 3.7, add 0.9, a memory of 8 KB 5, ADC 3.25, driver 255 x 0.03."""
    image = BLOCK["per_image"]
    by_hand = {
        "forward": {
            "array": 1.3,
            "periphery": 7 * 7.65 + 5 * 3.25,
            "logic": 5 * 3.7 + 5 * 5,
        },
        "backward": {
            "array": 0.35,
            "periphery": 2 * 7.65 + 4 * 3.25,
            "logic": 4 * 3.7 + 2 * 0.9 + 5 * (3.7 + 0.9 + 3.7),
        },
        "update": {
            "array": 6.0,
            "reset": 20.0,
            "refresh_reads": 0.08,
            "refresh_conversions": 34 * 3.25 / 100,
            "logic": 5 * 3.7,
            "products": 17 * (3.7 + 0.9),
            "chi_arithmetic": 17 * 0.9 + 0.5 * 0.9,
            "chi_memory": 2 * 17 * 5,
        },
    }
    for phase, parts in by_hand.items():
        told = dict(image[phase])
        assert told.pop("total") == near(sum(parts.values()) * PICO)
        assert told.pop("word_lines", None) is None  # no table tells it
        assert told == {part: near(value * PICO) for part, value in parts.items()}
    assert image["total"] == near(sum(sum(parts.values()) for parts in by_hand.values()) * PICO)


def test_word_lines_are_paid_for_at_every_pair_whether_its_input_is_zero_or_not() -> None:
    """A pair's share of 0.02 pJ is in each input pulse's energy; the lines cross 9 + 8 pairs an image."""
    plain, opened = BLOCK["per_image"], block(pair_word_line_energy=0.02 * PICO)["per_image"]
    pulses = (450 + 800) / 100
    assert opened["forward"]["array"] == near(plain["forward"]["array"] + (17 - pulses) * 0.02 * PICO)
    assert opened["backward"]["array"] == near(plain["backward"]["array"] + (8 - 700 / 100) * 0.02 * PICO)
    assert opened["update"] == plain["update"]
    silent = make_counts()
    for phase in ("forward_reads", "backward_reads"):
        silent[phase] = {layer: {"events": 0, "energy": 0.0} for layer in silent[phase]}
    assert block(silent)["per_image"]["forward"]["array"] == 0.0
    dark = block(silent, pair_word_line_energy=0.02 * PICO)["per_image"]
    assert dark["forward"]["array"] == near(17 * 0.02 * PICO)


def test_a_shorter_read_saves_of_the_pulses_and_not_of_the_word_lines() -> None:
    found = block(pair_word_line_energy=0.02 * PICO)
    whole, lines = found["per_image"], 17 * 0.02 * PICO
    changed = row(found, "t_read")
    digital, total = found["digital"]["total"], whole["total"]
    scaled = (whole["forward"]["array"] - lines) + (whole["backward"]["array"] - 8 * 0.02 * PICO)
    scaled += whole["update"]["refresh_reads"] - 17 * 0.02 * PICO / 100
    assert changed["ratio_low"] == near(digital / (total - 0.9 * scaled))


def test_the_digital_design_is_the_sum_worked_out_by_hand() -> None:
    digital = BLOCK["digital"]
    assert digital["forward"] == near((17 * 4.6 + 17 * 5 + 5 * 5) * PICO)
    assert digital["backward"] == near((8 * 4.6 + 8 * 5 + 2 * 0.9 + 5 * 8.3) * PICO)
    assert digital["update"] == near((17 * 4.6 + 2 * 17 * 5 + 5 * 3.7) * PICO)


def test_phases_add_up_and_the_ratios_are_theirs() -> None:
    found = BLOCK
    ours, digital = found["per_image"], found["digital"]
    assert ours["total"] == near(sum(ours[phase]["total"] for phase in PHASES))
    assert digital["total"] == near(sum(digital[phase] for phase in PHASES))
    assert found["ratio"] == near(digital["total"] / ours["total"])
    for phase in PHASES:
        assert found["ratio_by_phase"][phase] == near(digital[phase] / ours[phase]["total"])


def test_the_ledgers_hold_the_same_joules_each_with_its_source() -> None:
    found = BLOCK
    for name, total in (("training", found["per_image"]["total"]), ("digital", found["digital"]["total"])):
        ledger = ledger_from_json(found["ledgers"][name])
        assert ledger.joules() == near(100 * total)
        assert all(entry.source.name for entry in ledger.entries)
    stamped = {(entry["component"], entry["source"]["name"]) for entry in found["ledgers"]["training"]}
    assert ("update array", "pcm_set") in stamped
    assert ("update reset", "pcm_reset") in stamped
    assert ("forward array", "pair_read") in stamped


def test_a_batch_moves_weights_and_chi_once_for_all_its_images() -> None:
    one, ten = BLOCK, block(make_counts(steps=10))
    memory = one["per_image"]["update"]["chi_memory"]
    assert ten["per_image"]["update"]["chi_memory"] == near(memory / 10)
    for phase, entries in (("forward", 17), ("backward", 8), ("update", 34)):
        assert ten["digital"]["parts"][phase]["memory"] == near(entries * 5 * PICO / 10)
        arithmetic = one["digital"]["parts"][phase]["arithmetic"]
        assert ten["digital"]["parts"][phase]["arithmetic"] == near(arithmetic)
    # Only the comparison with epsilon is made once a step.
    saved = one["per_image"]["update"]["chi_arithmetic"] - ten["per_image"]["update"]["chi_arithmetic"]
    assert saved == near(0.9 * 17 * 0.9 * PICO)


def test_training_without_pulses_costs_no_energy_of_the_array_in_the_update() -> None:
    idle = make_counts(set_pulses=[0, 0, 0], set_energy_sum=0.0, resets=0, reset_energy_sum=0.0)
    update = block(idle, word_line_energy=25 * PICO)["per_image"]["update"]
    assert update["array"] == update["reset"] == update["word_lines"] == 0.0
    assert update["chi_memory"] > 0


def test_a_word_line_is_opened_for_every_pulse_where_the_tables_tell_its_energy() -> None:
    found = block(word_line_energy=25 * PICO)
    assert found["per_image"]["update"]["word_lines"] == near(52 * 25 * PICO / 100)
    assert WORD_LINES in BLOCK["absent"]
    assert WORD_LINES not in found["absent"]
    assert any("word lines" in each for each in BLOCK["absent"])


@pytest.mark.parametrize(
    ("key", "sign"),
    [
        ("chi_memory", -1),
        ("weight_memory", 1),
        ("chi_bits", -1),
        ("outer_multiply", -1),
        ("chi_touched", -1),
        ("chi_products", -1),
        ("weights_touched", 1),
        ("weights_products", 1),
        ("adc", -1),
        ("dac", -1),
        ("t_read", -1),
        ("set_pulses", -1),
    ],
)
def test_what_costs_one_design_only_moves_the_ratio_against_it(key: str, sign: int) -> None:
    found = row(BLOCK, key)
    assert found["low"] < found["high"]
    assert sign * (found["ratio_high"] - found["ratio_low"]) > 0


def test_a_range_holds_its_own_value_and_the_widest_bar_comes_first() -> None:
    found = BLOCK
    assert all(each["low"] <= each["nominal"] <= each["high"] for each in found["sensitivity"])
    widths = [abs(each["ratio_high"] - each["ratio_low"]) for each in found["sensitivity"]]
    assert widths == sorted(widths, reverse=True)
    ends = [each[end] for each in found["sensitivity"] for end in ("ratio_low", "ratio_high")]
    assert found["ratio_range"]["low"] == min(ends) < found["ratio"]
    assert found["ratio_range"]["high"] == max(ends) > found["ratio"]


def test_skipping_rows_of_zero_inputs_takes_the_share_that_training_counted() -> None:
    # 1250 of 1700 inputs at weights were pulses.
    image, digital = BLOCK["per_image"], BLOCK["digital"]["total"]
    for key, saved in (
        ("chi_touched", image["update"]["chi_memory"] + 17 * 0.9 * PICO),
        ("chi_products", 17 * 4.6 * PICO),
    ):
        found = row(BLOCK, key)
        assert found["low"] == pytest.approx(1250 / 1700)
        total = image["total"] - (1 - 1250 / 1700) * saved
        assert found["ratio_low"] == pytest.approx(digital / total, rel=1e-9)


def test_the_value_that_brings_the_ratio_to_the_papers_does_bring_it_there() -> None:
    found = BLOCK
    needed = next(each for each in found["reach"] if each["key"] == "weight_memory")
    access = needed["value"] / PICO
    fixed = found["digital"]["total"] - (17 + 8 + 34) * 5 * PICO
    ratio = (fixed + (17 + 8 + 34) * access * PICO) / found["per_image"]["total"]
    assert ratio == pytest.approx(173, rel=1e-6)
    never = next(each for each in found["reach"] if each["key"] == "adc")
    assert never["value"] is None
    assert found["ratio"] < never["limit"] < 173


def test_efficiencies_count_two_operations_a_weight_in_reading_and_in_update() -> None:
    found = BLOCK
    image, tops = found["per_image"], found["tops_per_watt"]
    assert tops["feedforward_array"] == pytest.approx(34 / image["forward"]["array"] * 1e-12)
    assert tops["feedforward"] == pytest.approx(34 / image["forward"]["total"] * 1e-12)
    assert tops["update_array"] == pytest.approx(34 / (26 * PICO) * 1e-12)
    assert tops["update"] == pytest.approx(34 / image["update"]["total"] * 1e-12)


@pytest.mark.parametrize(
    ("weights", "joules"), [(17, 5e-12), (2048, 5e-12), (2049, 10e-12), (198_760, 50e-12), (10**6, 50e-12)]
)
def test_the_memory_is_the_smallest_that_holds_a_word_for_each_weight(weights: int, joules: float) -> None:
    assert memory_for(32 * weights)[1].joules == near(joules)


def test_a_dearer_memory_in_both_designs_is_both_dearer_memories() -> None:
    chosen = {each.key: each for each in run_assumptions(make_counts(), DEVICE, LAYERS)}
    assert chosen["memory"].at(1.0) == chosen["chi_memory"].at(1.0) | chosen["weight_memory"].at(1.0)


def test_no_assumption_stands_without_a_source_and_a_unit() -> None:
    for each in BLOCK["assumptions"]:
        assert each["source"]
        assert each["unit"]
        assert each["ends"]


@settings(deadline=None, max_examples=8)
@given(times=st.integers(1, 50))
def test_more_images_of_the_same_training_cost_the_same_an_image(times: int) -> None:
    more = copy.deepcopy(make_counts())
    for key in ("images", "steps", "set_energy_sum", "resets", "reset_energy_sum"):
        more[key] *= times
    more["set_pulses"] = [times * each for each in more["set_pulses"]]
    reads = [more["refresh_reads"], *more["forward_reads"].values(), *more["backward_reads"].values()]
    for read in reads:
        read |= {"events": times * read["events"], "energy": times * read["energy"]}
    once, often = BLOCK, block(more)
    assert often["per_image"]["total"] == near(once["per_image"]["total"])
    assert often["ratio"] == near(once["ratio"])
