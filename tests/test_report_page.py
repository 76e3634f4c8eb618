"""The page of a small record: whole HTML, every figure and plot on it, the sampled points it draws."""

from __future__ import annotations

import copy
import re
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from circuits.cell import Cell
from circuits.passive_array_cell import ArrayCell
from circuits.pcm_cell import PcmCell
from spicebridge.errors import SpicebridgeError
from spicebridge.lineage import Link
from spicebridge.report import headline_text, summary, text_report
from spicebridge.report.device_plots import Sampled, drawn_points, sampled_curves, wilson
from spicebridge.report.device_sections import CELL_UNITS, parameters
from spicebridge.report.markup import tag
from spicebridge.report.quantity import MINUS
from spicebridge.table import LookupTable
from tests.digits_record import DEVICES, READ, WRITE, Reader, make_page, make_record


@pytest.fixture(scope="module")
def page() -> str:
    return make_page(make_record())


def test_the_page_is_whole_html_that_fetches_nothing(page: str) -> None:
    reader = Reader(page)
    assert "://" not in page
    assert "@import" not in page
    assert not {"script", "link", "iframe", "img", "object"} & {name for name, _ in reader.elements}
    for _, attributes in reader.elements:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert len(page) < 3_000_000


def test_ids_on_the_page_are_unique_and_every_reference_is_met(page: str) -> None:
    reader = Reader(page)
    assert len(set(reader.ids())) == len(reader.ids())
    for _, attributes in reader.elements:
        reference = attributes.get("href") or attributes.get("aria-labelledby")
        assert reference is None or reference.removeprefix("#") in reader.ids()


def test_every_plot_has_a_text_alternative_and_follows_the_colour_scheme(page: str) -> None:
    drawn = [each for name, each in Reader(page).elements if name == "svg"]
    names = ("accuracy", "feedforward-energy", "update-energy", "switching-ap_to_p", "switching-p_to_ap")
    assert [each["aria-labelledby"] for each in drawn] == [
        f"{name}-title" for name in (*names, "waveforms", "widths")
    ]
    assert "prefers-color-scheme: dark" in page
    assert "var(--series-1)" in page
    assert "stroke: #0969a8" not in page


def test_the_page_shows_figures_parameters_and_lineage(page: str) -> None:
    text = Reader(page).text
    for said in (
        "97.50 ± 0.71 %",
        "paper: 18.3 TOPS/W",
        "paper: 3 TOPS/W",
        f"{MINUS}1.12 points",
        "1 of the 2 device parameters are assumed",
        "BUAA VGSOT compact model",
        "cited: Horowitz, ISSCC 2014, 45 nm, 0.9 V",
        "w_n 400 nm",
        "14.0 µA",
        "One write from AP to P",
        "3 decks",
    ):
        assert said in text


def test_axes_carry_their_units(page: str) -> None:
    text = Reader(page).text
    for label in (
        "accuracy, test images (%)",
        "pulse width (ns)",
        "voltage (V)",
        "MTJ current (µA)",
        "time (ns)",
        "energy of one inference (J)",
        "share of pulses (%)",
    ):
        assert label in text


def test_the_page_says_which_share_of_pulses_rests_on_the_fokker_planck_route(page: str) -> None:
    # 300 of 400 pulses are 0.5 ns wide, where no device had switched.
    assert "75 % of the pulses have a width" in Reader(page).text


@pytest.mark.usefixtures("unrendered")
def test_text_from_a_record_cannot_become_markup() -> None:
    record = make_record()
    hostile = '<script>alert("x")</script> & <b>'
    record["description"] = hostile
    record["ledgers"]["update"][0]["action"] = hostile
    page = make_page(record, chain=(Link("figure", hostile, (hostile,)),))
    assert "<script" not in page
    assert "<b>" not in page
    assert hostile in Reader(page).text


def test_an_attribute_cannot_be_broken_out_of() -> None:
    assert tag("p", "a", title='"><i>') == '<p title="&quot;&gt;&lt;i&gt;">a</p>'


def test_the_same_run_gives_the_same_page(page: str) -> None:
    assert make_page(copy.deepcopy(make_record())) == page


