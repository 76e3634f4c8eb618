"""The command line: the whole chain in small, from circuits to a report and back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn.studies import accounted
from spicebridge.catalog import find_record
from spicebridge.report import text_report
from spicebridge.table import LookupTable, load_table
from tests.command_line import READ, ROOT, TINY, TRAIN, call, done, refused, stored, tiny


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, compiled_models: Path) -> Path:
    """A results folder after characterize and train in tiny sizes."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / "cache").mkdir()
    (folder / "cache" / "models").symlink_to(compiled_models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder))
        for name in TINY:
            told = done(*tiny(name), "--workers", 2).out
            assert f"Written: {folder / 'tables' / name}.h5" in told
        done(*TRAIN, "--workers", 2)
    return folder


def summary(folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPICEBRIDGE_RESULTS", str(folder))
        found: dict[str, Any] = done("report", "latest", "--json").json
    return found


def test_a_report_has_every_headline_and_the_tables_it_stands_on(chain: Path) -> None:
    found = summary(chain)
    for accuracy in ("accuracy", "baseline_accuracy", "ideal_accuracy"):
        assert 5 < found[accuracy] <= 100
    for phase in ("feedforward", "update"):
        assert found[phase]["energy_per_op"] * found[phase]["tops_per_watt"] * 1e12 == pytest.approx(1.0)
    digests = {table["name"]: table["digest"] for table in found["tables"]}
    for name in ("mtj_write", "synapse_read"):
        assert digests[name] == load_table(chain / "tables" / f"{name}.h5").digest


def test_a_report_is_written_as_one_page_that_needs_no_other_file(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(chain))
    told = done("report").out
    page = Path(re.search(r"Page: (\S+)", told)[1])  # type: ignore[index]
    text = page.read_text()
    assert text.count("<html") == 1
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    assert summary(chain)["tables"][0]["digest"][:12] in text


def test_trace_leads_from_figures_to_decks_and_sources(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(chain))
    told = done("trace", "latest").out
    found = summary(chain)
    for words in (
        "accuracy", "TOPS/W", "alpha = 0.01", "assumed", "stt_mtj", "devices/mtj_b.lib", "seeds 1",
        found["tables"][0]["digest"], found["tables"][1]["digest"],
    ):  # fmt: skip
        assert words in told, words
    decks = load_table(chain / "tables" / "synapse_read.h5").lineage["decks"]
    assert all(deck in done("trace", "synapse_read").out for deck in decks)
    links = done("trace", "latest", "--json").json
    assert links["replay"] == []
    assert [link["what"] for link in links["chain"]] == ["figure"] * 3


def test_trace_replays_a_table_to_the_same_digest(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(chain))
    found = done("trace", "synapse_read", "--replay", "--json").json
    assert found["replay"] == [{"table": "synapse_read", "same": True, "outcome": "the same digest"}]


def test_trace_tells_a_table_whose_values_do_not_come_again(
    chain: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = load_table(chain / "tables" / "synapse_read.h5")
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))
    other = LookupTable(data=table.data * 2, name=table.name, lineage=table.lineage, origin=table.origin)
    for name in table.data.variables:
        other.data[name].attrs = table.data[name].attrs
    other.save(results / "tables" / "synapse_read.h5")
    outcome = call("trace", "synapse_read", "--replay", "--json")
    assert outcome.code == 1
    (found,) = outcome.json["replay"]
    assert found["same"] is False
    digests = f"digest {table.digest[:12]}, recorded {other.digest[:12]}"
    assert found["outcome"] == f"{digests} (the same decks; another ngspice or machine may round otherwise)"


def test_training_ends_with_its_figures_in_three_lines(chain: Path, results: Path) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    told = done(*TRAIN, "--set", "epochs=1", "--arms", "table,float", "--seeds", "3,4").out
    accuracy, energy, where = told.splitlines()
    value = r"[\d.]+ ± [\d.]+ %"
    assert re.fullmatch(rf"accuracy on the tables {value}, ideal tanh not run, float {value}", accuracy)
    figure = r"[\d.]+ [munpf]?J, [\d.]+ TOPS/W"
    forward, update, step = energy.split("; ")
    assert re.fullmatch(rf"feed-forward array {figure}, all-in {figure}", forward)
    assert re.fullmatch(rf"update array {figure}, weight update {figure}", update)
    assert re.fullmatch(r"training step [\d.]+ [munpf]?J", step)
    path = results / "runs" / "digits_ternary_mtj" / "record.json"
    assert where == f"Written: {path}   All of it: spicebridge report digits_ternary_mtj"
    record = json.loads(path.read_text())
    assert record["seeds"] == record["settings"]["seeds"] == [3, 4]


def test_training_resumes_unless_it_is_told_not_to(chain: Path, results: Path) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    kept = results / "runs" / "digits_ternary_mtj" / "checkpoints" / "table-1.npz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"not a checkpoint")
    words = (*TRAIN, "--set", "epochs=1", "--arms", "table", "--seeds", "1")
    outcome = call(*words, "--resume")
    assert outcome.code == 1
    assert f"checkpoint {kept} is damaged" in outcome.err.replace("\n", " ")
    assert "--no-resume" in outcome.err
    assert "accuracy on the tables" in done(*words, "--no-resume").out


