"""Reports of mixed-precision training: of a record built by hand, on tables of the published statistics."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import numpy as np
import pytest

from nn.mixed_precision.costs import PAPER_RATIO
from spicebridge.lineage import Link, chain
from spicebridge.pcm_statistics import PublishedModel
from spicebridge.project import netlists_folder
from spicebridge.report import headline_text, html_report, kinds, summary, text_report
from spicebridge.report.mixed_differences import differences
from spicebridge.report.mixed_text import age
from spicebridge.report.paper import MIXED_PRECISION
from spicebridge.report.pcm_plots import map_plot, step_map, worst_departures, worst_steps
from spicebridge.table import LookupTable
from tests import synthetic_pcm
from tests.mixed_records import LAYERS, TABLES, make_record

PLOTS = (
    "training", "ablations", "pulses", "retention", "energy-phases", "energy-parts", "sensitivity",
    "accumulation", "delta-g-mean", "delta-g-std", "reset", "reading", "pair",
)  # fmt: skip


def make_page(record: dict[str, Any], tables: dict[str, LookupTable] | None = None) -> str:
    return html_report(
        record,
        tables=TABLES if tables is None else tables,
        chain=(Link("figure", "accuracy 97.75 %"),),
        write=None,
    )


def test_the_energy_and_the_report_know_the_same_ratio_of_the_paper() -> None:
    assert MIXED_PRECISION.energy_ratio == PAPER_RATIO


@pytest.fixture(scope="module")
def page() -> str:
    return make_page(make_record())


@pytest.fixture(scope="module")
def page_without_tables() -> str:
    return make_page(make_record(), tables={})


def float_only() -> dict[str, Any]:
    """A record in which nothing but the baseline was trained."""
    record = make_record()
    record["arms"] = {"float": record["arms"]["float"]}
    for key in ("accuracy", "accuracy_spread", "gap", "counts", "energy", "retention"):
        record[key] = None
    return record


def test_records_find_their_kind_by_their_study() -> None:
    assert kinds.kind_of({"study": "mixed_precision"}) is kinds.STUDIES["mixed_precision"]
    assert kinds.kind_of({"study": "passive_array"}) is kinds.STUDIES["passive_array"]
    assert kinds.kind_of({}) is kinds.NETWORK


def test_the_text_report_opens_with_the_headline_beside_the_papers() -> None:
    told = text_report(make_record())
    accuracy = next(line for line in told.splitlines() if "accuracy, PCM pairs" in line)
    assert "97.75 ± 0.08 %" in accuracy
    assert "97.40 % (PCM model), 97.73 % (PCM chip)" in accuracy
    ratio = next(line for line in told.splitlines() if line.strip().startswith("ratio"))
    assert re.search(r"1\.53×\s+173×", ratio)
    assert re.search(r"gap\s+.0\.50 points", told)
    assert re.search(r"energy of a training image\s+4\.44 µJ", told)
    assert re.search(r"weight update\s+4\.42 µJ\s+4\.", told)


def test_the_headline_has_two_lines_with_units() -> None:
    first, second = headline_text(make_record()).splitlines()
    assert first == "accuracy PCM pairs 97.75 ± 0.08 %, floating point 98.25 ± 0.08 %"
    assert second.startswith("a training image 4.44 µJ, digital 6.79 µJ: ratio 1.53×; feed-forward array ")
    assert "all-in 14.4 nJ, 27.6 TOPS/W" in second
    assert second.endswith("weight update 4.42 µJ, 0.0899 TOPS/W; training step 4.44 µJ")


def test_a_summary_is_json_with_units_and_every_arm() -> None:
    said = summary(make_record())
    assert json.loads(json.dumps(said)) == said
    assert said["network"] == "784-250-10"
    assert said["units"]["ratio"] == "energy of the digital design over ours"
    assert said["arms"]["without_chi"]["effect"] == pytest.approx(93.4 - 97.75)
    assert said["arms"]["without_chi"]["effect_seeds"] == 2
    assert said["paper"]["energy_ratio"] == 173.0


def test_an_effect_compares_networks_of_the_same_seed() -> None:
    record = make_record()
    for run, accuracy in zip(record["arms"]["table"]["runs"], (97.0, 98.0, 90.0, 90.0, 90.0), strict=True):
        run["test_accuracy"] = accuracy
    for run, accuracy in zip(record["arms"]["ideal"]["runs"], (97.5, 98.7), strict=True):
        run["test_accuracy"] = accuracy
    effect = summary(record)["arms"]["ideal"]
    assert effect["effect"] == pytest.approx(0.6)
    assert effect["effect_spread"] == pytest.approx(0.1 * np.sqrt(2))


def test_the_report_says_plainly_that_the_ratio_is_far_from_the_papers() -> None:
    told = " ".join(text_report(make_record()).split())
    assert "1.53× here, far from the paper's 173" in told
    assert "What would bring it there" in told
    assert "digital design alone at 6.01 nJ" in told


def test_the_page_is_whole_and_fetches_nothing(page: str) -> None:
    assert page.startswith("<!DOCTYPE html>")
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', page)
    assert "url(http" not in page
    assert "@import" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_is_on_the_page_with_a_text_alternative(page: str, name: str) -> None:
    figure = re.search(rf'<figure id="{name}">.*?</figure>|<figure[^>]*\bid="{name}".*?</figure>', page, re.S)
    assert figure, name
    assert re.search(rf'<title id="{name}-title">[^<]+</title>', figure[0])
    assert "<figcaption>" in figure[0]


def test_the_page_holds_assumptions_ledgers_lineage_and_what_is_absent(page: str) -> None:
    for words in (
        "What the ratio rests on",
        "Where the assumptions are from",
        "Horowitz, ISSCC 2014",
        "Counted in no figure",
        "Energy ledger, training on PCM pairs",
        "What differs from the paper",
        "Where a SET pulse departs most",
        "Lineage",
    ):
        assert words in page, words


def test_the_same_record_gives_the_same_page(page_without_tables: str) -> None:
    assert make_page(make_record(), tables={}) == page_without_tables


@pytest.mark.usefixtures("unrendered")
def test_a_record_without_the_arm_on_pairs_says_what_was_not_run() -> None:
    record = float_only()
    told = text_report(record)
    assert re.search(r"accuracy, PCM pairs\s+not run", told)
    assert "not run" in headline_text(record)
    shown = make_page(record, tables={})
    assert "This record holds no energies" in shown
    assert "Not run: PCM pairs" in shown


def test_tables_that_are_not_at_hand_are_said_and_the_figures_stay(page_without_tables: str) -> None:
    assert "Not at hand" in page_without_tables
    assert 'id="energy-phases"' in page_without_tables
    assert 'id="accumulation"' not in page_without_tables


@pytest.mark.usefixtures("unrendered")
def test_text_from_a_record_cannot_become_markup() -> None:
    record = float_only()
    record["description"] = "<script>alert(1)</script>"
    assert "<script>" not in make_page(record, tables={})


def test_what_was_not_sampled_is_hatched_and_counts_as_no_departure() -> None:
    table = synthetic_pcm.set_table(sampled_to=10e-6)
    wrong = copy.deepcopy(table.data)
    wrong["delta_g_mean"].loc[{"g": wrong["g"][wrong["g"] > 10e-6]}] = 5e-6
    wrong["delta_g_mean"][3, 10] += 0.7e-6
    changed = LookupTable(data=wrong, name="pcm_set", lineage={}, origin={})
    found = step_map(changed, "delta_g_mean")
    assert not found.sampled[:, found.g > 10e-6].any()
    first = worst_steps(changed, "delta_g_mean", count=3)[0]
    assert first[0] == "4"
    assert first[-1] == "+0.70"
    hatched, drawn = (map_plot(each, "delta_g_mean") for each in (changed, synthetic_pcm.set_table()))
    assert hatched
    assert "<pattern" in hatched.svg
    assert drawn
    assert "<pattern" not in drawn.svg


def test_the_published_steps_are_those_the_synthetic_tables_were_made_from() -> None:
    found = step_map(synthetic_pcm.set_table(), "delta_g_std")
    assert found.table == pytest.approx(found.published)


def test_departures_of_the_accumulation_curve_are_told_with_their_pulse() -> None:
    table = synthetic_pcm.set_table()
    changed = copy.deepcopy(table.data)
    changed["g_mean"][5] *= 1.2
    mean, _ = worst_departures(LookupTable(data=changed, name="pcm_set", lineage={}, origin={}))
    assert re.fullmatch(r"\+(19|20)\.\d % at pulse 5", mean)


def test_the_published_curve_is_the_one_known_from_its_simulation() -> None:
    """Mean and spread in uS after 1, 2, 3, 5, 10 and 20 pulses of 20,000 devices, run beforehand."""
    g = 1e6 * PublishedModel().accumulation(pulses=20, devices=20_000, rng=np.random.default_rng(0))
    for pulse, mean, spread in (
        (1, 2.06, 1.53), (2, 3.43, 1.98), (3, 4.46, 2.21),
        (5, 5.91, 2.40), (10, 7.83, 2.48), (20, 9.41, 2.69),
    ):  # fmt: skip
        assert g[:, pulse].mean() == pytest.approx(mean, rel=0.02)
        assert g[:, pulse].std() == pytest.approx(spread, rel=0.03)


def test_the_energy_of_a_training_image_leads_back_to_its_tables() -> None:
    figures = chain(make_record(), {}, netlists_folder())
    energy = next(link for link in figures if "J a training image" in link.name)
    assert {source.name for source in energy.sources if source.what == "table"} == {
        "pcm_set", "pcm_reset", "pair_read",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "said"), [(1.0, "1 s"), (3600.0, "1 h"), (86400.0, "1 d"), (2.6e6, "30 d"), (3.2e7, "1 a")]
)
def test_ages_are_told_in_the_unit_that_suits_them(seconds: float, said: str) -> None:
    assert age(seconds) == said


def test_the_layers_of_the_record_are_those_its_energy_is_of() -> None:
    weights = sum(rows * columns for rows, columns in LAYERS)
    assert f"{weights} weights" in make_record()["energy"]["definition"]


@pytest.mark.usefixtures("unrendered")
def test_an_energy_that_no_table_tells_is_not_zero_joules() -> None:
    record = make_record()
    assert "word_line_energy" not in record["device"]
    said = summary(record)
    assert said["energy"]["per_image"]["update"]["word_lines"] is None
    row = next(line for line in text_report(record).splitlines() if line.startswith("    word lines"))
    assert "not in the table" in row
    page = make_page(record)
    assert "not in the table" in page
    assert "<td>0 J</td>" not in page
    for left_out in ("word lines opened for single pulses", "word lines opened for reads"):
        assert any(each.startswith(left_out) for each in said["absent"])
        assert left_out in " ".join(text_report(record).split())


def test_another_device_is_not_described_as_ours() -> None:
    record = make_record()
    first = next(differences(record))
    assert "third-party code" in first
    for table in record["tables"]:
        table["models"] = ["rram"]
    other = next(differences(record))
    assert other.startswith("Reconstruction:")
    assert "third-party code" not in other
    for table in record["tables"]:
        table["models"] = ["pcm"]
    assert next(differences(record)) == first