@pytest.mark.usefixtures("unrendered")
def test_a_missing_table_is_said_and_the_figures_stay() -> None:
    text = Reader(make_page(make_record(), tables={READ.digest: READ}, write=None)).text
    assert f"mtj_write, digest {WRITE.digest}" in text
    assert "Not at hand" in text
    assert "150 TOPS/W" in text
    assert "Fokker-Planck line" not in text
    assert "No waveforms" in text


@pytest.mark.usefixtures("unrendered")
def test_a_table_without_an_oracle_still_gives_the_probability_of_each_width() -> None:
    bare = LookupTable(data=WRITE.data[["p_switch"]], name="mtj_write", lineage={}, origin={})
    record = make_record()
    record["tables"][0]["digest"] = bare.digest
    page = make_page(record, tables={bare.digest: bare})
    assert 'id="widths"' in page
    assert 'id="switching-ap_to_p"' not in page


def test_sampled_points_are_what_the_devices_did() -> None:
    (curve,) = sampled_curves(WRITE, "ap_to_p")
    assert curve.v_write == 0.5
    assert (curve.devices == DEVICES).all()
    row = WRITE.data["n_switched"].sel(direction="ap_to_p", v_write=0.5)
    assert np.array_equal(curve.switched, row.sel(t_pulse=curve.t_pulse).values)
    assert (curve.switched[curve.seen] > 0).all()
    assert (curve.switched[curve.seen] < DEVICES).all()
    difference, _ = curve.worst()
    assert difference is not None
    assert 0.01 < difference < 0.05


def make_curve(**changed: Any) -> Sampled:
    """Four widths; the table uses the middle two, and the first is off by the most standard errors."""
    given: dict[str, Any] = {
        "v_write": 0.5,
        "t_pulse": np.array([1e-9, 2e-9, 3e-9, 4e-9]),
        "switched": np.array([0.0, 60.0, 109.0, 200.0]),
        "devices": np.full(4, 200.0),
        "oracle": np.array([0.08, 0.25, 0.5, 0.999]),
        "used": np.array([False, True, True, False]),
    }
    return Sampled(**(given | changed))


def test_the_largest_difference_and_the_largest_deviation_are_of_their_own_points() -> None:
    difference, deviation = make_curve().worst()
    # In P, of the used points, the second; in standard errors the first, unused, where none had switched.
    assert difference == pytest.approx(0.05)
    assert deviation == pytest.approx(0.08 / np.sqrt(0.08 * 0.92 / 200))


@pytest.mark.parametrize("side", [0.02, 0.98])
def test_points_with_few_devices_expected_on_a_side_have_no_standard_errors(side: float) -> None:
    # Four of 200 expected there, and twenty seen: left out, far off as it is.
    lone = make_curve(oracle=np.full(4, side), switched=np.full(4, 20.0), used=np.zeros(4, dtype=bool))
    assert lone.worst() == (None, None)


def test_only_points_with_devices_on_both_sides_are_drawn() -> None:
    (curve,) = sampled_curves(WRITE, "ap_to_p")
    drawn = drawn_points(curve)
    assert not curve.seen.all()
    assert curve.seen[drawn].all()
    assert len(drawn) > 5
    assert len(drawn_points(make_curve(switched=np.zeros(4)))) == 0


def with_nobody_switched() -> LookupTable:
    """The write table, from AP to P at 0.5 V sampled for so short that no device switched."""
    data = WRITE.data.copy(deep=True)
    row = {"direction": "ap_to_p", "v_write": 0.5}
    data["n_switched"].loc[row] = 0
    data["route"].loc[row] = 0
    data["p_switch"].loc[row] = data["p_fokker_planck"].loc[row]
    data["n_samples"].loc[row] = np.where(data["t_pulse"] < 0.45e-9, DEVICES, 0)
    return LookupTable(data=data, name="mtj_write", lineage={}, origin={})


@pytest.mark.usefixtures("unrendered")
def test_a_voltage_at_which_no_device_switched_is_reported_as_such() -> None:
    table, record = with_nobody_switched(), make_record()
    record["tables"][0]["digest"] = table.digest
    text = Reader(make_page(record, tables={table.digest: table})).text
    assert f"AP to P, 0.5 V {DEVICES} none used too few" in text.replace("\n", " ")
    assert "0, 0.0 expected" in text
    assert "Switching probability against pulse width, AP to P" in text


