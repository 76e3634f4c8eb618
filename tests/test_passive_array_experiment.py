"""The study as an experiment: its file, its write points, one small run from tables to record and report."""

from __future__ import annotations

import json
import multiprocessing
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

from nn.experiment import Experiment, json_like
from nn.passive_array.cells import draw_cells
from nn.passive_array.experiment import ArrayExperiment
from nn.passive_array.judgement import summarize
from nn.passive_array.operating import arrays_of, best_point, writing_at
from nn.passive_array.placement import place
from nn.passive_array.plan import case_name
from nn.passive_array.record import weights_digest
from nn.passive_array.run import run
from nn.passive_array.study import STAGES
from nn.passive_array.writing import TO_AP, TO_P
from nn.studies import load_study, run_study
from spicebridge.errors import SpicebridgeError
from spicebridge.lineage import chain, chain_text
from spicebridge.project import netlists_folder, reference_folder
from spicebridge.report import headline_text, html_report, summary, text_report
from spicebridge.report.study_summary import finding
from tests.synthetic_array import PULSE_ENERGY, READ_ENERGY, flips, read_table, tables, write_table

NAME = "wine_passive_array"
SMALL = {
    "solutions": 12,
    "epochs": 20,
    "diameters": [40e-9, 100e-9],
}
PAIR = place(inputs=15, hidden=7, classes=3)


def small(**changes: Any) -> ArrayExperiment:
    found = load_study(NAME, overrides=SMALL | changes)
    assert isinstance(found, ArrayExperiment)
    return found


@cache
def ran() -> tuple[dict[str, Any], Path, list[tuple[int, int, str]]]:
    """One small run: its record, its folder, what progress was told."""
    folder, told = Path(mkdtemp()), []
    record = run(small(), tables(), folder=folder, progress=lambda *each: told.append(each))
    return record, folder, told


def case_of(record: dict[str, Any], name: str) -> dict[str, Any]:
    return next(case for case in record["cases"] if case["case"] == name)


def test_both_kinds_of_experiment_are_told_apart() -> None:
    assert isinstance(load_study("digits_ternary_mtj"), Experiment)
    study = load_study(NAME)
    assert isinstance(study, ArrayExperiment)
    assert study.seeds == tuple(range(1, 301))
    assert (study.split.train, study.split.test) == (135, 43)


def test_a_files_settings_come_back_from_what_a_record_keeps() -> None:
    study = small()
    again = load_study(NAME, overrides=json_like(study))
    assert again == study
    json.dumps(json_like(study))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("study", "active_array", "study = 'active_array' is none of: passive_array"),
        ("seeds", [1, 2], "set solutions and first_seed"),
        ("solution", 3, "did you mean 'solutions'"),
        ("solutions", 3, "at least 4"),
        ("solutions", 0.5, "must be a whole number"),
        ("diameters", [], "must name one or more"),
        ("diameters", "wide", "must be a list of numbers"),
        ("diameter", 30e-9, "is not one of the diameters"),
        ("schemes", ["halve"], "did you mean 'half'"),
        ("schemes", ["half", "half"], "each once"),
        ("placement", "pairs", "did you mean 'pair'"),
        ("hidden", 8, "needs 15 rows and 16 columns"),
        ("hidden", 0, "must be 1 or more"),
        ("split.train", 170, "must be two parts of the 178 samples"),
        ("spread.ra", -1.0, "must be a finite number"),
        ("aware.flips", 0.5, "must lie in"),
        ("defects.open", 2.0, "must lie in"),
        ("fidelity.lowest", 1.0, "lowest < highest"),
        ("v_read", float("nan"), "above zero"),
        ("tables", "array_write", "must be a section"),
        ("name", "a/b", "letters, digits"),
    ],
)
def test_a_wrong_setting_is_told(key: str, value: Any, told: str) -> None:
    with pytest.raises(SpicebridgeError, match=re.escape(told)):
        load_study(NAME, overrides={key: value})


def test_arms_are_refused_where_there_are_none() -> None:
    with pytest.raises(SpicebridgeError, match="has stages, not arms"):
        run_study(
            small(), tables(), folder=Path("nowhere"), arms=["table"], workers=1, show=lambda *_: None,
            data_folder=None, allow_holes=False, circumstances={},
        )  # fmt: skip


