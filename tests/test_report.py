"""Reports of a small record and small tables, built here."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest

from spicebridge.lineage import Link
from spicebridge.report import html_report, summary, text_report
from spicebridge.report.device_plots import Sampled, drawn_points, sampled_curves, wilson
from spicebridge.report.markup import tag
from spicebridge.report.quantity import MINUS, setting, si, tops
from spicebridge.simulator import Waveforms
from spicebridge.table import LookupTable

DEVICES = 225
CITED = {"name": "Horowitz, ISSCC 2014, 45 nm, 0.9 V", "digest": ""}
VOID = {"meta", "br", "img", "link", "input", "hr"}


def make_write_table() -> LookupTable:
    """Gumbel curves as the oracle at 0.4 and 0.5 V; at 0.5 V devices that lag it by 20 ps."""
    t_pulse = np.arange(1, 121) * 50e-12
    spans = np.array([[0.55e-9, 0.4e-9], [0.9e-9, 0.7e-9]])
    oracle = np.exp(-30 * np.exp(-t_pulse / spans[..., None]))
    lagging = np.exp(-30 * np.exp(-(t_pulse - 20e-12) / spans[..., None]))
    devices = np.array([[0, DEVICES], [0, DEVICES]])
    switched = np.round(lagging * devices[..., None]).astype(int)
    used = (switched >= 10) & (devices[..., None] - switched >= 10)
    axes = ("direction", "v_write", "t_pulse")
    p_switch = np.where(used, switched / DEVICES, oracle)
    data = xr.Dataset(
        {
            "p_switch": (axes, p_switch, {"units": "1", "scale": "log(-log)"}),
            "p_fokker_planck": (axes, oracle, {"units": "1", "scale": "log(-log)"}),
            "n_samples": (axes, np.broadcast_to(devices[..., None], switched.shape), {"units": "1"}),
            "n_switched": (axes, switched, {"units": "1"}),
            "route": (axes, used.astype(int), {"units": "1"}),
        },
        coords={
            "direction": ["ap_to_p", "p_to_ap"],
            "v_write": ("v_write", [0.4, 0.5], {"units": "V"}),
            "t_pulse": ("t_pulse", t_pulse, {"units": "s"}),
        },
    )
    lineage = {
        "parameters": {
            "alpha": {"value": 0.01, "unit": "1", "source": "assumed; published decks use 0.0062 to 0.05"},
            "v_h": {"value": 0.5, "unit": "V", "source": "BUAA VGSOT compact model"},
        },
        "cell": {"card": "ptm45hp", "w_n": 4e-7, "temperature": 300.15},
    }
    return LookupTable(data=data, name="mtj_write", lineage=lineage, origin={})


def make_read_table() -> LookupTable:
    """Currents and energies that tell state and activation apart, at one operating point."""
    axes = ("state", "activation", "v_read", "t_read")
    current = np.array([[14e-6, 0, -14e-6], [-14e-6, 0, 14e-6]])[:, :, None, None]
    energy = np.array([[12.5e-15, 0.1e-15, 12.5e-15]] * 2)[:, :, None, None]
    data = xr.Dataset(
        {"current": (axes, current, {"units": "A"}), "energy": (axes, energy, {"units": "J"})},
        coords={
            "state": ["ap_p", "p_ap"],
            "activation": ["-1", "0", "+1"],
            "v_read": ("v_read", [0.2], {"units": "V"}),
            "t_read": ("t_read", [1e-9], {"units": "s"}),
        },
    )
    return LookupTable(data=data, name="synapse_read", lineage={}, origin={})


WRITE, READ = make_write_table(), make_read_table()
TABLES = {WRITE.digest: WRITE, READ.digest: READ}


def make_arm(finals: tuple[float, ...]) -> dict[str, Any]:
    runs = [
        {
            "seed": seed,
            "test_accuracy": final,
            "epochs": [
                {"epoch": epoch, "test_accuracy": final / 100 - 0.1 / epoch + 0.05} for epoch in (1, 2)
            ],
        }
        for seed, final in enumerate(finals, start=1)
    ]
    return {
        "runs": runs,
        "accuracy": float(np.mean(finals)),
        "accuracy_spread": float(np.std(finals, ddof=1)) if len(finals) > 1 else None,
    }


def line(
    component: str, action: str, events: int, joules: float, source: LookupTable | None = None
) -> dict[str, Any]:
    stamp = {"name": source.name, "digest": source.digest} if source else CITED
    return {
        "component": component,
        "action": action,
        "events": events,
        "joules": joules,
        "source": stamp,
    }


def make_record() -> dict[str, Any]:
    """A record as a training run writes it, of two seeds and two epochs."""
    return {
        "experiment": "digits_ternary_mtj",
        "description": "8x8 digits on a ternary network",
        "settings": {"evaluate_on": "test", "input_bits": 4, "encoding": "inverse", "hidden": [16]},
        "seeds": [1, 2],
        "data": {
            "name": "digits",
            "checksum": "c0ffee",
            "split": "1347 training and 450 test images, seed 0",
        },
        "device": {
            "v_write": 0.5,
            "timing_step": 50e-12,
            "longest_pulse": {"ap_to_p": 6e-9},
            "v_read": 0.2,
            "t_read": 1e-9,
            "zero_state": "ap_ap",
        },
        "tables": [{"name": each.name, "digest": each.digest} for each in (WRITE, READ)],
        "arms": {
            "table": make_arm((97.0, 98.0)),
            "ideal": make_arm((97.25, 97.75)),
            "float": make_arm((98.5, 98.75)),
        },
        "accuracy": 97.5,
        "ideal_accuracy": 97.5,
        "baseline_accuracy": 98.625,
        "feedforward": {
            "tops_per_watt": 150.0,
            "energy_per_op": 1 / 150 * 1e-12,
            "energy_per_mac": 2 / 150 * 1e-12,
            "energy_per_image": 2.5e-10,
            "images": 900,
            "per_read": {"tops_per_watt": 540.0, "energy_per_op": 1.85e-15},
            "mean_of_nine": {"tops_per_watt": 250.0, "energy_per_op": 4e-15},
            "with_periphery": {"tops_per_watt": 11.5, "energy_per_op": 87e-15, "absent": ["wires"]},
            "layers": [
                {
                    "name": "layer 1",
                    "inputs": 64,
                    "outputs": 10,
                    "planes": 4,
                    "energy_per_op": 6.7e-15,
                    "tops_per_watt": 150.0,
                }
            ],
            "definition": "1 MAC = 2 operations",
        },
        "update": {
            "tops_per_watt": 66.0,
            "energy_per_op": 15e-15,
            "energy_per_update": 30e-15,
            "energy_per_pulse": 34e-15,
            "energy_per_flip": 16.4e-12,
            "updates": 1000,
            "reads": 960,
            "pulses": 400,
            "flips": 2,
            "pulse_widths": {
                "ap_to_p": {"width": [0.5e-9, 1.5e-9], "pulses": [300, 100]},
                "p_to_ap": {"width": [0.5e-9, 1.5e-9], "pulses": [0, 0]},
            },
            "with_periphery": {
                "tops_per_watt": 0.075,
                "energy_per_op": 13e-12,
                "absent": ["wires", "dither"],
            },
            "definition": "one synapse's update in one step = 2 operations",
        },
        "ledgers": {
            "feedforward": [
                line("layer 1", "read p_ap at activation +1", 500, 2.25e-7, READ),
                line("layer 1 periphery", "ADC conversion, 6 bit", 900, 1.8e-9),
            ],
            "update": [
                line("update", "pulse ap_to_p", 400, 1.36e-11, WRITE),
                line("update periphery", "Adam add", 3000, 2.7e-9),
            ],
        },
    }


def make_waveforms() -> Waveforms:
    time = np.linspace(0, 5e-9, 101)
    vectors = {
        "time": time,
        "u": np.where(time > 0.2e-9, 0.5, 0.0),
        "e": np.where(time > 0.1e-9, 1.2, 0.0),
        "n.x_cell.n_mtj#mz": np.tanh((time - 2e-9) / 0.5e-9),
        "v_ref#branch": np.where(time > 0.2e-9, 40e-6, 0.0),
    }
    return Waveforms(analysis="tran", vectors=vectors, measures={"energy": 1.25e-13}, engine="46", log="")


def make_chain() -> tuple[Link, ...]:
    decks = tuple(Link("deck", f"{n:064x}") for n in range(3))
    table = Link("table", "mtj_write", (f"digest {WRITE.digest}",), decks)
    return (Link("figure", "accuracy 97.50 %", (), (Link("run", "digits_ternary_mtj", (), (table,)),)),)


def make_page(record: dict[str, Any], **changed: Any) -> str:
    given: dict[str, Any] = {"tables": TABLES, "chain": make_chain(), "write": make_waveforms()}
    return html_report(record, **(given | changed))


class Reader(HTMLParser):
    """A page's elements and text; refuses tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [each["id"] or "" for _, each in self.elements if "id" in each]