def test_the_agreement_table_shows_both_figures_of_a_curve(page: str) -> None:
    difference, deviation = sampled_curves(WRITE, "ap_to_p")[0].worst()
    assert f"AP to P, 0.5 V {DEVICES} {difference:.3f} {deviation:.1f} " in Reader(page).text


def test_accuracy_and_energy_come_before_what_differs_from_the_paper(page: str) -> None:
    titles = (
        "<h2>Accuracy</h2>",
        "<h2>Energy</h2>",
        "<h2>What differs from the paper</h2>",
        "<h2>Writing</h2>",
    )
    places = [page.index(each) for each in titles]
    assert places == sorted(places)
    assert 'href="#differences"' in page


def test_tables_of_unknown_size_are_named_without_one(page: str) -> None:
    assert f"  mtj_write      {WRITE.digest}\n" in text_report(make_record())
    assert "Tables: mtj_write; synapse_read." in page


def test_the_page_says_how_late_the_monte_carlo_runs_in_the_tail(page: str) -> None:
    text = Reader(page).text
    assert "0.7 ± 0.3 % late in time against Fokker-Planck, 7 to 9 % in P" in text
    assert "late in time" not in text_report(make_record())


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(
    "cell",
    [{}, {"mtj": "mtj_mine"}, {"mtj": "mtj_b", "card": "ptm65"}, {"mtj": "mtj_b", "temperature": 350.0}],
)
def test_a_lateness_is_claimed_only_of_the_cell_it_was_measured_on(cell: dict[str, Any]) -> None:
    other = LookupTable(data=WRITE.data, name="mtj_write", lineage={"cell": cell}, origin={})
    record = make_record()
    record["tables"][0]["digest"] = other.digest
    text = Reader(make_page(record, tables={other.digest: other, READ.digest: READ})).text
    assert "there the table holds the Fokker-Planck value" in text
    assert "late in time" not in text


def test_a_record_of_an_unknown_study_is_refused() -> None:
    record = make_record() | {"study": "memristor_zoo"}
    for told in (summary, text_report, headline_text, make_page):
        with pytest.raises(SpicebridgeError, match="of study 'memristor_zoo', of which there is no report"):
            told(record)


@pytest.mark.parametrize("kind", [Cell, ArrayCell, PcmCell])
def test_every_setting_of_every_systems_cell_has_its_unit(kind: type) -> None:
    made = kind()
    numbers = [each.name for each in fields(made) if isinstance(getattr(made, each.name), float)]
    assert set(numbers) <= set(CELL_UNITS)
    table = LookupTable(data=WRITE.data, name="t", lineage={"cell": asdict(made)}, origin={})
    said = str(parameters([table]))
    for name in numbers:
        shown = re.search(rf"\b{name} (.+?)(?:, [a-z]|\.</p>)", said)
        assert shown is not None
        assert shown[1].endswith(CELL_UNITS[name]), (name, shown[1])


def test_the_waveforms_are_said_to_be_of_this_runs_cell_and_voltage(page: str) -> None:
    text = Reader(page).text
    assert "One write from AP to P: netlists/mtj_write.cir with this run's device, transistors, gate" in text
    assert "the netlist's own line drivers and temperature" in text


@pytest.mark.parametrize("switched", [1, 7, 112, 224])
def test_error_bars_are_wilson_intervals(switched: int) -> None:
    low, high = wilson(np.array([float(switched)]), DEVICES)
    # One standard error holds 68.27 %.
    oracle = binomtest(switched, DEVICES).proportion_ci(confidence_level=0.6826894921, method="wilson")
    assert (low[0], high[0]) == (pytest.approx(oracle.low), pytest.approx(oracle.high))


def test_every_number_below_zero_on_the_page_has_a_true_minus_sign(page: str) -> None:
    text = Reader(page).text
    for said in (f"{MINUS}14.0 µA", f"w = {MINUS}1 (AP, P)", f"x = {MINUS}1", f"mz from {MINUS}1.00 to 1.00"):
        assert said in text
    # A hyphen in a name or an exponent follows a letter or a digit.
    assert re.findall(r"(?<![\w-])-\d[^ ]*", text) == []
