"""Reports of a small record: the figures in JSON and in text, and what both and the page say of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from spicebridge.report import summary, text_report
from spicebridge.report.quantity import MINUS, setting, si, tops
from tests.digits_record import READ, WRITE, Reader, make_arm, make_page, make_record

pytestmark = pytest.mark.usefixtures("unrendered")


def test_a_summary_has_the_headline_figures_in_per_cent_and_si_units() -> None:
    said = summary(make_record())
    assert (said["accuracy"], said["baseline_accuracy"], said["ideal_accuracy"]) == (97.5, 98.625, 97.5)
    assert said["accuracy_spread"] == pytest.approx(2**-0.5)
    assert said["feedforward"]["tops_per_watt"] == 150.0
    assert said["feedforward"]["mean_of_nine"]["tops_per_watt"] == 250.0
    assert said["feedforward"]["per_read"]["energy_per_op"] == 1.85e-15
    assert said["update"]["energy_per_op"] == 15e-15
    assert said["update"]["energy_per_flip"] == 16.4e-12
    assert said["accounting"]["update"]["array"]["energy_per_image"] == pytest.approx(1.36e-11 / 50)
    assert said["tables"] == [{"name": each.name, "digest": each.digest} for each in (WRITE, READ)]
    assert said["absent"][:2] == ["wires", "dither"]
    assert "control and clock" in said["absent"]
    assert json.loads(json.dumps(said)) == said


def test_a_summary_sets_the_papers_figures_beside_with_what_differs() -> None:
    said = summary(make_record())
    assert said["paper"]["feedforward_tops_per_watt"] == 18.3
    assert said["paper"]["update_tops_per_watt"] == 3.0
    assert said["paper"]["feedforward_energy_per_op"] == pytest.approx(54.6e-15, rel=1e-3)
    sentences = {each.partition(":")[0]: each for each in said["differences"]}
    assert "64-10" in sentences["Network and data"]
    assert "0.2 V for 1 ns" in sentences["Operating point"]
    assert "109 fJ per MAC" in sentences["Operating point"]
    assert "moments are kept in float" in sentences["Array only"]
    assert "40 % of the updates sent a pulse" in sentences["Updates"]


def test_on_the_papers_own_data_set_its_accuracy_stands_beside_ours() -> None:
    record = make_record()
    record["data"]["name"] = "mnist"
    assert any("98.61 % on MNIST" in each for each in summary(record)["differences"])
    assert "98.61 % (MNIST)" in text_report(record)


def test_a_record_of_another_system_is_compared_with_no_paper() -> None:
    record = make_record()
    record["tables"] = [{"name": "array_write", "digest": "0" * 64}]
    said = summary(record)
    assert said["paper"] is None
    assert said["differences"] == []
    assert "18.3" not in text_report(record)
    assert "18.3" not in Reader(make_page(record, tables={})).text


def test_an_ablation_says_that_it_is_one() -> None:
    record = make_record()
    record["settings"]["encoding"] = "affine"
    assert any(each.startswith("Ablation") and "affine" in each for each in summary(record)["differences"])


def float_only() -> dict[str, Any]:
    record = make_record()
    for key in ("accuracy", "ideal_accuracy", "feedforward", "update", "ledgers"):
        del record[key]
    record["arms"] = {"float": record["arms"]["float"]}
    return record


def test_arms_that_were_not_run_have_no_figures() -> None:
    said = summary(float_only())
    assert said["accuracy"] is None
    assert said["feedforward"] is None
    assert said["update"] is None
    assert said["baseline_accuracy"] == 98.625
    assert "not run" in text_report(float_only())
    text = Reader(make_page(float_only())).text
    missing = "circuit tables, ideal GXNOR (tanh), read currents and ADC, spread of the write"
    assert f"Not run: {missing}." in text
    assert summary(float_only())["ablations"] == {}
    assert "Ablations" not in text
    assert "holds no energies" in text


def with_ablations() -> dict[str, Any]:
    record = make_record()
    readout = {"tile": 64, "bits": 5, "range": 32.0, "step": 32 / 15, "unit": 7.44e-6, "currents": {}}
    record["arms"]["table_read"] = make_arm((96.75, 97.25)) | {"readout": readout}
    record["arms"]["table_spread"] = make_arm((97.5,)) | {"write_spread": 0.6}
    return record | {"read_accuracy": 97.0, "spread_accuracy": 97.5}


def test_what_an_effect_costs_is_the_mean_difference_from_the_tables_arm_by_seed() -> None:
    said = summary(with_ablations())["ablations"]
    assert list(said) == ["table_read", "table_spread"]
    read, spread = said.values()
    assert (read["accuracy"], read["effect"]) == (97.0, pytest.approx(-0.5))  # -0.25 and -0.75
    assert read["effect_spread"] == pytest.approx(0.5 / 2**0.5)
    assert (spread["effect"], spread["effect_spread"]) == (pytest.approx(0.5), None)  # of seed 1 alone


def test_text_and_page_say_what_the_ablations_cost_with_bits_tile_range_and_spread() -> None:
    text = " ".join(text_report(with_ablations()).split())
    page = Reader(make_page(with_ablations()))
    for told in (text, page.text):
        assert f"{MINUS}0.50 ± 0.35 points" in told
        assert "conversion of 5 bits sums the 64 rows of a tile" in told
        assert "within ±32 such currents in steps of 2.13" in told
        assert "7.44 µA" in told
        assert "deviation of ln(P) 0.6" in told
    assert "read currents and ADC 97.00" in text


def test_an_ablation_without_the_tables_arm_has_an_accuracy_and_no_difference() -> None:
    record = with_ablations()
    del record["arms"]["table"]
    said = summary(record)["ablations"]["table_read"]
    assert (said["accuracy"], said["effect"]) == (97.0, None)
    assert "not run" in text_report(record)
    assert "97.00" in Reader(make_page(record)).text


def test_one_seed_has_no_spread() -> None:
    record = make_record()
    record["arms"]["table"] = make_arm((97.0,))
    record["accuracy"] = 97.0
    assert summary(record)["accuracy_spread"] is None
    assert "97.00 %" in text_report(record)


def test_the_text_report_opens_with_the_headline_and_names_every_unit() -> None:
    text = text_report(make_record())
    for said in (
        "97.50 ± 0.71 %",
        "150 TOPS/W",
        "18.3 TOPS/W",
        "3 TOPS/W",
        "6.67 fJ",
        "333 fJ",
        "16.4 pJ",
        "Energy by boundary",
        "weight update",
        "all-in",
        "no zero skipped",
    ):
        assert said in text
    assert text.index("97.50") < text.index("150 TOPS/W") < text.index("What differs") < text.index("Tables")
    assert WRITE.digest in text


def test_the_columns_of_the_text_report_are_aligned() -> None:
    rows = text_report(make_record()).splitlines()
    starts = {
        row.index(said) for row in rows for said in ("18.3 TOPS/W", "54.6 fJ", "333 fJ") if row.endswith(said)
    }
    assert len(starts) == 1


def sized_record() -> dict[str, Any]:
    record = make_record()
    record["tables"][0] |= {"size": "full", "samples": 40500}
    record["tables"][1] |= {"size": "quick", "samples": 0}
    return record


def test_a_tables_size_and_devices_stand_beside_it_everywhere() -> None:
    record = sized_record()
    assert summary(record)["tables"] == record["tables"]
    rows = [row.split("   ") for row in text_report(record).splitlines()[-2:]]
    devices = "full size, 40\N{NO-BREAK SPACE}500 devices"
    assert [[each.strip() for each in row if each.strip()] for row in rows] == [
        ["mtj_write", devices, WRITE.digest],
        ["synapse_read", "quick size", READ.digest],
    ]
    assert f"mtj_write, {devices}; synapse_read, quick size." in make_page(record)


def test_the_read_disturb_stands_under_feed_forward() -> None:
    record = make_record()
    record["device"]["read_disturb"] = 2.0e-12
    assert summary(record)["operating_point"]["read_disturb"] == 2.0e-12
    (row,) = (each for each in text_report(record).splitlines() if "read disturb" in each)
    assert re.fullmatch(r" +read disturb, at most +2\.0e-12 per read", row)
    page = Reader(make_page(record)).text
    assert "read disturb, at most 2.0e-12 per read" in page
    assert "One read flips an MTJ with a probability of at most 2.0e-12" in page
    assert "destructive" not in page


@pytest.mark.parametrize(("per_pass", "destructive"), [(9e-10, False), (1.8e-4, True)])
def test_reads_in_sequence_that_flip_more_than_the_limit_are_called_destructive(
    per_pass: float, destructive: bool
) -> None:
    record = make_record()
    record["device"] |= {
        "read_disturb": 1.3e-13,  # one read alone: as a record of before has it, and far below any limit
        "disturb": {
            "reads": 4, "t_gap": 0.3e-9, "period": 1.3e-9, "first_pass": per_pass, "further_read": 1e-12,
            "per_pass": per_pass, "limit": 1e-9,
        },
    }  # fmt: skip
    text, page = text_report(record), make_page(record)
    (row,) = (each for each in text.splitlines() if "read disturb" in each)
    assert f"{per_pass:.1e} (4 reads, one each 1.3 ns)" in row
    assert ("destructive" in row) == destructive
    assert ("The read is destructive" in text) == destructive
    assert ("The read is destructive" in page) == destructive
    assert "1.3e-13" not in text


@pytest.mark.parametrize("unknown", [{}, {"read_disturb": None}])
def test_an_unknown_read_disturb_is_not_shown(unknown: dict[str, None]) -> None:
    record = make_record()
    record["device"] |= unknown
    assert "read disturb" not in text_report(record)
    assert "read disturb" not in make_page(record)


@pytest.mark.parametrize(("disturb", "said"), [(0.9e-6, False), (3e-5, True)])
def test_a_read_that_flips_devices_is_called_destructive(disturb: float, said: bool) -> None:
    record = make_record()
    record["device"]["read_disturb"] = disturb
    named = [each for each in summary(record)["differences"] if each.startswith("The read is destructive: ")]
    assert len(named) == said
    assert ("The read is destructive: " in text_report(record)) is said
    assert ("The read is destructive." in Reader(make_page(record)).text) is said
    assert all(f"{disturb:.1e}" in each for each in named)


def half_selected_record() -> dict[str, Any]:
    record = make_record()
    record["update"]["half_selected"] = {
        "tile": 128,
        "u_line_energy": 1.5e-16,
        "e_line_energy": 2.5e-16,
        "energy_per_op": 40e-15,
        "tops_per_watt": 25.0,
        "definition": "a pulse also charges the lines of the other cells of its row and column",
    }
    return record


def test_half_selected_cells_have_a_figure_of_their_own() -> None:
    record = half_selected_record()
    assert summary(record)["update"]["half_selected"] == record["update"]["half_selected"]
    row = r"^ +with half-selected cells of 128 x 128 tiles +25\.0 TOPS/W$"
    assert re.search(row, text_report(record), flags=re.MULTILINE)
    page = Reader(make_page(record)).text
    assert "with half-selected cells of 128 x 128 tiles 25.0 TOPS/W" in page
    assert "lines of the other cells of its row and column." in page
    assert "150 aJ, of line e 250 aJ" in page


def test_what_the_headline_says_of_half_selected_cells_follows_the_record() -> None:
    def single_cells(record: dict[str, Any]) -> str:
        (said,) = (each for each in summary(record)["differences"] if each.startswith("Single cells:"))
        return said

    assert "half-selected cells' lines are not counted" in single_cells(make_record())
    counted = single_cells(half_selected_record())
    assert "the pulsed branch and its own sibling" in counted
    assert "128 x 128 tiles it is 25.0 TOPS/W" in counted
    assert "lines are not counted" not in counted
    assert summary(make_record())["update"]["half_selected"] is None
    assert "half-selected cells of" not in text_report(make_record())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (6.704e-15, "6.70 fJ"),
        (999.9e-15, "1.00 pJ"),
        (0.0, "0 J"),
        (1.0, "1.00 J"),
        (-2.5e-9, f"{MINUS}2.50 nJ"),
        (None, "not run"),
    ],
)
def test_numbers_have_three_digits_a_prefix_and_a_unit(value: float | None, said: str) -> None:
    assert si(value, "J") == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(149.16, "149 TOPS/W"), (99.96, "100 TOPS/W"), (0.07516, "0.0752 TOPS/W"), (1234.5, "1230 TOPS/W")],
)
def test_efficiencies_have_three_digits(value: float, said: str) -> None:
    assert tops(value) == said


def test_chosen_values_read_as_they_were_chosen() -> None:
    assert [setting(0.2, "V"), setting(1e-9, "s"), setting(50e-12, "s")] == ["0.2 V", "1 ns", "50 ps"]
    assert [setting(-0.5, "V"), setting(-2e-9, "s")] == [f"{MINUS}0.5 V", f"{MINUS}2 ns"]


def test_only_the_papers_device_is_set_beside_the_paper() -> None:
    record = make_record()
    assert summary(record)["paper"]
    for table in record["tables"]:
        table["models"] = ["somebodys_mtj"]
    said = summary(record)
    assert (said["paper"], said["differences"]) == (None, [])
    for table in record["tables"]:
        table["models"] = ["stt_mtj"]
    assert summary(record)["paper"]["accuracy"]["mnist"] == 98.61