@pytest.fixture(scope="module")
def page() -> str:
    return make_page(make_record())


def test_a_summary_has_the_headline_figures_in_per_cent_and_si_units() -> None:
    said = summary(make_record())
    assert (said["accuracy"], said["baseline_accuracy"], said["ideal_accuracy"]) == (97.5, 98.625, 97.5)
    assert said["accuracy_spread"] == pytest.approx(2**-0.5)
    assert said["feedforward"]["tops_per_watt"] == 150.0
    assert said["feedforward"]["mean_of_nine"]["tops_per_watt"] == 250.0
    assert said["feedforward"]["per_read"]["energy_per_op"] == 1.85e-15
    assert said["update"]["energy_per_op"] == 15e-15
    assert said["update"]["energy_per_flip"] == 16.4e-12
    assert said["update"]["with_periphery"]["tops_per_watt"] == 0.075
    assert said["tables"] == [{"name": each.name, "digest": each.digest} for each in (WRITE, READ)]
    assert said["absent"] == ["wires", "dither"]
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
    assert "11.5 TOPS/W" in sentences["Array only"]
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
    assert "Not run: circuit tables, ideal GXNOR (tanh)." in text
    assert "holds no energies" in text


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
        "0.0750 TOPS/W",
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


def test_a_missing_table_is_said_and_the_figures_stay() -> None:
    text = Reader(make_page(make_record(), tables={READ.digest: READ}, write=None)).text
    assert f"mtj_write, digest {WRITE.digest}" in text
    assert "Not at hand" in text
    assert "150 TOPS/W" in text
    assert "Fokker-Planck line" not in text
    assert "No waveforms" in text


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


