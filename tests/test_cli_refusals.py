"""The command line: misuse and foreseen problems, each told plainly, with nothing done."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import pytest

from spicebridge.table import LookupTable
from tests.command_line import RC, READ, ROOT, TRAIN, call, files, keep_sheet, refused


@pytest.fixture
def sheet(results: Path) -> LookupTable:
    return keep_sheet(results)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuch",),
        ("show",),
        ("show", "sheet", "--nosuch"),
        ("characterize", "mtj_write", "--workers", "0"),
        ("simulate", str(ROOT / "netlists" / "mtj_write.cir"), "--set", "v_write"),
        ("characterize", "synapse_read", "--set", "=3"),
        ("train", "digits_ternary_mtj", "--seeds", "one"),
        ("train", "digits_ternary_mtj", "--seeds", ""),
        ("compile", "x.va", "--compiler", "gcc"),
    ],
)
@pytest.mark.usefixtures("sheet")
def test_misuse_of_the_command_line_exits_with_2(arguments: tuple[str, ...]) -> None:
    outcome = call(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Usage: spicebridge" in outcome.err


# Foreseen problems


def test_misspelt_names_are_told_with_the_right_ones(sheet: LookupTable, results: Path) -> None:
    assert sheet.name == "sheet"
    before = files(results)
    assert "there is no table 'sheeet'. Did you mean sheet?" in refused("show", "sheeet")
    assert "has no quantity 'curent'. It has: current, n_samples" in refused("show", "sheet", "curent")
    assert "has no quantity 'curent'" in refused("show", "sheet", "curent", "--json")
    assert "there is no table at" in refused("show", "nowhere/sheet.h5")
    assert "no table definition 'mtj_wirte'. Did you mean mtj_write?" in refused("characterize", "mtj_wirte")
    assert "there is no file my.toml" in refused("characterize", "my.toml")
    assert "digits_ternary_mtj" in refused("train", "digits_ternry_mtj")
    assert "there is no run 'digits_ternry_mtj'" in refused("report", "digits_ternry_mtj")
    assert "Did you mean sheet?" in refused("trace", "sheeet")
    assert files(results) == before


def test_misspelt_settings_are_told_with_the_right_ones(results: Path) -> None:
    before = files(results)
    assert "mtj_write has no .param v_wirte. It has: v_write" in refused(
        "simulate", ROOT / "netlists" / "mtj_write.cir", "--set", "v_wirte=1"
    )
    assert "a cell has no 'temprature'" in refused(
        "characterize", "mtj_write", "--set", "cell.temprature=350"
    )
    assert "has no setting 'v_raed'. It has: cell.mtj" in refused(
        "characterize", "synapse_read", "--set", "v_raed=[1]"
    )
    assert "axis v_read is 0.3" in refused("characterize", "synapse_read", "--set", "v_read=0.3")
    assert "epohcs" in refused("train", "digits_ternary_mtj", "--set", "epohcs=3")
    assert files(results) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "-1"), "seeds = (-1,) must be different and not negative"),
        (("--seeds", "1,1"), "seeds = (1, 1) must be different and not negative"),
        (("--set", "split.seed=-1"), "split.seed = -1 must not be negative"),
        (("--set", "timing_step=1e-20"), "timing_step = 1e-20 must be at least 1e-13 (s)"),
        (("--set", "hidden=[100000000000]"), "hidden = (100000000000,) must hold widths of 1 to 1,000,000"),
        (("--set", "name=../../x"), "name = '../../x' must be letters, digits, _ and -"),
    ],
)
def test_a_setting_out_of_range_is_one_clear_sentence(
    results: Path, words: tuple[str, ...], said: str
) -> None:
    before = files(results.parent)
    told = refused("train", "digits_ternary_mtj", *words)
    assert said in told
    assert len(told.splitlines()) == 1
    assert files(results.parent) == before


def test_a_definition_of_a_name_no_table_can_have_is_refused(tmp_path: Path, results: Path) -> None:
    definition = tmp_path / "my read.toml"
    definition.write_text(READ)
    told = refused("characterize", definition)
    assert "the table's name, 'my read', must be letters, digits, _ and -" in told
    assert "Rename the file" in told
    assert files(results) == set()


def test_a_definition_of_a_name_of_the_projects_costs_no_table(tmp_path: Path, results: Path) -> None:
    kept = results / "tables" / "synapse_read.h5"
    kept.parent.mkdir()
    kept.write_bytes(b"the table of the project's definition")
    definition = tmp_path / "synapse_read.toml"
    definition.write_text(READ)
    told = refused("characterize", definition)
    assert (
        f"{definition}: a table is called by its file's name, and synapse_read is one that comes with" in told
    )
    assert "Rename the file" in told
    assert kept.read_bytes() == b"the table of the project's definition"
    assert files(results) == {"tables/synapse_read.h5"}


def test_a_setting_cannot_bring_lines_into_a_deck(tmp_path: Path, results: Path) -> None:
    (tmp_path / "rc.cir").write_text(RC)
    told = refused("simulate", tmp_path / "rc.cir", "--set", "r=1k\n.tran 1p 1n")
    assert "rc: r = '1k\\n.tran 1p 1n' must be one line" in told
    assert files(results) == set()


def test_a_missing_or_wrong_file_is_told(tmp_path: Path, results: Path) -> None:
    before = files(results)
    assert "cannot read netlist nothere.cir: No such file" in refused("simulate", "nothere.cir")
    assert "nothere.va" in refused("compile", "nothere.va")
    model = tmp_path / "bad.va"
    model.write_text("module bad(a, b);\n  electrical a, b;\n  analog I(a,b) <+ V(a,b)/;\nendmodule\n")
    assert "bad.va" in refused("compile", model)
    assert not model.with_suffix(".osdi").exists()
    assert files(results) == before


@pytest.mark.parametrize("damage", ["truncated", "text", "header", "edited", "foreign"])
def test_a_damaged_table_is_one_clear_sentence(sheet: LookupTable, results: Path, damage: str) -> None:
    path = results / "tables" / "sheet.h5"
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif damage == "text":
        path.write_text("not a table")
    elif damage == "header":
        path.write_bytes(bytes(byte ^ 0x55 for byte in content[:600]) + content[600:])
    elif damage == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = [1.0]
    else:
        with h5py.File(path, "r+") as file:
            file["current"][0, 0] = 7.0
    for arguments in (("show", "sheet"), ("show", path), ("trace", "sheet")):
        told = refused(*arguments)
        assert str(path) in told
        assert "spicebridge characterize sheet" in told
        assert len(told.splitlines()) == 1
    assert sheet.name == "sheet"


def test_a_deck_with_an_unknown_subcircuit_is_told_in_ngspices_words_and_kept(
    tmp_path: Path, results: Path
) -> None:
    (tmp_path / "bad.cir").write_text(RC.replace(".end\n", "x1 out 0 nosuch\n.end\n"))
    plot = tmp_path / "w.png"
    told = refused("simulate", tmp_path / "bad.cir", "--plot", plot, "--export", tmp_path / "out.cir")
    assert "unknown subckt: x1 out 0 nosuch" in told
    kept = re.search(r"Deck kept: (\S+)", told)
    assert kept is not None
    assert Path(kept[1]).parent == results / "failed"
    assert Path(kept[1]).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.cir", "results"]


def test_a_sweep_of_ours_without_one_value_is_refused(tmp_path: Path, results: Path) -> None:
    definition = tmp_path / "tiny.toml"
    definition.write_text(READ)
    told = refused("characterize", definition, "--set", "cell.l_gate=1e-12")
    assert "tiny: 3 points without a value" in told
    assert "Effective channel length <= 0" in told
    assert "There is not one value, so no table is written" in told
    assert not (results / "tables").exists()


def test_a_sweep_without_one_value_is_refused(tmp_path: Path, results: Path) -> None:
    (tmp_path / "bad.cir").write_text(RC.replace(".end\n", "x1 out 0 nosuch\n.end\n"))
    (tmp_path / "bad.toml").write_text(
        'deck = "bad.cir"\n[axes.r]\nunit = "ohm"\nvalues = [1e3, 2e3]\n[measures.v_end]\nunit = "V"\n'
    )
    told = refused("characterize", tmp_path / "bad.toml")
    assert "not one of 2 points gave a value" in told
    assert "unknown subckt: x1 out 0 nosuch" in told
    assert not (results / "tables").exists()


def test_training_without_its_tables_says_how_to_make_them(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spicebridge.catalog.reference_folder", lambda: results / "none")
    told = refused(*TRAIN)
    assert "there is no table 'mtj_write'" in told
    assert "spicebridge characterize mtj_write" in told
    assert "there is no run 'latest'. Train one with: spicebridge train" in refused("report")


def test_an_unknown_kind_of_plot_is_refused_before_anything_is_done(
    sheet: LookupTable, tmp_path: Path
) -> None:
    (tmp_path / "rc.cir").write_text(RC)
    before = files(tmp_path)
    assert "its ending should be one of" in refused("show", sheet.name, "--plot", tmp_path / "x.doc")
    assert "its ending should be one of" in refused(
        "simulate", tmp_path / "rc.cir", "--plot", tmp_path / "x.doc", "--export", tmp_path / "y.cir"
    )
    assert files(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_told(sheet: LookupTable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot write" in refused("show", sheet.name, "--plot", tmp_path / "file" / "x.png")
