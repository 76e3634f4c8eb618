"""Decks: canonical text, what its digest covers, what is refused, and that bare ngspice agrees."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spicebridge.deck import (
    Deck,
    DeckError,
    make_deck,
    model_parameters,
    parse_number,
    read_deck,
    spice_number,
)
from spicebridge.project import netlists_folder
from spicebridge.verilog_a import compile_model
from spicebridge.workers import simulate

RC = """charging
.param r=1k c=1p
.param t_stop={3*r*c}
v1 in 0 pulse(0 1 0 1f 1f 1)
r1 in out {r}
c1 out 0 {c}
.tran 1p {t_stop}
.meas tran v_tau find v(out) at={r*c}
.end
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def bare_measures(program: str, deck: Path) -> dict[str, float]:
    """What ``ngspice -b DECK``, run in the deck's folder, prints for its ``.meas`` lines."""
    run = subprocess.run(
        [program, "-b", deck.name], cwd=deck.parent, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = re.findall(r"^([a-z_]\w*)\s+=\s+(\S+)", run.stdout, re.MULTILINE)
    return {name: float(value) for name, value in found}


# Canonical text


def test_comments_continuations_and_spaces_do_not_change_the_digest(tmp_path: Path) -> None:
    plain = make_deck("r1 a 0 1k tc1=1e-3\nv1 a 0 pulse(0 1 0 1p)\n.op", folder=tmp_path, name="plain")
    ornate = """
* a comment
r1   a\t0    1k   ; the load
  * another, indented
+ tc1=1e-3  $ its coefficient

v1 a 0 pulse(0 1
* a comment between a line and its continuation
+  0 1p) // a pulse
.op
.end
"""
    assert make_deck(ornate, folder=tmp_path, name="ornate").text == plain.text
    assert make_deck(ornate, folder=tmp_path, name="ornate").digest == plain.digest


def test_a_value_changes_the_digest(tmp_path: Path) -> None:
    digests = {
        make_deck(f"r1 a 0 {r}\n.op", folder=tmp_path, name="x").digest for r in ("1k", "1.1k", "1meg")
    }
    assert len(digests) == 3


def test_marks_of_a_comment_inside_quotes_are_text(tmp_path: Path) -> None:
    deck = make_deck('a1 %v(a) m\n.model m filesource (file="my;file//x")\n.op', folder=tmp_path, name="x")
    assert '"my;file//x"' in deck.text


def test_the_first_line_of_a_file_is_its_title_and_no_part_of_the_deck(tmp_path: Path) -> None:
    one = read_deck(write(tmp_path, "one.cir", "r9 a 0 1\nr1 a 0 1k\n.op\n"))
    two = read_deck(write(tmp_path, "two.cir", "another title\nr1 a 0 1k\n.op\n"))
    assert "r9" not in one.text
    assert one == two
    assert one.name == "one"


def test_includes_are_written_in_and_their_content_counts(tmp_path: Path) -> None:
    main = write(tmp_path, "main.cir", 'title\n.include "sub/r.lib"\n.op\n')
    write(tmp_path, "sub/r.lib", ".inc deep.lib\nr1 a 0 1k\n")
    write(tmp_path, "sub/deep.lib", "r2 a 0 2k\n")
    deck = read_deck(main)
    assert deck.text.splitlines() == ["r2 a 0 2k", "r1 a 0 1k", ".op"]
    write(tmp_path, "sub/deep.lib", "r2 a 0 3k\n")
    assert read_deck(main).digest != deck.digest


def test_a_section_of_a_library_is_written_in(tmp_path: Path) -> None:
    write(
        tmp_path,
        "pdk.lib",
        ".lib tt\n.param speed=1\n.lib 'pdk.lib' common\n.endl tt\n.lib ff\n.param speed=2\n.endl ff\n"
        ".lib common\nr1 a 0 {speed}\n.endl\n",
    )
    texts = {}
    for corner in ("tt", "ff"):
        deck = read_deck(write(tmp_path, "main.cir", f"title\n.lib pdk.lib {corner}\n.op\n"))
        texts[corner] = deck.text.splitlines()
    assert texts["tt"] == [".param speed=1", "r1 a 0 {speed}", ".op"]
    assert texts["ff"] == [".param speed=2", ".op"]
    with pytest.raises(DeckError, match=r"no library section 'ss'\. It has: tt, ff, common"):
        make_deck(".lib pdk.lib ss\n.op", folder=tmp_path, name="x")


@pytest.mark.usefixtures("results")
def test_the_digest_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    digests = set()
    for place in ("here", "some where/else"):
        shutil.copytree(netlists_folder(), tmp_path / place, ignore=shutil.ignore_patterns("*.osdi"))
        digests.add(read_deck(tmp_path / place / "mtj_write.cir").digest)
    assert len(digests) == 1


def test_a_deck_depends_on_the_source_of_its_models_not_on_their_library(
    results: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "netlists"
    shutil.copytree(netlists_folder(), copy)
    before = read_deck(copy / "mtj_write.cir")
    source = copy / "devices" / "stt_mtj.va"
    source.write_text(source.read_text().replace("5e9", "6e9", 1))
    after = read_deck(copy / "mtj_write.cir")
    assert before.text == after.text
    assert before.digest != after.digest
    assert not any(str(results) in deck.text for deck in (before, after))


# Parameters


def test_parameters_are_overridden_at_the_top_level_only(tmp_path: Path) -> None:
    text = ".param a=1 B = 2k\n.subckt s x\n.param a=5\nr1 x 0 {a}\n.ends\nx1 n s\n.op"
    deck = make_deck(text, folder=tmp_path, name="x")
    assert deck.parameters == {"a": "1", "b": "2k"}
    changed = deck.with_parameters(A=7, b="{a*2}")
    assert changed.parameters == {"a": "7.0", "b": "{a*2}"}
    assert ".param a=5" in changed.text
    assert changed.digest != deck.digest


def test_an_override_with_the_same_text_is_the_same_deck(tmp_path: Path) -> None:
    deck = make_deck(".param a=1\nr1 a 0 {a}\n.op", folder=tmp_path, name="x")
    assert deck.with_parameters(a="1").digest == deck.digest == deck.with_parameters().digest


def test_an_unknown_parameter_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    deck = make_deck(".param v_write=0.5 seed=1\nr1 a 0 1\n.op", folder=tmp_path, name="mine")
    with pytest.raises(DeckError, match=r"mine has no \.param v_wirte\. It has: v_write, seed\."):
        deck.with_parameters(v_wirte=0.6)


@pytest.mark.usefixtures("results")
def test_an_override_reaches_the_simulation(tmp_path: Path) -> None:
    deck = read_deck(write(tmp_path, "rc.cir", RC))
    slow = simulate(deck.with_parameters(c="2p"))
    assert slow["time"][-1] == pytest.approx(6e-9, rel=1e-6, abs=0.0)
    assert slow.measures["v_tau"] == pytest.approx(1 - np.exp(-1), rel=1e-3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32n", 32e-9),
        ("1meg", 1e6),
        ("5e-12", 5e-12),
        ("-.5", -0.5),
        ("3M", 3e-3),
        ("10pF", 1e-11),
        ("2.", 2),
        ("7a", 7e-18),
    ],
)
def test_spice_numbers_are_read_as_ngspice_reads_them(text: str, value: float) -> None:
    assert parse_number(text) == pytest.approx(value, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("text", ["", "abc", "{a}", "1,5", "--1", "1 2"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(DeckError, match="is not a SPICE number"):
        parse_number(text)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_being_written_into_a_deck(value: float) -> None:
    assert parse_number(spice_number(value)) == value


def test_the_numbers_of_a_model_card_are_found(tmp_path: Path) -> None:
    deck = make_deck(".model DD d is=1e-14 n=1.05\n+ RS=10m\n.op", folder=tmp_path, name="mine")
    assert model_parameters(deck, "dd") == {"is": 1e-14, "n": 1.05, "rs": 0.01}
    with pytest.raises(DeckError, match=r"mine has no \.model mtj"):
        model_parameters(deck, "mtj")


# What is refused


@pytest.mark.parametrize("value", ["2k\n.control", "2k\r.op", "2k\n", "\n", ""])
def test_a_value_of_more_or_less_than_a_line_is_refused(tmp_path: Path, value: str) -> None:
    deck = read_deck(write(tmp_path, "rc.cir", RC))
    with pytest.raises(DeckError, match=r"rc: r = .* must be one line, and not empty"):
        deck.with_parameters(r=value)


@pytest.mark.parametrize("command", ["shell rm x", "run", "write out.raw", "source other.cir", "let a=1"])
def test_control_commands_are_refused(tmp_path: Path, command: str) -> None:
    with pytest.raises(DeckError, match=f"control command '{re.escape(command)}'"):
        make_deck(f".control\n{command}\n.endc\n.op", folder=tmp_path, name="x")
    write(tmp_path, "hidden.lib", f".control\n{command}\n.endc\n")
    with pytest.raises(DeckError, match=r"hidden\.lib has the control command"):
        make_deck(".include hidden.lib\n.op", folder=tmp_path, name="x")


def test_missing_files_are_told_with_who_wanted_them(tmp_path: Path) -> None:
    with pytest.raises(DeckError, match=r"cannot read netlist .*none\.cir: No such file"):
        read_deck(tmp_path / "none.cir")
    with pytest.raises(DeckError, match=r"none\.lib, included by mine: No such file"):
        make_deck(".include none.lib\n.op", folder=tmp_path, name="mine")
    with pytest.raises(DeckError, match=r"no Verilog-A source at .*none\.va"):
        make_deck(".control\npre_osdi none.osdi\n.endc\n.op", folder=tmp_path, name="mine")
    with pytest.raises(DeckError, match="Is a directory"):
        read_deck(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.cir").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(DeckError, match="not a text file"):
        read_deck(tmp_path / "x.cir")


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.lib", ".include b.lib\n")
    write(tmp_path, "b.lib", ".include a.lib\n")
    with pytest.raises(DeckError, match=r"a\.lib includes itself, by way of b\.lib"):
        make_deck(".include a.lib\n.op", folder=tmp_path, name="x")


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("nodes", ["a", "a 0 b"])
def test_a_verilog_a_device_needs_a_node_for_each_terminal(nodes: str) -> None:
    text = f".control\npre_osdi devices/stt_mtj.osdi\n.endc\n.model m1 stt_mtj\nn1 {nodes} m1 mz0 = 1\n.op"
    with pytest.raises(DeckError, match=r"nodes, but stt_mtj has 2 terminals: free, ref"):
        make_deck(text, folder=netlists_folder(), name="x")


# Bare ngspice


@pytest.mark.usefixtures("results")
def test_a_kept_deck_replays_under_bare_ngspice_with_the_same_numbers(
    tmp_path: Path, ngspice_program: str
) -> None:
    write(tmp_path, "rc.cir", RC)
    for deck in (read_deck(tmp_path / "rc.cir"), read_deck(netlists_folder() / "mtj_write.cir")):
        kept = deck.keep(tmp_path / "kept")
        assert kept.name == f"{deck.digest[:12]}.cir"
        inside = simulate(deck).measures
        replayed = bare_measures(ngspice_program, kept)
        assert set(replayed) == set(inside) != set()
        for name, value in inside.items():
            assert replayed[name] == pytest.approx(value, rel=1e-5, abs=0.0), name  # -b prints six figures


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("netlist", sorted(path.name for path in netlists_folder().glob("*.cir")))
def test_every_netlist_runs_by_itself(
    tmp_path: Path, compiled_models: Path, ngspice_program: str, netlist: str
) -> None:
    copy = tmp_path / "netlists"
    shutil.copytree(netlists_folder(), copy, ignore=shutil.ignore_patterns("*.osdi"))
    for source in copy.glob("devices/*.va"):
        library = compile_model(source, cache=compiled_models).library
        shutil.copy(library, source.with_suffix(".osdi"))
    replayed = bare_measures(ngspice_program, copy / netlist)
    inside = simulate(read_deck(netlists_folder() / netlist)).measures
    assert set(replayed) == set(inside) != set()
    for name, value in inside.items():
        assert replayed[name] == pytest.approx(value, rel=1e-5, abs=0.0), name


def test_a_deck_is_its_text_and_models_not_its_name() -> None:
    assert Deck("r1 a 0 1", name="one") == Deck("r1 a 0 1", name="two")
    assert Deck("r1 a 0 1", name="one").digest == Deck("r1 a 0 1", name="two").digest