def test_tables_of_unknown_size_are_named_without_one(page: str) -> None:
    assert f"  mtj_write      {WRITE.digest}\n" in text_report(make_record())
    assert "Tables: mtj_write; synapse_read." in page


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


def test_the_page_says_how_late_the_monte_carlo_runs_in_the_tail(page: str) -> None:
    text = Reader(page).text
    assert "up to 1.5 % late in time against Fokker-Planck, a bias of its 1.25 ps time step" in text
    assert "10 to 25 % in P" in text
    assert "1.25 ps" not in text_report(make_record())


def test_the_waveforms_are_said_to_be_of_this_runs_cell_and_voltage(page: str) -> None:
    assert (
        "One write from AP to P: netlists/mtj_write.cir with this run's cell and voltage" in Reader(page).text
    )


@pytest.mark.parametrize("switched", [1, 7, 112, 224])
def test_error_bars_are_wilson_intervals(switched: int) -> None:
    low, high = wilson(np.array([float(switched)]), DEVICES)
    # One standard error holds 68.27 %.
    oracle = binomtest(switched, DEVICES).proportion_ci(confidence_level=0.6826894921, method="wilson")
    assert (low[0], high[0]) == (pytest.approx(oracle.low), pytest.approx(oracle.high))


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


def test_every_number_below_zero_on_the_page_has_a_true_minus_sign(page: str) -> None:
    text = Reader(page).text
    for said in (f"{MINUS}14.0 µA", f"w = {MINUS}1 (AP, P)", f"x = {MINUS}1", f"mz from {MINUS}1.00 to 1.00"):
        assert said in text
    # A hyphen in a name or an exponent follows a letter or a digit.
    assert re.findall(r"(?<![\w-])-\d[^ ]*", text) == []
