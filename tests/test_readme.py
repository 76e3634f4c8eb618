"""The README's commands run, and its figures are the reference record's."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from spicebridge.project import reference_folder

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


def test_the_readmes_commands_run(tmp_path: Path) -> None:
    """In one results folder, in their order; a definition of the user's own is a copy, as the README says."""
    own = (ROOT / "characterization" / "tables" / "synapse_read.toml").read_text(encoding="utf-8")
    (tmp_path / "my_read.toml").write_text(own, encoding="utf-8")
    for folder in ("docs", "netlists"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    environment = {**os.environ, "SPICEBRIDGE_RESULTS": str(tmp_path / "results")}
    script = str(Path(sys.executable).with_name("spicebridge"))
    for command in commands():
        words = [script, *shlex.split(command)[1:]]
        if "compile" in words:
            words += ["--output", str(tmp_path / "model.osdi")]
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "write.png").stat().st_size > 10_000
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
        f"{record['feedforward']['tops_per_watt']:.3g}",
        f"{record['update']['tops_per_watt']:.3g}",
        f"{record['update']['half_selected']['tops_per_watt']:.3g}",
    ]
    assert cells[1:] == expected


def test_the_readmes_figures_of_the_passive_array_are_the_records() -> None:
    path = reference_folder() / "runs" / "wine_passive_array" / "record.json"
    stages = json.loads(path.read_text(encoding="utf-8"))["stages"].values()
    table = README.split("| accuracy, per cent | median | mean |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[1:]]
    assert [row[1:] for row in rows] == [[f"{each['median']:.1f}", f"{each['mean']:.2f}"] for each in stages]
