"""One accounting for every system: the same work costs the same joules, whoever did it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nn import costs
from nn.accounting import UPDATE, Access, Converters, Layer, Work, joules_of, price
from nn.mixed_precision.assumptions import prices_of, values_of
from nn.mixed_precision.boundaries import accounting_block
from nn.mixed_precision.costs import run_assumptions
from nn.mixed_precision.counts import Counts, counts_from_json
from nn.mixed_precision.network import Converters as PassConverters
from nn.mixed_precision.network import Layer as PassLayer
from nn.mixed_precision.network import Pass, convert_outputs
from nn.mixed_precision.work import training_work
from nn.periphery import MEMORY_8_KB, adc, memory_for
from nn.studies import accounted
from spicebridge.energy import Source
from spicebridge.project import reference_folder
from spicebridge.report import summary, text_report

PICO = 1e-12
SOURCES = [Source(name, name) for name in ("set", "reset", "read")]
ROWS, COLUMNS, IMAGES, SEEN = 300, 4, 2, 500  # one layer, one step of two images, inputs above zero in all


def ternary_record() -> dict[str, Any]:
    """One step of system A."""
    reads = [("read p_ap at activation +1", 100, 1e-12), ("read p_ap at activation 0", 9, 1e-14)]
    source = {"name": "synapse_read", "digest": "1"}
    return {
        "settings": {"batch": IMAGES, "split": {"train": 10}, "tile": 128, "adc_bits": 8},
        "feedforward": {
            "images": 1,
            "layers": [{"name": "layer 1", "inputs": ROWS, "outputs": COLUMNS, "planes": 4}],
        },
        "update": {
            "updates": ROWS * COLUMNS,
            "reads": 0,
            "energy_total": 7e-12,
            "half_selected": None,
            "nonzero_inputs": [SEEN],
        },
        "ledgers": {
            "feedforward": [
                {
                    "component": "layer 1",
                    "action": action,
                    "events": events,
                    "joules": joules,
                    "source": source,
                }
                for action, events, joules in reads
            ],
            "update": [
                {"component": "update", "action": "pulse", "events": 3, "joules": 7e-12, "source": source}
            ],
        },
    }


def pair_counts() -> dict[str, Any]:
    """The same step of system D."""
    return {
        "images": IMAGES, "steps": 1, "set_pulses": [3], "set_energy_sum": 7e-12, "resets": 0,
        "reset_energy_sum": 0.0, "refresh_reads": {"events": 0, "energy": 0.0},
        "forward_reads": {"layer1": {"events": SEEN * COLUMNS, "energy": 1e-12}}, "backward_reads": {},
        "nonzero_inputs": [SEEN], "touched_rows": [ROWS],
    }  # fmt: skip


def both() -> tuple[Work, Work, Any]:
    """The two systems' counts of one step, and what system D's assumptions price it at."""
    device, layers = {"t_read": 1e-6, "tile": 128}, [[ROWS, COLUMNS]]
    values = values_of(run_assumptions(pair_counts(), device, layers))
    pairs = training_work(pair_counts(), device, layers, values, sources=SOURCES)
    ternary = costs.training_work(ternary_record(), per_forward=1e-12)
    assert isinstance(ternary, Work)
    return ternary, pairs, prices_of(values)


def test_the_same_work_of_two_systems_costs_the_same_joules() -> None:
    """Products, pulses and conversions; what a weight keeps differs, and is priced by the word below."""
    ternary, pairs, prices = both()
    assert (ternary.products, ternary.multiplied) == (SEEN * COLUMNS, SEEN * COLUMNS)
    products = [joules_of(price(each, prices), UPDATE, ("products",)) for each in (ternary, pairs)]
    assert products[0] == pytest.approx(SEEN * COLUMNS * 4.6 * PICO)
    assert products[0] == pytest.approx(products[1])
    arrays = [joules_of(price(each, prices), UPDATE, ("array",)) for each in (ternary, pairs)]
    assert arrays == [7e-12, 7e-12]
    one_plane = replace(ternary, layers=(Layer(rows=ROWS, columns=COLUMNS),))
    actions = [
        {
            entry.action: entry.joules
            for entry in price(each, prices).entries
            if "periphery" in entry.component
        }
        for each in (one_plane, pairs)
    ]
    conversion = "ADC conversion, 8 bit"
    assert actions[0][conversion] == actions[1][conversion] == pytest.approx(IMAGES * 4 * 3 * 3.25 * PICO)


def test_a_word_costs_the_same_whether_it_is_a_moment_or_chi() -> None:
    ternary, pairs, prices = both()
    moments = joules_of(price(ternary), UPDATE, ("moments memory",))
    chi = joules_of(price(pairs, prices), UPDATE, ("chi memory",))
    weights = ROWS * COLUMNS  # 4,800 bytes of chi, 9,600 of moments: the next memory
    assert chi == pytest.approx(2 * weights * 5 * PICO)
    assert moments == pytest.approx(4 * weights * 10 * PICO)


@pytest.mark.parametrize(
    ("rows", "tile", "parts"), [(785, None, 1), (785, 128, 7), (128, 128, 1), (129, 128, 2), (15, 15, 1)]
)
def test_a_column_takes_a_conversion_for_every_tile_and_plane(rows: int, tile: int, parts: int) -> None:
    work = Work(
        images=3, layers=(Layer(rows=rows, columns=10, planes=4),), converters=Converters(bits=6, tile=tile)
    )
    ledger = price(work)
    assert ledger.events("forward periphery", "ADC conversion, 6 bit") == 3 * 10 * 4 * parts
    assert ledger.joules() == pytest.approx(30 * (4 * parts * 2.0 + (4 * parts - 1) * 0.1) * PICO)


@pytest.mark.parametrize(
    ("bits", "joules"), [(3, 1.75), (4, 1.75), (5, 2.0), (6, 2.0), (7, 3.25), (8, 3.25), (10, 52.0)]
)
def test_a_conversion_costs_what_is_cited_and_above_eight_bits_what_is_assumed(
    bits: int, joules: float
) -> None:
    assert adc(bits).joules == pytest.approx(joules * PICO)
    assert adc(bits).source.name.startswith("assumed") is (bits > 8)


def test_memories_above_a_megabyte_are_several() -> None:
    assert memory_for(2 * 32 * 268_800)[0] == "3 SRAMs of 1 MB"
    words = Access(component="update chi memory", action="x", events=10, bits=16, memory=MEMORY_8_KB)
    assert price(Work(images=1, accesses=(words,))).joules() == pytest.approx(25 * PICO)


def test_the_boundaries_hold_one_another() -> None:
    block = costs.accounting_block(ternary_record())
    assert block is not None
    assert (
        block["feedforward"]["array"]["energy_per_image"] < block["feedforward"]["all_in"]["energy_per_image"]
    )
    update, step = block["update"], block["training_step"]
    chain = (
        update["array"]["energy_per_image"],
        update["weight_update"]["energy_per_image"],
        step["all_in"]["energy_per_image"],
        step["dense"]["energy_per_image"],
    )
    assert list(chain) == sorted(chain)
    assert len(set(chain)) == 4
    assert any("moments are kept in float" in each for each in block["assumptions"])


def test_dense_reads_are_the_mean_of_the_states_whatever_their_share() -> None:
    record = ternary_record()
    lines = record["ledgers"]["feedforward"]
    lines.append(lines[0] | {"action": "read ap_p at activation -1", "events": 1, "joules": 3e-14})
    block = costs.accounting_block(record)
    assert block is not None
    reads = block["feedforward"]["dense_reads"]
    assert reads["ternary"]["energy_per_image"] == pytest.approx(2e-14)
    assert reads["first_layer"]["tops_per_watt"] == pytest.approx(2 / (4 * 2e-14) * PICO)


def reference(name: str) -> dict[str, Any]:
    path = reference_folder() / "runs" / name / "record.json"
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


@pytest.mark.parametrize("name", ["mnist_mlp_ternary_mtj", "mnist_pcm_mixed", "wine_passive_array"])
def test_records_of_before_are_accounted_as_far_as_they_hold_it(name: str) -> None:
    record = reference(name)
    for key in ("accounting",):
        record.pop(key, None)
    record.get("update", {}).pop("nonzero_inputs", None)
    for key in ("touched_rows", "nonzero_inputs"):
        record.get("counts", {}).pop(key, None)
    told = summary(accounted(record))["accounting"]
    assert told["feedforward"]["array"]["tops_per_watt"] > told["feedforward"]["all_in"]["tops_per_watt"] > 0
    unknown = told["update"]["weight_update"]
    assert unknown["energy_per_image"] is unknown["tops_per_watt"] is None
    wanted = "not applicable" if name == "wine_passive_array" else "not in the record"
    assert unknown["why"].startswith(wanted)
    assert wanted in text_report(accounted(record))
    assert "not in the record" in text_report(record)  # as the library has it, without the accounting


def test_adam_of_the_published_network_costs_what_a_hand_calculation_gives() -> None:
    """784-256-256-10 at batch 200: 24.9 pJ an update for Adam, and four words of 50 pJ."""
    record = reference("mnist_mlp_ternary_mtj")
    work = costs.training_work(record, per_forward=2e-9, dense=True)
    assert isinstance(work, Work)
    ledger, weights = price(work), 268_800
    arithmetic = joules_of(ledger, UPDATE, ("moments arithmetic",)) / record["update"]["updates"]
    assert arithmetic == pytest.approx(24.9 * PICO)
    memory = joules_of(ledger, UPDATE, ("moments memory",)) / work.images
    assert memory == pytest.approx(4 * weights * 50 * PICO / 200)
    products = joules_of(ledger, UPDATE, ("products",)) / work.images
    assert products == pytest.approx((200_704 * 3.7 + weights * 0.9) * PICO)


def test_the_grid_of_a_run_that_counted_its_rows_stands_beside_one_that_did_not() -> None:
    """The published-size network at the shares of MNIST: .191 of an image's pixels, .488 of a step's."""
    record = reference("mnist_pcm_mixed")
    counts, images = record["counts"], 3_000_000
    record["device"]["tile"] = None
    counts["nonzero_inputs"] = [round(0.191 * 785 * images), 251 * images]
    counts["touched_rows"] = [round(0.488 * 785 * images / 10), 251 * images // 10]
    block = accounting_block(record)
    assert block is not None
    ratios = {row["scenario"]: row for row in block["grid"]["rows"]}
    for name, key, wanted in (
        ("no row left out", "both", 1.64),
        ("the same, an update an image", "both", 1.51),
        ("rows of zero inputs left out, as counted", "alone", 4.06),
        ("rows of zero inputs left out, as counted", "both", 1.54),
        ("and chi of 16 bits, products of 8", "alone", 8.8),
        ("and chi of 16 bits, products of 8", "both", 3.3),
        ("and chi in banks of 8 KB", "alone", 43),
        ("and chi in banks of 8 KB", "both", 4.6),
        ("and chi's memory and arithmetic free", "alone", 131),
        ("chi free, an update an image", "alone", 858),
    ):
        assert ratios[name][key] == pytest.approx(wanted, rel=0.03), name
    del counts["touched_rows"]
    before = accounting_block(record)
    assert before is not None
    assert {row["alone"] is None for row in before["grid"]["rows"][2:]} == {True}


def test_rows_that_a_step_touches_are_those_of_any_of_its_images() -> None:
    counts = Counts()
    one = np.float32([[0, 1, 0, 0.5], [0, 0, 0, 1]])
    counts.see([one])
    counts.see([np.float32([[1, 1, 1, 1], [0, 0, 0, 0]])])
    assert (counts.inputs, counts.rows) == ([3 + 4], [2 + 4])
    twice = Counts()
    twice.add(counts)
    twice.add(counts_from_json(json.loads(json.dumps(counts.to_json()))))
    assert (twice.inputs, twice.rows) == ([14], [12])


def test_a_pass_converts_each_tile_by_itself() -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 0.3, (11, 3)).astype(np.float32)
    converters = PassConverters(input_bits=8, output_bits=6, forward=4.0, backward=2.0, tile=4)
    done = Pass((PassLayer(weights, None),), 5, converters, rng)
    done.inputs[0][:, :-1] = rng.random((5, 10))
    x, wanted = done.inputs[0].copy(), np.zeros((5, 3), np.float32)
    for begin in (0, 4, 8):
        part = x[:, begin : begin + 4] @ weights[begin : begin + 4]
        convert_outputs(part, 6, 4.0)
        wanted += part
    np.testing.assert_allclose(done.forward(), 1 / (1 + np.exp(-wanted)), rtol=1e-5)


def test_a_tile_as_long_as_the_column_is_one_conversion() -> None:
    weights = np.random.default_rng(1).normal(0, 0.3, (11, 3)).astype(np.float32)
    found = []
    for tile in (11, 12, 1000):
        converters = PassConverters(input_bits=8, output_bits=8, forward=4.0, backward=2.0, tile=tile)
        noisy = PassLayer(weights, np.full((11, 3), 0.01, np.float32))
        done = Pass((noisy,), 5, converters, np.random.default_rng(2))
        done.inputs[0][:] = 0.5
        found.append(done.forward().copy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_noise_of_tiles_adds_up_to_that_of_the_column() -> None:
    weights, noise = np.zeros((10, 2000), np.float32), np.full((10, 2000), 0.04, np.float32)
    converters = PassConverters(input_bits=8, output_bits=16, forward=8.0, backward=2.0, tile=3)
    done = Pass((PassLayer(weights, noise),), 50, converters, np.random.default_rng(3))
    done.inputs[0][:] = 0.5
    units = done.forward().astype(float)
    sums = np.log(units / (1 - units))
    assert sums.std() == pytest.approx((10 * 0.25 * 0.04) ** 0.5, rel=0.01)


@pytest.mark.parametrize(("adc_bits", "dac_bits"), [(8, 8), (6, 4), (10, 8)])
def test_converters_of_pairs_are_priced_at_their_own_bits(adc_bits: int, dac_bits: int) -> None:
    device = {"t_read": 1e-6, "tile": 128, "adc_bits": adc_bits, "dac_bits": dac_bits}
    layers = [[ROWS, COLUMNS]]
    values = values_of(run_assumptions(pair_counts(), device, layers))
    work = training_work(pair_counts(), device, layers, values, sources=SOURCES)
    ledger = price(work, prices_of(values))
    conversions = IMAGES * COLUMNS * 3
    assert ledger.events("forward periphery", f"ADC conversion, {adc_bits} bit") == conversions
    converted = ledger.joules("forward periphery", f"ADC conversion, {adc_bits} bit")
    assert converted == pytest.approx(conversions * adc(adc_bits).joules)
    driven = ledger.joules("forward periphery", f"pulse-width driver, {dac_bits} bit")
    assert driven == pytest.approx(IMAGES * ROWS * (2**dac_bits - 1) * dac_bits / 8 * 0.03 * PICO)
