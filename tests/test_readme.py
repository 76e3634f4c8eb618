"""The README's commands run, and its figures are the reference record's."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nn.studies import accounted
from spicebridge.pcm_statistics import PublishedModel
from spicebridge.project import reference_folder
from spicebridge.report.boundaries import as_text
from spicebridge.report.mixed_differences import chi_energy
from spicebridge.table import load_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The spicebridge lines of the README's shell blocks, comments cut."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("spicebridge ")]


def test_the_readme_shows_every_command() -> None:
    from spicebridge.cli import main

    assert set(main.commands) == {command.split()[1] for command in commands()}


def test_the_readmes_commands_run(tmp_path: Path, quick_write: Path) -> None:
    """In one results folder, in their order; a definition of the user's own is a copy, as the README says.

    The quick sweep of ``mtj_write`` is another test's too: here its command goes on from what that has kept.
    """
    store = tmp_path / "results" / "cache" / "points.sqlite"
    store.parent.mkdir(parents=True)
    shutil.copy(quick_write / "cache" / "points.sqlite", store)
    for mine, theirs in (("my_read", "synapse_read"), ("my_write", "mtj_write")):
        own = (ROOT / "characterization" / "tables" / f"{theirs}.toml").read_text(encoding="utf-8")
        (tmp_path / f"{mine}.toml").write_text(own, encoding="utf-8")
    for folder in ("docs", "netlists"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    carry_out(commands(), tmp_path)
    assert (tmp_path / "write.png").stat().st_size > 10_000
    assert (tmp_path / "results" / "reports" / "digits_ternary_mtj.html").stat().st_size > 50_000


def carry_out(lines: list[str], folder: Path) -> None:
    """Run spicebridge lines in this folder, with results of its own."""
    environment = {**os.environ, "SPICEBRIDGE_RESULTS": str(folder / "results")}
    script = str(Path(sys.executable).with_name("spicebridge"))
    for line in lines:
        words = [script, *shlex.split(line)[1:]]
        if "compile" in words:
            words += ["--output", str(folder / "model.osdi")]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_demos_commands_run_in_full(tmp_path: Path) -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ndemo:")[1].split("\n\n")[0]
    lines = re.findall(r"^\t\.venv/bin/(spicebridge .*)$", recipe, flags=re.MULTILINE)
    assert [line.split()[1] for line in lines] == ["characterize", "train", "report"]
    carry_out(lines, tmp_path)
    record = json.loads(
        (tmp_path / "results" / "runs" / "digits_ternary_mtj" / "record.json").read_text(encoding="utf-8")
    )
    assert record["accuracy"] > 96
    assert (tmp_path / "results" / "reports" / "digits_ternary_mtj.html").stat().st_size > 50_000


@pytest.mark.parametrize(
    "run", ["digits_ternary_mtj", "digits_ternary_mtj_65nm", "wine_ternary_mtj", "mnist_mlp_ternary_mtj"]
)
def test_the_readmes_figures_are_the_records(run: str) -> None:
    path = reference_folder() / "runs" / run / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    row = next(line for line in README.splitlines() if line.startswith(f"| `{run}`"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    expected = [
        f"{record['accuracy']:.2f}",
        f"{record['ideal_accuracy']:.2f}",
        f"{record['baseline_accuracy']:.2f}",
        f"{record['read_accuracy']:.2f}",
        f"{record['spread_accuracy']:.2f}",
        f"{record['update']['half_selected']['tops_per_watt']:.3g}",
    ]
    assert cells[1:] == expected
    assert record["settings"]["v_read"] == 0.1
    assert record["device"]["disturb"]["per_pass"] < record["device"]["disturb"]["limit"] == 1e-9


@pytest.mark.parametrize(
    "run", sorted(path.parent.name for path in (reference_folder() / "runs").glob("*/record.json"))
)
def test_the_readmes_energies_are_the_records_within_each_boundary(run: str) -> None:
    path = reference_folder() / "runs" / run / "record.json"
    block = accounted(json.loads(path.read_text(encoding="utf-8")))["accounting"]
    forward, update, step = block["feedforward"], block["update"], block["training_step"]
    figures = (
        forward["array"], forward["dense"]["array"], forward["all_in"], update["array"],
        update["weight_update"], update["dense"]["weight_update"], step["all_in"], step["dense"],
    )  # fmt: skip
    row = f"| `{run}` | {' | '.join(map(as_text, figures))} |"
    assert row in README.split("| experiment | feed-forward, array |")[1].splitlines()


def test_the_readmes_disturb_at_twice_the_read_voltage_is_the_tables() -> None:
    table = load_table(reference_folder() / "tables" / "synapse_read.h5")
    worst = max(
        float(
            table.read(
                "p_disturb_sequence",
                state=state,
                activation=activation,
                v_read=0.2,
                t_read=1e-9,
                t_gap=0.3e-9,
                n_reads=4,
            )
        )
        for state in table.data["state"].values
        for activation in table.data["activation"].values
    )
    assert f"0.2 V they would do so {worst:.1e} times".replace("e-04", "e-4") in " ".join(README.split())


def test_the_readmes_figures_of_the_passive_array_are_the_records() -> None:
    path = reference_folder() / "runs" / "wine_passive_array" / "record.json"
    stages = json.loads(path.read_text(encoding="utf-8"))["stages"].values()
    table = README.split("| accuracy, per cent | median | mean |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[1:]]
    assert [row[1:] for row in rows] == [[f"{each['median']:.1f}", f"{each['mean']:.2f}"] for each in stages]
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    tuned = next(each["summary"]["thresholds_tuned"] for each in cases if each["case"] == "ideal")
    words = f"software to a median of {tuned['median']:.1f} and a mean of {tuned['mean']:.2f}"
    assert words in " ".join(README.split())


def test_the_readmes_figures_of_the_pcm_pairs_are_the_records() -> None:
    part = README.split("System D, 784-250-10")[1].split("## Use it")[0]
    for name in ("mnist_pcm_mixed", "fashion_pcm_mixed"):
        path = reference_folder() / "runs" / name / "record.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        assert f"| `{name}` | {record['accuracy']:.2f} | {record['baseline_accuracy']:.2f} |" in part
    record = json.loads((reference_folder() / "runs" / "mnist_pcm_mixed" / "record.json").read_text("utf-8"))
    energy, words = record["energy"], " ".join(part.split())
    ours, digital, ratios = energy["per_image"], energy["digital"], energy["ratio_by_phase"]
    month = next(each for each in record["retention"] if each["age_s"] == 2.6e6)
    chi = chi_energy(ours["update"]) / ours["total"]
    eight = accounted(record)["accounting"]["digital_int8"]
    for said in (
        f"takes {1e6 * ours['total']:.2f} uJ here and {1e6 * digital['total']:.2f} uJ",
        f"{energy['ratio']:.2f} times as much: {ratios['forward']:.0f} times forward, "
        f"{ratios['backward']:.2f} backward, {ratios['update']:.3f} in the update",
        f"{100 * chi:.0f} % of ours is memory and arithmetic of chi",
        f"takes {1e6 * eight['total']:.2f} uJ, {eight['ratio']:.2f} times ours, and "
        f"{eight['ratio_by_phase']['forward']:.1f} times forward",
        f"{month['accuracy']:.2f} % a month after training",
    ):
        assert said in words, said


def test_the_readmes_departures_from_the_published_statistics_are_the_tables() -> None:
    table = load_table(reference_folder() / "tables" / "pcm_set.h5")
    published = PublishedModel().accumulation(pulses=20, devices=100_000, rng=np.random.default_rng(1))
    departures = [
        float(np.abs(table.read(quantity, pulses=np.arange(1.0, 21.0)) / wanted[1:] - 1).max())
        for quantity, wanted in (("g_mean", published.mean(axis=0)), ("g_std", published.std(axis=0)))
    ]
    assert "within 4 % of it and spread within 8 %" in " ".join(README.split())
    assert 0.0 < departures[0] <= 0.04
    assert 0.0 < departures[1] <= 0.08