def test_an_interrupt_says_that_nothing_is_kept(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SpicebridgeError, match="Nothing is kept of a part of wine_passive_array"):
        run_study(
            small(), tables(), folder=tmp_path, arms=None, workers=1, show=interrupt,
            data_folder=None, allow_holes=False, circumstances={},
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_the_arrays_are_those_of_the_tables() -> None:
    arrays = arrays_of(small(), tables())
    assert (arrays.wiring.r_word, arrays.wiring.r_source, arrays.wiring.g_leak_bit) == (5.0, 50.0, 1e-6)
    assert (arrays.device.ra, arrays.device.tmr, arrays.device.v_h) == (1e-11, 1.0, 0.5)
    assert arrays.of(100e-9).diameter == 100e-9


@pytest.mark.parametrize(
    ("changed", "settings", "told"),
    [
        ({"array_read": read_table(cell={"rows": 8})}, {}, "of different arrays: their cell differs"),
        ({"array_write": write_table(sweep={"r_segment": 2.0})}, {}, "was made at 2"),
        ({"array_read": write_table()}, {}, "lacks transmission"),
        ({}, {"v_read": 0.2}, "was made at 0.15"),
        ({}, {"r_segment": 3.0}, "has no r_segment of 3.0. It has: 1.0, 5.0"),
        ({}, {"t_pulse": 15e-9}, "has no t_pulse"),
        ({}, {"diameters": [40e-9, 60e-9]}, "has no diameter of 6e-08"),
    ],
)
def test_tables_that_do_not_fit_are_refused(changed: dict, settings: dict, told: str) -> None:
    with pytest.raises(SpicebridgeError, match=told):
        arrays_of(small(**settings), tables() | changed)


def test_a_missing_table_is_told_with_the_way_to_make_it() -> None:
    with pytest.raises(SpicebridgeError, match="spicebridge characterize array_read"):
        arrays_of(small(), {"array_write": write_table()})


def test_a_table_with_holes_is_refused_unless_allowed() -> None:
    holed = write_table(failed=[{"at": {}, "why": "no convergence"}])
    with pytest.raises(SpicebridgeError, match="array_write has holes: 1 without a value"):
        run(small(), {"array_write": holed, "array_read": read_table()}, folder=Path("nowhere"))


def test_odds_are_the_tables_at_each_cells_own_switching_voltage() -> None:
    arrays, seeds = arrays_of(small(), tables()), (3, 4)
    pulses = writing_at(arrays, PAIR, seeds, scheme="half", diameter=40e-9, v_write=0.5)
    cells = draw_cells(seeds, PAIR, arrays.device)
    row, column = np.indices((15, 15))
    v_cell = 0.5 * 0.4 / cells.v_switch * (1 - 0.003 * (14 - row + column))
    assert pulses.success.shape == (2, 2, 2, 15, 15)
    for direction in (TO_AP, TO_P):
        np.testing.assert_allclose(pulses.success[direction], flips(v_cell), rtol=1e-9)
    assert pulses.success[TO_P].std() > 0.001


def test_the_write_point_is_the_best_of_the_table_and_knows_no_data() -> None:
    arrays = arrays_of(small(), tables())
    points = {scheme: best_point(arrays, scheme=scheme, diameter=40e-9) for scheme in ("half", "third")}
    # A cell flips at 0.42 V: the better scheme leaves more room between that and what it half-selects.
    assert 0.42 < points["half"].v_write < 0.8
    assert points["third"].predicted >= points["half"].predicted > 0.97
    assert not points["half"].at_end
    other = arrays_of(small(first_seed=1000, solutions=30), tables())
    assert best_point(other, scheme="half", diameter=40e-9) == points["half"]


def test_a_record_holds_every_solution_of_every_case() -> None:
    record = ran()[0]
    assert record["seeds"] == list(range(1, 13))
    names = [case["case"] for case in record["cases"]]
    assert len(set(names)) == len(names)
    for diameter in small().diameters:
        for scheme in ("half", "third"):
            assert case_name(diameter, scheme) in names
    assert {"aware_half", "aware_third", "stuck", "shorted", "open", "ideal", "drawn_fidelity"} <= set(names)
    for case in record["cases"]:
        assert set(case["stages"]) == set(case["summary"]) == set(STAGES)
        for stage, each in case["stages"].items():
            assert len(each["correct"]) == 12
            shares = np.array(each["correct"]) / case["test_samples"]
            assert case["summary"][stage] == pytest.approx(summarize(shares))


def test_the_headline_is_the_first_case_at_its_diameter_by_the_better_scheme() -> None:
    record = ran()[0]
    first, point = record["cases"][0], record["cases"][0]["point"]
    assert point["diameter"] == record["settings"]["diameter"]
    rival = case_of(record, case_name(40e-9, "half" if point["scheme"] == "third" else "third"))
    assert point["predicted"] >= rival["point"]["predicted"]
    assert record["accuracy"] == first["summary"]["thresholds_tuned"]["median"]
    assert record["baseline_accuracy"] == first["summary"]["software"]["median"]
    assert record["stages"] == first["summary"]
    assert record["write_fidelity"] == pytest.approx(1 - np.mean(first["wrong_cells"]) / first["cells"])


def test_cases_do_what_they_are_called() -> None:
    record = ran()[0]
    mean = {
        case["case"]: {s: each["mean"] for s, each in case["summary"].items()} for case in record["cases"]
    }
    ideal = mean["ideal"]
    assert ideal["software"] == ideal["write_errors"] == ideal["lines"]
    assert case_of(record, "ideal")["write_fidelity"] == 1.0
    assert mean["aware_half"]["software"] != mean["40nm_half"]["software"]
    assert mean["100nm_half"]["software"] == mean["40nm_half"]["software"]
    assert case_of(record, "verified_half")["write_fidelity"] > case_of(record, "40nm_half")["write_fidelity"]
    assert mean["shorted"]["spread"] < mean["shorted"]["write_errors"] - 5
    drawn = 1 - np.array(case_of(record, "drawn_fidelity")["wrong_cells"]) / 258
    assert 0.80 < drawn.min() < 0.93 < drawn.max() <= 1


def test_a_run_gives_the_same_values_whatever_the_workers_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = small(solutions=5, epochs=3, diameters=[40e-9], schemes=["half"])
    record, told = run(chosen, tables(), folder=tmp_path / "one"), []
    monkeypatch.setattr("nn.passive_array.run.BLOCK", 2)
    again = run(
        chosen, tables(), folder=tmp_path / "two", workers=2, progress=lambda *each: told.append(each[:2])
    )
    assert told[-1] == (5, 5)
    assert len([each for each in told if each[0]]) == 3
    for key in set(record) - {"circumstances"}:
        assert again[key] == record[key], key


@pytest.mark.slow
def test_a_killed_worker_is_told_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(done: int, *_: object) -> None:
        for child in multiprocessing.active_children() if done else ():
            child.kill()

    monkeypatch.setattr("nn.passive_array.run.BLOCK", 2)
    chosen = small(epochs=1, schemes=["half"], diameters=[40e-9])
    with pytest.raises(SpicebridgeError, match="a worker of the study died"):
        run(chosen, tables(), folder=tmp_path, workers=2, progress=kill)
    assert not list(tmp_path.iterdir())
    assert not multiprocessing.active_children()


def test_progress_ends_with_all_solutions() -> None:
    told = ran()[2]
    assert [each[:2] for each in told if each[0]] == [(12, 12)]
    assert all("write point" in words for done, _, words in told if not done)


def test_weights_lie_beside_the_record_with_their_digest() -> None:
    record, folder, _ = ran()
    with np.load(folder / "weights.npz", allow_pickle=False) as kept:
        weights = {name: kept[name] for name in kept.files if name != "meta"}
    assert weights_digest(weights) == record["weights"]["digest"]
    assert weights["plain.hidden"].shape == (12, 15, 7)
    assert set(np.unique(weights["plain.hidden"])) == {-1, 1}
    assert record["weights"]["distinct"] == 12


def test_the_record_on_disk_is_the_record_in_few_bytes() -> None:
    record, folder, _ = ran()
    text = (folder / "record.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(record))
    assert len(text) < 120_000
    assert sum(line.startswith('{"about"') for line in text.splitlines()) == len(record["cases"])


def test_an_inference_costs_its_reads_scaled_by_the_square_of_its_inputs() -> None:
    record = ran()[0]
    block = record["feedforward"]
    entries = {
        (e["component"], e["action"]): e for e in record["ledgers"]["feedforward"] if e["source"]["digest"]
    }
    half = (READ_ENERGY["all_p"] + READ_ENERGY["all_ap"]) / 2
    second = 8 / 15 * (6 / 15 * half + 9 / 15 * READ_ENERGY["all_ap"])
    found = entries["layer 2", "read"]
    assert found["joules"] / found["events"] == pytest.approx(second, rel=1e-9, abs=0.0)
    assert found["events"] == 12 * 43
    most = 14 / 15 * half + READ_ENERGY["all_ap"] / 15
    assert 0.2 * most < entries["layer 1", "read"]["joules"] / found["events"] < 0.5 * most
    total = sum(e["joules"] for e in entries.values())
    assert block["energy_per_inference"] == pytest.approx(total / (12 * 43), rel=1e-9, abs=0.0)
    assert block["macs"] == 15 * 7 + 8 * 3
    assert block["tops_per_watt"] == pytest.approx(2 * 129 / block["energy_per_inference"] * 1e-12)
    told = record["accounting"]
    assert told["feedforward"]["array"]["tops_per_watt"] == pytest.approx(block["tops_per_watt"])
    assert told["feedforward"]["all_in"]["tops_per_watt"] < block["tops_per_watt"]
    every_row = most + second
    assert told["feedforward"]["dense"]["array"]["energy_per_image"] == pytest.approx(every_row)
    assert told["training_step"]["all_in"]["why"].startswith("not applicable")


def test_writing_costs_a_pulse_a_cell() -> None:
    block = ran()[0]["write"]
    assert block["pulses_per_solution"] == 450
    assert block["energy_per_pulse"] == pytest.approx(PULSE_ENERGY, rel=1e-9, abs=0.0)
    assert block["energy_per_solution"] == pytest.approx(450 * PULSE_ENERGY, rel=1e-9, abs=0.0)
    assert block["time_per_solution"] == pytest.approx(450 * 20e-9, rel=1e-9, abs=0.0)


def page() -> str:
    record = ran()[0]
    known = {table.digest: table for table in tables().values()}
    return html_report(record, tables=known, chain=chain(record, known, netlists_folder()), write=None)


def test_the_summary_is_json_with_what_scripts_ask_for() -> None:
    record = ran()[0]
    said = json.loads(json.dumps(summary(record)))
    for key in ("accuracy", "baseline_accuracy", "write_fidelity", "stages"):
        assert said[key] == json.loads(json.dumps(record[key]))
    assert list(said["stages"]) == list(STAGES)
    assert said["cases"]["40nm_half"]["point"]["scheme"] == "half"
    assert said["paper"]["accuracy"] == 95.3
    assert said["feedforward"]["tops_per_watt"] > 0
    assert said["finding"]["words"] == finding(record)


def test_the_finding_is_told_with_its_statistics() -> None:
    record = ran()[0]
    words = finding(record)
    found = record["judgement"]["cases"]["drawn_fidelity"]["thresholds_tuned"]["test"]["fidelity"]
    assert f"r² = {found['explained']:.2f} (95 % confidence" in words
    assert "p = " in words or "p < " in words
    assert ("does not predict" in words) is not found["predicts_alone"]


def test_a_metric_that_predicts_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    record = json.loads(json.dumps(ran()[0]))
    found = record["judgement"]["cases"]["drawn_fidelity"]["thresholds_tuned"]["test"]["fidelity"]
    monkeypatch.setitem(found, "predicts_alone", True)
    assert "Write fidelity alone does predict" in finding(record)


def test_where_nothing_varies_nothing_is_said_of_fidelity() -> None:
    record = json.loads(json.dumps(ran()[0]))
    record["judgement"] = {"cases": {"drawn_fidelity": {"lines": {"test": {}}}}, "fidelity": {}, "pooled": {}}
    assert "nothing can be said" in finding(record)


def test_the_text_report_tells_stages_the_paper_and_what_differs() -> None:
    record = ran()[0]
    text = text_report(record)
    for words in (
        "up to 95.3 %",
        "thresholds tuned",
        "Write fidelity alone",
        "Goodwill",
        "Reconstruction:",
        "V/2",
    ):
        assert words in text, words
    assert f"{record['accuracy']:.2f} %" in headline_text(record)


def test_the_page_has_every_plot_and_needs_no_other_file() -> None:
    html = page()
    for name in ("stages-half", "stages-third", "fidelity", "ir-drop", "disturb", "feedforward-energy"):
        assert html.count(f'<figure id="{name}"') == 1, name
    assert not re.search(r'(?:src|href)="(?!#)', html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert "differences" in ids
    assert page() == html


def test_a_page_without_its_tables_says_so_and_keeps_the_figures() -> None:
    record = ran()[0]
    html = html_report(record, tables={}, chain=chain(record, {}, netlists_folder()), write=None)
    assert "Not at hand" in html
    assert '<figure id="stages-half"' in html
    assert '<figure id="ir-drop"' not in html


def test_the_chain_leads_from_the_figures_to_both_tables() -> None:
    record = ran()[0]
    known = {table.digest: table for table in tables().values()}
    links = chain(record, known, netlists_folder())
    assert [link.name.split()[0] for link in links] == ["accuracy", "feed-forward", "writing"]
    assert [source.name for source in links[0].sources] == [NAME, "array_write", "array_read"]
    assert [source.name for source in links[1].sources] == [NAME, "array_read"]
    assert [source.name for source in links[2].sources] == [NAME, "array_write"]
    text = chain_text(links)
    assert "seeds 1 to 12" in text
    assert record["weights"]["digest"] in text


def test_one_array_with_a_reference_column_is_a_setting(tmp_path: Path) -> None:
    settings = {"placement": "reference", "hidden": 11, "solutions": 4, "epochs": 5, "diameters": [40e-9]}
    record = run(replace(small(**settings), schemes=("half",)), tables(), folder=tmp_path)
    assert record["array"]["network"] == [15, 11, 3]
    assert record["array"]["arrays"] == 1
    assert record["write"]["pulses_per_solution"] == 225


def call(*arguments: str) -> str:
    """What the command prints, having ended well."""
    from click.testing import CliRunner

    from spicebridge.cli import main

    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands_know_the_study(results: Path) -> None:
    for name, table in tables().items():
        table.save(results / "tables" / f"{name}.h5")
    settings = ("solutions=4", "epochs=3", "diameters=[40e-9]", 'schemes=["half"]')
    said = call("train", NAME, "--workers", "1", *(word for each in settings for word in ("--set", each)))
    record = json.loads((results / "runs" / NAME / "record.json").read_text(encoding="utf-8"))
    assert f"after tuning {record['accuracy']:.2f} %" in said
    assert json.loads(call("report", NAME, "--json"))["accuracy"] == record["accuracy"]
    assert "passive 15x15 MTJ arrays" in call("report", NAME)
    assert (results / "reports" / f"{NAME}.html").stat().st_size > 50_000
    assert "table array_write" in call("trace", NAME)
    assert NAME in json.loads(call("list", "--json"))["experiments"]


def test_the_reference_study_meets_what_was_asked() -> None:
    path = reference_folder() / "runs" / NAME / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["seeds"] == list(range(1, 301))
    assert record["weights"]["distinct"] == 300
    assert record["accuracy"] >= 95.3
    assert record["accuracy_mean"] >= 94.0
    assert abs(record["accuracy_mean"] - record["baseline_accuracy_mean"]) <= 1.0
    assert all(len(each["correct"]) == 300 for case in record["cases"] for each in case["stages"].values())
    # Settings that came after the record have what it was made with as their default.
    since = {"allow_mixed_elements": False}
    assert since | record["settings"] == json_like(load_study(NAME))
    assert path.stat().st_size < 300_000
    assert "does not predict" in finding(record)