def test_training_again_gives_the_same_record_whatever_the_workers(
    chain: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    done(*TRAIN, "--workers", 1)
    assert summary(results) == summary(chain)
    monkeypatch.setenv("SPICEBRIDGE_RESULTS", str(results))


def test_a_sweep_with_failures_is_a_table_with_holes_that_train_refuses(
    tmp_path: Path, results: Path, chain: Path
) -> None:
    definition = tmp_path / "tiny.toml"
    definition.write_text(READ.replace("[1e-9]", "[1e-12, 1e-9]"))  # the first is shorter than its own edges
    outcome = call("characterize", definition, "--workers", "1")
    assert outcome.code == 1
    assert "tiny: 1 point without a value" in outcome.err
    assert "non-increasing PWL" in outcome.err
    assert outcome.err.strip().endswith("a .meas line without a result will have none again.")
    table = load_table(results / "tables" / "tiny.h5")
    assert np.isnan(table.data["current"].sel(t_read=1e-12)).all()
    assert not np.isnan(table.data["current"].sel(t_read=1e-9)).any()
    assert "1 point without a value" in done("show", "tiny").out
    assert len(stored(results)) == 3
    kept = [path for path in (results / "failed").iterdir() if path.is_file()]
    assert sorted(path.suffix for path in kept) == [".cir", ".log"]

    shutil.copy(chain / "tables" / "mtj_write.h5", results / "tables")
    on_it = (*TRAIN, "--set", "tables.read=tiny")
    assert "table tiny has holes: 1 without a value" in refused(*on_it)
    assert "accuracy" in done(*on_it, "--allow-holes").out


def test_a_value_outside_a_table_is_told_with_its_span(results: Path, chain: Path) -> None:
    shutil.copytree(chain / "tables", results / "tables")
    for setting in ("v_write=0.7", "v_read=0.4"):
        told = refused(*TRAIN, "--set", setting, "--set", "epochs=1")
        assert setting.split("=")[1] in told
    assert not (results / "runs" / "digits_ternary_mtj" / "record.json").exists()


def test_a_device_of_ones_own_takes_all_tables_of_the_cell_along(
    chain: Path, tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's example in small: copies of both definitions, with wider transistors."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(chain / "tables", results / "tables")
    for mine, theirs in (("my_write", "mtj_write"), ("my_read", "synapse_read")):
        own = (ROOT / "characterization" / "tables" / f"{theirs}.toml").read_text(encoding="utf-8")
        wider = own.replace("w_n = 0.4e-6", "w_n = 0.5e-6")
        assert wider != own
        (tmp_path / f"{mine}.toml").write_text(wider, encoding="utf-8")
        done("characterize", f"{mine}.toml", *tiny(theirs)[2:], "--workers", 2)
    small = (*TRAIN, "--arms", "table", "--set", "epochs=1")
    half = (*small, "--set", "tables.read=my_read")
    assert (
        "the tables are not of one cell: w_n is 4e-07 in mtj_write and 5e-07 in my_read. Characterise all"
        in refused(*half)
    )
    done(*half, "--set", "allow_mixed_elements=true")
    mixed = "w_n is 4e-07 in mtj_write and 5e-07 in my_read"
    told = done("report").out
    assert mixed in told
    assert mixed in Path(re.search(r"Page: (\S+)", told)[1]).read_text()  # type: ignore[index]
    done(*small, "--set", "tables.write=my_write", "--set", "tables.read=my_read")
    assert "different elements" not in text_report(accounted(find_record("latest")))


def test_changing_the_damping_changes_the_report_and_trace_shows_why(
    chain: Path, tmp_path: Path, compiled_models: Path
) -> None:
    """As a user does it: edit the parameter set, then characterize, train and report again."""
    checkout, folder = tmp_path / "checkout", tmp_path / "again"
    for part in ("spicebridge", "circuits", "characterization", "nn", "netlists"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "*.osdi"))
    for part in ("tables", "runs"):
        shutil.copytree(chain / part, folder / part)
    (folder / "cache").mkdir()
    shutil.copy(chain / "cache" / "points.sqlite", folder / "cache")
    (folder / "cache" / "models").symlink_to(compiled_models)
    parameters = checkout / "netlists" / "devices" / "mtj_b.lib"
    before = parameters.read_text()
    parameters.write_text(re.sub(r"alpha=0\.010? ", "alpha=0.012 ", before))
    assert parameters.read_text() != before

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        run = subprocess.run(
            [sys.executable, "-c", "from spicebridge.cli import main; main()", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(checkout), "SPICEBRIDGE_RESULTS": str(folder)},
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, run.stderr
        return run

    stale = command("trace", "latest").stdout
    assert "alpha = 0.01\n" in stale
    assert "changed since" in stale
    for name in TINY:
        command(*tiny(name))
    command(*TRAIN)
    old, new = summary(chain), summary(folder)
    assert old["tables"][0]["digest"] != new["tables"][0]["digest"]
    assert old["update"]["tops_per_watt"] != new["update"]["tops_per_watt"]
    fresh = command("trace", "latest").stdout
    assert "alpha = 0.012\n" in fresh
    assert "changed since" not in fresh
